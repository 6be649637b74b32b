/*
 * envelope.h - signed bytes: DSSE over the exact carried body.
 *
 *   signed = "DSSEv1" SP len(type) SP type SP len(body) SP body
 *
 * Verify, then parse the same bytes once, strictly. A body is stored and hashed as it came
 * and never re-encoded. One type per message kind: the domain separator.
 */
#pragma once

#include "protocol/cohortium.pb-c.h"
#include "protocol/keys.h"

enum envelope_kind {
    ENVELOPE_MANIFEST,
    ENVELOPE_CREDENTIAL,
    ENVELOPE_REVOCATION,
    ENVELOPE_REVIEW,
    ENVELOPE_PERMIT,
    ENVELOPE_POLICY,
    ENVELOPE_CODEBOOK,
    ENVELOPE_REQUEST,
    ENVELOPE_PREFLIGHT,
    ENVELOPE_ACCEPT,
    ENVELOPE_PROPOSAL,
    ENVELOPE_VECTOR,
    ENVELOPE_RELEASE,
    ENVELOPE_KINDS
};

/* Of manifest, policy, codebook, permit and release. What one signer says has one
 * signature. */
enum { ENVELOPE_SIGNATURES_MAX = 1024 };

/* The type string, and the most bytes that a body of this kind and its envelope may have.
 */
const char *envelope_type(enum envelope_kind kind);
size_t envelope_bound(enum envelope_kind kind);
size_t envelope_packed_bound(enum envelope_kind kind);

struct envelope {
    enum envelope_kind kind;
    struct bytes packed;       /* the caller's bytes, the Envelope as it came: store this */
    struct bytes signed_bytes; /* what a signature covers; in cx */
    struct bytes body;         /* points into signed_bytes; parse this once */
    uint8_t digest[32];        /* SHA-256 of body */
    size_t n_signatures;
    Cohortium__Signature **signatures;
};

/* Parses the envelope, checks kind and bounds; NO signature is checked yet. Everything in
 * it is claimed until envelope_is_signed_by says so. */
CHECKED enum fault envelope_open(struct cx *cx, enum envelope_kind kind,
                                 struct bytes packed, struct envelope *ret_claimed);

/* Whether one of the signatures is valid for this key. key_id is only a hint, but a
 * signature whose hint names another key is not tried (that bounds the work that a peer can
 * cause). */
CHECKED bool envelope_is_signed_by(const struct envelope *envelope, const uint8_t key[32]);
/* How many distinct keys of the list have a valid signature. Duplicate keys count once. */
size_t envelope_count_signers(const struct envelope *envelope, const uint8_t *const *keys,
                              size_t n_keys);

/* Packs `message` and signs it. */
CHECKED enum fault envelope_seal(struct cx *cx, enum envelope_kind kind,
                                 const ProtobufCMessage *message, const struct keys *keys,
                                 struct bytes *ret_packed);
/* Signs bytes that are packed already. */
CHECKED enum fault envelope_seal_body(struct cx *cx, enum envelope_kind kind,
                                      struct bytes body, const struct keys *keys,
                                      struct bytes *ret_packed);
/* Adds a signature to an envelope (permits, policies, manifests, releases); a key signs
 * once. */
CHECKED enum fault envelope_cosign(struct cx *cx, enum envelope_kind kind,
                                   struct bytes packed, const struct keys *keys,
                                   struct bytes *ret_packed);
/* Joins the signatures of two envelopes with identical bodies (FAULT_CONFLICT if they
 * differ). */
CHECKED enum fault envelope_join(struct cx *cx, enum envelope_kind kind, struct bytes a,
                                 struct bytes b, struct bytes *ret_packed);

/* Fills a stamp: random request id unless given, issued now, expires after ttl_ms. */
struct manifest;
CHECKED enum fault stamp_fill(struct cx *cx, Cohortium__Stamp *stamp,
                              const struct manifest *manifest, const uint8_t issuer[32],
                              const uint8_t *request_id, int64_t ttl_ms);
/* Consortium, version, window (skew +-120 s, at most 24 h), audience (own must be there
 * unless NULL), id lengths. `now` is UTC ms. FAULT_DENIED, FAULT_EXPIRED, FAULT_FORMAT.
 * Any older version counts as long as the message lives, because whoever signed it is judged by
 * `manifest`; a newer one does not: the receiver has yet to learn who may sign. */
CHECKED enum fault stamp_check(struct cx *cx, const Cohortium__Stamp *stamp,
                               const struct manifest *manifest, const uint8_t *own_node,
                               int64_t now);
enum { CLOCK_SKEW_MS = 120 * 1000, STAMP_LIFE_MAX_MS = 24 * 3600 * 1000 };
/* A request may wait at home until every site can answer: it lives up to 7 days. */
enum { REQUEST_LIFE_MAX_MS = 7 * STAMP_LIFE_MAX_MS };
/* The same with another bound on the window than 24 h. */
CHECKED enum fault stamp_check_life(struct cx *cx, const Cohortium__Stamp *stamp,
                                    const struct manifest *manifest,
                                    const uint8_t *own_node, int64_t now, int64_t life_max);

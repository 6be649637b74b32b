/*
 * manifest.h - the signed list of members, verified from its genesis.
 *
 * TUF root rules: version 1 is pinned by the digest of its body and signed by its own
 * governance threshold; version N+1 needs the threshold of version N and its own. Purpose never
 * changes, nor does a member's name; a lab lists only loopback endpoints. Past valid_until a node answers nothing.
 * A manifest is never changed once made: it is shared by pointer and replaced whole.
 */
#pragma once

#include "protocol/envelope.h"

enum { MANIFEST_MEMBERS_MAX = 1000, MANIFEST_CHAIN_MAX = 10000 };

struct manifest {
    const Cohortium__Manifest *body; /* the newest version */
    uint8_t consortium[32];          /* digest of the genesis body */
    uint8_t digest[32];              /* digest of this body */
    size_t n_chain;
    struct bytes *chain;             /* packed envelopes from genesis on */
    uint8_t (*digests)[32];          /* of each body in the chain */
};

/* Verifies a chain of packed envelopes. genesis: the pinned digest, NULL only when creating.
 * Everything returned lives in cx. FAULT_DENIED names the version and the rule broken. */
CHECKED enum fault manifest_load(struct cx *cx, const struct bytes *chain, size_t n_chain,
                                 const uint8_t *genesis, struct manifest **ret);
/* One version more: number exactly m's plus one, made from m, the same purpose, signed by m's
 * threshold and its own. m stays as it is; what is returned is a copy in cx.
 * FAULT_DENIED and FAULT_FORMAT say which rule is broken. */
CHECKED enum fault manifest_extend(struct cx *cx, const struct manifest *m,
                                   struct bytes packed, struct manifest **ret);
/* FAULT_NONE: `packed` is as validly signed as the version of the same number that m holds, and
 * is another: the governors have equivocated, and the two together prove it to anybody.
 * FAULT_MISSING: it is the one held, or of a number that m does not hold. Else: it proves
 * nothing, because it would never have been adopted. */
CHECKED enum fault manifest_fork(struct cx *cx, const struct manifest *m, struct bytes packed,
                                 uint64_t *ret_version);
/* What `next` changes, a line each, in words for whoever is to sign it: every field but version,
 * dates and reason; "" when nothing else does. Nothing of both need be verified. NULL without
 * memory. */
const char *manifest_differences(struct cx *cx, const Cohortium__Manifest *old,
                                 const Cohortium__Manifest *next);
struct manifest_claim { /* what a manifest says of its place; nobody need have signed it */
    uint64_t version;
    uint8_t digest[32], previous[32];
};
CHECKED enum fault manifest_claims(struct cx *cx, struct bytes packed,
                                   struct manifest_claim *ret);
/* Checks the shape of a body (sorted unique members, node ids match keys, names, endpoints
 * (loopback in a lab), thresholds, dates) without signatures; used before signing too. */
CHECKED enum fault manifest_check_body(struct cx *cx, const Cohortium__Manifest *body);

/* FAULT_EXPIRED past valid_until at `now`. Fresh: past fresh_until only a warning. */
CHECKED enum fault manifest_is_current(struct cx *cx, const struct manifest *m, int64_t now);

const Cohortium__Member *manifest_find(const struct manifest *m, const uint8_t node_id[32]);
const Cohortium__Member *manifest_find_name(const struct manifest *m, const char *name);
const Cohortium__Member *manifest_find_noise(const struct manifest *m, const uint8_t key[32]);
/* Whether both are the same node, perhaps in two versions of the manifest. */
bool member_same(const Cohortium__Member *a, const Cohortium__Member *b);
bool manifest_is_lab(const struct manifest *m);
/* Whether an endpoint is "tcp://127.x.y.z:port", "tcp://[::1]:port" or
 * "tcp://localhost:port", or the same with ws://. */
bool endpoint_is_loopback(const char *endpoint);

/* The genesis digest as 6 words-like groups of hex for people: "1a2b-3c4d-...". */
const char *manifest_fingerprint(struct cx *cx, const uint8_t digest[32]);

/*
 * manifest.h - the signed list of members, verified from its genesis.
 *
 * TUF root rules: version 1 is pinned by the digest of its body and signed by its own
 * governance threshold; version N+1 needs the threshold of version N and its own. Purpose never
 * changes; a lab lists only loopback endpoints. Past valid_until a node answers nothing.
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
};

/* Verifies a chain of packed envelopes. genesis: the pinned digest, NULL only when creating.
 * Everything returned lives in cx. FAULT_DENIED names the version and the rule broken. */
CHECKED enum fault manifest_load(struct cx *cx, const struct bytes *chain, size_t n_chain,
                                 const uint8_t *genesis, struct manifest **ret);
/* Checks the shape of a body (sorted unique members, node ids match keys, names, endpoints
 * (loopback in a lab), thresholds, dates) without signatures; used before signing too. */
CHECKED enum fault manifest_check_body(struct cx *cx, const Cohortium__Manifest *body);

/* FAULT_EXPIRED past valid_until at `now`. Fresh: past fresh_until only a warning. */
CHECKED enum fault manifest_is_current(struct cx *cx, const struct manifest *m, int64_t now);

const Cohortium__Member *manifest_find(const struct manifest *m, const uint8_t node_id[32]);
const Cohortium__Member *manifest_find_name(const struct manifest *m, const char *name);
const Cohortium__Member *manifest_find_noise(const struct manifest *m, const uint8_t key[32]);
bool manifest_is_lab(const struct manifest *m);
/* Whether an endpoint is "tcp://127.x.y.z:port", "tcp://[::1]:port" or "tcp://localhost:port". */
bool endpoint_is_loopback(const char *endpoint);

/* The genesis digest as 6 words-like groups of hex for people: "1a2b-3c4d-...". */
const char *manifest_fingerprint(struct cx *cx, const uint8_t digest[32]);

/*
 * receipt_draft.h - a receipt of the small consortium, made part by part, for tests that
 * change one part and seal the whole again.
 */
#pragma once

#include "protocol/receipt.h"
#include "tests/protocol/consortium.h"

/* The parts of a receipt before they are signed: a row changes one, then all is sealed. */
struct draft {
    struct cx *cx;
    const struct consortium *c;
    bool by_site, repeat, not_released;
    Cohortium__Request *request;
    struct bytes permit; /* packed */
    Cohortium__Preflight preflights[CONSORTIUM_SITES];
    Cohortium__Accept accepts[CONSORTIUM_SITES];
    size_t n_accepts;
    Cohortium__Policy policy;
    Cohortium__Result result;
    Cohortium__Release releases[CONSORTIUM_SITES];     /* pooled: the first */
    size_t release_signers;                            /* pooled: how many sign */
    struct keys *preflight_key, *accept_key, *log_key; /* of site 1 */
    Cohortium__LogRecord records[CONSORTIUM_SITES];
    ProtobufCBinaryData participants[CONSORTIUM_SITES], versions[CONSORTIUM_SITES];
    uint8_t version_ids[CONSORTIUM_SITES][16];
    /* filled by seal_* */
    uint8_t request_digest[32], question[32], policy_digest[32], who[32];
    uint8_t questions[CONSORTIUM_SITES][32], outcomes[CONSORTIUM_SITES][32];
    Cohortium__LogProof proofs[CONSORTIUM_SITES], *proof_list[CONSORTIUM_SITES];
    ProtobufCBinaryData sealed_permits[1], sealed_preflights[CONSORTIUM_SITES],
        sealed_accepts[CONSORTIUM_SITES];
    ProtobufCBinaryData sealed_releases[CONSORTIUM_SITES], manifests[2],
        path[CONSORTIUM_SITES][1];
    size_t n_manifests; /* the second is the test's */
    uint8_t siblings[CONSORTIUM_SITES][32];
    uint8_t transcript[32]; /* of ACCEPTs and rounds, in the records that name it */
    uint8_t round_digests[2][32 * (1 + CONSORTIUM_SITES)];
    ProtobufCBinaryData rounds[2];
    size_t n_rounds;
    Cohortium__Receipt receipt;
};

/* A pooled answer, or one by site; cx and c outlive the draft. Change what goes into all
 * messages, then fill. */
void draft_new(struct draft *d, struct cx *cx, const struct consortium *c, bool by_site);
/* Everything that a session would have put into its messages. */
void draft_fill(struct draft *d);
/* Signs all: releases, then logs (whose records hold their digests), then the rest. */
void draft_seal(struct draft *d);
void seal_releases(struct draft *d);
void seal_logs(struct draft *d);
void seal_rest(struct draft *d);

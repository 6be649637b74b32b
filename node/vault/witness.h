/*
 * witness.h - members witness each other's logs (C2SP tlog-witness, tlog-cosignature).
 *
 *   witness.c         others' logs: held, cosigned, contradicted
 *   cosigned.c        our own: shown to peers in rounds
 *   proved.c          its records, under what they cosigned
 *   witness_check.c   the log against its leaves and against what peers hold of it
 *
 * A checkpoint is cosigned only if it continues the last one of that log that was cosigned
 * here, and that is stored durably first. What contradicts it is kept with it, both signed
 * by the log's own node, and told to the operator.
 */
#pragma once

#include "node/vault/audit.h"
#include "node/vault/caller.h"

struct vault;

enum {
    WITNESS_PROOF_MAX = 63,   /* hashes of a consistency proof, as in tlog-witness */
    WITNESS_KEPT = 64,        /* checkpoints of one log; of older ones every second goes */
    CONTRADICTIONS_KEPT = 16, /* of one log: the first */
    PROVE_LEAVES_MAX = 512
};

/* ---- services: body in, packed reply out (in cx) ---- */
/* FAULT_MISSING: of no member; FAULT_DENIED: not signed by it; FAULT_INVALID: no sizes that
 * can be. Otherwise a reply: cosigned, another size was known, or a contradiction. */
CHECKED enum fault vault_add_checkpoint(struct cx *cx, struct vault *v,
                                        const struct caller *who, struct bytes call,
                                        struct bytes *ret);
CHECKED enum fault vault_held(struct cx *cx, struct vault *v, struct bytes call,
                              struct bytes *ret);
CHECKED enum fault vault_prove(struct cx *cx, struct vault *v, struct bytes call,
                               struct bytes *ret);
CHECKED enum fault vault_round(struct cx *cx, struct vault *v, struct bytes call,
                               struct bytes *ret);
CHECKED enum fault vault_round_done(struct cx *cx, struct vault *v, struct bytes call,
                                    struct bytes *ret);
/* One peer's answer to vault_ask_peers. */
CHECKED enum fault vault_peer_holds(struct cx *cx, struct vault *v, struct bytes call);

/* ---- for the desk ---- */
/* The newest checkpoint that enough others have cosigned; size 0: none. */
struct witnessed {
    uint64_t size;
    int64_t at; /* of its oldest cosignature */
    size_t n;
    const char **names;
};
CHECKED enum fault witness_newest(struct cx *cx, struct vault *v, struct witnessed *ret);
/* Proof of one record as a C2SP tlog-proof, under the best checkpoint there is. */
CHECKED enum fault witness_prove_text(struct cx *cx, struct vault *v, uint64_t index,
                                      const char **ret_text, size_t *ret_cosigned);

struct peer_log { /* what this node holds of one member's log */
    const Cohortium__Member *who;
    uint64_t size; /* 0: none was ever shown */
    int64_t seen_at;
    size_t n_contradictions;
    Cohortium__Contradiction **contradictions;
    bool contradicts; /* its newest word is a contradiction */
};
CHECKED enum fault witness_peers(struct cx *cx, struct vault *v, struct peer_log **ret,
                                 size_t *ret_n);

/* Recomputes the log. What does not fit becomes v->log_trouble: this node answers nothing,
 * and shows its peers the log as it is now. */
CHECKED enum fault witness_check_log(struct cx *cx, struct vault *v, uint64_t *ret_size,
                                     uint8_t ret_root[32]);
/* Asks all linked peers what they hold of our log, and compares each note with the leaves:
 * one line a peer in `text`. FAULT_CONFLICT: somebody holds what our log does not continue.
 */
CHECKED enum fault witness_compare(struct cx *cx, struct vault *v, struct buffer *text);

/*
 * coordinate_witness.c - an answer's log records under cosigned checkpoints.
 *
 * Cosignatures take one exchange between peers and a commit at each, some milliseconds. An
 * answer that its policy holds to a quantum has them: they are fetched while it is held.
 * One that is not held leaves at once, and whoever asked fetches them afterwards (WITNESS).
 */
#include <string.h>

#include "node/net/coordinate_private.h"
#include "protocol/merkle.h"

enum { PROOF_WAIT_MS = 500, PROOF_MAX = 1024 * 1024 };

bool policy_holds(const Cohortium__Policy *policy)
{
    for (size_t i = 0; policy != NULL && i < policy->n_fields; i++)
        if (strcmp(policy->fields[i]->name, "response_quantum_ms") == 0)
            return policy->fields[i]->number > 0;
    return false;
}

/* Of the same record; who asked checks the rest. */
static void take_proof(struct part *p, struct bytes body)
{
    struct cx *cx = p->ask->cx;
    Cohortium__LogProof *own = p->answer->proof;
    uint8_t *kept = body.n <= PROOF_MAX ? cx_memdup(cx, body.p, body.n) : NULL;
    Cohortium__ProveReply *r;

    if (kept == NULL || pb_unpack(cx, &cohortium__prove_reply__descriptor,
                                  bytes_of(kept, body.n), PROOF_MAX, &r) != FAULT_NONE)
        return;
    if (r->n_proofs != 1 || r->proofs[0]->index != own->index)
        return;
    own->size = r->proofs[0]->size;
    own->n_path = r->proofs[0]->n_path;
    own->path = r->proofs[0]->path;
    own->checkpoint = r->proofs[0]->checkpoint;
}

static void proved(void *user, enum fault fault, struct bytes body)
{
    struct part *p = user;
    struct ask *a = p->ask;

    if (fault == FAULT_NONE && !a->failed && p->answer != NULL)
        take_proof(p, body);
    ask_called(a);
}

void part_prove(struct ask *a, size_t i)
{
    struct part *p = &a->parts[i];
    Cohortium__ProveCall call = COHORTIUM__PROVE_CALL__INIT;
    Cohortium__Leaf leaf = COHORTIUM__LEAF__INIT, *list = &leaf;
    uint8_t hash[DIGEST_BYTES];
    struct bytes packed;

    if (!a->held || p->proven || p->answer->proof == NULL)
        return;
    merkle_leaf(PB_BYTES(p->answer->proof->record), hash);
    leaf.index = p->answer->proof->index;
    leaf.hash = PB_DATA(bytes_of(hash, sizeof hash));
    call.leaves = &list;
    call.n_leaves = 1;
    call.wait_ms = PROOF_WAIT_MS;
    if (pb_pack(a->cx, &call.base, &packed) != FAULT_NONE)
        return;
    p->proven = true;
    a->waiting++;
    if (i != a->home) /* home's record is logged already, and its answer still held */
        witness_now(a->net);
    witness_prove_at(a->net, p->who, packed, proved, p);
}

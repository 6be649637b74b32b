/* witness.c - see witness.h. */
#include "node/cli/witness.h"

#include <string.h>

#include "protocol/merkle.h"

enum { WAIT_MS = 500, CALL_MS = 3000, ONE_MEMORY = 256 * 1024 * 1024, PATHS_FIRST = 64 };

static enum fault make_call(struct cx *cx, const Cohortium__Receipt *r, struct bytes *ret)
{
    Cohortium__WitnessCall call = COHORTIUM__WITNESS_CALL__INIT;
    Cohortium__SiteLeaves *sites;
    Cohortium__Leaf *leaves, **lists;
    uint8_t(*hashes)[DIGEST_BYTES];

    CX_NEW(cx, call.sites, r->n_proofs);
    CX_NEW(cx, sites, r->n_proofs);
    CX_NEW(cx, leaves, r->n_proofs);
    CX_NEW(cx, lists, r->n_proofs);
    CX_NEW(cx, hashes, r->n_proofs);
    for (size_t i = 0; i < r->n_proofs; i++) {
        merkle_leaf(PB_BYTES(r->proofs[i]->record), hashes[i]);
        cohortium__leaf__init(&leaves[i]);
        leaves[i].index = r->proofs[i]->index;
        leaves[i].hash = PB_DATA(bytes_of(hashes[i], DIGEST_BYTES));
        lists[i] = &leaves[i];
        cohortium__site_leaves__init(&sites[i]);
        sites[i].node_id = r->proofs[i]->node_id;
        sites[i].leaves = &lists[i];
        sites[i].n_leaves = 1;
        call.sites[call.n_sites++] = &sites[i];
    }
    call.wait_ms = WAIT_MS;
    return pb_pack(cx, &call.base, ret);
}

static enum fault refresh(struct home *home, struct cx *cx,
                          const Cohortium__Receipt *receipt, struct receipt_facts *facts,
                          struct bytes *ret)
{
    Cohortium__Receipt fresh = *receipt;
    Cohortium__WitnessReply *reply;
    struct bytes call, answer;

    TRY(make_call(cx, receipt, &call));
    TRY(home_call(home, cx, SERVICE_WITNESS, call, CALL_MS, &answer));
    TRY(pb_unpack(cx, &cohortium__witness_reply__descriptor, answer, LINK_MESSAGE_MAX,
                  &reply));
    TRY(receipt_take_proofs(cx, &fresh, reply->proofs, reply->n_proofs));
    TRY(receipt_verify(cx, &fresh, home->profile.genesis, facts));
    return pb_pack(cx, &fresh.base, ret);
}

bool witness_refresh(struct home *home, struct cx *cx, const Cohortium__Receipt *receipt,
                     struct receipt_facts *ret_facts, struct bytes *ret_packed)
{
    struct receipt_facts facts;
    struct bytes packed;

    if (refresh(home, cx, receipt, &facts, &packed) != FAULT_NONE || !facts.witnessed)
        return false;
    *ret_facts = facts;
    *ret_packed = packed;
    return true;
}

enum fault unwitnessed_add(struct cx *cx, struct unwitnessed *u, const char *path)
{
    if (path == NULL) {
        u->no_receipt++;
        return FAULT_NONE;
    }
    if (u->n == u->size) {
        size_t size = u->size ? 2 * u->size : PATHS_FIRST;
        const char **paths;

        CX_NEW(cx, paths, size);
        if (u->n > 0)
            memcpy(paths, u->paths, u->n * sizeof *paths);
        u->paths = paths;
        u->size = size;
    }
    u->paths[u->n] = cx_strdup(cx, path);
    return u->paths[u->n++] != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static bool settle_one(struct home *home, struct cx *cx, const char *path)
{
    Cohortium__Receipt *receipt;
    struct receipt_facts facts;
    struct bytes packed;

    return receipt_read(cx, path, &packed) == FAULT_NONE &&
           pb_unpack(cx, &cohortium__receipt__descriptor, packed, RECEIPT_MAX, &receipt) ==
               FAULT_NONE &&
           witness_refresh(home, cx, receipt, &facts, &packed) &&
           receipt_write(cx, packed, path) == FAULT_NONE;
}

void unwitnessed_settle(struct cli *cli, struct home *home, struct unwitnessed *u,
                        size_t answers)
{
    AUTO_CX struct cx *cx = cx_new(ONE_MEMORY, CX_NO_DEADLINE);
    size_t left = u->no_receipt;

    for (size_t i = 0; i < u->n; i++) {
        if (cx != NULL)
            cx_reset(cx);
        left += cx == NULL || !settle_one(home, cx, u->paths[i]);
    }
    size_t all = u->n + u->no_receipt;
    if (all > left)
        (void)fprintf(
            cli->err,
            "witnessed now: %zu answers that were not yet when they were given; their "
            "receipts hold the cosignatures\n",
            all - left);
    if (left > 0)
        (void)fprintf(
            cli->err,
            "unwitnessed: %zu of %zu answers, fewer than %d other institutions had "
            "cosigned the sites' logs%s\n",
            left, answers, WITNESSES_MIN,
            u->no_receipt == left ? " when they were given" : "");
}

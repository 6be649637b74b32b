/* witness_gather.c - a researcher asks for newer proofs of what receipts rest on. */
#include <stdlib.h>
#include <string.h>

#include "node/net/net.h"

enum {
    GATHER_MEMORY = 64 * 1024 * 1024,
    CALL_MAX = NET_RESEARCHER_MAX,
    GATHER_WAIT_MS = 500
};

struct gather {
    struct net *net;
    struct cx *cx;
    struct served *served;
    Cohortium__WitnessReply reply;
    size_t waiting, size; /* size: room for proofs */
};

struct gathered { /* one site's */
    struct gather *g;
    const Cohortium__Member *site;
};

static void gather_free(struct gather *g)
{
    struct cx *cx = g->cx;

    g->net->looks--;
    cx_free(&cx);
    free(g);
}

static void gather_end(struct gather *g)
{
    struct bytes packed;

    if (pb_pack(g->cx, &g->reply.base, &packed) != FAULT_NONE)
        net_fail(g->served, FAULT_MEMORY, "out of memory", NULL);
    else if (packed.n > LINK_MESSAGE_MAX)
        net_fail(g->served, FAULT_BOUND, "proofs for fewer receipts at once", NULL);
    else
        served_reply(g->served, packed);
    gather_free(g);
}

/* What a site cannot or will not prove is left out; the receipt keeps what it has. */
static void site_done(void *user, enum fault fault, struct bytes body)
{
    struct gathered *s = user;
    struct gather *g = s->g;
    Cohortium__ProveReply *r;
    uint8_t *kept = fault == FAULT_NONE ? cx_memdup(g->cx, body.p, body.n) : NULL;

    if (kept != NULL &&
        pb_unpack(g->cx, &cohortium__prove_reply__descriptor, bytes_of(kept, body.n),
                  LINK_MESSAGE_MAX, &r) == FAULT_NONE)
        for (size_t i = 0; i < r->n_proofs && g->reply.n_proofs < g->size; i++) {
            r->proofs[i]->node_id = s->site->node_id;
            g->reply.proofs[g->reply.n_proofs++] = r->proofs[i];
        }
    if (--g->waiting == 0)
        gather_end(g);
}

static enum fault ask_sites(struct gather *g, struct bytes body)
{
    Cohortium__WitnessCall *call;
    struct gathered *all;
    uint8_t *kept = cx_memdup(g->cx, body.p, body.n);

    if (kept == NULL)
        return FAULT_MEMORY;
    TRY(pb_unpack(g->cx, &cohortium__witness_call__descriptor, bytes_of(kept, body.n),
                  CALL_MAX, &call));
    if (call->n_sites > g->net->manifest->body->n_members)
        return cx_fail(g->cx, FAULT_BOUND, "more sites than there are members");
    CX_NEW(g->cx, all, call->n_sites);
    for (size_t i = 0; i < call->n_sites; i++)
        g->size += call->sites[i]->n_leaves;
    CX_NEW(g->cx, g->reply.proofs, g->size);
    for (size_t i = 0; i < call->n_sites; i++) {
        Cohortium__ProveCall prove = COHORTIUM__PROVE_CALL__INIT;
        const Cohortium__SiteLeaves *s = call->sites[i];
        struct bytes packed;

        all[i] = (struct gathered){g, s->node_id.len == DIGEST_BYTES
                                          ? manifest_find(g->net->manifest, s->node_id.data)
                                          : NULL};
        if (all[i].site == NULL || s->n_leaves == 0)
            continue;
        prove.n_leaves = s->n_leaves;
        prove.leaves = s->leaves;
        prove.wait_ms = call->wait_ms < GATHER_WAIT_MS ? call->wait_ms : GATHER_WAIT_MS;
        TRY(pb_pack(g->cx, &prove.base, &packed));
        g->waiting++;
        witness_prove_at(g->net, all[i].site, packed, site_done, &all[i]);
    }
    return FAULT_NONE;
}

void witness_serve(struct net *net, struct bytes call, struct served *served)
{
    struct gather *g;

    if (net->looks >= NET_LOOKS_MAX || (g = calloc(1, sizeof *g)) == NULL) {
        net_fail(served, FAULT_UNAVAILABLE, "this node is busy; ask again in a while",
                 net->self);
        return;
    }
    *g = (struct gather){.net = net, .served = served, .waiting = 1};
    cohortium__witness_reply__init(&g->reply);
    g->cx = cx_new(GATHER_MEMORY, CX_NO_DEADLINE);
    net->looks++;
    enum fault fault = g->cx == NULL ? FAULT_MEMORY : ask_sites(g, call);
    if (fault != FAULT_NONE && g->waiting == 1) {
        net_fail(served, fault, g->cx != NULL ? cx_message(g->cx) : "out of memory",
                 net->self);
        gather_free(g);
        return;
    }
    if (--g->waiting == 0)
        gather_end(g);
}

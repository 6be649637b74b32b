/*
 * witness_peers.c - what peers show us of their logs, and what they hold of ours.
 */
#include <stdlib.h>
#include <string.h>

#include "node/net/witness_private.h"
#include "protocol/base/clock.h"
#include "protocol/checkpoint.h"

enum { HELD_MS = 3000, HELD_MEMORY = 16 * 1024 * 1024 };

/* ---- a peer's checkpoint for our vault ---- */

static void add_done(void *user, enum fault fault, struct bytes body)
{
    struct added *a = user;

    for (struct added **at = &a->w->added; *at != NULL; at = &(*at)->next)
        if (*at == a) {
            *at = a->next;
            break;
        }
    if (fault == FAULT_NONE)
        served_reply(a->served, body);
    else
        served_fail(a->served, fault, body);
    free(a);
}

/* A member shows its own log only: else a third one could show an old checkpoint of it. */
static bool is_its_own(const struct witness *w, const Cohortium__Member *who,
                       struct bytes call)
{
    AUTO_CX struct cx *cx = cx_new(1024 * 1024, CX_NO_DEADLINE);
    Cohortium__AddCheckpointCall *body;
    const char *origin;

    return cx != NULL &&
           pb_unpack(cx, &cohortium__add_checkpoint_call__descriptor, call, WITNESS_ADD_MAX,
                     &body) == FAULT_NONE &&
           (origin = checkpoint_origin(cx, w->net->manifest->consortium, who->name)) !=
               NULL &&
           checkpoint_claims(body->checkpoint, origin);
}

void witness_add(struct net *net, const struct link *link, struct bytes call,
                 struct served *served)
{
    struct witness *w = net->witness;
    const Cohortium__Member *who = manifest_find(net->manifest, link_peer(link)->id);
    struct ipc_caller from = caller_of(link);
    bool judging = false;
    struct added *a;

    if (who == NULL || !is_its_own(w, who, call)) {
        net_fail(served, FAULT_DENIED,
                 "a member shows checkpoints of its own log, no others", net->self);
        return;
    }
    /* In the order in which they were sent: the vault may take two at once. */
    for (a = w->added; a != NULL && !judging; a = a->next)
        judging = member_same(a->who, who);
    if (judging || (a = malloc(sizeof *a)) == NULL) {
        net_fail(served, FAULT_UNAVAILABLE,
                 "your checkpoint before this one is being judged", net->self);
        return;
    }
    *a = (struct added){.next = w->added, .w = w, .who = who, .served = served};
    w->added = a;
    vault_call(net, &from, IPC_CALL, SERVICE_ADD_CHECKPOINT, call, CX_NO_DEADLINE, add_done,
               a);
}

/* ---- what do peers hold of our log? ---- */

struct held {
    struct net *net;
    const Cohortium__Member *who;
    uint64_t asked;
};

static void ignore(void *user, enum fault fault, struct bytes body)
{
    (void)user;
    (void)fault;
    (void)body;
}

static void tell_holds(struct net *net, Cohortium__PeerHolds *p, struct cx *cx)
{
    struct bytes packed;

    if (pb_pack(cx, &p->base, &packed) == FAULT_NONE)
        vault_call(net, &net_self, IPC_CALL, SERVICE_PEER_HOLDS, packed, CX_NO_DEADLINE,
                   ignore, NULL);
}

static void held_done(void *user, enum fault fault, struct bytes body)
{
    struct held *h = user;
    AUTO_CX struct cx *cx = cx_new(HELD_MEMORY, CX_NO_DEADLINE);
    Cohortium__PeerHolds p = COHORTIUM__PEER_HOLDS__INIT;

    p.asked = h->asked;
    p.node_id = h->who->node_id;
    if (cx != NULL) {
        if (fault != FAULT_NONE || pb_unpack(cx, &cohortium__held_reply__descriptor, body,
                                             WITNESS_HELD_MAX, &p.held) != FAULT_NONE)
            p.held = NULL;
        tell_holds(h->net, &p, cx);
    }
    free(h);
}

static uint64_t read_number(struct bytes body)
{
    uint64_t v = 0;

    for (size_t i = 0; i < body.n && i < sizeof v; i++)
        v |= (uint64_t)body.p[i] << 8 * i;
    return v;
}

void witness_ask_peers(struct net *net, struct bytes number)
{
    const Cohortium__Manifest *m = net->manifest->body;
    AUTO_CX struct cx *cx = cx_new(1024 * 1024, CX_NO_DEADLINE);
    Cohortium__HeldCall call = COHORTIUM__HELD_CALL__INIT;
    Cohortium__PeerHolds last = COHORTIUM__PEER_HOLDS__INIT;
    struct bytes packed;

    call.node_id = net->self->node_id;
    last.asked = read_number(number);
    last.last = true;
    if (cx == NULL || pb_pack(cx, &call.base, &packed) != FAULT_NONE)
        return;
    for (size_t i = 0; i < m->n_members; i++) {
        struct held *h;

        if (member_same(m->members[i], net->self) || !site_is_linked(net, m->members[i]) ||
            (h = malloc(sizeof *h)) == NULL)
            continue;
        *h = (struct held){.net = net, .who = m->members[i], .asked = last.asked};
        last.linked++;
        site_call(net, m->members[i], SERVICE_HELD, packed, clock_mono_ms() + HELD_MS,
                  held_done, h);
    }
    tell_holds(net, &last, cx);
}

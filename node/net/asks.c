/*
 * asks.c - the questions that this node coordinates: room for them, who waits for which,
 * links before they begin, their end by cancel or with the node.
 *
 * A question outlives the link of who asked it: the same signed request, sent again by the
 * same researcher, waits for the answer of the one that runs.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/net/coordinate_private.h"
#include "protocol/base/clock.h"

enum {
    ASK_MEMORY = 1 << 30,
    ROUND_MEMORY = 1 << 30,
    PROGRESS_MS = 1000,
    ATTEMPT_MS = 15 * 60 * 1000, /* of a request that may wait for days */
    ENVELOPE_MEMORY = 4 * 1024 * 1024
};

/* Waits a little for links that come up (a node that has just started), not for long. */
static bool wait_for_links(struct ask *a)
{
    for (size_t i = 0; i < a->n; i++) {
        if (site_is_linked(a->net, a->parts[i].who))
            continue;
        if (clock_mono_ms() < a->linking_until)
            return true;
        const char *text = cx_printf(a->cx, "%s is down: no link with it at present",
                                     a->parts[i].who->name);
        ask_fail(a, FAULT_UNAVAILABLE, text != NULL ? text : a->parts[i].who->name, i);
        return false;
    }
    return false;
}

static void tick(void *user)
{
    struct ask *a = user;
    bool linking = a->phase == LINKING;

    a->timer = 0;
    if (a->failed)
        return;
    if (ask_is_given_up(a)) {
        ask_fail(a, FAULT_CANCELLED, ask_cancelled, a->n);
        ask_settle(a);
        return;
    }
    a->timer = hub_after(a->net->hub, linking ? NET_TICK_MS : PROGRESS_MS, tick, a);
    if (!linking) {
        ask_progress(a);
    } else if (!wait_for_links(a)) {
        if (a->failed)
            ask_settle(a);
        else
            ask_begin(a);
    }
}

static enum fault ask_open(struct ask *a, struct bytes request)
{
    struct bytes kept = bytes_of(cx_memdup(a->cx, request.p, request.n), request.n);
    int64_t now = clock_utc_ms();

    if (kept.p == NULL)
        return FAULT_MEMORY;
    TRY(request_verify(a->cx, a->net->manifest, kept, a->net->self->node_id.data, now,
                       &a->request));
    const Cohortium__Question *q = a->request.body->question;
    const Cohortium__Stamp *stamp = a->request.body->stamp;
    if (memcmp(a->request.who.subject, a->who, sizeof a->who) != 0)
        return cx_fail(a->cx, FAULT_DENIED,
                       "this request was signed by another researcher; sign your own");
    a->n = q->n_sites;
    a->home = a->n;
    CX_NEW(a->cx, a->parts, a->n);
    for (size_t i = 0; i < a->n; i++) {
        const Cohortium__Member *m = manifest_find(a->net->manifest, q->sites[i].data);

        a->parts[i] = (struct part){.ask = a, .i = i, .who = m};
        if (member_same(m, a->net->self))
            a->home = i;
    }
    if (a->home == a->n)
        return cx_fail(a->cx, FAULT_INVALID,
                       "your home node %s must be among the sites asked: it coordinates",
                       a->net->self->name);
    int64_t left = (int64_t)stamp->expires_at - now;
    bool waits =
        a->done != NULL || stamp->expires_at - stamp->issued_at > STAMP_LIFE_MAX_MS;
    a->deadline = clock_mono_ms() + (waits && left > ATTEMPT_MS ? ATTEMPT_MS : left);
    /* Who waits for days is tried again when a link comes up. */
    a->linking_until = clock_mono_ms() + (a->done != NULL ? 0 : NET_LINK_WAIT_MS);
    return FAULT_NONE;
}

/* One researcher leaves room for another, however long their questions take. */
static bool has_room_for(const struct net *net, const uint8_t who[32])
{
    size_t own = 0;

    for (const struct ask *a = net->asks; a != NULL; a = a->next)
        own += memcmp(a->who, who, sizeof a->who) == 0;
    return net->n_asks < NET_ASKS_MAX && own < NET_ASKS_OF_ONE_MAX;
}

struct ask *ask_find(struct net *net, const uint8_t who[32], const uint8_t digest[32])
{
    for (struct ask *a = net->asks; a != NULL; a = a->next)
        if (!a->failed && memcmp(a->who, who, sizeof a->who) == 0 &&
            memcmp(a->request.envelope.digest, digest, DIGEST_BYTES) == 0)
            return a;
    return NULL;
}

struct ask *ask_named(struct net *net, const uint8_t who[32], const char *id, size_t *ret_n)
{
    struct ask *found = NULL;
    char hex[2 * ID_BYTES + 1];

    *ret_n = 0;
    for (struct ask *a = net->asks; a != NULL; a = a->next) {
        if (a->failed || memcmp(a->who, who, sizeof a->who) != 0)
            continue;
        (void)sodium_bin2hex(hex, sizeof hex, a->request.body->stamp->request_id.data,
                             ID_BYTES);
        if (strncmp(hex, id, strlen(id)) != 0)
            continue;
        found = found == NULL ? a : found;
        ++*ret_n;
    }
    return found;
}

void ask_cancel(struct ask *a)
{
    a->waiting++; /* its aborts may end at once */
    ask_fail(a, FAULT_CANCELLED, ask_cancelled, a->n);
    a->waiting--;
    ask_settle(a);
}

/* A request that runs already is waited for by whoever sends it again (its program died);
 * who waited before does so no more. */
static bool attach(struct net *net, const uint8_t who[32], struct bytes request,
                   struct served *served)
{
    AUTO_CX struct cx *cx = cx_new(ENVELOPE_MEMORY, CX_NO_DEADLINE);
    struct envelope claimed;
    struct ask *a;

    if (served == NULL || cx == NULL ||
        envelope_open(cx, ENVELOPE_REQUEST, request, &claimed) != FAULT_NONE ||
        (a = ask_find(net, who, claimed.digest)) == NULL)
        return false;
    if (a->served != NULL)
        net_fail(a->served, FAULT_CONFLICT,
                 "this request was sent once more; its answer goes there", net->self);
    a->served = served;
    return true;
}

void coordinate_for(struct net *net, const uint8_t who[32], struct bytes request,
                    struct served *served, call_done *done, void *user)
{
    struct ask *a;

    if (attach(net, who, request, served))
        return;
    if (!has_room_for(net, who) || (a = calloc(1, sizeof *a)) == NULL) {
        struct ask nobody = {.served = served, .done = done, .done_user = user};

        ask_tell(&nobody, FAULT_UNAVAILABLE,
                 "this node coordinates as many questions as it can; ask again in a while",
                 net->self);
        return;
    }
    net->n_asks++;
    a->next = net->asks;
    net->asks = a;
    memcpy(a->who, who, sizeof a->who);
    a->net = net;
    a->served = served;
    a->done = done;
    a->done_user = user;
    a->cx = cx_new(ASK_MEMORY, CX_NO_DEADLINE);
    a->round[0] = cx_new(ROUND_MEMORY, CX_NO_DEADLINE);
    a->round[1] = cx_new(ROUND_MEMORY, CX_NO_DEADLINE);
    enum fault fault = a->cx == NULL || a->round[0] == NULL || a->round[1] == NULL
                           ? FAULT_MEMORY
                           : ask_open(a, request);
    if (fault != FAULT_NONE) {
        ask_tell(a, fault, a->cx != NULL ? cx_message(a->cx) : "out of memory", net->self);
        ask_free(a);
        return;
    }
    if (wait_for_links(a)) {
        a->timer = hub_after(net->hub, NET_TICK_MS, tick, a);
        return;
    }
    if (a->failed) {
        ask_settle(a);
        return;
    }
    a->timer = hub_after(net->hub, PROGRESS_MS, tick, a);
    ask_begin(a);
}

void coordinate(struct net *net, struct bytes request, struct served *served)
{
    coordinate_for(net, link_peer(served_link(served))->id, request, served, NULL, NULL);
}

void asks_end(struct net *net)
{
    struct ask *following;

    for (struct ask *a = net->asks; a != NULL; a = following) {
        following = a->next;
        a->waiting++; /* its aborts may end at once */
        ask_fail(a, FAULT_UNAVAILABLE, "this node is stopping; ask again in a while", a->n);
        a->waiting--;
        ask_settle(a);
    }
}

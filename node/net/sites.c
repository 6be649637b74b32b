/* sites.c - who is there and what they have. */
#include <stdlib.h>
#include <string.h>

#include "node/net/net.h"
#include "protocol/base/clock.h"

enum {
    CATALOG_MS = 2000, /* for members to answer, unless the caller says how long */
    CATALOG_MIN_MS = 50,
    CATALOG_MAX_MS = 25000,
    CATALOG_TELL_MS = 300, /* then the caller hears who is waited for */
    SITES_CALL_MAX = 64,
    CATALOG_MAX = 1024 * 1024, /* bytes of what one member has */
    CODEBOOK_CALL_MAX = 4096,
    LOOK_MEMORY = 64 * 1024 * 1024,
    NAMES_MAX = 20
};

struct look { /* one SITES call, while the members answer */
    struct net *net;
    struct cx *cx;
    struct served *served;
    Cohortium__SitesReply *reply;
    size_t waiting;
    int64_t wait_ms;
    uint64_t timer;
    struct one *all;
};

struct one {
    struct look *look;
    Cohortium__Site *site;
    int64_t asked; /* when, by our clock */
    bool waiting;
};

static void look_free(struct look *l)
{
    l->net->looks--;
    hub_cancel_timer(l->net->hub, l->timer);
    cx_free(&l->cx);
    free(l);
}

static void look_end(struct look *l)
{
    struct bytes packed;

    if (pb_pack(l->cx, &l->reply->base, &packed) == FAULT_NONE)
        served_reply(l->served, packed);
    else
        net_fail(l->served, FAULT_MEMORY, "out of memory", NULL);
    look_free(l);
}

static void catalog_done(void *user, enum fault fault, struct bytes body)
{
    struct one *one = user;
    struct look *l = one->look;
    Cohortium__CatalogReply *r;

    one->waiting = false;
    /* Parsed strings and lists are copies: nothing points into the body. */
    if (fault == FAULT_NONE &&
        pb_unpack(l->cx, &cohortium__catalog_reply__descriptor, body, CATALOG_MAX, &r) ==
            FAULT_NONE &&
        r->site != NULL) {
        one->site->datasets = r->site->datasets;
        one->site->n_datasets = r->site->n_datasets;
        one->site->ready = r->site->ready;
        one->site->why_not = r->site->why_not;
        one->site->software = r->site->software;
        one->site->clock = r->site->clock;
        one->site->clock_off = clock_off(r->site->clock, one->asked, clock_utc_ms());
    } else {
        one->site->state = (char *)"down";
        const char *late = cx_printf(l->cx, "linked, and no answer within %.1f s",
                                     (double)l->wait_ms / 1000);

        one->site->detail =
            (char *)(fault == FAULT_TIMEOUT && late != NULL ? late : "it did not answer");
    }
    if (--l->waiting == 0)
        look_end(l);
}

static Cohortium__Site *site_of(struct cx *cx, const Cohortium__Member *m)
{
    Cohortium__Site *s = cx_alloc(cx, sizeof *s);

    if (s == NULL)
        return NULL;
    *s = (Cohortium__Site)COHORTIUM__SITE__INIT;
    s->node_id = m->node_id;
    s->name = m->name;
    s->title = m->title;
    return s;
}

static const char *through(struct cx *cx, struct net *net, const Cohortium__Member *m)
{
    const Cohortium__Member *relay = site_relay(net, m);
    const char *text = relay != NULL ? cx_printf(cx, "through %s", relay->name) : "";

    return text != NULL ? text : "";
}

/* By name: a caller that links for the first time has no manifest yet. */
static void tell_waiting(void *user)
{
    struct look *l = user;
    const Cohortium__Manifest *m = l->net->manifest->body;
    AUTO_CX struct cx *cx = cx_new(256 * 1024, CX_NO_DEADLINE);
    Cohortium__Progress p = COHORTIUM__PROGRESS__INIT;
    struct bytes packed;

    l->timer = 0;
    if (cx == NULL)
        return;
    struct buffer b = buffer_new(cx, 16 * 1024);
    size_t n = 0;
    for (size_t i = 0; i < l->reply->n_sites && i < m->n_members; i++)
        if (l->all[i].waiting && n++ < NAMES_MAX)
            buffer_printf(&b, "%s%s", n > 1 ? ", " : "", l->all[i].site->name);
    if (n > NAMES_MAX)
        buffer_printf(&b, " and %zu more", n - NAMES_MAX);
    const char *names = buffer_string(&b);
    p.phase = names != NULL ? cx_printf(cx, "waiting for %s, %.1f s at most", names,
                                        (double)l->wait_ms / 1000)
                            : NULL;
    if (p.phase != NULL && pb_pack(cx, &p.base, &packed) == FAULT_NONE)
        served_progress(l->served, packed);
}

/* Own site's answer is there: ask the others. */
static void own_done(void *user, enum fault fault, struct bytes body)
{
    struct look *l = user;
    struct net *net = l->net;
    const Cohortium__Manifest *m = net->manifest->body;
    Cohortium__SitesReply *own;
    struct one *all = cx_array(l->cx, m->n_members, sizeof *all);
    struct bytes kept = bytes_of(cx_memdup(l->cx, body.p, body.n), body.n);

    if (fault != FAULT_NONE) {
        served_fail(l->served, fault, body);
        goto stop;
    }
    if (all == NULL || kept.p == NULL ||
        pb_unpack(l->cx, &cohortium__sites_reply__descriptor, kept, LINK_MESSAGE_MAX,
                  &own) != FAULT_NONE ||
        own->n_sites != 1) {
        net_fail(l->served, FAULT_INTERNAL, "the vault's answer was not understood", NULL);
        goto stop;
    }
    l->reply = own;
    Cohortium__Site **list = cx_array(l->cx, m->n_members, sizeof *list);
    if (list == NULL) {
        net_fail(l->served, FAULT_MEMORY, "out of memory", NULL);
        goto stop;
    }
    list[0] = own->sites[0];
    own->sites = list;
    l->waiting = 1; /* ourselves, until all calls are out */
    for (size_t i = 0; i < m->n_members; i++) {
        if (member_same(m->members[i], net->self))
            continue;
        Cohortium__Site *s = site_of(l->cx, m->members[i]);
        if (s == NULL)
            break;
        list[own->n_sites++] = s;
        bool linked = site_is_linked(net, m->members[i]);
        s->state = (char *)(linked ? "linked" : "down");
        s->detail =
            (char *)(linked ? through(l->cx, net, m->members[i]) : "no link at present");
        if (!linked)
            continue;
        all[own->n_sites - 1] = (struct one){l, s, clock_utc_ms(), true};
        l->waiting++;
        site_call(net, m->members[i], SERVICE_CATALOG, (struct bytes){0},
                  clock_mono_ms() + l->wait_ms, catalog_done, &all[own->n_sites - 1]);
    }
    l->all = all;
    if (l->waiting > 1)
        l->timer = hub_after(net->hub, CATALOG_TELL_MS, tell_waiting, l);
    if (--l->waiting == 0)
        look_end(l);
    return;
stop:
    look_free(l);
}

/* How long the caller would wait; 0: it did not say. */
static bool read_wait(struct bytes body, int64_t *ret)
{
    AUTO_CX struct cx *cx = cx_new(64 * 1024, CX_NO_DEADLINE);
    Cohortium__SitesCall *call;

    if (cx == NULL || pb_unpack(cx, &cohortium__sites_call__descriptor, body,
                                SITES_CALL_MAX, &call) != FAULT_NONE)
        return false;
    *ret = call->wait_ms == 0               ? CATALOG_MS
           : call->wait_ms < CATALOG_MIN_MS ? CATALOG_MIN_MS
           : call->wait_ms > CATALOG_MAX_MS ? CATALOG_MAX_MS
                                            : call->wait_ms;
    return true;
}

void sites_serve(struct net *net, const struct link *link, struct bytes call,
                 struct served *served)
{
    struct ipc_caller from = caller_of(link);
    int64_t wait;
    struct look *l;

    if (net->looks >= NET_LOOKS_MAX) {
        net_fail(served, FAULT_UNAVAILABLE, "this node is busy; ask again in a while",
                 net->self);
        return;
    }
    if (!read_wait(call, &wait)) {
        net_fail(served, FAULT_FORMAT, "a call for the sites that is not understood",
                 net->self);
        return;
    }
    l = calloc(1, sizeof *l);
    if (l == NULL || (l->cx = cx_new(LOOK_MEMORY, CX_NO_DEADLINE)) == NULL) {
        free(l);
        net_fail(served, FAULT_MEMORY, "out of memory", NULL);
        return;
    }
    net->looks++;
    l->net = net;
    l->served = served;
    l->wait_ms = wait;
    vault_call(net, &from, IPC_CALL, SERVICE_SITES, link_peer(link)->hello, CX_NO_DEADLINE,
               own_done, l);
}

/* ---- codebooks ---- */

struct seek {
    struct net *net;
    struct served *served;
    uint8_t *call;
    size_t n, next; /* members asked so far */
    enum fault first;
    uint8_t *trouble;
    size_t n_trouble;
};

static void seek_next(struct seek *s);

static void seek_end(struct seek *s)
{
    free(s->call);
    free(s->trouble);
    free(s);
}

static void seek_done(void *user, enum fault fault, struct bytes body)
{
    struct seek *s = user;

    if (fault == FAULT_NONE) {
        served_reply(s->served, body);
        seek_end(s);
        return;
    }
    if (s->first == FAULT_NONE) { /* our own vault's words are the ones to tell */
        s->first = fault;
        s->trouble = malloc(body.n ? body.n : 1);
        if (s->trouble != NULL && body.n > 0) {
            memcpy(s->trouble, body.p, body.n);
            s->n_trouble = body.n;
        }
    }
    seek_next(s);
}

static void seek_next(struct seek *s)
{
    const Cohortium__Manifest *m = s->net->manifest->body;

    while (s->next < m->n_members) {
        const Cohortium__Member *member = m->members[s->next++];

        if (member_same(member, s->net->self) || !site_is_linked(s->net, member))
            continue;
        site_call(s->net, member, SERVICE_CODEBOOK, bytes_of(s->call, s->n),
                  clock_mono_ms() + CATALOG_MS, seek_done, s);
        return;
    }
    served_fail(s->served, s->first, bytes_of(s->trouble, s->n_trouble));
    seek_end(s);
}

void codebook_serve(struct net *net, struct bytes call, struct served *served)
{
    struct seek *s;

    if (call.n > CODEBOOK_CALL_MAX) {
        net_fail(served, FAULT_BOUND, "a call for a codebook is longer than allowed",
                 net->self);
        return;
    }
    s = calloc(1, sizeof *s);
    if (s == NULL || (s->call = malloc(call.n ? call.n : 1)) == NULL) {
        free(s);
        net_fail(served, FAULT_MEMORY, "out of memory", NULL);
        return;
    }
    memcpy(s->call, call.p, call.n);
    s->n = call.n;
    s->net = net;
    s->served = served;
    site_call(net, net->self, SERVICE_CODEBOOK, call, CX_NO_DEADLINE, seek_done, s);
}

/* ---- for status ---- */

void sites_report(struct net *net)
{
    AUTO_CX struct cx *cx = cx_new(8 * 1024 * 1024, CX_NO_DEADLINE);
    const Cohortium__Manifest *m = net->manifest->body;
    Cohortium__SitesReply r = COHORTIUM__SITES_REPLY__INIT;
    struct bytes packed;

    if (cx == NULL || (r.sites = cx_array(cx, m->n_members, sizeof *r.sites)) == NULL)
        return;
    for (size_t i = 0; i < m->n_members; i++) {
        Cohortium__Site *s = site_of(cx, m->members[i]);

        if (s == NULL)
            return;
        bool linked = site_is_linked(net, m->members[i]);
        s->state = (char *)(member_same(m->members[i], net->self) ? "this"
                            : linked                              ? "linked"
                                                                  : "down");
        if (linked)
            s->detail = (char *)through(cx, net, m->members[i]);
        else if (m->members[i]->n_endpoints > 0 && !m->members[i]->outbound_only)
            s->detail = m->members[i]->endpoints[0];
        else
            s->detail = (char *)"it dials us, or a member that relays; it has not yet";
        if (neighbour_tell(net, cx, s) != FAULT_NONE)
            return;
        r.sites[r.n_sites++] = s;
    }
    struct hub_counters c = hub_counters(net->hub);
    r.relayed_bytes = c.relayed_bytes;
    r.relayed_streams = c.carried;
    if (pb_pack(cx, &r.base, &packed) != FAULT_NONE ||
        vault_tell(cx, net,
                   &(struct ipc_message){
                       .kind = IPC_LINKS, .from = net_self, .body = packed}) != FAULT_NONE)
        return; /* the vault is gone, and the loop notices; or the next report tells */
}

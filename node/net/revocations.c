/*
 * revocations.c - papers that take permits and credentials back, told to every member.
 *
 * What our vault has found well signed it gives us, one by one and all at start; we say it
 * to each linked member, whose vault judges for itself and, what was new to it, tells on. A
 * member that knows a paper passes it over. Nothing that comes from a link is kept here.
 */
#include <stdlib.h>
#include <string.h>

#include "node/log.h"
#include "node/net/net.h"
#include "protocol/base/clock.h"

enum {
    KEPT_MAX = 16 * 1024,   /* papers; the vault bounds them by member and by time */
    CALL_BYTES = 60 * 1024, /* of papers in one call */
    CALL_MAX = 128 * 1024,
    CALL_MEMORY = 1024 * 1024,
    ANSWER_MS = 30 * 1000,
    AGAIN_MS = 20 * 1000
};

struct paper {
    struct paper *next;
    size_t n;
    uint8_t bytes[];
};

struct revocations {
    struct net *net;
    struct paper *first, **last;
    size_t n;
    uint64_t again; /* timer */
};

static struct revocations *revocations_of(struct net *net)
{
    struct revocations *r = net->revocations;

    if (r == NULL && (r = calloc(1, sizeof *r)) != NULL) {
        r->net = net;
        r->last = &r->first;
        net->revocations = r;
    }
    return r;
}

/* ---- telling ---- */

static void tell_one(void *user, struct link *link);

static void tell_again(void *user)
{
    struct revocations *r = user;

    r->again = 0;
    hub_each(r->net->hub, tell_one, r->net);
}

static void plan_again(struct revocations *r)
{
    if (r->again == 0 && !r->net->closing)
        r->again = hub_after(r->net->hub, AGAIN_MS, tell_again, r);
}

/* A member that is down or busy hears it later; one that does not take it has said why. */
static void told(void *user, enum fault fault, struct bytes body)
{
    struct revocations *r = user;
    AUTO_CX struct cx *cx = cx_new(256 * 1024, CX_NO_DEADLINE);
    Cohortium__Trouble *t;

    if (fault == FAULT_NONE)
        return;
    if (fault == FAULT_UNAVAILABLE || fault == FAULT_TIMEOUT || fault == FAULT_MEMORY) {
        plan_again(r);
        return;
    }
    log_notice("a member did not take a revocation: %s",
               cx != NULL && pb_unpack(cx, &cohortium__trouble__descriptor, body, 64 * 1024,
                                       &t) == FAULT_NONE
                   ? t->text
                   : fault_name(fault));
}

/* Papers from *at on, as many as one call takes; *at is moved on. */
static enum fault say_some(struct cx *cx, struct revocations *r, struct link *link,
                           const struct paper **at)
{
    Cohortium__RevocationsCall call = COHORTIUM__REVOCATIONS_CALL__INIT;
    struct bytes packed;
    size_t n = 0, bytes = 0;

    for (const struct paper *p = *at; p != NULL && (n == 0 || bytes + p->n <= CALL_BYTES);
         p = p->next) {
        n++;
        bytes += p->n;
    }
    CX_NEW(cx, call.revocations, n);
    for (; call.n_revocations < n; *at = (*at)->next)
        call.revocations[call.n_revocations++] = PB_DATA(bytes_of((*at)->bytes, (*at)->n));
    TRY(pb_pack(cx, &call.base, &packed));
    return link_call(cx, link, SERVICE_REVOCATIONS, packed, clock_mono_ms() + ANSWER_MS,
                     told, NULL, r, NULL);
}

static void tell_from(struct revocations *r, struct link *link, const struct paper *at)
{
    while (at != NULL) {
        AUTO_CX struct cx *cx = cx_new(CALL_MEMORY, CX_NO_DEADLINE);

        if (cx == NULL || say_some(cx, r, link, &at) != FAULT_NONE) {
            plan_again(r);
            return;
        }
    }
}

static void tell_one(void *user, struct link *link)
{
    struct net *net = user;

    if (!link_peer(link)->researcher && net->revocations != NULL)
        tell_from(net->revocations, link, net->revocations->first);
}

void revocations_link_up(struct net *net, struct link *link)
{
    tell_one(net, link);
}

/* ---- from the vault ---- */

struct news {
    struct revocations *r;
    const struct paper *from;
};

static void tell_news(void *user, struct link *link)
{
    const struct news *n = user;

    if (!link_peer(link)->researcher)
        tell_from(n->r, link, n->from);
}

static struct paper *keep(struct revocations *r, struct bytes packed)
{
    struct paper *p = NULL;

    for (p = r->first; p != NULL; p = p->next)
        if (bytes_equal(bytes_of(p->bytes, p->n), packed))
            return NULL;
    if (r->n >= KEPT_MAX || packed.n > CALL_BYTES ||
        (p = malloc(sizeof *p + packed.n)) == NULL) {
        log_warning("a revocation is not told to the members: %s",
                    p == NULL && r->n < KEPT_MAX ? "out of memory" : "there are too many");
        return NULL;
    }
    *p = (struct paper){.n = packed.n};
    memcpy(p->bytes, packed.p, packed.n);
    *r->last = p;
    r->last = &p->next;
    r->n++;
    return p;
}

void revocations_take(struct net *net, struct bytes body)
{
    AUTO_CX struct cx *cx = cx_new(CALL_MEMORY, CX_NO_DEADLINE);
    struct revocations *r = revocations_of(net);
    Cohortium__RevocationsCall *call;
    struct news news = {.r = r};

    if (cx == NULL || r == NULL ||
        pb_unpack(cx, &cohortium__revocations_call__descriptor, body, CALL_MAX, &call) !=
            FAULT_NONE) {
        log_warning("a revocation is not told to the members: out of memory");
        return;
    }
    for (size_t i = 0; i < call->n_revocations; i++) {
        const struct paper *p = keep(r, PB_BYTES(call->revocations[i]));

        news.from = news.from != NULL ? news.from : p;
    }
    if (news.from != NULL)
        hub_each(net->hub, tell_news, &news);
}

void revocations_free(struct net *net)
{
    struct revocations *r = net->revocations;

    while (r != NULL && r->first != NULL) {
        struct paper *p = r->first;

        r->first = p->next;
        free(p);
    }
    free(r);
    net->revocations = NULL;
}

/*
 * relay_share.c - how much this node carries for others: by pair of nodes, and in all.
 *
 * What may come is granted by the far end and passed on here (link_tunnel.c). While a pair,
 * or all of them together, are beyond their rate, grants wait here instead of bytes: a
 * flood costs its sender time and this node no memory. Bytes that wait to leave are
 * bounded, too; a stream that would go beyond is ended.
 */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/link_private.h"

enum {
    FRAME_COST = 256, /* a frame costs so many bytes more: small ones are work, too */
    PAIRS_MAX = 4096,
    DUE_LEAST_MS = 5
};

static uint64_t or_else(uint64_t given, uint64_t usual)
{
    return given > 0 ? given : usual;
}

static double pair_rate(const struct hub *hub)
{
    return (double)or_else(hub->setup.share.pair_rate, LINK_RELAY_PAIR_RATE);
}

static double relay_rate(const struct hub *hub)
{
    return (double)or_else(hub->setup.share.rate, LINK_RELAY_RATE);
}

/* A second's worth may come at once; what came beyond it is a debt. */
static void refill(struct share *s, double rate, int64_t now)
{
    if (s->at == 0)
        s->tokens = rate;
    s->tokens += s->at > 0 ? (double)(now - s->at) * rate / 1000 : 0;
    s->tokens = s->tokens > rate ? rate : s->tokens;
    s->at = now;
}

/* ---- Pairs ---- */

static void name_pair(uint8_t ids[64], const uint8_t a[32], const uint8_t b[32])
{
    bool swap = memcmp(a, b, 32) > 0;

    memcpy(ids, swap ? b : a, 32);
    memcpy(ids + 32, swap ? a : b, 32);
}

/* One whose streams have ended stays until its debt is paid: ending them forgives nothing.
 */
void relay_pairs_tick(struct hub *hub, int64_t now)
{
    for (struct relay_pair **at = &hub->pairs; *at != NULL;) {
        struct relay_pair *p = *at;

        refill(&p->share, pair_rate(hub), now);
        if (p->ends > 0 || p->share.tokens < pair_rate(hub)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        hub->n_pairs--;
        free(p);
    }
}

void relay_pairs_free(struct hub *hub)
{
    for (struct relay_pair *p = hub->pairs, *next; p != NULL; p = next) {
        next = p->next;
        free(p);
    }
    hub->pairs = NULL;
}

struct relay_pair *relay_pair_begin(struct hub *hub, const uint8_t a[32],
                                    const uint8_t b[32])
{
    uint8_t ids[64];
    struct relay_pair *p = hub->pairs;

    name_pair(ids, a, b);
    while (p != NULL && memcmp(p->ids, ids, sizeof ids) != 0)
        p = p->next;
    if (p == NULL) {
        if (hub->n_pairs >= PAIRS_MAX || (p = calloc(1, sizeof *p)) == NULL)
            return NULL;
        memcpy(p->ids, ids, sizeof ids);
        p->next = hub->pairs;
        hub->pairs = p;
        hub->n_pairs++;
    }
    refill(&p->share, pair_rate(hub), clock_mono_ms());
    return p->ends / 2 < TUNNELS_OF_PAIR_MAX && p->share.tokens > -pair_rate(hub) ? p
                                                                                  : NULL;
}

/* ---- Bytes ---- */

bool relay_take(struct tunnel *t, size_t n)
{
    struct hub *hub = t->over->hub;
    struct relay_pair *p = t->pair;
    int64_t now = clock_mono_ms();

    if (hub->tunnel_bytes + n > or_else(hub->setup.share.held, LINK_RELAY_HELD) ||
        p->held + n > or_else(hub->setup.share.pair_held, LINK_RELAY_PAIR_HELD))
        return false;
    refill(&p->share, pair_rate(hub), now);
    refill(&hub->share, relay_rate(hub), now);
    p->share.tokens -= (double)(n + FRAME_COST);
    hub->share.tokens -= (double)(n + FRAME_COST);
    hub->tunnel_bytes += n;
    p->held += n;
    hub->counters.relayed_bytes += n;
    return true;
}

void relay_gave(struct tunnel *t, size_t n)
{
    if (t->pair == NULL)
        return;
    t->over->hub->tunnel_bytes -= n;
    t->pair->held -= n;
}

/* ---- Grants ---- */

static void pass_grant(struct tunnel *t)
{
    t->expect += t->grant_held;
    t->grant_due += t->grant_held;
    t->grant_held = 0;
}

static int64_t due_in(const struct share *s, double rate)
{
    return s->tokens > 0 ? 0 : (int64_t)(-s->tokens * 1000 / rate) + DUE_LEAST_MS;
}

/* promised: was passed on in this turn, and has not come yet. */
static bool may_pass(struct hub *hub, const struct relay_pair *p, double promised,
                     int64_t now)
{
    int64_t pair = due_in(&p->share, pair_rate(hub));
    int64_t all = due_in(&hub->share, relay_rate(hub));
    int64_t due = pair > all ? pair : all;

    if (due == 0 && p->promised < p->share.tokens && promised < hub->share.tokens)
        return true;
    due = now + (due > 0 ? due : DUE_LEAST_MS);
    if (hub->grants_due == 0 || due < hub->grants_due)
        hub->grants_due = due;
    return false;
}

void relay_grant(struct tunnel *t, uint32_t more)
{
    struct hub *hub = t->over->hub;
    int64_t now = clock_mono_ms();

    refill(&t->pair->share, pair_rate(hub), now);
    refill(&hub->share, relay_rate(hub), now);
    t->grant_held += more;
    if (may_pass(hub, t->pair, 0, now))
        pass_grant(t);
}

/* In turn: who was passed over this time is among the first the next time. */
void relay_grants_tick(struct hub *hub, int64_t now)
{
    size_t start = hub->grant_turn, waiting = 0, passed = 0;
    double promised = 0;

    if (hub->grants_due == 0 || now < hub->grants_due)
        return;
    hub->grants_due = 0;
    refill(&hub->share, relay_rate(hub), now);
    for (struct relay_pair *p = hub->pairs; p != NULL; p = p->next) {
        refill(&p->share, pair_rate(hub), now);
        p->promised = 0;
    }
    for (int round = 0; round < 2; round++) {
        size_t i = 0;

        for (struct link *l = hub->links; l != NULL; l = l->next)
            for (struct tunnel *t = l->tunnels; t != NULL; t = t->next) {
                if (t->grant_held == 0)
                    continue;
                if ((round == 0) != (i++ >= start))
                    continue;
                waiting++;
                if (!may_pass(hub, t->pair, promised, now))
                    continue;
                promised += t->grant_held;
                t->pair->promised += t->grant_held;
                pass_grant(t);
                passed++;
            }
    }
    for (struct relay_pair *p = hub->pairs; p != NULL; p = p->next)
        p->promised = 0;
    hub->grant_turn = waiting > passed ? (hub->grant_turn + 1) % (waiting - passed) : 0;
}

/*
 * What a relay carries is bounded, by pair of nodes and in all: a flood costs its sender
 * time, and neither the relay's memory nor its own calls, nor another pair.
 */
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/check.h"
#include "tests/protocol/link_peers.h"

#include "protocol/link_private.h"

enum { MB = 1024 * 1024, BIG = 8 * MB, FLOOD_MS = 2000, CALLS = 6 };

static struct peer *relay_new(uint8_t first, struct relay_limits share)
{
    struct peer *r = peer_new(first, 0, 0);

    r->hub->setup.share = share;
    peer_listen(r, 0);
    peer_start(r);
    return r;
}

/* Both without a port, linked through the relay; each loop on a thread of its own. */
struct pair {
    struct peer *a, *b;
};

static struct pair pair_new(struct peer *relay, uint8_t first)
{
    struct pair p = {peer_new(first, 0, 0), peer_new((uint8_t)(first + 1), 0, 0)};
    int64_t end = clock_mono_ms() + 8000;
    struct link *l;

    peer_dial(p.a, relay, hub_port(relay->hub), true);
    peer_dial(p.b, relay, hub_port(relay->hub), true);
    peer_reach(p.a, p.b);
    peer_reach(p.b, p.a);
    peer_start(p.b);
    while ((l = hub_find(p.a->hub, p.b->id)) == NULL && clock_mono_ms() < end)
        peer_run(p.a, 10);
    assert_true(l != NULL && link_relay(l) != NULL);
    p.a->link = l;
    return p;
}

static void pair_free(struct pair *p)
{
    peer_free(p->a);
    peer_free(p->b);
}

/* As much as it can, both ways: calls of many megabytes that b echoes. */
static void flood(struct pair *p, const uint8_t *big, struct result r[CALLS])
{
    for (int i = 0; i < CALLS; i++)
        (void)peer_begin(p->a, ASK_ECHO, bytes_of(big, BIG), 120000, &r[i]);
    peer_start(p->a);
}

static uint64_t carried(struct peer *r)
{
    peer_stop(r);
    uint64_t n = hub_counters(r->hub).relayed_bytes;
    peer_start(r);
    return n;
}

/* Bytes that a relay carries in FLOOD_MS of a flood, and the longest that its own calls
 * took meanwhile; its memory is looked at all the time. */
static uint64_t flooded(struct relay_limits share, size_t held_max, int64_t *ret_slowest)
{
    struct peer *r = relay_new(5, share), *own = peer_new(9, 0, 0);
    struct pair p = pair_new(r, 1);
    uint8_t *big = calloc(1, BIG);
    struct result calls[CALLS];
    int64_t end;

    assert_non_null(big);
    peer_dial(own, r, hub_port(r->hub), true);
    assert_true(peer_until(own, &own->ups, 1, 5000));
    uint64_t before = carried(r);
    flood(&p, big, calls);
    end = clock_mono_ms() + FLOOD_MS;
    *ret_slowest = 0;
    while (clock_mono_ms() < end) {
        int64_t start = clock_mono_ms();
        struct result s = peer_call(own, ASK_ECHO, bytes_of("own", 3), 5000);
        int64_t took = clock_mono_ms() - start;

        CHECK_("the relay answers for itself", s.fault == FAULT_NONE && s.equal);
        *ret_slowest = took > *ret_slowest ? took : *ret_slowest;
        peer_stop(r);
        CHECK_("and holds no more than it may", r->hub->tunnel_bytes <= held_max);
        peer_start(r);
        peer_run(own, 20);
    }
    uint64_t n = carried(r) - before;
    pair_free(&p);
    peer_run(own, 200);
    peer_stop(r);
    CHECK_EQ_("nothing is held afterwards", r->hub->tunnel_bytes, 0);
    peer_free(own);
    peer_free(r);
    free(big);
    return n;
}

static void test_relay__a_pair_has_a_rate(void **state)
{
    enum { RATE = 512 * 1024, WINDOWS = 2 * TUNNEL_WINDOW };
    int64_t slowest, start = clock_mono_ms();
    uint64_t n = flooded((struct relay_limits){.pair_rate = RATE}, WINDOWS, &slowest);
    uint64_t seconds = (uint64_t)(clock_mono_ms() - start) / 1000 + 1;

    (void)state;
    CHECK_("it carries", n > RATE / 2);
    CHECK_("as fast as it may, after a second's worth", n < (seconds + 2) * RATE + WINDOWS);
    CHECK_("own calls do not wait for it", slowest < 2000);
    /* The neighbour: with the usual rate the same flood is far above that. */
    uint64_t usual = flooded((struct relay_limits){0}, WINDOWS, &slowest);
    CHECK_("else it would carry more", usual > 2 * n);
}

/* All pairs together; and each gets its share of it. */
static void test_relay__all_together_have_a_rate(void **state)
{
    enum { RATE = 512 * 1024, PAIRS = 3 };
    struct peer *r = relay_new(200, (struct relay_limits){.rate = RATE});
    struct pair p[PAIRS];
    struct result calls[PAIRS][CALLS];
    uint8_t *big = calloc(1, BIG);

    (void)state;
    assert_non_null(big);
    for (uint8_t i = 0; i < PAIRS; i++)
        p[i] = pair_new(r, (uint8_t)(2 * i + 1));
    int64_t start = clock_mono_ms();
    uint64_t before = carried(r);
    for (int i = 0; i < PAIRS; i++)
        flood(&p[i], big, calls[i]);
    while (clock_mono_ms() - start < 2 * FLOOD_MS)
        (void)usleep(50000);
    uint64_t n = carried(r) - before;
    uint64_t seconds = (uint64_t)(clock_mono_ms() - start) / 1000 + 1;
    CHECK_("as fast as it may", n < (seconds + 2) * RATE + PAIRS * 2 * TUNNEL_WINDOW);
    for (int i = 0; i < PAIRS; i++) {
        peer_stop(p[i].a);
        CHECK_("everybody got on", p[i].a->link->bytes > TUNNEL_WINDOW);
        peer_start(p[i].a);
    }
    for (int i = 0; i < PAIRS; i++)
        pair_free(&p[i]);
    peer_free(r);
    free(big);
}

/* One pair is at its limit: another's calls go through as if it were not there. */
static void test_relay__one_pair_leaves_room_for_another(void **state)
{
    enum { RATE = 256 * 1024 };
    struct peer *r = relay_new(200, (struct relay_limits){.pair_rate = RATE});
    struct pair loud = pair_new(r, 1), quiet = pair_new(r, 3);
    struct result calls[CALLS];
    uint8_t *big = calloc(1, BIG);

    (void)state;
    assert_non_null(big);
    flood(&loud, big, calls);
    (void)usleep(1500000); /* into its debt */
    for (int i = 0; i < 20; i++) {
        struct result s = peer_call(quiet.a, ASK_ECHO, bytes_of("quiet", 5), 3000);

        CHECK_("answered", s.fault == FAULT_NONE && s.equal);
    }
    peer_stop(loud.a);
    for (int i = 0; i < CALLS; i++)
        CHECK_EQ_("the flood is on its way still", calls[i].done, 0);
    pair_free(&loud);
    pair_free(&quiet);
    peer_free(r);
    free(big);
}

/* Ending streams and beginning others forgives no debt, and more than a few at once are
 * refused. The hub is not run: its tables are asked. */
static void test_relay__begins_no_more_than_it_may(void **state)
{
    enum { RATE = 1000 * 1000 };
    struct peer *r = peer_new(5, 0, 0);
    uint8_t a[32] = {1}, b[32] = {2}, c[32] = {3};

    (void)state;
    r->hub->setup.share.pair_rate = RATE;
    struct relay_pair *p = relay_pair_begin(r->hub, a, b);
    assert_non_null(p);
    assert_ptr_equal(relay_pair_begin(r->hub, b, a), p); /* whoever begins */
    p->ends = 2 * TUNNELS_OF_PAIR_MAX - 2;
    assert_ptr_equal(relay_pair_begin(r->hub, a, b), p);
    p->ends += 2;
    assert_null(relay_pair_begin(r->hub, a, b));
    assert_non_null(relay_pair_begin(r->hub, a, c));
    p->ends = 0;
    p->share.tokens = -2.0 * RATE;
    assert_null(relay_pair_begin(r->hub, a, b));
    int64_t now = p->share.at;
    relay_pairs_tick(r->hub, now + 2500); /* pays, and is kept */
    CHECK_EQ_("the other is forgotten", r->hub->n_pairs, 1);
    p->share.at = now; /* as the clock has it */
    p->share.tokens = -0.5 * RATE;
    assert_ptr_equal(relay_pair_begin(r->hub, a, b), p);
    relay_pairs_tick(r->hub, now + 60000);
    CHECK_EQ_("paid: forgotten", r->hub->n_pairs, 0);
    peer_free(r);
}

/* Bytes that wait for a far node that does not read: the stream ends at the bound. */
static void test_relay__holds_no_more_than_it_may(void **state)
{
    struct peer *r = peer_new(5, 0, 0);
    struct link over = {.hub = r->hub};
    struct relay_pair p[2] = {{.ends = 2}, {.ends = 2}};
    struct tunnel t[2] = {{.over = &over, .pair = &p[0]}, {.over = &over, .pair = &p[1]}};

    (void)state;
    r->hub->setup.share = (struct relay_limits){.pair_held = 1000, .held = 1500};
    CHECK_("some", relay_take(&t[0], 600));
    CHECK_("more than a pair's", !relay_take(&t[0], 401));
    CHECK_("all of a pair's", relay_take(&t[0], 400));
    CHECK_("more than all may", !relay_take(&t[1], 501));
    CHECK_("all", relay_take(&t[1], 500));
    relay_gave(&t[0], 1000);
    CHECK_("it has left", relay_take(&t[1], 500));
    CHECK_EQ_("counted", hub_counters(r->hub).relayed_bytes, 2000);
    relay_gave(&t[1], 1000);
    CHECK_EQ_("nothing", r->hub->tunnel_bytes, 0);
    CHECK_("small frames cost more than their bytes",
           p[0].share.tokens <= (double)LINK_RELAY_PAIR_RATE - 1000 - 2 * 256);
    peer_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relay__a_pair_has_a_rate),
        cmocka_unit_test(test_relay__all_together_have_a_rate),
        cmocka_unit_test(test_relay__one_pair_leaves_room_for_another),
        cmocka_unit_test(test_relay__begins_no_more_than_it_may),
        cmocka_unit_test(test_relay__holds_no_more_than_it_may),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

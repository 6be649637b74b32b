/* A link's beginning and its new keys: what comes first, and what takes its place. */
#include <sodium.h>

#include "protocol/base/clock.h"
#include "protocol/link_private.h"
#include "tests/check.h"
#include "tests/protocol/link_peers.h"

enum { LONG = 20000 };

struct pair {
    struct peer *a, *b; /* a dials, on the test's thread; b listens, on its own */
};

/* rekey_ms, rekey_bytes: when a thinks it time for new keys. */
static struct pair pair_new(int64_t rekey_ms, uint64_t rekey_bytes, bool keep)
{
    struct pair p = {peer_new(1, 0, 0), peer_new(2, 0, 0)};

    p.a->hub->setup.rekey_ms = rekey_ms;
    p.a->hub->setup.rekey_bytes = rekey_bytes;
    peer_listen(p.b, 0);
    peer_start(p.b);
    peer_dial(p.a, p.b, hub_port(p.b->hub), keep);
    assert_true(peer_until(p.a, &p.a->ups, 1, 5000));
    return p;
}

static void pair_free(struct pair p)
{
    peer_free(p.a);
    peer_free(p.b);
}

/* Make before break: the new link is up before the old one goes, and a call that runs on
 * the old one is not lost. */
static void test_keys__time_brings_new_ones(void **state)
{
    struct pair p = pair_new(400, 0, true);
    struct link *old = p.a->link;
    struct result waits, r;
    struct call *call = peer_begin(p.a, ASK_NOTHING, bytes_of("x", 1), LONG, &waits);

    (void)state;
    assert_true(peer_until(p.a, &p.a->ups, 2, 3000));
    CHECK_EQ_("nothing was cut", p.a->downs, 0);
    CHECK_("another link stays", p.a->link != NULL && p.a->link != old);
    r = peer_call(p.a, ASK_ECHO, bytes_of("new keys", 8), LONG);
    CHECK_EQ_("a call on it", r.fault, FAULT_NONE);
    p.a->hub->setup.rekey_ms = 0; /* as usual: no third link within this test */
    CHECK_EQ_("the old call runs on", waits.done, 0);
    call_cancel(call);
    assert_true(peer_until(p.a, &p.a->downs, 1, 3000));
    CHECK_EQ_("one link is left", hub_counters(p.a->hub).links, 1);
    CHECK_EQ_("no attempt failed", p.a->failures, 0);
    peer_stop(p.b);
    CHECK_EQ_("there too", hub_counters(p.b->hub).links, 1);
    pair_free(p);
}

static void test_keys__so_do_bytes(void **state)
{
    static uint8_t body[1 << 20];
    struct pair p = pair_new(0, 1 << 20, true);
    struct result r;

    (void)state;
    r = peer_call(p.a, ASK_ECHO, bytes_of(body, 1000), LONG);
    CHECK_EQ_("few bytes", r.fault, FAULT_NONE);
    peer_run(p.a, 600);
    CHECK_EQ_("change nothing", p.a->ups, 1);
    r = peer_call(p.a, ASK_ECHO, bytes_of(body, sizeof body), LONG);
    CHECK_EQ_("many", r.fault, FAULT_NONE);
    assert_true(peer_until(p.a, &p.a->ups, 2, 3000));
    assert_true(peer_until(p.a, &p.a->downs, 1, 8000));
    CHECK_EQ_("one link is left", hub_counters(p.a->hub).links, 1);
    pair_free(p);
}

/* Who asked for one link gets one: a researcher's, for a few questions. */
static void test_keys__not_of_a_link_dialled_once(void **state)
{
    struct pair p = pair_new(100, 0, false);

    (void)state;
    peer_run(p.a, 800);
    CHECK_EQ_("ups", p.a->ups, 1);
    CHECK_EQ_("downs", p.a->downs, 0);
    pair_free(p);
}

/* The acceptor may have much to say as soon as it is up; the dialler has little room until
 * it has read the WELCOME. */
static void test_keys__welcome_comes_alone(void **state)
{
    static uint8_t body[200 * 1000];
    struct peer *a = peer_new(1, 0, 0), *b = peer_new(2, 0, 0);

    (void)state;
    randombytes_buf(body, sizeof body);
    b->at_up = bytes_of(body, sizeof body);
    peer_listen(b, 0);
    peer_start(b);
    peer_dial(a, b, hub_port(b->hub), true);
    assert_true(peer_until(a, &a->served, 1, 5000));
    peer_run(a, 200);
    CHECK_EQ_("the first link", a->ups, 1);
    CHECK_EQ_("stays", a->downs, 0);
    peer_stop(b);
    CHECK_EQ_("the call", b->up.fault, FAULT_NONE);
    CHECK_("came back whole", b->up.done == 1 && b->up.equal);
    peer_free(a);
    peer_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys__time_brings_new_ones),
        cmocka_unit_test(test_keys__so_do_bytes),
        cmocka_unit_test(test_keys__not_of_a_link_dialled_once),
        cmocka_unit_test(test_keys__welcome_comes_alone),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

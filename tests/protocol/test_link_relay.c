/*
 * Links through a relay: two nodes without a port talk by a third, which reads nothing;
 * when it dies, by a fourth; and directly as soon as they can.
 */
#include <poll.h>
#include <sodium.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/check.h"
#include "tests/protocol/link_foe.h"

enum { BIG = 5 * 1024 * 1024 };

static struct link *link_with(struct peer *a, const struct peer *b)
{
    return hub_find(a->hub, b->id);
}

/* Runs a's loop until it is linked with b, directly or not. */
static bool until_linked(struct peer *a, const struct peer *b, bool relayed, int64_t ms)
{
    int64_t end = clock_mono_ms() + ms;

    for (;;) {
        struct link *l = link_with(a, b);

        if (l != NULL && (link_relay(l) != NULL) == relayed)
            return true;
        if (clock_mono_ms() >= end)
            return false;
        peer_run(a, 10);
    }
}

static struct peer *relay_new(uint8_t first)
{
    struct peer *r = peer_new(first, 0, 0);

    peer_listen(r, 0);
    peer_start(r);
    return r;
}

/* Two nodes with no port, each linked with the relays. b runs on its own thread. */
struct pair {
    struct peer *a, *b;
};

static struct pair pair_new(struct peer *const *relays, size_t n)
{
    struct pair p = {peer_new(1, 0, 0), peer_new(9, 0, 0)};

    for (size_t i = 0; i < n; i++) {
        peer_dial(p.a, relays[i], hub_port(relays[i]->hub), true);
        peer_dial(p.b, relays[i], hub_port(relays[i]->hub), true);
    }
    peer_reach(p.a, p.b);
    peer_reach(p.b, p.a);
    peer_start(p.b);
    return p;
}

static struct result call_over(struct peer *a, const struct peer *b, int service,
                               struct bytes body)
{
    a->link = link_with(a, b);
    return peer_call(a, service, body, 10000);
}

static void test_relay__carries_calls(void **state)
{
    struct peer *r = relay_new(5);
    struct pair p = pair_new(&r, 1);
    uint8_t *big = malloc(BIG);

    (void)state;
    assert_non_null(big);
    randombytes_buf(big, BIG);
    CHECK_("linked through the relay", until_linked(p.a, p.b, true, 5000));
    CHECK_("and it is named", memcmp(link_relay(link_with(p.a, p.b))->id, r->id, 32) == 0);
    CHECK_("the peer is the far node",
           memcmp(link_peer(link_with(p.a, p.b))->id, p.b->id, 32) == 0);
    struct result s = call_over(p.a, p.b, ASK_ECHO, bytes_of("small", 5));
    CHECK_("a small call", s.fault == FAULT_NONE && s.equal);
    s = call_over(p.a, p.b, ASK_ECHO, bytes_of(big, BIG));
    CHECK_("a call of many windows", s.fault == FAULT_NONE && s.equal);
    s = call_over(p.a, p.b, ASK_BACK, bytes_of(big, BIG / 4));
    CHECK_("a call back on the same link", s.fault == FAULT_NONE && s.equal);
    s = call_over(p.a, r, ASK_ECHO, bytes_of("yours", 5));
    CHECK_("the relay answers for itself all the same", s.fault == FAULT_NONE && s.equal);
    peer_stop(r);
    struct hub_counters c = hub_counters(r->hub);
    CHECK_("it has carried all of it", c.relayed_bytes > 2 * (uint64_t)BIG);
    CHECK_EQ_("two ends of one stream", c.tunnels, 2);
    CHECK_EQ_("nothing waits there", r->hub->tunnel_bytes, 0);
    CHECK_EQ_("it was asked once, for itself", r->served, 1);
    CHECK_EQ_("and nobody broke anything", c.faults, 0);
    peer_free(p.a);
    peer_free(p.b);
    peer_free(r);
    free(big);
}

/* The far node goes: the stream is closed, the relay keeps nothing of it. */
static void test_relay__forgets_what_ended(void **state)
{
    struct peer *r = relay_new(5);
    struct pair p = pair_new(&r, 1);
    struct result held;
    uint8_t id[32];

    (void)state;
    assert_true(until_linked(p.a, p.b, true, 5000));
    p.a->link = link_with(p.a, p.b);
    (void)peer_begin(p.a, ASK_HOLD, bytes_of("x", 1), 8000, &held);
    peer_run(p.a, 100);
    memcpy(id, p.b->id, sizeof id);
    peer_free(p.b);
    CHECK_("the call ends", peer_until(p.a, &held.done, 1, 3000));
    CHECK_EQ_("for want of its link", held.fault, FAULT_UNAVAILABLE);
    peer_run(p.a, 300);
    CHECK_("no link", hub_find(p.a->hub, id) == NULL);
    peer_stop(r);
    CHECK_EQ_("no stream", hub_counters(r->hub).tunnels, 0);
    peer_free(p.a);
    peer_free(r);
}

static void test_relay__another_when_it_dies(void **state)
{
    struct peer *r[2] = {relay_new(5), relay_new(6)};
    struct pair p = pair_new(r, 2);
    struct result held;

    (void)state;
    assert_true(until_linked(p.a, p.b, true, 5000));
    peer_run(p.a, 500);
    size_t used = memcmp(link_relay(link_with(p.a, p.b))->id, r[0]->id, 32) == 0 ? 0 : 1;
    p.a->link = link_with(p.a, p.b);
    (void)peer_begin(p.a, ASK_NOTHING, bytes_of("x", 1), 8000, &held);
    peer_run(p.a, 100);
    peer_free(r[used]);
    CHECK_("the call ends", peer_until(p.a, &held.done, 1, 3000));
    CHECK_EQ_("for want of its link", held.fault, FAULT_UNAVAILABLE);
    CHECK_("linked again through the other", until_linked(p.a, p.b, true, 5000));
    CHECK_("which is named",
           memcmp(link_relay(link_with(p.a, p.b))->id, r[1 - used]->id, 32) == 0);
    struct result s = call_over(p.a, p.b, ASK_ECHO, bytes_of("again", 5));
    CHECK_("and it carries", s.fault == FAULT_NONE && s.equal);
    peer_free(p.a);
    peer_free(p.b);
    peer_free(r[1 - used]);
}

/* One that lets links begin and ends them when something is carried is not asked first
 * again.
 */
static void test_relay__not_the_one_that_breaks_links(void **state)
{
    enum { MUCH = 1024 * 1024, FEW = 4096 };
    struct peer *r[2] = {relay_new(5), relay_new(6)};
    struct pair p = pair_new(r, 2);
    uint8_t *big = calloc(1, MUCH);

    (void)state;
    assert_non_null(big);
    assert_true(until_linked(p.a, p.b, true, 5000));
    peer_run(p.a, 500);
    size_t used = memcmp(link_relay(link_with(p.a, p.b))->id, r[0]->id, 32) == 0 ? 0 : 1;
    peer_stop(r[used]);
    r[used]->hub->setup.share.pair_held = FEW;
    peer_start(r[used]);
    struct result s = call_over(p.a, p.b, ASK_ECHO, bytes_of("small", 5));
    CHECK_("it carries a little", s.fault == FAULT_NONE && s.equal);
    s = call_over(p.a, p.b, ASK_ECHO, bytes_of(big, MUCH));
    CHECK_EQ_("and ends the stream of more", s.fault, FAULT_UNAVAILABLE);
    CHECK_("linked again", until_linked(p.a, p.b, true, 8000));
    peer_run(p.a, 3000);
    CHECK_("and still", until_linked(p.a, p.b, true, 5000));
    CHECK_("through the other",
           memcmp(link_relay(link_with(p.a, p.b))->id, r[1 - used]->id, 32) == 0);
    s = call_over(p.a, p.b, ASK_ECHO, bytes_of(big, MUCH));
    CHECK_("which carries all", s.fault == FAULT_NONE && s.equal);
    /* Better than none: it comes last, and is not left out. */
    peer_free(r[1 - used]);
    peer_run(p.a, 3000);
    CHECK_("with no other, through it again", until_linked(p.a, p.b, true, 10000));
    s = call_over(p.a, p.b, ASK_ECHO, bytes_of("small", 5));
    CHECK_("for what it carries", s.fault == FAULT_NONE && s.equal);
    peer_free(p.a);
    peer_free(p.b);
    peer_free(r[used]);
    free(big);
}

/* A call that runs on the relayed link ends there; new ones take the direct way. */
static void test_relay__gives_way_to_a_direct_link(void **state)
{
    struct peer *r = relay_new(5);
    struct pair p = pair_new(&r, 1);
    struct result held;

    (void)state;
    assert_true(until_linked(p.a, p.b, true, 5000));
    p.a->link = link_with(p.a, p.b);
    (void)peer_begin(p.a, ASK_HOLD, bytes_of("x", 1), 8000, &held);
    peer_run(p.a, 100);
    peer_stop(p.b);
    peer_listen(p.b, 0);
    int port = hub_port(p.b->hub);
    peer_start(p.b);
    peer_dial(p.a, p.b, port, true);
    CHECK_("linked directly", until_linked(p.a, p.b, false, 3000));
    CHECK_("the call goes on", held.done == 0);
    CHECK_("and is answered", peer_until(p.a, &held.done, 1, 4000));
    CHECK_EQ_("where it was made", held.fault, FAULT_NONE);
    peer_run(p.a, 1000);
    peer_stop(r);
    CHECK_EQ_("the relay is not needed", hub_counters(r->hub).tunnels, 0);
    peer_free(p.a);
    peer_free(p.b);
    peer_free(r);
}

/* Of several endpoints those that do not answer are passed over. */
static void test_relay__every_endpoint_is_tried(void **state)
{
    struct peer *a = peer_new(1, 0, 0), *b = relay_new(9);
    char last[64];
    const char *const endpoints[] = {"tcp://127.0.0.1:1", "tcp://127.0.0.1:2", last};

    (void)state;
    (void)snprintf(last, sizeof last, "tcp://127.0.0.1:%d", hub_port(b->hub));
    CHECK_OK_(
        "reach", a->cx,
        hub_reach(a->cx, a->hub, endpoints, 3, b->key, b->id, bytes_of(a->id, 32), true));
    CHECK_("linked at the third", until_linked(a, b, false, 2000));
    peer_free(a);
    peer_free(b);
}

/* ---- what a relay sees ---- */

/* A relay that the test plays: it reads every byte, and may change one. */
struct tap {
    struct foe to_a, to_b;
    uint8_t *seen;
    size_t n, size;
    size_t bend; /* this byte of what it carries is changed; SIZE_MAX: none */
};

static void see(struct tap *tap, uint8_t *p, size_t n)
{
    if (tap->n + n > tap->size) {
        tap->size = 2 * (tap->n + n);
        tap->seen = realloc(tap->seen, tap->size);
        assert_non_null(tap->seen);
    }
    if (tap->bend >= tap->n && tap->bend < tap->n + n)
        p[tap->bend - tap->n] ^= 1;
    memcpy(tap->seen + tap->n, p, n);
    tap->n += n;
}

/* Whole frames of one message go on as they are, but for whom an OPEN names. */
static bool pass_on(struct tap *tap, struct foe *from, struct foe *to, const uint8_t *who)
{
    static uint8_t message[NOISE_MESSAGE_MAX];
    size_t n = foe_read(from, message), left;

    if (n == 0 ||
        noise_decrypt(from->cx, from->noise, bytes_of(message, n), message) != FAULT_NONE)
        return false;
    n -= NOISE_TAG;
    for (uint8_t *f = message; f < message + n; f += FRAME_HEAD + left) {
        left = get_u32(f + 6);
        if (f[0] == FRAME_RELAY_DATA)
            see(tap, f + FRAME_HEAD, left);
        if (f[0] == FRAME_RELAY_OPEN) {
            f[1] = FLAG_FROM;
            memcpy(f + FRAME_HEAD, who, 32);
        }
        put_u32(f + 2, 1); /* both links were dialled by the tap, which opened one stream */
        if (from == &tap->to_b)
            put_u32(f + 2, 2);
        if (f[0] >= FRAME_RELAY_OPEN && !foe_say(to, f, FRAME_HEAD + left))
            return false;
    }
    return true;
}

static void carry_for(struct tap *tap, const struct peer *a, int64_t ms)
{
    int64_t end = clock_mono_ms() + ms;
    struct pollfd fds[2] = {{.fd = tap->to_a.fd, .events = POLLIN},
                            {.fd = tap->to_b.fd, .events = POLLIN}};

    while (clock_mono_ms() < end && a->up.done == 0) {
        assert_true(poll(fds, 2, 20) >= 0);
        if ((fds[0].revents != 0 && !pass_on(tap, &tap->to_a, &tap->to_b, a->id)) ||
            (fds[1].revents != 0 && !pass_on(tap, &tap->to_b, &tap->to_a, a->id)))
            return;
    }
}

static const char marker[] = "status ~ age + sex, and the codebook is called zebrafinch";

/* a asks b to echo the marker at once when they are linked, through the tap. */
static struct result echo_through(struct tap *tap)
{
    uint8_t id[32] = {4};
    struct peer *a = peer_new(1, 0, 0), *b = peer_new(9, 0, 0);
    struct result r;

    peer_listen(a, 0);
    peer_listen(b, 0);
    peer_start(a);
    peer_start(b);
    server = a;
    tap->to_a = foe_new(bytes_of(id, 32));
    server = b;
    tap->to_b = foe_new(bytes_of(id, 32));
    usleep(50000);
    peer_stop(a);
    a->at_up = bytes_of(marker, sizeof marker);
    peer_reach(a, b);
    peer_start(a);
    carry_for(tap, a, 4000);
    peer_stop(a);
    r = a->up;
    peer_free(a);
    peer_free(b);
    foe_free(&tap->to_a);
    foe_free(&tap->to_b);
    return r;
}

static bool holds(const struct tap *tap, const char *text, size_t n)
{
    return memmem(tap->seen, tap->n, text, n) != NULL;
}

static void test_relay__sees_only_ciphertext(void **state)
{
    struct tap tap = {.bend = SIZE_MAX};
    struct result r = echo_through(&tap);

    (void)state;
    CHECK_("the call was answered through the tap",
           r.done == 1 && r.fault == FAULT_NONE && r.equal);
    CHECK_("the tap saw request and reply", tap.n > 2 * sizeof marker);
    for (size_t i = 0; i + 8 <= sizeof marker; i++)
        CHECK_("and no piece of them", !holds(&tap, marker + i, 8));
    CHECK_(
        "what it would have seen is found where it is",
        (see(&tap, (uint8_t *)(uintptr_t)marker, sizeof marker), holds(&tap, marker, 8)));
    free(tap.seen);
}

/* Any byte of the handshake or later, in either direction. */
static void test_relay__changes_nothing_unseen(void **state)
{
    static const size_t places[] = {1, 2, 20, 49, 52, 70, 100, 160, 200, 260, 300};

    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        struct tap tap = {.bend = places[i]};
        struct result r = echo_through(&tap);

        CHECK_("the byte was there", tap.n > places[i]);
        CHECK_("a changed byte ends the link", r.done == 0 || r.fault == FAULT_UNAVAILABLE);
        free(tap.seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relay__carries_calls),
        cmocka_unit_test(test_relay__forgets_what_ended),
        cmocka_unit_test(test_relay__another_when_it_dies),
        cmocka_unit_test(test_relay__not_the_one_that_breaks_links),
        cmocka_unit_test(test_relay__gives_way_to_a_direct_link),
        cmocka_unit_test(test_relay__every_endpoint_is_tried),
        cmocka_unit_test(test_relay__sees_only_ciphertext),
        cmocka_unit_test(test_relay__changes_nothing_unseen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What link.h promises between honest peers, over loopback. */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/check.h"
#include "tests/protocol/link_peers.h"

enum { MB = 1024 * 1024, LONG = 20000 };

struct pair {
    struct peer *a, *b; /* a dials, on the test's thread; b listens, on its own */
};

static struct pair pair_new(void)
{
    struct pair p = {peer_new(1, 0, 0), peer_new(2, 0, 0)};

    peer_listen(p.b, 0);
    peer_start(p.b);
    peer_dial(p.a, p.b, hub_port(p.b->hub), true);
    assert_true(peer_until(p.a, &p.a->ups, 1, 5000));
    return p;
}

static void pair_free(struct pair p)
{
    peer_free(p.a);
    peer_free(p.b);
}

static void test_link__echoes_any_size(void **state)
{
    static const size_t sizes[] = {0,      1,      100,    16383,   16384,           65519,
                                   262143, 262144, 262145, 10 * MB, LINK_MESSAGE_MAX};
    struct pair p = pair_new();
    uint8_t *body = malloc(LINK_MESSAGE_MAX);

    (void)state;
    assert_non_null(body);
    randombytes_buf(body, LINK_MESSAGE_MAX);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct result r = peer_call(p.a, ASK_ECHO, bytes_of(body, sizes[i]), LONG);

        CHECK_EQ_("fault", r.fault, FAULT_NONE);
        CHECK_EQ_("size", r.n, sizes[i]);
        assert_true(r.equal);
    }
    assert_int_equal(link_call(p.a->cx, p.a->link, SERVICE_ASK,
                               bytes_of(body, LINK_MESSAGE_MAX + 1u), CX_NO_DEADLINE, NULL,
                               NULL, NULL, NULL),
                     FAULT_BOUND);
    assert_int_equal(hub_counters(p.a->hub).receive_bytes, 0);
    free(body);
    pair_free(p);
}

static void test_link__many_calls_share_a_link(void **state)
{
    struct pair p = pair_new();
    struct result r[LINK_STREAMS_MAX];
    uint8_t *body = calloc(1, MB);

    (void)state;
    assert_non_null(body);
    for (size_t i = 0; i < COUNT(r); i++)
        (void)peer_begin(p.a, ASK_ECHO, bytes_of(body, i % 2 == 0 ? MB : i), LONG, &r[i]);
    assert_int_equal(link_call(p.a->cx, p.a->link, SERVICE_ASK, bytes_of(body, 1),
                               CX_NO_DEADLINE, NULL, NULL, NULL, NULL),
                     FAULT_UNAVAILABLE);
    for (size_t i = 0; i < COUNT(r); i++) {
        assert_true(peer_until(p.a, &r[i].done, 1, LONG));
        CHECK_EQ_("fault", r[i].fault, FAULT_NONE);
        assert_true(r[i].equal);
    }
    /* Replies of 16 MiB each are more than a link may hold at once: they take turns. */
    uint32_t n = LINK_MESSAGE_MAX;
    for (size_t i = 0; i < 4; i++)
        (void)peer_begin(p.a, ASK_BYTES, bytes_of(&n, 4), LONG, &r[i]);
    for (size_t i = 0; i < 4; i++) {
        assert_true(peer_until(p.a, &r[i].done, 1, LONG));
        CHECK_EQ_("fault", r[i].fault, FAULT_NONE);
        CHECK_EQ_("size", r[i].n, n);
        CHECK_EQ_("once", r[i].calls, 1);
    }
    free(body);
    pair_free(p);
}

static void test_link__serves_both_ways(void **state)
{
    struct pair p = pair_new();
    struct result r = peer_call(p.a, ASK_BACK, bytes_of("there and back", 14), LONG);

    (void)state;
    CHECK_EQ_("fault", r.fault, FAULT_NONE);
    assert_true(r.equal);
    assert_int_equal(p.a->served, 1);
    r = peer_call(p.a, ASK_REFUSAL, bytes_of("x", 1), LONG);
    CHECK_EQ_("a refusal keeps its word", r.fault, FAULT_REFUSED);
    CHECK_EQ_("and its trouble", r.n, 2);
    pair_free(p);
}

static void test_link__cancel_and_deadline_reach_the_peer(void **state)
{
    struct pair p = pair_new();
    struct result r;
    struct call *call = peer_begin(p.a, ASK_NOTHING, bytes_of("x", 1), LONG, &r);
    int64_t before;

    (void)state;
    peer_run(p.a, 30);
    assert_int_equal(r.done, 0);
    call_cancel(call);
    CHECK_EQ_("cancelled", r.fault, FAULT_CANCELLED);
    CHECK_EQ_("once", r.calls, 1);
    peer_run(p.a, 30);
    assert_int_equal(p.b->cancelled, 1);
    before = clock_mono_ms();
    r = peer_call(p.a, ASK_NOTHING, bytes_of("x", 1), 100);
    CHECK_EQ_("late", r.fault, FAULT_TIMEOUT);
    assert_true(clock_mono_ms() - before >= 95 && clock_mono_ms() - before < 1000);
    peer_run(p.a, 30);
    assert_int_equal(p.b->cancelled, 2);
    r = peer_call(p.a, ASK_ECHO, bytes_of("still", 5), LONG);
    assert_true(r.fault == FAULT_NONE && r.equal);
    pair_free(p);
}

static void test_link__a_closed_link_fails_its_calls(void **state)
{
    struct pair p = pair_new();
    struct result waits, r;

    (void)state;
    (void)peer_begin(p.a, ASK_NOTHING, bytes_of("x", 1), LONG, &waits);
    r = peer_call(p.a, ASK_CLOSE, bytes_of("x", 1), LONG);
    CHECK_EQ_("the one that closed", r.fault, FAULT_UNAVAILABLE);
    assert_true(peer_until(p.a, &waits.done, 1, LONG));
    CHECK_EQ_("the one that waited", waits.fault, FAULT_UNAVAILABLE);
    assert_true(peer_until(p.a, &p.a->downs, 1, 1000));
    assert_non_null(strstr(p.a->why, "as it was asked"));
    assert_true(peer_until(p.a, &p.a->ups, 2, 3000)); /* and it is dialled again */
    peer_stop(p.b);
    assert_int_equal(p.b->cancelled, 1);
    pair_free(p);
}

/* A call whose link ends has failed: it is never made a second time behind the caller's
 * back, for a question would be charged twice. */
static void test_link__a_call_is_made_once(void **state)
{
    struct pair p = pair_new();
    struct result held;

    (void)state;
    (void)peer_begin(p.a, ASK_HOLD, bytes_of("x", 1), LONG, &held);
    peer_run(p.a, 50);
    CHECK_EQ_("it has arrived", p.b->served, 1);
    (void)peer_call(p.a, ASK_CLOSE, bytes_of("x", 1), LONG);
    assert_true(peer_until(p.a, &held.done, 1, LONG));
    CHECK_EQ_("failed", held.fault, FAULT_UNAVAILABLE);
    assert_true(peer_until(p.a, &p.a->ups, 2, LONG));
    peer_run(p.a, HOLD_MS + 300);
    CHECK_EQ_("once, and the one that closed", p.b->served, 2);
    CHECK_EQ_("done runs once", held.calls, 1);
    pair_free(p);
}

/* The child of the next test: serves on the given port until it is killed. */
static int be_a_server(const char *port, const char *secret)
{
    struct peer *peer = peer_new(2, 0, 0);
    size_t n;

    if (sodium_hex2bin(peer->secret, 32, secret, 64, NULL, &n, NULL) != 0)
        return 1;
    peer_listen(peer, atoi(port));
    return hub_run(peer->cx, peer->hub, NULL, NULL) == FAULT_NONE ? 0 : 1;
}

static pid_t spawn_server(int port, const struct peer *like)
{
    char number[16], secret[65];
    char *args[] = {(char *)"test_link", (char *)"serve", number, secret, NULL};
    pid_t pid;

    (void)snprintf(number, sizeof number, "%d", port);
    (void)sodium_bin2hex(secret, sizeof secret, like->secret, 32);
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environ), 0);
    return pid;
}

static void end_server(pid_t pid)
{
    int status;

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static int free_port(void)
{
    struct peer *peer = peer_new(9, 0, 0);
    int port;

    peer_listen(peer, 0);
    port = hub_port(peer->hub);
    peer_free(peer);
    return port;
}

static void test_link__a_killed_peer_is_noticed_and_dialled_again(void **state)
{
    struct peer *a = peer_new(1, 0, 0), *like = peer_new(2, 0, 0);
    int port = free_port();
    pid_t pid;
    struct result r;
    int64_t before;

    (void)state;
    peer_dial(a, like, port, true);
    assert_true(peer_until(a, &a->failures, 1, 3000));
    assert_non_null(strstr(a->why, "nothing listens at 127.0.0.1:"));
    pid = spawn_server(port, like);
    assert_true(peer_until(a, &a->ups, 1, 10000));
    (void)peer_begin(a, ASK_NOTHING, bytes_of("x", 1), LONG, &r);
    peer_run(a, 50);
    before = clock_mono_ms();
    end_server(pid);
    assert_true(peer_until(a, &r.done, 1, 2000));
    CHECK_EQ_("killed mid-call", r.fault, FAULT_UNAVAILABLE);
    assert_true(clock_mono_ms() - before < 1000);
    assert_true(peer_until(a, &a->downs, 1, 1000));
    pid = spawn_server(port, like); /* on the same port, at once */
    assert_true(peer_until(a, &a->ups, 2, 10000));
    r = peer_call(a, ASK_ECHO, bytes_of("again", 5), LONG);
    assert_true(r.fault == FAULT_NONE && r.equal);
    end_server(pid);
    peer_free(a);
    peer_free(like);
}

static void test_link__a_silent_peer_is_dead(void **state)
{
    struct peer *a = peer_new(1, 100, 400), *like = peer_new(2, 0, 0);
    int port = free_port();
    pid_t pid = spawn_server(port, like);
    int64_t before;

    (void)state;
    peer_dial(a, like, port, true);
    assert_true(peer_until(a, &a->ups, 1, 10000));
    peer_run(a, 1500); /* pings keep an idle link */
    assert_int_equal(a->downs, 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    before = clock_mono_ms();
    assert_true(peer_until(a, &a->downs, 1, 5000));
    assert_true(clock_mono_ms() - before < 1500);
    assert_string_equal(a->why, "the peer is silent");
    end_server(pid);
    peer_free(a);
    peer_free(like);
}

static void test_link__of_two_links_the_smaller_initiator_stays(void **state)
{
    (void)state;
    for (int turn = 0; turn < 4; turn++) {
        struct peer *a = peer_new(turn % 2 == 0 ? 1 : 3, 0, 0), *b = peer_new(2, 0, 0);
        struct result r;

        peer_listen(a, 0);
        peer_listen(b, 0);
        peer_dial(b, a, hub_port(a->hub), true);
        peer_dial(a, b, hub_port(b->hub), true);
        peer_start(b);
        assert_true(peer_until(a, &a->ups, 1, 5000));
        /* A call that begins while the pair settles is answered all the same. */
        r = peer_call(a, ASK_ECHO, bytes_of("early", 5), LONG);
        CHECK_EQ_("early call", r.fault, FAULT_NONE);
        (void)peer_until(a, &a->downs, 1, 1500);
        peer_run(a, 300);
        CHECK_EQ_("one link", hub_counters(a->hub).links, 1);
        assert_non_null(hub_find(a->hub, b->id));
        r = peer_call(a, ASK_ECHO, bytes_of("late", 4), LONG);
        CHECK_EQ_("late call", r.fault, FAULT_NONE);
        peer_stop(b);
        CHECK_EQ_("one link there", hub_counters(b->hub).links, 1);
        peer_free(a);
        peer_free(b);
    }
}

static void test_link__wrong_keys_are_refused_with_a_sentence(void **state)
{
    struct pair p = {peer_new(1, 0, 0), peer_new(2, 0, 0)};
    struct peer *other = peer_new(3, 0, 0);
    int port;

    (void)state;
    p.b->only = other->key;
    peer_listen(p.b, 0);
    peer_start(p.b);
    port = hub_port(p.b->hub);
    peer_dial(p.a, p.b, port, false);
    assert_true(peer_until(p.a, &p.a->failures, 1, 5000));
    assert_non_null(strstr(p.a->why, "did not accept our key"));
    peer_dial(other, p.a, port, false); /* a's key where b listens */
    assert_true(peer_until(other, &other->failures, 1, 5000));
    assert_non_null(strstr(other->why, "another key"));
    peer_dial(other, p.b, port, false);
    assert_true(peer_until(other, &other->ups, 1, 5000));
    peer_run(p.a, 600);
    CHECK_EQ_("without keep it is tried once", p.a->failures, 1);
    CHECK_EQ_("nobody came up", p.a->ups, 0);
    assert_int_equal(hub_dial(p.a->cx, p.a->hub, "tcp://127.0.0.1:1", p.a->key, p.a->id,
                              bytes_of(NULL, 0), false),
                     FAULT_INVALID);
    assert_int_equal(hub_dial(p.a->cx, p.a->hub, "http://x", other->key, other->id,
                              bytes_of(NULL, 0), false),
                     FAULT_INVALID);
    peer_free(other);
    pair_free(p);
}

static void test_link__a_taken_port_is_named(void **state)
{
    struct pair p = {peer_new(1, 0, 0), peer_new(2, 0, 0)};
    char endpoint[64], want[64];

    (void)state;
    peer_listen(p.a, 0);
    (void)snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", hub_port(p.a->hub));
    (void)snprintf(want, sizeof want, "port %d is taken", hub_port(p.a->hub));
    assert_int_equal(hub_listen(p.b->cx, p.b->hub, endpoint), FAULT_IO);
    assert_non_null(strstr(cx_message(p.b->cx), want));
    pair_free(p);
}

static void test_link__forgetting_closes(void **state)
{
    struct pair p = pair_new();

    (void)state;
    hub_forget(p.a->hub, p.b->id);
    assert_true(peer_until(p.a, &p.a->downs, 1, 1000));
    peer_run(p.a, 700);
    assert_int_equal(p.a->ups, 1);
    assert_null(hub_find(p.a->hub, p.b->id));
    pair_free(p);
}

static int fired;

static void fire(void *user)
{
    fired = fired * 10 + *(int *)user;
}

static void ready(void *user, int fd, short revents)
{
    char c;

    assert_true(revents != 0 && read(fd, &c, 1) == 1);
    (*(atomic_int *)user)++;
}

static void test_hub__timers_and_descriptors(void **state)
{
    struct peer *a = peer_new(1, 0, 0);
    int one = 1, two = 2, three = 3, fds[2];
    atomic_int count = 0;
    uint64_t id;

    (void)state;
    (void)hub_after(a->hub, 40, fire, &two);
    id = hub_after(a->hub, 50, fire, &three);
    (void)hub_after(a->hub, 10, fire, &one);
    hub_cancel_timer(a->hub, id);
    hub_cancel_timer(a->hub, 0);
    hub_cancel_timer(a->hub, 12345);
    peer_run(a, 100);
    assert_int_equal(fired, 12);
    assert_int_equal(pipe(fds), 0);
    CHECK_OK_("watch", a->cx, hub_watch(a->cx, a->hub, fds[0], 1, ready, &count));
    assert_int_equal(write(fds[1], "ab", 2), 2);
    assert_true(peer_until(a, &count, 2, 1000));
    hub_unwatch(a->hub, fds[0]);
    assert_int_equal(write(fds[1], "c", 1), 1);
    peer_run(a, 30);
    assert_int_equal(count, 2);
    (void)close(fds[0]);
    (void)close(fds[1]);
    peer_free(a);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link__echoes_any_size),
        cmocka_unit_test(test_link__many_calls_share_a_link),
        cmocka_unit_test(test_link__serves_both_ways),
        cmocka_unit_test(test_link__cancel_and_deadline_reach_the_peer),
        cmocka_unit_test(test_link__a_closed_link_fails_its_calls),
        cmocka_unit_test(test_link__a_call_is_made_once),
        cmocka_unit_test(test_link__a_killed_peer_is_noticed_and_dialled_again),
        cmocka_unit_test(test_link__a_silent_peer_is_dead),
        cmocka_unit_test(test_link__of_two_links_the_smaller_initiator_stays),
        cmocka_unit_test(test_link__wrong_keys_are_refused_with_a_sentence),
        cmocka_unit_test(test_link__a_taken_port_is_named),
        cmocka_unit_test(test_link__forgetting_closes),
        cmocka_unit_test(test_hub__timers_and_descriptors),
    };

    if (sodium_init() < 0)
        return 1;
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        return be_a_server(argv[2], argv[3]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

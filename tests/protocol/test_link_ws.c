/* Links whose bytes travel as WebSocket frames: the same promises as over TCP. */
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/check.h"
#include "tests/protocol/link_foe.h"

enum { BIG = 3 * 1024 * 1024 };

static struct peer *ws_peer(void)
{
    struct peer *b = peer_new(9, 0, 0);

    b->ws = true;
    peer_listen(b, 0);
    peer_start(b);
    return b;
}

static void test_ws__carries_calls(void **state)
{
    struct peer *a = peer_new(1, 0, 0), *b = ws_peer();
    uint8_t *big = malloc(BIG);

    (void)state;
    assert_non_null(big);
    randombytes_buf(big, BIG);
    CHECK_("the port is told", hub_port(b->hub) > 0);
    peer_dial(a, b, hub_port(b->hub), true);
    CHECK_("linked", peer_until(a, &a->ups, 1, 3000));
    struct result r = peer_call(a, ASK_ECHO, bytes_of("small", 5), 3000);
    CHECK_("a small call", r.fault == FAULT_NONE && r.equal);
    r = peer_call(a, ASK_ECHO, bytes_of(big, BIG), 10000);
    CHECK_("a call of many frames", r.fault == FAULT_NONE && r.equal);
    r = peer_call(a, ASK_BACK, bytes_of(big, BIG / 2), 10000);
    CHECK_("a call back", r.fault == FAULT_NONE && r.equal);
    peer_free(a);
    peer_free(b);
    free(big);
}

static void test_ws__a_lost_peer_is_dialled_again(void **state)
{
    struct peer *a = peer_new(1, 0, 0), *b = ws_peer();
    int port = hub_port(b->hub);

    (void)state;
    peer_dial(a, b, port, true);
    assert_true(peer_until(a, &a->ups, 1, 3000));
    peer_stop(b);
    hub_free(&b->hub);
    CHECK_("the end is seen", peer_until(a, &a->downs, 1, 3000));
    struct hub_setup setup = {.prologue = bytes_of("cohortium/1 test", 16),
                              .link_secret = b->secret};
    CHECK_OK_("a new hub", b->cx, hub_new(b->cx, &setup, &b->hub));
    peer_free(b);
    CHECK_("nothing listens", peer_until(a, &a->failures, 1, 3000));
    b = ws_peer();
    peer_dial(a, b, hub_port(b->hub), true);
    CHECK_("linked again", peer_until(a, &a->ups, 2, 5000));
    peer_free(a);
    peer_free(b);
}

/* Neither carrier takes the other for itself; who sends no HTTP keeps nobody out. */
static void test_ws__other_words_get_nowhere(void **state)
{
    struct peer *a = peer_new(1, 0, 0);

    (void)state;
    server = ws_peer();
    server->ws = false; /* as a dialler is told */
    peer_dial(a, server, hub_port(server->hub), true);
    CHECK_("plain bytes are no WebSocket", peer_until(a, &a->failures, 1, 8000));
    CHECK_EQ_("and no link", a->ups, 0);
    server->ws = true;
    int fds[16];
    static uint8_t zeros[256 * 1024];
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = connect_from(true);
        (void)send(fds[i], zeros, i % 2 == 0 ? sizeof zeros : 3, MSG_NOSIGNAL);
    }
    check_honest("sixteen who send no HTTP");
    for (size_t i = 0; i < COUNT(fds); i++)
        (void)close(fds[i]);
    check_honest("and hung up");
    peer_free(a);
    peer_free(server);
}

/* A relay reached as a WebSocket, for two that are reached by nothing. */
static void test_ws__a_relay(void **state)
{
    struct peer *r = ws_peer(), *a = peer_new(1, 0, 0), *b = peer_new(8, 0, 0);

    (void)state;
    peer_dial(a, r, hub_port(r->hub), true);
    peer_dial(b, r, hub_port(r->hub), true);
    peer_reach(a, b);
    peer_start(b);
    for (int i = 0; i < 500 && hub_find(a->hub, b->id) == NULL; i++)
        peer_run(a, 10);
    a->link = hub_find(a->hub, b->id);
    CHECK_("linked", a->link != NULL && link_relay(a->link) != NULL);
    struct result s = peer_call(a, ASK_ECHO, bytes_of("through it", 10), 3000);
    CHECK_("and it carries", s.fault == FAULT_NONE && s.equal);
    peer_free(a);
    peer_free(b);
    peer_free(r);
}

static void test_ws__endpoints(void **state)
{
    static const struct {
        const char *endpoint;
        bool dials;
    } rows[] = {
        {"ws://127.0.0.1:7011", true},   {"tcp://127.0.0.1:7011", true},
        {"wss://127.0.0.1:7011", false}, {"http://127.0.0.1:7011", false},
        {"ws://127.0.0.1", false},       {"127.0.0.1:7011", false},
        {"ipc:///tmp/x:1", false},       {"inproc://x:1", false},
    };
    static const uint8_t key[32] = {9}, id[32] = {9};
    struct peer *a = peer_new(1, 0, 0);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_EQ_(rows[i].endpoint,
                  hub_dial(a->cx, a->hub, rows[i].endpoint, key, id, bytes_of(NULL, 0),
                           true) == FAULT_NONE,
                  rows[i].dials);
    peer_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ws__carries_calls),
        cmocka_unit_test(test_ws__a_lost_peer_is_dialled_again),
        cmocka_unit_test(test_ws__other_words_get_nowhere),
        cmocka_unit_test(test_ws__a_relay),
        cmocka_unit_test(test_ws__endpoints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

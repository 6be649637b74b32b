/*
 * What a caller at a ws:// port can make us spend before it is a link: no more than at a
 * tcp:// port, whatever it says, and for no longer.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/check.h"
#include "tests/protocol/link_foe.h"

static const char request[] =
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

static int set_up(void **state)
{
    (void)state;
    server = peer_new(9, 0, 0);
    server->ws = true;
    peer_listen(server, 0);
    peer_start(server);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    peer_free(server);
    return 0;
}

static bool says(int fd, const char *words)
{
    char text[512] = "";
    ssize_t n = recv(fd, text, sizeof text - 1, 0);

    return n > 0 && strncmp(text, words, strlen(words)) == 0;
}

/* Garbage, other paths, too many headers: an answer where it is HTTP, and the end. */
static void test_ws__other_requests(void **state)
{
    static const struct {
        const char *what, *text, *answer;
    } rows[] = {
        {"garbage", "\x01\x02 garbage", NULL},
        {"another path", "GET /admin HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 "},
        {"no WebSocket", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
        {"a post", "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", NULL},
    };
    static char line[WS_REQUEST_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int fd = connect_from(true);
        int64_t begun = clock_mono_ms();

        assert_true(send_all(fd, rows[i].text, strlen(rows[i].text)));
        if (rows[i].answer != NULL)
            CHECK_(rows[i].what, says(fd, rows[i].answer));
        CHECK_(rows[i].what, is_dropped(fd));
        CHECK_("at once", clock_mono_ms() - begun < LINK_HANDSHAKE_MS);
        hang_up(fd, false);
    }
    int fd = connect_from(true); /* headers without an end */
    size_t sent = 0;
    memset(line, 'x', sizeof line);
    memcpy(line, "X: ", 3);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    assert_true(send_all(fd, "GET / HTTP/1.1\r\n", 16));
    while (sent < 16 * sizeof line && send_all(fd, line, sizeof line))
        sent += sizeof line;
    CHECK_("they are not heard to their end", is_dropped(fd));
    hang_up(fd, false);
    check_honest("after all of them");
}

/* Half requests, a byte at a time: only so many wait, each for its time alone. */
static void test_ws__slow_ones(void **state)
{
    enum { N = 3 * LINK_UNAUTHENTICATED_MAX };
    static int fds[N];
    int64_t begun = clock_mono_ms();

    (void)state;
    for (size_t i = 0; i < N; i++) {
        fds[i] = connect_from(true);
        (void)send(fds[i], request, 40 + i % 50, MSG_NOSIGNAL);
    }
    usleep(200000);
    struct hub_counters c = counters();
    CHECK_("so many wait at once", c.unauthenticated <= LINK_UNAUTHENTICATED_MAX);
    CHECK_EQ_("the others gave way", c.refused, N - LINK_UNAUTHENTICATED_MAX);
    check_honest("beside them");
    while (clock_mono_ms() - begun < LINK_HANDSHAKE_MS - 1000) { /* a byte now and then */
        (void)send(fds[N - 1], "x", 1, MSG_NOSIGNAL);
        usleep(100000);
    }
    CHECK_("the last one is dropped, too", is_dropped(fds[N - 1]));
    int64_t end = clock_mono_ms() + 2 * LINK_HANDSHAKE_MS; /* of who came last */
    while (counters().unauthenticated > 0 && clock_mono_ms() < end)
        usleep(50000);
    CHECK_EQ_("and nobody is left", counters().unauthenticated, 0);
    for (size_t i = 0; i < N; i++)
        hang_up(fds[i], false);
    check_honest("afterwards");
}

/* Upgraded and silent is half open, too. */
static void test_ws__upgraded_and_silent(void **state)
{
    int fd = connect_from(true);

    (void)state;
    assert_true(send_all(fd, request, sizeof request - 1));
    CHECK_("upgraded", says(fd, "HTTP/1.1 101 "));
    CHECK_EQ_("waits among the unknown", counters().unauthenticated, 1);
    CHECK_("no longer than they", is_dropped(fd));
    CHECK_EQ_("and is gone", counters().unauthenticated, 0);
    hang_up(fd, false);
}

/* From one address no more than its bucket holds. */
static void test_ws__one_address(void **state)
{
    enum { N = BUCKET_BURST + 200 };
    static int fds[N];
    int64_t begun = clock_mono_ms();

    (void)state;
    fds[0] = connect_from(true);
    for (size_t i = 1; i < N; i++)
        fds[i] = connect_from(false);
    usleep(300000);
    int64_t took = clock_mono_ms() - begun;
    struct hub_counters c = counters();
    CHECK_("the bucket holds",
           c.refused + BUCKET_BURST + 1 + (uint64_t)took * BUCKET_RATE / 1000 >= N);
    check_honest("from another one");
    for (size_t i = 0; i < N; i++)
        hang_up(fds[i], true);
}

/* Frames that have no place end it; one that claims much makes nobody hold it. */
static void test_ws__frames(void **state)
{
    static const uint8_t large[] = {0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4};
    static const uint8_t plain[] = {0x82, 0x01, 'x'};
    static const uint8_t bye[] = {0x88, 0x80, 1, 2, 3, 4};
    static const uint8_t ping[] = {0x89, 0x82, 0, 0, 0, 0, 'h', 'i'};
    const struct {
        const char *what;
        const uint8_t *p;
        size_t n;
    } rows[] = {{"4 GiB", large, sizeof large},
                {"not masked", plain, sizeof plain},
                {"a close", bye, sizeof bye}};
    uint8_t pong[4];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int fd = connect_from(true);
        int64_t begun = clock_mono_ms();

        assert_true(send_all(fd, request, sizeof request - 1));
        CHECK_("upgraded", says(fd, "HTTP/1.1 101 "));
        assert_true(send_all(fd, rows[i].p, rows[i].n));
        CHECK_(rows[i].what, is_dropped(fd));
        CHECK_("at once", clock_mono_ms() - begun < LINK_HANDSHAKE_MS);
        hang_up(fd, false);
    }
    int fd = connect_from(true);
    assert_true(send_all(fd, request, sizeof request - 1));
    CHECK_("upgraded", says(fd, "HTTP/1.1 101 "));
    for (int i = 0; i < 1000; i++)
        assert_true(send_all(fd, ping, sizeof ping));
    CHECK_EQ_("a ping is answered", recv(fd, pong, sizeof pong, MSG_WAITALL), 4);
    assert_memory_equal(pong, "\x8a\x02hi", 4);
    hang_up(fd, true);
    check_honest("after all of them");
}

/* tcp and ws in one dialler's list: the one that answers is taken, wherever it stands. */
static void test_ws__among_several_endpoints(void **state)
{
    char ws[64];

    (void)state;
    (void)snprintf(ws, sizeof ws, "ws://127.0.0.1:%d", hub_port(server->hub));
    const char *const lists[][3] = {{"tcp://127.0.0.1:1", ws, "tcp://127.0.0.1:2"},
                                    {"ws://127.0.0.1:1", "tcp://127.0.0.1:2", ws}};
    for (size_t i = 0; i < COUNT(lists); i++) {
        struct peer *a = peer_new(1, 0, 0);

        CHECK_OK_("reach", a->cx,
                  hub_reach(a->cx, a->hub, lists[i], 3, server->key, server->id,
                            bytes_of(a->id, 32), true));
        CHECK_("linked", peer_until(a, &a->ups, 1, 5000));
        peer_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ws__other_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ws__slow_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ws__upgraded_and_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ws__one_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ws__frames, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ws__among_several_endpoints, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

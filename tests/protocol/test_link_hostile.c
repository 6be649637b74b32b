/*
 * What hostile peers can do to a link's owner: nothing but be dropped.
 *
 * The attacks of WIRE.md A.2 that stopped nng's own sockets or filled their memory, and
 * frames that break our protocol, from peers with and without a key. After each an honest
 * peer links and calls. Attackers come from other loopback addresses than the honest peer:
 * the bound on connections is one an address.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/check.h"
#include "tests/protocol/link_foe.h"

enum { LONG = 10000 };

/* Sanitizers keep what was freed: resident memory says nothing then. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static size_t resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    size_t all, pages = 0;

    if (f == NULL || fscanf(f, "%zu %zu", &all, &pages) != 2)
        pages = 0;
    if (f != NULL)
        (void)fclose(f);
    return pages * 4096;
}

static int set_up(void **state)
{
    (void)state;
    server = peer_new(2, 0, 0);
    server->researchers = true;
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

/* ---- Without a key ---- */

static void test_hostile__fin_and_rst_do_not_stop_the_listener(void **state)
{
    (void)state;
    for (int i = 0; i < 1500; i++) {
        int fd = connect_from(i % 50 == 0);

        if (i % 3 == 0)
            (void)shutdown(fd, SHUT_WR);
        hang_up(fd, i % 2 == 0);
    }
    check_honest("1500 connections that end at once");
    assert_true(counters().accepted > 1000);
}

static void test_hostile__one_address_has_so_many_connections(void **state)
{
    struct hub_counters before = counters(), after;
    int64_t begun = clock_mono_ms();

    (void)state;
    hang_up(connect_from(true), true);
    for (int i = 0; i < 1000; i++)
        hang_up(connect_from(false), true);
    check_honest("1000 connections of one address");
    after = counters();
    /* What was let in is no more than the bucket's burst and rate, and the honest peer. */
    assert_true((double)(after.accepted - before.accepted) -
                    (double)(after.refused - before.refused) <=
                BUCKET_BURST + 1 +
                    (double)(clock_mono_ms() - begun + 1) * BUCKET_RATE / 1000);
    assert_true(after.refused > before.refused);
}

static void test_hostile__half_open_handshakes_are_bounded(void **state)
{
    int fds[300];
    uint8_t half[20] = {0, 48};
    struct hub_counters c;
    int64_t begun;

    (void)state;
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = connect_from(i % 20 == 0);
        if (i % 2 == 0)
            (void)send_all(fds[i], half, sizeof half); /* a part of message 1 */
    }
    begun = clock_mono_ms();
    usleep(50000);
    c = counters();
    assert_true(c.unauthenticated <= LINK_UNAUTHENTICATED_MAX);
    assert_true(c.receive_bytes == 0);
    check_honest("300 half-open handshakes");
    for (size_t i = 0; i < COUNT(fds); i++)
        assert_true(is_dropped(fds[i]));
    assert_true(clock_mono_ms() - begun < LINK_HANDSHAKE_MS + 1500);
    assert_int_equal(counters().unauthenticated, 0);
    for (size_t i = 0; i < COUNT(fds); i++)
        (void)close(fds[i]);
}

static void test_hostile__a_slow_handshake_ends_at_its_deadline(void **state)
{
    int fd = connect_from(true);
    int64_t begun = clock_mono_ms();
    uint8_t byte = 0;

    (void)state;
    while (clock_mono_ms() - begun < 4 * LINK_HANDSHAKE_MS) { /* a byte now and then */
        struct pollfd p = {.fd = fd, .events = POLLIN};

        if (poll(&p, 1, 200) > 0 || !send_all(fd, &byte, 1))
            break;
    }
    assert_true(clock_mono_ms() - begun < LINK_HANDSHAKE_MS + 1500);
    (void)close(fd);
}

static void test_hostile__junk_before_the_handshake(void **state)
{
    static const struct {
        const char *what;
        uint8_t head[2];
        size_t n;
    } rows[] = {
        {"a length of nothing", {0, 0}, 0},
        {"shorter than a tag", {0, 15}, 15},
        {"longest length", {0xff, 0xff}, 64},
        {"longer than a hello", {0x41, 0}, 64},
        {"a message 1 of noise", {0, 48}, 48},
        {"a message 1 too long", {1, 0}, 256},
        {"HTTP", {'G', 'E'}, 200},
    };
    uint8_t junk[256];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int fd = connect_from(true);

        randombytes_buf(junk, sizeof junk);
        assert_true(send_all(fd, rows[i].head, 2));
        (void)send_all(fd, junk, rows[i].n);
        CHECK_(rows[i].what, is_dropped(fd));
        (void)close(fd);
    }
    check_honest("junk");
    assert_int_equal(counters().receive_bytes, 0);
}

/* ---- With a key ---- */

static void test_hostile__frames_that_have_no_place(void **state)
{
    static const struct {
        const char *what;
        unsigned type, flags;
        uint32_t stream, claim;
        size_t n;
    } rows[] = {
        {"an unknown frame", 11, 0, 0, 0, 0},
        {"frame 0", 0, 0, 0, 0, 0},
        {"RELAY or such", 200, 0, 1, 4, 4},
        {"unknown flags", FRAME_PING, 2, 0, 8, 8},
        {"a second welcome", FRAME_WELCOME, 0, 0, 0, 0},
        {"a length near 2^32", FRAME_DATA, 0, 1, 0xffffffdf, 8},
        {"a length beyond the message", FRAME_PING, 0, 0, 9, 8},
        {"a frame beyond 16 KiB", FRAME_DATA, 0, 1, FRAME_MAX + 1, FRAME_MAX + 1},
        {"half a head", FRAME_PING, 0, 0, 0, SIZE_MAX},
        {"a ping without body", FRAME_PING, 0, 0, 0, 0},
        {"data of a stream not opened", FRAME_DATA, 0, 1, 4, 4},
        {"an end of a stream not opened", FRAME_CANCEL, 0, 3, 0, 0},
        {"a reply to no call", FRAME_REPLY, FLAG_LAST, 2, 5, 5},
        {"progress of no call", FRAME_PROGRESS, 0, 2, 5, 5},
        {"a window of no stream", FRAME_WINDOW, 0, 7, 4, 4},
        {"an open too short", FRAME_OPEN, FLAG_LAST, 1, 5, 5},
        {"an open of our number", FRAME_OPEN, FLAG_LAST, 2, 6, 6},
        {"an open of number 0", FRAME_OPEN, FLAG_LAST, 0, 6, 6},
        {"an open that lacks its end", FRAME_OPEN, 0, 1, 6, 6},
    };
    static uint8_t zeros[2 * FRAME_MAX], p[4 * FRAME_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct foe foe = foe_new(bytes_of(NULL, 0));
        bool half = rows[i].n == SIZE_MAX;
        size_t n = frame(p, rows[i].type, rows[i].flags, rows[i].stream, rows[i].claim,
                         zeros, half ? 0 : rows[i].n);

        CHECK_(rows[i].what, foe_say(&foe, p, half ? 5 : n));
        CHECK_(rows[i].what, is_dropped(foe.fd));
        foe_free(&foe);
    }
    check_honest("frames that have no place");
}

static void test_hostile__messages_that_lie_of_their_size(void **state)
{
    static uint8_t p[NOISE_MESSAGE_MAX];
    size_t n;

    (void)state;
    for (int row = 0; row < 7; row++) {
        struct foe foe = foe_new(bytes_of(NULL, 0));

        n = 0;
        switch (row) {
        case 0: /* beyond the greatest message */
            n = open_frame(p, 1, ASK_ECHO, LINK_MESSAGE_MAX + 1, 100, false);
            break;
        case 1: /* an end before the end */
            n = open_frame(p, 1, ASK_ECHO, 1000, 100, true);
            break;
        case 2: /* more than was said */
            n = open_frame(p, 1, ASK_ECHO, 10, 100, true);
            break;
        case 3: /* a number used again */
            n = open_frame(p, 1, ASK_ECHO, 1, 1, true);
            n += open_frame(p + n, 1, ASK_ECHO, 1, 1, true);
            break;
        case 4: /* a smaller number */
            n = open_frame(p, 5, ASK_ECHO, 1, 1, true);
            n += open_frame(p + n, 3, ASK_ECHO, 1, 1, true);
            break;
        case 5: /* data after the end */
            n = open_frame(p, 1, ASK_NOTHING, 1, 1, true);
            n += frame(p + n, FRAME_DATA, FLAG_LAST, 1, 1, "x", 1);
            break;
        default: /* pieces of nothing */
            n = open_frame(p, 1, ASK_ECHO, 100, 10, false);
            n += frame(p + n, FRAME_DATA, 0, 1, 0, NULL, 0);
        }
        CHECK_("a lie", foe_say(&foe, p, n));
        CHECK_("a lie", is_dropped(foe.fd));
        foe_free(&foe);
    }
    check_honest("messages that lie");
}

static void test_hostile__more_streams_than_allowed(void **state)
{
    static uint8_t p[NOISE_MESSAGE_MAX];
    struct foe foe = foe_new(bytes_of(NULL, 0));
    size_t n = 0;

    (void)state;
    for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++)
        n += open_frame(p + n, 1 + 2 * i, ASK_NOTHING, 1, 1, true);
    assert_true(foe_say(&foe, p, n));
    check_honest("64 calls that wait");
    n = open_frame(p, 1001, ASK_NOTHING, 1, 1, true);
    assert_true(foe_say(&foe, p, n));
    assert_true(is_dropped(foe.fd));
    foe_free(&foe);
    check_honest("a 65th");
}

/* Announce 16 MiB 64 times and send a little: memory follows what came. */
static void test_hostile__slow_bodies_hold_no_memory(void **state)
{
    static uint8_t p[NOISE_MESSAGE_MAX];
    struct foe foes[8];
    size_t before = resident(), n = 0, after;
    struct hub_counters c;

    (void)state;
    for (size_t k = 0; k < COUNT(foes); k++) {
        foes[k] = foe_new(bytes_of(NULL, 0));
        n = 0;
        for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++)
            n += open_frame(p + n, 1 + 2 * i, ASK_ECHO, LINK_MESSAGE_MAX, 8, false);
        assert_true(foe_say(&foes[k], p, n));
    }
    usleep(100000);
    c = counters();
    assert_int_equal(c.receive_bytes, COUNT(foes) * LINK_STREAMS_MAX * 8);
    after = resident();
    assert_true(after < before + (32u << 20) || SANITIZED);
    check_honest("512 slow bodies");
    for (size_t k = 0; k < COUNT(foes); k++)
        foe_free(&foes[k]);
    usleep(100000);
    assert_int_equal(counters().receive_bytes, 0);
}

/* Sends data without end on one stream: credit ends it. */
static void test_hostile__data_beyond_its_window(void **state)
{
    static uint8_t p[NOISE_MESSAGE_MAX], body[FRAME_MAX];
    size_t n, sent = 0;
    struct foe foe = foe_new(bytes_of(NULL, 0)), other = foe_new(bytes_of(NULL, 0));

    (void)state;
    /* Two of 16 MiB have a reservation, the third has its window alone. */
    n = open_frame(p, 1, ASK_ECHO, LINK_MESSAGE_MAX, 1, false);
    n += open_frame(p + n, 3, ASK_ECHO, LINK_MESSAGE_MAX, 1, false);
    n += open_frame(p + n, 5, ASK_ECHO, LINK_MESSAGE_MAX, 1, false);
    assert_true(foe_say(&foe, p, n));
    for (; sent < 4 * WINDOW; sent += FRAME_MAX) {
        n = frame(p, FRAME_DATA, 0, 5, FRAME_MAX, body, FRAME_MAX);
        if (!foe_say(&foe, p, n))
            break;
    }
    assert_true(is_dropped(foe.fd));
    foe_free(&foe);
    n = open_frame(p, 1, ASK_BYTES, 4, 4, true);
    for (int i = 0; i < 10; i++) /* a window that never stops to grow */
        n += frame(p + n, FRAME_WINDOW, 0, 1, 4, "\x01\x00\x00\x00", 4);
    assert_true(foe_say(&other, p, n));
    n = frame(p, FRAME_WINDOW, 0, 1, 4, "\x7f\xff\xff\xff", 4);
    assert_true(foe_say(&other, p, n));
    assert_true(is_dropped(other.fd));
    foe_free(&other);
    check_honest("data beyond its window");
}

/* Asks for much and reads nothing; pings, cancels and opens without end. */
static void test_hostile__who_does_not_read_is_bounded(void **state)
{
    static uint8_t p[NOISE_MESSAGE_MAX];
    const uint32_t mb = 1 << 20;
    struct foe foe = foe_new(bytes_of(NULL, 0));
    size_t before = resident(), n = 0;

    (void)state;
    for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++) {
        size_t at = n;

        n += open_frame(p + n, 1 + 2 * i, ASK_BYTES, 4, 4, true);
        memcpy(p + at + FRAME_HEAD + 6, &mb, 4);
    }
    assert_true(foe_say(&foe, p, n));
    for (int i = 0; i < 2000; i++) {
        n = frame(p, FRAME_PING, 0, 0, 8, "12345678", 8);
        for (int k = 0; k < 100; k++)
            n += frame(p + n, FRAME_PING, 0, 0, 8, "12345678", 8);
        if (!foe_say(&foe, p, n))
            break;
    }
    check_honest("200000 pings and no reading");
    assert_true(resident() < before + (PEER_SEND_MAX + (32u << 20)) || SANITIZED);
    foe_free(&foe);
    foe = foe_new(bytes_of(NULL, 0));
    for (uint32_t i = 0, stream = 1; i < 500; i++) {
        n = 0;
        for (int k = 0; k < 40; k++, stream += 2) {
            n += open_frame(p + n, stream, ASK_NOTHING, 1, 1, true);
            n += frame(p + n, FRAME_CANCEL, 0, stream, 0, NULL, 0);
        }
        if (!foe_say(&foe, p, n))
            break;
    }
    check_honest("20000 calls that were cancelled");
    foe_free(&foe);
}

static void test_hostile__messages_that_are_not_its_own(void **state)
{
    uint8_t message[2 + 64], plain[FRAME_HEAD + 8];
    struct foe foe = foe_new(bytes_of(NULL, 0));
    size_t n = frame(plain, FRAME_PING, 0, 0, 8, "12345678", 8);

    (void)state;
    CHECK_OK_("encrypt", foe.cx,
              noise_encrypt(foe.cx, foe.noise, bytes_of(plain, n), message + 2));
    assert_true(foe_write(&foe, message, n + NOISE_TAG));
    assert_true(foe_write(&foe, message, n + NOISE_TAG)); /* replayed */
    assert_true(is_dropped(foe.fd));
    foe_free(&foe);
    foe = foe_new(bytes_of(NULL, 0));
    CHECK_OK_("encrypt", foe.cx,
              noise_encrypt(foe.cx, foe.noise, bytes_of(plain, n), message + 2));
    message[10] ^= 1;
    assert_true(foe_write(&foe, message, n + NOISE_TAG));
    assert_true(is_dropped(foe.fd));
    foe_free(&foe);
    foe = foe_new(bytes_of(NULL, 0));
    assert_true(foe_say(&foe, plain, n)); /* the neighbour: an honest ping is answered */
    assert_int_equal(foe_read(&foe, message), n + NOISE_TAG);
    foe_free(&foe);
    check_honest("messages that do not decrypt");
}

/* Without descriptors every accept fails at once: it is tried again after a pause, and
 * works as soon as there are some. */
static void test_hostile__no_descriptors_left(void **state)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)hub_port(server->hub))};
    struct hub_counters before = counters(), after;
    struct rlimit usual, none;
    int fds[8];

    (void)state;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (size_t i = 0; i < COUNT(fds); i++)
        assert_true((fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    none = usual;
    none.rlim_cur = 3; /* lower than every descriptor in use: the next one fails */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (size_t i = 0; i < COUNT(fds); i++)
        assert_int_equal(connect(fds[i], (struct sockaddr *)&to, sizeof to), 0);
    usleep(1000000);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    after = counters();
    CHECK_("it is tried again", after.accept_errors - before.accept_errors >= 3);
    CHECK_("and not all the time", after.accept_errors - before.accept_errors <= 20);
    check_honest("no descriptors");
    for (size_t i = 0; i < COUNT(fds); i++)
        (void)close(fds[i]);
}

/* A listener that answers a dial with FIN or RST, and one that says nothing. */
static void test_hostile__a_dialler_goes_on_dialling(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), accepted = 0;
    struct peer *a = peer_new(1, 0, 0);

    (void)state;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    peer_dial(a, server, ntohs(at.sin_port), true);
    for (int64_t begun = clock_mono_ms();
         a->failures < 4 && clock_mono_ms() - begun < LONG;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        peer_run(a, 5);
        if (poll(&p, 1, 0) > 0) {
            int peer = accept(fd, NULL, NULL);

            assert_true(peer >= 0);
            (void)shutdown(peer, SHUT_WR);
            hang_up(peer, accepted++ % 2 == 0);
        }
    }
    assert_true(accepted >= 4);
    peer_free(a);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile__fin_and_rst_do_not_stop_the_listener),
        cmocka_unit_test(test_hostile__one_address_has_so_many_connections),
        cmocka_unit_test(test_hostile__half_open_handshakes_are_bounded),
        cmocka_unit_test(test_hostile__a_slow_handshake_ends_at_its_deadline),
        cmocka_unit_test(test_hostile__junk_before_the_handshake),
        cmocka_unit_test(test_hostile__frames_that_have_no_place),
        cmocka_unit_test(test_hostile__messages_that_lie_of_their_size),
        cmocka_unit_test(test_hostile__more_streams_than_allowed),
        cmocka_unit_test(test_hostile__slow_bodies_hold_no_memory),
        cmocka_unit_test(test_hostile__data_beyond_its_window),
        cmocka_unit_test(test_hostile__who_does_not_read_is_bounded),
        cmocka_unit_test(test_hostile__messages_that_are_not_its_own),
        cmocka_unit_test(test_hostile__no_descriptors_left),
        cmocka_unit_test(test_hostile__a_dialler_goes_on_dialling),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/*
 * Hostile users of a relay, and hostile relays: what has no place ends the link, what is
 * too much is refused, and everybody else goes on being served.
 */
#include <sodium.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/check.h"
#include "tests/protocol/link_foe.h"

static const uint8_t foe_id[32] = {7, 1};
static const uint8_t stranger[32] = {3, 3, 3};
static uint8_t p[NOISE_MESSAGE_MAX];
static struct peer *far; /* an honest node, linked with the server */

static int set_up(void **state)
{
    (void)state;
    server = peer_new(2, 0, 0);
    peer_listen(server, 0);
    far = peer_new(8, 0, 0);
    peer_dial(far, server, hub_port(server->hub), true);
    peer_start(server);
    if (!peer_until(far, &far->ups, 1, 3000))
        return 1;
    peer_start(far);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    peer_free(far);
    peer_free(server);
    return 0;
}

static struct foe foe_of(const uint8_t id[32])
{
    return foe_new(bytes_of(id, 32));
}

/* The next frame of the relay kind, whole messages being read meanwhile; its body into p.
 */
static unsigned hear(struct foe *foe, uint32_t *ret_stream, size_t *ret_n)
{
    static uint8_t message[NOISE_MESSAGE_MAX];
    size_t n;

    while ((n = foe_read(foe, message)) > 0) {
        CHECK_OK_("decrypt", foe->cx,
                  noise_decrypt(foe->cx, foe->noise, bytes_of(message, n), message));
        if (message[0] < FRAME_RELAY_OPEN)
            continue;
        *ret_stream = get_u32(message + 2);
        *ret_n = get_u32(message + 6);
        memcpy(p, message + FRAME_HEAD, *ret_n);
        return message[0];
    }
    return 0;
}

static size_t open_relay(uint8_t *q, uint32_t stream, const uint8_t who[32], bool from)
{
    return frame(q, FRAME_RELAY_OPEN, from ? FLAG_FROM : 0, stream, 32, who, 32);
}

static void test_relay__refuses_in_words(void **state)
{
    const struct {
        const char *what;
        const uint8_t *who;
        bool from;
        const char *word;
    } rows[] = {
        {"to nobody's node", stranger, false, "no link"},
        {"to the relay itself", server->id, false, "third node"},
        {"back to who asks", foe_id, false, "third node"},
        {"from the node itself", server->id, true, "does not need"},
        {"from the relay itself", foe_id, true, "does not need"},
    };
    struct foe foe = foe_of(foe_id);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t stream = 0;
        size_t n = open_relay(p, 1 + 2 * (uint32_t)i, rows[i].who, rows[i].from);

        assert_true(foe_say(&foe, p, n));
        CHECK_EQ_(rows[i].what, hear(&foe, &stream, &n), FRAME_RELAY_CLOSE);
        CHECK_EQ_(rows[i].what, stream, 1 + 2 * i);
        p[n] = '\0';
        CHECK_(rows[i].what, strstr((char *)p, rows[i].word) != NULL);
    }
    CHECK_EQ_("no stream is left", counters().tunnels, 0);
    check_honest("refused streams");
    foe_free(&foe);
}

/* One that is let in, then `more` frames of the row. */
static void test_relay__what_has_no_place_ends_the_link(void **state)
{
    static const uint8_t zeros[FRAME_MAX];
    enum what { SHORT, LONG, EVEN, AGAIN, FLAGS, NEVER, EMPTY, SMALL, HUGE, MUCH, CLEAN };
    static const struct {
        const char *what;
        enum what kind;
        bool ends;
    } rows[] = {
        {"an id cut short", SHORT, true},
        {"an id too long", LONG, true},
        {"a stream of the other side's", EVEN, true},
        {"a stream for the second time", AGAIN, true},
        {"a flag that nobody knows", FLAGS, true},
        {"bytes of a stream that never was", NEVER, true},
        {"no bytes", EMPTY, true},
        {"a window too small", SMALL, true},
        {"a window that was not needed", HUGE, true},
        {"more than was granted", MUCH, true},
        {"none of it", CLEAN, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct foe foe = foe_of(foe_id);
        size_t n = open_relay(p, 1, far->id, false);
        uint8_t word[4];

        if (rows[i].kind == MUCH)
            peer_stop(far); /* it reads none, and ends nothing */
        assert_true(foe_say(&foe, p, n));
        put_u32(word, TUNNEL_GRANT - 1);
        if (rows[i].kind == SHORT)
            n = frame(p, FRAME_RELAY_OPEN, 0, 3, 31, far->id, 31);
        else if (rows[i].kind == LONG)
            n = frame(p, FRAME_RELAY_OPEN, 0, 3, 33, zeros, 33);
        else if (rows[i].kind == EVEN)
            n = open_relay(p, 2, far->id, false);
        else if (rows[i].kind == AGAIN)
            n = open_relay(p, 1, far->id, false);
        else if (rows[i].kind == FLAGS)
            n = frame(p, FRAME_RELAY_OPEN, 2, 3, 32, far->id, 32);
        else if (rows[i].kind == NEVER)
            n = frame(p, FRAME_RELAY_DATA, 0, 5, 1, "x", 1);
        else if (rows[i].kind == EMPTY)
            n = frame(p, FRAME_RELAY_DATA, 0, 1, 0, "", 0);
        else if (rows[i].kind == SMALL)
            n = frame(p, FRAME_RELAY_WINDOW, 0, 1, 4, word, 4);
        else if (rows[i].kind == HUGE) {
            put_u32(word, TUNNEL_GRANT);
            n = frame(p, FRAME_RELAY_WINDOW, 0, 1, 4, word, 4);
        } else if (rows[i].kind == CLEAN)
            n = frame(p, FRAME_RELAY_CLOSE, 0, 1, 3, "bye", 3);
        if (rows[i].kind == MUCH) {
            for (size_t sent = 0; sent <= TUNNEL_WINDOW; sent += FRAME_MAX) {
                n = frame(p, FRAME_RELAY_DATA, 0, 1, FRAME_MAX, zeros, FRAME_MAX);
                (void)foe_say(&foe, p, n);
            }
        } else {
            assert_true(foe_say(&foe, p, n));
        }
        if (!rows[i].ends) {
            n = frame(p, FRAME_RELAY_DATA, 0, 1, 4, "late", 4);
            assert_true(foe_say(&foe, p, n)); /* of an ended stream: passes unseen */
            n = frame(p, FRAME_OPEN, FLAG_LAST, 1, 7, "\0\1\0\0\0\1x", 7);
            assert_true(foe_say(&foe, p, n));
            CHECK_(rows[i].what, foe_read(&foe, p) > 0);
        } else {
            CHECK_(rows[i].what, is_dropped(foe.fd));
        }
        if (rows[i].kind == MUCH)
            peer_start(far);
        foe_free(&foe);
        usleep(20000);
    }
    check_honest("what has no place");
    usleep(300000);
    CHECK_EQ_("no stream is left", counters().tunnels, 0);
    CHECK_EQ_("nothing is held", server->hub->tunnel_bytes, 0);
}

/* Opened, and not a word more: the far node gives up as on a silent connection. */
static void test_relay__half_open_streams_end(void **state)
{
    struct foe foe = foe_of(foe_id);
    size_t n = 0;

    (void)state;
    for (uint32_t i = 0; i < 8; i++)
        n += open_relay(p + n, 1 + 2 * i, far->id, false);
    assert_true(foe_say(&foe, p, n));
    usleep(300000);
    CHECK_EQ_("they are carried", counters().tunnels, 16);
    usleep((LINK_HANDSHAKE_MS + 1000) * 1000);
    CHECK_EQ_("and ended by the far node", counters().tunnels, 0);
    check_honest("half-open streams");
    foe_free(&foe);
}

/* Far more streams than a node may have; whoever reads the refusals keeps its link. */
static void test_relay__a_flood_is_refused(void **state)
{
    enum { FLOOD = 2000 };
    struct foe foe = foe_of(stranger);
    size_t refused = 0;

    (void)state;
    for (uint32_t i = 0; i < FLOOD; i++) {
        uint32_t stream;
        size_t n = open_relay(p, 1 + 2 * i, far->id, false);

        assert_true(foe_say(&foe, p, n));
        if (i >= TUNNEL_OPENS_BURST) {
            if (hear(&foe, &stream, &n) == FRAME_RELAY_CLOSE)
                refused++;
            else
                break;
        }
    }
    CHECK_("most are refused", refused > FLOOD - 2 * TUNNEL_OPENS_BURST - 100);
    CHECK_("few are carried", counters().tunnels <= 2 * TUNNELS_OF_NODE_MAX);
    check_honest("a flood of streams");
    foe_free(&foe);
    usleep(300000);
    CHECK_EQ_("they end with their link", counters().tunnels, 0);
}

/* Streams that are filled and ended at once, to nodes that do not read: what they left
 * behind is the sender's still. */
static void test_relay__what_ended_streams_left_counts(void **state)
{
    enum { STREAMS = 120, DEAF = 4, PLENTY = 1 << 30 };
    static const uint8_t zeros[FRAME_MAX], id[32] = {7, 2};
    struct foe foe = foe_of(id);
    struct peer *deaf[DEAF];

    (void)state;
    for (uint8_t i = 0; i < DEAF; i++) {
        deaf[i] = peer_new((uint8_t)(40 + i), 0, 0);
        peer_dial(deaf[i], server, hub_port(server->hub), true);
        assert_true(peer_until(deaf[i], &deaf[i]->ups, 1, 3000));
    }
    peer_stop(server);
    server->hub->setup.share = (struct relay_limits){
        .rate = PLENTY, .pair_rate = PLENTY, .held = PLENTY, .pair_held = PLENTY};
    peer_start(server);
    for (uint32_t i = 0; i < STREAMS; i++) {
        size_t n = open_relay(p, 1 + 2 * i, deaf[i % DEAF]->id, false);

        assert_true(foe_say(&foe, p, n));
        for (size_t sent = 0; sent < TUNNEL_WINDOW; sent += FRAME_MAX) {
            n = frame(p, FRAME_RELAY_DATA, 0, 1 + 2 * i, FRAME_MAX, zeros, FRAME_MAX);
            assert_true(foe_say(&foe, p, n));
        }
        n = frame(p, FRAME_RELAY_CLOSE, 0, 1 + 2 * i, 3, "bye", 3);
        assert_true(foe_say(&foe, p, n));
    }
    usleep(500000);
    peer_stop(server);
    CHECK_("something waits", server->hub->tunnel_bytes > 0);
    CHECK_("no more than one node's",
           server->hub->tunnel_bytes <= TUNNEL_BYTES_OF_NODE_MAX);
    server->hub->setup.share = (struct relay_limits){0};
    peer_start(server);
    check_honest("ended streams");
    foe_free(&foe);
    for (size_t i = 0; i < DEAF; i++)
        peer_free(deaf[i]);
    usleep(500000);
    CHECK_EQ_("nothing stays", counters().tunnels, 0);
}

static void test_relay__is_for_nodes_only(void **state)
{
    struct foe foe;
    size_t n;

    (void)state;
    peer_stop(server);
    server->researchers = true;
    peer_start(server);
    foe = foe_of(stranger);
    n = open_relay(p, 1, far->id, false);
    assert_true(foe_say(&foe, p, n));
    CHECK_("a researcher's stream ends its link", is_dropped(foe.fd));
    foe_free(&foe);
    peer_stop(server);
    server->researchers = false;
    peer_start(server);
}

/* A relay that says it brings one node and brings itself; the handshake tells. */
static bool knock_as(struct foe *foe, uint32_t stream, const uint8_t from[32],
                     const uint8_t hello[32])
{
    uint8_t secret[32], message[4096], payload[4096];
    struct noise_setup setup = {.protocol = "Noise_XK_25519_ChaChaPoly_SHA256",
                                .initiator = true,
                                .prologue = bytes_of("cohortium/1 test", 16),
                                .static_secret = secret,
                                .remote_static = server->key};
    struct noise *noise = NULL;
    unsigned heard;
    size_t n;

    randombytes_buf(secret, 32);
    CHECK_OK_("noise", foe->cx, noise_new(foe->cx, &setup, &noise));
    assert_true(foe_say(foe, p, open_relay(p, stream, from, true)));
    CHECK_OK_("1", foe->cx,
              noise_write(foe->cx, noise, bytes_of(NULL, 0), message + 2, 4000, &n));
    put_u16(message, (unsigned)n);
    assert_true(foe_say(
        foe, p, frame(p, FRAME_RELAY_DATA, 0, stream, (uint32_t)n + 2, message, n + 2)));
    assert_int_equal(hear(foe, &stream, &n), FRAME_RELAY_DATA);
    CHECK_OK_("2", foe->cx,
              noise_read(foe->cx, noise, bytes_of(p + 2, n - 2), payload, 4096, &n));
    CHECK_OK_("3", foe->cx,
              noise_write(foe->cx, noise, bytes_of(hello, 32), message + 2, 4000, &n));
    put_u16(message, (unsigned)n);
    assert_true(foe_say(
        foe, p, frame(p, FRAME_RELAY_DATA, 0, stream, (uint32_t)n + 2, message, n + 2)));
    heard = hear(foe, &stream, &n);
    noise_free(&noise);
    return heard == FRAME_RELAY_DATA; /* WELCOME */
}

static void test_relay__brings_whom_it_names(void **state)
{
    struct foe foe = foe_of(foe_id);
    const uint8_t other[32] = {6, 6};

    (void)state;
    CHECK_("the node it named", knock_as(&foe, 1, stranger, stranger));
    CHECK_("another than it named", !knock_as(&foe, 3, stranger, other));
    check_honest("a relay that lies");
    foe_free(&foe);
}

/* ---- one hop ---- */

/* Over a relayed link no stream is opened; nor does an honest node ask for one. */
static void test_relay__one_hop(void **state)
{
    struct peer *a = peer_new(1, 0, 0), *b = peer_new(9, 0, 0), *c = peer_new(4, 0, 0);

    (void)state;
    peer_dial(a, server, hub_port(server->hub), true);
    peer_dial(b, server, hub_port(server->hub), true);
    peer_reach(a, b);
    peer_start(b);
    for (int i = 0; i < 300 && hub_find(a->hub, b->id) == NULL; i++)
        peer_run(a, 10);
    struct link *inner = hub_find(a->hub, b->id);
    CHECK_("linked through the relay", inner != NULL && link_relay(inner) != NULL);
    CHECK_("which is no direct link", hub_direct(a->hub, b->id) == NULL);
    peer_reach(a, c);
    peer_run(a, 1000);
    CHECK_("it carries nothing", inner == hub_find(a->hub, b->id) && inner->n_tunnels == 0);
    CHECK_EQ_("and goes on", a->downs, 0);
    CHECK_("not even when told to", tunnel_to(inner, c->id) != NULL);
    CHECK_("the far node ends such a link", peer_until(a, &a->downs, 1, 1000));
    peer_free(a);
    peer_free(b);
    peer_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relay__refuses_in_words),
        cmocka_unit_test(test_relay__what_has_no_place_ends_the_link),
        cmocka_unit_test(test_relay__half_open_streams_end),
        cmocka_unit_test(test_relay__a_flood_is_refused),
        cmocka_unit_test(test_relay__what_ended_streams_left_counts),
        cmocka_unit_test(test_relay__brings_whom_it_names),
        cmocka_unit_test(test_relay__one_hop),
        cmocka_unit_test(test_relay__is_for_nodes_only),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

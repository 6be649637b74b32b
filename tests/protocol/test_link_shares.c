/*
 * What one peer may take of its host's links, memory and calls: its share, and no more,
 * over however many links it opens. Everybody else goes on being served.
 */
#include <sodium.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/check.h"
#include "tests/protocol/link_foe.h"

static const uint8_t one_id[32] = {7, 7, 7};
static uint8_t p[NOISE_MESSAGE_MAX];

static int set_up(void **state)
{
    (void)state;
    server = peer_new(2, 0, 0);
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

static struct foe foe_of_one(void)
{
    return foe_new(bytes_of(one_id, sizeof one_id));
}

/* All but the last byte of two messages of 16 MiB, on each of several links. */
static void test_shares__room_for_what_comes(void **state)
{
    static const uint8_t piece[FRAME_MAX];
    struct foe foes[LINKS_OF_NODE_MAX];

    (void)state;
    for (size_t k = 0; k < COUNT(foes); k++) {
        foes[k] = foe_of_one();
        for (uint32_t stream = 1; stream <= 3; stream += 2) {
            size_t n = open_frame(p, stream, ASK_ECHO, LINK_MESSAGE_MAX, 1, false);
            bool more = foe_say(&foes[k], p, n);

            for (size_t at = 1; more && at + FRAME_MAX < LINK_MESSAGE_MAX;) {
                for (n = 0; n + FRAME_HEAD + FRAME_MAX < PLAIN_MAX &&
                            at + FRAME_MAX < LINK_MESSAGE_MAX;
                     at += FRAME_MAX)
                    n += frame(p + n, FRAME_DATA, 0, stream, FRAME_MAX, piece, FRAME_MAX);
                more = foe_say(&foes[k], p, n);
            }
        }
    }
    usleep(200000);
    struct hub_counters c = counters();
    CHECK_("its own room is used", c.receive_bytes > LINK_MESSAGE_MAX);
    CHECK_("and nobody else's", c.receive_bytes <= 3u * LINK_MESSAGE_MAX);
    check_honest("one peer with much to say");
    for (size_t k = 0; k < COUNT(foes); k++)
        foe_free(&foes[k]);
    usleep(200000);
    CHECK_EQ_("it is given back", counters().receive_bytes, 0);
}

/* Links that drain go when their calls end: a peer that ends none keeps a few. */
static void test_shares__links(void **state)
{
    struct foe foes[4 * LINKS_OF_NODE_MAX];

    (void)state;
    for (size_t k = 0; k < COUNT(foes); k++) {
        foes[k] = foe_of_one();
        size_t n = open_frame(p, 1, ASK_NOTHING, 1, 1, true);

        assert_true(foe_say(&foes[k], p, n));
    }
    usleep(200000);
    CHECK_EQ_("links of one node", counters().links, LINKS_OF_NODE_MAX);
    CHECK_("the oldest is gone", is_dropped(foes[0].fd));
    CHECK_("the newest stays", foe_say(&foes[COUNT(foes) - 1], p,
                                       frame(p, FRAME_PING, 0, 0, 8, "12345678", 8)) &&
                                   foe_read(&foes[COUNT(foes) - 1], p) > 0);
    check_honest("many links of one node");
    for (size_t k = 0; k < COUNT(foes); k++)
        foe_free(&foes[k]);
}

/* A link that goes down leaves its calls behind: they count until they are answered. */
static void test_shares__calls_left_behind(void **state)
{
    int before = server->served;

    (void)state;
    for (int turn = 0; turn < 4; turn++) {
        struct foe foe = foe_of_one();
        size_t n = 0;

        for (uint32_t i = 0; i < LINK_STREAMS_MAX; i++)
            n += open_frame(p + n, 1 + 2 * i, ASK_HOLD, 1, 1, true);
        assert_true(foe_say(&foe, p, n));
        usleep(50000);
        foe_free(&foe);
        usleep(50000);
    }
    CHECK_EQ_("calls of one peer at work", server->served - before, SERVED_MAX);
    check_honest("calls left behind");
    usleep((HOLD_MS + 300) * 1000);
    before = server->served;
    struct foe foe = foe_of_one();
    assert_true(foe_say(&foe, p, open_frame(p, 1, ASK_ECHO, 1, 1, true)));
    usleep(100000);
    CHECK_EQ_("answered, they count no more", server->served - before, 1);
    foe_free(&foe);
}

/* The owner gives callers who have little to say a smaller bound. */
static void test_shares__small_messages(void **state)
{
    static uint8_t body[1001];
    struct peer *small = peer_new(1, 0, 0);
    struct result r;

    (void)state;
    server->message_max = 1000;
    peer_dial(small, server, hub_port(server->hub), true);
    assert_true(peer_until(small, &small->ups, 1, 3000));
    r = peer_call(small, ASK_ECHO, bytes_of(body, 1000), 3000);
    CHECK_EQ_("at the bound", r.fault, FAULT_NONE);
    r = peer_call(small, ASK_ECHO, bytes_of(body, 1001), 3000);
    CHECK_EQ_("beyond it", r.fault, FAULT_BOUND);
    r = peer_call(small, ASK_ECHO, bytes_of(body, 1), 3000);
    CHECK_EQ_("the link goes on", r.fault, FAULT_NONE);
    peer_free(small);
    server->message_max = 0;
}

/* A researcher's id is what a credential says: it may be a node's, and is never taken for
 * it. */
static void test_shares__a_researcher_is_no_node(void **state)
{
    for (int researcher = 0; researcher < 2; researcher++) {
        struct foe foe;

        (void)state;
        server->researchers = researcher != 0;
        foe = foe_of_one();
        usleep(50000);
        peer_stop(server);
        CHECK_EQ_("found as a node", hub_find(server->hub, one_id) != NULL, !researcher);
        peer_start(server);
        foe_free(&foe);
        usleep(100000);
    }
    server->researchers = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares__room_for_what_comes),
        cmocka_unit_test(test_shares__links),
        cmocka_unit_test(test_shares__calls_left_behind),
        cmocka_unit_test(test_shares__small_messages),
        cmocka_unit_test(test_shares__a_researcher_is_no_node),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

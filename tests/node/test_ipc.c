/* What may pass between net and vault, and that neither can make the other wait or grow. */
#include "node/ipc.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/link.h"
#include "tests/check.h"

static struct cx *cx;

static int set_up(void **state)
{
    (void)state;
    cx = cx_new(1 << 20, CX_NO_DEADLINE);
    return cx == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    cx_free(&cx);
    return 0;
}

/* On whoever's behalf. */
static bool passes(enum ipc_side sender, unsigned kind, unsigned code, size_t size)
{
    bool any = false;

    for (unsigned role = 0; role < 256; role++)
        any = any || ipc_is_allowed(sender, kind, code, size, role);
    return any;
}

/* Everything that the table does not name is denied: kinds, codes, directions, sizes. */
static void test_ipc__what_may_pass(void **state)
{
    static const unsigned calls[] = {
        SERVICE_CATALOG,   SERVICE_CODEBOOK, SERVICE_SITES, SERVICE_PREFLIGHT,
        SERVICE_BEGIN,     SERVICE_STEP,     SERVICE_ABORT, SERVICE_ADD_CHECKPOINT,
        SERVICE_PROVE,     SERVICE_HELD,     SERVICE_ROUND, SERVICE_ROUND_DONE,
        SERVICE_PEER_HOLDS, SERVICE_DRAWER,   SERVICE_REVOCATIONS};
    size_t allowed = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(calls); i++)
        assert_true(passes(IPC_NET, IPC_CALL, calls[i], 100));
    assert_true(passes(IPC_NET, IPC_ADMIT, 0, 100));
    assert_true(passes(IPC_NET, IPC_LINKS, 0, 100));
    assert_true(passes(IPC_NET, IPC_OFFER, 0, LINK_MESSAGE_MAX));
    for (unsigned kind = 0; kind < 32; kind++)
        for (unsigned code = 0; code < 300; code++)
            allowed += passes(IPC_NET, kind, code, 100);
    assert_int_equal(allowed, COUNT(calls) + 3);
    assert_true(passes(IPC_VAULT, IPC_HELLO, 0, 100));
    assert_true(passes(IPC_VAULT, IPC_REPLY, 0, LINK_MESSAGE_MAX));
    assert_true(passes(IPC_VAULT, IPC_FAIL, FAULT_DENIED, 100));
    assert_true(passes(IPC_VAULT, IPC_MANIFEST, 0, LINK_MESSAGE_MAX));
    assert_true(passes(IPC_VAULT, IPC_REVOKED, 0, 32));
    assert_false(passes(IPC_NET, IPC_MANIFEST, 0, 100));
    assert_false(passes(IPC_NET, IPC_REVOKED, 0, 32));
    assert_false(passes(IPC_VAULT, IPC_OFFER, 0, 100));
    assert_true(passes(IPC_VAULT, IPC_REVOCATIONS, 0, 1000));
    assert_false(passes(IPC_NET, IPC_REVOCATIONS, 0, 1000));
    assert_true(passes(IPC_NET, IPC_CALL, SERVICE_REVOCATIONS, 1000));
    assert_false(passes(IPC_NET, IPC_CALL, SERVICE_REVOCATIONS, 1 << 20));
    assert_true(passes(IPC_VAULT, IPC_GREW, 0, 0));
    assert_true(passes(IPC_VAULT, IPC_ASK_PEERS, 0, 0));
    assert_false(passes(IPC_VAULT, IPC_GREW, 0, 1)); /* nothing of the log in it */
    assert_false(passes(IPC_VAULT, IPC_ASK_PEERS, 0, 9));
    assert_false(passes(IPC_NET, IPC_GREW, 0, 0));
    assert_false(passes(IPC_NET, IPC_CALL, SERVICE_WITNESS, 100));
    assert_false(passes(IPC_NET, IPC_CALL, SERVICE_ADD_CHECKPOINT, 17 * 1024));
    assert_false(passes(IPC_VAULT, IPC_CALL, SERVICE_STEP, 100));
    assert_false(passes(IPC_NET, IPC_REPLY, 0, 100));
    assert_false(passes(IPC_NET, IPC_CALL, SERVICE_STEP, LINK_MESSAGE_MAX + 1u));
    assert_false(passes(IPC_NET, IPC_CALL, SERVICE_PREFLIGHT, LINK_MESSAGE_MAX));
    assert_false(passes(IPC_NET, IPC_CALL, SERVICE_ABORT, 100 * 1024));
    assert_false(passes(IPC_NET, IPC_LINKS, 0, LINK_MESSAGE_MAX));
    assert_false(passes(IPC_VAULT, IPC_FAIL, FAULT_DENIED, LINK_MESSAGE_MAX));
}

/* On whose behalf each may be said, and on nobody else's: a researcher steps no session, a
 * member opens no drawer, and the vault speaks for nobody. */
static void test_ipc__on_whose_behalf(void **state)
{
    enum { S = IPC_SELF, M = IPC_MEMBER, R = IPC_RESEARCHER };
    static const struct {
        const char *what;
        unsigned kind, code, roles;
    } rows[] = {
        {"catalog", IPC_CALL, SERVICE_CATALOG, M},
        {"codebook", IPC_CALL, SERVICE_CODEBOOK, S | M},
        {"sites", IPC_CALL, SERVICE_SITES, R},
        {"preflight", IPC_CALL, SERVICE_PREFLIGHT, S | M},
        {"begin", IPC_CALL, SERVICE_BEGIN, S | M},
        {"step", IPC_CALL, SERVICE_STEP, S | M},
        {"abort", IPC_CALL, SERVICE_ABORT, S | M},
        {"drawer", IPC_CALL, SERVICE_DRAWER, S | R},
        {"checkpoint", IPC_CALL, SERVICE_ADD_CHECKPOINT, M},
        {"prove", IPC_CALL, SERVICE_PROVE, S | M},
        {"held", IPC_CALL, SERVICE_HELD, M},
        {"revocations", IPC_CALL, SERVICE_REVOCATIONS, M},
        {"round", IPC_CALL, SERVICE_ROUND, S},
        {"round done", IPC_CALL, SERVICE_ROUND_DONE, S},
        {"peer holds", IPC_CALL, SERVICE_PEER_HOLDS, S},
        {"admit", IPC_ADMIT, 0, R},
        {"links", IPC_LINKS, 0, S},
        {"offer", IPC_OFFER, 0, M},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (unsigned role = 0; role < 256; role++) {
            bool one = role == S || role == M || role == R; /* not two at once */

            CHECK_EQ_(rows[i].what,
                      ipc_is_allowed(IPC_NET, rows[i].kind, rows[i].code, 1, role),
                      one && (rows[i].roles & role) != 0);
        }
    for (unsigned role = 0; role < 256; role++)
        CHECK_EQ_("the vault", ipc_is_allowed(IPC_VAULT, IPC_REPLY, 0, 1, role), role == 0);
}

/* What a compromised net writes: the reader takes nothing of it. */
static void test_ipc__denied_frames_end_it(void **state)
{
    static const struct {
        const char *what;
        uint8_t header[IPC_HEADER];
        enum fault want;
    } rows[] = {
        {"an abort of nothing",
         {0, 0, 0, 0, IPC_CALL, 0, SERVICE_ABORT, 0, [16] = IPC_MEMBER},
         FAULT_NONE},
        {"an abort for nobody", {0, 0, 0, 0, IPC_CALL, 0, SERVICE_ABORT, 0}, FAULT_FORMAT},
        {"an abort for a researcher",
         {0, 0, 0, 0, IPC_CALL, 0, SERVICE_ABORT, 0, [16] = IPC_RESEARCHER},
         FAULT_FORMAT},
        {"a kind that is not there", {0, 0, 0, 0, 19, 0, 0, 0}, FAULT_FORMAT},
        {"a revocation from net", {0, 0, 0, 0, IPC_REVOKED, 0, 0, 0}, FAULT_FORMAT},
        {"a reply from net", {0, 0, 0, 0, IPC_REPLY, 0, 0, 0}, FAULT_FORMAT},
        {"a service that is not there",
         {0, 0, 0, 0, IPC_CALL, 0, 77, 0, [16] = IPC_SELF},
         FAULT_FORMAT},
        {"a length of 4 GiB",
         {255, 255, 255, 255, IPC_CALL, 0, SERVICE_STEP, 0, [16] = IPC_SELF},
         FAULT_FORMAT},
        {"a code of two bytes",
         {0, 0, 0, 0, IPC_CALL, 0, SERVICE_STEP, 1, [16] = IPC_SELF},
         FAULT_FORMAT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ipc_reader r = {.sender = IPC_NET};
        struct ipc_message m;
        uint8_t *memory = NULL;
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        assert_int_equal(write(pair[0], rows[i].header, 7), 7); /* in two pieces */
        CHECK_OK_("half a header", cx, ipc_read(cx, &r, pair[1]));
        assert_false(ipc_next(&r, &m, &memory));
        assert_int_equal(write(pair[0], rows[i].header + 7, IPC_HEADER - 7),
                         IPC_HEADER - 7);
        CHECK_EQ_(rows[i].what, ipc_read(cx, &r, pair[1]), rows[i].want);
        CHECK_EQ_(rows[i].what, ipc_next(&r, &m, &memory), rows[i].want == FAULT_NONE);
        free(memory);
        ipc_reader_free(&r);
        (void)close(pair[0]);
        (void)close(pair[1]);
    }
}

/* A writer that may not wait keeps what the socket does not take, up to its bound; what is
 * read at the other end is what was put, in order. */
static void test_ipc__a_writer_does_not_wait(void **state)
{
    enum { BODY = 1 << 20 };
    struct ipc_writer w = {.sender = IPC_NET};
    struct ipc_reader r = {.sender = IPC_NET};
    uint8_t *body = calloc(1, BODY), *memory;
    struct ipc_message m = {.kind = IPC_CALL,
                            .code = SERVICE_STEP,
                            .from = {.role = IPC_MEMBER, .id = {1, [31] = 32}},
                            .body = {body, BODY}};
    enum fault fault = FAULT_NONE;
    uint64_t put = 0, got = 0;
    int pair[2];

    (void)state;
    assert_non_null(body);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    while (put < 1000) { /* nobody reads */
        m.id = put;
        body[BODY - 1] = (uint8_t)put;
        if ((fault = ipc_put(cx, &w, pair[0], &m)) != FAULT_NONE)
            break;
        put++;
    }
    CHECK_EQ_("the bound", fault, FAULT_UNAVAILABLE);
    assert_true(put > 100 && w.waiting <= IPC_WAITING_MAX);
    while (got < put) {
        CHECK_OK_("flush", cx, ipc_flush(cx, &w, pair[0]));
        CHECK_OK_("read", cx, ipc_read(cx, &r, pair[1]));
        while (ipc_next(&r, &m, &memory)) {
            CHECK_EQ_("in order", m.id, got);
            CHECK_EQ_("whole", m.body.n, BODY);
            CHECK_("whose", m.from.role == IPC_MEMBER && m.from.id[0] == 1 &&
                                m.from.id[30] == 0 && m.from.id[31] == 32);
            CHECK_EQ_("to its last byte", m.body.p[BODY - 1], (uint8_t)got);
            free(memory);
            got++;
        }
    }
    assert_int_equal(w.waiting, 0);
    assert_null(w.first);
    m = (struct ipc_message){.kind = IPC_HELLO};
    CHECK_EQ_("the table holds for it", ipc_put(cx, &w, pair[0], &m), FAULT_INTERNAL);
    (void)close(pair[1]);
    m = (struct ipc_message){
        .kind = IPC_CALL, .code = SERVICE_STEP, .from = {.role = IPC_SELF}};
    CHECK_EQ_("nobody there", ipc_put(cx, &w, pair[0], &m), FAULT_UNAVAILABLE);
    ipc_writer_free(&w);
    ipc_reader_free(&r);
    free(body);
    (void)close(pair[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipc__what_may_pass),
        cmocka_unit_test(test_ipc__on_whose_behalf),
        cmocka_unit_test(test_ipc__denied_frames_end_it),
        cmocka_unit_test(test_ipc__a_writer_does_not_wait),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/*
 * Witnesses, as net carries them: who may show what, one at a time; rounds after the log
 * grew; proofs that nobody waits for in vain.
 */
#include "tests/node/net_case.h"

#include "protocol/checkpoint.h"

static atomic_int shown,
    hang; /* calls of ADD_CHECKPOINT that peers got; they do not answer */
static struct served *hung[16];

/* ---- bodies ---- */

static struct bytes packed(const ProtobufCMessage *m)
{
    struct bytes b;

    CHECK_OK_("pack", cx, pb_pack(cx, m, &b));
    return b;
}

/* A checkpoint of member i's log; net looks at whose it says that it is, no further. */
static struct bytes checkpoint_of(int i)
{
    Cohortium__AddCheckpointCall call = COHORTIUM__ADD_CHECKPOINT_CALL__INIT;
    const char *note, *origin = checkpoint_origin(cx, c.manifest->consortium,
                                                  c.manifest->body->members[i]->name);
    uint8_t root[32] = {1};

    CHECK_OK_("sign", cx, checkpoint_sign(cx, origin, 5, root, c.node[i], &note));
    call.checkpoint = (char *)(uintptr_t)note;
    return packed(&call.base);
}

static struct bytes prove_call(uint32_t wait_ms)
{
    Cohortium__ProveCall call = COHORTIUM__PROVE_CALL__INIT;

    call.wait_ms = wait_ms;
    return packed(&call.base);
}

/* The next call of one service; the others pass, but none may be of `never`. */
static struct ipc_message next_of(struct node *n, enum service service, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;
    struct ipc_message m;
    uint8_t *memory;

    for (;;) {
        while (ipc_next(&n->reader, &m, &memory)) {
            m.body.p = cx_memdup(cx, m.body.p, m.body.n);
            free(memory);
            if (m.kind == IPC_CALL && m.code == service)
                return m;
        }
        struct pollfd p = {.fd = n->vault, .events = POLLIN};
        int64_t left = until - clock_mono_ms();

        if (left <= 0 || poll(&p, 1, (int)left) <= 0)
            return (struct ipc_message){0};
        CHECK_OK_("read", cx, ipc_read(cx, &n->reader, n->vault));
    }
}

static void reply(struct node *n, const struct ipc_message *to, struct bytes body)
{
    CHECK_OK_(
        "reply", cx,
        ipc_send(cx, n->vault, IPC_VAULT,
                 &(struct ipc_message){.kind = IPC_REPLY, .id = to->id, .body = body}));
}

static void grew(struct node *n)
{
    CHECK_OK_("grew", cx,
              ipc_send(cx, n->vault, IPC_VAULT, &(struct ipc_message){.kind = IPC_GREW}));
}

/* A peer that cosigns, in a word, or says nothing at all. */
static bool cosign(enum service service, struct bytes body, struct served *served)
{
    Cohortium__AddCheckpointReply r = COHORTIUM__ADD_CHECKPOINT_REPLY__INIT;
    AUTO_CX struct cx *own = cx_new(1 << 16, CX_NO_DEADLINE);
    struct bytes b;

    (void)body;
    if (service != SERVICE_ADD_CHECKPOINT)
        return false;
    int k = shown++;
    if (hang) {
        hung[k % 16] = served;
        return true;
    }
    r.cosignature = (char *)(uintptr_t) "a line";
    if (own == NULL || pb_pack(own, &r.base, &b) != FAULT_NONE)
        abort();
    served_reply(served, b);
    return true;
}

/* What the vault would show to all that net named. */
static size_t answer_round(struct node *n, const struct ipc_message *m)
{
    Cohortium__RoundCall *call;
    Cohortium__RoundReply r = COHORTIUM__ROUND_REPLY__INIT;
    Cohortium__AddCheckpointCall show = COHORTIUM__ADD_CHECKPOINT_CALL__INIT;
    Cohortium__PeerTurn turns[4], *list[4];

    CHECK_OK_("round", cx,
              pb_unpack(cx, &cohortium__round_call__descriptor, m->body, 1 << 16, &call));
    assert_true(call->n_peers <= COUNT(turns));
    show.checkpoint = (char *)(uintptr_t) "a note";
    for (size_t i = 0; i < call->n_peers; i++) {
        cohortium__peer_turn__init(&turns[i]);
        turns[i].node_id = call->peers[i];
        turns[i].call = &show;
        list[i] = &turns[i];
    }
    r.turns = list;
    r.n_turns = call->n_peers;
    reply(n, m, packed(&r.base));
    return call->n_peers;
}

static size_t told(struct node *n, int64_t ms)
{
    struct ipc_message m = next_of(n, SERVICE_ROUND_DONE, ms);
    Cohortium__RoundDoneReply done = COHORTIUM__ROUND_DONE_REPLY__INIT;
    Cohortium__RoundDoneCall *call;

    CHECK_EQ_("the vault hears of it", m.kind, IPC_CALL);
    CHECK_OK_(
        "done", cx,
        pb_unpack(cx, &cohortium__round_done_call__descriptor, m.body, 1 << 16, &call));
    assert_string_equal(call->checkpoint, "a note");
    reply(n, &m, packed(&done.base));
    return call->n_answers;
}

/* ---- tests ---- */

static void test_net_witness__a_member_shows_its_own_log(void **state)
{
    struct result r, second;
    struct ipc_message m;
    struct node n;

    (void)state;
    node_start(&n);
    struct peer *member = linked_as(&n, c.node[1], (struct bytes){0});
    struct peer *person = researcher(&n, c.researcher);
    r = peer_call(member, SERVICE_ADD_CHECKPOINT, checkpoint_of(2), LONG);
    CHECK_EQ_("another's", r.fault, FAULT_DENIED);
    r = peer_call(member, SERVICE_ADD_CHECKPOINT, checkpoint_of(0), LONG);
    CHECK_EQ_("ours", r.fault, FAULT_DENIED);
    r = peer_call(member, SERVICE_ADD_CHECKPOINT, bytes_of("x", 1), LONG);
    CHECK_EQ_("none", r.fault, FAULT_DENIED);
    r = peer_call(person, SERVICE_ADD_CHECKPOINT, checkpoint_of(1), LONG);
    CHECK_EQ_("a researcher", r.fault, FAULT_DENIED);
    r = peer_call(person, SERVICE_PROVE, prove_call(0), LONG);
    CHECK_EQ_("a researcher", r.fault, FAULT_DENIED);
    r = peer_call(person, SERVICE_HELD, bytes_of("", 0), LONG);
    CHECK_EQ_("a researcher", r.fault, FAULT_DENIED);
    r = peer_call(member, SERVICE_WITNESS, bytes_of("", 0), LONG);
    CHECK_EQ_("a member, what researchers may", r.fault, FAULT_DENIED);
    CHECK_EQ_("nothing of it reached the vault",
              next_of(&n, SERVICE_ADD_CHECKPOINT, 50).kind, 0);
    for (int turn = 0; turn < 2; turn++) {
        (void)peer_begin(member, SERVICE_ADD_CHECKPOINT, checkpoint_of(1), LONG, &r);
        peer_run(member, 50);
        m = next_of(&n, SERVICE_ADD_CHECKPOINT, LONG);
        CHECK_EQ_("its own reaches the vault", m.kind, IPC_CALL);
        second = peer_call(member, SERVICE_ADD_CHECKPOINT, checkpoint_of(1), LONG);
        CHECK_EQ_("while that is judged no other", second.fault, FAULT_UNAVAILABLE);
        reply(&n, &m, bytes_of("judged", 6));
        assert_true(peer_until(member, &r.done, 1, LONG));
        CHECK_EQ_("judged", r.fault, FAULT_NONE);
    }
    peer_free(member);
    peer_free(person);
    node_stop(&n);
}

/* The round has everybody who is linked; it does not wait for one who says nothing, and
 * leaves that one out until it has. */
static void test_net_witness__rounds(void **state)
{
    struct ipc_message m;
    struct node n;

    (void)state;
    shown = 0;
    hang = 0;
    serve_peer = cosign;
    node_start(&n);
    grew(&n);
    CHECK_EQ_("nobody is linked", next_of(&n, SERVICE_ROUND, 1000).kind, 0);
    struct peer *b = linked_as(&n, c.node[1], (struct bytes){0});
    peer_start(b);
    m = next_of(&n, SERVICE_ROUND, LONG);
    CHECK_EQ_("one that links sees it", answer_round(&n, &m), 1);
    CHECK_EQ_("and answers", told(&n, LONG), 1);
    CHECK_EQ_("nothing new, no round", next_of(&n, SERVICE_ROUND, 1000).kind, 0);
    struct peer *other = linked_as(&n, c.node[2], (struct bytes){0});
    peer_start(other);
    m = next_of(&n, SERVICE_ROUND, LONG);
    CHECK_EQ_("two", answer_round(&n, &m), 2);
    CHECK_EQ_("answer", told(&n, LONG), 2);
    for (int i = 0; i < 20; i++)
        grew(&n);
    m = next_of(&n, SERVICE_ROUND, LONG);
    grew(&n); /* meanwhile: one more round after it, not beside it */
    CHECK_EQ_("twenty records, one round", answer_round(&n, &m), 2);
    CHECK_EQ_("answer", told(&n, LONG), 2);
    m = next_of(&n, SERVICE_ROUND, LONG);
    hang = 1;
    CHECK_EQ_("the one after it", answer_round(&n, &m), 2);
    grew(&n);
    CHECK_EQ_("who says nothing is not waited for, and out of the next round",
              next_of(&n, SERVICE_ROUND, 3000).kind, 0);
    CHECK_EQ_("they were shown it once", shown, 1 + 2 + 2 + 2);
    peer_free(b);
    peer_free(other);
    node_stop(&n);
    serve_peer = NULL;
}

static struct bytes prove_reply(bool cosigned)
{
    Cohortium__ProveReply r = COHORTIUM__PROVE_REPLY__INIT;

    r.cosigned = cosigned;
    return packed(&r.base);
}

/* Two witnesses are linked: a proof waits for their round, and no longer than it was asked
 * to. With one there is nothing to wait for. */
static void test_net_witness__a_proof_waits_for_its_round(void **state)
{
    struct ipc_message m;
    struct result r;
    struct node n;

    (void)state;
    hang = 0;
    serve_peer = cosign;
    node_start(&n);
    struct peer *b = linked_as(&n, c.node[1], (struct bytes){0});
    m = next_of(&n, SERVICE_ROUND, LONG); /* of the link */
    CHECK_EQ_("one", answer_round(&n, &m), 1);
    peer_run(b, 100);
    CHECK_EQ_("has answered", told(&n, LONG), 1);
    r = peer_call(b, SERVICE_PROVE, bytes_of("x", 1), LONG);
    CHECK_EQ_("no call", r.fault, FAULT_FORMAT);
    (void)peer_begin(b, SERVICE_PROVE, prove_call(1000), LONG, &r);
    peer_run(b, 50);
    m = next_of(&n, SERVICE_PROVE, LONG);
    reply(&n, &m, prove_reply(false));
    int64_t began = clock_mono_ms();
    assert_true(peer_until(b, &r.done, 1, LONG));
    CHECK_EQ_("one witness", r.fault, FAULT_NONE);
    CHECK_("at once", clock_mono_ms() - began < 500);

    struct peer *other = linked_as(&n, c.node[2], (struct bytes){0});
    peer_start(other);
    m = next_of(&n, SERVICE_ROUND, LONG);
    CHECK_EQ_("both", answer_round(&n, &m), 2);
    peer_run(b, 100);
    CHECK_EQ_("have answered", told(&n, LONG), 2);
    (void)peer_begin(b, SERVICE_PROVE, prove_call(900), LONG, &r);
    peer_run(b, 50);
    m = next_of(&n, SERVICE_PROVE, LONG);
    reply(&n, &m, prove_reply(false));
    peer_start(b);
    began = clock_mono_ms();
    m = next_of(&n, SERVICE_ROUND, LONG);
    CHECK_("a round begins at once", clock_mono_ms() - began < 400);
    CHECK_EQ_("of both", answer_round(&n, &m), 2);
    (void)told(&n, LONG);
    m = next_of(&n, SERVICE_PROVE, LONG);
    CHECK_EQ_("the vault is asked again", m.kind, IPC_CALL);
    reply(&n, &m, prove_reply(true));
    for (int64_t until = clock_mono_ms() + LONG; clock_mono_ms() < until && r.done == 0;)
        usleep(1000);
    CHECK_("answered", r.done == 1 && r.fault == FAULT_NONE);
    CHECK_EQ_("with what is cosigned", r.n, prove_reply(true).n);
    peer_free(b);
    peer_free(other);
    node_stop(&n);
    serve_peer = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_net_witness__a_member_shows_its_own_log),
        cmocka_unit_test(test_net_witness__rounds),
        cmocka_unit_test(test_net_witness__a_proof_waits_for_its_round),
    };
    return cmocka_run_group_tests_name("net_witness", tests, set_up, tear_down);
}

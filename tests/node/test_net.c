/*
 * Who may link with a node's net process and what each may make it do, with a vault that
 * answers as the test likes (net_case.h).
 */
#include "tests/node/net_case.h"

static void test_net__who_may_link(void **state)
{
    struct bytes no_hello = {0}, good = credential_for(c.researcher);
    Cohortium__Credential *of_another_home = consortium_credential(cx, &c);
    AUTO_KEYS struct keys *stranger = NULL;
    struct node n;

    (void)state;
    CHECK_OK_("key", cx, keys_new(cx, "researcher", "eve", &stranger));
    of_another_home->signing_key = PB_DATA(bytes_of(keys_signing_public(stranger), 32));
    of_another_home->noise_key = PB_DATA(bytes_of(keys_link_public(stranger), 32));
    of_another_home->stamp->issuer = PB_DATA(bytes_of(c.id[1], 32));
    const struct {
        const char *what;
        const struct keys *keys;
        struct bytes hello;
        bool want;
    } rows[] = {
        {"a member", c.node[1], no_hello, true},
        {"a stranger", stranger, no_hello, false},
        {"a researcher", c.researcher, good, true},
        {"with somebody else's credential", stranger, good, false},
        {"with words instead of a credential", c.researcher, bytes_of("let me in", 9),
         false},
        {"with a credential of another home", stranger,
         consortium_seal(cx, ENVELOPE_CREDENTIAL, &of_another_home->base, &c.node[1], 1),
         false},
        {"the node itself", c.node[0], no_hello, false},
    };
    node_start(&n);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct peer *peer = link_as(&n, rows[i].keys, rows[i].hello);

        (void)peer_until(peer, rows[i].want ? &peer->ups : &peer->failures, 1, LONG);
        CHECK_EQ_(rows[i].what, peer->ups, rows[i].want);
        CHECK_EQ_(rows[i].what, peer->failures, !rows[i].want);
        peer_free(peer);
    }
    node_stop(&n);
}

/* The vault hears who it was. A codebook is looked for on the node's own behalf. */
static void check_caller(const struct ipc_message *m, bool member, enum service service)
{
    if (!member && service == SERVICE_CODEBOOK) {
        CHECK_EQ_("its own", m->from.role, IPC_SELF);
        return;
    }
    CHECK_EQ_("its role", m->from.role, member ? IPC_MEMBER : IPC_RESEARCHER);
    uint8_t id[DIGEST_BYTES];

    digest_of(bytes_of(keys_signing_public(member ? c.node[1] : c.researcher), KEY_BYTES),
              id);
    assert_memory_equal(m->from.id, id, DIGEST_BYTES);
}

/* The services, who may call which, and what of it reaches the vault. */
static void test_net__who_may_call_what(void **state)
{
    static const struct {
        enum service service;
        bool member, researcher; /* may call it */
    } rows[] = {
        {SERVICE_UNSET, false, false},  {SERVICE_CATALOG, true, false},
        {SERVICE_CODEBOOK, true, true}, {SERVICE_SITES, false, true},
        {SERVICE_PENDING, false, true}, {SERVICE_LATER, false, true},
        {SERVICE_DRAWER, false, false}, {SERVICE_PREFLIGHT, true, false},
        {SERVICE_BEGIN, true, false},   {SERVICE_STEP, true, false},
        {SERVICE_ABORT, true, false},   {(enum service)99, false, false},
        {SERVICE_ASK, false, false}, /* of a broken request */
        {SERVICE_CANCEL, false, false}, {SERVICE_COLLECT, false, false}, /* of no id */
    };
    struct node n;

    (void)state;
    node_start(&n);
    struct peer *member = linked_as(&n, c.node[1], (struct bytes){0});
    struct peer *person = researcher(&n, c.researcher);
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int who = 0; who < 2; who++) {
            struct peer *peer = who == 0 ? member : person;
            bool may = who == 0 ? rows[i].member : rows[i].researcher;
            struct result r;

            /* Most bodies go on as they are; net reads that of this one itself. */
            bool read = rows[i].service == SERVICE_SITES;

            (void)peer_begin(peer, (int)rows[i].service,
                             read ? (struct bytes){0} : bytes_of("x", 1), LONG, &r);
            if (!may) {
                assert_true(peer_until(peer, &r.done, 1, LONG));
                bool broken = rows[i].service == SERVICE_ASK ||
                              rows[i].service == SERVICE_CANCEL ||
                              rows[i].service == SERVICE_COLLECT;

                CHECK_("refused", broken && who == 1 ? r.fault == FAULT_FORMAT
                                                     : r.fault == FAULT_DENIED);
                continue;
            }
            peer_start(peer); /* until it has left, however busy the machine is */
            struct ipc_message m = next_call(&n, LONG);
            peer_stop(peer);
            CHECK_EQ_("reaches the vault", m.kind, IPC_CALL);
            check_caller(&m, who == 0, rows[i].service);
            bool kept =
                rows[i].service == SERVICE_PENDING || rows[i].service == SERVICE_LATER;
            CHECK_EQ_("as what it is", m.code, kept ? SERVICE_DRAWER : rows[i].service);
            answer(&n, m.id, FAULT_INVALID);
            assert_true(peer_until(peer, &r.done, 1, LONG));
            CHECK_EQ_("answered", r.fault, FAULT_INVALID);
        }
    CHECK_EQ_("nothing else reached it", next_call(&n, 50).kind, 0);
    peer_free(member);
    peer_free(person);
    node_stop(&n);
}

/* Over a relay the vault hears of the far end, not of the relay that hands the bytes on;
 * and of the relay where it asks in its own name. */
static void test_net__a_relay_is_not_who_it_carries(void **state)
{
    struct result far, own;
    struct node n;
    char endpoint[64];

    (void)state;
    node_start(&n);
    struct peer *relay = linked_as(&n, c.node[1], (struct bytes){0});
    struct peer *member = link_as(&n, c.node[2], (struct bytes){0});

    hub_forget(member->hub, c.id[0]); /* not directly */
    hub_set_own_id(relay->hub, c.id[1]);
    hub_set_own_id(member->hub, c.id[2]);
    memcpy(relay->id, c.id[1], DIGEST_BYTES);
    peer_listen(relay, 0);
    (void)snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", hub_port(relay->hub));
    CHECK_OK_("dial", member->cx,
              hub_dial(member->cx, member->hub, endpoint, relay->key, c.id[1],
                       bytes_of(c.id[2], DIGEST_BYTES), true));
    (void)peer_begin(relay, SERVICE_ABORT, bytes_of("x", 1), LONG, &own);
    peer_start(relay);
    struct ipc_message m = next_call(&n, LONG);
    peer_stop(relay);
    CHECK_EQ_("the relay's own", m.code, SERVICE_ABORT);
    CHECK_("is the relay's",
           m.from.role == IPC_MEMBER && memcmp(m.from.id, c.id[1], DIGEST_BYTES) == 0);
    answer(&n, m.id, FAULT_DENIED);
    assert_true(peer_until(relay, &own.done, 1, LONG));
    peer_start(relay);
    assert_true(peer_until(member, &member->ups, 1, LONG));
    CHECK_OK_("reach", member->cx,
              hub_reach(member->cx, member->hub, NULL, 0, keys_link_public(c.node[0]),
                        c.id[0], (struct bytes){0}, true));
    assert_true(peer_until(member, &member->ups, 2, LONG));
    member->link = hub_find(member->hub, c.id[0]);
    assert_non_null(member->link);
    CHECK_("relayed", link_relay(member->link) != NULL &&
                          memcmp(link_relay(member->link)->id, c.id[1], DIGEST_BYTES) == 0);
    (void)peer_begin(member, SERVICE_ABORT, bytes_of("x", 1), LONG, &far);
    peer_start(member);
    m = next_call(&n, LONG);
    peer_stop(member);
    CHECK_EQ_("over the relay", m.code, SERVICE_ABORT);
    CHECK_("is the far end's",
           m.from.role == IPC_MEMBER && memcmp(m.from.id, c.id[2], DIGEST_BYTES) == 0);
    answer(&n, m.id, FAULT_NONE);
    assert_true(peer_until(member, &far.done, 1, LONG));
    CHECK_EQ_("answered", far.fault, FAULT_NONE);
    peer_free(member);
    peer_free(relay);
    node_stop(&n);
}

/* The vault does not read for a while: net goes on, and nothing that was said is lost. */
static void test_net__does_not_wait_for_the_vault(void **state)
{
    enum { BODY = 8 << 20, CALLS = 4 };
    struct result r[CALLS], other;
    uint8_t *body = calloc(1, BODY);
    struct node n;

    (void)state;
    assert_non_null(body);
    node_start(&n);
    struct peer *busy = linked_as(&n, c.node[1], (struct bytes){0});
    struct peer *idle = linked_as(&n, c.node[2], (struct bytes){0});
    for (size_t i = 0; i < CALLS; i++)
        (void)peer_begin(busy, SERVICE_STEP, bytes_of(body, BODY), 4 * LONG, &r[i]);
    peer_run(busy, 1000);
    other = peer_call(idle, SERVICE_ASK, bytes_of("x", 1),
                      2000); /* asks nothing of the vault */
    CHECK_EQ_("others are heard", other.fault, FAULT_DENIED);
    peer_start(busy); /* goes on sending what has not left yet */
    for (size_t i = 0; i < CALLS; i++) {
        struct ipc_message m = next_call(&n, LONG);

        CHECK_EQ_("a step", m.code, SERVICE_STEP);
        CHECK_EQ_("whole", m.body.n, BODY);
        answer(&n, m.id, FAULT_NONE);
    }
    for (int64_t until = clock_mono_ms() + LONG;
         clock_mono_ms() < until && r[CALLS - 1].done == 0;)
        usleep(10000);
    for (size_t i = 0; i < CALLS; i++)
        CHECK_("answered", r[i].done == 1 && r[i].fault == FAULT_NONE);
    peer_free(busy);
    peer_free(idle);
    node_stop(&n);
    free(body);
}

/* A request of site_a alone, with an id of its own. */
static struct bytes request_of_one(uint8_t number)
{
    Cohortium__Request *ask = consortium_request(cx, &c);

    ask->question->n_sites = 1;
    ask->stamp->request_id.data[0] = number;
    return consortium_seal(cx, ENVELOPE_REQUEST, &ask->base, &c.researcher, 1);
}

/* A researcher says little at once, and leaves room for the questions of others. */
static void test_net__a_researcher_is_bounded(void **state)
{
    static uint8_t large[NET_RESEARCHER_MAX + 1];
    AUTO_KEYS struct keys *second = NULL;
    struct result r[NET_ASKS_OF_ONE_MAX], more;
    struct node n;

    (void)state;
    CHECK_OK_("key", cx, keys_new(cx, "researcher", "bob", &second));
    node_start(&n);
    struct peer *first = researcher(&n, c.researcher), *other = researcher(&n, second);
    more = peer_call(first, SERVICE_ASK, bytes_of(large, sizeof large), LONG);
    CHECK_EQ_("a byte too many", more.fault, FAULT_BOUND);
    more = peer_call(first, SERVICE_ASK, bytes_of(large, sizeof large - 1), LONG);
    CHECK_EQ_("the most, of zeros", more.fault, FAULT_BOUND); /* of an envelope */
    more = peer_call(first, SERVICE_CODEBOOK, bytes_of(large, 5000), LONG);
    CHECK_EQ_("a name that long", more.fault, FAULT_BOUND);
    /* Questions of site_a alone wait for its vault. */
    for (size_t i = 0; i < COUNT(r); i++)
        (void)peer_begin(first, SERVICE_ASK, request_of_one((uint8_t)i), LONG, &r[i]);
    for (size_t i = 0; i < COUNT(r); i++) {
        peer_run(first, 5);
        CHECK_EQ_("a preflight each", next_call(&n, LONG).code, SERVICE_PREFLIGHT);
    }
    more = peer_call(first, SERVICE_ASK, request_of_one(COUNT(r)), LONG);
    CHECK_EQ_("one more", more.fault, FAULT_UNAVAILABLE);
    for (size_t i = 0; i < COUNT(r); i++)
        CHECK_EQ_("those go on", r[i].done, 0);
    more = peer_call(other, SERVICE_ASK, bytes_of("x", 1), LONG);
    CHECK_EQ_("another researcher is heard", more.fault, FAULT_FORMAT);
    peer_free(first);
    peer_free(other);
    node_stop(&n);
}

/* Of two links of one researcher the one goes whose credential was revoked. */
static void test_net__a_revoked_credential_closes_its_link(void **state)
{
    struct node n;
    struct result r;

    (void)state;
    node_start(&n);
    struct peer *old = linked_as(&n, c.researcher, credential_for(c.researcher));
    struct ipc_message of_old = next_call(&n, LONG);
    CHECK_EQ_("admit", of_old.kind, IPC_ADMIT);
    struct peer *now = researcher(&n, c.researcher);
    answer(&n, of_old.id, FAULT_DENIED);
    CHECK_("the old link", peer_until(old, &old->downs, 1, LONG));
    CHECK_("says why", strstr(old->why, "revoked") != NULL);
    peer_run(now, 100);
    CHECK_EQ_("the new one", now->downs, 0);
    r = peer_call(now, SERVICE_ASK, bytes_of("x", 1), LONG);
    CHECK_EQ_("is served", r.fault, FAULT_FORMAT);
    peer_free(old);
    peer_free(now);
    node_stop(&n);
}

/* A site that says without end in its preflight is not kept in memory. */
static void test_net__a_long_preflight_ends_the_question(void **state)
{
    enum { BODY = 1 << 20 };
    Cohortium__Request *ask = consortium_request(cx, &c);
    uint8_t *body = calloc(1, BODY);
    struct result r;
    struct node n;

    (void)state;
    assert_non_null(body);
    node_start(&n);
    struct peer *person = researcher(&n, c.researcher);
    ask->question->n_sites = 1;
    (void)peer_begin(person, SERVICE_ASK,
                     consortium_seal(cx, ENVELOPE_REQUEST, &ask->base, &c.researcher, 1),
                     LONG, &r);
    peer_run(person, 50);
    struct ipc_message m = next_call(&n, LONG);
    CHECK_EQ_("preflight", m.code, SERVICE_PREFLIGHT);
    peer_start(person);
    CHECK_OK_("answer", cx,
              ipc_send(cx, n.vault, IPC_VAULT,
                       &(struct ipc_message){
                           .kind = IPC_REPLY, .id = m.id, .body = {body, BODY}}));
    for (int64_t until = clock_mono_ms() + LONG; clock_mono_ms() < until && r.done == 0;)
        usleep(10000);
    CHECK_EQ_("ended", r.done, 1);
    CHECK_EQ_("by its bound", r.fault, FAULT_BOUND);
    peer_free(person);
    node_stop(&n);
    free(body);
}

/* One that waits for later is tried: net asks the vault for its preflight. */
static struct ipc_message try_one(struct node *n)
{
    struct bytes request = request_of_one(1);
    Cohortium__LaterReply reply = COHORTIUM__LATER_REPLY__INIT;
    Cohortium__LaterCard card = COHORTIUM__LATER_CARD__INIT, *cards = &card;
    struct envelope e;
    uint8_t who[32];
    ProtobufCBinaryData whose = {sizeof who, who};

    CHECK_OK_("request", cx, envelope_open(cx, ENVELOPE_REQUEST, request, &e));
    digest_of(bytes_of(keys_signing_public(c.researcher), KEY_BYTES), who);
    card.request = PB_DATA(bytes_of(e.digest, DIGEST_BYTES));
    card.charged = &whose;
    card.n_charged = reply.n_cards = 1;
    reply.cards = &cards;
    reply.request = PB_DATA(request);
    CHECK_OK_("reply", cx, pb_pack(cx, &reply.base, &waits));
    struct ipc_message m = next_call(n, LONG);
    CHECK_EQ_("preflight", m.code, SERVICE_PREFLIGHT);
    return m;
}

static char *words_of(size_t length)
{
    char *text = cx_alloc(cx, length + 1);

    assert_non_null(text);
    memset(text, 'a', length);
    return text;
}

/* A preflight with so many complaints; without any, a failure with words of that length. */
static struct ipc_message complain_of(uint64_t id, size_t complaints, size_t length)
{
    struct ipc_message m = {.id = id, .kind = IPC_REPLY};
    Cohortium__Trouble t = COHORTIUM__TROUBLE__INIT;
    Cohortium__Preflight p = COHORTIUM__PREFLIGHT__INIT;
    Cohortium__Complaint list[64], *all[64];

    assert_true(complaints <= COUNT(list));
    for (size_t i = 0; i < complaints; i++) {
        list[i] = (Cohortium__Complaint)COHORTIUM__COMPLAINT__INIT;
        list[i].code = (char *)(i == 0 ? "unknown_permit" : "unknown_dataset");
        list[i].text = words_of(length);
        list[i].text[0] = (char)('!' + i); /* none is the same */
        all[i] = &list[i];
    }
    p.n_complaints = complaints;
    p.complaints = all;
    if (complaints > 0) {
        m.body = consortium_seal(cx, ENVELOPE_PREFLIGHT, &p.base, &c.node[0], 1);
        return m;
    }
    m.kind = IPC_FAIL;
    m.code = FAULT_BUSY;
    t.fault = (char *)"busy";
    t.text = words_of(length);
    CHECK_OK_("trouble", cx, pb_pack(cx, &t.base, &m.body));
    return m;
}

/* The drawer takes 64 kB of a trouble: of more it is told the first, or it would hear
 * nothing and the question would be tried on without a reason. */
static void test_net__a_long_trouble_is_kept_short(void **state)
{
    enum { KEPT = 64 * 1024 };
    static const struct {
        const char *what;
        size_t complaints, length;
        bool whole;
    } rows[] = {
        {"two short complaints", 2, 20, true},
        {"more than are kept", 64, 1000, false},
        {"a failure in short words", 0, 20, true},
        {"in words too long to keep", 0, KEPT - 20, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__LaterStore *s;
        Cohortium__Trouble *t;
        struct node n;

        node_start(&n);
        struct ipc_message m = try_one(&n);
        m = complain_of(m.id, rows[i].complaints, rows[i].length);
        CHECK_OK_("answer", cx, ipc_send(cx, n.vault, IPC_VAULT, &m));
        do
            m = next_call(&n, LONG);
        while (m.code == SERVICE_ABORT);
        CHECK_EQ_(rows[i].what, m.code, SERVICE_DRAWER);
        CHECK_OK_(rows[i].what, cx,
                  pb_unpack(cx, &cohortium__later_store__descriptor, m.body, 1 << 20, &s));
        answer(&n, m.id, FAULT_DENIED);
        CHECK_(rows[i].what, s->trouble.len > 0 && s->trouble.len <= KEPT);
        CHECK_OK_(
            rows[i].what, cx,
            pb_unpack(cx, &cohortium__trouble__descriptor, PB_BYTES(s->trouble), KEPT, &t));
        assert_string_equal(s->act, "again");
        CHECK_(rows[i].what, t->text[0] != '\0');
        CHECK_(rows[i].what, rows[i].complaints == 0 || t->n_complaints > 0);
        CHECK_EQ_(rows[i].what, t->n_complaints == rows[i].complaints,
                  rows[i].whole || rows[i].complaints == 0);
        node_stop(&n);
    }
}

static struct bytes call_of(struct bytes request, const char *rest)
{
    Cohortium__LaterCall call = COHORTIUM__LATER_CALL__INIT;
    Cohortium__Request *r;
    struct envelope e;
    struct bytes packed;

    CHECK_OK_("request", cx, envelope_open(cx, ENVELOPE_REQUEST, request, &e));
    CHECK_OK_("request", cx,
              pb_unpack(cx, &cohortium__request__descriptor, e.body, 1 << 20, &r));
    call.id =
        cx_printf(cx, "%s%s", bytes_hex(cx, r->stamp->request_id.data, ID_BYTES), rest);
    assert_non_null(call.id);
    CHECK_OK_("call", cx, pb_pack(cx, &call.base, &packed));
    return packed;
}

/* Of somebody who hangs up the question goes on, and whoever sends the same request gets
 * its answer; nobody else's program may end it. */
static void test_net__a_question_outlives_its_link(void **state)
{
    struct bytes request = request_of_one(1);
    AUTO_KEYS struct keys *second = NULL;
    struct result first, again, theirs, cancelled;
    struct node n;

    (void)state;
    CHECK_OK_("key", cx, keys_new(cx, "researcher", "bob", &second));
    node_start(&n);
    struct peer *person = researcher(&n, c.researcher), *other = researcher(&n, second);
    (void)peer_begin(person, SERVICE_ASK, request, LONG, &first);
    peer_run(person, 50);
    struct ipc_message m = next_call(&n, LONG);
    CHECK_EQ_("preflight", m.code, SERVICE_PREFLIGHT);
    peer_free(person);
    peer_run(other, 1500); /* longer than whoever hung up is looked for */
    person = researcher(&n, c.researcher);
    theirs = peer_call(other, SERVICE_ASK, request, LONG);
    CHECK_EQ_("a request of somebody else", theirs.fault, FAULT_DENIED);
    (void)peer_begin(other, SERVICE_CANCEL, call_of(request, ""), LONG, &theirs);
    peer_run(other, 50);
    m = next_call(&n, LONG);
    CHECK_EQ_("runs nothing of that id: the drawer", m.code, SERVICE_DRAWER);
    answer(&n, m.id, FAULT_DENIED);
    assert_true(peer_until(other, &theirs.done, 1, LONG));
    (void)peer_begin(person, SERVICE_ASK, request, LONG, &again);
    peer_run(person, 50);
    CHECK_EQ_("is not run twice", next_call(&n, 200).kind, 0);
    (void)peer_begin(person, SERVICE_CANCEL, call_of(request, ""), LONG, &cancelled);
    assert_true(peer_until(person, &again.done, 1, LONG));
    CHECK_EQ_("waited for it, and hears", again.fault, FAULT_CANCELLED);
    m = next_call(&n, LONG);
    CHECK_EQ_("the drawer forgets it, too", m.code, SERVICE_DRAWER);
    answer(&n, m.id, FAULT_DENIED);
    assert_true(peer_until(person, &cancelled.done, 1, LONG));
    peer_free(person);
    peer_free(other);
    node_stop(&n);
}

static void expect(struct node *n, enum service service, enum fault fault)
{
    struct ipc_message m = next_call(n, LONG);

    CHECK_EQ_("the vault is called", m.code, service);
    answer(n, m.id, fault);
}

/* A session that a dead coordinator left is ended before it is begun anew, and only then.
 */
static void test_net__a_left_session_is_cleared(void **state)
{
    Cohortium__Preflight preflight = COHORTIUM__PREFLIGHT__INIT;
    struct bytes packed =
        consortium_seal(cx, ENVELOPE_PREFLIGHT, &preflight.base, &c.node[0], 1);
    struct result r;
    struct node n;

    (void)state;
    node_start(&n);
    struct peer *person = researcher(&n, c.researcher);
    (void)peer_begin(person, SERVICE_ASK, request_of_one(1), LONG, &r);
    peer_run(person, 50);
    struct ipc_message m = next_call(&n, LONG);
    CHECK_EQ_("preflight", m.code, SERVICE_PREFLIGHT);
    CHECK_OK_(
        "reply", cx,
        ipc_send(cx, n.vault, IPC_VAULT,
                 &(struct ipc_message){.kind = IPC_REPLY, .id = m.id, .body = packed}));
    expect(&n, SERVICE_BEGIN, FAULT_REPLAY);
    expect(&n, SERVICE_ABORT, FAULT_NONE);
    expect(&n, SERVICE_BEGIN, FAULT_REPLAY); /* its step was still at work */
    expect(&n, SERVICE_ABORT, FAULT_NONE);
    expect(&n, SERVICE_BEGIN, FAULT_CONFLICT);
    assert_true(peer_until(person, &r.done, 1, LONG));
    CHECK_EQ_("any other fault ends it", r.fault, FAULT_CONFLICT);
    expect(&n, SERVICE_ABORT, FAULT_NONE);
    CHECK_EQ_("and nothing follows", next_call(&n, 700).kind, 0);
    peer_free(person);
    node_stop(&n);
}

/* An id that is none reaches nobody. */
static void test_net__an_id_is_hex(void **state)
{
    struct node n;

    (void)state;
    node_start(&n);
    struct peer *person = researcher(&n, c.researcher);
    struct result r =
        peer_call(person, SERVICE_CANCEL, call_of(request_of_one(1), "0"), LONG);
    CHECK_EQ_("a digit too many", r.fault, FAULT_INVALID);
    r = peer_call(person, SERVICE_COLLECT, (struct bytes){0}, LONG);
    CHECK_EQ_("no digit", r.fault, FAULT_INVALID);
    peer_free(person);
    node_stop(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_net__a_question_outlives_its_link),
        cmocka_unit_test(test_net__a_left_session_is_cleared),
        cmocka_unit_test(test_net__an_id_is_hex),
        cmocka_unit_test(test_net__who_may_link),
        cmocka_unit_test(test_net__who_may_call_what),
        cmocka_unit_test(test_net__a_relay_is_not_who_it_carries),
        cmocka_unit_test(test_net__does_not_wait_for_the_vault),
        cmocka_unit_test(test_net__a_researcher_is_bounded),
        cmocka_unit_test(test_net__a_revoked_credential_closes_its_link),
        cmocka_unit_test(test_net__a_long_preflight_ends_the_question),
        cmocka_unit_test(test_net__a_long_trouble_is_kept_short),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

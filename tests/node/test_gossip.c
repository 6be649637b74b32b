/*
 * test_gossip.c - what a node's net process tells and asks of manifests, and what it does
 * with what its vault has adopted. Peers say what they like; nothing of it is believed.
 */
#include "tests/node/net_case.h"

enum { CHAIN = 4 };

static struct manifest *held[CHAIN + 1]; /* by version */

/* ---- manifests ---- */

static struct bytes version_after(const struct manifest *before, uint32_t rows, int without)
{
    Cohortium__Manifest b = *before->body;
    Cohortium__Member *members[CONSORTIUM_SITES];
    size_t n = 0;

    for (size_t i = 0; i < b.n_members; i++)
        if ((int)i != without)
            members[n++] = b.members[i];
    b.members = members;
    b.n_members = n;
    b.version++;
    b.previous = PB_DATA(bytes_of(before->digest, DIGEST_BYTES));
    b.rows_log2 = rows;
    b.permit_signatures = 1;
    return consortium_sign_manifest(cx, &b, c.governor, 2);
}

static struct manifest *extended(const struct manifest *m, struct bytes packed)
{
    struct manifest *longer = NULL;

    CHECK_OK_("extend", cx, manifest_extend(cx, m, packed, &longer));
    return longer;
}

static void make_chain(void)
{
    held[1] = c.manifest;
    for (size_t v = 1; v < CHAIN; v++)
        held[v + 1] = extended(held[v], version_after(held[v], 30, -1));
}

/* ---- a peer that answers as the test likes ---- */

static struct {
    struct bytes manifests[4];
    const struct manifest *fork; /* instead: its envelope of the version it is told */
    size_t n;
    struct bytes raw;     /* instead */
    uint64_t version[16]; /* that it was told */
    uint8_t digest[16][32];
    atomic_int asked;
} script;

static void scripted(void *user, struct link *link, enum service service, struct bytes body,
                     struct served *served)
{
    Cohortium__ManifestReply r = COHORTIUM__MANIFEST_REPLY__INIT;
    Cohortium__ManifestCall *call;
    ProtobufCBinaryData list[COUNT(script.manifests)];
    struct peer *peer = user;
    struct bytes packed;
    int i = script.asked;

    (void)link;
    CHECK_EQ_("it asks for the manifest", service, SERVICE_MANIFEST);
    CHECK_OK_("call", peer->cx,
              pb_unpack(peer->cx, &cohortium__manifest_call__descriptor, body, 256, &call));
    if (i < (int)COUNT(script.version)) {
        script.version[i] = call->version;
        memcpy(script.digest[i], call->digest.data, 32);
    }
    script.asked++;
    r.version = 9;
    r.n_manifests = script.n;
    r.manifests = list;
    for (size_t k = 0; k < script.n; k++)
        list[k] = PB_DATA(script.manifests[k]);
    if (script.fork != NULL) {
        r.n_manifests = 1;
        list[0] = PB_DATA(script.fork->chain[call->version - 1]);
    }
    CHECK_OK_("reply", peer->cx, pb_pack(peer->cx, &r.base, &packed));
    served_reply(served, script.raw.p != NULL ? script.raw : packed);
}

static struct peer *scripted_peer(const struct node *n, const struct keys *keys)
{
    struct peer *peer = link_as(n, keys, (struct bytes){0});

    script.asked = 0;
    peer->hub->setup.serve = scripted;
    CHECK_("it is asked at once", peer_until(peer, &script.asked, 1, LONG));
    return peer;
}

/* The peer's loop runs while the vault waits for what net says. */
static struct ipc_message offered(struct node *n, struct peer *peer, int64_t ms)
{
    struct ipc_message m = {0};

    for (int64_t until = clock_mono_ms() + ms; m.kind == 0 && clock_mono_ms() < until;) {
        peer_run(peer, 10);
        m = next_call(n, 10);
    }
    return m;
}

/* ---- telling ---- */

/* peer_call keeps the head of a reply alone: the whole goes here. */
static Cohortium__ManifestReply *told;
static atomic_int answers;
static enum fault answered_with;

static void keep_reply(void *user, enum fault fault, struct bytes body)
{
    (void)user;
    answered_with = fault;
    told = NULL;
    if (fault == FAULT_NONE)
        CHECK_OK_("reply", cx,
                  pb_unpack(cx, &cohortium__manifest_reply__descriptor, body,
                            LINK_MESSAGE_MAX, &told));
    answers++;
}

static void call_manifest(struct peer *peer, uint64_t version, struct bytes digest)
{
    Cohortium__ManifestCall call = COHORTIUM__MANIFEST_CALL__INIT;
    struct bytes packed;

    call.version = version;
    call.digest = PB_DATA(digest);
    answers = 0;
    CHECK_OK_("pack", cx, pb_pack(cx, &call.base, &packed));
    CHECK_OK_("call", cx,
              link_call(cx, peer->link, SERVICE_MANIFEST, packed, clock_mono_ms() + LONG,
                        keep_reply, NULL, NULL, NULL));
    CHECK_("answered", peer_until(peer, &answers, 1, LONG));
}

static void test_gossip__tells_what_the_caller_lacks(void **state)
{
    static const uint8_t other[32] = {7};
    struct node n;

    (void)state;
    make_chain();
    const struct {
        const char *what;
        uint64_t version;
        struct bytes digest;
        enum fault want;
        uint64_t first; /* of the envelopes that come; 0: none */
        size_t n;
    } rows[] = {
        {"two behind", 1, bytes_of(held[1]->digest, 32), FAULT_NONE, 2, 2},
        {"one behind", 2, bytes_of(held[2]->digest, 32), FAULT_NONE, 3, 1},
        {"as far", 3, bytes_of(held[3]->digest, 32), FAULT_NONE, 0, 0},
        {"ahead", 4, bytes_of(held[4]->digest, 32), FAULT_NONE, 0, 0},
        {"another of one number", 2, bytes_of(other, 32), FAULT_NONE, 2, 1},
        {"no version", 0, bytes_of(other, 32), FAULT_FORMAT, 0, 0},
        {"no digest", 2, bytes_of(other, 31), FAULT_FORMAT, 0, 0},
        {"a version without end", UINT64_MAX, bytes_of(other, 32), FAULT_NONE, 0, 0},
    };
    in_force = held[3];
    node_start(&n);
    script.n = 0;
    script.raw = (struct bytes){0};
    struct peer *peer = scripted_peer(&n, c.node[1]);
    for (size_t i = 0; i < COUNT(rows); i++) {
        call_manifest(peer, rows[i].version, rows[i].digest);
        CHECK_EQ_(rows[i].what, answered_with, rows[i].want);
        if (rows[i].want != FAULT_NONE)
            continue;
        CHECK_EQ_(rows[i].what, told->version, 3);
        CHECK_EQ_(rows[i].what, told->n_manifests, rows[i].n);
        for (size_t k = 0; k < rows[i].n; k++)
            CHECK_(rows[i].what, bytes_equal(PB_BYTES(told->manifests[k]),
                                             held[3]->chain[rows[i].first - 1 + k]));
    }
    CHECK_EQ_("nothing reached the vault", next_call(&n, 50).kind, 0);
    peer_free(peer);
    node_stop(&n);
}

/* ---- asking ---- */

static void test_gossip__offers_to_the_vault_what_comes(void **state)
{
    struct node n;

    (void)state;
    make_chain();
    in_force = held[2];
    node_start(&n);
    script.manifests[0] = held[4]->chain[2];
    script.manifests[1] = held[4]->chain[3];
    script.n = 2;
    script.raw = (struct bytes){0};
    struct peer *peer = scripted_peer(&n, c.node[1]);
    CHECK_EQ_("it says what it holds", script.version[0], 2);
    assert_memory_equal(script.digest[0], held[2]->digest, 32);
    struct ipc_message m = offered(&n, peer, LONG);
    CHECK_EQ_("offered", m.kind, IPC_OFFER);
    Cohortium__ManifestOffer *offer;
    CHECK_OK_("offer", cx,
              pb_unpack(cx, &cohortium__manifest_offer__descriptor, m.body,
                        LINK_MESSAGE_MAX, &offer));
    assert_string_equal(offer->from, "site_b");
    CHECK_EQ_("both", offer->n_manifests, 2);
    CHECK_("as they came", bytes_equal(PB_BYTES(offer->manifests[1]), held[4]->chain[3]));
    answer(&n, m.id, FAULT_DENIED);
    m = offered(&n, peer, 500);
    CHECK_EQ_("what was refused is not asked for again at once", m.kind, 0);
    CHECK_EQ_("one question", script.asked, 1);
    peer_free(peer);
    node_stop(&n);
}

static void test_gossip__nonsense_reaches_nobody(void **state)
{
    struct node n;

    (void)state;
    make_chain();
    in_force = held[2];
    node_start(&n);
    script.raw = bytes_of("\xff\xff\xff", 3);
    struct peer *peer = scripted_peer(&n, c.node[1]);
    CHECK_EQ_("nothing is offered", offered(&n, peer, 300).kind, 0);
    peer_free(peer);
    script.raw = (struct bytes){0};
    script.n = 0;
    peer = scripted_peer(&n, c.node[1]);
    CHECK_EQ_("nor of an empty reply", offered(&n, peer, 300).kind, 0);
    peer_free(peer);
    node_stop(&n);
}

/* Where chains part further back than the newest, the first different version is the proof.
 */
static void test_gossip__finds_where_chains_part(void **state)
{
    struct node n;

    (void)state;
    make_chain();
    struct manifest *two = extended(held[1], version_after(held[1], 29, -1));
    struct manifest *three = extended(two, version_after(two, 29, -1));
    in_force = held[3];
    node_start(&n);
    script.raw = (struct bytes){0};
    script.fork = three;
    struct peer *peer = scripted_peer(&n, c.node[1]);
    struct ipc_message m = offered(&n, peer, LONG);
    CHECK_EQ_("the newest was asked for, then the one before", script.asked, 2);
    CHECK_EQ_("which is where they part", script.version[1], 2);
    assert_memory_equal(script.digest[1], held[2]->digest, 32);
    Cohortium__ManifestOffer *offer;
    CHECK_EQ_("the proof is offered", m.kind, IPC_OFFER);
    CHECK_OK_("offer", cx,
              pb_unpack(cx, &cohortium__manifest_offer__descriptor, m.body,
                        LINK_MESSAGE_MAX, &offer));
    CHECK_EQ_("alone", offer->n_manifests, 1);
    CHECK_("it is theirs", bytes_equal(PB_BYTES(offer->manifests[0]), two->chain[1]));
    answer(&n, m.id, FAULT_NONE);
    CHECK_EQ_("once", offered(&n, peer, 500).kind, 0);
    CHECK_EQ_("and nobody is asked again and again", script.asked, 2);
    peer_free(peer);
    script.fork = NULL;
    node_stop(&n);
}

/* ---- adopting ---- */

static void push(struct node *n, struct bytes packed)
{
    Cohortium__ManifestReply r = COHORTIUM__MANIFEST_REPLY__INIT;
    ProtobufCBinaryData list[] = {PB_DATA(packed)};
    struct bytes body;

    r.n_manifests = 1;
    r.manifests = list;
    CHECK_OK_("pack", cx, pb_pack(cx, &r.base, &body));
    CHECK_OK_("push", cx,
              ipc_send(cx, n->vault, IPC_VAULT,
                       &(struct ipc_message){.kind = IPC_MANIFEST, .body = body}));
}

static void test_gossip__who_is_removed_is_closed(void **state)
{
    struct node n;

    (void)state;
    make_chain();
    in_force = held[1];
    node_start(&n);
    struct peer *gone = linked_as(&n, c.node[1], (struct bytes){0});
    struct peer *stays = linked_as(&n, c.node[2], (struct bytes){0});
    int64_t begun = clock_mono_ms();
    push(&n, version_after(held[1], 30, 1));
    peer_run(gone, 300);
    struct result r = peer_call(gone, SERVICE_CATALOG, (struct bytes){0}, LONG);
    CHECK_EQ_("nothing is answered", r.fault, FAULT_DENIED);
    call_manifest(gone, 1, bytes_of(held[1]->digest, 32));
    CHECK_EQ_("but why", answered_with, FAULT_NONE);
    CHECK_EQ_("the version without it", told->n_manifests, 1);
    CHECK_("closed", peer_until(gone, &gone->downs, 1, LONG));
    CHECK_("within five seconds", clock_mono_ms() - begun < 5000);
    peer_run(stays, 100);
    CHECK_EQ_("the other stays", stays->downs, 0);
    peer_free(gone);
    gone = link_as(&n, c.node[1], (struct bytes){0});
    (void)peer_until(gone, &gone->failures, 1, LONG);
    CHECK_EQ_("it does not come back", gone->ups, 0);
    peer_free(gone);
    peer_free(stays);
    node_stop(&n);
}

static void test_gossip__a_revoked_researcher_is_closed(void **state)
{
    AUTO_KEYS struct keys *second = NULL;
    uint8_t subject[32];
    struct node n;

    (void)state;
    in_force = c.manifest;
    CHECK_OK_("key", cx, keys_new(cx, "researcher", "bob", &second));
    node_start(&n);
    struct peer *gone = researcher(&n, c.researcher), *stays = researcher(&n, second);
    digest_of(bytes_of(keys_signing_public(c.researcher), KEY_BYTES), subject);
    CHECK_OK_("push", cx,
              ipc_send(cx, n.vault, IPC_VAULT,
                       &(struct ipc_message){.kind = IPC_REVOKED, .body = {subject, 32}}));
    CHECK_("closed", peer_until(gone, &gone->downs, 1, LONG));
    CHECK_("says why", strstr(gone->why, "revoked") != NULL);
    peer_run(stays, 100);
    CHECK_EQ_("the other stays", stays->downs, 0);
    peer_free(gone);
    peer_free(stays);
    node_stop(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gossip__tells_what_the_caller_lacks),
        cmocka_unit_test(test_gossip__offers_to_the_vault_what_comes),
        cmocka_unit_test(test_gossip__nonsense_reaches_nobody),
        cmocka_unit_test(test_gossip__finds_where_chains_part),
        cmocka_unit_test(test_gossip__who_is_removed_is_closed),
        cmocka_unit_test(test_gossip__a_revoked_researcher_is_closed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

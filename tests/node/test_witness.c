/*
 * What witness.h promises: three vaults witness each other's logs, with the test as their
 * net.
 *
 *   a log is cosigned only if it continues what was cosigned before; that is durable first
 *   what contradicts it is kept, both notes, and logged once
 *   proofs come under what enough others have cosigned, and only to who knows the record
 *   a log that was changed, cut or rolled back is named, and nothing is answered any more
 */
#include "node/vault/witness.h"

#include "node/vault/audit_report.h"
#include "protocol/base/clock.h"
#include "tests/node/coordinator.h"
#include "tests/node/vaults_private.h"

static struct vaults t;
static struct cx *cx;

static int set_up(void **state)
{
    (void)state;
    cx = cx_new(1 << 28, CX_NO_DEADLINE);
    if (cx == NULL)
        return 1;
    vaults_new(&t, "class: cautious\nresponse_quantum_ms: 0\nreason: test\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vaults_free(&t);
    cx_free(&cx);
    return 0;
}

static struct vault *vault(size_t site)
{
    return &t.site[site].v;
}

/* ---- the test as net ---- */

/* What a vault would show its peers now. */
static Cohortium__RoundReply *plan(size_t site)
{
    Cohortium__RoundCall call = COHORTIUM__ROUND_CALL__INIT;
    Cohortium__RoundReply *reply;
    struct bytes packed, out;

    call.peers = fresh(cx, VAULTS * sizeof *call.peers);
    for (size_t i = 0; i < VAULTS; i++)
        if (i != site)
            call.peers[call.n_peers++] = vault(i)->self->node_id;
    CHECK_OK_("pack", cx, pb_pack(cx, &call.base, &packed));
    CHECK_OK_("round", cx, vault_round(cx, vault(site), packed, &out));
    CHECK_OK_("unpack", cx,
              pb_unpack(cx, &cohortium__round_reply__descriptor, out, 1 << 20, &reply));
    return reply;
}

static enum fault add_by(size_t by, size_t witness,
                         const Cohortium__AddCheckpointCall *call,
                         Cohortium__AddCheckpointReply **ret)
{
    struct bytes packed, out;
    struct caller who = play_caller(&t, by, witness);

    CHECK_OK_("pack", cx, pb_pack(cx, &call->base, &packed));
    enum fault fault = vault_add_checkpoint(cx, vault(witness), &who, packed, &out);
    if (fault == FAULT_NONE)
        CHECK_OK_(
            "unpack", cx,
            pb_unpack(cx, &cohortium__add_checkpoint_reply__descriptor, out, 1 << 16, ret));
    return fault;
}

/* By whose log it is; by some other member, where that is the witness's or nobody's. */
static enum fault add(size_t witness, const Cohortium__AddCheckpointCall *call,
                      Cohortium__AddCheckpointReply **ret)
{
    for (size_t i = 0; i < VAULTS; i++)
        if (i != witness && checkpoint_claims(call->checkpoint, vault(i)->origin))
            return add_by(i, witness, call, ret);
    return add_by((witness + 1) % VAULTS, witness, call, ret);
}

static size_t site_of(struct bytes node_id)
{
    for (size_t i = 0; i < VAULTS; i++)
        if (bytes_equal(node_id, PB_BYTES(vault(i)->self->node_id)))
            return i;
    fail_msg("no such site");
    return 0;
}

static bool tell(size_t site, const char *note, Cohortium__PeerAnswer **answers, size_t n)
{
    Cohortium__RoundDoneCall call = COHORTIUM__ROUND_DONE_CALL__INIT;
    Cohortium__RoundDoneReply *reply;
    struct bytes packed, out;

    call.checkpoint = (char *)(uintptr_t)note;
    call.answers = answers;
    call.n_answers = n;
    CHECK_OK_("pack", cx, pb_pack(cx, &call.base, &packed));
    CHECK_OK_("done", cx, vault_round_done(cx, vault(site), packed, &out));
    CHECK_OK_("unpack", cx,
              pb_unpack(cx, &cohortium__round_done_reply__descriptor, out, 1024, &reply));
    return reply->again;
}

/* One round of a site's log over all its peers, but `without`; says whether to try again.
 */
static bool play_round_of(size_t site, size_t without)
{
    Cohortium__RoundReply *r = plan(site);
    Cohortium__PeerAnswer *answers = fresh(cx, VAULTS * sizeof *answers),
                          **list = fresh(cx, VAULTS * sizeof(Cohortium__PeerAnswer *));
    size_t n = 0;

    for (size_t i = 0; i < r->n_turns; i++) {
        size_t peer = site_of(PB_BYTES(r->turns[i]->node_id));

        if (peer == without)
            continue;
        cohortium__peer_answer__init(&answers[n]);
        answers[n].node_id = r->turns[i]->node_id;
        CHECK_OK_("add", cx, add(peer, r->turns[i]->call, &answers[n].reply));
        list[n] = &answers[n];
        n++;
    }
    assert_true(n > 0);
    return tell(site, r->turns[0]->call->checkpoint, list, n);
}

static void grow(size_t site)
{
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;

    record.kind = TEXT("test");
    record.decision = TEXT("done");
    CHECK_OK_("log", cx, vault_log(cx, vault(site), &record, "one more"));
}

static void witness_all(size_t site)
{
    for (int i = 0; i < 4 && play_round_of(site, VAULTS); i++)
        ;
}

static uint64_t witnessed_size(size_t site)
{
    struct witnessed w;

    CHECK_OK_("newest", cx, witness_newest(cx, vault(site), &w));
    return w.size;
}

static const struct peer_log *held_of(size_t witness, size_t site)
{
    struct peer_log *list;
    size_t n;

    CHECK_OK_("peers", cx, witness_peers(cx, vault(witness), &list, &n));
    for (size_t i = 0; i < n; i++)
        if (list[i].who ==
            manifest_find(vault(witness)->manifest, vault(site)->self->node_id.data))
            return &list[i];
    fail_msg("nothing of site %zu at %zu", site, witness);
    return NULL;
}

/* A call of site 1's log at site 0, made by hand: any size, root, key and proof. */
static Cohortium__AddCheckpointCall *by_hand(uint64_t size, uint8_t root_byte,
                                             const struct keys *keys, uint64_t old,
                                             int64_t made_at)
{
    Cohortium__AddCheckpointCall *c = fresh(cx, sizeof *c);
    const char *note;
    uint8_t root[32];

    memset(root, root_byte, sizeof root);
    cohortium__add_checkpoint_call__init(c);
    CHECK_OK_("sign", cx, checkpoint_sign(cx, vault(1)->origin, size, root, keys, &note));
    c->checkpoint = (char *)(uintptr_t)note;
    c->old_size = old;
    c->made_at = (uint64_t)made_at;
    return c;
}

static struct bytes text_of(const char *text)
{
    return bytes_of(text, strlen(text));
}

/* ---- cosigning ---- */

static void test_witness__logs_are_cosigned(void **state)
{
    (void)state;
    for (size_t i = 0; i < VAULTS; i++) {
        CHECK_EQ_("nobody yet", witnessed_size(i), 0);
        witness_all(i);
        CHECK_EQ_("all of it", witnessed_size(i), vaults_count(&t, i, TABLE_LOG));
    }
    uint64_t before = witnessed_size(0);
    for (int k = 0; k < 150; k++) { /* past what is kept of one log */
        grow(0);
        assert_false(play_round_of(0, VAULTS)); /* nothing unexpected */
    }
    CHECK_EQ_("it goes on", witnessed_size(0), before + 150);
    grow(0);
    (void)play_round_of(0, 1);
    CHECK_EQ_("one witness is not enough for a newer one", witnessed_size(0), before + 150);
    (void)play_round_of(0, VAULTS);
    CHECK_EQ_("two are", witnessed_size(0), before + 151);
    (void)play_round_of(0, VAULTS); /* once a minute, though nothing is new */
    CHECK_EQ_("and stay", witnessed_size(0), before + 151);
    CHECK_EQ_("nobody complains", held_of(1, 0)->n_contradictions, 0);
}

/* After a restart of both, and where the log's node has forgotten what its peers know. */
static void test_witness__what_is_cosigned_is_remembered(void **state)
{
    Cohortium__AddCheckpointReply *reply;
    Cohortium__RoundReply *r;

    (void)state;
    witness_all(1);
    uint64_t size = held_of(0, 1)->size;
    vaults_reopen(&t, 0);
    CHECK_EQ_("durable", held_of(0, 1)->size, size);
    grow(1);
    r = plan(1);
    Cohortium__AddCheckpointCall call = *r->turns[0]->call;
    call.old_size = 0; /* 409: it hears what is known */
    call.n_proof = 0;
    CHECK_OK_("add", cx, add(0, &call, &reply));
    assert_string_equal(reply->cosignature, "");
    assert_string_equal(reply->contradiction, "");
    CHECK_EQ_("the size", reply->known_size, size);
    CHECK_EQ_("no contradiction is kept", held_of(0, 1)->n_contradictions, 0);
    CHECK_EQ_("and nothing newer", held_of(0, 1)->size, size);
    /* Told so, the log's node tries again with the right one. */
    Cohortium__PeerAnswer a = COHORTIUM__PEER_ANSWER__INIT, *list = &a;
    a.node_id = vault(0)->self->node_id;
    a.reply = reply;
    (void)tell(1, call.checkpoint, &list, 1);
    witness_all(1);
    CHECK_EQ_("then it is cosigned", held_of(0, 1)->size, size + 1);
    assert_string_equal(vault(1)->log_trouble, "");
}

/* tlog-witness, one rule a row; site 0 is shown the log of site 1. */
static void test_witness__the_rules(void **state)
{
    enum { COSIGNED, KNOWN, CONTRADICTION };
    const int64_t now = clock_utc_ms();
    uint64_t size;

    (void)state;
    witness_all(1);
    size = held_of(0, 1)->size;
    const struct {
        const char *what;
        Cohortium__AddCheckpointCall *call;
        enum fault fault;
        int want;
        const char *words;
    } rows[] = {
        {"another size was known, larger", by_hand(size + 3, 1, vault(1)->signing, 0, now),
         FAULT_NONE, KNOWN, NULL},
        {"another size was known, smaller",
         by_hand(size + 3, 1, vault(1)->signing, size - 1, now), FAULT_NONE, KNOWN, NULL},
        {"no proof", by_hand(size + 2, 2, vault(1)->signing, size, now), FAULT_NONE,
         CONTRADICTION, "does not continue"},
        {"the same size, another root", by_hand(size, 3, vault(1)->signing, size, now),
         FAULT_NONE, CONTRADICTION, "different roots"},
        {"the same, though it knows no size", by_hand(size, 4, vault(1)->signing, 0, now),
         FAULT_NONE, CONTRADICTION, "different roots"},
        {"a smaller one after a larger one",
         by_hand(size - 1, 5, vault(1)->signing, size - 1, now + 5000), FAULT_NONE,
         CONTRADICTION, "removed"},
        {"a smaller one that was overtaken on its way",
         by_hand(size - 1, 6, vault(1)->signing, 0, now - 3600 * 1000), FAULT_NONE, KNOWN,
         NULL},
        {"an old size beyond the new one",
         by_hand(size, 7, vault(1)->signing, size + 1, now), FAULT_INVALID, 0, NULL},
        {"no records", by_hand(0, 8, vault(1)->signing, 0, now), FAULT_INVALID, 0, NULL},
        {"signed by another member", by_hand(size + 1, 9, vault(2)->signing, size, now),
         FAULT_DENIED, 0, NULL},
        {"signed by the witness itself", by_hand(size + 1, 9, vault(0)->signing, size, now),
         FAULT_DENIED, 0, NULL},
    };

    size_t kept = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__AddCheckpointReply *reply = NULL;
        enum fault fault = add(0, rows[i].call, &reply);

        CHECK_EQ_(rows[i].what, fault, rows[i].fault);
        if (fault == FAULT_NONE) {
            CHECK_(rows[i].what, reply->cosignature[0] == '\0');
            CHECK_EQ_(rows[i].what, reply->known_size, size);
            CHECK_EQ_(rows[i].what, reply->contradiction[0] != '\0',
                      rows[i].want == CONTRADICTION);
            if (rows[i].words != NULL)
                CHECK_(rows[i].what, strstr(reply->contradiction, rows[i].words) != NULL);
        }
        kept += rows[i].want == CONTRADICTION;
        const struct peer_log *p = held_of(0, 1);
        CHECK_EQ_(rows[i].what, p->n_contradictions, kept);
        CHECK_EQ_(rows[i].what, p->size, size);
    }
    CHECK_EQ_("the log goes on being cosigned", (witness_all(1), held_of(0, 1)->size),
              size);
    CHECK_EQ_("and its newest word is no contradiction", held_of(0, 1)->contradicts, false);
}

static void test_witness__only_members_and_whole_calls(void **state)
{
    Cohortium__AddCheckpointReply *reply;
    Cohortium__AddCheckpointCall *c;
    struct bytes out;
    uint64_t size;

    (void)state;
    witness_all(1);
    size = held_of(0, 1)->size;
    c = by_hand(size + 1, 1, vault(1)->signing, size, clock_utc_ms());
    CHECK_EQ_("our own log", add(1, c, &reply), FAULT_MISSING);
    CHECK_EQ_("brought by another", add_by(2, 0, c, &reply), FAULT_DENIED);
    c->checkpoint = TEXT("cohortium/0000000000000000/nobody\n5\n");
    CHECK_EQ_("nobody's log", add(0, c, &reply), FAULT_MISSING);
    c = by_hand(size + 1, 1, vault(1)->signing, size, clock_utc_ms());
    c->proof = fresh(cx, (WITNESS_PROOF_MAX + 1) * sizeof *c->proof);
    for (c->n_proof = 0; c->n_proof <= WITNESS_PROOF_MAX; c->n_proof++)
        c->proof[c->n_proof] = data(cx, vault(1)->self->node_id.data, DIGEST_BYTES);
    CHECK_EQ_("64 hashes", add(0, c, &reply), FAULT_INVALID);
    c->n_proof = 1;
    c->proof[0].len = 31;
    CHECK_EQ_("a short hash", add(0, c, &reply), FAULT_INVALID);
    struct caller who = play_caller(&t, 1, 0);
    CHECK_EQ_("no call", vault_add_checkpoint(cx, vault(0), &who, text_of("x"), &out),
              FAULT_FORMAT);
    CHECK_EQ_("nothing is kept of it", held_of(0, 1)->size, size);
}

/* A peer cannot make a witness's file or log grow. */
static void test_witness__contradictions_are_bounded(void **state)
{
    Cohortium__AddCheckpointReply *reply;
    uint64_t size, records;

    (void)state;
    witness_all(1);
    size = held_of(0, 1)->size;
    records = vaults_count(&t, 0, TABLE_LOG);
    for (uint8_t i = 1; i <= 3 * CONTRADICTIONS_KEPT; i++) {
        Cohortium__AddCheckpointCall *c =
            by_hand(size, i, vault(1)->signing, size, clock_utc_ms());

        CHECK_OK_("add", cx, add(0, c, &reply));
        CHECK_OK_("again", cx, add(0, c, &reply));
        CHECK_("refused", reply->contradiction[0] != '\0');
        if (i == 1)
            CHECK_EQ_("logged once", vaults_count(&t, 0, TABLE_LOG), records + 1);
    }
    const struct peer_log *p = held_of(0, 1);
    CHECK_EQ_("kept", p->n_contradictions, CONTRADICTIONS_KEPT);
    CHECK_EQ_("told", p->contradicts, true);
    CHECK_EQ_("logged", vaults_count(&t, 0, TABLE_LOG), records + CONTRADICTIONS_KEPT);
    const struct audit_entry *e = vaults_newest(&t, cx, 0, "contradiction");
    assert_non_null(e);
    assert_string_equal(e->record->decision, "refused");
    assert_non_null(strstr(e->details, vault(1)->self->name));
    const Cohortium__AdminReply *status =
        vaults_desk(&t, cx, 0, "status", NULL, 0, NULL, 0);
    assert_non_null(strstr(status->text, "CONTRADICTION"));
    assert_non_null(strstr(status->text, vault(1)->self->name));
    const Cohortium__AdminReply *both =
        vaults_desk(&t, cx, 0, "audit witnesses", NULL, 0, NULL, 0);
    assert_non_null(strstr(both->text, p->contradictions[0]->held));
    assert_non_null(strstr(both->text, p->contradictions[0]->shown));
}

/* A peer's line in a round is believed only if it holds. */
static void test_witness__a_false_cosignature_is_nothing(void **state)
{
    Cohortium__RoundReply *r;
    Cohortium__AddCheckpointReply reply = COHORTIUM__ADD_CHECKPOINT_REPLY__INIT;
    Cohortium__PeerAnswer answers[2], *list[2] = {&answers[0], &answers[1]};
    const char *line, *note;

    (void)state;
    r = plan(0);
    note = r->turns[0]->call->checkpoint;
    for (size_t i = 0; i < 2; i++) {
        cohortium__peer_answer__init(&answers[i]);
        answers[i].node_id = vault(i + 1)->self->node_id;
        answers[i].reply = &reply;
    }
    /* Site 2 signs in its own name, and twice: for itself and as site 1. */
    CHECK_OK_("line", cx,
              cosignature_sign(cx, note, vault(2)->origin, vault(2)->signing,
                               clock_utc_ms(), &line));
    reply.cosignature = (char *)(uintptr_t)line;
    (void)tell(0, note, list, 2);
    CHECK_EQ_("one witness, not two", witnessed_size(0), 0);
    reply.cosignature = TEXT("\xe2\x80\x94 x AAAA\n");
    (void)tell(0, note, list, 2);
    reply.cosignature = TEXT("no line");
    (void)tell(0, note, list, 2);
    CHECK_EQ_("none", witnessed_size(0), 0);
    /* A known note that is not ours proves nothing against us. */
    reply.cosignature = TEXT("");
    reply.known = by_hand(999, 1, vault(2)->signing, 0, 0)->checkpoint;
    reply.known_size = 999;
    (void)tell(0, note, list, 2);
    assert_string_equal(vault(0)->log_trouble, "");
}

static enum fault count_notes(struct cx *x, sqlite3 *sql, void *user)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(x, sql, &stmt, "SELECT count(*) FROM own_note", ""));
    TRY(db_step(x, sql, stmt, &row));
    *(int64_t *)user = sqlite3_column_int64(stmt, 0);
    return FAULT_NONE;
}

/* One note of ours that we do not continue, again and again under other lines: it is held
 * against us, and does not grow. */
static void test_witness__a_note_in_many_forms_is_kept_in_few(void **state)
{
    Cohortium__AddCheckpointReply reply = COHORTIUM__ADD_CHECKPOINT_REPLY__INIT;
    Cohortium__PeerAnswer answer = COHORTIUM__PEER_ANSWER__INIT, *list = &answer;
    const uint8_t root[DIGEST_BYTES] = {7};
    const char *ours, *note = plan(0)->turns[0]->call->checkpoint;
    int64_t n = 0;

    (void)state;
    answer.node_id = vault(2)->self->node_id;
    answer.reply = &reply;
    CHECK_OK_("sign", cx,
              checkpoint_sign(cx, vault(0)->origin, 5000, root, vault(0)->signing, &ours));
    reply.known_size = 5000;
    for (int i = 0; i < 3 * CONTRADICTIONS_KEPT; i++) {
        reply.known =
            (char *)(uintptr_t)cx_printf(cx, "%s\xe2\x80\x94 x%d AAAA\n", ours, i);
        assert_non_null(reply.known);
        (void)tell(0, note, &list, 1);
    }
    assert_string_not_equal(vault(0)->log_trouble, "");
    CHECK_OK_("count", cx, db_read(cx, vault(0)->db, count_notes, &n));
    assert_in_range(n, 1, CONTRADICTIONS_KEPT);
}

/* ---- proofs ---- */

static enum fault prove(size_t site, uint64_t index, const uint8_t *hash,
                        Cohortium__ProveReply **ret)
{
    Cohortium__ProveCall call = COHORTIUM__PROVE_CALL__INIT;
    Cohortium__Leaf leaf = COHORTIUM__LEAF__INIT, *list = &leaf;
    struct bytes packed, out;

    leaf.index = index;
    leaf.hash = PB_DATA(bytes_of(hash, DIGEST_BYTES));
    call.leaves = &list;
    call.n_leaves = 1;
    CHECK_OK_("pack", cx, pb_pack(cx, &call.base, &packed));
    enum fault fault = vault_prove(cx, vault(site), packed, &out);
    if (fault == FAULT_NONE)
        CHECK_OK_("unpack", cx,
                  pb_unpack(cx, &cohortium__prove_reply__descriptor, out, 1 << 20, ret));
    return fault;
}

struct leaf_look {
    uint64_t index;
    uint8_t hash[DIGEST_BYTES];
};

static enum fault read_hash(struct cx *use, sqlite3 *sql, void *user)
{
    struct leaf_look *l = user;
    struct merkle_store store = audit_store(sql);

    return store.node(use, sql, 0, l->index, l->hash);
}

static void test_witness__proofs_are_under_what_others_cosigned(void **state)
{
    Cohortium__ProveReply *r;
    struct leaf_look leaf = {.index = 1};
    uint8_t root[32], path[MERKLE_PATH_MAX][32];
    uint64_t size, at;

    (void)state;
    witness_all(0);
    uint64_t witnessed = witnessed_size(0);
    grow(0);
    grow(0);
    CHECK_OK_("hash", cx, db_read(cx, vault(0)->db, read_hash, &leaf));
    CHECK_OK_("an old record", cx, prove(0, leaf.index, leaf.hash, &r));
    assert_true(r->cosigned);
    CHECK_EQ_("under the cosigned checkpoint", r->proofs[0]->size, witnessed);
    CHECK_OK_("checkpoint", cx,
              checkpoint_verify(cx, r->proofs[0]->checkpoint, vault(0)->origin,
                                vault(0)->self->signing_key.data, &size, root));
    for (size_t i = 1; i < VAULTS; i++)
        assert_true(cosignature_holds(cx, r->proofs[0]->checkpoint, vault(i)->origin,
                                      vault(i)->self->signing_key.data, &at));
    for (size_t k = 0; k < r->proofs[0]->n_path; k++)
        memcpy(path[k], r->proofs[0]->path[k].data, 32);
    assert_true(merkle_inclusion_holds(leaf.hash, leaf.index, size,
                                       (const uint8_t(*)[32])path, r->proofs[0]->n_path,
                                       root));
    CHECK_EQ_("no record travels", r->proofs[0]->record.len, 0);
    leaf.index = witnessed + 1;
    CHECK_OK_("hash", cx, db_read(cx, vault(0)->db, read_hash, &leaf));
    CHECK_OK_("a new record", cx, prove(0, leaf.index, leaf.hash, &r));
    assert_false(r->cosigned);
    CHECK_EQ_("all there is", r->proofs[0]->size, witnessed + 2);
    (void)play_round_of(0, 1);
    CHECK_OK_("one witness", cx, prove(0, leaf.index, leaf.hash, &r));
    assert_false(r->cosigned);
    assert_true(cosignature_holds(cx, r->proofs[0]->checkpoint, vault(2)->origin,
                                  vault(2)->self->signing_key.data, &at));
    witness_all(0);
    CHECK_OK_("two", cx, prove(0, leaf.index, leaf.hash, &r));
    assert_true(r->cosigned);
    leaf.hash[0] ^= 1;
    CHECK_EQ_("who does not know the record", prove(0, leaf.index, leaf.hash, &r),
              FAULT_MISSING);
    CHECK_EQ_("beyond the end", prove(0, witnessed + 2, leaf.hash, &r), FAULT_MISSING);
    CHECK_EQ_("far beyond it", prove(0, UINT64_MAX, leaf.hash, &r), FAULT_MISSING);
}

/* ---- a log that is not what it was ---- */

static enum fault run_sql(struct cx *use, sqlite3 *sql, void *user)
{
    return sqlite3_exec(sql, user, NULL, NULL, NULL) == SQLITE_OK
               ? FAULT_NONE
               : cx_fail(use, FAULT_STORAGE, "%s", sqlite3_errmsg(sql));
}

static enum fault check_log(size_t site)
{
    uint64_t size;
    uint8_t root[32];

    return witness_check_log(cx, vault(site), &size, root);
}

/* Each change of site 0's file: it is named, the node answers nothing, both peers get the
 * contradiction, signed by its own key; and all is well again when it is taken back. */
static void test_witness__a_changed_log_is_shown_to_peers(void **state)
{
    static const struct {
        const char *what, *sql, *names;
    } rows[] = {
        {"a record edited", "UPDATE log SET leaf=x'0a0161' WHERE idx=2", "record 2 "},
        {"a record deleted", "DELETE FROM log WHERE idx=1", "record 1 "},
        {"the newest deleted", "DELETE FROM log WHERE idx=(SELECT max(idx) FROM log)",
         "it is missing"},
        {"two exchanged",
         "UPDATE log SET idx=-1 WHERE idx=2; UPDATE log SET idx=2 WHERE idx=3;"
         " UPDATE log SET idx=3 WHERE idx=-1",
         "record "},
    };
    const struct policy_now *policy;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        tear_down(NULL);
        set_up(NULL);
        witness_all(0);
        CHECK_OK_("whole", cx, check_log(0));
        CHECK_OK_("copy", cx,
                  db_write(cx, vault(0)->db, run_sql,
                           TEXT("CREATE TABLE before AS SELECT * FROM log")));
        CHECK_OK_(rows[i].what, cx, db_write(cx, vault(0)->db, run_sql, TEXT(rows[i].sql)));
        CHECK_EQ_(rows[i].what, check_log(0), FAULT_CONFLICT);
        CHECK_(rows[i].what, strstr(cx_message(cx), rows[i].names) != NULL);
        CHECK_EQ_(rows[i].what, vault_policy(cx, vault(0), &policy), FAULT_REFUSED);
        (void)play_round_of(0, VAULTS);
        for (size_t w = 1; w < VAULTS; w++) {
            CHECK_EQ_(rows[i].what, held_of(w, 0)->n_contradictions, 1);
            CHECK_EQ_(rows[i].what, held_of(w, 0)->contradicts, true);
        }
        CHECK_OK_("taken back", cx,
                  db_write(cx, vault(0)->db, run_sql,
                           TEXT("DELETE FROM log; INSERT INTO log SELECT * FROM before;"
                                "DROP TABLE before")));
        CHECK_OK_("whole again", cx, check_log(0));
        CHECK_OK_("and answers", cx, vault_policy(cx, vault(0), &policy));
        witness_all(0);
        for (size_t w = 1; w < VAULTS; w++) {
            CHECK_EQ_("cosigned again", held_of(w, 0)->contradicts, false);
            CHECK_EQ_("the evidence stays", held_of(w, 0)->n_contradictions, 1);
        }
    }
}

/* Found without a `verify`: the round itself needs the hash that is gone. */
static void test_witness__a_broken_tree_is_found_by_a_round(void **state)
{
    (void)state;
    while (vaults_count(&t, 0, TABLE_LOG) < 6)
        grow(0);
    witness_all(0);
    CHECK_OK_(
        "a hash of the tree is lost", cx,
        db_write(cx, vault(0)->db, run_sql, TEXT("DELETE FROM log_node WHERE level=2")));
    (void)play_round_of(0, VAULTS);
    assert_non_null(strstr(vault(0)->log_trouble, "does not fit"));
    CHECK_EQ_("the leaves are as they were: nobody is accused",
              held_of(1, 0)->n_contradictions, 0);
}

static enum fault forget_since(struct cx *use, sqlite3 *sql, void *user)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    const int64_t *size = user;
    static const char *const texts[] = {
        "DELETE FROM log WHERE idx>=?", "DELETE FROM log_node WHERE (idx+1)<<level > ?",
        "DELETE FROM log_checkpoint WHERE size>?", "DELETE FROM cosignature WHERE size>?",
        "DELETE FROM peer_knows WHERE size>?"};

    for (size_t i = 0; i < COUNT(texts); i++) {
        db_done(&stmt);
        TRY(db_prepare(use, sql, &stmt, texts[i], "i", *size));
        TRY(db_run(use, sql, stmt));
    }
    return FAULT_NONE;
}

/* An old copy is whole in itself: only peers know better. What they show stops the node,
 * also after it has started again, and until the newest copy is back. */
static void test_witness__a_rolled_back_log_is_known_to_peers(void **state)
{
    const struct policy_now *policy;

    (void)state;
    witness_all(0);
    int64_t size = (int64_t)vaults_count(&t, 0, TABLE_LOG);
    for (int i = 0; i < 5; i++)
        grow(0);
    witness_all(0);
    CHECK_OK_("the copy of then", cx, db_write(cx, vault(0)->db, forget_since, &size));
    CHECK_OK_("is whole", cx, check_log(0));
    grow(0); /* "the vault started" */
    CHECK_OK_("is whole", cx, check_log(0));
    (void)play_round_of(0, VAULTS);
    assert_non_null(strstr(vault(0)->log_trouble, "rolled back"));
    CHECK_EQ_("answers nothing", vault_policy(cx, vault(0), &policy), FAULT_REFUSED);
    for (size_t w = 1; w < VAULTS; w++) {
        assert_true(held_of(w, 0)->contradicts);
        assert_non_null(strstr(held_of(w, 0)->contradictions[0]->reason, "old copy"));
    }
    vaults_reopen(&t, 0);
    CHECK_EQ_("after a start, too", check_log(0), FAULT_CONFLICT);
    assert_non_null(strstr(cx_message(cx), "rolled back"));
    /* Grown to the size that was cosigned: another log of the same size. */
    while ((int64_t)vaults_count(&t, 0, TABLE_LOG) < size + 5)
        grow(0);
    (void)play_round_of(0, VAULTS);
    CHECK_EQ_("two notes of one size", held_of(1, 0)->n_contradictions, 2);
    assert_non_null(strstr(held_of(1, 0)->contradictions[1]->reason, "different roots"));
    while ((int64_t)vaults_count(&t, 0, TABLE_LOG) < size + 9)
        grow(0);
    (void)play_round_of(0, VAULTS);
    assert_non_null(strstr(held_of(1, 0)->contradictions[2]->reason, "does not continue"));
    CHECK_EQ_("and is never cosigned again", held_of(1, 0)->size, (uint64_t)size + 5);
}

/* ---- the desk ---- */

static void test_witness__a_proof_as_text(void **state)
{
    const char *words[] = {"0"};
    const Cohortium__AdminReply *r;

    (void)state;
    r = vaults_desk(&t, cx, 0, "audit prove", words, 1, NULL, 0);
    CHECK_("unwitnessed", strstr(r->text, "UNWITNESSED") != NULL);
    witness_all(0);
    r = vaults_desk(&t, cx, 0, "audit prove", words, 1, NULL, 0);
    CHECK_("witnessed", strstr(r->text, "2 others have cosigned") != NULL);
    CHECK_EQ_("one document", r->n_blobs, 1);
    CHECK_("in C2SP's form", strncmp((const char *)r->blobs[0].data,
                                     "c2sp.org/tlog-proof@v1\nextra ", 29) == 0);
    words[0] = "100000";
    (void)vaults_desk(&t, cx, 0, "audit prove", words, 1, NULL, 1);
    words[0] = "ffffffffffffffff";
    (void)vaults_desk(&t, cx, 0, "audit prove", words, 1, NULL, 1);
    words[0] = "-1";
    (void)vaults_desk(&t, cx, 0, "audit prove", words, 1, NULL, 2);
}

static void test_witness__a_report_says_what_happened(void **state)
{
    const char *words[] = {"0", "4000000000000", "text"};
    const Cohortium__AdminReply *r;

    (void)state;
    r = vaults_desk(&t, cx, 0, "audit report", words, 3, NULL, 0);
    CHECK_("whose", strstr(r->text, vault(0)->self->name) != NULL);
    CHECK_("unwitnessed", strstr(r->text, "UNWITNESSED") != NULL);
    CHECK_("an act", strstr(r->text, "codebook of lung added") != NULL);
    words[2] = "html";
    r = vaults_desk(&t, cx, 0, "audit report", words, 3, NULL, 0);
    CHECK_("a page", strncmp(r->text, "<!DOCTYPE html>", 15) == 0);
    words[1] = "1"; /* nothing is of 1970 */
    words[2] = "text";
    r = vaults_desk(&t, cx, 0, "audit report", words, 3, NULL, 0);
    CHECK_("nothing", strstr(r->text, "codebook of lung added") == NULL);
    words[0] = "5";
    (void)vaults_desk(&t, cx, 0, "audit report", words, 3, NULL, 1);
}

/* Whatever a permit or a researcher wrote, it is text on the page. */
static void test_witness__a_page_escapes(void **state)
{
    struct report_row row = {.asked = true,
                             .kind = "question",
                             .decision = "released",
                             .who = "<script>alert(1)</script>",
                             .what = "a & b",
                             .why = "\"x\"",
                             .budget = ""};
    struct report_permit permit = {.title = "<b>", .purpose = "&"};
    struct report_page page = {.node = "a",
                               .consortium = "<c>",
                               .root = "",
                               .witness = "",
                               .n_rows = 1,
                               .rows = &row,
                               .n_permits = 1,
                               .permits = &permit};
    struct buffer out = buffer_new(cx, 1 << 20);

    (void)state;
    report_html(&out, &page);
    const char *text = buffer_string(&out);
    assert_non_null(text);
    assert_null(strstr(text, "<script>"));
    assert_null(strstr(text, "<b>"));
    assert_null(strstr(text, "<c>"));
    assert_non_null(strstr(text, "&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_non_null(strstr(text, "a &amp; b"));
    assert_non_null(strstr(text, "&quot;x&quot;"));
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        EACH(test_witness__logs_are_cosigned),
        EACH(test_witness__what_is_cosigned_is_remembered),
        EACH(test_witness__the_rules),
        EACH(test_witness__only_members_and_whole_calls),
        EACH(test_witness__contradictions_are_bounded),
        EACH(test_witness__a_false_cosignature_is_nothing),
        EACH(test_witness__a_note_in_many_forms_is_kept_in_few),
        EACH(test_witness__proofs_are_under_what_others_cosigned),
        EACH(test_witness__a_changed_log_is_shown_to_peers),
        EACH(test_witness__a_broken_tree_is_found_by_a_round),
        EACH(test_witness__a_rolled_back_log_is_known_to_peers),
        EACH(test_witness__a_proof_as_text),
        EACH(test_witness__a_report_says_what_happened),
        EACH(test_witness__a_page_escapes),
    };

    return cmocka_run_group_tests_name("witness", tests, NULL, NULL);
}

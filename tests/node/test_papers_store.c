/* Papers are kept as they were signed; what is used up, revoked or seen stays so. */
#include "node/vault/papers_store.h"

#include "tests/node/scratch.h"
#include "tests/protocol/consortium.h"

struct fixture {
    struct scratch scratch;
    struct cx *cx;
    struct db *db;
    struct consortium c;
};

static void run(const char *what, db_work *work)
{
    struct fixture f = {0};

    scratch_new(&f.scratch);
    f.cx = cx_new(64 * 1024 * 1024, CX_NO_DEADLINE);
    consortium_new(f.cx, &f.c);
    CHECK_OK_("open", f.cx, db_open(f.cx, f.scratch.db, &f.db));
    CHECK_OK_(what, f.cx, db_write(f.cx, f.db, work, &f));
    db_close(&f.db);
    consortium_free(&f.c);
    cx_free(&f.cx);
    scratch_free(&f.scratch);
}

/* ---- permits ---- */

static enum fault permits(struct cx *cx, sqlite3 *sql, void *user)
{
    struct fixture *f = user;
    struct permit p, joined;
    struct bytes packed, *list;
    Cohortium__Permit *other = consortium_permit(cx, &f->c);
    size_t n = 9;

    CHECK_EQ_("none yet", permits_find(cx, sql, f->c.permit_id, &packed), FAULT_MISSING);
    TRY(permit_verify(cx, f->c.manifest, f->c.permit, &p));
    TRY(permits_list(cx, sql, &list, &n));
    CHECK_EQ_("empty list", n, 0);
    TRY(permits_add(cx, sql, &p));
    TRY(permits_find(cx, sql, f->c.permit_id, &packed));
    CHECK_("as it was signed", bytes_equal(packed, f->c.permit));
    TRY(permits_add(cx, sql, &p));
    TRY(permits_list(cx, sql, &list, &n));
    CHECK_EQ_("once", n, 1);

    /* One more signature under the same document; another document of the same id. */
    TRY(envelope_cosign(cx, ENVELOPE_PERMIT, f->c.permit, f->c.governor[0], &packed));
    TRY(permit_verify(cx, f->c.manifest, packed, &joined));
    TRY(permits_add(cx, sql, &joined));
    TRY(permits_add(cx, sql, &p));
    TRY(permits_find(cx, sql, f->c.permit_id, &packed));
    TRY(permit_verify(cx, f->c.manifest, packed, &joined));
    CHECK_EQ_("all signatures", joined.envelope.n_signatures, p.envelope.n_signatures + 1);
    other->id = PB_DATA(bytes_of(f->c.permit_id, ID_BYTES));
    other->title = (char *)"another study";
    packed =
        consortium_seal(cx, ENVELOPE_PERMIT, &other->base, f->c.officer, CONSORTIUM_SITES);
    TRY(permit_verify(cx, f->c.manifest, packed, &joined));
    CHECK_EQ_("another document", permits_add(cx, sql, &joined), FAULT_CONFLICT);
    return FAULT_NONE;
}

static void test_papers_store__permits_are_kept_as_signed(void **state)
{
    (void)state;
    run("permits", permits);
}

static enum fault charges(struct cx *cx, sqlite3 *sql, void *user)
{
    static const uint8_t a[16] = {1}, b[16] = {2};
    uint8_t question[32] = {0};

    (void)user;
    for (uint8_t i = 0; i < 3; i++) {
        question[0] = i;
        TRY(permits_charge(cx, sql, a, 3, question));
        TRY(permits_charge(cx, sql, a, 3, question)); /* the same question: no charge */
    }
    question[0] = 3;
    CHECK_EQ_("used up", permits_charge(cx, sql, a, 3, question), FAULT_REFUSED);
    question[0] = 2;
    TRY(permits_charge(cx, sql, a, 3, question)); /* answered before: still there */
    question[0] = 3;
    TRY(permits_charge(cx, sql, b, 3, question)); /* another permit */
    TRY(permits_charge(cx, sql, a, 0, question)); /* no limit of its own */
    return FAULT_NONE;
}

static void test_papers_store__a_question_is_charged_once(void **state)
{
    (void)state;
    run("charges", charges);
}

/* ---- policies ---- */

static enum fault policies(struct cx *cx, sqlite3 *sql, void *user)
{
    struct bytes packed, *list;
    size_t n;

    (void)user;
    CHECK_EQ_("none", policies_current(cx, sql, &packed), FAULT_MISSING);
    CHECK_("what to do", strstr(cx_message(cx), "no policy is in force") != NULL);
    TRY(policies_add(cx, sql, bytes_of("one", 3), 1, 1000));
    TRY(policies_add(cx, sql, bytes_of("two", 3), 2, 2000));
    CHECK_EQ_("the same number", policies_add(cx, sql, bytes_of("two", 3), 2, 3000),
              FAULT_REPLAY);
    CHECK_EQ_("an older one", policies_add(cx, sql, bytes_of("one", 3), 1, 3000),
              FAULT_REPLAY);
    TRY(policies_current(cx, sql, &packed));
    CHECK_("the newest", bytes_equal(packed, bytes_of("two", 3)));
    TRY(policies_list(cx, sql, &list, &n));
    CHECK_EQ_("history", n, 2);
    CHECK_("oldest first", bytes_equal(list[0], bytes_of("one", 3)));
    return FAULT_NONE;
}

static void test_papers_store__the_newest_policy_is_in_force(void **state)
{
    (void)state;
    run("policies", policies);
}

/* ---- researchers ---- */

static enum fault issue(struct cx *cx, sqlite3 *sql, struct fixture *f, const char *name,
                        uint8_t serial, uint8_t subject)
{
    Cohortium__Credential *body = consortium_credential(cx, &f->c);
    uint8_t id[ID_BYTES], key[DIGEST_BYTES];

    memset(id, serial, sizeof id);
    memset(key, subject, sizeof key);
    body->name = (char *)name;
    body->serial = PB_DATA(bytes_of(id, sizeof id));
    return researchers_add(
        cx, sql, key, id,
        consortium_seal(cx, ENVELOPE_CREDENTIAL, &body->base, f->c.node, 1));
}

static enum fault check_serial(struct cx *cx, sqlite3 *sql, uint8_t serial)
{
    uint8_t id[ID_BYTES];

    memset(id, serial, sizeof id);
    return researchers_check(cx, sql, id);
}

static enum fault revoke_serial(struct cx *cx, sqlite3 *sql, uint8_t serial,
                                const char *reason, int64_t now)
{
    uint8_t id[ID_BYTES];

    memset(id, serial, sizeof id);
    return researchers_revoke(cx, sql, id, reason, now);
}

static enum fault researchers(struct cx *cx, sqlite3 *sql, void *user)
{
    struct fixture *f = user;
    struct researcher_row *list;
    size_t n = 0;

    TRY(issue(cx, sql, f, "ada", 0x11, 0xaa));
    TRY(issue(cx, sql, f, "ada", 0x12, 0xaa));
    TRY(issue(cx, sql, f, "grace", 0x21, 0xbb));
    TRY(issue(cx, sql, f, "emmy", 0x31, 0xcc));
    CHECK_EQ_("a serial twice", issue(cx, sql, f, "eve", 0x11, 0xdd), FAULT_CONFLICT);
    TRY(check_serial(cx, sql, 0x11));
    CHECK_EQ_("not ours", check_serial(cx, sql, 0x99), FAULT_DENIED);
    TRY(revoke_serial(cx, sql, 0x11, "left", 5000));
    CHECK_EQ_("revoked", check_serial(cx, sql, 0x11), FAULT_DENIED);
    TRY(check_serial(cx, sql, 0x12));
    TRY(check_serial(cx, sql, 0x21));
    TRY(revoke_serial(cx, sql, 0x21, "lost key", 6000));
    TRY(revoke_serial(cx, sql, 0x21, "another reason", 7000));
    TRY(revoke_serial(cx, sql, 0x99, "nobody's", 7000));
    TRY(researchers_list(cx, sql, &list, &n));
    CHECK_EQ_("all", n, 4);
    CHECK_("row", strcmp(list[2].name, "grace") == 0 && list[2].revoked_at == 6000 &&
                      strcmp(list[2].reason, "lost key") == 0 &&
                      list[2].subject[0] == 0xbb && list[2].serial[0] == 0x21 &&
                      list[2].credential.n > 0 && list[2].not_after > list[2].issued_at);
    return FAULT_NONE;
}

static void test_papers_store__revoked_credentials_are_denied(void **state)
{
    (void)state;
    run("researchers", researchers);
}

/* ---- replay ---- */

static enum fault replays(struct cx *cx, sqlite3 *sql, void *user)
{
    static const uint8_t ada[32] = {1}, grace[32] = {2}, id[16] = {3}, other[16] = {4};
    static const uint8_t one[32] = {5}, two[32] = {6};

    (void)user;
    TRY(replay_note(cx, sql, ada, id, one, 10000, 1000));
    TRY(replay_note(cx, sql, ada, id, one, 10000, 2000)); /* resumed */
    CHECK_EQ_("another request", replay_note(cx, sql, ada, id, two, 10000, 2000),
              FAULT_REPLAY);
    TRY(replay_note(cx, sql, grace, id, two, 10000, 2000));
    TRY(replay_note(cx, sql, ada, other, two, 10000, 2000));
    CHECK_EQ_("kept until expiry and skew",
              replay_note(cx, sql, ada, id, two, 10000, 10000 + CLOCK_SKEW_MS),
              FAULT_REPLAY);
    TRY(replay_note(cx, sql, ada, id, two, 900000, 10001 + CLOCK_SKEW_MS));
    CHECK_EQ_("no such time", replay_note(cx, sql, ada, id, two, UINT64_MAX, 1),
              FAULT_FORMAT);
    return FAULT_NONE;
}

static void test_papers_store__a_request_id_is_used_once(void **state)
{
    (void)state;
    run("replays", replays);
}

/* ---- answers ---- */

static enum fault answers(struct cx *cx, sqlite3 *sql, void *user)
{
    static const uint8_t question[32] = {1}, other[32] = {2};
    struct answer_row row = {.release = bytes_of("release", 7),
                             .transcript = bytes_of("transcript", 10)};
    struct answer_row found;

    (void)user;
    CHECK_EQ_("none yet", answers_find(cx, sql, question, &found), FAULT_MISSING);
    TRY(answers_add(cx, sql, question, &row, 1000));
    TRY(answers_find(cx, sql, question, &found));
    CHECK_("the same bytes", bytes_equal(found.release, row.release) &&
                                 bytes_equal(found.transcript, row.transcript));
    CHECK_EQ_("another question", answers_find(cx, sql, other, &found), FAULT_MISSING);
    row.release = bytes_of("again", 5); /* a vault had lost it: all take the new one */
    TRY(answers_add(cx, sql, question, &row, 2000));
    TRY(answers_find(cx, sql, question, &found));
    CHECK_("the newest", bytes_equal(found.release, row.release));
    return FAULT_NONE;
}

static void test_papers_store__answers_come_back_as_they_were(void **state)
{
    (void)state;
    run("answers", answers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_papers_store__permits_are_kept_as_signed),
        cmocka_unit_test(test_papers_store__a_question_is_charged_once),
        cmocka_unit_test(test_papers_store__the_newest_policy_is_in_force),
        cmocka_unit_test(test_papers_store__revoked_credentials_are_denied),
        cmocka_unit_test(test_papers_store__a_request_id_is_used_once),
        cmocka_unit_test(test_papers_store__answers_come_back_as_they_were),
    };

    return cmocka_run_group_tests_name("papers_store", tests, NULL, NULL);
}

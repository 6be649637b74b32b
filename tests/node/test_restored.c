/* A vault whose folder came from a backup answers nothing until others have found its log
 * whole, and says so in it. */
#include "node/vault/restored.h"

#include "tests/node/vaults.h"

static const char policy[] = "class: testing\n";

static void mark(struct vaults *t)
{
    struct restored_from from = {"2026-11-24T00:00:00Z", 3};

    CHECK_OK_("mark", t->cx, db_write(t->cx, t->site[0].v.db, restored_mark, &from));
    vaults_reopen(t, 0);
}

static bool may_answer(struct vaults *t)
{
    const struct policy_now *now;

    return vault_policy(t->cx, &t->site[0].v, &now) == FAULT_NONE;
}

static uint64_t records(struct vaults *t)
{
    return vaults_count(t, 0, TABLE_LOG);
}

struct noting {
    struct vault_site *site;
    const char *note;
};

static enum fault sign(struct cx *cx, sqlite3 *sql, void *user)
{
    struct noting *n = user;

    return audit_checkpoint(cx, sql, n->site->v.signing, n->site->v.origin, &n->note);
}

/* What a peer may hold of this site's log: its checkpoint as it is now. */
static const char *note_of(struct vaults *t, size_t site)
{
    struct noting n = {.site = &t->site[site]};

    CHECK_OK_("note", t->cx, db_read(t->cx, t->site[site].v.db, sign, &n));
    return n.note;
}

/* One that the log, as it is now, does not continue. */
static const char *other_note(struct vaults *t, uint64_t size)
{
    static const uint8_t root[DIGEST_BYTES] = {1, 2, 3};
    const char *note;

    CHECK_OK_("note", t->cx,
              checkpoint_sign(t->cx, t->site[0].v.origin, size, root, t->site[0].v.signing,
                              &note));
    return note;
}

static void test_restored__a_node_that_was_not_is_left_alone(void **state)
{
    struct vaults t;

    (void)state;
    vaults_new(&t, policy);
    uint64_t before = records(&t);
    assert_true(may_answer(&t));
    CHECK_EQ_("a note of more records",
              vault_restored_check(t.cx, &t.site[0].v, "south", other_note(&t, 1000)),
              FAULT_NONE);
    CHECK_EQ_("accept", restored_accept(t.cx, &t.site[0].v, "why not"), FAULT_USAGE);
    assert_int_equal(records(&t), before);
    vaults_free(&t);
}

static void test_restored__others_must_find_the_log_whole(void **state)
{
    struct vaults t;

    (void)state;
    vaults_new(&t, policy);
    const char *seen = note_of(&t, 0), *foreign = note_of(&t, 1);
    uint64_t size = records(&t);
    mark(&t);
    struct vault *v = &t.site[0].v;
    assert_false(may_answer(&t));
    assert_non_null(strstr(cx_message(t.cx), "restored and not yet compared"));
    CHECK_EQ_("another's note", vault_restored_check(t.cx, v, "south", foreign),
              FAULT_DENIED);
    CHECK_EQ_("more records than there are",
              vault_restored_check(t.cx, v, "south", other_note(&t, size + 100)),
              FAULT_CONFLICT);
    CHECK_EQ_("as many, but others",
              vault_restored_check(t.cx, v, "south", other_note(&t, size)), FAULT_CONFLICT);
    assert_false(may_answer(&t));
    CHECK_EQ_("others, who were away", vault_restored_check(t.cx, v, "north", seen),
              FAULT_NONE);
    CHECK_EQ_("others, who were away", vault_restored_check(t.cx, v, "west", seen),
              FAULT_NONE);
    assert_false(may_answer(&t));
    vaults_reopen(&t, 0);
    assert_false(may_answer(&t));
    CHECK_EQ_("what was seen before", vault_restored_check(t.cx, v, "south", seen),
              FAULT_NONE);
    assert_false(may_answer(&t));
    assert_non_null(strstr(cx_message(t.cx), "2 other members are linked"));
    assert_non_null(strstr(cx_message(t.cx), "(so far: south)"));
    CHECK_EQ_("the same again", vault_restored_check(t.cx, v, "south", NULL), FAULT_NONE);
    assert_false(may_answer(&t));
    CHECK_EQ_("another", vault_restored_check(t.cx, v, "west", seen), FAULT_NONE);
    assert_true(may_answer(&t));
    assert_non_null(strstr(vaults_newest(&t, t.cx, 0, "compared")->details, "west"));
    vaults_reopen(&t, 0);
    assert_true(may_answer(&t));
    vaults_free(&t);
}

static void test_restored__again_is_judged_again(void **state)
{
    struct vaults t;

    (void)state;
    vaults_new(&t, policy);
    mark(&t);
    CHECK_EQ_("cosigned", vault_restored_check(t.cx, &t.site[0].v, "west", NULL),
              FAULT_NONE);
    CHECK_EQ_("cosigned", vault_restored_check(t.cx, &t.site[0].v, "south", NULL),
              FAULT_NONE);
    assert_true(may_answer(&t));
    mark(&t);
    assert_false(may_answer(&t));
    CHECK_EQ_("the operator", restored_accept(t.cx, &t.site[0].v, "the others are gone"),
              FAULT_NONE);
    assert_true(may_answer(&t));
    const struct audit_entry *e = vaults_newest(&t, t.cx, 0, "compared");
    assert_string_equal(e->record->decision, "accepted");
    assert_non_null(strstr(e->details, "the others are gone"));
    CHECK_EQ_("once", restored_accept(t.cx, &t.site[0].v, "again"), FAULT_USAGE);
    vaults_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restored__a_node_that_was_not_is_left_alone),
        cmocka_unit_test(test_restored__others_must_find_the_log_whole),
        cmocka_unit_test(test_restored__again_is_judged_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

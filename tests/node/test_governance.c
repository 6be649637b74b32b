/*
 * test_governance.c - the manifest at a running vault: what is adopted and what is refused;
 * what a session makes of it; two versions of one number.
 */
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/node/session_case.h"

/* ---- manifests to come ---- */

struct body { /* a body that may be changed */
    Cohortium__Manifest m;
    Cohortium__Member *members[VAULTS];
};

/* What follows `before`; `days` tells one from another. */
static void next_body(struct body *b, const struct manifest *before, int days)
{
    b->m = *before->body;
    for (size_t i = 0; i < b->m.n_members; i++)
        b->members[i] = before->body->members[i];
    b->m.members = b->members;
    b->m.version = before->body->version + 1;
    b->m.previous = PB_DATA(bytes_of(before->digest, DIGEST_BYTES));
    b->m.valid_until += (uint64_t)days * 24 * 3600 * 1000;
    b->m.reason = (char *)"a test";
}

static void without(struct body *b, size_t site)
{
    size_t n = 0;

    for (size_t i = 0; i < b->m.n_members; i++)
        if (i != site)
            b->members[n++] = b->members[i];
    b->m.n_members = n;
}

static struct bytes seal(struct cx *cx, const struct body *b, size_t governors)
{
    struct bytes packed;

    CHECK_OK_("seal", cx,
              envelope_seal(cx, ENVELOPE_MANIFEST, &b->m.base, t.governor[0], &packed));
    for (size_t i = 1; i < governors; i++)
        CHECK_OK_("cosign", cx,
                  envelope_cosign(cx, ENVELOPE_MANIFEST, packed, t.governor[i], &packed));
    return packed;
}

static struct vault *vault(size_t site)
{
    return &t.site[site].v;
}

static enum fault adopt(struct cx *cx, size_t site, struct bytes packed)
{
    return vault_adopt(cx, vault(site), &packed, 1, "a test");
}

static struct bytes renewed(struct cx *cx, const struct manifest *before, int days)
{
    struct body b;

    next_body(&b, before, days);
    return seal(cx, &b, 2);
}

static void refused(const char *what, struct cx *cx, struct bytes packed, const char *words)
{
    const struct manifest *before = vault(HOME)->manifest;
    uint64_t log = vaults_count(&t, HOME, TABLE_LOG);

    CHECK_EQ_(what, adopt(cx, HOME, packed), FAULT_DENIED);
    if (strstr(cx_message(cx), words) == NULL)
        fail_msg("%s: \"%s\", expected \"%s\"", what, cx_message(cx), words);
    CHECK_(what, vault(HOME)->manifest == before);
    CHECK_EQ_(what, vaults_count(&t, HOME, TABLE_LOG), log);
    CHECK_OK_(what, cx, vault_governed(cx, vault(HOME)));
}

/* ---- adopting ---- */

static void test_governance__what_is_adopted(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct body b;

    (void)state;
    assert_non_null(cx);
    const struct manifest *first = vault(HOME)->manifest;
    struct bytes second = renewed(cx, first, 1);
    CHECK_OK_("version 2", cx, adopt(cx, HOME, second));
    const struct manifest *two = vault(HOME)->manifest;
    CHECK_EQ_("in force", two->body->version, 2);
    CHECK_EQ_("the older one stays", first->body->version, 1);
    CHECK_("logged with its reason",
           strstr(vaults_newest(&t, cx, HOME, "manifest")->details, "a test") != NULL);
    uint64_t log = vaults_count(&t, HOME, TABLE_LOG);
    CHECK_OK_("once more", cx, adopt(cx, HOME, second));
    CHECK_("is nothing new", vault(HOME)->manifest == two);
    CHECK_EQ_("and not logged", vaults_count(&t, HOME, TABLE_LOG), log);

    next_body(&b, two, 1);
    refused("too few", cx, seal(cx, &b, 1), "signed by 1");
    b.m.version = 4;
    refused("skipped", cx, seal(cx, &b, 2), "expected version 3");
    b.m.version = 3;
    b.m.previous = PB_DATA(bytes_of(first->digest, DIGEST_BYTES));
    refused("of another past", cx, seal(cx, &b, 2), "not made from");
    CHECK_EQ_("not a manifest", adopt(cx, HOME, bytes_of("x", 1)), FAULT_FORMAT);

    /* What stands before a bad one holds. */
    struct bytes third = renewed(cx, two, 1);
    struct bytes list[] = {second, third, bytes_of("x", 1)};
    CHECK_EQ_("the third is bad", vault_adopt(cx, vault(HOME), list, COUNT(list), "a test"),
              FAULT_FORMAT);
    CHECK_EQ_("the others hold", vault(HOME)->manifest->body->version, 3);
    vaults_reopen(&t, HOME);
    CHECK_EQ_("also after a restart", vault(HOME)->manifest->body->version, 3);
    CHECK_EQ_("as a chain", vault(HOME)->manifest->n_chain, 3);
    cx_free(&cx);
}

/* A node that is no member answers nothing, and can be opened all the same. */
static void test_governance__who_is_removed_answers_nothing(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct body b;

    (void)state;
    assert_non_null(cx);
    next_body(&b, vault(VICTIM)->manifest, 1);
    without(&b, VICTIM);
    struct bytes packed = seal(cx, &b, 2);
    CHECK_OK_("a member", cx, vault_governed(cx, vault(VICTIM)));
    CHECK_OK_("removed", cx, adopt(cx, VICTIM, packed));
    for (int again = 0; again < 2; again++) {
        CHECK_EQ_("no member", vault_governed(cx, vault(VICTIM)), FAULT_REFUSED);
        CHECK_("says so", strstr(cx_message(cx), "no member any more") != NULL);
        struct play p;
        ask(&p, "age >= 40");
        CHECK_("answers nothing", play_preflight(&p, VICTIM) != FAULT_NONE);
        play_free(&p);
        vaults_reopen(&t, VICTIM);
    }
    cx_free(&cx);
}

/* ---- sessions ---- */

/* A version that takes away nothing on which a session rests lets it run, whoever has it.
 */
static void test_governance__a_session_keeps_its_manifest(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct play p;

    (void)state;
    assert_non_null(cx);
    struct bytes second = renewed(cx, vault(HOME)->manifest, 1);
    ask(&p, "age >= 40");
    play_start(&p);
    play_round(&p);
    CHECK_OK_("one has it", cx, adopt(cx, LIAR, second));
    play_round(&p);
    CHECK_OK_("home, too", cx, adopt(cx, HOME, second));
    play_finish(&p);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_("answered", p.answer[i] != NULL);
    play_free(&p);
    cx_free(&cx);
}

static void test_governance__a_session_over_a_removed_member_ends(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct body b;
    struct play p;

    (void)state;
    assert_non_null(cx);
    next_body(&b, vault(HOME)->manifest, 1);
    without(&b, VICTIM);
    struct bytes packed = seal(cx, &b, 2);
    ask(&p, "age >= 40");
    play_start(&p);
    play_round(&p);
    CHECK_OK_("home has it", cx, adopt(cx, HOME, packed));
    CHECK_EQ_("it is over at once", play_propose(&p, NULL), FAULT_MISSING);
    play_forget(&p);
    play_free(&p);
    check_count(TABLE_ANSWERS, 0);
    cx_free(&cx);
}

/* The officer who signed a site's permit and policy goes: neither holds from then on. */
static void test_governance__an_officer_goes(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct body b;
    struct play p;

    (void)state;
    assert_non_null(cx);
    next_body(&b, vault(HOME)->manifest, 1);
    Cohortium__Member m = *b.members[HOME];
    Cohortium__Officer other = *m.officers[0];
    Cohortium__Officer *officers[] = {&other};
    other.key = PB_DATA(bytes_of(keys_signing_public(t.stranger), KEY_BYTES));
    m.officers = officers;
    b.members[HOME] = &m;
    struct bytes packed = seal(cx, &b, 2);
    ask(&p, "age >= 40");
    play_start(&p);
    play_round(&p);
    t.site[HOME].old[t.site[HOME].n_old++] = t.site[HOME].v.policy;
    CHECK_OK_("another officer", cx, adopt(cx, HOME, packed));
    CHECK_("the session does not stand", play_propose(&p, NULL) != FAULT_NONE);
    play_forget(&p);
    play_free(&p);
    CHECK_EQ_("nothing is in force", vault_is_ready(cx, vault(HOME)), FAULT_REFUSED);
    check_count(TABLE_ANSWERS, 0);
    cx_free(&cx);
}

/* Only home asks whether a credential was revoked; whether home may issue any, all know. */
static void test_governance__home_may_not_issue_any_more(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct body b;
    struct play p;

    (void)state;
    assert_non_null(cx);
    next_body(&b, vault(HOME)->manifest, 1);
    Cohortium__Member m = *b.members[HOME];
    m.issues_researchers = false;
    b.members[HOME] = &m;
    struct bytes packed = seal(cx, &b, 2);
    ask(&p, "age >= 40");
    play_start(&p);
    play_round(&p);
    CHECK_OK_("one site knows", cx, adopt(cx, VICTIM, packed));
    CHECK_OK_("home does not", cx, play_propose(&p, NULL));
    CHECK_EQ_("the site ends it", play_step(&p, VICTIM, NULL), FAULT_DENIED);
    CHECK_("and says why", strstr(p.message, "may not issue credentials") != NULL);
    play_forget(&p);
    play_free(&p);
    check_count(TABLE_ANSWERS, 0);
    cx_free(&cx);
}

/* ---- two versions of one number ---- */

static void answers_nothing(struct cx *cx, size_t site)
{
    struct play p;

    CHECK_EQ_("frozen", vault_governed(cx, vault(site)), FAULT_REFUSED);
    CHECK_("says so", strstr(cx_message(cx), "two versions 2") != NULL);
    ask(&p, "age >= 40");
    CHECK_("answers nothing", play_preflight(&p, site) != FAULT_NONE);
    play_free(&p);
}

static void test_governance__a_fork_freezes(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);

    (void)state;
    assert_non_null(cx);
    const struct manifest *first = vault(HOME)->manifest;
    struct bytes ours = renewed(cx, first, 1), theirs = renewed(cx, first, 2);
    struct body b;
    next_body(&b, first, 3);
    struct bytes weak = seal(cx, &b, 1);

    CHECK_OK_("ours", cx, adopt(cx, HOME, ours));
    struct bytes third = renewed(cx, vault(HOME)->manifest, 1);
    refused("a fork that too few have signed proves nothing", cx, weak, "signed by 1");
    CHECK_OK_("the other", cx, adopt(cx, HOME, theirs));
    CHECK_("logged", vaults_newest(&t, cx, HOME, "equivocation") != NULL);
    answers_nothing(cx, HOME);
    uint64_t log = vaults_count(&t, HOME, TABLE_LOG);
    CHECK_OK_("the other again", cx, adopt(cx, HOME, theirs));
    CHECK_OK_("what follows ours", cx, adopt(cx, HOME, third));
    CHECK_EQ_("is not adopted", vault(HOME)->manifest->body->version, 2);
    vaults_reopen(&t, HOME);
    answers_nothing(cx, HOME);
    CHECK_EQ_("nothing more is logged but refusals", vaults_count(&t, HOME, TABLE_LOG),
              log);

    CHECK_OK_("thawed", cx, vault_thaw(cx, vault(HOME), "agreed", false));
    CHECK_OK_("it answers", cx, vault_governed(cx, vault(HOME)));
    CHECK_EQ_("twice", vault_thaw(cx, vault(HOME), "agreed", false), FAULT_CONFLICT);
    CHECK_OK_("the other once more", cx, adopt(cx, HOME, theirs));
    CHECK_OK_("it was judged", cx, vault_governed(cx, vault(HOME)));
    CHECK_OK_("what follows ours", cx, adopt(cx, HOME, third));
    CHECK_EQ_("is adopted", vault(HOME)->manifest->body->version, 3);
    cx_free(&cx);
}

/* Who still has keys of once could sign forks without end: each waits for an operator to
 * have judged the one before, and none takes the place of that which is being judged. */
static void test_governance__one_fork_is_judged_at_a_time(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct envelope e;

    (void)state;
    assert_non_null(cx);
    const struct manifest *first = vault(HOME)->manifest;
    struct bytes ours = renewed(cx, first, 1), theirs = renewed(cx, first, 2);
    struct bytes more[20]; /* made now: a reopened vault holds `first` no more */

    for (unsigned i = 0; i < COUNT(more); i++)
        more[i] = renewed(cx, first, 3 + (int)i);
    CHECK_OK_("ours", cx, adopt(cx, HOME, ours));
    CHECK_OK_("the other", cx, adopt(cx, HOME, theirs));
    uint64_t log = vaults_count(&t, HOME, TABLE_LOG);
    for (unsigned i = 0; i < COUNT(more); i++)
        CHECK_OK_("one more", cx, adopt(cx, HOME, more[i]));
    CHECK_EQ_("logged once", vaults_count(&t, HOME, TABLE_LOG), log);
    CHECK_OK_("the one that was judged", cx, vault_thaw(cx, vault(HOME), "theirs", true));
    vaults_reopen(&t, HOME);
    CHECK_OK_("theirs", cx, envelope_open(cx, ENVELOPE_MANIFEST, theirs, &e));
    assert_memory_equal(vault(HOME)->manifest->digest, e.digest, DIGEST_BYTES);
    CHECK_OK_("it answers", cx, vault_governed(cx, vault(HOME)));
    CHECK_OK_("what came meanwhile", cx, adopt(cx, HOME, more[0]));
    CHECK_EQ_("freezes in its turn", vault_governed(cx, vault(HOME)), FAULT_REFUSED);
    cx_free(&cx);
}

/* ---- a circle of which one has left ---- */

static bool home_alone_gives(const char *cohort)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p;

    assert_non_null(cx);
    Cohortium__Request *r = each_request(cx, "count", NULL, cohort);

    r->question->n_sites = 1;
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    answer_each(&p);
    bool given = play_release(&p, HOME)->released;
    play_free(&p);
    return given;
}

/* The others never answer without; when their operators part them, each judges alone, by all
 * that was released before. */
static void test_governance__the_others_part_from_who_left(void **state)
{
    static const char *const words[] = {"lung", "they have agreed"};
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct memory *m;
    uint8_t(*members)[32], head[32];
    struct body b;
    struct play p;
    size_t n;

    (void)state;
    assert_non_null(cx);
    CHECK_OK_("memory", cx,
              memory_open(cx, &vault(HOME)->memories, vault(HOME)->db, t.cb, &m));
    (void)vaults_desk(&t, cx, HOME, "ledger part", words, COUNT(words), NULL, 1);
    ask(&p, "age >= 40");
    play_whole(&p);
    CHECK_("together", play_release(&p, HOME)->released);
    play_free(&p);
    uint64_t columns = memory_length(m, head);
    (void)vaults_desk(&t, cx, HOME, "ledger part", words, COUNT(words), NULL, 1);
    next_body(&b, vault(HOME)->manifest, 1);
    without(&b, VICTIM);
    CHECK_OK_("one leaves", cx, adopt(cx, HOME, seal(cx, &b, 2)));
    (void)vaults_desk(&t, cx, HOME, "ledger part", words, 1, NULL, 2);
    (void)vaults_desk(&t, cx, HOME, "ledger part", words, COUNT(words), NULL, 0);
    CHECK_("why is logged", strstr(vaults_newest(&t, cx, HOME, "part")->details,
                                   "they have agreed") != NULL);
    (void)vaults_desk(&t, cx, HOME, "ledger part", words, COUNT(words), NULL, 1);
    for (int again = 0; again < 2; again++) {
        CHECK_OK_("memory", cx,
                  memory_open(cx, &vault(HOME)->memories, vault(HOME)->db, t.cb, &m));
        CHECK_OK_("circle", cx, memory_circle(cx, m, &members, &n));
        CHECK_EQ_("with nobody", n, 0);
        CHECK_EQ_("by all columns", memory_length(m, head), columns);
        vaults_reopen(&t, HOME);
    }
    vaults_policy(&t, HOME, BY_SITE);
    permit_by_site(0);
    CHECK_("three fewer", !home_alone_gives("age >= 40 and age < 80"));
    CHECK_("another", home_alone_gives("age >= 60"));
    cx_free(&cx);
}

/* The other one holds: taken at the next start, and ours freezes nobody then. */
static void test_governance__the_other_one_holds(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct envelope e;

    (void)state;
    assert_non_null(cx);
    const struct manifest *first = vault(HOME)->manifest;
    struct bytes ours = renewed(cx, first, 1), theirs = renewed(cx, first, 2);
    CHECK_OK_("ours", cx, adopt(cx, HOME, ours));
    struct bytes third = renewed(cx, vault(HOME)->manifest, 1);
    CHECK_OK_("what follows", cx, adopt(cx, HOME, third));
    CHECK_OK_("the other", cx, adopt(cx, HOME, theirs));
    CHECK_OK_("taken", cx, vault_thaw(cx, vault(HOME), "theirs holds", true));
    CHECK_EQ_("not before a restart", vault_governed(cx, vault(HOME)), FAULT_REFUSED);
    vaults_reopen(&t, HOME);
    CHECK_OK_("it answers", cx, vault_governed(cx, vault(HOME)));
    CHECK_EQ_("the shorter chain", vault(HOME)->manifest->n_chain, 2);
    CHECK_OK_("theirs", cx, envelope_open(cx, ENVELOPE_MANIFEST, theirs, &e));
    assert_memory_equal(vault(HOME)->manifest->digest, e.digest, DIGEST_BYTES);
    CHECK_OK_("ours comes by", cx, adopt(cx, HOME, ours));
    CHECK_OK_("and freezes nobody", cx, vault_governed(cx, vault(HOME)));
    CHECK_OK_("what follows theirs", cx,
              adopt(cx, HOME, renewed(cx, vault(HOME)->manifest, 1)));
    CHECK_EQ_("is adopted", vault(HOME)->manifest->body->version, 3);
    cx_free(&cx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(cautious, test_governance__what_is_adopted),
        UNDER(cautious, test_governance__who_is_removed_answers_nothing),
        UNDER(cautious, test_governance__a_session_keeps_its_manifest),
        UNDER(cautious, test_governance__a_session_over_a_removed_member_ends),
        UNDER(cautious, test_governance__an_officer_goes),
        UNDER(cautious, test_governance__home_may_not_issue_any_more),
        UNDER(cautious, test_governance__a_fork_freezes),
        UNDER(cautious, test_governance__one_fork_is_judged_at_a_time),
        UNDER(cautious, test_governance__the_other_one_holds),
        UNDER(cautious, test_governance__the_others_part_from_who_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

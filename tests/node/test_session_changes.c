/*
 * test_session_changes.c - what was accepted and does not stand any more: data, policy or
 * papers that change in the middle of a session.
 *
 * The vault that knows of it ends its session and says what changed and no more; nothing is
 * released anywhere. What does not matter to the session does not end it.
 */
#include "tests/node/lie.h"
#include "tests/node/session_case.h"

/* ---- what changes, at one vault ---- */

static void drop(struct play *p, size_t site)
{
    static const char *const words[] = {"lung", "consent was withdrawn"};

    (void)vaults_desk(&t, p->cx, site, "data drop", words, COUNT(words), NULL, 0);
}

static void tighten(struct play *p, size_t site)
{
    (void)p;
    vaults_policy(&t, site,
                  "class: cautious\nresponse_quantum_ms: 0\n"
                  "minimum_frequency_threshold: 50\n");
}

static void revoke_ada(struct play *p, size_t site)
{
    static const char *const words[] = {"ada", "left the institution"};

    (void)vaults_desk(&t, p->cx, site, "researcher revoke", words, COUNT(words), NULL, 0);
}

/* As if time had passed. */
static void expire_permit(struct play *p, size_t site)
{
    ((Cohortium__Permit *)play_session(p, site)->o.permit.body)->not_after = 1;
}

static void expire_credential(struct play *p, size_t site)
{
    ((Cohortium__Credential *)play_session(p, site)->o.request.who.body)->not_after = 1;
}

static const struct change {
    const char *what;
    void (*make)(struct play *p, size_t site);
    size_t site;
    enum fault want;
    const char *says; /* all of it; %s: the site */
} changes[] = {
    {"data dropped", drop, VICTIM, FAULT_MISSING,
     "missing: this site has no such version of `lung`: ask again, for its newest"},
    {"data dropped at home", drop, HOME, FAULT_MISSING,
     "missing: this site has no such version of `lung`: ask again, for its newest"},
    {"policy changed", tighten, VICTIM, FAULT_CONFLICT,
     "conflict: the policy of site_c has changed since it accepted this question; ask "
     "again"},
    {"policy changed at home", tighten, HOME, FAULT_CONFLICT,
     "conflict: the policy of site_a has changed since it accepted this question; ask "
     "again"},
    {"permit expired", expire_permit, VICTIM, FAULT_EXPIRED,
     "expired: permit \"study one\" has expired meanwhile"},
    {"permit expired at home", expire_permit, HOME, FAULT_EXPIRED,
     "expired: permit \"study one\" has expired meanwhile"},
    {"credential expired", expire_credential, VICTIM, FAULT_EXPIRED,
     "expired: the researcher's credential has expired meanwhile"},
    {"researcher revoked", revoke_ada, HOME, FAULT_DENIED,
     "denied: this credential was revoked; ask the home institution for a new one"},
};

static void change_at(const struct change *c, uint32_t round)
{
    struct play p;
    enum fault fault;

    ask(&p, "age >= 40");
    play_start(&p);
    while (p.round < round)
        play_round(&p);
    uint64_t ledger = vaults_count(&t, c->site, TABLE_LEDGER);
    uint64_t charges = vaults_count(&t, c->site, TABLE_CHARGES);
    c->make(&p, c->site);
    uint64_t log = vaults_count(&t, c->site, TABLE_LOG);

    fault = play_propose(&p, NULL);
    if (c->site != HOME && fault == FAULT_NONE) {
        CHECK_EQ_(c->what, play_step(&p, LIAR, NULL), FAULT_NONE);
        fault = play_step(&p, c->site, NULL);
    }
    if (fault != c->want)
        fail_msg("%s in round %u: want %s, got %s", c->what, round, fault_name(c->want),
                 fault == FAULT_NONE ? "no fault" : p.message);
    assert_string_equal(p.message, c->says);
    CHECK_EQ_(c->what, play_step(&p, c->site, NULL), FAULT_MISSING);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_(c->what, p.answer[i] == NULL);
    play_forget(&p);
    check_count(TABLE_ANSWERS, 0);
    CHECK_EQ_(c->what, vaults_count(&t, c->site, TABLE_LOG), log);
    CHECK_EQ_(c->what, vaults_count(&t, c->site, TABLE_LEDGER), ledger);
    CHECK_EQ_(c->what, vaults_count(&t, c->site, TABLE_CHARGES), charges);
    play_free(&p);
}

static void changes_at(uint32_t round)
{
    for (size_t i = 0; i < COUNT(changes); i++) {
        vaults_new(&t, CAUTIOUS);
        change_at(&changes[i], round);
        vaults_free(&t);
    }
}

static void test_session__changed_after_ACCEPT(void **state)
{
    (void)state;
    changes_at(REGIONS);
}

static void test_session__changed_after_the_regions(void **state)
{
    (void)state;
    changes_at(VERDICT);
}

static void test_session__changed_before_the_sums(void **state)
{
    (void)state;
    changes_at(COUNT_SUM);
}

static void test_session__changed_after_the_sums(void **state)
{
    (void)state;
    changes_at(COUNT_VETO);
}

/* What it was told ends a session is gone, not the question: asked again it is answered. */
static void test_session__changed_then_asked_again(void **state)
{
    struct play p, q;
    (void)state;

    ask(&p, "age >= 40");
    play_start(&p);
    play_round(&p);
    tighten(&p, VICTIM);
    drop(&p, LIAR);
    CHECK_EQ_("propose", play_propose(&p, NULL), FAULT_NONE);
    CHECK_EQ_("policy", play_step(&p, VICTIM, NULL), FAULT_CONFLICT);
    CHECK_EQ_("data", play_step(&p, LIAR, NULL), FAULT_MISSING);
    play_forget(&p);
    vaults_import(&t, LIAR);
    ask(&q, "age >= 40");
    play_whole(&q);
    CHECK_("released", play_release(&q, HOME)->released);
    check_count(TABLE_ANSWERS, 1);
    play_free(&q);
    play_free(&p);
}

/* ---- what does not matter ---- */

static double patients_from_40(void)
{
    double n = 0;

    for (size_t s = 0; s < VAULTS; s++)
        for (size_t i = 0; i < t.site[s].n; i++)
            n += t.site[s].rows[i].age >= 40;
    return n;
}

/* A session has pinned its version: the rows of then are counted. */
static void test_session__imported_anew(void **state)
{
    struct play p, q;
    (void)state;

    double then = patients_from_40();
    ask(&p, "age >= 40");
    play_start(&p);
    play_round(&p);
    for (size_t i = 0; i < t.site[VICTIM].n; i++)
        t.site[VICTIM].rows[i].age = 50;
    double now = patients_from_40();
    CHECK_("another number", then != now);
    vaults_import(&t, VICTIM);
    play_finish(&p);
    CHECK_EQ_("the rows of its version", value(play_release(&p, HOME), "patients", 0),
              then);
    ask(&q, "age >= 40");
    play_whole(&q);
    CHECK_EQ_("the newest rows", value(play_release(&q, HOME), "patients", 0), now);
    CHECK_("another version", !bytes_equal(play_body(&p, HOME), play_body(&q, HOME)));
    play_free(&q);
    play_free(&p);
}

/* The version that a session has pinned is dropped with all others of its name. */
static void test_session__imported_anew_and_dropped(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 40");
    play_start(&p);
    play_round(&p);
    vaults_import(&t, VICTIM);
    play_round(&p);
    drop(&p, VICTIM);
    CHECK_EQ_("propose", play_propose(&p, NULL), FAULT_NONE);
    CHECK_EQ_("step", play_step(&p, VICTIM, NULL), FAULT_MISSING);
    play_forget(&p);
    play_free(&p);
}

static void test_session__somebody_else_is_revoked(void **state)
{
    static const char *const words[] = {"eve", "left the institution"};
    struct play p;
    uint8_t id[ID_BYTES];
    (void)state;

    ask(&p, "age >= 40");
    play_start(&p);
    play_round(&p);
    (void)vaults_credential(&t, p.cx, HOME, t.stranger);
    (void)vaults_desk(&t, p.cx, HOME, "researcher revoke", words, COUNT(words), NULL, 0);
    vaults_permit(&t, &(struct vaults_permit){.researcher = t.stranger}, id);
    play_finish(&p);
    CHECK_EQ_("patients", value(play_release(&p, HOME), "patients", 0), patients_from_40());
    play_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session__changed_after_ACCEPT),
        cmocka_unit_test(test_session__changed_after_the_regions),
        cmocka_unit_test(test_session__changed_before_the_sums),
        cmocka_unit_test(test_session__changed_after_the_sums),
        UNDER(cautious, test_session__changed_then_asked_again),
        UNDER(testing, test_session__imported_anew),
        UNDER(testing, test_session__imported_anew_and_dropped),
        UNDER(testing, test_session__somebody_else_is_revoked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

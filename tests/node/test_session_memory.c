/*
 * test_session_memory.c - what was released before decides what may be released (0.4).
 *
 * Differences of answers rest on the patients by whom their cohorts differ. Where these are
 * fewer than k / 2 in all sites together the second answer is refused, whoever asks, in
 * whatever words, from whatever version of the rows; and its neighbour is given.
 */
#include <math.h>

#include "tests/node/session_case.h"

/* Patients of 85 years are at one site alone, so many. */
static void leave_old(size_t n)
{
    for (size_t s = 0; s < VAULTS; s++) {
        size_t left = s == VICTIM ? n : 0;

        for (size_t i = 0; i < t.site[s].n; i++)
            if (t.site[s].rows[i].age > 80 && (left == 0 || left-- == 0))
                t.site[s].rows[i].age = 30;
        vaults_import(&t, s);
    }
}

static bool is_given(const char *analysis, const char *formula, const char *cohort)
{
    struct play p;

    play_ask(&p, &t, analysis, formula, cohort);
    play_whole(&p);
    bool given = play_release(&p, HOME)->released;
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("all alike", play_release(&p, i)->released, given);
    play_free(&p);
    return given;
}

static bool counted(const char *cohort)
{
    return is_given("count", NULL, cohort);
}

static uint64_t columns_of_site(size_t site)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct memory *m;
    uint8_t head[32];

    assert_non_null(cx);
    CHECK_OK_("memory", cx,
              memory_open(cx, &t.site[site].v.memories, t.site[site].v.db, t.cb, &m));
    return memory_length(m, head);
}

/* ---- who differs between two cohorts ---- */

static void test_session__R23_two_cohorts_that_differ_by_few(void **state)
{
    (void)state;
    leave_old(3);
    CHECK_("the first", counted("age >= 40"));
    CHECK_("three fewer", !counted("age >= 40 and age < 80"));
    CHECK_("said otherwise", !counted("not (age < 40 or age >= 80)"));
    CHECK_("another difference", counted("age >= 60"));
    CHECK_("the first again", counted("age >= 40"));
}

/* The neighbour: nine differ, of three sites, at none of which they would be enough. */
static void test_session__two_cohorts_that_differ_by_enough(void **state)
{
    (void)state;
    CHECK_("the first", counted("age >= 40"));
    CHECK_("nine fewer", counted("age >= 40 and age < 80"));
}

/* No two of them differ by few; three together do. */
static void test_session__R23_a_tracker(void **state)
{
    static const char a[] = "sex == 'female' and age < 40 or age >= 80",
                      b[] = "sex == 'male' and age < 40 or age >= 80";
    (void)state;
    leave_old(3);
    CHECK_("young women, and the old", counted(a));
    CHECK_("young men, and the old", counted(b));
    CHECK_("another", counted("age >= 60"));
    CHECK_("the young, and the old", !counted("age < 40 or age >= 80"));
}

/* ---- what officers see of it ---- */

static double patients_of_sex(double sex)
{
    double n = 0;

    for (size_t s = 0; s < VAULTS; s++)
        for (size_t i = 0; i < t.site[s].n; i++)
            n += t.site[s].rows[i].sex == sex;
    return n;
}

static double number_in(const char *json, const char *name)
{
    const char *at = strstr(json, name);

    assert_non_null(at);
    return strtod(at + strlen(name), NULL);
}

static const char *ledger_report(struct cx *cx, size_t site)
{
    return vaults_desk(&t, cx, site, "ledger report", NULL, 0, NULL, 0)->json;
}

/* Two sets that share nobody: a patient's leverage is 1 / the size of their own. */
static void check_two_sexes(struct cx *cx, size_t site)
{
    double most = 0, all = fmax(patients_of_sex(0), patients_of_sex(1)); /* that are known */
    const char *json = ledger_report(cx, site);

    for (size_t i = 0; i < t.site[site].n; i++)
        most = fmax(most, 1 / patients_of_sex(t.site[site].rows[i].sex));
    CHECK_EQ_("columns", number_in(json, "\"columns\":"), 2);
    CHECK_("highest", fabs(number_in(json, "\"highest\":") - most) <= 0.0005);
    CHECK_EQ_("here", number_in(json, "\"patients_here\":"), (double)t.site[site].n);
    CHECK_EQ_("all", number_in(json, "\"patients_about\":"),
              (double)memory_about((uint64_t)all));
    CHECK_EQ_("capacity", number_in(json, "\"capacity\":"),
              (double)memory_capacity(memory_about((uint64_t)all), 0.2));
    CHECK_("one permit", strstr(json, "\"permits\":[{\"columns\":2,") != NULL &&
                             strstr(json, bytes_hex(cx, t.permit, ID_BYTES)) != NULL);
}

static enum fault forget_permits(struct cx *cx, sqlite3 *sql, void *user)
{
    (void)user;
    return sqlite3_exec(sql, "DELETE FROM memory_permit", NULL, NULL, NULL) == SQLITE_OK
               ? FAULT_NONE
               : cx_fail(cx, FAULT_STORAGE, "%s", sqlite3_errmsg(sql));
}

static void test_session__officers_see_how_full_it_is(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    uint8_t permit[ID_BYTES], subject[DIGEST_BYTES];
    char shares[128];
    struct play p;
    (void)state;

    assert_non_null(cx);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_("nothing yet", strstr(ledger_report(cx, i), "\"datasets\":[]") != NULL);
    CHECK_("one sex", counted("sex == 'male'"));
    CHECK_("the other, which follows", counted("sex == 'female'"));
    for (size_t i = 0; i < VAULTS; i++)
        check_two_sexes(cx, i);
    vaults_permit(&t, &(struct vaults_permit){.researcher = t.stranger}, permit);
    Cohortium__Request *r = vaults_request(&t, cx, "count", NULL, "age >= 60");
    digest_of(bytes_of(keys_signing_public(t.stranger), KEY_BYTES), subject);
    r->stamp->issuer = PB_DATA(bytes_of(subject, sizeof subject));
    r->credential = PB_DATA(vaults_credential(&t, cx, HOME, t.stranger));
    r->permit = PB_DATA(bytes_of(permit, ID_BYTES));
    play_new(&p, &t, vaults_seal(cx, r, t.stranger));
    play_whole(&p);
    CHECK_("another's question", play_release(&p, HOME)->released);
    play_free(&p);
    (void)snprintf(shares, sizeof shares, "{\"columns\":1,\"permit\":\"%s\"",
                   bytes_hex(cx, permit, ID_BYTES));
    for (size_t i = 0; i < VAULTS; i++) {
        const char *json = ledger_report(cx, i);

        CHECK_EQ_("columns", number_in(json, "\"columns\":"), (double)columns_of_site(i));
        CHECK_EQ_("one more", number_in(json, "\"columns\":"), 3);
        CHECK_("by the other permit", strstr(json, shares) != NULL);
        CHECK_("none above the limit", number_in(json, "\"highest\":") <= 0.2);
        vaults_reopen(&t, i);
        assert_string_equal(ledger_report(cx, i), json);
        /* As of a node from before they were noted. */
        CHECK_OK_("forget", cx, db_write(cx, t.site[i].v.db, forget_permits, NULL));
        json = ledger_report(cx, i);
        CHECK_("nobody's", strstr(json, "[{\"columns\":3,\"permit\":\"\",") != NULL);
    }
}

static void test_memory__capacity_is_what_patients_bear(void **state)
{
    (void)state;
    assert_int_equal(memory_capacity(100, 0.2), 20);
    assert_int_equal(memory_capacity(0, 0.2), 0);
    assert_int_equal(memory_capacity(100, 0), 0);
    assert_int_equal(memory_capacity(1000000, 0.2), LEVERAGE_RANK_MAX);
    assert_int_equal(memory_about(99), 99);
    assert_int_equal(memory_about(100), 100);
    assert_int_equal(memory_about(259), 250);
    assert_int_equal(memory_about(12999), 12000);
}

/* A group beside which nobody stands is refused like one beside which three do: else the
 * refusal would tell that they are there. */
static void test_session__nobody_is_refused_like_few(void **state)
{
    (void)state;
    for (size_t old = 0; old < 4; old += 3) {
        leave_old(old);
        CHECK_("the young", counted("age < 40"));
        CHECK_("and the old, three or nobody", !counted("age < 40 or age >= 80"));
        CHECK_("women", counted("sex == 'female' and age < 40"));
        CHECK_("men, who follow by what they are", counted("sex == 'male' and age < 40"));
        CHECK_("the young again", counted("not (age >= 40)"));
        vaults_free(&t);
        (void)cautious(state);
    }
}

/* ---- who asks, when, after what ---- */

static void test_session__another_researcher(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    uint8_t permit[ID_BYTES], subject[DIGEST_BYTES];
    struct play p;
    (void)state;

    leave_old(3);
    CHECK_("one", counted("age >= 40"));
    vaults_permit(&t, &(struct vaults_permit){.researcher = t.stranger}, permit);
    Cohortium__Request *r = vaults_request(&t, cx, "count", NULL, "age >= 40 and age < 80");
    digest_of(bytes_of(keys_signing_public(t.stranger), KEY_BYTES), subject);
    r->stamp->issuer = PB_DATA(bytes_of(subject, sizeof subject));
    r->credential = PB_DATA(vaults_credential(&t, cx, HOME, t.stranger));
    r->permit = PB_DATA(bytes_of(permit, ID_BYTES));
    play_new(&p, &t, vaults_seal(cx, r, t.stranger));
    play_whole(&p);
    CHECK_("the other", !play_release(&p, HOME)->released);
    play_free(&p);
}

static void test_session__restarted_sites_remember(void **state)
{
    (void)state;
    leave_old(3);
    CHECK_("the first", counted("age >= 40"));
    for (size_t i = 0; i < VAULTS; i++) {
        uint64_t n = columns_of_site(i);

        vaults_reopen(&t, i);
        CHECK_EQ_("columns", columns_of_site(i), n);
    }
    CHECK_("three fewer", !counted("age >= 40 and age < 80"));
    CHECK_("another difference", counted("age >= 60"));
}

/* An answer from old rows and one from new rows differ by who came or went: twelve have new
 * values, three of them in the cohort. */
static void test_session__few_came_between(void **state)
{
    (void)state;
    leave_old(3);
    CHECK_("before", counted("age < 60"));
    for (size_t i = 0, changed = 0; changed < 9; i++)
        if (t.site[VICTIM].rows[i].age >= 60 && t.site[VICTIM].rows[i].age <= 80) {
            t.site[VICTIM].rows[i].age = 61;
            t.site[VICTIM].rows[i].status = 1 - t.site[VICTIM].rows[i].status;
            changed++;
        }
    leave_old(0);
    CHECK_("three came", !counted("age < 60"));
    CHECK_("nobody came", counted("age >= 60"));
}

static void test_session__enough_came_between(void **state)
{
    (void)state;
    CHECK_("before", counted("age < 60"));
    for (size_t s = 0; s < VAULTS; s++)
        for (size_t i = 0; i < t.site[s].n; i += 4)
            t.site[s].rows[i].age = 30;
    for (size_t s = 0; s < VAULTS; s++)
        vaults_import(&t, s);
    CHECK_("many came", counted("age < 60"));
}

/* ---- cells and columns ---- */

static void test_session__a_cell_is_withheld_alone(void **state)
{
    struct play p;
    int given, withheld;
    (void)state;

    leave_old(3);
    CHECK_("men but the old", counted("age < 80 and sex == 'male'"));
    play_ask(&p, &t, "table", "sex", NULL);
    play_whole(&p);
    const Cohortium__Release *r = play_release(&p, HOME);
    CHECK_("a table", r->released);
    (void)released_value(released_item(r->result, "counts"), 0, &withheld);
    (void)released_value(released_item(r->result, "counts"), 1, &given);
    CHECK_EQ_("men", withheld, 1);
    CHECK_EQ_("women, who would tell", given, 1);
    play_free(&p);
}

/* Sums of age over a cohort are columns of their own. */
static void test_session__values_are_remembered(void **state)
{
    (void)state;
    uint64_t before = columns_of_site(HOME);
    CHECK_("a count", counted("sex == 'male'"));
    uint64_t count = columns_of_site(HOME) - before;
    CHECK_("a line over the same", is_given("lm", "score ~ age", "sex == 'male'"));
    CHECK_EQ_("men", count, 1);
    CHECK_EQ_("and the men's age", columns_of_site(HOME) - before, 2);
    CHECK_("a line over a secret's cohort", is_given("lm", "score ~ age", "status == 1"));
    CHECK_EQ_("everybody and their age", columns_of_site(HOME) - before, 4);
}

/* ---- one question at a time, and what became of it ---- */

static void test_session__one_at_a_time(void **state)
{
    struct play p, q;
    (void)state;

    ask(&p, "age >= 60");
    ask(&q, "age >= 40");
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight", play_preflight(&q, i), FAULT_NONE);
    play_start(&p);
    CHECK_EQ_("the other one", play_begin(&q, HOME, false), FAULT_BUSY);
    play_past(&p, COHORTIUM__ROUND_KIND__VERDICT);
    CHECK_EQ_("is judged still", play_begin(&q, HOME, false), FAULT_BUSY);
    play_round(&p);
    CHECK_EQ_("what it said of its memory is old", play_begin(&q, HOME, false), FAULT_BUSY);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight again", play_preflight(&q, i), FAULT_NONE);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("begin", play_begin(&q, i, false), FAULT_NONE);
    play_finish(&q);
    play_finish(&p);
    CHECK_("both", play_release(&p, HOME)->released && play_release(&q, HOME)->released);
    play_free(&q);
    play_free(&p);
}

/* Home and one site have written, the third has not: nobody has seen a sum, so all go back
 * to what all have. */
static void test_session__given_up_amid_the_entry(void **state)
{
    struct play p;
    (void)state;

    leave_old(3);
    CHECK_("before", counted("sex == 'male'"));
    uint64_t before = columns_of_site(VICTIM);
    ask(&p, "age >= 40 and age < 80");
    play_start(&p);
    play_past(&p, COHORTIUM__ROUND_KIND__VERDICT);
    CHECK_EQ_("propose", play_propose(&p, NULL), FAULT_NONE);
    CHECK_EQ_("home", play_step(&p, HOME, NULL), FAULT_NONE);
    CHECK_EQ_("one more", play_step(&p, LIAR, NULL), FAULT_NONE);
    play_forget(&p);
    play_free(&p);
    CHECK_("written", columns_of_site(HOME) > before);
    CHECK_EQ_("not written", columns_of_site(VICTIM), before);
    CHECK_("the other way round", counted("age >= 40"));
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("all alike", columns_of_site(i), columns_of_site(HOME));
    CHECK_("and that one counts", !counted("age >= 40 and age < 80"));
}

/* All have written: what was seen stays seen. */
static void test_session__given_up_after_the_entry(void **state)
{
    struct play p;
    (void)state;

    leave_old(3);
    ask(&p, "age >= 40 and age < 80");
    play_start(&p);
    play_past(&p, COHORTIUM__ROUND_KIND__VERDICT);
    play_round(&p);
    play_forget(&p);
    play_free(&p);
    CHECK_("the other way round", !counted("age >= 40"));
}

/* ---- alone ---- */

/* Three sites that may be asked apart judge apart: three of one site's patients are few. */
static void test_session__by_site_each_judges_alone(void **state)
{
    (void)state;
    CHECK_("the first", counted("age >= 40"));
    CHECK_("nine fewer, of three sites", !counted("age >= 40 and age < 80"));
    for (size_t i = 0; i < VAULTS; i++) {
        AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);

        assert_non_null(cx);
        const char *json = ledger_report(cx, i);

        CHECK_("says so", strstr(json, "\"alone\":true,\"members\":[]") != NULL);
        CHECK_EQ_("of its own", number_in(json, "\"patients_about\":"),
                  (double)memory_about(t.site[i].n));
    }
}

static void test_session__by_site_and_pooled_are_one_memory(void **state)
{
    struct play p;
    (void)state;

    permit_by_site(0);
    ask_each(&p, "count", NULL, "age >= 40");
    answer_each(&p);
    CHECK_("by site", play_release(&p, VICTIM)->released);
    play_free(&p);
    CHECK_("pooled", !counted("age >= 40 and age < 80"));
    ask_each(&p, "count", NULL, "age >= 40 and age < 80");
    answer_each(&p);
    CHECK_("by site", !play_release(&p, VICTIM)->released);
    play_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(cautious, test_session__R23_two_cohorts_that_differ_by_few),
        UNDER(cautious, test_session__two_cohorts_that_differ_by_enough),
        UNDER(cautious, test_session__R23_a_tracker),
        UNDER(cautious, test_session__officers_see_how_full_it_is),
        cmocka_unit_test(test_memory__capacity_is_what_patients_bear),
        UNDER(cautious, test_session__nobody_is_refused_like_few),
        UNDER(cautious, test_session__another_researcher),
        UNDER(cautious, test_session__restarted_sites_remember),
        UNDER(cautious, test_session__few_came_between),
        UNDER(cautious, test_session__enough_came_between),
        UNDER(cautious, test_session__a_cell_is_withheld_alone),
        UNDER(cautious, test_session__values_are_remembered),
        UNDER(cautious, test_session__one_at_a_time),
        UNDER(cautious, test_session__given_up_amid_the_entry),
        UNDER(cautious, test_session__given_up_after_the_entry),
        UNDER(by_site, test_session__by_site_each_judges_alone),
        UNDER(by_site, test_session__by_site_and_pooled_are_one_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

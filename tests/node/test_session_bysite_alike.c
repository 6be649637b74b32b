/*
 * test_session_bysite_alike.c - by site, what one site withholds nobody gives (0.8).
 *
 * Beside a pooled answer the others' numbers would tell it: 55 in all, 30 and 20 of them at
 * two sites, and the third has 5.
 */
#include <math.h>

#include "protocol/receipt.h"
#include "tests/node/session_case.h"

static bool details_say(struct play *p, size_t site, const char *words)
{
    return strstr(vaults_newest(&t, p->cx, site, "question")->details, words) != NULL;
}

static void check_receipt(struct play *p)
{
    struct receipt_facts facts;

    CHECK_OK_("receipt", p->cx, receipt_verify(p->cx, play_receipt(p), t.genesis, &facts));
    CHECK_EQ_("sites", facts.n_sites, p->n);
    for (size_t i = 0; i < p->n; i++)
        CHECK_EQ_("alone in it", facts.site_releases[i]->n_participants, 1);
}

/* Of these patients the site has only the VAULTS_OLD. */
static void make_few(size_t site)
{
    for (size_t i = 0; i < t.site[site].n; i++)
        if (t.site[site].rows[i].age < 80)
            t.site[site].rows[i].age = 30;
    vaults_import(&t, site);
}

static double count_of(const Cohortium__Release *r)
{
    return r->released ? value(r, "patients", 0) : NAN;
}

/* ---- the whole answer ---- */

/* By site none leaves, and nobody but the site itself knows why; and no pooled one, from
 * which the others' would be subtracted. */
static void test_session__R1_one_site_has_too_few(void **state)
{
    struct play p, q, pooled;
    (void)state;

    make_few(VICTIM);
    permit_by_site(0);
    ask_each(&p, "count", NULL, "age >= 60");
    answer_each(&p);
    for (size_t i = 0; i < VAULTS; i++) {
        const Cohortium__Release *r = play_release(&p, i);

        CHECK_("nobody's number leaves", !r->released && r->result == NULL);
        CHECK_("one reference for all",
               r->reference.len == 8 &&
                   bytes_equal(PB_BYTES(r->reference),
                               PB_BYTES(play_release(&p, 0)->reference)));
        CHECK_EQ_("R1", details_say(&p, i, "R1"), i == VICTIM);
        CHECK_EQ_("this site", details_say(&p, i, "this site objected"), i == VICTIM);
        CHECK_EQ_("another", details_say(&p, i, "another site objected"), i != VICTIM);
        CHECK_EQ_("bytes", p.vector[i].n, p.vector[0].n);
    }
    check_count(TABLE_LEDGER, 0);
    check_count(TABLE_CHARGES, 1); /* refused or not */
    check_receipt(&p);
    ask_each(&q, "count", NULL, "age >= 60");
    answer_each(&q);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_("the same again", bytes_equal(play_body(&p, i), play_body(&q, i)));
    ask(&pooled, "age >= 60");
    play_whole(&pooled);
    CHECK_("nor what they would follow from", !play_release(&pooled, HOME)->released);
    CHECK_("its patients", details_say(&pooled, VICTIM, "R23"));
    play_free(&pooled);
    play_free(&q);
    play_free(&p);
}

/* One site alone, by site: its officers find the refusal by its reference. */
static void test_session__R1_home_alone_has_too_few(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p;
    (void)state;

    assert_non_null(cx);
    make_few(HOME);
    permit_by_site(0);
    Cohortium__Request *r = each_request(cx, "count", NULL, "age >= 60");
    r->question->n_sites = r->stamp->n_audience = 1;
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    CHECK_EQ_("preflight", play_preflight(&p, HOME), FAULT_NONE);
    CHECK_EQ_("begin", play_begin(&p, HOME, false), FAULT_NONE);
    CHECK_("not released", !play_release(&p, HOME)->released);
    const char *reference = bytes_hex(cx, play_release(&p, HOME)->reference.data, 8);
    const Cohortium__AdminReply *said =
        vaults_desk(&t, cx, HOME, "explain", &reference, 1, NULL, 0);

    CHECK_("why", strstr(said->text, "reason      this site objected: R1: ") != NULL);
    CHECK_("in words", strstr(said->text, "\nR1: too few patients\n") != NULL);
    play_free(&p);
}

/* The neighbour: where all have enough each gives its number. */
static void test_session__all_sites_have_enough(void **state)
{
    struct play p;
    (void)state;

    permit_by_site(0);
    ask_each(&p, "count", NULL, "age >= 60");
    answer_each(&p);
    double base = t.site[HOME].v.policy->numbers.number[POLICY_ROUNDING_BASE];
    for (size_t i = 0; i < VAULTS; i++) {
        double n = 0;

        for (size_t k = 0; k < t.site[i].n; k++)
            n += t.site[i].rows[k].age >= 60;
        CHECK_EQ_("patients", count_of(play_release(&p, i)), floor(n / base + 0.5) * base);
        CHECK_("ledger", vaults_count(&t, i, TABLE_LEDGER) > 0);
        CHECK_("nothing is lacking", details_say(&p, i, "by site; released whole"));
    }
    check_receipt(&p);
    play_free(&p);
}

/* A fit that one of them may not give. */
static void test_session__R1_a_fit_of_too_few(void **state)
{
    struct play p;
    (void)state;

    permit_by_site(0);
    ask_each(&p, "lm", "score ~ sex", NULL);
    answer_each(&p);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_("enough everywhere", play_release(&p, i)->released);
    check_receipt(&p);
    play_free(&p);
    for (size_t i = 0; i < t.site[LIAR].n; i++)
        t.site[LIAR].rows[i].sex = i >= 4;
    vaults_import(&t, LIAR);
    ask_each(&p, "lm", "score ~ sex", NULL);
    answer_each(&p);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_("four women at one", !play_release(&p, i)->released);
    check_receipt(&p);
    play_free(&p);
}

/* ---- single values ---- */

static void describe_each(struct play *p, const char *variable, const char *other)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    Cohortium__Params params = COHORTIUM__PARAMS__INIT;
    char *names[] = {(char *)variable, (char *)other};

    assert_non_null(cx);
    Cohortium__Request *r = each_request(cx, "describe", NULL, NULL);
    params.variables = names;
    params.n_variables = COUNT(names);
    r->question->params = &params;
    play_new(p, &t, vaults_seal(cx, r, t.researcher));
    answer_each(p);
}

static int state_of(struct play *p, size_t site, const char *name, size_t i)
{
    int state;

    (void)released_value(released_item(play_release(p, site)->result, name), i, &state);
    return state;
}

static void check_states(struct play *p, const char *name, size_t i, int want)
{
    for (size_t site = 0; site < VAULTS; site++)
        CHECK_EQ_(name, state_of(p, site, name, i), want);
}

/* All lists of states are the same, whatever each site holds. */
static void check_alike(struct play *p)
{
    const Cohortium__Result *first = play_release(p, 0)->result;

    for (size_t site = 1; site < VAULTS; site++) {
        const Cohortium__Result *r = play_release(p, site)->result;

        CHECK_EQ_("items", r->n_items, first->n_items);
        for (size_t i = 0; i < r->n_items; i++)
            CHECK_(r->items[i]->name, bytes_equal(PB_BYTES(r->items[i]->state),
                                                  PB_BYTES(first->items[i]->state)));
    }
}

static void set_status(size_t site, size_t ones)
{
    for (size_t i = 0; i < t.site[site].n; i++)
        t.site[site].rows[i].status = i < ones;
    vaults_import(&t, site);
}

static void test_session__R1_one_cell_of_one_site(void **state)
{
    struct play p;
    (void)state;

    permit_by_site(0);
    describe_each(&p, "status", "score");
    check_states(&p, "counts:status", 0, 0);
    check_states(&p, "counts:status", 1, 0);
    check_states(&p, "mean", 0, 0);
    check_alike(&p);
    play_free(&p);

    set_status(VICTIM, 4);
    describe_each(&p, "status", "score");
    check_states(&p, "counts:status", 0, 1); /* R25, or the other followed */
    check_states(&p, "counts:status", 1, 1);
    check_states(&p, "row_counts:status", 1, 1);
    check_states(&p, "mean", 0, 1); /* it is the share of ones */
    check_states(&p, "mean", 1, 0); /* of score nothing is withheld */
    check_alike(&p);
    for (size_t i = 0; i < VAULTS; i++) {
        const Cohortium__Item *counts =
            released_item(play_release(&p, i)->result, "counts:status");

        CHECK_("no trace", counts->values[0] == 0 && counts->values[1] == 0);
        CHECK_EQ_("own", details_say(&p, i, "R1 (minimum"), i == VICTIM);
        CHECK_EQ_("another's", details_say(&p, i, "another site withholds"), i != VICTIM);
    }
    check_receipt(&p);
    play_free(&p);
}

static void set_missing(size_t site, size_t missing)
{
    for (size_t i = 0; i < t.site[site].n; i++)
        t.site[site].rows[i].score = i < missing ? NAN : 1;
    vaults_import(&t, site);
}

/* Where one site's `missing` is withheld every n is before exclusions: n of all less n of
 * the others would tell who fell out. */
static void test_session__R22_missing_of_one_site(void **state)
{
    struct play p;
    (void)state;

    permit_by_site(0);
    for (size_t i = 0; i < VAULTS; i++)
        set_missing(i, 20);
    describe_each(&p, "status", "score");
    check_states(&p, "missing", 1, 0);
    CHECK_EQ_("used", value(play_release(&p, HOME), "n", 1), (double)t.site[HOME].n - 20);
    play_free(&p);

    set_missing(VICTIM, 3);
    describe_each(&p, "status", "score");
    check_states(&p, "missing", 1, 1);
    check_states(&p, "n", 1, 0);
    check_alike(&p);
    CHECK_EQ_("all", value(play_release(&p, HOME), "n", 1), (double)t.site[HOME].n);
    CHECK_EQ_("all", value(play_release(&p, LIAR), "n", 1), (double)t.site[LIAR].n);
    check_receipt(&p);
    play_free(&p);
}

/* ---- two sites ---- */

static void ask_two(struct play *p, const char *cohort)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);

    assert_non_null(cx);
    Cohortium__Request *r = each_request(cx, "count", NULL, cohort);
    r->question->n_sites = r->stamp->n_audience = 2;
    play_new(p, &t, vaults_seal(cx, r, t.researcher));
}

static void test_session__two_sites(void **state)
{
    struct play p;
    (void)state;

    permit_by_site(0);
    ask_two(&p, "age >= 60");
    answer_each(&p);
    CHECK_("home", count_of(play_release(&p, HOME)) > 0);
    CHECK_("the other", count_of(play_release(&p, LIAR)) > 0);
    check_receipt(&p);
    play_free(&p);
    make_few(LIAR);
    ask_two(&p, "age >= 60");
    answer_each(&p);
    CHECK_("home", !play_release(&p, HOME)->released);
    CHECK_("the other", !play_release(&p, LIAR)->released);
    check_receipt(&p);
    CHECK_EQ_("who was not asked", vaults_count(&t, VICTIM, TABLE_ANSWERS), 0);
    play_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(by_site, test_session__R1_one_site_has_too_few),
        UNDER(by_site, test_session__R1_home_alone_has_too_few),
        UNDER(by_site, test_session__all_sites_have_enough),
        UNDER(by_site, test_session__R1_a_fit_of_too_few),
        UNDER(by_site, test_session__R1_one_cell_of_one_site),
        UNDER(by_site, test_session__R22_missing_of_one_site),
        UNDER(by_site, test_session__two_sites),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

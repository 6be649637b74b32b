/*
 * test_session_budget.c - what a question costs, and a permit whose questions are used up.
 *
 * A price is a function of the request, never of patients: so what was asked and refused
 * costs what an answer costs, and the same question never costs twice.
 */
#include "tests/node/session_case.h"

static const char USED_UP[] = "permit \"study one\": the permit's 2 questions are used up; "
                              "answers given before can still be had again, for more a new "
                              "permit must be signed";

/* Questions from here on are asked under a new permit with a budget. */
static void new_permit(uint64_t budget)
{
    vaults_permit(&t, &(struct vaults_permit){.researcher = t.researcher, .budget = budget},
                  t.permit);
}

static void answered(const char *cohort)
{
    struct play p;

    ask(&p, cohort);
    play_whole(&p);
    (void)play_release(&p, VICTIM);
    play_free(&p);
}

/* No site finds it valid, each says why; nothing begins. */
static void used_up(const char *cohort, bool dry_run)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p;

    assert_non_null(cx);
    Cohortium__Request *r = vaults_request(&t, cx, "count", NULL, cohort);
    r->dry_run = dry_run;
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    for (size_t i = 0; i < VAULTS; i++) {
        CHECK_EQ_(cohort, play_preflight(&p, i), FAULT_NONE);
        const Cohortium__Preflight *m = play_preflight_of(&p, i);
        CHECK_EQ_(cohort, m->n_complaints, 1);
        assert_string_equal(m->complaints[0]->code, "permit_used_up");
        assert_string_equal(m->complaints[0]->text, USED_UP);
    }
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_(cohort, play_begin(&p, i, i == LIAR), FAULT_INVALID);
    play_free(&p);
}

static void test_session__a_budget_of_two(void **state)
{
    (void)state;
    new_permit(2);
    answered("age >= 40");
    answered("age >= 40"); /* the same: no charge */
    answered("age >= 60");
    check_count(TABLE_CHARGES, 2);
    used_up("age < 60", false);
    used_up("age < 60", true);
    for (size_t i = 0; i < VAULTS; i++)
        vaults_reopen(&t, i);
    used_up("age < 60", false);
    answered("age >= 60"); /* given before: still to be had */
    check_count(TABLE_CHARGES, 2);
    check_count(TABLE_ANSWERS, 2);
    new_permit(2); /* the officers signed another */
    answered("age < 60");
    check_count(TABLE_CHARGES, 3);
}

static void test_session__no_budget_is_no_limit(void **state)
{
    (void)state;
    new_permit(0);
    answered("age >= 40");
    answered("age >= 60");
    answered("age < 60");
    check_count(TABLE_CHARGES, 3);
}

/* "for anyone": whoever's permit it is. */
static void test_session__an_answer_of_another_permit(void **state)
{
    (void)state;
    answered("age >= 40");
    new_permit(2);
    answered("age >= 60");
    answered("age < 40");
    check_count(TABLE_CHARGES, 3);
    used_up("age < 60", false);
    answered("age >= 40");
    check_count(TABLE_CHARGES, 3);
}

/* Preflight knows a question's form: begin, which knows the versions, that it is another.
 */
static void test_session__the_same_words_to_other_data(void **state)
{
    struct play p;
    (void)state;

    new_permit(2);
    answered("age >= 40");
    answered("age >= 60");
    vaults_import(&t, VICTIM);
    ask(&p, "age >= 60");
    for (size_t i = 0; i < VAULTS; i++) {
        CHECK_EQ_("preflight", play_preflight(&p, i), FAULT_NONE);
        CHECK_EQ_("complaints", play_preflight_of(&p, i)->n_complaints, 0);
    }
    for (size_t i = 0; i < VAULTS; i++) {
        CHECK_EQ_("begin", play_begin(&p, i, i == LIAR), FAULT_INVALID);
        CHECK_("says why", strstr(p.message, USED_UP) != NULL);
    }
    check_count(TABLE_CHARGES, 2);
    play_free(&p);
}

/* Charged and never answered: the same question is let through, no other. */
static void ended_early(uint32_t round, uint64_t charges)
{
    struct play p;

    new_permit(2);
    answered("age >= 40");
    uint64_t before = vaults_count(&t, HOME, TABLE_CHARGES);
    ask(&p, "age >= 60");
    play_start(&p);
    while (p.round < round)
        play_round(&p);
    play_forget(&p);
    check_count(TABLE_CHARGES, before + charges);
    play_free(&p);
    for (size_t i = 0; i < VAULTS; i++)
        vaults_reopen(&t, i);
    if (charges > 0)
        used_up("age < 60", false);
    answered("age >= 60");
    check_count(TABLE_CHARGES, before + 1);
    used_up("age < 60", false);
}

static void test_session__given_up_before_a_vector_is_free(void **state)
{
    (void)state;
    ended_early(0, 0);
}

static void test_session__given_up_after_a_vector_is_charged(void **state)
{
    (void)state;
    ended_early(1, 1);
}

static void test_session__given_up_at_the_sums_is_charged(void **state)
{
    (void)state;
    ended_early(3, 1);
}

/* Regions refused, numbers refused, answered: one price. Or what is left of a budget would
 * tell which it was. */
static void test_session__a_refusal_costs_what_an_answer_costs(void **state)
{
    static const struct {
        const char *cohort;
        bool released;
    } rows[] = {
        {"age >= 40", true},
        {"age >= 80", false}, /* nine: the regions */
        {"age < 80", false},  /* all but nine */
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct play p;

        ask(&p, rows[i].cohort);
        play_whole(&p);
        CHECK_EQ_(rows[i].cohort, play_release(&p, HOME)->released, rows[i].released);
        check_count(TABLE_CHARGES, i + 1);
        play_free(&p);
        answered(rows[i].cohort);
        check_count(TABLE_CHARGES, i + 1);
    }
    new_permit(2);
    answered("age >= 80 and sex == \"male\"");
    answered("age >= 80 and sex == \"female\"");
    used_up("age < 60", false);
}

/* What is invalid costs nothing. */
static void test_session__an_invalid_question_is_free(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p;
    (void)state;

    assert_non_null(cx);
    Cohortium__Request *r = vaults_request(&t, cx, "count", NULL, "age >= 40");
    r->question->n_sites = r->stamp->n_audience = 2;
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    for (size_t i = 0; i < 2; i++)
        CHECK_EQ_("preflight", play_preflight(&p, i), FAULT_NONE);
    for (size_t i = 0; i < 2; i++)
        CHECK_EQ_("begin", play_begin(&p, i, false), FAULT_INVALID);
    check_count(TABLE_CHARGES, 0);
    play_free(&p);
}

/* Both were accepted: home decides before anybody sends a vector. */
/* Two of one dataset are judged one after the other; the first to begin took too long. */
static void start_both(struct play *slow, struct play *p)
{
    ask(p, "age >= 60");
    ask(slow, "age < 40");
    play_start(slow);
    for (size_t i = 0; i < VAULTS; i++)
        session_forget(play_session(slow, i));
    play_start(p);
}

static void test_session__two_at_once_for_the_last_one(void **state)
{
    struct play p, q;
    (void)state;

    new_permit(2);
    answered("age >= 40");
    start_both(&q, &p);
    play_to(&p, 0);
    CHECK_EQ_("the other one", play_propose(&q, NULL), FAULT_REFUSED);
    CHECK_("says why", strstr(q.message, "questions are used up") != NULL);
    CHECK_EQ_("is over", play_propose(&q, NULL), FAULT_MISSING);
    play_forget(&q);
    play_step_all(&p);
    play_finish(&p);
    CHECK_("the first one is answered", play_release(&p, VICTIM)->released);
    check_count(TABLE_CHARGES, 2);
    check_count(TABLE_ANSWERS, 2);
    used_up("age < 40", false);
    play_free(&q);
    play_free(&p);
}

/* A home that lets everything pass gains nothing: each vault counts for itself. */
static void test_session__each_vault_counts(void **state)
{
    struct play p, q;
    (void)state;

    new_permit(2);
    answered("age >= 40");
    start_both(&q, &p);
    play_to(&p, 0);
    vaults_lose(&t, HOME, TABLE_CHARGES);
    play_to(&q, 0);
    CHECK_EQ_("the first", play_step(&p, VICTIM, NULL), FAULT_NONE);
    CHECK_EQ_("the second", play_step(&q, VICTIM, NULL), FAULT_REFUSED);
    CHECK_EQ_("charges", vaults_count(&t, VICTIM, TABLE_CHARGES), 2);
    play_forget(&p);
    play_forget(&q);
    play_free(&q);
    play_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(cautious, test_session__a_budget_of_two),
        UNDER(cautious, test_session__no_budget_is_no_limit),
        UNDER(cautious, test_session__an_answer_of_another_permit),
        UNDER(cautious, test_session__the_same_words_to_other_data),
        UNDER(cautious, test_session__given_up_before_a_vector_is_free),
        UNDER(cautious, test_session__given_up_after_a_vector_is_charged),
        UNDER(cautious, test_session__given_up_at_the_sums_is_charged),
        UNDER(cautious, test_session__a_refusal_costs_what_an_answer_costs),
        UNDER(cautious, test_session__an_invalid_question_is_free),
        UNDER(cautious, test_session__two_at_once_for_the_last_one),
        UNDER(cautious, test_session__each_vault_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

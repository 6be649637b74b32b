/*
 * session_case.h - one consortium of vaults.h a test, made by its set-up under a policy:
 *
 *   UNDER(cautious, test_session__some_claim)
 */
#pragma once

#include "tests/node/coordinator.h"

enum { HOME, LIAR, VICTIM };

static const char TESTING[] = "class: testing\n";
static const char CAUTIOUS[] = "class: cautious\nresponse_quantum_ms: 0\n";
static const char BY_SITE[] = "class: cautious\nresponse_quantum_ms: 0\nby_site: yes\n";

static struct vaults t;

static inline int testing(void **state)
{
    (void)state;
    vaults_new(&t, TESTING);
    return 0;
}

static inline int cautious(void **state)
{
    (void)state;
    vaults_new(&t, CAUTIOUS);
    return 0;
}

static inline int by_site(void **state)
{
    (void)state;
    vaults_new(&t, BY_SITE);
    return 0;
}

static inline int take_down(void **state)
{
    (void)state;
    vaults_free(&t);
    return 0;
}

#define UNDER(policy, name) cmocka_unit_test_setup_teardown(name, policy, take_down)

/* How many patients of this cohort? */
static inline void ask(struct play *p, const char *cohort)
{
    play_ask(p, &t, "count", NULL, cohort);
}

static inline void check_count(enum vaults_table table, uint64_t want)
{
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("rows", vaults_count(&t, i, table), want);
}

static inline double value(const Cohortium__Release *r, const char *name, size_t i)
{
    int state;
    double x = released_value(released_item(r->result, name), i, &state);

    CHECK_EQ_(name, state, 0);
    return x;
}

/* ---- by site ---- */

static inline void permit_by_site(uint64_t budget)
{
    vaults_permit(&t,
                  &(struct vaults_permit){
                      .researcher = t.researcher, .by_site = true, .budget = budget},
                  t.permit);
}

static inline int by_site_testing(void **state)
{
    (void)state;
    vaults_new(&t, "class: testing\nby_site: yes\n");
    permit_by_site(0);
    return 0;
}

static inline Cohortium__Request *each_request(struct cx *cx, const char *analysis,
                                               const char *formula, const char *cohort)
{
    Cohortium__Request *r = vaults_request(&t, cx, analysis, formula, cohort);

    r->question->by_site = true;
    return r;
}

static inline void ask_each(struct play *p, const char *analysis, const char *formula,
                            const char *cohort)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);

    assert_non_null(cx);
    play_new(p, &t,
             vaults_seal(cx, each_request(cx, analysis, formula, cohort), t.researcher));
}

static inline void another_proposal(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->proposal = PB_DATA(p->request);
}

/* A round of words, then every site's own answer; or those given before. No further step goes
 * on from there. */
static inline void answer_each(struct play *p)
{
    play_whole(p);
    CHECK_("no other round", p->round == 2 || p->round == 0);
    for (size_t i = 0; i < p->n; i++) {
        Cohortium__Answer *kept = p->answer[i];

        CHECK_EQ_("it is over", play_step(p, i, another_proposal), FAULT_MISSING);
        p->answer[i] = kept;
    }
}

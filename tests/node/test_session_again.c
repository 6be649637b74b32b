/*
 * test_session_again.c - the same question again: where all hold its answer, where some
 * vault lost it, and where one did not sign the release, so that only the others have it.
 *
 * Whoever asks again gets the same bytes at no charge, or is told clearly why not.
 */
#include <pthread.h>

#include "node/vault/session.h"
#include "protocol/receipt.h"
#include "tests/node/lie.h"
#include "tests/node/session_case.h"

static void check_receipt(struct play *p, enum fault want)
{
    struct receipt_facts facts;
    enum fault fault = receipt_verify(p->cx, play_receipt(p), t.genesis, &facts);

    if (fault != want)
        fail_msg("receipt: want %s, got %s: %s", fault_name(want), fault_name(fault),
                 cx_message(p->cx));
}

/* ---- where a vault lost its answer ---- */

static void lost_and_found(const char *cohort, bool released, size_t keeper)
{
    struct play p, q;

    ask(&p, cohort);
    play_whole(&p);
    CHECK_EQ_("released", play_release(&p, 0)->released, released);
    uint64_t charges = vaults_count(&t, 0, TABLE_CHARGES);
    uint64_t ledger = vaults_count(&t, 0, TABLE_LEDGER);
    for (size_t i = 0; i < VAULTS; i++)
        if (i != keeper)
            vaults_lose(&t, i, TABLE_ANSWERS);
    ask(&q, cohort);
    play_whole(&q);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_("the same bytes", bytes_equal(play_body(&p, 0), play_body(&q, i)));
    check_count(TABLE_CHARGES, charges);
    check_count(TABLE_LEDGER, ledger);
    check_receipt(&q, FAULT_NONE);
    play_free(&q);
    play_free(&p);
}

static void test_session__one_vault_kept_the_answer(void **state)
{
    (void)state;
    for (size_t keeper = 0; keeper < VAULTS; keeper++) {
        lost_and_found("age >= 60", true, keeper);
        lost_and_found("age >= 80", false, keeper);
    }
}

/* A coordinator may always ask for a run anew: home gains no other bytes by it. */
static void test_session__run_anew_gives_the_same(void **state)
{
    struct play p, q;
    (void)state;

    ask(&p, "age >= 80");
    play_whole(&p);
    ask(&q, "age >= 80");
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight", play_preflight(&q, i), FAULT_NONE);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("begin", play_begin(&q, i, true), FAULT_NONE);
    play_finish(&q);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_("the same reference", bytes_equal(play_body(&p, 0), play_body(&q, i)));
    play_free(&q);
    play_free(&p);
}

/* ---- where one did not sign the release ---- */

/* Up to home's proposal of the release, which it has logged. */
static void to_release(struct play *p)
{
    play_past(p, COHORTIUM__ROUND_KIND__VETO);
    CHECK_EQ_("propose", play_propose(p, NULL), FAULT_NONE);
}

static void no_proposal(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->proposal = PB_DATA(p->before[HOME]);
}

/* How it went wrong at the victim, whose session is over then. */
static void lie_to(struct play *p)
{
    CHECK_("refused", play_step(p, VICTIM, no_proposal) != FAULT_NONE);
}

static void crash(struct play *p)
{
    (void)p;
    vaults_reopen(&t, VICTIM);
}

static void home_crashes_too(struct play *p)
{
    crash(p);
    vaults_reopen(&t, HOME);
}

static void cut(struct play *p)
{
    (void)p; /* it was never told */
}

static const struct row {
    const char *what, *cohort;
    bool released, other_signs, home_signs;
    void (*wrong)(struct play *p);
} rows[] = {
    {"lied to", "age >= 40", true, true, true, lie_to},
    {"lied to, nobody else signed", "age >= 40", true, false, false, lie_to},
    {"crashed", "age >= 40", true, true, true, crash},
    {"crashed, NOT_RELEASED", "age >= 80", false, true, true, crash},
    {"home crashed, too", "age >= 40", true, true, false, home_crashes_too},
    {"home crashed, too, NOT_RELEASED", "age < 80", false, false, false, home_crashes_too},
    {"cut off", "age >= 40", true, true, true, cut},
    {"cut off, nobody else signed", "age >= 40", true, false, false, cut},
};

/* For the last of a budget, so that it could not be charged again. */
static void one_did_not_sign(const struct row *row)
{
    struct play p, q;

    vaults_permit(&t, &(struct vaults_permit){.researcher = t.researcher, .budget = 1},
                  t.permit);
    ask(&p, row->cohort);
    play_start(&p);
    to_release(&p);
    struct bytes first = PB_BYTES(play_proposal(&p)->release);
    row->wrong(&p);
    if (row->other_signs)
        CHECK_EQ_(row->what, play_step(&p, LIAR, NULL), FAULT_NONE);
    if (row->home_signs)
        CHECK_EQ_(row->what, play_step(&p, HOME, NULL), FAULT_NONE);
    play_forget(&p);
    CHECK_EQ_(row->what, vaults_count(&t, HOME, TABLE_ANSWERS), 1);
    CHECK_EQ_(row->what, vaults_count(&t, LIAR, TABLE_ANSWERS), row->other_signs);
    CHECK_EQ_(row->what, vaults_count(&t, VICTIM, TABLE_ANSWERS), 0);
    uint64_t ledger = vaults_count(&t, VICTIM, TABLE_LEDGER);

    ask(&q, row->cohort);
    play_whole(&q);
    CHECK_EQ_(row->what, play_release(&q, VICTIM)->released, row->released);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_(row->what, bytes_equal(first, play_body(&q, i)));
    check_receipt(&q, FAULT_NONE);
    check_count(TABLE_ANSWERS, 1);
    check_count(TABLE_CHARGES, 1);
    check_count(TABLE_LEDGER, ledger);
    for (size_t i = 0; i < VAULTS; i++)
        (void)vaults_desk(&t, q.cx, i, "audit verify", NULL, 0, NULL, 0);
    play_free(&q);
    play_free(&p);
}

static void test_session__one_did_not_sign(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        vaults_new(&t, CAUTIOUS);
        one_did_not_sign(&rows[i]);
        vaults_free(&t);
    }
}

/* It refused for good: asked again, the reason is said before anything begins; what home
 * holds proves nothing without the one that refused. */
static void test_session__one_will_not_sign(void **state)
{
    static const char *const words[] = {"lung", "consent was withdrawn"};
    struct play p, q;
    struct bytes accepts[VAULTS];
    (void)state;

    ask(&p, "age >= 40");
    play_start(&p);
    memcpy(accepts, p.accept, sizeof accepts);
    to_release(&p);
    (void)vaults_desk(&t, p.cx, VICTIM, "data drop", words, COUNT(words), NULL, 0);
    CHECK_EQ_("refused", play_step(&p, VICTIM, NULL), FAULT_MISSING);
    CHECK_EQ_("signed", play_step(&p, LIAR, NULL), FAULT_NONE);
    CHECK_EQ_("signed", play_step(&p, HOME, NULL), FAULT_NONE);
    play_forget(&p);

    ask(&q, "age >= 40");
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight", play_preflight(&q, i), FAULT_NONE);
    const Cohortium__Preflight *m = play_preflight_of(&q, VICTIM);
    CHECK_EQ_("complaints", m->n_complaints, 1);
    assert_string_equal(m->complaints[0]->code, "unknown_dataset");
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("begin", play_begin(&q, i, i == LIAR), FAULT_INVALID);

    /* The old papers again: who signed says the same once more, who refused refuses. */
    CHECK_EQ_("home", play_begin(&p, HOME, false), FAULT_NONE);
    CHECK_EQ_("the other", play_begin(&p, LIAR, false), FAULT_NONE);
    CHECK_EQ_("the victim", play_begin(&p, VICTIM, false), FAULT_INVALID);
    CHECK_("the same", bytes_equal(play_body(&p, HOME), play_body(&p, LIAR)));
    memcpy(p.accept, accepts, sizeof accepts);
    p.answer[VICTIM] = p.answer[LIAR];
    check_receipt(&p, FAULT_DENIED);
    CHECK_("for want of its signature",
           strstr(cx_message(p.cx), "site_c has not signed it") != NULL);
    check_count(TABLE_CHARGES, 1);
    play_free(&q);
    play_free(&p);
}

/* Its policy is another now: that is another question, with an answer of its own. */
static void test_session__one_signs_under_another_policy(void **state)
{
    struct play p, q;
    (void)state;

    ask(&p, "age >= 40");
    play_start(&p);
    to_release(&p);
    vaults_policy(&t, VICTIM,
                  "class: cautious\nresponse_quantum_ms: 0\n"
                  "minimum_frequency_threshold: 20\n");
    CHECK_EQ_("refused", play_step(&p, VICTIM, NULL), FAULT_CONFLICT);
    play_forget(&p);
    ask(&q, "age >= 40");
    play_whole(&q);
    CHECK_("another question",
           !bytes_equal(PB_BYTES(play_proposal(&p)->release), play_body(&q, HOME)));
    check_receipt(&q, FAULT_NONE);
    check_count(TABLE_CHARGES, 2);
    CHECK_EQ_("home holds both", vaults_count(&t, HOME, TABLE_ANSWERS), 2);
    CHECK_EQ_("the victim one", vaults_count(&t, VICTIM, TABLE_ANSWERS), 1);
    play_free(&q);
    play_free(&p);
}

/* ---- begun twice at once ---- */

/* Two workers take two calls of one request in their order, and may be done in another: the
 * ACCEPT of the later call is the one that the coordinator has. */
static void test_session__begun_twice_the_later_call_stays(void **state)
{
    struct vault *v = &t.site[VICTIM].v;
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct session *first, *second, *third;
    (void)state;

    assert_non_null(cx);
    CHECK_OK_("first", cx, session_new(cx, v, &first));
    CHECK_OK_("second", cx, session_new(cx, v, &second));
    CHECK_OK_("third", cx, session_new(cx, v, &third));
    first->arrival_us = 1;
    second->arrival_us = 2;
    third->arrival_us = 3;
    CHECK_OK_("the later call is done first", cx, session_enter(cx, v, second));
    session_unlock(v, second);
    CHECK_EQ_("the earlier one", session_enter(cx, v, first), FAULT_UNAVAILABLE);
    first->over = true;
    session_unlock(v, first);
    CHECK_EQ_("one is there", sessions_count(v), 1);
    CHECK_OK_("begun again", cx, session_enter(cx, v, third));
    CHECK_EQ_("in its place", sessions_count(v), 1);
    third->over = true;
    session_unlock(v, third);
    CHECK_EQ_("none", sessions_count(v), 0);
}

/* ---- the last step, asked for again while it is at work ---- */

/* The link was lost and another is there. So many callers that some of them are stopped
 * between two looks at the vault's tables. */
enum { CALLERS = 12, TIMES = 40 };

struct at_work {
    struct vault *v;
    struct caller who;
    struct bytes body;
    pthread_t thread;
    enum fault fault;
    char message[256];
};

static void *call_until_given(void *user)
{
    struct at_work *w = user;
    AUTO_CX struct cx *cx = cx_new(JOB_MEMORY, CX_NO_DEADLINE);
    struct bytes reply;

    w->fault = cx != NULL ? FAULT_UNAVAILABLE : FAULT_MEMORY;
    while (w->fault == FAULT_UNAVAILABLE) {
        cx_reset(cx);
        w->fault = vault_step(cx, w->v, &w->who, w->body, &reply);
    }
    if (cx != NULL && w->fault != FAULT_NONE)
        (void)snprintf(w->message, sizeof w->message, "%s", cx_message(cx));
    return NULL;
}

static void call_often(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    struct at_work w[CALLERS];
    struct bytes body;

    CHECK_OK_("pack", p->cx, pb_pack(p->cx, &call->base, &body));
    for (size_t i = 0; i < CALLERS; i++) {
        w[i] = (struct at_work){
            .v = &t.site[victim].v, .who = play_caller(&t, p->as, victim), .body = body};
        assert_int_equal(pthread_create(&w[i].thread, NULL, call_until_given, &w[i]), 0);
    }
    for (size_t i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_join(w[i].thread, NULL), 0);
    for (size_t i = 0; i < CALLERS; i++)
        if (w[i].fault != FAULT_NONE)
            fail_msg("one of them: %s", w[i].message);
}

static void test_session__the_last_step_again_while_it_ends(void **state)
{
    (void)state;

    for (unsigned i = 0; i < TIMES; i++) {
        struct play p;
        char cohort[32];

        (void)snprintf(cohort, sizeof cohort, "age >= %u", 20 + i);
        ask(&p, cohort);
        play_start(&p);
        play_to(&p, COUNT_RELEASE);
        CHECK_EQ_("and given", play_step(&p, VICTIM, call_often), FAULT_NONE);
        CHECK_("the answer", p.answer[VICTIM] != NULL);
        play_forget(&p);
        play_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(cautious, test_session__one_vault_kept_the_answer),
        UNDER(cautious, test_session__run_anew_gives_the_same),
        cmocka_unit_test(test_session__one_did_not_sign),
        UNDER(cautious, test_session__one_will_not_sign),
        UNDER(cautious, test_session__one_signs_under_another_policy),
        UNDER(testing, test_session__begun_twice_the_later_call_stays),
        UNDER(testing, test_session__the_last_step_again_while_it_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * test_session_caller.c - whose session is whose: the home node of the question steps and
 * ends it, and nobody else does, though they know its digest and its every call.
 */
#include "tests/node/session_case.h"

static const char NOT_YOURS[] =
    "denied: this is for the home node of the question alone; nothing was changed";

/* Whoever it is, asked or not, hears the same words. */
static void check_refused(struct play *p, const char *what, enum fault fault)
{
    CHECK_EQ_(what, fault, FAULT_DENIED);
    CHECK_(what, strcmp(p->message, NOT_YOURS) == 0);
}

static enum fault foreign_step(struct play *p, size_t as, size_t site)
{
    p->as = as;
    enum fault fault = play_step(p, site, NULL);
    p->as = HOME;
    return fault;
}

static void try_all(struct play *p, size_t as, size_t site)
{
    p->as = as;
    check_refused(p, "preflight", play_preflight(p, site));
    check_refused(p, "begin", play_begin(p, site, false));
    check_refused(p, "begin, anew", play_begin(p, site, true));
    check_refused(p, "step", play_step(p, site, NULL));
    check_refused(p, "abort", play_abort(p, site));
    p->as = HOME;
}

/* Every member at every other, before each round; the question goes on as if nobody had. */
static void test_session__is_its_homes(void **state)
{
    struct play p, q;
    (void)state;

    ask(&q, "age >= 50");
    play_whole(&q); /* undisturbed; charged, and answered */
    ask(&p, "age >= 40");
    play_start(&p);
    do {
        CHECK_EQ_("propose", play_propose(&p, NULL), FAULT_NONE);
        for (size_t as = LIAR; as < VAULTS; as++)
            for (size_t site = 0; site < VAULTS; site++)
                try_all(&p, as, site);
        play_step_all(&p);
    } while (p.answer[HOME] == NULL);
    CHECK_("released", play_release(&p, VICTIM)->released);
    for (size_t i = 1; i < VAULTS; i++)
        CHECK_("the same bytes", bytes_equal(play_body(&p, 0), play_body(&p, i)));
    check_count(TABLE_CHARGES, 2);
    play_free(&q);
    play_free(&p);
}

/* One that was not asked, of a question to two. */
static void test_session__not_a_strangers(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p;
    (void)state;

    assert_non_null(cx);
    permit_by_site(0);
    Cohortium__Request *r = each_request(cx, "count", NULL, "age >= 40");
    r->question->n_sites = r->stamp->n_audience = 2;
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    for (size_t i = 0; i < p.n; i++)
        CHECK_EQ_("preflight", play_preflight(&p, i), FAULT_NONE);
    for (size_t i = 0; i < p.n; i++)
        CHECK_EQ_("begin", play_begin(&p, i, false), FAULT_NONE);
    for (size_t site = 0; site < p.n; site++)
        try_all(&p, VICTIM, site);
    CHECK_EQ_("home's", play_abort(&p, LIAR), FAULT_NONE);
    CHECK_EQ_("is over", play_step(&p, LIAR, NULL), FAULT_MISSING);
    play_forget(&p);
    play_free(&p);
}

/* A call of another's neither waits for a step that is at work nor keeps a session alive.
 */
static void test_session__is_not_kept_alive(void **state)
{
    struct play p;
    struct session *s;
    struct vault *v = &t.site[VICTIM].v;
    (void)state;

    ask(&p, "age >= 30");
    play_start(&p);
    s = play_session(&p, VICTIM);
    int64_t touched = s->touched_ms -= 1000;
    check_refused(&p, "step", foreign_step(&p, LIAR, VICTIM));
    CHECK_EQ_("not touched", s->touched_ms, touched);
    assert_int_equal(pthread_mutex_lock(&s->lock), 0); /* a step is at work */
    check_refused(&p, "step, meanwhile", foreign_step(&p, LIAR, VICTIM));
    p.as = LIAR;
    check_refused(&p, "abort, meanwhile", play_abort(&p, VICTIM));
    p.as = HOME;
    assert_false(s->doomed);
    CHECK_EQ_("home's is doomed", play_abort(&p, VICTIM), FAULT_NONE);
    assert_true(s->doomed);
    session_unlock(v, s);
    play_forget(&p);
    play_free(&p);
}

/* An ended session's last answer is given again to who asked for it, not to who has seen
 * the call. */
static void test_session__the_last_answer(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 40");
    play_start(&p);
    play_past(&p, COHORTIUM__ROUND_KIND__VETO);
    CHECK_EQ_("propose", play_propose(&p, NULL), FAULT_NONE);
    CHECK_EQ_("the answer", play_step(&p, VICTIM, NULL), FAULT_NONE);
    CHECK_("is there", p.answer[VICTIM] != NULL);
    check_refused(&p, "the very same call", foreign_step(&p, LIAR, VICTIM));
    CHECK_EQ_("home's", play_step(&p, VICTIM, NULL), FAULT_NONE);
    play_forget(&p);
    play_free(&p);
}

/* The home has new link keys amid the question: it is the same member. */
static void test_session__who_calls_is_known_by_id(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct ipc_caller from = {.role = IPC_MEMBER};
    struct caller who;
    struct vault *v = &t.site[VICTIM].v;
    (void)state;

    assert_non_null(cx);
    memcpy(from.id, t.site[HOME].v.self->node_id.data, DIGEST_BYTES);
    CHECK_OK_("home", cx, caller_open(cx, v, &from, &who));
    CHECK_OK_("owns", cx, caller_owns(cx, &who, from.id));
    from.id[0] ^= 1;
    CHECK_EQ_("nobody", caller_open(cx, v, &from, &who), FAULT_DENIED);
    memcpy(from.id, v->self->node_id.data, DIGEST_BYTES);
    CHECK_EQ_("itself, over a link", caller_open(cx, v, &from, &who), FAULT_DENIED);
    from = (struct ipc_caller){.role = IPC_SELF};
    CHECK_OK_("this node", cx, caller_open(cx, v, &from, &who));
    CHECK_OK_("owns its own", cx, caller_owns(cx, &who, v->self->node_id.data));
    CHECK_EQ_("and no other's", caller_owns(cx, &who, t.site[HOME].v.self->node_id.data),
              FAULT_DENIED);
    memcpy(from.id, t.site[HOME].v.self->node_id.data, DIGEST_BYTES);
    from.role = IPC_RESEARCHER; /* whose key's digest is home's id */
    CHECK_OK_("a researcher", cx, caller_open(cx, v, &from, &who));
    CHECK_EQ_("is no member", caller_owns(cx, &who, from.id), FAULT_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_session__is_its_homes),
        UNDER(by_site, test_session__not_a_strangers),
        UNDER(testing, test_session__is_not_kept_alive),
        UNDER(testing, test_session__the_last_answer),
        UNDER(testing, test_session__who_calls_is_known_by_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

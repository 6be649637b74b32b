/*
 * test_session_papers.c - how a session begins or does not, and how it ends early.
 */
#include <time.h>

#include "protocol/base/clock.h"
#include "tests/node/session_case.h"

static Cohortium__Request *request(struct cx *cx, const char *cohort)
{
    return vaults_request(&t, cx, "count", NULL, cohort);
}

static struct bytes flipped(struct cx *cx, struct bytes b, size_t at)
{
    uint8_t *copy = cx_memdup(cx, b.p, b.n);

    assert_true(copy != NULL && at < b.n);
    copy[at] ^= 1;
    return bytes_of(copy, b.n);
}

static bool complains_of(const Cohortium__Preflight *m, const char *code)
{
    for (size_t i = 0; i < m->n_complaints; i++)
        if (strcmp(m->complaints[i]->code, code) == 0)
            return true;
    return false;
}

/* ---- papers ---- */

/* Preflight and begin both refuse, at this site. */
static void refused(const char *what, struct bytes packed, size_t site, enum fault want)
{
    struct play p, good;
    enum fault fault;

    ask(&good, "age >= 30");
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("good preflight", play_preflight(&good, i), FAULT_NONE);
    uint64_t log = vaults_count(&t, site, TABLE_LOG);

    memset(&p, 0, sizeof p);
    p.t = &t;
    p.cx = cx_new(16 << 20, CX_NO_DEADLINE);
    assert_non_null(p.cx);
    p.request = packed;
    fault = play_preflight(&p, site);
    if (fault != want && want != FAULT_NONE)
        fail_msg("%s: preflight: want %s, got %s", what, fault_name(want),
                 fault == FAULT_NONE ? "no fault" : p.message);
    CHECK_(what, fault != FAULT_NONE);
    memcpy(p.preflight, good.preflight, sizeof p.preflight);
    fault = play_begin(&p, site, false);
    CHECK_(what, fault != FAULT_NONE);
    if (want != FAULT_NONE)
        CHECK_EQ_(what, fault, want);
    CHECK_EQ_(what, vaults_count(&t, site, TABLE_LOG), log);
    play_free(&p);
    play_free(&good);
}

static void test_session__a_request_changed_in_any_byte(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    (void)state;

    assert_non_null(cx);
    struct bytes packed = vaults_seal(cx, request(cx, "age >= 30"), t.researcher);
    for (size_t i = 0; i < packed.n; i++)
        refused("one bit", flipped(cx, packed, i), i % VAULTS, FAULT_NONE);
}

static void test_session__an_expired_request(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    (void)state;

    assert_non_null(cx);
    Cohortium__Request *r = request(cx, "age >= 30");
    r->stamp->issued_at -= 20 * 60 * 1000;
    r->stamp->expires_at = (uint64_t)clock_utc_ms() - 3 * 60 * 1000;
    refused("expired", vaults_seal(cx, r, t.researcher), HOME, FAULT_EXPIRED);
    refused("expired", vaults_seal(cx, r, t.researcher), VICTIM, FAULT_EXPIRED);
    r->stamp->issued_at = (uint64_t)clock_utc_ms() + 10 * 60 * 1000;
    r->stamp->expires_at = r->stamp->issued_at + 60 * 1000;
    refused("of the future", vaults_seal(cx, r, t.researcher), VICTIM, FAULT_EXPIRED);
}

static void test_session__a_request_of_somebody_else(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    Cohortium__Request *r;
    (void)state;

    assert_non_null(cx);
    r = request(cx, "age >= 30");
    refused("signed by a stranger", vaults_seal(cx, r, t.stranger), VICTIM, FAULT_DENIED);

    r = request(cx, "age >= 30");
    r->credential = PB_DATA(vaults_credential(&t, cx, LIAR, t.researcher));
    refused("a credential of another home", vaults_seal(cx, r, t.researcher), VICTIM,
            FAULT_DENIED);
    refused("a credential of another home", vaults_seal(cx, r, t.researcher), HOME,
            FAULT_DENIED);

    /* The other home signs what it may not: a credential in home's name. */
    struct envelope e;
    Cohortium__Credential *c;
    struct bytes forged;
    CHECK_OK_("open", cx, envelope_open(cx, ENVELOPE_CREDENTIAL, t.credential, &e));
    CHECK_OK_("open", cx,
              pb_unpack(cx, &cohortium__credential__descriptor, e.body,
                        envelope_bound(ENVELOPE_CREDENTIAL), &c));
    CHECK_OK_(
        "forge", cx,
        envelope_seal(cx, ENVELOPE_CREDENTIAL, &c->base, t.site[LIAR].v.signing, &forged));
    r->credential = PB_DATA(forged);
    refused("a forged credential", vaults_seal(cx, r, t.researcher), VICTIM, FAULT_DENIED);
}

/* All sites complain of this, and none begins. */
static void complained(Cohortium__Request *r, const struct keys *keys, const char *code)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p;

    assert_non_null(cx);
    play_new(&p, &t, vaults_seal(cx, r, keys));
    for (size_t i = 0; i < VAULTS; i++) {
        if (i >= r->question->n_sites)
            continue;
        if (play_preflight(&p, i) != FAULT_NONE)
            fail_msg("%s: %s", code, p.message);
        const Cohortium__Preflight *m = play_preflight_of(&p, i);
        if (!complains_of(m, code))
            fail_msg("%s: site %zu says: %s", code, i,
                     m->n_complaints > 0 ? m->complaints[0]->text : "nothing");
        CHECK_(code, m->version.len == 0);
    }
    for (size_t i = 0; i < r->question->n_sites; i++)
        CHECK_EQ_(code, play_begin(&p, i, i == 0), FAULT_INVALID);
    play_free(&p);
}

static void test_session__papers_that_do_not_cover_it(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    Cohortium__Request *r;
    uint8_t subject[DIGEST_BYTES], permit[ID_BYTES] = {0};
    (void)state;

    assert_non_null(cx);
    r = request(cx, "age >= 40");
    r->credential = PB_DATA(vaults_credential(&t, cx, HOME, t.stranger));
    digest_of(bytes_of(keys_signing_public(t.stranger), KEY_BYTES), subject);
    r->stamp->issuer = PB_DATA(bytes_of(subject, sizeof subject));
    complained(r, t.stranger, "researcher_not_permitted");

    r = request(cx, "age >= 40");
    r->permit = PB_DATA(bytes_of(permit, sizeof permit));
    complained(r, t.researcher, "unknown_permit");

    vaults_permit(&t, &(struct vaults_permit){.researcher = t.researcher, .lasts_ms = 400},
                  permit);
    const struct timespec pause = {.tv_nsec = 450 * 1000 * 1000};
    (void)nanosleep(&pause, NULL);
    complained(r, t.researcher, "expired_permit");

    r = request(cx, "age >= 40");
    r->question->n_sites = r->stamp->n_audience = 2;
    complained(r, t.researcher, "too_few_sites");
}

static void test_session__a_dry_run_does_not_begin(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p;
    (void)state;

    assert_non_null(cx);
    Cohortium__Request *r = request(cx, "age >= 30");
    r->dry_run = true;
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight", play_preflight(&p, i), FAULT_NONE);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("begin", play_begin(&p, i, false), FAULT_INVALID);
    play_free(&p);
}

static void test_session__a_revoked_researcher(void **state)
{
    static const char *const words[] = {"ada", "left the institution"};
    struct play p, q;
    (void)state;

    ask(&p, "age >= 30");
    play_start(&p);
    (void)vaults_desk(&t, p.cx, HOME, "researcher revoke", words, COUNT(words), NULL, 0);
    ask(&q, "age >= 31");
    CHECK_EQ_("preflight", play_preflight(&q, HOME), FAULT_DENIED);
    for (size_t i = 0; i < VAULTS; i++)
        if (i != HOME)
            CHECK_EQ_("the others cannot know", play_preflight(&q, i), FAULT_NONE);
    q.preflight[HOME] = p.preflight[HOME];
    CHECK_EQ_("begin without home", play_begin(&q, VICTIM, false), FAULT_CONFLICT);
    CHECK_EQ_("begin at home", play_begin(&q, HOME, false), FAULT_CONFLICT);
    play_free(&q);
    /* The preflight was good, the person is not any more. */
    play_forget(&p);
    CHECK_EQ_("begin anew", play_begin(&p, HOME, false), FAULT_DENIED);
    play_free(&p);
}

/* ---- preflights ---- */

static void begin_fails(const char *what, struct play *p, enum fault want)
{
    for (size_t i = 0; i < VAULTS; i++) {
        enum fault fault = play_begin(p, i, i == 1);

        if (fault != want)
            fail_msg("%s at site %zu: want %s, got %s", what, i, fault_name(want),
                     fault == FAULT_NONE ? "no fault" : p->message);
    }
}

static void test_session__preflights_that_are_not_theirs(void **state)
{
    struct play p, other;
    struct bytes good[VAULTS];
    (void)state;

    ask(&p, "age >= 30");
    ask(&other, "age >= 30");
    for (size_t i = 0; i < VAULTS; i++) {
        CHECK_EQ_("preflight", play_preflight(&p, i), FAULT_NONE);
        CHECK_EQ_("preflight", play_preflight(&other, i), FAULT_NONE);
    }
    memcpy(good, p.preflight, sizeof good);

    for (size_t i = 0; i < VAULTS; i++) {
        p.preflight[i] = flipped(p.cx, good[i], good[i].n - 1);
        begin_fails("changed", &p, FAULT_DENIED);
        p.preflight[i] = other.preflight[i];
        begin_fails("of another request", &p, FAULT_CONFLICT);
        p.preflight[i] = good[(i + 1) % VAULTS];
        begin_fails("of another site", &p, FAULT_DENIED);
        p.preflight[i] = (struct bytes){0};
        begin_fails("missing", &p, FAULT_CONFLICT);
        p.preflight[i] = good[i];
    }
    check_count(TABLE_ANSWERS, 0);
    play_finish((play_start(&p), &p));
    play_free(&other);
    play_free(&p);
}

/* The coordinator keeps an old preflight of ours and begins after our officers tightened.
 */
static void test_session__a_policy_of_yesterday(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 40");
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight", play_preflight(&p, i), FAULT_NONE);
    vaults_policy(&t, VICTIM,
                  "class: cautious\nresponse_quantum_ms: 0\n"
                  "minimum_frequency_threshold: 50\n");
    CHECK_EQ_("begin", play_begin(&p, VICTIM, false), FAULT_CONFLICT);
    CHECK_EQ_("preflight again", play_preflight(&p, VICTIM), FAULT_NONE);
    CHECK_EQ_("begin", play_begin(&p, VICTIM, false), FAULT_NONE);
    play_free(&p);
}

/* ---- the table of sessions ---- */

static void test_session__begun_again(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 30");
    play_start(&p);
    play_start(&p); /* the ACCEPTs were lost: made anew */
    play_round(&p);
    CHECK_EQ_("it runs", play_begin(&p, VICTIM, false), FAULT_REPLAY);
    play_finish(&p);
    play_free(&p);
}

/* A vector that was lost with a link is given again, and never made again. */
static void test_session__the_same_step_twice(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 30");
    play_start(&p);
    for (uint32_t round = 0; round < 3; round++) {
        play_to(&p, round);
        CHECK_EQ_("once", play_step(&p, VICTIM, NULL), FAULT_NONE);
        struct bytes vector = p.vector[VICTIM];
        uint64_t charges = vaults_count(&t, VICTIM, TABLE_CHARGES);
        uint64_t ledger = vaults_count(&t, VICTIM, TABLE_LEDGER);
        for (size_t i = 0; i < 3; i++) {
            CHECK_EQ_("again", play_step(&p, VICTIM, NULL), FAULT_NONE);
            CHECK_("the very same bytes", bytes_equal(vector, p.vector[VICTIM]));
        }
        CHECK_EQ_("no further charge", vaults_count(&t, VICTIM, TABLE_CHARGES), charges);
        CHECK_EQ_("no further region", vaults_count(&t, VICTIM, TABLE_LEDGER), ledger);
        CHECK_EQ_("step", play_step(&p, LIAR, NULL), FAULT_NONE);
        CHECK_EQ_("step", play_step(&p, HOME, NULL), FAULT_NONE);
        p.round++;
    }
    play_finish(&p);
    play_free(&p);
}

static void one_vector_less(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_vectors--;
}

/* What differs from the step before is another step, and out of turn. */
static void test_session__another_step_twice(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 30");
    play_start(&p);
    play_to(&p, 2);
    CHECK_EQ_("once", play_step(&p, VICTIM, NULL), FAULT_NONE);
    CHECK_EQ_("another", play_step(&p, VICTIM, one_vector_less), FAULT_CONFLICT);
    CHECK_EQ_("and then it is over", play_step(&p, VICTIM, NULL), FAULT_MISSING);
    check_count(TABLE_ANSWERS, 0);
    play_forget(&p);
    play_free(&p);
}

static void test_session__no_more_than_there_is_room_for(void **state)
{
    static struct play p[SESSIONS_MAX + 1];
    (void)state;

    for (size_t i = 0; i < COUNT(p); i++) {
        ask(&p[i], "age >= 30");
        for (size_t s = 0; s < VAULTS; s++)
            CHECK_EQ_("preflight", play_preflight(&p[i], s), FAULT_NONE);
        CHECK_EQ_("begin", play_begin(&p[i], VICTIM, false),
                  i < SESSIONS_MAX ? FAULT_NONE : FAULT_UNAVAILABLE);
    }
    play_forget(&p[3]);
    CHECK_EQ_("one went", play_begin(&p[SESSIONS_MAX], VICTIM, false), FAULT_NONE);
    for (size_t i = 0; i < COUNT(p); i++)
        play_free(&p[i]);
}

/* An abort that comes while a step is at work ends the session after it. */
static void test_session__aborted_at_work(void **state)
{
    struct play p;
    struct session *s;
    struct caller home = play_caller(&t, HOME, VICTIM);
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    (void)state;

    assert_non_null(cx);
    ask(&p, "age >= 30");
    play_start(&p);
    CHECK_OK_("find", cx, session_find(cx, &t.site[VICTIM].v, &home, p.digest, &s));
    play_forget(&p);
    session_unlock(&t.site[VICTIM].v, s);
    CHECK_EQ_("gone", session_find(cx, &t.site[VICTIM].v, &home, p.digest, &s), FAULT_MISSING);
    play_free(&p);
}

static void test_session__left_alone(void **state)
{
    struct play p;
    struct vault *v = &t.site[VICTIM].v;
    (void)state;

    ask(&p, "age >= 30");
    play_start(&p);
    play_to(&p, 1);
    sessions_purge(v, clock_mono_ms() + SESSION_IDLE_MS / 2);
    CHECK_EQ_("not yet", play_step(&p, VICTIM, NULL), FAULT_NONE);
    sessions_purge(v, clock_mono_ms() + SESSION_IDLE_MS + 1000);
    CHECK_EQ_("gone", play_step(&p, VICTIM, NULL), FAULT_MISSING);
    play_forget(&p);
    play_free(&p);
}

static void test_session__a_crash_in_the_middle(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 40");
    play_start(&p);
    play_to(&p, 3);
    vaults_reopen(&t, VICTIM);
    CHECK_EQ_("it is gone", play_step(&p, VICTIM, NULL), FAULT_MISSING);
    check_count(TABLE_ANSWERS, 0);
    uint64_t ledger = vaults_count(&t, VICTIM, TABLE_LEDGER);
    CHECK_("what was sent is remembered", ledger > 0);
    play_forget(&p);
    p.round = 0;
    play_whole(&p); /* the same request */
    CHECK_("released", play_release(&p, VICTIM)->released);
    for (size_t i = 1; i < VAULTS; i++)
        CHECK_("the same bytes", bytes_equal(play_body(&p, 0), play_body(&p, i)));
    check_count(TABLE_LEDGER, ledger);
    check_count(TABLE_CHARGES, 1);
    play_free(&p);
}

/* One request id, two requests: the second is found before anything is accepted. */
static void check_reused(struct bytes second)
{
    struct play q;

    play_new(&q, &t, second);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight", play_preflight(&q, i), FAULT_REPLAY);
    play_free(&q);
}

static void test_session__one_id_for_two_requests(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p, q;
    (void)state;

    assert_non_null(cx);
    Cohortium__Request *a = request(cx, "age >= 40"), *b = request(cx, "age >= 60");
    b->stamp->request_id = a->stamp->request_id;
    struct bytes second = vaults_seal(cx, b, t.researcher);
    play_new(&p, &t, vaults_seal(cx, a, t.researcher));
    play_new(&q, &t, second);
    for (size_t i = 0; i < VAULTS; i++) /* before the first was begun nobody can know */
        CHECK_EQ_("preflight", play_preflight(&q, i), FAULT_NONE);
    play_start(&p);
    check_reused(second); /* it runs */
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("begin", play_begin(&q, i, i == LIAR), FAULT_REPLAY);
    play_round(&p);
    play_forget(&p);
    check_reused(second); /* its first vector left */
    vaults_reopen(&t, VICTIM);
    check_reused(second); /* and that is durable */
    p.round = 0;
    play_whole(&p); /* the same request once more is no other */
    check_reused(second);
    CHECK_EQ_("begin", play_begin(&q, VICTIM, false), FAULT_REPLAY);
    check_count(TABLE_ANSWERS, 1);
    check_count(TABLE_CHARGES, 1);
    play_free(&q);
    play_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_session__a_request_changed_in_any_byte),
        UNDER(testing, test_session__an_expired_request),
        UNDER(testing, test_session__a_request_of_somebody_else),
        UNDER(cautious, test_session__papers_that_do_not_cover_it),
        UNDER(testing, test_session__a_dry_run_does_not_begin),
        UNDER(testing, test_session__a_revoked_researcher),
        UNDER(testing, test_session__preflights_that_are_not_theirs),
        UNDER(cautious, test_session__a_policy_of_yesterday),
        UNDER(testing, test_session__begun_again),
        UNDER(testing, test_session__the_same_step_twice),
        UNDER(testing, test_session__another_step_twice),
        UNDER(testing, test_session__no_more_than_there_is_room_for),
        UNDER(testing, test_session__aborted_at_work),
        UNDER(testing, test_session__left_alone),
        UNDER(cautious, test_session__a_crash_in_the_middle),
        UNDER(cautious, test_session__one_id_for_two_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

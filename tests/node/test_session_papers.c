/*
 * test_session_papers.c - how a session begins or does not, ends early, is asked again; and
 * members that bend it without a wrong signature.
 */
#include "tests/node/coordinator.h"

#include <math.h>
#include <time.h>

#include "protocol/base/clock.h"
#include "protocol/receipt.h"

static const char TESTING[] = "class: testing\n";
static const char CAUTIOUS[] = "class: cautious\nresponse_quantum_ms: 0\n";
enum { HOME, LIAR, VICTIM };

static struct vaults t;

static Cohortium__Request *request(struct cx *cx, const char *cohort)
{
    return vaults_request(&t, cx, "count", NULL, cohort);
}

static void ask(struct play *p, const char *cohort)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);

    assert_non_null(cx);
    play_new(p, &t, vaults_seal(cx, request(cx, cohort), t.researcher));
}

static struct bytes flipped(struct cx *cx, struct bytes b, size_t at)
{
    uint8_t *copy = cx_memdup(cx, b.p, b.n);

    assert_true(copy != NULL && at < b.n);
    copy[at] ^= 1;
    return bytes_of(copy, b.n);
}

static void forget(struct play *p)
{
    for (size_t i = 0; i < VAULTS; i++)
        vault_abort(&t.site[i].v, bytes_of(p->digest, DIGEST_BYTES));
}

static const Cohortium__Preflight *preflight_of(struct play *p, size_t site)
{
    struct envelope e;
    Cohortium__Preflight *m;

    CHECK_OK_("preflight", p->cx,
              envelope_open(p->cx, ENVELOPE_PREFLIGHT, p->preflight[site], &e));
    CHECK_OK_("preflight", p->cx,
              pb_unpack(p->cx, &cohortium__preflight__descriptor, e.body,
                        envelope_bound(ENVELOPE_PREFLIGHT), &m));
    return m;
}

static bool complains_of(const Cohortium__Preflight *m, const char *code)
{
    for (size_t i = 0; i < m->n_complaints; i++)
        if (strcmp(m->complaints[i]->code, code) == 0)
            return true;
    return false;
}

static void check_count(enum vaults_table table, uint64_t want)
{
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("rows", vaults_count(&t, i, table), want);
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
        const Cohortium__Preflight *m = preflight_of(&p, i);
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

    vaults_permit(&t, t.researcher, 400, permit);
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
    play_start(&p); /* running when it is revoked: it was begun in time */
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
    forget(&p);
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

static void test_session__the_same_step_twice(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 30");
    play_start(&p);
    play_to(&p, 2);
    CHECK_EQ_("once", play_step(&p, VICTIM, NULL), FAULT_NONE);
    CHECK_EQ_("twice", play_step(&p, VICTIM, NULL), FAULT_CONFLICT);
    CHECK_EQ_("and then it is over", play_step(&p, VICTIM, NULL), FAULT_MISSING);
    check_count(TABLE_ANSWERS, 0);
    forget(&p);
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
    forget(&p[3]);
    CHECK_EQ_("one went", play_begin(&p[SESSIONS_MAX], VICTIM, false), FAULT_NONE);
    for (size_t i = 0; i < COUNT(p); i++)
        play_free(&p[i]);
}

/* An abort that comes while a step is at work ends the session after it. */
static void test_session__aborted_at_work(void **state)
{
    struct play p;
    struct session *s;
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    (void)state;

    assert_non_null(cx);
    ask(&p, "age >= 30");
    play_start(&p);
    CHECK_OK_("find", cx, session_find(cx, &t.site[VICTIM].v, p.digest, &s));
    forget(&p);
    session_unlock(&t.site[VICTIM].v, s);
    CHECK_EQ_("gone", session_find(cx, &t.site[VICTIM].v, p.digest, &s), FAULT_MISSING);
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
    forget(&p);
    p.round = 0;
    play_whole(&p); /* the same request */
    CHECK_("released", play_release(&p, VICTIM)->released);
    for (size_t i = 1; i < VAULTS; i++)
        CHECK_("the same bytes", bytes_equal(play_body(&p, 0), play_body(&p, i)));
    check_count(TABLE_LEDGER, ledger);
    check_count(TABLE_CHARGES, 1);
    play_free(&p);
}

/* One request id, two requests: the second never gets as far as an answer. */
static void test_session__one_id_for_two_requests(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p, q;
    enum fault fault = FAULT_NONE;
    (void)state;

    assert_non_null(cx);
    Cohortium__Request *a = request(cx, "age >= 40"), *b = request(cx, "age >= 60");
    b->stamp->request_id = a->stamp->request_id;
    play_new(&p, &t, vaults_seal(cx, a, t.researcher));
    play_new(&q, &t, vaults_seal(cx, b, t.researcher));
    play_whole(&p);
    uint64_t ledger = vaults_count(&t, VICTIM, TABLE_LEDGER);
    play_start(&q);
    while (fault == FAULT_NONE && q.answer[VICTIM] == NULL) {
        if (play_propose(&q, NULL) != FAULT_NONE)
            fail_msg("proposal: %s", q.message);
        fault = play_step(&q, VICTIM, NULL);
        for (size_t i = 0; fault == FAULT_NONE && i < VICTIM; i++)
            if (play_step(&q, VICTIM - 1 - i, NULL) != FAULT_NONE)
                fail_msg("step: %s", q.message);
        q.round++;
    }
    CHECK_EQ_("found", fault, FAULT_REPLAY);
    CHECK_EQ_("no ledger row", vaults_count(&t, VICTIM, TABLE_LEDGER), ledger);
    CHECK_EQ_("no answer", vaults_count(&t, VICTIM, TABLE_ANSWERS), 1);
    forget(&q);
    play_free(&q);
    play_free(&p);
}

/* ---- the same question, where a vault lost its answer ---- */

static enum fault lose(struct cx *cx, sqlite3 *sql, void *user)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    (void)user;
    TRY(db_prepare(cx, sql, &stmt, "DELETE FROM answer", ""));
    return db_run(cx, sql, stmt);
}

static void lost_and_found(const char *cohort, bool released, size_t keeper)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct play p, q;

    assert_non_null(cx);
    ask(&p, cohort);
    play_whole(&p);
    CHECK_EQ_("released", play_release(&p, 0)->released, released);
    uint64_t charges = vaults_count(&t, 0, TABLE_CHARGES);
    uint64_t ledger = vaults_count(&t, 0, TABLE_LEDGER);
    for (size_t i = 0; i < VAULTS; i++)
        if (i != keeper)
            CHECK_OK_("lose", cx, db_write(cx, t.site[i].v.db, lose, NULL));
    ask(&q, cohort);
    play_whole(&q);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_("the same bytes", bytes_equal(play_body(&p, 0), play_body(&q, i)));
    check_count(TABLE_CHARGES, charges);
    check_count(TABLE_LEDGER, ledger);
    struct receipt_facts facts;
    CHECK_OK_("receipt", q.cx, receipt_verify(q.cx, play_receipt(&q), t.genesis, &facts));
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

/* ---- home and members that bend without breaking a signature ---- */

static void no_vectors(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_vectors = call->n_accepts = 0;
}

/* Two proposals of one round, both of home, both true: to each half another. */
static void test_session__two_proposals_of_one_round(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 40");
    play_start(&p);
    play_to(&p, 2);
    struct bytes first = p.proposal;
    const struct timespec pause = {.tv_nsec = 3 * 1000 * 1000}; /* another stamp */
    (void)nanosleep(&pause, NULL);
    CHECK_EQ_("propose again", play_propose(&p, no_vectors), FAULT_NONE);
    CHECK_("another", !bytes_equal(first, p.proposal));
    memcpy(p.before, p.vector, sizeof p.before);
    CHECK_EQ_("step", play_step(&p, VICTIM, NULL), FAULT_NONE);
    p.proposal = first;
    CHECK_EQ_("step", play_step(&p, LIAR, NULL), FAULT_NONE);
    CHECK_EQ_("step", play_step(&p, HOME, NULL), FAULT_NONE);
    p.round++;
    CHECK_EQ_("found at home", play_propose(&p, NULL), FAULT_CONFLICT);
    CHECK_EQ_("found", play_step(&p, VICTIM, NULL), FAULT_CONFLICT);
    check_count(TABLE_ANSWERS, 0);
    forget(&p);
    play_free(&p);
}

/* The neighbour of an altered input: last bits differ between processors, and are adopted.
 */
static void test_session__last_bits_are_adopted(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p;
    (void)state;

    assert_non_null(cx);
    play_new(
        &p, &t,
        vaults_seal(cx, vaults_request(&t, cx, "lm", "score ~ age", NULL), t.researcher));
    play_start(&p);
    play_to(&p, 3);
    Cohortium__Proposal m = *play_proposal(&p);
    CHECK_("there is an input", m.n_input > 0);
    for (size_t i = 0; i < m.n_input; i++)
        m.input[i] *= 1 + 1e-12;
    CHECK_OK_("sign", p.cx,
              envelope_seal(p.cx, ENVELOPE_PROPOSAL, &m.base, t.site[HOME].v.signing,
                            &p.proposal));
    for (size_t i = 0; i < VAULTS; i++)
        if (play_step(&p, VAULTS - 1 - i, NULL) != FAULT_NONE)
            fail_msg("step: %s", p.message);
    p.round++;
    play_finish(&p);
    CHECK_("released", play_release(&p, VICTIM)->released);
    play_free(&p);
}

static void release_after_all(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal m = *play_proposal(p);
    Cohortium__Release *r;
    Cohortium__Result result = COHORTIUM__RESULT__INIT;
    struct bytes body;

    (void)victim;
    CHECK_OK_("release", p->cx,
              pb_unpack(p->cx, &cohortium__release__descriptor, PB_BYTES(m.release),
                        envelope_bound(ENVELOPE_RELEASE), &r));
    CHECK_("home is honest yet", !r->released);
    r->released = true;
    r->reference = (ProtobufCBinaryData){0};
    r->result = &result;
    CHECK_OK_("release", p->cx, pb_pack(p->cx, &r->base, &body));
    m.release = PB_DATA(body);
    CHECK_OK_(
        "sign", p->cx,
        envelope_seal(p->cx, ENVELOPE_PROPOSAL, &m.base, t.site[HOME].v.signing, &body));
    call->proposal = PB_DATA(body);
}

static void test_session__home_releases_what_was_vetoed(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 80");
    play_start(&p);
    while (p.round == 0 || play_proposal(&p)->kind != COHORTIUM__ROUND_KIND__VETO)
        play_round(&p);
    CHECK_EQ_("propose", play_propose(&p, NULL), FAULT_NONE);
    CHECK_EQ_("found", play_step(&p, VICTIM, release_after_all), FAULT_CONFLICT);
    CHECK_EQ_("found", play_step(&p, LIAR, release_after_all), FAULT_CONFLICT);
    CHECK_EQ_("nothing signed", vaults_count(&t, VICTIM, TABLE_ANSWERS), 0);
    forget(&p);
    play_free(&p);
}

/* Rule 7, logged before told: home's proposal of a release carries the numbers, so home's
 * decision stands in its log before anybody has it. */
static void test_session__home_logs_before_it_proposes(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 40");
    play_start(&p);
    do
        play_round(&p);
    while (play_proposal(&p)->kind != COHORTIUM__ROUND_KIND__VETO);
    CHECK_("not yet", vaults_newest(&t, p.cx, HOME, "question") == NULL);
    CHECK_EQ_("propose", play_propose(&p, NULL), FAULT_NONE);
    CHECK_("it has the numbers", play_proposal(&p)->release.len > 0);
    const struct audit_entry *e = vaults_newest(&t, p.cx, HOME, "question");
    assert_non_null(e);
    assert_string_equal(e->record->decision, "released");
    /* and what it says once it says always: proposed again, answered, one leaf. */
    uint64_t log = vaults_count(&t, HOME, TABLE_LOG);
    struct bytes first = PB_BYTES(play_proposal(&p)->release);
    CHECK_EQ_("propose again", play_propose(&p, no_vectors), FAULT_NONE);
    CHECK_("the same", bytes_equal(first, PB_BYTES(play_proposal(&p)->release)));
    memcpy(p.before, p.vector, sizeof p.before);
    for (size_t i = 0; i < VAULTS; i++)
        if (play_step(&p, VAULTS - 1 - i, NULL) != FAULT_NONE)
            fail_msg("step: %s", p.message);
    CHECK_EQ_("one leaf", vaults_count(&t, HOME, TABLE_LOG), log);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_("the same", bytes_equal(first, play_body(&p, i)));
    play_free(&p);
}

/* ---- a member that waits for the others' words and cancels them ---- */

static struct session *session_of(struct play *p, size_t site)
{
    struct vault *v = &t.site[site].v;

    for (size_t i = 0; i < SESSIONS_MAX; i++)
        if (v->sessions[i] != NULL &&
            memcmp(v->sessions[i]->request, p->digest, DIGEST_BYTES) == 0)
            return v->sessions[i];
    fail_msg("no session at site %zu", site);
    return NULL;
}

static struct tally *opened_by(struct play *p, size_t reader, size_t from)
{
    struct session *s = session_of(p, reader);
    struct envelope e;
    Cohortium__Vector *x;
    uint8_t context[2 * DIGEST_BYTES];
    struct bytes plain;
    struct tally *tally;

    CHECK_OK_("vector", p->cx, envelope_open(p->cx, ENVELOPE_VECTOR, p->vector[from], &e));
    CHECK_OK_("vector", p->cx,
              pb_unpack(p->cx, &cohortium__vector__descriptor, e.body,
                        envelope_bound(ENVELOPE_VECTOR), &x));
    memcpy(context, x->proposal.data, DIGEST_BYTES);
    memcpy(context + DIGEST_BYTES, x->transcript.data, DIGEST_BYTES);
    CHECK_OK_("unbox", p->cx,
              mask_unbox(p->cx, s->mask, from, x->round, bytes_of(context, sizeof context),
                         PB_BYTES(x->boxes[reader < from ? reader : reader - 1]), &plain));
    CHECK_OK_("tally", p->cx, tally_unpack(p->cx, plain, x->round, 1, 0, &tally));
    return tally;
}

/* The liar's vector of a round of words, made after it has read all others': their sum is
 * zero. It is home, so that its own vault goes on as it likes. */
static void cancel_words(struct play *p)
{
    struct session *s = session_of(p, HOME);
    struct envelope e;
    Cohortium__Vector *x;
    uint8_t context[2 * DIGEST_BYTES];
    ProtobufCBinaryData boxes[VAULTS - 1];
    struct bytes packed;
    uint64_t words = s->own_masked->counts[0] + opened_by(p, HOME, LIAR)->counts[0] +
                     opened_by(p, HOME, VICTIM)->counts[0];

    CHECK_("somebody objects", words != 0);
    s->own_masked->counts[0] -= words;
    CHECK_OK_("vector", p->cx, envelope_open(p->cx, ENVELOPE_VECTOR, p->vector[HOME], &e));
    CHECK_OK_("vector", p->cx,
              pb_unpack(p->cx, &cohortium__vector__descriptor, e.body,
                        envelope_bound(ENVELOPE_VECTOR), &x));
    memcpy(context, x->proposal.data, DIGEST_BYTES);
    memcpy(context + DIGEST_BYTES, x->transcript.data, DIGEST_BYTES);
    CHECK_OK_("pack", p->cx, tally_pack(p->cx, s->own_masked, x->round, &packed));
    for (size_t to = 1; to < VAULTS; to++) {
        struct bytes box;

        CHECK_OK_("box", p->cx,
                  mask_box(p->cx, s->mask, to, x->round, bytes_of(context, sizeof context),
                           packed, &box));
        boxes[to - 1] = PB_DATA(box);
    }
    x->boxes = boxes;
    CHECK_OK_("sign", p->cx,
              envelope_seal(p->cx, ENVELOPE_VECTOR, &x->base, t.site[HOME].v.signing,
                            &p->vector[HOME]));
    CHECK_OK_("vector", p->cx, envelope_open(p->cx, ENVELOPE_VECTOR, p->vector[HOME], &e));
    memcpy(s->own_vector, e.digest, DIGEST_BYTES);
}

static void test_session__a_veto_that_was_cancelled_holds_at_home(void **state)
{
    struct play p;
    enum fault fault = FAULT_NONE;
    (void)state;

    /* The victim alone objects, in the regions round. */
    vaults_policy(&t, VICTIM,
                  "class: cautious\nresponse_quantum_ms: 0\nlocal_minimum: 1000\n");
    ask(&p, "age >= 40");
    play_start(&p);
    do {
        if (play_propose(&p, NULL) != FAULT_NONE)
            fail_msg("proposal: %s", p.message);
        Cohortium__RoundKind kind = play_proposal(&p)->kind;
        for (size_t i = 0; i < VAULTS && fault == FAULT_NONE; i++)
            fault = play_step(&p, VAULTS - 1 - i, NULL);
        if (fault == FAULT_NONE &&
            (kind == COHORTIUM__ROUND_KIND__VERDICT || kind == COHORTIUM__ROUND_KIND__VETO))
            cancel_words(&p);
        p.round++;
    } while (fault == FAULT_NONE && p.answer[VICTIM] == NULL);
    CHECK_("it signs no release that it objected to",
           fault != FAULT_NONE || !play_release(&p, VICTIM)->released);
    CHECK_EQ_("found", fault, FAULT_CONFLICT);
    CHECK_EQ_("nothing in its ledger", vaults_count(&t, VICTIM, TABLE_LEDGER), 0);
    CHECK_EQ_("nothing signed", vaults_count(&t, VICTIM, TABLE_ANSWERS), 0);
    forget(&p);
    play_free(&p);
}

/* An honest run with one objector: everybody has the same NOT_RELEASED. */
static void test_session__one_site_objects_alone(void **state)
{
    struct play p;
    (void)state;

    vaults_policy(&t, VICTIM,
                  "class: cautious\nresponse_quantum_ms: 0\nlocal_minimum: 1000\n");
    ask(&p, "age >= 40");
    play_whole(&p);
    for (size_t i = 0; i < VAULTS; i++) {
        const struct audit_entry *e = vaults_newest(&t, p.cx, i, "question");

        CHECK_("not released", !play_release(&p, i)->released);
        CHECK_("the same bytes", bytes_equal(play_body(&p, 0), play_body(&p, i)));
        CHECK_("who objected knows it alone",
               (strstr(e->details, "local_minimum") != NULL) == (i == VICTIM));
    }
    check_count(TABLE_LEDGER, 0);
    check_count(TABLE_CHARGES, 0);
    play_free(&p);
}

static int testing(void **state)
{
    (void)state;
    vaults_new(&t, TESTING);
    return 0;
}

static int cautious(void **state)
{
    (void)state;
    vaults_new(&t, CAUTIOUS);
    return 0;
}

static int take_down(void **state)
{
    (void)state;
    vaults_free(&t);
    return 0;
}

#define UNDER(policy, name) cmocka_unit_test_setup_teardown(name, policy, take_down)

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
        UNDER(testing, test_session__no_more_than_there_is_room_for),
        UNDER(testing, test_session__aborted_at_work),
        UNDER(cautious, test_session__a_crash_in_the_middle),
        UNDER(cautious, test_session__one_id_for_two_requests),
        UNDER(cautious, test_session__one_vault_kept_the_answer),
        UNDER(cautious, test_session__run_anew_gives_the_same),
        UNDER(cautious, test_session__two_proposals_of_one_round),
        UNDER(testing, test_session__last_bits_are_adopted),
        UNDER(cautious, test_session__home_releases_what_was_vetoed),
        UNDER(cautious, test_session__home_logs_before_it_proposes),
        UNDER(cautious, test_session__a_veto_that_was_cancelled_holds_at_home),
        UNDER(cautious, test_session__one_site_objects_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

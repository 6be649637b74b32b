/*
 * test_review.c - an answer that an officer looks at first: held whatever it says, shown as
 * it would leave, then accepted, rounded or refused by a signed paper.
 */
#include "node/vault/review.h"
#include "protocol/base/clock.h"
#include "protocol/receipt.h"
#include "tests/node/session_case.h"

enum { COUNT_VETO = 3 /* round of a count */, NAME_DIGITS = 8 };

static const char REVIEWS[] =
    "class: cautious\nresponse_quantum_ms: 0\nreviewed_statistics: [count]\n";
static const char REVIEWS_BY_SITE[] = "class: cautious\nresponse_quantum_ms: 0\n"
                                      "by_site: yes\nreviewed_statistics: [count]\n";

static int one_looks(void **state)
{
    (void)cautious(state);
    vaults_policy(&t, VICTIM, REVIEWS);
    return 0;
}

static int one_looks_by_site(void **state)
{
    (void)by_site(state);
    permit_by_site(0);
    vaults_policy(&t, VICTIM, REVIEWS_BY_SITE);
    return 0;
}

/* ---- who asks ---- */

static void pooled(struct play *p, const char *analysis, const char *formula,
                   const char *cohort)
{
    play_ask(p, &t, analysis, formula, cohort);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight", play_preflight(p, i), FAULT_NONE);
}

/* As home's net does after a fault. */
static void end(struct play *p)
{
    play_forget(p);
    play_free(p);
}

/* Up to the word before the release, where VICTIM holds it. */
static void ask_until_held(const char *cohort)
{
    struct play p;

    pooled(&p, "count", NULL, cohort);
    play_start(&p);
    play_to(&p, COUNT_VETO);
    CHECK_EQ_("the others go on", play_step(&p, LIAR, NULL), FAULT_NONE);
    CHECK_EQ_("held", play_step(&p, VICTIM, NULL), FAULT_HELD);
    CHECK_("it says who", strstr(p.message, t.site[VICTIM].v.self->name) != NULL);
    end(&p);
}

/* Whether it is released; the body of VICTIM's answer in *ret. */
static bool answered(struct cx *cx, const char *cohort, struct bytes *ret)
{
    struct play p;

    play_ask(&p, &t, "count", NULL, cohort);
    play_whole(&p);
    struct bytes body = play_body(&p, VICTIM);
    bool released = play_release(&p, VICTIM)->released;

    *ret = bytes_of(cx_memdup(cx, body.p, body.n), body.n);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_("all alike", bytes_equal(play_body(&p, i), body));
    play_free(&p);
    return released;
}

/* ---- the officer ---- */

struct look {
    struct review_row *rows;
    size_t n;
};

static enum fault read_rows(struct cx *cx, sqlite3 *sql, void *user)
{
    struct look *l = user;

    TRY(reviews_list(cx, sql, &l->rows, &l->n));
    return l->n == 1 ? reviews_find(cx, sql, l->rows[0].question, &l->rows[0]) : FAULT_NONE;
}

/* The only one that has waited at this site. */
static struct review_row waiting(struct cx *cx, size_t site)
{
    struct look l = {0};

    CHECK_OK_("rows", cx, db_read(cx, t.site[site].v.db, read_rows, &l));
    CHECK_EQ_("one", l.n, 1);
    return l.rows[0];
}

static Cohortium__Review paper_for(size_t site, const struct review_row *row,
                                   enum review_decision decision, uint32_t multiple)
{
    Cohortium__Review r = COHORTIUM__REVIEW__INIT;

    r.consortium = PB_DATA(bytes_of(t.manifest->consortium, DIGEST_BYTES));
    r.member = t.site[site].v.self->node_id;
    r.question = PB_DATA(bytes_of(row->question, DIGEST_BYTES));
    r.release = PB_DATA(bytes_of(row->digest, DIGEST_BYTES));
    r.decision = (char *)review_decision_word(decision);
    r.multiple = multiple;
    r.reason = (char *)"for a test";
    r.issued_at = (uint64_t)clock_utc_ms();
    return r;
}

static const Cohortium__AdminReply *give(struct cx *cx, size_t site,
                                         const Cohortium__Review *r, const struct keys *keys,
                                         unsigned want)
{
    struct bytes packed;

    CHECK_OK_("seal", cx, envelope_seal(cx, ENVELOPE_REVIEW, &r->base, keys, &packed));
    return vaults_desk(&t, cx, site, "review decide", NULL, 0, &packed, want);
}

static void decide(struct cx *cx, size_t site, enum review_decision decision,
                   uint32_t multiple)
{
    struct review_row row = waiting(cx, site);
    Cohortium__Review r = paper_for(site, &row, decision, multiple);

    (void)give(cx, site, &r, t.site[site].officer, 0);
}

/* ---- pooled ---- */

static void test_review__what_is_shown_leaves(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)64 << 20, CX_NO_DEADLINE);
    struct bytes body;
    struct play p;
    (void)state;

    ask_until_held("age >= 60");
    struct review_row row = waiting(cx, VICTIM);
    const char *name = bytes_hex(cx, row.question, NAME_DIGITS / 2);
    const Cohortium__AdminReply *r =
        vaults_desk(&t, cx, VICTIM, "review show", &name, 1, NULL, 0);
    CHECK_("the question", strstr(r->text, "count lung --where 'age >= 60'") != NULL);
    CHECK_("no rounding here", strstr(r->text, "cannot be rounded") != NULL);
    CHECK_("a notice", strstr(r->notices[0], "waits for an officer") != NULL);
    const struct audit_entry *e = vaults_newest(&t, cx, VICTIM, "review");
    CHECK_("logged", e != NULL && strcmp(e->record->decision, "held") == 0);
    CHECK_EQ_("charged", vaults_count(&t, VICTIM, TABLE_CHARGES), 1);
    CHECK_EQ_("no answer", vaults_count(&t, HOME, TABLE_ANSWERS), 0);

    /* Until then it is not even run. */
    pooled(&p, "count", NULL, "age >= 60");
    CHECK_EQ_("waits", play_begin(&p, VICTIM, false), FAULT_HELD);
    end(&p);

    decide(cx, VICTIM, REVIEW_ACCEPT, 0);
    CHECK_("released", answered(cx, "age >= 60", &body));
    CHECK_("as it was shown", bytes_equal(body, row.body));
    e = vaults_newest(&t, cx, VICTIM, "review");
    CHECK_("who and why", strcmp(e->record->decision, "accepted") == 0 &&
                              strstr(e->details, "reason: for a test") != NULL &&
                              e->record->who.len == DIGEST_BYTES);
    CHECK_EQ_("charged once", vaults_count(&t, VICTIM, TABLE_CHARGES), 1);
    (void)vaults_desk(&t, cx, VICTIM, "audit verify", NULL, 0, NULL, 0);
}

static void test_review__other_analyses_do_not_wait(void **state)
{
    struct play p;
    (void)state;

    play_ask(&p, &t, "table", "~ sex", NULL);
    play_whole(&p);
    CHECK_("released", play_release(&p, VICTIM)->released);
    play_free(&p);
}

static void test_review__a_refusal_is_like_any_other(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)64 << 20, CX_NO_DEADLINE);
    struct bytes body;
    (void)state;

    ask_until_held("age >= 60");
    decide(cx, VICTIM, REVIEW_REFUSE, 0);
    CHECK_("not released", !answered(cx, "age >= 60", &body));
    CHECK_("why, here",
           strstr(vaults_newest(&t, cx, VICTIM, "question")->details, "for a test") != NULL);
    CHECK_("and nowhere else",
           strstr(vaults_newest(&t, cx, HOME, "question")->details, "for a test") == NULL);
}

/* That it waits says nothing of a row: 9 patients are too few, and it waits all the same. */
static void test_review__what_no_rule_gives_waits_too(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)64 << 20, CX_NO_DEADLINE);
    struct bytes body;
    (void)state;

    ask_until_held("age >= 80");
    CHECK_("the officer sees it",
           strstr(waiting(cx, VICTIM).details, "nothing would leave") != NULL);
    decide(cx, VICTIM, REVIEW_ACCEPT, 0);
    CHECK_("a yes gives no more than the rules", !answered(cx, "age >= 80", &body));
}

static void test_review__papers_that_are_not_taken(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)64 << 20, CX_NO_DEADLINE);
    struct review_row row, other;
    Cohortium__Review r;
    (void)state;

    ask_until_held("age >= 60");
    row = waiting(cx, VICTIM);
    r = paper_for(VICTIM, &row, REVIEW_ACCEPT, 0);
    (void)give(cx, VICTIM, &r, t.site[HOME].officer, 1);
    (void)give(cx, VICTIM, &r, t.researcher, 1);
    (void)give(cx, HOME, &r, t.site[VICTIM].officer, 1);
    r.member = t.site[HOME].v.self->node_id;
    (void)give(cx, VICTIM, &r, t.site[HOME].officer, 1);
    r = paper_for(VICTIM, &row, REVIEW_ROUND, 20);
    CHECK_("pooled", strstr(give(cx, VICTIM, &r, t.site[VICTIM].officer, 3)->text,
                            "under masks") != NULL);
    r = paper_for(VICTIM, &row, REVIEW_ACCEPT, 20);
    (void)give(cx, VICTIM, &r, t.site[VICTIM].officer, 1);
    other = row;
    other.digest[0] ^= 1;
    r = paper_for(VICTIM, &other, REVIEW_ACCEPT, 0);
    CHECK_("of what was not seen", strstr(give(cx, VICTIM, &r, t.site[VICTIM].officer, 1)->text,
                                          "another answer") != NULL);
    other = row;
    other.question[0] ^= 1;
    r = paper_for(VICTIM, &other, REVIEW_ACCEPT, 0);
    (void)give(cx, VICTIM, &r, t.site[VICTIM].officer, 1);
    CHECK_EQ_("it waits still", waiting(cx, VICTIM).state, REVIEW_WAITING);
    decide(cx, VICTIM, REVIEW_REFUSE, 0);
    r = paper_for(VICTIM, &row, REVIEW_ACCEPT, 0);
    CHECK_("once", strstr(give(cx, VICTIM, &r, t.site[VICTIM].officer, 1)->text,
                          "decided it already") != NULL);
}

/* A yes outlives the node; an answer that was not told is held by the next policy, too. */
static void test_review__is_durable(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)64 << 20, CX_NO_DEADLINE);
    struct bytes body;
    struct play p;
    (void)state;

    ask_until_held("age >= 60");
    vaults_reopen(&t, VICTIM);
    pooled(&p, "count", NULL, "age >= 60");
    CHECK_EQ_("waits", play_begin(&p, VICTIM, false), FAULT_HELD);
    end(&p);
    decide(cx, VICTIM, REVIEW_ACCEPT, 0);
    vaults_reopen(&t, VICTIM);
    CHECK_("released", answered(cx, "age >= 60", &body));
    ask_until_held("age >= 40");
}

/* ---- by site: this site makes its numbers alone ---- */

static void test_review__rounds_what_is_its_own(void **state)
{
    AUTO_CX struct cx *cx = cx_new((size_t)64 << 20, CX_NO_DEADLINE);
    struct receipt_facts facts;
    struct play p;
    (void)state;

    ask_each(&p, "count", NULL, "age >= 40");
    play_start(&p);
    play_to(&p, 0);
    CHECK_EQ_("held", play_step(&p, VICTIM, NULL), FAULT_HELD);
    end(&p);
    struct review_row row = waiting(cx, VICTIM);
    CHECK_("may be rounded", row.may_round);
    decide(cx, VICTIM, REVIEW_ROUND, 40);
    ask_each(&p, "count", NULL, "age >= 40");
    answer_each(&p);
    const Cohortium__Release *r = play_release(&p, VICTIM);
    size_t true_number = 0;
    for (size_t i = 0; i < t.site[VICTIM].n; i++)
        true_number += t.site[VICTIM].rows[i].age >= 40;
    CHECK_EQ_("to the nearest 40", value(r, "patients", 0), (true_number + 20) / 40 * 40);
    CHECK_("said so", strstr(r->result->notes[r->result->n_notes - 1], "multiples of 40"));
    CHECK_EQ_("by policy elsewhere",
              released_item(play_release(&p, HOME)->result, "patients")->step, 5);
    CHECK_OK_("receipt", p.cx, receipt_verify(p.cx, play_receipt(&p), t.genesis, &facts));
    play_free(&p);

    /* Some vault lost it: run anew, the same bytes. */
    struct play q;
    ask_each(&q, "count", NULL, "age >= 40");
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight", play_preflight(&q, i), FAULT_NONE);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("anew", play_begin(&q, i, true), FAULT_NONE);
    play_finish(&q);
    CHECK_EQ_("again", value(play_release(&q, VICTIM), "patients", 0),
              (true_number + 20) / 40 * 40);
    play_free(&q);
}

/* One site asked alone: no session, so charge and regions are written with what is held. */
static void test_review__one_site_asked_alone(void **state)
{
    static const struct {
        enum review_decision decision;
        uint32_t multiple;
        const char *cohort;
    } rows[] = {{REVIEW_ACCEPT, 0, "age >= 40"},
                {REVIEW_ROUND, 20, "age >= 60"},
                {REVIEW_REFUSE, 0, NULL}};
    AUTO_CX struct cx *cx = cx_new((size_t)64 << 20, CX_NO_DEADLINE);
    (void)state;

    vaults_policy(&t, HOME, REVIEWS_BY_SITE);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct look l = {0};
        struct play p;

        for (int again = 0; again < 2; again++) {
            Cohortium__Request *r = each_request(cx, "count", NULL, rows[i].cohort);

            r->question->n_sites = 1;
            play_new(&p, &t, vaults_seal(cx, r, t.researcher));
            CHECK_EQ_("preflight", play_preflight(&p, HOME), FAULT_NONE);
            CHECK_EQ_(rows[i].cohort != NULL ? rows[i].cohort : "everybody",
                      play_begin(&p, HOME, false), again ? FAULT_NONE : FAULT_HELD);
            CHECK_EQ_("charged", vaults_count(&t, HOME, TABLE_CHARGES), i + 1);
            if (again)
                break;
            play_free(&p);
            CHECK_OK_("rows", cx, db_read(cx, t.site[HOME].v.db, read_rows, &l));
            for (size_t k = 0; k < l.n; k++)
                if (l.rows[k].state == REVIEW_WAITING) {
                    Cohortium__Review paper = paper_for(HOME, &l.rows[k], rows[i].decision,
                                                        rows[i].multiple);
                    (void)give(cx, HOME, &paper, t.site[HOME].officer, 0);
                }
        }
        const Cohortium__Release *release = play_release(&p, HOME);
        CHECK_EQ_("released", release->released, rows[i].decision != REVIEW_REFUSE);
        if (rows[i].multiple > 0)
            CHECK_EQ_("rounded", released_item(release->result, "patients")->step,
                      rows[i].multiple);
        play_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(one_looks, test_review__what_is_shown_leaves),
        UNDER(one_looks, test_review__other_analyses_do_not_wait),
        UNDER(one_looks, test_review__a_refusal_is_like_any_other),
        UNDER(one_looks, test_review__what_no_rule_gives_waits_too),
        UNDER(one_looks, test_review__papers_that_are_not_taken),
        UNDER(one_looks, test_review__is_durable),
        UNDER(one_looks_by_site, test_review__rounds_what_is_its_own),
        UNDER(one_looks_by_site, test_review__one_site_asked_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

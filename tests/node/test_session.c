/*
 * test_session.c - one masked question over three vaults: honest to the end, or objected
 * to.
 *
 * The numbers are held against plain loops over the rows of all sites.
 */
#include <math.h>

#include "protocol/receipt.h"
#include "tests/node/session_case.h"

/* ---- the whole consortium's rows ---- */

static double sum_rows(double (*f)(const struct vault_row *))
{
    double sum = 0;

    for (size_t s = 0; s < VAULTS; s++)
        for (size_t i = 0; i < t.site[s].n; i++)
            sum += f(&t.site[s].rows[i]);
    return sum;
}

static double is_from_60(const struct vault_row *r)
{
    return r->age >= 60;
}

static double one(const struct vault_row *r)
{
    (void)r;
    return 1;
}

static double age(const struct vault_row *r)
{
    return r->age;
}

static double score(const struct vault_row *r)
{
    return r->score;
}

static double age_age(const struct vault_row *r)
{
    return r->age * r->age;
}

static double age_score(const struct vault_row *r)
{
    return r->age * r->score;
}

/* ---- small helpers ---- */

/* All bodies the same, the receipt holds, every log is whole. */
static void check_papers(struct play *p)
{
    struct receipt_facts facts;

    for (size_t i = 1; i < VAULTS; i++)
        CHECK_("the same bytes everywhere", bytes_equal(play_body(p, 0), play_body(p, i)));
    CHECK_OK_("receipt", p->cx,
              receipt_verify(p->cx, play_receipt(p), p->t->genesis, &facts));
    CHECK_("the receipt's body", bytes_equal(facts.body, play_body(p, 0)));
    for (size_t i = 0; i < VAULTS; i++)
        (void)vaults_desk(p->t, p->cx, i, "audit verify", NULL, 0, NULL, 0);
}

/* ---- honest: testing ---- */

static void another_step(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->proposal = PB_DATA(p->request);
}

static void test_session__count_is_the_pooled_number(void **state)
{
    struct play p, q;
    (void)state;

    check_count(TABLE_LEDGER, 0);
    ask(&p, "age >= 60");
    play_whole(&p);
    const Cohortium__Release *r = play_release(&p, 0);
    CHECK_("released", r->released && r->exact_for_testing);
    CHECK_EQ_("patients", value(r, "patients", 0), sum_rows(is_from_60));
    check_papers(&p);
    check_count(TABLE_LEDGER, 0); /* off in this class: DISCLOSURE.md 0.10 */
    check_count(TABLE_CHARGES, 1);
    for (size_t i = 0; i < VAULTS; i++) {
        const struct audit_entry *e = vaults_newest(&t, p.cx, i, "question");

        assert_non_null(e);
        assert_string_equal(e->record->decision, "released");
        struct bytes body = play_body(&p, i);
        CHECK_EQ_("the last answer, lost on its way, once more", play_step(&p, i, NULL),
                  FAULT_NONE);
        CHECK_("to the byte", bytes_equal(body, play_body(&p, i)));
        CHECK_EQ_("which is no further record",
                  vaults_newest(&t, p.cx, i, "question")->index, e->index);
        CHECK_EQ_("session is over", play_step(&p, i, another_step), FAULT_MISSING);
    }

    /* Asked again: the same bytes, one more leaf, nothing else. */
    ask(&q, "age >= 60");
    play_start(&q);
    for (size_t i = 0; i < VAULTS; i++) {
        assert_non_null(q.answer[i]);
        CHECK_("the same bytes", bytes_equal(play_body(&p, i), play_body(&q, i)));
        const struct audit_entry *e = vaults_newest(&t, q.cx, i, "repeat");
        assert_non_null(e);
        assert_string_equal(e->record->decision, "answered_before");
    }
    check_papers(&q);
    check_count(TABLE_CHARGES, 1);
    check_count(TABLE_ANSWERS, 1);
    play_free(&q);
    play_free(&p);
}

static void test_session__table_is_the_pooled_table(void **state)
{
    struct play p;
    double want[2][2] = {{0}};
    (void)state;

    for (size_t s = 0; s < VAULTS; s++)
        for (size_t i = 0; i < t.site[s].n; i++)
            want[(int)t.site[s].rows[i].sex][(int)t.site[s].rows[i].status]++;
    play_ask(&p, &t, "table", "sex * status", NULL);
    play_whole(&p);
    const Cohortium__Item *item = NULL;
    const Cohortium__Release *r = play_release(&p, 0);
    for (size_t i = 0; i < r->result->n_items && item == NULL; i++)
        if (r->result->items[i]->kind == COHORTIUM__ITEM_KIND__COUNTS)
            item = r->result->items[i];
    assert_non_null(item);
    CHECK_EQ_("rows", item->rows, 2);
    CHECK_EQ_("columns", item->columns, 2);
    for (size_t i = 0; i < 4; i++)
        CHECK_EQ_("cell", item->values[i], want[i / 2][i % 2]);
    check_papers(&p);
    play_free(&p);
}

static void test_session__line_is_the_pooled_line(void **state)
{
    struct play p;
    (void)state;

    play_ask(&p, &t, "lm", "score ~ age", NULL);
    play_whole(&p);
    double n = sum_rows(one), x = sum_rows(age), y = sum_rows(score);
    double slope = (sum_rows(age_score) - x * y / n) / (sum_rows(age_age) - x * x / n);
    double intercept = (y - slope * x) / n;
    const Cohortium__Release *r = play_release(&p, 0);

    /* 1e-10: the plain loops above lose four digits to cancellation. */
    CHECK_("intercept", fabs(value(r, "coef", 0) - intercept) < 1e-10 * fabs(intercept));
    CHECK_("slope", fabs(value(r, "coef", 1) - slope) < 1e-10 * fabs(slope));
    check_papers(&p);
    play_free(&p);
}

/* ---- honest: cautious ---- */

static void test_session__cautious_count_is_rounded(void **state)
{
    struct play p, q;
    (void)state;

    double base = t.site[0].v.policy->numbers.number[POLICY_ROUNDING_BASE];
    ask(&p, "age >= 60");
    play_whole(&p);
    const Cohortium__Release *r = play_release(&p, 2);
    CHECK_("released", r->released && !r->exact_for_testing);
    CHECK_("it rounds", base > 1);
    CHECK_EQ_("patients", value(r, "patients", 0),
              floor(sum_rows(is_from_60) / base + 0.5) * base);
    check_papers(&p);
    uint64_t ledger = vaults_count(&t, 0, TABLE_LEDGER);
    CHECK_("the ledger has rows", ledger > 0);
    check_count(TABLE_LEDGER, ledger);
    ask(&q, "age >= 60");
    play_start(&q);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_("the same bytes", bytes_equal(play_body(&p, i), play_body(&q, i)));
    check_papers(&q);
    check_count(TABLE_LEDGER, ledger);
    check_count(TABLE_CHARGES, 1);
    play_free(&q);
    play_free(&p);
}

/* ---- many at once: workers share the vaults, as their threads do ---- */

enum { AT_ONCE = 6, EACH = 4 };

struct worker {
    struct vaults *t;
    pthread_t thread;
    size_t number;
    double patients[EACH];
};

static void *work(void *user)
{
    struct worker *w = user;

    for (size_t i = 0; i < EACH; i++) {
        struct play p;
        char cohort[64];

        (void)snprintf(cohort, sizeof cohort, "age >= %zu", 20 + w->number * EACH + i);
        play_ask(&p, w->t, "count", NULL, cohort);
        if (i % 2 == 1) { /* begun and given up, then once more */
            play_start(&p);
            play_round(&p);
            play_forget(&p);
            p.round = 0;
        }
        play_whole(&p);
        w->patients[i] = value(play_release(&p, i % VAULTS), "patients", 0);
        play_free(&p);
    }
    return NULL;
}

static void test_session__many_at_once(void **state)
{
    struct worker w[AT_ONCE];
    (void)state;

    for (size_t i = 0; i < AT_ONCE; i++) {
        w[i] = (struct worker){.t = &t, .number = i};
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    for (size_t i = 0; i < AT_ONCE; i++)
        assert_int_equal(pthread_join(w[i].thread, NULL), 0);
    for (size_t i = 0; i < AT_ONCE; i++)
        for (size_t k = 0; k < EACH; k++) {
            double want = 0, from = 20 + (double)(i * EACH + k);

            for (size_t s = 0; s < VAULTS; s++)
                for (size_t r = 0; r < t.site[s].n; r++)
                    want += t.site[s].rows[r].age >= from;
            CHECK_EQ_("patients", w[i].patients[k], want);
        }
    check_count(TABLE_ANSWERS, AT_ONCE * EACH);
    for (size_t i = 0; i < VAULTS; i++)
        (void)vaults_desk(&t, t.cx, i, "audit verify", NULL, 0, NULL, 0);
}

/* ---- objections ---- */

static void check_not_released(const char *cohort, const char *rule, const char *words)
{
    struct play p, q;

    ask(&p, cohort);
    play_whole(&p);
    const Cohortium__Release *r = play_release(&p, 0);
    CHECK_(cohort, !r->released && r->result == NULL && r->reference.len == 8);
    check_papers(&p);
    for (size_t i = 0; i < VAULTS; i++) {
        const struct audit_entry *e = vaults_newest(&t, p.cx, i, "question");
        const char *reference = bytes_hex(p.cx, r->reference.data, r->reference.len);

        assert_non_null(e);
        assert_string_equal(e->record->decision, "not_released");
        CHECK_("the log has the reference", strstr(e->details, reference) != NULL);
        CHECK_("the log has the rule", strstr(e->details, rule) != NULL);
        const Cohortium__AdminReply *said =
            vaults_desk(&t, p.cx, i, "explain", &reference, 1, NULL, 0);
        CHECK_("the rule in words", strstr(said->text, words) != NULL);
        CHECK_("its own reason",
               strstr(said->text, "\n  reason      this site objected: ") != NULL);
        CHECK_("what was asked", strstr(said->text, "\n  question    count ") != NULL);
    }
    check_count(TABLE_LEDGER, 0);
    check_count(TABLE_CHARGES, 1); /* a price does not depend on patients */

    ask(&q, cohort);
    play_start(&q);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_("the same reference again", bytes_equal(play_body(&p, 0), play_body(&q, i)));
    play_free(&q);
    play_free(&p);
}

static void test_session__R1_nine_patients_are_not_released(void **state)
{
    (void)state;

    CHECK_EQ_("nine of 85", 3 * VAULTS_OLD, 9);
    check_not_released("age >= 80", "R1", "\nR1: too few patients\n");
}

static void test_session__R2_all_but_nine_are_not_released(void **state)
{
    (void)state;

    check_not_released("age < 80", "R2", "\nR2: too few patients outside\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_session__count_is_the_pooled_number),
        UNDER(testing, test_session__table_is_the_pooled_table),
        UNDER(testing, test_session__line_is_the_pooled_line),
        UNDER(cautious, test_session__cautious_count_is_rounded),
        UNDER(testing, test_session__many_at_once),
        UNDER(cautious, test_session__R1_nine_patients_are_not_released),
        UNDER(cautious, test_session__R2_all_but_nine_are_not_released),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

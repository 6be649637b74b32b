/*
 * test_gate_attacks.c - a researcher with a valid permit after one patient's value, over
 * three vaults: each attack ends in the same words whatever the value is, and beside it
 * stands the honest question that is answered.
 *
 * A variable that is not a quasi-identifier may be compared with any number, so whoever
 * knows scores can choose any patients by them. The attacks here do.
 */
#include <math.h>
#include <stdlib.h>

#include "tests/node/session_case.h"

enum { ALL_MAX = VAULTS * VAULT_ROWS_MAX };

/* ---- patients by their scores ---- */

struct all { /* those whose score nobody else has, by score */
    struct vault_row rows[ALL_MAX];
    size_t n;
};

static int by_score(const void *a, const void *b)
{
    double x = ((const struct vault_row *)a)->score,
           y = ((const struct vault_row *)b)->score;

    return (x > y) - (x < y);
}

static struct all everybody(void)
{
    struct all all = {0};
    size_t n = 0;

    for (size_t s = 0; s < VAULTS; s++)
        for (size_t i = 0; i < t.site[s].n; i++)
            all.rows[all.n++] = t.site[s].rows[i];
    qsort(all.rows, all.n, sizeof all.rows[0], by_score);
    for (size_t i = 0; i < all.n; i++)
        if ((i == 0 || all.rows[i - 1].score < all.rows[i].score) &&
            (i + 1 == all.n || all.rows[i].score < all.rows[i + 1].score))
            all.rows[n++] = all.rows[i];
    all.n = n;
    return all;
}

/* "score == a or score == b ...": so many with status 1 and so many with status 0. */
static const char *cohort_of(struct cx *cx, size_t ones, size_t zeros)
{
    struct buffer b = buffer_new(cx, 64 * 1024);
    struct all all = everybody();
    size_t left[2] = {zeros, ones};

    for (size_t i = 0; i < all.n; i++) {
        size_t *some = &left[all.rows[i].status == 1];

        if (*some == 0)
            continue;
        (*some)--;
        buffer_printf(&b, "%sscore == %.17g", b.n > 0 ? " or " : "", all.rows[i].score);
    }
    CHECK_EQ_("enough patients", left[0] + left[1], 0);
    const char *text = buffer_string(&b);
    assert_non_null(text);
    return text;
}

/* ---- asking ---- */

struct question {
    const char *analysis, *formula, *family, *by, *variable, *weights;
};

static const Cohortium__Release *ask_one(struct play *p, const struct question *q,
                                         const char *cohort)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    Cohortium__Params params = COHORTIUM__PARAMS__INIT;
    char *variable = (char *)q->variable;

    assert_non_null(cx);
    Cohortium__Request *r = vaults_request(&t, cx, q->analysis, q->formula, cohort);
    if (q->variable != NULL) {
        params.variables = &variable;
        params.n_variables = 1;
        params.by = (char *)q->by;
        r->question->params = &params;
    }
    if (q->family != NULL)
        r->question->params->model->family = (char *)q->family;
    if (q->weights != NULL)
        r->question->params->model->weights = (char *)q->weights;
    play_new(p, &t, vaults_seal(cx, r, t.researcher));
    play_whole(p);
    return play_release(p, 0);
}

/* Whether it is released; the log of every site gives this reason, where there is one. */
static bool is_released(const struct question *q, const char *cohort, const char *reason)
{
    struct play p;
    const Cohortium__Release *r = ask_one(&p, q, cohort);
    bool released = r->released;

    for (size_t i = 0; i < VAULTS && !released; i++) {
        const struct audit_entry *e = vaults_newest(&t, p.cx, i, "question");

        assert_non_null(e);
        if (reason == NULL || strstr(e->details, reason) == NULL)
            fail_msg("site %zu gives the reason: %s", i, e->details);
    }
    play_free(&p);
    return released;
}

/* ---- A18, R11: somebody or nobody ---- */

static void test_gate_attacks__nobody_in_a_cell_is_like_somebody(void **state)
{
    const struct all all = everybody();
    double most = all.rows[all.n - 1].score;
    static const struct {
        const char *what;
        double beyond;
        bool want;
    } rows[] = {
        {"nobody is above", 0.0001, false},
        {"one patient is", -0.0001, false},
        {"half of them are", -4, true},
    };
    (void)state;

    /* Bisection over the cut would find the largest score to any digit. */
    for (size_t i = 0; i < COUNT(rows); i++) {
        char formula[64];
        const struct question q = {.analysis = "lm", .formula = formula};

        (void)snprintf(formula, sizeof formula, "age ~ I(score > %.17g)",
                       most + rows[i].beyond);
        CHECK_EQ_(rows[i].what, is_released(&q, NULL, "R"), rows[i].want);
    }
}

static void test_gate_attacks__R4_says_nothing_of_a_withheld_group(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    static const struct question q = {
        .analysis = "describe", .variable = "age", .by = "status"};
    (void)state;

    for (size_t ones = 0; ones < 4; ones++) {
        struct play p;
        const Cohortium__Release *r = ask_one(&p, &q, cohort_of(cx, ones, 40));

        CHECK_("released, with one, two or no patients of status 1", r->released);
        for (size_t g = 0; g < 2; g++) {
            int n;

            (void)released_value(released_item(r->result, "n"), g, &n);
            CHECK_EQ_("n of either group would tell the other (R25)", n, 1);
        }
        int given, withheld;
        (void)released_value(released_item(r->result, "mean"), 0, &given);
        (void)released_value(released_item(r->result, "mean"), 1, &withheld);
        CHECK_EQ_("the mean of forty", given, 0);
        CHECK_EQ_("the mean of a few", withheld, 1);
        play_free(&p);
    }
}

/* ---- R1: few cases in a model ---- */

static void test_gate_attacks__R1_few_cases_do_not_show_as_a_rate(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    static const struct question q = {
        .analysis = "glm", .formula = "status ~ 1", .family = "binomial"};
    (void)state;

    CHECK_EQ_("nine cases of a hundred", is_released(&q, cohort_of(cx, 9, 91), "R1"),
              false);
    CHECK_EQ_("ten", is_released(&q, cohort_of(cx, 10, 90), NULL), true);
    CHECK_EQ_("nobody else but nine", is_released(&q, cohort_of(cx, 60, 9), "R1"), false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(cautious, test_gate_attacks__nobody_in_a_cell_is_like_somebody),
        UNDER(cautious, test_gate_attacks__R4_says_nothing_of_a_withheld_group),
        UNDER(cautious, test_gate_attacks__R1_few_cases_do_not_show_as_a_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

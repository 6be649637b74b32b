/*
 * test_noised.c - the forms that are asked under noise, with no noise added: R's numbers.
 *
 * Coefficients of lm solve the same equations by plain doubles; those of glm have made a
 * first step and three more, so they are near R's but not there.
 */
#include <math.h>

#include "analyses/noised.h"
#include "tests/analyses/models.h"
#include "tests/check.h"

/* Runs the noised form; its result as exact as it is. */
static struct result *noised_result(struct cx *cx, const struct naive *data,
                                    const char *analysis, const struct model_case *k,
                                    struct asked *asked, unsigned want_rounds)
{
    struct complaints c = complaints_new(cx);
    const struct analysis *a = model_open(cx, data, analysis, k, false, asked);
    struct plan plan = {0};
    struct result *r;
    unsigned rounds;

    assert_non_null(a->noised);
    CHECK_OK_(k->id, cx, a->noised->check(cx, asked, &c, &plan));
    if (c.n > 0)
        fail_msg("%s: %s", k->id, c.list[0]->text);
    CHECK_OK_(k->id, cx, naive_run(cx, a->noised, asked, data, 3, &r, &rounds));
    CHECK_EQ_("rounds", rounds, want_rounds);
    CHECK_EQ_("rounds of the plan", plan.rounds_max, want_rounds);
    return r;
}

static const double *numbers(const struct result *r, const char *name)
{
    for (size_t i = 0; i < r->n_items; i++)
        if (strcmp(r->items[i].name, name) == 0)
            return r->items[i].values;
    fail_msg("no item %s", name);
    return NULL;
}

static void compare(const struct model_case *k, const char *analysis, unsigned rounds,
                    double tolerance, double of_errors)
{
    struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    struct naive data;
    struct asked asked;

    CHECK_OK_(k->id, cx, naive_open(cx, k->data, "", &data));
    struct result *r = noised_result(cx, &data, analysis, k, &asked, rounds);
    const json_t *want = json_object_get(naive_expected(k->data, k->id), "result");
    if (want == NULL)
        want = naive_expected(k->data, k->id);
    const json_t *coef = json_object_get(want, "coef"), *se = json_object_get(want, "se");

    assert_true(json_array_size(coef) > 0);
    if (r->trouble != NULL)
        fail_msg("%s: %s", k->id, r->trouble);
    for (size_t i = 0; i < json_array_size(coef); i++) {
        double b = json_number_value(json_array_get(coef, i));
        double e = json_number_value(json_array_get(se, i));

        if (fabs(numbers(r, "coef")[i] - b) > tolerance * e)
            fail_msg("%s: coefficient %zu is %.15g, R's %.15g", k->id, i,
                     numbers(r, "coef")[i], b);
        if (fabs(numbers(r, "se")[i] / e - 1) > of_errors)
            fail_msg("%s: error %zu is %.15g, R's %.15g", k->id, i, numbers(r, "se")[i], e);
        CHECK_("no noise, no error of it", numbers(r, "se_noise")[i] == 0);
    }
    CHECK_("n", numbers(r, "n")[0] ==
                    json_number_value(json_is_array(json_object_get(want, "n"))
                                          ? json_array_get(json_object_get(want, "n"), 0)
                                          : json_object_get(want, "n")));
    cx_free(&cx);
}

static void test_noised__lm_is_R_without_noise(void **state)
{
    static const struct model_case cases[] = {
        {"lung", "lm:wt_loss ~ age + sex + ph_karno", "wt_loss ~ age + sex + ph_karno"},
        {"lung", "lm:meal_cal ~ sex * age", "meal_cal ~ sex * age"},
        {"birthwt", "lm:bwt ~ race * smoke", "bwt ~ race * smoke"},
        {"birthwt", "lm:bwt ~ lwt + I(lwt^2)", "bwt ~ lwt + I(lwt^2)"},
        {"birthwt", "lm:bwt ~ 1", "bwt ~ 1"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        compare(&cases[i], "lm", 1, 1e-7, 1e-7);
}

static void test_noised__glm_is_near_R_without_noise(void **state)
{
    static const struct model_case cases[] = {
        {"lung", "glm:binomial(logit):status ~ age + sex + ph_ecog",
         "status ~ age + sex + ph_ecog", NULL, NULL, "binomial", "logit"},
        {"birthwt", "glm:binomial(logit):low ~ lwt + I(lwt^2)", "low ~ lwt + I(lwt^2)",
         NULL, NULL, "binomial", ""},
        {"birthwt", "glm:poisson(log):low ~ smoke + lwt", "low ~ smoke + lwt", NULL, NULL,
         "poisson", ""},
        {"birthwt", "glm:poisson(log):ftv ~ age + race + smoke", "ftv ~ age + race + smoke",
         NULL, NULL, "poisson", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        compare(&cases[i], "glm", 4, 0.02, 0.02);
}

/* ---- counts, tables and means ---- */

static struct result *plain(struct cx *cx, const struct naive *data, const char *analysis,
                            const char *const *variables, size_t n, const char *by,
                            struct asked *asked)
{
    struct complaints c = complaints_new(cx);
    const struct analysis *a;
    Cohortium__Question *q;
    struct plan plan;
    struct regions regions;
    struct result *r;

    CHECK_OK_(analysis, cx, naive_question(cx, data->cb, analysis, &q));
    q->params->variables = (char **)variables;
    q->params->n_variables = n;
    q->params->by = (char *)by;
    CHECK_OK_(analysis, cx,
              question_open(cx, data->cb, q, false, NAIVE_ROWS_LOG2, &c, asked, &plan,
                            &regions, &a));
    if (a == NULL)
        fail_msg("%s: %s", analysis, c.list[0]->text);
    CHECK_OK_(analysis, cx, a->noised->check(cx, asked, &c, &plan));
    CHECK_OK_(analysis, cx, naive_run(cx, a->noised, asked, data, 3, &r, NULL));
    return r;
}

static void test_noised__counts_and_means_without_noise(void **state)
{
    static const char *const table[] = {"sex", "status"}, *const age[] = {"age", "sex"};
    struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    struct naive data;
    struct asked asked;
    double sum = 0, squares = 0, n = 0, cells[4] = {0};

    (void)state;
    CHECK_OK_("lung", cx, naive_open(cx, "lung", "", &data));
    size_t width = data.cb->body->n_variables;
    int a = codebook_find(data.cb, "age"), s = codebook_find(data.cb, "sex"),
        d = codebook_find(data.cb, "status");

    for (size_t i = 0; i < data.n_rows; i++) {
        const double *row = data.values + i * width;
        const bool *valid = data.valid + i * width;

        if (valid[a]) {
            n++;
            sum += row[a];
            squares += row[a] * row[a];
        }
        if (valid[s] && valid[d])
            cells[(size_t)row[s] * 2 + (size_t)row[d]]++;
    }
    struct result *r = plain(cx, &data, "count", NULL, 0, "", &asked);
    CHECK_("count", numbers(r, "patients")[0] == (double)data.n_patients);
    CHECK_("of no noise", numbers(r, "noise_sd")[0] == 0);
    r = plain(cx, &data, "table", table, 2, "", &asked);
    for (size_t i = 0; i < COUNT(cells); i++)
        CHECK_("cell", numbers(r, "counts")[i] == cells[i]);
    r = plain(cx, &data, "describe", age, 2, "", &asked);
    double mean = sum / n, sd = sqrt((squares - n * mean * mean) / (n - 1));
    CHECK_("n", numbers(r, "n")[0] == n);
    CHECK_("mean", fabs(numbers(r, "mean")[0] / mean - 1) < 1e-12);
    CHECK_("sd", fabs(numbers(r, "sd")[0] / sd - 1) < 1e-10);
    CHECK_("se", fabs(numbers(r, "se")[0] / (sd / sqrt(n)) - 1) < 1e-10);
    CHECK_("levels", numbers(r, "counts:sex")[0] + numbers(r, "counts:sex")[1] ==
                         (double)data.n_patients);
    cx_free(&cx);
}

/* ---- what has no bounded form ---- */

static void test_noised__says_what_it_cannot(void **state)
{
    static const struct {
        const char *analysis;
        struct model_case k;
        const char *says;
    } rows[] = {
        {"lm", {"birthwt", "weights", "bwt ~ age", NULL, "lwt"}, "leave --weights out"},
        {"lm", {"birthwt", "no intercept", "bwt ~ 0 + age"}, "leave `- 1` out"},
        {"glm",
         {"birthwt", "gamma", "bwt ~ age", NULL, NULL, "Gamma", "log"},
         "binomial with logit, and poisson"},
        {"glm",
         {"birthwt", "quasi", "low ~ age", NULL, NULL, "quasibinomial", ""},
         "binomial with logit, and poisson"},
        {"glm",
         {"birthwt", "probit", "low ~ age", NULL, NULL, "binomial", "probit"},
         "binomial with logit, and poisson"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
        struct complaints c = complaints_new(cx);
        struct plan plan = {0};
        struct naive data;
        struct asked asked;
        bool said = false;

        CHECK_OK_(rows[i].k.id, cx, naive_open(cx, rows[i].k.data, "", &data));
        const struct analysis *a =
            model_open(cx, &data, rows[i].analysis, &rows[i].k, false, &asked);
        CHECK_OK_(rows[i].k.id, cx, a->noised->check(cx, &asked, &c, &plan));
        for (size_t k = 0; k < c.n; k++)
            said = said || strstr(c.list[k]->text, rows[i].says) != NULL;
        CHECK_(rows[i].k.id, said);
        cx_free(&cx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noised__lm_is_R_without_noise),
        cmocka_unit_test(test_noised__glm_is_near_R_without_noise),
        cmocka_unit_test(test_noised__counts_and_means_without_noise),
        cmocka_unit_test(test_noised__says_what_it_cannot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

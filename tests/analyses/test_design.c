/* What design promises: R's names and coding, and the closed language of production. */
#include <math.h>

#include "analyses/design.h"

#include "analyses/formula.h"
#include "tests/analyses/models.h"
#include "tests/check.h"

/* Columns as R's model.matrix(~ ..., data) prints them, joined by a blank. */
static void test_design__columns_are_those_of_R(void **state)
{
    static const struct {
        const char *formula, *want;
    } rows[] = {
        {"bwt ~ age + race", "(Intercept) age raceblack raceother"},
        {"bwt ~ 0 + race + age", "racewhite raceblack raceother age"},
        {"bwt ~ race * smoke",
         "(Intercept) raceblack raceother smoke raceblack:smoke raceother:smoke"},
        {"bwt ~ race:smoke", "(Intercept) racewhite:smoke raceblack:smoke raceother:smoke"},
        {"bwt ~ race + race:factor(smoke)",
         "(Intercept) raceblack raceother racewhite:factor(smoke)1 "
         "raceblack:factor(smoke)1 "
         "raceother:factor(smoke)1"},
        {"bwt ~ factor(smoke) * race",
         "(Intercept) factor(smoke)1 raceblack raceother factor(smoke)1:raceblack "
         "factor(smoke)1:raceother"},
        {"bwt ~ I(age^2) + log(lwt)", "(Intercept) I(age^2) log(lwt)"},
        {"bwt ~ I(age >= 30)", "(Intercept) I(age >= 30)TRUE"},
        {"bwt ~ 0 + I(age >= 30)", "I(age >= 30)FALSE I(age >= 30)TRUE"},
        {"bwt ~ 0 + age", "age"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
        struct model_case k = {"birthwt", "", rows[i].formula};
        struct buffer got = buffer_new(cx, 4096);
        struct naive data;
        struct asked asked;

        CHECK_OK_("open", cx, naive_open(cx, "birthwt", "", &data));
        (void)model_open(cx, &data, "lm", &k, true, &asked);
        const struct design *d = asked.parsed;
        for (size_t c = 0; c < d->n_columns; c++)
            buffer_printf(&got, "%s%s", c ? " " : "", d->columns[c].name);
        assert_string_equal(buffer_string(&got), rows[i].want);
        cx_free(&cx);
    }
}

/* Which cells of patients a model rests on. */
static void test_design__plan_names_the_cells(void **state)
{
    static const struct {
        const char *formula;
        size_t cells;
        uint64_t widest;
    } rows[] = {
        {"bwt ~ age", 1, 0},          {"bwt ~ smoke", 3, 2},
        {"bwt ~ race + smoke", 6, 3}, {"bwt ~ race * smoke", 12, 3},
        {"bwt ~ race * age", 4, 3},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
        struct complaints c = complaints_new(cx);
        Cohortium__Question *q;
        struct naive data;
        struct asked asked;
        struct plan plan;
        struct regions regions;
        const struct analysis *a;

        CHECK_OK_("open", cx, naive_open(cx, "birthwt", "age=q", &data));
        CHECK_OK_("question", cx, naive_question(cx, data.cb, "lm", &q));
        CHECK_OK_("formula", cx,
                  formula_parse(cx, data.cb, rows[i].formula, &q->params->model));
        CHECK_OK_("open", cx,
                  question_open(cx, data.cb, q, true, 20, &c, &asked, &plan, &regions, &a));
        CHECK_EQ_(rows[i].formula, plan.n_cells, rows[i].cells);
        CHECK_EQ_(rows[i].formula, plan.widest_levels, rows[i].widest);
        CHECK_EQ_(rows[i].formula, plan.n_quasi_columns,
                  strstr(rows[i].formula, "age") != NULL ? 1 : 0);
        cx_free(&cx);
    }
}

static void test_design__production_is_a_closed_language(void **state)
{
    static const struct {
        const char *formula;
        bool passes;
    } rows[] = {
        {"bwt ~ age + race", true},    {"log(bwt) ~ age", true},
        {"bwt ~ I(age^2)", true},      {"bwt ~ log(lwt) + sqrt(age)", true},
        {"I(bwt - 2500) ~ 1", false},  {"bwt ~ I(2*age)", false},
        {"bwt ~ I(age^6)", false},     {"bwt ~ I(age*lwt)", false},
        {"bwt ~ exp(age)", false},     {"log(bwt + 2) ~ age", false},
        {"bwt ~ I(age >= 30)", false}, /* a quasi-identifier off its grid */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
        struct complaints c = complaints_new(cx);
        Cohortium__Question *q;
        struct naive data;
        struct asked asked;
        struct plan plan;
        struct regions regions;
        const struct analysis *a;

        CHECK_OK_("open", cx, naive_open(cx, "birthwt", "age=q", &data));
        CHECK_OK_("question", cx, naive_question(cx, data.cb, "lm", &q));
        if (formula_parse(cx, data.cb, rows[i].formula, &q->params->model) != FAULT_NONE) {
            CHECK_(rows[i].formula, !rows[i].passes);
            cx_free(&cx);
            continue;
        }
        CHECK_OK_(
            "open", cx,
            question_open(cx, data.cb, q, false, 20, &c, &asked, &plan, &regions, &a));
        if ((a != NULL) != rows[i].passes)
            fail_msg("%s: %s", rows[i].formula, c.n > 0 ? c.list[0]->text : "passed");
        cx_free(&cx);
    }
}

/* Where bounds are so wide that squares about their middle say nothing of the spread, the
 * opening still finds a centre near the mean and a scale near the values. */
static void test_design__opening_sees_through_wide_bounds(void **state)
{
    static const struct {
        const char *what;
        struct model_bounds bounds;
    } rows[] = {
        {"twice", {0, 2}}, {"10^9 times", {0, 1e9}}, {"10^9 times, skew", {1e9, 3e8}}};
    static const struct model_case k = {"nist", "", "y ~ x"};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
        double values[21][2];
        struct naive data;
        struct asked asked;
        struct state *s;
        struct measure *m;
        struct tally *pooled;

        for (size_t j = 0; j < COUNT(values); j++)
            values[j][0] = values[j][1] = (double)j;
        model_table(cx, &values[0][0], COUNT(values), 2, rows[i].bounds, &data);
        const struct analysis *a = model_open(cx, &data, "lm", &k, true, &asked);
        CHECK_OK_("begin", cx, a->begin(cx, &asked, &s));
        CHECK_OK_("ask", cx, a->ask(cx, &asked, s, &m));
        CHECK_OK_("tally", cx, naive_tally(cx, m, &data, 0, 1, &pooled));
        CHECK_OK_("learn", cx, a->learn(cx, &asked, s, m, pooled, &s));
        assert_int_equal(s->n_input, 6); /* centre and scale of 1, x and y */
        for (size_t c = 1; c < 3; c++) {
            CHECK_(rows[i].what, fabs(s->input[2 * c] - 10) < 0.5);
            CHECK_(rows[i].what, s->input[2 * c + 1] >= 4 && s->input[2 * c + 1] <= 64);
        }
        cx_free(&cx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_design__columns_are_those_of_R),
        cmocka_unit_test(test_design__plan_names_the_cells),
        cmocka_unit_test(test_design__production_is_a_closed_language),
        cmocka_unit_test(test_design__opening_sees_through_wide_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What describe promises: R's moments and counts, bit-identical for any split. */
#include <math.h>

#include "tests/analyses/naive.h"
#include "tests/check.h"

static struct report *ask(struct cx *cx, const char *name, const char *const *variables,
                          size_t n, const char *by, size_t sites)
{
    Cohortium__Question *q;
    struct naive data;

    CHECK_OK_("open", cx, naive_open(cx, name, "", &data));
    CHECK_OK_("question", cx, naive_question(cx, data.cb, "describe", &q));
    q->params->n_variables = n;
    q->params->variables = (char **)variables;
    q->params->by = (char *)by;
    return naive_report(cx, &data, q, sites);
}

static const char *const lung[] = {"time",    "status",   "age",       "sex",
                                   "ph_ecog", "ph_karno", "pat_karno", "meal_cal",
                                   "wt_loss", "inst"};
static const char *const birthwt[] = {"low", "age", "lwt", "race", "smoke",
                                      "ptl", "ht",  "ui",  "ftv",  "bwt"};

static void check_numeric(const char *id, const struct report *r, size_t i,
                          const json_t *want)
{
    static const char *const fields[] = {"mean", "var", "sd", "sem", "sum", "sum_sq"};

    for (size_t k = 0; k < COUNT(fields); k++)
        naive_check(id, r, fields[k], i, json_object_get(want, fields[k]), 1e-12);
    for (size_t k = 0; k < 2; k++)
        naive_check(id, r, "mean_ci95", 2 * i + k,
                    json_array_get(json_object_get(want, "mean_ci95"), k), 1e-12);
}

static void check_levels(struct cx *cx, const char *name, const struct report *r,
                         const json_t *want)
{
    const Cohortium__Item *levels = naive_item(r, cx_printf(cx, "levels:%s", name));
    const json_t *names = json_object_get(want, "levels");

    assert_non_null(levels);
    CHECK_EQ_(name, levels->n_words, json_array_size(names));
    for (size_t i = 0; i < levels->n_words; i++) {
        assert_string_equal(levels->words[i], json_string_value(json_array_get(names, i)));
        naive_check(name, r, cx_printf(cx, "counts:%s", name), i,
                    json_array_get(json_object_get(want, "counts"), i), 0);
        naive_check(name, r, cx_printf(cx, "row_counts:%s", name), i,
                    json_array_get(json_object_get(want, "counts"), i), 0);
        naive_check(name, r, cx_printf(cx, "proportions:%s", name), i,
                    json_array_get(json_object_get(want, "proportions"), i), 1e-12);
    }
}

static void check_all(const char *data, const char *const *variables, size_t n,
                      size_t sites)
{
    AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    struct report *r = ask(cx, data, variables, n, "", sites);

    for (size_t i = 0; i < n; i++) {
        const char *id = cx_printf(cx, "describe:%s", variables[i]);
        const json_t *want = naive_expected(data, id);

        naive_check(id, r, "n", i, json_object_get(want, "n"), 0);
        naive_check(id, r, "missing", i, json_object_get(want, "missing"), 0);
        if (json_object_get(want, "mean") != NULL)
            check_numeric(id, r, i, want);
        else
            check_levels(cx, variables[i], r, want);
    }
}

static void test_describe__equals_R(void **state)
{
    (void)state;
    check_all("lung", lung, COUNT(lung), 1);
    check_all("lung", lung, COUNT(lung), 7);
    check_all("birthwt", birthwt, COUNT(birthwt), 1);
    check_all("birthwt", birthwt, COUNT(birthwt), 5);
}

static void test_describe__by_group_equals_R(void **state)
{
    static const struct {
        const char *data, *variable, *by, *id;
    } rows[] = {
        {"lung", "age", "sex", "bygroup:age~sex"},
        {"lung", "wt_loss", "ph_ecog", "bygroup:wt_loss~ph_ecog"},
        {"birthwt", "bwt", "race", "bygroup:bwt~race"},
        {"birthwt", "bwt", "smoke", "bygroup:bwt~smoke"},
    };
    static const char *const fields[] = {"n", "mean", "var"};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
        const char *variable = rows[i].variable;
        struct report *r = ask(cx, rows[i].data, &variable, 1, rows[i].by, 3);
        const json_t *want = naive_expected(rows[i].data, rows[i].id);
        const json_t *groups = json_object_get(want, "groups");

        for (size_t g = 0; g < json_array_size(groups); g++) {
            assert_string_equal(naive_item(r, "groups")->words[g],
                                json_string_value(json_array_get(groups, g)));
            for (size_t k = 0; k < COUNT(fields); k++)
                naive_check(rows[i].id, r, fields[k], g,
                            json_array_get(json_object_get(want, fields[k]), g),
                            k == 0 ? 0 : 1e-12);
        }
    }
}

static void test_describe__splits_are_bit_identical(void **state)
{
    static const size_t sites[] = {2, 3, 5, 19, 228, 300};
    AUTO_CX struct cx *cx = cx_new(1 << 30, CX_NO_DEADLINE);
    struct report *pooled = ask(cx, "lung", lung, COUNT(lung) - 2, "inst", 1);

    (void)state;
    for (size_t i = 0; i < COUNT(sites); i++) {
        struct report *split = ask(cx, "lung", lung, COUNT(lung) - 2, "inst", sites[i]);

        CHECK_EQ_("items", split->n_items, pooled->n_items);
        for (size_t k = 0; k < pooled->n_items; k++) {
            const Cohortium__Item *a = pooled->items[k], *b = split->items[k];

            CHECK_EQ_(a->name, b->n_values, a->n_values);
            if (a->n_values == 0) /* words */
                continue;
            CHECK_EQ_(a->name,
                      memcmp(a->values, b->values, a->n_values * sizeof *a->values), 0);
            CHECK_EQ_(a->name, memcmp(a->state.data, b->state.data, a->state.len), 0);
        }
    }
}

/* Far from zero with a small spread (as NIST NumAcc4): digits must not cancel. */
static void test_describe__keeps_digits_far_from_zero(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    Cohortium__Question *q;
    const char *variable = "bwt";
    struct naive data;

    (void)state;
    CHECK_OK_("open", cx, naive_open(cx, "birthwt", "", &data));
    size_t columns = data.cb->body->n_variables;
    int bwt = codebook_find(data.cb, variable);
    data.cb->body->variables[bwt]->type = COHORTIUM__VAR_TYPE__REAL;
    data.cb->body->variables[bwt]->lower = 0;
    data.cb->body->variables[bwt]->upper = 1e8;
    /* 189 rows: one of 10000000.2, then 94 times .1 and .3: variance 0.01 (188 / 188). */
    for (size_t i = 0; i < data.n_rows; i++)
        data.values[i * columns + (size_t)bwt] = i == 0  ? 10000000.2
                                                 : i % 2 ? 10000000.1
                                                         : 10000000.3;
    CHECK_OK_("question", cx, naive_question(cx, data.cb, "describe", &q));
    q->params->n_variables = 1;
    q->params->variables = (char **)&variable;
    struct report *r = naive_report(cx, &data, q, 3);
    int given;
    double sd = released_value(naive_item(r, "sd"), 0, &given);
    double mean = released_value(naive_item(r, "mean"), 0, &given);
    /* The rows themselves are off by up to 1e-9 (a double's place at 1e7). */
    CHECK_("sd", fabs(sd - 0.1) < 2e-9);
    CHECK_("mean", fabs(mean - 10000000.2) < 2e-9);
}

/* Bounds a thousand million times as wide as the values: the digits of the spread that are
 * left are said, and where they are too few there is none. */
static void test_describe__few_digits_are_said(void **state)
{
    static const struct {
        const char *what;
        double reach, right;
        bool by, testing;
        const char *note;
        bool defined;
    } rows[] = {
        {"10^6", 1e6, 1e-9, false, true, NULL, true},
        {"10^8", 1e8, 1e-6, false, true, NULL, true},
        {"5 10^9", 5e9, 1e-5, false, true, "about 5 significant digits", true},
        {"5 10^9, production", 5e9, 1e-5, false, false, "about 5 significant digits", true},
        {"10^11", 1e11, 0, false, true, "it is left out", false},
        {"10^11, groups", 1e11, 0, true, true, "it is left out", false},
        {"10^11, groups may be small", 1e11, 0, true, false, NULL, false},
    };

    (void)state;
    for (size_t k = 0; k < COUNT(rows); k++) {
        AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
        struct complaints c = complaints_new(cx);
        const struct analysis *analysis;
        const char *variable = "bwt", *what = rows[k].what;
        struct asked asked;
        struct plan plan;
        struct regions regions;
        struct result *result;
        struct naive data;
        Cohortium__Question *q;

        CHECK_OK_("open", cx, naive_open(cx, "birthwt", "", &data));
        size_t columns = data.cb->body->n_variables;
        int bwt = codebook_find(data.cb, variable);
        data.cb->body->variables[bwt]->type = COHORTIUM__VAR_TYPE__REAL;
        data.cb->body->variables[bwt]->lower = -rows[k].reach;
        data.cb->body->variables[bwt]->upper = rows[k].reach;
        for (size_t i = 0; i < data.n_rows; i++)
            data.values[i * columns + (size_t)bwt] = i == 0 ? 5.5 : i % 2 ? 5.25 : 5.75;
        CHECK_OK_("question", cx, naive_question(cx, data.cb, "describe", &q));
        q->params->n_variables = 1;
        q->params->variables = (char **)&variable;
        q->params->by = (char *)(rows[k].by ? "smoke" : "");
        CHECK_OK_(what, cx,
                  question_open(cx, data.cb, q, rows[k].testing, NAIVE_ROWS_LOG2, &c,
                                &asked, &plan, &regions, &analysis));
        CHECK_OK_(what, cx, naive_run(cx, analysis, &asked, &data, 3, &result, NULL));
        bool said = false;
        for (size_t i = 0; i < result->n_notes; i++)
            said |=
                strstr(result->notes[i], rows[k].note ? rows[k].note : "digits") != NULL;
        CHECK_(what, said == (rows[k].note != NULL));
        for (size_t i = 0; i < result->n_items; i++) {
            if (strcmp(result->items[i].name, "sd") != 0)
                continue;
            CHECK_(what, isfinite(result->items[i].values[0]) == rows[k].defined);
            CHECK_(what, !rows[k].defined ||
                             fabs(result->items[i].values[0] / 0.25 - 1) <= rows[k].right);
        }
    }
}

static uint64_t support(const struct result *r, const char *name, size_t i)
{
    for (size_t k = 0; k < r->n_items; k++)
        if (strcmp(r->items[k].name, name) == 0)
            return r->items[k].support[i];
    fail_msg("no item %s", name);
    return 0;
}

/* R1, R25: in production n is released beside a variable's levels. One small level takes
 * the next smallest with it, and a binary variable's mean is judged by its smaller side. */
static void test_describe__R1_R25_who_stands_behind(void **state)
{
    static const struct {
        const char *what, *item;
        size_t i;
        uint64_t production, testing;
    } rows[] = {
        {"mean of ht: 177 without, 12 with", "mean", 0, 12, 189},
        {"mean of bwt: everybody", "mean", 1, 189, 189},
        {"white, 96: the largest of three", "counts:race", 0, 93, 96},
        {"black, 26: the smallest", "counts:race", 1, 26, 26},
        {"other, 67: goes with the smallest", "counts:race", 2, 26, 67},
        {"rows like patients", "row_counts:race", 2, 26, 67},
        {"ht 0: goes with ht 1", "counts:ht", 0, 12, 177},
        {"ht 1", "counts:ht", 1, 12, 12},
    };
    static const char *const variables[] = {"ht", "bwt", "race"};

    (void)state;
    for (int testing = 0; testing <= 1; testing++) {
        AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
        struct complaints c = complaints_new(cx);
        const struct analysis *analysis;
        Cohortium__Question *q;
        struct naive data;
        struct asked asked;
        struct plan plan;
        struct regions regions;
        struct result *result;

        CHECK_OK_("open", cx, naive_open(cx, "birthwt", "", &data));
        CHECK_OK_("question", cx, naive_question(cx, data.cb, "describe", &q));
        q->params->n_variables = COUNT(variables);
        q->params->variables = (char **)variables;
        CHECK_OK_("open", cx,
                  question_open(cx, data.cb, q, testing == 1, 20, &c, &asked, &plan,
                                &regions, &analysis));
        assert_non_null(analysis);
        CHECK_OK_("run", cx, naive_run(cx, analysis, &asked, &data, 2, &result, NULL));
        for (size_t i = 0; i < COUNT(rows); i++)
            CHECK_EQ_(rows[i].what, support(result, rows[i].item, rows[i].i),
                      testing ? rows[i].testing : rows[i].production);
        for (size_t i = 0; i < result->n_items; i++)
            CHECK_("no extremes", strcmp(result->items[i].name, "min") != 0 &&
                                      strcmp(result->items[i].name, "max") != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describe__equals_R),
        cmocka_unit_test(test_describe__by_group_equals_R),
        cmocka_unit_test(test_describe__splits_are_bit_identical),
        cmocka_unit_test(test_describe__keeps_digits_far_from_zero),
        cmocka_unit_test(test_describe__few_digits_are_said),
        cmocka_unit_test(test_describe__R1_R25_who_stands_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What lm promises: R's numbers, the same bits for any split, and honest refusals. */
#include <math.h>

#include "tests/analyses/models.h"
#include "tests/check.h"

static const struct model_case cases[] = {
    {"lung", "lm:wt_loss ~ age + sex + ph_karno", "wt_loss ~ age + sex + ph_karno"},
    {"lung", "lm:meal_cal ~ sex * age", "meal_cal ~ sex * age"},
    {"lung", "lm:log(meal_cal) ~ age + I(age^2) + sex",
     "log(meal_cal) ~ age + I(age^2) + sex"},
    {"lung", "lm:wt_loss ~ factor(ph_ecog) + age", "wt_loss ~ factor(ph_ecog) + age",
     "is not missing(inst)"},
    {"birthwt", "lm:bwt ~ age + lwt + race + smoke + ptl + ht + ui",
     "bwt ~ age + lwt + race + smoke + ptl + ht + ui"},
    {"birthwt", "lm:bwt ~ race * smoke", "bwt ~ race * smoke"},
    {"birthwt", "lm:bwt ~ lwt + I(lwt^2)", "bwt ~ lwt + I(lwt^2)"},
    {"birthwt", "lm:log(bwt) ~ log(lwt) + smoke", "log(bwt) ~ log(lwt) + smoke"},
    {"birthwt", "lm:bwt ~ age + race + smoke w=lwt", "bwt ~ age + race + smoke", NULL,
     "lwt"},
    {"birthwt", "lm:aliased column bwt~lwt+I(2*lwt)+smoke", "bwt ~ lwt + I(2*lwt) + smoke"},
    {"birthwt", "lm:bwt ~ 1", "bwt ~ 1"},
    {"birthwt", "lm:bwt ~ 0 + race + age", "bwt ~ 0 + race + age"},
};

static const struct {
    const char *name;
    double tolerance;
} fields[] = {
    {"coef", 1e-12},
    {"se", 1e-12},
    {"statistic", 1e-12},
    {"p", 1e-10},
    {"ci_lower", 1e-12},
    {"ci_upper", 1e-12},
    {"n", 0},
    {"dropped", 0},
    {"df_residual", 0},
    {"rank", 0},
    {"sigma", 1e-12},
    {"rss", 1e-12},
    {"r_squared", 1e-12},
    {"loglik", 1e-12},
    {"adj_r_squared", 1e-12},
    {"aic", 1e-12},
    {"bic", 1e-12},
    {"vcov", 1e-12},
};

static void check_case(const struct model_case *k, double wide)
{
    struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    const char *complaint;
    struct naive data;

    CHECK_OK_(k->id, cx, naive_open(cx, k->data, "", &data));
    if (wide > 1)
        CHECK_OK_(k->id, cx, naive_widen(cx, wide, &data));
    struct report *r = model_ask(cx, &data, "lm", k, 3, &complaint);
    if (r == NULL)
        fail_msg("%s: %s", k->id, complaint);
    if (model_says_digits(r)) /* ordinary use: nothing to say */
        fail_msg("%s: %s", k->id, r->lines[0]);
    const json_t *want = json_object_get(naive_expected(k->data, k->id), "result");
    if (want == NULL)
        want = naive_expected(k->data, k->id);
    const Cohortium__Item *terms = naive_item(r, "terms");
    CHECK_EQ_(k->id, terms->n_words, json_array_size(json_object_get(want, "terms")));
    for (size_t i = 0; i < terms->n_words; i++)
        assert_string_equal(terms->words[i], json_string_value(json_array_get(
                                                 json_object_get(want, "terms"), i)));
    for (size_t i = 0; i < COUNT(fields); i++)
        model_check(k->id, r, fields[i].name, json_object_get(want, fields[i].name),
                    fields[i].tolerance, 0);
    if (json_array_size(json_object_get(want, "F")) > 0) {
        model_check(k->id, r, "F", json_object_get(want, "F"), 1e-12, 0);
        model_check(k->id, r, "p_F", json_object_get(want, "p_F"), 1e-10, 0);
    }
    const json_t *anova = json_object_get(want, "anova_seq");
    model_check(k->id, r, "anova_sum_sq", json_object_get(anova, "sum_sq"), 1e-11, 0);
    model_check(k->id, r, "anova_df", json_object_get(anova, "df"), 0, 0);
    model_check(k->id, r, "anova_p", json_object_get(anova, "p"), 1e-9, 0);
    cx_free(&cx);
}

static void test_lm__agrees_with_R(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_case(&cases[i], 1);
}

/* Bounds far beyond the data cost scale bits, not digits. */
static void test_lm__wide_bounds_cost_no_digits(void **state)
{
    (void)state;
    for (double wide = 10; wide <= 1e6; wide *= 10)
        for (size_t i = 0; i < COUNT(cases); i++)
            check_case(&cases[i], wide);
}

/* The rows of a site can be anyone's: same bits for one, two and five sites. */
static void test_lm__split_does_not_matter(void **state)
{
    static const char *const items[] = {"coef", "se", "rss", "loglik", "F"};
    struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    struct naive data;
    const char *complaint;

    (void)state;
    CHECK_OK_("open", cx, naive_open(cx, "birthwt", "", &data));
    struct report *one = model_ask(cx, &data, "lm", &cases[4], 1, &complaint);
    for (size_t sites = 2; sites <= 5; sites += 3) {
        struct report *other = model_ask(cx, &data, "lm", &cases[4], sites, &complaint);
        for (size_t i = 0; i < COUNT(items); i++) {
            const Cohortium__Item *a = naive_item(one, items[i]),
                                  *b = naive_item(other, items[i]);
            assert_int_equal(a->n_values, b->n_values);
            assert_memory_equal(a->values, b->values, a->n_values * sizeof *a->values);
        }
    }
    cx_free(&cx);
}

static void test_lm__complains_before_data(void **state)
{
    static const struct {
        struct model_case k;
        const char *words;
    } rows[] = {
        {{"birthwt", "", "bwt ~ age", NULL, NULL, "binomial"}, "ask glm"},
        {{"birthwt", "", "bwt ~ age", NULL, "race"}, "weights"},
        {{"birthwt", "", "bwt ~ I(1/(age-20))"}, "not finite"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
        struct naive data;
        const char *complaint;

        CHECK_OK_("open", cx, naive_open(cx, rows[i].k.data, "", &data));
        assert_null(model_ask(cx, &data, "lm", &rows[i].k, 1, &complaint));
        CHECK_(complaint, strstr(complaint, rows[i].words) != NULL);
        cx_free(&cx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lm__agrees_with_R),
        cmocka_unit_test(test_lm__wide_bounds_cost_no_digits),
        cmocka_unit_test(test_lm__split_does_not_matter),
        cmocka_unit_test(test_lm__complains_before_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

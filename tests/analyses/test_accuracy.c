/*
 * Codebook bounds far wider than the data cost digits: as many as the answer says, or it is
 * refused. NIST's Wampler problems (StRD linear regression; certified values to 15 digits),
 * which are polynomials of degree 5.
 */
#include <math.h>

#include "analyses/accuracy.h"
#include "tests/analyses/models.h"
#include "tests/check.h"

enum { ROWS = 21, COEFFICIENTS = 6 };

/* Wampler3 to 5 are Wampler1 and this, times 1, 100 and 10000. */
static const double residuals[ROWS] = {759,   -2048, 2048,  -2048, 2523,  -2048, 2048,
                                       -2048, 1838,  -2048, 2048,  -2048, 1838,  -2048,
                                       2048,  -2048, 2523,  -2048, 2048,  -2048, 759};
static const double errors3[COEFFICIENTS] = {2152.32624678170, 2363.55173469681,
                                             779.343524331583, 101.475507550350,
                                             5.64566512170752, 0.112324854679312};
static const struct problem {
    const char *name;
    double base;  /* coefficients are 1, base, base^2, ... */
    double noise; /* times residuals */
} problems[] = {{"Wampler1", 1, 0},
                {"Wampler2", 0.1, 0},
                {"Wampler3", 1, 1},
                {"Wampler4", 1, 100},
                {"Wampler5", 1, 10000}};
#define QUINTIC "y ~ x + I(x^2) + I(x^3) + I(x^4) + I(x^5)"
static const struct model_case quintic = {"nist", "", QUINTIC};
static const struct model_case quintic_glm = {"nist", "",         QUINTIC,   NULL,
                                              NULL,   "gaussian", "identity"};

static void open_problem(struct cx *cx, const struct problem *p, struct model_bounds bounds,
                         struct naive *ret)
{
    double rows[ROWS][2];

    for (size_t i = 0; i < ROWS; i++) {
        double power = 1;

        rows[i][1] = (double)i;
        rows[i][0] = p->noise * residuals[i];
        for (size_t k = 0; k < COEFFICIENTS; k++, power *= p->base * (double)i)
            rows[i][0] += power;
    }
    model_table(cx, &rows[0][0], ROWS, 2, bounds, ret);
}

/* What a report claims: 6 digits and more, those of its note, or 0 without numbers. */
static int claimed_digits(const struct report *r)
{
    int claim = naive_item(r, "coef") == NULL ? 0 : 6;

    for (size_t i = 0; i < r->n_lines; i++) {
        const char *at = strstr(r->lines[i], "about ");

        if (at != NULL && strstr(at, " significant digits") != NULL)
            claim = at[6] - '0';
    }
    return claim;
}

static double worst_error(const struct problem *p, const struct report *r)
{
    const Cohortium__Item *coef = naive_item(r, "coef"), *se = naive_item(r, "se");
    double worst = 0, want = 1;

    if (coef->n_values != COEFFICIENTS)
        fail_msg("%s: %zu coefficients", p->name, coef->n_values);
    for (size_t i = 0; i < COEFFICIENTS; i++, want *= p->base) {
        double error = errors3[i] * p->noise;

        if (coef->state.len > 0 && coef->state.data[i] != 0)
            fail_msg("%s: coefficient %zu is not given", p->name, i);
        worst = fmax(worst, fabs(coef->values[i] - want) / fmax(want, error));
        if (error > 0)
            worst = fmax(worst, fabs(se->values[i] / error - 1));
    }
    return worst;
}

static const struct width {
    const char *what;
    struct model_bounds bounds; /* 20 is the largest x */
    bool refused,
        perfect_refused; /* with noise; the perfect fits (their residuals are lost) */
    int most;            /* digits that may be claimed with the least noise */
    double right;        /* relative error, where nothing is said */
} widths[] = {
    /* Bounds as they are written: not a digit is lost, and nothing is said. */
    {"twice", {0, 2}, false, false, 6, 1e-12},
    {"10 times", {0, 10}, false, false, 6, 1e-12},
    {"100 times", {0, 100}, false, false, 6, 1e-12},
    {"1000 times", {0, 1000}, false, false, 6, 1e-12},
    {"10^5 times", {0, 1e5}, false, false, 6, 1e-12},
    {"10 times, both sides", {10, 10}, false, false, 6, 1e-12},
    {"100 times, both sides", {100, 100}, false, false, 6, 1e-12},
    {"1000 times, both sides", {1000, 1000}, false, false, 6, 1e-12},
    {"100 times, skew", {100, 70}, false, false, 6, 1e-12},
    {"1000 times, skew", {1000, 700}, false, false, 6, 1e-12},
    /* x^5 in steps as coarse as its values: digits go, and the answer says so. */
    {"10^5 times, both sides", {1e5, 1e5}, false, true, 5, 1e-6},
    {"10^7.5 times", {0, 3.2e7}, false, true, 4, 1e-6},
    /* Nothing is left. */
    {"10^8 times", {0, 1e8}, true, true, 0, 0},
    {"10^6 times, both sides", {1e6, 1e6}, true, true, 0, 0},
    {"10^6 times, skew", {1e6, 7e5}, true, true, 0, 0},
    {"10^12 times, both sides", {1e12, 1e12}, true, true, 0, 0},
};

static void check_width(const struct width *w, const struct problem *p)
{
    struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    const char *complaint, *what = cx_printf(cx, "%s, %s", p->name, w->what);
    struct naive data;

    open_problem(cx, p, w->bounds, &data);
    struct report *r = model_ask(cx, &data, "lm", &quintic, 3, &complaint);
    if (r == NULL)
        fail_msg("%s: %s", what, complaint);
    int claim = claimed_digits(r);

    CHECK_(what, (claim == 0) == (p->noise > 0 ? w->refused : w->perfect_refused));
    if (p->noise == 1)
        CHECK_(what, claim <= w->most);
    if (w->most == 6) /* no word, either */
        CHECK_(what, !model_says_digits(r));
    if (claim == 0) {
        CHECK_EQ_(what, r->n_lines, 1);
        CHECK_(r->lines[0], strstr(r->lines[0], "no numbers") != NULL);
        CHECK_(r->lines[0], strstr(r->lines[0], "`x` (") != NULL);
        CHECK_(r->lines[0], strstr(r->lines[0], "I((x - c)^2)") != NULL);
        assert_null(naive_item(r, "se"));
    } else {
        double error = worst_error(p, r);

        if (!(error <= (claim == 6 ? w->right : pow(10, -claim))))
            fail_msg("%s: %d digits are claimed, the error is %.1e", what, claim, error);
    }
    cx_free(&cx);
}

static void test_accuracy__wide_bounds_are_right_or_said(void **state)
{
    (void)state;
    for (size_t w = 0; w < COUNT(widths); w++)
        for (size_t i = 0; i < COUNT(problems); i++)
            check_width(&widths[w], &problems[i]);
}

/* The same by glm, whose terms are rounded to doubles: honest, too. */
static void test_accuracy__glm_is_right_or_says_so(void **state)
{
    (void)state;
    for (size_t w = 0; w < COUNT(widths); w++)
        for (size_t i = 0; i < COUNT(problems); i++) {
            struct cx *cx = cx_new(1 << 27, CX_NO_DEADLINE);
            const char *complaint,
                *what = cx_printf(cx, "%s, %s", problems[i].name, widths[w].what);
            struct naive data;

            open_problem(cx, &problems[i], widths[w].bounds, &data);
            struct report *r = model_ask(cx, &data, "glm", &quintic_glm, 3, &complaint);
            if (r == NULL)
                fail_msg("%s: %s", what, complaint);
            int claim = claimed_digits(r);
            double error = claim > 0 ? worst_error(&problems[i], r) : 0;

            if (problems[i].noise > 0)
                CHECK_(what, (claim == 0) == widths[w].refused);
            if (problems[i].noise > 0 && widths[w].most == 6)
                CHECK_(what, claim == 6);
            if (claim == 0)
                CHECK_(what, r->n_lines > 0 && strncmp(r->lines[0], "no ", 3) == 0);
            if (!(error <= pow(10, -claim) && (widths[w].most < 6 || error < 1e-9)))
                fail_msg("%s: %d digits are claimed, the error is %.1e", what, claim,
                         error);
            cx_free(&cx);
        }
}

static void test_accuracy__digits_of_an_error(void **state)
{
    static const struct {
        double error;
        int want;
    } rows[] = {{0, 6},    {1e-7, 6}, {1e-6, 6},     {1.1e-6, 5}, {9e-4, 3},
                {2e-3, 2}, {0.5, 0},  {INFINITY, 0}, {NAN, 0}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        CHECK_EQ_("digits", accuracy_digits(rows[i].error), rows[i].want);
        CHECK_EQ_("shown",
                  accuracy_is_shown(&(struct accuracy){.roundings = rows[i].error}),
                  rows[i].want >= 3);
    }
}

/* A production policy has no constants in formulas: no advice to centre. */
static void test_accuracy__advice_can_be_followed(void **state)
{
    struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    struct naive data;
    struct asked asked;
    struct result *result;

    (void)state;
    open_problem(cx, &problems[2], (struct model_bounds){0, 1e8}, &data);
    const struct analysis *a = model_open(cx, &data, "lm", &quintic, false, &asked);
    CHECK_OK_("run", cx, naive_run(cx, a, &asked, &data, 3, &result, NULL));
    assert_non_null(result->trouble);
    CHECK_(result->trouble, strstr(result->trouble, "no numbers") != NULL);
    CHECK_(result->trouble, strstr(result->trouble, "narrower bounds") != NULL);
    CHECK_(result->trouble, strstr(result->trouble, "I((x") == NULL);
    for (size_t i = 0; i < result->n_items; i++)
        assert_string_equal(result->items[i].name, "terms");
    cx_free(&cx);
}

/* The bounds are found by components: an entry's step goes where the solution takes it. */
static void test_perturb__bounds_what_a_step_does(void **state)
{
    enum { N = 2, WIDTH = 3 };
    static const double y2 = 12;
    struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);

    (void)state;
    for (size_t at = 0; at < WIDTH * WIDTH; at++) {
        struct dd gram[N * N] = {{4, 0}, {3.9, 0}, {3.9, 0}, {4, 0}};
        struct dd right[N] = {{5, 0}, {4, 0}}, u[N], b[N], *inverse;
        double steps[WIDTH * WIDTH] = {0}, coef[N], length2[WIDTH] = {4, 4, y2}, worst;
        struct factor *f;
        size_t i = at / WIDTH, j = at % WIDTH;
        const double step = 1e-9;

        steps[i * WIDTH + j] = steps[j * WIDTH + i] = step;
        CHECK_OK_("factor", cx, solve_factor(cx, N, gram, NULL, SOLVE_RANK_TOLERANCE, &f));
        CHECK_OK_("inverse", cx, solve_inverse(cx, f, &inverse));
        solve_forward(f, right, u);
        solve_back(f, u, b);
        for (size_t k = 0; k < N; k++)
            coef[k] = dd_double(b[k]);
        double rest = y2 - coef[0] * 5 - coef[1] * 4;
        struct solved s = {.factor = f,
                           .inverse = inverse,
                           .coef = coef,
                           .length2 = length2,
                           .norms2 = gram,
                           .weight = 4,
                           .has_response = true,
                           .rest = rest,
                           .dispersion = rest};
        CHECK_OK_("worst", cx,
                  perturb_worst(cx, &s, &(struct errors){.steps = steps}, &worst));

        /* What the step really does to the coefficients: no more, and not far less. */
        double a[N * N] = {4, 3.9, 3.9, 4}, c[N] = {5, 4}, moved = 0;
        if (i < N && j < N)
            a[i * N + j] += step, a[j * N + i] += i != j ? step : 0;
        else if (i < N || j < N)
            c[i < N ? i : j] += step;
        double det = a[0] * a[3] - a[1] * a[2];
        double x[N] = {(a[3] * c[0] - a[1] * c[1]) / det,
                       (a[0] * c[1] - a[2] * c[0]) / det};
        for (size_t k = 0; k < N; k++)
            moved =
                fmax(moved, fabs(x[k] - coef[k]) /
                                fmax(fabs(coef[k]), sqrt(rest * inverse[k * N + k].hi)));
        if (!(worst >= moved * 0.999) || !(worst <= 1e-6))
            fail_msg("entry %zu %zu: moved by %.2e, bound %.2e", i, j, moved, worst);
    }
    cx_free(&cx);
}

/* A pivot within its error decides no rank. */
static void test_perturb__rank_must_be_known(void **state)
{
    static const struct {
        const char *what;
        double near, step;
        bool known;
    } rows[] = {{"a copy in fine steps", 0, 1e-18, true},
                {"a copy in coarse steps", 0, 1e-12, false},
                {"a near copy in fine steps", 1e-10, 1e-18, true},
                {"a near copy in coarse steps", 1e-10, 1e-10, false}};
    struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct dd gram[4] = {{1, 0}, {1, 0}, {1, 0}, {1, rows[i].near}}, *inverse;
        double step = rows[i].step, worst, coef[2] = {1, 0}, length2[3] = {1, 1, 1};
        double steps[9] = {step, step, step, step, step, step, step, step, step};
        struct factor *f;

        CHECK_OK_("factor", cx, solve_factor(cx, 2, gram, NULL, SOLVE_RANK_TOLERANCE, &f));
        CHECK_OK_("inverse", cx, solve_inverse(cx, f, &inverse));
        struct solved s = {.factor = f,
                           .inverse = inverse,
                           .coef = coef,
                           .length2 = length2,
                           .norms2 = gram,
                           .weight = 1,
                           .has_response = true,
                           .rest = 0.5,
                           .dispersion = 0.5};
        CHECK_OK_("worst", cx,
                  perturb_worst(cx, &s, &(struct errors){.steps = steps}, &worst));
        CHECK_(rows[i].what, isfinite(worst) == rows[i].known);
    }
    cx_free(&cx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy__digits_of_an_error),
        cmocka_unit_test(test_accuracy__wide_bounds_are_right_or_said),
        cmocka_unit_test(test_accuracy__glm_is_right_or_says_so),
        cmocka_unit_test(test_accuracy__advice_can_be_followed),
        cmocka_unit_test(test_perturb__bounds_what_a_step_does),
        cmocka_unit_test(test_perturb__rank_must_be_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

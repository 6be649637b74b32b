/*
 * Double-double and the sweep, alone and under lm with NIST's certified problems (StRD
 * linear regression: Longley, Wampler1, NoInt1; certified values to 15 digits).
 */
#include <math.h>

#include "analyses/math/solve.h"
#include "tests/analyses/models.h"
#include "tests/check.h"

static void test_solve__double_double_keeps_106_bits(void **state)
{
    struct dd third = dd_div(dd_of(1), dd_of(3)), two = dd_of(2), root = dd_sqrt(two);
    struct dd rest = dd_sub(dd_mul(third, dd_of(3)), dd_of(1));
    struct dd back = dd_sub(dd_mul(root, root), two);
    struct dd tiny = dd_sub(dd_add(dd_of(1), dd_of(0x1p-80)), dd_of(1));

    (void)state;
    assert_true(fabs(dd_double(rest)) < 0x1p-100);
    assert_true(fabs(dd_double(back)) < 0x1p-100);
    assert_true(dd_double(tiny) == 0x1p-80);
    assert_true(dd_double(dd_sqrt(dd_of(-1))) == 0);
    assert_int_equal(dd_compare(third, dd_of(1.0 / 3)), third.lo > 0 ? 1 : -1);
}

/* The later of two equal columns is the aliased one, as in R; a near copy is not. */
static void test_solve__later_columns_are_aliased(void **state)
{
    static const struct {
        const char *what;
        double near;
        bool aliased;
    } rows[] = {{"a copy", 0, true},
                {"a copy but for 1e-8", 1e-16, true},
                {"a copy but for 1e-6", 1e-12, false}};
    struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct factor *f;
    struct dd *inverse;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct dd a[9] = {{0}};
        a[0] = a[1] = dd_of(1);
        a[4] = dd_add(dd_of(1), dd_of(rows[i].near));
        a[8] = dd_of(4);
        CHECK_OK_(rows[i].what, cx, solve_factor(cx, 3, a, NULL, SOLVE_RANK_TOLERANCE, &f));
        CHECK_(rows[i].what, f->aliased[1] == rows[i].aliased);
        CHECK_(rows[i].what, !f->aliased[0] && !f->aliased[2]);
        CHECK_EQ_(rows[i].what, f->rank, rows[i].aliased ? 2 : 3);
        CHECK_OK_(rows[i].what, cx, solve_inverse(cx, f, &inverse));
        CHECK_(rows[i].what, fabs(dd_double(inverse[8]) - 0.25) < 1e-30);
    }
    cx_free(&cx);
}

static const double longley[][7] = {{60323, 83.0, 234289, 2356, 1590, 107608, 1947},
                                    {61122, 88.5, 259426, 2325, 1456, 108632, 1948},
                                    {60171, 88.2, 258054, 3682, 1616, 109773, 1949},
                                    {61187, 89.5, 284599, 3351, 1650, 110929, 1950},
                                    {63221, 96.2, 328975, 2099, 3099, 112075, 1951},
                                    {63639, 98.1, 346999, 1932, 3594, 113270, 1952},
                                    {64989, 99.0, 365385, 1870, 3547, 115094, 1953},
                                    {63761, 100.0, 363112, 3578, 3350, 116219, 1954},
                                    {66019, 101.2, 397469, 2904, 3048, 117388, 1955},
                                    {67857, 104.6, 419180, 2822, 2857, 118734, 1956},
                                    {68169, 108.4, 442769, 2936, 2798, 120445, 1957},
                                    {66513, 110.8, 444546, 4681, 2637, 121950, 1958},
                                    {68655, 112.6, 482704, 3813, 2552, 123366, 1959},
                                    {69564, 114.2, 502601, 3931, 2514, 125368, 1960},
                                    {69331, 115.7, 518173, 4806, 2572, 127852, 1961},
                                    {70551, 116.9, 554894, 4007, 2827, 130081, 1962}};
static const double wampler1[][2] = {
    {1, 0},        {6, 1},        {63, 2},      {364, 3},     {1365, 4},     {3906, 5},
    {9331, 6},     {19608, 7},    {37449, 8},   {66430, 9},   {111111, 10},  {177156, 11},
    {271453, 12},  {402234, 13},  {579195, 14}, {813616, 15}, {1118481, 16}, {1508598, 17},
    {2000719, 18}, {2613660, 19}, {3368421, 20}};
static const double noint1[][2] = {{130, 60}, {131, 61}, {132, 62}, {133, 63},
                                   {134, 64}, {135, 65}, {136, 66}, {137, 67},
                                   {138, 68}, {139, 69}, {140, 70}};

static const struct model_bounds twice = {.above = 2};

/* Digits that agree, at most 15.5. */
static double digits(double got, double want)
{
    double error = want == 0 ? fabs(got) : fabs(got / want - 1);

    return error < 3e-16 ? 15.5 : -log10(error);
}

static void check_digits(const char *what, const struct report *r, const char *item,
                         const double *want, size_t n, double least)
{
    const Cohortium__Item *it = naive_item(r, item);

    if (model_says_digits(r))
        fail_msg("%s: %s", what, r->lines[0]);
    assert_non_null(it);
    CHECK_EQ_(what, it->n_values, n);
    for (size_t i = 0; i < n; i++)
        if (!(digits(it->values[i], want[i]) >= least))
            fail_msg("%s: %s[%zu] %.17g, certified %.17g: %.1f digits", what, item, i,
                     it->values[i], want[i], digits(it->values[i], want[i]));
}

static void test_solve__nist_longley(void **state)
{
    static const double coef[] = {-3482258.63459582,      15.0618722713733,
                                  -0.358191792925910E-01, -2.02022980381683,
                                  -1.03322686717359,      -0.511041056535807E-01,
                                  1829.15146461355};
    static const double se[] = {890420.383607373,  84.9149257747669,  0.334910077722432E-01,
                                0.488399681651699, 0.214274163161675, 0.226073200069370,
                                455.478499142212};
    static const double sigma[] = {304.854073561965}, r2[] = {0.995479004577296};
    static const double rss[] = {836424.055505915};
    static const struct model_case k = {"nist", "Longley",
                                        "y ~ x1 + x2 + x3 + x4 + x5 + x6"};
    struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    struct naive data;
    const char *complaint;

    (void)state;
    model_table(cx, &longley[0][0], COUNT(longley), 7, twice, &data);
    struct report *r = model_ask(cx, &data, "lm", &k, 3, &complaint);
    check_digits("Longley", r, "coef", coef, 7, 14);
    check_digits("Longley", r, "se", se, 7, 14);
    check_digits("Longley", r, "sigma", sigma, 1, 14);
    check_digits("Longley", r, "rss", rss, 1, 14);
    check_digits("Longley", r, "r_squared", r2, 1, 14);
    cx_free(&cx);
}

static void test_solve__nist_wampler1(void **state)
{
    static const double coef[] = {1, 1, 1, 1, 1, 1}, r2[] = {1};
    static const struct model_case k = {"nist", "Wampler1",
                                        "y ~ x + I(x^2) + I(x^3) + I(x^4) + I(x^5)"};
    struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    struct naive data;
    const char *complaint;

    (void)state;
    model_table(cx, &wampler1[0][0], COUNT(wampler1), 2, twice, &data);
    struct report *r = model_ask(cx, &data, "lm", &k, 2, &complaint);
    check_digits("Wampler1", r, "coef", coef, 6, 13);
    check_digits("Wampler1", r, "r_squared", r2, 1, 15);
    assert_true(naive_item(r, "sigma")->values[0] < 1e-6);
    cx_free(&cx);
}

static void test_solve__nist_noint1(void **state)
{
    static const double coef[] = {2.07438016528926}, se[] = {0.165289256198347E-01};
    static const double f[] = {15750.25, 1, 10}, r2[] = {0.999365492298663};
    static const struct model_case k = {"nist", "NoInt1", "y ~ x - 1"};
    struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    struct naive data;
    const char *complaint;

    (void)state;
    model_table(cx, &noint1[0][0], COUNT(noint1), 2, twice, &data);
    struct report *r = model_ask(cx, &data, "lm", &k, 3, &complaint);
    check_digits("NoInt1", r, "coef", coef, 1, 14);
    check_digits("NoInt1", r, "se", se, 1, 14);
    check_digits("NoInt1", r, "F", f, 3, 14);
    check_digits("NoInt1", r, "r_squared", r2, 1, 14);
    cx_free(&cx);
}

/* R's rule measures what is left of a column against its raw length: lm(y ~ x) has no
 * coefficient of 10^8 + 0:20, and one of 10^7 + 0:20. However wide the bounds are. */
static void test_solve__rank_is_of_raw_columns(void **state)
{
    static const struct {
        double far;
        struct model_bounds bounds;
        bool aliased;
    } rows[] = {{1e7, {0, 2}, false},   {1e8, {0, 2}, true},      {1e7, {0, 1000}, false},
                {1e8, {0, 1000}, true}, {1e7, {1e6, 1e6}, false}, {1e8, {1e6, 1e6}, true}};
    static const struct model_case k = {"nist", "far away", "y ~ x"};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
        double values[21][2];
        const char *complaint;
        struct naive data;
        int given;

        for (size_t j = 0; j < COUNT(values); j++) {
            values[j][1] = rows[i].far + (double)j;
            values[j][0] = 3 * (double)j + (j % 2 ? 1 : -1);
        }
        model_table(cx, &values[0][0], COUNT(values), 2, rows[i].bounds, &data);
        struct report *r = model_ask(cx, &data, "lm", &k, 2, &complaint);
        double slope = released_value(naive_item(r, "coef"), 1, &given);
        CHECK_("aliased", (given == 2) == rows[i].aliased);
        if (!rows[i].aliased)
            CHECK_("slope", fabs(slope - 3) < 1e-9);
        cx_free(&cx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_solve__double_double_keeps_106_bits),
        cmocka_unit_test(test_solve__later_columns_are_aliased),
        cmocka_unit_test(test_solve__nist_longley),
        cmocka_unit_test(test_solve__nist_wampler1),
        cmocka_unit_test(test_solve__nist_noint1),
        cmocka_unit_test(test_solve__rank_is_of_raw_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

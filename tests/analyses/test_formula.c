/* What analyses/formula.h promises: R's terms in R's order under R's names. */
#include "analyses/formula.h"

#include "language_codebook.h"
#include "tests/check.h"

static struct cx *cx;
static struct codebook *cb;

static int set_up(void **state)
{
    (void)state;
    cx = cx_new(256 << 20, CX_NO_DEADLINE);
    return cx == NULL || codebook_from_body(cx, language_body(), &cb) != FAULT_NONE;
}

static int tear_down(void **state)
{
    (void)state;
    cx_free(&cx);
    return 0;
}

static const char *labels(const Cohortium__Model *m)
{
    struct buffer b = buffer_new(cx, 1 << 20);

    for (size_t i = 0; i < m->n_terms; i++)
        buffer_printf(&b, "%s%s", i > 0 ? " | " : "", term_text(cx, cb, m->terms[i]));
    return buffer_string(&b);
}

/* Expected: R 4.2.2, attr(terms(formula), "term.labels") and "intercept". */
static void test_formula__terms_as_in_R(void **state)
{
    static const struct {
        const char *formula, *labels;
        int intercept;
    } rows[] = {
        {"y ~ a + b", "a | b", 1},
        {"y ~ a*b", "a | b | a:b", 1},
        {"y ~ a:b + a", "a | a:b", 1},
        {"y ~ (a+b+c)^2", "a | b | c | a:b | a:c | b:c", 1},
        {"y ~ a*b*c", "a | b | c | a:b | a:c | b:c | a:b:c", 1},
        {"y ~ a*b - a", "b | a:b", 1},
        {"y ~ a + b - 1", "a | b", 0},
        {"y ~ 0 + a", "a", 0},
        {"y ~ a + 0 + b", "a | b", 0},
        {"y ~ -1 + a", "a", 0},
        {"y ~ -a + b + a", "b | a", 1},
        {"y ~ b:a + a", "a | b:a", 1},
        {"y ~ a + b:a", "a | a:b", 1},
        {"y ~ c + a*b + c:a", "c | a | b | a:b | c:a", 1},
        {"y ~ I(a^2) + log(b) + I(2*a) + I(a/1000) + sqrt(a)",
         "I(a^2) | log(b) | I(2 * a) | I(a/1000) | sqrt(a)", 1},
        {"log(y + 1) ~ I(a >= 60) + factor(g)", "I(a >= 60) | factor(g)", 1},
        {"y ~ a + offset(log(b)) + c", "a | c", 1},
        {"y ~ (a + b + c)^3 - a:b:c", "a | b | c | a:b | a:c | b:c", 1},
        {"y ~ (a+b)^2 - (a+b)", "a:b", 1},
        {"y ~ a - (b - 1)", "a", 1},
        {"y ~ 1", "", 1},
        {"y ~ a + a + b + a", "a | b", 1},
        {"y ~ a:a", "a", 1},
        {"y ~ (a + b):c", "a:c | b:c", 1},
        {"y ~ a*(b + c)", "a | b | c | a:b | a:c", 1},
        {"y ~ I(-a) + I(a*b) + I((a+b)*2) + I(a-b) + I(a^-1) + I(-a^2) + exp(a) + "
         "I(1e-04*a)+I(a/100000)+I(a*0.1)",
         "I(-a) | I(a * b) | I((a + b) * 2) | I(a - b) | I(a^-1) | I(-a^2) | exp(a) | "
         "I(1e-04 * a) | I(a/1e+05) | I(a * 0.1)",
         1},
        {"y ~ a - 0", "a", 1},
        {"y ~ (a + 0)*b", "a | b | a:b", 0},
        {"log(a) ~ b:c + a", "a | b:c", 1},
        {"y ~ a:b + b:c + (a+b+c)^2", "a | b | c | a:b | b:c | a:c", 1},
        {"y ~ I(a != 1) + I(s == \"f\")", "I(a != 1) | I(s == \"f\")", 1},
        {"y ~ I(123456*a) + I(1234567.5 * a) + I(a*1e15) + I(a + 0.00012)",
         "I(123456 * a) | I(1234567.5 * a) | I(a * 1e+15) | I(a + 0.00012)", 1},
        {"y ~ I(-(a+b)) + I(a - (b - c)) + I(a/(b*c)) + I((a^2)^3) + I(a^(b+1)) + I(a^2^3)",
         "I(-(a + b)) | I(a - (b - c)) | I(a/(b * c)) | I((a^2)^3) | I(a^(b + 1)) | "
         "I(a^2^3)",
         1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Model *m;

        CHECK_OK_(rows[i].formula, cx, formula_parse(cx, cb, rows[i].formula, &m));
        if (strcmp(labels(m), rows[i].labels) != 0)
            fail_msg("%s: got %s, want %s", rows[i].formula, labels(m), rows[i].labels);
        CHECK_EQ_(rows[i].formula, !m->no_intercept, rows[i].intercept);
        assert_string_equal(m->formula, rows[i].formula);
    }
}

static void test_formula__parts(void **state)
{
    Cohortium__Model *m;
    struct complaints c = complaints_new(cx);
    struct ast *a;

    (void)state;
    CHECK_OK_("two offsets", cx,
              formula_parse(cx, cb,
                            "log(y+1) ~ offset(log(a)) + sex + offset(b) + factor(g)", &m));
    CHECK_OK_("offset", cx, ast_open(cx, cb, m->offset, AST_TYPE_NUMBER, &c, &a));
    assert_string_equal(ast_text(cx, cb, a), "log(a) + b");
    CHECK_OK_("response", cx, ast_open(cx, cb, m->response, AST_TYPE_NUMBER, &c, &a));
    assert_string_equal(ast_text(cx, cb, a), "log(y + 1)");
    assert_int_equal(m->n_terms, 2);
    assert_false(m->terms[0]->factors[0]->as_factor);
    assert_true(m->terms[1]->factors[0]->as_factor);
    CHECK_OK_("none", cx, formula_parse(cx, cb, "status ~ sex", &m));
    assert_null(m->offset);
    CHECK_OK_("arithmetic on the left", cx, formula_parse(cx, cb, "I(y * 2) ~ a", &m));
    CHECK_OK_("without I", cx, formula_parse(cx, cb, "y/1000 ~ a", &m));
    CHECK_OK_("a categorical response", cx, formula_parse(cx, cb, "sex ~ a", &m));
    CHECK_OK_("a factor and its number", cx,
              formula_parse(cx, cb, "y ~ g + factor(g)", &m));
    assert_int_equal(m->n_terms, 2);
    assert_int_equal(c.n, 0);
}

static void test_formula__refuses_with_place_and_remedy(void **state)
{
    static const char *const rows[][2] = {
        {"y ~ agee",
         "formula: at `agee` (column 5): no variable `agee` in lung; did you mean "
         "`age`?"},
        {"y ~ secret", "hidden"},
        {"y ~ patient", "direct identifier"},
        {"~ a", "expected the response"},
        {"y", "expected `~`"},
        {"y ~", "expected a term"},
        {"", "at the end"},
        {"y ~ a +", "expected a term"},
        {"y ~ a b", "(column 7)"},
        {"y ~ y", "the response `y` cannot be a term"},
        {"y ~ a + y:b", "the response `y` cannot be a term"},
        {"log(y) ~ log(y)", "cannot be a term"},
        {"y ~ .", "`.` is not offered"},
        {"y ~ a / b", "nesting"},
        {"y ~ a %in% b", "written in (...) here"},
        {"y ~ 2", "arithmetic goes inside I()"},
        {"y ~ a * 2", "arithmetic goes inside I()"},
        {"y ~ a:1", "on both sides"},
        {"y ~ a ^ b", "whole number"},
        {"y ~ a ^ 2.5", "whole number"},
        {"y ~ (a + b)^99", "whole number"},
        {"y ~ a > 3", "inside I()"},
        {"y ~ Surv(a, b)", "`Surv()` is not offered by this analysis"},
        {"Surv(a, b) ~ y", "`Surv()` is not offered by this analysis"},
        {"y ~ strata(s)", "`strata()` is not offered"},
        {"y ~ ns(a, 3)", "`ns()` is not offered"},
        {"y ~ foo(a)", "no function `foo`"},
        {"y ~ log(sex)", "expected a number"},
        {"y ~ log(a, 2)", "expected `)`"},
        {"y ~ log10(a)", "no function `log10`"},
        {"y ~ I(sex + 1)", "expected a number"},
        {"y ~ I(sex == \"fmale\")", "did you mean `female`?"},
        {"y ~ I(a > 1 and b > 1)", "expected `)`"},
        {"y ~ I(a in (1, 2))", "expected a number, a variable or a comparison"},
        {"y ~ I(3)", "expected a variable"},
        {"3 ~ a", "expected a variable as the response"},
        {"a > 1 ~ b", "expected `~`"},
        {"y ~ factor(bmi)", "no list of values"},
        {"y ~ factor(a + b)", "no list of values"},
        {"y ~ offset(sex)", "expected a number"},
        {"y ~ a - offset(b)", "cannot be taken away"},
        {"y ~ a:offset(b)", "on both sides"},
        {"y ~ (a + b", "expected `)`"},
        {"y ~ a)", "(column 6)"},
        {"y ~ a ~ b", "(column 7)"},
        {"y ~ a | b", "written or here"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Model *m;

        CHECK_EQ_(rows[i][0], formula_parse(cx, cb, rows[i][0], &m), FAULT_INVALID);
        if (strstr(cx_message(cx), rows[i][1]) == NULL)
            fail_msg("%s: says: %s", rows[i][0], cx_message(cx));
    }
}

static char *many(const char *head, const char *format, size_t n)
{
    struct buffer b = buffer_new(cx, 1 << 20);

    buffer_text(&b, head);
    for (size_t i = 0; i < n; i++)
        buffer_printf(&b, "%s I(a + %zu)", format, i);
    return buffer_string(&b);
}

static void test_formula__is_bounded(void **state)
{
    Cohortium__Model *m;

    (void)state;
    CHECK_OK_("200 terms", cx, formula_parse(cx, cb, many("y ~ b", " +", 199), &m));
    CHECK_EQ_("201 terms", formula_parse(cx, cb, many("y ~ b", " +", 200), &m),
              FAULT_INVALID);
    CHECK_OK_("an interaction of 8", cx, formula_parse(cx, cb, many("y ~ b", ":", 7), &m));
    CHECK_EQ_("an interaction of 9", formula_parse(cx, cb, many("y ~ b", ":", 8), &m),
              FAULT_INVALID);
    CHECK_EQ_("2^17 terms", formula_parse(cx, cb, many("y ~ b", " *", 16), &m),
              FAULT_INVALID);
    CHECK_EQ_("300 variables", formula_parse(cx, cb, many("y ~ b", ":", 300), &m),
              FAULT_INVALID);
}

static void test_formula__variables_of_a_table(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } rows[] = {{"sex", 1},
                {"sex * status", 2},
                {"~ sex + status", 2},
                {"~sex", 1},
                {"sex:status", 2},
                {"", 0},
                {"sex * sex", 0},
                {"sex status", 0},
                {"sex * dx * s", 3},
                {"sex * dx * s * b", 4},
                {"sex * dx * s * b * a", 0},
                {"sex * dx * sex", 0},
                {"sexx", 0},
                {"sex *", 0},
                {"secret", 0},
                {"log(a)", 0}};
    const char **names;
    size_t n;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum fault fault = formula_parse_variables(cx, cb, rows[i].text, &names, &n);

        CHECK_EQ_(rows[i].text, fault, rows[i].n > 0 ? FAULT_NONE : FAULT_INVALID);
        if (fault == FAULT_NONE) {
            CHECK_EQ_(rows[i].text, n, rows[i].n);
            assert_string_equal(names[0], "sex");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_formula__terms_as_in_R, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_formula__parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_formula__refuses_with_place_and_remedy, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_formula__is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_formula__variables_of_a_table, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

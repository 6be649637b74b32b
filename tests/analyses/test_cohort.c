/* What analyses/cohort.h promises: the language, and errors that say where and what. */
#include "analyses/cohort.h"

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

/* Read, and written back in our own way. */
static void test_cohort__reads(void **state)
{
    static const char *const rows[][2] = {
        {"age >= 50", "age >= 50"},
        {"age>=50 and sex=='female'", "age >= 50 and sex == \"female\""},
        {"age >= 50 and sex == \"female\" and not (dx in (\"E10\",\"E11\")) and bmi "
         "between 25 "
         "and 40 and is missing(grade)",
         "age >= 50 and sex == \"female\" and not (dx in (\"E10\", \"E11\")) and bmi "
         "between 25 "
         "and 40 and is missing(grade)"},
        {"is not missing(bmi)", "is not missing(bmi)"},
        {"not is missing(bmi)", "is not missing(bmi)"},
        {"bmi is missing or bmi is not missing", "is missing(bmi) or is not missing(bmi)"},
        {"dx not in ('E10')", "not (dx in (\"E10\"))"},
        {"age > 1 or age > 2 and age > 3", "age > 1 or age > 2 and age > 3"},
        {"(age > 1 or age > 2) and age > 3", "(age > 1 or age > 2) and age > 3"},
        {"age > 1 or (age > 2 or age > 3)", "age > 1 or (age > 2 or age > 3)"},
        {"not age > 1 and age > 2", "not (age > 1) and age > 2"},
        {"not not age > 1", "not (not (age > 1))"},
        {"46.5 < age", "46.5 < age"},
        {"age * 2 + 1 >= 2 ^ 3 ^ 2", "age * 2 + 1 >= 2^3^2"},
        {"(age + 1) * 2 > -age ^ 2", "(age + 1) * 2 > -age^2"},
        {"age - (bwt - 1) > -3 and (-3)^2 < age", "age - (bwt - 1) > -3 and (-3)^2 < age"},
        {"-(3) < age - -2", "-(3) < age - -2"},
        {"log(bwt) / 2 > sqrt(age) - exp(1e-3)", "log(bwt)/2 > sqrt(age) - exp(0.001)"},
        {"visit >= \"2021-03-31\"", "visit >= \"2021-03-31\""},
        {"visit between '2001-01-01' and '2004-02-29'",
         "visit between \"2001-01-01\" and \"2004-02-29\""},
        {"grade >= \"mid\"", "grade >= \"mid\""},
        {"status == 1", "status == 1"},
        {"true or false", "true or false"},
        {"everybody", "everybody"},
        {"\n age\t>\n1", "age > 1"},
        {"cut(age) == \"40-46\"", "age >= 40 and age < 47"},
        {"cut(age, [40, 60]) != '<40'", "not (age < 40)"},
        {"cut(age, c(40, 60)) in (\"<40\", \">=60\") and sex == 'male'",
         "(age < 40 or age >= 60) and sex == \"male\""},
        {"not cut(bmi, [18.5,25]) == \"[18.5,25)\"", "not (bmi >= 18.5 and bmi < 25)"},
        {"cut(age, [40]) not in ('<40')", "not (age < 40)"},
        {"cut(visit, [\"2001-01-01\"]) == '<2001-01-01'", "visit < \"2001-01-01\""},
        {"cut(score, [-1, 0]) == '[-1,0)'", "score >= -1 and score < 0"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ast *a, *again;

        CHECK_OK_(rows[i][0], cx, cohort_parse(cx, cb, rows[i][0], &a));
        assert_string_equal(ast_text(cx, cb, a), rows[i][1]);
        CHECK_OK_(rows[i][1], cx, cohort_parse(cx, cb, rows[i][1], &again));
        CHECK_(rows[i][0], ast_equal(a, again));
    }
}

static void test_cohort__refuses_with_place_and_remedy(void **state)
{
    static const char *const rows[][2] = {
        {"agee > 1",
         "--where: at `agee` (column 1): no variable `agee` in lung; did you mean "
         "`age`?"},
        {"age > 1 and seks == \"female\"", "(column 13): no variable `seks`"},
        {"secret > 0", "hidden"},
        {"patient == 7", "direct identifier"},
        {"sex == \"femal\"",
         "at `\"femal\"` (column 8): `sex` has no level \"femal\"; did you "
         "mean `female`?"},
        {"sex == \"x\"", "its levels are: female, male"},
        {"dx in (\"E10\", \"E99x9\")", "(column 15)"},
        {"sex == 1", "categorical"},
        {"1 == sex", "categorical"},
        {"sex == dx", "categorical"},
        {"age == \"50\"", "write the number without quotes"},
        {"sex > \"female\"", "no order"},
        {"sex", "expected a condition"},
        {"status", "status == 1"},
        {"age + 1", "expected a condition"},
        {"not age", "expected a condition"},
        {"visit > \"2021-02-30\"", "not a date that exists"},
        {"visit > \"2021-3-1\"", "not a date that exists"},
        {"visit > 2021", "cannot be compared"},
        {"visit + 1 > 3", "expected a number"},
        {"1 < age < 3", "between 1 and 3"},
        {"(1 < age) < 3", "cannot be compared again"},
        {"age == 1 == 1", "chained"},
        {"sex == \"female", "never closed"},
        {"(age > 1", "at the end (column 9): expected `)`"},
        {"age > 1)", "closes nothing"},
        {"age > ", "at the end"},
        {"", "expected a condition"},
        {"age = 1", "written == here"},
        {"age > 1 & sex == 'male'", "written and here"},
        {"age > 1 && sex == 'male'", "written and here"},
        {"age > 1 | sex == 'male'", "written or here"},
        {"!age > 1", "written not here"},
        {"age \xe2\x89\xa5 1", "written >= here"},
        {"age <> 1", "written != here"},
        {"age > 50 years", "unit"},
        {"age > 50y", "unit"},
        {"age > 1 sex == 'male'", "(column 9)"},
        {"age > 1e999", "too large"},
        {"age between 1", "expected `and`"},
        {"age between 80 and 18", "the lower end stands first"},
        {"age in 1", "expected `(`"},
        {"age in ()", "expected a variable, a number"},
        {"age in (bmi)", "numbers or levels only"},
        {"age + 1 in (1)", "a variable is expected"},
        {"is missing(age + 1)", "expected `)`"},
        {"is missing", "expected `(`"},
        {"round(age) > 1", "`round()` is not offered"},
        {"foo(age) > 1", "no function `foo`"},
        {"cut(age, [40, 50]) == \"<40\"",
         "cut point 50 is not on the codebook's grid of `age`: 18, 40, 47, 60, 80"},
        {"cut(age, [47, 40]) == \"<40\"", "ascend"},
        {"cut(bwt) == \"<1\"", "`bwt` has no grid"},
        {"cut(bwt, [100]) == \"<100\"", "within the bounds"},
        {"cut(sex) == \"male\"", "cannot be cut"},
        {"cut(age, [40]) == \"40\"", "no interval \"40\"; there are: \"<40\", \">=40\""},
        {"cut(age, [40]) > \"<40\"", "expected ==, != or in behind cut()"},
        {"cut(age, [])", "expected a variable, a number"},
        {"cut(age, [40)", "or `,` in the cut points"},
        {"cut(age, [bmi]) == \"<40\"", "expected a cut point"},
        {"cut(cut(age)) == \"<40\"", "name of a variable inside cut()"},
        {"cut(secret, [0.5]) == \"<0.5\"", "hidden"},
        {"log(sex) > 1", "expected a number"},
        {"bwt < 2.5", "the codebook allows `bwt` from 500 to 6000 g; check the unit"},
        {"bwt between 2 and 4", "check the unit"},
        {"age > 1 and and age > 2", "(column 13)"},
        {"age > +1", "leave it out"},
        {"everybody and age > 1", "nothing behind"},
        {"age > 1 ; age > 2", "no meaning"},
        {"\xc3\xa4 > 1", "(column 1)"},
        {"sex == 'm\xc3\xa4nnlich' and agee > 1", "(column 25)"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ast *a;

        CHECK_EQ_(rows[i][0], cohort_parse(cx, cb, rows[i][0], &a), FAULT_INVALID);
        if (i + 1 == COUNT(rows)) /* the level is wrong first */
            continue;
        if (strstr(cx_message(cx), rows[i][1]) == NULL)
            fail_msg("%s: says: %s", rows[i][0], cx_message(cx));
    }
}

static void test_cohort__46_and_a_half_is_fine(void **state)
{
    struct ast *a;

    (void)state;
    CHECK_OK_("between two integers", cx, cohort_parse(cx, cb, "age < 46.5", &a));
    CHECK_OK_("equal to none", cx, cohort_parse(cx, cb, "age == 46.5", &a));
}

static char *repeated(const char *head, const char *part, size_t n, const char *tail)
{
    struct buffer b = buffer_new(cx, 1 << 20);

    buffer_text(&b, head);
    for (size_t i = 0; i < n; i++)
        buffer_text(&b, part);
    buffer_text(&b, tail);
    return buffer_string(&b);
}

static void test_cohort__hostile_texts_end(void **state)
{
    static const struct {
        const char *what, *head, *part, *tail;
        size_t n;
        enum fault want;
    } rows[] = {
        {"a few parentheses", "", "(", "age > 1))))))))))", 10, FAULT_NONE},
        {"many parentheses", "", "(", "age > 1", 60000, FAULT_INVALID},
        {"many nots", "", "not ", "age > 1", 16000, FAULT_INVALID},
        {"many signs", "age > ", "-", "age", 60000, FAULT_INVALID},
        {"many powers", "age > ", "age^", "2", 16000, FAULT_INVALID},
        {"a long sum", "age > 1", " + age", "", 1000, FAULT_INVALID},
        {"a long list of conditions", "age > 1", " or age > 2", "", 1300, FAULT_NONE},
        {"too long a list", "age > 1", " or age > 2", "", 1400, FAULT_INVALID},
        {"a long list of numbers", "age in (1", ",2", ")", 4000, FAULT_NONE},
        {"too long a list of numbers", "age in (1", ",2", ")", 4100, FAULT_INVALID},
        {"too long a text", "", " ", "age > 1", 65536, FAULT_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ast *a;
        char *text = repeated(rows[i].head, rows[i].part, rows[i].n, rows[i].tail);

        CHECK_EQ_(rows[i].what, cohort_parse(cx, cb, text, &a), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cohort__reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cohort__refuses_with_place_and_remedy, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_cohort__46_and_a_half_is_fine, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_cohort__hostile_texts_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

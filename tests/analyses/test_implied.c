/* What analyses/implied.h promises: what follows by meaning, and what only because nobody is
 * there. */
#include "analyses/implied.h"

#include "analyses/cohort.h"
#include "language_codebook.h"
#include "tests/check.h"

static struct cx *cx;
static struct codebook *cb;

static int set_up(void **state)
{
    (void)state;
    cx = cx_new((size_t)1 << 30, CX_NO_DEADLINE);
    return cx == NULL || codebook_from_body(cx, language_body(), &cb) != FAULT_NONE;
}

static int tear_down(void **state)
{
    (void)state;
    cx_free(&cx);
    return 0;
}

static struct ast *parsed(const char *text)
{
    struct ast *a = NULL;

    CHECK_OK_(text, cx, cohort_parse(cx, cb, text, &a));
    return a;
}

/* "everybody", or a cohort, with a number before it and a variable behind it:
 * "1 * age >= 60 : age". */
static struct implied_part part(const char *text)
{
    struct implied_part p = {.variable = -1};
    char *set, *end;

    p.c = strtod(text, &end);
    set = cx_strdup(cx, end + strlen(" * "));
    assert_non_null(set);
    char *of = strstr(set, " : ");
    if (of != NULL) {
        *of = '\0';
        p.variable = codebook_find(cb, of + 3);
        assert_true(p.variable >= 0);
    }
    if (strcmp(set, "everybody") != 0) {
        struct ast *canonical;

        CHECK_OK_(text, cx, ast_canonical(cx, cb, parsed(set), &canonical));
        p.set = canonical;
    }
    return p;
}

enum { PARTS = 6 };
struct row {
    const char *parts[PARTS];
    bool want;
};

static bool nothing(const struct row *row, uint64_t *budget)
{
    struct implied_part parts[PARTS];
    bool ret = false;
    size_t n = 0;

    for (; n < PARTS && row->parts[n] != NULL; n++)
        parts[n] = part(row->parts[n]);
    CHECK_OK_(row->parts[0], cx, implied_nothing(cx, cb, parts, n, budget, &ret));
    return ret;
}

static void test_implied__what_follows(void **state)
{
    static const struct row rows[] = {
        {{"1 * everybody", "-1 * everybody"}, true},
        {{"1 * age >= 60", "-1 * everybody", "1 * age < 60"}, true},
        {{"1 * age >= 60", "-1 * everybody", "1 * age < 40"}, false},
        {{"1 * age >= 60", "-1 * age >= 40", "1 * age >= 40 and age < 60"}, true},
        {{"1 * sex == 'male'", "1 * sex == 'female'", "-1 * everybody"}, true},
        {{"1 * sex == 'male' and age < 60", "1 * sex == 'female' and age < 60",
          "-1 * age < 60"},
         true},
        {{"1 * sex == 'male' and age < 60", "1 * sex == 'female' and age < 60",
          "-1 * age < 40"},
         false},
        /* or: both, less what is in both */
        {{"1 * sex == 'male' or age < 60", "-1 * sex == 'male'", "-1 * age < 60",
          "1 * sex == 'male' and age < 60"},
         true},
        {{"1 * sex == 'male' or age < 60", "-1 * sex == 'male'"}, false},
        {{"2 * everybody", "-2 * age < 40", "-2 * not (age < 40)"}, true},
        {{"0.5 * everybody", "-0.5 * age < 40", "-0.25 * not (age < 40)"}, false},
        /* of somebody whose value is missing nobody knows */
        {{"1 * not is missing(age)", "-1 * everybody"}, true},
        {{"1 * is missing(age)"}, true},
        /* sums of a variable are apart from numbers */
        {{"1 * age >= 60 : age", "-1 * everybody : age", "1 * age < 60 : age"}, true},
        {{"1 * age >= 60 : age", "-1 * everybody : age", "1 * age < 60"}, false},
        {{"1 * age >= 60 : age", "-1 * age >= 60 : bmi"}, false},
        /* real numbers: the cut itself is a value */
        {{"1 * bmi < 25", "1 * bmi > 25", "-1 * everybody"}, false},
        {{"1 * bmi < 25", "1 * bmi > 25", "1 * bmi == 25", "-1 * everybody"}, true},
        {{"1 * bmi <= 25", "1 * bmi > 25", "-1 * everybody"}, true},
        /* whole ones: nothing is between */
        {{"1 * age < 60", "1 * age > 60", "1 * age == 60", "-1 * everybody"}, true},
        /* two variables in one condition cannot be tried, whatever they are */
        {{"1 * age > bmi", "-1 * age > bmi"}, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t budget = 1 << 20;

        CHECK_EQ_(rows[i].parts[0], nothing(&rows[i], &budget), rows[i].want);
    }
}

/* The attack that this is against: an empty cell beside a group. */
static void test_implied__nobody_is_not_said(void **state)
{
    static const struct row row = {
        {"1 * sex == 'male' or age == 40 and bmi < 25 and sex == 'female'",
         "-1 * sex == 'male'"},
        false};
    uint64_t budget = 1 << 20;
    (void)state;
    CHECK_EQ_("nobody", nothing(&row, &budget), false);
}

static void test_implied__work_is_bounded(void **state)
{
    static const struct row row = {
        {"1 * age >= 60", "-1 * everybody", "1 * age < 60"}, true};
    uint64_t budget = 8; /* 2 intervals, 3 conditions */
    (void)state;
    CHECK_EQ_("enough", nothing(&row, &budget), true);
    CHECK_EQ_("taken", budget, 2);
    CHECK_EQ_("not any more", nothing(&row, &budget), false);
    CHECK_EQ_("and nothing taken", budget, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_implied__what_follows),
        cmocka_unit_test(test_implied__nobody_is_not_said),
        cmocka_unit_test(test_implied__work_is_bounded),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* What analyses/regions.h promises: each alternative on what is not a quasi-identifier,
 * once. */
#include "analyses/regions.h"

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

static const char *listed(const struct regions *r)
{
    struct buffer b = buffer_new(cx, 1 << 20);

    for (size_t i = 0; i < r->n; i++)
        buffer_printf(&b, "%s%s", i > 0 ? " | " : "", ast_text(cx, cb, r->list[i]));
    return buffer_string(&b);
}

/* age, sex, bmi are quasi-identifiers; status, dx, grade, score are not. */
static void test_regions__of_one_cell(void **state)
{
    static const char *const rows[][2] = {
        {"everybody", ""},
        {"age >= 60", "age >= 60"},
        {"status == 1", ""},
        {"age >= 60 and status == 1", "age >= 60"},
        {"age >= 60 and sex == 'male' and status == 1 and dx == 'E10'",
         "sex == \"male\" and age >= 60"},
        {"age >= 60 or status == 1", "age >= 60"},
        {"not (age >= 60 and status == 1)", "age < 60"},
        {"age >= 60 and status == 1 or age < 40 and status == 0", "age < 40 | age >= 60"},
        {"age >= 60 and status == 1 or age < 40 and dx == 'E10'",
         "age < 40 or age >= 60 | age < 40 | age >= 60"},
        {"score > 1 and age >= 60 or not (score > 1) and age < 60", "age < 60 | age >= 60"},
        {"age >= 60 and score between 1 and 2", "age >= 60"},
        {"age > score and bmi < 25", "bmi < 25"}, /* mixed: counts as the other */
        {"age > bmi and status == 1", "age > bmi"},
        {"is missing(dx) and is missing(age)", "is missing(age)"},
        {"age < 40 and age > 60", ""},
        {"age < 40 and (dx in ('E10', 'E11') or dx == 'I10')", "age < 40"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct complaints c = complaints_new(cx);
        struct regions r;
        struct ast *cell = parsed(rows[i][0]);

        CHECK_OK_(rows[i][0], cx, regions_make(cx, cb, &cell, NULL, 1, &c, &r));
        CHECK_EQ_(rows[i][0], c.n, 0);
        if (strcmp(listed(&r), rows[i][1]) != 0)
            fail_msg("%s: got %s, want %s", rows[i][0], listed(&r), rows[i][1]);
    }
}

/* A region is optional if each cell that rests on it is. */
static void test_regions__optional(void **state)
{
    static const char *const texts[] = {"sex == 'male' and age >= 60", "sex == 'female'",
                                        "age >= 60 or status == 1",
                                        "sex == 'female' and status == 1"};
    static const bool optional[] = {true, true, false, false};
    struct ast *cells[COUNT(texts)];
    struct complaints c = complaints_new(cx);
    struct regions r;

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        cells[i] = parsed(texts[i]);
    CHECK_OK_("optional", cx,
              regions_make(cx, cb, cells, optional, COUNT(texts), &c, &r));
    assert_string_equal(listed(&r), "sex == \"male\" and age >= 60 | sex == \"female\" | "
                                    "age >= 60");
    assert_true(r.optional[0] && !r.optional[1] && !r.optional[2]);
    CHECK_OK_("none", cx, regions_make(cx, cb, cells, NULL, COUNT(texts), &c, &r));
    assert_true(!r.optional[0] && !r.optional[1] && !r.optional[2]);
}

static void test_regions__of_many_cells(void **state)
{
    static const char *const texts[] = {"sex == 'male' and age >= 60 and status == 1",
                                        "sex == 'male' and age >= 60 and status == 0",
                                        "sex == 'female' and age > 59 and status == 0",
                                        "everybody", "status == 1"};
    struct ast *cells[COUNT(texts)];
    struct complaints c = complaints_new(cx);
    struct regions r;

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        cells[i] = parsed(texts[i]);
    CHECK_OK_("cells", cx, regions_make(cx, cb, cells, NULL, COUNT(texts), &c, &r));
    assert_string_equal(listed(&r), "sex == \"female\" and age >= 60 | "
                                    "sex == \"male\" and age >= 60");
    assert_int_equal(r.n_cells, COUNT(texts));
    CHECK_OK_("no cells", cx, regions_make(cx, cb, NULL, NULL, 0, &c, &r));
    assert_int_equal(r.n, 0);
    assert_int_equal(c.n, 0);
}

/* k conditions on other variables, each with a cut of its own: 2^k alternatives. */
static struct ast *branching(size_t k)
{
    static const int cuts[] = {18, 40, 47, 60, 80};
    struct buffer b = buffer_new(cx, 1 << 20);

    for (size_t i = 0; i < k; i++)
        buffer_printf(&b, "%sscore > %g and age >= %d and bmi < %zu", i > 0 ? " or " : "",
                      (double)i / 100, cuts[i % 5], 20 + i);
    return parsed(buffer_string(&b));
}

static void test_regions__eight_in_a_cell(void **state)
{
    static const struct {
        const char *what;
        size_t branches;
        bool good;
    } rows[] = {
        {"2^3 - 1 of them", 3, true},  {"2^4 - 1 of them", 4, false},
        {"2^12 of them", 12, false},   {"2^64 of them", 64, false},
        {"2^300 of them", 300, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct complaints c = complaints_new(cx);
        struct ast *cell = branching(rows[i].branches);
        struct regions r;

        CHECK_OK_(rows[i].what, cx, regions_make(cx, cb, &cell, NULL, 1, &c, &r));
        CHECK_EQ_(rows[i].what, c.n, !rows[i].good);
        if (!rows[i].good)
            assert_string_equal(c.list[0]->code, "too_many_regions");
    }
}

/* 64 conditions on others that all come to the same. */
static void test_regions__many_atoms_few_regions(void **state)
{
    struct buffer b = buffer_new(cx, 1 << 20);
    struct complaints c = complaints_new(cx);
    struct ast *cell;
    struct regions r;

    (void)state;
    buffer_text(&b, "age >= 60");
    for (int i = 0; i < 64; i++)
        buffer_printf(&b, " and (score > a + %d or b > %d)", i, i);
    cell = parsed(buffer_string(&b));
    CHECK_OK_("64 atoms", cx, regions_make(cx, cb, &cell, NULL, 1, &c, &r));
    assert_int_equal(c.n, 0);
    assert_string_equal(listed(&r), "age >= 60");
}

static void test_regions__4096_in_all(void **state)
{
    enum { N = 71 * 121 };
    struct ast **cells = cx_array(cx, N, sizeof *cells);
    struct complaints c = complaints_new(cx);
    struct regions r;
    size_t n = 0;

    (void)state;
    for (int bmi = 10; bmi <= 80; bmi++)
        for (int age = 0; age <= 120; age++)
            cells[n++] = parsed(cx_printf(cx, "age == %d and bmi == %d", age, bmi));
    CHECK_OK_("4096", cx, regions_make(cx, cb, cells, NULL, 4096, &c, &r));
    assert_int_equal(c.n, 0);
    assert_int_equal(r.n, 4096);
    CHECK_OK_("4097", cx, regions_make(cx, cb, cells, NULL, 4097, &c, &r));
    assert_int_equal(c.n, 1);
    CHECK_OK_("twice as many", cx, regions_make(cx, cb, cells, NULL, N, &c, &r));
    assert_int_equal(c.n, 2);
    assert_string_equal(c.list[0]->code, "too_many_regions");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_regions__of_one_cell, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_regions__optional, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_regions__of_many_cells, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_regions__eight_in_a_cell, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_regions__many_atoms_few_regions, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_regions__4096_in_all, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

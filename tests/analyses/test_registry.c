/* What question_open promises: all complaints at once, and nothing opened beside them. */
#include "tests/analyses/naive.h"
#include "tests/check.h"

struct wrong {
    const char *what, *analysis, *a, *b, *by, *code, *text;
    bool production;
};

static const struct wrong rows[] = {
    {"right", "table", "sex", "status", "", NULL, NULL, false},
    {"right in production", "table", "sex", "status", "", NULL, NULL, true},
    {"a misspelt analysis", "tabel", "sex", NULL, "", "unknown_analysis", "`table`", false},
    {"no such analysis", "forecasting", NULL, NULL, "", "unknown_analysis", "count", false},
    {"a misspelt variable", "table", "sez", NULL, "", "unknown_variable", "sex", false},
    {"an identifier", "table", "rid", NULL, "", "unusable_variable", "rid", false},
    {"a hidden variable", "describe", "inst", NULL, "", "unusable_variable", "inst", false},
    {"a number as key", "table", "time", NULL, "", "variable_type", "time", false},
    {"a variable twice", "table", "sex", "sex", "", "parameters", "twice", false},
    {"count with a variable", "count", "sex", NULL, "", "parameters", "variables", false},
    {"table without one", "table", NULL, NULL, "", "parameters", "one to 4", false},
    {"table with --by", "table", "sex", NULL, "status", "parameters", "--by", false},
    {"describe twice", "describe", "age", "age", "", "parameters", "twice", false},
    {"described and grouped by", "describe", "sex", NULL, "sex", "parameters", "sex",
     false},
    {"grouped by a number", "describe", "age", NULL, "time", "variable_type", "time",
     false},
    {"a quasi-identifier off its grid", "table", "ph_ecog", NULL, "", "off_grid", "ph_ecog",
     true},
    {"the same for testing", "table", "ph_ecog", NULL, "", NULL, NULL, false},
};

static void open_row(const struct wrong *row)
{
    AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    char *variables[2] = {(char *)row->a, (char *)row->b};
    struct complaints c = complaints_new(cx);
    const struct analysis *analysis;
    Cohortium__Question *q;
    struct naive data;
    struct asked asked;
    struct plan plan;
    struct regions regions;

    CHECK_OK_(row->what, cx, naive_open(cx, "lung", "inst=h ph_ecog=q sex=q", &data));
    CHECK_OK_(row->what, cx, naive_question(cx, data.cb, row->analysis, &q));
    q->params->n_variables = (size_t)(row->a != NULL) + (row->b != NULL);
    q->params->variables = (char **)variables;
    q->params->by = (char *)row->by;
    CHECK_OK_(row->what, cx,
              question_open(cx, data.cb, q, !row->production, 20, &c, &asked, &plan,
                            &regions, &analysis));
    if (row->code == NULL) {
        if (c.n > 0)
            fail_msg("%s: %s", row->what, c.list[0]->text);
        CHECK_(row->what, analysis != NULL);
        CHECK_(row->what, plan.used[codebook_find(data.cb, row->a)]);
        return;
    }
    CHECK_(row->what, analysis == NULL);
    CHECK_EQ_(row->what, c.n, 1);
    assert_string_equal(c.list[0]->code, row->code);
    if (strstr(c.list[0]->text, row->text) == NULL)
        fail_msg("%s: %s", row->what, c.list[0]->text);
}

static void test_registry__says_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        open_row(&rows[i]);
}

static void test_registry__all_complaints_at_once(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    static const char *const variables[2] = {"sez", "time"};
    uint8_t other[32] = {7};
    struct complaints c = complaints_new(cx);
    const struct analysis *analysis;
    Cohortium__Question *q;
    struct naive data;
    struct asked asked;
    struct plan plan;
    struct regions regions;

    (void)state;
    CHECK_OK_("open", cx, naive_open(cx, "lung", "", &data));
    CHECK_OK_("question", cx, naive_question(cx, data.cb, "table", &q));
    q->params->n_variables = 2;
    q->params->variables = (char **)variables;
    q->analysis_version = 9;
    q->dataset = (char *)"lungs";
    q->codebook.data = other;
    CHECK_OK_(
        "open", cx,
        question_open(cx, data.cb, q, true, 20, &c, &asked, &plan, &regions, &analysis));
    static const char *const want[] = {"analysis_version", "unknown_dataset", "codebook",
                                       "unknown_variable", "variable_type"};
    CHECK_EQ_("complaints", c.n, COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++)
        assert_string_equal(c.list[i]->code, want[i]);
    assert_null(analysis);
}

/* The plan names what is read and which cells rest on which quasi-identifiers. */
static void test_registry__plans_cells_and_regions(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    static const char *const variables[2] = {"age", "inst"};
    struct complaints c = complaints_new(cx);
    const struct analysis *analysis;
    Cohortium__Question *q;
    struct naive data;
    struct asked asked;
    struct plan plan;
    struct regions regions;

    (void)state;
    CHECK_OK_("open", cx, naive_open(cx, "lung", "age=q sex=q", &data));
    CHECK_OK_("question", cx, naive_question(cx, data.cb, "describe", &q));
    q->params->n_variables = 2;
    q->params->variables = (char **)variables;
    q->params->by = (char *)"sex";
    CHECK_OK_(
        "open", cx,
        question_open(cx, data.cb, q, false, 20, &c, &asked, &plan, &regions, &analysis));
    if (c.n > 0)
        fail_msg("%s", c.list[0]->text);
    assert_non_null(analysis);
    CHECK_EQ_("cells: 2 groups, each with 18 institutions", plan.n_cells, 2 + 2 * 18);
    CHECK_EQ_("the largest table of keys", plan.table_cells, 36);
    CHECK_EQ_("levels", plan.widest_levels, 18);
    CHECK_EQ_("a numeric quasi-identifier", plan.n_quasi_columns, 1);
    CHECK_EQ_("age", plan.quasi_columns[0], codebook_find(data.cb, "age"));
    CHECK_EQ_("male and female: inst is no quasi-identifier", regions.n, 2);
    CHECK_EQ_("rounds", plan.rounds_max, 2);
}

/* Each spelling of a cohort would be a question of its own: only the canonical one is
 * taken. */
static void test_registry__cohort_is_canonical(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    Cohortium__Question *q;
    struct naive data;

    (void)state;
    CHECK_OK_("open", cx, naive_open(cx, "lung", "", &data));
    int sex = codebook_find(data.cb, "sex");
    struct ast *is[2] = {ast_is_level(cx, data.cb, sex, 1),
                         ast_is_level(cx, data.cb, sex, 1)};
    struct ast *twice = ast_join(cx, COHORTIUM__AST_OP__AST_AND, is, 2), *canonical;
    CHECK_OK_("canonical", cx, ast_canonical(cx, data.cb, twice, &canonical));
    const struct {
        const char *what;
        const struct ast *ast;
        const char *code;
    } forms[] = {
        {"canonical", canonical, NULL},
        {"the same twice", twice, "cohort_form"},
        {"true", ast_constant(cx, true), "cohort_form"},
        {"false", ast_constant(cx, false), "empty_cohort"},
    };
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct complaints c = complaints_new(cx);
        const struct analysis *analysis;
        struct asked asked;
        struct plan plan;
        struct regions regions;

        CHECK_OK_("question", cx, naive_question(cx, data.cb, "count", &q));
        CHECK_OK_("cohort", cx, ast_to_pb(cx, data.cb, forms[i].ast, &q->cohort));
        CHECK_OK_(forms[i].what, cx,
                  question_open(cx, data.cb, q, true, 20, &c, &asked, &plan, &regions,
                                &analysis));
        CHECK_EQ_(forms[i].what, c.n, forms[i].code != NULL);
        CHECK_(forms[i].what, (analysis == NULL) == (forms[i].code != NULL));
        if (forms[i].code != NULL)
            assert_string_equal(c.list[0]->code, forms[i].code);
    }
}

static void test_registry__numbers_for_people(void **state)
{
    static const struct {
        double value;
        int state, digits;
        const char *want;
    } numbers[] = {
        {0.33252895, 0, 4, "0.3325"},
        {12.7159, 0, 4, "12.72"},
        {9.9996, 0, 4, "10.00"},
        {123456.7, 0, 4, "123457"},
        {26, 0, 4, "26"},
        {0, 0, 4, "0"},
        {-0.05, 0, 2, "-0.050"},
        {1.5e-7, 0, 3, "1.50e-07"},
        {5, 1, 4, "withheld"},
        {5, 2, 4, "-"},
        {5, 3, 4, "-"},
    };
    static const struct {
        double p;
        const char *want;
    } ps[] = {{0.0421, "0.042"}, {0.0004, "<0.001"}, {1.0, ">0.999"}, {2.0, "-"}};
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);

    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++)
        assert_string_equal(
            report_number(cx, numbers[i].value, numbers[i].state, numbers[i].digits),
            numbers[i].want);
    for (size_t i = 0; i < COUNT(ps); i++)
        assert_string_equal(report_p(cx, ps[i].p), ps[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry__says_what_is_wrong),
        cmocka_unit_test(test_registry__all_complaints_at_once),
        cmocka_unit_test(test_registry__plans_cells_and_regions),
        cmocka_unit_test(test_registry__cohort_is_canonical),
        cmocka_unit_test(test_registry__numbers_for_people),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

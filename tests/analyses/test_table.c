/* What table promises: R's cross tables and their tests, from released cells alone. */
#include "tests/analyses/naive.h"
#include "tests/check.h"

static struct report *ask(struct cx *cx, const char *name, const char *a, const char *b,
                          bool missing, size_t sites)
{
    char *variables[2] = {(char *)a, (char *)b};
    Cohortium__Question *q;
    struct naive data;

    CHECK_OK_("open", cx, naive_open(cx, name, "", &data));
    CHECK_OK_("question", cx, naive_question(cx, data.cb, "table", &q));
    q->params->n_variables = b == NULL ? 1 : 2;
    q->params->variables = variables;
    q->params->missing = missing;
    return naive_report(cx, &data, q, sites);
}

static void check_words(const char *row, const struct report *r, const char *name,
                        const json_t *want)
{
    const Cohortium__Item *item = naive_item(r, name);

    assert_non_null(item);
    CHECK_EQ_(row, item->n_words, json_array_size(want));
    for (size_t i = 0; i < item->n_words; i++)
        assert_string_equal(item->words[i], json_string_value(json_array_get(want, i)));
}

static void check_matrix(const char *row, const struct report *r, const char *name,
                         const json_t *want, double tolerance)
{
    size_t k = 0;

    for (size_t i = 0; i < json_array_size(want); i++)
        for (size_t j = 0; j < json_array_size(json_array_get(want, i)); j++)
            naive_check(row, r, name, k++, json_array_get(json_array_get(want, i), j),
                        tolerance);
    CHECK_EQ_(row, naive_item(r, name)->n_values, k);
}

static void test_table__equals_R(void **state)
{
    static const struct {
        const char *data, *a, *b, *id;
    } rows[] = {
        {"lung", "sex", "status", "crosstab:sex*status"},
        {"lung", "ph_ecog", "status", "crosstab:ph_ecog*status"},
        {"birthwt", "smoke", "low", "crosstab:smoke*low"},
        {"birthwt", "race", "low", "crosstab:race*low"},
        {"birthwt", "ht", "low", "crosstab:ht*low"},
        {"birthwt", "ptl", "low", "crosstab:ptl*low"},
    };
    /* R's Fisher test is not offered yet; all else of its entry is compared. */
    static const struct {
        const char *field;
        double tolerance;
    } scalars[] = {
        {"n", 0},
        {"df", 0},
        {"chisq", 1e-12},
        {"p", 1e-10},
        {"cramers_v", 1e-12},
        {"lr_g2", 1e-12},
        {"lr_p", 1e-10},
        {"chisq_yates", 1e-12},
        {"p_yates", 1e-10},
        {"odds_ratio", 1e-12},
        {"log_or_se", 1e-12},
        {"risk_exposed", 1e-12},
        {"risk_unexposed", 1e-12},
        {"risk_ratio", 1e-12},
        {"risk_difference", 1e-12},
    };
    static const char *const intervals[] = {"or_ci_wald", "rr_ci_wald", "rd_ci_wald"};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t sites = 1; sites <= 4; sites += 3) {
            AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
            struct report *r = ask(cx, rows[i].data, rows[i].a, rows[i].b, false, sites);
            const json_t *want = naive_expected(rows[i].data, rows[i].id);

            check_words(rows[i].id, r, "rows", json_object_get(want, "rows"));
            check_words(rows[i].id, r, "cols", json_object_get(want, "cols"));
            check_matrix(rows[i].id, r, "counts", json_object_get(want, "counts"), 0);
            check_matrix(rows[i].id, r, "row_counts", json_object_get(want, "counts"), 0);
            check_matrix(rows[i].id, r, "expected", json_object_get(want, "expected"),
                         1e-12);
            for (size_t k = 0; k < COUNT(scalars); k++) {
                const json_t *value = json_object_get(want, scalars[k].field);

                if (value != NULL)
                    naive_check(rows[i].id, r, scalars[k].field, 0, value,
                                scalars[k].tolerance);
                else
                    assert_null(naive_item(r, scalars[k].field));
            }
            for (size_t k = 0; k < COUNT(intervals); k++) {
                const json_t *value = json_object_get(want, intervals[k]);

                for (size_t j = 0; j < json_array_size(value); j++)
                    naive_check(rows[i].id, r, intervals[k], j, json_array_get(value, j),
                                1e-12);
            }
        }
}

/* 228 rows, one without ph_ecog, three without pat_karno: nobody is lost. */
static void test_table__missing_is_a_level_outside_the_tests(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    struct report *with = ask(cx, "lung", "ph_ecog", "sex", true, 2);
    struct report *without = ask(cx, "lung", "ph_ecog", "sex", false, 2);
    const Cohortium__Item *counts = naive_item(with, "counts");
    const Cohortium__Item *names = naive_item(with, "rows");
    double all = 0.0, missing = 0.0;

    (void)state;
    for (size_t i = 0; i < counts->n_values; i++) {
        all += counts->values[i];
        if (i / counts->columns == counts->rows - 1)
            missing += counts->values[i];
    }
    assert_string_equal(names->words[names->n_words - 1], "(missing)");
    CHECK_EQ_("everybody", all, 228);
    CHECK_EQ_("without ph_ecog", missing, 1);
    CHECK_("the same test",
           naive_item(with, "chisq")->values[0] == naive_item(without, "chisq")->values[0]);
    CHECK_EQ_("n is of the tests", naive_item(with, "n")->values[0], 227);
}

static void test_table__one_variable(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    struct report *r = ask(cx, "lung", "sex", NULL, false, 3);
    const json_t *want = naive_expected("lung", "describe:sex");

    (void)state;
    check_words("sex", r, "rows", json_object_get(want, "levels"));
    for (size_t i = 0; i < 2; i++)
        naive_check("sex", r, "counts", i,
                    json_array_get(json_object_get(want, "counts"), i), 0);
    assert_null(naive_item(r, "chisq"));
    assert_string_equal(r->tables[0].cells[1], "138 (60.5 %)");
}

/* Every total is the sum of its cells, told by their levels alone; the table that is read
 * has R's lines: each levels of the first variables, the last variable across. */
static void test_table__totals_are_sums_over_each_set_of_variables(void **state)
{
    static const char *const all[] = {"sex", "status", "ph_ecog"};
    static const size_t levels[] = {2, 2, 4};

    (void)state;
    for (size_t n = 1; n <= 3; n++) {
        AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
        char *variables[4] = {(char *)all[0], (char *)all[1], (char *)all[2]};
        const Cohortium__Item *counts, *totals;
        size_t at[3] = {0}, size[3] = {1, 1, 1}, k = 0;
        Cohortium__Question *q;
        struct naive data;

        CHECK_OK_("open", cx, naive_open(cx, "lung", "", &data));
        CHECK_OK_("question", cx, naive_question(cx, data.cb, "table", &q));
        q->params->n_variables = n;
        q->params->variables = variables;
        struct report *r = naive_report(cx, &data, q, 3);

        counts = naive_item(r, "counts");
        totals = naive_item(r, "totals");
        for (size_t d = 0; d < n; d++)
            size[d] = levels[d];
        for (size_t i = 0; i < 3 * 3 * 5; i++) { /* levels, then "all", the last fastest */
            size_t rest = i;
            bool total = false, there = true;
            double sum = 0;

            for (size_t d = 3; d-- > 0; rest /= levels[d] + 1) {
                at[d] = rest % (levels[d] + 1);
                there = there && (d < n || at[d] == 0);
                total = total || (d < n && at[d] == size[d]);
            }
            if (!there || !total)
                continue;
            for (size_t c = 0; c < counts->n_values; c++) {
                size_t level[3] = {c / (size[1] * size[2]), c / size[2] % size[1],
                                   c % size[2]};
                bool in = true;

                for (size_t d = 0; d < n; d++)
                    in = in && (at[d] == size[d] || at[d] == level[d]);
                sum += in ? counts->values[c] : 0;
            }
            CHECK_EQ_("a total", totals->values[k++], sum);
        }
        CHECK_EQ_("totals", totals->n_values, k);
        CHECK_EQ_("everybody", totals->values[k - 1], n == 3 ? 227 : 228);
        CHECK_EQ_("columns", r->tables[0].n_columns,
                  n == 1 ? 2 : n - 1 + levels[n - 1] + 1);
        CHECK_EQ_("lines", r->tables[0].n_rows, n == 3 ? 9 : 3);
        CHECK_("n is of the cells", naive_item(r, "n")->values[0] == totals->values[k - 1]);
        CHECK_("tests of two variables alone",
               (naive_item(r, "chisq") != NULL) == (n == 2));
    }
}

static void test_table__four_variables_and_no_more(void **state)
{
    char *four[] = {(char *)"race", (char *)"smoke", (char *)"ht", (char *)"ui"};
    char *variables[] = {(char *)"sex", (char *)"status", (char *)"ph_ecog", (char *)"sex",
                         (char *)"status"};
    static const struct {
        const char *what;
        size_t n;
        const char *complaint; /* NULL: answered */
    } rows[] = {{"three", 3, NULL},
                {"one of them twice", 4, "stands there twice"},
                {"five", 5, "one to 4"}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
        struct complaints c = complaints_new(cx);
        const struct analysis *analysis;
        Cohortium__Question *q;
        struct naive data;
        struct asked asked;
        struct plan plan;
        struct regions regions;

        CHECK_OK_("open", cx, naive_open(cx, "lung", "", &data));
        CHECK_OK_("question", cx, naive_question(cx, data.cb, "table", &q));
        q->params->n_variables = rows[i].n;
        q->params->variables = variables;
        CHECK_OK_(rows[i].what, cx,
                  question_open(cx, data.cb, q, true, 20, &c, &asked, &plan, &regions,
                                &analysis));
        CHECK_EQ_(rows[i].what, c.n > 0, rows[i].complaint != NULL);
        if (rows[i].complaint != NULL)
            assert_non_null(strstr(c.list[0]->text, rows[i].complaint));
    }
    AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    Cohortium__Question *q;
    struct naive data;
    double sum = 0;

    CHECK_OK_("open", cx, naive_open(cx, "birthwt", "", &data));
    CHECK_OK_("question", cx, naive_question(cx, data.cb, "table", &q));
    q->params->n_variables = 4;
    q->params->variables = four;
    struct report *r = naive_report(cx, &data, q, 3);
    const Cohortium__Item *counts = naive_item(r, "counts");

    for (size_t i = 0; i < counts->n_values; i++)
        sum += counts->values[i];
    CHECK_EQ_("cells", counts->n_values, 24);
    CHECK_EQ_("everybody once", sum, 189);
    CHECK_EQ_("totals", naive_item(r, "totals")->n_values, 4 * 27 - 24);
    CHECK_EQ_("of race", naive_item(r, "levels:race")->n_words, 3);
}

/* One withheld cell: nothing that needs it is computed, and the line says so. */
static void test_table__R1_withheld_cells_stop_the_tests(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    char *variables[2] = {(char *)"sex", (char *)"status"};
    struct complaints c = complaints_new(cx);
    const struct analysis *analysis;
    Cohortium__Question *q;
    Cohortium__Release *release;
    struct naive data;
    struct asked asked;
    struct plan plan;
    struct regions regions;
    struct result *result;
    struct report report = {.cx = cx};

    (void)state;
    CHECK_OK_("open", cx, naive_open(cx, "lung", "", &data));
    CHECK_OK_("question", cx, naive_question(cx, data.cb, "table", &q));
    q->params->n_variables = 2;
    q->params->variables = variables;
    CHECK_OK_(
        "open", cx,
        question_open(cx, data.cb, q, true, 20, &c, &asked, &plan, &regions, &analysis));
    assert_non_null(analysis);
    CHECK_OK_("run", cx, naive_run(cx, analysis, &asked, &data, 1, &result, NULL));
    CHECK_OK_("release", cx, naive_release(cx, &asked, result, &release));
    for (size_t i = 0; i < release->result->n_items; i++) {
        Cohortium__Item *item = release->result->items[i];
        if (item->kind == COHORTIUM__ITEM_KIND__COUNTS) {
            item->state.data[3] = 1;
            item->values[3] = 0.0;
        }
    }
    CHECK_OK_("show", cx, analysis->show(cx, &asked, release, &report));
    CHECK_("no n", naive_item(&report, "n") == NULL);
    CHECK_("no test", naive_item(&report, "chisq") == NULL);
    CHECK_("no ratio", naive_item(&report, "odds_ratio") == NULL);
    CHECK_EQ_("the state is kept", naive_item(&report, "counts")->state.data[3], 1);
    assert_string_equal(report.tables[0].cells[6], "withheld");
    CHECK_("no percentage beside it", strcmp(report.tables[0].cells[5], "37") == 0);
    assert_string_equal(report.tables[0].cells[2], "112 (81.2 %)");
    assert_non_null(strstr(report.lines[0], "withheld"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table__equals_R),
        cmocka_unit_test(test_table__missing_is_a_level_outside_the_tests),
        cmocka_unit_test(test_table__one_variable),
        cmocka_unit_test(test_table__totals_are_sums_over_each_set_of_variables),
        cmocka_unit_test(test_table__four_variables_and_no_more),
        cmocka_unit_test(test_table__R1_withheld_cells_stop_the_tests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

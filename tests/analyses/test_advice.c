/* What is advised where something is withheld: of the question, and of nothing else. */
#include "analyses/advice.h"
#include "analyses/cohort.h"
#include "tests/analyses/naive.h"
#include "tests/check.h"

struct row {
    const char *what, *analysis, *a, *b, *by, *cohort;
    bool missing, by_site;
    size_t members;
    const char *want; /* all lines, each with a newline */
};

static const struct row rows[] = {
    {"everybody, two levels, all sites", "table", "sex", NULL, "", NULL, false, false, 3,
     ""},
    {"two variables", "table", "sex", "ph_ecog", "", NULL, false, false, 3,
     "fewer variables: this table has 2, with 10 cells\n"
     "a coarser grid: `ph_ecog` has 5 levels; take a variable with fewer, or ask for some "
     "of "
     "them as a cohort\n"},
    {"a condition", "count", NULL, NULL, "", "sex == \"female\"", false, false, 3,
     "a larger cohort: make its condition wider, or leave it out\n"},
    {"two conditions", "count", NULL, NULL, "", "sex == \"female\" and age >= 50", false,
     false, 3, "a larger cohort: leave out one of its 2 conditions, or make one wider\n"},
    {"two conditions, said thrice", "count", NULL, NULL, "",
     "age >= 50 and (sex == \"female\" and age >= 50)", false, false, 3,
     "a larger cohort: leave out one of its 2 conditions, or make one wider\n"},
    {"groups", "describe", "age", NULL, "sex", NULL, false, false, 3,
     "larger groups: leave out --by sex, or take a variable with fewer levels\n"},
    {"shares of levels are no cells of a table", "describe", "sex", NULL, "", NULL, false,
     false, 3, ""},
    {"a number has no levels where it is described", "describe", "ph_ecog", NULL, "", NULL,
     false, false, 3, ""},
    {"missing values", "table", "sex", NULL, "", NULL, true, false, 3,
     "fewer cells: leave out --missing\n"},
    {"one by one", "count", NULL, NULL, "", NULL, false, true, 3,
     "all sites as one: leave out --by-site\n"},
    {"some of the sites", "count", NULL, NULL, "", NULL, false, false, 5,
     "more sites: 3 of the 5 that hold data were asked\n"},
};

enum { SITES_ASKED = 3 };

static const char *advised(struct cx *cx, const struct naive *data, const struct row *row)
{
    char *variables[2] = {(char *)(uintptr_t)row->a, (char *)(uintptr_t)row->b};
    struct complaints c = complaints_new(cx);
    ProtobufCBinaryData sites[SITES_ASKED] = {{0}};
    struct buffer text = buffer_new(cx, 1 << 16);
    const struct analysis *analysis;
    struct regions regions;
    struct advice advice;
    Cohortium__Question *q;
    struct ast *cohort;
    struct asked asked;
    struct plan plan;

    CHECK_OK_(row->what, cx, naive_question(cx, data->cb, row->analysis, &q));
    q->params->n_variables = (size_t)(row->a != NULL) + (row->b != NULL);
    q->params->variables = variables;
    q->params->by = (char *)(uintptr_t)row->by;
    q->params->missing = row->missing;
    q->by_site = row->by_site;
    q->n_sites = SITES_ASKED;
    q->sites = sites;
    if (row->cohort != NULL) {
        CHECK_OK_(row->what, cx, cohort_parse(cx, data->cb, row->cohort, &cohort));
        CHECK_OK_(row->what, cx, ast_canonical(cx, data->cb, cohort, &cohort));
        CHECK_OK_(row->what, cx, ast_to_pb(cx, data->cb, cohort, &q->cohort));
    }
    CHECK_OK_(
        row->what, cx,
        question_open(cx, data->cb, q, true, 20, &c, &asked, &plan, &regions, &analysis));
    if (analysis == NULL)
        fail_msg("%s: %s", row->what, c.n > 0 ? c.list[0]->text : "nothing said");
    CHECK_OK_(row->what, cx, advice_make(cx, &asked, &plan, row->members, &advice));
    for (size_t i = 0; i < advice.n; i++)
        buffer_printf(&text, "%s\n", advice.lines[i]);
    return buffer_string(&text);
}

static void test_advice__follows_from_the_question(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    struct naive data;

    (void)state;
    CHECK_OK_("data", cx, naive_open(cx, "lung", "", &data));
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *text = advised(cx, &data, &rows[i]);

        if (text == NULL || strcmp(text, rows[i].want) != 0)
            fail_msg("%s: %s", rows[i].what, text == NULL ? "no memory" : text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_advice__follows_from_the_question),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

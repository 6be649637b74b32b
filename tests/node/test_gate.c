/* Each rule by its number: one patient short, just enough, zero. */
#include "node/vault/gate.h"

#include <math.h>

#include "tests/node/gate_case.h"

/* ---- static rules ---- */

static bool complains(struct gate_case *g, const char *code)
{
    static const struct analysis analysis = {.name = "table"};
    struct complaints c = complaints_new(g->cx);

    CHECK_OK_(code, g->cx,
              gate_preflight(g->cx, &g->policy, &g->asked, &g->plan, &analysis, &c));
    for (size_t i = 0; i < c.n; i++)
        if (strcmp(c.list[i]->code, code) == 0)
            return true;
    return false;
}

static void test_gate__R13_static_limits_levels(void **state)
{
    static const struct {
        const char *what;
        bool testing;
        uint64_t levels, cells;
        bool wide, many;
    } rows[] = {
        {"as many as allowed", false, 40, 1600, false, false},
        {"one level more", false, 41, 1600, true, false},
        {"one cell more", false, 40, 1601, false, true},
        {"testing", true, 41, 1601, false, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case g;

        gate_case_new(&g, rows[i].testing);
        g.plan.widest_levels = rows[i].levels;
        g.plan.table_cells = rows[i].cells;
        CHECK_EQ_(rows[i].what, complains(&g, "too_many_levels"), rows[i].wide);
        CHECK_EQ_(rows[i].what, complains(&g, "too_many_cells"), rows[i].many);
        gate_case_free(&g);
    }
}

static void test_gate__R20_needs_min_sites(void **state)
{
    static const struct {
        const char *what;
        double need;
        size_t sites;
        bool by_site, allowed, few, not_allowed;
    } rows[] = {
        {"three of three", 3, 3, false, false, false, false},
        {"two of three", 3, 2, false, false, true, false},
        {"one", 3, 1, false, false, true, false},
        {"four of five", 5, 4, false, false, true, false},
        {"five of five", 5, 5, false, false, false, false},
        {"by site, one, allowed", 3, 1, true, true, false, false},
        {"by site, not allowed", 3, 3, true, false, false, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case g;

        gate_case_new(&g, false);
        g.policy.number[POLICY_MIN_SITES] = rows[i].need;
        g.policy.number[POLICY_BY_SITE] = rows[i].allowed;
        g.question.n_sites = rows[i].sites;
        g.question.by_site = rows[i].by_site;
        CHECK_EQ_(rows[i].what, complains(&g, "too_few_sites"), rows[i].few);
        CHECK_EQ_(rows[i].what, complains(&g, "by_site_not_allowed"), rows[i].not_allowed);
        gate_case_free(&g);
    }
}

static void test_gate__only_allowed_statistics_are_answered(void **state)
{
    const char *others[] = {"count", "lm"}, *this[] = {"count", "table"};
    struct gate_case g;

    (void)state;
    gate_case_new(&g, false);
    CHECK_EQ_("all", complains(&g, "statistic_not_allowed"), false);
    g.policy.all_allowed = false;
    g.policy.n_allowed = 2;
    g.policy.allowed = this;
    CHECK_EQ_("listed", complains(&g, "statistic_not_allowed"), false);
    g.policy.allowed = others;
    CHECK_EQ_("not listed", complains(&g, "statistic_not_allowed"), true);
    g.policy.n_allowed = 0;
    CHECK_EQ_("none", complains(&g, "statistic_not_allowed"), true);
    gate_case_free(&g);
}

/* ---- regions ---- */

static void test_gate__R1_R2_R21_judge_regions(void **state)
{
    static const struct {
        const char *what;
        bool testing;
        double complement;
        uint64_t size, population;
        const char *rule; /* NULL: no objection */
    } rows[] = {
        {"enough in and out", false, 10, 10, 20, NULL},
        {"R1 one short", false, 10, 9, 1000, "R1:"},
        {"R1 zero alike", false, 10, 0, 1000, "R1:"},
        {"R1 just enough", false, 10, 10, 1000, NULL},
        {"R2 one short", false, 10, 991, 1000, "R2:"},
        {"R2 zero alike", false, 10, 1000, 1000, "R2:"},
        {"R2 just enough", false, 10, 990, 1000, NULL},
        {"R2 off", false, 0, 1000, 1000, NULL},
        {"R21 one short", false, 0, 9, 9, "R21:"},
        {"R21 just enough", false, 0, 10, 10, NULL},
        {"more than there are", false, 0, 11, 10, "regions:"},
        {"testing: one patient", true, 0, 1, 1, NULL},
        {"testing: nobody", true, 0, 0, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case g;
        uint64_t sizes[2];
        const char *why = "unset";
        const struct regions r = {.n = 2};

        gate_case_new(&g, rows[i].testing);
        g.policy.number[POLICY_MINIMUM_COMPLEMENT] = rows[i].complement;
        sizes[0] = rows[i].population / 2 >= 10 ? rows[i].population / 2 : rows[i].size;
        sizes[1] = rows[i].size;
        CHECK_OK_(rows[i].what, g.cx,
                  gate_regions(g.cx, &g.policy, &r, sizes, rows[i].population, NULL, &why));
        if (rows[i].rule == NULL)
            CHECK_(rows[i].what, why == NULL);
        else
            CHECK_(rows[i].what,
                   why != NULL && strncmp(why, rows[i].rule, strlen(rows[i].rule)) == 0);
        gate_case_free(&g);
    }
}

/* A cell of a table that may be withheld alone is no objection; what all rests on is. */
static void test_gate__an_optional_region_may_be_small(void **state)
{
    struct gate_case g;
    bool optional[3] = {true, false, true}, small[3];
    const struct regions r = {.n = 3, .optional = optional};
    uint64_t sizes[3] = {9, 500, 991};
    const char *why;

    (void)state;
    gate_case_new(&g, false);
    g.policy.number[POLICY_MINIMUM_COMPLEMENT] = 10;
    CHECK_OK_("optional", g.cx,
              gate_regions(g.cx, &g.policy, &r, sizes, 1000, small, &why));
    CHECK_("no objection", why == NULL && small[0] && !small[1] && small[2]);
    optional[0] = false;
    CHECK_OK_("needed", g.cx, gate_regions(g.cx, &g.policy, &r, sizes, 1000, small, &why));
    CHECK_("R1", why != NULL && strstr(why, "R1: region 1 of 3") != NULL);
    optional[0] = true;
    sizes[0] = 1001; /* of 1000: not a set of patients, whoever needs it */
    CHECK_OK_("impossible", g.cx,
              gate_regions(g.cx, &g.policy, &r, sizes, 1000, small, &why));
    CHECK_("impossible", why != NULL && strncmp(why, "regions:", 8) == 0);
    gate_case_free(&g);
}

static void test_gate__everybody_needs_no_region(void **state)
{
    struct gate_case g;
    const struct regions none = {.n = 0};
    const char *why;

    (void)state;
    gate_case_new(&g, false);
    CHECK_OK_("ten", g.cx, gate_regions(g.cx, &g.policy, &none, NULL, 10, NULL, &why));
    CHECK_("no objection", why == NULL);
    CHECK_OK_("nine", g.cx, gate_regions(g.cx, &g.policy, &none, NULL, 9, NULL, &why));
    CHECK_("R21", why != NULL);
    gate_case_free(&g);
}

/* ---- the veto ---- */

struct judged {
    const char *what;
    bool testing;
    uint64_t patients, rows;
    size_t parameters;
    uint64_t levels;
    const char *trouble;
    uint64_t smallest;
    const char *rule;
};

static const char *judge(struct gate_case *g, const struct guard_seen *guards, size_t n,
                         const double *sums)
{
    const char *why = "unset";

    CHECK_OK_("judge", g->cx,
              gate_judge(g->cx, &g->policy, &g->asked, &g->plan, g->result, guards, n, sums,
                         &why));
    return why;
}

static void check_rule(const char *what, const char *why, const char *rule)
{
    if (rule == NULL ? why != NULL : why == NULL || strncmp(why, rule, strlen(rule)) != 0)
        fail_msg("%s: objection %s, want %s", what, why == NULL ? "none" : why,
                 rule == NULL ? "none" : rule);
}

static void test_gate__R6_R7_R13_judge_the_pooled_model(void **state)
{
    static const struct judged rows[] = {
        {"fine", false, 200, 200, 5, 4, NULL, 50, NULL},
        {"R1 one patient short", false, 9, 900, 0, 0, NULL, 9, "R1:"},
        {"R1 just enough", false, 10, 900, 1, 0, NULL, 10, NULL},
        {"R6 one short", false, 100, 19, 10, 0, NULL, 50, "R6:"},
        {"R6 just enough", false, 100, 20, 10, 0, NULL, 50, NULL},
        {"R7 one parameter more", false, 100, 1000, 11, 0, NULL, 50, "R7:"},
        {"R7 just enough", false, 100, 1000, 10, 0, NULL, 50, NULL},
        {"R13 as dense as allowed", false, 100, 100, 2, 5, NULL, 50, NULL},
        {"R13 one level more", false, 100, 100, 2, 6, NULL, 50, "R13:"},
        {"R1 nobody in a cell", false, 100, 100, 2, 2, NULL, 0, "R1:"},
        {"R1 one short in a cell", false, 100, 100, 2, 2, NULL, 9, "R1:"},
        {"R1 just enough in a cell", false, 100, 100, 2, 2, NULL, 10, NULL},
        {"trouble in a large cell", false, 100, 100, 2, 2, "separated", 10, NULL},
        {"trouble in a small cell", false, 100, 100, 2, 2, "separated", 9, "R1:"},
        {"testing", true, 3, 3, 3, 30, "separated", 1, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct judged *j = &rows[i];
        struct gate_case g;

        gate_case_new(&g, j->testing);
        g.result->is_model = true;
        g.result->model_patients = j->patients;
        g.result->model_rows = j->rows;
        g.result->parameters = j->parameters;
        g.result->residual_df = (double)j->rows - (double)j->parameters;
        g.result->trouble = j->trouble;
        g.result->smallest_cell = j->smallest;
        g.plan.widest_levels = j->levels;
        const struct guard_seen guard = {.rule = GUARD_LEVERAGE, .largest = 0.01};
        check_rule(j->what, judge(&g, &guard, 1, NULL), j->rule);
        /* R13 needs the plan: its veto stands. The others hold at the door as well. */
        bool at_door = j->rule != NULL && strcmp(j->rule, "R13:") != 0;

        gate_case_release(&g, false);
        CHECK_EQ_(j->what, g.body->released, !at_door);
        gate_case_free(&g);
    }
}

static void test_gate__R13_a_two_by_two_table_of_228_patients_passes(void **state)
{
    static const double counts[] = {63, 26, 75, 64}; /* survival::lung, status by sex */
    static const uint64_t patients[] = {63, 26, 75, 64};
    struct gate_case g;

    (void)state;
    gate_case_new(&g, false);
    assert_non_null(result_put(g.result, "counts", COHORTIUM__ITEM_KIND__COUNTS, 2, 2,
                               counts, patients));
    g.plan.widest_levels = 2;
    check_rule("two levels", judge(&g, NULL, 0, NULL), NULL);
    g.plan.widest_levels = 11;
    check_rule("0.05 * 228 = 11.4", judge(&g, NULL, 0, NULL), NULL);
    g.plan.widest_levels = 12;
    check_rule("12 levels", judge(&g, NULL, 0, NULL), "R13:");
    gate_case_free(&g);
}

static void test_gate__R9_a_model_whose_leverages_nobody_saw_is_not_released(void **state)
{
    const struct guard_seen leverage = {.rule = GUARD_LEVERAGE, .largest = 0.01},
                            other = {.rule = GUARD_DOMINANCE, .largest = 0};
    struct gate_case g;

    (void)state;
    gate_case_new(&g, false);
    g.result->is_model = true;
    g.result->model_patients = g.result->model_rows = g.result->smallest_cell = 200;
    g.result->residual_df = 198;
    check_rule("no guard", judge(&g, NULL, 0, NULL), "R9:");
    check_rule("another guard", judge(&g, &other, 1, NULL), "R9:");
    check_rule("seen", judge(&g, &leverage, 1, NULL), NULL);
    g.result->trouble = "separated"; /* no numbers to speak of */
    check_rule("trouble", judge(&g, NULL, 0, NULL), NULL);
    gate_case_free(&g);
}

static void test_gate__R4_R9_judge_the_largest_patient(void **state)
{
    static const struct {
        const char *what;
        bool testing;
        enum guard_rule rule;
        double largest, pooled;
        const char *want;
    } rows[] = {
        {"R4 below 0.9 / 2", false, GUARD_DOMINANCE, 44.9, 100, NULL},
        {"R4 reaches 0.9 / 2", false, GUARD_DOMINANCE, 45, 100, "R4:"},
        {"R4 of a sum that is not known", false, GUARD_DOMINANCE, 1, NAN, "R4:"},
        {"R4 nothing here", false, GUARD_DOMINANCE, 0, 0, NULL},
        {"R4 in a cell that is withheld", false, GUARD_DOMINANCE, 5, INFINITY, NULL},
        {"R4 nothing elsewhere", false, GUARD_DOMINANCE, 1, 1, "R4:"},
        {"R9 as much as allowed", false, GUARD_LEVERAGE, 0.1, NAN, NULL},
        {"R9 a little more", false, GUARD_LEVERAGE, 0.1000001, NAN, "R9:"},
        {"R9 not a number", false, GUARD_LEVERAGE, NAN, NAN, "R4, R9:"},
        {"testing R4", true, GUARD_DOMINANCE, 1, 1, NULL},
        {"testing R9", true, GUARD_LEVERAGE, 1, NAN, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case g;
        const struct guard_seen guards[] = {
            {.rule = GUARD_LEVERAGE, .largest = 0.01},
            {.rule = rows[i].rule, .largest = rows[i].largest}};
        const double sums[] = {NAN, rows[i].pooled};

        gate_case_new(&g, rows[i].testing);
        check_rule(rows[i].what, judge(&g, guards, 2, sums), rows[i].want);
        gate_case_free(&g);
    }
}

/* ---- cells ---- */

static void test_gate__R1_R17_a_count_needs_the_threshold_and_is_rounded(void **state)
{
    static const struct {
        const char *what;
        bool testing;
        double base;
        uint64_t patients;
        int state;
        double value;
    } rows[] = {
        {"one short", false, 5, 9, 1, 0},
        {"zero alike", false, 5, 0, 1, 0},
        {"just enough", false, 5, 10, 0, 10},
        {"12 to 10", false, 5, 12, 0, 10},
        {"13 to 15", false, 5, 13, 0, 15},
        {"base 10: 15 is a tie, upward", false, 10, 15, 0, 20},
        {"base 10: 14", false, 10, 14, 0, 10},
        {"base 3", false, 3, 13, 0, 12},
        {"base 0: exact", false, 0, 13, 0, 13},
        {"base 1: exact", false, 1, 13, 0, 13},
        {"testing: one", true, 0, 1, 0, 1},
        {"testing: nobody", true, 0, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case g;
        double value = (double)rows[i].patients;

        gate_case_new(&g, rows[i].testing);
        g.policy.number[POLICY_ROUNDING_BASE] = rows[i].base;
        assert_non_null(result_put(g.result, "patients", COHORTIUM__ITEM_KIND__COUNTS, 1, 1,
                                   &value, &rows[i].patients));
        gate_case_release(&g, false);
        CHECK_EQ_(rows[i].what, g.body->released, rows[i].state == 0);
        CHECK_EQ_(rows[i].what, g.body->exact_for_testing, rows[i].testing);
        CHECK_EQ_(rows[i].what, gate_case_state(&g, "patients", 0), rows[i].state);
        if (rows[i].state == 0)
            CHECK_(rows[i].what, gate_case_value(&g, "patients", 0) == rows[i].value);
        else
            CHECK_(rows[i].what, g.body->result == NULL);
        gate_case_free(&g);
    }
}

struct table {
    const char *what;
    bool zeros, sensitive_rows, sensitive_columns;
    size_t rows, columns;
    uint64_t cells[16];
    const char *states; /* a digit a cell */
};

static void check_table(const struct table *t)
{
    struct gate_case g;
    double values[16];
    struct item *item;

    gate_case_new(&g, false);
    g.policy.number[POLICY_ZEROS_ARE_DISCLOSIVE] = !t->zeros;
    for (size_t i = 0; i < t->rows * t->columns; i++)
        values[i] = (double)t->cells[i];
    item = result_put(g.result, "counts", COHORTIUM__ITEM_KIND__COUNTS, t->rows, t->columns,
                      values, t->cells);
    assert_non_null(item);
    item->sensitive_rows = t->sensitive_rows;
    item->sensitive_columns = t->sensitive_columns;
    gate_case_release(&g, false);
    for (size_t i = 0; i < t->rows * t->columns; i++)
        if (gate_case_state(&g, "counts", i) != t->states[i] - '0')
            fail_msg("%s: cell %zu has state %d, want %c", t->what, i,
                     gate_case_state(&g, "counts", i), t->states[i]);
    gate_case_free(&g);
}

static void test_gate__R3_a_class_that_says_it_of_nearly_all_is_withheld(void **state)
{
    static const struct table rows[] = {
        {"just below 0.95", false, true, false, 2, 1, {949, 51}, "00"},
        {"0.95", false, true, false, 2, 1, {950, 50}, "11"},
        {"0.95 of a variable that is not sensitive",
         false,
         false,
         false,
         2,
         1,
         {950, 50},
         "00"},
        {"one column of two", false, true, false, 2, 2, {950, 500, 50, 500}, "1111"},
        {"one column of three",
         false,
         true,
         false,
         2,
         3,
         {950, 500, 500, 50, 500, 500},
         "110110"},
        {"columns are sensitive: one row",
         false,
         false,
         true,
         3,
         2,
         {950, 50, 500, 400, 500, 450},
         "111100"},
        {"everybody", false, true, false, 1, 1, {100}, "1"},
        {"a zero of a sensitive variable", true, true, false, 3, 1, {0, 100, 100}, "110"},
        {"a zero of another variable", true, false, false, 3, 1, {0, 100, 100}, "000"},
        {"a zero where zeros are disclosive",
         false,
         false,
         false,
         3,
         1,
         {0, 100, 100},
         "110"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check_table(&rows[i]);
}

static void test_gate__R25_a_withheld_cell_does_not_follow_from_the_rest(void **state)
{
    static const struct table rows[] = {
        {"none is small", false, false, false, 3, 1, {10, 20, 30}, "000"},
        {"one small: the next goes with it", false, false, false, 3, 1, {9, 20, 30}, "110"},
        {"two small, ten together", false, false, false, 3, 1, {5, 5, 30}, "110"},
        {"two small, nine together", false, false, false, 3, 1, {4, 5, 30}, "111"},
        {"the first of two alike", false, false, false, 3, 1, {30, 4, 30}, "110"},
        {"two by two: all", false, false, false, 2, 2, {9, 20, 30, 40}, "1111"},
        {"three by three: a rectangle",
         false,
         false,
         false,
         3,
         3,
         {9, 30, 40, 50, 60, 70, 20, 80, 90},
         "110000110"},
        {"a zero that is shown hides nothing", true, false, false, 3, 1, {0, 9, 30}, "011"},
        /* The 3 is the first two rows less the first two columns: the 50 goes with it. */
        {"one between two rectangles",
         false,
         false,
         false,
         4,
         4,
         {5, 5, 50, 90, 5, 5, 3, 90, 90, 90, 5, 5, 90, 90, 5, 5},
         "1110111000110011"},
        {"two between two rectangles, seven together: a third",
         false,
         false,
         false,
         4,
         4,
         {5, 5, 4, 90, 5, 5, 3, 90, 90, 90, 5, 5, 90, 90, 5, 5},
         "1111111000110011"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check_table(&rows[i]);
}

static void test_gate__a_scalar_zero_is_withheld_whatever_the_policy(void **state)
{
    static const struct table row = {"one cell", true, false, false, 1, 1, {0}, "1"};

    (void)state;
    check_table(&row);
}

static void test_gate__rows_of_a_cell_are_withheld_with_its_patients(void **state)
{
    static const uint64_t patients[] = {100, 60, 20};
    static const double by_patients[] = {100, 60, 20}, by_rows[] = {9990, 5, 5};
    struct gate_case g;
    struct item *item;

    (void)state;
    gate_case_new(&g, false);
    item = result_put(g.result, "counts", COHORTIUM__ITEM_KIND__COUNTS, 3, 1, by_patients,
                      patients);
    assert_non_null(item);
    item->sensitive_rows = true;
    item = result_put(g.result, "row_counts", COHORTIUM__ITEM_KIND__COUNTS, 3, 1, by_rows,
                      patients);
    assert_non_null(item);
    item->sensitive_rows = true; /* R3 bites the rows only */
    gate_case_release(&g, false);
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ_("rows", gate_case_state(&g, "row_counts", i), 1);
        CHECK_EQ_("patients", gate_case_state(&g, "counts", i), 1);
    }
    gate_case_free(&g);
}

static void test_gate__R3_takes_the_mean_along(void **state)
{
    static const char *const names[] = {"age", "ill"};
    static const uint64_t levels[] = {5000, 500, 100, 500}; /* 0, 1 by two groups */
    static const double counts[] = {5000, 500, 100, 500};
    static const double means[] = {60, 61, 0.0196, 0.5}, steps[] = {100, 100, 1, 1};
    static const uint64_t support[] = {5100, 1000, 100, 500};
    static const struct {
        const char *what;
        bool sensitive;
        int state;
    } rows[] = {{"sensitive", true, 1}, {"not sensitive", false, 0}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case g;
        struct item *item;

        gate_case_new(&g, false);
        assert_non_null(result_words(g.result, "variables", names, 2));
        item =
            result_put(g.result, "mean", COHORTIUM__ITEM_KIND__MEANS, 2, 2, means, support);
        assert_non_null(item);
        item->steps = cx_memdup(g.cx, steps, sizeof steps);
        item = result_put(g.result, "counts:ill", COHORTIUM__ITEM_KIND__COUNTS, 2, 2,
                          counts, levels);
        assert_non_null(item);
        item->sensitive_rows = rows[i].sensitive;
        gate_case_release(&g, false);
        CHECK_EQ_("age of group 1", gate_case_state(&g, "mean", 0), 0);
        CHECK_EQ_(rows[i].what, gate_case_state(&g, "mean", 2), rows[i].state);
        CHECK_EQ_(rows[i].what, gate_case_state(&g, "counts:ill", 0), rows[i].state);
        gate_case_free(&g);
    }
}

/* ---- R22 ---- */

static void test_gate__R22_missing_and_used_are_shown_together_or_not_at_all(void **state)
{
    static const struct {
        const char *what;
        bool testing;
        uint64_t all, used, missing;
        int used_state, missing_state;
        double n, dropped;
        bool note;
    } rows[] = {
        {"both large", false, 228, 214, 14, 0, 0, 215, 15, false},
        {"missing just enough", false, 228, 218, 10, 0, 0, 220, 10, false},
        {"missing one short: n before exclusions", false, 228, 219, 9, 0, 1, 230, 0, true},
        {"nothing missing alike", false, 228, 228, 0, 0, 1, 230, 0, true},
        {"used one short", false, 228, 9, 219, 1, 1, 0, 0, false},
        {"nobody used", false, 228, 0, 228, 1, 1, 0, 0, false},
        {"both small", false, 9, 5, 4, 1, 1, 0, 0, false},
        {"testing", true, 228, 227, 1, 0, 0, 227, 1, false},
        {"testing, nothing missing", true, 228, 228, 0, 0, 0, 228, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case g;
        uint64_t all = rows[i].all, used = rows[i].used, missing = rows[i].missing;

        gate_case_new(&g, rows[i].testing);
        g.result->has_accounting = true;
        g.result->accounting = (struct accounting){
            "n", "dropped", 1, &all, &used, &missing, &all, &used, &missing};
        gate_case_release(&g, false);
        CHECK_EQ_(rows[i].what, gate_case_state(&g, "n", 0), rows[i].used_state);
        CHECK_EQ_(rows[i].what, gate_case_state(&g, "dropped", 0), rows[i].missing_state);
        if (rows[i].used_state == 0)
            CHECK_(rows[i].what, gate_case_value(&g, "n", 0) == rows[i].n);
        if (rows[i].missing_state == 0)
            CHECK_(rows[i].what, gate_case_value(&g, "dropped", 0) == rows[i].dropped);
        CHECK_EQ_(rows[i].what, g.body->released, rows[i].used_state == 0);
        if (g.body->released)
            CHECK_EQ_(rows[i].what, g.body->result->n_notes, rows[i].note);
        gate_case_free(&g);
    }
}

static void test_gate__R22_rows_of_weight_zero_are_a_third_part(void **state)
{
    static const struct {
        const char *what, *weights;
        uint64_t used, missing;
        int missing_state;
        double n;
    } rows[] = {
        {"ten of weight zero", "w", 198, 20, 0, 200},
        {"nine", "w", 199, 20, 1, 230},
        {"none alike", "w", 208, 20, 1, 230},
        {"no weights: there is no third part", "", 208, 20, 0, 210},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case g;
        Cohortium__Params params = COHORTIUM__PARAMS__INIT;
        Cohortium__Model model = COHORTIUM__MODEL__INIT;
        uint64_t all = 228, used = rows[i].used, missing = rows[i].missing;

        gate_case_new(&g, false);
        model.weights = (char *)rows[i].weights;
        params.model = &model;
        g.question.params = &params;
        g.result->has_accounting = true;
        g.result->accounting = (struct accounting){
            "n", "dropped", 1, &all, &used, &missing, &all, &used, &missing};
        gate_case_release(&g, false);
        CHECK_EQ_(rows[i].what, gate_case_state(&g, "dropped", 0), rows[i].missing_state);
        CHECK_(rows[i].what, gate_case_value(&g, "n", 0) == rows[i].n);
        gate_case_free(&g);
    }
}

/* ---- what a release holds ---- */

static void put_fit(struct gate_case *g)
{
    static const double coef[] = {1.5, NAN}, se[] = {0.1, NAN}, one = 3;
    struct item *item;

    g->result->is_model = true;
    g->result->model_patients = g->result->model_rows = 200;
    g->result->parameters = 2;
    g->result->residual_df = 198;
    g->result->smallest_cell = 200;
    item = result_put(g->result, "coef", COHORTIUM__ITEM_KIND__ESTIMATES, 2, 1, coef, NULL);
    assert_non_null(item);
    item->steps = cx_memdup(g->cx, se, sizeof se);
    assert_non_null(
        result_put(g->result, "vcov", COHORTIUM__ITEM_KIND__EXACT, 1, 1, &one, NULL));
    assert_non_null(
        result_put(g->result, "rank", COHORTIUM__ITEM_KIND__PLAIN, 1, 1, &one, NULL));
    result_note(g->result, "a note");
}

static void test_gate__trouble_is_named_without_numbers(void **state)
{
    static const struct {
        const char *what;
        bool testing;
        const char *trouble;
        int coef, exact, undefined;
        size_t notes;
    } rows[] = {
        {"fine", false, NULL, 0, 3, 2, 1},
        {"trouble", false, "no finite estimate", 3, 3, 3, 2},
        {"testing", true, NULL, 0, 0, 2, 1},
        {"testing, trouble", true, "no finite estimate", 0, 0, 2, 2},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case g;

        gate_case_new(&g, rows[i].testing);
        put_fit(&g);
        g.result->trouble = rows[i].trouble;
        gate_case_release(&g, false);
        CHECK_EQ_(rows[i].what, gate_case_state(&g, "coef", 0), rows[i].coef);
        CHECK_EQ_(rows[i].what, gate_case_state(&g, "coef", 1), rows[i].undefined);
        CHECK_EQ_(rows[i].what, gate_case_state(&g, "vcov", 0), rows[i].exact);
        CHECK_EQ_(rows[i].what, g.body->result->n_notes, rows[i].notes);
        gate_case_free(&g);
    }
}

static void test_gate__not_released_says_nothing(void **state)
{
    struct gate_case g;

    (void)state;
    gate_case_new(&g, false);
    put_fit(&g);
    gate_case_release(&g, true);
    CHECK_EQ_("released", g.body->released, false);
    CHECK_("no result", g.body->result == NULL);
    CHECK_("reference", g.body->reference.len == 8 &&
                            memcmp(g.body->reference.data, gate_reference, 8) == 0);
    size_t size = release_body(g.release).n;

    /* The rules at the door end in the same bytes as a veto. */
    g.result->residual_df = 9;
    gate_case_release(&g, false);
    CHECK_EQ_("released", g.body->released, false);
    CHECK_EQ_("as long as any other", release_body(g.release).n, size);
    CHECK_("the log hears why", strncmp(release_details(g.release), "R6:", 3) == 0);
    gate_case_free(&g);
}

static void test_gate__a_release_carries_the_session_policy_and_no_typed_text(void **state)
{
    struct gate_case g;
    Cohortium__Params params = COHORTIUM__PARAMS__INIT;
    Cohortium__Model model = COHORTIUM__MODEL__INIT;
    struct policy p;

    (void)state;
    gate_case_new(&g, false);
    model.formula = (char *)"status ~ what the first of us typed";
    params.model = &model;
    g.question.params = &params;
    g.policy.not_before = 7;
    put_fit(&g);
    gate_case_release(&g, false);
    CHECK_("formula", g.body->question->params->model->formula[0] == '\0');
    CHECK_("the question is left alone", model.formula[0] == 's');
    CHECK_OK_("policy", g.cx, policy_open(g.cx, g.body->policy, false, &p));
    CHECK_("threshold", p.number[POLICY_MINIMUM_FREQUENCY_THRESHOLD] == 10);
    CHECK_("no dates, no text", p.not_before == 0 && g.body->policy->text[0] == '\0');
    gate_case_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate__R13_static_limits_levels),
        cmocka_unit_test(test_gate__R20_needs_min_sites),
        cmocka_unit_test(test_gate__only_allowed_statistics_are_answered),
        cmocka_unit_test(test_gate__R1_R2_R21_judge_regions),
        cmocka_unit_test(test_gate__an_optional_region_may_be_small),
        cmocka_unit_test(test_gate__everybody_needs_no_region),
        cmocka_unit_test(test_gate__R6_R7_R13_judge_the_pooled_model),
        cmocka_unit_test(test_gate__R13_a_two_by_two_table_of_228_patients_passes),
        cmocka_unit_test(test_gate__R9_a_model_whose_leverages_nobody_saw_is_not_released),
        cmocka_unit_test(test_gate__R4_R9_judge_the_largest_patient),
        cmocka_unit_test(test_gate__R1_R17_a_count_needs_the_threshold_and_is_rounded),
        cmocka_unit_test(test_gate__R3_a_class_that_says_it_of_nearly_all_is_withheld),
        cmocka_unit_test(test_gate__R25_a_withheld_cell_does_not_follow_from_the_rest),
        cmocka_unit_test(test_gate__a_scalar_zero_is_withheld_whatever_the_policy),
        cmocka_unit_test(test_gate__rows_of_a_cell_are_withheld_with_its_patients),
        cmocka_unit_test(test_gate__R3_takes_the_mean_along),
        cmocka_unit_test(test_gate__R22_missing_and_used_are_shown_together_or_not_at_all),
        cmocka_unit_test(test_gate__R22_rows_of_weight_zero_are_a_third_part),
        cmocka_unit_test(test_gate__trouble_is_named_without_numbers),
        cmocka_unit_test(test_gate__not_released_says_nothing),
        cmocka_unit_test(test_gate__a_release_carries_the_session_policy_and_no_typed_text),
    };

    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}

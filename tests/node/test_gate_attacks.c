/*
 * test_gate_attacks.c - a researcher with a valid permit after one patient's value, over
 * three vaults: each attack ends in the same words whatever the value is, and beside it
 * stands the honest question that is answered.
 */
#include <math.h>

#include "tests/node/attack_case.h"

/* ---- A18, R11: somebody or nobody ---- */

static void test_gate_attacks__nobody_in_a_cell_is_like_somebody(void **state)
{
    const struct all all = everybody();
    double most = all.list[all.n - 1].row.score;
    static const struct {
        const char *what;
        double beyond;
        bool want;
    } rows[] = {
        {"nobody is above", 0.0001, false},
        {"one patient is", -0.0001, false},
        {"half of them are", -4, true},
    };
    (void)state;

    /* Bisection over the cut would find the largest score to any digit. */
    for (size_t i = 0; i < COUNT(rows); i++) {
        char formula[64];
        const struct question q = {.analysis = "lm", .formula = formula};

        (void)snprintf(formula, sizeof formula, "age ~ I(score > %.17g)",
                       most + rows[i].beyond);
        CHECK_EQ_(rows[i].what, is_released(&q, NULL, HOME, "R"), rows[i].want);
    }
}

static void test_gate_attacks__R4_says_nothing_of_a_withheld_group(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    static const struct question q = {
        .analysis = "describe", .variable = "age", .by = "status"};
    (void)state;

    for (size_t ones = 0; ones < 4; ones++) {
        struct play p;
        const Cohortium__Release *r = ask_whole(&p, &q, cases_of(cx, ones, 40));

        CHECK_("released, with none, one, two or three of status 1", r->released);
        for (size_t g = 0; g < 2; g++)
            CHECK_EQ_("n of either group would tell the other (R25)", state_of(r, "n", g),
                      1);
        CHECK_EQ_("the mean of forty", state_of(r, "mean", 0), 0);
        CHECK_EQ_("the mean of a few", state_of(r, "mean", 1), 1);
        play_free(&p);
    }
}

/* ---- R1: few cases in a model ---- */

static void test_gate_attacks__R1_few_cases_do_not_show_as_a_rate(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    static const struct question q = {
        .analysis = "glm", .formula = "status ~ 1", .family = "binomial"};
    static const struct {
        const char *what;
        size_t ones, zeros;
        bool want;
    } rows[] = {
        {"nine cases of a hundred", 9, 91, false},
        {"ten", 10, 90, true},
        {"all but nine", 60, 9, false},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_EQ_(rows[i].what,
                  is_released(&q, cases_of(cx, rows[i].ones, rows[i].zeros), HOME, "R1"),
                  rows[i].want);
}

static void test_gate_attacks__R1_a_line_is_no_way_to_count_cases(void **state)
{
    static const struct {
        struct question q;
        bool invalid;
    } rows[] = {
        {{.analysis = "lm", .formula = "status ~ 1"}, true},
        {{.analysis = "lm", .formula = "log(status + 1) ~ 1"}, true},
        {{.analysis = "glm", .formula = "status ~ 1", .family = "poisson"}, true},
        {{.analysis = "glm", .formula = "status ~ 1", .family = "gaussian"}, true},
        {{.analysis = "glm", .formula = "status ~ 1", .family = "quasibinomial"}, false},
        {{.analysis = "lm", .formula = "score ~ status"}, false},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct envelope e;
        Cohortium__Preflight *pre;
        struct play p;

        ask_question(&p, &rows[i].q, NULL);
        CHECK_OK_("preflight", p.cx, play_preflight(&p, VICTIM));
        CHECK_OK_("open", p.cx,
                  envelope_open(p.cx, ENVELOPE_PREFLIGHT, p.preflight[VICTIM], &e));
        CHECK_OK_("open", p.cx,
                  pb_unpack(p.cx, &cohortium__preflight__descriptor, e.body,
                            envelope_bound(ENVELOPE_PREFLIGHT), &pre));
        CHECK_EQ_(rows[i].q.formula, pre->n_complaints, rows[i].invalid);
        if (rows[i].invalid)
            assert_string_equal(pre->complaints[0]->code, "binary_response");
        play_free(&p);
    }
}

/* ---- R6: the spread of a few ---- */

static void test_gate_attacks__R6_a_spread_needs_degrees_of_freedom(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    static const struct question q = {.analysis = "describe", .variable = "age"};
    (void)state;

    for (size_t n = 10; n <= 11; n++) {
        const struct pick pick = {n, -1, ANY_SITE, 0};
        struct play p;
        const Cohortium__Release *r = ask_whole(&p, &q, cohort_of(cx, &pick, 1));

        CHECK_EQ_("mean", state_of(r, "mean", 0), 0);
        CHECK_EQ_("ten degrees of freedom are enough", state_of(r, "sd", 0), n == 10);
        CHECK_EQ_("ten degrees of freedom are enough", state_of(r, "var", 0), n == 10);
        play_free(&p);
    }
}

/* ---- R2: all but a few, in pieces ---- */

static void test_gate_attacks__R2_all_but_nine_by_group_are_all_but_nine(void **state)
{
    static const struct question rows[] = {
        {.analysis = "count"},
        {.analysis = "table", .formula = "sex"},
        {.analysis = "describe", .variable = "score", .by = "sex"},
        {.analysis = "lm", .formula = "score ~ sex"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        CHECK_EQ_(rows[i].analysis, is_released(&rows[i], "age < 80", HOME, "R2"), false);
        CHECK_EQ_(rows[i].analysis, is_released(&rows[i], "age < 60", HOME, ""), true);
    }
}

/* ---- R1: a group of few, among others ---- */

static void test_gate_attacks__R1_few_in_a_group_withhold_the_group(void **state)
{
    /* Males of 80 and older are fewer than ten; the cohort is not. */
    static const char cohort[] =
        "sex == 'female' and age < 60 or sex == 'male' and age >= 80";
    static const struct question table = {.analysis = "table", .formula = "sex"},
                                 line = {.analysis = "lm", .formula = "score ~ sex"},
                                 many = {.analysis = "table", .formula = "sex"};
    struct play p;
    (void)state;

    const Cohortium__Release *r = ask_whole(&p, &table, cohort);
    CHECK_("a table", r->released);
    CHECK_EQ_("women follow from all and men", state_of(r, "counts", 0), 1);
    CHECK_EQ_("men", state_of(r, "counts", 1), 1);
    play_free(&p);
    CHECK_EQ_("a model needs both", is_released(&line, cohort, HOME, "R1"), false);
    r = ask_whole(&p, &many, "age >= 60");
    CHECK_("enough of both", r->released);
    CHECK_EQ_("women", state_of(r, "counts", 0), 0);
    CHECK_EQ_("men", state_of(r, "counts", 1), 0);
    play_free(&p);
    r = ask_whole(&p, &many, "age < 60");
    CHECK_("enough of both", r->released);
    CHECK_EQ_("these women less from the first cohort are the few men",
              state_of(r, "counts", 0), 1);
    play_free(&p);
}

/* ---- R3: a cohort that tells of all others ---- */

static void test_gate_attacks__R3_a_cohort_tells_no_class(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    static const struct question q = {.analysis = "count"};
    const struct pick young = {9, 1, ANY_SITE, 60}, many = {10, 1, ANY_SITE, 60},
                      zeros = {30, 0, ANY_SITE, 60};
    const struct {
        const char *what, *cohort;
        int state;
    } rows[] = {
        /* Less `age >= 60`, which is a question of its own. */
        {"nine more than the region",
         cx_printf(cx, "age >= 60 or (status == 1 and (%s))", cohort_of(cx, &young, 1)), 1},
        {"ten more",
         cx_printf(cx, "age >= 60 or (status == 1 and (%s))", cohort_of(cx, &many, 1)), 0},
        {"nobody more: they all have status 0",
         cx_printf(cx, "age >= 60 or (status == 1 and (%s))", cohort_of(cx, &zeros, 1)), 1},
        {"nobody more, and nothing said of it",
         cx_printf(cx, "age >= 60 or (%s)", cohort_of(cx, &young, 1)), 0},
        {"nearly everybody", "status == 1 or score > -9", 1},
        {"four of ten", "status == 1", 0},
        {"they have a value", "not is missing(status)", 0},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct play p;

        assert_non_null(rows[i].cohort);
        const Cohortium__Release *r = ask_whole(&p, &q, rows[i].cohort);
        CHECK_EQ_(rows[i].what, r->released, rows[i].state == 0);
        if (r->released) {
            CHECK_EQ_(rows[i].what, state_of(r, "patients", 0), 0);
            CHECK_EQ_(rows[i].what, state_of(r, "rows", 0), 0);
        }
        play_free(&p);
    }
}

/* ---- R4: a model whose response is one patient's ---- */

/* One patient of home has the first score, everybody else the other. */
static void score(double one, double others)
{
    for (size_t s = 0; s < VAULTS; s++) {
        for (size_t i = 0; i < t.site[s].n; i++)
            t.site[s].rows[i].score = s == HOME && i == 10 ? one : others;
        vaults_import(&t, s);
    }
}

static void test_gate_attacks__R4_a_mean_that_is_one_patients(void **state)
{
    static const struct question rows[] = {
        {.analysis = "describe", .variable = "score"},
        {.analysis = "lm", .formula = "score ~ 1"},
        {.analysis = "lm", .formula = "score ~ sex"},
        {.analysis = "glm", .formula = "score ~ 1", .family = "gaussian"},
    };
    (void)state;

    score(10, 0.03125); /* 10 of 16.5 */
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_EQ_(rows[i].analysis, is_released(&rows[i], NULL, HOME, "R4"), false);
    score(10, 0.25); /* 10 of 62.25, and of some 30 of those who are of the same sex */
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_EQ_(rows[i].analysis, is_released(&rows[i], NULL, HOME, ""), true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(cautious, test_gate_attacks__nobody_in_a_cell_is_like_somebody),
        UNDER(cautious, test_gate_attacks__R4_says_nothing_of_a_withheld_group),
        UNDER(cautious, test_gate_attacks__R1_few_cases_do_not_show_as_a_rate),
        UNDER(cautious, test_gate_attacks__R1_a_line_is_no_way_to_count_cases),
        UNDER(cautious, test_gate_attacks__R6_a_spread_needs_degrees_of_freedom),
        UNDER(cautious, test_gate_attacks__R2_all_but_nine_by_group_are_all_but_nine),
        UNDER(cautious, test_gate_attacks__R1_few_in_a_group_withhold_the_group),
        UNDER(cautious, test_gate_attacks__R3_a_cohort_tells_no_class),
        UNDER(cautious, test_gate_attacks__R4_a_mean_that_is_one_patients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

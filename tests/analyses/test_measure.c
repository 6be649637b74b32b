/* What measures promise: intervals that hold, checks before any row, three-valued logic. */
#include "analyses/measure.h"

#include <math.h>

#include "analyses/cohort.h"
#include "tests/analyses/naive.h"
#include "tests/check.h"

static struct measure *fresh(struct cx *cx, struct naive *data)
{
    struct measure *m;

    CHECK_OK_("open", cx, naive_open(cx, "lung", "", data));
    CHECK_OK_("new", cx, measure_new(cx, data->cb, &m));
    return m;
}

static void test_measure__equal_expressions_are_one_node(void **state)
{
    struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    struct naive data;
    struct measure *m = fresh(cx, &data);
    ref age = m_column(m, codebook_find(data.cb, "age")), two = m_const(m, 2);
    ref a = m_binary(m, M_ADD, age, two), b = m_binary(m, M_ADD, two, age);

    (void)state;
    assert_int_equal(a, b);
    assert_int_equal(m_binary(m, M_MUL, age, m_const(m, 1)), age);
    assert_int_equal(m_binary(m, M_LT, age, m_const(m, -5)), m_const(m, 0));
    assert_int_equal(m_binary(m, M_POW, age, two), m_binary(m, M_MUL, age, age));
    assert_int_equal(m_clamp(m, age, -1e6, 1e6), age);
    assert_int_equal(m->fault, FAULT_NONE);
    cx_free(&cx);
}

/* Every node of every operation, over a grid of values within bounds, is in its interval.
 */
static void test_measure__intervals_hold(void **state)
{
    static const enum measure_op unary[] = {M_NEG, M_ABS, M_FLOOR, M_EXP, M_EXPM1};
    static const enum measure_op binary[] = {M_ADD, M_SUB, M_MUL, M_MIN, M_MAX};
    struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    struct naive data;
    struct measure *m = fresh(cx, &data);
    int loss = codebook_find(data.cb, "wt_loss"), age = codebook_find(data.cb, "age");
    ref x = m_binary(m, M_DIV, m_column(m, loss), m_const(m, 7)), y = m_column(m, age);
    double values[64] = {0}, low, high, low_y, high_y;
    bool valid[64];

    (void)state;
    memset(valid, 1, sizeof valid);
    for (size_t i = 0; i < COUNT(unary); i++)
        (void)m_unary(m, unary[i], x);
    for (size_t i = 0; i < COUNT(binary); i++)
        (void)m_binary(m, binary[i], x, y);
    for (int p = -3; p <= 5; p++) {
        (void)m_binary(m, M_POW, y, m_const(m, p));
        if (p > 0)
            (void)m_binary(m, M_POW, x, m_const(m, p));
    }
    (void)m_unary(m, M_LOG, y);
    (void)m_unary(m, M_SQRT, y);
    (void)m_unary(m, M_LOG1P, y);
    (void)m_unary(m, M_LGAMMA, y);
    (void)m_binary(m, M_MUL, x, x);
    for (int link = LINK_LOGIT; link <= LINK_CLOGLOG; link++)
        for (int part = PART_MU; part <= PART_DMU_OVER_1_MU; part++) {
            (void)m_link(m, (enum measure_link)link, (enum measure_part)part, x);
            (void)m_link(m, (enum measure_link)link, (enum measure_part)part,
                         m_binary(m, M_MUL, x, m_const(m, 300)));
        }
    for (int part = PART_MU; part <= PART_DMU_OVER_1_MU; part++)
        (void)m_link(m, LINK_INVERSE, (enum measure_part)part, y);
    assert_int_equal(m->fault, FAULT_NONE);
    variable_range(codebook_variable(data.cb, loss), &low, &high);
    variable_range(codebook_variable(data.cb, age), &low_y, &high_y);
    double *out = cx_array(cx, m->n_nodes, sizeof *out);
    for (int i = 0; i <= 40; i++)
        for (int j = 0; j <= 10; j++) {
            values[loss] = low + (high - low) * i / 40;
            values[age] = low_y + (high_y - low_y) * j / 10;
            measure_eval_all(m, values, valid, out);
            for (size_t n = 1; n < m->n_nodes; n++)
                if (!(out[n] >= m->nodes[n].lower && out[n] <= m->nodes[n].upper) ||
                    (m->nodes[n].whole && values[loss] == floor(values[loss]) &&
                     values[age] == floor(values[age]) && out[n] != floor(out[n])))
                    fail_msg("node %zu op %d part %d: %.17g outside [%.17g, %.17g]", n,
                             (int)m->nodes[n].op, (int)m->nodes[n].part, out[n],
                             m->nodes[n].lower, m->nodes[n].upper);
        }
    cx_free(&cx);
}

static void test_measure__what_is_not_finite_is_refused(void **state)
{
    static const char *const what[] = {"1 / wt_loss", "log(wt_loss)", "exp(exp(age))",
                                       "age^17", "1 / age (fine)"};

    (void)state;
    for (size_t i = 0; i < COUNT(what); i++) {
        struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
        struct naive data;
        struct measure *m = fresh(cx, &data);
        ref age = m_column(m, codebook_find(data.cb, "age")), one = m_const(m, 1);
        ref loss = m_column(m, codebook_find(data.cb, "wt_loss"));

        if (i == 0)
            (void)m_binary(m, M_DIV, one, loss);
        if (i == 1)
            (void)m_unary(m, M_LOG, loss);
        if (i == 2)
            (void)m_unary(m, M_EXP, m_unary(m, M_EXP, age));
        if (i == 3)
            (void)m_binary(m, M_POW, age, m_const(m, 17));
        if (i == 4)
            (void)m_binary(m, M_DIV, one, age);
        CHECK_EQ_(what[i], m->fault, i == 4 ? FAULT_NONE : FAULT_INVALID);
        cx_free(&cx);
    }
}

/* A row counts where the cohort is true; unknown is not true, nor is its contrary. */
static void test_measure__three_valued_logic(void **state)
{
    static const struct {
        const char *cohort;
        bool with_value, without;
    } rows[] = {
        {"wt_loss > 10", true, false},
        {"not (wt_loss > 10)", false, false},
        {"wt_loss > 10 or age > 40", true, true},
        {"not (wt_loss > 10 and age > 80)", true, true},
        {"is missing(wt_loss)", false, true},
        {"is not missing(wt_loss)", true, false},
        {"not (wt_loss in (1, 2))", true, false},
        {"wt_loss between 10 and 30 and age > 40", true, false},
        {"not (wt_loss between 10 and 30)", false, false},
    };
    struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    struct naive data;
    double values[64] = {0};
    bool valid[64];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct measure *m = fresh(cx, &data);
        int loss = codebook_find(data.cb, "wt_loss");
        struct ast *cohort;

        memset(valid, 1, sizeof valid);
        values[loss] = 20;
        values[codebook_find(data.cb, "age")] = 60;
        CHECK_OK_(rows[i].cohort, cx, cohort_parse(cx, data.cb, rows[i].cohort, &cohort));
        ref where = m_is_true(m, cohort);
        CHECK_EQ_(rows[i].cohort, measure_eval(m, where, values, valid),
                  rows[i].with_value);
        valid[loss] = false;
        values[loss] = 1e300; /* whatever stands there is not read */
        CHECK_EQ_(rows[i].cohort, measure_eval(m, where, values, valid), rows[i].without);
    }
    cx_free(&cx);
}

static enum fault close_sum(struct cx *cx, bool guarded, bool in_key)
{
    struct naive data;
    struct measure *m = fresh(cx, &data);
    int loss = codebook_find(data.cb, "wt_loss");
    ref sum = m_column(m, loss);
    struct measure_key key = {.expr = m_binary(m, M_MAX, sum, m_const(m, 0)), .size = 100};
    struct block block = {.where = guarded ? m_valid(m, loss) : m_const(m, 1)};

    if (in_key) {
        block.keys = &key;
        block.n_keys = 1;
    } else {
        block.sums = &sum;
        block.n_sums = 1;
    }
    (void)measure_block(m, &block);
    return measure_close(m, 20);
}

static void test_measure__where_must_imply_valid(void **state)
{
    struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);

    (void)state;
    assert_int_equal(close_sum(cx, true, false), FAULT_NONE);
    assert_int_equal(close_sum(cx, true, true), FAULT_NONE);
    assert_int_equal(close_sum(cx, false, false), FAULT_INTERNAL);
    assert_int_equal(close_sum(cx, false, true), FAULT_INTERNAL);
    cx_free(&cx);
}

static void test_measure__keys_fit_their_sizes(void **state)
{
    static const struct {
        const char *what;
        uint32_t size;
        enum fault want;
    } rows[] = {{"all levels", 2, FAULT_NONE}, {"one too few", 1, FAULT_INVALID}};
    struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct naive data;
        struct measure *m = fresh(cx, &data);
        int sex = codebook_find(data.cb, "sex");
        struct measure_key key = {.expr = m_column(m, sex), .size = rows[i].size};
        struct block block = {.where = m_valid(m, sex), .keys = &key, .n_keys = 1};

        (void)measure_block(m, &block);
        CHECK_EQ_(rows[i].what, measure_close(m, 20), rows[i].want);
    }
    cx_free(&cx);
}

/* Link parts against each other, where the textbook forms lose all digits. */
static void test_measure__links_keep_digits_in_the_tails(void **state)
{
    (void)state;
    for (double eta = -30; eta <= 30; eta += 0.25) {
        for (int l = LINK_LOGIT; l <= LINK_CLOGLOG; l++) {
            enum measure_link link = (enum measure_link)l;
            double mu = link_part(link, PART_MU, eta),
                   one = link_part(link, PART_1_MU, eta);
            double dmu = link_part(link, PART_DMU, eta);

            assert_true(mu > 0 && one > 0 && mu <= 1 && one <= 1);
            assert_true(fabs(mu + one - 1) < 1e-15);
            assert_true(fabs(link_part(link, PART_LOG_MU, eta) - log(mu)) <
                        1e-12 * (1 + fabs(log(mu))));
            assert_true(fabs(link_part(link, PART_DMU_OVER_MU, eta) * mu - dmu) <=
                        1e-11 * dmu + 1e-300);
            assert_true(fabs(link_part(link, PART_DMU_OVER_1_MU, eta) * one - dmu) <=
                        1e-11 * dmu + 1e-300);
        }
        double h = 1e-5; /* d2mu by a difference quotient */
        double slope = (link_part(LINK_PROBIT, PART_DMU, eta + h) -
                        link_part(LINK_PROBIT, PART_DMU, eta - h)) /
                       (2 * h);
        assert_true(fabs(slope - link_part(LINK_PROBIT, PART_D2MU, eta)) < 1e-8);
    }
    /* Mills ratio at 9, from its continued fraction (Abramowitz and Stegun 26.2.14) */
    double fraction = 9;
    for (int i = 200; i > 0; i--)
        fraction = 9 + i / fraction;
    double mills = link_part(LINK_PROBIT, PART_DMU_OVER_1_MU, 9);
    assert_true(fabs(mills / fraction - 1) < 1e-13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measure__equal_expressions_are_one_node),
        cmocka_unit_test(test_measure__intervals_hold),
        cmocka_unit_test(test_measure__what_is_not_finite_is_refused),
        cmocka_unit_test(test_measure__three_valued_logic),
        cmocka_unit_test(test_measure__where_must_imply_valid),
        cmocka_unit_test(test_measure__keys_fit_their_sizes),
        cmocka_unit_test(test_measure__links_keep_digits_in_the_tails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

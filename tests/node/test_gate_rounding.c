/* How counts are given: the table of errors, random and controlled rounding, and that the
 * same patients come out alike (R17, R18). */
#include "node/vault/gate_cellkey.h"
#include "node/vault/gate_controlled.h"

#include <math.h>

#include "tests/node/random_table.h"

/* ---- the table of errors ---- */

/* The thresholds back as probabilities, by error from -d on. */
static size_t errors_of(const struct cellkey *t, uint64_t count, double *p)
{
    size_t wide = 2 * (size_t)t->d + 1, row = count < t->rows ? count : t->rows - 1;
    double before = 0;

    for (size_t k = 0; k < wide; k++) {
        uint64_t u = t->upper[row * wide + k];
        double upper = u == UINT64_MAX ? 1 : ldexp((double)u, -64);

        p[k] = upper - before;
        before = upper;
    }
    return wide;
}

/* Mean and variance are what was asked for, and log p is a parabola in the error: of all
 * such distributions there is one, that of largest entropy. */
static void test_gate_rounding__errors_have_mean_0_and_variance_V(void **state)
{
    static const struct {
        int d, js;
        double v;
        uint64_t count;
    } rows[] = {{2, 0, 1, 1},  {2, 0, 1, 2},   {2, 2, 1, 100}, {5, 2, 3, 3},
                {5, 2, 3, 5},  {5, 2, 3, 8},   {1, 0, 0.5, 1}, {10, 5, 9, 6},
                {10, 5, 9, 9}, {10, 5, 9, 60}, {3, 1, 0.7, 2}, {4, 0, 15, 50}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
        double p[2 * CELLKEY_D_MAX + 1], sum = 0, mean = 0, variance = 0;
        double at[3] = {0}, value[3] = {0};
        struct cellkey *t;
        size_t seen = 0;

        CHECK_OK_("table", cx, cellkey_new(cx, rows[i].d, rows[i].v, rows[i].js, &t));
        for (size_t k = 0, n = errors_of(t, rows[i].count, p); k < n; k++) {
            double v = (double)k - rows[i].d, out = (double)rows[i].count + v;

            sum += p[k];
            mean += p[k] * v;
            variance += p[k] * v * v;
            if (out < 0 || (out > 0 && out <= rows[i].js)) {
                CHECK_("nothing that must not come out", p[k] == 0);
                continue;
            }
            CHECK_("everything else can", p[k] > 0);
            if (seen < 3) {
                at[seen] = v;
                value[seen++] = log(p[k]);
                continue;
            }
            double l0 = (v - at[1]) * (v - at[2]) / ((at[0] - at[1]) * (at[0] - at[2]));
            double l1 = (v - at[0]) * (v - at[2]) / ((at[1] - at[0]) * (at[1] - at[2]));
            double l2 = (v - at[0]) * (v - at[1]) / ((at[2] - at[0]) * (at[2] - at[1]));
            double want = l0 * value[0] + l1 * value[1] + l2 * value[2];

            if (fabs(log(p[k]) - want) > 1e-6)
                fail_msg("row %zu: error %g has log p %.9f, want %.9f", i, v, log(p[k]),
                         want);
        }
        if (fabs(sum - 1) > 1e-12 || fabs(mean) > 1e-9 ||
            fabs(variance - rows[i].v) > 1e-9 * rows[i].v)
            fail_msg("row %zu: sum %.15f, mean %.3g, variance %.12f", i, sum, mean,
                     variance);
    }
}

static double entropy(const double *p)
{
    double sum = 0;

    for (size_t k = 0; k < 5; k++)
        sum -= p[k] > 0 ? p[k] * log(p[k]) : 0;
    return sum;
}

/* CRAN's ptable 1.0.0, vignette "introduction": create_cnt_ptable(D = 2, V = 1). Its row of
 * 1 lets no error of more come before one of less, at the variance 0.932: ours has the
 * larger entropy at that variance. */
static void test_gate_rounding__errors_are_those_of_ptable(void **state)
{
    static const double row_1[5] = {0, 0.3665, 0.3665, 0.1676, 0.0995};
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    double p[5];
    struct cellkey *t;

    (void)state;
    CHECK_OK_("table", cx, cellkey_new(cx, 2, 1, 0, &t));
    CHECK_EQ_("errors", errors_of(t, 2, p), 5);
    CHECK_("of -2", fabs(p[0] - 0.0638) < 5e-5);
    CHECK_("of 0", fabs(p[2] - 0.383) < 5e-4);
    CHECK_("of 2", fabs(p[4] - 0.0638) < 5e-5);
    CHECK_OK_("table", cx, cellkey_new(cx, 2, 0.932, 0, &t));
    CHECK_EQ_("errors", errors_of(t, 1, p), 5);
    CHECK_("entropy", entropy(p) > entropy(row_1) && entropy(p) < entropy(row_1) + 0.01);
}

static void test_gate_rounding__a_key_picks_its_error(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct cellkey *t;
    uint64_t key = 1;
    size_t n[5] = {0};

    (void)state;
    CHECK_OK_("table", cx, cellkey_new(cx, 2, 1, 2, &t));
    CHECK_EQ_("zero stays", cellkey_count(t, 0, UINT64_MAX), 0);
    CHECK_EQ_("the smallest key", cellkey_count(t, 100, 0), 98);
    CHECK_EQ_("the largest key", cellkey_count(t, 100, UINT64_MAX), 102);
    for (size_t i = 0; i < 100000; i++) {
        key = key * 6364136223846793005u + 1442695040888963407u;
        uint64_t out = cellkey_count(t, 1000, key);

        CHECK_("within the largest error", out >= 998 && out <= 1002);
        n[out - 998]++;
    }
    CHECK_("as often as the table says",
           n[2] > 37800 && n[2] < 38800 && n[0] > 6000 && n[0] < 6800);
}

/* ---- random rounding ---- */

static void test_gate_rounding__random_is_right_on_average(void **state)
{
    static const uint64_t counts[] = {10, 11, 14, 17, 19, 20, 1003};

    (void)state;
    for (size_t i = 0; i < COUNT(counts); i++) {
        uint64_t key = 99;
        double sum = 0;

        for (size_t k = 0; k < 100000; k++) {
            key = key * 6364136223846793005u + 1442695040888963407u;
            uint64_t out = cellkey_random(counts[i], 10, key);

            CHECK_("a multiple", out % 10 == 0);
            CHECK_("next to it", out + 10 > counts[i] && out < counts[i] + 10);
            sum += (double)out;
        }
        CHECK_("right on average", fabs(sum / 100000 - (double)counts[i]) < 0.06);
    }
    CHECK_EQ_("no base", cellkey_random(17, 0, 5), 17);
}

/* ---- controlled rounding ---- */

static void test_gate_rounding__controlled_adds_up(void **state)
{
    static const uint64_t bases[] = {2, 3, 5, 10};
    uint64_t seed = 4711;

    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
        size_t rows = 1 + table_random(&seed, 12), columns = 1 + table_random(&seed, 12);
        uint64_t base = bases[table_random(&seed, 4)];
        double values[144], total[169] = {0}, *out;
        size_t wide = columns + 1;
        bool free[169];

        for (size_t k = 0; k < rows * columns; k++) {
            values[k] = (double)table_draw(&seed, (enum table_kind)(i % TABLE_KINDS), 10);
            total[k / columns * wide + k % columns] = values[k];
            total[k / columns * wide + columns] += values[k];
            total[rows * wide + k % columns] += values[k];
            total[rows * wide + columns] += values[k];
        }
        for (size_t k = 0; k < COUNT(free); k++) /* in every other table */
            free[k] = i % 2 == 1 && table_random(&seed, 4) == 0;
        CHECK_OK_("round", cx,
                  controlled_round(cx, rows, columns, values, free, base, &out));
        for (size_t r = 0; r <= rows; r++) {
            double across = 0;

            for (size_t c = 0; c <= columns; c++) {
                double x = total[r * wide + c], y = out[r * wide + c];

                across += c < columns ? y : -y;
                CHECK_("a multiple", fmod(y, (double)base) == 0);
                if (free[r * wide + c])
                    continue;
                CHECK_("less than the base off", fabs(x - y) < (double)base);
                CHECK_("a multiple stays", fmod(x, (double)base) != 0 || x == y);
            }
            CHECK_("a row's total is the sum", across == 0);
        }
        for (size_t c = 0; c <= columns; c++) {
            double down = -out[rows * wide + c];

            for (size_t r = 0; r < rows; r++)
                down += out[r * wide + c];
            CHECK_("a column's total is the sum", down == 0);
        }
    }
}

/* Four withheld cells may hold other numbers with the same totals: what is given of the
 * table is rounded no other way. */
static void test_gate_rounding__controlled_says_nothing_of_what_is_withheld(void **state)
{
    uint64_t seed = 1815;

    (void)state;
    for (size_t i = 0; i < 300; i++) {
        AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
        double values[16], *first, *out;
        bool free[25] = {false};

        for (size_t k = 0; k < 16; k++)
            values[k] = (double)(30 + table_random(&seed, 60));
        free[0] = free[2] = free[10] = free[12] =
            true; /* (0,0) (0,2) (2,0) (2,2) of 5 by 5 */
        CHECK_OK_("round", cx, controlled_round(cx, 4, 4, values, free, 5, &first));
        for (int move = -7; move <= 7; move++) {
            double other[16];

            memcpy(other, values, sizeof other);
            other[0] += move, other[2] -= move;
            other[8] -= move, other[10] += move;
            CHECK_OK_("round", cx, controlled_round(cx, 4, 4, other, free, 5, &out));
            for (size_t k = 0; k < 25; k++)
                CHECK_("the same", free[k] || out[k] == first[k]);
        }
    }
}

/* ---- through the gate ---- */

static void release_table(struct gate_case *g, enum rounding_mode mode, double base,
                          uint64_t *keys, bool three)
{
    static uint64_t cells[8] = {33, 12, 18, 29, 41, 52, 63, 77};
    static const size_t three_totals = 27 - 8;
    double values[27];
    struct item *item;

    gate_case_new(g, false);
    g->policy.number[POLICY_ROUNDING_MODE] = mode;
    g->policy.number[POLICY_ROUNDING_BASE] = base;
    for (size_t i = 0; i < 8; i++)
        values[i] = (double)cells[i];
    for (size_t i = 0; i < 2; i++) {
        item = result_put(g->result, i == 0 ? "counts" : "row_counts",
                          COHORTIUM__ITEM_KIND__COUNTS, 2, 4, values, cells);
        assert_non_null(item);
        item->shape = three ? (struct shape){3, {2, 2, 2}} : (struct shape){2, {2, 4}};
        item->keys = keys;
        item->totals_at = i == 0 ? 2 : 0;
    }
    struct published p = {.n_dims = item->shape.n_dims};

    memcpy(p.size, item->shape.size, sizeof p.size);
    memcpy(p.cell, cells, sizeof cells);
    published_sum(&p);
    CHECK_EQ_("totals", p.n_sums, three ? three_totals : 15 - 8);
    for (size_t i = 0; i < p.n_sums; i++)
        values[i] = (double)p.sum[i];
    assert_non_null(result_put(g->result, "totals", COHORTIUM__ITEM_KIND__COUNTS, p.n_sums,
                               1, values, p.sum));
    gate_case_release(g, false);
}

static void test_gate_rounding__controlled_tables_add_up_when_released(void **state)
{
    struct gate_case g;

    (void)state;
    release_table(&g, ROUND_CONTROLLED, 5, NULL, false);
    double all = 0;

    for (size_t r = 0; r < 2; r++) {
        double sum = 0;

        for (size_t c = 0; c < 4; c++) {
            sum += gate_case_value(&g, "counts", r * 4 + c);
            CHECK_("patients and rows alike",
                   gate_case_value(&g, "counts", r * 4 + c) ==
                       gate_case_value(&g, "row_counts", r * 4 + c));
        }
        CHECK_EQ_("a row", gate_case_value(&g, "totals", r), sum);
        all += sum;
    }
    for (size_t c = 0; c < 4; c++)
        CHECK_EQ_("a column", gate_case_value(&g, "totals", 2 + c),
                  gate_case_value(&g, "counts", c) + gate_case_value(&g, "counts", 4 + c));
    CHECK_EQ_("all", gate_case_value(&g, "totals", 6), all);
    gate_case_free(&g);
    release_table(&g, ROUND_CONTROLLED, 5, NULL, true);
    CHECK_EQ_("three variables: the nearest", gate_case_value(&g, "counts", 1), 10);
    CHECK_EQ_("and their totals", gate_case_value(&g, "totals", 0), 45);
    gate_case_free(&g);
    release_table(&g, ROUND_NEAREST, 5, NULL, false);
    CHECK_EQ_("the nearest", gate_case_value(&g, "counts", 1), 10);
    CHECK_EQ_("of the true total", gate_case_value(&g, "totals", 0), 90);
    gate_case_free(&g);
}

static void test_gate_rounding__the_same_patients_come_out_alike(void **state)
{
    uint64_t keys[8], others[8];
    struct gate_case a, b;
    size_t moved = 0, differ = 0;

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        keys[i] = (i + 1) * 0x1fffffffffffffffu;
        others[i] = ~keys[i];
    }
    release_table(&a, ROUND_CELL_KEY, 0, keys, false);
    release_table(&b, ROUND_CELL_KEY, 0, keys, true);
    for (size_t i = 0; i < 8; i++) {
        double x = gate_case_value(&a, "counts", i);

        CHECK_("in another table", gate_case_value(&b, "counts", i) == x);
        CHECK_("as rows", gate_case_value(&a, "row_counts", i) == x);
        moved += fabs(x - a.result->items[0].values[i]) > 0;
        CHECK_("within the error", fabs(x - a.result->items[0].values[i]) <= 2);
    }
    CHECK_("some are moved", moved >= 3);
    CHECK_EQ_("a total without a key: to the nearest of five",
              (int)gate_case_value(&a, "totals", 0) % 5, 0);
    gate_case_free(&b);
    release_table(&b, ROUND_CELL_KEY, 0, others, false);
    for (size_t i = 0; i < 8; i++)
        differ += gate_case_value(&a, "counts", i) != gate_case_value(&b, "counts", i);
    CHECK_("others do not", differ >= 3);
    gate_case_free(&b);
    gate_case_free(&a);
    release_table(&a, ROUND_RANDOM, 10, keys, false);
    for (size_t i = 0; i < 8; i++) {
        double x = a.result->items[0].values[i];

        CHECK_EQ_("random", gate_case_value(&a, "counts", i),
                  cellkey_random((uint64_t)x, 10, keys[i]));
    }
    gate_case_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate_rounding__errors_have_mean_0_and_variance_V),
        cmocka_unit_test(test_gate_rounding__errors_are_those_of_ptable),
        cmocka_unit_test(test_gate_rounding__a_key_picks_its_error),
        cmocka_unit_test(test_gate_rounding__random_is_right_on_average),
        cmocka_unit_test(test_gate_rounding__controlled_adds_up),
        cmocka_unit_test(test_gate_rounding__controlled_says_nothing_of_what_is_withheld),
        cmocka_unit_test(test_gate_rounding__controlled_tables_add_up_when_released),
        cmocka_unit_test(test_gate_rounding__the_same_patients_come_out_alike),
    };

    return cmocka_run_group_tests_name("gate_rounding", tests, NULL, NULL);
}

/*
 * What node/vault/engine.h promises, against a plain evaluation of each row
 * (measure_eval_all) and sums in 128-bit integers whose terms are floored from a product
 * exact in an own way: the two factors' mantissas multiplied, the quotient by the quantum
 * taken with floor division.
 */
#include <fenv.h>
#include <math.h>

#include "node/vault/engine.h"
#include "node/vault/engine_plan.h"
#include "tests/node/dataset_fixture.h"

static const char *const kernels[] = {"portable", "avx2", "avx512"};

/* floor(x * y * 2^scale) by frexp and repeated halving. */
static fixed plain_term(double x, double y, int scale)
{
    int ex, ey;
    double fx = frexp(x, &ex), fy = frexp(y, &ey);
    fixed product = (fixed)(int64_t)ldexp(fx, 53) * (int64_t)ldexp(fy, 53);
    int shift = ex + ey - 106 + scale;

    for (; shift > 0; shift--)
        product *= 2;
    for (; shift < 0 && product != 0 && product != -1; shift++)
        product = (product - (product % 2 != 0 && product < 0)) / 2;
    return product;
}

/* ---- the plain evaluator ---- */

static void plain_sums(const struct measure *m, const struct block *b, const double *out,
                       ufixed *sums)
{
    for (size_t i = 0; i < b->n_sums; i++)
        sums[i] += (ufixed)plain_term(out[b->sums[i]], 1, b->scales[i]);
    for (size_t w = 0; w < b->n_weights; w++)
        for (size_t i = 0; i < b->n_design; i++)
            for (size_t j = i; j < b->n_design; j++) {
                size_t at = block_gram(b, w, i, j);
                double x = out[b->design[i]];

                if (b->weights[w] != 0)
                    x = out[b->weights[w]] * x;
                sums[at] += (ufixed)plain_term(x, out[b->design[j]], b->scales[at]);
            }
    for (size_t r = 0; r < b->n_rhs; r++)
        for (size_t i = 0; i < b->n_design; i++) {
            size_t at = block_rhs(b, r, i);

            sums[at] +=
                (ufixed)plain_term(out[b->rhs[r]], out[b->design[i]], b->scales[at]);
        }
    (void)m;
}

static size_t plain_cell(const struct block *b, const double *out)
{
    size_t cell = 0;

    for (size_t k = 0; k < b->n_keys; k++)
        cell = cell * b->keys[k].size + (size_t)out[b->keys[k].expr];
    return cell;
}

/* guards: blocks x guards x cells as engine_run lays them. */
static struct tally *plain_run(struct cx *cx, const struct measure *m,
                               const struct fixture_rows *f, size_t from, size_t to,
                               double *guards)
{
    struct tally *t;
    double *out = cx_array(cx, m->n_nodes, sizeof *out);
    size_t guard = 0;

    CHECK_OK_("tally", cx, tally_new(cx, m->n_counts, m->n_sums, &t));
    for (size_t k = 0; k < m->n_blocks; k++) {
        const struct block *b = &m->blocks[k];
        int64_t *last = cx_array(cx, b->n_cells, sizeof *last);
        double *totals = cx_array(cx, b->n_cells * (b->n_guards + 1), sizeof *totals);

        for (size_t c = 0; c < b->n_cells; c++)
            last[c] = -1;
        for (size_t i = from; i < to; i++) {
            double values[F_ALL] = {0};
            bool valid[F_ALL] = {false};

            for (size_t v = 1; v < F_ALL; v++) {
                valid[v] = f->valid[v][i];
                values[v] = f->values[v][i];
            }
            measure_eval_all(m, values, valid, out);
            if (out[b->where] == 0)
                continue;
            size_t cell = plain_cell(b, out);
            bool fresh = last[cell] != (int64_t)f->ordinal[i];

            last[cell] = f->ordinal[i];
            t->counts[b->first_count + 2 * cell] += fresh;
            t->counts[b->first_count + 2 * cell + 1]++;
            plain_sums(m, b, out, t->sums + b->first_sum + cell * b->n_numbers);
            for (size_t g = 0; g < b->n_guards; g++) {
                double *total = &totals[g * b->n_cells + cell];

                *total = (fresh ? 0 : *total) + out[b->guards[g].expr];
                if (guards != NULL)
                    guards[guard + g * b->n_cells + cell] =
                        fmax(guards[guard + g * b->n_cells + cell], *total);
            }
        }
        guard += b->n_guards * b->n_cells;
    }
    return t;
}

static void check_same(const char *row, const struct tally *got, const struct tally *want)
{
    CHECK_EQ_(row, got->n_counts, want->n_counts);
    CHECK_EQ_(row, got->n_sums, want->n_sums);
    for (size_t i = 0; i < want->n_counts; i++)
        if (got->counts[i] != want->counts[i])
            fail_msg("%s: count %zu: got %llu, want %llu", row, i,
                     (unsigned long long)got->counts[i],
                     (unsigned long long)want->counts[i]);
    for (size_t i = 0; i < want->n_sums; i++)
        if (got->sums[i] != want->sums[i])
            fail_msg("%s: sum %zu differs by %lld quanta", row, i,
                     (long long)(got->sums[i] - want->sums[i]));
}

static struct fixture_rows part_of(const struct fixture_rows *f, size_t from, size_t to)
{
    struct fixture_rows part = {.rows = to - from};

    for (size_t v = 1; v < F_ALL; v++) {
        part.values[v] = f->values[v] + from;
        part.valid[v] = f->valid[v] + from;
    }
    return part;
}

/* The engine over sites cut at patients' borders, on every kernel, against the plain sums.
 */
static void check_measure(struct cx *cx, const char *row, const struct measure *m,
                          const struct fixture_rows *f, size_t sites, bool plain)
{
    struct tally *want = plain ? plain_run(cx, m, f, 0, f->rows, NULL) : NULL;

    for (size_t k = 0; k < COUNT(kernels); k++) {
        struct tally *sum;
        size_t from = 0;

        assert_int_equal(setenv("COHORTIUM_KERNEL", kernels[k], 1), 0);
        CHECK_OK_(row, cx, tally_new(cx, m->n_counts, m->n_sums, &sum));
        for (size_t s = 0; s < sites; s++) {
            size_t to = s + 1 == sites ? f->rows : f->rows * (s + 1) / sites;

            while (to > from && to < f->rows && f->ordinal[to] == f->ordinal[to - 1])
                to++;
            struct fixture_rows part = part_of(f, from, to);

            part.ordinal = cx_array(cx, part.rows + 1, sizeof *part.ordinal);
            for (size_t i = from; i < to; i++)
                part.ordinal[i - from] = f->ordinal[i] - f->ordinal[from];
            part.patients = part.rows == 0 ? 0 : part.ordinal[part.rows - 1] + 1;
            struct dataset *d = fixture_dataset(cx, &part);
            struct site_sums sums;

            CHECK_OK_(row, cx, engine_run(cx, d, m, &sums));
            CHECK_OK_(row, cx, tally_add(cx, sum, sums.tally));
            dataset_release(&d);
            from = to;
        }
        if (want == NULL)
            want = sum;
        check_same(kernels[k], sum, want);
    }
    assert_int_equal(unsetenv("COHORTIUM_KERNEL"), 0);
}

/* ---- measures ---- */

static struct measure *new_measure(struct cx *cx)
{
    struct codebook *cb;
    struct measure *m;

    CHECK_OK_("codebook", cx, codebook_from_body(cx, fixture_body(), &cb));
    CHECK_OK_("measure", cx, measure_new(cx, cb, &m));
    return m;
}

static ref complete(struct measure *m)
{
    ref all = m_const(m, 1);

    for (int v = 1; v < F_ALL; v++)
        all = m_binary(m, M_AND, all, m_valid(m, v));
    return all;
}

static ref number(struct measure *m, double x)
{
    return m_const(m, x);
}

/* All shapes: counts, keyed sums, gram with and without weights, right sides. No libm. */
static struct measure *many_shapes(struct cx *cx, unsigned rows_log2)
{
    struct measure *m = new_measure(cx);
    ref age = m_column(m, F_AGE), bmi = m_column(m, F_BMI), big = m_column(m, F_BIG);
    ref day = m_column(m, F_DAY), sex = m_column(m, F_SEX), dx = m_column(m, F_DX);
    ref old = m_binary(m, M_AND, m_valid(m, F_AGE), m_binary(m, M_LE, number(m, 50), age));
    ref coded =
        m_binary(m, M_AND, old, m_binary(m, M_AND, m_valid(m, F_SEX), m_valid(m, F_DX)));
    ref where = m_binary(m, M_AND, complete(m), old);
    ref centred = m_binary(m, M_SUB, bmi, number(m, 27.125));
    ref cube = m_binary(m, M_MUL, centred, m_binary(m, M_MUL, centred, centred));
    ref inverse = m_binary(m, M_DIV, number(m, 1), bmi);
    ref root = m_unary(m, M_SQRT, m_unary(m, M_ABS, big));
    ref either = m_select(m, m_binary(m, M_EQ, sex, number(m, 1)), centred, big);
    ref design[] = {number(m, 1), centred, big, inverse, sex, m_binary(m, M_MIN, age, bmi),
                    root};
    ref weights[] = {0, m_binary(m, M_MUL, inverse, inverse)};
    ref rhs[] = {either, m_column(m, F_DEAD)};
    ref sums[] = {bmi,
                  cube,
                  m_unary(m, M_NEG, day),
                  root,
                  m_unary(m, M_FLOOR, bmi),
                  m_binary(m, M_ADD, m_binary(m, M_MUL, bmi, big), age)};
    struct measure_key keys[] = {{sex, 2}, {dx, 5}};

    (void)measure_block(m, &(struct block){.where = m_const(m, 1)});
    (void)measure_block(m, &(struct block){.where = coded, .n_keys = 2, .keys = keys});
    (void)measure_block(m, &(struct block){.where = where,
                                           .n_sums = COUNT(sums),
                                           .sums = sums,
                                           .n_design = COUNT(design),
                                           .design = design,
                                           .n_weights = 2,
                                           .weights = weights,
                                           .n_rhs = 2,
                                           .rhs = rhs});
    (void)measure_block(m, &(struct block){.where = where,
                                           .n_sums = COUNT(sums),
                                           .sums = sums,
                                           .n_keys = 2,
                                           .keys = keys,
                                           .n_design = 3,
                                           .design = design,
                                           .n_weights = 2,
                                           .weights = weights,
                                           .n_rhs = 1,
                                           .rhs = rhs});
    CHECK_OK_("close", cx, measure_close(m, rows_log2));
    return m;
}

static void test_engine__same_sums_for_any_split_and_kernel(void **state)
{
    static const struct {
        const char *what;
        size_t rows, sites;
        double per_patient;
        unsigned rows_log2;
    } rows[] = {
        {"one site", 5000, 1, 1, 40},
        {"three sites", 5000, 3, 1, 40},
        {"seven sites, patients of several rows", 5003, 7, 3.5, 40},
        {"no row at all", 0, 1, 1, 40},
        {"one row", 1, 1, 1, 40},
        {"just one row block", 256, 1, 1, 40},
        {"one row more", 257, 1, 4, 40},
        {"beyond two words (integers on every kernel)", 700, 2, 2, 20},
        {"at the edge of two words", 4100, 1, 1, 39},
        {"long enough for many drains", 30000, 1, 2, 40},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cx *cx = cx_new(1 << 30, CX_NO_DEADLINE);
        struct fixture_rows f = fixture_make(cx, rows[i].rows, rows[i].per_patient, i);

        check_measure(cx, rows[i].what, many_shapes(cx, rows[i].rows_log2), &f,
                      rows[i].sites, true);
        cx_free(&cx);
    }
}

/* Functions of the library: the same bits on every kernel and split, and near libm's
 * values. */
static void test_engine__functions_are_the_same_on_every_kernel(void **state)
{
    struct cx *cx = cx_new(1 << 30, CX_NO_DEADLINE);
    struct fixture_rows f = fixture_make(cx, 3000, 2, 11);
    struct measure *m = new_measure(cx);
    ref bmi = m_column(m, F_BMI), sums[80];
    ref eta = m_binary(m, M_MUL, m_binary(m, M_SUB, bmi, number(m, 45)), number(m, 0.3));
    ref near =
        m_binary(m, M_MUL, m_binary(m, M_SUB, bmi, number(m, 45)), number(m, 0x1p-6));
    size_t n = 0;

    (void)state;
    sums[n++] = m_unary(m, M_EXP, eta);
    sums[n++] = m_unary(m, M_EXP, m_binary(m, M_MUL, eta, number(m, -60)));
    sums[n++] = m_unary(m, M_EXPM1, near);
    sums[n++] = m_unary(m, M_LOG, bmi);
    sums[n++] = m_unary(m, M_LOG, m_binary(m, M_MUL, bmi, number(m, 0x1p-1030)));
    sums[n++] = m_unary(m, M_LOG1P, near);
    sums[n++] = m_unary(m, M_LGAMMA, bmi);
    sums[n++] = m_binary(m, M_POW, bmi, number(m, 5));
    sums[n++] = m_binary(m, M_POW, bmi, number(m, -3));
    for (int link = LINK_LOGIT; link <= LINK_INVERSE; link++)
        for (int part = PART_MU; part <= PART_DMU_OVER_1_MU; part++) {
            ref at = link == LINK_LOG        ? m_binary(m, M_SUB, near, number(m, 1))
                     : link == LINK_INVERSE  ? bmi
                     : link == LINK_IDENTITY ? m_binary(m, M_DIV, bmi, number(m, 81))
                                             : eta;
            sums[n++] = m_link(m, (enum measure_link)link, (enum measure_part)part, at);
        }
    for (size_t i = 0; i < n; i++)
        (void)measure_block(
            m, &(struct block){.where = complete(m), .n_sums = 1, .sums = &sums[i]});
    CHECK_OK_("close", cx, measure_close(m, 40));
    check_measure(cx, "functions", m, &f, 3, false);

    struct tally *want = plain_run(cx, m, &f, 0, f.rows, NULL);
    struct dataset *d = fixture_dataset(cx, &f);
    struct site_sums got;

    CHECK_OK_("run", cx, engine_run(cx, d, m, &got));
    for (size_t i = 0; i < n; i++) {
        double a = pooled_number(m, got.tally, i, 0, 0).hi;
        double b = pooled_number(m, want, i, 0, 0).hi;

        /* 3000 terms of one sign or nearly so, each within 2 units in the last place */
        if (!(fabs(a - b) <= 1e-14 * fabs(b) + 3e-13))
            fail_msg("function %zu: %.17g, libm %.17g", i, a, b);
    }
    dataset_release(&d);
    cx_free(&cx);
}

/* Row by row: each function within 3 units of the last place of libm's. */
static void test_engine__functions_are_near_libm(void **state)
{
    static const struct {
        const char *what;
        enum measure_op op;
        double from, to;
    } rows[] = {
        {"exp", M_EXP, -745, 709},
        {"exp near zero", M_EXP, -1e-3, 1e-3},
        {"log", M_LOG, 1e-320, 1e-300},
        {"log near one", M_LOG, 0.5, 2},
        {"log1p", M_LOG1P, -0.99999, 5},
        {"log1p near zero", M_LOG1P, -1e-9, 1e-9},
        {"expm1", M_EXPM1, -50, 700},
        {"expm1 near zero", M_EXPM1, -1e-5, 1e-5},
        {"expm1 around one", M_EXPM1, -2, 2},
    };
    static double in[KERNEL_STRIDE] __attribute__((aligned(64)));
    static double out[KERNEL_STRIDE] __attribute__((aligned(64)));
    uint64_t s = 5;

    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++)
        for (int round = 0; round < 200; round++) {
            struct measure_node node = {.op = rows[r].op};
            struct step step = {.step = STEP_NODE, .node = &node, .a = in, .out = out};

            for (size_t i = 0; i < KERNEL_ROWS; i++)
                in[i] = rows[r].from + (rows[r].to - rows[r].from) * fixture_uniform(&s);
            kernel_find(kernels[round % 3])->eval(&step, 1, 0, KERNEL_ROWS);
            for (size_t i = 0; i < KERNEL_ROWS; i++) {
                double want = measure_apply(&node, in[i], 0, 0);
                double unit = fmax(nextafter(fabs(want), INFINITY) - fabs(want), 0x1p-1074);

                if (!(fabs(out[i] - want) <= 3 * unit))
                    fail_msg("%s(%.17g) = %.17g, libm %.17g", rows[r].what, in[i], out[i],
                             want);
            }
        }
}

/* The sums' kernels alone: extreme scales, subnormal factors, signs, all-zero vectors. */
static void test_engine__sum_kernels_agree(void **state)
{
    static const struct {
        const char *what;
        double bound, size; /* factors up to `size`: size^2 <= bound */
        int bits;
    } rows[] = {
        {"one", 1, 1, 86},
        {"a quarter", 0.25, 0.5, 86},
        {"the largest bits two words hold", 1, 1, 87},
        {"beyond them", 1, 1, 88},
        {"few bits", 1, 1, 20},
        {"one word", 1, 1, 43},
        {"huge terms, negative scale", 0x1p1000, 0x1p500, 86},
        {"tiny terms", 0x1p-300, 0x1p-150, 86},
        {"factors far below the quantum", 1, 0x1p-600, 86},
        {"subnormal factors", 1, 0x1p-1060, 86},
    };
    enum { BLOCKS = 70, CELLS = 5 };
    double *x, *y;
    struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    uint64_t s = 99;

    (void)state;
    x = cx_array(cx, 4 * KERNEL_STRIDE + 8, sizeof *x);
    y = cx_array(cx, 16 * KERNEL_STRIDE + 8, sizeof *y);
    x += (64 - ((uintptr_t)x & 63)) / 8 % 8;
    y += (64 - ((uintptr_t)y & 63)) / 8 % 8;
    for (size_t r = 0; r < COUNT(rows); r++) {
        int exponent;
        ufixed want = 0;
        (void)frexp(rows[r].bound, &exponent);
        struct number model;
        bool two = number_make(rows[r].bound, rows[r].bits - (exponent - 1), &model);

        assert_int_equal(two, rows[r].bits <= 87);
        struct number numbers[3] = {model, model, model};
        double lanes[3][2 * TILE_MAX * LANES_MAX + 8];
        struct tile tiles[3] = {0};
        union cell_sum sums[3][CELLS + 1] = {0};

        for (size_t k = 0; k < 3; k++) {
            const struct sum_kernel *kernel = kernel_find(kernels[k])->sums;

            kernel = two ? kernel : &sum_kernel_exact;
            tiles[k] = (struct tile){.x = x,
                                     .y = y,
                                     .rows = 1,
                                     .columns = kernel->wide_columns,
                                     .numbers = {&numbers[k]}};
            tiles[k].lanes = lanes[k] + (64 - ((uintptr_t)lanes[k] & 63)) / 8 % 8;
            kernel->begin(&tiles[k], 1);
        }
        for (int b = 0; b < BLOCKS; b++) {
            uint32_t cells[KERNEL_ROWS];

            for (size_t i = 0; i < KERNEL_ROWS; i++) {
                int kind = (int)(6 * fixture_uniform(&s));
                double u = kind == 0   ? 0
                           : kind == 1 ? 1
                           : kind == 2 ? -1
                                       : 2 * fixture_uniform(&s) - 1;
                double v = kind == 1 || kind == 2 ? 1 : 2 * fixture_uniform(&s) - 1;

                x[i] = b % 7 == 6 ? 0
                       : b == 5   ? rows[r].size
                       : b == 8   ? -rows[r].size
                                  : u * rows[r].size;
                y[i] = b == 5 || b == 8 ? rows[r].size : v * rows[r].size;
                cells[i] = (uint32_t)((CELLS + 1) * fixture_uniform(&s));
                want += (ufixed)plain_term(x[i], y[i], model.scale);
            }
            for (size_t k = 0; k < 3; k++) {
                const struct sum_kernel *kernel = kernel_find(kernels[k])->sums;
                struct keyed term = {x, y, &numbers[k]};

                kernel = two ? kernel : &sum_kernel_exact;
                kernel->add(&tiles[k], 1);
                if ((unsigned)b % kernel->drain_blocks == kernel->drain_blocks - 1)
                    kernel->drain(&tiles[k], 1);
                kernel->add_keyed(&term, 1, cells, sums[k]);
                assert_int_equal(fegetround(), FE_TONEAREST);
            }
        }
        for (size_t k = 0; k < 3; k++) {
            const struct sum_kernel *kernel = kernel_find(kernels[k])->sums;
            ufixed keyed = 0;

            kernel = two ? kernel : &sum_kernel_exact;
            kernel->drain(&tiles[k], 1);
            CHECK_(rows[r].what, numbers[k].total == want);
            for (size_t c = 0; c <= CELLS; c++)
                keyed += kernel->two_words
                             ? ((ufixed)(fixed)sums[k][c].words.high << model.split) +
                                   (ufixed)(fixed)sums[k][c].words.low
                             : sums[k][c].total;
            CHECK_(rows[r].what, keyed == want);
        }
    }
    cx_free(&cx);
}

static void test_engine__guards_see_the_largest_patient(void **state)
{
    struct cx *cx = cx_new(1 << 30, CX_NO_DEADLINE);
    struct fixture_rows f = fixture_make(cx, 4000, 5, 3);
    struct measure *m = new_measure(cx);
    ref bmi = m_column(m, F_BMI), one = m_const(m, 1);
    struct measure_guard guards[] = {{GUARD_DOMINANCE, bmi, 1}, {GUARD_LEVERAGE, one, 1}};
    struct measure_key key = {m_column(m, F_DX), 5};

    (void)state;
    (void)measure_block(m, &(struct block){.where = complete(m),
                                           .n_sums = 1,
                                           .sums = &bmi,
                                           .n_guards = 2,
                                           .guards = guards});
    (void)measure_block(m, &(struct block){.where = complete(m),
                                           .n_keys = 1,
                                           .keys = &key,
                                           .n_guards = 2,
                                           .guards = guards});
    CHECK_OK_("close", cx, measure_close(m, 40));
    double *want = cx_array(cx, 12, sizeof *want);
    struct tally *tally = plain_run(cx, m, &f, 0, f.rows, want);
    struct dataset *d = fixture_dataset(cx, &f);
    struct site_sums got;

    CHECK_OK_("run", cx, engine_run(cx, d, m, &got));
    check_same("guarded", got.tally, tally);
    CHECK_EQ_("guards x cells", got.n_guards, 12);
    for (size_t i = 0; i < 12; i++) {
        CHECK_("largest", got.guards[i].largest == want[i] && want[i] > 0);
        CHECK_EQ_("block", got.guards[i].block, i >= 2);
        CHECK_EQ_("rule", got.guards[i].rule, i < 2 ? (int)i : (int)(i - 2) / 5);
        CHECK_EQ_("cell", got.guards[i].cell, i < 2 ? 0 : (i - 2) % 5);
    }
    dataset_release(&d);
    cx_free(&cx);
}

/* A narrower interval than the data have: what a codebook that lies would do. */
static void test_engine__a_term_beyond_its_bound_is_a_fault(void **state)
{
    static const struct {
        const char *what;
        double lower, upper;
        bool keyed, guard;
        enum fault want;
    } rows[] = {
        {"within", 10, 80, false, false, FAULT_NONE},
        {"a sum beyond", 0, 50, false, false, FAULT_NUMERIC},
        {"a keyed sum beyond", 0, 50, true, false, FAULT_NUMERIC},
        {"a negative guard", -80, 50, false, true, FAULT_NUMERIC},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
        struct fixture_rows f = fixture_make(cx, 1000, 1, 3);
        struct measure *m = new_measure(cx);
        ref bmi = m_column(m, F_BMI), less = m_binary(m, M_SUB, bmi, m_const(m, 50));
        struct measure_guard guard = {GUARD_DOMINANCE, less, 1};
        struct measure_key key = {m_column(m, F_SEX), 2};
        struct block b = {.where = complete(m), .n_sums = 1, .sums = &bmi};
        struct site_sums got;

        if (rows[i].keyed)
            b.n_keys = 1, b.keys = &key;
        if (rows[i].guard)
            b.n_guards = 1, b.guards = &guard;
        (void)measure_block(m, &b);
        CHECK_OK_(rows[i].what, cx, measure_close(m, 40));
        if (!rows[i].guard) {
            m->nodes[bmi].lower = rows[i].lower;
            m->nodes[bmi].upper = rows[i].upper;
        }
        struct dataset *d = fixture_dataset(cx, &f);

        CHECK_EQ_(rows[i].what, engine_run(cx, d, m, &got), rows[i].want);
        dataset_release(&d);
        cx_free(&cx);
    }
}

static void test_engine__a_deadline_stops_the_scan(void **state)
{
    struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE), *late = cx_new(1 << 28, 1);
    struct fixture_rows f = fixture_make(cx, 1000, 1, 3);
    struct dataset *d = fixture_dataset(cx, &f);
    struct site_sums got;

    (void)state;
    CHECK_EQ_("late", engine_run(late, d, many_shapes(cx, 40), &got), FAULT_TIMEOUT);
    dataset_release(&d);
    cx_free(&late);
    cx_free(&cx);
}

static struct ast *compare(struct cx *cx, const struct codebook *cb, Cohortium__AstOp op,
                           int variable, double x)
{
    struct ast *a = cx_alloc(cx, sizeof *a);

    a->op = op;
    a->type = AST_TYPE_BOOL;
    a->n = 2;
    a->args = cx_array(cx, 2, sizeof *a->args);
    a->args[0] = ast_variable(cx, cb, variable);
    a->args[1] = ast_number(cx, x);
    return a;
}

static void test_engine__regions_are_patient_sets(void **state)
{
    static const double per_patient[] = {1, 3};

    (void)state;
    for (size_t p = 0; p < COUNT(per_patient); p++) {
        struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
        struct fixture_rows f = fixture_make(cx, 3001, per_patient[p], 8);
        struct dataset *d = fixture_dataset(cx, &f);
        struct ast *fat = compare(cx, d->cb, COHORTIUM__AST_OP__AST_GE, F_BMI, 60);
        struct ast *list[] = {fat, ast_not(cx, fat),
                              compare(cx, d->cb, COHORTIUM__AST_OP__AST_LT, F_AGE, 30)};
        struct regions regions = {.n = 3, .list = list};
        size_t words = (f.patients + 63) / 64;
        uint64_t sizes[3], again[3], population, *bitmaps[3];

        for (size_t i = 0; i < 3; i++)
            bitmaps[i] = cx_array(cx, words, sizeof **bitmaps);
        CHECK_OK_("regions", cx,
                  engine_regions(cx, d, &regions, sizes, &population, bitmaps));
        CHECK_OK_("sizes alone", cx,
                  engine_regions(cx, d, &regions, again, &population, NULL));
        CHECK_EQ_("population", population, f.patients);
        for (size_t r = 0; r < 3; r++) {
            uint64_t want = 0;
            bool in = false;

            for (size_t i = 0; i < f.rows; i++) {
                bool fresh = i == 0 || f.ordinal[i] != f.ordinal[i - 1];
                double x = f.values[r == 2 ? F_AGE : F_BMI][i];
                bool valid = f.valid[r == 2 ? F_AGE : F_BMI][i];
                bool now = valid && (r == 0 ? x >= 60 : r == 1 ? !(x >= 60) : x < 30);

                in = now || (!fresh && in);
                if (i + 1 == f.rows || f.ordinal[i + 1] != f.ordinal[i]) {
                    uint32_t who = f.ordinal[i];

                    want += in;
                    CHECK_EQ_("in the bitmap", bitmaps[r][who / 64] >> (who % 64) & 1, in);
                    in = false;
                }
            }
            CHECK_EQ_("size", sizes[r], want);
            CHECK_EQ_("size again", again[r], want);
        }
        dataset_release(&d);
        cx_free(&cx);
    }
}

/* Under noise: of each patient the first so many rows, in every block alike. */
static void test_engine__rows_beyond_a_patients_most_do_not_count(void **state)
{
    static const unsigned most[] = {0, 1, 2, 5, 1000};
    struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    struct fixture_rows f = fixture_make(cx, 5003, 4, 9);
    struct dataset *d = fixture_dataset(cx, &f);

    (void)state;
    for (size_t k = 0; k < COUNT(most); k++) {
        struct site_sums sums = {0};
        struct measure *m;
        uint64_t rows[2] = {0};
        double ages = 0, old = 0;

        CHECK_OK_("measure", cx, measure_new(cx, d->cb, &m));
        ref age = m_column(m, F_AGE);
        struct measure_key key = {.expr = m_column(m, F_SEX), .size = 2};
        struct block keyed = {.where = m_valid(m, F_SEX), .keys = &key, .n_keys = 1};
        struct block summed = {.where = m_binary(m, M_AND, m_valid(m, F_AGE),
                                                 m_binary(m, M_LE, m_const(m, 60), age)),
                               .sums = &age,
                               .n_sums = 1};

        (void)measure_block(m, &keyed);
        (void)measure_block(m, &summed);
        CHECK_OK_("close", cx, measure_close(m, 40));
        m->rows_max = most[k];
        CHECK_OK_("run", cx, engine_run(cx, d, m, &sums));
        for (size_t i = 0, nth = 0; i < f.rows; i++) {
            nth = i > 0 && f.ordinal[i] == f.ordinal[i - 1] ? nth + 1 : 1;
            if (most[k] > 0 && nth > most[k])
                continue;
            if (f.valid[F_SEX][i])
                rows[(size_t)f.values[F_SEX][i]]++;
            if (f.valid[F_AGE][i] && f.values[F_AGE][i] >= 60) {
                ages += f.values[F_AGE][i];
                old++;
            }
        }
        CHECK_EQ_("rows of the first level", pooled_rows(m, sums.tally, 0, 0), rows[0]);
        CHECK_EQ_("rows of the second", pooled_rows(m, sums.tally, 0, 1), rows[1]);
        CHECK_EQ_("rows summed", pooled_rows(m, sums.tally, 1, 0), (uint64_t)old);
        CHECK_("their sum", pooled_number(m, sums.tally, 1, 0, 0).hi == ages);
        if (most[k] == 1)
            CHECK_EQ_("one row, one patient", pooled_patients(m, sums.tally, 1, 0),
                      (uint64_t)old);
    }
    dataset_release(&d);
    cx_free(&cx);
}

static uint64_t plain_key(struct cx *cx, const struct measure *m, const struct block *b,
                          const struct fixture_rows *f, const struct dataset *d,
                          size_t cell)
{
    double *out = cx_array(cx, m->n_nodes, sizeof *out);
    size_t last = SIZE_MAX;
    uint64_t sum = 0;

    assert_non_null(out);
    for (size_t i = 0; i < f->rows; i++) {
        double values[F_ALL] = {0};
        bool valid[F_ALL] = {false};

        for (size_t v = 1; v < F_ALL; v++) {
            valid[v] = f->valid[v][i];
            values[v] = f->values[v][i];
        }
        measure_eval_all(m, values, valid, out);
        if (out[b->where] == 0 || plain_cell(b, out) != cell)
            continue;
        sum += f->ordinal[i] != last ? d->cell_keys[f->ordinal[i]] : 0;
        last = f->ordinal[i];
    }
    return sum;
}

/* R18: a cell's key is the sum of its patients' numbers, each once, whatever else it
 * counts; another patient key gives other numbers. */
static void test_engine__keys_are_of_patients(void **state)
{
    static const double per_patient[] = {1, 3};
    static const uint8_t key[32] = {1}, other[32] = {2};

    (void)state;
    for (size_t p = 0; p < COUNT(per_patient); p++) {
        struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
        struct fixture_rows f = fixture_make(cx, 3001, per_patient[p], 9);
        struct dataset *d = fixture_dataset(cx, &f), *twin = fixture_dataset(cx, &f);
        struct measure *m = many_shapes(cx, 40);
        size_t counts = m->n_counts;
        struct site_sums sums, plain;
        uint64_t everybody = 0;

        CHECK_OK_("without", cx, engine_run(cx, d, m, &plain));
        CHECK_OK_("ask", cx, measure_key_cells(m));
        CHECK_EQ_("no keys yet", engine_run(cx, d, m, &sums), FAULT_INTERNAL);
        CHECK_OK_("make", cx, dataset_make_keys(cx, d, key));
        CHECK_OK_("again", cx, dataset_make_keys(cx, d, key));
        CHECK_OK_("twin", cx, dataset_make_keys(cx, twin, other));
        CHECK_OK_("run", cx, engine_run(cx, d, m, &sums));
        CHECK_("what is counted stays",
               memcmp(sums.tally->counts, plain.tally->counts, counts * 8) == 0);
        for (size_t i = 0; i < f.patients; i++)
            everybody += d->cell_keys[i];
        CHECK_("everybody", pooled_key(m, sums.tally, 0, 0) == everybody);
        for (size_t cell = 0; cell < m->blocks[1].n_cells; cell++)
            CHECK_("a cell", pooled_key(m, sums.tally, 1, cell) ==
                                 plain_key(cx, m, &m->blocks[1], &f, d, cell));
        CHECK_("another key", twin->cell_keys[0] != d->cell_keys[0]);
        CHECK_("patients differ", d->cell_keys[1] != d->cell_keys[0]);
        dataset_release(&d);
        dataset_release(&twin);
        cx_free(&cx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine__sum_kernels_agree),
        cmocka_unit_test(test_engine__functions_are_near_libm),
        cmocka_unit_test(test_engine__same_sums_for_any_split_and_kernel),
        cmocka_unit_test(test_engine__functions_are_the_same_on_every_kernel),
        cmocka_unit_test(test_engine__guards_see_the_largest_patient),
        cmocka_unit_test(test_engine__a_term_beyond_its_bound_is_a_fault),
        cmocka_unit_test(test_engine__a_deadline_stops_the_scan),
        cmocka_unit_test(test_engine__regions_are_patient_sets),
        cmocka_unit_test(test_engine__rows_beyond_a_patients_most_do_not_count),
        cmocka_unit_test(test_engine__keys_are_of_patients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

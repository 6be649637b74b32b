/*
 * bench_engine.c - nanoseconds a row of the engine, portable against the kernel in use,
 * beside what reading the same bytes costs. Not a test: numbers depend on the machine.
 */
#include <time.h>

#include "node/vault/engine.h"
#include "tests/node/dataset_fixture.h"

enum { ROWS = 1000000, RUNS = 9, GRAM = 10 };

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static ref both(struct measure *m, ref a, ref b)
{
    return m_binary(m, M_AND, a, b);
}

static struct measure *new_measure(struct cx *cx, const struct dataset *d)
{
    struct measure *m;

    CHECK_OK_("measure", cx, measure_new(cx, d->cb, &m));
    return m;
}

static struct measure *filter(struct cx *cx, const struct dataset *d)
{
    struct measure *m = new_measure(cx, d);
    ref where = both(m, m_binary(m, M_LE, m_const(m, 50), m_column(m, F_AGE)),
                     m_binary(m, M_EQ, m_column(m, F_SEX), m_const(m, 0)));

    where = both(m, where, both(m, m_valid(m, F_AGE), m_valid(m, F_SEX)));
    where = both(
        m, where,
        both(m, m_valid(m, F_BMI), m_binary(m, M_LE, m_const(m, 30), m_column(m, F_BMI))));
    where = both(
        m, where,
        both(m, m_valid(m, F_DX), m_binary(m, M_NE, m_column(m, F_DX), m_const(m, 3))));
    (void)measure_block(m, &(struct block){.where = where});
    return m;
}

static struct measure *table(struct cx *cx, const struct dataset *d)
{
    struct measure *m = new_measure(cx, d);
    ref age = m_binary(
        m, M_MIN,
        m_unary(m, M_FLOOR, m_binary(m, M_MUL, m_column(m, F_AGE), m_const(m, 0.0625))),
        m_const(m, 7));
    struct measure_key keys[] = {{age, 8}, {m_column(m, F_DX), 5}};

    (void)measure_block(
        m, &(struct block){.where = both(m, m_valid(m, F_AGE), m_valid(m, F_DX)),
                           .n_keys = 2,
                           .keys = keys});
    return m;
}

static struct measure *means(struct cx *cx, const struct dataset *d)
{
    struct measure *m = new_measure(cx, d);
    ref x = m_binary(m, M_SUB, m_column(m, F_BMI), m_const(m, 30));
    ref sums[] = {x, m_binary(m, M_MUL, x, x)};
    struct measure_key key = {m_column(m, F_DX), 5};

    (void)measure_block(
        m, &(struct block){.where = both(m, m_valid(m, F_BMI), m_valid(m, F_DX)),
                           .n_keys = 1,
                           .keys = &key,
                           .n_sums = 2,
                           .sums = sums});
    return m;
}

static struct measure *logistic(struct cx *cx, const struct dataset *d)
{
    struct measure *m = new_measure(cx, d);
    ref design[GRAM] = {m_const(m, 1)}, where = m_valid(m, F_DEAD);
    double coefs[GRAM];

    for (int i = 1; i < GRAM; i++) {
        int v = i % 2 ? F_BIG : F_BMI;
        ref x =
            m_binary(m, M_MUL, m_column(m, v), m_const(m, v == F_BIG ? 0x1p-20 : 0x1p-6));

        for (int k = 0; k < i / 2; k++) /* further columns from the same two */
            x = m_binary(m, M_SUB, m_binary(m, M_MUL, x, x), m_const(m, 0.25));
        design[i] = x;
    }
    for (int i = 0; i < GRAM; i++)
        coefs[i] = 0.1 * (i % 3 - 1);
    where = both(m, where, both(m, m_valid(m, F_BMI), m_valid(m, F_BIG)));
    ref eta = m_linear(m, design, coefs, GRAM, 0);
    ref weight = m_link(m, LINK_LOGIT, PART_DMU, eta);
    ref rest = m_binary(m, M_SUB, m_column(m, F_DEAD), m_link(m, LINK_LOGIT, PART_MU, eta));

    (void)measure_block(m, &(struct block){.where = where,
                                           .n_design = GRAM,
                                           .design = design,
                                           .n_weights = 1,
                                           .weights = &weight,
                                           .n_rhs = 1,
                                           .rhs = &rest});
    return m;
}

static double best_of(const struct dataset *d,
                      struct measure *(*make)(struct cx *, const struct dataset *))
{
    double best = 1e300;

    for (int i = 0; i < RUNS; i++) {
        struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
        struct measure *m = make(cx, d);
        struct site_sums sums;

        CHECK_OK_("close", cx, measure_close(m, 40));
        double start = now();

        CHECK_OK_("run", cx, engine_run(cx, d, m, &sums));
        double took = now() - start;

        best = took < best ? took : best;
        cx_free(&cx);
    }
    return best / ROWS;
}

/* Reading the mapped columns, eight bytes at a time. */
static double read_of(const struct dataset *d, const int *variables, size_t n)
{
    double best = 1e300;
    static volatile uint64_t sink;

    for (int i = 0; i < RUNS; i++) {
        double start = now();

        for (size_t v = 0; v < n; v++) {
            const struct column *c = &d->columns[variables[v]];
            const uint64_t *p = c->map;
            uint64_t sum = 0;

            for (size_t k = 0; k < c->map_size / 8; k++)
                sum += p[k];
            sink = sum;
        }
        best = now() - start < best ? now() - start : best;
    }
    (void)sink;
    return best / ROWS;
}

/* A kernel's name on the command line: that one alone, for a profiler. */
static const char *only;

static void compare(const struct dataset *d, const char *what,
                    struct measure *(*make)(struct cx *, const struct dataset *),
                    const int *variables, size_t n)
{
    double read = read_of(d, variables, n);

    if (only != NULL) {
        (void)setenv("COHORTIUM_KERNEL", only, 1);
        printf("%-24s %s %7.2f ns a row\n", what, engine_kernel(), best_of(d, make));
        return;
    }
    (void)setenv("COHORTIUM_KERNEL", "portable", 1);
    double portable = best_of(d, make);

    (void)setenv("COHORTIUM_KERNEL", "avx2", 1);
    double avx2 = best_of(d, make);

    (void)unsetenv("COHORTIUM_KERNEL");
    double used = best_of(d, make);

    printf("%-24s portable %8.2f  avx2 %7.2f  %s %7.2f ns a row; reading %6.3f: %5.1fx\n",
           what, portable, avx2, engine_kernel(), used, read, used / read);
}

int main(int argc, char **argv)
{
    static const double per_patient[] = {1, 3};
    static const int four[] = {F_AGE, F_SEX, F_BMI, F_DX}, two[] = {F_AGE, F_DX},
                     mean[] = {F_BMI, F_DX}, fit[] = {F_BMI, F_BIG, F_DEAD};

    only = argc > 1 ? argv[1] : NULL;
    for (size_t i = 0; i < COUNT(per_patient); i++) {
        struct cx *cx = cx_new((size_t)1 << 31, CX_NO_DEADLINE);
        struct fixture_rows f = fixture_make(cx, ROWS, per_patient[i], 1);
        struct dataset *d = fixture_dataset(cx, &f);

        printf("%g rows a patient\n", per_patient[i]);
        compare(d, "4-term filter, count", filter, four, 4);
        compare(d, "table 8x5", table, two, 2);
        compare(d, "mean, square by 5", means, mean, 2);
        compare(d, "logistic gram p=10", logistic, fit, 3);
        dataset_release(&d);
        cx_free(&cx);
    }
    return 0;
}

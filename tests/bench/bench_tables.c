/*
 * bench_tables.c - what R25 takes, against the least that it could take.
 *
 * Random small tables (tests/node/random_table.h). The optimum: of all choices of further
 * cells, the totals as the gate gives them, the one with the fewest patients that the
 * brute-force attacker cannot breach. Lost: cells and patients withheld, primary and R25.
 */
#include <time.h>

#include "tests/node/random_table.h"

enum { TABLES = 200, CHOICE_MAX = 12 };

struct loss {
    double cells, patients;
};

static struct loss loss_of(const struct published *p)
{
    struct loss l = {0};

    for (size_t i = 0; i < p->n; i++)
        if (!p->cell_given[i]) {
            l.cells++;
            l.patients += (double)p->cell[i];
        }
    return l;
}

/* Least loss over all choices; false where there are too many of them. */
static bool find_optimum(const struct published *given, struct published *ret)
{
    size_t choice[ATTACK_CELLS], n = 0;

    for (size_t i = 0; i < given->n; i++)
        if (given->cell[i] >= given->k)
            choice[n++] = i;
    if (n > CHOICE_MAX)
        return false;
    *ret = *given; /* what the gate took is one of them */
    for (size_t set = 0; set < (size_t)1 << n; set++) {
        struct published p = *given;

        for (size_t i = 0; i < n; i++)
            p.cell_given[choice[i]] = !(set >> i & 1);
        if (loss_of(&p).patients >= loss_of(ret).patients)
            continue;
        struct breach b = attack(&p);

        if (!b.found && b.unknown == 0)
            *ret = p;
    }
    return true;
}

static double seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run(const char *name, size_t n_dims, size_t levels_max, enum table_kind kind)
{
    struct loss gate = {0}, best = {0}, primary = {0};
    double ratio = 0, time = 0;
    uint64_t seed = 7919;
    size_t n = 0, as_good = 0;

    for (size_t i = 0; i < TABLES; i++) {
        struct published p, least, first;

        table_make(&seed, kind, n_dims, levels_max, &p);
        double from = seconds();

        table_publish(&p);
        time += seconds() - from;
        first = p;
        for (size_t k = 0; k < p.n; k++)
            first.cell_given[k] = p.cell[k] >= p.k || (p.cell[k] == 0 && p.zeros_shown);
        if (loss_of(&first).cells == 0 || !find_optimum(&p, &least))
            continue;
        struct loss g = loss_of(&p), o = loss_of(&least), f = loss_of(&first);

        gate.cells += g.cells;
        gate.patients += g.patients;
        best.cells += o.cells;
        best.patients += o.patients;
        primary.cells += f.cells;
        primary.patients += f.patients;
        ratio += o.patients > 0 ? g.patients / o.patients : 1;
        as_good += g.patients <= o.patients;
        n++;
    }
    printf("%-28s %4zu tables: withheld %5.2f cells, %6.1f patients; optimum %5.2f, %6.1f; "
           "small alone %5.2f, %5.1f; mean ratio of patients %.3f; the optimum in %.0f %%; "
           "%.2f ms\n",
           name, n, gate.cells / (double)n, gate.patients / (double)n,
           best.cells / (double)n, best.patients / (double)n, primary.cells / (double)n,
           primary.patients / (double)n, ratio / (double)n,
           100 * (double)as_good / (double)n, 1000 * time / TABLES);
}

/* ---- tables of fewer variables, asked for beside the whole ---- */

/* Where a number stands among cells and then totals. level: by variable, its size for the
 * total over it. */
static size_t place_of(const struct published *p, const size_t *level)
{
    size_t at[ATTACK_DIMS] = {0}, cells = 0, sums = 0;

    for (;;) {
        bool is_sum = false, here = true;

        for (size_t d = 0; d < p->n_dims; d++) {
            is_sum = is_sum || at[d] == p->size[d];
            here = here && at[d] == level[d];
        }
        if (here)
            return is_sum ? p->n + sums : cells;
        cells += !is_sum;
        sums += is_sum;
        for (size_t d = p->n_dims; d-- > 0;) {
            if (++at[d] <= p->size[d])
                break;
            at[d] = 0;
        }
    }
}

static uint64_t number_at(const struct published *p, size_t place)
{
    return place < p->n ? p->cell[place] : p->sum[place - p->n];
}

static bool *given_at(struct published *p, size_t place)
{
    return place < p->n ? &p->cell_given[place] : &p->sum_given[place - p->n];
}

/* The place in the whole table of one in the table of the variables in `which`. */
static size_t place_in_whole(const struct published *whole, unsigned which,
                             const size_t *level)
{
    size_t all[ATTACK_DIMS], n = 0;

    for (size_t d = 0; d < whole->n_dims; d++)
        all[d] = which >> d & 1 ? level[n++] : whole->size[d];
    return place_of(whole, all);
}

/* Asks for the table of some of the variables, too; adds what it gives to what is known of
 * the whole. How many numbers that are. */
static size_t ask_beside(struct published *whole, unsigned which)
{
    struct published part = {.n = 1, .k = whole->k, .zeros_shown = whole->zeros_shown};
    size_t level[ATTACK_DIMS] = {0}, all = 1, more = 0;

    for (size_t d = 0; d < whole->n_dims; d++)
        if (which >> d & 1) {
            part.size[part.n_dims++] = whole->size[d];
            part.n *= whole->size[d];
            all *= whole->size[d] + 1;
        }
    for (int publish = 0; publish < 2; publish++) {
        for (size_t i = 0; i < all; i++) { /* an odometer over levels and totals */
            size_t rest = i;

            for (size_t d = part.n_dims; d-- > 0; rest /= part.size[d] + 1)
                level[d] = rest % (part.size[d] + 1);
            size_t own = place_of(&part, level),
                   there = place_in_whole(whole, which, level);

            if (!publish && own < part.n)
                part.cell[own] = number_at(whole, there);
            if (publish && *given_at(&part, own) && !*given_at(whole, there)) {
                *given_at(whole, there) = true;
                more++;
            }
        }
        if (!publish) {
            published_sum(&part);
            table_publish(&part);
        }
    }
    return more;
}

/* How often they give a total that the whole table withholds, and what that tells. */
static void run_beside(const char *name, size_t n_dims)
{
    uint64_t seed = 7919;
    size_t more = 0, breaches = 0;

    for (size_t i = 0; i < TABLES; i++) {
        struct published p;
        size_t here = 0;

        table_make(&seed, (enum table_kind)(i % TABLE_KINDS), n_dims, 3, &p);
        table_publish(&p);
        for (unsigned which = 1; which + 1 < 1u << n_dims; which++)
            here += ask_beside(&p, which);
        more += here > 0;
        breaches += here > 0 && attack(&p).found;
    }
    printf(
        "%-28s of %d tables %zu withhold totals that tables of fewer variables give; with "
        "them the attacker narrows %zu\n",
        name, TABLES, more, breaches);
}

/* As large as a policy lets a table be: nothing to compare with, only the time. */
static void run_large(const char *name, size_t n_dims, size_t levels, unsigned small)
{
    struct gate_case g;
    struct shape shape = {.n_dims = n_dims};
    uint64_t seed = 104729, *cells;
    size_t n = 1, given = 0;
    double *values;

    for (size_t d = 0; d < n_dims; d++) {
        shape.size[d] = levels;
        n *= levels;
    }
    gate_case_new(&g, false);
    cells = cx_array(g.cx, n, sizeof *cells);
    values = cx_array(g.cx, n, sizeof *values);
    assert_non_null(cells);
    assert_non_null(values);
    for (size_t i = 0; i < n; i++) {
        cells[i] = table_random(&seed, 100) < small ? table_random(&seed, 10)
                                                    : 10 + table_random(&seed, 200);
        values[i] = (double)cells[i];
    }
    struct item *item = result_put(g.result, "counts", COHORTIUM__ITEM_KIND__COUNTS, levels,
                                   n / levels, values, cells);

    assert_non_null(item);
    item->shape = shape;
    double from = seconds();

    gate_case_release(&g, false);
    double took = seconds() - from;

    for (size_t i = 0; i < n; i++)
        given += gate_case_state(&g, "counts", i) == 0;
    printf("%-28s %u %% small: %zu of %zu cells given, %.0f ms\n", name, small, given, n,
           1000 * took);
    gate_case_free(&g);
}

int main(void)
{
    static const unsigned shares[] = {2, 30, 90};

    for (size_t i = 0; i < COUNT(shares); i++) {
        run_large("2 variables, 40 levels", 2, 40, shares[i]);
        run_large("3 variables, 11 levels", 3, 11, shares[i]);
        run_large("4 variables, 6 levels", 4, 6, shares[i]);
    }
    run_beside("2 variables, asked in parts", 2);
    run_beside("3 variables, asked in parts", 3);
    run("2 variables, 3 levels", 2, 3, TABLE_PLAIN);
    run("2 variables, 4 levels", 2, 4, TABLE_PLAIN);
    run("2 variables, zeros shown", 2, 3, TABLE_ZEROS_SHOWN);
    run("2 variables, many ones", 2, 3, TABLE_ONES);
    run("3 variables, 2 levels", 3, 2, TABLE_PLAIN);
    run("3 variables, 3 levels", 3, 3, TABLE_PLAIN);
    return 0;
}

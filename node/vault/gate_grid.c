/*
 * gate_grid.c - a table with its totals, and which cells R25 takes.
 *
 * First each table of fewer variables that its totals are, then itself. A cell that is not
 * safe gets the cheapest withheld cells that let it move (fewest patients, totals last);
 * then what turned out not to be needed is given back, the largest first. Where nothing
 * helps, or the work is beyond its bound, everything is withheld.
 */
#include "node/vault/gate_grid.h"

#include <string.h>

/* Cells looked at in one table: about a second, and a tenth of it for giving back. */
enum { WORK_MAX = 1 << 28, GIVE_BACK_MAX = 1 << 24 };

enum fault grid_new(struct cx *cx, const struct shape *shape, struct grid *ret)
{
    struct grid g = {.shape = *shape, .n = 1, .k = 1};

    if (shape->n_dims < 1 || shape->n_dims > GRID_DIMS_MAX)
        return cx_fail(cx, FAULT_BOUND, "gate: a table of %zu variables; 1 to %d are known",
                       shape->n_dims, GRID_DIMS_MAX);
    for (size_t d = shape->n_dims; d-- > 0;) {
        if (shape->size[d] < 2 || shape->size[d] >= GRID_CELLS_MAX / g.n)
            return cx_fail(cx, FAULT_BOUND,
                           "gate: a table with more than %d cells and totals",
                           GRID_CELLS_MAX);
        g.step[d] = g.n;
        g.n *= shape->size[d] + 1;
    }
    CX_NEW(cx, g.value, g.n);
    CX_NEW(cx, g.withheld, g.n);
    CX_NEW(cx, g.secret, g.n);
    CX_NEW(cx, g.below, g.n);
    *ret = g;
    return FAULT_NONE;
}

size_t grid_level(const struct grid *g, size_t cell, size_t dim)
{
    return cell / g->step[dim] % (g->shape.size[dim] + 1);
}

bool grid_is_total(const struct grid *g, size_t cell)
{
    for (size_t d = 0; d < g->shape.n_dims; d++)
        if (grid_level(g, cell, d) == g->shape.size[d])
            return true;
    return false;
}

void grid_sum(struct grid *g)
{
    for (size_t d = 0; d < g->shape.n_dims; d++)
        for (size_t i = 0; i < g->n; i++) {
            size_t level = grid_level(g, i, d),
                   total = i + (g->shape.size[d] - level) * g->step[d];

            if (level == 0)
                g->value[total] = 0;
            if (level < g->shape.size[d])
                g->value[total] += g->value[i];
        }
}

static void withhold_everything(struct grid *g)
{
    for (size_t i = 0; i < g->n; i++)
        g->withheld[i] = g->withheld[i] || !(g->zeros_shown && g->value[i] == 0);
}

static bool all_safe(struct audit *a)
{
    const struct grid *g = a->grid;
    struct want want;

    for (size_t i = 0; i < g->n; i++)
        if (g->secret[i] && !audit_cell(a, i, &want))
            return false;
    return true;
}

/* What one cell needed may have made needless what was taken for another. */
static void give_back(struct audit *a, struct grid *g, const bool *before)
{
    uint64_t last = UINT64_MAX;
    size_t last_cell = 0;

    a->limit = a->work + GIVE_BACK_MAX;
    while (a->work < a->limit) {
        size_t best = g->n;

        for (size_t i = 0; i < g->n; i++) {
            uint64_t price = grid_price(g, i);

            if (g->withheld[i] && !before[i] && !g->secret[i] &&
                (price < last || (price == last && i > last_cell)) &&
                (best == g->n || price > grid_price(g, best)))
                best = i;
        }
        if (best == g->n)
            return;
        last = grid_price(g, best);
        last_cell = best;
        g->withheld[best] = false;
        g->withheld[best] = !all_safe(a);
    }
}

static enum fault protect(struct cx *cx, struct grid *g)
{
    struct audit a;
    bool *before, again = true;

    TRY(audit_new(cx, g, WORK_MAX, &a));
    CX_NEW(cx, before, g->n);
    memcpy(before, g->withheld, g->n * sizeof *before);
    while (again && !g->spent) {
        again = false;
        TRY(cx_on_time(cx));
        for (size_t i = 0; i < g->n && !g->spent; i++) {
            struct want want;

            while (g->secret[i] && !g->spent && !audit_cell(&a, i, &want)) {
                g->spent = a.work > a.limit || audit_mend(&a, &want, g) == 0;
                again = true;
            }
        }
    }
    if (g->spent)
        withhold_everything(g);
    else
        give_back(&a, g, before);
    return FAULT_NONE;
}

/* ---- totals are tables of fewer variables ---- */

/* The cell of g that is cell i of the table of these variables: all others at their total.
 */
static size_t outer_cell(const struct grid *g, const struct grid *sub, unsigned dims,
                         size_t i)
{
    size_t cell = 0, at = 0;

    for (size_t d = 0; d < g->shape.n_dims; d++)
        cell += (dims >> d & 1 ? grid_level(sub, i, at++) : g->shape.size[d]) * g->step[d];
    return cell;
}

static enum fault protect_sub(struct cx *cx, struct grid *g, unsigned dims)
{
    struct shape shape = {0};
    struct grid sub;

    for (size_t d = 0; d < g->shape.n_dims; d++)
        if (dims >> d & 1)
            shape.size[shape.n_dims++] = g->shape.size[d];
    TRY(grid_new(cx, &shape, &sub));
    sub.k = g->k;
    sub.zeros_shown = g->zeros_shown;
    for (size_t i = 0; i < sub.n; i++) {
        size_t cell = outer_cell(g, &sub, dims, i);

        sub.value[i] = g->value[cell];
        sub.withheld[i] = g->withheld[cell];
        sub.secret[i] = g->secret[cell];
        sub.below[i] = g->below[cell];
    }
    TRY(protect(cx, &sub));
    for (size_t i = 0; i < sub.n; i++)
        g->withheld[outer_cell(g, &sub, dims, i)] = sub.withheld[i];
    return FAULT_NONE;
}

static size_t count_withheld(const struct grid *g)
{
    size_t n = 0;

    for (size_t i = 0; i < g->n; i++)
        n += g->withheld[i];
    return n;
}

enum fault grid_protect(struct cx *cx, struct grid *g, size_t *ret_taken)
{
    size_t before = count_withheld(g);
    unsigned all = (1u << g->shape.n_dims) - 1;

    *ret_taken = 0;
    if (before == 0)
        return FAULT_NONE;
    for (int n = 1; n < (int)g->shape.n_dims; n++)
        for (unsigned dims = 1; dims < all; dims++)
            if (__builtin_popcount(dims) == n)
                TRY(protect_sub(cx, g, dims));
    TRY(protect(cx, g));
    *ret_taken = count_withheld(g) - before;
    return FAULT_NONE;
}

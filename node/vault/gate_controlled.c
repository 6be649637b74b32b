/*
 * gate_controlled.c - controlled rounding of a table of two variables with its totals
 * (R17).
 *
 * Each number goes to a multiple of the base just below or above it (a multiple stays), and
 * totals are the sums of their cells. The unrounded table, divided by the base, is a
 * circulation between these bounds; so there is a whole one (Cox 1987), and it is found
 * from the nearest multiples by paths that even out what is too much at one line and too
 * little at another. In whole numbers and a fixed order: the same at every vault.
 *
 * What is withheld takes part as an unknown that may be anything, so that no given number
 * says a thing of it by the way it was rounded.
 */
#include "node/vault/gate_controlled.h"

#include <string.h>

struct rounding {
    size_t rows, columns;        /* with the totals */
    uint64_t *value, *down, *at; /* down: multiples below; at: chosen, down or one more */
    const bool *free;            /* withheld: any multiple */
    uint64_t base;
    int64_t *excess; /* by node: what comes in less what goes out, in multiples */
    size_t *from;
    bool *seen;
    size_t *queue;
};

static bool may_rise(const struct rounding *r, size_t cell)
{
    return r->free[cell] || (r->value[cell] % r->base != 0 && r->at[cell] == r->down[cell]);
}

static bool may_fall(const struct rounding *r, size_t cell)
{
    return r->at[cell] > r->down[cell];
}

/* From its row's node to its column's; a total over one variable the other way. */
static bool is_forward(const struct rounding *r, size_t row, size_t column)
{
    return (row == r->rows - 1) == (column == r->columns - 1);
}

static enum fault rounding_new(struct cx *cx, size_t rows, size_t columns,
                               const double *values, const bool *free, uint64_t base,
                               struct rounding *ret)
{
    struct rounding r = {
        .rows = rows + 1, .columns = columns + 1, .free = free, .base = base};
    size_t n = r.rows * r.columns, nodes = r.rows + r.columns;

    CX_NEW(cx, r.value, n);
    CX_NEW(cx, r.down, n);
    CX_NEW(cx, r.at, n);
    CX_NEW(cx, r.excess, nodes);
    CX_NEW(cx, r.from, nodes);
    CX_NEW(cx, r.seen, nodes);
    CX_NEW(cx, r.queue, nodes);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            uint64_t v = (uint64_t)values[i * columns + j];

            r.value[i * r.columns + j] = v;
            r.value[i * r.columns + columns] += v;
            r.value[rows * r.columns + j] += v;
            r.value[rows * r.columns + columns] += v;
        }
    for (size_t i = 0; i < n; i++) {
        if (free[i])
            continue; /* from zero, whatever it is */
        r.down[i] = r.value[i] / base;
        r.at[i] = r.down[i] + (2 * (r.value[i] % base) >= base && r.value[i] % base != 0);
    }
    for (size_t i = 0; i < r.rows; i++)
        for (size_t j = 0; j < r.columns; j++) {
            int64_t flow = (int64_t)r.at[i * r.columns + j];

            r.excess[i] += is_forward(&r, i, j) ? -flow : flow;
            r.excess[r.rows + j] += is_forward(&r, i, j) ? flow : -flow;
        }
    *ret = r;
    return FAULT_NONE;
}

static size_t cell_of(const struct rounding *r, size_t a, size_t b)
{
    return a < r->rows ? a * r->columns + (b - r->rows) : b * r->columns + (a - r->rows);
}

/* Whether moving one multiple from node a to node b over their cell raises it. */
static bool raises(const struct rounding *r, size_t a, size_t b)
{
    return a < r->rows ? is_forward(r, a, b - r->rows) : !is_forward(r, b, a - r->rows);
}

/* Shortest way from a node with too much to one with too little; its end, or SIZE_MAX. */
static size_t find_way(struct rounding *r, size_t start)
{
    size_t n = r->rows + r->columns, head = 0, tail = 0;

    memset(r->seen, 0, n * sizeof *r->seen);
    r->seen[start] = true;
    r->queue[tail++] = start;
    while (head < tail) {
        size_t at = r->queue[head++], first = at < r->rows ? r->rows : 0;
        size_t last = at < r->rows ? n : r->rows;

        if (r->excess[at] < 0)
            return at;
        for (size_t to = first; to < last; to++) {
            size_t cell = cell_of(r, at, to);

            if (r->seen[to] || !(raises(r, at, to) ? may_rise(r, cell) : may_fall(r, cell)))
                continue;
            r->seen[to] = true;
            r->from[to] = at;
            r->queue[tail++] = to;
        }
    }
    return SIZE_MAX;
}

enum fault controlled_round(struct cx *cx, size_t rows, size_t columns,
                            const double *values, const bool *free, uint64_t base,
                            double **ret)
{
    struct rounding r;

    TRY(rounding_new(cx, rows, columns, values, free, base, &r));
    for (size_t start = 0; start < r.rows + r.columns; start++)
        while (r.excess[start] > 0) {
            size_t end = find_way(&r, start);

            if (end == SIZE_MAX)
                return cx_fail(cx, FAULT_INTERNAL, "gate: a table that cannot be rounded");
            r.excess[start]--;
            r.excess[end]++;
            for (size_t at = end; at != start; at = r.from[at]) {
                size_t cell = cell_of(&r, r.from[at], at);

                r.at[cell] += raises(&r, r.from[at], at) ? 1 : (uint64_t)-1;
            }
        }
    CX_NEW(cx, *ret, r.rows * r.columns);
    for (size_t i = 0; i < r.rows * r.columns; i++)
        (*ret)[i] = (double)(r.at[i] * base);
    return FAULT_NONE;
}

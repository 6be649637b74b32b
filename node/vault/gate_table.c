/*
 * gate_table.c - which cells of an item are withheld.
 *
 *   R1   fewer than the threshold, zero alike
 *   R3   nearly all of a class of a sensitive variable: the class is withheld whole
 *   R25  a withheld cell follows by subtraction from a total that may be known:
 *        each line with a withheld cell has at least two, with at least the
 *        threshold of patients in them together; and each withheld cell of a table lies on
 *        a circle of such cells, for two lines each may still leave one between them bare.
 *        The same are taken at every vault
 */
#include "node/vault/gate_private.h"

#include <math.h>
#include <string.h>

struct line { /* a row or a column */
    size_t first, stride, n;
};

static struct line row_of(const struct item *item, size_t r)
{
    return (struct line){r * item->columns, 1, item->columns};
}

static struct line column_of(const struct item *item, size_t c)
{
    return (struct line){c, item->columns, item->rows};
}

static bool may_show_zero(const struct policy *session, const struct item *item, size_t i)
{
    bool is_table =
        item->kind == COHORTIUM__ITEM_KIND__COUNTS && item->rows * item->columns > 1;

    if (item->support[i] != 0 || session->number[POLICY_ZEROS_ARE_DISCLOSIVE] >= 1)
        return false;
    return session->testing ||
           (is_table && !item->sensitive_rows && !item->sensitive_columns);
}

static void judge_threshold(const struct policy *session, const struct item *item,
                            uint8_t *states, struct withheld *withheld)
{
    double k = session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD];

    for (size_t i = 0; i < item->rows * item->columns; i++)
        if ((double)item->support[i] < k && !may_show_zero(session, item, i)) {
            withheld->r1 += states[i] != CELL_WITHHELD;
            states[i] = CELL_WITHHELD;
        }
}

/* A class is one line: of everybody in it, the cells say how the sensitive variable is
 * distributed. */
static void judge_class(const struct policy *session, const struct item *item,
                        struct line l, uint8_t *states, struct withheld *withheld)
{
    double sum = 0, largest = 0;

    for (size_t i = 0; i < l.n; i++) {
        double v = item->values[l.first + i * l.stride];

        sum += v;
        largest = fmax(largest, v);
    }
    if (sum <= 0 || largest < session->number[POLICY_CLASS_DISCLOSURE_MAX_SHARE] * sum)
        return;
    for (size_t i = 0; i < l.n; i++) {
        uint8_t *state = &states[l.first + i * l.stride];

        withheld->r3 += *state == CELL_GIVEN;
        *state = CELL_WITHHELD;
    }
}

static void judge_classes(const struct policy *session, const struct item *item,
                          uint8_t *states, struct withheld *withheld)
{
    if (item->sensitive_rows)
        for (size_t c = 0; c < item->columns; c++)
            judge_class(session, item, column_of(item, c), states, withheld);
    if (item->sensitive_columns)
        for (size_t r = 0; r < item->rows; r++)
            judge_class(session, item, row_of(item, r), states, withheld);
}

static bool any_withheld(struct line l, const uint8_t *states)
{
    for (size_t j = 0; j < l.n; j++)
        if (states[l.first + j * l.stride] == CELL_WITHHELD)
            return true;
    return false;
}

/* Is cell a to be taken rather than b? One whose other line has a withheld cell already
 * needs no partner there; then the smaller, then the first. */
static bool is_better(const struct item *item, bool in_row, const uint8_t *states, size_t a,
                      size_t b)
{
    struct line la =
        in_row ? column_of(item, a % item->columns) : row_of(item, a / item->columns);
    struct line lb =
        in_row ? column_of(item, b % item->columns) : row_of(item, b / item->columns);
    bool free_a = any_withheld(la, states), free_b = any_withheld(lb, states);

    return free_a != free_b ? free_a : item->support[a] < item->support[b];
}

/* Withholds one more cell of this line if a withheld one would follow. */
static bool complete_line(double k, const struct item *item, struct line l, bool in_row,
                          uint8_t *states)
{
    size_t n = 0, best = SIZE_MAX;
    double hidden = 0;

    for (size_t j = 0; j < l.n; j++) {
        size_t i = l.first + j * l.stride;

        if (states[i] == CELL_WITHHELD) {
            n++;
            hidden += (double)item->support[i];
        } else if (item->support[i] > 0 &&
                   (best == SIZE_MAX || is_better(item, in_row, states, i, best))) {
            best = i;
        }
    }
    if (n == 0 || (n >= 2 && hidden >= k) || best == SIZE_MAX)
        return false;
    states[best] = CELL_WITHHELD;
    return true;
}

/*
 * Rows and columns are the nodes of a graph, withheld cells its edges. An edge that lies on
 * no circle is what the totals of one side of it leave over: rows less columns is its
 * value, whatever the other cells hold. The way around it that takes the fewest patients
 * closes a circle.
 */
struct ways {
    size_t n; /* rows, then columns */
    double *cost;
    size_t *from; /* the node before, on the cheapest way */
    bool *seen;
    size_t *order, *low, n_visited; /* of the search for bridges */
    bool *bridge;                   /* by cell */
};

static enum fault ways_new(struct cx *cx, const struct item *item, struct ways *ret)
{
    struct ways w = {.n = item->rows + item->columns};

    CX_NEW(cx, w.cost, w.n);
    CX_NEW(cx, w.from, w.n);
    CX_NEW(cx, w.seen, w.n);
    CX_NEW(cx, w.order, w.n);
    CX_NEW(cx, w.low, w.n);
    CX_NEW(cx, w.bridge, item->rows * item->columns);
    *ret = w;
    return FAULT_NONE;
}

static size_t cell_between(const struct item *item, size_t a, size_t b)
{
    return a < item->rows ? a * item->columns + (b - item->rows)
                          : b * item->columns + (a - item->rows);
}

/* Depth first over withheld cells: a cell is a bridge when nothing below it reaches above
 * it by another one (Tarjan 1974). via: the cell that led here. */
static void visit(const struct item *item, const uint8_t *states, size_t at, size_t via,
                  struct ways *w)
{
    size_t first = at < item->rows ? item->rows : 0;
    size_t last = at < item->rows ? w->n : item->rows;

    w->order[at] = w->low[at] = ++w->n_visited;
    for (size_t to = first; to < last; to++) {
        size_t i = cell_between(item, at, to);

        if (i == via || states[i] != CELL_WITHHELD)
            continue;
        if (w->order[to] == 0) {
            visit(item, states, to, i, w);
            w->bridge[i] = w->low[to] > w->order[at];
        }
        if (w->low[to] < w->low[at])
            w->low[at] = w->low[to];
    }
}

static void find_bridges(const struct item *item, const uint8_t *states, struct ways *w)
{
    memset(w->order, 0, w->n * sizeof *w->order);
    memset(w->bridge, 0, item->rows * item->columns * sizeof *w->bridge);
    w->n_visited = 0;
    for (size_t i = 0; i < w->n; i++)
        if (w->order[i] == 0)
            visit(item, states, i, SIZE_MAX, w);
}

/* Cheapest ways from a row to every node, but not over cell `without`; withheld cells are
 * free, empty ones that are shown hide nothing. Ties: the first node. */
static void find_ways(const struct item *item, const uint8_t *states, size_t row,
                      size_t without, struct ways *w)
{
    for (size_t i = 0; i < w->n; i++) {
        w->cost[i] = i == row ? 0 : INFINITY;
        w->seen[i] = false;
    }
    for (;;) {
        size_t at = w->n;

        for (size_t i = 0; i < w->n; i++)
            if (!w->seen[i] && isfinite(w->cost[i]) &&
                (at == w->n || w->cost[i] < w->cost[at]))
                at = i;
        if (at == w->n)
            return;
        w->seen[at] = true;
        size_t first = at < item->rows ? item->rows : 0;
        size_t last = at < item->rows ? w->n : item->rows;
        for (size_t to = first; to < last; to++) {
            size_t i = cell_between(item, at, to);
            bool free = states[i] == CELL_WITHHELD;
            double cost = w->cost[at] + (free ? 0 : (double)item->support[i]);

            if (i == without || (!free && item->support[i] == 0) || cost >= w->cost[to])
                continue;
            w->cost[to] = cost;
            w->from[to] = at;
        }
    }
}

/* Withholds what closes a circle through this cell; how many. */
static size_t close_circle(const struct item *item, size_t cell, uint8_t *states,
                           struct ways *w)
{
    size_t row = cell / item->columns, at = item->rows + cell % item->columns, taken = 0;

    find_ways(item, states, row, cell, w);
    if (!(w->cost[at] > 0) || !isfinite(w->cost[at]))
        return 0; /* there is one already, or no way to have one */
    for (; at != row; at = w->from[at]) {
        size_t i = cell_between(item, at, w->from[at]);

        taken += states[i] != CELL_WITHHELD;
        states[i] = CELL_WITHHELD;
    }
    return taken;
}

static bool complete_lines(double k, const struct item *item, uint8_t *states,
                           struct withheld *withheld)
{
    bool any = false;

    for (size_t r = 0; r < item->rows && item->columns > 1; r++)
        while (complete_line(k, item, row_of(item, r), true, states)) {
            any = true;
            withheld->r25++;
        }
    for (size_t c = 0; c < item->columns && item->rows > 1; c++)
        while (complete_line(k, item, column_of(item, c), false, states)) {
            any = true;
            withheld->r25++;
        }
    return any;
}

static enum fault judge_complement(struct cx *cx, double k, const struct item *item,
                                   uint8_t *states, struct withheld *withheld)
{
    bool again = true;
    struct ways w;

    TRY(ways_new(cx, item, &w));
    while (again) { /* each turn withholds at least one cell more: it ends */
        TRY(cx_on_time(cx));
        again = complete_lines(k, item, states, withheld);
        if (item->rows < 2 || item->columns < 2)
            continue;
        find_bridges(item, states, &w);
        for (size_t i = 0; i < item->rows * item->columns; i++) {
            size_t taken = w.bridge[i] ? close_circle(item, i, states, &w) : 0;

            withheld->r25 += taken;
            again = again || taken > 0;
        }
    }
    return FAULT_NONE;
}

enum fault table_judge(struct cx *cx, const struct policy *session, const struct item *item,
                       uint8_t *states, struct withheld *withheld)
{
    bool counts = item->kind == COHORTIUM__ITEM_KIND__COUNTS;

    if (counts && item->support == NULL)
        return cx_fail(cx, FAULT_INTERNAL,
                       "gate: nobody is named behind the counts of item `%s`", item->name);
    if (item->support == NULL)
        return FAULT_NONE;
    judge_threshold(session, item, states, withheld);
    if (!counts)
        return FAULT_NONE;
    judge_classes(session, item, states, withheld);
    return judge_complement(cx, session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD], item,
                            states, withheld);
}

/*
 * gate_audit.c - does a withheld cell keep its whole range? Witnesses for tables of two
 * variables come from a flow (gate_audit.c), for others from moves of corners
 * (gate_cubes.c).
 *
 * A table of two variables with its totals is a circulation: levels of rows and columns and
 * the two totals are nodes, each cell an arc with what it holds as flow. The matrix is
 * totally unimodular, so paths in what the withheld cells leave open reach the exact whole
 * bounds (Ford and Fulkerson).
 */
#include "node/vault/gate_grid.h"

#include <string.h>

enum fault audit_new(struct cx *cx, const struct grid *g, uint64_t limit, struct audit *ret)
{
    size_t nodes = g->shape.n_dims == 2 ? g->shape.size[0] + g->shape.size[1] + 2 : 0;

    *ret = (struct audit){.grid = g, .limit = limit};
    CX_NEW(cx, ret->x, g->n);
    CX_NEW(cx, ret->touched, g->n);
    CX_NEW(cx, ret->cost, nodes);
    CX_NEW(cx, ret->from, nodes);
    CX_NEW(cx, ret->seen, nodes);
    return FAULT_NONE;
}

/* ---- what a cell must be able to be ---- */

static bool is_under(const struct grid *g, size_t cell, size_t total)
{
    for (size_t d = 0; d < g->shape.n_dims; d++) {
        size_t level = grid_level(g, total, d);

        if (level != g->shape.size[d] && level != grid_level(g, cell, d))
            return false;
    }
    return true;
}

static bool is_single(const struct grid *g, size_t cell)
{
    return g->withheld[cell] && g->value[cell] == 1 && !grid_is_total(g, cell);
}

/* The least a secret cell must be able to be: 0 or 1; a total: what its cells are known to
 * hold at least. */
static uint64_t least_wanted(struct audit *a, size_t cell, size_t single)
{
    const struct grid *g = a->grid;
    uint64_t least = 0;

    if (!grid_is_total(g, cell))
        return g->zeros_shown ? 1 : 0;
    if (!g->zeros_shown)
        return single != SIZE_MAX && is_under(g, single, cell) ? 1 : 0;
    for (size_t i = 0; i < g->n; i++)
        if (!grid_is_total(g, i) && is_under(g, i, cell))
            least += g->withheld[i] ? grid_least(g, i) : g->value[i];
    a->work += g->n;
    return least < 1 ? 1 : least;
}

static uint64_t reach(struct audit *a, size_t cell, bool up, uint64_t need, size_t single)
{
    const struct grid *g = a->grid;
    uint64_t got = 0;

    memcpy(a->x, g->value, g->n * sizeof *a->x);
    if (need > 0)
        got = g->shape.n_dims == 2 ? flow_reach(a, cell, up, need, single)
                                   : cube_reach(a, cell, up, need, single);
    for (size_t i = 0; i < g->n; i++)
        a->touched[i] = a->touched[i] || a->x[i] != g->value[i];
    return got;
}

/* A cell of the threshold or more: as wide a range as a small one has; and the largest of a
 * class may be less than the share that the class is withheld for. */
static bool large_is_safe(struct audit *a, size_t cell, size_t single, struct want *ret)
{
    const struct grid *g = a->grid;
    uint64_t v = g->value[cell], width = g->k - (g->zeros_shown ? 1 : 0);
    uint64_t down = width, up;

    if (g->below[cell] > 0 && v >= g->below[cell] && v - g->below[cell] + 1 > down)
        down = v - g->below[cell] + 1;
    up = reach(a, cell, true, width, single);
    uint64_t got = reach(a, cell, false, down, single);
    uint64_t missing = got + up < width ? width - got - up : 0;

    if (g->below[cell] > 0 && v - got >= g->below[cell] &&
        v - got - g->below[cell] + 1 > missing)
        missing = v - got - g->below[cell] + 1;
    *ret = (struct want){.cell = cell, .missing = missing, .single = single};
    return missing == 0;
}

static bool small_is_safe(struct audit *a, size_t cell, size_t single, struct want *ret)
{
    const struct grid *g = a->grid;
    uint64_t v = g->value[cell], least = least_wanted(a, cell, single);
    uint64_t need = v > least ? v - least : 0, got = reach(a, cell, false, need, single);

    *ret = (struct want){.cell = cell, .missing = need - got, .single = single};
    if (got < need)
        return false;
    need = g->k - v; /* k and not k - 1: then no sum of them that follows is small */
    got = reach(a, cell, true, need, single);
    *ret = (struct want){.cell = cell, .up = true, .missing = need - got, .single = single};
    return got == need;
}

static bool is_safe(struct audit *a, size_t cell, size_t single, struct want *ret)
{
    return a->grid->value[cell] < a->grid->k ? small_is_safe(a, cell, single, ret)
                                             : large_is_safe(a, cell, single, ret);
}

/* Against everybody; then against the single patients whose cells the proof moved: for all
 * others it holds as it is. Of a total that is nobody but himself he knows by himself. */
bool audit_cell(struct audit *a, size_t cell, struct want *ret)
{
    const struct grid *g = a->grid;

    memset(a->touched, 0, g->n * sizeof *a->touched);
    if (!is_safe(a, cell, SIZE_MAX, ret))
        return false;
    for (size_t s = 0; s < g->n; s++)
        if (a->touched[s] && s != cell && is_single(g, s) &&
            !(g->value[cell] == 1 && is_under(g, s, cell)) && !is_safe(a, cell, s, ret))
            return false;
    return a->work <= a->limit;
}

size_t audit_mend(struct audit *a, const struct want *want, struct grid *g)
{
    size_t n = g->shape.n_dims == 2 ? flow_mend(a, want, g) : cube_mend(a, want, g);

    if (n > 0 || g->value[want->cell] < g->k || g->below[want->cell] > 0)
        return n;
    struct want other = *want; /* a range may grow at its other end as well */

    other.up = !want->up;
    memcpy(a->x, g->value, g->n * sizeof *a->x);
    return g->shape.n_dims == 2 ? flow_mend(a, &other, g) : cube_mend(a, &other, g);
}

/* ---- two variables: flow ---- */

/* Nodes: levels and total of the rows, then of the columns. An arc goes from its row to its
 * column, that of the total over one variable the other way. */
struct arc {
    size_t tail, head;
};

static struct arc arc_of(const struct grid *g, size_t cell)
{
    size_t r = grid_level(g, cell, 0), c = grid_level(g, cell, 1);
    bool forward = (r == g->shape.size[0]) == (c == g->shape.size[1]);
    size_t column = g->shape.size[0] + 1 + c;

    return forward ? (struct arc){r, column} : (struct arc){column, r};
}

struct search {
    size_t start, goal;
    size_t without, single; /* cells that stay as they are */
    uint64_t least;         /* that each arc must be able to carry */
    bool may_take;          /* given cells, at their price */
};

/* How much can go over the cell from this node. */
static uint64_t room(const struct audit *a, size_t cell, bool raises)
{
    const struct grid *g = a->grid;

    return raises ? UINT64_MAX : a->x[cell] - grid_least(g, cell);
}

static uint64_t cell_cost(const struct audit *a, const struct search *s, size_t cell,
                          bool raises)
{
    enum { HOPS_LOG2 = 12 };
    const struct grid *g = a->grid;

    if (cell == s->without || cell == s->single || room(a, cell, raises) < s->least)
        return UINT64_MAX;
    if (g->withheld[cell])
        return 1;
    if (!s->may_take || g->value[cell] == 0)
        return UINT64_MAX; /* an empty cell that is shown hides nothing */
    return (grid_price(g, cell) << HOPS_LOG2) + 1;
}

static size_t cell_of(const struct grid *g, size_t a, size_t b)
{
    size_t rows = g->shape.size[0] + 1;

    return a < rows ? a * g->step[0] + (b - rows) : b * g->step[0] + (a - rows);
}

/* Cheapest, then shortest way (Dijkstra); ties: the first node. */
static bool find_way(struct audit *a, const struct search *s)
{
    const struct grid *g = a->grid;
    size_t rows = g->shape.size[0] + 1, n = rows + g->shape.size[1] + 1;

    for (size_t i = 0; i < n; i++) {
        a->cost[i] = i == s->start ? 0 : UINT64_MAX;
        a->seen[i] = false;
    }
    for (;;) {
        size_t at = n;

        for (size_t i = 0; i < n; i++)
            if (!a->seen[i] && a->cost[i] != UINT64_MAX &&
                (at == n || a->cost[i] < a->cost[at]))
                at = i;
        if (at == n || at == s->goal)
            return at == s->goal;
        a->seen[at] = true;
        for (size_t to = at < rows ? rows : 0; to < (at < rows ? n : rows); to++) {
            size_t cell = cell_of(g, at, to);
            uint64_t cost = cell_cost(a, s, cell, arc_of(g, cell).tail == at);

            if (cost == UINT64_MAX || a->cost[at] + cost >= a->cost[to])
                continue;
            a->cost[to] = a->cost[at] + cost;
            a->from[to] = at;
        }
        a->work += n;
    }
}

static struct search search_for(const struct grid *g, size_t cell, bool up, size_t single)
{
    struct arc arc = arc_of(g, cell);

    return (struct search){.start = up ? arc.head : arc.tail,
                           .goal = up ? arc.tail : arc.head,
                           .without = cell,
                           .single = single,
                           .least = 1};
}

uint64_t flow_reach(struct audit *a, size_t cell, bool up, uint64_t need, size_t single)
{
    const struct grid *g = a->grid;
    struct search s = search_for(g, cell, up, single);
    uint64_t got = 0;

    if (!up && need > room(a, cell, false))
        need = room(a, cell, false);
    while (got < need && a->work <= a->limit && find_way(a, &s)) {
        uint64_t t = need - got;

        for (size_t at = s.goal; at != s.start; at = a->from[at]) {
            size_t i = cell_of(g, at, a->from[at]);
            uint64_t r = room(a, i, arc_of(g, i).tail == a->from[at]);

            t = r < t ? r : t;
        }
        for (size_t at = s.goal; at != s.start; at = a->from[at]) {
            size_t i = cell_of(g, at, a->from[at]);

            a->x[i] += arc_of(g, i).tail == a->from[at] ? t : (uint64_t)0 - t;
        }
        a->x[cell] += up ? t : (uint64_t)0 - t;
        got += t;
    }
    return got;
}

/* One way that carries all that is missing, else one that carries something. */
size_t flow_mend(struct audit *a, const struct want *want, struct grid *g)
{
    struct search s = search_for(g, want->cell, want->up, want->single);
    size_t taken = 0;

    s.may_take = true;
    s.least = want->missing;
    if (!find_way(a, &s)) {
        s.least = 1;
        if (!find_way(a, &s))
            return 0;
    }
    for (size_t at = s.goal; at != s.start; at = a->from[at]) {
        size_t i = cell_of(g, at, a->from[at]);

        taken += !g->withheld[i];
        g->withheld[i] = true;
    }
    return taken;
}

/*
 * gate_cubes.c - witnesses for tables of one, three and four variables: moves of corners.
 *
 * Two levels of each variable span a cube. To move one corner by t, move each corner by t
 * or -t, by the parity of how many levels it differs in; no sum over a variable changes. A
 * total is a level like any other, but moves with the cell beside it, not against it.
 * Moves that follow each other lead from table to table of whole numbers (Fischetti and
 * Salazar call the patterns that they find sufficient; what they do not find is withheld
 * more).
 */
#include "node/vault/gate_grid.h"

#include <string.h>

enum { CORNERS_MAX = 1 << GRID_DIMS_MAX };

struct cube {
    size_t n; /* corners */
    size_t cell[CORNERS_MAX];
    bool up[CORNERS_MAX];
};

struct hunt { /* among all cubes at one corner */
    struct audit *audit;
    size_t single;
    bool may_take;
    uint64_t least, enough; /* room a cube must have; where nothing better is looked for */
    struct cube best;
    uint64_t price, room;
    bool done;
};

static uint64_t corner_room(const struct hunt *h, size_t cell, bool up)
{
    const struct audit *a = h->audit;

    return up ? UINT64_MAX : a->x[cell] - grid_least(a->grid, cell);
}

/* UINT64_MAX: it may not be moved. */
static uint64_t corner_price(const struct hunt *h, size_t cell)
{
    const struct grid *g = h->audit->grid;

    if (cell == h->single)
        return UINT64_MAX;
    if (g->withheld[cell])
        return 0;
    return h->may_take && g->value[cell] > 0 ? grid_price(g, cell) : UINT64_MAX;
}

static bool is_better(const struct hunt *h, uint64_t price, uint64_t r)
{
    return price != h->price ? price < h->price : r > h->room;
}

/* A cube over the first dims of the grid; each further variable doubles it. */
static void widen(struct hunt *h, const struct cube *c, size_t dim, uint64_t price,
                  uint64_t r)
{
    const struct grid *g = h->audit->grid;

    if (dim == g->shape.n_dims) {
        if (is_better(h, price, r)) {
            h->best = *c;
            h->price = price;
            h->room = r;
            h->done = price == 0 && r >= h->enough;
        }
        return;
    }
    size_t own = grid_level(g, c->cell[0], dim);

    for (size_t level = 0; level <= g->shape.size[dim] && !h->done; level++) {
        struct cube wide = *c;
        bool along = own == g->shape.size[dim] || level == g->shape.size[dim],
             ok = level != own;
        uint64_t sum = price, least = r;

        for (size_t i = 0; i < c->n && ok; i++) {
            size_t cell = c->cell[i] + level * g->step[dim] - own * g->step[dim];
            bool up = along ? c->up[i] : !c->up[i];
            uint64_t p = corner_price(h, cell), room = corner_room(h, cell, up);

            h->audit->work++;
            wide.cell[c->n + i] = cell;
            wide.up[c->n + i] = up;
            ok = p != UINT64_MAX && room >= h->least && p + sum <= h->price;
            sum += p;
            least = room < least ? room : least;
        }
        wide.n = 2 * c->n;
        if (ok)
            widen(h, &wide, dim + 1, sum, least);
    }
}

static bool find_cube(struct hunt *h, size_t cell, bool up)
{
    struct cube c = {.n = 1, .cell = {cell}, .up = {up}};

    h->price = UINT64_MAX;
    h->room = 0;
    h->done = false;
    widen(h, &c, 0, 0, corner_room(h, cell, up));
    return h->room > 0;
}

uint64_t cube_reach(struct audit *a, size_t cell, bool up, uint64_t need, size_t single)
{
    struct hunt h = {.audit = a, .single = single, .least = 1};
    uint64_t got = 0;

    if (!up && need > corner_room(&h, cell, false))
        need = corner_room(&h, cell, false);
    while (got < need && a->work <= a->limit) {
        h.enough = need - got;
        if (!find_cube(&h, cell, up))
            break;
        uint64_t t = h.room < need - got ? h.room : need - got;

        for (size_t i = 0; i < h.best.n; i++)
            a->x[h.best.cell[i]] += h.best.up[i] ? t : (uint64_t)0 - t;
        got += t;
    }
    return got;
}

size_t cube_mend(struct audit *a, const struct want *want, struct grid *g)
{
    struct hunt h = {.audit = a,
                     .single = want->single,
                     .may_take = true,
                     .enough = want->missing,
                     .least = want->missing};
    size_t taken = 0;

    if (!find_cube(&h, want->cell, want->up)) {
        h.least = 1;
        if (!find_cube(&h, want->cell, want->up))
            return 0;
    }
    for (size_t i = 0; i < h.best.n; i++) {
        taken += !g->withheld[h.best.cell[i]];
        g->withheld[h.best.cell[i]] = true;
    }
    return taken;
}

/*
 * gate_grid.h - a table of one to four variables with all its totals, and what must be
 * withheld so that no withheld cell follows (R25).
 *
 * The attacker knows every given number exactly, that each total is the sum of its cells,
 * that patients are whole and not negative and, where zeros are shown, that nothing
 * withheld is zero. He may be the only patient of one withheld cell, and know that.
 * Promised: of a secret cell below the threshold both 0 (1 where zeros are shown)
 * and k stay possible, so that no sum of withheld cells that follows is below k either; a
 * larger one keeps as wide a range.
 * Each proof is an explicit table of whole numbers with the same given numbers: nothing
 * rests on a bound that is only nearly right. Whole numbers and a fixed order alone decide,
 * so that every vault withholds the same.
 */
#pragma once

#include "analyses/shape.h"
#include "protocol/base/bytes.h"

enum { GRID_DIMS_MAX = SHAPE_DIMS_MAX, GRID_CELLS_MAX = 65536 };

struct grid {
    struct shape shape;         /* each variable with two levels at least */
    size_t step[GRID_DIMS_MAX]; /* of the shape */
    size_t n;                   /* cells and totals */
    uint64_t *value;            /* patients; totals are sums */
    bool *withheld;             /* in: by other rules; out: and what R25 takes */
    bool *secret;               /* withheld by a rule on its own account */
    uint64_t *below;            /* of a class's largest cell (R3): must be able to be
                                   lower; 0: none */
    uint64_t k;                 /* threshold */
    bool zeros_shown;
    bool spent; /* out: the work was too much, so that everything is withheld */
};

/* Sizes set; values zero, nothing withheld. */
CHECKED enum fault grid_new(struct cx *cx, const struct shape *shape, struct grid *ret);
/* Totals from the cells. */
void grid_sum(struct grid *g);
/* Whether the cell is a total over some variable. */
bool grid_is_total(const struct grid *g, size_t cell);
/* Index of the variable's level in this cell. */
size_t grid_level(const struct grid *g, size_t cell, size_t dim);
/* Withholds more until every secret cell is safe; *ret_taken: how many. First totals as
 * tables of fewer variables; then itself, which may take more totals. */
CHECKED enum fault grid_protect(struct cx *cx, struct grid *g, size_t *ret_taken);

/* ---- the audit (gate_audit.c), for grid_protect ---- */

struct audit {
    const struct grid *grid;
    uint64_t *x;   /* the witness: a table that looks the same */
    bool *touched; /* single patients that the last witness moved */
    /* of searches over a table of two variables: */
    uint64_t *cost;
    size_t *from;
    bool *seen;
    uint64_t work, limit; /* cells looked at; beyond the limit nothing is proved */
};

struct want { /* what could not be proved */
    size_t cell;
    bool up;
    uint64_t missing;
    size_t single; /* the single patient who would know; SIZE_MAX: everybody */
};

CHECKED enum fault audit_new(struct cx *cx, const struct grid *g, uint64_t limit,
                             struct audit *ret);
/* Is this secret cell safe? If not, *ret says what is missing, and a->x how far it got. */
bool audit_cell(struct audit *a, size_t cell, struct want *ret);
/* Cheapest cells that give what is missing, marked withheld in g (which is a->grid); how
 * many. 0: there are none. */
size_t audit_mend(struct audit *a, const struct want *want, struct grid *g);

/* By how much the cell can be moved that way, at most need; leaves a->x there. */
uint64_t flow_reach(struct audit *a, size_t cell, bool up, uint64_t need, size_t single);
size_t flow_mend(struct audit *a, const struct want *want, struct grid *g);
uint64_t cube_reach(struct audit *a, size_t cell, bool up, uint64_t need, size_t single);
size_t cube_mend(struct audit *a, const struct want *want, struct grid *g);

/* Least that a withheld cell is known to hold. */
static inline uint64_t grid_least(const struct grid *g, size_t cell)
{
    return g->zeros_shown && g->value[cell] > 0 ? 1 : 0;
}

/* A price for withholding it: totals last. */
static inline uint64_t grid_price(const struct grid *g, size_t cell)
{
    enum { VALUE_LOG2 = 30, TOTAL_LOG2 = 36 };
    uint64_t v = g->value[cell], most = (uint64_t)1 << VALUE_LOG2;

    return (v < most ? v : most) + (grid_is_total(g, cell) ? (uint64_t)1 << TOTAL_LOG2 : 0);
}

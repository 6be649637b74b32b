/*
 * regions.h - the patient sets that an answer's cells rest on (DISCLOSURE.md 0.2).
 *
 * A region of a cell is its expression with each atom on a variable that is not a
 * quasi-identifier set true and set false. Constant false is left out; constant true is the
 * whole namespace (ledger entry 0).
 */
#pragma once

#include "analyses/ast.h"

enum {
    REGIONS_A_CELL_MAX = 8,
    REGIONS_MAX = 4096,
    /* numbers of a question's regions round: its columns' products with those that sites
     * hold already and with each other */
    REGIONS_PRODUCTS_MAX = 1 << 19
};

struct regions {
    size_t n;
    struct ast **list; /* canonical, distinct, sorted; never constant */
    bool *optional;    /* of cells alone that may be withheld one by one */
    bool everybody;    /* some cell rests on the whole namespace */
    size_t n_cells;
};

/* cells: predicates (cohort and keys) of all released cells; optional, by cell: it may be
 * withheld and the others still be given (NULL: none may). More than 8 in one cell, or 4096
 * in all: a complaint ("too many alternatives on variables that are not quasi-identifiers"). */
CHECKED enum fault regions_make(struct cx *cx, const struct codebook *cb,
                                struct ast *const *cells, const bool *optional,
                                size_t n_cells, struct complaints *c,
                                struct regions *ret);

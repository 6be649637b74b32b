/* table.h - what table.c, noised_table.c, table_view.c and table_show.c share. */
#pragma once

#include "analyses/analysis.h"
#include "analyses/levels.h"
#include "analyses/shape.h"

#define TABLE_MISSING "(missing)"

enum { TABLE_DIMS_MAX = SHAPE_DIMS_MAX };

struct table_params {
    size_t n; /* variables: 1 to 4 */
    struct levels key[TABLE_DIMS_MAX];
    bool missing;
    double confidence;
    struct shape shape; /* "(missing)" is a level */
};

/* The item that names a variable's levels: rows, cols; of more than two levels:NAME. */
const char *table_names_item(struct cx *cx, const struct asked *asked,
                             const struct table_params *p, size_t dim);

/* What both tables, exact and noised, ask: a block for each pattern of missing values. */
CHECKED enum fault table_ask(struct cx *cx, const struct asked *asked,
                             const struct state *state, struct measure **ret);
/* Level of variable k in this cell; as many as it has: "(missing)". */
size_t table_level(const struct table_params *p, size_t cell, size_t k);
/* Where cell i of the shape lies in that measure. */
void table_place(const struct table_params *p, size_t i, size_t *ret_block,
                 size_t *ret_cell);
/* The item of the names of a variable's levels. */
CHECKED enum fault table_put_names(struct cx *cx, const struct asked *asked,
                                   struct result *r, size_t dim);

/* What is shown: an integer's levels that nobody has are left out. */
struct view {
    struct shape shape;
    size_t valid[TABLE_DIMS_MAX]; /* levels without "(missing)" */
    const char **names[TABLE_DIMS_MAX];
    size_t n;       /* cells and totals */
    double *counts; /* cells and totals, in the order of the shape */
    uint8_t *states;
    double *row_counts; /* cells and totals; totals are not there (state 3) */
    uint8_t *row_states;
    bool has_totals;
    bool complete; /* all cells without "(missing)" are given */
    double sum;    /* of these */
};

CHECKED enum fault table_view(struct cx *cx, const struct asked *asked,
                              const struct table_params *p,
                              const Cohortium__Release *release, struct view *ret);
/* Whether no variable stands at "(missing)" there. */
bool view_is_valid(const struct view *v, size_t at);

enum fault table_show(struct cx *cx, const struct asked *asked,
                      const Cohortium__Release *release, struct report *report);

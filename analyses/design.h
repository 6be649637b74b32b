/*
 * design.h - a model's columns, as R's model.matrix makes them, and the opening round that
 * every regression starts with.
 *
 *   Model -> factors -> terms -> columns ("(Intercept)", "age", "raceblack", "age:smoke")
 *
 * Treatment contrasts in the order of the codebook's levels; a factor is coded by all its
 * levels where R would (no intercept, or an interaction without its margin). The opening
 * round counts rows, patients and the cells of categorical factors, and finds centre and
 * scale of each column. Levels without any row are left out as R leaves them out (testing
 * class; under production they are columns that cannot be estimated, so that labels say
 * nothing of data).
 */
#pragma once

#include "analyses/levels.h"
#include "analyses/math/solve.h"

enum { DESIGN_COLUMNS_MAX = 100, DESIGN_CELLS_MAX = 4096, DESIGN_GROUPS_MAX = 48 };

enum design_kind { DESIGN_NUMBER, DESIGN_LEVELS, DESIGN_CLAIM };

struct design_factor {
    enum design_kind kind;
    struct ast *ast;  /* number or claim; a variable for levels */
    const char *text; /* R's name */
    bool as_factor;
    size_t n_cells;       /* levels; 2 for claims and 0/1 variables; 0: not categorical */
    struct levels levels; /* DESIGN_LEVELS and 0/1 variables */
};

struct design_term {
    const char *text;
    size_t n;
    size_t *factors; /* indexes, as written */
    bool *full;      /* coded by all levels instead of contrasts */
};

struct design_piece {
    size_t factor;
    size_t level; /* levels and claims */
    bool contrast;
};

struct design_column {
    const char *name;
    int term; /* -1: the intercept */
    bool indicator;
    size_t n;
    struct design_piece *pieces;
    double lower, upper, middle;
};

struct design_group { /* crossed categorical factors whose cells are counted */
    size_t n, n_cells;
    size_t *factors;
};

struct design {
    const struct asked *asked;
    bool intercept;
    struct ast *response, *offset;
    int weights; /* variable or -1 */
    size_t n_factors, n_terms, n_columns, n_groups;
    struct design_factor *factors;
    struct design_term *terms;
    struct design_column *columns; /* the intercept first */
    struct design_group *groups;
    double y_lower, y_upper, y_middle;
    double offset_lower, offset_upper; /* 0 without one */
    double w_upper;                    /* 1 without weights */
};

/* Opens params->model and fills the plan (used, cells, quasi columns, widest levels).
 * Complaints, or *ret. */
CHECKED enum fault design_open(struct cx *cx, const struct asked *asked,
                               const char *analysis, struct complaints *c,
                               struct plan *plan, struct design **ret);

/* The nodes of a model in a measure. */
struct design_nodes {
    ref all, where, missing; /* cohort; complete rows of it; the others */
    ref y, w, offset;        /* w, offset: 0 where there is none */
    ref *columns;            /* n_columns; raw */
};
CHECKED enum fault design_nodes(const struct design *d, struct measure *m,
                                struct design_nodes *ret);

struct opening { /* what the opening round taught */
    uint64_t all_rows, all_patients, rows, patients, missing_rows, missing_patients;
    uint64_t all_key, key, missing_key;
    bool keyed; /* keys were asked for */
    uint64_t smallest_cell;
    bool undefined;   /* a logarithm or root of what it does not take */
    size_t n;         /* kept columns */
    size_t *kept;     /* their indexes in the design */
    struct dd weight; /* sum of w, or rows */
    struct dd y_mean, offset_mean;
    double *centre, *scale; /* n + 1: kept columns, then y; the intercept has 0 and 1 */
    double *length2;        /* n + 1: no more than this is sum w ((x - centre) / scale)^2 */
    struct dd *extra;
};
/* extra: sums over complete rows that the analysis wants besides. response_is_class: count
 * the patients by the response's 0 and 1, too. */
CHECKED enum fault design_ask_opening(const struct design *d, struct measure *m,
                                      const struct design_nodes *nodes, const ref *extra,
                                      size_t n_extra, bool response_is_class);
CHECKED enum fault design_learn_opening(struct cx *cx, const struct design *d,
                                        const struct measure *m, const struct tally *pooled,
                                        size_t n_extra, bool response_is_class,
                                        struct opening **ret);
/* centre and scale as a state's input, and back. */
CHECKED enum fault design_put_input(struct cx *cx, const struct opening *o, size_t n_more,
                                    struct state *state);
size_t design_input_size(const struct opening *o);
/* (x - centre) / scale of kept column i (i = n: of y), from a state's input. */
ref design_scaled(struct measure *m, const struct opening *o,
                  const struct design_nodes *nodes, const double *input, size_t i);
/* Puts block->totals: what the opening proves about the numbers of a block whose design are
 * the scaled columns (and y, where it has one more), and how fine they are wanted.
 * exact_terms: they are not rounded to doubles before they are summed. rhs_length: no less
 * than sqrt(sum s^2 / w) of the right side; INFINITY: what its interval says. A failure is
 * kept in m->fault. */
void design_totals(struct measure *m, const struct design *d, const struct opening *o,
                   bool exact_terms, double rhs_length, struct block *block);
/* Squared lengths of the raw columns under the gram's weights, in units of scale^2: what
 * the rank rule measures a column's rest against. gram: n by n. NULL without memory. */
struct dd *design_norms(struct cx *cx, const struct design *d, size_t n,
                        const double *input, const struct dd *gram);
/* From coefficients and covariance in centred scaled columns to the asked ones. y_scale and
 * y_centre: 1 and 0 where the response was not scaled. vcov may be NULL. */
void design_to_raw(const struct design *d, const struct opening *o, const double *input,
                   double y_scale, double y_centre, struct dd *coef, struct dd *vcov);
/* Guard R9: a row's share w x'(X'WX)^-1 x of the fit. */
void design_guard(struct measure *m, const ref *columns, size_t n, ref w,
                  const struct dd *inverse, struct measure_guard *ret);
/* Guards R4: the response's absolute value (times weight), of everybody and of each cell of
 * the factors, whose means a model may give. */
void design_guard_response(const struct design *d, struct measure *m,
                           const struct design_nodes *nodes, ref y);
/* What all models release besides: terms, accounting, R6 and R7. */
CHECKED enum fault design_result(struct cx *cx, const struct design *d,
                                 const struct opening *o, size_t rank, struct result *r);

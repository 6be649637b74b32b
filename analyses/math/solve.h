/*
 * solve.h - symmetric systems in double-double, with R's rank rule.
 *
 * Columns are taken in their order, as R's lm does: a column that the earlier ones
 * determine (its rest is below 1e-7 of its length) is aliased and left out; later columns
 * go on without.
 */
#pragma once

#include "analyses/math/dd.h"

#define SOLVE_RANK_TOLERANCE 1e-7

struct factor { /* A = L D L' over the columns that are not aliased */
    size_t n, rank;
    bool *aliased;     /* n */
    struct dd *lower;  /* n by n, row-major, unit diagonal not stored */
    struct dd *pivots; /* n; 0 where aliased */
};

/* a: n by n, row-major, upper triangle read. norms2: squared length of each column that its
 * rest is measured against; NULL: the diagonal of a. */
CHECKED enum fault solve_factor(struct cx *cx, size_t n, const struct dd *a,
                                const struct dd *norms2, double tolerance,
                                struct factor **ret);
/* u = L^-1 b. The sequential sum of squares of column j is u[j]^2 / pivots[j]. */
void solve_forward(const struct factor *f, const struct dd *b, struct dd *u);
/* x = L'^-1 D^-1 u; 0 where aliased. b and x may not overlap. */
void solve_back(const struct factor *f, const struct dd *u, struct dd *x);
/* The inverse, n by n; rows and columns of aliased ones are 0. */
CHECKED enum fault solve_inverse(struct cx *cx, const struct factor *f, struct dd **ret);

/*
 * perturb.h - what errors of the sums do to what is solved from them, to first order.
 *
 * For a system A b = c with entries known to within E (of A, of c and of y'y), v = (b, -1)
 * and B = A^-1, moved to the raw origin:
 *
 *   |delta b|   <= |B| (E_c + E |b|)      |delta B_ii|  <= (|B| E |B|)_ii
 *   |delta rss| <= |v|' E |v|             |delta pivot| <= |w|' E |w|, w a row of L^-1
 *
 * all by components, so that a column in other units changes nothing. Only IEEE operations:
 * every vault finds the same digits. Source: Higham (2002), Accuracy and Stability of
 * Numerical Algorithms, sections 7.2 and 20.1.
 */
#pragma once

#include "analyses/math/solve.h"

struct solved { /* columns centred and scaled, the response (if any) after them */
    const struct factor *factor;
    const struct dd *inverse; /* n by n */
    const double *shift;      /* n: centre / scale; NULL: columns are not centred */
    const double *coef;       /* n */
    double origin;            /* the response's centre / scale */
    const double *length2;    /* n + 1: the gram's diagonal, then y'y */
    const struct dd *norms2;  /* n: what solve_factor was given */
    double weight;            /* sum of weights: length2 of a column of ones */
    bool has_response;        /* least squares of it; else a step's end, where c is 0 */
    double rest;              /* least squares: the response's residual sum */
    const struct dd *u;       /* from solve_forward, to judge sequential sums; or NULL */
    double dispersion;        /* squares standard errors are multiplied by; NaN: none */
    double dispersion_error;  /* its relative error, where there is no response */
};

struct errors { /* of the entries: steps[i][j] + unit * sqrt(length2[i] length2[j]) */
    const double *steps; /* n+1 by n+1, symmetric; NULL: 0 */
    double unit;
};

/* The largest relative error of any coefficient (relative to its standard error where that
 * is larger), standard error, residual sum or sequential sum; INFINITY where the rank
 * itself, or the first order, does not hold. Numbers 1e-10 of the response's spread and
 * smaller count as that large: a fit may be perfect. */
CHECKED enum fault perturb_worst(struct cx *cx, const struct solved *s,
                                 const struct errors *e, double *ret_worst);

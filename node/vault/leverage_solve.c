/*
 * leverage_solve.c - a new column against the pooled products of the basis.
 *
 *   c = (Z'Z)^-1 g,   left = z'z - g'c
 *
 * Cholesky's factor in double grows by a row a column. Its c is rounded to multiples of
 * 2^-40, for which the residual r = g - (Z'Z) c is computed without error, in integers of
 * 128 bits. One step of iterative refinement, d = (Z'Z)^-1 r, gives both (Higham, Accuracy
 * and Stability of Numerical Algorithms, chapter 12):
 *
 *   left = (z'z - g'c) - c'r - r'd
 *
 * where the first is exact and the others are small: one patient among ten million shows.
 */
#include "node/vault/leverage_private.h"

#include <math.h>
#include <string.h>

/* What both compilers know, in gcc's words. */
__extension__ typedef __int128 wide;

static const double FRACTION = 0x1p40, MOST = 0x1p60;

/* x := L^-1 x */
static void forward(const struct leverage *l, double *x)
{
    for (size_t i = 0; i < l->n; i++) {
        const double *row = l->basis[i].factor;
        double sum = x[i];

        for (size_t k = 0; k < i; k++)
            sum -= row[k] * x[k];
        x[i] = sum / row[i];
    }
}

/* x := L'^-1 x */
static void backward(const struct leverage *l, double *x)
{
    for (size_t i = l->n; i-- > 0;) {
        const double *row = l->basis[i].factor;

        x[i] /= row[i];
        for (size_t k = 0; k < i; k++)
            x[k] -= row[k] * x[i];
    }
}

/* r := 2^40 g - (Z'Z) c */
static void residual(const struct leverage *l, const uint64_t *g, const int64_t *c, wide *r)
{
    for (size_t i = 0; i < l->n; i++)
        r[i] = (wide)g[i] * (wide)FRACTION;
    for (size_t i = 0; i < l->n; i++) {
        const uint64_t *row = l->basis[i].gram;
        wide sum = 0;

        for (size_t k = 0; k < i; k++) {
            sum += (wide)row[k] * c[k];
            r[k] -= (wide)row[k] * c[i];
        }
        r[i] -= sum + (wide)row[i] * c[i];
    }
}

struct solver {
    double *c, *d;
    int64_t *fixed;
    wide *r;
};

static enum fault round_coefficients(struct cx *cx, const struct leverage *l,
                                     struct solver *s)
{
    for (size_t i = 0; i < l->n; i++) {
        if (!(fabs(s->c[i] * FRACTION) < MOST))
            return cx_fail(cx, FAULT_NUMERIC,
                           "leverages: the pooled products of the ledger "
                           "do not belong to patient sets");
        s->fixed[i] = (int64_t)llrint(s->c[i] * FRACTION);
    }
    return FAULT_NONE;
}

/* z'z - g'c - c'r - r'd, and c + d. */
static double refine(const struct leverage *l, const uint64_t *g, struct solver *s)
{
    wide exact = (wide)g[l->n] * (wide)FRACTION;
    double small = 0;

    for (size_t i = 0; i < l->n; i++)
        s->d[i] = (double)s->r[i] / FRACTION;
    forward(l, s->d);
    backward(l, s->d);
    for (size_t i = 0; i < l->n; i++) {
        double c = (double)s->fixed[i] / FRACTION, r = (double)s->r[i] / FRACTION;

        exact -= (wide)g[i] * s->fixed[i];
        small += r * (c + s->d[i]);
        s->c[i] = c + s->d[i];
    }
    return (double)exact / FRACTION - small;
}

enum fault leverage_solve(struct cx *cx, const struct leverage *l, const uint64_t *g,
                          struct leverage_fit *ret)
{
    struct solver s;

    CX_NEW(cx, s.c, l->n);
    CX_NEW(cx, s.d, l->n);
    CX_NEW(cx, s.fixed, l->n);
    CX_NEW(cx, s.r, l->n);
    TRY(leverage_factor(cx, l, g, &ret->factor));
    memcpy(s.c, ret->factor, l->n * sizeof *s.c);
    backward(l, s.c);
    TRY(round_coefficients(cx, l, &s));
    residual(l, g, s.fixed, s.r);
    ret->left = refine(l, g, &s);
    ret->c = s.c;
    ret->factor[l->n] = sqrt(fmax(ret->left, 0));
    return FAULT_NONE;
}

enum fault leverage_factor(struct cx *cx, const struct leverage *l, const uint64_t *g,
                           double **ret)
{
    double *row;

    CX_NEW(cx, row, l->n + 1);
    for (size_t i = 0; i < l->n; i++)
        row[i] = (double)g[i];
    forward(l, row);
    *ret = row;
    return FAULT_NONE;
}

/*
 * solve.c - L D L' in double-double, column by column.
 *
 * Sums come in exact; condition numbers of centred, scaled systems up to about 1e14 keep
 * full double precision. Rank rule: LINPACK's dqrdc2 as R has it, where the rest of a
 * column is compared with its own length before the sweep.
 */
#include "analyses/math/solve.h"

enum fault solve_factor(struct cx *cx, size_t n, const struct dd *a,
                        const struct dd *norms2, double tolerance, struct factor **ret)
{
    struct factor *f;
    size_t size = n * n;

    CX_NEW(cx, f, 1);
    f->n = n;
    CX_NEW(cx, f->aliased, n);
    CX_NEW(cx, f->pivots, n);
    CX_NEW(cx, f->lower, size);
    for (size_t j = 0; j < n; j++) {
        const struct dd *row_j = f->lower + j * n;
        struct dd rest = a[j * n + j];
        double norm2 = norms2 != NULL ? norms2[j].hi : rest.hi;

        for (size_t k = 0; k < j; k++)
            rest = dd_sub(rest, dd_mul(dd_mul(row_j[k], row_j[k]), f->pivots[k]));
        if (!(rest.hi > 0) || rest.hi < tolerance * tolerance * norm2) {
            f->aliased[j] = true;
            continue;
        }
        f->pivots[j] = rest;
        f->rank++;
        for (size_t i = j + 1; i < n; i++) {
            struct dd *row_i = f->lower + i * n, sum = a[j * n + i];

            for (size_t k = 0; k < j; k++)
                sum = dd_sub(sum, dd_mul(dd_mul(row_i[k], row_j[k]), f->pivots[k]));
            row_i[j] = dd_div(sum, rest);
        }
    }
    *ret = f;
    return FAULT_NONE;
}

void solve_forward(const struct factor *f, const struct dd *b, struct dd *u)
{
    for (size_t j = 0; j < f->n; j++) {
        struct dd sum = b[j];

        for (size_t k = 0; k < j; k++)
            if (!f->aliased[k])
                sum = dd_sub(sum, dd_mul(f->lower[j * f->n + k], u[k]));
        u[j] = f->aliased[j] ? dd_of(0) : sum;
    }
}

void solve_back(const struct factor *f, const struct dd *u, struct dd *x)
{
    for (size_t j = f->n; j-- > 0;) {
        if (f->aliased[j]) {
            x[j] = dd_of(0);
            continue;
        }
        struct dd sum = dd_div(u[j], f->pivots[j]);
        for (size_t i = j + 1; i < f->n; i++)
            if (!f->aliased[i])
                sum = dd_sub(sum, dd_mul(f->lower[i * f->n + j], x[i]));
        x[j] = sum;
    }
}

enum fault solve_inverse(struct cx *cx, const struct factor *f, struct dd **ret)
{
    size_t n = f->n, size = n * n;
    struct dd *inverse, *unit, *u, *x;

    CX_NEW(cx, inverse, size);
    CX_NEW(cx, unit, n);
    CX_NEW(cx, u, n);
    CX_NEW(cx, x, n);
    for (size_t j = 0; j < n; j++) {
        if (f->aliased[j])
            continue;
        for (size_t i = 0; i < n; i++)
            unit[i] = dd_of(i == j);
        solve_forward(f, unit, u);
        solve_back(f, u, x);
        for (size_t i = 0; i < n; i++)
            inverse[i * n + j] = x[i];
    }
    *ret = inverse;
    return FAULT_NONE;
}

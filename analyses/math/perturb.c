/* perturb.c - see perturb.h. */
#include "analyses/math/perturb.h"

static const double SMALL = 1e-10;      /* of the response's spread: as good as 0 */
static const double FIRST_ORDER = 0.05; /* of a pivot: beyond, second order counts, too */

struct pass {
    const struct solved *s;
    const struct errors *e;
    size_t n;          /* columns */
    double *row, *gap; /* scratch: n + 1 each */
};

/* The larger; what is not a number is larger than all. */
static double larger(double a, double b)
{
    return isnan(a) || b <= a ? a : b;
}

/* |a|' E |b| */
static double spread(const struct pass *p, const double *a, const double *b)
{
    size_t width = p->n + 1;
    double steps = 0, length_a = 0, length_b = 0;

    for (size_t i = 0; i < width; i++) {
        double sum = 0;

        for (size_t j = 0; p->e->steps != NULL && a[i] != 0 && j < width; j++)
            sum += p->e->steps[i * width + j] * fabs(b[j]);
        steps += fabs(a[i]) * sum;
        length_a += fabs(a[i]) * sqrt(p->s->length2[i]);
        length_b += fabs(b[i]) * sqrt(p->s->length2[i]);
    }
    return steps + p->e->unit * length_a * length_b;
}

/* Row i of the inverse, the intercept's moved to the raw origin. */
static void raw_row(const struct pass *p, size_t i, double *row)
{
    const struct solved *s = p->s;

    for (size_t j = 0; j < p->n; j++) {
        const struct dd *own = &s->inverse[i * p->n + j];
        struct dd sum = {.hi = own->hi, .lo = own->lo};

        for (size_t k = 1; i == 0 && s->shift != NULL && k < p->n; k++)
            sum = dd_sub(sum, dd_mul(dd_of(s->shift[k]), s->inverse[k * p->n + j]));
        row[j] = dd_double(sum);
    }
    row[p->n] = 0;
}

/* Raw coefficient i and its variance without dispersion, in units of the scales. */
static void raw_numbers(const struct pass *p, size_t i, const double *row, double *ret_coef,
                        double *ret_variance)
{
    const struct solved *s = p->s;
    struct dd coef = dd_of(s->coef[i]), variance = dd_of(row[i]);

    for (size_t k = 1; i == 0 && s->shift != NULL && k < p->n; k++) {
        coef = dd_sub(coef, dd_two_product(s->shift[k], s->coef[k]));
        variance = dd_sub(variance, dd_two_product(s->shift[k], row[k]));
    }
    if (i == 0 && s->shift != NULL)
        coef = dd_add(coef, dd_of(s->origin));
    *ret_coef = dd_double(coef);
    *ret_variance = dd_double(variance);
}

static double judge_coefficients(const struct pass *p, double rest_error)
{
    const struct solved *s = p->s;
    double worst = 0, spread_y = sqrt(s->length2[p->n]);

    for (size_t j = 0; j <= p->n;
         j++) /* against what the entries stand: (b, 1), or the 1 */
        p->gap[j] = j == p->n ? 1 : s->has_response ? s->coef[j] : 0;
    for (size_t i = 0; i < p->n; i++) {
        double coef, variance, error, small;

        if (s->factor->aliased[i])
            continue;
        raw_row(p, i, p->row);
        raw_numbers(p, i, p->row, &coef, &variance);
        error = isfinite(s->dispersion) ? sqrt(fmax(variance * s->dispersion, 0)) : 0;
        small = s->has_response
                    ? SMALL * spread_y /
                          sqrt(i == 0 && s->shift != NULL ? s->weight : s->length2[i])
                    : SMALL;
        small = fmax(small, fmax(fabs(coef), error));
        worst = larger(worst, spread(p, p->row, p->gap) / small);
        if (!(variance > 0))
            return INFINITY;
        if (isfinite(s->dispersion))
            worst = larger(worst, (spread(p, p->row, p->row) / variance + rest_error) / 2);
    }
    return worst;
}

/* Row j of L^-1: what is left of column j beside the columns before it. */
static void left_over(const struct pass *p, size_t j, double *row)
{
    const struct factor *f = p->s->factor;

    for (size_t i = 0; i <= p->n; i++)
        row[i] = i == j;
    for (size_t k = j; k-- > 0;)
        for (size_t i = k + 1; i <= j && !f->aliased[k]; i++)
            row[k] -= row[i] * dd_double(f->lower[i * p->n + k]);
}

/* Pivots, and with them the rank; sequential sums of squares, if they are wanted. */
static double judge_pivots(const struct pass *p)
{
    const struct solved *s = p->s;
    double worst = 0, *rest = p->gap,
           variance = isfinite(s->dispersion) ? s->dispersion : 0;
    double least = SMALL * SMALL * s->length2[p->n];

    for (size_t i = 0; i <= p->n; i++)
        rest[i] = i == p->n;
    for (size_t j = 0; j < p->n; j++) {
        double pivot = dd_double(s->factor->pivots[j]), error;

        left_over(p, j, p->row);
        error = spread(p, p->row, p->row);
        if (s->factor->aliased[j]) {
            /* Roundings of the terms are of either sign and leave an aliased column so. */
            if (p->e->steps != NULL &&
                error > SOLVE_RANK_TOLERANCE * SOLVE_RANK_TOLERANCE * s->norms2[j].hi)
                return INFINITY;
            continue;
        }
        if (!(error <= FIRST_ORDER * pivot))
            return INFINITY;
        if (s->u == NULL)
            continue;
        double step = dd_double(s->u[j]) / pivot;
        double sum_error = 2 * fabs(step) * spread(p, p->row, rest) + step * step * error;
        worst = larger(worst, sum_error / fmax(fmax(step * step * pivot, variance), least));
        for (size_t i = 0; i <= p->n; i++)
            rest[i] -= step * p->row[i];
    }
    return worst;
}

enum fault perturb_worst(struct cx *cx, const struct solved *s, const struct errors *e,
                         double *ret_worst)
{
    struct pass p = {.s = s, .e = e, .n = s->factor->n};
    double rest_error = s->dispersion_error, least = SMALL * SMALL * s->length2[p.n];

    CX_NEW(cx, p.row, p.n + 1);
    CX_NEW(cx, p.gap, p.n + 1);
    *ret_worst = judge_pivots(&p);
    if (s->has_response) {
        for (size_t j = 0; j <= p.n; j++)
            p.gap[j] = j == p.n ? 1 : s->coef[j];
        rest_error = spread(&p, p.gap, p.gap) / fmax(fmax(s->rest, least), 0x1p-1000);
    }
    *ret_worst = larger(*ret_worst, rest_error);
    *ret_worst = larger(*ret_worst, judge_coefficients(&p, rest_error));
    if (isnan(*ret_worst)) /* nothing is known */
        *ret_worst = INFINITY;
    return FAULT_NONE;
}

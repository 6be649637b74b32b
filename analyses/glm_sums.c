/*
 * glm_sums.c - one round's sums: what is known of them before they are asked, reading them,
 * and what their quanta and roundings cost the answer.
 */
#include <math.h>

#include "analyses/glm_fit.h"

/* Of a row's term before it is summed: the link's parts, and products with them. */
static const double ROW_ROUNDING = 0x1p-52;

/* ---- before ---- */

static double size_of(const struct measure *m, ref i)
{
    return i == 0 ? 0 : fmax(fabs(m->nodes[i].lower), fabs(m->nodes[i].upper));
}

/* Lengths under the prior weights, as the opening's are; the triangle inequality. */
double glm_null_length(const struct measure *m, const struct opening *o,
                       const struct design_nodes *nodes, double eta)
{
    double ones = sqrt(dd_double(o->weight) * (1 + 1e-6));

    return sqrt(o->length2[o->n]) * o->scale[o->n] +
           (fabs(o->centre[o->n]) + fabs(eta) + size_of(m, nodes->offset)) * ones;
}

double glm_gaussian_length(const struct measure *m, const struct opening *o,
                           const struct design_nodes *nodes, const double *beta)
{
    double length = glm_null_length(m, o, nodes, 0);

    for (size_t i = 0; i < o->n; i++)
        length += fabs(beta[i]) * sqrt(o->length2[i]);
    return length;
}

void glm_totals(struct measure *m, const struct design *d, const struct opening *o,
                double length, double null_length, struct block *b)
{
    design_totals(m, d, o, false, length, b);
    if (m->fault != FAULT_NONE || !isfinite(length))
        return;
    b->totals[SUM_MINUS] = b->totals[SUM_PEARSON] = length * length;
    b->totals[SUM_NULL_MINUS] = null_length * null_length;
    b->totals[SUM_NULL_SCORE] = null_length * sqrt(dd_double(o->weight) * (1 + 1e-6));
}

/* ---- reading ---- */

struct dd *glm_gram(struct cx *cx, const struct measure *m, const struct tally *t, size_t w,
                    size_t n)
{
    struct dd *gram = cx_array(cx, n * n + 1, sizeof *gram);

    for (size_t i = 0; gram != NULL && i < n; i++)
        for (size_t j = i; j < n; j++)
            gram[i * n + j] = gram[j * n + i] =
                pooled_number(m, t, 0, 0, block_gram(&m->blocks[0], w, i, j));
    return gram;
}

struct dd *glm_rhs(struct cx *cx, const struct measure *m, const struct tally *t, size_t n)
{
    struct dd *rhs = cx_array(cx, n + 1, sizeof *rhs);

    for (size_t i = 0; rhs != NULL && i < n; i++)
        rhs[i] = pooled_number(m, t, 0, 0, block_rhs(&m->blocks[0], 0, i));
    return rhs;
}

enum fault glm_read_sums(struct cx *cx, const struct measure *m, const struct tally *t,
                         double rows, size_t n, bool canonical, struct glm_sums *ret)
{
    struct glm_sums s = {.n = n};

    s.expected = glm_gram(cx, m, t, 0, n);
    s.observed = canonical ? NULL : glm_gram(cx, m, t, 1, n);
    s.score = glm_rhs(cx, m, t, n);
    if (s.expected == NULL || s.score == NULL || (!canonical && s.observed == NULL))
        return FAULT_MEMORY;
    CX_NEW(cx, s.score_errors, n);
    for (size_t i = 0; i < n; i++)
        s.score_errors[i] = pooled_error(m, 0, rows, block_rhs(&m->blocks[0], 0, i));
    s.minus = dd_double(pooled_number(m, t, 0, 0, SUM_MINUS));
    s.minus_error = pooled_error(m, 0, rows, SUM_MINUS);
    s.pearson = dd_double(pooled_number(m, t, 0, 0, SUM_PEARSON));
    s.pearson_error = pooled_error(m, 0, rows, SUM_PEARSON);
    s.clamped = dd_double(pooled_number(m, t, 0, 0, SUM_CLAMPED));
    *ret = s;
    return FAULT_NONE;
}

/* ---- afterwards ---- */

/* The score is 0 but for its errors. */
enum fault glm_judge(struct cx *cx, const struct design *d, const struct opening *o,
                     const double *input, const struct measure *m,
                     const struct glm_sums *sums, struct glm_fit *fit)
{
    size_t n = o->n;
    double rows = (double)o->rows, df = rows - (double)fit->factor->rank;
    double *shift, *length2, dispersion = 1;

    CX_NEW(cx, shift, n);
    CX_NEW(cx, length2, n + 1);
    for (size_t i = 0; i < n; i++) {
        shift[i] = input[2 * i] / input[2 * i + 1];
        length2[i] = dd_double(sums->expected[i * n + i]);
    }
    /* By Cauchy and Schwarz no column's score terms are more than this beside its length.
     */
    length2[n] = fmax(sums->pearson, 0);
    if (fit->family->estimated)
        dispersion = df > 0 ? sums->pearson / df : NAN;
    struct solved solved = {.factor = fit->factor,
                            .inverse = fit->inverse,
                            .shift = d->intercept ? shift : NULL,
                            .coef = fit->point.beta,
                            .length2 = length2,
                            .norms2 = fit->norms2,
                            .weight = length2[0],
                            .dispersion = dispersion};
    /* A perfect fit's rest is nothing beside the response, as in lm. */
    double least = fit->family->kind == GLM_GAUSSIAN
                       ? o->length2[n] * o->scale[n] * o->scale[n] * 1e-20
                       : 0x1p-1000;
    if (fit->family->estimated)
        solved.dispersion_error = sums->pearson_error / fmax(sums->pearson, least);
    return accuracy_find(cx, m, rows, &solved, sums->score_errors, ROW_ROUNDING,
                         &fit->accuracy);
}

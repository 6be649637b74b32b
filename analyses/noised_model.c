/* noised_model.c - see noised_model.h. */
#include "analyses/noised_model.h"

#include <math.h>
#include <string.h>

static const char HIDDEN[] =
    "no fit: noise hides the model's columns from each other; ask fewer terms, or a larger "
    "cohort";

void noised_model_complain(const struct design *d, const char *analysis,
                           struct complaints *c)
{
    if (d->weights >= 0)
        complain(
            c, "not_under_noise",
            "noise_mechanism: %s with prior weights has no bound for one patient here; "
            "leave --weights out",
            analysis);
    if (!d->intercept)
        complain(c, "not_under_noise",
                 "noise_mechanism: %s counts its rows by the intercept; leave `- 1` out",
                 analysis);
    if (d->n_columns > NOISED_COLUMNS_MAX)
        complain(c, "not_under_noise",
                 "noise_mechanism: %s would have %zu columns, and more than %d drown in "
                 "noise; use fewer terms or levels",
                 analysis, d->n_columns, NOISED_COLUMNS_MAX);
}

/* ---- columns ---- */

static enum fault place(const struct measure *m, ref x, bool centred, double *middle,
                        double *half)
{
    double lower = m->nodes[x].lower, upper = m->nodes[x].upper;

    if (!isfinite(lower) || !isfinite(upper) || fabs(lower) > 1e100 || fabs(upper) > 1e100)
        return cx_fail(m->cx, FAULT_INVALID,
                       "a term of this model has no bound, so noise cannot hide one "
                       "patient in it; use a variable or a transformation with narrower "
                       "bounds");
    *middle = centred ? lower + (upper - lower) / 2 : 0;
    *half = fmax(fabs(lower - *middle), fabs(upper - *middle));
    if (!(*half > 0))
        *half = 1;
    return FAULT_NONE;
}

/* Two levels of one factor: no row has both. */
static bool exclude(const struct design_column *a, const struct design_column *b)
{
    for (size_t i = 0; i < a->n && a->indicator && b->indicator; i++)
        for (size_t k = 0; k < b->n; k++)
            if (a->pieces[i].factor == b->pieces[k].factor &&
                a->pieces[i].level != b->pieces[k].level)
                return true;
    return false;
}

static ref product_node(const struct noised_model *model, struct measure *m, const ref *z,
                        size_t i, size_t j)
{
    const struct design *d = model->d;

    if (d->columns[i].term < 0)
        return z[j];
    if (i == j && d->columns[i].indicator)
        return z[i];
    return i == j ? m_binary(m, M_POW, z[i], m_const(m, 2))
                  : m_binary(m, M_MUL, z[i], z[j]);
}

static enum fault find_products(struct measure *m, const ref *z, struct noised_model *model)
{
    size_t n = model->n, most = n * n, found = 0;
    ref *seen;

    CX_NEW(m->cx, seen, most);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++) {
            size_t at = SIZE_MAX;

            if (i == j || !exclude(&model->d->columns[i], &model->d->columns[j])) {
                ref x = product_node(model, m, z, i, j);

                for (at = 0; at < found && seen[at] != x; at++)
                    continue;
                seen[at] = x;
                found += at == found;
            }
            model->product[i * n + j] = model->product[j * n + i] = at;
        }
    model->n_products = found;
    return m->fault;
}

enum fault noised_model_nodes(const struct noised_model *model, struct measure *m,
                              struct design_nodes *nodes, ref **ret_z)
{
    size_t n = model->n;

    TRY(design_nodes(model->d, m, nodes));
    if (nodes->offset != 0)
        nodes->y = m_binary(m, M_SUB, nodes->y, nodes->offset);
    CX_NEW(m->cx, *ret_z, n + 1);
    for (size_t i = 0; i <= n; i++) {
        ref x = i < n ? nodes->columns[i] : nodes->y;

        if (model->middle[i] != 0)
            x = m_binary(m, M_SUB, x, m_const(m, model->middle[i]));
        if (model->half[i] != 1)
            x = m_clamp(m, m_binary(m, M_MUL, x, m_const(m, 1 / model->half[i])), -1, 1);
        (*ret_z)[i] = x;
    }
    return m->fault;
}

enum fault noised_model_open(struct cx *cx, const struct asked *asked,
                             const struct design *d, struct noised_model **ret)
{
    struct noised_model *model;
    struct design_nodes nodes;
    struct measure *m;
    size_t n = d->n_columns, places = n + 1, pairs = n * n;
    ref *z;

    CX_NEW(cx, model, 1);
    model->d = d;
    model->n = n;
    CX_NEW(cx, model->middle, places);
    CX_NEW(cx, model->half, places);
    CX_NEW(cx, model->product, pairs);
    TRY(measure_new(cx, asked->cb, &m));
    TRY(design_nodes(d, m, &nodes));
    if (nodes.offset != 0)
        nodes.y = m_binary(m, M_SUB, nodes.y, nodes.offset);
    for (size_t i = 0; i <= n; i++) {
        bool plain = i < n && (d->columns[i].term < 0 || d->columns[i].indicator);

        model->half[i] = 1;
        if (!plain)
            TRY(place(m, i < n ? nodes.columns[i] : nodes.y, d->intercept,
                      &model->middle[i], &model->half[i]));
    }
    TRY(measure_new(cx, asked->cb, &m));
    TRY(noised_model_nodes(model, m, &nodes, &z));
    TRY(find_products(m, z, model));
    *ret = model;
    return FAULT_NONE;
}

void noised_model_products(const struct noised_model *model, struct measure *m,
                           const ref *z, ref w, ref *sums, size_t *n_sums)
{
    size_t n = model->n, first = *n_sums;

    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++) {
            size_t at = model->product[i * n + j];

            if (at == SIZE_MAX || first + at < *n_sums)
                continue; /* always 0, or there already */
            ref x = product_node(model, m, z, i, j);
            sums[(*n_sums)++] = w == 0 ? x : m_binary(m, M_MUL, w, x);
        }
}

/* ---- solving ---- */

enum fault noised_system_read(struct cx *cx, const struct noised_model *model,
                              const struct measure *m, const struct tally *t, size_t at,
                              size_t s_at, struct noised_system **ret)
{
    struct noised_system *sys;
    size_t n = model->n, size = n * n;

    CX_NEW(cx, sys, 1);
    sys->n = n;
    sys->product = model->product;
    CX_NEW(cx, sys->h, size);
    CX_NEW(cx, sys->h_variance, size);
    CX_NEW(cx, sys->s, n);
    CX_NEW(cx, sys->s_variance, n);
    CX_NEW(cx, sys->solution, n);
    CX_NEW(cx, sys->inverse, size);
    CX_NEW(cx, sys->from_noise, size);
    for (size_t i = 0; i < size; i++)
        if (model->product[i] != SIZE_MAX) {
            sys->h[i] = noised_sum(m, t, 0, 0, at + model->product[i]);
            sys->h_variance[i] = noised_sum_variance(m, 0, at + model->product[i]);
        }
    for (size_t i = 0; i < n; i++) {
        sys->s[i] = noised_sum(m, t, 0, 0, s_at + i);
        sys->s_variance[i] = noised_sum_variance(m, 0, s_at + i);
    }
    *ret = sys;
    return FAULT_NONE;
}

/* Lower triangle L of a - shift I = L L'; false where it is not positive. */
static bool cholesky(size_t n, const double *a, double shift, double *l)
{
    memset(l, 0, n * n * sizeof *l);
    for (size_t j = 0; j < n; j++)
        for (size_t i = j; i < n; i++) {
            double sum = a[i * n + j] - (i == j ? shift : 0);

            for (size_t k = 0; k < j; k++)
                sum -= l[i * n + k] * l[j * n + k];
            if (i == j && !(sum > 0))
                return false;
            l[i * n + j] = i == j ? sqrt(sum) : sum / l[j * n + j];
        }
    return true;
}

/* A symmetric matrix of n^2 entries of noise has no eigenvalue far above 2 sd sqrt(n):
 * where H would not stay positive without so much, its inverse is noise. */
static double noise_norm(const struct noised_system *sys)
{
    double largest = 0;

    for (size_t i = 0; i < sys->n * sys->n; i++)
        largest = fmax(largest, sys->h_variance[i]);
    return 2 * sqrt(largest * (double)sys->n);
}

enum fault noised_system_solve(struct cx *cx, struct noised_system *sys, bool *ret_solved)
{
    size_t n = sys->n, size = n * n;
    double *l, *x;

    CX_NEW(cx, l, size);
    CX_NEW(cx, x, n);
    *ret_solved = cholesky(n, sys->h, noise_norm(sys), l) && cholesky(n, sys->h, 0, l);
    for (size_t c = 0; *ret_solved && c < n; c++) {
        for (size_t i = 0; i < n; i++) {
            x[i] = i == c;
            for (size_t k = 0; k < i; k++)
                x[i] -= l[i * n + k] * x[k];
            x[i] /= l[i * n + i];
        }
        for (size_t i = n; i-- > 0;) {
            for (size_t k = i + 1; k < n; k++)
                x[i] -= l[k * n + i] * x[k];
            x[i] /= l[i * n + i];
            sys->inverse[i * n + c] = x[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        sys->solution[i] = 0;
        for (size_t k = 0; *ret_solved && k < n; k++)
            sys->solution[i] += sys->inverse[i * n + k] * sys->s[k];
    }
    return FAULT_NONE;
}

/* out = a b a', all n by n. */
static void sandwich(size_t n, const double *a, const double *b, double *middle,
                     double *out)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            middle[i * n + j] = 0;
            for (size_t k = 0; k < n; k++)
                middle[i * n + j] += a[i * n + k] * b[k * n + j];
        }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            out[i * n + j] = 0;
            for (size_t k = 0; k < n; k++)
                out[i * n + j] += middle[i * n + k] * a[j * n + k];
        }
}

/* Covariance of e - E beta: the noise of s, and that of H times beta, where one product of
 * columns may stand in several places. */
enum fault noised_system_noise(struct cx *cx, struct noised_system *sys, const double *beta)
{
    size_t n = sys->n, size = n * n;
    double *inner, *middle;

    CX_NEW(cx, inner, size);
    CX_NEW(cx, middle, size);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            inner[i * n + k] = i == k ? sys->s_variance[i] : 0;
            for (size_t j = 0; j < n; j++)
                for (size_t q = 0; q < n && sys->product[i * n + j] != SIZE_MAX; q++)
                    if (sys->product[i * n + j] == sys->product[k * n + q])
                        inner[i * n + k] += beta[j] * beta[q] * sys->h_variance[i * n + j];
        }
    sandwich(n, sys->inverse, inner, middle, sys->from_noise);
    return FAULT_NONE;
}

/* ---- what comes of it ---- */

/* raw = T z + y_middle e_0: slopes y_half / half; the intercept takes the centres back. */
static enum fault to_raw(struct cx *cx, const struct noised_model *model,
                         const double *covariance, double y_half, double *ret_sd)
{
    size_t n = model->n, size = n * n;
    double *t, *middle, *out;

    CX_NEW(cx, t, size);
    CX_NEW(cx, middle, size);
    CX_NEW(cx, out, size);
    for (size_t i = 0; i < n; i++) {
        t[i * n + i] = y_half / model->half[i];
        if (model->d->intercept && i > 0)
            t[i] = -model->middle[i] * y_half / model->half[i];
    }
    sandwich(n, t, covariance, middle, out);
    for (size_t i = 0; i < n; i++)
        ret_sd[i] = sqrt(fmax(out[i * n + i], 0));
    return FAULT_NONE;
}

static bool put_one(struct result *r, const char *name, Cohortium__ItemKind kind,
                    double value)
{
    return result_put(r, name, kind, 1, 1, &value, NULL) != NULL;
}

static enum fault put_coefficients(struct cx *cx, const struct noised_model *model,
                                   const struct noised_fit *fit, double y_half,
                                   double y_middle, struct result *r)
{
    size_t n = model->n;
    double *coef, *se, *noise;

    CX_NEW(cx, coef, n);
    CX_NEW(cx, se, n);
    CX_NEW(cx, noise, n);
    for (size_t i = 0; i < n; i++) {
        coef[i] = fit->beta[i] * y_half / model->half[i];
        if (model->d->intercept && i > 0)
            coef[0] -= coef[i] * model->middle[i];
    }
    coef[0] += model->d->intercept ? y_middle : 0;
    TRY(to_raw(cx, model, fit->variance, y_half, se));
    TRY(to_raw(cx, model, fit->noise, y_half, noise));
    if (result_put(r, "coef", COHORTIUM__ITEM_KIND__ESTIMATES, n, 1, coef, NULL) == NULL ||
        result_put(r, "se", COHORTIUM__ITEM_KIND__ERRORS, n, 1, se, NULL) == NULL ||
        result_put(r, "se_noise", COHORTIUM__ITEM_KIND__ERRORS, n, 1, noise, NULL) == NULL)
        return FAULT_MEMORY;
    return FAULT_NONE;
}

enum fault noised_model_result(struct cx *cx, const struct noised_model *model,
                               const struct noised_fit *fit, double y_half, double y_middle,
                               struct result *r)
{
    size_t n = model->n;
    double rows = nearbyint(fit->n);
    uint64_t support = noised_support(fit->support);
    const char **names;

    CX_NEW(cx, names, n);
    for (size_t i = 0; i < n; i++)
        names[i] = model->d->columns[i].name;
    if (result_words(r, "terms", names, n) == NULL ||
        result_put(r, "n", COHORTIUM__ITEM_KIND__COUNTS, 1, 1, &rows, &support) == NULL ||
        !put_one(r, "n_noise_sd", COHORTIUM__ITEM_KIND__PLAIN, fit->n_sd))
        return FAULT_MEMORY;
    r->is_model = true;
    r->model_rows = noised_support(fit->n);
    r->model_patients = support;
    r->parameters = n;
    r->residual_df = rows - (double)n;
    r->smallest_cell = UINT64_MAX; /* cells are not counted: what is small drowns */
    if (fit->trouble != NULL) {
        r->trouble = fit->trouble;
        return FAULT_NONE;
    }
    TRY(put_coefficients(cx, model, fit, y_half, y_middle, r));
    return isnan(fit->sigma) ||
                   put_one(r, "sigma", COHORTIUM__ITEM_KIND__SPREADS, fit->sigma)
               ? FAULT_NONE
               : FAULT_MEMORY;
}

void noised_model_rows(const struct noised_system *sys, const struct measure *m,
                       struct noised_fit *fit)
{
    fit->n = sys->h[0]; /* the intercept's own product: 1 a row */
    fit->n_sd = sqrt(sys->h_variance[0]);
    fit->support = fit->n / (m->rows_max > 0 ? m->rows_max : 1);
}

const char *noised_model_hidden(void)
{
    return HIDDEN;
}

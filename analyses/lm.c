/*
 * lm.c - linear regression, as R's lm: least squares, weights, interactions, aliased
 * columns.
 *
 * Parameters  model (response, terms, intercept, offset, weights), confidence
 * Asks        opening: rows, patients, cells of levels; sums for centre and scale
 *             sum: the gram matrix of all columns and the response, centred and scaled;
 *             with weights also sum(log w); under production one more round that carries
 *             only the leverages of R9 to each site's own gate
 * Finish      L D L' in double-double: coefficients, standard errors, sigma, R2, F,
 *             log-likelihood; sequential sums of squares from the same sweep; a note, or
 *             no numbers, where steps of the sums leave few digits (accuracy.h)
 * Disclosure  R1 R4 R6 R7 R9 R22 R24; DISCLOSURE.md 0.5
 * Source      R 4.2.2 lm.c, summary.lm, logLik.lm; Longley (1967) for what is difficult
 * Checked     tests/data/{lung,birthwt}/expected.json; NIST StRD Longley, Wampler1, NoInt1
 */
#include <math.h>
#include <string.h>

#include "analyses/accuracy.h"
#include "analyses/model_show.h"
#include "analyses/registry.h"

struct lm_fit {
    struct factor *factor;
    struct dd *coef, *inverse; /* raw parametrisation; inverse without sigma^2 */
    struct dd *scaled_inverse; /* of the scaled gram, for R9 */
    struct dd *sequential;     /* sum of squares that each column adds */
    struct dd rss, sum_log_w;
    struct accuracy accuracy;
};

struct lm_state {
    struct opening *opening;
    struct lm_fit *fit;
};

static enum fault lm_check(struct cx *cx, struct asked *asked, struct complaints *c,
                           struct plan *plan)
{
    const Cohortium__Params *p = asked->body->params;
    struct design *d;

    if (p != NULL && p->model != NULL && (p->model->family[0] || p->model->link[0]))
        complain(c, "parameters", "lm takes no --family and no --link; ask glm");
    TRY(design_open(cx, asked, "lm", c, plan, &d));
    if (d == NULL)
        return FAULT_NONE;
    plan->rounds_max = asked->testing ? 2 : 3;
    plan->price = (unsigned)(plan->n_cells + d->n_columns * (d->n_columns + 1) / 2);
    asked->parsed = d;
    return FAULT_NONE;
}

static enum fault lm_begin(struct cx *cx, const struct asked *asked, struct state **ret)
{
    (void)asked;
    CX_NEW(cx, *ret, 1);
    (*ret)->kind = COHORTIUM__ROUND_KIND__OPENING;
    return FAULT_NONE;
}

/* y less its offset: least squares with an offset is least squares of the difference. */
static void subtract_offset(struct measure *m, struct design_nodes *nodes)
{
    if (nodes->offset != 0)
        nodes->y = m_binary(m, M_SUB, nodes->y, nodes->offset);
    nodes->offset = 0;
}

static enum fault ask_gram(const struct design *d, const struct lm_state *own,
                           const double *input, struct measure *m,
                           const struct design_nodes *nodes)
{
    const struct opening *o = own->opening;
    size_t n = o->n + 1, n_sums = 0;
    ref *columns, sums[1], weights[1] = {nodes->w};

    CX_NEW(m->cx, columns, n);
    for (size_t i = 0; i < n; i++)
        columns[i] = design_scaled(m, o, nodes, input, i);
    struct block block = {.where = nodes->where};
    struct measure_guard guard;
    if (own->fit != NULL) { /* the last round: guards only */
        design_guard(m, columns, o->n, nodes->w, own->fit->scaled_inverse, &guard);
        block.guards = &guard;
        block.n_guards = 1;
    } else {
        if (nodes->w != 0)
            sums[n_sums++] = m_unary(m, M_LOG, nodes->w);
        block.sums = sums;
        block.n_sums = n_sums;
        block.design = columns;
        block.n_design = n;
        block.weights = weights;
        block.n_weights = 1;
        design_totals(m, d, o, nodes->w == 0, INFINITY, &block);
    }
    (void)measure_block(m, &block);
    if (own->fit != NULL)
        design_guard_response(d, m, nodes, nodes->y);
    return m->fault;
}

static enum fault lm_ask(struct cx *cx, const struct asked *asked,
                         const struct state *state, struct measure **ret)
{
    const struct design *d = asked->parsed;
    const struct lm_state *own = state->own;
    struct design_nodes nodes;
    struct measure *m;

    TRY(measure_new(cx, asked->cb, &m));
    TRY(design_nodes(d, m, &nodes));
    subtract_offset(m, &nodes);
    if (state->kind == COHORTIUM__ROUND_KIND__OPENING)
        TRY(design_ask_opening(d, m, &nodes, NULL, 0, false));
    else if (state->n_input != design_input_size(own->opening))
        return cx_fail(cx, FAULT_INTERNAL, "lm: %zu shared numbers, expected %zu",
                       state->n_input, design_input_size(own->opening));
    else
        TRY(ask_gram(d, own, state->input, m, &nodes));
    TRY(measure_close(m, asked->rows_log2));
    *ret = m;
    return FAULT_NONE;
}

struct sums { /* the gram round's, of centred scaled columns */
    struct dd *gram, *right, *norms2, *u, *scaled; /* right: with y; scaled: coefficients */
    struct dd y2, rest;                            /* of y: squares, and what is left */
};

static enum fault read_sums(struct cx *cx, const struct design *d, const struct opening *o,
                            const double *input, const struct measure *m,
                            const struct tally *t, struct sums *ret)
{
    const struct block *b = &m->blocks[0];
    size_t n = o->n, size = n * n;

    CX_NEW(cx, ret->gram, size);
    CX_NEW(cx, ret->right, n);
    CX_NEW(cx, ret->u, n);
    CX_NEW(cx, ret->scaled, n);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i; j < n; j++)
            ret->gram[i * n + j] = pooled_number(m, t, 0, 0, block_gram(b, 0, i, j));
        ret->right[i] = pooled_number(m, t, 0, 0, block_gram(b, 0, i, n));
    }
    ret->rest = ret->y2 = pooled_number(m, t, 0, 0, block_gram(b, 0, n, n));
    ret->norms2 = design_norms(cx, d, n, input, ret->gram);
    return ret->norms2 == NULL ? FAULT_MEMORY : FAULT_NONE;
}

/* Terms are exact but for their product with a weight, which is rounded once. */
static enum fault judge(struct cx *cx, const struct asked *asked, const struct opening *o,
                        const double *input, const struct measure *m,
                        const struct sums *sums, struct lm_fit *f)
{
    size_t n = o->n;
    double df = (double)o->rows - (double)f->factor->rank, rest = dd_double(sums->rest);
    double *coef, *shift, *length2;

    CX_NEW(cx, coef, n);
    CX_NEW(cx, shift, n);
    CX_NEW(cx, length2, n + 1);
    for (size_t i = 0; i < n; i++) {
        coef[i] = dd_double(sums->scaled[i]);
        shift[i] = input[2 * i] / input[2 * i + 1];
        length2[i] = dd_double(sums->gram[i * n + i]);
    }
    length2[n] = dd_double(sums->y2);
    const struct design *d = asked->parsed;
    struct solved solved = {.factor = f->factor,
                            .inverse = f->scaled_inverse,
                            .shift = d->intercept ? shift : NULL,
                            .coef = coef,
                            .origin = input[2 * n] / input[2 * n + 1],
                            .length2 = length2,
                            .norms2 = sums->norms2,
                            .weight = dd_double(o->weight),
                            .has_response = true,
                            .rest = rest,
                            .u = asked->testing ? sums->u : NULL,
                            .dispersion = df > 0 ? rest / df : NAN};
    return accuracy_find(cx, m, (double)o->rows, &solved, NULL,
                         d->weights >= 0 ? 0x1p-53 : 0, &f->accuracy);
}

/* Sweeps the columns in order; the response is the last one, its rest the residual sum. */
static enum fault fit(struct cx *cx, const struct asked *asked, const struct opening *o,
                      const double *input, const struct measure *m, const struct tally *t,
                      struct lm_fit **ret)
{
    const struct design *d = asked->parsed;
    size_t n = o->n, size = n * n;
    double y_centre = input[2 * n], y_scale = input[2 * n + 1];
    struct dd unit = dd_of(y_scale * y_scale), *scratch;
    struct sums sums;
    struct lm_fit *f;

    CX_NEW(cx, f, 1);
    CX_NEW(cx, f->sequential, n);
    CX_NEW(cx, scratch, n);
    TRY(read_sums(cx, d, o, input, m, t, &sums));
    TRY(solve_factor(cx, n, sums.gram, sums.norms2, SOLVE_RANK_TOLERANCE, &f->factor));
    solve_forward(f->factor, sums.right, sums.u);
    solve_back(f->factor, sums.u, sums.scaled);
    for (size_t i = 0; i < n; i++) {
        if (f->factor->aliased[i])
            continue;
        struct dd share = dd_div(dd_mul(sums.u[i], sums.u[i]), f->factor->pivots[i]);
        sums.rest = dd_sub(sums.rest, share);
        f->sequential[i] = dd_mul(share, unit);
    }
    sums.rest = sums.rest.hi > 0 ? sums.rest : dd_of(0);
    f->rss = dd_mul(sums.rest, unit);
    TRY(solve_inverse(cx, f->factor, &f->scaled_inverse));
    TRY(judge(cx, asked, o, input, m, &sums, f));
    f->inverse = cx_memdup(cx, f->scaled_inverse, size * sizeof *f->inverse);
    f->coef = cx_memdup(cx, sums.scaled, n * sizeof *f->coef);
    if (f->inverse == NULL || f->coef == NULL)
        return FAULT_MEMORY;
    design_to_raw(d, o, input, y_scale, y_centre, f->coef, NULL);
    design_to_raw(d, o, input, 1, 0, scratch, f->inverse);
    if (m->blocks[0].n_sums == 1)
        f->sum_log_w = pooled_number(m, t, 0, 0, 0);
    *ret = f;
    return FAULT_NONE;
}

static enum fault lm_learn(struct cx *cx, const struct asked *asked,
                           const struct state *state, const struct measure *measure,
                           const struct tally *pooled, struct state **ret)
{
    const struct design *d = asked->parsed;
    struct lm_state *own;

    CX_NEW(cx, *ret, 1);
    CX_NEW(cx, own, 1);
    (*ret)->kind = COHORTIUM__ROUND_KIND__SUM;
    (*ret)->own = own;
    if (state->kind == COHORTIUM__ROUND_KIND__OPENING) {
        TRY(design_learn_opening(cx, d, measure, pooled, 0, false, &own->opening));
    } else {
        *own = *(const struct lm_state *)state->own;
        (*ret)->done = own->fit != NULL || asked->testing;
        if (own->fit == NULL)
            TRY(fit(cx, asked, own->opening, state->input, measure, pooled, &own->fit));
    }
    return design_put_input(cx, own->opening, 0, *ret);
}

static bool put_one(struct result *r, const char *name, Cohortium__ItemKind kind,
                    double value)
{
    return result_put(r, name, kind, 1, 1, &value, NULL) != NULL;
}

/* R's anova(lm): terms with a degree of freedom, then the residuals. */
static enum fault put_anova(struct cx *cx, const struct design *d,
                            const struct lm_state *own, double residual_df,
                            struct result *r)
{
    const struct opening *o = own->opening;
    double *df, *sums;
    const char **names;
    size_t n = 0;

    CX_NEW(cx, df, d->n_terms + 1);
    CX_NEW(cx, sums, d->n_terms + 1);
    CX_NEW(cx, names, d->n_terms + 1);
    for (size_t t = 0; t < d->n_terms; t++) {
        struct dd sum = dd_of(0);

        df[n] = 0;
        for (size_t i = 0; i < o->n; i++)
            if (d->columns[o->kept[i]].term == (int)t && !own->fit->factor->aliased[i]) {
                df[n]++;
                sum = dd_add(sum, own->fit->sequential[i]);
            }
        sums[n] = dd_double(sum);
        names[n] = d->terms[t].text;
        n += df[n] > 0;
    }
    df[n] = residual_df;
    sums[n] = dd_double(own->fit->rss);
    names[n++] = "Residuals";
    if (result_words(r, "anova_terms", names, n) == NULL ||
        result_put(r, "anova_df", COHORTIUM__ITEM_KIND__EXACT, n, 1, df, NULL) == NULL ||
        result_put(r, "anova_sum_sq", COHORTIUM__ITEM_KIND__EXACT, n, 1, sums, NULL) ==
            NULL)
        return FAULT_MEMORY;
    return FAULT_NONE;
}

static enum fault put_sums(const struct design *d, const struct lm_state *own, double rows,
                           double residual_df, struct result *r)
{
    const struct opening *o = own->opening;
    double rank = (double)own->fit->factor->rank, intercept = d->intercept;
    double rss = dd_double(own->fit->rss), sigma2 = rss / residual_df;
    struct dd mss = dd_of(0);

    for (size_t i = d->intercept; i < o->n; i++)
        mss = dd_add(mss, own->fit->sequential[i]);
    struct dd total = dd_add(mss, own->fit->rss);
    double r2 = total.hi > 0 ? dd_double(dd_div(mss, total)) : NAN;
    double rest = total.hi > 0 ? dd_double(dd_div(own->fit->rss, total)) : NAN;
    double loglik = 0.5 * (dd_double(own->fit->sum_log_w) -
                           rows * (log(2 * M_PI) + 1 - log(rows) + log(rss)));
    if (rank == intercept)
        r2 = 0;
    bool fine =
        put_one(r, "sigma", COHORTIUM__ITEM_KIND__SPREADS, sqrt(sigma2)) &&
        put_one(r, "r_squared", COHORTIUM__ITEM_KIND__SPREADS, r2) &&
        put_one(r, "adj_r_squared", COHORTIUM__ITEM_KIND__SPREADS,
                rank == intercept ? 0 : 1 - rest * ((rows - intercept) / residual_df)) &&
        put_one(r, "F", COHORTIUM__ITEM_KIND__SPREADS,
                rank == intercept ? NAN : dd_double(mss) / (rank - intercept) / sigma2) &&
        put_one(r, "loglik", COHORTIUM__ITEM_KIND__WHOLES, loglik) &&
        put_one(r, "aic", COHORTIUM__ITEM_KIND__WHOLES, -2 * loglik + 2 * (rank + 1)) &&
        put_one(r, "bic", COHORTIUM__ITEM_KIND__WHOLES,
                -2 * loglik + log(rows) * (rank + 1)) &&
        put_one(r, "rank", COHORTIUM__ITEM_KIND__PLAIN, rank) &&
        put_one(r, "rss", COHORTIUM__ITEM_KIND__EXACT, rss);
    return fine ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault lm_finish(struct cx *cx, const struct asked *asked,
                            const struct state *state, struct result **ret)
{
    const struct design *d = asked->parsed;
    const struct lm_state *own = state->own;
    size_t rank = own->fit->factor->rank;
    double rows = (double)own->opening->rows, residual_df = rows - (double)rank;
    double sigma2 = dd_double(own->fit->rss) / residual_df;
    struct result *r;

    TRY(result_new(cx, &r));
    TRY(design_result(cx, d, own->opening, rank, r));
    TRY(accuracy_say(cx, d, own->opening, &own->fit->accuracy, r));
    *ret = r;
    if (!accuracy_is_shown(&own->fit->accuracy))
        return FAULT_NONE;
    TRY(model_put_coefficients(cx, r, own->opening->n, own->fit->factor->aliased,
                               own->fit->coef, own->fit->inverse,
                               residual_df > 0 ? sigma2 : NAN, asked->testing));
    TRY(put_sums(d, own, rows, residual_df, r));
    if (asked->testing)
        TRY(put_anova(cx, d, own, residual_df, r));
    return FAULT_NONE;
}

static enum fault lm_show(struct cx *cx, const struct asked *asked,
                          const Cohortium__Release *release, struct report *report)
{
    return model_show_lm(cx, asked, release->result, report);
}

const struct analysis analysis_lm = {
    .name = "lm",
    .version = 1,
    .title = "linear regression",
    .rules = "R1 R4 R6 R7 R9 R22 R24",
    .noised = &analysis_noised_lm,
    .check = lm_check,
    .begin = lm_begin,
    .ask = lm_ask,
    .learn = lm_learn,
    .finish = lm_finish,
    .show = lm_show,
};

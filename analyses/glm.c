/*
 * glm.c - generalised linear models, as R's glm.
 *
 * Parameters  model (response, terms, intercept, offset, weights, family, link), confidence
 * Asks        opening: rows, patients, cells; sums for centre, scale and the constants of
 *             deviance and likelihood
 *             start (only without an intercept): least squares of a constant predictor
 *             iterations: score, expected and (off the canonical link) observed
 *             information, deviance, Pearson's sum at one coefficient vector; beside it
 *             the same for the null model where it has an offset; under production the
 *             last distinct round carries R9's leverages and R4's shares, and rounds
 *             are 8, 25 or 50 whatever the data say
 * Finish      coefficients, errors from the expected information, dispersion (Pearson / df
 *             where R estimates it), deviance, null deviance, log-likelihood, AIC, BIC; a
 *             note, or no numbers, where steps of the sums leave few digits (accuracy.h)
 *
 * Disclosure  R1 R4 R6 R7 R9 R22 R24; DISCLOSURE.md 0.5, 0.7
 * Source      R 4.2.2 glm.R, family.R; McCullagh and Nelder (1989), section 2.5
 * Checked     tests/data/{lung,birthwt}/expected.json
 */
#include <math.h>
#include <string.h>

#include "analyses/glm_fit.h"
#include "analyses/model_show.h"
#include "analyses/registry.h"

enum { ROUNDS_MAX = 50 };
/* What follows the centres and scales in a state's input. */
enum { IN_LOW, IN_HIGH, IN_NULL, IN_BETA };
enum { EXTRA_ILLEGAL, EXTRA_DEVIANCE, EXTRA_LIKELIHOOD, N_EXTRA };

enum glm_phase { PHASE_START, PHASE_ITERATE, PHASE_GUARD, PHASE_REPEAT };

struct glm_state {
    struct opening *opening;
    enum glm_phase phase;
    unsigned rounds; /* sum rounds so far */
    bool null_converged;
    struct glm_fit fit;
};

static enum fault glm_check(struct cx *cx, struct asked *asked, struct complaints *c,
                            struct plan *plan)
{
    const Cohortium__Params *p = asked->body->params;
    size_t before = c->n;
    struct glm_question *q;

    CX_NEW(cx, q, 1);
    TRY(design_open(cx, asked, "glm", c, plan, &q->design));
    if (p != NULL && p->model != NULL)
        q->family = glm_family_find(p->model->family, p->model->link, c, &q->link);
    if (q->design != NULL && q->family != NULL)
        glm_complain_response(cx, q->family, q->design, c);
    if (c->n != before)
        return FAULT_NONE;
    size_t n = q->design->n_columns;
    plan->rounds_max = 1 + (q->design->intercept ? 0 : 1) + ROUNDS_MAX;
    plan->is_fit = true;
    plan->price = (unsigned)(plan->n_cells + n * (n + 1) / 2);
    asked->parsed = q;
    return FAULT_NONE;
}

static enum fault glm_begin(struct cx *cx, const struct asked *asked, struct state **ret)
{
    (void)asked;
    CX_NEW(cx, *ret, 1);
    (*ret)->kind = COHORTIUM__ROUND_KIND__OPENING;
    return FAULT_NONE;
}

/* ---- ask ---- */

static struct glm_range range_of(const struct glm_question *q, const double *more)
{
    struct glm_range r = {.low = more[IN_LOW], .high = more[IN_HIGH]};

    r.clamped = (q->family->kind == GLM_BINOMIAL && q->link == LINK_LOG) ||
                q->family->kind == GLM_POISSON || q->family->kind == GLM_GAMMA;
    return r;
}

/* Least squares of a constant eta: gram of the columns, and their products with what is
 * left of it after the offset. */
static void ask_start(const struct design *d, const struct opening *o, struct measure *m,
                      const struct design_nodes *nodes, ref *columns, size_t n, double eta)
{
    ref weights[1] = {nodes->w}, rhs[1] = {m_const(m, eta)};

    if (nodes->offset != 0)
        rhs[0] = m_binary(m, M_SUB, rhs[0], nodes->offset);
    if (nodes->w != 0)
        rhs[0] = m_binary(m, M_MUL, nodes->w, rhs[0]);
    struct block block = {.where = nodes->where,
                          .design = columns,
                          .n_design = n,
                          .weights = weights,
                          .n_weights = 1,
                          .rhs = rhs,
                          .n_rhs = 1};
    design_totals(m, d, o, false, INFINITY, &block);
    (void)measure_block(m, &block);
}

static void ask_iteration(const struct glm_question *q, const struct glm_state *own,
                          const double *more, struct measure *m,
                          const struct design_nodes *nodes, ref y, ref *columns, size_t n)
{
    struct glm_range range = range_of(q, more);
    double mean = dd_double(own->opening->y_mean);
    ref eta = m_linear(m, columns, more + IN_BETA, n, nodes->offset);
    ref eta_null = m_const(m, more[IN_NULL]);

    if (nodes->offset != 0)
        eta_null = m_binary(m, M_ADD, eta_null, nodes->offset);
    struct glm_row row = glm_row(m, q->family, q->link, y, nodes->w, eta, &range, mean);
    struct glm_row null =
        glm_row(m, q->family, q->link, y, nodes->w, eta_null, &range, mean);
    ref sums[] = {row.minus,  row.pearson, row.clamped,
                  null.minus, null.score,  null.expected};
    ref weights[2] = {row.expected, row.observed}, rhs[1] = {row.score};
    struct measure_guard guard;
    struct block block = {.where = nodes->where,
                          .sums = sums,
                          .n_sums = COUNT(sums),
                          .design = columns,
                          .n_design = n,
                          .weights = weights,
                          .n_weights = glm_is_canonical(q->family, q->link) ? 1 : 2,
                          .rhs = rhs,
                          .n_rhs = 1};
    if (own->phase >= PHASE_GUARD) {
        design_guard(m, columns, n, row.expected, own->fit.inverse, &guard);
        block.guards = &guard;
        block.n_guards = 1;
    }
    double least = q->family->kind == GLM_GAUSSIAN
                       ? glm_gaussian_length(m, own->opening, nodes, more + IN_BETA)
                       : INFINITY;
    double null_least = q->family->kind == GLM_GAUSSIAN
                            ? glm_null_length(m, own->opening, nodes, more[IN_NULL])
                            : INFINITY;
    glm_totals(m, q->design, own->opening, least, null_least, &block);
    (void)measure_block(m, &block);
    if (own->phase >= PHASE_GUARD && q->family->kind != GLM_BINOMIAL) /* classes count */
        design_guard_response(q->design, m, nodes, y);
}

static enum fault glm_ask(struct cx *cx, const struct asked *asked,
                          const struct state *state, struct measure **ret)
{
    const struct glm_question *q = asked->parsed;
    const struct glm_state *own = state->own;
    struct design_nodes nodes;
    struct measure *m;
    ref illegal, extra[N_EXTRA], *columns;

    TRY(measure_new(cx, asked->cb, &m));
    TRY(design_nodes(q->design, m, &nodes));
    ref y = glm_response(m, q->family, q->design, nodes.y, &illegal);
    if (state->kind == COHORTIUM__ROUND_KIND__OPENING) {
        extra[EXTRA_ILLEGAL] = illegal;
        glm_constants(m, q->family, y, nodes.w, &extra[EXTRA_DEVIANCE],
                      &extra[EXTRA_LIKELIHOOD]);
        TRY(design_ask_opening(q->design, m, &nodes, extra, N_EXTRA,
                               q->family->kind == GLM_BINOMIAL));
    } else {
        size_t n = own->opening->n, at = design_input_size(own->opening);

        if (state->n_input != at + IN_BETA + n)
            return cx_fail(cx, FAULT_INTERNAL, "glm: %zu shared numbers, expected %zu",
                           state->n_input, at + IN_BETA + n);
        CX_NEW(cx, columns, n);
        for (size_t i = 0; i < n; i++)
            columns[i] = design_scaled(m, own->opening, &nodes, state->input, i);
        if (own->phase == PHASE_START)
            ask_start(q->design, own->opening, m, &nodes, columns, n,
                      state->input[at + IN_NULL]);
        else
            ask_iteration(q, own, state->input + at, m, &nodes, y, columns, n);
    }
    TRY(measure_close(m, asked->rows_log2));
    *ret = m;
    return FAULT_NONE;
}

/* ---- learn ---- */

static bool is_constant(const struct glm_question *q, const struct opening *o, double mean)
{
    if (o->rows == 0)
        return false;
    return (q->family->kind == GLM_BINOMIAL && (mean <= 0 || mean >= 1)) ||
           (q->family->kind == GLM_POISSON && mean <= 0);
}

static enum fault learn_opening(struct cx *cx, const struct glm_question *q,
                                const struct measure *measure, const struct tally *pooled,
                                struct state *next)
{
    const struct design *d = q->design;
    struct glm_state *own = next->own;
    struct opening *o;

    TRY(design_learn_opening(cx, d, measure, pooled, N_EXTRA,
                             q->family->kind == GLM_BINOMIAL, &own->opening));
    o = own->opening;
    own->fit.family = q->family;
    own->fit.link = q->link;
    own->fit.canonical = glm_is_canonical(q->family, q->link);
    double mean = dd_double(o->y_mean);
    struct glm_range range = glm_range(q->family, q->link, d, mean);
    if (o->undefined)
        own->fit.trouble =
            "no fit: a logarithm or a square root meets a value that it does "
            "not take (zero or less); restrict the cohort";
    else if (o->extra[EXTRA_ILLEGAL].hi > 0)
        own->fit.trouble = "no fit: the response has values that the family does not take";
    else if (is_constant(q, o, mean))
        own->fit.trouble = "no finite estimate: the outcome is the same in every row "
                           "(complete separation)";
    own->phase = d->intercept ? PHASE_ITERATE : PHASE_START;
    TRY(design_put_input(cx, o, IN_BETA + o->n, next));
    double *more = next->input + design_input_size(o);
    double eta = glm_link(q->link, mean, &range);
    more[IN_LOW] = range.low;
    more[IN_HIGH] = range.high;
    more[IN_NULL] = eta;
    own->null_converged = !d->intercept || d->offset == NULL;
    if (!d->intercept)
        return FAULT_NONE;
    if (d->offset != NULL)
        more[IN_NULL] = eta - dd_double(o->offset_mean);
    more[IN_BETA] = more[IN_NULL] + 0.0;
    return FAULT_NONE;
}

static enum fault learn_start(struct cx *cx, const struct measure *m, const struct tally *t,
                              struct state *next)
{
    struct glm_state *own = next->own;
    size_t n = own->opening->n, at = design_input_size(own->opening);
    struct dd *gram = glm_gram(cx, m, t, 0, n), *rhs = glm_rhs(cx, m, t, n), *u, *x;
    struct factor *f;

    if (gram == NULL || rhs == NULL)
        return FAULT_MEMORY;
    CX_NEW(cx, u, n);
    CX_NEW(cx, x, n);
    TRY(solve_factor(cx, n, gram, NULL, SOLVE_RANK_TOLERANCE, &f));
    solve_forward(f, rhs, u);
    solve_back(f, u, x);
    for (size_t i = 0; i < n; i++)
        next->input[at + IN_BETA + i] = dd_double(x[i]) + 0.0;
    next->input[at + IN_NULL] =
        0; /* without an intercept the null predictor is the offset */
    own->phase = PHASE_ITERATE;
    return FAULT_NONE;
}

static double eta_unit(const struct glm_question *q, const struct opening *o)
{
    double mean = fabs(dd_double(o->y_mean));

    if (q->family->kind != GLM_GAMMA || !(mean > 0) || q->link == LINK_LOG)
        return q->family->kind == GLM_GAUSSIAN ? INFINITY : 1;
    return q->link == LINK_IDENTITY ? mean : 1 / mean;
}

static void learn_null(const struct measure *m, const struct tally *t,
                       struct glm_state *own, double *null)
{
    double score = dd_double(pooled_number(m, t, 0, 0, SUM_NULL_SCORE));
    double info = dd_double(pooled_number(m, t, 0, 0, SUM_NULL_INFO));

    own->fit.minus_null = dd_double(pooled_number(m, t, 0, 0, SUM_NULL_MINUS));
    if (own->null_converged || !(info > 0))
        return;
    double step = fmin(fmax(score / info, -2), 2);
    own->null_converged = fabs(step) <= 1e-9; /* the deviance is flat here: 1e-18 */
    *null += own->null_converged ? 0 : step;
}

static enum fault learn_iteration(struct cx *cx, const struct glm_question *q,
                                  const struct state *state, const struct measure *m,
                                  const struct tally *t, struct state *next)
{
    struct glm_state *own = next->own;
    size_t n = own->opening->n, at = design_input_size(own->opening);
    struct glm_sums sums;

    TRY(glm_read_sums(cx, m, t, (double)own->opening->rows, n, own->fit.canonical, &sums));
    learn_null(m, t, own, &next->input[at + IN_NULL]);
    TRY(glm_advance(cx, q->design, state->input, state->input + at + IN_BETA, &sums,
                    eta_unit(q, own->opening), own->null_converged, &own->fit,
                    next->input + at + IN_BETA));
    return own->fit.converged
               ? glm_judge(cx, q->design, own->opening, state->input, m, &sums, &own->fit)
               : FAULT_NONE;
}

/* A fit under production takes 8, 25 or 50 rounds; a converged one repeats its last tally.
 */
static void choose_next(const struct asked *asked, struct state *next)
{
    struct glm_state *own = next->own;
    bool settled = own->fit.converged || own->fit.trouble != NULL;

    if (asked->testing) {
        next->done = settled || own->rounds == ROUNDS_MAX;
    } else {
        bool stop = own->rounds == 8 || own->rounds == 25;
        next->done = (own->phase == PHASE_REPEAT && stop) || own->rounds == ROUNDS_MAX;
        if (own->phase == PHASE_GUARD)
            own->phase = PHASE_REPEAT;
        else if (own->phase == PHASE_ITERATE && settled && own->fit.inverse != NULL)
            own->phase = PHASE_GUARD;
        next->reuse = own->phase == PHASE_REPEAT && !next->done;
    }
    if (next->done && !settled)
        own->fit.trouble = "no estimate: the fit did not converge in 50 rounds";
    next->trouble = own->fit.trouble;
}

static enum fault glm_learn(struct cx *cx, const struct asked *asked,
                            const struct state *state, const struct measure *measure,
                            const struct tally *pooled, struct state **ret)
{
    const struct glm_question *q = asked->parsed;
    struct state *next;
    struct glm_state *own;

    CX_NEW(cx, next, 1);
    CX_NEW(cx, own, 1);
    next->kind = COHORTIUM__ROUND_KIND__SUM;
    next->own = own;
    *ret = next;
    if (state->kind == COHORTIUM__ROUND_KIND__OPENING) {
        TRY(learn_opening(cx, q, measure, pooled, next));
        next->trouble = own->fit.trouble;
        next->done = asked->testing && own->fit.trouble != NULL;
        return FAULT_NONE;
    }
    *own = *(const struct glm_state *)state->own;
    next->n_input = state->n_input;
    next->input = cx_memdup(cx, state->input, state->n_input * sizeof *state->input);
    next->input_scale =
        cx_memdup(cx, state->input_scale, state->n_input * sizeof *state->input_scale);
    if (next->input == NULL || next->input_scale == NULL)
        return FAULT_MEMORY;
    if (own->phase == PHASE_START)
        return learn_start(cx, measure, pooled, next);
    own->rounds++;
    if (own->phase == PHASE_ITERATE) {
        TRY(learn_iteration(cx, q, state, measure, pooled, next));
        if (own->fit.converged || own->fit.trouble != NULL) /* stay where the sums are */
            memcpy(next->input, state->input, state->n_input * sizeof *state->input);
    }
    choose_next(asked, next);
    return FAULT_NONE;
}

/* ---- finish ---- */

static double log_likelihood(const struct glm_question *q, const struct glm_state *own,
                             double deviance)
{
    double constant = dd_double(own->opening->extra[EXTRA_LIKELIHOOD]);
    double weight = dd_double(own->opening->weight), rows = (double)own->opening->rows;
    double minus = own->fit.minus;
    int sign;

    if (q->family->quasi)
        return NAN;
    switch (q->family->kind) {
    case GLM_BINOMIAL:
        return -minus;
    case GLM_POISSON:
        return -minus - constant;
    case GLM_GAMMA: {
        double dispersion = deviance / weight, shape = 1 / dispersion;
        return (shape - 1) * constant - shape * minus - shape * log(dispersion) * weight -
               lgamma_r(shape, &sign) * weight;
    }
    case GLM_GAUSSIAN:
        return -(rows * (log(2 * M_PI * deviance / rows) + 1) - constant) / 2;
    }
    return NAN;
}

static bool put_one(struct result *r, const char *name, Cohortium__ItemKind kind,
                    double value)
{
    return result_put(r, name, kind, 1, 1, &value, NULL) != NULL;
}

/* Without an intercept the null model's mean is the inverse link of the offset, or of 0,
 * which some links do not have. */
static bool has_null_model(const struct glm_question *q)
{
    if (q->design->intercept || q->design->offset != NULL)
        return true;
    return q->link != LINK_INVERSE &&
           !(q->link == LINK_IDENTITY && q->family->kind == GLM_GAMMA) &&
           !(q->link == LINK_LOG && q->family->kind == GLM_BINOMIAL);
}

static enum fault put_sums(const struct asked *asked, const struct glm_question *q,
                           const struct glm_state *own, double dispersion, struct result *r)
{
    double constant = dd_double(own->opening->extra[EXTRA_DEVIANCE]);
    double rank = (double)own->fit.factor->rank, rows = (double)own->opening->rows;
    double deviance = fmax(2 * (own->fit.minus + constant), 0);
    double null = has_null_model(q) ? 2 * (own->fit.minus_null + constant) : NAN;
    double loglik = log_likelihood(q, own, deviance);
    double parameters =
        rank + (q->family->kind == GLM_GAUSSIAN || q->family->kind == GLM_GAMMA);
    bool fine =
        put_one(r, "dispersion",
                q->family->estimated ? COHORTIUM__ITEM_KIND__SPREADS
                                     : COHORTIUM__ITEM_KIND__PLAIN,
                dispersion) &&
        put_one(r, "deviance", COHORTIUM__ITEM_KIND__WHOLES, deviance) &&
        put_one(r, "null_deviance", COHORTIUM__ITEM_KIND__WHOLES, null) &&
        put_one(r, "loglik", COHORTIUM__ITEM_KIND__WHOLES, loglik) &&
        put_one(r, "aic", COHORTIUM__ITEM_KIND__WHOLES, -2 * loglik + 2 * parameters) &&
        put_one(r, "bic", COHORTIUM__ITEM_KIND__WHOLES,
                -2 * loglik + log(rows) * parameters) &&
        put_one(r, "rank", COHORTIUM__ITEM_KIND__PLAIN, rank) &&
        put_one(r, "converged", COHORTIUM__ITEM_KIND__PLAIN, own->fit.converged);
    if (fine && asked->testing)
        fine = put_one(r, "pearson_chisq", COHORTIUM__ITEM_KIND__EXACT, own->fit.pearson) &&
               put_one(r, "iterations", COHORTIUM__ITEM_KIND__EXACT, own->fit.accepted);
    return fine ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault glm_finish(struct cx *cx, const struct asked *asked,
                             const struct state *state, struct result **ret)
{
    const struct glm_question *q = asked->parsed;
    const struct glm_state *own = state->own;
    const struct opening *o = own->opening;
    size_t n = o->n, rank = own->fit.factor == NULL ? 0 : own->fit.factor->rank;
    double df = (double)o->rows - (double)rank, dispersion = 1;
    struct dd *coef, *inverse;
    struct result *r;

    TRY(result_new(cx, &r));
    *ret = r;
    TRY(design_result(cx, q->design, o, rank, r));
    if (r->trouble == NULL)
        r->trouble = own->fit.trouble;
    if (own->fit.factor == NULL || own->fit.trouble != NULL) {
        if (r->trouble == NULL)
            r->trouble = "no estimate: no rows";
        return FAULT_NONE;
    }
    TRY(accuracy_say(cx, q->design, o, &own->fit.accuracy, r));
    if (!accuracy_is_shown(&own->fit.accuracy))
        return FAULT_NONE;
    if (q->family->estimated)
        dispersion = df > 0 ? own->fit.pearson / df : NAN;
    CX_NEW(cx, coef, n);
    for (size_t i = 0; i < n; i++)
        coef[i] = dd_of(own->fit.point.beta[i]);
    inverse = cx_memdup(cx, own->fit.inverse, n * n * sizeof *inverse);
    if (inverse == NULL)
        return FAULT_MEMORY;
    design_to_raw(q->design, o, state->input, 1, 0, coef, inverse);
    TRY(model_put_coefficients(cx, r, n, own->fit.factor->aliased, coef, inverse,
                               dispersion, asked->testing));
    return put_sums(asked, q, own, dispersion, r);
}

static enum fault glm_show(struct cx *cx, const struct asked *asked,
                           const Cohortium__Release *release, struct report *report)
{
    const struct glm_question *q = asked->parsed;

    return model_show_glm(cx, asked, release->result, q->family->estimated,
                          q->family->kind == GLM_BINOMIAL && q->link == LINK_LOGIT,
                          q->family->kind == GLM_BINOMIAL, report);
}

const struct analysis analysis_glm = {
    .name = "glm",
    .version = 1,
    .title = "generalised linear model",
    .rules = "R1 R4 R6 R7 R9 R22 R24",
    .noised = &analysis_noised_glm,
    .check = glm_check,
    .begin = glm_begin,
    .ask = glm_ask,
    .learn = glm_learn,
    .finish = glm_finish,
    .show = glm_show,
};

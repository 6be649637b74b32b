/*
 * glm_fit.c - Fisher scoring, then Newton with the observed information.
 *
 * Each step is solved in double-double. A step that makes the deviance worse, or drives
 * fitted values out of their range, is halved. Convergence: the step in standard errors,
 * never the deviance, which is flat where it matters (SUMS.md section 5). Standard errors
 * come from the expected information, as R's do.
 */
#include "analyses/glm_fit.h"

#include <math.h>
#include <string.h>

enum { HALVINGS_MAX = 40, SEPARATION_AFTER = 8 };
static const double STEP_DONE = 1e-13, STEP_FLOOR = 1e-9;

static const char separated[] =
    "no finite estimate: the covariates separate the outcomes (complete or quasi-complete "
    "separation); leave out or join the levels that do";

static bool is_better(const struct glm_fit *fit, const struct glm_sums *s)
{
    const struct glm_point *p = &fit->point;

    if (!p->known)
        return true;
    if (s->clamped > 0 && !p->clamped)
        return false;
    return s->minus <= p->minus + 1e-9 * (fabs(p->minus) + 1e-300) + 2 * s->minus_error;
}

struct move {
    double *step;
    double largest;   /* in scaled units */
    double in_errors; /* in standard errors */
    double gain;      /* score times step: about twice what the step wins */
};

static enum fault solve_step(struct cx *cx, const struct glm_sums *s,
                             const struct factor *f, const struct dd *inverse,
                             struct move *ret)
{
    struct dd *u, *x;

    CX_NEW(cx, u, s->n);
    CX_NEW(cx, x, s->n);
    CX_NEW(cx, ret->step, s->n);
    ret->largest = ret->in_errors = ret->gain = 0;
    solve_forward(f, s->score, u);
    solve_back(f, u, x);
    for (size_t i = 0; i < s->n; i++) {
        double variance = dd_double(inverse[i * s->n + i]);

        ret->step[i] = dd_double(x[i]);
        ret->largest = fmax(ret->largest, fabs(ret->step[i]));
        ret->gain += ret->step[i] * dd_double(s->score[i]);
        if (variance > 0)
            ret->in_errors = fmax(ret->in_errors, fabs(ret->step[i]) / sqrt(variance));
    }
    return FAULT_NONE;
}

/* Newton's step near the end, where the observed information is as definite as the
 * expected. */
static enum fault newton_step(struct cx *cx, const struct glm_sums *s,
                              const struct glm_fit *fit, double eta_unit, struct move *move)
{
    struct factor *f;
    size_t n = s->n, size = n * n;
    struct dd *observed;

    if (s->observed == NULL || move->largest > 0.3 * eta_unit)
        return FAULT_NONE;
    CX_NEW(cx, observed, size);
    memcpy(observed, s->observed, size * sizeof *observed);
    for (size_t i = 0; i < n; i++) /* aliased columns stay out */
        for (size_t j = 0; j < n; j++)
            if (fit->factor->aliased[i] || fit->factor->aliased[j])
                observed[i * n + j] = dd_of(0);
    TRY(solve_factor(cx, n, observed, NULL, 0, &f));
    if (f->rank != fit->factor->rank)
        return FAULT_NONE;
    struct move newton;
    TRY(solve_step(cx, s, f, fit->inverse, &newton));
    if (newton.gain >= 0)
        *move = newton;
    return FAULT_NONE;
}

/* How far the score's quanta move a step, in standard errors. */
static double step_error(const struct glm_sums *s, const struct dd *inverse)
{
    double worst = 0;

    for (size_t i = 0; i < s->n; i++) {
        double error = 0, variance = dd_double(inverse[i * s->n + i]);

        for (size_t j = 0; j < s->n; j++)
            error += fabs(inverse[i * s->n + j].hi) * s->score_errors[j];
        if (variance > 0)
            worst = fmax(worst, error / sqrt(variance));
    }
    return worst;
}

static void find_separation(const struct glm_sums *s, const struct move *move,
                            struct glm_fit *fit)
{
    bool counts = fit->family->kind == GLM_BINOMIAL || fit->family->kind == GLM_POISSON;

    if (!counts || fit->trouble != NULL)
        return;
    bool walks = fit->accepted >= SEPARATION_AFTER && move->largest > 0.05 &&
                 move->gain < 1e-3 * fmax(1, move->largest);
    if (walks || (fit->family->kind == GLM_BINOMIAL && s->minus < 1e-6))
        fit->trouble = separated;
}

static enum fault accept(struct cx *cx, const struct design *d, const double *input,
                         const double *beta, const struct glm_sums *s, double eta_unit,
                         bool null_converged, struct glm_fit *fit, double *next)
{
    struct move move;
    double before = fit->step_size;

    fit->norms2 = design_norms(cx, d, s->n, input, s->expected);
    if (fit->norms2 == NULL)
        return FAULT_MEMORY;
    TRY(solve_factor(cx, s->n, s->expected, fit->norms2, SOLVE_RANK_TOLERANCE,
                     &fit->factor));
    TRY(solve_inverse(cx, fit->factor, &fit->inverse));
    TRY(solve_step(cx, s, fit->factor, fit->inverse, &move));
    TRY(newton_step(cx, s, fit, eta_unit, &move));
    fit->minus = s->minus;
    fit->pearson = s->pearson;
    fit->step_size = move.in_errors;
    fit->halvings = 0;
    fit->point.known = true;
    fit->point.minus = s->minus;
    fit->point.clamped = s->clamped > 0;
    fit->point.beta = cx_memdup(cx, beta, s->n * sizeof *beta);
    if (fit->point.beta == NULL)
        return FAULT_MEMORY;
    for (size_t i = 0; i < s->n; i++)
        next[i] = beta[i] + move.step[i] + 0.0;
    find_separation(s, &move, fit);
    fit->accepted++;
    /* Rounding of the rows' terms, and quanta, are a floor under the step: no better comes.
     * What it costs is said at the end (accuracy.h). */
    double least = fmax(STEP_FLOOR, 2 * step_error(s, fit->inverse));
    bool floor = move.in_errors < least && fit->accepted > 2 && move.in_errors > before / 4;
    if (null_converged && fit->factor->rank > 0 && (move.in_errors <= STEP_DONE || floor)) {
        fit->converged = true;
        memcpy(fit->point.beta, next, s->n * sizeof *next);
        if (s->clamped > 0 && fit->trouble == NULL)
            fit->trouble =
                "no fit: fitted values reach the bounds that the codebook sets for "
                "the response; check the model, or the bounds";
    }
    return FAULT_NONE;
}

enum fault glm_advance(struct cx *cx, const struct design *d, const double *input,
                       const double *beta, const struct glm_sums *sums, double eta_unit,
                       bool null_converged, struct glm_fit *fit, double *next)
{
    bool empty = true;

    for (size_t i = 0; i < sums->n && empty; i++)
        empty = !(sums->expected[i * sums->n + i].hi > 0);
    if (!empty && (is_better(fit, sums) || fit->halvings == HALVINGS_MAX))
        return accept(cx, d, input, beta, sums, eta_unit, null_converged, fit, next);
    if (empty && !fit->point.known) {
        memcpy(next, beta, sums->n * sizeof *next);
        return FAULT_NONE;
    }
    fit->halvings++;
    for (size_t i = 0; i < sums->n; i++)
        next[i] = (beta[i] + fit->point.beta[i]) / 2 + 0.0;
    return FAULT_NONE;
}

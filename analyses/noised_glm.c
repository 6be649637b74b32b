/*
 * noised_glm.c - logistic and Poisson regression under noise: four rounds, each charged.
 *
 * Asks        round 1: sums of z_i z_j and z_i y. At the constant eta of the mean of y the
 *             information is V(mean) Z'Z, so a first step needs no round of its own
 *             rounds 2 to 4: at the coefficients of the step before, sums of v z_i z_j and
 *             (y - mu) z_i; mu and v are clamped to what y can be, so that one patient's
 *             part is bounded
 * Finish      coefficients after the last step; covariance, to first order: H^-1 + H^-1
 *             Cov(e - E step) H^-1. An error of an earlier step is mended by the later ones
 * Disclosure  DISCLOSURE.md 3.5, 3.6; R1, R6, R7 on the noised n
 * Source      noised Newton steps: Kairouz et al. (2021) for the shares; score and
 *             information as glm_family.c's canonical rows
 */
#include <math.h>
#include <string.h>

#include "analyses/glm_family.h"
#include "analyses/noised_model.h"
#include "analyses/registry.h"

enum { ROUNDS = 4 };

struct glm_noised {
    const struct noised_model *model;
    unsigned round; /* that is asked next */
    struct noised_fit fit;
    bool hidden; /* noise hid a step */
};

static bool is_offered(const struct glm_question *q)
{
    return !q->family->quasi &&
           ((q->family->kind == GLM_BINOMIAL && q->link == LINK_LOGIT) ||
            q->family->kind == GLM_POISSON);
}

static enum fault check(struct cx *cx, struct asked *asked, struct complaints *c,
                        struct plan *plan)
{
    const struct glm_question *q = asked->parsed;

    (void)cx;
    noised_model_complain(q->design, "glm", c);
    if (!is_offered(q))
        complain(c, "not_under_noise",
                 "noise_mechanism: glm has no bounded form for this family and link; there "
                 "are binomial with logit, and poisson; for gaussian ask lm");
    if (q->design->offset != NULL)
        complain(c, "not_under_noise",
                 "noise_mechanism: glm with an offset has no first step here; leave the "
                 "offset out");
    plan->rounds_max = ROUNDS;
    return c->fault;
}

static enum fault begin(struct cx *cx, const struct asked *asked, struct state **ret)
{
    const struct glm_question *q = asked->parsed;
    struct noised_model *model;
    struct glm_noised *own;

    TRY(noised_model_open(cx, asked, q->design, &model));
    CX_NEW(cx, *ret, 1);
    CX_NEW(cx, own, 1);
    own->model = model;
    (*ret)->kind = COHORTIUM__ROUND_KIND__SUM;
    (*ret)->own = own;
    return FAULT_NONE;
}

/* ---- ask ---- */

/* y itself: its bounds are those of counts. */
static ref left_over(struct measure *m, const struct glm_question *q, ref y, ref eta,
                     ref *ret_weight)
{
    double most = q->design->y_upper;

    if (q->family->kind == GLM_BINOMIAL) {
        *ret_weight = m_link(m, LINK_LOGIT, PART_DMU, eta);
        return m_binary(m, M_SUB, y, m_link(m, LINK_LOGIT, PART_MU, eta));
    }
    *ret_weight = m_clamp(m, m_link(m, LINK_LOG, PART_MU, eta), 0, most);
    return m_binary(m, M_SUB, y, *ret_weight);
}

static enum fault ask(struct cx *cx, const struct asked *asked, const struct state *state,
                      struct measure **ret)
{
    const struct glm_question *q = asked->parsed;
    const struct glm_noised *own = state->own;
    const struct noised_model *model = own->model;
    size_t n = model->n, size = model->n_products + n, at = 0;
    struct design_nodes nodes;
    struct measure *m;
    ref *z, *sums, weight = 0;

    if (state->n_input != (own->round == 0 ? 0 : n))
        return cx_fail(cx, FAULT_INTERNAL, "glm: %zu shared numbers for %zu columns",
                       state->n_input, n);
    TRY(measure_new(cx, asked->cb, &m));
    TRY(noised_model_nodes(model, m, &nodes, &z));
    CX_NEW(cx, sums, size);
    ref rest = m_clamp(m, nodes.y, 0, q->design->y_upper);
    if (own->round > 0)
        rest = left_over(m, q, rest, m_linear(m, z, state->input, n, 0), &weight);
    noised_model_products(model, m, z, weight, sums, &at);
    for (size_t i = 0; i < n; i++)
        sums[at++] = m_binary(m, M_MUL, z[i], rest);
    struct block block = {
        .where = nodes.where, .sums = sums, .n_sums = at, .uncounted = true};

    (void)measure_block(m, &block);
    TRY(measure_close(m, asked->rows_log2));
    *ret = m;
    return FAULT_NONE;
}

/* ---- learn ---- */

/* From Z'Z and Z'y to the system of a step from the constant eta of y's mean. */
static double start(const struct glm_question *q, struct noised_system *sys)
{
    double rows = fmax(sys->h[0], 1), low = 0.5 / rows, most = q->design->y_upper;
    bool binomial = q->family->kind == GLM_BINOMIAL;
    double mean = fmax(fmin(sys->s[0] / rows, binomial ? 1 - low : most), low);
    double v = binomial ? mean * (1 - mean) : mean;

    for (size_t i = 0; i < sys->n; i++)
        sys->s[i] -= mean * sys->h[i];
    for (size_t i = 0; i < sys->n * sys->n; i++) {
        sys->h[i] *= v;
        sys->h_variance[i] *= v * v;
    }
    return binomial ? log(mean / (1 - mean)) : log(mean);
}

/* A step that noise made long is cut: |z| <= 1, so eta moves by at most the sum. */
static void cut_step(size_t n, double *step)
{
    enum { FARTHEST = 4 };
    double size = 0;

    for (size_t i = 0; i < n; i++)
        size += fabs(step[i]);
    for (size_t i = 0; i < n && size > FARTHEST; i++)
        step[i] *= FARTHEST / size;
}

static enum fault put_input(struct cx *cx, const struct noised_model *model,
                            const double *beta, struct state *state)
{
    state->n_input = model->n;
    CX_NEW(cx, state->input, model->n);
    CX_NEW(cx, state->input_scale, model->n);
    for (size_t i = 0; i < model->n; i++) {
        state->input[i] = beta[i] + 0.0;
        state->input_scale[i] = 1;
    }
    return FAULT_NONE;
}

static enum fault conclude(struct cx *cx, struct noised_system *sys, const double *beta,
                           struct glm_noised *own)
{
    size_t size = sys->n * sys->n;

    own->fit.sigma = NAN;
    if (own->hidden) {
        own->fit.trouble = noised_model_hidden();
        return FAULT_NONE;
    }
    CX_NEW(cx, own->fit.variance, size);
    for (size_t i = 0; i < size; i++)
        own->fit.variance[i] = sys->inverse[i] + sys->from_noise[i];
    own->fit.noise = sys->from_noise;
    own->fit.beta = cx_memdup(cx, beta, sys->n * sizeof *beta);
    return own->fit.beta != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault learn(struct cx *cx, const struct asked *asked, const struct state *state,
                        const struct measure *m, const struct tally *t, struct state **ret)
{
    const struct glm_noised *before = state->own;
    const struct noised_model *model = before->model;
    struct noised_system *sys;
    struct glm_noised *own;
    double *beta;
    bool solved;

    CX_NEW(cx, *ret, 1);
    CX_NEW(cx, own, 1);
    CX_NEW(cx, beta, model->n);
    *own = *before;
    own->round++;
    (*ret)->kind = COHORTIUM__ROUND_KIND__SUM;
    (*ret)->own = own;
    (*ret)->done = own->round == ROUNDS;
    TRY(noised_system_read(cx, model, m, t, 0, model->n_products, &sys));
    if (before->round == 0) {
        noised_model_rows(sys, m, &own->fit);
        beta[0] = start(asked->parsed, sys);
    } else {
        memcpy(beta, state->input, model->n * sizeof *beta);
    }
    TRY(noised_system_solve(cx, sys, &solved));
    own->hidden = own->hidden || !solved; /* the rounds are run to their end all the same */
    TRY(noised_system_noise(cx, sys, sys->solution));
    cut_step(model->n, sys->solution);
    for (size_t i = 0; i < model->n; i++)
        beta[i] += sys->solution[i];
    TRY(put_input(cx, model, beta, *ret));
    return (*ret)->done ? conclude(cx, sys, beta, own) : FAULT_NONE;
}

static enum fault finish(struct cx *cx, const struct asked *asked,
                         const struct state *state, struct result **ret)
{
    const struct glm_noised *own = state->own;

    (void)asked;
    TRY(result_new(cx, ret));
    return noised_model_result(cx, own->model, &own->fit, 1, 0, *ret);
}

static enum fault show(struct cx *cx, const struct asked *asked,
                       const Cohortium__Release *release, struct report *report)
{
    const struct glm_question *q = asked->parsed;

    return noised_model_show(cx, asked, release,
                             q->family->kind == GLM_BINOMIAL ? "odds ratio" : "rate ratio",
                             report);
}

const struct analysis analysis_noised_glm = {
    .name = "glm",
    .version = 1,
    .title = "generalised linear model",
    .rules = "R1 R6 R7",
    .check = check,
    .begin = begin,
    .ask = ask,
    .learn = learn,
    .finish = finish,
    .show = show,
};

/*
 * noised_lm.c - linear regression under noise: X'X and X'y with noise, once.
 *
 * Asks        one round: sums of z_i z_j, z_i z_y and z_y^2 over complete rows
 * Finish      b = (X'X + E)^-1 (X'y + e). Covariance, to first order: sigma^2 (X'X)^-1 +
 *             (X'X)^-1 Cov(e - E b) (X'X)^-1
 * Disclosure  DISCLOSURE.md 3.5; R1, R6, R7 on the noised n
 * Source      Wang (2018), Revisiting differentially private linear regression
 */
#include <math.h>

#include "analyses/noised_model.h"
#include "analyses/registry.h"

struct lm_noised {
    const struct noised_model *model;
    struct noised_fit fit;
    double y_half, y_middle;
};

static enum fault check(struct cx *cx, struct asked *asked, struct complaints *c,
                        struct plan *plan)
{
    (void)cx;
    noised_model_complain(asked->parsed, "lm", c);
    plan->rounds_max = 1;
    return c->fault;
}

static enum fault begin(struct cx *cx, const struct asked *asked, struct state **ret)
{
    struct noised_model *model;
    struct lm_noised *own;

    TRY(noised_model_open(cx, asked, asked->parsed, &model));
    CX_NEW(cx, *ret, 1);
    CX_NEW(cx, own, 1);
    own->model = model;
    (*ret)->kind = COHORTIUM__ROUND_KIND__SUM;
    (*ret)->own = own;
    return FAULT_NONE;
}

static enum fault ask(struct cx *cx, const struct asked *asked, const struct state *state,
                      struct measure **ret)
{
    const struct lm_noised *own = state->own;
    const struct noised_model *model = own->model;
    size_t n = model->n, size = model->n_products + n + 1, at = 0;
    struct design_nodes nodes;
    struct measure *m;
    ref *z, *sums;

    TRY(measure_new(cx, asked->cb, &m));
    TRY(noised_model_nodes(model, m, &nodes, &z));
    CX_NEW(cx, sums, size);
    noised_model_products(model, m, z, 0, sums, &at);
    for (size_t i = 0; i < n; i++)
        sums[at++] = model->d->columns[i].term < 0 ? z[n] : m_binary(m, M_MUL, z[i], z[n]);
    sums[at++] = m_binary(m, M_POW, z[n], m_const(m, 2));
    struct block block = {
        .where = nodes.where, .sums = sums, .n_sums = at, .uncounted = true};

    (void)measure_block(m, &block);
    TRY(measure_close(m, asked->rows_log2));
    *ret = m;
    return FAULT_NONE;
}

/* What is left of y's squares; noise may take more than there is. */
static double rest_of(const struct noised_system *sys, double squares)
{
    double rest = squares;

    for (size_t i = 0; i < sys->n; i++)
        rest -= sys->s[i] * sys->solution[i];
    return fmax(rest, 0);
}

static enum fault learn(struct cx *cx, const struct asked *asked, const struct state *state,
                        const struct measure *m, const struct tally *t, struct state **ret)
{
    const struct lm_noised *before = state->own;
    const struct noised_model *model = before->model;
    size_t n = model->n, size = n * n;
    struct noised_system *sys;
    struct lm_noised *own;
    bool solved;

    (void)asked;
    CX_NEW(cx, *ret, 1);
    CX_NEW(cx, own, 1);
    own->model = model;
    own->y_half = model->half[n];
    own->y_middle = model->middle[n];
    (*ret)->kind = COHORTIUM__ROUND_KIND__SUM;
    (*ret)->own = own;
    (*ret)->done = true;
    TRY(noised_system_read(cx, model, m, t, 0, model->n_products, &sys));
    TRY(noised_system_solve(cx, sys, &solved));
    noised_model_rows(sys, m, &own->fit);
    if (!solved) {
        own->fit.trouble = noised_model_hidden();
        return FAULT_NONE;
    }
    TRY(noised_system_noise(cx, sys, sys->solution));
    double squares = noised_sum(m, t, 0, 0, model->n_products + n);
    double df = own->fit.n - (double)n;
    double sigma2 = df > 0 ? rest_of(sys, squares) / df : NAN;

    CX_NEW(cx, own->fit.variance, size);
    for (size_t i = 0; i < size; i++)
        own->fit.variance[i] = sigma2 * sys->inverse[i] + sys->from_noise[i];
    own->fit.noise = sys->from_noise;
    own->fit.beta = sys->solution;
    own->fit.sigma = own->y_half * sqrt(sigma2);
    return FAULT_NONE;
}

static enum fault finish(struct cx *cx, const struct asked *asked,
                         const struct state *state, struct result **ret)
{
    const struct lm_noised *own = state->own;

    (void)asked;
    TRY(result_new(cx, ret));
    return noised_model_result(cx, own->model, &own->fit, own->y_half, own->y_middle, *ret);
}

static enum fault show(struct cx *cx, const struct asked *asked,
                       const Cohortium__Release *release, struct report *report)
{
    return noised_model_show(cx, asked, release, NULL, report);
}

const struct analysis analysis_noised_lm = {
    .name = "lm",
    .version = 1,
    .title = "linear regression",
    .rules = "R1 R6 R7",
    .check = check,
    .begin = begin,
    .ask = ask,
    .learn = learn,
    .finish = finish,
    .show = show,
};

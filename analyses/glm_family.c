/*
 * glm_family.c - score, information, deviance and Pearson's sum of one row, written so that
 * nothing is a difference of nearly equal numbers or a quotient that underflows, and so
 * that intervals stay narrow.
 *
 *   family    variance  minus (w times)        score / w                 expected / w
 *   gaussian  1         (y - mu)^2 / 2         y - mu                    1
 *   binomial  mu(1-mu)  -log of P(y)           y r1 - (1 - y) r2         r1 r2
 *   poisson   mu        mu - y log mu          y - mu                    mu
 *   Gamma     mu^2      y / mu + log mu        (y / mu - 1) r1           r1^2
 *
 * r1 = (dmu/deta) / mu, r2 = (dmu/deta) / (1 - mu). The textbook score of a binomial,
 * (y - mu) dmu / (mu (1 - mu)), is 0/0 in the tails (SUMS.md section 5).
 * Source: McCullagh and Nelder (1989), sections 2.2 and 2.5; R 4.2.2 family.R.
 */
#include "analyses/glm_family.h"

#include <math.h>
#include <string.h>

static const struct glm_family families[] = {
    {"gaussian", GLM_GAUSSIAN, false, true, {"identity"}},
    {"binomial", GLM_BINOMIAL, false, false, {"logit", "probit", "cloglog", "log"}},
    {"poisson", GLM_POISSON, false, false, {"log"}},
    {"Gamma", GLM_GAMMA, false, true, {"inverse", "log", "identity"}},
    {"quasibinomial", GLM_BINOMIAL, true, true, {"logit"}},
    {"quasipoisson", GLM_POISSON, true, true, {"log"}},
};

static const struct {
    const char *name;
    enum measure_link link;
} links[] = {
    {"logit", LINK_LOGIT}, {"probit", LINK_PROBIT},     {"cloglog", LINK_CLOGLOG},
    {"log", LINK_LOG},     {"identity", LINK_IDENTITY}, {"inverse", LINK_INVERSE},
};

const struct glm_family *glm_family_at(size_t i)
{
    return i < COUNT(families) ? &families[i] : NULL;
}

const struct glm_family *glm_family_find(const char *family, const char *link,
                                         struct complaints *c, enum measure_link *ret_link)
{
    const char *names[COUNT(families)];

    for (size_t i = 0; i < COUNT(families); i++) {
        const struct glm_family *f = &families[i];
        const char *wanted = link[0] == '\0' ? f->links[0] : link;

        names[i] = f->name;
        if (strcmp(f->name, family) != 0)
            continue;
        for (size_t k = 0; k < COUNT(f->links) && f->links[k] != NULL; k++)
            for (size_t j = 0; j < COUNT(links); j++)
                if (strcmp(f->links[k], wanted) == 0 &&
                    strcmp(links[j].name, wanted) == 0) {
                    *ret_link = links[j].link;
                    return f;
                }
        complain(c, "unknown_link",
                 "glm: family %s has no link `%s`; it has: %s%s%s%s%s%s%s", f->name, link,
                 f->links[0], f->links[1] ? ", " : "", f->links[1] ? f->links[1] : "",
                 f->links[2] ? ", " : "", f->links[2] ? f->links[2] : "",
                 f->links[3] ? ", " : "", f->links[3] ? f->links[3] : "");
        return NULL;
    }
    const char *near = bytes_nearest(family, names, COUNT(families));
    complain(c, "unknown_family",
             "glm: no family `%s`%s%s%s; there are: gaussian, binomial, poisson, Gamma, "
             "quasibinomial, quasipoisson",
             family, near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
    return NULL;
}

void glm_complain_response(struct cx *cx, const struct glm_family *f,
                           const struct design *d, struct complaints *c)
{
    const struct ast *y = d->response;
    const char *text = ast_text(cx, d->asked->cb, y);
    bool lone = y->op == COHORTIUM__AST_OP__AST_VARIABLE;
    Cohortium__VarType type = lone ? codebook_variable(d->asked->cb, y->variable)->type
                                   : COHORTIUM__VAR_TYPE__REAL;
    bool whole =
        type == COHORTIUM__VAR_TYPE__INTEGER || type == COHORTIUM__VAR_TYPE__BINARY;

    if (f->kind == GLM_BINOMIAL && (!whole || d->y_lower < 0 || d->y_upper > 1))
        complain(c, "response",
                 "glm: %s needs a response of 0 and 1, `%s` is something else", f->name,
                 text);
    if (f->kind == GLM_POISSON && !f->quasi && !whole)
        complain(c, "response",
                 "glm: poisson needs a response of whole numbers, `%s` is something else; "
                 "quasipoisson takes it",
                 text);
    if ((f->kind == GLM_POISSON || f->kind == GLM_GAMMA) && d->y_upper <= 0)
        complain(c, "response", "glm: %s needs a response above zero, `%s` never is",
                 f->name, text);
}

bool glm_is_canonical(const struct glm_family *f, enum measure_link link)
{
    return (f->kind == GLM_GAUSSIAN && link == LINK_IDENTITY) ||
           (f->kind == GLM_BINOMIAL && link == LINK_LOGIT) ||
           (f->kind == GLM_POISSON && link == LINK_LOG) ||
           (f->kind == GLM_GAMMA && link == LINK_INVERSE);
}

ref glm_response(struct measure *m, const struct glm_family *f, const struct design *d,
                 ref y, ref *ret_illegal)
{
    ref least;

    *ret_illegal = m_const(m, 0);
    if (f->kind == GLM_GAUSSIAN || f->kind == GLM_BINOMIAL)
        return y;
    /* Gamma: far below any value that a fit could use beside the largest one. */
    least = m_const(m, f->kind == GLM_POISSON ? 0 : d->y_upper * 0x1p-40);
    *ret_illegal = m_binary(m, M_LT, y, least);
    return m_binary(m, M_MAX, y, least);
}

static ref times(struct measure *m, ref w, ref x)
{
    return w == 0 ? x : m_binary(m, M_MUL, w, x);
}

static ref log_positive(struct measure *m, ref y)
{
    return m_unary(m, M_LOG, m_binary(m, M_MAX, y, m_const(m, 0x1p-1000)));
}

void glm_constants(struct measure *m, const struct glm_family *f, ref y, ref w,
                   ref *ret_deviance, ref *ret_likelihood)
{
    ref zero = m_const(m, 0), one = m_const(m, 1);

    *ret_deviance = *ret_likelihood = zero;
    switch (f->kind) {
    case GLM_GAUSSIAN:
        if (w != 0)
            *ret_likelihood = m_unary(m, M_LOG, w);
        return;
    case GLM_BINOMIAL:
        return;
    case GLM_POISSON: { /* y log y is 0 at 0 */
        ref big = m_binary(m, M_MUL, y, log_positive(m, y));
        big = m_select(m, m_binary(m, M_LT, zero, y), big, zero);
        *ret_deviance = times(m, w, m_binary(m, M_SUB, big, y));
        *ret_likelihood = times(m, w, m_unary(m, M_LGAMMA, m_binary(m, M_ADD, y, one)));
        return;
    }
    case GLM_GAMMA:
        *ret_likelihood = times(m, w, log_positive(m, y));
        *ret_deviance =
            m_unary(m, M_NEG, times(m, w, m_binary(m, M_ADD, log_positive(m, y), one)));
        return;
    }
}

/* Fitted means that a fit of this response can have, around its pooled mean: the narrower,
 * the finer the sums. A fit that ends outside is named, never clipped silently. */
struct glm_range glm_range(const struct glm_family *f, enum measure_link link,
                           const struct design *d, double mean)
{
    struct glm_range r = {.clamped = true};

    if (f->kind == GLM_GAUSSIAN || (f->kind == GLM_BINOMIAL && link != LINK_LOG))
        return (struct glm_range){.low = -700, .high = 700};
    if (f->kind == GLM_BINOMIAL) {
        r.low = -60;
        r.high = -0x1p-20;
        return r;
    }
    double below = f->kind == GLM_POISSON ? 0x1p-40 : 0x1p-14;
    double above = f->kind == GLM_POISSON ? 0x1p20 : 0x1p14;
    if (!(mean > 0))
        mean = d->y_upper;
    double least = mean * below, most = fmin(mean * above, 8 * d->y_upper);
    switch (link) {
    case LINK_LOG:
        r.low = log(least);
        r.high = log(most);
        break;
    case LINK_INVERSE:
        r.low = 1 / most;
        r.high = 1 / least;
        break;
    default:
        r.low = least;
        r.high = most;
        break;
    }
    return r;
}

static double probit(double p)
{
    double z = 0;

    /* Newton on the distribution function: only a starting value. */
    for (int i = 0; i < 60; i++) {
        double step =
            (link_part(LINK_PROBIT, PART_MU, z) - p) / link_part(LINK_PROBIT, PART_DMU, z);
        z -= fmin(fmax(step, -1), 1);
    }
    return z;
}

double glm_link(enum measure_link link, double mean, const struct glm_range *range)
{
    double eta = 0;

    switch (link) {
    case LINK_LOGIT:
        eta = log(mean / (1 - mean));
        break;
    case LINK_PROBIT:
        eta = probit(mean);
        break;
    case LINK_CLOGLOG:
        eta = log(-log1p(-mean));
        break;
    case LINK_LOG:
        eta = log(mean);
        break;
    case LINK_IDENTITY:
        return range->clamped ? fmin(fmax(mean, range->low), range->high) : mean;
    case LINK_INVERSE:
        eta = 1 / mean;
        break;
    }
    if (isnan(eta))
        eta = 0;
    return fmin(fmax(eta, range->low), range->high);
}

static ref part(struct measure *m, enum measure_link link, enum measure_part p, ref eta)
{
    return m_link(m, link, p, eta);
}

static ref square(struct measure *m, ref a)
{
    return m_binary(m, M_MUL, a, a);
}

/* d2mu / dmu, where it is not a quotient. */
static ref curvature(struct measure *m, enum measure_link link, ref eta, ref r2)
{
    switch (link) {
    case LINK_PROBIT:
        return m_unary(m, M_NEG, m_clamp(m, eta, -37, 37));
    case LINK_CLOGLOG:
        return m_binary(m, M_SUB, m_const(m, 1), r2);
    default: /* log */
        return m_const(m, 1);
    }
}

static void binomial_row(struct measure *m, enum measure_link link, ref y, ref eta,
                         struct glm_row *row)
{
    ref r1 = part(m, link, PART_DMU_OVER_MU, eta),
        r2 = part(m, link, PART_DMU_OVER_1_MU, eta);
    ref info = m_binary(m, M_MUL, r1, r2);
    /* Beyond, mu or 1 - mu is below 1e-13: no fit of finite coefficients has such a row on
     * the wrong side. */
    double reach = link == LINK_PROBIT ? 7.3 : 30, top = link == LINK_CLOGLOG ? 3.4 : reach;
    ref near = m_clamp(m, eta, -reach, top);
    ref mu = part(m, link, PART_MU, near), one_mu = part(m, link, PART_1_MU, near);

    row->minus = m_select(m, y, m_unary(m, M_NEG, part(m, link, PART_LOG_MU, eta)),
                          m_unary(m, M_NEG, part(m, link, PART_LOG_1_MU, eta)));
    row->score = m_select(m, y, r1, m_unary(m, M_NEG, r2));
    /* dmu^2 / (mu (1 - mu)) is at most 1/4, 2/pi and 0.648 */
    row->expected = link == LINK_LOG ? info : m_clamp(m, info, 0, 0.65);
    row->pearson =
        m_select(m, y, m_binary(m, M_DIV, one_mu, mu), m_binary(m, M_DIV, mu, one_mu));
    row->observed = row->expected;
    if (link == LINK_LOGIT)
        return;
    ref k = curvature(m, link, eta, r2);
    row->observed =
        m_select(m, y, m_binary(m, M_SUB, square(m, r1), m_binary(m, M_MUL, k, r1)),
                 m_binary(m, M_ADD, m_binary(m, M_MUL, k, r2), square(m, r2)));
}

static void poisson_row(struct measure *m, enum measure_link link, ref y, ref eta,
                        double mean, struct glm_row *row)
{
    ref mu = part(m, link, PART_MU, eta), log_mu = part(m, link, PART_LOG_MU, eta);
    ref least = m_const(m, fmax(mean, 0x1p-200) * 0x1p-20);

    row->minus = m_binary(m, M_SUB, mu, m_binary(m, M_MUL, y, log_mu));
    row->score = m_binary(m, M_SUB, y, mu);
    row->expected = row->observed = mu;
    /* (y - mu)^2 / mu, opened so that only one part divides */
    ref share = m_binary(m, M_DIV, square(m, y), m_binary(m, M_MAX, mu, least));
    row->pearson = m_binary(m, M_ADD, share,
                            m_binary(m, M_SUB, mu, m_binary(m, M_MUL, m_const(m, 2), y)));
}

static void gamma_row(struct measure *m, enum measure_link link, ref y, ref eta,
                      struct glm_row *row)
{
    ref mu = part(m, link, PART_MU, eta), one = m_const(m, 1);
    ref ratio =
        link == LINK_INVERSE ? m_binary(m, M_MUL, y, eta) : m_binary(m, M_DIV, y, mu);
    ref r1 = part(m, link, PART_DMU_OVER_MU, eta), away = m_binary(m, M_SUB, ratio, one);

    row->minus = m_binary(m, M_ADD, ratio, part(m, link, PART_LOG_MU, eta));
    row->pearson = square(m, away);
    row->expected = square(m, r1);
    row->observed = row->expected;
    if (link == LINK_INVERSE) { /* canonical: (y / mu - 1) r1 = mu - y */
        row->score = m_binary(m, M_SUB, mu, y);
        return;
    }
    row->score = m_binary(m, M_MUL, away, r1);
    if (link == LINK_LOG)
        row->observed = ratio;
    else /* identity: (2 y / mu - 1) / mu^2 */
        row->observed = m_binary(
            m, M_MUL, m_binary(m, M_SUB, m_binary(m, M_MUL, m_const(m, 2), ratio), one),
            row->expected);
}

struct glm_row glm_row(struct measure *m, const struct glm_family *f,
                       enum measure_link link, ref y, ref w, ref eta,
                       const struct glm_range *range, double mean)
{
    struct glm_row row = {.clamped = m_const(m, 0)};

    if (range->clamped) {
        ref low = m_const(m, range->low), high = m_const(m, range->high);
        row.clamped =
            m_binary(m, M_OR, m_binary(m, M_LT, eta, low), m_binary(m, M_LT, high, eta));
        eta = m_clamp(m, eta, range->low, range->high);
    }
    switch (f->kind) {
    case GLM_GAUSSIAN: {
        ref away = m_binary(m, M_SUB, y, eta);
        row.score = away;
        row.pearson = square(m, away);
        row.minus = m_binary(m, M_MUL, m_const(m, 0.5), row.pearson);
        row.expected = row.observed = m_const(m, 1);
        break;
    }
    case GLM_BINOMIAL:
        binomial_row(m, link, y, eta, &row);
        break;
    case GLM_POISSON:
        poisson_row(m, link, y, eta, mean, &row);
        break;
    case GLM_GAMMA:
        gamma_row(m, link, y, eta, &row);
        break;
    }
    row.minus = times(m, w, row.minus);
    row.score = times(m, w, row.score);
    row.expected = times(m, w, row.expected);
    row.observed = times(m, w, row.observed);
    row.pearson = times(m, w, row.pearson);
    return row;
}

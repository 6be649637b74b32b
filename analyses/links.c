/*
 * links.c - the inverse links of generalised linear models and what follows from them.
 *
 * Each part is computed from the side that keeps digits. eta is clamped first, so that
 * every part is finite and no fitted probability becomes exactly 0 or 1:
 *
 *   link       eta                 smallest mu, 1 - mu       bounds over the whole range
 *   logit      [-700, 700]         1e-304                    dmu <= 1/4, |d2mu| <= 0.0963
 *   probit     [-37, 37]           6e-300                    dmu <= 0.3990, |d2mu| <=
 * 0.2420 cloglog    [-700, 6.5]         1e-304, 1e-289            dmu <= 0.3679, |d2mu| <=
 * 0.3099 log        [-700, 700]         the caller clamps nearer: mu grows with exp(eta)
 *   identity   not clamped         the caller clamps
 *   inverse    not clamped         the caller keeps eta above zero
 *
 * Source: McCullagh and Nelder (1989), table 2.1 and section 4.3; the Mills ratio is
 * decreasing (Sampford 1953), so that all parts but dmu and d2mu are monotone.
 */
#include <float.h>
#include <math.h>

#include "analyses/measure.h"

static const double INV_SQRT_2 = 0.70710678118654752440;
static const double INV_SQRT_2PI = 0.39894228040143267794;

void link_range(enum measure_link link, double *ret_lower, double *ret_upper)
{
    switch (link) {
    case LINK_LOGIT:
    case LINK_LOG:
        *ret_lower = -700;
        *ret_upper = 700;
        return;
    case LINK_PROBIT:
        *ret_lower = -37;
        *ret_upper = 37;
        return;
    case LINK_CLOGLOG:
        *ret_lower = -700;
        *ret_upper = 6.5;
        return;
    case LINK_IDENTITY:
    case LINK_INVERSE:
        break;
    }
    *ret_lower = -DBL_MAX;
    *ret_upper = DBL_MAX;
}

static double logit_part(enum measure_part part, double eta)
{
    double e = exp(-fabs(eta)), small = e / (1 + e), large = 1 / (1 + e);
    double mu = eta < 0 ? small : large, one_mu = eta < 0 ? large : small;

    switch (part) {
    case PART_MU:
    case PART_DMU_OVER_1_MU:
        return mu;
    case PART_1_MU:
    case PART_DMU_OVER_MU:
        return one_mu;
    case PART_DMU:
        return small * large;
    case PART_D2MU:
        return small * large * (one_mu - mu);
    case PART_LOG_MU:
        return (eta < 0 ? eta : 0) - log1p(e);
    case PART_LOG_1_MU:
        return (eta > 0 ? -eta : 0) - log1p(e);
    }
    return NAN;
}

static double log_phi_cdf(double eta)
{
    return eta < 0 ? log(erfc(-eta * INV_SQRT_2) / 2) : log1p(-erfc(eta * INV_SQRT_2) / 2);
}

static double probit_part(enum measure_part part, double eta)
{
    double density = INV_SQRT_2PI * exp(-eta * eta / 2);

    switch (part) {
    case PART_MU:
        return erfc(-eta * INV_SQRT_2) / 2;
    case PART_1_MU:
        return erfc(eta * INV_SQRT_2) / 2;
    case PART_DMU:
        return density;
    case PART_D2MU:
        return -eta * density;
    case PART_LOG_MU:
        return log_phi_cdf(eta);
    case PART_LOG_1_MU:
        return log_phi_cdf(-eta);
    case PART_DMU_OVER_MU:
        return 2 * density / erfc(-eta * INV_SQRT_2);
    case PART_DMU_OVER_1_MU:
        return 2 * density / erfc(eta * INV_SQRT_2);
    }
    return NAN;
}

/* t = exp(eta), mu = 1 - exp(-t). */
static double cloglog_part(enum measure_part part, double eta)
{
    double t = exp(eta);

    switch (part) {
    case PART_MU:
        return -expm1(-t);
    case PART_1_MU:
        return exp(-t);
    case PART_DMU:
        return t * exp(-t);
    case PART_D2MU:
        return t * exp(-t) * (1 - t);
    case PART_LOG_MU:
        return log(-expm1(-t));
    case PART_LOG_1_MU:
        return -t;
    case PART_DMU_OVER_MU:
        return t / expm1(t);
    case PART_DMU_OVER_1_MU:
        return t;
    }
    return NAN;
}

static double log_part(enum measure_part part, double eta)
{
    switch (part) {
    case PART_MU:
    case PART_DMU:
    case PART_D2MU:
        return exp(eta);
    case PART_1_MU:
        return -expm1(eta);
    case PART_LOG_MU:
        return eta;
    case PART_LOG_1_MU:
        return log(-expm1(eta));
    case PART_DMU_OVER_MU:
        return 1;
    case PART_DMU_OVER_1_MU:
        return 1 / expm1(-eta);
    }
    return NAN;
}

static double identity_part(enum measure_part part, double eta)
{
    switch (part) {
    case PART_MU:
        return eta;
    case PART_1_MU:
        return 1 - eta;
    case PART_DMU:
        return 1;
    case PART_D2MU:
        return 0;
    case PART_LOG_MU:
        return log(eta);
    case PART_LOG_1_MU:
        return log1p(-eta);
    case PART_DMU_OVER_MU:
        return 1 / eta;
    case PART_DMU_OVER_1_MU:
        return 1 / (1 - eta);
    }
    return NAN;
}

static double inverse_part(enum measure_part part, double eta)
{
    switch (part) {
    case PART_MU:
        return 1 / eta;
    case PART_1_MU:
        return 1 - 1 / eta;
    case PART_DMU:
        return -1 / (eta * eta);
    case PART_D2MU:
        return 2 / (eta * eta * eta);
    case PART_LOG_MU:
        return -log(eta);
    case PART_LOG_1_MU:
        return log1p(-1 / eta);
    case PART_DMU_OVER_MU:
        return -1 / eta;
    case PART_DMU_OVER_1_MU:
        return -1 / (eta * (eta - 1));
    }
    return NAN;
}

double link_part(enum measure_link link, enum measure_part part, double eta)
{
    double lower, upper;

    link_range(link, &lower, &upper);
    if (eta < lower)
        eta = lower;
    if (eta > upper)
        eta = upper;
    switch (link) {
    case LINK_LOGIT:
        return logit_part(part, eta);
    case LINK_PROBIT:
        return probit_part(part, eta);
    case LINK_CLOGLOG:
        return cloglog_part(part, eta);
    case LINK_LOG:
        return log_part(part, eta);
    case LINK_IDENTITY:
        return identity_part(part, eta);
    case LINK_INVERSE:
        return inverse_part(part, eta);
    }
    return NAN;
}

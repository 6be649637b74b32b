/*
 * measure_interval.c - what a node can be, whatever row the codebook allows.
 *
 * Every interval holds every value that measure_apply can give, rounding included: results
 * of inexact operations are widened by one unit in the last place on both sides, those of
 * the mathematical library by 1e-12 of their size. Whole numbers below 2^53 are exact and
 * are not widened, so that keys fit their sizes.
 */
#include <float.h>
#include <math.h>

#include "analyses/measure_interval.h"

static const double EXACT_WHOLE = 9007199254740992.0; /* 2^53 */

static void set(struct measure_node *n, double lower, double upper)
{
    n->lower = lower;
    n->upper = upper;
}

static void set_sorted(struct measure_node *n, double a, double b)
{
    set(n, a < b ? a : b, a < b ? b : a);
    if (isnan(a) || isnan(b))
        set(n, -INFINITY, INFINITY);
}

static void widen(struct measure_node *n)
{
    if (n->whole && fabs(n->lower) < EXACT_WHOLE && fabs(n->upper) < EXACT_WHOLE)
        return;
    n->lower = nextafter(n->lower, -INFINITY);
    n->upper = nextafter(n->upper, INFINITY);
}

/* For results of exp, log and the like. */
static void widen_library(struct measure_node *n)
{
    n->lower -= fabs(n->lower) * 1e-12 + DBL_MIN;
    n->upper += fabs(n->upper) * 1e-12 + DBL_MIN;
}

static void multiply(struct measure_node *n, const struct measure_node *a,
                     const struct measure_node *b)
{
    double p[4] = {a->lower * b->lower, a->lower * b->upper, a->upper * b->lower,
                   a->upper * b->upper};

    set(n, p[0], p[0]);
    for (int i = 1; i < 4; i++) {
        n->lower = p[i] < n->lower ? p[i] : n->lower;
        n->upper = p[i] > n->upper ? p[i] : n->upper;
    }
    if (a == b && n->lower < 0) /* a square */
        n->lower = 0;
    double floor = a == b || (a->lower >= 0 && b->lower >= 0) ? 0 : -INFINITY;
    widen(n);
    n->lower = fmax(n->lower, floor);
}

static void divide(struct measure_node *n, const struct measure_node *a,
                   const struct measure_node *b)
{
    if (b->lower <= 0 && b->upper >= 0) {
        set(n, -INFINITY, INFINITY);
        return;
    }
    struct measure_node inverse = {.lower = 1 / b->upper, .upper = 1 / b->lower};
    double floor = a->lower >= 0 && b->lower > 0 ? 0 : -INFINITY;
    widen(&inverse);
    multiply(n, a, &inverse);
    n->lower = fmax(n->lower, floor);
}

static void power(struct measure_node *n, const struct measure_node *a, double exponent)
{
    bool even = fmod(exponent, 2) == 0, around = a->lower <= 0 && a->upper >= 0;

    if (around && exponent < 0) {
        set(n, -INFINITY, INFINITY);
        return;
    }
    set_sorted(n, pow(a->lower, exponent), pow(a->upper, exponent));
    if (even && around)
        n->lower = 0;
    bool positive = n->lower >= 0;
    if (!n->whole || fabs(n->lower) >= EXACT_WHOLE || fabs(n->upper) >= EXACT_WHOLE)
        widen_library(n);
    if (positive)
        n->lower = fmax(n->lower, 0);
}

/* Bound of |part| for the two parts that are not monotone. */
static double link_peak(enum measure_link link, enum measure_part part)
{
    switch (link) {
    case LINK_LOGIT:
        return part == PART_DMU ? 0.25 : 0.0963;
    case LINK_PROBIT:
        return part == PART_DMU ? 0.39895 : 0.24198;
    case LINK_CLOGLOG:
        return part == PART_DMU ? 0.36788 : 0.30995;
    default:
        return NAN;
    }
}

/* The largest |d2mu| over [low, high]: the peak, or less where d2mu has one sign and falls.
 */
static double tail_bound(enum measure_link link, enum measure_part part, double low,
                         double high)
{
    /* Beyond |eta| = 4 (cloglog: below -4) dmu and |d2mu| fall away from zero for all
     * three. */
    if (low >= 4 && link != LINK_CLOGLOG)
        return fabs(link_part(link, part, low));
    if (high <= -4)
        return fabs(link_part(link, part, high));
    return link_peak(link, part);
}

static void link_interval(const struct measure *m, struct measure_node *n)
{
    double low, high, eta_low = m->nodes[n->a].lower, eta_high = m->nodes[n->a].upper;

    link_range(n->link, &low, &high);
    eta_low = fmin(fmax(eta_low, low), high);
    eta_high = fmin(fmax(eta_high, low), high);
    /* Poles of inverse and identity lie at zero; a part is monotone on either side only. */
    bool pole = n->link == LINK_INVERSE ||
                (n->link == LINK_IDENTITY &&
                 (n->part == PART_LOG_MU || n->part == PART_DMU_OVER_MU));
    if ((pole && eta_low <= 0) ||
        (n->link == LINK_INVERSE && n->part == PART_DMU_OVER_1_MU && eta_low <= 1) ||
        (n->link == LINK_IDENTITY && n->part == PART_DMU_OVER_1_MU && eta_high >= 1) ||
        (n->link == LINK_LOG && n->part == PART_DMU_OVER_1_MU && eta_high >= 0)) {
        set(n, -INFINITY, INFINITY);
        return;
    }
    bool bell = n->link <= LINK_CLOGLOG;
    if (bell && (n->part == PART_DMU || n->part == PART_D2MU)) {
        double bound = tail_bound(n->link, n->part, eta_low, eta_high);
        set(n, n->part == PART_DMU ? 0 : -bound, bound);
        n->upper += bound * 1e-12;
        n->lower -= n->part == PART_DMU ? 0 : bound * 1e-12;
        return;
    }
    set_sorted(n, link_part(n->link, n->part, eta_low),
               link_part(n->link, n->part, eta_high));
    bool positive = n->lower >= 0, negative = n->upper <= 0;
    widen_library(n);
    if (positive)
        n->lower = fmax(n->lower, 0);
    if (negative)
        n->upper = fmin(n->upper, 0);
    if (bell && (n->part == PART_MU || n->part == PART_1_MU))
        n->upper = fmin(n->upper, 1);
}

static void lgamma_interval(struct measure_node *n, const struct measure_node *a)
{
    if (a->lower <= 0) {
        set(n, -INFINITY, INFINITY);
        return;
    }
    int sign;
    double low = lgamma_r(a->lower, &sign), high = lgamma_r(a->upper, &sign);

    set_sorted(n, low, high);
    if (a->lower < 1.4616321 + 1e-6 && a->upper > 1.4616321 - 1e-6)
        n->lower = -0.1214862906; /* the minimum, at 1.46163... */
    widen_library(n);
}

static void monotone(struct measure_node *n, const struct measure_node *a,
                     double (*f)(double))
{
    bool positive;

    set_sorted(n, f(a->lower), f(a->upper));
    positive = n->lower >= 0;
    widen_library(n);
    if (positive)
        n->lower = fmax(n->lower, 0);
}

static void unary_interval(struct measure_node *n, const struct measure_node *a)
{
    switch (n->op) {
    case M_NEG:
        set(n, -a->upper, -a->lower);
        break;
    case M_ABS:
        set_sorted(n, fabs(a->lower), fabs(a->upper));
        if (a->lower <= 0 && a->upper >= 0)
            n->lower = 0;
        break;
    case M_FLOOR:
        set(n, floor(a->lower), floor(a->upper));
        break;
    case M_EXP:
        monotone(n, a, exp);
        break;
    case M_EXPM1:
        monotone(n, a, expm1);
        break;
    case M_LOG:
        monotone(n, a, log);
        break;
    case M_LOG1P:
        monotone(n, a, log1p);
        break;
    case M_SQRT:
        monotone(n, a, sqrt);
        break;
    case M_LGAMMA:
        lgamma_interval(n, a);
        break;
    default:
        break;
    }
}

static void binary_interval(struct measure_node *n, const struct measure_node *a,
                            const struct measure_node *b)
{
    switch (n->op) {
    case M_ADD:
        set(n, a->lower + b->lower, a->upper + b->upper);
        widen(n);
        if (a->lower >= 0 && b->lower >= 0)
            n->lower = fmax(n->lower, 0);
        break;
    case M_SUB:
        set(n, a->lower - b->upper, a->upper - b->lower);
        widen(n);
        break;
    case M_MUL:
        multiply(n, a, b);
        break;
    case M_DIV:
        divide(n, a, b);
        break;
    case M_POW:
        power(n, a, b->lower);
        break;
    case M_MIN:
        set(n, fmin(a->lower, b->lower), fmin(a->upper, b->upper));
        break;
    case M_MAX:
        set(n, fmax(a->lower, b->lower), fmax(a->upper, b->upper));
        break;
    default:
        break;
    }
}

static bool is_whole(const struct measure *m, const struct measure_node *n)
{
    const struct measure_node *a = &m->nodes[n->a], *b = &m->nodes[n->b];

    switch (n->op) {
    case M_ADD:
    case M_SUB:
    case M_MUL:
    case M_MIN:
    case M_MAX:
        return a->whole && b->whole;
    case M_POW:
        return a->whole && b->lower >= 0;
    case M_NEG:
    case M_ABS:
        return a->whole;
    case M_FLOOR:
        return true;
    case M_SELECT:
        return b->whole && m->nodes[n->c].whole;
    case M_CONST:
        return n->value == floor(n->value) && fabs(n->value) < EXACT_WHOLE;
    default:
        return false;
    }
}

void measure_interval(const struct measure *m, struct measure_node *n)
{
    const struct measure_node *a = &m->nodes[n->a], *b = &m->nodes[n->b];

    n->whole = is_whole(m, n);
    switch (n->op) {
    case M_CONST:
        set(n, n->value, n->value);
        n->boolean = n->value == 0 || n->value == 1;
        break;
    case M_COLUMN: {
        const Cohortium__Variable *v = codebook_variable(m->cb, n->variable);

        variable_range(v, &n->lower, &n->upper);
        n->whole = v->type != COHORTIUM__VAR_TYPE__REAL;
        n->boolean = v->type == COHORTIUM__VAR_TYPE__BINARY;
        break;
    }
    case M_VALID:
    case M_EQ:
    case M_NE:
    case M_LT:
    case M_LE:
    case M_AND:
    case M_OR:
    case M_NOT:
        set(n, 0, 1);
        n->boolean = n->whole = true;
        break;
    case M_SELECT:
        set(n, fmin(b->lower, m->nodes[n->c].lower), fmax(b->upper, m->nodes[n->c].upper));
        n->boolean = b->boolean && m->nodes[n->c].boolean;
        break;
    case M_LINK:
        link_interval(m, n);
        break;
    default:
        if (n->b == 0)
            unary_interval(n, a);
        else
            binary_interval(n, a, b);
        n->boolean = n->op == M_MUL && a->boolean && b->boolean;
        break;
    }
    if (isnan(n->lower) || isnan(n->upper))
        set(n, -INFINITY, INFINITY);
}

/*
 * gate_blur.c - rounding of what is released, once, to steps that say less than one
 * patient.
 *
 * Everything here is comparison, multiplication and division of doubles, with powers of ten
 * read from decimal text: the same on every processor, whatever its log10.
 *
 *   COUNTS            to the policy's base by its mode, after the error of their patients'
 *                     key where it says so (R17, R18). Where a number has no key, to the
 *                     nearest multiple that is at least as wide as the error
 *   MEANS             smallest 1-2-5 step not below (upper - lower)/n
 *   ESTIMATES         largest 1-2-5 step not above SE/sqrt(n)
 *   ERRORS, SPREADS   3 significant digits
 *   WHOLES            1; where one patient's share of a deviance is larger, the largest
 *                     step not above that share
 *   TENTHS            0.1
 *   PLAIN             as it is
 */
#include "node/vault/gate_private.h"

#include <assert.h>
#include <math.h>

enum { DIGITS = 3, EXPONENT_MAX = 300, EXACT_POWER_MAX = 22 };

static const double TIE = 1e-6, EXACT_TIE = 1e-9, EXACT_FLOOR = 1e-3;

/* 10^e, correctly rounded: products of exact powers up to 1e22, then one rounding each. */
static double power_of_ten(int e)
{
    static const double exact[EXACT_POWER_MAX + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double p = 1;

    assert(e >= 0 && e <= EXPONENT_MAX);
    for (; e > EXACT_POWER_MAX; e -= EXACT_POWER_MAX)
        p *= exact[EXACT_POWER_MAX];
    return p * exact[e];
}

/* x * mantissa * 10^exponent with as few roundings as there can be. */
static double times_step(double x, struct step s)
{
    x *= s.mantissa;
    return s.exponent >= 0 ? x * power_of_ten(s.exponent) : x / power_of_ten(-s.exponent);
}

double step_value(struct step s)
{
    return times_step(1, s);
}

double step_round(struct step s, double v)
{
    double q =
        s.exponent >= 0 ? v / power_of_ten(s.exponent) : v * power_of_ten(-s.exponent);
    double r = times_step(floor(q / s.mantissa + 0.5), s);

    return r == 0 ? 0 : r; /* never -0 */
}

static struct step next(struct step s)
{
    if (s.mantissa == 5)
        return (struct step){1, s.exponent + 1};
    return (struct step){s.mantissa == 1 ? 2 : 5, s.exponent};
}

struct step step_not_above(double t)
{
    double e = floor(log10(t)) - 1; /* one too low for any error of log10 */
    struct step s = {1, -EXPONENT_MAX};

    assert(t > 0 && isfinite(t));
    if (e > s.exponent)
        s.exponent = e < EXPONENT_MAX - 3 ? (int)e : EXPONENT_MAX - 3;
    while (s.exponent < EXPONENT_MAX - 1 && step_value(next(s)) <= t)
        s = next(s);
    return s;
}

struct step step_not_below(double t)
{
    struct step s = step_not_above(t);

    return step_value(s) < t && s.exponent < EXPONENT_MAX - 1 ? next(s) : s;
}

struct step step_of_digits(double v)
{
    struct step s = {1, 0};

    if (v == 0)
        return s;
    s = step_not_above(fabs(v));
    s.mantissa = 1;
    s.exponent = s.exponent - (DIGITS - 1) < -EXPONENT_MAX ? -EXPONENT_MAX
                                                           : s.exponent - (DIGITS - 1);
    return s;
}

uint64_t count_round(uint64_t n, double base)
{
    uint64_t b = base >= 1 ? (uint64_t)base : 1, rest = n % b;

    return 2 * rest >= b && rest != 0 ? n - rest + b : n - rest;
}

static double count_base(const struct blur *b)
{
    double wide = b->mode == ROUND_CELL_KEY && !b->has_key ? 2.0 * b->errors->d + 1 : 1;

    return fmax(b->base, wide);
}

static double count_value(const struct blur *b)
{
    uint64_t n = (uint64_t)b->value;

    if (b->chosen)
        return b->choice;
    if (b->mode == ROUND_RANDOM && b->has_key)
        return (double)cellkey_random(n, (uint64_t)count_base(b), b->key);
    if (b->mode == ROUND_CELL_KEY && b->has_key)
        n = cellkey_count(b->errors, n, b->key);
    return (double)count_round(n, count_base(b));
}

static bool has_step(const struct blur *b, struct step *ret)
{
    switch (b->kind) {
    case COHORTIUM__ITEM_KIND__MEANS:
        *ret = step_not_below(b->basis);
        return true;
    case COHORTIUM__ITEM_KIND__ESTIMATES:
        *ret = step_not_above(b->basis);
        return true;
    case COHORTIUM__ITEM_KIND__ERRORS:
    case COHORTIUM__ITEM_KIND__SPREADS:
        *ret = step_of_digits(b->value);
        return true;
    case COHORTIUM__ITEM_KIND__WHOLES:
        *ret = b->basis > 1 ? step_not_above(b->basis) : (struct step){1, 0};
        return true;
    case COHORTIUM__ITEM_KIND__TENTHS:
        *ret = (struct step){1, -1};
        return true;
    default:
        return false;
    }
}

double blur_value(const struct blur *b, double *ret_step)
{
    struct step s;

    *ret_step = 0;
    if (b->exact)
        return b->value == 0 ? 0 : b->value;
    if (b->kind == COHORTIUM__ITEM_KIND__COUNTS) {
        *ret_step = count_base(b);
        return count_value(b);
    }
    if (!has_step(b, &s))
        return b->value == 0 ? 0 : b->value;
    if (b->kind != COHORTIUM__ITEM_KIND__ERRORS && b->kind != COHORTIUM__ITEM_KIND__SPREADS)
        *ret_step = step_value(s);
    return step_round(s, b->value);
}

static bool is_near(const struct blur *b, double proposed)
{
    double scale = fmax(fabs(b->value), EXACT_FLOOR);

    if (b->basis > 0 && isfinite(b->basis))
        scale = fmax(scale, b->basis);
    return fabs(proposed - b->value) <= EXACT_TIE * scale;
}

bool blur_may_be(const struct blur *b, double proposed)
{
    static const double sides[] = {0, -1, 1};
    double step;

    if (proposed == blur_value(b, &step))
        return true;
    if (b->kind == COHORTIUM__ITEM_KIND__COUNTS || b->kind == COHORTIUM__ITEM_KIND__PLAIN)
        return false; /* counts are whole numbers at every vault */
    if (b->exact)
        return is_near(b, proposed);
    for (size_t i = 0; i < COUNT(sides); i++)
        for (size_t j = 0; j < COUNT(sides); j++) {
            struct blur other = *b;
            struct step s;

            other.basis *= 1 + sides[i] * TIE;
            if (!has_step(&other, &s))
                return false;
            other.value += sides[j] * TIE * step_value(s);
            if (proposed == blur_value(&other, &step))
                return true;
        }
    return false;
}

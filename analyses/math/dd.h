/*
 * dd.h - double-double arithmetic: about 106 bits from pairs of doubles.
 *
 * Only IEEE operations and fma, so every processor gets the same bits.
 * Source: Dekker (1971), Knuth (TAOCP 2, 4.2.2); error bounds in Joldes, Muller, Popescu
 * (2017), "Tight and rigorous error bounds for basic building blocks of double-word
 * arithmetic".
 */
#pragma once

#include <math.h>

#include "protocol/tally.h" /* struct dd */

static inline struct dd dd_of(double a)
{
    return (struct dd){.hi = a};
}

static inline double dd_double(struct dd a)
{
    return a.hi + a.lo;
}

/* The exact sum and product of two doubles. */
static inline struct dd dd_two_sum(double a, double b)
{
    double s = a + b, t = s - a;

    return (struct dd){.hi = s, .lo = (a - (s - t)) + (b - t)};
}

static inline struct dd dd_two_product(double a, double b)
{
    double p = a * b;

    return (struct dd){.hi = p, .lo = fma(a, b, -p)};
}

static inline struct dd dd_neg(struct dd a)
{
    return (struct dd){.hi = -a.hi, .lo = -a.lo};
}

struct dd dd_add(struct dd a, struct dd b);
struct dd dd_sub(struct dd a, struct dd b);
struct dd dd_mul(struct dd a, struct dd b);
struct dd dd_div(struct dd a, struct dd b); /* b not 0 */
struct dd dd_sqrt(struct dd a);             /* 0 for a <= 0 */
/* a times a power of two: exact. */
struct dd dd_scale(struct dd a, double power_of_two);
int dd_compare(struct dd a, struct dd b);

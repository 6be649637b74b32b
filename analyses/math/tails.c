/* tails.c - a narrow door to libRmath, whose header brings many short names. */
#define MATHLIB_STANDALONE 1
#include <Rmath.h>
#include <math.h>

#include "analyses/math/tails.h"

double tail_normal(double z)
{
    return pnorm(z, 0, 1, 0, 0);
}

double tail_t(double t, double df)
{
    return isinf(df) ? tail_normal(t) : pt(t, df, 0, 0);
}

double tail_two_sided(double statistic, double df)
{
    return 2 * tail_t(fabs(statistic), df);
}

double tail_chisq(double x, double df)
{
    return pchisq(x, df, 0, 0);
}

double tail_f(double f, double df1, double df2)
{
    return pf(f, df1, df2, 0, 0);
}

double quantile_normal(double p)
{
    return qnorm(p, 0, 1, 1, 0);
}

double quantile_t(double p, double df)
{
    return isinf(df) ? quantile_normal(p) : qt(p, df, 1, 0);
}

double quantile_chisq(double p, double df)
{
    return qchisq(p, df, 1, 0);
}

double quantile_interval(double level, double df)
{
    return quantile_t(1 - (1 - level) / 2, df);
}

/* epsilon.c - see epsilon.h. */
#include "analyses/math/epsilon.h"

#include <math.h>

enum { STEPS = 200 };

static const double ORDER_LEAST = 1 + 1e-9, SLACK = 1e-12;

static double log_delta(double rho, double epsilon, double a)
{
    return (a - 1) * (a * rho - epsilon) - log(a - 1) + a * log1p(-1 / a);
}

/* The bound is convex in the order: its slope, by which the least is found. */
static double slope(double rho, double epsilon, double a)
{
    return (2 * a - 1) * rho - epsilon + log1p(-1 / a);
}

double epsilon_delta(double rho, double epsilon)
{
    double low = ORDER_LEAST, high = 2;

    while (slope(rho, epsilon, high) < 0 && high < 1e18)
        high *= 2;
    for (int i = 0; i < STEPS; i++) {
        double middle = low + (high - low) / 2;

        if (slope(rho, epsilon, middle) < 0)
            low = middle;
        else
            high = middle;
    }
    return fmin(1, exp(log_delta(rho, epsilon, high)));
}

double epsilon_simple(double rho, double delta)
{
    return rho + 2 * sqrt(rho * log(1 / delta));
}

double epsilon_of(double rho, double delta)
{
    double low = 0, high = epsilon_simple(rho, delta);

    if (!(rho > 0))
        return 0;
    if (epsilon_delta(rho, 0) <= delta)
        return 0;
    for (int i = 0; i < STEPS; i++) {
        double middle = low + (high - low) / 2;

        if (epsilon_delta(rho, middle) > delta)
            low = middle;
        else
            high = middle;
    }
    return high * (1 + SLACK);
}

double epsilon_rho(double epsilon, double delta)
{
    double low = 0, high = 1;

    while (epsilon_of(high, delta) < epsilon && high < 1e18)
        high *= 2;
    for (int i = 0; i < STEPS; i++) {
        double middle = low + (high - low) / 2;

        if (epsilon_of(middle, delta) <= epsilon)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* dd.c - the double-double operations that are more than a line. */
#include "analyses/math/dd.h"

struct dd dd_add(struct dd a, struct dd b)
{
    struct dd s = dd_two_sum(a.hi, b.hi), t = dd_two_sum(a.lo, b.lo);

    s = dd_two_sum(s.hi, s.lo + t.hi);
    return dd_two_sum(s.hi, s.lo + t.lo);
}

struct dd dd_sub(struct dd a, struct dd b)
{
    return dd_add(a, dd_neg(b));
}

struct dd dd_mul(struct dd a, struct dd b)
{
    struct dd p = dd_two_product(a.hi, b.hi);

    return dd_two_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

struct dd dd_div(struct dd a, struct dd b)
{
    double q1 = a.hi / b.hi, q2, q3;
    struct dd r = dd_sub(a, dd_mul(b, dd_of(q1)));

    q2 = r.hi / b.hi;
    r = dd_sub(r, dd_mul(b, dd_of(q2)));
    q3 = r.hi / b.hi;
    return dd_add(dd_two_sum(q1, q2), dd_of(q3));
}

struct dd dd_sqrt(struct dd a)
{
    if (!(a.hi > 0))
        return dd_of(0);
    double root = sqrt(a.hi);
    struct dd rest = dd_sub(a, dd_two_product(root, root));

    return dd_two_sum(root, dd_double(rest) / (2 * root));
}

struct dd dd_scale(struct dd a, double power_of_two)
{
    return (struct dd){.hi = a.hi * power_of_two, .lo = a.lo * power_of_two};
}

int dd_compare(struct dd a, struct dd b)
{
    if (a.hi != b.hi)
        return a.hi < b.hi ? -1 : 1;
    return a.lo < b.lo ? -1 : a.lo > b.lo;
}

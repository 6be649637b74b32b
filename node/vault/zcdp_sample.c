/*
 * zcdp_sample.c - exact samples from integers alone.
 *
 * Source      Canonne, Kamath and Steinke (2020), The Discrete Gaussian for Differential
 *             Privacy, algorithms 1 to 3
 * Checked     the published vector of seed "cohortium-dg-1" to the bit; goodness of fit of
 *             a million samples
 *
 * Fractions are reduced before a coin is thrown, so that the same bytes give the same
 * sample whoever computes it.
 */
#include "node/vault/zcdp.h"

/* Each loop ends by chance; these are where it cannot be chance any more. */
enum {
    TRIES = 256,     /* of a uniform below m: each fails with less than one half */
    LADDER = 64,     /* Bernoulli(x/k) all true to k: 1/64! */
    GEOMETRIC = 64,  /* coins of exp(-1): e^-64 */
    CANDIDATES = 512 /* each is taken with more than one third */
};

static enum fault no_end(struct cx *cx, const char *what)
{
    return cx_fail(cx, FAULT_INTERNAL,
                   "noise: %s does not end, so the source of random bytes is broken; "
                   "nothing leaves",
                   what);
}

static unsigned bit_length(zcdp_wide m)
{
    unsigned n = 0;

    for (; m != 0; m >>= 1)
        n++;
    return n;
}

enum fault zcdp_uniform(struct cx *cx, struct zcdp_source source, zcdp_wide m,
                        zcdp_wide *ret)
{
    unsigned bits = bit_length(m);
    zcdp_wide mask = bits >= 128 ? ~(zcdp_wide)0 : ((zcdp_wide)1 << bits) - 1;
    size_t n = (bits + 7) / 8;

    if (m == 0)
        return cx_fail(cx, FAULT_INTERNAL, "noise: a number below zero was asked for");
    for (int i = 0; i < TRIES; i++) {
        uint8_t bytes[16] = {0};
        zcdp_wide x = 0;

        source.draw(source.user, bytes, n);
        for (size_t k = n; k-- > 0;)
            x = x << 8 | bytes[k];
        x &= mask;
        if (x < m) {
            *ret = x;
            return FAULT_NONE;
        }
    }
    return no_end(cx, "a uniform number");
}

static zcdp_wide common_divisor(zcdp_wide a, zcdp_wide b)
{
    while (b != 0) { /* Euclid: at most 185 steps */
        zcdp_wide rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* exp(-n/d) for a reduced n/d of at most 1. */
static enum fault bernoulli_exp_1(struct cx *cx, struct zcdp_source source, zcdp_wide n,
                                  zcdp_wide d, bool *ret)
{
    for (unsigned k = 1; k <= LADDER; k++) {
        zcdp_wide common = common_divisor(n, k), u;

        TRY(zcdp_uniform(cx, source, d * (k / common), &u));
        if (u >= n / common) {
            *ret = k % 2 == 1;
            return FAULT_NONE;
        }
    }
    return no_end(cx, "a coin");
}

enum fault zcdp_bernoulli_exp(struct cx *cx, struct zcdp_source source, zcdp_wide n,
                              zcdp_wide d, bool *ret)
{
    *ret = false;
    if (d == 0 || d >> 114 != 0)
        return cx_fail(cx, FAULT_INTERNAL, "noise: a probability out of range");
    zcdp_wide common = common_divisor(n, d);

    n /= common;
    d /= common;
    for (int i = 0; n > d; i++) {
        bool stays;

        if (i == GEOMETRIC)
            return no_end(cx, "a run of coins");
        TRY(bernoulli_exp_1(cx, source, 1, 1, &stays));
        if (!stays)
            return FAULT_NONE;
        n -= d; /* stays reduced */
    }
    return bernoulli_exp_1(cx, source, n, d, ret);
}

/* u below t, taken with exp(-u/t); v of exp(-1): together floor of an exponential of mean
 * t. */
static enum fault magnitude(struct cx *cx, struct zcdp_source source, uint64_t t,
                            uint64_t *ret)
{
    for (int i = 0; i < CANDIDATES; i++) {
        zcdp_wide u;
        bool taken, more = true;

        TRY(zcdp_uniform(cx, source, t, &u));
        TRY(zcdp_bernoulli_exp(cx, source, u, t, &taken));
        if (!taken)
            continue;
        for (uint64_t v = 0; v < GEOMETRIC; v++) {
            TRY(bernoulli_exp_1(cx, source, 1, 1, &more));
            if (!more) {
                *ret = v * t + (uint64_t)u;
                return FAULT_NONE;
            }
        }
        return no_end(cx, "a run of coins");
    }
    return no_end(cx, "a discrete Laplace");
}

enum fault zcdp_laplace(struct cx *cx, struct zcdp_source source, uint64_t t, int64_t *ret)
{
    if (t == 0 || t >> 32 != 0)
        return cx_fail(cx, FAULT_INTERNAL, "noise: a scale out of range");
    for (int i = 0; i < CANDIDATES; i++) {
        uint64_t size = 0;
        zcdp_wide negative;

        TRY(zcdp_uniform(cx, source, 2, &negative));
        negative = negative < 1;
        TRY(magnitude(cx, source, t, &size));
        if (negative != 0 && size == 0)
            continue; /* zero has one sign */
        *ret = negative != 0 ? -(int64_t)size : (int64_t)size;
        return FAULT_NONE;
    }
    return no_end(cx, "a discrete Laplace");
}

static uint64_t root(uint64_t x)
{
    uint64_t r = 0;

    for (uint64_t bit = (uint64_t)1 << 31; bit != 0; bit >>= 1)
        if ((r | bit) * (r | bit) <= x)
            r |= bit;
    return r;
}

/* A candidate y is taken with exp(-(|y| - variance/t)^2 / (2 variance)). */
static enum fault is_taken(struct cx *cx, struct zcdp_source source, struct zcdp_variance v,
                           uint64_t t, int64_t y, bool *ret)
{
    zcdp_wide size = y < 0 ? (zcdp_wide)-y : (zcdp_wide)y;
    zcdp_wide at = size * t * v.b, away = at > v.a ? at - v.a : v.a - at;
    zcdp_wide n, d = (zcdp_wide)2 * v.a * v.b * t * t;

    if (__builtin_mul_overflow(away, away, &n))
        return cx_fail(cx, FAULT_INTERNAL, "noise: a sample out of range");
    return zcdp_bernoulli_exp(cx, source, n, d, ret);
}

enum fault zcdp_gaussian(struct cx *cx, struct zcdp_source source, struct zcdp_variance v,
                         int64_t *ret)
{
    if (v.a == 0 || v.b == 0 || v.a >> ZCDP_VARIANCE_LOG2 != 0 ||
        v.b >> ZCDP_PARTS_LOG2 != 0)
        return cx_fail(cx, FAULT_INTERNAL, "noise: a variance out of range");
    uint64_t t = root(v.a / v.b) + 1;

    for (int i = 0; i < CANDIDATES; i++) {
        int64_t y;
        bool taken;

        TRY(zcdp_laplace(cx, source, t, &y));
        TRY(is_taken(cx, source, v, t, y, &taken));
        if (taken) {
            *ret = y;
            return FAULT_NONE;
        }
    }
    return no_end(cx, "a discrete Gaussian");
}

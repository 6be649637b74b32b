/*
 * zcdp.h - noise by policy: exact discrete Gaussians and what they cost, in integers.
 *
 *   source   random bytes: a stream under a key of its own for each draw
 *   sample   uniform, Bernoulli(exp(-x)), discrete Laplace, discrete Gaussian
 *   plan     how much noise each number of a measure needs, from its public bounds
 *   add      this site's share, into its own tally, before masks
 *
 * Neither here nor in what these files call for themselves is there a floating-point
 * number: they are compiled for general registers only, and tests/arch looks at what came
 * of it (Mironov 2012: the low bits of a rounded sample tell what it was added to).
 *
 * A patient who comes or goes moves the number i by at most s_i. Noise of variance
 * s_i^2 K / (2 rho), for K numbers that one patient touches, makes the whole round
 * rho-zCDP; rounds add up (Bun and Steinke 2016; sampler: Canonne, Kamath, Steinke 2020;
 * shares of several sites: Kairouz, Liu, Steinke 2021).
 *
 * Not promised: constant time. How long a sample takes depends on the coins that it threw,
 * not on what it is added to.
 */
#pragma once

#include "analyses/measure.h"

typedef unsigned __int128 zcdp_wide;

/* ---- source ---- */

/* The first n bytes (at most 16) of what comes next. */
struct zcdp_source {
    void (*draw)(void *user, uint8_t *ret, size_t n);
    void *user;
};

enum { ZCDP_SEED_BYTES = 32, ZCDP_STREAM_BYTES = 1024 };

struct zcdp_stream { /* ChaCha20 under a seed that nothing else uses; secret */
    uint8_t seed[ZCDP_SEED_BYTES];
    uint64_t block;
    size_t used;
    uint8_t bytes[ZCDP_STREAM_BYTES];
};
void zcdp_stream_open(struct zcdp_stream *s, const uint8_t seed[ZCDP_SEED_BYTES]);
void zcdp_stream_wipe(struct zcdp_stream *s);
struct zcdp_source zcdp_stream_source(struct zcdp_stream *s);

/* ---- sample ---- */

enum {
    ZCDP_VARIANCE_LOG2 = 50, /* numerator of a variance stays below 2^50 */
    ZCDP_PARTS_LOG2 = 16     /* its denominator below 2^16 */
};

struct zcdp_variance { /* a / b, both above 0 */
    uint64_t a, b;
};

/* All: FAULT_INTERNAL when a loop ends that chance lets end once in 2^90 samples, or for
 * arguments out of range. */
/* 0 .. m - 1 alike; m from 1. */
CHECKED enum fault zcdp_uniform(struct cx *cx, struct zcdp_source source, zcdp_wide m,
                                zcdp_wide *ret);
/* True with probability exp(-n/d); d above 0, below 2^114. */
CHECKED enum fault zcdp_bernoulli_exp(struct cx *cx, struct zcdp_source source, zcdp_wide n,
                                      zcdp_wide d, bool *ret);
/* Proportional to exp(-|y| / t); t from 1, below 2^32. */
CHECKED enum fault zcdp_laplace(struct cx *cx, struct zcdp_source source, uint64_t t,
                                int64_t *ret);
/* Proportional to exp(-y^2 / (2 variance)). */
CHECKED enum fault zcdp_gaussian(struct cx *cx, struct zcdp_source source,
                                 struct zcdp_variance variance, int64_t *ret);

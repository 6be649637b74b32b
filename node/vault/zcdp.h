/*
 * zcdp.h - noise by policy: exact discrete Gaussians and what they cost, in integers.
 *
 *   source   random bytes: a stream under a key of its own for each draw
 *   sample   uniform, Bernoulli(exp(-x)), discrete Laplace, discrete Gaussian
 *   plan     how much noise each number of a measure needs, from its public bounds
 *   add      this site's share, into its own tally, before masks
 *   budget   what was spent, in whole parts of rho, durable and never given back
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

#include <sqlite3.h>

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

/* ---- plan ---- */

enum { ZCDP_FAMILIES_MAX = 8192, ZCDP_ROWS_MAX = 1000 };

struct zcdp_terms {
    uint64_t rho;    /* of this round, over 2^32; above 0 */
    unsigned honest; /* shares that nobody who looks can take away; above 0 */
};

struct zcdp_number { /* in units of quanta * 2^shift */
    unsigned shift;
    uint64_t variance; /* of one site's share; 0: the number is zero whoever is there */
};

struct zcdp_block {
    struct zcdp_number count; /* patients of each cell */
    struct zcdp_number *sums; /* n_numbers */
};

struct zcdp_plan {
    size_t n_blocks, families; /* families: K */
    struct zcdp_block *blocks;
};

/* How much noise this measure needs. Of a patient its rows_max rows count; 0, which is all
 * of them, for one count without keys alone. FAULT_INVALID: more than there is room for, or
 * numbers whose bounds would need it (a gram is not taken: sums alone). */
CHECKED enum fault zcdp_plan_make(struct cx *cx, const struct measure *m,
                                  const struct zcdp_terms *terms, struct zcdp_plan *ret);
/* This site's share, into its own tally of that measure. Rows are not told beside patients:
 * they become 0, and so do the patients of blocks that are not counted. */
CHECKED enum fault zcdp_add(struct cx *cx, const struct zcdp_plan *plan,
                            const struct measure *m, struct zcdp_source source,
                            struct tally *t);

/* floor(x * 2^32) of a number of IEEE 754 bits, between 0 and 2^32 times 4. */
uint64_t zcdp_fixed(uint64_t bits);

/* ---- budget ---- */

/* One rho is this many; sums saturate. */
#define ZCDP_ONE ((uint64_t)1 << 32)

struct zcdp_limits { /* of the session's policy; rho 0: the question costs nothing */
    uint64_t rho, dataset, permit, researcher;
};

struct zcdp_payer {
    const char *name_space; /* of patients: all versions and datasets of it together */
    const uint8_t *permit, *researcher; /* 16 and 32 bytes */
};

struct zcdp_spent {
    uint64_t dataset, permit, researcher;
    uint64_t own; /* of dataset: this researcher's */
};

CHECKED enum fault zcdp_spent(struct cx *cx, sqlite3 *sql, const struct zcdp_payer *payer,
                              struct zcdp_spent *ret);
/* FAULT_REFUSED where rho more is too much for one of the limits; says for which. */
CHECKED enum fault zcdp_room(struct cx *cx, sqlite3 *sql, const struct zcdp_payer *payer,
                             const struct zcdp_limits *limits, uint64_t rho);
/* Charges a question once, whoever asks it again. */
CHECKED enum fault zcdp_charge(struct cx *cx, sqlite3 *sql, const struct zcdp_payer *payer,
                               const struct zcdp_limits *limits,
                               const uint8_t question[32]);
/* The draw of a round, named by its seed's digest: the first of a round is in the
 * question's charge, the same again is free (it is the same noise), and any other is one
 * more release of this round, charged with rho. */
CHECKED enum fault zcdp_draw(struct cx *cx, sqlite3 *sql, const struct zcdp_payer *payer,
                             const struct zcdp_limits *limits, const uint8_t question[32],
                             uint32_t round, const uint8_t draw[32], uint64_t rho);

struct zcdp_line {
    char who[72]; /* a namespace, or a permit's or researcher's id in hex */
    uint64_t rho, questions;
};
enum zcdp_by { ZCDP_BY_DATASET, ZCDP_BY_PERMIT, ZCDP_BY_RESEARCHER };
/* Most spent first; at most max of them. */
CHECKED enum fault zcdp_lines(struct cx *cx, sqlite3 *sql, enum zcdp_by by, size_t max,
                              struct zcdp_line **ret, size_t *ret_n);
/* "0.0100": four places, up or down; up for what was spent, down for what is left. */
const char *zcdp_text(struct cx *cx, uint64_t rho, bool up);

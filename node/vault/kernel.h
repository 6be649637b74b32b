/*
 * kernel.h - the engine's inner loops: what is done to 256 rows at a time.
 *
 * Two sources, built for several processors: kernel_eval.c (expressions) for each,
 * kernel_wide.c (exact sums in two words of doubles) for those with fused multiply-add;
 * kernel_exact.c (the same sums in 128-bit integers) for the others, and wherever two words
 * do not reach. All give the same bits: expressions use only operations that IEEE 754
 * defines to the last bit, without contraction (lgamma and the probit link call the
 * mathematical library), and sums are integers.
 *
 * Vectors are 256 doubles, 64-byte aligned, KERNEL_STRIDE apart so that neighbours do not
 * share cache sets.
 */
#pragma once

#include "analyses/measure.h"

enum {
    KERNEL_ROWS = 256,
    KERNEL_STRIDE = KERNEL_ROWS + 8,
    KERNEL_WORDS = KERNEL_ROWS / 64
};
enum { TILE_MAX = 12, LANES_MAX = 8 };

/* ---- expressions ---- */

enum step_op {
    STEP_NODE, /* the measure's own operation `op` */
    STEP_U8,
    STEP_U16,
    STEP_I32,
    STEP_F64,
    STEP_VALID,
    STEP_AND,   /* of 0 and 1 only */
    STEP_OR,    /* of 0 and 1 only */
    STEP_TIMES, /* out = a * b + c, rounded twice */
    STEP_LOGIT  /* out, b, c = eta clamped, e = exp(-|eta|), 1 / (1 + e) */
};

struct step {
    enum step_op step;
    const struct measure_node *node;
    double *out, *b_out, *c_out; /* the last two: STEP_LOGIT */
    const double *a, *b, *c;
    const void *source; /* column's values, or validity words */
};

/* ---- sums ---- */

/* One number of a block: terms are floored to 2^-scale. */
struct number {
    int scale, split;             /* the high word counts 2^(split - scale) */
    double start_high, start_low; /* where the accumulators begin (kernel_wide.c) */
    ufixed total;
};

/* Products of `rows` neighbouring vectors from x with `columns` neighbouring vectors from
 * y. */
struct tile {
    const double *x, *y;
    int rows, columns;
    struct number *numbers[TILE_MAX]; /* row-major; NULL: not wanted */
    double *lanes;                    /* 2 * TILE_MAX * LANES_MAX, 64-byte aligned */
};

/* One number of a block with many cells, and its sums by cell. */
struct keyed {
    const double *x, *y;
    const struct number *number;
};
union cell_sum {
    struct {
        int64_t high, low;
    } words;
    ufixed total;
};

struct sum_kernel {
    int tile_rows, tile_columns, wide_columns; /* shapes: rows x columns, and 1 x wide */
    unsigned drain_blocks;                     /* row blocks between two drains at most */
    bool two_words;
    void (*begin)(struct tile *tiles, size_t n);
    void (*add)(struct tile *tiles, size_t n);
    void (*drain)(struct tile *tiles, size_t n); /* into the numbers' totals; begins anew */
    void (*add_keyed)(const struct keyed *terms, size_t n, const uint32_t *cells,
                      union cell_sum *sums); /* sums[cell * n + term] */
};
/* Drains of keyed sums: at most so many row blocks apart. */
enum { KEYED_DRAIN_BLOCKS = 512 };

struct kernel {
    const char *name;
    void (*eval)(const struct step *steps, size_t n, uint64_t first, size_t rows);
    /* mask: all ones where `where` is not 0 and the row is one of `rows`; returns how many.
     */
    size_t (*mask)(const double *where, size_t rows, uint64_t *mask, uint64_t *words);
    /* out = v where mask, else 0; false if a kept value is not within lower <= 0 <= upper.
     */
    bool (*keep)(const double *v, const uint64_t *mask, double lower, double upper,
                 double *out);
    void (*times)(const double *a, const double *b, double *out);
    /* cell += key * stride in 0 .. cells-1; rows outside the mask get `cells`. */
    void (*cell)(const double *const *keys, const uint32_t *strides, size_t n,
                 const uint64_t *mask, uint32_t cells, uint32_t *out);
    const struct sum_kernel *sums;
};

extern const struct sum_kernel sum_kernel_exact;
/* The kernel in use (engine_kernel() names it); `name` NULL: the best of this processor. */
const struct kernel *kernel_find(const char *name);

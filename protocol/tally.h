/*
 * tally.h - the sums that come back, and their arithmetic.
 *
 * Counts live in Z_2^64, sums in Z_2^128 as two's complement fixed point: value * 2^scale.
 * Addition is exact and order-free, so masks cancel exactly and the order of sites cannot
 * matter. Scales come from public bounds only (SUMS.md section 4): with rows < 2^rows_log2 and
 * |term| <= bound, scale = 126 - rows_log2 - ceil(log2 bound), so that no sum can wrap.
 */
#pragma once

#include "protocol/base/bytes.h"

typedef __int128 fixed;          /* value * 2^scale */
typedef unsigned __int128 ufixed;

enum { TALLY_WORDS_MAX = 1 << 20 }; /* counts + sums of one round */

struct tally {
    size_t n_counts, n_sums;
    uint64_t *counts;
    ufixed *sums;
};

CHECKED enum fault tally_new(struct cx *cx, size_t n_counts, size_t n_sums,
                             struct tally **ret);
/* a += b, element by element, wrapping. Shapes must agree (FAULT_CONFLICT). */
CHECKED enum fault tally_add(struct cx *cx, struct tally *a, const struct tally *b);
CHECKED enum fault tally_pack(struct cx *cx, const struct tally *t, uint32_t round,
                              struct bytes *ret_masked_tally);
/* A chain over tallies: of the one before, then of this one's shape and numbers. It says by trying
 * what is in them, so it goes nowhere that they may not go. */
void tally_chain(uint8_t chain[32], const struct tally *t);
/* Shape is the expected one or FAULT_FORMAT. */
CHECKED enum fault tally_unpack(struct cx *cx, struct bytes masked_tally, uint32_t round,
                                size_t n_counts, size_t n_sums, struct tally **ret);

/* Fraction bits for a bound (finite, > 0). May be negative. */
int tally_scale(double bound, unsigned rows_log2);
/* Double-double of a sum: hi + lo, |lo| <= ulp(hi)/2. */
struct dd {
    double hi, lo;
};
struct dd tally_value(ufixed sum, int scale);

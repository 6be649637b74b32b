/* gate_cellkey.h - counts by the key of their patients: cell-key errors and random
 * rounding.
 */
#pragma once

#include "protocol/base/bytes.h"

enum { CELLKEY_D_MAX = 10, CELLKEY_JS_MAX = 5 };

struct cellkey { /* a table of errors: for each count, which keys give which */
    int d;
    size_t rows;     /* counts from 0; larger ones have the last row's */
    uint64_t *upper; /* rows by 2 d + 1: the first key that gives a larger error */
};

/* d: largest error; variance: of the error; js: nothing from 1 to js comes out. */
CHECKED enum fault cellkey_new(struct cx *cx, int d, double variance, int js,
                               struct cellkey **ret);
/* The count with its error; zero stays zero. */
uint64_t cellkey_count(const struct cellkey *n, uint64_t count, uint64_t key);
/* Up or down to a multiple of base, right on average over keys; a multiple stays. */
uint64_t cellkey_random(uint64_t count, uint64_t base, uint64_t key);

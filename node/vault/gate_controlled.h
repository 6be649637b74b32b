/* gate_controlled.h - controlled rounding of tables. */
#pragma once

#include "protocol/base/bytes.h"

/* values: rows by columns of whole numbers. free: rows + 1 by columns + 1, totals last:
 * what is withheld; its value changes nothing of the others. *ret: in the same order,
 * multiples of the base (at least 2), each but the free ones less than the base off, that
 * add up. */
CHECKED enum fault controlled_round(struct cx *cx, size_t rows, size_t columns,
                                    const double *values, const bool *free, uint64_t base,
                                    double **ret);

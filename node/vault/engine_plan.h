/*
 * engine_plan.h - a measure's expressions as steps over vectors of 256 rows.
 *
 * Each node that an output needs is computed once a row block; vectors are reused after the
 * last step that reads them. Constants are filled once.
 */
#pragma once

#include "node/vault/dataset.h"
#include "node/vault/kernel.h"

struct plan {
    const struct kernel *kernel;
    size_t n_steps;
    struct step *steps;
    double **slots; /* by node; those of outputs hold their values after eval */
};

CHECKED enum fault plan_make(struct cx *cx, const struct kernel *kernel,
                             const struct dataset *data, const struct measure *measure,
                             const ref *outputs, size_t n_outputs, struct plan *ret);
/* n zeroed vectors, 64-byte aligned, KERNEL_STRIDE doubles apart; NULL without memory. */
double *plan_vectors(struct cx *cx, size_t n);

/* Scale, split and starts of a number; false where only kernel_exact.c can hold it. */
bool number_make(double bound, int scale, struct number *ret);

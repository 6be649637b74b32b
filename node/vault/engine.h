/*
 * engine.h - the one place that reads rows: evaluates a closed measure over a dataset.
 *
 * Every row's term is rounded once to the number's public quantum (towards minus infinity), then
 * everything is integer addition: the same sums for any split, order, thread count or processor.
 * A term that is not finite or beyond its public bound is FAULT_NUMERIC before anything is
 * sent. Rows of patients who withdrew are in nothing. Distinct patients are counted per cell; rows of a patient are neighbours. A measure with
 * keys wants dataset_make_keys before.
 */
#pragma once

#include "analyses/measure.h"
#include "analyses/regions.h"
#include "node/vault/dataset.h"

struct guard_seen {
    enum guard_rule rule;
    size_t block, cell;
    double largest;            /* the largest patient's total of the guard's expression */
};

struct site_sums { /* private: only the gate may look at guards or pack the tally */
    struct tally *tally;
    size_t n_guards;
    struct guard_seen *guards; /* guards x cells, in block order */
};

CHECKED enum fault engine_run(struct cx *cx, const struct dataset *data,
                              const struct measure *measure, struct site_sums *ret);

/* Distinct patients in each region, and in the whole namespace of this version. bitmaps: NULL,
 * or n arrays of (patients + 63) / 64 words that receive the patient sets. */
CHECKED enum fault engine_regions(struct cx *cx, const struct dataset *data,
                                  const struct regions *regions, uint64_t *ret_sizes,
                                  uint64_t *ret_population, uint64_t **bitmaps);
/* A numeric variable by patient, as a fraction of its codebook's bounds: 0 to 65535, the mean
 * of the patient's rows; 0 where it is missing. */
CHECKED enum fault engine_fractions(struct cx *cx, const struct dataset *data, int variable,
                                    uint16_t *ret);
/* Which kernel this processor runs: "avx512", "avx2", "portable". COHORTIUM_KERNEL overrides. */
const char *engine_kernel(void);

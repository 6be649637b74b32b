/*
 * engine_block.h - one block of a measure: its kept rows, cells, counts, sums and guards.
 */
#pragma once

#include "node/vault/engine.h"
#include "node/vault/engine_plan.h"

struct work; /* a block's state during a scan */

/* scratch: at least work_scratch(block) vectors, which blocks may share. */
size_t work_scratch(const struct block *b);
CHECKED enum fault work_new(struct cx *cx, const struct plan *plan,
                            const struct dataset *data, const struct measure *measure,
                            const struct block *b, double *scratch, struct tally *tally,
                            struct work **ret);
/* The row block at `first` has been evaluated; adds it. */
CHECKED enum fault work_add(struct cx *cx, struct work *w, uint64_t first, size_t rows);
/* Puts counts and sums into the tally and guards x cells into seen. */
void work_finish(struct work *w, size_t block, struct guard_seen *seen);

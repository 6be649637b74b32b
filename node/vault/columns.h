/*
 * columns.h - the columns (leverage.h) that a question's regions add: everybody where a cell
 * rests on the whole namespace, then each region, each followed by the numeric
 * quasi-identifiers that are summed over it. Regions
 * that the question cannot do without come before those of cells that may be withheld, for
 * what comes first is borne first.
 */
#pragma once

#include "node/vault/memory.h"
#include "node/vault/vault.h"

struct columns {
    size_t n, each; /* each: of a region */
    size_t *order;  /* regions as their columns stand */
    struct leverage_column *list;
};

/* Of how many columns; the same at every site, without data. */
size_t columns_count(const struct opened *o);
/* bitmaps: of o->regions, by the dataset's own ordinals. */
CHECKED enum fault columns_make(struct cx *cx, const struct opened *o, struct memory *m,
                                uint64_t lease, uint64_t *const *bitmaps,
                                struct columns *ret);
/* Everybody's, and those of the regions that are `in`. */
CHECKED enum fault columns_of(struct cx *cx, const struct opened *o,
                              const struct columns *columns, const bool *in, bool **ret);
/* in[i] is false afterwards of each region one of whose columns is not kept. *ret_everybody:
 * whether those of everybody are. */
void columns_judged(const struct opened *o, const struct columns *columns, const bool *kept,
                    bool *in, bool *ret_everybody);
/* By place of a result (gate_places), what lost regions take; NULL: nothing. *ret_why: what
 * is lost cannot be withheld alone. in: regions that stand, or were too small (R1). */
CHECKED enum fault columns_places(struct cx *cx, const struct opened *o,
                                  const struct result *result, const bool *in, bool **ret,
                                  const char **ret_why);

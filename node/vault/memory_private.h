/* memory_private.h - what memory.c and memory_store.c share. */
#pragma once

#include "node/vault/memory.h"

struct person {
    uint8_t hash[16];
    uint32_t place;
};

struct memory {
    struct memory *next; /* malloc memory */
    char *name_space, *dataset;

    pthread_mutex_t lock; /* of what follows; after `work` */
    uint64_t lease, leases;
    uint8_t request[32]; /* whose lease it is */
    int64_t leased_ms;
    bool entering; /* columns are in memory and not yet written: the lease stays */
    bool settled, alone;
    size_t n_members;
    uint8_t (*members)[32];
    uint64_t confirmed, stored; /* columns */
    uint8_t (*heads)[32];       /* stored + 1: over none, one, two ... of them */

    pthread_mutex_t work; /* of what follows */
    struct leverage *l;   /* NULL: not read */
    struct meaning {
        uint8_t *p;
        size_t n;
    } *meanings; /* of the columns that were read; room for LEVERAGE_RANK_MAX */
    uint64_t people_n, people_stored, people_room;
    struct person *people; /* by place */
    bool mapped;
    uint8_t version[16]; /* whose patients `places` has */
    uint32_t *places;
};

/* memory_meaning.c: what leverage_logic asks. */
struct judging {
    struct cx *cx;
    struct memory *m;
    const struct codebook *cb;
    const struct leverage_column *columns; /* the new ones */
    uint64_t budget;
};
CHECKED enum fault memory_follows(void *user, size_t column, const double *c, size_t n,
                                  const size_t *joined, size_t n_joined, bool *ret);

enum { MEMORY_COLUMN_BYTES_MAX = 512 * 1024 * 1024 };

/* memory_store.c. The circle, the heads and the people; not the columns. */
CHECKED enum fault memory_read(struct cx *cx, sqlite3 *sql, struct memory *m);
/* The first n columns into m->l, which is new. */
CHECKED enum fault memory_read_columns(struct cx *cx, sqlite3 *sql, struct memory *m,
                                       uint64_t n);
/* What column `place` is of, copied; and all from `first` on forgotten. */
CHECKED enum fault memory_keep_meaning(struct cx *cx, struct memory *m, size_t place,
                                       struct bytes meaning);
void memory_drop_meanings(struct memory *m, size_t first);
/* head := over before and one column more, by its products. */
void memory_chain(const uint8_t before[32], const uint64_t *products, size_t n,
                  uint8_t ret[32]);
CHECKED enum fault memory_pack_products(struct cx *cx, const uint64_t *products, size_t n,
                                        struct bytes *ret);
CHECKED enum fault memory_pack_column(struct cx *cx, struct leverage_column c,
                                      uint64_t patients, struct bytes *ret);

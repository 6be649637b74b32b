/*
 * memory.h - what was released of one dataset's patients, and the judgement of what is new.
 *
 * The columns that released numbers rest on (leverage.h), over every patient that a version
 * of this dataset has had here: a version's patients get places that stay theirs, so that
 * an answer from old rows and one from new rows are two columns, and their difference is
 * judged like any other.
 *
 * Sites that are always asked together judge together, by pooled products: their circle. It
 * is settled with the first entry; from then on a question of this dataset names all of
 * them or none. A site whose numbers may be told apart from the others' (answers by site,
 * all_other_members) judges alone, by its own products.
 *
 * Of a circle's sites all hold the same columns in the same order. One question at a time
 * goes from ACCEPT to its entry (the lease); each site writes before its first vector after
 * the verdict, and no sum can be told without all these vectors. So columns that not every
 * site has written were never seen by anybody, and are dropped; `confirmed` are those that
 * a site knows to be everywhere.
 */
#pragma once

#include <pthread.h>

#include "analyses/ast.h"
#include "node/vault/dataset.h"
#include "node/vault/db.h"
#include "node/vault/leverage.h"

enum {
    CIRCLE_MIN = 3, /* as masks need */
    MEMORY_LEASE_MS = 20 * 1000
};

struct memory;

/* All of a vault's; by namespace and dataset. */
struct memories {
    pthread_mutex_t lock;
    struct memory *list;
};

/* The one of this dataset, read from the database where it was not yet; db NULL: a blank
 * one, of which nothing is ever read or written (simulate.h). It stays until memories_free.
 */
CHECKED enum fault memory_open(struct cx *cx, struct memories *all, struct db *db,
                               const struct codebook *cb, struct memory **ret);
/* The same by its names, also of a dataset that was dropped. */
CHECKED enum fault memory_open_named(struct cx *cx, struct memories *all, struct db *db,
                                     const char *name_space, const char *dataset,
                                     struct memory **ret);
void memories_free(struct memories *all);

/* What a preflight says. alone: this site's policy has its numbers told apart. */
CHECKED enum fault memory_claim(struct cx *cx, struct memory *m, bool alone,
                                Cohortium__Memory *ret);
/* Whether claim is what memory_claim would say now. */
CHECKED enum fault memory_still(struct cx *cx, struct memory *m, bool alone,
                                const Cohortium__Memory *claim, bool *ret);

/* request: its digest; one that is begun again takes over from itself. FAULT_BUSY: after so
 * long another question still is between its ACCEPT and its entry. *ret: never 0. */
CHECKED enum fault memory_lease(struct cx *cx, struct memory *m, const uint8_t request[32],
                                int64_t wait_ms, uint64_t *ret);
/* Of one that is not held any more: nothing happens. */
void memory_leave(struct memory *m, uint64_t lease);

/* ---- with a lease; FAULT_BUSY: it went to another, this one took too long ---- */

/* Back to the first n columns, whose head must be this (FAULT_CONFLICT). */
CHECKED enum fault memory_go_back(struct cx *cx, struct memory *m, struct db *db,
                                  uint64_t lease, uint64_t n, const uint8_t head[32]);
/* Places of the dataset's patients. *ret_patients: of all places. */
CHECKED enum fault memory_places(struct cx *cx, struct memory *m, uint64_t lease,
                                 const struct dataset *data, const uint32_t **ret,
                                 uint64_t *ret_patients);
CHECKED enum fault memory_products(struct cx *cx, struct memory *m, uint64_t lease,
                                   const struct leverage_column *columns, size_t n,
                                   uint64_t *ret);
/* Of what a column is: a set, or a variable (name; "" for none) over it. */
CHECKED enum fault memory_meaning(struct cx *cx, const struct codebook *cb,
                                  const struct ast *set, const char *variable,
                                  struct bytes *ret);
/* cb: of the dataset, by which meanings are read. */
CHECKED enum fault memory_judge(struct cx *cx, struct memory *m, uint64_t lease,
                                const struct codebook *cb,
                                const struct leverage_column *columns, size_t n,
                                const uint64_t *pooled, double limit, bool *kept);

/* What enters: the columns that `take` names, forced (they were judged). */
struct memory_entry {
    struct memory *memory;
    uint64_t lease;
    size_t n_members; /* of the circle, sorted; none: alone */
    const uint8_t (*members)[32];
    struct bytes permit; /* under which it was asked; for memory_use */
    /* filled by memory_enter */
    uint64_t before, after; /* columns */
    bool changes;           /* what is stored */
    bool parts;             /* alone from now on, whatever the circle was */
    uint8_t head[32];
    uint8_t (*heads)[32]; /* over each that joined */
};
/* Into memory; then memory_write as a part of a write; then memory_written, with what
 * became of it. The lease ends there, or here with a fault. */
CHECKED enum fault memory_enter(struct cx *cx, struct memory_entry *e,
                                const struct leverage_column *columns, size_t n,
                                const uint64_t *pooled, const bool *take);
CHECKED enum fault memory_write(struct cx *cx, sqlite3 *sql, const struct memory_entry *e);
void memory_written(const struct memory_entry *e, bool stands);
/* Out of its circle, one of whom is gone: all columns, judged by this site's own products from
 * now on. With `work` in one transaction. The lease ends. */
CHECKED enum fault memory_part(struct cx *cx, struct memory *m, struct db *db, uint64_t lease,
                               db_work *work, void *user);
/* Who it is settled with, sorted; none: nobody. In cx. */
CHECKED enum fault memory_circle(struct cx *cx, struct memory *m, uint8_t (**ret)[32],
                                 size_t *ret_n);
/* Every site of the circle has written: it saw all of their vectors. */
void memory_confirm(struct memory *m, uint64_t n, const uint8_t head[32]);

/* Whether anything was released of this dataset. */
bool memory_is_settled(struct memory *m);
/* How many columns, and the head over them. */
uint64_t memory_length(struct memory *m, uint8_t ret_head[32]);
/* The highest leverage of a patient here, 0 to 1; never who. */
CHECKED enum fault memory_highest(struct cx *cx, struct memory *m, struct db *db,
                                  double *ret);

/* ---- memory_use.c: how much is held, for officers ---- */

struct memory_name {
    const char *name_space, *dataset;
};
/* All that something was released of, in cx. */
CHECKED enum fault memory_names(struct cx *cx, sqlite3 *sql, struct memory_name **ret,
                                size_t *ret_n);
struct memory_share {
    bool known; /* false: columns from before permits were noted */
    uint8_t permit[16];
    uint64_t columns; /* that questions of this permit brought */
};
struct memory_use {
    size_t n_members; /* of the circle; none: alone */
    uint8_t (*members)[32];
    uint64_t people;  /* patients here, over all versions */
    uint64_t largest; /* patients of the largest set, of all sites that judge together */
    uint64_t columns;
    size_t n_shares; /* the largest first */
    struct memory_share *shares;
};
CHECKED enum fault memory_use(struct cx *cx, sqlite3 *sql, const struct memory_name *name,
                              struct memory_use *ret);
/* Cut to two digits. */
uint64_t memory_about(uint64_t patients);
/* Columns that so many patients bear, none of them more than `limit`. */
uint64_t memory_capacity(uint64_t patients, double limit);

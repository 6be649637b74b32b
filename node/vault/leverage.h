/*
 * leverage.h - how much of everything that was released rests on one patient
 * (DISCLOSURE.md 0.4 and 3.4).
 *
 * Every released number is a sum over a patient set, or over a quasi-identifier's value in
 * one. These sets and values are the columns of a matrix Z whose rows are the patients of a
 * group of sites. Whatever linear combination of answers somebody forms, the largest share
 * of its squared weight that can fall on patient i is the leverage
 *
 *     h_i = z_i' (Z'Z)^+ z_i
 *
 * so that a limit of 2/k on all h_i keeps every combination, differences and trackers of
 * any number of answers included, on the equivalent of k/2 patients or more.
 *
 * Z'Z is pooled: integers, the same at every site of the group. Each site holds the rows of
 * its own patients and judges those. Columns that follow from others change nothing and are
 * not kept: what is held is a basis. All arithmetic on pooled numbers has the same bits on
 * every processor.
 */
#pragma once

#include "protocol/base/bytes.h"
#include "protocol/base/cx.h"

enum { LEVERAGE_RANK_MAX = 8192 };

struct leverage; /* malloc memory */

/* One column over this site's own patients: a patient set, or values. */
struct leverage_column {
    const uint64_t *set;    /* (patients + 63) / 64 words, no bit beyond; or NULL: */
    const uint16_t *values; /* by patient, 0 to 65535 for the codebook's bounds */
    struct bytes meaning;   /* the caller's, see leverage_logic */
};

/*
 * What follows from the basis among these patients follows by meaning, too, or tells that
 * somebody is not there: a group that adds one person to another one is not borne, so neither
 * may one that adds nobody be.
 *
 * column: which of the new ones. It is the sum of c[k] times column k of the basis; the last
 * n_joined of these n are the new columns `joined`.
 */
struct leverage_logic {
    enum fault (*follows)(void *user, size_t column, const double *c, size_t n,
                          const size_t *joined, size_t n_joined, bool *ret);
    void *user;
};

CHECKED enum fault leverage_new(struct cx *cx, uint64_t patients, struct leverage **ret);
void leverage_free(struct leverage **l);
#define AUTO_LEVERAGE __attribute__((cleanup(leverage_free)))

/* More patients, whom no column so far holds. */
CHECKED enum fault leverage_grow(struct cx *cx, struct leverage *l, uint64_t patients);
size_t leverage_rank(const struct leverage *l);
uint64_t leverage_patients(const struct leverage *l);
/* The highest leverage of one of this site's patients, 0 to 1. Never who. */
double leverage_highest(const struct leverage *l);
/* By patient; to be stored with the basis. */
const double *leverage_by_patient(const struct leverage *l);

/* Numbers of leverage_products for n new columns: each with the basis, then with the new
 * ones before it and with itself. SIZE_MAX: too many. */
size_t leverage_products_size(const struct leverage *l, size_t n);
/* This site's share of them; the group's sites add theirs up. */
CHECKED enum fault leverage_products(struct cx *cx, const struct leverage *l,
                                     const struct leverage_column *columns, size_t n,
                                     uint64_t *ret);

/* Which of the new columns this site's patients can bear, taken in turn: kept[i] on entry:
 * to be judged; after it: it may enter, after the kept ones before it. A subset of the kept
 * ones is no worse. pooled: all sites' products. logic: NULL: whatever follows is kept.
 * Changes nothing else. */
CHECKED enum fault leverage_judge(struct cx *cx, struct leverage *l,
                                  const struct leverage_column *columns, size_t n,
                                  const uint64_t *pooled, double limit,
                                  const struct leverage_logic *logic, bool *kept);
/* Adds those that `take` names, whatever they do to the leverages (judged before).
 * ret_basis[i]: it does not follow from those before it. FAULT_BOUND: the basis is full. */
CHECKED enum fault leverage_add(struct cx *cx, struct leverage *l,
                                const struct leverage_column *columns, size_t n,
                                const uint64_t *pooled, const bool *take, bool *ret_basis);

/* What is to be stored of basis column i: its own rows, and its pooled products with those
 * before it and itself (i + 1 numbers). All of them, one after the other, are what
 * leverage_add takes into an empty one. */
struct leverage_column leverage_at(const struct leverage *l, size_t i);
const uint64_t *leverage_gram(const struct leverage *l, size_t i);

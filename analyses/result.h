/*
 * result.h - what finish hands to the gate: named arrays, each with how it may be blurred and
 * how many patients stand behind each value.
 */
#pragma once

#include "analyses/shape.h"
#include "protocol/base/bytes.h"
#include "protocol/cohortium.pb-c.h"

enum { RESULT_ITEMS_MAX = 256 };

struct item {
    const char *name;
    Cohortium__ItemKind kind;
    size_t rows, columns;      /* values: row-major; a vector has columns = 1 */
    double *values;            /* NaN: not defined */
    const char **words;        /* kind WORDS */
    uint64_t *support;         /* distinct patients behind each value (R1); NULL: structural */
    double *steps;             /* MEANS: (upper - lower) of the bounds; ESTIMATES: its SE */
    bool sensitive_rows;       /* COUNTS tables, R3: the row variable is sensitive */
    bool sensitive_columns;
    struct shape shape;        /* COUNTS of more than two variables (n_dims > 0): rows is
                                  the first's levels, columns the others' together */
    bool sensitive[SHAPE_DIMS_MAX];
    uint64_t *keys;            /* COUNTS: of each value's patients (pooled_key); NULL: none */
    uint64_t *patients;        /* COUNTS: patients of each cell; NULL: support */
    size_t totals_at;          /* item of its totals, in the order of the shape; 0: none */
    const size_t *cells;       /* of a plan whose cells stand alone: whose each value is */
};

/* R22: how many rows of a cohort or group were used, and how many fell out for missing values. */
struct accounting {
    const char *name_used, *name_missing; /* names of the items that come of it */
    size_t n;                  /* groups */
    uint64_t *all, *used, *missing;               /* rows */
    uint64_t *all_patients, *used_patients, *missing_patients;
    uint64_t *all_keys, *used_keys, *missing_keys; /* of the patients; NULL: none */
    const size_t *cells;       /* as of an item */
};

struct result {
    struct cx *cx;
    size_t n_items;
    struct item items[RESULT_ITEMS_MAX];
    bool has_accounting;
    struct accounting accounting;
    /* Models, for R6 and R7: */
    bool is_model;
    uint64_t model_rows, model_patients;
    size_t parameters;
    double residual_df;
    /* Named only where every cell of the model holds at least k, else NOT_RELEASED: */
    const char *trouble;       /* "no finite estimate: ..." or NULL */
    size_t n_notes;
    const char *notes[16];     /* of question, codebook and pooled sums: the same everywhere */
    uint64_t smallest_cell;    /* patients in the smallest cell of the model */
};

CHECKED enum fault result_new(struct cx *cx, struct result **ret);
/* Adds an item; values and support (may be NULL) are copied. NULL without memory. */
struct item *result_put(struct result *r, const char *name, Cohortium__ItemKind kind,
                        size_t rows, size_t columns, const double *values,
                        const uint64_t *support);
struct item *result_words(struct result *r, const char *name, const char *const *words,
                          size_t n);
void result_note(struct result *r, const char *text); /* not copied */

/* Reading a released Result. */
const Cohortium__Item *released_item(const Cohortium__Result *r, const char *name);
/* NaN when withheld or not defined; state: 0 given, 1 withheld, 2 not defined, 3 no such item. */
double released_value(const Cohortium__Item *item, size_t i, int *ret_state);

/* draft_private.h - what is learned of a column, and how it is written. */
#pragma once

#include "node/data/draft.h"
#include "node/data/words.h"

enum { DRAFT_DISTINCT_MAX = 500, DRAFT_WORD_BYTES = 200, DRAFT_MISSING_WORDS = 8 };

struct draft_value {
    const char *text;
    uint64_t rows;
};

struct draft_column {
    const char *column;     /* as in the file */
    char name[40];          /* as a variable */
    uint64_t rows, missing; /* all; empty or a word for it */
    uint64_t numbers, wholes, days, bits;
    double lowest, highest; /* of numbers */
    int32_t first, last;    /* of days */
    bool missing_seen[DRAFT_MISSING_WORDS];
    size_t n_values; /* distinct texts; beyond the bound: too_many */
    bool too_many;
    struct draft_value *values;
    struct words places; /* of texts in values */
};

extern const char *const draft_missing_words[DRAFT_MISSING_WORDS];

/* draft_text.c */
CHECKED enum fault draft_write(struct cx *cx, const char *dataset,
                               struct draft_column *columns, size_t n, size_t id,
                               const char **ret);

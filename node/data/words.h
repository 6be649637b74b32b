/*
 * words.h - texts to numbers: levels, recodings and missing codes of one column.
 */
#pragma once

#include "protocol/base/bytes.h"

struct words {
    uint64_t lengths; /* which lengths (63: that or more) occur: most texts miss early */
    size_t n, size;   /* size: a power of two, at most half full */
    struct word *slots;
};

/* Room for n texts. */
CHECKED enum fault words_new(struct cx *cx, size_t n, struct words *ret);
/* False if the text is there already. The text must outlive the table. */
bool words_add(struct words *w, const char *text, size_t n, double value);
bool words_find(const struct words *w, const char *text, size_t n, double *ret);

/*
 * advice.h - what of a question could be asked otherwise, where something is withheld.
 *
 * From the question, the codebook and how many members hold data, and nothing else: what is
 * advised is the same whatever the rows are and whichever rule withheld (DISCLOSURE.md
 * 0.6).
 */
#pragma once

#include "analyses/analysis.h"

enum { ADVICE_MAX = 12 };

/* Why a cell is not given, or an answer is not: the one reason there is. */
extern const char withheld_reason[];

struct advice {
    size_t n;
    const char *lines[ADVICE_MAX]; /* a sentence each, without a full stop */
};

/* asked, plan: as question_open left them. members: that hold data. */
CHECKED enum fault advice_make(struct cx *cx, const struct asked *asked,
                               const struct plan *plan, size_t members, struct advice *ret);

/* describe.h - what describe.c and describe_show.c share. */
#pragma once

#include "analyses/levels.h"

enum { DESCRIBE_VARIABLES_MAX = 20 };

struct described {
    int variable;
    bool numeric; /* integer, real, date: moments by two rounds */
    bool keyed;   /* binary, categorical, ordered: counts by level */
    struct levels levels;
};

struct describe_params {
    size_t n; /* variables */
    size_t n_numeric;
    struct described *list;
    struct levels by; /* "all" without --by */
};

static inline bool is_binary(const struct codebook *cb, const struct described *d)
{
    return codebook_variable(cb, d->variable)->type == COHORTIUM__VAR_TYPE__BINARY;
}

enum fault describe_show(struct cx *cx, const struct asked *asked,
                         const Cohortium__Release *release, struct report *report);

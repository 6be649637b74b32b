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

struct cell { /* one variable in one group */
    uint64_t used_rows, used_patients, missing_rows, missing_patients;
    uint64_t used_key, missing_key;
    struct dd sum, squares;          /* of x; of x - m */
    double sum_error, squares_error; /* at most so far off, by their quanta */
};

struct described_state {
    bool keyed;                        /* keys were asked for */
    uint64_t *all_rows, *all_patients; /* groups */
    uint64_t *all_keys;
    struct cell *cells; /* variable * groups + group */
    uint64_t **level_rows, **level_patients,
        **level_keys; /* by variable: level * groups + group, or NULL */
};

enum fault describe_finish(struct cx *cx, const struct asked *asked,
                           const struct state *state, struct result **ret);
enum fault describe_show(struct cx *cx, const struct asked *asked,
                         const Cohortium__Release *release, struct report *report);

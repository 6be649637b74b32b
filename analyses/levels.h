/*
 * levels.h - a variable as group key: its levels, their numbers, their predicates.
 *
 * Keys come from the codebook alone (levels, 0 and 1 of a binary, the whole numbers within
 * the bounds of a short integer), never from data: A24, A25.
 */
#pragma once

#include "analyses/analysis.h"

enum { LEVELS_INTEGER_MAX = 40 };

struct levels {
    int variable; /* -1: none, one level "all" */
    size_t n;
    double first;       /* key of level i is first + i */
    const char **names; /* n */
};

/* Opens `name` as a key; complaints start with `what` ("table", "describe --by"). */
CHECKED enum fault levels_open(struct cx *cx, const struct asked *asked, const char *what,
                               const char *name, struct complaints *c, struct levels *ret);
/* One level that holds everybody. */
CHECKED enum fault levels_all(struct cx *cx, struct levels *ret);
/* Variable's index, or -1 after a complaint that it is unknown or not to be named. */
int levels_variable(struct cx *cx, const struct codebook *cb, const char *what,
                    const char *name, struct complaints *c);
bool levels_offered(const Cohortium__Variable *v);
CHECKED enum fault levels_of(struct cx *cx, const struct codebook *cb, int variable,
                             struct levels *ret);
/* 0 .. n-1 in rows where the variable is valid. */
ref levels_key(struct measure *m, const struct levels *l);
/* where and valid(variable). */
ref levels_where(struct measure *m, ref where, const struct levels *l);
/* `variable == level i`; i = n: `is missing`. NULL without memory. */
struct ast *levels_is(struct cx *cx, const struct codebook *cb, const struct levels *l,
                      size_t i);
/* Cohort and parts (NULL parts are "everybody"). */
CHECKED enum fault levels_cell(struct cx *cx, const struct ast *cohort, struct ast *a,
                               struct ast *b, struct ast **ret);
/* Complains about parameters that this analysis does not take. */
void levels_complain_unused(struct complaints *c, const Cohortium__Params *p,
                            const char *analysis, bool variables, bool by, bool missing);

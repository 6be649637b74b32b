/*
 * ast_set.h - the values of one variable for which a condition holds: unions of intervals.
 *
 * A set is a sorted list of cuts at which membership flips, clipped to what the codebook
 * lets the variable be. Levels are the whole numbers 0 .. levels-1. Missing is never a
 * member.
 */
#pragma once

#include "analyses/ast.h"

struct cut {
    double at;
    bool after; /* between x <= at and x > at; else between x < at and x >= at */
};

struct set {
    int variable;
    bool starts; /* whether the lowest value is a member */
    size_t n;
    struct cut *cuts;
};

/* The values that a comparison, in or between of one variable with literals keeps. *ret_is
 * is false if the node is none of those. */
CHECKED enum fault set_of(struct cx *cx, const struct codebook *cb, const struct ast *a,
                          struct set *ret, bool *ret_is);
void set_complement(struct set *s);
struct set set_full(int variable);
bool set_is_full(const struct set *s);
bool set_is_empty(const struct set *s);
/* a and b, or a or b, of the same variable. */
CHECKED enum fault set_join(struct cx *cx, bool both, const struct set *a,
                            const struct set *b, struct set *ret);
/* The one way to write it. Empty: false; full: is not missing. */
CHECKED enum fault set_write(struct cx *cx, const struct codebook *cb, const struct set *s,
                             struct ast **ret);
/* x < y for y > x and so on; other operators as they are. */
Cohortium__AstOp ast_mirrored(Cohortium__AstOp op);

/*
 * implied.h - whether sums over groups of patients follow from each other by what they mean,
 * whoever the patients are.
 *
 * That a total is the sum of its parts can be said aloud. That a group adds nobody to another
 * one cannot: whoever hears it knows that somebody is not there.
 */
#pragma once

#include "analyses/ast.h"

/* c times the number of patients in a set, or times the sum of a variable over it. */
struct implied_part {
    const struct ast *set; /* canonical, of comparisons with literals; NULL: everybody */
    int variable;          /* -1: the number */
    double c;
};

/* *ret: whether the parts add up to nothing for every patient there could be: every
 * combination of values that the codebook allows, none of them missing (of whom a value is
 * missing no outsider knows). False too where that takes more than *budget looks, from which
 * those taken are subtracted. */
CHECKED enum fault implied_nothing(struct cx *cx, const struct codebook *cb,
                                   const struct implied_part *parts, size_t n,
                                   uint64_t *budget, bool *ret);

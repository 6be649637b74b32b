/*
 * accuracy.h - how many digits of a fit are right, and what to tell people about it.
 *
 * Every pooled sum is a whole number of quanta (SUMS.md section 4); rows x quantum is how
 * far it may be off. What that does to an answer follows from the sums alone
 * (math/perturb.h), so all vaults say the same.
 *
 *   6 digits or more   nothing is said
 *   3 to 5             a note beside the numbers
 *   fewer              no numbers: a named fault with the same advice
 */
#pragma once

#include "analyses/design.h"
#include "analyses/math/perturb.h"

struct accuracy {
    double steps, roundings; /* largest relative error from quanta; from rows' roundings */
    size_t widest;           /* kept column (n: y) with the widest bounds for its values */
    double width;            /* their ratio */
};

/* s: what was solved from block 0 of m, whose design are the kept columns (and y, where the
 * system has a response). score_steps: quanta of the score (n), where it has none. unit:
 * the relative rounding of a row's term before it is summed; 0 where terms are exact. */
CHECKED enum fault accuracy_find(struct cx *cx, const struct measure *m, double rows,
                                 const struct solved *s, const double *score_steps,
                                 double unit, struct accuracy *ret);
/* Puts the note or the fault (r->trouble). Returns FAULT_MEMORY or nothing. */
CHECKED enum fault accuracy_say(struct cx *cx, const struct design *d,
                                const struct opening *o, const struct accuracy *a,
                                struct result *r);
/* Are there digits enough to show numbers at all? */
bool accuracy_is_shown(const struct accuracy *a);
/* Significant digits that a relative error leaves: 0 to 6 (and more). */
int accuracy_digits(double error);

/*
 * redteam_victims.h - patients of this site whom an outsider could point at, for
 * `policy redteam`.
 *
 * A victim is alone in its cell of all quasi-identifiers, cut at the codebook's grids. What
 * the attacks are after are secrets: one value of a variable that is not a
 * quasi-identifier, one number. Who the victims are stays here: no sheet, log or message
 * says it.
 */
#pragma once

#include "analyses/ast.h"
#include "node/vault/dataset.h"

enum { VICTIMS_MAX = 5, VICTIM_PARTS_MAX = 64 };

struct victim {
    size_t n;
    struct ast **parts; /* by quasi-identifier: what is known of it */
    struct ast *cell;   /* all of them */
    struct ast *secret; /* a comparison that holds of the victim; NULL: there is none */
    double number;      /* its value of victims.number */
};

struct victims {
    const struct codebook *cb;
    size_t n_alone, n; /* patients alone in their cell; those taken */
    struct victim list[VICTIMS_MAX];
    int secret, number, other; /* variables, other: to cut by; -1: none */
};

/* In cx. None is no fault. */
CHECKED enum fault victims_find(struct cx *cx, const struct dataset *d,
                                struct victims *ret);

/* Builders (NULL without memory). */
struct ast *victims_compare(struct cx *cx, const struct codebook *cb, Cohortium__AstOp op,
                            int variable, double value);
struct ast *victims_and(struct cx *cx, struct ast *a, struct ast *b);
struct ast *victims_or(struct cx *cx, struct ast *a, struct ast *b);

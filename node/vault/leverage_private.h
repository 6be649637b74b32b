/* leverage_private.h - the basis: rows of this site, pooled products, their factor. */
#pragma once

#include "node/vault/leverage.h"

/* Values are fractions of this. */
#define LEVERAGE_UNIT 65536.0

struct leverage_basis {
    uint64_t *set; /* own copies; one of the two */
    uint16_t *values;
    uint64_t *gram; /* with the columns before it and itself */
    double *factor; /* the same row of L, Z'Z = L L' */
    size_t place;   /* among the sets */
};

struct leverage {
    uint64_t patients;
    size_t n, n_sets; /* of the basis */
    struct leverage_basis *basis;
    /* Eight sets to a byte, by patient: plane[s / 8][i] bit s % 8. */
    uint8_t **planes;
    double *leverages;
};

/* Coefficients of the combination of the basis that comes nearest to a new column, and the
 * squared length of what is left of it. g: its pooled products with the basis and with
 * itself, n + 1 numbers. */
struct leverage_fit {
    double *c;      /* n */
    double *factor; /* n + 1: its row of L */
    double left;
};
CHECKED enum fault leverage_solve(struct cx *cx, const struct leverage *l,
                                  const uint64_t *g, struct leverage_fit *ret);
/* The row of L alone, but for its last. */
CHECKED enum fault leverage_factor(struct cx *cx, const struct leverage *l,
                                   const uint64_t *g, double **ret);

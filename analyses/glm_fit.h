/*
 * glm_fit.h - the iteration of a generalised linear model: from one round's sums to the
 * next coefficients.
 */
#pragma once

#include "analyses/accuracy.h"
#include "analyses/glm_family.h"

struct glm_point { /* the last accepted coefficients, centred and scaled */
    bool known;
    double *beta;
    double minus;
    bool clamped;
};

struct glm_fit {
    const struct glm_family *family;
    enum measure_link link;
    bool canonical;
    unsigned halvings, accepted; /* halvings in a row; steps so far */
    struct glm_point point;
    double step_size; /* of the last step, in standard errors */
    bool converged;
    const char *trouble; /* constant text */
    /* of the last accepted point: */
    struct factor *factor; /* of the expected information */
    struct dd *inverse, *norms2;
    double minus, pearson, minus_null;
    struct accuracy accuracy; /* of the converged point */
};

struct glm_sums { /* one round's, read from the tally */
    size_t n;
    struct dd *expected, *observed; /* n by n; observed NULL for canonical links */
    struct dd *score;               /* n */
    double minus, pearson, clamped;
    /* how far quanta may put them off: */
    double *score_errors; /* n */
    double minus_error, pearson_error;
};
/* The block's sums, in order. */
enum { SUM_MINUS, SUM_PEARSON, SUM_CLAMPED, SUM_NULL_MINUS, SUM_NULL_SCORE, SUM_NULL_INFO };

/* glm_sums.c: one number of a round after the other. NULL without memory. */
struct dd *glm_gram(struct cx *cx, const struct measure *m, const struct tally *t, size_t w,
                    size_t n);
struct dd *glm_rhs(struct cx *cx, const struct measure *m, const struct tally *t, size_t n);
CHECKED enum fault glm_read_sums(struct cx *cx, const struct measure *m,
                                 const struct tally *t, double rows, size_t n,
                                 bool canonical, struct glm_sums *ret);
/* Before a round: no less than the length of y - eta at these coefficients, and at a
 * constant eta. Only a gaussian's eta knows no limits of its own. */
double glm_gaussian_length(const struct measure *m, const struct opening *o,
                           const struct design_nodes *nodes, const double *beta);
double glm_null_length(const struct measure *m, const struct opening *o,
                       const struct design_nodes *nodes, double eta);
/* block->totals, with what these lengths (INFINITY: unknown) say of score, minus, pearson.
 */
void glm_totals(struct measure *m, const struct design *d, const struct opening *o,
                double length, double null_length, struct block *block);
/* At a converged point, whose sums these are: fit->accuracy. */
CHECKED enum fault glm_judge(struct cx *cx, const struct design *d, const struct opening *o,
                             const double *input, const struct measure *m,
                             const struct glm_sums *sums, struct glm_fit *fit);

/* Judges the point that was just summed (beta) and writes the next one. Sums that are zero
 * throughout (an objecting vault's session) keep the point. eta_unit: what a step of one
 * means on the scale of the link. */
CHECKED enum fault glm_advance(struct cx *cx, const struct design *d, const double *input,
                               const double *beta, const struct glm_sums *sums,
                               double eta_unit, bool null_converged, struct glm_fit *fit,
                               double *next);

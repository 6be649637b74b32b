/*
 * glm_fit.h - the iteration of a generalised linear model: from one round's sums to the
 * next coefficients.
 */
#pragma once

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
    struct dd *inverse;
    double minus, pearson, minus_null;
};

struct glm_sums { /* one round's, read from the tally */
    size_t n;
    struct dd *expected, *observed; /* n by n; observed NULL for canonical links */
    struct dd *score;               /* n */
    double minus, pearson, clamped;
};

/* Judges the point that was just summed (beta) and writes the next one. Sums that are zero
 * throughout (an objecting vault's session) keep the point. eta_unit: what a step of one
 * means on the scale of the link. */
CHECKED enum fault glm_advance(struct cx *cx, const struct design *d, const double *input,
                               const double *beta, const struct glm_sums *sums,
                               double eta_unit, bool null_converged, struct glm_fit *fit,
                               double *next);

/*
 * noised_model.h - columns, sums and solves of lm and glm under noise.
 *
 * Each column becomes z = (x - middle) / half of its public bounds, so |z| <= 1 and every
 * patient's part of a sum is bounded. There is no opening round: nothing of the data is
 * known before. Sums that are one another's are asked once: z^2 of an indicator is z, the
 * product of two levels of a factor is 0. Each number less is less noise in all others.
 */
#pragma once

#include "analyses/design.h"
#include "analyses/noised.h"

enum { NOISED_COLUMNS_MAX = 30 };

struct noised_model {
    const struct design *d;
    size_t n;              /* columns */
    double *middle, *half; /* of columns, then of y less its offset */
    size_t n_products;     /* distinct sums of z_i z_j */
    size_t *product;       /* n by n: which; SIZE_MAX: always 0 */
};

/* What a model may not have under noise; plan->rounds_max is the caller's. */
void noised_model_complain(const struct design *d, const char *analysis,
                           struct complaints *c);
CHECKED enum fault noised_model_open(struct cx *cx, const struct asked *asked,
                                     const struct design *d, struct noised_model **ret);

/* z by column, then of y. */
CHECKED enum fault noised_model_nodes(const struct noised_model *model, struct measure *m,
                                      struct design_nodes *nodes, ref **ret_z);
/* The distinct products, each times w (0: 1), appended to sums. */
void noised_model_products(const struct noised_model *model, struct measure *m,
                           const ref *z, ref w, ref *sums, size_t *n_sums);

struct noised_system { /* H x = s, both noised, with variances */
    size_t n;
    double *h, *h_variance;                  /* n by n */
    double *s, *s_variance;                  /* n */
    const size_t *product;                   /* whose noise is whose */
    double *solution, *inverse, *from_noise; /* inverse and covariance by noise: n by n */
};
/* Reads H from the products that begin at number `at` of block 0, and s from `s_at`. */
CHECKED enum fault noised_system_read(struct cx *cx, const struct noised_model *model,
                                      const struct measure *m, const struct tally *t,
                                      size_t at, size_t s_at, struct noised_system **ret);
/* False where noise hides whether H is positive at all. */
CHECKED enum fault noised_system_solve(struct cx *cx, struct noised_system *sys,
                                       bool *ret_solved);
/* from_noise of this solution; beta: what multiplies the noise of H. */
CHECKED enum fault noised_system_noise(struct cx *cx, struct noised_system *sys,
                                       const double *beta);

/* The trouble of a system that is not solved. */
const char *noised_model_hidden(void);

struct noised_fit {
    double *beta;             /* in z */
    double *variance, *noise; /* n by n, in z: in all, and of noise alone */
    double n, n_sd;           /* rows */
    double support;           /* patients, at least */
    double sigma;             /* of lm, in the response's unit; NAN: none */
    const char *trouble;
};
/* n of a system whose weights are 1. */
void noised_model_rows(const struct noised_system *sys, const struct measure *m,
                       struct noised_fit *fit);
/* terms, coef, se, noise's part of it, n; as asked, not in z. scale_y: 1 and 0 for glm. */
CHECKED enum fault noised_model_result(struct cx *cx, const struct noised_model *model,
                                       const struct noised_fit *fit, double y_half,
                                       double y_middle, struct result *r);
/* ratio: NULL, or what exp(coefficient) is called. */
CHECKED enum fault noised_model_show(struct cx *cx, const struct asked *asked,
                                     const Cohortium__Release *release, const char *ratio,
                                     struct report *report);

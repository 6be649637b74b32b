/*
 * glm_family.h - families and links: what a row adds to the sums of one round.
 */
#pragma once

#include "analyses/design.h"

enum glm_kind { GLM_GAUSSIAN, GLM_BINOMIAL, GLM_POISSON, GLM_GAMMA };

struct glm_family {
    const char *name;
    enum glm_kind kind;
    bool quasi;
    bool estimated;       /* dispersion from Pearson's sum; t statistics */
    const char *links[5]; /* the default first */
};

struct glm_question { /* what glm's check makes of the parameters */
    struct design *design;
    const struct glm_family *family;
    enum measure_link link;
};

/* The i-th family offered, NULL past the last. */
const struct glm_family *glm_family_at(size_t i);
/* The family and link by name ("" is R's default link); NULL and a complaint otherwise. */
const struct glm_family *glm_family_find(const char *family, const char *link,
                                         struct complaints *c, enum measure_link *ret_link);
/* Can the response be of this family? Complaints. */
void glm_complain_response(struct cx *cx, const struct glm_family *f,
                           const struct design *d, struct complaints *c);
bool glm_is_canonical(const struct glm_family *f, enum measure_link link);

/* The response as the family takes it (out of range: clamped) and the claim that it was
 * not. */
ref glm_response(struct measure *m, const struct glm_family *f, const struct design *d,
                 ref y, ref *ret_illegal);
/* Sums over rows that do not depend on the fit: what the deviance lacks, what the
 * likelihood lacks (Gamma: w log y; gaussian: log w; poisson: w lgamma(y + 1)). */
void glm_constants(struct measure *m, const struct glm_family *f, ref y, ref w,
                   ref *ret_deviance, ref *ret_likelihood);

struct glm_range { /* of eta; used where `clamped` */
    bool clamped;
    double low, high;
};
struct glm_range glm_range(const struct glm_family *f, enum measure_link link,
                           const struct design *d, double mean);
/* link(mean), inside the range. */
double glm_link(enum measure_link link, double mean, const struct glm_range *range);

struct glm_row {
    ref minus; /* half the deviance without its constant */
    ref score; /* d(-minus)/d eta */
    ref expected,
        observed; /* information on eta; observed = expected for canonical links */
    ref pearson;
    ref clamped; /* 1 where eta was outside the range */
};
struct glm_row glm_row(struct measure *m, const struct glm_family *f,
                       enum measure_link link, ref y, ref w, ref eta,
                       const struct glm_range *range, double mean);

/*
 * model_show.h - what lm and glm share at the end: coefficients into a result, and
 * everything that follows from released numbers.
 */
#pragma once

#include "analyses/analysis.h"
#include "analyses/math/dd.h"

/* coef, se and, under testing, vcov (of columns that are not aliased). inverse: n by n. */
CHECKED enum fault model_put_coefficients(struct cx *cx, struct result *r, size_t n,
                                          const bool *aliased, const struct dd *coef,
                                          const struct dd *inverse, double dispersion,
                                          bool testing);
CHECKED enum fault model_show_lm(struct cx *cx, const struct asked *asked,
                                 const Cohortium__Result *result, struct report *report);
/* estimated: t statistics with the residual degrees of freedom, else z. odds: coefficients
 * of a logit are shown as odds ratios, too. */
CHECKED enum fault model_show_glm(struct cx *cx, const struct asked *asked,
                                  const Cohortium__Result *result, bool estimated,
                                  bool odds, bool binomial, struct report *report);

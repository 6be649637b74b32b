/*
 * formula.h - R's formula language, parsed where the researcher sits.
 *
 *   y ~ a*b + I(x^2) + log(z) + offset(log(t)) + factor(k) - 1     left: y, log(y), log(y +
 * 1)
 *
 * Expands *, :, ^, -, +0, -1, . is not offered. Terms come out in R's order (by degree,
 * then as written), duplicates removed. Arithmetic goes inside I() as in R. Surv(),
 * strata(), splines are known words that later analyses take: here "not offered by this
 * analysis".
 */
#pragma once

#include "analyses/ast.h"

enum { FORMULA_TEXT_MAX = 16 * 1024, FORMULA_TERMS_MAX = 200, FORMULA_FACTORS_MAX = 8 };

/* With a left side. FAULT_INVALID with the place and a suggestion. */
CHECKED enum fault formula_parse(struct cx *cx, const struct codebook *cb, const char *text,
                                 Cohortium__Model **ret);
enum { TABLE_VARIABLES_MAX = 4 };
/* `sex * status`, `sex`, `~ sex + status`: one to four variable names for table. */
CHECKED enum fault formula_parse_variables(struct cx *cx, const struct codebook *cb,
                                           const char *text, const char ***ret_names,
                                           size_t *ret_n);

/* The names that R gives, made from what travels: "age", "log(lwt)", "I(lwt^2)",
 * "factor(ph_ecog)", "I(age >= 60)"; a term's factors joined by ":". In cx; what does not
 * fit the codebook reads "(not a factor)". */
const char *factor_text(struct cx *cx, const struct codebook *cb,
                        const Cohortium__Factor *f);
const char *term_text(struct cx *cx, const struct codebook *cb,
                      const Cohortium__Term *term);

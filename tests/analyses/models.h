/*
 * models.h - a model asked of the naive evaluator, and R's answer beside it.
 */
#pragma once

#include "tests/analyses/naive.h"

struct model_case {
    const char *data, *id, *formula, *where, *weights, *family, *link;
    const char *only; /* further restriction of R's data, for people */
};

/* Opens, runs over `sites`, shows. NULL with the first complaint's text in *ret_complaint.
 */
struct report *model_ask(struct cx *cx, const struct naive *data, const char *analysis,
                         const struct model_case *k, size_t sites,
                         const char **ret_complaint);
/* Opens without running; fails the test on complaints. */
const struct analysis *model_open(struct cx *cx, const struct naive *data,
                                  const char *analysis, const struct model_case *k,
                                  bool testing, struct asked *ret);
/* All entries of a vector (or matrix, by rows) item. Values nearer than `absolute` pass. */
void model_check(const char *row, const struct report *r, const char *item,
                 const json_t *want, double tolerance, double absolute);
/* Is there a note about digits, or a refusal for want of them? */
bool model_says_digits(const struct report *r);

struct model_bounds { /* of the codebook, in units of a column's largest size */
    double below, above;
};
/* Rows of y, x (or x1, x2, ...) as reals. */
void model_table(struct cx *cx, const double *values, size_t rows, size_t columns,
                 struct model_bounds bounds, struct naive *ret);

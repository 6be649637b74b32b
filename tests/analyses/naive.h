/*
 * naive.h - rows in memory and sums row by row, as plainly as it can be written: what the
 * tests of analyses/ compare with R. No engine, no gate: a release of the testing class.
 */
#pragma once

#include <jansson.h>

#include "analyses/analysis.h"

enum { NAIVE_ROWS_LOG2 = 40 }; /* a production manifest's */

struct naive {
    const struct codebook *cb;
    size_t n_rows, n_patients;
    double *values; /* n_rows by variables: number, level code */
    bool *valid;
    size_t *patients; /* 0 .. n_patients-1 by row */
};

/* tests/data/<name>: codebook.json and pooled.csv. Integer bounds are [min, max + 1], so
 * that the bounds are not the data's extremes. `roles` are "name=q" (quasi-identifier),
 * "name=s" (sensitive), "name=h" (hidden), separated by blanks; may be "". */
CHECKED enum fault naive_open(struct cx *cx, const char *name, const char *roles,
                              struct naive *ret);
/* The same rows under a codebook whose bounds are `factor` times as wide, and begin at zero
 * where they were above it. Short scales (at most 20) stay. */
CHECKED enum fault naive_widen(struct cx *cx, double factor, struct naive *data);
/* Results of tests/data/<name>/expected.json by id; fails the test when there is none. */
const json_t *naive_expected(const char *name, const char *id);

/* This site's tally: rows site, site + sites, ... */
CHECKED enum fault naive_tally(struct cx *cx, const struct measure *m,
                               const struct naive *data, size_t site, size_t sites,
                               struct tally **ret);
/* begin, ask, sum over the sites, learn, ..., finish. */
CHECKED enum fault naive_run(struct cx *cx, const struct analysis *analysis,
                             const struct asked *asked, const struct naive *data,
                             size_t sites, struct result **ret, unsigned *ret_rounds);
/* All of a result, exact. */
CHECKED enum fault naive_release(struct cx *cx, const struct asked *asked,
                                 const struct result *result, Cohortium__Release **ret);

/* A question about everybody; set params and cohort before it is opened. */
CHECKED enum fault naive_question(struct cx *cx, const struct codebook *cb,
                                  const char *analysis, Cohortium__Question **ret);
/* Opens (testing class), runs over the sites, releases, shows. Fails the test on
 * complaints. */
struct report *naive_report(struct cx *cx, const struct naive *data,
                            const Cohortium__Question *question, size_t sites);

const Cohortium__Item *naive_item(const struct report *report, const char *name);
/* value[i] of an item against `want` (null: not defined) within a relative tolerance; 0:
 * equal. */
void naive_check(const char *row, const struct report *report, const char *item, size_t i,
                 const json_t *want, double tolerance);

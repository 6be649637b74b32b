/*
 * noised.h - answers under noise: what their files share.
 *
 *   noised_count table describe    counts and means
 *   noised_model                   columns, sums and solves of lm and glm
 *   noised_lm, noised_glm
 *
 * The gate has added noise to every number that `learn` reads and says how much in the
 * measure's blocks; what follows from them costs nothing. Counts may come out below zero.
 * The same rows_max rows of a patient count everywhere, so rows are not told beside
 * patients.
 */
#pragma once

#include "analyses/analysis.h"

/* Of what asks once: one round of sums; `begin` also gives `learn` its next state. */
CHECKED enum fault noised_check(struct cx *cx, struct asked *asked, struct complaints *c,
                                struct plan *plan);
CHECKED enum fault noised_begin(struct cx *cx, const struct asked *asked,
                                struct state **ret);

/* A cell's patients and their noise's variance. */
double noised_patients(const struct measure *m, const struct tally *t, size_t block,
                       size_t cell);
double noised_patients_variance(const struct measure *m, size_t block);
double noised_sum(const struct measure *m, const struct tally *t, size_t block, size_t cell,
                  size_t number);
double noised_sum_variance(const struct measure *m, size_t block, size_t number);

/* For R1: patients behind a value, as far as noise tells. */
uint64_t noised_support(double patients);

/* Whether an answer is of that kind, from the policy that it names. */
bool release_is_noised(const Cohortium__Release *release);
/* The analysis that shows it. */
const struct analysis *analysis_of_release(const struct analysis *analysis,
                                           const Cohortium__Release *release);
/* Mechanism, rho and epsilon, in a line and as items. */
CHECKED enum fault noised_show(struct cx *cx, const Cohortium__Release *release,
                               struct report *report);
/* A number of a policy by name; 0 when there is none. */
double policy_number(const Cohortium__Policy *p, const char *name);

/* The sentence of mechanism and price, for answers and dry runs. */
const char *noised_words(struct cx *cx, double rho, double delta);

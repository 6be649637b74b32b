/*
 * codebook.h - the consortium's dictionary of one dataset, compiled and checked.
 *
 * People write YAML (node/admin); here it is protobuf already. Shared by pointer, never changed.
 */
#pragma once

#include "protocol/base/bytes.h"
#include "protocol/cohortium.pb-c.h"

enum {
    CODEBOOK_VARIABLES_MAX = 4096,
    CODEBOOK_LEVELS_MAX = 1000,
    CODEBOOK_GRID_MAX = 1000,
    CODEBOOK_BYTES_MAX = 1024 * 1024
};

struct codebook {
    const Cohortium__Codebook *body;
    uint8_t digest[32]; /* SHA-256 of the packed body without its text */
    struct bytes packed;
};

/* Strict unpack and check. FAULT_FORMAT with the variable and what was expected. */
CHECKED enum fault codebook_open(struct cx *cx, struct bytes packed, struct codebook **ret);
/* Derived variables as below. Names unique and valid; levels non-empty, unique, present exactly for categorical and ordered;
 * bounds finite, lower < upper, required for integer, real and date that are not hidden or
 * direct identifiers; grid strictly ascending within bounds; count_unit names a direct
 * identifier; at least one other variable; roles and types set. */
CHECKED enum fault codebook_check(struct cx *cx, const Cohortium__Codebook *body);
CHECKED enum fault codebook_from_body(struct cx *cx, const Cohortium__Codebook *body,
                                      struct codebook **ret);

/* Whose patients these are; "patient" where the codebook does not say. */
static inline const char *codebook_namespace(const struct codebook *cb)
{
    return cb->body->patient_namespace[0] != '\0' ? cb->body->patient_namespace : "patient";
}
/* Index or -1. Direct identifiers and hidden variables are found too: see variable_is_usable. */
int codebook_find(const struct codebook *cb, const char *name);
static inline const Cohortium__Variable *codebook_variable(const struct codebook *cb, int i)
{
    return cb->body->variables[i];
}
/* May a question name it? (not a direct identifier, not hidden) */
bool variable_is_usable(const Cohortium__Variable *v);
bool variable_is_quasi(const Cohortium__Variable *v);
bool variable_has_levels(const Cohortium__Variable *v); /* categorical or ordered */
/* Derived variables (`from`): levels computed at import, where a question names them like any
 * other. They are no way around what holds for their source: its role is theirs (or they
 * have a stricter one), cut points lie on its grid, and whole numbers of a quasi-identifier
 * are cut, never recoded one by one. What an answer rests on are patient sets, however they
 * are named (node/vault/columns.h). */
bool variable_is_derived(const Cohortium__Variable *v);
/* The level of a valid value of its source. */
double variable_derive(const Cohortium__Variable *v, const Cohortium__Variable *source,
                       double x);
/* How many levels a recoding names; 0: such a variable cannot be recoded. */
size_t variable_recoded(const Cohortium__Variable *source);
/* Names of the intervals between n cut points: "<50", "50-54", ">=75". n + 1, in cx. */
CHECKED enum fault cut_names(struct cx *cx, const Cohortium__Variable *source,
                             const double *cut, size_t n, char ***ret);
/* Index of a level or -1. */
int variable_level(const Cohortium__Variable *v, const char *level);
/* The numbers a row may hold: bounds; 0..1 for binary; 0..levels-1 for level codes. */
void variable_range(const Cohortium__Variable *v, double *ret_lower, double *ret_upper);
/* ", did you mean `age`?" or "; it has: a, b, c" or "". In cx. */
const char *codebook_hint(struct cx *cx, const struct codebook *cb, const char *name);
const char *level_hint(struct cx *cx, const Cohortium__Variable *v, const char *level);

/*
 * codebook_yaml.h - the dictionary as people write it, and its compiled form.
 *
 *   dataset: lung                      [a-z][a-z0-9_]{0,31}
 *   title: NCCTG lung cancer           optional
 *   count_unit: rid                    the identifier whose distinct values are counted
 *   namespace: patient                 optional
 *   variables:                         a list of maps with `name`, or a map by name
 *     rid: {type: identifier}
 *     age: {type: integer, role: quasi_identifier, unit: year, bounds: [30, 100],
 *           grid: [50, 60, 70], missing: ["-9"]}
 *     sex: {type: categorical, levels: [male, female]}
 *     seen: {type: date, bounds: [2020-01-01, 2030-12-31]}
 *
 *   type  integer real categorical ordered binary date identifier
 *   role  direct_identifier quasi_identifier sensitive ordinary hidden; default ordinary,
 * and direct_identifier for the type identifier
 *
 * Unquoted words mean what the field's type says: in `levels`, NO is the text "NO".
 */
#pragma once

#include "analyses/codebook.h"

/* Reads, compiles and checks (codebook_check). FAULT_FORMAT or FAULT_BOUND, the message
 * with FILE:LINE:COLUMN. The result carries the text; it lives in the cx. */
CHECKED enum fault codebook_from_yaml(struct cx *cx, const char *path, const char *text,
                                      size_t n, Cohortium__Codebook **ret);

/* The canonical text of a compiled codebook; codebook_from_yaml of it compiles to the same
 * digest. In cx. */
CHECKED enum fault codebook_to_yaml(struct cx *cx, const Cohortium__Codebook *body,
                                    const char **ret);

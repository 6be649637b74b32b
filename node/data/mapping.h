/*
 * mapping.h - how one site's columns become the codebook's variables.
 *
 *   dataset: lung                 optional; must be the codebook's
 *   encoding: windows-1252        utf-8 (default), latin1, windows-1252
 *   delimiter: ";"                "," (default), ";", tab, "|"
 *   quote: "'"                    "\"" by default
 *   decimal: ","                  "." by default
 *   header: yes                   no: `column` is a place counted from 1
 *   missing: [NA, "."]            for every column; an empty field is always missing
 *   ignore: [remarks]             columns that are not imported
 *   ignore_others: yes            no (default): a column nobody named is an error
 *   variables:
 *     age: {column: AGE, missing: ["-9"]}
 *     weight: {column: WT_LB, unit: pound, factor: 0.45359237, offset: 0, decimal: "."}
 *     sex: {column: Geschlecht, recode: {m: male, w: female}}
 *     birth: {column: GebDat, date_format: "%d.%m.%Y"}
 *
 * value = field * factor + offset. A variable that is not named is taken from the column of
 * its own name.
 */
#pragma once

#include "analyses/codebook.h"
#include "node/data/csv.h"

struct mapping_variable {
    const char *column; /* NULL: the variable's own name */
    size_t place;       /* header: no; from 1, 0 when the site does not have it */
    bool scaled;
    double factor, offset;
    char point;
    const char *date_format;
    size_t n_recode;
    const char **from;
    double *to; /* level code, number or day */
    size_t n_missing;
    const char **missing;
};

struct mapping {
    struct csv_format format;
    bool header, ignore_others;
    size_t n_missing, n_ignore;
    const char **missing, **ignore;
    struct mapping_variable *variables; /* by the codebook's variables */
};

/* Columns by name, standard format. */
CHECKED enum fault mapping_standard(struct cx *cx, const struct codebook *cb,
                                    struct mapping **ret);
/* FAULT_FORMAT with FILE:LINE:COLUMN. In cx; refers to the codebook. */
CHECKED enum fault mapping_from_yaml(struct cx *cx, const char *path, const char *text,
                                     size_t n, const struct codebook *cb,
                                     struct mapping **ret);

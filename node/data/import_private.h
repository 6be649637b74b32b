/* import_private.h - what the parts of an import share. */
#pragma once

#include "node/data/import.h"
#include "node/data/words.h"

/* One variable on its way in. */
struct target {
    const Cohortium__Variable *v;
    const struct mapping_variable *how;
    bool stored, levels;
    const struct target *source; /* of a derived variable: computed; else NULL */
    size_t column;      /* of the file; SIZE_MAX: absent, or computed */
    struct words words; /* levels, recodings; NAN: missing */
    double lower, upper;
    double *values; /* by row, malloc */
    uint8_t *valid;
    uint64_t missing;
};

struct order { /* a row by its patient: hash as two numbers whose order is that of its bytes
                */
    uint64_t high, low;
    uint32_t row;
};

struct importer {
    struct cx *cx;
    const struct import_setup *setup;
    const struct codebook *cb;
    const struct mapping *mapping;
    struct import_report *report;
    struct target *targets; /* by the codebook's variables */
    struct target *unit;    /* the count unit's */
    size_t n_columns;       /* of the file; 0 before the first row */
    char **columns;         /* their names */
    uint64_t size;          /* room for rows in every array */
    struct order *order;
    char last_id[256]; /* rows of one patient often follow each other */
    size_t last_n;
    struct order last_order;
};

/* Notes a problem; format may be NULL-safe only for texts in the cx. */
void import_problem(struct importer *im, uint64_t row, uint64_t line, const char *column,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The field between quotes, cut and without control characters. In cx. */
const char *import_quote(struct importer *im, const struct csv_field *f);

/* import_columns.c: which column is which variable; tables of words. */
CHECKED enum fault import_targets(struct importer *im);
CHECKED enum fault import_header(struct importer *im, const struct csv_row *row);
/* header: no: the first row says how many columns there are. */
CHECKED enum fault import_places(struct importer *im, size_t n);

/* import_field.c: one field judged and stored. */
void import_field(struct importer *im, struct target *t, const struct csv_row *row,
                  const struct csv_field *f, uint64_t at);

/* import_write.c: sorts and writes. */
CHECKED enum fault import_write(struct importer *im, uint64_t rows);

/*
 * import.h - a CSV file as the column files of a new dataset version, or a list of what is
 * wrong with it.
 *
 * Everything is read and judged first; a file is written only when no problem was found.
 * Runs in a process of its own with three things: the CSV, an empty staging folder, and the
 * key that turns identifiers into patients. Opens no other file, starts no thread.
 *
 *   stored      every variable a question may name; one absent from the file is missing in
 *               every row
 *   not stored  direct identifiers (the count unit only as keyed hashes) and hidden
 * variables order       by patient hash; within a patient as in the file
 */
#pragma once

#include "node/data/mapping.h"

enum { IMPORT_PROBLEMS_MAX = 1000, IMPORT_QUOTE_MAX = 40 };

struct import_problem {
    uint64_t row, line; /* as in csv.h; 0: the file as a whole */
    const char *column; /* as the file names it; NULL: the row as a whole */
    const char *text;   /* what was found, expected, to be done; may quote the field */
};

struct import_report {
    uint64_t rows, patients;
    uint64_t n_problems; /* all; the first IMPORT_PROBLEMS_MAX are kept */
    struct import_problem *problems;
    size_t n_kept;
    size_t n_stored, n_absent, n_ignored;
    const char **absent;  /* variables that the file does not have */
    const char **ignored; /* columns that were not stored */
    size_t n_variables;
    uint64_t *missing; /* by the codebook's variables; stored ones only */
};

struct import_setup {
    const struct codebook *cb;
    const struct mapping *mapping; /* NULL: mapping_standard */
    int csv_fd, staging_fd;
    const uint8_t *key; /* 32 bytes: patients of this node */
    /* Now and then: bytes of the file read, its size (0: unknown), rows. May be NULL. */
    void (*progress)(void *user, uint64_t done, uint64_t total, uint64_t rows);
    void *user;
};

/* FAULT_NONE: all column files and patients.col are written and synced. FAULT_FORMAT: ret
 * (filled all the same) lists the problems and nothing was written. Other faults: the
 * staging folder may hold some files; it is the caller's to remove. ret lives in the cx and
 * may quote the operator's own file: show it to them, and log none of it. A cx of 64 MiB is
 * enough; rows are kept outside of it (about 9 bytes a row and variable). */
CHECKED enum fault import_run(struct cx *cx, const struct import_setup *setup,
                              struct import_report *ret);
/* For people, some lines. NULL without memory. In cx. */
const char *import_report_text(struct cx *cx, const struct codebook *cb,
                               const struct import_report *report);

/*
 * import_child.h - the sandboxed process that reads a CSV.
 *
 * It gets four descriptors and nothing else: the CSV, the staging folder, a pipe with what
 * it needs (codebook, key, mapping), a pipe for its report. It may open no socket, run no
 * program and touch no file outside the staging folder.
 */
#pragma once

#include "protocol/base/bytes.h"

struct import_job {
    int csv_fd;
    const char *staging;      /* path of the empty staging folder */
    struct bytes codebook;    /* packed */
    const uint8_t *key;       /* 32, guarded */
    const char *mapping_name; /* for messages */
    struct bytes mapping;     /* YAML text; empty: none */
    bool quiet;               /* no progress on stderr */
};
struct import_outcome {
    bool done; /* columns are written */
    uint64_t rows, patients;
    const char *text; /* for people: what was imported, or every problem */
};
CHECKED enum fault import_child_run(struct cx *cx, const struct import_job *job,
                                    struct import_outcome *ret);
int import_child_main(int argc, char **argv);

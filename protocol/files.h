/*
 * files.h - whole files, read and written so that they are never half there.
 */
#pragma once

#include "protocol/base/bytes.h"

enum file_writing {
    FILE_NEW,     /* FAULT_CONFLICT if something of that name exists */
    FILE_REPLACE, /* the old contents stay until the new ones are complete */
};

/* Writes through a temporary name in the same folder; file and folder are fsynced. mode:
 * 0600 for keys, 0644 for what everybody may read. `what` names the kind of file in
 * messages. */
CHECKED enum fault file_write(struct cx *cx, const char *what, const char *path,
                              struct bytes content, unsigned mode,
                              enum file_writing writing);
/* Reads a regular file of at most `bound` bytes. private_only: FAULT_DENIED when group or
 * others have any right to it. FAULT_MISSING, FAULT_BOUND, FAULT_IO. */
CHECKED enum fault file_read(struct cx *cx, const char *what, const char *path,
                             size_t bound, bool private_only, struct bytes *ret);
/* Everything until the end of a pipe or the like. FAULT_BOUND, FAULT_IO. */
CHECKED enum fault file_read_stream(struct cx *cx, const char *what, int fd, size_t bound,
                                    struct bytes *ret);

/*
 * csv_source.h - the bytes of a file, plain or gzip, in order, once.
 */
#pragma once

#include <zlib.h>

#include "protocol/base/bytes.h"

struct csv_source {
    int fd;
    uint64_t done, total; /* bytes of the file read; its size, 0 when unknown */
    bool gzip, end;
    bool between; /* gzip: outside a member */
    z_stream z;
    uint8_t *raw; /* bytes read and not yet handed out: raw[at..n) */
    size_t at, n;
};

/* Looks at the first bytes: gzip is unpacked; zip, spreadsheets and UTF-16 are refused with
 * what to do. FAULT_IO, FAULT_FORMAT, FAULT_MEMORY. */
CHECKED enum fault csv_source_open(struct cx *cx, int fd, struct csv_source *ret);
/* Up to size bytes into p; 0 at the end only. */
CHECKED enum fault csv_source_read(struct cx *cx, struct csv_source *s, uint8_t *p,
                                   size_t size, size_t *ret_n);
void csv_source_close(struct csv_source *s);

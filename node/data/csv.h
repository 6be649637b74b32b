/*
 * csv.h - rows of a CSV file (RFC 4180), streamed from a descriptor, plain or gzip.
 *
 * Taken: quotes, doubled quotes, line ends inside quotes, CRLF, LF and CR in any mixture, a
 * byte order mark, blank lines (skipped), a last line without an end. Refused, with the
 * place: text after a closing quote, a quote inside a field that does not begin with one,
 * NUL bytes, text that is not in the stated encoding, a quote that is never closed, fields
 * and rows beyond their bounds. How many fields a row must have is the caller's business.
 *
 * Rows are numbered as a spreadsheet shows them: the first is 1, blank ones count. Lines
 * differ from rows once a field holds a line end.
 */
#pragma once

#include "protocol/base/bytes.h"

enum {
    CSV_FIELD_BYTES_MAX = 1024 * 1024,
    CSV_ROW_BYTES_MAX = 16 * 1024 * 1024,
    CSV_FIELDS_MAX = 65536
};

enum csv_encoding { CSV_UTF8, CSV_LATIN1, CSV_WINDOWS_1252 };

struct csv_format {
    char delimiter, quote; /* different ASCII characters, no line ends */
    enum csv_encoding encoding;
};
extern const struct csv_format csv_format_standard; /* , " UTF-8 */

struct csv_field {
    const char *text; /* UTF-8 without the quotes; not NUL-terminated */
    uint32_t n;
    bool quoted;
    bool bad; /* a problem was reported; the text means nothing */
};

struct csv_row {
    uint64_t row, line; /* where it begins */
    size_t n;
    const struct csv_field *fields; /* until the next csv_next */
};

/* A problem that does not end the reading. `column` counts from 0. */
typedef void csv_report(void *user, const struct csv_row *row, size_t column,
                        const char *what);

struct csv;
CHECKED enum fault csv_open(struct cx *cx, int fd, const struct csv_format *format,
                            csv_report *report, void *user, struct csv **ret);
/* The next row that is not blank; *ret_more false at the end. FAULT_FORMAT or FAULT_BOUND
 * for what makes going on senseless, FAULT_IO when the file cannot be read. */
CHECKED enum fault csv_next(struct cx *cx, struct csv *csv, struct csv_row *ret,
                            bool *ret_more);
/* Bytes of the file read so far and its size (0: unknown). */
void csv_progress(const struct csv *csv, uint64_t *ret_done, uint64_t *ret_total);
void csv_close(struct csv **csv);
#define AUTO_CSV __attribute__((cleanup(csv_close)))

/* csv_source.c - reading and unpacking. */
#include "node/data/csv_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RAW_BYTES = 256 * 1024, WINDOW_GZIP = 15 + 16 };

/* One read(2) of up to size bytes; notes the end. */
static enum fault read_some(struct cx *cx, struct csv_source *s, uint8_t *p, size_t size,
                            size_t *ret_n)
{
    ssize_t got;

    do
        got = read(s->fd, p, size);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return cx_fail(cx, FAULT_IO, "the file cannot be read: %s", strerror(errno));
    s->end = got == 0;
    s->done += (uint64_t)got;
    *ret_n = (size_t)got;
    return FAULT_NONE;
}

/* Adds to the bytes not yet handed out; none are added at the end only. */
static enum fault fill(struct cx *cx, struct csv_source *s)
{
    size_t got;

    if (s->at == s->n)
        s->at = s->n = 0;
    if (s->end || s->n == RAW_BYTES)
        return FAULT_NONE;
    TRY(read_some(cx, s, s->raw + s->n, RAW_BYTES - s->n, &got));
    s->n += got;
    return FAULT_NONE;
}

static enum fault refuse_other_formats(struct cx *cx, const struct csv_source *s)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *what;
    } formats[] = {
        {"PK\x03\x04", 4,
         "a zip file or a spreadsheet (xlsx, ods): export the sheet as CSV"},
        {"\xd0\xcf\x11\xe0", 4, "an old spreadsheet (xls): export the sheet as CSV"},
        {"\xff\xfe", 2, "UTF-16 text: save it as UTF-8"},
        {"\xfe\xff", 2, "UTF-16 text: save it as UTF-8"},
        {"BZh", 3, "a bzip2 file: unpack it, or pack it with gzip"},
        {"\xfd"
         "7zXZ",
         5, "an xz file: unpack it, or pack it with gzip"},
        {"\x28\xb5\x2f\xfd", 4, "a zstd file: unpack it, or pack it with gzip"},
        {"PAR1", 4, "a Parquet file: export it as CSV"},
        {"%PDF", 4, "a PDF file: export the data as CSV"},
    };

    for (size_t i = 0; i < COUNT(formats); i++)
        if (s->n >= formats[i].n && memcmp(s->raw, formats[i].bytes, formats[i].n) == 0)
            return cx_fail(cx, FAULT_FORMAT, "the file is not CSV but %s", formats[i].what);
    return FAULT_NONE;
}

enum fault csv_source_open(struct cx *cx, int fd, struct csv_source *ret)
{
    struct csv_source s = {.fd = fd, .between = true};
    struct stat st;
    enum fault fault = FAULT_NONE;

    if (fstat(fd, &st) != 0)
        return cx_fail(cx, FAULT_IO, "the file cannot be read: %s", strerror(errno));
    if (S_ISDIR(st.st_mode))
        return cx_fail(cx, FAULT_IO, "this is a folder; a CSV file was expected");
    s.total = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    s.raw = malloc(RAW_BYTES);
    if (s.raw == NULL)
        return cx_fail(cx, FAULT_MEMORY, "no memory to read the file");
    while (fault == FAULT_NONE && !s.end && s.n < 8) /* a pipe may bring it in pieces */
        fault = fill(cx, &s);
    if (fault == FAULT_NONE)
        fault = refuse_other_formats(cx, &s);
    if (fault != FAULT_NONE) {
        free(s.raw);
        return fault;
    }
    *ret = s;
    if (s.n < 2 || s.raw[0] != 0x1f || s.raw[1] != 0x8b)
        return FAULT_NONE;
    /* In its place at last: zlib remembers the address. */
    if (inflateInit2(&ret->z, WINDOW_GZIP) != Z_OK) {
        free(s.raw);
        return cx_fail(cx, FAULT_MEMORY, "no memory to unpack the file");
    }
    ret->gzip = true;
    return FAULT_NONE;
}

/* The next member of a gzip file begins here, or zero padding ends it. */
static enum fault next_member(struct cx *cx, struct csv_source *s, bool *ret_end)
{
    *ret_end = false;
    for (;;) {
        if (s->at == s->n)
            TRY(fill(cx, s));
        if (s->at == s->n) {
            *ret_end = true;
            return FAULT_NONE;
        }
        if (s->raw[s->at] != 0)
            break;
        s->at++;
    }
    if (s->raw[s->at] != 0x1f)
        return cx_fail(cx, FAULT_FORMAT,
                       "the gzip file has other bytes after its end; pack it again");
    if (inflateReset(&s->z) != Z_OK)
        return cx_fail(cx, FAULT_INTERNAL, "the gzip file cannot be unpacked");
    s->between = false;
    return FAULT_NONE;
}

static enum fault read_gzip(struct cx *cx, struct csv_source *s, uint8_t *p, size_t size,
                            size_t *ret_n)
{
    *ret_n = 0;
    while (*ret_n == 0) {
        bool end;

        if (s->between) {
            TRY(next_member(cx, s, &end));
            if (end)
                return FAULT_NONE;
        }
        if (s->at == s->n)
            TRY(fill(cx, s));
        if (s->at == s->n)
            return cx_fail(
                cx, FAULT_FORMAT,
                "the gzip file is cut short; copy it again and compare its size");
        s->z.next_in = s->raw + s->at;
        s->z.avail_in = (unsigned)(s->n - s->at);
        s->z.next_out = p;
        s->z.avail_out = (unsigned)size;
        int state = inflate(&s->z, Z_NO_FLUSH);

        if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
            return state == Z_MEM_ERROR
                       ? cx_fail(cx, FAULT_MEMORY, "no memory to unpack the file")
                       : cx_fail(
                             cx, FAULT_FORMAT,
                             "the gzip file is damaged; copy it again or pack it again");
        s->at = s->n - s->z.avail_in;
        *ret_n = size - s->z.avail_out;
        s->between = state == Z_STREAM_END;
    }
    return FAULT_NONE;
}

enum fault csv_source_read(struct cx *cx, struct csv_source *s, uint8_t *p, size_t size,
                           size_t *ret_n)
{
    if (size > (1u << 30))
        size = 1u << 30;
    if (s->gzip)
        return read_gzip(cx, s, p, size, ret_n);
    if (s->at == s->n && !s->end) /* straight to where it is wanted */
        return read_some(cx, s, p, size, ret_n);
    *ret_n = s->n - s->at < size ? s->n - s->at : size;
    if (*ret_n > 0)
        memcpy(p, s->raw + s->at, *ret_n);
    s->at += *ret_n;
    return FAULT_NONE;
}

void csv_source_close(struct csv_source *s)
{
    if (s->gzip)
        (void)inflateEnd(&s->z);
    free(s->raw);
    s->raw = NULL;
    s->gzip = false;
}

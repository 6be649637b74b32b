/*
 * csv.c - finding rows and fields.
 *
 * A row is found first, without changing a byte, so that it can be searched again from its
 * beginning after the buffer has been filled up; only then are its fields mended: doubled
 * quotes, encodings, complaints.
 */
#include "node/data/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/data/csv_source.h"

enum { BUFFER_BYTES = 1024 * 1024 };

/* What a byte may mean; 0 for most. */
enum { C_DELIMITER = 1, C_QUOTE, C_LF, C_CR, C_NUL, C_HIGH };
/* What a field needs besides its span. */
enum { F_DOUBLED = 1, F_STRAY = 2, F_INSIDE = 4, F_NUL = 8, F_HIGH = 16, F_LINES = 32 };
enum outcome { ROW, NEED_MORE, UNCLOSED, TOO_MANY, TOO_LONG };

const struct csv_format csv_format_standard = {',', '"', CSV_UTF8};

struct csv {
    struct csv_source source;
    struct csv_format format;
    csv_report *report;
    void *user;
    uint8_t class[256];
    uint8_t *buffer; /* one byte longer than size: a NUL stops every search */
    size_t size, start, end;
    bool no_more;
    uint64_t row, line; /* of the next row */
    struct csv_field *fields;
    uint8_t *flags;
    size_t n, fields_size;
    size_t next;      /* where the row after this one begins */
    size_t open_at;   /* the field being read began here, for complaints */
    uint8_t *scratch; /* fields in other encodings */
    size_t scratch_size;
};

enum fault csv_open(struct cx *cx, int fd, const struct csv_format *format,
                    csv_report *report, void *user, struct csv **ret)
{
    struct csv *csv = calloc(1, sizeof *csv);

    if (csv == NULL)
        return cx_fail(cx, FAULT_MEMORY, "no memory to read the file");
    csv->format = *format;
    csv->report = report;
    csv->user = user;
    csv->row = csv->line = 1;
    csv->size = BUFFER_BYTES;
    csv->buffer = malloc(csv->size + 1);
    for (int c = 128; c < 256; c++)
        csv->class[c] = C_HIGH;
    csv->class[0] = C_NUL;
    csv->class['\n'] = C_LF;
    csv->class['\r'] = C_CR;
    csv->class[(uint8_t)format->delimiter] = C_DELIMITER;
    csv->class[(uint8_t)format->quote] = C_QUOTE;
    enum fault fault = csv->buffer == NULL
                           ? cx_fail(cx, FAULT_MEMORY, "no memory to read the file")
                           : csv_source_open(cx, fd, &csv->source);
    if (fault != FAULT_NONE) {
        free(csv->buffer);
        free(csv);
        return fault;
    }
    *ret = csv;
    return FAULT_NONE;
}

void csv_progress(const struct csv *csv, uint64_t *ret_done, uint64_t *ret_total)
{
    *ret_done = csv->source.done;
    *ret_total = csv->source.total;
}

void csv_close(struct csv **csv)
{
    struct csv *c = *csv;

    if (c == NULL)
        return;
    csv_source_close(&c->source);
    /* Rows of patients were here. */
    explicit_bzero(c->buffer, c->size);
    free(c->buffer);
    free(c->fields);
    free(c->flags);
    if (c->scratch != NULL)
        explicit_bzero(c->scratch, c->scratch_size);
    free(c->scratch);
    free(c);
    *csv = NULL;
}

/* ---- the buffer ---- */

static enum fault fill(struct cx *cx, struct csv *csv)
{
    size_t got;

    if (csv->start > 0) {
        memmove(csv->buffer, csv->buffer + csv->start, csv->end - csv->start);
        csv->end -= csv->start;
        csv->start = 0;
    }
    if (csv->end == csv->size) {
        uint8_t *larger;

        if (csv->size >= CSV_ROW_BYTES_MAX)
            return cx_fail(cx, FAULT_BOUND,
                           "row %llu, line %llu: more than %d bytes in one row; look for a "
                           "missing quote",
                           (unsigned long long)csv->row, (unsigned long long)csv->line,
                           CSV_ROW_BYTES_MAX);
        larger = realloc(csv->buffer, csv->size * 2 + 1);
        if (larger == NULL)
            return cx_fail(cx, FAULT_MEMORY, "no memory for a long row");
        csv->buffer = larger;
        csv->size *= 2;
    }
    TRY(csv_source_read(cx, &csv->source, csv->buffer + csv->end, csv->size - csv->end,
                        &got));
    csv->end += got;
    csv->no_more = got == 0;
    csv->buffer[csv->end] = 0;
    return FAULT_NONE;
}

static bool fields_room(struct csv *csv)
{
    size_t size = csv->fields_size ? csv->fields_size * 2 : 64;
    struct csv_field *fields = realloc(csv->fields, size * sizeof *fields);

    if (fields == NULL)
        return false;
    csv->fields = fields;
    uint8_t *flags = realloc(csv->flags, size);
    if (flags == NULL)
        return false;
    csv->flags = flags;
    csv->fields_size = size;
    return true;
}

/* ---- finding ---- */

/* From behind the opening quote to behind the closing one. */
static enum outcome scan_quoted(struct csv *csv, const uint8_t **at,
                                const uint8_t **ret_close, uint8_t *flags)
{
    const uint8_t *p = *at, *end = csv->buffer + csv->end;

    for (;;) {
        while (csv->class[*p] == 0 || csv->class[*p] == C_DELIMITER)
            p++;
        switch (csv->class[*p]) {
        case C_QUOTE:
            if (p + 1 == end && !csv->no_more)
                return NEED_MORE;
            if (p + 1 < end && p[1] == (uint8_t)csv->format.quote) {
                *flags |= F_DOUBLED;
                p += 2;
                break;
            }
            *ret_close = p;
            *at = p + 1;
            return ROW;
        case C_NUL:
            if (p == end)
                return csv->no_more ? UNCLOSED : NEED_MORE;
            *flags |= F_NUL;
            p++;
            break;
        case C_HIGH:
            *flags |= F_HIGH;
            p++;
            break;
        default: /* a line end is text here */
            *flags |= F_LINES;
            p++;
        }
    }
}

/* To the delimiter, line end or end of the buffer that ends the field. */
static const uint8_t *scan_plain(const struct csv *csv, const uint8_t *p, uint8_t *flags)
{
    const uint8_t *end = csv->buffer + csv->end;

    for (;;) {
        while (csv->class[*p] == 0)
            p++;
        switch (csv->class[*p]) {
        case C_QUOTE:
            *flags |= F_INSIDE;
            break;
        case C_HIGH:
            *flags |= F_HIGH;
            break;
        case C_NUL:
            if (p == end)
                return p;
            *flags |= F_NUL;
            break;
        default:
            return p;
        }
        p++;
    }
}

/* One field from *at to what ends it. */
static enum outcome scan_field(struct csv *csv, const uint8_t **at)
{
    const uint8_t *p = *at, *text = p, *close = NULL;
    uint8_t flags = 0;

    csv->open_at = (size_t)(p - csv->buffer);
    if (csv->class[*p] == C_QUOTE) {
        uint8_t rest = 0;

        text = ++p;
        enum outcome outcome = scan_quoted(csv, &p, &close, &flags);
        if (outcome != ROW)
            return outcome;
        const uint8_t *behind = p;
        p = scan_plain(csv, p, &rest);
        if (p > behind)
            flags |= F_STRAY;
    } else {
        p = scan_plain(csv, p, &flags);
    }
    size_t n = (size_t)((close != NULL ? close : p) - text);

    if (n > CSV_FIELD_BYTES_MAX)
        return TOO_LONG;
    csv->fields[csv->n] =
        (struct csv_field){(const char *)text, (uint32_t)n, close != NULL, false};
    csv->flags[csv->n++] = flags;
    *at = p;
    return ROW;
}

/* A whole row from csv->start; changes nothing in the buffer. */
static enum outcome scan_row(struct csv *csv)
{
    const uint8_t *p = csv->buffer + csv->start, *end = csv->buffer + csv->end;

    csv->n = 0;
    for (;;) {
        if (csv->n == csv->fields_size && (csv->n >= CSV_FIELDS_MAX || !fields_room(csv)))
            return TOO_MANY;
        enum outcome outcome = scan_field(csv, &p);

        if (outcome != ROW)
            return outcome;
        if (p == end) {
            if (!csv->no_more)
                return NEED_MORE;
            csv->next = csv->end;
            return ROW;
        }
        if (csv->class[*p] == C_DELIMITER) {
            p++;
            continue;
        }
        if (*p == '\r') {
            if (p + 1 == end && !csv->no_more)
                return NEED_MORE;
            p += p + 1 < end && p[1] == '\n';
        }
        csv->next = (size_t)(p + 1 - csv->buffer);
        return ROW;
    }
}

/* ---- mending ---- */

static uint64_t line_ends(const char *p, size_t n)
{
    uint64_t lines = 0;

    for (size_t i = 0; i < n; i++)
        lines += p[i] == '\n' ? i == 0 || p[i - 1] != '\r' : p[i] == '\r';
    return lines;
}

static void undouble(struct csv *csv, struct csv_field *f)
{
    char *to = (char *)csv->buffer + ((const uint8_t *)f->text - csv->buffer), *w = to;

    for (size_t i = 0; i < f->n; i++) {
        *w++ = to[i];
        i += to[i] == csv->format.quote;
    }
    f->n = (uint32_t)(w - to);
}

static void complain(struct csv *csv, const struct csv_row *row, size_t column,
                     const char *what)
{
    csv->fields[column].bad = true;
    csv->report(csv->user, row, column, what);
}

/* Position of the first byte that is not UTF-8, or n. */
static size_t utf8_ends(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)text[i];
        size_t size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

        if (c >= 0x80 && (size > n - i || !utf8_is_clean(text + i, size)))
            return i;
        i += size;
    }
    return n;
}

/* 0x80 to 0x9f of Windows-1252; 0: no character there. */
static const uint16_t windows_1252[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178};

/* One byte as UTF-8 at w; the bytes written, 0 when it is no character. */
static size_t put_character(const struct csv *csv, uint8_t c, uint8_t *w)
{
    unsigned u = c;

    if (c < 0x80) {
        *w = c;
        return 1;
    }
    if (c < 0xa0 && csv->format.encoding == CSV_WINDOWS_1252)
        u = windows_1252[c - 0x80];
    if (u == 0)
        return 0;
    if (u < 0x800) {
        w[0] = (uint8_t)(0xc0 | u >> 6);
        w[1] = (uint8_t)(0x80 | (u & 0x3f));
        return 2;
    }
    w[0] = (uint8_t)(0xe0 | u >> 12);
    w[1] = (uint8_t)(0x80 | (u >> 6 & 0x3f));
    w[2] = (uint8_t)(0x80 | (u & 0x3f));
    return 3;
}

static void convert(struct csv *csv, const struct csv_row *row, size_t column, uint8_t **w)
{
    struct csv_field *f = &csv->fields[column];
    const uint8_t *text = (const uint8_t *)f->text;
    uint8_t *begin = *w;
    char what[160];

    for (size_t i = 0; i < f->n; i++) {
        size_t n = put_character(csv, text[i], *w);

        if (n == 0) {
            (void)snprintf(what, sizeof what,
                           "byte 0x%02x at position %zu is no character of windows-1252; "
                           "check `encoding`",
                           text[i], i + 1);
            complain(csv, row, column, what);
            return;
        }
        *w += n;
    }
    f->text = (const char *)begin;
    f->n = (uint32_t)(*w - begin);
}

static void check_utf8(struct csv *csv, const struct csv_row *row, size_t column)
{
    const struct csv_field *f = &csv->fields[column];
    size_t good = utf8_ends(f->text, f->n);
    char what[200];

    if (good == f->n)
        return;
    (void)snprintf(
        what, sizeof what,
        "byte 0x%02x at position %zu is not UTF-8; save the file as UTF-8, or say "
        "`encoding: windows-1252` (or latin1) in the mapping file",
        (unsigned char)f->text[good], good + 1);
    complain(csv, row, column, what);
}

static enum fault scratch_room(struct cx *cx, struct csv *csv)
{
    size_t need = 0;

    for (size_t i = 0; i < csv->n; i++)
        if (csv->flags[i] & F_HIGH)
            need += (size_t)csv->fields[i].n * 3;
    if (need <= csv->scratch_size)
        return FAULT_NONE;
    free(csv->scratch);
    csv->scratch_size = 0;
    csv->scratch = malloc(need);
    if (csv->scratch == NULL)
        return cx_fail(cx, FAULT_MEMORY, "no memory for a long row");
    csv->scratch_size = need;
    return FAULT_NONE;
}

static void mend_field(struct csv *csv, const struct csv_row *row, size_t i, uint8_t **w)
{
    struct csv_field *f = &csv->fields[i];
    uint8_t flags = csv->flags[i];

    if (flags & F_LINES)
        csv->line += line_ends(f->text, f->n);
    if (flags & F_DOUBLED)
        undouble(csv, f);
    if (flags & F_STRAY)
        complain(csv, row, i,
                 "text stands after the closing quote; double the quotes inside the field");
    else if (flags & F_INSIDE)
        complain(csv, row, i,
                 "a quote stands inside a field without quotes; put the whole field in "
                 "quotes and double those inside");
    else if (flags & F_NUL)
        complain(csv, row, i, "a NUL byte; the file is damaged or not text");
    else if (flags & F_HIGH && csv->format.encoding == CSV_UTF8)
        check_utf8(csv, row, i);
    else if (flags & F_HIGH)
        convert(csv, row, i, w);
}

static enum fault mend(struct cx *cx, struct csv *csv, const struct csv_row *row)
{
    uint8_t any = 0, *w;

    for (size_t i = 0; i < csv->n; i++)
        any |= csv->flags[i];
    if (any == 0)
        return FAULT_NONE;
    if (any & F_HIGH && csv->format.encoding != CSV_UTF8)
        TRY(scratch_room(cx, csv));
    w = csv->scratch;
    for (size_t i = 0; i < csv->n; i++)
        if (csv->flags[i] != 0)
            mend_field(csv, row, i, &w);
    return FAULT_NONE;
}

/* ---- rows ---- */

static enum fault cannot_go_on(struct cx *cx, const struct csv *csv, enum outcome outcome)
{
    uint64_t line = csv->line + line_ends((const char *)csv->buffer + csv->start,
                                          csv->open_at - csv->start);
    unsigned long long row = csv->row, at = line;

    switch (outcome) {
    case UNCLOSED:
        return cx_fail(cx, FAULT_FORMAT,
                       "row %llu, line %llu, column %zu: a quote is opened here and never "
                       "closed; close it, or double it if it belongs to the text",
                       row, at, csv->n + 1);
    case TOO_LONG:
        return cx_fail(
            cx, FAULT_BOUND,
            "row %llu, line %llu, column %zu: a field of more than %d bytes begins "
            "here; look for a quote that is never closed",
            row, at, csv->n + 1, CSV_FIELD_BYTES_MAX);
    default:
        return csv->n < CSV_FIELDS_MAX
                   ? cx_fail(cx, FAULT_MEMORY, "no memory for a long row")
                   : cx_fail(cx, FAULT_BOUND,
                             "row %llu, line %llu: more than %d fields; check `delimiter`",
                             row, at, CSV_FIELDS_MAX);
    }
}

static enum fault find_row(struct cx *cx, struct csv *csv)
{
    for (;;) {
        enum outcome outcome = scan_row(csv);

        if (outcome == ROW)
            return FAULT_NONE;
        if (outcome == NEED_MORE && csv->end > csv->open_at + CSV_FIELD_BYTES_MAX + 16)
            outcome = TOO_LONG;
        if (outcome != NEED_MORE)
            return cannot_go_on(cx, csv, outcome);
        TRY(fill(cx, csv));
    }
}

enum fault csv_next(struct cx *cx, struct csv *csv, struct csv_row *ret, bool *ret_more)
{
    for (;;) {
        struct csv_row row = {.row = csv->row, .line = csv->line};

        if (csv->start == csv->end && !csv->no_more)
            TRY(fill(cx, csv));
        if (csv->row == 1 && csv->start == 0)
            while (csv->end < 3 && !csv->no_more)
                TRY(fill(cx, csv));
        if (csv->row == 1 && csv->start == 0 && csv->end >= 3 &&
            memcmp(csv->buffer, "\xef\xbb\xbf", 3) == 0)
            csv->start = 3;
        if (csv->start == csv->end && csv->no_more) {
            *ret_more = false;
            return FAULT_NONE;
        }
        TRY(find_row(cx, csv));
        row.n = csv->n;
        row.fields = csv->fields;
        TRY(mend(cx, csv, &row));
        csv->start = csv->next;
        csv->row++;
        csv->line++;
        if (csv->n == 1 && csv->fields[0].n == 0 && !csv->fields[0].quoted &&
            !csv->fields[0].bad)
            continue; /* a blank line */
        *ret = row;
        *ret_more = true;
        return FAULT_NONE;
    }
}

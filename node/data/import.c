/* import.c - the run from first byte to report. */
#include "node/data/import.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/data/import_private.h"
#include "node/vault/column.h"

enum { ROWS_AT_FIRST = 4096, PROGRESS_ROWS = 16384, TEXT_PROBLEMS = 50, TEXT_ALIKE = 3 };

/* ---- problems ---- */

void import_problem(struct importer *im, uint64_t row, uint64_t line, const char *column,
                    const char *format, ...)
{
    struct import_report *r = im->report;
    char text[1000];
    va_list args;

    r->n_problems++;
    if (r->n_kept >= IMPORT_PROBLEMS_MAX)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *kept = cx_strdup(im->cx, text);
    r->problems[r->n_kept++] = (struct import_problem){
        .row = row,
        .line = line,
        .column = column,
        .text = kept != NULL ? kept : "a problem (no memory to describe it)",
    };
}

const char *import_quote(struct importer *im, const struct csv_field *f)
{
    char text[IMPORT_QUOTE_MAX + 8];
    size_t n = 0, characters = 0, i = 0;

    text[n++] = '"';
    for (; i < f->n && n < IMPORT_QUOTE_MAX; i++, characters++) {
        unsigned char c = (unsigned char)f->text[i];

        text[n++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    while (i < f->n && n > 1 &&
           ((unsigned char)f->text[i] & 0xc0) == 0x80) { /* no half one */
        n--;
        i--;
    }
    text[n] = '\0';
    const char *quote = cx_printf(im->cx, "%s%s\"", text, i < f->n ? "..." : "");
    return quote != NULL ? quote : "the text";
}

static void from_csv(void *user, const struct csv_row *row, size_t column, const char *what)
{
    struct importer *im = user;
    char name[32];
    const char *at = name;

    if (column < im->n_columns)
        at = im->columns[column];
    else if ((void)snprintf(name, sizeof name, "%zu", column + 1),
             (at = cx_strdup(im->cx, name)) == NULL)
        at = "";
    import_problem(im, row->row, row->line, at, "%s", what);
}

/* ---- rows ---- */

static bool grow_array(void **p, size_t bytes)
{
    void *larger = realloc(*p, bytes);

    if (larger == NULL)
        return false;
    *p = larger;
    return true;
}

static enum fault make_room(struct importer *im)
{
    uint64_t size = im->size ? im->size * 2 : ROWS_AT_FIRST;
    bool good =
        size <= UINT32_MAX && grow_array((void **)&im->order, size * sizeof(struct order));

    for (size_t i = 0; good && i < im->report->n_variables; i++) {
        struct target *t = &im->targets[i];

        if (t->stored && t->column != SIZE_MAX)
            good = grow_array((void **)&t->values, size * sizeof(double)) &&
                   grow_array((void **)&t->valid, size);
    }
    if (!good)
        return cx_fail(im->cx, FAULT_MEMORY, "no memory for %llu rows",
                       (unsigned long long)size);
    im->size = size;
    return FAULT_NONE;
}

static uint64_t big_endian(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

static void read_unit(struct importer *im, const struct csv_row *row,
                      const struct csv_field *f, uint64_t at)
{
    const char *name_space = codebook_namespace(im->cb);
    const char *p = f->text;
    size_t n = f->n;
    uint8_t hash[16];
    double missing;

    for (; n > 0 && (*p == ' ' || *p == '\t'); n--)
        p++;
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
        n--;
    if (n == 0 || words_find(&im->unit->words, p, n, &missing)) {
        import_problem(im, row->row, row->line, im->columns[im->unit->column],
                       "the count unit is missing; every row must say whose it is");
        return;
    }
    if (n != im->last_n || memcmp(p, im->last_id, n) != 0) {
        patient_hash(im->setup->key, name_space, p, n, hash);
        im->last_order.high = big_endian(hash);
        im->last_order.low = big_endian(hash + 8);
        im->last_n = n <= sizeof im->last_id ? n : 0;
        memcpy(im->last_id, p, im->last_n);
    }
    im->order[at] = im->last_order;
    im->order[at].row = (uint32_t)at;
}

static enum fault read_row(struct importer *im, const struct csv_row *row, uint64_t at)
{
    if (row->n != im->n_columns) {
        import_problem(
            im, row->row, row->line, NULL,
            "%zu fields; expected %zu as in the first row: look for a missing or "
            "unquoted delimiter",
            row->n, im->n_columns);
        return FAULT_NONE;
    }
    if (at >= im->size)
        TRY(make_room(im));
    if (im->unit->column != SIZE_MAX && !row->fields[im->unit->column].bad)
        read_unit(im, row, &row->fields[im->unit->column], at);
    for (size_t i = 0; i < im->report->n_variables; i++) {
        struct target *t = &im->targets[i];

        if (t->stored && t->column != SIZE_MAX && !row->fields[t->column].bad)
            import_field(im, t, row, &row->fields[t->column], at);
    }
    return FAULT_NONE;
}

static void tell(const struct importer *im, const struct csv *csv, uint64_t rows)
{
    uint64_t done, total;

    if (im->setup->progress == NULL)
        return;
    csv_progress(csv, &done, &total);
    im->setup->progress(im->setup->user, done, total, rows);
}

static enum fault read_rows(struct importer *im, struct csv *csv)
{
    struct csv_row row;
    bool more;
    uint64_t rows = 0;

    TRY(csv_next(im->cx, csv, &row, &more));
    if (!more) {
        import_problem(im, 0, 0, NULL, "the file is empty; expected a row of column names");
        return FAULT_NONE;
    }
    if (im->mapping->header) {
        TRY(import_header(im, &row));
        TRY(csv_next(im->cx, csv, &row, &more));
    } else {
        TRY(import_places(im, row.n));
    }
    while (more) {
        if (rows >= UINT32_MAX)
            return cx_fail(im->cx, FAULT_BOUND, "more than %u rows in one file",
                           UINT32_MAX);
        TRY(read_row(im, &row, rows));
        rows++;
        if (rows % PROGRESS_ROWS == 0) {
            tell(im, csv, rows);
            TRY(cx_on_time(im->cx));
        }
        TRY(csv_next(im->cx, csv, &row, &more));
    }
    tell(im, csv, rows);
    im->report->rows = rows;
    return FAULT_NONE;
}

/* ---- the run ---- */

static enum fault list_absent(struct importer *im)
{
    CX_NEW(im->cx, im->report->absent, im->report->n_variables);
    for (size_t i = 0; i < im->report->n_variables; i++) {
        const struct target *t = &im->targets[i];

        if (t->source != NULL)
            t = t->source; /* it is there, or missing, where its source is */
        if (t->stored && t->column == SIZE_MAX)
            im->report->absent[im->report->n_absent++] = im->targets[i].v->name;
        im->report->missing[i] =
            t->stored && t->column == SIZE_MAX ? im->report->rows : t->missing;
    }
    return FAULT_NONE;
}

static enum fault read_and_write(struct importer *im)
{
    struct csv *csv = NULL;
    enum fault fault = import_targets(im);

    if (fault == FAULT_NONE)
        fault =
            csv_open(im->cx, im->setup->csv_fd, &im->mapping->format, from_csv, im, &csv);
    if (fault == FAULT_NONE)
        fault = read_rows(im, csv);
    csv_close(&csv);
    /* What ended the reading is a problem of the file like those before it. */
    if (fault == FAULT_FORMAT || fault == FAULT_BOUND)
        import_problem(im, 0, 0, NULL, "%s", cx_message(im->cx));
    else if (fault != FAULT_NONE)
        return fault;
    TRY(list_absent(im));
    if (im->report->n_problems > 0)
        return cx_fail(
            im->cx, FAULT_FORMAT,
            "%llu problem%s; nothing was imported: correct the file, the mapping or "
            "the codebook and import it again",
            (unsigned long long)im->report->n_problems,
            im->report->n_problems == 1 ? "" : "s");
    return import_write(im, im->report->rows);
}

enum fault import_run(struct cx *cx, const struct import_setup *setup,
                      struct import_report *ret)
{
    struct importer im = {.cx = cx, .setup = setup, .cb = setup->cb, .report = ret};
    struct mapping *standard;
    enum fault fault;

    *ret = (struct import_report){0};
    CX_NEW(cx, ret->problems, IMPORT_PROBLEMS_MAX);
    im.mapping = setup->mapping;
    if (im.mapping == NULL) {
        TRY(mapping_standard(cx, setup->cb, &standard));
        im.mapping = standard;
    }
    fault = read_and_write(&im);
    for (size_t i = 0; im.targets != NULL && i < ret->n_variables; i++) {
        free(im.targets[i].values);
        free(im.targets[i].valid);
    }
    free(im.order);
    explicit_bzero(im.last_id, sizeof im.last_id);
    return fault;
}

/* ---- for people ---- */

static void put_list(struct buffer *b, const char *what, const char *const *names, size_t n)
{
    if (n == 0)
        return;
    buffer_printf(b, "%s: ", what);
    for (size_t i = 0; i < n && i < 30; i++)
        buffer_printf(b, "%s%.60s", i > 0 ? ", " : "", names[i]);
    if (n > 30)
        buffer_printf(b, " and %zu more", n - 30);
    buffer_text(b, "\n");
}

static void put_problem(struct buffer *b, const struct import_problem *p)
{
    if (p->row > 0)
        buffer_printf(b, "row %llu", (unsigned long long)p->row);
    if (p->row > 0 && p->line != p->row)
        buffer_printf(b, " (line %llu)", (unsigned long long)p->line);
    if (p->column != NULL)
        buffer_printf(b, "%scolumn %.60s", p->row > 0 ? ", " : "", p->column);
    buffer_printf(b, "%s%s\n", p->row > 0 || p->column != NULL ? ": " : "", p->text);
}

/* What a problem says apart from the field it quotes and from numbers: a column in another
 * unit gives thousands of problems that are one. */
static const char *next_word(const char *p)
{
    while (isdigit((unsigned char)*p))
        p++;
    return p;
}

static const char *behind_quote(const char *text)
{
    const char *end = text[0] == '"' ? strstr(text + 1, "\" ") : NULL;

    return end != NULL ? end + 1 : text;
}

static bool is_alike(const struct import_problem *a, const struct import_problem *b)
{
    const char *p = behind_quote(a->text), *q = behind_quote(b->text);

    if ((a->column == NULL) != (b->column == NULL) ||
        (a->column != NULL && strcmp(a->column, b->column) != 0))
        return false;
    for (p = next_word(p), q = next_word(q); *p != '\0' && *p == *q;)
        p = next_word(p + 1), q = next_word(q + 1);
    return *p == *q;
}

/* The first TEXT_ALIKE of each kind, and how many more there are. Returns how many problems
 * the text speaks of. */
static size_t put_problems(struct buffer *b, const struct import_report *r)
{
    size_t told = 0, lines = 0;

    for (size_t i = 0; i < r->n_kept && lines < TEXT_PROBLEMS; i++) {
        size_t before = 0, behind = 0;

        for (size_t k = 0; k < i; k++)
            before += is_alike(&r->problems[k], &r->problems[i]);
        if (before >= TEXT_ALIKE)
            continue;
        put_problem(b, &r->problems[i]);
        lines++;
        told++;
        for (size_t k = i + 1; before + 1 == TEXT_ALIKE && k < r->n_kept; k++)
            behind += is_alike(&r->problems[k], &r->problems[i]);
        if (behind > 0)
            buffer_printf(b, "    and %zu more like that\n", behind);
        told += behind;
    }
    return told;
}

static void put_missing(struct buffer *b, const struct codebook *cb,
                        const struct import_report *r)
{
    bool any = false;

    for (size_t i = 0; i < r->n_variables; i++) {
        if (r->missing[i] == 0 || r->missing[i] == r->rows)
            continue;
        buffer_printf(b, "%s%s %llu",
                      any ? ", " : "missing: ", codebook_variable(cb, (int)i)->name,
                      (unsigned long long)r->missing[i]);
        any = true;
    }
    buffer_text(b, any ? "\n" : "");
}

const char *import_report_text(struct cx *cx, const struct codebook *cb,
                               const struct import_report *r)
{
    struct buffer b = buffer_new(cx, 4 * 1024 * 1024);
    size_t told = put_problems(&b, r);

    if (r->n_problems > told)
        buffer_printf(&b, "and %llu more\n", (unsigned long long)(r->n_problems - told));
    if (r->n_problems > 0) {
        buffer_printf(&b, "%llu problem%s; nothing was imported\n",
                      (unsigned long long)r->n_problems, r->n_problems == 1 ? "" : "s");
        return buffer_string(&b);
    }
    buffer_printf(&b, "%llu row%s of %llu patient%s, %zu variables\n",
                  (unsigned long long)r->rows, r->rows == 1 ? "" : "s",
                  (unsigned long long)r->patients, r->patients == 1 ? "" : "s",
                  r->n_stored);
    if (r->rows == 0)
        buffer_text(&b, "note: the file has no rows, so this version speaks for nobody; if "
                        "that is not meant, import the right file\n");
    else if (r->patients == 1 && r->rows > 1)
        buffer_printf(&b,
                      "note: all rows are of one patient; is `%s` the column that tells "
                      "patients apart?\n",
                      cb->body->count_unit);
    put_list(&b, "not in this file, stored as missing", r->absent, r->n_absent);
    put_list(&b, "columns not stored", r->ignored, r->n_ignored);
    put_missing(&b, cb, r);
    return buffer_string(&b);
}

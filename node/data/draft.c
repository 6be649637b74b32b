/* draft.c - what a file's columns seem to be. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/data/csv.h"
#include "node/data/day.h"
#include "node/data/decimal.h"
#include "node/data/draft_private.h"

const char *const draft_missing_words[DRAFT_MISSING_WORDS] = {"NA", "N/A", "NULL", "null",
                                                              ".",  "NaN", "nan",  "-"};

struct first_problem {
    struct cx *cx;
    bool any;
};

static void note(void *user, const struct csv_row *row, size_t column, const char *what)
{
    struct first_problem *p = user;

    if (!p->any)
        (void)cx_fail(p->cx, FAULT_FORMAT, "row %llu, line %llu, column %zu: %s",
                      (unsigned long long)row->row, (unsigned long long)row->line,
                      column + 1, what);
    p->any = true;
}

/* Lower case, other characters as _, a letter first, at most 32 bytes. */
static void make_name(const char *column, size_t place, char name[40])
{
    size_t n = 0;

    for (const char *p = column; *p != '\0' && n < 28; p++) {
        char c = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
        bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (good)
            name[n++] = c;
        else if (n > 0 && name[n - 1] != '_')
            name[n++] = '_';
    }
    while (n > 0 && name[n - 1] == '_')
        n--;
    name[n] = '\0';
    if (n == 0)
        (void)snprintf(name, 40, "v%zu", place);
    else if (name[0] < 'a' || name[0] > 'z') {
        memmove(name + 1, name, n + 1);
        name[0] = 'v';
    }
}

/* Names of the cohort language, and names that another column has, get a number. */
static void make_unique(struct draft_column *columns, size_t i)
{
    static const char *const taken[] = {"and", "or",      "not",  "in",    "between",
                                        "is",  "missing", "true", "false", "everybody"};
    char base[40];
    bool clash = true;

    memcpy(base, columns[i].name, sizeof base);
    for (unsigned k = 2; clash; k++) {
        clash = false;
        for (size_t w = 0; w < COUNT(taken); w++)
            clash |= strcmp(columns[i].name, taken[w]) == 0;
        for (size_t j = 0; j < i && !clash; j++)
            clash = strcmp(columns[i].name, columns[j].name) == 0;
        if (clash)
            (void)snprintf(columns[i].name, sizeof columns[i].name, "%.26s%u", base, k);
    }
}

static bool is_missing_word(struct draft_column *c, const char *p, size_t n)
{
    for (size_t i = 0; i < DRAFT_MISSING_WORDS; i++)
        if (strlen(draft_missing_words[i]) == n &&
            memcmp(p, draft_missing_words[i], n) == 0) {
            c->missing_seen[i] = true;
            return true;
        }
    return false;
}

static enum fault count_value(struct cx *cx, struct draft_column *c, const char *p,
                              size_t n)
{
    double place;
    char *text;

    if (c->too_many)
        return FAULT_NONE;
    if (n > DRAFT_WORD_BYTES) {
        c->too_many = true;
        return FAULT_NONE;
    }
    if (c->values == NULL) {
        CX_NEW(cx, c->values, DRAFT_DISTINCT_MAX);
        TRY(words_new(cx, DRAFT_DISTINCT_MAX, &c->places));
    }
    if (words_find(&c->places, p, n, &place)) {
        c->values[(size_t)place].rows++;
        return FAULT_NONE;
    }
    if (c->n_values == DRAFT_DISTINCT_MAX) {
        c->too_many = true;
        return FAULT_NONE;
    }
    if ((text = cx_alloc(cx, n + 1)) == NULL)
        return FAULT_MEMORY;
    memcpy(text, p, n);
    (void)words_add(&c->places, text, n, (double)c->n_values);
    c->values[c->n_values++] = (struct draft_value){text, 1};
    return FAULT_NONE;
}

static enum fault learn(struct cx *cx, struct draft_column *c, const struct csv_field *f)
{
    const char *p = f->text;
    size_t n = f->n;
    double x;
    int32_t day;

    c->rows++;
    for (; n > 0 && (*p == ' ' || *p == '\t'); n--)
        p++;
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
        n--;
    if (n == 0 || is_missing_word(c, p, n)) {
        c->missing++;
        return FAULT_NONE;
    }
    if (decimal_read(p, n, '.', &x)) {
        c->lowest = c->numbers == 0 || x < c->lowest ? x : c->lowest;
        c->highest = c->numbers == 0 || x > c->highest ? x : c->highest;
        c->numbers++;
        c->wholes += x == floor(x);
        c->bits += n == 1 && (*p == '0' || *p == '1');
    } else if (day_read(p, n, day_format_standard, &day) == DAY_READ) {
        c->first = c->days == 0 || day < c->first ? day : c->first;
        c->last = c->days == 0 || day > c->last ? day : c->last;
        c->days++;
    }
    /* Levels are texts as they stand, so they are not trimmed. */
    return count_value(cx, c, f->text, f->n);
}

static enum fault no_id(struct cx *cx, const char *const *names, size_t n)
{
    struct buffer list = buffer_new(cx, DRAFT_COLUMNS_MAX * 64);

    for (size_t i = 0; i < n && i < 30; i++)
        buffer_printf(&list, "%s%.40s", i > 0 ? ", " : "", names[i]);
    if (n > 30)
        buffer_printf(&list, " and %zu more", n - 30);
    const char *all = buffer_string(&list);
    return cx_fail(
        cx, FAULT_USAGE,
        "which column tells whose row it is? Say so with --id COLUMN; the file has "
        "%s",
        all != NULL ? all : "many");
}

static enum fault read_header(struct cx *cx, const struct csv_row *row,
                              const char *id_column, struct draft_column **ret,
                              size_t *ret_id)
{
    struct draft_column *columns;
    const char **names;
    size_t id = row->n;

    if (row->n > DRAFT_COLUMNS_MAX)
        return cx_fail(cx, FAULT_BOUND, "%zu columns; at most %d are allowed", row->n,
                       DRAFT_COLUMNS_MAX);
    CX_NEW(cx, columns, row->n);
    CX_NEW(cx, names, row->n);
    for (size_t i = 0; i < row->n; i++) {
        char *name = cx_alloc(cx, (size_t)row->fields[i].n + 1);

        if (name == NULL)
            return FAULT_MEMORY;
        memcpy(name, row->fields[i].text, row->fields[i].n);
        names[i] = columns[i].column = name;
        make_name(name, i + 1, columns[i].name);
        make_unique(columns, i);
        if (strcmp(name, id_column) == 0)
            id = i;
    }
    if (id == row->n && id_column[0] == '\0')
        return no_id(cx, names, row->n);
    if (id == row->n) {
        const char *near = bytes_nearest(id_column, names, row->n);

        return cx_fail(
            cx, FAULT_FORMAT,
            "there is no column \"%.60s\"%s%.60s%s; say which column tells whose "
            "row it is",
            id_column, near != NULL ? ", did you mean \"" : "", near != NULL ? near : "",
            near != NULL ? "\"?" : "");
    }
    if (row->n < 2)
        return cx_fail(cx, FAULT_FORMAT,
                       "the file has one column; expected the count unit and at least one "
                       "other, separated by commas");
    *ret = columns;
    *ret_id = id;
    return FAULT_NONE;
}

static enum fault read_rows(struct cx *cx, struct csv *csv,
                            const struct first_problem *problem, const char *id_column,
                            struct draft_column **ret, size_t *ret_n, size_t *ret_id)
{
    struct csv_row row;
    bool more;

    TRY(csv_next(cx, csv, &row, &more));
    if (!more)
        return cx_fail(cx, FAULT_FORMAT,
                       "the file is empty; expected a row of column names");
    if (problem->any)
        return cx_fault(cx);
    TRY(read_header(cx, &row, id_column, ret, ret_id));
    *ret_n = row.n;
    for (;;) {
        TRY(csv_next(cx, csv, &row, &more));
        if (!more)
            return FAULT_NONE;
        if (problem->any)
            return cx_fault(cx);
        if (row.n != *ret_n)
            return cx_fail(
                cx, FAULT_FORMAT,
                "row %llu, line %llu: %zu fields; expected %zu as in the first row",
                (unsigned long long)row.row, (unsigned long long)row.line, row.n, *ret_n);
        for (size_t i = 0; i < row.n; i++)
            if (i != *ret_id)
                TRY(learn(cx, &(*ret)[i], &row.fields[i]));
    }
}

enum fault codebook_draft(struct cx *cx, int csv_fd, const char *dataset,
                          const char *id_column, const char **ret_text)
{
    struct first_problem problem = {.cx = cx};
    struct draft_column *columns = NULL;
    struct csv *csv;
    size_t n = 0, id = 0;
    enum fault fault;

    if (!name_is_valid(dataset))
        return cx_fail(
            cx, FAULT_INVALID,
            "dataset `%.60s`: expected a lower-case letter followed by at most 31 "
            "letters, digits or _",
            dataset);
    TRY(csv_open(cx, csv_fd, &csv_format_standard, note, &problem, &csv));
    fault =
        read_rows(cx, csv, &problem, id_column != NULL ? id_column : "", &columns, &n, &id);
    csv_close(&csv);
    if (fault != FAULT_NONE)
        return fault;
    return draft_write(cx, dataset, columns, n, id, ret_text);
}

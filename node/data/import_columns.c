/* import_columns.c - the file's columns and the codebook's variables find each other. */
#include <math.h>
#include <string.h>

#include "node/data/import_private.h"

/* A text cannot mean two things; equal meanings may be said twice. */
static enum fault add_word(struct importer *im, struct target *t, const char *text,
                           double value)
{
    double before;

    if (words_add(&t->words, text, strlen(text), value))
        return FAULT_NONE;
    if (words_find(&t->words, text, strlen(text), &before) &&
        (before == value || (isnan(before) && isnan(value))))
        return FAULT_NONE;
    return cx_fail(
        im->cx, FAULT_FORMAT,
        "variable `%s`: the text `%.60s` would mean two things (a missing code and "
        "a level, or a recoding of a missing code); remove one of them",
        t->v->name, text);
}

static enum fault add_missing(struct importer *im, struct target *t,
                              const char *const *codes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (codes[i][0] != '\0')
            TRY(add_word(im, t, codes[i], NAN));
    return FAULT_NONE;
}

static enum fault fill_words(struct importer *im, struct target *t)
{
    const struct mapping_variable *how = t->how;
    size_t n = t->v->n_missing_codes + im->mapping->n_missing + how->n_missing +
               how->n_recode + t->v->n_levels;

    TRY(words_new(im->cx, n, &t->words));
    TRY(add_missing(im, t, (const char *const *)t->v->missing_codes,
                    t->v->n_missing_codes));
    TRY(add_missing(im, t, im->mapping->missing, im->mapping->n_missing));
    TRY(add_missing(im, t, how->missing, how->n_missing));
    for (size_t i = 0; i < how->n_recode; i++)
        TRY(add_word(im, t, how->from[i], how->to[i]));
    if (t->stored && t->levels)
        for (size_t i = 0; i < t->v->n_levels; i++) {
            const char *level = t->v->levels[i];

            /* A recoded text has its new meaning, even where it is a level's name. */
            if (!words_add(&t->words, level, strlen(level), (double)i)) {
                double before;

                if (words_find(&t->words, level, strlen(level), &before) && isnan(before))
                    TRY(add_word(im, t, level, (double)i));
            }
        }
    return FAULT_NONE;
}

enum fault import_targets(struct importer *im)
{
    size_t n = im->cb->body->n_variables;

    CX_NEW(im->cx, im->targets, n);
    CX_NEW(im->cx, im->report->missing, n);
    im->report->n_variables = n;
    for (size_t i = 0; i < n; i++) {
        struct target *t = &im->targets[i];

        t->v = codebook_variable(im->cb, (int)i);
        t->how = &im->mapping->variables[i];
        t->column = SIZE_MAX;
        t->stored = variable_is_usable(t->v);
        t->levels = variable_has_levels(t->v);
        variable_range(t->v, &t->lower, &t->upper);
        if (strcmp(t->v->name, im->cb->body->count_unit) == 0)
            im->unit = t;
        if (t->stored || t == im->unit)
            TRY(fill_words(im, t));
    }
    for (size_t i = 0; i < n; i++)
        if (variable_is_derived(im->targets[i].v))
            im->targets[i].source = &im->targets[codebook_find(im->cb, im->targets[i].v->from)];
    if (im->unit == NULL)
        return cx_fail(im->cx, FAULT_FORMAT, "the codebook's count unit is not a variable");
    return FAULT_NONE;
}

/* ---- the header ---- */

static const char *name_of(const struct target *t)
{
    return t->how->column != NULL ? t->how->column : t->v->name;
}

static enum fault read_names(struct importer *im, const struct csv_row *row)
{
    CX_NEW(im->cx, im->columns, row->n);
    im->n_columns = row->n;
    for (size_t i = 0; i < row->n; i++) {
        const char *p = row->fields[i].text;
        size_t n = row->fields[i].n;

        for (; n > 0 && (*p == ' ' || *p == '\t'); n--)
            p++;
        while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
            n--;
        char *name = cx_alloc(im->cx, n + 1);
        if (name == NULL)
            return FAULT_MEMORY;
        memcpy(name, p, n);
        im->columns[i] = name;
        if (row->fields[i].bad)
            continue;
        if (n == 0)
            import_problem(im, row->row, row->line, NULL,
                           "column %zu has no name; name every column in the first row (or "
                           "say `header: no` in the mapping file)",
                           i + 1);
    }
    return FAULT_NONE;
}

/* Names are few thousand at most, but a hostile header must not cost minutes: a table. */
static enum fault find_duplicates(struct importer *im, const struct csv_row *row,
                                  struct words *names)
{
    TRY(words_new(im->cx, im->n_columns, names));
    for (size_t i = 0; i < im->n_columns; i++) {
        double first;
        size_t n = strlen(im->columns[i]);

        if (n == 0 || words_add(names, im->columns[i], n, (double)i))
            continue;
        if (words_find(names, im->columns[i], n, &first))
            import_problem(
                im, row->row, row->line, NULL,
                "columns %zu and %zu are both named \"%.60s\"; rename or remove one",
                (size_t)first + 1, i + 1, im->columns[i]);
    }
    return FAULT_NONE;
}

static enum fault find_columns(struct importer *im, const struct csv_row *row,
                               const struct words *names)
{
    for (size_t i = 0; i < im->report->n_variables; i++) {
        struct target *t = &im->targets[i];
        const char *name = name_of(t), *near;
        double at;

        if (t->source != NULL)
            continue; /* computed, never read */
        if (words_find(names, name, strlen(name), &at)) {
            t->column = (size_t)at;
            continue;
        }
        if (t != im->unit && t->how->column == NULL)
            continue; /* a site may lack it */
        near = bytes_nearest(name, (const char *const *)im->columns, im->n_columns);
        import_problem(
            im, row->row, row->line, NULL, "there is no column \"%.60s\"%s%s%.60s%s%s",
            name, t == im->unit ? " (the count unit: whose rows these are)" : "",
            near != NULL ? ", did you mean \"" : "", near != NULL ? near : "",
            near != NULL ? "\"? Else " : "; ",
            t->how->column != NULL ? "correct `column` in the mapping file"
                                   : "add it, or name its column in a mapping file");
    }
    return FAULT_NONE;
}

static enum fault judge_others(struct importer *im, const struct csv_row *row)
{
    const char **absent_names;
    struct words ignore;
    bool *known;
    size_t n_absent = 0;

    CX_NEW(im->cx, known, im->n_columns);
    CX_NEW(im->cx, absent_names, im->report->n_variables);
    CX_NEW(im->cx, im->report->ignored, im->n_columns);
    TRY(words_new(im->cx, im->mapping->n_ignore, &ignore));
    for (size_t i = 0; i < im->mapping->n_ignore; i++)
        (void)words_add(&ignore, im->mapping->ignore[i], strlen(im->mapping->ignore[i]), 0);
    for (size_t i = 0; i < im->report->n_variables; i++) {
        const struct target *t = &im->targets[i];

        if (t->column != SIZE_MAX && (t->stored || t == im->unit))
            known[t->column] = true;
        else if (t->column == SIZE_MAX)
            absent_names[n_absent++] = t->v->name;
    }
    for (size_t i = 0; i < im->report->n_variables; i++) {
        const struct target *t = &im->targets[i];

        if (t->column != SIZE_MAX && !known[t->column]) {
            known[t->column] = true;
            im->report->ignored[im->report->n_ignored++] = im->columns[t->column];
        }
    }
    for (size_t i = 0; i < im->n_columns; i++) {
        const char *name = im->columns[i], *near;
        double unused;

        if (known[i] || name[0] == '\0')
            continue;
        if (im->mapping->ignore_others ||
            words_find(&ignore, name, strlen(name), &unused)) {
            im->report->ignored[im->report->n_ignored++] = name;
            continue;
        }
        near = bytes_nearest(name, absent_names, n_absent);
        int derived = codebook_find(im->cb, name);
        if (derived >= 0 && im->targets[derived].source != NULL) {
            import_problem(im, row->row, row->line, name,
                           "the variable of this name is computed from `%s`; leave the column "
                           "out, or say `ignore: [...]` with its name in a mapping file",
                           im->targets[derived].v->from);
            continue;
        }
        if (near != NULL && strcmp(near, name) == 0) {
            import_problem(
                im, row->row, row->line, name,
                "the variable of this name takes another column, as the mapping file "
                "says");
            continue;
        }
        import_problem(
            im, row->row, row->line, name,
            "no variable of the codebook takes this column; %s%s%sin a mapping "
            "file say `ignore: [...]` with its name, `ignore_others: yes`, or which "
            "variable it is",
            near != NULL ? "did you mean `" : "", near != NULL ? near : "",
            near != NULL ? "`? Rename it, or " : "");
    }
    return FAULT_NONE;
}

enum fault import_header(struct importer *im, const struct csv_row *row)
{
    struct words names;

    TRY(read_names(im, row));
    if (im->n_columns == 1)
        for (const char *p = ",;\t|"; *p != '\0'; p++)
            if (*p != im->mapping->format.delimiter && strchr(im->columns[0], *p) != NULL) {
                import_problem(
                    im, row->row, row->line, NULL,
                    "the first row is one column with \"%s\" inside; if that "
                    "separates the columns, say `delimiter: \"%s\"` in a mapping "
                    "file",
                    *p == '\t' ? "a tab" : (char[]){*p, 0},
                    *p == '\t' ? "\\t" : (char[]){*p, 0});
                return FAULT_NONE;
            }
    TRY(find_duplicates(im, row, &names));
    TRY(find_columns(im, row, &names));
    return judge_others(im, row);
}

enum fault import_places(struct importer *im, size_t n)
{
    CX_NEW(im->cx, im->columns, n);
    CX_NEW(im->cx, im->report->ignored, n);
    im->n_columns = n;
    for (size_t i = 0; i < n; i++)
        if ((im->columns[i] = cx_printf(im->cx, "column %zu", i + 1)) == NULL)
            return FAULT_MEMORY;
    for (size_t i = 0; i < im->report->n_variables; i++) {
        struct target *t = &im->targets[i];

        if (t->source != NULL)
            continue;
        if (t->how->place == 0) {
            if (t == im->unit)
                import_problem(
                    im, 0, 0, NULL,
                    "the mapping file does not say which column is the count unit "
                    "`%s`",
                    t->v->name);
            continue;
        }
        if (t->how->place <= n)
            t->column = t->how->place - 1;
        else
            import_problem(
                im, 0, 0, NULL,
                "variable `%s`: the mapping file says column %zu; the file has %zu",
                t->v->name, t->how->place, n);
    }
    return FAULT_NONE;
}

/* import_field.c - one field: missing, a word, a number or a day, within its bounds. */
#include <math.h>
#include <string.h>

#include "node/data/day.h"
#include "node/data/decimal.h"
#include "node/data/import_private.h"
#include "protocol/base/clock.h"

static void complain(struct importer *im, const struct target *t, const struct csv_row *row,
                     const struct csv_field *f, const char *expected)
{
    /* Beyond the bound only the count is kept, so no words are made for it. */
    if (im->report->n_problems >= IMPORT_PROBLEMS_MAX) {
        im->report->n_problems++;
        return;
    }
    import_problem(im, row->row, row->line, im->columns[t->column], "%s %s",
                   import_quote(im, f), expected);
}

static const char *range_text(struct importer *im, const struct target *t)
{
    char low[32], high[32];
    const char *text;

    if (t->v->type == COHORTIUM__VAR_TYPE__DATE) {
        (void)clock_date((int32_t)t->lower, low, sizeof low);
        (void)clock_date((int32_t)t->upper, high, sizeof high);
    } else {
        (void)decimal_write(t->lower, low);
        (void)decimal_write(t->upper, high);
    }
    text = cx_printf(im->cx, "%s to %s%s%s", low, high, t->v->unit[0] != '\0' ? " " : "",
                     t->v->unit);
    return text != NULL ? text : "";
}

static const char *words_text(struct importer *im, const char *format, const char *a,
                              const char *b)
{
    struct buffer out = buffer_new(im->cx, 4096);

    for (const char *p = format; *p != '\0'; p++) {
        if (*p == '@')
            buffer_text(&out, a);
        else if (*p == '#')
            buffer_text(&out, b);
        else
            buffer_put(&out, p, 1);
    }
    const char *text = buffer_string(&out);
    return text != NULL ? text : "";
}

static void outside(struct importer *im, const struct target *t, const struct csv_row *row,
                    const struct csv_field *f)
{
    if (im->report->n_problems >= IMPORT_PROBLEMS_MAX) {
        im->report->n_problems++;
        return;
    }
    const char *format =
        t->how->scaled ? "is outside the bounds of `@` after its factor and offset; "
                         "expected # in the codebook's unit"
        : t->v->type == COHORTIUM__VAR_TYPE__DATE || t->v->unit[0] == '\0'
            ? "is outside the bounds of `@`; expected #, or a missing code"
            : "is outside the bounds of `@`; expected #, or a missing code; a mapping file "
              "converts another unit (`factor`, `offset`)";
    complain(im, t, row, f, words_text(im, format, t->v->name, range_text(im, t)));
}

static bool store_number(struct importer *im, struct target *t, const struct csv_row *row,
                         const struct csv_field *f, double x, double *ret)
{
    bool whole = t->v->type == COHORTIUM__VAR_TYPE__INTEGER;

    if (t->how->scaled) {
        x = x * t->how->factor + t->how->offset;
        /* 154 cm from 60.63 inch is whole but for the last bits. */
        if (whole && fabs(x - rint(x)) <= 1e-9 * fmax(1, fabs(x)))
            x = rint(x);
    }
    if (whole && x != floor(x)) {
        complain(im, t, row, f,
                 t->how->scaled ? "is not a whole number after its factor and offset"
                                : "is not a whole number; the codebook says integer");
        return false;
    }
    if (t->v->type == COHORTIUM__VAR_TYPE__BINARY && x != 0 && x != 1) {
        complain(im, t, row, f, "is not 0 or 1; the codebook says binary");
        return false;
    }
    if (!(x >= t->lower && x <= t->upper)) {
        outside(im, t, row, f);
        return false;
    }
    *ret = x == 0 ? 0 : x; /* one zero */
    return true;
}

static bool read_level(struct importer *im, struct target *t, const struct csv_row *row,
                       const struct csv_field *f)
{
    char text[200];

    if (im->report->n_problems >= IMPORT_PROBLEMS_MAX) {
        im->report->n_problems++;
        return false;
    }
    size_t n = f->n < sizeof text - 1 ? f->n : sizeof text - 1;
    memcpy(text, f->text, n);
    text[n] = '\0';
    complain(im, t, row, f,
             words_text(im, "is not a level of `@`#", t->v->name,
                        words_text(im,
                                   "@ (or recode it in a mapping file, or add the level "
                                   "to the codebook)",
                                   level_hint(im->cx, t->v, text), "")));
    return false;
}

static bool read_day(struct importer *im, struct target *t, const struct csv_row *row,
                     const struct csv_field *f, const char *p, size_t n, double *ret)
{
    int32_t days;

    switch (day_read(p, n, t->how->date_format, &days)) {
    case DAY_READ:
        break;
    case DAY_NOT_THERE:
        complain(im, t, row, f, "is not a day of the calendar");
        return false;
    default:
        if (im->report->n_problems >= IMPORT_PROBLEMS_MAX)
            im->report->n_problems++;
        else
            complain(
                im, t, row, f,
                words_text(im,
                           "is not a date written as @; expected #, or `date_format` in "
                           "a mapping file",
                           t->how->date_format,
                           strcmp(t->how->date_format, day_format_standard) == 0
                               ? "such as 2026-11-24"
                               : "that form"));
        return false;
    }
    if (days < t->lower || days > t->upper) {
        outside(im, t, row, f);
        return false;
    }
    *ret = days;
    return true;
}

static bool read_number(struct importer *im, struct target *t, const struct csv_row *row,
                        const struct csv_field *f, const char *p, size_t n, double *ret)
{
    double x;

    if (!decimal_read(p, n, t->how->point, &x)) {
        bool other = memchr(p, t->how->point == '.' ? ',' : '.', n) != NULL;

        complain(im, t, row, f,
                 other ? "is not a number; if the comma is a decimal comma, say `decimal: "
                         "\",\"` in a mapping file (thousands are written without marks)"
                       : "is not a number; if it means missing, add it to `missing`");
        return false;
    }
    return store_number(im, t, row, f, x, ret);
}

void import_field(struct importer *im, struct target *t, const struct csv_row *row,
                  const struct csv_field *f, uint64_t at)
{
    const char *p = f->text;
    size_t n = f->n;
    double x = 0;
    bool good;

    if (!t->levels) {
        for (; n > 0 && (*p == ' ' || *p == '\t'); n--)
            p++;
        while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
            n--;
    }
    if (n == 0) {
        good = false;
        t->missing++;
    } else if (words_find(&t->words, p, n, &x)) {
        good = !isnan(x);
        t->missing += !good;
        if (good && !t->levels && !(x >= t->lower && x <= t->upper)) {
            outside(im, t, row, f);
            good = false;
        }
    } else if (t->levels) {
        good = read_level(im, t, row, f);
    } else if (t->v->type == COHORTIUM__VAR_TYPE__DATE) {
        good = read_day(im, t, row, f, p, n, &x);
    } else {
        good = read_number(im, t, row, f, p, n, &x);
    }
    t->values[at] = good ? x : 0;
    t->valid[at] = good;
}

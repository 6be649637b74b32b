/* draft_text.c - the draft's YAML, with a remark wherever people must decide. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "node/data/draft_private.h"
#include "node/data/yaml.h"
#include "protocol/base/clock.h"

enum { GRID_POINTS = 8 };
enum kind { INTEGER, REAL, BINARY, DATE, LEVELS, UNCLEAR };

/* The largest 1-2-5 step not above x; x > 0. */
static double step_below(double x)
{
    double power = pow(10, floor(log10(x)));
    double m = x / power;

    return m >= 5 ? 5 * power : m >= 2 ? 2 * power : power;
}

/* Outward to a step, then one step more: never the data's own extremes. */
static void widen(double lowest, double highest, bool whole, double *ret_lower,
                  double *ret_upper, double *ret_step)
{
    double range = highest - lowest, step;

    if (!(range > 0))
        range = fabs(highest) > 1 ? fabs(highest) : 1;
    /* Never so fine that the bound's text could not tell it from the extreme. */
    step = step_below(fmax(range / 4, 1e-11 * fmax(fabs(lowest), fabs(highest))));
    if (whole && step < 1)
        step = 1;
    *ret_lower = (floor(lowest / step) - 1) * step;
    *ret_upper = (ceil(highest / step) + 1) * step;
    /* What is never negative keeps 0, unless 0 is the data's own extreme. */
    if (lowest > 0 && *ret_lower < 0)
        *ret_lower = 0;
    *ret_step = step;
}

static enum kind kind_of(const struct draft_column *c)
{
    uint64_t n = c->rows - c->missing;

    if (n == 0)
        return UNCLEAR;
    if (c->bits == n)
        return BINARY;
    if (c->wholes == n && fabs(c->lowest) < 1e15 && fabs(c->highest) < 1e15)
        return INTEGER;
    if (c->numbers == n && fabs(c->lowest) < 1e300 && fabs(c->highest) < 1e300)
        return REAL;
    if (c->days == n)
        return DATE;
    return LEVELS;
}

/* Words of a name that an outsider may know of a person. */
static bool seems_quasi(const struct draft_column *c, enum kind kind)
{
    static const char *const words[] = {
        "age",      "sex",        "gender",  "birth",     "dob",    "born",
        "postcode", "postal",     "zip",     "plz",       "region", "city",
        "town",     "county",     "country", "ethnicity", "race",   "religion",
        "marital",  "occupation", "alter",   "geschlecht"};
    size_t n = strlen(c->name);

    if (kind == DATE)
        return true;
    for (size_t i = 0; i < COUNT(words); i++) {
        size_t k = strlen(words[i]);

        for (const char *p = strstr(c->name, words[i]); p != NULL;
             p = strstr(p + 1, words[i])) {
            bool begins = p == c->name || p[-1] == '_';
            bool ends = p + k == c->name + n || p[k] == '_' || (p[k] >= '0' && p[k] <= '9');

            if (begins && (ends || k > 5))
                return true;
        }
    }
    return false;
}

static int compare_values(const void *a, const void *b)
{
    return strcmp(((const struct draft_value *)a)->text,
                  ((const struct draft_value *)b)->text);
}

static bool may_be_level(const struct draft_value *v)
{
    return v->rows >= DRAFT_LEVEL_ROWS && v->text[0] != '\0' &&
           strpbrk(v->text, "\t\n\r") == NULL && utf8_is_clean(v->text, strlen(v->text));
}

static size_t levels_kept(const struct draft_column *c)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->n_values; i++)
        kept += may_be_level(&c->values[i]);
    return kept;
}

static void put_levels(struct buffer *b, struct draft_column *c, size_t kept)
{
    bool first = true;

    qsort(c->values, c->n_values, sizeof *c->values, compare_values);
    buffer_text(b,
                "    # put the reference level first; use `ordered` if they have an order\n"
                "    type: categorical\n    levels: [");
    for (size_t i = 0; i < c->n_values; i++) {
        if (!may_be_level(&c->values[i]))
            continue;
        buffer_text(b, first ? "" : ", ");
        yaml_put_text(b, c->values[i].text);
        first = false;
    }
    buffer_text(b, "]\n");
    if (c->n_values > kept)
        buffer_printf(b, "    # %zu rarer value%s left out: add them yourself\n",
                      c->n_values - kept, c->n_values - kept == 1 ? "" : "s");
}

static void put_missing(struct buffer *b, const struct draft_column *c)
{
    bool any = false;

    for (size_t i = 0; i < DRAFT_MISSING_WORDS; i++)
        if (c->missing_seen[i]) {
            buffer_text(b, any ? ", " : "    missing: [");
            yaml_put_text(b, draft_missing_words[i]);
            any = true;
        }
    buffer_text(b, any ? "]\n" : "");
}

static void put_number(struct buffer *b, enum kind kind, double x)
{
    buffer_printf(b, kind == INTEGER ? "%.0f" : "%.15g", x == 0 ? 0 : x);
}

static void put_range(struct buffer *b, const struct draft_column *c, enum kind kind,
                      bool quasi)
{
    double lower, upper, step;

    widen(c->lowest, c->highest, kind == INTEGER, &lower, &upper, &step);
    buffer_printf(
        b,
        "    type: %s\n    unit: \"\"  # fill in\n"
        "    # bounds: what can occur at any site; widen them where they are tight\n"
        "    bounds: [",
        kind == INTEGER ? "integer" : "real");
    put_number(b, kind, lower);
    buffer_text(b, ", ");
    put_number(b, kind, upper);
    buffer_text(b, "]\n");
    if (!quasi)
        return;
    buffer_text(
        b, "    # grid: the only cut points that cohorts may use; each bin should hold "
           "many patients\n    grid: [");
    while ((upper - lower) / step > GRID_POINTS + 1)
        step *= 2;
    bool first = true;
    for (double g = (floor(lower / step) + 1) * step; g < upper; g += step) {
        buffer_text(b, first ? "" : ", ");
        put_number(b, kind, g);
        first = false;
    }
    buffer_text(b, "]\n");
}

static int year_of(int32_t day)
{
    char text[32];

    return atoi(clock_date(day, text, sizeof text));
}

static void put_days(struct buffer *b, const struct draft_column *c)
{
    double lower, upper, step;

    widen(year_of(c->first), year_of(c->last) + 1, true, &lower, &upper, &step);
    int first = lower < 1 ? 1 : (int)lower, last = upper > 9999 ? 9999 : (int)upper;

    buffer_printf(b, "    type: date\n    bounds: [%04d-01-01, %04d-12-31]\n    grid: [",
                  first, last);
    while ((last - first) / step > GRID_POINTS + 1)
        step *= 2;
    bool any = false;
    for (double y = first + step; y <= last; y += step) {
        buffer_printf(b, "%s%04d-01-01", any ? ", " : "", (int)y);
        any = true;
    }
    if (!any)
        buffer_printf(b, "%04d-12-31", first);
    buffer_text(b, "]  # the only cut points that cohorts may use\n");
}

static void put_unclear(struct buffer *b, const struct draft_column *c)
{
    buffer_printf(b,
                  "    # %s: not stored as it stands here.\n"
                  "    # Give it a type, levels or bounds, and a role, or leave it out.\n"
                  "    type: identifier\n",
                  c->rows == c->missing ? "no value in this file"
                  : c->too_many || c->n_values > DRAFT_LEVELS_MAX
                      ? "many different texts (an identifier, a free text?)"
                      : "no text stands in enough rows to be listed");
}

static void put_column(struct buffer *b, struct draft_column *c)
{
    enum kind kind = kind_of(c);
    size_t kept = kind == LEVELS ? levels_kept(c) : 0;
    bool quasi = seems_quasi(c, kind);

    buffer_printf(b, "  %s:\n", c->name);
    if (strcmp(c->name, c->column) != 0) {
        struct buffer shown = buffer_new(b->cx, 4096);

        yaml_put_text(&shown, c->column);
        const char *text = buffer_string(&shown);
        buffer_printf(b, "    # the file's column is %s: name it in a mapping file\n",
                      text != NULL ? text : "named otherwise");
    }
    if (kind == LEVELS && (c->too_many || c->n_values > DRAFT_LEVELS_MAX || kept == 0))
        kind = UNCLEAR;
    if (kind == UNCLEAR) {
        put_unclear(b, c);
        return;
    }
    if (quasi)
        buffer_text(
            b, "    # quasi_identifier: an outsider may know this of a person; decide\n"
               "    role: quasi_identifier\n");
    else
        buffer_text(b, "    role: ordinary\n");
    if (kind == BINARY)
        buffer_text(b, "    type: binary\n    label: \"\"  # what does 1 mean?\n");
    else if (kind == LEVELS)
        put_levels(b, c, kept);
    else if (kind == DATE)
        put_days(b, c);
    else
        put_range(b, c, kind, quasi);
    put_missing(b, c);
}

enum fault draft_write(struct cx *cx, const char *dataset, struct draft_column *columns,
                       size_t n, size_t id, const char **ret)
{
    struct buffer b = buffer_new(cx, YAML_BYTES_MAX);
    char *text;

    buffer_printf(
        &b,
        "# A draft made from one site's file: read every line before you share it.\n"
        "# Roles: direct_identifier quasi_identifier sensitive ordinary hidden.\n"
        "# What is known of a person outside and not marked quasi_identifier is\n"
        "# protected less.\n"
        "dataset: %s\ntitle: \"\"  # fill in\ncount_unit: %s\nvariables:\n"
        "  %s:\n    type: identifier\n",
        dataset, columns[id].name, columns[id].name);
    if (strcmp(columns[id].name, columns[id].column) != 0) {
        buffer_text(&b, "    # the file's column is ");
        yaml_put_text(&b, columns[id].column);
        buffer_text(&b, ": name it in a mapping file\n");
    }
    for (size_t i = 0; i < n; i++)
        if (i != id)
            put_column(&b, &columns[i]);
    text = buffer_string(&b);
    if (text == NULL)
        return b.fault != FAULT_NONE ? b.fault : FAULT_MEMORY;
    *ret = text;
    return FAULT_NONE;
}

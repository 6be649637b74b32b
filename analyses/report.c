/*
 * report.c - the report_ functions of analysis.h: what a researcher reads.
 *
 * Memory failures are noted in the cx; callers check the pointers that they use.
 */
#include "analyses/analysis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Cohortium__Item *report_next(struct report *r, const char *name,
                                    Cohortium__ItemKind kind, size_t rows, size_t columns)
{
    if (r->n_items == COUNT(r->items)) {
        (void)cx_fail(r->cx, FAULT_BOUND, "report: more than %d items", RESULT_ITEMS_MAX);
        return NULL;
    }
    Cohortium__Item *item = cx_alloc(r->cx, sizeof *item);
    if (item == NULL)
        return NULL;
    cohortium__item__init(item);
    item->name = cx_strdup(r->cx, name);
    item->kind = kind;
    item->rows = (uint32_t)rows;
    item->columns = (uint32_t)columns;
    return item->name == NULL ? NULL : item;
}

Cohortium__Item *report_states(struct report *r, const char *name, Cohortium__ItemKind kind,
                               size_t rows, size_t columns, const double *values,
                               const uint8_t *states)
{
    Cohortium__Item *item = report_next(r, name, kind, rows, columns);
    size_t n = rows * columns;

    if (item == NULL)
        return NULL;
    item->n_values = n;
    item->values = cx_array(r->cx, n ? n : 1, sizeof *item->values);
    item->state.len = n;
    item->state.data = cx_alloc(r->cx, n ? n : 1);
    if (item->values == NULL || item->state.data == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        uint8_t state = states == NULL ? 0 : states[i];

        /* What is not given is a plain zero, so that a report packs like any message. */
        if (state == 0 && !isfinite(values[i]))
            state = 2;
        item->state.data[i] = state;
        item->values[i] = state == 0 ? values[i] + 0.0 : 0.0;
    }
    r->items[r->n_items++] = item;
    return item;
}

Cohortium__Item *report_put(struct report *r, const char *name, Cohortium__ItemKind kind,
                            size_t rows, size_t columns, const double *values)
{
    return report_states(r, name, kind, rows, columns, values, NULL);
}

Cohortium__Item *report_words(struct report *r, const char *name, const char *const *words,
                              size_t n)
{
    Cohortium__Item *item = report_next(r, name, COHORTIUM__ITEM_KIND__WORDS, n, 1);

    if (item == NULL)
        return NULL;
    item->words = cx_array(r->cx, n ? n : 1, sizeof *item->words);
    if (item->words == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        item->words[i] = cx_strdup(r->cx, words[i]);
        if (item->words[i] == NULL)
            return NULL;
    }
    item->n_words = n;
    r->items[r->n_items++] = item;
    return item;
}

Cohortium__Item *report_copy(struct report *r, const Cohortium__Item *released)
{
    Cohortium__Item *item;

    if (released == NULL)
        return NULL;
    if (released->kind == COHORTIUM__ITEM_KIND__WORDS)
        return report_words(r, released->name, (const char *const *)released->words,
                            released->n_words);
    size_t n = (size_t)released->rows * released->columns;
    if (n != released->n_values) {
        (void)cx_fail(r->cx, FAULT_FORMAT,
                      "report: item %s has %zu values, its shape says %zu", released->name,
                      released->n_values, n);
        return NULL;
    }
    item = report_states(r, released->name, released->kind, released->rows,
                         released->columns, released->values,
                         released->state.len == n ? released->state.data : NULL);
    if (item != NULL)
        item->step = released->step;
    return item;
}

struct report_table *report_table(struct report *r, const char *title, size_t columns,
                                  size_t rows)
{
    if (r->n_tables == COUNT(r->tables)) {
        (void)cx_fail(r->cx, FAULT_BOUND, "report: more than %zu tables", COUNT(r->tables));
        return NULL;
    }
    struct report_table *t = &r->tables[r->n_tables];
    size_t cells = columns * rows;

    t->title = cx_strdup(r->cx, title);
    t->n_columns = columns;
    t->n_rows = rows;
    t->head = cx_array(r->cx, columns ? columns : 1, sizeof *t->head);
    t->cells = cx_array(r->cx, cells ? cells : 1, sizeof *t->cells);
    t->numeric = cx_array(r->cx, columns ? columns : 1, sizeof *t->numeric);
    if (t->title == NULL || t->head == NULL || t->cells == NULL || t->numeric == NULL)
        return NULL;
    for (size_t i = 0; i < columns; i++)
        t->head[i] = "";
    for (size_t i = 0; i < cells; i++)
        t->cells[i] = "";
    r->n_tables++;
    return t;
}

void report_line(struct report *r, const char *text)
{
    const char *copy = cx_strdup(r->cx, text);

    if (copy != NULL && r->n_lines < COUNT(r->lines))
        r->lines[r->n_lines++] = copy;
}

/* digits: significant ones; a whole number is written whole, and so is a number with more
 * places before the point than digits. */
const char *report_number(struct cx *cx, double value, int state, int digits)
{
    const char *text;

    if (state == 1)
        return "withheld";
    if (state != 0 || isnan(value))
        return "-";
    if (isinf(value))
        return value > 0 ? "Inf" : "-Inf";
    if (digits < 1)
        digits = 1;
    if (digits > 17)
        digits = 17;
    double size = fabs(value);
    if (value == 0.0) {
        text = "0";
    } else if (size >= 1e15 || size < 1e-4) {
        text = cx_printf(cx, "%.*e", digits - 1, value);
    } else if (value == floor(value)) {
        text = cx_printf(cx, "%.0f", value);
    } else {
        /* The exponent after rounding to that many digits: 9.996 with 3 digits is 10.0. */
        char e[40];
        (void)snprintf(e, sizeof e, "%.*e", digits - 1, value);
        const char *mark = strchr(e, 'e');
        int places = digits - 1 - (mark == NULL ? 0 : atoi(mark + 1));
        text = cx_printf(cx, "%.*f", places < 0 ? 0 : places, value);
    }
    return text == NULL ? "" : text;
}

const char *report_p(struct cx *cx, double p)
{
    const char *text;

    if (!(p >= 0.0 && p <= 1.0))
        return "-";
    if (p < 0.001)
        return "<0.001";
    text = p > 0.9995 ? ">0.999" : cx_printf(cx, "%.3f", p);
    return text == NULL ? "" : text;
}

/* render_data.c - answers for programs: JSON and CSV. */
#include <math.h>
#include <string.h>

#include "node/cli/render.h"
#include "node/data/decimal.h"

enum { JSON_VERSION = 1 };

/* ---- JSON ---- */

void put_json_text(struct buffer *out, const char *text)
{
    buffer_text(out, "\"");
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            buffer_printf(out, "\\%c", *p);
        else if (*p < 0x20)
            buffer_printf(out, "\\u%04x", *p);
        else
            buffer_put(out, p, 1);
    }
    buffer_text(out, "\"");
}

void put_json_number(struct buffer *out, double x)
{
    char text[32];

    buffer_text(out, isfinite(x) ? decimal_write(x, text) : "null");
}

static int state_of(const Cohortium__Item *item, size_t i)
{
    return i < item->state.len ? item->state.data[i] : 0;
}

static void put_value(struct buffer *out, const Cohortium__Item *item, size_t i)
{
    put_json_number(out, state_of(item, i) == 0 ? item->values[i] : NAN);
}

static void put_item(struct buffer *out, const Cohortium__Item *item)
{
    size_t columns = item->columns;

    if (item->kind == COHORTIUM__ITEM_KIND__WORDS) {
        buffer_text(out, "[");
        for (size_t i = 0; i < item->n_words; i++) {
            buffer_text(out, i > 0 ? "," : "");
            put_json_text(out, item->words[i]);
        }
        buffer_text(out, "]");
        return;
    }
    if (item->rows == 1 && columns == 1 && item->n_values == 1) {
        put_value(out, item, 0);
        return;
    }
    buffer_text(out, "[");
    for (size_t i = 0; i < item->n_values; i++) {
        if (columns > 1 && i % columns == 0)
            buffer_text(out, i > 0 ? "],[" : "[");
        else
            buffer_text(out, i > 0 ? "," : "");
        put_value(out, item, i);
    }
    buffer_text(out, columns > 1 && item->n_values > 0 ? "]]" : "]");
}

static void put_items(struct buffer *out, const struct report *r)
{
    buffer_text(out, "\"items\":{");
    for (size_t i = 0; i < r->n_items; i++) {
        buffer_text(out, i > 0 ? "," : "");
        put_json_text(out, r->items[i]->name);
        buffer_text(out, ":");
        put_item(out, r->items[i]);
    }
    buffer_text(out, "},\"withheld\":{");
    size_t named = 0;
    for (size_t i = 0; i < r->n_items; i++) {
        size_t n = 0;

        for (size_t k = 0; k < r->items[i]->n_values; k++) {
            if (state_of(r->items[i], k) != 1)
                continue;
            if (n == 0) {
                buffer_text(out, named++ > 0 ? "," : "");
                put_json_text(out, r->items[i]->name);
            }
            buffer_printf(out, "%s%zu", n++ > 0 ? "," : ":[", k);
        }
        buffer_text(out, n > 0 ? "]" : "");
    }
    buffer_text(out, "}");
}

static void put_json_shown(struct buffer *out, const struct shown *s)
{
    buffer_printf(out, "\"released\":%s,", s->released ? "true" : "false");
    if (s->released) {
        put_items(out, s->report);
        buffer_text(out, ",");
    } else {
        buffer_text(out, "\"reference\":");
        put_json_text(out, s->reference != NULL ? s->reference : "");
        buffer_text(out, ",");
    }
    buffer_text(out, "\"notes\":[");
    for (size_t i = 0; i < s->n_notes; i++) {
        buffer_text(out, i > 0 ? "," : "");
        put_json_text(out, s->notes[i]);
    }
    buffer_text(out, "]");
}

static void put_json_advice(struct buffer *out, const struct answer *a)
{
    bool withholds = answer_withholds(a);

    buffer_text(out, ",\"withheld_reason\":");
    if (withholds)
        put_json_text(out, withheld_reason);
    else
        buffer_text(out, "null");
    buffer_text(out, ",\"advice\":[");
    for (size_t i = 0; withholds && i < a->advice.n; i++) {
        buffer_text(out, i > 0 ? "," : "");
        put_json_text(out, a->advice.lines[i]);
    }
    buffer_text(out, "]");
}

enum fault render_json(const struct answer *a, struct buffer *out)
{
    buffer_printf(out, "{\"cohortium\":%d,\"analysis\":", JSON_VERSION);
    put_json_text(out, a->analysis);
    buffer_text(out, ",\"dataset\":");
    put_json_text(out, a->dataset);
    buffer_text(out, ",\"cohort\":");
    put_json_text(out, a->cohort);
    buffer_printf(out, ",\"exact_for_testing\":%s,\"sites\":[",
                  a->exact_for_testing ? "true" : "false");
    for (size_t i = 0; i < a->n_sites; i++) {
        buffer_text(out, i > 0 ? "," : "");
        put_json_text(out, a->sites[i]);
    }
    buffer_text(out, "],");
    if (a->by_site) {
        bool all = true;

        for (size_t i = 0; i < a->n_shown; i++)
            all = all && a->shown[i].released;
        buffer_printf(out, "\"released\":%s,\"by_site\":[", all ? "true" : "false");
        for (size_t i = 0; i < a->n_shown; i++) {
            buffer_text(out, i > 0 ? ",{\"site\":" : "{\"site\":");
            put_json_text(out, a->shown[i].site);
            buffer_text(out, ",");
            put_json_shown(out, &a->shown[i]);
            buffer_text(out, "}");
        }
        buffer_text(out, "]");
    } else if (a->n_shown == 1) {
        put_json_shown(out, &a->shown[0]);
    }
    put_json_advice(out, a);
    buffer_printf(out, ",\"witnessed\":%s,\"witnesses\":[", a->witnessed ? "true" : "false");
    for (size_t i = 0; i < a->n_witnesses; i++) {
        buffer_text(out, i > 0 ? "," : "");
        put_json_text(out, a->witnesses[i]);
    }
    buffer_text(out, "],\"receipt\":");
    if (a->receipt != NULL)
        put_json_text(out, a->receipt);
    else
        buffer_text(out, "null");
    buffer_text(out, "}\n");
    return out->fault;
}

/* ---- CSV ---- */

void put_csv_text(struct buffer *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        buffer_text(out, text);
        return;
    }
    buffer_text(out, "\"");
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"')
            buffer_text(out, "\"");
        buffer_put(out, p, 1);
    }
    buffer_text(out, "\"");
}

static void put_csv_value(struct buffer *out, const Cohortium__Item *item, size_t i)
{
    char text[32];
    int state = state_of(item, i);

    if (state == 1)
        buffer_text(out, "withheld");
    else if (state == 0 && i < item->n_values)
        buffer_text(out, decimal_write(item->values[i], text));
}

static const Cohortium__Item *find_item(const struct report *r, const char *name)
{
    for (size_t i = 0; i < r->n_items; i++)
        if (strcmp(r->items[i]->name, name) == 0)
            return r->items[i];
    return NULL;
}

static void put_site(struct buffer *out, const struct shown *s)
{
    if (s->site == NULL)
        return;
    put_csv_text(out, s->site);
    buffer_text(out, ",");
}

/* Whether an item is a column of the model's table: one value a term. */
static bool is_term_column(const Cohortium__Item *item, size_t terms)
{
    return item->kind != COHORTIUM__ITEM_KIND__WORDS && item->columns == 1 &&
           item->n_values == terms &&
           (strcmp(item->name, "coef") == 0 || strcmp(item->name, "se") == 0 ||
            strcmp(item->name, "statistic") == 0 || strcmp(item->name, "p") == 0 ||
            strcmp(item->name, "ci_lower") == 0 || strcmp(item->name, "ci_upper") == 0 ||
            strcmp(item->name, "odds_ratio") == 0);
}

static void put_model(struct buffer *out, const struct shown *s, bool head)
{
    const struct report *r = s->report;
    const Cohortium__Item *terms = find_item(r, "terms");

    if (head) {
        buffer_text(out, s->site != NULL ? "site,term" : "term");
        for (size_t i = 0; i < r->n_items; i++)
            if (is_term_column(r->items[i], terms->n_words)) {
                buffer_text(out, ",");
                put_csv_text(out, r->items[i]->name);
            }
        buffer_text(out, "\n");
    }
    for (size_t k = 0; k < terms->n_words; k++) {
        put_site(out, s);
        put_csv_text(out, terms->words[k]);
        for (size_t i = 0; i < r->n_items; i++)
            if (is_term_column(r->items[i], terms->n_words)) {
                buffer_text(out, ",");
                put_csv_value(out, r->items[i], k);
            }
        buffer_text(out, "\n");
    }
}

/* Rows and columns count from 1; a table's have the names of its items `rows` and `cols`.
 */
static void put_place(struct buffer *out, const Cohortium__Item *names, size_t n, size_t i,
                      bool structural)
{
    if (structural && names != NULL && names->n_words == n)
        put_csv_text(out, names->words[i]);
    else
        buffer_printf(out, "%zu", i + 1);
    buffer_text(out, ",");
}

static void put_values(struct buffer *out, const struct shown *s, bool head)
{
    const struct report *r = s->report;
    const Cohortium__Item *rows = find_item(r, "rows"), *columns = find_item(r, "cols");

    if (rows != NULL && rows->kind != COHORTIUM__ITEM_KIND__WORDS)
        rows = NULL;
    if (columns != NULL && columns->kind != COHORTIUM__ITEM_KIND__WORDS)
        columns = NULL;
    if (head)
        buffer_text(out, s->site != NULL ? "site,item,row,column,value\n"
                                         : "item,row,column,value\n");
    for (size_t i = 0; i < r->n_items; i++) {
        const Cohortium__Item *item = r->items[i];
        bool words = item->kind == COHORTIUM__ITEM_KIND__WORDS;
        size_t n = words ? item->n_words : item->n_values;
        size_t width = words || item->columns == 0 ? 1 : item->columns;
        bool structural = strcmp(item->name, "counts") == 0 ||
                          strcmp(item->name, "row_counts") == 0 ||
                          strcmp(item->name, "expected") == 0;

        for (size_t k = 0; k < n; k++) {
            put_site(out, s);
            put_csv_text(out, item->name);
            buffer_text(out, ",");
            put_place(out, rows, item->rows, k / width, structural);
            put_place(out, columns, width, k % width, structural && width > 1);
            if (words)
                put_csv_text(out, item->words[k]);
            else
                put_csv_value(out, item, k);
            buffer_text(out, "\n");
        }
    }
}

static void put_csv_line(struct buffer *out, const struct answer *a, const char *item,
                         size_t row, const char *text)
{
    buffer_printf(out, "%s%s,%zu,1,", a->by_site ? "," : "", item, row);
    put_csv_text(out, text);
    buffer_text(out, "\n");
}

static void put_csv_advice(struct buffer *out, const struct answer *a)
{
    put_csv_line(out, a, "withheld_reason", 1, withheld_reason);
    for (size_t i = 0; i < a->advice.n; i++)
        put_csv_line(out, a, "advice", i + 1, a->advice.lines[i]);
}

enum fault render_csv(const struct answer *a, struct buffer *out)
{
    bool head = true, is_model = false;

    for (size_t i = 0; i < a->n_shown; i++) {
        const struct shown *s = &a->shown[i];

        if (!s->released)
            continue;
        const Cohortium__Item *terms = find_item(s->report, "terms");
        is_model = terms != NULL && terms->kind == COHORTIUM__ITEM_KIND__WORDS;
        if (is_model)
            put_model(out, s, head);
        else
            put_values(out, s, head);
        head = false;
    }
    if (!head && !is_model && answer_withholds(a))
        put_csv_advice(out, a);
    return out->fault;
}

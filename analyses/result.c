/* result.c - see result.h. */
#include "analyses/result.h"

#include <math.h>
#include <string.h>

enum fault result_new(struct cx *cx, struct result **ret)
{
    struct result *r;

    CX_NEW(cx, r, 1);
    r->cx = cx;
    *ret = r;
    return FAULT_NONE;
}

static struct item *result_next(struct result *r, const char *name)
{
    if (r->n_items == RESULT_ITEMS_MAX) {
        (void)cx_fail(r->cx, FAULT_BOUND, "result: more than %d items", RESULT_ITEMS_MAX);
        return NULL;
    }
    struct item *item = &r->items[r->n_items];
    memset(item, 0, sizeof *item);
    item->name = cx_strdup(r->cx, name);
    return item->name == NULL ? NULL : item;
}

struct item *result_put(struct result *r, const char *name, Cohortium__ItemKind kind,
                        size_t rows, size_t columns, const double *values,
                        const uint64_t *support)
{
    struct item *item = result_next(r, name);
    size_t n = rows * columns;

    if (item == NULL)
        return NULL;
    item->kind = kind;
    item->rows = rows;
    item->columns = columns;
    item->values = cx_array(r->cx, n ? n : 1, sizeof *item->values);
    if (item->values == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++)
        item->values[i] = values[i];
    if (support != NULL) {
        item->support = cx_array(r->cx, n ? n : 1, sizeof *item->support);
        if (item->support == NULL)
            return NULL;
        for (size_t i = 0; i < n; i++)
            item->support[i] = support[i];
    }
    r->n_items++;
    return item;
}

struct item *result_words(struct result *r, const char *name, const char *const *words,
                          size_t n)
{
    struct item *item = result_next(r, name);

    if (item == NULL)
        return NULL;
    item->kind = COHORTIUM__ITEM_KIND__WORDS;
    item->rows = n;
    item->columns = 1;
    item->words = cx_array(r->cx, n ? n : 1, sizeof *item->words);
    if (item->words == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        item->words[i] = cx_strdup(r->cx, words[i]);
        if (item->words[i] == NULL)
            return NULL;
    }
    r->n_items++;
    return item;
}

void result_note(struct result *r, const char *text)
{
    if (r->n_notes < COUNT(r->notes))
        r->notes[r->n_notes++] = text;
}

const Cohortium__Item *released_item(const Cohortium__Result *r, const char *name)
{
    if (r == NULL)
        return NULL;
    for (size_t i = 0; i < r->n_items; i++)
        if (strcmp(r->items[i]->name, name) == 0)
            return r->items[i];
    return NULL;
}

double released_value(const Cohortium__Item *item, size_t i, int *ret_state)
{
    int state = 3;
    double value = NAN;

    if (item != NULL && i < item->n_values) {
        /* An item without states has all its values. */
        state = i < item->state.len ? item->state.data[i] : 0;
        if (state > 2)
            state = 2;
        if (state == 0)
            value = item->values[i];
    }
    if (ret_state != NULL)
        *ret_state = state;
    return value;
}

/* columns.c - from regions to columns, and from lost regions to withheld values. */
#include "node/vault/columns.h"

#include <string.h>

/* Everybody is one region more, where a cell rests on the whole namespace. */
static size_t of_everybody(const struct opened *o)
{
    return o->regions.everybody ? 1 + o->plan.n_quasi_columns : 0;
}

size_t columns_count(const struct opened *o)
{
    return question_columns(&o->plan, &o->regions);
}

struct making_columns {
    struct cx *cx;
    const struct opened *o;
    const uint32_t *places;
    uint64_t people, patients;
    const uint16_t *const *fractions; /* by quasi-identifier, by ordinal */
    size_t n_fractions;
    struct leverage_column *next;
};

/* expression: of the bitmap; NULL: everybody. */
static enum fault add_set(struct making_columns *c, const struct ast *expression,
                          const uint64_t *bitmap)
{
    uint64_t *set;

    CX_NEW(c->cx, set, (size_t)((c->people + 63) / 64));
    for (uint64_t i = 0; i < c->patients; i++)
        if (bitmap[i / 64] >> (i % 64) & 1)
            set[c->places[i] / 64] |= (uint64_t)1 << (c->places[i] % 64);
    *c->next = (struct leverage_column){.set = set};
    return memory_meaning(c->cx, c->o->asked.cb, expression, "", &c->next++->meaning);
}

static enum fault add_values(struct making_columns *c, const struct ast *expression,
                             const uint64_t *bitmap)
{
    for (size_t k = 0; k < c->n_fractions; k++) {
        uint16_t *values;

        CX_NEW(c->cx, values, (size_t)c->people);
        for (uint64_t i = 0; i < c->patients; i++)
            if (bitmap[i / 64] >> (i % 64) & 1)
                values[c->places[i]] = c->fractions[k][i];
        *c->next = (struct leverage_column){.values = values};
        TRY(memory_meaning(
            c->cx, c->o->asked.cb, expression,
            codebook_variable(c->o->asked.cb, c->o->plan.quasi_columns[k])->name,
            &c->next++->meaning));
    }
    return FAULT_NONE;
}

static enum fault find_order(struct cx *cx, const struct regions *r, size_t **ret)
{
    size_t n = 0;

    CX_NEW(cx, *ret, r->n);
    for (int optional = 0; optional < 2; optional++)
        for (size_t i = 0; i < r->n; i++)
            if ((r->optional != NULL && r->optional[i]) == (optional == 1))
                (*ret)[n++] = i;
    return FAULT_NONE;
}

static enum fault find_everybody(struct cx *cx, const struct dataset *d, uint64_t **ret)
{
    CX_NEW(cx, *ret, (size_t)((d->patients.count + 63) / 64));
    for (uint64_t i = 0; i < d->patients.count; i++)
        if (!dataset_left_out(d, i))
            (*ret)[i / 64] |= (uint64_t)1 << (i % 64);
    return FAULT_NONE;
}

enum fault columns_make(struct cx *cx, const struct opened *o, struct memory *m,
                        uint64_t lease, uint64_t *const *bitmaps, struct columns *ret)
{
    struct making_columns c = {.cx = cx,
                               .o = o,
                               .patients = o->dataset->patients.count,
                               .n_fractions = o->plan.n_quasi_columns};
    const uint16_t **fractions;
    uint64_t *everybody;

    *ret = (struct columns){.n = columns_count(o), .each = 1 + o->plan.n_quasi_columns};
    TRY(find_order(cx, &o->regions, &ret->order));
    TRY(memory_places(cx, m, lease, o->dataset, &c.places, &c.people));
    CX_NEW(cx, fractions, c.n_fractions);
    for (size_t k = 0; k < c.n_fractions; k++) {
        uint16_t *by_ordinal;

        CX_NEW(cx, by_ordinal, (size_t)c.patients);
        TRY(engine_fractions(cx, o->dataset, o->plan.quasi_columns[k], by_ordinal));
        fractions[k] = by_ordinal;
    }
    c.fractions = fractions;
    CX_NEW(cx, ret->list, ret->n);
    c.next = ret->list;
    if (o->regions.everybody) {
        TRY(find_everybody(cx, o->dataset, &everybody));
        TRY(add_set(&c, NULL, everybody));
        TRY(add_values(&c, NULL, everybody));
    }
    for (size_t i = 0; i < o->regions.n; i++) {
        size_t at = ret->order[i];

        TRY(add_set(&c, o->regions.list[at], bitmaps[at]));
        TRY(add_values(&c, o->regions.list[at], bitmaps[at]));
    }
    return FAULT_NONE;
}

enum fault columns_of(struct cx *cx, const struct opened *o, const struct columns *columns,
                      const bool *in, bool **ret)
{
    size_t first = of_everybody(o);

    CX_NEW(cx, *ret, columns->n);
    for (size_t i = 0; i < columns->n; i++)
        (*ret)[i] = i < first || in[columns->order[(i - first) / columns->each]];
    return FAULT_NONE;
}

void columns_judged(const struct opened *o, const struct columns *columns, const bool *kept,
                    bool *in, bool *ret_everybody)
{
    size_t first = of_everybody(o);

    *ret_everybody = true;
    for (size_t i = 0; i < columns->n; i++)
        if (kept[i])
            continue;
        else if (i < first)
            *ret_everybody = false;
        else
            in[columns->order[(i - first) / columns->each]] = false;
}

/* ---- what is withheld ---- */

static bool is_lost(const struct opened *o, const struct regions *of_cell, const bool *in)
{
    for (size_t i = 0; i < of_cell->n; i++)
        for (size_t k = 0; k < o->regions.n; k++)
            if (!in[k] && ast_equal(of_cell->list[i], o->regions.list[k]))
                return true;
    return false;
}

static enum fault lost_cells(struct cx *cx, const struct opened *o, const bool *in,
                             bool **ret)
{
    struct complaints c = complaints_new(cx);

    CX_NEW(cx, *ret, o->plan.n_cells);
    for (size_t i = 0; i < o->plan.n_cells; i++) {
        struct regions own;

        TRY(regions_make(cx, o->asked.cb, &o->plan.cells[i], NULL, 1, &c, &own));
        (*ret)[i] = is_lost(o, &own, in);
    }
    return c.fault;
}

static bool is_totals(const struct result *r, size_t at)
{
    for (size_t i = 0; i < r->n_items && at > 0; i++)
        if (r->items[i].totals_at == at)
            return true;
    return false;
}

static size_t values_of(const struct item *item)
{
    return item->kind == COHORTIUM__ITEM_KIND__WORDS ? 0 : item->rows * item->columns;
}

/* False where it is not said which cells a number is of. Totals are not withheld by name: what
 * would follow from them is (R25). */
static bool mark_places(const struct result *r, const bool *lost, bool *taken)
{
    const struct accounting *a = &r->accounting;
    size_t at = 0;

    if (r->is_model || (r->has_accounting && a->cells == NULL))
        return false;
    for (size_t half = 0; r->has_accounting && half < 2; half++)
        for (size_t i = 0; i < a->n; i++)
            taken[at++] = lost[a->cells[i]];
    for (size_t i = 0; i < r->n_items; i++) {
        const struct item *item = &r->items[i];
        bool known = item->cells != NULL || is_totals(r, i);

        for (size_t k = 0; k < values_of(item); k++, at++) {
            if (!known)
                return false;
            taken[at] = item->cells != NULL && lost[item->cells[k]];
        }
    }
    return true;
}

enum fault columns_places(struct cx *cx, const struct opened *o, const struct result *result,
                          const bool *in, bool **ret, const char **ret_why)
{
    bool any = false, *lost;

    *ret = NULL;
    *ret_why = NULL;
    for (size_t i = 0; i < o->regions.n; i++)
        any = any || !in[i];
    if (!any)
        return FAULT_NONE;
    TRY(lost_cells(cx, o, in, &lost));
    CX_NEW(cx, *ret, gate_places(result));
    if (!mark_places(result, lost, *ret))
        *ret_why = "R23: a region that may not be released cannot be withheld alone";
    return FAULT_NONE;
}

/* table_view.c - the released cells and totals of a table, as they are shown. */
#include "analyses/table.h"

#include <math.h>

struct released { /* items of the release, and where each total stands in its item */
    const Cohortium__Item *counts, *rows, *totals; /* totals NULL: it has none */
    size_t *total_at;
};

static enum fault released_open(struct cx *cx, const struct table_params *p,
                                const Cohortium__Release *release, struct released *ret)
{
    struct released r = {.counts = released_item(release->result, "counts"),
                         .rows = released_item(release->result, "row_counts"),
                         .totals = released_item(release->result, "totals")};
    size_t cells = shape_cells(&p->shape), all = shape_all(&p->shape), n = 0;

    if (r.counts == NULL || r.rows == NULL || r.counts->n_values != cells ||
        r.rows->n_values != cells ||
        (r.totals != NULL && r.totals->n_values != all - cells))
        return cx_fail(cx, FAULT_FORMAT,
                       "table: the release's counts are not the table that was asked for");
    CX_NEW(cx, r.total_at, all);
    for (size_t at = 0; at < all; at++)
        if (shape_is_total(&p->shape, at))
            r.total_at[at] = n++;
    *ret = r;
    return FAULT_NONE;
}

/* An integer's level that no row holds is not a level (R's table of a number would not have
 * it); only where all its cells are released zeros. */
static bool is_empty(const struct table_params *p, const Cohortium__Item *counts,
                     size_t dim, size_t level)
{
    for (size_t at = 0; at < shape_all(&p->shape); at++) {
        int state;

        if (shape_is_total(&p->shape, at) || shape_level(&p->shape, at, dim) != level)
            continue;
        double value = released_value(counts, shape_place(&p->shape, at), &state);

        if (state != 0 || value != 0.0)
            return false;
    }
    return true;
}

/* index: the level each shown one is; after them the total. */
static enum fault pick_levels(struct cx *cx, const struct asked *asked,
                              const struct table_params *p, const Cohortium__Item *counts,
                              size_t dim, struct view *v, size_t **ret_index)
{
    const struct levels *l = &p->key[dim];
    bool drops =
        codebook_variable(asked->cb, l->variable)->type == COHORTIUM__VAR_TYPE__INTEGER;
    size_t n = 0;

    CX_NEW(cx, *ret_index, p->shape.size[dim] + 1);
    CX_NEW(cx, v->names[dim], p->shape.size[dim]);
    for (size_t i = 0; i < p->shape.size[dim]; i++) {
        bool missing = i == l->n;

        if (!missing && drops && is_empty(p, counts, dim, i))
            continue;
        (*ret_index)[n] = i;
        v->names[dim][n++] = missing ? TABLE_MISSING : l->names[i];
        v->valid[dim] += !missing;
    }
    (*ret_index)[n] = p->shape.size[dim];
    v->shape.size[dim] = n;
    return FAULT_NONE;
}

bool view_is_valid(const struct view *v, size_t at)
{
    for (size_t d = 0; d < v->shape.n_dims; d++) {
        size_t level = shape_level(&v->shape, at, d);

        if (level >= v->valid[d] && level < v->shape.size[d])
            return false;
    }
    return true;
}

static void fill(const struct table_params *p, const struct released *r,
                 size_t *const *index, size_t at, struct view *v)
{
    size_t from = 0;
    int state = 3, row_state = 3;

    for (size_t d = 0; d < p->n; d++)
        from += index[d][shape_level(&v->shape, at, d)] * shape_step(&p->shape, d);
    if (shape_is_total(&v->shape, at)) {
        v->counts[at] = v->row_counts[at] = NAN;
        if (r->totals != NULL)
            v->counts[at] = released_value(r->totals, r->total_at[from], &state);
    } else {
        size_t place = shape_place(&p->shape, from);

        v->counts[at] = released_value(r->counts, place, &state);
        v->row_counts[at] = released_value(r->rows, place, &row_state);
        if (view_is_valid(v, at)) {
            v->complete = v->complete && state == 0;
            v->sum += v->counts[at];
        }
    }
    v->states[at] = (uint8_t)state;
    v->row_states[at] = (uint8_t)row_state;
}

enum fault table_view(struct cx *cx, const struct asked *asked,
                      const struct table_params *p, const Cohortium__Release *release,
                      struct view *ret)
{
    struct view v = {.shape.n_dims = p->n, .complete = true};
    size_t *index[TABLE_DIMS_MAX] = {NULL};
    struct released r = {0};

    TRY(released_open(cx, p, release, &r));
    for (size_t d = 0; d < p->n; d++)
        TRY(pick_levels(cx, asked, p, r.counts, d, &v, &index[d]));
    v.has_totals = r.totals != NULL;
    v.n = shape_all(&v.shape);
    CX_NEW(cx, v.counts, v.n);
    CX_NEW(cx, v.states, v.n);
    CX_NEW(cx, v.row_counts, v.n);
    CX_NEW(cx, v.row_states, v.n);
    for (size_t at = 0; at < v.n; at++)
        fill(p, &r, index, at, &v);
    *ret = v;
    return FAULT_NONE;
}

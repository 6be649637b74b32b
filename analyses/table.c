/*
 * table.c - a table of one to four variables, with its totals; of two with tests.
 *
 * Parameters  variables: one to four with levels; missing: add a level "(missing)" to each;
 *             confidence of the intervals (0: 0.95)
 * Asks        one round: patients and rows by cell. With `missing` a block for each pattern
 *             of missing values, so that no key reads a missing value
 * Finish      counts: distinct patients; row_counts: rows (they differ where a patient has
 *             several rows); totals: sums of counts over every set of variables, in the
 *             order of shape.h. A patient in two cells counts twice in their total
 * Show        everything else follows from released cells (table_show.c)
 * Disclosure  R1 R3 R13 R17 R25
 * Checked     tests/data/{lung,birthwt}/expected.json, crosstab; addmargins() of R's tables
 */
#include "analyses/table.h"

#include "analyses/ast_build.h"
#include "analyses/registry.h"

enum { TABLE_CELLS_MAX = 4096 };

size_t table_level(const struct table_params *p, size_t cell, size_t k)
{
    for (size_t d = p->n; d-- > k + 1;)
        cell /= p->shape.size[d];
    return cell % p->shape.size[k];
}

static enum fault cell_predicate(struct cx *cx, const struct asked *asked,
                                 const struct table_params *p, size_t cell,
                                 struct ast **ret)
{
    struct ast *parts[TABLE_DIMS_MAX + 1];
    size_t n = 0;

    /* The tree is only read; the builder's parameter is not const. */
    if (asked->cohort != NULL)
        parts[n++] = (struct ast *)asked->cohort;
    for (size_t k = 0; k < p->n; k++) {
        parts[n] = levels_is(cx, asked->cb, &p->key[k], table_level(p, cell, k));
        if (parts[n++] == NULL)
            return FAULT_MEMORY;
    }
    *ret = ast_join(cx, COHORTIUM__AST_OP__AST_AND, parts, n);
    return *ret == NULL ? FAULT_MEMORY : FAULT_NONE;
}

static enum fault table_plan(struct cx *cx, const struct asked *asked,
                             const struct table_params *p, struct plan *plan)
{
    size_t cells = shape_cells(&p->shape);

    CX_NEW(cx, plan->cells, cells);
    for (size_t i = 0; i < cells; i++)
        TRY(cell_predicate(cx, asked, p, i, &plan->cells[i]));
    for (size_t k = 0; k < p->n; k++) {
        plan->used[p->key[k].variable] = true;
        if (p->shape.size[k] > plan->widest_levels)
            plan->widest_levels = p->shape.size[k];
    }
    plan->n_cells = cells;
    plan->cells_stand_alone = true;
    plan->table_cells = cells;
    plan->rounds_max = 1;
    plan->price = (unsigned)cells;
    return FAULT_NONE;
}

/* Two of the same, or too many cells. */
static void complain_shape(struct complaints *c, const Cohortium__Params *params,
                           const struct table_params *p)
{
    size_t cells = 1;

    for (size_t k = 0; k < p->n; k++)
        for (size_t i = 0; i < k; i++)
            if (p->key[k].variable == p->key[i].variable) {
                complain(c, "parameters", "table: `%s` stands there twice; name each once",
                         params->variables[k]);
                return;
            }
    for (size_t k = 0; k < p->n && cells <= TABLE_CELLS_MAX; k++)
        cells *= p->shape.size[k]; /* each at most CODEBOOK_LEVELS_MAX */
    if (cells > TABLE_CELLS_MAX)
        complain(c, "too_many_cells", "table: %zu cells or more; at most %d are offered",
                 cells, TABLE_CELLS_MAX);
}

static enum fault table_check(struct cx *cx, struct asked *asked, struct complaints *c,
                              struct plan *plan)
{
    const Cohortium__Params *params = asked->body->params;
    size_t before = c->n;
    struct table_params *p;

    CX_NEW(cx, p, 1);
    levels_complain_unused(c, params, "table", true, false, true);
    if (params == NULL || params->n_variables < 1 || params->n_variables > TABLE_DIMS_MAX) {
        complain(c, "parameters",
                 "table takes one to %d variables: `sex` or `sex * status`",
                 TABLE_DIMS_MAX);
        return FAULT_NONE;
    }
    p->n = p->shape.n_dims = params->n_variables;
    p->missing = params->missing;
    p->confidence = params->confidence == 0.0 ? 0.95 : params->confidence;
    if (!(p->confidence >= 0.5 && p->confidence < 1.0))
        complain(c, "parameters", "table: the confidence is from 0.5 to below 1 (0.95)");
    for (size_t k = 0; k < p->n; k++) {
        TRY(levels_open(cx, asked, "table", params->variables[k], c, &p->key[k]));
        p->shape.size[k] = p->key[k].n + p->missing;
    }
    if (c->n == before)
        complain_shape(c, params, p);
    if (c->n != before)
        return FAULT_NONE;
    TRY(table_plan(cx, asked, p, plan));
    asked->parsed = p;
    return FAULT_NONE;
}

static enum fault table_begin(struct cx *cx, const struct asked *asked, struct state **ret)
{
    (void)asked;
    CX_NEW(cx, *ret, 1);
    (*ret)->kind = COHORTIUM__ROUND_KIND__SUM;
    return FAULT_NONE;
}

/* Block number `pattern`: bit k set where variable k is missing. */
static void add_block(struct measure *m, const struct table_params *p, ref cohort,
                      unsigned pattern)
{
    struct measure_key keys[TABLE_DIMS_MAX];
    struct block block = {.where = cohort, .keys = keys};

    for (size_t k = 0; k < p->n; k++) {
        ref valid = m_valid(m, p->key[k].variable);

        if (pattern >> k & 1)
            valid = m_unary(m, M_NOT, valid);
        else
            keys[block.n_keys++] = (struct measure_key){.expr = levels_key(m, &p->key[k]),
                                                        .size = (uint32_t)p->key[k].n};
        block.where = m_binary(m, M_AND, block.where, valid);
    }
    (void)measure_block(m, &block);
}

enum fault table_ask(struct cx *cx, const struct asked *asked, const struct state *state,
                     struct measure **ret)
{
    const struct table_params *p = asked->parsed;
    unsigned patterns = p->missing ? 1u << p->n : 1;
    struct measure *m;

    (void)state;
    TRY(measure_new(cx, asked->cb, &m));
    ref cohort = m_is_true(m, asked->cohort);
    for (unsigned pattern = 0; pattern < patterns; pattern++)
        add_block(m, p, cohort, pattern);
    TRY(measure_close(m, asked->rows_log2));
    *ret = m;
    return FAULT_NONE;
}

/* Keys are laid out row-major; a missing variable's key is not there. */
void table_place(const struct table_params *p, size_t i, size_t *ret_block,
                 size_t *ret_cell)
{
    size_t block = 0, cell = 0;

    for (size_t k = 0; k < p->n; k++) {
        size_t level = table_level(p, i, k);

        if (level == p->key[k].n)
            block |= (size_t)1 << k;
        else
            cell = cell * p->key[k].n + level;
    }
    *ret_block = block;
    *ret_cell = cell;
}

struct cells {
    uint64_t *patients, *rows, *keys; /* keys NULL: none were asked for */
};

static enum fault table_learn(struct cx *cx, const struct asked *asked,
                              const struct state *state, const struct measure *measure,
                              const struct tally *pooled, struct state **ret)
{
    const struct table_params *p = asked->parsed;
    size_t cells = shape_cells(&p->shape);
    struct cells *own;

    (void)state;
    TRY(table_begin(cx, asked, ret));
    CX_NEW(cx, own, 1);
    CX_NEW(cx, own->patients, cells);
    CX_NEW(cx, own->rows, cells);
    if (measure->keyed)
        CX_NEW(cx, own->keys, cells);
    for (size_t i = 0; i < cells; i++) {
        size_t block, cell;

        table_place(p, i, &block, &cell);
        own->patients[i] = pooled_patients(measure, pooled, block, cell);
        own->rows[i] = pooled_rows(measure, pooled, block, cell);
        if (own->keys != NULL)
            own->keys[i] = pooled_key(measure, pooled, block, cell);
    }
    (*ret)->own = own;
    (*ret)->done = true;
    return FAULT_NONE;
}

const char *table_names_item(struct cx *cx, const struct asked *asked,
                             const struct table_params *p, size_t dim)
{
    if (p->n <= 2)
        return dim == 0 ? "rows" : "cols";
    return cx_printf(cx, "levels:%s",
                     codebook_variable(asked->cb, p->key[dim].variable)->name);
}

enum fault table_put_names(struct cx *cx, const struct asked *asked, struct result *r,
                           size_t dim)
{
    const struct table_params *p = asked->parsed;
    const struct levels *l = &p->key[dim];
    const char **words, *name = table_names_item(cx, asked, p, dim);

    if (name == NULL)
        return FAULT_MEMORY;
    CX_NEW(cx, words, l->n + 1);
    for (size_t i = 0; i < l->n; i++)
        words[i] = l->names[i];
    words[l->n] = TABLE_MISSING;
    return result_words(r, name, words, l->n + p->missing) == NULL ? FAULT_MEMORY
                                                                   : FAULT_NONE;
}

static bool is_sensitive(const struct asked *asked, const struct table_params *p,
                         size_t dim)
{
    return codebook_variable(asked->cb, p->key[dim].variable)->role ==
           COHORTIUM__ROLE__SENSITIVE;
}

static enum fault put_counts(struct cx *cx, const struct asked *asked, struct result *r,
                             const char *name, const uint64_t *counts,
                             const struct cells *own, struct item **ret)
{
    const struct table_params *p = asked->parsed;
    size_t cells = shape_cells(&p->shape), rows = p->shape.size[0];
    double *values;

    CX_NEW(cx, values, cells);
    for (size_t i = 0; i < cells; i++)
        values[i] = (double)counts[i];
    *ret = result_put(r, name, COHORTIUM__ITEM_KIND__COUNTS, rows, cells / rows, values,
                      own->patients);
    if (*ret == NULL)
        return FAULT_MEMORY;
    (*ret)->sensitive_rows = is_sensitive(asked, p, 0);
    (*ret)->sensitive_columns = p->n == 2 && is_sensitive(asked, p, 1);
    (*ret)->shape = p->shape;
    (*ret)->keys = own->keys;
    for (size_t k = 0; k < p->n; k++)
        (*ret)->sensitive[k] = is_sensitive(asked, p, k);
    return FAULT_NONE;
}

/* Sums over every set of variables, modulo 2^64; *ret_totals: without the cells. */
static enum fault sum_totals(struct cx *cx, const struct shape *shape,
                             const uint64_t *cells, uint64_t **ret_totals)
{
    size_t all = shape_all(shape), n = 0;
    uint64_t *sums;

    CX_NEW(cx, sums, all);
    CX_NEW(cx, *ret_totals, all);
    for (size_t at = 0; at < all; at++)
        if (!shape_is_total(shape, at))
            sums[at] = cells[shape_place(shape, at)];
    for (size_t d = 0; d < shape->n_dims; d++)
        for (size_t at = 0; at < all; at++) {
            size_t level = shape_level(shape, at, d);

            if (level < shape->size[d])
                sums[at + (shape->size[d] - level) * shape_step(shape, d)] += sums[at];
        }
    for (size_t at = 0; at < all; at++)
        if (shape_is_total(shape, at))
            (*ret_totals)[n++] = sums[at];
    return FAULT_NONE;
}

static enum fault put_totals(struct cx *cx, const struct asked *asked, struct result *r,
                             const struct cells *own)
{
    const struct table_params *p = asked->parsed;
    size_t n = shape_all(&p->shape) - shape_cells(&p->shape);
    uint64_t *totals;
    double *values;

    TRY(sum_totals(cx, &p->shape, own->patients, &totals));
    CX_NEW(cx, values, n);
    for (size_t i = 0; i < n; i++)
        values[i] = (double)totals[i];
    struct item *item =
        result_put(r, "totals", COHORTIUM__ITEM_KIND__COUNTS, n, 1, values, totals);

    if (item == NULL)
        return FAULT_MEMORY;
    return own->keys == NULL ? FAULT_NONE
                             : sum_totals(cx, &p->shape, own->keys, &item->keys);
}

/* The plan's cells are the table's, in its order. */
static enum fault own_cells(struct cx *cx, const struct table_params *p, const size_t **ret)
{
    size_t *cells;

    CX_NEW(cx, cells, shape_cells(&p->shape));
    for (size_t i = 0; i < shape_cells(&p->shape); i++)
        cells[i] = i;
    *ret = cells;
    return FAULT_NONE;
}

static enum fault table_finish(struct cx *cx, const struct asked *asked,
                               const struct state *state, struct result **ret)
{
    const struct table_params *p = asked->parsed;
    const struct cells *own = state->own;
    struct item *counts, *rows;
    struct result *r;

    TRY(result_new(cx, &r));
    for (size_t k = 0; k < p->n; k++)
        TRY(table_put_names(cx, asked, r, k));
    TRY(put_counts(cx, asked, r, "counts", own->patients, own, &counts));
    TRY(put_counts(cx, asked, r, "row_counts", own->rows, own, &rows));
    TRY(own_cells(cx, p, &counts->cells));
    rows->cells = counts->cells;
    TRY(put_totals(cx, asked, r, own));
    counts->totals_at = r->n_items - 1;
    *ret = r;
    return FAULT_NONE;
}

const struct analysis analysis_table = {
    .name = "table",
    .version = 1,
    .title = "table",
    .rules = "R1 R3 R13 R17 R25",
    .noised = &analysis_noised_table,
    .check = table_check,
    .begin = table_begin,
    .ask = table_ask,
    .learn = table_learn,
    .finish = table_finish,
    .show = table_show,
};

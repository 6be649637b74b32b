/*
 * table.c - a table of one or two variables, with the tests of independence.
 *
 * Parameters  variables: one or two with levels; missing: add a level "(missing)" to each;
 *             confidence of the intervals (0: 0.95)
 * Asks        one round: patients and rows by cell. With `missing` a block for each pattern
 * of missing values, so that no key reads a missing value Finish      counts: distinct
 * patients; row_counts: rows (they differ where a patient has several rows). No totals: a
 * total beside withheld cells gives one away Show        everything else follows from
 * released cells (table_show.c) Disclosure  R1 R3 R13 R17 Checked
 * tests/data/{lung,birthwt}/expected.json, crosstab
 */
#include "analyses/table.h"

#include "analyses/registry.h"

enum { TABLE_CELLS_MAX = 4096 };

static enum fault table_plan(struct cx *cx, const struct asked *asked,
                             const struct table_params *p, struct plan *plan)
{
    size_t rows = table_rows(p), columns = table_columns(p), cells = rows * columns;

    CX_NEW(cx, plan->cells, cells);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            struct ast *a = levels_is(cx, asked->cb, &p->key[0], i), *b = NULL;

            if (p->n == 2)
                b = levels_is(cx, asked->cb, &p->key[1], j);
            if (a == NULL || (p->n == 2 && b == NULL))
                return FAULT_MEMORY;
            TRY(levels_cell(cx, asked->cohort, a, b, &plan->cells[i * columns + j]));
        }
    for (size_t k = 0; k < p->n; k++)
        plan->used[p->key[k].variable] = true;
    plan->n_cells = cells;
    plan->table_cells = cells;
    plan->widest_levels = rows > columns ? rows : columns;
    plan->rounds_max = 1;
    plan->price = (unsigned)cells;
    return FAULT_NONE;
}

static enum fault table_check(struct cx *cx, struct asked *asked, struct complaints *c,
                              struct plan *plan)
{
    const Cohortium__Params *params = asked->body->params;
    size_t before = c->n;
    struct table_params *p;

    CX_NEW(cx, p, 1);
    levels_complain_unused(c, params, "table", true, false, true);
    if (params == NULL || params->n_variables < 1 || params->n_variables > 2) {
        complain(c, "parameters",
                 "table takes one or two variables: `sex` or `sex * status`");
        return FAULT_NONE;
    }
    p->n = params->n_variables;
    p->missing = params->missing;
    p->confidence = params->confidence == 0.0 ? 0.95 : params->confidence;
    if (!(p->confidence >= 0.5 && p->confidence < 1.0))
        complain(c, "parameters", "table: the confidence is from 0.5 to below 1 (0.95)");
    for (size_t k = 0; k < p->n; k++)
        TRY(levels_open(cx, asked, "table", params->variables[k], c, &p->key[k]));
    if (c->n != before)
        return FAULT_NONE;
    if (p->n == 2 && p->key[0].variable == p->key[1].variable)
        complain(c, "parameters", "table: `%s` stands there twice; name two variables",
                 params->variables[0]);
    else if (table_rows(p) * table_columns(p) > TABLE_CELLS_MAX)
        complain(c, "too_many_cells", "table: %zu by %zu cells; at most %d are offered",
                 table_rows(p), table_columns(p), TABLE_CELLS_MAX);
    else
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
    struct measure_key keys[2];
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

static enum fault table_ask(struct cx *cx, const struct asked *asked,
                            const struct state *state, struct measure **ret)
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

struct cells {
    uint64_t *patients, *rows;
};

static enum fault table_learn(struct cx *cx, const struct asked *asked,
                              const struct state *state, const struct measure *measure,
                              const struct tally *pooled, struct state **ret)
{
    const struct table_params *p = asked->parsed;
    size_t rows = table_rows(p), columns = table_columns(p), cells = rows * columns;
    struct cells *own;

    (void)state;
    TRY(table_begin(cx, asked, ret));
    CX_NEW(cx, own, 1);
    CX_NEW(cx, own->patients, cells);
    CX_NEW(cx, own->rows, cells);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            bool row_missing = i == p->key[0].n,
                 column_missing = p->n == 2 && j == p->key[1].n;
            size_t block = (size_t)row_missing | (size_t)column_missing << 1, cell;

            /* Keys are laid out row-major; a missing variable's key is not there. */
            if (p->n == 1 || column_missing)
                cell = row_missing ? 0 : i;
            else
                cell = row_missing ? j : i * p->key[1].n + j;
            own->patients[i * columns + j] = pooled_patients(measure, pooled, block, cell);
            own->rows[i * columns + j] = pooled_rows(measure, pooled, block, cell);
        }
    (*ret)->own = own;
    (*ret)->done = true;
    return FAULT_NONE;
}

static enum fault put_names(struct cx *cx, struct result *r, const char *name,
                            const struct levels *l, bool missing)
{
    const char **words;

    CX_NEW(cx, words, l->n + 1);
    for (size_t i = 0; i < l->n; i++)
        words[i] = l->names[i];
    words[l->n] = TABLE_MISSING;
    return result_words(r, name, words, l->n + missing) == NULL ? FAULT_MEMORY : FAULT_NONE;
}

static enum fault put_counts(struct cx *cx, const struct asked *asked, struct result *r,
                             const char *name, const uint64_t *counts,
                             const uint64_t *patients)
{
    const struct table_params *p = asked->parsed;
    size_t rows = table_rows(p), columns = table_columns(p), cells = rows * columns;
    double *values;
    struct item *item;

    CX_NEW(cx, values, cells);
    for (size_t i = 0; i < cells; i++)
        values[i] = (double)counts[i];
    item =
        result_put(r, name, COHORTIUM__ITEM_KIND__COUNTS, rows, columns, values, patients);
    if (item == NULL)
        return FAULT_MEMORY;
    item->sensitive_rows = codebook_variable(asked->cb, p->key[0].variable)->role ==
                           COHORTIUM__ROLE__SENSITIVE;
    item->sensitive_columns =
        p->n == 2 && codebook_variable(asked->cb, p->key[1].variable)->role ==
                         COHORTIUM__ROLE__SENSITIVE;
    return FAULT_NONE;
}

static enum fault table_finish(struct cx *cx, const struct asked *asked,
                               const struct state *state, struct result **ret)
{
    const struct table_params *p = asked->parsed;
    const struct cells *own = state->own;
    struct result *r;

    TRY(result_new(cx, &r));
    TRY(put_names(cx, r, "rows", &p->key[0], p->missing));
    if (p->n == 2)
        TRY(put_names(cx, r, "cols", &p->key[1], p->missing));
    TRY(put_counts(cx, asked, r, "counts", own->patients, own->patients));
    TRY(put_counts(cx, asked, r, "row_counts", own->rows, own->patients));
    *ret = r;
    return FAULT_NONE;
}

const struct analysis analysis_table = {
    .name = "table",
    .version = 1,
    .title = "table of one or two variables",
    .rules = "R1 R3 R13 R17",
    .check = table_check,
    .begin = table_begin,
    .ask = table_ask,
    .learn = table_learn,
    .finish = table_finish,
    .show = table_show,
};

/*
 * noised_table.c - a table of one to four variables, under noise.
 *
 * Asks        one round: patients by cell. With `missing` a block for each pattern of
 *             missing values; the patterns exclude each other, so the whole table costs
 *             what one cell costs
 * Finish      counts; standard deviation of the noise, the same in every cell
 * Show        each cell with its interval. No tests: noise makes tables look dependent
 * Disclosure  DISCLOSURE.md 3.5; R1 on noised counts; R13
 */
#include <math.h>

#include "analyses/math/tails.h"
#include "analyses/noised.h"
#include "analyses/registry.h"
#include "analyses/table.h"

static enum fault check(struct cx *cx, struct asked *asked, struct complaints *c,
                        struct plan *plan)
{
    (void)cx;
    (void)asked;
    plan->rounds_max = 1;
    return c->fault;
}

static enum fault begin(struct cx *cx, const struct asked *asked, struct state **ret)
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

static enum fault ask(struct cx *cx, const struct asked *asked, const struct state *state,
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

struct cells {
    double *patients, sd;
};

/* Level of one variable in a cell; n of its levels: "(missing)". */
static size_t level_in(const struct table_params *p, size_t cell, size_t dim)
{
    for (size_t d = p->n; --d > dim;)
        cell /= p->shape.size[d];
    return cell % p->shape.size[dim];
}

static enum fault learn(struct cx *cx, const struct asked *asked, const struct state *state,
                        const struct measure *m, const struct tally *pooled,
                        struct state **ret)
{
    const struct table_params *p = asked->parsed;
    size_t cells = shape_cells(&p->shape);
    struct cells *own;

    (void)state;
    TRY(begin(cx, asked, ret));
    CX_NEW(cx, own, 1);
    CX_NEW(cx, own->patients, cells);
    for (size_t i = 0; i < cells; i++) {
        size_t block = 0, cell = 0;

        /* Keys are laid out row-major; a missing variable's key is not there. */
        for (size_t k = 0; k < p->n; k++) {
            size_t level = level_in(p, i, k);

            if (level == p->key[k].n)
                block |= (size_t)1 << k;
            else
                cell = cell * p->key[k].n + level;
        }
        own->patients[i] = noised_patients(m, pooled, block, cell);
    }
    own->sd = sqrt(noised_patients_variance(m, 0));
    (*ret)->own = own;
    (*ret)->done = true;
    return FAULT_NONE;
}

static const char *level_name(const struct levels *l, size_t i)
{
    return i < l->n ? l->names[i] : TABLE_MISSING;
}

static enum fault put_names(struct cx *cx, const struct asked *asked, struct result *r,
                            size_t dim)
{
    const struct table_params *p = asked->parsed;
    const char **words, *name = table_names_item(cx, asked, p, dim);

    if (name == NULL)
        return FAULT_MEMORY;
    CX_NEW(cx, words, p->shape.size[dim]);
    for (size_t i = 0; i < p->shape.size[dim]; i++)
        words[i] = level_name(&p->key[dim], i);
    return result_words(r, name, words, p->shape.size[dim]) == NULL ? FAULT_MEMORY
                                                                    : FAULT_NONE;
}

static enum fault finish(struct cx *cx, const struct asked *asked,
                         const struct state *state, struct result **ret)
{
    const struct table_params *p = asked->parsed;
    const struct cells *own = state->own;
    size_t cells = shape_cells(&p->shape), rows = p->shape.size[0];
    uint64_t *support;
    struct result *r;

    TRY(result_new(cx, &r));
    CX_NEW(cx, support, cells);
    for (size_t i = 0; i < cells; i++)
        support[i] = noised_support(own->patients[i]);
    for (size_t k = 0; k < p->n; k++)
        TRY(put_names(cx, asked, r, k));
    if (result_put(r, "counts", COHORTIUM__ITEM_KIND__COUNTS, rows, cells / rows,
                   own->patients, support) == NULL ||
        result_put(r, "noise_sd", COHORTIUM__ITEM_KIND__PLAIN, 1, 1, &own->sd, NULL) ==
            NULL)
        return FAULT_MEMORY;
    *ret = r;
    return FAULT_NONE;
}

/* One line a cell. */
static enum fault put_cells(struct cx *cx, const struct asked *asked,
                            const Cohortium__Item *counts, double half,
                            struct report *report)
{
    const struct table_params *p = asked->parsed;
    size_t cells = shape_cells(&p->shape), names = p->n, wide = names + 3;
    struct report_table *t = report_table(report, "table, noised", wide, cells);

    if (t == NULL)
        return FAULT_MEMORY;
    for (size_t k = 0; k < names; k++)
        t->head[k] = codebook_variable(asked->cb, p->key[k].variable)->name;
    t->head[names] = "patients";
    t->head[names + 1] = "95% from";
    t->head[names + 2] = "to";
    for (size_t k = names; k < wide; k++)
        t->numeric[k] = true;
    for (size_t i = 0; i < cells; i++) {
        const char **cell = t->cells + i * wide;
        int state;
        double n = released_value(counts, i, &state);

        for (size_t k = 0; k < names; k++)
            cell[k] = level_name(&p->key[k], level_in(p, i, k));
        cell[names] = report_number(cx, n, state, 15);
        cell[names + 1] = report_number(cx, fmax(floor(n - half), 0), state, 15);
        cell[names + 2] = report_number(cx, ceil(n + half), state, 15);
    }
    return FAULT_NONE;
}

static enum fault show(struct cx *cx, const struct asked *asked,
                       const Cohortium__Release *release, struct report *report)
{
    const struct table_params *p = asked->parsed;
    const Cohortium__Item *counts = released_item(release->result, "counts"),
                          *noise = released_item(release->result, "noise_sd");
    int state;

    if (counts == NULL || noise == NULL || counts->n_values != shape_cells(&p->shape))
        return cx_fail(cx, FAULT_FORMAT,
                       "table: the noised release is not the table that was asked for");
    double sd = released_value(noise, 0, &state);

    TRY(put_cells(cx, asked, counts, quantile_normal(0.975) * sd, report));
    for (size_t i = 0; i < release->result->n_items; i++)
        if (report_copy(report, release->result->items[i]) == NULL)
            return FAULT_MEMORY;
    const char *line =
        cx_printf(cx, "Each count has noise of standard deviation %.3g.", sd);
    if (line == NULL)
        return FAULT_MEMORY;
    report_line(report, line);
    return noised_show(cx, release, report);
}

const struct analysis analysis_noised_table = {
    .name = "table",
    .version = 1,
    .title = "table of one to four variables",
    .rules = "R1 R13",
    .check = check,
    .begin = begin,
    .ask = ask,
    .learn = learn,
    .finish = finish,
    .show = show,
};

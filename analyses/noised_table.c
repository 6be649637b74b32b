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

struct cells {
    double *patients, sd;
};

static enum fault learn(struct cx *cx, const struct asked *asked, const struct state *state,
                        const struct measure *m, const struct tally *pooled,
                        struct state **ret)
{
    const struct table_params *p = asked->parsed;
    size_t cells = shape_cells(&p->shape);
    struct cells *own;

    (void)state;
    TRY(noised_begin(cx, asked, ret));
    CX_NEW(cx, own, 1);
    CX_NEW(cx, own->patients, cells);
    for (size_t i = 0; i < cells; i++) {
        size_t block, cell;

        table_place(p, i, &block, &cell);
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
        TRY(table_put_names(cx, asked, r, k));
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
            cell[k] = level_name(&p->key[k], table_level(p, i, k));
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
    .title = "table",
    .rules = "R1 R13",
    .check = noised_check,
    .begin = noised_begin,
    .ask = table_ask,
    .learn = learn,
    .finish = finish,
    .show = show,
};

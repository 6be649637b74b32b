/*
 * count.c - how many patients are in a cohort, and how many rows they have.
 *
 * Parameters  none; the cohort is the question
 * Asks        one round, one cell: distinct patients and rows where the cohort is true
 * Finish      patients; rows (they differ where a patient has several rows)
 * Disclosure  R1 R2 R17
 * Checked     tests/data/{lung,birthwt}/expected.json, count_rows
 */
#include "analyses/levels.h"
#include "analyses/registry.h"

static enum fault count_check(struct cx *cx, struct asked *asked, struct complaints *c,
                              struct plan *plan)
{
    levels_complain_unused(c, asked->body->params, "count", false, false, false);
    if (asked->body->params != NULL && asked->body->params->confidence != 0.0)
        complain(c, "parameters", "count gives no intervals; leave --confidence out");
    CX_NEW(cx, plan->cells, 1);
    plan->cells[0] = asked->cohort;
    plan->n_cells = 1;
    plan->table_cells = 1;
    plan->rounds_max = 1;
    plan->price = 1;
    return FAULT_NONE;
}

static enum fault count_begin(struct cx *cx, const struct asked *asked, struct state **ret)
{
    (void)asked;
    CX_NEW(cx, *ret, 1);
    (*ret)->kind = COHORTIUM__ROUND_KIND__SUM;
    return FAULT_NONE;
}

static enum fault count_ask(struct cx *cx, const struct asked *asked,
                            const struct state *state, struct measure **ret)
{
    struct measure *m;

    (void)state;
    TRY(measure_new(cx, asked->cb, &m));
    struct block block = {.where = m_is_true(m, asked->cohort)};
    (void)measure_block(m, &block);
    TRY(measure_close(m, asked->rows_log2));
    *ret = m;
    return FAULT_NONE;
}

struct counted {
    uint64_t patients, rows, key;
    bool keyed;
};

static enum fault count_learn(struct cx *cx, const struct asked *asked,
                              const struct state *state, const struct measure *measure,
                              const struct tally *pooled, struct state **ret)
{
    struct counted *own;

    (void)state;
    TRY(count_begin(cx, asked, ret));
    CX_NEW(cx, own, 1);
    own->patients = pooled_patients(measure, pooled, 0, 0);
    own->rows = pooled_rows(measure, pooled, 0, 0);
    own->key = pooled_key(measure, pooled, 0, 0);
    own->keyed = measure->keyed;
    (*ret)->own = own;
    (*ret)->done = true;
    return FAULT_NONE;
}

static enum fault count_finish(struct cx *cx, const struct asked *asked,
                               const struct state *state, struct result **ret)
{
    struct counted *own = state->own;
    struct result *r;
    double patients = (double)own->patients, rows = (double)own->rows;

    (void)asked;
    TRY(result_new(cx, &r));
    if (result_put(r, "patients", COHORTIUM__ITEM_KIND__COUNTS, 1, 1, &patients,
                   &own->patients) == NULL ||
        result_put(r, "rows", COHORTIUM__ITEM_KIND__COUNTS, 1, 1, &rows, &own->patients) ==
            NULL)
        return FAULT_MEMORY;
    for (size_t i = 0; i < r->n_items && own->keyed; i++)
        r->items[i].keys = &own->key;
    *ret = r;
    return FAULT_NONE;
}

static enum fault count_show(struct cx *cx, const struct asked *asked,
                             const Cohortium__Release *release, struct report *report)
{
    static const char *const names[] = {"patients", "rows"};
    struct report_table *t = report_table(report, "count", 2, 1);

    (void)asked;
    if (t == NULL)
        return FAULT_MEMORY;
    for (size_t i = 0; i < COUNT(names); i++) {
        const Cohortium__Item *item = released_item(release->result, names[i]);
        int state;
        double value = released_value(item, 0, &state);

        if (item == NULL)
            return cx_fail(cx, FAULT_FORMAT, "count: the release has no item `%s`",
                           names[i]);
        if (report_copy(report, item) == NULL)
            return FAULT_MEMORY;
        t->head[i] = names[i];
        t->numeric[i] = true;
        t->cells[i] = report_number(cx, value, state, 15);
    }
    return FAULT_NONE;
}

const struct analysis analysis_count_patients = {
    .name = "count",
    .version = 1,
    .title = "patients in a cohort",
    .rules = "R1 R2 R17",
    .noised = &analysis_noised_count,
    .check = count_check,
    .begin = count_begin,
    .ask = count_ask,
    .learn = count_learn,
    .finish = count_finish,
    .show = count_show,
};

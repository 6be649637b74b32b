/*
 * describe.c - n, missing, mean, spread; counts by level: each variable, over all or by
 * group.
 *
 * Parameters  variables (at most 20); by: a group variable with levels, or empty
 * Asks        opening: for each variable and group rows and patients, those with a value
 *             and those without, sum(x) [unit]; patients and rows by level (categorical,
 *             ordered) or value (binary)
 *             sum: sum((x - m)^2) [unit squared] and sum(|x|) by group; m = the pooled mean
 *             over all groups, rounded to 12 bits so that x - m keeps x's digits
 * Finish      mean = sum(x)/n, n >= 2:
 *             variance = (sum((x-m)^2) - (sum(x) - n m)^2/n)/(n - 1); both sums are exact
 *             integers at a public scale, so the correction for a group's own mean costs
 *             digits only where groups lie further apart than they spread: a spread of few
 *             digits is said, or not defined (accuracy.h). A binary variable is its two
 *             counts: fewer than k at 0 or at 1, and its mean is withheld
 *
 * Disclosure  R1 R3 R4 R6 R22 R24; minimum, maximum and quantiles are never asked for
 * Source      two-pass variance; Chan, Golub, LeVeque (1983) compares the alternatives
 * Checked     tests/data/{lung,birthwt}/expected.json: describe_numeric, _categorical,
 *             _by_group
 */
#include "analyses/describe.h"

#include <math.h>
#include <string.h>

#include "analyses/registry.h"

/* ---- check ---- */

static enum fault open_variable(struct cx *cx, const struct asked *asked, const char *name,
                                struct complaints *c, struct describe_params *p)
{
    int variable = levels_variable(cx, asked->cb, "describe", name, c);

    if (variable < 0)
        return FAULT_NONE;
    const Cohortium__Variable *v = codebook_variable(asked->cb, variable);
    struct described d = {.variable = variable};
    d.keyed = variable_has_levels(v) || v->type == COHORTIUM__VAR_TYPE__BINARY;
    d.numeric = !d.keyed;
    if (d.keyed)
        TRY(levels_of(cx, asked->cb, variable, &d.levels));
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].variable == variable)
            complain(c, "parameters", "describe: `%s` stands there twice; name it once",
                     name);
    if (variable == p->by.variable)
        complain(c, "parameters", "describe: `%s` is described and grouped by; take one",
                 name);
    p->n_numeric += d.numeric;
    p->list[p->n++] = d;
    return FAULT_NONE;
}

static enum fault describe_plan(struct cx *cx, const struct asked *asked,
                                const struct describe_params *p, struct plan *plan)
{
    size_t groups = p->by.n, cells = groups, n = 0;

    for (size_t v = 0; v < p->n; v++)
        cells += groups * (p->list[v].keyed ? p->list[v].levels.n : 0);
    CX_NEW(cx, plan->cells, cells);
    CX_NEW(cx, plan->quasi_columns, p->n);
    plan->widest_levels = groups;
    for (size_t g = 0; g < groups; g++) {
        struct ast *group = NULL;

        if (p->by.variable >= 0 && (group = levels_is(cx, asked->cb, &p->by, g)) == NULL)
            return FAULT_MEMORY;
        TRY(levels_cell(cx, asked->cohort, group, NULL, &plan->cells[n++]));
        for (size_t v = 0; v < p->n; v++)
            for (size_t l = 0; p->list[v].keyed && l < p->list[v].levels.n; l++) {
                struct ast *level = levels_is(cx, asked->cb, &p->list[v].levels, l);

                if (level == NULL)
                    return FAULT_MEMORY;
                TRY(levels_cell(cx, asked->cohort, group, level, &plan->cells[n++]));
            }
    }
    if (p->by.variable >= 0)
        plan->used[p->by.variable] = true;
    for (size_t v = 0; v < p->n; v++) {
        const struct described *d = &p->list[v];
        size_t levels = d->keyed ? d->levels.n : 1;

        plan->used[d->variable] = true;
        if (levels > plan->widest_levels)
            plan->widest_levels = levels;
        /* R13 is about one table of keys: the largest. */
        if (groups * levels > plan->table_cells)
            plan->table_cells = groups * levels;
        if (d->numeric && variable_is_quasi(codebook_variable(asked->cb, d->variable)))
            plan->quasi_columns[plan->n_quasi_columns++] = d->variable;
    }
    plan->n_cells = cells;
    plan->cells_stand_alone = true;
    plan->rounds_max = p->n_numeric > 0 ? 2 : 1;
    plan->price = (unsigned)(cells + groups * p->n_numeric);
    return FAULT_NONE;
}

static enum fault describe_check(struct cx *cx, struct asked *asked, struct complaints *c,
                                 struct plan *plan)
{
    const Cohortium__Params *params = asked->body->params;
    size_t before = c->n;
    struct describe_params *p;

    CX_NEW(cx, p, 1);
    levels_complain_unused(c, params, "describe", true, true, false);
    if (params == NULL || params->n_variables < 1 ||
        params->n_variables > DESCRIBE_VARIABLES_MAX) {
        complain(c, "parameters", "describe takes 1 to %d variables in one question",
                 DESCRIBE_VARIABLES_MAX);
        return FAULT_NONE;
    }
    if (params->confidence != 0.0 && params->confidence != 0.95)
        complain(c, "parameters",
                 "describe gives 95 %% intervals only; leave --confidence out");
    CX_NEW(cx, p->list, params->n_variables);
    if (params->by[0] != '\0')
        TRY(levels_open(cx, asked, "describe --by", params->by, c, &p->by));
    else
        TRY(levels_all(cx, &p->by));
    for (size_t i = 0; i < params->n_variables; i++)
        TRY(open_variable(cx, asked, params->variables[i], c, p));
    if (c->n == before)
        TRY(describe_plan(cx, asked, p, plan));
    asked->parsed = p;
    return FAULT_NONE;
}

/* ---- rounds ---- */

static enum fault describe_begin(struct cx *cx, const struct asked *asked,
                                 struct state **ret)
{
    (void)asked;
    CX_NEW(cx, *ret, 1);
    (*ret)->kind = COHORTIUM__ROUND_KIND__OPENING;
    return FAULT_NONE;
}

/* Adds a block keyed by group and, if given, by level. */
static void add_block(struct measure *m, const struct describe_params *p,
                      struct block *block, const struct levels *levels)
{
    struct measure_key keys[2];

    block->keys = keys;
    block->n_keys = 0;
    if (p->by.variable >= 0)
        keys[block->n_keys++] =
            (struct measure_key){.expr = levels_key(m, &p->by), .size = (uint32_t)p->by.n};
    if (levels != NULL)
        keys[block->n_keys++] = (struct measure_key){.expr = levels_key(m, levels),
                                                     .size = (uint32_t)levels->n};
    (void)measure_block(m, block);
    block->keys = NULL;
}

/* Block 0: the groups. Then for each variable: with a value; without; by level if it has
 * any. */
static void ask_opening(struct measure *m, const struct describe_params *p, ref group)
{
    struct block all = {.where = group};

    add_block(m, p, &all, NULL);
    for (size_t i = 0; i < p->n; i++) {
        const struct described *d = &p->list[i];
        ref valid = m_valid(m, d->variable), sums[1];
        struct block with = {.where = m_binary(m, M_AND, group, valid)};
        struct block without = {.where =
                                    m_binary(m, M_AND, group, m_unary(m, M_NOT, valid))};

        if (d->numeric) {
            sums[0] = m_column(m, d->variable);
            with.sums = sums;
            with.n_sums = 1;
        }
        add_block(m, p, &with, NULL);
        add_block(m, p, &without, NULL);
        if (d->keyed) {
            struct block levels = {.where = with.where};
            add_block(m, p, &levels, &d->levels);
        }
    }
}

static void ask_squares(struct measure *m, const struct describe_params *p, ref group,
                        const double *centres)
{
    size_t k = 0;

    for (size_t i = 0; i < p->n; i++) {
        const struct described *d = &p->list[i];

        if (!d->numeric)
            continue;
        ref x = m_column(m, d->variable);
        ref away = m_binary(m, M_SUB, x, m_const(m, centres[k++]));
        ref sums[2] = {m_binary(m, M_POW, away, m_const(m, 2.0)), m_unary(m, M_ABS, x)};
        struct measure_guard guard = {.rule = GUARD_DOMINANCE, .expr = sums[1]};
        struct block block = {
            .where = m_binary(m, M_AND, group, m_valid(m, d->variable)),
            .sums = sums,
            .n_sums = 2,
            .guards = &guard,
            .n_guards = 1,
        };
        add_block(m, p, &block, NULL);
    }
}

static enum fault describe_ask(struct cx *cx, const struct asked *asked,
                               const struct state *state, struct measure **ret)
{
    const struct describe_params *p = asked->parsed;
    struct measure *m;

    TRY(measure_new(cx, asked->cb, &m));
    ref group = levels_where(m, m_is_true(m, asked->cohort), &p->by);
    if (state->kind == COHORTIUM__ROUND_KIND__OPENING) {
        ask_opening(m, p, group);
    } else {
        if (state->n_input != p->n_numeric)
            return cx_fail(cx, FAULT_INTERNAL, "describe: %zu centres for %zu variables",
                           state->n_input, p->n_numeric);
        ask_squares(m, p, group, state->input);
    }
    TRY(measure_close(m, asked->rows_log2));
    *ret = m;
    return FAULT_NONE;
}

/* To 12 significant bits, ties to even: the same on every processor. */
static double round_12_bits(double x)
{
    int e;
    double f = frexp(x, &e);

    return ldexp(nearbyint(ldexp(f, 12)), e - 12);
}

static enum fault learn_levels(struct cx *cx, const struct describe_params *p, size_t i,
                               const struct measure *m, const struct tally *t, size_t block,
                               struct described_state *own)
{
    size_t groups = p->by.n, levels = p->list[i].levels.n, n = levels * groups;

    CX_NEW(cx, own->level_rows[i], n);
    CX_NEW(cx, own->level_patients[i], n);
    CX_NEW(cx, own->level_keys[i], n);
    for (size_t l = 0; l < levels; l++)
        for (size_t g = 0; g < groups; g++) {
            own->level_rows[i][l * groups + g] = pooled_rows(m, t, block, g * levels + l);
            own->level_patients[i][l * groups + g] =
                pooled_patients(m, t, block, g * levels + l);
            own->level_keys[i][l * groups + g] = pooled_key(m, t, block, g * levels + l);
        }
    return FAULT_NONE;
}

static enum fault learn_opening(struct cx *cx, const struct describe_params *p,
                                const struct measure *m, const struct tally *t,
                                struct described_state **ret)
{
    size_t groups = p->by.n, n = p->n * groups, block = 1;
    struct described_state *own;

    CX_NEW(cx, own, 1);
    CX_NEW(cx, own->all_rows, groups);
    CX_NEW(cx, own->all_patients, groups);
    CX_NEW(cx, own->all_keys, groups);
    own->keyed = m->keyed;
    CX_NEW(cx, own->cells, n);
    CX_NEW(cx, own->level_rows, p->n);
    CX_NEW(cx, own->level_patients, p->n);
    CX_NEW(cx, own->level_keys, p->n);
    for (size_t g = 0; g < groups; g++) {
        own->all_rows[g] = pooled_rows(m, t, 0, g);
        own->all_patients[g] = pooled_patients(m, t, 0, g);
        own->all_keys[g] = pooled_key(m, t, 0, g);
    }
    for (size_t i = 0; i < p->n; i++) {
        for (size_t g = 0; g < groups; g++) {
            struct cell *cell = &own->cells[i * groups + g];

            cell->used_rows = pooled_rows(m, t, block, g);
            cell->used_patients = pooled_patients(m, t, block, g);
            cell->used_key = pooled_key(m, t, block, g);
            cell->missing_rows = pooled_rows(m, t, block + 1, g);
            cell->missing_patients = pooled_patients(m, t, block + 1, g);
            cell->missing_key = pooled_key(m, t, block + 1, g);
            if (p->list[i].numeric) {
                cell->sum = pooled_number(m, t, block, g, 0);
                cell->sum_error = pooled_error(m, block, (double)cell->used_rows, 0);
            }
        }
        block += 2;
        if (p->list[i].keyed)
            TRY(learn_levels(cx, p, i, m, t, block++, own));
    }
    *ret = own;
    return FAULT_NONE;
}

static enum fault find_centres(struct cx *cx, const struct asked *asked,
                               const struct described_state *own, struct state *state)
{
    const struct describe_params *p = asked->parsed;
    size_t groups = p->by.n, k = 0;

    state->n_input = p->n_numeric;
    CX_NEW(cx, state->input, p->n_numeric);
    CX_NEW(cx, state->input_scale, p->n_numeric);
    for (size_t i = 0; i < p->n; i++) {
        double sum = 0.0, rows = 0.0, lower, upper, centre;

        if (!p->list[i].numeric)
            continue;
        for (size_t g = 0; g < groups; g++) {
            sum += own->cells[i * groups + g].sum.hi;
            rows += (double)own->cells[i * groups + g].used_rows;
        }
        variable_range(codebook_variable(asked->cb, p->list[i].variable), &lower, &upper);
        centre = rows > 0 ? round_12_bits(sum / rows) : round_12_bits((lower + upper) / 2);
        /* + 0.0: a Proposal carries no negative zero. */
        state->input[k] = fmin(fmax(centre, lower), upper) + 0.0;
        state->input_scale[k++] = upper - lower;
    }
    return FAULT_NONE;
}

static enum fault describe_learn(struct cx *cx, const struct asked *asked,
                                 const struct state *state, const struct measure *measure,
                                 const struct tally *pooled, struct state **ret)
{
    const struct describe_params *p = asked->parsed;
    size_t groups = p->by.n, block = 0;
    struct described_state *own;

    CX_NEW(cx, *ret, 1);
    (*ret)->kind = COHORTIUM__ROUND_KIND__SUM;
    if (state->kind == COHORTIUM__ROUND_KIND__OPENING) {
        TRY(learn_opening(cx, p, measure, pooled, &own));
        (*ret)->own = own;
        (*ret)->done = p->n_numeric == 0;
        return (*ret)->done ? FAULT_NONE : find_centres(cx, asked, own, *ret);
    }
    own = cx_memdup(cx, state->own, sizeof *own);
    if (own == NULL)
        return FAULT_MEMORY;
    own->cells = cx_memdup(cx, own->cells, p->n * groups * sizeof *own->cells);
    if (own->cells == NULL)
        return FAULT_MEMORY;
    for (size_t i = 0; i < p->n; i++) {
        if (!p->list[i].numeric)
            continue;
        for (size_t g = 0; g < groups; g++) {
            struct cell *cell = &own->cells[i * groups + g];

            cell->squares = pooled_number(measure, pooled, block, g, 0);
            cell->squares_error = pooled_error(measure, block, (double)cell->used_rows, 0);
        }
        block++;
    }
    /* The centres that were used stay with the sums about them. */
    (*ret)->n_input = state->n_input;
    (*ret)->input = state->input;
    (*ret)->input_scale = state->input_scale;
    (*ret)->own = own;
    (*ret)->done = true;
    return FAULT_NONE;
}

const struct analysis analysis_describe = {
    .name = "describe",
    .version = 1,
    .title = "mean, spread and counts of variables, by group",
    .rules = "R1 R3 R4 R6 R22 R24 R25",
    .noised = &analysis_noised_describe,
    .check = describe_check,
    .begin = describe_begin,
    .ask = describe_ask,
    .learn = describe_learn,
    .finish = describe_finish,
    .show = describe_show,
};

/*
 * noised_describe.c - n, mean and spread; counts by level: by group, under noise.
 *
 * Asks        one round. A number x becomes z = (x - middle) / half of its codebook bounds,
 *             so |z| <= 1; rows, sum z and sum z^2 by group. Patients by level
 *             (categorical, ordered, binary) and group. Missing values are not counted: a
 *             number more would make all others less sure
 * Finish      mean = middle + half S/n; its standard error has the rows' spread and the
 *             noise of S and n (first order): sd^2/n + half^2 (v_S + (S/n)^2 v_n) / n^2
 * Disclosure  DISCLOSURE.md 3.5; R1 on noised counts; R13
 */
#include <math.h>

#include "analyses/describe.h"
#include "analyses/math/tails.h"
#include "analyses/noised.h"
#include "analyses/registry.h"

enum { SUM_ROWS, SUM_Z, SUM_SQUARES, SUMS };

static void place(const struct asked *asked, int variable, double *middle, double *half)
{
    double lower, upper;

    variable_range(codebook_variable(asked->cb, variable), &lower, &upper);
    *middle = lower + (upper - lower) / 2;
    *half = upper > lower ? (upper - lower) / 2 : 1;
}

static void add_block(struct measure *m, const struct asked *asked,
                      const struct describe_params *p, const struct described *d, ref group)
{
    struct measure_key keys[2];
    ref sums[SUMS];
    struct block block = {.where = m_binary(m, M_AND, group, m_valid(m, d->variable)),
                          .keys = keys};
    double middle, half;

    if (p->by.variable >= 0)
        keys[block.n_keys++] =
            (struct measure_key){.expr = levels_key(m, &p->by), .size = (uint32_t)p->by.n};
    if (d->keyed) {
        keys[block.n_keys++] = (struct measure_key){.expr = levels_key(m, &d->levels),
                                                    .size = (uint32_t)d->levels.n};
    } else {
        place(asked, d->variable, &middle, &half);
        ref z = m_binary(m, M_SUB, m_column(m, d->variable), m_const(m, middle));
        z = m_clamp(m, m_binary(m, M_MUL, z, m_const(m, 1 / half)), -1, 1);
        sums[SUM_ROWS] = m_const(m, 1);
        sums[SUM_Z] = z;
        sums[SUM_SQUARES] = m_binary(m, M_POW, z, m_const(m, 2));
        block.sums = sums;
        block.n_sums = SUMS;
        block.uncounted = true; /* rows tell as much, and means need them */
    }
    (void)measure_block(m, &block);
}

static enum fault ask(struct cx *cx, const struct asked *asked, const struct state *state,
                      struct measure **ret)
{
    const struct describe_params *p = asked->parsed;
    struct measure *m;

    (void)state;
    TRY(measure_new(cx, asked->cb, &m));
    ref group = levels_where(m, m_is_true(m, asked->cohort), &p->by);
    for (size_t i = 0; i < p->n; i++)
        add_block(m, asked, p, &p->list[i], group);
    TRY(measure_close(m, asked->rows_log2));
    *ret = m;
    return FAULT_NONE;
}

struct noised_state { /* variables * groups each; levels: level * groups + group */
    double *n, *n_sd, *mean, *sd, *se;
    uint64_t *support;
    double **levels, *level_sd;
};

static void learn_number(const struct asked *asked, const struct described *d,
                         const struct measure *m, const struct tally *t, size_t block,
                         size_t group, size_t at, struct noised_state *own)
{
    double n = noised_sum(m, t, block, group, SUM_ROWS),
           s = noised_sum(m, t, block, group, SUM_Z),
           q = noised_sum(m, t, block, group, SUM_SQUARES), middle, half;
    double v_n = noised_sum_variance(m, block, SUM_ROWS),
           v_s = noised_sum_variance(m, block, SUM_Z);

    place(asked, d->variable, &middle, &half);
    own->n[at] = nearbyint(n);
    own->n_sd[at] = sqrt(v_n);
    own->support[at] = noised_support(n / (m->rows_max > 0 ? m->rows_max : 1));
    own->mean[at] = own->sd[at] = own->se[at] = NAN;
    if (!(n >= 2))
        return;
    double z = fmax(fmin(s / n, 1), -1), spread = fmax(q / n - z * z, 0) * n / (n - 1);

    own->mean[at] = middle + half * z;
    own->sd[at] = half * sqrt(spread);
    own->se[at] = half * sqrt(spread / n + (v_s + z * z * v_n) / (n * n));
}

static enum fault learn(struct cx *cx, const struct asked *asked, const struct state *state,
                        const struct measure *m, const struct tally *t, struct state **ret)
{
    const struct describe_params *p = asked->parsed;
    size_t groups = p->by.n, all = p->n * groups;
    struct noised_state *own;

    (void)state;
    TRY(noised_begin(cx, asked, ret));
    CX_NEW(cx, own, 1);
    CX_NEW(cx, own->n, all);
    CX_NEW(cx, own->n_sd, all);
    CX_NEW(cx, own->mean, all);
    CX_NEW(cx, own->sd, all);
    CX_NEW(cx, own->se, all);
    CX_NEW(cx, own->support, all);
    CX_NEW(cx, own->levels, p->n);
    CX_NEW(cx, own->level_sd, p->n);
    for (size_t i = 0; i < p->n; i++) {
        const struct described *d = &p->list[i];
        size_t levels = d->keyed ? d->levels.n : 0, cells = levels * groups;

        for (size_t g = 0; g < groups && !d->keyed; g++)
            learn_number(asked, d, m, t, i, g, i * groups + g, own);
        if (!d->keyed)
            continue;
        CX_NEW(cx, own->levels[i], cells);
        own->level_sd[i] = sqrt(noised_patients_variance(m, i));
        for (size_t l = 0; l < levels; l++)
            for (size_t g = 0; g < groups; g++)
                own->levels[i][l * groups + g] = noised_patients(m, t, i, g * levels + l);
    }
    (*ret)->own = own;
    (*ret)->done = true;
    return FAULT_NONE;
}

/* ---- finish ---- */

static enum fault put_levels(struct cx *cx, const struct asked *asked,
                             const struct described *d, size_t groups, const double *counts,
                             double sd, struct result *r)
{
    const char *variable = codebook_variable(asked->cb, d->variable)->name;
    const char *levels = cx_printf(cx, "levels:%s", variable);
    const char *name = cx_printf(cx, "counts:%s", variable);
    const char *noise = cx_printf(cx, "noise_sd:%s", variable);
    size_t n = d->levels.n * groups;
    uint64_t *support;

    CX_NEW(cx, support, n);
    for (size_t i = 0; i < n; i++)
        support[i] = noised_support(counts[i]);
    if (levels == NULL || name == NULL || noise == NULL ||
        result_words(r, levels, d->levels.names, d->levels.n) == NULL ||
        result_put(r, name, COHORTIUM__ITEM_KIND__COUNTS, d->levels.n, groups, counts,
                   support) == NULL ||
        result_put(r, noise, COHORTIUM__ITEM_KIND__PLAIN, 1, 1, &sd, NULL) == NULL)
        return FAULT_MEMORY;
    return FAULT_NONE;
}

static enum fault finish(struct cx *cx, const struct asked *asked,
                         const struct state *state, struct result **ret)
{
    const struct describe_params *p = asked->parsed;
    const struct noised_state *own = state->own;
    size_t groups = p->by.n, numeric = 0;
    const char **names;
    struct result *r;

    TRY(result_new(cx, &r));
    CX_NEW(cx, names, p->n);
    for (size_t i = 0; i < p->n; i++)
        if (!p->list[i].keyed)
            names[numeric++] = codebook_variable(asked->cb, p->list[i].variable)->name;
    if (result_words(r, "groups", p->by.names, groups) == NULL)
        return FAULT_MEMORY;
    const struct {
        const char *name;
        Cohortium__ItemKind kind;
        const double *values;
        bool supported;
    } items[] = {{"n", COHORTIUM__ITEM_KIND__COUNTS, own->n, true},
                 {"mean", COHORTIUM__ITEM_KIND__MEANS, own->mean, true},
                 {"sd", COHORTIUM__ITEM_KIND__SPREADS, own->sd, true},
                 {"se", COHORTIUM__ITEM_KIND__ERRORS, own->se, true},
                 {"n_noise_sd", COHORTIUM__ITEM_KIND__PLAIN, own->n_sd, false}};

    if (numeric > 0 && result_words(r, "variables", names, numeric) == NULL)
        return FAULT_MEMORY;
    for (size_t k = 0; k < COUNT(items) && numeric > 0; k++) {
        double *values;
        uint64_t *support;
        size_t n = numeric * groups, at = 0;

        CX_NEW(cx, values, n);
        CX_NEW(cx, support, n);
        for (size_t i = 0; i < p->n; i++)
            for (size_t g = 0; g < groups && !p->list[i].keyed; g++, at++) {
                values[at] = items[k].values[i * groups + g];
                support[at] = own->support[i * groups + g];
            }
        if (result_put(r, items[k].name, items[k].kind, numeric, groups, values,
                       items[k].supported ? support : NULL) == NULL)
            return FAULT_MEMORY;
    }
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].keyed)
            TRY(put_levels(cx, asked, &p->list[i], groups, own->levels[i], own->level_sd[i],
                           r));
    *ret = r;
    return FAULT_NONE;
}

/* ---- show ---- */

static enum fault show_numbers(struct cx *cx, const struct describe_params *p,
                               const Cohortium__Result *result, struct report *report)
{
    static const char *const head[] = {"variable", "group", "n",        "mean",
                                       "sd",       "se",    "95% from", "to"};
    enum { WIDE = COUNT(head) };
    const Cohortium__Item *names = released_item(result, "variables"),
                          *n = released_item(result, "n"),
                          *mean = released_item(result, "mean"),
                          *sd = released_item(result, "sd"),
                          *se = released_item(result, "se");
    size_t groups = p->by.n;

    if (names == NULL)
        return FAULT_NONE;
    if (n == NULL || mean == NULL || sd == NULL || se == NULL ||
        n->n_values != names->n_words * groups)
        return cx_fail(cx, FAULT_FORMAT, "describe: the noised release lacks numbers");
    struct report_table *t = report_table(report, "means, noised", WIDE, n->n_values);
    if (t == NULL)
        return FAULT_MEMORY;
    for (size_t i = 0; i < WIDE; i++) {
        t->head[i] = head[i];
        t->numeric[i] = i >= 2;
    }
    for (size_t i = 0; i < n->n_values; i++) {
        const char **cell = t->cells + i * WIDE;
        int state_n, state, state_sd, state_se;
        double x = released_value(mean, i, &state), e = released_value(se, i, &state_se);
        double rows = released_value(n, i, &state_n), s = released_value(sd, i, &state_sd);
        double half = quantile_normal(0.975) * e;

        cell[0] = names->words[i / groups];
        cell[1] = p->by.variable >= 0 ? p->by.names[i % groups] : "all";
        cell[2] = report_number(cx, rows, state_n, 15);
        cell[3] = report_number(cx, x, state, 5);
        cell[4] = report_number(cx, s, state_sd, 4);
        cell[5] = report_number(cx, e, state_se, 3);
        cell[6] = report_number(cx, x - half, state, 5);
        cell[7] = report_number(cx, x + half, state, 5);
    }
    return FAULT_NONE;
}

static enum fault show_levels(struct cx *cx, const struct describe_params *p,
                              const Cohortium__Item *counts, const char *variable,
                              const struct levels *l, double sd, struct report *report)
{
    size_t groups = p->by.n, wide = 2 + groups;

    if (report->n_tables == COUNT(report->tables))
        return FAULT_NONE; /* --json has them all */
    struct report_table *t = report_table(report, variable, wide, l->n);

    if (t == NULL)
        return FAULT_MEMORY;
    t->head[0] = "level";
    t->head[wide - 1] = "noise sd";
    for (size_t i = 1; i < wide; i++)
        t->numeric[i] = true;
    for (size_t g = 0; g < groups; g++)
        t->head[1 + g] = p->by.variable >= 0 ? p->by.names[g] : "patients";
    for (size_t i = 0; i < l->n; i++) {
        t->cells[i * wide] = l->names[i];
        for (size_t g = 0; g < groups; g++) {
            int state;
            double n = released_value(counts, i * groups + g, &state);

            t->cells[i * wide + 1 + g] = report_number(cx, n, state, 15);
        }
        t->cells[i * wide + wide - 1] = report_number(cx, sd, 0, 3);
    }
    return FAULT_NONE;
}

static enum fault show(struct cx *cx, const struct asked *asked,
                       const Cohortium__Release *release, struct report *report)
{
    const struct describe_params *p = asked->parsed;
    const Cohortium__Result *result = release->result;

    TRY(show_numbers(cx, p, result, report));
    for (size_t i = 0; i < p->n; i++) {
        const char *variable = codebook_variable(asked->cb, p->list[i].variable)->name;
        const char *name = cx_printf(cx, "counts:%s", variable);
        const char *noise = cx_printf(cx, "noise_sd:%s", variable);
        int state;

        if (name == NULL || noise == NULL)
            return FAULT_MEMORY;
        const Cohortium__Item *counts = released_item(result, name);
        if (!p->list[i].keyed)
            continue;
        if (counts == NULL || counts->n_values != p->list[i].levels.n * p->by.n)
            return cx_fail(cx, FAULT_FORMAT, "describe: the noised release lacks levels");
        TRY(show_levels(cx, p, counts, variable, &p->list[i].levels,
                        released_value(released_item(result, noise), 0, &state), report));
    }
    for (size_t i = 0; i < result->n_items; i++)
        if (report_copy(report, result->items[i]) == NULL)
            return FAULT_MEMORY;
    report_line(report,
                "Standard errors and intervals of means contain the noise; n is of those "
                "with a value.");
    return noised_show(cx, release, report);
}

const struct analysis analysis_noised_describe = {
    .name = "describe",
    .version = 1,
    .title = "mean, spread and counts of variables, by group",
    .rules = "R1 R13",
    .check = noised_check,
    .begin = noised_begin,
    .ask = ask,
    .learn = learn,
    .finish = finish,
    .show = show,
};

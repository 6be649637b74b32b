/*
 * describe_show.c - what follows from the released numbers of describe: standard error and
 * t interval of a mean (R's t.test), proportions by level; a table of numbers and one of
 * levels.
 */
#include "analyses/describe.h"

#define MATHLIB_STANDALONE
#include <Rmath.h>
#include <math.h>

#include "protocol/base/clock.h"

struct shown { /* the released vectors, all of variables * groups values */
    const Cohortium__Item *n, *missing, *mean, *sd;
    double *sem, *low_high;
    uint8_t *sem_state, *ci_state;
};

/* Of two states the one that wins: withheld before not defined before given. */
static uint8_t worse(int a, int b)
{
    if (a == 1 || b == 1)
        return 1;
    return a != 0 || b != 0 ? 2 : 0;
}

static enum fault derive(struct cx *cx, size_t n, struct shown *s)
{
    size_t ends = 2 * n;

    CX_NEW(cx, s->sem, n);
    CX_NEW(cx, s->low_high, ends);
    CX_NEW(cx, s->sem_state, n);
    CX_NEW(cx, s->ci_state, ends);
    for (size_t i = 0; i < n; i++) {
        int state_n, state_mean, state_sd;
        double rows = released_value(s->n, i, &state_n);
        double mean = released_value(s->mean, i, &state_mean);
        double sd = released_value(s->sd, i, &state_sd);
        uint8_t state = worse(state_n, state_sd);

        if (state == 0 && !(rows >= 2))
            state = 2;
        s->sem_state[i] = state;
        s->ci_state[2 * i] = s->ci_state[2 * i + 1] = worse(state, state_mean);
        if (state != 0)
            continue;
        s->sem[i] = sd / sqrt(rows);
        double half = qt(0.975, rows - 1.0, 1, 0) * s->sem[i];
        s->low_high[2 * i] = mean - half;
        s->low_high[2 * i + 1] = mean + half;
    }
    return FAULT_NONE;
}

static const char *place_text(struct cx *cx, const Cohortium__Variable *v, double value,
                              int state)
{
    char date[32];
    const char *text;

    if (v->type != COHORTIUM__VAR_TYPE__DATE || state != 0)
        return report_number(cx, value, state, 6);
    text = cx_strdup(cx, clock_date((int32_t)floor(value + 0.5), date, sizeof date));
    return text == NULL ? "" : text;
}

static const char *interval_text(struct cx *cx, const Cohortium__Variable *v,
                                 const double *ci, int state)
{
    const char *text;

    if (state != 0)
        return report_number(cx, 0.0, state, 6);
    text =
        cx_printf(cx, "%s to %s", place_text(cx, v, ci[0], 0), place_text(cx, v, ci[1], 0));
    return text == NULL ? "" : text;
}

static enum fault show_numbers(struct cx *cx, const struct asked *asked,
                               const struct shown *s, struct report *r)
{
    static const char *const head[] = {"variable", "group",   "n", "missing",
                                       "mean",     "95 % CI", "sd"};
    const struct describe_params *p = asked->parsed;
    size_t groups = p->by.n, skip = p->by.variable < 0, row = 0;
    struct report_table *t =
        report_table(r, "variables", COUNT(head) - skip, p->n * groups);

    if (t == NULL)
        return FAULT_MEMORY;
    for (size_t j = 0, to = 0; j < COUNT(head); j++) {
        if (j == 1 && skip)
            continue;
        t->numeric[to] = j > 1;
        t->head[to++] =
            j == 1 ? codebook_variable(asked->cb, p->by.variable)->name : head[j];
    }
    for (size_t i = 0; i < p->n; i++)
        for (size_t g = 0; g < groups; g++, row++) {
            const struct described *d = &p->list[i];
            const Cohortium__Variable *v = codebook_variable(asked->cb, d->variable);
            const char **cell = &t->cells[row * t->n_columns];
            size_t at = i * groups + g;
            int state;
            double value;

            *cell++ = g == 0 ? v->name : "";
            if (!skip)
                *cell++ = p->by.names[g];
            value = released_value(s->n, at, &state);
            *cell++ = report_number(cx, value, state, 15);
            value = released_value(s->missing, at, &state);
            *cell++ = report_number(cx, value, state, 15);
            if (d->keyed && !is_binary(asked->cb, d))
                continue;
            value = released_value(s->mean, at, &state);
            *cell++ = place_text(cx, v, value, state);
            *cell++ = interval_text(cx, v, &s->low_high[2 * at], s->ci_state[2 * at]);
            value = released_value(s->sd, at, &state);
            *cell++ = report_number(cx, value, state, 6);
        }
    return FAULT_NONE;
}

/* Proportions within a group; withheld where any level of the group is. */
static enum fault put_proportions(struct cx *cx, struct report *r, const char *variable,
                                  const Cohortium__Item *counts, size_t levels,
                                  size_t groups, Cohortium__Item **ret)
{
    const char *name = cx_printf(cx, "proportions:%s", variable);
    size_t n = levels * groups;
    double *values;
    uint8_t *states;

    CX_NEW(cx, values, n);
    CX_NEW(cx, states, n);
    for (size_t g = 0; g < groups; g++) {
        double total = 0.0;
        int state, worst = 0;

        for (size_t l = 0; l < levels; l++) {
            total += released_value(counts, l * groups + g, &state);
            worst = worse(worst, state);
        }
        for (size_t l = 0; l < levels; l++) {
            size_t at = l * groups + g;

            states[at] = (uint8_t)(worst != 0 ? worst : total > 0 ? 0 : 2);
            if (states[at] == 0)
                values[at] = released_value(counts, at, &state) / total;
        }
    }
    if (name == NULL)
        return FAULT_MEMORY;
    *ret = report_states(r, name, COHORTIUM__ITEM_KIND__ESTIMATES, levels, groups, values,
                         states);
    return *ret == NULL ? FAULT_MEMORY : FAULT_NONE;
}

static const char *share_text(struct cx *cx, const Cohortium__Item *counts,
                              const Cohortium__Item *shares, size_t at)
{
    int state, share_state;
    double count = released_value(counts, at, &state);
    double share = released_value(shares, at, &share_state);
    const char *number = report_number(cx, count, state, 15), *text;

    if (share_state != 0)
        return number;
    text = cx_printf(cx, "%s (%.1f %%)", number, 100 * share);
    return text == NULL ? number : text;
}

static enum fault show_one(struct cx *cx, const struct asked *asked,
                           const struct described *d, const Cohortium__Release *release,
                           struct report *r, struct report_table *t, size_t *row)
{
    static const char *const names[] = {"levels", "counts", "row_counts"};
    const struct describe_params *p = asked->parsed;
    const char *variable = codebook_variable(asked->cb, d->variable)->name;
    const Cohortium__Item *items[3];
    Cohortium__Item *shares;
    size_t levels = d->levels.n, groups = p->by.n;

    for (size_t k = 0; k < COUNT(names); k++) {
        const char *name = cx_printf(cx, "%s:%s", names[k], variable);

        if (name == NULL)
            return FAULT_MEMORY;
        items[k] = released_item(release->result, name);
        if (items[k] == NULL || (k > 0 && items[k]->n_values != levels * groups))
            return cx_fail(cx, FAULT_FORMAT,
                           "describe: the release's `%s` is not what was asked for", name);
        if (report_copy(r, items[k]) == NULL)
            return FAULT_MEMORY;
    }
    TRY(put_proportions(cx, r, variable, items[1], levels, groups, &shares));
    for (size_t l = 0; l < levels; l++, ++*row) {
        const char **cell = &t->cells[*row * t->n_columns];

        *cell++ = l == 0 ? variable : "";
        *cell++ = d->levels.names[l];
        for (size_t g = 0; g < groups; g++)
            *cell++ = share_text(cx, items[1], shares, l * groups + g);
    }
    return FAULT_NONE;
}

static enum fault show_levels(struct cx *cx, const struct asked *asked,
                              const Cohortium__Release *release, struct report *r)
{
    const struct describe_params *p = asked->parsed;
    const char *title = "levels: patients (share of the group)";
    size_t rows = 0, row = 0;

    for (size_t i = 0; i < p->n; i++)
        rows += p->list[i].keyed ? p->list[i].levels.n : 0;
    if (rows == 0)
        return FAULT_NONE;
    if (p->by.variable < 0)
        title = "levels: patients";
    struct report_table *t = report_table(r, title, 2 + p->by.n, rows);
    if (t == NULL)
        return FAULT_MEMORY;
    t->head[0] = "variable";
    t->head[1] = "level";
    for (size_t g = 0; g < p->by.n; g++) {
        t->head[2 + g] = p->by.variable < 0 ? "patients" : p->by.names[g];
        t->numeric[2 + g] = true;
    }
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].keyed)
            TRY(show_one(cx, asked, &p->list[i], release, r, t, &row));
    return FAULT_NONE;
}

enum fault describe_show(struct cx *cx, const struct asked *asked,
                         const Cohortium__Release *release, struct report *report)
{
    static const char *const words[] = {"variables", "groups"};
    /* The last two leave under the testing class only. */
    static const char *const names[] = {"n",   "missing", "mean",  "sd",
                                        "var", "sum",     "sum_sq"};
    const struct describe_params *p = asked->parsed;
    const Cohortium__Item *items[COUNT(names)];
    size_t n = p->n * p->by.n;

    for (size_t i = 0; i < COUNT(words); i++) {
        const Cohortium__Item *item = released_item(release->result, words[i]);

        if (item != NULL && report_copy(report, item) == NULL)
            return FAULT_MEMORY;
    }
    for (size_t i = 0; i < COUNT(names); i++) {
        items[i] = released_item(release->result, names[i]);
        if (items[i] == NULL && i >= 5)
            continue;
        if (items[i] == NULL || items[i]->n_values != n)
            return cx_fail(cx, FAULT_FORMAT,
                           "describe: the release's `%s` is not what was asked for",
                           names[i]);
        if (report_copy(report, items[i]) == NULL)
            return FAULT_MEMORY;
    }
    struct shown s = {.n = items[0], .missing = items[1], .mean = items[2], .sd = items[3]};
    TRY(derive(cx, n, &s));
    if (report_states(report, "sem", COHORTIUM__ITEM_KIND__ERRORS, p->n, p->by.n, s.sem,
                      s.sem_state) == NULL ||
        report_states(report, "mean_ci95", COHORTIUM__ITEM_KIND__ESTIMATES, n, 2,
                      s.low_high, s.ci_state) == NULL)
        return FAULT_MEMORY;
    TRY(show_numbers(cx, asked, &s, report));
    return show_levels(cx, asked, release, report);
}

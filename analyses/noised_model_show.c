/*
 * noised_model_show.c - tables of noised models: statistic, p and interval follow from the
 * released coefficient and its error, which contains the noise.
 */
#include <math.h>

#include "analyses/math/tails.h"
#include "analyses/noised_model.h"

struct lines {
    size_t n;
    double *statistic, *p, *lower, *upper, *ratio;
};

static enum fault derive(struct cx *cx, const double *coef, const double *se, double level,
                         struct lines *l)
{
    double half = quantile_interval(level, INFINITY);

    CX_NEW(cx, l->statistic, l->n);
    CX_NEW(cx, l->p, l->n);
    CX_NEW(cx, l->lower, l->n);
    CX_NEW(cx, l->upper, l->n);
    CX_NEW(cx, l->ratio, l->n);
    for (size_t i = 0; i < l->n; i++) {
        l->statistic[i] = coef[i] / se[i];
        l->p[i] = tail_two_sided(coef[i] / se[i], INFINITY);
        l->lower[i] = coef[i] - half * se[i];
        l->upper[i] = coef[i] + half * se[i];
        l->ratio[i] = exp(coef[i]);
    }
    return FAULT_NONE;
}

static enum fault put_table(struct cx *cx, const Cohortium__Item *terms, const double *coef,
                            const double *se, const double *noise, const struct lines *l,
                            double level, const char *ratio, struct report *report)
{
    size_t wide = ratio != NULL ? 9 : 8;
    struct report_table *t = report_table(report, "coefficients, noised", wide, l->n);

    if (t == NULL)
        return FAULT_MEMORY;
    const char *const head[] = {"term",
                                "estimate",
                                "std. error",
                                "of it noise",
                                "z",
                                "p",
                                cx_printf(cx, "%g%% from", level * 100),
                                "to",
                                ratio};
    if (head[6] == NULL)
        return FAULT_MEMORY;
    for (size_t i = 0; i < wide; i++) {
        t->head[i] = head[i];
        t->numeric[i] = i > 0;
    }
    for (size_t i = 0; i < l->n; i++) {
        const char **cell = t->cells + i * wide;

        cell[0] = terms->words[i];
        cell[1] = report_number(cx, coef[i], 0, 5);
        cell[2] = report_number(cx, se[i], 0, 3);
        cell[3] = report_number(cx, noise[i], 0, 3);
        cell[4] = report_number(cx, l->statistic[i], 0, 4);
        cell[5] = report_p(cx, l->p[i]);
        cell[6] = report_number(cx, l->lower[i], 0, 5);
        cell[7] = report_number(cx, l->upper[i], 0, 5);
        if (ratio != NULL)
            cell[8] = report_number(cx, l->ratio[i], 0, 4);
    }
    return FAULT_NONE;
}

static enum fault show_coefficients(struct cx *cx, const Cohortium__Result *result,
                                    double level, const char *ratio, struct report *report)
{
    const Cohortium__Item *terms = released_item(result, "terms"),
                          *coef = released_item(result, "coef"),
                          *se = released_item(result, "se"),
                          *noise = released_item(result, "se_noise");
    struct lines l = {0};

    if (coef == NULL)
        return FAULT_NONE; /* trouble: a note says which */
    if (terms == NULL || se == NULL || noise == NULL || coef->n_values != terms->n_words ||
        se->n_values != terms->n_words || noise->n_values != terms->n_words)
        return cx_fail(cx, FAULT_FORMAT, "the noised release has no table of coefficients");
    l.n = terms->n_words;
    TRY(derive(cx, coef->values, se->values, level, &l));
    TRY(put_table(cx, terms, coef->values, se->values, noise->values, &l, level, ratio,
                  report));
    const struct {
        const char *name;
        const double *values;
    } items[] = {{"statistic", l.statistic},
                 {"p", l.p},
                 {"ci_lower", l.lower},
                 {"ci_upper", l.upper},
                 {"ratio", l.ratio}};

    for (size_t i = 0; i < COUNT(items) - (ratio == NULL); i++)
        if (report_put(report, items[i].name, COHORTIUM__ITEM_KIND__PLAIN, l.n, 1,
                       items[i].values) == NULL)
            return FAULT_MEMORY;
    return FAULT_NONE;
}

static enum fault show_facts(struct cx *cx, const Cohortium__Result *result,
                             struct report *report)
{
    static const char *const facts[] = {"n", "n_noise_sd", "sigma"};
    size_t rows = 0;

    for (size_t i = 0; i < COUNT(facts); i++)
        rows += released_item(result, facts[i]) != NULL;
    struct report_table *t = report_table(report, "model", 2, rows);
    if (t == NULL)
        return FAULT_MEMORY;
    t->numeric[1] = true;
    rows = 0;
    for (size_t i = 0; i < COUNT(facts); i++) {
        const Cohortium__Item *item = released_item(result, facts[i]);
        int state;

        if (item == NULL)
            continue;
        double value = released_value(item, 0, &state);

        t->cells[2 * rows] = facts[i];
        t->cells[2 * rows++ + 1] = report_number(cx, value, state, i == 0 ? 15 : 4);
    }
    return FAULT_NONE;
}

enum fault noised_model_show(struct cx *cx, const struct asked *asked,
                             const Cohortium__Release *release, const char *ratio,
                             struct report *report)
{
    const Cohortium__Result *result = release->result;
    const Cohortium__Params *p = asked->body->params;
    double level = p != NULL && p->confidence > 0 ? p->confidence : 0.95;

    for (size_t i = 0; i < result->n_notes; i++)
        report_line(report, result->notes[i]);
    for (size_t i = 0; i < result->n_items; i++)
        if (report_copy(report, result->items[i]) == NULL)
            return FAULT_MEMORY;
    TRY(show_coefficients(cx, result, level, ratio, report));
    TRY(show_facts(cx, result, report));
    report_line(report, "Standard errors contain the noise, to first order.");
    return noised_show(cx, release, report);
}

/*
 * model_show.c - tables of lm and glm. Statistic, p, interval, degrees of freedom and odds
 * ratios follow from the released coefficient, standard error, n and rank: whoever holds
 * the release can check them, and they tell nothing more than it does.
 */
#include "analyses/model_show.h"

#include <math.h>
#include <string.h>

#include "analyses/math/tails.h"

enum fault model_put_coefficients(struct cx *cx, struct result *r, size_t n,
                                  const bool *aliased, const struct dd *coef,
                                  const struct dd *inverse, double dispersion, bool testing)
{
    double *values, *errors, *vcov;
    size_t k = 0, used = 0, size = n * n;

    CX_NEW(cx, values, n);
    CX_NEW(cx, errors, n);
    CX_NEW(cx, vcov, size);
    for (size_t i = 0; i < n; i++) {
        struct dd variance = dd_mul(inverse[i * n + i], dd_of(dispersion));

        values[i] = aliased[i] ? NAN : dd_double(coef[i]);
        errors[i] = aliased[i]             ? NAN
                    : isfinite(dispersion) ? dd_double(dd_sqrt(variance))
                                           : NAN;
        used += !aliased[i];
        for (size_t j = 0; j < n; j++)
            if (!aliased[i] && !aliased[j])
                vcov[k++] = dd_double(inverse[i * n + j]) * dispersion;
    }
    struct item *item =
        result_put(r, "coef", COHORTIUM__ITEM_KIND__ESTIMATES, n, 1, values, NULL);
    if (item == NULL)
        return FAULT_MEMORY;
    item->steps = cx_memdup(cx, errors, (n + !n) * sizeof *errors);
    if (item->steps == NULL ||
        result_put(r, "se", COHORTIUM__ITEM_KIND__ERRORS, n, 1, errors, NULL) == NULL ||
        (testing && result_put(r, "vcov", COHORTIUM__ITEM_KIND__EXACT, used, used, vcov,
                               NULL) == NULL))
        return FAULT_MEMORY;
    return FAULT_NONE;
}

/* Of two states the one that wins: withheld before not defined before given. */
static uint8_t worse(int a, int b)
{
    if (a == 1 || b == 1)
        return 1;
    return a != 0 || b != 0 ? 2 : 0;
}

struct lines { /* derived vectors over the terms */
    size_t n;
    const Cohortium__Item *terms, *coef, *se;
    double *statistic, *p, *lower, *upper, *odds;
    uint8_t *states;
};

static enum fault derive(struct cx *cx, const Cohortium__Result *result, double level,
                         double df, int df_state, struct lines *l)
{
    l->terms = released_item(result, "terms");
    l->coef = released_item(result, "coef");
    l->se = released_item(result, "se");
    if (l->terms == NULL || l->coef == NULL || l->se == NULL ||
        l->coef->n_values != l->terms->n_words || l->se->n_values != l->terms->n_words)
        return cx_fail(cx, FAULT_FORMAT, "the release has no table of coefficients");
    l->n = l->terms->n_words;
    CX_NEW(cx, l->statistic, l->n);
    CX_NEW(cx, l->p, l->n);
    CX_NEW(cx, l->lower, l->n);
    CX_NEW(cx, l->upper, l->n);
    CX_NEW(cx, l->odds, l->n);
    CX_NEW(cx, l->states, l->n);
    for (size_t i = 0; i < l->n; i++) {
        int state_b, state_e;
        double b = released_value(l->coef, i, &state_b),
               e = released_value(l->se, i, &state_e);

        l->states[i] = worse(worse(state_b, state_e), df_state);
        l->odds[i] = exp(b);
        if (l->states[i] != 0)
            continue;
        double half = quantile_interval(level, df) * e;
        l->statistic[i] = b / e;
        l->p[i] = tail_two_sided(b / e, df);
        l->lower[i] = b - half;
        l->upper[i] = b + half;
    }
    return FAULT_NONE;
}

static enum fault put_lines(struct report *r, const struct lines *l)
{
    const struct {
        const char *name;
        const double *values;
    } items[] = {{"statistic", l->statistic},
                 {"p", l->p},
                 {"ci_lower", l->lower},
                 {"ci_upper", l->upper}};

    if (report_copy(r, l->terms) == NULL || report_copy(r, l->coef) == NULL ||
        report_copy(r, l->se) == NULL)
        return FAULT_MEMORY;
    for (size_t i = 0; i < COUNT(items); i++)
        if (report_states(r, items[i].name, COHORTIUM__ITEM_KIND__PLAIN, l->n, 1,
                          items[i].values, l->states) == NULL)
            return FAULT_MEMORY;
    return FAULT_NONE;
}

static enum fault table_lines(struct cx *cx, struct report *r, const struct lines *l,
                              const char *letter, double level, bool odds)
{
    size_t columns = odds ? 8 : 7;
    struct report_table *t = report_table(r, "coefficients", columns, l->n);

    if (t == NULL)
        return FAULT_MEMORY;
    t->head[0] = "term";
    t->head[1] = "estimate";
    t->head[2] = "std. error";
    t->head[3] = letter;
    t->head[4] = "p";
    t->head[5] = cx_printf(cx, "%g%% from", level * 100);
    t->head[6] = "to";
    if (odds)
        t->head[7] = "odds ratio";
    for (size_t i = 0; i < l->n; i++) {
        const char **cell = t->cells + i * columns;
        int state_b, state_e, state = l->states[i];
        double b = released_value(l->coef, i, &state_b),
               e = released_value(l->se, i, &state_e);

        cell[0] = l->terms->words[i];
        cell[1] = report_number(cx, b, state_b, 6);
        cell[2] = report_number(cx, e, state_e, 4);
        cell[3] = report_number(cx, l->statistic[i], state, 4);
        cell[4] = state == 0 ? report_p(cx, l->p[i]) : report_number(cx, NAN, state, 3);
        cell[5] = report_number(cx, l->lower[i], state, 6);
        cell[6] = report_number(cx, l->upper[i], state, 6);
        if (odds)
            cell[7] = report_number(cx, l->odds[i], state_b, 4);
    }
    for (size_t i = 1; i < columns; i++)
        t->numeric[i] = true;
    return t->head[5] == NULL ? FAULT_MEMORY : FAULT_NONE;
}

/* n - rank: both released. */
static double residual_df(const Cohortium__Result *result, uint8_t *ret_state)
{
    int state_n, state_rank;
    double n = released_value(released_item(result, "n"), 0, &state_n);
    double rank = released_value(released_item(result, "rank"), 0, &state_rank);

    *ret_state = worse(state_n, state_rank);
    if (*ret_state == 0 && !(n > rank))
        *ret_state = 2;
    return n - rank;
}

static enum fault copy(struct report *r, const Cohortium__Result *result,
                       const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const Cohortium__Item *item = released_item(result, names[i]);
        if (item != NULL && report_copy(r, item) == NULL)
            return FAULT_MEMORY;
    }
    return FAULT_NONE;
}

/* name, value pairs below the coefficients. */
static enum fault table_facts(struct cx *cx, struct report *r,
                              const Cohortium__Result *result, const char *const *names,
                              size_t n)
{
    size_t rows = 0;

    for (size_t i = 0; i < n; i++)
        rows += released_item(result, names[i]) != NULL;
    struct report_table *t = report_table(r, "model", 2, rows);
    if (t == NULL)
        return FAULT_MEMORY;
    t->numeric[1] = true;
    rows = 0;
    for (size_t i = 0; i < n; i++) {
        const Cohortium__Item *item = released_item(result, names[i]);
        int state;

        if (item == NULL)
            continue;
        double value = released_value(item, 0, &state);
        t->cells[2 * rows] = names[i];
        t->cells[2 * rows++ + 1] = report_number(
            cx, value, state, item->kind == COHORTIUM__ITEM_KIND__SPREADS ? 3 : 9);
    }
    return FAULT_NONE;
}

static double level_of(const struct asked *asked)
{
    const Cohortium__Params *p = asked->body->params;

    return p != NULL && p->confidence > 0 ? p->confidence : 0.95;
}

static bool put_one(struct report *r, const char *name, double value, uint8_t state)
{
    return report_states(r, name, COHORTIUM__ITEM_KIND__PLAIN, 1, 1, &value, &state) !=
           NULL;
}

/* F with its degrees of freedom, as R gives it, and its p. */
static enum fault show_f(const struct asked *asked, const Cohortium__Result *result,
                         double df, uint8_t df_state, struct report *r)
{
    int state_f, state_rank;
    double f = released_value(released_item(result, "F"), 0, &state_f);
    double rank = released_value(released_item(result, "rank"), 0, &state_rank);
    double df1 = rank - !asked->body->params->model->no_intercept;
    uint8_t state = worse(worse(state_f, state_rank), df_state);
    double values[3] = {f, df1, df};
    uint8_t states[3] = {state, state, state};

    if (report_states(r, "F", COHORTIUM__ITEM_KIND__PLAIN, 3, 1, values, states) == NULL ||
        !put_one(r, "p_F", state == 0 ? tail_f(f, df1, df) : NAN, state))
        return FAULT_MEMORY;
    return FAULT_NONE;
}

static enum fault show_anova(struct cx *cx, const Cohortium__Result *result,
                             struct report *r)
{
    const Cohortium__Item *terms = released_item(result, "anova_terms");
    const Cohortium__Item *df = released_item(result, "anova_df");
    const Cohortium__Item *sums = released_item(result, "anova_sum_sq");
    double *f, *p;

    if (terms == NULL || df == NULL || sums == NULL || terms->n_words == 0 ||
        df->n_values != terms->n_words || sums->n_values != terms->n_words)
        return FAULT_NONE;
    size_t n = terms->n_words, columns = 5;
    struct report_table *t =
        report_table(r, "analysis of variance, sequential", columns, n);
    static const char *const head[] = {"term", "df", "sum of squares", "F", "p"};
    CX_NEW(cx, f, n);
    CX_NEW(cx, p, n);
    if (t == NULL)
        return FAULT_MEMORY;
    double rest_df = df->values[n - 1], mean = sums->values[n - 1] / rest_df;
    memcpy(t->head, head, sizeof head);
    for (size_t i = 0; i < n; i++) {
        const char **cell = t->cells + i * columns;

        f[i] = i + 1 < n ? sums->values[i] / df->values[i] / mean : NAN;
        p[i] = i + 1 < n ? tail_f(f[i], df->values[i], rest_df) : NAN;
        cell[0] = terms->words[i];
        cell[1] = report_number(cx, df->values[i], 0, 15);
        cell[2] = report_number(cx, sums->values[i], 0, 8);
        cell[3] = i + 1 < n ? report_number(cx, f[i], 0, 5) : "";
        cell[4] = i + 1 < n ? report_p(cx, p[i]) : "";
    }
    for (size_t i = 1; i < columns; i++)
        t->numeric[i] = true;
    if (report_copy(r, terms) == NULL || report_copy(r, df) == NULL ||
        report_copy(r, sums) == NULL ||
        report_put(r, "anova_F", COHORTIUM__ITEM_KIND__PLAIN, n, 1, f) == NULL ||
        report_put(r, "anova_p", COHORTIUM__ITEM_KIND__PLAIN, n, 1, p) == NULL)
        return FAULT_MEMORY;
    return FAULT_NONE;
}

/* A fit that was named as failing has terms and a note, no table. */
static bool has_estimates(const Cohortium__Result *result, struct report *r)
{
    bool has = released_item(result, "coef") != NULL;

    for (size_t i = 0; i < result->n_notes; i++)
        report_line(r, result->notes[i]);
    return has;
}

enum fault model_show_lm(struct cx *cx, const struct asked *asked,
                         const Cohortium__Result *result, struct report *r)
{
    static const char *const copied[] = {"n",   "dropped",   "rank",          "sigma",
                                         "rss", "r_squared", "adj_r_squared", "loglik",
                                         "aic", "bic",       "vcov"};
    static const char *const facts[] = {
        "n", "dropped", "sigma", "r_squared", "adj_r_squared", "F", "loglik", "aic", "bic"};
    struct lines l = {0};
    uint8_t df_state;
    double df = residual_df(result, &df_state), level = level_of(asked);

    if (!has_estimates(result, r))
        return copy(r, result, copied, COUNT(copied));
    TRY(derive(cx, result, level, df, df_state, &l));
    TRY(put_lines(r, &l));
    TRY(copy(r, result, copied, COUNT(copied)));
    if (!put_one(r, "df_residual", df, df_state))
        return FAULT_MEMORY;
    TRY(show_f(asked, result, df, df_state, r));
    TRY(table_lines(cx, r, &l, "t", level, false));
    TRY(table_facts(cx, r, result, facts, COUNT(facts)));
    TRY(show_anova(cx, result, r));
    return FAULT_NONE;
}

static enum fault put_odds(struct cx *cx, struct report *r, const struct lines *l)
{
    uint8_t *states;

    CX_NEW(cx, states, l->n);
    for (size_t i = 0; i < l->n; i++) {
        int state;
        (void)released_value(l->coef, i, &state);
        states[i] = worse(state, 0);
    }
    return report_states(r, "odds_ratio", COHORTIUM__ITEM_KIND__PLAIN, l->n, 1, l->odds,
                         states) == NULL
               ? FAULT_MEMORY
               : FAULT_NONE;
}

enum fault model_show_glm(struct cx *cx, const struct asked *asked,
                          const Cohortium__Result *result, bool estimated, bool odds,
                          bool binomial, struct report *r)
{
    static const char *const copied[] = {
        "n",      "dropped", "rank", "dispersion",    "deviance",   "null_deviance",
        "loglik", "aic",     "bic",  "pearson_chisq", "iterations", "converged",
        "vcov"};
    static const char *const facts[] = {
        "n", "dropped", "dispersion", "deviance", "null_deviance", "loglik", "aic", "bic"};
    struct lines l = {0};
    uint8_t df_state;
    double df = residual_df(result, &df_state), level = level_of(asked);
    int state_d, state_null;
    double deviance = released_value(released_item(result, "deviance"), 0, &state_d);
    double null = released_value(released_item(result, "null_deviance"), 0, &state_null);

    if (!has_estimates(result, r))
        return copy(r, result, copied, COUNT(copied));
    TRY(derive(cx, result, level, estimated ? df : INFINITY, estimated ? df_state : 0, &l));
    TRY(put_lines(r, &l));
    TRY(copy(r, result, copied, COUNT(copied)));
    if (!put_one(r, "df_residual", df, df_state) ||
        (binomial &&
         !put_one(r, "mcfadden_r2", 1 - deviance / null, worse(state_d, state_null))))
        return FAULT_MEMORY;
    if (odds)
        TRY(put_odds(cx, r, &l));
    TRY(table_lines(cx, r, &l, estimated ? "t" : "z", level, odds));
    TRY(table_facts(cx, r, result, facts, COUNT(facts)));
    return FAULT_NONE;
}

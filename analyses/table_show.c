/*
 * table_show.c - what follows from the released cells of a table.
 *
 * Chi-square with and without Yates' correction (as R's chisq.test: min(0.5, |x - E|)), the
 * likelihood ratio G2, Cramer's V; for two by two the odds ratio (Woolf), risk ratio (Katz)
 * and risk difference (Wald). Event: second column; exposed: second row. The level
 * "(missing)" is never part of these. One withheld cell, and none of them is computed.
 * Source: Agresti, Categorical Data Analysis, 3rd ed., sections 3.1 and 3.2.
 */
#include "analyses/table.h"

#define MATHLIB_STANDALONE
#include <Rmath.h>
#include <math.h>

struct view {             /* the levels shown: zero levels of an integer are left out */
    size_t rows, columns; /* with "(missing)" */
    size_t r, c;          /* without */
    const char **row_names, **column_names;
    double *counts; /* rows by columns */
    uint8_t *states;
    double *row_counts;
    uint8_t *row_states;
    bool complete; /* all r by c cells are given */
    double n;
};

/* An integer's level that no row holds is not a level (R's table of a number would not have
 * it); only where all its cells are released zeros. */
static bool is_empty(const Cohortium__Item *counts, size_t first, size_t step, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int state;
        double value = released_value(counts, first + i * step, &state);

        if (state != 0 || value != 0.0)
            return false;
    }
    return true;
}

static bool drops_empty(const struct asked *asked, const struct levels *l)
{
    return codebook_variable(asked->cb, l->variable)->type == COHORTIUM__VAR_TYPE__INTEGER;
}

static enum fault view_pick(struct cx *cx, const struct asked *asked,
                            const struct table_params *p, const Cohortium__Item *counts,
                            size_t k, size_t **ret_index, const char ***ret_names,
                            size_t *ret_n, size_t *ret_valid)
{
    size_t rows = table_rows(p), columns = table_columns(p), n = 0;
    size_t all = k == 0 ? rows : columns;
    const struct levels *l = &p->key[k];

    CX_NEW(cx, *ret_index, all);
    CX_NEW(cx, *ret_names, all);
    *ret_valid = 0;
    for (size_t i = 0; i < all; i++) {
        bool missing = i == l->n;

        if (!missing && drops_empty(asked, l) &&
            (k == 0 ? is_empty(counts, i * columns, 1, columns)
                    : is_empty(counts, i, columns, rows)))
            continue;
        (*ret_index)[n] = i;
        (*ret_names)[n++] = missing ? TABLE_MISSING : l->names[i];
        *ret_valid += !missing;
    }
    *ret_n = n;
    return FAULT_NONE;
}

static enum fault view_new(struct cx *cx, const struct asked *asked,
                           const struct table_params *p, const Cohortium__Item *counts,
                           const Cohortium__Item *row_counts, struct view *ret)
{
    struct view v = {.columns = 1, .c = 1, .complete = true};
    size_t *row_index, *column_index = NULL, columns = table_columns(p);

    TRY(view_pick(cx, asked, p, counts, 0, &row_index, &v.row_names, &v.rows, &v.r));
    if (p->n == 2)
        TRY(view_pick(cx, asked, p, counts, 1, &column_index, &v.column_names, &v.columns,
                      &v.c));
    size_t cells = v.rows * v.columns;
    CX_NEW(cx, v.counts, cells);
    CX_NEW(cx, v.states, cells);
    CX_NEW(cx, v.row_counts, cells);
    CX_NEW(cx, v.row_states, cells);
    for (size_t i = 0; i < v.rows; i++)
        for (size_t j = 0; j < v.columns; j++) {
            size_t from = row_index[i] * columns + (column_index ? column_index[j] : 0);
            size_t to = i * v.columns + j;
            int state;

            v.counts[to] = released_value(counts, from, &state);
            v.states[to] = (uint8_t)state;
            if (i < v.r && j < v.c) {
                v.complete = v.complete && state == 0;
                v.n += v.counts[to];
            }
            v.row_counts[to] = released_value(row_counts, from, &state);
            v.row_states[to] = (uint8_t)state;
        }
    *ret = v;
    return FAULT_NONE;
}

static bool put_number(struct report *r, const char *name, Cohortium__ItemKind kind,
                       double x)
{
    return report_put(r, name, kind, 1, 1, &x) != NULL;
}

static bool put_estimate(struct report *r, const char *name, double x)
{
    return put_number(r, name, COHORTIUM__ITEM_KIND__ESTIMATES, x);
}

static bool put_interval(struct report *r, const char *name, double low, double high)
{
    double ci[2] = {low, high};

    return report_put(r, name, COHORTIUM__ITEM_KIND__ESTIMATES, 2, 1, ci) != NULL;
}

/* Text and item together. */
static void say_interval(struct cx *cx, struct report *r, const char *what, double x,
                         double low, double high)
{
    report_line(r, cx_printf(cx, "%s %s (%s to %s)", what, report_number(cx, x, 0, 4),
                             report_number(cx, low, 0, 4), report_number(cx, high, 0, 4)));
}

static bool two_by_two(struct cx *cx, struct report *r, const double *x, double confidence)
{
    double a = x[0], b = x[1], c = x[2], d = x[3];
    double z = qnorm(0.5 + confidence / 2, 0.0, 1.0, 1, 0);
    double odds = (d / c) / (b / a), log_se = sqrt(1 / a + 1 / b + 1 / c + 1 / d);
    double exposed = d / (c + d), unexposed = b / (a + b), ratio = exposed / unexposed;
    double ratio_se = sqrt(1 / d - 1 / (c + d) + 1 / b - 1 / (a + b));
    double difference = exposed - unexposed;
    double difference_se =
        sqrt(exposed * (1 - exposed) / (c + d) + unexposed * (1 - unexposed) / (a + b));
    double or_ci[2] = {odds * exp(-z * log_se), odds * exp(z * log_se)};
    double rr_ci[2] = {ratio * exp(-z * ratio_se), ratio * exp(z * ratio_se)};
    double rd_ci[2] = {difference - z * difference_se, difference + z * difference_se};

    say_interval(cx, r, "odds ratio", odds, or_ci[0], or_ci[1]);
    say_interval(cx, r, "risk ratio", ratio, rr_ci[0], rr_ci[1]);
    say_interval(cx, r, "risk difference", difference, rd_ci[0], rd_ci[1]);
    report_line(r, cx_printf(cx,
                             "(event: second column; exposed: second row; %g %% intervals)",
                             100 * confidence));
    return put_estimate(r, "odds_ratio", odds) &&
           put_number(r, "log_or_se", COHORTIUM__ITEM_KIND__ERRORS, log_se) &&
           put_interval(r, "or_ci_wald", or_ci[0], or_ci[1]) &&
           put_estimate(r, "risk_exposed", exposed) &&
           put_estimate(r, "risk_unexposed", unexposed) &&
           put_estimate(r, "risk_ratio", ratio) &&
           put_interval(r, "rr_ci_wald", rr_ci[0], rr_ci[1]) &&
           put_estimate(r, "risk_difference", difference) &&
           put_interval(r, "rd_ci_wald", rd_ci[0], rd_ci[1]);
}

struct independence {
    double *expected; /* r by c */
    double chisq, yates, g2;
    size_t rows, columns; /* that hold anybody */
};

static enum fault independence_of(struct cx *cx, const struct view *v,
                                  struct independence *ret)
{
    struct independence t = {0};
    double *row, *column, correction = 0.5;
    size_t cells = v->r * v->c;

    CX_NEW(cx, t.expected, cells);
    CX_NEW(cx, row, v->r);
    CX_NEW(cx, column, v->c);
    for (size_t i = 0; i < v->r; i++)
        for (size_t j = 0; j < v->c; j++) {
            row[i] += v->counts[i * v->columns + j];
            column[j] += v->counts[i * v->columns + j];
        }
    for (size_t i = 0; i < v->r; i++)
        t.rows += row[i] > 0;
    for (size_t j = 0; j < v->c; j++)
        t.columns += column[j] > 0;
    for (size_t i = 0; i < v->r; i++)
        for (size_t j = 0; j < v->c; j++) {
            double e = v->n > 0 ? row[i] * column[j] / v->n : 0.0;

            t.expected[i * v->c + j] = e;
            if (e > 0)
                correction = fmin(correction, fabs(v->counts[i * v->columns + j] - e));
        }
    for (size_t i = 0; i < v->r; i++)
        for (size_t j = 0; j < v->c; j++) {
            double x = v->counts[i * v->columns + j], e = t.expected[i * v->c + j];

            if (!(e > 0))
                continue;
            t.chisq += (x - e) * (x - e) / e;
            t.yates += pow(fabs(x - e) - correction, 2) / e;
            t.g2 += x > 0 ? 2 * x * log(x / e) : 0.0;
        }
    *ret = t;
    return FAULT_NONE;
}

static enum fault show_tests(struct cx *cx, const struct table_params *p,
                             const struct view *v, struct report *r)
{
    struct independence t;

    TRY(independence_of(cx, v, &t));
    if (t.rows < 2 || t.columns < 2) {
        report_line(r, "no tests: fewer than two rows or columns hold anybody");
        return FAULT_NONE;
    }
    bool square = v->r == 2 && v->c == 2;
    double df = (double)((t.rows - 1) * (t.columns - 1));
    size_t least = t.rows < t.columns ? t.rows : t.columns;
    double v_cramer = sqrt(t.chisq / (v->n * (double)(least - 1)));
    double chisq_p = pchisq(t.chisq, df, 0, 0), g2_p = pchisq(t.g2, df, 0, 0);
    double yates_p = pchisq(t.yates, df, 0, 0);

    report_line(r, cx_printf(cx, "chi-square %s, df %.0f, p %s",
                             report_number(cx, t.chisq, 0, 5), df, report_p(cx, chisq_p)));
    if (square)
        report_line(r, cx_printf(cx, "  with continuity correction %s, p %s",
                                 report_number(cx, t.yates, 0, 5), report_p(cx, yates_p)));
    report_line(r, cx_printf(cx, "likelihood ratio %s, p %s; Cramer's V %s",
                             report_number(cx, t.g2, 0, 5), report_p(cx, g2_p),
                             report_number(cx, v_cramer, 0, 3)));
    if (report_put(r, "expected", COHORTIUM__ITEM_KIND__ESTIMATES, v->r, v->c,
                   t.expected) == NULL ||
        !put_estimate(r, "chisq", t.chisq) ||
        !put_number(r, "df", COHORTIUM__ITEM_KIND__PLAIN, df) ||
        !put_estimate(r, "p", chisq_p) || !put_estimate(r, "cramers_v", v_cramer) ||
        !put_estimate(r, "lr_g2", t.g2) || !put_estimate(r, "lr_p", g2_p))
        return FAULT_MEMORY;
    if (square &&
        (!put_estimate(r, "chisq_yates", t.yates) || !put_estimate(r, "p_yates", yates_p) ||
         !two_by_two(cx, r, v->counts, p->confidence)))
        return FAULT_MEMORY;
    return FAULT_NONE;
}

/* "112 (81.2 %)": the share of its row (one variable: of the column), from released cells
 * only and only where all of them are released. */
static const char *cell_text(struct cx *cx, const struct table_params *p,
                             const struct view *v, size_t i, size_t j)
{
    size_t at = i * v->columns + j;
    const char *number = report_number(cx, v->counts[at], v->states[at], 15), *text;
    double total = 0.0;
    bool whole = i < v->r && j < v->c;

    for (size_t k = 0; whole && k < (p->n == 2 ? v->c : v->r); k++) {
        size_t other = p->n == 2 ? i * v->columns + k : k;
        whole = v->states[other] == 0;
        total += v->counts[other];
    }
    if (!whole || !(total > 0))
        return number;
    text = cx_printf(cx, "%s (%.1f %%)", number, 100 * v->counts[at] / total);
    return text == NULL ? number : text;
}

static enum fault show_table(struct cx *cx, const struct asked *asked,
                             const struct table_params *p, const struct view *v,
                             struct report *r)
{
    const char *row = codebook_variable(asked->cb, p->key[0].variable)->name;
    const char *title =
        p->n == 2 ? cx_printf(cx, "%s by %s: patients (row percentages)", row,
                              codebook_variable(asked->cb, p->key[1].variable)->name)
                  : cx_printf(cx, "%s: patients", row);
    if (title == NULL)
        return FAULT_MEMORY;
    struct report_table *t = report_table(r, title, v->columns + 1, v->rows);
    if (t == NULL)
        return FAULT_MEMORY;
    t->head[0] = row;
    for (size_t j = 0; j < v->columns; j++) {
        t->head[j + 1] = p->n == 2 ? v->column_names[j] : "patients";
        t->numeric[j + 1] = true;
    }
    for (size_t i = 0; i < v->rows; i++) {
        t->cells[i * t->n_columns] = v->row_names[i];
        for (size_t j = 0; j < v->columns; j++)
            t->cells[i * t->n_columns + j + 1] = cell_text(cx, p, v, i, j);
    }
    return FAULT_NONE;
}

static bool put_view(struct report *r, const struct table_params *p, const struct view *v)
{
    return report_words(r, "rows", v->row_names, v->rows) != NULL &&
           (p->n == 1 || report_words(r, "cols", v->column_names, v->columns) != NULL) &&
           report_states(r, "counts", COHORTIUM__ITEM_KIND__COUNTS, v->rows, v->columns,
                         v->counts, v->states) != NULL &&
           report_states(r, "row_counts", COHORTIUM__ITEM_KIND__COUNTS, v->rows, v->columns,
                         v->row_counts, v->row_states) != NULL;
}

enum fault table_show(struct cx *cx, const struct asked *asked,
                      const Cohortium__Release *release, struct report *report)
{
    const struct table_params *p = asked->parsed;
    const Cohortium__Item *counts = released_item(release->result, "counts");
    const Cohortium__Item *row_counts = released_item(release->result, "row_counts");
    size_t cells = table_rows(p) * table_columns(p);
    struct view v;

    if (counts == NULL || row_counts == NULL || counts->n_values != cells ||
        row_counts->n_values != cells)
        return cx_fail(cx, FAULT_FORMAT,
                       "table: the release's counts are not the table that was asked for");
    TRY(view_new(cx, asked, p, counts, row_counts, &v));
    TRY(show_table(cx, asked, p, &v, report));
    if (!put_view(report, p, &v))
        return FAULT_MEMORY;
    if (!v.complete) {
        report_line(report, p->n == 2
                                ? "tests and ratios: not computed because cells are "
                                  "withheld"
                                : "percentages: not computed because cells are withheld");
        return FAULT_NONE;
    }
    if (!put_number(report, "n", COHORTIUM__ITEM_KIND__COUNTS, v.n))
        return FAULT_MEMORY;
    return p->n == 2 ? show_tests(cx, p, &v, report) : FAULT_NONE;
}

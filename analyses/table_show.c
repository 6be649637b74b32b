/*
 * table_show.c - what follows from the released cells of a table.
 *
 * Chi-square with and without Yates' correction (as R's chisq.test: min(0.5, |x - E|)), the
 * likelihood ratio G2, Cramer's V; for two by two the odds ratio (Woolf), risk ratio (Katz)
 * and risk difference (Wald). Event: second column; exposed: second row. The level
 * "(missing)" is never part of these. One withheld cell, and none of them is computed.
 * Totals are released by themselves; no statistic reads them.
 * Source: Agresti, Categorical Data Analysis, 3rd ed., sections 3.1 and 3.2.
 */
#include "analyses/table.h"

#define MATHLIB_STANDALONE
#include <Rmath.h>
#include <math.h>
#include <string.h>

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

struct square { /* the cells without "(missing)" of a table of two variables */
    size_t r, c;
    double *counts; /* r by c */
    double n;
};

static enum fault square_of(struct cx *cx, const struct view *v, struct square *ret)
{
    struct square q = {.r = v->valid[0], .c = v->valid[1], .n = v->sum};

    CX_NEW(cx, q.counts, q.r * q.c);
    for (size_t i = 0; i < q.r; i++)
        for (size_t j = 0; j < q.c; j++)
            q.counts[i * q.c + j] = v->counts[i * shape_step(&v->shape, 0) + j];
    *ret = q;
    return FAULT_NONE;
}

struct independence {
    double *expected; /* r by c */
    double chisq, yates, g2;
    size_t rows, columns; /* that hold anybody */
};

static enum fault independence_of(struct cx *cx, const struct square *v,
                                  struct independence *ret)
{
    struct independence t = {0};
    double *row, *column, correction = 0.5;

    CX_NEW(cx, t.expected, v->r * v->c);
    CX_NEW(cx, row, v->r);
    CX_NEW(cx, column, v->c);
    for (size_t i = 0; i < v->r; i++)
        for (size_t j = 0; j < v->c; j++) {
            row[i] += v->counts[i * v->c + j];
            column[j] += v->counts[i * v->c + j];
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
                correction = fmin(correction, fabs(v->counts[i * v->c + j] - e));
        }
    for (size_t i = 0; i < v->r; i++)
        for (size_t j = 0; j < v->c; j++) {
            double x = v->counts[i * v->c + j], e = t.expected[i * v->c + j];

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
                             const struct view *view, struct report *r)
{
    struct independence t;
    struct square square_counts, *v = &square_counts;

    TRY(square_of(cx, view, v));
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

/* ---- as people read it ---- */

/* "112 (81.2 %)": the share among the levels of the last variable, from released cells only
 * and only where all of them are released. */
static const char *cell_text(struct cx *cx, const struct view *v, size_t at)
{
    size_t last = v->shape.n_dims - 1, level = shape_level(&v->shape, at, last);
    const char *number = report_number(cx, v->counts[at], v->states[at], 15), *text;
    bool whole = !shape_is_total(&v->shape, at) && view_is_valid(v, at);
    double total = 0.0;

    for (size_t k = 0; whole && k < v->valid[last]; k++) {
        size_t other = at - level + k;
        whole = v->states[other] == 0;
        total += v->counts[other];
    }
    if (!whole || !(total > 0))
        return number;
    text = cx_printf(cx, "%s (%.1f %%)", number, 100 * v->counts[at] / total);
    return text == NULL ? number : text;
}

static const char *level_name(const struct view *v, size_t dim, size_t level)
{
    return level < v->shape.size[dim] ? v->names[dim][level] : "total";
}

static const char *title_of(struct cx *cx, const struct asked *asked,
                            const struct table_params *p)
{
    const char *title = codebook_variable(asked->cb, p->key[0].variable)->name;

    for (size_t k = 1; k < p->n && title != NULL; k++)
        title = cx_printf(cx, "%s by %s", title,
                          codebook_variable(asked->cb, p->key[k].variable)->name);
    return title == NULL
               ? NULL
               : cx_printf(cx, p->n > 1 ? "%s: patients (row percentages)" : "%s: patients",
                           title);
}

/* One variable: a line for each level. */
static enum fault show_list(const struct asked *asked, const struct table_params *p,
                            const struct view *v, struct report *r, const char *title)
{
    size_t rows = v->shape.size[0] + v->has_totals;
    struct report_table *t = report_table(r, title, 2, rows);

    if (t == NULL)
        return FAULT_MEMORY;
    t->head[0] = codebook_variable(asked->cb, p->key[0].variable)->name;
    t->head[1] = "patients";
    t->numeric[1] = true;
    for (size_t i = 0; i < rows; i++) {
        t->cells[2 * i] = level_name(v, 0, i);
        t->cells[2 * i + 1] = cell_text(r->cx, v, i);
    }
    return FAULT_NONE;
}

/* Whether a line of the table is the first of its level of this variable. */
static bool begins(const struct view *v, size_t at, size_t before, size_t dim)
{
    for (size_t d = 0; d <= dim; d++)
        if (shape_level(&v->shape, at, d) != shape_level(&v->shape, before, d))
            return true;
    return false;
}

/* R's ftable: a line for each levels of the first variables, a column for each of the
 * last. */
static enum fault show_flat(const struct asked *asked, const struct table_params *p,
                            const struct view *v, struct report *r, const char *title)
{
    size_t last = p->n - 1, step = v->shape.size[last] + 1, rows = 0;
    size_t columns = v->shape.size[last] + v->has_totals, before = SIZE_MAX;

    for (size_t at = 0; at < v->n; at += step)
        rows += v->has_totals || !shape_is_total(&v->shape, at);
    struct report_table *t = report_table(r, title, last + columns, rows);

    if (t == NULL)
        return FAULT_MEMORY;
    for (size_t d = 0; d < last; d++)
        t->head[d] = codebook_variable(asked->cb, p->key[d].variable)->name;
    for (size_t j = 0; j < columns; j++) {
        t->head[last + j] = level_name(v, last, j);
        t->numeric[last + j] = true;
    }
    rows = 0;
    for (size_t at = 0; at < v->n; at += step) {
        if (!v->has_totals && shape_is_total(&v->shape, at))
            continue;
        const char **cells = &t->cells[rows++ * t->n_columns];

        for (size_t d = 0; d < last; d++)
            cells[d] = before == SIZE_MAX || d + 1 == last || begins(v, at, before, d)
                           ? level_name(v, d, shape_level(&v->shape, at, d))
                           : "";
        for (size_t j = 0; j < columns; j++)
            cells[last + j] = cell_text(r->cx, v, at + j);
        before = at;
    }
    return FAULT_NONE;
}

/* ---- as programs read it ---- */

/* Cells (totals false) or totals, in the order of the shape. */
static bool put_part(struct report *r, const char *name, const struct view *v, bool totals,
                     const double *from, const uint8_t *from_states)
{
    size_t n = 0, cells = shape_cells(&v->shape);
    size_t rows = totals ? v->n - cells : v->shape.size[0];
    double *values = cx_array(r->cx, v->n, sizeof *values);
    uint8_t *states = cx_array(r->cx, v->n, sizeof *states);

    if (values == NULL || states == NULL)
        return false;
    for (size_t at = 0; at < v->n; at++)
        if (shape_is_total(&v->shape, at) == totals) {
            values[n] = from[at];
            states[n++] = from_states[at];
        }
    return report_states(r, name, COHORTIUM__ITEM_KIND__COUNTS, rows,
                         rows > 0 ? n / rows : 0, values, states) != NULL;
}

static bool put_view(struct cx *cx, const struct asked *asked, struct report *r,
                     const struct table_params *p, const struct view *v)
{
    for (size_t d = 0; d < p->n; d++) {
        const char *name = table_names_item(cx, asked, p, d);

        if (name == NULL || report_words(r, name, v->names[d], v->shape.size[d]) == NULL)
            return false;
    }
    return put_part(r, "counts", v, false, v->counts, v->states) &&
           put_part(r, "row_counts", v, false, v->row_counts, v->row_states) &&
           (!v->has_totals || put_part(r, "totals", v, true, v->counts, v->states));
}

/* What to know of the totals beside rounded cells. NULL: nothing. */
static const char *totals_line(const Cohortium__Release *release, const struct view *v)
{
    const char *line = "totals: each rounded by itself, like a cell";

    if (!v->has_totals || release->exact_for_testing)
        return NULL;
    for (size_t i = 0; release->policy != NULL && i < release->policy->n_fields; i++) {
        const Cohortium__PolicyField *f = release->policy->fields[i];

        if (strcmp(f->name, "rounding_mode") == 0 && f->number == 2 && v->shape.n_dims <= 2)
            line = "totals: rounded together with their cells, so that they add up";
        if (strcmp(f->name, "rounding_mode") == 0 && f->number == 3)
            line = "totals: each with an error of its own, like a cell";
    }
    return line;
}

enum fault table_show(struct cx *cx, const struct asked *asked,
                      const Cohortium__Release *release, struct report *report)
{
    const struct table_params *p = asked->parsed;
    const char *title = title_of(cx, asked, p);
    struct view v;

    if (title == NULL)
        return FAULT_MEMORY;
    TRY(table_view(cx, asked, p, release, &v));
    TRY(p->n == 1 ? show_list(asked, p, &v, report, title)
                  : show_flat(asked, p, &v, report, title));
    if (!put_view(cx, asked, report, p, &v))
        return FAULT_MEMORY;
    if (v.complete) {
        if (!put_number(report, "n", COHORTIUM__ITEM_KIND__COUNTS, v.sum))
            return FAULT_MEMORY;
        if (p->n == 2)
            TRY(show_tests(cx, p, &v, report));
    } else {
        report_line(report, p->n == 2
                                ? "tests and ratios: not computed because cells are "
                                  "withheld"
                                : "percentages: not computed where cells are withheld");
    }
    if (totals_line(release, &v) != NULL)
        report_line(report, totals_line(release, &v));
    return FAULT_NONE;
}

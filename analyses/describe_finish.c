/*
 * describe_finish.c - from the pooled sums of describe.c to its numbers, and who stands
 * behind each.
 */
#include "analyses/describe.h"

#include <math.h>

#include "analyses/accuracy.h"

/* ---- exact sums: double-double, error-free steps of Dekker and Knuth ---- */

static struct dd dd_sum(double a, double b)
{
    double s = a + b, t = s - a;

    return (struct dd){.hi = s, .lo = (a - (s - t)) + (b - t)};
}

static struct dd dd_product(double a, double b)
{
    double p = a * b;

    return (struct dd){.hi = p, .lo = fma(a, b, -p)};
}

static struct dd dd_plus(struct dd a, struct dd b)
{
    struct dd s = dd_sum(a.hi, b.hi), t = dd_sum(a.lo, b.lo);

    s = dd_sum(s.hi, s.lo + t.hi);
    return dd_sum(s.hi, s.lo + t.lo);
}

static struct dd dd_times(struct dd a, double b)
{
    struct dd p = dd_product(a.hi, b);

    return dd_sum(p.hi, fma(a.lo, b, p.lo));
}

static struct dd dd_over(struct dd a, double b)
{
    double q = a.hi / b;
    struct dd rest = dd_plus(a, dd_product(-q, b));

    return dd_sum(q, (rest.hi + rest.lo) / b);
}

static struct dd dd_square(struct dd a)
{
    struct dd p = dd_product(a.hi, a.hi);

    return dd_sum(p.hi, p.lo + 2.0 * a.hi * a.lo);
}

/* ---- who stands behind a number ---- */

/*
 * n is the total of a variable's levels, so one withheld level would follow by subtraction
 * (R25), and so would several that hold fewer than k in all. With the levels in ascending
 * order c1 <= c2 <= ... level i is withheld at any k when ci < k or c1 + ... + c(i-1) < k:
 * then at least two are, or none, and the withheld ones hold at least k together. The first
 * level is its own support.
 */
static uint64_t level_support(const uint64_t *patients, size_t levels, size_t groups,
                              size_t g, size_t level)
{
    uint64_t own = patients[level * groups + g], smaller = 0;
    bool first = true;

    for (size_t l = 0; l < levels; l++) {
        uint64_t other = patients[l * groups + g];

        if (l == level || other > own || (other == own && l > level))
            continue;
        smaller += other;
        first = false;
    }
    return first || own < smaller ? own : smaller;
}

static uint64_t binary_support(const uint64_t *patients, size_t groups, size_t g)
{
    return patients[g] < patients[groups + g] ? patients[g] : patients[groups + g];
}

struct moments { /* vectors of variable * groups + group */
    double *mean, *sd, *var, *sum, *sum_sq, *steps;
    struct accuracy *spread; /* by variable: the worst group's */
    uint64_t *support;
};

/* What the variance loses: the steps of its sums (and a group's own mean costs), and the
 * rounding of each square. Both against what is left. */
static struct accuracy spread_errors(const struct cell *c, double m, double squares)
{
    double n = (double)c->used_rows, away = fabs(dd_plus(c->sum, dd_product(-n, m)).hi);

    if (!(c->squares.hi > 0)) /* the same value in every row */
        return (struct accuracy){0};
    squares = fmax(squares, 0x1p-1000);
    return (struct accuracy){.steps =
                                 (c->squares_error + 2 * away / n * c->sum_error) / squares,
                             .roundings = 0x1p-52 * c->squares.hi / squares};
}

static void numeric_moments(const struct cell *c, double m, struct moments *to, size_t at,
                            struct accuracy *spread)
{
    double n = (double)c->used_rows;
    struct dd away, squares;

    to->sum[at] = c->sum.hi;
    /* sum(x - m), sum((x - m)^2) and so sum(x^2) = squares + 2 m sum(x - m) + n m^2 */
    away = dd_plus(c->sum, dd_product(-n, m));
    squares = dd_plus(c->squares,
                      dd_plus(dd_times(away, 2.0 * m), dd_times(dd_product(m, m), n)));
    to->sum_sq[at] = squares.hi;
    if (c->used_rows >= 1)
        to->mean[at] = dd_over(c->sum, n).hi;
    if (c->used_rows >= 2) {
        struct dd own = dd_over(dd_square(away), -n);

        own = dd_plus(c->squares, own);
        struct accuracy errors = spread_errors(c, m, own.hi);
        if (accuracy_is_shown(&errors)) {
            to->var[at] = fmax(dd_over(own, n - 1.0).hi, 0.0);
            to->sd[at] = sqrt(to->var[at]);
        }
        if (errors.steps + errors.roundings > spread->steps + spread->roundings)
            *spread = errors;
    }
}

static void binary_moments(const uint64_t *rows, size_t groups, size_t g,
                           struct moments *to, size_t at)
{
    double zeros = (double)rows[g], ones = (double)rows[groups + g], n = zeros + ones;

    to->sum[at] = to->sum_sq[at] = ones;
    if (n >= 1)
        to->mean[at] = ones / n;
    if (n >= 2) {
        to->var[at] = zeros * ones / n / (n - 1.0);
        to->sd[at] = sqrt(to->var[at]);
    }
}

static enum fault moments_make(struct cx *cx, const struct asked *asked,
                               const struct state *state, struct moments *ret)
{
    const struct describe_params *p = asked->parsed;
    const struct described_state *own = state->own;
    size_t groups = p->by.n, n = p->n * groups, k = 0;
    struct moments to;
    double **vectors[] = {&to.mean, &to.sd, &to.var, &to.sum, &to.sum_sq, &to.steps};

    for (size_t i = 0; i < COUNT(vectors); i++) {
        CX_NEW(cx, *vectors[i], n);
        for (size_t j = 0; j < n; j++)
            (*vectors[i])[j] = NAN;
    }
    CX_NEW(cx, to.support, n);
    CX_NEW(cx, to.spread, p->n);
    for (size_t i = 0; i < p->n; i++) {
        const struct described *d = &p->list[i];
        bool binary = is_binary(asked->cb, d);
        double lower, upper, centre = d->numeric ? state->input[k++] : 0.0;

        variable_range(codebook_variable(asked->cb, d->variable), &lower, &upper);
        for (size_t g = 0; g < groups; g++) {
            size_t at = i * groups + g;

            to.steps[at] = upper - lower;
            to.support[at] = own->cells[at].used_patients;
            if (d->numeric)
                numeric_moments(&own->cells[at], centre, &to, at, &to.spread[i]);
            if (!binary)
                continue;
            binary_moments(own->level_rows[i], groups, g, &to, at);
            /* Its mean is a count: behind it stand the fewer of the zeros and the ones. */
            if (!asked->testing)
                to.support[at] = binary_support(own->level_patients[i], groups, g);
        }
    }
    *ret = to;
    return FAULT_NONE;
}

static enum fault put_moments(const struct asked *asked, struct result *r,
                              const struct moments *m)
{
    const struct describe_params *p = asked->parsed;
    const struct {
        const char *name;
        Cohortium__ItemKind kind;
        const double *values;
    } list[] = {
        {"mean", COHORTIUM__ITEM_KIND__MEANS, m->mean},
        {"sd", COHORTIUM__ITEM_KIND__SPREADS, m->sd},
        {"var", COHORTIUM__ITEM_KIND__SPREADS, m->var},
        {"sum", COHORTIUM__ITEM_KIND__EXACT, m->sum},
        {"sum_sq", COHORTIUM__ITEM_KIND__EXACT, m->sum_sq},
    };

    for (size_t i = 0; i < COUNT(list); i++) {
        struct item *item = result_put(r, list[i].name, list[i].kind, p->n, p->by.n,
                                       list[i].values, m->support);

        if (item == NULL)
            return FAULT_MEMORY;
        if (list[i].kind == COHORTIUM__ITEM_KIND__MEANS)
            item->steps = m->steps;
    }
    return FAULT_NONE;
}

/* A note a variable whose spread has few digits, or none. Under production not of groups:
 * one of them may be too small to be spoken of. */
static enum fault say_spread(struct cx *cx, const struct asked *asked,
                             const struct moments *m, struct result *r)
{
    const struct describe_params *p = asked->parsed;

    if (!asked->testing && p->by.variable >= 0)
        return FAULT_NONE;
    for (size_t i = 0; i < p->n; i++) {
        const struct accuracy *a = &m->spread[i];
        const Cohortium__Variable *v = codebook_variable(asked->cb, p->list[i].variable);
        int digits = accuracy_digits(a->steps + a->roundings);
        double lower, upper;

        if (digits >= accuracy_digits(0))
            continue;
        variable_range(v, &lower, &upper);
        const char *left =
            accuracy_is_shown(a)
                ? cx_printf(cx, "about %d significant digits are right", digits)
                : "it is left out where fewer than 3 digits would be right";
        const char *note =
            left == NULL ? NULL
            : a->steps >= a->roundings
                ? cx_printf(cx,
                            "the codebook's bounds of `%s` (%g to %g) are much wider than "
                            "its values: of its spread, %s; ask for narrower bounds in the "
                            "codebook",
                            v->name, lower, upper, left)
                : cx_printf(cx,
                            "the groups of `%s` lie much further apart than they spread: "
                            "of the spread, %s; describe one group at a time with --where",
                            v->name, left);
        if (note == NULL)
            return FAULT_MEMORY;
        result_note(r, note);
    }
    return FAULT_NONE;
}

static enum fault put_account(struct cx *cx, const struct describe_params *p,
                              const struct described_state *own, struct result *r)
{
    size_t groups = p->by.n, n = p->n * groups;
    struct accounting a = {.name_used = "n", .name_missing = "missing", .n = n};
    uint64_t **vectors[] = {&a.all,          &a.used,          &a.missing,
                            &a.all_patients, &a.used_patients, &a.missing_patients};

    uint64_t **keys[] = {&a.all_keys, &a.used_keys, &a.missing_keys};

    for (size_t i = 0; i < COUNT(vectors); i++)
        CX_NEW(cx, *vectors[i], n);
    for (size_t i = 0; i < COUNT(keys) && own->keyed; i++)
        CX_NEW(cx, *keys[i], n);
    for (size_t i = 0; i < n; i++) {
        const struct cell *cell = &own->cells[i];

        if (own->keyed) {
            a.all_keys[i] = own->all_keys[i % groups];
            a.used_keys[i] = cell->used_key;
            a.missing_keys[i] = cell->missing_key;
        }
        a.all[i] = own->all_rows[i % groups];
        a.all_patients[i] = own->all_patients[i % groups];
        a.used[i] = cell->used_rows;
        a.used_patients[i] = cell->used_patients;
        a.missing[i] = cell->missing_rows;
        a.missing_patients[i] = cell->missing_patients;
    }
    r->has_accounting = true;
    r->accounting = a;
    return FAULT_NONE;
}

static enum fault put_levels(struct cx *cx, const struct asked *asked, size_t i,
                             const struct described_state *own, struct result *r)
{
    const struct describe_params *p = asked->parsed;
    const struct described *d = &p->list[i];
    const Cohortium__Variable *v = codebook_variable(asked->cb, d->variable);
    size_t groups = p->by.n, n = d->levels.n * groups;
    const uint64_t *counts[2] = {own->level_patients[i], own->level_rows[i]};
    static const char *const names[2] = {"counts", "row_counts"};
    const char *name = cx_printf(cx, "levels:%s", v->name);
    double *values;
    uint64_t *support;

    if (name == NULL || result_words(r, name, d->levels.names, d->levels.n) == NULL)
        return FAULT_MEMORY;
    CX_NEW(cx, values, n);
    CX_NEW(cx, support, n);
    for (size_t j = 0; j < n; j++)
        support[j] = asked->testing ? counts[0][j]
                                    : level_support(counts[0], d->levels.n, groups,
                                                    j % groups, j / groups);
    for (size_t k = 0; k < COUNT(counts); k++) {
        struct item *item;

        for (size_t j = 0; j < n; j++)
            values[j] = (double)counts[k][j];
        name = cx_printf(cx, "%s:%s", names[k], v->name);
        if (name == NULL)
            return FAULT_MEMORY;
        item = result_put(r, name, COHORTIUM__ITEM_KIND__COUNTS, d->levels.n, groups,
                          values, support);
        if (item == NULL)
            return FAULT_MEMORY;
        item->patients = own->level_patients[i];
        item->keys = own->keyed ? own->level_keys[i] : NULL;
        item->sensitive_rows = v->role == COHORTIUM__ROLE__SENSITIVE;
        item->sensitive_columns =
            p->by.variable >= 0 && codebook_variable(asked->cb, p->by.variable)->role ==
                                       COHORTIUM__ROLE__SENSITIVE;
    }
    return FAULT_NONE;
}

/* ---- which of the plan's cells a value is of (describe_plan) ---- */

static size_t level_cells(const struct describe_params *p, size_t variables)
{
    size_t n = 0;

    for (size_t v = 0; v < variables; v++)
        n += p->list[v].keyed ? p->list[v].levels.n : 0;
    return n;
}

/* Of variables by groups: the group's. */
static enum fault group_cells(struct cx *cx, const struct describe_params *p,
                              const size_t **ret)
{
    size_t each = 1 + level_cells(p, p->n), *cells;

    CX_NEW(cx, cells, p->n * p->by.n);
    for (size_t i = 0; i < p->n * p->by.n; i++)
        cells[i] = i % p->by.n * each;
    *ret = cells;
    return FAULT_NONE;
}

/* Of the levels of one variable by groups. */
static enum fault cells_of_levels(struct cx *cx, const struct describe_params *p,
                                  size_t variable, const size_t **ret)
{
    size_t each = 1 + level_cells(p, p->n), first = 1 + level_cells(p, variable);
    size_t groups = p->by.n, n = p->list[variable].levels.n * groups, *cells;

    CX_NEW(cx, cells, n);
    for (size_t i = 0; i < n; i++)
        cells[i] = i % groups * each + first + i / groups;
    *ret = cells;
    return FAULT_NONE;
}

enum fault describe_finish(struct cx *cx, const struct asked *asked,
                           const struct state *state, struct result **ret)
{
    const struct describe_params *p = asked->parsed;
    const struct described_state *own = state->own;
    const char **names;
    struct moments moments;
    struct result *r;

    TRY(result_new(cx, &r));
    CX_NEW(cx, names, p->n);
    for (size_t i = 0; i < p->n; i++)
        names[i] = codebook_variable(asked->cb, p->list[i].variable)->name;
    if (result_words(r, "variables", names, p->n) == NULL ||
        result_words(r, "groups", p->by.names, p->by.n) == NULL)
        return FAULT_MEMORY;
    TRY(put_account(cx, p, own, r));
    TRY(moments_make(cx, asked, state, &moments));
    TRY(put_moments(asked, r, &moments));
    TRY(say_spread(cx, asked, &moments, r));
    TRY(group_cells(cx, p, &r->accounting.cells));
    for (size_t i = 0; i < r->n_items; i++)
        r->items[i].cells = r->accounting.cells;
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].keyed) {
            size_t at = r->n_items;

            TRY(put_levels(cx, asked, i, own, r));
            for (; at < r->n_items; at++)
                TRY(cells_of_levels(cx, p, i, &r->items[at].cells));
        }
    if (p->by.variable >= 0)
        result_note(r, "Rows without a value of the group variable are left out.");
    *ret = r;
    return FAULT_NONE;
}

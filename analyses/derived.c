/* derived.c - variables that a codebook derives from others; their levels and names. */
#include "analyses/derived.h"

#include <math.h>
#include <string.h>

#include "analyses/ast.h"
#include "protocol/base/clock.h"

enum { RECODED_MAX = 40 }; /* whole numbers, as levels_offered has them */

bool variable_is_derived(const Cohortium__Variable *v)
{
    return v->from[0] != '\0';
}

static bool is_measured(const Cohortium__Variable *v)
{
    return v->type == COHORTIUM__VAR_TYPE__INTEGER ||
           v->type == COHORTIUM__VAR_TYPE__REAL || v->type == COHORTIUM__VAR_TYPE__DATE;
}

size_t variable_recoded(const Cohortium__Variable *source)
{
    if (variable_has_levels(source))
        return source->n_levels;
    if (source->type == COHORTIUM__VAR_TYPE__BINARY)
        return 2;
    if (source->type != COHORTIUM__VAR_TYPE__INTEGER || !source->bounded ||
        variable_is_quasi(source))
        return 0;
    double n = source->upper - source->lower + 1;
    return n <= RECODED_MAX ? (size_t)n : 0;
}

double variable_derive(const Cohortium__Variable *v, const Cohortium__Variable *source,
                       double x)
{
    size_t level = 0;

    if (v->n_recode > 0) {
        double first = source->type == COHORTIUM__VAR_TYPE__INTEGER ? source->lower : 0;
        size_t at = x > first ? (size_t)(x - first) : 0;

        return v->recode[at < v->n_recode ? at : v->n_recode - 1];
    }
    while (level < v->n_cut && v->cut[level] <= x)
        level++;
    return (double)level;
}

/* ---- names of intervals ---- */

static const char *point(struct cx *cx, const Cohortium__Variable *source, double x)
{
    char text[32];

    if (source->type == COHORTIUM__VAR_TYPE__DATE)
        return cx_strdup(cx, clock_date((int32_t)x, text, sizeof text));
    return number_words(cx, x);
}

/* [low, high) of whole numbers as their first and last. */
static char *interval_name(struct cx *cx, const Cohortium__Variable *source, double low,
                           double high)
{
    const char *a = point(cx, source, low), *b;

    if (source->type == COHORTIUM__VAR_TYPE__REAL) {
        b = point(cx, source, high);
        return a == NULL || b == NULL ? NULL : cx_printf(cx, "[%s,%s)", a, b);
    }
    b = point(cx, source, high - 1);
    if (a == NULL || b == NULL)
        return NULL;
    if (high - low <= 1)
        return cx_printf(cx, "%s", a);
    return cx_printf(cx, source->type == COHORTIUM__VAR_TYPE__DATE ? "%s to %s" : "%s-%s",
                     a, b);
}

enum fault cut_names(struct cx *cx, const Cohortium__Variable *source, const double *cut,
                     size_t n, char ***ret)
{
    CX_NEW(cx, *ret, n + 1);
    for (size_t i = 0; i <= n; i++) {
        char **name = &(*ret)[i];

        if (i > 0 && i < n) {
            *name = interval_name(cx, source, cut[i - 1], cut[i]);
        } else {
            const char *at = point(cx, source, cut[i == 0 ? 0 : n - 1]);

            *name = at == NULL ? NULL : cx_printf(cx, i == 0 ? "<%s" : ">=%s", at);
        }
        if (*name == NULL)
            return FAULT_MEMORY;
    }
    return FAULT_NONE;
}

/* ---- what is allowed ---- */

static const Cohortium__Variable *find(const Cohortium__Codebook *body, const char *name)
{
    for (size_t i = 0; i < body->n_variables; i++)
        if (strcmp(body->variables[i]->name, name) == 0)
            return body->variables[i];
    return NULL;
}

static bool is_on_grid(const Cohortium__Variable *source, double at)
{
    for (size_t i = 0; i < source->n_grid; i++)
        if (source->grid[i] == at)
            return true;
    return source->n_grid == 0 && !variable_is_quasi(source);
}

static enum fault check_cut(struct cx *cx, const Cohortium__Variable *v,
                            const Cohortium__Variable *source)
{
    if (!is_measured(source))
        return cx_fail(
            cx, FAULT_FORMAT,
            "variable `%s`: `%s` is no number or date and cannot be cut; recode it",
            v->name, source->name);
    if (v->type != COHORTIUM__VAR_TYPE__ORDERED || v->n_levels != v->n_cut + 1)
        return cx_fail(
            cx, FAULT_FORMAT,
            "variable `%s`: what is cut at %zu points is ordered and has %zu levels, "
            "not %zu",
            v->name, v->n_cut, v->n_cut + 1, v->n_levels);
    for (size_t i = 0; i < v->n_cut; i++) {
        double at = v->cut[i];

        if (!isfinite(at) || at <= source->lower || at > source->upper ||
            (i > 0 && at <= v->cut[i - 1]) ||
            (source->type != COHORTIUM__VAR_TYPE__REAL && at != floor(at)))
            return cx_fail(
                cx, FAULT_FORMAT,
                "variable `%s`: cut point %zu: they must ascend strictly within the "
                "bounds of `%s`, the lower one left out",
                v->name, i + 1, source->name);
        if (!is_on_grid(source, at))
            return cx_fail(
                cx, FAULT_FORMAT,
                "variable `%s`: cut point %zu is not on the grid of `%s`%s; take "
                "points of its grid alone",
                v->name, i + 1, source->name,
                source->n_grid == 0 ? ", a quasi-identifier that has none" : "");
    }
    return FAULT_NONE;
}

static enum fault check_recode(struct cx *cx, const Cohortium__Variable *v,
                               const Cohortium__Variable *source)
{
    size_t n = variable_recoded(source);
    bool *used;

    if (n == 0)
        return cx_fail(
            cx, FAULT_FORMAT,
            "variable `%s`: `%s` cannot be recoded: that takes levels, yes or no, or "
            "at most %d whole numbers of what is no quasi-identifier; cut it",
            v->name, source->name, RECODED_MAX);
    if (v->n_recode != n)
        return cx_fail(cx, FAULT_FORMAT,
                       "variable `%s`: %zu of the %zu levels of `%s` are recoded; name all",
                       v->name, v->n_recode, n, source->name);
    CX_NEW(cx, used, v->n_levels + 1);
    for (size_t i = 0; i < n; i++) {
        if (v->recode[i] >= v->n_levels)
            return cx_fail(cx, FAULT_FORMAT,
                           "variable `%s`: level %zu of `%s` becomes none", v->name, i + 1,
                           source->name);
        used[v->recode[i]] = true;
    }
    for (size_t i = 0; i < v->n_levels; i++)
        if (!used[i])
            return cx_fail(cx, FAULT_FORMAT,
                           "variable `%s`: nothing becomes its level `%s`; remove it",
                           v->name, v->levels[i]);
    return FAULT_NONE;
}

/* An ordinary source's may be marked more strictly; anything else is what its source is. */
static bool role_stands(const Cohortium__Variable *v, const Cohortium__Variable *source)
{
    return v->role == source->role || (source->role == COHORTIUM__ROLE__ORDINARY &&
                                       (v->role == COHORTIUM__ROLE__SENSITIVE ||
                                        v->role == COHORTIUM__ROLE__QUASI_IDENTIFIER));
}

static enum fault check_source(struct cx *cx, const Cohortium__Codebook *body,
                               const Cohortium__Variable *v,
                               const Cohortium__Variable **ret)
{
    const Cohortium__Variable *source = find(body, v->from);

    if (source == NULL || source == v || variable_is_derived(source))
        return cx_fail(
            cx, FAULT_FORMAT,
            "variable `%s`: from: expected another variable of this codebook that "
            "is not derived itself",
            v->name);
    if (!variable_is_usable(source))
        return cx_fail(cx, FAULT_FORMAT,
                       "variable `%s`: `%s` is a direct identifier or hidden; nothing is "
                       "derived from it",
                       v->name, source->name);
    if (!role_stands(v, source))
        return cx_fail(
            cx, FAULT_FORMAT,
            "variable `%s`: what is derived from `%s` has its role; leave `role` "
            "out",
            v->name, source->name);
    *ret = source;
    return FAULT_NONE;
}

enum fault derived_check(struct cx *cx, const Cohortium__Codebook *body,
                         const Cohortium__Variable *v)
{
    const Cohortium__Variable *source = NULL;

    if (!variable_is_derived(v)) {
        if (v->n_cut > 0 || v->n_recode > 0)
            return cx_fail(cx, FAULT_FORMAT,
                           "variable `%s`: `cut` and `recode` say how it is derived; say "
                           "`from` which variable",
                           v->name);
        return FAULT_NONE;
    }
    TRY(check_source(cx, body, v, &source));
    if ((v->n_cut > 0) == (v->n_recode > 0))
        return cx_fail(cx, FAULT_FORMAT,
                       "variable `%s`: expected either `cut` or `recode` beside `from`",
                       v->name);
    if (!variable_has_levels(v) || v->n_missing_codes > 0 || v->nested)
        return cx_fail(
            cx, FAULT_FORMAT,
            "variable `%s`: a derived variable has levels, and no missing codes, "
            "units or clusters of its own",
            v->name);
    return v->n_cut > 0 ? check_cut(cx, v, source) : check_recode(cx, v, source);
}

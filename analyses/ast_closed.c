/*
 * ast_closed.c - what a production policy accepts in a cohort (DISCLOSURE.md 0.5).
 *
 * Each complaint is decided from the codebook alone.
 */
#include <math.h>
#include <stdlib.h>

#include "analyses/ast_build.h"
#include "analyses/ast_set.h"

struct judge {
    struct complaints *c;
    struct cx *cx;
    const struct codebook *cb;
};

static bool has_arithmetic(const struct ast *a)
{
    if (a->op >= COHORTIUM__AST_OP__AST_ADD)
        return true;
    for (size_t i = 0; i < a->n; i++)
        if (has_arithmetic(a->args[i]))
            return true;
    return false;
}

static size_t variables_in(const struct ast *a)
{
    size_t n = a->op == COHORTIUM__AST_OP__AST_VARIABLE;

    for (size_t i = 0; i < a->n; i++)
        n += variables_in(a->args[i]);
    return n;
}

/* A cut: the rows with x < at (or, after: x <= at) on one side, the others on the other.
 * For whole numbers both kinds fall together. */
static bool cut_is_on_grid(const Cohortium__Variable *v, double at, bool after)
{
    double lower, upper;
    bool whole = v->type != COHORTIUM__VAR_TYPE__REAL;

    variable_range(v, &lower, &upper);
    if (whole) {
        at = after ? floor(at) + 1 : ceil(at);
        after = false;
        upper += 1; /* the first whole number beyond */
    }
    /* Everybody on one side: says nothing of anybody. */
    if (at < lower || (at == lower && !after) || at > upper ||
        (at == upper && (after || whole)))
        return true;
    if (v->type == COHORTIUM__VAR_TYPE__BINARY)
        return true; /* 0 and 1 are levels */
    for (size_t i = 0; i < v->n_grid && !after; i++)
        if (v->grid[i] == at)
            return true;
    return false;
}

static const char *grid_text(struct judge *j, const struct ast *variable)
{
    const Cohortium__Variable *v = codebook_variable(j->cb, variable->variable);
    struct buffer b = buffer_new(j->cx, 4096);
    struct ast *literal;
    const char *text;

    if (v->n_grid == 0)
        return "the codebook has none for it";
    buffer_text(&b, "the codebook has ");
    for (size_t i = 0; i < v->n_grid && i < 12; i++) {
        literal = v->type == COHORTIUM__VAR_TYPE__DATE
                      ? ast_level(j->cx, j->cb, variable->variable, v->grid[i])
                      : ast_number(j->cx, v->grid[i]);
        if (literal == NULL)
            return "see the codebook";
        buffer_printf(&b, "%s%s", i > 0 ? ", " : "", ast_text(j->cx, j->cb, literal));
    }
    if (v->n_grid > 12)
        buffer_printf(&b, ", ... (%zu of them)", v->n_grid);
    text = buffer_string(&b);
    return text != NULL ? text : "see the codebook";
}

static void off_grid(struct judge *j, const struct ast *a, const struct ast *variable)
{
    const char *name = codebook_variable(j->cb, variable->variable)->name;

    complain(j->c, "off_grid",
             "`%s`: `%s` %s cut only at the codebook's cut points, "
             "written `%s < cut` or `%s >= cut`; %s",
             ast_text(j->cx, j->cb, a), name,
             variable_is_quasi(codebook_variable(j->cb, variable->variable))
                 ? "may tell people apart and is"
                 : "is",
             name, name, grid_text(j, variable));
}

/* Both edges of low <= x <= high on the grid? */
static bool range_is_on_grid(const Cohortium__Variable *v, double low, double high)
{
    return low > high || (cut_is_on_grid(v, low, false) && cut_is_on_grid(v, high, true));
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* in (47, 48, 49): judged by runs of neighbours, so that a whole bin may be listed. */
static bool list_is_on_grid(struct judge *j, const Cohortium__Variable *v,
                            const struct ast *a)
{
    size_t n = a->n - 1;
    double *values = cx_array(j->cx, n, sizeof *values);
    bool whole = v->type != COHORTIUM__VAR_TYPE__REAL, ok = true;

    if (values == NULL) {
        j->c->fault = FAULT_MEMORY;
        return true;
    }
    for (size_t i = 0; i < n; i++)
        values[i] = a->args[i + 1]->number;
    qsort(values, n, sizeof *values, compare_doubles);
    for (size_t i = 0; i < n;) {
        size_t k = i + 1;

        while (k < n &&
               (values[k] == values[k - 1] || (whole && values[k] == values[k - 1] + 1)))
            k++;
        ok = ok && range_is_on_grid(v, values[i], values[k - 1]);
        i = k;
    }
    return ok;
}

/* One variable against literals. */
static bool leaf_is_on_grid(struct judge *j, const struct ast *a,
                            const struct ast *variable)
{
    const Cohortium__Variable *v = codebook_variable(j->cb, variable->variable);
    bool left = a->args[0] == variable;
    Cohortium__AstOp op = left ? a->op : ast_mirrored(a->op);
    double x;

    if (a->op == COHORTIUM__AST_OP__AST_IN)
        return list_is_on_grid(j, v, a);
    if (a->op == COHORTIUM__AST_OP__AST_BETWEEN)
        return left && range_is_on_grid(v, a->args[1]->number, a->args[2]->number);
    x = a->args[left ? 1 : 0]->number;
    switch (op) {
    case COHORTIUM__AST_OP__AST_LT:
    case COHORTIUM__AST_OP__AST_GE:
        return cut_is_on_grid(v, x, false);
    case COHORTIUM__AST_OP__AST_LE:
    case COHORTIUM__AST_OP__AST_GT:
        return cut_is_on_grid(v, x, true);
    default:
        return range_is_on_grid(v, x, x);
    }
}

/* Of a quasi-identifier always; of others where the codebook says so (R12). */
static bool has_cut_points(const Cohortium__Variable *v)
{
    return variable_is_quasi(v) || v->n_grid > 0;
}

static void judge(struct judge *j, const struct ast *a)
{
    const struct ast *variable = NULL;

    switch (a->op) {
    case COHORTIUM__AST_OP__AST_AND:
    case COHORTIUM__AST_OP__AST_OR:
    case COHORTIUM__AST_OP__AST_NOT:
        for (size_t i = 0; i < a->n; i++)
            judge(j, a->args[i]);
        return;
    case COHORTIUM__AST_OP__AST_TRUE:
    case COHORTIUM__AST_OP__AST_FALSE:
    case COHORTIUM__AST_OP__AST_IS_MISSING:
        return;
    default:
        break;
    }
    if (has_arithmetic(a)) {
        complain(
            j->c, "arithmetic_in_cohort",
            "`%s`: a cohort compares variables with numbers, without arithmetic; write the "
            "number out",
            ast_text(j->cx, j->cb, a));
        return;
    }
    if (variables_in(a) > 1) {
        complain(
            j->c, "two_variables",
            "`%s`: two variables cannot be compared with each other here; compare each "
            "with a number",
            ast_text(j->cx, j->cb, a));
        return;
    }
    for (size_t i = 0; i < a->n; i++)
        if (a->args[i]->op == COHORTIUM__AST_OP__AST_VARIABLE)
            variable = a->args[i];
    if (variable == NULL || variable->type == AST_TYPE_LEVEL ||
        !has_cut_points(codebook_variable(j->cb, variable->variable)))
        return;
    if (!leaf_is_on_grid(j, a, variable))
        off_grid(j, a, variable);
}

void ast_complain_closed(struct complaints *c, struct cx *cx, const struct codebook *cb,
                         const struct ast *cohort)
{
    struct judge j = {c, cx, cb};

    if (cohort != NULL)
        judge(&j, cohort);
}

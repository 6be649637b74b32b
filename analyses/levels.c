/* levels.c - see levels.h. */
#include "analyses/levels.h"

#include <math.h>
#include <string.h>

int levels_variable(struct cx *cx, const struct codebook *cb, const char *what,
                    const char *name, struct complaints *c)
{
    int variable = codebook_find(cb, name);

    if (variable < 0) {
        complain(c, "unknown_variable", "%s: no variable `%s` in %s%s", what, name,
                 cb->body->name, codebook_hint(cx, cb, name));
        return -1;
    }
    if (!variable_is_usable(codebook_variable(cb, variable))) {
        complain(c, "unusable_variable",
                 "%s: `%s` is a direct identifier or hidden; a question cannot name it",
                 what, name);
        return -1;
    }
    return variable;
}

static double integer_span(const Cohortium__Variable *v)
{
    double lower, upper;

    variable_range(v, &lower, &upper);
    return floor(upper) - ceil(lower) + 1.0;
}

bool levels_offered(const Cohortium__Variable *v)
{
    if (variable_has_levels(v) || v->type == COHORTIUM__VAR_TYPE__BINARY)
        return true;
    if (v->type != COHORTIUM__VAR_TYPE__INTEGER || !v->bounded)
        return false;
    double n = integer_span(v);
    return n >= 1.0 && n <= LEVELS_INTEGER_MAX;
}

enum fault levels_of(struct cx *cx, const struct codebook *cb, int variable,
                     struct levels *ret)
{
    const Cohortium__Variable *v = codebook_variable(cb, variable);
    struct levels l = {.variable = variable};

    if (variable_has_levels(v)) {
        l.n = v->n_levels;
    } else if (v->type == COHORTIUM__VAR_TYPE__BINARY) {
        l.n = 2;
    } else {
        double lower, upper;
        variable_range(v, &lower, &upper);
        l.first = ceil(lower);
        l.n = (size_t)integer_span(v);
    }
    CX_NEW(cx, l.names, l.n);
    for (size_t i = 0; i < l.n; i++) {
        l.names[i] = variable_has_levels(v) ? v->levels[i]
                                            : cx_printf(cx, "%.0f", l.first + (double)i);
        if (l.names[i] == NULL)
            return FAULT_MEMORY;
    }
    *ret = l;
    return FAULT_NONE;
}

/* In production a key's single values are cut points like any other: those of a
 * quasi-identifier lie on the codebook's grid. */
static bool on_grid(const Cohortium__Variable *v, const struct levels *l)
{
    size_t g = 0;

    for (size_t i = 1; i < l->n; i++) {
        double cut = l->first + (double)i;
        while (g < v->n_grid && v->grid[g] < cut)
            g++;
        if (g == v->n_grid || v->grid[g] > cut)
            return false;
    }
    return true;
}

enum fault levels_open(struct cx *cx, const struct asked *asked, const char *what,
                       const char *name, struct complaints *c, struct levels *ret)
{
    int variable = levels_variable(cx, asked->cb, what, name, c);

    TRY(levels_all(cx, ret));
    if (variable < 0)
        return FAULT_NONE;
    const Cohortium__Variable *v = codebook_variable(asked->cb, variable);
    if (!levels_offered(v)) {
        complain(
            c, "variable_type",
            "%s: `%s` has no levels to group by; take a categorical, ordered or binary "
            "variable, or an integer with at most %d values within its bounds",
            what, name, LEVELS_INTEGER_MAX);
        return FAULT_NONE;
    }
    TRY(levels_of(cx, asked->cb, variable, ret));
    if (!asked->testing && variable_is_quasi(v) &&
        v->type == COHORTIUM__VAR_TYPE__INTEGER && !on_grid(v, ret))
        complain(c, "off_grid",
                 "%s: `%s` is a quasi-identifier and its single values are not on the "
                 "codebook's grid; group by a variable with levels instead",
                 what, name);
    return FAULT_NONE;
}

enum fault levels_all(struct cx *cx, struct levels *ret)
{
    struct levels l = {.variable = -1, .n = 1};

    CX_NEW(cx, l.names, 1);
    l.names[0] = "all";
    *ret = l;
    return FAULT_NONE;
}

ref levels_key(struct measure *m, const struct levels *l)
{
    if (l->variable < 0)
        return m_const(m, 0.0);
    ref column = m_column(m, l->variable);
    if (l->first == 0.0)
        return column;
    return m_binary(m, M_SUB, column, m_const(m, l->first));
}

ref levels_where(struct measure *m, ref where, const struct levels *l)
{
    if (l->variable < 0)
        return where;
    return m_binary(m, M_AND, where, m_valid(m, l->variable));
}

static struct ast *node(struct cx *cx, Cohortium__AstOp op, struct ast *a, struct ast *b)
{
    struct ast *ast = cx_alloc(cx, sizeof *ast);
    struct ast **args = cx_array(cx, 2, sizeof *args);

    if (ast == NULL || args == NULL || a == NULL)
        return NULL;
    *ast =
        (struct ast){.op = op, .type = AST_TYPE_BOOL, .n = b == NULL ? 1 : 2, .args = args};
    args[0] = a;
    args[1] = b;
    return ast;
}

struct ast *levels_is(struct cx *cx, const struct codebook *cb, const struct levels *l,
                      size_t i)
{
    struct ast *variable, *number;

    if (l->variable < 0)
        return ast_constant(cx, true);
    if (i == l->n)
        return node(cx, COHORTIUM__AST_OP__AST_IS_MISSING,
                    ast_variable(cx, cb, l->variable), NULL);
    if (variable_has_levels(codebook_variable(cb, l->variable)))
        return ast_is_level(cx, cb, l->variable, (int)i);
    variable = ast_variable(cx, cb, l->variable);
    number = ast_number(cx, l->first + (double)i);
    return number == NULL ? NULL : node(cx, COHORTIUM__AST_OP__AST_EQ, variable, number);
}

enum fault levels_cell(struct cx *cx, const struct ast *cohort, struct ast *a,
                       struct ast *b, struct ast **ret)
{
    struct ast *parts[3];
    size_t n = 0;

    /* The tree is only read; the builder's parameter is not const. */
    if (cohort != NULL)
        parts[n++] = (struct ast *)cohort;
    if (a != NULL)
        parts[n++] = a;
    if (b != NULL)
        parts[n++] = b;
    if (n == 0) {
        *ret = NULL;
        return FAULT_NONE;
    }
    *ret = ast_join(cx, COHORTIUM__AST_OP__AST_AND, parts, n);
    return *ret == NULL ? FAULT_MEMORY : FAULT_NONE;
}

void levels_complain_unused(struct complaints *c, const Cohortium__Params *p,
                            const char *analysis, bool variables, bool by, bool missing)
{
    if (p == NULL)
        return;
    if (!variables && p->n_variables > 0)
        complain(c, "parameters", "%s takes no variables; leave them out", analysis);
    if (!by && p->by[0] != '\0')
        complain(c, "parameters", "%s takes no --by; leave it out", analysis);
    if (!missing && p->missing)
        complain(c, "parameters", "%s takes no --missing; leave it out", analysis);
    if (p->model != NULL)
        complain(c, "parameters", "%s takes no formula; leave it out", analysis);
}

/*
 * measure_ast.c - cohorts and terms as nodes of a measure.
 *
 * SQL's three-valued logic becomes two-valued by asking twice: is it true, is it false.
 * Each comparison stands together with the validity of what it reads, so that a missing
 * value makes both answers no.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "analyses/measure.h"

static ref truth(struct measure *m, const struct ast *ast, bool wanted);

static ref complete(struct measure *m, const struct ast *ast, ref so_far)
{
    if (ast->op == COHORTIUM__AST_OP__AST_VARIABLE)
        return m_binary(m, M_AND, so_far, m_valid(m, ast->variable));
    for (size_t i = 0; i < ast->n; i++)
        so_far = complete(m, ast->args[i], so_far);
    return so_far;
}

ref m_is_complete(struct measure *m, const struct ast *ast)
{
    ref all = m_const(m, 1);

    return ast == NULL ? all : complete(m, ast, all);
}

/* The bare value in a cohort: the codebook's range, whatever m_narrow was told. */
static ref bare_value(struct measure *m, const struct ast *ast)
{
    double *lower = m->narrow_lower, *upper = m->narrow_upper;
    bool guard = m->guard_domain;

    m->narrow_lower = m->narrow_upper = NULL;
    m->guard_domain = false;
    ref value = m_value(m, ast);
    m->narrow_lower = lower;
    m->narrow_upper = upper;
    m->guard_domain = guard;
    return value;
}

static ref compare(struct measure *m, const struct ast *ast)
{
    ref a = bare_value(m, ast->args[0]), b = bare_value(m, ast->args[1]);

    switch (ast->op) {
    case COHORTIUM__AST_OP__AST_EQ:
        return m_binary(m, M_EQ, a, b);
    case COHORTIUM__AST_OP__AST_NE:
        return m_binary(m, M_NE, a, b);
    case COHORTIUM__AST_OP__AST_LT:
        return m_binary(m, M_LT, a, b);
    case COHORTIUM__AST_OP__AST_LE:
        return m_binary(m, M_LE, a, b);
    case COHORTIUM__AST_OP__AST_GT:
        return m_binary(m, M_LT, b, a);
    default:
        return m_binary(m, M_LE, b, a);
    }
}

static ref among(struct measure *m, const struct ast *ast)
{
    ref x = bare_value(m, ast->args[0]), any = m_const(m, 0);

    for (size_t i = 1; i < ast->n; i++)
        any = m_binary(m, M_OR, any, m_binary(m, M_EQ, x, bare_value(m, ast->args[i])));
    return any;
}

static ref between(struct measure *m, const struct ast *ast)
{
    ref x = bare_value(m, ast->args[0]);

    return m_binary(m, M_AND, m_binary(m, M_LE, bare_value(m, ast->args[1]), x),
                    m_binary(m, M_LE, x, bare_value(m, ast->args[2])));
}

static ref join(struct measure *m, const struct ast *ast, enum measure_op op, bool wanted)
{
    ref all = m_const(m, op == M_AND);

    for (size_t i = 0; i < ast->n; i++)
        all = m_binary(m, op, all, truth(m, ast->args[i], wanted));
    return all;
}

static ref truth(struct measure *m, const struct ast *ast, bool wanted)
{
    ref claim;

    switch (ast->op) {
    case COHORTIUM__AST_OP__AST_TRUE:
        return m_const(m, wanted);
    case COHORTIUM__AST_OP__AST_FALSE:
        return m_const(m, !wanted);
    case COHORTIUM__AST_OP__AST_AND:
        return join(m, ast, wanted ? M_AND : M_OR, wanted);
    case COHORTIUM__AST_OP__AST_OR:
        return join(m, ast, wanted ? M_OR : M_AND, wanted);
    case COHORTIUM__AST_OP__AST_NOT:
        return truth(m, ast->args[0], !wanted);
    case COHORTIUM__AST_OP__AST_IS_MISSING:
        claim = m_is_complete(m, ast->args[0]);
        return wanted ? m_unary(m, M_NOT, claim) : claim;
    case COHORTIUM__AST_OP__AST_IN:
        claim = among(m, ast);
        break;
    case COHORTIUM__AST_OP__AST_BETWEEN:
        claim = between(m, ast);
        break;
    case COHORTIUM__AST_OP__AST_EQ:
    case COHORTIUM__AST_OP__AST_NE:
    case COHORTIUM__AST_OP__AST_LT:
    case COHORTIUM__AST_OP__AST_LE:
    case COHORTIUM__AST_OP__AST_GT:
    case COHORTIUM__AST_OP__AST_GE:
        claim = compare(m, ast);
        break;
    default: /* a binary variable, or a number: true where it is not zero */
        claim = m_binary(m, M_NE, bare_value(m, ast), m_const(m, 0));
        break;
    }
    if (!wanted)
        claim = m_unary(m, M_NOT, claim);
    return m_binary(m, M_AND, m_is_complete(m, ast), claim);
}

ref m_is_true(struct measure *m, const struct ast *ast)
{
    return ast == NULL ? m_const(m, 1) : truth(m, ast, true);
}

static enum measure_op arithmetic(Cohortium__AstOp op)
{
    switch (op) {
    case COHORTIUM__AST_OP__AST_ADD:
        return M_ADD;
    case COHORTIUM__AST_OP__AST_SUB:
        return M_SUB;
    case COHORTIUM__AST_OP__AST_MUL:
        return M_MUL;
    case COHORTIUM__AST_OP__AST_DIV:
        return M_DIV;
    case COHORTIUM__AST_OP__AST_POW:
        return M_POW;
    case COHORTIUM__AST_OP__AST_NEG:
        return M_NEG;
    case COHORTIUM__AST_OP__AST_LOG:
        return M_LOG;
    case COHORTIUM__AST_OP__AST_SQRT:
        return M_SQRT;
    case COHORTIUM__AST_OP__AST_EXP:
        return M_EXP;
    default:
        return M_NONE;
    }
}

/* log and sqrt of a range that reaches beyond what they take: clamp, and note the condition
 * that nothing was clamped, for the caller to count. */
static ref guarded(struct measure *m, enum measure_op op, ref a)
{
    double least = op == M_LOG ? DBL_MIN : 0;
    ref bound = m_const(m, least);

    if (a == 0 || m->nodes[a].lower >= least || m->nodes[a].upper <= least)
        return a;
    ref fine = m_binary(m, M_LE, bound, a);
    m->domain = m->domain == 0 ? fine : m_binary(m, M_AND, m->domain, fine);
    return m_binary(m, M_MAX, a, bound);
}

static ref variable_value(struct measure *m, int variable)
{
    ref column = m_column(m, variable);

    if (m->narrow_lower == NULL)
        return column;
    return m_clamp(m, column, m->narrow_lower[variable], m->narrow_upper[variable]);
}

ref m_value(struct measure *m, const struct ast *ast)
{
    enum measure_op op = arithmetic(ast->op);

    if (ast->op == COHORTIUM__AST_OP__AST_VARIABLE)
        return variable_value(m, ast->variable);
    if (ast->op == COHORTIUM__AST_OP__AST_NUMBER || ast->op == COHORTIUM__AST_OP__AST_LEVEL)
        return m_const(m, ast->number);
    if (op == M_NONE)
        return m_is_true(m, ast);
    ref a = m_value(m, ast->args[0]);
    if (ast->n == 1 && m->guard_domain && (op == M_LOG || op == M_SQRT))
        a = guarded(m, op, a);
    if (ast->n == 1)
        return m_unary(m, op, a);
    for (size_t i = 1; i < ast->n; i++)
        a = m_binary(m, op, a, m_value(m, ast->args[i]));
    return a;
}

static Cohortium__AstOp mirrored(Cohortium__AstOp op)
{
    switch (op) {
    case COHORTIUM__AST_OP__AST_LT:
        return COHORTIUM__AST_OP__AST_GT;
    case COHORTIUM__AST_OP__AST_LE:
        return COHORTIUM__AST_OP__AST_GE;
    case COHORTIUM__AST_OP__AST_GT:
        return COHORTIUM__AST_OP__AST_LT;
    case COHORTIUM__AST_OP__AST_GE:
        return COHORTIUM__AST_OP__AST_LE;
    default:
        return op;
    }
}

static Cohortium__AstOp negated(Cohortium__AstOp op)
{
    switch (op) {
    case COHORTIUM__AST_OP__AST_LT:
        return COHORTIUM__AST_OP__AST_GE;
    case COHORTIUM__AST_OP__AST_LE:
        return COHORTIUM__AST_OP__AST_GT;
    case COHORTIUM__AST_OP__AST_GT:
        return COHORTIUM__AST_OP__AST_LE;
    case COHORTIUM__AST_OP__AST_GE:
        return COHORTIUM__AST_OP__AST_LT;
    default:
        return COHORTIUM__AST_OP__AST_UNSET;
    }
}

static void narrow_one(struct measure *m, int variable, Cohortium__AstOp op, double x)
{
    double *lower = &m->narrow_lower[variable], *upper = &m->narrow_upper[variable];
    bool whole = codebook_variable(m->cb, variable)->type != COHORTIUM__VAR_TYPE__REAL;
    double above = whole ? floor(x) + 1 : nextafter(x, INFINITY);
    double below = whole ? ceil(x) - 1 : nextafter(x, -INFINITY);

    if (x == 0 && !whole) { /* the neighbours of zero are of no use: keep normal numbers */
        above = DBL_MIN;
        below = -DBL_MIN;
    }
    if (op == COHORTIUM__AST_OP__AST_GT || op == COHORTIUM__AST_OP__AST_GE)
        x = op == COHORTIUM__AST_OP__AST_GT ? above : x;
    if (op == COHORTIUM__AST_OP__AST_LT || op == COHORTIUM__AST_OP__AST_LE)
        x = op == COHORTIUM__AST_OP__AST_LT ? below : x;
    bool from_below = op == COHORTIUM__AST_OP__AST_GT || op == COHORTIUM__AST_OP__AST_GE ||
                      op == COHORTIUM__AST_OP__AST_EQ;
    bool from_above = op == COHORTIUM__AST_OP__AST_LT || op == COHORTIUM__AST_OP__AST_LE ||
                      op == COHORTIUM__AST_OP__AST_EQ;
    /* A cohort that nobody can be in leaves the range as it is. */
    if (from_below && x > *lower && x <= *upper)
        *lower = x;
    if (from_above && x < *upper && x >= *lower)
        *upper = x;
}

static void narrow_comparison(struct measure *m, const struct ast *ast, bool truth_wanted)
{
    const struct ast *a = ast->args[0], *b = ast->args[1];
    Cohortium__AstOp op = ast->op;

    if (a->op == COHORTIUM__AST_OP__AST_NUMBER) {
        const struct ast *swap = a;
        a = b;
        b = swap;
        op = mirrored(op);
    }
    if (a->op != COHORTIUM__AST_OP__AST_VARIABLE || b->op != COHORTIUM__AST_OP__AST_NUMBER)
        return;
    if (!truth_wanted)
        op = negated(op);
    if (op != COHORTIUM__AST_OP__AST_UNSET)
        narrow_one(m, a->variable, op, b->number);
}

static void narrow(struct measure *m, const struct ast *ast, bool wanted)
{
    switch (ast->op) {
    case COHORTIUM__AST_OP__AST_AND:
    case COHORTIUM__AST_OP__AST_OR:
        if ((ast->op == COHORTIUM__AST_OP__AST_AND) == wanted)
            for (size_t i = 0; i < ast->n; i++)
                narrow(m, ast->args[i], wanted);
        return;
    case COHORTIUM__AST_OP__AST_NOT:
        narrow(m, ast->args[0], !wanted);
        return;
    case COHORTIUM__AST_OP__AST_BETWEEN:
        if (wanted && ast->args[0]->op == COHORTIUM__AST_OP__AST_VARIABLE &&
            ast->args[1]->op == COHORTIUM__AST_OP__AST_NUMBER &&
            ast->args[2]->op == COHORTIUM__AST_OP__AST_NUMBER) {
            narrow_one(m, ast->args[0]->variable, COHORTIUM__AST_OP__AST_GE,
                       ast->args[1]->number);
            narrow_one(m, ast->args[0]->variable, COHORTIUM__AST_OP__AST_LE,
                       ast->args[2]->number);
        }
        return;
    case COHORTIUM__AST_OP__AST_EQ:
    case COHORTIUM__AST_OP__AST_LT:
    case COHORTIUM__AST_OP__AST_LE:
    case COHORTIUM__AST_OP__AST_GT:
    case COHORTIUM__AST_OP__AST_GE:
        narrow_comparison(m, ast, wanted);
        return;
    default:
        return;
    }
}

enum fault m_narrow(struct measure *m, const struct ast *cohort)
{
    size_t n = m->cb->body->n_variables;

    if (cohort == NULL)
        return FAULT_NONE;
    CX_NEW(m->cx, m->narrow_lower, n);
    CX_NEW(m->cx, m->narrow_upper, n);
    for (size_t i = 0; i < n; i++)
        variable_range(codebook_variable(m->cb, (int)i), &m->narrow_lower[i],
                       &m->narrow_upper[i]);
    narrow(m, cohort, true);
    return FAULT_NONE;
}

/* cohort.c - a cohort from what the researcher typed. */
#include "analyses/cohort.h"

#include "analyses/ast_set.h"
#include "analyses/expression.h"

static bool is_outside(const Cohortium__Variable *v, double x)
{
    double lower, upper;

    variable_range(v, &lower, &upper);
    return x < lower || x > upper;
}

/* `bwt < 2.5` where the codebook has grams: nobody, and surely not meant. */
static enum fault check_leaf(struct cx *cx, const struct codebook *cb, const struct ast *a)
{
    const Cohortium__Variable *v;
    struct ast *low, *high;
    struct set set;
    bool is, outside = false;
    double lower, upper;

    TRY(set_of(cx, cb, a, &set, &is));
    if (!is || !set_is_empty(&set))
        return FAULT_NONE;
    v = codebook_variable(cb, set.variable);
    if (a->op == COHORTIUM__AST_OP__AST_BETWEEN && a->args[1]->number > a->args[2]->number)
        return cx_fail(cx, FAULT_INVALID, "--where: `%s`: the lower end stands first",
                       ast_text(cx, cb, a));
    for (size_t i = 0; i < a->n; i++)
        if (ast_is_literal(a->args[i]))
            outside = outside || is_outside(v, a->args[i]->number);
    if (!outside)
        return FAULT_NONE;
    variable_range(v, &lower, &upper);
    low = v->type == COHORTIUM__VAR_TYPE__DATE ? ast_level(cx, cb, set.variable, lower)
                                               : ast_number(cx, lower);
    high = v->type == COHORTIUM__VAR_TYPE__DATE ? ast_level(cx, cb, set.variable, upper)
                                                : ast_number(cx, upper);
    if (low == NULL || high == NULL)
        return FAULT_MEMORY;
    return cx_fail(
        cx, FAULT_INVALID,
        "--where: `%s` holds for nobody: the codebook allows `%s` from %s to %s%s%s; "
        "check the unit and the number",
        ast_text(cx, cb, a), v->name, ast_text(cx, cb, low), ast_text(cx, cb, high),
        v->unit[0] != '\0' ? " " : "", v->unit);
}

static enum fault check_leaves(struct cx *cx, const struct codebook *cb,
                               const struct ast *a)
{
    if (a->op != COHORTIUM__AST_OP__AST_AND && a->op != COHORTIUM__AST_OP__AST_OR &&
        a->op != COHORTIUM__AST_OP__AST_NOT)
        return check_leaf(cx, cb, a);
    for (size_t i = 0; i < a->n; i++)
        TRY(check_leaves(cx, cb, a->args[i]));
    return FAULT_NONE;
}

enum fault cohort_parse(struct cx *cx, const struct codebook *cb, const char *text,
                        struct ast **ret)
{
    struct parser p;
    struct operand top;

    TRY(parser_start(&p, cx, cb, "--where", text, COHORT_TEXT_MAX));
    if (p.token.kind == TOKEN_END)
        return parser_fail(
            &p, p.token.at,
            "expected a condition such as `age >= 50`; leave --where out for "
            "everybody");
    if (parser_is(&p, "everybody")) {
        TRY(parser_next(&p));
        if (p.token.kind != TOKEN_END)
            return parser_fail(&p, p.token.at, "expected nothing behind `everybody`");
        *ret = NULL;
        return FAULT_NONE;
    }
    TRY(expression_condition(&p, &top));
    if (p.token.kind != TOKEN_END)
        return parser_fail(&p, p.token.at, "%s",
                           parser_is(&p, ")") ? "this closes nothing"
                                              : "expected `and`, `or` or the end");
    TRY(expression_wanted(&p, &top, AST_TYPE_BOOL));
    TRY(ast_is_bounded(cx, top.ast));
    TRY(check_leaves(cx, cb, top.ast));
    *ret = top.ast;
    return FAULT_NONE;
}

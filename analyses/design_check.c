/*
 * design_check.c - what a model may say: types, and the closed language of production
 * policies (DISCLOSURE.md 0.5): no constant of the researcher's choice may enter a fit.
 */
#include "analyses/design_check.h"

#include <math.h>
#include <string.h>

#include "analyses/formula.h"

static bool is_variable(const struct ast *a)
{
    return a->op == COHORTIUM__AST_OP__AST_VARIABLE;
}

static bool is_plus_one(const struct ast *a)
{
    return a->op == COHORTIUM__AST_OP__AST_ADD && a->n == 2 &&
           ((is_variable(a->args[0]) && a->args[1]->op == COHORTIUM__AST_OP__AST_NUMBER &&
             a->args[1]->number == 1) ||
            (is_variable(a->args[1]) && a->args[0]->op == COHORTIUM__AST_OP__AST_NUMBER &&
             a->args[0]->number == 1));
}

static bool is_closed_response(const struct ast *a)
{
    return is_variable(a) || (a->op == COHORTIUM__AST_OP__AST_LOG &&
                              (is_variable(a->args[0]) || is_plus_one(a->args[0])));
}

static bool is_closed_number(const struct ast *a)
{
    if (is_variable(a))
        return true;
    if (a->op == COHORTIUM__AST_OP__AST_LOG)
        return is_variable(a->args[0]) || is_plus_one(a->args[0]);
    if (a->op == COHORTIUM__AST_OP__AST_SQRT)
        return is_variable(a->args[0]);
    return a->op == COHORTIUM__AST_OP__AST_POW && is_variable(a->args[0]) &&
           a->args[1]->op == COHORTIUM__AST_OP__AST_NUMBER && a->args[1]->number >= 2 &&
           a->args[1]->number <= 5 && floor(a->args[1]->number) == a->args[1]->number;
}

static void complain_number(struct cx *cx, struct complaints *c, const struct codebook *cb,
                            const char *analysis, const struct ast *a)
{
    complain(
        c, "closed_language",
        "%s: `%s` is not offered under this policy; write a variable, log(x), sqrt(x) or "
        "I(x^2) to I(x^5). An affine change of a variable (another unit or origin) needs "
        "no new fit: divide its coefficient and standard error by the factor",
        analysis, ast_text(cx, cb, a));
}

enum fault design_open_response(struct cx *cx, struct design *d,
                                const Cohortium__Model *model, const char *analysis,
                                struct complaints *c)
{
    const struct codebook *cb = d->asked->cb;

    TRY(ast_open(cx, cb, model->response, AST_TYPE_NUMBER, c, &d->response));
    if (d->response != NULL && !d->asked->testing && !is_closed_response(d->response))
        complain(
            c, "closed_language",
            "%s: the response `%s` is not offered under this policy; write a variable, "
            "log(y) or log(y + 1)",
            analysis, ast_text(cx, cb, d->response));
    if (model->offset != NULL) {
        TRY(ast_open(cx, cb, model->offset, AST_TYPE_NUMBER, c, &d->offset));
        if (d->offset != NULL && !d->asked->testing && !is_closed_number(d->offset))
            complain_number(cx, c, cb, analysis, d->offset);
    }
    d->weights = -1;
    if (model->weights[0] == '\0')
        return FAULT_NONE;
    d->weights = levels_variable(cx, cb, "weights", model->weights, c);
    if (d->weights < 0)
        return FAULT_NONE;
    const Cohortium__Variable *v = codebook_variable(cb, d->weights);
    double lower, upper;
    variable_range(v, &lower, &upper);
    if (variable_has_levels(v) || v->type == COHORTIUM__VAR_TYPE__DATE || lower < 0 ||
        upper <= 0)
        complain(c, "weights",
                 "weights: `%s` must be a number whose lower bound in the codebook is not "
                 "below zero",
                 model->weights);
    return FAULT_NONE;
}

static bool makes_claim(const Cohortium__Ast *pb)
{
    if (pb == NULL || pb->n_nodes == 0)
        return false;
    Cohortium__AstOp op = pb->nodes[pb->n_nodes - 1]->op;
    return op >= COHORTIUM__AST_OP__AST_TRUE && op <= COHORTIUM__AST_OP__AST_IS_MISSING;
}

static enum fault keep_factor(struct design *d, const struct design_factor *f, size_t *ret)
{
    for (size_t i = 0; i < d->n_factors; i++)
        if (d->factors[i].as_factor == f->as_factor &&
            ast_equal(d->factors[i].ast, f->ast)) {
            *ret = i;
            return FAULT_NONE;
        }
    d->factors[d->n_factors] = *f;
    *ret = d->n_factors++;
    return FAULT_NONE;
}

static enum fault open_levels(struct cx *cx, struct design *d, struct design_factor *f,
                              const char *name, const char *analysis, struct complaints *c)
{
    size_t before = c->n;

    f->kind = DESIGN_LEVELS;
    TRY(levels_open(cx, d->asked, analysis, name, c, &f->levels));
    f->n_cells = f->levels.n;
    if (c->n == before && f->n_cells < 2)
        complain(c, "variable_type", "%s: `%s` has one level only", analysis, name);
    return FAULT_NONE;
}

enum fault design_open_factor(struct cx *cx, struct design *d, const Cohortium__Factor *pb,
                              const char *analysis, struct complaints *c, size_t *ret)
{
    const struct codebook *cb = d->asked->cb;
    const Cohortium__Ast *value = pb->value;
    struct design_factor f = {.as_factor = pb->as_factor};
    size_t before = c->n;
    bool lone = value != NULL && value->n_nodes == 1 &&
                value->nodes[0]->op == COHORTIUM__AST_OP__AST_VARIABLE;

    f.text = factor_text(cx, cb, pb);
    if (f.text == NULL)
        return FAULT_MEMORY;
    if (value == NULL || (pb->as_factor && !lone)) {
        complain(c, "model", "%s: factor() takes one variable", analysis);
        return FAULT_NONE;
    }
    if (lone) {
        const char *name = value->nodes[0]->variable;
        int variable = levels_variable(cx, cb, analysis, name, c);

        if (variable < 0)
            return FAULT_NONE;
        const Cohortium__Variable *v = codebook_variable(cb, variable);
        f.ast = ast_variable(cx, cb, variable);
        if (f.ast == NULL)
            return FAULT_MEMORY;
        if (pb->as_factor || variable_has_levels(v)) {
            TRY(open_levels(cx, d, &f, name, analysis, c));
        } else if (v->type == COHORTIUM__VAR_TYPE__BINARY) {
            TRY(levels_of(cx, cb, variable, &f.levels));
            f.n_cells = 2;
        }
        /* factor(race) of a variable with levels is the same columns under another name */
    } else if (makes_claim(value)) {
        TRY(ast_open(cx, cb, value, AST_TYPE_BOOL, c, &f.ast));
        f.kind = DESIGN_CLAIM;
        f.n_cells = 2;
        if (f.ast != NULL && !d->asked->testing)
            ast_complain_closed(c, cx, cb, f.ast);
    } else {
        TRY(ast_open(cx, cb, value, AST_TYPE_NUMBER, c, &f.ast));
        if (f.ast != NULL && !d->asked->testing && !is_closed_number(f.ast))
            complain_number(cx, c, cb, analysis, f.ast);
    }
    return c->n == before && f.ast != NULL ? keep_factor(d, &f, ret) : FAULT_NONE;
}

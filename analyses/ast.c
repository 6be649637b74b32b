/* ast.c - expressions: received, sent, written, built, compared. */
#include "analyses/ast.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyses/ast_build.h"
#include "protocol/base/clock.h"

/* ---- received ---- */

static bool node_is_plain(const Cohortium__AstNode *node)
{
    bool variable = node->op == COHORTIUM__AST_OP__AST_VARIABLE;
    bool number = node->op == COHORTIUM__AST_OP__AST_NUMBER;
    bool level = node->op == COHORTIUM__AST_OP__AST_LEVEL;
    bool leaf = variable || number || level || node->op == COHORTIUM__AST_OP__AST_TRUE ||
                node->op == COHORTIUM__AST_OP__AST_FALSE;

    return (variable || node->variable[0] == '\0') && (level || node->level[0] == '\0') &&
           (number ? isfinite(node->number) : node->number == 0) &&
           (leaf ? node->arity == 0 : node->arity >= 1);
}

/* One leaf. *ret->ast stays NULL for a literal text and on an error. */
static enum fault open_leaf(struct cx *cx, const struct codebook *cb,
                            const Cohortium__AstNode *node, struct operand *ret,
                            struct build_error *error)
{
    *ret = (struct operand){.depth = 1};
    switch (node->op) {
    case COHORTIUM__AST_OP__AST_VARIABLE:
        return ast_build_variable(cx, cb, node->variable, &ret->ast, error);
    case COHORTIUM__AST_OP__AST_LEVEL:
        ret->text = node->level;
        return FAULT_NONE;
    case COHORTIUM__AST_OP__AST_NUMBER:
        ret->ast = ast_number(cx, node->number);
        break;
    default:
        ret->ast = ast_constant(cx, node->op == COHORTIUM__AST_OP__AST_TRUE);
        break;
    }
    return ret->ast != NULL ? FAULT_NONE : FAULT_MEMORY;
}

/* One operator over the top of the stack. *ret->ast is NULL on an error. */
static enum fault open_operator(struct cx *cx, const struct codebook *cb,
                                const Cohortium__AstNode *node,
                                const struct operand *operands, struct operand *ret,
                                struct build_error *error)
{
    struct operand made = {0};

    for (size_t i = 0; i < node->arity; i++)
        if (operands[i].depth > made.depth)
            made.depth = operands[i].depth;
    made.depth++;
    TRY(ast_build(cx, cb, node->op, operands, node->arity, &made.ast, error));
    *ret = made;
    return FAULT_NONE;
}

enum fault ast_open(struct cx *cx, const struct codebook *cb, const Cohortium__Ast *pb,
                    enum ast_type want, struct complaints *c, struct ast **ret)
{
    struct operand *stack, made;
    struct build_error error = {0};
    size_t n = 0;
    bool ok;

    *ret = NULL;
    if (pb == NULL)
        return FAULT_NONE;
    if (pb->n_nodes == 0 || pb->n_nodes > AST_NODES_MAX) {
        complain(c, "too_complex", "an expression of %zu parts; 1 to %d are allowed",
                 pb->n_nodes, AST_NODES_MAX);
        return c->fault;
    }
    CX_NEW(cx, stack, pb->n_nodes);
    for (size_t i = 0; i < pb->n_nodes; i++) {
        const Cohortium__AstNode *node = pb->nodes[i];

        if (!node_is_plain(node) || node->arity > n) {
            complain(c, "bad_expression", "part %zu of an expression is malformed", i + 1);
            return c->fault;
        }
        n -= node->arity;
        if (node->arity == 0)
            TRY(open_leaf(cx, cb, node, &made, &error));
        else
            TRY(open_operator(cx, cb, node, &stack[n], &made, &error));
        if (made.ast == NULL && made.text == NULL) {
            complain(c, error.code, "%s", error.text);
            return c->fault;
        }
        stack[n++] = made;
    }
    if (n != 1) {
        complain(c, "bad_expression", "an expression with %zu values; one is expected", n);
        return c->fault;
    }
    TRY(ast_build_wanted(cx, cb, &stack[0], want, &ok, &error));
    if (!ok) {
        complain(c, error.code, "%s", error.text);
        return c->fault;
    }
    *ret = stack[0].ast;
    return FAULT_NONE;
}

/* ---- sent ---- */

static enum fault put_node(struct cx *cx, const struct codebook *cb, const struct ast *a,
                           Cohortium__Ast *pb)
{
    Cohortium__AstNode *node;
    char date[32];

    for (size_t i = 0; i < a->n; i++)
        TRY(put_node(cx, cb, a->args[i], pb));
    CX_NEW(cx, node, 1);
    cohortium__ast_node__init(node);
    node->op = a->op;
    node->arity = (uint32_t)a->n;
    if (a->op == COHORTIUM__AST_OP__AST_VARIABLE) {
        node->variable = codebook_variable(cb, a->variable)->name;
    } else if (a->op == COHORTIUM__AST_OP__AST_NUMBER) {
        node->number = a->number;
    } else if (a->op == COHORTIUM__AST_OP__AST_LEVEL) {
        if (a->type == AST_TYPE_DATE)
            node->level = cx_strdup(cx, clock_date((int32_t)a->number, date, sizeof date));
        else
            node->level = codebook_variable(cb, a->variable)->levels[(size_t)a->number];
        if (node->level == NULL)
            return FAULT_MEMORY;
    }
    pb->nodes[pb->n_nodes++] = node;
    return FAULT_NONE;
}

enum fault ast_to_pb(struct cx *cx, const struct codebook *cb, const struct ast *ast,
                     Cohortium__Ast **ret)
{
    Cohortium__Ast *pb;

    if (ast == NULL) {
        *ret = NULL;
        return FAULT_NONE;
    }
    TRY(ast_is_bounded(cx, ast));
    CX_NEW(cx, pb, 1);
    cohortium__ast__init(pb);
    CX_NEW(cx, pb->nodes, ast_size(ast));
    TRY(put_node(cx, cb, ast, pb));
    *ret = pb;
    return FAULT_NONE;
}

/* ---- builders ---- */

struct ast *ast_number(struct cx *cx, double number)
{
    struct ast *a = ast_node(cx, COHORTIUM__AST_OP__AST_NUMBER, AST_TYPE_NUMBER, 0);

    if (a != NULL)
        a->number = number == 0 ? 0 : number; /* no negative zero: one encoding */
    return a;
}

struct ast *ast_variable(struct cx *cx, const struct codebook *cb, int variable)
{
    const Cohortium__Variable *v = codebook_variable(cb, variable);
    enum ast_type type = variable_has_levels(v)                 ? AST_TYPE_LEVEL
                         : v->type == COHORTIUM__VAR_TYPE__DATE ? AST_TYPE_DATE
                                                                : AST_TYPE_NUMBER;
    struct ast *a = ast_node(cx, COHORTIUM__AST_OP__AST_VARIABLE, type, 0);

    if (a != NULL)
        a->variable = variable;
    return a;
}

struct ast *ast_is_level(struct cx *cx, const struct codebook *cb, int variable, int level)
{
    struct ast *a = ast_node(cx, COHORTIUM__AST_OP__AST_EQ, AST_TYPE_BOOL, 2);

    if (a == NULL)
        return NULL;
    a->args[0] = ast_variable(cx, cb, variable);
    /* A level of a binary or integer variable is its number. */
    a->args[1] = variable_has_levels(codebook_variable(cb, variable))
                     ? ast_level(cx, cb, variable, level)
                     : ast_number(cx, level);
    return a->args[0] != NULL && a->args[1] != NULL ? a : NULL;
}

struct ast *ast_join(struct cx *cx, Cohortium__AstOp and_or, struct ast **parts, size_t n)
{
    struct ast *a;

    for (size_t i = 0; i < n; i++)
        if (parts[i] == NULL)
            return NULL;
    if (n == 0)
        return ast_constant(cx, and_or == COHORTIUM__AST_OP__AST_AND);
    if (n == 1)
        return parts[0];
    a = ast_node(cx, and_or, AST_TYPE_BOOL, n);
    if (a != NULL)
        memcpy(a->args, parts, n * sizeof(struct ast *));
    return a;
}

struct ast *ast_not(struct cx *cx, struct ast *a)
{
    struct ast *node;

    if (a == NULL)
        return NULL;
    node = ast_node(cx, COHORTIUM__AST_OP__AST_NOT, AST_TYPE_BOOL, 1);
    if (node != NULL)
        node->args[0] = a;
    return node;
}

struct ast *ast_constant(struct cx *cx, bool value)
{
    return ast_node(cx, value ? COHORTIUM__AST_OP__AST_TRUE : COHORTIUM__AST_OP__AST_FALSE,
                    AST_TYPE_BOOL, 0);
}

void ast_variables(const struct ast *ast, bool *used)
{
    if (ast == NULL)
        return;
    if (ast->op == COHORTIUM__AST_OP__AST_VARIABLE)
        used[ast->variable] = true;
    for (size_t i = 0; i < ast->n; i++)
        ast_variables(ast->args[i], used);
}

/* ---- compared ---- */

int ast_compare(const struct ast *a, const struct ast *b)
{
    if (a == b)
        return 0;
    if (a == NULL || b == NULL)
        return a == NULL ? -1 : 1;
    if (a->op != b->op)
        return a->op < b->op ? -1 : 1;
    if ((a->op == COHORTIUM__AST_OP__AST_VARIABLE ||
         a->op == COHORTIUM__AST_OP__AST_LEVEL) &&
        a->variable != b->variable)
        return a->variable < b->variable ? -1 : 1;
    if (ast_is_literal(a) && a->number != b->number)
        return a->number < b->number ? -1 : 1;
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        int c = ast_compare(a->args[i], b->args[i]);

        if (c != 0)
            return c;
    }
    return (a->n > b->n) - (a->n < b->n);
}

bool ast_equal(const struct ast *a, const struct ast *b)
{
    return ast_compare(a, b) == 0;
}

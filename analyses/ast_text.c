/*
 * ast_text.c - expressions written for people, as R writes them and as our parsers read
 * them.
 *
 * Spaces stand around + - * and comparisons, none around / and ^, as R's deparse does it:
 * the names of a model's terms come from here. It is the postfix form that is read, so that
 * a signed question can be told where its codebook is not at hand.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyses/ast_build.h"

static const char UNSHOWN[] = "(an expression that cannot be shown)";

enum { TEXT_BYTES_MAX = 1024 * 1024 };

/* How tightly an operator binds; operands of a looser one need parentheses. */
enum binding {
    BIND_OR,
    BIND_AND,
    BIND_NOT,
    BIND_COMPARE,
    BIND_ADD,
    BIND_MUL,
    BIND_NEG,
    BIND_POW,
    BIND_ATOM
};

struct phrase {
    const char *text;
    enum binding binding;
    Cohortium__AstOp op;
};

static const struct {
    const char *text;
    enum binding binding;
} operators[] = {
    [COHORTIUM__AST_OP__AST_AND] = {" and ", BIND_AND},
    [COHORTIUM__AST_OP__AST_OR] = {" or ", BIND_OR},
    [COHORTIUM__AST_OP__AST_EQ] = {" == ", BIND_COMPARE},
    [COHORTIUM__AST_OP__AST_NE] = {" != ", BIND_COMPARE},
    [COHORTIUM__AST_OP__AST_LT] = {" < ", BIND_COMPARE},
    [COHORTIUM__AST_OP__AST_LE] = {" <= ", BIND_COMPARE},
    [COHORTIUM__AST_OP__AST_GT] = {" > ", BIND_COMPARE},
    [COHORTIUM__AST_OP__AST_GE] = {" >= ", BIND_COMPARE},
    [COHORTIUM__AST_OP__AST_ADD] = {" + ", BIND_ADD},
    [COHORTIUM__AST_OP__AST_SUB] = {" - ", BIND_ADD},
    [COHORTIUM__AST_OP__AST_MUL] = {" * ", BIND_MUL},
    [COHORTIUM__AST_OP__AST_DIV] = {"/", BIND_MUL},
    [COHORTIUM__AST_OP__AST_POW] = {"^", BIND_POW},
};

/* R's choice: the fewest digits that read back to the same double (R: up to 15), fixed
 * unless the scientific form is shorter. */
static void put_number(struct buffer *out, double x)
{
    char text[40];
    int precision = 1, exponent, fixed, scientific, n;

    for (; precision < 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision - 1, x);
        if (strtod(text, NULL) == x)
            break;
    }
    (void)snprintf(text, sizeof text, "%.*e", precision - 1, x);
    exponent = atoi(strchr(text, 'e') + 1);
    n = precision;
    scientific = (n > 1 ? n + 1 : 1) + (abs(exponent) >= 100 ? 5 : 4);
    if (exponent < 0)
        fixed = 2 + (n - exponent - 1);
    else
        fixed = exponent + 1 + (n > exponent + 1 ? n - exponent : 0);
    if (fixed > scientific)
        buffer_text(out, text);
    else
        buffer_printf(out, "%.*f", n > exponent + 1 ? n - exponent - 1 : 0, x);
}

const char *number_words(struct cx *cx, double x)
{
    struct buffer out = buffer_new(cx, 64);
    const char *text;

    put_number(&out, x);
    text = buffer_string(&out);
    return text != NULL ? text : UNSHOWN;
}

static void put_quoted(struct buffer *out, const char *text)
{
    buffer_text(out, "\"");
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            buffer_text(out, "\\");
        buffer_put(out, text, 1);
    }
    buffer_text(out, "\"");
}

/* ---- one operator ---- */

static void put_phrase(struct buffer *out, const struct phrase *p, bool parentheses)
{
    buffer_printf(out, parentheses ? "(%s)" : "%s", p->text);
}

static void put_list(struct buffer *out, const struct phrase *args, size_t n)
{
    put_phrase(out, &args[0], args[0].binding <= BIND_COMPARE);
    buffer_text(out, " in (");
    for (size_t i = 1; i < n; i++) {
        buffer_text(out, i > 1 ? ", " : "");
        put_phrase(out, &args[i], false);
    }
    buffer_text(out, ")");
}

static void put_not(struct buffer *out, const struct phrase *arg)
{
    if (arg->op == COHORTIUM__AST_OP__AST_IS_MISSING)
        buffer_printf(out, "is not missing%s", arg->text + strlen("is missing"));
    else
        buffer_printf(out, "not (%s)", arg->text);
}

/* Operands of and, or, and of what stands between two. */
static void put_operands(struct buffer *out, Cohortium__AstOp op, const struct phrase *args,
                         size_t n)
{
    enum binding own = operators[op].binding;
    bool power = own == BIND_POW, joined = own <= BIND_AND;

    for (size_t i = 0; i < n; i++) {
        enum binding b = args[i].binding;
        bool loose = joined                                    ? b <= own
                     : i == 0 && own != BIND_COMPARE && !power ? b < own
                     : i > 0 && power                          ? b < BIND_NEG
                                                               : b <= own;

        buffer_text(out, i > 0 ? operators[op].text : "");
        put_phrase(out, &args[i], loose);
    }
}

static enum binding put_node(struct buffer *out, const Cohortium__AstNode *node,
                             const struct phrase *args, size_t n)
{
    switch (node->op) {
    case COHORTIUM__AST_OP__AST_VARIABLE:
        buffer_text(out, node->variable);
        return BIND_ATOM;
    case COHORTIUM__AST_OP__AST_NUMBER:
        put_number(out, node->number);
        return node->number < 0 ? BIND_NEG : BIND_ATOM;
    case COHORTIUM__AST_OP__AST_LEVEL:
        put_quoted(out, node->level);
        return BIND_ATOM;
    case COHORTIUM__AST_OP__AST_TRUE:
    case COHORTIUM__AST_OP__AST_FALSE:
        buffer_text(out, node->op == COHORTIUM__AST_OP__AST_TRUE ? "true" : "false");
        return BIND_ATOM;
    case COHORTIUM__AST_OP__AST_NOT:
        put_not(out, &args[0]);
        return args[0].op == COHORTIUM__AST_OP__AST_IS_MISSING ? BIND_ATOM : BIND_NOT;
    case COHORTIUM__AST_OP__AST_NEG:
        buffer_text(out, "-");
        put_phrase(out, &args[0],
                   args[0].binding < BIND_NEG ||
                       args[0].op == COHORTIUM__AST_OP__AST_NUMBER);
        return BIND_NEG;
    case COHORTIUM__AST_OP__AST_IN:
        put_list(out, args, n);
        return BIND_COMPARE;
    case COHORTIUM__AST_OP__AST_BETWEEN:
        for (size_t i = 0; i < n; i++) {
            buffer_text(out, i == 0 ? "" : i == 1 ? " between " : " and ");
            put_phrase(out, &args[i], args[i].binding <= BIND_COMPARE);
        }
        return BIND_COMPARE;
    case COHORTIUM__AST_OP__AST_IS_MISSING:
        buffer_printf(out, "is missing(%s)", args[0].text);
        return BIND_ATOM;
    case COHORTIUM__AST_OP__AST_LOG:
    case COHORTIUM__AST_OP__AST_SQRT:
    case COHORTIUM__AST_OP__AST_EXP:
        buffer_printf(out, "%s(%s)",
                      node->op == COHORTIUM__AST_OP__AST_LOG    ? "log"
                      : node->op == COHORTIUM__AST_OP__AST_SQRT ? "sqrt"
                                                                : "exp",
                      args[0].text);
        return BIND_ATOM;
    default:
        put_operands(out, node->op, args, n);
        return operators[node->op].binding;
    }
}

/* How many operands a node takes from the stack; -1: none that we know. */
static int arity_of(const Cohortium__AstNode *node)
{
    switch (node->op) {
    case COHORTIUM__AST_OP__AST_VARIABLE:
    case COHORTIUM__AST_OP__AST_NUMBER:
    case COHORTIUM__AST_OP__AST_LEVEL:
    case COHORTIUM__AST_OP__AST_TRUE:
    case COHORTIUM__AST_OP__AST_FALSE:
        return 0;
    case COHORTIUM__AST_OP__AST_NOT:
    case COHORTIUM__AST_OP__AST_NEG:
    case COHORTIUM__AST_OP__AST_IS_MISSING:
    case COHORTIUM__AST_OP__AST_LOG:
    case COHORTIUM__AST_OP__AST_SQRT:
    case COHORTIUM__AST_OP__AST_EXP:
        return 1;
    case COHORTIUM__AST_OP__AST_BETWEEN:
        return 3;
    case COHORTIUM__AST_OP__AST_AND:
    case COHORTIUM__AST_OP__AST_OR:
    case COHORTIUM__AST_OP__AST_IN:
        return node->arity >= 2 && node->arity <= AST_NODES_MAX ? (int)node->arity : -1;
    default:
        return (size_t)node->op < COUNT(operators) && operators[node->op].text != NULL ? 2
                                                                                       : -1;
    }
}

/* False: it is no expression, or one too long to show. */
static bool read_ast(struct cx *cx, const Cohortium__Ast *ast, struct phrase *ret)
{
    struct phrase *stack;
    size_t n = 0;

    if (ast->n_nodes > AST_NODES_MAX ||
        (stack = cx_array(cx, ast->n_nodes, sizeof *stack)) == NULL)
        return false;
    for (size_t i = 0; i < ast->n_nodes; i++) {
        struct buffer out = buffer_new(cx, TEXT_BYTES_MAX);
        int arity = arity_of(ast->nodes[i]);

        if (arity < 0 || (size_t)arity > n)
            return false;
        n -= (size_t)arity;
        enum binding binding = put_node(&out, ast->nodes[i], stack + n, (size_t)arity);
        const char *text = buffer_string(&out);
        if (text == NULL)
            return false;
        stack[n++] = (struct phrase){text, binding, ast->nodes[i]->op};
    }
    if (n == 1)
        *ret = stack[0];
    return n == 1;
}

const char *ast_words(struct cx *cx, const Cohortium__Ast *ast)
{
    struct phrase p;

    if (ast == NULL)
        return "everybody";
    return read_ast(cx, ast, &p) ? p.text : UNSHOWN;
}

const char *ast_text(struct cx *cx, const struct codebook *cb, const struct ast *ast)
{
    Cohortium__Ast *pb;

    if (ast_to_pb(cx, cb, ast, &pb) != FAULT_NONE)
        return UNSHOWN;
    return ast_words(cx, pb);
}

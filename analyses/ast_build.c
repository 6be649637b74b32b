/* ast_build.c - types: which operands an operator takes, and what to say when they do not
 * fit. */
#include "analyses/ast_build.h"

#include <stdio.h>
#include <string.h>

#include "protocol/base/clock.h"

struct builder {
    struct cx *cx;
    const struct codebook *cb;
    struct build_error *error;
};

bool ast_is_comparison(Cohortium__AstOp op)
{
    return op >= COHORTIUM__AST_OP__AST_EQ && op <= COHORTIUM__AST_OP__AST_GE;
}

bool ast_is_literal(const struct ast *a)
{
    return a->op == COHORTIUM__AST_OP__AST_NUMBER || a->op == COHORTIUM__AST_OP__AST_LEVEL;
}

size_t ast_size(const struct ast *a)
{
    size_t n = 1;

    for (size_t i = 0; i < a->n; i++)
        n += ast_size(a->args[i]);
    return n;
}

size_t ast_depth(const struct ast *a)
{
    size_t deepest = 0;

    for (size_t i = 0; i < a->n; i++) {
        size_t d = ast_depth(a->args[i]);

        if (d > deepest)
            deepest = d;
    }
    return deepest + 1;
}

enum fault ast_is_bounded(struct cx *cx, const struct ast *a)
{
    if (ast_size(a) > AST_NODES_MAX)
        return cx_fail(
            cx, FAULT_INVALID,
            "an expression of %zu parts; at most %d are allowed: ask for less at once",
            ast_size(a), AST_NODES_MAX);
    if (ast_depth(a) > AST_DEPTH_MAX)
        return cx_fail(cx, FAULT_INVALID,
                       "an expression nested %zu deep; at most %d levels are allowed",
                       ast_depth(a), AST_DEPTH_MAX);
    return FAULT_NONE;
}

struct ast *ast_node(struct cx *cx, Cohortium__AstOp op, enum ast_type type, size_t n)
{
    struct ast *a = cx_alloc(cx, sizeof *a);

    if (a == NULL)
        return NULL;
    a->op = op;
    a->type = type;
    a->variable = -1;
    a->n = n;
    if (n > 0) {
        a->args = cx_array(cx, n, sizeof(struct ast *));
        if (a->args == NULL)
            return NULL;
    }
    return a;
}

struct ast *ast_level(struct cx *cx, const struct codebook *cb, int variable, double value)
{
    bool date = codebook_variable(cb, variable)->type == COHORTIUM__VAR_TYPE__DATE;
    struct ast *a = ast_node(cx, COHORTIUM__AST_OP__AST_LEVEL,
                             date ? AST_TYPE_DATE : AST_TYPE_LEVEL, 0);

    if (a != NULL) {
        a->variable = variable;
        a->number = value;
    }
    return a;
}

static void wrong(struct builder *b, size_t operand, const char *code, const char *text)
{
    b->error->operand = operand;
    b->error->code = code;
    b->error->text = text != NULL ? text : "the expression is wrong";
}

static const Cohortium__Variable *variable_of(const struct builder *b, const struct ast *a)
{
    return codebook_variable(b->cb, a->variable);
}

/* "`age` (a number, years)": a reminder of what one operand is. */
static const char *describe(const struct builder *b, const struct operand *o)
{
    const struct ast *a = o->ast;
    const char *text = NULL;

    if (a == NULL)
        return "a text";
    if (a->op == COHORTIUM__AST_OP__AST_VARIABLE) {
        const Cohortium__Variable *v = variable_of(b, a);
        const char *kind = a->type == AST_TYPE_LEVEL  ? "categorical"
                           : a->type == AST_TYPE_DATE ? "a date"
                                                      : "a number";

        if (a->type == AST_TYPE_NUMBER && v->unit[0] != '\0')
            text = cx_printf(b->cx, "`%s` (a number, unit %s)", v->name, v->unit);
        else
            text = cx_printf(b->cx, "`%s` (%s)", v->name, kind);
    } else if (a->op == COHORTIUM__AST_OP__AST_LEVEL) {
        text = a->type == AST_TYPE_DATE ? "a date" : "a level";
    } else if (a->type == AST_TYPE_BOOL) {
        text = "a condition";
    } else {
        text = "a number";
    }
    return text != NULL ? text : "an expression";
}

enum fault ast_build_variable(struct cx *cx, const struct codebook *cb, const char *name,
                              struct ast **ret, struct build_error *error)
{
    struct builder b = {cx, cb, error};
    int i = codebook_find(cb, name);

    *ret = NULL;
    if (i < 0) {
        wrong(&b, 0, "unknown_variable",
              cx_printf(cx, "no variable `%s` in %s%s", name, cb->body->name,
                        codebook_hint(cx, cb, name)));
        return FAULT_NONE;
    }
    if (!variable_is_usable(codebook_variable(cb, i))) {
        wrong(&b, 0, "unusable_variable",
              cx_printf(cx,
                        "`%s` is %s in the codebook of %s: no question may name it; choose "
                        "another variable",
                        name,
                        codebook_variable(cb, i)->role == COHORTIUM__ROLE__HIDDEN
                            ? "hidden"
                            : "a direct identifier",
                        cb->body->name));
        return FAULT_NONE;
    }
    *ret = ast_variable(cx, cb, i);
    return *ret != NULL ? FAULT_NONE : FAULT_MEMORY;
}

/* YYYY-MM-DD and nothing else. */
static bool date_of(const char *text, double *ret)
{
    int part[3] = {0, 0, 0}, at = 0;
    int32_t days;

    if (strlen(text) != 10)
        return false;
    for (int i = 0; i < 10; i++) {
        if (i == 4 || i == 7) {
            if (text[i] != '-')
                return false;
            at++;
        } else if (text[i] < '0' || text[i] > '9') {
            return false;
        } else {
            part[at] = part[at] * 10 + (text[i] - '0');
        }
    }
    if (part[0] < 1 || !clock_days(part[0], part[1], part[2], &days))
        return false;
    *ret = days;
    return true;
}

/* A text beside `with`: its level or its date. NULL with the error set, or without memory.
 */
static struct ast *literal_of(struct builder *b, const struct operand *literal,
                              size_t place, const struct operand *with)
{
    const struct ast *a = with->ast;
    const Cohortium__Variable *v;
    double day;

    if (a == NULL || a->op != COHORTIUM__AST_OP__AST_VARIABLE ||
        a->type == AST_TYPE_NUMBER) {
        const char *also = "write a variable on one side, or a number without quotes";

        if (a != NULL && a->op == COHORTIUM__AST_OP__AST_VARIABLE)
            also = "write the number without quotes";
        wrong(b, place, "wrong_type",
              cx_printf(b->cx, "the text \"%s\" cannot be compared with %s; %s",
                        literal->text, describe(b, with), also));
        return NULL;
    }
    v = variable_of(b, a);
    if (a->type == AST_TYPE_DATE) {
        if (date_of(literal->text, &day))
            return ast_level(b->cx, b->cb, a->variable, day);
        wrong(b, place, "bad_date",
              cx_printf(
                  b->cx,
                  "\"%s\" is not a date that exists; `%s` is compared with dates such as "
                  "\"2021-03-31\"",
                  literal->text, v->name));
        return NULL;
    }
    int level = variable_level(v, literal->text);
    if (level < 0) {
        wrong(b, place, "unknown_level",
              cx_printf(b->cx, "`%s` has no level \"%s\"%s", v->name, literal->text,
                        level_hint(b->cx, v, literal->text)));
        return NULL;
    }
    return ast_level(b->cx, b->cb, a->variable, level);
}

/* The operands' trees in args, literals resolved against operand `with`. False with an
 * error (error->code set) or without memory (not set). */
static bool resolve(struct builder *b, const struct operand *operands, size_t n,
                    size_t with, struct ast *node)
{
    for (size_t i = 0; i < n; i++) {
        node->args[i] = operands[i].ast;
        if (node->args[i] == NULL)
            node->args[i] = literal_of(b, &operands[i], i, &operands[with]);
        if (node->args[i] == NULL)
            return false;
    }
    return true;
}

/* A categorical beside something that is not one of its levels. */
static void wrong_pair(struct builder *b, const struct operand *left,
                       const struct operand *right, size_t place)
{
    const struct operand *categorical = left;
    const Cohortium__Variable *v;

    if (left->ast == NULL || left->ast->type != AST_TYPE_LEVEL)
        categorical = right;
    if (categorical->ast != NULL && categorical->ast->type == AST_TYPE_LEVEL &&
        categorical->ast->op == COHORTIUM__AST_OP__AST_VARIABLE) {
        v = variable_of(b, categorical->ast);
        wrong(b, place, "wrong_type",
              cx_printf(
                  b->cx,
                  "`%s` is categorical and is compared with one of its levels in quotes, "
                  "not with %s%s",
                  v->name, describe(b, categorical == left ? right : left),
                  level_hint(b->cx, v, "")));
        return;
    }
    wrong(b, place, "wrong_type",
          cx_printf(b->cx, "%s cannot be compared with %s", describe(b, left),
                    describe(b, right)));
}

/* May these two be compared by this operator? */
static bool pair_fits(struct builder *b, Cohortium__AstOp op, const struct operand *left,
                      const struct ast *l, const struct operand *right, const struct ast *r,
                      size_t place)
{
    bool order = op != COHORTIUM__AST_OP__AST_EQ && op != COHORTIUM__AST_OP__AST_NE &&
                 op != COHORTIUM__AST_OP__AST_IN;

    if (l->type == AST_TYPE_BOOL || r->type == AST_TYPE_BOOL) {
        wrong(
            b, place, "wrong_type",
            "a comparison cannot be compared again; for a range write `x between 1 and 3`, "
            "else join comparisons with `and`");
        return false;
    }
    if (l->type != r->type ||
        (l->type == AST_TYPE_LEVEL && !ast_is_literal(l) && !ast_is_literal(r))) {
        wrong_pair(b, left, right, place);
        return false;
    }
    if (l->type == AST_TYPE_LEVEL && order) {
        const Cohortium__Variable *v = variable_of(b, ast_is_literal(l) ? r : l);

        if (v->type != COHORTIUM__VAR_TYPE__ORDERED) {
            wrong(b, place, "wrong_type",
                  cx_printf(b->cx,
                            "the levels of `%s` have no order; use ==, != or in (...)",
                            v->name));
            return false;
        }
    }
    return true;
}

static bool build_comparison(struct builder *b, Cohortium__AstOp op,
                             const struct operand *operands, struct ast *node)
{
    size_t with = operands[0].ast != NULL ? 0 : 1;

    if (!resolve(b, operands, 2, with, node))
        return false;
    return pair_fits(b, op, &operands[0], node->args[0], &operands[1], node->args[1], 1);
}

/* in, between: the first operand is what the others are compared with. */
static bool build_list(struct builder *b, Cohortium__AstOp op,
                       const struct operand *operands, size_t n, struct ast *node)
{
    const struct ast *first = operands[0].ast;

    if (first == NULL ||
        (op == COHORTIUM__AST_OP__AST_IN && first->op != COHORTIUM__AST_OP__AST_VARIABLE)) {
        wrong(b, 0, "wrong_type", "a variable is expected in front of `in` and `between`");
        return false;
    }
    if (!resolve(b, operands, n, 0, node))
        return false;
    for (size_t i = 1; i < n; i++) {
        if (op == COHORTIUM__AST_OP__AST_IN && !ast_is_literal(node->args[i])) {
            wrong(b, i, "wrong_type", "the list of `in` holds numbers or levels only");
            return false;
        }
        if (!pair_fits(b, op, &operands[0], first, &operands[i], node->args[i], i))
            return false;
    }
    return true;
}

/* A variable where a condition is expected: how one is made of it. */
static const char *condition_hint(const struct builder *b, const struct ast *a,
                                  enum ast_type want)
{
    const char *hint;

    if (a == NULL || want != AST_TYPE_BOOL || a->op != COHORTIUM__AST_OP__AST_VARIABLE)
        return "";
    hint = cx_printf(b->cx, "; write for instance `%s %s`", variable_of(b, a)->name,
                     a->type == AST_TYPE_NUMBER ? "== 1" : "== \"...\"");
    return hint != NULL ? hint : "";
}

static bool build_typed(struct builder *b, const struct operand *operands, size_t n,
                        enum ast_type type, struct ast *node)
{
    for (size_t i = 0; i < n; i++) {
        const struct ast *a = operands[i].ast;

        if (a == NULL || a->type != type) {
            wrong(b, i, "wrong_type",
                  cx_printf(b->cx, "expected %s, found %s%s",
                            type == AST_TYPE_BOOL ? "a condition" : "a number",
                            describe(b, &operands[i]), condition_hint(b, a, type)));
            return false;
        }
        node->args[i] = operands[i].ast;
    }
    return true;
}

static bool arity_fits(Cohortium__AstOp op, size_t n)
{
    switch (op) {
    case COHORTIUM__AST_OP__AST_AND:
    case COHORTIUM__AST_OP__AST_OR:
    case COHORTIUM__AST_OP__AST_IN:
        return n >= 2;
    case COHORTIUM__AST_OP__AST_BETWEEN:
        return n == 3;
    case COHORTIUM__AST_OP__AST_NOT:
    case COHORTIUM__AST_OP__AST_IS_MISSING:
    case COHORTIUM__AST_OP__AST_NEG:
    case COHORTIUM__AST_OP__AST_LOG:
    case COHORTIUM__AST_OP__AST_SQRT:
    case COHORTIUM__AST_OP__AST_EXP:
        return n == 1;
    default:
        return (ast_is_comparison(op) ||
                (op >= COHORTIUM__AST_OP__AST_ADD && op <= COHORTIUM__AST_OP__AST_POW)) &&
               n == 2;
    }
}

static bool build(struct builder *b, Cohortium__AstOp op, const struct operand *operands,
                  size_t n, struct ast *node)
{
    if (ast_is_comparison(op))
        return build_comparison(b, op, operands, node);
    switch (op) {
    case COHORTIUM__AST_OP__AST_IN:
    case COHORTIUM__AST_OP__AST_BETWEEN:
        return build_list(b, op, operands, n, node);
    case COHORTIUM__AST_OP__AST_IS_MISSING:
        node->args[0] = operands[0].ast;
        if (operands[0].ast != NULL &&
            operands[0].ast->op == COHORTIUM__AST_OP__AST_VARIABLE)
            return true;
        wrong(b, 0, "wrong_type", "`is missing(...)` takes one variable");
        return false;
    case COHORTIUM__AST_OP__AST_AND:
    case COHORTIUM__AST_OP__AST_OR:
    case COHORTIUM__AST_OP__AST_NOT:
        return build_typed(b, operands, n, AST_TYPE_BOOL, node);
    default:
        return build_typed(b, operands, n, AST_TYPE_NUMBER, node);
    }
}

enum fault ast_build(struct cx *cx, const struct codebook *cb, Cohortium__AstOp op,
                     const struct operand *operands, size_t n, struct ast **ret,
                     struct build_error *error)
{
    struct builder b = {cx, cb, error};
    struct ast *node;

    *ret = NULL;
    *error = (struct build_error){0};
    if (!arity_fits(op, n)) {
        wrong(&b, n, "bad_expression",
              cx_printf(cx, "an operator with %zu operands that takes another number", n));
        return FAULT_NONE;
    }
    for (size_t i = 0; i < n; i++)
        if (operands[i].depth >= AST_DEPTH_MAX) {
            wrong(&b, n, "too_complex",
                  cx_printf(cx, "nested deeper than the allowed %d levels", AST_DEPTH_MAX));
            return FAULT_NONE;
        }
    node = ast_node(cx, op,
                    op >= COHORTIUM__AST_OP__AST_ADD ? AST_TYPE_NUMBER : AST_TYPE_BOOL, n);
    if (node == NULL)
        return FAULT_MEMORY;
    if (build(&b, op, operands, n, node))
        *ret = node;
    else if (error->code == NULL)
        return FAULT_MEMORY;
    return FAULT_NONE;
}

enum fault ast_build_wanted(struct cx *cx, const struct codebook *cb,
                            const struct operand *top, enum ast_type want, bool *ret_ok,
                            struct build_error *error)
{
    struct builder b = {cx, cb, error};
    const struct ast *a = top->ast;
    static const char *const names[] = {"a number", "a categorical variable", "a date",
                                        "a condition such as `x >= 1`",
                                        "a number, a variable or a comparison"};

    *ret_ok = a != NULL && (want == AST_TYPE_ANY || a->type == want);
    /* A bare variable or arithmetic or one comparison: what a design can hold. */
    if (*ret_ok && want == AST_TYPE_ANY)
        *ret_ok = a->type == AST_TYPE_NUMBER || a->op == COHORTIUM__AST_OP__AST_VARIABLE ||
                  ast_is_comparison(a->op);
    if (!*ret_ok)
        wrong(&b, 0, "wrong_type",
              cx_printf(cx, "expected %s, found %s%s", names[want], describe(&b, top),
                        condition_hint(&b, a, want)));
    return FAULT_NONE;
}

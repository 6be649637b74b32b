/* expression.c - expressions by descent: or, and, not, comparison, + -, * /, sign, ^. */
#include "analyses/cut.h"

#include <string.h>

/* Words that another language or analysis knows. */
static const char *const other_functions[] = {"abs",   "floor", "ifelse",
                                              "log10", "log1p", "log2",  "max",
                                              "mean",  "min",   "round"};

static enum fault parse_or(struct parser *p, struct operand *ret);
static enum fault parse_sign(struct parser *p, struct operand *ret);

/* One node more; its errors get the place of the guilty operand. */
static enum fault combine(struct parser *p, Cohortium__AstOp op,
                          const struct operand *operands, size_t n, size_t at,
                          struct operand *ret)
{
    struct operand made = {.column = operands[0].column};
    struct build_error error;

    for (size_t i = 0; i < n; i++)
        if (operands[i].depth > made.depth)
            made.depth = operands[i].depth;
    made.depth++;
    if (++p->nodes > AST_NODES_MAX)
        return parser_fail(p, at, "more than the allowed %d parts", AST_NODES_MAX);
    TRY(ast_build(p->cx, p->cb, op, operands, n, &made.ast, &error));
    if (made.ast == NULL)
        return parser_fail(p, error.operand < n ? operands[error.operand].column : at, "%s",
                           error.text);
    *ret = made;
    return FAULT_NONE;
}

static enum fault leaf(struct parser *p, struct ast *a, struct operand *ret)
{
    if (a == NULL)
        return FAULT_MEMORY;
    if (++p->nodes > AST_NODES_MAX)
        return parser_fail(p, p->token.at, "more than the allowed %d parts", AST_NODES_MAX);
    *ret = (struct operand){.ast = a, .depth = 1, .column = p->token.at};
    return parser_next(p);
}

enum fault expression_variable(struct parser *p, struct operand *ret)
{
    struct build_error error;
    struct ast *a;

    if (cut_is_next(p))
        return cut_variable(p, ret);
    if (p->token.kind != TOKEN_WORD)
        return parser_fail(p, p->token.at, "expected the name of a variable");
    TRY(ast_build_variable(p->cx, p->cb, p->token.text, &a, &error));
    if (a == NULL)
        return parser_fail(p, p->token.at, "%s", error.text);
    return leaf(p, a, ret);
}

enum fault expression_wanted(struct parser *p, const struct operand *o, enum ast_type want)
{
    struct build_error error;
    bool ok;

    TRY(ast_build_wanted(p->cx, p->cb, o, want, &ok, &error));
    return ok ? FAULT_NONE : parser_fail(p, o->column, "%s", error.text);
}

static bool is_keyword(const struct parser *p)
{
    static const char *const words[] = {"and",     "or", "not",    "in",
                                        "between", "is", "missing"};

    for (size_t i = 0; i < COUNT(words); i++)
        if (parser_is(p, words[i]))
            return true;
    return false;
}

static enum fault parse_parentheses(struct parser *p, struct operand *ret)
{
    size_t at = p->token.at;

    TRY(parser_enter(p));
    TRY(parser_take(p, "(", "here"));
    TRY(parse_or(p, ret));
    ret->column = at;
    parser_leave(p);
    return parser_take(p, ")", "to close what was opened");
}

static enum fault parse_call(struct parser *p, struct token name, struct operand *ret)
{
    static const struct {
        const char *name;
        Cohortium__AstOp op;
    } functions[] = {{"log", COHORTIUM__AST_OP__AST_LOG},
                     {"sqrt", COHORTIUM__AST_OP__AST_SQRT},
                     {"exp", COHORTIUM__AST_OP__AST_EXP}};
    struct operand arg;

    if (p->formula && strcmp(name.text, "I") == 0)
        return parse_parentheses(p, ret);
    for (size_t i = 0; i < COUNT(functions); i++)
        if (strcmp(name.text, functions[i].name) == 0) {
            TRY(parse_parentheses(p, &arg));
            TRY(combine(p, functions[i].op, &arg, 1, name.at, ret));
            ret->column = name.at;
            return FAULT_NONE;
        }
    for (size_t i = 0; i < COUNT(other_functions); i++)
        if (strcmp(name.text, other_functions[i]) == 0)
            return parser_fail(p, name.at,
                               "`%s()` is not offered; there are log, sqrt and exp",
                               name.text);
    return parser_fail(p, name.at,
                       "there is no function `%s` here; there are log, sqrt and exp",
                       name.text);
}

static bool call_follows(const struct parser *p)
{
    size_t at = p->token.at + p->token.n;

    while (p->text[at] == ' ')
        at++;
    return p->text[at] == '(';
}

static enum fault parse_primary(struct parser *p, struct operand *ret)
{
    struct token t = p->token;

    if (t.kind == TOKEN_NUMBER)
        return leaf(p, ast_number(p->cx, t.number), ret);
    if (t.kind == TOKEN_TEXT) {
        *ret = (struct operand){.text = t.text, .depth = 1, .column = t.at};
        if (++p->nodes > AST_NODES_MAX)
            return parser_fail(p, t.at, "more than the allowed %d parts", AST_NODES_MAX);
        return parser_next(p);
    }
    if (parser_is(p, "("))
        return parse_parentheses(p, ret);
    if (t.kind != TOKEN_WORD || is_keyword(p))
        return parser_fail(p, t.at,
                           "expected a variable, a number, a text in quotes or `(`");
    if (parser_is(p, "true") || parser_is(p, "false"))
        return leaf(p, ast_constant(p->cx, t.text[0] == 't'), ret);
    if (cut_is_next(p))
        return cut_variable(p, ret);
    if (call_follows(p)) {
        TRY(parser_next(p));
        return parse_call(p, t, ret);
    }
    return expression_variable(p, ret);
}

static enum fault parse_power(struct parser *p, struct operand *ret)
{
    struct operand both[2];
    size_t at;

    TRY(parse_primary(p, &both[0]));
    at = p->token.at;
    if (!parser_is(p, "^")) {
        *ret = both[0];
        return FAULT_NONE;
    }
    TRY(parser_next(p));
    TRY(parser_enter(p));
    TRY(parse_sign(p, &both[1]));
    parser_leave(p);
    return combine(p, COHORTIUM__AST_OP__AST_POW, both, 2, at, ret);
}

/* A sign right before a number is the number's; before anything else it is an operator. */
static enum fault parse_sign(struct parser *p, struct operand *ret)
{
    struct operand arg;
    size_t at = p->token.at;
    bool number;

    if (parser_is(p, "+"))
        return parser_fail(p, at, "a sign + means nothing here; leave it out");
    if (!parser_is(p, "-"))
        return parse_power(p, ret);
    TRY(parser_enter(p));
    TRY(parser_next(p));
    number = p->token.kind == TOKEN_NUMBER;
    TRY(parse_sign(p, &arg));
    parser_leave(p);
    if (number && arg.ast != NULL && arg.ast->op == COHORTIUM__AST_OP__AST_NUMBER) {
        *ret = (struct operand){
            .ast = ast_number(p->cx, -arg.ast->number), .depth = 1, .column = at};
        return ret->ast != NULL ? FAULT_NONE : FAULT_MEMORY;
    }
    TRY(combine(p, COHORTIUM__AST_OP__AST_NEG, &arg, 1, at, ret));
    ret->column = at;
    return FAULT_NONE;
}

static enum fault parse_product(struct parser *p, struct operand *ret)
{
    struct operand both[2];

    TRY(parse_sign(p, &both[0]));
    while (parser_is(p, "*") || parser_is(p, "/")) {
        size_t at = p->token.at;
        Cohortium__AstOp op =
            parser_is(p, "*") ? COHORTIUM__AST_OP__AST_MUL : COHORTIUM__AST_OP__AST_DIV;

        TRY(parser_next(p));
        TRY(parse_sign(p, &both[1]));
        TRY(combine(p, op, both, 2, at, &both[0]));
    }
    *ret = both[0];
    return FAULT_NONE;
}

enum fault expression_number(struct parser *p, struct operand *ret)
{
    struct operand both[2];

    TRY(parse_product(p, &both[0]));
    while (parser_is(p, "+") || parser_is(p, "-")) {
        size_t at = p->token.at;
        Cohortium__AstOp op =
            parser_is(p, "+") ? COHORTIUM__AST_OP__AST_ADD : COHORTIUM__AST_OP__AST_SUB;

        TRY(parser_next(p));
        TRY(parse_product(p, &both[1]));
        TRY(combine(p, op, both, 2, at, &both[0]));
    }
    *ret = both[0];
    return FAULT_NONE;
}

static bool comparison_ahead(const struct parser *p, Cohortium__AstOp *ret)
{
    static const struct {
        const char *symbol;
        Cohortium__AstOp op;
    } all[] = {{"==", COHORTIUM__AST_OP__AST_EQ}, {"!=", COHORTIUM__AST_OP__AST_NE},
               {"<", COHORTIUM__AST_OP__AST_LT},  {"<=", COHORTIUM__AST_OP__AST_LE},
               {">", COHORTIUM__AST_OP__AST_GT},  {">=", COHORTIUM__AST_OP__AST_GE}};

    for (size_t i = 0; i < COUNT(all); i++)
        if (parser_is(p, all[i].symbol)) {
            *ret = all[i].op;
            return true;
        }
    return false;
}

/* A list of operands that doubles when it is full. */
struct operands {
    struct operand *list;
    size_t n, size;
};

static enum fault add_operand(struct parser *p, struct operands *all,
                              const struct operand *o)
{
    struct operand *longer;

    if (all->n == all->size) {
        all->size = all->size > 0 ? 2 * all->size : 8;
        CX_NEW(p->cx, longer, all->size);
        if (all->n > 0)
            memcpy(longer, all->list, all->n * sizeof *longer);
        all->list = longer;
    }
    all->list[all->n++] = *o;
    return FAULT_NONE;
}

static enum fault parse_in(struct parser *p, const struct operand *first,
                           struct operand *ret)
{
    struct operands all = {0};
    struct operand item;
    size_t at = p->token.at;

    TRY(add_operand(p, &all, first));
    TRY(parser_take(p, "in", "here"));
    TRY(parser_take(p, "(", "before the list, as in: x in (1, 2)"));
    for (;;) {
        TRY(expression_number(p, &item));
        TRY(add_operand(p, &all, &item));
        if (!parser_is(p, ","))
            break;
        TRY(parser_next(p));
    }
    TRY(parser_take(p, ")", "or `,` in the list"));
    return combine(p, COHORTIUM__AST_OP__AST_IN, all.list, all.n, at, ret);
}

static enum fault parse_between(struct parser *p, const struct operand *first,
                                struct operand *ret)
{
    struct operand parts[3] = {*first};
    size_t at = p->token.at;

    TRY(parser_next(p));
    TRY(expression_number(p, &parts[1]));
    TRY(parser_take(p, "and", "and the upper end, as in: x between 1 and 3"));
    TRY(expression_number(p, &parts[2]));
    return combine(p, COHORTIUM__AST_OP__AST_BETWEEN, parts, 3, at, ret);
}

/* `is missing(x)`, `is not missing(x)`; behind a variable the parentheses are left out. */
static enum fault parse_missing(struct parser *p, const struct operand *first,
                                struct operand *ret)
{
    struct operand arg;
    size_t at = p->token.at;
    bool negated;

    TRY(parser_take(p, "is", "here"));
    negated = parser_is(p, "not");
    if (negated)
        TRY(parser_next(p));
    TRY(parser_take(p, "missing", "as in: is missing(x)"));
    if (first != NULL) {
        arg = *first;
    } else {
        TRY(parser_take(p, "(", "as in: is missing(x)"));
        TRY(expression_variable(p, &arg));
        TRY(parser_take(p, ")", "as in: is missing(x)"));
    }
    TRY(combine(p, COHORTIUM__AST_OP__AST_IS_MISSING, &arg, 1, at, &arg));
    if (negated)
        TRY(combine(p, COHORTIUM__AST_OP__AST_NOT, &arg, 1, at, &arg));
    *ret = arg;
    return FAULT_NONE;
}

static enum fault refuse_chain(struct parser *p)
{
    Cohortium__AstOp op;

    if (comparison_ahead(p, &op))
        return parser_fail(
            p, p->token.at,
            "comparisons are not chained; write `x between 1 and 3`, or join "
            "them with `and`");
    return FAULT_NONE;
}

/* x = 5 years: say that the unit is the codebook's. */
static enum fault refuse_unit(struct parser *p, const struct operand *number)
{
    if (p->token.kind == TOKEN_WORD && !is_keyword(p) && number->ast != NULL &&
        number->ast->op == COHORTIUM__AST_OP__AST_NUMBER)
        return parser_fail(
            p, p->token.at,
            "expected `and`, `or` or the end; a unit is not written: numbers are "
            "in the unit of the codebook");
    return FAULT_NONE;
}

enum fault expression_comparison(struct parser *p, struct operand *ret)
{
    struct operand both[2];
    Cohortium__AstOp op;
    size_t at;

    if (parser_is(p, "is"))
        return parse_missing(p, NULL, ret);
    if (!p->formula && cut_is_next(p))
        return cut_condition(p, ret);
    TRY(expression_number(p, &both[0]));
    at = p->token.at;
    if (comparison_ahead(p, &op)) {
        TRY(parser_next(p));
        TRY(expression_number(p, &both[1]));
        TRY(refuse_chain(p));
        TRY(refuse_unit(p, &both[1]));
        return combine(p, op, both, 2, at, ret);
    }
    if (parser_is(p, "in"))
        return parse_in(p, &both[0], ret);
    if (parser_is(p, "between"))
        return parse_between(p, &both[0], ret);
    if (parser_is(p, "is"))
        return parse_missing(p, &both[0], ret);
    if (parser_is(p, "not")) {
        TRY(parser_next(p));
        if (!parser_is(p, "in"))
            return parser_fail(p, p->token.at, "expected `in`, as in: x not in (1, 2)");
        TRY(parse_in(p, &both[0], &both[0]));
        return combine(p, COHORTIUM__AST_OP__AST_NOT, both, 1, at, ret);
    }
    *ret = both[0];
    return FAULT_NONE;
}

static enum fault parse_not(struct parser *p, struct operand *ret)
{
    struct operand arg;
    size_t at = p->token.at;

    if (!parser_is(p, "not"))
        return expression_comparison(p, ret);
    TRY(parser_enter(p));
    TRY(parser_next(p));
    TRY(parse_not(p, &arg));
    parser_leave(p);
    TRY(combine(p, COHORTIUM__AST_OP__AST_NOT, &arg, 1, at, ret));
    ret->column = at;
    return FAULT_NONE;
}

/* One level of and/or: a list of parts joined by its word. */
static enum fault parse_joined(struct parser *p, const char *word, Cohortium__AstOp op,
                               enum fault (*part)(struct parser *, struct operand *),
                               struct operand *ret)
{
    struct operands all = {0};
    struct operand item;
    size_t at;

    TRY(part(p, &item));
    at = p->token.at;
    if (!parser_is(p, word)) {
        *ret = item;
        return FAULT_NONE;
    }
    TRY(add_operand(p, &all, &item));
    while (parser_is(p, word)) {
        TRY(parser_next(p));
        TRY(part(p, &item));
        TRY(add_operand(p, &all, &item));
    }
    return combine(p, op, all.list, all.n, at, ret);
}

static enum fault parse_and(struct parser *p, struct operand *ret)
{
    return parse_joined(p, "and", COHORTIUM__AST_OP__AST_AND, parse_not, ret);
}

static enum fault parse_or(struct parser *p, struct operand *ret)
{
    return parse_joined(p, "or", COHORTIUM__AST_OP__AST_OR, parse_and, ret);
}

enum fault expression_condition(struct parser *p, struct operand *ret)
{
    return parse_or(p, ret);
}

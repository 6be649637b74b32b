/*
 * ast_text.c - expressions written for people, as R writes them and as our parsers read
 * them.
 *
 * Spaces stand around + - * and comparisons, none around / and ^, as R's deparse does it:
 * the names of a model's terms come from here.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyses/ast_build.h"
#include "protocol/base/clock.h"

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

struct writer {
    const struct codebook *cb;
    struct buffer out;
};

static const struct {
    const char *text;
    enum binding binding;
} operators[] = {
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

static enum binding binding_of(const struct ast *a)
{
    switch (a->op) {
    case COHORTIUM__AST_OP__AST_OR:
        return BIND_OR;
    case COHORTIUM__AST_OP__AST_AND:
        return BIND_AND;
    case COHORTIUM__AST_OP__AST_NOT:
        return BIND_NOT;
    case COHORTIUM__AST_OP__AST_IN:
    case COHORTIUM__AST_OP__AST_BETWEEN:
        return BIND_COMPARE;
    case COHORTIUM__AST_OP__AST_NEG:
        return BIND_NEG;
    case COHORTIUM__AST_OP__AST_NUMBER:
        return a->number < 0 ? BIND_NEG : BIND_ATOM;
    default:
        break;
    }
    if ((size_t)a->op < COUNT(operators) && operators[a->op].text != NULL)
        return operators[a->op].binding;
    return BIND_ATOM;
}

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

static void put(struct writer *w, const struct ast *a);

static void put_within(struct writer *w, const struct ast *a, bool parentheses)
{
    if (parentheses)
        buffer_text(&w->out, "(");
    put(w, a);
    if (parentheses)
        buffer_text(&w->out, ")");
}

static void put_binary(struct writer *w, const struct ast *a)
{
    enum binding own = binding_of(a);
    enum binding left = binding_of(a->args[0]), right = binding_of(a->args[1]);
    bool power = own == BIND_POW;

    /* ^ takes its right side first, and a sign there needs no parentheses. */
    put_within(w, a->args[0], power || own == BIND_COMPARE ? left <= own : left < own);
    buffer_text(&w->out, operators[a->op].text);
    put_within(w, a->args[1], power ? right < BIND_NEG : right <= own);
}

static void put_joined(struct writer *w, const struct ast *a)
{
    const char *word = a->op == COHORTIUM__AST_OP__AST_AND ? " and " : " or ";

    for (size_t i = 0; i < a->n; i++) {
        if (i > 0)
            buffer_text(&w->out, word);
        put_within(w, a->args[i], binding_of(a->args[i]) <= binding_of(a));
    }
}

static void put_negation(struct writer *w, const struct ast *a)
{
    const struct ast *arg = a->args[0];

    if (a->op == COHORTIUM__AST_OP__AST_NEG) {
        /* -(3) is a sign before a number, -3 is a number: they read back as they were. */
        buffer_text(&w->out, "-");
        put_within(w, arg,
                   binding_of(arg) < BIND_NEG || arg->op == COHORTIUM__AST_OP__AST_NUMBER);
    } else if (arg->op == COHORTIUM__AST_OP__AST_IS_MISSING) {
        buffer_text(&w->out, "is not missing(");
        put(w, arg->args[0]);
        buffer_text(&w->out, ")");
    } else {
        buffer_text(&w->out, "not ");
        put_within(w, arg, true);
    }
}

static void put_call(struct writer *w, const char *name, const struct ast *a)
{
    buffer_text(&w->out, name);
    put_within(w, a->args[0], true);
}

static void put_list(struct writer *w, const struct ast *a)
{
    put_within(w, a->args[0], binding_of(a->args[0]) <= BIND_COMPARE);
    buffer_text(&w->out, " in (");
    for (size_t i = 1; i < a->n; i++) {
        if (i > 1)
            buffer_text(&w->out, ", ");
        put(w, a->args[i]);
    }
    buffer_text(&w->out, ")");
}

static void put_between(struct writer *w, const struct ast *a)
{
    for (size_t i = 0; i < 3; i++) {
        if (i > 0)
            buffer_text(&w->out, i == 1 ? " between " : " and ");
        put_within(w, a->args[i], binding_of(a->args[i]) <= BIND_COMPARE);
    }
}

static void put_level(struct writer *w, const struct ast *a)
{
    char date[32];

    if (a->type == AST_TYPE_DATE)
        put_quoted(&w->out, clock_date((int32_t)a->number, date, sizeof date));
    else
        put_quoted(&w->out,
                   codebook_variable(w->cb, a->variable)->levels[(size_t)a->number]);
}

static void put(struct writer *w, const struct ast *a)
{
    switch (a->op) {
    case COHORTIUM__AST_OP__AST_VARIABLE:
        buffer_text(&w->out, codebook_variable(w->cb, a->variable)->name);
        break;
    case COHORTIUM__AST_OP__AST_NUMBER:
        put_number(&w->out, a->number);
        break;
    case COHORTIUM__AST_OP__AST_LEVEL:
        put_level(w, a);
        break;
    case COHORTIUM__AST_OP__AST_TRUE:
        buffer_text(&w->out, "true");
        break;
    case COHORTIUM__AST_OP__AST_FALSE:
        buffer_text(&w->out, "false");
        break;
    case COHORTIUM__AST_OP__AST_AND:
    case COHORTIUM__AST_OP__AST_OR:
        put_joined(w, a);
        break;
    case COHORTIUM__AST_OP__AST_NOT:
    case COHORTIUM__AST_OP__AST_NEG:
        put_negation(w, a);
        break;
    case COHORTIUM__AST_OP__AST_IN:
        put_list(w, a);
        break;
    case COHORTIUM__AST_OP__AST_BETWEEN:
        put_between(w, a);
        break;
    case COHORTIUM__AST_OP__AST_IS_MISSING:
        put_call(w, "is missing", a);
        break;
    case COHORTIUM__AST_OP__AST_LOG:
        put_call(w, "log", a);
        break;
    case COHORTIUM__AST_OP__AST_SQRT:
        put_call(w, "sqrt", a);
        break;
    case COHORTIUM__AST_OP__AST_EXP:
        put_call(w, "exp", a);
        break;
    default:
        put_binary(w, a);
        break;
    }
}

const char *ast_text(struct cx *cx, const struct codebook *cb, const struct ast *ast)
{
    struct writer w = {cb, buffer_new(cx, TEXT_BYTES_MAX)};
    const char *text;

    if (ast == NULL)
        return "everybody";
    put(&w, ast);
    text = buffer_string(&w.out);
    return text != NULL ? text : "(an expression too long to show)";
}

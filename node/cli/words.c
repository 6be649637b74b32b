/*
 * words.c - a signed question as the command line that asks it.
 *
 * analyses/ast_text.c writes the same language from a tree that was checked against a
 * codebook; a receipt carries none, so here the postfix form itself is read.
 */
#include "node/cli/words.h"

#include <string.h>

#include "node/data/decimal.h"

enum { WORDS_NODES_MAX = 1024, WORDS_BYTES_MAX = 256 * 1024 };

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

/* ---- one operator ---- */

static void put_phrase(struct buffer *out, const struct phrase *p, bool parentheses)
{
    buffer_printf(out, parentheses ? "(%s)" : "%s", p->text);
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
    char number[32];

    switch (node->op) {
    case COHORTIUM__AST_OP__AST_VARIABLE:
        buffer_text(out, node->variable);
        return BIND_ATOM;
    case COHORTIUM__AST_OP__AST_NUMBER:
        buffer_text(out, decimal_write(node->number, number));
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
        return node->arity >= 2 && node->arity <= WORDS_NODES_MAX ? (int)node->arity : -1;
    default:
        return (size_t)node->op < COUNT(operators) && operators[node->op].text != NULL ? 2
                                                                                       : -1;
    }
}

/* False: it is no expression, or one too long to show. */
static bool read_ast(struct cx *cx, const Cohortium__Ast *ast, struct phrase *ret)
{
    struct phrase *stack = cx_array(cx, WORDS_NODES_MAX, sizeof *stack);
    size_t n = 0;

    if (stack == NULL || ast->n_nodes > WORDS_NODES_MAX)
        return false;
    for (size_t i = 0; i < ast->n_nodes; i++) {
        struct buffer out = buffer_new(cx, WORDS_BYTES_MAX);
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
    return read_ast(cx, ast, &p) ? p.text : "(an expression that cannot be shown)";
}

/* ---- models ---- */

static bool is_arithmetic(Cohortium__AstOp op)
{
    return (op >= COHORTIUM__AST_OP__AST_ADD && op <= COHORTIUM__AST_OP__AST_NEG) ||
           op == COHORTIUM__AST_OP__AST_NUMBER ||
           (op >= COHORTIUM__AST_OP__AST_AND && op <= COHORTIUM__AST_OP__AST_BETWEEN);
}

static void put_factor(struct buffer *out, const Cohortium__Factor *f)
{
    struct phrase p;

    if (f->value == NULL || !read_ast(out->cx, f->value, &p))
        buffer_text(out, "(a term that cannot be shown)");
    else
        buffer_printf(out,
                      f->as_factor          ? "factor(%s)"
                      : is_arithmetic(p.op) ? "I(%s)"
                                            : "%s",
                      p.text);
}

static const char *formula_words(struct cx *cx, const Cohortium__Model *m)
{
    struct buffer out = buffer_new(cx, WORDS_BYTES_MAX);

    buffer_printf(&out, "%s ~ ", m->response != NULL ? ast_words(cx, m->response) : "");
    for (size_t i = 0; i < m->n_terms; i++) {
        buffer_text(&out, i > 0 ? " + " : "");
        for (size_t k = 0; k < m->terms[i]->n_factors; k++) {
            buffer_text(&out, k > 0 ? ":" : "");
            put_factor(&out, m->terms[i]->factors[k]);
        }
    }
    buffer_text(&out, m->n_terms == 0 ? "1" : "");
    if (m->offset != NULL)
        buffer_printf(&out, " + offset(%s)", ast_words(cx, m->offset));
    buffer_text(&out, m->no_intercept ? " - 1" : "");
    return buffer_string(&out);
}

/* ---- the command line ---- */

static void put_word(struct buffer *out, const char *text)
{
    if (text[0] != '\0' &&
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789_-.,") == strlen(text)) {
        buffer_printf(out, " %s", text);
        return;
    }
    buffer_text(out, " '");
    for (; *text != '\0'; text++)
        if (*text == '\'')
            buffer_text(out, "'\\''");
        else
            buffer_put(out, text, 1);
    buffer_text(out, "'");
}

static void put_option(struct buffer *out, const char *name, const char *value)
{
    buffer_text(out, " --");
    for (; *name != '\0'; name++)
        buffer_put(out, *name == '_' ? "-" : name, 1);
    if (value != NULL)
        put_word(out, value);
}

/* One field of a message that this file does not know by name: an analysis added later is
 * told in the same words as its fields. */
static void put_field(struct buffer *out, const void *message,
                      const ProtobufCFieldDescriptor *f)
{
    const char *at = (const char *)message + f->offset;
    bool list = f->label == PROTOBUF_C_LABEL_REPEATED;
    size_t n = 1;
    char number[32];

    if (list)
        memcpy(&n, (const char *)message + f->quantifier_offset, sizeof n);
    if (list)
        at = *(const char *const *)(const void *)at;
    for (size_t i = 0; i < n && i < WORDS_NODES_MAX; i++) {
        const void *p = at;

        switch (f->type) {
        case PROTOBUF_C_TYPE_STRING:
            p = ((const char *const *)p)[i];
            if (list || ((const char *)p)[0] != '\0')
                put_option(out, f->name, p);
            break;
        case PROTOBUF_C_TYPE_DOUBLE:
            if (list || ((const double *)p)[i] != 0)
                put_option(out, f->name, decimal_write(((const double *)p)[i], number));
            break;
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_ENUM:
            if (list || ((const uint32_t *)p)[i] != 0)
                put_option(out, f->name,
                           decimal_write((double)((const uint32_t *)p)[i], number));
            break;
        case PROTOBUF_C_TYPE_UINT64:
            if (list || ((const uint64_t *)p)[i] != 0)
                put_option(out, f->name,
                           decimal_write((double)((const uint64_t *)p)[i], number));
            break;
        case PROTOBUF_C_TYPE_BOOL:
            if (((const protobuf_c_boolean *)p)[i])
                put_option(out, f->name, NULL);
            break;
        case PROTOBUF_C_TYPE_MESSAGE:
            p = ((const void *const *)p)[i];
            if (p != NULL && f->descriptor == &cohortium__ast__descriptor)
                put_option(out, f->name, ast_words(out->cx, p));
            else if (p != NULL)
                put_option(out, f->name, "(...)");
            break;
        default:
            put_option(out, f->name, "(...)");
        }
    }
}

static void put_fields(struct buffer *out, const ProtobufCMessage *message,
                       const char *const *known)
{
    const ProtobufCMessageDescriptor *d = message->descriptor;

    for (unsigned i = 0; i < d->n_fields; i++) {
        size_t k = 0;

        while (known[k] != NULL && strcmp(known[k], d->fields[i].name) != 0)
            k++;
        if (known[k] == NULL)
            put_field(out, message, &d->fields[i]);
    }
}

static void put_params(struct buffer *out, const char *analysis, const Cohortium__Params *p)
{
    static const char *const known[] = {"variables", "model", NULL};
    static const char *const known_model[] = {"response", "terms",   "no_intercept",
                                              "offset",   "formula", NULL};

    if (strcmp(analysis, "table") == 0 && p->n_variables == 2) {
        const char *both = cx_printf(out->cx, "%s * %s", p->variables[0], p->variables[1]);

        put_word(out, both == NULL ? "" : both);
    } else {
        for (size_t i = 0; i < p->n_variables; i++)
            put_word(out, p->variables[i]);
    }
    if (p->model != NULL) {
        const char *formula = formula_words(out->cx, p->model);

        put_word(out, formula == NULL ? "(a formula that cannot be shown)" : formula);
        put_fields(out, &p->model->base, known_model);
    }
    put_fields(out, &p->base, known);
}

const char *question_words(struct cx *cx, const Cohortium__Question *q)
{
    struct buffer out = buffer_new(cx, WORDS_BYTES_MAX);

    buffer_printf(&out, "%s %s", q->analysis, q->dataset);
    if (q->params != NULL)
        put_params(&out, q->analysis, q->params);
    if (q->cohort != NULL)
        put_option(&out, "where", ast_words(cx, q->cohort));
    if (q->by_site)
        put_option(&out, "by-site", NULL);
    const char *text = buffer_string(&out);
    return text != NULL ? text : "(a question too long to show)";
}

/* question_words.c - a signed question as the command line that asks it. */
#include "analyses/question_words.h"

#include <stdio.h>
#include <string.h>

#include "analyses/ast.h"

enum { WORDS_BYTES_MAX = 256 * 1024, LIST_MAX = 1024 };

/* ---- models ---- */

static bool is_arithmetic(Cohortium__AstOp op)
{
    return (op >= COHORTIUM__AST_OP__AST_ADD && op <= COHORTIUM__AST_OP__AST_NEG) ||
           op == COHORTIUM__AST_OP__AST_NUMBER ||
           (op >= COHORTIUM__AST_OP__AST_AND && op <= COHORTIUM__AST_OP__AST_BETWEEN);
}

static void put_factor(struct buffer *out, const Cohortium__Factor *f)
{
    const Cohortium__Ast *a = f->value;

    if (a == NULL || a->n_nodes == 0)
        buffer_text(out, "(a term that cannot be shown)");
    else /* postfix: the operator of the whole comes last */
        buffer_printf(out,
                      f->as_factor                                  ? "factor(%s)"
                      : is_arithmetic(a->nodes[a->n_nodes - 1]->op) ? "I(%s)"
                                                                    : "%s",
                      ast_words(out->cx, a));
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

    if (list)
        memcpy(&n, (const char *)message + f->quantifier_offset, sizeof n);
    if (list)
        at = *(const char *const *)(const void *)at;
    for (size_t i = 0; i < n && i < LIST_MAX; i++) {
        const void *p = at;

        switch (f->type) {
        case PROTOBUF_C_TYPE_STRING:
            p = ((const char *const *)p)[i];
            if (list || ((const char *)p)[0] != '\0')
                put_option(out, f->name, p);
            break;
        case PROTOBUF_C_TYPE_DOUBLE:
            if (list || ((const double *)p)[i] != 0)
                put_option(out, f->name, number_words(out->cx, ((const double *)p)[i]));
            break;
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_ENUM:
            if (list || ((const uint32_t *)p)[i] != 0)
                put_option(out, f->name, number_words(out->cx, ((const uint32_t *)p)[i]));
            break;
        case PROTOBUF_C_TYPE_UINT64:
            if (list || ((const uint64_t *)p)[i] != 0)
                put_option(out, f->name,
                           number_words(out->cx, (double)((const uint64_t *)p)[i]));
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

    if (strcmp(analysis, "table") == 0 && p->n_variables > 1) {
        const char *all = p->variables[0];

        for (size_t i = 1; i < p->n_variables && all != NULL; i++)
            all = cx_printf(out->cx, "%s * %s", all, p->variables[i]);
        put_word(out, all == NULL ? "" : all);
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

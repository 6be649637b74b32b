/*
 * expression.h - words and expressions of the cohort and formula languages, read from text.
 *
 * Inside the languages only. A parser looks one word ahead: `token` is the next one.
 */
#pragma once

#include "analyses/ast_build.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_TEXT, TOKEN_SYMBOL };

struct token {
    enum token_kind kind;
    size_t at, n;     /* place in the text */
    const char *text; /* WORD and TEXT, quotes taken off */
    double number;
    char symbol[3]; /* SYMBOL: "<=", "(", ... */
};

struct parser {
    struct cx *cx;
    const struct codebook *cb;
    const char *where; /* begins each message: "--where", "formula" */
    const char *text;
    size_t n; /* its length */
    struct token token;
    unsigned depth;
    size_t nodes;
    bool formula; /* I(...) is a pair of parentheses; R's other words get R's hints */
};

/* Checks size and characters and reads the first word. */
CHECKED enum fault parser_start(struct parser *p, struct cx *cx, const struct codebook *cb,
                                const char *where, const char *text, size_t text_max);
CHECKED enum fault parser_next(struct parser *p);
bool parser_is(const struct parser *p, const char *symbol_or_word);
/* Takes the symbol or fails: "expected `)` to close ...". */
CHECKED enum fault parser_take(struct parser *p, const char *symbol, const char *why);
/* FAULT_INVALID at a place in the text (at the end of it, for at >= n). */
enum fault parser_fail(struct parser *p, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Nesting in the text: parentheses, signs, not. */
CHECKED enum fault parser_enter(struct parser *p);
void parser_leave(struct parser *p);

/* The whole language, and arithmetic alone (stops at whatever does not continue it). */
CHECKED enum fault expression_condition(struct parser *p, struct operand *ret);
CHECKED enum fault expression_number(struct parser *p, struct operand *ret);
/* One comparison or arithmetic: what I(...) of a formula holds. */
CHECKED enum fault expression_comparison(struct parser *p, struct operand *ret);
/* The variable whose name is the next word. */
CHECKED enum fault expression_variable(struct parser *p, struct operand *ret);
/* Is the finished expression what is wanted here? */
CHECKED enum fault expression_wanted(struct parser *p, const struct operand *o,
                                     enum ast_type want);

/* expression_words.c - the words of the languages, and where something is wrong. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyses/expression.h"

static const char *const symbols[] = {"==", "!=", "<=", ">=", "<", ">", "+", "-", "*",
                                      "/",  "^",  "(",  ")",  ",", "~", ":", "[", "]"};

/* Other languages' ways, and ours. */
static const struct {
    const char *theirs, *ours;
} habits[] = {
    {"&&", "and"},          {"&", "and"},           {"||", "or"}, {"|", "or"},
    {"!", "not"},           {"<>", "!="},           {"=", "=="},  {"\xe2\x89\xa5", ">="},
    {"\xe2\x89\xa4", "<="}, {"\xe2\x89\xa0", "!="}, {"**", "^"},  {"%in%", "in (...)"},
    {"\xe2\x80\x9c", "\""}, {"\xe2\x80\x9d", "\""},
};

static bool starts_with(const struct parser *p, size_t at, const char *what)
{
    size_t n = strlen(what);

    return p->n - at >= n && memcmp(p->text + at, what, n) == 0;
}

static bool is_letter(char c)
{
    return isalpha((unsigned char)c) || c == '_';
}

static bool is_wordly(char c)
{
    return is_letter(c) || isdigit((unsigned char)c);
}

static size_t number_length(const char *s)
{
    size_t n = 0, digits = 0, mark;

    for (; isdigit((unsigned char)s[n]); n++)
        digits++;
    if (s[n] == '.')
        for (n++; isdigit((unsigned char)s[n]); n++)
            digits++;
    if (digits == 0)
        return 0;
    mark = n;
    if (s[n] == 'e' || s[n] == 'E') {
        n++;
        if (s[n] == '+' || s[n] == '-')
            n++;
        if (!isdigit((unsigned char)s[n]))
            return mark;
        while (isdigit((unsigned char)s[n]))
            n++;
    }
    return n;
}

/* How much of the text at a place is one word, for messages. */
static size_t span_at(const struct parser *p, size_t at)
{
    size_t n = number_length(p->text + at);

    if (n > 0 || p->text[at] == '\0')
        return n;
    while (is_wordly(p->text[at + n]))
        n++;
    if (n > 0)
        return n;
    for (size_t i = 0; i < COUNT(habits); i++)
        if (starts_with(p, at, habits[i].theirs))
            return strlen(habits[i].theirs);
    if (p->text[at] == '"' || p->text[at] == '\'') {
        for (n = 1; p->text[at + n] != '\0' && p->text[at + n] != p->text[at];)
            n++;
        return n + (p->text[at + n] != '\0');
    }
    for (size_t i = 0; i < COUNT(symbols); i++)
        if (starts_with(p, at, symbols[i]))
            return strlen(symbols[i]);
    for (n = 1; (p->text[at + n] & 0xc0) == 0x80;)
        n++;
    return n;
}

/* Columns count characters, not bytes. */
static size_t column_of(const struct parser *p, size_t at)
{
    size_t column = 1;

    for (size_t i = 0; i < at; i++)
        column += (p->text[i] & 0xc0) != 0x80;
    return column;
}

enum fault parser_fail(struct parser *p, size_t at, const char *format, ...)
{
    char said[1024];
    va_list args;
    size_t n;

    va_start(args, format);
    (void)vsnprintf(said, sizeof said, format, args);
    va_end(args);
    if (at >= p->n)
        return cx_fail(p->cx, FAULT_INVALID, "%s: at the end (column %zu): %s", p->where,
                       column_of(p, p->n), said);
    n = span_at(p, at);
    if (n > 60) {
        n = 60;
        while ((p->text[at + n] & 0xc0) == 0x80)
            n--;
    }
    return cx_fail(p->cx, FAULT_INVALID, "%s: at `%.*s` (column %zu): %s", p->where, (int)n,
                   p->text + at, column_of(p, at), said);
}

static enum fault read_number(struct parser *p, size_t at, size_t n)
{
    char *copy = cx_memdup(p->cx, p->text + at, n + 1);

    if (copy == NULL)
        return FAULT_MEMORY;
    copy[n] = '\0';
    p->token.kind = TOKEN_NUMBER;
    p->token.number = strtod(copy, NULL);
    if (!isfinite(p->token.number))
        return parser_fail(p, at, "this number is too large");
    if (is_wordly(p->text[at + n]))
        return parser_fail(
            p, at,
            "something is written right behind the number; units are those of "
            "the codebook and are not written");
    return FAULT_NONE;
}

static enum fault read_text(struct parser *p, size_t at)
{
    char quote = p->text[at], *copy;
    size_t end = at + 1, n = 0;

    while (end < p->n && p->text[end] != quote)
        end += p->text[end] == '\\' ? 2 : 1;
    if (end >= p->n)
        return parser_fail(
            p, at, "this quote is never closed; expected %c at the end of the text", quote);
    copy = cx_alloc(p->cx, end - at);
    if (copy == NULL)
        return FAULT_MEMORY;
    for (size_t i = at + 1; i < end; i++) {
        if (p->text[i] == '\\')
            i++;
        copy[n++] = p->text[i];
    }
    p->token.kind = TOKEN_TEXT;
    p->token.text = copy;
    p->token.n = end + 1 - at;
    return FAULT_NONE;
}

static enum fault read_word(struct parser *p, size_t at)
{
    size_t n = 0;
    char *copy;

    while (is_wordly(p->text[at + n]))
        n++;
    copy = cx_memdup(p->cx, p->text + at, n + 1);
    if (copy == NULL)
        return FAULT_MEMORY;
    copy[n] = '\0';
    p->token.kind = TOKEN_WORD;
    p->token.text = copy;
    p->token.n = n;
    return FAULT_NONE;
}

static enum fault read_symbol(struct parser *p, size_t at)
{
    for (size_t i = 0; i < COUNT(habits); i++)
        if (starts_with(p, at, habits[i].theirs) && !starts_with(p, at, "=="))
            if (!(habits[i].theirs[0] == '!' && starts_with(p, at, "!=")))
                return parser_fail(p, at, "this is written %s here", habits[i].ours);
    for (size_t i = 0; i < COUNT(symbols); i++)
        if (starts_with(p, at, symbols[i])) {
            p->token.kind = TOKEN_SYMBOL;
            p->token.n = strlen(symbols[i]);
            memcpy(p->token.symbol, symbols[i], p->token.n + 1);
            return FAULT_NONE;
        }
    if (p->text[at] == '.' && p->formula)
        return parser_fail(p, at, "`.` is not offered; write the variables out");
    return parser_fail(p, at, "this character has no meaning here");
}

enum fault parser_next(struct parser *p)
{
    size_t at = p->token.at + p->token.n, n;

    while (at < p->n && (p->text[at] == ' ' || p->text[at] == '\t' || p->text[at] == '\n'))
        at++;
    p->token = (struct token){.kind = TOKEN_END, .at = at};
    if (at >= p->n)
        return FAULT_NONE;
    n = number_length(p->text + at);
    p->token.n = n;
    if (n > 0)
        return read_number(p, at, n);
    if (p->text[at] == '"' || p->text[at] == '\'')
        return read_text(p, at);
    if (is_letter(p->text[at]))
        return read_word(p, at);
    return read_symbol(p, at);
}

enum fault parser_start(struct parser *p, struct cx *cx, const struct codebook *cb,
                        const char *where, const char *text, size_t text_max)
{
    *p = (struct parser){
        .cx = cx, .cb = cb, .where = where, .text = text, .n = strlen(text)};
    if (p->n > text_max)
        return cx_fail(cx, FAULT_INVALID, "%s: %zu bytes; at most %zu are read", where,
                       p->n, text_max);
    if (!utf8_is_clean(text, p->n))
        return cx_fail(cx, FAULT_INVALID,
                       "%s: expected UTF-8 text without control characters", where);
    return parser_next(p);
}

bool parser_is(const struct parser *p, const char *what)
{
    if (p->token.kind == TOKEN_SYMBOL)
        return strcmp(p->token.symbol, what) == 0;
    return p->token.kind == TOKEN_WORD && strcmp(p->token.text, what) == 0;
}

enum fault parser_take(struct parser *p, const char *symbol, const char *why)
{
    if (!parser_is(p, symbol))
        return parser_fail(p, p->token.at, "expected `%s` %s", symbol, why);
    return parser_next(p);
}

enum fault parser_enter(struct parser *p)
{
    if (++p->depth > AST_DEPTH_MAX)
        return parser_fail(p, p->token.at, "nested deeper than the allowed %d levels",
                           AST_DEPTH_MAX);
    return FAULT_NONE;
}

void parser_leave(struct parser *p)
{
    p->depth--;
}

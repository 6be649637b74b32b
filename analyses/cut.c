/* cut.c - see cut.h. */
#include "analyses/cut.h"

#include <math.h>
#include <string.h>

struct cut {
    struct operand x; /* the variable that is cut */
    const Cohortium__Variable *v;
    size_t at; /* in the text */
    size_t n;
    double *points;
};

bool cut_is_next(const struct parser *p)
{
    size_t at = p->token.at + p->token.n;

    if (p->token.kind != TOKEN_WORD || strcmp(p->token.text, "cut") != 0)
        return false;
    while (p->text[at] == ' ')
        at++;
    return p->text[at] == '(';
}

/* ---- read ---- */

static struct operand literal_of(struct parser *p, const struct cut *c, double x)
{
    struct operand o = {.depth = 1, .column = c->at};

    o.ast = c->v->type == COHORTIUM__VAR_TYPE__DATE
                ? ast_level(p->cx, p->cb, c->x.ast->variable, x)
                : ast_number(p->cx, x);
    return o;
}

static enum fault compare(struct parser *p, Cohortium__AstOp op, const struct operand *a,
                          const struct operand *b, size_t at, struct operand *ret)
{
    struct operand both[2] = {*a, *b};
    struct build_error error;

    *ret = (struct operand){.depth = 2, .column = at};
    p->nodes += 3;
    if (p->nodes > AST_NODES_MAX)
        return parser_fail(p, at, "more than the allowed %d parts", AST_NODES_MAX);
    TRY(ast_build(p->cx, p->cb, op, both, 2, &ret->ast, &error));
    return ret->ast != NULL ? FAULT_NONE : parser_fail(p, at, "%s", error.text);
}

/* One point, with the type of the variable: a date is a text. */
static enum fault read_point(struct parser *p, struct cut *c)
{
    struct operand point = {0}, made;
    size_t at = p->token.at;

    if (p->token.kind == TOKEN_TEXT) {
        point = (struct operand){.text = p->token.text, .depth = 1, .column = at};
        TRY(parser_next(p));
    } else {
        TRY(expression_number(p, &point));
    }
    TRY(compare(p, COHORTIUM__AST_OP__AST_GE, &c->x, &point, at, &made));
    if (!ast_is_literal(made.ast->args[1]))
        return parser_fail(p, at, "expected a cut point: a number, or a date in quotes");
    c->points[c->n++] = made.ast->args[1]->number;
    return FAULT_NONE;
}

/* [50, 60], or c(50, 60) as in R. */
static enum fault read_points(struct parser *p, struct cut *c)
{
    bool as_in_r = parser_is(p, "c");

    CX_NEW(p->cx, c->points, CODEBOOK_GRID_MAX);
    if (as_in_r)
        TRY(parser_next(p));
    TRY(parser_take(p, as_in_r ? "(" : "[", "before the cut points: cut(age, [50, 60])"));
    for (;;) {
        if (c->n == CODEBOOK_GRID_MAX)
            return parser_fail(p, p->token.at, "more than %d cut points",
                               CODEBOOK_GRID_MAX);
        TRY(read_point(p, c));
        if (!parser_is(p, ","))
            break;
        TRY(parser_next(p));
    }
    return parser_take(p, as_in_r ? ")" : "]", "or `,` in the cut points");
}

static enum fault take_grid(struct parser *p, struct cut *c)
{
    CX_NEW(p->cx, c->points, CODEBOOK_GRID_MAX);
    for (size_t i = 0; i < c->v->n_grid; i++)
        if (c->v->grid[i] > c->v->lower)
            c->points[c->n++] = c->v->grid[i];
    return c->n > 0
               ? FAULT_NONE
               : parser_fail(p, c->at,
                             "`%s` has no grid in the codebook; name cut points, as in "
                             "cut(%s, [a, b])",
                             c->v->name, c->v->name);
}

static const char *points_text(struct parser *p, const struct cut *c, const double *points,
                               size_t n)
{
    struct buffer b = buffer_new(p->cx, 64 * 1024);

    for (size_t i = 0; i < n; i++) {
        struct operand o = literal_of(p, c, points[i]);

        buffer_printf(&b, "%s%s", i > 0 ? ", " : "",
                      o.ast != NULL ? ast_text(p->cx, p->cb, o.ast) : "?");
    }
    const char *text = buffer_string(&b);
    return text != NULL ? text : "";
}

static bool is_on_grid(const Cohortium__Variable *v, double x)
{
    for (size_t i = 0; i < v->n_grid; i++)
        if (v->grid[i] == x)
            return true;
    return v->n_grid == 0 && !variable_is_quasi(v);
}

static enum fault check_points(struct parser *p, const struct cut *c)
{
    for (size_t i = 0; i < c->n; i++) {
        double x = c->points[i];

        if (x <= c->v->lower || x > c->v->upper || (i > 0 && x <= c->points[i - 1]))
            return parser_fail(p, c->at,
                               "cut points ascend within the bounds of `%s`, the lower one "
                               "left out",
                               c->v->name);
        if (!is_on_grid(c->v, x))
            return parser_fail(p, c->at,
                               "cut point %s is not on the codebook's grid of `%s`%s%s",
                               points_text(p, c, &x, 1), c->v->name,
                               c->v->n_grid > 0 ? ": " : ", which has none",
                               points_text(p, c, c->v->grid, c->v->n_grid));
    }
    return FAULT_NONE;
}

/* From the word `cut` to its closing parenthesis. */
static enum fault cut_read(struct parser *p, struct cut *c)
{
    *c = (struct cut){.at = p->token.at};
    TRY(parser_next(p));
    TRY(parser_take(p, "(", "behind cut"));
    if (cut_is_next(p)) /* nor may a text nest deeply */
        return parser_fail(p, p->token.at, "expected the name of a variable inside cut()");
    TRY(expression_variable(p, &c->x));
    c->v = codebook_variable(p->cb, c->x.ast->variable);
    if (c->v->type != COHORTIUM__VAR_TYPE__INTEGER &&
        c->v->type != COHORTIUM__VAR_TYPE__REAL && c->v->type != COHORTIUM__VAR_TYPE__DATE)
        return parser_fail(p, c->x.column, "`%s` is no number or date and cannot be cut",
                           c->v->name);
    if (parser_is(p, ",")) {
        TRY(parser_next(p));
        TRY(read_points(p, c));
    } else {
        TRY(take_grid(p, c));
    }
    TRY(parser_take(p, ")", "to close cut("));
    return check_points(p, c);
}

/* ---- as a variable of the codebook ---- */

static bool is_this(const Cohortium__Variable *v, const struct cut *c)
{
    if (strcmp(v->from, c->v->name) != 0 || v->n_cut != c->n)
        return false;
    for (size_t i = 0; i < c->n; i++)
        if (v->cut[i] != c->points[i])
            return false;
    return true;
}

/* Which cuts of it there are. */
static const char *known_cuts(struct parser *p, const struct cut *c)
{
    struct buffer b = buffer_new(p->cx, 64 * 1024);

    for (size_t i = 0; i < p->cb->body->n_variables; i++) {
        const Cohortium__Variable *v = codebook_variable(p->cb, (int)i);

        if (v->n_cut > 0 && strcmp(v->from, c->v->name) == 0)
            buffer_printf(&b, "%s`%s` (%s)", b.n > 0 ? ", " : "; it has ", v->name,
                          points_text(p, c, v->cut, v->n_cut));
    }
    const char *text = buffer_string(&b);
    return text != NULL ? text : "";
}

enum fault cut_variable(struct parser *p, struct operand *ret)
{
    struct cut c;

    TRY(cut_read(p, &c));
    for (size_t i = 0; i < p->cb->body->n_variables; i++) {
        struct ast *a;

        if (!is_this(codebook_variable(p->cb, (int)i), &c))
            continue;
        a = ast_variable(p->cx, p->cb, (int)i);
        *ret = (struct operand){.ast = a, .depth = 1, .column = c.at};
        return a != NULL ? FAULT_NONE : FAULT_MEMORY;
    }
    return parser_fail(
        p, c.at,
        "the codebook derives no variable from `%s` cut at %s%s; its keepers "
        "can add one, and a cohort (--where) takes any points of the grid",
        c.v->name, points_text(p, &c, c.points, c.n), known_cuts(p, &c));
}

/* ---- as a condition ---- */

static enum fault interval(struct parser *p, const struct cut *c, size_t i,
                           struct operand *ret)
{
    struct operand low = {0}, high = {0}, point;

    if (i > 0) {
        point = literal_of(p, c, c->points[i - 1]);
        TRY(compare(p, COHORTIUM__AST_OP__AST_GE, &c->x, &point, c->at, &low));
    }
    if (i < c->n) {
        point = literal_of(p, c, c->points[i]);
        TRY(compare(p, COHORTIUM__AST_OP__AST_LT, &c->x, &point, c->at, &high));
    }
    if (low.ast == NULL || high.ast == NULL) {
        *ret = low.ast != NULL ? low : high;
        return FAULT_NONE;
    }
    TRY(compare(p, COHORTIUM__AST_OP__AST_AND, &low, &high, c->at, ret));
    ret->depth = 3;
    return FAULT_NONE;
}

/* The level that the next text names. */
static enum fault take_level(struct parser *p, char *const *names, size_t n, bool *chosen)
{
    struct buffer list = buffer_new(p->cx, 64 * 1024);

    if (p->token.kind != TOKEN_TEXT)
        return parser_fail(p, p->token.at, "expected an interval in quotes, such as \"%s\"",
                           names[n > 1 ? 1 : 0]);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], p->token.text) == 0) {
            chosen[i] = true;
            return parser_next(p);
        }
        buffer_printf(&list, "%s\"%s\"", i > 0 ? ", " : "", names[i]);
    }
    const char *all = buffer_string(&list);
    return parser_fail(p, p->token.at, "no interval \"%.60s\"; there are: %s",
                       p->token.text, all != NULL ? all : "");
}

static enum fault take_levels(struct parser *p, char *const *names, size_t n, bool *chosen)
{
    TRY(parser_take(p, "in", "here"));
    TRY(parser_take(p, "(", "before the list of intervals"));
    for (;;) {
        TRY(take_level(p, names, n, chosen));
        if (!parser_is(p, ","))
            break;
        TRY(parser_next(p));
    }
    return parser_take(p, ")", "or `,` in the list");
}

/* What stands behind it: ==, !=, in, not in. */
static enum fault take_intervals(struct parser *p, const struct cut *c, bool *chosen,
                                 bool *ret_not)
{
    char **names;

    TRY(cut_names(p->cx, c->v, c->points, c->n, &names));
    *ret_not = parser_is(p, "!=") || parser_is(p, "not");
    if (parser_is(p, "==") || parser_is(p, "!=")) {
        TRY(parser_next(p));
        return take_level(p, names, c->n + 1, chosen);
    }
    if (parser_is(p, "not"))
        TRY(parser_next(p));
    if (!parser_is(p, "in"))
        return parser_fail(p, p->token.at,
                           "expected ==, != or in behind cut(), as in: cut(%s) == \"%s\"",
                           c->v->name, names[0]);
    return take_levels(p, names, c->n + 1, chosen);
}

static enum fault negate(struct parser *p, const struct cut *c, struct operand *ret)
{
    struct ast *made = ast_not(p->cx, ret->ast);

    if (made == NULL)
        return FAULT_MEMORY;
    p->nodes++;
    *ret = (struct operand){.ast = made, .depth = ret->depth + 1, .column = c->at};
    return FAULT_NONE;
}

enum fault cut_condition(struct parser *p, struct operand *ret)
{
    enum { DEPTH = 4 }; /* or, and, comparison, leaf */
    struct operand part;
    struct ast **parts;
    bool *chosen, not ;
    struct cut c;
    size_t n = 0;

    TRY(cut_read(p, &c));
    CX_NEW(p->cx, chosen, c.n + 1);
    CX_NEW(p->cx, parts, c.n + 1);
    TRY(take_intervals(p, &c, chosen, &not ));
    for (size_t i = 0; i <= c.n; i++)
        if (chosen[i]) {
            TRY(interval(p, &c, i, &part));
            parts[n++] = part.ast;
        }
    *ret = (struct operand){.ast = ast_join(p->cx, COHORTIUM__AST_OP__AST_OR, parts, n),
                            .depth = DEPTH,
                            .column = c.at};
    if (ret->ast == NULL)
        return FAULT_MEMORY;
    return not ? negate(p, &c, ret) : FAULT_NONE;
}

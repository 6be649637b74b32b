/*
 * formula.c - R's formulas: expanded, ordered and named as R does it.
 *
 * A term is a set of bits, one for each factor in order of first appearance (R's TermCode).
 * What R does with them: + unites, : joins each with each, * does both, ^n joins n times, -
 * takes away; at the end terms are sorted by their number of factors, and stay else as they
 * came.
 */
#include "analyses/formula.h"

#include <string.h>

#include "analyses/cut.h"

enum {
    FACTORS_IN_ALL_MAX = 256,
    WORDS = FACTORS_IN_ALL_MAX / 64,
    TERMS_WORK_MAX = 4096, /* while expanding */
    CROSS_MAX = 65536,
    POWER_MAX = FORMULA_FACTORS_MAX
};

struct term {
    uint64_t bits[WORDS];
};

struct terms {
    size_t n, size;
    struct term *list;
};

struct factor {
    struct ast *value;
    bool as_factor;
};

struct formula {
    struct parser p;
    size_t n_factors;
    struct factor factors[FACTORS_IN_ALL_MAX];
    bool no_intercept;
    bool taking; /* right of a minus: terms are taken away */
    struct ast *offset;
};

/* Known to R's users or to later analyses. */
static const char *const not_offered[] = {
    "Surv", "bs",   "cbind",   "cluster", "frailty", "lag",  "lspline",
    "ns",   "poly", "pspline", "rcs",     "ridge",   "s",    "strata",
    "te",   "tt",   "scale",   "relevel", "C",       "Error"};

static enum fault parse_sum(struct formula *f, struct terms *ret);

/* ---- terms ---- */

static size_t term_order(const struct term *t)
{
    size_t n = 0;

    for (size_t i = 0; i < WORDS; i++)
        n += (size_t)__builtin_popcountll(t->bits[i]);
    return n;
}

static bool term_equal(const struct term *a, const struct term *b)
{
    return memcmp(a->bits, b->bits, sizeof a->bits) == 0;
}

static bool terms_hold(const struct terms *all, const struct term *t)
{
    for (size_t i = 0; i < all->n; i++)
        if (term_equal(&all->list[i], t))
            return true;
    return false;
}

/* Adds a term unless it is there. */
static enum fault terms_add(struct formula *f, struct terms *all, const struct term *t)
{
    struct term *longer;

    if (terms_hold(all, t))
        return FAULT_NONE;
    if (all->n == TERMS_WORK_MAX)
        return parser_fail(&f->p, f->p.token.at,
                           "this makes too many terms; at most %d are "
                           "allowed",
                           FORMULA_TERMS_MAX);
    if (all->n == all->size) {
        all->size = all->size > 0 ? 2 * all->size : 8;
        CX_NEW(f->p.cx, longer, all->size);
        if (all->n > 0)
            memcpy(longer, all->list, all->n * sizeof *longer);
        all->list = longer;
    }
    all->list[all->n++] = *t;
    return FAULT_NONE;
}

static enum fault terms_unite(struct formula *f, struct terms *all,
                              const struct terms *more)
{
    for (size_t i = 0; i < more->n; i++)
        TRY(terms_add(f, all, &more->list[i]));
    return FAULT_NONE;
}

static void terms_remove(struct terms *all, const struct terms *gone)
{
    size_t n = 0;

    for (size_t i = 0; i < all->n; i++)
        if (!terms_hold(gone, &all->list[i]))
            all->list[n++] = all->list[i];
    all->n = n;
}

static enum fault terms_cross(struct formula *f, const struct terms *a,
                              const struct terms *b, struct terms *ret)
{
    struct terms made = {0};
    struct term t;

    if (a->n * b->n > CROSS_MAX)
        return parser_fail(&f->p, f->p.token.at,
                           "this makes too many terms; at most %d are allowed",
                           FORMULA_TERMS_MAX);
    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; k < b->n; k++) {
            for (size_t w = 0; w < WORDS; w++)
                t.bits[w] = a->list[i].bits[w] | b->list[k].bits[w];
            TRY(terms_add(f, &made, &t));
        }
    *ret = made;
    return FAULT_NONE;
}

/* ---- factors ---- */

static enum fault one_factor(struct formula *f, struct ast *value, bool as_factor,
                             size_t at, struct terms *ret)
{
    struct term t = {0};
    size_t i = 0;

    while (i < f->n_factors &&
           !(ast_equal(f->factors[i].value, value) && f->factors[i].as_factor == as_factor))
        i++;
    if (i == FACTORS_IN_ALL_MAX)
        return parser_fail(&f->p, at, "more than the allowed %d variables in one formula",
                           FACTORS_IN_ALL_MAX);
    if (i == f->n_factors)
        f->factors[f->n_factors++] = (struct factor){value, as_factor};
    t.bits[i / 64] |= UINT64_C(1) << (i % 64);
    *ret = (struct terms){0};
    return terms_add(f, ret, &t);
}

static bool names_a_variable(const struct ast *a)
{
    if (a->op == COHORTIUM__AST_OP__AST_VARIABLE)
        return true;
    for (size_t i = 0; i < a->n; i++)
        if (names_a_variable(a->args[i]))
            return true;
    return false;
}

static enum fault check_factor(struct formula *f, const struct operand *o)
{
    TRY(expression_wanted(&f->p, o, AST_TYPE_ANY));
    if (!names_a_variable(o->ast))
        return parser_fail(&f->p, o->column, "expected a variable in this term");
    return FAULT_NONE;
}

/* I(...): arithmetic or one comparison. */
static enum fault parse_as_is(struct formula *f, struct terms *ret)
{
    struct operand o;

    TRY(parser_next(&f->p));
    TRY(parser_take(&f->p, "(", "behind I"));
    TRY(expression_comparison(&f->p, &o));
    TRY(check_factor(f, &o));
    TRY(parser_take(&f->p, ")", "to close I("));
    return one_factor(f, o.ast, false, o.column, ret);
}

/* log(x), sqrt(x), exp(x): the call and nothing behind it. */
static enum fault parse_function(struct formula *f, Cohortium__AstOp op, struct terms *ret)
{
    struct operand arg, call = {.column = f->p.token.at};
    struct build_error error;

    TRY(parser_next(&f->p));
    TRY(parser_take(&f->p, "(", "behind the function"));
    TRY(expression_number(&f->p, &arg));
    TRY(ast_build(f->p.cx, f->p.cb, op, &arg, 1, &call.ast, &error));
    if (call.ast == NULL)
        return parser_fail(&f->p, arg.column, "%s", error.text);
    TRY(parser_take(&f->p, ")", "to close the function"));
    TRY(check_factor(f, &call));
    return one_factor(f, call.ast, false, call.column, ret);
}

static enum fault parse_as_factor(struct formula *f, struct terms *ret)
{
    const Cohortium__Variable *v;
    struct operand o;

    TRY(parser_next(&f->p));
    TRY(parser_take(&f->p, "(", "behind factor"));
    TRY(expression_variable(&f->p, &o));
    v = codebook_variable(f->p.cb, o.ast->variable);
    if (v->type == COHORTIUM__VAR_TYPE__REAL || v->type == COHORTIUM__VAR_TYPE__DATE)
        return parser_fail(&f->p, o.column,
                           "`%s` has no list of values; factor() takes an integer, binary, "
                           "categorical or ordered variable",
                           v->name);
    TRY(parser_take(&f->p, ")", "to close factor("));
    return one_factor(f, o.ast, true, o.column, ret);
}

/* Several offsets add up; they are no terms. */
static enum fault parse_offset(struct formula *f, struct terms *ret)
{
    struct operand both[2] = {0};
    struct build_error error;
    size_t at = f->p.token.at;

    if (f->taking)
        return parser_fail(&f->p, at, "an offset cannot be taken away; leave it out");
    TRY(parser_next(&f->p));
    TRY(parser_take(&f->p, "(", "behind offset"));
    TRY(expression_number(&f->p, &both[1]));
    TRY(expression_wanted(&f->p, &both[1], AST_TYPE_NUMBER));
    TRY(parser_take(&f->p, ")", "to close offset("));
    *ret = (struct terms){0};
    if (f->offset == NULL) {
        f->offset = both[1].ast;
        return FAULT_NONE;
    }
    both[0].ast = f->offset;
    TRY(ast_build(f->p.cx, f->p.cb, COHORTIUM__AST_OP__AST_ADD, both, 2, &f->offset,
                  &error));
    return f->offset != NULL ? FAULT_NONE : parser_fail(&f->p, at, "%s", error.text);
}

static enum fault parse_named(struct formula *f, struct terms *ret)
{
    const char *name = f->p.token.text;
    struct operand o;

    if (cut_is_next(&f->p)) {
        TRY(expression_variable(&f->p, &o));
        return one_factor(f, o.ast, false, o.column, ret);
    }
    if (strcmp(name, "I") == 0)
        return parse_as_is(f, ret);
    if (strcmp(name, "log") == 0)
        return parse_function(f, COHORTIUM__AST_OP__AST_LOG, ret);
    if (strcmp(name, "sqrt") == 0)
        return parse_function(f, COHORTIUM__AST_OP__AST_SQRT, ret);
    if (strcmp(name, "exp") == 0)
        return parse_function(f, COHORTIUM__AST_OP__AST_EXP, ret);
    if (strcmp(name, "factor") == 0)
        return parse_as_factor(f, ret);
    if (strcmp(name, "offset") == 0)
        return parse_offset(f, ret);
    for (size_t i = 0; i < COUNT(not_offered); i++)
        if (strcmp(name, not_offered[i]) == 0)
            return parser_fail(&f->p, f->p.token.at,
                               "`%s()` is not offered by this analysis", name);
    return parser_fail(&f->p, f->p.token.at,
                       "there is no function `%s`; there are I, log, sqrt, exp, factor and "
                       "offset",
                       name);
}

/* ---- operators ---- */

/* 0 and 1 alone stand for the intercept. */
static enum fault parse_intercept(struct formula *f, struct terms *ret)
{
    double x = f->p.token.number;

    if (x != 0 && x != 1)
        return parser_fail(
            &f->p, f->p.token.at,
            "only 0 and 1 stand alone in a formula; arithmetic goes inside I()");
    f->no_intercept = (x == 0) != f->taking;
    *ret = (struct terms){0};
    return parser_next(&f->p);
}

static enum fault parse_atom(struct formula *f, struct terms *ret)
{
    struct operand o;
    size_t behind = f->p.token.at + f->p.token.n;

    if (f->p.token.kind == TOKEN_NUMBER)
        return parse_intercept(f, ret);
    if (parser_is(&f->p, "(")) {
        TRY(parser_enter(&f->p));
        TRY(parser_next(&f->p));
        TRY(parse_sum(f, ret));
        parser_leave(&f->p);
        return parser_take(&f->p, ")", "to close what was opened");
    }
    if (f->p.token.kind != TOKEN_WORD)
        return parser_fail(&f->p, f->p.token.at,
                           "expected a term: a variable, I(), log(), factor() or `(`");
    while (f->p.text[behind] == ' ')
        behind++;
    if (f->p.text[behind] == '(')
        return parse_named(f, ret);
    TRY(expression_variable(&f->p, &o));
    return one_factor(f, o.ast, false, o.column, ret);
}

static enum fault refuse_empty(struct formula *f, const struct terms *t, size_t at)
{
    if (t->n > 0)
        return FAULT_NONE;
    return parser_fail(
        &f->p, at,
        "expected terms on both sides; a number or an offset stands alone, and "
        "arithmetic goes inside I()");
}

static enum fault parse_power(struct formula *f, struct terms *ret)
{
    struct terms base, made;

    TRY(parse_atom(f, &base));
    made = base;
    while (parser_is(&f->p, "^")) {
        size_t at = f->p.token.at;
        double power;

        TRY(refuse_empty(f, &base, at));
        TRY(parser_next(&f->p));
        power = f->p.token.number;
        if (f->p.token.kind != TOKEN_NUMBER || power < 1 || power > POWER_MAX ||
            power != (double)(int)power)
            return parser_fail(
                &f->p, f->p.token.at,
                "expected a whole number from 1 to %d behind ^ (the square of a "
                "variable is I(x^2))",
                POWER_MAX);
        TRY(parser_next(&f->p));
        for (int i = 1; i < (int)power; i++)
            TRY(terms_cross(f, &made, &base, &made));
        base = made;
    }
    *ret = made;
    return FAULT_NONE;
}

static enum fault parse_interaction(struct formula *f, struct terms *ret)
{
    struct terms left, right;

    TRY(parse_power(f, &left));
    while (parser_is(&f->p, ":")) {
        size_t at = f->p.token.at;

        TRY(parser_next(&f->p));
        TRY(parse_power(f, &right));
        TRY(refuse_empty(f, &left, at));
        TRY(refuse_empty(f, &right, at));
        TRY(terms_cross(f, &left, &right, &left));
    }
    *ret = left;
    return FAULT_NONE;
}

static enum fault parse_product(struct formula *f, struct terms *ret)
{
    struct terms left, right, both;

    TRY(parse_interaction(f, &left));
    while (parser_is(&f->p, "*") || parser_is(&f->p, "/")) {
        size_t at = f->p.token.at;

        if (parser_is(&f->p, "/"))
            return parser_fail(
                &f->p, at,
                "nesting with / is not offered; write a + a:b, or a quotient "
                "inside I()");
        TRY(parser_next(&f->p));
        TRY(parse_interaction(f, &right));
        TRY(refuse_empty(f, &left, at));
        TRY(refuse_empty(f, &right, at));
        TRY(terms_cross(f, &left, &right, &both));
        TRY(terms_unite(f, &left, &right));
        TRY(terms_unite(f, &left, &both));
    }
    *ret = left;
    return FAULT_NONE;
}

static enum fault parse_sum(struct formula *f, struct terms *ret)
{
    struct terms all = {0}, part = {0};
    bool first = true;

    for (;;) {
        bool minus = parser_is(&f->p, "-"), sign = minus || parser_is(&f->p, "+");

        if (!sign && !first)
            break;
        if (sign)
            TRY(parser_next(&f->p));
        f->taking ^= minus;
        TRY(parse_product(f, &part));
        f->taking ^= minus;
        if (minus)
            terms_remove(&all, &part);
        else
            TRY(terms_unite(f, &all, &part));
        first = false;
    }
    *ret = all;
    return FAULT_NONE;
}

/* ---- the model ---- */

static enum fault check_terms(struct formula *f, const struct ast *response,
                              const struct terms *all)
{
    for (size_t i = 0; i < all->n; i++) {
        if (term_order(&all->list[i]) > FORMULA_FACTORS_MAX)
            return cx_fail(
                f->p.cx, FAULT_INVALID,
                "formula: an interaction of %zu variables; at most %d are allowed",
                term_order(&all->list[i]), FORMULA_FACTORS_MAX);
        for (size_t k = 0; k < f->n_factors; k++)
            if ((all->list[i].bits[k / 64] >> (k % 64) & 1) != 0 &&
                ast_equal(f->factors[k].value, response))
                return cx_fail(
                    f->p.cx, FAULT_INVALID,
                    "formula: the response `%s` cannot be a term; remove it from "
                    "the right side",
                    ast_text(f->p.cx, f->p.cb, response));
    }
    if (all->n > FORMULA_TERMS_MAX)
        return cx_fail(f->p.cx, FAULT_INVALID, "formula: %zu terms; at most %d are allowed",
                       all->n, FORMULA_TERMS_MAX);
    return FAULT_NONE;
}

static enum fault put_term(struct formula *f, const struct term *t, Cohortium__Term **ret)
{
    Cohortium__Term *made;

    CX_NEW(f->p.cx, made, 1);
    cohortium__term__init(made);
    CX_NEW(f->p.cx, made->factors, term_order(t));
    for (size_t i = 0; i < f->n_factors; i++) {
        Cohortium__Factor *factor;

        if ((t->bits[i / 64] >> (i % 64) & 1) == 0)
            continue;
        CX_NEW(f->p.cx, factor, 1);
        cohortium__factor__init(factor);
        TRY(ast_to_pb(f->p.cx, f->p.cb, f->factors[i].value, &factor->value));
        factor->as_factor = f->factors[i].as_factor;
        made->factors[made->n_factors++] = factor;
    }
    *ret = made;
    return FAULT_NONE;
}

static enum fault put_model(struct formula *f, const struct ast *response,
                            const struct terms *all, Cohortium__Model **ret)
{
    Cohortium__Model *model;

    CX_NEW(f->p.cx, model, 1);
    cohortium__model__init(model);
    TRY(ast_to_pb(f->p.cx, f->p.cb, response, &model->response));
    TRY(ast_to_pb(f->p.cx, f->p.cb, f->offset, &model->offset));
    CX_NEW(f->p.cx, model->terms, all->n);
    for (size_t order = 1; order <= FORMULA_FACTORS_MAX; order++)
        for (size_t i = 0; i < all->n; i++)
            if (term_order(&all->list[i]) == order) {
                TRY(put_term(f, &all->list[i], &model->terms[model->n_terms]));
                model->n_terms++;
            }
    model->no_intercept = f->no_intercept;
    model->formula = cx_strdup(f->p.cx, f->p.text);
    if (model->formula == NULL)
        return FAULT_MEMORY;
    *ret = model;
    return FAULT_NONE;
}

/* The words Surv and cbind stand on the left in R. */
static enum fault parse_response(struct formula *f, struct operand *ret)
{
    if (parser_is(&f->p, "~"))
        return parser_fail(&f->p, f->p.token.at,
                           "expected the response in front of ~, as in: y ~ age + sex");
    if (f->p.token.kind == TOKEN_WORD)
        for (size_t i = 0; i < COUNT(not_offered); i++)
            if (strcmp(f->p.token.text, not_offered[i]) == 0 &&
                codebook_find(f->p.cb, f->p.token.text) < 0)
                return parser_fail(&f->p, f->p.token.at,
                                   "`%s()` is not offered by this analysis",
                                   f->p.token.text);
    TRY(expression_number(&f->p, ret));
    if (ret->ast == NULL || ret->ast->op != COHORTIUM__AST_OP__AST_VARIABLE)
        TRY(expression_wanted(&f->p, ret, AST_TYPE_NUMBER));
    if (!names_a_variable(ret->ast))
        return parser_fail(&f->p, ret->column, "expected a variable as the response");
    return FAULT_NONE;
}

enum fault formula_parse(struct cx *cx, const struct codebook *cb, const char *text,
                         Cohortium__Model **ret)
{
    struct formula *f;
    struct operand response;
    struct terms all;

    CX_NEW(cx, f, 1);
    TRY(parser_start(&f->p, cx, cb, "formula", text, FORMULA_TEXT_MAX));
    f->p.formula = true;
    TRY(parse_response(f, &response));
    TRY(parser_take(&f->p, "~", "behind the response, as in: y ~ age + sex"));
    TRY(parse_sum(f, &all));
    if (f->p.token.kind != TOKEN_END)
        return parser_fail(&f->p, f->p.token.at,
                           "expected +, -, *, : or the end; comparisons and arithmetic go "
                           "inside I()");
    TRY(check_terms(f, response.ast, &all));
    return put_model(f, response.ast, &all, ret);
}

enum fault formula_parse_variables(struct cx *cx, const struct codebook *cb,
                                   const char *text, const char ***ret_names, size_t *ret_n)
{
    struct parser p;
    struct operand o;
    const char **names;
    size_t n = 0;

    TRY(parser_start(&p, cx, cb, "variables", text, FORMULA_TEXT_MAX));
    CX_NEW(cx, names, TABLE_VARIABLES_MAX);
    if (parser_is(&p, "~"))
        TRY(parser_next(&p));
    for (;;) {
        size_t at = p.token.at;

        TRY(expression_variable(&p, &o));
        names[n++] = codebook_variable(cb, o.ast->variable)->name;
        for (size_t i = 0; i + 1 < n; i++)
            if (strcmp(names[i], names[n - 1]) == 0)
                return parser_fail(&p, at, "the same variable twice");
        if (p.token.kind == TOKEN_END)
            break;
        if (n == TABLE_VARIABLES_MAX ||
            !(parser_is(&p, "*") || parser_is(&p, "+") || parser_is(&p, ":")))
            return parser_fail(&p, p.token.at,
                               "expected one variable, or up to four as in: sex * status");
        TRY(parser_next(&p));
    }
    *ret_names = names;
    *ret_n = n;
    return FAULT_NONE;
}

/* ---- names ---- */

const char *factor_text(struct cx *cx, const struct codebook *cb,
                        const Cohortium__Factor *f)
{
    static const char wrong[] = "(not a factor)";
    struct complaints c = complaints_new(cx);
    const char *text;
    bool bare;
    struct ast *a;

    if (f->value == NULL ||
        ast_open(cx, cb, f->value, AST_TYPE_ANY, &c, &a) != FAULT_NONE || a == NULL)
        return wrong;
    bare = a->op == COHORTIUM__AST_OP__AST_VARIABLE ||
           a->op == COHORTIUM__AST_OP__AST_LOG || a->op == COHORTIUM__AST_OP__AST_SQRT ||
           a->op == COHORTIUM__AST_OP__AST_EXP;
    text = ast_text(cx, cb, a);
    if (f->as_factor || !bare)
        text = cx_printf(cx, "%s(%s)", f->as_factor ? "factor" : "I", text);
    return text != NULL ? text : wrong;
}

const char *term_text(struct cx *cx, const struct codebook *cb, const Cohortium__Term *term)
{
    struct buffer b = buffer_new(cx, 1024 * 1024);
    const char *text;

    for (size_t i = 0; i < term->n_factors; i++)
        buffer_printf(&b, "%s%s", i > 0 ? ":" : "", factor_text(cx, cb, term->factors[i]));
    text = buffer_string(&b);
    return text != NULL ? text : "(not a term)";
}

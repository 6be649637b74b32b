/*
 * ast_canonical.c - one form for expressions that mean the same.
 *
 * not is pushed to the leaves first (De Morgan holds in three-valued logic, and the
 * contrary of a comparison is unknown where the comparison is). Above the leaves then stand
 * only and/or, which never turn a false part into a truer whole than an unknown one does;
 * so false and unknown may take each other's place, and the conditions on one variable are
 * sets of values.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyses/ast_build.h"
#include "analyses/ast_set.h"

enum kind { FORM_TRUE, FORM_FALSE, FORM_SET, FORM_MISSING, FORM_LEAF, FORM_AND, FORM_OR };

struct form {
    enum kind kind;
    int variable; /* SET, MISSING */
    struct set set;
    struct ast *written; /* the form as an expression */
    size_t n;
    struct form **parts; /* AND, OR: written in ascending order */
};

struct maker {
    struct cx *cx;
    const struct codebook *cb;
};

static enum fault make(struct maker *m, const struct ast *a, bool negated,
                       struct form **ret);

static enum fault form_new(struct maker *m, enum kind kind, struct form **ret)
{
    struct form *f;

    CX_NEW(m->cx, f, 1);
    f->kind = kind;
    f->variable = -1;
    *ret = f;
    return FAULT_NONE;
}

static enum fault form_constant(struct maker *m, bool value, struct form **ret)
{
    TRY(form_new(m, value ? FORM_TRUE : FORM_FALSE, ret));
    (*ret)->written = ast_constant(m->cx, value);
    return (*ret)->written != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault form_set(struct maker *m, const struct set *s, struct form **ret)
{
    if (set_is_empty(s))
        return form_constant(m, false, ret);
    TRY(form_new(m, FORM_SET, ret));
    (*ret)->variable = s->variable;
    (*ret)->set = *s;
    return set_write(m->cx, m->cb, s, &(*ret)->written);
}

/* ---- and, or ---- */

static int compare_forms(const void *a, const void *b)
{
    const struct form *const *x = a, *const *y = b;

    return ast_compare((*x)->written, (*y)->written);
}

static int compare_asts(const void *a, const void *b)
{
    const struct ast *const *x = a, *const *y = b;

    return ast_compare(*x, *y);
}

static size_t flat_size(struct form *const *parts, size_t n, enum kind kind)
{
    size_t flat = 0;

    for (size_t i = 0; i < n; i++)
        flat += parts[i]->kind == kind ? parts[i]->n : 1;
    return flat;
}

/* The set of a variable among the first n parts, if it is there already. */
static struct form **find_set(struct form **parts, size_t n, int variable)
{
    for (size_t i = 0; i < n; i++)
        if (parts[i]->kind == FORM_SET && parts[i]->variable == variable)
            return &parts[i];
    return NULL;
}

/* Adds one part; the sets of one variable become one set. */
static enum fault gather(struct maker *m, enum kind kind, struct form *part,
                         struct form **parts, size_t *n)
{
    struct form **there = NULL;
    struct set joined;

    if (part->kind == FORM_SET)
        there = find_set(parts, *n, part->variable);
    if (there == NULL) {
        parts[(*n)++] = part;
        return FAULT_NONE;
    }
    TRY(set_join(m->cx, kind == FORM_AND, &(*there)->set, &part->set, &joined));
    return form_set(m, &joined, there);
}

/* Is the whole decided: a constant, or missing beside a value of the same variable? */
static bool is_decided(enum kind kind, struct form **parts, size_t n)
{
    enum kind decides = kind == FORM_AND ? FORM_FALSE : FORM_TRUE;

    for (size_t i = 0; i < n; i++) {
        struct form **set;

        if (parts[i]->kind == decides)
            return true;
        if (parts[i]->kind != FORM_MISSING)
            continue;
        set = find_set(parts, n, parts[i]->variable);
        if (set != NULL && (kind == FORM_AND || set_is_full(&(*set)->set)))
            return true;
    }
    return false;
}

/* a and (a or b) is a; a or (a and b) is a. */
static bool is_absorbed(const struct form *part, enum kind inner, struct form **parts,
                        size_t n)
{
    if (part->kind != inner)
        return false;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < part->n; k++)
            if (parts[i] != part && ast_equal(parts[i]->written, part->parts[k]->written))
                return true;
    return false;
}

/* Sorted, without duplicates, constants and absorbed parts. */
static enum fault tidy(struct maker *m, enum kind kind, struct form **parts, size_t *n)
{
    enum kind neutral = kind == FORM_AND ? FORM_TRUE : FORM_FALSE;
    enum kind inner = kind == FORM_AND ? FORM_OR : FORM_AND;
    struct form **kept;
    size_t k = 0;

    CX_NEW(m->cx, kept, *n);
    qsort(parts, *n, sizeof *parts, compare_forms);
    for (size_t i = 0; i < *n; i++)
        if (parts[i]->kind != neutral &&
            (k == 0 || !ast_equal(kept[k - 1]->written, parts[i]->written)))
            kept[k++] = parts[i];
    *n = 0;
    for (size_t i = 0; i < k; i++)
        if (!is_absorbed(kept[i], inner, kept, k))
            parts[(*n)++] = kept[i];
    return FAULT_NONE;
}

/* A part that was written as an and of its own stands flat in an and. */
static enum fault write_joined(struct maker *m, struct form *f)
{
    Cohortium__AstOp op =
        f->kind == FORM_AND ? COHORTIUM__AST_OP__AST_AND : COHORTIUM__AST_OP__AST_OR;
    size_t n = 0, k = 0;
    struct ast **list;

    for (size_t i = 0; i < f->n; i++)
        n += f->parts[i]->written->op == op ? f->parts[i]->written->n : 1;
    CX_NEW(m->cx, list, n);
    for (size_t i = 0; i < f->n; i++) {
        struct ast *a = f->parts[i]->written;

        if (a->op != op)
            list[k++] = a;
        else
            for (size_t j = 0; j < a->n; j++)
                list[k++] = a->args[j];
    }
    qsort(list, k, sizeof(struct ast *), compare_asts);
    f->written = ast_join(m->cx, op, list, k);
    return f->written != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault join(struct maker *m, enum kind kind, struct form **given, size_t n_given,
                       struct form **ret)
{
    struct form **parts;
    size_t n = 0;

    TRY(cx_on_time(m->cx));
    CX_NEW(m->cx, parts, flat_size(given, n_given, kind));
    for (size_t i = 0; i < n_given; i++) {
        if (given[i]->kind != kind) {
            TRY(gather(m, kind, given[i], parts, &n));
            continue;
        }
        for (size_t k = 0; k < given[i]->n; k++)
            TRY(gather(m, kind, given[i]->parts[k], parts, &n));
    }
    if (is_decided(kind, parts, n))
        return form_constant(m, kind == FORM_OR, ret);
    TRY(tidy(m, kind, parts, &n));
    if (n == 0)
        return form_constant(m, kind == FORM_AND, ret);
    if (n == 1) {
        *ret = parts[0];
        return FAULT_NONE;
    }
    TRY(form_new(m, kind, ret));
    (*ret)->parts = parts;
    (*ret)->n = n;
    return write_joined(m, *ret);
}

static enum fault make_joined(struct maker *m, const struct ast *a, bool negated,
                              struct form **ret)
{
    bool and = (a->op == COHORTIUM__AST_OP__AST_AND) != negated;
    struct form **parts;

    CX_NEW(m->cx, parts, a->n);
    for (size_t i = 0; i < a->n; i++)
        TRY(make(m, a->args[i], negated, &parts[i]));
    return join(m, and? FORM_AND : FORM_OR, parts, a->n, ret);
}

/* ---- leaves that are more than one variable and literals ---- */

static bool is_number(const struct ast *a)
{
    return a->op == COHORTIUM__AST_OP__AST_NUMBER;
}

/* Only what every processor computes to the same bits. */
static bool fold_value(const struct ast *a, double *ret)
{
    double x = a->args[0]->number, y = a->n > 1 ? a->args[1]->number : 0;

    switch (a->op) {
    case COHORTIUM__AST_OP__AST_ADD:
        *ret = x + y;
        break;
    case COHORTIUM__AST_OP__AST_SUB:
        *ret = x - y;
        break;
    case COHORTIUM__AST_OP__AST_MUL:
        *ret = x * y;
        break;
    case COHORTIUM__AST_OP__AST_DIV:
        *ret = x / y;
        break;
    case COHORTIUM__AST_OP__AST_NEG:
        *ret = -x;
        break;
    case COHORTIUM__AST_OP__AST_SQRT:
        *ret = sqrt(x);
        break;
    default:
        return false;
    }
    return isfinite(*ret);
}

static enum fault fold(struct maker *m, const struct ast *a, struct ast **ret)
{
    bool numbers = a->n > 0;
    struct ast *made;
    double value;

    made = ast_node(m->cx, a->op, a->type, a->n);
    if (made == NULL)
        return FAULT_MEMORY;
    made->variable = a->variable;
    made->number = a->number;
    for (size_t i = 0; i < a->n; i++) {
        TRY(fold(m, a->args[i], &made->args[i]));
        numbers = numbers && is_number(made->args[i]);
    }
    if (numbers && fold_value(made, &value)) {
        *ret = ast_number(m->cx, value);
        return *ret != NULL ? FAULT_NONE : FAULT_MEMORY;
    }
    /* a + b and b + a are the same to the last bit. */
    if ((a->op == COHORTIUM__AST_OP__AST_ADD || a->op == COHORTIUM__AST_OP__AST_MUL) &&
        ast_compare(made->args[0], made->args[1]) > 0) {
        struct ast *first = made->args[0];

        made->args[0] = made->args[1];
        made->args[1] = first;
    }
    *ret = made;
    return FAULT_NONE;
}

static bool holds(Cohortium__AstOp op, double x, double y)
{
    switch (op) {
    case COHORTIUM__AST_OP__AST_EQ:
        return x == y;
    case COHORTIUM__AST_OP__AST_NE:
        return x != y;
    case COHORTIUM__AST_OP__AST_LT:
        return x < y;
    case COHORTIUM__AST_OP__AST_LE:
        return x <= y;
    case COHORTIUM__AST_OP__AST_GT:
        return x > y;
    default:
        return x >= y;
    }
}

static Cohortium__AstOp contrary(Cohortium__AstOp op)
{
    switch (op) {
    case COHORTIUM__AST_OP__AST_EQ:
        return COHORTIUM__AST_OP__AST_NE;
    case COHORTIUM__AST_OP__AST_NE:
        return COHORTIUM__AST_OP__AST_EQ;
    case COHORTIUM__AST_OP__AST_LT:
        return COHORTIUM__AST_OP__AST_GE;
    case COHORTIUM__AST_OP__AST_LE:
        return COHORTIUM__AST_OP__AST_GT;
    case COHORTIUM__AST_OP__AST_GT:
        return COHORTIUM__AST_OP__AST_LE;
    default:
        return COHORTIUM__AST_OP__AST_LT;
    }
}

/* One variable (or constants) after folding? Then the set's way; else a leaf in one order.
 */
static enum fault make_comparison(struct maker *m, Cohortium__AstOp op,
                                  const struct ast *left, const struct ast *right,
                                  bool negated, struct form **ret)
{
    struct ast *a = ast_node(m->cx, negated ? contrary(op) : op, AST_TYPE_BOOL, 2);
    struct set s;
    bool is;

    if (a == NULL)
        return FAULT_MEMORY;
    TRY(fold(m, left, &a->args[0]));
    TRY(fold(m, right, &a->args[1]));
    if (is_number(a->args[0]) && is_number(a->args[1]))
        return form_constant(m, holds(a->op, a->args[0]->number, a->args[1]->number), ret);
    TRY(set_of(m->cx, m->cb, a, &s, &is));
    if (is)
        return form_set(m, &s, ret);
    if (is_number(a->args[0]) ||
        (!is_number(a->args[1]) && ast_compare(a->args[0], a->args[1]) > 0)) {
        struct ast *first = a->args[0];

        a->args[0] = a->args[1];
        a->args[1] = first;
        a->op = ast_mirrored(a->op);
    }
    TRY(form_new(m, FORM_LEAF, ret));
    (*ret)->written = a;
    return FAULT_NONE;
}

static enum fault make_between(struct maker *m, const struct ast *a, bool negated,
                               struct form **ret)
{
    struct form *parts[2];

    TRY(make_comparison(m, COHORTIUM__AST_OP__AST_GE, a->args[0], a->args[1], negated,
                        &parts[0]));
    TRY(make_comparison(m, COHORTIUM__AST_OP__AST_LE, a->args[0], a->args[2], negated,
                        &parts[1]));
    return join(m, negated ? FORM_OR : FORM_AND, parts, 2, ret);
}

/* ---- all ---- */

static enum fault make_missing(struct maker *m, const struct ast *a, bool negated,
                               struct form **ret)
{
    struct set full = set_full(a->args[0]->variable);

    if (negated)
        return form_set(m, &full, ret);
    TRY(form_new(m, FORM_MISSING, ret));
    (*ret)->variable = a->args[0]->variable;
    (*ret)->written = ast_node(m->cx, COHORTIUM__AST_OP__AST_IS_MISSING, AST_TYPE_BOOL, 1);
    if ((*ret)->written == NULL)
        return FAULT_MEMORY;
    (*ret)->written->args[0] = a->args[0];
    return FAULT_NONE;
}

static enum fault make(struct maker *m, const struct ast *a, bool negated,
                       struct form **ret)
{
    struct set s;
    bool is;

    switch (a->op) {
    case COHORTIUM__AST_OP__AST_TRUE:
    case COHORTIUM__AST_OP__AST_FALSE:
        return form_constant(m, (a->op == COHORTIUM__AST_OP__AST_TRUE) != negated, ret);
    case COHORTIUM__AST_OP__AST_NOT:
        return make(m, a->args[0], !negated, ret);
    case COHORTIUM__AST_OP__AST_AND:
    case COHORTIUM__AST_OP__AST_OR:
        return make_joined(m, a, negated, ret);
    case COHORTIUM__AST_OP__AST_IS_MISSING:
        return make_missing(m, a, negated, ret);
    default:
        break;
    }
    TRY(set_of(m->cx, m->cb, a, &s, &is));
    if (is) {
        if (negated)
            set_complement(&s);
        return form_set(m, &s, ret);
    }
    if (a->op == COHORTIUM__AST_OP__AST_BETWEEN)
        return make_between(m, a, negated, ret);
    if (ast_is_comparison(a->op))
        return make_comparison(m, a->op, a->args[0], a->args[1], negated, ret);
    return cx_fail(m->cx, FAULT_INVALID, "a condition such as `x >= 1` is expected");
}

enum fault ast_canonical(struct cx *cx, const struct codebook *cb, const struct ast *ast,
                         struct ast **ret)
{
    struct maker m = {cx, cb};
    struct form *form;

    if (ast == NULL) {
        *ret = NULL;
        return FAULT_NONE;
    }
    TRY(make(&m, ast, false, &form));
    TRY(ast_is_bounded(cx, form->written));
    *ret = form->written;
    return FAULT_NONE;
}

/*
 * implied.c - sums tried on every kind of patient that the conditions tell apart.
 *
 * The cuts of all conditions on a variable part its values into intervals, within each of
 * which no condition changes: one value each is enough, and of several variables one
 * combination each.
 */
#include "analyses/implied.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyses/ast_set.h"

enum { CELLS_MAX = 1 << 16, VARIABLES_MAX = 12 };
static const double NOTHING = 1e-4;

/* One step of a set, in postfix order. */
enum what { CONSTANT, CONDITION, AND, OR, NOT };
struct op {
    enum what what;
    bool value;   /* CONSTANT */
    size_t arity; /* AND, OR */
    size_t axis;  /* CONDITION */
    struct set set;
    bool *in; /* by interval of the axis */
};

struct axis { /* a variable of some condition */
    int variable;
    size_t n_cuts; /* intervals: one more */
    struct cut *cuts;
    size_t at;
};

struct program {
    size_t first, n; /* ops */
};

struct trial {
    struct cx *cx;
    const struct codebook *cb;
    struct op *ops;
    size_t n_ops, room;
    struct axis axes[VARIABLES_MAX];
    size_t n_axes;
    bool known; /* every condition is one that can be tried */
};

/* ---- conditions ---- */

static enum fault op_new(struct trial *t, struct op op)
{
    if (t->n_ops == t->room) {
        struct op *grown;

        t->room = t->room * 2 + 64;
        CX_NEW(t->cx, grown, t->room);
        if (t->n_ops > 0)
            memcpy(grown, t->ops, t->n_ops * sizeof *grown);
        t->ops = grown;
    }
    t->ops[t->n_ops++] = op;
    return FAULT_NONE;
}

static size_t axis_of(struct trial *t, int variable)
{
    for (size_t i = 0; i < t->n_axes; i++)
        if (t->axes[i].variable == variable)
            return i;
    if (t->n_axes == VARIABLES_MAX) {
        t->known = false;
        return 0;
    }
    t->axes[t->n_axes] = (struct axis){.variable = variable};
    return t->n_axes++;
}

static bool holds_level(const struct set *s, size_t level)
{
    bool in = s->starts;

    for (size_t i = 0; i < s->n && s->cuts[i].at <= (double)level; i++)
        in = !in;
    return in;
}

/* Levels of a derived variable are values of its source. */
static enum fault to_source(struct trial *t, struct set *s)
{
    const Cohortium__Variable *v = codebook_variable(t->cb, s->variable), *source;
    struct set made = {.variable = codebook_find(t->cb, v->from)};
    size_t n = v->n_recode > 0 ? v->n_recode : v->n_cut + 1;
    bool in = false;

    if (made.variable < 0)
        return cx_fail(t->cx, FAULT_INTERNAL, "`%s` is derived from nothing", v->name);
    source = codebook_variable(t->cb, made.variable);
    double first = source->type == COHORTIUM__VAR_TYPE__INTEGER ? source->lower : 0;

    CX_NEW(t->cx, made.cuts, n);
    for (size_t i = 0; i < n; i++) {
        bool is = holds_level(s, v->n_recode > 0 ? v->recode[i] : i);

        if (i == 0)
            made.starts = is;
        else if (is != in)
            made.cuts[made.n++] = (struct cut){
                v->n_recode > 0 ? first + (double)i : v->cut[i - 1], false};
        in = is;
    }
    *s = made;
    return FAULT_NONE;
}

static enum fault add_leaf(struct trial *t, const struct ast *a)
{
    struct op op = {.what = CONDITION};
    bool is = false;

    if (a->op == COHORTIUM__AST_OP__AST_TRUE || a->op == COHORTIUM__AST_OP__AST_FALSE)
        return op_new(t, (struct op){.what = CONSTANT,
                                     .value = a->op == COHORTIUM__AST_OP__AST_TRUE});
    if (a->op == COHORTIUM__AST_OP__AST_IS_MISSING)
        return op_new(t, (struct op){.what = CONSTANT, .value = false});
    TRY(set_of(t->cx, t->cb, a, &op.set, &is));
    t->known = t->known && is;
    if (is) {
        if (variable_is_derived(codebook_variable(t->cb, op.set.variable)))
            TRY(to_source(t, &op.set));
        op.axis = axis_of(t, op.set.variable);
    }
    return op_new(t, op);
}

static enum fault add_set(struct trial *t, const struct ast *a)
{
    if (a == NULL)
        return op_new(t, (struct op){.what = CONSTANT, .value = true});
    if (a->op != COHORTIUM__AST_OP__AST_AND && a->op != COHORTIUM__AST_OP__AST_OR &&
        a->op != COHORTIUM__AST_OP__AST_NOT)
        return add_leaf(t, a);
    for (size_t i = 0; i < a->n; i++)
        TRY(add_set(t, a->args[i]));
    return op_new(t, (struct op){.what = a->op == COHORTIUM__AST_OP__AST_AND  ? AND
                                         : a->op == COHORTIUM__AST_OP__AST_OR ? OR
                                                                              : NOT,
                                 .arity = a->n});
}

/* ---- intervals ---- */

static int by_place(const void *a, const void *b)
{
    const struct cut *x = a, *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (int)x->after - (int)y->after;
}

/* set_of leaves no interval without a value between two cuts. */
static enum fault lay_axis(struct trial *t, size_t axis)
{
    struct axis *x = &t->axes[axis];
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < t->n_ops; i++)
        if (t->ops[i].what == CONDITION && t->ops[i].axis == axis)
            n += t->ops[i].set.n;
    CX_NEW(t->cx, x->cuts, n);
    n = 0;
    for (size_t i = 0; i < t->n_ops; i++) {
        const struct op *op = &t->ops[i];

        for (size_t k = 0; op->what == CONDITION && op->axis == axis && k < op->set.n; k++)
            x->cuts[n++] = op->set.cuts[k];
    }
    qsort(x->cuts, n, sizeof *x->cuts, by_place);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || by_place(&x->cuts[kept - 1], &x->cuts[i]) != 0)
            x->cuts[kept++] = x->cuts[i];
    x->n_cuts = kept;
    return FAULT_NONE;
}

/* A set's membership flips at each of its cuts. */
static enum fault lay_condition(struct trial *t, struct op *op)
{
    const struct axis *x = &t->axes[op->axis];

    CX_NEW(t->cx, op->in, x->n_cuts + 1);
    for (size_t i = 0; i <= x->n_cuts; i++) {
        size_t passed = 0;

        for (size_t k = 0; k < op->set.n && i > 0; k++)
            passed += by_place(&op->set.cuts[k], &x->cuts[i - 1]) <= 0;
        op->in[i] = op->set.starts != (passed % 2 == 1);
    }
    return FAULT_NONE;
}

/* ---- trying ---- */

static bool is_in(const struct trial *t, const struct program *p, bool *stack)
{
    size_t top = 0;

    for (size_t i = p->first; i < p->first + p->n; i++) {
        const struct op *op = &t->ops[i];
        bool all = true, any = false;

        switch (op->what) {
        case CONSTANT:
            stack[top++] = op->value;
            continue;
        case CONDITION:
            stack[top++] = op->in[t->axes[op->axis].at];
            continue;
        case NOT:
            stack[top - 1] = !stack[top - 1];
            continue;
        case AND:
        case OR:
            break;
        }
        for (size_t k = 0; k < op->arity; k++) {
            all = all && stack[top - 1 - k];
            any = any || stack[top - 1 - k];
        }
        top -= op->arity;
        stack[top++] = op->what == AND ? all : any;
    }
    return stack[0];
}

/* The next combination, or false after the last. */
static bool move_on(struct trial *t)
{
    for (size_t i = 0; i < t->n_axes; i++) {
        if (++t->axes[i].at <= t->axes[i].n_cuts)
            return true;
        t->axes[i].at = 0;
    }
    return false;
}

static enum fault try_all(struct trial *t, const struct implied_part *parts,
                          const struct program *programs, size_t n, bool *ret)
{
    double *sums; /* by variable, from -1 on */
    bool *stack;

    CX_NEW(t->cx, sums, t->cb->body->n_variables + 1);
    CX_NEW(t->cx, stack, t->n_ops + 1);
    do {
        memset(sums, 0, (t->cb->body->n_variables + 1) * sizeof *sums);
        for (size_t i = 0; i < n; i++)
            if (is_in(t, &programs[i], stack))
                sums[parts[i].variable + 1] += parts[i].c;
        for (size_t i = 0; i <= t->cb->body->n_variables; i++)
            if (fabs(sums[i]) > NOTHING)
                return FAULT_NONE;
        TRY(cx_on_time(t->cx));
    } while (move_on(t));
    *ret = true;
    return FAULT_NONE;
}

enum fault implied_nothing(struct cx *cx, const struct codebook *cb,
                           const struct implied_part *parts, size_t n, uint64_t *budget,
                           bool *ret)
{
    struct trial t = {.cx = cx, .cb = cb, .known = true};
    struct program *programs;
    uint64_t cells = 1;

    *ret = false;
    CX_NEW(cx, programs, n);
    for (size_t i = 0; i < n; i++) {
        programs[i].first = t.n_ops;
        TRY(add_set(&t, parts[i].set));
        programs[i].n = t.n_ops - programs[i].first;
    }
    if (!t.known)
        return FAULT_NONE;
    for (size_t i = 0; i < t.n_axes; i++) {
        TRY(lay_axis(&t, i));
        cells *= t.axes[i].n_cuts + 1;
        if (cells > CELLS_MAX)
            return FAULT_NONE;
    }
    for (size_t i = 0; i < t.n_ops; i++)
        if (t.ops[i].what == CONDITION)
            TRY(lay_condition(&t, &t.ops[i]));
    if (cells * t.n_ops > *budget)
        return FAULT_NONE;
    *budget -= cells * t.n_ops;
    return try_all(&t, parts, programs, n, ret);
}

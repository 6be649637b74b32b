/* ast_set.c - sets of one variable's values: made from conditions, joined, written back. */
#include "analyses/ast_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyses/ast_build.h"

struct domain {
    bool whole;
    double lower, upper;   /* the values that can occur */
    struct cut start, end; /* before the lowest, behind the highest */
};

static struct domain domain_of(const struct codebook *cb, int variable)
{
    const Cohortium__Variable *v = codebook_variable(cb, variable);
    struct domain d = {.whole = v->type != COHORTIUM__VAR_TYPE__REAL};

    variable_range(v, &d.lower, &d.upper);
    d.start = (struct cut){d.lower, false};
    d.end = d.whole ? (struct cut){d.upper + 1, false} : (struct cut){d.upper, true};
    return d;
}

static int compare_cuts(const void *a, const void *b)
{
    const struct cut *x = a, *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (int)x->after - (int)y->after;
}

static bool cuts_meet(const struct cut *a, const struct cut *b)
{
    return a->at == b->at && a->after == b->after;
}

/* Ascending cuts brought to the domain: whole numbers have one kind of cut, what lies
 * outside goes, and two at one place undo each other. */
static void set_clip(const struct domain *d, struct set *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        struct cut c = s->cuts[i];

        if (d->whole)
            c = (struct cut){c.after ? floor(c.at) + 1 : ceil(c.at), false};
        if (c.at == 0)
            c.at = 0; /* no negative zero */
        if (compare_cuts(&c, &d->start) <= 0)
            s->starts = !s->starts;
        else if (compare_cuts(&c, &d->end) >= 0)
            break;
        else if (n > 0 && cuts_meet(&s->cuts[n - 1], &c))
            n--;
        else
            s->cuts[n++] = c;
    }
    s->n = n;
}

Cohortium__AstOp ast_mirrored(Cohortium__AstOp op)
{
    switch (op) {
    case COHORTIUM__AST_OP__AST_LT:
        return COHORTIUM__AST_OP__AST_GT;
    case COHORTIUM__AST_OP__AST_LE:
        return COHORTIUM__AST_OP__AST_GE;
    case COHORTIUM__AST_OP__AST_GT:
        return COHORTIUM__AST_OP__AST_LT;
    case COHORTIUM__AST_OP__AST_GE:
        return COHORTIUM__AST_OP__AST_LE;
    default:
        return op;
    }
}

static void set_compare(struct set *s, Cohortium__AstOp op, double x)
{
    bool after = op == COHORTIUM__AST_OP__AST_LE || op == COHORTIUM__AST_OP__AST_GT;

    s->starts = op == COHORTIUM__AST_OP__AST_LT || op == COHORTIUM__AST_OP__AST_LE ||
                op == COHORTIUM__AST_OP__AST_NE;
    s->cuts[s->n++] = (struct cut){x, after};
    if (op == COHORTIUM__AST_OP__AST_EQ || op == COHORTIUM__AST_OP__AST_NE)
        s->cuts[s->n++] = (struct cut){x, true};
}

static enum fault set_list(struct cx *cx, struct set *s, const struct ast *a)
{
    struct cut *values;
    size_t n = a->n - 1;

    CX_NEW(cx, values, n);
    for (size_t i = 0; i < n; i++)
        values[i] = (struct cut){a->args[i + 1]->number, false};
    qsort(values, n, sizeof *values, compare_cuts);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && values[i].at == values[i - 1].at)
            continue;
        s->cuts[s->n++] = values[i];
        s->cuts[s->n++] = (struct cut){values[i].at, true};
    }
    return FAULT_NONE;
}

/* The variable that is compared with literals only; NULL otherwise. */
static const struct ast *only_variable(const struct ast *a)
{
    const struct ast *variable = NULL;

    if (!ast_is_comparison(a->op) && a->op != COHORTIUM__AST_OP__AST_IN &&
        a->op != COHORTIUM__AST_OP__AST_BETWEEN)
        return NULL;
    for (size_t i = 0; i < a->n; i++) {
        if (ast_is_literal(a->args[i]))
            continue;
        if (variable != NULL || a->args[i]->op != COHORTIUM__AST_OP__AST_VARIABLE)
            return NULL;
        variable = a->args[i];
    }
    if (a->op == COHORTIUM__AST_OP__AST_BETWEEN && variable != a->args[0])
        return NULL;
    return variable;
}

enum fault set_of(struct cx *cx, const struct codebook *cb, const struct ast *a,
                  struct set *ret, bool *ret_is)
{
    const struct ast *variable = only_variable(a);
    struct set s = {0};
    struct domain d;

    *ret_is = variable != NULL;
    if (variable == NULL)
        return FAULT_NONE;
    s.variable = variable->variable;
    d = domain_of(cb, s.variable);
    CX_NEW(cx, s.cuts, a->n + a->n);
    if (a->op == COHORTIUM__AST_OP__AST_IN) {
        TRY(set_list(cx, &s, a));
    } else if (a->op == COHORTIUM__AST_OP__AST_BETWEEN) {
        if (a->args[1]->number <= a->args[2]->number) {
            s.cuts[s.n++] = (struct cut){a->args[1]->number, false};
            s.cuts[s.n++] = (struct cut){a->args[2]->number, true};
        }
    } else if (variable == a->args[0]) {
        set_compare(&s, a->op, a->args[1]->number);
    } else {
        set_compare(&s, ast_mirrored(a->op), a->args[0]->number);
    }
    set_clip(&d, &s);
    *ret = s;
    return FAULT_NONE;
}

void set_complement(struct set *s)
{
    s->starts = !s->starts;
}

struct set set_full(int variable)
{
    return (struct set){.variable = variable, .starts = true};
}

bool set_is_full(const struct set *s)
{
    return s->starts && s->n == 0;
}

bool set_is_empty(const struct set *s)
{
    return !s->starts && s->n == 0;
}

enum fault set_join(struct cx *cx, bool both, const struct set *a, const struct set *b,
                    struct set *ret)
{
    struct set s = {.variable = a->variable};
    bool in_a = a->starts, in_b = b->starts, in;

    CX_NEW(cx, s.cuts, a->n + b->n);
    s.starts = in = both ? in_a && in_b : in_a || in_b;
    for (size_t i = 0, k = 0; i < a->n || k < b->n;) {
        int c = i == a->n ? 1 : k == b->n ? -1 : compare_cuts(&a->cuts[i], &b->cuts[k]);
        struct cut cut = c <= 0 ? a->cuts[i] : b->cuts[k];
        bool now;

        if (c <= 0) {
            in_a = !in_a;
            i++;
        }
        if (c >= 0) {
            in_b = !in_b;
            k++;
        }
        now = both ? in_a && in_b : in_a || in_b;
        if (now != in)
            s.cuts[s.n++] = cut;
        in = now;
    }
    *ret = s;
    return FAULT_NONE;
}

/* ---- written ---- */

struct interval {
    bool has_low, has_high;
    struct cut low, high;
    bool point; /* one value */
    double value;
};

struct pen {
    struct cx *cx;
    const struct codebook *cb;
    struct domain domain;
    int variable;
};

static struct ast *literal(const struct pen *p, double x)
{
    const Cohortium__Variable *v = codebook_variable(p->cb, p->variable);

    if (variable_has_levels(v) || v->type == COHORTIUM__VAR_TYPE__DATE)
        return ast_level(p->cx, p->cb, p->variable, x);
    return ast_number(p->cx, x);
}

static struct ast *comparison(const struct pen *p, Cohortium__AstOp op, double x)
{
    struct ast *a = ast_node(p->cx, op, AST_TYPE_BOOL, 2);

    if (a == NULL)
        return NULL;
    a->args[0] = ast_variable(p->cx, p->cb, p->variable);
    a->args[1] = literal(p, x);
    return a->args[0] != NULL && a->args[1] != NULL ? a : NULL;
}

static void find_point(const struct domain *d, struct interval *i)
{
    struct cut low = i->has_low ? i->low : d->start, high = i->has_high ? i->high : d->end;

    i->value = low.at;
    i->point =
        !low.after && (d->whole ? high.at == low.at + 1 : high.after && high.at == low.at);
}

/* The intervals of a set; every cut ends one or begins one. */
static struct interval *intervals_of(const struct pen *p, const struct set *s,
                                     size_t *ret_n)
{
    struct interval *list = cx_array(p->cx, s->n + 1, sizeof *list);
    size_t n = 0;
    bool in = s->starts;

    if (list == NULL)
        return NULL;
    for (size_t i = 0; i < s->n; i++, in = !in) {
        if (in) {
            list[n].has_high = true;
            list[n++].high = s->cuts[i];
        } else {
            list[n].has_low = true;
            list[n].low = s->cuts[i];
        }
    }
    if (in)
        n++;
    for (size_t i = 0; i < n; i++)
        find_point(&p->domain, &list[i]);
    *ret_n = n;
    return list;
}

static size_t count_points(const struct interval *list, size_t n)
{
    size_t points = 0;

    for (size_t i = 0; i < n; i++)
        points += list[i].point;
    return points;
}

static struct ast *write_interval(const struct pen *p, const struct interval *i)
{
    struct ast *parts[2];
    size_t n = 0;

    if (i->has_low)
        parts[n++] = comparison(
            p, i->low.after ? COHORTIUM__AST_OP__AST_GT : COHORTIUM__AST_OP__AST_GE,
            i->low.at);
    if (i->has_high)
        parts[n++] = comparison(
            p, i->high.after ? COHORTIUM__AST_OP__AST_LE : COHORTIUM__AST_OP__AST_LT,
            i->high.at);
    return ast_join(p->cx, COHORTIUM__AST_OP__AST_AND, parts, n);
}

/* `x == v`, or `x in (...)`: the points among the intervals, or their contrary. */
static struct ast *write_points(const struct pen *p, const struct interval *list, size_t n,
                                bool negated)
{
    size_t points = count_points(list, n), k = 1;
    struct ast *a;

    if (points == 1) {
        for (size_t i = 0; i < n; i++)
            if (list[i].point)
                return comparison(
                    p, negated ? COHORTIUM__AST_OP__AST_NE : COHORTIUM__AST_OP__AST_EQ,
                    list[i].value);
    }
    a = ast_node(p->cx, COHORTIUM__AST_OP__AST_IN, AST_TYPE_BOOL, points + 1);
    if (a == NULL || (a->args[0] = ast_variable(p->cx, p->cb, p->variable)) == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (list[i].point && (a->args[k++] = literal(p, list[i].value)) == NULL)
            return NULL;
    return negated ? ast_not(p->cx, a) : a;
}

static struct ast *write_pieces(const struct pen *p, const struct interval *list, size_t n)
{
    struct ast **parts = cx_array(p->cx, n, sizeof *parts);
    size_t k = 0;

    if (parts == NULL)
        return NULL;
    if (count_points(list, n) > 0)
        parts[k++] = write_points(p, list, n, false);
    for (size_t i = 0; i < n; i++)
        if (!list[i].point)
            parts[k++] = write_interval(p, &list[i]);
    return ast_join(p->cx, COHORTIUM__AST_OP__AST_OR, parts, k);
}

/* A categorical's runs mean nothing: its members one by one, or those that are not. */
static struct ast *write_levels(const struct pen *p, const struct set *s)
{
    size_t levels = (size_t)p->domain.upper + 1, in = 0, k = 0;
    struct interval *list = cx_array(p->cx, levels, sizeof *list);
    bool negated = false;

    if (list == NULL)
        return NULL;
    for (size_t pass = 0; pass < 2; pass++) {
        bool member = s->starts;
        size_t cut = 0;

        negated = levels - in < in && !(in == 1);
        for (size_t i = 0; i < levels; i++) {
            if (cut < s->n && s->cuts[cut].at == (double)i) {
                member = !member;
                cut++;
            }
            if (pass == 0)
                in += member;
            else if (member != negated)
                list[k++] = (struct interval){.point = true, .value = (double)i};
        }
    }
    return write_points(p, list, k, negated);
}

static struct ast *write_numbers(const struct pen *p, const struct set *s)
{
    struct set other = *s;
    size_t n, n_other;
    struct interval *list = intervals_of(p, s, &n), *rest;

    set_complement(&other);
    rest = intervals_of(p, &other, &n_other);
    if (list == NULL || rest == NULL)
        return NULL;
    if (count_points(list, n) == n)
        return write_points(p, list, n, false);
    if (s->n == 1)
        return write_interval(p, &list[0]);
    if (count_points(rest, n_other) == n_other)
        return write_points(p, rest, n_other, true);
    return write_pieces(p, list, n);
}

enum fault set_write(struct cx *cx, const struct codebook *cb, const struct set *s,
                     struct ast **ret)
{
    struct pen p = {cx, cb, domain_of(cb, s->variable), s->variable};
    struct ast *missing;

    if (set_is_empty(s)) {
        *ret = ast_constant(cx, false);
    } else if (set_is_full(s)) {
        missing = ast_node(cx, COHORTIUM__AST_OP__AST_IS_MISSING, AST_TYPE_BOOL, 1);
        if (missing == NULL ||
            (missing->args[0] = ast_variable(cx, cb, s->variable)) == NULL)
            return FAULT_MEMORY;
        *ret = ast_not(cx, missing);
    } else if (codebook_variable(cb, s->variable)->type ==
               COHORTIUM__VAR_TYPE__CATEGORICAL) {
        *ret = write_levels(&p, s);
    } else {
        *ret = write_numbers(&p, s);
    }
    return *ret != NULL ? FAULT_NONE : FAULT_MEMORY;
}

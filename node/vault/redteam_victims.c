/* redteam_victims.c - who is alone in a cell of all quasi-identifiers (redteam_victims.h).
 */
#include "node/vault/redteam_victims.h"

#include <stdlib.h>
#include <string.h>

/* ---- expressions ---- */

struct ast *victims_compare(struct cx *cx, const struct codebook *cb, Cohortium__AstOp op,
                            int variable, double value)
{
    const Cohortium__Variable *v = codebook_variable(cb, variable);
    struct ast *a = cx_alloc(cx, sizeof *a), *right = ast_number(cx, value);

    if (a == NULL || right == NULL)
        return NULL;
    *a = (struct ast){.op = op, .type = AST_TYPE_BOOL, .variable = -1, .n = 2};
    a->args = cx_array(cx, 2, sizeof(struct ast *));
    if (a->args == NULL || (a->args[0] = ast_variable(cx, cb, variable)) == NULL)
        return NULL;
    if (v->type == COHORTIUM__VAR_TYPE__DATE || variable_has_levels(v)) {
        right->op = COHORTIUM__AST_OP__AST_LEVEL;
        right->type = v->type == COHORTIUM__VAR_TYPE__DATE ? AST_TYPE_DATE : AST_TYPE_LEVEL;
        right->variable = variable;
    }
    a->args[1] = right;
    return a;
}

static struct ast *join(struct cx *cx, Cohortium__AstOp op, struct ast *a, struct ast *b)
{
    struct ast **both = cx_array(cx, 2, sizeof(struct ast *));

    if (both == NULL || a == NULL || b == NULL)
        return NULL;
    both[0] = a;
    both[1] = b;
    return ast_join(cx, op, both, 2);
}

struct ast *victims_and(struct cx *cx, struct ast *a, struct ast *b)
{
    return join(cx, COHORTIUM__AST_OP__AST_AND, a, b);
}

struct ast *victims_or(struct cx *cx, struct ast *a, struct ast *b)
{
    return join(cx, COHORTIUM__AST_OP__AST_OR, a, b);
}

/* ---- what is known of everybody ---- */

static bool value_at(const struct column *c, uint64_t row, double *ret)
{
    if (c->map == NULL || (c->valid != NULL && !(c->valid[row / 64] >> (row % 64) & 1)))
        return false;
    switch (c->type) {
    case COLUMN_U8:
        *ret = ((const uint8_t *)c->values)[row];
        return true;
    case COLUMN_U16:
        *ret = ((const uint16_t *)c->values)[row];
        return true;
    case COLUMN_I32:
        *ret = ((const int32_t *)c->values)[row];
        return true;
    case COLUMN_F64:
        *ret = ((const double *)c->values)[row];
        return true;
    }
    return false;
}

/* Cut by the grid, by levels, or 0 and 1. A number without a grid cannot be asked for. */
static bool can_be_cut(const Cohortium__Variable *v)
{
    return variable_is_usable(v) && (v->type == COHORTIUM__VAR_TYPE__BINARY ||
                                     variable_has_levels(v) || v->n_grid > 0);
}

static bool is_grid(const Cohortium__Variable *v)
{
    return v->type != COHORTIUM__VAR_TYPE__BINARY && !variable_has_levels(v);
}

static uint16_t bin_of(const Cohortium__Variable *v, double x)
{
    size_t bin = 0;

    if (!is_grid(v))
        return (uint16_t)x;
    while (bin < v->n_grid && x >= v->grid[bin])
        bin++;
    return (uint16_t)bin;
}

static struct ast *part_of(struct cx *cx, const struct codebook *cb, int variable,
                           uint16_t bin)
{
    const Cohortium__Variable *v = codebook_variable(cb, variable);
    struct ast *low = NULL, *high = NULL;

    if (!is_grid(v))
        return victims_compare(cx, cb, COHORTIUM__AST_OP__AST_EQ, variable, bin);
    if (bin > 0)
        low =
            victims_compare(cx, cb, COHORTIUM__AST_OP__AST_GE, variable, v->grid[bin - 1]);
    if (bin < v->n_grid)
        high = victims_compare(cx, cb, COHORTIUM__AST_OP__AST_LT, variable, v->grid[bin]);
    return bin == 0 ? high : bin == v->n_grid ? low : victims_and(cx, low, high);
}

/* ---- who is alone ---- */

struct person_cell {
    uint64_t row;
    const uint16_t *bins;
    size_t n;
};

static int by_bins(const void *a, const void *b)
{
    const struct person_cell *x = a, *y = b;

    return memcmp(x->bins, y->bins, x->n * sizeof *x->bins);
}

struct search {
    struct cx *cx;
    const struct dataset *d;
    struct victims *found;
    size_t n_quasi, n_people;
    int quasi[VICTIM_PARTS_MAX];
    struct person_cell *people;
};

static bool is_lone_row(const struct patients *p, uint64_t row)
{
    return (row == 0 || p->ordinal[row - 1] != p->ordinal[row]) &&
           (row + 1 == p->rows || p->ordinal[row + 1] != p->ordinal[row]);
}

/* One entry a patient; whoever lacks a value stands for nobody. */
static enum fault read_people(struct search *s)
{
    uint64_t rows = s->d->patients.rows, last = UINT64_MAX;
    uint16_t *bins;
    size_t room;

    if (__builtin_mul_overflow((size_t)s->d->patients.count + 1, s->n_quasi, &room))
        return cx_fail(s->cx, FAULT_BOUND, "too many patients");
    CX_NEW(s->cx, s->people, (size_t)s->d->patients.count + 1);
    CX_NEW(s->cx, bins, room);
    for (uint64_t row = 0; row < rows; row++) {
        bool whole = s->d->patients.ordinal[row] != last;

        last = s->d->patients.ordinal[row];
        if (!whole)
            continue;
        for (size_t q = 0; q < s->n_quasi && whole; q++) {
            double x;

            whole = value_at(&s->d->columns[s->quasi[q]], row, &x);
            if (whole)
                bins[q] = bin_of(codebook_variable(s->d->cb, s->quasi[q]), x);
        }
        if (whole) {
            s->people[s->n_people++] = (struct person_cell){row, bins, s->n_quasi};
            bins += s->n_quasi;
        }
    }
    qsort(s->people, s->n_people, sizeof *s->people, by_bins);
    return FAULT_NONE;
}

/* ---- what is to be learned ---- */

static bool beats(const Cohortium__Variable *v, const Cohortium__Variable *than)
{
    return than == NULL || (v->role == COHORTIUM__ROLE__SENSITIVE &&
                            than->role != COHORTIUM__ROLE__SENSITIVE);
}

static const Cohortium__Variable *variable_or_null(const struct codebook *cb, int i)
{
    return i < 0 ? NULL : codebook_variable(cb, i);
}

/* Sensitive ones before others; of yes and no before levels. */
static void choose_variables(struct search *s)
{
    const struct codebook *cb = s->d->cb;
    struct victims *f = s->found;

    f->secret = f->number = f->other = -1;
    for (size_t pass = 0; pass < 2; pass++)
        for (int i = 0; i < (int)cb->body->n_variables; i++) {
            const Cohortium__Variable *v = codebook_variable(cb, i);
            bool yes_no = v->type == COHORTIUM__VAR_TYPE__BINARY;

            if (!variable_is_usable(v) || variable_is_quasi(v) ||
                s->d->columns[i].map == NULL)
                continue;
            if (pass == 0 && yes_no && beats(v, variable_or_null(cb, f->secret)))
                f->secret = i;
            else if (pass == 1 && f->secret < 0 && variable_has_levels(v))
                f->secret = i;
            if (pass == 0 && v->bounded && v->type != COHORTIUM__VAR_TYPE__DATE &&
                beats(v, variable_or_null(cb, f->number)))
                f->number = i;
        }
    for (int i = 0; i < (int)cb->body->n_variables && f->other < 0; i++) {
        const Cohortium__Variable *v = codebook_variable(cb, i);

        if (variable_is_usable(v) && !variable_is_quasi(v) && i != f->secret &&
            s->d->columns[i].map != NULL && v->type == COHORTIUM__VAR_TYPE__BINARY)
            f->other = i;
    }
    if (f->other < 0)
        f->other = f->number;
}

/* A victim whose secret is the reference level or 0 would be guessed by learning nothing.
 */
static enum fault take(struct search *s, const struct person_cell *p)
{
    struct victims *f = s->found;
    struct victim *v = &f->list[f->n];
    double secret = 0;

    if (f->secret >= 0 &&
        (!value_at(&s->d->columns[f->secret], p->row, &secret) || secret == 0))
        return FAULT_NONE;
    if (f->number >= 0 && !value_at(&s->d->columns[f->number], p->row, &v->number))
        return FAULT_NONE;
    v->n = s->n_quasi;
    CX_NEW(s->cx, v->parts, v->n);
    for (size_t q = 0; q < v->n; q++) {
        v->parts[q] = part_of(s->cx, s->d->cb, s->quasi[q], p->bins[q]);
        if (v->parts[q] == NULL)
            return FAULT_MEMORY;
    }
    v->cell = ast_join(s->cx, COHORTIUM__AST_OP__AST_AND, v->parts, v->n);
    if (f->secret >= 0)
        v->secret =
            victims_compare(s->cx, s->d->cb, COHORTIUM__AST_OP__AST_EQ, f->secret, secret);
    if (v->cell == NULL || (f->secret >= 0 && v->secret == NULL))
        return FAULT_MEMORY;
    f->n++;
    return FAULT_NONE;
}

static enum fault take_lone(struct search *s)
{
    for (size_t i = 0; i < s->n_people; i++) {
        const struct person_cell *p = &s->people[i];

        if ((i > 0 && by_bins(p - 1, p) == 0) ||
            (i + 1 < s->n_people && by_bins(p, p + 1) == 0))
            continue;
        s->found->n_alone++;
        if (s->found->n < VICTIMS_MAX && is_lone_row(&s->d->patients, p->row))
            TRY(take(s, p));
    }
    return FAULT_NONE;
}

enum fault victims_find(struct cx *cx, const struct dataset *d, struct victims *ret)
{
    struct search s = {.cx = cx, .d = d, .found = ret};

    *ret = (struct victims){.cb = d->cb};
    choose_variables(&s);
    for (int i = 0; i < (int)d->cb->body->n_variables && s.n_quasi < VICTIM_PARTS_MAX; i++)
        if (variable_is_quasi(codebook_variable(d->cb, i)) && d->columns[i].map != NULL &&
            can_be_cut(codebook_variable(d->cb, i)))
            s.quasi[s.n_quasi++] = i;
    if (s.n_quasi == 0)
        return FAULT_NONE;
    TRY(read_people(&s));
    return take_lone(&s);
}

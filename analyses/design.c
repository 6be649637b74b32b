/*
 * design.c - from a Model to factors, terms and columns, with R's names and contrasts.
 *
 * Coding of factors: R's terms.formula (TermCode in model.c): a factor of a term is coded
 * by contrasts when the term without it is empty or inside an earlier term; without an
 * intercept the first factor of the model is coded by all its levels.
 */
#include "analyses/design.h"

#include <math.h>
#include <string.h>

#include "analyses/design_check.h"
#include "analyses/formula.h"

static enum fault open_terms(struct cx *cx, const Cohortium__Model *model, struct design *d,
                             const char *analysis, struct complaints *c)
{
    CX_NEW(cx, d->terms, model->n_terms);
    CX_NEW(cx, d->factors, model->n_terms * FORMULA_FACTORS_MAX + 1);
    for (size_t t = 0; t < model->n_terms; t++) {
        const Cohortium__Term *pb = model->terms[t];
        struct design_term *term = &d->terms[d->n_terms];

        if (pb->n_factors == 0 || pb->n_factors > FORMULA_FACTORS_MAX) {
            complain(c, "model", "%s: a term needs 1 to %d factors", analysis,
                     FORMULA_FACTORS_MAX);
            continue;
        }
        CX_NEW(cx, term->factors, pb->n_factors);
        CX_NEW(cx, term->full, pb->n_factors);
        term->text = term_text(cx, d->asked->cb, pb);
        if (term->text == NULL)
            return FAULT_MEMORY;
        for (size_t f = 0; f < pb->n_factors; f++) {
            size_t index = SIZE_MAX;

            TRY(design_open_factor(cx, d, pb->factors[f], analysis, c, &index));
            if (index != SIZE_MAX)
                term->factors[term->n++] = index;
        }
        d->n_terms += term->n == pb->n_factors;
    }
    return FAULT_NONE;
}

static bool term_has(const struct design_term *t, size_t factor)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->factors[i] == factor)
            return true;
    return false;
}

static void choose_coding(struct design *d)
{
    bool first = !d->intercept;

    for (size_t t = 0; t < d->n_terms; t++) {
        struct design_term *term = &d->terms[t];

        for (size_t f = 0; f < term->n; f++) {
            bool contrast = term->n == 1;

            for (size_t e = 0; e < t && !contrast; e++) {
                contrast = true;
                for (size_t g = 0; g < term->n; g++)
                    if (g != f && !term_has(&d->terms[e], term->factors[g]))
                        contrast = false;
            }
            term->full[f] = !contrast;
        }
        for (size_t f = 0; f < term->n && first; f++)
            if (d->factors[term->factors[f]].kind != DESIGN_NUMBER) {
                term->full[f] = true;
                first = false;
            }
    }
}

static size_t coded_levels(const struct design *d, const struct design_term *t, size_t f)
{
    const struct design_factor *factor = &d->factors[t->factors[f]];

    return factor->kind == DESIGN_NUMBER ? 1 : factor->n_cells - (t->full[f] ? 0 : 1);
}

static const char *piece_text(struct cx *cx, const struct design *d,
                              const struct design_piece *p)
{
    const struct design_factor *f = &d->factors[p->factor];

    if (f->kind == DESIGN_NUMBER)
        return f->text;
    return cx_printf(cx, "%s%s", f->text,
                     f->kind == DESIGN_CLAIM ? (p->level ? "TRUE" : "FALSE")
                                             : f->levels.names[p->level]);
}

/* Column `which` of a term: the first factor's levels run fastest. */
static enum fault make_column(struct cx *cx, const struct design *d, int t, size_t which,
                              struct design_column *ret)
{
    const struct design_term *term = &d->terms[t];
    const char *name = NULL;

    *ret = (struct design_column){.term = t, .indicator = true, .n = term->n};
    CX_NEW(cx, ret->pieces, term->n);
    for (size_t f = 0; f < term->n; f++) {
        size_t levels = coded_levels(d, term, f);
        bool number = d->factors[term->factors[f]].kind == DESIGN_NUMBER;
        struct design_piece *p = &ret->pieces[f];

        p->factor = term->factors[f];
        p->contrast = !term->full[f] && !number;
        p->level = which % levels + (p->contrast ? 1 : 0);
        which /= levels;
        if (d->factors[p->factor].n_cells == 0)
            ret->indicator = false;
        const char *text = piece_text(cx, d, p);
        name = name == NULL || text == NULL ? text : cx_printf(cx, "%s:%s", name, text);
        if (name == NULL)
            return FAULT_MEMORY;
    }
    ret->name = name;
    return FAULT_NONE;
}

static enum fault make_columns(struct cx *cx, struct design *d, const char *analysis,
                               struct complaints *c)
{
    size_t n = d->intercept;

    for (size_t t = 0; t < d->n_terms; t++) {
        size_t columns = 1;
        for (size_t f = 0; f < d->terms[t].n && columns <= DESIGN_COLUMNS_MAX; f++)
            columns *= coded_levels(d, &d->terms[t], f);
        n += columns;
        if (n > DESIGN_COLUMNS_MAX) {
            complain(
                c, "too_many_columns",
                "%s: the model has more than %d coefficients; use fewer terms or levels",
                analysis, DESIGN_COLUMNS_MAX);
            return FAULT_NONE;
        }
    }
    if (n == 0) {
        complain(c, "model", "%s: the model has no coefficient; give it a term", analysis);
        return FAULT_NONE;
    }
    CX_NEW(cx, d->columns, n);
    if (d->intercept)
        d->columns[d->n_columns++] = (struct design_column){
            .name = "(Intercept)", .term = -1, .lower = 1, .upper = 1, .middle = 1};
    for (size_t t = 0; t < d->n_terms; t++) {
        size_t columns = 1;
        for (size_t f = 0; f < d->terms[t].n; f++)
            columns *= coded_levels(d, &d->terms[t], f);
        for (size_t i = 0; i < columns; i++)
            TRY(make_column(cx, d, (int)t, i, &d->columns[d->n_columns++]));
    }
    return FAULT_NONE;
}

static bool group_known(const struct design *d, const struct design_group *g)
{
    for (size_t i = 0; i < d->n_groups; i++)
        if (d->groups[i].n == g->n &&
            memcmp(d->groups[i].factors, g->factors, g->n * sizeof *g->factors) == 0)
            return true;
    return false;
}

static enum fault make_groups(struct cx *cx, struct design *d, const char *analysis,
                              struct complaints *c)
{
    CX_NEW(cx, d->groups, DESIGN_GROUPS_MAX);
    for (size_t t = 0; t < d->n_terms; t++) {
        struct design_group g = {.n_cells = 1};

        CX_NEW(cx, g.factors, d->terms[t].n);
        for (size_t f = 0; f < d->terms[t].n; f++) {
            size_t factor = d->terms[t].factors[f], cells = d->factors[factor].n_cells;

            if (cells == 0)
                continue;
            if (cells > DESIGN_CELLS_MAX / g.n_cells) {
                complain(c, "too_many_cells", "%s: `%s` has more than %d cells of levels",
                         analysis, d->terms[t].text, DESIGN_CELLS_MAX);
                return FAULT_NONE;
            }
            g.factors[g.n++] = factor;
            g.n_cells *= cells;
        }
        if (g.n == 0 || group_known(d, &g))
            continue;
        if (d->n_groups == DESIGN_GROUPS_MAX) {
            complain(c, "too_many_factors",
                     "%s: more than %d terms with levels; use fewer in one model", analysis,
                     DESIGN_GROUPS_MAX);
            return FAULT_NONE;
        }
        d->groups[d->n_groups++] = g;
    }
    return FAULT_NONE;
}

static enum fault group_cells(struct cx *cx, const struct design *d,
                              const struct design_group *g, struct plan *plan)
{
    const struct codebook *cb = d->asked->cb;

    for (size_t cell = 0; cell < g->n_cells; cell++) {
        struct ast *parts[FORMULA_FACTORS_MAX + 1];
        size_t n = 0, rest = cell;

        if (d->asked->cohort != NULL)
            parts[n++] = d->asked->cohort;
        for (size_t i = g->n; i-- > 0;) {
            const struct design_factor *f = &d->factors[g->factors[i]];
            size_t level = rest % f->n_cells;

            rest /= f->n_cells;
            parts[n++] = f->kind != DESIGN_CLAIM ? levels_is(cx, cb, &f->levels, level)
                         : level == 1            ? f->ast
                                                 : ast_not(cx, f->ast);
            if (parts[n - 1] == NULL)
                return FAULT_MEMORY;
        }
        struct ast *joined = ast_join(cx, COHORTIUM__AST_OP__AST_AND, parts, n);
        if (joined == NULL)
            return FAULT_MEMORY;
        plan->cells[plan->n_cells++] = joined;
    }
    return FAULT_NONE;
}

static enum fault fill_plan(struct cx *cx, const struct design *d, struct plan *plan)
{
    size_t cells = 1;

    ast_variables(d->response, plan->used);
    if (d->offset != NULL)
        ast_variables(d->offset, plan->used);
    if (d->weights >= 0)
        plan->used[d->weights] = true;
    CX_NEW(cx, plan->quasi_columns, d->asked->cb->body->n_variables);
    bool *numeric;
    CX_NEW(cx, numeric, d->asked->cb->body->n_variables);
    for (size_t f = 0; f < d->n_factors; f++) {
        const struct design_factor *factor = &d->factors[f];

        ast_variables(factor->ast, plan->used);
        if (factor->n_cells == 0)
            ast_variables(factor->ast, numeric);
        if (factor->n_cells > plan->widest_levels)
            plan->widest_levels = factor->n_cells;
    }
    for (size_t v = 0; v < d->asked->cb->body->n_variables; v++)
        if (numeric[v] && variable_is_quasi(codebook_variable(d->asked->cb, (int)v)))
            plan->quasi_columns[plan->n_quasi_columns++] = (int)v;
    for (size_t g = 0; g < d->n_groups; g++) {
        cells += d->groups[g].n_cells;
        if (d->groups[g].n_cells > plan->table_cells)
            plan->table_cells = d->groups[g].n_cells;
    }
    CX_NEW(cx, plan->cells, cells);
    plan->cells[plan->n_cells++] = d->asked->cohort;
    for (size_t g = 0; g < d->n_groups; g++)
        TRY(group_cells(cx, d, &d->groups[g], plan));
    return FAULT_NONE;
}

/* The middle is what the opening takes squares about. Squares about 0 lose nothing of
 * values that are small beside bounds on both sides of it. */
static void note_range(const struct measure *m, ref i, double *lower, double *upper,
                       double *middle)
{
    int e;

    *lower = m->nodes[i].lower;
    *upper = m->nodes[i].upper;
    double f = frexp(*lower / 2 + *upper / 2, &e);
    *middle = ldexp(nearbyint(ldexp(f, 12)), e - 12);
    if (*lower < 0 && *upper > 0)
        *middle = 0;
}

/* Builds all nodes once, without data: what is not finite is a complaint now. */
static enum fault find_ranges(struct cx *cx, struct design *d, const char *analysis,
                              struct complaints *c)
{
    struct measure *m;
    struct design_nodes nodes;

    TRY(measure_new(cx, d->asked->cb, &m));
    enum fault fault = design_nodes(d, m, &nodes);
    if (fault == FAULT_INVALID) {
        complain(c, "not_finite", "%s: %s", analysis, cx_message(cx));
        return FAULT_NONE;
    }
    TRY(fault);
    for (size_t i = 0; i < d->n_columns; i++) {
        struct design_column *column = &d->columns[i];
        note_range(m, nodes.columns[i], &column->lower, &column->upper, &column->middle);
    }
    note_range(m, nodes.y, &d->y_lower, &d->y_upper, &d->y_middle);
    d->offset_lower = nodes.offset == 0 ? 0 : m->nodes[nodes.offset].lower;
    d->offset_upper = nodes.offset == 0 ? 0 : m->nodes[nodes.offset].upper;
    d->w_upper = nodes.w == 0 ? 1 : m->nodes[nodes.w].upper;
    return FAULT_NONE;
}

enum fault design_open(struct cx *cx, const struct asked *asked, const char *analysis,
                       struct complaints *c, struct plan *plan, struct design **ret)
{
    const Cohortium__Params *p = asked->body->params;
    size_t before = c->n;
    struct design *d;

    *ret = NULL;
    if (p != NULL && (p->n_variables > 0 || p->by[0] != '\0' || p->missing))
        complain(c, "parameters",
                 "%s takes a formula only: no list of variables, no --by, no "
                 "--missing",
                 analysis);
    if (p == NULL || p->model == NULL || p->model->response == NULL) {
        complain(c, "model",
                 "%s needs a formula with a left side, for example `y ~ age + sex`",
                 analysis);
        return FAULT_NONE;
    }
    if (p->confidence != 0 && !(p->confidence >= 0.5 && p->confidence <= 0.999))
        complain(c, "parameters", "%s: --confidence lies between 0.5 and 0.999", analysis);
    if (p->model->n_terms > FORMULA_TERMS_MAX) {
        complain(c, "model", "%s: at most %d terms", analysis, FORMULA_TERMS_MAX);
        return FAULT_NONE;
    }
    CX_NEW(cx, d, 1);
    d->asked = cx_memdup(cx, asked, sizeof *asked); /* the caller's moves on */
    if (d->asked == NULL)
        return FAULT_MEMORY;
    d->intercept = !p->model->no_intercept;
    TRY(design_open_response(cx, d, p->model, analysis, c));
    TRY(open_terms(cx, p->model, d, analysis, c));
    if (c->n != before)
        return FAULT_NONE;
    choose_coding(d);
    TRY(make_columns(cx, d, analysis, c));
    TRY(make_groups(cx, d, analysis, c));
    if (c->n == before)
        TRY(find_ranges(cx, d, analysis, c));
    if (c->n != before)
        return FAULT_NONE;
    TRY(fill_plan(cx, d, plan));
    *ret = d;
    return FAULT_NONE;
}

static ref piece_node(struct measure *m, const struct design *d,
                      const struct design_piece *p)
{
    const struct design_factor *f = &d->factors[p->factor];

    if (f->kind == DESIGN_NUMBER)
        return m_value(m, f->ast);
    if (f->kind == DESIGN_CLAIM) {
        ref claim = m_is_true(m, f->ast);
        return p->level == 1 ? claim : m_unary(m, M_NOT, claim);
    }
    return m_binary(m, M_EQ, levels_key(m, &f->levels), m_const(m, (double)p->level));
}

enum fault design_nodes(const struct design *d, struct measure *m, struct design_nodes *ret)
{
    struct design_nodes n = {.all = m_is_true(m, d->asked->cohort)};
    ref complete = m_is_complete(m, d->response);

    if (d->offset != NULL)
        complete = m_binary(m, M_AND, complete, m_is_complete(m, d->offset));
    if (d->weights >= 0)
        complete = m_binary(m, M_AND, complete, m_valid(m, d->weights));
    for (size_t i = 0; i < d->n_factors; i++)
        complete = m_binary(m, M_AND, complete, m_is_complete(m, d->factors[i].ast));
    n.where = m_binary(m, M_AND, n.all, complete);
    n.missing = m_binary(m, M_AND, n.all, m_unary(m, M_NOT, complete));
    TRY(m_narrow(m, d->asked->cohort));
    m->guard_domain = true;
    if (d->weights >= 0) { /* R leaves rows of weight zero out of n and of the fit */
        ref w = m_column(m, d->weights);
        n.where = m_binary(m, M_AND, n.where, m_binary(m, M_LT, m_const(m, 0), w));
        n.w = m_binary(m, M_MAX, w, m_const(m, 0x1p-40));
    }
    n.y = m_value(m, d->response);
    if (d->offset != NULL)
        n.offset = m_value(m, d->offset);
    CX_NEW(m->cx, n.columns, d->n_columns);
    for (size_t i = 0; i < d->n_columns; i++) {
        n.columns[i] = m_const(m, 1);
        for (size_t p = 0; p < d->columns[i].n; p++)
            n.columns[i] = m_binary(m, M_MUL, n.columns[i],
                                    piece_node(m, d, &d->columns[i].pieces[p]));
    }
    *ret = n;
    return m->fault;
}

/*
 * regions.c - the alternatives of each cell on what an outsider cannot point at.
 *
 * An atom is a leaf of the canonical form (or its contrary: the two are always opposite).
 * Atoms whose variables are not all quasi-identifiers are replaced one after the other by
 * true and by false; equal expressions meet on the way, so 2^m assignments are rarely
 * tried.
 */
#include "analyses/regions.h"

#include <stdlib.h>
#include <string.h>

#include "analyses/ast_build.h"

enum { WORK_MAX = 4096 }; /* substitutions in one cell */

struct finder {
    struct cx *cx;
    const struct codebook *cb;
    bool *used; /* scratch, by variable */
    struct ast **open, **seen, **done;
    size_t n_open, n_seen, n_done;
};

static bool is_leaf(const struct ast *a)
{
    if (a->op == COHORTIUM__AST_OP__AST_NOT)
        return true; /* of a canonical form: not in, is not missing */
    return a->op != COHORTIUM__AST_OP__AST_AND && a->op != COHORTIUM__AST_OP__AST_OR;
}

static bool is_constant(const struct ast *a)
{
    return a->op == COHORTIUM__AST_OP__AST_TRUE || a->op == COHORTIUM__AST_OP__AST_FALSE;
}

static bool is_quasi(struct finder *f, const struct ast *leaf)
{
    size_t n = f->cb->body->n_variables;

    memset(f->used, 0, n * sizeof *f->used);
    ast_variables(leaf, f->used);
    for (size_t i = 0; i < n; i++)
        if (f->used[i] && !variable_is_quasi(codebook_variable(f->cb, (int)i)))
            return false;
    return true;
}

/* The first leaf that does not rest on quasi-identifiers alone, or NULL. */
static const struct ast *find_atom(struct finder *f, const struct ast *a)
{
    if (is_leaf(a))
        return is_constant(a) || is_quasi(f, a) ? NULL : a;
    for (size_t i = 0; i < a->n; i++) {
        const struct ast *atom = find_atom(f, a->args[i]);

        if (atom != NULL)
            return atom;
    }
    return NULL;
}

/* a with the atom set to value and its contrary to the opposite. */
static struct ast *substitute(struct finder *f, const struct ast *a, const struct ast *atom,
                              const struct ast *contrary, bool value)
{
    struct ast *made;

    if (ast_equal(a, atom))
        return ast_constant(f->cx, value);
    if (ast_equal(a, contrary))
        return ast_constant(f->cx, !value);
    made = cx_memdup(f->cx, a, sizeof *a);
    if (made == NULL || is_leaf(a))
        return made;
    made->args = cx_array(f->cx, a->n, sizeof(struct ast *));
    for (size_t i = 0; made->args != NULL && i < a->n; i++) {
        made->args[i] = substitute(f, a->args[i], atom, contrary, value);
        if (made->args[i] == NULL)
            return NULL;
    }
    return made->args != NULL ? made : NULL;
}

static bool is_among(const struct ast *a, struct ast *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ast_equal(a, list[i]))
            return true;
    return false;
}

/* Takes an expression up unless it was met before. True when nothing is left to open. */
static void take(struct finder *f, struct ast *a)
{
    if (is_among(a, f->seen, f->n_seen))
        return;
    f->seen[f->n_seen++] = a;
    if (a->op == COHORTIUM__AST_OP__AST_FALSE)
        return; /* nobody */
    if (find_atom(f, a) != NULL)
        f->open[f->n_open++] = a;
    else
        f->done[f->n_done++] = a;
}

/* Opens one expression by its first atom. */
static enum fault split(struct finder *f, const struct ast *a)
{
    const struct ast *atom = find_atom(f, a);
    struct ast *contrary, *part, *canonical;
    struct ast *denied = ast_not(f->cx, (struct ast *)atom);

    if (denied == NULL)
        return FAULT_MEMORY;
    TRY(ast_canonical(f->cx, f->cb, denied, &contrary));
    for (int value = 0; value < 2; value++) {
        part = substitute(f, a, atom, contrary, value);
        if (part == NULL)
            return FAULT_MEMORY;
        TRY(ast_canonical(f->cx, f->cb, part, &canonical));
        take(f, canonical);
    }
    return FAULT_NONE;
}

/* The regions of one cell, in f->done; *ret_ok false if they are too many. */
static enum fault open_cell(struct finder *f, const struct ast *cell, bool *ret_ok)
{
    struct ast *canonical;

    f->n_open = f->n_seen = f->n_done = 0;
    TRY(ast_canonical(f->cx, f->cb, cell, &canonical));
    take(f, canonical);
    for (size_t work = 0; f->n_open > 0 && f->n_done <= REGIONS_A_CELL_MAX; work++) {
        if (work == WORK_MAX) {
            *ret_ok = false;
            return FAULT_NONE;
        }
        TRY(cx_on_time(f->cx));
        TRY(split(f, f->open[--f->n_open]));
    }
    *ret_ok = f->n_done <= REGIONS_A_CELL_MAX;
    return FAULT_NONE;
}

static int compare_regions(const void *a, const void *b)
{
    const struct ast *const *x = a, *const *y = b;

    return ast_compare(*x, *y);
}

/* Sorts and drops duplicates; the list is bounded before it is merged. */
static size_t sort_distinct(struct ast **list, size_t n)
{
    size_t k = 0;

    qsort(list, n, sizeof *list, compare_regions);
    for (size_t i = 0; i < n; i++)
        if (k == 0 || !ast_equal(list[k - 1], list[i]))
            list[k++] = list[i];
    return k;
}

static enum fault finder_new(struct cx *cx, const struct codebook *cb, struct finder *ret)
{
    struct finder f = {.cx = cx, .cb = cb};
    size_t room = 2 * WORK_MAX + 2;

    CX_NEW(cx, f.used, cb->body->n_variables);
    CX_NEW(cx, f.open, room);
    CX_NEW(cx, f.seen, room);
    CX_NEW(cx, f.done, room);
    *ret = f;
    return FAULT_NONE;
}

/* A growing set of regions. */
struct gathered {
    size_t n;
    struct ast **list;
    bool everybody;
};
enum { ROOM = 2 * REGIONS_MAX };

static void gather(struct gathered *g, const struct finder *f)
{
    for (size_t k = 0; k < f->n_done && g->n < ROOM + REGIONS_A_CELL_MAX; k++)
        if (is_constant(f->done[k]))
            g->everybody = true; /* what is constant false was not taken up */
        else
            g->list[g->n++] = f->done[k];
    if (g->n >= ROOM)
        g->n = sort_distinct(g->list, g->n);
}

/* Optional are those that no cell needs which cannot be withheld. */
static enum fault mark_optional(struct cx *cx, const struct gathered *needed,
                                struct regions *r)
{
    CX_NEW(cx, r->optional, r->n);
    for (size_t i = 0; i < r->n; i++)
        r->optional[i] = true;
    for (size_t i = 0; i < needed->n && r->n > 0; i++) {
        struct ast **at =
            bsearch(&needed->list[i], r->list, r->n, sizeof *r->list, compare_regions);

        if (at != NULL)
            r->optional[at - r->list] = false;
    }
    return FAULT_NONE;
}

enum fault regions_make(struct cx *cx, const struct codebook *cb, struct ast *const *cells,
                        const bool *optional, size_t n_cells, struct complaints *c,
                        struct regions *ret)
{
    struct gathered all = {0}, needed = {0};
    struct finder f;
    bool ok;

    TRY(finder_new(cx, cb, &f));
    CX_NEW(cx, all.list, ROOM + REGIONS_A_CELL_MAX);
    CX_NEW(cx, needed.list, ROOM + REGIONS_A_CELL_MAX);
    for (size_t i = 0; i < n_cells; i++) {
        if (cells[i] == NULL) {
            all.everybody = true; /* the namespace, always in the ledger */
            continue;
        }
        TRY(open_cell(&f, cells[i], &ok));
        if (!ok) {
            complain(
                c, "too_many_regions",
                "too many alternatives on variables that are not quasi-identifiers: a "
                "cell may rest on at most %d patient sets; use fewer conditions joined "
                "by `or`",
                REGIONS_A_CELL_MAX);
            return c->fault;
        }
        gather(&all, &f);
        if (optional == NULL || !optional[i])
            gather(&needed, &f);
        if (all.n >= ROOM)
            break;
    }
    struct regions made = {.n = sort_distinct(all.list, all.n),
                           .list = all.list,
                           .everybody = all.everybody,
                           .n_cells = n_cells};
    if (made.n > REGIONS_MAX) {
        complain(
            c, "too_many_regions",
            "the cells of this question rest on more than %d patient sets; ask for fewer "
            "groups",
            REGIONS_MAX);
        return c->fault;
    }
    TRY(mark_optional(cx, &needed, &made));
    *ret = made;
    return FAULT_NONE;
}

/* advice.c - see advice.h. */
#include "analyses/advice.h"

#include <string.h>

#include "analyses/levels.h"

const char withheld_reason[] = "some rule of the sites keeps this number back";

struct giving {
    struct cx *cx;
    const struct asked *asked;
    const struct plan *plan;
    struct advice *advice;
    enum fault fault;
};

static void give(struct giving *g, const char *text)
{
    if (text == NULL)
        g->fault = FAULT_MEMORY;
    else if (g->advice->n < ADVICE_MAX)
        g->advice->lines[g->advice->n++] = text;
}

static void give_cohort(struct giving *g)
{
    const struct ast *cohort = g->asked->cohort;

    if (cohort == NULL)
        return;
    if (cohort->op == COHORTIUM__AST_OP__AST_AND)
        give(g, cx_printf(g->cx,
                          "a larger cohort: leave out one of its %zu conditions, or make "
                          "one wider",
                          cohort->n));
    else
        give(g, "a larger cohort: make its condition wider, or leave it out");
}

/* ---- the grid ---- */

static size_t levels_there(struct giving *g, int variable)
{
    const struct codebook *cb = g->asked->cb;
    struct levels l;

    if (variable < 0 || !levels_offered(codebook_variable(cb, variable)))
        return 0;
    if (levels_of(g->cx, cb, variable, &l) == FAULT_NONE)
        return l.n;
    g->fault = FAULT_MEMORY;
    return 0;
}

/* One that the codebook derives from the same source, with fewer levels. */
static bool give_derived(struct giving *g, int variable, size_t levels)
{
    const struct codebook *cb = g->asked->cb;
    const Cohortium__Variable *v = codebook_variable(cb, variable);
    const char *source = variable_is_derived(v) ? v->from : v->name;

    for (size_t i = 0; i < cb->body->n_variables; i++) {
        const Cohortium__Variable *other = codebook_variable(cb, (int)i);

        if (strcmp(other->from, source) != 0 || other->n_levels >= levels)
            continue;
        give(g, cx_printf(g->cx, "a coarser grid: `%s` has %zu levels, `%s` has %zu",
                          v->name, levels, other->name, other->n_levels));
        return true;
    }
    return false;
}

/* Of variables as levels, the one with most of them: where a coarser one would gain most.
 */
static void give_coarser(struct giving *g, char *const *names, size_t n)
{
    const struct codebook *cb = g->asked->cb;
    size_t most = 2;
    int widest = -1;

    for (size_t i = 0; i < n; i++) {
        int variable = codebook_find(cb, names[i]);
        size_t levels = levels_there(g, variable);

        if (levels > most) {
            widest = variable;
            most = levels;
        }
    }
    if (widest >= 0 && give_derived(g, widest, most))
        return;
    if (widest >= 0)
        give(g, cx_printf(
                    g->cx,
                    "a coarser grid: `%s` has %zu levels; take a variable with fewer, or "
                    "ask for some of them as a cohort",
                    codebook_variable(cb, widest)->name, most));
}

static void give_fewer(struct giving *g, const Cohortium__Params *p)
{
    if (strcmp(g->asked->body->analysis, "table") != 0 || p->n_variables < 2)
        return;
    give(g, cx_printf(g->cx, "fewer variables: this table has %zu, with %llu cells",
                      p->n_variables, (unsigned long long)g->plan->table_cells));
}

static void give_groups(struct giving *g, const Cohortium__Params *p)
{
    if (p->by[0] != '\0')
        give(g, cx_printf(g->cx,
                          "larger groups: leave out --by %s, or take a variable with "
                          "fewer levels",
                          p->by));
    if (p->missing)
        give(g, "fewer cells: leave out --missing");
}

/* ---- models ---- */

/* A variable whose levels are terms; NULL: it is a number. */
static char *factor_name(struct giving *g, const Cohortium__Factor *f)
{
    if (f->value == NULL || f->value->n_nodes != 1)
        return NULL;
    char *name = f->value->nodes[0]->variable;
    int variable = codebook_find(g->asked->cb, name);
    bool as_levels =
        variable >= 0 &&
        (f->as_factor || variable_has_levels(codebook_variable(g->asked->cb, variable)));
    return as_levels ? name : NULL;
}

static bool has_interaction(const Cohortium__Model *m)
{
    for (size_t i = 0; i < m->n_terms; i++)
        if (m->terms[i]->n_factors > 1)
            return true;
    return false;
}

static void give_model(struct giving *g, const Cohortium__Model *m)
{
    size_t n = 0;
    char **names;

    names = cx_array(g->cx, m->n_terms + 1, sizeof *names);
    if (names == NULL) {
        g->fault = FAULT_MEMORY;
        return;
    }
    if (m->n_terms > 1)
        give(g, cx_printf(g->cx, "a smaller model: leave out one of its %zu terms",
                          m->n_terms));
    if (has_interaction(m))
        give(g, "no interactions: each combination of levels needs patients of its own");
    for (size_t i = 0; i < m->n_terms; i++)
        if (m->terms[i]->n_factors == 1 &&
            (names[n] = factor_name(g, m->terms[i]->factors[0])) != NULL)
            n++;
    give_coarser(g, names, n);
}

/* ---- sites ---- */

static void give_sites(struct giving *g, size_t members)
{
    const Cohortium__Question *q = g->asked->body;

    if (q->by_site)
        give(g, "all sites as one: leave out --by-site");
    else if (q->n_sites < members)
        give(g, cx_printf(g->cx, "more sites: %zu of the %zu that hold data were asked",
                          q->n_sites, members));
}

enum fault advice_make(struct cx *cx, const struct asked *asked, const struct plan *plan,
                       size_t members, struct advice *ret)
{
    const Cohortium__Params *p = asked->body->params;
    struct giving g = {.cx = cx, .asked = asked, .plan = plan, .advice = ret};

    *ret = (struct advice){0};
    give_cohort(&g);
    if (p != NULL) {
        give_fewer(&g, p);
        if (strcmp(asked->body->analysis, "table") == 0)
            give_coarser(&g, p->variables, p->n_variables);
        give_groups(&g, p);
    }
    if (p != NULL && p->model != NULL)
        give_model(&g, p->model);
    give_sites(&g, members);
    return g.fault;
}

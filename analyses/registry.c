/* registry.c - the list of analyses, and a question opened against it: no data yet. */
#include "analyses/registry.h"

#include <string.h>

static const struct analysis *const analyses[] = {
    &analysis_count_patients,
    &analysis_table,
    &analysis_describe,
    &analysis_lm,
    &analysis_glm,
};

size_t analysis_count(void)
{
    return COUNT(analyses);
}

const struct analysis *analysis_at(size_t i)
{
    return i < COUNT(analyses) ? analyses[i] : NULL;
}

const struct analysis *analysis_find(const char *name)
{
    for (size_t i = 0; i < COUNT(analyses); i++)
        if (strcmp(analyses[i]->name, name) == 0)
            return analyses[i];
    return NULL;
}

static void complain_unknown(struct complaints *c, const char *name)
{
    const char *names[COUNT(analyses)], *near;
    struct buffer list = buffer_new(c->cx, 4096);

    for (size_t i = 0; i < COUNT(analyses); i++) {
        names[i] = analyses[i]->name;
        buffer_printf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const char *all = buffer_string(&list);
    near = bytes_nearest(name, names, COUNT(analyses));
    if (near != NULL)
        complain(c, "unknown_analysis", "no analysis `%s`; did you mean `%s`?", name, near);
    else
        complain(c, "unknown_analysis", "no analysis `%s`; there are: %s", name,
                 all == NULL ? "" : all);
}

static const struct analysis *
open_names(const struct codebook *cb, const Cohortium__Question *body, struct complaints *c)
{
    const struct analysis *a = analysis_find(body->analysis);

    if (a == NULL)
        complain_unknown(c, body->analysis);
    else if (body->analysis_version != a->version)
        complain(c, "analysis_version",
                 "%s: the question asks for version %u, this site has version %u; use the "
                 "same release of the software",
                 a->name, body->analysis_version, a->version);
    if (strcmp(body->dataset, cb->body->name) != 0)
        complain(c, "unknown_dataset",
                 "the question is about `%s`, this codebook is of `%s`", body->dataset,
                 cb->body->name);
    if (!bytes_equal(PB_BYTES(body->codebook), bytes_of(cb->digest, sizeof cb->digest)))
        complain(
            c, "codebook",
            "this site's codebook of %s is another one; ask `cohortium codebook %s` for "
            "the one in force, or its officers to agree on one",
            cb->body->name, cb->body->name);
    return a;
}

/* The canonical form is part of the question digest: another spelling of the same cohort
 * would be another question. */
static enum fault open_cohort(struct cx *cx, struct asked *asked, struct complaints *c)
{
    struct ast *sent, *canonical;

    TRY(ast_open(cx, asked->cb, asked->body->cohort, AST_TYPE_BOOL, c, &sent));
    if (sent == NULL)
        return FAULT_NONE;
    TRY(ast_canonical(cx, asked->cb, sent, &canonical));
    if (canonical != NULL && canonical->op == COHORTIUM__AST_OP__AST_FALSE)
        complain(c, "empty_cohort",
                 "the cohort is false for every row that the codebook allows; check its "
                 "comparisons against the bounds and levels of %s",
                 asked->cb->body->name);
    else if (canonical == NULL || canonical->op == COHORTIUM__AST_OP__AST_TRUE ||
             !ast_equal(sent, canonical))
        complain(
            c, "cohort_form",
            "the cohort is not in its canonical form `%s`; use the same release of the "
            "software (a cohort of everybody is left out)",
            ast_text(cx, asked->cb, canonical));
    else
        asked->cohort = canonical;
    if (!asked->testing)
        ast_complain_closed(c, cx, asked->cb, sent);
    return FAULT_NONE;
}

static void complain_unusable(const struct codebook *cb, const struct plan *plan,
                              struct complaints *c)
{
    for (size_t i = 0; plan->used != NULL && i < cb->body->n_variables; i++)
        if (plan->used[i] && !variable_is_usable(cb->body->variables[i]))
            complain(c, "unusable_variable",
                     "`%s` is a direct identifier or hidden; a question cannot name it",
                     cb->body->variables[i]->name);
}

enum fault plan_optional(struct cx *cx, const struct asked *asked, const struct plan *plan,
                         bool **ret)
{
    bool *optional;

    *ret = NULL;
    if (!plan->cells_stand_alone)
        return FAULT_NONE;
    CX_NEW(cx, optional, plan->n_cells + 1); /* and the cohort, where it is no cell yet */
    for (size_t i = 0; i < plan->n_cells; i++)
        optional[i] = plan->cells[i] != asked->cohort;
    *ret = optional;
    return FAULT_NONE;
}

/* The groups of a cohort add up to it, so its own regions are judged and remembered with
 * theirs: all but a few patients by group are all but a few patients. */
static enum fault cells_with_cohort(struct cx *cx, const struct asked *asked,
                                    const struct plan *plan, struct ast ***ret,
                                    size_t *ret_n)
{
    struct ast **cells;
    bool held = asked->cohort == NULL;

    CX_NEW(cx, cells, plan->n_cells + 1);
    for (size_t i = 0; i < plan->n_cells; i++) {
        held = held || plan->cells[i] == asked->cohort;
        cells[i] = plan->cells[i];
    }
    cells[plan->n_cells] = asked->cohort;
    *ret = cells;
    *ret_n = plan->n_cells + !held;
    return FAULT_NONE;
}

static enum fault open_regions(struct cx *cx, const struct asked *asked,
                               const struct plan *plan, struct complaints *c,
                               struct regions *ret)
{
    struct ast **cells;
    bool *optional;
    size_t n;

    TRY(plan_optional(cx, asked, plan, &optional));
    TRY(cells_with_cohort(cx, asked, plan, &cells, &n));
    return regions_make(cx, asked->cb, cells, optional, n, c, ret);
}

size_t question_columns(const struct plan *plan, const struct regions *regions)
{
    return (regions->everybody + regions->n) * (1 + plan->n_quasi_columns);
}

enum fault question_open(struct cx *cx, const struct codebook *cb,
                         const Cohortium__Question *body, bool testing, unsigned rows_log2,
                         struct complaints *c, struct asked *ret_asked,
                         struct plan *ret_plan, struct regions *ret_regions,
                         const struct analysis **ret_analysis)
{
    struct asked asked = {
        .cb = cb, .body = body, .testing = testing, .rows_log2 = rows_log2};
    struct plan plan = {0};
    struct regions regions = {0};
    const struct analysis *analysis = open_names(cb, body, c);

    CX_NEW(cx, plan.used, cb->body->n_variables);
    TRY(open_cohort(cx, &asked, c));
    if (analysis != NULL)
        TRY(analysis->check(cx, &asked, c, &plan));
    if (asked.cohort != NULL)
        ast_variables(asked.cohort, plan.used);
    if (c->n == 0)
        complain_unusable(cb, &plan, c);
    /* The testing class has no ledger, so nothing rests on regions there (and no limit of
     * theirs may refuse a test's question). */
    if (c->n == 0 && !testing)
        TRY(open_regions(cx, &asked, &plan, c, &regions));
    if (c->fault != FAULT_NONE)
        return c->fault;
    *ret_asked = asked;
    *ret_plan = plan;
    *ret_regions = regions;
    *ret_analysis = c->n == 0 ? analysis : NULL;
    return FAULT_NONE;
}

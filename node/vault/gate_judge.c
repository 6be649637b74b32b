/*
 * gate_judge.c - rules that are decided before a release: of the question alone, of its
 * regions, of the pooled result.
 *
 * An objection is a reason for this site's own log: it names rule and place, never a number
 * of patients, and no peer hears it (a peer sees a random word or none).
 */
#include "node/vault/gate_private.h"

#include <math.h>
#include <string.h>

enum { MASKS_NEED_SITES = 3 };

/* ---- static: R13, R20, allowed statistics, by-site ---- */

static bool was_said(const struct complaints *c, const char *code)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->list[i]->code, code) == 0)
            return true;
    return false;
}

static void complain_sites(const struct policy *session, const struct asked *asked,
                           struct complaints *c)
{
    double need = fmax(session->number[POLICY_MIN_SITES], MASKS_NEED_SITES);
    bool by_site = session->number[POLICY_BY_SITE] >= 1;

    if (asked->body->by_site) {
        if (!by_site && !was_said(c, "by_site_not_allowed"))
            complain(c, "by_site_not_allowed",
                     "by_site: the policy of these sites allows no answers by site; leave "
                     "--by-site out, or leave out the sites that do not allow it");
        return;
    }
    if ((double)asked->body->n_sites < need)
        complain(
            c, "too_few_sites",
            "R20: a pooled answer needs at least %.0f sites and %zu %s asked; ask more "
            "sites%s",
            need, asked->body->n_sites, asked->body->n_sites == 1 ? "is" : "are",
            by_site ? ", or add --by-site" : "");
}

static void complain_levels(const struct policy *session, const struct plan *plan,
                            struct complaints *c)
{
    double most = session->number[POLICY_MAX_LEVELS];

    if ((double)plan->widest_levels > most)
        complain(c, "too_many_levels",
                 "R13: a variable of this question has %llu levels, and the policy allows "
                 "%.0f; choose one with fewer",
                 (unsigned long long)plan->widest_levels, most);
    if ((double)plan->table_cells > most * most)
        complain(c, "too_many_cells",
                 "R13: this question has %llu cells, and the policy allows %.0f; choose "
                 "variables with fewer levels, or fewer of them",
                 (unsigned long long)plan->table_cells, most * most);
}

/* A fit of a 0/1 variable is a count of its ones: intercept 0.015 of 200 is three patients.
 * A binomial fit counts the classes of its outcome (R1); others take it for a number. */
static void complain_response(const struct asked *asked, struct complaints *c)
{
    const Cohortium__Params *p = asked->body->params;
    const Cohortium__Model *m = p != NULL ? p->model : NULL;

    if (asked->testing || m == NULL || m->response == NULL || asked->cb == NULL ||
        strcmp(m->family, "binomial") == 0 || strcmp(m->family, "quasibinomial") == 0)
        return;
    for (size_t i = 0; i < m->response->n_nodes; i++) {
        const Cohortium__AstNode *node = m->response->nodes[i];
        int v = node->op == COHORTIUM__AST_OP__AST_VARIABLE
                    ? codebook_find(asked->cb, node->variable)
                    : -1;

        if (v >= 0 && codebook_variable(asked->cb, v)->type == COHORTIUM__VAR_TYPE__BINARY)
            complain(c, "binary_response",
                     "R1: `%s` is yes or no, and its classes are counted only where it is "
                     "the outcome of `glm ... --family binomial`; ask that",
                     node->variable);
    }
}

enum fault gate_preflight(struct cx *cx, const struct policy *session,
                          const struct asked *asked, const struct plan *plan,
                          const struct analysis *analysis, struct complaints *c)
{
    (void)cx;
    if (!policy_allows(session, analysis->name))
        complain(c, "statistic_not_allowed",
                 "allowed_statistics: the policy of these sites does not answer `%s`; ask "
                 "another analysis, or ask an officer to allow it",
                 analysis->name);
    complain_sites(session, asked, c);
    complain_levels(session, plan, c);
    complain_response(asked, c);
    return c->fault;
}

/* ---- regions: R1, R2, R21 ---- */

static const char *said(struct cx *cx, const char *text)
{
    return text != NULL ? text
                        : (cx_message(cx)[0] != '\0' ? cx_message(cx) : "out of memory");
}

struct finding {
    const char *rule, *text; /* NULL: none */
};

static struct finding judge_region(const struct policy *session, uint64_t size,
                                   uint64_t population)
{
    if (size > population)
        return (struct finding){"regions", "is larger than the population"};
    if ((double)size < session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD])
        return (struct finding){"R1",
                                "holds fewer patients than minimum_frequency_threshold"};
    if ((double)(population - size) < session->number[POLICY_MINIMUM_COMPLEMENT])
        return (struct finding){"R2",
                                "leaves fewer patients outside than minimum_complement"};
    return (struct finding){0};
}

enum fault gate_regions(struct cx *cx, const struct policy *session,
                        const struct regions *regions, const uint64_t *sizes,
                        uint64_t population, bool *ret_small, const char **ret_objection)
{
    *ret_objection = NULL;
    for (size_t i = 0; ret_small != NULL && i < regions->n; i++)
        ret_small[i] = false;
    if (session->testing)
        return FAULT_NONE;
    if ((double)population < session->number[POLICY_MINIMUM_POPULATION]) {
        *ret_objection = "R21: fewer patients in all than minimum_population";
        return FAULT_NONE;
    }
    for (size_t i = 0; i < regions->n; i++) {
        struct finding wrong = judge_region(session, sizes[i], population);
        bool optional = regions->optional != NULL && regions->optional[i];

        if (wrong.rule == NULL)
            continue;
        if (ret_small != NULL)
            ret_small[i] = true;
        if ((!optional || sizes[i] > population) && *ret_objection == NULL)
            *ret_objection = said(cx, cx_printf(cx, "%s: region %zu of %zu %s", wrong.rule,
                                                i + 1, regions->n, wrong.text));
    }
    return FAULT_NONE;
}

/* ---- the pooled result: R1, R4, R6, R7, R9, R13 ---- */

const char *judge_model(const struct policy *session, const struct result *result)
{
    double n = (double)result->model_patients;

    if (session->testing || !result->is_model)
        return NULL;
    if (n < session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD])
        return "R1: fewer patients in the model than minimum_frequency_threshold";
    if (!(result->residual_df >= session->number[POLICY_RESIDUAL_DOF_MIN]))
        return "R6: fewer residual degrees of freedom than residual_dof_min";
    if ((double)result->parameters > session->number[POLICY_MAX_PARAMETER_RATIO] * n)
        return "R7: more parameters a patient than max_parameter_ratio";
    if ((double)result->smallest_cell >=
        session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD])
        return NULL;
    /* Zero alike: a column without anybody is aliased, one with somebody has too much
     * leverage, so an answer to the first tells nobody from somebody (DISCLOSURE.md 0.6).
     */
    return result->trouble != NULL
               ? "R1: the fit had trouble, and a cell of the model is too small to say "
                 "which"
               : "R1: a cell of the model, or a class of its outcome, holds fewer patients "
                 "than minimum_frequency_threshold";
}

size_t account_columns(const struct result *r)
{
    for (size_t i = 0; i < r->n_items; i++)
        if (r->items[i].kind != COHORTIUM__ITEM_KIND__WORDS &&
            r->items[i].rows * r->items[i].columns == r->accounting.n)
            return r->items[i].columns;
    return 1;
}

/* Patients in the whole of a result, at least: the largest sum that one of its parts shows.
 */
static double pooled_total(const struct result *r)
{
    double total = r->is_model ? (double)r->model_patients : 0;

    if (r->has_accounting) { /* variables by groups: one variable's groups are everybody */
        double all = 0;

        for (size_t i = 0; i < account_columns(r) && i < r->accounting.n; i++)
            all += (double)r->accounting.all_patients[i];
        total = fmax(total, all);
    }
    for (size_t i = 0; i < r->n_items; i++) {
        const struct item *item = &r->items[i];
        double sum = 0;

        if (item->kind != COHORTIUM__ITEM_KIND__COUNTS || item->support == NULL)
            continue;
        for (size_t j = 0; j < item->rows * item->columns; j++)
            sum += (double)item->support[j];
        total = fmax(total, sum);
    }
    return total;
}

/* ---- R3 of a cohort ---- */

/* Whether it compares a sensitive variable; that a value is missing says nothing of it. */
static bool is_sensitive(const struct codebook *cb, const struct ast *a)
{
    if (a->op == COHORTIUM__AST_OP__AST_IS_MISSING)
        return false;
    if (a->op == COHORTIUM__AST_OP__AST_VARIABLE)
        return codebook_variable(cb, a->variable)->role == COHORTIUM__ROLE__SENSITIVE;
    for (size_t i = 0; i < a->n; i++)
        if (is_sensitive(cb, a->args[i]))
            return true;
    return false;
}

/* Nearly all of the region are in the cohort, or hardly anybody beside the region is. */
static bool tells_a_class(const struct policy *session, double cohort, double region)
{
    if (cohort <= region)
        return cohort >= session->number[POLICY_CLASS_DISCLOSURE_MAX_SHARE] * region;
    return cohort - region < session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD];
}

enum fault judge_cohort(struct cx *cx, const struct policy *session,
                        const struct asked *asked, const struct pool *pool,
                        const struct result *result, const char **ret_why)
{
    static const char why[] = "R3: of nearly all of a region the cohort tells what a "
                              "sensitive variable says of them";
    struct ast *cohort = asked->cohort;
    struct complaints c = complaints_new(cx);
    struct regions own;
    double n = pooled_total(result);

    *ret_why = NULL;
    if (session->testing || pool == NULL || cohort == NULL ||
        !is_sensitive(asked->cb, cohort))
        return FAULT_NONE;
    TRY(regions_make(cx, asked->cb, &cohort, NULL, 1, &c, &own));
    if (tells_a_class(session, n, (double)pool->population))
        *ret_why = why;
    for (size_t i = 0; i < own.n; i++)
        for (size_t k = 0; k < pool->regions->n; k++)
            if (ast_equal(own.list[i], pool->regions->list[k]) &&
                tells_a_class(session, n, (double)pool->sizes[k]))
                *ret_why = why;
    return FAULT_NONE;
}

/* ---- the veto ---- */

static const char *judge_guard(const struct policy *session, const struct guard_seen *g,
                               double pooled)
{
    double share =
        session->number[POLICY_DOMINANCE_K] / session->number[POLICY_DOMINANCE_N];

    if (!isfinite(g->largest))
        return "R4, R9: one patient's part cannot be told";
    if (g->rule == GUARD_LEVERAGE)
        return g->largest > session->number[POLICY_MODEL_MAX_LEVERAGE]
                   ? "R9: one patient's leverage is above model_max_leverage"
                   : NULL;
    if (g->largest <= 0 || pooled == INFINITY)
        return NULL; /* nothing here; a cell that R1 withholds, nobody in it or a few alike
                      */
    if (!isfinite(pooled) || g->largest >= share * pooled)
        return "R4: one patient's part of a sum reaches dominance_k / dominance_n";
    return NULL;
}

enum fault gate_guard_sums(struct cx *cx, const struct policy *session,
                           struct rounds *rounds, const struct measure *m,
                           const struct tally *t, double **ret, size_t *ret_n)
{
    double k = session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD];
    size_t n = 0, n_cells = 0, first = 0, at = 0;
    double *sums;
    bool *held;

    for (size_t b = 0; b < m->n_blocks; b++) {
        n += m->blocks[b].n_guards * m->blocks[b].n_cells;
        n_cells += m->blocks[b].n_cells;
    }
    CX_NEW(cx, sums, n);
    CX_NEW(cx, held, n_cells);
    TRY(gate_rounds_withhold(cx, rounds, m, NULL, held));
    for (size_t b = 0; b < m->n_blocks; first += m->blocks[b++].n_cells) {
        const struct block *block = &m->blocks[b];

        for (size_t g = 0; g < block->n_guards; g++)
            for (size_t c = 0; c < block->n_cells; c++, at++) {
                bool few = (double)pooled_patients(m, t, b, c) < k || held[first + c];

                sums[at] = few ? INFINITY : NAN;
                for (size_t i = 0; i < block->n_sums && isnan(sums[at]); i++)
                    if (block->sums[i] == block->guards[g].expr)
                        sums[at] = pooled_number(m, t, b, c, i).hi;
            }
    }
    *ret = sums;
    *ret_n = n;
    return FAULT_NONE;
}

/* A fit whose leverages nobody looked at is no better than one that has too much. */
static const char *judge_guards(const struct policy *session, const struct result *result,
                                const struct guard_seen *guards, size_t n,
                                const double *sums)
{
    bool looked = !result->is_model || result->trouble != NULL;

    for (size_t i = 0; i < n; i++) {
        const char *why = judge_guard(session, &guards[i], sums != NULL ? sums[i] : NAN);

        if (why != NULL)
            return why;
        looked = looked || guards[i].rule == GUARD_LEVERAGE;
    }
    return looked ? NULL : "R9: no round has shown the leverages of this model";
}

enum fault gate_judge(struct cx *cx, const struct policy *session,
                      const struct asked *asked, const struct plan *plan,
                      const struct result *result, const struct guard_seen *guards,
                      size_t n_guards, const double *pooled_guard_sums,
                      const char **ret_objection)
{
    (void)cx;
    (void)asked;
    *ret_objection = NULL;
    if (session->testing)
        return FAULT_NONE;
    *ret_objection = judge_model(session, result);
    if (policy_is_noised(session))
        return FAULT_NONE; /* the others look at exact numbers */
    if (*ret_objection == NULL && plan->widest_levels > 1 && /* one is no grouping */
        (double)plan->widest_levels >
            session->number[POLICY_MAX_LEVEL_DENSITY] * pooled_total(result))
        *ret_objection = "R13: more levels a patient than max_level_density";
    if (*ret_objection == NULL)
        *ret_objection = judge_guards(session, result, guards, n_guards, pooled_guard_sums);
    return FAULT_NONE;
}

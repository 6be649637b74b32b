/* redteam.c - attacks as series of questions, and what their answers add up to (redteam.h).
 */
#include "node/vault/redteam.h"

#include <math.h>
#include <string.h>

#include "node/vault/redteam_victims.h"
#include "node/vault/trial.h"

enum { PARTITIONS = 8, BISECTIONS = 40 };

struct raid { /* one attack on one victim */
    struct cx *cx;
    struct vault *v;
    struct trial_side *side;
    const struct victims *victims;
    const struct victim *victim;
    struct redteam_finding *finding;
    const Cohortium__Question *form; /* dataset, codebook, sites */
    bool stuck;                      /* a number that it needs is withheld */
    bool answered;                   /* the newest question was released */
};

/* ---- asking ---- */

static enum fault note_why(struct raid *r, const char *why)
{
    r->finding->why = cx_strdup(r->cx, why);
    return r->finding->why != NULL ? FAULT_NONE : FAULT_MEMORY;
}

/* One number of one answer; stuck where it is not given. */
static enum fault play(struct raid *r, Cohortium__Question *q, const char *const *items,
                       size_t n, double *ret)
{
    AUTO_CX struct cx *own = cx_new(JOB_MEMORY, cx_deadline(r->cx));
    struct trial t = {.cx = own, .v = r->v, .side = r->side};

    if (own == NULL)
        return cx_fail(r->cx, FAULT_MEMORY, "out of memory for an attack");
    t.request = (Cohortium__Request)COHORTIUM__REQUEST__INIT;
    t.request.question = q;
    r->finding->questions++;
    enum fault fault = trial_play(&t);
    if (fault != FAULT_NONE)
        return cx_fail(r->cx, fault, "%s", cx_message(own));
    r->answered = t.release != NULL && t.release->released;
    for (size_t i = 0; i < n; i++) {
        const Cohortium__Item *item =
            r->answered ? released_item(t.release->result, items[i]) : NULL;
        int state = 1;

        ret[i] = item != NULL ? released_value(item, 0, &state) : NAN;
        r->answered = r->answered && state == 0;
        r->stuck = r->stuck || state != 0;
    }
    return r->answered || t.verdict.why == NULL ? FAULT_NONE : note_why(r, t.verdict.why);
}

/* cohort NULL: everybody. */
static enum fault put_cohort(struct raid *r, struct ast *cohort, Cohortium__Question *q)
{
    struct ast *canonical;

    if (cohort == NULL)
        return FAULT_NONE;
    TRY(ast_canonical(r->cx, r->victims->cb, cohort, &canonical));
    if (canonical == NULL || canonical->op == COHORTIUM__AST_OP__AST_TRUE)
        return FAULT_NONE;
    return ast_to_pb(r->cx, r->victims->cb, canonical, &q->cohort);
}

static enum fault make_question(struct raid *r, const char *analysis, struct ast *cohort,
                                Cohortium__Question *ret)
{
    *ret = *r->form;
    ret->analysis = (char *)analysis;
    ret->analysis_version = analysis_find(analysis)->version;
    return put_cohort(r, cohort, ret);
}

static enum fault no_memory(const struct ast *a)
{
    return a == NULL ? FAULT_MEMORY : FAULT_NONE;
}

/* Adds times * the patients of the cohort to *sum. */
static enum fault count(struct raid *r, struct ast *cohort, double times, double *sum)
{
    static const char *const items[] = {"patients"};
    Cohortium__Question q;
    double n;

    TRY(no_memory(cohort));
    TRY(make_question(r, "count", cohort, &q));
    TRY(play(r, &q, items, 1, &n));
    *sum += times * n;
    return FAULT_NONE;
}

static const char *number_name(const struct raid *r)
{
    return codebook_variable(r->victims->cb, r->victims->number)->name;
}

/* Of the number: its mean, then n, then its spread, so many of them. */
static enum fault describe(struct raid *r, struct ast *cohort, size_t n, double *ret)
{
    static const char *const items[] = {"mean", "n", "sd"};
    Cohortium__Params params = COHORTIUM__PARAMS__INIT;
    char *name = (char *)number_name(r);
    Cohortium__Question q;

    TRY(make_question(r, "describe", cohort, &q));
    params.variables = &name;
    params.n_variables = 1;
    q.params = &params;
    return play(r, &q, items, n, ret);
}

static struct ast *with(struct raid *r, struct ast *a)
{
    return victims_and(r->cx, a, r->victim->secret);
}

static struct ast *without(struct raid *r, struct ast *a, struct ast *b)
{
    return victims_and(r->cx, a, ast_not(r->cx, b));
}

/* What the victim has in common with the most, and all the rest of it. */
static struct ast *common(const struct raid *r)
{
    return r->victim->parts[0];
}

static struct ast *rest(struct raid *r)
{
    return ast_join(r->cx, COHORTIUM__AST_OP__AST_AND, r->victim->parts + 1,
                    r->victim->n - 1);
}

/* A cut through the middle of another variable. */
static struct ast *half(struct raid *r)
{
    const struct victims *w = r->victims;
    const Cohortium__Variable *v = codebook_variable(w->cb, w->other);

    if (v->type == COHORTIUM__VAR_TYPE__BINARY)
        return victims_compare(r->cx, w->cb, COHORTIUM__AST_OP__AST_EQ, w->other, 1);
    return victims_compare(r->cx, w->cb, COHORTIUM__AST_OP__AST_LT, w->other,
                           floor((v->lower + v->upper) / 2));
}

/* ---- attacks after the secret: each guess is 1 where it is right ---- */

static enum fault small_cell(struct raid *r, double *guess)
{
    return count(r, with(r, r->victim->cell), 1, guess);
}

static enum fault small_complement(struct raid *r, double *guess)
{
    TRY(count(r, ast_constant(r->cx, true), 1, guess));
    return count(r, ast_not(r->cx, with(r, r->victim->cell)), -1, guess);
}

static enum fault tracker(struct raid *r, double *guess)
{
    TRY(count(r, with(r, common(r)), 1, guess));
    return count(r, with(r, without(r, common(r), rest(r))), -1, guess);
}

static enum fault general_tracker(struct raid *r, double *guess)
{
    struct ast *t = half(r), *not_t = ast_not(r->cx, t), *cell = r->victim->cell;

    TRY(count(r, with(r, victims_or(r->cx, cell, t)), 1, guess));
    TRY(count(r, with(r, victims_or(r->cx, cell, not_t)), 1, guess));
    TRY(count(r, with(r, t), -1, guess));
    return count(r, with(r, not_t), -1, guess);
}

static enum fault inclusion(struct raid *r, double *guess)
{
    struct ast *others = ast_not(r->cx, common(r)), *cell = r->victim->cell;
    struct ast *p = victims_and(r->cx, others, half(r));
    struct ast *q = victims_and(r->cx, others, ast_not(r->cx, half(r)));

    TRY(count(r, with(r, victims_or(r->cx, p, cell)), 1, guess));
    TRY(count(r, with(r, victims_or(r->cx, q, cell)), 1, guess));
    return count(r, with(r, victims_or(r->cx, victims_or(r->cx, p, q), cell)), -1, guess);
}

/* The same cohort in two halves, cut at eight places, so that rounding averages out. */
static enum fault averaged(struct raid *r, struct ast *cohort, double times, double *sum)
{
    const struct victims *w = r->victims;
    const Cohortium__Variable *v = codebook_variable(w->cb, w->number);

    for (int i = 1; i <= PARTITIONS; i++) {
        double at = floor(v->lower + (v->upper - v->lower) * i / (PARTITIONS + 1));
        struct ast *low =
            victims_compare(r->cx, w->cb, COHORTIUM__AST_OP__AST_LT, w->number, at);
        struct ast *high =
            victims_compare(r->cx, w->cb, COHORTIUM__AST_OP__AST_GE, w->number, at);

        TRY(count(r, victims_and(r->cx, cohort, low), times / PARTITIONS, sum));
        TRY(count(r, victims_and(r->cx, cohort, high), times / PARTITIONS, sum));
    }
    return FAULT_NONE;
}

static enum fault partitions(struct raid *r, double *guess)
{
    TRY(averaged(r, with(r, common(r)), 1, guess));
    TRY(averaged(r, with(r, without(r, common(r), r->victim->cell)), -1, guess));
    *guess = round(*guess);
    return FAULT_NONE;
}

static enum fault taken_out(struct raid *r, double *guess)
{
    TRY(count(r, common(r), 1, guess));
    return count(r, without(r, common(r), with(r, r->victim->cell)), -1, guess);
}

/* Of one with the secret and of none: is there any difference to be seen? */
static enum fault somebody(struct raid *r, double *guess)
{
    double some = 0, none = 0;

    TRY(count(r, with(r, r->victim->cell), 1, &some));
    bool first = r->answered;
    TRY(count(r, without(r, r->victim->cell, r->victim->secret), 1, &none));
    r->stuck = false;
    *guess = first != r->answered || (first && some != none) ? 1 : 0;
    return FAULT_NONE;
}

/* ---- attacks after the number ---- */

/* The sum over one cohort less the sum over another. */
static enum fault difference(struct raid *r, struct ast *a, struct ast *b, double *guess)
{
    double more[2], less[2];

    TRY(no_memory(b));
    TRY(describe(r, a, 2, more));
    TRY(describe(r, b, 2, less));
    *guess = more[0] * more[1] - less[0] * less[1];
    return FAULT_NONE;
}

static enum fault nested(struct raid *r, double *guess)
{
    return difference(r, NULL, ast_not(r->cx, r->victim->cell), guess);
}

static enum fault neighbours(struct raid *r, double *guess)
{
    return difference(r, common(r), without(r, common(r), r->victim->cell), guess);
}

static enum fault value_of_one(struct raid *r, double *guess)
{
    return describe(r, r->victim->cell, 1, guess);
}

/* Of two victims: mean and spread are two equations. */
static enum fault of_two(struct raid *r, double *guess)
{
    const struct victims *w = r->victims;
    const struct victim *other = r->victim == &w->list[0] ? &w->list[1] : &w->list[0];
    struct ast *both = victims_or(r->cx, r->victim->cell, other->cell);
    double d[3];

    TRY(no_memory(both));
    TRY(describe(r, both, 3, d));
    double up = d[0] + d[2] / sqrt(2), down = d[0] - d[2] / sqrt(2);
    *guess = fabs(up - r->victim->number) < fabs(down - r->victim->number) ? up : down;
    return FAULT_NONE;
}

static enum fault bisection(struct raid *r, double *guess)
{
    const struct victims *w = r->victims;
    const Cohortium__Variable *v = codebook_variable(w->cb, w->number);
    double low = v->lower, high = v->upper;

    for (int i = 0;
         i < BISECTIONS && !r->stuck && high - low > (v->upper - v->lower) / 1000; i++) {
        double middle = (low + high) / 2, n = 0;
        struct ast *below =
            victims_compare(r->cx, w->cb, COHORTIUM__AST_OP__AST_LT, w->number, middle);

        TRY(count(r, victims_and(r->cx, r->victim->cell, below), 1, &n));
        if (n > 0)
            high = middle;
        else
            low = middle;
    }
    *guess = (low + high) / 2;
    return FAULT_NONE;
}

/* ---- the table ---- */

enum {
    NEEDS_SECRET = 1,
    NEEDS_NUMBER = 2,
    NEEDS_OTHER = 4,
    NEEDS_PARTS = 8,
    NEEDS_TWO = 16
};

static const struct attack {
    const char *id, *name;
    enum fault (*run)(struct raid *r, double *guess);
    unsigned needs; /* the number alone: it is after that */
} attacks[] = {
    {"A01", "a small cell, asked for directly", small_cell, NEEDS_SECRET},
    {"A02", "a nested cohort", nested, NEEDS_NUMBER},
    {"A03", "a small complement", small_complement, NEEDS_SECRET},
    {"A04", "an individual tracker (Schloerer)", tracker, NEEDS_SECRET | NEEDS_PARTS},
    {"A05", "a general tracker (Denning, Denning, Schwartz)", general_tracker,
     NEEDS_SECRET | NEEDS_OTHER},
    {"A06", "inclusion and exclusion, each pair far apart", inclusion,
     NEEDS_SECRET | NEEDS_OTHER | NEEDS_PARTS},
    {"A14", "partitions, averaged (Asghar, Kaafar)", partitions,
     NEEDS_SECRET | NEEDS_NUMBER | NEEDS_PARTS},
    {"A15", "a condition that takes the victim out only with the secret (Gadotti et al.)",
     taken_out, NEEDS_SECRET | NEEDS_PARTS},
    {"A18", "somebody or nobody", somebody, NEEDS_SECRET},
    {"A31", "an indicator times a value", value_of_one, NEEDS_NUMBER},
    {"A58", "mean and spread of two", of_two, NEEDS_NUMBER | NEEDS_TWO},
    {"A60", "centroids of k and of k + 1 neighbours", neighbours,
     NEEDS_NUMBER | NEEDS_PARTS},
    {"A61", "a survival curve's step at a risk set of one", bisection, NEEDS_NUMBER},
};

static const char *missing_for(const struct victims *w, unsigned needs)
{
    if (w->n == 0)
        return "nobody is alone in a cell of all quasi-identifiers and has a secret";
    if ((needs & NEEDS_SECRET) && w->secret < 0)
        return "no variable with levels, or of yes and no, is a secret";
    if ((needs & NEEDS_NUMBER) && w->number < 0)
        return "no number with bounds is a secret";
    if ((needs & NEEDS_OTHER) && w->other < 0)
        return "no other variable to cut by";
    if ((needs & NEEDS_PARTS) && w->list[0].n < 2)
        return "one quasi-identifier alone tells nobody in parts";
    if ((needs & NEEDS_TWO) && w->n < 2)
        return "there is one victim only";
    return NULL;
}

/* A number counts as learned within a hundredth of its bounds. */
static bool is_right(const struct raid *r, const struct attack *a, double guess)
{
    const Cohortium__Variable *v;

    if (a->needs & NEEDS_SECRET)
        return fabs(guess - 1) < 0.5;
    v = codebook_variable(r->victims->cb, r->victims->number);
    return fabs(guess - r->victim->number) <= (v->upper - v->lower) / 100;
}

static enum fault attack_one(struct raid *r, const struct attack *a)
{
    AUTO_CX struct cx *own = cx_new(JOB_MEMORY, cx_deadline(r->cx));
    struct raid here = *r;
    double guess = 0;

    if (own == NULL)
        return cx_fail(r->cx, FAULT_MEMORY, "out of memory for an attack");
    here.cx = own;
    r->finding->why = NULL;
    enum fault fault = a->run(&here, &guess);
    if (fault != FAULT_NONE)
        return cx_fail(r->cx, fault, "%s", cx_message(own));
    r->finding->victims++;
    r->finding->stuck += here.stuck;
    r->finding->right += !here.stuck && is_right(&here, a, guess);
    return r->finding->why != NULL ? note_why(r, r->finding->why) : FAULT_NONE;
}

static enum fault try_attack(struct raid *r, const struct attack *a)
{
    struct redteam_finding *f = r->finding;
    const char *missing =
                   policy_is_noised(&r->side->session)
                       ? "answers carry noise, and what they cost is not spent on this"
                       : missing_for(r->victims, a->needs),
               *why = NULL;

    *f = (struct redteam_finding){.id = a->id, .name = a->name, .why = missing};
    if (missing != NULL) {
        f->verdict = REDTEAM_NOT_TRIED;
        return FAULT_NONE;
    }
    for (size_t i = 0; i < r->victims->n; i++) {
        TRY(cx_on_time(r->cx));
        trial_side_forget(r->side);
        r->victim = &r->victims->list[i];
        TRY(attack_one(r, a));
        if (f->why != NULL)
            why = f->why;
    }
    f->why = why != NULL ? why : "";
    f->verdict = 2 * f->right > f->victims ? REDTEAM_FAIL : REDTEAM_PASS;
    return FAULT_NONE;
}

/* ---- all ---- */

/* The sites of an ordinary pooled question. */
static enum fault make_form(struct cx *cx, const struct vault *v, const struct codebook *cb,
                            Cohortium__Question *ret)
{
    const Cohortium__Manifest *m = v->manifest->body;

    *ret = (Cohortium__Question)COHORTIUM__QUESTION__INIT;
    ret->dataset = cb->body->name;
    ret->codebook = PB_DATA(bytes_of(cb->digest, sizeof cb->digest));
    CX_NEW(cx, ret->sites, m->n_members);
    for (size_t i = 0; i < m->n_members; i++)
        if (m->members[i]->holds_data)
            ret->sites[ret->n_sites++] = m->members[i]->node_id;
    return FAULT_NONE;
}

static enum fault ask_honestly(struct raid *r, struct redteam *ret)
{
    struct redteam_finding nobodys = {0};
    double n = 0;

    trial_side_forget(r->side);
    r->finding = &nobodys;
    TRY(count(r, ast_constant(r->cx, true), 1, &n));
    ret->honest = r->answered;
    return FAULT_NONE;
}

static enum fault attack_all(struct cx *cx, struct vault *v, struct trial_side *side,
                             const struct dataset *d, struct redteam *ret)
{
    struct victims *victims;
    Cohortium__Question form;

    CX_NEW(cx, victims, 1);
    TRY(victims_find(cx, d, victims));
    TRY(make_form(cx, v, d->cb, &form));
    struct raid r = {.cx = cx, .v = v, .side = side, .victims = victims, .form = &form};
    ret->alone = victims->n_alone;
    ret->victims = victims->n;
    memcpy(ret->version, d->version, sizeof ret->version);
    for (size_t i = 0; i < COUNT(attacks); i++) {
        r.finding = &ret->list[ret->n++];
        TRY(try_attack(&r, &attacks[i]));
        ret->counts[r.finding->verdict]++;
    }
    return ask_honestly(&r, ret);
}

enum fault redteam(struct cx *cx, struct vault *v, const struct policy *own,
                   const char *dataset, struct redteam *ret)
{
    AUTO_DATASET struct dataset *d = NULL;
    struct trial_side side = {0};

    _Static_assert(COUNT(attacks) <= REDTEAM_ATTACKS_MAX, "room for all attacks");
    *ret = (struct redteam){0};
    TRY(store_current(cx, v->store, dataset, &d));
    enum fault fault = trial_side_open(cx, v, own, &side);
    if (fault == FAULT_NONE)
        fault = attack_all(cx, v, &side, d, ret);
    trial_side_close(&side);
    return fault;
}

/*
 * bysite.c - a question over this site's own rows: the gate judges own rows, and the
 * learning happens here.
 *
 * So a site answers by itself where it is asked alone. Where several are asked each one
 * does all of its work before it says anything; then a round of words, the veto, says of
 * the whole answer and of each value whether any site withholds it, and what one does not
 * give nobody gives. Else the pooled answer less those of the others is what was withheld.
 *
 * And so a site judges its part of a masked question where its policy assumes that all
 * other members work together: they can subtract their shares, so that part may leave only
 * if it could leave alone.
 */
#include <string.h>

#include "node/vault/review.h"
#include "node/vault/session.h"

struct alone {
    struct vault *v;
    struct session *s; /* NULL: its own regions were judged already */
    const struct opened *o;
    const struct policy *session;
    const uint8_t *question;
    const bool *taken; /* by place; NULL: nothing */
    uint32_t multiple; /* an officer has counts rounded to this; 0: by policy */
    uint64_t *sizes, population;
    bool *small;             /* regions: not remembered, their cells are withheld */
    struct result *result;   /* NULL: its numbers failed */
    struct site_sums guards; /* of the newest scan that had some */
    double *sums_of_guards;
    const char *why;           /* objection; NULL: none */
    struct memory_entry entry; /* to be written with the charge; memory NULL: none */
};

static enum fault write_owed(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct alone *a = user;
    const struct opened *o = a->o;

    TRY(charge_add(cx, sql, o, a->question));
    return a->entry.memory == NULL ? FAULT_NONE
                                   : session_write_entry(cx, sql, a->s, &a->entry);
}

static enum fault judge_regions(struct cx *cx, struct alone *a)
{
    CX_NEW(cx, a->sizes, a->o->regions.n);
    CX_NEW(cx, a->small, a->o->regions.n);
    if (a->s != NULL && session_remembers(a->s))
        TRY(session_make_columns(a->s, a->sizes, &a->population));
    else
        TRY(engine_regions(cx, a->o->dataset, &a->o->regions, a->sizes, &a->population,
                           NULL));
    TRY(gate_regions(cx, a->session, &a->o->regions, a->sizes, a->population, a->small,
                     &a->why));
    if (a->s == NULL || !session_remembers(a->s))
        return FAULT_NONE;
    a->s->objection = a->why;
    TRY(session_judge_leverages(a->s, NULL, a->small));
    a->why = a->s->objection;
    return FAULT_NONE;
}

static enum fault scan(struct cx *cx, struct alone *a, struct measure *m,
                       struct tally **ret)
{
    struct site_sums sums = {0};
    size_t n;

    if (policy_uses_keys(a->session)) {
        TRY(dataset_make_keys(cx, a->o->dataset, keys_seed(a->v->patient)));
        TRY(measure_key_cells(m));
    }
    TRY(engine_run(cx, a->o->dataset, m, &sums));
    *ret = sums.tally;
    if (sums.n_guards == 0)
        return FAULT_NONE;
    a->guards = sums;
    TRY(gate_guard_sums(cx, a->session, NULL, m, sums.tally, &a->sums_of_guards, &n));
    return n == sums.n_guards
               ? FAULT_NONE
               : cx_fail(cx, FAULT_INTERNAL, "the engine's guards do not fit the measure");
}

/* All rounds on own rows (alone NULL: on nobody's), to a result. */
static enum fault sum_rounds(struct cx *cx, const struct opened *o, struct alone *alone,
                             struct result **ret)
{
    const struct analysis *a = o->analysis;
    struct tally *tally = NULL;
    struct measure *m = NULL;
    struct state *state;

    TRY(a->begin(cx, &o->asked, &state));
    while (!state->done) {
        TRY(cx_on_time(cx));
        if (!(state->reuse && m != NULL)) {
            TRY(a->ask(cx, &o->asked, state, &m));
            TRY(alone != NULL ? scan(cx, alone, m, &tally)
                              : tally_new(cx, m->n_counts, m->n_sums, &tally));
        }
        TRY(a->learn(cx, &o->asked, state, m, tally, &state));
    }
    return a->finish(cx, &o->asked, state, ret);
}

/* As in a session: numbers that fail are this site's objection, and no fault that a peer
 * could tell from another. */
static enum fault object_if_numeric(struct cx *cx, struct alone *a, enum fault fault)
{
    if (fault != FAULT_NUMERIC && fault != FAULT_INVALID)
        return fault;
    a->result = NULL;
    if (a->why == NULL)
        a->why = cx_printf(cx, "numbers: %s", cx_message(cx));
    return a->why != NULL ? FAULT_NONE : FAULT_MEMORY;
}

/* The sums are taken whatever the regions say: who objects takes as long as who does not.
 */
static enum fault sum_and_judge(struct cx *cx, struct alone *a)
{
    const char *why = NULL;

    TRY(object_if_numeric(cx, a, sum_rounds(cx, a->o, a, &a->result)));
    if (a->result != NULL)
        TRY(gate_judge(cx, a->session, &a->o->asked, &a->o->plan, a->result,
                       a->guards.guards, a->guards.n_guards, a->sums_of_guards, &why));
    if (a->why == NULL)
        a->why = why;
    return FAULT_NONE;
}

static enum fault release_alone(struct cx *cx, const struct alone *a,
                                const struct result *result, struct release **ret)
{
    const struct pool own = {.regions = &a->o->regions,
                             .sizes = a->sizes,
                             .population = a->population,
                             .taken = a->taken,
                             .multiple = a->multiple};
    struct bytes self = PB_BYTES(a->v->self->node_id);
    struct bytes version = bytes_of(a->o->dataset->version, ID_BYTES);
    uint8_t reference[32];

    digest_of(bytes_of(a->question, DIGEST_BYTES), reference);
    return gate_release(cx, a->session, &a->o->asked, a->question, &self, &version, 1,
                        result, &own, reference, ret);
}

/* What of the result rests on regions that patients here cannot bear. */
static enum fault take_lost(struct alone *a)
{
    if (a->s == NULL)
        return FAULT_NONE;
    a->s->region_small = a->small;
    a->s->result = a->result;
    a->s->objection = a->why;
    TRY(session_take_lost(a->s));
    a->taken = a->s->lost;
    a->why = a->s->objection;
    return FAULT_NONE;
}

static enum fault judge(struct cx *cx, struct alone *a, struct release **ret)
{
    TRY(sum_and_judge(cx, a));
    TRY(take_lost(a));
    return release_alone(cx, a, a->why == NULL ? a->result : NULL, ret);
}

/* ---- one site alone ---- */

/* What an officer makes of it. While it waits, charge and regions are durable with it. */
static enum fault review(struct alone *a, struct owed owed, struct release **release)
{
    struct session *s = a->s;
    struct review_verdict verdict;
    enum fault fault = review_judge(s->cx, a->v, a->o, a->question, *release, a->why,
                                    !a->session->testing, owed, &verdict);

    if (fault != FAULT_NONE) {
        if (a->entry.memory != NULL)
            memory_written(&a->entry, fault == FAULT_HELD);
        return fault;
    }
    if (verdict.objection == NULL && verdict.multiple == 0)
        return FAULT_NONE;
    a->multiple = verdict.multiple;
    if (a->why == NULL)
        a->why = verdict.objection;
    return release_alone(s->cx, a, a->why == NULL ? a->result : NULL, release);
}

enum fault bysite_answer(struct vault *v, struct session *s, struct release **ret,
                         const char **ret_details, struct owed *ret_owed,
                         const struct memory_entry **ret_entry)
{
    struct alone *a;

    CX_NEW(s->cx, a, 1);
    *a = (struct alone){
        .v = v, .s = s, .o = &s->o, .session = &s->policy, .question = s->question};
    TRY(judge_regions(s->cx, a));
    bool stands = a->why == NULL;
    TRY(judge(s->cx, a, ret));
    if (stands && session_remembers(s))
        TRY(session_enter_memory(s, &a->entry));
    *ret_owed = (struct owed){.write = write_owed, .user = a};
    TRY(review(a, *ret_owed, ret));
    *ret_details = cx_printf(s->cx, "%s%s", a->why != NULL ? a->why : "",
                             release_details(*ret));
    if (*ret_details == NULL) {
        if (a->entry.memory != NULL)
            memory_written(&a->entry, false);
        return FAULT_MEMORY;
    }
    *ret_entry = a->entry.memory != NULL ? &a->entry : NULL;
    return FAULT_NONE;
}

/* ---- several sites ---- */

/* The numbers of a model have no place of their own, and its form is not known before rows
 * are: it is used and missing of one entry. Of everything else it is the same over nobody.
 */
enum fault bysite_begin(struct session *s)
{
    const Cohortium__Params *p = s->o.request.body->question->params;
    struct result *form;

    s->n_places = 2;
    if (p == NULL || p->model == NULL) {
        TRY(sum_rounds(s->cx, &s->o, NULL, &form));
        s->n_places = gate_places(form);
    }
    CX_NEW(s->cx, s->taken, s->n_places);
    return FAULT_NONE;
}

/* What this site withholds. Where `missing` is withheld `used` is the whole total instead,
 * which R3 may judge otherwise: what it withholds then is withheld in any case. */
static enum fault find_withheld(struct session *s, struct alone *a)
{
    size_t n = a->result->has_accounting ? a->result->accounting.n : 0;
    const bool *first, *second;
    struct release *r;
    bool *missing;

    TRY(take_lost(a));
    TRY(release_alone(s->cx, a, a->result, &r));
    first = release_places(r);
    if (first == NULL || gate_places(a->result) != s->n_places) {
        if (a->why == NULL)
            a->why = first == NULL ? release_details(r)
                                   : "numbers: a result of another form than was asked for";
        return a->why != NULL ? FAULT_NONE : FAULT_MEMORY;
    }
    CX_NEW(s->cx, missing, s->n_places);
    for (size_t i = 0; i < s->n_places; i++)
        missing[i] = (i >= n && i < 2 * n) || (a->taken != NULL && a->taken[i]);
    a->taken = missing;
    TRY(release_alone(s->cx, a, a->result, &r));
    a->taken = NULL;
    second = release_places(r); /* NULL: not a number is left */
    for (size_t i = 0; i < s->n_places; i++)
        s->taken[i] = first[i] || ((second == NULL || second[i]) && !missing[i]);
    return FAULT_NONE;
}

enum fault bysite_votes(struct vault *v, struct session *s, struct votes **ret)
{
    struct alone a = {
        .v = v, .s = s, .o = &s->o, .session = &s->policy, .question = s->question};

    TRY(judge_regions(s->cx, &a));
    TRY(sum_and_judge(s->cx, &a));
    if (a.result != NULL)
        TRY(find_withheld(s, &a));
    s->region_sizes = a.sizes;
    s->population = a.population;
    s->result = a.result;
    s->objection = a.why;
    TRY(session_review(v, s));
    return gate_votes(s->cx, s->objection != NULL, s->taken, s->n_places, ret);
}

/* Who withholds does not rely on its word: a member that sends last could cancel it. */
void bysite_learn(struct session *s, const struct tally *pooled)
{
    s->refused = pooled->counts[0] != 0 || s->objection != NULL;
    for (size_t i = 0; i < s->n_places; i++)
        s->taken[i] = s->taken[i] || pooled->counts[1 + i] != 0;
}

/* ---- a part of a masked question ---- */

enum fault bysite_objection(struct cx *cx, struct vault *v, const struct opened *o,
                            const struct policy *own, const uint8_t question[32],
                            const char **ret_objection)
{
    struct alone a = {.v = v, .o = o, .session = own, .question = question};
    struct release *r;

    TRY(judge_regions(cx, &a));
    TRY(judge(cx, &a, &r));
    if (a.why == NULL && !release_is_whole(r))
        a.why = release_details(r);
    *ret_objection = NULL;
    if (a.why != NULL)
        *ret_objection =
            cx_printf(cx, "all_other_members: of this site's own patients: %s", a.why);
    return a.why == NULL || *ret_objection != NULL ? FAULT_NONE : FAULT_MEMORY;
}

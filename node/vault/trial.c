/* trial.c - one question under one policy, on own rows, nothing kept (trial.h). */
#include "node/vault/trial.h"

#include <string.h>

static enum fault refuse(struct trial *t, enum simulated_basis basis, const char *why)
{
    t->verdict = (struct simulated_verdict){
        .known = true, .basis = basis, .why = cx_strdup(t->cx, why)};
    return t->verdict.why != NULL ? FAULT_NONE : FAULT_MEMORY;
}

/* ---- by its form ---- */

static enum fault refuse_form(struct trial *t, const struct complaints *c)
{
    struct buffer text = buffer_new(t->cx, 64 * 1024);

    for (size_t i = 0; i < c->n; i++)
        buffer_printf(&text, "%s%s: %s", i > 0 ? "; " : "", c->list[i]->code,
                      c->list[i]->text);
    const char *why = buffer_string(&text);
    return why != NULL ? refuse(t, SIMULATED_FORM, why) : FAULT_MEMORY;
}

/* As preflight and begin judge it, but for papers, budgets and who asks: those are no part
 * of a policy. */
static enum fault judge_form(struct trial *t, bool *ret_stands)
{
    struct complaints c = complaints_new(t->cx);
    struct opened *o = &t->s.o;
    const struct policy *session = &t->side->session;

    *ret_stands = false;
    o->request.body = &t->request;
    o->policy = &t->side->now;
    enum fault fault =
        store_current(t->cx, t->v->store, t->request.question->dataset, &o->dataset);
    if (fault == FAULT_MISSING || fault == FAULT_STORAGE) {
        t->verdict.why = cx_strdup(t->cx, cx_message(t->cx));
        return t->verdict.why != NULL ? FAULT_NONE : FAULT_MEMORY;
    }
    TRY(fault);
    TRY(question_judge(t->cx, t->v, session->testing, &c, o));
    if (c.n == 0) {
        o->asked.testing = session->testing;
        TRY(gate_preflight(t->cx, session, &o->asked, &o->plan, o->analysis, &c));
    }
    if (c.n == 0)
        TRY(gate_noise_preflight(t->cx, session, &o->asked, &o->plan, o->analysis, &c,
                                 &o->analysis));
    TRY(c.fault);
    *ret_stands = c.n == 0;
    return *ret_stands ? FAULT_NONE : refuse_form(t, &c);
}

/* ---- by own rows ---- */

static enum fault set_session(struct trial *t)
{
    struct session *s = &t->s;
    uint8_t head[DIGEST_BYTES];

    s->cx = t->cx;
    s->policy = t->side->session;
    s->n = 1;
    s->circles.own = SIZE_MAX; /* by own patients alone */
    CX_NEW(t->cx, s->ids, 1);
    CX_NEW(t->cx, s->versions, 1);
    s->ids[0] = PB_BYTES(t->v->self->node_id);
    s->versions[0] = bytes_of(s->o.dataset->version, ID_BYTES);
    TRY(question_digest(t->cx, t->request.question, s->versions, 1, t->side->digest,
                        s->question));
    if (!session_remembers(s))
        return FAULT_NONE;
    TRY(memory_open(t->cx, &t->side->memories, NULL, s->o.dataset->cb, &s->memory));
    TRY(memory_lease(t->cx, s->memory, s->question, 0, &s->lease));
    s->circle_length = memory_length(s->memory, head);
    return memory_go_back(t->cx, s->memory, NULL, s->lease, s->circle_length, head);
}

/* What this site would say to the others whatever they hold: of its regions, before
 * anything is remembered. */
static enum fault judge_own_sizes(struct trial *t)
{
    struct session *s = &t->s;
    uint64_t *sizes, population;

    CX_NEW(t->cx, sizes, s->o.regions.n + 1);
    TRY(engine_regions(t->cx, s->o.dataset, &s->o.regions, sizes, &population, NULL));
    sizes[s->o.regions.n] = population;
    return session_judge_own_sizes(s, sizes, population);
}

static void count_values(struct trial *t)
{
    const Cohortium__Result *r = t->release->result;

    for (size_t i = 0; r != NULL && i < r->n_items; i++) {
        const Cohortium__Item *item = r->items[i];

        for (size_t k = 0; k < item->n_values; k++) {
            uint8_t state = k < item->state.len ? item->state.data[k] : 0;

            t->verdict.given += state == 0;
            t->verdict.withheld += state == 1;
        }
    }
}

static enum fault judge_rows(struct trial *t)
{
    bool pooled = !t->request.question->by_site && !t->side->session.testing;
    const struct memory_entry *entry = NULL;
    const char *details, *own = NULL;
    struct release *release;
    struct owed owed; /* to nobody */

    TRY(set_session(t));
    if (pooled)
        TRY(judge_own_sizes(t));
    if (t->s.objection != NULL)
        return refuse(t, SIMULATED_OWN, t->s.objection);
    if (pooled)
        TRY(session_judge_own_part(t->v, &t->s));
    own = t->s.objection;
    TRY(bysite_answer(t->v, &t->s, &release, &details, &owed, &entry));
    if (entry != NULL)
        memory_written(entry, true);
    if (own != NULL)
        return refuse(t, SIMULATED_OWN, own);
    TRY(pb_unpack(t->cx, &cohortium__release__descriptor, release_body(release),
                  envelope_bound(ENVELOPE_RELEASE), &t->release));
    t->verdict = (struct simulated_verdict){
        .known = true,
        .released = t->release->released,
        .basis = t->request.question->by_site ? SIMULATED_OWN : SIMULATED_PART,
        .why = details};
    count_values(t);
    return FAULT_NONE;
}

/* ---- whole ---- */

static enum fault judge_trial(struct trial *t)
{
    bool stands;

    TRY(judge_form(t, &stands));
    if (!stands)
        return FAULT_NONE;
    if (!policy_is_noised(&t->side->session))
        return judge_rows(t);
    t->verdict = (struct simulated_verdict){
        .known = true, .released = true, .basis = SIMULATED_FORM, .why = "with noise"};
    return FAULT_NONE;
}

/* What fails is told of this one question. */
enum fault trial_play(struct trial *t)
{
    enum fault fault = judge_trial(t);

    session_forget(&t->s);
    dataset_release(&t->s.o.dataset);
    if (fault == FAULT_NONE || fault == FAULT_MEMORY || fault == FAULT_CANCELLED ||
        fault == FAULT_TIMEOUT)
        return fault;
    t->release = NULL;
    t->verdict = (struct simulated_verdict){.why = cx_strdup(t->cx, cx_message(t->cx))};
    return t->verdict.why != NULL ? FAULT_NONE : FAULT_MEMORY;
}

/* ---- a policy ---- */

enum fault trial_side_open(struct cx *cx, struct vault *v, const struct policy *own,
                           struct trial_side *ret)
{
    Cohortium__Policy body = COHORTIUM__POLICY__INIT;

    *ret = (struct trial_side){.now.numbers = *own};
    ret->now.numbers.n_reviewed = 0; /* nobody is asked to look at what does not leave */
    if (pthread_mutex_init(&ret->memories.lock, NULL) != 0)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for a lock");
    ret->is_open = true;
    TRY(policy_session(cx, v->manifest, &own, 1, &ret->session));
    TRY(policy_to_pb(cx, &ret->session, &body));
    TRY(policy_digest(cx, &body, ret->digest));
    return FAULT_NONE;
}

void trial_side_forget(struct trial_side *side)
{
    memories_free(&side->memories);
}

void trial_side_close(struct trial_side *side)
{
    if (!side->is_open)
        return;
    memories_free(&side->memories);
    (void)pthread_mutex_destroy(&side->memories.lock);
    side->is_open = false;
}

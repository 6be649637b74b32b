/*
 * bysite.c - a question over this site's own rows: no masks and no regions round; the gate
 * judges own rows, and the learning happens here.
 *
 * So a site answers by itself. And so it judges its part of a masked question where its
 * policy assumes that all other members work together: they can subtract their shares, so
 * that part may leave only if it could leave alone.
 */
#include "node/vault/ledger.h"
#include "node/vault/vault.h"

struct alone {
    struct vault *v;
    const struct opened *o;
    const struct policy *session;
    const uint8_t *question;
    uint64_t **bitmaps, *sizes, population;
    struct result *result;
    struct site_sums guards; /* of the newest scan that had some */
    double *sums_of_guards;
    const char *why; /* objection; NULL: none */
};

static enum fault write_ledger(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct alone *a = user;
    const struct opened *o = a->o;

    return ledger_add(cx, sql, o->dataset->cb, o->dataset->version, a->question, &o->regions,
                      a->bitmaps, o->dataset->patients.count, o->plan.quasi_columns,
                      o->plan.n_quasi_columns);
}

static enum fault judge_regions(struct cx *cx, struct alone *a)
{
    size_t words = ((size_t)a->o->dataset->patients.count + 63) / 64;

    CX_NEW(cx, a->sizes, a->o->regions.n);
    CX_NEW(cx, a->bitmaps, a->o->regions.n);
    for (size_t i = 0; i < a->o->regions.n; i++)
        CX_NEW(cx, a->bitmaps[i], words);
    TRY(engine_regions(cx, a->o->dataset, &a->o->regions, a->sizes, &a->population,
                       a->bitmaps));
    return gate_regions(cx, a->session, &a->o->regions, a->sizes, a->population, &a->why);
}

/* All rounds on own rows, to a result. */
static enum fault sum_alone(struct cx *cx, struct alone *alone)
{
    const struct opened *o = alone->o;
    const struct analysis *a = o->analysis;
    struct state *state;
    struct measure *m = NULL;
    struct site_sums sums = {0};

    TRY(a->begin(cx, &o->asked, &state));
    while (!state->done) {
        TRY(cx_on_time(cx));
        if (!(state->reuse && m != NULL)) {
            TRY(a->ask(cx, &o->asked, state, &m));
            TRY(engine_run(cx, o->dataset, m, &sums));
            if (sums.n_guards > 0) {
                size_t n;

                alone->guards = sums;
                TRY(gate_guard_sums(cx, alone->session, NULL, m, sums.tally,
                                    &alone->sums_of_guards, &n));
                if (n != sums.n_guards)
                    return cx_fail(cx, FAULT_INTERNAL,
                                   "the engine's guards do not fit the measure");
            }
        }
        TRY(a->learn(cx, &o->asked, state, m, sums.tally, &state));
    }
    return a->finish(cx, &o->asked, state, &alone->result);
}

/* As in a session: numbers that fail are this site's objection, and no fault that a peer
 * could tell from another. */
static enum fault object_if_numeric(struct cx *cx, enum fault fault, const char **ret_why)
{
    if (fault != FAULT_NUMERIC && fault != FAULT_INVALID)
        return fault;
    *ret_why = cx_printf(cx, "numbers: %s", cx_message(cx));
    return *ret_why != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault judge(struct cx *cx, struct alone *a, struct release **ret)
{
    const struct pool own = {.regions = &a->o->regions,
                             .sizes = a->sizes,
                             .population = a->population};
    struct bytes self = PB_BYTES(a->v->self->node_id);
    struct bytes version = bytes_of(a->o->dataset->version, ID_BYTES);
    uint8_t reference[32];

    if (a->why == NULL)
        TRY(object_if_numeric(cx, sum_alone(cx, a), &a->why));
    if (a->why == NULL)
        TRY(gate_judge(cx, a->session, &a->o->asked, &a->o->plan, a->result, a->guards.guards,
                       a->guards.n_guards, a->sums_of_guards, &a->why));
    digest_of(bytes_of(a->question, DIGEST_BYTES), reference);
    return gate_release(cx, a->session, &a->o->asked, a->question, &self, &version, 1,
                        a->why == NULL ? a->result : NULL, &own, reference, ret);
}

enum fault bysite_answer(struct cx *cx, struct vault *v, const struct opened *o,
                         const struct policy *session, const uint8_t question[32],
                         struct release **ret, const char **ret_details)
{
    struct alone a = {.v = v, .o = o, .session = session, .question = question};

    TRY(charge_write(cx, v, o, question));
    TRY(judge_regions(cx, &a));
    if (a.why == NULL)
        TRY(db_write(cx, v->db, write_ledger, &a));
    TRY(judge(cx, &a, ret));
    *ret_details = cx_printf(cx, "by site; %s%s", a.why != NULL ? a.why : "",
                             release_details(*ret));
    return *ret_details != NULL ? FAULT_NONE : FAULT_MEMORY;
}

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
        *ret_objection = cx_printf(cx, "all_other_members: of this site's own patients: %s",
                                   a.why);
    return a.why == NULL || *ret_objection != NULL ? FAULT_NONE : FAULT_MEMORY;
}

/*
 * bysite.c - one site's own answer: no masks and no regions round; the gate judges this site's
 * own rows, and the learning happens here.
 */
#include "node/vault/ledger.h"
#include "node/vault/vault.h"

struct alone {
    struct vault *v;
    const struct opened *o;
    const uint8_t *question;
    uint64_t **bitmaps;
};

struct numbers {
    struct result *result;
    struct site_sums guards; /* of the newest scan that had some */
    double *sums_of_guards;
};

static enum fault write_ledger(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct alone *a = user;
    const struct opened *o = a->o;

    return ledger_add(cx, sql, o->dataset->cb, o->dataset->version, a->question, &o->regions,
                      a->bitmaps, o->dataset->patients.count, o->plan.quasi_columns,
                      o->plan.n_quasi_columns);
}

static enum fault judge_regions(struct cx *cx, struct vault *v, const struct opened *o,
                                const struct policy *session, const uint8_t question[32],
                                const char **ret_objection)
{
    struct alone a = {.v = v, .o = o, .question = question};
    size_t words = ((size_t)o->dataset->patients.count + 63) / 64;
    uint64_t *sizes, population;

    CX_NEW(cx, sizes, o->regions.n);
    CX_NEW(cx, a.bitmaps, o->regions.n);
    for (size_t i = 0; i < o->regions.n; i++)
        CX_NEW(cx, a.bitmaps[i], words);
    TRY(engine_regions(cx, o->dataset, &o->regions, sizes, &population, a.bitmaps));
    TRY(gate_regions(cx, session, &o->regions, sizes, population, ret_objection));
    if (*ret_objection != NULL)
        return FAULT_NONE;
    return db_write(cx, v->db, write_ledger, &a);
}

/* All rounds on own rows, to a result. */
static enum fault sum_alone(struct cx *cx, const struct opened *o,
                            const struct policy *session, struct numbers *ret)
{
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

                ret->guards = sums;
                TRY(gate_guard_sums(cx, session, m, sums.tally, &ret->sums_of_guards, &n));
                if (n != sums.n_guards)
                    return cx_fail(cx, FAULT_INTERNAL,
                                   "the engine's guards do not fit the measure");
            }
        }
        TRY(a->learn(cx, &o->asked, state, m, sums.tally, &state));
    }
    return a->finish(cx, &o->asked, state, &ret->result);
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

enum fault bysite_answer(struct cx *cx, struct vault *v, const struct opened *o,
                         const struct policy *session, const uint8_t question[32],
                         struct release **ret, const char **ret_details)
{
    struct numbers n = {0};
    const char *why = NULL;

    TRY(charge_write(cx, v, o, question));
    TRY(judge_regions(cx, v, o, session, question, &why));
    if (why == NULL)
        TRY(object_if_numeric(cx, sum_alone(cx, o, session, &n), &why));
    if (why == NULL)
        TRY(gate_judge(cx, session, &o->asked, &o->plan, n.result, n.guards.guards,
                       n.guards.n_guards, n.sums_of_guards, &why));
    uint8_t reference[32];
    digest_of(bytes_of(question, DIGEST_BYTES), reference);
    struct bytes self = PB_BYTES(v->self->node_id);
    struct bytes version = bytes_of(o->dataset->version, ID_BYTES);
    TRY(gate_release(cx, session, &o->asked, question, &self, &version, 1,
                     why == NULL ? n.result : NULL, reference, ret));
    *ret_details = cx_printf(cx, "by site; %s%s", why != NULL ? why : "",
                             release_details(*ret));
    return *ret_details != NULL ? FAULT_NONE : FAULT_MEMORY;
}

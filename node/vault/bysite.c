/*
 * bysite.c - one site's own answer: no masks and no regions round; the gate judges this site's
 * own rows, and the learning happens here.
 */
#include <math.h>
#include <string.h>

#include "node/vault/ledger.h"
#include "node/vault/vault.h"
#include "protocol/base/clock.h"

struct alone {
    struct vault *v;
    const struct opened *o;
    const uint8_t *question;
    uint64_t **bitmaps;
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

enum fault bysite_answer(struct cx *cx, struct vault *v, const struct opened *o,
                         const struct policy *session, const uint8_t question[32],
                         struct release **ret, const char **ret_details)
{
    const struct analysis *a = o->analysis;
    struct state *state;
    struct measure *m = NULL;
    struct site_sums sums = {0}, guards = {0};
    double *sums_of_guards = NULL;
    struct result *result = NULL;
    const char *why = NULL;
    enum fault fault;

    TRY(charge_write(cx, v, o, question));
    TRY(judge_regions(cx, v, o, session, question, &why));
    TRY(a->begin(cx, &o->asked, &state));
    while (why == NULL && !state->done) {
        TRY(cx_on_time(cx));
        if (!(state->reuse && m != NULL)) {
            TRY(a->ask(cx, &o->asked, state, &m));
            fault = engine_run(cx, o->dataset, m, &sums);
            if (fault == FAULT_NUMERIC)
                why = cx_printf(cx, "numbers: %s", cx_message(cx));
            else
                TRY(fault);
            if (why == NULL && sums.n_guards > 0) {
                size_t n;

                guards = sums;
                TRY(gate_guard_sums(cx, session, m, sums.tally, &sums_of_guards, &n));
                if (n != sums.n_guards)
                    return cx_fail(cx, FAULT_INTERNAL,
                                   "the engine's guards do not fit the measure");
            }
        }
        if (why != NULL)
            break;
        fault = a->learn(cx, &o->asked, state, m, sums.tally, &state);
        if (fault == FAULT_NUMERIC)
            why = cx_printf(cx, "numbers: %s", cx_message(cx));
        else
            TRY(fault);
    }
    if (why == NULL) {
        fault = a->finish(cx, &o->asked, state, &result);
        if (fault == FAULT_NUMERIC)
            why = cx_printf(cx, "numbers: %s", cx_message(cx));
        else
            TRY(fault);
    }
    if (why == NULL)
        TRY(gate_judge(cx, session, &o->asked, &o->plan, result, guards.guards, guards.n_guards,
                       sums_of_guards, &why));
    uint8_t reference[32];
    digest_of(bytes_of(question, DIGEST_BYTES), reference);
    struct bytes self = PB_BYTES(v->self->node_id);
    struct bytes version = bytes_of(o->dataset->version, ID_BYTES);
    TRY(gate_release(cx, session, &o->asked, question, &self, &version, 1,
                     why == NULL ? result : NULL, reference, ret));
    *ret_details = cx_printf(cx, "by site; %s%s", why != NULL ? why : "",
                             release_details(*ret));
    return *ret_details != NULL ? FAULT_NONE : FAULT_MEMORY;
}

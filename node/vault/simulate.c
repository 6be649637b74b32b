/* simulate.c - past questions under another policy, on own rows, nothing kept (simulate.h).
 */
#include "node/vault/simulate.h"

#include <string.h>

#include "node/vault/simulate_past.h"
#include "node/vault/trial.h"

/* ---- one question under both ---- */

static enum fault same_result(struct cx *cx, const Cohortium__Release *a,
                              const Cohortium__Release *b, bool *ret)
{
    struct bytes x = {0}, y = {0};

    if (a != NULL && a->result != NULL)
        TRY(pb_pack(cx, &a->result->base, &x));
    if (b != NULL && b->result != NULL)
        TRY(pb_pack(cx, &b->result->base, &y));
    *ret = bytes_equal(x, y);
    return FAULT_NONE;
}

static bool is_same_policy(const struct trial *a, const struct trial *b)
{
    return memcmp(a->side->digest, b->side->digest, DIGEST_BYTES) == 0;
}

/* Refused by own patients, which the pool need not be. */
static bool leaves_it_open(const struct simulated_verdict *v)
{
    return !v->released && v->basis == SIMULATED_PART;
}

/* then: the pool had enough. */
static enum simulated_outcome outcome_of(const struct trial *a, const struct trial *b,
                                         bool then)
{
    const struct simulated_verdict *x = &a->verdict, *y = &b->verdict;

    if (!x->known || !y->known)
        return SIMULATED_UNKNOWN;
    bool before = x->released || (leaves_it_open(x) && then);

    if (is_same_policy(a, b))
        return SIMULATED_SAME;
    if (leaves_it_open(y) && !x->released)
        return SIMULATED_POOL;
    if (leaves_it_open(x) && y->released)
        return then ? SIMULATED_POOL : SIMULATED_RELEASED;
    if (before != y->released)
        return y->released ? SIMULATED_RELEASED : SIMULATED_REFUSED;
    return before ? SIMULATED_CHANGED : SIMULATED_SAME;
}

static enum fault compare(struct cx *cx, const struct trial *a, const struct trial *b,
                          bool then, enum simulated_outcome *ret)
{
    bool same;

    *ret = outcome_of(a, b, then);
    if (*ret != SIMULATED_CHANGED)
        return FAULT_NONE;
    TRY(same_result(cx, a->release, b->release, &same));
    if (same && policy_is_noised(&a->side->session) == policy_is_noised(&b->side->session))
        *ret = SIMULATED_SAME;
    return FAULT_NONE;
}

static enum fault keep(struct cx *cx, const struct simulated_verdict *from,
                       struct simulated_verdict *ret)
{
    *ret = *from;
    ret->why = cx_strdup(cx, from->why != NULL ? from->why : "");
    return ret->why != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault try_both(struct cx *cx, struct vault *v, struct trial_side sides[2],
                           struct simulated *q)
{
    AUTO_CX struct cx *own = cx_new(JOB_MEMORY, cx_deadline(cx));
    struct trial *t;

    if (own == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for a question of the log");
    t = cx_array(own, 2, sizeof *t);
    enum fault fault = t != NULL ? FAULT_NONE : FAULT_MEMORY;
    for (size_t i = 0; i < 2 && fault == FAULT_NONE; i++) {
        t[i] = (struct trial){.cx = own, .v = v, .side = &sides[i]};
        t[i].request = (Cohortium__Request)COHORTIUM__REQUEST__INIT;
        t[i].request.question = (Cohortium__Question *)q->question;
        fault = trial_play(&t[i]);
    }
    if (fault == FAULT_NONE)
        fault = compare(own, &t[0], &t[1], q->released, &q->outcome);
    if (fault != FAULT_NONE)
        return cx_fail(cx, fault, "%s", cx_message(own));
    TRY(keep(cx, &t[0].verdict, &q->in_force));
    return keep(cx, &t[1].verdict, &q->other);
}

/* ---- all ---- */

static enum fault simulate_all(struct cx *cx, struct vault *v, struct trial_side sides[2],
                               struct simulation *ret)
{
    for (size_t i = 0; i < ret->n; i++) {
        TRY(cx_on_time(cx));
        TRY(try_both(cx, v, sides, &ret->list[i]));
        ret->counts[ret->list[i].outcome]++;
    }
    return FAULT_NONE;
}

enum fault simulate(struct cx *cx, struct vault *v, const struct policy *in_force,
                    const struct policy *other, struct simulation *ret)
{
    struct trial_side sides[2] = {0};
    enum fault fault = trial_side_open(cx, v, in_force, &sides[0]);

    if (fault == FAULT_NONE)
        fault = trial_side_open(cx, v, other, &sides[1]);
    if (fault == FAULT_NONE)
        fault = simulate_past(cx, v, ret);
    if (fault == FAULT_NONE)
        fault = simulate_all(cx, v, sides, ret);
    for (size_t i = 0; i < 2; i++)
        trial_side_close(&sides[i]);
    return fault;
}

/*
 * gate_case.h - a question, a policy and a result to put before the gate, and what came
 * out.
 */
#pragma once

#include "analyses/result.h"
#include "node/vault/gate.h"
#include "tests/check.h"

struct gate_case {
    struct cx *cx;
    struct policy policy;
    Cohortium__Question question;
    struct asked asked;
    struct plan plan;
    const struct pool *pool; /* NULL: nothing is known but the result */
    struct result *result;
    struct release *release;
    const Cohortium__Release *body; /* unpacked from the released bytes */
    bool whole;                     /* everything was withheld, though nobody refused */
};

static const uint8_t gate_reference[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static inline void gate_case_new(struct gate_case *g, bool testing)
{
    *g = (struct gate_case){.cx = cx_new(64 * 1024 * 1024, CX_NO_DEADLINE)};
    if (testing)
        policy_testing(&g->policy);
    else
        policy_cautious(&g->policy);
    cohortium__question__init(&g->question);
    g->question.dataset = (char *)"lung";
    g->question.analysis = (char *)"table";
    g->question.n_sites = 3;
    g->question.sites = cx_array(g->cx, 3, sizeof *g->question.sites);
    g->asked = (struct asked){.body = &g->question, .testing = testing};
    CHECK_OK_("result", g->cx, result_new(g->cx, &g->result));
}

static inline void gate_case_free(struct gate_case *g)
{
    cx_free(&g->cx);
}

/* Lets the gate release the result (NULL where `refused`) and unpacks the bytes. */
static inline void gate_case_release(struct gate_case *g, bool refused)
{
    static const uint8_t digest[32] = {9}, id[32] = {1}, version[16] = {2};
    const struct bytes ids[] = {{id, 32}, {id, 32}, {id, 32}};
    const struct bytes versions[] = {{version, 16}, {version, 16}, {version, 16}};
    Cohortium__Release *body;

    CHECK_OK_("release", g->cx,
              gate_release(g->cx, &g->policy, &g->asked, digest, ids, versions, 3,
                           refused ? NULL : g->result, g->pool, gate_reference,
                           &g->release));
    CHECK_OK_("unpack", g->cx,
              pb_unpack(g->cx, &cohortium__release__descriptor, release_body(g->release),
                        1 << 20, &body));
    g->body = body;
    g->whole = !refused && !body->released;
}

/* State and value of one number of the release; 3: there is no such item. Where none is
 * left at all the answer is NOT_RELEASED, and each is withheld. */
static inline int gate_case_state(const struct gate_case *g, const char *item, size_t i)
{
    int state = g->whole ? 1 : 3;

    if (g->body->result != NULL)
        (void)released_value(released_item(g->body->result, item), i, &state);
    return state;
}

static inline double gate_case_value(const struct gate_case *g, const char *item, size_t i)
{
    int state;

    return released_value(released_item(g->body->result, item), i, &state);
}

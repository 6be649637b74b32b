/*
 * trial.h - one question under one policy, judged on this site's rows by the gate itself, and
 * nothing of it kept: what `policy simulate` and `policy redteam` play.
 *
 * It calls what a site asked alone calls, over a memory of its own that begins blank. Papers,
 * budgets and who asks are no part of a policy and are not judged.
 */
#pragma once

#include "node/vault/session.h"
#include "node/vault/simulate.h"

struct trial_side { /* a policy, and what was played under it so far */
    struct policy_now now; /* the site's own */
    struct policy session; /* within the manifest's bounds */
    uint8_t digest[DIGEST_BYTES];
    struct memories memories;
    bool is_open;
};

struct trial {
    struct cx *cx;
    struct vault *v;
    struct trial_side *side;
    Cohortium__Request request; /* its question is the caller's */
    struct session s;
    Cohortium__Release *release; /* NULL: it was not judged by rows */
    struct simulated_verdict verdict;
};

/* own: a site's policy. Close it on every path, also after a failure. */
CHECKED enum fault trial_side_open(struct cx *cx, struct vault *v, const struct policy *own,
                                   struct trial_side *ret);
/* As if nothing had been played under it. */
void trial_side_forget(struct trial_side *side);
void trial_side_close(struct trial_side *side);

/* cx, v, side and request are the caller's. What fails is told of this one question
 * (verdict.known is false); a fault ends all. */
CHECKED enum fault trial_play(struct trial *t);

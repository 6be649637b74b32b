/*
 * simulate.h - every question that this site's log keeps, judged anew under another policy.
 *
 * Each is played twice on the rows as they are now, in the order in which it was first
 * asked, by the same gate and the same leverages as a site that answers by itself: once
 * under the policy in force, once under the other, each time from an empty memory. What
 * differs follows from the policy alone. Nothing is written, charged or remembered: the
 * database is only read, and the memories are thrown away.
 *
 * Of a pooled question a site can judge its own patients only: what they alone would have
 * got, with the others' patients more may leave, and another site may object. What the
 * question's form or this site's own rules (local_minimum, all_other_members) refuse is
 * certain. What its own patients would get under neither policy is left to the pool.
 */
#pragma once

#include "node/vault/vault.h"

enum { SIMULATE_QUESTIONS_MAX = 5000 };

enum simulated_basis {
    SIMULATED_FORM, /* by the question's form, without rows: certain */
    SIMULATED_OWN,  /* all that this site gives */
    SIMULATED_PART  /* this site's patients of a pooled question */
};

struct simulated_verdict {
    bool known; /* false: it cannot be judged any more; why says so */
    bool released;
    enum simulated_basis basis;
    size_t given, withheld; /* values */
    const char *why;        /* as in the log */
};

enum simulated_outcome {
    SIMULATED_SAME,
    SIMULATED_RELEASED, /* newly */
    SIMULATED_REFUSED,  /* newly */
    SIMULATED_CHANGED,  /* other values are withheld, or given otherwise */
    SIMULATED_POOL,    /* the others' patients decide, and they are not known here */
    SIMULATED_UNKNOWN,
    SIMULATED_OUTCOMES
};

struct simulated {
    enum simulated_outcome outcome;
    struct simulated_verdict in_force, other;
    const Cohortium__Question *question;
    const char *words;     /* the question */
    uint64_t record;       /* of the log: when it was last asked */
    int64_t asked_at;      /* then */
    uint64_t times;        /* how often it stands in the log */
    struct bytes permit;   /* of then */
    bool released;         /* then */
    const char *reference; /* 16 digits; "": released, or refused without data */
};

struct simulation {
    size_t n;
    struct simulated *list; /* by when they were first asked */
    size_t counts[SIMULATED_OUTCOMES];
    uint64_t records; /* of questions in the log that were looked at */
    uint64_t lost;    /* of them, without a question that is kept */
    bool cut;         /* there were more; the newest are here */
};

/* in_force, other: a site's own policies, each within the manifest's bounds here. */
CHECKED enum fault simulate(struct cx *cx, struct vault *v, const struct policy *in_force,
                            const struct policy *other, struct simulation *ret);

/*
 * redteam.h - the attacks of tests/attacks on this site's own rows under a policy.
 *
 * Victims are picked here (redteam_victims.h). Each attack asks its questions as a
 * researcher would, from an empty memory, which is the attacker's best case: what was
 * released before only ever refuses more. They are judged by the gate itself, on this
 * site's patients as if they were all; nothing leaves, nothing is charged, written or
 * remembered. An attack fails the policy where its guess is right of more than half of the
 * victims.
 *
 * Numbers and names of attacks are those of tests/attacks/README.md.
 */
#pragma once

#include "node/vault/vault.h"

enum { REDTEAM_ATTACKS_MAX = 32 };

enum redteam_verdict {
    REDTEAM_PASS,      /* the policy holds */
    REDTEAM_FAIL,      /* the attack learned what it is after */
    REDTEAM_NOT_TRIED, /* nothing here that it could be tried on; why says what is missing
                        */
    REDTEAM_VERDICTS
};

struct redteam_finding {
    const char *id, *name;
    enum redteam_verdict verdict;
    size_t victims, stuck, right; /* tried on; withheld before a guess; guessed right */
    size_t questions;
    const char *why; /* rules of the last refusal, as in the log; or what is missing */
};

struct redteam {
    size_t n;
    struct redteam_finding list[REDTEAM_ATTACKS_MAX];
    size_t counts[REDTEAM_VERDICTS];
    size_t alone, victims; /* patients alone in their cell; of them, attacked */
    uint8_t version[ID_BYTES];
    bool honest; /* an ordinary count was answered under this policy */
};

/* own: the policy to try. FAULT_MISSING: no such dataset. */
CHECKED enum fault redteam(struct cx *cx, struct vault *v, const struct policy *own,
                           const char *dataset, struct redteam *ret);

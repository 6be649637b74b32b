/*
 * review.h - what an officer has made of an answer that waited for one, as a signed paper.
 *
 * It names the answer by its bytes, so it says yes to what was seen and to nothing else.
 */
#pragma once

#include "protocol/manifest.h"

enum { REVIEW_REASON_MAX = 500, REVIEW_MULTIPLE_MIN = 2, REVIEW_MULTIPLE_MAX = 100000 };

enum review_decision { REVIEW_ACCEPT, REVIEW_ROUND, REVIEW_REFUSE, REVIEW_DECISIONS };
const char *review_decision_word(enum review_decision d);

struct review {
    const Cohortium__Review *body;
    struct envelope envelope;
    enum review_decision decision;
    const Cohortium__Member *member;
    const char *by; /* name of the officer */
    uint8_t key[KEY_BYTES];
};

/*
 * Shape, consortium, date, signature of an officer of the member that it names.
 *
 * Returns  FAULT_FORMAT; FAULT_EXPIRED: it is dated in the future; FAULT_DENIED: of another
 * consortium, or not signed by an officer of whom it names
 */
CHECKED enum fault review_verify(struct cx *cx, const struct manifest *m,
                                 struct bytes packed, int64_t now, struct review *ret);

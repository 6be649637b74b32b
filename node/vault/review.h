/*
 * review.h - answers that an officer looks at before they leave (reviewed_statistics).
 *
 *   asked -> all rounds -> what would leave is written, with the log; FAULT_HELD
 *   an officer's signed paper: accepted, rounded, refused
 *   asked again -> the same rounds, the same bytes -> they leave, or NOT_RELEASED
 *
 * A question is held for its analysis alone, whatever its numbers and whoever objects: that
 * it waits says nothing of a row. It is charged and remembered with the first run, as an
 * answer would be. In a masked question this happens before the site's last word, the veto:
 * nothing has left it by then that could be read, and its word is the officer's.
 *
 * A yes is for these very bytes. Where the same question comes to others, they wait anew.
 */
#pragma once

#include "node/vault/vault.h"
#include "protocol/review.h"

enum { REVIEWS_WAITING_MAX = 256 };

enum review_state { REVIEW_WAITING, REVIEW_ACCEPTED, REVIEW_ROUNDED, REVIEW_REFUSED };

struct review_row {
    uint8_t question[DIGEST_BYTES], digest[DIGEST_BYTES]; /* of the body */
    enum review_state state;
    uint32_t multiple;    /* rounded */
    struct bytes body;    /* packed Release; none once it is decided */
    const char *words;    /* the question */
    const char *details;  /* what the gate says of it, as the log would */
    bool may_round;       /* this site alone makes these numbers */
    struct bytes permit, who;
    int64_t held_at;
    const char *reason, *by; /* once it is decided */
};

/* review_store.c */
CHECKED enum fault reviews_find(struct cx *cx, sqlite3 *sql,
                                const uint8_t question[DIGEST_BYTES],
                                struct review_row *ret); /* FAULT_MISSING */
/* Oldest first; without bodies. */
CHECKED enum fault reviews_list(struct cx *cx, sqlite3 *sql, struct review_row **ret,
                                size_t *ret_n);
CHECKED enum fault reviews_waiting(struct cx *cx, sqlite3 *sql, uint64_t *ret);
/* FAULT_CONFLICT: too many wait already. */
CHECKED enum fault reviews_hold(struct cx *cx, sqlite3 *sql, const struct review_row *row);
CHECKED enum fault reviews_decide(struct cx *cx, sqlite3 *sql, const struct review *review,
                                  int64_t now);

/* What becomes of an answer. */
struct review_verdict {
    const char *objection; /* refused, with its reason for the log; NULL */
    uint32_t multiple;     /* counts are rounded to multiples of this; 0: as they are */
};

/*
 * release    what would leave
 * why        NULL, or the objection for which nothing would
 * may_round  see above
 * also       written with what is held; its write may be NULL
 * Returns    FAULT_HELD: it waits, durably, and so is `also`
 */
CHECKED enum fault review_judge(struct cx *cx, struct vault *v, const struct opened *o,
                                const uint8_t question[DIGEST_BYTES],
                                const struct release *release, const char *why,
                                bool may_round, struct owed also,
                                struct review_verdict *ret);
/* How counts of an answer that was given before were rounded; 0: by policy. */
CHECKED enum fault review_multiple(struct cx *cx, struct vault *v,
                                   const uint8_t question[DIGEST_BYTES], uint32_t *ret);
/* Before anything is run: FAULT_HELD while it waits. */
CHECKED enum fault review_look(struct cx *cx, struct vault *v, const struct opened *o,
                               const uint8_t question[DIGEST_BYTES]);

/* An officer's paper. FAULT_DENIED: of another site's officer; FAULT_MISSING: nothing waits
 * that it names; FAULT_REFUSED: it would round what others make, too. */
CHECKED enum fault review_take(struct cx *cx, struct vault *v, struct bytes packed,
                               struct review *ret);

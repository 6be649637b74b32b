/* ask_private.h - what the parts of asking share. */
#pragma once

#include "node/cli/ask.h"

/* Home hears of a deadline first and says which site was late; then we stop waiting. */
enum {
    ASK_OUTPUT_MAX = 64 * 1024 * 1024,
    ASK_DEADLINE_S = 60,
    ASK_DEADLINE_MAX_S = 80000,
    ASK_SLACK_MS = 5000
};

struct sent { /* what was asked */
    const struct codebook *cb;
    const Cohortium__PermitCard *permit;
    Cohortium__Request *request;
    struct bytes packed;
    uint8_t digest[DIGEST_BYTES]; /* of the request's body */
    int64_t deadline_ms;
};

/* ask.c: tells all complaints, those alike once; the fault says refused or invalid. */
enum fault tell_complaints(struct cli *cli, struct cx *cx, const char *site,
                           Cohortium__Complaint *const *list, size_t n, bool quiet);

/* ask.c: stamps and signs sent->request, whose question, permit and note are there; fills
 * packed and digest. */
CHECKED enum fault ask_seal(struct home *home, struct cx *cx, struct sent *sent);
/* ask.c: the receipt must hold, and be of this very request; else it is kept as rejected.
 */
CHECKED enum fault ask_verify(struct home *home, struct cx *cx, const struct asking *asking,
                              const struct sent *sent, struct bytes packed,
                              const Cohortium__Receipt *receipt, struct receipt_facts *ret);
/* ask.c: where --save says, else in the profile, unless nothing is to be kept. */
CHECKED enum fault ask_keep(struct home *home, struct cx *cx, const struct asking *asking,
                            const struct sent *sent, struct bytes packed, bool rejected,
                            const char **ret_path);

/* dry_run.c: what the sites said of the question, and what it would cost. */
CHECKED enum fault dry_run_show(struct cli *cli, struct home *home, struct cx *cx,
                                const struct asking *asking, const struct sent *sent,
                                const Cohortium__Receipt *receipt);

/* ask_private.h - what the parts of asking share. */
#pragma once

#include "node/cli/ask.h"

enum { ASK_OUTPUT_MAX = 64 * 1024 * 1024 };

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

/* dry_run.c: what the sites said of the question, and what it would cost. */
CHECKED enum fault dry_run_show(struct cli *cli, struct home *home, struct cx *cx,
                                const struct asking *asking, const struct sent *sent,
                                const Cohortium__Receipt *receipt);

/* ask_private.h - what the parts of asking share. */
#pragma once

#include "node/cli/ask.h"

/* Home hears of a deadline first and says which site was late; then we stop waiting. */
enum {
    ASK_OUTPUT_MAX = 64 * 1024 * 1024,
    ASK_DEADLINE_S = 60,
    ASK_DEADLINE_MAX_S = 80000,
    ASK_SLACK_MS = 5000,
    ASK_WAIT_S = 60,
    ASK_WAIT_MAX_S = 80000,
    ASK_TOO_LATE_MS = 10000 /* a request with less to live is asked anew */
};

struct sent { /* what was asked */
    const struct codebook *cb;
    const Cohortium__PermitCard *permit;
    Cohortium__Request *request;
    struct bytes packed;
    uint8_t digest[DIGEST_BYTES]; /* of the request's body */
    const char *id;               /* the request's, 32 hex digits */
    int64_t deadline_ms;
    bool away; /* home went away for good, and all is said of it */
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

/* ask.c: ask_verify, ask_keep, and prints it; of a dry run, its price. */
CHECKED enum fault ask_show(struct cli *cli, struct home *home, struct cx *cx,
                            const struct asking *asking, const struct sent *sent,
                            struct bytes packed);
/* ask.c: all complaints of home->trouble, if there are any. */
enum fault tell_trouble(struct cli *cli, struct home *home, struct cx *cx,
                        const struct asking *asking, enum fault fault);
/* ask.c: whether --save can be written to. */
CHECKED enum fault ask_check_place(struct cx *cx, const struct asking *asking);

/* ask_send.c: keeps the request in the profile; what hinders that hinders nothing else. */
bool ask_pend(struct cli *cli, struct home *home, const struct asking *asking,
              const struct sent *sent);
/* ask_send.c: as ask_call, pending and stopped by Ctrl-C meanwhile. FAULT_NONE: the caller drops
 * what is pending when it has shown the answer. After a failure it is pending as long as it can be
 * collected, and the message says so. */
CHECKED enum fault ask_fetch(struct cli *cli, struct home *home, struct cx *cx,
                             const struct asking *asking, struct sent *sent, bool *ret_kept,
                             struct bytes *ret);
/* ask_send.c: sends it and shows the answer; it is pending in the profile until then. */
CHECKED enum fault ask_send(struct cli *cli, struct home *home, struct cx *cx,
                            const struct asking *asking, struct sent *sent);

/* ask_resume.c: --wait, of a command that has it. */
CHECKED enum fault ask_wait(struct cx *cx, const struct args *args, int64_t *ret_ms);
/* ask_resume.c: calls home with the request. When home goes away, it is waited for and asked
 * again: the same request while it is valid, else the same question anew (sent changes, and what
 * is pending with it). Nothing is charged twice for that. kept: the request is pending; another is
 * called once. */
CHECKED enum fault ask_call(struct cli *cli, struct home *home, struct cx *cx,
                            const struct asking *asking, struct sent *sent, bool kept,
                            struct bytes *ret);
/* ask_resume.c: home went away; linked again, or the fault that says how to go on. until:
 * monotonic. */
CHECKED enum fault ask_await_home(struct cli *cli, struct home *home, struct cx *cx,
                                  const struct asking *asking, const char *id,
                                  int64_t until);

/* later.c: how long a request of --later is valid; leaves it with home; cancels one there,
 * with what home says of it. */
CHECKED enum fault later_validity(struct home *home, struct cx *cx, const struct args *args,
                                  int64_t *ret_ms);
CHECKED enum fault later_leave(struct cli *cli, struct home *home, struct cx *cx,
                               const struct asking *asking, const struct sent *sent);
CHECKED enum fault later_cancel(struct home *home, struct cx *cx, const char *id,
                                const Cohortium__LaterCard **ret);
/* "it was charged at hospital_a, ...; asking it again is free", or that nothing was. */
const char *charged_words(struct home *home, struct cx *cx,
                          const Cohortium__LaterCard *card);

/* ask.c: the request of asking's words: question, permit, sites; signed. */
CHECKED enum fault ask_make(struct home *home, struct cx *cx, const struct asking *asking,
                            struct sent *sent);
/* dry_run.c: one site's preflight, which must be of this question. */
CHECKED enum fault dry_run_open(struct home *home, struct cx *cx, const struct sent *sent,
                                ProtobufCBinaryData packed, Cohortium__Preflight **ret);
/* dry_run.c: what the sites said of the question, and what it would cost. */
CHECKED enum fault dry_run_show(struct cli *cli, struct home *home, struct cx *cx,
                                const struct asking *asking, const struct sent *sent,
                                const Cohortium__Receipt *receipt);

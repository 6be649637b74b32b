/* coordinate_private.h - one question on its way; for coordinate*.c alone. */
#pragma once

#include "node/net/net.h"
#include "protocol/receipt.h"

/* CLEARING: sessions that a dead coordination of this request has left are ended. */
enum phase { LINKING, PREFLIGHT, BEGINNING, CLEARING, PROPOSING, STEPPING };

struct part { /* one site of a question */
    struct ask *ask;
    size_t i;
    const Cohortium__Member *who;
    bool waiting;
    bool charged;         /* it was told to do what it charges for */
    enum service service; /* of the newest call */
    struct bytes body;
    int64_t again_until; /* its link was lost: it is made again up to then; 0: it was not */
    uint64_t timer;
    struct bytes preflight, accept, vector;
    ProtobufCBinaryData *boxes; /* beside the vector: n - 1, or none without one */
    Cohortium__Answer *answer;
    bool proven; /* its record's cosigned proof was asked for */
};

struct ask {
    struct ask *next;
    uint8_t who[32]; /* the researcher */
    struct net *net;
    struct cx *cx;       /* the whole question */
    struct cx *round[2]; /* this round and the one before */
    unsigned turn;
    struct served *served; /* who waits for the answer; NULL: nobody at present */
    call_done *done;       /* told the end, too (later.c); NULL: nobody */
    void *done_user;
    struct request request;
    size_t n, home, waiting;
    struct part *parts;
    enum phase phase;
    bool rerun, failed, linking;
    bool held;  /* some policy holds answers to a quantum: there is time for cosignatures */
    bool clear; /* a site says that the session runs already */
    unsigned clears;
    bool busy; /* a site judges another question first */
    unsigned busies;
    uint32_t rounds, rounds_max;
    ProtobufCBinaryData *seen; /* of each round: digests of its proposal and vectors */
    size_t n_seen, seen_room;
    int64_t deadline, linking_until;
    struct bytes proposal;
    uint64_t timer, clear_timer;
};

/* coordinate.c. From preflight on, by itself; links should be up. */
void ask_begin(struct ask *a);
/* Everybody forgets the session, who waits hears why, once; site: whose fault, or a->n. It
 * goes with its last call, seen by ask_settle. */
void ask_fail(struct ask *a, enum fault fault, const char *text, size_t site);
void ask_settle(struct ask *a);
void ask_free(struct ask *a);
void ask_tell(struct ask *a, enum fault fault, const char *text,
              const Cohortium__Member *site);
bool ask_is_given_up(struct ask *a);
extern const char ask_cancelled[];

/* asks.c. As coordinate, of a researcher who need not be there: `served` or `done`
 * may be NULL; done hears the end once, as of a call. */
void coordinate_for(struct net *net, const uint8_t who[32], struct bytes request,
                    struct served *served, call_done *done, void *user);
/* One of `who` that runs: by the digest of its request, or by its id's first hex digits
 * (several: the first; *ret_n tells). NULL: none. */
struct ask *ask_find(struct net *net, const uint8_t who[32], const uint8_t digest[32]);
struct ask *ask_named(struct net *net, const uint8_t who[32], const char *id,
                      size_t *ret_n);
/* Ends it everywhere; whoever waits hears that it was cancelled. */
void ask_cancel(struct ask *a);
/* coordinate_progress.c: tells who waits how far each site is; nothing data-dependent. */
void ask_progress(struct ask *a);
/* coordinate_again.c: a call whose link was lost is made again. True: it will be. */
bool part_waits_again(struct part *p, enum fault fault, struct bytes body);
void part_forget_again(struct part *p); /* no more */
/* coordinate.c: a call is over, or has failed for good. */
void part_call_ended(void *user, enum fault fault, struct bytes body);

/* coordinate_receipt.c. A round's vectors are all here: what it was made of is kept by digest. */
CHECKED enum fault ask_keep_round(struct ask *a);
/* What all sites have said, packed for the researcher. */
CHECKED enum fault ask_receipt(struct ask *a, struct bytes *ret);
/* coordinate_witness.c. A site has answered: its record is wanted under a cosigned checkpoint,
 * where there is time for that. Counts in a->waiting. */
void part_prove(struct ask *a, size_t i);
/* Whether a site's policy holds answers. */
bool policy_holds(const Cohortium__Policy *policy);

/* coordinate.c: a call of a part is back; goes on when it was the last. */
void ask_called(struct ask *a);

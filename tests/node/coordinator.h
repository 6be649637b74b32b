/*
 * coordinator.h - plays the coordinator of one question over three vaults in this process,
 * as node/net/coordinate.c does over the network; or lies in one place.
 *
 * Each call runs in memory of its own that is gone afterwards, as a job of a vault does.
 */
#pragma once

#include "tests/node/vaults.h"

enum { PLAY_ROUNDS_MAX = 128 };

struct play {
    struct vaults *t;
    struct cx *cx;
    struct bytes request;
    uint8_t digest[DIGEST_BYTES]; /* names the session */
    bool by_site;
    size_t n; /* sites asked: the first ones */
    struct bytes preflight[VAULTS], accept[VAULTS], vector[VAULTS], proposal;
    struct bytes before[VAULTS]; /* vectors of the round before the newest */
    /* Beside them, for each other participant in their order (lie_box_at). */
    struct bytes boxes[VAULTS][VAULTS - 1], boxes_before[VAULTS][VAULTS - 1];
    Cohortium__Answer *answer[VAULTS];
    size_t as;         /* the site that calls, over a link or at itself; 0: the home node */
    uint32_t round;    /* the next proposal's, or the one that was just made */
    char message[512]; /* of the newest fault */
    ProtobufCBinaryData seen[PLAY_ROUNDS_MAX]; /* digests of each round, for the receipt */
    size_t n_seen;
};

void play_new(struct play *p, struct vaults *t, struct bytes request);
void play_free(struct play *p);
/* A question of the researcher to all sites. */
void play_ask(struct play *p, struct vaults *t, const char *analysis, const char *formula,
              const char *cohort);
/* Who `site` takes `as` for. */
struct caller play_caller(struct vaults *t, size_t as, size_t site);
/* Everybody is told that it ends; or one, by `as`. */
void play_forget(struct play *p);
enum fault play_abort(struct play *p, size_t site);
/* The session inside a vault, for a member that lies with its own keys. */
struct session *play_session(struct play *p, size_t site);

/* The boxes for a site beside the vectors of the round before. */
void play_boxes(const struct play *p, size_t site, ProtobufCBinaryData boxes[VAULTS]);

/* Changes what a vault is about to be told. */
typedef void play_lie(struct play *p, size_t victim, Cohortium__StepCall *call);

enum fault play_preflight(struct play *p, size_t site);
enum fault play_begin(struct play *p, size_t site, bool rerun);
/* Home takes up the vectors of the round before and proposes; lie may be NULL. */
enum fault play_propose(struct play *p, play_lie *lie);
/* One vault takes the proposal and gives a vector, or its answer. */
enum fault play_step(struct play *p, size_t site, play_lie *lie);

/* Honest stretches; the test fails with the vault's own words where one of them faults. */
void play_start(struct play *p); /* preflights and begins, rerun where needed */
void play_round(struct play *p); /* proposes, steps all */
void play_to(struct play *p, uint32_t round); /* up to home's proposal of this round */
/* Whole rounds, to the end of one of this kind. */
void play_past(struct play *p, Cohortium__RoundKind kind);
void play_step_all(struct play *p);           /* the round that is proposed, to its end */
void play_finish(struct play *p);             /* until all have answered */
void play_whole(struct play *p);              /* start and finish */

const Cohortium__Preflight *play_preflight_of(struct play *p, size_t site);
const Cohortium__Proposal *play_proposal(struct play *p);
/* The signed body of a vault's answer. */
struct bytes play_body(struct play *p, size_t site);
const Cohortium__Release *play_release(struct play *p, size_t site);
Cohortium__Receipt *play_receipt(struct play *p);

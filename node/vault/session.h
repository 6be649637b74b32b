/*
 * session.h - one masked question at one vault, between its rounds.
 *
 *   ACCEPTED -> REGIONS -> VERDICT -> OPENING/SUM ... -> VETO -> RELEASE -> over
 *   ACCEPTED ->                                          VETO -> RELEASE -> over   by site
 *   ACCEPTED ->                      OPENING/SUM ... -> VETO -> RELEASE -> over   noised
 *
 * A step absorbs the vectors of the round before, checks and adopts home's proposal for the next
 * and answers with this vault's own vector. Nothing of a session is on disk but the charge,
 * written before the first proposal or vector, the ledger row written before the first vector
 * after the verdict, and home's decision, logged before its proposal of the release leaves. So a crash ends it: keys are ephemeral, and other data can
 * never be masked under an old key.
 */
#pragma once

#include "node/vault/circles.h"
#include "node/vault/columns.h"

struct session {
    struct cx *cx;                  /* everything of this session */
    pthread_mutex_t lock;           /* held by the worker that runs a step */
    bool over;
    bool doomed;                    /* aborted while at work; under the vault's sessions_lock */
    uint8_t request[32];            /* names it */
    uint8_t owner[32];              /* the home node, from its signed request: it alone may
                                       step and end it. Neither changes once in the table */
    int64_t arrival_us, touched_ms; /* monotonic */
    const struct manifest *manifest; /* in force when it began: what it stamps and judges by */
    struct opened o;
    struct policy policy;           /* of the session */
    uint8_t policy_digest[32], question[32];
    size_t n, self, home;           /* participants, own place, the coordinator's place */
    const Cohortium__Member **who;
    struct bytes *ids, *versions;
    uint8_t *secret;                /* ephemeral, sodium_malloc */
    uint8_t public_key[32];
    uint8_t accept_digest[32];
    uint8_t session_id[32];         /* T0 */
    struct mask *mask;

    uint32_t round;
    Cohortium__RoundKind kind;      /* of the round that comes next, or whose vectors we await */
    bool charged;                   /* durably */
    bool stood;                     /* its papers and data did, */
    uint64_t stood_changes;         /* with the database at this */
    bool awaiting;                  /* our vector is out; the others' are to come */
    uint8_t transcript[32];
    uint8_t learned[32];            /* of the pooled sums so far; in boxes' contexts, never sent */
    uint8_t proposal[32];           /* digest of the adopted proposal's body */
    uint8_t own_proposal[32];       /* home: of the newest that it made */
    uint8_t input_digest[32];       /* of the proposal and what was adopted; for the masks */
    uint8_t own_vector[32];         /* digest of our vector's body */
    struct tally *own_masked;       /* our share of the masked sum */

    struct state *state;
    struct measure *measure;        /* of the current OPENING or SUM round */
    struct site_sums sums, guards;  /* newest scan; newest scan with guards */
    const struct measure *guards_measure;
    double *pooled_guard_sums;
    uint64_t *region_sizes, population; /* pooled */
    bool *region_small;             /* too few in it or outside: not given, not remembered */
    bool *region_in;                /* neither that, nor one that somebody's patients cannot bear */
    struct memory *memory;          /* of the dataset; NULL: nothing is remembered */
    uint64_t lease;                 /* on it, from ACCEPT to the entry; 0: none */
    struct circles circles;
    uint64_t circle_length;         /* columns that our own goes on from */
    uint64_t **bitmaps;             /* by region, of our patients */
    struct columns columns;
    uint64_t *products;             /* of the columns; pooled, or our own where alone */
    uint64_t entered;               /* columns after our entry, until all have made theirs */
    uint8_t entered_head[32];
    struct zcdp_plan *noise;        /* of the newest measure; NULL: without noise */
    struct rounds *rounds;          /* what the rounds so far have shown the members */
    const char *objection;          /* ours; NULL: none. For our own log only */
    uint32_t multiple;              /* by site: an officer has our counts rounded to this */
    bool refused;                   /* the pooled verdict or veto said no */
    bool by_site;                   /* of two sites or more; one alone has no session */
    size_t n_places;                /* by site: of a result of this question (gate_places) */
    bool *taken;                    /* by place: we withhold it; after the veto, some site does */
    bool *lost;                     /* by place: what regions that are not `in` take; or NULL */
    struct result *result;
    struct release *release;        /* ours, before and after adoption */
    struct bytes held;              /* body given before; no other is proposed or adopted */
    Cohortium__Answer *answer;      /* home's, logged before its proposal leaves */
    struct step_reply last;         /* to the newest step, for the very same step again */
};

/* Expected input of the next round, for home's proposal and everybody's check. */
CHECKED enum fault session_absorb(struct cx *cx, struct vault *v, struct session *s,
                                  ProtobufCBinaryData *vectors, size_t n,
                                   ProtobufCBinaryData *boxes, size_t n_boxes);
CHECKED enum fault session_propose(struct cx *cx, struct vault *v, struct session *s,
                                   struct bytes *ret_proposal);
CHECKED enum fault session_adopt(struct cx *cx, struct vault *v, struct session *s,
                                 struct bytes proposal);
CHECKED enum fault session_vector(struct cx *cx, struct vault *v, struct session *s,
                                  Cohortium__StepReply *reply);
CHECKED enum fault session_release(struct cx *cx, struct vault *v, struct session *s,
                                   Cohortium__Answer **ret);
/* What a box of this session is bound to: a proposal's inputs to all that was said and summed
 * before it, a vector's tallies to the proposal besides. */
enum { INPUT_CONTEXT = 2 * DIGEST_BYTES, VECTOR_CONTEXT = 3 * DIGEST_BYTES };
struct bytes session_input_context(const struct session *s, uint8_t context[INPUT_CONTEXT]);
struct bytes session_vector_context(const struct session *s, uint8_t context[VECTOR_CONTEXT]);
/* session_input.c: the shared numbers of a sum round, sealed by home, adopted by all. */
CHECKED enum fault session_seal_input(struct session *s, Cohortium__Proposal *p);
CHECKED enum fault session_adopt_input(struct cx *cx, struct session *s,
                                       const Cohortium__Proposal *p);
/* Of an analysis that an officer here looks at: what would leave, before our last word is made
 * (review.h). */
CHECKED enum fault session_review(struct vault *v, struct session *s);
/* session_regions.c: whether what is released is remembered; who judges together, and the lease
 * (FAULT_BUSY, FAULT_INVALID, FAULT_CONFLICT); own sizes and products; what all of them say;
 * the words; entry. products of session_judge_leverages: the pooled counts of the round, or
 * NULL where this site judges alone. */
bool session_remembers(const struct session *s);
CHECKED enum fault session_remember(struct vault *v, struct session *s,
                                    Cohortium__Memory *const *claims);
CHECKED enum fault session_make_columns(struct session *s, uint64_t *sizes,
                                        uint64_t *population);
CHECKED enum fault session_sum_regions(struct session *s, struct tally **ret);
CHECKED enum fault session_learn_regions(struct session *s, const struct tally *pooled);
CHECKED enum fault session_judge_leverages(struct session *s, const struct tally *pooled,
                                           const bool *small);
CHECKED enum fault session_words(struct session *s, struct votes **ret);
void session_learn_words(struct session *s, const struct tally *pooled);
/* Whole; or into memory, then as a part of a write, then memory_written. */
CHECKED enum fault session_enter_ledger(struct cx *cx, struct vault *v, struct session *s);
CHECKED enum fault session_enter_memory(struct session *s, struct memory_entry *entry);
CHECKED enum fault session_write_entry(struct cx *cx, sqlite3 *sql, const struct session *s,
                                       const struct memory_entry *entry);
void session_confirm(struct session *s);
void session_forget(struct session *s); /* gives the lease back */
/* lost: what of the result rests on regions that are not in. */
CHECKED enum fault session_take_lost(struct session *s);

/* What this site's policy asks of its own rows in a masked question: sizes of the regions, then
 * the population as one more; then its cells and all the rest. They set the objection. */
CHECKED enum fault session_judge_own_sizes(struct session *s, const uint64_t *sizes,
                                           uint64_t population);
CHECKED enum fault session_judge_own_part(struct vault *v, struct session *s);

/* bysite.c: the form of the answer, without data; all of this site's work, as words; what all
 * sites' words say. */
CHECKED enum fault bysite_begin(struct session *s);
/* One site, and no other was asked: all rounds on own rows, gate, release. It owes charge and
 * regions; after a fault the charge alone. *ret_entry: memory_written wants to hear of it. */
CHECKED enum fault bysite_answer(struct vault *v, struct session *s, struct release **ret,
                                 const char **ret_details, struct owed *ret_owed,
                                 const struct memory_entry **ret_entry);
CHECKED enum fault bysite_votes(struct vault *v, struct session *s, struct votes **ret);
void bysite_learn(struct session *s, const struct tally *pooled);
CHECKED enum fault session_start(struct cx *cx, struct vault *v, struct session *s,
                                 ProtobufCBinaryData *accepts, size_t n);

/* session_again.c: a step whose answer was lost with a link. call: digest of the step. */
bool session_is_again(const struct session *s, const uint8_t call[DIGEST_BYTES]);
CHECKED enum fault session_again(struct cx *cx, const struct session *s, struct bytes *ret);
void session_keep(struct session *s, const uint8_t call[DIGEST_BYTES], struct bytes reply);
/* The last answer of a session that ends with it; answer_again finds it (FAULT_MISSING;
 * FAULT_DENIED for another than its owner). */
void session_leave_answer(struct vault *v, struct session *s);
CHECKED enum fault answer_again(struct cx *cx, struct vault *v, const struct caller *who,
                                const uint8_t call[DIGEST_BYTES], struct bytes *ret);
void answers_purge(struct vault *v, int64_t now_mono);
void reply_free(struct step_reply *reply);

/* sessions.c: the table. find locks it (unlock with session_unlock); FAULT_DENIED: it is not
 * the caller's, and was not touched. */
CHECKED enum fault session_new(struct cx *cx, struct vault *v, struct session **ret);
/* Puts a locked session in the table (FAULT_REPLAY: it runs already; FAULT_UNAVAILABLE: full). */
CHECKED enum fault session_enter(struct cx *cx, struct vault *v, struct session *s);
CHECKED enum fault session_find(struct cx *cx, struct vault *v, const struct caller *who,
                                const uint8_t request[32], struct session **ret);
void session_unlock(struct vault *v, struct session *s); /* frees it when it is over */
/* FAULT_REPLAY: a session of another request with the same id runs. */
CHECKED enum fault sessions_know_no_other(struct cx *cx, struct vault *v,
                                          const struct request *r);
/* Whether what was accepted still stands: papers, policy, data. */
CHECKED enum fault session_stands(struct cx *cx, struct vault *v, struct session *s);

/*
 * receipt.h - one file that proves an answer, offline, for anyone.
 *
 * Holds the manifest chain, request with credential, permits, preflights, ACCEPTs, digests of
 * all that the session's rounds were made of, the release with every participant's signature, and each participant's log leaf, inclusion
 * proof and checkpoint. Text form of the file: a first line "cohortium receipt 1", then
 * base64.
 */
#pragma once

#include "protocol/papers.h"

enum { RECEIPT_MAX = 64 * 1024 * 1024 };

struct receipt_site { /* one participant's part in the answer */
    const Cohortium__Member *member;
    struct bytes version;               /* the id of its dataset version */
    uint8_t policy[32];                 /* digest of the policy it answered under */
    const Cohortium__LogRecord *record; /* its log's leaf ... */
    uint64_t index, size;               /* ... at this index of a log of that many */
    bool repeated;                      /* it held the answer before */
};

struct receipt_facts { /* what is proved, for people; all in cx */
    const struct manifest *manifest;
    struct request request;
    const Cohortium__Release *release; /* pooled; NULL when by site */
    size_t n_sites;
    const Cohortium__Release **site_releases; /* by site, in order */
    struct bytes body;                        /* of the pooled release */
    int64_t answered_at;                      /* latest time in the leaves */
    bool exact_for_testing;
    const Cohortium__Permit *permit;
    const struct receipt_site *sites; /* in the order of the question's sites */
    /* At least WITNESSES_MIN other members have cosigned a checkpoint of each site's log
     * that the decision is under; else `unwitnessed` names a site for which they have not. */
    bool witnessed;
    const char *unwitnessed;
    size_t n_witnesses;
    const char **witnesses; /* names of all who cosigned, sorted */
    const struct receipt_seen { /* the same of each site's log, in the order of sites */
        size_t n;
        const Cohortium__Member **by; /* sorted by node id */
    } *seen;
    size_t n_statements;
    const char **statements; /* "the request is signed by ...", in order checked */
};

/*
 * genesis: pinned digest, or NULL to accept the receipt's own (said in the statements).
 * Checks, in this order: manifest chain; credential; request signature; permit; preflights;
 * ACCEPTs (same question digest, participants, versions, policy, in all; none by site);
 * release: question equals the request's, digest, participants, versions, signed by every
 * participant; each leaf: kind, request, question and release digests, inclusion,
 * checkpoint signature; from the ACCEPTs over the rounds' digests follows the transcript that
 * the sites have logged. The first thing that is wrong is named: FAULT_DENIED with a
 * sentence. A dry run has no release (FAULT_INVALID). Cosignatures of others beside a
 * checkpoint's own are counted last; that there are none is a fact, not a fault.
 */
CHECKED enum fault receipt_verify(struct cx *cx, const Cohortium__Receipt *receipt,
                                  const uint8_t *genesis, struct receipt_facts *ret);
/* "witnessed by hospital_b, hospital_c" or "unwitnessed: ..."; NULL without memory. */
const char *receipt_witness_words(struct cx *cx, const struct receipt_facts *facts);
/* Puts newer proofs in the place of those of the same record (LogProof without it), in a copy
 * of the list. Believed by nobody before receipt_verify. */
CHECKED enum fault receipt_take_proofs(struct cx *cx, Cohortium__Receipt *receipt,
                                       Cohortium__LogProof *const *claimed, size_t n);
CHECKED enum fault receipt_write(struct cx *cx, struct bytes packed, const char *path);
CHECKED enum fault receipt_read(struct cx *cx, const char *path, struct bytes *ret_packed);

/* SHA-256 over {question body, versions in order of sites, session policy digest}: the
 * question digest. One function for vaults and verifiers. */
CHECKED enum fault question_digest(struct cx *cx, const Cohortium__Question *question,
                                   const struct bytes *versions, size_t n,
                                   const uint8_t policy_digest[32], uint8_t ret[32]);
/* A session's transcript after one more round: `round` is the digest of the proposal's body, then
 * those of the vectors' bodies in order of participants. It begins with session_id. One function
 * for vaults and verifiers. */
void transcript_next(uint8_t transcript[32], struct bytes round);
CHECKED enum fault policy_digest(struct cx *cx, const Cohortium__Policy *policy,
                                 uint8_t ret[32]);

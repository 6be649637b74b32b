/*
 * revocations.h - papers that take permits and credentials back: kept, obeyed, told on.
 *
 * A paper that a node has found well signed is kept, whether or not it binds this node, and
 * is told to every member. One binds where it is of an officer of this site, or of the
 * target's issuer. It is never undone: a permit or credential that it names stays revoked
 * until it would have ended by itself; a new one has another digest.
 */
#pragma once

#include "node/vault/vault.h"
#include "protocol/revocation.h"

enum { REVOCATIONS_OF_ONE_MAX = 1000 /* papers of one member that are kept at once */ };

struct revocation_taken {
    struct revocation paper;
    bool binds; /* this site obeys it */
};

/*
 * Verifies one, writes it with its log record in one transaction, ends links of a
 * researcher whom it leaves without a credential, and has it told to the members.
 *
 * once     what is revoked already is not revoked again, by another paper
 * Returns  FAULT_REPLAY: it is here already; FAULT_CONFLICT: see once, or what this site
 * holds under the target's id is another; FAULT_BOUND: one member's papers are too many;
 * and as revocation_verify
 */
CHECKED enum fault revocation_take(struct cx *cx, struct vault *v, struct bytes packed,
                                   bool once, struct revocation_taken *ret);
/* RevocationsCall of a member: what is new is taken, what is known passed over. The first
 * that cannot be taken is the fault; the others are taken all the same. */
CHECKED enum fault vault_revocations(struct cx *cx, struct vault *v, struct bytes call);
/* All that are kept, to net. */
CHECKED enum fault revocations_tell(struct cx *cx, struct vault *v);

/* FAULT_DENIED: a paper binds this site. For a permit that is about to be added. */
CHECKED enum fault revocations_check(struct cx *cx, sqlite3 *sql,
                                     const Cohortium__Member *self,
                                     const uint8_t target[32], struct bytes issuer);
/* The same for a credential, at each request, at whichever site. */
CHECKED enum fault vault_credential_stands(struct cx *cx, struct vault *v,
                                           const struct credential *who);

struct revocation_row {
    struct bytes packed;
    int64_t seen_at;
};
/* Those of a target, or all (NULL), by when they were made. */
CHECKED enum fault revocations_list(struct cx *cx, sqlite3 *sql, const uint8_t *target,
                                    struct revocation_row **ret, size_t *ret_n);
/* A kept paper's words; its signature was judged when it came. */
CHECKED enum fault revocation_read(struct cx *cx, struct bytes packed,
                                   const Cohortium__Revocation **ret);

/* Links of whoever holds no credential that counts any more end now. */
CHECKED enum fault researchers_end_links(struct cx *cx, struct vault *v);

/*
 * papers_store.h - permits, policies, issued credentials, replay ids and final answers in
 * the vault's database. Rows hold signed envelopes as they came; they are verified again
 * when read.
 */
#pragma once

#include "node/vault/db.h"
#include "node/vault/policy.h"

/* Permits. add: verified already; FAULT_DENIED where it was taken back before. */
CHECKED enum fault permits_add(struct cx *cx, sqlite3 *sql, const struct permit *p);
CHECKED enum fault permits_find(struct cx *cx, sqlite3 *sql, const uint8_t id[16],
                                struct bytes *ret_packed); /* FAULT_MISSING */
struct permit_end {                                        /* a permit taken back here */
    int64_t at;                                            /* 0: it was not */
    const char *reason;
};
/* FAULT_CONFLICT: it is already. It stays in the database, and can never be added again. */
CHECKED enum fault permits_revoke(struct cx *cx, sqlite3 *sql, const uint8_t id[16],
                                  const char *reason, int64_t now);
CHECKED enum fault permits_revoked(struct cx *cx, sqlite3 *sql, const uint8_t id[16],
                                   struct permit_end *ret);
CHECKED enum fault permits_list(struct cx *cx, sqlite3 *sql, struct bytes **ret,
                                size_t *ret_n);

/* Policy in force: the newest; none: FAULT_MISSING ("no policy is in force: ..."). */
CHECKED enum fault policies_add(struct cx *cx, sqlite3 *sql, struct bytes packed,
                                uint64_t serial, int64_t now);
CHECKED enum fault policies_current(struct cx *cx, sqlite3 *sql, struct bytes *ret_packed);
CHECKED enum fault policies_list(struct cx *cx, sqlite3 *sql, struct bytes **ret,
                                 size_t *ret_n); /* oldest first */

/* Credentials that this node issued, and their revocation (the home's own list). */
CHECKED enum fault researchers_add(struct cx *cx, sqlite3 *sql, const uint8_t subject[32],
                                   const uint8_t serial[16], struct bytes packed);
/* Nothing happens where the serial is unknown, or revoked already: the first reason stays. */
CHECKED enum fault researchers_revoke(struct cx *cx, sqlite3 *sql, const uint8_t serial[16],
                                      const char *reason, int64_t now);
/* FAULT_DENIED when the serial is revoked or was not issued here. */
CHECKED enum fault researchers_check(struct cx *cx, sqlite3 *sql, const uint8_t serial[16]);
struct researcher_row {
    const char *name;
    uint8_t subject[32], serial[16];
    struct bytes credential;
    uint64_t issued_at, not_after, revoked_at; /* 0: not revoked */
    const char *reason;
};
CHECKED enum fault researchers_list(struct cx *cx, sqlite3 *sql,
                                    struct researcher_row **ret, size_t *ret_n);

/* Replay ids: FAULT_REPLAY when (issuer, request id) was seen with another digest; the same
 * digest again is fine (resume). Kept until expiry + skew, then purged. */
CHECKED enum fault replay_note(struct cx *cx, sqlite3 *sql, const uint8_t issuer[32],
                               const uint8_t request_id[16], const uint8_t digest[32],
                               uint64_t expires_at, int64_t now);
CHECKED enum fault replay_check(struct cx *cx, sqlite3 *sql, const uint8_t issuer[32],
                                const uint8_t request_id[16], const uint8_t digest[32],
                                bool *ret_seen); /* notes nothing */

/* Final answers by question digest: release body, our packed signed envelope, transcript.
 */
struct answer_row {
    struct bytes release; /* packed Envelope with our signature */
    struct bytes transcript;
};
CHECKED enum fault answers_add(struct cx *cx, sqlite3 *sql, const uint8_t question[32],
                               const struct answer_row *row, int64_t now);
CHECKED enum fault answers_find(struct cx *cx, sqlite3 *sql, const uint8_t question[32],
                                struct answer_row *ret); /* FAULT_MISSING */
/* How many questions were charged to a permit here. */
CHECKED enum fault permits_used(struct cx *cx, sqlite3 *sql, const uint8_t id[16],
                                uint64_t *ret);
/* Charges a question to a permit once; FAULT_REFUSED where its budget (0: none) is used up.
 */
CHECKED enum fault permits_charge(struct cx *cx, sqlite3 *sql, const uint8_t id[16],
                                  uint64_t budget, const uint8_t question[32]);
/* The same fault without a charge, for a question that no permit was charged for. */
CHECKED enum fault permits_room(struct cx *cx, sqlite3 *sql, const uint8_t id[16],
                                uint64_t budget);
/* Whether a question was charged to any permit: then nobody is charged for it again. */
CHECKED enum fault permits_charged(struct cx *cx, sqlite3 *sql, const uint8_t question[32],
                                   bool *ret);
/* Forms of charged questions (charge.c). */
CHECKED enum fault forms_add(struct cx *cx, sqlite3 *sql, const uint8_t form[32]);
CHECKED enum fault forms_find(struct cx *cx, sqlite3 *sql, const uint8_t form[32],
                              bool *ret);

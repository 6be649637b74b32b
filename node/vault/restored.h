/*
 * restored.h - a vault whose folder came from a backup.
 *
 * An older copy would forget the regions that were released since. The log says that it was
 * restored (record "restore"), so the state outlives every start; it ends with a record
 * "compared": another member found that the log goes on from what it has seen of it, there
 * is no other member, or an operator took it on, with a reason that stays in the log.
 */
#pragma once

#include "node/vault/audit.h"

struct vault;

/* For restore: db_work over a vault.db that no vault has open; user: struct restored_from.
 */
struct restored_from {
    const char *made; /* the backup */
    uint64_t size;    /* records of its log */
};
CHECKED enum fault restored_mark(struct cx *cx, sqlite3 *sql, void *user);

/* At start: sets v->restored. A consortium of one has nobody to compare with: it goes on.
 */
CHECKED enum fault restored_load(struct cx *cx, struct vault *v);
/* FAULT_REFUSED, in words, while the log is not compared. */
CHECKED enum fault restored_judge(struct cx *cx, struct vault *v);
/* WITNESSES_MIN others (all, where there are fewer) must have seen the log and find nothing
 * missing: one alone may not have seen the newest records.
 *
 * Another member has spoken about this node's log. note: the newest checkpoint of it that
 * it holds, signed by this node; NULL: it has just cosigned the log as it is. A vault that
 * is not restored, or has been compared, is left alone. FAULT_CONFLICT: the log does not
 * continue the note: it stays restored. FAULT_DENIED: the note is not this node's. */
CHECKED enum fault vault_restored_check(struct cx *cx, struct vault *v, const char *who,
                                        const char *note);
/* By the operator; FAULT_USAGE when nothing waits for it, FAULT_REFUSED when somebody has
 * seen more of the log than there is. */
CHECKED enum fault restored_accept(struct cx *cx, struct vault *v, const char *reason);

/*
 * audit.h - the tamper-evident log: RFC 6962 tree in the vault's database.
 *
 * A leaf is a packed LogRecord; its text for people lives in a side table under a salted
 * hash. Append inside the transaction of what it records. No patient value goes in either.
 */
#pragma once

#include "node/vault/db.h"
#include "protocol/cohortium.pb-c.h"
#include "protocol/merkle.h"

/* Appends and returns the leaf's index. Time never runs backwards (the later of now and the
 * last leaf). record->details is filled here. */
CHECKED enum fault audit_append(struct cx *cx, sqlite3 *sql, Cohortium__LogRecord *record,
                                const char *details, uint64_t *ret_index);
/* Inclusion proof of a leaf in the current tree, with a freshly signed checkpoint. Under
 * db_write the checkpoint is stored too: stored ones are what audit_verify finds a cut tail
 * or a log written anew by. So prove in the transaction that appends. */
CHECKED enum fault audit_proof(struct cx *cx, sqlite3 *sql, const struct keys *keys,
                               const char *origin, uint64_t index,
                               Cohortium__LogProof *ret_proof);
CHECKED enum fault audit_checkpoint(struct cx *cx, sqlite3 *sql, const struct keys *keys,
                                    const char *origin, const char **ret_note);
/* Rebuilds the tree from the leaves, compares stored nodes, the side table's hashes and
 * every stored checkpoint. FAULT_CONFLICT names the first record that does not fit. */
CHECKED enum fault audit_verify(struct cx *cx, sqlite3 *sql, const uint8_t key[32],
                                const char *origin, uint64_t *ret_size,
                                uint8_t ret_root[32]);
/* The root that the leaves themselves give, whatever is stored above them, at each wanted
 * size
 * (`at`, smallest first; there: the log has so many) and in the end. */
struct audit_at {
    uint64_t size;
    bool there;
    uint8_t root[32], signed_root[32]; /* the second is the caller's, and: */
    const char *signed_note;
};
CHECKED enum fault audit_of_leaves(struct cx *cx, sqlite3 *sql, struct audit_at *at,
                                   size_t n, uint64_t *ret_size, uint8_t ret_root[32]);
CHECKED enum fault audit_size(struct cx *cx, sqlite3 *sql, uint64_t *ret);
/* merkle_store over the log's tables; user is the sqlite3. */
struct merkle_store audit_store(sqlite3 *sql);
/* Records that this process has appended, to any log: a hint that one has grown. */
uint64_t audit_appended(void);
struct audit_entry {
    uint64_t index;
    const Cohortium__LogRecord *record;
    const char *details;
};
/* The newest `most` entries of this kind (NULL: all), newest first. */
CHECKED enum fault audit_list(struct cx *cx, sqlite3 *sql, const char *kind, uint64_t most,
                              struct audit_entry **ret, size_t *ret_n);
CHECKED enum fault audit_find(struct cx *cx, sqlite3 *sql, uint64_t index,
                              struct audit_entry *ret);
/* Before the reference in the details of an answer that was not released. */
extern const char AUDIT_REFUSED_AS[];
/* The decision that was told under this reference. A researcher's note may hold any text:
 * none of it is taken for one. */
CHECKED enum fault audit_find_reference(struct cx *cx, sqlite3 *sql, const char *reference,
                                        struct audit_entry *ret);
uint64_t audit_last_time(struct cx *cx, sqlite3 *sql); /* 0: empty */

/* audit_verify.c - the log, recomputed from its leaves. */
#include "node/vault/audit_private.h"

#include <string.h>

struct rebuild {
    struct cx *cx, *scratch; /* scratch: emptied after each record */
    sqlite3 *sql;
    uint64_t size, last_time;
    uint64_t nodes;        /* complete subtrees of two and more leaves */
    uint8_t stack[64][32]; /* by level: the complete subtree that waits for its neighbour */
};

static enum fault unfit(const struct rebuild *r, uint64_t record, const char *what)
{
    return cx_fail(
        r->cx, FAULT_CONFLICT,
        "log: record %llu does not fit: %s. Somebody changed the database: keep a "
        "copy of the folder, and restore it from a backup",
        (unsigned long long)record, what);
}

static enum fault check_details(struct rebuild *r, sqlite3_stmt *stmt,
                                const Cohortium__LogRecord *record)
{
    const char *details = (const char *)sqlite3_column_text(stmt, 3);
    struct bytes salt =
        bytes_of(sqlite3_column_blob(stmt, 4), (size_t)sqlite3_column_bytes(stmt, 4));
    uint8_t hash[DIGEST_BYTES];

    if (details == NULL && salt.n == 0)
        return FAULT_NONE; /* erased, both: allowed */
    if (details == NULL || salt.n == 0)
        return unfit(r, r->size, "half of its details is gone");
    audit_details_hash(salt, details, hash);
    if (!bytes_equal(bytes_of(hash, sizeof hash), PB_BYTES(record->details)))
        return unfit(r, r->size, "its details were changed");
    return FAULT_NONE;
}

static enum fault check_leaf(struct rebuild *r, sqlite3_stmt *stmt, uint8_t ret_hash[32])
{
    struct bytes leaf =
        bytes_of(sqlite3_column_blob(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1));
    struct bytes hash =
        bytes_of(sqlite3_column_blob(stmt, 2), (size_t)sqlite3_column_bytes(stmt, 2));
    Cohortium__LogRecord *record;

    if ((uint64_t)sqlite3_column_int64(stmt, 0) != r->size)
        return unfit(r, r->size, "it is missing");
    merkle_leaf(leaf, ret_hash);
    if (!bytes_equal(bytes_of(ret_hash, DIGEST_BYTES), hash))
        return unfit(r, r->size, "its content and its hash disagree");
    cx_reset(r->scratch);
    if (pb_unpack(r->scratch, &cohortium__log_record__descriptor, leaf, AUDIT_LEAF_MAX,
                  &record) != FAULT_NONE)
        return unfit(r, r->size, "it cannot be read");
    if (record->time < r->last_time)
        return unfit(r, r->size, "it is older than the one before");
    r->last_time = record->time;
    return check_details(r, stmt, record);
}

/* Joins the leaf with the subtrees that wait for it, each compared with what is stored. */
static enum fault join(struct rebuild *r, uint8_t hash[32])
{
    uint8_t stored[DIGEST_BYTES];
    unsigned level = 0;

    for (; (r->size >> level) & 1; level++) {
        uint64_t index = r->size >> (level + 1);

        merkle_node(r->stack[level], hash, hash);
        cx_reset(r->scratch);
        if (audit_node(r->scratch, r->sql, level + 1, index, stored) != FAULT_NONE)
            return unfit(r, index << (level + 1), "the tree's hash above it is missing");
        if (memcmp(stored, hash, sizeof stored) != 0)
            return unfit(r, index << (level + 1),
                         "it or one of its neighbours is not what the tree was built of");
        r->nodes++;
    }
    memcpy(r->stack[level], hash, DIGEST_BYTES);
    return FAULT_NONE;
}

static enum fault check_leaves(struct rebuild *r)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    uint8_t hash[DIGEST_BYTES];
    bool row = false;

    TRY(db_prepare(r->cx, r->sql, &stmt,
                   "SELECT idx, leaf, hash, details, salt FROM log ORDER BY idx", ""));
    for (;; r->size++) {
        TRY(cx_on_time(r->cx));
        TRY(db_step(r->cx, r->sql, stmt, &row));
        if (!row)
            return FAULT_NONE;
        TRY(check_leaf(r, stmt, hash));
        TRY(join(r, hash));
    }
}

/* Hashes of subtrees that the leaves do not have: records at the end were taken away. */
static enum fault check_no_more_nodes(const struct rebuild *r)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(r->cx, r->sql, &stmt, "SELECT count(*) FROM log_node", ""));
    TRY(db_step(r->cx, r->sql, stmt, &row));
    if (!row || (uint64_t)sqlite3_column_int64(stmt, 0) != r->nodes)
        return unfit(r, r->size, "it is missing, the tree was built of more records");
    return FAULT_NONE;
}

static enum fault check_checkpoint(struct rebuild *r, const char *note,
                                   uint64_t stored_size, const uint8_t key[32],
                                   const char *origin)
{
    struct merkle_store store = audit_store(r->sql);
    uint8_t root[DIGEST_BYTES], signed_root[DIGEST_BYTES];
    uint64_t size;

    if (note == NULL ||
        checkpoint_verify(r->scratch, note, origin, key, &size, signed_root) != FAULT_NONE)
        return cx_fail(r->cx, FAULT_CONFLICT,
                       "log: the checkpoint of %llu records is not signed by this node",
                       (unsigned long long)stored_size);
    if (size != stored_size)
        return cx_fail(r->cx, FAULT_CONFLICT,
                       "log: the checkpoint of %llu records was signed for %llu",
                       (unsigned long long)stored_size, (unsigned long long)size);
    if (size > r->size)
        return unfit(r, r->size, "it is missing, a signed checkpoint counts more records");
    TRY(merkle_root(r->cx, &store, size, root));
    if (memcmp(root, signed_root, sizeof root) != 0)
        return unfit(r, size - (size > 0),
                     "it or one before it is not what the node signed in a checkpoint");
    return FAULT_NONE;
}

static enum fault check_checkpoints(struct rebuild *r, const uint8_t key[32],
                                    const char *origin)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(r->cx, r->sql, &stmt,
                   "SELECT size, note FROM log_checkpoint ORDER BY size", ""));
    for (;;) {
        TRY(db_step(r->cx, r->sql, stmt, &row));
        if (!row)
            return FAULT_NONE;
        cx_reset(r->scratch);
        TRY(check_checkpoint(r, (const char *)sqlite3_column_text(stmt, 1),
                             (uint64_t)sqlite3_column_int64(stmt, 0), key, origin));
    }
}

enum fault audit_verify(struct cx *cx, sqlite3 *sql, const uint8_t key[32],
                        const char *origin, uint64_t *ret_size, uint8_t ret_root[32])
{
    AUTO_CX struct cx *scratch = cx_new(4 * 1024 * 1024, CX_NO_DEADLINE);
    struct rebuild r = {.cx = cx, .scratch = scratch, .sql = sql};
    struct merkle_store store = audit_store(sql);
    uint8_t root[DIGEST_BYTES];

    if (scratch == NULL)
        return cx_fail(cx, FAULT_MEMORY, "log: no memory to verify it");
    TRY(check_leaves(&r));
    TRY(check_no_more_nodes(&r));
    TRY(check_checkpoints(&r, key, origin));
    TRY(merkle_root(cx, &store, r.size, root));
    memcpy(ret_root, root, sizeof root);
    *ret_size = r.size;
    return FAULT_NONE;
}

/* ---- what the leaves themselves say ---- */

/* The subtrees of `size` leaves that wait on the stack, joined from the right. */
static void root_of_stack(const struct rebuild *r, uint8_t ret[32])
{
    bool first = true;

    if (r->size == 0)
        digest_of(bytes_of("", 0), ret);
    for (unsigned level = 0; level < 64; level++) {
        if (!((r->size >> level) & 1))
            continue;
        if (first)
            memcpy(ret, r->stack[level], DIGEST_BYTES);
        else
            merkle_node(r->stack[level], ret, ret);
        first = false;
    }
}

static void push_leaf(struct rebuild *r, struct bytes leaf)
{
    uint8_t hash[DIGEST_BYTES];
    unsigned level = 0;

    merkle_leaf(leaf, hash);
    for (; (r->size >> level) & 1; level++)
        merkle_node(r->stack[level], hash, hash);
    memcpy(r->stack[level], hash, DIGEST_BYTES);
    r->size++;
}

enum fault audit_of_leaves(struct cx *cx, sqlite3 *sql, struct audit_at *at, size_t n,
                           uint64_t *ret_size, uint8_t ret_root[32])
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct rebuild r = {.cx = cx, .sql = sql};
    size_t next = 0;
    bool row = true;

    TRY(db_prepare(cx, sql, &stmt, "SELECT leaf FROM log ORDER BY idx", ""));
    while (row) {
        for (; next < n && at[next].size == r.size; next++) {
            root_of_stack(&r, at[next].root);
            at[next].there = true;
        }
        TRY(cx_on_time(cx));
        TRY(db_step(cx, sql, stmt, &row));
        if (row)
            push_leaf(&r, bytes_of(sqlite3_column_blob(stmt, 0),
                                   (size_t)sqlite3_column_bytes(stmt, 0)));
    }
    root_of_stack(&r, ret_root);
    *ret_size = r.size;
    return FAULT_NONE;
}

/* audit.c - appending to the log, proofs of it, reading it. */
#include "node/vault/audit_private.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

#include "protocol/base/clock.h"

enum { SALT = 16, LISTED_AT_FIRST = 64 };

const char AUDIT_REFUSED_AS[] = "NOT_RELEASED, reference ";

static _Atomic uint64_t appended;

uint64_t audit_appended(void)
{
    return appended;
}

void audit_details_hash(struct bytes salt, const char *details, uint8_t ret[32])
{
    crypto_hash_sha256_state state;

    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, salt.p, salt.n);
    (void)crypto_hash_sha256_update(&state, (const uint8_t *)details, strlen(details));
    (void)crypto_hash_sha256_final(&state, ret);
}

/* ---- the stored tree ---- */

enum fault audit_node(struct cx *cx, void *user, unsigned level, uint64_t index,
                      uint8_t ret[32])
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    sqlite3 *sql = user;
    bool row = false;

    if (level == 0)
        TRY(db_prepare(cx, sql, &stmt, "SELECT hash FROM log WHERE idx=?", "i",
                       (int64_t)index));
    else
        TRY(db_prepare(cx, sql, &stmt, "SELECT hash FROM log_node WHERE level=? AND idx=?",
                       "ii", (int64_t)level, (int64_t)index));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row || sqlite3_column_bytes(stmt, 0) != DIGEST_BYTES)
        return cx_fail(cx, FAULT_CONFLICT,
                       "log: the tree lacks the hash of %llu record(s) from record %llu on",
                       1ull << level, (unsigned long long)(index << level));
    memcpy(ret, sqlite3_column_blob(stmt, 0), DIGEST_BYTES);
    return FAULT_NONE;
}

struct merkle_store audit_store(sqlite3 *sql)
{
    return (struct merkle_store){.user = sql, .node = audit_node};
}

enum fault audit_size(struct cx *cx, sqlite3 *sql, uint64_t *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, "SELECT max(idx) + 1 FROM log", ""));
    TRY(db_step(cx, sql, stmt, &row));
    *ret =
        row ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0; /* no record: NULL, which is 0 */
    return FAULT_NONE;
}

static enum fault read_record(struct cx *cx, sqlite3_stmt *stmt, int column,
                              Cohortium__LogRecord **ret)
{
    struct bytes leaf = db_bytes(cx, stmt, column);

    if (pb_unpack(cx, &cohortium__log_record__descriptor, leaf, AUDIT_LEAF_MAX, ret) !=
        FAULT_NONE)
        return cx_fail(cx, FAULT_CONFLICT,
                       "log: a record cannot be read; run `cohortiumd audit verify`");
    return FAULT_NONE;
}

static enum fault last_time(struct cx *cx, sqlite3 *sql, uint64_t *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    Cohortium__LogRecord *record;
    bool row = false;

    *ret = 0;
    TRY(db_prepare(cx, sql, &stmt, "SELECT leaf FROM log ORDER BY idx DESC LIMIT 1", ""));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row)
        return FAULT_NONE;
    TRY(read_record(cx, stmt, 0, &record));
    *ret = record->time;
    return FAULT_NONE;
}

uint64_t audit_last_time(struct cx *cx, sqlite3 *sql)
{
    uint64_t time;

    return last_time(cx, sql, &time) == FAULT_NONE ? time : 0;
}

/* ---- appending ---- */

static enum fault put_leaf(struct cx *cx, sqlite3 *sql, uint64_t index, struct bytes leaf,
                           const uint8_t hash[32], const char *details, struct bytes salt)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(
        cx, sql, &stmt, "INSERT INTO log(idx, leaf, hash, details, salt) VALUES(?,?,?,?,?)",
        "ibbtb", (int64_t)index, leaf, bytes_of(hash, DIGEST_BYTES), details, salt));
    return db_run(cx, sql, stmt);
}

static enum fault put_node(struct cx *cx, sqlite3 *sql, unsigned level, uint64_t index,
                           const uint8_t hash[32])
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt, "INSERT INTO log_node(level, idx, hash) VALUES(?,?,?)",
                   "iib", (int64_t)level, (int64_t)index, bytes_of(hash, DIGEST_BYTES)));
    return db_run(cx, sql, stmt);
}

/* Stores each subtree that this leaf completes. */
static enum fault put_nodes(struct cx *cx, sqlite3 *sql, uint64_t index, uint8_t hash[32])
{
    uint8_t left[32];

    for (unsigned level = 0; (index >> level) & 1; level++) {
        TRY(audit_node(cx, sql, level, (index >> level) - 1, left));
        merkle_node(left, hash, hash);
        TRY(put_node(cx, sql, level + 1, index >> (level + 1), hash));
    }
    return FAULT_NONE;
}

enum fault audit_append(struct cx *cx, sqlite3 *sql, Cohortium__LogRecord *record,
                        const char *details, uint64_t *ret_index)
{
    uint8_t salt[SALT], hash[DIGEST_BYTES], *details_hash;
    uint64_t index, last, now = (uint64_t)clock_utc_ms();
    struct bytes leaf;

    details = details != NULL ? details : "";
    TRY(audit_size(cx, sql, &index));
    TRY(last_time(cx, sql, &last));
    CX_NEW(cx, details_hash, DIGEST_BYTES);
    randombytes_buf(salt, sizeof salt);
    audit_details_hash(bytes_of(salt, sizeof salt), details, details_hash);
    record->details = PB_DATA(bytes_of(details_hash, DIGEST_BYTES));
    record->time = now > last ? now : last;
    TRY(pb_pack(cx, &record->base, &leaf));
    if (leaf.n > AUDIT_LEAF_MAX)
        return cx_fail(cx, FAULT_BOUND, "log: a record of %zu bytes; at most %d", leaf.n,
                       AUDIT_LEAF_MAX);
    merkle_leaf(leaf, hash);
    TRY(put_leaf(cx, sql, index, leaf, hash, details, bytes_of(salt, sizeof salt)));
    TRY(put_nodes(cx, sql, index, hash));
    *ret_index = index;
    appended++;
    return FAULT_NONE;
}

/* ---- proofs ---- */

static enum fault sign_size(struct cx *cx, sqlite3 *sql, const struct keys *keys,
                            const char *origin, uint64_t size, const char **ret_note)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct merkle_store store = audit_store(sql);
    uint8_t root[DIGEST_BYTES];

    TRY(merkle_root(cx, &store, size, root));
    TRY(checkpoint_sign(cx, origin, size, root, keys, ret_note));
    if (!db_may_write(sql))
        return FAULT_NONE;
    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT OR REPLACE INTO log_checkpoint(size, note) VALUES(?,?)", "it",
                   (int64_t)size, *ret_note));
    return db_run(cx, sql, stmt);
}

enum fault audit_checkpoint(struct cx *cx, sqlite3 *sql, const struct keys *keys,
                            const char *origin, const char **ret_note)
{
    uint64_t size;

    TRY(audit_size(cx, sql, &size));
    return sign_size(cx, sql, keys, origin, size, ret_note);
}

enum fault audit_proof(struct cx *cx, sqlite3 *sql, const struct keys *keys,
                       const char *origin, uint64_t index, Cohortium__LogProof *ret_proof)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct merkle_store store = audit_store(sql);
    uint8_t(*path)[32];
    uint64_t size;
    size_t n = 0;
    const char *note;
    bool row = false;

    TRY(audit_size(cx, sql, &size));
    TRY(db_prepare(cx, sql, &stmt, "SELECT leaf FROM log WHERE idx=?", "i",
                   (int64_t)index));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row)
        return cx_fail(cx, FAULT_MISSING, "log: there is no record %llu; it has %llu",
                       (unsigned long long)index, (unsigned long long)size);
    struct bytes leaf = db_bytes(cx, stmt, 0);

    CX_NEW(cx, path, MERKLE_PATH_MAX);
    TRY(merkle_inclusion(cx, &store, index, size, path, &n));
    TRY(sign_size(cx, sql, keys, origin, size, &note));
    CX_NEW(cx, ret_proof->path, n);
    for (size_t i = 0; i < n; i++)
        ret_proof->path[i] = PB_DATA(bytes_of(path[i], DIGEST_BYTES));
    ret_proof->n_path = n;
    ret_proof->record = PB_DATA(leaf);
    ret_proof->index = index;
    ret_proof->size = size;
    ret_proof->checkpoint = (char *)note;
    return FAULT_NONE;
}

/* ---- reading ---- */

static enum fault read_entry(struct cx *cx, sqlite3_stmt *stmt, struct audit_entry *ret)
{
    Cohortium__LogRecord *record;
    const char *details = (const char *)sqlite3_column_text(stmt, 2);

    TRY(read_record(cx, stmt, 1, &record));
    ret->index = (uint64_t)sqlite3_column_int64(stmt, 0);
    ret->record = record;
    ret->details = cx_strdup(cx, details != NULL ? details : "(erased)");
    return ret->details != NULL ? FAULT_NONE : FAULT_MEMORY;
}

struct listing {
    struct audit_entry *list;
    size_t n, size;
};

static enum fault listing_add(struct cx *cx, struct listing *l, const struct audit_entry *e)
{
    if (l->n == l->size) {
        size_t size = l->size ? 2 * l->size : LISTED_AT_FIRST;
        struct audit_entry *list;

        CX_NEW(cx, list, size);
        if (l->n > 0)
            memcpy(list, l->list, l->n * sizeof *list);
        l->list = list;
        l->size = size;
    }
    l->list[l->n++] = *e;
    return FAULT_NONE;
}

enum fault audit_list(struct cx *cx, sqlite3 *sql, const char *kind, uint64_t most,
                      struct audit_entry **ret, size_t *ret_n)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct listing l = {0};
    struct audit_entry e;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, "SELECT idx, leaf, details FROM log ORDER BY idx DESC",
                   ""));
    while (l.n < most) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            break;
        TRY(read_entry(cx, stmt, &e));
        if (kind == NULL || strcmp(e.record->kind, kind) == 0)
            TRY(listing_add(cx, &l, &e));
    }
    *ret = l.list;
    *ret_n = l.n;
    return FAULT_NONE;
}

enum fault audit_find(struct cx *cx, sqlite3 *sql, uint64_t index, struct audit_entry *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    if (index <= INT64_MAX) {
        TRY(db_prepare(cx, sql, &stmt, "SELECT idx, leaf, details FROM log WHERE idx=?",
                       "i", (int64_t)index));
        TRY(db_step(cx, sql, stmt, &row));
    }
    return row ? read_entry(cx, stmt, ret)
               : cx_fail(cx, FAULT_MISSING, "this node's log has no record %" PRIu64,
                         index);
}

/* The first that stands there is the decision's own; a note comes behind it. */
static bool is_refused_as(const struct audit_entry *e, const char *words)
{
    const char *first = strstr(e->details, AUDIT_REFUSED_AS);

    return strcmp(e->record->decision, "not_released") == 0 && first != NULL &&
           strncmp(first, words, strlen(words)) == 0;
}

enum fault audit_find_reference(struct cx *cx, sqlite3 *sql, const char *reference,
                                struct audit_entry *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    uint8_t bytes[8];
    bool row = false;

    if (bytes_from_hex(cx, reference, bytes, sizeof bytes) != FAULT_NONE)
        return cx_fail(
            cx, FAULT_INVALID,
            "`%.40s` is no reference; expected the 16 hexadecimal digits that the "
            "answer NOT_RELEASED shows",
            reference);
    const char *hex =
        bytes_hex(cx, bytes, sizeof bytes); /* lower case, as it was written */
    const char *words = hex != NULL ? cx_printf(cx, "%s%s", AUDIT_REFUSED_AS, hex) : NULL;

    if (words == NULL)
        return FAULT_MEMORY;
    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT idx, leaf, details FROM log WHERE instr(details, ?) > 0"
                   " ORDER BY idx DESC",
                   "t", words));
    for (;;) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            return cx_fail(
                cx, FAULT_MISSING,
                "no record of this node's log has reference %s; each site has its own "
                "log, and its details may have been erased",
                reference);
        TRY(read_entry(cx, stmt, ret));
        if (is_refused_as(ret, words))
            return FAULT_NONE;
    }
}

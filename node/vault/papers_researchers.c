/* papers_researchers.c - the credentials that this node issued, and which it took back. */
#include <string.h>

#include "node/vault/papers_store.h"

enum fault researchers_add(struct cx *cx, sqlite3 *sql, const uint8_t subject[32],
                           const uint8_t serial[16], struct bytes packed)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct envelope e;
    Cohortium__Credential *body;

    TRY(envelope_open(cx, ENVELOPE_CREDENTIAL, packed, &e));
    TRY(pb_unpack(cx, &cohortium__credential__descriptor, e.body,
                  envelope_bound(ENVELOPE_CREDENTIAL), &body));
    if (body->stamp == NULL ||
        !bytes_equal(PB_BYTES(body->serial), bytes_of(serial, ID_BYTES)))
        return cx_fail(cx, FAULT_FORMAT, "credential of %.64s: its serial is another",
                       body->name);
    TRY(db_prepare(
        cx, sql, &stmt,
        "INSERT INTO researcher(serial, subject, name, packed, issued_at, not_after)"
        " VALUES(?,?,?,?,?,?)",
        "bbtbii", bytes_of(serial, ID_BYTES), bytes_of(subject, DIGEST_BYTES), body->name,
        packed, (int64_t)body->stamp->issued_at, (int64_t)body->not_after));
    return db_run(cx, sql, stmt);
}

enum fault researchers_revoke(struct cx *cx, sqlite3 *sql, const uint8_t serial[16],
                              const char *reason, int64_t now)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "UPDATE researcher SET revoked_at=?, reason=? WHERE serial=? AND"
                   " revoked_at=0",
                   "itb", now, reason, bytes_of(serial, ID_BYTES)));
    return db_run(cx, sql, stmt);
}

enum fault researchers_check(struct cx *cx, sqlite3 *sql, const uint8_t serial[16])
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, "SELECT revoked_at FROM researcher WHERE serial=?", "b",
                   bytes_of(serial, ID_BYTES)));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row)
        return cx_fail(cx, FAULT_DENIED,
                       "this credential is not on the home node's list; ask the home "
                       "institution for a new one");
    if (sqlite3_column_int64(stmt, 0) != 0)
        return cx_fail(
            cx, FAULT_DENIED,
            "this credential was revoked; ask the home institution for a new one");
    return FAULT_NONE;
}

static enum fault read_row(struct cx *cx, sqlite3_stmt *stmt, struct researcher_row *ret)
{
    struct bytes serial = db_bytes(cx, stmt, 0), subject = db_bytes(cx, stmt, 1);

    if (serial.n != ID_BYTES || subject.n != DIGEST_BYTES)
        return cx_fail(
            cx, FAULT_STORAGE,
            "database: a credential's row is damaged; restore the node's folder from "
            "a backup");
    memcpy(ret->serial, serial.p, ID_BYTES);
    memcpy(ret->subject, subject.p, DIGEST_BYTES);
    ret->name = cx_strdup(cx, (const char *)sqlite3_column_text(stmt, 2));
    ret->credential = db_bytes(cx, stmt, 3);
    ret->issued_at = (uint64_t)sqlite3_column_int64(stmt, 4);
    ret->not_after = (uint64_t)sqlite3_column_int64(stmt, 5);
    ret->revoked_at = (uint64_t)sqlite3_column_int64(stmt, 6);
    ret->reason = cx_strdup(cx, (const char *)sqlite3_column_text(stmt, 7));
    if (ret->name == NULL || ret->credential.p == NULL || ret->reason == NULL)
        return cx_fail(cx, FAULT_MEMORY, "database: no memory for a list");
    return FAULT_NONE;
}

static enum fault researchers_count(struct cx *cx, sqlite3 *sql, size_t *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, "SELECT count(*) FROM researcher", ""));
    TRY(db_step(cx, sql, stmt, &row));
    *ret = row ? (size_t)sqlite3_column_int64(stmt, 0) : 0;
    return FAULT_NONE;
}

enum fault researchers_list(struct cx *cx, sqlite3 *sql, struct researcher_row **ret,
                            size_t *ret_n)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct researcher_row *list;
    size_t count = 0, n = 0;
    bool row = false;

    TRY(researchers_count(cx, sql, &count));
    CX_NEW(cx, list, count);
    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT serial, subject, name, packed, issued_at, not_after, revoked_at,"
                   " reason FROM researcher ORDER BY row",
                   ""));
    for (; n < count; n++) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            break;
        TRY(read_row(cx, stmt, &list[n]));
    }
    *ret = list;
    *ret_n = n;
    return FAULT_NONE;
}

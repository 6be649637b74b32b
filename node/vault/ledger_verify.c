/*
 * ledger_verify.c - the ledger, recomputed; and that it holds what the log says it held.
 *
 * The chain alone does not show that its last rows are gone: each decision in the log names
 * the head of its ledger then, and every such head must still be one.
 */
#include "node/vault/ledger_private.h"

#include <stdlib.h>
#include <string.h>

#include "node/vault/audit_private.h"

/* ---- rows and chain ---- */

static const char *text_at(struct cx *cx, sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);

    return cx_strdup(cx, text != NULL ? text : "");
}

static bool is_digest(struct bytes b, const uint8_t digest[32])
{
    return bytes_equal(b, bytes_of(digest, 32));
}

/* One row, in its namespace's order; `scratch` is emptied after it. */
static bool row_fits(struct cx *scratch, sqlite3_stmt *stmt, bool first, uint8_t head[32])
{
    const char *kind = text_at(scratch, stmt, 2), *name = text_at(scratch, stmt, 3);
    const char *dataset = text_at(scratch, stmt, 4);
    uint8_t digest[32], next[32];

    if (kind == NULL || name == NULL || dataset == NULL)
        return false;
    if (first)
        memset(head, 0, 32);
    ledger_digest(dataset, kind, name, db_bytes(scratch, stmt, 5), digest);
    ledger_chain(head, digest, next);
    bool fits = is_digest(db_bytes(scratch, stmt, 6), digest) &&
                is_digest(db_bytes(scratch, stmt, 7), head) &&
                is_digest(db_bytes(scratch, stmt, 8), next);
    memcpy(head, next, 32);
    return fits;
}

struct heads { /* of all rows, then sorted */
    uint8_t (*list)[32];
    size_t n, room;
};

static enum fault keep_head(struct cx *cx, struct heads *h, const uint8_t head[32])
{
    if (h->n == h->room) {
        size_t room = h->room == 0 ? 256 : h->room * 2;
        uint8_t(*grown)[32];

        CX_NEW(cx, grown, room);
        if (h->n > 0)
            memcpy(grown, h->list, h->n * sizeof *grown);
        h->list = grown;
        h->room = room;
    }
    memcpy(h->list[h->n++], head, 32);
    return FAULT_NONE;
}

static enum fault check_rows(struct cx *cx, struct cx *scratch, sqlite3 *sql,
                             struct heads *h)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    const char *last = NULL;
    uint8_t head[32] = {0};
    bool row = false;

    TRY(db_prepare(
        cx, sql, &stmt,
        "SELECT row, namespace, kind, name, dataset, expression, digest, prev, head"
        " FROM ledger ORDER BY namespace, row",
        ""));
    for (;;) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            return FAULT_NONE;
        const char *space = (const char *)sqlite3_column_text(stmt, 1);
        bool first = last == NULL || space == NULL || strcmp(last, space) != 0;

        cx_reset(scratch);
        if (first && (last = text_at(cx, stmt, 1)) == NULL)
            return FAULT_MEMORY;
        if (!row_fits(scratch, stmt, first, head))
            return cx_fail(
                cx, FAULT_CONFLICT,
                "ledger: row %lld does not fit the ones before it. Somebody changed "
                "the database: keep a copy of the folder, and restore another "
                "backup",
                (long long)sqlite3_column_int64(stmt, 0));
        TRY(keep_head(cx, h, head));
    }
}

/* ---- against the log ---- */

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

static enum fault check_log(struct cx *cx, struct cx *scratch, sqlite3 *sql,
                            const struct heads *h, uint64_t newest)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    Cohortium__LogRecord *record;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT idx, leaf FROM log WHERE idx > (SELECT max(idx) FROM log) - ?"
                   " ORDER BY idx",
                   "i", (int64_t)newest));
    for (;;) {
        TRY(cx_on_time(cx));
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            return FAULT_NONE;
        cx_reset(scratch);
        if (pb_unpack(scratch, &cohortium__log_record__descriptor,
                      db_bytes(scratch, stmt, 1), AUDIT_LEAF_MAX, &record) != FAULT_NONE)
            return cx_fail(cx, FAULT_CONFLICT, "log: record %lld cannot be read",
                           (long long)sqlite3_column_int64(stmt, 0));
        if (record->ledger.len == 0 || (record->ledger.len == 32 && h->n > 0 &&
                                        bsearch(record->ledger.data, h->list, h->n,
                                                sizeof *h->list, by_bytes) != NULL))
            continue;
        return cx_fail(
            cx, FAULT_CONFLICT,
            "ledger: it lacks rows that record %lld of the log was decided by: it "
            "was cut or rolled back. Keep a copy of the folder, and restore "
            "another backup",
            (long long)sqlite3_column_int64(stmt, 0));
    }
}

enum fault ledger_verify(struct cx *cx, sqlite3 *sql)
{
    return ledger_verify_newest(cx, sql, INT64_MAX / 2);
}

enum fault ledger_verify_newest(struct cx *cx, sqlite3 *sql, uint64_t records)
{
    AUTO_CX struct cx *scratch = cx_new(4 * LEDGER_EXPRESSION_MAX, CX_NO_DEADLINE);
    struct heads h = {0};

    if (scratch == NULL)
        return cx_fail(cx, FAULT_MEMORY, "ledger: no memory to verify it");
    TRY(check_rows(cx, scratch, sql, &h));
    if (h.n > 0)
        qsort(h.list, h.n, sizeof *h.list, by_bytes);
    return check_log(cx, scratch, sql, &h, records);
}

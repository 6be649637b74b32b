/* audit_export.c - the whole log as JSON lines that anybody can check. */
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "node/finding.h"
#include "node/vault/audit_private.h"
#include "node/vault/audit_report.h"
#include "protocol/base/clock.h"

enum { PAGE_BYTES = 1024 * 1024, BASE64_MAX = 2 * AUDIT_LEAF_MAX };

static void put_hex(struct buffer *out, const char *name, struct bytes b)
{
    const char *hex = bytes_hex(out->cx, b.p, b.n);

    buffer_printf(out, ",\"%s\":\"%s\"", name, hex != NULL ? hex : "");
    if (hex == NULL)
        out->fault = FAULT_MEMORY;
}

static void put_base64(struct buffer *out, const char *name, struct bytes b)
{
    size_t size = sodium_base64_encoded_len(b.n, sodium_base64_VARIANT_ORIGINAL);
    char *text = b.n < BASE64_MAX ? cx_alloc(out->cx, size) : NULL;

    if (text == NULL) {
        out->fault = FAULT_MEMORY;
        return;
    }
    buffer_printf(out, ",\"%s\":\"%s\"", name,
                  sodium_bin2base64(text, size, b.p, b.n, sodium_base64_VARIANT_ORIGINAL));
}

static enum fault put_record(struct buffer *out, sqlite3_stmt *stmt)
{
    uint64_t index = (uint64_t)sqlite3_column_int64(stmt, 0);
    struct bytes leaf = db_bytes(out->cx, stmt, 1);
    Cohortium__LogRecord *r;
    char at[32];

    if (pb_unpack(out->cx, &cohortium__log_record__descriptor, leaf, AUDIT_LEAF_MAX, &r) !=
        FAULT_NONE)
        return cx_fail(
            out->cx, FAULT_CONFLICT,
            "log: record %" PRIu64 " cannot be read; run `cohortiumd audit verify`", index);
    buffer_printf(out, "{\"index\":%" PRIu64 ",\"time\":\"%s\",\"time_ms\":%" PRIu64, index,
                  clock_format((int64_t)r->time, at, sizeof at), r->time);
    json_pair(out, "kind", r->kind);
    json_pair(out, "decision", r->decision);
    put_hex(out, "subject", PB_BYTES(r->subject));
    put_hex(out, "question", PB_BYTES(r->question));
    put_hex(out, "outcome", PB_BYTES(r->outcome));
    put_hex(out, "policy", PB_BYTES(r->policy));
    put_hex(out, "who", PB_BYTES(r->who));
    put_hex(out, "permit", PB_BYTES(r->permit));
    if (sqlite3_column_type(stmt, 3) == SQLITE_NULL) {
        buffer_text(out,
                    ",\"details\":null,\"salt\":null"); /* erased: the leaf has a hash */
    } else {
        json_pair(out, "details", (const char *)sqlite3_column_text(stmt, 3));
        put_hex(out, "salt", db_bytes(out->cx, stmt, 4));
    }
    put_base64(out, "leaf", leaf);
    put_hex(out, "hash", db_bytes(out->cx, stmt, 2));
    buffer_text(out, "}\n");
    return out->fault;
}

/* The head of what was exported, signed: it ends the file. */
static enum fault put_head(struct cx *cx, sqlite3 *sql, const struct export_page *page)
{
    struct merkle_store store = audit_store(sql);
    uint8_t root[DIGEST_BYTES];
    const char *note;

    TRY(merkle_root(cx, &store, page->next, root));
    TRY(checkpoint_sign(cx, page->v->origin, page->next, root, page->v->signing, &note));
    buffer_printf(page->out, "{\"size\":%" PRIu64, page->next);
    put_hex(page->out, "root", bytes_of(root, sizeof root));
    put_hex(page->out, "key", PB_BYTES(page->v->self->signing_key));
    json_pair(page->out, "checkpoint", note);
    buffer_text(page->out, "}\n");
    return page->out->fault;
}

static enum fault read_page(struct cx *cx, sqlite3 *sql, void *user)
{
    struct export_page *page = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    page->next = page->from;
    TRY(db_prepare(
        cx, sql, &stmt,
        "SELECT idx, leaf, hash, details, salt FROM log WHERE idx>=? ORDER BY idx", "i",
        (int64_t)page->from));
    while (page->out->n < PAGE_BYTES) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row) {
            page->last = true;
            return put_head(cx, sql, page);
        }
        TRY(put_record(page->out, stmt));
        page->next = (uint64_t)sqlite3_column_int64(stmt, 0) + 1;
    }
    return FAULT_NONE;
}

enum fault audit_export(struct cx *cx, struct export_page *page)
{
    if (page->from > INT64_MAX)
        return cx_fail(cx, FAULT_INVALID, "there is no such record");
    return db_read(cx, page->v->db, read_page, page);
}

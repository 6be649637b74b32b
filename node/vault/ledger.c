/*
 * ledger.c - the regions that what was released rests on, as a hash chain in the database.
 *
 *   digest = SHA-256(label || kind || 0 || dataset || 0 || name || 0 || packed expression)
 *   head   = SHA-256(head before || digest), the first from 32 zero bytes
 *
 * kind region: a patient set. kind column: the covariate `name` over that patient set. An
 * empty expression is the whole namespace. Bitmaps: little-endian 64-bit words by patient
 * ordinal of the dataset version named beside; they say which patients, so they never leave
 * this file.
 */
#include "node/vault/ledger_private.h"

#include <sodium.h>
#include <string.h>

enum { BITMAP_BYTES_MAX = 256 * 1024 * 1024 };

static const char LABEL[] = "cohortium/ledger/1";

struct adding {
    struct cx *cx;
    sqlite3 *sql;
    const struct codebook *cb;
    const uint8_t *version, *question;
    uint64_t patients;
    uint8_t head[32];
};

struct entry {
    const char *kind, *name;
    struct bytes expression;
    const uint64_t *bitmap; /* NULL: none */
};

static void hash_text(crypto_hash_sha256_state *state, const char *text)
{
    (void)crypto_hash_sha256_update(state, (const uint8_t *)text, strlen(text) + 1);
}

void ledger_digest(const char *dataset, const char *kind, const char *name,
                   struct bytes expression, uint8_t ret[32])
{
    crypto_hash_sha256_state state;

    (void)crypto_hash_sha256_init(&state);
    hash_text(&state, LABEL);
    hash_text(&state, kind);
    hash_text(&state, dataset);
    hash_text(&state, name);
    (void)crypto_hash_sha256_update(&state, expression.p, expression.n);
    (void)crypto_hash_sha256_final(&state, ret);
}

static enum fault is_held(const struct adding *a, const uint8_t digest[32], bool *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(a->cx, a->sql, &stmt,
                   "SELECT 1 FROM ledger WHERE namespace=? AND digest=?", "tb",
                   a->cb->body->patient_namespace, bytes_of(digest, 32)));
    return db_step(a->cx, a->sql, stmt, ret);
}

static enum fault pack_bitmap(const struct adding *a, const uint64_t *words,
                              struct bytes *ret)
{
    struct buffer b = buffer_new(a->cx, BITMAP_BYTES_MAX);

    for (uint64_t i = 0; i < (a->patients + 63) / 64; i++)
        buffer_u64(&b, words[i]);
    TRY(b.fault);
    *ret = bytes_of(b.p, b.n);
    return FAULT_NONE;
}

static enum fault insert(struct adding *a, const struct entry *e, const uint8_t digest[32],
                         const uint8_t head[32])
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct bytes bitmap = {0};

    if (e->bitmap != NULL)
        TRY(pack_bitmap(a, e->bitmap, &bitmap));
    TRY(db_prepare(a->cx, a->sql, &stmt,
                   "INSERT INTO ledger(namespace, kind, dataset, expression, digest, name,"
                   " version, question, bitmap, patients, prev, head)"
                   " VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
                   "tttbbtbbbibb", a->cb->body->patient_namespace, e->kind,
                   a->cb->body->name, e->expression, bytes_of(digest, 32), e->name,
                   bytes_of(a->version, ID_BYTES), bytes_of(a->question, DIGEST_BYTES),
                   bitmap, (int64_t)a->patients, bytes_of(a->head, 32),
                   bytes_of(head, 32)));
    return db_run(a->cx, a->sql, stmt);
}

void ledger_chain(const uint8_t before[32], const uint8_t digest[32], uint8_t ret[32])
{
    crypto_hash_sha256_state state;

    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, before, 32);
    (void)crypto_hash_sha256_update(&state, digest, 32);
    (void)crypto_hash_sha256_final(&state, ret);
}

static enum fault add_entry(struct adding *a, const struct entry *e)
{
    uint8_t digest[32], head[32];
    bool held = false;

    ledger_digest(a->cb->body->name, e->kind, e->name, e->expression, digest);
    TRY(is_held(a, digest, &held));
    if (held)
        return FAULT_NONE;
    ledger_chain(a->head, digest, head);
    TRY(insert(a, e, digest, head));
    memcpy(a->head, head, 32);
    return FAULT_NONE;
}

static enum fault pack_expression(const struct adding *a, const struct ast *ast,
                                  struct bytes *ret)
{
    Cohortium__Ast *pb;

    TRY(ast_to_pb(a->cx, a->cb, ast, &pb));
    TRY(pb_pack(a->cx, &pb->base, ret));
    return ret->n <= LEDGER_EXPRESSION_MAX
               ? FAULT_NONE
               : cx_fail(a->cx, FAULT_BOUND, "ledger: an expression of %zu bytes", ret->n);
}

static enum fault add_columns(struct adding *a, struct bytes expression, const int *columns,
                              size_t n)
{
    for (size_t i = 0; i < n; i++)
        TRY(add_entry(a, &(struct entry){.kind = "column",
                                         .name = codebook_variable(a->cb, columns[i])->name,
                                         .expression = expression}));
    return FAULT_NONE;
}

enum fault ledger_add(struct cx *cx, sqlite3 *sql, const struct codebook *cb,
                      const uint8_t version[16], const uint8_t question[32],
                      const struct regions *regions, const bool *leave_out,
                      uint64_t *const *bitmaps, uint64_t patients, const int *quasi_columns,
                      size_t n_columns)
{
    struct adding a = {cx, sql, cb, version, question, patients, {0}};

    if (patients > INT64_MAX)
        return cx_fail(cx, FAULT_BOUND, "ledger: too many patients");
    TRY(ledger_head(cx, sql, cb->body->patient_namespace, a.head));
    for (size_t i = 0; i < regions->n; i++) {
        struct entry e = {.kind = "region", .name = ""};

        if (leave_out != NULL && leave_out[i])
            continue;
        TRY(pack_expression(&a, regions->list[i], &e.expression));
        e.bitmap = bitmaps != NULL ? bitmaps[i] : NULL;
        TRY(add_entry(&a, &e));
        TRY(add_columns(&a, e.expression, quasi_columns, n_columns));
    }
    /* Over everybody: no region says so, the columns still count. */
    if (regions->n == 0)
        TRY(add_columns(&a, (struct bytes){0}, quasi_columns, n_columns));
    return FAULT_NONE;
}

/* Every question asks for it, so nothing here is counted: that grows with the ledger. */
enum fault ledger_head(struct cx *cx, sqlite3 *sql, const char *name_space, uint8_t ret[32])
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT head FROM ledger WHERE namespace=? ORDER BY row DESC LIMIT 1",
                   "t", name_space));
    TRY(db_step(cx, sql, stmt, &row));
    memset(ret, 0, 32);
    if (!row)
        return FAULT_NONE;
    if (sqlite3_column_bytes(stmt, 0) != 32)
        return cx_fail(
            cx, FAULT_STORAGE,
            "ledger: its head is damaged; restore the node's folder from a backup");
    memcpy(ret, sqlite3_column_blob(stmt, 0), 32);
    return FAULT_NONE;
}

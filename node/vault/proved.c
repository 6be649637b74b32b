/* proved.c - proofs of our records, under the best checkpoint that others have cosigned. */
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "node/vault/vault.h"
#include "node/vault/witness.h"

enum { CALL_MAX = 64 * 1024, SIZES_MAX = 64 };

struct best { /* checkpoints that others have cosigned, largest first */
    uint64_t size[SIZES_MAX];
    size_t lines[SIZES_MAX], n;
};

static enum fault read_best(struct cx *cx, sqlite3 *sql, struct best *b)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    b->n = 0;
    TRY(db_prepare(
        cx, sql, &stmt,
        "SELECT size, count(*) FROM cosignature GROUP BY size ORDER BY size DESC", ""));
    while (b->n < SIZES_MAX) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            break;
        b->size[b->n] = (uint64_t)sqlite3_column_int64(stmt, 0);
        b->lines[b->n++] = (size_t)sqlite3_column_int64(stmt, 1);
    }
    return FAULT_NONE;
}

/* The largest that holds the record and has enough cosignatures, else the one with most; of
 * none at all, the log as it is now. */
static uint64_t choose_size(const struct best *b, uint64_t index, uint64_t now,
                            size_t *ret_n)
{
    uint64_t best = now;

    *ret_n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (b->size[i] <= index || b->size[i] > now || b->lines[i] <= *ret_n)
            continue;
        best = b->size[i];
        *ret_n = b->lines[i];
        if (*ret_n >= WITNESSES_MIN)
            break;
    }
    return best;
}

static enum fault cosigned_note(struct cx *cx, sqlite3 *sql, struct vault *v, uint64_t size,
                                const char **ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct merkle_store store = audit_store(sql);
    uint8_t root[DIGEST_BYTES];
    bool row = false;

    TRY(merkle_root(cx, &store, size, root));
    TRY(checkpoint_sign(cx, v->origin, size, root, v->signing, ret));
    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT line FROM cosignature WHERE size=? ORDER BY peer LIMIT ?", "ii",
                   (int64_t)size, (int64_t)COSIGNATURES_MAX));
    for (;;) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            return FAULT_NONE;
        TRY(cosignature_add(cx, *ret, (const char *)sqlite3_column_text(stmt, 0), ret));
    }
}

struct proving {
    struct vault *v;
    const Cohortium__ProveCall *call;
    Cohortium__ProveReply *reply;
    uint64_t index; /* of one record, for the desk */
    Cohortium__LogProof *proof;
    size_t cosigned;
    struct witnessed *newest;
};

static enum fault prove_one(struct cx *cx, sqlite3 *sql, struct vault *v,
                            const struct best *best, uint64_t index, uint64_t now,
                            Cohortium__LogProof *p, size_t *ret_cosigned)
{
    struct merkle_store store = audit_store(sql);
    uint8_t(*path)[DIGEST_BYTES];
    const char *note;
    size_t n;

    CX_NEW(cx, path, MERKLE_PATH_MAX);
    p->size = choose_size(best, index, now, ret_cosigned);
    TRY(merkle_inclusion(cx, &store, index, p->size, path, &n));
    TRY(cosigned_note(cx, sql, v, p->size, &note));
    CX_NEW(cx, p->path, n);
    for (size_t i = 0; i < n; i++)
        p->path[i] = PB_DATA(bytes_of(path[i], DIGEST_BYTES));
    p->n_path = n;
    p->index = index;
    p->node_id = v->self->node_id;
    p->checkpoint = (char *)note;
    return FAULT_NONE;
}

/* Only for who knows the record already: a stranger learns nothing of the log. */
static enum fault is_record(struct cx *cx, sqlite3 *sql, const Cohortium__Leaf *leaf,
                            bool *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    *ret = false;
    if (leaf->index > INT64_MAX)
        return FAULT_NONE;
    TRY(db_prepare(cx, sql, &stmt, "SELECT hash FROM log WHERE idx=?", "i",
                   (int64_t)leaf->index));
    TRY(db_step(cx, sql, stmt, ret));
    *ret = *ret && (size_t)sqlite3_column_bytes(stmt, 0) == leaf->hash.len &&
           leaf->hash.len == DIGEST_BYTES &&
           memcmp(sqlite3_column_blob(stmt, 0), leaf->hash.data, DIGEST_BYTES) == 0;
    return FAULT_NONE;
}

static enum fault prove(struct cx *cx, sqlite3 *sql, void *user)
{
    struct proving *w = user;
    struct best best;
    uint64_t now;
    size_t n;

    TRY(read_best(cx, sql, &best));
    TRY(audit_size(cx, sql, &now));
    CX_NEW(cx, w->reply->proofs, w->call->n_leaves);
    w->reply->cosigned = true;
    for (size_t i = 0; i < w->call->n_leaves; i++) {
        Cohortium__LogProof *p;
        bool known;

        TRY(is_record(cx, sql, w->call->leaves[i], &known));
        if (!known)
            continue;
        CX_NEW(cx, p, 1);
        cohortium__log_proof__init(p);
        TRY(prove_one(cx, sql, w->v, &best, w->call->leaves[i]->index, now, p, &n));
        w->reply->proofs[w->reply->n_proofs++] = p;
        w->reply->cosigned = w->reply->cosigned && n >= WITNESSES_MIN;
    }
    return FAULT_NONE;
}

enum fault vault_prove(struct cx *cx, struct vault *v, struct bytes call, struct bytes *ret)
{
    Cohortium__ProveReply reply = COHORTIUM__PROVE_REPLY__INIT;
    Cohortium__ProveCall *body;
    struct proving w = {.v = v, .reply = &reply};

    TRY(pb_unpack(cx, &cohortium__prove_call__descriptor, call, CALL_MAX, &body));
    if (body->n_leaves == 0 || body->n_leaves > PROVE_LEAVES_MAX)
        return cx_fail(cx, FAULT_BOUND, "proofs of %zu records: 1 to %d are given at once",
                       body->n_leaves, PROVE_LEAVES_MAX);
    w.call = body;
    TRY(db_read(cx, v->db, prove, &w));
    if (reply.n_proofs == 0)
        return cx_fail(cx, FAULT_MISSING, "none of these records is in this node's log");
    return pb_pack(cx, &reply.base, ret);
}

/* ---- for the desk ---- */

static enum fault prove_for_desk(struct cx *cx, sqlite3 *sql, void *user)
{
    struct proving *w = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct best best;
    uint64_t now;
    bool row = false;

    TRY(read_best(cx, sql, &best));
    TRY(audit_size(cx, sql, &now));
    if (w->index >= now)
        return cx_fail(cx, FAULT_MISSING,
                       "log: there is no record %" PRIu64 "; it has %" PRIu64, w->index,
                       now);
    TRY(prove_one(cx, sql, w->v, &best, w->index, now, w->proof, &w->cosigned));
    TRY(db_prepare(cx, sql, &stmt, "SELECT leaf FROM log WHERE idx=?", "i",
                   (int64_t)w->index));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row)
        return cx_fail(cx, FAULT_CONFLICT, "log: record %" PRIu64 " is missing", w->index);
    w->proof->record = PB_DATA(db_bytes(cx, stmt, 0));
    return FAULT_NONE;
}

enum fault witness_prove_text(struct cx *cx, struct vault *v, uint64_t index,
                              const char **ret_text, size_t *ret_cosigned)
{
    Cohortium__LogProof proof = COHORTIUM__LOG_PROOF__INIT;
    struct proving w = {.v = v, .index = index, .proof = &proof};
    struct buffer b = buffer_new(cx, 1024 * 1024);
    char hash[64], *record;

    TRY(db_read(cx, v->db, prove_for_desk, &w));
    size_t n = sodium_base64_encoded_len(proof.record.len, sodium_base64_VARIANT_ORIGINAL);
    CX_NEW(cx, record, n);
    (void)sodium_bin2base64(record, n, proof.record.data, proof.record.len,
                            sodium_base64_VARIANT_ORIGINAL);
    buffer_printf(&b, "c2sp.org/tlog-proof@v1\nextra %s\nindex %" PRIu64 "\n", record,
                  index);
    for (size_t i = 0; i < proof.n_path; i++)
        buffer_printf(&b, "%s\n",
                      sodium_bin2base64(hash, sizeof hash, proof.path[i].data, DIGEST_BYTES,
                                        sodium_base64_VARIANT_ORIGINAL));
    buffer_printf(&b, "\n%s", proof.checkpoint);
    *ret_text = buffer_string(&b);
    *ret_cosigned = w.cosigned;
    return *ret_text != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault read_newest(struct cx *cx, sqlite3 *sql, void *user)
{
    struct proving *w = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct witnessed *r = w->newest;
    struct best best;
    bool row = false;

    TRY(read_best(cx, sql, &best));
    for (size_t i = 0; i < best.n && r->size == 0; i++)
        if (best.lines[i] >= WITNESSES_MIN)
            r->size = best.size[i];
    CX_NEW(cx, r->names, COSIGNATURES_MAX);
    TRY(db_prepare(cx, sql, &stmt, "SELECT peer, at FROM cosignature WHERE size=?", "i",
                   (int64_t)r->size));
    while (r->n < COSIGNATURES_MAX) {
        const Cohortium__Member *m;

        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            break;
        struct bytes peer = db_bytes(cx, stmt, 0);
        int64_t at = sqlite3_column_int64(stmt, 1);
        m = peer.n == DIGEST_BYTES ? manifest_find(w->v->manifest, peer.p) : NULL;
        if (m == NULL)
            continue;
        size_t k = r->n++;
        for (; k > 0 && strcmp(r->names[k - 1], m->name) > 0; k--)
            r->names[k] = r->names[k - 1];
        r->names[k] = m->name;
        r->at = r->at == 0 || at < r->at ? at : r->at;
    }
    return FAULT_NONE;
}

enum fault witness_newest(struct cx *cx, struct vault *v, struct witnessed *ret)
{
    struct proving w = {.v = v, .newest = ret};

    *ret = (struct witnessed){0};
    return db_read(cx, v->db, read_newest, &w);
}

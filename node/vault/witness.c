/* witness.c - other members' logs: cosigned only if they continue what they were. */
#include "node/vault/witness.h"

#include <inttypes.h>
#include <string.h>

#include "node/log.h"
#include "node/vault/vault.h"
#include "protocol/base/clock.h"

enum { CALL_MAX = 16 * 1024 };

struct checkpoint { /* of another member's log */
    uint64_t size;
    uint8_t root[DIGEST_BYTES];
    const char *note;
    uint64_t made_at; /* when its node sent it, by its own clock */
    int64_t seen_at;
};

struct adding {
    struct vault *v;
    const Cohortium__AddCheckpointCall *call;
    const Cohortium__Member *who;
    struct checkpoint shown, held; /* held.size 0: none yet */
    const char *contradiction;     /* why; NULL: none */
    bool cosign, is_new;           /* is_new: evidence that was not kept yet */
};

/* ---- the table ---- */

static enum fault newest(struct cx *cx, sqlite3 *sql, const Cohortium__Member *who,
                         struct checkpoint *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    *ret = (struct checkpoint){0};
    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT size, root, note, made_at, seen_at FROM peer_checkpoint"
                   " WHERE origin=? ORDER BY size DESC LIMIT 1",
                   "b", PB_BYTES(who->node_id)));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row)
        return FAULT_NONE;
    if (sqlite3_column_bytes(stmt, 1) != DIGEST_BYTES)
        return cx_fail(cx, FAULT_STORAGE, "a checkpoint of %s is damaged", who->name);
    ret->size = (uint64_t)sqlite3_column_int64(stmt, 0);
    memcpy(ret->root, sqlite3_column_blob(stmt, 1), DIGEST_BYTES);
    ret->note = cx_strdup(cx, (const char *)sqlite3_column_text(stmt, 2));
    ret->made_at = (uint64_t)sqlite3_column_int64(stmt, 3);
    ret->seen_at = sqlite3_column_int64(stmt, 4);
    return ret->note != NULL ? FAULT_NONE : FAULT_MEMORY;
}

/* Old ones become rarer with age, so that a rewritten past is found near where it begins.
 */
static enum fault thin_out(struct cx *cx, sqlite3 *sql, const Cohortium__Member *who)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, "SELECT count(*) FROM peer_checkpoint WHERE origin=?",
                   "b", PB_BYTES(who->node_id)));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row || sqlite3_column_int64(stmt, 0) <= WITNESS_KEPT)
        return FAULT_NONE;
    db_done(&stmt);
    TRY(db_prepare(
        cx, sql, &stmt,
        "DELETE FROM peer_checkpoint WHERE origin=?1 AND size IN (SELECT size FROM"
        " (SELECT size, row_number() OVER (ORDER BY size) AS place FROM"
        "  peer_checkpoint WHERE origin=?1) WHERE place % 2 = 0 AND place <= ?2)",
        "bi", PB_BYTES(who->node_id), (int64_t)(WITNESS_KEPT / 2)));
    return db_run(cx, sql, stmt);
}

/* Its newest word is this one, whatever the clock says. */
static enum fault settle(struct cx *cx, sqlite3 *sql, const struct adding *a)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "UPDATE contradiction SET last_at=? WHERE origin=? AND last_at>=?", "ibi",
                   a->shown.seen_at - 1, PB_BYTES(a->who->node_id), a->shown.seen_at));
    return db_run(cx, sql, stmt);
}

static enum fault keep(struct cx *cx, sqlite3 *sql, const struct adding *a)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(
        cx, sql, &stmt,
        "INSERT OR REPLACE INTO peer_checkpoint(origin, size, root, note, made_at,"
        " seen_at) VALUES(?,?,?,?,?,?)",
        "bibtii", PB_BYTES(a->who->node_id), (int64_t)a->shown.size,
        bytes_of(a->shown.root, DIGEST_BYTES), a->shown.note, (int64_t)a->shown.made_at,
        a->shown.seen_at));
    TRY(db_run(cx, sql, stmt));
    TRY(settle(cx, sql, a));
    return thin_out(cx, sql, a->who);
}

/* ---- contradictions ---- */

/* Notes that a contradiction which is kept already was shown again; *ret: nothing is to be
 * added. A peer cannot make the file grow: the first CONTRADICTIONS_KEPT are kept. */
static enum fault shown_again(struct cx *cx, sqlite3 *sql, const struct adding *a,
                              bool *ret)
{
    AUTO_STMT sqlite3_stmt *count = NULL, *touch = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &count,
                   "SELECT count(*), total(shown=?) FROM contradiction WHERE origin=?",
                   "tb", a->shown.note, PB_BYTES(a->who->node_id)));
    TRY(db_step(cx, sql, count, &row));
    *ret = row && (sqlite3_column_int64(count, 0) >= CONTRADICTIONS_KEPT ||
                   sqlite3_column_int64(count, 1) > 0);
    if (!*ret)
        return FAULT_NONE;
    TRY(db_prepare(cx, sql, &touch,
                   "UPDATE contradiction SET last_at=? WHERE row IN"
                   " (SELECT max(row) FROM contradiction WHERE origin=?)",
                   "ib", a->shown.seen_at, PB_BYTES(a->who->node_id)));
    return db_run(cx, sql, touch);
}

static enum fault keep_contradiction(struct cx *cx, sqlite3 *sql, struct adding *a)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;
    uint8_t digest[DIGEST_BYTES];
    uint64_t index;
    bool again;

    TRY(shown_again(cx, sql, a, &again));
    if (again)
        return FAULT_NONE;
    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT INTO contradiction(origin, held, shown, reason, at, last_at)"
                   " VALUES(?,?,?,?,?,?)",
                   "btttii", PB_BYTES(a->who->node_id), a->held.note, a->shown.note,
                   a->contradiction, a->shown.seen_at, a->shown.seen_at));
    TRY(db_run(cx, sql, stmt));
    digest_of(bytes_of(a->shown.note, strlen(a->shown.note)), digest);
    record.kind = (char *)"contradiction";
    record.subject = PB_DATA(bytes_of(digest, sizeof digest));
    record.decision = (char *)"refused";
    const char *details =
        cx_printf(cx, "the log of %s: %s", a->who->name, a->contradiction);
    if (details == NULL)
        return FAULT_MEMORY;
    TRY(audit_append(cx, sql, &record, details, &index));
    a->is_new = true;
    return FAULT_NONE;
}

/* ---- one checkpoint, judged ---- */

static bool proof_holds(const struct adding *a)
{
    uint8_t path[WITNESS_PROOF_MAX][DIGEST_BYTES];

    for (size_t i = 0; i < a->call->n_proof; i++)
        memcpy(path[i], a->call->proof[i].data, DIGEST_BYTES);
    return merkle_consistency_holds(a->held.size, a->shown.size, a->held.root,
                                    a->shown.root, (const uint8_t(*)[DIGEST_BYTES])path,
                                    a->call->n_proof);
}

/* In the order of tlog-witness. A smaller tree after a larger one is a contradiction unless
 * the call was made before the larger one's: then it was only overtaken on its way. */
static enum fault judge(struct cx *cx, struct adding *a)
{
    const struct checkpoint *held = &a->held, *shown = &a->shown;

    if (held->size == 0) {
        a->cosign = a->call->old_size == 0 && a->call->n_proof == 0;
        return FAULT_NONE;
    }
    if (shown->size < held->size && shown->made_at >= held->made_at)
        a->contradiction =
            cx_printf(cx,
                      "a checkpoint of %" PRIu64 " records was shown after one of %" PRIu64
                      ": records were removed, or an old copy of the node was restored",
                      shown->size, held->size);
    else if (shown->size == held->size &&
             memcmp(shown->root, held->root, DIGEST_BYTES) != 0)
        a->contradiction = cx_printf(
            cx, "two checkpoints of %" PRIu64 " records have different roots", shown->size);
    else if (a->call->old_size != held->size)
        return FAULT_NONE; /* it does not know what we know: it hears our size */
    else if (!proof_holds(a))
        a->contradiction = cx_printf(
            cx, "its checkpoint of %" PRIu64 " records does not continue that of %" PRIu64,
            shown->size, held->size);
    else
        a->cosign = true;
    return a->cosign || a->contradiction != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault add(struct cx *cx, sqlite3 *sql, void *user)
{
    struct adding *a = user;

    TRY(newest(cx, sql, a->who, &a->held));
    TRY(judge(cx, a));
    if (a->contradiction != NULL && a->shown.seen_at < a->held.seen_at)
        a->shown.seen_at = a->held.seen_at; /* a clock that was put back */
    if (a->contradiction != NULL)
        return keep_contradiction(cx, sql, a);
    return a->cosign ? keep(cx, sql, a) : FAULT_NONE;
}

/* Whose log the note claims to be of, its signature, and sizes that can be. */
static enum fault open_call(struct cx *cx, const struct caller *caller, struct adding *a)
{
    const struct manifest *manifest = a->v->manifest;
    const Cohortium__Manifest *m = manifest->body;
    const char *origin = NULL;

    for (size_t i = 0; i < m->n_members && a->who == NULL; i++) {
        origin = checkpoint_origin(cx, manifest->consortium, m->members[i]->name);
        if (origin == NULL)
            return FAULT_MEMORY;
        if (!member_same(m->members[i], a->v->self) &&
            checkpoint_claims(a->call->checkpoint, origin))
            a->who = m->members[i];
    }
    if (a->who == NULL)
        return cx_fail(cx, FAULT_MISSING, "witness: a checkpoint of no other member's log");
    if (caller->member == NULL || !member_same(caller->member, a->who))
        return cx_fail(cx, FAULT_DENIED,
                       "a member shows checkpoints of its own log, no others");
    if (checkpoint_verify(cx, a->call->checkpoint, origin, a->who->signing_key.data,
                          &a->shown.size, a->shown.root) != FAULT_NONE)
        return cx_prefix(cx, "witness: ");
    if (a->shown.size == 0 || a->shown.size > INT64_MAX ||
        a->call->old_size > a->shown.size || a->call->n_proof > WITNESS_PROOF_MAX)
        return cx_fail(cx, FAULT_INVALID,
                       "witness: a log of %" PRIu64 " records after one of %" PRIu64
                       " with %zu hashes; expected a larger one and at most %d",
                       a->shown.size, a->call->old_size, a->call->n_proof,
                       WITNESS_PROOF_MAX);
    for (size_t i = 0; i < a->call->n_proof; i++)
        if (a->call->proof[i].len != DIGEST_BYTES)
            return cx_fail(cx, FAULT_INVALID,
                           "witness: a proof that is not made of hashes");
    a->shown.note = a->call->checkpoint;
    a->shown.made_at = a->call->made_at < INT64_MAX ? a->call->made_at : INT64_MAX;
    a->shown.seen_at = clock_utc_ms();
    return FAULT_NONE;
}

enum fault vault_add_checkpoint(struct cx *cx, struct vault *v, const struct caller *who,
                                struct bytes call, struct bytes *ret)
{
    Cohortium__AddCheckpointReply reply = COHORTIUM__ADD_CHECKPOINT_REPLY__INIT;
    Cohortium__AddCheckpointCall *body;
    struct adding a = {.v = v};
    const char *line = NULL;

    TRY(pb_unpack(cx, &cohortium__add_checkpoint_call__descriptor, call, CALL_MAX, &body));
    a.call = body;
    TRY(open_call(cx, who, &a));
    TRY(db_write(cx, v->db, add, &a));
    if (a.cosign) { /* it is durable: now it may be said */
        TRY(cosignature_sign(cx, a.shown.note, v->origin, v->signing, a.shown.seen_at,
                             &line));
        reply.cosignature = (char *)line;
        return pb_pack(cx, &reply.base, ret);
    }
    if (a.is_new)
        log_warning("CONTRADICTION in the log of %s: %s; see `cohortiumd audit witnesses`",
                    a.who->name, a.contradiction);
    reply.known_size = a.held.size;
    if (a.held.note != NULL)
        reply.known = (char *)a.held.note;
    if (a.contradiction != NULL)
        reply.contradiction = (char *)a.contradiction;
    return pb_pack(cx, &reply.base, ret);
}

/* ---- what is held ---- */

struct holding {
    struct vault *v;
    const Cohortium__Member *who;
    Cohortium__HeldReply *reply;
    struct peer_log *list;
    size_t n;
};

static enum fault read_contradictions(struct cx *cx, sqlite3 *sql,
                                      const Cohortium__Member *who,
                                      Cohortium__Contradiction ***ret, size_t *ret_n,
                                      int64_t *ret_last)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;
    size_t n = 0;

    CX_NEW(cx, *ret, CONTRADICTIONS_KEPT);
    *ret_last = 0;
    TRY(db_prepare(
        cx, sql, &stmt,
        "SELECT held, shown, reason, at, last_at FROM contradiction WHERE origin=?"
        " ORDER BY row",
        "b", PB_BYTES(who->node_id)));
    for (; n < CONTRADICTIONS_KEPT; n++) {
        Cohortium__Contradiction *c;

        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            break;
        CX_NEW(cx, c, 1);
        cohortium__contradiction__init(c);
        c->held = cx_strdup(cx, (const char *)sqlite3_column_text(stmt, 0));
        c->shown = cx_strdup(cx, (const char *)sqlite3_column_text(stmt, 1));
        c->reason = cx_strdup(cx, (const char *)sqlite3_column_text(stmt, 2));
        c->at = (uint64_t)sqlite3_column_int64(stmt, 3);
        if (c->held == NULL || c->shown == NULL || c->reason == NULL)
            return FAULT_MEMORY;
        if (sqlite3_column_int64(stmt, 4) > *ret_last)
            *ret_last = sqlite3_column_int64(stmt, 4);
        (*ret)[n] = c;
    }
    *ret_n = n;
    return FAULT_NONE;
}

static enum fault read_held(struct cx *cx, sqlite3 *sql, void *user)
{
    struct holding *h = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    int64_t last;
    bool row = false;

    CX_NEW(cx, h->reply->checkpoints, WITNESS_KEPT + 1);
    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT note FROM peer_checkpoint WHERE origin=? ORDER BY size", "b",
                   PB_BYTES(h->who->node_id)));
    while (h->reply->n_checkpoints <= WITNESS_KEPT) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            break;
        char *note = cx_strdup(cx, (const char *)sqlite3_column_text(stmt, 0));
        if (note == NULL)
            return FAULT_MEMORY;
        h->reply->checkpoints[h->reply->n_checkpoints++] = note;
    }
    return read_contradictions(cx, sql, h->who, &h->reply->contradictions,
                               &h->reply->n_contradictions, &last);
}

enum fault vault_held(struct cx *cx, struct vault *v, struct bytes call, struct bytes *ret)
{
    Cohortium__HeldReply reply = COHORTIUM__HELD_REPLY__INIT;
    Cohortium__HeldCall *body;
    struct holding h = {.v = v, .reply = &reply};

    TRY(pb_unpack(cx, &cohortium__held_call__descriptor, call, CALL_MAX, &body));
    if (body->node_id.len == DIGEST_BYTES)
        h.who = manifest_find(v->manifest, body->node_id.data);
    if (h.who == NULL)
        return cx_fail(cx, FAULT_MISSING, "witness: the log of no member");
    TRY(db_read(cx, v->db, read_held, &h));
    return pb_pack(cx, &reply.base, ret);
}

static enum fault read_peers(struct cx *cx, sqlite3 *sql, void *user)
{
    struct holding *h = user;
    const struct manifest *manifest = h->v->manifest;
    const Cohortium__Manifest *m = manifest->body;

    CX_NEW(cx, h->list, m->n_members);
    for (size_t i = 0; i < m->n_members; i++) {
        struct peer_log *p = &h->list[h->n];
        struct checkpoint c;
        int64_t last;

        if (member_same(m->members[i], h->v->self))
            continue;
        p->who = m->members[i];
        TRY(newest(cx, sql, p->who, &c));
        TRY(read_contradictions(cx, sql, p->who, &p->contradictions, &p->n_contradictions,
                                &last));
        p->size = c.size;
        p->seen_at = c.seen_at;
        p->contradicts = p->n_contradictions > 0 && last >= c.seen_at;
        h->n++;
    }
    return FAULT_NONE;
}

enum fault witness_peers(struct cx *cx, struct vault *v, struct peer_log **ret,
                         size_t *ret_n)
{
    struct holding h = {.v = v};

    TRY(db_read(cx, v->db, read_peers, &h));
    *ret = h.list;
    *ret_n = h.n;
    return FAULT_NONE;
}

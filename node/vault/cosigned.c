/* cosigned.c - our own log: shown to peers, and what they say of it. */
#include <inttypes.h>
#include <string.h>

#include "node/log.h"
#include "node/vault/restored.h"
#include "node/vault/vault.h"
#include "node/vault/witness.h"
#include "protocol/base/clock.h"

enum { ROUND_MAX = 64 * 1024, DONE_MAX = 2 * 1024 * 1024, SIZES_KEPT = 16 };

/* ---- a round: what is to be shown to whom ---- */

struct head { /* the log as it is shown */
    uint64_t size;
    uint8_t root[DIGEST_BYTES];
    const char *note;
    bool damaged; /* size and root are those of the leaves as they are now */
};

struct round {
    struct vault *v;
    const Cohortium__RoundCall *call;
    struct head head;
    Cohortium__RoundReply *reply;
};

static bool take_damaged(struct vault *v, struct head *ret)
{
    (void)pthread_mutex_lock(&v->lock);
    ret->damaged = v->log_damaged;
    if (ret->damaged) {
        ret->size = v->damaged_size;
        memcpy(ret->root, v->damaged_root, DIGEST_BYTES);
    }
    (void)pthread_mutex_unlock(&v->lock);
    return ret->damaged;
}

static enum fault read_head(struct cx *cx, sqlite3 *sql, struct vault *v, struct head *ret)
{
    struct merkle_store store = audit_store(sql);

    if (!take_damaged(v, ret)) {
        TRY(audit_size(cx, sql, &ret->size));
        TRY(merkle_root(cx, &store, ret->size, ret->root));
    }
    return checkpoint_sign(cx, v->origin, ret->size, ret->root, v->signing, &ret->note);
}

static enum fault known_size(struct cx *cx, sqlite3 *sql, struct bytes peer, uint64_t *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, "SELECT size FROM peer_knows WHERE peer=?", "b", peer));
    TRY(db_step(cx, sql, stmt, &row));
    *ret = row ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    return FAULT_NONE;
}

/* Without a proof where our log cannot give one: the peer finds that out. */
static enum fault put_turn(struct cx *cx, sqlite3 *sql, struct round *r, struct bytes peer)
{
    struct merkle_store store = audit_store(sql);
    Cohortium__AddCheckpointCall *c;
    Cohortium__PeerTurn *turn;
    uint8_t(*path)[DIGEST_BYTES];
    uint64_t old;
    size_t n = 0;

    CX_NEW(cx, turn, 1);
    CX_NEW(cx, c, 1);
    CX_NEW(cx, path, MERKLE_PATH_MAX);
    cohortium__peer_turn__init(turn);
    cohortium__add_checkpoint_call__init(c);
    TRY(known_size(cx, sql, peer, &old));
    if (old > 0 && old <= r->head.size && !r->head.damaged)
        TRY(merkle_consistency(cx, &store, old, r->head.size, path, &n));
    CX_NEW(cx, c->proof, n);
    for (c->n_proof = 0; c->n_proof < n; c->n_proof++)
        c->proof[c->n_proof] = PB_DATA(bytes_of(path[c->n_proof], DIGEST_BYTES));
    c->checkpoint = (char *)r->head.note;
    c->old_size = old <= r->head.size ? old : r->head.size;
    c->made_at = (uint64_t)clock_utc_ms();
    turn->node_id = PB_DATA(peer);
    turn->call = c;
    r->reply->turns[r->reply->n_turns++] = turn;
    return FAULT_NONE;
}

static enum fault plan_round(struct cx *cx, sqlite3 *sql, void *user)
{
    struct round *r = user;

    TRY(read_head(cx, sql, r->v, &r->head));
    r->reply->size = r->head.size;
    CX_NEW(cx, r->reply->turns, r->call->n_peers);
    for (size_t i = 0; i < r->call->n_peers && r->head.size > 0; i++)
        TRY(put_turn(cx, sql, r, PB_BYTES(r->call->peers[i])));
    return FAULT_NONE;
}

enum fault vault_round(struct cx *cx, struct vault *v, struct bytes call, struct bytes *ret)
{
    Cohortium__RoundReply reply = COHORTIUM__ROUND_REPLY__INIT;
    Cohortium__RoundCall *body;
    struct round r = {.v = v, .reply = &reply};

    TRY(pb_unpack(cx, &cohortium__round_call__descriptor, call, ROUND_MAX, &body));
    r.call = body;
    enum fault fault = db_read(cx, v->db, plan_round, &r);
    if (fault == FAULT_CONFLICT && !r.head.damaged) {
        /* The tree lacks a hash: what else does not fit is found now, and shown as it is.
         */
        uint64_t size;
        uint8_t root[DIGEST_BYTES];

        if (witness_check_log(cx, v, &size, root) == FAULT_NONE)
            return cx_fail(cx, FAULT_CONFLICT,
                           "log: its tree could not be read; try again");
        reply = (Cohortium__RoundReply)COHORTIUM__ROUND_REPLY__INIT;
        fault = db_read(cx, v->db, plan_round, &r);
    }
    TRY(fault);
    return pb_pack(cx, &reply.base, ret);
}

/* ---- what the peers said ---- */

struct saying { /* one peer's answer, verified as far as it can be without our log */
    const Cohortium__Member *who;
    const char *line;  /* its cosignature; NULL: none */
    const char *known; /* a checkpoint that we have signed; NULL: none */
    uint64_t known_size;
    uint8_t known_root[DIGEST_BYTES];
    bool saw_before; /* it had cosigned this log before, as far as we knew */
    bool ours;       /* our log continues `known` */
};

struct round_done {
    struct vault *v;
    const char *note;
    uint64_t size;
    uint8_t root[DIGEST_BYTES];
    struct saying *list;
    size_t n;
    bool again;
    const struct saying *stranger; /* holds a note of ours that our log does not continue */
};

static enum fault take_cosignature(struct cx *cx, struct round_done *d, struct saying *s,
                                   const char *line)
{
    const struct manifest *manifest = d->v->manifest;
    const char *name = checkpoint_origin(cx, manifest->consortium, s->who->name);
    const char *both;
    uint64_t at;

    if (name == NULL)
        return FAULT_MEMORY;
    if (cosignature_add(cx, d->note, line, &both) != FAULT_NONE ||
        !cosignature_holds(cx, both, name, s->who->signing_key.data, &at)) {
        log_warning("a cosignature of %s does not hold", s->who->name);
        return FAULT_NONE;
    }
    s->line = line;
    return FAULT_NONE;
}

static enum fault take_answer(struct cx *cx, struct round_done *d,
                              const Cohortium__PeerAnswer *a)
{
    struct saying *s = &d->list[d->n];

    s->who = a->node_id.len == DIGEST_BYTES ? manifest_find(d->v->manifest, a->node_id.data)
                                            : NULL;
    if (s->who == NULL || member_same(s->who, d->v->self) || a->reply == NULL)
        return FAULT_NONE;
    d->n++;
    if (a->reply->cosignature[0] != '\0')
        return take_cosignature(cx, d, s, a->reply->cosignature);
    if (a->reply->known[0] == '\0')
        return FAULT_NONE;
    if (checkpoint_verify(cx, a->reply->known, d->v->origin, d->v->self->signing_key.data,
                          &s->known_size, s->known_root) != FAULT_NONE) {
        log_warning("%s holds a checkpoint of our log that we have not signed",
                    s->who->name);
        return FAULT_NONE;
    }
    s->known = a->reply->known;
    return FAULT_NONE;
}

static enum fault set_known(struct cx *cx, sqlite3 *sql, const struct saying *s,
                            uint64_t size)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT OR REPLACE INTO peer_knows(peer, size) VALUES(?,?)", "bi",
                   PB_BYTES(s->who->node_id), (int64_t)size));
    return db_run(cx, sql, stmt);
}

static enum fault put_cosignature(struct cx *cx, sqlite3 *sql, const struct round_done *d,
                                  struct saying *s)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    uint64_t before;

    TRY(db_prepare(
        cx, sql, &stmt,
        "INSERT OR REPLACE INTO cosignature(size, peer, line, at) VALUES(?,?,?,?)", "ibti",
        (int64_t)d->size, PB_BYTES(s->who->node_id), s->line, clock_utc_ms()));
    TRY(db_run(cx, sql, stmt));
    TRY(known_size(cx, sql, PB_BYTES(s->who->node_id), &before));
    s->saw_before = before > 0;
    return set_known(cx, sql, s, d->size);
}

/* A peer knows another size than we thought. It may be that an answer was lost; or that it
 * has seen records which our log has no more. */
static enum fault judge_known(struct cx *cx, sqlite3 *sql, struct round_done *d,
                              struct saying *s)
{
    struct merkle_store store = audit_store(sql);
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    uint8_t root[DIGEST_BYTES];
    uint64_t size, before;

    TRY(audit_size(cx, sql, &size));
    if (s->known_size <= size && merkle_root(cx, &store, s->known_size, root) == FAULT_NONE)
        s->ours = memcmp(root, s->known_root, DIGEST_BYTES) == 0;
    if (s->known_size <= size) { /* begun where it stands: it sees what fits and what not */
        TRY(known_size(cx, sql, PB_BYTES(s->who->node_id), &before));
        d->again = d->again || before != s->known_size;
        TRY(set_known(cx, sql, s, s->known_size));
    }
    if (s->ours)
        return FAULT_NONE;
    d->stranger = s;
    /* One signed note has many forms, by lines of others: a peer cannot fill the table. */
    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT OR IGNORE INTO own_note(note, peer) SELECT ?1, ?2 WHERE"
                   " (SELECT count(*) FROM own_note WHERE peer=?2) < ?3",
                   "tbi", s->known, PB_BYTES(s->who->node_id),
                   (int64_t)CONTRADICTIONS_KEPT));
    return db_run(cx, sql, stmt);
}

/* Proofs are made under the newest checkpoint that enough others have cosigned: what is
 * older than it is of no more use. */
static enum fault forget_old(struct cx *cx, sqlite3 *sql)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "DELETE FROM cosignature WHERE size < coalesce("
                   "(SELECT max(size) FROM (SELECT size FROM cosignature GROUP BY size"
                   " HAVING count(*) >= ?)),"
                   "(SELECT min(size) FROM (SELECT DISTINCT size FROM cosignature"
                   " ORDER BY size DESC LIMIT ?)))",
                   "ii", (int64_t)WITNESSES_MIN, (int64_t)SIZES_KEPT));
    return db_run(cx, sql, stmt);
}

/* What others have cosigned is kept here, too: a cut tail then shows without them. */
static enum fault keep_note(struct cx *cx, sqlite3 *sql, const struct round_done *d)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct head head;

    if (take_damaged(d->v, &head))
        return FAULT_NONE;
    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT OR REPLACE INTO log_checkpoint(size, note) VALUES(?,?)", "it",
                   (int64_t)d->size, d->note));
    return db_run(cx, sql, stmt);
}

static enum fault write_round(struct cx *cx, sqlite3 *sql, void *user)
{
    struct round_done *d = user;
    bool any = false;

    for (size_t i = 0; i < d->n; i++) {
        struct saying *s = &d->list[i];

        if (s->line != NULL) {
            TRY(put_cosignature(cx, sql, d, s));
            any = true;
        } else if (s->known != NULL) {
            TRY(judge_known(cx, sql, d, s));
        } else {
            uint64_t before;

            TRY(known_size(cx, sql, PB_BYTES(s->who->node_id), &before));
            d->again = d->again || before != 0;
            TRY(set_known(cx, sql, s, 0)); /* it has lost what it knew */
        }
    }
    if (!any)
        return FAULT_NONE;
    TRY(keep_note(cx, sql, d));
    return forget_old(cx, sql);
}

static void tell_stranger(struct cx *cx, const struct round_done *d)
{
    const char *text = cx_printf(
        cx,
        "this node's log was rolled back or rewritten: %s holds a checkpoint of %" PRIu64
        " records with this node's signature, which the log does not continue. Stop the "
        "node "
        "and bring back the newest copy of its folder; `cohortiumd audit verify` tells "
        "more",
        d->stranger->who->name, d->stranger->known_size);

    vault_log_trouble(d->v, text != NULL ? text : "this node's log was rolled back");
}

/* A log from a backup may be built on once somebody who knew it finds nothing missing. Who
 * saw it for the first time proves nothing. */
static enum fault end_restored(struct cx *cx, const struct round_done *d)
{
    for (size_t i = 0; i < d->n; i++) {
        const struct saying *s = &d->list[i];
        enum fault fault = FAULT_NONE;

        if (s->line != NULL && s->saw_before)
            fault = vault_restored_check(cx, d->v, s->who->name, NULL);
        else if (s->known != NULL)
            fault = vault_restored_check(cx, d->v, s->who->name, s->known);
        if (fault != FAULT_NONE && fault != FAULT_CONFLICT && fault != FAULT_DENIED)
            return fault;
    }
    return FAULT_NONE;
}

enum fault vault_round_done(struct cx *cx, struct vault *v, struct bytes call,
                            struct bytes *ret)
{
    Cohortium__RoundDoneReply reply = COHORTIUM__ROUND_DONE_REPLY__INIT;
    Cohortium__RoundDoneCall *body;
    struct round_done d = {.v = v};

    TRY(pb_unpack(cx, &cohortium__round_done_call__descriptor, call, DONE_MAX, &body));
    d.note = body->checkpoint;
    TRY(checkpoint_verify(cx, d.note, v->origin, v->self->signing_key.data, &d.size,
                          d.root));
    CX_NEW(cx, d.list, body->n_answers + 1);
    for (size_t i = 0; i < body->n_answers; i++)
        TRY(take_answer(cx, &d, body->answers[i]));
    if (d.n > 0)
        TRY(db_write(cx, v->db, write_round, &d));
    if (d.stranger != NULL)
        tell_stranger(cx, &d);
    else
        TRY(end_restored(cx, &d));
    reply.again = d.again;
    return pb_pack(cx, &reply.base, ret);
}

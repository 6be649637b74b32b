/* revocations.c - see revocations.h. */
#include "node/vault/revocations.h"

#include <string.h>

#include "node/log.h"
#include "node/vault/audit.h"
#include "node/vault/papers_store.h"
#include "protocol/base/clock.h"

enum { CALL_MAX = 128 * 1024, TOLD_AT_ONCE = 64 * 1024 };
static const int64_t KEPT_AFTER_MS = 24 * 3600 * 1000; /* its target's end */

/* ---- reading ---- */

enum fault revocation_read(struct cx *cx, struct bytes packed,
                           const Cohortium__Revocation **ret)
{
    struct envelope e;
    Cohortium__Revocation *body;

    TRY(envelope_open(cx, ENVELOPE_REVOCATION, packed, &e));
    TRY(pb_unpack(cx, &cohortium__revocation__descriptor, e.body,
                  envelope_bound(ENVELOPE_REVOCATION), &body));
    *ret = body;
    return FAULT_NONE;
}

static enum fault count_rows(struct cx *cx, sqlite3 *sql, sqlite3_stmt *stmt, size_t *ret)
{
    bool row = false;

    TRY(db_step(cx, sql, stmt, &row));
    *ret = row ? (size_t)sqlite3_column_int64(stmt, 0) : 0;
    return FAULT_NONE;
}

enum fault revocations_list(struct cx *cx, sqlite3 *sql, const uint8_t *target,
                            struct revocation_row **ret, size_t *ret_n)
{
    AUTO_STMT sqlite3_stmt *count = NULL, *stmt = NULL;
    struct bytes want = bytes_of(target, target != NULL ? DIGEST_BYTES : 0);
    size_t size = 0, n = 0;
    bool row = false;

    TRY(db_prepare(cx, sql, &count,
                   "SELECT count(*) FROM revocation WHERE ?1=0 OR target=?2", "ib",
                   (int64_t)(target != NULL), want));
    TRY(count_rows(cx, sql, count, &size));
    CX_NEW(cx, *ret, size);
    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT packed, seen_at FROM revocation WHERE ?1=0 OR target=?2"
                   " ORDER BY seen_at, digest",
                   "ib", (int64_t)(target != NULL), want));
    for (; n < size; n++) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            break;
        (*ret)[n] =
            (struct revocation_row){db_bytes(cx, stmt, 0), sqlite3_column_int64(stmt, 1)};
        if ((*ret)[n].packed.p == NULL)
            return cx_fail(cx, FAULT_MEMORY, "database: no memory for a list");
    }
    *ret_n = n;
    return FAULT_NONE;
}

enum fault revocations_check(struct cx *cx, sqlite3 *sql, const Cohortium__Member *self,
                             const uint8_t target[32], struct bytes issuer)
{
    struct revocation_row *rows;
    size_t n;
    char then[32];

    TRY(revocations_list(cx, sql, target, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        const Cohortium__Revocation *r;

        TRY(revocation_read(cx, rows[i].packed, &r));
        if (revocation_binds(r, self, issuer))
            return cx_fail(cx, FAULT_DENIED,
                           "%s \"%.64s\" was revoked on %s and stays so (%s): a new one is "
                           "needed",
                           r->what, r->title,
                           clock_format((int64_t)r->issued_at, then, sizeof then),
                           r->reason);
    }
    return FAULT_NONE;
}

struct standing {
    const Cohortium__Member *self;
    const struct credential *who;
};

static enum fault check_standing(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct standing *s = user;

    return revocations_check(cx, sql, s->self, s->who->envelope.digest,
                             PB_BYTES(s->who->home->node_id));
}

enum fault vault_credential_stands(struct cx *cx, struct vault *v,
                                   const struct credential *who)
{
    struct standing s = {v->self, who};

    if (db_read(cx, v->db, check_standing, &s) == FAULT_NONE)
        return FAULT_NONE;
    return cx_fault(cx) != FAULT_DENIED
               ? cx_fault(cx)
               : cx_fail(cx, FAULT_DENIED,
                         "the credential of %.64s was revoked; ask %s for a new one",
                         who->body->name, who->home->name);
}

/* ---- one is taken ---- */

struct taking {
    struct vault *v;
    struct revocation_taken *t;
    const char *details;
    bool once;         /* FAULT_CONFLICT where the target is revoked already */
    bool known, stale; /* here already; the target is revoked here already */
    bool held;         /* the permit is here */
};

static enum fault is_known(struct cx *cx, sqlite3 *sql, void *user)
{
    struct taking *t = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt, "SELECT 1 FROM revocation WHERE digest=?", "b",
                   bytes_of(t->t->paper.envelope.digest, DIGEST_BYTES)));
    return db_step(cx, sql, stmt, &t->known);
}

static enum fault another(struct cx *cx, const Cohortium__Revocation *r)
{
    return cx_fail(
        cx, FAULT_CONFLICT,
        "this site holds another %s under the id %s than the one that is revoked", r->what,
        bytes_hex(cx, r->id.data, ID_BYTES));
}

/* A permit that is here is compared; one that comes later is compared then. */
static enum fault judge_permit(struct cx *cx, sqlite3 *sql, struct taking *t)
{
    const Cohortium__Revocation *r = t->t->paper.body;
    struct envelope e;
    Cohortium__Permit *p;
    struct permit_end end;
    struct bytes packed;

    TRY(permits_revoked(cx, sql, r->id.data, &end));
    t->stale = end.at != 0;
    t->t->binds = revocation_binds(r, t->v->self, PB_BYTES(r->issuer));
    enum fault fault = permits_find(cx, sql, r->id.data, &packed);
    if (fault == FAULT_MISSING)
        return FAULT_NONE;
    TRY(fault);
    t->held = true;
    TRY(envelope_open(cx, ENVELOPE_PERMIT, packed, &e));
    if (!bytes_equal(bytes_of(e.digest, DIGEST_BYTES), PB_BYTES(r->target)))
        return another(cx, r);
    TRY(pb_unpack(cx, &cohortium__permit__descriptor, e.body,
                  envelope_bound(ENVELOPE_PERMIT), &p));
    t->t->binds = revocation_binds(r, t->v->self, PB_BYTES(p->issuer));
    return FAULT_NONE;
}

static enum fault judge_credential(struct cx *cx, sqlite3 *sql, struct taking *t)
{
    const Cohortium__Revocation *r = t->t->paper.body;
    struct researcher_row *rows;
    struct envelope e;
    size_t n;

    t->t->binds = revocation_binds(r, t->v->self, PB_BYTES(r->issuer));
    TRY(researchers_list(cx, sql, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        if (memcmp(rows[i].serial, r->id.data, ID_BYTES) != 0)
            continue;
        TRY(envelope_open(cx, ENVELOPE_CREDENTIAL, rows[i].credential, &e));
        if (!bytes_equal(bytes_of(e.digest, DIGEST_BYTES), PB_BYTES(r->target)))
            return another(cx, r);
        t->stale = rows[i].revoked_at != 0;
        t->t->binds = revocation_binds(r, t->v->self, PB_BYTES(t->v->self->node_id));
    }
    return FAULT_NONE;
}

static enum fault make_room(struct cx *cx, sqlite3 *sql, const struct revocation *r,
                            int64_t now)
{
    AUTO_STMT sqlite3_stmt *purge = NULL, *count = NULL;
    size_t n = 0;

    TRY(db_prepare(cx, sql, &purge, "DELETE FROM revocation WHERE until<?", "i",
                   now - KEPT_AFTER_MS));
    TRY(db_run(cx, sql, purge));
    TRY(db_prepare(cx, sql, &count, "SELECT count(*) FROM revocation WHERE member=?", "b",
                   PB_BYTES(r->body->member)));
    TRY(count_rows(cx, sql, count, &n));
    if (n >= REVOCATIONS_OF_ONE_MAX)
        return cx_fail(
            cx, FAULT_BOUND,
            "%s has %zu revocations in force, which is as many as one member may: "
            "one more is taken when the first of them has ended",
            r->member->name, n);
    return FAULT_NONE;
}

static enum fault put_row(struct cx *cx, sqlite3 *sql, const struct revocation *r,
                          int64_t now)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT INTO revocation(digest, target, member, packed, until, seen_at)"
                   " VALUES(?,?,?,?,?,?)",
                   "bbbbii", bytes_of(r->envelope.digest, DIGEST_BYTES),
                   PB_BYTES(r->body->target), PB_BYTES(r->body->member), r->envelope.packed,
                   (int64_t)r->body->until, now));
    return db_run(cx, sql, stmt);
}

static enum fault log_taken(struct cx *cx, sqlite3 *sql, struct taking *t)
{
    const struct revocation *r = &t->t->paper;
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;
    uint8_t who[DIGEST_BYTES];
    uint64_t index;

    digest_of(bytes_of(r->key, sizeof r->key), who);
    record.kind = (char *)"revocation";
    record.decision = (char *)(t->t->binds ? "done" : "noted");
    record.subject = PB_DATA(bytes_of(r->envelope.digest, DIGEST_BYTES));
    record.who = PB_DATA(bytes_of(who, sizeof who));
    if (r->of_permit)
        record.permit = r->body->id;
    const char *details =
        cx_printf(cx, "%s \"%.200s\" revoked by %s of %s, reason: %s%s", r->body->what,
                  r->body->title, r->by, r->member->name, r->body->reason,
                  t->t->binds ? "" : "; it does not bind this site, whose officers decide");
    return details == NULL ? FAULT_MEMORY : audit_append(cx, sql, &record, details, &index);
}

static enum fault write_taken(struct cx *cx, sqlite3 *sql, void *user)
{
    struct taking *t = user;
    const struct revocation *r = &t->t->paper;
    int64_t now = clock_utc_ms();

    TRY(is_known(cx, sql, t));
    if (t->known)
        return cx_fail(cx, FAULT_REPLAY,
                       "revocation of \"%.64s\": this very paper was taken here before; it "
                       "holds already",
                       r->body->title);
    TRY(r->of_permit ? judge_permit(cx, sql, t) : judge_credential(cx, sql, t));
    if (t->once && t->stale)
        return cx_fail(cx, FAULT_CONFLICT, "%s \"%.64s\" is revoked here already",
                       r->body->what, r->body->title);
    TRY(make_room(cx, sql, r, now));
    TRY(put_row(cx, sql, r, now));
    /* Of a permit that is not here only its own words could tell who issued it: the paper
     * waits until it is about to be added. */
    if (t->t->binds && !t->stale && r->of_permit && t->held)
        TRY(permits_revoke(cx, sql, r->body->id.data, r->body->reason, now));
    if (t->t->binds && !r->of_permit)
        TRY(researchers_revoke(cx, sql, r->body->id.data, r->body->reason, now));
    return log_taken(cx, sql, t);
}

/* ---- telling ---- */

static void tell(struct cx *cx, struct vault *v, const struct bytes *list, size_t n)
{
    Cohortium__RevocationsCall call = COHORTIUM__REVOCATIONS_CALL__INIT;
    struct bytes packed;

    if (v->to_net == NULL || n == 0)
        return;
    call.revocations = cx_array(cx, n, sizeof *call.revocations);
    for (size_t i = 0; call.revocations != NULL && i < n; i++)
        call.revocations[call.n_revocations++] = PB_DATA(list[i]);
    if (call.revocations == NULL || pb_pack(cx, &call.base, &packed) != FAULT_NONE) {
        log_warning("a revocation was not told to the members: out of memory");
        return;
    }
    v->to_net(v->to_net_user, cx, IPC_REVOCATIONS, packed);
}

struct all {
    struct revocation_row *rows;
    size_t n;
};

static enum fault read_all(struct cx *cx, sqlite3 *sql, void *user)
{
    struct all *a = user;

    return revocations_list(cx, sql, NULL, &a->rows, &a->n);
}

enum fault revocations_tell(struct cx *cx, struct vault *v)
{
    struct all a = {0};
    struct bytes *list;

    TRY(db_read(cx, v->db, read_all, &a));
    CX_NEW(cx, list, a.n);
    for (size_t i = 0, from = 0, bytes = 0; i < a.n; i++) {
        list[i] = a.rows[i].packed;
        bytes += list[i].n;
        if (bytes < TOLD_AT_ONCE && i + 1 < a.n)
            continue;
        tell(cx, v, list + from, i + 1 - from);
        from = i + 1;
        bytes = 0;
    }
    return FAULT_NONE;
}

struct holders {
    struct researcher_row *rows;
    size_t n;
};

static enum fault read_holders(struct cx *cx, sqlite3 *sql, void *user)
{
    struct holders *h = user;

    return researchers_list(cx, sql, &h->rows, &h->n);
}

enum fault researchers_end_links(struct cx *cx, struct vault *v)
{
    struct holders h = {0};

    TRY(db_read(cx, v->db, read_holders, &h));
    for (size_t i = 0; i < h.n && v->to_net != NULL; i++) {
        bool holds = false;

        for (size_t k = 0; k < h.n; k++)
            holds =
                holds || (memcmp(h.rows[k].subject, h.rows[i].subject, DIGEST_BYTES) == 0 &&
                          h.rows[k].revoked_at == 0 &&
                          (int64_t)h.rows[k].not_after >= clock_utc_ms());
        if (!holds)
            v->to_net(v->to_net_user, cx, IPC_REVOKED,
                      bytes_of(h.rows[i].subject, DIGEST_BYTES));
    }
    return FAULT_NONE;
}

static enum fault take_at(struct cx *cx, struct vault *v, struct bytes packed, int64_t now,
                          bool once, struct revocation_taken *ret)
{
    struct revocation_taken taken = {0};
    struct taking t = {.v = v, .t = &taken, .once = once};

    TRY(revocation_verify(cx, v->manifest, packed, now, &taken.paper));
    TRY(db_write(cx, v->db, write_taken, &t));
    if (!taken.paper.of_permit && taken.binds)
        TRY(researchers_end_links(cx, v));
    tell(cx, v, &packed, 1);
    *ret = taken;
    return FAULT_NONE;
}

enum fault revocation_take(struct cx *cx, struct vault *v, struct bytes packed, bool once,
                           struct revocation_taken *ret)
{
    return take_at(cx, v, packed, clock_utc_ms(), once, ret);
}

/* ---- from members ---- */

/* By our clock it may be dated ahead: ours is behind then, or its member's is ahead. Either
 * way it is taken, for it takes back what may not wait, and is told once a link. */
static enum fault time_of(struct cx *cx, const struct envelope *claimed, int64_t *ret)
{
    Cohortium__Revocation *r;

    TRY(pb_unpack(cx, &cohortium__revocation__descriptor, claimed->body,
                  envelope_bound(ENVELOPE_REVOCATION), &r));
    *ret = clock_utc_ms();
    if (r->issued_at <= INT64_MAX / 2 && (int64_t)r->issued_at > *ret)
        *ret = (int64_t)r->issued_at;
    return FAULT_NONE;
}

/* Known ones cost no signature check: each comes again with every link. */
static enum fault take_of_peer(struct cx *cx, struct vault *v, struct bytes packed)
{
    struct revocation_taken taken = {0};
    struct taking t = {.v = v, .t = &taken};

    TRY(envelope_open(cx, ENVELOPE_REVOCATION, packed, &taken.paper.envelope));
    TRY(db_read(cx, v->db, is_known, &t));
    if (t.known)
        return FAULT_NONE;
    int64_t now;

    TRY(time_of(cx, &taken.paper.envelope, &now));
    enum fault fault = take_at(cx, v, packed, now, false, &taken);
    if (fault != FAULT_NONE) /* by another member meanwhile; or it has had its time */
        return fault == FAULT_REPLAY || fault == FAULT_EXPIRED ? FAULT_NONE : fault;
    log_notice("%s \"%.64s\" was revoked by %s of %s: %s", taken.paper.body->what,
               taken.paper.body->title, taken.paper.by, taken.paper.member->name,
               taken.binds ? "it holds here" : "it does not bind this site");
    return FAULT_NONE;
}

enum fault vault_revocations(struct cx *cx, struct vault *v, struct bytes body)
{
    Cohortium__RevocationsCall *call;
    enum fault first = FAULT_NONE;
    const char *why = NULL;

    TRY(pb_unpack(cx, &cohortium__revocations_call__descriptor, body, CALL_MAX, &call));
    for (size_t i = 0; i < call->n_revocations; i++) {
        enum fault fault = take_of_peer(cx, v, PB_BYTES(call->revocations[i]));

        if (fault == FAULT_NONE || first != FAULT_NONE)
            continue;
        first = fault;
        why = cx_strdup(cx, cx_message(cx));
    }
    return first == FAULT_NONE
               ? FAULT_NONE
               : cx_fail(cx, first, "%s", why != NULL ? why : "out of memory");
}

/*
 * later.c - the drawer: signed questions that wait until every site can answer.
 *
 * Net asks for them one by one (next), drives them and says how it went (end, again). The first
 * time it says that it begins (start): what was being tried when the one before died is due.
 * What is kept is bounded, for one researcher and in all, and goes when the request's own
 * validity ends. A receipt is kept for its issuer alone; it is believed by nobody who does
 * not verify it.
 */
#include <sodium.h>
#include <string.h>

#include "node/vault/audit.h"
#include "node/vault/vault.h"
#include "protocol/base/clock.h"

enum {
    KEPT_MAX = 128,
    KEPT_OF_ONE_MAX = 16,
    STORE_MAX = 5 * 1024 * 1024,
    KEPT_RECEIPT_MAX = 4 * 1024 * 1024,
    TROUBLE_MAX = 64 * 1024,
    DOWN_FIRST_MS = 2000, /* a site cannot be reached: costs the others nothing */
    DOWN_LAST_MS = 60 * 1000,
    REFUSED_FIRST_MS = 15 * 1000, /* each try is a line in the sites' logs */
    REFUSED_LAST_MS = 3600 * 1000,
    ATTEMPT_MS = 15 * 60 * 1000,     /* net does not say how it went */
    PUT_OFF_MAX_MS = REFUSED_LAST_MS /* the longest of them */
};

/* Why one that waits does. REFUSED: for what no link mends; or it was never tried. */
enum down { REFUSED = 0, DOWN = 1, TRIED = 2 /* it is being tried */ };
enum kept { WAITING = 0, DONE = 1, FAILED = 2, DRAWN = 3 /* done, and it was fetched */ };

struct row {
    struct bytes issuer, id, digest, packed, trouble, receipt;
    enum kept state;
    int64_t kept_at, expires_at, try_at, tries;
    enum down down;
};

struct drawer {
    const Cohortium__LaterStore *store;
    Cohortium__LaterReply *reply;
    struct request request; /* keep */
    struct bytes self;      /* this node */
    int64_t now;
};

/* ---- rows ---- */

static const char columns[] = "SELECT issuer, request, digest, packed, trouble, receipt, "
                              "state, kept_at, expires_at, try_at, tries, down FROM later ";

static void read_row(struct cx *cx, sqlite3_stmt *stmt, struct row *r)
{
    r->issuer = db_bytes(cx, stmt, 0);
    r->id = db_bytes(cx, stmt, 1);
    r->digest = db_bytes(cx, stmt, 2);
    r->packed = db_bytes(cx, stmt, 3);
    r->trouble = db_bytes(cx, stmt, 4);
    r->receipt = db_bytes(cx, stmt, 5);
    r->state = (enum kept)sqlite3_column_int(stmt, 6);
    r->kept_at = sqlite3_column_int64(stmt, 7);
    r->expires_at = sqlite3_column_int64(stmt, 8);
    r->try_at = sqlite3_column_int64(stmt, 9);
    r->tries = sqlite3_column_int64(stmt, 10);
    r->down = (enum down)sqlite3_column_int(stmt, 11);
}

/* One issuer's rows, the oldest first. */
static enum fault rows_of(struct cx *cx, sqlite3 *sql, struct bytes issuer,
                          struct row **ret, size_t *ret_n)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct row *list;
    size_t n = 0;
    bool more = false;

    const char *text = cx_printf(cx, "%sWHERE issuer=? ORDER BY kept_at, request", columns);
    if (text == NULL)
        return FAULT_MEMORY;
    CX_NEW(cx, list, KEPT_OF_ONE_MAX);
    TRY(db_prepare(cx, sql, &stmt, text, "b", issuer));
    TRY(db_step(cx, sql, stmt, &more));
    while (more && n < KEPT_OF_ONE_MAX) {
        read_row(cx, stmt, &list[n++]);
        TRY(db_step(cx, sql, stmt, &more));
    }
    *ret = list;
    *ret_n = n;
    return FAULT_NONE;
}

static enum fault purge(struct cx *cx, sqlite3 *sql, int64_t now)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt, "DELETE FROM later WHERE expires_at < ?", "i", now));
    return db_run(cx, sql, stmt);
}

enum fault later_waiting(struct cx *cx, sqlite3 *sql, int64_t now, uint64_t *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT count(*) FROM later WHERE state=0 AND expires_at>=?", "i", now));
    TRY(db_step(cx, sql, stmt, &row));
    *ret = row ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    return FAULT_NONE;
}

static enum fault count_rows(struct cx *cx, sqlite3 *sql, size_t *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, "SELECT count(*) FROM later", ""));
    TRY(db_step(cx, sql, stmt, &row));
    *ret = row ? (size_t)sqlite3_column_int64(stmt, 0) : 0;
    return FAULT_NONE;
}

/* ---- the reply ---- */

static const char *trouble_words(struct cx *cx, struct bytes packed)
{
    Cohortium__Trouble *t;

    if (packed.n == 0 || pb_unpack(cx, &cohortium__trouble__descriptor, packed, TROUBLE_MAX,
                                   &t) != FAULT_NONE)
        return "";
    return t->n_complaints > 0 ? t->complaints[0]->text : t->text;
}

static enum fault put_card(struct cx *cx, const struct row *row,
                           Cohortium__LaterReply *reply)
{
    static const char *const states[] = {"waiting", "done", "failed", "done"};
    Cohortium__LaterCard *card;
    Cohortium__Request *r;
    struct envelope e;

    TRY(envelope_open(cx, ENVELOPE_REQUEST, row->packed, &e));
    TRY(pb_unpack(cx, &cohortium__request__descriptor, e.body,
                  envelope_bound(ENVELOPE_REQUEST), &r));
    CX_NEW(cx, card, 1);
    *card = (Cohortium__LaterCard)COHORTIUM__LATER_CARD__INIT;
    card->request_id = PB_DATA(row->id);
    card->request = PB_DATA(row->digest);
    card->state = (char *)states[row->state];
    card->text = (char *)trouble_words(cx, row->trouble);
    card->dataset = r->question->dataset;
    card->analysis = r->question->analysis;
    card->kept_at = (uint64_t)row->kept_at;
    card->expires_at = (uint64_t)row->expires_at;
    if (reply->cards == NULL)
        CX_NEW(cx, reply->cards, KEPT_OF_ONE_MAX);
    reply->cards[reply->n_cards++] = card;
    return FAULT_NONE;
}

/* The issuer's one row whose id begins so; FAULT_MISSING. */
static enum fault find_named(struct cx *cx, sqlite3 *sql, const struct drawer *d,
                             struct row *ret)
{
    struct row *rows;
    size_t n, found = 0;
    char hex[2 * ID_BYTES + 1];

    TRY(rows_of(cx, sql, PB_BYTES(d->store->issuer), &rows, &n));
    for (size_t i = 0; i < n; i++) {
        if (rows[i].id.n != ID_BYTES)
            continue;
        (void)sodium_bin2hex(hex, sizeof hex, rows[i].id.p, ID_BYTES);
        if (strncmp(hex, d->store->id, strlen(d->store->id)) == 0) {
            found++;
            *ret = rows[i];
        }
    }
    if (found > 1)
        return cx_fail(cx, FAULT_INVALID,
                       "%zu questions of yours begin with %.32s; give more of the id",
                       found, d->store->id);
    return found == 1 ? FAULT_NONE
                      : cx_fail(cx, FAULT_MISSING, "no question of yours has this id here");
}

/* ---- acts ---- */

static enum fault room_for(struct cx *cx, sqlite3 *sql, size_t own)
{
    size_t all;

    TRY(count_rows(cx, sql, &all));
    if (own >= KEPT_OF_ONE_MAX)
        return cx_fail(
            cx, FAULT_INVALID,
            "%d questions of yours are kept here already; collect or cancel some "
            "(`cohortium pending` lists them)",
            KEPT_OF_ONE_MAX);
    if (all >= KEPT_MAX)
        return cx_fail(cx, FAULT_INVALID,
                       "this node keeps %d questions for later and no more; try again when "
                       "some were collected",
                       KEPT_MAX);
    return FAULT_NONE;
}

static enum fault keep(struct cx *cx, sqlite3 *sql, void *user)
{
    struct drawer *d = user;
    const Cohortium__Stamp *stamp = d->request.body->stamp;
    struct bytes digest = bytes_of(d->request.envelope.digest, DIGEST_BYTES);
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct row *rows, row = {0};
    size_t n;
    bool seen;

    TRY(purge(cx, sql, d->now));
    TRY(replay_check(cx, sql, stamp->issuer.data, stamp->request_id.data, digest.p, &seen));
    TRY(rows_of(cx, sql, PB_BYTES(stamp->issuer), &rows, &n));
    for (size_t i = 0; i < n; i++) {
        if (!bytes_equal(rows[i].id, PB_BYTES(stamp->request_id)))
            continue;
        if (bytes_equal(rows[i].digest, digest))
            return put_card(cx, &rows[i], d->reply);
        return cx_fail(cx, FAULT_REPLAY,
                       "this request's id is kept here for another request; ask anew");
    }
    TRY(room_for(cx, sql, n));
    row = (struct row){.issuer = PB_BYTES(stamp->issuer),
                       .id = PB_BYTES(stamp->request_id),
                       .digest = digest,
                       .packed = d->request.envelope.packed,
                       .kept_at = d->now,
                       .expires_at = (int64_t)stamp->expires_at};
    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT INTO later(issuer, request, digest, packed, kept_at, expires_at)"
                   " VALUES(?,?,?,?,?,?)",
                   "bbbbii", row.issuer, row.id, row.digest, row.packed, row.kept_at,
                   row.expires_at));
    TRY(db_run(cx, sql, stmt));
    return put_card(cx, &row, d->reply);
}

static enum fault list(struct cx *cx, sqlite3 *sql, void *user)
{
    struct drawer *d = user;
    struct row *rows;
    size_t n;

    TRY(purge(cx, sql, d->now));
    TRY(rows_of(cx, sql, PB_BYTES(d->store->issuer), &rows, &n));
    for (size_t i = 0; i < n; i++)
        TRY(put_card(cx, &rows[i], d->reply));
    return FAULT_NONE;
}

/* Who asks for one that waits lets it be tried soon, but not without end. A link that comes
 * up needs no asking for. */
static enum fault hurry(struct cx *cx, sqlite3 *sql, const struct row *row, int64_t now)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    int64_t soon = now + REFUSED_FIRST_MS;

    if (row->state != WAITING || row->down != REFUSED || row->try_at <= soon ||
        row->try_at > now + REFUSED_LAST_MS)
        return FAULT_NONE;
    TRY(db_prepare(cx, sql, &stmt, "UPDATE later SET try_at=? WHERE issuer=? AND request=?",
                   "ibb", soon, row->issuer, row->id));
    return db_run(cx, sql, stmt);
}

/* Officers see who has fetched an answer that was made while nobody waited: once, when it is
 * fetched first. */
static enum fault note_drawn(struct cx *cx, sqlite3 *sql, const struct row *row)
{
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;
    AUTO_STMT sqlite3_stmt *mark = NULL;
    Cohortium__Request *r;
    struct envelope e;
    char kept[32];
    uint64_t index;

    if (row->state != DONE)
        return FAULT_NONE;
    TRY(envelope_open(cx, ENVELOPE_REQUEST, row->packed, &e));
    TRY(pb_unpack(cx, &cohortium__request__descriptor, e.body,
                  envelope_bound(ENVELOPE_REQUEST), &r));
    TRY(db_prepare(cx, sql, &mark, "UPDATE later SET state=? WHERE issuer=? AND request=?",
                   "ibb", (int64_t)DRAWN, row->issuer, row->id));
    TRY(db_run(cx, sql, mark));
    record.kind = (char *)"collect";
    record.decision = (char *)"done";
    record.subject = PB_DATA(row->digest);
    record.who = PB_DATA(row->issuer);
    record.permit = r->permit;
    const char *details = cx_printf(
        cx, "the answer of %s %s, left for later %s, was fetched by collect %.12s",
        r->question->analysis, r->question->dataset,
        clock_format(row->kept_at, kept, sizeof kept), bytes_hex(cx, row->id.p, row->id.n));
    return details == NULL ? FAULT_MEMORY
                           : audit_append(cx, sql, &record, details, &index);
}

static enum fault take(struct cx *cx, sqlite3 *sql, void *user)
{
    struct drawer *d = user;
    struct row row = {0};

    TRY(purge(cx, sql, d->now));
    enum fault fault = find_named(cx, sql, d, &row);
    if (fault == FAULT_MISSING)
        return FAULT_NONE;
    TRY(fault);
    TRY(hurry(cx, sql, &row, d->now));
    TRY(note_drawn(cx, sql, &row));
    d->reply->request = PB_DATA(row.packed);
    d->reply->receipt = PB_DATA(row.receipt);
    d->reply->trouble = PB_DATA(row.trouble);
    return put_card(cx, &row, d->reply);
}

/* An earlier try that was charged here (and so, as far as it came, elsewhere) has left the
 * request's id behind. */
static enum fault tell_charge(struct cx *cx, sqlite3 *sql, const struct row *row,
                              struct bytes self, Cohortium__LaterCard *card)
{
    bool seen;

    TRY(replay_check(cx, sql, row->issuer.p, row->id.p, row->digest.p, &seen));
    if (!seen)
        return FAULT_NONE;
    CX_NEW(cx, card->charged, 1);
    card->charged[0] = PB_DATA(self);
    card->n_charged = 1;
    return FAULT_NONE;
}

static enum fault drop(struct cx *cx, sqlite3 *sql, void *user)
{
    struct drawer *d = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct row row = {0};
    enum fault fault = find_named(cx, sql, d, &row);

    if (fault == FAULT_MISSING)
        return FAULT_NONE;
    TRY(fault);
    TRY(db_prepare(cx, sql, &stmt, "DELETE FROM later WHERE issuer=? AND request=?", "bb",
                   row.issuer, row.id));
    TRY(db_run(cx, sql, stmt));
    TRY(put_card(cx, &row, d->reply));
    if (row.state != WAITING)
        return FAULT_NONE;
    d->reply->cards[0]->state = (char *)"cancelled";
    return tell_charge(cx, sql, &row, d->self, d->reply->cards[0]);
}

static enum fault due_now(struct cx *cx, sqlite3 *sql)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "UPDATE later SET try_at=0, tries=0 WHERE state=0 AND down=1", ""));
    return db_run(cx, sql, stmt);
}

/* No try is put off for longer than that: where one is, the clock stood ahead and was put
 * back, and the question would wait for as long as the clock was wrong. */
static enum fault clock_put_back(struct cx *cx, sqlite3 *sql, int64_t now)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt, "UPDATE later SET try_at=? WHERE state=0 AND try_at>?",
                   "ii", now + DOWN_FIRST_MS, now + PUT_OFF_MAX_MS));
    return db_run(cx, sql, stmt);
}

/* The one that is due first; a card alone when none is due, nothing when none waits. */
static enum fault give_next(struct cx *cx, sqlite3 *sql, void *user)
{
    struct drawer *d = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL, *mark = NULL;
    struct row row = {0};
    bool found = false;

    TRY(purge(cx, sql, d->now));
    TRY(clock_put_back(cx, sql, d->now));
    if (d->store->soon)
        TRY(due_now(cx, sql));
    const char *text =
        cx_printf(cx, "%sWHERE state=0 ORDER BY try_at, kept_at LIMIT 1", columns);
    if (text == NULL)
        return FAULT_MEMORY;
    TRY(db_prepare(cx, sql, &stmt, text, ""));
    TRY(db_step(cx, sql, stmt, &found));
    if (!found)
        return FAULT_NONE;
    read_row(cx, stmt, &row);
    TRY(put_card(cx, &row, d->reply));
    if (row.try_at > d->now)
        return FAULT_NONE;
    CX_NEW(cx, d->reply->cards[0]->charged, 1); /* whose it is */
    d->reply->cards[0]->charged[0] = PB_DATA(row.issuer);
    d->reply->cards[0]->n_charged = 1;
    d->reply->request = PB_DATA(row.packed);
    TRY(db_prepare(cx, sql, &mark,
                   "UPDATE later SET try_at=?, down=? WHERE issuer=? AND request=?", "iibb",
                   d->now + ATTEMPT_MS + DOWN_LAST_MS, (int64_t)TRIED, row.issuer, row.id));
    return db_run(cx, sql, mark);
}

/* Nothing is being tried yet: a node that died amid a try goes on with it. */
static enum fault start(struct cx *cx, sqlite3 *sql, void *user)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "UPDATE later SET try_at=0, down=? WHERE state=0 AND down=?", "ii",
                   (int64_t)REFUSED, (int64_t)TRIED));
    TRY(db_run(cx, sql, stmt));
    return give_next(cx, sql, user);
}

static enum fault end(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct drawer *d = user;
    const Cohortium__LaterStore *s = d->store;
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "UPDATE later SET state=?, receipt=?, trouble=? WHERE issuer=? AND "
                   "digest=? AND state=0",
                   "ibbbb", (int64_t)(s->trouble.len > 0 ? FAILED : DONE),
                   PB_BYTES(s->receipt), PB_BYTES(s->trouble), PB_BYTES(s->issuer),
                   PB_BYTES(s->request)));
    return db_run(cx, sql, stmt);
}

static int64_t backoff_ms(int64_t tries, bool down)
{
    int64_t first = down ? DOWN_FIRST_MS : REFUSED_FIRST_MS;
    int64_t last = down ? DOWN_LAST_MS : REFUSED_LAST_MS;

    return tries > 12 || first << tries > last ? last : first << tries;
}

static enum fault again(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct drawer *d = user;
    const Cohortium__LaterStore *s = d->store;
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct row *rows;
    size_t n, i = 0;

    TRY(rows_of(cx, sql, PB_BYTES(s->issuer), &rows, &n));
    while (i < n && !bytes_equal(rows[i].digest, PB_BYTES(s->request)))
        i++;
    if (i == n)
        return FAULT_NONE; /* dropped meanwhile */
    TRY(db_prepare(cx, sql, &stmt,
                   "UPDATE later SET try_at=?, tries=?, down=?, trouble=? WHERE issuer=? "
                   "AND digest=? AND state=0",
                   "iiibbb", d->now + backoff_ms(rows[i].tries, s->soon), rows[i].tries + 1,
                   (int64_t)(s->soon ? DOWN : REFUSED), PB_BYTES(s->trouble),
                   PB_BYTES(s->issuer),
                   PB_BYTES(s->request)));
    return db_run(cx, sql, stmt);
}

/* The whole request is verified as a site would, before it is kept. */
static enum fault check_kept(struct cx *cx, struct vault *v, struct drawer *d)
{
    const Cohortium__LaterStore *s = d->store;

    TRY(request_verify(cx, v->manifest, PB_BYTES(s->request), v->self->node_id.data, d->now,
                       &d->request));
    if (!member_same(d->request.who.home, v->self))
        return cx_fail(cx, FAULT_DENIED, "%s keeps questions of its own researchers alone",
                       v->self->name);
    TRY(vault_admit(cx, v, PB_BYTES(d->request.body->credential)));
    if (!bytes_equal(PB_BYTES(s->issuer), PB_BYTES(d->request.body->stamp->issuer)))
        return cx_fail(cx, FAULT_DENIED, "this request was signed by another researcher");
    if (d->request.body->dry_run)
        return cx_fail(cx, FAULT_INVALID, "a dry run is answered at once or not at all");
    return FAULT_NONE;
}

/* Whose it is. What is next, and how it went, is asked and told by this node alone. */
static enum fault check_caller(struct cx *cx, const struct caller *who,
                               const Cohortium__LaterStore *s)
{
    static const char *const own[] = {"start", "next", "end", "again"};

    for (size_t i = 0; i < COUNT(own); i++)
        if (strcmp(own[i], s->act) == 0)
            return who->role == IPC_SELF
                       ? FAULT_NONE
                       : cx_fail(cx, FAULT_DENIED, "this is for this node alone");
    return caller_is_researcher(cx, who, PB_BYTES(s->issuer));
}

static enum fault check_store(struct cx *cx, const struct caller *who,
                              const Cohortium__LaterStore *s)
{
    bool of_all = strcmp(s->act, "next") == 0 || strcmp(s->act, "start") == 0;

    if (s->issuer.len != DIGEST_BYTES && !of_all)
        return cx_fail(cx, FAULT_FORMAT, "the drawer is asked for somebody");
    if (s->receipt.len > KEPT_RECEIPT_MAX || s->trouble.len > TROUBLE_MAX)
        return cx_fail(cx, FAULT_BOUND, "too much for the drawer");
    return check_caller(cx, who, s);
}

enum fault vault_later(struct cx *cx, struct vault *v, const struct caller *who,
                       struct bytes body, struct bytes *ret)
{
    static const struct {
        const char *act;
        db_work *work;
    } acts[] = {{"keep", keep}, {"list", list},      {"take", take},  {"drop", drop},
                {"end", end},   {"next", give_next}, {"again", again},
                {"start", start}};
    Cohortium__LaterReply reply = COHORTIUM__LATER_REPLY__INIT;
    struct drawer d = {.reply = &reply,
                       .self = PB_BYTES(v->self->node_id),
                       .now = clock_utc_ms()};
    Cohortium__LaterStore *store;
    db_work *work = NULL;

    TRY(pb_unpack(cx, &cohortium__later_store__descriptor, body, STORE_MAX, &store));
    TRY(check_store(cx, who, store));
    d.store = store;
    for (size_t i = 0; i < COUNT(acts); i++)
        if (strcmp(acts[i].act, store->act) == 0)
            work = acts[i].work;
    if (work == NULL)
        return cx_fail(cx, FAULT_INVALID, "the drawer knows no such act");
    if (work == keep)
        TRY(check_kept(cx, v, &d));
    TRY(db_write(cx, v->db, work, &d));
    return pb_pack(cx, &reply.base, ret);
}

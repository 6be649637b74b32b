/* papers_store.c - permits, policies, replay ids and answers in the database. */
#include "node/vault/papers_store.h"

#include <string.h>

/* ---- helpers ---- */

/* The first column of all rows, copied. */
static enum fault collect(struct cx *cx, sqlite3 *sql, sqlite3_stmt *stmt,
                          struct bytes **ret, size_t *ret_n)
{
    struct bytes *list = NULL;
    size_t n = 0, size = 0;
    bool row = false;

    for (;;) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            break;
        if (n == size) {
            struct bytes *more;

            size = size ? 2 * size : 16;
            CX_NEW(cx, more, size);
            if (n > 0)
                memcpy(more, list, n * sizeof *list);
            list = more;
        }
        list[n] = db_bytes(cx, stmt, 0);
        if (list[n].p == NULL)
            return cx_fail(cx, FAULT_MEMORY, "database: no memory for a list");
        n++;
    }
    *ret = list;
    *ret_n = n;
    return FAULT_NONE;
}

static enum fault count_of(struct cx *cx, sqlite3 *sql, sqlite3_stmt *stmt, uint64_t *ret)
{
    bool row = false;

    TRY(db_step(cx, sql, stmt, &row));
    *ret = row ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    return FAULT_NONE;
}

/* ---- permits ---- */

enum fault permits_find(struct cx *cx, sqlite3 *sql, const uint8_t id[16],
                        struct bytes *ret_packed)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, "SELECT packed FROM permit WHERE id=?", "b",
                   bytes_of(id, ID_BYTES)));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row)
        return cx_fail(
            cx, FAULT_MISSING,
            "this site has no permit %s; an officer adds it with `cohortiumd permit "
            "add`",
            bytes_hex(cx, id, ID_BYTES));
    *ret_packed = db_bytes(cx, stmt, 0);
    return ret_packed->p != NULL ? FAULT_NONE : FAULT_MEMORY;
}

enum fault permits_add(struct cx *cx, sqlite3 *sql, const struct permit *p)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct bytes packed = p->envelope.packed, old;
    struct permit_end end;

    TRY(permits_revoked(cx, sql, p->body->id.data, &end));
    if (end.at != 0)
        return cx_fail(
            cx, FAULT_DENIED,
            "permit \"%.64s\" was revoked here (%s) and stays so: a new permit has "
            "a new id (`cohortiumd permit new`)",
            p->body->title, end.reason);
    enum fault fault = permits_find(cx, sql, p->body->id.data, &old);

    if (fault != FAULT_NONE && fault != FAULT_MISSING)
        return fault;
    /* The same document signed by more officers keeps all signatures; another document may
     * not take its id. */
    if (fault == FAULT_NONE &&
        envelope_join(cx, ENVELOPE_PERMIT, old, p->envelope.packed, &packed) != FAULT_NONE)
        return cx_prefix(cx, "a permit with the id %s is here already: ",
                         bytes_hex(cx, p->body->id.data, ID_BYTES));
    TRY(db_prepare(cx, sql, &stmt, "INSERT OR REPLACE INTO permit(id, packed) VALUES(?,?)",
                   "bb", PB_BYTES(p->body->id), packed));
    return db_run(cx, sql, stmt);
}

enum fault permits_list(struct cx *cx, sqlite3 *sql, struct bytes **ret, size_t *ret_n)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt, "SELECT packed FROM permit ORDER BY id", ""));
    return collect(cx, sql, stmt, ret, ret_n);
}

enum fault permits_revoke(struct cx *cx, sqlite3 *sql, const uint8_t id[16],
                          const char *reason, int64_t now)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct permit_end end;

    TRY(permits_revoked(cx, sql, id, &end));
    if (end.at != 0)
        return cx_fail(cx, FAULT_CONFLICT, "permit %s is revoked already: %s",
                       bytes_hex(cx, id, ID_BYTES), end.reason);
    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT INTO permit_revocation(id, revoked_at, reason) VALUES(?,?,?)",
                   "bit", bytes_of(id, ID_BYTES), now, reason));
    return db_run(cx, sql, stmt);
}

enum fault permits_revoked(struct cx *cx, sqlite3 *sql, const uint8_t id[16],
                           struct permit_end *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    *ret = (struct permit_end){.reason = ""};
    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT revoked_at, reason FROM permit_revocation WHERE id=?", "b",
                   bytes_of(id, ID_BYTES)));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row)
        return FAULT_NONE;
    ret->at = sqlite3_column_int64(stmt, 0);
    ret->reason = cx_strdup(cx, (const char *)sqlite3_column_text(stmt, 1));
    return ret->reason != NULL ? FAULT_NONE : FAULT_MEMORY;
}

enum fault permits_charged(struct cx *cx, sqlite3 *sql, const uint8_t question[32],
                           bool *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt, "SELECT 1 FROM permit_charge WHERE question=? LIMIT 1",
                   "b", bytes_of(question, DIGEST_BYTES)));
    return db_step(cx, sql, stmt, ret);
}

enum fault permits_used(struct cx *cx, sqlite3 *sql, const uint8_t id[16], uint64_t *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt, "SELECT count(*) FROM permit_charge WHERE permit=?", "b",
                   bytes_of(id, ID_BYTES)));
    return count_of(cx, sql, stmt, ret);
}

enum fault permits_room(struct cx *cx, sqlite3 *sql, const uint8_t id[16], uint64_t budget)
{
    uint64_t used = 0;

    if (budget == 0) /* nothing to count, and counting grows with what was asked */
        return FAULT_NONE;
    TRY(permits_used(cx, sql, id, &used));
    if (used < budget)
        return FAULT_NONE;
    return cx_fail(
        cx, FAULT_REFUSED,
        "the permit's %llu questions are used up; answers given before can still "
        "be had again, for more a new permit must be signed",
        (unsigned long long)budget);
}

enum fault permits_charge(struct cx *cx, sqlite3 *sql, const uint8_t id[16],
                          uint64_t budget, const uint8_t question[32])
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool already = false;

    TRY(permits_charged(cx, sql, question, &already));
    if (already)
        return FAULT_NONE;
    TRY(permits_room(cx, sql, id, budget));
    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT INTO permit_charge(permit, question) VALUES(?,?)", "bb",
                   bytes_of(id, ID_BYTES), bytes_of(question, DIGEST_BYTES)));
    return db_run(cx, sql, stmt);
}

enum fault forms_add(struct cx *cx, sqlite3 *sql, const uint8_t form[32])
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt, "INSERT OR IGNORE INTO question_form(form) VALUES(?)",
                   "b", bytes_of(form, DIGEST_BYTES)));
    return db_run(cx, sql, stmt);
}

enum fault forms_find(struct cx *cx, sqlite3 *sql, const uint8_t form[32], bool *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt, "SELECT 1 FROM question_form WHERE form=?", "b",
                   bytes_of(form, DIGEST_BYTES)));
    return db_step(cx, sql, stmt, ret);
}

/* ---- policies ---- */

enum fault policies_add(struct cx *cx, sqlite3 *sql, struct bytes packed, uint64_t serial,
                        int64_t now)
{
    AUTO_STMT sqlite3_stmt *newest = NULL, *stmt = NULL;
    uint64_t last = 0;

    TRY(db_prepare(cx, sql, &newest, "SELECT max(serial) FROM policy", ""));
    TRY(count_of(cx, sql, newest, &last));
    if (serial <= last || serial > INT64_MAX)
        return cx_fail(
            cx, FAULT_REPLAY,
            "policy number %llu comes after number %llu; make it anew with a larger "
            "number",
            (unsigned long long)serial, (unsigned long long)last);
    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT INTO policy(serial, packed, applied_at) VALUES(?,?,?)", "ibi",
                   (int64_t)serial, packed, now));
    return db_run(cx, sql, stmt);
}

enum fault policies_current(struct cx *cx, sqlite3 *sql, struct bytes *ret_packed)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, "SELECT packed FROM policy ORDER BY serial DESC LIMIT 1",
                   ""));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row)
        return cx_fail(cx, FAULT_MISSING,
                       "no policy is in force: an officer signs one and applies it with "
                       "`cohortiumd policy apply`; until then nothing is answered");
    *ret_packed = db_bytes(cx, stmt, 0);
    return ret_packed->p != NULL ? FAULT_NONE : FAULT_MEMORY;
}

enum fault policies_list(struct cx *cx, sqlite3 *sql, struct bytes **ret, size_t *ret_n)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt, "SELECT packed FROM policy ORDER BY serial", ""));
    return collect(cx, sql, stmt, ret, ret_n);
}

/* ---- replay ids ---- */

static enum fault replay_purge(struct cx *cx, sqlite3 *sql, int64_t now)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt, "DELETE FROM replay WHERE expires_at < ?", "i",
                   now - CLOCK_SKEW_MS));
    return db_run(cx, sql, stmt);
}

enum fault replay_check(struct cx *cx, sqlite3 *sql, const uint8_t issuer[32],
                        const uint8_t request_id[16], const uint8_t digest[32],
                        bool *ret_seen)
{
    AUTO_STMT sqlite3_stmt *seen = NULL;

    TRY(db_prepare(cx, sql, &seen, "SELECT digest FROM replay WHERE issuer=? AND request=?",
                   "bb", bytes_of(issuer, DIGEST_BYTES), bytes_of(request_id, ID_BYTES)));
    TRY(db_step(cx, sql, seen, ret_seen));
    if (!*ret_seen)
        return FAULT_NONE;
    struct bytes old =
        bytes_of(sqlite3_column_blob(seen, 0), (size_t)sqlite3_column_bytes(seen, 0));

    if (bytes_equal(old, bytes_of(digest, DIGEST_BYTES)))
        return FAULT_NONE;
    return cx_fail(
        cx, FAULT_REPLAY,
        "request id %s was used by the same person for another request; ask anew",
        bytes_hex(cx, request_id, ID_BYTES));
}

enum fault replay_note(struct cx *cx, sqlite3 *sql, const uint8_t issuer[32],
                       const uint8_t request_id[16], const uint8_t digest[32],
                       uint64_t expires_at, int64_t now)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool seen = false;

    if (expires_at > INT64_MAX)
        return cx_fail(cx, FAULT_FORMAT, "a request expires after the end of time");
    TRY(replay_purge(cx, sql, now));
    TRY(replay_check(cx, sql, issuer, request_id, digest, &seen));
    if (seen)
        return FAULT_NONE;
    TRY(db_prepare(
        cx, sql, &stmt,
        "INSERT INTO replay(issuer, request, digest, expires_at) VALUES(?,?,?,?)", "bbbi",
        bytes_of(issuer, DIGEST_BYTES), bytes_of(request_id, ID_BYTES),
        bytes_of(digest, DIGEST_BYTES), (int64_t)expires_at));
    return db_run(cx, sql, stmt);
}

/* ---- answers ---- */

/* A question that ran again because some vault had lost its answer replaces the old one at
 * all of them, so that all go on holding the same bytes. */
enum fault answers_add(struct cx *cx, sqlite3 *sql, const uint8_t question[32],
                       const struct answer_row *row, int64_t now)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT OR REPLACE INTO answer(question, release, transcript, made_at)"
                   " VALUES(?,?,?,?)",
                   "bbbi", bytes_of(question, DIGEST_BYTES), row->release, row->transcript,
                   now));
    return db_run(cx, sql, stmt);
}

enum fault answers_find(struct cx *cx, sqlite3 *sql, const uint8_t question[32],
                        struct answer_row *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct answer_row found;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT release, transcript FROM answer WHERE question=?", "b",
                   bytes_of(question, DIGEST_BYTES)));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row)
        return cx_fail(cx, FAULT_MISSING, "this question has not been answered here");
    found.release = db_bytes(cx, stmt, 0);
    found.transcript = db_bytes(cx, stmt, 1);
    if (found.release.p == NULL)
        return cx_fail(cx, FAULT_MEMORY, "database: no memory for an answer");
    *ret = found;
    return FAULT_NONE;
}

/* review_store.c - the table of answers that wait for an officer, and what became of them.
 */
#include <string.h>

#include "node/vault/review.h"

static const char columns[] =
    "SELECT question, digest, state, multiple, words, details, may_round, permit, who,"
    " held_at, reason, officer, body FROM review ";

static enum fault take_digest(struct cx *cx, sqlite3_stmt *stmt, int column,
                              uint8_t ret[DIGEST_BYTES])
{
    struct bytes b = db_bytes(cx, stmt, column);

    if (b.n != DIGEST_BYTES)
        return cx_fail(cx, FAULT_STORAGE, "database: a review names no answer");
    memcpy(ret, b.p, DIGEST_BYTES);
    return FAULT_NONE;
}

static enum fault take_text(struct cx *cx, sqlite3_stmt *stmt, int column, const char **ret)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);

    *ret = cx_strdup(cx, text != NULL ? text : "");
    return *ret != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault read_row(struct cx *cx, sqlite3_stmt *stmt, bool whole,
                           struct review_row *r)
{
    *r = (struct review_row){
        .state = (enum review_state)sqlite3_column_int(stmt, 2),
        .multiple = (uint32_t)sqlite3_column_int64(stmt, 3),
        .may_round = sqlite3_column_int(stmt, 6) != 0,
        .permit = db_bytes(cx, stmt, 7),
        .who = db_bytes(cx, stmt, 8),
        .held_at = sqlite3_column_int64(stmt, 9),
    };
    TRY(take_digest(cx, stmt, 0, r->question));
    TRY(take_digest(cx, stmt, 1, r->digest));
    TRY(take_text(cx, stmt, 4, &r->words));
    TRY(take_text(cx, stmt, 5, &r->details));
    TRY(take_text(cx, stmt, 10, &r->reason));
    TRY(take_text(cx, stmt, 11, &r->by));
    if (whole)
        r->body = db_bytes(cx, stmt, 12);
    return r->state <= REVIEW_REFUSED
               ? FAULT_NONE
               : cx_fail(cx, FAULT_STORAGE, "database: a review in no known state");
}

enum fault reviews_find(struct cx *cx, sqlite3 *sql, const uint8_t question[DIGEST_BYTES],
                        struct review_row *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    const char *text = cx_printf(cx, "%sWHERE question=?", columns);
    bool row = false;

    if (text == NULL)
        return FAULT_MEMORY;
    TRY(db_prepare(cx, sql, &stmt, text, "b", bytes_of(question, DIGEST_BYTES)));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row)
        return cx_fail(cx, FAULT_MISSING, "no answer to this question waits here");
    return read_row(cx, stmt, true, ret);
}

static enum fault count(struct cx *cx, sqlite3 *sql, const char *text, uint64_t *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, text, ""));
    TRY(db_step(cx, sql, stmt, &row));
    *ret = row ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    return FAULT_NONE;
}

enum fault reviews_waiting(struct cx *cx, sqlite3 *sql, uint64_t *ret)
{
    return count(cx, sql, "SELECT count(*) FROM review WHERE state=0", ret);
}

enum fault reviews_list(struct cx *cx, sqlite3 *sql, struct review_row **ret, size_t *ret_n)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    const char *text = cx_printf(cx, "%sORDER BY held_at, question LIMIT ?", columns);
    uint64_t most;
    bool row = false;

    if (text == NULL)
        return FAULT_MEMORY;
    TRY(count(cx, sql, "SELECT count(*) FROM review", &most));
    CX_NEW(cx, *ret, (size_t)most);
    *ret_n = 0;
    TRY(db_prepare(cx, sql, &stmt, text, "i", (int64_t)most));
    TRY(db_step(cx, sql, stmt, &row));
    while (row && *ret_n < most) {
        TRY(read_row(cx, stmt, false, &(*ret)[*ret_n]));
        ++*ret_n;
        TRY(db_step(cx, sql, stmt, &row));
    }
    return FAULT_NONE;
}

enum fault reviews_hold(struct cx *cx, sqlite3 *sql, const struct review_row *r)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    uint64_t waiting;

    TRY(reviews_waiting(cx, sql, &waiting));
    if (waiting >= REVIEWS_WAITING_MAX)
        return cx_fail(cx, FAULT_CONFLICT,
                       "%d answers wait for an officer here already; ask again when some "
                       "are decided",
                       REVIEWS_WAITING_MAX);
    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT OR REPLACE INTO review(question, digest, state, multiple, body,"
                   " words, details, may_round, permit, who, held_at)"
                   " VALUES(?,?,0,0,?,?,?,?,?,?,?)",
                   "bbbttibbi", bytes_of(r->question, DIGEST_BYTES),
                   bytes_of(r->digest, DIGEST_BYTES), r->body, r->words, r->details,
                   (int64_t)r->may_round, r->permit, r->who, r->held_at));
    return db_run(cx, sql, stmt);
}

enum fault reviews_decide(struct cx *cx, sqlite3 *sql, const struct review *review,
                          int64_t now)
{
    static const enum review_state states[REVIEW_DECISIONS] = {
        [REVIEW_ACCEPT] = REVIEW_ACCEPTED,
        [REVIEW_ROUND] = REVIEW_ROUNDED,
        [REVIEW_REFUSE] = REVIEW_REFUSED};
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "UPDATE review SET state=?, multiple=?, reason=?, officer=?, paper=?,"
                   " decided_at=?, body=x'' WHERE question=? AND digest=? AND state=0",
                   "iittbibb", (int64_t)states[review->decision],
                   (int64_t)review->body->multiple, review->body->reason, review->by,
                   review->envelope.packed, now, PB_BYTES(review->body->question),
                   PB_BYTES(review->body->release)));
    return db_run(cx, sql, stmt);
}

/*
 * zcdp_budget.c - what noised answers have cost: by namespace of patients, permit and
 * researcher.
 *
 * rho of zero-concentrated differential privacy adds up over whatever was asked, by whom
 * ever, one question after the other with the answers in view. It is kept as a whole number
 * of 2^-32ths, so nothing is lost by adding. A row is durable before the first vector of
 * its question leaves and is never taken back, whatever became of the session.
 */
#include "node/vault/zcdp.h"

#include <inttypes.h>

#include "node/vault/db.h"
#include "protocol/base/clock.h"

enum { ID = 16, DIGEST = 32, QUESTION = -1 };

static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* Rows of thousandths of a policy's range: their sum stays far below 2^63, and SQLite's sum
 * of integers fails rather than rounds. */
static enum fault sum(struct cx *cx, sqlite3 *sql, sqlite3_stmt *stmt, uint64_t *ret)
{
    bool row = false;

    TRY(db_step(cx, sql, stmt, &row));
    int64_t n = row ? sqlite3_column_int64(stmt, 0) : 0;

    if (n < 0)
        return cx_fail(cx, FAULT_STORAGE,
                       "the ledger of noise budgets holds a number below zero: the "
                       "database is damaged; restore it from a backup");
    *ret = (uint64_t)n;
    return FAULT_NONE;
}

enum fault zcdp_spent(struct cx *cx, sqlite3 *sql, const struct zcdp_payer *payer,
                      struct zcdp_spent *ret)
{
    AUTO_STMT sqlite3_stmt *all = NULL, *permit = NULL, *researcher = NULL, *own = NULL;

    TRY(db_prepare(cx, sql, &all, "SELECT sum(rho) FROM noise_spent WHERE namespace=?", "t",
                   payer->name_space));
    TRY(sum(cx, sql, all, &ret->dataset));
    TRY(db_prepare(cx, sql, &permit, "SELECT sum(rho) FROM noise_spent WHERE permit=?", "b",
                   bytes_of(payer->permit, ID)));
    TRY(sum(cx, sql, permit, &ret->permit));
    TRY(db_prepare(cx, sql, &researcher,
                   "SELECT sum(rho) FROM noise_spent WHERE researcher=?", "b",
                   bytes_of(payer->researcher, DIGEST)));
    TRY(sum(cx, sql, researcher, &ret->researcher));
    TRY(db_prepare(cx, sql, &own,
                   "SELECT sum(rho) FROM noise_spent WHERE namespace=? AND researcher=?",
                   "tb", payer->name_space, bytes_of(payer->researcher, DIGEST)));
    return sum(cx, sql, own, &ret->own);
}

const char *zcdp_text(struct cx *cx, uint64_t rho, bool up)
{
    enum { PLACES = 10000 };
    zcdp_wide n = (zcdp_wide)rho * PLACES + (up ? ZCDP_ONE - 1 : 0);
    uint64_t parts = (uint64_t)(n / ZCDP_ONE);
    const char *text =
        cx_printf(cx, "%" PRIu64 ".%04u", parts / PLACES, (unsigned)(parts % PLACES));

    return text != NULL ? text : "?";
}

enum fault zcdp_room(struct cx *cx, sqlite3 *sql, const struct zcdp_payer *payer,
                     const struct zcdp_limits *limits, uint64_t rho)
{
    struct zcdp_spent spent = {0};

    TRY(zcdp_spent(cx, sql, payer, &spent));
    const struct {
        const char *whose, *field, *remedy;
        uint64_t spent, limit;
    } list[] = {
        {"all questions about these patients", "rho_total",
         "an officer can raise it, which two must sign", spent.dataset, limits->dataset},
        {"this permit", "rho_per_project", "a new permit has a budget of its own",
         spent.permit, limits->permit},
        {"this researcher", "rho_per_researcher", "an officer can raise it",
         spent.researcher, limits->researcher},
    };

    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (plus(list[i].spent, rho) > list[i].limit)
            return cx_fail(
                cx, FAULT_REFUSED,
                "the privacy budget of %s is used up: %s is %s, %s is spent and this "
                "question costs %s; answers given before can still be had again, and %s",
                list[i].whose, list[i].field, zcdp_text(cx, list[i].limit, false),
                zcdp_text(cx, list[i].spent, true), zcdp_text(cx, rho, true),
                list[i].remedy);
    return FAULT_NONE;
}

static enum fault write_row(struct cx *cx, sqlite3 *sql, const struct zcdp_payer *payer,
                            const uint8_t question[DIGEST], int64_t round,
                            struct bytes draw, uint64_t rho)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT INTO noise_spent(question, round, draw, namespace, permit,"
                   " researcher, rho, at) VALUES(?,?,?,?,?,?,?,?)",
                   "bibtbbii", bytes_of(question, DIGEST), round, draw, payer->name_space,
                   bytes_of(payer->permit, ID), bytes_of(payer->researcher, DIGEST),
                   (int64_t)rho, clock_utc_ms()));
    return db_run(cx, sql, stmt);
}

/* Of this question and round: any draw, and this one. */
static enum fault find(struct cx *cx, sqlite3 *sql, const uint8_t question[DIGEST],
                       int64_t round, struct bytes draw, bool *ret_any, bool *ret_same)
{
    AUTO_STMT sqlite3_stmt *any = NULL, *same = NULL;

    TRY(db_prepare(cx, sql, &any,
                   "SELECT 1 FROM noise_spent WHERE question=? AND round=? LIMIT 1", "bi",
                   bytes_of(question, DIGEST), round));
    TRY(db_step(cx, sql, any, ret_any));
    TRY(db_prepare(cx, sql, &same,
                   "SELECT 1 FROM noise_spent WHERE question=? AND round=? AND draw=?",
                   "bib", bytes_of(question, DIGEST), round, draw));
    return db_step(cx, sql, same, ret_same);
}

enum fault zcdp_charge(struct cx *cx, sqlite3 *sql, const struct zcdp_payer *payer,
                       const struct zcdp_limits *limits, const uint8_t question[32])
{
    bool any = false, same = false;

    if (limits->rho == 0)
        return FAULT_NONE;
    TRY(find(cx, sql, question, QUESTION, (struct bytes){0}, &any, &same));
    if (any)
        return FAULT_NONE;
    TRY(zcdp_room(cx, sql, payer, limits, limits->rho));
    return write_row(cx, sql, payer, question, QUESTION, (struct bytes){0}, limits->rho);
}

enum fault zcdp_draw(struct cx *cx, sqlite3 *sql, const struct zcdp_payer *payer,
                     const struct zcdp_limits *limits, const uint8_t question[32],
                     uint32_t round, const uint8_t draw[32], uint64_t rho)
{
    struct bytes name = bytes_of(draw, DIGEST);
    bool any = false, same = false, charged = false, whole = false;

    TRY(find(cx, sql, question, QUESTION, (struct bytes){0}, &charged, &whole));
    if (!charged)
        return cx_fail(cx, FAULT_INTERNAL, "noise: a draw of a question without a charge");
    TRY(find(cx, sql, question, round, name, &any, &same));
    if (same)
        return FAULT_NONE;
    if (any)
        TRY(zcdp_room(cx, sql, payer, limits, rho));
    return write_row(cx, sql, payer, question, round, name, any ? rho : 0);
}

/* ---- for people ---- */

static const char *line_query(enum zcdp_by by)
{
    switch (by) {
    case ZCDP_BY_PERMIT:
        return "SELECT lower(hex(permit)), sum(rho), sum(round=-1) FROM noise_spent"
               " GROUP BY permit ORDER BY 2 DESC, 1 LIMIT ?";
    case ZCDP_BY_RESEARCHER:
        return "SELECT lower(hex(researcher)), sum(rho), sum(round=-1) FROM noise_spent"
               " GROUP BY researcher ORDER BY 2 DESC, 1 LIMIT ?";
    default:
        return "SELECT namespace, sum(rho), sum(round=-1) FROM noise_spent"
               " GROUP BY namespace ORDER BY 2 DESC, 1 LIMIT ?";
    }
}

enum fault zcdp_lines(struct cx *cx, sqlite3 *sql, enum zcdp_by by, size_t max,
                      struct zcdp_line **ret, size_t *ret_n)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct zcdp_line *list;
    size_t n = 0;
    bool row = false;

    CX_NEW(cx, list, max);
    TRY(db_prepare(cx, sql, &stmt, line_query(by), "i", (int64_t)max));
    TRY(db_step(cx, sql, stmt, &row));
    while (row && n < max) {
        struct bytes who = db_bytes(cx, stmt, 0);
        size_t length = who.n < sizeof list->who - 1 ? who.n : sizeof list->who - 1;

        if (who.p == NULL)
            return FAULT_MEMORY;
        for (size_t i = 0; i < length; i++)
            list[n].who[i] = (char)who.p[i];
        list[n].rho = (uint64_t)sqlite3_column_int64(stmt, 1);
        list[n++].questions = (uint64_t)sqlite3_column_int64(stmt, 2);
        TRY(db_step(cx, sql, stmt, &row));
    }
    *ret = list;
    *ret_n = n;
    return FAULT_NONE;
}

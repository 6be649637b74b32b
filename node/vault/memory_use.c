/* memory_use.c - how much is held, for whom: read from the database alone, never who. */
#include "node/vault/memory_private.h"

#include <string.h>

enum { NAMES_FIRST = 16 };

/* ---- which datasets ---- */

static enum fault add_name(struct cx *cx, struct memory_name *one,
                           struct memory_name **list, size_t *n, size_t *room)
{
    if (*n == *room) {
        size_t more = *room > 0 ? 2 * *room : NAMES_FIRST;
        struct memory_name *grown;

        CX_NEW(cx, grown, more);
        if (*n > 0)
            memcpy(grown, *list, *n * sizeof *grown);
        *list = grown;
        *room = more;
    }
    (*list)[(*n)++] = *one;
    return FAULT_NONE;
}

static const char *text_at(struct cx *cx, sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);

    return cx_strdup(cx, text != NULL ? text : "");
}

enum fault memory_names(struct cx *cx, sqlite3 *sql, struct memory_name **ret,
                        size_t *ret_n)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    size_t room = 0;
    bool row = false;

    *ret = NULL;
    *ret_n = 0;
    TRY(db_prepare(
        cx, sql, &stmt,
        "SELECT namespace, dataset FROM memory_circle ORDER BY dataset, namespace", ""));
    for (;;) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            return FAULT_NONE;
        struct memory_name one = {text_at(cx, stmt, 0), text_at(cx, stmt, 1)};

        if (one.name_space == NULL || one.dataset == NULL)
            return FAULT_MEMORY;
        TRY(add_name(cx, &one, ret, ret_n, &room));
    }
}

/* ---- of one ---- */

static enum fault read_circle(struct cx *cx, sqlite3 *sql, const struct memory_name *name,
                              struct memory_use *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT members, length(people) FROM memory_circle"
                   " WHERE namespace=? AND dataset=?",
                   "tt", name->name_space, name->dataset));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row)
        return FAULT_NONE;
    ret->n_members = (size_t)sqlite3_column_bytes(stmt, 0) / sizeof *ret->members;
    if (ret->n_members > 0) {
        CX_NEW(cx, ret->members, ret->n_members);
        memcpy(ret->members, sqlite3_column_blob(stmt, 0),
               ret->n_members * sizeof *ret->members);
    }
    ret->people =
        (uint64_t)sqlite3_column_int64(stmt, 1) / sizeof((struct person *)0)->hash;
    return FAULT_NONE;
}

static enum fault read_shares(struct cx *cx, sqlite3 *sql, const struct memory_name *name,
                              struct memory_use *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    /* Every permit has a column or more. */
    CX_NEW(cx, ret->shares, LEVERAGE_RANK_MAX);
    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT p.permit, count(*) FROM memory m LEFT JOIN memory_permit p"
                   " ON p.namespace=m.namespace AND p.dataset=m.dataset AND p.place=m.place"
                   " WHERE m.namespace=? AND m.dataset=?"
                   " GROUP BY p.permit ORDER BY count(*) DESC, p.permit",
                   "tt", name->name_space, name->dataset));
    for (;;) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            return FAULT_NONE;
        struct memory_share *share = &ret->shares[ret->n_shares];

        share->columns = (uint64_t)sqlite3_column_int64(stmt, 1);
        if (ret->n_shares + 1 == LEVERAGE_RANK_MAX || share->columns > LEVERAGE_RANK_MAX)
            return cx_fail(cx, FAULT_STORAGE, "memory of %s: it holds too much",
                           name->dataset);
        share->known = sqlite3_column_bytes(stmt, 0) == (int)sizeof share->permit;
        if (share->known)
            memcpy(share->permit, sqlite3_column_blob(stmt, 0), sizeof share->permit);
        ret->columns += share->columns;
        ret->n_shares++;
    }
}

/* A set's product with itself is its size; the last of its row's products. */
static enum fault read_largest(struct cx *cx, sqlite3 *sql, const struct memory_name *name,
                               struct memory_use *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT substr(products, -8) FROM memory"
                   " WHERE namespace=? AND dataset=? AND is_set=1",
                   "tt", name->name_space, name->dataset));
    for (;;) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            return FAULT_NONE;
        const uint8_t *p = sqlite3_column_blob(stmt, 0);
        uint64_t size = 0;

        for (size_t k = 0; sqlite3_column_bytes(stmt, 0) == 8 && k < 8; k++)
            size |= (uint64_t)p[k] << (8 * k);
        if (size > ret->largest)
            ret->largest = size;
    }
}

enum fault memory_use(struct cx *cx, sqlite3 *sql, const struct memory_name *name,
                      struct memory_use *ret)
{
    *ret = (struct memory_use){0};
    TRY(read_circle(cx, sql, name, ret));
    TRY(read_shares(cx, sql, name, ret));
    return read_largest(cx, sql, name, ret);
}

/* Two digits: the exact number is the other sites', too. */
uint64_t memory_about(uint64_t patients)
{
    uint64_t unit = 1;

    while (patients / unit >= 100)
        unit *= 10;
    return patients / unit * unit;
}

/*
 * The leverages of all patients add up to the number of columns, and each is at most
 * `limit`: so many columns fit, of which the arithmetic bears LEVERAGE_RANK_MAX.
 */
uint64_t memory_capacity(uint64_t patients, double limit)
{
    double fit = limit * (double)patients;

    if (!(fit < LEVERAGE_RANK_MAX))
        return LEVERAGE_RANK_MAX;
    return fit > 0 ? (uint64_t)fit : 0;
}

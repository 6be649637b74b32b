/*
 * memory_store.c - the memory in the database: read at its first use, written by entries.
 *
 * A head hashes the pooled products of the columns, which are the same at every site of a
 * circle; the columns themselves are this site's own.
 */
#include "node/vault/memory_private.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const char LABEL[] = "cohortium/memory/1";

static enum fault damaged(struct cx *cx, const struct memory *m, const char *what)
{
    return cx_fail(cx, FAULT_STORAGE,
                   "memory of %s: %s; restore the node's folder from a backup", m->dataset,
                   what);
}

void memory_chain(const uint8_t before[32], const uint64_t *products, size_t n,
                  uint8_t ret[32])
{
    crypto_hash_sha256_state h;

    (void)crypto_hash_sha256_init(&h);
    (void)crypto_hash_sha256_update(&h, (const uint8_t *)LABEL, sizeof LABEL);
    (void)crypto_hash_sha256_update(&h, before, 32);
    for (size_t i = 0; i < n; i++) {
        uint8_t word[8];

        for (size_t k = 0; k < sizeof word; k++)
            word[k] = (uint8_t)(products[i] >> (8 * k));
        (void)crypto_hash_sha256_update(&h, word, sizeof word);
    }
    (void)crypto_hash_sha256_final(&h, ret);
}

/* ---- packed ---- */

enum fault memory_pack_products(struct cx *cx, const uint64_t *products, size_t n,
                                struct bytes *ret)
{
    struct buffer b = buffer_new(cx, LEVERAGE_RANK_MAX * 8 + 8);

    for (size_t i = 0; i < n; i++)
        buffer_u64(&b, products[i]);
    *ret = bytes_of(b.p, b.n);
    return b.fault;
}

enum fault memory_pack_column(struct cx *cx, struct leverage_column c, uint64_t patients,
                              struct bytes *ret)
{
    struct buffer b = buffer_new(cx, MEMORY_COLUMN_BYTES_MAX);

    for (uint64_t i = 0; c.set != NULL && i < (patients + 63) / 64; i++)
        buffer_u64(&b, c.set[i]);
    for (uint64_t i = 0; c.set == NULL && i < patients; i++) {
        uint8_t two[2] = {(uint8_t)c.values[i], (uint8_t)(c.values[i] >> 8)};

        buffer_put(&b, two, sizeof two);
    }
    *ret = bytes_of(b.p, b.n);
    return b.fault;
}

static uint64_t word_at(const uint8_t *p, size_t bytes)
{
    uint64_t word = 0;

    for (size_t k = 0; k < bytes; k++)
        word |= (uint64_t)p[k] << (8 * k);
    return word;
}

/* ---- circle and people ---- */

static enum fault take_people(struct cx *cx, struct memory *m, const uint8_t *p, size_t n)
{
    if (n % sizeof m->people->hash != 0 || n / sizeof m->people->hash > UINT32_MAX)
        return damaged(cx, m, "its list of patients is cut");
    n /= sizeof m->people->hash;
    m->people = calloc(n + 1, sizeof *m->people);
    if (m->people == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for the ledger's patients");
    for (size_t i = 0; i < n; i++) {
        memcpy(m->people[i].hash, p + i * sizeof m->people->hash, sizeof m->people->hash);
        m->people[i].place = (uint32_t)i;
    }
    m->people_n = m->people_stored = n;
    m->people_room = n + 1;
    return FAULT_NONE;
}

static enum fault read_circle(struct cx *cx, sqlite3 *sql, struct memory *m)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT members, confirmed, people FROM memory_circle"
                   " WHERE namespace=? AND dataset=?",
                   "tt", m->name_space, m->dataset));
    TRY(db_step(cx, sql, stmt, &row));
    if (!row)
        return FAULT_NONE;
    size_t n = (size_t)sqlite3_column_bytes(stmt, 0);
    int64_t confirmed = sqlite3_column_int64(stmt, 1);

    if (n % 32 != 0 || (n > 0 && n < (size_t)CIRCLE_MIN * 32) || confirmed < 0)
        return damaged(cx, m, "its circle cannot be read");
    m->members = calloc(n / 32 + 1, sizeof *m->members);
    if (m->members == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for the ledger");
    if (n > 0)
        memcpy(m->members, sqlite3_column_blob(stmt, 0), n);
    m->n_members = n / 32;
    m->alone = n == 0;
    m->settled = true;
    m->confirmed = (uint64_t)confirmed;
    return take_people(cx, m, sqlite3_column_blob(stmt, 2),
                       (size_t)sqlite3_column_bytes(stmt, 2));
}

/* ---- heads and columns ---- */

/* Which is at this place, or false where there is none. */
static enum fault next_row(struct cx *cx, sqlite3 *sql, struct memory *m,
                           sqlite3_stmt *stmt, uint64_t place, bool *ret)
{
    TRY(db_step(cx, sql, stmt, ret));
    if (!*ret)
        return FAULT_NONE;
    if ((uint64_t)sqlite3_column_int64(stmt, 0) != place || place == LEVERAGE_RANK_MAX ||
        sqlite3_column_bytes(stmt, 1) != 32)
        return damaged(cx, m, "a column is missing");
    return FAULT_NONE;
}

static enum fault read_heads(struct cx *cx, sqlite3 *sql, struct memory *m)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = true;

    m->heads = calloc(LEVERAGE_RANK_MAX + 1, sizeof *m->heads);
    if (m->heads == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for the ledger");
    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT place, head FROM memory WHERE namespace=? AND dataset=?"
                   " ORDER BY place",
                   "tt", m->name_space, m->dataset));
    for (m->stored = 0; row; m->stored += row) {
        TRY(next_row(cx, sql, m, stmt, m->stored, &row));
        if (row)
            memcpy(m->heads[m->stored + 1], sqlite3_column_blob(stmt, 1), 32);
    }
    return m->confirmed <= m->stored ? FAULT_NONE : damaged(cx, m, "a column is missing");
}

enum fault memory_read(struct cx *cx, sqlite3 *sql, struct memory *m)
{
    TRY(read_circle(cx, sql, m));
    return read_heads(cx, sql, m);
}

/* Shorter than now: the patients since were in none of it. */
static enum fault open_column(struct cx *cx, const struct memory *m, sqlite3_stmt *stmt,
                              struct leverage_column *ret)
{
    const uint8_t *p = sqlite3_column_blob(stmt, 3);
    size_t n = (size_t)sqlite3_column_bytes(stmt, 3);
    size_t words = (size_t)((m->people_n + 63) / 64);
    uint16_t *values;
    uint64_t *set;

    *ret = (struct leverage_column){0};
    if (sqlite3_column_int64(stmt, 2) != 0) {
        if (n % 8 != 0 || n / 8 > words)
            return damaged(cx, m, "a set of patients is longer than they are many");
        CX_NEW(cx, set, words);
        for (size_t i = 0; i < n / 8; i++)
            set[i] = word_at(p + i * 8, 8);
        ret->set = set;
        return FAULT_NONE;
    }
    if (n % 2 != 0 || n / 2 > m->people_n)
        return damaged(cx, m, "it has values of more patients than there are");
    CX_NEW(cx, values, (size_t)m->people_n);
    for (size_t i = 0; i < n / 2; i++)
        values[i] = (uint16_t)word_at(p + i * 2, 2);
    ret->values = values;
    return FAULT_NONE;
}

static enum fault open_products(struct cx *cx, const struct memory *m, sqlite3_stmt *stmt,
                                uint64_t place, uint64_t *products)
{
    const uint8_t *p = sqlite3_column_blob(stmt, 4);
    uint8_t head[32];

    if ((uint64_t)sqlite3_column_bytes(stmt, 4) != 8 * (place + 1))
        return damaged(cx, m, "products of a column are missing");
    for (uint64_t k = 0; k <= place; k++)
        products[k] = word_at(p + k * 8, 8);
    memory_chain(m->heads[place], products, (size_t)place + 1, head);
    return memcmp(head, m->heads[place + 1], 32) == 0
               ? FAULT_NONE
               : damaged(cx, m, "products of a column were changed");
}

enum fault memory_read_columns(struct cx *cx, sqlite3 *sql, struct memory *m, uint64_t n)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct leverage_column *columns;
    uint64_t *products;
    bool *take, *basis, row;

    CX_NEW(cx, columns, (size_t)n);
    CX_NEW(cx, products, (size_t)(n * (n + 1) / 2));
    CX_NEW(cx, take, (size_t)n);
    CX_NEW(cx, basis, (size_t)n);
    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT m.place, m.head, m.is_set, m.column, m.products, x.meaning"
                   " FROM memory m LEFT JOIN memory_meaning x USING(namespace, dataset, place)"
                   " WHERE m.namespace=? AND m.dataset=? ORDER BY m.place",
                   "tt", m->name_space, m->dataset));
    for (uint64_t i = 0; i < n; i++) {
        TRY(next_row(cx, sql, m, stmt, i, &row));
        if (!row)
            return damaged(cx, m, "a column is missing");
        TRY(open_column(cx, m, stmt, &columns[i]));
        TRY(open_products(cx, m, stmt, i, products + i * (i + 1) / 2));
        TRY(memory_keep_meaning(cx, m, (size_t)i,
                                bytes_of(sqlite3_column_blob(stmt, 5),
                                         (size_t)sqlite3_column_bytes(stmt, 5))));
        take[i] = true;
    }
    TRY(leverage_add(cx, m->l, columns, (size_t)n, products, take, basis));
    for (uint64_t i = 0; i < n; i++)
        if (!basis[i])
            return damaged(cx, m, "a column follows from those before it");
    return FAULT_NONE;
}

/* ---- written ---- */

static enum fault write_circle(struct cx *cx, sqlite3 *sql, const struct memory_entry *e)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct memory *m = e->memory;
    struct buffer people = buffer_new(cx, MEMORY_COLUMN_BYTES_MAX);
    struct bytes members = {0};

    if (e->n_members > 0)
        members = bytes_of(e->members, e->n_members * sizeof *e->members);
    TRY(db_prepare(
        cx, sql, &stmt,
        "INSERT INTO memory_circle(namespace, dataset, members, confirmed, people)"
        " VALUES(?,?,?,?,x'') ON CONFLICT(namespace, dataset) DO UPDATE"
        " SET members=excluded.members, confirmed=excluded.confirmed",
        "ttbi", m->name_space, m->dataset, members, (int64_t)e->before));
    TRY(db_run(cx, sql, stmt));
    if (m->people_stored == m->people_n)
        return FAULT_NONE;
    AUTO_STMT sqlite3_stmt *more = NULL;

    for (uint64_t i = 0; i < m->people_n; i++)
        buffer_put(&people, m->people[i].hash, sizeof m->people[i].hash);
    TRY(people.fault);
    TRY(db_prepare(cx, sql, &more,
                   "UPDATE memory_circle SET people=? WHERE namespace=? AND dataset=?",
                   "btt", bytes_of(people.p, people.n), m->name_space, m->dataset));
    return db_run(cx, sql, more);
}

static enum fault write_column(struct cx *cx, sqlite3 *sql, const struct memory_entry *e,
                               size_t place)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    const struct memory *m = e->memory;
    struct leverage_column c = leverage_at(m->l, place);
    struct bytes column, products;

    TRY(memory_pack_column(cx, c, leverage_patients(m->l), &column));
    TRY(memory_pack_products(cx, leverage_gram(m->l, place), place + 1, &products));
    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT INTO memory(namespace, dataset, place, is_set, column, products,"
                   " head) VALUES(?,?,?,?,?,?,?)",
                   "ttiibbb", m->name_space, m->dataset, (int64_t)place,
                   (int64_t)(c.set != NULL), column, products,
                   bytes_of(e->heads[place - e->before], 32)));
    return db_run(cx, sql, stmt);
}

/* Whose question brought it, beside it: what is judged knows of no permit. */
static enum fault write_permit(struct cx *cx, sqlite3 *sql, const struct memory_entry *e,
                               size_t place)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT INTO memory_permit(namespace, dataset, place, permit)"
                   " VALUES(?,?,?,?)",
                   "ttib", e->memory->name_space, e->memory->dataset, (int64_t)place,
                   e->permit));
    return db_run(cx, sql, stmt);
}

static enum fault cut(struct cx *cx, sqlite3 *sql, const struct memory_entry *e,
                      const char *statement)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt, statement, "tti", e->memory->name_space,
                   e->memory->dataset, (int64_t)e->before));
    return db_run(cx, sql, stmt);
}

static enum fault write_meaning(struct cx *cx, sqlite3 *sql, const struct memory_entry *e,
                                size_t place)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    const struct meaning *meaning = &e->memory->meanings[place];

    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT INTO memory_meaning(namespace, dataset, place, meaning)"
                   " VALUES(?,?,?,?)",
                   "ttib", e->memory->name_space, e->memory->dataset, (int64_t)place,
                   bytes_of(meaning->p, meaning->n)));
    return db_run(cx, sql, stmt);
}

enum fault memory_write(struct cx *cx, sqlite3 *sql, const struct memory_entry *e)
{
    const struct memory *m = e->memory;

    if (!e->changes)
        return FAULT_NONE;
    TRY(write_circle(cx, sql, e));
    /* What not every site of the circle has written was never seen. */
    TRY(cut(cx, sql, e, "DELETE FROM memory WHERE namespace=? AND dataset=? AND place>=?"));
    TRY(cut(cx, sql, e,
            "DELETE FROM memory_permit WHERE namespace=? AND dataset=? AND place>=?"));
    TRY(cut(cx, sql, e,
            "DELETE FROM memory_meaning WHERE namespace=? AND dataset=? AND place>=?"));
    for (size_t i = e->before; i < leverage_rank(m->l); i++) {
        TRY(write_column(cx, sql, e, i));
        TRY(write_meaning(cx, sql, e, i));
        if (e->permit.n > 0)
            TRY(write_permit(cx, sql, e, i));
    }
    return FAULT_NONE;
}

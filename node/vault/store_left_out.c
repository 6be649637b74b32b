/*
 * store_left_out.c - patients who withdrew.
 *
 * They are left out where a version is opened, by their hashes, so that this holds for every
 * file they are in, old or to come, and no file has to be written for it. A version keeps its
 * id meanwhile: answers from before are given again as they were, and what is asked anew is
 * judged beside them by the ledger. When enough have changed, store_cut makes a new version.
 */
#include <stdlib.h>
#include <string.h>

#include "node/vault/store_private.h"

/* ---- who ---- */

struct list {
    const char *name_space;
    int64_t after; /* withdrew later than this */
    uint8_t (*hashes)[16];
    size_t n, room;
};

static enum fault put_hash(struct cx *cx, struct list *l, const void *hash, size_t n)
{
    if (n != sizeof *l->hashes)
        return cx_fail(cx, FAULT_STORAGE,
                       "the list of who withdrew is damaged; restore the node's folder from a "
                       "backup");
    if (l->n == l->room) {
        uint8_t(*grown)[16];

        l->room = l->room * 2 + 64;
        CX_NEW(cx, grown, l->room);
        if (l->n > 0)
            memcpy(grown, l->hashes, l->n * sizeof *grown);
        l->hashes = grown;
    }
    memcpy(l->hashes[l->n++], hash, sizeof *l->hashes);
    return FAULT_NONE;
}

static enum fault read_list(struct cx *cx, sqlite3 *sql, void *user)
{
    struct list *l = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = true;

    l->n = 0;
    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT hash FROM left_out WHERE namespace = ? AND at > ? ORDER BY hash",
                   "ti", l->name_space, l->after));
    for (;;) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            return FAULT_NONE;
        TRY(put_hash(cx, l, sqlite3_column_blob(stmt, 0),
                     (size_t)sqlite3_column_bytes(stmt, 0)));
    }
}

enum fault store_tell_left_out(struct cx *cx, struct store *s, struct dataset *d)
{
    struct list l = {.name_space = codebook_namespace(d->cb), .after = -1};

    TRY(db_read(cx, s->db, read_list, &l));
    return dataset_leave_out(cx, d, (const uint8_t(*)[16])l.hashes, l.n);
}

/* ---- leaving out ---- */

struct leaving {
    const char *name_space;
    const uint8_t (*hashes)[16];
    size_t n;
    db_work *work;
    void *user;
};

static enum fault write_leaving(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct leaving *w = user;
    int64_t at;

    TRY(store_next_stamp(cx, sql, "SELECT max(imported_at) FROM dataset_version", &at));
    for (size_t i = 0; i < w->n; i++) {
        AUTO_STMT sqlite3_stmt *stmt = NULL;

        TRY(db_prepare(cx, sql, &stmt,
                       "INSERT INTO left_out(namespace, hash, at) VALUES(?, ?, ?)"
                       " ON CONFLICT(namespace, hash) DO NOTHING",
                       "tbi", w->name_space, bytes_of(w->hashes[i], sizeof *w->hashes), at));
        TRY(db_run(cx, sql, stmt));
    }
    return w->work == NULL ? FAULT_NONE : w->work(cx, sql, w->user);
}

/* What answers is opened anew; who holds the old one ends with it. Where that fails it is
 * opened by the next that asks. */
static enum fault open_again(struct cx *cx, struct store *s, const char *name_space)
{
    struct version_row *rows;
    size_t n;

    TRY(store_rows(cx, s, NULL, NULL, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        struct dataset *d = NULL;
        struct codebook *cb;

        if (version_is(&rows[i], "dropped") || version_is(&rows[i], "withdrawn"))
            continue;
        TRY(codebook_open(cx, rows[i].packed, &cb));
        if (strcmp(codebook_namespace(cb), name_space) != 0)
            continue;
        store_forget(s, rows[i].name, rows[i].version);
        if (!version_is(&rows[i], "answers"))
            continue;
        TRY(store_verify(cx, s, &rows[i], &d));
        store_keep(s, d, true);
    }
    return FAULT_NONE;
}

enum fault store_leave_out(struct cx *cx, struct store *store, const char *name_space,
                           const uint8_t (*hashes)[16], size_t n, db_work *work, void *user)
{
    struct leaving w = {name_space, hashes, n, work, user};

    (void)pthread_mutex_lock(&store->publishing);
    enum fault fault = db_write(cx, store->db, write_leaving, &w);

    if (fault == FAULT_NONE)
        fault = open_again(cx, store, name_space);
    (void)pthread_mutex_unlock(&store->publishing);
    return fault;
}

/* ---- how many since ---- */

static uint64_t count_common(const struct patients *p, const struct list *l)
{
    uint64_t at = 0, found = 0;

    for (size_t i = 0; i < l->n; i++) {
        while (at < p->count && memcmp(p->hashes[at], l->hashes[i], sizeof *l->hashes) < 0)
            at++;
        found += at < p->count && memcmp(p->hashes[at], l->hashes[i], sizeof *l->hashes) == 0;
    }
    return found;
}

enum fault store_left_out(struct cx *cx, struct store *store, const char *name, uint64_t *ret)
{
    AUTO_DATASET struct dataset *d = NULL;
    struct version_row *rows;
    size_t n;

    TRY(store_current(cx, store, name, &d));
    TRY(store_rows(cx, store, name, d->version, &rows, &n));
    if (n != 1)
        return cx_fail(cx, FAULT_INTERNAL, "%s: a version that no row knows", name);
    struct list l = {.name_space = codebook_namespace(d->cb),
                     .after = (int64_t)rows[0].imported_at};

    TRY(db_read(cx, store->db, read_list, &l));
    *ret = count_common(&d->patients, &l);
    return FAULT_NONE;
}

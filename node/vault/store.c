/*
 * store.c - which versions there are, and opening and withdrawing them.
 *
 * The database says what exists: a folder without a row is the leftover of an import that
 * never finished, a row without a sound folder is withdrawn. Opened versions are kept; one
 * that was superseded stays open for the sessions that pinned it.
 */
#include "node/vault/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/vault/store_private.h"
#include "protocol/base/clock.h"

enum { MESSAGE_BYTES = 512 };

/* ---- the catalogue ---- */

struct query {
    const char *name;
    const uint8_t *version; /* NULL: all of the name; both NULL: all */
    struct version_row *rows;
    size_t n;
};

static enum fault read_rows(struct cx *cx, sqlite3 *sql, void *user)
{
    struct query *q = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct bytes version = bytes_of(q->version, q->version == NULL ? 0 : 16);
    size_t size = 0;
    bool row;

    TRY(db_prepare(
        cx, sql, &stmt,
        "SELECT v.version, v.name, v.codebook, v.content, v.rows, v.patients,"
        " v.imported_at, v.state, v.why, c.packed FROM dataset_version v"
        " JOIN codebook c ON c.digest = v.codebook"
        " WHERE (?1 IS NULL OR v.name = ?1) AND (length(?2) = 0 OR v.version = ?2)"
        " ORDER BY v.name, v.imported_at DESC",
        "tb", q->name, version));
    for (;;) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            return FAULT_NONE;
        if (q->n == size) {
            struct version_row *grown;

            size = size == 0 ? 16 : size * 2;
            CX_NEW(cx, grown, size);
            if (q->n > 0)
                memcpy(grown, q->rows, q->n * sizeof *grown);
            q->rows = grown;
        }
        struct version_row *r = &q->rows[q->n];
        struct bytes id = db_bytes(cx, stmt, 0), cb = db_bytes(cx, stmt, 2);
        struct bytes content = db_bytes(cx, stmt, 3);

        r->name = cx_strdup(cx, (const char *)sqlite3_column_text(stmt, 1));
        r->state = cx_strdup(cx, (const char *)sqlite3_column_text(stmt, 7));
        r->why = cx_strdup(cx, (const char *)sqlite3_column_text(stmt, 8));
        r->packed = db_bytes(cx, stmt, 9);
        if (r->name == NULL || r->state == NULL || r->why == NULL || r->packed.p == NULL)
            return FAULT_MEMORY;
        if (id.n != sizeof r->version || cb.n != sizeof r->codebook ||
            content.n != sizeof r->content)
            return cx_fail(
                cx, FAULT_STORAGE,
                "the catalogue's row of %s is damaged: restore the node's folder "
                "from a backup",
                r->name);
        memcpy(r->version, id.p, id.n);
        memcpy(r->codebook, cb.p, cb.n);
        memcpy(r->content, content.p, content.n);
        r->rows = (uint64_t)sqlite3_column_int64(stmt, 4);
        r->patients = (uint64_t)sqlite3_column_int64(stmt, 5);
        r->imported_at = (uint64_t)sqlite3_column_int64(stmt, 6);
        q->n++;
    }
}

enum fault store_rows(struct cx *cx, struct store *s, const char *name,
                      const uint8_t *version, struct version_row **ret, size_t *ret_n)
{
    struct query q = {.name = name, .version = version};

    TRY(db_read(cx, s->db, read_rows, &q));
    *ret = q.rows;
    *ret_n = q.n;
    return FAULT_NONE;
}

bool version_is(const struct version_row *row, const char *state)
{
    return strcmp(row->state, state) == 0;
}

/* ---- opened versions ---- */

void store_keep(struct store *s, struct dataset *d, bool answers)
{
    struct opened *o = calloc(1, sizeof *o);

    (void)pthread_mutex_lock(&s->lock);
    for (struct opened *p = s->opened; answers && p != NULL; p = p->next)
        if (strcmp(p->dataset->name, d->name) == 0)
            p->answers = false;
    if (o != NULL) { /* without memory it is opened again when it is asked for */
        *o = (struct opened){.next = s->opened, .dataset = d, .answers = answers};
        s->opened = o;
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (o == NULL)
        dataset_release(&d);
}

void store_forget(struct store *s, const char *name, const uint8_t *version)
{
    (void)pthread_mutex_lock(&s->lock);
    for (struct opened **p = &s->opened; *p != NULL;) {
        struct opened *o = *p;

        if (strcmp(o->dataset->name, name) != 0 ||
            (version != NULL && memcmp(o->dataset->version, version, 16) != 0)) {
            p = &o->next;
            continue;
        }
        *p = o->next;
        dataset_release(&o->dataset);
        free(o);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

/* version NULL: the one that answers. */
static struct dataset *find_opened(struct store *s, const char *name,
                                   const uint8_t *version)
{
    struct dataset *found = NULL;

    (void)pthread_mutex_lock(&s->lock);
    for (struct opened *o = s->opened; o != NULL && found == NULL; o = o->next)
        if (strcmp(o->dataset->name, name) == 0 &&
            (version == NULL ? o->answers : memcmp(o->dataset->version, version, 16) == 0))
            found = dataset_hold(o->dataset);
    (void)pthread_mutex_unlock(&s->lock);
    return found;
}

enum fault store_verify(struct cx *cx, struct store *s, const struct version_row *row,
                        struct dataset **ret)
{
    AUTO_DATASET struct dataset *d = NULL;
    uint8_t content[32];

    TRY(dataset_open(cx, s->data_fd, row->name, row->version, row->packed, true, &d));
    dataset_content(d, content);
    if (memcmp(content, row->content, sizeof content) != 0 || d->rows != row->rows ||
        d->patients.count != row->patients)
        return cx_fail(cx, FAULT_STORAGE,
                       "%s: its files are not those that were imported (one was replaced, "
                       "added or lost); restore the folder from a backup or import again",
                       row->name);
    TRY(store_tell_left_out(cx, s, d));
    *ret = d;
    d = NULL;
    return FAULT_NONE;
}

struct withdrawal {
    const struct version_row *row;
    const char *why;
};

static enum fault write_withdrawal(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct withdrawal *w = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "UPDATE dataset_version SET state = 'withdrawn', why = ?"
                   " WHERE version = ? AND state = 'answers'",
                   "tb", w->why, bytes_of(w->row->version, sizeof w->row->version)));
    return db_run(cx, sql, stmt);
}

/* The reason is the fault noted last. */
static enum fault withdraw(struct cx *cx, struct store *s, const struct version_row *row)
{
    char stamp[32];
    const char *why =
        cx_printf(cx, "since %s: %.*s", clock_format(clock_utc_ms(), stamp, sizeof stamp),
                  MESSAGE_BYTES, cx_message(cx));

    if (why == NULL)
        return FAULT_MEMORY;
    store_forget(s, row->name, row->version);
    return db_write(cx, s->db, write_withdrawal, &(struct withdrawal){row, why});
}

/* A fault of this machine's is none of the files'. */
static bool is_damage(enum fault fault)
{
    return fault != FAULT_NONE && fault != FAULT_MEMORY && fault != FAULT_TIMEOUT &&
           fault != FAULT_CANCELLED;
}

static enum fault open_or_withdraw(struct cx *cx, struct store *s,
                                   const struct version_row *row, bool keep,
                                   size_t *withdrawn)
{
    struct dataset *d = NULL;
    enum fault fault = store_verify(cx, s, row, &d);

    if (is_damage(fault)) {
        (*withdrawn)++;
        return withdraw(cx, s, row);
    }
    TRY(fault);
    if (keep)
        store_keep(s, d, true);
    else
        dataset_release(&d);
    return FAULT_NONE;
}

static enum fault each_answering(struct cx *cx, struct store *s, bool keep,
                                 size_t *withdrawn)
{
    struct version_row *rows;
    size_t n;

    *withdrawn = 0;
    TRY(store_rows(cx, s, NULL, NULL, &rows, &n));
    for (size_t i = 0; i < n; i++)
        if (version_is(&rows[i], "answers"))
            TRY(open_or_withdraw(cx, s, &rows[i], keep, withdrawn));
    return FAULT_NONE;
}

enum fault store_check(struct cx *cx, struct store *store, size_t *ret_withdrawn)
{
    return each_answering(cx, store, false, ret_withdrawn);
}

enum fault store_open(struct cx *cx, struct db *db, int data_fd, struct store **ret)
{
    struct store *s = calloc(1, sizeof *s);
    size_t withdrawn;

    if (s == NULL || pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s);
        return cx_fail(cx, FAULT_MEMORY, "no memory for the store");
    }
    if (pthread_mutex_init(&s->publishing, NULL) != 0) {
        (void)pthread_mutex_destroy(&s->lock);
        free(s);
        return cx_fail(cx, FAULT_MEMORY, "no memory for the store");
    }
    s->db = db;
    s->data_fd = fcntl(data_fd, F_DUPFD_CLOEXEC, 0);
    enum fault fault = s->data_fd >= 0 ? FAULT_NONE
                                       : cx_fail(cx, FAULT_STORAGE, "the data folder: %s",
                                                 strerror(errno));

    if (fault == FAULT_NONE)
        fault = store_sweep(cx, s, true);
    if (fault == FAULT_NONE)
        fault = each_answering(cx, s, true, &withdrawn);
    if (fault != FAULT_NONE) {
        store_close(&s);
        return fault;
    }
    *ret = s;
    return FAULT_NONE;
}

void store_close(struct store **store)
{
    struct store *s = *store;

    *store = NULL;
    if (s == NULL)
        return;
    while (s->opened != NULL) {
        struct opened *o = s->opened;

        s->opened = o->next;
        dataset_release(&o->dataset);
        free(o);
    }
    if (s->data_fd >= 0)
        (void)close(s->data_fd);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_mutex_destroy(&s->publishing);
    free(s);
}

/* ---- asking for one ---- */

/* "; it has: colon, lung" */
static enum fault missing(struct cx *cx, struct store *s, const char *name)
{
    struct buffer b = buffer_new(cx, 4096);
    struct version_row *rows;
    size_t n, shown = 0;

    TRY(store_rows(cx, s, NULL, NULL, &rows, &n));
    for (size_t i = 0; i < n; i++)
        if (version_is(&rows[i], "answers"))
            buffer_printf(&b, "%s%s", shown++ > 0 ? ", " : "", rows[i].name);
    const char *list = buffer_string(&b);

    return cx_fail(cx, FAULT_MISSING, "this site has no dataset `%.40s`%s%s", name,
                   shown > 0 && list != NULL ? "; it has: " : ", nor any other",
                   shown > 0 && list != NULL ? list : "");
}

enum fault store_current(struct cx *cx, struct store *store, const char *name,
                         struct dataset **ret)
{
    struct version_row *rows;
    size_t n;
    struct dataset *d = find_opened(store, name, NULL);

    if (d != NULL) {
        *ret = d;
        return FAULT_NONE;
    }
    TRY(store_rows(cx, store, name, NULL, &rows, &n));
    for (size_t i = 0; i < n; i++)
        if (version_is(&rows[i], "answers"))
            return store_version(cx, store, name, rows[i].version, ret);
    for (size_t i = 0; i < n; i++)
        if (version_is(&rows[i], "withdrawn"))
            return cx_fail(cx, FAULT_STORAGE, "%s is withdrawn %s", name, rows[i].why);
    return missing(cx, store, name);
}

enum fault store_version(struct cx *cx, struct store *store, const char *name,
                         const uint8_t version[16], struct dataset **ret)
{
    struct version_row *rows;
    size_t n;
    struct dataset *d = find_opened(store, name, version);

    if (d != NULL) {
        *ret = d;
        return FAULT_NONE;
    }
    TRY(store_rows(cx, store, name, version, &rows, &n));
    if (n == 0 || version_is(&rows[0], "dropped"))
        return cx_fail(
            cx, FAULT_MISSING,
            "this site has no such version of `%.40s`: ask again, for its newest", name);
    if (version_is(&rows[0], "withdrawn"))
        return cx_fail(cx, FAULT_STORAGE, "%s is withdrawn %s", name, rows[0].why);
    TRY(store_verify(cx, store, &rows[0], &d));
    *ret = dataset_hold(d);
    store_keep(store, d, false); /* only a publication says what answers */
    return FAULT_NONE;
}

enum fault store_list(struct cx *cx, struct store *store, bool all, struct store_row **ret,
                      size_t *ret_n)
{
    struct version_row *rows;
    size_t n, kept = 0;

    TRY(store_rows(cx, store, NULL, NULL, &rows, &n));
    CX_NEW(cx, *ret, n);
    for (size_t i = 0; i < n; i++) {
        struct codebook *cb;

        if (version_is(&rows[i], "dropped") || (!all && version_is(&rows[i], "superseded")))
            continue;
        TRY(codebook_open(cx, rows[i].packed, &cb));
        struct store_row *r = &(*ret)[kept++];

        r->name = rows[i].name;
        r->title = cb->body->title;
        r->state = rows[i].state;
        r->why = rows[i].why;
        memcpy(r->version, rows[i].version, sizeof r->version);
        memcpy(r->codebook, rows[i].codebook, sizeof r->codebook);
        r->rows = rows[i].rows;
        r->patients = rows[i].patients;
        r->imported_at = rows[i].imported_at;
    }
    *ret_n = kept;
    return FAULT_NONE;
}

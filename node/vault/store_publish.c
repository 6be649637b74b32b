/*
 * store_publish.c - codebooks, and how versions come and go.
 *
 * Publishing: verify the staging folder, make it durable, move it to its place (durable
 * again), then one transaction makes it answer. Whatever a crash leaves in between is swept
 * away at the next start, because no row knows it. Dropping goes the other way: first the
 * rows, then the folders.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/vault/store_private.h"
#include "protocol/base/clock.h"

static const char STAGING[] = STORE_STAGING;

/* ---- codebooks ---- */

enum fault store_next_stamp(struct cx *cx, sqlite3 *sql, const char *text, int64_t *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, text, ""));
    TRY(db_step(cx, sql, stmt, &row));
    int64_t last = row ? sqlite3_column_int64(stmt, 0) : 0, now = clock_utc_ms();

    *ret = now > last ? now : last + 1;
    return FAULT_NONE;
}

enum fault store_put_codebook(struct cx *cx, sqlite3 *sql, struct bytes packed,
                              struct bytes envelope)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct codebook *cb;
    int64_t stamp;

    TRY(codebook_open(cx, packed, &cb));
    TRY(store_next_stamp(cx, sql, "SELECT max(added_at) FROM codebook", &stamp));
    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT INTO codebook(digest, name, packed, envelope, added_at)"
                   " VALUES(?, ?, ?, ?, ?) ON CONFLICT(digest) DO UPDATE SET"
                   " added_at = excluded.added_at",
                   "btbbi", bytes_of(cb->digest, sizeof cb->digest), cb->body->name, packed,
                   envelope, stamp));
    return db_run(cx, sql, stmt);
}

struct wanted {
    const char *name;
    const uint8_t *digest;
    struct bytes packed;
    bool found;
};

static enum fault read_codebook(struct cx *cx, sqlite3 *sql, void *user)
{
    struct wanted *w = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT packed FROM codebook WHERE name = ?1 AND"
                   " (length(?2) = 0 OR digest = ?2) ORDER BY added_at DESC LIMIT 1",
                   "tb", w->name, bytes_of(w->digest, w->digest == NULL ? 0 : 32)));
    TRY(db_step(cx, sql, stmt, &w->found));
    if (w->found)
        w->packed = db_bytes(cx, stmt, 0);
    return w->found && w->packed.p == NULL ? FAULT_MEMORY : FAULT_NONE;
}

enum fault store_codebook(struct cx *cx, struct store *store, const char *dataset,
                          const uint8_t *digest, struct bytes *ret_packed)
{
    struct wanted w = {.name = dataset, .digest = digest};

    TRY(db_read(cx, store->db, read_codebook, &w));
    if (!w.found)
        return cx_fail(cx, FAULT_MISSING,
                       "this site has no %scodebook of `%.40s`; officers add one with "
                       "`cohortiumd codebook add`",
                       digest != NULL ? "such " : "", dataset);
    *ret_packed = w.packed;
    return FAULT_NONE;
}

/* ---- folders ---- */

static enum fault sync_folder(struct cx *cx, int parent, const char *name)
{
    int fd = name == NULL
                 ? parent
                 : openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int code = fd < 0 || fsync(fd) != 0 ? errno : 0;

    if (name != NULL && fd >= 0)
        (void)close(fd);
    if (code != 0)
        return cx_fail(cx, FAULT_STORAGE,
                       "the data folder cannot be made durable: %s; see to the disk and "
                       "import again",
                       strerror(code));
    return FAULT_NONE;
}

/* A folder of plain files, gone as far as it can be: what is left is swept next time. */
void store_remove_folder(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            (void)unlinkat(fd, e->d_name, 0);
    (void)closedir(dir);
    (void)unlinkat(parent, name, AT_REMOVEDIR);
}

/* Is it the folder of a version that still exists? */
static bool is_known(const struct version_row *rows, size_t n, const char *folder)
{
    char name[DATASET_FOLDER];

    for (size_t i = 0; i < n; i++) {
        dataset_folder(rows[i].version, name);
        if (strcmp(name, folder) == 0)
            return !version_is(&rows[i], "dropped");
    }
    return false;
}

/* Whatever else lies there is somebody's own and stays. */
static bool is_ours(const char *name, bool staging)
{
    return (staging && strncmp(name, STAGING, sizeof STAGING - 1) == 0) ||
           (name[0] == 'v' && strlen(name) == DATASET_FOLDER - 1 &&
            strspn(name + 1, "0123456789abcdef") == DATASET_FOLDER - 2);
}

enum fault store_sweep(struct cx *cx, struct store *s, bool staging)
{
    struct version_row *rows;
    size_t n;
    int fd = openat(s->data_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL) {
        int code = errno;

        if (fd >= 0)
            (void)close(fd);
        return cx_fail(cx, FAULT_STORAGE, "the data folder: %s", strerror(code));
    }
    enum fault fault = store_rows(cx, s, NULL, NULL, &rows, &n);

    for (struct dirent *e; fault == FAULT_NONE && (e = readdir(dir)) != NULL;)
        if (is_ours(e->d_name, staging) && !is_known(rows, n, e->d_name))
            store_remove_folder(s->data_fd, e->d_name);
    (void)closedir(dir);
    return fault;
}

/* ---- publishing ---- */

static enum fault check_names(struct cx *cx, const char *staging, const char *name)
{
    if (!name_is_valid(name) || strchr(staging, '/') != NULL || staging[0] == '.')
        return cx_fail(cx, FAULT_INVALID, "no name of a dataset, or of a staging folder");
    return FAULT_NONE;
}

enum fault store_changes(struct cx *cx, struct store *store, const char *staging,
                         const char *name, struct bytes codebook, bool *ret_any,
                         struct dataset_changes *ret)
{
    AUTO_DATASET struct dataset *before = NULL, *after = NULL;
    static const uint8_t none[16];

    *ret_any = false;
    TRY(check_names(cx, staging, name));
    enum fault fault = store_current(cx, store, name, &before);

    if (fault == FAULT_MISSING || fault == FAULT_STORAGE)
        return FAULT_NONE; /* none, or one that cannot be read */
    TRY(fault);
    TRY(dataset_open_folder(cx, store->data_fd, staging, name, none, codebook, false, &after));
    TRY(store_tell_left_out(cx, store, after));
    *ret_any = true;
    return dataset_compare(cx, before, after, ret);
}

struct publication {
    const struct dataset *dataset;
    uint8_t content[32];
    db_work *work;
    void *user;
};

static enum fault supersede(struct cx *cx, sqlite3 *sql, const char *name,
                            const char *state)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "UPDATE dataset_version SET state = ? WHERE name = ? AND state <> "
                   "'dropped'",
                   "tt", state, name));
    return db_run(cx, sql, stmt);
}

static enum fault write_version(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct publication *p = user;
    const struct dataset *d = p->dataset;
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    int64_t stamp;

    TRY(store_next_stamp(cx, sql, "SELECT max(imported_at) FROM dataset_version", &stamp));
    TRY(supersede(cx, sql, d->name, "superseded"));
    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT INTO dataset_version(version, name, codebook, content, rows,"
                   " patients, imported_at, state) VALUES(?, ?, ?, ?, ?, ?, ?, 'answers')",
                   "btbbiii", bytes_of(d->version, sizeof d->version), d->name,
                   bytes_of(d->cb->digest, sizeof d->cb->digest),
                   bytes_of(p->content, sizeof p->content), (int64_t)d->rows,
                   (int64_t)d->patients.count, stamp));
    TRY(db_run(cx, sql, stmt));
    return p->work == NULL ? FAULT_NONE : p->work(cx, sql, p->user);
}

static enum fault check_import(struct cx *cx, const struct dataset *d, const char *name,
                               uint64_t rows, uint64_t patients)
{
    if (strcmp(d->cb->body->name, name) != 0)
        return cx_fail(cx, FAULT_INVALID, "the codebook is that of `%s`, not of `%.40s`",
                       d->cb->body->name, name);
    if (d->rows != rows || d->patients.count != patients)
        return cx_fail(cx, FAULT_CONFLICT,
                       "%s: the files hold another number of rows or patients than the "
                       "import says; import again",
                       name);
    return FAULT_NONE;
}

/* The folder has its name; a failure takes it away again. */
static enum fault move_and_write(struct cx *cx, struct store *s, const char *staging,
                                 struct publication *p)
{
    char folder[DATASET_FOLDER];

    dataset_folder(p->dataset->version, folder);
    TRY(sync_folder(cx, s->data_fd, staging));
    if (renameat2(s->data_fd, staging, s->data_fd, folder, RENAME_NOREPLACE) != 0)
        return cx_fail(cx, FAULT_STORAGE, "%s cannot be moved to its place: %s", staging,
                       strerror(errno));
    enum fault fault = sync_folder(cx, s->data_fd, NULL);

    if (fault == FAULT_NONE)
        fault = db_write(cx, s->db, write_version, p);
    if (fault != FAULT_NONE)
        store_remove_folder(s->data_fd, folder);
    return fault;
}

enum fault store_publish(struct cx *cx, struct store *store, const char *staging,
                         const char *name, struct bytes codebook, uint64_t rows,
                         uint64_t patients, db_work *work, void *user,
                         uint8_t ret_version[16])
{
    AUTO_DATASET struct dataset *d = NULL;
    struct publication p = {.work = work, .user = user};
    struct bytes known;
    uint8_t version[16];

    TRY(check_names(cx, staging, name));
    randombytes_buf(version, sizeof version);
    TRY(dataset_open_folder(cx, store->data_fd, staging, name, version, codebook, true,
                            &d));
    TRY(check_import(cx, d, name, rows, patients));
    TRY(store_codebook(cx, store, name, d->cb->digest, &known));
    dataset_content(d, p.content);
    p.dataset = d;
    (void)pthread_mutex_lock(&store->publishing);
    enum fault fault = store_tell_left_out(cx, store, d);

    if (fault == FAULT_NONE)
        fault = move_and_write(cx, store, staging, &p);

    if (fault == FAULT_NONE)
        store_keep(store, dataset_hold(d), true);
    (void)pthread_mutex_unlock(&store->publishing);
    TRY(fault);
    memcpy(ret_version, version, sizeof version);
    return FAULT_NONE;
}

/* ---- dropping ---- */

struct dropping {
    const char *name;
    db_work *work;
    void *user;
};

static enum fault write_drop(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct dropping *d = user;

    TRY(supersede(cx, sql, d->name, "dropped"));
    if (sqlite3_changes(sql) == 0)
        return cx_fail(cx, FAULT_MISSING, "this site has no dataset `%.40s`", d->name);
    return d->work == NULL ? FAULT_NONE : d->work(cx, sql, d->user);
}

enum fault store_drop(struct cx *cx, struct store *store, const char *name, db_work *work,
                      void *user)
{
    struct dropping d = {name, work, user};

    (void)pthread_mutex_lock(&store->publishing);
    enum fault fault = db_write(cx, store->db, write_drop, &d);

    if (fault == FAULT_NONE) {
        store_forget(store, name, NULL);
        fault = store_sweep(cx, store, false);
    }
    (void)pthread_mutex_unlock(&store->publishing);
    return fault;
}

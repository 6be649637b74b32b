/*
 * backup.c - the backup of a node that runs or not: complete, or not there at all.
 *
 * vault.db is copied as of one moment (SQLite's online backup) and verified as a log and a
 * ledger; then the column files that this copy names. A version that is published or
 * dropped meanwhile makes the files disagree with the copy: it is begun again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/admin/backup.h"
#include "node/folder.h"
#include "node/vault/dataset.h"
#include "node/vault/db.h"
#include "protocol/base/clock.h"

enum { TRIES = 3, BUSY_MS = 10000, PAGES = 4096, TIME_TEXT = 32 };

struct work {
    struct invocation *in;
    struct cx *cx;
    const char *from, *staging;
    struct backup b;
    bool shown; /* progress stands on the terminal */
    uint64_t bytes;
};

static void progress(struct work *w, const char *what, int percent)
{
    if (has_option(w->in, "quiet") || !isatty(STDERR_FILENO))
        return;
    (void)fprintf(stderr, "\r\033[K%s", what);
    if (percent >= 0)
        (void)fprintf(stderr, ": %d %%", percent);
    w->shown = true;
    (void)fflush(stderr);
}

static void progress_end(struct work *w)
{
    if (w->shown)
        (void)fputs("\r\033[K", stderr);
    w->shown = false;
}

static enum fault copy(struct work *w, const char *path)
{
    struct backup_file f = {.path = path};

    progress(w, path, -1);
    TRY(backup_copy(w->cx, w->from, w->staging, &f));
    w->bytes += f.size;
    return backup_add(w->cx, &w->b, f);
}

/* ---- vault.db ---- */

static enum fault sql_failed(struct work *w, sqlite3 *sql, const char *path)
{
    return cx_fail(w->cx, FAULT_STORAGE, "%s: %s", path,
                   sql == NULL       ? "out of memory"
                   : db_is_full(sql) ? "the disk is full"
                                     : sqlite3_errmsg(sql));
}

static enum fault run_copy(struct work *w, sqlite3 *from, sqlite3 *to)
{
    /* One moment of the source, however long the copy takes: what the node writes meanwhile
     * is not in it. */
    if (sqlite3_exec(from, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL) !=
        SQLITE_OK)
        return sql_failed(w, from, "vault.db");
    sqlite3_backup *copying = sqlite3_backup_init(to, "main", from, "main");
    if (copying == NULL)
        return sql_failed(w, to, "the copy of vault.db");
    int step;
    enum fault fault = FAULT_NONE;
    do {
        step = sqlite3_backup_step(copying, PAGES);
        int all = sqlite3_backup_pagecount(copying);

        progress(w, "vault.db",
                 all > 0 ? 100 - (int)(100LL * sqlite3_backup_remaining(copying) / all)
                         : 0);
        fault = backup_on(w->cx);
    } while (step == SQLITE_OK && fault == FAULT_NONE);
    int end = sqlite3_backup_finish(copying);
    TRY(fault);
    if (step != SQLITE_DONE || end != SQLITE_OK)
        return sql_failed(w, to, "the copy of vault.db");
    return FAULT_NONE;
}

static enum fault copy_database(struct work *w)
{
    const char *source = cx_printf(w->cx, "%s/vault.db", w->from);
    const char *target = cx_printf(w->cx, "%s/vault.db", w->staging);
    sqlite3 *from = NULL, *to = NULL;
    enum fault fault = FAULT_NONE;

    if (source == NULL || target == NULL)
        return FAULT_MEMORY;
    if (access(source, F_OK) != 0)
        return cx_fail(
            w->cx, FAULT_MISSING,
            "%s has no vault.db yet: it never ran; a copy of its keys is all that "
            "there is to keep",
            w->from);
    int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return cx_fail(w->cx, FAULT_IO, "%s: %s", target, strerror(errno));
    (void)close(fd);
    if (sqlite3_open_v2(source, &from, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(from, BUSY_MS) != SQLITE_OK)
        fault = sql_failed(w, from, source);
    else if (sqlite3_open_v2(target, &to, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        fault = sql_failed(w, to, target);
    else
        fault = run_copy(w, from, to);
    (void)sqlite3_close(to);
    (void)sqlite3_close(from);
    return fault;
}

/* ---- what belongs to it ---- */

struct versions {
    const char **folders;
    size_t n;
};

static enum fault list_versions(struct cx *cx, sqlite3 *sql, void *user)
{
    struct versions *v = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row;
    size_t room = 0;

    TRY(db_prepare(cx, sql, &stmt,
                   "SELECT version FROM dataset_version WHERE state = 'answers'", ""));
    for (;;) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            return FAULT_NONE;
        struct bytes id = db_bytes(cx, stmt, 0);
        char folder[DATASET_FOLDER];
        if (id.n != ID_BYTES)
            return cx_fail(cx, FAULT_STORAGE, "the catalogue of vault.db is damaged");
        if (v->n == room) {
            const char **grown;

            room = room == 0 ? 16 : room * 2;
            CX_NEW(cx, grown, room);
            if (v->n > 0)
                memcpy(grown, v->folders, v->n * sizeof *grown);
            v->folders = grown;
        }
        dataset_folder(id.p, folder);
        v->folders[v->n] = cx_strdup(cx, folder);
        if (v->folders[v->n++] == NULL)
            return FAULT_MEMORY;
    }
}

static enum fault read_versions(struct work *w, struct versions *ret)
{
    const char *lock = cx_printf(w->cx, "%s/vault.db.lock", w->staging);
    struct db *db;

    TRY(db_open(w->cx, cx_printf(w->cx, "%s/vault.db", w->staging), &db));
    enum fault fault = db_read(w->cx, db, list_versions, ret);
    db_close(&db);
    (void)unlink(lock);
    return fault;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names in a folder, sorted; those of a backup alone. */
static enum fault copy_folder(struct work *w, const char *folder)
{
    const char **names;
    size_t n = 0;
    const char *path = cx_printf(w->cx, "%s/%s", w->from, folder);
    DIR *d = path != NULL ? opendir(path) : NULL;
    enum fault fault = FAULT_NONE;

    if (d == NULL)
        return cx_fail(w->cx, FAULT_MISSING, "%s: %s", path != NULL ? path : folder,
                       strerror(errno));
    names = cx_array(w->cx, MANIFEST_CHAIN_MAX + 1, sizeof *names);
    for (const struct dirent *e;
         names != NULL && fault == FAULT_NONE && (e = readdir(d));) {
        const char *name = cx_printf(w->cx, "%s/%s", folder, e->d_name);

        if (name == NULL)
            fault = FAULT_MEMORY;
        else if (backup_path_is_ours(name) && n == MANIFEST_CHAIN_MAX + 1)
            fault = cx_fail(w->cx, FAULT_BOUND, "%s has too many files", path);
        else if (backup_path_is_ours(name))
            names[n++] = name;
    }
    (void)closedir(d);
    if (names == NULL)
        return FAULT_MEMORY;
    TRY(fault);
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++)
        TRY(copy(w, names[i]));
    return FAULT_NONE;
}

static enum fault copy_data(struct work *w)
{
    struct versions v = {0};

    TRY(read_versions(w, &v));
    if (v.n > 0)
        qsort(v.folders, v.n, sizeof *v.folders, by_name);
    for (size_t i = 0; i < v.n; i++)
        TRY(copy_folder(w, cx_printf(w->cx, "data/%s", v.folders[i])));
    return FAULT_NONE;
}

static int by_path(const void *a, const void *b)
{
    const struct backup_file *x = a, *y = b;

    return strcmp(x->path, y->path);
}

/* The database again, as it was verified: its bytes are hashed last. */
static enum fault hash_database(struct work *w)
{
    struct backup_file f = {.path = "vault.db"};
    const char *moved = cx_printf(w->cx, "%s/vault.db", w->staging);
    const char *raw = cx_printf(w->cx, "%s/copying", w->staging);

    if (moved == NULL || raw == NULL)
        return FAULT_MEMORY;
    if (mkdir(raw, 0700) != 0 || rename(moved, cx_printf(w->cx, "%s/vault.db", raw)) != 0)
        return cx_fail(w->cx, FAULT_IO, "%s: %s", raw, strerror(errno));
    TRY(backup_copy(w->cx, raw, w->staging, &f));
    (void)unlink(cx_printf(w->cx, "%s/vault.db", raw));
    (void)rmdir(raw);
    w->bytes += f.size;
    return backup_add(w->cx, &w->b, f);
}

static enum fault fill(struct work *w)
{
    struct node_settings settings;
    struct manifest *m;
    char now[TIME_TEXT];

    TRY(folder_settings(w->cx, w->from, &settings));
    TRY(folder_manifest(w->cx, w->from, &m));
    w->b = (struct backup){.node = settings.name};
    w->bytes = 0;
    memcpy(w->b.genesis, m->consortium, DIGEST_BYTES);
    TRY(backup_node_id(w->cx, w->from, w->b.id));
    w->b.made = cx_strdup(w->cx, clock_format(clock_utc_ms(), now, sizeof now));
    if (w->b.made == NULL)
        return FAULT_MEMORY;
    TRY(copy_database(w));
    TRY(copy(w, "node.yaml"));
    TRY(copy_folder(w, "keys"));
    TRY(copy_folder(w, "manifest"));
    progress(w, "the log and the ledger are verified", -1);
    TRY(backup_check_log(w->cx, w->staging, &w->b.log_size, w->b.log_root));
    TRY(copy_data(w));
    return hash_database(w);
}

static enum fault make(struct work *w, const char *target, uint8_t digest[32])
{
    TRY(backup_stage(w->cx, target, &w->staging));
    enum fault fault = fill(w);
    if (fault == FAULT_NONE) {
        qsort(w->b.files, w->b.n, sizeof *w->b.files, by_path);
        fault = backup_index_write(w->cx, w->staging, &w->b, digest);
    }
    if (fault == FAULT_NONE)
        fault = backup_publish(w->cx, w->staging, target);
    if (fault != FAULT_NONE)
        backup_discard(w->cx, w->staging);
    return fault;
}

enum fault admin_backup(struct invocation *in)
{
    struct work w = {.in = in, .cx = in->cx, .from = in->folder};
    const char *target;
    uint8_t digest[32];
    enum fault fault = FAULT_MISSING;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(need_option(in, "to", "FOLDER", &target));
    backup_watch_signals();
    for (int i = 0; i < TRIES && fault == FAULT_MISSING; i++)
        fault = make(&w, target, digest); /* a file was missing: data changed meanwhile */
    progress_end(&w);
    TRY(fault);
    (void)printf(
        "%s: %zu files, %llu kB, a log of %llu records as of %s\nits digest: %s\n"
        "It opens with the node's passphrase alone, which is not in it. To use it: "
        "cohortiumd restore %s NEW_FOLDER\n",
        target, w.b.n, (unsigned long long)(w.bytes / 1000),
        (unsigned long long)w.b.log_size, w.b.made, bytes_hex(in->cx, digest, DIGEST_BYTES),
        target);
    return FAULT_NONE;
}

/* db.c - the vault's database: who owns the file, group commit, readers. */
#include "node/vault/db_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { READERS_KEPT = 8, GROUP_MAX = 1000 };

struct piece { /* one db_write, on its caller's stack */
    struct piece *next;
    struct cx *cx;
    db_work *work;
    void *user;
    enum fault fault;
    bool done;
};

struct db {
    char *path;
    int lock_fd;
    struct connection *writer; /* the writer thread's alone once it runs */
    pthread_t thread;
    bool thread_runs;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work_there, work_done;
    struct piece *first, **last;
    bool closing;
    uint64_t changes; /* groups committed */
    struct connection *readers;
    size_t n_readers;
};

/* ---- the writer ---- */

static enum fault run_piece(struct connection *c, struct piece *p)
{
    TRY(db_execute(p->cx, c->sql, "SAVEPOINT piece"));
    struct connection *before = connection_enter(c);
    enum fault fault = p->work(p->cx, c->sql, p->user);

    connection_leave(c, before);
    if (sqlite3_get_autocommit(
            c->sql)) /* sqlite gave the whole transaction up: disk full, ... */
        return fault != FAULT_NONE ? fault
                                   : cx_fail(p->cx, FAULT_STORAGE,
                                             "database: the transaction was given up");
    if (fault != FAULT_NONE) {
        if (sqlite3_exec(c->sql, "ROLLBACK TO piece", NULL, NULL, NULL) != SQLITE_OK)
            (void)sqlite3_exec(c->sql, "ROLLBACK", NULL, NULL, NULL);
        else
            (void)sqlite3_exec(c->sql, "RELEASE piece", NULL, NULL, NULL);
        return fault;
    }
    return db_execute(p->cx, c->sql, "RELEASE piece");
}

/* Nothing of the group is on disk: those who thought so hear it. */
static void fail_group(struct connection *c, struct piece *group, const struct piece *end,
                       const char *why)
{
    for (struct piece *p = group; p != end; p = p->next)
        if (p->fault == FAULT_NONE)
            p->fault = cx_fail(p->cx, FAULT_STORAGE,
                               "database: nothing was written: %s; see to the disk and ask "
                               "again",
                               why);
    if (!sqlite3_get_autocommit(c->sql))
        (void)sqlite3_exec(c->sql, "ROLLBACK", NULL, NULL, NULL);
}

static const char *why_failed(sqlite3 *sql)
{
    return sqlite3_errcode(sql) == SQLITE_FULL ? "the disk is full" : sqlite3_errmsg(sql);
}

static void run_group(struct connection *c, struct piece *group)
{
    if (sqlite3_exec(c->sql, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
        fail_group(c, group, NULL, why_failed(c->sql));
        return;
    }
    for (struct piece *p = group; p != NULL; p = p->next) {
        p->fault = run_piece(c, p);
        if (sqlite3_get_autocommit(c->sql)) {
            fail_group(c, group, p->next, "a neighbour's transaction was given up");
            if (p->next != NULL)
                run_group(c, p->next);
            return;
        }
    }
    if (sqlite3_exec(c->sql, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        fail_group(c, group, NULL, why_failed(c->sql));
}

/* Cuts the queue after GROUP_MAX pieces: a group's transaction stays bounded. */
static struct piece *take_group(struct db *db)
{
    struct piece *group = db->first, *p = group;

    for (int i = 1; i < GROUP_MAX && p->next != NULL; i++)
        p = p->next;
    db->first = p->next;
    p->next = NULL;
    if (db->first == NULL)
        db->last = &db->first;
    return group;
}

static void *writer_main(void *user)
{
    struct db *db = user;

    (void)pthread_mutex_lock(&db->lock);
    for (;;) {
        while (db->first == NULL && !db->closing)
            (void)pthread_cond_wait(&db->work_there, &db->lock);
        if (db->first == NULL)
            break;
        struct piece *group = take_group(db);

        (void)pthread_mutex_unlock(&db->lock);
        run_group(db->writer, group);
        (void)pthread_mutex_lock(&db->lock);
        db->changes++; /* before anybody is told */
        for (struct piece *p = group, *next; p != NULL; p = next) {
            next = p->next; /* p is its caller's again once it is done */
            p->done = true;
        }
        (void)pthread_cond_broadcast(&db->work_done);
    }
    (void)pthread_mutex_unlock(&db->lock);
    return NULL;
}

enum fault db_write(struct cx *cx, struct db *db, db_work *work, void *user)
{
    struct piece p = {.cx = cx, .work = work, .user = user};

    assert(!pthread_equal(pthread_self(), db->thread)); /* work must not write again */
    (void)pthread_mutex_lock(&db->lock);
    if (db->closing) {
        (void)pthread_mutex_unlock(&db->lock);
        return cx_fail(cx, FAULT_UNAVAILABLE, "database: it is being closed");
    }
    *db->last = &p;
    db->last = &p.next;
    (void)pthread_cond_signal(&db->work_there);
    while (!p.done)
        (void)pthread_cond_wait(&db->work_done, &db->lock);
    (void)pthread_mutex_unlock(&db->lock);
    return p.fault;
}

uint64_t db_changes(struct db *db)
{
    (void)pthread_mutex_lock(&db->lock);
    uint64_t n = db->changes;
    (void)pthread_mutex_unlock(&db->lock);
    return n;
}

/* ---- readers ---- */

static enum fault take_reader(struct cx *cx, struct db *db, struct connection **ret)
{
    (void)pthread_mutex_lock(&db->lock);
    struct connection *c = db->readers;

    if (c != NULL) {
        db->readers = c->next;
        db->n_readers--;
    }
    (void)pthread_mutex_unlock(&db->lock);
    if (c == NULL)
        return connection_open(cx, db->path, false, ret);
    *ret = c;
    return FAULT_NONE;
}

static void give_reader(struct db *db, struct connection *c)
{
    (void)pthread_mutex_lock(&db->lock);
    if (db->n_readers < READERS_KEPT) {
        c->next = db->readers;
        db->readers = c;
        db->n_readers++;
        c = NULL;
    }
    (void)pthread_mutex_unlock(&db->lock);
    connection_close(&c);
}

enum fault db_read(struct cx *cx, struct db *db, db_work *work, void *user)
{
    struct connection *c = NULL;

    TRY(take_reader(cx, db, &c));
    /* One transaction: all that the work reads belongs to one moment. */
    enum fault fault = db_execute(cx, c->sql, "BEGIN");

    if (fault == FAULT_NONE) {
        struct connection *before = connection_enter(c);

        fault = work(cx, c->sql, user);
        connection_leave(c, before);
    }
    if (!sqlite3_get_autocommit(c->sql) &&
        sqlite3_exec(c->sql, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
        connection_close(&c);
    if (c != NULL)
        give_reader(db, c);
    return fault;
}

/* ---- opening ---- */

static enum fault own_file(struct cx *cx, const char *path, int *ret_fd)
{
    const char *lock = cx_printf(cx, "%s.lock", path);

    if (lock == NULL)
        return FAULT_MEMORY;
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return cx_fail(cx, FAULT_STORAGE, "%s: %s", lock, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int code = errno;

        (void)close(fd);
        if (code == EWOULDBLOCK)
            return cx_fail(cx, FAULT_STORAGE,
                           "another cohortiumd runs on this folder (it holds %s): stop it "
                           "first, or use another folder",
                           lock);
        return cx_fail(cx, FAULT_STORAGE, "%s: %s", lock, strerror(code));
    }
    /* sqlite gives -wal and -shm the mode of the file: nobody else may read it. */
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (file < 0) {
        int code = errno;

        (void)close(fd);
        return cx_fail(cx, FAULT_STORAGE, "%s: %s", path, strerror(code));
    }
    (void)close(file);
    *ret_fd = fd;
    return FAULT_NONE;
}

static enum fault check_whole(struct cx *cx, sqlite3 *sql)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, "PRAGMA quick_check(1)", ""));
    TRY(db_step(cx, sql, stmt, &row));
    const char *text = row ? (const char *)sqlite3_column_text(stmt, 0) : NULL;

    if (text == NULL || strcmp(text, "ok") != 0)
        return cx_fail(
            cx, FAULT_STORAGE,
            "database: the file is damaged (%.200s); stop the node and restore its "
            "folder from a backup",
            text == NULL ? "no answer" : text);
    return FAULT_NONE;
}

static enum fault open_all(struct cx *cx, struct db *db)
{
    TRY(own_file(cx, db->path, &db->lock_fd));
    TRY(connection_open(cx, db->path, true, &db->writer));
    TRY(check_whole(cx, db->writer->sql));
    TRY(db_upgrade(cx, db->writer->sql));
    if (pthread_create(&db->thread, NULL, writer_main, db) != 0)
        return cx_fail(cx, FAULT_MEMORY, "database: no thread for the writer");
    db->thread_runs = true;
    return FAULT_NONE;
}

enum fault db_open(struct cx *cx, const char *path, struct db **ret)
{
    struct db *db = calloc(1, sizeof *db);

    if (db == NULL)
        return cx_fail(cx, FAULT_MEMORY, "%s: no memory", path);
    db->lock_fd = -1;
    db->last = &db->first;
    db->path = strdup(path);
    if (pthread_mutex_init(&db->lock, NULL) != 0 ||
        pthread_cond_init(&db->work_there, NULL) != 0 ||
        pthread_cond_init(&db->work_done, NULL) != 0 || db->path == NULL) {
        free(db->path);
        free(db);
        return cx_fail(cx, FAULT_MEMORY, "%s: no memory", path);
    }
    enum fault fault = open_all(cx, db);

    if (fault != FAULT_NONE) {
        db_close(&db);
        return cx_prefix(cx, "%s: ", path);
    }
    *ret = db;
    return FAULT_NONE;
}

void db_close(struct db **db)
{
    struct db *d = *db;

    if (d == NULL)
        return;
    if (d->thread_runs) {
        (void)pthread_mutex_lock(&d->lock);
        d->closing = true;
        (void)pthread_cond_signal(&d->work_there);
        (void)pthread_mutex_unlock(&d->lock);
        (void)pthread_join(d->thread, NULL);
    }
    while (d->readers != NULL) {
        struct connection *c = d->readers;

        d->readers = c->next;
        connection_close(&c);
    }
    connection_close(&d->writer);
    if (d->lock_fd >= 0)
        (void)close(d->lock_fd);
    (void)pthread_cond_destroy(&d->work_there);
    (void)pthread_cond_destroy(&d->work_done);
    (void)pthread_mutex_destroy(&d->lock);
    free(d->path);
    free(d);
    *db = NULL;
}

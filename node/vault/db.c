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
    struct connection *writer; /* of the thread that writes */
    pthread_mutex_t lock;      /* guards all below */
    pthread_cond_t work_done;
    bool writes; /* `thread` runs a group */
    pthread_t thread;
    struct piece *first, **last;
    bool closing;
    uint64_t changes; /* groups committed */
    struct connection *readers;
    size_t n_readers;
};

/* ---- the writer ---- */

static enum fault run_work(struct connection *c, struct piece *p)
{
    struct connection *before = connection_enter(c);
    enum fault fault = p->work(p->cx, c->sql, p->user);

    connection_leave(c, before);
    if (!sqlite3_get_autocommit(c->sql))
        return fault;
    /* sqlite gave the whole transaction up: disk full, ... */
    return fault != FAULT_NONE
               ? fault
               : cx_fail(p->cx, FAULT_STORAGE, "database: the transaction was given up");
}

static enum fault run_piece(struct connection *c, struct piece *p)
{
    if (!connection_control(c, CONTROL_SAVEPOINT))
        return db_failed(p->cx, c->sql);
    enum fault fault = run_work(c, p);

    if (sqlite3_get_autocommit(c->sql))
        return fault;
    if (fault != FAULT_NONE) {
        if (!connection_control(c, CONTROL_ROLLBACK_TO))
            (void)connection_control(c, CONTROL_ROLLBACK);
        else
            (void)connection_control(c, CONTROL_RELEASE);
        return fault;
    }
    return connection_control(c, CONTROL_RELEASE) ? FAULT_NONE : db_failed(p->cx, c->sql);
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
        (void)connection_control(c, CONTROL_ROLLBACK);
}

static const char *why_failed(sqlite3 *sql)
{
    return db_is_full(sql) ? "the disk is full" : sqlite3_errmsg(sql);
}

/* Alone in its transaction: there is no neighbour that a savepoint would spare. */
static void run_single(struct connection *c, struct piece *p)
{
    p->fault = run_work(c, p);
    if (sqlite3_get_autocommit(c->sql))
        return;
    if (p->fault != FAULT_NONE)
        (void)connection_control(c, CONTROL_ROLLBACK);
    else if (!connection_control(c, CONTROL_COMMIT))
        fail_group(c, p, NULL, why_failed(c->sql));
}

static void run_group(struct connection *c, struct piece *group)
{
    if (!connection_control(c, CONTROL_BEGIN_WRITING)) {
        fail_group(c, group, NULL, why_failed(c->sql));
        return;
    }
    if (group->next == NULL) {
        run_single(c, group);
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
    if (!connection_control(c, CONTROL_COMMIT))
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

/* The lock is held, but not while the group runs. */
static void write_group(struct db *db)
{
    struct piece *group = take_group(db);

    db->writes = true;
    db->thread = pthread_self();
    (void)pthread_mutex_unlock(&db->lock);
    run_group(db->writer, group);
    (void)pthread_mutex_lock(&db->lock);
    db->writes = false;
    db->changes++; /* before anybody is told */
    for (struct piece *p = group, *next; p != NULL; p = next) {
        next = p->next; /* p is its caller's again once it is done */
        p->done = true;
    }
    (void)pthread_cond_broadcast(&db->work_done);
}

/* Whoever finds nobody writing writes for all who wait, itself among them: a thread of its
 * own would be woken, and wake again, for every commit. */
enum fault db_write(struct cx *cx, struct db *db, db_work *work, void *user)
{
    struct piece p = {.cx = cx, .work = work, .user = user};

    (void)pthread_mutex_lock(&db->lock);
    /* work must not write again */
    assert(!db->writes || !pthread_equal(pthread_self(), db->thread));
    if (db->closing) {
        (void)pthread_mutex_unlock(&db->lock);
        return cx_fail(cx, FAULT_UNAVAILABLE, "database: it is being closed");
    }
    *db->last = &p;
    db->last = &p.next;
    while (!p.done) {
        if (db->writes)
            (void)pthread_cond_wait(&db->work_done, &db->lock);
        else
            write_group(db);
    }
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
    enum fault fault;

    if (!connection_control(c, CONTROL_BEGIN)) {
        fault = db_failed(cx, c->sql);
    } else {
        struct connection *before = connection_enter(c);

        fault = work(cx, c->sql, user);
        connection_leave(c, before);
    }
    if (!sqlite3_get_autocommit(c->sql) && !connection_control(c, CONTROL_ROLLBACK))
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
    return db_upgrade(cx, db->writer->sql);
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
    (void)pthread_mutex_lock(&d->lock);
    d->closing = true; /* what waits is still written */
    while (d->writes || d->first != NULL)
        (void)pthread_cond_wait(&d->work_done, &d->lock);
    (void)pthread_mutex_unlock(&d->lock);
    while (d->readers != NULL) {
        struct connection *c = d->readers;

        d->readers = c->next;
        connection_close(&c);
    }
    connection_close(&d->writer);
    if (d->lock_fd >= 0)
        (void)close(d->lock_fd);
    (void)pthread_cond_destroy(&d->work_done);
    (void)pthread_mutex_destroy(&d->lock);
    free(d->path);
    free(d);
    *db = NULL;
}

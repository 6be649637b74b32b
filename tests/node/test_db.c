/* What db_write acknowledged is on the disk; a failing piece takes nothing along. */
#include "node/vault/db.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "tests/node/scratch.h"

enum { THREADS = 20, ACKNOWLEDGED = 150 };

/* ---- pieces of work; permit(id, packed) serves as a table of any table's shape ---- */

static enum fault put(struct cx *cx, sqlite3 *sql, uint64_t id, size_t size)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    void *content = cx_alloc(cx, size);

    if (content == NULL)
        return FAULT_MEMORY;
    TRY(db_prepare(cx, sql, &stmt, "INSERT INTO permit(id, packed) VALUES(?,?)", "bb",
                   bytes_of(&id, sizeof id), bytes_of(content, size)));
    return db_run(cx, sql, stmt);
}

static enum fault put_small(struct cx *cx, sqlite3 *sql, void *user)
{
    return put(cx, sql, *(const uint64_t *)user, 8);
}

static enum fault put_and_fail(struct cx *cx, sqlite3 *sql, void *user)
{
    TRY(put(cx, sql, *(const uint64_t *)user, 8));
    return cx_fail(cx, FAULT_REFUSED, "changed my mind");
}

static enum fault put_large(struct cx *cx, sqlite3 *sql, void *user)
{
    return put(cx, sql, *(const uint64_t *)user, 4000 * 1000);
}

struct count {
    uint64_t id, n;
};

static enum fault count_id(struct cx *cx, sqlite3 *sql, void *user)
{
    struct count *c = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, "SELECT count(*) FROM permit WHERE id=?", "b",
                   bytes_of(&c->id, sizeof c->id)));
    TRY(db_step(cx, sql, stmt, &row));
    c->n = (uint64_t)sqlite3_column_int64(stmt, 0);
    return FAULT_NONE;
}

static bool is_there(struct cx *cx, struct db *db, uint64_t id)
{
    struct count c = {.id = id};

    CHECK_OK_("count", cx, db_read(cx, db, count_id, &c));
    return c.n == 1;
}

/* ---- one group ---- */

static atomic_int commits, waiting;

static int on_commit(void *user)
{
    (void)user;
    atomic_fetch_add(&commits, 1);
    return 0;
}

/* Holds the writer until all others wait behind it. */
static enum fault hold(struct cx *cx, sqlite3 *sql, void *user)
{
    (void)cx;
    (void)user;
    (void)sqlite3_commit_hook(sql, on_commit, NULL);
    while (atomic_load(&waiting) < THREADS)
        (void)usleep(1000);
    (void)usleep(50 * 1000); /* from the mark to the queue */
    return FAULT_NONE;
}

struct writer {
    struct db *db;
    uint64_t id;
    db_work *work;
    enum fault fault;
};

static void *write_main(void *user)
{
    struct writer *w = user;
    AUTO_CX struct cx *cx = cx_new(8 * 1024 * 1024, CX_NO_DEADLINE);

    if (w->id != 0)
        atomic_fetch_add(&waiting, 1);
    w->fault = db_write(cx, w->db, w->work, &w->id);
    return NULL;
}

static void run_writers(struct db *db, struct writer *w, size_t n)
{
    pthread_t first, threads[THREADS];
    struct writer holder = {.db = db, .work = hold};

    atomic_store(&commits, 0);
    atomic_store(&waiting, 0);
    assert_int_equal(pthread_create(&first, NULL, write_main, &holder), 0);
    (void)usleep(20 * 1000);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_main, &w[i]), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(pthread_join(first, NULL), 0);
    CHECK_EQ_("holder", holder.fault, FAULT_NONE);
}

static void test_db__all_who_wait_share_one_commit(void **state)
{
    struct scratch s;
    AUTO_CX struct cx *cx = cx_new(1024 * 1024, CX_NO_DEADLINE);
    struct db *db = NULL;
    struct writer w[THREADS];

    (void)state;
    scratch_new(&s);
    CHECK_OK_("open", cx, db_open(cx, s.db, &db));
    for (size_t i = 0; i < THREADS; i++)
        w[i] = (struct writer){.db = db, .id = i + 1, .work = put_small};
    run_writers(db, w, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK_EQ_("piece", w[i].fault, FAULT_NONE);
        CHECK_("written", is_there(cx, db, i + 1));
    }
    CHECK_EQ_("commits: the holder's and one for all others", atomic_load(&commits), 2);
    db_close(&db);
    scratch_free(&s);
}

static void test_db__a_failing_piece_is_rolled_back_alone(void **state)
{
    struct scratch s;
    AUTO_CX struct cx *cx = cx_new(1024 * 1024, CX_NO_DEADLINE);
    struct db *db = NULL;
    struct writer w[THREADS];

    (void)state;
    scratch_new(&s);
    CHECK_OK_("open", cx, db_open(cx, s.db, &db));
    for (size_t i = 0; i < THREADS; i++)
        w[i] = (struct writer){
            .db = db, .id = i + 1, .work = i % 3 == 1 ? put_and_fail : put_small};
    run_writers(db, w, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK_EQ_("fault", w[i].fault, i % 3 == 1 ? FAULT_REFUSED : FAULT_NONE);
        CHECK_EQ_("row", is_there(cx, db, i + 1), i % 3 != 1);
    }
    uint64_t again = 1;
    CHECK_EQ_("the same id twice", db_write(cx, db, put_small, &again), FAULT_CONFLICT);
    db_close(&db);
    scratch_free(&s);
}

/* ---- a full disk, played by a limit on the file's pages ---- */

static enum fault limit_pages(struct cx *cx, sqlite3 *sql, void *user)
{
    const char *text = user;

    if (sqlite3_exec(sql, text, NULL, NULL, NULL) != SQLITE_OK)
        return cx_fail(cx, FAULT_STORAGE, "%s", sqlite3_errmsg(sql));
    return FAULT_NONE;
}

static void test_db__a_full_disk_is_told_and_the_next_write_works(void **state)
{
    struct scratch s;
    AUTO_CX struct cx *cx = cx_new(32 * 1024 * 1024, CX_NO_DEADLINE);
    struct db *db = NULL;
    struct writer w[THREADS];

    (void)state;
    scratch_new(&s);
    CHECK_OK_("open", cx, db_open(cx, s.db, &db));
    CHECK_OK_("limit", cx,
              db_write(cx, db, limit_pages, (char *)"PRAGMA max_page_count=200"));
    for (size_t i = 0; i < THREADS; i++)
        w[i] = (struct writer){
            .db = db, .id = i + 1, .work = i == THREADS / 2 ? put_large : put_small};
    run_writers(db, w, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK_("a known fault", w[i].fault == FAULT_NONE || w[i].fault == FAULT_STORAGE);
        CHECK_EQ_("acknowledged means written", is_there(cx, db, i + 1),
                  w[i].fault == FAULT_NONE);
    }
    uint64_t id = 1000;
    CHECK_EQ_("too large", db_write(cx, db, put_large, &id), FAULT_STORAGE);
    CHECK_("it says so", strstr(cx_message(cx), "disk is full") != NULL);
    CHECK_OK_("small", cx, db_write(cx, db, put_small, &id));
    CHECK_OK_("room", cx,
              db_write(cx, db, limit_pages, (char *)"PRAGMA max_page_count=100000"));
    id++;
    CHECK_OK_("large again", cx, db_write(cx, db, put_large, &id));
    db_close(&db);
    scratch_free(&s);
}

/* ---- one owner ---- */

static void test_db__a_second_process_is_refused(void **state)
{
    struct scratch s;
    AUTO_CX struct cx *cx = cx_new(1024 * 1024, CX_NO_DEADLINE);
    struct db *db = NULL, *other = NULL;
    int status;

    (void)state;
    scratch_new(&s);
    CHECK_OK_("open", cx, db_open(cx, s.db, &db));
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        enum fault fault = db_open(cx, s.db, &other);

        _exit(fault == FAULT_STORAGE && strstr(cx_message(cx), "another cohortiumd runs on "
                                                               "this folder") != NULL
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    CHECK_EQ_("second process", WEXITSTATUS(status), 0);
    db_close(&db);
    CHECK_OK_("after the first has gone", cx, db_open(cx, s.db, &db));
    db_close(&db);
    scratch_free(&s);
}

/* ---- SIGKILL ---- */

struct hammer {
    struct db *db;
    uint64_t first;
    int pipe;
};

static void *hammer_main(void *user)
{
    struct hammer *h = user;

    for (uint64_t id = h->first;; id += 4) {
        AUTO_CX struct cx *cx = cx_new(1024 * 1024, CX_NO_DEADLINE);

        if (db_write(cx, h->db, put_small, &id) != FAULT_NONE ||
            write(h->pipe, &id, sizeof id) != sizeof id)
            _exit(1);
    }
    return NULL;
}

static void hammer(const char *path, int pipe)
{
    struct cx *cx = cx_new(1024 * 1024, CX_NO_DEADLINE);
    struct db *db = NULL;
    struct hammer h[4];
    pthread_t t;

    if (db_open(cx, path, &db) != FAULT_NONE)
        _exit(1);
    for (uint64_t i = 0; i < 4; i++) {
        h[i] = (struct hammer){.db = db, .first = i, .pipe = pipe};
        if (pthread_create(&t, NULL, hammer_main, &h[i]) != 0)
            _exit(1);
    }
    for (;;)
        (void)pause();
}

static void test_db__what_was_acknowledged_survives_a_kill(void **state)
{
    struct scratch s;
    AUTO_CX struct cx *cx = cx_new(1024 * 1024, CX_NO_DEADLINE);
    struct db *db = NULL;
    uint64_t ids[100000];
    size_t n = 0;
    int ends[2], status;

    (void)state;
    scratch_new(&s);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        hammer(s.db, ends[1]);
    (void)close(ends[1]);
    while (n < ACKNOWLEDGED && read(ends[0], &ids[n], sizeof ids[n]) == sizeof ids[n])
        n++;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    CHECK_("it was killed, it did not fail", WIFSIGNALED(status));
    while (n < COUNT(ids) && read(ends[0], &ids[n], sizeof ids[n]) == sizeof ids[n])
        n++;
    (void)close(ends[0]);
    CHECK_("enough was acknowledged", n >= ACKNOWLEDGED);
    CHECK_OK_("reopen", cx, db_open(cx, s.db, &db));
    for (size_t i = 0; i < n; i++)
        CHECK_("acknowledged", is_there(cx, db, ids[i]));
    db_close(&db);
    scratch_free(&s);
}

/* ---- opening ---- */

static void test_db__damaged_and_newer_files_are_refused(void **state)
{
    struct scratch s;
    AUTO_CX struct cx *cx = cx_new(4 * 1024 * 1024, CX_NO_DEADLINE);
    struct db *db = NULL;
    sqlite3 *sql = NULL;

    (void)state;
    scratch_new(&s);
    CHECK_OK_("new", cx, db_open(cx, s.db, &db));
    for (uint64_t id = 0; id < 200; id++)
        CHECK_OK_("put", cx, db_write(cx, db, put_small, &id));
    db_close(&db);
    assert_int_equal(sqlite3_open(s.db, &sql), SQLITE_OK);
    assert_int_equal(sqlite3_exec(sql, "PRAGMA user_version=99", NULL, NULL, NULL),
                     SQLITE_OK);
    (void)sqlite3_close(sql);
    CHECK_EQ_("newer", db_open(cx, s.db, &db), FAULT_STORAGE);
    CHECK_("says so", strstr(cx_message(cx), "newer cohortiumd") != NULL);
    assert_int_equal(sqlite3_open(s.db, &sql), SQLITE_OK);
    assert_int_equal(sqlite3_exec(sql, "PRAGMA user_version=1", NULL, NULL, NULL),
                     SQLITE_OK);
    (void)sqlite3_close(sql);
    CHECK_OK_("ours again", cx, db_open(cx, s.db, &db));
    db_close(&db);

    int fd = open(s.db, O_RDWR | O_CLOEXEC);
    char junk[512];

    memset(junk, 0xa5, sizeof junk);
    assert_true(fd >= 0);
    for (off_t page = 1; page < 12; page++)
        assert_int_equal(pwrite(fd, junk, sizeof junk, page * 4096), sizeof junk);
    (void)close(fd);
    CHECK_EQ_("damaged", db_open(cx, s.db, &db), FAULT_STORAGE);
    CHECK_("says so", strstr(cx_message(cx), "damaged") != NULL);
    scratch_free(&s);
}

/* ---- statements ---- */

static enum fault writes_though_reading(struct cx *cx, sqlite3 *sql, void *user)
{
    CHECK_EQ_("may write", db_may_write(sql), false);
    return put_small(cx, sql, user);
}

static enum fault uses_two_alike(struct cx *cx, sqlite3 *sql, void *user)
{
    AUTO_STMT sqlite3_stmt *a = NULL, *b = NULL;
    static const char text[] = "SELECT ?";
    bool row = false;

    (void)user;
    TRY(db_prepare(cx, sql, &a, text, "i", (int64_t)1));
    TRY(db_step(cx, sql, a, &row));
    TRY(db_prepare(cx, sql, &b, text, "t", "two"));
    TRY(db_step(cx, sql, b, &row));
    CHECK_("two statements of one text", a != b);
    CHECK_EQ_("the first keeps its row", sqlite3_column_int64(a, 0), 1);
    CHECK_("text", strcmp((const char *)sqlite3_column_text(b, 0), "two") == 0);
    db_done(&a);
    TRY(db_prepare(cx, sql, &a, text, "b", bytes_of(NULL, 0)));
    TRY(db_step(cx, sql, a, &row));
    CHECK_EQ_("an empty blob is no null", sqlite3_column_type(a, 0), SQLITE_BLOB);
    db_done(&a);
    TRY(db_prepare(cx, sql, &a, text, "n"));
    TRY(db_step(cx, sql, a, &row));
    CHECK_EQ_("null", sqlite3_column_type(a, 0), SQLITE_NULL);
    db_done(&a);
    CHECK_EQ_("too few binds", db_prepare(cx, sql, &a, text, ""), FAULT_INTERNAL);
    CHECK_EQ_("no such table", db_prepare(cx, sql, &a, "SELECT * FROM nowhere", ""),
              FAULT_STORAGE);
    return FAULT_NONE;
}

static void test_db__readers_do_not_write_and_statements_are_kept_apart(void **state)
{
    struct scratch s;
    AUTO_CX struct cx *cx = cx_new(1024 * 1024, CX_NO_DEADLINE);
    struct db *db = NULL;
    uint64_t id = 7;

    (void)state;
    scratch_new(&s);
    CHECK_OK_("open", cx, db_open(cx, s.db, &db));
    CHECK_EQ_("a reader that writes", db_read(cx, db, writes_though_reading, &id),
              FAULT_STORAGE);
    CHECK_("nothing written", !is_there(cx, db, id));
    for (int i = 0; i < 3; i++) {
        CHECK_OK_("reading", cx, db_read(cx, db, uses_two_alike, NULL));
        CHECK_OK_("writing", cx, db_write(cx, db, uses_two_alike, NULL));
    }
    db_close(&db);
    scratch_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_db__what_was_acknowledged_survives_a_kill),
        cmocka_unit_test(test_db__all_who_wait_share_one_commit),
        cmocka_unit_test(test_db__a_failing_piece_is_rolled_back_alone),
        cmocka_unit_test(test_db__a_full_disk_is_told_and_the_next_write_works),
        cmocka_unit_test(test_db__a_second_process_is_refused),
        cmocka_unit_test(test_db__damaged_and_newer_files_are_refused),
        cmocka_unit_test(test_db__readers_do_not_write_and_statements_are_kept_apart),
    };

    return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}

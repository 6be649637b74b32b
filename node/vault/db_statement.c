/* db_statement.c - connections, their kept statements, and typed binds. */
#include "node/vault/db_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUSY_MS = 10000 };

static _Thread_local struct connection *current;

bool db_is_full(sqlite3 *sql)
{
    int code = sqlite3_errcode(sql), cause = sqlite3_system_errno(sql);

    /* The index of the write-ahead log grows by a write whose errno is not kept. */
    return code == SQLITE_FULL || sqlite3_extended_errcode(sql) == SQLITE_IOERR_SHMSIZE ||
           (code == SQLITE_IOERR && (cause == ENOSPC || cause == EDQUOT));
}

enum fault db_failed(struct cx *cx, sqlite3 *sql)
{
    if (db_is_full(sql))
        return cx_fail(cx, FAULT_STORAGE,
                       "database: the disk is full; make room in the "
                       "node's folder and ask again");
    switch (sqlite3_errcode(sql)) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return cx_fail(cx, FAULT_STORAGE,
                       "database: the file is damaged (%s); stop the node "
                       "and restore its folder from a backup",
                       sqlite3_errmsg(sql));
    case SQLITE_CONSTRAINT:
        return cx_fail(cx, FAULT_CONFLICT, "database: %s", sqlite3_errmsg(sql));
    case SQLITE_NOMEM:
        return cx_fail(cx, FAULT_MEMORY, "database: no memory");
    default:
        return cx_fail(cx, FAULT_STORAGE, "database: %s", sqlite3_errmsg(sql));
    }
}

enum fault db_execute(struct cx *cx, sqlite3 *sql, const char *text)
{
    if (sqlite3_exec(sql, text, NULL, NULL, NULL) != SQLITE_OK)
        return db_failed(cx, sql);
    return FAULT_NONE;
}

static enum fault configure(struct cx *cx, sqlite3 *sql, bool writer)
{
    if (sqlite3_busy_timeout(sql, BUSY_MS) != SQLITE_OK)
        return db_failed(cx, sql);
    TRY(db_execute(cx, sql,
                   "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
                   "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY"));
    if (!writer)
        return db_execute(cx, sql, "PRAGMA query_only=ON");
    return db_execute(cx, sql, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
}

enum fault connection_open(struct cx *cx, const char *path, bool writer,
                           struct connection **ret)
{
    struct connection *c = calloc(1, sizeof *c);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;

    if (c == NULL)
        return cx_fail(cx, FAULT_MEMORY, "database: no memory for a connection");
    enum fault fault = FAULT_NONE;

    c->writer = writer;
    if (sqlite3_open_v2(path, &c->sql, flags | (writer ? SQLITE_OPEN_CREATE : 0), NULL) !=
        SQLITE_OK)
        fault = c->sql == NULL ? cx_fail(cx, FAULT_MEMORY, "database: no memory")
                               : db_failed(cx, c->sql);
    else
        fault = configure(cx, c->sql, writer);
    if (fault != FAULT_NONE) {
        connection_close(&c);
        return fault;
    }
    *ret = c;
    return FAULT_NONE;
}

void connection_close(struct connection **c)
{
    if (*c == NULL)
        return;
    for (size_t i = 0; i < (*c)->n_statements; i++)
        (void)sqlite3_finalize((*c)->statements[i].stmt);
    for (size_t i = 0; i < CONTROLS; i++)
        (void)sqlite3_finalize((*c)->controls[i]);
    (void)sqlite3_close_v2((*c)->sql);
    free(*c);
    *c = NULL;
}

bool connection_control(struct connection *c, enum control control)
{
    static const char *const texts[CONTROLS] = {
        [CONTROL_BEGIN] = "BEGIN",
        [CONTROL_BEGIN_WRITING] = "BEGIN IMMEDIATE",
        [CONTROL_COMMIT] = "COMMIT",
        [CONTROL_ROLLBACK] = "ROLLBACK",
        [CONTROL_SAVEPOINT] = "SAVEPOINT piece",
        [CONTROL_ROLLBACK_TO] = "ROLLBACK TO piece",
        [CONTROL_RELEASE] = "RELEASE piece",
    };
    sqlite3_stmt **stmt = &c->controls[control];

    if (*stmt == NULL &&
        sqlite3_prepare_v3(c->sql, texts[control], -1, SQLITE_PREPARE_PERSISTENT, stmt,
                           NULL) != SQLITE_OK)
        return false;
    (void)sqlite3_step(*stmt);
    return sqlite3_reset(*stmt) == SQLITE_OK; /* tells what the step did */
}

struct connection *connection_enter(struct connection *c)
{
    struct connection *before = current;

    current = c;
    return before;
}

void connection_leave(struct connection *c, struct connection *before)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->n_statements; i++)
        if (!c->statements[i].busy)
            c->statements[kept++] = c->statements[i];
    c->n_statements = kept;
    current = before;
}

bool db_may_write(sqlite3 *sql)
{
    return current != NULL && current->sql == sql && current->writer;
}

static sqlite3_stmt *kept_take(sqlite3 *sql, const char *text)
{
    if (current == NULL || current->sql != sql)
        return NULL;
    for (size_t i = 0; i < current->n_statements; i++) {
        struct kept_statement *k = &current->statements[i];

        if (!k->busy && strcmp(sqlite3_sql(k->stmt), text) == 0) {
            k->busy = true;
            return k->stmt;
        }
    }
    return NULL;
}

static void kept_add(sqlite3 *sql, sqlite3_stmt *stmt)
{
    if (current == NULL || current->sql != sql ||
        current->n_statements == CONNECTION_STATEMENTS)
        return;
    current->statements[current->n_statements++] =
        (struct kept_statement){.stmt = stmt, .busy = true};
}

static bool kept_give_back(sqlite3_stmt *stmt)
{
    if (current == NULL)
        return false;
    for (size_t i = 0; i < current->n_statements; i++)
        if (current->statements[i].stmt == stmt) {
            current->statements[i].busy = false;
            return true;
        }
    return false;
}

static int bind_one(sqlite3_stmt *stmt, int place, char type, va_list *list)
{
    switch (type) {
    case 'b': {
        struct bytes b = va_arg(*list, struct bytes);

        return b.n == 0 ? sqlite3_bind_zeroblob(stmt, place, 0)
                        : sqlite3_bind_blob64(stmt, place, b.p, b.n, SQLITE_TRANSIENT);
    }
    case 't': {
        const char *text = va_arg(*list, const char *);

        return text == NULL ? sqlite3_bind_null(stmt, place)
                            : sqlite3_bind_text(stmt, place, text, -1, SQLITE_TRANSIENT);
    }
    case 'i':
        return sqlite3_bind_int64(stmt, place, va_arg(*list, int64_t));
    case 'd':
        return sqlite3_bind_double(stmt, place, va_arg(*list, double));
    case 'n':
        return sqlite3_bind_null(stmt, place);
    default:
        return SQLITE_MISUSE;
    }
}

enum fault db_prepare(struct cx *cx, sqlite3 *sql, sqlite3_stmt **ret, const char *text,
                      const char *types, ...)
{
    sqlite3_stmt *stmt = kept_take(sql, text);
    va_list list;
    int code = SQLITE_OK;

    if (stmt == NULL) {
        if (sqlite3_prepare_v3(sql, text, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) !=
            SQLITE_OK)
            return db_failed(cx, sql);
        kept_add(sql, stmt);
    }
    if ((size_t)sqlite3_bind_parameter_count(stmt) != strlen(types)) {
        db_done(&stmt);
        return cx_fail(cx, FAULT_INTERNAL, "database: \"%s\" is bound by \"%s\"", text,
                       types);
    }
    va_start(list, types);
    for (int i = 0; types[i] != '\0' && code == SQLITE_OK; i++)
        code = bind_one(stmt, i + 1, types[i], &list);
    va_end(list);
    if (code != SQLITE_OK) {
        enum fault fault = db_failed(cx, sql);

        db_done(&stmt);
        return fault;
    }
    *ret = stmt;
    return FAULT_NONE;
}

void db_done(sqlite3_stmt **stmt)
{
    if (*stmt == NULL)
        return;
    (void)sqlite3_reset(*stmt); /* its fault was told by the step */
    (void)sqlite3_clear_bindings(*stmt);
    if (!kept_give_back(*stmt))
        (void)sqlite3_finalize(*stmt);
    *stmt = NULL;
}

enum fault db_step(struct cx *cx, sqlite3 *sql, sqlite3_stmt *stmt, bool *ret_row)
{
    int code = sqlite3_step(stmt);

    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return db_failed(cx, sql);
    *ret_row = code == SQLITE_ROW;
    return FAULT_NONE;
}

enum fault db_run(struct cx *cx, sqlite3 *sql, sqlite3_stmt *stmt)
{
    bool row = false;

    TRY(db_step(cx, sql, stmt, &row));
    if (row)
        return cx_fail(cx, FAULT_INTERNAL, "database: a row where none was expected");
    return FAULT_NONE;
}

struct bytes db_bytes(struct cx *cx, sqlite3_stmt *stmt, int column)
{
    const void *p = sqlite3_column_blob(stmt, column);
    int n = sqlite3_column_bytes(stmt, column);

    if (p == NULL || n <= 0)
        return (struct bytes){0};
    const void *copy = cx_memdup(cx, p, (size_t)n);

    return copy == NULL ? (struct bytes){0} : bytes_of(copy, (size_t)n);
}

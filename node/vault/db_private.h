/*
 * db_private.h - what the db*.c files share.
 *
 * A connection keeps the statements that it has prepared: preparing costs more than a small
 * answer may. db_prepare takes a free one of the calling thread's current connection;
 * db_done gives it back.
 */
#pragma once

#include "node/vault/db.h"

enum { CONNECTION_STATEMENTS = 96 };

/* What begins and ends transactions; prepared once, too. */
enum control {
    CONTROL_BEGIN,
    CONTROL_BEGIN_WRITING,
    CONTROL_COMMIT,
    CONTROL_ROLLBACK,
    CONTROL_SAVEPOINT,
    CONTROL_ROLLBACK_TO,
    CONTROL_RELEASE,
    CONTROLS
};

struct connection {
    struct connection *next;
    sqlite3 *sql;
    bool writer;
    sqlite3_stmt *controls[CONTROLS]; /* NULL: not needed yet */
    size_t n_statements;
    struct kept_statement {
        sqlite3_stmt *stmt;
        bool busy;
    } statements[CONNECTION_STATEMENTS];
};

CHECKED enum fault connection_open(struct cx *cx, const char *path, bool writer,
                                   struct connection **ret);
void connection_close(struct connection **c);
/* Makes c the calling thread's current connection and returns the one before. */
struct connection *connection_enter(struct connection *c);
/* Ends c's turn: statements that the work did not give back are no longer kept. */
void connection_leave(struct connection *c, struct connection *before);

/* False: sqlite's error is that of c->sql. */
bool connection_control(struct connection *c, enum control control);

/* Statements without parameters and rows. */
CHECKED enum fault db_execute(struct cx *cx, sqlite3 *sql, const char *text);
/* The last error of sql, told as a fault. */
enum fault db_failed(struct cx *cx, sqlite3 *sql);
/* Brings the schema up to date (db_schema.c). */
CHECKED enum fault db_upgrade(struct cx *cx, sqlite3 *sql);

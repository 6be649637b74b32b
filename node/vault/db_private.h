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

struct connection {
    struct connection *next;
    sqlite3 *sql;
    bool writer;
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

/* Statements without parameters and rows. */
CHECKED enum fault db_execute(struct cx *cx, sqlite3 *sql, const char *text);
/* The last error of sql, told as a fault. */
enum fault db_failed(struct cx *cx, sqlite3 *sql);
/* Brings the schema up to date (db_schema.c). */
CHECKED enum fault db_upgrade(struct cx *cx, sqlite3 *sql);

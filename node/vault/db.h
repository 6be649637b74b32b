/*
 * db.h - the vault's SQLite file: catalogue, papers, policy history, ledger, replay ids,
 * log.
 *
 * WAL, synchronous=FULL, foreign keys on. Commits are of groups: db_write queues a piece of
 * work; who finds nobody writing runs all that waits inside one transaction (a savepoint
 * each), commits, and all of them return. So what db_write acknowledged is durable. A piece
 * may run on any thread that writes, while its own waits.
 */
#pragma once

#include <sqlite3.h>

#include "protocol/base/bytes.h"

struct db;

typedef enum fault db_work(struct cx *cx, sqlite3 *sql, void *user);

/* Creates or upgrades the schema (user_version; older files are upgraded, newer refused).
 * Second process on the same file: FAULT_STORAGE "another cohortiumd runs on this folder".
 */
CHECKED enum fault db_open(struct cx *cx, const char *path, struct db **ret);
void db_close(struct db **db);
/* Runs work in the next group; returns after the commit. A failing piece is rolled back
 * alone and its fault returned. Any thread. */
CHECKED enum fault db_write(struct cx *cx, struct db *db, db_work *work, void *user);
/* Runs work on a read connection of the calling thread's own. */
CHECKED enum fault db_read(struct cx *cx, struct db *db, db_work *work, void *user);
/* Grows with every commit, before its db_write returns: what was read after taking it still
 * stands while it is the same. */
uint64_t db_changes(struct db *db);

/* Whether this work runs in db_write (a reader's connection refuses to write). */
bool db_may_write(sqlite3 *sql);

/* Whether it failed because there is no room on the disk. */
bool db_is_full(sqlite3 *sql);
/* Small helpers: prepare with typed binds, all copied: "b" a struct bytes (empty: an empty
 * blob), "t" text (NULL: null), "i" int64_t (cast to it!), "d" double, "n" null (takes no
 * argument). Give the statement back by db_done on every path; the connection keeps it for
 * the next call with the same text. */
CHECKED enum fault db_prepare(struct cx *cx, sqlite3 *sql, sqlite3_stmt **ret,
                              const char *text, const char *types, ...);
void db_done(sqlite3_stmt **stmt);
#define AUTO_STMT __attribute__((cleanup(db_done)))
/* One step that must not give a row. */
CHECKED enum fault db_run(struct cx *cx, sqlite3 *sql, sqlite3_stmt *stmt);
/* FAULT_NONE and *ret_row = whether there is a row. */
CHECKED enum fault db_step(struct cx *cx, sqlite3 *sql, sqlite3_stmt *stmt, bool *ret_row);
struct bytes db_bytes(struct cx *cx, sqlite3_stmt *stmt, int column); /* copied */

/* people.c - see people.h. */
#include "node/vault/people.h"

enum fault people_note(struct cx *cx, sqlite3 *sql, const struct credential *who)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT INTO person(subject, name, home) VALUES(?,?,?)"
                   " ON CONFLICT(subject) DO UPDATE SET name=excluded.name,"
                   " home=excluded.home WHERE name<>excluded.name OR home<>excluded.home",
                   "btt", bytes_of(who->subject, sizeof who->subject), who->body->name,
                   who->home->name));
    return db_run(cx, sql, stmt);
}

enum fault people_name(struct cx *cx, sqlite3 *sql, struct bytes subject, const char **ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, "SELECT name, home FROM person WHERE subject=?", "b",
                   subject));
    TRY(db_step(cx, sql, stmt, &row));
    const char *key = bytes_hex(cx, subject.p, subject.n < 4 ? subject.n : 4);
    if (key == NULL)
        return FAULT_MEMORY;
    *ret = subject.n == 0 ? "this node"
           : row          ? cx_printf(cx, "%s of %s (key %s)", sqlite3_column_text(stmt, 0),
                                      sqlite3_column_text(stmt, 1), key)
                          : cx_printf(cx, "key %s", key);
    return *ret != NULL ? FAULT_NONE : FAULT_MEMORY;
}

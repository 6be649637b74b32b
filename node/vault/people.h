/*
 * people.h - names of those whose questions this node has seen, by the digest that the log
 * has of their key. Only for reading a report: a name proves nothing, and may be erased.
 */
#pragma once

#include "node/vault/db.h"
#include "protocol/papers.h"

CHECKED enum fault people_note(struct cx *cx, sqlite3 *sql, const struct credential *who);
/* "ada of hospital_a", or the key's first digits. */
CHECKED enum fault people_name(struct cx *cx, sqlite3 *sql, struct bytes subject,
                               const char **ret);

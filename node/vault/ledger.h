/*
 * ledger.h - the memory of the regions that everything released rests on.
 *
 * One ledger a patient namespace; rows are added inside the transaction that precedes the
 * first vector after the verdict, and never removed. The head is a hash chain, so that
 * vaults can say in one digest what they hold. (Snapping and leverage over all rows read it
 * later.)
 */
#pragma once

#include "analyses/regions.h"
#include "node/vault/db.h"

/* Adds regions that are new (by canonical expression; but for those that leave_out, which
 * may be NULL, names) with their patient sets (bitmaps over
 * the ordinals of this version; may be NULL) and the numeric quasi-identifier covariates.
 */
CHECKED enum fault ledger_add(struct cx *cx, sqlite3 *sql, const struct codebook *cb,
                              const uint8_t version[16], const uint8_t question[32],
                              const struct regions *regions, const bool *leave_out,
                              uint64_t *const *bitmaps, uint64_t patients,
                              const int *quasi_columns, size_t n_columns);
/* Recomputes every row's digest and the chain of heads in each namespace, and looks for
 * every head that the log names. FAULT_CONFLICT says what does not fit. */
CHECKED enum fault ledger_verify(struct cx *cx, sqlite3 *sql);
/* The same against so many of the log's newest records: at start, in bounded time. */
CHECKED enum fault ledger_verify_newest(struct cx *cx, sqlite3 *sql, uint64_t records);
/* The newest head; 32 zero bytes of an empty ledger. */
CHECKED enum fault ledger_head(struct cx *cx, sqlite3 *sql, const char *name_space,
                               uint8_t ret[32]);

/* db_schema.c - the tables of vault.db, by version of the file. */
#include "node/vault/db_private.h"
#include "node/vault/store_schema.h"

/* Added to the catalogue's own tables (store_schema.h). Rows hold signed envelopes as they
 * came. Rows of log, log_node and ledger are never changed and never removed; only
 * log.details and log.salt may be erased (set NULL) when a law asks for it: the leaf keeps
 * their hash. */
static const char version_1[] = STORE_SCHEMA
    "CREATE TABLE permit(id BLOB PRIMARY KEY, packed BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE permit_charge(permit BLOB NOT NULL, question BLOB NOT NULL,"
    " PRIMARY KEY(permit, question)) WITHOUT ROWID;"
    "CREATE TABLE policy(serial INTEGER PRIMARY KEY, packed BLOB NOT NULL,"
    " applied_at INTEGER NOT NULL);"
    "CREATE TABLE researcher(row INTEGER PRIMARY KEY, serial BLOB NOT NULL UNIQUE,"
    " subject BLOB NOT NULL, name TEXT NOT NULL, packed BLOB NOT NULL,"
    " issued_at INTEGER NOT NULL, not_after INTEGER NOT NULL,"
    " revoked_at INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '');"
    "CREATE TABLE replay(issuer BLOB NOT NULL, request BLOB NOT NULL, digest BLOB NOT NULL,"
    " expires_at INTEGER NOT NULL, PRIMARY KEY(issuer, request)) WITHOUT ROWID;"
    "CREATE INDEX replay_expiry ON replay(expires_at);"
    "CREATE TABLE answer(question BLOB PRIMARY KEY, release BLOB NOT NULL,"
    " transcript BLOB NOT NULL, made_at INTEGER NOT NULL);"
    "CREATE TABLE ledger(row INTEGER PRIMARY KEY, namespace TEXT NOT NULL,"
    " kind TEXT NOT NULL, dataset TEXT NOT NULL, expression BLOB NOT NULL,"
    " digest BLOB NOT NULL, name TEXT NOT NULL, version BLOB NOT NULL,"
    " question BLOB NOT NULL, bitmap BLOB, patients INTEGER NOT NULL,"
    " prev BLOB NOT NULL, head BLOB NOT NULL, UNIQUE(namespace, digest));"
    "CREATE INDEX ledger_order ON ledger(namespace, row);"
    "CREATE TABLE log(idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL, hash BLOB NOT NULL,"
    " details TEXT, salt BLOB);"
    "CREATE TABLE log_node(level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT "
    "NULL,"
    " PRIMARY KEY(level, idx)) WITHOUT ROWID;"
    "CREATE TABLE log_checkpoint(size INTEGER PRIMARY KEY, note TEXT NOT NULL);";

/* Forms: questions that were charged, without versions and policy; preflight knows no more of
 * a question than its form. */
static const char version_2[] =
    "CREATE TABLE IF NOT EXISTS question_form(form BLOB PRIMARY KEY) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS permit_charge_question ON permit_charge(question);";

/* A permit that was taken back here stays, and so does why. */
static const char version_3[] =
    "CREATE TABLE IF NOT EXISTS permit_revocation(id BLOB PRIMARY KEY,"
    " revoked_at INTEGER NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;";

/* Later: signed questions that wait at home, and what came of them. state: 0 waits, 1 done,
 * 2 failed; down: it waits for a link. */
static const char version_4[] =
    "CREATE TABLE IF NOT EXISTS later(row INTEGER PRIMARY KEY, issuer BLOB NOT NULL,"
    " request BLOB NOT NULL, digest BLOB NOT NULL, packed BLOB NOT NULL,"
    " kept_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
    " state INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,"
    " try_at INTEGER NOT NULL DEFAULT 0, down INTEGER NOT NULL DEFAULT 0,"
    " trouble BLOB, receipt BLOB, UNIQUE(issuer, request));";

/* What is held of other members' logs, what they hold of ours, and who has asked (names, for
 * the report; the log has digests). */
static const char version_5[] =
    "CREATE TABLE IF NOT EXISTS peer_checkpoint(origin BLOB NOT NULL, size INTEGER NOT NULL,"
    " root BLOB NOT NULL, note TEXT NOT NULL, made_at INTEGER NOT NULL,"
    " seen_at INTEGER NOT NULL, PRIMARY KEY(origin, size)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS contradiction(row INTEGER PRIMARY KEY, origin BLOB NOT NULL,"
    " held TEXT NOT NULL, shown TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,"
    " last_at INTEGER NOT NULL, UNIQUE(origin, shown));"
    "CREATE TABLE IF NOT EXISTS cosignature(size INTEGER NOT NULL, peer BLOB NOT NULL,"
    " line TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(size, peer)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS peer_knows(peer BLOB PRIMARY KEY, size INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS own_note(note TEXT PRIMARY KEY, peer BLOB NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS person(subject BLOB PRIMARY KEY, name TEXT NOT NULL,"
    " home TEXT NOT NULL) WITHOUT ROWID;";

/* Papers that take a permit or a credential back, ours and others': whoever the target's
 * issuer or this site's officers are decides whether one binds. */
static const char version_6[] =
    "CREATE TABLE IF NOT EXISTS revocation(digest BLOB PRIMARY KEY, target BLOB NOT NULL,"
    " member BLOB NOT NULL, packed BLOB NOT NULL, until INTEGER NOT NULL,"
    " seen_at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS revocation_target ON revocation(target);";

/* What noised answers have cost (zcdp_budget.c). round -1: a question's charge; others: what a
 * round has drawn. Rows are never changed and never removed. rho: over 2^32. */
static const char version_7[] =
    "CREATE TABLE IF NOT EXISTS noise_spent(question BLOB NOT NULL, round INTEGER NOT NULL,"
    " draw BLOB NOT NULL, namespace TEXT NOT NULL, permit BLOB NOT NULL,"
    " researcher BLOB NOT NULL, rho INTEGER NOT NULL, at INTEGER NOT NULL,"
    " PRIMARY KEY(question, round, draw)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS noise_spent_namespace ON noise_spent(namespace, rho);"
    "CREATE INDEX IF NOT EXISTS noise_spent_permit ON noise_spent(permit, rho);"
    "CREATE INDEX IF NOT EXISTS noise_spent_researcher ON noise_spent(researcher, rho);";

/* What the leverages remember (memory.h). column: sets as little-endian 64-bit words, values as
 * 16-bit ones, by place of `people`; products: little-endian, with the columns before and
 * itself. Both say which patients, so they never leave this file. */
static const char version_8[] =
    "CREATE TABLE IF NOT EXISTS memory(namespace TEXT NOT NULL, dataset TEXT NOT NULL,"
    " place INTEGER NOT NULL, is_set INTEGER NOT NULL, column BLOB NOT NULL,"
    " products BLOB NOT NULL, head BLOB NOT NULL,"
    " PRIMARY KEY(namespace, dataset, place));"
    "CREATE TABLE IF NOT EXISTS memory_circle(namespace TEXT NOT NULL,"
    " dataset TEXT NOT NULL, members BLOB NOT NULL, confirmed INTEGER NOT NULL,"
    " people BLOB NOT NULL, PRIMARY KEY(namespace, dataset));";

/* Under which permit a column of `memory` was asked for first. */
static const char version_9[] =
    "CREATE TABLE IF NOT EXISTS memory_permit(namespace TEXT NOT NULL, dataset TEXT NOT NULL,"
    " place INTEGER NOT NULL, permit BLOB NOT NULL, PRIMARY KEY(namespace, dataset, place))"
    " WITHOUT ROWID;";

/* Patients who withdrew, by hash: their rows are in no sum from then on, whatever file they
 * come with. at: later than every import before it. */
static const char version_10[] =
    "CREATE TABLE IF NOT EXISTS left_out(namespace TEXT NOT NULL, hash BLOB NOT NULL,"
    " at INTEGER NOT NULL, PRIMARY KEY(namespace, hash)) WITHOUT ROWID;";

/* Answers that wait for an officer (review.h), then what was decided, with the signed paper. */
static const char version_11[] =
    "CREATE TABLE IF NOT EXISTS review(question BLOB PRIMARY KEY, digest BLOB NOT NULL,"
    " state INTEGER NOT NULL, multiple INTEGER NOT NULL, body BLOB NOT NULL,"
    " words TEXT NOT NULL, details TEXT NOT NULL, may_round INTEGER NOT NULL,"
    " permit BLOB NOT NULL, who BLOB NOT NULL, held_at INTEGER NOT NULL,"
    " reason TEXT NOT NULL DEFAULT '', officer TEXT NOT NULL DEFAULT '', paper BLOB,"
    " decided_at INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;";

/* Questions that were refused before data were looked at, by the digest of their request: for
 * simulate.h. The oldest go. */
static const char version_12[] =
    "CREATE TABLE IF NOT EXISTS refused(row INTEGER PRIMARY KEY, request BLOB NOT NULL UNIQUE,"
    " question BLOB NOT NULL);";

/* Of what a column of `memory` is (memory_meaning.c). */
static const char version_13[] =
    "CREATE TABLE IF NOT EXISTS memory_meaning(namespace TEXT NOT NULL, dataset TEXT NOT NULL,"
    " place INTEGER NOT NULL, meaning BLOB NOT NULL, PRIMARY KEY(namespace, dataset, place))"
    " WITHOUT ROWID;";

/* upgrades[v] takes a file of version v to v + 1. */
static const char *const upgrades[] = {version_1, version_2, version_3, version_4, version_5,
                                       version_6, version_7, version_8, version_9, version_10,
                                       version_11, version_12, version_13};

static enum fault read_version(struct cx *cx, sqlite3 *sql, int64_t *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, "PRAGMA user_version", ""));
    TRY(db_step(cx, sql, stmt, &row));
    *ret = row ? sqlite3_column_int64(stmt, 0) : 0;
    return FAULT_NONE;
}

static enum fault upgrade_from(struct cx *cx, sqlite3 *sql, int64_t version)
{
    TRY(db_execute(cx, sql, "BEGIN IMMEDIATE"));
    for (size_t v = (size_t)version; v < COUNT(upgrades); v++)
        TRY(db_execute(cx, sql, upgrades[v]));
    const char *set = cx_printf(cx, "PRAGMA user_version=%zu", COUNT(upgrades));

    if (set == NULL)
        return FAULT_MEMORY;
    TRY(db_execute(cx, sql, set));
    return db_execute(cx, sql, "COMMIT");
}

enum fault db_upgrade(struct cx *cx, sqlite3 *sql)
{
    int64_t version;

    TRY(read_version(cx, sql, &version));
    if (version > (int64_t)COUNT(upgrades))
        return cx_fail(cx, FAULT_STORAGE,
                       "this file was written by a newer cohortiumd (schema %lld, this one "
                       "knows up to %zu): install that version or newer",
                       (long long)version, COUNT(upgrades));
    if (version < 0)
        return cx_fail(cx, FAULT_STORAGE,
                       "schema version %lld is none of ours; restore the "
                       "file from a backup",
                       (long long)version);
    if (version == (int64_t)COUNT(upgrades))
        return FAULT_NONE;
    enum fault fault = upgrade_from(cx, sql, version);

    if (fault != FAULT_NONE && !sqlite3_get_autocommit(sql))
        (void)sqlite3_exec(sql, "ROLLBACK", NULL, NULL, NULL);
    return fault;
}

/* restored.c - see restored.h. */
#include "node/vault/restored.h"

#include <stdio.h>
#include <string.h>

#include "node/log.h"
#include "node/vault/audit_private.h"
#include "node/vault/vault.h"

static const char RESTORE[] = "restore", COMPARED[] = "compared";

/* ---- the log remembers ---- */

static enum fault append(struct cx *cx, sqlite3 *sql, const char *kind,
                         const char *decision, const char *details)
{
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;
    uint64_t index;

    record.kind = (char *)kind;
    record.decision = (char *)decision;
    return audit_append(cx, sql, &record, details, &index);
}

enum fault restored_mark(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct restored_from *from = user;
    const char *details =
        cx_printf(cx, "the folder was restored from a backup of %.40s with %llu records",
                  from->made, (unsigned long long)from->size);

    return details != NULL ? append(cx, sql, RESTORE, "done", details) : FAULT_MEMORY;
}

/* The newest record of a kind, -1 without one. A packed record begins with its kind. */
static enum fault newest(struct cx *cx, sqlite3 *sql, const char *kind, int64_t *ret)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    struct buffer b = buffer_new(cx, 64);
    uint8_t head[2] = {0x0a, (uint8_t)strlen(kind)};
    bool row = false;

    buffer_put(&b, head, sizeof head);
    buffer_text(&b, kind);
    TRY(b.fault);
    TRY(db_prepare(cx, sql, &stmt, "SELECT max(idx) FROM log WHERE substr(leaf, 1, ?) = ?",
                   "ib", (int64_t)b.n, bytes_of(b.p, b.n)));
    TRY(db_step(cx, sql, stmt, &row));
    *ret = row && sqlite3_column_type(stmt, 0) == SQLITE_INTEGER
               ? sqlite3_column_int64(stmt, 0)
               : -1;
    return FAULT_NONE;
}

static enum fault read_state(struct cx *cx, sqlite3 *sql, void *user)
{
    bool *restored = user;
    int64_t restore, compared;

    TRY(newest(cx, sql, RESTORE, &restore));
    TRY(newest(cx, sql, COMPARED, &compared));
    *restored = restore > compared;
    return FAULT_NONE;
}

static void set_state(struct vault *v, bool restored)
{
    (void)pthread_mutex_lock(&v->lock);
    v->restored = restored;
    (void)pthread_mutex_unlock(&v->lock);
}

static bool is_restored(struct vault *v)
{
    (void)pthread_mutex_lock(&v->lock);
    bool restored = v->restored;
    (void)pthread_mutex_unlock(&v->lock);
    return restored;
}

/* ---- the state ends ---- */

struct ending {
    const char *decision, *details;
    bool ended; /* by this call; another may have been first */
};

static enum fault write_end(struct cx *cx, sqlite3 *sql, void *user)
{
    struct ending *e = user;
    bool restored;

    TRY(read_state(cx, sql, &restored));
    e->ended = restored;
    return restored ? append(cx, sql, COMPARED, e->decision, e->details) : FAULT_NONE;
}

static enum fault end_state(struct cx *cx, struct vault *v, const char *decision,
                            const char *details)
{
    struct ending e = {.decision = decision, .details = details};

    if (details == NULL)
        return FAULT_MEMORY;
    TRY(db_write(cx, v->db, write_end, &e));
    set_state(v, false);
    if (e.ended)
        log_notice("the restored log may be built on: %s", details);
    return FAULT_NONE;
}

enum fault restored_load(struct cx *cx, struct vault *v)
{
    bool restored;

    TRY(db_read(cx, v->db, read_state, &restored));
    set_state(v, restored);
    if (restored && v->manifest->body->n_members == 1)
        return end_state(cx, v, "done",
                         "the consortium has no other member that could hold a newer "
                         "checkpoint");
    return FAULT_NONE;
}

/* So many have to find nothing missing: one alone may have been away when the newest
 * records were made. */
static size_t members_wanted(const struct vault *v)
{
    size_t others = v->manifest->body->n_members - 1;

    return others < WITNESSES_MIN ? others : WITNESSES_MIN;
}

enum fault restored_judge(struct cx *cx, struct vault *v)
{
    char by[sizeof v->restored_by];
    size_t wanted = members_wanted(v);

    (void)pthread_mutex_lock(&v->lock);
    bool restored = v->restored;
    memcpy(by, v->restored_by, sizeof by);
    (void)pthread_mutex_unlock(&v->lock);
    if (!restored)
        return FAULT_NONE;
    return cx_fail(
        cx, FAULT_REFUSED,
        "this node was restored from a backup, restored and not yet compared: it "
        "answers nothing until %zu other member%s linked that ha%s seen its log and "
        "find%s nothing missing%s%s%s. Where they cannot be reached, `cohortiumd audit "
        "accept-restore --reason TEXT` takes it on",
        wanted, wanted == 1 ? " is" : "s are", wanted == 1 ? "s" : "ve",
        wanted == 1 ? "s" : "", by[0] != '\0' ? " (so far: " : "", by,
        by[0] != '\0' ? ")" : "");
}

/* Whether enough have found nothing missing, now that this member has. */
static bool is_enough(struct vault *v, const char *who)
{
    (void)pthread_mutex_lock(&v->lock);
    bool another = v->restored_by[0] != '\0' && strcmp(v->restored_by, who) != 0;
    if (v->restored_by[0] == '\0')
        (void)snprintf(v->restored_by, sizeof v->restored_by, "%s", who);
    bool against = v->restored_against;
    (void)pthread_mutex_unlock(&v->lock);
    return !against && (another || members_wanted(v) < WITNESSES_MIN);
}

/* ---- others speak ---- */

struct comparing {
    uint64_t size;
    uint8_t root[DIGEST_BYTES];
    uint64_t ours;
    bool same;
};

static enum fault compare(struct cx *cx, sqlite3 *sql, void *user)
{
    struct comparing *c = user;
    struct merkle_store store = audit_store(sql);
    uint8_t root[DIGEST_BYTES];

    TRY(audit_size(cx, sql, &c->ours));
    c->same = false;
    if (c->size > c->ours)
        return FAULT_NONE;
    TRY(merkle_root(cx, &store, c->size, root));
    c->same = memcmp(root, c->root, sizeof root) == 0;
    return FAULT_NONE;
}

static enum fault check_note(struct cx *cx, struct vault *v, const char *who,
                             const char *note, uint64_t *ret_size)
{
    struct comparing c = {0};

    if (checkpoint_verify(cx, note, v->origin, v->self->signing_key.data, &c.size,
                          c.root) != FAULT_NONE)
        return cx_fail(cx, FAULT_DENIED,
                       "%s shows a checkpoint that this node has not signed", who);
    TRY(db_read(cx, v->db, compare, &c));
    *ret_size = c.size;
    if (c.same)
        return FAULT_NONE;
    return cx_fail(
        cx, FAULT_CONFLICT,
        "%s holds a checkpoint of %llu records with this node's signature, which the "
        "restored log of %llu does not continue: the backup is older than that. Stop "
        "the node and restore a newer one",
        who, (unsigned long long)c.size, (unsigned long long)c.ours);
}

enum fault vault_restored_check(struct cx *cx, struct vault *v, const char *who,
                                const char *note)
{
    uint64_t size = 0;

    if (!is_restored(v))
        return FAULT_NONE;
    if (note == NULL)
        return !is_enough(v, who)
                   ? FAULT_NONE
                   : end_state(cx, v, "done",
                               cx_printf(cx, "%s has cosigned the log as it is", who));
    enum fault fault = check_note(cx, v, who, note, &size);
    if (fault == FAULT_CONFLICT) {
        (void)pthread_mutex_lock(&v->lock);
        v->restored_against = true; /* whatever others say who were away then */
        (void)pthread_mutex_unlock(&v->lock);
        log_warning("this node answers nothing: %s", cx_message(cx));
    }
    TRY(fault);
    if (!is_enough(v, who))
        return FAULT_NONE;
    return end_state(cx, v, "done",
                     cx_printf(cx, "the log continues the %llu records that %s has seen",
                               (unsigned long long)size, who));
}

enum fault restored_accept(struct cx *cx, struct vault *v, const char *reason)
{
    if (!is_restored(v))
        return cx_fail(
            cx, FAULT_USAGE,
            "nothing waits for it: this node was not restored from a backup, or its "
            "log has been compared since");
    (void)pthread_mutex_lock(&v->lock);
    bool against = v->log_trouble[0] != '\0';
    if (against)
        (void)cx_fail(cx, FAULT_REFUSED, "this cannot be taken on: %s", v->log_trouble);
    (void)pthread_mutex_unlock(&v->lock);
    if (against)
        return FAULT_REFUSED;
    return end_state(cx, v, "accepted",
                     cx_printf(cx, "taken on by the operator: %.500s", reason));
}

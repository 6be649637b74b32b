/* witness_check.c - the log against its leaves, and against what peers hold of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/log.h"
#include "node/vault/audit_private.h"
#include "node/vault/vault.h"
#include "node/vault/witness.h"
#include "protocol/base/clock.h"

enum { HOLDS_MAX = 2 * 1024 * 1024, ASK_MS = 4000 };

void vault_log_trouble(struct vault *v, const char *text)
{
    (void)pthread_mutex_lock(&v->lock);
    bool is_new = strcmp(v->log_trouble, text) != 0;
    (void)snprintf(v->log_trouble, sizeof v->log_trouble, "%s", text);
    (void)pthread_mutex_unlock(&v->lock);
    if (is_new)
        log_warning("this node answers nothing: %s", text);
}

void vault_show_log(struct cx *cx, struct vault *v)
{
    if (v->to_net != NULL)
        v->to_net(v->to_net_user, cx, IPC_GREW, (struct bytes){0});
}

/* ---- against its own leaves ---- */

struct checking {
    struct vault *v;
    uint64_t size;
    uint8_t root[DIGEST_BYTES];
    struct audit_at *at; /* sizes of which the root is wanted, smallest first */
    size_t n_at;
    const char **notes; /* own_note */
    size_t n_notes;
};

static enum fault check_leaves(struct cx *cx, sqlite3 *sql, void *user)
{
    struct checking *c = user;

    return audit_verify(cx, sql, c->v->self->signing_key.data, c->v->origin, &c->size,
                        c->root);
}

static enum fault read_leaves(struct cx *cx, sqlite3 *sql, void *user)
{
    struct checking *c = user;

    return audit_of_leaves(cx, sql, c->at, c->n_at, &c->size, c->root);
}

static void set_damaged(struct cx *cx, struct vault *v)
{
    struct checking c = {.v = v};
    bool known = db_read(cx, v->db, read_leaves, &c) == FAULT_NONE;

    (void)pthread_mutex_lock(&v->lock);
    v->log_damaged = known;
    v->damaged_size = c.size;
    memcpy(v->damaged_root, c.root, DIGEST_BYTES);
    (void)pthread_mutex_unlock(&v->lock);
}

enum { NOTES_MAX = 256 };

static enum fault read_own_notes(struct cx *cx, sqlite3 *sql, void *user)
{
    struct checking *c = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    CX_NEW(cx, c->notes, NOTES_MAX);
    TRY(db_prepare(cx, sql, &stmt, "SELECT note FROM own_note", ""));
    while (c->n_notes < NOTES_MAX) {
        TRY(db_step(cx, sql, stmt, &row));
        if (!row)
            break;
        c->notes[c->n_notes] = cx_strdup(cx, (const char *)sqlite3_column_text(stmt, 0));
        if (c->notes[c->n_notes++] == NULL)
            return FAULT_MEMORY;
    }
    return FAULT_NONE;
}

static enum fault drop_own_notes(struct cx *cx, sqlite3 *sql, void *user)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    (void)user;
    TRY(db_prepare(cx, sql, &stmt, "DELETE FROM own_note", ""));
    return db_run(cx, sql, stmt);
}

static int by_size(const void *a, const void *b)
{
    const struct audit_at *x = a, *y = b;

    return x->size < y->size ? -1 : x->size > y->size;
}

static bool at_fits(const struct audit_at *at)
{
    return at->there && memcmp(at->root, at->signed_root, DIGEST_BYTES) == 0;
}

/* Notes that peers once showed us and our log did not continue; those that it does continue
 * now (the right copy was brought back) count no more. */
static enum fault check_own_notes(struct cx *cx, struct vault *v, uint64_t size)
{
    struct checking c = {.v = v};

    TRY(db_read(cx, v->db, read_own_notes, &c));
    if (c.n_notes == 0)
        return FAULT_NONE;
    CX_NEW(cx, c.at, c.n_notes);
    for (size_t i = 0; i < c.n_notes; i++)
        if (checkpoint_verify(cx, c.notes[i], v->origin, v->self->signing_key.data,
                              &c.at[c.n_at].size, c.at[c.n_at].signed_root) == FAULT_NONE)
            c.n_at++;
    qsort(c.at, c.n_at, sizeof *c.at, by_size);
    TRY(db_read(cx, v->db, read_leaves, &c));
    for (size_t i = 0; i < c.n_at; i++)
        if (!at_fits(&c.at[i]))
            return cx_fail(
                cx, FAULT_CONFLICT,
                "log: peers hold a checkpoint of %" PRIu64
                " records with this node's signature, which its log of %" PRIu64
                " records does not continue: it was rolled back or rewritten. Stop "
                "the node and bring back the newest copy of its folder",
                c.at[i].size, size);
    return db_write(cx, v->db, drop_own_notes, NULL);
}

enum fault witness_check_log(struct cx *cx, struct vault *v, uint64_t *ret_size,
                             uint8_t ret_root[32])
{
    struct checking c = {.v = v};
    enum fault fault = db_read(cx, v->db, check_leaves, &c);

    if (fault == FAULT_CONFLICT) {
        const char *why = cx_strdup(cx, cx_message(cx));

        set_damaged(cx, v);
        vault_log_trouble(v, why != NULL ? why : "log: it does not fit");
        vault_show_log(cx, v);
        return cx_fail(cx, FAULT_CONFLICT, "%s",
                       why != NULL ? why : "log: it does not fit");
    }
    TRY(fault);
    (void)pthread_mutex_lock(&v->lock);
    v->log_damaged = false;
    (void)pthread_mutex_unlock(&v->lock);
    fault = check_own_notes(cx, v, c.size);
    if (fault == FAULT_CONFLICT) {
        vault_log_trouble(v, cx_message(cx));
        return fault;
    }
    TRY(fault);
    (void)pthread_mutex_lock(&v->lock);
    v->log_trouble[0] = '\0';
    (void)pthread_mutex_unlock(&v->lock);
    *ret_size = c.size;
    memcpy(ret_root, c.root, DIGEST_BYTES);
    return FAULT_NONE;
}

/* ---- what peers hold ---- */

enum fault vault_peer_holds(struct cx *cx, struct vault *v, struct bytes call)
{
    struct asking *a = &v->asking;
    Cohortium__PeerHolds *body;

    TRY(pb_unpack(cx, &cohortium__peer_holds__descriptor, call, HOLDS_MAX, &body));
    uint8_t *kept = malloc(call.n ? call.n : 1);
    if (kept == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory");
    memcpy(kept, call.p, call.n);
    (void)pthread_mutex_lock(&v->lock);
    bool taken = a->waiting && body->asked == a->id && !body->last && a->n < ASKED_MAX;
    if (taken)
        a->list[a->n++] = bytes_of(kept, call.n);
    if (a->waiting && body->asked == a->id && body->last) {
        a->last = true;
        a->linked = body->linked;
    }
    (void)pthread_cond_broadcast(&a->heard);
    (void)pthread_mutex_unlock(&v->lock);
    if (!taken)
        free(kept);
    return FAULT_NONE;
}

/* By the clock that nobody sets: one put back by a day would else be waited for, a day
 * long. */
static void wait_for_peers(struct vault *v)
{
    struct asking *a = &v->asking;
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ASK_MS / 1000;
    while (!(a->last && a->n >= a->linked))
        if (pthread_cond_clockwait(&a->heard, &v->lock, CLOCK_MONOTONIC, &until) != 0)
            return;
}

/* All answers, copied into cx. */
static enum fault ask_peers(struct cx *cx, struct vault *v, Cohortium__PeerHolds ***ret,
                            size_t *ret_n)
{
    struct asking *a = &v->asking;
    enum fault fault = FAULT_NONE;
    struct bytes *list;
    size_t n;

    CX_NEW(cx, list, ASKED_MAX);
    (void)pthread_mutex_lock(&a->turn);
    (void)pthread_mutex_lock(&v->lock);
    uint64_t id = ++a->id;
    a->waiting = true;
    a->last = false;
    a->n = a->linked = 0;
    (void)pthread_mutex_unlock(&v->lock);
    struct buffer body = buffer_new(cx, sizeof id);
    buffer_u64(&body, id);
    bool asked = v->to_net != NULL && body.fault == FAULT_NONE;
    if (asked)
        v->to_net(v->to_net_user, cx, IPC_ASK_PEERS, bytes_of(body.p, body.n));
    (void)pthread_mutex_lock(&v->lock);
    if (asked)
        wait_for_peers(v);
    a->waiting = false;
    n = a->n;
    memcpy(list, a->list, n * sizeof *list);
    (void)pthread_mutex_unlock(&v->lock);
    (void)pthread_mutex_unlock(&a->turn);
    *ret = cx_array(cx, n ? n : 1, sizeof **ret);
    *ret_n = 0;
    for (size_t i = 0; i < n; i++) {
        if (fault == FAULT_NONE && *ret != NULL)
            fault = pb_unpack(cx, &cohortium__peer_holds__descriptor, list[i], HOLDS_MAX,
                              &(*ret)[(*ret_n)++]);
        free((void *)list[i].p);
    }
    return *ret != NULL ? fault : FAULT_MEMORY;
}

/* ---- the comparison ---- */

struct comparing {
    struct cx *cx;
    struct vault *v;
    const Cohortium__Member *who;
    const Cohortium__HeldReply *held;
    uint64_t size; /* of our log */
    uint64_t agrees,
        first_not;    /* largest size that agrees, smallest that does not (0: none) */
    uint64_t newest;  /* that the peer holds */
    const char *note; /* the smallest that does not agree */
    size_t not_ours;  /* notes without our signature */
};

/* So that it is not forgotten when the node starts again. */
static enum fault keep_own_note(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct comparing *c = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;

    TRY(db_prepare(cx, sql, &stmt,
                   "INSERT OR REPLACE INTO own_note(note, peer) VALUES(?,?)", "tb", c->note,
                   PB_BYTES(c->who->node_id)));
    return db_run(cx, sql, stmt);
}

static enum fault compare_notes(struct comparing *c)
{
    struct audit_at *at;
    size_t n = 0;

    CX_NEW(c->cx, at, c->held->n_checkpoints);
    for (size_t i = 0; i < c->held->n_checkpoints && i <= WITNESS_KEPT; i++) {
        if (checkpoint_verify(c->cx, c->held->checkpoints[i], c->v->origin,
                              c->v->self->signing_key.data, &at[n].size,
                              at[n].signed_root) != FAULT_NONE) {
            c->not_ours++;
            continue;
        }
        at[n++].signed_note = c->held->checkpoints[i];
    }
    qsort(at, n, sizeof *at, by_size);
    struct checking check = {.v = c->v, .at = at, .n_at = n};
    TRY(db_read(c->cx, c->v->db, read_leaves, &check));
    c->size = check.size;
    for (size_t i = 0; i < n; i++) {
        bool same = at_fits(&at[i]);

        c->newest = at[i].size;
        if (same && c->first_not == 0)
            c->agrees = at[i].size;
        else if (!same && c->first_not == 0) {
            c->first_not = at[i].size;
            c->note = at[i].signed_note;
        }
    }
    return c->note != NULL ? db_write(c->cx, c->v->db, keep_own_note, c) : FAULT_NONE;
}

static void put_peer(struct buffer *text, const struct comparing *c)
{
    buffer_printf(text, "  %-20s ", c->who->name);
    if (c->held == NULL)
        buffer_text(text, "did not answer\n");
    else if (c->newest == 0)
        buffer_text(text, "holds no checkpoint of this log yet\n");
    else if (c->first_not == 0)
        buffer_printf(text, "holds a checkpoint of %" PRIu64 " records: it agrees\n",
                      c->newest);
    else if (c->first_not > c->size)
        buffer_printf(text,
                      "holds a CONTRADICTION: this node signed a checkpoint of %" PRIu64
                      " records, the log has %" PRIu64 ": records %" PRIu64 " to %" PRIu64
                      " are gone\n",
                      c->newest, c->size, c->size, c->newest - 1);
    else
        buffer_printf(text,
                      "holds a CONTRADICTION: one of the records %" PRIu64 " to %" PRIu64
                      " is not what this node signed in a checkpoint of %" PRIu64 "\n",
                      c->agrees, c->first_not - 1, c->first_not);
    for (size_t i = 0; c->held != NULL && i < c->held->n_contradictions; i++) {
        const Cohortium__Contradiction *x = c->held->contradictions[i];
        char at[32];

        buffer_printf(
            text, "  %-20s keeps as evidence since %s: %s\n", "",
            clock_format((int64_t)(x->at < INT64_MAX / 2 ? x->at : 0), at, sizeof at),
            utf8_is_clean(x->reason, strlen(x->reason)) ? x->reason : "?");
    }
    if (c->not_ours > 0)
        buffer_printf(text, "  %-20s shows %zu notes that this node has not signed\n", "",
                      c->not_ours);
}

enum fault witness_compare(struct cx *cx, struct vault *v, struct buffer *text)
{
    Cohortium__PeerHolds **list;
    struct buffer who = buffer_new(cx, 4096);
    uint64_t smallest = 0;
    size_t n, against = 0;

    TRY(ask_peers(cx, v, &list, &n));
    if (n == 0)
        buffer_text(text, "  no peer is linked at present: nobody else could be asked\n");
    for (size_t i = 0; i < n; i++) {
        struct comparing c = {.cx = cx, .v = v, .held = list[i]->held};

        c.who = list[i]->node_id.len == DIGEST_BYTES
                    ? manifest_find(v->manifest, list[i]->node_id.data)
                    : NULL;
        if (c.who == NULL)
            continue;
        if (c.held != NULL)
            TRY(compare_notes(&c));
        put_peer(text, &c);
        if (c.first_not == 0)
            continue;
        buffer_printf(&who, "%s%s", against++ > 0 ? ", " : "", c.who->name);
        smallest = smallest == 0 || c.first_not < smallest ? c.first_not : smallest;
    }
    if (against == 0)
        return text->fault;
    const char *names = buffer_string(&who);
    return cx_fail(
        cx, FAULT_CONFLICT,
        "log: it is not what this node signed in a checkpoint of %" PRIu64
        " records, which %s hold%s: it was rolled back, cut or rewritten. Keep a copy "
        "of the folder, and bring back the newest one",
        smallest, names != NULL ? names : "others", against == 1 ? "s" : "");
}

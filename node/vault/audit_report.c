/* audit_report.c - who asked what, why, under which permit, the decision, the budget. */
#include "node/vault/audit_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/vault/audit_private.h"
#include "node/vault/people.h"
#include "node/vault/witness.h"
#include "protocol/base/clock.h"

enum { ROWS_MAX = 20000, ROOM_FIRST = 64, SET_FIRST = 1024, SCRATCH = 4 * 1024 * 1024 };

/* ---- questions seen so far: each is charged once ---- */

struct seen {
    struct cx *cx;
    uint8_t (*slots)[DIGEST_BYTES]; /* all zero: free */
    size_t size, n;
};

static uint8_t *seen_slot(const struct seen *s, const uint8_t question[32])
{
    static const uint8_t free_slot[DIGEST_BYTES];
    uint64_t at;

    memcpy(&at, question, sizeof at);
    for (size_t i = (size_t)at & (s->size - 1);; i = (i + 1) & (s->size - 1))
        if (memcmp(s->slots[i], question, DIGEST_BYTES) == 0 ||
            memcmp(s->slots[i], free_slot, DIGEST_BYTES) == 0)
            return s->slots[i];
}

/* Twice the room; what was there is put in anew. */
static enum fault seen_grow(struct seen *s)
{
    struct seen larger = {
        .cx = s->cx, .size = s->size ? 2 * s->size : SET_FIRST, .n = s->n};
    static const uint8_t free_slot[DIGEST_BYTES];

    CX_NEW(s->cx, larger.slots, larger.size);
    for (size_t i = 0; i < s->size; i++)
        if (memcmp(s->slots[i], free_slot, DIGEST_BYTES) != 0)
            memcpy(seen_slot(&larger, s->slots[i]), s->slots[i], DIGEST_BYTES);
    *s = larger;
    return FAULT_NONE;
}

static enum fault seen_add(struct seen *s, const uint8_t question[32], bool *ret_new)
{
    if (s->n * 2 >= s->size)
        TRY(seen_grow(s));
    uint8_t *slot = seen_slot(s, question);

    *ret_new = memcmp(slot, question, DIGEST_BYTES) != 0;
    memcpy(slot, question, DIGEST_BYTES);
    s->n += *ret_new;
    return FAULT_NONE;
}

/* ---- permits ---- */

struct making {
    struct cx *cx, *scratch;
    struct vault *v;
    sqlite3 *sql;
    const struct report_wish *wish;
    struct report_page *page;
    struct seen seen;
};

static enum fault read_permits(struct making *m)
{
    struct report_page *p = m->page;
    struct bytes *list;
    size_t n;

    TRY(permits_list(m->cx, m->sql, &list, &n));
    CX_NEW(m->cx, p->permits, n);
    for (size_t i = 0; i < n; i++) {
        struct report_permit *r = &p->permits[p->n_permits];
        struct envelope e;
        Cohortium__Permit *body;

        TRY(envelope_open(m->cx, ENVELOPE_PERMIT, list[i], &e));
        TRY(pb_unpack(m->cx, &cohortium__permit__descriptor, e.body,
                      envelope_bound(ENVELOPE_PERMIT), &body));
        *r = (struct report_permit){.id = PB_BYTES(body->id),
                                    .title = body->title,
                                    .purpose = body->purpose,
                                    .budget = body->budget};
        if (r->id.n != ID_BYTES)
            continue;
        TRY(permits_used(m->cx, m->sql, r->id.p, &r->charged));
        p->n_permits++;
    }
    return FAULT_NONE;
}

static struct report_permit *find_permit(const struct making *m, struct bytes id)
{
    for (size_t i = 0; i < m->page->n_permits; i++)
        if (bytes_equal(m->page->permits[i].id, id))
            return &m->page->permits[i];
    return NULL;
}

/* ---- rows ---- */

static enum fault new_row(struct making *m, struct report_row **ret)
{
    struct report_page *p = m->page;

    if (p->n_rows == ROWS_MAX)
        return cx_fail(
            m->cx, FAULT_BOUND,
            "audit report: more than %d records between these dates; choose fewer days",
            ROWS_MAX);
    if (p->n_rows == p->room) {
        size_t room = p->room ? 2 * p->room : ROOM_FIRST;
        struct report_row *rows;

        CX_NEW(m->cx, rows, room);
        if (p->n_rows > 0)
            memcpy(rows, p->rows, p->n_rows * sizeof *rows);
        p->rows = rows;
        p->room = room;
    }
    *ret = &p->rows[p->n_rows++];
    return FAULT_NONE;
}

static bool is_kind(const Cohortium__LogRecord *r, const char *kind)
{
    return strcmp(r->kind, kind) == 0;
}

static void count_row(struct report_page *p, const Cohortium__LogRecord *r, bool asked)
{
    if (!asked)
        p->acts++;
    else if (strcmp(r->decision, "released") == 0)
        p->released++;
    else if (strcmp(r->decision, "not_released") == 0)
        p->not_released++;
    else if (is_kind(r, "repeat"))
        p->repeated++;
    else
        p->refused++;
}

static const char *budget_words(struct cx *cx, const struct report_permit *permit,
                                bool charged)
{
    if (permit == NULL)
        return charged ? "charged to a permit that this node no longer has"
                       : "nothing charged";
    if (!charged)
        return "nothing charged";
    if (permit->budget == 0)
        return cx_printf(cx, "question %" PRIu64 " of this permit, which has no limit",
                         permit->seen);
    return cx_printf(cx, "question %" PRIu64 " of %" PRIu64 " of this permit", permit->seen,
                     permit->budget);
}

static enum fault fill_row(struct making *m, const Cohortium__LogRecord *r, uint64_t index,
                           const char *details, struct report_permit *permit, bool charged)
{
    struct report_row *row = NULL;

    TRY(new_row(m, &row));
    *row = (struct report_row){.index = index, .at = (int64_t)r->time};
    row->asked = is_kind(r, "question") || is_kind(r, "repeat") || is_kind(r, "invalid");
    count_row(m->page, r, row->asked);
    row->kind = cx_strdup(m->cx, r->kind);
    row->decision = cx_strdup(m->cx, r->decision);
    row->what = details != NULL ? cx_strdup(m->cx, details) : "(erased)";
    TRY(people_name(m->cx, m->sql, PB_BYTES(r->who), &row->who));
    row->why = "";
    row->budget = "";
    if (row->asked) {
        if (permit != NULL)
            permit->shown = true;
        row->why = permit != NULL ? cx_printf(m->cx, "permit \"%s\": %s", permit->title,
                                              permit->purpose)
                                  : "no permit that this node has";
        row->budget = budget_words(m->cx, permit, charged);
    }
    return row->kind != NULL && row->decision != NULL && row->what != NULL &&
                   row->why != NULL && row->budget != NULL
               ? FAULT_NONE
               : FAULT_MEMORY;
}

static enum fault read_record(struct making *m, sqlite3_stmt *stmt)
{
    struct bytes leaf =
        bytes_of(sqlite3_column_blob(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1));
    uint64_t index = (uint64_t)sqlite3_column_int64(stmt, 0);
    Cohortium__LogRecord *r;
    bool charged = false;

    cx_reset(m->scratch);
    if (pb_unpack(m->scratch, &cohortium__log_record__descriptor, leaf, AUDIT_LEAF_MAX,
                  &r) != FAULT_NONE)
        return cx_fail(
            m->cx, FAULT_CONFLICT,
            "log: record %" PRIu64 " cannot be read; run `cohortiumd audit verify`", index);
    struct report_permit *permit = find_permit(m, PB_BYTES(r->permit));
    if (is_kind(r, "question") && r->question.len == DIGEST_BYTES) {
        TRY(seen_add(&m->seen, r->question.data, &charged));
        if (permit != NULL)
            permit->seen += charged;
    }
    if ((int64_t)r->time < m->wish->from || (int64_t)r->time >= m->wish->to)
        return FAULT_NONE;
    return fill_row(m, r, index, (const char *)sqlite3_column_text(stmt, 2), permit,
                    charged);
}

static enum fault read_rows(struct making *m)
{
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(m->cx, m->sql, &stmt, "SELECT idx, leaf, details FROM log ORDER BY idx",
                   ""));
    for (;;) {
        TRY(cx_on_time(m->cx));
        TRY(db_step(m->cx, m->sql, stmt, &row));
        if (!row)
            return FAULT_NONE;
        TRY(read_record(m, stmt));
    }
}

static enum fault make_page(struct cx *cx, sqlite3 *sql, void *user)
{
    struct making *m = user;
    struct merkle_store store = audit_store(sql);
    uint8_t root[DIGEST_BYTES];

    (void)cx;
    m->sql = sql;
    m->seen.cx = m->cx;
    TRY(audit_size(m->cx, sql, &m->page->size));
    TRY(merkle_root(m->cx, &store, m->page->size, root));
    m->page->root = bytes_hex(m->cx, root, sizeof root);
    TRY(read_permits(m));
    return read_rows(m);
}

static const char *witness_words(struct cx *cx, const struct witnessed *w)
{
    struct buffer b = buffer_new(cx, 4096);
    char at[32];

    if (w->size == 0)
        return "UNWITNESSED: fewer than two other institutions have cosigned this log";
    buffer_printf(&b, "witnessed up to %" PRIu64 " records at %s by ", w->size,
                  clock_format(w->at, at, sizeof at));
    for (size_t i = 0; i < w->n; i++)
        buffer_printf(&b, "%s%s", i > 0 ? ", " : "", w->names[i]);
    return buffer_string(&b);
}

enum fault audit_report(struct cx *cx, struct vault *v, const struct report_wish *wish)
{
    AUTO_CX struct cx *scratch = cx_new(SCRATCH, CX_NO_DEADLINE);
    const struct manifest *manifest = v->manifest;
    const Cohortium__Member *self = v->self;
    struct report_page page = {.node = self->name,
                               .consortium = manifest->body->consortium_name};
    struct making m = {.cx = cx, .scratch = scratch, .v = v, .wish = wish, .page = &page};
    struct witnessed w;

    if (scratch == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for a report");
    if (wish->from >= wish->to)
        return cx_fail(cx, FAULT_INVALID,
                       "audit report: --from is not before --to, so nothing lies between");
    TRY(db_read(cx, v->db, make_page, &m));
    TRY(witness_newest(cx, v, &w));
    page.witness = witness_words(cx, &w);
    if (page.root == NULL || page.witness == NULL)
        return FAULT_MEMORY;
    (void)clock_format(wish->from, page.from, sizeof page.from);
    (void)clock_format(wish->to, page.to, sizeof page.to);
    (void)clock_format(clock_utc_ms(), page.made, sizeof page.made);
    if (wish->html)
        report_html(wish->out, &page);
    else
        report_text(wish->out, &page);
    if (wish->out->fault == FAULT_BOUND)
        return cx_fail(cx, FAULT_BOUND,
                       "audit report: too much for one page; choose fewer days");
    return wish->out->fault;
}

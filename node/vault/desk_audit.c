/* desk_audit.c - the log shown, verified, proved, exported, reported. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "node/vault/audit_report.h"
#include "node/vault/desk.h"
#include "node/vault/witness.h"
#include "protocol/base/clock.h"

enum {
    SHOW_STANDARD = 20,
    SHOW_MAX = 10000,
    REFERENCE_DIGITS = 16,
    SHOWN_MS = 700,           /* until peers have judged a log that does not fit */
    COSIGNED_MS = 2000,       /* that cosignatures are waited for */
    STALE_MS = 10 * 60 * 1000 /* peers cosign every minute */
};

struct look {
    struct vault *v;
    uint64_t size, most;
    const char *kind, *note, *reference;
    struct audit_entry *list, one;
    size_t n;
};

static void sleep_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&t, &t) != 0)
        ;
}

/* ---- verify ---- */

static enum fault sign_head(struct cx *cx, sqlite3 *sql, void *user)
{
    struct look *l = user;

    return audit_checkpoint(cx, sql, l->v->signing, l->v->origin, &l->note);
}

/* The log against its leaves, then against what peers hold: a log that was written anew as
 * a whole, or an old copy of it, is known by them alone. */
enum fault desk_audit_verify(struct desk *d)
{
    struct look l = {.v = d->v};
    struct buffer peers = buffer_new(d->cx, 1024 * 1024);
    uint8_t root[DIGEST_BYTES];
    const char *why[2] = {NULL, NULL};
    enum fault fault = witness_check_log(d->cx, d->v, &l.size, root);

    if (fault != FAULT_NONE && fault != FAULT_CONFLICT)
        return fault;
    if (fault == FAULT_CONFLICT) {
        why[0] = cx_strdup(d->cx, cx_message(d->cx));
        if (d->v->to_net != NULL)
            sleep_ms(SHOWN_MS);
    }
    enum fault against = witness_compare(d->cx, d->v, &peers);
    if (against != FAULT_NONE && against != FAULT_CONFLICT)
        return against;
    if (against == FAULT_CONFLICT) {
        why[1] = cx_strdup(d->cx, cx_message(d->cx));
        vault_log_trouble(d->v, cx_message(d->cx));
    }
    const char *text = buffer_string(&peers);
    for (size_t i = 0; i < COUNT(why); i++)
        if (why[i] != NULL)
            buffer_printf(&d->text, "%s\n", why[i]);
    d->reply->status = why[0] != NULL || why[1] != NULL;
    if (d->reply->status == 0)
        buffer_printf(&d->text, "the log is whole: %" PRIu64 " records, root %s\n", l.size,
                      bytes_hex(d->cx, root, sizeof root));
    buffer_printf(&d->text, "what peers hold of it\n%s", text != NULL ? text : "");
    if (d->reply->status != 0)
        return FAULT_NONE;
    bool witnessed;
    TRY(desk_put_witnesses(d, &witnessed));
    TRY(db_read(d->cx, d->v->db, sign_head, &l));
    buffer_printf(&d->text, "\n%s", l.note);
    return FAULT_NONE;
}

/* ---- show ---- */

static enum fault list(struct cx *cx, sqlite3 *sql, void *user)
{
    struct look *l = user;

    return audit_list(cx, sql, l->kind, l->most, &l->list, &l->n);
}

static void put_entry(struct desk *d, const struct audit_entry *e)
{
    char at[32];

    buffer_printf(&d->text, "%6llu  %s  %-10s %-12s %s%s%s\n", (unsigned long long)e->index,
                  clock_format((int64_t)e->record->time, at, sizeof at), e->record->kind,
                  e->record->decision,
                  e->record->who.len > 0 ? bytes_hex(d->cx, e->record->who.data, 4) : "",
                  e->record->who.len > 0 ? "  " : "", e->details);
}

enum fault desk_audit_show(struct desk *d)
{
    struct look l = {.v = d->v, .most = SHOW_STANDARD};

    if (d->call->n_arguments > 0)
        TRY(desk_count(d, 0, "how many records", &l.most));
    if (l.most > SHOW_MAX)
        l.most = SHOW_MAX;
    if (d->call->n_arguments > 1)
        l.kind = d->call->arguments[1];
    TRY(db_read(d->cx, d->v->db, list, &l));
    for (size_t i = l.n; i-- > 0;)
        put_entry(d, &l.list[i]);
    return FAULT_NONE;
}

static enum fault find(struct cx *cx, sqlite3 *sql, void *user)
{
    struct look *l = user;

    return audit_find_reference(cx, sql, l->reference, &l->one);
}

/* ---- prove ---- */

/* An index, or the reference of an answer that was not released. */
static enum fault find_index(struct desk *d, uint64_t *ret)
{
    struct look l = {.v = d->v};

    TRY(desk_word(d, 0, "the number of a record, or a reference", &l.reference));
    if (strlen(l.reference) != REFERENCE_DIGITS)
        return desk_count(d, 0, "the number of a record, or a reference", ret);
    TRY(db_read(d->cx, d->v->db, find, &l));
    *ret = l.one.index;
    return FAULT_NONE;
}

enum fault desk_audit_prove(struct desk *d)
{
    int64_t until = clock_mono_ms() + (d->v->to_net != NULL ? COSIGNED_MS : 0);
    const char *text = NULL;
    uint64_t index;
    size_t n;

    TRY(find_index(d, &index));
    for (;;) {
        TRY(witness_prove_text(d->cx, d->v, index, &text, &n));
        if (n >= WITNESSES_MIN || clock_mono_ms() > until)
            break;
        vault_show_log(d->cx, d->v);
        sleep_ms(100);
    }
    TRY(desk_give(d, bytes_of(text, strlen(text))));
    buffer_printf(
        &d->text,
        n >= WITNESSES_MIN
            ? "record %" PRIu64 ", under a checkpoint that %zu others have cosigned\n"
            : "record %" PRIu64 ", UNWITNESSED: %zu others have cosigned a checkpoint "
              "that holds it\n",
        index, n);
    return FAULT_NONE;
}

/* ---- witnesses ---- */

enum fault desk_put_witnesses(struct desk *d, bool *ret_witnessed)
{
    struct witnessed w;
    char at[32];

    TRY(witness_newest(d->cx, d->v, &w));
    *ret_witnessed = w.size > 0;
    if (w.size == 0) {
        buffer_printf(
            &d->text,
            "log: UNWITNESSED, fewer than %d other institutions have cosigned it\n",
            WITNESSES_MIN);
        return FAULT_NONE;
    }
    buffer_printf(&d->text, "log: witnessed up to %" PRIu64 " records at %s by ", w.size,
                  clock_format(w.at, at, sizeof at));
    for (size_t i = 0; i < w.n; i++)
        buffer_printf(&d->text, "%s%s", i > 0 ? ", " : "", w.names[i]);
    buffer_text(&d->text, "\n");
    return FAULT_NONE;
}

static void say_line(struct desk *d, const char *line)
{
    buffer_printf(&d->text, "%s\n", line);
}

static void say_problem(struct desk *d, const char *line)
{
    desk_finding(d, "contradictions", FINDING_PROBLEM, line,
                 "tell its operator and the consortium; `cohortiumd audit witnesses` shows "
                 "both notes");
}

static enum fault each_contradiction(struct desk *d,
                                     void (*say)(struct desk *d, const char *line),
                                     size_t *ret_n)
{
    struct peer_log *peers;
    size_t n;
    char at[32];

    TRY(witness_peers(d->cx, d->v, &peers, &n));
    *ret_n = 0;
    for (size_t i = 0; i < n; i++) {
        const struct peer_log *p = &peers[i];

        if (!p->contradicts)
            continue;
        const Cohortium__Contradiction *c = p->contradictions[p->n_contradictions - 1];
        const char *line = cx_printf(
            d->cx,
            "CONTRADICTION in the log of %s since %s: %s; both notes are kept: see "
            "`cohortiumd audit witnesses`",
            p->who->name, clock_format((int64_t)c->at, at, sizeof at), c->reason);
        if (line == NULL)
            return FAULT_MEMORY;
        say(d, line);
        ++*ret_n;
    }
    return FAULT_NONE;
}

enum fault desk_put_contradictions(struct desk *d, size_t *ret_n)
{
    return each_contradiction(d, say_line, ret_n);
}

/* A node that has just started has not heard of its peers yet. */
static enum fault check_witnesses(struct desk *d)
{
    int64_t until = clock_mono_ms() + (d->v->to_net != NULL ? COSIGNED_MS : 0);
    struct witnessed w;
    char at[32];

    for (;;) {
        TRY(witness_newest(d->cx, d->v, &w));
        if (w.size > 0 || clock_mono_ms() > until)
            break;
        vault_show_log(d->cx, d->v);
        sleep_ms(100);
    }
    if (w.size > 0 && clock_utc_ms() - w.at > STALE_MS)
        desk_finding(d, "witness", FINDING_NOTE,
                     cx_printf(d->cx, "other institutions have last cosigned the log at %s",
                               clock_format(w.at, at, sizeof at)),
                     "link with at least two of them: see `cohortiumd status`");
    else
        desk_finding(d, "witness", w.size > 0 ? FINDING_WELL : FINDING_PROBLEM,
                     "other institutions have cosigned the log",
                     "link with at least two of them: see `cohortiumd status`");
    return FAULT_NONE;
}

enum fault desk_check_log(struct desk *d)
{
    struct vault *v = d->v;
    const struct manifest *manifest = v->manifest;
    uint64_t size = 0;
    uint8_t root[DIGEST_BYTES];
    size_t against;

    if (witness_check_log(d->cx, v, &size, root) == FAULT_NONE)
        desk_finding(d, "log", FINDING_WELL,
                     cx_printf(d->cx, "the log of %" PRIu64 " records is whole", size), "");
    else
        desk_finding(d, "log", FINDING_PROBLEM, "the log is whole", cx_message(d->cx));
    if (manifest->body->n_members > WITNESSES_MIN)
        TRY(check_witnesses(d));
    TRY(each_contradiction(d, say_problem, &against));
    if (against == 0)
        desk_finding(d, "contradictions", FINDING_WELL,
                     "no other member's log contradicts what it was", "");
    return FAULT_NONE;
}

static void put_evidence(struct desk *d, const Cohortium__Contradiction *c)
{
    char at[32];

    buffer_printf(&d->text, "    contradiction of %s: %s\n    held:\n%s    shown:\n%s",
                  clock_format((int64_t)c->at, at, sizeof at), c->reason, c->held,
                  c->shown);
}

enum fault desk_audit_witnesses(struct desk *d)
{
    struct peer_log *peers;
    size_t n;
    bool witnessed;
    char at[32];

    TRY(desk_put_witnesses(d, &witnessed));
    TRY(witness_peers(d->cx, d->v, &peers, &n));
    buffer_text(&d->text, "other members' logs, as this node has cosigned them\n");
    for (size_t i = 0; i < n; i++) {
        const struct peer_log *p = &peers[i];

        if (p->size == 0)
            buffer_printf(&d->text, "  %-20s never seen\n", p->who->name);
        else
            buffer_printf(&d->text, "  %-20s %" PRIu64 " records at %s%s\n", p->who->name,
                          p->size, clock_format(p->seen_at, at, sizeof at),
                          p->contradicts            ? ", CONTRADICTED since"
                          : p->n_contradictions > 0 ? ", consistent again"
                                                    : "");
        for (size_t k = 0; k < p->n_contradictions; k++)
            put_evidence(d, p->contradictions[k]);
    }
    return FAULT_NONE;
}

/* ---- export, report ---- */

/* One page: the records from a number on; a blob names where the next one begins. */
enum fault desk_audit_export(struct desk *d)
{
    struct export_page page = {.v = d->v, .out = &d->text};

    TRY(desk_count(d, 0, "the number of the first record", &page.from));
    TRY(audit_export(d->cx, &page));
    if (page.last)
        return FAULT_NONE;
    const char *next = cx_printf(d->cx, "%" PRIu64, page.next);
    return next != NULL ? desk_give(d, bytes_of(next, strlen(next))) : FAULT_MEMORY;
}

/* FROM and TO as UTC milliseconds, TO not included; then "html" or "text". */
enum fault desk_audit_report(struct desk *d)
{
    struct report_wish wish = {.out = &d->text};
    uint64_t from, to;
    const char *form;

    TRY(desk_count(d, 0, "a time", &from));
    TRY(desk_count(d, 1, "a time", &to));
    TRY(desk_word(d, 2, "html or text", &form));
    wish.from = (int64_t)from;
    wish.to = (int64_t)to;
    wish.html = strcmp(form, "html") == 0;
    return audit_report(d->cx, d->v, &wish);
}

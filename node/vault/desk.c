/* desk.c - the table of admin commands, and the ones about the node itself. */
#include "node/vault/desk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "node/log.h"
#include "protocol/base/clock.h"

enum { TEXT_MAX = 4 * 1024 * 1024, MANY = 10000 };

static const struct {
    const char *words;
    desk_command *run;
} commands[] = {
    {"policy apply", desk_policy_apply},
    {"policy show", desk_policy_show},
    {"policy history", desk_policy_history},
    {"policy spent", desk_policy_spent},
    {"policy simulate", desk_policy_simulate},
    {"policy redteam", desk_policy_redteam},
    {"permit add", desk_permit_add},
    {"permit list", desk_permit_list},
    {"permit show", desk_permit_show},
    {"permit revoke", desk_revoke},
    {"permit revocations", desk_revocations},
    {"researcher issue", desk_researcher_issue},
    {"researcher list", desk_researcher_list},
    {"researcher revoke", desk_researcher_revoke},
    {"codebook add", desk_codebook_add},
    {"codebook show", desk_codebook_show},
    {"data begin", desk_data_begin},
    {"data publish", desk_data_publish},
    {"data list", desk_data_list},
    {"data drop", desk_data_drop},
    {"data withdraw", desk_data_withdraw},
    {"audit verify", desk_audit_verify},
    {"audit show", desk_audit_show},
    {"explain", desk_explain},
    {"ledger part", desk_ledger_part},
    {"ledger report", desk_ledger_report},
    {"audit accept-restore", desk_audit_accept_restore},
    {"audit prove", desk_audit_prove},
    {"audit witnesses", desk_audit_witnesses},
    {"audit export", desk_audit_export},
    {"audit report", desk_audit_report},
    {"review list", desk_review_list},
    {"review show", desk_review_show},
    {"review decide", desk_review_decide},
    {"status", desk_status},
    {"ready", desk_ready},
    {"doctor", desk_doctor},
    {"manifest", desk_manifest},
    {"manifest publish", desk_manifest_publish},
    {"manifest thaw", desk_manifest_thaw},
};

enum fault desk_word(struct desk *d, size_t i, const char *what, const char **ret)
{
    if (i >= d->call->n_arguments || d->call->arguments[i][0] == '\0')
        return cx_fail(d->cx, FAULT_USAGE, "%s: expected %s", d->call->command, what);
    *ret = d->call->arguments[i];
    return FAULT_NONE;
}

enum fault desk_count(struct desk *d, size_t i, const char *what, uint64_t *ret)
{
    const char *word = NULL;
    char *end;

    TRY(desk_word(d, i, what, &word));
    errno = 0;
    *ret = strtoull(word, &end, 10);
    if (errno != 0 || *end != '\0' || word[0] < '0' || word[0] > '9')
        return cx_fail(d->cx, FAULT_USAGE, "%s: expected %s", d->call->command, what);
    return FAULT_NONE;
}

enum fault desk_blob(struct desk *d, size_t i, const char *what, struct bytes *ret)
{
    if (i >= d->call->n_blobs || d->call->blobs[i].len == 0)
        return cx_fail(d->cx, FAULT_USAGE, "%s: expected %s", d->call->command, what);
    *ret = PB_BYTES(d->call->blobs[i]);
    return FAULT_NONE;
}

enum fault desk_give(struct desk *d, struct bytes blob)
{
    if (d->reply->blobs == NULL)
        CX_NEW(d->cx, d->reply->blobs, MANY);
    if (d->reply->n_blobs == MANY)
        return cx_fail(d->cx, FAULT_BOUND, "%s: more than %d documents", d->call->command, MANY);
    d->reply->blobs[d->reply->n_blobs++] = PB_DATA(blob);
    return FAULT_NONE;
}

static unsigned status_of(enum fault fault)
{
    return fault == FAULT_NONE ? 0 : fault == FAULT_USAGE ? 2 : fault == FAULT_REFUSED ? 3 : 1;
}

/* Told with every command, so that nobody has to think of asking. */
static void add_notices(struct cx *cx, struct vault *v, const char *command,
                        Cohortium__AdminReply *reply)
{
    static const char *const silent[] = {"ready", "status", "doctor"}; /* they tell themselves */
    const char **list;
    size_t n;

    for (size_t i = 0; i < COUNT(silent); i++)
        if (strcmp(command, silent[i]) == 0)
            return;
    if (desk_notices(cx, v, false, &list, &n) != FAULT_NONE)
        return; /* the command itself is what counts */
    reply->notices = (char **)list;
    reply->n_notices = n;
}

void desk_answer(struct cx *cx, struct vault *v, const Cohortium__AdminCall *call,
                 Cohortium__AdminReply *reply)
{
    struct desk d = {cx, v, call, reply, buffer_new(cx, TEXT_MAX),
                     finding_list_new(cx, TEXT_MAX)};
    enum fault fault = FAULT_USAGE;
    size_t i = 0;

    while (i < COUNT(commands) && strcmp(commands[i].words, call->command) != 0)
        i++;
    if (i < COUNT(commands))
        fault = commands[i].run(&d);
    else
        (void)cx_fail(cx, FAULT_USAGE, "no command `%.60s`", call->command);
    if (fault == FAULT_NONE && d.text.fault != FAULT_NONE)
        fault = d.text.fault;
    if (fault != FAULT_NONE)
        reply->status = status_of(fault);
    if (fault == FAULT_NONE) {
        char *text = buffer_string(&d.text);

        reply->text = text != NULL ? text : (char *)"";
        add_notices(cx, v, call->command, reply);
        return;
    }
    reply->n_blobs = 0;
    reply->text = (char *)cx_message(cx);
    log_notice("%s: %s", i < COUNT(commands) ? call->command : "admin", cx_message(cx));
}

enum fault desk_manifest(struct desk *d)
{
    const struct manifest *m = d->v->manifest;

    for (size_t i = 0; i < m->n_chain; i++)
        TRY(desk_give(d, m->chain[i]));
    return FAULT_NONE;
}

/* ---- status ---- */

static void put_links(struct desk *d, const Cohortium__SitesReply *links)
{
    for (size_t i = 0; i < links->n_sites; i++) {
        const Cohortium__Site *s = links->sites[i];

        if (strcmp(s->state, "this") != 0)
            buffer_printf(&d->text, "  %-20s %-8s %s\n", s->name, s->state, s->detail);
    }
    buffer_printf(&d->text, "relayed for other members: %.2f MB so far, %llu links now\n",
                  (double)links->relayed_bytes / 1e6,
                  (unsigned long long)links->relayed_streams);
}

static enum fault put_peers(struct desk *d)
{
    Cohortium__SitesReply *links;
    struct bytes copy;

    (void)pthread_mutex_lock(&d->v->lock);
    copy = bytes_of(cx_memdup(d->cx, d->v->links.p, d->v->links.n), d->v->links.n);
    (void)pthread_mutex_unlock(&d->v->lock);
    buffer_text(&d->text, "peers\n");
    if (copy.n == 0) {
        buffer_text(&d->text, "  nothing heard from the net process yet\n");
        return FAULT_NONE;
    }
    TRY(pb_unpack(d->cx, &cohortium__sites_reply__descriptor, copy, LINK_MESSAGE_MAX, &links));
    put_links(d, links);
    return FAULT_NONE;
}

static enum fault put_datasets(struct desk *d)
{
    struct store_row *rows;
    size_t n;

    TRY(store_list(d->cx, d->v->store, false, &rows, &n));
    buffer_text(&d->text, "datasets\n");
    if (n == 0)
        buffer_text(&d->text, "  none yet; import one with `cohortiumd data import`\n");
    for (size_t i = 0; i < n; i++)
        buffer_printf(&d->text, "  %-20s %-10s %llu rows of %llu patients%s%s\n", rows[i].name,
                      rows[i].state, (unsigned long long)rows[i].rows,
                      (unsigned long long)rows[i].patients, rows[i].why[0] ? ": " : "",
                      rows[i].why);
    return FAULT_NONE;
}

static enum fault put_notices(struct desk *d)
{
    const char **list;
    size_t n;

    TRY(desk_notices(d->cx, d->v, false, &list, &n));
    if (n > 0)
        buffer_text(&d->text, "ends soon or waits for somebody\n");
    for (size_t i = 0; i < n; i++)
        buffer_printf(&d->text, "  %s\n", list[i]);
    return FAULT_NONE;
}

enum fault desk_status(struct desk *d)
{
    struct vault *v = d->v;
    char until[32], since[32];
    enum fault ready = vault_is_ready(d->cx, v);

    buffer_printf(&d->text, "%s of %s (%s)\n", v->self->name, v->manifest->body->consortium_name,
                  manifest_is_lab(v->manifest) ? "a lab" : "production");
    if (ready == FAULT_NONE)
        buffer_text(&d->text, "ready: it answers questions\n");
    else
        buffer_printf(&d->text, "NOT READY, it answers nothing: %s\n", cx_message(d->cx));
    if (vault_clock(d->cx, v) != FAULT_NONE)
        buffer_printf(&d->text, "WARNING: %s\n", cx_message(d->cx));
    buffer_printf(&d->text, "manifest version %llu, valid until %s\n",
                  (unsigned long long)v->manifest->body->version,
                  clock_format((int64_t)v->manifest->body->valid_until, until, sizeof until));
    buffer_printf(&d->text, "since %s: %llu answers, %llu of them with numbers; "
                  "questions that run: %zu\n",
                  clock_format(v->started_at, since, sizeof since),
                  (unsigned long long)v->questions, (unsigned long long)v->released,
                  sessions_count(v));
    TRY(put_notices(d));
    bool witnessed;
    TRY(desk_put_witnesses(d, &witnessed));
    TRY(put_datasets(d));
    TRY(put_peers(d));
    size_t against;
    return desk_put_contradictions(d, &against);
}

/* Both processes run: net has told how its links stand. Not whether the node may answer. */
enum fault desk_ready(struct desk *d)
{
    (void)pthread_mutex_lock(&d->v->lock);
    bool heard = d->v->links.n > 0;
    (void)pthread_mutex_unlock(&d->v->lock);
    return heard ? FAULT_NONE
                 : cx_fail(d->cx, FAULT_UNAVAILABLE, "the net process is not there yet");
}

/* ---- doctor ---- */

static void check(struct desk *d, const char *word, bool ok, const char *what,
                  const char *remedy)
{
    desk_finding(d, word, ok ? FINDING_WELL : FINDING_PROBLEM, what, remedy);
}

static enum fault check_disk(struct desk *d)
{
    struct statvfs s;

    if (statvfs(d->v->folder, &s) != 0) {
        check(d, "disk", false, "free space cannot be read", "look at the folder's file system");
        return FAULT_NONE;
    }
    unsigned long long mb = (unsigned long long)s.f_bavail * s.f_frsize / 1000000;
    check(d, "disk", mb >= 500, cx_printf(d->cx, "%llu MB free", mb),
          "free some space: a full disk refuses every question");
    return FAULT_NONE;
}

/* Datasets that do not answer: found damaged now or when the node started. */
static enum fault count_withdrawn(struct desk *d, size_t *ret)
{
    struct store_row *rows;
    size_t n;

    TRY(store_list(d->cx, d->v->store, false, &rows, &n));
    *ret = 0;
    for (size_t i = 0; i < n; i++)
        *ret += strcmp(rows[i].state, "withdrawn") == 0;
    return FAULT_NONE;
}

enum fault desk_doctor(struct desk *d)
{
    struct vault *v = d->v;
    size_t withdrawn = 0;
    int64_t now = clock_utc_ms();

    enum fault fault = vault_is_ready(d->cx, v);
    check(d, "ready", fault == FAULT_NONE, "this node may answer questions", cx_message(d->cx));
    fault = vault_clock(d->cx, v);
    check(d, "clock", fault == FAULT_NONE, "the clock goes on from the log", cx_message(d->cx));
    fault = vault_governed(d->cx, v);
    check(d, "governance", fault == FAULT_NONE, "the governors have signed one manifest, and it lists us",
          cx_message(d->cx));
    check(d, "manifest_fresh", now < (int64_t)v->manifest->body->fresh_until, "the manifest is fresh",
          "ask the governors for the next version: `cohortiumd consortium renew`");
    TRY(desk_check_papers(d));
    fault = store_check(d->cx, v->store, &withdrawn);
    if (fault == FAULT_NONE)
        fault = count_withdrawn(d, &withdrawn);
    check(d, "data", fault == FAULT_NONE && withdrawn == 0, "every data file is as it was imported",
          fault != FAULT_NONE ? cx_message(d->cx)
                              : "see `cohortiumd data list`; import the dataset again");
    TRY(desk_check_log(d));
    TRY(check_disk(d));
    TRY(desk_check_members(d));
    buffer_put(&d->text, d->findings.text.p, d->findings.text.n);
    d->reply->json = buffer_string(&d->findings.json);
    return d->reply->json != NULL && d->findings.text.fault == FAULT_NONE ? FAULT_NONE
                                                                         : FAULT_MEMORY;
}

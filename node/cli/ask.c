/* ask.c - sign, ask, verify, keep the receipt, show. Nothing is printed before it is
 * verified. */
#include "node/cli/ask_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/cli/render.h"
#include "protocol/base/clock.h"
#include "protocol/files.h"

/* Home hears of a deadline first and says which site was late; then we stop waiting. */
enum { DEADLINE_S = 60, DEADLINE_MAX_S = 80000, SLACK_MS = 5000 };

/* ---- the request ---- */

static enum fault mark_sites(struct home *home, struct cx *cx, const char *list,
                             bool *chosen)
{
    const Cohortium__Manifest *m = home->manifest->body;
    const char **names;

    CX_NEW(cx, names, m->n_members);
    for (size_t i = 0; i < m->n_members; i++)
        names[i] = m->members[i]->name;
    for (const char *p = list;;) {
        size_t n = strcspn(p, ","), i = 0;
        const char *name = cx_printf(cx, "%.*s", (int)n, p);

        if (name == NULL)
            return FAULT_MEMORY;
        while (i < m->n_members && strcmp(names[i], name) != 0)
            i++;
        if (i == m->n_members) {
            const char *near = bytes_nearest(name, names, m->n_members);

            if (near != NULL)
                return cx_fail(cx, FAULT_USAGE,
                               "--sites: no site `%.64s`; did you mean `%s`?", name, near);
            return cx_fail(cx, FAULT_USAGE,
                           "--sites: no site `%.64s`; `cohortium sites` lists them", name);
        }
        if (!m->members[i]->holds_data)
            return cx_fail(cx, FAULT_USAGE, "--sites: %s holds no data", name);
        if (chosen[i])
            return cx_fail(cx, FAULT_USAGE, "--sites: %s is named twice", name);
        chosen[i] = true;
        if (p[n] == '\0')
            return FAULT_NONE;
        p += n + 1;
    }
}

/* Members are sorted by node id in a manifest, so these lists are, too. */
static enum fault put_sites(struct home *home, struct cx *cx, const struct args *args,
                            Cohortium__Question *q, Cohortium__Stamp *stamp)
{
    const Cohortium__Manifest *m = home->manifest->body;
    const char *list = args_get(args, "--sites");
    bool *chosen;

    CX_NEW(cx, chosen, m->n_members);
    CX_NEW(cx, q->sites, m->n_members);
    CX_NEW(cx, stamp->audience, m->n_members);
    for (size_t i = 0; list == NULL && i < m->n_members; i++)
        chosen[i] = m->members[i]->holds_data;
    if (list != NULL)
        TRY(mark_sites(home, cx, list, chosen));
    for (size_t i = 0; i < m->n_members; i++) {
        ProtobufCBinaryData id = m->members[i]->node_id;

        if (chosen[i])
            q->sites[q->n_sites++] = id;
        if (chosen[i] || memcmp(id.data, home->profile.node, DIGEST_BYTES) == 0)
            stamp->audience[stamp->n_audience++] = id;
    }
    q->by_site = args_has(args, "--by-site");
    return FAULT_NONE;
}

/* An answer is charged: that its receipt cannot be kept must be known before. */
static enum fault check_place(struct cx *cx, const struct asking *asking)
{
    const char *path = args_get(asking->args, "--save"), *slash;

    if (path == NULL)
        return FAULT_NONE;
    slash = strrchr(path, '/');
    const char *folder = slash == NULL   ? "."
                         : slash == path ? "/"
                                         : cx_printf(cx, "%.*s", (int)(slash - path), path);
    if (folder == NULL)
        return FAULT_MEMORY;
    if (access(folder, W_OK | X_OK) != 0)
        return usage_fail(cx, asking->args, "--save: nothing can be written into %s: %s",
                          folder, strerror(errno));
    if (access(path, F_OK) == 0)
        return usage_fail(cx, asking->args,
                          "--save: %s exists already; choose another name", path);
    return FAULT_NONE;
}

static enum fault make_request(struct home *home, struct cx *cx,
                               const struct asking *asking, struct sent *sent)
{
    const struct args *args = asking->args;
    const Cohortium__PermitCard *permit;
    const char *wanted = args_get(args, "--permit"), *note = args_get(args, "--note");
    uint8_t subject[DIGEST_BYTES];
    Cohortium__Request *r;
    double seconds;

    TRY(check_place(cx, asking));
    TRY(args_number(cx, args, "--deadline", 1, DEADLINE_MAX_S, DEADLINE_S, &seconds));
    sent->deadline_ms = (int64_t)(seconds * 1000);
    CX_NEW(cx, r, 1);
    cohortium__request__init(r);
    TRY(question_make(cx, sent->cb, args, args->command->words, &r->question));
    TRY(question_try(cx, sent->cb, r->question, home->manifest->body->rows_log2));
    TRY(home_permit(home, cx, wanted != NULL ? wanted : asking->permit, args->words[0],
                    &permit));
    CX_NEW(cx, r->stamp, 1);
    cohortium__stamp__init(r->stamp);
    digest_of(bytes_of(keys_signing_public(home->keys), KEY_BYTES), subject);
    TRY(stamp_fill(cx, r->stamp, home->manifest, subject, NULL, sent->deadline_ms));
    TRY(put_sites(home, cx, args, r->question, r->stamp));
    r->home = PB_DATA(bytes_of(home->profile.node, DIGEST_BYTES));
    r->credential = PB_DATA(home->credential);
    sent->permit = permit;
    r->permit = permit->id;
    r->dry_run = args_has(args, "--dry-run");
    if (note != NULL && !utf8_is_clean(note, strlen(note)))
        return usage_fail(cx, args, "--note is not clean UTF-8");
    if (note != NULL)
        r->note = (char *)note;
    sent->request = r;
    TRY(envelope_seal(cx, ENVELOPE_REQUEST, &r->base, home->keys, &sent->packed));
    struct envelope e;
    TRY(envelope_open(cx, ENVELOPE_REQUEST, sent->packed, &e));
    memcpy(sent->digest, e.digest, sizeof sent->digest);
    return FAULT_NONE;
}

/* ---- refusals ---- */

/* Codes of what a policy or a permit does not allow; the others say that the question is
 * wrong. */
static bool code_is_refusal(const char *code)
{
    static const char *const parts[] = {"permit", "polic", "not_allowed", "closed_language",
                                        "off_grid"};

    for (size_t i = 0; i < COUNT(parts); i++)
        if (strstr(code, parts[i]) != NULL)
            return true;
    return false;
}

/* All complaints; what several sites say alike is said once. */
enum fault tell_complaints(struct cli *cli, struct cx *cx, const char *site,
                           Cohortium__Complaint *const *list, size_t n, bool quiet)
{
    struct buffer all = buffer_new(cx, 1 << 20);
    bool refused = false;

    for (size_t i = 0; i < n; i++) {
        bool known = false;

        refused = refused || code_is_refusal(list[i]->code);
        for (size_t k = 0; k < i && !known; k++)
            known = strcmp(list[k]->text, list[i]->text) == 0;
        if (known)
            continue;
        if (!quiet)
            (void)fprintf(cli->err, "cohortium: %s: %s\n", site, list[i]->text);
        buffer_printf(&all, "%s%s", all.n > 0 ? "; " : "", list[i]->text);
    }
    const char *text = buffer_string(&all);
    cli->said = !quiet;
    return cx_fail(cx, refused ? FAULT_REFUSED : FAULT_INVALID, "%s",
                   text == NULL ? "" : text);
}

static enum fault tell_trouble(struct cli *cli, struct home *home, struct cx *cx,
                               const struct asking *asking, enum fault fault)
{
    const Cohortium__Trouble *t = home->trouble;

    if (t == NULL || t->n_complaints == 0)
        return fault;
    return tell_complaints(
        cli, cx,
        t->site.len > 0 ? member_name(cx, home->manifest, PB_BYTES(t->site)) : "the sites",
        t->complaints, t->n_complaints, asking->many);
}

/* ---- the receipt ---- */

/* Without fsync: a file of a thousand questions must not wait for a thousand disk flushes,
 * and the sites hold the same answers durably. */
static enum fault write_plain(struct cx *cx, const char *path, struct bytes text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    ssize_t wrote = fd < 0 ? -1 : write(fd, text.p, text.n);

    if (fd >= 0)
        (void)close(fd);
    if (wrote != (ssize_t)text.n)
        return cx_fail(cx, FAULT_IO, "the receipt %s could not be written: %s", path,
                       strerror(errno));
    return FAULT_NONE;
}

static enum fault keep_receipt(struct home *home, struct cx *cx,
                               const struct asking *asking, const struct sent *sent,
                               struct bytes packed, const char *suffix,
                               const char **ret_path)
{
    const char *path = args_get(asking->args, "--save");
    time_t now = (time_t)(clock_utc_ms() / 1000);
    struct bytes text;
    struct tm tm;
    char when[32];

    *ret_path = NULL;
    if (path != NULL) {
        TRY(receipt_write(cx, packed, path));
        *ret_path = path;
        return FAULT_NONE;
    }
    if (!asking->save || args_has(asking->args, "--no-save"))
        return FAULT_NONE;
    if (gmtime_r(&now, &tm) == NULL ||
        strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &tm) == 0)
        return cx_fail(cx, FAULT_INTERNAL, "the clock gives no date");
    const char *folder = cx_printf(cx, "%s/receipts", home->profile.folder);
    const char *hex = bytes_hex(cx, sent->digest, 6);
    if (folder == NULL || hex == NULL)
        return FAULT_MEMORY;
    path = cx_printf(cx, "%s/%s-%s%s", folder, when, hex, suffix);
    if (path == NULL)
        return FAULT_MEMORY;
    TRY(folder_make(cx, folder));
    if (asking->many) {
        TRY(armor(cx, receipt_line, packed, &text));
        TRY(write_plain(cx, path, text));
    } else {
        TRY(receipt_write(cx, packed, path));
    }
    *ret_path = path;
    return FAULT_NONE;
}

/* The receipt must hold, and be of this very request. */
static enum fault verify(struct home *home, struct cx *cx, const struct asking *asking,
                         const struct sent *sent, struct bytes packed,
                         const Cohortium__Receipt *receipt, struct receipt_facts *ret)
{
    enum fault fault = receipt_verify(cx, receipt, home->profile.genesis, ret);
    const char *path;

    if (fault == FAULT_NONE &&
        memcmp(ret->request.envelope.digest, sent->digest, DIGEST_BYTES) != 0)
        fault =
            cx_fail(cx, FAULT_DENIED, "receipt: it is of another request than was sent");
    if (fault == FAULT_NONE)
        return FAULT_NONE;
    const char *why = cx_strdup(cx, cx_message(cx));
    if (keep_receipt(home, cx, asking, sent, packed, ".rejected", &path) != FAULT_NONE)
        path = NULL;
    return cx_fail(cx, fault, "the answer is not believed and not shown: %s%s%s",
                   why == NULL ? "" : why,
                   path != NULL ? "; it is kept for the officers in " : "",
                   path != NULL ? path : "");
}

/* ---- showing ---- */

static enum fault show_release(struct cx *cx, const struct home *home,
                               const struct sent *sent, const Cohortium__Release *release,
                               struct shown *ret)
{
    struct complaints c = complaints_new(cx);
    const struct analysis *analysis;
    struct report *report;
    struct asked asked;
    struct plan plan;
    struct regions regions;

    ret->released = release->released;
    ret->reference = bytes_hex(cx, release->reference.data, release->reference.len);
    if (!release->released)
        return FAULT_NONE;
    if (release->result == NULL)
        return cx_fail(cx, FAULT_FORMAT, "the release holds no result");
    TRY(question_open(cx, sent->cb, release->question, release->exact_for_testing,
                      home->manifest->body->rows_log2, &c, &asked, &plan, &regions,
                      &analysis));
    if (analysis == NULL)
        return cx_fail(cx, FAULT_FORMAT, "the released question cannot be read: %s",
                       c.n > 0 ? c.list[0]->text : "no reason");
    CX_NEW(cx, report, 1);
    report->cx = cx;
    TRY(analysis->show(cx, &asked, release, report));
    ret->report = report;
    ret->notes = release->result->notes;
    ret->n_notes = release->result->n_notes;
    return FAULT_NONE;
}

static const char *cohort_words(struct cx *cx, const struct codebook *cb,
                                const Cohortium__Ast *cohort)
{
    struct complaints c = complaints_new(cx);
    struct ast *ast;

    if (cohort == NULL)
        return "everybody";
    if (ast_open(cx, cb, cohort, AST_TYPE_BOOL, &c, &ast) != FAULT_NONE || ast == NULL)
        return "(a cohort that cannot be read)";
    const char *text = ast_text(cx, cb, ast);
    return text == NULL ? "" : text;
}

/* Requests and receipts list sites by node id; people and scripts get them by name. */
static void order_by_name(const char *const *names, size_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = i;

        for (; k > 0 && strcmp(names[order[k - 1]], names[i]) > 0; k--)
            order[k] = order[k - 1];
        order[k] = i;
    }
}

static enum fault fill_sites(struct cx *cx, const struct home *home,
                             const Cohortium__Question *q, struct answer *a,
                             size_t **ret_order)
{
    const char **names;

    CX_NEW(cx, names, q->n_sites);
    CX_NEW(cx, *ret_order, q->n_sites);
    CX_NEW(cx, a->sites, q->n_sites);
    for (size_t i = 0; i < q->n_sites; i++)
        names[i] = member_name(cx, home->manifest, PB_BYTES(q->sites[i]));
    order_by_name(names, *ret_order, q->n_sites);
    for (size_t i = 0; i < q->n_sites; i++)
        a->sites[i] = names[(*ret_order)[i]];
    a->n_sites = q->n_sites;
    return FAULT_NONE;
}

static enum fault fill_answer(struct cx *cx, const struct home *home,
                              const struct sent *sent, const struct receipt_facts *facts,
                              struct answer *a)
{
    const Cohortium__Question *q = sent->request->question;
    const struct analysis *analysis = analysis_find(q->analysis);
    size_t *order = NULL;

    a->analysis = q->analysis;
    a->title = analysis != NULL ? analysis->title : q->analysis;
    a->dataset = q->dataset;
    a->cohort = cohort_words(cx, sent->cb, q->cohort);
    a->exact_for_testing = facts->exact_for_testing;
    a->by_site = facts->release == NULL;
    TRY(fill_sites(cx, home, q, a, &order));
    if (a->by_site && facts->n_sites != q->n_sites)
        return cx_fail(cx, FAULT_FORMAT, "the receipt holds %zu answers of %zu sites",
                       facts->n_sites, q->n_sites);
    a->n_shown = a->by_site ? q->n_sites : 1;
    CX_NEW(cx, a->shown, a->n_shown);
    for (size_t i = 0; i < a->n_shown; i++) {
        a->shown[i].site = a->by_site ? a->sites[i] : NULL;
        TRY(show_release(cx, home, sent,
                         a->by_site ? facts->site_releases[order[i]] : facts->release,
                         &a->shown[i]));
    }
    return FAULT_NONE;
}

static enum fault print_answer(struct cli *cli, struct cx *cx, const struct asking *asking,
                               const struct answer *a)
{
    struct buffer out = buffer_new(cx, ASK_OUTPUT_MAX);
    bool released = false;

    for (size_t i = 0; i < a->n_shown; i++)
        released = released || a->shown[i].released;
    if (asking->json)
        TRY(render_json(a, &out));
    else if (released && asking->csv)
        TRY(render_csv(a, &out));
    else if (released)
        TRY(render_text(a, &out));
    if (asking->csv && a->exact_for_testing && !asking->many)
        (void)fputs("cohortium: exact for testing\n", cli->err);
    if (fwrite(out.p, 1, out.n, cli->out) != out.n)
        return cx_fail(cx, FAULT_IO, "standard output could not be written");
    if (released)
        return FAULT_NONE;
    return cx_fail(cx, FAULT_REFUSED, "%s",
                   not_released_text(cx, a->n_shown > 0 ? a->shown[0].reference : NULL));
}

/* ---- all of it ---- */

enum fault ask(struct cli *cli, struct home *home, struct cx *cx,
               const struct asking *asking)
{
    struct sent sent = {0};
    struct receipt_facts facts;
    struct answer answer = {0};
    Cohortium__Receipt *receipt;
    struct bytes packed;

    /* Codebooks outlive this question, and so do the words of their failures. */
    enum fault fault = home_codebook(home, asking->args->words[0], &sent.cb);
    if (fault != FAULT_NONE)
        return cx == home->cx ? fault : cx_fail(cx, fault, "%s", cx_message(home->cx));
    TRY(make_request(home, cx, asking, &sent));
    fault =
        home_call(home, cx, SERVICE_ASK, sent.packed, sent.deadline_ms + SLACK_MS, &packed);
    if (fault != FAULT_NONE)
        return tell_trouble(cli, home, cx, asking, fault);
    TRY(pb_unpack(cx, &cohortium__receipt__descriptor, packed, LINK_MESSAGE_MAX, &receipt));
    if (sent.request->dry_run)
        return dry_run_show(cli, home, cx, asking, &sent, receipt);
    TRY(verify(home, cx, asking, &sent, packed, receipt, &facts));
    TRY(keep_receipt(home, cx, asking, &sent, packed, ".receipt", &answer.receipt));
    TRY(fill_answer(cx, home, &sent, &facts, &answer));
    return print_answer(cli, cx, asking, &answer);
}

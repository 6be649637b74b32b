/* ask.c - sign, ask, verify, keep the receipt, show. Nothing is printed before it is
 * verified. */
#include "node/cli/ask_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "node/cli/receipts.h"
#include "node/cli/render.h"
#include "node/cli/witness.h"

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

/* Members are sorted by node id in a manifest, so this list is, too. */
static enum fault put_sites(struct home *home, struct cx *cx, const struct args *args,
                            Cohortium__Question *q)
{
    const Cohortium__Manifest *m = home->manifest->body;
    const char *list = args_get(args, "--sites");
    bool *chosen;

    CX_NEW(cx, chosen, m->n_members);
    CX_NEW(cx, q->sites, m->n_members);
    for (size_t i = 0; list == NULL && i < m->n_members; i++)
        chosen[i] = m->members[i]->holds_data;
    if (list != NULL)
        TRY(mark_sites(home, cx, list, chosen));
    for (size_t i = 0; i < m->n_members; i++) {
        if (chosen[i])
            q->sites[q->n_sites++] = m->members[i]->node_id;
    }
    q->by_site = args_has(args, "--by-site");
    return FAULT_NONE;
}

/* An answer is charged: that its receipt cannot be kept must be known before. */
enum fault ask_check_place(struct cx *cx, const struct asking *asking)
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
    Cohortium__Request *r;
    double seconds;

    TRY(ask_check_place(cx, asking));
    if (asking->save && !args_has(args, "--save") && !args_has(args, "--no-save") &&
        !args_has(args, "--dry-run"))
        TRY(receipts_check(cx, &home->profile));
    TRY(args_number(cx, args, "--deadline", 1, ASK_DEADLINE_MAX_S, ASK_DEADLINE_S,
                    &seconds));
    sent->deadline_ms = (int64_t)(seconds * 1000);
    if (args_has(args, "--later"))
        TRY(later_validity(home, cx, args, &sent->deadline_ms));
    CX_NEW(cx, r, 1);
    cohortium__request__init(r);
    TRY(question_make(cx, sent->cb, args, args->command->words, &r->question));
    TRY(question_try(cx, sent->cb, r->question, home->manifest->body->rows_log2));
    TRY(home_permit(home, cx, wanted != NULL ? wanted : asking->permit, args->words[0],
                    &permit));
    TRY(put_sites(home, cx, args, r->question));
    sent->permit = permit;
    r->permit = permit->id;
    r->dry_run = args_has(args, "--dry-run");
    if (note != NULL && !utf8_is_clean(note, strlen(note)))
        return usage_fail(cx, args, "--note is not clean UTF-8");
    if (note != NULL)
        r->note = (char *)note;
    sent->request = r;
    return ask_seal(home, cx, sent);
}

/* The sites and home, sorted as the manifest is. */
static enum fault put_audience(struct home *home, struct cx *cx,
                               const Cohortium__Question *q, Cohortium__Stamp *stamp)
{
    const Cohortium__Manifest *m = home->manifest->body;

    CX_NEW(cx, stamp->audience, m->n_members);
    for (size_t i = 0; i < m->n_members; i++) {
        ProtobufCBinaryData id = m->members[i]->node_id;
        bool meant = memcmp(id.data, home->profile.node, DIGEST_BYTES) == 0;

        for (size_t k = 0; k < q->n_sites && !meant; k++)
            meant = bytes_equal(PB_BYTES(q->sites[k]), PB_BYTES(id));
        if (meant)
            stamp->audience[stamp->n_audience++] = id;
    }
    return FAULT_NONE;
}

enum fault ask_seal(struct home *home, struct cx *cx, struct sent *sent)
{
    Cohortium__Request *r = sent->request;
    uint8_t subject[DIGEST_BYTES];
    struct envelope e;

    CX_NEW(cx, r->stamp, 1);
    cohortium__stamp__init(r->stamp);
    digest_of(bytes_of(keys_signing_public(home->keys), KEY_BYTES), subject);
    TRY(stamp_fill(cx, r->stamp, home->manifest, subject, NULL,
                   sent->deadline_ms < STAMP_LIFE_MAX_MS ? sent->deadline_ms
                                                         : STAMP_LIFE_MAX_MS));
    r->stamp->expires_at = r->stamp->issued_at + (uint64_t)sent->deadline_ms;
    sent->id = bytes_hex(cx, r->stamp->request_id.data, r->stamp->request_id.len);
    if (sent->id == NULL)
        return FAULT_MEMORY;
    TRY(put_audience(home, cx, r->question, r->stamp));
    r->home = PB_DATA(bytes_of(home->profile.node, DIGEST_BYTES));
    r->credential = PB_DATA(home->credential);
    TRY(envelope_seal(cx, ENVELOPE_REQUEST, &r->base, home->keys, &sent->packed));
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

enum fault tell_trouble(struct cli *cli, struct home *home, struct cx *cx,
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

enum fault ask_keep(struct home *home, struct cx *cx, const struct asking *asking,
                    const struct sent *sent, struct bytes packed, bool rejected,
                    const char **ret_path)
{
    const char *path = args_get(asking->args, "--save");

    *ret_path = NULL;
    if (path != NULL) {
        TRY(receipt_write(cx, packed, path));
        *ret_path = path;
        return FAULT_NONE;
    }
    if (!asking->save || args_has(asking->args, "--no-save"))
        return FAULT_NONE;
    return receipts_keep(cx, &home->profile, sent->digest, packed, rejected, asking->many,
                         ret_path);
}

/* The receipt must hold, and be of this very request. */
enum fault ask_verify(struct home *home, struct cx *cx, const struct asking *asking,
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
    if (ask_keep(home, cx, asking, sent, packed, true, &path) != FAULT_NONE)
        path = NULL;
    return cx_fail(cx, fault, "the answer is not believed and not shown: %s%s%s",
                   why == NULL ? "" : why,
                   path != NULL ? "; it is kept for the officers in " : "",
                   path != NULL ? path : "");
}

/* ---- showing ---- */

/* With what could help; a question among many has one line. */
static enum fault tell_not_released(struct cli *cli, struct cx *cx,
                                    const struct asking *asking, const struct answer *a)
{
    const char *text =
        not_released_text(cx, a->n_shown > 0 ? a->shown[0].reference : NULL);
    struct buffer help = buffer_new(cx, ASK_OUTPUT_MAX);

    put_advice(&help, &a->advice);
    const char *lines = buffer_string(&help);
    if (!asking->many && !asking->json && lines != NULL && help.n > 0) {
        (void)fprintf(cli->err, "cohortium: %s\n%s", text, lines);
        cli->said = true;
    }
    return cx_fail(cx, FAULT_REFUSED, "%s", text);
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
    if (asking->csv && !a->witnessed && !asking->many)
        (void)fprintf(cli->err, "cohortium: %s\n", a->witness_words);
    if (fwrite(out.p, 1, out.n, cli->out) != out.n)
        return cx_fail(cx, FAULT_IO, "standard output could not be written");
    if (released)
        return FAULT_NONE;
    if (!asking->json && !asking->csv && !asking->many && !a->witnessed)
        (void)fprintf(cli->err, "cohortium: %s\n", a->witness_words);
    return tell_not_released(cli, cx, asking, a);
}

enum fault ask_show(struct cli *cli, struct home *home, struct cx *cx,
                    const struct asking *asking, const struct sent *sent,
                    struct bytes packed)
{
    struct answer answer = {0};
    struct receipt_facts facts;
    Cohortium__Receipt *receipt;
    const char *kept;

    TRY(pb_unpack(cx, &cohortium__receipt__descriptor, packed, LINK_MESSAGE_MAX, &receipt));
    if (sent->request->dry_run)
        return dry_run_show(cli, home, cx, asking, sent, receipt);
    TRY(ask_verify(home, cx, asking, sent, packed, receipt, &facts));
    if (!facts.witnessed && asking->unwitnessed == NULL)
        (void)witness_refresh(home, cx, receipt, &facts, &packed);
    TRY(ask_keep(home, cx, asking, sent, packed, false, &kept));
    if (!facts.witnessed && asking->unwitnessed != NULL)
        TRY(unwitnessed_add(cli->cx, asking->unwitnessed, kept));
    TRY(answer_make(cx, sent->cb, &facts, &answer));
    answer.receipt = kept;
    return print_answer(cli, cx, asking, &answer);
}

/* ---- all of it ---- */

enum fault ask_make(struct home *home, struct cx *cx, const struct asking *asking,
                    struct sent *sent)
{
    /* Codebooks outlive this question, and so do the words of their failures. */
    enum fault fault = home_codebook(home, asking->args->words[0], &sent->cb);
    if (fault != FAULT_NONE)
        return cx == home->cx ? fault : cx_fail(cx, fault, "%s", cx_message(home->cx));
    return make_request(home, cx, asking, sent);
}

enum fault ask(struct cli *cli, struct home *home, struct cx *cx,
               const struct asking *asking)
{
    struct sent sent = {0};

    TRY(ask_make(home, cx, asking, &sent));
    return args_has(asking->args, "--later") ? later_leave(cli, home, cx, asking, &sent)
                                             : ask_send(cli, home, cx, asking, &sent);
}

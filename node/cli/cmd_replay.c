/*
 * cmd_replay.c - the question of a receipt, asked again, and what became of its answer.
 *
 * The same typed question, sites and permit, signed anew. The bytes that were released then
 * and now are compared. Where they differ, or nobody can answer, what changed is named: by
 * what both receipts prove (versions, policies), and by what home tells now (members,
 * permits, codebook), which is believed for nothing else.
 */
#include <string.h>

#include "node/cli/ask_private.h"
#include "node/cli/pending.h"
#include "node/cli/receipts.h"
#include "node/cli/render.h"
#include "node/cli/witness.h"
#include "analyses/question_words.h"
#include "node/data/decimal.h"

enum { CAUSES_MAX = 256, REPLAY_OUTPUT_MAX = 16 * 1024 * 1024 };

struct cause {
    const char *kind; /* stable word */
    const char *site; /* "" of no one site */
    const char *text;
};

struct replay {
    struct cli *cli;
    struct cx *cx;
    struct home *home;
    const char *path; /* of the receipt */
    const Cohortium__Receipt *old, *new;
    struct receipt_facts then, now;
    struct sent sent;
    const char *kept; /* the new receipt, or NULL */
    bool answered, same;
    bool same_numbers; /* whatever they rest on */
    size_t n_causes;
    struct cause causes[CAUSES_MAX];
};

static enum fault add_cause(struct replay *r, const char *kind, const char *site,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));

static enum fault add_cause(struct replay *r, const char *kind, const char *site,
                            const char *format, ...)
{
    char text[1200];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (r->n_causes == CAUSES_MAX)
        return FAULT_NONE;
    char *copy = cx_strdup(r->cx, text);
    if (copy == NULL)
        return FAULT_MEMORY;
    r->causes[r->n_causes++] = (struct cause){kind, site == NULL ? "" : site, copy};
    return FAULT_NONE;
}

/* ---- before asking: who and what is gone ---- */

static bool in_audience(const struct replay *r, ProtobufCBinaryData id)
{
    return manifest_find(r->home->manifest, id.data) != NULL;
}

static enum fault find_gone_sites(struct replay *r)
{
    const Cohortium__Question *q = r->then.request.body->question;

    for (size_t i = 0; i < q->n_sites; i++) {
        const char *name = r->then.sites[i].member->name;

        if (!in_audience(r, q->sites[i]))
            TRY(add_cause(r, "site_gone", name,
                          "%s is no member of the consortium any more", name));
    }
    return FAULT_NONE;
}

static const Cohortium__PermitCard *find_permit(const struct replay *r,
                                                ProtobufCBinaryData id)
{
    for (size_t i = 0; i < r->home->sites->n_permits; i++)
        if (bytes_equal(PB_BYTES(r->home->sites->permits[i]->id), PB_BYTES(id)))
            return r->home->sites->permits[i];
    return NULL;
}

/* Home, else any site that answers, tells which codebook is in force. */
static enum fault compare_codebook(struct replay *r)
{
    const Cohortium__Question *q = r->then.request.body->question;

    for (size_t i = 0; i < r->home->sites->n_sites; i++) {
        const Cohortium__Site *s = r->home->sites->sites[i];

        for (size_t k = 0; k < s->n_datasets; k++)
            if (strcmp(s->datasets[k]->name, q->dataset) == 0 &&
                !bytes_equal(PB_BYTES(s->datasets[k]->codebook), PB_BYTES(q->codebook)))
                TRY(add_cause(r, "codebook", s->name,
                              "%s has another codebook of %s than the question was asked "
                              "under: ask it anew in the words of the new one",
                              s->name, q->dataset));
    }
    return FAULT_NONE;
}

static enum fault compare_analysis(struct replay *r)
{
    const Cohortium__Question *q = r->then.request.body->question;
    const struct analysis *a = analysis_find(q->analysis);

    if (a == NULL || a->version != q->analysis_version)
        return add_cause(r, "software", NULL,
                         "the question was asked of version %u of the analysis %s; this "
                         "program has %s%u",
                         q->analysis_version, q->analysis,
                         a == NULL ? "none: " : "version ", a == NULL ? 0 : a->version);
    return FAULT_NONE;
}

/* ---- asking ---- */

static enum fault make_request(struct replay *r, const struct args *args)
{
    const Cohortium__Request *then = r->then.request.body;
    const char *wanted = args_get(args, "--permit");
    struct asking asking = {.args = args, .save = true};
    Cohortium__Request *request;
    double seconds;

    TRY(ask_check_place(r->cx, &asking));
    if (!args_has(args, "--save") && !args_has(args, "--no-save"))
        TRY(receipts_check(r->cx, &r->home->profile));
    TRY(args_number(r->cx, args, "--deadline", 1, ASK_DEADLINE_MAX_S, ASK_DEADLINE_S,
                    &seconds));
    if (wanted != NULL) {
        TRY(home_permit(r->home, r->cx, wanted, then->question->dataset, &r->sent.permit));
    } else {
        r->sent.permit = find_permit(r, then->permit);
        if (r->sent.permit == NULL)
            return add_cause(r, "permit", NULL,
                             "permit \"%.128s\" is not among yours any more: --permit "
                             "chooses another",
                             r->then.permit->title);
    }
    CX_NEW(r->cx, request, 1);
    cohortium__request__init(request);
    request->question = then->question;
    request->permit = r->sent.permit->id;
    request->note = (char *)"replay";
    r->sent.request = request;
    r->sent.deadline_ms = (int64_t)(seconds * 1000);
    return FAULT_NONE;
}

/* A site that is down, or complaints: the answer could not be had. */
static enum fault name_trouble(struct replay *r, enum fault fault)
{
    const Cohortium__Trouble *t = r->home->trouble;
    const char *said = cx_strdup(r->cx, cx_message(r->cx));
    const char *site = t != NULL && t->site.len == DIGEST_BYTES
                           ? member_name(r->cx, r->home->manifest, PB_BYTES(t->site))
                           : NULL;

    if (said == NULL)
        return FAULT_MEMORY;
    if (t != NULL && t->n_complaints > 0) {
        for (size_t i = 0; i < t->n_complaints; i++) {
            bool known = false;

            for (size_t k = 0; k < i && !known; k++)
                known = strcmp(t->complaints[k]->text, t->complaints[i]->text) == 0;
            if (!known)
                TRY(add_cause(r, "refused", site, "%s: %.1000s",
                              site != NULL ? site : "the sites", t->complaints[i]->text));
        }
        return FAULT_NONE;
    }
    bool gone = fault == FAULT_UNAVAILABLE || fault == FAULT_TIMEOUT;
    return add_cause(r, gone && site != NULL ? "site_gone" : "no_answer", site, "%.1000s",
                     said);
}

static enum fault ask_again(struct replay *r, const struct args *args)
{
    struct asking asking = {.args = args, .save = true};
    Cohortium__Receipt *receipt;
    struct bytes packed;
    bool kept;

    TRY(ask_wait(r->cx, args, &asking.wait_ms));
    TRY(ask_seal(r->home, r->cx, &r->sent));
    enum fault fault =
        ask_fetch(r->cli, r->home, r->cx, &asking, &r->sent, &kept, &packed);
    if (fault == FAULT_CANCELLED || r->sent.away)
        return fault; /* no comparison, and all is said */
    if (fault != FAULT_NONE)
        return name_trouble(r, fault);
    TRY(pb_unpack(r->cx, &cohortium__receipt__descriptor, packed, LINK_MESSAGE_MAX,
                  &receipt));
    r->new = receipt;
    TRY(ask_verify(r->home, r->cx, &asking, &r->sent, packed, receipt, &r->now));
    if (!r->now.witnessed)
        (void)witness_refresh(r->home, r->cx, receipt, &r->now, &packed);
    TRY(ask_keep(r->home, r->cx, &asking, &r->sent, packed, false, &r->kept));
    if (kept)
        pending_drop(r->cx, &r->home->profile, r->sent.id);
    r->answered = true;
    return FAULT_NONE;
}

/* ---- comparing ---- */

/* The bytes that sites signed, and the numbers among them. */
static enum fault release_bytes(struct cx *cx, const Cohortium__Receipt *receipt, size_t i,
                                struct bytes *ret_body, struct bytes *ret_numbers)
{
    Cohortium__Release *release;
    struct envelope e;

    TRY(envelope_open(cx, ENVELOPE_RELEASE, PB_BYTES(receipt->releases[i]), &e));
    TRY(pb_unpack(cx, &cohortium__release__descriptor, e.body,
                  envelope_bound(ENVELOPE_RELEASE), &release));
    *ret_body = e.body;
    *ret_numbers = (struct bytes){0};
    return release->result == NULL ? FAULT_NONE
                                   : pb_pack(cx, &release->result->base, ret_numbers);
}

static enum fault compare_bytes(struct replay *r)
{
    r->same = r->same_numbers = r->old->n_releases == r->new->n_releases;
    for (size_t i = 0; r->same_numbers && i < r->old->n_releases; i++) {
        struct bytes then, now, numbers_then, numbers_now;

        TRY(release_bytes(r->cx, r->old, i, &then, &numbers_then));
        TRY(release_bytes(r->cx, r->new, i, &now, &numbers_now));
        r->same = r->same && bytes_equal(then, now);
        r->same_numbers = bytes_equal(numbers_then, numbers_now);
    }
    return FAULT_NONE;
}

static enum fault compare_versions(struct replay *r)
{
    for (size_t i = 0; i < r->then.n_sites; i++) {
        struct bytes then = r->then.sites[i].version, now = r->now.sites[i].version;
        const char *a = bytes_hex(r->cx, then.p, then.n), *b;

        if (bytes_equal(then, now))
            continue;
        b = bytes_hex(r->cx, now.p, now.n);
        TRY(add_cause(r, "dataset_version", r->then.sites[i].member->name,
                      "%s has a new dataset version: %s then, %s now",
                      r->then.sites[i].member->name, a == NULL ? "" : a,
                      b == NULL ? "" : b));
    }
    return FAULT_NONE;
}

static const char *field_text(struct cx *cx, const Cohortium__PolicyField *f)
{
    struct buffer b = buffer_new(cx, 64 * 1024);
    char number[32];

    if (f->n_words == 0)
        buffer_text(&b, decimal_write(f->number, number));
    for (size_t i = 0; i < f->n_words; i++)
        buffer_printf(&b, "%s%s", i > 0 ? ", " : "", f->words[i]);
    const char *text = buffer_string(&b);
    return text == NULL ? "" : text;
}

/* Which rules: by name, where both policies have them. */
static enum fault name_rules(struct replay *r, const Cohortium__Policy *then,
                             const Cohortium__Policy *now, struct buffer *out)
{
    if (strcmp(then->policy_class, now->policy_class) != 0)
        buffer_printf(out, "; class %s then, %s now", then->policy_class,
                      now->policy_class);
    for (size_t i = 0; i < then->n_fields; i++)
        for (size_t k = 0; k < now->n_fields; k++) {
            const Cohortium__PolicyField *a = then->fields[i], *b = now->fields[k];

            if (strcmp(a->name, b->name) != 0)
                continue;
            const char *was = field_text(r->cx, a), *is = field_text(r->cx, b);
            if (strcmp(was, is) != 0)
                buffer_printf(out, "; %s %.64s then, %.64s now", a->name, was, is);
        }
    return out->fault;
}

static enum fault compare_policies(struct replay *r)
{
    bool by_site = r->then.release == NULL;

    for (size_t i = 0; i < (by_site ? r->then.n_sites : 1); i++) {
        const Cohortium__Release *a = by_site ? r->then.site_releases[i] : r->then.release;
        const Cohortium__Release *b = by_site ? r->now.site_releases[i] : r->now.release;
        const struct receipt_site *then = &r->then.sites[i], *now = &r->now.sites[i];
        struct buffer rules = buffer_new(r->cx, 64 * 1024);

        if (memcmp(then->policy, now->policy, sizeof then->policy) == 0)
            continue;
        TRY(name_rules(r, a->policy, b->policy, &rules));
        const char *text = buffer_string(&rules);
        TRY(add_cause(r, "policy", by_site ? then->member->name : NULL,
                      "%s answer%s under a new policy%s",
                      by_site ? then->member->name : "the sites", by_site ? "s" : "",
                      text == NULL ? "" : text));
    }
    return FAULT_NONE;
}

/* These alone change no released byte: they are told beside a cause, or for want of one. */
static enum fault compare_programs(struct replay *r)
{
    uint64_t then = r->then.manifest->body->version, now = r->now.manifest->body->version;

    if (then != now)
        TRY(add_cause(r, "manifest", NULL, "manifest version %llu then, %llu now",
                      (unsigned long long)then, (unsigned long long)now));
    if (strcmp(r->old->software, r->new->software) != 0)
        TRY(add_cause(r, "software", NULL,
                      "the home node ran \"%.64s\" then and runs \"%.64s\" now, as it says",
                      r->old->software, r->new->software));
    return FAULT_NONE;
}

static enum fault compare(struct replay *r)
{
    TRY(compare_bytes(r));
    if (r->same)
        return FAULT_NONE;
    TRY(compare_versions(r));
    TRY(compare_policies(r));
    size_t explained = r->n_causes;
    TRY(compare_programs(r));
    if (explained > 0)
        return FAULT_NONE;
    return add_cause(r, "unexplained", NULL,
                     "data versions, policies and participants are the same, and still the "
                     "bytes differ: show both receipts to the sites' officers");
}

/* ---- telling ---- */

static bool is_repeat(const struct receipt_facts *f)
{
    for (size_t i = 0; i < f->n_sites; i++)
        if (!f->sites[i].repeated)
            return false;
    return true;
}

static void put_text(struct buffer *out, const struct replay *r)
{
    buffer_printf(out, "%s\n",
                  r->same       ? "same: byte for byte the answer that was given then"
                  : r->answered ? "differs: another answer than was given then, because"
                                : "no answer: it cannot be asked again, because");
    for (size_t i = 0; i < r->n_causes; i++)
        buffer_printf(out, "  %s\n", r->causes[i].text);
    if (r->answered)
        buffer_printf(out, "  %s\n",
                      is_repeat(&r->now)
                          ? "every site held this answer: nothing was charged"
                          : "it was answered anew");
    if (r->answered && !r->same && r->same_numbers)
        buffer_text(out, "  the released numbers are the same nonetheless\n");
    if (r->kept != NULL)
        buffer_printf(out, "then: %s\nnow:  %s\n", r->path, r->kept);
}

static void put_json(struct buffer *out, const struct replay *r)
{
    buffer_printf(out,
                  "{\"cohortium\":1,\"same\":%s,\"same_numbers\":%s,\"answered\":%s,"
                  "\"repeated\":%s",
                  r->same ? "true" : "false", r->same_numbers ? "true" : "false",
                  r->answered ? "true" : "false",
                  r->answered && is_repeat(&r->now) ? "true" : "false");
    buffer_text(out, ",\"question\":");
    put_json_text(out, question_words(out->cx, r->then.request.body->question));
    buffer_text(out, ",\"causes\":[");
    for (size_t i = 0; i < r->n_causes; i++) {
        buffer_text(out, i > 0 ? ",{\"cause\":" : "{\"cause\":");
        put_json_text(out, r->causes[i].kind);
        buffer_text(out, ",\"site\":");
        put_json_text(out, r->causes[i].site);
        buffer_text(out, ",\"text\":");
        put_json_text(out, r->causes[i].text);
        buffer_text(out, "}");
    }
    buffer_text(out, "],\"then\":");
    put_json_text(out, r->path);
    buffer_text(out, ",\"now\":");
    if (r->kept != NULL)
        put_json_text(out, r->kept);
    else
        buffer_text(out, "null");
    buffer_text(out, "}\n");
}

/* ---- all of it ---- */

static enum fault open_old(struct replay *r, const struct args *args)
{
    Cohortium__Receipt *receipt;
    struct bytes packed;

    TRY(receipts_find(r->cx, args_get(args, "--profile"), args->words[0], &r->path));
    TRY(receipt_read(r->cx, r->path, &packed));
    if (pb_unpack(r->cx, &cohortium__receipt__descriptor, packed, RECEIPT_MAX, &receipt) !=
            FAULT_NONE ||
        receipt_verify(r->cx, receipt, r->home->profile.genesis, &r->then) != FAULT_NONE)
        return cx_prefix(r->cx, "%s cannot be compared with: ", r->path);
    r->old = receipt;
    return FAULT_NONE;
}

static enum fault replay(struct replay *r, const struct args *args)
{
    TRY(open_old(r, args));
    TRY(find_gone_sites(r));
    if (r->n_causes == 0)
        TRY(make_request(r, args));
    if (r->n_causes > 0)
        return FAULT_NONE;
    TRY(ask_again(r, args));
    if (r->answered)
        return compare(r);
    /* What explains a complaint is told beside it. */
    TRY(compare_codebook(r));
    return compare_analysis(r);
}

enum fault run_replay(struct cli *cli, const struct args *args)
{
    struct buffer out = buffer_new(cli->cx, REPLAY_OUTPUT_MAX);
    struct home home;
    struct replay *r;

    TRY(args_words(cli->cx, args, 1, 1));
    CX_NEW(cli->cx, r, 1);
    *r = (struct replay){.cli = cli, .cx = cli->cx, .home = &home};
    enum fault fault = home_open(cli, args, &home);
    if (fault == FAULT_NONE)
        fault = replay(r, args);
    home_close(&home);
    TRY(fault);
    if (args_has(args, "--json"))
        put_json(&out, r);
    else
        put_text(&out, r);
    TRY(out.fault);
    if (fwrite(out.p, 1, out.n, cli->out) != out.n)
        return cx_fail(cli->cx, FAULT_IO, "standard output could not be written");
    if (r->same)
        return FAULT_NONE;
    cli->said = true;
    return cx_fail(cli->cx, FAULT_CONFLICT, "%s", r->causes[0].text);
}

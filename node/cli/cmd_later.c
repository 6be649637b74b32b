/* cmd_later.c - collect, cancel, pending: questions by their id. */
#include <string.h>

#include "node/cli/ask_private.h"
#include "node/cli/pending.h"
#include "node/cli/render.h"
#include "analyses/question_words.h"
#include "protocol/base/clock.h"

enum {
    POLL_MS = 2000,
    POLL_LATE_MS = 15000, /* after a minute */
    TOO_LATE_MS = 10000,  /* a request with less to live is asked anew */
    TROUBLE_MAX = 1024 * 1024,
    CARDS_MAX = 512
};

/* ---- a request that was made before ---- */

static enum fault open_codebook(struct home *home, struct cx *cx,
                                const Cohortium__Question *q, const struct codebook **ret)
{
    struct codebook *cb;

    if (q->codebook.len != DIGEST_BYTES)
        return cx_fail(cx, FAULT_FORMAT, "this request names no codebook");
    enum fault fault = home_codebook_of(home, q->dataset, q->codebook.data, &cb);
    if (fault != FAULT_NONE)
        return cx == home->cx ? fault : cx_fail(cx, fault, "%s", cx_message(home->cx));
    *ret = cb;
    return FAULT_NONE;
}

/* Whoever gave it: only what we have signed ourselves is sent or shown as ours. */
static enum fault sent_open(struct home *home, struct cx *cx, struct bytes packed,
                            struct sent *ret)
{
    struct sent sent = {.packed = packed};
    struct envelope e;

    TRY(envelope_open(cx, ENVELOPE_REQUEST, packed, &e));
    if (!envelope_is_signed_by(&e, keys_signing_public(home->keys)))
        return cx_fail(cx, FAULT_DENIED,
                       "this request was not signed with the key of the profile %s",
                       home->profile.name);
    TRY(pb_unpack(cx, &cohortium__request__descriptor, e.body,
                  envelope_bound(ENVELOPE_REQUEST), &sent.request));
    if (sent.request->stamp == NULL || sent.request->question == NULL ||
        sent.request->stamp->request_id.len != ID_BYTES)
        return cx_fail(cx, FAULT_FORMAT, "this request is not whole");
    memcpy(sent.digest, e.digest, sizeof sent.digest);
    sent.id = bytes_hex(cx, sent.request->stamp->request_id.data, ID_BYTES);
    if (sent.id == NULL)
        return FAULT_MEMORY;
    int64_t left = (int64_t)sent.request->stamp->expires_at - clock_utc_ms();
    sent.deadline_ms = left > ASK_DEADLINE_MAX_S * 1000 ? ASK_DEADLINE_MAX_S * 1000 : left;
    TRY(open_codebook(home, cx, sent.request->question, &sent.cb));
    *ret = sent;
    return FAULT_NONE;
}

/* ---- collect ---- */

struct collecting {
    struct cli *cli;
    struct home *home;
    struct cx *cx;
    struct asking asking;
    const char *id; /* as given, then whole */
    bool have;      /* sent is there */
    struct sent sent;
    const Cohortium__LaterReply *reply;
    const Cohortium__LaterCard *card;
    int64_t until; /* monotonic */
};

static enum fault ask_home(struct collecting *c)
{
    Cohortium__LaterCall call = COHORTIUM__LATER_CALL__INIT;
    Cohortium__LaterReply *reply;
    struct bytes packed;

    call.id = (char *)c->id;
    TRY(pb_pack(c->cx, &call.base, &packed));
    TRY(home_call(c->home, c->cx, SERVICE_COLLECT, packed, HOME_CALL_MS, &packed));
    TRY(pb_unpack(c->cx, &cohortium__later_reply__descriptor, packed, LINK_MESSAGE_MAX,
                  &reply));
    if (reply->n_cards != 1)
        return cx_fail(c->cx, FAULT_FORMAT, "home's answer was not understood");
    c->reply = reply;
    c->card = reply->cards[0];
    if (c->have || reply->request.len == 0)
        return FAULT_NONE;
    TRY(sent_open(c->home, c->cx, PB_BYTES(reply->request), &c->sent));
    c->id = c->sent.id;
    c->have = true;
    return FAULT_NONE;
}

/* Both sides forget what was fetched; that home may not hear of it harms nothing. */
static void forget(struct collecting *c)
{
    AUTO_CX struct cx *cx = cx_new(LINK_MESSAGE_MAX, CX_NO_DEADLINE);
    const Cohortium__LaterCard *card;

    pending_drop(c->cx, &c->home->profile, c->sent.id);
    if (cx != NULL)
        (void)!later_cancel(c->home, cx, c->sent.id, &card);
}

/* The very same request while it is valid; else the same question anew: the sites know it
 * by its digest and charge nothing twice. */
static enum fault send_again(struct collecting *c)
{
    int64_t left = (int64_t)c->sent.request->stamp->expires_at - clock_utc_ms();
    const char *old = c->sent.id;
    double seconds;

    if (left > TOO_LATE_MS || strcmp(c->card->state, "running") == 0)
        return ask_send(c->cli, c->home, c->cx, &c->asking, &c->sent);
    TRY(args_number(c->cx, c->asking.args, "--deadline", 1, ASK_DEADLINE_MAX_S,
                    ASK_DEADLINE_S, &seconds));
    c->sent.deadline_ms = (int64_t)(seconds * 1000);
    TRY(ask_seal(c->home, c->cx, &c->sent));
    (void)fprintf(c->cli->err, "cohortium: %.12s has expired; asked anew as %.12s\n", old,
                  c->sent.id);
    pending_drop(c->cx, &c->home->profile, old);
    return ask_send(c->cli, c->home, c->cx, &c->asking, &c->sent);
}

static enum fault fault_of(const char *name)
{
    for (int f = FAULT_NONE + 1; f <= FAULT_INTERNAL; f++)
        if (strcmp(fault_name((enum fault)f), name) == 0)
            return (enum fault)f;
    return FAULT_UNAVAILABLE;
}

static enum fault show_failure(struct collecting *c)
{
    Cohortium__Trouble *t;
    struct bytes packed = PB_BYTES(c->reply->trouble);

    TRY(pb_unpack(c->cx, &cohortium__trouble__descriptor, packed, TROUBLE_MAX, &t));
    enum fault fault = home_failure(c->home, c->cx, fault_of(t->fault), packed);
    fault = tell_trouble(c->cli, c->home, c->cx, &c->asking, fault);
    const char *why = cx_strdup(c->cx, cx_message(c->cx));
    forget(c);
    return cx_fail(c->cx, fault, "%s", why != NULL ? why : "");
}

static enum fault show_receipt(struct collecting *c)
{
    if (c->reply->receipt.len == 0) { /* it was too large to keep: the sites hold it */
        TRY(send_again(c));
        forget(c);
        return FAULT_NONE;
    }
    enum fault fault =
        ask_show(c->cli, c->home, c->cx, &c->asking, &c->sent, PB_BYTES(c->reply->receipt));
    /* "Not released" is an answer. */
    if (fault == FAULT_NONE || fault == FAULT_REFUSED)
        forget(c);
    return fault;
}

static enum fault still_waits(struct collecting *c)
{
    char until[32];

    return cx_fail(
        c->cx, FAULT_UNAVAILABLE,
        "%.12s waits at home until %s%s%s; `cohortium collect %.12s --wait` waits "
        "for it",
        c->id, clock_format((int64_t)c->card->expires_at, until, sizeof until),
        c->card->text[0] != '\0' ? ": " : "", c->card->text, c->id);
}

static void pause_over(void *user)
{
    *(bool *)user = true;
}

static bool is_over(void *user)
{
    return *(bool *)user;
}

/* The link lives meanwhile. */
static enum fault pause_a_while(struct home *home, struct cx *cx, int64_t ms)
{
    bool over = false;
    uint64_t timer = hub_after(home->hub, ms, pause_over, &over);

    if (timer == 0)
        return FAULT_MEMORY;
    enum fault fault = hub_run(cx, home->hub, is_over, &over);
    hub_cancel_timer(home->hub, timer);
    return fault;
}

/* One for later that runs at this moment: waited for there, or, where a site went away
 * meanwhile, until home has tried again. */
static enum fault join_running(struct collecting *c, bool wait, bool *ret_again)
{
    enum fault fault = send_again(c);

    *ret_again =
        wait && c->home->link != NULL &&
        (fault == FAULT_UNAVAILABLE || fault == FAULT_MISSING || fault == FAULT_CONFLICT);
    if (fault == FAULT_NONE || fault == FAULT_REFUSED)
        forget(c);
    return fault;
}

/* Who waits for an answer waits for home, too. */
static enum fault ask_home_or_wait(struct collecting *c, bool wait)
{
    enum fault fault = ask_home(c);
    int64_t until = clock_mono_ms() + c->asking.wait_ms;

    while (wait && home_is_lost(c->home, fault)) {
        TRY(ask_await_home(c->cli, c->home, c->cx, &c->asking, c->id,
                           until < c->until ? until : c->until));
        fault = ask_home(c);
    }
    return fault;
}

static enum fault collect(struct collecting *c)
{
    bool again;

    bool wait = args_has(c->asking.args, "--wait");

    for (int polls = 0;; polls++) {
        TRY(ask_home_or_wait(c, wait));
        const char *state = c->card->state;

        if (!c->have)
            return cx_fail(c->cx, FAULT_MISSING,
                           "no question %s is pending here or kept by home; `cohortium "
                           "pending` lists them",
                           c->id);
        if (strcmp(state, "done") == 0)
            return show_receipt(c);
        if (strcmp(state, "failed") == 0)
            return show_failure(c);
        again = false;
        if (strcmp(state, "running") == 0) {
            enum fault fault = join_running(c, wait, &again);

            if (!again)
                return fault;
        } else if (strcmp(state, "waiting") != 0) {
            return send_again(c);
        }
        if (!again && (!wait || clock_mono_ms() >= c->until))
            return still_waits(c);
        TRY(pause_a_while(c->home, c->cx, polls < 30 ? POLL_MS : POLL_LATE_MS));
    }
}

static enum fault collect_begin(struct collecting *c)
{
    struct pending one;
    enum fault fault = pending_find(c->cx, &c->home->profile, c->id, &one);
    double seconds;

    if (fault != FAULT_NONE && fault != FAULT_MISSING)
        return fault;
    if (fault == FAULT_NONE) {
        TRY(sent_open(c->home, c->cx, one.packed, &c->sent));
        c->id = c->sent.id;
        c->have = true;
    }
    TRY(args_number(c->cx, c->asking.args, "--deadline", 1, ASK_DEADLINE_MAX_S,
                    ASK_DEADLINE_MAX_S, &seconds));
    c->until = clock_mono_ms() + (int64_t)(seconds * 1000);
    return collect(c);
}

enum fault run_collect(struct cli *cli, const struct args *args)
{
    struct home home;
    struct collecting c = {.cli = cli,
                           .home = &home,
                           .cx = cli->cx,
                           .asking = {.args = args,
                                      .json = args_has(args, "--json"),
                                      .csv = args_has(args, "--csv"),
                                      .wait_ms = ASK_WAIT_S * 1000,
                                      .save = true}};

    TRY(args_words(cli->cx, args, 1, 1));
    c.id = args->words[0];
    TRY(pending_check_id(cli->cx, args, c.id));
    if (c.asking.json && c.asking.csv)
        return usage_fail(cli->cx, args, "--json and --csv exclude each other");
    TRY(ask_check_place(cli->cx, &c.asking));
    enum fault fault = home_open(cli, args, &home);
    if (fault == FAULT_NONE)
        fault = collect_begin(&c);
    home_close(&home);
    return fault;
}

/* ---- cancel ---- */

static enum fault print_cancelled(struct cli *cli, struct home *home, const char *id,
                                  const Cohortium__LaterCard *card, bool json)
{
    struct buffer out = buffer_new(cli->cx, 64 * 1024);
    bool stopped = strcmp(card->state, "cancelled") == 0;

    if (json) {
        buffer_printf(&out, "{\"cohortium\":1,\"cancelled\":%s,\"id\":\"%s\",\"charged\":[",
                      stopped ? "true" : "false", id);
        for (size_t i = 0; i < card->n_charged; i++) {
            buffer_text(&out, i > 0 ? "," : "");
            put_json_text(&out,
                          member_name(cli->cx, home->manifest, PB_BYTES(card->charged[i])));
        }
        buffer_text(&out, "]}\n");
    } else if (stopped) {
        buffer_printf(&out, "%.12s is cancelled; %s\n", id,
                      charged_words(home, cli->cx, card));
    } else if (strcmp(card->state, "none") == 0) {
        buffer_printf(&out, "%.12s neither runs nor waits at home: nothing to cancel\n",
                      id);
    } else {
        buffer_printf(&out, "%.12s had ended already (%s); home has forgotten it\n", id,
                      card->state);
    }
    TRY(out.fault);
    return fwrite(out.p, 1, out.n, cli->out) == out.n
               ? FAULT_NONE
               : cx_fail(cli->cx, FAULT_IO, "standard output could not be written");
}

static enum fault cancel(struct cli *cli, struct home *home, const struct args *args)
{
    const Cohortium__LaterCard *card;
    const char *id = args->words[0];
    struct pending one;
    enum fault fault = pending_find(cli->cx, &home->profile, id, &one);

    if (fault != FAULT_NONE && fault != FAULT_MISSING)
        return fault;
    if (fault == FAULT_NONE)
        id = one.id;
    TRY(later_cancel(home, cli->cx, id, &card));
    if (fault == FAULT_NONE)
        pending_drop(cli->cx, &home->profile, id);
    return print_cancelled(cli, home, id, card, args_has(args, "--json"));
}

enum fault run_cancel(struct cli *cli, const struct args *args)
{
    struct home home;

    TRY(args_words(cli->cx, args, 1, 1));
    TRY(pending_check_id(cli->cx, args, args->words[0]));
    enum fault fault = home_open(cli, args, &home);
    if (fault == FAULT_NONE)
        fault = cancel(cli, &home, args);
    home_close(&home);
    return fault;
}

/* ---- pending ---- */

struct line {
    const char *id, *state, *question, *text;
    int64_t expires_at;
};

static enum fault line_of_card(struct cx *cx, const Cohortium__LaterCard *card,
                               struct line *ret)
{
    ret->id = bytes_hex(cx, card->request_id.data, card->request_id.len);
    ret->state = card->state;
    ret->question = cx_printf(cx, "%s %s", card->analysis, card->dataset);
    ret->text = card->text;
    ret->expires_at = (int64_t)card->expires_at;
    return ret->id != NULL && ret->question != NULL ? FAULT_NONE : FAULT_MEMORY;
}

/* A file that is no request is passed over: it says nothing that could be collected. */
static enum fault line_of_file(struct cx *cx, const struct pending *p, struct line *ret)
{
    Cohortium__Request *r;
    struct envelope e;

    TRY(envelope_open(cx, ENVELOPE_REQUEST, p->packed, &e));
    TRY(pb_unpack(cx, &cohortium__request__descriptor, e.body,
                  envelope_bound(ENVELOPE_REQUEST), &r));
    if (r->stamp == NULL || r->question == NULL)
        return FAULT_FORMAT;
    ret->id = p->id;
    ret->expires_at = (int64_t)r->stamp->expires_at;
    ret->state = ret->expires_at < clock_utc_ms() ? "expired" : "sent";
    ret->text = ret->expires_at < clock_utc_ms() ? "asked anew when collected"
                                                 : "no answer came; collect asks again";
    ret->question = question_words(cx, r->question);
    return ret->question != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault gather(struct home *home, struct cx *cx, struct line *lines,
                         size_t *ret_n)
{
    Cohortium__LaterReply *reply;
    struct pending *files;
    struct bytes packed;
    size_t n = 0, n_files;

    TRY(home_call(home, cx, SERVICE_PENDING, (struct bytes){0}, HOME_CALL_MS, &packed));
    TRY(pb_unpack(cx, &cohortium__later_reply__descriptor, packed, LINK_MESSAGE_MAX,
                  &reply));
    for (size_t i = 0; i < reply->n_cards && n < CARDS_MAX; i++)
        TRY(line_of_card(cx, reply->cards[i], &lines[n++]));
    TRY(pending_list(cx, &home->profile, &files, &n_files));
    for (size_t i = 0; i < n_files && n < CARDS_MAX; i++) {
        struct line line;
        size_t k = 0;

        if (line_of_file(cx, &files[i], &line) != FAULT_NONE)
            continue;
        while (k < n && strcmp(lines[k].id, line.id) != 0)
            k++;
        if (k < n)
            lines[k].question = line.question; /* all of its words */
        else
            lines[n++] = line;
    }
    *ret_n = n;
    return FAULT_NONE;
}

static void put_lines_json(struct buffer *out, const struct line *lines, size_t n)
{
    char until[32];

    buffer_text(out, "{\"cohortium\":1,\"pending\":[");
    for (size_t i = 0; i < n; i++) {
        buffer_printf(out, "%s{\"id\":\"%s\",\"state\":", i > 0 ? "," : "", lines[i].id);
        put_json_text(out, lines[i].state);
        buffer_text(out, ",\"question\":");
        put_json_text(out, lines[i].question);
        buffer_printf(out, ",\"until\":\"%s\",\"text\":",
                      clock_format(lines[i].expires_at, until, sizeof until));
        put_json_text(out, lines[i].text);
        buffer_text(out, "}");
    }
    buffer_text(out, "]}\n");
}

static enum fault put_lines(struct cli *cli, struct buffer *out, const struct line *lines,
                            size_t n)
{
    static const char *const head[] = {"id", "state", "question", "until", "why"};
    const char **cells;
    char until[32];

    if (n == 0) {
        buffer_text(out, "nothing is pending\n");
        return out->fault;
    }
    CX_NEW(cli->cx, cells, n * COUNT(head));
    for (size_t i = 0; i < n; i++) {
        const char **row = cells + i * COUNT(head);

        (void)clock_format(lines[i].expires_at, until, sizeof until);
        row[0] = cx_printf(cli->cx, "%.12s", lines[i].id);
        row[1] = lines[i].state;
        row[2] = lines[i].question;
        row[3] = cx_strdup(cli->cx, until);
        row[4] = lines[i].text;
        if (row[0] == NULL || row[3] == NULL)
            return FAULT_MEMORY;
    }
    const struct grid grid = {.n_columns = COUNT(head),
                              .n_rows = n,
                              .head = head,
                              .cells = cells,
                              .width = terminal_width(cli->out)};
    put_grid(out, &grid, "");
    return out->fault;
}

enum fault run_pending(struct cli *cli, const struct args *args)
{
    struct buffer out = buffer_new(cli->cx, ASK_OUTPUT_MAX);
    struct line *lines;
    struct home home;
    size_t n = 0;

    TRY(args_words(cli->cx, args, 0, 0));
    CX_NEW(cli->cx, lines, CARDS_MAX);
    enum fault fault = home_open(cli, args, &home);
    if (fault == FAULT_NONE)
        fault = gather(&home, cli->cx, lines, &n);
    home_close(&home);
    TRY(fault);
    if (args_has(args, "--json"))
        put_lines_json(&out, lines, n);
    else
        TRY(put_lines(cli, &out, lines, n));
    TRY(out.fault);
    return fwrite(out.p, 1, out.n, cli->out) == out.n
               ? FAULT_NONE
               : cx_fail(cli->cx, FAULT_IO, "standard output could not be written");
}

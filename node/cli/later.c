/* later.c - a question left with home, and one cancelled there (ask_private.h). */
#include <string.h>

#include "node/cli/ask_private.h"
#include "node/cli/pending.h"
#include "node/cli/render.h"
#include "protocol/base/clock.h"
#include "protocol/papers.h"

enum { DAYS_MAX = 7, CANCEL_MS = 10000, REPLY_MAX = LINK_MESSAGE_MAX };
static const int64_t day_ms = 24 * 3600 * 1000;

enum fault later_validity(struct home *home, struct cx *cx, const struct args *args,
                          int64_t *ret_ms)
{
    struct credential c;
    double days;
    char until[32];
    int64_t now = clock_utc_ms();

    if (args_has(args, "--dry-run"))
        return usage_fail(cx, args, "--later and --dry-run exclude each other");
    if (args_has(args, "--deadline") || args_has(args, "--save"))
        return usage_fail(cx, args, "--later does not go with %s; give it to `collect`",
                          args_has(args, "--save") ? "--save" : "--deadline");
    TRY(args_number(cx, args, "--days", 0.01, DAYS_MAX, DAYS_MAX, &days));
    TRY(credential_verify(cx, home->manifest, home->credential, now, &c));
    int64_t ms = (int64_t)(days * (double)day_ms);
    if ((int64_t)c.body->not_after - now < ms && args_has(args, "--days"))
        return usage_fail(cx, args,
                          "--days: your credential ends before, at %s; ask home's operator "
                          "for a new one, or wait for less long",
                          clock_format((int64_t)c.body->not_after, until, sizeof until));
    if ((int64_t)c.body->not_after - now < ms)
        ms = (int64_t)c.body->not_after - now;
    if (ms <= 0)
        return cx_fail(cx, FAULT_EXPIRED, "your credential has just ended");
    *ret_ms = ms;
    return FAULT_NONE;
}

static enum fault tell_left(struct cli *cli, struct home *home, struct cx *cx,
                            const struct asking *asking, const struct sent *sent)
{
    struct buffer out = buffer_new(cx, 64 * 1024);
    char until[32];
    const char *name =
        member_name(cx, home->manifest, bytes_of(home->profile.node, DIGEST_BYTES));

    (void)clock_format((int64_t)sent->request->stamp->expires_at, until, sizeof until);
    if (asking->json) {
        buffer_printf(&out,
                      "{\"cohortium\":1,\"later\":{\"id\":\"%s\",\"home\":", sent->id);
        put_json_text(&out, name);
        buffer_printf(&out, ",\"until\":\"%s\"}}\n", until);
    } else {
        buffer_printf(
            &out,
            "left with %s until %s; it is asked as soon as every site can answer\n"
            "fetch the answer with: cohortium collect %.12s\n",
            name, until, sent->id);
    }
    TRY(out.fault);
    if (fwrite(out.p, 1, out.n, cli->out) != out.n)
        return cx_fail(cx, FAULT_IO, "standard output could not be written");
    return FAULT_NONE;
}

enum fault later_leave(struct cli *cli, struct home *home, struct cx *cx,
                       const struct asking *asking, const struct sent *sent)
{
    bool kept = ask_pend(cli, home, asking, sent);
    Cohortium__LaterReply *reply;
    struct bytes packed;
    enum fault fault =
        home_call(home, cx, SERVICE_LATER, sent->packed, HOME_CALL_MS, &packed);

    if (fault == FAULT_NONE)
        fault =
            pb_unpack(cx, &cohortium__later_reply__descriptor, packed, REPLY_MAX, &reply);
    if (fault == FAULT_NONE)
        return tell_left(cli, home, cx, asking, sent);
    /* Whether home got it is not known when the link was cut. */
    if (kept && fault != FAULT_UNAVAILABLE && fault != FAULT_TIMEOUT)
        pending_drop(cx, &home->profile, sent->id);
    return tell_trouble(cli, home, cx, asking, fault);
}

enum fault later_cancel(struct home *home, struct cx *cx, const char *id,
                        const Cohortium__LaterCard **ret)
{
    Cohortium__LaterCall call = COHORTIUM__LATER_CALL__INIT;
    Cohortium__LaterReply *reply;
    struct bytes packed;

    call.id = (char *)id;
    TRY(pb_pack(cx, &call.base, &packed));
    TRY(home_call(home, cx, SERVICE_CANCEL, packed, CANCEL_MS, &packed));
    TRY(pb_unpack(cx, &cohortium__later_reply__descriptor, packed, REPLY_MAX, &reply));
    if (reply->n_cards != 1)
        return cx_fail(cx, FAULT_FORMAT, "home's answer was not understood");
    *ret = reply->cards[0];
    return FAULT_NONE;
}

const char *charged_words(struct home *home, struct cx *cx,
                          const Cohortium__LaterCard *card)
{
    struct buffer b = buffer_new(cx, 64 * 1024);

    if (card->n_charged == 0)
        return "nothing was charged";
    buffer_text(&b, "it was charged at ");
    for (size_t i = 0; i < card->n_charged; i++)
        buffer_printf(&b, "%s%s", i > 0 ? ", " : "",
                      member_name(cx, home->manifest, PB_BYTES(card->charged[i])));
    buffer_text(&b, "; the same question asked again costs nothing more there");
    const char *text = buffer_string(&b);
    return text != NULL ? text : "it was charged";
}

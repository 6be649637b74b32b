/*
 * ask_resume.c - home goes away amid a question: it is waited for, linked again and asked
 * again, by the same signed request. Who runs it joins us to its answer; who has answered
 * gives the stored one; who knows nothing of it asks the sites, which charge a question
 * once.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/cli/ask_private.h"
#include "node/cli/pending.h"
#include "protocol/base/clock.h"

enum { AGAIN_MS = 500, PASSING_MS = 2000 };

enum fault ask_wait(struct cx *cx, const struct args *args, int64_t *ret_ms)
{
    double seconds;

    TRY(args_number(cx, args, "--wait", 0, ASK_WAIT_MAX_S, ASK_WAIT_S, &seconds));
    *ret_ms = (int64_t)(seconds * 1000);
    return FAULT_NONE;
}

/* ---- waiting ---- */

static enum fault go_away(struct cli *cli, struct cx *cx, const struct asking *asking,
                          const char *id, enum fault fault, const char *why)
{
    if (!asking->many)
        cli->status = STATUS_AWAY;
    return cx_fail(cx, fault, "%s; `cohortium collect %.12s` asks for it again",
                   why != NULL ? why : "home went away", id);
}

static void tell_waiting(struct home *home, int64_t left_ms, bool first)
{
    bool terminal = home->progress && isatty(STDERR_FILENO);

    if (!first && !terminal)
        return;
    progress_clear(home);
    (void)fprintf(home->cli->err, "home is away: linking again, %lld s at most%s",
                  (long long)(left_ms + 999) / 1000, terminal ? "" : "\n");
    home->progress_shown = terminal;
    (void)fflush(home->cli->err);
}

/* Ctrl-C ends it early. */
static void sleep_ms(int64_t ms)
{
    const struct timespec a_while = {.tv_sec = ms / 1000,
                                     .tv_nsec = (long)(ms % 1000) * 1000000};

    if (!interrupt_seen())
        (void)nanosleep(&a_while, NULL);
}

enum fault ask_await_home(struct cli *cli, struct home *home, struct cx *cx,
                          const struct asking *asking, const char *id, int64_t until)
{
    for (bool first = true;; first = false) {
        int64_t left = until - clock_mono_ms();

        if (interrupt_seen())
            return go_away(cli, cx, asking, id, FAULT_CANCELLED,
                           "interrupted while home was away");
        if (left <= 0)
            return go_away(
                cli, cx, asking, id, FAULT_UNAVAILABLE,
                cx_printf(cx, "home went away and did not come back in time (%s)",
                          home->why_down != NULL ? home->why_down : "--wait waits longer"));
        tell_waiting(home, left, first);
        if (home_again(home, left) == FAULT_NONE)
            break;
        sleep_ms(AGAIN_MS);
    }
    progress_clear(home);
    (void)fprintf(cli->err, "home is back: question %.12s goes on\n", id);
    (void)fflush(cli->err);
    return FAULT_NONE;
}

/* ---- asking again ---- */

/* Too little time is left for the request: the same question, anew. */
static enum fault renew(struct cli *cli, struct home *home, struct cx *cx,
                        const struct asking *asking, struct sent *sent)
{
    const Cohortium__Stamp *stamp = sent->request->stamp;
    int64_t left = (int64_t)stamp->expires_at - clock_utc_ms();
    int64_t whole = (int64_t)(stamp->expires_at - stamp->issued_at);
    const char *old = sent->id;

    sent->deadline_ms =
        left < ASK_DEADLINE_MAX_S * 1000LL ? left : ASK_DEADLINE_MAX_S * 1000LL;
    if (left > (whole / 2 < ASK_TOO_LATE_MS ? whole / 2 : ASK_TOO_LATE_MS))
        return FAULT_NONE;
    sent->deadline_ms =
        whole < ASK_DEADLINE_MAX_S * 1000LL ? whole : ASK_DEADLINE_MAX_S * 1000LL;
    TRY(ask_seal(home, cx, sent));
    if (!ask_pend(cli, home, asking, sent))
        return FAULT_NONE; /* it has been said */
    pending_drop(cx, &home->profile, old);
    (void)fprintf(cli->err, "cohortium: %.12s has expired; asked anew as %.12s\n", old,
                  sent->id);
    return FAULT_NONE;
}

static enum fault call_once(struct home *home, struct cx *cx, const struct asking *asking,
                            const struct sent *sent, bool kept, struct bytes *ret)
{
    home->asked_id = kept && !asking->many ? sent->id : NULL;
    enum fault fault = home_call(home, cx, SERVICE_ASK, sent->packed,
                                 sent->deadline_ms + ASK_SLACK_MS, ret);
    home->asked_id = NULL;
    return fault;
}

/* A node that has just come up has yet to link, and the sites have yet to end what was
 * begun. */
static bool may_pass(enum fault fault)
{
    return fault == FAULT_UNAVAILABLE || fault == FAULT_MISSING ||
           fault == FAULT_CONFLICT || fault == FAULT_REPLAY || fault == FAULT_BUSY;
}

enum fault ask_call(struct cli *cli, struct home *home, struct cx *cx,
                    const struct asking *asking, struct sent *sent, bool kept,
                    struct bytes *ret)
{
    enum fault fault = call_once(home, cx, asking, sent, kept, ret);
    int64_t until = 0;

    while (kept && fault != FAULT_NONE && !interrupt_seen()) {
        bool lost = home_is_lost(home, fault);

        if (!lost && (until == 0 || !may_pass(fault)))
            return fault;
        if (until == 0)
            until = clock_mono_ms() + asking->wait_ms;
        sent->away = lost;
        if (lost)
            TRY(ask_await_home(cli, home, cx, asking, sent->id, until));
        else if (clock_mono_ms() >= until)
            return fault;
        else
            sleep_ms(PASSING_MS);
        if (interrupt_seen())
            return cx_fail(cx, FAULT_CANCELLED, "interrupted");
        sent->away = false;
        TRY(renew(cli, home, cx, asking, sent));
        fault = call_once(home, cx, asking, sent, kept, ret);
    }
    return fault;
}

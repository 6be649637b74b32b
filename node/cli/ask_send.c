/*
 * ask_send.c - a signed request on its way: pending in the profile until its answer is
 * there, cancelled by Ctrl-C, and what is told when it fails.
 */
#include "node/cli/ask_private.h"
#include "node/cli/pending.h"

bool ask_pend(struct cli *cli, struct home *home, const struct asking *asking,
              const struct sent *sent)
{
    AUTO_CX struct cx *own = cx_new(1 << 20, CX_NO_DEADLINE);
    const uint8_t *id = sent->request->stamp->request_id.data;

    if (own != NULL && pending_keep(own, &home->profile, id, sent->packed) == FAULT_NONE)
        return true;
    if (!asking->many)
        (void)fprintf(cli->err,
                      "cohortium: this question cannot be collected should the program or "
                      "home die: %s\n",
                      own != NULL ? cx_message(own) : "out of memory");
    return false;
}

/* Ctrl-C: home ends it at all sites and says what was charged. */
static enum fault ask_interrupted(struct home *home, struct cx *cx, const struct sent *sent)
{
    const Cohortium__LaterCard *card;

    if (later_cancel(home, cx, sent->id, &card) != FAULT_NONE)
        return cx_fail(cx, FAULT_CANCELLED,
                       "interrupted; home did not say that it stopped: `cohortium cancel "
                       "%.12s` asks it once more",
                       sent->id);
    pending_drop(cx, &home->profile, sent->id);
    return cx_fail(cx, FAULT_CANCELLED, "cancelled: %s", charged_words(home, cx, card));
}

/* Whether the same request may be sent again and be answered. */
static bool may_be_collected(enum fault fault)
{
    return fault == FAULT_UNAVAILABLE || fault == FAULT_TIMEOUT || fault == FAULT_MISSING ||
           fault == FAULT_MEMORY || fault == FAULT_STORAGE;
}

static enum fault ask_failed(struct home *home, struct cx *cx, const struct sent *sent,
                             enum fault fault, bool kept)
{
    if (sent->away || !kept)
        return fault;
    if (fault == FAULT_CANCELLED && interrupt_seen())
        return ask_interrupted(home, cx, sent);
    if (may_be_collected(fault)) {
        const char *why = cx_strdup(cx, cx_message(cx));

        return cx_fail(cx, fault, "%s; `cohortium collect %.12s` asks for it again",
                       why != NULL ? why : "", sent->id);
    }
    pending_drop(cx, &home->profile, sent->id);
    return fault;
}

enum fault ask_fetch(struct cli *cli, struct home *home, struct cx *cx,
                     const struct asking *asking, struct sent *sent, bool *ret_kept,
                     struct bytes *ret)
{
    bool kept = !sent->request->dry_run && ask_pend(cli, home, asking, sent);

    *ret_kept = kept;
    home->id_told = false;
    home->watched = kept;
    if (kept)
        interrupt_watch(home->hub);
    enum fault fault = ask_call(cli, home, cx, asking, sent, kept, ret);
    home->watched = false;
    if (kept)
        interrupt_forget();
    return fault == FAULT_NONE ? FAULT_NONE : ask_failed(home, cx, sent, fault, kept);
}

enum fault ask_send(struct cli *cli, struct home *home, struct cx *cx,
                    const struct asking *asking, struct sent *sent)
{
    struct bytes packed;
    bool kept;
    enum fault fault = ask_fetch(cli, home, cx, asking, sent, &kept, &packed);

    if (fault != FAULT_NONE)
        return kept && may_be_collected(fault) ? fault
                                               : tell_trouble(cli, home, cx, asking, fault);
    fault = ask_show(cli, home, cx, asking, sent, packed);
    /* Of an answer that could not be kept or printed there is another one at the sites. */
    if (kept && fault != FAULT_IO)
        pending_drop(cx, &home->profile, sent->id);
    return fault;
}

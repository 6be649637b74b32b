/* review.c - answers that wait for an officer: listed, looked at, decided with a signature.
 */
#include <stdio.h>
#include <string.h>

#include "node/admin/options.h"
#include "protocol/base/clock.h"
#include "protocol/review.h"

enum { PAPER_MAX = 4096 };

enum fault admin_review_list(struct invocation *in)
{
    static const char *const all[] = {"all"};

    TRY(need_words(in, 0, 0, "no further word"));
    return ask_node(in, "review list", all, has_option(in, "all"), NULL, 0, NULL);
}

enum fault admin_review_show(struct invocation *in)
{
    TRY(need_words(in, 1, 1, "an answer, as `review list` names it"));
    return ask_node(in, "review show", in->words, 1, NULL, 0, NULL);
}

/* What waits under this name, as the node has it now. */
static enum fault find_paper(struct invocation *in, Cohortium__Review **ret)
{
    struct admin_reply reply;

    TRY(ask_node(in, "review show", in->words, 1, NULL, 0, &reply));
    if (reply.n_blobs != 1)
        return cx_fail(in->cx, FAULT_CONFLICT, "it is decided already:\n%s", reply.text);
    return pb_unpack(in->cx, &cohortium__review__descriptor, reply.blobs[0], PAPER_MAX, ret);
}

static enum fault decide(struct invocation *in, enum review_decision decision,
                         uint32_t multiple)
{
    AUTO_KEYS struct keys *keys = NULL;
    const char *path, *reason;
    Cohortium__Review *paper = NULL;
    struct manifest *m;
    struct review check;
    struct bytes packed;

    TRY(need_words(in, 1, 1, "an answer, as `review list` names it"));
    TRY(need_option(in, "key", "KEY", &path));
    TRY(need_option(in, "reason", "TEXT", &reason));
    TRY(read_manifest(in, &m));
    TRY(find_paper(in, &paper));
    TRY(read_signing_key(in, path, "officer", &keys));
    paper->decision = (char *)review_decision_word(decision);
    paper->multiple = multiple;
    paper->reason = (char *)reason;
    paper->issued_at = (uint64_t)clock_utc_ms();
    TRY(envelope_seal(in->cx, ENVELOPE_REVIEW, &paper->base, keys, &packed));
    TRY(review_verify(in->cx, m, packed, clock_utc_ms(), &check));
    return ask_node(in, "review decide", NULL, 0, &packed, 1, NULL);
}

enum fault admin_review_accept(struct invocation *in)
{
    return decide(in, REVIEW_ACCEPT, 0);
}

enum fault admin_review_round(struct invocation *in)
{
    const char *given;
    long multiple = 0;

    TRY(need_option(in, "multiple", "N", &given));
    TRY(whole_option(in, "multiple", REVIEW_MULTIPLE_MIN, REVIEW_MULTIPLE_MAX, 0,
                     &multiple));
    return decide(in, REVIEW_ROUND, (uint32_t)multiple);
}

enum fault admin_review_refuse(struct invocation *in)
{
    return decide(in, REVIEW_REFUSE, 0);
}

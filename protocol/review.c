/* review.c - see review.h. */
#include "protocol/review.h"

#include <string.h>

static const char *const words[REVIEW_DECISIONS] = {
    [REVIEW_ACCEPT] = "accept", [REVIEW_ROUND] = "round", [REVIEW_REFUSE] = "refuse"};

const char *review_decision_word(enum review_decision d)
{
    return words[d];
}

static bool is_one_line(const char *text)
{
    size_t n = strlen(text);

    return n >= 1 && n <= REVIEW_REASON_MAX && text[strspn(text, " ")] != '\0' &&
           strpbrk(text, "\r\n\t") == NULL;
}

static bool is_multiple(const Cohortium__Review *r, enum review_decision d)
{
    return d == REVIEW_ROUND
               ? r->multiple >= REVIEW_MULTIPLE_MIN && r->multiple <= REVIEW_MULTIPLE_MAX
               : r->multiple == 0;
}

static enum fault check_shape(struct cx *cx, const Cohortium__Review *r,
                              enum review_decision *ret)
{
    int d = 0;

    while (d < REVIEW_DECISIONS && strcmp(r->decision, words[d]) != 0)
        d++;
    if (d == REVIEW_DECISIONS)
        return cx_fail(cx, FAULT_FORMAT,
                       "a review says `%.20s`; expected accept, round or refuse",
                       r->decision);
    *ret = (enum review_decision)d;
    if (r->consortium.len != DIGEST_BYTES || r->member.len != DIGEST_BYTES ||
        r->question.len != DIGEST_BYTES || r->release.len != DIGEST_BYTES)
        return cx_fail(cx, FAULT_FORMAT,
                       "a review needs a consortium, a member, a question and an answer");
    if (!is_multiple(r, *ret))
        return cx_fail(cx, FAULT_FORMAT,
                       "a review that rounds says to multiples of what, from %d to %d; "
                       "another says 0",
                       REVIEW_MULTIPLE_MIN, REVIEW_MULTIPLE_MAX);
    if (!is_one_line(r->reason))
        return cx_fail(cx, FAULT_FORMAT,
                       "a review needs a reason of one line, at most %d bytes",
                       REVIEW_REASON_MAX);
    return FAULT_NONE;
}

static bool find_signer(struct review *r)
{
    const Cohortium__Member *m = r->member;

    for (size_t i = 0; i < m->n_officers; i++)
        if (envelope_is_signed_by(&r->envelope, m->officers[i]->key.data)) {
            r->by = m->officers[i]->name;
            memcpy(r->key, m->officers[i]->key.data, KEY_BYTES);
            return true;
        }
    return false;
}

enum fault review_verify(struct cx *cx, const struct manifest *m, struct bytes packed,
                         int64_t now, struct review *ret)
{
    struct review r = {0};
    Cohortium__Review *body;

    TRY(envelope_open(cx, ENVELOPE_REVIEW, packed, &r.envelope));
    TRY(pb_unpack(cx, &cohortium__review__descriptor, r.envelope.body,
                  envelope_bound(ENVELOPE_REVIEW), &body));
    r.body = body;
    TRY(check_shape(cx, body, &r.decision));
    if (memcmp(body->consortium.data, m->consortium, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_DENIED, "the review is of another consortium than \"%s\"",
                       m->body->consortium_name);
    r.member = manifest_find(m, body->member.data);
    if (r.member == NULL)
        return cx_fail(cx, FAULT_DENIED, "the review is of a node that is no member");
    if (!find_signer(&r))
        return cx_fail(cx, FAULT_DENIED,
                       "the review does not carry a valid signature of an officer of %s",
                       r.member->name);
    if (body->issued_at > INT64_MAX || (int64_t)body->issued_at > now + CLOCK_SKEW_MS)
        return cx_fail(cx, FAULT_EXPIRED,
                       "the review is dated in the future: compare the clocks");
    *ret = r;
    return FAULT_NONE;
}

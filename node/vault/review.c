/* review.c - an answer held for an officer, and the officer's word (review.h). */
#include "node/vault/review.h"

#include <string.h>

#include "analyses/question_words.h"
#include "node/vault/people.h"
#include "protocol/base/clock.h"

enum { WORDS_MAX = 4096, SHOWN_BYTES = 4 };

static bool is_reviewed(const struct opened *o)
{
    return policy_reviews(&o->policy->numbers, o->request.body->question->analysis);
}

/* What whoever asks hears: it follows from policy and question. */
static enum fault held(struct cx *cx, const struct vault *v, const struct opened *o)
{
    return cx_fail(cx, FAULT_HELD,
                   "an officer of %s looks at each answer of `%s` before it leaves, and this "
                   "one waits for that; ask again later, or leave it with --later",
                   v->self->name, o->request.body->question->analysis);
}

struct looking {
    const uint8_t *question;
    struct review_row row;
};

static enum fault look(struct cx *cx, sqlite3 *sql, void *user)
{
    struct looking *l = user;

    return reviews_find(cx, sql, l->question, &l->row);
}

enum fault review_look(struct cx *cx, struct vault *v, const struct opened *o,
                       const uint8_t question[DIGEST_BYTES])
{
    struct looking l = {.question = question};

    if (!is_reviewed(o))
        return FAULT_NONE;
    enum fault fault = db_read(cx, v->db, look, &l);
    if (fault == FAULT_MISSING)
        return FAULT_NONE;
    TRY(fault);
    return l.row.state == REVIEW_WAITING ? held(cx, v, o) : FAULT_NONE;
}

/* ---- held ---- */

struct holding {
    const struct opened *o;
    struct review_row row;
    struct owed also;
};

static enum fault write_held(struct cx *cx, sqlite3 *sql, void *user)
{
    struct holding *h = user;
    const struct request *r = &h->o->request;
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;
    uint64_t index;

    if (h->also.write != NULL)
        TRY(h->also.write(cx, sql, h->also.user));
    TRY(reviews_hold(cx, sql, &h->row));
    TRY(people_note(cx, sql, &r->who));
    record.kind = (char *)"review";
    record.decision = (char *)"held";
    record.subject = PB_DATA(bytes_of(r->envelope.digest, DIGEST_BYTES));
    record.question = PB_DATA(bytes_of(h->row.question, DIGEST_BYTES));
    record.outcome = PB_DATA(bytes_of(h->row.digest, DIGEST_BYTES));
    record.who = PB_DATA(bytes_of(r->who.subject, DIGEST_BYTES));
    record.permit = r->body->permit;
    const char *details =
        cx_printf(cx, "%s; waits for an officer as %s; %s", h->row.words,
                  bytes_hex(cx, h->row.question, SHOWN_BYTES), h->row.details);
    return details == NULL ? FAULT_MEMORY : audit_append(cx, sql, &record, details, &index);
}

static enum fault hold(struct cx *cx, struct vault *v, const struct opened *o,
                       const uint8_t question[DIGEST_BYTES], const struct release *release,
                       const char *why, bool may_round, struct owed also)
{
    struct holding h = {.o = o, .also = also};
    struct review_row *row = &h.row;

    memcpy(row->question, question, DIGEST_BYTES);
    row->body = release_body(release);
    digest_of(row->body, row->digest);
    row->words = question_words(cx, o->asked.body);
    row->details = why == NULL ? release_details(release)
                               : cx_printf(cx, "nothing would leave: %s", why);
    row->may_round = may_round;
    row->permit = PB_BYTES(o->request.body->permit);
    row->who = bytes_of(o->request.who.subject, DIGEST_BYTES);
    row->held_at = clock_utc_ms();
    if (row->details == NULL)
        return FAULT_MEMORY;
    if (row->words == NULL || strlen(row->words) > WORDS_MAX)
        row->words = "a question too long to write here";
    TRY(db_write(cx, v->db, write_held, &h));
    return held(cx, v, o);
}

enum fault review_judge(struct cx *cx, struct vault *v, const struct opened *o,
                        const uint8_t question[DIGEST_BYTES], const struct release *release,
                        const char *why, bool may_round, struct owed also,
                        struct review_verdict *ret)
{
    struct looking l = {.question = question};
    uint8_t digest[DIGEST_BYTES];

    *ret = (struct review_verdict){0};
    if (!is_reviewed(o))
        return FAULT_NONE;
    digest_of(release_body(release), digest);
    enum fault fault = db_read(cx, v->db, look, &l);
    if (fault != FAULT_NONE && fault != FAULT_MISSING)
        return fault;
    bool decided = fault == FAULT_NONE && l.row.state != REVIEW_WAITING;
    bool same = decided && memcmp(l.row.digest, digest, DIGEST_BYTES) == 0;

    if (decided && l.row.state == REVIEW_REFUSED) {
        ret->objection = cx_printf(cx, "review: %s refused it, reason: %s", l.row.by,
                                   l.row.reason);
        return ret->objection != NULL ? FAULT_NONE : FAULT_MEMORY;
    }
    if (!same || (l.row.state == REVIEW_ROUNDED && !may_round))
        return hold(cx, v, o, question, release, why, may_round, also);
    ret->multiple = l.row.state == REVIEW_ROUNDED ? l.row.multiple : 0;
    return FAULT_NONE;
}

enum fault review_multiple(struct cx *cx, struct vault *v,
                           const uint8_t question[DIGEST_BYTES], uint32_t *ret)
{
    struct looking l = {.question = question};
    enum fault fault = db_read(cx, v->db, look, &l);

    *ret = fault == FAULT_NONE && l.row.state == REVIEW_ROUNDED ? l.row.multiple : 0;
    return fault == FAULT_MISSING ? FAULT_NONE : fault;
}

/* ---- an officer's paper ---- */

struct taking {
    struct review *review;
    struct review_row row;
};

static enum fault check_row(struct cx *cx, const struct taking *t)
{
    const struct review_row *row = &t->row;

    if (row->state != REVIEW_WAITING)
        return cx_fail(cx, FAULT_CONFLICT, "%s has decided it already: %s", row->by,
                       row->reason);
    if (!bytes_equal(PB_BYTES(t->review->body->release),
                     bytes_of(row->digest, DIGEST_BYTES)))
        return cx_fail(cx, FAULT_CONFLICT,
                       "another answer waits for this question by now than the one that was "
                       "looked at; see `cohortiumd review show`");
    if (t->review->decision == REVIEW_ROUND && !row->may_round)
        return cx_fail(cx, FAULT_REFUSED,
                       "this is a pooled answer: all sites make its numbers together under "
                       "masks, and one cannot round them for itself; accept or refuse it");
    return FAULT_NONE;
}

static enum fault write_taken(struct cx *cx, sqlite3 *sql, void *user)
{
    struct taking *t = user;
    const struct review *r = t->review;
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;
    uint8_t who[DIGEST_BYTES];
    uint64_t index;

    TRY(reviews_find(cx, sql, r->body->question.data, &t->row));
    TRY(check_row(cx, t));
    TRY(reviews_decide(cx, sql, r, clock_utc_ms()));
    digest_of(bytes_of(r->key, KEY_BYTES), who);
    record.kind = (char *)"review";
    record.decision = (char *)(r->decision == REVIEW_ACCEPT  ? "accepted"
                               : r->decision == REVIEW_ROUND ? "rounded"
                                                             : "refused");
    record.subject = PB_DATA(bytes_of(r->envelope.digest, DIGEST_BYTES));
    record.question = r->body->question;
    record.outcome = r->body->release;
    record.who = PB_DATA(bytes_of(who, sizeof who));
    record.permit = PB_DATA(t->row.permit);
    const char *to = r->decision == REVIEW_ROUND
                         ? cx_printf(cx, " to multiples of %u", r->body->multiple)
                         : "";
    const char *details =
        to == NULL ? NULL
                   : cx_printf(cx, "%s; %s: %s%s, reason: %s", t->row.words, r->by,
                               record.decision, to, r->body->reason);
    return details == NULL ? FAULT_MEMORY : audit_append(cx, sql, &record, details, &index);
}

enum fault review_take(struct cx *cx, struct vault *v, struct bytes packed,
                       struct review *ret)
{
    struct taking t = {.review = ret};

    TRY(review_verify(cx, v->manifest, packed, clock_utc_ms(), ret));
    if (!member_same(ret->member, v->self))
        return cx_fail(cx, FAULT_DENIED, "the review is of %s; this is %s",
                       ret->member->name, v->self->name);
    return db_write(cx, v->db, write_taken, &t);
}

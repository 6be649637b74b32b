/* decision.c - logged before told: the decision's leaf and the answer kept, in one commit.
 */
#include <sodium.h>
#include <string.h>

#include "analyses/question_words.h"
#include "node/vault/ledger.h"
#include "node/vault/people.h"
#include "node/vault/vault.h"
#include "protocol/base/clock.h"

enum { WORDS_MAX = 4096, NOTE_SHOWN = 200 };

struct work {
    struct vault *v;
    const struct decision *d;
    Cohortium__LogProof *proof;
    Cohortium__LogRecord *record;
    struct answer_row row;
    uint64_t index;
    uint8_t ledger[32];
};

/* So that a ledger that was cut or rolled back does not fit the log. */
static enum fault note_ledger(struct cx *cx, sqlite3 *sql, struct work *w)
{
    TRY(ledger_head(cx, sql, w->d->opened->dataset->cb->body->patient_namespace,
                    w->ledger));
    if (!sodium_is_zero(w->ledger, sizeof w->ledger))
        w->record->ledger = PB_DATA(bytes_of(w->ledger, sizeof w->ledger));
    return FAULT_NONE;
}

static enum fault write_decision(struct cx *cx, sqlite3 *sql, void *user)
{
    struct work *w = user;
    const Cohortium__Request *r = w->d->opened->request.body;
    int64_t now = clock_utc_ms();

    if (w->d->owed.write != NULL)
        TRY(w->d->owed.write(cx, sql, w->d->owed.user));
    TRY(note_ledger(cx, sql, w));
    TRY(people_note(cx, sql, &w->d->opened->request.who));
    TRY(audit_append(cx, sql, w->record, w->d->details, &w->index));
    /* Proved here, so that the checkpoint is kept: without one a cut tail would not show.
     */
    TRY(audit_proof(cx, sql, w->v->signing, w->v->origin, w->index, w->proof));
    TRY(replay_note(cx, sql, r->stamp->issuer.data, r->stamp->request_id.data,
                    w->d->opened->request.envelope.digest, r->stamp->expires_at, now));
    if (w->d->release_envelope.n > 0)
        return FAULT_NONE;
    return answers_add(cx, sql, w->d->question, &w->row, now);
}

/* What was asked, for officers: the typed question, not what the researcher wrote. */
static const char *asked_words(struct cx *cx, const struct opened *o)
{
    const char *words = question_words(cx, o->asked.body);

    return words != NULL && strlen(words) <= WORDS_MAX
               ? words
               : "a question too long to write here";
}

/* What the researcher wrote for the log; it may have been long. */
static const char *note_words(struct cx *cx, const Cohortium__Request *r)
{
    size_t n = strlen(r->note);

    if (n == 0)
        return "";
    for (n = n < NOTE_SHOWN ? n : NOTE_SHOWN;
         n > 0 && ((uint8_t)r->note[n] & 0xc0) == 0x80;)
        n--;
    return cx_printf(cx, "; note: %.*s%s", (int)n, r->note,
                     r->note[n] != '\0' ? "..." : "");
}

enum fault decision_record(struct cx *cx, struct vault *v, const struct decision *d,
                           Cohortium__Answer **ret)
{
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;
    const struct request *r = &d->opened->request;
    uint8_t outcome[32];
    struct decision full = *d;
    struct work w = {.v = v, .d = &full, .record = &record};
    struct bytes envelope = d->release_envelope;
    Cohortium__Answer *answer;

    const char *note = note_words(cx, r->body);
    if (note == NULL)
        return FAULT_MEMORY;
    full.details = cx_printf(cx, "%s; %s%s", asked_words(cx, d->opened), d->details, note);
    if (full.details == NULL)
        return FAULT_MEMORY;
    digest_of(d->release_body, outcome);
    if (envelope.n == 0)
        TRY(envelope_seal_body(cx, ENVELOPE_RELEASE, d->release_body, v->signing,
                               &envelope));
    w.row = (struct answer_row){.release = envelope, .transcript = d->transcript};
    record.kind = (char *)d->kind;
    record.subject = PB_DATA(bytes_of(r->envelope.digest, DIGEST_BYTES));
    record.question = PB_DATA(bytes_of(d->question, DIGEST_BYTES));
    record.decision = (char *)(d->release_envelope.n > 0 ? "answered_before"
                               : d->released             ? "released"
                                                         : "not_released");
    record.outcome = PB_DATA(bytes_of(outcome, sizeof outcome));
    record.policy = PB_DATA(bytes_of(d->policy_digest, DIGEST_BYTES));
    record.who = PB_DATA(bytes_of(r->who.subject, DIGEST_BYTES));
    record.permit = r->body->permit;
    if (d->release_envelope.n == 0)
        record.transcript = PB_DATA(d->transcript);
    CX_NEW(cx, answer, 1);
    *answer = (Cohortium__Answer)COHORTIUM__ANSWER__INIT;
    CX_NEW(cx, answer->proof, 1);
    *answer->proof = (Cohortium__LogProof)COHORTIUM__LOG_PROOF__INIT;
    answer->release = PB_DATA(envelope);
    answer->transcript = PB_DATA(d->transcript);
    w.proof = answer->proof;
    TRY(db_write(cx, v->db, write_decision, &w));
    answer->proof->node_id = v->self->node_id;
    (void)pthread_mutex_lock(&v->lock);
    v->questions++;
    v->released += d->released;
    (void)pthread_mutex_unlock(&v->lock);
    *ret = answer;
    return FAULT_NONE;
}

/*
 * begin.c - from everybody's preflight to an ACCEPT, an answer given before, or that of a
 * site asked alone; and the steps of a running session.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/log.h"
#include "node/vault/review.h"
#include "node/vault/session.h"
#include "protocol/base/clock.h"

enum { ACCEPT_TTL_MS = 15 * 60 * 1000, CALL_MAX = LINK_MESSAGE_MAX };

/* One site's preflight: signed by it, of this request, without complaint. */
static enum fault check_preflight(struct cx *cx, struct vault *v, const struct request *r,
                                  const Cohortium__Member *who, struct bytes packed,
                                  Cohortium__Preflight **ret)
{
    struct envelope e;
    Cohortium__Preflight *p = NULL;

    TRY(envelope_open(cx, ENVELOPE_PREFLIGHT, packed, &e));
    TRY(pb_unpack(cx, &cohortium__preflight__descriptor, e.body,
                  envelope_bound(ENVELOPE_PREFLIGHT), &p));
    if (!envelope_is_signed_by(&e, who->signing_key.data))
        return cx_fail(cx, FAULT_DENIED, "the preflight of %s does not carry its signature",
                       who->name);
    if (p->stamp == NULL)
        return cx_fail(cx, FAULT_FORMAT, "the preflight of %s has no stamp", who->name);
    TRY(stamp_check(cx, p->stamp, v->manifest, NULL, clock_utc_ms()));
    if (!bytes_equal(PB_BYTES(p->stamp->issuer), PB_BYTES(who->node_id)) ||
        !bytes_equal(PB_BYTES(p->stamp->request_id), PB_BYTES(r->body->stamp->request_id)) ||
        !bytes_equal(PB_BYTES(p->request), bytes_of(r->envelope.digest, DIGEST_BYTES)))
        return cx_fail(cx, FAULT_CONFLICT,
                       "the preflight of %s is not of this request: it lies, or somebody has "
                       "sent two of us different ones",
                       who->name);
    if (p->n_complaints > 0 || p->version.len != ID_BYTES || p->policy == NULL ||
        p->ledger_head.len != DIGEST_BYTES)
        return cx_fail(cx, FAULT_INVALID, "%s has not found the request valid", who->name);
    if (p->memory == NULL)
        return cx_fail(cx, FAULT_FORMAT, "the preflight of %s does not say what it remembers",
                       who->name);
    TRY(circles_check_claim(cx, p->memory, who->name));
    if (p->noise_left != 0 || p->budget != NULL)
        return cx_fail(cx, FAULT_FORMAT,
                       "the preflight of %s says what is left of a budget, as for a dry run",
                       who->name);
    *ret = p;
    return FAULT_NONE;
}

/* The permit that a site shows goes into the receipt: one that proves nothing is found here,
 * not by whoever verifies the answer. */
static enum fault check_shown_permit(struct cx *cx, struct vault *v, const struct request *r,
                                     const Cohortium__Member *who,
                                     const Cohortium__Preflight *p)
{
    struct permit permit;

    if (permit_verify(cx, v->manifest, PB_BYTES(p->permit_envelope), &permit) != FAULT_NONE)
        return cx_prefix(cx, "the permit that %s shows: ", who->name);
    if (!permit_is_signed_for(&permit, who) ||
        !bytes_equal(PB_BYTES(permit.body->id), PB_BYTES(r->body->permit)))
        return cx_fail(cx, FAULT_DENIED,
                       "%s shows another permit than the request's, or one that no officer of "
                       "its own has signed",
                       who->name);
    return FAULT_NONE;
}

/* A site says its numbers and nothing beside them, and allows by site what they allow. */
static enum fault check_shown_policy(struct cx *cx, const Cohortium__Member *who,
                                     const Cohortium__Preflight *p,
                                     const struct policy *policy)
{
    Cohortium__Policy body = COHORTIUM__POLICY__INIT;
    struct bytes plain, shown;

    TRY(policy_to_pb(cx, policy, &body));
    TRY(pb_pack(cx, &body.base, &plain));
    TRY(pb_pack(cx, &p->policy->base, &shown));
    if (!bytes_equal(plain, shown))
        return cx_fail(cx, FAULT_FORMAT,
                       "the preflight of %s shows a policy with more than its fields in it",
                       who->name);
    if (p->by_site != (policy->number[POLICY_BY_SITE] >= 1))
        return cx_fail(cx, FAULT_CONFLICT,
                       "the preflight of %s says of answers by site what its policy does not",
                       who->name);
    return FAULT_NONE;
}

/* An old preflight of ours would bring back the policy of then. */
static enum fault check_own_policy(struct cx *cx, struct vault *v,
                                   const Cohortium__Policy *p)
{
    Cohortium__Policy body = COHORTIUM__POLICY__INIT;
    const struct policy_now *now;
    struct bytes ours, theirs;

    TRY(vault_policy(cx, v, &now));
    TRY(policy_to_pb(cx, &now->numbers, &body));
    TRY(pb_pack(cx, &body.base, &ours));
    TRY(pb_pack(cx, &p->base, &theirs));
    if (!bytes_equal(ours, theirs))
        return cx_fail(cx, FAULT_CONFLICT,
                       "the policy of %s has changed since the preflight; ask again",
                       v->self->name);
    return FAULT_NONE;
}

/* Everybody's versions and the session's policy, in session memory. */
static enum fault gather(struct cx *cx, struct vault *v, struct session *s,
                         const Cohortium__BeginCall *call, const struct request *r,
                         const uint8_t **ret_own_version, Cohortium__Memory ***ret_claims)
{
    const Cohortium__Question *q = r->body->question;
    struct policy *policies;
    const struct policy **list;
    Cohortium__Policy *packed;

    if (call->n_preflights != q->n_sites)
        return cx_fail(cx, FAULT_CONFLICT, "%zu preflights for %zu sites",
                       call->n_preflights, q->n_sites);
    s->n = q->n_sites;
    s->self = s->home = s->n;
    CX_NEW(s->cx, s->who, s->n);
    CX_NEW(s->cx, s->ids, s->n);
    CX_NEW(s->cx, s->versions, s->n);
    CX_NEW(s->cx, policies, s->n);
    CX_NEW(s->cx, list, s->n);
    CX_NEW(cx, *ret_claims, s->n);
    for (size_t i = 0; i < s->n; i++) {
        Cohortium__Preflight *p = NULL;

        s->who[i] = manifest_find(s->manifest, q->sites[i].data);
        if (s->who[i] == NULL)
            return cx_fail(cx, FAULT_DENIED, "a site that is not a member");
        TRY(check_preflight(cx, v, r, s->who[i], PB_BYTES(call->preflights[i]), &p));
        s->ids[i] = bytes_of(s->who[i]->node_id.data, DIGEST_BYTES);
        s->versions[i] =
            bytes_of(cx_memdup(s->cx, p->version.data, p->version.len), p->version.len);
        if (s->versions[i].p == NULL)
            return cx_fail(cx, FAULT_MEMORY, "out of memory for a session");
        if (policy_open(cx, p->policy, manifest_is_lab(s->manifest), &policies[i]) !=
            FAULT_NONE)
            return cx_prefix(cx, "the preflight of %s: ", s->who[i]->name);
        TRY(check_shown_policy(cx, s->who[i], p, &policies[i]));
        TRY(check_shown_permit(cx, v, r, s->who[i], p));
        list[i] = &policies[i];
        (*ret_claims)[i] = p->memory;
        if (member_same(s->who[i], v->self)) {
            TRY(check_own_policy(cx, v, p->policy));
            s->self = i;
        }
        if (bytes_equal(s->ids[i], PB_BYTES(r->body->home)))
            s->home = i;
    }
    if (s->self == s->n || s->home == s->n)
        return cx_fail(cx, FAULT_DENIED,
                       "this node or the home node is not among the sites");
    TRY(policy_session(s->cx, s->manifest, list, s->n, &s->policy));
    CX_NEW(s->cx, packed, 1);
    *packed = (Cohortium__Policy)COHORTIUM__POLICY__INIT;
    TRY(policy_to_pb(s->cx, &s->policy, packed));
    TRY(policy_digest(cx, packed, s->policy_digest));
    *ret_own_version = s->versions[s->self].p;
    return FAULT_NONE;
}

/* The question as this session sees it: opened against the pinned version, judged once more
 * under the session's policy. */
static enum fault reopen(struct cx *cx, struct vault *v, struct session *s,
                         const uint8_t *version, struct bytes request)
{
    struct complaints c = complaints_new(s->cx);
    struct bytes kept = bytes_of(cx_memdup(s->cx, request.p, request.n), request.n);

    if (kept.p == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for a session");
    TRY(question_prepare(s->cx, v, NULL, kept, version, s->policy.testing, &c, &s->o));
    if (c.n == 0) {
        s->o.asked.testing = s->policy.testing;
        TRY(gate_preflight(s->cx, &s->policy, &s->o.asked, &s->o.plan, s->o.analysis, &c));
    }
    s->o.noise = gate_noise_limits(&s->policy);
    if (c.n == 0)
        TRY(gate_noise_preflight(s->cx, &s->policy, &s->o.asked, &s->o.plan, s->o.analysis,
                                 &c, &s->o.analysis));
    if (c.n == 0 && s->policy.testing != s->o.policy->numbers.testing)
        complain(&c, "mixed_policies",
                 "some sites answer exactly for testing and %s does not; use one class",
                 v->self->name);
    if (c.n > 0)
        return cx_fail(s->cx, FAULT_INVALID, "%s", c.list[0]->text);
    TRY(c.fault);
    memcpy(s->request, s->o.request.envelope.digest, DIGEST_BYTES);
    s->by_site = s->o.request.body->question->by_site && s->n > 1;
    return question_digest(s->cx, s->o.request.body->question, s->versions, s->n,
                           s->policy_digest, s->question);
}

struct find_answer {
    const uint8_t *question;
    struct answer_row row;
};

static enum fault find_answer(struct cx *cx, sqlite3 *sql, void *user)
{
    struct find_answer *f = user;

    return answers_find(cx, sql, f->question, &f->row);
}

/* Run anew though we hold the answer: nothing but its bytes will be signed. */
static enum fault hold(struct cx *cx, struct session *s, struct bytes release)
{
    struct envelope e;

    TRY(envelope_open(cx, ENVELOPE_RELEASE, release, &e));
    s->held = bytes_of(cx_memdup(s->cx, e.body.p, e.body.n), e.body.n);
    return s->held.p != NULL ? FAULT_NONE
                             : cx_fail(cx, FAULT_MEMORY, "out of memory for a session");
}

/* An answer held already: the same bytes again, one more leaf. */
static enum fault repeat_answer(struct cx *cx, struct vault *v, struct session *s,
                                const struct answer_row *row, Cohortium__Answer **ret)
{
    struct envelope e;
    Cohortium__Release *r;

    TRY(envelope_open(cx, ENVELOPE_RELEASE, row->release, &e));
    TRY(pb_unpack(cx, &cohortium__release__descriptor, e.body,
                  envelope_bound(ENVELOPE_RELEASE), &r));
    struct decision d = {
        .kind = "repeat",
        .opened = &s->o,
        .question = s->question,
        .policy_digest = s->policy_digest,
        .release_body = e.body,
        .released = r->released,
        .details = "the same question was answered before: the same bytes, no charge",
        .transcript = row->transcript,
        .release_envelope = row->release,
    };
    TRY(decision_record(cx, v, &d, ret));
    if (s->self == s->home)
        answer_hold(v, &s->policy, s->arrival_us);
    return FAULT_NONE;
}

/* So that officers find it by the reference that the researcher was given. */
static const char *alone_details(struct session *s, const Cohortium__Release *r,
                                 const char *why)
{
    if (r->released)
        return cx_printf(s->cx, "by site; %s", why);
    return cx_printf(s->cx, "by site; %s%s; this site objected: %s", AUDIT_REFUSED_AS,
                     bytes_hex(s->cx, r->reference.data, r->reference.len), why);
}

static enum fault decide_alone(struct cx *cx, struct vault *v, struct session *s,
                               Cohortium__Answer **ret)
{
    const struct memory_entry *entry = NULL;
    struct release *release;
    Cohortium__Release *r;
    const char *details;
    struct owed owed;

    TRY(bysite_answer(v, s, &release, &details, &owed, &entry));
    enum fault fault = pb_unpack(s->cx, &cohortium__release__descriptor,
                                 release_body(release), envelope_bound(ENVELOPE_RELEASE), &r);
    if (fault == FAULT_NONE && (details = alone_details(s, r, details)) == NULL)
        fault = FAULT_MEMORY;
    if (fault != FAULT_NONE) {
        if (entry != NULL)
            memory_written(entry, false);
        return fault;
    }
    struct decision d = {
        .kind = "question",
        .opened = &s->o,
        .question = s->question,
        .policy_digest = s->policy_digest,
        .release_body = release_body(release),
        .released = r->released,
        .details = details,
        .owed = owed,
    };
    fault = decision_record(cx, v, &d, ret);
    if (entry != NULL)
        memory_written(entry, fault == FAULT_NONE);
    return fault;
}

static enum fault answer_alone(struct cx *cx, struct vault *v, struct session *s,
                               Cohortium__Answer **ret)
{
    enum fault fault = decide_alone(cx, v, s, ret);

    if (fault == FAULT_NONE) {
        answer_hold(v, &s->policy, s->arrival_us);
        return FAULT_NONE;
    }
    /* Rows were looked at, whatever came of it: that is charged before the fault is told.
     */
    AUTO_CX struct cx *own = cx_new(JOB_MEMORY, CX_NO_DEADLINE);
    if (own == NULL || charge_write(own, v, &s->o, s->question) != FAULT_NONE)
        log_warning("a question that failed was not charged: %s",
                    own != NULL ? cx_message(own) : "out of memory");
    return fault;
}

static enum fault accept(struct cx *cx, struct vault *v, struct session *s,
                         struct bytes *ret_accept)
{
    Cohortium__Accept a = COHORTIUM__ACCEPT__INIT;
    Cohortium__Stamp stamp = COHORTIUM__STAMP__INIT;
    uint8_t nonce[32], head[32];
    struct envelope e;

    s->secret = sodium_malloc(KEY_BYTES);
    if (s->secret == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of guarded memory");
    randombytes_buf(s->secret, KEY_BYTES);
    if (crypto_scalarmult_base(s->public_key, s->secret) != 0)
        return cx_fail(cx, FAULT_INTERNAL, "a key could not be made");
    randombytes_buf(nonce, sizeof nonce);
    TRY(stamp_fill(cx, &stamp, s->manifest, v->self->node_id.data,
                   s->o.request.body->stamp->request_id.data, ACCEPT_TTL_MS));
    TRY(vault_ledger_head(cx, v, s->o.dataset->cb->body->patient_namespace, head));
    a.stamp = &stamp;
    a.request = PB_DATA(bytes_of(s->request, DIGEST_BYTES));
    a.question = PB_DATA(bytes_of(s->question, DIGEST_BYTES));
    a.policy = PB_DATA(bytes_of(s->policy_digest, DIGEST_BYTES));
    a.n_participants = a.n_versions = s->n;
    CX_NEW(cx, a.participants, s->n);
    CX_NEW(cx, a.versions, s->n);
    for (size_t i = 0; i < s->n; i++) {
        a.participants[i] = PB_DATA(s->ids[i]);
        a.versions[i] = PB_DATA(s->versions[i]);
    }
    a.ledger_head = PB_DATA(bytes_of(head, sizeof head));
    if (session_remembers(s) && s->circles.own != SIZE_MAX)
        a.memory_head =
            PB_DATA(bytes_of(s->circles.list[s->circles.own].head, DIGEST_BYTES));
    a.ephemeral_key = PB_DATA(bytes_of(s->public_key, KEY_BYTES));
    a.nonce = PB_DATA(bytes_of(nonce, sizeof nonce));
    TRY(envelope_seal(cx, ENVELOPE_ACCEPT, &a.base, v->signing, ret_accept));
    TRY(envelope_open(cx, ENVELOPE_ACCEPT, *ret_accept, &e));
    memcpy(s->accept_digest, e.digest, DIGEST_BYTES);
    return FAULT_NONE;
}

/* Refused without data, so it is said as preflight would have. */
static enum fault check_budget(struct cx *cx, struct vault *v, const struct session *s)
{
    enum fault fault = charge_look(cx, v, &s->o, s->question);

    if (fault == FAULT_NONE)
        fault = charge_look_noise(cx, v, &s->o, s->question);
    if (fault != FAULT_REFUSED)
        return fault;
    const char *why = cx_strdup(cx, cx_message(cx));
    if (why == NULL)
        return FAULT_MEMORY;
    return cx_fail(cx, FAULT_INVALID, "permit \"%.64s\": %s", s->o.permit.body->title, why);
}

/* Fills a new session and answers; *ret_keep: it goes on with rounds. */
static enum fault begin(struct cx *cx, struct vault *v, const struct caller *who,
                        struct session *s, const Cohortium__BeginCall *call,
                        Cohortium__BeginReply *reply, bool *ret_keep)
{
    struct request r;
    const uint8_t *version = NULL;
    Cohortium__Memory **claims = NULL;
    struct find_answer held = {.question = s->question};
    struct bytes packed;

    *ret_keep = false;
    TRY(request_verify(cx, v->manifest, PB_BYTES(call->request), v->self->node_id.data,
                       clock_utc_ms(), &r));
    TRY(caller_owns(cx, who, r.body->home.data));
    memcpy(s->owner, r.body->home.data, DIGEST_BYTES);
    if (r.body->dry_run)
        return cx_fail(cx, FAULT_INVALID, "a dry run ends with preflight");
    enum fault fault = gather(cx, v, s, call, &r, &version, &claims);
    if (fault == FAULT_NONE)
        fault = reopen(cx, v, s, version, PB_BYTES(call->request));
    if (fault != FAULT_NONE)
        return cx_fault(s->cx) == fault ? cx_fail(cx, fault, "%s", cx_message(s->cx))
                                        : fault;
    fault = db_read(cx, v->db, find_answer, &held);
    if (fault != FAULT_NONE && fault != FAULT_MISSING)
        return fault;
    /* One site alone needs no other vault: there is nothing to run anew. */
    bool alone = r.body->question->by_site && !s->by_site;
    if (fault == FAULT_NONE && (!call->rerun || alone))
        return repeat_answer(cx, v, s, &held.row, &reply->answer);
    if (fault == FAULT_NONE)
        TRY(hold(cx, s, held.row.release));
    else {
        TRY(check_budget(cx, v, s));
        TRY(review_look(cx, v, &s->o, s->question));
    }
    fault = session_remember(v, s, claims);
    if (fault != FAULT_NONE)
        return cx_fault(s->cx) == fault ? cx_fail(cx, fault, "%s", cx_message(s->cx)) : fault;
    if (alone) {
        fault = answer_alone(cx, v, s, &reply->answer);
        return fault == FAULT_NONE || cx_fault(cx) == fault
                   ? fault
                   : cx_fail(cx, fault, "%s", cx_message(s->cx));
    }
    fault =
        s->by_site ? bysite_begin(s) : s->o.analysis->begin(s->cx, &s->o.asked, &s->state);
    if (fault != FAULT_NONE)
        return cx_fail(cx, fault, "%s", cx_message(s->cx));
    TRY(accept(cx, v, s, &packed));
    reply->accept = PB_DATA(packed);
    TRY(session_enter(cx, v, s));
    *ret_keep = true;
    return FAULT_NONE;
}

enum fault vault_begin(struct cx *cx, struct vault *v, const struct caller *who,
                       struct bytes body, struct bytes *ret)
{
    Cohortium__BeginCall *call;
    Cohortium__BeginReply reply = COHORTIUM__BEGIN_REPLY__INIT;
    struct session *s;
    bool keep;

    int64_t arrival = clock_mono_us();
    TRY(pb_unpack(cx, &cohortium__begin_call__descriptor, body, CALL_MAX, &call));
    TRY(session_new(cx, v, &s));
    s->arrival_us = arrival;
    enum fault fault = begin(cx, v, who, s, call, &reply, &keep);
    if (fault == FAULT_NONE)
        fault = pb_pack(cx, &reply.base, ret);
    s->over = !keep;
    session_unlock(v, s);
    return fault;
}

static enum fault step(struct cx *cx, struct vault *v, struct session *s,
                       const Cohortium__StepCall *call, Cohortium__StepReply *reply)
{
    struct bytes out;

    TRY(session_stands(cx, v, s));
    if (call->n_accepts > 0)
        TRY(session_start(cx, v, s, call->accepts, call->n_accepts));
    if (s->mask == NULL)
        return cx_fail(cx, FAULT_CONFLICT, "this session has not started");
    if (call->n_vectors > 0)
        TRY(session_absorb(cx, v, s, call->vectors, call->n_vectors, call->boxes,
                           call->n_boxes));
    else if (call->n_boxes > 0)
        return cx_fail(cx, FAULT_FORMAT, "boxes without the vectors that they belong to");
    if (s->awaiting)
        return cx_fail(cx, FAULT_CONFLICT, "the vectors of the round before are missing");
    if (call->proposal.len == 0) {
        TRY(session_propose(cx, v, s, &out));
        reply->proposal = PB_DATA(out);
        return FAULT_NONE;
    }
    TRY(session_adopt(cx, v, s, PB_BYTES(call->proposal)));
    if (s->kind == COHORTIUM__ROUND_KIND__RELEASE)
        return session_release(cx, v, s, &reply->answer);
    return session_vector(cx, v, s, reply);
}

/* The very same step again gives the very same bytes; anything else goes on. */
static enum fault step_once(struct cx *cx, struct vault *v, struct session *s,
                            const Cohortium__StepCall *call,
                            const uint8_t digest[DIGEST_BYTES], struct bytes *ret)
{
    Cohortium__StepReply reply = COHORTIUM__STEP_REPLY__INIT;

    if (session_is_again(s, digest)) {
        TRY(session_stands(cx, v, s));
        return session_again(cx, s, ret);
    }
    TRY(step(cx, v, s, call, &reply));
    TRY(pb_pack(cx, &reply.base, ret));
    session_keep(s, digest, *ret);
    return FAULT_NONE;
}

enum fault vault_step(struct cx *cx, struct vault *v, const struct caller *who,
                      struct bytes body, struct bytes *ret)
{
    Cohortium__StepCall *call;
    struct session *s;
    uint8_t digest[DIGEST_BYTES];

    TRY(pb_unpack(cx, &cohortium__step_call__descriptor, body, CALL_MAX, &call));
    if (call->request.len != DIGEST_BYTES)
        return cx_fail(cx, FAULT_FORMAT, "a step names its session by 32 bytes");
    /* It never leaves this vault, so the quicker hash does: a step carries everybody's
     * boxes. */
    (void)crypto_generichash(digest, DIGEST_BYTES, body.p, body.n, NULL, 0);
    enum fault fault = answer_again(cx, v, who, digest, ret);
    if (fault != FAULT_MISSING)
        return fault;
    fault = session_find(cx, v, who, call->request.data, &s);
    if (fault == FAULT_MISSING) { /* it may have ended since, by this very step */
        enum fault again = answer_again(cx, v, who, digest, ret);

        return again == FAULT_MISSING ? fault : again;
    }
    TRY(fault);
    fault = step_once(cx, v, s, call, digest, ret);
    if (fault != FAULT_NONE)
        s->over = true; /* a session with a fault is never taken up again */
    else if (s->over)
        session_leave_answer(v, s);
    session_unlock(v, s);
    return fault;
}

void answer_hold(struct vault *v, const struct policy *session, int64_t arrival_us)
{
    int64_t quantum = (int64_t)session->number[POLICY_RESPONSE_QUANTUM_MS] * 1000;
    int64_t spent = clock_mono_us() - arrival_us;

    (void)v;
    if (quantum <= 0)
        return;
    int64_t rest = quantum - spent % quantum;
    struct timespec t = {.tv_sec = rest / 1000000, .tv_nsec = rest % 1000000 * 1000};
    while (nanosleep(&t, &t) != 0)
        ;
}

/*
 * preflight.c - is this question valid here? Decided from request, manifest, permit, policy and
 * codebook; no row is touched. Everything that is wrong is said at once.
 */
#include <string.h>

#include "node/vault/people.h"
#include "node/vault/revocations.h"
#include "node/vault/simulate_past.h"
#include "node/vault/vault.h"
#include "protocol/base/clock.h"

enum { ANSWER_TTL_MS = 15 * 60 * 1000 };

/* What the permit does not cover of the variables that the question reads. */
static void complain_variables(struct complaints *c, const struct permit *p,
                               const struct codebook *cb, const struct plan *plan)
{
    const Cohortium__Permit *b = p->body;

    for (size_t v = 0; v < cb->body->n_variables && b->n_variables > 0; v++) {
        const char *name = codebook_variable(cb, (int)v)->name;
        bool covered = !plan->used[v];

        for (size_t i = 0; i < b->n_variables && !covered; i++)
            covered = strcmp(b->variables[i], name) == 0;
        if (!covered)
            complain(c, "variable_not_permitted",
                     "permit \"%s\" does not cover variable `%s`; ask for a permit that does",
                     b->title, name);
    }
}

/* By its form: whether it is to the letter one that was charged, begin can tell. */
static enum fault complain_budget(struct cx *cx, struct vault *v, struct complaints *c,
                                  const struct opened *o)
{
    enum fault fault = charge_look(cx, v, o, NULL);

    if (fault != FAULT_REFUSED)
        return fault;
    complain(c, "permit_used_up", "permit \"%.64s\": %s", o->permit.body->title,
             cx_message(cx));
    return c->fault;
}

static enum fault open_permit(struct cx *cx, struct vault *v, const Cohortium__Request *r,
                              struct complaints *c, struct opened *o, int64_t now)
{
    if (r->permit.len != ID_BYTES) {
        complain(c, "no_permit", "the request names no permit; give one with --permit");
        return FAULT_NONE;
    }
    enum fault fault = vault_find_permit(cx, v, r->permit.data, &o->permit_packed);
    if (fault == FAULT_MISSING) {
        complain(c, "unknown_permit",
                 "%s does not hold this permit; its officer must sign it and add it with "
                 "`cohortiumd permit add`",
                 v->self->name);
        return FAULT_NONE;
    }
    TRY(fault);
    fault = vault_permit_stands(cx, v, r->permit.data);
    if (fault == FAULT_DENIED) {
        complain(c, "revoked_permit", "%s", cx_message(cx));
        return FAULT_NONE;
    }
    TRY(fault);
    TRY(permit_verify(cx, v->manifest, o->permit_packed, &o->permit));
    if (!permit_is_signed_for(&o->permit, v->self))
        complain(c, "permit_not_signed_here", "no officer of %s has signed permit \"%s\"",
                 v->self->name, o->permit.body->title);
    permit_complaints(c, &o->permit, v->manifest, r, &o->request.who, now);
    return complain_budget(cx, v, c, o);
}

/* By this node's own log it has been later than its clock says: what had ended by then has
 * ended. */
static enum fault complain_ended(struct cx *cx, struct vault *v, struct complaints *c,
                                 const struct opened *o, int64_t now)
{
    const Cohortium__Credential *who = o->request.who.body;
    const Cohortium__Permit *permit = o->permit.body;
    char then[32];
    int64_t late;

    enum fault fault = vault_late(cx, v, now, &late);
    if (fault == FAULT_CONFLICT) {
        complain(c, "not_ready", "%s answers nothing at present: %s", v->self->name,
                 cx_message(cx));
        return c->fault;
    }
    TRY(fault);
    if (late == now)
        return FAULT_NONE;
    TRY(manifest_is_current(cx, v->manifest, late));
    (void)clock_format(late, then, sizeof then);
    if (late > (int64_t)who->not_after)
        return cx_fail(cx, FAULT_EXPIRED,
                       "the credential of %.64s has expired: the log of %s has a record of %s, "
                       "and its clock stands before that",
                       who->name, v->self->name, then);
    if (permit != NULL && now <= (int64_t)permit->not_after &&
        late > (int64_t)permit->not_after)
        complain(c, "expired_permit",
                 "permit \"%.64s\" has expired: the log of %s has a record of %s, and its "
                 "clock stands before that",
                 permit->title, v->self->name, then);
    if (o->policy != NULL && late > (int64_t)o->policy->numbers.not_after)
        complain(c, "not_ready",
                 "%s answers nothing at present: its policy had expired by %s, of which its log "
                 "has a record, and its clock stands before that",
                 v->self->name, then);
    return c->fault;
}

/* The dataset: the newest version, or the one pinned. */
static enum fault open_dataset(struct cx *cx, struct vault *v, const uint8_t *version,
                               struct complaints *c, struct opened *o)
{
    const char *name = o->request.body->question->dataset;
    enum fault fault = version == NULL
                           ? store_current(cx, v->store, name, &o->dataset)
                           : store_version(cx, v->store, name, version, &o->dataset);

    if (fault == FAULT_MISSING || (fault == FAULT_STORAGE && version == NULL)) {
        complain(c, fault == FAULT_MISSING ? "unknown_dataset" : "dataset_withdrawn", "%s: %s",
                 v->self->name, cx_message(cx));
        return FAULT_NONE;
    }
    return fault;
}

/* Under this site's own policy; a session of other sites may have another. */
static enum fault complain_noise(struct cx *cx, struct vault *v, struct complaints *c,
                                 struct opened *o)
{
    const struct policy *own = &o->policy->numbers;
    const struct analysis *noised;

    if (c->n > 0 || !policy_is_noised(own))
        return FAULT_NONE;
    TRY(gate_noise_preflight(cx, own, &o->asked, &o->plan, o->analysis, c, &noised));
    o->noise = gate_noise_limits(own);
    enum fault fault = charge_look_noise(cx, v, o, NULL);

    if (fault != FAULT_REFUSED)
        return fault;
    complain(c, "privacy_budget_used_up", "%s: %s", v->self->name, cx_message(cx));
    return c->fault;
}

static enum fault claim_memory(struct cx *cx, struct vault *v, const struct opened *o,
                               Cohortium__Memory *ret)
{
    struct memory *m;

    TRY(memory_open(cx, &v->memories, v->db, o->dataset->cb, &m));
    return memory_claim(cx, m, policy_judges_alone(&o->policy->numbers), ret);
}

static bool is_asked(const Cohortium__Question *q, ProtobufCBinaryData id)
{
    for (size_t i = 0; i < q->n_sites; i++)
        if (bytes_equal(PB_BYTES(q->sites[i]), PB_BYTES(id)))
            return true;
    return false;
}

/* Sites that judge together are asked together, or their answers less the others' are one
 * site's. */
static enum fault complain_circle(struct cx *cx, struct vault *v, struct complaints *c,
                                  const struct opened *o)
{
    const Cohortium__Question *q = o->request.body->question;
    struct buffer missing = buffer_new(cx, 64 * 1024);
    Cohortium__Memory claim;

    if (o->policy->numbers.testing || policy_is_noised(&o->policy->numbers))
        return FAULT_NONE;
    TRY(claim_memory(cx, v, o, &claim));
    for (size_t i = 0; i < claim.n_members; i++) {
        const Cohortium__Member *m = manifest_find(v->manifest, claim.members[i].data);

        if (!is_asked(q, claim.members[i]))
            buffer_printf(&missing, "%s%s", missing.n > 0 ? ", " : "",
                          m != NULL ? m->name : "a site that has left the consortium");
    }
    if (missing.n > 0)
        complain(c, "always_together",
                 "%s has answered about \"%s\" together with %s, and never answers without; ask "
                 "them, too; of one that has left its operator parts by `cohortiumd ledger part`",
                 v->self->name, q->dataset, buffer_string(&missing));
    TRY(missing.fault);
    if (q->by_site && claim.n_members > 0)
        complain(c, "always_together",
                 "%s has answered about \"%s\" together with others, so it gives no numbers of "
                 "its own; leave out --by-site",
                 v->self->name, q->dataset);
    return c->fault;
}

static bool home_takes_part(const Cohortium__Request *r)
{
    for (size_t i = 0; i < r->question->n_sites; i++)
        if (bytes_equal(PB_BYTES(r->home), PB_BYTES(r->question->sites[i])))
            return true;
    return false;
}

enum fault question_judge(struct cx *cx, struct vault *v, bool testing,
                          struct complaints *c, struct opened *o)
{
    const Cohortium__Request *r = o->request.body;

    TRY(question_open(cx, o->dataset->cb, r->question, testing || o->policy->numbers.testing,
                      v->manifest->body->rows_log2, c, &o->asked, &o->plan, &o->regions,
                      &o->analysis));
    if (o->analysis == NULL)
        return c->fault;
    if (o->permit.body != NULL)
        complain_variables(c, &o->permit, o->dataset->cb, &o->plan);
    if (r->question->by_site && o->policy->numbers.number[POLICY_BY_SITE] < 1)
        complain(c, "by_site_not_allowed",
                 "%s does not allow answers by site; leave out --by-site", v->self->name);
    return gate_preflight(cx, &o->policy->numbers, &o->asked, &o->plan, o->analysis, c);
}

enum fault question_prepare(struct cx *cx, struct vault *v, const struct caller *who,
                            struct bytes request,
                            const uint8_t *version, bool testing, struct complaints *c,
                            struct opened *o)
{
    int64_t now = clock_utc_ms();

    *o = (struct opened){0};
    TRY(vault_governed(cx, v));
    TRY(request_verify(cx, v->manifest, request, v->self->node_id.data, now, &o->request));
    const Cohortium__Request *r = o->request.body;
    if (who != NULL)
        TRY(caller_owns(cx, who, r->home.data));
    if (member_same(o->request.who.home, v->self))
        TRY(vault_admit(cx, v, PB_BYTES(r->credential)));
    TRY(vault_credential_stands(cx, v, &o->request.who));
    TRY(request_is_new(cx, v, &o->request));
    if (!home_takes_part(r))
        complain(c, "home_not_asked",
                 "your home node must be among the sites asked: it coordinates the answer");
    enum fault fault = vault_policy(cx, v, &o->policy);
    if (fault == FAULT_REFUSED) {
        complain(c, "not_ready", "%s answers nothing at present: %s", v->self->name,
                 cx_message(cx));
        return c->fault;
    }
    TRY(fault);
    TRY(open_permit(cx, v, r, c, o, now));
    TRY(complain_ended(cx, v, c, o, now));
    TRY(open_dataset(cx, v, version, c, o));
    if (o->dataset == NULL)
        return c->fault;
    TRY(question_judge(cx, v, testing, c, o));
    if (o->analysis == NULL)
        return c->fault;
    TRY(complain_noise(cx, v, c, o));
    return complain_circle(cx, v, c, o);
}

struct refusal {
    const struct request *request;
    Cohortium__LogRecord *record;
    const char *details;
};

static enum fault write_refusal(struct cx *cx, sqlite3 *sql, void *user)
{
    const struct refusal *r = user;
    uint64_t index;

    TRY(people_note(cx, sql, &r->request->who));
    TRY(simulate_keep(cx, sql, r->request->envelope.digest, r->request->body->question));
    return audit_append(cx, sql, r->record, r->details, &index);
}

/* A refused request is a decision too: it is logged before it is told. */
static enum fault log_complaints(struct cx *cx, struct vault *v, const struct opened *o,
                                 const struct complaints *c)
{
    struct buffer text = buffer_new(cx, 64 * 1024);
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;

    for (size_t i = 0; i < c->n; i++)
        buffer_printf(&text, "%s%s", i > 0 ? "; " : "", c->list[i]->text);
    record.kind = (char *)"invalid";
    record.decision = (char *)"refused";
    record.subject = PB_DATA(bytes_of(o->request.envelope.digest, DIGEST_BYTES));
    record.who = PB_DATA(bytes_of(o->request.who.subject, DIGEST_BYTES));
    record.permit = o->request.body->permit;
    struct refusal r = {&o->request, &record, buffer_string(&text)};
    TRY(text.fault);
    return db_write(cx, v->db, write_refusal, &r);
}

enum fault vault_preflight(struct cx *cx, struct vault *v, const struct caller *who,
                           struct bytes request, struct bytes *ret)
{
    struct complaints c = complaints_new(cx);
    struct opened o;
    Cohortium__Preflight reply = COHORTIUM__PREFLIGHT__INIT;
    Cohortium__Stamp stamp = COHORTIUM__STAMP__INIT;
    Cohortium__Policy policy = COHORTIUM__POLICY__INIT;
    Cohortium__Memory memory;
    uint8_t head[32];

    enum fault fault = question_prepare(cx, v, who, request, NULL, false, &c, &o);
    AUTO_DATASET struct dataset *held = o.dataset;
    TRY(fault);
    if (c.n > 0 && !o.request.body->dry_run)
        TRY(log_complaints(cx, v, &o, &c));
    TRY(stamp_fill(cx, &stamp, v->manifest, v->self->node_id.data,
                   o.request.body->stamp->request_id.data, ANSWER_TTL_MS));
    reply.stamp = &stamp;
    reply.request = PB_DATA(bytes_of(o.request.envelope.digest, DIGEST_BYTES));
    reply.n_complaints = c.n;
    reply.complaints = c.list;
    if (o.request.body->dry_run)
        TRY(charge_budget(cx, v, &o, &reply.budget));
    if (c.n == 0) {
        reply.version = PB_DATA(bytes_of(held->version, ID_BYTES));
        TRY(policy_to_pb(cx, &o.policy->numbers, &policy));
        reply.policy = &policy;
        TRY(vault_ledger_head(cx, v, held->cb->body->patient_namespace, head));
        reply.ledger_head = PB_DATA(bytes_of(head, sizeof head));
        reply.by_site = o.policy->numbers.number[POLICY_BY_SITE] >= 1;
        TRY(claim_memory(cx, v, &o, &memory));
        reply.memory = &memory;
        reply.rounds = o.plan.rounds_max;
        if (o.request.body->dry_run)
            TRY(charge_left(cx, v, &o, &reply.noise_left));
        reply.permit_envelope = PB_DATA(o.permit_packed);
    }
    return envelope_seal(cx, ENVELOPE_PREFLIGHT, &reply.base, v->signing, ret);
}

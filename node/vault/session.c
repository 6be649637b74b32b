/* session.c - the rounds of one masked question at one vault (session.h draws them). */
#include "node/vault/review.h"
#include "node/vault/session.h"

#include <sodium.h>
#include <string.h>

#include "protocol/base/clock.h"

enum { STEP_TTL_MS = 15 * 60 * 1000, FIRST_SUMS = 2 /* after regions and verdict */ };

static enum fault stamp_of(struct cx *cx, struct vault *v, const struct session *s,
                           Cohortium__Stamp *stamp)
{
    *stamp = (Cohortium__Stamp)COHORTIUM__STAMP__INIT;
    return stamp_fill(cx, stamp, s->manifest, v->self->node_id.data,
                      s->o.request.body->stamp->request_id.data, STEP_TTL_MS);
}

/* A message of this session from participant i: signature, stamp, request id. */
static enum fault check_sender(struct cx *cx, struct vault *v, const struct session *s,
                               const struct envelope *e, const Cohortium__Stamp *stamp,
                               size_t i)
{
    const char *name = s->who[i]->name;

    if (!envelope_is_signed_by(e, s->who[i]->signing_key.data))
        return cx_fail(cx, FAULT_DENIED, "a message of %s does not carry its signature",
                       name);
    if (stamp == NULL)
        return cx_fail(cx, FAULT_FORMAT, "a message of %s has no stamp", name);
    TRY(stamp_check(cx, stamp, v->manifest, NULL, clock_utc_ms()));
    if (!bytes_equal(PB_BYTES(stamp->issuer), PB_BYTES(s->who[i]->node_id)) ||
        !bytes_equal(PB_BYTES(stamp->request_id),
                     PB_BYTES(s->o.request.body->stamp->request_id)))
        return cx_fail(cx, FAULT_CONFLICT, "a message of %s belongs to another session",
                       name);
    return FAULT_NONE;
}

/* It goes on from other messages than those that we were shown. Its sender may lie, or have
 * been lied to: by a member that signed two messages for one, or by who carries them. */
static enum fault told_apart(struct cx *cx, const char *what, const char *name)
{
    return cx_fail(
        cx, FAULT_CONFLICT,
        "a %s of %s goes on from other messages than this site was shown: it lies, or "
        "somebody has told two of us different things",
        what, name);
}

/* ---- start: all ACCEPTs are the same but for who and which key ---- */

static const struct circle *circle_of(const struct session *s, size_t site)
{
    for (size_t i = 0; i < s->circles.n; i++)
        for (size_t k = 0; k < s->circles.list[i].n; k++)
            if (s->circles.list[i].sites[k] == site)
                return &s->circles.list[i];
    return NULL;
}

/* It goes on from the columns that its preflight and its circle's said. */
static enum fault check_memory(struct cx *cx, const struct session *s,
                               const Cohortium__Accept *a, size_t i)
{
    const struct circle *c = circle_of(s, i);
    struct bytes head = {0};

    if (c != NULL)
        head = bytes_of(c->head, DIGEST_BYTES);
    return bytes_equal(PB_BYTES(a->memory_head), head)
               ? FAULT_NONE
               : cx_fail(cx, FAULT_CONFLICT,
                         "%s goes on from another memory of what was released: it lies, or "
                         "somebody has shown two of us different preflights",
                         s->who[i]->name);
}

static enum fault check_accept(struct cx *cx, struct vault *v, const struct session *s,
                               struct bytes packed, size_t i, const uint8_t **ret_key)
{
    struct envelope e;
    Cohortium__Accept *a;
    const char *name = s->who[i]->name;

    TRY(envelope_open(cx, ENVELOPE_ACCEPT, packed, &e));
    TRY(pb_unpack(cx, &cohortium__accept__descriptor, e.body,
                  envelope_bound(ENVELOPE_ACCEPT), &a));
    TRY(check_sender(cx, v, s, &e, a->stamp, i));
    if (i == s->self && memcmp(e.digest, s->accept_digest, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_CONFLICT, "our own ACCEPT came back changed");
    if (!bytes_equal(PB_BYTES(a->request), bytes_of(s->request, DIGEST_BYTES)))
        return cx_fail(cx, FAULT_CONFLICT, "%s accepted another request", name);
    if (!bytes_equal(PB_BYTES(a->question), bytes_of(s->question, DIGEST_BYTES)) ||
        !bytes_equal(PB_BYTES(a->policy), bytes_of(s->policy_digest, DIGEST_BYTES)))
        return cx_fail(
            cx, FAULT_CONFLICT,
            "%s accepted another question or policy: it lies, or somebody has shown "
            "two of us different preflights",
            name);
    if (a->n_participants != s->n || a->n_versions != s->n ||
        a->ephemeral_key.len != KEY_BYTES || a->nonce.len != 32 ||
        a->ledger_head.len != DIGEST_BYTES)
        return cx_fail(cx, FAULT_CONFLICT,
                       "%s accepted other participants, or in another form", name);
    TRY(check_memory(cx, s, a, i));
    for (size_t j = 0; j < s->n; j++)
        if (!bytes_equal(PB_BYTES(a->participants[j]), s->ids[j]) ||
            !bytes_equal(PB_BYTES(a->versions[j]), s->versions[j]))
            return cx_fail(
                cx, FAULT_CONFLICT,
                "%s accepted other participants or versions: it lies, or somebody "
                "has shown two of us different preflights",
                name);
    *ret_key = a->ephemeral_key.data;
    return FAULT_NONE;
}

enum fault session_start(struct cx *cx, struct vault *v, struct session *s,
                         ProtobufCBinaryData *accepts, size_t n)
{
    const uint8_t **ids, **keys;
    struct bytes *packed;

    if (s->mask != NULL)
        return cx_fail(cx, FAULT_REPLAY, "this session has started already");
    if (n != s->n)
        return cx_fail(cx, FAULT_CONFLICT, "%zu ACCEPTs for %zu participants", n, s->n);
    CX_NEW(cx, ids, n);
    CX_NEW(cx, keys, n);
    CX_NEW(cx, packed, n);
    for (size_t i = 0; i < n; i++) {
        packed[i] = PB_BYTES(accepts[i]);
        ids[i] = s->ids[i].p;
        TRY(check_accept(cx, v, s, packed[i], i, &keys[i]));
    }
    if (policy_uses_keys(&s->policy))
        TRY(dataset_make_keys(cx, s->o.dataset, keys_seed(v->patient)));
    struct mask_setup setup = {
        .n = n, .self = s->self, .ids = ids, .ephemeral = keys, .own_secret = s->secret};
    session_id(packed, n, setup.session);
    TRY(mask_new(cx, &setup, &s->mask));
    memcpy(s->session_id, setup.session, DIGEST_BYTES);
    memcpy(s->transcript, setup.session, DIGEST_BYTES);
    sodium_free(s->secret); /* wiped: only the pair keys are needed from here on */
    s->secret = NULL;
    /* Sizes of regions are exact: nothing may rest on them under noise. */
    s->kind = s->by_site                     ? COHORTIUM__ROUND_KIND__VETO
              : policy_is_noised(&s->policy) ? s->state->kind
                                             : COHORTIUM__ROUND_KIND__REGIONS;
    return FAULT_NONE;
}

/* ---- absorbing the vectors of a round ---- */

struct bytes session_vector_context(const struct session *s,
                                    uint8_t context[VECTOR_CONTEXT])
{
    memcpy(context, s->proposal, DIGEST_BYTES);
    (void)session_input_context(s, context + DIGEST_BYTES);
    return bytes_of(context, VECTOR_CONTEXT);
}

static void box_digest(struct bytes box, uint8_t ret[DIGEST_BYTES])
{
    (void)crypto_generichash(ret, DIGEST_BYTES, box.p, box.n, NULL, 0);
}

/* Ours beside a vector. */
static enum fault open_box(struct cx *cx, const struct session *s,
                           const Cohortium__Vector *x, struct bytes box, size_t from,
                           struct bytes *ret)
{
    uint8_t context[VECTOR_CONTEXT], digest[DIGEST_BYTES];
    size_t at = s->self < from ? s->self : s->self - 1;

    box_digest(box, digest);
    if (!bytes_equal(PB_BYTES(x->box_digests[at]), bytes_of(digest, DIGEST_BYTES)))
        return cx_fail(cx, FAULT_DENIED,
                       "the box beside the vector of %s is not the one that "
                       "it signed",
                       s->who[from]->name);
    if (mask_unbox(cx, s->mask, from, s->round, session_vector_context(s, context), box,
                   ret) == FAULT_NONE)
        return FAULT_NONE;
    return cx_fail(
        cx, cx_fault(cx),
        "the box of %s for this site does not open: it lies, or somebody has told "
        "two of us different sums",
        s->who[from]->name);
}

static enum fault absorb_one(struct cx *cx, struct vault *v, struct session *s,
                             struct bytes packed, struct bytes box, size_t i,
                             struct tally *sum, uint8_t ret_digest[32])
{
    struct envelope e;
    Cohortium__Vector *x;
    const char *name = s->who[i]->name;
    struct bytes plain;
    struct tally *theirs;

    TRY(envelope_open(cx, ENVELOPE_VECTOR, packed, &e));
    TRY(pb_unpack(cx, &cohortium__vector__descriptor, e.body,
                  envelope_bound(ENVELOPE_VECTOR), &x));
    TRY(check_sender(cx, v, s, &e, x->stamp, i));
    memcpy(ret_digest, e.digest, DIGEST_BYTES);
    if (x->round != s->round || x->kind != s->kind)
        return cx_fail(cx, FAULT_CONFLICT, "a vector of %s belongs to another round", name);
    if (!bytes_equal(PB_BYTES(x->session), bytes_of(s->session_id, DIGEST_BYTES)) ||
        !bytes_equal(PB_BYTES(x->proposal), bytes_of(s->proposal, DIGEST_BYTES)) ||
        !bytes_equal(PB_BYTES(x->transcript), bytes_of(s->transcript, DIGEST_BYTES)))
        return told_apart(cx, "vector", name);
    if (x->n_box_digests != s->n - 1)
        return cx_fail(cx, FAULT_FORMAT, "a vector of %s has %zu boxes, expected %zu", name,
                       x->n_box_digests, s->n - 1);
    if (i == s->self) {
        if (box.n > 0)
            return cx_fail(cx, FAULT_FORMAT, "a box beside our own vector");
        if (memcmp(e.digest, s->own_vector, DIGEST_BYTES) != 0)
            return cx_fail(cx, FAULT_CONFLICT, "our own vector came back changed");
        return tally_add(cx, sum, s->own_masked);
    }
    TRY(open_box(cx, s, x, box, i, &plain));
    TRY(tally_unpack(cx, plain, s->round, sum->n_counts, sum->n_sums, &theirs));
    return tally_add(cx, sum, theirs);
}

/* A fault of a fit never stops a session early: it becomes this vault's objection. */
static enum fault object_if_numeric(struct session *s, enum fault fault)
{
    if (fault != FAULT_NUMERIC && fault != FAULT_INVALID)
        return fault;
    if (s->objection == NULL)
        s->objection = cx_printf(s->cx, "numbers: %s", cx_message(s->cx));
    return s->objection != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault learn_sums(struct session *s, const struct tally *pooled)
{
    const struct analysis *a = s->o.analysis;
    struct state *next = NULL;

    if (s->guards_measure == s->measure && s->guards.n_guards > 0) {
        size_t n;

        TRY(gate_guard_sums(s->cx, &s->policy, s->rounds, s->measure, pooled,
                            &s->pooled_guard_sums, &n));
        if (n != s->guards.n_guards)
            return cx_fail(s->cx, FAULT_INTERNAL,
                           "the engine's guards do not fit the measure");
    }
    TRY(gate_rounds_learn(s->cx, s->rounds, s->measure, pooled));
    enum fault fault = a->learn(s->cx, &s->o.asked, s->state, s->measure, pooled, &next);
    if (fault == FAULT_NONE)
        s->state = next;
    else
        TRY(object_if_numeric(s, fault));
    if (fault != FAULT_NONE || s->state->done) {
        s->kind = COHORTIUM__ROUND_KIND__VETO;
        if (fault == FAULT_NONE)
            TRY(object_if_numeric(s, a->finish(s->cx, &s->o.asked, s->state, &s->result)));
        TRY(session_take_lost(s));
        const char *why = NULL;
        if (s->result != NULL && !s->refused)
            TRY(gate_judge(s->cx, &s->policy, &s->o.asked, &s->o.plan, s->result,
                           s->guards.guards, s->guards.n_guards, s->pooled_guard_sums,
                           &why));
        if (s->objection == NULL)
            s->objection = why;
    } else {
        s->kind = s->state->kind;
    }
    return FAULT_NONE;
}

/* What follows from the pooled sum of the round just absorbed; sets the next kind. */
static enum fault learn(struct session *s, const struct tally *pooled)
{
    switch (s->kind) {
    case COHORTIUM__ROUND_KIND__REGIONS:
        TRY(session_learn_regions(s, pooled));
        s->kind = COHORTIUM__ROUND_KIND__VERDICT;
        return FAULT_NONE;
    case COHORTIUM__ROUND_KIND__VERDICT:
        session_learn_words(s, pooled);
        if (s->refused)
            session_forget(s);
        s->kind = s->state->kind;
        return FAULT_NONE;
    /* Who objects does not rely on its word: a member that sends last could cancel it. */
    case COHORTIUM__ROUND_KIND__VETO:
        if (s->by_site)
            bysite_learn(s, pooled);
        else
            s->refused = s->refused || pooled->counts[0] != 0 || s->objection != NULL;
        s->kind = COHORTIUM__ROUND_KIND__RELEASE;
        return FAULT_NONE;
    default:
        session_confirm(s);
        return learn_sums(s, pooled);
    }
}

enum fault session_absorb(struct cx *cx, struct vault *v, struct session *s,
                          ProtobufCBinaryData *vectors, size_t n,
                          ProtobufCBinaryData *boxes, size_t n_boxes)
{
    struct tally *sum;
    uint8_t *round; /* digests: of the proposal, then of the vectors */

    if (!s->awaiting || n != s->n)
        return cx_fail(cx, FAULT_CONFLICT, "%zu vectors where %zu were expected", n,
                       s->awaiting ? s->n : 0);
    if (n_boxes != n)
        return cx_fail(cx, FAULT_FORMAT, "%zu boxes beside %zu vectors", n_boxes, n);
    TRY(tally_new(cx, s->own_masked->n_counts, s->own_masked->n_sums, &sum));
    CX_NEW(cx, round, (1 + n) * DIGEST_BYTES);
    memcpy(round, s->proposal, DIGEST_BYTES);
    for (size_t i = 0; i < n; i++)
        TRY(absorb_one(cx, v, s, PB_BYTES(vectors[i]), PB_BYTES(boxes[i]), i, sum,
                       round + (1 + i) * DIGEST_BYTES));
    transcript_next(s->transcript, bytes_of(round, (1 + n) * DIGEST_BYTES));
    /* A member that told two of us different tallies is found at the next box: the
     * transcript says what was signed, this what was in it for us. */
    tally_chain(s->learned, sum);
    s->awaiting = false;
    s->round++;
    enum fault fault = learn(s, sum);
    if (fault != FAULT_NONE)
        return cx_fail(cx, fault, "%s", cx_message(s->cx));
    return FAULT_NONE;
}

/* ---- home proposes, everybody checks and adopts ---- */

static bool is_sum(Cohortium__RoundKind kind)
{
    return kind == COHORTIUM__ROUND_KIND__OPENING || kind == COHORTIUM__ROUND_KIND__SUM;
}

static bool has_boxes(Cohortium__RoundKind kind)
{
    return is_sum(kind) || kind == COHORTIUM__ROUND_KIND__RELEASE;
}

/* The reference is of the question, so that the same question has the same one however
 * often it has to be run. An answer given before is proposed again to the byte. */
static enum fault release_of(struct session *s, const struct result *result,
                             struct release **ret)
{
    uint8_t hash[32], reference[8];
    static const char label[] = "cohortium/reference/1";
    crypto_hash_sha256_state h;

    (void)crypto_hash_sha256_init(&h);
    (void)crypto_hash_sha256_update(&h, (const uint8_t *)label, sizeof label);
    (void)crypto_hash_sha256_update(&h, s->question, 32);
    (void)crypto_hash_sha256_final(&h, hash);
    memcpy(reference, hash, sizeof reference);
    const struct pool pool = {.regions = &s->o.regions,
                              .sizes = s->region_sizes,
                              .population = s->population,
                              .rounds = s->rounds,
                              .taken = s->by_site ? s->taken : s->lost,
                              .multiple = s->multiple};
    size_t first = s->by_site ? s->self : 0;

    return gate_release(s->cx, &s->policy, &s->o.asked, s->question, s->ids + first,
                        s->versions + first, s->by_site ? 1 : s->n, result, &pool,
                        reference, ret);
}

static enum fault make_release(struct session *s)
{
    if (s->release != NULL)
        return FAULT_NONE;
    TRY(release_of(s, s->refused ? NULL : s->result, &s->release));
    return s->held.n > 0 ? gate_adopt(s->cx, s->release, s->held) : FAULT_NONE;
}

static enum fault decide(struct cx *cx, struct vault *v, struct session *s,
                         Cohortium__Answer **ret);

/* Home's proposal carries the release itself, so home's decision is logged before it. */
static enum fault propose_release(struct cx *cx, struct vault *v, struct session *s)
{
    enum fault fault = make_release(s);

    if (fault == FAULT_NONE && s->answer == NULL)
        fault = decide(s->cx, v, s, &s->answer);
    if (fault != FAULT_NONE)
        return cx_fail(cx, fault, "%s", cx_message(s->cx));
    s->held = release_body(s->release);
    return FAULT_NONE;
}

/* Before the first proposal and the first vector. Home proposes before anybody sends, so of
 * two questions for the last of a budget it lets one through. */
static enum fault charge_once(struct cx *cx, struct vault *v, struct session *s)
{
    if (!s->charged)
        TRY(charge_write(cx, v, &s->o, s->question));
    s->charged = true;
    return FAULT_NONE;
}

enum fault session_propose(struct cx *cx, struct vault *v, struct session *s,
                           struct bytes *ret_proposal)
{
    Cohortium__Proposal p = COHORTIUM__PROPOSAL__INIT;
    Cohortium__Stamp stamp;

    if (s->self != s->home)
        return cx_fail(cx, FAULT_DENIED, "only the home vault proposes");
    TRY(charge_once(cx, v, s));
    TRY(stamp_of(cx, v, s, &stamp));
    p.stamp = &stamp;
    p.session = PB_DATA(bytes_of(s->session_id, DIGEST_BYTES));
    p.round = s->round;
    p.kind = s->kind;
    p.transcript = PB_DATA(bytes_of(s->transcript, DIGEST_BYTES));
    if (has_boxes(s->kind)) {
        enum fault fault = session_seal_input(s, &p);

        if (fault != FAULT_NONE)
            return cx_fail(cx, fault, "%s", cx_message(s->cx));
    }
    if (s->kind == COHORTIUM__ROUND_KIND__RELEASE && !s->by_site) {
        TRY(propose_release(cx, v, s));
        p.release = PB_DATA(release_body(s->release));
    }
    struct envelope e;
    TRY(envelope_seal(cx, ENVELOPE_PROPOSAL, &p.base, v->signing, ret_proposal));
    TRY(envelope_open(cx, ENVELOPE_PROPOSAL, *ret_proposal, &e));
    memcpy(s->own_proposal, e.digest, DIGEST_BYTES);
    return FAULT_NONE;
}

/* By site each vault makes its own. */
static enum fault adopt_release(struct session *s, struct bytes proposed)
{
    if (s->by_site && proposed.n > 0)
        return cx_fail(s->cx, FAULT_FORMAT,
                       "the coordinator proposes an answer by site, which each site makes "
                       "for itself");
    TRY(make_release(s));
    if (s->by_site)
        return FAULT_NONE;
    if (s->held.n > 0 && !bytes_equal(s->held, proposed))
        return cx_fail(s->cx, FAULT_CONFLICT,
                       "the coordinator proposes another answer than was given before");
    return gate_adopt(s->cx, s->release, proposed);
}

enum fault session_adopt(struct cx *cx, struct vault *v, struct session *s,
                         struct bytes packed)
{
    struct envelope e;
    Cohortium__Proposal *p;

    TRY(envelope_open(cx, ENVELOPE_PROPOSAL, packed, &e));
    TRY(pb_unpack(cx, &cohortium__proposal__descriptor, e.body,
                  envelope_bound(ENVELOPE_PROPOSAL), &p));
    TRY(check_sender(cx, v, s, &e, p->stamp, s->home));
    if (p->round != s->round || p->kind != s->kind)
        return cx_fail(cx, FAULT_CONFLICT,
                       "the coordinator's proposal is of another round");
    if (!bytes_equal(PB_BYTES(p->session), bytes_of(s->session_id, DIGEST_BYTES)) ||
        !bytes_equal(PB_BYTES(p->transcript), bytes_of(s->transcript, DIGEST_BYTES)))
        return told_apart(cx, "proposal", s->who[s->home]->name);
    if (p->n_inputs > 0 && !has_boxes(p->kind))
        return cx_fail(cx, FAULT_FORMAT,
                       "a proposal with numbers that its round has no use for");
    if (p->release.len > 0 && p->kind != COHORTIUM__ROUND_KIND__RELEASE)
        return cx_fail(cx, FAULT_FORMAT, "a proposal with a release before its round");
    memcpy(s->proposal, e.digest, DIGEST_BYTES);
    memcpy(s->input_digest, e.digest, DIGEST_BYTES);
    if (has_boxes(p->kind))
        TRY(session_adopt_input(cx, s, p));
    if (p->kind == COHORTIUM__ROUND_KIND__RELEASE) {
        enum fault fault = adopt_release(s, PB_BYTES(p->release));

        if (fault != FAULT_NONE)
            return cx_fail(cx, fault, "%s", cx_message(s->cx));
    }
    return FAULT_NONE;
}

/* ---- our own vector ---- */

/* A new scan, without what the rounds before say must not be seen of it. */
static enum fault scan(struct session *s)
{
    struct site_sums sums = {0};
    enum fault fault = engine_run(s->cx, s->o.dataset, s->measure, &sums);

    if (fault != FAULT_NONE)
        return object_if_numeric(s, fault);
    TRY(gate_rounds_withhold(s->cx, s->rounds, s->measure, sums.tally, NULL));
    s->sums = sums;
    if (sums.n_guards > 0) {
        s->guards = sums;
        s->guards_measure = s->measure;
    }
    return FAULT_NONE;
}

static enum fault sum_measure(struct session *s, struct tally **ret)
{
    const struct analysis *a = s->o.analysis;
    const char *why;

    if (!(s->state->reuse && s->measure != NULL && s->sums.tally != NULL)) {
        TRY(a->ask(s->cx, &s->o.asked, s->state, &s->measure));
        if (policy_uses_keys(&s->policy))
            TRY(measure_key_cells(s->measure));
        TRY(gate_rounds_ask(s->cx, s->rounds, s->measure, &why));
        if (policy_is_noised(&s->policy))
            TRY(gate_noise_plan(s->cx, &s->policy, s->n, s->o.plan.rounds_max, s->measure,
                                &s->noise));
        if (s->objection == NULL && !s->refused)
            s->objection = why;
        TRY(tally_new(s->cx, s->measure->n_counts, s->measure->n_sums, &s->sums.tally));
        if (!s->refused && s->objection == NULL)
            TRY(scan(s));
    }
    *ret = s->sums.tally;
    return FAULT_NONE;
}

/* Patients of this site in each cell that may be released. */
static enum fault judge_local_minimum(struct session *s, double minimum,
                                      const char **ret_why)
{
    const struct plan *plan = &s->o.plan;
    struct regions cells = {0};
    uint64_t *sizes, population;

    *ret_why = NULL;
    CX_NEW(s->cx, cells.list, plan->n_cells);
    CX_NEW(s->cx, sizes, plan->n_cells);
    for (size_t i = 0; i < plan->n_cells; i++)
        if (plan->cells[i] != NULL)
            cells.list[cells.n++] = plan->cells[i];
    TRY(engine_regions(s->cx, s->o.dataset, &cells, sizes, &population, NULL));
    for (size_t i = 0; i < cells.n; i++)
        if ((double)sizes[i] < minimum)
            *ret_why = "local_minimum: fewer patients here than this site takes part with";
    return FAULT_NONE;
}

/* What this site's policy asks of its own rows, beyond regions: judged before the first
 * sums are taken. It adds to the veto, for it may rest on what nobody outside knows. */
enum fault session_judge_own_part(struct vault *v, struct session *s)
{
    const struct policy *own = &s->o.policy->numbers;
    const char *why = NULL;

    if (s->refused || s->objection != NULL)
        return FAULT_NONE;
    if (own->number[POLICY_LOCAL_MINIMUM] > 0)
        TRY(judge_local_minimum(s, own->number[POLICY_LOCAL_MINIMUM], &why));
    if (why == NULL && own->number[POLICY_COLLUSION_ASSUMED] >= 1)
        TRY(bysite_objection(s->cx, v, &s->o, own, s->question, &why));
    s->objection = why;
    return FAULT_NONE;
}

/* An answer given before was looked at then. */
enum fault session_review(struct vault *v, struct session *s)
{
    const char *why = s->refused ? "another site objected, or the rules of the pool" : NULL;
    struct review_verdict verdict;
    struct release *r;

    if (s->held.n > 0)
        return review_multiple(s->cx, v, s->question, &s->multiple);
    if (!policy_reviews(&s->o.policy->numbers, s->o.request.body->question->analysis))
        return FAULT_NONE;
    if (s->objection != NULL)
        why = s->objection;
    TRY(release_of(s, why == NULL ? s->result : NULL, &r));
    TRY(review_judge(s->cx, v, &s->o, s->question, r, why,
                     s->by_site && !s->policy.testing, (struct owed){0}, &verdict));
    s->multiple = verdict.multiple;
    if (s->objection == NULL)
        s->objection = verdict.objection;
    return FAULT_NONE;
}

static enum fault own_tally(struct vault *v, struct session *s, struct tally **ret,
                            bool *ret_zeros)
{
    *ret_zeros = s->refused || s->objection != NULL;
    switch (s->kind) {
    case COHORTIUM__ROUND_KIND__REGIONS:
        TRY(session_sum_regions(s, ret));
        *ret_zeros = s->objection != NULL;
        return FAULT_NONE;
    case COHORTIUM__ROUND_KIND__VETO:
        TRY(session_review(v, s));
        TRY(gate_word(s->cx, s->objection != NULL, ret));
        *ret_zeros = false;
        return FAULT_NONE;
    default:
        if (s->round == FIRST_SUMS && !policy_is_noised(&s->policy))
            TRY(session_judge_own_part(v, s));
        TRY(sum_measure(s, ret));
        *ret_zeros = s->refused || s->objection != NULL;
        return FAULT_NONE;
    }
}

/* What the noise spends is durable before it leaves. */
static enum fault add_noise(struct vault *v, struct session *s, bool zeros,
                            struct tally **tally)
{
    uint8_t draw[32];

    TRY(gate_noise_add(s->cx, s->noise, s->measure, keys_seed(v->patient), s->question,
                       s->round, *tally, zeros, tally, draw));
    return charge_noise(s->cx, v, &s->o, s->question, s->round, draw,
                        gate_noise_rho(&s->policy, s->o.plan.rounds_max));
}

static enum fault seal_round(struct vault *v, struct session *s, struct sealed **ret)
{
    uint8_t context[VECTOR_CONTEXT];
    struct tally *tally;
    struct votes *votes;
    bool zeros;

    if (s->by_site || s->kind == COHORTIUM__ROUND_KIND__VERDICT) {
        TRY(s->by_site ? bysite_votes(v, s, &votes) : session_words(s, &votes));
        return gate_seal_votes(s->cx, s->mask, s->round, s->input_digest,
                               session_vector_context(s, context), s->n, s->self, votes,
                               ret);
    }
    TRY(own_tally(v, s, &tally, &zeros));
    if (policy_is_noised(&s->policy) && is_sum(s->kind)) {
        TRY(add_noise(v, s, zeros, &tally));
        zeros = false; /* who objects adds its share to zeros */
    }
    return gate_seal(s->cx, s->mask, s->round, s->input_digest,
                     session_vector_context(s, context), s->n, s->self, tally, zeros, ret);
}

/* The digests are signed and go to everybody, each box to its reader alone: what a vault
 * hashes and a link carries grows with the participants, not with their square. */
static enum fault lay_boxes(struct cx *cx, const struct sealed *sealed, size_t n,
                            Cohortium__Vector *x, Cohortium__StepReply *reply)
{
    uint8_t *digests;

    x->n_box_digests = reply->n_boxes = n;
    CX_NEW(cx, x->box_digests, n);
    CX_NEW(cx, reply->boxes, n);
    CX_NEW(cx, digests, n * DIGEST_BYTES);
    for (size_t i = 0; i < n; i++) {
        struct bytes box = sealed_boxes(sealed)[i];

        box_digest(box, digests + i * DIGEST_BYTES);
        x->box_digests[i] = PB_DATA(bytes_of(digests + i * DIGEST_BYTES, DIGEST_BYTES));
        reply->boxes[i] = PB_DATA(box);
    }
    return FAULT_NONE;
}

enum fault session_vector(struct cx *cx, struct vault *v, struct session *s,
                          Cohortium__StepReply *reply)
{
    Cohortium__Vector x = COHORTIUM__VECTOR__INIT;
    Cohortium__Stamp stamp;
    struct sealed *sealed;
    struct bytes packed;

    TRY(charge_once(cx, v, s));
    enum fault fault = seal_round(v, s, &sealed);
    if (fault != FAULT_NONE)
        return cx_fail(cx, fault, "%s", cx_message(s->cx));
    if (s->round == FIRST_SUMS && !s->refused && session_remembers(s))
        TRY(session_enter_ledger(cx, v, s));
    TRY(stamp_of(cx, v, s, &stamp));
    x.stamp = &stamp;
    x.session = PB_DATA(bytes_of(s->session_id, DIGEST_BYTES));
    x.round = s->round;
    x.kind = s->kind;
    x.proposal = PB_DATA(bytes_of(s->proposal, DIGEST_BYTES));
    x.transcript = PB_DATA(bytes_of(s->transcript, DIGEST_BYTES));
    TRY(lay_boxes(cx, sealed, s->n - 1, &x, reply));
    TRY(envelope_seal(cx, ENVELOPE_VECTOR, &x.base, v->signing, &packed));
    reply->vector = PB_DATA(packed);
    struct envelope e;
    TRY(envelope_open(cx, ENVELOPE_VECTOR, packed, &e));
    memcpy(s->own_vector, e.digest, DIGEST_BYTES);
    const struct tally *own = sealed_own(sealed);
    TRY(tally_new(s->cx, own->n_counts, own->n_sums, &s->own_masked));
    TRY(tally_add(cx, s->own_masked, own));
    s->awaiting = true;
    return FAULT_NONE;
}

/* ---- the end ---- */

static enum fault decide(struct cx *cx, struct vault *v, struct session *s,
                         Cohortium__Answer **ret)
{
    struct buffer why = buffer_new(cx, 16 * 1024);
    Cohortium__Release *r;

    TRY(pb_unpack(cx, &cohortium__release__descriptor, release_body(s->release),
                  envelope_bound(ENVELOPE_RELEASE), &r));
    if (s->by_site)
        buffer_text(&why, "by site; ");
    if (!r->released)
        buffer_printf(&why, "NOT_RELEASED, reference %s; %s",
                      bytes_hex(cx, r->reference.data, r->reference.len),
                      s->objection != NULL ? "this site objected: "
                      : s->by_site         ? "another site objected"
                                   : "another site objected, or the rules of the pool");
    if (s->objection != NULL)
        buffer_text(&why, s->objection);
    if (!r->released && release_details(s->release)[0] != '\0')
        buffer_text(&why, s->objection != NULL ? "; also " : ": ");
    buffer_text(&why, release_details(s->release));
    struct decision d = {
        .kind = "question",
        .opened = &s->o,
        .question = s->question,
        .policy_digest = s->policy_digest,
        .release_body = release_body(s->release),
        .released = r->released,
        .details = buffer_string(&why),
        .transcript = bytes_of(s->transcript, DIGEST_BYTES),
    };
    TRY(why.fault);
    return decision_record(cx, v, &d, ret);
}

enum fault session_release(struct cx *cx, struct vault *v, struct session *s,
                           Cohortium__Answer **ret)
{
    *ret = s->answer; /* packed before the session goes */
    /* By site the regions enter here: who writes before the words are out did not object.
     */
    if (s->by_site && !s->refused && session_remembers(s))
        TRY(session_enter_ledger(cx, v, s));
    if (*ret == NULL)
        TRY(decide(cx, v, s, ret));
    s->over = true;
    if (s->self == s->home)
        answer_hold(v, &s->policy, s->arrival_us);
    return FAULT_NONE;
}

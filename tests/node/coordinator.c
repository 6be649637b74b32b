/* coordinator.c - one question driven by hand. */
#include "tests/node/coordinator.h"

enum { PLAY_MEMORY = 256 << 20 };

void play_new(struct play *p, struct vaults *t, struct bytes request)
{
    struct envelope e;
    Cohortium__Request *r;

    memset(p, 0, sizeof *p);
    p->t = t;
    p->cx = cx_new(PLAY_MEMORY, CX_NO_DEADLINE);
    assert_non_null(p->cx);
    p->request = bytes_of(cx_memdup(p->cx, request.p, request.n), request.n);
    assert_non_null(p->request.p);
    CHECK_OK_("request", p->cx, envelope_open(p->cx, ENVELOPE_REQUEST, p->request, &e));
    CHECK_OK_("request", p->cx,
              pb_unpack(p->cx, &cohortium__request__descriptor, e.body,
                        envelope_bound(ENVELOPE_REQUEST), &r));
    memcpy(p->digest, e.digest, DIGEST_BYTES);
    p->by_site = r->question->by_site;
    p->n = r->question->n_sites;
    assert_true(p->n <= VAULTS);
}

void play_free(struct play *p)
{
    cx_free(&p->cx);
}

void play_ask(struct play *p, struct vaults *t, const char *analysis, const char *formula,
              const char *cohort)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);

    assert_non_null(cx);
    play_new(
        p, t,
        vaults_seal(cx, vaults_request(t, cx, analysis, formula, cohort), t->researcher));
}

struct caller play_caller(struct vaults *t, size_t as, size_t site)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct ipc_caller from = {.role = as == site ? IPC_SELF : IPC_MEMBER};
    struct caller who;

    assert_non_null(cx);
    if (as != site)
        memcpy(from.id, t->site[as].v.self->node_id.data, DIGEST_BYTES);
    CHECK_OK_("caller", cx, caller_open(cx, &t->site[site].v, &from, &who));
    return who;
}

void play_forget(struct play *p)
{
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("abort", play_abort(p, i), FAULT_NONE);
}

struct session *play_session(struct play *p, size_t site)
{
    struct vault *v = &p->t->site[site].v;

    for (size_t i = 0; i < SESSIONS_MAX; i++)
        if (v->sessions[i] != NULL &&
            memcmp(v->sessions[i]->request, p->digest, DIGEST_BYTES) == 0)
            return v->sessions[i];
    fail_msg("no session at site %zu", site);
    return NULL;
}

typedef enum fault service_call(struct cx *cx, struct vault *v, const struct caller *who,
                                struct bytes body, struct bytes *ret);

/* A vault's job: its memory goes, the reply is copied. */
static enum fault call(struct play *p, size_t site, service_call *service,
                       struct bytes body, struct bytes *ret)
{
    AUTO_CX struct cx *cx = cx_new(PLAY_MEMORY, CX_NO_DEADLINE);
    struct caller who = play_caller(p->t, p->as, site);
    struct bytes reply = {0};

    assert_non_null(cx);
    enum fault fault = service(cx, &p->t->site[site].v, &who, body, &reply);
    if (fault != FAULT_NONE) {
        (void)snprintf(p->message, sizeof p->message, "%s: %s", fault_name(fault),
                       cx_message(cx));
        CHECK_EQ_("the message is of the fault", cx_fault(cx), fault);
        return fault;
    }
    *ret = bytes_of(cx_memdup(p->cx, reply.p, reply.n), reply.n);
    assert_non_null(ret->p);
    return FAULT_NONE;
}

static enum fault abort_it(struct cx *cx, struct vault *v, const struct caller *who,
                           struct bytes body, struct bytes *ret)
{
    *ret = (struct bytes){0};
    return vault_abort(cx, v, who, body);
}

enum fault play_abort(struct play *p, size_t site)
{
    struct bytes nothing;

    return call(p, site, abort_it, bytes_of(p->digest, DIGEST_BYTES), &nothing);
}

enum fault play_preflight(struct play *p, size_t site)
{
    return call(p, site, vault_preflight, p->request, &p->preflight[site]);
}

enum fault play_begin(struct play *p, size_t site, bool rerun)
{
    Cohortium__BeginCall c = COHORTIUM__BEGIN_CALL__INIT;
    Cohortium__BeginReply *reply;
    ProtobufCBinaryData list[VAULTS];
    struct bytes packed;

    c.request = PB_DATA(p->request);
    for (size_t i = 0; i < VAULTS; i++)
        if (p->preflight[i].n > 0) /* a question may be to fewer sites */
            list[c.n_preflights++] = PB_DATA(p->preflight[i]);
    c.preflights = list;
    c.rerun = rerun;
    CHECK_OK_("begin", p->cx, pb_pack(p->cx, &c.base, &packed));
    TRY(call(p, site, vault_begin, packed, &packed));
    CHECK_OK_("begin", p->cx,
              pb_unpack(p->cx, &cohortium__begin_reply__descriptor, packed,
                        LINK_MESSAGE_MAX, &reply));
    CHECK_("an ACCEPT or an answer", (reply->accept.len > 0) != (reply->answer != NULL));
    p->accept[site] = PB_BYTES(reply->accept);
    p->answer[site] = reply->answer;
    return FAULT_NONE;
}

void play_boxes(const struct play *p, size_t site, ProtobufCBinaryData boxes[VAULTS])
{
    for (size_t i = 0; i < VAULTS; i++)
        boxes[i] = i == site ? PB_DATA((struct bytes){0})
                             : PB_DATA(p->boxes_before[i][site < i ? site : site - 1]);
}

static enum fault step(struct play *p, size_t site, bool vectors, struct bytes proposal,
                       play_lie *lie, Cohortium__StepReply **ret)
{
    Cohortium__StepCall c = COHORTIUM__STEP_CALL__INIT;
    ProtobufCBinaryData list[VAULTS], boxes[VAULTS];
    struct bytes packed;

    c.request = PB_DATA(bytes_of(p->digest, DIGEST_BYTES));
    c.proposal = PB_DATA(proposal);
    play_boxes(p, site, boxes);
    for (size_t i = 0; i < p->n; i++)
        list[i] = p->round == 0 ? PB_DATA(p->accept[i]) : PB_DATA(p->before[i]);
    if (vectors && p->round == 0) {
        c.accepts = list;
        c.n_accepts = p->n;
    } else if (vectors) {
        c.vectors = list;
        c.boxes = boxes;
        c.n_vectors = c.n_boxes = p->n;
    }
    if (lie != NULL)
        lie(p, site, &c);
    CHECK_OK_("step", p->cx, pb_pack(p->cx, &c.base, &packed));
    TRY(call(p, site, vault_step, packed, &packed));
    CHECK_OK_("step", p->cx,
              pb_unpack(p->cx, &cohortium__step_reply__descriptor, packed, LINK_MESSAGE_MAX,
                        ret));
    return FAULT_NONE;
}

static void put_digest(struct play *p, enum envelope_kind kind, struct bytes packed,
                       uint8_t ret[DIGEST_BYTES])
{
    struct envelope e;

    if (envelope_open(p->cx, kind, packed, &e) == FAULT_NONE)
        memcpy(ret, e.digest, DIGEST_BYTES);
}

/* What the round before was made of, as the receipt shows it. */
static void keep_round(struct play *p)
{
    size_t size = (1 + p->n) * DIGEST_BYTES;
    uint8_t *digests;

    if (p->round == 0)
        return;
    digests = cx_alloc(p->cx, size);
    assert_true(digests != NULL && p->round <= PLAY_ROUNDS_MAX);
    put_digest(p, ENVELOPE_PROPOSAL, p->proposal, digests);
    for (size_t i = 0; i < p->n; i++)
        put_digest(p, ENVELOPE_VECTOR, p->vector[i], digests + (1 + i) * DIGEST_BYTES);
    p->seen[p->round - 1] = PB_DATA(bytes_of(digests, size));
    p->n_seen = p->round;
}

enum fault play_propose(struct play *p, play_lie *lie)
{
    Cohortium__StepReply *reply;

    keep_round(p);
    memcpy(p->before, p->vector, sizeof p->before);
    memcpy(p->boxes_before, p->boxes, sizeof p->boxes_before);
    TRY(step(p, 0, true, (struct bytes){0}, lie, &reply));
    p->proposal = PB_BYTES(reply->proposal);
    CHECK_("home proposes and no more",
           p->proposal.n > 0 && reply->vector.len == 0 && reply->answer == NULL);
    return FAULT_NONE;
}

enum fault play_step(struct play *p, size_t site, play_lie *lie)
{
    Cohortium__StepReply *reply;

    TRY(step(p, site, site != 0, p->proposal, lie, &reply));
    CHECK_("a vector or an answer", (reply->vector.len > 0) != (reply->answer != NULL));
    p->vector[site] = PB_BYTES(reply->vector);
    CHECK_EQ_("a box for each other", reply->n_boxes, reply->vector.len > 0 ? p->n - 1 : 0);
    for (size_t i = 0; i < reply->n_boxes; i++)
        p->boxes[site][i] = PB_BYTES(reply->boxes[i]);
    p->answer[site] = reply->answer;
    return FAULT_NONE;
}

/* ---- honest stretches ---- */

static void must(const struct play *p, const char *what, size_t site, enum fault fault)
{
    if (fault != FAULT_NONE)
        fail_msg("%s at site %zu, round %u: %s", what, site, p->round, p->message);
}

static size_t count_answers(const struct play *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++)
        n += p->answer[i] != NULL;
    return n;
}

void play_start(struct play *p)
{
    for (size_t i = 0; i < p->n; i++)
        must(p, "preflight", i, play_preflight(p, i));
    for (size_t i = 0; i < p->n; i++)
        must(p, "begin", i, play_begin(p, i, false));
    size_t answers = count_answers(p);
    for (size_t i = 0; answers > 0 && answers < p->n && i < p->n; i++)
        must(p, "begin once more", i, play_begin(p, i, true));
}

static void propose(struct play *p)
{
    must(p, "proposal", 0, play_propose(p, NULL));
}

void play_step_all(struct play *p)
{
    for (size_t i = 1; i < p->n; i++)
        must(p, "step", i, play_step(p, i, NULL));
    must(p, "step", 0, play_step(p, 0, NULL));
    p->round++;
}

void play_round(struct play *p)
{
    propose(p);
    play_step_all(p);
}

void play_to(struct play *p, uint32_t round)
{
    while (p->round < round)
        play_round(p);
    propose(p);
}

void play_past(struct play *p, Cohortium__RoundKind kind)
{
    do
        play_round(p);
    while (play_proposal(p)->kind != kind);
}

void play_finish(struct play *p)
{
    while (count_answers(p) == 0)
        play_round(p);
    CHECK_EQ_("all answer in the same round", count_answers(p), p->n);
}

void play_whole(struct play *p)
{
    play_start(p);
    play_finish(p);
}

/* ---- what came of it ---- */

const Cohortium__Preflight *play_preflight_of(struct play *p, size_t site)
{
    struct envelope e;
    Cohortium__Preflight *m;

    CHECK_OK_("preflight", p->cx,
              envelope_open(p->cx, ENVELOPE_PREFLIGHT, p->preflight[site], &e));
    CHECK_OK_("preflight", p->cx,
              pb_unpack(p->cx, &cohortium__preflight__descriptor, e.body,
                        envelope_bound(ENVELOPE_PREFLIGHT), &m));
    return m;
}

const Cohortium__Proposal *play_proposal(struct play *p)
{
    struct envelope e;
    Cohortium__Proposal *proposal;

    CHECK_OK_("proposal", p->cx, envelope_open(p->cx, ENVELOPE_PROPOSAL, p->proposal, &e));
    CHECK_OK_("proposal", p->cx,
              pb_unpack(p->cx, &cohortium__proposal__descriptor, e.body,
                        envelope_bound(ENVELOPE_PROPOSAL), &proposal));
    return proposal;
}

struct bytes play_body(struct play *p, size_t site)
{
    struct envelope e;

    assert_non_null(p->answer[site]);
    CHECK_OK_(
        "release", p->cx,
        envelope_open(p->cx, ENVELOPE_RELEASE, PB_BYTES(p->answer[site]->release), &e));
    CHECK_EQ_("one signature", e.n_signatures, 1);
    CHECK_("signed by the vault itself",
           envelope_is_signed_by(&e, p->t->site[site].v.self->signing_key.data));
    return e.body;
}

const Cohortium__Release *play_release(struct play *p, size_t site)
{
    Cohortium__Release *r;

    CHECK_OK_("release", p->cx,
              pb_unpack(p->cx, &cohortium__release__descriptor, play_body(p, site),
                        envelope_bound(ENVELOPE_RELEASE), &r));
    return r;
}

Cohortium__Receipt *play_receipt(struct play *p)
{
    Cohortium__Receipt *r = cx_alloc(p->cx, sizeof *r);
    struct bytes joined = {0};

    assert_non_null(r);
    cohortium__receipt__init(r);
    r->version = 1;
    r->software = (char *)"cohortium test";
    r->request = PB_DATA(p->request);
    r->manifests = cx_array(p->cx, 1, sizeof *r->manifests);
    r->permits = cx_array(p->cx, 1, sizeof *r->permits);
    r->preflights = cx_array(p->cx, VAULTS, sizeof *r->preflights);
    r->accepts = cx_array(p->cx, VAULTS, sizeof *r->accepts);
    r->releases = cx_array(p->cx, VAULTS, sizeof *r->releases);
    r->proofs = cx_array(p->cx, VAULTS, sizeof(Cohortium__LogProof *));
    assert_true(r->manifests != NULL && r->permits != NULL && r->preflights != NULL &&
                r->accepts != NULL && r->releases != NULL && r->proofs != NULL);
    r->manifests[r->n_manifests++] = PB_DATA(p->t->manifest->chain[0]);
    for (size_t i = 0; i < p->n; i++) {
        struct bytes one = PB_BYTES(p->answer[i]->release);

        r->preflights[r->n_preflights++] = PB_DATA(p->preflight[i]);
        if (p->accept[i].n > 0)
            r->accepts[r->n_accepts++] = PB_DATA(p->accept[i]);
        r->proofs[r->n_proofs++] = p->answer[i]->proof;
        if (p->by_site)
            r->releases[r->n_releases++] = PB_DATA(one);
        else if (i == 0)
            joined = one;
        else
            CHECK_OK_("join", p->cx,
                      envelope_join(p->cx, ENVELOPE_RELEASE, joined, one, &joined));
    }
    r->permits[r->n_permits++] = play_preflight_of(p, 0)->permit_envelope;
    r->rounds = p->seen;
    r->n_rounds = r->n_accepts > 0 ? p->n_seen : 0;
    if (!p->by_site)
        r->releases[r->n_releases++] = PB_DATA(joined);
    return r;
}

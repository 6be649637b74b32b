/* receipt_draft.c - a receipt of the small consortium, made part by part. */
#include "tests/protocol/receipt_draft.h"

#include "protocol/mask.h"
#include "protocol/merkle.h"
#include "tests/check.h"

enum { SITES = CONSORTIUM_SITES };

static Cohortium__Stamp *stamp_of(struct draft *d, int site)
{
    Cohortium__Stamp *s = cx_alloc(d->cx, sizeof *s);

    assert_non_null(s);
    cohortium__stamp__init(s);
    CHECK_OK_("stamp", d->cx,
              stamp_fill(d->cx, s, d->c->manifest, d->c->id[site],
                         d->request->stamp->request_id.data, 60000));
    return s;
}

static struct bytes seal(struct draft *d, enum envelope_kind kind,
                         const ProtobufCMessage *m, struct keys *key)
{
    return consortium_seal(d->cx, kind, m, &key, 1);
}

static void body_digest(struct draft *d, enum envelope_kind kind, struct bytes packed,
                        uint8_t ret[32])
{
    struct envelope e;

    CHECK_OK_("open", d->cx, envelope_open(d->cx, kind, packed, &e));
    memcpy(ret, e.digest, 32);
}

void draft_new(struct draft *d, struct cx *cx, const struct consortium *c, bool by_site)
{
    memset(d, 0, sizeof *d);
    d->cx = cx;
    d->c = c;
    d->n_manifests = 1;
    d->by_site = by_site;
    d->request = consortium_request(d->cx, d->c);
    d->request->question->by_site = by_site;
    d->permit = d->c->permit;
    cohortium__policy__init(&d->policy);
    d->policy.version = 1;
    d->policy.policy_class = (char *)"cautious";
    cohortium__result__init(&d->result);
    for (int i = 0; i < SITES; i++) {
        memset(d->version_ids[i], 0x10 + i, 16);
        d->participants[i] = PB_DATA(bytes_of(d->c->id[i], 32));
        d->versions[i] = PB_DATA(bytes_of(d->version_ids[i], 16));
        cohortium__preflight__init(&d->preflights[i]);
        cohortium__accept__init(&d->accepts[i]);
        cohortium__release__init(&d->releases[i]);
        cohortium__log_record__init(&d->records[i]);
        cohortium__log_proof__init(&d->proofs[i]);
    }
    d->n_accepts = SITES;
    d->n_rounds = COUNT(d->rounds);
    for (size_t i = 0; i < d->n_rounds; i++) {
        memset(d->round_digests[i], 0x20 + (int)i, sizeof d->round_digests[i]);
        d->rounds[i] = PB_DATA(bytes_of(d->round_digests[i], sizeof d->round_digests[i]));
    }
    d->release_signers = SITES;
    d->preflight_key = d->accept_key = d->log_key = d->c->node[1];
}

static void draft_question(struct draft *d)
{
    struct bytes versions[SITES];

    CHECK_OK_("policy", d->cx, policy_digest(d->cx, &d->policy, d->policy_digest));
    for (size_t i = 0; i < SITES; i++)
        versions[i] = bytes_of(d->version_ids[i], 16);
    for (size_t i = 0; i < SITES; i++)
        CHECK_OK_("question", d->cx,
                  question_digest(d->cx, d->request->question, versions, SITES,
                                  d->policy_digest, d->questions[i]));
}

void draft_fill(struct draft *d)
{
    static uint8_t head[32] = {0x55}, key[32] = {0x66};
    struct bytes request = seal(d, ENVELOPE_REQUEST, &d->request->base, d->c->researcher);

    body_digest(d, ENVELOPE_REQUEST, request, d->request_digest);
    digest_of(bytes_of(keys_signing_public(d->c->researcher), 32), d->who);
    draft_question(d);
    for (int i = 0; i < SITES; i++) {
        Cohortium__Preflight *p = &d->preflights[i];
        Cohortium__Accept *a = &d->accepts[i];
        Cohortium__Release *r = &d->releases[i];
        Cohortium__LogRecord *l = &d->records[i];

        p->stamp = stamp_of(d, i);
        p->request = PB_DATA(bytes_of(d->request_digest, 32));
        p->version = d->versions[i];
        p->ledger_head = PB_DATA(bytes_of(head, sizeof head));
        p->policy = &d->policy;
        p->by_site = true;
        p->permit_envelope = PB_DATA(d->permit);
        a->stamp = stamp_of(d, i);
        a->ledger_head = p->ledger_head;
        a->ephemeral_key = a->nonce = PB_DATA(bytes_of(key, sizeof key));
        a->request = p->request;
        a->question = PB_DATA(bytes_of(d->questions[i], 32));
        a->participants = d->participants;
        a->versions = d->versions;
        a->n_participants = a->n_versions = SITES;
        a->policy = PB_DATA(bytes_of(d->policy_digest, 32));
        r->question = d->request->question;
        r->question_digest = a->question;
        r->participants = d->by_site ? &d->participants[i] : d->participants;
        r->versions = d->by_site ? &d->versions[i] : d->versions;
        r->n_participants = r->n_versions = d->by_site ? 1 : SITES;
        r->policy = &d->policy;
        r->released = !d->not_released;
        r->result = d->not_released ? NULL : &d->result;
        if (d->not_released)
            r->reference = PB_DATA(bytes_of("12345678", 8));
        l->kind = (char *)(d->repeat ? "repeat" : "question");
        l->time = d->request->stamp->issued_at + 1000 + (uint64_t)i;
        l->subject = p->request;
        l->question = a->question;
        l->decision = (char *)(d->repeat         ? "answered_before"
                               : d->not_released ? "not_released"
                                                 : "released");
        l->outcome = PB_DATA(bytes_of(d->outcomes[d->by_site ? i : 0], 32));
        l->who = PB_DATA(bytes_of(d->who, 32));
        l->permit = d->request->permit;
        l->policy = a->policy;
        if (!d->repeat)
            l->transcript = PB_DATA(bytes_of(d->transcript, sizeof d->transcript));
    }
}

/* The release's digest goes into the records, so it is sealed before they are changed. */
void seal_releases(struct draft *d)
{
    size_t n = d->by_site ? SITES : 1;

    for (size_t i = 0; i < n; i++) {
        struct bytes packed =
            d->by_site ? seal(d, ENVELOPE_RELEASE, &d->releases[i].base, d->c->node[i])
                       : consortium_seal(d->cx, ENVELOPE_RELEASE, &d->releases[0].base,
                                         d->c->node, d->release_signers);

        body_digest(d, ENVELOPE_RELEASE, packed, d->outcomes[i]);
        d->sealed_releases[i] = PB_DATA(packed);
    }
}

static void seal_accepts(struct draft *d)
{
    struct bytes accepts[SITES];

    for (int i = 0; i < SITES; i++) {
        accepts[i] = seal(d, ENVELOPE_ACCEPT, &d->accepts[i].base,
                          i == 1 ? d->accept_key : d->c->node[i]);
        d->sealed_accepts[i] = PB_DATA(accepts[i]);
    }
    session_id(accepts, SITES, d->transcript);
    for (size_t i = 0; i < d->n_rounds; i++)
        transcript_next(d->transcript, PB_BYTES(d->rounds[i]));
}

/* Each site's log: two records, ours is the second. */
void seal_logs(struct draft *d)
{
    seal_accepts(d);
    for (int i = 0; i < SITES; i++) {
        uint8_t root[32], leaf[32];
        const char *name = d->c->manifest->body->members[i]->name, *note;
        struct bytes record;
        Cohortium__LogProof *p = &d->proofs[i];

        CHECK_OK_("pack", d->cx, pb_pack(d->cx, &d->records[i].base, &record));
        merkle_leaf(bytes_of("start", 5), d->siblings[i]);
        merkle_leaf(record, leaf);
        merkle_node(d->siblings[i], leaf, root);
        CHECK_OK_("checkpoint", d->cx,
                  checkpoint_sign(
                      d->cx, checkpoint_origin(d->cx, d->c->manifest->consortium, name), 2,
                      root, i == 1 ? d->log_key : d->c->node[i], &note));
        p->node_id = PB_DATA(bytes_of(d->c->id[i], 32));
        p->record = PB_DATA(record);
        p->index = 1;
        p->size = 2;
        d->path[i][0] = PB_DATA(bytes_of(d->siblings[i], 32));
        p->path = d->path[i];
        p->n_path = 1;
        p->checkpoint = (char *)(uintptr_t)note;
        d->proof_list[i] = p;
    }
}

void seal_rest(struct draft *d)
{
    Cohortium__Receipt *r = &d->receipt;

    cohortium__receipt__init(r);
    r->version = 1;
    d->manifests[0] = PB_DATA(d->c->genesis);
    r->manifests = d->manifests;
    r->n_manifests = d->n_manifests;
    r->request = PB_DATA(seal(d, ENVELOPE_REQUEST, &d->request->base, d->c->researcher));
    d->sealed_permits[0] = PB_DATA(d->permit);
    r->permits = d->sealed_permits;
    r->n_permits = 1;
    for (int i = 0; i < SITES; i++)
        d->sealed_preflights[i] =
            PB_DATA(seal(d, ENVELOPE_PREFLIGHT, &d->preflights[i].base,
                         i == 1 ? d->preflight_key : d->c->node[i]));
    r->rounds = d->rounds;
    r->n_rounds = d->repeat ? 0 : d->n_rounds;
    r->preflights = d->sealed_preflights;
    r->n_preflights = SITES;
    r->accepts = d->sealed_accepts;
    r->n_accepts = d->n_accepts;
    r->releases = d->sealed_releases;
    r->n_releases = d->by_site ? SITES : 1;
    r->proofs = d->proof_list;
    r->n_proofs = SITES;
}

void draft_seal(struct draft *d)
{
    seal_releases(d);
    seal_logs(d);
    seal_rest(d);
}

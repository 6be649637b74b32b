/* coordinate_receipt.c - a receipt put together from what the sites have signed. */
#include <string.h>

#include "node/net/coordinate_private.h"

static enum fault put_permits(struct ask *a, Cohortium__Receipt *r)
{
    CX_NEW(a->cx, r->permits, a->n);
    for (size_t i = 0; i < a->n; i++) {
        struct envelope e, other;
        Cohortium__Preflight *p;
        bool known = false;

        TRY(envelope_open(a->cx, ENVELOPE_PREFLIGHT, a->parts[i].preflight, &e));
        TRY(pb_unpack(a->cx, &cohortium__preflight__descriptor, e.body,
                      envelope_bound(ENVELOPE_PREFLIGHT), &p));
        if (p->permit_envelope.len == 0)
            continue;
        TRY(envelope_open(a->cx, ENVELOPE_PERMIT, PB_BYTES(p->permit_envelope), &e));
        for (size_t k = 0; k < r->n_permits && !known; k++) {
            struct bytes joined;

            TRY(envelope_open(a->cx, ENVELOPE_PERMIT, PB_BYTES(r->permits[k]), &other));
            known = memcmp(e.digest, other.digest, DIGEST_BYTES) == 0;
            if (known) {
                TRY(envelope_join(a->cx, ENVELOPE_PERMIT, PB_BYTES(r->permits[k]),
                                  PB_BYTES(p->permit_envelope), &joined));
                r->permits[k] = PB_DATA(joined);
            }
        }
        if (!known)
            r->permits[r->n_permits++] = p->permit_envelope;
    }
    return FAULT_NONE;
}

static enum fault put_answers(struct ask *a, Cohortium__Receipt *r)
{
    bool by_site = a->request.body->question->by_site;
    struct bytes joined = {0};

    CX_NEW(a->cx, r->accepts, a->n);
    CX_NEW(a->cx, r->releases, a->n);
    CX_NEW(a->cx, r->proofs, a->n);
    for (size_t i = 0; i < a->n; i++) {
        const struct part *p = &a->parts[i];

        if (p->accept.n > 0)
            r->accepts[r->n_accepts++] = PB_DATA(p->accept);
        if (p->answer == NULL || p->answer->proof == NULL)
            return cx_fail(a->cx, FAULT_CONFLICT, "%s gave no answer", p->who->name);
        r->proofs[r->n_proofs++] = p->answer->proof;
        struct bytes release = PB_BYTES(p->answer->release);
        if (by_site)
            r->releases[r->n_releases++] = PB_DATA(release);
        else if (i == 0)
            joined = release;
        else
            TRY(envelope_join(a->cx, ENVELOPE_RELEASE, joined, release, &joined));
    }
    if (!by_site) {
        r->releases[0] = PB_DATA(joined);
        r->n_releases = 1;
    }
    return FAULT_NONE;
}

static enum fault put_digest(struct ask *a, enum envelope_kind kind, struct bytes packed,
                             uint8_t ret[DIGEST_BYTES])
{
    struct cx *cx = a->round[a->turn];
    struct envelope e;

    if (envelope_open(cx, kind, packed, &e) != FAULT_NONE)
        return cx_fail(a->cx, cx_fault(cx), "%s", cx_message(cx));
    memcpy(ret, e.digest, DIGEST_BYTES);
    return FAULT_NONE;
}

enum fault ask_keep_round(struct ask *a)
{
    const size_t size = (1 + a->n) * DIGEST_BYTES;
    ProtobufCBinaryData *more;
    uint8_t *digests;

    if (a->n_seen == a->seen_room) {
        a->seen_room = a->seen_room > 0 ? 2 * a->seen_room : 32;
        CX_NEW(a->cx, more, a->seen_room);
        if (a->n_seen > 0)
            memcpy(more, a->seen, a->n_seen * sizeof *more);
        a->seen = more;
    }
    CX_NEW(a->cx, digests, size);
    TRY(put_digest(a, ENVELOPE_PROPOSAL, a->proposal, digests));
    for (size_t i = 0; i < a->n; i++)
        TRY(put_digest(a, ENVELOPE_VECTOR, a->parts[i].vector,
                       digests + (1 + i) * DIGEST_BYTES));
    a->seen[a->n_seen++] = PB_DATA(bytes_of(digests, size));
    return FAULT_NONE;
}

enum fault ask_receipt(struct ask *a, struct bytes *ret)
{
    Cohortium__Receipt r = COHORTIUM__RECEIPT__INIT;
    const struct manifest *m = a->net->manifest;

    r.version = 1;
    r.software = (char *)"cohortium " COHORTIUM_VERSION;
    r.n_manifests = m->n_chain;
    CX_NEW(a->cx, r.manifests, m->n_chain);
    for (size_t i = 0; i < m->n_chain; i++)
        r.manifests[i] = PB_DATA(m->chain[i]);
    r.request = PB_DATA(a->request.envelope.packed);
    r.n_preflights = a->n;
    CX_NEW(a->cx, r.preflights, a->n);
    for (size_t i = 0; i < a->n; i++)
        r.preflights[i] = PB_DATA(a->parts[i].preflight);
    TRY(put_permits(a, &r));
    if (!a->request.body->dry_run)
        TRY(put_answers(a, &r));
    r.rounds = a->seen;
    r.n_rounds = a->n_seen;
    return pb_pack(a->cx, &r.base, ret);
}

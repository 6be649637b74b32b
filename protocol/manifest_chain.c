/*
 * manifest_chain.c - one version of the manifest after the other: who must have signed,
 * what must not change, and what proves that the governors have signed two versions of one
 * number.
 */
#include <inttypes.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/manifest.h"

static enum fault check_threshold(struct cx *cx, const struct envelope *e,
                                  const Cohortium__Governance *g, uint64_t version,
                                  const char *whose)
{
    const uint8_t **keys;

    CX_NEW(cx, keys, g->n_keys);
    for (size_t i = 0; i < g->n_keys; i++)
        keys[i] = g->keys[i].data;
    size_t n = envelope_count_signers(e, keys, g->n_keys);
    if (n < g->threshold)
        return cx_fail(cx, FAULT_DENIED,
                       "manifest version %" PRIu64
                       ": signed by %zu of %s governance keys, and %u must sign",
                       version, n, whose, g->threshold);
    return FAULT_NONE;
}

/* A node's log and its checkpoints carry its name. Both lists are sorted by node id. */
static enum fault check_names(struct cx *cx, const Cohortium__Manifest *old,
                              const Cohortium__Manifest *next)
{
    size_t j = 0;

    for (size_t i = 0; i < old->n_members; i++) {
        const Cohortium__Member *a = old->members[i];

        while (j < next->n_members &&
               memcmp(next->members[j]->node_id.data, a->node_id.data, DIGEST_BYTES) < 0)
            j++;
        if (j < next->n_members && member_same(next->members[j], a) &&
            strcmp(next->members[j]->name, a->name) != 0)
            return cx_fail(cx, FAULT_DENIED,
                           "manifest version %" PRIu64
                           ": it calls %s %s; a member keeps its name",
                           next->version, a->name, next->members[j]->name);
    }
    return FAULT_NONE;
}

static enum fault check_step(struct cx *cx, const Cohortium__Manifest *old,
                             const uint8_t old_digest[32], const Cohortium__Manifest *next)
{
    uint64_t v = next->version;

    if (v != old->version + 1)
        return cx_fail(cx, FAULT_DENIED,
                       "manifest version %" PRIu64 " follows version %" PRIu64
                       ": expected version %" PRIu64,
                       v, old->version, old->version + 1);
    if (memcmp(next->previous.data, old_digest, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_DENIED,
                       "manifest version %" PRIu64
                       ": it was not made from the version %" PRIu64 " before it",
                       v, old->version);
    if (next->purpose != old->purpose)
        return cx_fail(cx, FAULT_DENIED,
                       "manifest version %" PRIu64
                       ": it changes the purpose, which version 1 has fixed for good",
                       v);
    if (next->issued_at < old->issued_at)
        return cx_fail(cx, FAULT_DENIED,
                       "manifest version %" PRIu64 ": issued before the version it follows",
                       v);
    return check_names(cx, old, next);
}

static enum fault check_genesis(struct cx *cx, const Cohortium__Manifest *body,
                                const uint8_t digest[32], const uint8_t *pinned)
{
    if (body->version != 1)
        return cx_fail(cx, FAULT_DENIED,
                       "manifest version %" PRIu64
                       " stands first: a chain begins with version 1",
                       body->version);
    if (pinned != NULL && memcmp(digest, pinned, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_DENIED,
                       "manifest version 1 is not the pinned one: its fingerprint is %s, "
                       "expected %s",
                       manifest_fingerprint(cx, digest), manifest_fingerprint(cx, pinned));
    return FAULT_NONE;
}

/* The body of one packed envelope (at: its place in a chain, 0: none), its shape checked
 * and nobody's signature. */
static enum fault open_one(struct cx *cx, struct bytes packed, size_t at,
                           struct envelope *e, Cohortium__Manifest **ret)
{
    if (envelope_open(cx, ENVELOPE_MANIFEST, packed, e) != FAULT_NONE ||
        pb_unpack(cx, &cohortium__manifest__descriptor, e->body,
                  envelope_bound(ENVELOPE_MANIFEST), ret) != FAULT_NONE)
        return at > 0 ? cx_prefix(cx, "manifest %zu of the chain: ", at)
                      : cx_prefix(cx, "a manifest: ");
    if (manifest_check_body(cx, *ret) != FAULT_NONE) {
        enum fault fault = cx_prefix(cx, "manifest version %" PRIu64 ": ", (*ret)->version);

        return fault == FAULT_FORMAT ? FAULT_DENIED : fault;
    }
    return FAULT_NONE;
}

/* The next link of the chain in m, whose arrays have room for it. */
static enum fault append(struct cx *cx, struct manifest *m, struct bytes packed,
                         const uint8_t *genesis)
{
    const Cohortium__Manifest *old = m->body;
    struct bytes kept = bytes_of(cx_memdup(cx, packed.p, packed.n), packed.n);
    Cohortium__Manifest *body;
    struct envelope e;

    if (kept.p == NULL)
        return FAULT_MEMORY;
    TRY(open_one(cx, kept, m->n_chain + 1, &e, &body));
    if (old == NULL) {
        TRY(check_genesis(cx, body, e.digest, genesis));
        memcpy(m->consortium, e.digest, DIGEST_BYTES);
    } else {
        TRY(check_step(cx, old, m->digest, body));
        TRY(check_threshold(cx, &e, old->governance, body->version,
                            "the version before's"));
    }
    TRY(check_threshold(cx, &e, body->governance, body->version, "its own"));
    memcpy(m->digest, e.digest, DIGEST_BYTES);
    memcpy(m->digests[m->n_chain], e.digest, DIGEST_BYTES);
    m->chain[m->n_chain++] = kept;
    m->body = body;
    return FAULT_NONE;
}

enum fault manifest_load(struct cx *cx, const struct bytes *chain, size_t n_chain,
                         const uint8_t *genesis, struct manifest **ret)
{
    struct manifest *m;

    if (n_chain < 1 || n_chain > MANIFEST_CHAIN_MAX)
        return cx_fail(cx, FAULT_DENIED, "a chain of %zu manifests: expected 1 to %d",
                       n_chain, MANIFEST_CHAIN_MAX);
    CX_NEW(cx, m, 1);
    CX_NEW(cx, m->chain, n_chain);
    CX_NEW(cx, m->digests, n_chain);
    for (size_t i = 0; i < n_chain; i++)
        TRY(append(cx, m, chain[i], genesis));
    *ret = m;
    return FAULT_NONE;
}

enum fault manifest_extend(struct cx *cx, const struct manifest *m, struct bytes packed,
                           struct manifest **ret)
{
    struct manifest *longer;

    if (m->n_chain >= MANIFEST_CHAIN_MAX)
        return cx_fail(cx, FAULT_DENIED, "a chain of more than %d manifests",
                       MANIFEST_CHAIN_MAX);
    CX_NEW(cx, longer, 1);
    *longer = *m;
    CX_NEW(cx, longer->chain, m->n_chain + 1);
    CX_NEW(cx, longer->digests, m->n_chain + 1);
    memcpy(longer->digests, m->digests, m->n_chain * sizeof *m->digests);
    for (size_t i = 0; i < m->n_chain; i++) {
        longer->chain[i] =
            bytes_of(cx_memdup(cx, m->chain[i].p, m->chain[i].n), m->chain[i].n);
        if (longer->chain[i].p == NULL)
            return FAULT_MEMORY;
    }
    TRY(append(cx, longer, packed, NULL));
    *ret = longer;
    return FAULT_NONE;
}

enum fault manifest_claims(struct cx *cx, struct bytes packed, struct manifest_claim *ret)
{
    Cohortium__Manifest *body;
    struct envelope e;

    TRY(open_one(cx, packed, 0, &e, &body));
    *ret = (struct manifest_claim){.version = body->version};
    memcpy(ret->digest, e.digest, DIGEST_BYTES);
    if (body->version > 1) /* its length was checked with the shape */
        memcpy(ret->previous, body->previous.data, DIGEST_BYTES);
    return FAULT_NONE;
}

enum fault manifest_fork(struct cx *cx, const struct manifest *m, struct bytes packed,
                         uint64_t *ret_version)
{
    struct manifest *before, *other;
    struct manifest_claim claim;

    TRY(manifest_claims(cx, packed, &claim));
    if (claim.version < 2 || claim.version > m->n_chain)
        return cx_fail(cx, FAULT_MISSING,
                       "manifest version %" PRIu64
                       " is none of versions 2 to %zu, which are "
                       "held here",
                       claim.version, m->n_chain);
    if (memcmp(claim.digest, m->digests[claim.version - 1], DIGEST_BYTES) == 0)
        return cx_fail(cx, FAULT_MISSING,
                       "manifest version %" PRIu64 " is the one held here", claim.version);
    TRY(manifest_load(cx, m->chain, (size_t)claim.version - 1, m->consortium, &before));
    TRY(manifest_extend(cx, before, packed, &other));
    *ret_version = claim.version;
    return FAULT_NONE;
}

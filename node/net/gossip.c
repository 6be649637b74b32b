/*
 * gossip.c - which manifest is in force, asked and told over links.
 *
 * Each node says to each linked member, when a link comes up, when its own manifest changes
 * and every GOSSIP_MS: "I hold version N, with this digest". Who is behind asks back and is
 * sent the envelopes that it lacks, and who holds another version of a number is sent ours,
 * which proves the fork to its vault. Nothing that comes is believed here: it is offered to
 * the vault, and what the vault has adopted comes back and is verified once more. One call
 * is out on a link at a time, and its reply is bounded.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/log.h"
#include "node/net/net.h"
#include "protocol/base/clock.h"

enum {
    GOSSIP_MS = 10 * 1000,
    PULL_MS = 30 * 1000,
    LEAVE_MS = 2500, /* a removed member may ask why, until its link is closed */
    CALL_MAX = 256,
    REPLY_MAX = 4 * 1024 * 1024, /* bytes of envelopes in one reply, beyond the first */
    PULL_MEMORY = 64 * 1024 * 1024,
    MANIFEST_MEMORY = 256 * 1024 * 1024
};

struct manifest_memory { /* of one version */
    struct manifest_memory *next;
    struct cx *cx;
};

struct pull { /* one question that is out; the link's user */
    struct net *net;
    struct link *link; /* NULL: it is down */
    uint64_t version;  /* that we said we hold; then our newest when it was offered */
    bool again;        /* something changed meanwhile: ask once more */
};

static void ask(struct net *net, struct link *link, uint64_t version);

/* ---- asking ---- */

/* The end of a pull: its link may carry the next. */
static void pull_end(struct pull *p, bool again, uint64_t version)
{
    struct net *net = p->net;
    struct link *link = p->link;

    if (link != NULL)
        link_set_user(link, NULL);
    again = again || p->again;
    free(p);
    if (link != NULL && again && !net->closing)
        ask(net, link, version);
}

static void offered(void *user, enum fault fault, struct bytes body)
{
    struct pull *p = user;
    AUTO_CX struct cx *cx = cx_new(256 * 1024, CX_NO_DEADLINE);
    Cohortium__Trouble *t;

    if (fault != FAULT_NONE && fault != FAULT_UNAVAILABLE && cx != NULL)
        log_notice("a manifest that a member sent was not adopted: %s",
                   pb_unpack(cx, &cohortium__trouble__descriptor, body, 64 * 1024, &t) ==
                           FAULT_NONE
                       ? t->text
                       : fault_name(fault));
    /* As long as it brings us on, there may be more. */
    pull_end(p, p->net->manifest->body->version > p->version,
             p->net->manifest->body->version);
}

/* Another version of one that we hold. Its own claim tells whether they part further back.
 */
static bool parts_further_back(struct cx *cx, const struct pull *p, struct bytes packed)
{
    const struct manifest *m = p->net->manifest;
    struct manifest_claim claim;

    return manifest_claims(cx, packed, &claim) == FAULT_NONE &&
           claim.version == p->version && claim.version > 2 &&
           claim.version <= m->n_chain &&
           memcmp(claim.digest, m->digests[claim.version - 1], DIGEST_BYTES) != 0 &&
           memcmp(claim.previous, m->digests[claim.version - 2], DIGEST_BYTES) != 0;
}

static void pulled(void *user, enum fault fault, struct bytes body)
{
    struct pull *p = user;
    struct net *net = p->net;
    AUTO_CX struct cx *cx = cx_new(PULL_MEMORY, CX_NO_DEADLINE);
    Cohortium__ManifestReply *r;
    Cohortium__ManifestOffer offer = COHORTIUM__MANIFEST_OFFER__INIT;
    struct bytes packed;

    if (fault != FAULT_NONE || cx == NULL || net->closing || p->link == NULL ||
        pb_unpack(cx, &cohortium__manifest_reply__descriptor, body, LINK_MESSAGE_MAX, &r) !=
            FAULT_NONE ||
        r->n_manifests == 0) {
        pull_end(p, false, net->manifest->body->version);
        return;
    }
    if (parts_further_back(cx, p, PB_BYTES(r->manifests[0]))) {
        pull_end(p, true, p->version - 1);
        return;
    }
    const Cohortium__Member *m = manifest_find(net->manifest, link_peer(p->link)->id);
    offer.from = (char *)(m != NULL ? m->name : "a former member");
    offer.n_manifests = r->n_manifests;
    offer.manifests = r->manifests;
    if (pb_pack(cx, &offer.base, &packed) != FAULT_NONE) {
        pull_end(p, false, net->manifest->body->version);
        return;
    }
    p->version = net->manifest->body->version; /* does the offer bring us on? */
    struct ipc_caller from = caller_of(p->link);
    vault_call(net, &from, IPC_OFFER, SERVICE_UNSET, packed, CX_NO_DEADLINE, offered, p);
}

/* "I hold this version." Nothing is lost if it cannot be said now: it is said again. */
static void ask(struct net *net, struct link *link, uint64_t version)
{
    Cohortium__ManifestCall call = COHORTIUM__MANIFEST_CALL__INIT;
    AUTO_CX struct cx *cx = cx_new(256 * 1024, CX_NO_DEADLINE);
    struct pull *p = link_user(link);
    struct bytes packed;

    if (p != NULL) {
        p->again = true;
        return;
    }
    if (cx == NULL || (p = calloc(1, sizeof *p)) == NULL)
        return;
    *p = (struct pull){.net = net, .link = link, .version = version};
    call.version = version;
    call.digest = PB_DATA(bytes_of(net->manifest->digests[version - 1], DIGEST_BYTES));
    link_set_user(link, p);
    if (pb_pack(cx, &call.base, &packed) != FAULT_NONE ||
        link_call(cx, link, SERVICE_MANIFEST, packed, clock_mono_ms() + PULL_MS, pulled,
                  NULL, p, NULL) != FAULT_NONE) {
        link_set_user(link, NULL);
        free(p);
    }
}

static void ask_newest(void *user, struct link *link)
{
    struct net *net = user;

    if (!link_peer(link)->researcher)
        ask(net, link, net->manifest->body->version);
}

void gossip_link_up(struct net *net, struct link *link)
{
    ask_newest(net, link);
}

void gossip_link_down(struct link *link)
{
    struct pull *p = link_user(link);

    if (p != NULL)
        p->link = NULL;
}

static void tick(void *user)
{
    struct net *net = user;

    hub_each(net->hub, ask_newest, net);
    if (hub_after(net->hub, GOSSIP_MS, tick, net) == 0)
        log_warning("out of memory: the manifest is told and asked on new links only");
}

void gossip_start(struct net *net)
{
    if (hub_after(net->hub, GOSSIP_MS, tick, net) == 0)
        log_warning("out of memory: the manifest is told and asked on new links only");
}

/* ---- telling ---- */

/* What the caller lacks: our own of its version where the two differ, else those after it.
 */
static enum fault fill(struct cx *cx, const struct manifest *m,
                       const Cohortium__ManifestCall *call, Cohortium__ManifestReply *reply)
{
    uint64_t version = call->version;
    size_t bytes = 0;

    reply->version = m->body->version;
    reply->digest = PB_DATA(bytes_of(m->digest, DIGEST_BYTES));
    if (version > m->n_chain)
        return FAULT_NONE;
    CX_NEW(cx, reply->manifests, m->n_chain);
    if (memcmp(call->digest.data, m->digests[version - 1], DIGEST_BYTES) != 0) {
        reply->manifests[reply->n_manifests++] = PB_DATA(m->chain[version - 1]);
        return FAULT_NONE;
    }
    for (size_t i = (size_t)version; i < m->n_chain && bytes < REPLY_MAX; i++) {
        reply->manifests[reply->n_manifests++] = PB_DATA(m->chain[i]);
        bytes += m->chain[i].n;
    }
    return FAULT_NONE;
}

void gossip_serve(struct net *net, struct link *link, struct bytes body,
                  struct served *served)
{
    AUTO_CX struct cx *cx = cx_new(PULL_MEMORY, CX_NO_DEADLINE);
    Cohortium__ManifestReply reply = COHORTIUM__MANIFEST_REPLY__INIT;
    const struct manifest *m = net->manifest;
    Cohortium__ManifestCall *call;
    struct bytes packed;

    if (cx == NULL ||
        pb_unpack(cx, &cohortium__manifest_call__descriptor, body, CALL_MAX, &call) !=
            FAULT_NONE ||
        call->version < 1 || call->digest.len != DIGEST_BYTES) {
        net_fail(served, FAULT_FORMAT, "a call for the manifest that is not understood",
                 net->self);
        return;
    }
    bool differs =
        call->version <= m->n_chain &&
        memcmp(call->digest.data, m->digests[call->version - 1], DIGEST_BYTES) != 0;
    if (fill(cx, m, call, &reply) != FAULT_NONE ||
        pb_pack(cx, &reply.base, &packed) != FAULT_NONE) {
        net_fail(served, FAULT_MEMORY, "out of memory", net->self);
        return;
    }
    served_reply(served, packed);
    /* Who is ahead of us, or beside us, is asked in turn. */
    if (differs)
        ask(net, link, call->version);
    else if (call->version > m->body->version)
        ask(net, link, m->body->version);
}

/* ---- adopting what the vault has adopted ---- */

static bool is_listed(const struct manifest *m, const struct link_peer *peer)
{
    const Cohortium__Member *x = manifest_find(m, peer->id);

    return x != NULL &&
           bytes_equal(PB_BYTES(x->noise_key), bytes_of(peer->noise_key, KEY_BYTES));
}

static void close_stranger(void *user, struct link *link)
{
    const struct net *net = user;
    const struct link_peer *peer = link_peer(link);
    const Cohortium__Member *home = manifest_find(net->manifest, net->self->node_id.data);

    if (peer->researcher) {
        if (home == NULL || !home->issues_researchers)
            link_close(link, "this node may not serve researchers any more");
    } else if (home == NULL || !is_listed(net->manifest, peer)) {
        link_close(link, "the manifest does not list this pair any more");
    }
}

static void leave(void *user)
{
    struct net *net = user;

    net->leaving = false;
    hub_each(net->hub, close_stranger, net);
    sites_report(net);
}

/* Whom we need not dial any more; the links themselves have a moment left. */
static void forget_gone(struct net *net, const struct manifest *old)
{
    bool out = manifest_find(net->manifest, net->self->node_id.data) == NULL;

    for (size_t i = 0; i < old->body->n_members; i++) {
        const Cohortium__Member *m = old->body->members[i];

        if (!member_same(m, net->self) &&
            (out || manifest_find(net->manifest, m->node_id.data) == NULL))
            hub_undial(net->hub, m->node_id.data);
    }
}

static enum fault replace(struct cx *cx, struct net *net, const struct manifest *m)
{
    const struct manifest *old = net->manifest;
    const Cohortium__Member *self = manifest_find(m, net->self->node_id.data);

    if (self != NULL &&
        !bytes_equal(PB_BYTES(self->noise_key), bytes_of(net->own_noise, KEY_BYTES)))
        return cx_fail(cx, FAULT_UNAVAILABLE,
                       "manifest version %" PRIu64
                       " gives this node another link key: starting "
                       "again with it",
                       m->body->version);
    net->manifest = m;
    if (self != NULL)
        net->self = self;
    log_notice("manifest version %" PRIu64 " is in force, %zu members", m->body->version,
               m->body->n_members);
    forget_gone(net, old);
    hub_each(net->hub, ask_newest, net); /* also those who leave: so they learn of it */
    if (!net->leaving && hub_after(net->hub, LEAVE_MS, leave, net) != 0)
        net->leaving = true;
    else if (!net->leaving)
        leave(net);
    sites_report(net);
    return self != NULL ? net_dial(cx, net, old) : FAULT_NONE;
}

enum fault gossip_adopt(struct cx *cx, struct net *net, struct bytes body)
{
    struct cx *own = cx_new(MANIFEST_MEMORY, CX_NO_DEADLINE);
    struct manifest_memory *memory = own != NULL ? cx_alloc(own, sizeof *memory) : NULL;
    const struct manifest *m = net->manifest;
    Cohortium__ManifestReply *r;
    enum fault fault = FAULT_NONE;

    if (memory == NULL) {
        cx_free(&own);
        return cx_fail(cx, FAULT_MEMORY, "out of memory for a manifest");
    }
    *memory = (struct manifest_memory){net->manifests, own};
    net->manifests = memory;
    fault =
        pb_unpack(own, &cohortium__manifest_reply__descriptor, body, LINK_MESSAGE_MAX, &r);
    for (size_t i = 0; fault == FAULT_NONE && i < r->n_manifests; i++) {
        struct manifest_claim claim;
        struct manifest *longer;

        fault = manifest_claims(own, PB_BYTES(r->manifests[i]), &claim);
        if (fault != FAULT_NONE || claim.version <= m->n_chain)
            continue; /* read from the folder when this process started */
        fault = manifest_extend(own, m, PB_BYTES(r->manifests[i]), &longer);
        if (fault == FAULT_NONE)
            m = longer;
    }
    if (fault != FAULT_NONE)
        return cx_fail(cx, fault, "the manifest that the vault adopted: %s",
                       cx_message(own));
    return m != net->manifest ? replace(cx, net, m) : FAULT_NONE;
}

void gossip_free(struct net *net)
{
    struct manifest_memory *following;

    for (struct manifest_memory *m = net->manifests; m != NULL; m = following) {
        following = m->next;
        struct cx *cx = m->cx; /* m itself lives in it */
        cx_free(&cx);
    }
    net->manifests = NULL;
}

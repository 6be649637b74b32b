/* net.c - the net process: links, who may call what, the vault's socket. */
#include "node/net/net.h"

#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/log.h"
#include "protocol/base/clock.h"

enum { WAYS_MAX = 8 }; /* endpoints of one member that are tried */

struct pending {
    struct pending *next;
    struct net *net;
    uint64_t id, timer;
    call_done *done;
    void *user;
};

/* ---- the vault ---- */

const struct ipc_caller net_self = {.role = IPC_SELF};

struct ipc_caller caller_of(const struct link *link)
{
    const struct link_peer *peer = link_peer(link);
    struct ipc_caller c = {.role = peer->researcher ? IPC_RESEARCHER : IPC_MEMBER};

    memcpy(c.id, peer->id, sizeof c.id);
    return c;
}

static void vault_ready(void *user, int fd, short revents);

static void vault_gone(struct net *net)
{
    if (!net->failed)
        log_warning("the vault is gone; stopping");
    net->failed = true;
    hub_stop(net->hub);
}

/* Waits for room in the socket only while something waits to be written. */
static void watch_vault(struct cx *cx, struct net *net)
{
    short events = net->writer.first != NULL ? POLLIN | POLLOUT : POLLIN;

    if (hub_watch(cx, net->hub, net->vault_fd, events, vault_ready, net) != FAULT_NONE)
        vault_gone(net); /* never: it is watched already */
}

enum fault vault_tell(struct cx *cx, struct net *net, const struct ipc_message *m)
{
    TRY(ipc_put(cx, &net->writer, net->vault_fd, m));
    watch_vault(cx, net);
    return FAULT_NONE;
}

static void end_call(struct net *net, struct pending *p, enum fault fault,
                     struct bytes body)
{
    for (struct pending **at = &net->pending; *at != NULL; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    net->n_pending--;
    hub_cancel_timer(net->hub, p->timer);
    p->done(p->user, fault, body);
    free(p);
}

/* The vault will answer all the same, and nobody is waiting then. */
static void call_late(void *user)
{
    struct pending *p = user;

    p->timer = 0;
    end_call(p->net, p, FAULT_TIMEOUT, (struct bytes){0});
}

/* An abort is let through: it makes room. */
static enum fault begin_call(struct cx *cx, struct net *net, const struct ipc_message *m,
                             int64_t deadline, struct pending *p)
{
    int64_t left = deadline - clock_mono_ms();

    if (net->closing)
        return cx_fail(cx, FAULT_UNAVAILABLE, "this node is stopping");
    if (net->n_pending >= NET_CALLS_MAX && m->code != SERVICE_ABORT)
        return cx_fail(cx, FAULT_UNAVAILABLE, "the vault has as much to do as it can");
    if (deadline != CX_NO_DEADLINE &&
        (p->timer = hub_after(net->hub, left, call_late, p)) == 0)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for a call");
    return vault_tell(cx, net, m);
}

void vault_call(struct net *net, const struct ipc_caller *from, enum ipc_kind kind,
                enum service service, struct bytes body, int64_t deadline, call_done *done,
                void *user)
{
    struct pending *p = malloc(sizeof *p);
    AUTO_CX struct cx *cx = cx_new(64 * 1024, CX_NO_DEADLINE);

    if (p == NULL || cx == NULL) {
        free(p);
        done(user, FAULT_MEMORY, (struct bytes){0});
        return;
    }
    *p = (struct pending){
        .next = net->pending, .net = net, .id = ++net->next_id, .done = done, .user = user};
    net->pending = p;
    net->n_pending++;
    struct ipc_message m = {.kind = kind,
                            .code = kind == IPC_CALL ? service : 0,
                            .id = p->id,
                            .from = *from,
                            .body = body};
    enum fault fault = begin_call(cx, net, &m, deadline, p);
    if (fault != FAULT_NONE)
        end_call(net, p, fault == FAULT_INTERNAL ? FAULT_BOUND : FAULT_UNAVAILABLE,
                 (struct bytes){0});
}

static void finish_call(struct net *net, const struct ipc_message *m)
{
    for (struct pending *p = net->pending; p != NULL; p = p->next)
        if (p->id == m->id) {
            end_call(net, p, m->kind == IPC_REPLY ? FAULT_NONE : (enum fault)m->code,
                     m->body);
            return;
        }
}

static void end_if_revoked(void *user, struct link *link)
{
    const struct bytes *subject = user;
    const struct link_peer *peer = link_peer(link);

    if (peer->researcher && bytes_equal(bytes_of(peer->id, DIGEST_BYTES), *subject))
        link_close(link, "the credential was revoked");
}

static void end_researcher(struct net *net, struct bytes subject)
{
    hub_each(net->hub, end_if_revoked, &subject);
}

static void vault_ready(void *user, int fd, short revents)
{
    struct net *net = user;
    AUTO_CX struct cx *cx = cx_new(64 * 1024, CX_NO_DEADLINE);
    struct ipc_message m;
    uint8_t *memory;

    if (cx == NULL ||
        ((revents & POLLOUT) != 0 && ipc_flush(cx, &net->writer, fd) != FAULT_NONE)) {
        vault_gone(net);
        return;
    }
    watch_vault(cx, net);
    if ((revents & ~POLLOUT) == 0)
        return;
    if (ipc_read(cx, &net->reader, fd) != FAULT_NONE) {
        vault_gone(net);
        return;
    }
    while (ipc_next(&net->reader, &m, &memory)) {
        bool ok = true;

        if (m.kind == IPC_MANIFEST)
            ok = gossip_adopt(cx, net, m.body) == FAULT_NONE;
        else if (m.kind == IPC_REVOKED)
            end_researcher(net, m.body);
        else if (m.kind == IPC_GREW)
            witness_grew(net);
        else if (m.kind == IPC_REVOCATIONS)
            revocations_take(net, m.body);
        else if (m.kind == IPC_ASK_PEERS)
            witness_ask_peers(net, m.body);
        else if (m.kind != IPC_HELLO)
            finish_call(net, &m);
        free(memory);
        if (!ok) {
            log_warning("%s", cx_message(cx));
            net->failed = true;
            hub_stop(net->hub);
        }
    }
}

static void control_ready(void *user, int fd, short revents)
{
    struct net *net = user;

    (void)fd;
    (void)revents;
    hub_stop(net->hub); /* the supervisor says stop, or is gone */
}

/* ---- calls to members ---- */

const Cohortium__Member *site_relay(struct net *net, const Cohortium__Member *site)
{
    const struct link *link =
        member_same(site, net->self) ? NULL : hub_find(net->hub, site->node_id.data);
    const struct link_peer *relay = link != NULL ? link_relay(link) : NULL;

    return relay != NULL ? manifest_find(net->manifest, relay->id) : NULL;
}

bool site_is_linked(struct net *net, const Cohortium__Member *site)
{
    return member_same(site, net->self) || hub_find(net->hub, site->node_id.data) != NULL;
}

void site_call(struct net *net, const Cohortium__Member *site, enum service service,
               struct bytes body, int64_t deadline, call_done *done, void *user)
{
    if (member_same(site, net->self)) {
        vault_call(net, &net_self, IPC_CALL, service, body, deadline, done, user);
        return;
    }
    struct link *link = hub_find(net->hub, site->node_id.data);
    AUTO_CX struct cx *cx = cx_new(64 * 1024, CX_NO_DEADLINE);
    enum fault fault =
        link == NULL || cx == NULL
            ? FAULT_UNAVAILABLE
            : link_call(cx, link, service, body, deadline, done, NULL, user, NULL);
    if (fault != FAULT_NONE)
        done(user, fault, (struct bytes){0});
}

struct bytes net_trouble(struct cx *cx, enum fault fault, const char *text,
                         const Cohortium__Member *site)
{
    Cohortium__Trouble t = COHORTIUM__TROUBLE__INIT;
    struct bytes packed;

    t.fault = (char *)fault_name(fault);
    t.text = (char *)(text != NULL ? text : "");
    if (site != NULL)
        t.site = site->node_id;
    return pb_pack(cx, &t.base, &packed) == FAULT_NONE ? packed : (struct bytes){0};
}

void net_fail(struct served *served, enum fault fault, const char *text,
              const Cohortium__Member *site)
{
    AUTO_CX struct cx *cx = cx_new(256 * 1024, CX_NO_DEADLINE);

    served_fail(served, fault,
                cx != NULL ? net_trouble(cx, fault, text, site) : (struct bytes){0});
}

/* ---- who may link, and what they may call ---- */

static bool admit(void *user, struct link_peer *peer)
{
    struct net *net = user;
    const Cohortium__Member *m = manifest_find_noise(net->manifest, peer->noise_key);

    if (m != NULL) {
        peer->researcher = false;
        memcpy(peer->id, m->node_id.data, DIGEST_BYTES);
        return !member_same(m, net->self);
    }
    AUTO_CX struct cx *cx = cx_new(1024 * 1024, CX_NO_DEADLINE);
    struct credential c;
    if (cx == NULL ||
        credential_verify(cx, net->manifest, peer->hello, clock_utc_ms(), &c) !=
            FAULT_NONE ||
        !member_same(c.home, net->self) ||
        !bytes_equal(PB_BYTES(c.body->noise_key), bytes_of(peer->noise_key, KEY_BYTES))) {
        log_notice("a link was refused: %s", cx != NULL && cx_fault(cx) != FAULT_NONE
                                                 ? cx_message(cx)
                                                 : "unknown key");
        return false;
    }
    peer->researcher = true;
    peer->message_max = NET_RESEARCHER_MAX;
    memcpy(peer->id, c.subject, DIGEST_BYTES);
    return true;
}

struct admitted {      /* the vault is asked whether a credential still holds */
    struct link *link; /* NULL: it is down */
};

static void admit_done(void *user, enum fault fault, struct bytes body)
{
    struct admitted *a = user;

    (void)body;
    if (a->link != NULL)
        link_set_user(a->link, NULL);
    if (fault != FAULT_NONE && a->link != NULL) {
        bool busy = fault == FAULT_UNAVAILABLE || fault == FAULT_MEMORY;

        log_notice("a researcher's link was closed: %s",
                   busy ? "the vault is busy" : "the credential does not hold here");
        link_close(a->link, busy ? "this node is busy; ask again in a while"
                                 : "the credential is revoked or was not issued here");
    }
    free(a);
}

static const char *peer_name(const struct net *net, const struct link *link)
{
    const Cohortium__Member *m = manifest_find(net->manifest, link_peer(link)->id);

    return link_peer(link)->researcher ? "a researcher"
           : m != NULL                 ? m->name
                                       : "a stranger";
}

static void link_up(void *user, struct link *link)
{
    struct net *net = user;
    const struct link_peer *peer = link_peer(link);
    struct admitted *a;

    const struct link_peer *relay = link_relay(link);
    const Cohortium__Member *by =
        relay != NULL ? manifest_find(net->manifest, relay->id) : NULL;

    log_notice("linked with %s%s%s", peer_name(net, link), by != NULL ? " through " : "",
               by != NULL ? by->name : "");
    if (!peer->researcher) {
        neighbour_up(net, link);
        sites_report(net);
        gossip_link_up(net, link);
        revocations_link_up(net, link);
        later_linked(net);
        witness_now(net); /* an old copy of this node's folder is known before it answers */
        return;
    }
    if ((a = malloc(sizeof *a)) == NULL) {
        link_close(link, "out of memory");
        return;
    }
    a->link = link;
    link_set_user(link, a);
    struct ipc_caller from = caller_of(link);
    vault_call(net, &from, IPC_ADMIT, SERVICE_UNSET, peer->hello, CX_NO_DEADLINE,
               admit_done, a);
}

static void link_down(void *user, struct link *link, const char *why)
{
    struct net *net = user;
    log_notice("the link with %s ended: %s", peer_name(net, link), why);
    if (link_peer(link)->researcher) {
        struct admitted *a = link_user(link);

        if (a != NULL)
            a->link = NULL;
        return;
    }
    gossip_link_down(link);
    neighbour_down(net, link);
    sites_report(net);
}

static void forward_done(void *user, enum fault fault, struct bytes body)
{
    struct served *served = user;

    if (fault == FAULT_NONE)
        served_reply(served, body);
    else
        served_fail(served, fault, body);
}

static void serve(void *user, struct link *link, enum service service, struct bytes body,
                  struct served *served)
{
    struct net *net = user;
    bool researcher = link_peer(link)->researcher;
    struct ipc_caller from = caller_of(link);

    /* Who was a member until a moment ago may still hear why not any more. */
    if (!researcher && service != SERVICE_MANIFEST &&
        manifest_find(net->manifest, link_peer(link)->id) == NULL) {
        net_fail(served, FAULT_DENIED, "the manifest does not list this node any more",
                 net->self);
        return;
    }
    switch (service) {
    case SERVICE_PREFLIGHT:
    case SERVICE_BEGIN:
    case SERVICE_STEP:
    case SERVICE_ABORT:
    case SERVICE_CATALOG:
        if (researcher)
            break;
        vault_call(net, &from, IPC_CALL, service, body, CX_NO_DEADLINE, forward_done,
                   served);
        return;
    case SERVICE_CODEBOOK:
        if (researcher)
            codebook_serve(net, body, served);
        else
            vault_call(net, &from, IPC_CALL, service, body, CX_NO_DEADLINE, forward_done,
                       served);
        return;
    case SERVICE_ASK:
        if (!researcher)
            break;
        coordinate(net, body, served);
        return;
    case SERVICE_MANIFEST:
        if (researcher)
            break;
        gossip_serve(net, link, body, served);
        return;
    case SERVICE_SITES:
        if (!researcher)
            break;
        sites_serve(net, link, body, served);
        return;
    case SERVICE_CANCEL:
    case SERVICE_LATER:
    case SERVICE_COLLECT:
    case SERVICE_PENDING:
        if (!researcher)
            break;
        later_serve(net, link, service, body, served);
        return;
    case SERVICE_WITNESS:
        if (!researcher)
            break;
        witness_serve(net, body, served);
        return;
    case SERVICE_ADD_CHECKPOINT:
        if (researcher)
            break;
        witness_add(net, link, body, served);
        return;
    case SERVICE_PROVE:
        if (researcher)
            break;
        witness_prove(net, &from, body, forward_done, served);
        return;
    case SERVICE_HELD:
    case SERVICE_REVOCATIONS:
        if (researcher)
            break;
        vault_call(net, &from, IPC_CALL, service, body, CX_NO_DEADLINE, forward_done,
                   served);
        return;
    default:
        break;
    }
    net_fail(served, FAULT_DENIED, "this caller may not ask for that", net->self);
}

/* ---- start ---- */

/* Endpoints that are tried: none of a member that only dials. */
static size_t ways(const Cohortium__Member *m)
{
    return m->outbound_only ? 0 : m->n_endpoints < WAYS_MAX ? m->n_endpoints : WAYS_MAX;
}

static bool is_dialled_alike(const struct manifest *old, const Cohortium__Member *m)
{
    const Cohortium__Member *before =
        old != NULL ? manifest_find(old, m->node_id.data) : NULL;

    if (before == NULL || ways(before) != ways(m) ||
        !bytes_equal(PB_BYTES(before->noise_key), PB_BYTES(m->noise_key)))
        return false;
    for (size_t i = 0; i < ways(m); i++)
        if (strcmp(before->endpoints[i], m->endpoints[i]) != 0)
            return false;
    return true;
}

/* All are dialled, and through a relay who has no address or does not answer there. */
enum fault net_dial(struct cx *cx, struct net *net, const struct manifest *old)
{
    for (size_t i = 0; i < net->manifest->body->n_members; i++) {
        const Cohortium__Member *m = net->manifest->body->members[i];

        if (!member_same(m, net->self) && !is_dialled_alike(old, m))
            TRY(hub_reach(cx, net->hub, (const char *const *)m->endpoints, ways(m),
                          m->noise_key.data, m->node_id.data, (struct bytes){0}, true));
    }
    return FAULT_NONE;
}

/* A member that was removed runs on without links: its officers may still read its log. */
static enum fault find_self(struct cx *cx, struct net *net)
{
    const struct manifest *m = net->manifest;
    struct manifest *shorter;

    net->self = manifest_find_noise(m, net->own_noise);
    for (size_t n = m->n_chain - 1; net->self == NULL && n > 0; n--) {
        TRY(manifest_load(cx, m->chain, n, m->consortium, &shorter));
        net->self = manifest_find_noise(shorter, net->own_noise);
    }
    if (net->self == NULL)
        return cx_fail(cx, FAULT_DENIED, "this node's link key is not in the manifest");
    const Cohortium__Member *now = manifest_find(m, net->self->node_id.data);
    if (now != NULL && !bytes_equal(PB_BYTES(now->noise_key), bytes_of(net->own_noise, 32)))
        return cx_fail(
            cx, FAULT_DENIED,
            "the manifest lists another link key of this node than the one in "
            "keys/noise.key: restore the file, or give the consortium a new card");
    return FAULT_NONE;
}

static enum fault start(struct cx *cx, struct net *net, const struct net_setup *setup,
                        const uint8_t own_noise[32])
{
    static const char version[] = "cohortium/1";
    struct buffer prologue = buffer_new(cx, 256);

    net->manifest = setup->manifest;
    memcpy(net->own_noise, own_noise, sizeof net->own_noise);
    TRY(find_self(cx, net));
    buffer_put(&prologue, version, sizeof version - 1);
    buffer_put(&prologue, net->manifest->consortium, DIGEST_BYTES);
    TRY(prologue.fault);
    struct hub_setup hub = {
        .link_secret = setup->link_secret,
        .prologue = bytes_of(prologue.p, prologue.n),
        .user = net,
        .admit = admit,
        .up = link_up,
        .down = link_down,
        .failed = neighbour_failed,
        .serve = serve,
        .relay = true, /* for every member: whoever both are linked with */
        .share = setup->relay,
    };
    TRY(hub_new(cx, &hub, &net->hub));
    hub_set_own_id(net->hub, net->self->node_id.data);
    TRY(witness_new(cx, net));
    TRY(hub_watch(cx, net->hub, net->vault_fd, POLLIN, vault_ready, net));
    TRY(hub_watch(cx, net->hub, net->control_fd, POLLIN, control_ready, net));
    if (setup->listen != NULL)
        TRY(hub_listen(cx, net->hub, setup->listen));
    gossip_start(net);
    return manifest_find(net->manifest, net->self->node_id.data) != NULL
               ? net_dial(cx, net, NULL)
               : FAULT_NONE;
}

enum fault net_run(struct cx *cx, const struct net_setup *setup)
{
    struct net net = {.cx = cx,
                      .vault_fd = setup->vault_fd,
                      .control_fd = setup->control_fd,
                      .reader = {.sender = IPC_VAULT},
                      .writer = {.sender = IPC_NET}};
    uint8_t own[32];

    if (crypto_scalarmult_base(own, setup->link_secret) != 0)
        return cx_fail(cx, FAULT_INTERNAL, "the link key is unusable");
    enum fault fault = start(cx, &net, setup, own);
    if (fault == FAULT_NONE) {
        log_notice("%s listens at %s", net.self->name,
                   setup->listen != NULL ? setup->listen : "no port (outbound only)");
        sites_report(&net);
        later_start(&net);
        fault = hub_run(cx, net.hub, NULL, NULL);
    }
    /* Everybody who waits hears of it, and what a question holds goes with its last call.
     */
    net.closing = true;
    asks_end(&net);
    witness_end(&net);
    while (net.pending != NULL)
        end_call(&net, net.pending, FAULT_UNAVAILABLE, (struct bytes){0});
    if (net.hub != NULL)
        hub_free(&net.hub);
    neighbours_free(&net);
    gossip_free(&net);
    revocations_free(&net);
    ipc_reader_free(&net.reader);
    ipc_writer_free(&net.writer);
    if (fault == FAULT_NONE && net.failed)
        return cx_fail(cx, FAULT_UNAVAILABLE, "the vault is gone");
    return fault;
}

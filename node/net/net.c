/* net.c - the net process: links, who may call what, the vault's socket. */
#include "node/net/net.h"

#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/log.h"
#include "protocol/base/clock.h"

struct pending {
    struct pending *next;
    uint64_t id;
    call_done *done;
    void *user;
};

/* ---- the vault ---- */

void vault_call(struct net *net, enum ipc_kind kind, enum service service, struct bytes body,
                call_done *done, void *user)
{
    struct pending *p = malloc(sizeof *p);
    AUTO_CX struct cx *cx = cx_new(64 * 1024, CX_NO_DEADLINE);

    if (p == NULL || cx == NULL) {
        free(p);
        done(user, FAULT_MEMORY, (struct bytes){0});
        return;
    }
    *p = (struct pending){net->pending, ++net->next_id, done, user};
    net->pending = p;
    struct ipc_message m = {.kind = kind, .code = kind == IPC_CALL ? service : 0, .id = p->id,
                            .body = body};
    if (ipc_send(cx, net->vault_fd, IPC_NET, &m) == FAULT_NONE)
        return;
    net->pending = p->next;
    free(p);
    done(user, FAULT_UNAVAILABLE, (struct bytes){0});
}

static void finish_call(struct net *net, const struct ipc_message *m)
{
    for (struct pending **at = &net->pending; *at != NULL; at = &(*at)->next)
        if ((*at)->id == m->id) {
            struct pending *p = *at;

            *at = p->next;
            p->done(p->user, m->kind == IPC_REPLY ? FAULT_NONE : (enum fault)m->code, m->body);
            free(p);
            return;
        }
}

static void vault_ready(void *user, int fd, short revents)
{
    struct net *net = user;
    AUTO_CX struct cx *cx = cx_new(64 * 1024, CX_NO_DEADLINE);
    struct ipc_message m;
    uint8_t *memory;

    (void)revents;
    if (cx == NULL || ipc_read(cx, &net->reader, fd) != FAULT_NONE) {
        log_warning("the vault is gone; stopping");
        net->failed = true;
        hub_stop(net->hub);
        return;
    }
    while (ipc_next(&net->reader, &m, &memory)) {
        if (m.kind != IPC_HELLO)
            finish_call(net, &m);
        free(memory);
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

bool site_is_linked(struct net *net, const Cohortium__Member *site)
{
    return site == net->self || hub_find(net->hub, site->node_id.data) != NULL;
}

void site_call(struct net *net, const Cohortium__Member *site, enum service service,
               struct bytes body, int64_t deadline, call_done *done, void *user)
{
    if (site == net->self) {
        vault_call(net, IPC_CALL, service, body, done, user);
        return;
    }
    struct link *link = hub_find(net->hub, site->node_id.data);
    AUTO_CX struct cx *cx = cx_new(64 * 1024, CX_NO_DEADLINE);
    enum fault fault = link == NULL || cx == NULL
                           ? FAULT_UNAVAILABLE
                           : link_call(cx, link, service, body, deadline, done, NULL, user, NULL);
    if (fault != FAULT_NONE)
        done(user, fault, (struct bytes){0});
}

void net_fail(struct served *served, enum fault fault, const char *text,
              const Cohortium__Member *site)
{
    AUTO_CX struct cx *cx = cx_new(256 * 1024, CX_NO_DEADLINE);
    Cohortium__Trouble t = COHORTIUM__TROUBLE__INIT;
    struct bytes packed = {0};

    t.fault = (char *)fault_name(fault);
    t.text = (char *)(text != NULL ? text : "");
    if (site != NULL)
        t.site = site->node_id;
    if (cx == NULL || pb_pack(cx, &t.base, &packed) != FAULT_NONE)
        packed = (struct bytes){0};
    served_fail(served, fault, packed);
}

/* ---- who may link, and what they may call ---- */

static bool admit(void *user, struct link_peer *peer)
{
    struct net *net = user;
    const Cohortium__Member *m = manifest_find_noise(net->manifest, peer->noise_key);

    if (m != NULL) {
        peer->researcher = false;
        memcpy(peer->id, m->node_id.data, DIGEST_BYTES);
        return m != net->self;
    }
    AUTO_CX struct cx *cx = cx_new(1024 * 1024, CX_NO_DEADLINE);
    struct credential c;
    if (cx == NULL ||
        credential_verify(cx, net->manifest, peer->hello, clock_utc_ms(), &c) != FAULT_NONE ||
        c.home != net->self ||
        !bytes_equal(PB_BYTES(c.body->noise_key), bytes_of(peer->noise_key, KEY_BYTES))) {
        log_notice("a link was refused: %s",
                   cx != NULL && cx_fault(cx) != FAULT_NONE ? cx_message(cx) : "unknown key");
        return false;
    }
    peer->researcher = true;
    memcpy(peer->id, c.subject, DIGEST_BYTES);
    return true;
}

struct admitted {
    struct net *net;
    uint8_t id[32];
};

static void admit_done(void *user, enum fault fault, struct bytes body)
{
    struct admitted *a = user;
    struct link *link = hub_find(a->net->hub, a->id);

    (void)body;
    if (fault != FAULT_NONE && link != NULL) {
        log_notice("a researcher's link was closed: the credential does not hold here");
        link_close(link, "the credential is revoked or was not issued here");
    }
    free(a);
}

static const char *peer_name(const struct net *net, const struct link *link)
{
    const Cohortium__Member *m = manifest_find(net->manifest, link_peer(link)->id);

    return link_peer(link)->researcher ? "a researcher" : m != NULL ? m->name : "a stranger";
}

static void link_up(void *user, struct link *link)
{
    struct net *net = user;
    const struct link_peer *peer = link_peer(link);
    struct admitted *a;

    log_notice("linked with %s", peer_name(net, link));
    if (!peer->researcher) {
        sites_report(net);
        return;
    }
    if ((a = malloc(sizeof *a)) == NULL) {
        link_close(link, "out of memory");
        return;
    }
    a->net = net;
    memcpy(a->id, peer->id, sizeof a->id);
    vault_call(net, IPC_ADMIT, SERVICE_UNSET, peer->hello, admit_done, a);
}

static void link_down(void *user, struct link *link, const char *why)
{
    struct net *net = user;

    log_notice("the link with %s ended: %s", peer_name(net, link), why);
    if (!link_peer(link)->researcher)
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

    switch (service) {
    case SERVICE_PREFLIGHT:
    case SERVICE_BEGIN:
    case SERVICE_STEP:
    case SERVICE_ABORT:
    case SERVICE_CATALOG:
        if (researcher)
            break;
        vault_call(net, IPC_CALL, service, body, forward_done, served);
        return;
    case SERVICE_CODEBOOK:
        if (researcher)
            codebook_serve(net, body, served);
        else
            vault_call(net, IPC_CALL, service, body, forward_done, served);
        return;
    case SERVICE_ASK:
        if (!researcher)
            break;
        coordinate(net, body, served);
        return;
    case SERVICE_SITES:
        if (!researcher)
            break;
        sites_serve(net, link_peer(link)->hello, served);
        return;
    default:
        break;
    }
    net_fail(served, FAULT_DENIED, "this caller may not ask for that", net->self);
}

/* ---- start ---- */

static enum fault dial_peers(struct cx *cx, struct net *net)
{
    for (size_t i = 0; i < net->manifest->body->n_members; i++) {
        const Cohortium__Member *m = net->manifest->body->members[i];

        if (m != net->self && !m->outbound_only && m->n_endpoints > 0)
            TRY(hub_dial(cx, net->hub, m->endpoints[0], m->noise_key.data, m->node_id.data,
                         (struct bytes){0}, true));
    }
    return FAULT_NONE;
}

static enum fault start(struct cx *cx, struct net *net, const struct net_setup *setup,
                        const uint8_t own_noise[32])
{
    static const char version[] = "cohortium/1";
    struct buffer prologue = buffer_new(cx, 256);

    net->manifest = setup->manifest;
    net->self = manifest_find_noise(net->manifest, own_noise);
    if (net->self == NULL)
        return cx_fail(cx, FAULT_DENIED, "this node's link key is not in the manifest");
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
        .serve = serve,
    };
    TRY(hub_new(cx, &hub, &net->hub));
    hub_set_own_id(net->hub, net->self->node_id.data);
    TRY(hub_watch(cx, net->hub, net->vault_fd, POLLIN, vault_ready, net));
    TRY(hub_watch(cx, net->hub, net->control_fd, POLLIN, control_ready, net));
    if (setup->listen != NULL)
        TRY(hub_listen(cx, net->hub, setup->listen));
    return dial_peers(cx, net);
}

enum fault net_run(struct cx *cx, const struct net_setup *setup)
{
    struct net net = {.cx = cx, .vault_fd = setup->vault_fd,
                      .control_fd = setup->control_fd, .reader = {.sender = IPC_VAULT}};
    uint8_t own[32];

    if (crypto_scalarmult_base(own, setup->link_secret) != 0)
        return cx_fail(cx, FAULT_INTERNAL, "the link key is unusable");
    enum fault fault = start(cx, &net, setup, own);
    if (fault == FAULT_NONE) {
        log_notice("%s listens at %s", net.self->name,
                   setup->listen != NULL ? setup->listen : "no port (outbound only)");
        sites_report(&net);
        fault = hub_run(cx, net.hub, NULL, NULL);
    }
    if (net.hub != NULL)
        hub_free(&net.hub);
    while (net.pending != NULL) {
        struct pending *p = net.pending;

        net.pending = p->next;
        free(p);
    }
    ipc_reader_free(&net.reader);
    if (fault == FAULT_NONE && net.failed)
        return cx_fail(cx, FAULT_UNAVAILABLE, "the vault is gone");
    return fault;
}

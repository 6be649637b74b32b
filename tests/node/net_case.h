/*
 * net_case.h - one node's net process, with a vault that answers as the test likes, and its
 * peers.
 *
 *   peers of the test (hubs of their own)  <-- TCP -->  net_run  <-- socketpair -->  the
 * test
 */
#pragma once

#include "node/net/net.h"

#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/link_private.h"
#include "tests/check.h"
#include "tests/protocol/consortium.h"
#include "tests/protocol/link_peers.h"

enum { LONG = 5000 };

static struct cx *cx;
static struct consortium c;
static uint8_t prologue[11 + 32];
static struct manifest *in_force; /* the node's, at its start */

/* ---- the node ---- */

struct node { /* net of site_a, and the vault's end of its socket */
    struct net_setup setup;
    char endpoint[64];
    int port, vault, control;
    struct ipc_reader reader;
    pthread_t thread;
    struct cx *cx;
};

static inline void *run(void *user)
{
    struct node *n = user;

    if (net_run(n->cx, &n->setup) != FAULT_NONE)
        abort();
    return NULL;
}

static inline int free_port(void)
{
    struct peer *peer = peer_new(9, 0, 0);
    int port;

    peer_listen(peer, 0);
    port = hub_port(peer->hub);
    peer_free(peer);
    return port;
}

static inline void node_start(struct node *n)
{
    int pair[2], control[2];

    *n = (struct node){.port = free_port(), .reader = {.sender = IPC_NET}};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(pipe(control), 0);
    (void)snprintf(n->endpoint, sizeof n->endpoint, "tcp://127.0.0.1:%d", n->port);
    n->vault = pair[0];
    n->control = control[1];
    n->setup = (struct net_setup){.manifest = in_force,
                                  .listen = n->endpoint,
                                  .link_secret = keys_link_secret(c.node[0]),
                                  .vault_fd = pair[1],
                                  .control_fd = control[0]};
    n->cx = cx_new(1 << 26, CX_NO_DEADLINE);
    assert_non_null(n->cx);
    assert_int_equal(pthread_create(&n->thread, NULL, run, n), 0);
    struct ipc_message m; /* it listens before it tells of its links */
    uint8_t *memory;
    do
        CHECK_OK_("start", cx, ipc_read(cx, &n->reader, n->vault));
    while (!ipc_next(&n->reader, &m, &memory));
    CHECK_EQ_("links", m.kind, IPC_LINKS);
    free(memory);
}

static inline void node_stop(struct node *n)
{
    (void)close(n->control);
    assert_int_equal(pthread_join(n->thread, NULL), 0);
    (void)close(n->vault);
    (void)close(n->setup.vault_fd);
    (void)close(n->setup.control_fd);
    ipc_reader_free(&n->reader);
    cx_free(&n->cx);
}

static inline void answer(struct node *n, uint64_t id, enum fault fault)
{
    struct ipc_message m = {.kind = fault == FAULT_NONE ? IPC_REPLY : IPC_FAIL,
                            .code = fault,
                            .id = id,
                            .body = bytes_of("answer", fault == FAULT_NONE ? 6 : 0)};

    CHECK_OK_("answer", cx, ipc_send(cx, n->vault, IPC_VAULT, &m));
}

static struct bytes waits; /* what the drawer has, given once; nothing: it keeps nothing */

/* Whether something waits for later: net asks so by itself. */
static inline bool is_next(const struct ipc_message *m)
{
    Cohortium__LaterStore *store;

    if (m->kind != IPC_CALL || m->code != SERVICE_DRAWER)
        return false;
    CHECK_OK_("store", cx,
              pb_unpack(cx, &cohortium__later_store__descriptor, m->body, 1 << 20, &store));
    return strcmp(store->act, "next") == 0 || strcmp(store->act, "start") == 0;
}

static inline void give_waiting(struct node *n, uint64_t id)
{
    struct ipc_message m = {.kind = IPC_REPLY, .id = id, .body = waits};

    waits = (struct bytes){0};
    CHECK_OK_("answer", cx, ipc_send(cx, n->vault, IPC_VAULT, &m));
}

/* What net asks of the vault next; kind 0 when it asks nothing for ms. Reports of links
 * and rounds of checkpoints, which peers that link begin, pass unseen. */
static inline struct ipc_message next_call(struct node *n, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;
    struct ipc_message m = {0};
    uint8_t *memory;

    for (;;) {
        while (ipc_next(&n->reader, &m, &memory)) {
            uint8_t *kept = cx_memdup(cx, m.body.p, m.body.n);

            assert_non_null(kept);
            m.body.p = kept;
            free(memory);
            if (is_next(&m) && waits.n > 0)
                give_waiting(n, m.id);
            else if (is_next(&m))
                answer(n, m.id, FAULT_DENIED);
            else if (m.kind != IPC_LINKS &&
                     !(m.kind == IPC_CALL && m.code == SERVICE_ROUND))
                return m;
        }
        struct pollfd p = {.fd = n->vault, .events = POLLIN};
        int64_t left = until - clock_mono_ms();

        if (left <= 0 || poll(&p, 1, (int)left) <= 0)
            return (struct ipc_message){0};
        CHECK_OK_("read", cx, ipc_read(cx, &n->reader, n->vault));
    }
}

/* ---- its peers ---- */

/* What a peer is asked of its own accord (how it is, which manifest it holds) it does not
 * say, unless a test lets it (serve_peer; true: it has answered). */
static bool (*serve_peer)(enum service service, struct bytes body, struct served *served);

static inline void refuse(void *user, struct link *link, enum service service,
                          struct bytes body, struct served *served)
{
    (void)user;
    (void)link;
    if (serve_peer != NULL && serve_peer(service, body, served))
        return;
    served_fail(served, FAULT_REFUSED, bytes_of("no", 2));
}

/* Links on a thread of its own. keys: whose link key it has; hello: a credential, or
 * nothing for a node. */
static inline struct peer *link_as(const struct node *n, const struct keys *keys,
                                   struct bytes hello)
{
    struct peer *peer = peer_new(1, 0, 0);

    memcpy(peer->secret, keys_link_secret(keys), 32);
    memcpy(peer->key, keys_link_public(keys), 32);
    peer->hub->setup.serve = refuse;
    peer->hub->setup.prologue = bytes_of(prologue, sizeof prologue);
    CHECK_OK_("dial", peer->cx,
              hub_dial(peer->cx, peer->hub, n->endpoint, keys_link_public(c.node[0]),
                       c.id[0], hello, false));
    return peer;
}

static inline struct peer *linked_as(const struct node *n, const struct keys *keys,
                                     struct bytes hello)
{
    struct peer *peer = link_as(n, keys, hello);

    assert_true(peer_until(peer, &peer->ups, 1, LONG));
    return peer;
}

static inline struct bytes credential_for(const struct keys *keys)
{
    Cohortium__Credential *b = consortium_credential(cx, &c);

    b->signing_key = PB_DATA(bytes_of(keys_signing_public(keys), 32));
    b->noise_key = PB_DATA(bytes_of(keys_link_public(keys), 32));
    return consortium_seal(cx, ENVELOPE_CREDENTIAL, &b->base, &c.node[0], 1);
}

/* A researcher who is linked and admitted by the vault. */
static inline struct peer *researcher(struct node *n, const struct keys *keys)
{
    struct peer *peer = linked_as(n, keys, credential_for(keys));
    struct ipc_message m = next_call(n, LONG);

    CHECK_EQ_("the vault is asked", m.kind, IPC_ADMIT);
    answer(n, m.id, FAULT_NONE);
    return peer;
}

static inline int set_up(void **state)
{
    (void)state;
    cx = cx_new(1 << 28, CX_NO_DEADLINE);
    if (cx == NULL)
        return 1;
    consortium_new(cx, &c);
    in_force = c.manifest;
    memcpy(prologue, "cohortium/1", 11);
    memcpy(prologue + 11, c.manifest->consortium, 32);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    consortium_free(&c);
    cx_free(&cx);
    return 0;
}

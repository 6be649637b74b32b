/*
 * link_peers.h - peers for the tests and the benchmark of links.
 *
 * A peer is a hub with keys. peer_start runs its loop on a thread of its own; a peer that
 * is not started is driven by the test's thread with peer_until.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "protocol/link.h"

enum {
    ASK_ECHO = 1,    /* replies with the request */
    ASK_NOTHING = 2, /* is answered once it is cancelled */
    ASK_REFUSAL = 3, /* progress, then FAULT_REFUSED with "no" */
    ASK_BACK = 4,    /* calls back on the same link and replies with that reply */
    ASK_CLOSE = 5,   /* closes the link */
    ASK_BYTES = 6,   /* replies with so many bytes as the request's four say */
    ASK_HOLD = 7     /* is answered after HOLD_MS, whether anybody waits or not */
};
enum { HOLD_MS = 1500 };

struct result {
    atomic_int done;
    int calls, progress;
    enum fault fault;
    size_t n;
    uint8_t head[16];
    bool equal; /* to the body of the request */
    struct bytes sent;
};

struct peer {
    struct cx *cx;
    struct hub *hub;
    pthread_t thread;
    bool started;
    uint8_t secret[32], key[32], id[32];
    const uint8_t *only;  /* admits this key alone; NULL: all */
    bool researchers;     /* takes every caller for a researcher */
    uint32_t message_max; /* of callers; 0: as usual */
    bool ws;              /* listens as a WebSocket */
    struct held *held;    /* calls that get no answer, until they are cancelled */
    struct bytes at_up;   /* whoever links is asked to echo it at once; nothing: no call */
    struct result up;     /* of that call */
    atomic_int ups, downs, failures, cancelled, served;
    char why[256];     /* of the newest failure or end; read when the loop stands still */
    struct link *link; /* the newest that came up and is not down */
};

/* first: first byte of the id. ping_ms, dead_ms: 0 for the usual ones. */
struct peer *peer_new(uint8_t first, int64_t ping_ms, int64_t dead_ms);
void peer_listen(struct peer *peer, int port);
void peer_start(struct peer *peer);
void peer_stop(struct peer *peer); /* ends the thread, not the hub */
void peer_free(struct peer *peer);
void peer_dial(struct peer *peer, const struct peer *other, int port, bool keep);
/* Keeps a link up through relays alone. */
void peer_reach(struct peer *peer, const struct peer *other);

/* Runs the loop until *value >= want; false after ms. */
bool peer_until(struct peer *peer, const atomic_int *value, int want, int64_t ms);
void peer_run(struct peer *peer, int64_t ms);

/* Calls and waits. */
struct result peer_call(struct peer *peer, int service, struct bytes body, int64_t ms);
/* Calls; the result fills while the loop runs. */
struct call *peer_begin(struct peer *peer, int service, struct bytes body, int64_t ms,
                        struct result *result);

/*
 * link.h - one encrypted, multiplexed link per pair of peers, over nng's byte streams.
 *
 *   TCP, or a stream that another link carries -> u16 length + Noise message -> frames:
 * type u8, flags u8, stream u32, length u32, body; numbers are big endian
 *
 * A hub owns all links of a process. nng's callbacks only queue; everything here happens,
 * and every callback of yours runs, on the one thread that calls hub_run. A call is one
 * stream: request, optional progress, one reply. Bounds stand here and in link_private.h.
 * Facts and traps: nng 1.5.2 (only nng_stream is used; no SP socket may face a network).
 */
#pragma once

#include "protocol/base/bytes.h"

enum {
    LINK_MESSAGE_MAX = 16 * 1024 * 1024, /* one request or reply */
    LINK_STREAMS_MAX = 64,               /* calls at once on one link, each way */
    LINK_UNAUTHENTICATED_MAX = 64,
    LINK_HANDSHAKE_MS = 5000,
    LINK_PING_MS = 10000,
    LINK_DEAD_MS = 30000,
    /* Carried for others, unless hub_setup says otherwise: bytes a second, of one pair of
     * nodes and of all; bytes that wait here to leave. */
    LINK_RELAY_PAIR_RATE = 8 * 1024 * 1024,
    LINK_RELAY_RATE = 32 * 1024 * 1024,
    LINK_RELAY_PAIR_HELD = 2 * 1024 * 1024,
    LINK_RELAY_HELD = 64 * 1024 * 1024,
    LINK_REKEY_MS =
        3600 * 1000 /* a link kept up gets new keys: a new one takes its place */
};
#define LINK_REKEY_BYTES ((uint64_t)1 << 40)

enum service { /* what a call asks for; the reply's form follows from it */
               SERVICE_UNSET = 0,
               SERVICE_ASK =
                   1, /* researcher -> home: packed Envelope(Request); reply Receipt */
               SERVICE_CATALOG = 2,    /* -> CatalogReply */
               SERVICE_CODEBOOK = 3,   /* CodebookCall -> CodebookReply */
               SERVICE_SITES = 4,      /* researcher -> home: -> SitesReply */
               SERVICE_CANCEL = 5,     /* researcher -> home: LaterCall -> LaterReply */
               SERVICE_LATER = 6,      /* researcher -> home: packed Envelope(Request) ->
                                          LaterReply */
               SERVICE_COLLECT = 7,    /* researcher -> home: LaterCall -> LaterReply */
               SERVICE_PENDING = 8,    /* researcher -> home: nothing -> LaterReply */
               SERVICE_WITNESS = 9,    /* researcher -> home: WitnessCall -> WitnessReply */
               SERVICE_PREFLIGHT = 10, /* node -> node: packed Envelope(Request) -> packed
                                          Envelope(Preflight) */
               SERVICE_BEGIN = 11,     /* BeginCall -> BeginReply */
               SERVICE_STEP = 12,      /* StepCall -> StepReply */
               SERVICE_ABORT = 13,     /* digest of a request's body -> empty */
               SERVICE_MANIFEST = 14,  /* ManifestCall -> ManifestReply */
               SERVICE_DRAWER = 20,    /* net -> own vault: LaterStore -> LaterReply */
               SERVICE_ADD_CHECKPOINT =
                   15, /* AddCheckpointCall of the caller's log -> AddCheckpointReply */
               SERVICE_PROVE = 16, /* ProveCall -> ProveReply */
               SERVICE_HELD = 17,  /* HeldCall -> HeldReply */
               SERVICE_REVOCATIONS = 18, /* RevocationsCall -> empty */
               /* Only between a node's net and its vault; none of them is served on a link. */
               SERVICE_ROUND = 100,      /* RoundCall -> RoundReply */
               SERVICE_ROUND_DONE = 101, /* RoundDoneCall -> RoundDoneReply */
               SERVICE_PEER_HOLDS = 102  /* PeerHolds -> empty */
};

struct hub;
struct link;
struct call;   /* one running call that we made */
struct served; /* one running call that a peer made */

struct link_peer {
    bool researcher; /* else a node of the manifest */
    uint8_t noise_key[32];
    uint8_t id[32];       /* node id, or SHA-256 of the researcher's signing key */
    struct bytes hello;   /* what the initiator sent inside handshake message 3 */
    uint32_t message_max; /* of what it may send, bytes; 0: LINK_MESSAGE_MAX */
};

struct hub_setup {
    const uint8_t *link_secret; /* X25519, 32, guarded; kept by reference */
    struct bytes prologue;      /* "cohortium/1" || consortium id */
    void *user;
    /* Who is this? noise_key and hello are authenticated by the handshake. Return false to
     * close the link (unknown key). Fill peer->researcher, peer->id and, for those who have
     * little to say, peer->message_max. */
    bool (*admit)(void *user, struct link_peer *peer);
    void (*up)(void *user, struct link *link);
    void (*down)(void *user, struct link *link, const char *why); /* link is freed after */
    /* A dial failed, in words for people ("nothing listens at 127.0.0.1:7011"). May be
     * NULL. With keep it is tried again, without it is over. */
    void (*failed)(void *user, const uint8_t remote_id[32], const char *why);
    /* A peer calls. Answer now or later, exactly once, with served_reply or served_fail,
     * also when the link went down meanwhile; body lives until then. hub_free ends what is
     * left. */
    void (*serve)(void *user, struct link *link, enum service service, struct bytes body,
                  struct served *served);
    /* 0: LINK_PING_MS, LINK_DEAD_MS, LINK_REKEY_MS, LINK_REKEY_BYTES. Tests are in a hurry.
     */
    int64_t ping_ms, dead_ms, rekey_ms;
    uint64_t rekey_bytes;
    /* Carries links between nodes that cannot reach each other, and asks nodes to carry its
     * own: one hop, the handshake inside is with the far node, the relay sees ids, sizes
     * and times. */
    bool relay;
    struct relay_limits { /* 0: LINK_RELAY_... */
        uint64_t pair_rate, rate;
        uint64_t pair_held, held;
    } share;
};

CHECKED enum fault hub_new(struct cx *cx, const struct hub_setup *setup, struct hub **ret);
/* Calls fail and links go down (the callbacks run), all within 2 s. */
void hub_free(struct hub **hub);

/* "tcp://127.0.0.1:7011"; port 0 lets the system choose. FAULT_IO with "port 7011 is
 * taken". hub_port tells the one chosen. */
CHECKED enum fault hub_listen(struct cx *cx, struct hub *hub, const char *endpoint);
int hub_port(const struct hub *hub);

/* Keeps a link to a node up: dials, redials with full-jitter backoff 0.25 s to 30 s until
 * hub_forget. If both dial, the link whose initiator has the smaller node id stays. */
CHECKED enum fault hub_dial(struct cx *cx, struct hub *hub, const char *endpoint,
                            const uint8_t remote_noise_key[32], const uint8_t remote_id[32],
                            struct bytes hello, bool keep);
/* The same over several endpoints in turn, and, where the hub relays, through a linked node
 * when none answers. n 0: through relays only. */
CHECKED enum fault hub_reach(struct cx *cx, struct hub *hub, const char *const *endpoints,
                             size_t n, const uint8_t remote_noise_key[32],
                             const uint8_t remote_id[32], struct bytes hello, bool keep);
void hub_set_own_id(struct hub *hub, const uint8_t id[32]);
/* Ends the dialling of a node, and its links with it. */
void hub_forget(struct hub *hub, const uint8_t remote_id[32]);
/* Ends the dialling; a link that is up stays. */
void hub_undial(struct hub *hub, const uint8_t remote_id[32]);

/* The link with a node; NULL without one. Never that of a researcher, whatever its key. */
struct link *hub_find(struct hub *hub, const uint8_t remote_id[32]);
/* Every link that is up, of nodes and researchers; `see` may close it. */
void hub_each(struct hub *hub, void (*see)(void *user, struct link *link), void *user);
const struct link_peer *link_peer(const struct link *link);
bool link_is_ours(const struct link *link); /* this side dialled */
/* The node that carries this link; NULL: none, it is direct. Until `down` has run. */
const struct link_peer *link_relay(const struct link *link);
void *link_user(struct link *link);
void link_set_user(struct link *link, void *user);
void link_close(struct link *link, const char *why);

/* Makes a call. done runs exactly once: with the reply, or fault != FAULT_NONE and, where
 * the peer sent one, a packed Trouble in body (FAULT_TIMEOUT at the deadline,
 * FAULT_UNAVAILABLE when the link goes down). body is valid during the callback. progress
 * may be NULL. */
typedef void call_done(void *user, enum fault fault, struct bytes body);
typedef void call_progress(void *user, struct bytes body);
CHECKED enum fault link_call(struct cx *cx, struct link *link, enum service service,
                             struct bytes body, int64_t deadline, call_done *done,
                             call_progress *progress, void *user, struct call **ret_call);
void call_cancel(struct call *call); /* done runs with FAULT_CANCELLED; the peer is told */

struct link *served_link(struct served *served); /* NULL once the link is down */
bool served_is_cancelled(const struct served *served);
void served_progress(struct served *served, struct bytes body);
void served_reply(struct served *served, struct bytes body);
/* A fault travels as its word and a packed Trouble (may be empty). */
void served_fail(struct served *served, enum fault fault, struct bytes trouble);

/* The loop. Also watches other descriptors (the vault's socketpair) and timers. */
typedef void hub_ready(void *user, int fd, short revents);
CHECKED enum fault hub_watch(struct cx *cx, struct hub *hub, int fd, short events,
                             hub_ready *ready, void *user);
void hub_unwatch(struct hub *hub, int fd);
typedef void hub_timer(void *user);
/* Runs once, after delay_ms. Returns an id for hub_cancel_timer; 0 without memory. */
uint64_t hub_after(struct hub *hub, int64_t delay_ms, hub_timer *timer, void *user);
void hub_cancel_timer(struct hub *hub, uint64_t id);
/* Until hub_stop (any thread or signal handler) or until `until` returns true (checked
 * after each event). */
CHECKED enum fault hub_run(struct cx *cx, struct hub *hub, bool (*until)(void *user),
                           void *user);
void hub_stop(struct hub *hub);

/* Counters for status and tests: bytes held for receiving, links, unauthenticated, refused.
 */
struct hub_counters {
    size_t links, unauthenticated, receive_bytes;
    uint64_t accepted, refused, faults, accept_errors;
    size_t tunnels;         /* ends of relayed streams */
    size_t pairs, carried;  /* nodes that are carried for, or were lately; streams of them */
    uint64_t relayed_bytes; /* carried for others so far */
};
struct hub_counters hub_counters(const struct hub *hub);

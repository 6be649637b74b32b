/*
 * link_private.h - what the files link*.c and hub*.c share; nobody else includes it.
 *
 * One nng aio is one `struct op`. Its callback (on an nng thread) only queues the op; the
 * loop takes it from there. An op is busy from its start until the loop has handled its
 * end, and nothing that it points to is freed before. All else belongs to the loop's
 * thread.
 */
#pragma once

#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>

#include "protocol/carrier_ws.h"
#include "protocol/link.h"
#include "protocol/noise.h"

enum {
    HELLO_MAX = 16 * 1024, /* what an initiator may say in handshake message 3 */
    FRAME_HEAD = 10,       /* type u8, flags u8, stream u32, length u32: big endian */
    FRAME_MAX = 16 * 1024, /* body of one frame */
    PLAIN_MAX = NOISE_MESSAGE_MAX - NOISE_TAG,
    WINDOW = 256 * 1024, /* of a message may come before it has a reservation */
    GROW =
        64 * 1024, /* a receive buffer is no longer than what came, and a frame or this */
    LINK_RECEIVE_MAX = 32 * 1024 * 1024,
    HUB_RECEIVE_MAX = 128 * 1024 * 1024,
    /* Of one peer over all its links, with what links that are down have left behind: so
     * nobody takes everybody's room. */
    PEER_SEND_MAX = 64 * 1024 * 1024,
    PEER_RECEIVE_MIN = 2 * 1024 * 1024, /* or three messages, if that is more */
    SERVED_MAX =
        2 * LINK_STREAMS_MAX, /* with those that were cancelled and not yet answered */
    LINKS_OF_NODE_MAX = 4,    /* the one that stays, and those that drain */
    CONTROL_MAX =
        8 * 1024, /* small frames that wait; a peer that does not read is dropped */
    HANDSHAKE_ROOM = 2 + HELLO_MAX + 128,
    RX_ROOM = 2 * (2 + NOISE_MESSAGE_MAX),
    TX_MESSAGES = 4,
    TX_ROOM = TX_MESSAGES * (2 + NOISE_MESSAGE_MAX),
    LINKS_MAX = 1024, /* half of them for researchers at most */
    LINKS_OF_RESEARCHER_MAX = 16,
    WHY_MAX = 240,
    LINGER_MS = 200,
    WATCHDOG_MS = 2000,
    ENDPOINTS_OF_DIAL_MAX = 8,
    /* Relayed streams: an end of one is a struct tunnel. */
    TUNNEL_WINDOW = 256 * 1024,       /* bytes of one that are on their way, each way */
    TUNNEL_GRANT = TUNNEL_WINDOW / 4, /* the least that is granted at once */
    TUNNELS_OF_NODE_MAX = 256,        /* ends on all links of one node */
    TUNNELS_MAX = 4096,
    TUNNELS_OF_PAIR_MAX = 8, /* streams: the link that stays, and those that drain */
    TUNNEL_BYTES_OF_NODE_MAX = 8 * 1024 * 1024, /* held here of what one node sent */
    TUNNEL_OPENS_BURST = 128, /* streams that one node begins at once, then a second */
    TUNNEL_OPENS_RATE = 8,
    TUNNEL_CLOSING_MS = 5000 /* what waits may still leave so long after the end */
};

enum frame {
    FRAME_OPEN = 1,  /* service u16, total u32, first piece */
    FRAME_REPLY = 2, /* total u32, length u8 and word of a fault (none: 0), first piece */
    FRAME_DATA = 3,  /* a further piece of either */
    FRAME_PROGRESS = 4, /* from who serves */
    FRAME_CANCEL = 5,   /* from who called */
    FRAME_WINDOW = 6,   /* u32: so many more bytes may come */
    FRAME_PING = 7,     /* 8 bytes, given back in PONG */
    FRAME_PONG = 8,
    FRAME_GOAWAY = 9,   /* a sentence */
    FRAME_WELCOME = 10, /* the acceptor admits the dialler; first frame of a link */
    /* Bytes of another link that this one carries; the stream is the relayed one's. */
    FRAME_RELAY_OPEN = 11,   /* 32 bytes: carry this to whom; FLAG_FROM: it comes from */
    FRAME_RELAY_DATA = 12,   /* bytes */
    FRAME_RELAY_WINDOW = 13, /* u32: so many more bytes may come */
    FRAME_RELAY_CLOSE = 14   /* a sentence */
};
enum { FLAG_LAST = 1, FLAG_DRAIN = 1, FLAG_FROM = 1 }; /* of OPEN, REPLY, DATA; of GOAWAY */

struct op {
    struct hub *hub;
    nng_aio *aio;
    void (*done)(struct op *op);
    void *owner;
    bool busy;
    int result;
    size_t count;
    void *output;
    struct op *next;
};

struct incoming { /* a message that arrives */
    bool started, reserved;
    uint32_t total;
    uint32_t received;
    uint32_t credit; /* bytes that may still come */
    size_t size;
    uint8_t *p;
    int64_t moved; /* when the last piece came */
};

struct outgoing { /* a message that leaves */
    struct outgoing *next;
    uint32_t stream;
    enum frame first; /* OPEN or REPLY */
    enum service service;
    enum fault fault;
    bool started;
    uint32_t n, at, credit;
    uint8_t bytes[];
};

struct call {
    struct call *next;
    struct link *link;
    uint32_t stream;
    call_done *done;
    call_progress *progress;
    void *user;
    uint64_t timer;
    enum fault fault; /* of the reply */
    struct incoming in;
};

struct served {
    struct served *next;
    struct hub *hub;
    struct link *link; /* NULL once the link is down */
    uint8_t peer[32];  /* whose call it is, also then */
    uint32_t stream;
    enum service service;
    bool cancelled; /* the peer gave up, or has its answer: nothing may be sent */
    bool asked;     /* serve() ran: the answer is the caller's to give */
    struct incoming in;
    uint8_t *progress;
    size_t n_progress;
};

struct queue { /* bytes that wait */
    uint8_t *p;
    size_t at, n, size;
};

struct share { /* tokens: bytes that may come; below 0 a debt */
    int64_t at;
    double tokens;
};

struct relay_pair { /* two nodes that a relay carries for */
    struct relay_pair *next;
    uint8_t ids[64]; /* the smaller first */
    size_t ends, held;
    double promised; /* passed on in this turn */
    struct share share;
};

/* One end of a relayed stream on the link that carries it. At a relay it has another end;
 * at an endpoint it carries a link of its own, as nng's stream does elsewhere. */
struct tunnel {
    struct tunnel *next;
    struct link *over; /* that carries it; NULL: it is cut */
    uint32_t stream;
    uint8_t by[32];  /* the node at the other end of `over`: the relay, of an endpoint's */
    uint8_t far[32]; /* whom it leads to, or at a relay's far end whom it comes from */
    bool relays, closing; /* closing: what waits leaves, then CLOSE */
    bool open_due;
    int64_t closing_since;
    const char *why;      /* of CLOSE; a constant */
    struct tunnel *other; /* at a relay */
    struct relay_pair *pair;
    struct link *inner;   /* at an endpoint; NULL once it is freed */
    struct queue out, in;
    uint32_t credit; /* an endpoint may send so much */
    uint32_t expect; /* so much may come */
    uint32_t taken;  /* of what came, read and not yet granted anew */
    uint32_t grant_due, grant_held; /* held: the far end's, not passed on yet */
    struct op *rx, *tx; /* of inner, while they wait */
    uint8_t *rx_p;
    const uint8_t *tx_p;
    size_t rx_n, tx_n;
};

/* The accepting side of a WebSocket under a link, from its first byte on. */
struct carrier {
    struct ws ws;
    bool raw, refused; /* raw: the answer to the request leaves; refused: and then the end */
    char answer[WS_ANSWER_MAX];
    uint8_t lead[WS_LEAD_MAX]; /* before the piece that leaves */
    size_t lead_n, lead_at, piece; /* piece: payload of the frame that has not left */
};

enum link_state { LINK_HANDSHAKE, LINK_UP, LINK_LINGER, LINK_CLOSED };

struct dial;

struct link {
    struct link *next;
    struct hub *hub;
    struct dial *dial; /* NULL: the peer dialled */
    enum link_state state;
    bool was_up, told, counted, draining, goaway_sent, goaway_received, said_hello;
    bool ws;          /* a send is one frame of the carrier's (nng's, where we dialled) */
    bool welcome_due; /* the next message holds the WELCOME and no more */
    struct link_peer peer;
    uint8_t *hello;
    void *user;
    char why[WHY_MAX];
    struct carrier *carrier; /* of a caller at a ws:// port */
    nng_stream *stream;    /* or */
    struct tunnel *tunnel; /* through a relay */
    struct noise *noise;
    struct op rx, tx;
    uint8_t *rx_p, *handshake_p, *tx_room;
    const uint8_t *tx_p;
    size_t rx_size, rx_n, tx_n, tx_at, n_handshake; /* n_handshake: waits to be sent */
    int64_t deadline;                               /* of the handshake, or of lingering */
    int64_t since, heard, pinged, tx_since, drain_since;
    uint64_t bytes;
    uint32_t next_stream, last_stream; /* ours; the peer's */
    size_t n_calls, n_served, n_open;  /* n_open: served and not cancelled */
    size_t reserved, received, queued;
    struct call *calls;
    struct served *served;
    struct outgoing *out, **out_end;
    struct tunnel *tunnels, **tunnels_end; /* that this link carries */
    size_t n_tunnels;
    uint32_t next_tunnel, last_tunnel; /* ours; the peer's */
    bool pong_due, progress_due;
    uint8_t pong[8], control[CONTROL_MAX];
    size_t n_control;
};

struct shunned { /* a relay through which a link with the peer broke */
    uint8_t id[32];
    int64_t until; /* it is asked after all others */
};
enum { SHUNNED_MAX = 8 };

struct dial {
    struct dial *next;
    struct hub *hub;
    char *endpoints[ENDPOINTS_OF_DIAL_MAX];
    size_t n_endpoints;
    size_t at; /* what is tried next: an endpoint, or a relay after all of them */
    uint8_t key[32], id[32];
    uint8_t *hello;
    size_t n_hello;
    bool keep, dead, over; /* over: one attempt was asked for, and it ended */
    struct op op;
    nng_stream_dialer *dialer;
    struct link *link; /* of this attempt, until it is freed */
    int64_t backoff, due;
    int64_t linked;     /* when the peer was last seen linked, or the dial was made */
    struct shunned shunned[SHUNNED_MAX];
    int64_t direct_due; /* when a direct way is tried again while a relay carries */
};

struct timer {
    struct timer *next;
    uint64_t id;
    int64_t at;
    hub_timer *run;
    void *user;
};

struct watch {
    int fd;
    short events;
    hub_ready *ready;
    void *user;
};

struct bucket { /* connections of one address, or relayed streams that one node begins */
    uint8_t address[16];
    int64_t at; /* of the last look, ms */
    double tokens;
    bool used;
};
enum { BUCKETS = 256, BUCKET_BURST = 200, BUCKET_RATE = 100 };

struct hub {
    struct hub_setup setup;
    uint8_t *prologue;
    uint8_t id[32];
    bool has_id, freeing, running, ws; /* ws: the listener's carrier */
    struct cx *cx;                     /* for sentences of faults only */
    pthread_mutex_t lock;              /* guards first and last */
    struct op *first, *last;
    int wake; /* eventfd */
    atomic_bool stop;
    struct link *links;
    struct dial *dials;
    struct served *orphans;
    struct timer *timers;
    uint64_t next_timer;
    int64_t ticked;
    struct watch *watches;
    size_t n_watches, watch_room;
    nng_stream_listener *listener;
    struct op accept;
    int port;
    int64_t accept_due; /* 0: not backing off */
    struct bucket buckets[BUCKETS], openers[BUCKETS];
    size_t n_tunnels, tunnel_bytes; /* bytes: held for others */
    struct relay_pair *pairs;
    size_t n_pairs, grant_turn;
    struct share share;
    int64_t grants_due; /* when those that are held are looked at; 0: none is */
    struct hub_counters counters;
};

/* hub.c */
CHECKED bool op_new(struct op *op, struct hub *hub, void (*done)(struct op *), void *owner);
void op_free(struct op *op);
void op_begin(struct op *op, int64_t timeout_ms);
void op_finish(struct op *op, int result, size_t count); /* without nng */
int64_t hub_ping_ms(const struct hub *hub);
int64_t hub_dead_ms(const struct hub *hub);

/* link.c */
/* One of stream and tunnel; still the caller's when NULL comes back. */
struct link *link_new(struct hub *hub, struct dial *dial, nng_stream *stream,
                      struct tunnel *tunnel);
void link_begin(struct link *link);
/* Closes now, without a word to the peer; the loop does the rest. The first reason stays.
 */
void link_drop(struct link *link, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void link_drain(struct link *link);
void link_flush(struct link *link);
void link_tick(struct link *link, int64_t now);
bool link_is_idle(const struct link *link);
const char *
link_place(const struct link *link); /* where its dialler reaches for, in words */
void link_send(struct link *link, const uint8_t *p,
               size_t n); /* p stays until it is sent */
void link_frames(struct link *link, struct bytes plain);
void link_free(struct link *link);
void put_u16(uint8_t *p, unsigned v);
void put_u32(uint8_t *p, uint32_t v);
uint32_t get_u32(const uint8_t *p);
void link_control(struct link *link, enum frame type, unsigned flags, uint32_t stream,
                  struct bytes body);

/* link_call.c: streams. The frame functions return false when the peer broke the protocol.
 */
bool stream_open(struct link *link, uint32_t stream, bool last, struct bytes body);
bool stream_reply(struct link *link, uint32_t stream, bool last, struct bytes body);
bool stream_data(struct link *link, uint32_t stream, bool last, struct bytes body);
bool stream_progress(struct link *link, uint32_t stream, struct bytes body);
bool stream_cancel(struct link *link, uint32_t stream);
bool stream_window(struct link *link, uint32_t stream, struct bytes body);
/* Appends frames of waiting messages to p (room bytes); returns how many bytes. */
size_t streams_fill(struct link *link, uint8_t *p, size_t room);
bool streams_wait(const struct link *link); /* something could be sent */
void streams_tick(struct link *link, int64_t now);
void streams_end(struct link *link); /* the link is down: calls fail, served are orphans */
void served_free(struct served *served);

/* link_carrier.c */
/* n bytes came: *ret_n of them are the link's now, at the same place. False: none, for now or
 * for ever. */
bool carrier_take(struct link *link, size_t n, size_t *ret_n);
unsigned carrier_iov(struct link *link, nng_iov iov[2]); /* what is sent next */
void carrier_sent(struct link *link, size_t n);
bool carrier_has_more(const struct link *link);
void carrier_pong(struct link *link);

/* link_handshake.c */
bool handshake_write(struct link *link, struct bytes payload); /* the next message */
void handshake_send(struct link *link); /* what is written and waits */
void handshake_message(struct link *link, size_t at, size_t n); /* n bytes at rx_p + at */

/* link_message.c */
struct load { /* what one peer has here, over all its links */
    size_t received, queued, served, links;
};
struct load peer_load(const struct link *link);
bool link_is_with(const struct link *link, bool researcher, const uint8_t id[32]);
uint32_t link_message_max(const struct link *link);
enum { OPEN_HEAD = 6, REPLY_HEAD = 5, WORD_MAX = 15 };
enum taken { TAKEN_MORE, TAKEN_ALL, TAKEN_FULL, TAKEN_BROKEN };
CHECKED bool incoming_begin(struct link *link, uint32_t stream, struct incoming *in,
                            uint32_t total);
CHECKED enum taken incoming_put(struct link *link, struct incoming *in, bool last,
                                struct bytes piece);
void incoming_free(struct link *link, struct hub *hub, struct incoming *in);
void reserve_waiting(struct link *link); /* room came free */
struct outgoing *out_new(struct link *link, enum frame first, uint32_t stream,
                         struct bytes body);
void out_remove(struct link *link, uint32_t stream);
size_t out_head(const struct outgoing *out, uint8_t *p); /* of OPEN or REPLY */

/* link_tunnel.c: the frames return false when the peer broke the protocol. */
bool tunnel_open(struct link *link, uint32_t stream, bool from, struct bytes body);
bool tunnel_data(struct link *link, uint32_t stream, struct bytes body);
bool tunnel_window(struct link *link, uint32_t stream, struct bytes body);
bool tunnel_close(struct link *link, uint32_t stream, struct bytes body);
size_t tunnels_fill(struct link *link, uint8_t *p, size_t room);
bool tunnels_wait(const struct link *link);
void tunnels_tick(struct link *link, int64_t now);
void tunnels_end(struct link *link); /* the link is down: what it carries is cut */
/* A new stream over a link to a node that the link's peer is linked with; NULL without
 * room. */
struct tunnel *tunnel_to(struct link *over, const uint8_t far[32]);

/* tunnel.c: one end as a stream of bytes for the link inside; the ops end as nng's do. */
struct tunnel *tunnel_new(struct link *over, uint32_t stream, const uint8_t far[32]);
void tunnel_unlink(struct tunnel *tunnel); /* over carries it no more; frees what is left */
void tunnel_write(struct tunnel *tunnel, struct op *op, const uint8_t *p, size_t n);
void tunnel_read(struct tunnel *tunnel, struct op *op, uint8_t *p, size_t n);
void tunnel_push(struct tunnel *tunnel);    /* room came free */
void tunnel_pull(struct tunnel *tunnel);    /* bytes came */
void tunnel_shut(struct tunnel *tunnel);    /* the link inside is closed */
void tunnel_release(struct tunnel *tunnel); /* the link inside is freed */
bool queue_put(struct queue *queue, struct bytes bytes);
void queue_take(struct queue *queue, uint8_t *p, size_t n); /* n of those that wait */
void queue_free(struct queue *queue);

/* hub_listen.c */
void accept_next(struct hub *hub);
bool bucket_take(struct bucket table[BUCKETS], const uint8_t who[16], double burst,
                 double rate);
bool hub_accept(struct hub *hub, nng_stream *stream, struct tunnel *tunnel);

/* hub_dial.c */
void dial_failed(struct dial *dial, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void dial_link_ended(struct hub *hub, const struct link *link);
void dial_tick(struct dial *dial, int64_t now);
int64_t dial_next_due(const struct dial *dial);
bool dial_reap(struct dial *dial); /* true: freed */
void dial_stop(struct dial *dial);
const char *endpoint_words(const char *endpoint); /* without its scheme */
const char *dial_place(const struct dial *dial);  /* what is tried now, for people */
void dials_nudge(struct hub *hub); /* a direct link came up: it may be a relay */

/* relay_share.c: what this node carries for others. NULL: no room for another stream of this
 * pair now. */
struct relay_pair *relay_pair_begin(struct hub *hub, const uint8_t a[32],
                                    const uint8_t b[32]);
bool relay_take(struct tunnel *t, size_t n); /* bytes came; false: more than may wait */
void relay_gave(struct tunnel *t, size_t n); /* of what waits at this end, so much went */
void relay_grant(struct tunnel *t, uint32_t more); /* to t's sender, now or later */
void relay_grants_tick(struct hub *hub, int64_t now);
void relay_pairs_tick(struct hub *hub, int64_t now);
void relay_pairs_free(struct hub *hub);

/* hub_relay.c */
struct link *hub_direct(struct hub *hub, const uint8_t id[32]);
/* The k-th relay to ask for a way to the dial's peer; NULL: no more. */
struct link *relay_choose(const struct dial *dial, size_t k);
/* A link that it carried to the dial's peer broke: others are asked first for a while. */
void relay_shun(struct dial *dial, const uint8_t relay[32]);
int64_t
relay_after_ms(const struct dial *dial); /* unlinked for so long, a relay is asked */

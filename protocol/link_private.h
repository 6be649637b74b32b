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
    WATCHDOG_MS = 2000
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
    FRAME_GOAWAY = 9,  /* a sentence */
    FRAME_WELCOME = 10 /* the acceptor admits the dialler; first frame of a link */
};
enum { FLAG_LAST = 1, FLAG_DRAIN = 1 }; /* of OPEN, REPLY, DATA; of GOAWAY */

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

enum link_state { LINK_HANDSHAKE, LINK_UP, LINK_LINGER, LINK_CLOSED };

struct dial;

struct link {
    struct link *next;
    struct hub *hub;
    struct dial *dial; /* NULL: the peer dialled */
    enum link_state state;
    bool was_up, told, counted, draining, goaway_sent, goaway_received, said_hello;
    bool welcome_due; /* the next message holds the WELCOME and no more */
    struct link_peer peer;
    uint8_t *hello;
    void *user;
    char why[WHY_MAX];
    nng_stream *stream;
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
    bool pong_due, progress_due;
    uint8_t pong[8], control[CONTROL_MAX];
    size_t n_control;
};

struct dial {
    struct dial *next;
    struct hub *hub;
    char *endpoint;
    uint8_t key[32], id[32];
    uint8_t *hello;
    size_t n_hello;
    bool keep, dead, over; /* over: one attempt was asked for, and it ended */
    struct op op;
    nng_stream_dialer *dialer;
    struct link *link; /* of this attempt, until it is freed */
    int64_t backoff, due;
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

struct bucket { /* connections of one address */
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
    bool has_id, freeing, running;
    struct cx *cx;        /* for sentences of faults only */
    pthread_mutex_t lock; /* guards first and last */
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
    struct bucket buckets[BUCKETS];
    struct hub_counters counters;
};

/* hub.c */
CHECKED bool op_new(struct op *op, struct hub *hub, void (*done)(struct op *), void *owner);
void op_free(struct op *op);
void op_begin(struct op *op, int64_t timeout_ms);
int64_t hub_ping_ms(const struct hub *hub);
int64_t hub_dead_ms(const struct hub *hub);

/* link.c */
struct link *link_new(struct hub *hub, struct dial *dial, nng_stream *stream);
void link_begin(struct link *link);
/* Closes now, without a word to the peer; the loop does the rest. The first reason stays.
 */
void link_drop(struct link *link, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void link_drain(struct link *link);
void link_flush(struct link *link);
void link_tick(struct link *link, int64_t now);
bool link_is_idle(const struct link *link);
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

/* hub_listen.c */
void accept_next(struct hub *hub);

/* hub_dial.c */
void dial_failed(struct dial *dial, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void dial_link_ended(struct hub *hub, const struct link *link);
void dial_tick(struct dial *dial, int64_t now);
int64_t dial_next_due(const struct dial *dial);
bool dial_reap(struct dial *dial); /* true: freed */
void dial_stop(struct dial *dial);
const char *endpoint_words(const char *endpoint); /* without tcp:// */

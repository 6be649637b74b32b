/*
 * link_private.h - what link.c (one link, its frames and streams) and hub.c (the loop, dialing,
 * listening, timers) know of each other. Nobody else includes it.
 */
#pragma once

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>
#include <poll.h>

#include "protocol/link.h"
#include "protocol/noise.h"

enum {
    CHUNK = 16 * 1024,                 /* most bytes of one DATA frame */
    FRAME_HEAD = 10,                   /* type u8, flags u8, stream u32, length u32 */
    PLAIN_MAX = NOISE_MESSAGE_MAX - NOISE_TAG,
    WINDOW = 256 * 1024,               /* bytes of one message in flight without credit */
    CONTROL_MAX = 256 * 1024,          /* control frames that wait; a peer that causes more goes */
    SEND_BATCH = 256 * 1024,           /* encrypted bytes handed to nng at once */
    LINK_RECEIVE_MAX = 32 * 1024 * 1024,
    HUB_RECEIVE_MAX = 128 * 1024 * 1024,
    HELLO_MAX = 16 * 1024,             /* what an initiator may say in handshake message 3 */
};

enum frame_type {
    FRAME_OPEN = 1,  /* flags: service; body: first data */
    FRAME_DATA,
    FRAME_PROGRESS,
    FRAME_FAIL,      /* flags: fault; body: packed Trouble; ends the call */
    FRAME_CANCEL,
    FRAME_WINDOW,    /* body: u32 bytes more */
    FRAME_PING,
    FRAME_PONG,
    FRAME_GOAWAY,
};
enum { FLAG_END = 0x80 }; /* DATA: the message is complete. OPEN: with the service's bits */

struct stream { /* one call: ours (struct call) or a peer's (struct served) */
    struct stream *next;
    struct link *link;     /* NULL once the link is down (served) */
    uint32_t id;
    bool ours;
    enum service service;
    uint8_t *in;           /* what has come */
    size_t in_n, in_size, granted;
    uint8_t *out;          /* what is to go */
    size_t out_n, out_at, credit;
    bool out_open, out_done, in_done, cancelled, answered, failing;
    enum fault fault;
    int64_t deadline;
    call_done *done;
    call_progress *progress;
    void *user;
};

enum link_state { LINK_HANDSHAKE, LINK_UP, LINK_CLOSING };

struct link {
    struct link *next;
    struct hub *hub;
    enum link_state state;
    bool initiator, sent_first, announced, dirty;
    void *user;
    struct dial *dial;             /* who dialled it, if we did */
    struct link_peer peer;
    uint8_t hello[HELLO_MAX];
    struct noise *noise;
    nng_stream *stream;
    nng_aio *rx, *tx;
    bool rx_busy, tx_busy;
    int64_t started, last_rx, last_ping;
    uint8_t in[2 + NOISE_MESSAGE_MAX];
    size_t in_n;
    uint8_t *control;              /* plain control frames that wait */
    size_t control_n;
    uint8_t *wire;                 /* encrypted, being sent */
    size_t wire_n, wire_at;
    struct stream *streams;
    size_t n_ours, n_theirs, receive_bytes;
    uint32_t next_id;
    char why[160];
};

enum event_kind { EVENT_RX, EVENT_TX, EVENT_ACCEPT, EVENT_DIAL };
struct event {
    struct event *next;
    enum event_kind kind;
    void *object;
};

struct hub {
    struct hub_setup setup;
    uint8_t own_id[32];
    uint8_t *prologue;
    struct link *links;
    struct dial *dials;
    struct timer *timers;
    struct watch *watches;
    struct event *first, **last;   /* under lock */
    nng_mtx *lock;
    int wake;                      /* eventfd */
    nng_stream_listener *listener;
    nng_aio *accept;
    bool accept_busy;
    int port;
    uint64_t next_timer;
    volatile int stopping;
    size_t receive_bytes;
    struct hub_counters counters;
    struct bucket *buckets;
};

/* hub.c, for link.c */
void hub_push(struct hub *hub, enum event_kind kind, void *object);
void hub_link_up(struct link *link);           /* handshake done: admitted, perhaps announced */
void hub_link_gone(struct link *link);         /* both aios idle: take it out and free it */

/* link.c, for hub.c */
struct link *link_new(struct hub *hub, nng_stream *stream, struct dial *dial,
                      const uint8_t *remote_noise_key, struct bytes hello);
void link_start(struct link *link);
void link_read_done(struct link *link);
void link_write_done(struct link *link);
void link_pump(struct link *link);
void link_tick(struct link *link, int64_t now);
int64_t link_next_deadline(const struct link *link);
void link_end(struct link *link, const char *why);
bool link_is_idle(const struct link *link);
void link_free(struct link *link);

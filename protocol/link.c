/*
 * link.c - one link: Noise messages, frames, pings, the end.
 *
 * Before authentication a link holds one read buffer of HANDSHAKE_ROOM bytes and nothing
 * that grows. After it, each bound of link_private.h holds.
 */
#include "protocol/link_private.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"

static const char noise_name[] = "Noise_XK_25519_ChaChaPoly_SHA256";

void put_u16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

void put_u32(uint8_t *p, uint32_t v)
{
    put_u16(p, v >> 16);
    put_u16(p + 2, v & 0xffff);
}

uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ---- The end ---- */

static void drop(struct link *link, const char *why)
{
    if (link->state == LINK_CLOSED)
        return;
    if (link->why[0] == '\0')
        (void)snprintf(link->why, sizeof link->why, "%s", why);
    link->state = LINK_CLOSED;
    if (link->tunnel != NULL) {
        tunnel_shut(link->tunnel);
        return;
    }
    nng_stream_close(link->stream);
    if (link->rx.busy)
        nng_aio_cancel(link->rx.aio);
    if (link->tx.busy)
        nng_aio_cancel(link->tx.aio);
}

void link_drop(struct link *link, const char *format, ...)
{
    char why[WHY_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, sizeof why, format, args);
    va_end(args);
    drop(link, why);
}

static void broke(struct link *link, const char *what)
{
    link->hub->counters.faults++;
    link_drop(link, "the peer broke the protocol: %s", what);
}

void link_close(struct link *link, const char *why)
{
    size_t n = strnlen(why, WHY_MAX - 1);

    if (link->state != LINK_UP) {
        if (link->state == LINK_HANDSHAKE)
            drop(link, why);
        return;
    }
    (void)snprintf(link->why, sizeof link->why, "%s", why);
    link->goaway_sent = true;
    link_control(link, FRAME_GOAWAY, 0, 0, bytes_of(why, n));
    if (link->state == LINK_CLOSED)
        return;
    link->state = LINK_LINGER; /* the GOAWAY leaves, then the link is dropped */
    link->deadline = clock_mono_ms() + LINGER_MS;
}

/* No new calls; those that run end first. */
void link_drain(struct link *link)
{
    static const char why[] = "another link of this pair stays";

    if (link->state != LINK_UP || link->draining)
        return;
    link->draining = true;
    link->goaway_sent = true;
    link->drain_since = clock_mono_ms();
    link_control(link, FRAME_GOAWAY, FLAG_DRAIN, 0, bytes_of(why, sizeof why - 1));
}

/* ---- Sending ---- */

static void start_send(struct link *link)
{
    nng_iov iov[2] = {{.iov_buf = (void *)(link->tx_p + link->tx_at),
                       .iov_len = link->tx_n - link->tx_at}};
    unsigned n = 1;

    /* nng 1.5.2 was seen to close where one send took several frames. */
    if (link->ws && iov[0].iov_len > WS_FRAME_MAX)
        iov[0].iov_len = WS_FRAME_MAX;
    if (link->tunnel != NULL) {
        tunnel_write(link->tunnel, &link->tx, iov[0].iov_buf, iov[0].iov_len);
        return;
    }
    if (link->carrier != NULL)
        n = carrier_iov(link, iov);
    if (nng_aio_set_iov(link->tx.aio, n, iov) != 0) {
        link_drop(link, "out of memory");
        return;
    }
    op_begin(&link->tx, link->was_up ? hub_dead_ms(link->hub) : LINK_HANDSHAKE_MS);
    nng_stream_send(link->stream, link->tx.aio);
}

void link_send(struct link *link, const uint8_t *p, size_t n)
{
    link->tx_p = p;
    link->tx_n = n;
    link->tx_at = 0;
    link->tx_since = clock_mono_ms();
    start_send(link);
}

static size_t put_frame(uint8_t *p, enum frame type, unsigned flags, uint32_t stream,
                        struct bytes body)
{
    p[0] = (uint8_t)type;
    p[1] = (uint8_t)flags;
    put_u32(p + 2, stream);
    put_u32(p + 6, (uint32_t)body.n);
    if (body.n > 0)
        memcpy(p + FRAME_HEAD, body.p, body.n);
    return FRAME_HEAD + body.n;
}

/* A small frame. It waits in a bounded buffer: who sends and does not read is dropped. */
void link_control(struct link *link, enum frame type, unsigned flags, uint32_t stream,
                  struct bytes body)
{
    if (link->state != LINK_UP)
        return;
    if (FRAME_HEAD + body.n > CONTROL_MAX - link->n_control) {
        link->hub->counters.faults++;
        link_drop(link, "the peer sends and does not read");
        return;
    }
    link->n_control +=
        put_frame(link->control + link->n_control, type, flags, stream, body);
}

/* Everything that waits, as far as it fits: small frames first. */
static size_t fill_plain(struct link *link, uint8_t *p)
{
    size_t n = link->n_control;
    bool alone = link->welcome_due;

    memcpy(p, link->control, n);
    link->n_control = 0;
    link->welcome_due = false;
    if (link->state != LINK_UP || alone)
        return n;
    if (link->pong_due)
        n += put_frame(p + n, FRAME_PONG, 0, 0, bytes_of(link->pong, sizeof link->pong));
    link->pong_due = false;
    /* Own calls and what is carried for others share the way. */
    n += streams_fill(link, p + n, (PLAIN_MAX - n) / (tunnels_wait(link) ? 2 : 1));
    return n + tunnels_fill(link, p + n, PLAIN_MAX - n);
}

static bool has_words(const struct link *link)
{
    return link->n_control > 0 ||
           (link->state == LINK_UP &&
            (link->pong_due || streams_wait(link) || tunnels_wait(link)));
}

bool link_is_idle(const struct link *link)
{
    return !link->tx.busy && !has_words(link);
}

void link_flush(struct link *link)
{
    size_t used = 0;

    if (link->tx.busy || !link->was_up ||
        (link->state != LINK_UP && link->state != LINK_LINGER))
        return;
    if (!has_words(link)) {
        if (link->state == LINK_LINGER)
            link_drop(link, "%s", link->why);
        return;
    }
    for (size_t i = 0; i < TX_MESSAGES; i++) {
        uint8_t *p = link->tx_room + used;
        size_t n = fill_plain(link, p + 2);

        if (n == 0)
            break;
        if (noise_encrypt(link->hub->cx, link->noise, bytes_of(p + 2, n), p + 2) !=
            FAULT_NONE) {
            link_drop(link, "%s", cx_message(link->hub->cx));
            return;
        }
        put_u16(p, (unsigned)(n + NOISE_TAG));
        used += 2 + n + NOISE_TAG;
    }
    link->bytes += used;
    if (used > 0)
        link_send(link, link->tx_room, used);
}

static void sent(struct op *op)
{
    struct link *link = op->owner;

    if (link->state == LINK_CLOSED)
        return;
    if (op->result != 0) {
        link_drop(link, "sending failed: %s", nng_strerror(op->result));
        return;
    }
    if (link->carrier != NULL)
        carrier_sent(link, op->count);
    else
        link->tx_at += op->count;
    if (link->state == LINK_CLOSED)
        return;
    if (link->tx_at < link->tx_n || carrier_has_more(link))
        start_send(link);
    else if (link->n_handshake > 0)
        handshake_send(link);
    else
        link_flush(link);
}

/* ---- Receiving ---- */

static void start_receive(struct link *link)
{
    nng_iov iov = {.iov_buf = link->rx_p + link->rx_n,
                   .iov_len = link->rx_size - link->rx_n};
    int64_t left = hub_dead_ms(link->hub);

    if (link->tunnel != NULL) { /* link_tick looks after its time */
        tunnel_read(link->tunnel, &link->rx, iov.iov_buf, iov.iov_len);
        return;
    }
    if (link->state == LINK_HANDSHAKE) {
        left = link->deadline - clock_mono_ms();
        left = left < 1 ? 1 : left;
    }
    if (nng_aio_set_iov(link->rx.aio, 1, &iov) != 0) {
        link_drop(link, "out of memory");
        return;
    }
    op_begin(&link->rx, left);
    nng_stream_recv(link->stream, link->rx.aio);
}

static bool has_twin(const struct link *link)
{
    for (const struct link *l = link->hub->links; l != NULL; l = l->next)
        if (l != link && l->state == LINK_UP && !l->draining &&
            link_is_with(l, link->peer.researcher, link->peer.id))
            return true;
    return false;
}

/* The peer drains this link for another that is perhaps not up here yet: until it is, this
 * one goes on, and settle_double ends it then. */
static bool goaway(struct link *link, unsigned flags, struct bytes body)
{
    bool clean = body.n < WHY_MAX && utf8_is_clean((const char *)body.p, body.n);

    link->goaway_received = true;
    if ((flags & FLAG_DRAIN) == 0)
        link_drop(link, "the peer closed the link: %.*s", clean ? (int)body.n : 0,
                  (const char *)body.p);
    else if (has_twin(link))
        link_drain(link);
    return true;
}

static bool ping(struct link *link, struct bytes body)
{
    if (body.n != sizeof link->pong)
        return false;
    memcpy(link->pong, body.p, sizeof link->pong); /* only the last one is answered */
    link->pong_due = true;
    return true;
}

static bool handle_frame(struct link *link, unsigned type, unsigned flags, uint32_t stream,
                         struct bytes body)
{
    bool last = (flags & FLAG_LAST) != 0;

    if (flags > 1)
        return false;
    switch (type) {
    case FRAME_OPEN:
        return stream_open(link, stream, last, body);
    case FRAME_REPLY:
        return stream_reply(link, stream, last, body);
    case FRAME_DATA:
        return stream_data(link, stream, last, body);
    case FRAME_PROGRESS:
        return stream_progress(link, stream, body);
    case FRAME_CANCEL:
        return body.n == 0 && stream_cancel(link, stream);
    case FRAME_WINDOW:
        return stream_window(link, stream, body);
    case FRAME_PING:
        return ping(link, body);
    case FRAME_PONG:
        return body.n == sizeof link->pong;
    case FRAME_GOAWAY:
        return goaway(link, flags, body);
    case FRAME_RELAY_OPEN:
        return tunnel_open(link, stream, flags != 0, body);
    case FRAME_RELAY_DATA:
        return tunnel_data(link, stream, body);
    case FRAME_RELAY_WINDOW:
        return tunnel_window(link, stream, body);
    case FRAME_RELAY_CLOSE:
        return tunnel_close(link, stream, body);
    default:
        return false;
    }
}

/* The frames of one Noise message; each is whole. */
void link_frames(struct link *link, struct bytes plain)
{
    while (plain.n > 0 && link->state == LINK_UP) {
        uint32_t n = plain.n < FRAME_HEAD ? UINT32_MAX : get_u32(plain.p + 6);

        if (n > FRAME_MAX || n > plain.n - FRAME_HEAD) {
            broke(link, "a frame is cut short or too long");
            return;
        }
        if (!handle_frame(link, plain.p[0], plain.p[1], get_u32(plain.p + 2),
                          bytes_of(plain.p + FRAME_HEAD, n))) {
            broke(link, "a frame that has no place here");
            return;
        }
        plain = bytes_of(plain.p + FRAME_HEAD + n, plain.n - FRAME_HEAD - n);
    }
}

static void handle_message(struct link *link, size_t at, size_t n)
{
    uint8_t *p = link->rx_p + at;

    if (link->state == LINK_HANDSHAKE) {
        handshake_message(link, at, n);
        return;
    }
    if (noise_decrypt(link->hub->cx, link->noise, bytes_of(p, n), p) != FAULT_NONE) {
        broke(link, "a message does not decrypt");
        return;
    }
    link->heard = clock_mono_ms();
    link_frames(link, bytes_of(p, n - NOISE_TAG));
}

/* All whole messages of the buffer; what is left moves to its start. */
static void handle_received(struct link *link)
{
    size_t at = 0;

    while (link->rx_n - at >= 2) {
        size_t n = (size_t)link->rx_p[at] << 8 | link->rx_p[at + 1];

        if (n < NOISE_TAG || (link->state == LINK_HANDSHAKE && 2 + n > HANDSHAKE_ROOM)) {
            broke(link, "a message of a length that has no place here");
            return;
        }
        if (link->rx_n - at < 2 + n)
            break;
        handle_message(link, at + 2, n);
        at += 2 + n;
        if (link->state != LINK_HANDSHAKE && link->state != LINK_UP)
            return;
    }
    link->rx_n -= at;
    memmove(link->rx_p, link->rx_p + at, link->rx_n);
}

const char *link_place(const struct link *link)
{
    return link->tunnel != NULL ? "the other end of the relay" : dial_place(link->dial);
}

static void receive_failed(struct link *link, int result)
{
    bool late = result == NNG_ETIMEDOUT;

    if (link->state != LINK_HANDSHAKE)
        link_drop(link, late ? "the peer is silent" : "the connection was closed");
    else if (link->dial == NULL)
        link_drop(link, "the handshake did not end");
    else if (late)
        link_drop(link, "no answer from %s within %d s", link_place(link),
                  LINK_HANDSHAKE_MS / 1000);
    else if (link->said_hello)
        link_drop(link, "the node at %s did not accept our key", link_place(link));
    else
        link_drop(link,
                  "the node at %s hung up: it has another key than we hold for it, "
                  "belongs to another consortium, or is overloaded",
                  link_place(link));
}

static void received(struct op *op)
{
    struct link *link = op->owner;
    size_t n = op->count;

    if (link->state == LINK_CLOSED)
        return;
    if (op->result != 0 || op->count == 0) {
        receive_failed(link, op->result);
        return;
    }
    if (link->state == LINK_LINGER) { /* nothing more is heard; keeps noticing the end */
        link->rx_n = 0;
        start_receive(link);
        return;
    }
    link->bytes += op->count;
    if (link->carrier != NULL && !carrier_take(link, op->count, &n)) {
        if (link->state != LINK_CLOSED && !link->carrier->refused)
            start_receive(link);
        return;
    }
    link->rx_n += n;
    handle_received(link);
    if (link->carrier != NULL)
        carrier_pong(link);
    if (link->state == LINK_LINGER)
        link->rx_n = 0;
    if (link->state != LINK_CLOSED)
        start_receive(link);
}

/* ---- Beginning and time ---- */

struct link *link_new(struct hub *hub, struct dial *dial, nng_stream *stream,
                      struct tunnel *tunnel)
{
    struct link *link = calloc(1, sizeof *link);
    struct noise_setup setup = {.protocol = noise_name,
                                .initiator = dial != NULL,
                                .prologue = hub->setup.prologue,
                                .static_secret = hub->setup.link_secret,
                                .remote_static = dial != NULL ? dial->key : NULL};

    if (link == NULL)
        return NULL;
    link->hub = hub;
    link->dial = dial;
    link->stream = stream;
    link->out_end = &link->out;
    link->tunnels_end = &link->tunnels;
    link->next_stream = link->next_tunnel = dial != NULL ? 1 : 2;
    link->rx_size = HANDSHAKE_ROOM;
    link->rx_p = malloc(link->rx_size);
    link->handshake_p = malloc((dial != NULL ? dial->n_hello : 0) + 2 + 128);
    if (link->rx_p == NULL || link->handshake_p == NULL ||
        noise_new(hub->cx, &setup, &link->noise) != FAULT_NONE ||
        !op_new(&link->rx, hub, received, link) || !op_new(&link->tx, hub, sent, link)) {
        link->stream = NULL; /* still the caller's */
        link_free(link);
        return NULL;
    }
    link->tunnel = tunnel;
    if (tunnel != NULL)
        tunnel->inner = link;
    if (dial != NULL) {
        memcpy(link->peer.noise_key, dial->key, 32);
        memcpy(link->peer.id, dial->id, 32);
    }
    return link;
}

void link_begin(struct link *link)
{
    link->since = link->tx_since = clock_mono_ms();
    link->deadline = link->since + LINK_HANDSHAKE_MS;
    if (link->dial == NULL || handshake_write(link, bytes_of(NULL, 0)))
        start_receive(link);
}

void link_free(struct link *link)
{
    op_free(&link->rx);
    op_free(&link->tx);
    if (link->tunnel != NULL)
        tunnel_release(link->tunnel);
    if (link->stream != NULL)
        nng_stream_free(link->stream);
    noise_free(&link->noise);
    free(link->rx_p);
    free(link->handshake_p);
    free(link->tx_room);
    free(link->hello);
    free(link->carrier);
    free(link);
}

void link_tick(struct link *link, int64_t now)
{
    static const uint8_t body[8];
    int64_t ping_ms = hub_ping_ms(link->hub), dead_ms = hub_dead_ms(link->hub);

    if (link->state == LINK_HANDSHAKE && now >= link->deadline)
        receive_failed(link, NNG_ETIMEDOUT);
    if (link->state == LINK_LINGER && now >= link->deadline)
        link_drop(link, "%s", link->why);
    if (link->state != LINK_UP)
        return;
    streams_tick(link, now);
    tunnels_tick(link, now);
    if (now - link->heard >= dead_ms)
        link_drop(link, "the peer is silent");
    else if (link->tx.busy && now - link->tx_since >= dead_ms)
        link_drop(link, "the peer does not read");
    else if (now - link->heard >= ping_ms && now - link->pinged >= ping_ms) {
        link->pinged = now;
        link_control(link, FRAME_PING, 0, 0, bytes_of(body, sizeof body));
    }
    if (link->state == LINK_UP && link->draining && link->n_calls == 0 &&
        link->n_open == 0 && link->tunnels == NULL && link_is_idle(link) &&
        (link->goaway_received || now - link->drain_since >= LINK_HANDSHAKE_MS))
        link_drop(link, "another link of this pair stays");
}

const struct link_peer *link_peer(const struct link *link)
{
    return &link->peer;
}

bool link_is_ours(const struct link *link)
{
    return link->dial != NULL;
}

const struct link_peer *link_relay(const struct link *link)
{
    return link->tunnel != NULL && link->tunnel->over != NULL ? &link->tunnel->over->peer
                                                              : NULL;
}

void *link_user(struct link *link)
{
    return link->user;
}

void link_set_user(struct link *link, void *user)
{
    link->user = user;
}

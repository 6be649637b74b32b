/* link.c - one link: handshake, frames, streams, windows. */
#include "protocol/link.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/link_private.h"

static void advance_handshake(struct link *l);

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* ---- nng: callbacks only queue ---- */

static void on_rx(void *link)
{
    hub_push(((struct link *)link)->hub, EVENT_RX, link);
}

static void on_tx(void *link)
{
    hub_push(((struct link *)link)->hub, EVENT_TX, link);
}

static void start_read(struct link *l)
{
    nng_iov iov = {.iov_buf = l->in + l->in_n, .iov_len = sizeof l->in - l->in_n};
    int64_t ms = LINK_DEAD_MS;

    if (l->state == LINK_CLOSING || l->rx_busy)
        return;
    if (l->state == LINK_HANDSHAKE)
        ms = l->started + LINK_HANDSHAKE_MS - clock_mono_ms();
    nng_aio_set_timeout(l->rx, (nng_duration)(ms > 1 ? ms : 1));
    if (nng_aio_set_iov(l->rx, 1, &iov) != 0) {
        link_end(l, "out of memory");
        return;
    }
    l->rx_busy = true;
    nng_stream_recv(l->stream, l->rx);
}

static void start_write(struct link *l)
{
    nng_iov iov = {.iov_buf = l->wire + l->wire_at, .iov_len = l->wire_n - l->wire_at};

    nng_aio_set_timeout(l->tx, LINK_DEAD_MS);
    if (nng_aio_set_iov(l->tx, 1, &iov) != 0) {
        link_end(l, "out of memory");
        return;
    }
    l->tx_busy = true;
    nng_stream_send(l->stream, l->tx);
}

/* ---- life ---- */

struct link *link_new(struct hub *hub, nng_stream *stream, struct dial *dial,
                      const uint8_t *remote_noise_key, struct bytes hello)
{
    struct link *l = calloc(1, sizeof *l);
    AUTO_CX struct cx *cx = cx_new(64 * 1024, CX_NO_DEADLINE);
    struct noise_setup setup = {
        .protocol = "Noise_XK_25519_ChaChaPoly_SHA256",
        .initiator = dial != NULL,
        .prologue = hub->setup.prologue,
        .static_secret = hub->setup.link_secret,
        .remote_static = dial != NULL ? remote_noise_key : NULL,
    };

    if (l == NULL || cx == NULL || hello.n > HELLO_MAX ||
        noise_new(cx, &setup, &l->noise) != FAULT_NONE || nng_aio_alloc(&l->rx, on_rx, l) != 0 ||
        nng_aio_alloc(&l->tx, on_tx, l) != 0 || (l->wire = malloc(SEND_BATCH)) == NULL ||
        (l->control = malloc(CHUNK)) == NULL) {
        nng_stream_close(stream);
        if (l != NULL) {
            l->stream = stream;
            link_free(l);
        } else {
            nng_stream_free(stream);
        }
        return NULL;
    }
    l->hub = hub;
    l->stream = stream;
    l->initiator = dial != NULL;
    l->dial = dial;
    l->next_id = dial != NULL ? 1 : 2;
    l->started = l->last_rx = clock_mono_ms();
    if (hello.n > 0)
        memcpy(l->hello, hello.p, hello.n);
    l->peer.hello = bytes_of(l->hello, hello.n);
    return l;
}

void link_free(struct link *l)
{
    if (l->rx != NULL)
        nng_aio_free(l->rx);
    if (l->tx != NULL)
        nng_aio_free(l->tx);
    if (l->stream != NULL)
        nng_stream_free(l->stream);
    noise_free(&l->noise);
    if (l->wire != NULL)
        sodium_memzero(l->wire, SEND_BATCH);
    free(l->wire);
    free(l->control);
    free(l);
}

bool link_is_idle(const struct link *l)
{
    return !l->rx_busy && !l->tx_busy;
}

static void release_receive(struct link *l, struct stream *s)
{
    l->receive_bytes -= s->in_size;
    l->hub->receive_bytes -= s->in_size;
    free(s->in);
    s->in = NULL;
    s->in_n = s->in_size = 0;
}

static void stream_free(struct stream *s)
{
    free(s->in);
    free(s->out);
    free(s);
}

static void take_out(struct link *l, struct stream *s)
{
    for (struct stream **at = &l->streams; *at != NULL; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    if (s->ours)
        l->n_ours--;
    else
        l->n_theirs--;
    s->next = NULL;
}

/* Our call is over: tell its owner once. */
static void call_end(struct stream *s, enum fault fault, struct bytes body)
{
    struct link *l = s->link;
    call_done *done = s->done;
    void *user = s->user;

    take_out(l, s);
    l->receive_bytes -= s->in_size;
    l->hub->receive_bytes -= s->in_size;
    done(user, fault, body);
    stream_free(s);
}

void link_end(struct link *l, const char *why)
{
    if (l->state == LINK_CLOSING)
        return;
    l->state = LINK_CLOSING;
    (void)snprintf(l->why, sizeof l->why, "%s", why);
    nng_stream_close(l->stream); /* both aios end; the link goes when they have */
    while (l->streams != NULL) {
        struct stream *s = l->streams;

        if (s->ours) {
            call_end(s, FAULT_UNAVAILABLE, (struct bytes){0});
            continue;
        }
        take_out(l, s);
        release_receive(l, s);
        s->link = NULL;
        s->cancelled = true;
        if (s->answered || !s->in_done) /* nobody else holds it */
            stream_free(s);
    }
}

/* ---- frames out ---- */

static bool put_control(struct link *l, enum frame_type type, uint8_t flags, uint32_t id,
                        const void *body, size_t n)
{
    if (l->state != LINK_UP)
        return false;
    if (l->control_n + FRAME_HEAD + n > CONTROL_MAX) {
        link_end(l, "it does not take what we send");
        return false;
    }
    uint8_t *p = realloc(l->control, l->control_n + FRAME_HEAD + n);
    if (p == NULL) {
        link_end(l, "out of memory");
        return false;
    }
    l->control = p;
    p += l->control_n;
    p[0] = (uint8_t)type;
    p[1] = flags;
    put_u32(p + 2, id);
    put_u32(p + 6, (uint32_t)n);
    if (n > 0)
        memcpy(p + FRAME_HEAD, body, n);
    l->control_n += FRAME_HEAD + n;
    l->dirty = true;
    return true;
}

/* The next frame of a stream into at most `room` bytes; returns its size. */
static size_t put_data(struct stream *s, uint8_t *p, size_t room)
{
    size_t n = s->out_n - s->out_at;
    bool first = s->ours && !s->out_open;

    if (s->out == NULL || s->out_done || room < FRAME_HEAD + 1)
        return 0;
    if (n > CHUNK)
        n = CHUNK;
    if (n > room - FRAME_HEAD)
        n = room - FRAME_HEAD;
    if (n > s->credit)
        n = s->credit;
    if (n == 0 && s->out_at < s->out_n)
        return 0; /* no credit at present */
    bool last = s->out_at + n == s->out_n;
    p[0] = first ? FRAME_OPEN : s->failing ? FRAME_FAIL : FRAME_DATA;
    p[1] = s->failing ? (uint8_t)s->fault
                      : (uint8_t)((first ? (unsigned)s->service : 0) | (last ? FLAG_END : 0));
    put_u32(p + 2, s->id);
    put_u32(p + 6, (uint32_t)n);
    memcpy(p + FRAME_HEAD, s->out + s->out_at, n);
    s->out_at += n;
    s->credit -= n;
    s->out_open = true;
    s->out_done = last;
    return FRAME_HEAD + n;
}

/* One Noise message of what waits; returns its plain size. */
static size_t fill_plain(struct link *l, uint8_t *plain)
{
    size_t n = 0, at = 0;

    while (at < l->control_n) { /* whole frames only */
        size_t frame = FRAME_HEAD + get_u32(l->control + at + 6);

        if (n + frame > PLAIN_MAX)
            break;
        memcpy(plain + n, l->control + at, frame);
        n += frame;
        at += frame;
    }
    memmove(l->control, l->control + at, l->control_n - at);
    l->control_n -= at;
    for (struct stream *s = l->streams, *next; s != NULL; s = next) {
        size_t k = put_data(s, plain + n, PLAIN_MAX - n);

        next = s->next;
        n += k;
        if (s->out_done && !s->ours && s->answered) { /* answered and sent: over */
            take_out(l, s);
            release_receive(l, s);
            stream_free(s);
        }
    }
    return n;
}

void link_pump(struct link *l)
{
    static uint8_t plain[PLAIN_MAX]; /* the hub has one thread */
    AUTO_CX struct cx *cx = NULL;

    l->dirty = false;
    if (l->state != LINK_UP || l->tx_busy)
        return;
    l->wire_n = l->wire_at = 0;
    while (l->wire_n + 2 + NOISE_MESSAGE_MAX <= SEND_BATCH) {
        size_t n = fill_plain(l, plain);

        if (n == 0)
            break;
        if (cx == NULL && (cx = cx_new(4096, CX_NO_DEADLINE)) == NULL) {
            link_end(l, "out of memory");
            return;
        }
        size_t cipher = n + NOISE_TAG;
        l->wire[l->wire_n] = (uint8_t)(cipher >> 8);
        l->wire[l->wire_n + 1] = (uint8_t)cipher;
        if (noise_encrypt(cx, l->noise, bytes_of(plain, n), l->wire + l->wire_n + 2) !=
            FAULT_NONE) {
            link_end(l, "its keys are used up");
            return;
        }
        l->wire_n += 2 + cipher;
    }
    sodium_memzero(plain, sizeof plain);
    if (l->wire_n > 0)
        start_write(l);
}

void link_write_done(struct link *l)
{
    l->tx_busy = false;
    if (l->state == LINK_CLOSING)
        return;
    if (nng_aio_result(l->tx) != 0) {
        link_end(l, "sending failed");
        return;
    }
    l->wire_at += nng_aio_count(l->tx);
    if (l->wire_at < l->wire_n)
        start_write(l);
    else if (l->state == LINK_HANDSHAKE)
        advance_handshake(l);
    else
        l->dirty = true;
}

/* ---- frames in ---- */

static struct stream *find_stream(const struct link *l, uint32_t id)
{
    for (struct stream *s = l->streams; s != NULL; s = s->next)
        if (s->id == id)
            return s;
    return NULL;
}

/* Appends; memory grows with what has come, never with what is claimed. */
static bool append(struct link *l, struct stream *s, struct bytes body)
{
    if (body.n > s->granted) {
        link_end(l, "it sends more than it was given credit for");
        return false;
    }
    s->granted -= body.n;
    if (s->in_n + body.n > LINK_MESSAGE_MAX) {
        link_end(l, "a message beyond the allowed size");
        return false;
    }
    if (s->in_n + body.n > s->in_size) {
        size_t size = s->in_n + body.n + (s->in_n < CHUNK ? 256 : s->in_n / 2);

        if (l->receive_bytes + size - s->in_size > LINK_RECEIVE_MAX ||
            l->hub->receive_bytes + size - s->in_size > HUB_RECEIVE_MAX) {
            link_end(l, "more bytes at once than one node may send");
            return false;
        }
        uint8_t *p = realloc(s->in, size);
        if (p == NULL) {
            link_end(l, "out of memory");
            return false;
        }
        l->receive_bytes += size - s->in_size;
        l->hub->receive_bytes += size - s->in_size;
        s->in = p;
        s->in_size = size;
    }
    if (body.n > 0)
        memcpy(s->in + s->in_n, body.p, body.n);
    s->in_n += body.n;
    if (s->granted < WINDOW / 2) {
        uint8_t more[4];

        put_u32(more, (uint32_t)(WINDOW - s->granted));
        s->granted = WINDOW;
        return put_control(l, FRAME_WINDOW, 0, s->id, more, sizeof more);
    }
    return true;
}

static void message_complete(struct link *l, struct stream *s)
{
    s->in_done = true;
    if (s->ours)
        call_end(s, FAULT_NONE, bytes_of(s->in, s->in_n));
    else
        l->hub->setup.serve(l->hub->setup.user, l, s->service, bytes_of(s->in, s->in_n),
                            (struct served *)s);
}

static void take_open(struct link *l, uint8_t flags, uint32_t id, struct bytes body)
{
    bool theirs = (id & 1) != (l->initiator ? 1u : 0u);

    if (!theirs || id == 0 || find_stream(l, id) != NULL) {
        link_end(l, "a call with a number that is not its to use");
        return;
    }
    if (l->n_theirs >= LINK_STREAMS_MAX) {
        link_end(l, "more calls at once than allowed");
        return;
    }
    struct stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        link_end(l, "out of memory");
        return;
    }
    s->link = l;
    s->id = id;
    s->service = (enum service)(flags & ~FLAG_END);
    s->granted = s->credit = WINDOW;
    s->next = l->streams;
    l->streams = s;
    l->n_theirs++;
    if (append(l, s, body) && (flags & FLAG_END) != 0)
        message_complete(l, s);
}

static void take_cancel(struct stream *s)
{
    struct link *l = s->link;

    if (s->ours)
        return;
    s->cancelled = true;
    if (!s->in_done || s->answered) { /* nobody works on it */
        take_out(l, s);
        release_receive(l, s);
        stream_free(s);
    }
}

static void take_frame(struct link *l, uint8_t type, uint8_t flags, uint32_t id,
                       struct bytes body)
{
    struct stream *s = id != 0 ? find_stream(l, id) : NULL;

    switch (type) {
    case FRAME_PING:
        (void)put_control(l, FRAME_PONG, 0, 0, NULL, 0);
        return;
    case FRAME_PONG:
        return;
    case FRAME_GOAWAY:
        link_end(l, "the other side ended it");
        return;
    case FRAME_OPEN:
        take_open(l, flags, id, body);
        return;
    default:
        break;
    }
    if (s == NULL)
        return; /* of a call that is over: in flight when it ended */
    switch (type) {
    case FRAME_DATA:
        if (s->in_done)
            link_end(l, "data after the end of a message");
        else if (append(l, s, body) && (flags & FLAG_END) != 0)
            message_complete(l, s);
        return;
    case FRAME_PROGRESS:
        if (s->ours && s->progress != NULL)
            s->progress(s->user, body);
        return;
    case FRAME_FAIL:
        if (s->ours && s->in_n == 0)
            call_end(s, flags != 0 ? (enum fault)flags : FAULT_INTERNAL, body);
        return;
    case FRAME_CANCEL:
        take_cancel(s);
        return;
    case FRAME_WINDOW:
        if (body.n == 4 && get_u32(body.p) <= WINDOW && s->credit <= WINDOW) {
            s->credit += get_u32(body.p);
            l->dirty = true;
        } else {
            link_end(l, "a window beyond the allowed size");
        }
        return;
    default:
        link_end(l, "an unknown frame");
        return;
    }
}

static void take_plain(struct link *l, struct bytes plain)
{
    while (plain.n > 0 && l->state == LINK_UP) {
        if (plain.n < FRAME_HEAD || get_u32(plain.p + 6) > plain.n - FRAME_HEAD) {
            link_end(l, "a broken frame");
            return;
        }
        size_t n = get_u32(plain.p + 6);
        take_frame(l, plain.p[0], plain.p[1], get_u32(plain.p + 2),
                   bytes_of(plain.p + FRAME_HEAD, n));
        plain = bytes_of(plain.p + FRAME_HEAD + n, plain.n - FRAME_HEAD - n);
    }
}

/* ---- handshake ---- */

static void write_handshake(struct link *l)
{
    AUTO_CX struct cx *cx = cx_new(64 * 1024, CX_NO_DEADLINE);
    bool third = l->initiator && l->sent_first;
    size_t n = 0;

    if (cx == NULL ||
        noise_write(cx, l->noise, third ? l->peer.hello : (struct bytes){0}, l->wire + 2,
                    SEND_BATCH - 2, &n) != FAULT_NONE) {
        link_end(l, "the handshake failed");
        return;
    }
    l->wire[0] = (uint8_t)(n >> 8);
    l->wire[1] = (uint8_t)n;
    l->wire_n = n + 2;
    l->wire_at = 0;
    l->sent_first = true;
    start_write(l);
}

/* Writes when it is our turn and the message before is out; the link is up once all is said. */
static void advance_handshake(struct link *l)
{
    if (l->state != LINK_HANDSHAKE)
        return;
    if (!noise_is_done(l->noise) && noise_is_my_turn(l->noise) && !l->tx_busy)
        write_handshake(l);
    if (l->state != LINK_HANDSHAKE || !noise_is_done(l->noise))
        return;
    memcpy(l->peer.noise_key, noise_remote_static(l->noise), 32);
    l->state = LINK_UP;
    l->last_rx = l->last_ping = clock_mono_ms();
    hub_link_up(l);
}

static void read_handshake(struct link *l, struct bytes message)
{
    AUTO_CX struct cx *cx = cx_new(64 * 1024, CX_NO_DEADLINE);
    uint8_t payload[HELLO_MAX];
    size_t n = 0;

    if (cx == NULL || message.n > HELLO_MAX ||
        noise_read(cx, l->noise, message, payload, sizeof payload, &n) != FAULT_NONE) {
        link_end(l, l->initiator ? "it is not the node with this key"
                                 : "a handshake that does not hold");
        return;
    }
    if (!l->initiator && noise_is_done(l->noise)) {
        memcpy(l->hello, payload, n);
        l->peer.hello = bytes_of(l->hello, n);
    }
    advance_handshake(l);
}

static void read_one(struct link *l, struct bytes message)
{
    AUTO_CX struct cx *cx = NULL;

    if (l->state == LINK_HANDSHAKE) {
        read_handshake(l, message);
        return;
    }
    cx = cx_new(4096, CX_NO_DEADLINE);
    if (message.n < NOISE_TAG || cx == NULL ||
        noise_decrypt(cx, l->noise, message, (uint8_t *)message.p) != FAULT_NONE) {
        link_end(l, "a message that does not decrypt");
        return;
    }
    l->last_rx = clock_mono_ms();
    take_plain(l, bytes_of(message.p, message.n - NOISE_TAG));
}

void link_read_done(struct link *l)
{
    l->rx_busy = false;
    if (l->state == LINK_CLOSING)
        return;
    int bad = nng_aio_result(l->rx);
    if (bad != 0) {
        link_end(l, bad == NNG_ETIMEDOUT ? (l->state == LINK_UP ? "nothing was heard of it"
                                                                : "the handshake took too long")
                                         : "the connection ended");
        return;
    }
    l->in_n += nng_aio_count(l->rx);
    size_t at = 0;
    while (l->state != LINK_CLOSING && l->in_n - at >= 2) {
        size_t n = (size_t)l->in[at] << 8 | l->in[at + 1];

        if (l->in_n - at < 2 + n)
            break;
        read_one(l, bytes_of(l->in + at + 2, n));
        at += 2 + n;
    }
    if (l->state == LINK_CLOSING)
        return;
    memmove(l->in, l->in + at, l->in_n - at);
    l->in_n -= at;
    start_read(l);
}

void link_start(struct link *l)
{
    advance_handshake(l); /* an initiator speaks first */
    if (l->state != LINK_CLOSING)
        start_read(l);
}

/* ---- time ---- */

void link_tick(struct link *l, int64_t now)
{
    if (l->state == LINK_HANDSHAKE && now - l->started > LINK_HANDSHAKE_MS)
        link_end(l, "the handshake took too long");
    if (l->state != LINK_UP)
        return;
    if (now - l->last_rx > LINK_DEAD_MS) {
        link_end(l, "nothing was heard of it");
        return;
    }
    if (now - l->last_ping >= LINK_PING_MS) {
        l->last_ping = now;
        (void)put_control(l, FRAME_PING, 0, 0, NULL, 0);
    }
    for (struct stream *s = l->streams, *next; s != NULL; s = next) {
        next = s->next;
        if (s->ours && s->deadline != CX_NO_DEADLINE && now >= s->deadline) {
            (void)put_control(l, FRAME_CANCEL, 0, s->id, NULL, 0);
            call_end(s, FAULT_TIMEOUT, (struct bytes){0});
            return; /* done may have changed anything: the rest at the next tick */
        }
    }
}

int64_t link_next_deadline(const struct link *l)
{
    int64_t next = l->state == LINK_HANDSHAKE ? l->started + LINK_HANDSHAKE_MS + 1
                   : l->state == LINK_UP      ? l->last_ping + LINK_PING_MS
                                              : INT64_MAX;

    for (const struct stream *s = l->streams; s != NULL; s = s->next)
        if (s->ours && s->deadline < next)
            next = s->deadline;
    return next;
}

/* ---- calls ---- */

const struct link_peer *link_peer(const struct link *l)
{
    return &l->peer;
}

void *link_user(struct link *l)
{
    return l->user;
}

void link_set_user(struct link *l, void *user)
{
    l->user = user;
}

void link_close(struct link *l, const char *why)
{
    (void)put_control(l, FRAME_GOAWAY, 0, 0, NULL, 0);
    if (l->state == LINK_UP)
        link_pump(l); /* best effort; the close below does not wait for it */
    link_end(l, why);
}

static bool set_out(struct stream *s, struct bytes body)
{
    s->out = malloc(body.n ? body.n : 1);
    if (s->out == NULL)
        return false;
    if (body.n > 0)
        memcpy(s->out, body.p, body.n);
    s->out_n = body.n;
    return true;
}

enum fault link_call(struct cx *cx, struct link *l, enum service service, struct bytes body,
                     int64_t deadline, call_done *done, call_progress *progress, void *user,
                     struct call **ret_call)
{
    if (l->state != LINK_UP)
        return cx_fail(cx, FAULT_UNAVAILABLE, "the link is down");
    if (body.n > LINK_MESSAGE_MAX)
        return cx_fail(cx, FAULT_BOUND, "a message of %zu bytes: at most %d are allowed", body.n,
                       LINK_MESSAGE_MAX);
    if (l->n_ours >= LINK_STREAMS_MAX)
        return cx_fail(cx, FAULT_UNAVAILABLE, "more than %d calls at once on one link",
                       LINK_STREAMS_MAX);
    struct stream *s = calloc(1, sizeof *s);
    if (s == NULL || !set_out(s, body)) {
        free(s);
        return cx_fail(cx, FAULT_MEMORY, "out of memory for a call");
    }
    s->link = l;
    s->id = l->next_id;
    l->next_id += 2;
    s->ours = true;
    s->service = service;
    s->granted = s->credit = WINDOW;
    s->deadline = deadline;
    s->done = done;
    s->progress = progress;
    s->user = user;
    s->next = l->streams;
    l->streams = s;
    l->n_ours++;
    l->dirty = true;
    if (ret_call != NULL)
        *ret_call = (struct call *)s;
    return FAULT_NONE;
}

void call_cancel(struct call *call)
{
    struct stream *s = (struct stream *)call;

    (void)put_control(s->link, FRAME_CANCEL, 0, s->id, NULL, 0);
    call_end(s, FAULT_CANCELLED, (struct bytes){0});
}

struct link *served_link(struct served *served)
{
    return ((struct stream *)served)->link;
}

bool served_is_cancelled(const struct served *served)
{
    return ((const struct stream *)served)->cancelled;
}

void served_progress(struct served *served, struct bytes body)
{
    struct stream *s = (struct stream *)served;

    if (s->link != NULL && !s->cancelled && body.n <= CHUNK)
        (void)put_control(s->link, FRAME_PROGRESS, 0, s->id, body.p, body.n);
}

static void answer(struct stream *s, struct bytes body)
{
    s->answered = true;
    if (s->link == NULL) {
        stream_free(s);
        return;
    }
    if (s->cancelled) {
        struct link *l = s->link;

        take_out(l, s);
        release_receive(l, s);
        stream_free(s);
        return;
    }
    if (!set_out(s, body)) {
        link_end(s->link, "out of memory");
        return;
    }
    s->link->dirty = true;
}

void served_reply(struct served *served, struct bytes body)
{
    answer((struct stream *)served, body);
}

void served_fail(struct served *served, enum fault fault, struct bytes trouble)
{
    struct stream *s = (struct stream *)served;

    if (trouble.n > CHUNK) /* one frame */
        trouble = (struct bytes){0};
    s->failing = true;
    s->fault = fault;
    answer(s, trouble);
}

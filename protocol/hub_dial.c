/*
 * hub_dial.c - links that this side keeps up: dialling, full-jitter backoff, new keys.
 *
 * A turn goes over all endpoints of the peer, then over the relays (hub_relay.c); after a
 * turn comes the backoff. While a relay carries the link, the endpoints are tried again now
 * and then: a direct link takes the place of a relayed one.
 */
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/endpoint.h"
#include "protocol/link_private.h"

enum {
    BACKOFF_FIRST_MS = 250,
    BACKOFF_MAX_MS = 30000,
    NEXT_MS = 100,        /* from one way to the next, with jitter */
    DIRECT_MS = 30 * 1000 /* while a relay carries, and as much jitter */
};

const char *endpoint_words(const char *endpoint)
{
    const char *place = endpoint_place(endpoint);

    return place != NULL ? place : endpoint;
}

/* Full jitter: anything from now to the backoff, which doubles. */
static void put_off(struct dial *dial)
{
    dial->due = clock_mono_ms() + randombytes_uniform((uint32_t)dial->backoff + 1);
    dial->backoff = dial->backoff * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : dial->backoff * 2;
}

const char *dial_place(const struct dial *dial)
{
    return dial->at < dial->n_endpoints ? endpoint_words(dial->endpoints[dial->at])
                                        : "the other end of a relay";
}

static bool relays(const struct dial *dial)
{
    return dial->hub->setup.relay && dial->keep;
}

/* A link to the peer that need not be replaced for fresh keys yet; the direct one first. */
static const struct link *linked(const struct dial *dial, int64_t now)
{
    const struct hub_setup *setup = &dial->hub->setup;
    int64_t rekey_ms = setup->rekey_ms > 0 ? setup->rekey_ms : LINK_REKEY_MS;
    uint64_t rekey_bytes = setup->rekey_bytes > 0 ? setup->rekey_bytes : LINK_REKEY_BYTES;
    const struct link *best = NULL;

    for (const struct link *l = dial->hub->links; l != NULL; l = l->next)
        if (l->state == LINK_UP && !l->draining && link_is_with(l, false, dial->id) &&
            !(dial->keep && l->dial == dial &&
              (now - l->since >= rekey_ms || l->bytes >= rekey_bytes)) &&
            (best == NULL || best->tunnel != NULL))
            best = l;
    return best;
}

/* What is tried next, and when. */
static void next_way(struct dial *dial)
{
    int64_t now = clock_mono_ms();

    dial->at++;
    dial->due = now + randombytes_uniform(NEXT_MS);
    if (linked(dial, now) != NULL) { /* through a relay: that one goes on */
        if (dial->at >= dial->n_endpoints) {
            dial->at = dial->n_endpoints;
            dial->direct_due = now + DIRECT_MS + randombytes_uniform(DIRECT_MS);
        }
    } else if (dial->at >= dial->n_endpoints && !relays(dial)) {
        dial->at = 0;
        put_off(dial);
    }
}

void dial_failed(struct dial *dial, const char *format, ...)
{
    struct hub *hub = dial->hub;
    char why[WHY_MAX];
    va_list args;
    /* What a relay says is no news of a peer that has an address of its own. */
    bool news = dial->at < dial->n_endpoints || dial->n_endpoints == 0;

    va_start(args, format);
    (void)vsnprintf(why, sizeof why, format, args);
    va_end(args);
    if (dial->keep)
        next_way(dial);
    else
        dial->over = true;
    if (news && !dial->dead && !hub->freeing && hub->setup.failed != NULL)
        hub->setup.failed(hub->setup.user, dial->id, why);
}

/* A link is down: its own dial heard of it, and any dial to the same peer may have to act.
 * Where a relay was the way, another is tried first. */
void dial_link_ended(struct hub *hub, const struct link *link)
{
    for (struct dial *d = hub->dials; d != NULL; d = d->next) {
        if (link->dial == d && !link->was_up) {
            dial_failed(d, "%s", link->why);
        } else if (link_is_with(link, false, d->id) && link->was_up) {
            if (link->tunnel != NULL && !link->goaway_sent && !link->goaway_received)
                relay_shun(d, link->tunnel->by);
            d->at = link->tunnel != NULL && relays(d) ? d->n_endpoints : 0;
            d->backoff = BACKOFF_FIRST_MS;
            put_off(d);
            if (!d->keep && link->dial == d)
                d->over = true;
        }
    }
}

/* Those that nobody answers do not wait for their backoff. */
void dials_nudge(struct hub *hub)
{
    int64_t now = clock_mono_ms();

    for (struct dial *d = hub->dials; d != NULL; d = d->next) {
        int64_t soon = now + randombytes_uniform(BACKOFF_FIRST_MS);

        if (!relays(d) || linked(d, now) != NULL)
            continue;
        if (!d->op.busy && (d->link == NULL || d->link->was_up))
            d->at = d->n_endpoints;
        d->backoff = BACKOFF_FIRST_MS;
        d->due = d->due < soon ? d->due : soon;
    }
}

static void start_link(struct dial *dial, nng_stream *stream, struct tunnel *tunnel)
{
    struct hub *hub = dial->hub;

    dial->link = link_new(hub, dial, stream, tunnel);
    if (dial->link == NULL) {
        if (tunnel != NULL)
            tunnel_unlink(tunnel);
        else
            nng_stream_close(stream);
        if (stream != NULL)
            nng_stream_free(stream);
        dial_failed(dial, "no memory for a link");
        return;
    }
    dial->link->ws = stream != NULL && endpoint_is_ws(dial->endpoints[dial->at]);
    dial->link->next = hub->links;
    hub->links = dial->link;
    link_begin(dial->link);
}

static void dialled(struct op *op)
{
    struct dial *dial = op->owner;
    const char *place = dial_place(dial);

    nng_stream_dialer_free(dial->dialer);
    dial->dialer = NULL;
    if (op->result == 0 && (dial->dead || dial->hub->freeing)) {
        nng_stream_close(op->output);
        nng_stream_free(op->output);
    } else if (op->result == 0) {
        start_link(dial, op->output, NULL);
    } else if (op->result == NNG_ECONNREFUSED) {
        dial_failed(dial, "nothing listens at %s", place);
    } else if (op->result == NNG_ETIMEDOUT) {
        dial_failed(dial, "no answer from %s within %d s", place, LINK_HANDSHAKE_MS / 1000);
    } else if (op->result == NNG_EADDRINVAL) {
        dial_failed(dial, "no host of the name in %s is known", place);
    } else {
        dial_failed(dial, "cannot reach %s: %s", place, nng_strerror(op->result));
    }
}

/* A fresh dialer each time: one bad answer must not end the dialling for good. */
static void dial_endpoint(struct dial *dial)
{
    const char *endpoint = dial->endpoints[dial->at];
    int bad;

    if (dial->op.aio == NULL && !op_new(&dial->op, dial->hub, dialled, dial)) {
        dial_failed(dial, "no memory to dial");
        return;
    }
    bad = nng_stream_dialer_alloc(&dial->dialer, endpoint);
    if (bad != 0) {
        dial->dialer = NULL;
        dial_failed(dial, "cannot dial %s: %s", endpoint_words(endpoint),
                    nng_strerror(bad));
        return;
    }
    (void)nng_stream_dialer_set_bool(dial->dialer, NNG_OPT_TCP_NODELAY, true);
    if (endpoint_is_ws(endpoint) &&
        ((bad = nng_stream_dialer_set_size(dial->dialer, NNG_OPT_WS_RECVMAXFRAME,
                                           WS_FRAME_MAX)) != 0 ||
         (bad = nng_stream_dialer_set_size(dial->dialer, NNG_OPT_WS_SENDMAXFRAME,
                                           WS_FRAME_MAX)) != 0)) {
        nng_stream_dialer_free(dial->dialer);
        dial->dialer = NULL;
        dial_failed(dial, "cannot dial %s: %s", endpoint_words(endpoint),
                    nng_strerror(bad));
        return;
    }
    op_begin(&dial->op, LINK_HANDSHAKE_MS);
    nng_stream_dialer_dial(dial->dialer, dial->op.aio);
}

/* The turn is over when no further relay is linked. */
static void dial_relay(struct dial *dial, int64_t now)
{
    size_t k = dial->at - dial->n_endpoints;
    int64_t from = dial->linked + relay_after_ms(dial);
    struct link *over;
    struct tunnel *tunnel;

    if (now < from && dial->n_endpoints == 0) {
        dial->due = from;
        return;
    }
    over = now < from ? NULL : relay_choose(dial, k);
    if (over == NULL) {
        dial->at = 0;
        put_off(dial);
    } else if ((tunnel = tunnel_to(over, dial->id)) == NULL) {
        dial_failed(dial, "no room for a stream through a relay");
    } else {
        start_link(dial, NULL, tunnel);
    }
}

/* A link of this dial that is between dialled and up, or that has ended and is not freed.
 */
static bool is_trying(const struct dial *dial)
{
    return dial->op.busy || (dial->link != NULL && !dial->link->was_up);
}

void dial_tick(struct dial *dial, int64_t now)
{
    const struct link *link;

    if (dial->dead || dial->over || dial->hub->freeing || now < dial->due ||
        is_trying(dial))
        return;
    link = linked(dial, now);
    dial->linked = link != NULL ? now : dial->linked;
    if (link != NULL && (link->tunnel == NULL || now < dial->direct_due ||
                         dial->n_endpoints == 0 || !dial->keep)) {
        dial->due = now + BACKOFF_FIRST_MS;
        if (link->tunnel == NULL)
            dial->at = 0;
        return;
    }
    if (link != NULL && dial->at >= dial->n_endpoints)
        dial->at = 0;
    if (dial->at < dial->n_endpoints)
        dial_endpoint(dial);
    else
        dial_relay(dial, now);
}

int64_t dial_next_due(const struct dial *dial)
{
    if (dial->dead || dial->over || dial->hub->freeing || is_trying(dial))
        return INT64_MAX;
    return dial->due;
}

bool dial_reap(struct dial *dial)
{
    struct hub *hub = dial->hub;

    if (!dial->dead && !dial->over)
        return false;
    if (dial->op.busy)
        return false;
    for (struct link *l = hub->links; l != NULL; l = l->next)
        if (l->dial == dial)
            return false;
    op_free(&dial->op);
    for (size_t i = 0; i < dial->n_endpoints; i++)
        free(dial->endpoints[i]);
    free(dial->hello);
    free(dial);
    return true;
}

void dial_stop(struct dial *dial)
{
    dial->dead = true;
    if (dial->op.busy) {
        nng_stream_dialer_close(dial->dialer);
        nng_aio_cancel(dial->op.aio);
    }
}

static enum fault check_dial(struct cx *cx, const struct hub *hub,
                             const char *const *endpoints, size_t n,
                             const uint8_t remote_id[32], struct bytes hello)
{
    if (n > ENDPOINTS_OF_DIAL_MAX)
        return cx_fail(cx, FAULT_BOUND, "%zu endpoints of one node, at most %d", n,
                       ENDPOINTS_OF_DIAL_MAX);
    for (size_t i = 0; i < n; i++)
        if (endpoint_place(endpoints[i]) == NULL ||
            strchr(endpoint_place(endpoints[i]), ':') == NULL)
            return cx_fail(cx, FAULT_INVALID,
                           "cannot dial %.100s: expected tcp://HOST:PORT or "
                           "ws://HOST:PORT",
                           endpoints[i]);
    if (hello.n > HELLO_MAX)
        return cx_fail(cx, FAULT_BOUND, "a hello of %zu bytes, at most %d", hello.n,
                       HELLO_MAX);
    if (hub->has_id && memcmp(remote_id, hub->id, 32) == 0)
        return cx_fail(cx, FAULT_INVALID, "a node does not dial itself (%.100s)",
                       n > 0 ? endpoints[0] : "through a relay");
    return FAULT_NONE;
}

static struct dial *dial_new(const char *const *endpoints, size_t n, struct bytes hello)
{
    struct dial *dial = calloc(1, sizeof *dial);
    bool whole = dial != NULL && (dial->hello = malloc(hello.n > 0 ? hello.n : 1)) != NULL;

    for (size_t i = 0; whole && i < n; i++) {
        dial->endpoints[i] = strdup(endpoints[i]);
        whole = dial->endpoints[i] != NULL;
    }
    if (!whole) {
        for (size_t i = 0; dial != NULL && i < n; i++)
            free(dial->endpoints[i]);
        if (dial != NULL)
            free(dial->hello);
        free(dial);
        return NULL;
    }
    if (hello.n > 0)
        memcpy(dial->hello, hello.p, hello.n);
    dial->n_endpoints = n;
    dial->n_hello = hello.n;
    return dial;
}

enum fault hub_reach(struct cx *cx, struct hub *hub, const char *const *endpoints, size_t n,
                     const uint8_t remote_noise_key[32], const uint8_t remote_id[32],
                     struct bytes hello, bool keep)
{
    struct dial *dial;

    TRY(check_dial(cx, hub, endpoints, n, remote_id, hello));
    for (dial = hub->dials; dial != NULL; dial = dial->next)
        if (!dial->dead && memcmp(dial->id, remote_id, 32) == 0)
            dial_stop(dial); /* replaced; a link that is up stays */
    dial = dial_new(endpoints, n, hello);
    if (dial == NULL)
        return cx_fail(cx, FAULT_MEMORY, "no memory to dial");
    dial->hub = hub;
    memcpy(dial->key, remote_noise_key, 32);
    memcpy(dial->id, remote_id, 32);
    dial->keep = keep;
    dial->backoff = BACKOFF_FIRST_MS;
    dial->due = dial->linked = clock_mono_ms();
    dial->next = hub->dials;
    hub->dials = dial;
    dial_tick(dial, dial->due); /* at once: linking is waited for */
    return FAULT_NONE;
}

enum fault hub_dial(struct cx *cx, struct hub *hub, const char *endpoint,
                    const uint8_t remote_noise_key[32], const uint8_t remote_id[32],
                    struct bytes hello, bool keep)
{
    return hub_reach(cx, hub, &endpoint, 1, remote_noise_key, remote_id, hello, keep);
}

void hub_undial(struct hub *hub, const uint8_t remote_id[32])
{
    for (struct dial *d = hub->dials; d != NULL; d = d->next)
        if (memcmp(d->id, remote_id, 32) == 0)
            dial_stop(d);
}

void hub_forget(struct hub *hub, const uint8_t remote_id[32])
{
    hub_undial(hub, remote_id);
    for (struct link *l = hub->links; l != NULL; l = l->next)
        if (link_is_with(l, false, remote_id))
            link_close(l, "this pair is linked no more");
}

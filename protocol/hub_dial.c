/* hub_dial.c - links that this side keeps up: dialling, full-jitter backoff, new keys. */
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/link_private.h"

enum { BACKOFF_FIRST_MS = 250, BACKOFF_MAX_MS = 30000 };

const char *endpoint_words(const char *endpoint)
{
    return strncmp(endpoint, "tcp://", 6) == 0 ? endpoint + 6 : endpoint;
}

/* Full jitter: anything from now to the backoff, which doubles. */
static void put_off(struct dial *dial)
{
    dial->due = clock_mono_ms() + randombytes_uniform((uint32_t)dial->backoff + 1);
    dial->backoff = dial->backoff * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : dial->backoff * 2;
}

void dial_failed(struct dial *dial, const char *format, ...)
{
    struct hub *hub = dial->hub;
    char why[WHY_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, sizeof why, format, args);
    va_end(args);
    if (dial->keep)
        put_off(dial);
    else
        dial->over = true;
    if (!dial->dead && !hub->freeing && hub->setup.failed != NULL)
        hub->setup.failed(hub->setup.user, dial->id, why);
}

/* A link is down: its own dial heard of it, and any dial to the same peer may have to act.
 */
void dial_link_ended(struct hub *hub, const struct link *link)
{
    for (struct dial *d = hub->dials; d != NULL; d = d->next) {
        if (link->dial == d && !link->was_up) {
            dial_failed(d, "%s", link->why);
        } else if (link_is_with(link, false, d->id) && link->was_up) {
            d->backoff = BACKOFF_FIRST_MS;
            put_off(d);
            if (!d->keep && link->dial == d)
                d->over = true;
        }
    }
}

static void start_link(struct dial *dial, nng_stream *stream)
{
    struct hub *hub = dial->hub;

    dial->link = link_new(hub, dial, stream);
    if (dial->link == NULL) {
        nng_stream_close(stream);
        nng_stream_free(stream);
        dial_failed(dial, "no memory for a link");
        return;
    }
    dial->link->next = hub->links;
    hub->links = dial->link;
    link_begin(dial->link);
}

static void dialled(struct op *op)
{
    struct dial *dial = op->owner;
    const char *place = endpoint_words(dial->endpoint);

    nng_stream_dialer_free(dial->dialer);
    dial->dialer = NULL;
    if (op->result == 0 && (dial->dead || dial->hub->freeing)) {
        nng_stream_close(op->output);
        nng_stream_free(op->output);
    } else if (op->result == 0) {
        start_link(dial, op->output);
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
static void dial_now(struct dial *dial)
{
    int bad;

    if (dial->op.aio == NULL && !op_new(&dial->op, dial->hub, dialled, dial)) {
        dial_failed(dial, "no memory to dial");
        return;
    }
    bad = nng_stream_dialer_alloc(&dial->dialer, dial->endpoint);
    if (bad != 0) {
        dial->dialer = NULL;
        dial_failed(dial, "cannot dial %s: %s", endpoint_words(dial->endpoint),
                    nng_strerror(bad));
        return;
    }
    (void)nng_stream_dialer_set_bool(dial->dialer, NNG_OPT_TCP_NODELAY, true);
    op_begin(&dial->op, LINK_HANDSHAKE_MS);
    nng_stream_dialer_dial(dial->dialer, dial->op.aio);
}

/* Whether a link to the peer is up and need not be replaced for fresh keys yet. */
static bool is_linked(const struct dial *dial, int64_t now)
{
    const struct hub_setup *setup = &dial->hub->setup;
    int64_t rekey_ms = setup->rekey_ms > 0 ? setup->rekey_ms : LINK_REKEY_MS;
    uint64_t rekey_bytes = setup->rekey_bytes > 0 ? setup->rekey_bytes : LINK_REKEY_BYTES;

    for (const struct link *l = dial->hub->links; l != NULL; l = l->next)
        if (l->state == LINK_UP && !l->draining && link_is_with(l, false, dial->id) &&
            !(dial->keep && l->dial == dial &&
              (now - l->since >= rekey_ms || l->bytes >= rekey_bytes)))
            return true;
    return false;
}

/* A link of this dial that is between dialled and up, or that has ended and is not freed.
 */
static bool is_trying(const struct dial *dial)
{
    return dial->op.busy || (dial->link != NULL && !dial->link->was_up);
}

void dial_tick(struct dial *dial, int64_t now)
{
    if (dial->dead || dial->over || dial->hub->freeing || now < dial->due ||
        is_trying(dial))
        return;
    if (is_linked(dial, now))
        dial->due = now + BACKOFF_FIRST_MS;
    else
        dial_now(dial);
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
    free(dial->endpoint);
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

enum fault hub_dial(struct cx *cx, struct hub *hub, const char *endpoint,
                    const uint8_t remote_noise_key[32], const uint8_t remote_id[32],
                    struct bytes hello, bool keep)
{
    struct dial *dial;

    if (strncmp(endpoint, "tcp://", 6) != 0 || strrchr(endpoint, ':') < endpoint + 6)
        return cx_fail(cx, FAULT_INVALID, "cannot dial %.100s: expected tcp://HOST:PORT",
                       endpoint);
    if (hello.n > HELLO_MAX)
        return cx_fail(cx, FAULT_BOUND, "a hello of %zu bytes, at most %d", hello.n,
                       HELLO_MAX);
    if (hub->has_id && memcmp(remote_id, hub->id, 32) == 0)
        return cx_fail(cx, FAULT_INVALID, "a node does not dial itself (%.100s)", endpoint);
    for (dial = hub->dials; dial != NULL; dial = dial->next)
        if (!dial->dead && memcmp(dial->id, remote_id, 32) == 0)
            dial_stop(dial); /* replaced; a link that is up stays */
    dial = calloc(1, sizeof *dial);
    if (dial == NULL || (dial->endpoint = strdup(endpoint)) == NULL ||
        (dial->hello = malloc(hello.n > 0 ? hello.n : 1)) == NULL) {
        if (dial != NULL)
            free(dial->endpoint);
        free(dial);
        return cx_fail(cx, FAULT_MEMORY, "no memory to dial");
    }
    dial->hub = hub;
    memcpy(dial->key, remote_noise_key, 32);
    memcpy(dial->id, remote_id, 32);
    if (hello.n > 0)
        memcpy(dial->hello, hello.p, hello.n);
    dial->n_hello = hello.n;
    dial->keep = keep;
    dial->backoff = BACKOFF_FIRST_MS;
    dial->due = clock_mono_ms();
    dial->next = hub->dials;
    hub->dials = dial;
    dial_tick(dial, dial->due); /* at once: linking is waited for */
    return FAULT_NONE;
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

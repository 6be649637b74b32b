/* hub_listen.c - the listener: bounds on who may knock, and how often. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/endpoint.h"
#include "protocol/link_private.h"

enum { ACCEPT_BACKOFF_MS = 75 };

static void address_of(nng_stream *stream, uint8_t address[16])
{
    nng_sockaddr sa;

    memset(address, 0, 16);
    if (nng_stream_get_addr(stream, NNG_OPT_REMADDR, &sa) != 0)
        return; /* all unknown ones share a bucket */
    if (sa.s_family == NNG_AF_INET)
        memcpy(address, &sa.s_in.sa_addr, 4);
    else if (sa.s_family == NNG_AF_INET6)
        memcpy(address, sa.s_in6.sa_addr, 8); /* whoever has a /64 has all of it */
}

/* A token bucket each; the table is of fixed size, the one unused longest gives way. */
bool bucket_take(struct bucket table[BUCKETS], const uint8_t who[16], double burst,
                 double rate)
{
    int64_t now = clock_mono_ms();
    struct bucket *found = &table[0];

    for (size_t i = 0; i < BUCKETS; i++) {
        struct bucket *b = &table[i];

        if (b->used && memcmp(b->address, who, 16) == 0) {
            found = b;
            break;
        }
        if (found->used && (!b->used || b->at < found->at))
            found = b;
    }
    if (!found->used || memcmp(found->address, who, 16) != 0) {
        *found = (struct bucket){.at = now, .tokens = burst, .used = true};
        memcpy(found->address, who, 16);
    }
    found->tokens += (double)(now - found->at) * rate / 1000;
    found->tokens = found->tokens > burst ? burst : found->tokens;
    found->at = now;
    if (found->tokens < 1)
        return false;
    found->tokens -= 1;
    return true;
}

static bool may_connect(struct hub *hub, nng_stream *stream)
{
    uint8_t address[16];

    address_of(stream, address);
    return bucket_take(hub->buckets, address, BUCKET_BURST, BUCKET_RATE);
}

void accept_next(struct hub *hub)
{
    hub->accept_due = 0;
    op_begin(&hub->accept, NNG_DURATION_INFINITE);
    nng_stream_listener_accept(hub->listener, hub->accept.aio);
}

/* A flood of half-open handshakes must not keep an honest peer out: the oldest gives way.
 */
static void make_room(struct hub *hub)
{
    struct link *oldest = NULL;

    if (hub->counters.unauthenticated < LINK_UNAUTHENTICATED_MAX)
        return;
    for (struct link *l = hub->links; l != NULL; l = l->next)
        if (l->counted && (oldest == NULL || l->since < oldest->since))
            oldest = l;
    if (oldest == NULL)
        return;
    oldest->counted = false;
    hub->counters.unauthenticated--;
    hub->counters.refused++;
    link_drop(oldest, "too many handshakes at once");
}

static void add_link(struct hub *hub, struct link *link)
{
    link->next = hub->links;
    hub->links = link;
    link_begin(link);
}

/* A caller, through a stream of its own or a relay. */
bool hub_accept(struct hub *hub, nng_stream *stream, struct tunnel *tunnel)
{
    struct link *link;
    size_t ending = 0;

    for (struct link *l = hub->links; l != NULL; l = l->next)
        ending += l->state == LINK_CLOSED;
    if (hub->freeing || ending > 4 * LINK_UNAUTHENTICATED_MAX)
        return false;
    make_room(hub);
    link = link_new(hub, NULL, stream, tunnel);
    if (link == NULL)
        return false;
    if (stream != NULL && hub->ws &&
        (link->carrier = calloc(1, sizeof *link->carrier)) == NULL) {
        link->stream = NULL; /* still the caller's */
        link_free(link);
        return false;
    }
    link->counted = true;
    hub->counters.unauthenticated++;
    add_link(hub, link);
    return true;
}

static void admit_stream(struct hub *hub, nng_stream *stream)
{
    if (may_connect(hub, stream) && hub_accept(hub, stream, NULL))
        return;
    hub->counters.refused++;
    nng_stream_close(stream);
    nng_stream_free(stream);
}

static void accepted(struct op *op)
{
    struct hub *hub = op->owner;

    if (op->result == 0) {
        hub->counters.accepted++;
        admit_stream(hub, op->output);
    }
    if (hub->freeing)
        return;
    if (op->result == 0) {
        accept_next(hub);
        return;
    }
    hub->counters
        .accept_errors++; /* no descriptors, or a caller that is gone: not at once */
    hub->accept_due = clock_mono_ms() + ACCEPT_BACKOFF_MS;
}

enum fault hub_listen(struct cx *cx, struct hub *hub, const char *endpoint)
{
    const char *place = endpoint_place(endpoint);
    const char *colon = place != NULL ? strrchr(place, ':') : NULL;
    int bad;

    if (colon == NULL)
        return cx_fail(cx, FAULT_INVALID,
                       "cannot listen at %.100s: expected tcp://ADDRESS:PORT or "
                       "ws://ADDRESS:PORT",
                       endpoint);
    if (hub->listener != NULL)
        return cx_fail(cx, FAULT_INVALID, "this process listens already");
    hub->ws = endpoint_is_ws(endpoint); /* whose frames are ours: link_carrier.c */
    const char *tcp = cx_printf(cx, "tcp://%s", place);
    if (tcp == NULL)
        return FAULT_MEMORY;
    bad = nng_stream_listener_alloc(&hub->listener, tcp);
    if (bad != 0)
        return cx_fail(cx, FAULT_INVALID, "cannot listen at %.100s: %s", endpoint,
                       nng_strerror(bad));
    (void)nng_stream_listener_set_bool(hub->listener, NNG_OPT_TCP_NODELAY, true);
    bad = nng_stream_listener_listen(hub->listener);
    if (bad == 0)
        bad =
            nng_stream_listener_get_int(hub->listener, NNG_OPT_TCP_BOUND_PORT, &hub->port);
    if (bad == 0 && !op_new(&hub->accept, hub, accepted, hub))
        bad = NNG_ENOMEM;
    if (bad != 0) {
        nng_stream_listener_free(hub->listener);
        hub->listener = NULL;
        if (bad == NNG_EADDRINUSE)
            return cx_fail(cx, FAULT_IO,
                           "port %.20s is taken: end the program that listens there, or "
                           "choose another port",
                           colon + 1);
        return cx_fail(cx, FAULT_IO, "cannot listen at %.100s: %s",
                       endpoint_words(endpoint), nng_strerror(bad));
    }
    accept_next(hub);
    return FAULT_NONE;
}

int hub_port(const struct hub *hub)
{
    return hub->port;
}

/* hub.c - the loop of a process's links: dialing, listening, timers, other descriptors. */
#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/link_private.h"

enum {
    BACKOFF_FIRST_MS = 250, BACKOFF_MAX_MS = 30000,
    ACCEPT_PAUSE_MS = 75,
    DIAL_MS = 5000,
    CLOSE_MS = 2000,
    BUCKETS = 256, BURST = 200, A_SECOND = 100,
    WATCHES_MAX = 16,
};

struct dial { /* one node that we dial */
    struct dial *next;
    struct hub *hub;
    char endpoint[256];
    uint8_t noise_key[32], id[32];
    uint8_t hello[HELLO_MAX];
    size_t hello_n;
    bool keep, busy, forgotten, linked;
    nng_stream_dialer *dialer;
    nng_aio *aio;
    int64_t backoff, next_try; /* INT64_MAX: not to be tried */
};

struct timer {
    struct timer *next;
    uint64_t id;
    int64_t at;
    hub_timer *run;
    void *user;
};

struct watch {
    struct watch *next;
    int fd;
    short events;
    hub_ready *ready;
    void *user;
};

struct bucket { /* connection attempts of one address */
    uint64_t address;
    double tokens;
    int64_t at;
};

void hub_push(struct hub *hub, enum event_kind kind, void *object)
{
    struct event *e = malloc(sizeof *e);
    uint64_t one = 1;

    if (e == NULL)
        abort(); /* an event lost would leave an aio unanswered for ever */
    *e = (struct event){NULL, kind, object};
    nng_mtx_lock(hub->lock);
    bool first = hub->first == NULL;
    *hub->last = e;
    hub->last = &e->next;
    nng_mtx_unlock(hub->lock);
    if (first && write(hub->wake, &one, sizeof one) < 0)
        return; /* the counter is full: the loop is awake anyway */
}

/* ---- new and free ---- */

static void on_accept(void *hub)
{
    hub_push(hub, EVENT_ACCEPT, hub);
}

static void on_dial(void *dial)
{
    hub_push(((struct dial *)dial)->hub, EVENT_DIAL, dial);
}

enum fault hub_new(struct cx *cx, const struct hub_setup *setup, struct hub **ret)
{
    struct hub *h = calloc(1, sizeof *h);

    if (h == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for links");
    h->setup = *setup;
    h->last = &h->first;
    h->prologue = malloc(setup->prologue.n ? setup->prologue.n : 1);
    h->buckets = calloc(BUCKETS, sizeof *h->buckets);
    h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->prologue == NULL || h->buckets == NULL || h->wake < 0 ||
        nng_mtx_alloc(&h->lock) != 0 || nng_aio_alloc(&h->accept, on_accept, h) != 0) {
        hub_free(&h);
        return cx_fail(cx, FAULT_MEMORY, "out of memory for links");
    }
    if (setup->prologue.n > 0)
        memcpy(h->prologue, setup->prologue.p, setup->prologue.n);
    h->setup.prologue = bytes_of(h->prologue, setup->prologue.n);
    *ret = h;
    return FAULT_NONE;
}

void hub_set_own_id(struct hub *hub, const uint8_t id[32])
{
    memcpy(hub->own_id, id, 32);
}

static void dial_free(struct dial *d)
{
    if (d->dialer != NULL)
        nng_stream_dialer_free(d->dialer);
    if (d->aio != NULL)
        nng_aio_free(d->aio);
    free(d);
}

/* ---- listening ---- */

static void start_accept(struct hub *h)
{
    if (h->listener == NULL || h->accept_busy || h->stopping)
        return;
    h->accept_busy = true;
    nng_stream_listener_accept(h->listener, h->accept);
}

enum fault hub_listen(struct cx *cx, struct hub *h, const char *endpoint)
{
    nng_sockaddr address;
    int bad = nng_stream_listener_alloc(&h->listener, endpoint);

    if (bad == 0) {
        (void)nng_stream_listener_set_bool(h->listener, NNG_OPT_TCP_NODELAY, true);
        bad = nng_stream_listener_listen(h->listener);
    }
    if (bad != 0) {
        if (h->listener != NULL)
            nng_stream_listener_free(h->listener);
        h->listener = NULL;
        if (bad == NNG_EADDRINUSE)
            return cx_fail(cx, FAULT_IO,
                           "port %s is taken: stop what listens at %s, or choose another port in "
                           "node.yaml",
                           strrchr(endpoint, ':') != NULL ? strrchr(endpoint, ':') + 1 : "?",
                           endpoint);
        return cx_fail(cx, FAULT_IO, "cannot listen at %s: %s", endpoint, nng_strerror(bad));
    }
    if (nng_stream_listener_get_addr(h->listener, NNG_OPT_LOCADDR, &address) == 0)
        h->port = ntohs(address.s_family == NNG_AF_INET6 ? address.s_in6.sa_port
                                                         : address.s_in.sa_port);
    start_accept(h);
    return FAULT_NONE;
}

int hub_port(const struct hub *h)
{
    return h->port;
}

static uint64_t address_of(nng_stream *stream)
{
    nng_sockaddr a;
    uint64_t v = 0;

    if (nng_stream_get_addr(stream, NNG_OPT_REMADDR, &a) != 0)
        return 0;
    if (a.s_family == NNG_AF_INET)
        return a.s_in.sa_addr;
    if (a.s_family == NNG_AF_INET6)
        memcpy(&v, a.s_in6.sa_addr, sizeof v); /* the network part */
    return v;
}

/* A token bucket an address; addresses that share a place share its tokens. */
static bool may_connect(struct hub *h, uint64_t address)
{
    struct bucket *b = &h->buckets[(address * 0x9e3779b97f4a7c15u) >> 56];
    int64_t now = clock_mono_ms();

    if (b->address != address || b->at == 0)
        *b = (struct bucket){address, BURST, now};
    b->tokens += (double)(now - b->at) * A_SECOND / 1000;
    b->at = now;
    if (b->tokens > BURST)
        b->tokens = BURST;
    if (b->tokens < 1)
        return false;
    b->tokens -= 1;
    return true;
}

static size_t unauthenticated(const struct hub *h)
{
    size_t n = 0;

    for (const struct link *l = h->links; l != NULL; l = l->next)
        n += !l->initiator && l->state == LINK_HANDSHAKE;
    return n;
}

static void enter_link(struct hub *h, struct link *l)
{
    l->next = h->links;
    h->links = l;
    link_start(l);
}

static void accept_again(void *hub)
{
    start_accept(hub);
}

static void accept_done(struct hub *h)
{
    int bad = nng_aio_result(h->accept);

    h->accept_busy = false;
    if (h->stopping)
        return;
    if (bad != 0) { /* out of descriptors, or a connection that was gone already */
        h->counters.accept_errors++;
        (void)hub_after(h, ACCEPT_PAUSE_MS, accept_again, h);
        return;
    }
    nng_stream *stream = nng_aio_get_output(h->accept, 0);
    h->counters.accepted++;
    if (unauthenticated(h) >= LINK_UNAUTHENTICATED_MAX || !may_connect(h, address_of(stream))) {
        h->counters.refused++;
        nng_stream_close(stream);
        nng_stream_free(stream);
    } else {
        struct link *l = link_new(h, stream, NULL, NULL, (struct bytes){0});

        if (l != NULL)
            enter_link(h, l);
    }
    start_accept(h);
}

/* ---- dialing ---- */

enum fault hub_dial(struct cx *cx, struct hub *h, const char *endpoint,
                    const uint8_t remote_noise_key[32], const uint8_t remote_id[32],
                    struct bytes hello, bool keep)
{
    struct dial *d = calloc(1, sizeof *d);

    if (d == NULL || hello.n > sizeof d->hello || strlen(endpoint) >= sizeof d->endpoint) {
        free(d);
        return cx_fail(cx, FAULT_BOUND, "an endpoint or greeting too long to dial with");
    }
    d->hub = h;
    (void)snprintf(d->endpoint, sizeof d->endpoint, "%s", endpoint);
    memcpy(d->noise_key, remote_noise_key, 32);
    memcpy(d->id, remote_id, 32);
    if (hello.n > 0)
        memcpy(d->hello, hello.p, hello.n);
    d->hello_n = hello.n;
    d->keep = keep;
    d->backoff = BACKOFF_FIRST_MS;
    int bad = nng_stream_dialer_alloc(&d->dialer, endpoint);
    if (bad != 0 || nng_aio_alloc(&d->aio, on_dial, d) != 0) {
        dial_free(d);
        return cx_fail(cx, FAULT_IO, "cannot dial %s: %s", endpoint, nng_strerror(bad));
    }
    (void)nng_stream_dialer_set_bool(d->dialer, NNG_OPT_TCP_NODELAY, true);
    d->next = h->dials;
    h->dials = d;
    return FAULT_NONE;
}

void hub_forget(struct hub *h, const uint8_t remote_id[32])
{
    for (struct dial *d = h->dials; d != NULL; d = d->next)
        if (memcmp(d->id, remote_id, 32) == 0) {
            d->forgotten = true;
            d->next_try = INT64_MAX;
            if (d->busy)
                nng_aio_cancel(d->aio);
        }
}

static void dial_failed(struct dial *d, const char *why)
{
    struct hub *h = d->hub;

    d->linked = false;
    if (!d->keep || d->forgotten) {
        d->next_try = INT64_MAX;
    } else {
        d->next_try = clock_mono_ms() + randombytes_uniform((uint32_t)d->backoff + 1);
        d->backoff = d->backoff * 2 < BACKOFF_MAX_MS ? d->backoff * 2 : BACKOFF_MAX_MS;
    }
    if (h->setup.failed != NULL && !d->forgotten)
        h->setup.failed(h->setup.user, d->id, why);
}

static void start_dials(struct hub *h, int64_t now)
{
    for (struct dial *d = h->dials; d != NULL; d = d->next) {
        if (d->busy || d->linked || d->forgotten || now < d->next_try)
            continue;
        if (d->keep && hub_find(h, d->id) != NULL) { /* they dialled us meanwhile */
            d->next_try = now + BACKOFF_MAX_MS;
            continue;
        }
        d->busy = true;
        nng_aio_set_timeout(d->aio, DIAL_MS);
        nng_stream_dialer_dial(d->dialer, d->aio);
    }
}

static void dial_done(struct dial *d)
{
    struct hub *h = d->hub;
    int bad = nng_aio_result(d->aio);
    const char *address = strstr(d->endpoint, "://") != NULL ? strstr(d->endpoint, "://") + 3
                                                             : d->endpoint;
    char why[400];

    d->busy = false;
    if (bad != 0) {
        (void)snprintf(why, sizeof why, bad == NNG_ECONNREFUSED ? "nothing listens at %s"
                                        : bad == NNG_ETIMEDOUT  ? "no answer from %s within 5 s"
                                                                : "%s cannot be reached",
                       address);
        if (!h->stopping)
            dial_failed(d, why);
        return;
    }
    nng_stream *stream = nng_aio_get_output(d->aio, 0);
    if (h->stopping || d->forgotten) {
        nng_stream_close(stream);
        nng_stream_free(stream);
        return;
    }
    struct link *l = link_new(h, stream, d, d->noise_key, bytes_of(d->hello, d->hello_n));
    if (l == NULL) {
        dial_failed(d, "out of memory");
        return;
    }
    memcpy(l->peer.id, d->id, 32);
    d->linked = true;
    enter_link(h, l);
}

/* ---- links come and go ---- */

struct link *hub_find(struct hub *h, const uint8_t remote_id[32])
{
    for (struct link *l = h->links; l != NULL; l = l->next)
        if (l->announced && l->state == LINK_UP && memcmp(l->peer.id, remote_id, 32) == 0)
            return l;
    return NULL;
}

/* Both dialled: the link whose initiator has the smaller node id stays. */
static bool newer_stays(const struct hub *h, const struct link *newer)
{
    bool own_smaller = memcmp(h->own_id, newer->peer.id, 32) < 0;

    return newer->initiator == own_smaller;
}

void hub_link_up(struct link *l)
{
    struct hub *h = l->hub;

    if (!l->initiator && !h->setup.admit(h->setup.user, &l->peer)) {
        h->counters.refused++;
        link_end(l, "its key is not known here");
        return;
    }
    if (!l->peer.researcher && !(l->initiator && !l->dial->keep)) {
        struct link *other = hub_find(h, l->peer.id);

        if (other != NULL && other->initiator != l->initiator && !newer_stays(h, l)) {
            link_close(l, "a second link to the same node");
            return;
        }
        if (other != NULL)
            link_close(other, "a second link to the same node");
    }
    if (l->dial != NULL)
        l->dial->backoff = BACKOFF_FIRST_MS;
    l->announced = true;
    l->dirty = true;
    if (h->setup.up != NULL)
        h->setup.up(h->setup.user, l);
}

void hub_link_gone(struct link *l)
{
    struct hub *h = l->hub;

    for (struct link **at = &h->links; *at != NULL; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            break;
        }
    if (l->announced && h->setup.down != NULL)
        h->setup.down(h->setup.user, l, l->why);
    else if (!l->announced)
        h->counters.faults++;
    if (l->dial != NULL && !h->stopping) {
        char why[600];
        const char *address = strstr(l->dial->endpoint, "://");

        (void)snprintf(why, sizeof why, "the node at %s: %s",
                       address != NULL ? address + 3 : l->dial->endpoint, l->why);
        if (l->announced) {
            l->dial->linked = false;
            l->dial->next_try = l->dial->keep && !l->dial->forgotten
                                    ? clock_mono_ms() + randombytes_uniform(BACKOFF_FIRST_MS)
                                    : INT64_MAX;
        } else {
            dial_failed(l->dial, why);
        }
    }
    link_free(l);
}

/* ---- watches and timers ---- */

enum fault hub_watch(struct cx *cx, struct hub *h, int fd, short events, hub_ready *ready,
                     void *user)
{
    struct watch *w = malloc(sizeof *w);
    size_t n = 0;

    for (const struct watch *other = h->watches; other != NULL; other = other->next)
        n++;
    if (w == NULL || n >= WATCHES_MAX) {
        free(w);
        return cx_fail(cx, FAULT_MEMORY, "too many descriptors to watch");
    }
    *w = (struct watch){h->watches, fd, events, ready, user};
    h->watches = w;
    return FAULT_NONE;
}

void hub_unwatch(struct hub *h, int fd)
{
    for (struct watch **at = &h->watches; *at != NULL; at = &(*at)->next)
        if ((*at)->fd == fd) {
            struct watch *w = *at;

            *at = w->next;
            free(w);
            return;
        }
}

uint64_t hub_after(struct hub *h, int64_t delay_ms, hub_timer *run, void *user)
{
    struct timer *t = malloc(sizeof *t);

    if (t == NULL)
        return 0;
    *t = (struct timer){h->timers, ++h->next_timer, clock_mono_ms() + delay_ms, run, user};
    h->timers = t;
    return t->id;
}

void hub_cancel_timer(struct hub *h, uint64_t id)
{
    for (struct timer **at = &h->timers; *at != NULL; at = &(*at)->next)
        if ((*at)->id == id) {
            struct timer *t = *at;

            *at = t->next;
            free(t);
            return;
        }
}

/* One due timer at a time: what it runs may change the list. */
static bool run_timer(struct hub *h, int64_t now)
{
    for (struct timer **at = &h->timers; *at != NULL; at = &(*at)->next)
        if ((*at)->at <= now) {
            struct timer *t = *at;

            *at = t->next;
            t->run(t->user);
            free(t);
            return true;
        }
    return false;
}

/* ---- the loop ---- */

static void run_events(struct hub *h)
{
    uint64_t count;

    if (read(h->wake, &count, sizeof count) < 0 && errno != EAGAIN && errno != EINTR)
        return;
    nng_mtx_lock(h->lock);
    struct event *e = h->first;
    h->first = NULL;
    h->last = &h->first;
    nng_mtx_unlock(h->lock);
    while (e != NULL) {
        struct event *next = e->next;

        if (e->kind == EVENT_RX)
            link_read_done(e->object);
        else if (e->kind == EVENT_TX)
            link_write_done(e->object);
        else if (e->kind == EVENT_ACCEPT)
            accept_done(h);
        else
            dial_done(e->object);
        free(e);
        e = next;
    }
}

/* Ended links whose aios are both idle go; the others send what waits. */
static void settle(struct hub *h)
{
    for (bool again = true; again;) {
        again = false;
        for (struct link *l = h->links; l != NULL; l = l->next)
            if (l->state == LINK_CLOSING && link_is_idle(l)) {
                hub_link_gone(l);
                again = true;
                break;
            }
    }
    for (struct link *l = h->links; l != NULL; l = l->next)
        if (l->dirty)
            link_pump(l);
}

static int64_t next_deadline(const struct hub *h)
{
    int64_t next = INT64_MAX;

    for (const struct timer *t = h->timers; t != NULL; t = t->next)
        next = t->at < next ? t->at : next;
    for (const struct dial *d = h->dials; d != NULL; d = d->next)
        if (!d->busy && !d->linked && d->next_try < next)
            next = d->next_try;
    for (const struct link *l = h->links; l != NULL; l = l->next) {
        int64_t at = link_next_deadline(l);

        next = at < next ? at : next;
    }
    return next;
}

static enum fault turn(struct cx *cx, struct hub *h)
{
    struct pollfd fds[WATCHES_MAX + 1] = {{.fd = h->wake, .events = POLLIN}};
    struct watch *list[WATCHES_MAX + 1] = {NULL};
    nfds_t n = 1;
    int64_t now = clock_mono_ms();

    for (struct link *l = h->links, *next; l != NULL; l = next) {
        next = l->next;
        link_tick(l, now);
    }
    while (run_timer(h, now))
        ;
    start_dials(h, now);
    settle(h);
    for (struct watch *w = h->watches; w != NULL; w = w->next, n++) {
        fds[n] = (struct pollfd){.fd = w->fd, .events = w->events};
        list[n] = w;
    }
    int64_t at = next_deadline(h), wait = at == INT64_MAX ? 60000 : at - clock_mono_ms();
    if (wait < 0)
        wait = 0;
    if (poll(fds, n, (int)(wait > 60000 ? 60000 : wait)) < 0 && errno != EINTR)
        return cx_fail(cx, FAULT_IO, "poll: %s", strerror(errno));
    run_events(h);
    for (nfds_t i = 1; i < n; i++) {
        bool still = false;

        for (const struct watch *w = h->watches; w != NULL; w = w->next)
            still = still || w == list[i];
        if (still && fds[i].revents != 0)
            list[i]->ready(list[i]->user, fds[i].fd, fds[i].revents);
    }
    settle(h);
    return FAULT_NONE;
}

enum fault hub_run(struct cx *cx, struct hub *h, bool (*until)(void *user), void *user)
{
    while (!h->stopping && !(until != NULL && until(user)))
        TRY(turn(cx, h));
    return FAULT_NONE;
}

void hub_stop(struct hub *h)
{
    uint64_t one = 1;

    h->stopping = 1;
    if (write(h->wake, &one, sizeof one) < 0)
        return; /* the counter is full: the loop is awake anyway */
}

/* ---- the end ---- */

static bool is_quiet(const struct hub *h)
{
    bool busy = h->accept_busy || h->links != NULL;

    for (const struct dial *d = h->dials; d != NULL; d = d->next)
        busy = busy || d->busy;
    return !busy;
}

static void end_all(struct hub *h)
{
    int64_t until = clock_mono_ms() + CLOSE_MS;

    h->stopping = 1;
    if (h->listener != NULL)
        nng_stream_listener_close(h->listener);
    if (h->accept_busy)
        nng_aio_cancel(h->accept);
    for (struct dial *d = h->dials; d != NULL; d = d->next) {
        nng_stream_dialer_close(d->dialer);
        if (d->busy)
            nng_aio_cancel(d->aio);
    }
    for (struct link *l = h->links; l != NULL; l = l->next)
        link_close(l, "this side stops");
    while (!is_quiet(h) && clock_mono_ms() < until) {
        struct pollfd wake = {.fd = h->wake, .events = POLLIN};

        (void)poll(&wake, 1, 20);
        run_events(h);
        settle(h);
    }
}

void hub_free(struct hub **hub)
{
    struct hub *h = *hub;

    if (h == NULL)
        return;
    if (h->lock != NULL && h->accept != NULL)
        end_all(h);
    if (h->lock != NULL && h->accept != NULL && !is_quiet(h)) {
        *hub = NULL; /* an aio that does not end (nng 1.5.2): its memory stays until exit */
        return;
    }
    while (h->dials != NULL) {
        struct dial *d = h->dials;

        h->dials = d->next;
        dial_free(d);
    }
    if (h->listener != NULL)
        nng_stream_listener_free(h->listener);
    if (h->accept != NULL)
        nng_aio_free(h->accept);
    while (h->timers != NULL)
        hub_cancel_timer(h, h->timers->id);
    while (h->watches != NULL)
        hub_unwatch(h, h->watches->fd);
    if (h->lock != NULL)
        nng_mtx_free(h->lock);
    if (h->wake >= 0)
        (void)close(h->wake);
    free(h->prologue);
    free(h->buckets);
    free(h);
    *hub = NULL;
}

struct hub_counters hub_counters(const struct hub *h)
{
    struct hub_counters c = h->counters;

    for (const struct link *l = h->links; l != NULL; l = l->next)
        c.links += l->announced;
    c.unauthenticated = unauthenticated(h);
    c.receive_bytes = h->receive_bytes;
    return c;
}

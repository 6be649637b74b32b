/* hub.c - the loop of one process: queue, timers, descriptors, all links. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/link_private.h"

enum { TICK_MS = 250, SCRATCH = 1 << 16 };

/* ---- Ops: from nng's threads to the loop ---- */

static void wake(struct hub *hub)
{
    const uint64_t one = 1;
    ssize_t n = write(hub->wake, &one, sizeof one); /* fails only when it is set already */

    (void)n;
}

static void queue_op(struct op *op)
{
    struct hub *hub = op->hub;
    bool first;

    op->next = NULL;
    (void)pthread_mutex_lock(&hub->lock);
    first = hub->first == NULL;
    if (first)
        hub->first = op;
    else
        hub->last->next = op;
    hub->last = op;
    (void)pthread_mutex_unlock(&hub->lock);
    if (first)
        wake(hub);
}

/* On an nng thread: queue, and no more. */
static void op_ended(void *arg)
{
    struct op *op = arg;

    op->result = nng_aio_result(op->aio);
    op->count = op->result == 0 ? nng_aio_count(op->aio) : 0;
    op->output = op->result == 0 ? nng_aio_get_output(op->aio, 0) : NULL;
    queue_op(op);
}

void op_finish(struct op *op, int result, size_t count)
{
    op->result = result;
    op->count = count;
    op->output = NULL;
    queue_op(op);
}

bool op_new(struct op *op, struct hub *hub, void (*done)(struct op *), void *owner)
{
    *op = (struct op){.hub = hub, .done = done, .owner = owner};
    return nng_aio_alloc(&op->aio, op_ended, op) == 0;
}

/* Not busy: its callback has queued it, so this waits for the callback's return at most. */
void op_free(struct op *op)
{
    if (op->aio != NULL)
        nng_aio_free(op->aio);
    op->aio = NULL;
}

void op_begin(struct op *op, int64_t timeout_ms)
{
    nng_aio_set_timeout(op->aio, (nng_duration)timeout_ms);
    op->busy = true;
}

static void run_ops(struct hub *hub)
{
    struct op *op, *next;

    (void)pthread_mutex_lock(&hub->lock);
    op = hub->first;
    hub->first = hub->last = NULL;
    (void)pthread_mutex_unlock(&hub->lock);
    for (; op != NULL; op = next) {
        next = op->next;
        op->busy = false;
        op->done(op);
    }
}

int64_t hub_ping_ms(const struct hub *hub)
{
    return hub->setup.ping_ms > 0 ? hub->setup.ping_ms : LINK_PING_MS;
}

int64_t hub_dead_ms(const struct hub *hub)
{
    return hub->setup.dead_ms > 0 ? hub->setup.dead_ms : LINK_DEAD_MS;
}

/* ---- Links ---- */

void hub_set_own_id(struct hub *hub, const uint8_t id[32])
{
    memcpy(hub->id, id, 32);
    hub->has_id = true;
}

struct link *hub_find(struct hub *hub, const uint8_t remote_id[32])
{
    struct link *second = NULL;

    for (struct link *l = hub->links; l != NULL; l = l->next) {
        if (l->state != LINK_UP || !link_is_with(l, false, remote_id))
            continue;
        if (!l->draining)
            return l;
        second = l;
    }
    return second;
}

void hub_each(struct hub *hub, void (*see)(void *user, struct link *link), void *user)
{
    struct link *following;

    for (struct link *l = hub->links; l != NULL; l = following) {
        following = l->next;
        if (l->state == LINK_UP)
            see(user, l);
    }
}

/* The link is down: says so once, to calls and to the owner. */
static void tell_down(struct link *link)
{
    struct hub *hub = link->hub;

    link->told = true;
    streams_end(link);
    tunnels_end(link);
    if (link->counted)
        hub->counters.unauthenticated--;
    link->counted = false;
    if (link->was_up)
        hub->counters.links--;
    if (link->was_up && hub->setup.down != NULL)
        hub->setup.down(hub->setup.user, link, link->why);
    dial_link_ended(hub, link);
}

/* Only here, at the bottom of the loop, is anything freed that a callback may have held. */
static void reap(struct hub *hub)
{
    for (struct link *l = hub->links; l != NULL; l = l->next)
        if (!l->told && (l->state == LINK_LINGER || l->state == LINK_CLOSED))
            tell_down(l);
    for (struct link **at = &hub->links; *at != NULL;) {
        struct link *l = *at;

        if (l->state != LINK_CLOSED || !l->told || l->rx.busy || l->tx.busy) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        for (struct dial *d = hub->dials; d != NULL; d = d->next)
            if (d->link == l)
                d->link = NULL;
        link_free(l);
    }
    for (struct dial **at = &hub->dials; *at != NULL;) {
        struct dial *next = (*at)->next;

        if (dial_reap(*at))
            *at = next;
        else
            at = &(*at)->next;
    }
}

static void flush(struct hub *hub)
{
    for (struct link *l = hub->links; l != NULL; l = l->next)
        link_flush(l);
}

static void tick(struct hub *hub, int64_t now)
{
    if (hub->accept_due != 0 && now >= hub->accept_due && !hub->freeing)
        accept_next(hub);
    for (struct dial *d = hub->dials; d != NULL; d = d->next)
        dial_tick(d, now);
    relay_grants_tick(hub, now);
    if (now - hub->ticked < TICK_MS)
        return;
    hub->ticked = now;
    for (struct link *l = hub->links; l != NULL; l = l->next)
        link_tick(l, now);
    relay_pairs_tick(hub, now);
}

/* ---- Timers and descriptors ---- */

uint64_t hub_after(struct hub *hub, int64_t delay_ms, hub_timer *timer, void *user)
{
    int64_t now = clock_mono_ms();
    struct timer **at = &hub->timers, *t = malloc(sizeof *t);

    if (t == NULL)
        return 0;
    delay_ms = delay_ms < 0 ? 0 : delay_ms > INT64_MAX - now ? INT64_MAX - now : delay_ms;
    *t = (struct timer){
        .id = ++hub->next_timer, .at = now + delay_ms, .run = timer, .user = user};
    while (*at != NULL && (*at)->at <= t->at)
        at = &(*at)->next;
    t->next = *at;
    *at = t;
    return t->id;
}

void hub_cancel_timer(struct hub *hub, uint64_t id)
{
    for (struct timer **at = &hub->timers; id != 0 && *at != NULL; at = &(*at)->next)
        if ((*at)->id == id) {
            struct timer *t = *at;

            *at = t->next;
            free(t);
            return;
        }
}

/* Those due now and made before now: a timer that sets itself again does not stop the loop.
 */
static void run_timers(struct hub *hub, int64_t now)
{
    uint64_t newest = hub->next_timer;

    for (struct timer **at = &hub->timers; *at != NULL && (*at)->at <= now;) {
        struct timer *t = *at;

        if (t->id > newest) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        t->run(t->user);
        free(t);
        at = &hub->timers; /* the list may be another by now */
    }
}

enum fault hub_watch(struct cx *cx, struct hub *hub, int fd, short events, hub_ready *ready,
                     void *user)
{
    if (fd < 0)
        return cx_fail(cx, FAULT_INTERNAL, "cannot watch descriptor %d", fd);
    for (size_t i = 0; i < hub->n_watches; i++)
        if (hub->watches[i].fd == fd) { /* again: with other events */
            hub->watches[i] = (struct watch){fd, events, ready, user};
            return FAULT_NONE;
        }
    if (hub->n_watches == hub->watch_room) {
        size_t room = hub->watch_room > 0 ? 2 * hub->watch_room : 8;
        struct watch *w = realloc(hub->watches, room * sizeof *w);

        if (w == NULL)
            return cx_fail(cx, FAULT_MEMORY, "no memory to watch a descriptor");
        hub->watches = w;
        hub->watch_room = room;
    }
    hub->watches[hub->n_watches++] = (struct watch){fd, events, ready, user};
    return FAULT_NONE;
}

void hub_unwatch(struct hub *hub, int fd)
{
    for (size_t i = 0; i < hub->n_watches; i++)
        if (hub->watches[i].fd == fd) {
            hub->watches[i] = hub->watches[--hub->n_watches];
            return;
        }
}

static void run_ready(struct hub *hub, const struct pollfd *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; fds[i].revents != 0 && k < hub->n_watches; k++)
            if (hub->watches[k].fd == fds[i].fd) { /* not unwatched since */
                struct watch w = hub->watches[k];

                w.ready(w.user, w.fd, fds[i].revents);
                break;
            }
}

/* ---- The loop ---- */

static int wait_ms(const struct hub *hub, int64_t now)
{
    int64_t at = now + 3600 * 1000;

    if (hub->links != NULL && hub->ticked + TICK_MS < at)
        at = hub->ticked + TICK_MS;
    if (hub->timers != NULL && hub->timers->at < at)
        at = hub->timers->at;
    if (hub->accept_due != 0 && hub->accept_due < at)
        at = hub->accept_due;
    if (hub->grants_due != 0 && hub->grants_due < at)
        at = hub->grants_due;
    for (const struct dial *d = hub->dials; d != NULL; d = d->next)
        if (dial_next_due(d) < at)
            at = dial_next_due(d);
    return at <= now ? 0 : (int)(at - now);
}

/* One turn: wait for something, handle it, send what came of it, free what ended. */
static enum fault turn(struct cx *cx, struct hub *hub, int most_ms)
{
    size_t n = hub->n_watches + 1;
    struct pollfd few[16], *fds = n <= COUNT(few) ? few : calloc(n, sizeof *fds);
    int64_t now = clock_mono_ms();
    int wait = wait_ms(hub, now), ready;
    uint64_t count;

    if (fds == NULL)
        return cx_fail(cx, FAULT_MEMORY, "no memory to wait for %zu descriptors", n);
    fds[0] = (struct pollfd){.fd = hub->wake, .events = POLLIN};
    for (size_t i = 1; i < n; i++)
        fds[i] = (struct pollfd){.fd = hub->watches[i - 1].fd,
                                 .events = hub->watches[i - 1].events};
    ready = poll(fds, n, wait < most_ms ? wait : most_ms);
    if (ready < 0 && errno != EINTR) {
        if (fds != few)
            free(fds);
        return cx_fail(cx, FAULT_IO, "waiting for descriptors: %s", strerror(errno));
    }
    if (ready > 0 && fds[0].revents != 0 && read(hub->wake, &count, sizeof count) < 0)
        count = 0; /* another turn took it */
    run_ops(hub);
    if (ready > 0)
        run_ready(hub, fds + 1, n - 1);
    if (fds != few)
        free(fds);
    now = clock_mono_ms();
    run_timers(hub, now);
    tick(hub, now);
    reap(hub);
    flush(hub);
    return FAULT_NONE;
}

enum fault hub_run(struct cx *cx, struct hub *hub, bool (*until)(void *user), void *user)
{
    enum fault fault = FAULT_NONE;

    flush(hub);
    while (fault == FAULT_NONE && !atomic_load(&hub->stop) &&
           (until == NULL || !until(user)))
        fault = turn(cx, hub, INT_MAX);
    atomic_store(&hub->stop, false);
    return fault;
}

/* Async-signal-safe. */
void hub_stop(struct hub *hub)
{
    atomic_store(&hub->stop, true);
    wake(hub);
}

/* ---- Beginning and end ---- */

enum fault hub_new(struct cx *cx, const struct hub_setup *setup, struct hub **ret)
{
    struct hub *hub;

    if (sodium_init() < 0)
        return cx_fail(cx, FAULT_INTERNAL, "libsodium does not start");
    hub = calloc(1, sizeof *hub);
    if (hub == NULL)
        return cx_fail(cx, FAULT_MEMORY, "no memory for links");
    hub->setup = *setup;
    hub->cx = cx_new(SCRATCH, CX_NO_DEADLINE);
    hub->prologue = malloc(setup->prologue.n > 0 ? setup->prologue.n : 1);
    hub->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (hub->cx == NULL || hub->prologue == NULL || hub->wake < 0) {
        cx_free(&hub->cx);
        free(hub->prologue);
        if (hub->wake >= 0)
            (void)close(hub->wake);
        free(hub);
        return cx_fail(cx, FAULT_MEMORY, "no memory or descriptor for links");
    }
    if (setup->prologue.n > 0)
        memcpy(hub->prologue, setup->prologue.p, setup->prologue.n);
    hub->setup.prologue.p = hub->prologue;
    (void)pthread_mutex_init(&hub->lock, NULL); /* never fails with default attributes */
    *ret = hub;
    return FAULT_NONE;
}

static bool all_idle(const struct hub *hub)
{
    for (const struct link *l = hub->links; l != NULL; l = l->next)
        if (l->state == LINK_LINGER)
            return false;
    return true;
}

/* Says goodbye for LINGER_MS at most, then closes and waits for nng to hand everything
 * back. False: it did not within WATCHDOG_MS. */
static bool close_all(struct hub *hub)
{
    int64_t now = clock_mono_ms(), bye = now + LINGER_MS, end = now + WATCHDOG_MS;

    hub->n_watches = 0;
    if (hub->listener != NULL) {
        nng_stream_listener_close(hub->listener);
        if (hub->accept.busy)
            nng_aio_cancel(hub->accept.aio);
    }
    for (struct dial *d = hub->dials; d != NULL; d = d->next)
        dial_stop(d);
    for (struct link *l = hub->links; l != NULL; l = l->next)
        link_close(l, "the other side ends");
    while (clock_mono_ms() < end) {
        if (turn(hub->cx, hub, 20) != FAULT_NONE)
            return false;
        if (all_idle(hub) || clock_mono_ms() >= bye)
            for (struct link *l = hub->links; l != NULL; l = l->next)
                link_drop(l, "this side ends");
        if (hub->links == NULL && hub->dials == NULL && !hub->accept.busy)
            return true;
    }
    return false;
}

void hub_free(struct hub **hub_)
{
    struct hub *hub = *hub_;
    bool ended;

    if (hub == NULL)
        return;
    hub->freeing = true;
    while (hub->timers != NULL) { /* nobody's timer runs any more */
        struct timer *t = hub->timers;

        hub->timers = t->next;
        free(t);
    }
    ended = close_all(hub); /* callbacks run, and may ask the hub */
    *hub_ = NULL;
    if (!ended)
        return; /* nng holds on to something: rather leak it than free it under its feet */
    if (hub->listener != NULL) {
        op_free(&hub->accept);
        nng_stream_listener_free(hub->listener);
    }
    while (hub->orphans != NULL)
        served_free(hub->orphans);
    while (hub->timers != NULL)
        hub_cancel_timer(hub, hub->timers->id);
    relay_pairs_free(hub);
    (void)close(hub->wake);
    (void)pthread_mutex_destroy(&hub->lock);
    cx_free(&hub->cx);
    free(hub->watches);
    free(hub->prologue);
    free(hub);
}

struct hub_counters hub_counters(const struct hub *hub)
{
    struct hub_counters c = hub->counters;

    c.tunnels = hub->n_tunnels;
    c.pairs = hub->n_pairs;
    for (const struct relay_pair *p = hub->pairs; p != NULL; p = p->next)
        c.carried += p->ends / 2;
    return c;
}

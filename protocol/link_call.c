/*
 * link_call.c - the calls of a link, ours and the peer's: one stream is a request,
 * progress, one reply.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/link_private.h"

/* ---- Calls that we make ---- */

static struct call *find_call(struct link *link, uint32_t stream)
{
    for (struct call *c = link->calls; c != NULL; c = c->next)
        if (c->stream == stream)
            return c;
    return NULL;
}

/* Takes the call out of the link first: done may call, cancel or close. */
static void call_end(struct call *call, enum fault fault, bool tell)
{
    struct link *link = call->link;
    struct hub *hub = link->hub;
    struct bytes body = {call->in.p, 0};

    for (struct call **at = &link->calls; *at != NULL; at = &(*at)->next)
        if (*at == call) {
            *at = call->next;
            break;
        }
    link->n_calls--;
    out_remove(link, call->stream);
    hub_cancel_timer(hub, call->timer);
    if (tell)
        link_control(link, FRAME_CANCEL, 0, call->stream, bytes_of(NULL, 0));
    if (call->in.started && call->in.received == call->in.total)
        body.n = call->in.received;
    call->done(call->user, fault, body);
    incoming_free(link, hub, &call->in);
    free(call);
    reserve_waiting(link);
}

static void call_late(void *user)
{
    struct call *call = user;

    call->timer = 0;
    call_end(call, FAULT_TIMEOUT, true);
}

void call_cancel(struct call *call)
{
    call_end(call, FAULT_CANCELLED, true);
}

static enum fault check_call(struct cx *cx, const struct link *link, struct bytes body,
                             int64_t left)
{
    if (link->state != LINK_UP || link->draining || link->hub->freeing ||
        link->next_stream >= UINT32_MAX - 2)
        return cx_fail(cx, FAULT_UNAVAILABLE, "the link is closing");
    if (link->n_calls >= LINK_STREAMS_MAX)
        return cx_fail(cx, FAULT_UNAVAILABLE, "%d calls are running on this link already",
                       LINK_STREAMS_MAX);
    if (body.n > LINK_MESSAGE_MAX)
        return cx_fail(cx, FAULT_BOUND, "a request of %zu bytes, at most %d", body.n,
                       LINK_MESSAGE_MAX);
    if (left <= 0)
        return cx_fail(cx, FAULT_TIMEOUT, "the deadline of the call has passed");
    return FAULT_NONE;
}

enum fault link_call(struct cx *cx, struct link *link, enum service service,
                     struct bytes body, int64_t deadline, call_done *done,
                     call_progress *progress, void *user, struct call **ret_call)
{
    int64_t left = deadline == CX_NO_DEADLINE ? 1 : deadline - clock_mono_ms();
    struct outgoing *out;
    struct call *call;

    TRY(check_call(cx, link, body, left));
    call = calloc(1, sizeof *call);
    if (call == NULL)
        return cx_fail(cx, FAULT_MEMORY, "no memory for a call");
    *call = (struct call){.link = link,
                          .stream = link->next_stream,
                          .done = done,
                          .progress = progress,
                          .user = user};
    if (deadline != CX_NO_DEADLINE &&
        (call->timer = hub_after(link->hub, left, call_late, call)) == 0) {
        free(call);
        return cx_fail(cx, FAULT_MEMORY, "no memory for a call");
    }
    out = out_new(link, FRAME_OPEN, call->stream, body);
    if (out == NULL) {
        hub_cancel_timer(link->hub, call->timer);
        free(call);
        return cx_fail(cx, FAULT_UNAVAILABLE, "too much waits to be sent on this link");
    }
    out->service = service;
    link->next_stream += 2;
    struct call **at = &link->calls; /* the oldest first */
    while (*at != NULL)
        at = &(*at)->next;
    *at = call;
    link->n_calls++;
    if (ret_call != NULL)
        *ret_call = call;
    return FAULT_NONE;
}

/* ---- Calls that the peer makes ---- */

static struct served *find_served(struct link *link, uint32_t stream)
{
    for (struct served *s = link->served; s != NULL; s = s->next)
        if (s->stream == stream && !s->cancelled)
            return s;
    return NULL;
}

void served_free(struct served *served)
{
    struct link *link = served->link;
    struct served **at = link != NULL ? &link->served : &served->hub->orphans;

    for (; *at != NULL; at = &(*at)->next)
        if (*at == served) {
            *at = served->next;
            break;
        }
    if (link != NULL) {
        link->n_served--;
        if (!served->cancelled)
            link->n_open--;
    }
    incoming_free(link, served->hub, &served->in);
    free(served->progress);
    free(served);
    if (link != NULL)
        reserve_waiting(link);
}

/* The peer does not want the answer any more. */
static void served_cancel(struct served *served)
{
    served->cancelled = true;
    served->link->n_open--;
    out_remove(served->link, served->stream);
    free(served->progress);
    served->progress = NULL;
    if (!served->asked)
        served_free(served);
}

/* A reply of a fault alone, for a call that nobody here was asked. */
static void refuse(struct link *link, uint32_t stream, enum fault fault)
{
    uint8_t p[FRAME_HEAD + REPLY_HEAD + WORD_MAX];
    struct outgoing out = {.stream = stream, .first = FRAME_REPLY, .fault = fault};
    size_t n = out_head(&out, p);

    link_control(link, FRAME_REPLY, FLAG_LAST, stream, bytes_of(p, n));
}

static bool take_request(struct served *served, bool last, struct bytes piece)
{
    struct link *link = served->link;
    struct hub *hub = link->hub;

    switch (incoming_put(link, &served->in, last, piece)) {
    case TAKEN_MORE:
        return true;
    case TAKEN_ALL:
        if (hub->setup.serve == NULL) {
            refuse(link, served->stream, FAULT_MISSING);
            served_cancel(served);
            return true;
        }
        served->asked = true;
        hub->setup.serve(hub->setup.user, link, served->service,
                         bytes_of(served->in.p, served->in.received), served);
        return true;
    case TAKEN_FULL:
        hub->counters.faults++;
        refuse(link, served->stream, FAULT_UNAVAILABLE);
        served_cancel(served);
        return true;
    default:
        return false;
    }
}

bool stream_open(struct link *link, uint32_t stream, bool last, struct bytes body)
{
    struct served *served;

    if (stream % 2 == link->next_stream % 2 || stream <= link->last_stream ||
        body.n < OPEN_HEAD || link->n_open >= LINK_STREAMS_MAX)
        return false;
    link->last_stream = stream;
    if (get_u32(body.p + 2) > link_message_max(link) &&
        get_u32(body.p + 2) <= LINK_MESSAGE_MAX) {
        refuse(link, stream, FAULT_BOUND);
        return true;
    }
    /* What follows on a refused stream falls to nobody: stream_data lets it pass. */
    if (peer_load(link).served >= SERVED_MAX || link->hub->freeing ||
        (served = calloc(1, sizeof *served)) == NULL) {
        link->hub->counters.faults++;
        refuse(link, stream, FAULT_UNAVAILABLE);
        return true;
    }
    served->hub = link->hub;
    served->link = link;
    memcpy(served->peer, link->peer.id, sizeof served->peer);
    served->stream = stream;
    served->service = (enum service)(body.p[0] << 8 | body.p[1]);
    struct served **at = &link->served;
    while (*at != NULL)
        at = &(*at)->next;
    *at = served;
    link->n_served++;
    link->n_open++;
    return incoming_begin(link, stream, &served->in, get_u32(body.p + 2)) &&
           take_request(served, last, bytes_of(body.p + OPEN_HEAD, body.n - OPEN_HEAD));
}

bool stream_cancel(struct link *link, uint32_t stream)
{
    struct served *served = find_served(link, stream);

    if (stream % 2 == link->next_stream % 2 || stream > link->last_stream)
        return false;
    if (served != NULL)
        served_cancel(served);
    else
        out_remove(link, stream); /* answered, and the answer is still leaving */
    return true;
}

static bool take_reply(struct call *call, bool last, struct bytes piece)
{
    switch (incoming_put(call->link, &call->in, last, piece)) {
    case TAKEN_MORE:
        return true;
    case TAKEN_ALL:
        call_end(call, call->fault, false);
        return true;
    case TAKEN_FULL:
        call->link->hub->counters.faults++;
        call_end(call, FAULT_UNAVAILABLE, true);
        return true;
    default:
        return false;
    }
}

static enum fault fault_of_word(const uint8_t *p, size_t n)
{
    for (int f = FAULT_NONE + 1; f <= FAULT_INTERNAL; f++) {
        const char *word = fault_name((enum fault)f);

        if (strlen(word) == n && memcmp(word, p, n) == 0)
            return (enum fault)f;
    }
    return FAULT_INTERNAL;
}

/* Whether the stream is one that we opened; late frames of an ended call pass unseen. */
static bool is_ours(const struct link *link, uint32_t stream)
{
    return stream % 2 == link->next_stream % 2 && stream < link->next_stream;
}

bool stream_reply(struct link *link, uint32_t stream, bool last, struct bytes body)
{
    struct call *call = find_call(link, stream);
    uint32_t total = body.n >= REPLY_HEAD ? get_u32(body.p) : 0;
    size_t word = body.n >= REPLY_HEAD ? body.p[4] : WORD_MAX + 1;

    if (!is_ours(link, stream) || word > WORD_MAX || body.n < REPLY_HEAD + word)
        return false;
    if (call == NULL)
        return true;
    if (call->in.started)
        return false;
    if (word > 0)
        call->fault = fault_of_word(body.p + REPLY_HEAD, word);
    out_remove(link, stream); /* a refusal may come before the request has left */
    body = bytes_of(body.p + REPLY_HEAD + word, body.n - REPLY_HEAD - word);
    return incoming_begin(link, stream, &call->in, total) && take_reply(call, last, body);
}

bool stream_data(struct link *link, uint32_t stream, bool last, struct bytes body)
{
    struct call *call;
    struct served *served;

    if (is_ours(link, stream)) {
        call = find_call(link, stream);
        return call == NULL || (call->in.started && take_reply(call, last, body));
    }
    if (stream % 2 == link->next_stream % 2 || stream > link->last_stream)
        return false;
    served = find_served(link, stream);
    return served == NULL || (!served->asked && take_request(served, last, body));
}

bool stream_progress(struct link *link, uint32_t stream, struct bytes body)
{
    struct call *call = find_call(link, stream);

    if (!is_ours(link, stream))
        return false;
    if (call != NULL && call->progress != NULL && !call->in.started)
        call->progress(call->user, body);
    return true;
}

bool stream_window(struct link *link, uint32_t stream, struct bytes body)
{
    bool known = is_ours(link, stream) ||
                 (stream % 2 != link->next_stream % 2 && stream <= link->last_stream);

    if (!known || body.n != 4 || get_u32(body.p) > LINK_MESSAGE_MAX)
        return false;
    for (struct outgoing *out = link->out; out != NULL; out = out->next)
        if (out->stream == stream) {
            if (out->credit > LINK_MESSAGE_MAX)
                return false;
            out->credit += get_u32(body.p);
        }
    return true;
}

struct link *served_link(struct served *served)
{
    return served->link;
}

bool served_is_cancelled(const struct served *served)
{
    return served->cancelled || served->link == NULL;
}

/* Only the newest progress waits. */
void served_progress(struct served *served, struct bytes body)
{
    uint8_t *p;

    if (served_is_cancelled(served) || body.n == 0 || body.n > FRAME_MAX ||
        (p = malloc(body.n)) == NULL)
        return;
    memcpy(p, body.p, body.n);
    free(served->progress);
    served->progress = p;
    served->n_progress = body.n;
    served->link->progress_due = true;
}

static void answer(struct served *served, enum fault fault, struct bytes body)
{
    struct link *link = served->link;
    struct outgoing *out;

    if (!served_is_cancelled(served) && link->state == LINK_UP) {
        if (body.n > LINK_MESSAGE_MAX) {
            fault = FAULT_BOUND;
            body.n = 0;
        }
        out = out_new(link, FRAME_REPLY, served->stream, body);
        if (out == NULL)
            link_drop(link, "the peer does not read its answers");
        else
            out->fault = fault;
    }
    served_free(served);
}

void served_reply(struct served *served, struct bytes body)
{
    answer(served, FAULT_NONE, body);
}

void served_fail(struct served *served, enum fault fault, struct bytes trouble)
{
    answer(served, fault == FAULT_NONE ? FAULT_INTERNAL : fault, trouble);
}

/* ---- Time and the end ---- */

/* A request that has begun and does not go on is given up. */
void streams_tick(struct link *link, int64_t now)
{
    for (struct served *s = link->served, *next; s != NULL; s = next) {
        next = s->next;
        if (s->asked || s->cancelled || s->in.credit == 0 ||
            now - s->in.moved < hub_dead_ms(link->hub))
            continue;
        refuse(link, s->stream, FAULT_TIMEOUT);
        served_cancel(s);
    }
}

void streams_end(struct link *link)
{
    while (link->calls != NULL)
        call_end(link->calls, FAULT_UNAVAILABLE, false);
    while (link->served != NULL) {
        struct served *s = link->served;

        if (!s->asked) {
            served_free(s);
            continue;
        }
        link->served = s->next;
        link->n_served--;
        link->reserved -= s->in.reserved ? s->in.total : 0;
        link->received -= s->in.received;
        s->in.reserved = false;
        s->link = NULL;
        s->next = s->hub->orphans;
        s->hub->orphans = s;
    }
    while (link->out != NULL)
        out_remove(link, link->out->stream);
}

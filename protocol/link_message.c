/*
 * link_message.c - the messages of a link's streams: pieces that arrive, pieces that leave.
 *
 * Receiving is bounded by reservation: WINDOW bytes of a message may come at once, the rest
 * when the link's budget has room for all of it; those that wait get theirs in turn. So a
 * message that was let in can always be finished, and no two can block each other.
 */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/link_private.h"

/* ---- What one peer has here ---- */

/* A researcher's id may be anybody's: a credential says so, and no key is proved by it. */
bool link_is_with(const struct link *link, bool researcher, const uint8_t id[32])
{
    return link->peer.researcher == researcher && memcmp(link->peer.id, id, 32) == 0;
}

struct load peer_load(const struct link *link)
{
    struct load load = {0};

    for (const struct link *l = link->hub->links; l != NULL; l = l->next)
        if (l->was_up && link_is_with(l, link->peer.researcher, link->peer.id)) {
            load.received += l->received;
            load.queued += l->queued;
            load.served += l->n_served;
            load.links += l->state == LINK_UP;
        }
    for (const struct served *s = link->hub->orphans; s != NULL; s = s->next)
        if (memcmp(s->peer, link->peer.id, 32) == 0) {
            load.received += s->in.received;
            load.served++;
        }
    return load;
}

uint32_t link_message_max(const struct link *link)
{
    return link->peer.message_max > 0 ? link->peer.message_max : LINK_MESSAGE_MAX;
}

/* ---- Messages that arrive ---- */

void incoming_free(struct link *link, struct hub *hub, struct incoming *in)
{
    if (link != NULL && in->reserved)
        link->reserved -= in->total;
    if (link != NULL)
        link->received -= in->received;
    hub->counters.receive_bytes -= in->received;
    free(in->p);
    *in = (struct incoming){0};
}

static void reserve(struct link *link, uint32_t stream, struct incoming *in)
{
    uint8_t more[4];

    if (!in->started || in->reserved || in->total > LINK_RECEIVE_MAX - link->reserved)
        return;
    in->reserved = true;
    link->reserved += in->total;
    if (in->total <= WINDOW)
        return;
    in->credit += in->total - WINDOW;
    put_u32(more, in->total - WINDOW);
    link_control(link, FRAME_WINDOW, 0, stream, bytes_of(more, sizeof more));
}

/* Room came free: the oldest that waits first. */
void reserve_waiting(struct link *link)
{
    for (struct served *s = link->served; s != NULL; s = s->next)
        if (!s->cancelled)
            reserve(link, s->stream, &s->in);
    for (struct call *c = link->calls; c != NULL; c = c->next)
        reserve(link, c->stream, &c->in);
}

bool incoming_begin(struct link *link, uint32_t stream, struct incoming *in, uint32_t total)
{
    if (total > link_message_max(link))
        return false;
    in->started = true;
    in->total = total;
    in->credit = total < WINDOW ? total : WINDOW;
    reserve(link, stream, in);
    return true;
}

enum taken incoming_put(struct link *link, struct incoming *in, bool last,
                        struct bytes piece)
{
    struct hub_counters *counters = &link->hub->counters;
    size_t need = in->received + piece.n, most = 3 * (size_t)link_message_max(link);

    if (piece.n > in->credit || need > in->total || last != (need == in->total) ||
        (piece.n == 0 && !last))
        return TAKEN_BROKEN;
    most = most < PEER_RECEIVE_MIN ? PEER_RECEIVE_MIN : most;
    if (piece.n > HUB_RECEIVE_MAX - counters->receive_bytes ||
        peer_load(link).received + piece.n > most)
        return TAKEN_FULL;
    if (need > in->size) {
        size_t more = need < GROW ? FRAME_MAX : GROW;
        size_t size = in->total < need + more ? in->total : need + more;
        uint8_t *p = realloc(in->p, size);

        if (p == NULL)
            return TAKEN_FULL;
        in->p = p;
        in->size = size;
    }
    if (piece.n > 0)
        memcpy(in->p + in->received, piece.p, piece.n);
    in->received += (uint32_t)piece.n;
    in->credit -= (uint32_t)piece.n;
    in->moved = clock_mono_ms();
    counters->receive_bytes += piece.n;
    link->received += piece.n;
    return last ? TAKEN_ALL : TAKEN_MORE;
}

/* ---- Messages that leave ---- */

struct outgoing *out_new(struct link *link, enum frame first, uint32_t stream,
                         struct bytes body)
{
    struct outgoing *out;

    if (body.n > LINK_MESSAGE_MAX || body.n + peer_load(link).queued > PEER_SEND_MAX ||
        (out = malloc(sizeof *out + body.n)) == NULL)
        return NULL;
    *out = (struct outgoing){
        .stream = stream, .first = first, .n = (uint32_t)body.n, .credit = WINDOW};
    if (body.n > 0)
        memcpy(out->bytes, body.p, body.n);
    link->queued += body.n;
    *link->out_end = out;
    link->out_end = &out->next;
    return out;
}

static void out_unlink(struct link *link, struct outgoing **at)
{
    struct outgoing *out = *at;

    *at = out->next;
    if (link->out_end == &out->next)
        link->out_end = at;
    out->next = NULL;
}

void out_remove(struct link *link, uint32_t stream)
{
    for (struct outgoing **at = &link->out; *at != NULL; at = &(*at)->next)
        if ((*at)->stream == stream) {
            struct outgoing *out = *at;

            out_unlink(link, at);
            link->queued -= out->n;
            free(out);
            return;
        }
}

static bool out_can_move(const struct outgoing *out)
{
    return !out->started || (out->at < out->n && out->credit > 0);
}

size_t out_head(const struct outgoing *out, uint8_t *p)
{
    const char *word = out->fault == FAULT_NONE ? "" : fault_name(out->fault);
    size_t n = strnlen(word, WORD_MAX);

    if (out->started)
        return 0;
    if (out->first == FRAME_OPEN) {
        put_u16(p, (unsigned)out->service);
        put_u32(p + 2, out->n);
        return OPEN_HEAD;
    }
    put_u32(p, out->n);
    p[4] = (uint8_t)n;
    memcpy(p + REPLY_HEAD, word, n);
    return REPLY_HEAD + n;
}

/* One frame of a message, as much as room, credit and FRAME_MAX allow. */
static size_t put_piece(struct outgoing *out, uint8_t *p, size_t room)
{
    size_t head = out_head(out, p + FRAME_HEAD), n = FRAME_MAX - head;

    n = n > room - FRAME_HEAD - head ? room - FRAME_HEAD - head : n;
    n = n > out->n - out->at ? out->n - out->at : n;
    n = n > out->credit ? out->credit : n;
    memcpy(p + FRAME_HEAD + head, out->bytes + out->at, n);
    p[0] = (uint8_t)(out->started ? FRAME_DATA : out->first);
    out->started = true;
    out->at += (uint32_t)n;
    out->credit -= (uint32_t)n;
    p[1] = out->at == out->n ? FLAG_LAST : 0;
    put_u32(p + 2, out->stream);
    put_u32(p + 6, (uint32_t)(head + n));
    return FRAME_HEAD + head + n;
}

static size_t put_progress(struct link *link, uint8_t *p, size_t room)
{
    size_t used = 0;

    link->progress_due = false;
    for (struct served *s = link->served; s != NULL; s = s->next) {
        if (s->progress == NULL)
            continue;
        if (FRAME_HEAD + s->n_progress > room - used) {
            link->progress_due = true;
            break;
        }
        p[used] = FRAME_PROGRESS;
        p[used + 1] = 0;
        put_u32(p + used + 2, s->stream);
        put_u32(p + used + 6, (uint32_t)s->n_progress);
        memcpy(p + used + FRAME_HEAD, s->progress, s->n_progress);
        used += FRAME_HEAD + s->n_progress;
        free(s->progress);
        s->progress = NULL;
    }
    return used;
}

/* Round robin: who has sent a piece goes to the end. */
size_t streams_fill(struct link *link, uint8_t *p, size_t room)
{
    enum { LEAST = FRAME_HEAD + REPLY_HEAD + WORD_MAX + 512 };
    size_t used = link->progress_due ? put_progress(link, p, room) : 0;
    struct outgoing **at = &link->out;

    while (*at != NULL && room - used >= LEAST) {
        struct outgoing *out = *at;

        if (!out_can_move(out)) {
            at = &out->next;
            continue;
        }
        used += put_piece(out, p + used, room - used);
        out_unlink(link, at);
        if (out->at == out->n) {
            link->queued -= out->n;
            free(out);
        } else {
            *link->out_end = out;
            link->out_end = &out->next;
        }
    }
    return used;
}

bool streams_wait(const struct link *link)
{
    for (const struct outgoing *out = link->out; out != NULL; out = out->next)
        if (out_can_move(out))
            return true;
    return link->progress_due;
}

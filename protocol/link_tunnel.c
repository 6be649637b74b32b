/*
 * link_tunnel.c - relayed streams on the links that carry them: their frames, their bounds.
 *
 *   origin --link--> relay --link--> far node      OPEN(to far)      OPEN(from origin)
 *
 * The relay copies bytes that it cannot read. A window is granted from end to end: the
 * relay passes grants on, as fast as it carries for a pair (relay_share.c), and takes no
 * byte that was not granted, so it holds TUNNEL_WINDOW of a stream at most, each way. Every frame of a stream leaves from what its end has due:
 * no peer can fill the buffer of another's small frames. One hop: no stream runs over a
 * link that is itself relayed.
 */
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/link_private.h"

static struct tunnel *find(const struct link *link, uint32_t stream)
{
    for (struct tunnel *t = link->tunnels; t != NULL; t = t->next)
        if (t->stream == stream)
            return t;
    return NULL;
}

/* Frames of a stream that has ended meanwhile pass unseen; of one that never was, not. */
static bool was_there(const struct link *link, uint32_t stream)
{
    return stream % 2 == link->next_tunnel % 2 ? stream < link->next_tunnel
                                               : stream <= link->last_tunnel;
}

static size_t count_of_node(const struct link *link)
{
    size_t n = 0;

    for (const struct link *l = link->hub->links; l != NULL; l = l->next)
        if (l->was_up && link_is_with(l, false, link->peer.id))
            n += l->n_tunnels;
    return n;
}

static bool has_room(const struct link *link)
{
    return link->hub->n_tunnels + 2 <= TUNNELS_MAX &&
           count_of_node(link) < TUNNELS_OF_NODE_MAX;
}

/* ---- Streams begin ---- */

static bool refuse(struct link *link, uint32_t stream, const char *why)
{
    link_control(link, FRAME_RELAY_CLOSE, 0, stream,
                 bytes_of(why, strnlen(why, WHY_MAX - 1)));
    return true;
}

struct tunnel *tunnel_to(struct link *over, const uint8_t far[32])
{
    struct tunnel *t;

    if (!has_room(over) || over->next_tunnel >= UINT32_MAX - 2 ||
        (t = tunnel_new(over, over->next_tunnel, far)) == NULL)
        return NULL;
    over->next_tunnel += 2;
    t->open_due = true;
    return t;
}

/* Both ends are linked with us directly, both are nodes: members to members, one hop. */
static bool carry(struct link *link, uint32_t stream, const uint8_t to[32])
{
    struct link *target = hub_direct(link->hub, to);
    struct relay_pair *pair;
    struct tunnel *near, *far;

    if (memcmp(to, link->hub->id, 32) == 0 || memcmp(to, link->peer.id, 32) == 0)
        return refuse(link, stream, "the relay carries to a third node only");
    if (target == NULL)
        return refuse(link, stream, "the relay has no link with that node");
    if ((pair = relay_pair_begin(link->hub, link->peer.id, to)) == NULL) {
        link->hub->counters.faults++;
        return refuse(link, stream, "the relay carries as much as it may for this pair");
    }
    if ((near = tunnel_new(link, stream, to)) == NULL)
        return refuse(link, stream, "the relay has no memory");
    if ((far = tunnel_to(target, link->peer.id)) == NULL) {
        tunnel_unlink(near);
        return refuse(link, stream, "the relay has no room");
    }
    near->relays = far->relays = true;
    near->pair = far->pair = pair;
    pair->ends += 2;
    near->other = far;
    far->other = near;
    return true;
}

static bool take_end(struct link *link, uint32_t stream, const uint8_t from[32])
{
    struct hub *hub = link->hub;
    struct tunnel *t;

    if (memcmp(from, hub->id, 32) == 0 || memcmp(from, link->peer.id, 32) == 0)
        return refuse(link, stream, "a stream from a node that does not need a relay");
    /* Those who knock through relays leave room for those who knock themselves. */
    if (hub->counters.unauthenticated >= LINK_UNAUTHENTICATED_MAX / 2 ||
        (t = tunnel_new(link, stream, from)) == NULL)
        return refuse(link, stream, "the other end has no room");
    if (!hub_accept(hub, NULL, t)) {
        tunnel_unlink(t);
        return refuse(link, stream, "the other end has no room");
    }
    return true;
}

bool tunnel_open(struct link *link, uint32_t stream, bool from, struct bytes body)
{
    struct hub *hub = link->hub;

    if (stream % 2 == link->next_tunnel % 2 || stream <= link->last_tunnel ||
        body.n != 32 || link->peer.researcher || link->tunnel != NULL)
        return false;
    link->last_tunnel = stream;
    if (!hub->setup.relay || !hub->has_id || hub->freeing)
        return refuse(link, stream, "this node relays nothing");
    if (!bucket_take(hub->openers, link->peer.id, TUNNEL_OPENS_BURST, TUNNEL_OPENS_RATE) ||
        !has_room(link)) {
        hub->counters.faults++;
        return refuse(link, stream, "too many relayed streams");
    }
    return from ? take_end(link, stream, body.p) : carry(link, stream, body.p);
}

/* ---- Streams end ---- */

static void begin_closing(struct tunnel *t, const char *why)
{
    if (t->closing)
        return;
    t->closing = true;
    t->closing_since = clock_mono_ms();
    t->why = why;
}

/* The far end hears of it once what waits has left. */
static void close_other(struct tunnel *t, const char *why)
{
    if (t->other == NULL)
        return;
    t->other->other = NULL;
    begin_closing(t->other, why);
    t->other = NULL;
}

/* The link inside ends, unless it has yet to read what came before. */
static void cut(struct tunnel *t, const char *why)
{
    struct link *inner = t->inner;

    close_other(t, "the relay lost its link with the other end");
    tunnel_unlink(t); /* frees it, without a link inside */
    if (inner != NULL && t->in.n == 0)
        link_drop(inner, "%s", why);
}

bool tunnel_close(struct link *link, uint32_t stream, struct bytes body)
{
    struct tunnel *t = find(link, stream);
    bool clean = body.n < WHY_MAX && utf8_is_clean((const char *)body.p, body.n);
    char why[WHY_MAX] = "the other end closed";

    if (!clean)
        return false;
    if (t == NULL)
        return was_there(link, stream);
    if (body.n > 0) {
        memcpy(why, body.p, body.n);
        why[body.n] = '\0';
    }
    close_other(t, "the other end closed");
    cut(t, why);
    return true;
}

void tunnels_end(struct link *link)
{
    while (link->tunnels != NULL)
        cut(link->tunnels, "the link with the relay ended");
}

void tunnels_tick(struct link *link, int64_t now)
{
    for (struct tunnel *t = link->tunnels; t != NULL; t = t->next)
        if (t->closing && t->out.n > 0 && now - t->closing_since >= TUNNEL_CLOSING_MS) {
            relay_gave(t, t->out.n);
            queue_free(&t->out);
        }
}

/* ---- Bytes that arrive ---- */

/* Held here of what this node's streams brought, also of those that it has ended since. */
static size_t held_of_node(const struct link *link)
{
    size_t n = 0;

    for (const struct link *l = link->hub->links; l != NULL; l = l->next)
        for (const struct tunnel *t = l->tunnels; t != NULL; t = t->next)
            if (t->relays && memcmp(t->far, link->peer.id, 32) == 0)
                n += t->out.n;
    return n;
}

/* Only where all that is held would be too much for one node is it added up by node: a frame
 * of one byte must not cost a look at every stream. */
static bool node_may_have(const struct link *link, size_t n)
{
    return link->hub->tunnel_bytes + n <= TUNNEL_BYTES_OF_NODE_MAX ||
           held_of_node(link) + n <= TUNNEL_BYTES_OF_NODE_MAX;
}

static void pass_on(struct tunnel *t, struct bytes body)
{
    struct hub *hub = t->over->hub;
    bool room = node_may_have(t->over, body.n) && relay_take(t, body.n);

    if (room && queue_put(&t->other->out, body))
        return;
    if (room)
        relay_gave(t, body.n);
    hub->counters.faults++;
    close_other(t, "the relay has no room");
    begin_closing(t, "the relay has no room");
}

bool tunnel_data(struct link *link, uint32_t stream, struct bytes body)
{
    struct tunnel *t = find(link, stream);

    if (body.n == 0)
        return false;
    if (t == NULL)
        return was_there(link, stream);
    if (body.n > t->expect)
        return false;
    t->expect -= (uint32_t)body.n;
    if (t->closing)
        return true;
    if (t->relays) {
        pass_on(t, body);
    } else if (queue_put(&t->in, body)) {
        tunnel_pull(t);
    } else {
        tunnel_shut(t);
    }
    return true;
}

/* Grants are large, so that they are few: each stands for bytes that have arrived. */
bool tunnel_window(struct link *link, uint32_t stream, struct bytes body)
{
    struct tunnel *t = find(link, stream);
    uint32_t more = body.n == 4 ? get_u32(body.p) : 0;

    if (more < TUNNEL_GRANT || more > TUNNEL_WINDOW)
        return false;
    if (t == NULL)
        return was_there(link, stream);
    if (!t->relays) {
        if (t->credit + more > TUNNEL_WINDOW)
            return false;
        t->credit += more;
        return true;
    }
    if (t->other == NULL)
        return true;
    if (t->other->expect + t->other->grant_held + t->out.n + more > TUNNEL_WINDOW)
        return false;
    relay_grant(t->other, more);
    return true;
}

/* ---- What is due ---- */

static size_t sendable(const struct tunnel *t)
{
    return t->relays || t->out.n < t->credit ? t->out.n : t->credit;
}

static bool is_over(const struct tunnel *t)
{
    return t->closing && t->out.n == 0;
}

bool tunnels_wait(const struct link *link)
{
    for (const struct tunnel *t = link->tunnels; t != NULL; t = t->next)
        if (t->open_due || t->grant_due > 0 || sendable(t) > 0 || is_over(t))
            return true;
    return false;
}

static size_t put_head(uint8_t *p, const struct tunnel *t, enum frame type, unsigned flags,
                       size_t n)
{
    p[0] = (uint8_t)type;
    p[1] = (uint8_t)flags;
    put_u32(p + 2, t->stream);
    put_u32(p + 6, (uint32_t)n);
    return FRAME_HEAD + n;
}

static size_t put_small(struct tunnel *t, uint8_t *p)
{
    size_t used = 0;

    if (t->open_due) {
        memcpy(p + FRAME_HEAD, t->far, 32);
        used = put_head(p, t, FRAME_RELAY_OPEN, t->relays ? FLAG_FROM : 0, 32);
    }
    t->open_due = false;
    if (t->grant_due > 0) {
        put_u32(p + used + FRAME_HEAD, t->grant_due);
        used += put_head(p + used, t, FRAME_RELAY_WINDOW, 0, 4);
    }
    t->grant_due = 0;
    return used;
}

static size_t put_data(struct tunnel *t, uint8_t *p, size_t room)
{
    size_t n = sendable(t);

    n = n > FRAME_MAX ? FRAME_MAX : n;
    n = n > room - FRAME_HEAD ? room - FRAME_HEAD : n;
    if (n == 0)
        return 0;
    queue_take(&t->out, p + FRAME_HEAD, n);
    if (t->relays)
        relay_gave(t, n);
    else
        t->credit -= (uint32_t)n;
    return put_head(p, t, FRAME_RELAY_DATA, 0, n);
}

static size_t put_close(struct tunnel *t, uint8_t *p)
{
    size_t n = strnlen(t->why, WHY_MAX - 1);

    memcpy(p + FRAME_HEAD, t->why, n);
    n = put_head(p, t, FRAME_RELAY_CLOSE, 0, n);
    close_other(t, "the other end closed");
    tunnel_unlink(t);
    return n;
}

/* Who has sent a piece goes to the end. */
static void to_the_end(struct link *link, struct tunnel **at)
{
    struct tunnel *t = *at;

    if (t->next == NULL)
        return;
    *at = t->next;
    t->next = NULL;
    *link->tunnels_end = t;
    link->tunnels_end = &t->next;
}

size_t tunnels_fill(struct link *link, uint8_t *p, size_t room)
{
    enum { LEAST = 4 * FRAME_HEAD + 32 + WHY_MAX + 512 };
    size_t used = 0;

    for (struct tunnel **at = &link->tunnels; *at != NULL && room - used >= LEAST;) {
        struct tunnel *t = *at;
        size_t n;

        used += put_small(t, p + used);
        n = put_data(t, p + used, room - used);
        used += n;
        if (n > 0)
            tunnel_push(t); /* the link inside goes on */
        if (is_over(t) && room - used >= FRAME_HEAD + WHY_MAX)
            used += put_close(t, p + used); /* *at is the next one now */
        else if (sendable(t) > 0 && n > 0)
            to_the_end(link, at);
        else
            at = &t->next;
    }
    return used;
}

/*
 * link_handshake.c - Noise XK, and who is let in.
 *
 * Dialler and acceptor: e, es / e, ee / s, se with the hello; then the acceptor's first
 * frame is WELCOME. A dialler is up only with that: so it can tell a peer that does not
 * know its key.
 */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/link_private.h"

/* The message before may be on its way still, as far as the loop has heard. */
void handshake_send(struct link *link)
{
    size_t n = link->n_handshake;

    if (link->tx.busy)
        return;
    link->n_handshake = 0;
    link_send(link, link->handshake_p, n);
}

bool handshake_write(struct link *link, struct bytes payload)
{
    size_t n;

    if (noise_write(link->hub->cx, link->noise, payload, link->handshake_p + 2,
                    payload.n + 128, &n) != FAULT_NONE) {
        link_drop(link, "%s", cx_message(link->hub->cx));
        return false;
    }
    put_u16(link->handshake_p, (unsigned)n);
    link->n_handshake = n + 2;
    handshake_send(link);
    return link->state != LINK_CLOSED;
}

/* Which of two links of one pair of nodes stays: of two initiators the smaller id's, of one
 * initiator's the newer (the older is dead, or due for new keys). */
static void settle_double(struct link *link)
{
    struct hub *hub = link->hub;
    struct link *oldest = NULL;
    size_t same = 0;

    for (struct link *other = hub->links; other != NULL; other = other->next) {
        if (other == link || other->state != LINK_UP ||
            !link_is_with(other, link->peer.researcher, link->peer.id))
            continue;
        same++;
        oldest = other; /* the newest stand first */
        if (link->peer.researcher || other->draining)
            continue;
        if ((other->tunnel == NULL) != (link->tunnel == NULL))
            link_drain(other->tunnel != NULL ? other : link); /* the direct one stays */
        else if ((other->dial != NULL) == (link->dial != NULL))
            link_drain(other);
        else if ((memcmp(hub->id, link->peer.id, 32) < 0) == (link->dial != NULL))
            link_drain(other); /* this one's initiator has the smaller id */
        else
            link_drain(link);
    }
    /* Those that drain go when their calls end; a peer that ends none keeps a few. */
    if (link->peer.researcher && same >= LINKS_OF_RESEARCHER_MAX)
        link_close(link, "too many links of one researcher");
    else if (!link->peer.researcher && same >= LINKS_OF_NODE_MAX)
        link_close(oldest, "too many links of one node");
}

static bool come_up(struct link *link)
{
    uint8_t *rx = malloc(RX_ROOM);

    link->tx_room = malloc(TX_ROOM);
    if (rx == NULL || link->tx_room == NULL) {
        free(rx);
        link_drop(link, "out of memory");
        return false;
    }
    memcpy(rx, link->rx_p, link->rx_n);
    free(link->rx_p);
    link->rx_p = rx;
    link->rx_size = RX_ROOM;
    link->state = LINK_UP;
    link->was_up = true;
    link->since = link->heard = link->pinged = clock_mono_ms();
    link->hub->counters.links++;
    if (link->counted)
        link->hub->counters.unauthenticated--;
    link->counted = false;
    /* Alone in its message: the dialler has no room for more before it has read it. */
    link->welcome_due = link->dial == NULL;
    if (link->dial == NULL)
        link_control(link, FRAME_WELCOME, 0, 0, bytes_of(NULL, 0));
    settle_double(link);
    if (link->tunnel == NULL && !link->peer.researcher)
        dials_nudge(link->hub);
    if (link->hub->setup.up != NULL)
        link->hub->setup.up(link->hub->setup.user, link);
    return true;
}

/* Through a relay come nodes only, and none but the one that the relay named. */
static bool is_as_relayed(const struct link *link)
{
    return link->tunnel == NULL ||
           (!link->peer.researcher && memcmp(link->peer.id, link->tunnel->far, 32) == 0);
}

/* The acceptor has message 3: the peer's key and hello are authentic. Is it somebody? */
static void admit(struct link *link, struct bytes hello)
{
    struct hub *hub = link->hub;

    memcpy(link->peer.noise_key, noise_remote_static(link->noise), 32);
    if (hello.n > 0 && (link->hello = malloc(hello.n)) == NULL) {
        link_drop(link, "out of memory");
        return;
    }
    if (hello.n > 0)
        memcpy(link->hello, hello.p, hello.n);
    link->peer.hello = bytes_of(link->hello, hello.n);
    if (hub->counters.links >= LINKS_MAX || hub->setup.admit == NULL ||
        !hub->setup.admit(hub->setup.user, &link->peer) ||
        (hub->has_id && memcmp(link->peer.id, hub->id, 32) == 0) ||
        (link->peer.researcher && hub->counters.links >= LINKS_MAX / 2) ||
        !is_as_relayed(link)) {
        hub->counters.refused++;
        link_drop(link, "the peer's key is not known here");
        return;
    }
    (void)come_up(link);
}

static void handshake_failed(struct link *link)
{
    link->hub->counters.faults++;
    if (link->dial != NULL)
        link_drop(link,
                  "the node at %s is not the one whose key we hold, or belongs to "
                  "another consortium",
                  link_place(link));
    else
        link_drop(link, "handshake: %s", cx_message(link->hub->cx));
}

/* The dialler has sent message 3: the acceptor's first frame says that it admits us. */
static void handle_welcome(struct link *link, size_t at, size_t n)
{
    uint8_t *p = link->rx_p + at;

    if (noise_decrypt(link->hub->cx, link->noise, bytes_of(p, n), p) != FAULT_NONE ||
        n - NOISE_TAG < FRAME_HEAD || p[0] != FRAME_WELCOME || get_u32(p + 6) != 0) {
        handshake_failed(link);
        return;
    }
    if (come_up(link)) /* moves the buffer */
        link_frames(link,
                    bytes_of(link->rx_p + at + FRAME_HEAD, n - NOISE_TAG - FRAME_HEAD));
}

void handshake_message(struct link *link, size_t at, size_t n)
{
    uint8_t payload[HELLO_MAX];
    size_t n_payload;

    if (noise_is_done(link->noise)) {
        handle_welcome(link, at, n);
        return;
    }
    if (noise_read(link->hub->cx, link->noise, bytes_of(link->rx_p + at, n), payload,
                   sizeof payload, &n_payload) != FAULT_NONE) {
        handshake_failed(link);
        return;
    }
    if (noise_is_done(link->noise))
        admit(link, bytes_of(payload, n_payload));
    else if (link->dial == NULL)
        (void)handshake_write(link, bytes_of(NULL, 0));
    else if (handshake_write(link, bytes_of(link->dial->hello, link->dial->n_hello)))
        link->said_hello = true;
}

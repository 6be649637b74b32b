/*
 * link_carrier.c - a link whose caller came to a ws:// port: its bytes in WebSocket frames.
 *
 * The link is an unauthenticated one from the first byte of the request on: its deadline,
 * its place among LINK_UNAUTHENTICATED_MAX and its address's bucket are those of any other.
 * The request is read into the link's own buffer; nothing else is held for it.
 */
#include <string.h>

#include "protocol/link_private.h"

enum { PIECE_MAX = 65535 }; /* of one frame that leaves */

/* ---- What arrives ---- */

static void say(struct link *link, size_t n)
{
    link->carrier->raw = true;
    link_send(link, (const uint8_t *)link->carrier->answer, n);
}

/* The request, in rx_p from its start. What came behind it is the first of the frames. */
static bool take_request(struct link *link, size_t n, size_t *ret_n)
{
    struct carrier *c = link->carrier;
    size_t size = 0, answer = 0, all = link->rx_n + n;

    switch (ws_request(link->rx_p, all, &size, c->answer, &answer)) {
    case WS_REQUEST_PART:
        link->rx_n = all;
        return false;
    case WS_REQUEST_BAD:
        link->hub->counters.faults++;
        c->refused = answer > 0;
        if (c->refused)
            say(link, answer);
        else
            link_drop(link, "the caller asked for no WebSocket");
        return false;
    case WS_REQUEST_GOOD:
        break;
    }
    c->ws.open = true;
    say(link, answer);
    memmove(link->rx_p, link->rx_p + size, all - size);
    link->rx_n = 0;
    *ret_n = all - size;
    return link->state != LINK_CLOSED;
}

bool carrier_take(struct link *link, size_t n, size_t *ret_n)
{
    struct carrier *c = link->carrier;
    const char *why = "";

    if (c->refused || (!c->ws.open && !take_request(link, n, &n)))
        return false;
    if (ws_take(&c->ws, link->rx_p + link->rx_n, n, ret_n, &why))
        return true;
    link->hub->counters.faults++;
    link_drop(link, "%s", why);
    return false;
}

/* ---- What leaves ---- */

unsigned carrier_iov(struct link *link, nng_iov iov[2])
{
    struct carrier *c = link->carrier;
    size_t left = link->tx_n - link->tx_at;
    unsigned n = 0;

    if (c->raw) {
        iov[0] = (nng_iov){(void *)(link->tx_p + link->tx_at), left};
        return 1;
    }
    if (c->lead_at == c->lead_n && c->piece == 0) { /* the next frame */
        c->piece = left < PIECE_MAX ? left : PIECE_MAX;
        c->lead_n = ws_lead(&c->ws, c->lead, c->piece);
        c->lead_at = 0;
    }
    if (c->lead_at < c->lead_n)
        iov[n++] = (nng_iov){c->lead + c->lead_at, c->lead_n - c->lead_at};
    if (c->piece > 0)
        iov[n++] = (nng_iov){(void *)(link->tx_p + link->tx_at), c->piece};
    return n;
}

void carrier_sent(struct link *link, size_t n)
{
    struct carrier *c = link->carrier;
    size_t lead = c->lead_n - c->lead_at < n ? c->lead_n - c->lead_at : n;

    if (c->raw) {
        link->tx_at += n;
        c->raw = link->tx_at < link->tx_n;
        if (!c->raw && c->refused)
            link_drop(link, "the caller asked for no WebSocket of ours");
        return;
    }
    c->lead_at += lead;
    c->piece -= n - lead;
    link->tx_at += n - lead;
}

bool carrier_has_more(const struct link *link)
{
    const struct carrier *c = link->carrier;

    return c != NULL && !c->raw && (c->lead_at < c->lead_n || c->piece > 0);
}

/* A ping is answered with what is sent next, or now. */
void carrier_pong(struct link *link)
{
    if (link->carrier->ws.pong_due && !link->tx.busy && link->state != LINK_CLOSED)
        link_send(link, link->carrier->lead, 0);
}

/*
 * The frames of relayed streams, as two authenticated peers of one relay may send them, in
 * any order: opens, bytes, grants, ends.
 *
 * An input is a list of Noise plaintexts: a byte that says whose (even: the first peer's),
 * a length of two bytes, then so many bytes. After each, both links send what is due, as
 * far as the input's byte lets them. No stream outgrows its window, and nothing is left
 * when the links are down.
 */
#include <string.h>

#include "protocol/link_private.h"
#include "tests/fuzz/fuzz.h"

/* The links have no stream: these stand in front of nng's. */
void nng_stream_close(nng_stream *stream)
{
    (void)stream;
}

static struct link *link_up(struct hub *hub, uint8_t id)
{
    struct link *link = calloc(1, sizeof *link);

    FUZZ_CHECK(link != NULL);
    link->hub = hub;
    link->state = LINK_UP;
    link->was_up = true;
    link->next_stream = link->next_tunnel = 1;
    link->out_end = &link->out;
    link->tunnels_end = &link->tunnels;
    memset(link->peer.id, id, sizeof link->peer.id);
    link->next = hub->links;
    hub->links = link;
    return link;
}

static void check(const struct hub *hub)
{
    size_t n = 0, bytes = 0;

    for (const struct link *l = hub->links; l != NULL; l = l->next)
        for (const struct tunnel *t = l->tunnels; t != NULL; t = t->next) {
            n++;
            bytes += t->relays ? t->out.n : 0;
            FUZZ_CHECK(t->over == l && t->out.n <= TUNNEL_WINDOW);
            FUZZ_CHECK(t->in.n <= TUNNEL_WINDOW && t->expect <= TUNNEL_WINDOW);
            FUZZ_CHECK(t->credit <= TUNNEL_WINDOW);
            FUZZ_CHECK(t->other == NULL || (t->other->other == t && t->relays));
            FUZZ_CHECK(t->other == NULL || t->expect + t->other->out.n <= TUNNEL_WINDOW);
        }
    FUZZ_CHECK(n == hub->n_tunnels && n <= TUNNELS_MAX && bytes == hub->tunnel_bytes);
}

static void send_all(struct link *link, unsigned turns)
{
    static uint8_t room[PLAIN_MAX];

    link->n_control = 0;
    for (unsigned i = 0; i < turns && link->state == LINK_UP && tunnels_wait(link); i++)
        FUZZ_CHECK(tunnels_fill(link, room, sizeof room) <= sizeof room);
}

static void hear(struct link *link, const uint8_t *data, size_t n)
{
    uint8_t *plain = malloc(n > 0 ? n : 1); /* its own: no byte beyond it is read */

    FUZZ_CHECK(plain != NULL);
    memcpy(plain, data, n);
    link_frames(link, bytes_of(plain, n));
    free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct hub_setup setup = {.relay = true};
    static const uint8_t own[32] = {9}, far[32] = {7};
    static struct hub *hub; /* one for all inputs: its end takes its time */

    if (hub == NULL) {
        AUTO_CX struct cx *cx = cx_new(1 << 16, CX_NO_DEADLINE);

        FUZZ_CHECK(cx != NULL && hub_new(cx, &setup, &hub) == FAULT_NONE);
        hub_set_own_id(hub, own);
    }
    memset(hub->openers, 0, sizeof hub->openers);
    hub->counters.unauthenticated = LINK_UNAUTHENTICATED_MAX; /* nobody is let in here */
    struct link *links[2] = {link_up(hub, 1), link_up(hub, 2)};
    FUZZ_CHECK(tunnel_to(links[0], far) != NULL); /* one of our own */
    while (n >= 3 && links[0]->state == LINK_UP && links[1]->state == LINK_UP) {
        size_t size = (size_t)data[1] << 8 | data[2];
        unsigned turns = data[0] >> 1;

        size = size > n - 3 ? n - 3 : size;
        hear(links[data[0] % 2], data + 3, size);
        check(hub);
        for (size_t i = 0; i < COUNT(links); i++)
            send_all(links[i], turns);
        check(hub);
        data += 3 + size;
        n -= 3 + size;
    }
    for (size_t i = 0; i < COUNT(links); i++) {
        links[i]->state = LINK_CLOSED;
        streams_end(links[i]);
        tunnels_end(links[i]);
        check(hub);
    }
    FUZZ_CHECK(hub->n_tunnels == 0 && hub->tunnel_bytes == 0);
    hub->links = NULL;
    for (size_t i = 0; i < COUNT(links); i++)
        free(links[i]);
    return 0;
}

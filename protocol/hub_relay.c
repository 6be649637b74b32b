/*
 * hub_relay.c - which node is asked to carry a link to another that cannot be reached.
 *
 * Any node with which both are linked directly may. The order is a hash of the three ids:
 * so both ends try the same relays in the same order, other pairs try others first, and
 * when a relay dies everybody knows the next. A relay through which a link broke, though
 * neither end had said goodbye, comes last for a while: one that lets links begin and then
 * carries nothing would be asked first for ever.
 */
#include <sodium.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/link_private.h"

enum {
    CANDIDATES_MAX = 64,
    RELAY_AFTER_MS = 1000, /* endpoints that do not answer get so long */
    SHUN_MS = 10 * 60 * 1000,
    RELAY_SECOND_MS = 2000 /* the node with the larger id lets the other begin */
};

/* Once both are linked with the same node; a link that drains carries nothing new. */
struct link *hub_direct(struct hub *hub, const uint8_t id[32])
{
    for (struct link *l = hub->links; l != NULL; l = l->next)
        if (l->state == LINK_UP && !l->draining && !l->goaway_received &&
            l->tunnel == NULL && link_is_with(l, false, id))
            return l;
    return NULL;
}

static bool is_smaller(const struct dial *dial)
{
    return memcmp(dial->hub->id, dial->id, 32) < 0;
}

int64_t relay_after_ms(const struct dial *dial)
{
    return (dial->n_endpoints > 0 ? RELAY_AFTER_MS : 0) +
           (is_smaller(dial) ? 0 : RELAY_SECOND_MS);
}

/* ---- relays that have failed this pair ---- */

void relay_shun(struct dial *dial, const uint8_t relay[32])
{
    struct shunned *place = &dial->shunned[0];

    for (size_t i = 0; i < SHUNNED_MAX; i++) {
        struct shunned *s = &dial->shunned[i];

        if (memcmp(s->id, relay, 32) == 0) {
            place = s;
            break;
        }
        if (s->until < place->until)
            place = s; /* empty, or to be forgotten first */
    }
    memcpy(place->id, relay, 32);
    place->until = clock_mono_ms() + SHUN_MS;
}

static bool is_shunned(const struct dial *dial, const uint8_t relay[32])
{
    int64_t now = clock_mono_ms();

    for (size_t i = 0; i < SHUNNED_MAX; i++)
        if (dial->shunned[i].until > now && memcmp(dial->shunned[i].id, relay, 32) == 0)
            return true;
    return false;
}

/* ---- the order ---- */

struct candidate {
    struct link *link;
    uint8_t rank[1 + crypto_hash_sha256_BYTES]; /* shunned or not, then the hash */
};

static void rank(const struct dial *dial, struct candidate *c)
{
    static const char label[] = "cohortium/relay/1";
    const uint8_t *own = dial->hub->id;
    crypto_hash_sha256_state h;

    (void)crypto_hash_sha256_init(&h);
    (void)crypto_hash_sha256_update(&h, (const uint8_t *)label, sizeof label);
    (void)crypto_hash_sha256_update(&h, is_smaller(dial) ? own : dial->id, 32);
    (void)crypto_hash_sha256_update(&h, is_smaller(dial) ? dial->id : own, 32);
    (void)crypto_hash_sha256_update(&h, c->link->peer.id, 32);
    (void)crypto_hash_sha256_final(&h, c->rank + 1);
    c->rank[0] = is_shunned(dial, c->link->peer.id);
}

/* Sorted while it is put in; of more than there is room for, some are not asked. */
static void put_sorted(struct candidate *list, size_t n, struct candidate c)
{
    while (n > 0 && memcmp(list[n - 1].rank, c.rank, sizeof c.rank) > 0) {
        list[n] = list[n - 1];
        n--;
    }
    list[n] = c;
}

struct link *relay_choose(const struct dial *dial, size_t k)
{
    struct hub *hub = dial->hub;
    struct candidate list[CANDIDATES_MAX];
    size_t n = 0;

    if (!hub->setup.relay || !hub->has_id || !dial->keep)
        return NULL;
    for (struct link *l = hub->links; l != NULL && n < CANDIDATES_MAX; l = l->next)
        if (!l->peer.researcher && memcmp(l->peer.id, dial->id, 32) != 0 &&
            hub_direct(hub, l->peer.id) == l) {
            struct candidate c = {.link = l};

            rank(dial, &c);
            put_sorted(list, n++, c);
        }
    return k < n ? list[k].link : NULL;
}

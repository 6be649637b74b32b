/* neighbours.c - what this node knows of each member's link, for its operator. */
#include <stdlib.h>
#include <string.h>

#include "node/net/net.h"
#include "protocol/base/clock.h"

enum {
    FIRST_LOOK_MS = 2000,
    LOOK_MS = 60 * 1000, /* and a second more for each member: one in a crowd asks slowly */
    EACH_MS = 1000,
    ANSWER_MS = 3000,
    ANSWER_MAX = 1024 * 1024,
    LOOK_MEMORY = 8 * 1024 * 1024,
    VERSION_TEXT = 64,
    TROUBLE_TEXT = 200
};

struct neighbour {
    struct neighbour *next;
    uint8_t id[32];
    bool linked, ours;
    int64_t since, dialled, was_dialled, heard; /* UTC ms; 0: never */
    int64_t off;
    bool ready;
    char software[VERSION_TEXT], why_not[TROUBLE_TEXT], failure[TROUBLE_TEXT];
};

static struct neighbour *find(struct net *net, const uint8_t id[32])
{
    struct neighbour *n = net->neighbours;

    while (n != NULL && memcmp(n->id, id, sizeof n->id) != 0)
        n = n->next;
    return n;
}

/* Of members alone, so there are no more than the manifest has; NULL without memory. */
static struct neighbour *keep(struct net *net, const uint8_t id[32])
{
    struct neighbour *n = find(net, id);

    if (n != NULL || manifest_find(net->manifest, id) == NULL ||
        (n = calloc(1, sizeof *n)) == NULL)
        return n;
    memcpy(n->id, id, sizeof n->id);
    n->next = net->neighbours;
    net->neighbours = n;
    return n;
}

/* Cut where a letter ends. */
static void copy_text(char *to, size_t size, const char *from)
{
    size_t n = strlen(from);

    if (n >= size)
        for (n = size - 1; n > 0 && ((uint8_t)from[n] & 0xc0) == 0x80;)
            n--;
    memcpy(to, from, n);
    to[n] = '\0';
}

/* ---- members are asked how they are ---- */

struct look {
    struct net *net;
    uint8_t id[32];
    int64_t asked;
};

static void look_all(void *user);

static void plan_look(struct net *net, int64_t ms)
{
    if (net->look_timer == 0 && !net->closing)
        net->look_timer = hub_after(net->hub, ms, look_all, net);
}

static void look_done(void *user, enum fault fault, struct bytes body)
{
    struct look *l = user;
    struct net *net = l->net;
    AUTO_CX struct cx *cx = cx_new(LOOK_MEMORY, CX_NO_DEADLINE);
    struct neighbour *n = find(net, l->id);
    Cohortium__CatalogReply *r;
    int64_t now = clock_utc_ms();

    if (fault == FAULT_NONE && cx != NULL && n != NULL &&
        pb_unpack(cx, &cohortium__catalog_reply__descriptor, body, ANSWER_MAX, &r) ==
            FAULT_NONE &&
        r->site != NULL) {
        n->heard = now;
        n->off = clock_off(r->site->clock, l->asked, now);
        n->ready = r->site->ready;
        copy_text(n->software, sizeof n->software, r->site->software);
        copy_text(n->why_not, sizeof n->why_not, r->site->why_not);
    }
    free(l);
    if (--net->looking == 0 && !net->closing)
        sites_report(net);
}

static void look_at(struct net *net, const Cohortium__Member *m)
{
    struct look *l = malloc(sizeof *l);

    if (l == NULL)
        return; /* the next look will do */
    *l = (struct look){.net = net, .asked = clock_utc_ms()};
    memcpy(l->id, m->node_id.data, sizeof l->id);
    net->looking++;
    site_call(net, m, SERVICE_CATALOG, (struct bytes){0}, clock_mono_ms() + ANSWER_MS,
              look_done, l);
}

static void look_all(void *user)
{
    struct net *net = user;
    const Cohortium__Manifest *m = net->manifest->body;

    net->look_timer = 0;
    net->looking++; /* ourselves, until all are asked */
    for (size_t i = 0; i < m->n_members; i++)
        if (!member_same(m->members[i], net->self) && site_is_linked(net, m->members[i]))
            look_at(net, m->members[i]);
    if (--net->looking == 0 && !net->closing)
        sites_report(net);
    plan_look(net, LOOK_MS + EACH_MS * (int64_t)m->n_members);
}

/* ---- links come and go ---- */

void neighbour_up(struct net *net, const struct link *link)
{
    struct neighbour *n = keep(net, link_peer(link)->id);

    if (n == NULL)
        return;
    n->linked = true;
    n->ours = link_is_ours(link);
    n->since = clock_utc_ms();
    if (link_relay(link) == NULL) { /* else neither has reached the other itself */
        *(n->ours ? &n->dialled : &n->was_dialled) = n->since;
        if (n->ours)
            n->failure[0] = '\0';
    }
    hub_cancel_timer(net->hub, net->look_timer);
    net->look_timer = 0;
    plan_look(net, FIRST_LOOK_MS);
}

void neighbour_down(struct net *net, const struct link *link)
{
    struct neighbour *n = find(net, link_peer(link)->id);

    /* An old link may end after its successor is up. */
    if (n == NULL || hub_find(net->hub, n->id) != NULL)
        return;
    n->linked = false;
    n->since = clock_utc_ms();
}

void neighbour_failed(void *user, const uint8_t id[32], const char *why)
{
    struct net *net = user;
    struct neighbour *n = keep(net, id);

    if (n == NULL || strcmp(n->failure, why) == 0)
        return;
    copy_text(n->failure, sizeof n->failure, why);
    sites_report(net);
}

enum fault neighbour_tell(struct net *net, struct cx *cx, Cohortium__Site *site)
{
    const struct neighbour *n = find(net, site->node_id.data);

    if (n == NULL)
        return FAULT_NONE;
    site->direction = (char *)(!n->linked ? "" : n->ours ? "we dialled" : "it dialled us");
    site->since = (uint64_t)n->since;
    site->dialled = (uint64_t)n->dialled;
    site->was_dialled = (uint64_t)n->was_dialled;
    site->heard = (uint64_t)n->heard;
    site->clock_off = n->off;
    site->ready = n->ready;
    site->software = cx_strdup(cx, n->software);
    site->why_not = cx_strdup(cx, n->why_not);
    site->failure = cx_strdup(cx, n->failure);
    return site->software != NULL && site->why_not != NULL && site->failure != NULL
               ? FAULT_NONE
               : FAULT_MEMORY;
}

void neighbours_free(struct net *net)
{
    while (net->neighbours != NULL) {
        struct neighbour *n = net->neighbours;

        net->neighbours = n->next;
        free(n);
    }
}

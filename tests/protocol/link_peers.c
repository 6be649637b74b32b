/* link_peers.c - peers for the tests and the benchmark of links. */
#include "tests/protocol/link_peers.h"

#include <sodium.h>

#include "protocol/base/clock.h"
#include "tests/check.h"

static bool admit(void *user, struct link_peer *who)
{
    struct peer *peer = user;

    if (peer->only != NULL && memcmp(who->noise_key, peer->only, 32) != 0)
        return false;
    who->researcher = peer->researchers;
    who->message_max = peer->message_max;
    memcpy(who->id, who->noise_key, 32);
    if (who->hello.n == 32) /* its id, for the rule of two links */
        memcpy(who->id, who->hello.p, 32);
    return true;
}

static void up(void *user, struct link *link)
{
    struct peer *peer = user;

    peer->link = hub_find(peer->hub, link_peer(link)->id); /* of two, the one that stays */
    peer->ups++;
    if (peer->at_up.n > 0 && peer->up.sent.n == 0)
        (void)peer_begin(peer, ASK_ECHO, peer->at_up, 5000, &peer->up);
}

static void down(void *user, struct link *link, const char *why)
{
    struct peer *peer = user;

    if (peer->link == link)
        peer->link = hub_find(peer->hub, link_peer(link)->id);
    (void)snprintf(peer->why, sizeof peer->why, "%s", why);
    peer->downs++;
}

static void failed(void *user, const uint8_t id[32], const char *why)
{
    struct peer *peer = user;

    (void)id;
    (void)snprintf(peer->why, sizeof peer->why, "%s", why);
    peer->failures++;
}

struct held {
    struct held *next;
    struct peer *peer;
    struct served *served;
};

static void look(void *user)
{
    struct held *held = user;

    if (!served_is_cancelled(held->served)) {
        if (hub_after(held->peer->hub, 2, look, held) == 0)
            abort();
        return;
    }
    held->peer->cancelled++;
    served_fail(held->served, FAULT_CANCELLED, bytes_of(NULL, 0));
    struct held **at = &held->peer->held;
    while (*at != held)
        at = &(*at)->next;
    *at = held->next;
    free(held);
}

static void held_long_enough(void *user)
{
    served_reply(user, bytes_of("late", 4));
}

static void called_back(void *user, enum fault fault, struct bytes body)
{
    if (fault == FAULT_NONE)
        served_reply(user, body);
    else
        served_fail(user, fault, bytes_of(NULL, 0));
}

static void reply_bytes(struct served *served, struct bytes body)
{
    uint32_t n = 0;

    memcpy(&n, body.p, body.n < 4 ? body.n : 4);
    uint8_t *p = calloc(1, n + 1u);
    if (p == NULL)
        abort();
    served_reply(served, bytes_of(p, n));
    free(p);
}

static void serve(void *user, struct link *link, enum service service, struct bytes body,
                  struct served *served)
{
    struct peer *peer = user;
    struct held *held;

    peer->served++;
    switch ((int)service) {
    case ASK_ECHO:
        served_reply(served, body);
        break;
    case ASK_NOTHING:
        held = malloc(sizeof *held);
        if (held == NULL)
            abort();
        *held = (struct held){peer->held, peer, served};
        peer->held = held;
        look(held);
        break;
    case ASK_BACK:
        if (link_call(peer->cx, link, SERVICE_ASK, body, CX_NO_DEADLINE, called_back, NULL,
                      served, NULL) != FAULT_NONE)
            served_fail(served, FAULT_INTERNAL, bytes_of(NULL, 0));
        break;
    case ASK_CLOSE:
        link_close(link, "as it was asked");
        served_reply(served, body);
        break;
    case ASK_HOLD:
        if (hub_after(peer->hub, HOLD_MS, held_long_enough, served) == 0)
            abort();
        break;
    case ASK_BYTES:
        reply_bytes(served, body);
        break;
    default:
        served_progress(served, bytes_of("half", 4));
        served_fail(served, FAULT_REFUSED, bytes_of("no", 2));
    }
}

struct peer *peer_new(uint8_t first, int64_t ping_ms, int64_t dead_ms)
{
    struct peer *peer = calloc(1, sizeof *peer);
    struct hub_setup setup = {.prologue = bytes_of("cohortium/1 test", 16),
                              .admit = admit,
                              .up = up,
                              .down = down,
                              .failed = failed,
                              .serve = serve,
                              .ping_ms = ping_ms,
                              .dead_ms = dead_ms,
                              .relay = true};

    assert_non_null(peer);
    randombytes_buf(peer->secret, 32);
    randombytes_buf(peer->id, 32);
    peer->id[0] = first;
    assert_int_equal(crypto_scalarmult_base(peer->key, peer->secret), 0);
    peer->cx = cx_new(1 << 20, CX_NO_DEADLINE);
    setup.link_secret = peer->secret;
    setup.user = peer;
    CHECK_OK_("hub_new", peer->cx, hub_new(peer->cx, &setup, &peer->hub));
    hub_set_own_id(peer->hub, peer->id);
    return peer;
}

void peer_listen(struct peer *peer, int port)
{
    char endpoint[64];

    (void)snprintf(endpoint, sizeof endpoint, "%s://127.0.0.1:%d",
                   peer->ws ? "ws" : "tcp", port);
    CHECK_OK_("listen", peer->cx, hub_listen(peer->cx, peer->hub, endpoint));
}

static void *run(void *user)
{
    struct peer *peer = user;

    if (hub_run(peer->cx, peer->hub, NULL, NULL) != FAULT_NONE)
        abort();
    return NULL;
}

void peer_start(struct peer *peer)
{
    assert_int_equal(pthread_create(&peer->thread, NULL, run, peer), 0);
    peer->started = true;
}

void peer_stop(struct peer *peer)
{
    if (!peer->started)
        return;
    hub_stop(peer->hub);
    assert_int_equal(pthread_join(peer->thread, NULL), 0);
    peer->started = false;
}

void peer_free(struct peer *peer)
{
    int64_t before = clock_mono_ms();

    peer_stop(peer);
    hub_free(&peer->hub);
    assert_true(clock_mono_ms() - before < 2500);
    for (struct held *next; peer->held != NULL; peer->held = next) {
        next = peer->held->next;
        free(peer->held);
    }
    cx_free(&peer->cx);
    free(peer);
}

void peer_dial(struct peer *peer, const struct peer *other, int port, bool keep)
{
    char endpoint[64];

    (void)snprintf(endpoint, sizeof endpoint, "%s://127.0.0.1:%d",
                   other->ws ? "ws" : "tcp", port);
    CHECK_OK_("dial", peer->cx,
              hub_dial(peer->cx, peer->hub, endpoint, other->key, other->id,
                       bytes_of(peer->id, 32), keep));
}

void peer_reach(struct peer *peer, const struct peer *other)
{
    CHECK_OK_("reach", peer->cx,
              hub_reach(peer->cx, peer->hub, NULL, 0, other->key, other->id,
                        bytes_of(peer->id, 32), true));
}

struct waiting {
    const atomic_int *value;
    int want;
    bool late;
};

static bool is_over(void *user)
{
    struct waiting *w = user;

    return w->late || (w->value != NULL && *w->value >= w->want);
}

static void late(void *user)
{
    ((struct waiting *)user)->late = true;
}

bool peer_until(struct peer *peer, const atomic_int *value, int want, int64_t ms)
{
    struct waiting w = {value, want, false};
    uint64_t timer = hub_after(peer->hub, ms, late, &w);

    CHECK_OK_("run", peer->cx, hub_run(peer->cx, peer->hub, is_over, &w));
    hub_cancel_timer(peer->hub, timer);
    return value != NULL && *value >= want;
}

void peer_run(struct peer *peer, int64_t ms)
{
    (void)peer_until(peer, NULL, 0, ms);
}

static void done(void *user, enum fault fault, struct bytes body)
{
    struct result *r = user;

    r->calls++;
    r->fault = fault;
    r->n = body.n;
    memcpy(r->head, body.p != NULL ? body.p : r->head,
           body.n < sizeof r->head ? body.n : sizeof r->head);
    r->equal = bytes_equal(body, r->sent);
    r->done++;
}

static void progress(void *user, struct bytes body)
{
    (void)body;
    ((struct result *)user)->progress++;
}

struct call *peer_begin(struct peer *peer, int service, struct bytes body, int64_t ms,
                        struct result *result)
{
    struct call *call = NULL;

    *result = (struct result){.sent = body};
    assert_non_null(peer->link);
    CHECK_OK_("call", peer->cx,
              link_call(peer->cx, peer->link, (enum service)service, body,
                        clock_mono_ms() + ms, done, progress, result, &call));
    return call;
}

struct result peer_call(struct peer *peer, int service, struct bytes body, int64_t ms)
{
    struct result r;

    (void)peer_begin(peer, service, body, ms, &r);
    assert_true(peer_until(peer, &r.done, 1, ms + 2000));
    return r;
}

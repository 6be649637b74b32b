/*
 * later.c - questions that run or wait at home: cancelled, collected, listed, tried again.
 *
 *   LATER -> the vault's drawer -> (next) -> coordinate_for -> end | again -> the drawer
 *
 * The drawer (node/vault/later.c) is the vault's, durable and bounded; here is only when to
 * try. What a link's researcher may see and stop is their own: the issuer is the link's.
 */
#include <stdlib.h>
#include <string.h>

#include "node/log.h"
#include "node/net/coordinate_private.h"
#include "protocol/base/clock.h"

enum {
    TICK_MS = 2000,
    FIRST_MS = 500,
    RUNNING_MAX = 4, /* tried at once; the rest of the room is for who waits */
    DRAWER_MS = 30000,
    DRAWER_MEMORY = 64 * 1024 * 1024,
    CALL_MAX = 256,
    KEPT_RECEIPT_MAX =
        4 * 1024 * 1024,          /* longer: the answer is asked for again when collected */
    KEPT_TROUBLE_MAX = 64 * 1024, /* as the drawer takes it */
    ID_LEAST = 4
};

static void later_soon(struct net *net, int64_t delay_ms);

/* ---- the drawer ---- */

static void drawer_call(struct net *net, const struct ipc_caller *from,
                        const Cohortium__LaterStore *store, call_done *done, void *user)
{
    AUTO_CX struct cx *cx = cx_new(DRAWER_MEMORY, CX_NO_DEADLINE);
    struct bytes packed;

    if (cx == NULL || pb_pack(cx, &store->base, &packed) != FAULT_NONE) {
        done(user, FAULT_MEMORY, (struct bytes){0});
        return;
    }
    vault_call(net, from, IPC_CALL, SERVICE_DRAWER, packed, clock_mono_ms() + DRAWER_MS,
               done, user);
}

/* ---- what a researcher asks of their own questions ---- */

struct errand {
    struct net *net;
    struct cx *cx;
    struct served *served;
    enum service service;
    uint8_t who[32];
    Cohortium__LaterCard *cancelled; /* of one that ran */
};

static void errand_end(struct errand *e, enum fault fault, struct bytes body)
{
    if (fault == FAULT_NONE)
        served_reply(e->served, body);
    else
        served_fail(e->served, fault, body);
    struct cx *cx = e->cx;
    free(e);
    cx_free(&cx);
}

static void errand_fail(struct errand *e, enum fault fault, const char *text)
{
    errand_end(e, fault, net_trouble(e->cx, fault, text, e->net->self));
}

static enum fault card_of(struct cx *cx, const struct ask *a, const char *state,
                          Cohortium__LaterCard **ret)
{
    const Cohortium__Request *r = a->request.body;
    Cohortium__LaterCard *card;
    uint8_t *id, *digest;

    CX_NEW(cx, card, 1);
    *card = (Cohortium__LaterCard)COHORTIUM__LATER_CARD__INIT;
    CX_NEW(cx, card->charged, a->n);
    id = cx_memdup(cx, r->stamp->request_id.data, ID_BYTES);
    digest = cx_memdup(cx, a->request.envelope.digest, DIGEST_BYTES);
    card->dataset = cx_strdup(cx, r->question->dataset);
    card->analysis = cx_strdup(cx, r->question->analysis);
    if (id == NULL || digest == NULL || card->dataset == NULL || card->analysis == NULL)
        return FAULT_MEMORY;
    card->request_id = PB_DATA(bytes_of(id, ID_BYTES));
    card->request = PB_DATA(bytes_of(digest, DIGEST_BYTES));
    card->state = (char *)state;
    card->expires_at = r->stamp->expires_at;
    for (size_t i = 0; i < a->n; i++)
        if (a->parts[i].charged)
            card->charged[card->n_charged++] = a->parts[i].who->node_id;
    *ret = card;
    return FAULT_NONE;
}

/* One for later whose links are still missing waits in the drawer as before. */
static bool is_running(const struct ask *a)
{
    return a->done == NULL || a->phase != LINKING;
}

/* The drawer's answer with what runs put in: an own list, and one's state. */
static enum fault with_running(struct errand *e, Cohortium__LaterReply *r)
{
    Cohortium__LaterCard **list;

    CX_NEW(e->cx, list, r->n_cards + NET_ASKS_MAX);
    if (r->n_cards > 0)
        memcpy(list, r->cards, r->n_cards * sizeof *list);
    r->cards = list;
    for (const struct ask *a = e->net->asks; a != NULL; a = a->next) {
        size_t k = 0;

        if (a->failed || !is_running(a) || memcmp(a->who, e->who, sizeof a->who) != 0)
            continue;
        while (k < r->n_cards &&
               !bytes_equal(PB_BYTES(list[k]->request),
                            bytes_of(a->request.envelope.digest, DIGEST_BYTES)))
            k++;
        TRY(card_of(e->cx, a, "running", &list[k]));
        r->n_cards += k == r->n_cards;
    }
    return FAULT_NONE;
}

static enum fault errand_reply(struct errand *e, struct bytes body, struct bytes *ret)
{
    Cohortium__LaterReply *r;
    Cohortium__LaterCard *none;

    TRY(pb_unpack(e->cx, &cohortium__later_reply__descriptor, body, LINK_MESSAGE_MAX, &r));
    if (e->service == SERVICE_PENDING)
        TRY(with_running(e, r));
    if (e->service == SERVICE_LATER)
        later_soon(e->net, 0);
    if (e->service == SERVICE_CANCEL && e->cancelled != NULL) {
        CX_NEW(e->cx, r->cards, 1);
        r->n_cards = 1;
        r->cards[0] = e->cancelled;
    } else if (r->n_cards == 0 && e->service != SERVICE_PENDING) {
        CX_NEW(e->cx, none, 1);
        *none = (Cohortium__LaterCard)COHORTIUM__LATER_CARD__INIT;
        none->state = (char *)"none";
        CX_NEW(e->cx, r->cards, 1);
        r->n_cards = 1;
        r->cards[0] = none;
    }
    return pb_pack(e->cx, &r->base, ret);
}

static void errand_done(void *user, enum fault fault, struct bytes body)
{
    struct errand *e = user;
    struct bytes packed;

    if (fault != FAULT_NONE) {
        errand_end(e, fault, body);
        return;
    }
    fault = errand_reply(e, body, &packed);
    if (fault != FAULT_NONE)
        errand_fail(e, fault, cx_message(e->cx));
    else
        errand_end(e, FAULT_NONE, packed);
}

/* A question that runs: cancelled here and now, or told of. *ret_reply: all is said. */
static enum fault errand_running(struct errand *e, const char *id,
                                 Cohortium__LaterReply *reply, bool *ret_reply)
{
    size_t n;
    struct ask *a = ask_named(e->net, e->who, id, &n);
    Cohortium__LaterCard *card;

    *ret_reply = false;
    if (n > 1)
        return cx_fail(e->cx, FAULT_INVALID,
                       "%zu questions of yours begin with %s; give more of the id", n, id);
    if (n == 0)
        return FAULT_NONE;
    if (e->service == SERVICE_CANCEL) {
        TRY(card_of(e->cx, a, "cancelled", &e->cancelled));
        ask_cancel(a);
        return FAULT_NONE;
    }
    if (!is_running(a))
        return FAULT_NONE;
    TRY(card_of(e->cx, a, "running", &card));
    CX_NEW(e->cx, reply->cards, 1);
    reply->n_cards = 1;
    reply->cards[0] = card;
    reply->request = PB_DATA(a->request.envelope.packed);
    *ret_reply = true;
    return FAULT_NONE;
}

static enum fault read_id(struct errand *e, struct bytes body, const char **ret)
{
    Cohortium__LaterCall *call;

    TRY(pb_unpack(e->cx, &cohortium__later_call__descriptor, body, CALL_MAX, &call));
    size_t n = strlen(call->id);
    if (n < ID_LEAST || n > (size_t)2 * ID_BYTES ||
        strspn(call->id, "0123456789abcdef") != n)
        return cx_fail(e->cx, FAULT_INVALID,
                       "an id is %d to %d digits 0-9 a-f, as `cohortium pending` shows it",
                       ID_LEAST, 2 * ID_BYTES);
    *ret = call->id;
    return FAULT_NONE;
}

/* Fills what the drawer is asked; *ret_reply: answered without it, in `packed`. */
static enum fault errand_begin(struct errand *e, struct bytes body,
                               Cohortium__LaterStore *store, struct bytes *packed,
                               bool *ret_reply)
{
    Cohortium__LaterReply reply = COHORTIUM__LATER_REPLY__INIT;
    const char *id = NULL;

    *ret_reply = false;
    if (e->service == SERVICE_PENDING) {
        store->act = (char *)"list";
        return FAULT_NONE;
    }
    if (e->service == SERVICE_LATER) {
        store->act = (char *)"keep";
        store->request = PB_DATA(body);
        return FAULT_NONE;
    }
    TRY(read_id(e, body, &id));
    store->id = (char *)id;
    store->act = (char *)(e->service == SERVICE_CANCEL ? "drop" : "take");
    TRY(errand_running(e, id, &reply, ret_reply));
    return *ret_reply ? pb_pack(e->cx, &reply.base, packed) : FAULT_NONE;
}

void later_serve(struct net *net, struct link *link, enum service service,
                 struct bytes body, struct served *served)
{
    Cohortium__LaterStore store = COHORTIUM__LATER_STORE__INIT;
    struct errand *e = calloc(1, sizeof *e);
    struct bytes packed = {0};
    bool told = false;

    if (e == NULL || (e->cx = cx_new(DRAWER_MEMORY, CX_NO_DEADLINE)) == NULL) {
        free(e);
        net_fail(served, FAULT_MEMORY, "out of memory", net->self);
        return;
    }
    e->net = net;
    e->served = served;
    e->service = service;
    memcpy(e->who, link_peer(link)->id, sizeof e->who);
    store.issuer = PB_DATA(bytes_of(e->who, sizeof e->who));
    struct ipc_caller from = caller_of(link);
    enum fault fault = errand_begin(e, body, &store, &packed, &told);
    if (fault != FAULT_NONE)
        errand_fail(e, fault, cx_message(e->cx));
    else if (told)
        errand_end(e, FAULT_NONE, packed);
    else
        drawer_call(net, &from, &store, errand_done, e);
}

/* ---- what waits in the drawer is tried ---- */

struct trial {
    struct net *net;
    uint8_t who[32], digest[32];
};

static void ignore(void *user, enum fault fault, struct bytes body)
{
    (void)user;
    (void)body;
    if (fault != FAULT_NONE)
        log_warning("the vault did not note how a question for later went: %s",
                    fault_name(fault));
}

/* Whether time, or an officer, may mend it. */
static bool may_pass(const Cohortium__Trouble *t)
{
    static const char *const codes[] = {"not_ready", "unknown_permit",
                                        "permit_not_signed_here", "unknown_dataset",
                                        "dataset_withdrawn"};

    for (size_t i = 0; i < t->n_complaints; i++) {
        bool known = false;

        for (size_t k = 0; k < COUNT(codes) && !known; k++)
            known = strcmp(t->complaints[i]->code, codes[k]) == 0;
        if (!known)
            return false;
    }
    return t->n_complaints > 0;
}

static bool is_tried_again(enum fault fault, struct bytes trouble)
{
    AUTO_CX struct cx *cx = cx_new(DRAWER_MEMORY, CX_NO_DEADLINE);
    Cohortium__Trouble *t;

    switch (fault) {
    case FAULT_UNAVAILABLE:
    case FAULT_BUSY:
    case FAULT_HELD:
    case FAULT_TIMEOUT:
    case FAULT_MEMORY:
    case FAULT_STORAGE:
    case FAULT_CONFLICT: /* something changed under it */
    case FAULT_MISSING:  /* a site was started anew in the middle */
    case FAULT_REPLAY:   /* a session that was left is not over yet */
        return true;
    case FAULT_INVALID:
        return cx != NULL &&
               pb_unpack(cx, &cohortium__trouble__descriptor, trouble, LINK_MESSAGE_MAX,
                         &t) == FAULT_NONE &&
               may_pass(t);
    default:
        return false;
    }
}

/* Many sites may have much to complain of; the first of it says enough. Nothing: not even
 * that is short. */
static struct bytes cut_trouble(struct cx *cx, struct bytes packed)
{
    Cohortium__Trouble *t;

    if (packed.n <= KEPT_TROUBLE_MAX)
        return packed;
    if (pb_unpack(cx, &cohortium__trouble__descriptor, packed, LINK_MESSAGE_MAX, &t) !=
        FAULT_NONE)
        return (struct bytes){0};
    while (packed.n > KEPT_TROUBLE_MAX && t->n_complaints > 0) {
        t->n_complaints /= 2;
        if (pb_pack(cx, &t->base, &packed) != FAULT_NONE)
            return (struct bytes){0};
    }
    return packed.n <= KEPT_TROUBLE_MAX ? packed : (struct bytes){0};
}

static struct bytes kept_trouble(struct net *net, struct cx *cx, enum fault fault,
                                 struct bytes body)
{
    struct bytes cut = cx != NULL ? cut_trouble(cx, body) : (struct bytes){0};

    return cut.n > 0 || cx == NULL
               ? cut
               : net_trouble(cx, fault, "why is not known: it was too long to keep",
                             net->self);
}

/* A cancelled one is out of the drawer already. */
static void trial_done(void *user, enum fault fault, struct bytes body)
{
    struct trial *t = user;
    struct net *net = t->net;
    Cohortium__LaterStore store = COHORTIUM__LATER_STORE__INIT;
    bool again = fault != FAULT_NONE && is_tried_again(fault, body);
    AUTO_CX struct cx *cx = cx_new(DRAWER_MEMORY, CX_NO_DEADLINE);

    net->later.running--;
    if (fault != FAULT_CANCELLED && !net->closing) {
        store.act = (char *)(again ? "again" : "end");
        store.issuer = PB_DATA(bytes_of(t->who, sizeof t->who));
        store.request = PB_DATA(bytes_of(t->digest, sizeof t->digest));
        store.soon = again && fault != FAULT_INVALID;
        if (fault != FAULT_NONE)
            store.trouble = PB_DATA(kept_trouble(net, cx, fault, body));
        else if (body.n <= KEPT_RECEIPT_MAX)
            store.receipt = PB_DATA(body);
        drawer_call(net, &net_self, &store, ignore, NULL);
        later_soon(net, TICK_MS);
    }
    free(t);
}

static void try_one(struct net *net, const Cohortium__LaterReply *r)
{
    const Cohortium__LaterCard *card = r->cards[0];
    struct trial *t;

    /* next's card carries whose it is in `charged`. */
    if (card->n_charged != 1 || card->charged[0].len != DIGEST_BYTES ||
        card->request.len != DIGEST_BYTES ||
        ask_find(net, card->charged[0].data, card->request.data) != NULL ||
        (t = calloc(1, sizeof *t)) == NULL)
        return;
    t->net = net;
    memcpy(t->who, card->charged[0].data, sizeof t->who);
    memcpy(t->digest, card->request.data, sizeof t->digest);
    net->later.running++;
    coordinate_for(net, t->who, PB_BYTES(r->request), NULL, trial_done, t);
}

/* No card: nothing waits. A card without its request: nothing is due yet. */
static void next_done(void *user, enum fault fault, struct bytes body)
{
    struct net *net = user;
    AUTO_CX struct cx *cx = cx_new(DRAWER_MEMORY, CX_NO_DEADLINE);
    Cohortium__LaterReply *r = NULL;

    net->later.asked = false;
    if (fault == FAULT_NONE &&
        (cx == NULL || pb_unpack(cx, &cohortium__later_reply__descriptor, body,
                                 LINK_MESSAGE_MAX, &r) != FAULT_NONE))
        fault = FAULT_MEMORY;
    if (fault == FAULT_DENIED || net->closing) /* a vault that keeps none */
        return;
    net->later.some = fault != FAULT_NONE || r->n_cards > 0;
    net->later.begun = net->later.begun || fault == FAULT_NONE;
    bool due = fault == FAULT_NONE && r->n_cards > 0 && r->request.len > 0;
    if (due)
        try_one(net, r);
    if (net->later.some)
        later_soon(net, due ? 0 : TICK_MS);
}

static void later_tick(void *user)
{
    struct net *net = user;
    Cohortium__LaterStore store = COHORTIUM__LATER_STORE__INIT;

    net->later.timer = 0;
    if (net->closing || net->later.asked)
        return;
    if (net->later.running >= RUNNING_MAX) {
        later_soon(net, TICK_MS);
        return;
    }
    net->later.asked = true;
    store.act = (char *)(net->later.begun ? "next" : "start");
    store.soon = net->later.linked;
    net->later.linked = false;
    drawer_call(net, &net_self, &store, next_done, net);
}

static void later_soon(struct net *net, int64_t delay_ms)
{
    if (net->closing)
        return;
    hub_cancel_timer(net->hub, net->later.timer);
    net->later.timer = hub_after(net->hub, delay_ms, later_tick, net);
}

void later_start(struct net *net)
{
    later_soon(net, FIRST_MS);
}

void later_linked(struct net *net)
{
    net->later.linked = true;
    if (net->later.some)
        later_soon(net, FIRST_MS);
}

/*
 * witness.c - members witness each other's logs: what net carries of it.
 *
 * A round asks the vault what is to be shown, shows it to every linked peer at once, and
 * tells the vault what they said: half a second after the log grew, every minute, and at
 * once when a peer links or somebody waits for a proof.
 *
 * Proofs of records wait a little for the cosignatures of the next round. For `audit
 * verify` the peers are asked what they hold of our log.
 *
 * A peer has one checkpoint of ours to judge at a time; a slow one is left out of rounds
 * until it has answered. Nothing here is believed by a vault: it checks every signature and
 * proof.
 */
#include <stdlib.h>
#include <string.h>

#include "node/log.h"
#include "node/net/witness_private.h"
#include "protocol/base/clock.h"
#include "protocol/checkpoint.h"

enum {
    SOON_MS = 500,
    MINUTE_MS = 60 * 1000,
    ROUND_MS = 1000,  /* then it ends without those who have not answered */
    SHOW_MS = 10000,  /* for one peer */
    AGAIN_MAX = 3,    /* rounds at once because a peer knew another size */
    WANTED_MAX = 256, /* proofs that are waited for */
    WAIT_MAX_MS = 1000,
    PROVE_MAX = 64 * 1024,
    ROUND_MEMORY = 16 * 1024 * 1024
};

struct round {
    struct witness *w;
    struct cx *cx;
    Cohortium__RoundDoneCall done;
    size_t waiting, room; /* room: for answers */
    uint64_t timer;
};

struct shown { /* one peer judges our checkpoint */
    struct shown *next;
    struct witness *w;
    const Cohortium__Member *who;
    struct round *round; /* NULL: it is over */
};

struct wanted { /* proofs, until they are cosigned or the wait is over */
    struct wanted *next;
    struct witness *w;
    struct ipc_caller from;
    uint8_t *call, *reply; /* reply: the newest, not enough cosigned yet */
    size_t n_call, n_reply;
    bool asking;  /* the vault is */
    bool is_late; /* what the vault says next is the answer */
    uint64_t timer;
    call_done *done;
    void *user;
};

/* ---- rounds ---- */

static void round_start(struct witness *w);
static void ask_again(struct witness *w);

static bool is_busy(const struct witness *w, const Cohortium__Member *who)
{
    for (const struct shown *s = w->shown; s != NULL; s = s->next)
        if (member_same(s->who, who))
            return true;
    return false;
}

/* The members that are linked, ourselves not; `idle`: and have nothing of ours to judge. In
 * ret, where it is wanted. */
static size_t linked(const struct witness *w, bool idle, ProtobufCBinaryData *ret)
{
    const Cohortium__Manifest *m = w->net->manifest->body;
    size_t n = 0;

    for (size_t i = 0; i < m->n_members; i++) {
        const Cohortium__Member *who = m->members[i];

        if (member_same(who, w->net->self) || !site_is_linked(w->net, who) ||
            (idle && is_busy(w, who)))
            continue;
        if (ret != NULL)
            ret[n] = who->node_id;
        n++;
    }
    return n;
}

static void soon(void *user)
{
    struct witness *w = user;

    w->soon = 0;
    round_start(w);
}

static void start_soon(struct witness *w)
{
    if (w->closing)
        return;
    if (w->round != NULL)
        w->more = true;
    else if (w->soon == 0)
        w->soon = hub_after(w->net->hub, SOON_MS, soon, w);
}

static void start_now(struct witness *w)
{
    if (w->round != NULL) {
        w->at_once = true;
        return;
    }
    hub_cancel_timer(w->net->hub, w->soon);
    w->soon = 0;
    round_start(w);
}

static void round_free(struct round *r)
{
    struct cx *cx = r->cx;

    cx_free(&cx);
    free(r);
}

static void round_over(void *user, enum fault fault, struct bytes body)
{
    struct round *r = user;
    struct witness *w = r->w;
    Cohortium__RoundDoneReply *reply;
    bool again = fault == FAULT_NONE &&
                 pb_unpack(r->cx, &cohortium__round_done_reply__descriptor, body, PROVE_MAX,
                           &reply) == FAULT_NONE &&
                 reply->again;

    w->round = NULL;
    round_free(r);
    if (w->closing)
        return;
    again = again && ++w->again <= AGAIN_MAX;
    if (!again)
        w->again = 0;
    if (again || w->at_once)
        round_start(w);
    else if (w->more)
        start_soon(w);
    ask_again(w);
}

/* The vault gets what was said until now. */
static void round_end(struct round *r)
{
    struct bytes packed;

    hub_cancel_timer(r->w->net->hub, r->timer);
    r->timer = 0;
    for (struct shown *s = r->w->shown; s != NULL; s = s->next)
        if (s->round == r)
            s->round = NULL;
    if (r->done.n_answers > 0 && pb_pack(r->cx, &r->done.base, &packed) == FAULT_NONE)
        vault_call(r->w->net, &net_self, IPC_CALL, SERVICE_ROUND_DONE, packed,
                   CX_NO_DEADLINE, round_over, r);
    else
        round_over(r, FAULT_UNAVAILABLE, (struct bytes){0});
}

static void round_late(void *user)
{
    struct round *r = user;

    r->timer = 0;
    round_end(r);
}

static void keep_answer(struct round *r, const Cohortium__Member *who, struct bytes body)
{
    Cohortium__PeerAnswer *a = cx_alloc(r->cx, sizeof *a);
    uint8_t *kept = body.n <= WITNESS_ADD_MAX ? cx_memdup(r->cx, body.p, body.n) : NULL;

    if (a == NULL || kept == NULL || r->done.n_answers == r->room)
        return;
    cohortium__peer_answer__init(a);
    a->node_id = who->node_id;
    if (pb_unpack(r->cx, &cohortium__add_checkpoint_reply__descriptor,
                  bytes_of(kept, body.n), WITNESS_ADD_MAX, &a->reply) == FAULT_NONE)
        r->done.answers[r->done.n_answers++] = a;
}

static void shown_done(void *user, enum fault fault, struct bytes body)
{
    struct shown *s = user;
    struct round *r = s->round;
    const Cohortium__Member *who = s->who;

    for (struct shown **at = &s->w->shown; *at != NULL; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    free(s);
    if (r == NULL)
        return;
    if (fault == FAULT_NONE)
        keep_answer(r, who, body);
    if (--r->waiting == 0)
        round_end(r);
}

static void show(struct round *r, const Cohortium__PeerTurn *turn)
{
    struct witness *w = r->w;
    const Cohortium__Member *who = turn->node_id.len == DIGEST_BYTES
                                       ? manifest_find(w->net->manifest, turn->node_id.data)
                                       : NULL;
    struct shown *s;
    struct bytes packed;

    if (who == NULL || turn->call == NULL || is_busy(w, who) ||
        pb_pack(r->cx, &turn->call->base, &packed) != FAULT_NONE ||
        (s = malloc(sizeof *s)) == NULL)
        return;
    *s = (struct shown){.next = w->shown, .w = w, .who = who, .round = r};
    w->shown = s;
    r->done.checkpoint = turn->call->checkpoint;
    r->waiting++;
    site_call(w->net, who, SERVICE_ADD_CHECKPOINT, packed, clock_mono_ms() + SHOW_MS,
              shown_done, s);
}

static void round_planned(void *user, enum fault fault, struct bytes body)
{
    struct round *r = user;
    struct witness *w = r->w;
    Cohortium__RoundReply *reply;
    uint8_t *kept = cx_memdup(r->cx, body.p, body.n);

    r->waiting = 1; /* ourselves, until all calls are out */
    if (fault == FAULT_NONE && kept != NULL &&
        pb_unpack(r->cx, &cohortium__round_reply__descriptor, bytes_of(kept, body.n),
                  LINK_MESSAGE_MAX, &reply) == FAULT_NONE &&
        (r->done.answers = cx_array(r->cx, reply->n_turns + 1, sizeof *r->done.answers)) !=
            NULL) {
        r->room = reply->n_turns;
        r->timer = hub_after(w->net->hub, ROUND_MS, round_late, r);
        for (size_t i = 0; i < reply->n_turns; i++)
            show(r, reply->turns[i]);
    }
    if (--r->waiting == 0)
        round_end(r);
}

static void round_start(struct witness *w)
{
    Cohortium__RoundCall call = COHORTIUM__ROUND_CALL__INIT;
    struct round *r;
    struct bytes packed;

    w->more = w->at_once = false;
    if (w->round != NULL || w->closing || (r = calloc(1, sizeof *r)) == NULL)
        return;
    r->w = w;
    r->cx = cx_new(ROUND_MEMORY, CX_NO_DEADLINE);
    if (r->cx != NULL)
        call.peers = cx_array(r->cx, w->net->manifest->body->n_members, sizeof *call.peers);
    if (call.peers != NULL)
        call.n_peers = linked(w, true, call.peers);
    if (call.n_peers == 0 || pb_pack(r->cx, &call.base, &packed) != FAULT_NONE) {
        round_free(r);
        return;
    }
    cohortium__round_done_call__init(&r->done);
    w->round = r;
    vault_call(w->net, &net_self, IPC_CALL, SERVICE_ROUND, packed, CX_NO_DEADLINE,
               round_planned, r);
}

static void minute(void *user)
{
    struct witness *w = user;

    w->minute = hub_after(w->net->hub, MINUTE_MS, minute, w);
    start_now(w);
}

void witness_grew(struct net *net)
{
    start_soon(net->witness);
}

void witness_now(struct net *net)
{
    start_now(net->witness);
}

/* ---- proofs ---- */

static void wanted_end(struct wanted *p, enum fault fault, struct bytes body)
{
    struct witness *w = p->w;

    for (struct wanted **at = &w->wanted; *at != NULL; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    w->n_wanted--;
    hub_cancel_timer(w->net->hub, p->timer);
    p->done(p->user, fault, body);
    free(p->call);
    free(p->reply);
    free(p);
}

static void wanted_late(void *user)
{
    struct wanted *p = user;

    p->timer = 0;
    if (p->asking)
        p->is_late = true;
    else
        wanted_end(p, FAULT_NONE, bytes_of(p->reply, p->n_reply));
}

static bool is_cosigned(struct bytes body)
{
    AUTO_CX struct cx *cx = cx_new(ROUND_MEMORY, CX_NO_DEADLINE);
    Cohortium__ProveReply *reply;

    return cx != NULL &&
           pb_unpack(cx, &cohortium__prove_reply__descriptor, body, LINK_MESSAGE_MAX,
                     &reply) == FAULT_NONE &&
           reply->cosigned;
}

/* Nobody waits for witnesses who are not there. */
static bool is_worth_waiting(const struct witness *w)
{
    return !w->closing && linked(w, false, NULL) >= WITNESSES_MIN;
}

static void proved(void *user, enum fault fault, struct bytes body)
{
    struct wanted *p = user;
    struct witness *w = p->w;
    uint8_t *kept;

    p->asking = false;
    if (fault != FAULT_NONE || p->is_late || p->timer == 0 || is_cosigned(body) ||
        !is_worth_waiting(w) || (kept = malloc(body.n ? body.n : 1)) == NULL) {
        wanted_end(p, fault, body);
        return;
    }
    if (body.n > 0)
        memcpy(kept, body.p, body.n);
    bool first = p->reply == NULL;
    free(p->reply);
    p->reply = kept;
    p->n_reply = body.n;
    if (first)
        start_now(w);
}

static void ask_vault(struct wanted *p)
{
    p->asking = true;
    vault_call(p->w->net, &p->from, IPC_CALL, SERVICE_PROVE, bytes_of(p->call, p->n_call),
               CX_NO_DEADLINE, proved, p);
}

/* A round is over: perhaps there are enough cosignatures now. A call may end, and be gone,
 * before ask_vault returns. */
static void ask_again(struct witness *w)
{
    for (struct wanted *p = w->wanted, *following; p != NULL; p = following) {
        following = p->next;
        if (!p->asking && p->reply != NULL)
            ask_vault(p);
    }
}

static bool read_wait(struct bytes call, uint32_t *ret)
{
    AUTO_CX struct cx *cx = cx_new(4 * 1024 * 1024, CX_NO_DEADLINE);
    Cohortium__ProveCall *body;

    if (cx == NULL || pb_unpack(cx, &cohortium__prove_call__descriptor, call, PROVE_MAX,
                                &body) != FAULT_NONE)
        return false;
    *ret = body->wait_ms < WAIT_MAX_MS ? body->wait_ms : WAIT_MAX_MS;
    return true;
}

void witness_prove(struct net *net, const struct ipc_caller *from, struct bytes call,
                   call_done *done, void *user)
{
    struct witness *w = net->witness;
    struct wanted *p;
    uint32_t wait;

    if (!read_wait(call, &wait)) {
        done(user, FAULT_FORMAT, (struct bytes){0});
        return;
    }
    p = w->n_wanted < WANTED_MAX ? calloc(1, sizeof *p) : NULL;
    if (p == NULL || (p->call = malloc(call.n ? call.n : 1)) == NULL) {
        free(p);
        vault_call(net, from, IPC_CALL, SERVICE_PROVE, call, CX_NO_DEADLINE, done, user);
        return;
    }
    memcpy(p->call, call.p, call.n);
    p->from = *from;
    p->n_call = call.n;
    p->w = w;
    p->done = done;
    p->user = user;
    p->next = w->wanted;
    w->wanted = p;
    w->n_wanted++;
    if (wait > 0)
        p->timer = hub_after(net->hub, wait, wanted_late, p);
    ask_vault(p);
}

void witness_prove_at(struct net *net, const Cohortium__Member *site, struct bytes call,
                      call_done *done, void *user)
{
    if (member_same(site, net->self))
        witness_prove(net, &net_self, call, done, user);
    else
        site_call(net, site, SERVICE_PROVE, call, clock_mono_ms() + 2 * WAIT_MAX_MS, done,
                  user);
}

/* ---- start and end ---- */

enum fault witness_new(struct cx *cx, struct net *net)
{
    struct witness *w;

    CX_NEW(cx, w, 1);
    w->net = net;
    net->witness = w;
    w->minute = hub_after(net->hub, MINUTE_MS, minute, w);
    return FAULT_NONE;
}

void witness_end(struct net *net)
{
    struct witness *w = net->witness;

    if (w == NULL)
        return;
    w->closing = true;
    for (struct wanted *p = w->wanted, *following; p != NULL; p = following) {
        following = p->next;
        if (!p->asking) /* else the end of its call ends it */
            wanted_end(p, FAULT_UNAVAILABLE, (struct bytes){0});
    }
}

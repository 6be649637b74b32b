/*
 * coordinate.c - one question, driven over all its sites.
 *
 *   preflight -> (complaints | dry run) | begin -> (answers | ACCEPTs) -> rounds -> answers
 *   round: home vault proposes; everybody gets proposal and the vectors of the round before
 *
 * The coordinator carries envelopes and cannot make any: every vault checks what it gets.
 * One exchange a round. When a site fails, the session is aborted everywhere and the site
 * named. When only its link fails, the call is made again (coordinate_again.c).
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/log.h"
#include "node/net/coordinate_private.h"
#include "protocol/base/clock.h"

enum {
    ROUNDS_MAX = 1000000, /* as far as a site's claim is told on */
    CLEARS_MAX = 20,
    CLEAR_MS = 500,
    BUSY_MS = 5, /* the first pause; each one longer, by chance */
    BUSY_MOST_MS = 250,
    BUSIES_MAX = 400
};

const char ask_cancelled[] = "cancelled by the researcher";

void ask_free(struct ask *a)
{
    for (struct ask **at = &a->net->asks; *at != NULL; at = &(*at)->next)
        if (*at == a) {
            *at = a->next;
            break;
        }
    hub_cancel_timer(a->net->hub, a->timer);
    hub_cancel_timer(a->net->hub, a->clear_timer);
    a->net->n_asks--;
    cx_free(&a->round[0]);
    cx_free(&a->round[1]);
    struct cx *cx = a->cx;
    cx_free(&cx);
    free(a);
}

static void ignore(void *user, enum fault fault, struct bytes body)
{
    (void)user;
    (void)fault;
    (void)body;
}

/* The end, told once to everybody who waits for it. */
static void tell_end(struct ask *a, enum fault fault, struct bytes body)
{
    struct served *served = a->served;
    call_done *done = a->done;

    a->served = NULL;
    a->done = NULL;
    if (served != NULL && fault == FAULT_NONE)
        served_reply(served, body);
    else if (served != NULL)
        served_fail(served, fault, body);
    if (done != NULL)
        done(a->done_user, fault, body);
}

void ask_tell(struct ask *a, enum fault fault, const char *text,
              const Cohortium__Member *site)
{
    AUTO_CX struct cx *cx = cx_new(256 * 1024, CX_NO_DEADLINE);

    tell_end(a, fault, cx != NULL ? net_trouble(cx, fault, text, site) : (struct bytes){0});
}

/* Everybody forgets the session; the researcher hears why. The ask goes when no call is
 * out. */
void ask_fail(struct ask *a, enum fault fault, const char *text, size_t site)
{
    if (a->failed)
        return;
    a->failed = true;
    for (size_t i = 0; i < a->n; i++)
        part_forget_again(&a->parts[i]);
    for (size_t i = 0; a->phase >= BEGINNING && i < a->n; i++)
        site_call(a->net, a->parts[i].who, SERVICE_ABORT,
                  bytes_of(a->request.envelope.digest, DIGEST_BYTES),
                  clock_mono_ms() + NET_LINK_WAIT_MS, ignore, NULL);
    if (a->done == NULL || a->phase != LINKING) /* else it waits as it did before */
        log_notice("a question ended without an answer: %s", text);
    ask_tell(a, fault, text, site < a->n ? a->parts[site].who : NULL);
}

/* Whether the one who waits gave it up. A link that went down gives up nothing: the answer
 * is collected by id. */
bool ask_is_given_up(struct ask *a)
{
    if (a->served == NULL || served_link(a->served) == NULL ||
        !served_is_cancelled(a->served))
        return false;
    if (a->done == NULL)
        return true;
    net_fail(a->served, FAULT_CANCELLED, "not waited for any more", NULL);
    a->served = NULL;
    return false;
}

void ask_settle(struct ask *a)
{
    if (a->failed && a->waiting == 0)
        ask_free(a);
}

static void next(struct ask *a);

/* A site's failure in words: its own where it sent some, else what we saw. */
static void part_failed(struct ask *a, size_t i, enum fault fault, struct bytes body)
{
    Cohortium__Trouble *t = NULL;
    const char *name = a->parts[i].who->name;
    const char *text;

    if (body.n > 0 && pb_unpack(a->cx, &cohortium__trouble__descriptor, body, 256 * 1024,
                                &t) != FAULT_NONE)
        t = NULL;
    if (fault == FAULT_TIMEOUT)
        text = cx_printf(a->cx, "%s did not answer in time", name);
    else if (fault == FAULT_UNAVAILABLE && (t == NULL || t->text[0] == '\0'))
        text = cx_printf(a->cx, "%s is down or its link was cut", name);
    else
        text = cx_printf(a->cx, "%s: %s", name,
                         t != NULL && t->text[0] != '\0' ? t->text : fault_name(fault));
    ask_fail(a, fault, text != NULL ? text : name, i);
}

static void take_reply(struct ask *a, size_t i, struct bytes body);

void ask_called(struct ask *a)
{
    a->waiting--;
    if (!a->failed && a->waiting == 0)
        next(a);
    else
        ask_settle(a);
}

void part_call_ended(void *user, enum fault fault, struct bytes body)
{
    struct part *p = user;
    struct ask *a = p->ask;

    if (part_waits_again(p, fault, body))
        return;
    p->waiting = false;
    if (!a->failed && ask_is_given_up(a))
        ask_fail(a, FAULT_CANCELLED, ask_cancelled, a->n);
    if (!a->failed && fault == FAULT_REPLAY && a->phase == BEGINNING &&
        a->clears < CLEARS_MAX)
        a->clear = true;
    else if (!a->failed && fault == FAULT_BUSY && a->phase == BEGINNING)
        a->busy = true;
    else if (!a->failed && fault != FAULT_NONE)
        part_failed(a, p->i, fault, body);
    else if (!a->failed)
        take_reply(a, p->i, body);
    ask_called(a);
}

/* Calls one site; `waiting` is counted before, because done may run at once. */
static void call_one(struct ask *a, size_t i, enum service service, struct bytes body)
{
    struct part *p = &a->parts[i];

    p->waiting = true;
    p->charged = p->charged || service == SERVICE_STEP ||
                 (service == SERVICE_BEGIN && a->request.body->question->by_site);
    p->service = service;
    p->body = body;
    p->again_until = 0;
    a->waiting++;
    site_call(a->net, p->who, service, body, a->deadline, part_call_ended, p);
}

/* Calls all (or those that `wanted` says) with one body; holds the ask meanwhile. */
static void call_all(struct ask *a, enum service service, struct bytes body,
                     bool (*wanted)(const struct part *))
{
    a->waiting++;
    for (size_t i = 0; i < a->n && !a->failed; i++)
        if (wanted == NULL || wanted(&a->parts[i]))
            call_one(a, i, service, body);
    a->waiting--;
    if (a->waiting == 0 && !a->failed)
        next(a);
    else
        ask_settle(a);
}

/* ---- what comes back ---- */

static bool keep(struct ask *a, struct cx *cx, struct bytes b, struct bytes *ret)
{
    uint8_t *p = cx_memdup(cx, b.p, b.n);

    if (p == NULL) {
        ask_fail(a, FAULT_MEMORY, "out of memory for this question", a->n);
        return false;
    }
    *ret = bytes_of(p, b.n);
    return true;
}

static void take_begin(struct ask *a, size_t i, struct bytes body)
{
    struct part *p = &a->parts[i];
    Cohortium__BeginReply *r;

    if (pb_unpack(a->cx, &cohortium__begin_reply__descriptor, body, LINK_MESSAGE_MAX, &r) !=
        FAULT_NONE) {
        ask_fail(a, FAULT_FORMAT, "a site's answer was not understood", i);
        return;
    }
    p->accept = PB_BYTES(r->accept);
    p->answer = r->answer;
    if (p->answer != NULL)
        part_prove(a, i);
}

static void take_step(struct ask *a, size_t i, struct bytes body)
{
    struct cx *cx = a->round[a->turn];
    struct part *p = &a->parts[i];
    Cohortium__StepReply *r;

    if (pb_unpack(cx, &cohortium__step_reply__descriptor, body, LINK_MESSAGE_MAX, &r) !=
        FAULT_NONE) {
        ask_fail(a, FAULT_FORMAT, "a site's answer was not understood", i);
        return;
    }
    if (a->phase == PROPOSING) {
        a->proposal = PB_BYTES(r->proposal);
        if (a->proposal.n == 0)
            ask_fail(a, FAULT_CONFLICT, "the home vault proposed nothing", i);
        return;
    }
    p->vector = PB_BYTES(r->vector);
    p->boxes = r->boxes;
    if (p->vector.n > 0 && r->n_boxes != a->n - 1) {
        ask_fail(a, FAULT_FORMAT, "a site's answer lacks boxes, or has too many", i);
        return;
    }
    struct bytes packed;
    if (r->answer == NULL)
        return;
    if (pb_pack(cx, &r->answer->base, &packed) != FAULT_NONE ||
        !keep(a, a->cx, packed, &packed) ||
        pb_unpack(a->cx, &cohortium__answer__descriptor, packed, LINK_MESSAGE_MAX,
                  &p->answer) != FAULT_NONE)
        ask_fail(a, FAULT_MEMORY, "out of memory for this question", a->n);
    else
        part_prove(a, i);
}

/* The most that a site has to say in a phase: nothing is kept beyond it. */
static size_t reply_max(enum phase phase)
{
    return phase == PREFLIGHT ? envelope_packed_bound(ENVELOPE_PREFLIGHT)
                              : LINK_MESSAGE_MAX;
}

static void take_reply(struct ask *a, size_t i, struct bytes body)
{
    struct bytes kept;
    struct cx *cx = a->phase >= PROPOSING ? a->round[a->turn] : a->cx;

    if (body.n > reply_max(a->phase)) {
        ask_fail(a, FAULT_BOUND, "a site's answer is longer than allowed", i);
        return;
    }
    if (a->phase == CLEARING || !keep(a, cx, body, &kept))
        return;
    if (a->phase == PREFLIGHT)
        a->parts[i].preflight = kept;
    else if (a->phase == BEGINNING)
        take_begin(a, i, kept);
    else
        take_step(a, i, kept);
}

static void finish(struct ask *a)
{
    struct bytes packed;
    enum fault fault = ask_receipt(a, &packed);

    if (fault != FAULT_NONE)
        ask_tell(a, fault, cx_message(a->cx), NULL);
    else if (packed.n > LINK_MESSAGE_MAX)
        ask_tell(a, FAULT_BOUND, "the receipt is larger than a message may be", NULL);
    else
        tell_end(a, FAULT_NONE, packed);
    ask_free(a);
}

/* ---- phases ---- */

static bool same_complaint(const Cohortium__Complaint *a, const Cohortium__Complaint *b)
{
    return strcmp(a->code, b->code) == 0 && strcmp(a->text, b->text) == 0;
}

/* All complaints of all sites; what several say alike is said once. */
static enum fault gather_complaints(struct ask *a, Cohortium__Trouble *t)
{
    for (size_t i = 0; i < a->n; i++) {
        struct envelope e;
        Cohortium__Preflight *p;

        TRY(envelope_open(a->cx, ENVELOPE_PREFLIGHT, a->parts[i].preflight, &e));
        TRY(pb_unpack(a->cx, &cohortium__preflight__descriptor, e.body,
                      envelope_bound(ENVELOPE_PREFLIGHT), &p));
        a->held = a->held || policy_holds(p->policy);
        Cohortium__Complaint **list;
        CX_NEW(a->cx, list, t->n_complaints + p->n_complaints);
        if (t->n_complaints > 0)
            memcpy(list, t->complaints, t->n_complaints * sizeof *list);
        t->complaints = list;
        if (p->rounds > a->rounds_max)
            a->rounds_max = p->rounds > ROUNDS_MAX ? ROUNDS_MAX : (uint32_t)p->rounds;
        for (size_t k = 0; k < p->n_complaints; k++) {
            bool known = false;

            for (size_t j = 0; j < t->n_complaints && !known; j++)
                known = same_complaint(list[j], p->complaints[k]);
            if (!known)
                list[t->n_complaints++] = p->complaints[k];
        }
    }
    return FAULT_NONE;
}

static void after_preflight(struct ask *a)
{
    Cohortium__Trouble t = COHORTIUM__TROUBLE__INIT;
    Cohortium__BeginCall call = COHORTIUM__BEGIN_CALL__INIT;
    struct bytes packed;

    if (gather_complaints(a, &t) != FAULT_NONE) {
        ask_fail(a, FAULT_FORMAT, "a site's preflight was not understood", a->n);
        ask_settle(a);
        return;
    }
    if (a->request.body->dry_run) { /* complaints are in the preflights, by site */
        finish(a);
        return;
    }
    if (t.n_complaints > 0) {
        t.fault = (char *)fault_name(FAULT_INVALID);
        t.text =
            (char *)"the request is not valid; no data was touched and nothing was charged";
        if (pb_pack(a->cx, &t.base, &packed) != FAULT_NONE)
            packed = (struct bytes){0};
        tell_end(a, FAULT_INVALID, packed);
        ask_free(a);
        return;
    }
    call.request = PB_DATA(a->request.envelope.packed);
    call.n_preflights = a->n;
    call.preflights = cx_array(a->cx, a->n, sizeof *call.preflights);
    for (size_t i = 0; call.preflights != NULL && i < a->n; i++)
        call.preflights[i] = PB_DATA(a->parts[i].preflight);
    call.rerun = a->rerun;
    if (call.preflights == NULL || pb_pack(a->cx, &call.base, &packed) != FAULT_NONE) {
        ask_fail(a, FAULT_MEMORY, "out of memory for this question", a->n);
        ask_settle(a);
        return;
    }
    a->phase = BEGINNING;
    call_all(a, SERVICE_BEGIN, packed, NULL);
}

/* What of the boxes beside vector `from` is for `to`. */
static ProtobufCBinaryData box_for(const struct ask *a, size_t from, size_t to)
{
    if (from == to)
        return (ProtobufCBinaryData){0};
    return a->parts[from].boxes[to < from ? to : to - 1];
}

/* Packs a step's body for site `to`: ACCEPTs with round 0, the vectors of the round before
 * otherwise, each with the box for this site. */
static enum fault step_body(struct ask *a, size_t to, struct bytes proposal, bool vectors,
                            struct bytes *ret)
{
    struct cx *cx = a->round[a->turn];
    Cohortium__StepCall call = COHORTIUM__STEP_CALL__INIT;
    ProtobufCBinaryData *list;

    call.request = PB_DATA(bytes_of(a->request.envelope.digest, DIGEST_BYTES));
    call.proposal = PB_DATA(proposal);
    CX_NEW(cx, list, a->n);
    for (size_t i = 0; i < a->n; i++)
        list[i] =
            a->rounds == 0 ? PB_DATA(a->parts[i].accept) : PB_DATA(a->parts[i].vector);
    if (vectors && a->rounds == 0) {
        call.n_accepts = a->n;
        call.accepts = list;
    } else if (vectors) {
        call.n_vectors = call.n_boxes = a->n;
        call.vectors = list;
        CX_NEW(cx, call.boxes, a->n);
        for (size_t i = 0; i < a->n; i++)
            call.boxes[i] = box_for(a, i, to);
    }
    return pb_pack(cx, &call.base, ret);
}

static void propose(struct ask *a)
{
    struct bytes packed;

    a->turn = 1 - a->turn;
    cx_reset(a->round[a->turn]);
    a->phase = PROPOSING;
    if (step_body(a, a->home, (struct bytes){0}, true, &packed) != FAULT_NONE) {
        ask_fail(a, FAULT_MEMORY, "out of memory for this question", a->n);
        ask_settle(a);
        return;
    }
    call_one(a, a->home, SERVICE_STEP, packed);
}

static void step(struct ask *a)
{
    struct cx *cx = a->round[a->turn];
    struct bytes *bodies = cx_array(cx, a->n, sizeof *bodies);
    bool packed = bodies != NULL;

    a->phase = STEPPING;
    for (size_t i = 0; packed && i < a->n; i++) /* home has had the vectors */
        packed = step_body(a, i, a->proposal, i != a->home, &bodies[i]) == FAULT_NONE;
    if (!packed) {
        ask_fail(a, FAULT_MEMORY, "out of memory for this question", a->n);
        ask_settle(a);
        return;
    }
    a->rounds++;
    a->waiting++; /* held until home's call is out too */
    for (size_t i = 0; i < a->n && !a->failed; i++)
        if (i != a->home)
            call_one(a, i, SERVICE_STEP, bodies[i]);
    if (!a->failed)
        call_one(a, a->home, SERVICE_STEP, bodies[a->home]);
    a->waiting--;
    if (a->waiting == 0 && !a->failed)
        next(a);
    else
        ask_settle(a);
}

static size_t count_answers(const struct ask *a)
{
    size_t n = 0;

    for (size_t i = 0; i < a->n; i++)
        n += a->parts[i].answer != NULL;
    return n;
}

/* ---- a session that a coordination before this one has left ---- */

static void begin_again(void *user)
{
    struct ask *a = user;

    a->clear_timer = 0;
    after_preflight(a);
}

static void preflight_again(void *user)
{
    struct ask *a = user;

    a->clear_timer = 0;
    ask_begin(a);
}

static void end_everywhere(struct ask *a)
{
    a->rerun = false;
    a->n_seen = 0;
    a->phase = CLEARING;
    for (size_t i = 0; i < a->n; i++) {
        a->parts[i].answer = NULL;
        a->parts[i].accept = (struct bytes){0};
        a->parts[i].proven = false;
    }
    call_all(a, SERVICE_ABORT, bytes_of(a->request.envelope.digest, DIGEST_BYTES), NULL);
}

/* The keys of that session are gone with whoever coordinated it: it is ended everywhere and
 * begun anew, with new keys. What it charged stays charged, once. */
static void clear(struct ask *a)
{
    a->clear = false;
    a->clears++;
    a->busy = false;
    end_everywhere(a);
}

/* Two questions about one dataset are judged one after the other. Who came second gives way
 * everywhere and asks anew, for what is remembered has changed. */
static void give_way(struct ask *a)
{
    uint32_t most = BUSY_MS << (a->busies < 6 ? a->busies : 6);
    uint32_t pause = 1 + randombytes_uniform(most < BUSY_MOST_MS ? most : BUSY_MOST_MS);

    a->busies++;
    if (a->busies > BUSIES_MAX || clock_mono_ms() + pause >= a->deadline) {
        ask_fail(a, FAULT_BUSY,
                 "the sites are at other questions about this dataset; ask again in a while",
                 a->n);
        ask_settle(a);
        return;
    }
    a->clear_timer = hub_after(a->net->hub, pause, preflight_again, a);
    if (a->clear_timer == 0) {
        ask_fail(a, FAULT_MEMORY, "out of memory for this question", a->n);
        ask_settle(a);
    }
}

/* A step that was at work ends first, so the second time on there is a wait. */
static void cleared(struct ask *a)
{
    if (a->busy) {
        a->busy = false;
        give_way(a);
        return;
    }
    if (a->clears == 1) {
        after_preflight(a);
        return;
    }
    a->clear_timer = hub_after(a->net->hub, CLEAR_MS, begin_again, a);
    if (a->clear_timer == 0) {
        ask_fail(a, FAULT_MEMORY, "out of memory for this question", a->n);
        ask_settle(a);
    }
}

/* All calls of a phase are back. */
static void next(struct ask *a)
{
    size_t answers = count_answers(a);

    switch (a->phase) {
    case LINKING:
        break;
    case PREFLIGHT:
        after_preflight(a);
        return;
    case CLEARING:
        cleared(a);
        return;
    case BEGINNING:
        if (a->clear) {
            clear(a);
        } else if (a->busy) {
            end_everywhere(a);
        } else if (answers == a->n) {
            finish(a);
        } else if (answers > 0 &&
                   !a->rerun) { /* some vault lacks the answer: run it for all */
            a->rerun = true;
            for (size_t i = 0; i < a->n; i++) {
                a->parts[i].answer = NULL;
                a->parts[i].proven = false;
            }
            after_preflight(a);
        } else if (answers > 0) {
            ask_fail(a, FAULT_CONFLICT, "the sites do not agree on whether to begin", a->n);
            ask_settle(a);
        } else {
            propose(a);
        }
        return;
    case PROPOSING:
        step(a);
        return;
    case STEPPING:
        if (answers == a->n) {
            finish(a);
        } else if (answers > 0) {
            ask_fail(a, FAULT_CONFLICT, "the sites do not agree on the last round", a->n);
            ask_settle(a);
        } else if (ask_keep_round(a) != FAULT_NONE) {
            ask_fail(a, FAULT_FORMAT, "a site's vector was not understood", a->n);
            ask_settle(a);
        } else {
            propose(a);
        }
        return;
    }
}

void ask_begin(struct ask *a)
{
    a->phase = PREFLIGHT;
    call_all(a, SERVICE_PREFLIGHT, a->request.envelope.packed, NULL);
}

/* lie.c - forging, and the telling of lies. */
#include "tests/node/lie.h"

#include <sodium.h>

enum { HOME };

struct bytes lie_history[LIE_ROUNDS_MAX][VAULTS];
struct bytes lie_history_boxes[LIE_ROUNDS_MAX][VAULTS][VAULTS - 1];
struct lie_old lie_old;

/* ---- forging ---- */

void *lie_open(struct play *p, enum envelope_kind kind,
               const ProtobufCMessageDescriptor *descriptor, struct bytes packed)
{
    struct envelope e;
    void *m;

    CHECK_OK_("open", p->cx, envelope_open(p->cx, kind, packed, &e));
    CHECK_OK_("open", p->cx,
              pb_unpack(p->cx, descriptor, e.body, envelope_bound(kind), &m));
    return m;
}

ProtobufCBinaryData lie_sign(struct play *p, enum envelope_kind kind, const void *message,
                             const struct keys *keys)
{
    struct bytes packed;

    CHECK_OK_("sign", p->cx, envelope_seal(p->cx, kind, message, keys, &packed));
    return PB_DATA(packed);
}

const struct keys *lie_key(struct play *p, size_t site)
{
    return p->t->site[site].v.signing;
}

ProtobufCBinaryData lie_flip(struct play *p, ProtobufCBinaryData d, size_t at)
{
    uint8_t *copy = cx_memdup(p->cx, d.data, d.len);

    assert_true(copy != NULL && at < d.len);
    copy[at] ^= 1;
    return (ProtobufCBinaryData){.len = d.len, .data = copy};
}

void lie_swap(ProtobufCBinaryData *a, ProtobufCBinaryData *b)
{
    ProtobufCBinaryData c = *a;

    *a = *b;
    *b = c;
}

size_t lie_box_at(size_t from, size_t to)
{
    return to < from ? to : to - 1;
}

void lie_digest(struct play *p, Cohortium__Vector *x, size_t at, ProtobufCBinaryData box)
{
    uint8_t *digest = cx_alloc(p->cx, DIGEST_BYTES);

    assert_non_null(digest);
    (void)crypto_generichash(digest, DIGEST_BYTES, box.data, box.len, NULL, 0);
    x->box_digests[at] = PB_DATA(bytes_of(digest, DIGEST_BYTES));
}

ProtobufCBinaryData lie_vector(struct play *p, size_t from, const Cohortium__Vector *x,
                               const struct tally *const tallies[VAULTS - 1],
                               struct bytes ret_boxes[VAULTS - 1])
{
    struct session *s = play_session(p, from);
    Cohortium__Vector copy = *x;
    ProtobufCBinaryData digests[VAULTS - 1];
    uint8_t context[VECTOR_CONTEXT];

    copy.box_digests = digests;
    (void)session_vector_context(s, context); /* its vault is still in that round */
    for (size_t to = 0; to < VAULTS; to++) {
        struct bytes packed, box;

        if (to == from)
            continue;
        CHECK_OK_("pack", p->cx,
                  tally_pack(p->cx, tallies[lie_box_at(from, to)], x->round, &packed));
        CHECK_OK_("box", p->cx,
                  mask_box(p->cx, s->mask, to, x->round, bytes_of(context, sizeof context),
                           packed, &box));
        ret_boxes[lie_box_at(from, to)] = box;
        lie_digest(p, &copy, lie_box_at(from, to), PB_DATA(box));
    }
    return lie_sign(p, ENVELOPE_VECTOR, &copy, lie_key(p, from));
}

/* ---- telling ---- */

/* Each lie has a question of its own, which nobody has answered. */
static struct bytes question(struct vaults *t, struct cx *cx, size_t number, bool line)
{
    const char *cohort =
        cx_printf(cx, "age >= %zu and age < %zu", 20 + number % 8, 60 + number / 8);

    return vaults_seal(
        cx,
        vaults_request(t, cx, line ? "lm" : "count", line ? "score ~ age" : NULL, cohort),
        t->researcher);
}

static void go_to(struct play *p, uint32_t round)
{
    while (p->round < round) {
        play_round(p);
        memcpy(lie_history[p->round - 1], p->vector, sizeof p->vector);
        memcpy(lie_history_boxes[p->round - 1], p->boxes, sizeof p->boxes);
    }
}

static void make_old(struct play *old, struct vaults *t, struct bytes request,
                     uint32_t round)
{
    play_new(old, t, request);
    play_start(old);
    go_to(old, round);
    if (play_propose(old, NULL) != FAULT_NONE)
        fail_msg("proposal: %s", old->message);
    memcpy(lie_old.accept, old->accept, sizeof lie_old.accept);
    memcpy(lie_old.vector, old->before, sizeof lie_old.vector);
    lie_old.proposal = old->proposal;
    play_forget(old);
}

static void tell_in(struct play *p, const struct lie *l)
{
    struct vaults *t = p->t;
    enum fault fault;

    play_start(p);
    go_to(p, l->round);
    uint64_t log = vaults_count(t, l->victim, TABLE_LOG);
    uint64_t answers = vaults_count(t, l->victim, TABLE_ANSWERS);

    fault = play_propose(p, l->victim == HOME ? l->lie : NULL);
    if (l->victim != HOME && fault != FAULT_NONE)
        fail_msg("%s: honest proposal: %s", l->what, p->message);
    if (l->victim != HOME)
        fault = play_step(p, l->victim, l->lie);
    if (fault != l->want)
        fail_msg("%s: want %s, got %s", l->what, fault_name(l->want),
                 fault == FAULT_NONE ? "no fault" : p->message);
    CHECK_EQ_(l->what, vaults_count(t, l->victim, TABLE_LOG), log);
    CHECK_EQ_(l->what, vaults_count(t, l->victim, TABLE_ANSWERS), answers);
    CHECK_(l->what, p->answer[l->victim] == NULL);
    /* Nor is the truth taken now: what was lied to is over. */
    fault = l->victim == HOME ? play_propose(p, NULL) : play_step(p, l->victim, NULL);
    CHECK_EQ_(l->what, fault, l->lives ? FAULT_NONE : FAULT_MISSING);
    play_forget(p);
}

static void tell(struct vaults *t, size_t number, const struct lie *l)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p, old = {0};

    assert_non_null(cx);
    struct bytes request = question(t, cx, number, l->line);
    if (l->round < COUNT_RELEASE || l->line) /* home would hold its answer */
        make_old(&old, t, request, l->round);
    play_new(&p, t, request);
    tell_in(&p, l);
    play_free(&p);
    if (old.cx != NULL)
        play_free(&old);
    lie_old = (struct lie_old){0};
}

void lies_tell(struct vaults *t, const struct lie *lies, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tell(t, i, &lies[i]);
}

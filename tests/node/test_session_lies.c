/*
 * test_session_lies.c - a coordinator and members that lie, one lie at a time.
 *
 * Each lie is told to one honest vault in the middle of an otherwise honest session. It
 * must be found there and then: the step faults, the session is gone, nothing is written or
 * signed. What a lying member signs is signed with its true key.
 */
#include "tests/node/coordinator.h"

#include <math.h>

static const char TESTING[] = "class: testing\n";
enum { HOME, LIAR, VICTIM, ROUNDS_MAX = 16 };
/* Rounds of a count and, up to its first sums, of a line. */
enum { REGIONS, VERDICT, OPENING, SUM, COUNT_SUM = 2, COUNT_VETO, COUNT_RELEASE };

static struct vaults t;
static struct bytes history[ROUNDS_MAX][VAULTS];
static struct bytes old_accept[VAULTS], old_vector[VAULTS], old_proposal;

static const struct keys *key_of(size_t site)
{
    return t.site[site].v.signing;
}

/* A message opened, to be changed and signed again by whoever lies. */
static void *unpack(struct play *p, enum envelope_kind kind,
                    const ProtobufCMessageDescriptor *descriptor, struct bytes packed)
{
    struct envelope e;
    void *m;

    CHECK_OK_("open", p->cx, envelope_open(p->cx, kind, packed, &e));
    CHECK_OK_("open", p->cx,
              pb_unpack(p->cx, descriptor, e.body, envelope_bound(kind), &m));
    return m;
}

static ProtobufCBinaryData sign(struct play *p, enum envelope_kind kind,
                                const void *message, const struct keys *keys)
{
    struct bytes packed;

    CHECK_OK_("sign", p->cx, envelope_seal(p->cx, kind, message, keys, &packed));
    return PB_DATA(packed);
}

static ProtobufCBinaryData flipped(struct play *p, ProtobufCBinaryData d, size_t at)
{
    uint8_t *copy = cx_memdup(p->cx, d.data, d.len);

    assert_true(copy != NULL && at < d.len);
    copy[at] ^= 1;
    return (ProtobufCBinaryData){.len = d.len, .data = copy};
}

static Cohortium__Accept *accept_of(struct play *p, const Cohortium__StepCall *call,
                                    size_t i)
{
    return unpack(p, ENVELOPE_ACCEPT, &cohortium__accept__descriptor,
                  PB_BYTES(call->accepts[i]));
}

static Cohortium__Vector *vector_of(struct play *p, const Cohortium__StepCall *call,
                                    size_t i)
{
    return unpack(p, ENVELOPE_VECTOR, &cohortium__vector__descriptor,
                  PB_BYTES(call->vectors[i]));
}

static Cohortium__Proposal *proposal_of(struct play *p, const Cohortium__StepCall *call)
{
    return unpack(p, ENVELOPE_PROPOSAL, &cohortium__proposal__descriptor,
                  PB_BYTES(call->proposal));
}

static void swap(ProtobufCBinaryData *a, ProtobufCBinaryData *b)
{
    ProtobufCBinaryData c = *a;

    *a = *b;
    *b = c;
}

/* ---- lies about ACCEPTs ---- */

static void accept_flipped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->accepts[LIAR] = flipped(p, call->accepts[LIAR], call->accepts[LIAR].len - 1);
}

static void accept_of_own_flipped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    call->accepts[victim] =
        flipped(p, call->accepts[victim], call->accepts[victim].len - 1);
}

static void accept_other_order(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Accept *a = accept_of(p, call, LIAR);

    (void)victim;
    swap(&a->participants[0], &a->participants[2]);
    call->accepts[LIAR] = sign(p, ENVELOPE_ACCEPT, a, key_of(LIAR));
}

static void accept_other_versions(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Accept *a = accept_of(p, call, LIAR);

    (void)victim;
    swap(&a->versions[0], &a->versions[2]);
    call->accepts[LIAR] = sign(p, ENVELOPE_ACCEPT, a, key_of(LIAR));
}

static void accept_other_policy(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Accept *a = accept_of(p, call, LIAR);

    (void)victim;
    a->policy = flipped(p, a->policy, 0);
    call->accepts[LIAR] = sign(p, ENVELOPE_ACCEPT, a, key_of(LIAR));
}

static void accept_other_question(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Accept *a = accept_of(p, call, LIAR);

    (void)victim;
    a->question = flipped(p, a->question, 0);
    call->accepts[LIAR] = sign(p, ENVELOPE_ACCEPT, a, key_of(LIAR));
}

static void accept_low_order(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Accept *a = accept_of(p, call, LIAR);

    (void)victim;
    memset(a->ephemeral_key.data, 0, a->ephemeral_key.len);
    call->accepts[LIAR] = sign(p, ENVELOPE_ACCEPT, a, key_of(LIAR));
}

static void accept_other_key(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Accept *a = accept_of(p, call, LIAR);

    (void)victim;
    a->ephemeral_key = flipped(p, a->ephemeral_key, 5);
    call->accepts[LIAR] = sign(p, ENVELOPE_ACCEPT, a, key_of(LIAR));
}

static void accepts_swapped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    swap(&call->accepts[HOME], &call->accepts[LIAR]);
}

static void accept_twice(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->accepts[LIAR] = call->accepts[HOME];
}

static void accept_missing(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_accepts--;
}

static void accepts_none(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_accepts = 0;
}

static void accept_of_other_session(struct play *p, size_t victim,
                                    Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->accepts[LIAR] = PB_DATA(old_accept[LIAR]);
}

static void accepts_again(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->accepts = cx_array(p->cx, VAULTS, sizeof *call->accepts);
    assert_non_null(call->accepts);
    for (size_t i = 0; i < VAULTS; i++)
        call->accepts[i] = PB_DATA(p->accept[i]);
    call->n_accepts = VAULTS;
}

/* ---- lies about proposals ---- */

static void proposal_not_of_home(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->proposal = sign(p, ENVELOPE_PROPOSAL, proposal_of(p, call), key_of(LIAR));
}

static void proposal_flipped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->proposal = flipped(p, call->proposal, call->proposal.len - 1);
}

static void proposal_none(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->proposal = (ProtobufCBinaryData){0};
}

static void proposal_round(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_of(p, call);

    (void)victim;
    m->round++;
    call->proposal = sign(p, ENVELOPE_PROPOSAL, m, key_of(HOME));
}

static void proposal_kind(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_of(p, call);

    (void)victim;
    m->kind = COHORTIUM__ROUND_KIND__VETO; /* past the sums */
    call->proposal = sign(p, ENVELOPE_PROPOSAL, m, key_of(HOME));
}

static void proposal_skips_to_sum(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_of(p, call);

    (void)victim;
    m->kind = COHORTIUM__ROUND_KIND__SUM; /* before the verdict */
    call->proposal = sign(p, ENVELOPE_PROPOSAL, m, key_of(HOME));
}

static void proposal_transcript(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_of(p, call);

    (void)victim;
    m->transcript = flipped(p, m->transcript, 31);
    call->proposal = sign(p, ENVELOPE_PROPOSAL, m, key_of(HOME));
}

static void proposal_session(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_of(p, call);

    (void)victim;
    m->session = flipped(p, m->session, 0);
    call->proposal = sign(p, ENVELOPE_PROPOSAL, m, key_of(HOME));
}

static void proposal_of_other_session(struct play *p, size_t victim,
                                      Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->proposal = PB_DATA(old_proposal);
}

static void proposal_input(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_of(p, call);

    (void)victim;
    CHECK_("there is an input", m->n_input > 0);
    m->input[0] += 1e-6 * (fabs(m->input[0]) + 1);
    call->proposal = sign(p, ENVELOPE_PROPOSAL, m, key_of(HOME));
}

static void proposal_input_shorter(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_of(p, call);

    (void)victim;
    CHECK_("there is an input", m->n_input > 0);
    m->n_input--;
    call->proposal = sign(p, ENVELOPE_PROPOSAL, m, key_of(HOME));
}

static void proposal_useless_input(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    static double one = 1;
    Cohortium__Proposal *m = proposal_of(p, call);

    (void)victim;
    m->n_input = 1;
    m->input = &one;
    call->proposal = sign(p, ENVELOPE_PROPOSAL, m, key_of(HOME));
}

/* ---- lies about vectors ---- */

static void vector_flipped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->vectors[LIAR] = flipped(p, call->vectors[LIAR], call->vectors[LIAR].len / 2);
}

/* The box for participant `to` among the boxes of `from`. */
static size_t box_at(size_t from, size_t to)
{
    return to < from ? to : to - 1;
}

static void vector_box(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Vector *x = vector_of(p, call, LIAR);
    ProtobufCBinaryData *box = &x->boxes[box_at(LIAR, victim)];

    *box = flipped(p, *box, box->len / 2);
    call->vectors[LIAR] = sign(p, ENVELOPE_VECTOR, x, key_of(LIAR));
}

static void vector_boxes_swapped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Vector *x = vector_of(p, call, LIAR);

    (void)victim;
    swap(&x->boxes[0], &x->boxes[1]);
    call->vectors[LIAR] = sign(p, ENVELOPE_VECTOR, x, key_of(LIAR));
}

static void vector_box_missing(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Vector *x = vector_of(p, call, LIAR);

    (void)victim;
    x->n_boxes--;
    call->vectors[LIAR] = sign(p, ENVELOPE_VECTOR, x, key_of(LIAR));
}

static void vector_box_of_round_before(struct play *p, size_t victim,
                                       Cohortium__StepCall *call)
{
    Cohortium__Vector *x = vector_of(p, call, LIAR);
    Cohortium__Vector *old = unpack(p, ENVELOPE_VECTOR, &cohortium__vector__descriptor,
                                    history[p->round - 2][LIAR]);

    x->boxes[box_at(LIAR, victim)] = old->boxes[box_at(LIAR, victim)];
    call->vectors[LIAR] = sign(p, ENVELOPE_VECTOR, x, key_of(LIAR));
}

static void vector_proposal(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Vector *x = vector_of(p, call, LIAR);

    (void)victim;
    x->proposal = flipped(p, x->proposal, 0);
    call->vectors[LIAR] = sign(p, ENVELOPE_VECTOR, x, key_of(LIAR));
}

static void vector_transcript(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Vector *x = vector_of(p, call, LIAR);

    (void)victim;
    x->transcript = flipped(p, x->transcript, 0);
    call->vectors[LIAR] = sign(p, ENVELOPE_VECTOR, x, key_of(LIAR));
}

static void vector_missing(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_vectors--;
}

static void vectors_none(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_vectors = 0;
}

static void vector_twice(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->vectors[LIAR] = call->vectors[HOME == victim ? VICTIM : HOME];
}

static void vector_one_too_many(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    ProtobufCBinaryData *list = cx_array(p->cx, VAULTS + 1, sizeof *list);

    (void)victim;
    assert_non_null(list);
    memcpy(list, call->vectors, VAULTS * sizeof *list);
    list[VAULTS] = list[LIAR];
    call->vectors = list;
    call->n_vectors++;
}

static void vectors_swapped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    swap(&call->vectors[HOME], &call->vectors[LIAR]);
}

static void vector_of_round_before(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->vectors[LIAR] = PB_DATA(history[p->round - 2][LIAR]);
}

static void vector_of_own_before(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    call->vectors[victim] = PB_DATA(history[p->round - 2][victim]);
}

static void vector_of_other_session(struct play *p, size_t victim,
                                    Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->vectors[LIAR] = PB_DATA(old_vector[LIAR]);
}

static void vectors_with_accepts(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->vectors = call->accepts;
    call->n_vectors = call->n_accepts;
}

/* A vector of `from` whose boxes hold this tally, sealed and signed with its own keys. */
static ProtobufCBinaryData vector_with(struct play *p, size_t from,
                                       const Cohortium__Vector *x,
                                       const struct tally *tally)
{
    struct session *s = play_session(p, from);
    Cohortium__Vector copy = *x;
    ProtobufCBinaryData boxes[VAULTS - 1];
    uint8_t context[2 * DIGEST_BYTES];
    struct bytes packed;

    memcpy(context, x->proposal.data, DIGEST_BYTES);
    memcpy(context + DIGEST_BYTES, x->transcript.data, DIGEST_BYTES);
    CHECK_OK_("pack", p->cx, tally_pack(p->cx, tally, x->round, &packed));
    for (size_t to = 0; to < VAULTS; to++) {
        struct bytes box;

        if (to == from)
            continue;
        CHECK_OK_("box", p->cx,
                  mask_box(p->cx, s->mask, to, x->round, bytes_of(context, sizeof context),
                           packed, &box));
        boxes[box_at(from, to)] = PB_DATA(box);
    }
    copy.boxes = boxes;
    return sign(p, ENVELOPE_VECTOR, &copy, key_of(from));
}

static void vector_larger(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    struct tally *tally;

    (void)victim;
    CHECK_OK_("tally", p->cx, tally_new(p->cx, 7, 7, &tally));
    call->vectors[LIAR] = vector_with(p, LIAR, vector_of(p, call, LIAR), tally);
}

static void vector_smaller(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    struct tally *tally;

    (void)victim;
    CHECK_OK_("tally", p->cx, tally_new(p->cx, 1, 0, &tally));
    call->vectors[LIAR] = vector_with(p, LIAR, vector_of(p, call, LIAR), tally);
}

/* ---- lies about the release ---- */

static Cohortium__Release *release_in(struct play *p, const Cohortium__Proposal *m)
{
    Cohortium__Release *r;

    CHECK_OK_("release", p->cx,
              pb_unpack(p->cx, &cohortium__release__descriptor, PB_BYTES(m->release),
                        envelope_bound(ENVELOPE_RELEASE), &r));
    return r;
}

static void propose_release(struct play *p, Cohortium__StepCall *call,
                            Cohortium__Proposal *m, const Cohortium__Release *r)
{
    struct bytes body;

    CHECK_OK_("release", p->cx, pb_pack(p->cx, &r->base, &body));
    m->release = PB_DATA(body);
    call->proposal = sign(p, ENVELOPE_PROPOSAL, m, key_of(HOME));
}

static void release_number(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_of(p, call);
    Cohortium__Release *r = release_in(p, m);

    (void)victim;
    r->result->items[0]->values[0] += 1;
    propose_release(p, call, m, r);
}

static void release_note(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    static char *notes[] = {(char *)"all of them are ill"};
    Cohortium__Proposal *m = proposal_of(p, call);
    Cohortium__Release *r = release_in(p, m);

    (void)victim;
    r->result->notes = notes;
    r->result->n_notes = 1;
    propose_release(p, call, m, r);
}

static void release_withheld(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    static uint8_t reference[8] = {1};
    Cohortium__Proposal *m = proposal_of(p, call);
    Cohortium__Release *r = release_in(p, m);

    (void)victim;
    r->released = false;
    r->result = NULL;
    r->reference = PB_DATA(bytes_of(reference, sizeof reference));
    propose_release(p, call, m, r);
}

static void release_policy(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_of(p, call);
    Cohortium__Release *r = release_in(p, m);

    (void)victim;
    r->policy->fields[0]->number += 1;
    propose_release(p, call, m, r);
}

static void release_question(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_of(p, call);
    Cohortium__Release *r = release_in(p, m);

    (void)victim;
    r->question->cohort = NULL;
    propose_release(p, call, m, r);
}

static void release_participants(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_of(p, call);
    Cohortium__Release *r = release_in(p, m);

    (void)victim;
    r->n_participants--;
    propose_release(p, call, m, r);
}

static void release_none(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_of(p, call);

    (void)victim;
    m->release = (ProtobufCBinaryData){0};
    call->proposal = sign(p, ENVELOPE_PROPOSAL, m, key_of(HOME));
}

/* ---- lies about which session ---- */

static void names_nobody(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->request = flipped(p, call->request, 0);
}

static void names_shortly(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->request.len--;
}

/* ---- the table ---- */

static const struct lie {
    const char *what;
    play_lie *lie;
    size_t victim; /* HOME is lied to where it proposes */
    uint32_t round;
    bool line;  /* else a count */
    bool lives; /* the session is not touched */
    enum fault want;
} lies[] = {
    {"a changed ACCEPT", accept_flipped, VICTIM, REGIONS, .want = FAULT_DENIED},
    {"a changed ACCEPT, home", accept_flipped, HOME, REGIONS, .want = FAULT_DENIED},
    {"the own ACCEPT changed", accept_of_own_flipped, VICTIM, REGIONS,
     .want = FAULT_DENIED},
    {"participants in another order", accept_other_order, VICTIM, REGIONS,
     .want = FAULT_CONFLICT},
    {"other versions", accept_other_versions, VICTIM, REGIONS, .want = FAULT_CONFLICT},
    {"another policy", accept_other_policy, VICTIM, REGIONS, .want = FAULT_CONFLICT},
    {"another question", accept_other_question, VICTIM, REGIONS, .want = FAULT_CONFLICT},
    {"a key of low order", accept_low_order, VICTIM, REGIONS, .want = FAULT_DENIED},
    {"another key to us than to the others", accept_other_key, VICTIM, REGIONS,
     .want = FAULT_CONFLICT},
    {"ACCEPTs swapped", accepts_swapped, VICTIM, REGIONS, .want = FAULT_DENIED},
    {"an ACCEPT twice", accept_twice, VICTIM, REGIONS, .want = FAULT_DENIED},
    {"an ACCEPT missing", accept_missing, VICTIM, REGIONS, .want = FAULT_CONFLICT},
    {"no ACCEPTs", accepts_none, VICTIM, REGIONS, .want = FAULT_CONFLICT},
    {"no ACCEPTs, home", accepts_none, HOME, REGIONS, .want = FAULT_CONFLICT},
    {"an ACCEPT of another session", accept_of_other_session, VICTIM, REGIONS,
     .want = FAULT_CONFLICT},
    {"ACCEPTs again", accepts_again, VICTIM, VERDICT, .want = FAULT_REPLAY},

    {"a proposal not of home", proposal_not_of_home, VICTIM, COUNT_SUM,
     .want = FAULT_DENIED},
    {"a changed proposal", proposal_flipped, VICTIM, COUNT_SUM, .want = FAULT_DENIED},
    {"somebody else is to propose", proposal_none, VICTIM, COUNT_SUM, .want = FAULT_DENIED},
    {"a proposal of another round", proposal_round, VICTIM, COUNT_SUM,
     .want = FAULT_CONFLICT},
    {"a proposal that leaves out the sums", proposal_kind, VICTIM, COUNT_SUM,
     .want = FAULT_CONFLICT},
    {"a proposal that leaves out the verdict", proposal_skips_to_sum, VICTIM, VERDICT,
     .want = FAULT_CONFLICT},
    {"a proposal on another transcript", proposal_transcript, VICTIM, COUNT_SUM,
     .want = FAULT_CONFLICT},
    {"a proposal for another session", proposal_session, VICTIM, COUNT_SUM,
     .want = FAULT_CONFLICT},
    {"a proposal of another session", proposal_of_other_session, VICTIM, COUNT_SUM,
     .want = FAULT_CONFLICT},
    {"an altered input", proposal_input, VICTIM, SUM, .line = true, .want = FAULT_CONFLICT},
    {"an altered input, the liar as well", proposal_input, LIAR, SUM, .line = true,
     .want = FAULT_CONFLICT},
    {"a shorter input", proposal_input_shorter, VICTIM, SUM, .line = true,
     .want = FAULT_CONFLICT},
    {"an input where there is none", proposal_useless_input, VICTIM, VERDICT,
     .want = FAULT_FORMAT},

    {"a changed vector", vector_flipped, VICTIM, COUNT_VETO, .want = FAULT_DENIED},
    {"a changed vector, home", vector_flipped, HOME, COUNT_VETO, .want = FAULT_DENIED},
    {"a bit of our box", vector_box, VICTIM, COUNT_VETO, .want = FAULT_DENIED},
    {"a bit of our box, home", vector_box, HOME, COUNT_VETO, .want = FAULT_DENIED},
    {"boxes swapped", vector_boxes_swapped, VICTIM, COUNT_VETO, .want = FAULT_DENIED},
    {"a box missing", vector_box_missing, VICTIM, COUNT_VETO, .want = FAULT_FORMAT},
    {"a box of the round before", vector_box_of_round_before, VICTIM, COUNT_VETO,
     .want = FAULT_DENIED},
    {"a vector to another proposal", vector_proposal, VICTIM, COUNT_VETO,
     .want = FAULT_CONFLICT},
    {"a vector on another transcript", vector_transcript, VICTIM, COUNT_VETO,
     .want = FAULT_CONFLICT},
    {"a vector missing", vector_missing, VICTIM, COUNT_VETO, .want = FAULT_CONFLICT},
    {"a vector missing, home", vector_missing, HOME, COUNT_VETO, .want = FAULT_CONFLICT},
    {"no vectors", vectors_none, VICTIM, COUNT_VETO, .want = FAULT_CONFLICT},
    {"no vectors, home", vectors_none, HOME, COUNT_VETO, .want = FAULT_CONFLICT},
    {"a vector twice", vector_twice, VICTIM, COUNT_VETO, .want = FAULT_DENIED},
    {"a vector twice, home", vector_twice, HOME, COUNT_VETO, .want = FAULT_DENIED},
    {"a vector too many", vector_one_too_many, VICTIM, COUNT_VETO, .want = FAULT_CONFLICT},
    {"vectors swapped", vectors_swapped, VICTIM, COUNT_VETO, .want = FAULT_DENIED},
    {"a vector of the round before", vector_of_round_before, VICTIM, COUNT_VETO,
     .want = FAULT_CONFLICT},
    {"a vector of the round before, line", vector_of_round_before, VICTIM, SUM,
     .line = true, .want = FAULT_CONFLICT},
    {"our own vector of the round before", vector_of_own_before, VICTIM, COUNT_VETO,
     .want = FAULT_CONFLICT},
    {"a vector of another session", vector_of_other_session, VICTIM, COUNT_VETO,
     .want = FAULT_CONFLICT},
    {"a vector of another session, home", vector_of_other_session, HOME, COUNT_VETO,
     .want = FAULT_CONFLICT},
    {"vectors before there are any", vectors_with_accepts, VICTIM, REGIONS,
     .want = FAULT_CONFLICT},
    {"a larger vector", vector_larger, VICTIM, COUNT_VETO, .want = FAULT_BOUND},
    {"a smaller vector", vector_smaller, VICTIM, COUNT_VETO, .want = FAULT_FORMAT},

    {"one number of the release", release_number, VICTIM, COUNT_RELEASE,
     .want = FAULT_CONFLICT},
    {"one number of the release, the other site", release_number, LIAR, COUNT_RELEASE,
     .want = FAULT_CONFLICT},
    {"words in the release", release_note, VICTIM, COUNT_RELEASE, .want = FAULT_CONFLICT},
    {"nothing released after all", release_withheld, VICTIM, COUNT_RELEASE,
     .want = FAULT_CONFLICT},
    {"another policy in the release", release_policy, VICTIM, COUNT_RELEASE,
     .want = FAULT_CONFLICT},
    {"another cohort in the release", release_question, VICTIM, COUNT_RELEASE,
     .want = FAULT_CONFLICT},
    {"a site less in the release", release_participants, VICTIM, COUNT_RELEASE,
     .want = FAULT_CONFLICT},
    {"no release", release_none, VICTIM, COUNT_RELEASE, .want = FAULT_CONFLICT},

    {"a session that is not there", names_nobody, VICTIM, VERDICT, .lives = true,
     .want = FAULT_MISSING},
    {"a name too short", names_shortly, VICTIM, VERDICT, .lives = true,
     .want = FAULT_FORMAT},
};

/* Each lie has a question of its own, which nobody has answered. */
static struct bytes question(struct cx *cx, size_t number, bool line)
{
    const char *cohort =
        cx_printf(cx, "age >= %zu and age < %zu", 20 + number % 8, 60 + number / 8);

    return vaults_seal(
        cx,
        vaults_request(&t, cx, line ? "lm" : "count", line ? "score ~ age" : NULL, cohort),
        t.researcher);
}

static void go_to(struct play *p, uint32_t round)
{
    while (p->round < round) {
        play_round(p);
        memcpy(history[p->round - 1], p->vector, sizeof p->vector);
    }
}

/* An earlier session of the same request, up to the same round, then forgotten. */
static void make_old(struct bytes request, uint32_t round)
{
    static struct play old;

    if (old.cx != NULL)
        play_free(&old);
    if (request.n == 0)
        return;
    play_new(&old, &t, request);
    play_start(&old);
    go_to(&old, round);
    if (play_propose(&old, NULL) != FAULT_NONE)
        fail_msg("proposal: %s", old.message);
    memcpy(old_accept, old.accept, sizeof old_accept);
    memcpy(old_vector, old.before, sizeof old_vector);
    old_proposal = old.proposal;
    play_forget(&old);
}

static void tell(size_t number, const struct lie *l)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p;
    enum fault fault = FAULT_NONE;

    assert_non_null(cx);
    struct bytes request = question(cx, number, l->line);
    if (l->round < COUNT_RELEASE || l->line)
        make_old(request, l->round);
    play_new(&p, &t, request);
    play_start(&p);
    go_to(&p, l->round);
    uint64_t log = vaults_count(&t, l->victim, TABLE_LOG);
    uint64_t answers = vaults_count(&t, l->victim, TABLE_ANSWERS);
    fault = play_propose(&p, l->victim == HOME ? l->lie : NULL);
    if (l->victim != HOME && fault != FAULT_NONE)
        fail_msg("%s: honest proposal: %s", l->what, p.message);
    if (l->victim != HOME)
        fault = play_step(&p, l->victim, l->lie);
    if (fault != l->want)
        fail_msg("%s: want %s, got %s", l->what, fault_name(l->want),
                 fault == FAULT_NONE ? "no fault" : p.message);
    CHECK_EQ_(l->what, vaults_count(&t, l->victim, TABLE_LOG), log);
    CHECK_EQ_(l->what, vaults_count(&t, l->victim, TABLE_ANSWERS), answers);
    CHECK_(l->what, p.answer[l->victim] == NULL);
    /* Nor is the truth taken now: what was lied to is over. */
    fault = l->victim == HOME ? play_propose(&p, NULL) : play_step(&p, l->victim, NULL);
    CHECK_EQ_(l->what, fault, l->lives ? FAULT_NONE : FAULT_MISSING);
    play_forget(&p);
    play_free(&p);
}

static void test_session__finds_each_lie(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(lies); i++)
        tell(i, &lies[i]);
    make_old((struct bytes){0}, 0);
}

static int set_up(void **state)
{
    (void)state;
    vaults_new(&t, TESTING);
    return 0;
}

static int take_down(void **state)
{
    (void)state;
    vaults_free(&t);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_session__finds_each_lie, set_up, take_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

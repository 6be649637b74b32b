/*
 * test_session_lies_vectors.c - lies about the masked vectors of a round.
 *
 * Each lie is told to one honest vault in the middle of an otherwise honest session
 * (lie.h).
 */
#include "tests/node/lie.h"
#include "tests/node/session_case.h"

static Cohortium__Vector *vector_of(struct play *p, const Cohortium__StepCall *call,
                                    size_t i)
{
    return lie_open(p, ENVELOPE_VECTOR, &cohortium__vector__descriptor,
                    PB_BYTES(call->vectors[i]));
}

/* ---- lies about vectors ---- */

static void vector_flipped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->vectors[LIAR] = lie_flip(p, call->vectors[LIAR], call->vectors[LIAR].len / 2);
}

static void vector_box(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Vector *x = vector_of(p, call, LIAR);
    ProtobufCBinaryData *box = &call->boxes[LIAR];

    *box = lie_flip(p, *box, box->len / 2);
    lie_digest(p, x, lie_box_at(LIAR, victim), *box);
    call->vectors[LIAR] = lie_sign(p, ENVELOPE_VECTOR, x, lie_key(p, LIAR));
}

/* By the coordinator: the boxes are not inside what is signed, their digests are. */
static void box_flipped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->boxes[LIAR] = lie_flip(p, call->boxes[LIAR], call->boxes[LIAR].len / 2);
}

static void box_of_another(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    size_t other = victim == HOME ? VICTIM : HOME;

    call->boxes[LIAR] = PB_DATA(p->boxes_before[LIAR][lie_box_at(LIAR, other)]);
}

static void boxes_exchanged(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    lie_swap(&call->boxes[LIAR], &call->boxes[victim == HOME ? VICTIM : HOME]);
}

static void box_to_oneself(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    call->boxes[victim] = call->boxes[LIAR];
}

static void boxes_none(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_boxes = 0;
}

static void box_one_too_few(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_boxes--;
}

static void vector_boxes_swapped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Vector *x = vector_of(p, call, LIAR);

    lie_swap(&x->box_digests[0], &x->box_digests[1]);
    box_of_another(p, victim, call);
    call->vectors[LIAR] = lie_sign(p, ENVELOPE_VECTOR, x, lie_key(p, LIAR));
}

static void vector_box_missing(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Vector *x = vector_of(p, call, LIAR);

    (void)victim;
    x->n_box_digests--;
    call->vectors[LIAR] = lie_sign(p, ENVELOPE_VECTOR, x, lie_key(p, LIAR));
}

static void vector_box_of_round_before(struct play *p, size_t victim,
                                       Cohortium__StepCall *call)
{
    Cohortium__Vector *x = vector_of(p, call, LIAR);
    size_t at = lie_box_at(LIAR, victim);

    call->boxes[LIAR] = PB_DATA(lie_history_boxes[p->round - 2][LIAR][at]);
    lie_digest(p, x, at, call->boxes[LIAR]);
    call->vectors[LIAR] = lie_sign(p, ENVELOPE_VECTOR, x, lie_key(p, LIAR));
}

static void vector_proposal(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Vector *x = vector_of(p, call, LIAR);

    (void)victim;
    x->proposal = lie_flip(p, x->proposal, 0);
    call->vectors[LIAR] = lie_sign(p, ENVELOPE_VECTOR, x, lie_key(p, LIAR));
}

static void vector_transcript(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Vector *x = vector_of(p, call, LIAR);

    (void)victim;
    x->transcript = lie_flip(p, x->transcript, 0);
    call->vectors[LIAR] = lie_sign(p, ENVELOPE_VECTOR, x, lie_key(p, LIAR));
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
    call->n_vectors = call->n_boxes = 0;
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
    lie_swap(&call->vectors[HOME], &call->vectors[LIAR]);
}

static void vector_of_round_before(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->vectors[LIAR] = PB_DATA(lie_history[p->round - 2][LIAR]);
}

static void vector_of_own_before(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    call->vectors[victim] = PB_DATA(lie_history[p->round - 2][victim]);
}

static void vector_of_other_session(struct play *p, size_t victim,
                                    Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->vectors[LIAR] = PB_DATA(lie_old.vector[LIAR]);
}

static void vectors_with_accepts(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->vectors = call->accepts;
    call->n_vectors = call->n_accepts;
}

/* The liar's vector with this tally in all boxes. */
static void send_sealed(struct play *p, size_t victim, Cohortium__StepCall *call,
                        const struct tally *tally)
{
    const struct tally *both[] = {tally, tally};
    struct bytes boxes[VAULTS - 1];

    call->vectors[LIAR] = lie_vector(p, LIAR, vector_of(p, call, LIAR), both, boxes);
    call->boxes[LIAR] = PB_DATA(boxes[lie_box_at(LIAR, victim)]);
}

static void vector_larger(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    struct tally *tally;

    CHECK_OK_("tally", p->cx, tally_new(p->cx, 7, 7, &tally));
    send_sealed(p, victim, call, tally);
}

static void vector_smaller(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    struct tally *tally;

    CHECK_OK_("tally", p->cx, tally_new(p->cx, 1, 0, &tally));
    send_sealed(p, victim, call, tally);
}

/* ---- the table ---- */

static const struct lie lies[] = {
    {"a changed vector", vector_flipped, VICTIM, COUNT_VETO, .want = FAULT_DENIED},
    {"a changed vector, home", vector_flipped, HOME, COUNT_VETO, .want = FAULT_DENIED},
    {"a bit of our box", vector_box, VICTIM, COUNT_VETO, .want = FAULT_DENIED},
    {"a bit of our box, home", vector_box, HOME, COUNT_VETO, .want = FAULT_DENIED},
    {"a bit of a box that is not signed so", box_flipped, VICTIM, COUNT_VETO,
     .want = FAULT_DENIED},
    {"the same, home", box_flipped, HOME, COUNT_VETO, .want = FAULT_DENIED},
    {"another's box", box_of_another, VICTIM, COUNT_VETO, .want = FAULT_DENIED},
    {"boxes beside each other's vectors", boxes_exchanged, VICTIM, COUNT_VETO,
     .want = FAULT_DENIED},
    {"a box beside our own vector", box_to_oneself, VICTIM, COUNT_VETO,
     .want = FAULT_FORMAT},
    {"no boxes", boxes_none, VICTIM, COUNT_VETO, .want = FAULT_FORMAT},
    {"no boxes, home", boxes_none, HOME, COUNT_VETO, .want = FAULT_FORMAT},
    {"a box too few", box_one_too_few, VICTIM, COUNT_VETO, .want = FAULT_FORMAT},
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
};

static void test_session__finds_lies_about_vectors(void **state)
{
    (void)state;
    lies_tell(&t, lies, COUNT(lies));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_session__finds_lies_about_vectors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * gate_seal.c - the only place where a tally is masked and packed for others, and where
 * what follows from pooled tallies is sealed to them.
 */
#include "node/vault/gate_private.h"

#include <sodium.h>
#include <string.h>

struct sealed {
    struct tally *own;
    size_t n;
    struct bytes *boxes;
};

static enum fault copy_tally(struct cx *cx, const struct tally *t, bool zeros,
                             struct tally **ret)
{
    TRY(tally_new(cx, t->n_counts, t->n_sums, ret));
    if (zeros)
        return FAULT_NONE;
    if (t->n_counts > 0)
        memcpy((*ret)->counts, t->counts, t->n_counts * sizeof *t->counts);
    if (t->n_sums > 0)
        memcpy((*ret)->sums, t->sums, t->n_sums * sizeof *t->sums);
    return FAULT_NONE;
}

static enum fault check_participants(struct cx *cx, size_t participants, size_t self,
                                     size_t least)
{
    return participants >= least && self < participants
               ? FAULT_NONE
               : cx_fail(cx, FAULT_INTERNAL,
                         "gate: a masked round of %zu participants, ours is number %zu",
                         participants, self);
}

static enum fault seal(struct cx *cx, struct mask *mask, uint32_t round,
                       const uint8_t input_digest[32], struct bytes context,
                       size_t participants, size_t self, const struct tally *tally,
                       bool zeros, struct sealed **ret)
{
    struct sealed *s;
    struct bytes packed;
    size_t k = 0;

    CX_NEW(cx, s, 1);
    CX_NEW(cx, s->boxes, participants - 1);
    TRY(copy_tally(cx, tally, zeros, &s->own));
    TRY(mask_add(cx, mask, round, input_digest, s->own));
    TRY(tally_pack(cx, s->own, round, &packed));
    for (size_t to = 0; to < participants; to++)
        if (to != self)
            TRY(mask_box(cx, mask, to, round, context, packed, &s->boxes[k++]));
    s->n = k;
    *ret = s;
    return FAULT_NONE;
}

enum fault gate_seal(struct cx *cx, struct mask *mask, uint32_t round,
                     const uint8_t input_digest[32], struct bytes context,
                     size_t participants, size_t self, const struct tally *tally,
                     bool zeros, struct sealed **ret)
{
    TRY(check_participants(cx, participants, self, 3));
    return seal(cx, mask, round, input_digest, context, participants, self, tally, zeros,
                ret);
}

enum fault gate_seal_votes(struct cx *cx, struct mask *mask, uint32_t round,
                           const uint8_t input_digest[32], struct bytes context,
                           size_t participants, size_t self, const struct votes *votes,
                           struct sealed **ret)
{
    TRY(check_participants(cx, participants, self, 2));
    return seal(cx, mask, round, input_digest, context, participants, self,
                votes_tally(votes), false, ret);
}

enum fault gate_seal_input(struct cx *cx, struct mask *mask, uint32_t round,
                           struct bytes context, size_t participants, size_t self,
                           const double *input, size_t n, struct sealed **ret)
{
    Cohortium__SharedInput message = COHORTIUM__SHARED_INPUT__INIT;
    struct sealed *s;
    struct bytes packed;
    size_t k = 0;

    message.round = round;
    message.n_input = n;
    message.input = (double *)input;
    CX_NEW(cx, s, 1);
    CX_NEW(cx, s->boxes, participants - 1);
    TRY(pb_pack(cx, &message.base, &packed));
    for (size_t to = 0; to < participants; to++)
        if (to != self)
            TRY(mask_box(cx, mask, to, round, context, packed, &s->boxes[k++]));
    s->n = k;
    *ret = s;
    return FAULT_NONE;
}

const struct bytes *sealed_boxes(const struct sealed *s)
{
    return s->boxes;
}

const struct tally *sealed_own(const struct sealed *s)
{
    return s->own;
}

enum fault gate_word(struct cx *cx, bool object, struct tally **ret)
{
    TRY(tally_new(cx, 1, 0, ret));
    while (object && (*ret)->counts[0] == 0)
        randombytes_buf((*ret)->counts, sizeof *(*ret)->counts);
    return FAULT_NONE;
}

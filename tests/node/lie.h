/*
 * lie.h - to forge what travels in a session, and to tell lies one at a time.
 *
 * Each lie is told to one honest vault in the middle of an otherwise honest session. It
 * must be found there and then: the step faults, the session is gone, nothing is written or
 * signed. What a lying member signs is signed with its true key.
 */
#pragma once

#include "tests/node/coordinator.h"

enum { LIE_ROUNDS_MAX = 16 };
/* Rounds of a count and, up to its first sums, of a line. */
enum { REGIONS, VERDICT, OPENING, SUM, COUNT_SUM = 2, COUNT_VETO, COUNT_RELEASE };

struct lie {
    const char *what;
    play_lie *lie;
    size_t victim; /* home is lied to where it proposes */
    uint32_t round;
    bool line;  /* else a count */
    bool lives; /* the session is not touched */
    enum fault want;
};

void lies_tell(struct vaults *t, const struct lie *lies, size_t n);

/* Of the session that is lied to: what each vault sent by round. */
extern struct bytes lie_history[LIE_ROUNDS_MAX][VAULTS];
extern struct bytes lie_history_boxes[LIE_ROUNDS_MAX][VAULTS][VAULTS - 1];
/* Of an earlier session of the same request, given up in the same round. */
struct lie_old {
    struct bytes accept[VAULTS], vector[VAULTS], proposal;
};
extern struct lie_old lie_old;

/* A message opened, to be changed and signed again by whoever lies. */
void *lie_open(struct play *p, enum envelope_kind kind,
               const ProtobufCMessageDescriptor *descriptor, struct bytes packed);
ProtobufCBinaryData lie_sign(struct play *p, enum envelope_kind kind, const void *message,
                             const struct keys *keys);
const struct keys *lie_key(struct play *p, size_t site);
/* A copy with one bit changed. */
ProtobufCBinaryData lie_flip(struct play *p, ProtobufCBinaryData d, size_t at);
void lie_swap(ProtobufCBinaryData *a, ProtobufCBinaryData *b);
/* The box for participant `to` among the boxes of `from`. */
size_t lie_box_at(size_t from, size_t to);
/* Writes the digest of another box into an opened vector. */
void lie_digest(struct play *p, Cohortium__Vector *x, size_t at, ProtobufCBinaryData box);
/* x beside boxes with other tallies, in their order; sealed and signed with `from`'s keys.
 */
ProtobufCBinaryData lie_vector(struct play *p, size_t from, const Cohortium__Vector *x,
                               const struct tally *const tallies[VAULTS - 1],
                               struct bytes ret_boxes[VAULTS - 1]);

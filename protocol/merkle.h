/*
 * merkle.h - RFC 6962 trees: hashes and proofs. Their signed heads: checkpoint.h.
 *
 * Storage is the caller's: a function that gives the hash of a complete subtree. Leaf hash =
 * SHA-256(0x00 || leaf), node = SHA-256(0x01 || left || right).
 */
#pragma once

#include "protocol/checkpoint.h"

enum { MERKLE_PATH_MAX = 64 };

struct merkle_store {
    void *user;
    /* Hash of the complete subtree of 2^level leaves that begins at leaf index << level. */
    enum fault (*node)(struct cx *cx, void *user, unsigned level, uint64_t index,
                       uint8_t ret[32]);
};

void merkle_leaf(struct bytes leaf, uint8_t ret[32]);
void merkle_node(const uint8_t left[32], const uint8_t right[32], uint8_t ret[32]);
/* Root of the first `size` leaves; the empty tree is SHA-256(""). */
CHECKED enum fault merkle_root(struct cx *cx, const struct merkle_store *s, uint64_t size,
                               uint8_t ret[32]);
CHECKED enum fault merkle_inclusion(struct cx *cx, const struct merkle_store *s,
                                    uint64_t index, uint64_t size, uint8_t path[][32],
                                    size_t *ret_n);
/* 0 < size1 <= size2: an empty log begins every log, so nothing is to be proved of it and
 * merkle_consistency_holds never holds. */
CHECKED enum fault merkle_consistency(struct cx *cx, const struct merkle_store *s,
                                      uint64_t size1, uint64_t size2, uint8_t path[][32],
                                      size_t *ret_n);
CHECKED bool merkle_inclusion_holds(const uint8_t leaf_hash[32], uint64_t index, uint64_t size,
                                    const uint8_t (*path)[32], size_t n,
                                    const uint8_t root[32]);
CHECKED bool merkle_consistency_holds(uint64_t size1, uint64_t size2, const uint8_t root1[32],
                                      const uint8_t root2[32], const uint8_t (*path)[32],
                                      size_t n);

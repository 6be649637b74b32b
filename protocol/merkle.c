/* merkle.c - RFC 6962 trees: hashes and proofs. */
#include "protocol/merkle.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

enum { HASH = 32 };

void merkle_leaf(struct bytes leaf, uint8_t ret[32])
{
    crypto_hash_sha256_state state;
    const uint8_t prefix = 0;

    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, &prefix, 1);
    (void)crypto_hash_sha256_update(&state, leaf.p, leaf.n);
    (void)crypto_hash_sha256_final(&state, ret);
}

void merkle_node(const uint8_t left[32], const uint8_t right[32], uint8_t ret[32])
{
    crypto_hash_sha256_state state;
    const uint8_t prefix = 1;

    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, &prefix, 1);
    (void)crypto_hash_sha256_update(&state, left, HASH);
    (void)crypto_hash_sha256_update(&state, right, HASH);
    (void)crypto_hash_sha256_final(&state, ret);
}

static unsigned top_bit(uint64_t v)
{
    return 63 - (unsigned)__builtin_clzll(v);
}

/* Root of the n leaves from `begin` on. begin is a multiple of the largest power of two in
 * n, as every split of RFC 6962 section 2.1 leaves it; the complete subtrees are joined
 * from the right, without recursion. */
static enum fault range_root(struct cx *cx, const struct merkle_store *s, uint64_t begin,
                             uint64_t n, uint8_t ret[32])
{
    uint8_t left[HASH];
    uint64_t end = begin + n;
    bool first = true;

    while (n > 0) {
        unsigned level = (unsigned)__builtin_ctzll(n);
        uint64_t size = 1ull << level;

        end -= size;
        n -= size;
        if (first) {
            TRY(s->node(cx, s->user, level, end >> level, ret));
            first = false;
        } else {
            TRY(s->node(cx, s->user, level, end >> level, left));
            merkle_node(left, ret, ret);
        }
    }
    return FAULT_NONE;
}

enum fault merkle_root(struct cx *cx, const struct merkle_store *s, uint64_t size,
                       uint8_t ret[32])
{
    uint8_t root[HASH];

    if (size == 0) {
        digest_of(bytes_of("", 0), ret);
        return FAULT_NONE;
    }
    TRY(range_root(cx, s, 0, size, root));
    memcpy(ret, root, HASH);
    return FAULT_NONE;
}

/* The largest power of two below n, n > 1. */
static uint64_t split_of(uint64_t n)
{
    return 1ull << top_bit(n - 1);
}

/* Proofs are found from the root downward and told from the leaf upward. */
static void reverse(uint8_t path[][32], size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        uint8_t t[HASH];

        memcpy(t, path[i], HASH);
        memcpy(path[i], path[n - 1 - i], HASH);
        memcpy(path[n - 1 - i], t, HASH);
    }
}

enum fault merkle_inclusion(struct cx *cx, const struct merkle_store *s, uint64_t index,
                            uint64_t size, uint8_t path[][32], size_t *ret_n)
{
    uint64_t begin = 0, n = size;
    size_t count = 0;

    if (index >= size || size > INT64_MAX) /* beyond it MERKLE_PATH_MAX would not do */
        return cx_fail(cx, FAULT_INVALID,
                       "no leaf %" PRIu64 " in a log of %" PRIu64 " records", index, size);
    while (n > 1) {
        uint64_t k = split_of(n);

        if (index - begin < k) {
            TRY(range_root(cx, s, begin + k, n - k, path[count++]));
            n = k;
        } else {
            TRY(range_root(cx, s, begin, k, path[count++]));
            begin += k;
            n -= k;
        }
    }
    reverse(path, count);
    *ret_n = count;
    return FAULT_NONE;
}

enum fault merkle_consistency(struct cx *cx, const struct merkle_store *s, uint64_t size1,
                              uint64_t size2, uint8_t path[][32], size_t *ret_n)
{
    uint64_t begin = 0, m = size1, n = size2;
    bool whole = true; /* the old tree is a complete left part so far */
    size_t count = 0;

    if (size1 == 0 || size1 > size2 || size2 > INT64_MAX)
        return cx_fail(cx, FAULT_INVALID,
                       "a log of %" PRIu64
                       " records cannot be proved to begin one of %" PRIu64,
                       size1, size2);
    if (size1 == size2) {
        *ret_n = 0;
        return FAULT_NONE;
    }
    while (m != n) {
        uint64_t k = split_of(n);

        if (m <= k) {
            TRY(range_root(cx, s, begin + k, n - k, path[count++]));
            n = k;
        } else {
            TRY(range_root(cx, s, begin, k, path[count++]));
            begin += k;
            m -= k;
            n -= k;
            whole = false;
        }
    }
    if (!whole)
        TRY(range_root(cx, s, begin, m, path[count++]));
    reverse(path, count);
    *ret_n = count;
    return FAULT_NONE;
}

/* RFC 9162 section 2.1.3.2. */
bool merkle_inclusion_holds(const uint8_t leaf_hash[32], uint64_t index, uint64_t size,
                            const uint8_t (*path)[32], size_t n, const uint8_t root[32])
{
    uint64_t fn = index, sn = size - 1;
    uint8_t r[HASH];

    if (index >= size)
        return false;
    memcpy(r, leaf_hash, HASH);
    for (size_t i = 0; i < n; i++) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            merkle_node(path[i], r, r);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            merkle_node(r, path[i], r);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && memcmp(r, root, HASH) == 0;
}

/* RFC 9162 section 2.1.4.2. */
bool merkle_consistency_holds(uint64_t size1, uint64_t size2, const uint8_t root1[32],
                              const uint8_t root2[32], const uint8_t (*path)[32], size_t n)
{
    uint8_t fr[HASH], sr[HASH];
    size_t i = 0;

    if (size1 == 0 || size1 > size2)
        return false;
    if (size1 == size2)
        return n == 0 && memcmp(root1, root2, HASH) == 0;
    uint64_t fn = size1 - 1, sn = size2 - 1;
    while (fn & 1) {
        fn >>= 1;
        sn >>= 1;
    }
    /* Where the old size is a power of two its root itself begins the proof. */
    if (fn == 0) {
        memcpy(fr, root1, HASH);
    } else {
        if (n == 0)
            return false;
        memcpy(fr, path[i++], HASH);
    }
    memcpy(sr, fr, HASH);
    for (; i < n; i++) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            merkle_node(path[i], fr, fr);
            merkle_node(path[i], sr, sr);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            merkle_node(sr, path[i], sr);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && memcmp(fr, root1, HASH) == 0 && memcmp(sr, root2, HASH) == 0;
}

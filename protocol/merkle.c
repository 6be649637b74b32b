/* merkle.c - RFC 6962 trees and C2SP checkpoints. */
#include "protocol/merkle.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { HASH = 32, NOTE_MAX = 4096, NOTE_SIGNATURE = 4 + SIGNATURE_BYTES };

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

/* ---- checkpoints ---- */

static const char dash[] = "\xe2\x80\x94 "; /* U+2014 and a space */

const char *checkpoint_origin(struct cx *cx, const uint8_t consortium[32],
                              const char *member)
{
    const char *hex = bytes_hex(cx, consortium, 8);

    return hex != NULL ? cx_printf(cx, "cohortium/%s/%s", hex, member) : NULL;
}

/* First four bytes of SHA-256(name, newline, 0x01, key): C2SP signed-note, Ed25519. */
static void note_key_hash(const char *name, const uint8_t key[32], uint8_t ret[4])
{
    static const uint8_t separator[2] = {'\n', 0x01};
    crypto_hash_sha256_state state;
    uint8_t hash[HASH];

    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, (const uint8_t *)name, strlen(name));
    (void)crypto_hash_sha256_update(&state, separator, sizeof separator);
    (void)crypto_hash_sha256_update(&state, key, KEY_BYTES);
    (void)crypto_hash_sha256_final(&state, hash);
    memcpy(ret, hash, 4);
}

static bool origin_is_valid(const char *origin)
{
    size_t n = strlen(origin);

    return n > 0 && n < NOTE_MAX / 4 && utf8_is_clean(origin, n) &&
           strpbrk(origin, " \t\n+") == NULL;
}

/* The one text that a checkpoint of this tree has: what is signed. */
static const char *checkpoint_text(struct cx *cx, const char *origin, uint64_t size,
                                   const uint8_t root[32])
{
    char base64[64];

    (void)sodium_bin2base64(base64, sizeof base64, root, HASH,
                            sodium_base64_VARIANT_ORIGINAL);
    return cx_printf(cx, "%s\n%" PRIu64 "\n%s\n", origin, size, base64);
}

enum fault checkpoint_sign(struct cx *cx, const char *origin, uint64_t size,
                           const uint8_t root[32], const struct keys *keys,
                           const char **ret_note)
{
    uint8_t blob[NOTE_SIGNATURE];
    char base64[128];

    if (!origin_is_valid(origin))
        return cx_fail(cx, FAULT_INVALID, "\"%.64s\" cannot name a log: no spaces, no +",
                       origin);
    const char *text = checkpoint_text(cx, origin, size, root);
    if (text == NULL)
        return FAULT_MEMORY;
    note_key_hash(origin, keys_signing_public(keys), blob);
    keys_sign(keys, bytes_of(text, strlen(text)), blob + 4);
    (void)sodium_bin2base64(base64, sizeof base64, blob, sizeof blob,
                            sodium_base64_VARIANT_ORIGINAL);
    *ret_note = cx_printf(cx, "%s\n%s%s %s\n", text, dash, origin, base64);
    return *ret_note != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault broken(struct cx *cx, const char *origin, const char *why)
{
    return cx_fail(cx, FAULT_FORMAT, "checkpoint of %.128s: %s", origin, why);
}

/* Reads "origin \n size \n root \n \n"; ret_signatures points at the first signature line.
 */
static enum fault read_text(struct cx *cx, const char *note, const char *origin,
                            uint64_t *ret_size, uint8_t ret_root[32],
                            const char **ret_signatures)
{
    const char *p = note, *end;
    size_t n = strlen(origin), got = 0;
    uint64_t size = 0;

    if (strncmp(p, origin, n) != 0 || p[n] != '\n')
        return cx_fail(cx, FAULT_DENIED, "a checkpoint of another log, expected %.128s",
                       origin);
    p += n + 1;
    size_t digits = strspn(p, "0123456789");
    if (digits < 1 || digits > 20 || p[digits] != '\n' || (p[0] == '0' && digits > 1))
        return broken(cx, origin, "its size is not a number");
    for (size_t i = 0; i < digits; i++)
        if (__builtin_mul_overflow(size, 10, &size) ||
            __builtin_add_overflow(size, (uint64_t)(p[i] - '0'), &size))
            return broken(cx, origin, "its size is not a number of 64 bits");
    p += digits + 1;
    end = strchr(p, '\n');
    if (end == NULL || end - p != 44 ||
        sodium_base642bin(ret_root, HASH, p, 44, NULL, &got, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        got != HASH)
        return broken(cx, origin, "its root is not 32 bytes of base64");
    if (end[1] != '\n')
        return broken(cx, origin, "no empty line before its signature");
    *ret_size = size;
    *ret_signatures = end + 2;
    return FAULT_NONE;
}

/* Whether one signature line is by `origin` and holds: "— name base64". */
static bool line_holds(const char *line, size_t n, const char *origin,
                       const uint8_t key[32], struct bytes text)
{
    uint8_t blob[NOTE_SIGNATURE], hash[4];
    size_t d = strlen(dash), name = strlen(origin), got = 0;

    if (n < d + name + 1 || memcmp(line, dash, d) != 0 ||
        memcmp(line + d, origin, name) != 0 || line[d + name] != ' ')
        return false;
    const char *base64 = line + d + name + 1;
    size_t length = n - (d + name + 1);
    if (sodium_base642bin(blob, sizeof blob, base64, length, NULL, &got, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        got != sizeof blob)
        return false;
    note_key_hash(origin, key, hash);
    return memcmp(hash, blob, sizeof hash) == 0 && signature_is_valid(key, text, blob + 4);
}

enum fault checkpoint_verify(struct cx *cx, const char *note, const char *origin,
                             const uint8_t key[32], uint64_t *ret_size,
                             uint8_t ret_root[32])
{
    const char *p = note, *end;
    uint8_t root[HASH];
    uint64_t size = 0;
    bool holds = false;

    if (strnlen(note, NOTE_MAX + 1) > NOTE_MAX)
        return cx_fail(cx, FAULT_BOUND, "a checkpoint longer than %d bytes", NOTE_MAX);
    if (!origin_is_valid(origin))
        return cx_fail(cx, FAULT_INVALID, "\"%.64s\" cannot name a log", origin);
    TRY(read_text(cx, note, origin, &size, root, &p));
    struct bytes text = bytes_of(note, (size_t)(p - 1 - note));
    if (*p == '\0')
        return broken(cx, origin, "it has no signature");
    /* Lines of other signers (witnesses) may stand beside ours. */
    for (; *p != '\0'; p = end + 1) {
        end = strchr(p, '\n');
        if (end == NULL || strncmp(p, dash, strlen(dash)) != 0)
            return broken(cx, origin, "a signature line is broken");
        holds = holds || line_holds(p, (size_t)(end - p), origin, key, text);
    }
    if (!holds)
        return cx_fail(
            cx, FAULT_DENIED,
            "checkpoint of %.128s: its signature is not valid for that node's key", origin);
    *ret_size = size;
    memcpy(ret_root, root, HASH);
    return FAULT_NONE;
}

/* mask.c - pair keys, the streams that cancel, and sealed boxes between vaults. */
#include "protocol/mask.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
    MASK_NODES_MIN = 2,
    MASK_NODES_MAX = 1024,
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    BOX_MAX = 64 * 1024 * 1024,
    CHUNK_WORDS = 512 /* of 8 bytes: 64 ChaCha20 blocks at a time */
};

static const char pair_label[] = "cohortium/secagg/v1";

struct mask {
    size_t n, self;
    int64_t last_round; /* -1: none yet */
    uint8_t session[32];
    uint8_t keys[][32]; /* one a participant; our own stays zero and is never used */
};

static void hmac(const uint8_t *key, size_t key_n, const struct bytes *parts, size_t n,
                 uint8_t ret[32])
{
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, key, key_n);
    for (size_t i = 0; i < n; i++)
        crypto_auth_hmacsha256_update(&state, parts[i].p, parts[i].n);
    crypto_auth_hmacsha256_final(&state, ret);
    sodium_memzero(&state, sizeof state);
}

void mask_hkdf(struct bytes salt, struct bytes secret, struct bytes info, uint8_t ret[32])
{
    static const uint8_t one = 1;
    const struct bytes expand[] = {info, {&one, 1}};
    uint8_t extracted[32];

    hmac(salt.p, salt.n, &secret, 1, extracted);
    hmac(extracted, sizeof extracted, expand, COUNT(expand), ret);
    sodium_memzero(extracted, sizeof extracted);
}

bool mask_pair_key(const uint8_t own_secret[32], const uint8_t peer_public[32],
                   const uint8_t session[32], const uint8_t lo[32], const uint8_t hi[32],
                   uint8_t ret[32])
{
    uint8_t shared[32], info[sizeof pair_label - 1 + 64];

    if (crypto_scalarmult(shared, own_secret, peer_public) != 0) {
        sodium_memzero(shared, sizeof shared);
        return false;
    }
    memcpy(info, pair_label, sizeof pair_label - 1);
    memcpy(info + sizeof pair_label - 1, lo, 32);
    memcpy(info + sizeof pair_label - 1 + 32, hi, 32);
    mask_hkdf(bytes_of(session, 32), bytes_of(shared, sizeof shared),
              bytes_of(info, sizeof info), ret);
    sodium_memzero(shared, sizeof shared);
    return true;
}

static enum fault check_setup(struct cx *cx, const struct mask_setup *s)
{
    uint8_t own[32];

    if (sodium_init() < 0)
        return cx_fail(cx, FAULT_INTERNAL, "mask: libsodium does not start");
    if (s->n < MASK_NODES_MIN || s->n > MASK_NODES_MAX || s->self >= s->n)
        return cx_fail(cx, FAULT_INVALID, "mask: %zu participants, expected %d to %d", s->n,
                       MASK_NODES_MIN, MASK_NODES_MAX);
    for (size_t i = 1; i < s->n; i++)
        if (memcmp(s->ids[i - 1], s->ids[i], 32) >= 0)
            return cx_fail(
                cx, FAULT_INVALID,
                "mask: participants %zu and %zu are out of order or the same node", i - 1,
                i);
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < i; j++)
            if (memcmp(s->ephemeral[i], s->ephemeral[j], 32) == 0)
                return cx_fail(cx, FAULT_DENIED,
                               "mask: participants %zu and %zu sent the same session key",
                               j, i);
    if (crypto_scalarmult_base(own, s->own_secret) != 0 ||
        memcmp(own, s->ephemeral[s->self], 32) != 0)
        return cx_fail(cx, FAULT_CONFLICT,
                       "mask: our session key is not the one in our ACCEPT; begin again");
    return FAULT_NONE;
}

enum fault mask_new(struct cx *cx, const struct mask_setup *setup, struct mask **ret)
{
    AUTO_MASK struct mask *m = NULL;

    TRY(check_setup(cx, setup));
    /* sodium_malloc aligns the end of a block; sizes that are multiples of 16 keep it
     * aligned. */
    size_t size = (sizeof *m + setup->n * 32 + 15) / 16 * 16;
    m = sodium_malloc(size);
    if (m == NULL)
        return cx_fail(cx, FAULT_MEMORY, "mask: no guarded memory for %zu keys", setup->n);
    memset(m, 0, size);
    m->n = setup->n;
    m->self = setup->self;
    m->last_round = -1;
    memcpy(m->session, setup->session, 32);
    for (size_t i = 0; i < m->n; i++) {
        size_t lo = i < m->self ? i : m->self, hi = i < m->self ? m->self : i;

        if (i == m->self)
            continue;
        if (!mask_pair_key(setup->own_secret, setup->ephemeral[i], m->session,
                           setup->ids[lo], setup->ids[hi], m->keys[i]))
            return cx_fail(cx, FAULT_DENIED,
                           "mask: participant %zu sent a session key of low order", i);
    }
    *ret = m;
    m = NULL;
    return FAULT_NONE;
}

void mask_free(struct mask **mask)
{
    sodium_free(*mask); /* wipes */
    *mask = NULL;
}

static void put_u32(uint8_t p[4], uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t word_at(const uint8_t *p)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* t += sign * stream(key): words 0 .. n_counts-1 are the counts, then two words a sum, the
 * low one first. sign is all ones for minus (two's complement: x ^ sign, minus sign). */
static void add_stream(const uint8_t key[32], bool subtract, struct tally *t)
{
    static const uint8_t nonce[crypto_stream_chacha20_ietf_NONCEBYTES];
    static const uint8_t zeros[CHUNK_WORDS * 8];
    uint8_t chunk[CHUNK_WORDS * 8];
    size_t words = t->n_counts + 2 * t->n_sums;
    uint64_t low = 0;

    for (size_t at = 0; at < words; at += CHUNK_WORDS) {
        size_t n = words - at < CHUNK_WORDS ? words - at : CHUNK_WORDS;

        (void)crypto_stream_chacha20_ietf_xor_ic(chunk, zeros, n * 8, nonce,
                                                 (uint32_t)(at / 8), key); /* always 0 */
        for (size_t i = 0; i < n; i++) {
            uint64_t word = word_at(chunk + 8 * i);
            size_t k = at + i;

            if (k < t->n_counts) {
                t->counts[k] += subtract ? -word : word;
            } else if ((k - t->n_counts) % 2 == 0) {
                low = word;
            } else {
                ufixed v = (ufixed)word << 64 | low;

                t->sums[(k - t->n_counts) / 2] += subtract ? -v : v;
            }
        }
    }
    sodium_memzero(chunk, sizeof chunk);
    sodium_memzero(&low, sizeof low);
}

enum fault mask_add(struct cx *cx, struct mask *mask, uint32_t round,
                    const uint8_t input_digest[32], struct tally *t)
{
    uint8_t number[4], key[32];
    const struct bytes parts[] = {{(const uint8_t *)"round", 5},
                                  {mask->session, 32},
                                  {number, 4},
                                  {input_digest, 32}};

    if ((int64_t)round <= mask->last_round)
        return cx_fail(
            cx, FAULT_REPLAY,
            "mask: round %u comes after round %lld; a key masks once. Begin a new "
            "session",
            round, (long long)mask->last_round);
    if (t->n_counts > TALLY_WORDS_MAX || t->n_sums > TALLY_WORDS_MAX - t->n_counts)
        return cx_fail(cx, FAULT_BOUND, "mask: more than %d numbers in a round",
                       TALLY_WORDS_MAX);
    mask->last_round = round; /* before the first word: a failure later burns the round */
    put_u32(number, round);
    for (size_t i = 0; i < mask->n; i++) {
        if (i == mask->self)
            continue;
        hmac(mask->keys[i], 32, parts, COUNT(parts), key);
        add_stream(key, i < mask->self, t);
    }
    sodium_memzero(key, sizeof key);
    return FAULT_NONE;
}

/* The key of boxes from participant `from` to participant `to`, one of them being us. */
static void box_key(const struct mask *mask, size_t from, size_t to, uint32_t round,
                    uint8_t ret[32])
{
    uint8_t number[4];
    const uint8_t direction = from < to ? 0 : 1;
    const struct bytes parts[] = {{(const uint8_t *)"box", 3},
                                  {&direction, 1},
                                  {number, 4},
                                  {(const uint8_t *)"vector", 6}};

    put_u32(number, round);
    hmac(mask->keys[from == mask->self ? to : from], 32, parts, COUNT(parts), ret);
}

static enum fault check_other(struct cx *cx, const struct mask *mask, size_t other)
{
    if (other >= mask->n || other == mask->self)
        return cx_fail(cx, FAULT_INVALID,
                       "mask: participant %zu is not one of the %zu others", other,
                       mask->n - 1);
    return FAULT_NONE;
}

enum fault mask_box(struct cx *cx, const struct mask *mask, size_t to, uint32_t round,
                    struct bytes context, struct bytes plain, struct bytes *ret_box)
{
    uint8_t key[32], *box;

    TRY(check_other(cx, mask, to));
    if (plain.n > BOX_MAX)
        return cx_fail(cx, FAULT_BOUND, "mask: a box of %zu bytes, at most %d", plain.n,
                       BOX_MAX);
    CX_NEW(cx, box, NONCE + plain.n + TAG);
    randombytes_buf(box, NONCE);
    box_key(mask, mask->self, to, round, key);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(box + NONCE, NULL, plain.p, plain.n,
                                                     context.p, context.n, NULL, box,
                                                     key); /* always 0 */
    sodium_memzero(key, sizeof key);
    *ret_box = bytes_of(box, NONCE + plain.n + TAG);
    return FAULT_NONE;
}

enum fault mask_unbox(struct cx *cx, const struct mask *mask, size_t from, uint32_t round,
                      struct bytes context, struct bytes box, struct bytes *ret_plain)
{
    uint8_t key[32], *plain;
    int bad;

    TRY(check_other(cx, mask, from));
    if (box.n < NONCE + TAG || box.n > (size_t)BOX_MAX + NONCE + TAG)
        return cx_fail(cx, FAULT_DENIED, "mask: participant %zu sent a box of %zu bytes",
                       from, box.n);
    CX_NEW(cx, plain, box.n - NONCE - TAG);
    box_key(mask, from, mask->self, round, key);
    bad = crypto_aead_xchacha20poly1305_ietf_decrypt(
        plain, NULL, NULL, box.p + NONCE, box.n - NONCE, context.p, context.n, box.p, key);
    sodium_memzero(key, sizeof key);
    if (bad != 0)
        return cx_fail(
            cx, FAULT_DENIED,
            "mask: the box of participant %zu was not sealed for us in round %u of "
            "this session",
            from, round);
    *ret_plain = bytes_of(plain, box.n - NONCE - TAG);
    return FAULT_NONE;
}

void session_id(const struct bytes *accepts, size_t n, uint8_t ret[32])
{
    static const char label[] = "cohortium/session/v1";
    crypto_hash_sha256_state state;
    uint8_t number[4];

    /* Each accept with its length: no two lists of accepts read the same. */
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const uint8_t *)label, sizeof label - 1);
    for (size_t i = 0; i < n; i++) {
        assert(accepts[i].n <= UINT32_MAX);
        put_u32(number, (uint32_t)accepts[i].n);
        crypto_hash_sha256_update(&state, number, sizeof number);
        crypto_hash_sha256_update(&state, accepts[i].p, accepts[i].n);
    }
    crypto_hash_sha256_final(&state, ret);
}

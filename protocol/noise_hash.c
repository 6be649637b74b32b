/* noise_hash.c - hash, HMAC and HKDF for noise.c. */
#include "protocol/noise_hash.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { BLAKE2B_BLOCK = 128 };

size_t noise_hash_size(enum noise_hash_kind kind)
{
    return kind == NOISE_SHA256 ? 32 : 64;
}

static void hash_sha256(const struct bytes *parts, size_t n, uint8_t *ret)
{
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < n; i++)
        crypto_hash_sha256_update(&state, parts[i].p, parts[i].n);
    crypto_hash_sha256_final(&state, ret);
}

static void hash_sha512(const struct bytes *parts, size_t n, uint8_t *ret)
{
    crypto_hash_sha512_state state;

    crypto_hash_sha512_init(&state);
    for (size_t i = 0; i < n; i++)
        crypto_hash_sha512_update(&state, parts[i].p, parts[i].n);
    crypto_hash_sha512_final(&state, ret);
}

static void hash_blake2b(const struct bytes *parts, size_t n, uint8_t *ret)
{
    crypto_generichash_blake2b_state state;

    (void)crypto_generichash_blake2b_init(&state, NULL, 0, 64); /* fails for other sizes */
    for (size_t i = 0; i < n; i++)
        crypto_generichash_blake2b_update(&state, parts[i].p, parts[i].n);
    (void)crypto_generichash_blake2b_final(&state, ret, 64);
    sodium_memzero(&state, sizeof state);
}

void noise_hash_of(enum noise_hash_kind kind, const struct bytes *parts, size_t n,
                   uint8_t *ret)
{
    if (kind == NOISE_SHA256)
        hash_sha256(parts, n, ret);
    else if (kind == NOISE_SHA512)
        hash_sha512(parts, n, ret);
    else
        hash_blake2b(parts, n, ret);
}

/* RFC 2104 over BLAKE2b. For published vectors only: no link uses it. Keys here are hashes.
 */
static void hmac_blake2b(const uint8_t *key, const struct bytes *parts, size_t n,
                         uint8_t *ret)
{
    uint8_t pad[BLAKE2B_BLOCK], inner[64];
    struct bytes list[4] = {{pad, sizeof pad}};

    assert(n <= 3);
    memset(pad, 0x36, sizeof pad);
    for (size_t i = 0; i < 64; i++)
        pad[i] ^= key[i];
    memcpy(list + 1, parts, n * sizeof *parts);
    hash_blake2b(list, n + 1, inner);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    list[1] = bytes_of(inner, sizeof inner);
    hash_blake2b(list, 2, ret);
    sodium_memzero(pad, sizeof pad);
    sodium_memzero(inner, sizeof inner);
}

static void hmac(enum noise_hash_kind kind, const uint8_t *key, const struct bytes *parts,
                 size_t n, uint8_t *ret)
{
    crypto_auth_hmacsha256_state small;
    crypto_auth_hmacsha512_state large;

    if (kind == NOISE_SHA256) {
        crypto_auth_hmacsha256_init(&small, key, 32);
        for (size_t i = 0; i < n; i++)
            crypto_auth_hmacsha256_update(&small, parts[i].p, parts[i].n);
        crypto_auth_hmacsha256_final(&small, ret);
        sodium_memzero(&small, sizeof small);
    } else if (kind == NOISE_SHA512) {
        crypto_auth_hmacsha512_init(&large, key, 64);
        for (size_t i = 0; i < n; i++)
            crypto_auth_hmacsha512_update(&large, parts[i].p, parts[i].n);
        crypto_auth_hmacsha512_final(&large, ret);
        sodium_memzero(&large, sizeof large);
    } else {
        hmac_blake2b(key, parts, n, ret);
    }
}

void noise_hkdf(enum noise_hash_kind kind, const uint8_t *ck, struct bytes input,
                uint8_t (*ret)[NOISE_HASH_MAX], size_t n)
{
    uint8_t secret[NOISE_HASH_MAX];

    hmac(kind, ck, &input, 1, secret);
    for (uint8_t i = 0; i < n; i++) {
        const uint8_t number = (uint8_t)(i + 1);
        const struct bytes first[] = {{&number, 1}};
        const struct bytes next[] = {{ret[i > 0 ? i - 1 : 0], noise_hash_size(kind)},
                                     {&number, 1}};

        if (i == 0)
            hmac(kind, secret, first, 1, ret[0]);
        else
            hmac(kind, secret, next, 2, ret[i]);
    }
    sodium_memzero(secret, sizeof secret);
}

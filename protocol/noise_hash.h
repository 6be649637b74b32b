/*
 * noise_hash.h - the hash functions of Noise: hash, HMAC, HKDF (private to noise.c).
 *
 * A link uses SHA256 alone. SHA512 and BLAKE2b are here so that more of the published
 * vectors exercise the state machine.
 */
#pragma once

#include "protocol/base/bytes.h"

enum noise_hash_kind { NOISE_SHA256, NOISE_SHA512, NOISE_BLAKE2B };
enum { NOISE_HASH_MAX = 64 };

size_t noise_hash_size(enum noise_hash_kind kind);
void noise_hash_of(enum noise_hash_kind kind, const struct bytes *parts, size_t n,
                   uint8_t *ret);
/* n (2 or 3) outputs of noise_hash_size bytes. ck is as long as the hash. */
void noise_hkdf(enum noise_hash_kind kind, const uint8_t *ck, struct bytes input,
                uint8_t (*ret)[NOISE_HASH_MAX], size_t n);

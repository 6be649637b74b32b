/*
 * mask.h - pairwise masks and the boxes between vaults.
 *
 *   pair key  k_ij = HKDF-SHA-256(X25519(e_i, e_j), salt = T0, info = label || lo || hi)
 *   round key      = HMAC-SHA-256(k_ij, "round" || session || round || input digest)
 *   stream         = ChaCha20-IETF(round key, nonce 0): first the counts, then the sums
 *   lower node id adds, higher subtracts
 *   box            = XChaCha20-Poly1305 under HMAC(k_ij, "box" || direction || round ||
 * kind)
 *
 * T0 binds the participants and every ACCEPT; the input digest binds the coefficients:
 * nodes with other inputs get masks that do not cancel. Keys are ephemeral, held in guarded
 * memory only: after a crash nothing can be masked again under the same key. A round's key
 * is used once: mask_add refuses a round that does not come after the last one
 * (FAULT_REPLAY).
 */
#pragma once

#include "protocol/keys.h"
#include "protocol/tally.h"

struct mask;

struct mask_setup {
    size_t n;                        /* participants, sorted by node id; at least 2: of two,
                                        each reads the other's numbers off the sum */
    size_t self;                     /* own place */
    const uint8_t *const *ids;       /* n x 32 */
    const uint8_t *const *ephemeral; /* n x 32 public keys of the ACCEPTs */
    const uint8_t *own_secret;       /* 32, guarded */
    uint8_t session[32];             /* T0 */
};

CHECKED enum fault mask_new(struct cx *cx, const struct mask_setup *setup,
                            struct mask **ret);
void mask_free(struct mask **mask); /* wipes */
#define AUTO_MASK __attribute__((cleanup(mask_free)))

/* t += the sum of all pair masks of this round. */
CHECKED enum fault mask_add(struct cx *cx, struct mask *mask, uint32_t round,
                            const uint8_t input_digest[32], struct tally *t);
/* Seals to participant `to`; opens what `from` sealed to us. context: bytes that both know
 * (proposal digest || transcript). FAULT_DENIED for a box that is not theirs. */
CHECKED enum fault mask_box(struct cx *cx, const struct mask *mask, size_t to,
                            uint32_t round, struct bytes context, struct bytes plain,
                            struct bytes *ret_box);
CHECKED enum fault mask_unbox(struct cx *cx, const struct mask *mask, size_t from,
                              uint32_t round, struct bytes context, struct bytes box,
                              struct bytes *ret_plain);
/* T0 of packed ACCEPT envelopes in order of participants. */
void session_id(const struct bytes *accepts, size_t n, uint8_t ret[32]);

/* The two steps of a pair key, apart for published vectors and tests of their strength.
 * HKDF-SHA-256 of 32 bytes; false for a peer key of low order. */
void mask_hkdf(struct bytes salt, struct bytes secret, struct bytes info, uint8_t ret[32]);
CHECKED bool mask_pair_key(const uint8_t own_secret[32], const uint8_t peer_public[32],
                           const uint8_t session[32], const uint8_t lo[32],
                           const uint8_t hi[32], uint8_t ret[32]);

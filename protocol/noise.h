/*
 * noise.h - the Noise protocol framework (revision 34) over libsodium.
 *
 * Patterns XK, XKpsk3, IK, XX, KK; 25519, ChaChaPoly; SHA256, SHA512, BLAKE2b (the two
 * others only so that published vectors exercise the state machine). A link uses
 * Noise_XK_25519_ChaChaPoly_SHA256. Every Diffie-Hellman result is checked; a nonce never
 * wraps.
 */
#pragma once

#include "protocol/base/bytes.h"

enum { NOISE_MESSAGE_MAX = 65535, NOISE_TAG = 16 };

struct noise; /* guarded memory */

struct noise_setup {
    const char *protocol; /* "Noise_XK_25519_ChaChaPoly_SHA256" */
    bool initiator;
    struct bytes prologue;
    const uint8_t *static_secret;    /* 32 or NULL where the pattern has none */
    const uint8_t *remote_static;    /* 32 or NULL where it is learned */
    const uint8_t *psk;              /* 32 or NULL */
    const uint8_t *ephemeral_secret; /* tests with published vectors only; NULL: random */
};

/* FAULT_INVALID for a pattern that we do not have ("not implemented: ..."). */
CHECKED enum fault noise_new(struct cx *cx, const struct noise_setup *setup,
                             struct noise **ret);
void noise_free(struct noise **noise);
#define AUTO_NOISE __attribute__((cleanup(noise_free)))

/* Handshake messages in turn. out_size >= payload + 2 * 32 + 2 * 16. A failure is final. */
CHECKED enum fault noise_write(struct cx *cx, struct noise *n, struct bytes payload,
                               uint8_t *out, size_t out_size, size_t *ret_n);
CHECKED enum fault noise_read(struct cx *cx, struct noise *n, struct bytes message,
                              uint8_t *payload, size_t payload_size, size_t *ret_n);
bool noise_is_done(const struct noise *n);
bool noise_is_my_turn(const struct noise *n);              /* to write */
const uint8_t *noise_remote_static(const struct noise *n); /* 32, once known, else NULL */
const uint8_t *noise_hash(const struct noise *n,
                          size_t *ret_n); /* channel binding, once done */

/* Transport, once done. cipher = plain + 16. In place is allowed. */
CHECKED enum fault noise_encrypt(struct cx *cx, struct noise *n, struct bytes plain,
                                 uint8_t *cipher);
CHECKED enum fault noise_decrypt(struct cx *cx, struct noise *n, struct bytes cipher,
                                 uint8_t *plain);

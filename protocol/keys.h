/*
 * keys.h - Ed25519 signing keys, X25519 link keys, key files sealed by a passphrase.
 *
 * One key file format for everybody (KeyFile in cohortium.proto): a 32-byte seed sealed with
 * XChaCha20-Poly1305 under Argon2id(passphrase). Signing seed = KDF(seed, 1, "cxsignky"),
 * link secret = KDF(seed, 2, "cxlinkky") (crypto_kdf, BLAKE2b). Secrets live in guarded memory
 * and are wiped on free.
 */
#pragma once

#include "protocol/base/bytes.h"

enum { KEY_BYTES = 32, SIGNATURE_BYTES = 64, ID_BYTES = 16, DIGEST_BYTES = 32 };

struct keys; /* guarded: seed and what is derived from it */

/* Random seed. use: "researcher", "officer", "governance", "node_signing", "node_noise",
 * "patient". Free with keys_free on every path. */
CHECKED enum fault keys_new(struct cx *cx, const char *use, const char *name,
                            struct keys **ret);
void keys_free(struct keys **keys);
#define AUTO_KEYS __attribute__((cleanup(keys_free)))

const char *keys_use(const struct keys *keys);
const char *keys_name(const struct keys *keys);
const uint8_t *keys_signing_public(const struct keys *keys);  /* 32 */
const uint8_t *keys_link_public(const struct keys *keys);     /* 32 */
const uint8_t *keys_link_secret(const struct keys *keys);     /* 32, guarded */
const uint8_t *keys_seed(const struct keys *keys);            /* 32, guarded */
void keys_sign(const struct keys *keys, struct bytes message, uint8_t signature[64]);

/* Writes / reads a key file. passphrase: NUL-terminated, guarded memory preferred. NULL: none
 * (keys of a lab only); an empty text is refused when writing. use NULL: any. Write: new file only (O_EXCL), mode 0600, fsynced, never half there.
 * FAULT_DENIED for a wrong passphrase ("wrong passphrase for NAME"), FAULT_FORMAT for a broken
 * file, FAULT_DENIED for a file that others may read. */
CHECKED enum fault keys_write(struct cx *cx, const struct keys *keys, const char *passphrase,
                              const char *path);
CHECKED enum fault keys_read(struct cx *cx, const char *path, const char *use,
                             const char *passphrase, struct keys **ret);

/* SHA-256 of n bytes; node id = digest of the signing key. */
void digest_of(struct bytes b, uint8_t ret[32]);

CHECKED bool signature_is_valid(const uint8_t public_key[32], struct bytes message,
                                const uint8_t signature[64]);

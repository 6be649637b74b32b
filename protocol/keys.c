/* keys.c - signing and link keys, sealed key files. */
#include "protocol/keys.h"

#include <sodium.h>
#include <string.h>

#include "protocol/cohortium.pb-c.h"
#include "protocol/files.h"
#include "protocol/verified.h"

enum {
    KEYFILE_VERSION = 1,
    KEYFILE_MAX = 4096,
    KEY_NAME_MAX = 64, /* bytes of a key's name */
    SEALED_BYTES = KEY_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES,
};

/* One guarded allocation; made read-only as soon as it is filled. */
struct keys {
    uint8_t seed[KEY_BYTES];
    uint8_t signing_secret[crypto_sign_SECRETKEYBYTES];
    uint8_t link_secret[KEY_BYTES];
    uint8_t signing_public[KEY_BYTES];
    uint8_t link_public[KEY_BYTES];
    char use[16];
    char name[KEY_NAME_MAX + 1];
};

static const char *const uses[] = {"researcher",   "officer",    "governance",
                                   "node_signing", "node_noise", "patient"};

static enum fault sodium_ready(struct cx *cx)
{
    if (sodium_init() < 0)
        return cx_fail(cx, FAULT_INTERNAL,
                       "the cryptographic library could not be started");
    return FAULT_NONE;
}

void keys_free(struct keys **keys)
{
    if (*keys != NULL)
        sodium_free(*keys); /* wipes */
    *keys = NULL;
}

static enum fault check_labels(struct cx *cx, const char *use, const char *name)
{
    bool known = false;

    for (size_t i = 0; i < COUNT(uses); i++)
        known = known || strcmp(use, uses[i]) == 0;
    if (!known)
        return cx_fail(cx, FAULT_INVALID,
                       "\"%.32s\" is not a use of a key: expected researcher, officer, "
                       "governance, node_signing, node_noise or patient",
                       use);
    size_t n = strlen(name);
    if (n < 1 || n > KEY_NAME_MAX || !utf8_is_clean(name, n) ||
        strpbrk(name, "\n\t") != NULL)
        return cx_fail(cx, FAULT_INVALID,
                       "a key's name is one line of 1 to %d bytes of UTF-8 text",
                       KEY_NAME_MAX);
    return FAULT_NONE;
}

static enum fault keys_alloc(struct cx *cx, const char *use, const char *name,
                             struct keys **ret)
{
    TRY(sodium_ready(cx));
    TRY(check_labels(cx, use, name));
    struct keys *k = sodium_malloc(sizeof *k);
    if (k == NULL)
        return cx_fail(cx, FAULT_MEMORY, "no guarded memory for a key");
    memset(k, 0, sizeof *k);
    memcpy(k->use, use, strlen(use));
    memcpy(k->name, name, strlen(name));
    *ret = k;
    return FAULT_NONE;
}

/* Fills everything that follows from the seed and closes the memory for writing. */
static enum fault keys_derive(struct cx *cx, struct keys *k)
{
    uint8_t signing_seed[crypto_sign_SEEDBYTES];

    _Static_assert(crypto_kdf_KEYBYTES == KEY_BYTES,
                   "the seed is the master key of the KDF");
    int bad = crypto_kdf_derive_from_key(signing_seed, sizeof signing_seed, 1, "cxsignky",
                                         k->seed);
    bad |= crypto_kdf_derive_from_key(k->link_secret, sizeof k->link_secret, 2, "cxlinkky",
                                      k->seed);
    bad |= crypto_sign_seed_keypair(k->signing_public, k->signing_secret, signing_seed);
    bad |= crypto_scalarmult_base(k->link_public, k->link_secret);
    sodium_memzero(signing_seed, sizeof signing_seed);
    if (bad != 0 || sodium_mprotect_readonly(k) != 0)
        return cx_fail(cx, FAULT_INTERNAL, "a key could not be derived");
    return FAULT_NONE;
}

enum fault keys_new(struct cx *cx, const char *use, const char *name, struct keys **ret)
{
    AUTO_KEYS struct keys *k = NULL;

    TRY(keys_alloc(cx, use, name, &k));
    randombytes_buf(k->seed, sizeof k->seed);
    TRY(keys_derive(cx, k));
    *ret = k;
    k = NULL;
    return FAULT_NONE;
}

const char *keys_use(const struct keys *keys)
{
    return keys->use;
}

const char *keys_name(const struct keys *keys)
{
    return keys->name;
}

const uint8_t *keys_signing_public(const struct keys *keys)
{
    return keys->signing_public;
}

const uint8_t *keys_link_public(const struct keys *keys)
{
    return keys->link_public;
}

const uint8_t *keys_link_secret(const struct keys *keys)
{
    return keys->link_secret;
}

const uint8_t *keys_seed(const struct keys *keys)
{
    return keys->seed;
}

void keys_sign(const struct keys *keys, struct bytes message, uint8_t signature[64])
{
    (void)crypto_sign_detached(signature, NULL, message.p, message.n, keys->signing_secret);
    verified_remember(keys->signing_public, message, signature); /* our own come back */
}

bool signature_is_valid(const uint8_t public_key[32], struct bytes message,
                        const uint8_t signature[64])
{
    if (verified_before(public_key, message, signature))
        return true;
    if (crypto_sign_verify_detached(signature, message.p, message.n, public_key) != 0)
        return false;
    verified_remember(public_key, message, signature);
    return true;
}

void digest_of(struct bytes b, uint8_t ret[32])
{
    (void)crypto_hash_sha256(ret, b.p, b.n);
}

/* ---- files ---- */

static void guarded_free(uint8_t **p)
{
    if (*p != NULL)
        sodium_free(*p);
    *p = NULL;
}
#define AUTO_GUARDED __attribute__((cleanup(guarded_free)))

static enum fault passphrase_key(struct cx *cx, const char *passphrase,
                                 const Cohortium__KeyFile *file, uint8_t **ret)
{
    const char *text = passphrase != NULL ? passphrase : "";

    *ret = sodium_malloc(crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
    if (*ret == NULL ||
        crypto_pwhash(*ret, crypto_aead_xchacha20poly1305_ietf_KEYBYTES, text, strlen(text),
                      file->salt.data, file->opslimit, (size_t)file->memlimit,
                      crypto_pwhash_ALG_ARGON2ID13) != 0)
        return cx_fail(cx, FAULT_MEMORY,
                       "not enough memory to open or seal a key: Argon2id needs %llu MiB",
                       (unsigned long long)(file->memlimit >> 20));
    return FAULT_NONE;
}

/* What the seal binds beside the seed, so that nobody can relabel a key file. */
static enum fault associated(struct cx *cx, const Cohortium__KeyFile *f, struct bytes *ret)
{
    struct buffer b = buffer_new(cx, KEYFILE_MAX);

    buffer_text(&b, "cohortium key file");
    buffer_u32(&b, f->version);
    buffer_u32(&b, (uint32_t)strlen(f->use));
    buffer_text(&b, f->use);
    buffer_u32(&b, (uint32_t)strlen(f->name));
    buffer_text(&b, f->name);
    buffer_put(&b, f->public_key.data, f->public_key.len);
    buffer_put(&b, f->noise_public_key.data, f->noise_public_key.len);
    TRY(b.fault);
    *ret = bytes_of(b.p, b.n);
    return FAULT_NONE;
}

enum fault keys_write(struct cx *cx, const struct keys *keys, const char *passphrase,
                      const char *path)
{
    Cohortium__KeyFile f = COHORTIUM__KEY_FILE__INIT;
    uint8_t salt[crypto_pwhash_SALTBYTES], sealed[SEALED_BYTES];
    uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];
    AUTO_GUARDED uint8_t *key = NULL;
    struct bytes bound, packed;

    if (passphrase != NULL && passphrase[0] == '\0')
        return cx_fail(cx, FAULT_INVALID,
                       "an empty passphrase for %s: expected at least one character",
                       keys->name);
    randombytes_buf(salt, sizeof salt);
    randombytes_buf(nonce, sizeof nonce);
    f.version = KEYFILE_VERSION;
    f.use = (char *)keys->use;
    f.name = (char *)keys->name;
    f.public_key = PB_DATA(bytes_of(keys->signing_public, KEY_BYTES));
    f.noise_public_key = PB_DATA(bytes_of(keys->link_public, KEY_BYTES));
    f.salt = PB_DATA(bytes_of(salt, sizeof salt));
    /* A lab's key has no passphrase: costly hashing of nothing protects nothing. */
    f.opslimit =
        passphrase ? crypto_pwhash_OPSLIMIT_INTERACTIVE : crypto_pwhash_OPSLIMIT_MIN;
    f.memlimit =
        passphrase ? crypto_pwhash_MEMLIMIT_INTERACTIVE : crypto_pwhash_MEMLIMIT_MIN;
    f.nonce = PB_DATA(bytes_of(nonce, sizeof nonce));
    TRY(associated(cx, &f, &bound));
    TRY(passphrase_key(cx, passphrase, &f, &key));
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, keys->seed, KEY_BYTES,
                                                     bound.p, bound.n, NULL, nonce, key);
    f.sealed_seed = PB_DATA(bytes_of(sealed, sizeof sealed));
    TRY(pb_pack(cx, &f.base, &packed));
    return file_write(cx, "key file", path, packed, 0600, FILE_NEW);
}

static enum fault check_file(struct cx *cx, const char *path, const Cohortium__KeyFile *f)
{
    if (f->version != KEYFILE_VERSION)
        return cx_fail(cx, FAULT_FORMAT, "%s: a key file of version %u, expected %d", path,
                       f->version, KEYFILE_VERSION);
    if (f->public_key.len != KEY_BYTES || f->noise_public_key.len != KEY_BYTES ||
        f->salt.len != crypto_pwhash_SALTBYTES ||
        f->nonce.len != crypto_aead_xchacha20poly1305_ietf_NPUBBYTES ||
        f->sealed_seed.len != SEALED_BYTES)
        return cx_fail(cx, FAULT_FORMAT, "%s: a key file whose parts have wrong lengths",
                       path);
    /* Bounds on what a file may make us compute. */
    if (f->opslimit < crypto_pwhash_OPSLIMIT_MIN ||
        f->opslimit > crypto_pwhash_OPSLIMIT_SENSITIVE ||
        f->memlimit < crypto_pwhash_MEMLIMIT_MIN ||
        f->memlimit > crypto_pwhash_MEMLIMIT_SENSITIVE)
        return cx_fail(cx, FAULT_FORMAT,
                       "%s: a key file with Argon2id limits out of their range", path);
    if (check_labels(cx, f->use, f->name) != FAULT_NONE) {
        (void)cx_prefix(cx, "%s: ", path);
        return FAULT_FORMAT;
    }
    return FAULT_NONE;
}

enum fault keys_read(struct cx *cx, const char *path, const char *use,
                     const char *passphrase, struct keys **ret)
{
    AUTO_KEYS struct keys *k = NULL;
    AUTO_GUARDED uint8_t *key = NULL;
    struct bytes packed, bound;
    Cohortium__KeyFile *f;

    TRY(file_read(cx, "key file", path, KEYFILE_MAX, true, &packed));
    if (pb_unpack(cx, &cohortium__key_file__descriptor, packed, KEYFILE_MAX, &f) !=
        FAULT_NONE)
        return cx_prefix(cx, "%s is not a key file: ", path);
    TRY(check_file(cx, path, f));
    if (use != NULL && strcmp(f->use, use) != 0)
        return cx_fail(cx, FAULT_DENIED, "%s: a key for the use %s, expected one for %s",
                       path, f->use, use);
    TRY(keys_alloc(cx, f->use, f->name, &k));
    TRY(associated(cx, f, &bound));
    TRY(passphrase_key(cx, passphrase, f, &key));
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(k->seed, NULL, NULL, f->sealed_seed.data,
                                                   f->sealed_seed.len, bound.p, bound.n,
                                                   f->nonce.data, key) != 0)
        return cx_fail(cx, FAULT_DENIED,
                       "wrong passphrase for %s (or its key file %s was changed)", f->name,
                       path);
    TRY(keys_derive(cx, k));
    if (memcmp(k->signing_public, f->public_key.data, KEY_BYTES) != 0 ||
        memcmp(k->link_public, f->noise_public_key.data, KEY_BYTES) != 0)
        return cx_fail(cx, FAULT_FORMAT, "%s: its public keys do not belong to its seed",
                       path);
    *ret = k;
    k = NULL;
    return FAULT_NONE;
}

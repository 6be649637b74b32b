/*
 * Wycheproof's edge cases of the primitives as we call them: argument ed25519, x25519,
 * hmac_sha256 or chacha20_poly1305. (HKDF: test_hkdf_vectors.c.)
 */
#include <sodium.h>

#include "protocol/keys.h"
#include "tests/protocol/vectors.h"

static bool ed25519(struct cx *cx, const json_t *group, const json_t *t)
{
    struct bytes key = vectors_hex(cx, json_object_get(group, "publicKey"), "pk");
    struct bytes signature = vectors_hex(cx, t, "sig");

    return key.n == KEY_BYTES && signature.n == SIGNATURE_BYTES &&
           signature_is_valid(key.p, vectors_hex(cx, t, "msg"), signature.p);
}

/* "acceptable" ones: where we compute a value it must be the stated one; an all-zero result
 * (a key of low order) must be refused. */
static bool x25519(struct cx *cx, const json_t *group, const json_t *t)
{
    struct bytes secret = vectors_hex(cx, t, "private"),
                 public = vectors_hex(cx, t, "public");
    struct bytes want = vectors_hex(cx, t, "shared");
    uint8_t shared[32];

    (void)group;
    if (secret.n != 32 || public.n != 32 || want.n != 32)
        return false;
    bool computed = crypto_scalarmult(shared, secret.p, public.p) == 0;
    if (sodium_is_zero(want.p, want.n))
        return !computed;
    return computed && memcmp(shared, want.p, 32) == 0;
}

static bool hmac(struct cx *cx, const json_t *group, const json_t *t)
{
    struct bytes key = vectors_hex(cx, t, "key"), msg = vectors_hex(cx, t, "msg");
    struct bytes want = vectors_hex(cx, t, "tag");
    crypto_auth_hmacsha256_state state;
    uint8_t tag[32];

    (void)group;
    (void)crypto_auth_hmacsha256_init(&state, key.p, key.n);
    (void)crypto_auth_hmacsha256_update(&state, msg.p, msg.n);
    (void)crypto_auth_hmacsha256_final(&state, tag);
    return want.n <= sizeof tag && memcmp(tag, want.p, want.n) == 0;
}

static bool chacha20_poly1305(struct cx *cx, const json_t *group, const json_t *t)
{
    struct bytes key = vectors_hex(cx, t, "key"), iv = vectors_hex(cx, t, "iv");
    struct bytes aad = vectors_hex(cx, t, "aad"), msg = vectors_hex(cx, t, "msg");
    struct bytes ct = vectors_hex(cx, t, "ct"), tag = vectors_hex(cx, t, "tag");
    uint8_t *out = cx_alloc(cx, ct.n + 1);

    (void)group;
    if (key.n != 32 || iv.n != 12 || tag.n != 16 || out == NULL)
        return false;
    return crypto_aead_chacha20poly1305_ietf_decrypt_detached(
               out, NULL, ct.p, ct.n, tag.p, aad.p, aad.n, iv.p, key.p) == 0 &&
           ct.n == msg.n && bytes_equal(bytes_of(out, ct.n), msg);
}

static const struct {
    const char *name;
    vector_holds holds;
    size_t least; /* so that an empty file is no success */
} suites[] = {
    {"ed25519", ed25519, 150},
    {"x25519", x25519, 518},
    {"hmac_sha256", hmac, 174},
    {"chacha20_poly1305", chacha20_poly1305, 325},
};

int main(int argc, char **argv)
{
    if (argc != 2 || sodium_init() < 0)
        return 2;
    for (size_t i = 0; i < COUNT(suites); i++)
        if (strcmp(argv[1], suites[i].name) == 0)
            return vectors_run(suites[i].name, suites[i].holds, suites[i].least);
    return 2;
}

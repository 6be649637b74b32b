/* noise.c - the handshake's state machine and the transport ciphers. */
#include "protocol/noise.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "protocol/noise_hash.h"

enum { MESSAGES_MAX = 3, TOKENS_MAX = 5, DH = 32 };

enum token { END, E, S, EE, ES, SE, SS, PSK };

struct pattern {
    const char *name;
    bool initiator_known, responder_known, psk; /* static keys of pre-messages */
    size_t n;
    enum token messages[MESSAGES_MAX][TOKENS_MAX];
};

/* Noise revision 34, sections 7.5 and 9.4. */
static const struct pattern patterns[] = {
    {"XK", false, true, false, 3, {{E, ES}, {E, EE}, {S, SE}}},
    {"XKpsk3", false, true, true, 3, {{E, ES}, {E, EE}, {S, SE, PSK}}},
    {"IK", false, true, false, 2, {{E, ES, S, SS}, {E, EE, SE}}},
    {"XX", false, false, false, 3, {{E}, {E, EE, S, ES}, {S, SE}}},
    {"KK", true, true, false, 2, {{E, ES, SS}, {E, EE, SE}}},
};

struct cipher {
    uint8_t key[32];
    bool has_key;
    uint64_t nonce; /* of the next message; 2^64 - 1 is reserved */
};

struct noise {
    const struct pattern *pattern;
    enum noise_hash_kind hash;
    bool initiator, failed, done, has_remote_static, has_remote_ephemeral;
    bool fixed_ephemeral;
    size_t at; /* next message */
    uint8_t s[DH], s_public[DH], e[DH], e_public[DH], rs[DH], re[DH], psk[32];
    uint8_t h[NOISE_HASH_MAX], ck[NOISE_HASH_MAX];
    struct cipher handshake, send, receive;
};

static size_t hash_n(const struct noise *n)
{
    return noise_hash_size(n->hash);
}

static void mix_hash(struct noise *n, const void *p, size_t size)
{
    const struct bytes parts[] = {{n->h, hash_n(n)}, {p, size}};

    noise_hash_of(n->hash, parts, COUNT(parts), n->h);
}

static void set_key(struct cipher *c, const uint8_t key[32])
{
    memcpy(c->key, key, 32);
    c->has_key = true;
    c->nonce = 0;
}

static void mix_key(struct noise *n, const uint8_t *input, size_t size)
{
    uint8_t out[2][NOISE_HASH_MAX];

    noise_hkdf(n->hash, n->ck, bytes_of(input, size), out, 2);
    memcpy(n->ck, out[0], hash_n(n));
    set_key(&n->handshake, out[1]);
    sodium_memzero(out, sizeof out);
}

static void mix_key_and_hash(struct noise *n, const uint8_t psk[32])
{
    uint8_t out[3][NOISE_HASH_MAX];

    noise_hkdf(n->hash, n->ck, bytes_of(psk, 32), out, 3);
    memcpy(n->ck, out[0], hash_n(n));
    mix_hash(n, out[1], hash_n(n));
    set_key(&n->handshake, out[2]);
    sodium_memzero(out, sizeof out);
}

static void nonce_of(uint64_t counter, uint8_t nonce[12])
{
    memset(nonce, 0, 4);
    for (unsigned i = 0; i < 8; i++)
        nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}

/* out = in.n + 16 bytes, may begin at in. */
static enum fault encrypt(struct cx *cx, struct cipher *c, struct bytes ad, struct bytes in,
                          uint8_t *out)
{
    uint8_t nonce[12];

    if (c->nonce == UINT64_MAX)
        return cx_fail(cx, FAULT_EXPIRED, "noise: the nonces of this link are used up");
    nonce_of(c->nonce++, nonce);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in.p, in.n, ad.p, ad.n, NULL,
                                                    nonce, c->key); /* always 0 */
    return FAULT_NONE;
}

/* The nonce moves on success only (Noise, section 5.1); callers give up after a failure. */
static enum fault decrypt(struct cx *cx, struct cipher *c, struct bytes ad, struct bytes in,
                          uint8_t *out)
{
    uint8_t nonce[12];

    if (c->nonce == UINT64_MAX)
        return cx_fail(cx, FAULT_EXPIRED, "noise: the nonces of this link are used up");
    nonce_of(c->nonce, nonce);
    if (in.n < NOISE_TAG ||
        crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in.p, in.n, ad.p, ad.n,
                                                  nonce, c->key) != 0)
        return cx_fail(cx, FAULT_DENIED, "noise: a message does not decrypt");
    c->nonce++;
    return FAULT_NONE;
}

static enum fault encrypt_and_hash(struct cx *cx, struct noise *n, struct bytes in,
                                   uint8_t *out, size_t *ret_n)
{
    if (n->handshake.has_key) {
        TRY(encrypt(cx, &n->handshake, bytes_of(n->h, hash_n(n)), in, out));
        *ret_n = in.n + NOISE_TAG;
    } else {
        if (in.n > 0)
            memmove(out, in.p, in.n);
        *ret_n = in.n;
    }
    mix_hash(n, out, *ret_n);
    return FAULT_NONE;
}

static enum fault decrypt_and_hash(struct cx *cx, struct noise *n, struct bytes in,
                                   uint8_t *out)
{
    if (n->handshake.has_key)
        TRY(decrypt(cx, &n->handshake, bytes_of(n->h, hash_n(n)), in, out));
    else if (in.n > 0)
        memmove(out, in.p, in.n);
    mix_hash(n, in.p, in.n);
    return FAULT_NONE;
}

/* libsodium refuses points of low order: their result is all zero. */
static enum fault mix_dh(struct cx *cx, struct noise *n, const uint8_t secret[DH],
                         const uint8_t public[DH])
{
    uint8_t shared[DH];
    int bad = crypto_scalarmult(shared, secret, public);

    if (bad == 0)
        mix_key(n, shared, sizeof shared);
    sodium_memzero(shared, sizeof shared);
    return bad == 0 ? FAULT_NONE
                    : cx_fail(cx, FAULT_DENIED, "noise: a public key is of low order");
}

/* In a token the first letter is the initiator's key, the second the responder's. */
static enum fault mix_dh_token(struct cx *cx, struct noise *n, enum token token)
{
    bool own_static =
        n->initiator ? token == SE || token == SS : token == ES || token == SS;
    bool its_static =
        n->initiator ? token == ES || token == SS : token == SE || token == SS;

    assert(its_static ? n->has_remote_static : n->has_remote_ephemeral);
    return mix_dh(cx, n, own_static ? n->s : n->e, its_static ? n->rs : n->re);
}

static const struct pattern *find_pattern(const char *protocol,
                                          enum noise_hash_kind *ret_hash)
{
    static const char *const suffixes[] = {"_25519_ChaChaPoly_SHA256",
                                           "_25519_ChaChaPoly_SHA512",
                                           "_25519_ChaChaPoly_BLAKE2b"};

    for (size_t i = 0; i < COUNT(patterns); i++) {
        size_t n = strlen(patterns[i].name);

        if (strncmp(protocol, "Noise_", 6) != 0 ||
            strncmp(protocol + 6, patterns[i].name, n) != 0)
            continue;
        for (size_t k = 0; k < COUNT(suffixes); k++)
            if (strcmp(protocol + 6 + n, suffixes[k]) == 0) {
                *ret_hash = (enum noise_hash_kind)k;
                return &patterns[i];
            }
    }
    return NULL;
}

static bool sends_static(const struct pattern *p, bool initiator)
{
    for (size_t m = initiator ? 0 : 1; m < p->n; m += 2)
        for (size_t k = 0; k < TOKENS_MAX; k++)
            if (p->messages[m][k] == S)
                return true;
    return initiator ? p->initiator_known : p->responder_known;
}

static enum fault check_setup(struct cx *cx, const struct noise_setup *setup,
                              const struct pattern *p)
{
    bool knows_remote = setup->initiator ? p->responder_known : p->initiator_known;

    if (sends_static(p, setup->initiator) && setup->static_secret == NULL)
        return cx_fail(cx, FAULT_INVALID, "noise: %s needs our static key",
                       setup->protocol);
    if (knows_remote != (setup->remote_static != NULL))
        return cx_fail(cx, FAULT_INVALID, "noise: %s %s", setup->protocol,
                       knows_remote ? "needs the other's static key"
                                    : "learns the other's static key; none may be given");
    if (p->psk != (setup->psk != NULL))
        return cx_fail(cx, FAULT_INVALID, "noise: %s %s", setup->protocol,
                       p->psk ? "needs a pre-shared key" : "takes no pre-shared key");
    return FAULT_NONE;
}

/* Name, prologue, and the keys known beforehand: the initiator's first. */
static void begin(struct noise *n, const struct noise_setup *setup)
{
    size_t name_n = strlen(setup->protocol);
    const struct bytes name = {(const uint8_t *)setup->protocol, name_n};

    if (name_n <= hash_n(n))
        memcpy(n->h, setup->protocol, name_n); /* the rest is zero */
    else
        noise_hash_of(n->hash, &name, 1, n->h);
    memcpy(n->ck, n->h, hash_n(n));
    mix_hash(n, setup->prologue.p, setup->prologue.n);
    if (n->pattern->initiator_known)
        mix_hash(n, n->initiator ? n->s_public : n->rs, DH);
    if (n->pattern->responder_known)
        mix_hash(n, n->initiator ? n->rs : n->s_public, DH);
}

static enum fault take_keys(struct cx *cx, struct noise *n, const struct noise_setup *setup)
{
    if (setup->static_secret != NULL) {
        memcpy(n->s, setup->static_secret, DH);
        if (crypto_scalarmult_base(n->s_public, n->s) != 0)
            return cx_fail(cx, FAULT_INVALID, "noise: our static key is not usable");
    }
    if (setup->remote_static != NULL) {
        memcpy(n->rs, setup->remote_static, DH);
        n->has_remote_static = true;
    }
    if (setup->psk != NULL)
        memcpy(n->psk, setup->psk, 32);
    if (setup->ephemeral_secret != NULL) {
        memcpy(n->e, setup->ephemeral_secret, DH);
        n->fixed_ephemeral = true;
    }
    return FAULT_NONE;
}

enum fault noise_new(struct cx *cx, const struct noise_setup *setup, struct noise **ret)
{
    AUTO_NOISE struct noise *n = NULL;
    enum noise_hash_kind hash;
    const struct pattern *pattern = find_pattern(setup->protocol, &hash);

    if (pattern == NULL)
        return cx_fail(cx, FAULT_INVALID, "not implemented: %.80s", setup->protocol);
    TRY(check_setup(cx, setup, pattern));
    if (sodium_init() < 0)
        return cx_fail(cx, FAULT_INTERNAL, "noise: libsodium does not start");
    /* A multiple of 16 keeps the start of guarded memory aligned. */
    n = sodium_malloc((sizeof *n + 15) / 16 * 16);
    if (n == NULL)
        return cx_fail(cx, FAULT_MEMORY, "noise: no guarded memory");
    memset(n, 0, sizeof *n);
    n->pattern = pattern;
    n->hash = hash;
    n->initiator = setup->initiator;
    TRY(take_keys(cx, n, setup));
    begin(n, setup);
    *ret = n;
    n = NULL;
    return FAULT_NONE;
}

void noise_free(struct noise **noise)
{
    sodium_free(*noise); /* wipes */
    *noise = NULL;
}

/* After the last message: one key a direction; what made them is forgotten. */
static void split(struct noise *n)
{
    uint8_t out[2][NOISE_HASH_MAX];

    noise_hkdf(n->hash, n->ck, bytes_of(NULL, 0), out, 2);
    set_key(n->initiator ? &n->send : &n->receive, out[0]);
    set_key(n->initiator ? &n->receive : &n->send, out[1]);
    sodium_memzero(out, sizeof out);
    sodium_memzero(n->ck, sizeof n->ck);
    sodium_memzero(n->e, sizeof n->e);
    sodium_memzero(n->s, sizeof n->s);
    sodium_memzero(n->psk, sizeof n->psk);
    sodium_memzero(&n->handshake, sizeof n->handshake);
    n->done = true;
}

static enum fault put_ephemeral(struct cx *cx, struct noise *n, uint8_t *out)
{
    if (!n->fixed_ephemeral)
        randombytes_buf(n->e, DH);
    if (crypto_scalarmult_base(n->e_public, n->e) != 0)
        return cx_fail(cx, FAULT_INTERNAL, "noise: no ephemeral key");
    memcpy(out, n->e_public, DH);
    mix_hash(n, n->e_public, DH);
    if (n->pattern->psk)
        mix_key(n, n->e_public, DH);
    return FAULT_NONE;
}

static enum fault write_tokens(struct cx *cx, struct noise *n, uint8_t *out, size_t *used)
{
    const enum token *tokens = n->pattern->messages[n->at];
    size_t put;

    for (size_t i = 0; i < TOKENS_MAX && tokens[i] != END; i++) {
        switch (tokens[i]) {
        case E:
            TRY(put_ephemeral(cx, n, out + *used));
            *used += DH;
            break;
        case S:
            TRY(encrypt_and_hash(cx, n, bytes_of(n->s_public, DH), out + *used, &put));
            *used += put;
            break;
        case PSK:
            mix_key_and_hash(n, n->psk);
            break;
        default:
            TRY(mix_dh_token(cx, n, tokens[i]));
        }
    }
    return FAULT_NONE;
}

static enum fault write_message(struct cx *cx, struct noise *n, struct bytes payload,
                                uint8_t *out, size_t out_size, size_t *ret_n)
{
    size_t used = 0, put;

    if (n->failed || n->done || !noise_is_my_turn(n))
        return cx_fail(cx, FAULT_INTERNAL,
                       "noise: no handshake message is ours to write now");
    if (payload.n > NOISE_MESSAGE_MAX - 2 * DH - 2 * NOISE_TAG ||
        out_size < payload.n + 2 * DH + 2 * NOISE_TAG)
        return cx_fail(cx, FAULT_BOUND, "noise: a handshake payload of %zu bytes",
                       payload.n);
    TRY(write_tokens(cx, n, out, &used));
    TRY(encrypt_and_hash(cx, n, payload, out + used, &put));
    *ret_n = used + put;
    return FAULT_NONE;
}

static enum fault read_tokens(struct cx *cx, struct noise *n, struct bytes *rest)
{
    const enum token *tokens = n->pattern->messages[n->at];

    for (size_t i = 0; i < TOKENS_MAX && tokens[i] != END; i++) {
        size_t size = DH + (tokens[i] == S && n->handshake.has_key ? NOISE_TAG : 0);

        if ((tokens[i] == E || tokens[i] == S) && rest->n < size)
            return cx_fail(cx, FAULT_FORMAT, "noise: handshake message %zu is cut short",
                           n->at + 1);
        switch (tokens[i]) {
        case E:
            memcpy(n->re, rest->p, DH);
            n->has_remote_ephemeral = true;
            mix_hash(n, n->re, DH);
            if (n->pattern->psk)
                mix_key(n, n->re, DH);
            break;
        case S:
            TRY(decrypt_and_hash(cx, n, bytes_of(rest->p, size), n->rs));
            n->has_remote_static = true;
            break;
        case PSK:
            mix_key_and_hash(n, n->psk);
            break;
        default:
            TRY(mix_dh_token(cx, n, tokens[i]));
        }
        if (tokens[i] == E || tokens[i] == S)
            *rest = bytes_of(rest->p + size, rest->n - size);
    }
    return FAULT_NONE;
}

static enum fault read_message(struct cx *cx, struct noise *n, struct bytes message,
                               uint8_t *payload, size_t payload_size, size_t *ret_n)
{
    size_t tag;

    if (n->failed || n->done || noise_is_my_turn(n))
        return cx_fail(cx, FAULT_INTERNAL, "noise: no handshake message is expected now");
    if (message.n > NOISE_MESSAGE_MAX)
        return cx_fail(cx, FAULT_BOUND, "noise: a message of %zu bytes", message.n);
    TRY(read_tokens(cx, n, &message));
    tag = n->handshake.has_key ? NOISE_TAG : 0;
    if (message.n < tag)
        return cx_fail(cx, FAULT_FORMAT, "noise: handshake message %zu is cut short",
                       n->at + 1);
    if (message.n - tag > payload_size)
        return cx_fail(cx, FAULT_BOUND,
                       "noise: a handshake payload of %zu bytes, at most %zu",
                       message.n - tag, payload_size);
    TRY(decrypt_and_hash(cx, n, message, payload));
    *ret_n = message.n - tag;
    return FAULT_NONE;
}

static enum fault step(struct noise *n, enum fault fault)
{
    if (fault != FAULT_NONE)
        n->failed = true;
    else if (++n->at == n->pattern->n)
        split(n);
    return fault;
}

enum fault noise_write(struct cx *cx, struct noise *n, struct bytes payload, uint8_t *out,
                       size_t out_size, size_t *ret_n)
{
    return step(n, write_message(cx, n, payload, out, out_size, ret_n));
}

enum fault noise_read(struct cx *cx, struct noise *n, struct bytes message,
                      uint8_t *payload, size_t payload_size, size_t *ret_n)
{
    return step(n, read_message(cx, n, message, payload, payload_size, ret_n));
}

bool noise_is_done(const struct noise *n)
{
    return n->done;
}

bool noise_is_my_turn(const struct noise *n)
{
    return !n->done && !n->failed && (n->at % 2 == 0) == n->initiator;
}

const uint8_t *noise_remote_static(const struct noise *n)
{
    return n->has_remote_static ? n->rs : NULL;
}

const uint8_t *noise_hash(const struct noise *n, size_t *ret_n)
{
    *ret_n = hash_n(n);
    return n->done ? n->h : NULL;
}

enum fault noise_encrypt(struct cx *cx, struct noise *n, struct bytes plain,
                         uint8_t *cipher)
{
    if (!n->done || n->failed)
        return cx_fail(cx, FAULT_INTERNAL, "noise: the handshake is not done");
    if (plain.n > NOISE_MESSAGE_MAX - NOISE_TAG)
        return cx_fail(cx, FAULT_BOUND, "noise: a message of %zu bytes", plain.n);
    return encrypt(cx, &n->send, bytes_of(NULL, 0), plain, cipher);
}

enum fault noise_decrypt(struct cx *cx, struct noise *n, struct bytes cipher,
                         uint8_t *plain)
{
    enum fault fault;

    if (!n->done || n->failed)
        return cx_fail(cx, FAULT_INTERNAL, "noise: the handshake is not done");
    if (cipher.n > NOISE_MESSAGE_MAX)
        return cx_fail(cx, FAULT_BOUND, "noise: a message of %zu bytes", cipher.n);
    fault = decrypt(cx, &n->receive, bytes_of(NULL, 0), cipher, plain);
    n->failed = fault != FAULT_NONE; /* final: the stream is not to be believed any more */
    return fault;
}

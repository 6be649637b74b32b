/* verified.c - a bounded memory of positive signature checks. */
#include "protocol/verified.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

enum { PLACES = 1024, TAG = 32 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t secret[crypto_generichash_KEYBYTES];
static uint8_t tags[PLACES][TAG]; /* all zero: empty (no tag is, but with chance 2^-256) */
static bool has_secret;

static void tag_of(const uint8_t key[32], struct bytes message, const uint8_t signature[64],
                   uint8_t tag[TAG])
{
    crypto_generichash_state h;

    (void)pthread_mutex_lock(&lock);
    if (!has_secret) {
        randombytes_buf(secret, sizeof secret);
        has_secret = true;
    }
    (void)pthread_mutex_unlock(&lock);
    (void)crypto_generichash_init(&h, secret, sizeof secret, TAG);
    (void)crypto_generichash_update(&h, key, 32);
    (void)crypto_generichash_update(&h, signature, 64);
    (void)crypto_generichash_update(&h, message.p, message.n);
    (void)crypto_generichash_final(&h, tag, TAG);
}

static size_t place_of(const uint8_t tag[TAG])
{
    return (tag[0] | (size_t)tag[1] << 8) % PLACES;
}

bool verified_before(const uint8_t key[32], struct bytes message, const uint8_t signature[64])
{
    uint8_t tag[TAG];

    if (message.n > VERIFIED_MAX)
        return false;
    tag_of(key, message, signature, tag);
    (void)pthread_mutex_lock(&lock);
    bool known = sodium_memcmp(tags[place_of(tag)], tag, TAG) == 0;
    (void)pthread_mutex_unlock(&lock);
    return known;
}

void verified_remember(const uint8_t key[32], struct bytes message,
                       const uint8_t signature[64])
{
    uint8_t tag[TAG];

    if (message.n > VERIFIED_MAX)
        return;
    tag_of(key, message, signature, tag);
    (void)pthread_mutex_lock(&lock);
    memcpy(tags[place_of(tag)], tag, TAG);
    (void)pthread_mutex_unlock(&lock);
}

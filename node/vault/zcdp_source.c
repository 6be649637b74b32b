/* zcdp_source.c - random bytes for one draw of noise. */
#include "node/vault/zcdp.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

void zcdp_stream_open(struct zcdp_stream *s, const uint8_t seed[ZCDP_SEED_BYTES])
{
    memset(s, 0, sizeof *s);
    memcpy(s->seed, seed, ZCDP_SEED_BYTES);
    s->used = sizeof s->bytes;
}

void zcdp_stream_wipe(struct zcdp_stream *s)
{
    sodium_memzero(s, sizeof *s);
}

/* Each refill has a nonce of its own. */
static void refill(struct zcdp_stream *s)
{
    uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

    for (size_t i = 0; i < sizeof nonce; i++)
        nonce[i] = (uint8_t)(s->block >> (8 * i));
    (void)crypto_stream_chacha20(s->bytes, sizeof s->bytes, nonce, s->seed);
    s->block++;
    s->used = 0;
}

static void draw(void *user, uint8_t *ret, size_t n)
{
    struct zcdp_stream *s = user;

    assert(n <= sizeof s->bytes);
    if (sizeof s->bytes - s->used < n)
        refill(s);
    memcpy(ret, s->bytes + s->used, n);
    sodium_memzero(s->bytes + s->used, n);
    s->used += n;
}

struct zcdp_source zcdp_stream_source(struct zcdp_stream *s)
{
    return (struct zcdp_source){.draw = draw, .user = s};
}

/* tally.c - exact sums: shapes, wrapping addition, packing, scales. */
#include "protocol/tally.h"

#include <assert.h>
#include <math.h>
#include <sodium.h>

#include "protocol/cohortium.pb-c.h"

enum {
    COUNT_BYTES = 8,
    SUM_BYTES = 16,
    PACKING = 64 /* tags, lengths and the round around counts and sums */
};

static enum fault check_shape(struct cx *cx, size_t n_counts, size_t n_sums)
{
    if (n_counts > TALLY_WORDS_MAX || n_sums > TALLY_WORDS_MAX - n_counts)
        return cx_fail(cx, FAULT_BOUND,
                       "tally: %zu counts and %zu sums are more than %d in one round; ask "
                       "for fewer groups or terms",
                       n_counts, n_sums, TALLY_WORDS_MAX);
    return FAULT_NONE;
}

enum fault tally_new(struct cx *cx, size_t n_counts, size_t n_sums, struct tally **ret)
{
    struct tally *t;

    TRY(check_shape(cx, n_counts, n_sums));
    CX_NEW(cx, t, 1);
    CX_NEW(cx, t->counts, n_counts);
    CX_NEW(cx, t->sums, n_sums);
    t->n_counts = n_counts;
    t->n_sums = n_sums;
    *ret = t;
    return FAULT_NONE;
}

enum fault tally_add(struct cx *cx, struct tally *a, const struct tally *b)
{
    if (a->n_counts != b->n_counts || a->n_sums != b->n_sums)
        return cx_fail(
            cx, FAULT_CONFLICT,
            "tally: cannot add %zu counts and %zu sums to %zu and %zu; the sites "
            "do not sum the same measure",
            b->n_counts, b->n_sums, a->n_counts, a->n_sums);
    for (size_t i = 0; i < a->n_counts; i++)
        a->counts[i] += b->counts[i];
    for (size_t i = 0; i < a->n_sums; i++)
        a->sums[i] += b->sums[i];
    return FAULT_NONE;
}

static void put_word(uint8_t *p, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_word(const uint8_t *p)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

enum fault tally_pack(struct cx *cx, const struct tally *t, uint32_t round,
                      struct bytes *ret_masked_tally)
{
    Cohortium__MaskedTally message = COHORTIUM__MASKED_TALLY__INIT;
    uint8_t(*counts)[COUNT_BYTES], (*sums)[SUM_BYTES];

    TRY(check_shape(cx, t->n_counts, t->n_sums));
    CX_NEW(cx, counts, t->n_counts);
    CX_NEW(cx, sums, t->n_sums);
    for (size_t i = 0; i < t->n_counts; i++)
        put_word(counts[i], t->counts[i]);
    for (size_t i = 0; i < t->n_sums; i++) {
        put_word(sums[i], (uint64_t)t->sums[i]);
        put_word(sums[i] + 8, (uint64_t)(t->sums[i] >> 64));
    }
    message.round = round;
    message.counts = PB_DATA(bytes_of(counts, t->n_counts * COUNT_BYTES));
    message.sums = PB_DATA(bytes_of(sums, t->n_sums * SUM_BYTES));
    return pb_pack(cx, &message.base, ret_masked_tally);
}

void tally_chain(uint8_t chain[32], const struct tally *t)
{
    static const char label[] = "cohortium/tallies/1";
    const uint64_t shape[] = {t->n_counts, t->n_sums};
    crypto_hash_sha256_state h;
    uint8_t word[SUM_BYTES];

    (void)crypto_hash_sha256_init(&h);
    (void)crypto_hash_sha256_update(&h, (const uint8_t *)label, sizeof label);
    (void)crypto_hash_sha256_update(&h, chain, 32);
    for (size_t i = 0; i < COUNT(shape); i++) {
        put_word(word, shape[i]);
        (void)crypto_hash_sha256_update(&h, word, COUNT_BYTES);
    }
    for (size_t i = 0; i < t->n_counts; i++) {
        put_word(word, t->counts[i]);
        (void)crypto_hash_sha256_update(&h, word, COUNT_BYTES);
    }
    for (size_t i = 0; i < t->n_sums; i++) {
        put_word(word, (uint64_t)t->sums[i]);
        put_word(word + 8, (uint64_t)(t->sums[i] >> 64));
        (void)crypto_hash_sha256_update(&h, word, SUM_BYTES);
    }
    (void)crypto_hash_sha256_final(&h, chain);
    sodium_memzero(word, sizeof word);
}

enum fault tally_unpack(struct cx *cx, struct bytes masked_tally, uint32_t round,
                        size_t n_counts, size_t n_sums, struct tally **ret)
{
    Cohortium__MaskedTally *claimed;
    struct tally *t;

    TRY(check_shape(cx, n_counts, n_sums));
    TRY(pb_unpack(cx, &cohortium__masked_tally__descriptor, masked_tally,
                  n_counts * COUNT_BYTES + n_sums * SUM_BYTES + PACKING, &claimed));
    if (claimed->round != round)
        return cx_fail(cx, FAULT_FORMAT, "tally: it is of round %u, expected round %u",
                       claimed->round, round);
    if (claimed->counts.len != n_counts * COUNT_BYTES ||
        claimed->sums.len != n_sums * SUM_BYTES)
        return cx_fail(cx, FAULT_FORMAT,
                       "tally: %zu bytes of counts and %zu of sums, expected %zu and %zu",
                       claimed->counts.len, claimed->sums.len, n_counts * COUNT_BYTES,
                       n_sums * SUM_BYTES);
    TRY(tally_new(cx, n_counts, n_sums, &t));
    for (size_t i = 0; i < n_counts; i++)
        t->counts[i] = get_word(claimed->counts.data + COUNT_BYTES * i);
    for (size_t i = 0; i < n_sums; i++) {
        const uint8_t *p = claimed->sums.data + SUM_BYTES * i;

        t->sums[i] = (ufixed)get_word(p + 8) << 64 | get_word(p);
    }
    *ret = t;
    return FAULT_NONE;
}

int tally_scale(double bound, unsigned rows_log2)
{
    int exponent;
    double fraction;

    assert(isfinite(bound) && bound > 0 && rows_log2 <= 126);
    fraction =
        frexp(bound, &exponent); /* bound = fraction * 2^exponent, 1/2 <= fraction < 1 */
    return 126 - (int)rows_log2 - (fraction > 0.5 ? exponent : exponent - 1);
}

struct dd tally_value(ufixed sum, int scale)
{
    bool negative = sum >> 127 != 0;
    ufixed magnitude = negative ? -sum : sum;
    double hi = (double)magnitude; /* to nearest even; at most 2^127 */
    double lo = (double)(fixed)(magnitude - (ufixed)hi);

    hi = ldexp(hi, -scale);
    lo = ldexp(lo, -scale);
    /* No negative zero: it has no encoding (bytes.h). */
    return (struct dd){negative && hi != 0 ? -hi : hi, negative && lo != 0 ? -lo : lo};
}

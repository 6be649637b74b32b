/* What mask.h promises: masks cancel for the same session, round and input, and never else.
 */
#include "protocol/mask.h"

#include <jansson.h>
#include <math.h>
#include <sodium.h>

#include "tests/check.h"

enum { NODES_MAX = 50, COUNTS = 37, SUMS = 41 };

struct world { /* a session of n nodes, its secrets and everyone's view of it */
    struct cx *cx;
    size_t n;
    uint8_t ids[NODES_MAX][32], secrets[NODES_MAX][32], publics[NODES_MAX][32];
    const uint8_t *id[NODES_MAX], *public[NODES_MAX];
    uint8_t session[32], input[32];
    struct mask *masks[NODES_MAX];
    struct tally *plain[NODES_MAX], *masked[NODES_MAX], *want;
};

static struct mask_setup setup_of(struct world *w, size_t self)
{
    struct mask_setup s = {.n = w->n,
                           .self = self,
                           .ids = w->id,
                           .ephemeral = w->public,
                           .own_secret = w->secrets[self]};

    memcpy(s.session, w->session, 32);
    return s;
}

static struct world *world_new(size_t n)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->cx = cx_new(64 << 20, CX_NO_DEADLINE);
    w->n = n;
    randombytes_buf(w->session, 32);
    randombytes_buf(w->input, 32);
    CHECK_OK_("want", w->cx, tally_new(w->cx, COUNTS, SUMS, &w->want));
    for (size_t i = 0; i < n; i++) {
        randombytes_buf(w->ids[i], 32);
        w->ids[i][0] = (uint8_t)(i + 1); /* sorted */
        w->id[i] = w->ids[i];
        randombytes_buf(w->secrets[i], 32);
        assert_int_equal(crypto_scalarmult_base(w->publics[i], w->secrets[i]), 0);
        w->public[i] = w->publics[i];
    }
    for (size_t i = 0; i < n; i++) {
        struct mask_setup s = setup_of(w, i);

        CHECK_OK_("mask", w->cx, mask_new(w->cx, &s, &w->masks[i]));
        CHECK_OK_("plain", w->cx, tally_new(w->cx, COUNTS, SUMS, &w->plain[i]));
        CHECK_OK_("masked", w->cx, tally_new(w->cx, COUNTS, SUMS, &w->masked[i]));
        randombytes_buf(w->plain[i]->counts, COUNTS * sizeof(uint64_t));
        randombytes_buf(w->plain[i]->sums, SUMS * sizeof(ufixed));
        CHECK_OK_("want", w->cx, tally_add(w->cx, w->want, w->plain[i]));
    }
    return w;
}

static void world_free(struct world *w)
{
    for (size_t i = 0; i < w->n; i++)
        mask_free(&w->masks[i]);
    cx_free(&w->cx);
    free(w);
}

/* Whether the masks cancel when node `odd` masks with other round or input. */
static bool cancels(struct world *w, uint32_t round, size_t odd, uint32_t odd_round,
                    const uint8_t *odd_input)
{
    struct tally *total;

    CHECK_OK_("total", w->cx, tally_new(w->cx, COUNTS, SUMS, &total));
    for (size_t i = 0; i < w->n; i++) {
        struct tally *t = w->masked[i];

        memcpy(t->counts, w->plain[i]->counts, COUNTS * sizeof(uint64_t));
        memcpy(t->sums, w->plain[i]->sums, SUMS * sizeof(ufixed));
        CHECK_OK_("mask", w->cx,
                  mask_add(w->cx, w->masks[i], i == odd ? odd_round : round,
                           i == odd ? odd_input : w->input, t));
        assert_memory_not_equal(t->counts, w->plain[i]->counts, COUNTS * sizeof(uint64_t));
        CHECK_OK_("add", w->cx, tally_add(w->cx, total, t));
    }
    return memcmp(total->counts, w->want->counts, COUNTS * sizeof(uint64_t)) == 0 &&
           memcmp(total->sums, w->want->sums, SUMS * sizeof(ufixed)) == 0;
}

static void test_mask__cancels_exactly(void **state)
{
    static const size_t sizes[] = {2, 3, 4, 5, 11, 50};

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct world *w = world_new(sizes[i]);

        for (uint32_t round = 0; round < 4; round++)
            assert_true(cancels(w, round, 0, round, w->input));
        world_free(w);
    }
}

static void test_mask__nothing_else_cancels(void **state)
{
    struct world *w = world_new(5);

    (void)state;
    assert_false(cancels(w, 1, 2, 2, w->input)); /* one node is in another round */
    for (size_t bit = 0; bit < 256; bit++) {
        uint8_t other[32];

        memcpy(other, w->input, 32);
        other[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(
            cancels(w, (uint32_t)(10 + bit), bit % 5, (uint32_t)(10 + bit), other));
    }
    assert_true(cancels(w, 1000, 0, 1000, w->input));
    world_free(w);
}

static void test_mask__another_set_does_not_cancel(void **state)
{
    struct world *w = world_new(5);
    struct mask_setup s = setup_of(w, 0);

    (void)state;
    s.n = 4; /* node 0 was told that node 4 is not there */
    mask_free(&w->masks[0]);
    CHECK_OK_("smaller set", w->cx, mask_new(w->cx, &s, &w->masks[0]));
    assert_false(cancels(w, 0, 0, 0, w->input));
    s = setup_of(w, 0);
    s.session[31] ^= 1; /* the set is the same, an ACCEPT differs by a bit */
    mask_free(&w->masks[0]);
    CHECK_OK_("other session", w->cx, mask_new(w->cx, &s, &w->masks[0]));
    assert_false(cancels(w, 1, 0, 1, w->input));
    world_free(w);
}

static void test_mask__a_round_is_used_once(void **state)
{
    struct world *w = world_new(3);

    (void)state;
    assert_true(cancels(w, 0, 0, 0, w->input));
    assert_int_equal(mask_add(w->cx, w->masks[0], 0, w->input, w->masked[0]), FAULT_REPLAY);
    assert_true(cancels(w, 7, 0, 7, w->input));
    assert_int_equal(mask_add(w->cx, w->masks[1], 6, w->input, w->masked[1]), FAULT_REPLAY);
    assert_true(cancels(w, UINT32_MAX, 0, UINT32_MAX, w->input));
    assert_int_equal(mask_add(w->cx, w->masks[1], UINT32_MAX, w->input, w->masked[1]),
                     FAULT_REPLAY);
    world_free(w);
}

static void test_mask__setups_that_are_refused(void **state)
{
    struct world *w = world_new(4);
    struct mask_setup s;
    struct mask *m = NULL;
    static const uint8_t zero[32];
    static const uint8_t low_order[32] = {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae,
                                          0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
                                          0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd,
                                          0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00};

    (void)state;
    s = setup_of(w, 0);
    s.n = 1;
    CHECK_EQ_("one node", mask_new(w->cx, &s, &m), FAULT_INVALID);
    s = setup_of(w, 0);
    s.self = 4;
    CHECK_EQ_("not one of them", mask_new(w->cx, &s, &m), FAULT_INVALID);
    s = setup_of(w, 0);
    w->id[2] = w->ids[1];
    CHECK_EQ_("a node twice", mask_new(w->cx, &s, &m), FAULT_INVALID);
    w->id[1] = w->ids[2];
    w->id[2] = w->ids[1];
    CHECK_EQ_("out of order", mask_new(w->cx, &s, &m), FAULT_INVALID);
    w->id[1] = w->ids[1];
    w->id[2] = w->ids[2];
    w->public[3] = w->publics[2];
    CHECK_EQ_("a key twice", mask_new(w->cx, &s, &m), FAULT_DENIED);
    w->public[3] = zero;
    CHECK_EQ_("a zero key", mask_new(w->cx, &s, &m), FAULT_DENIED);
    w->public[3] = low_order;
    CHECK_EQ_("a key of low order", mask_new(w->cx, &s, &m), FAULT_DENIED);
    w->public[3] = w->publics[3];
    s.own_secret = w->secrets[1];
    CHECK_EQ_("a secret that is not ours", mask_new(w->cx, &s, &m), FAULT_CONFLICT);
    s = setup_of(w, 0);
    CHECK_OK_("as it should be", w->cx, mask_new(w->cx, &s, &m));
    mask_free(&m);
    world_free(w);
}

static void test_mask__boxes_open_for_one_reader_only(void **state)
{
    struct world *w = world_new(4);
    struct bytes text = bytes_of("a masked tally", 14), context = bytes_of("proposal", 8);
    struct bytes box, open, other = bytes_of("proposam", 8);
    uint8_t bad[128];

    (void)state;
    CHECK_OK_("seal", w->cx, mask_box(w->cx, w->masks[0], 2, 5, context, text, &box));
    CHECK_OK_("open", w->cx, mask_unbox(w->cx, w->masks[2], 0, 5, context, box, &open));
    assert_true(bytes_equal(open, text));
    CHECK_EQ_("another reader", mask_unbox(w->cx, w->masks[1], 0, 5, context, box, &open),
              FAULT_DENIED);
    CHECK_EQ_("another sender", mask_unbox(w->cx, w->masks[2], 1, 5, context, box, &open),
              FAULT_DENIED);
    CHECK_EQ_("sent back to its sender",
              mask_unbox(w->cx, w->masks[0], 2, 5, context, box, &open), FAULT_DENIED);
    CHECK_EQ_("another round", mask_unbox(w->cx, w->masks[2], 0, 6, context, box, &open),
              FAULT_DENIED);
    CHECK_EQ_("another context", mask_unbox(w->cx, w->masks[2], 0, 5, other, box, &open),
              FAULT_DENIED);
    CHECK_EQ_("to itself", mask_box(w->cx, w->masks[0], 0, 5, context, text, &box),
              FAULT_INVALID);
    CHECK_EQ_("to nobody", mask_box(w->cx, w->masks[0], 4, 5, context, text, &box),
              FAULT_INVALID);
    for (size_t bit = 0; bit < 8 * box.n; bit++) {
        memcpy(bad, box.p, box.n);
        bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK_EQ_(
            "one bit",
            mask_unbox(w->cx, w->masks[2], 0, 5, context, bytes_of(bad, box.n), &open),
            FAULT_DENIED);
    }
    for (size_t n = 0; n < box.n; n++)
        CHECK_EQ_("cut short",
                  mask_unbox(w->cx, w->masks[2], 0, 5, context, bytes_of(box.p, n), &open),
                  FAULT_DENIED);
    CHECK_OK_("an empty one", w->cx,
              mask_box(w->cx, w->masks[2], 0, 5, context, bytes_of(NULL, 0), &box));
    CHECK_OK_("opens", w->cx, mask_unbox(w->cx, w->masks[0], 2, 5, context, box, &open));
    assert_int_equal(open.n, 0);
    world_free(w);
}

/* Chi-square over bytes of masked zeros, 255 degrees of freedom: mean 255, sd 22.6. A
 * uniform source passes 6 sd but for one run in 10^8. */
static void test_mask__masked_words_look_uniform(void **state)
{
    enum { WORDS = 1 << 17 };
    struct world *w = world_new(3);
    struct tally *t;
    size_t seen[256] = {0}, n = WORDS * sizeof(ufixed);
    double chi = 0, expected = (double)n / 256;

    (void)state;
    CHECK_OK_("new", w->cx, tally_new(w->cx, 1, WORDS, &t));
    CHECK_OK_("mask", w->cx, mask_add(w->cx, w->masks[1], 0, w->input, t));
    for (size_t i = 0; i < n; i++)
        seen[((const uint8_t *)t->sums)[i]]++;
    for (size_t i = 0; i < 256; i++)
        chi += ((double)seen[i] - expected) * ((double)seen[i] - expected) / expected;
    assert_true(fabs(chi - 255) < 6 * 22.6);
    world_free(w);
}

/* An XOR-folded or text-encoded key would leave bits that are never set and keys that
 * repeat: with 28 bits of support 2^15 keys would meet about twice. */
static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

static void test_mask__pair_keys_use_all_256_bits(void **state)
{
    enum { KEYS = 1 << 15 };
    uint8_t(*keys)[32] = calloc(KEYS, 32), secret[32], public[32], session[32];
    size_t ones[256] = {0};

    (void)state;
    assert_non_null(keys);
    randombytes_buf(secret, 32);
    assert_int_equal(crypto_scalarmult_base(public, secret), 0);
    for (uint32_t k = 0; k < KEYS; k++) {
        memset(session, 0, 32);
        memcpy(session, &k, sizeof k);
        if (k % 8 == 0) { /* some under fresh secrets, the rest under fresh sessions */
            randombytes_buf(secret, 32);
            secret[0] |= 8;
        }
        assert_true(mask_pair_key(secret, public, session, session, public, keys[k]));
        for (size_t bit = 0; bit < 256; bit++)
            ones[bit] += keys[k][bit / 8] >> bit % 8 & 1;
    }
    for (size_t bit = 0; bit < 256; bit++) /* sd is 90.5; 6.5 sd over 256 bits */
        assert_true(fabs((double)ones[bit] - KEYS / 2.0) < 6.5 * 90.5);
    qsort(keys, KEYS, 32, compare_keys);
    for (size_t k = 1; k < KEYS; k++)
        assert_memory_not_equal(keys[k - 1], keys[k], 4 + 4); /* the first 64 bits differ */
    free(keys);
}

/* By a separate program in another language, from RFC 7748 and RFC 5869. */
static void test_mask__pair_key_as_computed_elsewhere(void **state)
{
    static const char want[] =
        "b5f9d392eddb3ba84e63e5ff3c69e208655213f4a2098b483fb6112ad334775b";
    uint8_t a[32], b[32], a_public[32], b_public[32], session[32], lo[32], hi[32], key[32];
    char text[65];

    (void)state;
    for (uint8_t i = 0; i < 32; i++) {
        a[i] = (uint8_t)(1 + i);
        b[i] = (uint8_t)(101 + i);
        session[i] = i;
        lo[i] = 1;
        hi[i] = 2;
    }
    assert_int_equal(crypto_scalarmult_base(a_public, a), 0);
    assert_int_equal(crypto_scalarmult_base(b_public, b), 0);
    assert_true(mask_pair_key(a, b_public, session, lo, hi, key));
    assert_string_equal(sodium_bin2hex(text, sizeof text, key, 32), want);
    assert_true(mask_pair_key(b, a_public, session, lo, hi, key));
    assert_string_equal(sodium_bin2hex(text, sizeof text, key, 32), want);
}

static void test_mask__session_id_is_unambiguous(void **state)
{
    uint8_t id[3][32];

    (void)state;
    session_id((struct bytes[]){bytes_of("ab", 2), bytes_of("c", 1)}, 2, id[0]);
    session_id((struct bytes[]){bytes_of("a", 1), bytes_of("bc", 2)}, 2, id[1]);
    session_id((struct bytes[]){bytes_of("c", 1), bytes_of("ab", 2)}, 2, id[2]);
    assert_memory_not_equal(id[0], id[1], 32);
    assert_memory_not_equal(id[0], id[2], 32);
    session_id((struct bytes[]){bytes_of("ab", 2), bytes_of("c", 1)}, 2, id[1]);
    assert_memory_equal(id[0], id[1], 32);
}

static size_t unhex(const json_t *o, const char *name, uint8_t *out, size_t size)
{
    const char *hex = json_string_value(json_object_get(o, name));
    size_t n = 0;

    assert_non_null(hex);
    assert_int_equal(sodium_hex2bin(out, size, hex, strlen(hex), NULL, &n, NULL), 0);
    return n;
}

static void test_mask__hkdf_passes_wycheproof(void **state)
{
    const char *path = shared_path("vectors/wycheproof/hkdf_sha256_test.json");
    size_t i, j, used = 0;
    json_t *all, *group, *test;

    (void)state;
    if (path == NULL) {
        printf("SKIP vectors/wycheproof: hkdf_sha256_test.json is not there\n");
        skip();
    }
    assert_non_null(all = json_load_file(path, 0, NULL));
    json_array_foreach(json_object_get(all, "testGroups"), i, group)
    {
        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            static uint8_t secret[4096], salt[4096], info[4096], okm[9000];
            uint8_t key[32];
            size_t ns = unhex(test, "ikm", secret, sizeof secret);
            size_t nt = unhex(test, "salt", salt, sizeof salt);
            size_t ni = unhex(test, "info", info, sizeof info);
            size_t nk = unhex(test, "okm", okm, sizeof okm);

            if (nk == 0) /* sizes beyond HKDF's limit */
                continue;
            mask_hkdf(bytes_of(salt, nt), bytes_of(secret, ns), bytes_of(info, ni), key);
            assert_memory_equal(key, okm, nk < 32 ? nk : 32);
            used++;
        }
    }
    assert_true(used > 60);
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mask__cancels_exactly),
        cmocka_unit_test(test_mask__nothing_else_cancels),
        cmocka_unit_test(test_mask__another_set_does_not_cancel),
        cmocka_unit_test(test_mask__a_round_is_used_once),
        cmocka_unit_test(test_mask__setups_that_are_refused),
        cmocka_unit_test(test_mask__boxes_open_for_one_reader_only),
        cmocka_unit_test(test_mask__masked_words_look_uniform),
        cmocka_unit_test(test_mask__pair_keys_use_all_256_bits),
        cmocka_unit_test(test_mask__pair_key_as_computed_elsewhere),
        cmocka_unit_test(test_mask__session_id_is_unambiguous),
        cmocka_unit_test(test_mask__hkdf_passes_wycheproof),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What noise.h promises: published vectors byte for byte, and nothing that was changed. */
#include "protocol/noise.h"

#include <jansson.h>
#include <sodium.h>

#include "tests/check.h"

enum { ROOM = 1024 };

static size_t unhex(const char *hex, uint8_t *out, size_t size)
{
    size_t n = 0;

    assert_non_null(hex);
    assert_int_equal(sodium_hex2bin(out, size, hex, strlen(hex), NULL, &n, NULL), 0);
    return n;
}

static const char *text(const json_t *o, const char *side, const char *name)
{
    char key[64];

    (void)snprintf(key, sizeof key, "%s_%s", side, name);
    return json_string_value(json_object_get(o, key));
}

struct side_keys {
    uint8_t s[32], e[32], rs[32], psk[32], prologue[256];
};

static struct noise *vector_side(struct cx *cx, const json_t *v, bool initiator,
                                 struct side_keys *k)
{
    const char *side = initiator ? "init" : "resp";
    const char *s = text(v, side, "static"), *rs = text(v, side, "remote_static");
    const json_t *psks = json_object_get(v, initiator ? "init_psks" : "resp_psks");
    struct noise_setup setup = {
        .protocol = json_string_value(json_object_get(v, "protocol_name")),
        .initiator = initiator,
    };
    struct noise *n = NULL;

    setup.prologue.n = unhex(text(v, side, "prologue"), k->prologue, sizeof k->prologue);
    setup.prologue.p = k->prologue;
    (void)unhex(text(v, side, "ephemeral"), k->e, 32);
    setup.ephemeral_secret = k->e;
    if (s != NULL && unhex(s, k->s, 32) == 32)
        setup.static_secret = k->s;
    if (rs != NULL && unhex(rs, k->rs, 32) == 32)
        setup.remote_static = k->rs;
    if (json_array_size(psks) > 0 &&
        unhex(json_string_value(json_array_get(psks, 0)), k->psk, 32) == 32)
        setup.psk = k->psk;
    CHECK_OK_(setup.protocol, cx, noise_new(cx, &setup, &n));
    return n;
}

/* One message of a vector from a to b: handshake first, then transport. */
static void vector_message(struct cx *cx, const char *name, struct noise *a,
                           struct noise *b, const json_t *m)
{
    uint8_t payload[ROOM], want[ROOM], got[ROOM], back[ROOM];
    size_t n_payload, n_want, n = 0;

    n_payload = unhex(json_string_value(json_object_get(m, "payload")), payload, ROOM);
    n_want = unhex(json_string_value(json_object_get(m, "ciphertext")), want, ROOM);
    if (noise_is_done(a)) {
        CHECK_OK_(name, cx, noise_encrypt(cx, a, bytes_of(payload, n_payload), got));
        n = n_payload + NOISE_TAG;
        CHECK_EQ_(name, n, n_want);
        assert_memory_equal(got, want, n);
        CHECK_OK_(name, cx, noise_decrypt(cx, b, bytes_of(got, n), back));
    } else {
        CHECK_OK_(name, cx,
                  noise_write(cx, a, bytes_of(payload, n_payload), got, sizeof got, &n));
        CHECK_EQ_(name, n, n_want);
        assert_memory_equal(got, want, n);
        CHECK_OK_(name, cx, noise_read(cx, b, bytes_of(got, n), back, sizeof back, &n));
        CHECK_EQ_(name, n, n_payload);
    }
    assert_memory_equal(back, payload, n_payload);
}

/* Whether a transport message i goes from initiator to responder: the order of the file is
 * alternating, begun by the initiator. */
static void run_vector(struct cx *cx, const json_t *v)
{
    const char *name = json_string_value(json_object_get(v, "protocol_name"));
    struct side_keys ki = {0}, kr = {0};
    AUTO_NOISE struct noise *i = vector_side(cx, v, true, &ki);
    AUTO_NOISE struct noise *r = vector_side(cx, v, false, &kr);
    const json_t *messages = json_object_get(v, "messages"), *m;
    uint8_t hash[64];
    size_t k, n, n_hash;

    json_array_foreach((json_t *)messages, k, m)
        vector_message(cx, name, k % 2 == 0 ? i : r, k % 2 == 0 ? r : i, m);
    n_hash = unhex(json_string_value(json_object_get(v, "handshake_hash")), hash, 64);
    assert_memory_equal(noise_hash(i, &n), hash, n_hash);
    CHECK_EQ_(name, n, n_hash);
    assert_memory_equal(noise_hash(r, &n), hash, n_hash);
}

static json_t *vectors;

static void test_noise__published_vectors(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    size_t i, run = 0, others = 0;
    json_t *v;

    (void)state;
    json_array_foreach(json_object_get(vectors, "vectors"), i, v)
    {
        struct noise_setup probe = {
            .protocol = json_string_value(json_object_get(v, "protocol_name"))};
        struct noise *n = NULL;

        assert_int_not_equal(noise_new(cx, &probe, &n), FAULT_NONE);
        if (strncmp(cx_message(cx), "not implemented", 15) == 0) {
            others++;
            continue;
        }
        run_vector(cx, v);
        run++;
    }
    printf("vectors: %zu match, %zu not implemented\n", run, others);
    assert_int_equal(run, 15);
    assert_int_equal(run + others, json_array_size(json_object_get(vectors, "vectors")));
    cx_free(&cx);
}

/* Two ends with random keys. */
struct ends {
    struct cx *cx;
    uint8_t i_secret[32], r_secret[32], i_public[32], r_public[32], psk[32];
    struct noise *i, *r;
};

static void ends_open(struct ends *e, const char *pattern)
{
    char protocol[64];
    bool kk = strcmp(pattern, "KK") == 0, xx = strcmp(pattern, "XX") == 0;
    bool psk = strcmp(pattern, "XKpsk3") == 0;
    struct noise_setup setup = {.protocol = protocol, .prologue = bytes_of("test", 4)};

    (void)snprintf(protocol, sizeof protocol, "Noise_%s_25519_ChaChaPoly_SHA256", pattern);
    e->cx = cx_new(1 << 20, CX_NO_DEADLINE);
    randombytes_buf(e->i_secret, 32);
    randombytes_buf(e->r_secret, 32);
    randombytes_buf(e->psk, 32);
    assert_int_equal(crypto_scalarmult_base(e->i_public, e->i_secret), 0);
    assert_int_equal(crypto_scalarmult_base(e->r_public, e->r_secret), 0);
    setup.psk = psk ? e->psk : NULL;
    setup.static_secret = e->r_secret;
    setup.remote_static = kk ? e->i_public : NULL;
    CHECK_OK_(pattern, e->cx, noise_new(e->cx, &setup, &e->r));
    setup.initiator = true;
    setup.static_secret = e->i_secret;
    setup.remote_static = xx ? NULL : e->r_public;
    CHECK_OK_(pattern, e->cx, noise_new(e->cx, &setup, &e->i));
}

static void ends_close(struct ends *e)
{
    noise_free(&e->i);
    noise_free(&e->r);
    cx_free(&e->cx);
}

/* Runs the handshake with bit `bit` of message `flip` changed; returns whether both ends
 * came to the end with one hash. *ret_bits: size of that message. */
static bool handshake(struct ends *e, size_t flip, size_t bit, size_t *ret_bits)
{
    uint8_t message[ROOM], payload[ROOM];
    size_t n, got;

    for (size_t k = 0; !noise_is_done(e->i) || !noise_is_done(e->r); k++) {
        struct noise *from = k % 2 == 0 ? e->i : e->r, *to = k % 2 == 0 ? e->r : e->i;

        if (!noise_is_my_turn(from) ||
            noise_write(e->cx, from, bytes_of("hello", 5), message, sizeof message, &n) !=
                FAULT_NONE)
            return false;
        if (k == flip) {
            *ret_bits = 8 * n;
            message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        if (noise_read(e->cx, to, bytes_of(message, n), payload, sizeof payload, &got) !=
            FAULT_NONE)
            return false;
    }
    return memcmp(noise_hash(e->i, &n), noise_hash(e->r, &n), 32) == 0;
}

static void test_noise__every_flipped_bit_is_refused(void **state)
{
    static const struct {
        const char *pattern;
        size_t messages;
    } rows[] = {{"XK", 3}, {"XKpsk3", 3}, {"IK", 2}, {"XX", 3}, {"KK", 2}};
    struct ends e;

    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++) {
        size_t bits = 0, none = 0;

        ends_open(&e, rows[r].pattern);
        CHECK_(rows[r].pattern, handshake(&e, SIZE_MAX, 0, &none));
        ends_close(&e);
        for (size_t m = 0; m < rows[r].messages; m++) {
            bits = 1;
            for (size_t bit = 0; bit < bits; bit += r == 0 ? 1 : 11) {
                ends_open(&e, rows[r].pattern);
                /* X25519 ignores the top bit of a point, but the hash does not. */
                CHECK_(rows[r].pattern, !handshake(&e, m, bit, &bits));
                ends_close(&e);
            }
        }
    }
}

static void test_noise__keys_and_prologues_must_agree(void **state)
{
    struct ends e;
    struct noise_setup setup = {.protocol = "Noise_XK_25519_ChaChaPoly_SHA256",
                                .initiator = true,
                                .prologue = bytes_of("test", 4)};
    size_t bits;

    (void)state;
    ends_open(&e, "XK");
    noise_free(&e.i);
    setup.static_secret = e.i_secret;
    setup.remote_static = e.i_public; /* not the responder's */
    CHECK_OK_("new", e.cx, noise_new(e.cx, &setup, &e.i));
    assert_false(handshake(&e, SIZE_MAX, 0, &bits));
    ends_close(&e);
    ends_open(&e, "XK");
    noise_free(&e.i);
    setup.static_secret = e.i_secret;
    setup.remote_static = e.r_public;
    setup.prologue = bytes_of("tesu", 4);
    CHECK_OK_("new", e.cx, noise_new(e.cx, &setup, &e.i));
    assert_false(handshake(&e, SIZE_MAX, 0, &bits));
    ends_close(&e);
}

/* The points of order 1, 2, 4 and 8 and their non-canonical forms, from the curve's
 * equation: the list that libsodium's own blocklist has too. */
static const char *const low_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static void test_noise__low_order_points_are_refused(void **state)
{
    uint8_t message[ROOM] = {0}, payload[ROOM];
    struct noise_setup setup = {.protocol = "Noise_XK_25519_ChaChaPoly_SHA256",
                                .initiator = true,
                                .prologue = bytes_of("test", 4)};
    size_t n;

    (void)state;
    for (size_t i = 0; i < COUNT(low_order); i++) {
        uint8_t point[32];
        struct ends e;

        (void)unhex(low_order[i], point, 32);
        ends_open(&e, "XK");
        memcpy(message, point, 32);
        CHECK_EQ_("as an initiator's ephemeral key",
                  noise_read(e.cx, e.r, bytes_of(message, 48), payload, ROOM, &n),
                  FAULT_DENIED);
        noise_free(&e.i);
        setup.static_secret = e.i_secret;
        setup.remote_static = point;
        CHECK_OK_("new", e.cx, noise_new(e.cx, &setup, &e.i));
        CHECK_EQ_("as a responder's static key",
                  noise_write(e.cx, e.i, bytes_of(NULL, 0), message, ROOM, &n),
                  FAULT_DENIED);
        ends_close(&e);
    }
}

static void test_noise__transport_keeps_its_order(void **state)
{
    struct ends e;
    uint8_t first[64], second[64], plain[64];
    size_t bits;

    (void)state;
    ends_open(&e, "XK");
    assert_int_equal(noise_encrypt(e.cx, e.i, bytes_of("x", 1), first), FAULT_INTERNAL);
    assert_true(handshake(&e, SIZE_MAX, 0, &bits));
    CHECK_OK_("one", e.cx, noise_encrypt(e.cx, e.i, bytes_of("one", 3), first));
    CHECK_OK_("two", e.cx, noise_encrypt(e.cx, e.i, bytes_of("two", 3), second));
    CHECK_OK_("one", e.cx, noise_decrypt(e.cx, e.r, bytes_of(first, 19), plain));
    assert_memory_equal(plain, "one", 3);
    CHECK_EQ_("replayed", noise_decrypt(e.cx, e.r, bytes_of(first, 19), plain),
              FAULT_DENIED);
    CHECK_EQ_("a failure is final", noise_decrypt(e.cx, e.r, bytes_of(second, 19), plain),
              FAULT_INTERNAL);
    ends_close(&e);
    ends_open(&e, "XK");
    assert_true(handshake(&e, SIZE_MAX, 0, &bits));
    CHECK_OK_("one", e.cx, noise_encrypt(e.cx, e.i, bytes_of("one", 3), first));
    CHECK_OK_("two", e.cx, noise_encrypt(e.cx, e.i, bytes_of("two", 3), second));
    CHECK_EQ_("swapped", noise_decrypt(e.cx, e.r, bytes_of(second, 19), plain),
              FAULT_DENIED);
    CHECK_EQ_("sent back", noise_decrypt(e.cx, e.i, bytes_of(first, 19), plain),
              FAULT_DENIED);
    ends_close(&e);
}

static void test_noise__setups_and_turns_that_are_refused(void **state)
{
    struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct ends e;
    struct noise *n = NULL;
    uint8_t key[32] = {9}, message[ROOM] = {0}, payload[8];
    size_t got;
    struct noise_setup s = {.protocol = "Noise_XK_25519_ChaChaPoly_SHA256",
                            .initiator = true};

    (void)state;
    CHECK_EQ_("no static key", noise_new(cx, &s, &n), FAULT_INVALID);
    s.static_secret = key;
    CHECK_EQ_("no remote key", noise_new(cx, &s, &n), FAULT_INVALID);
    s.remote_static = key;
    s.psk = key;
    CHECK_EQ_("a psk too many", noise_new(cx, &s, &n), FAULT_INVALID);
    s.psk = NULL;
    s.protocol = "Noise_XK_25519_AESGCM_SHA256";
    CHECK_EQ_("another cipher", noise_new(cx, &s, &n), FAULT_INVALID);
    s.protocol = "Noise_XKpsk3_25519_ChaChaPoly_SHA256";
    CHECK_EQ_("no psk", noise_new(cx, &s, &n), FAULT_INVALID);
    cx_free(&cx);
    ends_open(&e, "XK");
    CHECK_EQ_("out of turn", noise_write(e.cx, e.r, bytes_of(NULL, 0), message, ROOM, &got),
              FAULT_INTERNAL);
    ends_close(&e);
    ends_open(&e, "XK");
    for (size_t i = 0; i < 48; i++) {
        CHECK_("cut short",
               noise_read(e.cx, e.r, bytes_of(message, i), payload, 8, &got) != FAULT_NONE);
        ends_close(&e);
        ends_open(&e, "XK");
    }
    CHECK_OK_("write", e.cx,
              noise_write(e.cx, e.i, bytes_of("nine byte", 9), message, ROOM, &got));
    CHECK_EQ_("beyond the reader's room",
              noise_read(e.cx, e.r, bytes_of(message, got), payload, 8, &got), FAULT_BOUND);
    ends_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noise__every_flipped_bit_is_refused),
        cmocka_unit_test(test_noise__keys_and_prologues_must_agree),
        cmocka_unit_test(test_noise__low_order_points_are_refused),
        cmocka_unit_test(test_noise__transport_keeps_its_order),
        cmocka_unit_test(test_noise__setups_and_turns_that_are_refused),
    };
    const struct CMUnitTest published[] = {
        cmocka_unit_test(test_noise__published_vectors),
    };
    const char *path = shared_path("vectors/noise/cacophony-25519-chachapoly.json");
    int failed;

    if (sodium_init() < 0)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (path == NULL) {
        printf("SKIP vectors/noise: cacophony-25519-chachapoly.json is not there\n");
        return failed != 0 ? 1 : 77;
    }
    vectors = json_load_file(path, 0, NULL);
    if (vectors == NULL)
        return 1;
    failed += cmocka_run_group_tests(published, NULL, NULL);
    json_decref(vectors);
    return failed != 0;
}

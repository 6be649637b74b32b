/*
 * A nonce never wraps, and no message is longer than 65535 bytes. Nobody sends 2^64
 * messages, so these tests set the counters themselves: hence the source and not the
 * header.
 */
#include "protocol/noise.c"

#include "tests/check.h"

static struct cx *cx;

static struct noise *handshake(bool initiator, const uint8_t own[32], const uint8_t *other)
{
    struct noise_setup setup = {.protocol = "Noise_XK_25519_ChaChaPoly_SHA256",
                                .initiator = initiator,
                                .static_secret = own,
                                .remote_static = other};
    struct noise *n;

    CHECK_OK_("noise", cx, noise_new(cx, &setup, &n));
    return n;
}

/* Both ends of a finished handshake. */
static void transport(struct noise *n[2])
{
    uint8_t own[2][32], public[32], message[200], plain[200];
    size_t size;

    randombytes_buf(own, sizeof own);
    assert_int_equal(crypto_scalarmult_base(public, own[1]), 0);
    n[0] = handshake(true, own[0], public);
    n[1] = handshake(false, own[1], NULL);
    for (int i = 0; i < 3; i++) {
        CHECK_OK_("write", cx,
                  noise_write(cx, n[i % 2], bytes_of(NULL, 0), message, 200, &size));
        CHECK_OK_("read", cx,
                  noise_read(cx, n[1 - i % 2], bytes_of(message, size), plain, 200, &size));
    }
}

static int set_up(void **state)
{
    (void)state;
    cx = cx_new(1 << 20, CX_NO_DEADLINE);
    return cx == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    cx_free(&cx);
    return 0;
}

static void test_noise__ends_before_a_nonce_wraps(void **state)
{
    uint8_t message[200], plain[200];
    struct noise *n[2];

    (void)state;
    transport(n);
    n[0]->send.nonce = n[1]->receive.nonce = UINT64_MAX - 1;
    CHECK_OK_("the last one", cx, noise_encrypt(cx, n[0], bytes_of("x", 1), message));
    CHECK_OK_("is read", cx, noise_decrypt(cx, n[1], bytes_of(message, 17), plain));
    for (int again = 0; again < 2; again++) {
        CHECK_EQ_("no more to send", noise_encrypt(cx, n[0], bytes_of("x", 1), message),
                  FAULT_EXPIRED);
        CHECK_EQ_("nor to receive", noise_decrypt(cx, n[1], bytes_of(message, 17), plain),
                  again == 0 ? FAULT_EXPIRED : FAULT_INTERNAL);
    }
    CHECK_EQ_("it stands", n[0]->send.nonce, UINT64_MAX);
    noise_free(&n[0]);
    noise_free(&n[1]);
}

static void test_noise__longest_message(void **state)
{
    static uint8_t plain[NOISE_MESSAGE_MAX + 1], message[NOISE_MESSAGE_MAX + NOISE_TAG + 1];
    const size_t most = NOISE_MESSAGE_MAX - NOISE_TAG;
    struct noise *n[2];

    (void)state;
    transport(n);
    CHECK_OK_("65519 bytes", cx, noise_encrypt(cx, n[0], bytes_of(plain, most), message));
    CHECK_OK_("are read", cx,
              noise_decrypt(cx, n[1], bytes_of(message, NOISE_MESSAGE_MAX), plain));
    CHECK_EQ_("one more", noise_encrypt(cx, n[0], bytes_of(plain, most + 1), message),
              FAULT_BOUND);
    CHECK_EQ_("65536 bytes that came",
              noise_decrypt(cx, n[1], bytes_of(message, NOISE_MESSAGE_MAX + 1), plain),
              FAULT_BOUND);
    CHECK_OK_("nothing at all", cx, noise_encrypt(cx, n[0], bytes_of(NULL, 0), message));
    CHECK_OK_("is a message", cx,
              noise_decrypt(cx, n[1], bytes_of(message, NOISE_TAG), plain));
    CHECK_EQ_("less than that is none",
              noise_decrypt(cx, n[1], bytes_of(message, NOISE_TAG - 1), plain),
              FAULT_DENIED);
    noise_free(&n[0]);
    noise_free(&n[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noise__ends_before_a_nonce_wraps),
        cmocka_unit_test(test_noise__longest_message),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

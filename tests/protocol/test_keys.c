/* What keys.h promises: sealed files that are whole, private, and refused under any change.
 */
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/cohortium.pb-c.h"
#include "protocol/files.h"
#include "protocol/keys.h"
#include "tests/check.h"

static struct cx *cx;
static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    cx = cx_new(1 << 22, CX_NO_DEADLINE);
    (void)snprintf(folder, sizeof folder, "/tmp/cohortium-keys-XXXXXX");
    return cx == NULL || mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"a.key", "b.key", "c.key"};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        (void)unlink(in_folder(names[i]));
    cx_free(&cx);
    return rmdir(folder); /* fails if a temporary file was left behind */
}

static void test_keys__derives_by_kdf(void **state)
{
    AUTO_KEYS struct keys *k = NULL;
    uint8_t seed[32], public[32], secret[64], link[32];

    (void)state;
    CHECK_OK_("new", cx, keys_new(cx, "node_noise", "a", &k));
    assert_int_equal(crypto_kdf_derive_from_key(seed, 32, 1, "cxsignky", keys_seed(k)), 0);
    assert_int_equal(crypto_sign_seed_keypair(public, secret, seed), 0);
    assert_memory_equal(public, keys_signing_public(k), 32);
    assert_int_equal(crypto_kdf_derive_from_key(seed, 32, 2, "cxlinkky", keys_seed(k)), 0);
    assert_memory_equal(seed, keys_link_secret(k), 32);
    assert_int_equal(crypto_scalarmult_base(link, seed), 0);
    assert_memory_equal(link, keys_link_public(k), 32);
    keys_sign(k, bytes_of("hello", 5), secret);
    assert_true(signature_is_valid(public, bytes_of("hello", 5), secret));
    assert_false(signature_is_valid(public, bytes_of("hellp", 5), secret));
    secret[10] ^= 1;
    assert_false(signature_is_valid(public, bytes_of("hello", 5), secret));
}

static void test_keys__refuses_odd_labels(void **state)
{
    AUTO_KEYS struct keys *k = NULL;

    (void)state;
    CHECK_EQ_("an unknown use", keys_new(cx, "admin", "a", &k), FAULT_INVALID);
    CHECK_EQ_("no name", keys_new(cx, "officer", "", &k), FAULT_INVALID);
    CHECK_EQ_("two lines", keys_new(cx, "officer", "a\nb", &k), FAULT_INVALID);
    CHECK_EQ_("65 bytes",
              keys_new(cx, "officer",
                       "12345678901234567890123456789012345678901234567890123456789012345",
                       &k),
              FAULT_INVALID);
    assert_null(k);
}

static void test_keys__file_comes_back(void **state)
{
    AUTO_KEYS struct keys *k = NULL, *back = NULL, *none = NULL;
    const char *path = in_folder("a.key");
    struct stat st;

    (void)state;
    CHECK_OK_("new", cx, keys_new(cx, "officer", "Grace", &k));
    CHECK_EQ_("an empty passphrase", keys_write(cx, k, "", path), FAULT_INVALID);
    CHECK_OK_("write", cx, keys_write(cx, k, "horse battery", path));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    CHECK_EQ_("an existing file", keys_write(cx, k, "other", path), FAULT_CONFLICT);
    CHECK_OK_("read", cx, keys_read(cx, path, "officer", "horse battery", &back));
    assert_memory_equal(keys_seed(k), keys_seed(back), 32);
    assert_string_equal(keys_name(back), "Grace");
    assert_string_equal(keys_use(back), "officer");

    CHECK_EQ_("a wrong passphrase", keys_read(cx, path, "officer", "horse", &none),
              FAULT_DENIED);
    assert_non_null(strstr(cx_message(cx), "wrong passphrase for Grace"));
    CHECK_EQ_("no passphrase", keys_read(cx, path, "officer", NULL, &none), FAULT_DENIED);
    CHECK_EQ_("another use", keys_read(cx, path, "governance", "horse battery", &none),
              FAULT_DENIED);
    assert_non_null(strstr(cx_message(cx), "officer"));
    assert_non_null(strstr(cx_message(cx), "governance"));
    assert_int_equal(chmod(path, 0640), 0);
    CHECK_EQ_("the group may read", keys_read(cx, path, "officer", "horse battery", &none),
              FAULT_DENIED);
    assert_int_equal(chmod(path, 0604), 0);
    CHECK_EQ_("others may read", keys_read(cx, path, "officer", "horse battery", &none),
              FAULT_DENIED);
    CHECK_EQ_("no such file", keys_read(cx, in_folder("x"), "officer", "p", &none),
              FAULT_MISSING);
    assert_null(none);
}

/* Each label beside the seed is bound by the seal. */
static void test_keys__changed_file_is_refused(void **state)
{
    static const char *const what[] = {"use",         "name",        "public key",
                                       "noise key",   "sealed seed", "cut short",
                                       "other bytes", "opslimit"};
    AUTO_KEYS struct keys *k = NULL, *other = NULL, *none = NULL;

    (void)state;
    CHECK_OK_("new", cx, keys_new(cx, "officer", "Grace", &k));
    CHECK_OK_("new", cx, keys_new(cx, "officer", "Grace", &other));
    CHECK_OK_("lab", cx, keys_write(cx, k, NULL, in_folder("b.key")));
    CHECK_OK_("lab", cx, keys_read(cx, in_folder("b.key"), NULL, NULL, &none));
    keys_free(&none);
    for (size_t i = 0; i < COUNT(what); i++) {
        Cohortium__KeyFile *f;
        struct bytes packed;

        CHECK_OK_("read", cx,
                  file_read(cx, "key", in_folder("b.key"), 4096, true, &packed));
        CHECK_OK_("parse", cx,
                  pb_unpack(cx, &cohortium__key_file__descriptor, packed, 4096, &f));
        if (i == 0)
            f->use = (char *)"governance";
        else if (i == 1)
            f->name = (char *)"Mallory";
        else if (i == 2)
            f->public_key = PB_DATA(bytes_of(keys_signing_public(other), 32));
        else if (i == 3)
            f->noise_public_key = PB_DATA(bytes_of(keys_link_public(other), 32));
        else if (i == 4)
            f->sealed_seed.data[3] ^= 1;
        else if (i == 7)
            f->opslimit = 1000000;
        CHECK_OK_("pack", cx, pb_pack(cx, &f->base, &packed));
        if (i == 5)
            packed.n -= 1;
        if (i == 6)
            packed = bytes_of("not a key file", 14);
        CHECK_OK_("write", cx,
                  file_write(cx, "key", in_folder("c.key"), packed, 0600, FILE_REPLACE));
        enum fault fault = keys_read(cx, in_folder("c.key"), NULL, NULL, &none);
        CHECK_EQ_(what[i], fault, i < 5 ? FAULT_DENIED : FAULT_FORMAT);
        assert_null(none);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys__derives_by_kdf),
        cmocka_unit_test(test_keys__refuses_odd_labels),
        cmocka_unit_test(test_keys__file_comes_back),
        cmocka_unit_test(test_keys__changed_file_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* What checkpoint.h promises of cosignatures: C2SP's form, one witness, one text, one time.
 */
#include "protocol/checkpoint.h"

#include <sodium.h>

#include "tests/check.h"

static const char LOG[] = "cohortium/1a2b000000000000/site_a";
static const char WITNESS[] = "cohortium/1a2b000000000000/site_b";
static const char OTHER[] = "cohortium/1a2b000000000000/site_c";
static const int64_t NOW = 1795567721999; /* 1795567721 s */

static struct cx *cx;
static struct keys *log_key, *witness, *other;
static const char *note, *line;

static int set_up(void **state)
{
    uint8_t root[32];

    (void)state;
    cx = cx_new(1 << 24, CX_NO_DEADLINE);
    if (cx == NULL)
        return 1;
    CHECK_OK_("key", cx, keys_new(cx, "node_signing", "a", &log_key));
    CHECK_OK_("key", cx, keys_new(cx, "node_signing", "b", &witness));
    CHECK_OK_("key", cx, keys_new(cx, "node_signing", "c", &other));
    memset(root, 0x55, sizeof root);
    CHECK_OK_("note", cx, checkpoint_sign(cx, LOG, 4711, root, log_key, &note));
    CHECK_OK_("line", cx, cosignature_sign(cx, note, WITNESS, witness, NOW, &line));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    keys_free(&log_key);
    keys_free(&witness);
    keys_free(&other);
    cx_free(&cx);
    return 0;
}

static const char *with(const char *text, const char *added)
{
    const char *both = NULL;

    CHECK_OK_("add", cx, cosignature_add(cx, text, added, &both));
    return both;
}

static bool holds(const char *text, const char *name, const struct keys *keys)
{
    uint64_t at = 0;
    bool held = cosignature_holds(cx, text, name, keys_signing_public(keys), &at);

    if (held)
        CHECK_EQ_("its time", at, NOW / 1000);
    return held;
}

/* Bytes put together here, as tlog-cosignature says, without the code under test. */
static void test_checkpoint__a_cosignature_has_the_form_of_c2sp(void **state)
{
    uint8_t blob[4 + 8 + 64], hash[32], id[256];
    char text[1024];
    size_t n = 0, d = strlen("\xe2\x80\x94 ");

    (void)state;
    assert_int_equal(strncmp(line, "\xe2\x80\x94 ", d), 0);
    assert_int_equal(strncmp(line + d, WITNESS, strlen(WITNESS)), 0);
    const char *base64 = line + d + strlen(WITNESS) + 1;
    assert_int_equal(sodium_base642bin(blob, sizeof blob, base64, strlen(base64) - 1, NULL,
                                       &n, NULL, sodium_base64_VARIANT_ORIGINAL),
                     0);
    assert_int_equal(n, sizeof blob);
    int m = snprintf((char *)id, sizeof id, "%s\n%c", WITNESS, 4);
    memcpy(id + m, keys_signing_public(witness), 32);
    crypto_hash_sha256(hash, id, (size_t)m + 32);
    assert_memory_equal(blob, hash, 4);
    const uint8_t time[8] = {0, 0, 0, 0, 0x6b, 0x06, 0x30, 0x69};
    assert_memory_equal(blob + 4, time, 8);
    m = snprintf(text, sizeof text, "cosignature/v1\ntime 1795567721\n%.*s",
                 (int)(strstr(note, "\n\n") + 1 - note), note);
    assert_int_equal(crypto_sign_verify_detached(blob + 12, (const uint8_t *)text,
                                                 (unsigned long long)m,
                                                 keys_signing_public(witness)),
                     0);
}

static void test_checkpoint__a_cosignature_holds(void **state)
{
    const char *second, *both = with(note, line);
    uint64_t size;
    uint8_t root[32];

    (void)state;
    assert_true(holds(both, WITNESS, witness));
    CHECK_OK_("the log's own signature still holds", cx,
              checkpoint_verify(cx, both, LOG, keys_signing_public(log_key), &size, root));
    CHECK_OK_("another witness", cx,
              cosignature_sign(cx, both, OTHER, other, NOW, &second));
    both = with(both, second);
    assert_true(holds(both, WITNESS, witness));
    assert_true(holds(both, OTHER, other));
    assert_true(holds(with(note, second), OTHER, other)); /* it is of the text alone */
}

static void test_checkpoint__no_other_cosignature_holds(void **state)
{
    const char *both = with(note, line), *bad;
    uint8_t root[32] = {0x55};
    char *changed;

    (void)state;
    assert_false(holds(note, WITNESS, witness)); /* none */
    assert_false(holds(both, OTHER, witness));   /* another name */
    assert_false(holds(both, WITNESS, other));   /* another key */
    assert_false(holds(both, OTHER, other));
    assert_false(holds(both, LOG, log_key)); /* a log's signature is none */
    /* A checkpoint's signature by the witness itself is no cosignature. */
    CHECK_OK_("sign", cx, checkpoint_sign(cx, WITNESS, 4711, root, witness, &bad));
    assert_false(holds(with(note, strstr(bad, "\xe2\x80\x94")), WITNESS, witness));
    /* Of another tree of the same log. */
    CHECK_OK_("sign", cx, checkpoint_sign(cx, LOG, 4711, root, log_key, &bad));
    assert_false(holds(with(bad, line), WITNESS, witness));
    /* Another time than was signed; another bit of the signature; cut short. */
    for (size_t at = 0; at < 3; at++) {
        changed = cx_strdup(cx, both);
        assert_non_null(changed);
        size_t n = strlen(changed);
        static const size_t from_end[] = {95, 20,
                                          6}; /* of the base64: time, signature, end */

        if (at == 2)
            (void)memmove(changed + n - 5, "\n", 2);
        else
            changed[n - from_end[at]] = changed[n - from_end[at]] == 'A' ? 'B' : 'A';
        assert_false(holds(changed, WITNESS, witness));
    }
    /* A line without its end. */
    changed = cx_strdup(cx, both);
    assert_non_null(changed);
    changed[strlen(changed) - 1] = '\0';
    assert_false(holds(changed, WITNESS, witness));
}

static void test_checkpoint__a_line_is_one_line(void **state)
{
    static char filler[NOTE_MAX + 16];
    const char *both;

    (void)state;
    CHECK_EQ_("two lines",
              cosignature_add(cx, note, cx_printf(cx, "%s%s", line, line), &both),
              FAULT_FORMAT);
    CHECK_EQ_("no end", cosignature_add(cx, note, "\xe2\x80\x94 a b", &both), FAULT_FORMAT);
    CHECK_EQ_("no dash", cosignature_add(cx, note, "a b\n", &both), FAULT_FORMAT);
    CHECK_EQ_("nothing", cosignature_add(cx, note, "", &both), FAULT_FORMAT);
    memset(filler, 'A', sizeof filler - 1);
    memcpy(filler, "\xe2\x80\x94 ", 4);
    filler[NOTE_MAX - 1] = '\n';
    filler[NOTE_MAX] = '\0';
    CHECK_EQ_("longer than a note", cosignature_add(cx, note, filler, &both), FAULT_BOUND);
    filler[NOTE_MAX - 1] = 'A';
    CHECK_EQ_("no line at all", cosignature_add(cx, note, filler, &both), FAULT_FORMAT);
    CHECK_EQ_("a name with a blank", cosignature_sign(cx, note, "a b", witness, NOW, &both),
              FAULT_INVALID);
    CHECK_EQ_("a time before 1970", cosignature_sign(cx, note, WITNESS, witness, -1, &both),
              FAULT_INVALID);
    CHECK_EQ_("no checkpoint", cosignature_sign(cx, "abc\n", WITNESS, witness, NOW, &both),
              FAULT_FORMAT);
}

static void test_checkpoint__whose_it_claims_to_be(void **state)
{
    (void)state;
    assert_true(checkpoint_claims(note, LOG));
    assert_false(checkpoint_claims(note, WITNESS));
    assert_false(checkpoint_claims(note, "cohortium/1a2b000000000000/site_"));
    assert_false(checkpoint_claims("", LOG));
    assert_false(checkpoint_claims(LOG, LOG)); /* no newline: no note */
}

/* ---- sheets ---- */

static const char SHEET[] = "cohortium sheet 1\nsite: a\n\nresult: pass\n";

static void test_checkpoint__a_sheet_is_signed_whole(void **state)
{
    const uint8_t *key = keys_signing_public(log_key);
    const char *sheet = NULL;
    size_t n, held = 0;
    (void)state;

    CHECK_OK_("sign", cx, sheet_sign(cx, LOG, SHEET, log_key, &sheet));
    CHECK_OK_("holds", cx, sheet_verify(cx, sheet, LOG, key));
    CHECK_EQ_("another key", sheet_verify(cx, sheet, LOG, keys_signing_public(other)),
              FAULT_DENIED);
    CHECK_EQ_("another name", sheet_verify(cx, sheet, OTHER, key), FAULT_DENIED);
    n = strlen(sheet);
    for (size_t i = 0; i < n; i++) {
        char *bent = cx_strdup(cx, sheet);

        assert_non_null(bent);
        bent[i] ^= 1;
        held += sheet_verify(cx, bent, LOG, key) == FAULT_NONE;
    }
    CHECK_EQ_("of all with one bit changed", held, 0);
    CHECK_EQ_("a line more", sheet_verify(cx, cx_printf(cx, "%sx\n", sheet), LOG, key),
              FAULT_FORMAT);
    CHECK_EQ_("no signature", sheet_verify(cx, SHEET, LOG, key), FAULT_DENIED);
    CHECK_EQ_("a checkpoint is no sheet", sheet_verify(cx, note, LOG, key), FAULT_FORMAT);
}

static void test_checkpoint__what_is_no_sheet_is_not_signed(void **state)
{
    static const char *const rows[] = {
        "", "no newline at its end", "noblank\n4711\nroot\n", "a sheet\nwith \x01 in it\n"};
    const char *sheet = NULL;
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_EQ_(rows[i], sheet_sign(cx, LOG, rows[i], log_key, &sheet), FAULT_INVALID);
    CHECK_EQ_("a name with a blank", sheet_sign(cx, "a b", SHEET, log_key, &sheet),
              FAULT_INVALID);
    assert_null(sheet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoint__a_cosignature_has_the_form_of_c2sp),
        cmocka_unit_test(test_checkpoint__a_cosignature_holds),
        cmocka_unit_test(test_checkpoint__no_other_cosignature_holds),
        cmocka_unit_test(test_checkpoint__a_line_is_one_line),
        cmocka_unit_test(test_checkpoint__whose_it_claims_to_be),
        cmocka_unit_test(test_checkpoint__a_sheet_is_signed_whole),
        cmocka_unit_test(test_checkpoint__what_is_no_sheet_is_not_signed),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, set_up, tear_down);
}

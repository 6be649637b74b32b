/* What base/bytes.h promises: one encoding, bounded nesting, clean text. */
#include "protocol/base/bytes.h"
#include "protocol/base/clock.h"
#include "protocol/cohortium.pb-c.h"
#include "tests/check.h"

static enum fault unpack(struct cx *cx, const void *p, size_t n)
{
    Cohortium__Complaint *c;

    return pb_unpack(cx, &cohortium__complaint__descriptor, bytes_of(p, n), 1000, &c);
}

static void test_bytes__one_encoding(void **state)
{
    static const struct {
        const char *what, *bytes;
        size_t n;
        enum fault want;
    } rows[] = {
        {"code and text", "\x0a\x01x\x12\x01y", 6, FAULT_NONE},
        {"empty", "", 0, FAULT_NONE},
        {"wrong order", "\x12\x01y\x0a\x01x", 6, FAULT_FORMAT},
        {"a duplicate", "\x0a\x01x\x0a\x01x", 6, FAULT_FORMAT},
        {"an unknown field", "\x0a\x01x\x7a\x01y", 6, FAULT_FORMAT},
        {"an over-long length", "\x0a\x81\x00x", 4, FAULT_FORMAT},
        {"an explicit default", "\x0a\x00", 2, FAULT_FORMAT},
        {"a NUL inside text", "\x0a\x02\x00x", 4, FAULT_FORMAT},
        {"broken UTF-8", "\x0a\x01\xff", 3, FAULT_FORMAT},
        {"cut short", "\x0a\x05x", 3, FAULT_FORMAT},
        {"trailing bytes", "\x0a\x01x\x00", 4, FAULT_FORMAT},
    };
    struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_EQ_(rows[i].what, unpack(cx, rows[i].bytes, rows[i].n), rows[i].want);
    cx_free(&cx);
}

static void test_bytes__size_is_bounded(void **state)
{
    struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    Cohortium__StepReply reply = COHORTIUM__STEP_REPLY__INIT, *back;
    Cohortium__Answer answer = COHORTIUM__ANSWER__INIT;
    Cohortium__LogProof proof = COHORTIUM__LOG_PROOF__INIT;
    struct bytes packed;

    (void)state;
    answer.proof = &proof;
    reply.answer = &answer;
    proof.index = 7;
    assert_int_equal(pb_pack(cx, &reply.base, &packed), FAULT_NONE);
    assert_int_equal(
        pb_unpack(cx, &cohortium__step_reply__descriptor, packed, 100, &back), FAULT_NONE);
    assert_int_equal(back->answer->proof->index, 7);
    assert_int_equal(pb_unpack(cx, &cohortium__step_reply__descriptor, packed, 3, &back),
                     FAULT_BOUND);
    cx_free(&cx);
}

static void test_bytes__suggestions_and_dates(void **state)
{
    static const char *const words[] = {"age", "sex", "ph_ecog", "status"};
    int32_t days;
    char text[32];

    (void)state;
    assert_string_equal(bytes_nearest("agee", words, 4), "age");
    assert_string_equal(bytes_nearest("ph_ecgo", words, 4), "ph_ecog");
    assert_null(bytes_nearest("bilirubin", words, 4));
    assert_true(clock_days(1970, 1, 1, &days) && days == 0);
    assert_true(clock_days(2000, 2, 29, &days) && days == 11016);
    assert_false(clock_days(2023, 2, 29, &days));
    assert_string_equal(clock_date(11016, text, sizeof text), "2000-02-29");
    assert_string_equal(clock_format(1700000000000, text, sizeof text), "2023-11-14T22:13:20Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes__one_encoding),
        cmocka_unit_test(test_bytes__size_is_bounded),
        cmocka_unit_test(test_bytes__suggestions_and_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

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

/* What a person reads is what was signed: no text moves the cursor or turns the line. */
static void test_bytes__clean_text(void **state)
{
    static const struct {
        const char *what, *text;
        bool want;
    } rows[] = {
        {"letters", "na\xc3\xafve \xe2\x80\x94 caf\xc3\xa9", true},
        {"tab and newline", "a\tb\nc", true},
        {"right to left by itself", "\xd7\xa9\xd7\x9c", true},
        {"an escape", "\x1b[2J", false},
        {"a carriage return", "a\rb", false},
        {"a delete", "a\x7f", false},
        {"a control sequence in one character", "\xc2\x9b" "2J", false},
        {"the last of these", "\xc2\x9f", false},
        {"a space that does not break", "\xc2\xa0", true},
        {"text turned around", "\xe2\x80\xae" "evil", false},
        {"text isolated", "\xe2\x81\xa6x", false},
        {"neighbours of these", "\xe2\x80\xa9\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa", true},
        {"an over-long slash", "\xc0\xaf", false},
        {"a surrogate", "\xed\xa0\x80", false},
        {"beyond Unicode", "\xf4\x90\x80\x80", false},
        {"cut inside a character", "\xe2\x80", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_EQ_(rows[i].what, utf8_is_clean(rows[i].text, strlen(rows[i].text)),
                  rows[i].want);
}

/* Numbers that have two encodings or none, and words that the schema does not have. */
static void test_bytes__one_encoding_of_values(void **state)
{
    static const struct {
        const char *what, *bytes;
        size_t n;
        enum fault want;
    } numbers[] = {
        {"one", "\x11\0\0\0\0\0\0\xf0\x3f", 9, FAULT_NONE},
        {"a negative zero", "\x11\0\0\0\0\0\0\0\x80", 9, FAULT_FORMAT},
        {"infinity", "\x11\0\0\0\0\0\0\xf0\x7f", 9, FAULT_FORMAT},
        {"not a number", "\x11\0\0\0\0\0\0\xf8\x7f", 9, FAULT_FORMAT},
        {"a number as text", "\x12\x01" "1", 3, FAULT_FORMAT},
    }, factors[] = {
        {"a flag", "\x10\x01", 2, FAULT_NONE},
        {"a flag of two", "\x10\x02", 2, FAULT_FORMAT},
        {"an operator", "\x0a\x04\x0a\x02\x08\x04", 6, FAULT_NONE},
        {"one that is not in the list", "\x0a\x04\x0a\x02\x08\x09", 6, FAULT_FORMAT},
        {"an expression twice", "\x0a\x04\x0a\x02\x08\x04\x0a\x00", 8, FAULT_FORMAT},
        {"an unknown field inside", "\x0a\x02\x78\x01", 4, FAULT_FORMAT},
    };
    struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    void *back;

    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++)
        CHECK_EQ_(numbers[i].what,
                  pb_unpack(cx, &cohortium__policy_field__descriptor,
                            bytes_of(numbers[i].bytes, numbers[i].n), 100, &back),
                  numbers[i].want);
    for (size_t i = 0; i < COUNT(factors); i++)
        CHECK_EQ_(factors[i].what,
                  pb_unpack(cx, &cohortium__factor__descriptor,
                            bytes_of(factors[i].bytes, factors[i].n), 100, &back),
                  factors[i].want);
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
        cmocka_unit_test(test_bytes__clean_text),
        cmocka_unit_test(test_bytes__one_encoding_of_values),
        cmocka_unit_test(test_bytes__size_is_bounded),
        cmocka_unit_test(test_bytes__suggestions_and_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What tally.h promises: exact sums in any order, and double-doubles split without loss. */
#include "protocol/tally.h"

#include <float.h>
#include <math.h>

#include "tests/check.h"

static uint64_t random_state = 0x9e3779b97f4a7c15u;

/* splitmix64, so that a failing case can be repeated. */
static uint64_t draw(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static const ufixed top = (ufixed)1 << 127;

/* Often an extreme: zero, one, minus one, the least and the greatest. */
static ufixed draw_sum(void)
{
    uint64_t kind = draw() % 12;
    const ufixed extremes[] = {0, 1, ~(ufixed)0, top, top - 1, (ufixed)1 << 64};

    return kind < COUNT(extremes) ? extremes[kind] : (ufixed)draw() << 64 | draw();
}

static void test_tally__a_million_sums_are_exact_in_any_order(void **state)
{
    enum { CASES = 1000000, WORDS = 512 };
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    size_t done = 0;

    (void)state;
    while (done < CASES) {
        size_t n = 3 + draw() % 48;
        struct tally *total, *backward, *sites[50];
        unsigned __int128 want[WORDS] = {0};
        uint64_t want_counts[WORDS] = {0};

        cx_reset(cx);
        CHECK_OK_("new", cx, tally_new(cx, WORDS, WORDS, &total));
        CHECK_OK_("new", cx, tally_new(cx, WORDS, WORDS, &backward));
        for (size_t s = 0; s < n; s++) {
            CHECK_OK_("new", cx, tally_new(cx, WORDS, WORDS, &sites[s]));
            for (size_t i = 0; i < WORDS; i++) {
                sites[s]->sums[i] = draw_sum();
                sites[s]->counts[i] = (uint64_t)draw_sum();
                want[i] += sites[s]->sums[i];
                want_counts[i] += sites[s]->counts[i];
            }
        }
        for (size_t s = 0; s < n; s++) {
            CHECK_OK_("add", cx, tally_add(cx, total, sites[s]));
            CHECK_OK_("add", cx, tally_add(cx, backward, sites[n - 1 - s]));
        }
        assert_memory_equal(total->sums, want, sizeof want);
        assert_memory_equal(total->counts, want_counts, sizeof want_counts);
        assert_memory_equal(backward->sums, want, sizeof want);
        assert_memory_equal(backward->counts, want_counts, sizeof want_counts);
        done += 2 * WORDS;
    }
    cx_free(&cx);
}

static void test_tally__other_shapes_do_not_add(void **state)
{
    struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct tally *a, *b, *big;

    (void)state;
    CHECK_OK_("a", cx, tally_new(cx, 2, 3, &a));
    CHECK_OK_("b", cx, tally_new(cx, 2, 4, &b));
    assert_int_equal(tally_add(cx, a, b), FAULT_CONFLICT);
    CHECK_OK_("b", cx, tally_new(cx, 1, 3, &b));
    assert_int_equal(tally_add(cx, a, b), FAULT_CONFLICT);
    assert_int_equal(tally_new(cx, TALLY_WORDS_MAX, 1, &big), FAULT_BOUND);
    assert_int_equal(tally_new(cx, SIZE_MAX, 2, &big), FAULT_BOUND);
    CHECK_OK_("nothing to sum", cx, tally_new(cx, 0, 0, &a));
    cx_free(&cx);
}

static void test_tally__packs_one_shape_of_one_round(void **state)
{
    struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct tally *t, *back;
    struct bytes packed;
    /* MaskedTally{round 7, one count 1, one sum -2}, written by hand. */
    static const uint8_t want[] = {0x08, 7,    0x12, 8,    1,    0,    0,    0,
                                   0,    0,    0,    0,    0x1a, 16,   0xfe, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    (void)state;
    CHECK_OK_("new", cx, tally_new(cx, 1, 1, &t));
    t->counts[0] = 1;
    t->sums[0] = (ufixed)-2;
    CHECK_OK_("pack", cx, tally_pack(cx, t, 7, &packed));
    assert_int_equal(packed.n, sizeof want);
    assert_memory_equal(packed.p, want, sizeof want);
    CHECK_OK_("unpack", cx, tally_unpack(cx, packed, 7, 1, 1, &back));
    assert_true(back->counts[0] == 1 && back->sums[0] == (ufixed)-2);
    assert_int_equal(tally_unpack(cx, packed, 8, 1, 1, &back), FAULT_FORMAT);
    assert_int_equal(tally_unpack(cx, packed, 7, 2, 1, &back), FAULT_FORMAT);
    assert_int_equal(tally_unpack(cx, packed, 7, 1, 0, &back), FAULT_FORMAT);
    assert_int_equal(tally_unpack(cx, packed, 7, 3, 0, &back), FAULT_FORMAT);
    packed.n--;
    assert_int_equal(tally_unpack(cx, packed, 7, 1, 1, &back), FAULT_FORMAT);
    CHECK_OK_("new", cx, tally_new(cx, 0, 0, &t));
    CHECK_OK_("pack", cx, tally_pack(cx, t, 0, &packed));
    CHECK_OK_("an empty one", cx, tally_unpack(cx, packed, 0, 0, 0, &back));
    cx_free(&cx);
}

static void test_tally__scale_leaves_no_room_to_wrap(void **state)
{
    static const struct {
        const char *what;
        double bound;
        unsigned rows;
        int want;
    } rows[] = {
        {"bound one", 1, 40, 86},
        {"just above one", 1 + DBL_EPSILON, 40, 85},
        {"just below one", 1 - DBL_EPSILON / 2, 40, 86},
        {"two", 2, 40, 85},
        {"a half", 0.5, 40, 87},
        {"a thousand", 1000, 40, 76},
        {"1024 is a power", 1024, 40, 76},
        {"wider than the ring", 0x1p100, 40, -14},
        {"tiny", 0x1p-1074, 40, 1160},
        {"one row", 1, 0, 126},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int scale = tally_scale(rows[i].bound, rows[i].rows);

        CHECK_EQ_(rows[i].what, scale, rows[i].want);
        CHECK_(rows[i].what, ldexp(rows[i].bound, scale + (int)rows[i].rows) <= 0x1p126);
        CHECK_(rows[i].what, ldexp(rows[i].bound, scale + (int)rows[i].rows) > 0x1p125);
    }
}

static ufixed exactly(double x)
{
    return x < 0 ? -(ufixed)-x : (ufixed)x;
}

static void test_tally__value_is_split_to_the_last_bit(void **state)
{
    (void)state;
    for (int i = 0; i < 200000; i++) {
        ufixed sum = draw_sum();
        unsigned shift = (unsigned)(draw() % 128);
        fixed narrow = (fixed)sum >> shift; /* all magnitudes */
        struct dd v = tally_value((ufixed)narrow, 0),
                  scaled = tally_value((ufixed)narrow, 86);
        double ulp = nextafter(fabs(v.hi), INFINITY) - fabs(v.hi);
        fixed rest = (fixed)((ufixed)narrow - exactly(v.hi) - exactly(v.lo));

        assert_true(v.hi + v.lo == v.hi);
        assert_true(fabs(v.lo) <= ulp / 2);
        /* lo has 53 bits of its own: what is left is below 2^-106 of the value. */
        assert_true(fabs((double)rest) <= fabs(v.lo) * 0x1p-53);
        if ((narrow < 0 ? -(ufixed)narrow : (ufixed)narrow) < (ufixed)1 << 106)
            assert_true(rest == 0);
        assert_true(scaled.hi == ldexp(v.hi, -86) && scaled.lo == ldexp(v.lo, -86));
        assert_false((v.hi == 0 && signbit(v.hi)) || (v.lo == 0 && signbit(v.lo)));
    }
    assert_true(tally_value(top, 0).hi == -0x1p127);
    assert_true(tally_value(top - 1, 0).hi == 0x1p127 && tally_value(top - 1, 0).lo == -1);
    assert_true(tally_value(3, -2).hi == 12 && tally_value((ufixed)-3, 1).hi == -1.5);
}

/* Every number of a tally, its shape and all before it are in a chain. */
static void test_tally__a_chain_holds_all_of_it(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct tally *t, *other;
    uint8_t first[32] = {0}, same[32] = {0}, chain[32];
    (void)state;

    assert_non_null(cx);
    CHECK_OK_("new", cx, tally_new(cx, 2, 2, &t));
    CHECK_OK_("new", cx, tally_new(cx, 2, 2, &other));
    tally_chain(first, t);
    tally_chain(same, other);
    assert_memory_equal(first, same, sizeof first);
    for (size_t i = 0; i < 2; i++) {
        memset(chain, 0, sizeof chain);
        other->counts[i] = 1;
        tally_chain(chain, other);
        assert_memory_not_equal(first, chain, sizeof first);
        memset(chain, 0, sizeof chain);
        other->counts[i] = 0;
        other->sums[i] = (ufixed)1 << 127;
        tally_chain(chain, other);
        assert_memory_not_equal(first, chain, sizeof first);
        other->sums[i] = 0;
    }
    memset(chain, 0, sizeof chain);
    CHECK_OK_("new", cx, tally_new(cx, 4, 1, &other)); /* as many bytes */
    tally_chain(chain, other);
    assert_memory_not_equal(first, chain, sizeof first);
    memset(chain, 1, sizeof chain);
    tally_chain(chain, t);
    assert_memory_not_equal(first, chain, sizeof first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tally__a_million_sums_are_exact_in_any_order),
        cmocka_unit_test(test_tally__other_shapes_do_not_add),
        cmocka_unit_test(test_tally__packs_one_shape_of_one_round),
        cmocka_unit_test(test_tally__scale_leaves_no_room_to_wrap),
        cmocka_unit_test(test_tally__value_is_split_to_the_last_bit),
        cmocka_unit_test(test_tally__a_chain_holds_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

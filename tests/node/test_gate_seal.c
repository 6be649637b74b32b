/* What leaves in a running session: masked tallies and words, sealed to each other vault.
 */
#include "node/vault/gate.h"

#include <sodium.h>

#include "tests/check.h"

enum { SITES = 3 };

struct seals {
    struct cx *cx;
    uint8_t ids[SITES][32], secrets[SITES][32], keys[SITES][32];
    struct mask *mask[SITES];
};

static void seals_new(struct seals *s)
{
    const uint8_t *ids[SITES], *keys[SITES];

    s->cx = cx_new(64 * 1024 * 1024, CX_NO_DEADLINE);
    for (size_t i = 0; i < SITES; i++) {
        memset(s->ids[i], (int)i + 1, 32);
        randombytes_buf(s->secrets[i], 32);
        assert_int_equal(crypto_scalarmult_base(s->keys[i], s->secrets[i]), 0);
        ids[i] = s->ids[i];
        keys[i] = s->keys[i];
    }
    for (size_t i = 0; i < SITES; i++) {
        struct mask_setup setup = {.n = SITES,
                                   .self = i,
                                   .ids = ids,
                                   .ephemeral = keys,
                                   .own_secret = s->secrets[i],
                                   .session = {42}};

        s->mask[i] = NULL;
        CHECK_OK_("mask", s->cx, mask_new(s->cx, &setup, &s->mask[i]));
    }
}

static void seals_free(struct seals *s)
{
    for (size_t i = 0; i < SITES; i++)
        mask_free(&s->mask[i]);
    cx_free(&s->cx);
}

static void test_gate_seal__sealed_tallies_add_up_and_show_nothing_alone(void **state)
{
    static const uint8_t input[32] = {5};
    const struct bytes context = {(const uint8_t *)"round 1", 7};
    static const bool zeros[SITES] = {false, true, false};
    struct seals s;
    struct tally *own, *sum, *theirs;
    size_t size = 0;

    (void)state;
    seals_new(&s);
    CHECK_OK_("sum", s.cx, tally_new(s.cx, 2, 1, &sum));
    for (size_t i = 0; i < SITES; i++) {
        struct sealed *sealed;
        struct bytes plain;

        CHECK_OK_("own", s.cx, tally_new(s.cx, 2, 1, &own));
        own->counts[0] = 10 + i;
        own->counts[1] = 100;
        own->sums[0] = 7;
        CHECK_OK_("seal", s.cx,
                  gate_seal(s.cx, s.mask[i], 1, input, context, SITES, i, own, zeros[i],
                            &sealed));
        CHECK_EQ_("our tally is left alone", own->counts[0], 10 + i);
        CHECK_("masked",
               sealed_own(sealed)->counts[1] != 100 && sealed_own(sealed)->counts[1] != 0);
        CHECK_OK_("add", s.cx, tally_add(s.cx, sum, sealed_own(sealed)));
        size_t to = i == 0 ? 1 : 0;

        CHECK_OK_(
            "unbox", s.cx,
            mask_unbox(s.cx, s.mask[to], i, 1, context, sealed_boxes(sealed)[0], &plain));
        CHECK_OK_("unpack", s.cx, tally_unpack(s.cx, plain, 1, 2, 1, &theirs));
        CHECK_("the box holds the masked tally",
               theirs->counts[0] == sealed_own(sealed)->counts[0]);
        CHECK_("an objector's box looks like any other",
               size == 0 || size == sealed_boxes(sealed)[1].n);
        size = sealed_boxes(sealed)[1].n;
        CHECK_EQ_(
            "a key masks once",
            gate_seal(s.cx, s.mask[i], 1, input, context, SITES, i, own, zeros[i], &sealed),
            FAULT_REPLAY);
    }
    CHECK_EQ_("10 + 12", sum->counts[0], 22);
    CHECK_EQ_("100 + 100", sum->counts[1], 200);
    CHECK_EQ_("7 + 7", (long long)sum->sums[0], 14);
    seals_free(&s);
}

static void test_gate_seal__a_word_is_zero_or_random(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1024 * 1024, CX_NO_DEADLINE);
    struct tally *yes, *no, *again;

    (void)state;
    CHECK_OK_("no objection", cx, gate_word(cx, false, &yes));
    CHECK_EQ_("shape", yes->n_counts, 1);
    CHECK_EQ_("zero", yes->counts[0], 0);
    CHECK_OK_("objection", cx, gate_word(cx, true, &no));
    CHECK_OK_("objection", cx, gate_word(cx, true, &again));
    CHECK_("not zero", no->counts[0] != 0);
    CHECK_("never the same", no->counts[0] != again->counts[0]);
}

/* Of two each reads the other's numbers off the sum; words of a veto may go between them.
 */
static void test_gate_seal__two_exchange_words_and_nothing_else(void **state)
{
    static const uint8_t input[32] = {5};
    static const bool withheld[] = {true, false, true};
    const struct bytes context = {(const uint8_t *)"veto", 4};
    struct sealed *sealed;
    struct tally *tally;
    struct votes *votes;
    struct seals s;

    (void)state;
    seals_new(&s);
    CHECK_OK_("votes", s.cx, gate_votes(s.cx, false, withheld, COUNT(withheld), &votes));
    CHECK_OK_("tally", s.cx, tally_new(s.cx, 2, 1, &tally));
    CHECK_EQ_("a tally of two",
              gate_seal(s.cx, s.mask[0], 1, input, context, 2, 0, tally, false, &sealed),
              FAULT_INTERNAL);
    CHECK_EQ_("words to nobody",
              gate_seal_votes(s.cx, s.mask[0], 1, input, context, 1, 0, votes, &sealed),
              FAULT_INTERNAL);
    CHECK_OK_("words", s.cx,
              gate_seal_votes(s.cx, s.mask[0], 1, input, context, 2, 0, votes, &sealed));
    CHECK_EQ_("one for the whole, one a place", sealed_own(sealed)->n_counts,
              1 + COUNT(withheld));
    CHECK_EQ_("no numbers", sealed_own(sealed)->n_sums, 0);
    seals_free(&s);
}

/* Zero where nobody withholds, whoever else does elsewhere. */
static void test_gate_seal__words_of_all_sites_say_which_values(void **state)
{
    static const uint8_t input[32] = {5};
    static const bool withheld[SITES][3] = {{true, false, false}, {true, false, true}, {0}};
    static const bool want[3] = {true, false, true};
    const struct bytes context = {(const uint8_t *)"veto", 4};
    struct tally *sum;
    struct seals s;

    (void)state;
    seals_new(&s);
    CHECK_OK_("sum", s.cx, tally_new(s.cx, 4, 0, &sum));
    for (size_t i = 0; i < SITES; i++) {
        struct sealed *sealed;
        struct votes *votes;

        CHECK_OK_("votes", s.cx, gate_votes(s.cx, false, withheld[i], 3, &votes));
        CHECK_OK_(
            "words", s.cx,
            gate_seal_votes(s.cx, s.mask[i], 1, input, context, SITES, i, votes, &sealed));
        CHECK_("masked", sealed_own(sealed)->counts[2] != 0);
        CHECK_OK_("add", s.cx, tally_add(s.cx, sum, sealed_own(sealed)));
    }
    CHECK_EQ_("the whole answer", sum->counts[0], 0);
    for (size_t k = 0; k < COUNT(want); k++)
        CHECK_EQ_("a value", sum->counts[1 + k] != 0, want[k]);
    seals_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate_seal__sealed_tallies_add_up_and_show_nothing_alone),
        cmocka_unit_test(test_gate_seal__a_word_is_zero_or_random),
        cmocka_unit_test(test_gate_seal__two_exchange_words_and_nothing_else),
        cmocka_unit_test(test_gate_seal__words_of_all_sites_say_which_values),
    };

    return cmocka_run_group_tests_name("gate_seal", tests, NULL, NULL);
}

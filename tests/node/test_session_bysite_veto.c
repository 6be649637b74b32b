/*
 * test_session_bysite_veto.c - a coordinator, or a member, that would have the answers by
 * site without the words that come before them.
 */
#include "tests/node/lie.h"
#include "tests/node/session_case.h"

enum { WORDS, ANSWERS };

/* ---- the coordinator ---- */

static void no_vectors(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_vectors = call->n_boxes = 0;
}

static void one_vector_less(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_vectors--;
}

static void one_vector_twice(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->vectors[LIAR] = call->vectors[HOME];
}

static void one_bit(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->vectors[LIAR] = lie_flip(p, call->vectors[LIAR], call->vectors[LIAR].len / 2);
}

static void one_accept_less(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_accepts--;
}

static void no_accepts(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_accepts = 0;
}

static Cohortium__Proposal *proposal_of(struct play *p, const Cohortium__StepCall *call)
{
    return lie_open(p, ENVELOPE_PROPOSAL, &cohortium__proposal__descriptor,
                    PB_BYTES(call->proposal));
}

static ProtobufCBinaryData by_home(struct play *p, const Cohortium__Proposal *proposal)
{
    return lie_sign(p, ENVELOPE_PROPOSAL, proposal, lie_key(p, HOME));
}

static void answers_at_once(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *proposal = proposal_of(p, call);

    (void)victim;
    proposal->kind = COHORTIUM__ROUND_KIND__RELEASE;
    call->proposal = by_home(p, proposal);
}

static void sums_instead(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *proposal = proposal_of(p, call);

    (void)victim;
    proposal->kind = COHORTIUM__ROUND_KIND__SUM;
    call->proposal = by_home(p, proposal);
}

static void words_again(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *proposal = proposal_of(p, call);

    (void)victim;
    proposal->kind = COHORTIUM__ROUND_KIND__VETO;
    call->proposal = by_home(p, proposal);
}

static void a_release_for_it(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *proposal = proposal_of(p, call);

    (void)victim;
    proposal->release = PB_DATA(bytes_of((const uint8_t *)"a release", 9));
    call->proposal = by_home(p, proposal);
}

/* ---- a member ---- */

/* Signed by it and sealed for the victim: a vector of its own making. */
static struct bytes own_boxes[VAULTS - 1];

static void put_vector(struct play *p, size_t victim, Cohortium__StepCall *call,
                       struct tally *words)
{
    const struct tally *both[VAULTS - 1] = {words, words};
    const Cohortium__Vector *x = lie_open(
        p, ENVELOPE_VECTOR, &cohortium__vector__descriptor, PB_BYTES(call->vectors[LIAR]));

    call->vectors[LIAR] = lie_vector(p, LIAR, x, both, own_boxes);
    call->boxes[LIAR] = PB_DATA(own_boxes[lie_box_at(LIAR, victim)]);
}

static void one_word_less(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    size_t n = play_session(p, victim)->own_masked->n_counts;
    struct tally *words;

    CHECK_OK_("words", p->cx, tally_new(p->cx, n - 1, 0, &words));
    put_vector(p, victim, call, words);
}

static ProtobufCBinaryData cancelling; /* the same for home and victim */

/* It sends last and makes all words of all sites add up to nothing. */
static void words_cancelled(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    const struct tally *theirs[] = {play_session(p, HOME)->own_masked,
                                    play_session(p, VICTIM)->own_masked};
    struct tally *words;

    if (victim == HOME) {
        CHECK_OK_("words", p->cx, tally_new(p->cx, theirs[0]->n_counts, 0, &words));
        for (size_t i = 0; i < words->n_counts; i++)
            words->counts[i] = -(theirs[0]->counts[i] + theirs[1]->counts[i]);
        put_vector(p, victim, call, words);
        cancelling = call->vectors[LIAR];
    }
    call->vectors[LIAR] = cancelling;
    call->boxes[LIAR] = PB_DATA(own_boxes[lie_box_at(LIAR, victim)]);
}

/* ---- told to one honest site ---- */

static const struct veto_lie {
    const char *what;
    play_lie *lie;
    uint32_t round;
    enum fault want;
} lies[] = {
    {"no words", no_vectors, ANSWERS, FAULT_CONFLICT},
    {"the words of two", one_vector_less, ANSWERS, FAULT_CONFLICT},
    {"home's words twice", one_vector_twice, ANSWERS, FAULT_DENIED},
    {"one bit", one_bit, ANSWERS, FAULT_DENIED},
    {"the round again", words_again, ANSWERS, FAULT_CONFLICT},
    {"a release that it did not make", a_release_for_it, ANSWERS, FAULT_FORMAT},
    {"words of another form", one_word_less, ANSWERS, FAULT_FORMAT},
    {"answers first", answers_at_once, WORDS, FAULT_CONFLICT},
    {"sums by site", sums_instead, WORDS, FAULT_CONFLICT},
    {"two ACCEPTs", one_accept_less, WORDS, FAULT_CONFLICT},
    {"no ACCEPTs", no_accepts, WORDS, FAULT_CONFLICT},
};

static void ask_to(struct play *p, uint32_t round)
{
    ask_each(p, "count", NULL, "age >= 60");
    play_start(p);
    play_to(p, round);
}

static void test_session__lies_about_words(void **state)
{
    struct play p;
    (void)state;

    permit_by_site(0);
    for (size_t i = 0; i < COUNT(lies); i++) {
        ask_to(&p, lies[i].round);
        CHECK_EQ_(lies[i].what, play_step(&p, VICTIM, lies[i].lie), lies[i].want);
        CHECK_EQ_("it is gone", play_step(&p, VICTIM, NULL), FAULT_MISSING);
        CHECK_EQ_(lies[i].what, vaults_count(&t, VICTIM, TABLE_ANSWERS), 0);
        CHECK_EQ_(lies[i].what, vaults_count(&t, VICTIM, TABLE_LEDGER), 0);
        play_forget(&p);
        play_free(&p);
    }
    ask_each(&p, "count", NULL, "age >= 60");
    answer_each(&p);
    CHECK_("the truth", play_release(&p, VICTIM)->released);
    check_count(TABLE_CHARGES, 1);
    play_free(&p);
}

/* Home's vault does not go on either. */
static void test_session__home_needs_all_words(void **state)
{
    static play_lie *const told[] = {no_vectors, one_vector_less, one_bit};
    struct play p;
    (void)state;

    permit_by_site(0);
    for (size_t i = 0; i < COUNT(told); i++) {
        ask_to(&p, WORDS);
        play_step_all(&p);
        CHECK_("no proposal", play_propose(&p, told[i]) != FAULT_NONE);
        play_forget(&p);
        play_free(&p);
    }
    check_count(TABLE_ANSWERS, 0);
}

static void test_session__a_member_cancels_the_words(void **state)
{
    struct play p;
    (void)state;

    for (size_t i = 0; i < t.site[VICTIM].n; i++)
        if (t.site[VICTIM].rows[i].age < 80)
            t.site[VICTIM].rows[i].age = 30;
    vaults_import(&t, VICTIM);
    permit_by_site(0);
    ask_to(&p, WORDS);
    play_step_all(&p);
    CHECK_EQ_("told to home", play_propose(&p, words_cancelled), FAULT_NONE);
    CHECK_("home is fooled", !play_session(&p, HOME)->refused);
    CHECK_EQ_("told to it", play_step(&p, VICTIM, words_cancelled), FAULT_NONE);
    CHECK_("who objects is not", !play_release(&p, VICTIM)->released);
    play_forget(&p);
    play_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(by_site, test_session__lies_about_words),
        UNDER(by_site, test_session__home_needs_all_words),
        UNDER(by_site, test_session__a_member_cancels_the_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

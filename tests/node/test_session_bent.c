/*
 * test_session_bent.c - members that bend a session without breaking a signature: each is
 * found, or gains nothing.
 */
#include <time.h>

#include "tests/node/lie.h"
#include "tests/node/session_case.h"

/* ---- home and members that bend ---- */

static void no_vectors(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_vectors = call->n_boxes = call->n_accepts = 0;
}

/* Two proposals of one round, both of home, both true: to each half another. */
static void test_session__two_proposals_of_one_round(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 40");
    play_start(&p);
    play_to(&p, 2);
    struct bytes first = p.proposal;
    const struct timespec pause = {.tv_nsec = 3 * 1000 * 1000}; /* another stamp */
    (void)nanosleep(&pause, NULL);
    CHECK_EQ_("propose again", play_propose(&p, no_vectors), FAULT_NONE);
    CHECK_("another", !bytes_equal(first, p.proposal));
    memcpy(p.before, p.vector, sizeof p.before);
    CHECK_EQ_("step", play_step(&p, VICTIM, NULL), FAULT_NONE);
    struct bytes second = p.proposal;
    p.proposal = first;
    CHECK_EQ_("step", play_step(&p, LIAR, NULL), FAULT_NONE);
    p.proposal = second; /* home's vault takes back its newest only */
    CHECK_EQ_("step", play_step(&p, HOME, NULL), FAULT_NONE);
    p.round++;
    CHECK_EQ_("found at home", play_propose(&p, NULL), FAULT_CONFLICT);
    CHECK_EQ_("found", play_step(&p, VICTIM, NULL), FAULT_CONFLICT);
    check_count(TABLE_ANSWERS, 0);
    play_forget(&p);
    play_free(&p);
}

/* The neighbour of an altered input: last bits differ between processors, and are adopted.
 */
static void test_session__last_bits_are_adopted(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p;
    (void)state;

    assert_non_null(cx);
    play_new(
        &p, &t,
        vaults_seal(cx, vaults_request(&t, cx, "lm", "score ~ age", NULL), t.researcher));
    play_start(&p);
    play_to(&p, 3);
    struct state *home = play_session(&p, HOME)->state;
    CHECK_("there is an input", home->n_input > 0);
    for (size_t i = 0; i < home->n_input; i++)
        home->input[i] *= 1 + 1e-12;
    CHECK_EQ_("propose again", play_propose(&p, no_vectors), FAULT_NONE);
    for (size_t i = 0; i < VAULTS; i++)
        if (play_step(&p, VAULTS - 1 - i, NULL) != FAULT_NONE)
            fail_msg("step: %s", p.message);
    p.round++;
    play_finish(&p);
    CHECK_("released", play_release(&p, VICTIM)->released);
    play_free(&p);
}

static void release_after_all(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal m = *play_proposal(p);
    Cohortium__Release *r;
    Cohortium__Result result = COHORTIUM__RESULT__INIT;
    struct bytes body;

    (void)victim;
    CHECK_OK_("release", p->cx,
              pb_unpack(p->cx, &cohortium__release__descriptor, PB_BYTES(m.release),
                        envelope_bound(ENVELOPE_RELEASE), &r));
    CHECK_("home is honest yet", !r->released);
    r->released = true;
    r->reference = (ProtobufCBinaryData){0};
    r->result = &result;
    CHECK_OK_("release", p->cx, pb_pack(p->cx, &r->base, &body));
    m.release = PB_DATA(body);
    CHECK_OK_(
        "sign", p->cx,
        envelope_seal(p->cx, ENVELOPE_PROPOSAL, &m.base, t.site[HOME].v.signing, &body));
    call->proposal = PB_DATA(body);
}

static void test_session__home_releases_what_was_vetoed(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 80");
    play_start(&p);
    play_past(&p, COHORTIUM__ROUND_KIND__VETO);
    CHECK_EQ_("propose", play_propose(&p, NULL), FAULT_NONE);
    CHECK_EQ_("found", play_step(&p, VICTIM, release_after_all), FAULT_CONFLICT);
    CHECK_EQ_("found", play_step(&p, LIAR, release_after_all), FAULT_CONFLICT);
    CHECK_EQ_("nothing signed", vaults_count(&t, VICTIM, TABLE_ANSWERS), 0);
    play_forget(&p);
    play_free(&p);
}

/* Rule 7, logged before told: home's proposal of a release carries the numbers, so home's
 * decision stands in its log before anybody has it. */
static void test_session__home_logs_before_it_proposes(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 40");
    play_start(&p);
    play_past(&p, COHORTIUM__ROUND_KIND__VETO);
    CHECK_("not yet", vaults_newest(&t, p.cx, HOME, "question") == NULL);
    CHECK_EQ_("propose", play_propose(&p, NULL), FAULT_NONE);
    CHECK_("it has the numbers", play_proposal(&p)->release.len > 0);
    const struct audit_entry *e = vaults_newest(&t, p.cx, HOME, "question");
    assert_non_null(e);
    assert_string_equal(e->record->decision, "released");
    /* and what it says once it says always: proposed again, answered, one leaf. */
    uint64_t log = vaults_count(&t, HOME, TABLE_LOG);
    struct bytes first = PB_BYTES(play_proposal(&p)->release);
    CHECK_EQ_("propose again", play_propose(&p, no_vectors), FAULT_NONE);
    CHECK_("the same", bytes_equal(first, PB_BYTES(play_proposal(&p)->release)));
    memcpy(p.before, p.vector, sizeof p.before);
    for (size_t i = 0; i < VAULTS; i++)
        if (play_step(&p, VAULTS - 1 - i, NULL) != FAULT_NONE)
            fail_msg("step: %s", p.message);
    CHECK_EQ_("one leaf", vaults_count(&t, HOME, TABLE_LOG), log);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_("the same", bytes_equal(first, play_body(&p, i)));
    play_free(&p);
}

/* ---- a member that waits for the others' words and cancels them ---- */

static Cohortium__Vector *vector_of(struct play *p, size_t from)
{
    return lie_open(p, ENVELOPE_VECTOR, &cohortium__vector__descriptor, p->vector[from]);
}

static struct tally *opened_by(struct play *p, size_t reader, size_t from)
{
    struct session *s = play_session(p, reader);
    Cohortium__Vector *x = vector_of(p, from);
    uint8_t context[VECTOR_CONTEXT];
    struct bytes plain;
    struct tally *tally;

    (void)session_vector_context(s, context);
    CHECK_OK_("unbox", p->cx,
              mask_unbox(p->cx, s->mask, from, x->round, bytes_of(context, sizeof context),
                         p->boxes[from][lie_box_at(from, reader)], &plain));
    CHECK_OK_("tally", p->cx, tally_unpack(p->cx, plain, x->round, s->own_masked->n_counts, 0,
                                    &tally));
    return tally;
}

/* Puts other tallies into the boxes of `from`'s newest vector, and its true signature on
 * it; its own vault takes it for its own. */
static void send_instead(struct play *p, size_t from, const struct tally *const *tallies)
{
    struct envelope e;

    ProtobufCBinaryData forged =
        lie_vector(p, from, vector_of(p, from), tallies, p->boxes[from]);

    p->vector[from] = PB_BYTES(forged);
    CHECK_OK_("vector", p->cx, envelope_open(p->cx, ENVELOPE_VECTOR, p->vector[from], &e));
    memcpy(play_session(p, from)->own_vector, e.digest, DIGEST_BYTES);
}

/* The liar's vector of a round of words, made after it has read all others': their sum is
 * zero. It is home, so that its own vault goes on as it likes. */
static void cancel_words(struct play *p)
{
    struct session *s = play_session(p, HOME);
    const struct tally *both[] = {s->own_masked, s->own_masked};
    uint64_t any = 0;

    for (size_t i = 0; i < s->own_masked->n_counts; i++) {
        uint64_t words = s->own_masked->counts[i] + opened_by(p, HOME, LIAR)->counts[i] +
                         opened_by(p, HOME, VICTIM)->counts[i];

        any |= words;
        s->own_masked->counts[i] -= words;
    }
    CHECK_("somebody objects", any != 0);
    send_instead(p, HOME, both);
}

static void test_session__a_veto_that_was_cancelled_holds_at_home(void **state)
{
    struct play p;
    enum fault fault = FAULT_NONE;
    (void)state;

    /* The victim alone objects, in the regions round. */
    vaults_policy(&t, VICTIM,
                  "class: cautious\nresponse_quantum_ms: 0\nlocal_minimum: 1000\n");
    ask(&p, "age >= 40");
    play_start(&p);
    do {
        if (play_propose(&p, NULL) != FAULT_NONE)
            fail_msg("proposal: %s", p.message);
        Cohortium__RoundKind kind = play_proposal(&p)->kind;
        for (size_t i = 0; i < VAULTS && fault == FAULT_NONE; i++)
            fault = play_step(&p, VAULTS - 1 - i, NULL);
        if (fault == FAULT_NONE &&
            (kind == COHORTIUM__ROUND_KIND__VERDICT || kind == COHORTIUM__ROUND_KIND__VETO))
            cancel_words(&p);
        p.round++;
    } while (fault == FAULT_NONE && p.answer[VICTIM] == NULL);
    CHECK_("it signs no release that it objected to",
           fault != FAULT_NONE || !play_release(&p, VICTIM)->released);
    CHECK_EQ_("found", fault, FAULT_CONFLICT);
    CHECK_EQ_("nothing in its ledger", vaults_count(&t, VICTIM, TABLE_LEDGER), 0);
    CHECK_EQ_("nothing signed", vaults_count(&t, VICTIM, TABLE_ANSWERS), 0);
    play_forget(&p);
    play_free(&p);
}

/* One patient more in our box than in home's, in one signed vector: found by arithmetic. */
static void test_session__a_member_tells_each_another_sum(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 40");
    play_start(&p);
    play_past(&p, COHORTIUM__ROUND_KIND__SUM);
    struct session *s = play_session(&p, LIAR);
    struct tally more = *s->own_masked;
    const struct tally *each[] = {s->own_masked, &more};
    more.counts = cx_memdup(p.cx, more.counts, more.n_counts * sizeof *more.counts);
    assert_true(more.counts != NULL && more.n_counts > 0);
    for (size_t i = 0; i < more.n_counts; i++)
        more.counts[i]++;
    send_instead(&p, LIAR, each);
    play_past(&p, COHORTIUM__ROUND_KIND__VETO);
    /* Their next boxes are bound to what each has learned: they do not open. */
    CHECK_EQ_("found at home", play_propose(&p, NULL), FAULT_DENIED);
    CHECK_("and nobody is named alone", strstr(p.message, "somebody has told two of us"));
    CHECK_EQ_("found", play_step(&p, VICTIM, NULL), FAULT_DENIED);
    check_count(TABLE_ANSWERS, 0);
    play_forget(&p);
    play_free(&p);
}

/* An honest run with one objector: everybody has the same NOT_RELEASED. */
static void test_session__one_site_objects_alone(void **state)
{
    struct play p;
    (void)state;

    vaults_policy(&t, VICTIM,
                  "class: cautious\nresponse_quantum_ms: 0\nlocal_minimum: 1000\n");
    ask(&p, "age >= 40");
    play_whole(&p);
    for (size_t i = 0; i < VAULTS; i++) {
        const struct audit_entry *e = vaults_newest(&t, p.cx, i, "question");

        CHECK_("not released", !play_release(&p, i)->released);
        CHECK_("the same bytes", bytes_equal(play_body(&p, 0), play_body(&p, i)));
        CHECK_("who objected knows it alone",
               (strstr(e->details, "local_minimum") != NULL) == (i == VICTIM));
    }
    check_count(TABLE_LEDGER, 0);
    check_count(TABLE_CHARGES, 1);
    play_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(cautious, test_session__two_proposals_of_one_round),
        UNDER(testing, test_session__last_bits_are_adopted),
        UNDER(cautious, test_session__home_releases_what_was_vetoed),
        UNDER(cautious, test_session__home_logs_before_it_proposes),
        UNDER(cautious, test_session__a_veto_that_was_cancelled_holds_at_home),
        UNDER(testing, test_session__a_member_tells_each_another_sum),
        UNDER(cautious, test_session__one_site_objects_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * test_session_bent_proposals.c - what home proposes in each round, each field bent: the
 * proposals, and the numbers and the release inside them (bent_session.h).
 */
#include "tests/node/bent_session.h"
#include "tests/node/session_case.h"

/* ---- proposals: by home ---- */

static struct bytes proposal_packed(struct play *p, const struct scene *s)
{
    (void)s;
    return p->proposal;
}

static void proposal_put(Cohortium__StepCall *call, const struct scene *s,
                         struct bytes forged)
{
    (void)s;
    call->proposal = PB_DATA(forged);
}

static void proposal_put_all(struct play *p, const struct scene *s, struct bytes forged)
{
    struct envelope e;

    (void)s;
    p->proposal = forged;
    if (envelope_open(p->cx, ENVELOPE_PROPOSAL, forged, &e) == FAULT_NONE)
        memcpy(play_session(p, HOME)->own_proposal, e.digest, DIGEST_BYTES);
}

static Cohortium__Proposal *proposal_of(struct play *p)
{
    return lie_open(p, ENVELOPE_PROPOSAL, &cohortium__proposal__descriptor, p->proposal);
}

static struct bytes sign_proposal(struct play *p, const Cohortium__Proposal *m)
{
    struct bytes body;

    CHECK_OK_("pack", p->cx, pb_pack(p->cx, &m->base, &body));
    return bend_sign_by(p->cx, ENVELOPE_PROPOSAL, body, lie_key(p, HOME));
}

/* The release inside. */
static struct bytes release_honest(struct play *p, const struct scene *s)
{
    (void)s;
    return PB_BYTES(proposal_of(p)->release);
}

static struct bytes release_forge(struct play *p, const struct scene *s, struct bytes body,
                                  size_t to)
{
    Cohortium__Proposal *m = proposal_of(p);

    (void)s;
    (void)to;
    m->release = PB_DATA(body);
    return sign_proposal(p, m);
}

/* The numbers inside, sealed to each other vault. */
static struct bytes input_honest(struct play *p, const struct scene *s)
{
    const Cohortium__Proposal *m = proposal_of(p);
    struct bytes plain;
    uint8_t context[INPUT_CONTEXT];

    CHECK_EQ_("boxes", m->n_inputs, VAULTS - 1);
    CHECK_OK_("unbox", p->cx,
              mask_unbox(p->cx, play_session(p, s->victim)->mask, HOME, m->round,
                         session_input_context(play_session(p, HOME), context),
                         PB_BYTES(m->inputs[lie_box_at(HOME, s->victim)]), &plain));
    return plain;
}

static struct bytes input_forge(struct play *p, const struct scene *s, struct bytes body,
                                size_t to)
{
    Cohortium__Proposal *m = proposal_of(p);
    struct bytes box;
    uint8_t context[INPUT_CONTEXT];

    (void)s;
    for (size_t i = 0; i < VAULTS; i++) {
        if (i == HOME || (to != VAULTS && to != i))
            continue;
        CHECK_OK_("box", p->cx,
                  mask_box(p->cx, play_session(p, HOME)->mask, i, m->round,
                           session_input_context(play_session(p, HOME), context), body,
                           &box));
        m->inputs[lie_box_at(HOME, i)] = PB_DATA(box);
    }
    return sign_proposal(p, m);
}

/* ---- the table ---- */

static const struct excuse excuses[] = {
    {"proposal", "stamp.issued_at", "within a day, its sender's to say; in the transcript"},
    {"proposal", "stamp.expires_at",
     "within a day, its sender's to say; in the transcript"},
    {"last proposal", "stamp.issued_at",
     "nothing follows it: the answer is every vault's own", .to_one = true},
    {"last proposal", "stamp.expires_at",
     "nothing follows it: the answer is every vault's own", .to_one = true},
    {"last proposal", "inputs", "the box of another site, which finds it", .to_one = true},
    {0},
};
static bool used[sizeof excuses / sizeof *excuses];

enum { ONLY_SIGNED = 1u << BENT_SIGNED, INSIDE = 1u << BENT_SIGNED | 1u << BENT_WIRE };

static const struct scene proposal = {.message = "proposal",
                                      .d = &cohortium__proposal__descriptor,
                                      .kind = ENVELOPE_PROPOSAL,
                                      .liar = HOME,
                                      .victim = VICTIM,
                                      .packed = proposal_packed,
                                      .put = proposal_put,
                                      .put_all = proposal_put_all};

static void test_bent__proposals(void **state)
{
    struct bend_count sum = {0};
    struct scene s = proposal;
    (void)state;

    for (s.round = REGIONS; s.round <= COUNT_RELEASE; s.round++) {
        s.modes = s.round == COUNT_SUM ? 0 : ONLY_SIGNED;
        s.message = s.round == COUNT_RELEASE ? "last proposal" : "proposal";
        bent_play(&t, &s, excuses, used, &sum);
    }
    for (uint32_t round = OPENING; round <= SUM; round++) {
        s = bent_of_line(proposal, round);
        s.modes = ONLY_SIGNED;
        bent_play(&t, &s, excuses, used, &sum);
    }
    bend_print("all", &sum, "without effect");
}

static void test_bent__releases(void **state)
{
    struct bend_count sum = {0};
    struct scene s = proposal;
    (void)state;

    s.message = "release";
    s.d = &cohortium__release__descriptor;
    s.round = COUNT_RELEASE;
    s.modes = INSIDE;
    s.honest = release_honest;
    s.forge = release_forge;
    bent_play(&t, &s, excuses, used, &sum);
}

static void test_bent__shared_numbers(void **state)
{
    struct bend_count sum = {0};
    struct scene s = bent_of_line(proposal, SUM);
    (void)state;

    s.message = "input";
    s.d = &cohortium__shared_input__descriptor;
    s.modes = INSIDE;
    s.honest = input_honest;
    s.forge = input_forge;
    bent_play(&t, &s, excuses, used, &sum);
}

/* ---- by site: words and no pooled release ---- */

static void test_bent__proposals_by_site(void **state)
{
    struct bend_count sum = {0};
    struct scene s = proposal;
    (void)state;

    s.by_site = true;
    s.modes = ONLY_SIGNED;
    bent_play(&t, &s, excuses, used, &sum);
    s.round = 1;
    s.message = "last proposal";
    bent_play(&t, &s, excuses, used, &sum);
    bend_print("by site", &sum, "without effect");
}

static int excused(void **state)
{
    (void)state;
    bent_all_used(excuses, used);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_bent__proposals),
        UNDER(testing, test_bent__releases),
        UNDER(testing, test_bent__shared_numbers),
        UNDER(by_site_testing, test_bent__proposals_by_site),
    };

    return cmocka_run_group_tests(tests, NULL, excused);
}

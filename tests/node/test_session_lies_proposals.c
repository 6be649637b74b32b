/*
 * test_session_lies_proposals.c - lies about ACCEPTs and proposals.
 *
 * Each lie is told to one honest vault in the middle of an otherwise honest session
 * (lie.h).
 */
#include <math.h>

#include "tests/node/lie.h"
#include "tests/node/session_case.h"

static Cohortium__Accept *accept_of(struct play *p, const Cohortium__StepCall *call,
                                    size_t i)
{
    return lie_open(p, ENVELOPE_ACCEPT, &cohortium__accept__descriptor,
                    PB_BYTES(call->accepts[i]));
}

static Cohortium__Proposal *proposal_in(struct play *p, const Cohortium__StepCall *call)
{
    return lie_open(p, ENVELOPE_PROPOSAL, &cohortium__proposal__descriptor,
                    PB_BYTES(call->proposal));
}

/* ---- lies about ACCEPTs ---- */

static void accept_flipped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->accepts[LIAR] = lie_flip(p, call->accepts[LIAR], call->accepts[LIAR].len - 1);
}

static void accept_of_own_flipped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    call->accepts[victim] =
        lie_flip(p, call->accepts[victim], call->accepts[victim].len - 1);
}

static void accept_other_order(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Accept *a = accept_of(p, call, LIAR);

    (void)victim;
    lie_swap(&a->participants[0], &a->participants[2]);
    call->accepts[LIAR] = lie_sign(p, ENVELOPE_ACCEPT, a, lie_key(p, LIAR));
}

static void accept_other_versions(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Accept *a = accept_of(p, call, LIAR);

    (void)victim;
    lie_swap(&a->versions[0], &a->versions[2]);
    call->accepts[LIAR] = lie_sign(p, ENVELOPE_ACCEPT, a, lie_key(p, LIAR));
}

static void accept_other_policy(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Accept *a = accept_of(p, call, LIAR);

    (void)victim;
    a->policy = lie_flip(p, a->policy, 0);
    call->accepts[LIAR] = lie_sign(p, ENVELOPE_ACCEPT, a, lie_key(p, LIAR));
}

static void accept_other_question(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Accept *a = accept_of(p, call, LIAR);

    (void)victim;
    a->question = lie_flip(p, a->question, 0);
    call->accepts[LIAR] = lie_sign(p, ENVELOPE_ACCEPT, a, lie_key(p, LIAR));
}

static void accept_low_order(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Accept *a = accept_of(p, call, LIAR);

    (void)victim;
    memset(a->ephemeral_key.data, 0, a->ephemeral_key.len);
    call->accepts[LIAR] = lie_sign(p, ENVELOPE_ACCEPT, a, lie_key(p, LIAR));
}

static void accept_other_key(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Accept *a = accept_of(p, call, LIAR);

    (void)victim;
    a->ephemeral_key = lie_flip(p, a->ephemeral_key, 5);
    call->accepts[LIAR] = lie_sign(p, ENVELOPE_ACCEPT, a, lie_key(p, LIAR));
}

static void accepts_swapped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    lie_swap(&call->accepts[HOME], &call->accepts[LIAR]);
}

static void accept_twice(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->accepts[LIAR] = call->accepts[HOME];
}

static void accept_missing(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_accepts--;
}

static void accepts_none(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->n_accepts = 0;
}

static void accept_of_other_session(struct play *p, size_t victim,
                                    Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->accepts[LIAR] = PB_DATA(lie_old.accept[LIAR]);
}

static void accepts_again(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->accepts = cx_array(p->cx, VAULTS, sizeof *call->accepts);
    assert_non_null(call->accepts);
    for (size_t i = 0; i < VAULTS; i++)
        call->accepts[i] = PB_DATA(p->accept[i]);
    call->n_accepts = VAULTS;
}

/* ---- lies about proposals ---- */

static void proposal_not_of_home(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->proposal = lie_sign(p, ENVELOPE_PROPOSAL, proposal_in(p, call), lie_key(p, LIAR));
}

static void proposal_flipped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->proposal = lie_flip(p, call->proposal, call->proposal.len - 1);
}

static void proposal_none(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->proposal = (ProtobufCBinaryData){0};
}

static void proposal_round(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);

    (void)victim;
    m->round++;
    call->proposal = lie_sign(p, ENVELOPE_PROPOSAL, m, lie_key(p, HOME));
}

static void proposal_kind(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);

    (void)victim;
    m->kind = COHORTIUM__ROUND_KIND__VETO; /* past the sums */
    call->proposal = lie_sign(p, ENVELOPE_PROPOSAL, m, lie_key(p, HOME));
}

static void proposal_skips_to_sum(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);

    (void)victim;
    m->kind = COHORTIUM__ROUND_KIND__SUM; /* before the verdict */
    call->proposal = lie_sign(p, ENVELOPE_PROPOSAL, m, lie_key(p, HOME));
}

static void proposal_transcript(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);

    (void)victim;
    m->transcript = lie_flip(p, m->transcript, 31);
    call->proposal = lie_sign(p, ENVELOPE_PROPOSAL, m, lie_key(p, HOME));
}

static void proposal_session(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);

    (void)victim;
    m->session = lie_flip(p, m->session, 0);
    call->proposal = lie_sign(p, ENVELOPE_PROPOSAL, m, lie_key(p, HOME));
}

static void proposal_of_other_session(struct play *p, size_t victim,
                                      Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->proposal = PB_DATA(lie_old.proposal);
}

/* The numbers that home has sealed to `to`. */
static Cohortium__SharedInput *input_for(struct play *p, const Cohortium__Proposal *m,
                                         size_t to)
{
    Cohortium__SharedInput *in;
    struct bytes plain;
    uint8_t context[INPUT_CONTEXT];
    const struct session *s = play_session(p, HOME); /* home has learned what it proposes on */

    CHECK_("there is an input", m->n_inputs == VAULTS - 1);
    CHECK_OK_("unbox", p->cx,
              mask_unbox(p->cx, play_session(p, to)->mask, HOME, m->round,
                         session_input_context(s, context),
                         PB_BYTES(m->inputs[lie_box_at(HOME, to)]), &plain));
    CHECK_OK_("unpack", p->cx,
              pb_unpack(p->cx, &cohortium__shared_input__descriptor, plain, 1 << 20, &in));
    CHECK_("there are numbers", in->n_input > 0);
    return in;
}

/* Sealed and signed with home's own keys. */
static void seal_input_for(struct play *p, Cohortium__StepCall *call,
                           Cohortium__Proposal *m, size_t to,
                           const Cohortium__SharedInput *in)
{
    struct bytes packed, box;
    uint8_t context[INPUT_CONTEXT];
    const struct session *s = play_session(p, HOME);

    CHECK_OK_("pack", p->cx, pb_pack(p->cx, &in->base, &packed));
    CHECK_OK_("box", p->cx,
              mask_box(p->cx, s->mask, to, m->round, session_input_context(s, context),
                       packed, &box));
    m->inputs[lie_box_at(HOME, to)] = PB_DATA(box);
    call->proposal = lie_sign(p, ENVELOPE_PROPOSAL, m, lie_key(p, HOME));
}

static void proposal_input(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);
    Cohortium__SharedInput *in = input_for(p, m, victim);

    in->input[0] += 1e-6 * (fabs(in->input[0]) + 1);
    seal_input_for(p, call, m, victim, in);
}

static void proposal_input_shorter(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);
    Cohortium__SharedInput *in = input_for(p, m, victim);

    in->n_input--;
    seal_input_for(p, call, m, victim, in);
}

static void proposal_input_of_other_round(struct play *p, size_t victim,
                                          Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);
    Cohortium__SharedInput *in = input_for(p, m, victim);

    in->round--;
    seal_input_for(p, call, m, victim, in);
}

static void proposal_input_flipped(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);
    ProtobufCBinaryData *box = &m->inputs[lie_box_at(HOME, victim)];

    *box = lie_flip(p, *box, box->len - 1);
    call->proposal = lie_sign(p, ENVELOPE_PROPOSAL, m, lie_key(p, HOME));
}

static void proposal_inputs_swapped(struct play *p, size_t victim,
                                    Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);

    (void)victim;
    lie_swap(&m->inputs[0], &m->inputs[1]);
    call->proposal = lie_sign(p, ENVELOPE_PROPOSAL, m, lie_key(p, HOME));
}

static void proposal_without_input(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);

    (void)victim;
    m->n_inputs = 0;
    call->proposal = lie_sign(p, ENVELOPE_PROPOSAL, m, lie_key(p, HOME));
}

static void proposal_useless_input(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);
    static ProtobufCBinaryData boxes[VAULTS - 1];

    (void)victim;
    m->n_inputs = VAULTS - 1;
    m->inputs = boxes;
    call->proposal = lie_sign(p, ENVELOPE_PROPOSAL, m, lie_key(p, HOME));
}

/* ---- the table ---- */

static const struct lie lies[] = {
    {"a changed ACCEPT", accept_flipped, VICTIM, REGIONS, .want = FAULT_DENIED},
    {"a changed ACCEPT, home", accept_flipped, HOME, REGIONS, .want = FAULT_DENIED},
    {"the own ACCEPT changed", accept_of_own_flipped, VICTIM, REGIONS,
     .want = FAULT_DENIED},
    {"participants in another order", accept_other_order, VICTIM, REGIONS,
     .want = FAULT_CONFLICT},
    {"other versions", accept_other_versions, VICTIM, REGIONS, .want = FAULT_CONFLICT},
    {"another policy", accept_other_policy, VICTIM, REGIONS, .want = FAULT_CONFLICT},
    {"another question", accept_other_question, VICTIM, REGIONS, .want = FAULT_CONFLICT},
    {"a key of low order", accept_low_order, VICTIM, REGIONS, .want = FAULT_DENIED},
    {"another key to us than to the others", accept_other_key, VICTIM, REGIONS,
     .want = FAULT_CONFLICT},
    {"ACCEPTs swapped", accepts_swapped, VICTIM, REGIONS, .want = FAULT_DENIED},
    {"an ACCEPT twice", accept_twice, VICTIM, REGIONS, .want = FAULT_DENIED},
    {"an ACCEPT missing", accept_missing, VICTIM, REGIONS, .want = FAULT_CONFLICT},
    {"no ACCEPTs", accepts_none, VICTIM, REGIONS, .want = FAULT_CONFLICT},
    {"no ACCEPTs, home", accepts_none, HOME, REGIONS, .want = FAULT_CONFLICT},
    {"an ACCEPT of another session", accept_of_other_session, VICTIM, REGIONS,
     .want = FAULT_CONFLICT},
    {"ACCEPTs again", accepts_again, VICTIM, VERDICT, .want = FAULT_REPLAY},

    {"a proposal not of home", proposal_not_of_home, VICTIM, COUNT_SUM,
     .want = FAULT_DENIED},
    {"a changed proposal", proposal_flipped, VICTIM, COUNT_SUM, .want = FAULT_DENIED},
    {"somebody else is to propose", proposal_none, VICTIM, COUNT_SUM, .want = FAULT_DENIED},
    {"a proposal of another round", proposal_round, VICTIM, COUNT_SUM,
     .want = FAULT_CONFLICT},
    {"a proposal that leaves out the sums", proposal_kind, VICTIM, COUNT_SUM,
     .want = FAULT_CONFLICT},
    {"a proposal that leaves out the verdict", proposal_skips_to_sum, VICTIM, VERDICT,
     .want = FAULT_CONFLICT},
    {"a proposal on another transcript", proposal_transcript, VICTIM, COUNT_SUM,
     .want = FAULT_CONFLICT},
    {"a proposal for another session", proposal_session, VICTIM, COUNT_SUM,
     .want = FAULT_CONFLICT},
    {"a proposal of another session", proposal_of_other_session, VICTIM, COUNT_SUM,
     .want = FAULT_CONFLICT},
    {"an altered input", proposal_input, VICTIM, SUM, .line = true, .want = FAULT_CONFLICT},
    {"an altered input, the liar as well", proposal_input, LIAR, SUM, .line = true,
     .want = FAULT_CONFLICT},
    {"a shorter input", proposal_input_shorter, VICTIM, SUM, .line = true,
     .want = FAULT_CONFLICT},
    {"an input of another round", proposal_input_of_other_round, VICTIM, SUM, .line = true,
     .want = FAULT_CONFLICT},
    {"a changed input", proposal_input_flipped, VICTIM, SUM, .line = true,
     .want = FAULT_DENIED},
    {"inputs swapped", proposal_inputs_swapped, VICTIM, SUM, .line = true,
     .want = FAULT_DENIED},
    {"no input", proposal_without_input, VICTIM, SUM, .line = true, .want = FAULT_FORMAT},
    {"an input where there is none", proposal_useless_input, VICTIM, VERDICT,
     .want = FAULT_FORMAT},
};

static void test_session__finds_lies_about_proposals(void **state)
{
    (void)state;
    lies_tell(&t, lies, COUNT(lies));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_session__finds_lies_about_proposals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

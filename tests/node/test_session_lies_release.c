/*
 * test_session_lies_release.c - lies about the release, and about which session is meant.
 *
 * Each lie is told to one honest vault in the middle of an otherwise honest session
 * (lie.h).
 */
#include "tests/node/lie.h"
#include "tests/node/session_case.h"

static Cohortium__Proposal *proposal_in(struct play *p, const Cohortium__StepCall *call)
{
    return lie_open(p, ENVELOPE_PROPOSAL, &cohortium__proposal__descriptor,
                    PB_BYTES(call->proposal));
}

/* ---- lies about the release ---- */

static Cohortium__Release *release_in(struct play *p, const Cohortium__Proposal *m)
{
    Cohortium__Release *r;

    CHECK_OK_("release", p->cx,
              pb_unpack(p->cx, &cohortium__release__descriptor, PB_BYTES(m->release),
                        envelope_bound(ENVELOPE_RELEASE), &r));
    return r;
}

static void propose_release(struct play *p, Cohortium__StepCall *call,
                            Cohortium__Proposal *m, const Cohortium__Release *r)
{
    struct bytes body;

    CHECK_OK_("release", p->cx, pb_pack(p->cx, &r->base, &body));
    m->release = PB_DATA(body);
    call->proposal = lie_sign(p, ENVELOPE_PROPOSAL, m, lie_key(p, HOME));
}

static void release_number(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);
    Cohortium__Release *r = release_in(p, m);

    (void)victim;
    r->result->items[0]->values[0] += 1;
    propose_release(p, call, m, r);
}

static void release_note(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    static char *notes[] = {(char *)"all of them are ill"};
    Cohortium__Proposal *m = proposal_in(p, call);
    Cohortium__Release *r = release_in(p, m);

    (void)victim;
    r->result->notes = notes;
    r->result->n_notes = 1;
    propose_release(p, call, m, r);
}

static void release_withheld(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    static uint8_t reference[8] = {1};
    Cohortium__Proposal *m = proposal_in(p, call);
    Cohortium__Release *r = release_in(p, m);

    (void)victim;
    r->released = false;
    r->result = NULL;
    r->reference = PB_DATA(bytes_of(reference, sizeof reference));
    propose_release(p, call, m, r);
}

static void release_policy(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);
    Cohortium__Release *r = release_in(p, m);

    (void)victim;
    r->policy->fields[0]->number += 1;
    propose_release(p, call, m, r);
}

static void release_question(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);
    Cohortium__Release *r = release_in(p, m);

    (void)victim;
    r->question->cohort = NULL;
    propose_release(p, call, m, r);
}

static void release_participants(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);
    Cohortium__Release *r = release_in(p, m);

    (void)victim;
    r->n_participants--;
    propose_release(p, call, m, r);
}

static void release_none(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    Cohortium__Proposal *m = proposal_in(p, call);

    (void)victim;
    m->release = (ProtobufCBinaryData){0};
    call->proposal = lie_sign(p, ENVELOPE_PROPOSAL, m, lie_key(p, HOME));
}

/* ---- lies about which session ---- */

static void names_nobody(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)victim;
    call->request = lie_flip(p, call->request, 0);
}

static void names_shortly(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    (void)p;
    (void)victim;
    call->request.len--;
}

/* ---- the table ---- */

static const struct lie lies[] = {
    {"one number of the release", release_number, VICTIM, COUNT_RELEASE,
     .want = FAULT_CONFLICT},
    {"one number of the release, the other site", release_number, LIAR, COUNT_RELEASE,
     .want = FAULT_CONFLICT},
    {"words in the release", release_note, VICTIM, COUNT_RELEASE, .want = FAULT_CONFLICT},
    {"nothing released after all", release_withheld, VICTIM, COUNT_RELEASE,
     .want = FAULT_CONFLICT},
    {"another policy in the release", release_policy, VICTIM, COUNT_RELEASE,
     .want = FAULT_CONFLICT},
    {"another cohort in the release", release_question, VICTIM, COUNT_RELEASE,
     .want = FAULT_CONFLICT},
    {"a site less in the release", release_participants, VICTIM, COUNT_RELEASE,
     .want = FAULT_CONFLICT},
    {"no release", release_none, VICTIM, COUNT_RELEASE, .want = FAULT_CONFLICT},

    {"a session that is not there", names_nobody, VICTIM, VERDICT, .lives = true,
     .want = FAULT_MISSING},
    {"a name too short", names_shortly, VICTIM, VERDICT, .lives = true,
     .want = FAULT_FORMAT},
};

static void test_session__finds_lies_about_the_release(void **state)
{
    (void)state;
    lies_tell(&t, lies, COUNT(lies));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_session__finds_lies_about_the_release),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

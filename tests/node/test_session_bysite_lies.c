/*
 * test_session_bysite_lies.c - answers by site where they are not allowed, and a
 * coordinator that alters, mixes up or withholds them.
 *
 * A vault refuses at preflight and begin, and what the coordinator makes of the sites'
 * results is found by whoever verifies the receipt. Lies about the session between:
 * test_session_bysite_veto.c.
 */
#include "protocol/receipt.h"
#include "tests/node/lie.h"
#include "tests/node/session_case.h"

/* ---- the receipt ---- */

static struct play other;   /* another question */
static struct play earlier; /* the same question to the victim's import before */
static struct play before;  /* the same question, asked before */
static struct play later;   /* and after */

static ProtobufCBinaryData release_of(const struct play *p, size_t site)
{
    return p->answer[site]->release;
}

static Cohortium__Release *release_in(struct play *p, size_t site)
{
    return lie_open(p, ENVELOPE_RELEASE, &cohortium__release__descriptor,
                    PB_BYTES(release_of(p, site)));
}

static ProtobufCBinaryData altered(struct play *p, size_t site, const struct keys *keys)
{
    Cohortium__Release *r = release_in(p, site);

    r->result->items[0]->values[0] += 10;
    return lie_sign(p, ENVELOPE_RELEASE, r, keys);
}

static void one_bit(struct play *p, Cohortium__Receipt *r)
{
    r->releases[VICTIM] = lie_flip(p, r->releases[VICTIM], r->releases[VICTIM].len / 2);
}

/* The numbers of another body under the victim's true signature. */
static void one_number(struct play *p, Cohortium__Receipt *r)
{
    Cohortium__Envelope *e, *liars;
    struct bytes packed;

    CHECK_OK_("open", p->cx,
              pb_unpack(p->cx, &cohortium__envelope__descriptor,
                        PB_BYTES(r->releases[VICTIM]), LINK_MESSAGE_MAX, &e));
    CHECK_OK_("open", p->cx,
              pb_unpack(p->cx, &cohortium__envelope__descriptor,
                        PB_BYTES(altered(p, VICTIM, lie_key(p, LIAR))), LINK_MESSAGE_MAX,
                        &liars));
    e->body = liars->body;
    CHECK_OK_("pack", p->cx, pb_pack(p->cx, &e->base, &packed));
    r->releases[VICTIM] = PB_DATA(packed);
}

static void one_number_signed_by_another(struct play *p, Cohortium__Receipt *r)
{
    r->releases[VICTIM] = altered(p, VICTIM, lie_key(p, LIAR));
}

/* The site itself says otherwise than its log. */
static void one_number_signed_by_itself(struct play *p, Cohortium__Receipt *r)
{
    r->releases[VICTIM] = altered(p, VICTIM, lie_key(p, VICTIM));
}

static void swapped(struct play *p, Cohortium__Receipt *r)
{
    (void)p;
    lie_swap(&r->releases[LIAR], &r->releases[VICTIM]);
}

static void swapped_with_proofs(struct play *p, Cohortium__Receipt *r)
{
    Cohortium__LogProof *proof = r->proofs[LIAR];

    swapped(p, r);
    r->proofs[LIAR] = r->proofs[VICTIM];
    r->proofs[VICTIM] = proof;
}

static void proofs_swapped(struct play *p, Cohortium__Receipt *r)
{
    Cohortium__LogProof *proof = r->proofs[LIAR];

    (void)p;
    r->proofs[LIAR] = r->proofs[VICTIM];
    r->proofs[VICTIM] = proof;
}

static void dropped(struct play *p, Cohortium__Receipt *r)
{
    (void)p;
    r->n_releases--;
}

static void dropped_with_all_of_it(struct play *p, Cohortium__Receipt *r)
{
    dropped(p, r);
    r->n_proofs--;
    r->n_preflights--;
}

static void twice(struct play *p, Cohortium__Receipt *r)
{
    (void)p;
    r->releases[VICTIM] = r->releases[LIAR];
}

static void of_other_question(struct play *p, Cohortium__Receipt *r)
{
    (void)p;
    r->releases[VICTIM] = release_of(&other, VICTIM);
}

static void of_other_question_with_proof(struct play *p, Cohortium__Receipt *r)
{
    of_other_question(p, r);
    r->proofs[VICTIM] = other.answer[VICTIM]->proof;
}

static void of_earlier_import(struct play *p, Cohortium__Receipt *r)
{
    (void)p;
    r->releases[VICTIM] = release_of(&earlier, VICTIM);
    r->proofs[VICTIM] = earlier.answer[VICTIM]->proof;
}

static void of_earlier_import_with_preflight(struct play *p, Cohortium__Receipt *r)
{
    of_earlier_import(p, r);
    r->preflights[VICTIM] = PB_DATA(earlier.preflight[VICTIM]);
}

static void proof_of_later_request(struct play *p, Cohortium__Receipt *r)
{
    (void)p;
    r->proofs[VICTIM] = later.answer[VICTIM]->proof;
}

static void joined_into_one(struct play *p, Cohortium__Receipt *r)
{
    (void)p;
    r->n_releases = 1;
}

static void not_released_after_all(struct play *p, Cohortium__Receipt *r)
{
    static uint8_t reference[8] = {1};
    Cohortium__Release *m = release_in(p, VICTIM);

    m->released = false;
    m->result = NULL;
    m->reference = PB_DATA(bytes_of(reference, sizeof reference));
    r->releases[VICTIM] = lie_sign(p, ENVELOPE_RELEASE, m, lie_key(p, LIAR));
}

static const struct bysite_lie {
    const char *what;
    void (*lie)(struct play *p, Cohortium__Receipt *r);
    const char *says;
} lies[] = {
    {"the truth", NULL, NULL},
    {"one bit", one_bit, "release: "},
    {"one number", one_number, "site_c has not signed it"},
    {"one number, signed by another site", one_number_signed_by_another,
     "site_c has not signed it"},
    {"one number, signed by the site", one_number_signed_by_itself,
     "the record of site_c is of another release"},
    {"NOT_RELEASED, signed by another site", not_released_after_all,
     "site_c has not signed it"},
    {"two swapped", swapped, "participants are not the sites"},
    {"two swapped, logs too", swapped_with_proofs, "participants are not the sites"},
    {"only the logs swapped", proofs_swapped, "record 2 is not that of site_b"},
    {"one dropped", dropped, "2 in it, expected 3"},
    {"one dropped with all papers", dropped_with_all_of_it,
     "preflight: that of site_c is missing"},
    {"one twice", twice, "participants are not the sites"},
    {"one of another question", of_other_question, "another question than was asked"},
    {"one of another question, with its log", of_other_question_with_proof,
     "ACCEPT: that of site_a is missing"},
    {"one of an earlier import, with its preflight", of_earlier_import_with_preflight,
     "that of site_c answers another request"},
    {"the log of a later request", proof_of_later_request,
     "the record of site_c is of another request"},
    {"one release for all", joined_into_one, "1 in it, expected 3"},
};

/* ---- of a session ---- */

static void accept_dropped(struct play *p, Cohortium__Receipt *r)
{
    (void)p;
    r->n_accepts--;
}

static void accept_of_other_question(struct play *p, Cohortium__Receipt *r)
{
    (void)p;
    r->accepts[VICTIM] = PB_DATA(other.accept[VICTIM]);
}

static void accept_of_one_participant(struct play *p, Cohortium__Receipt *r)
{
    Cohortium__Accept *a = lie_open(p, ENVELOPE_ACCEPT, &cohortium__accept__descriptor,
                                    PB_BYTES(r->accepts[VICTIM]));

    a->participants += VICTIM;
    a->versions += VICTIM;
    a->n_participants = a->n_versions = 1;
    r->accepts[VICTIM] = lie_sign(p, ENVELOPE_ACCEPT, a, lie_key(p, VICTIM));
}

static void none_accepted(struct play *p, Cohortium__Receipt *r)
{
    (void)p;
    r->n_accepts = 0;
}

static const struct bysite_lie session_lies[] = {
    {"the truth", NULL, NULL},
    {"an ACCEPT dropped", accept_dropped, "ACCEPT: that of site_c is missing"},
    {"all ACCEPTs dropped", none_accepted, "ACCEPT: that of site_a is missing"},
    {"an ACCEPT of another question", accept_of_other_question,
     "site_c accepts another request"},
    {"an ACCEPT of itself alone", accept_of_one_participant, "site_c names 1 participants"},
    {"one of an earlier import", of_earlier_import, "question digest does not follow"},
    {"one release of another question", of_other_question_with_proof,
     "site_c accepts another question"},
    {"NOT_RELEASED, signed by another site", not_released_after_all,
     "site_c has not signed it"},
};

static void check_lie(struct play *p, const struct bysite_lie *l)
{
    Cohortium__Receipt *r = play_receipt(p);
    struct receipt_facts facts;

    if (l->lie != NULL)
        l->lie(p, r);
    enum fault fault = receipt_verify(p->cx, r, t.genesis, &facts);

    if (fault != (l->lie != NULL ? FAULT_DENIED : FAULT_NONE))
        fail_msg("%s: %s", l->what, fault_name(fault));
    if (l->says != NULL && strstr(cx_message(p->cx), l->says) == NULL)
        fail_msg("%s: want `%s`, got: %s", l->what, l->says, cx_message(p->cx));
}

static void test_session__finds_lies_by_site(void **state)
{
    struct play p;
    (void)state;

    permit_by_site(0);
    ask_each(&earlier, "count", NULL, "age >= 60");
    answer_each(&earlier);
    vaults_import(&t, VICTIM);
    ask_each(&other, "count", NULL, "age >= 40");
    answer_each(&other);
    ask_each(&before, "count", NULL, "age >= 60");
    answer_each(&before);
    ask_each(&p, "count", NULL, "age >= 60");
    answer_each(&p);
    ask_each(&later, "count", NULL, "age >= 60");
    answer_each(&later);
    for (size_t i = 0; i < COUNT(session_lies); i++)
        check_lie(&before, &session_lies[i]);
    for (size_t i = 0; i < COUNT(lies); i++)
        check_lie(&p, &lies[i]);
    play_free(&later);
    play_free(&p);
    play_free(&before);
    play_free(&other);
    play_free(&earlier);
}

/* ---- where it is not allowed ---- */

static void not_allowed(size_t site, const char *code)
{
    struct play p;

    ask_each(&p, "count", NULL, "age >= 60");
    for (size_t i = 0; i < VAULTS; i++) {
        CHECK_EQ_("preflight", play_preflight(&p, i), FAULT_NONE);
        const Cohortium__Preflight *m = play_preflight_of(&p, i);

        CHECK_EQ_(code, m->n_complaints, site == VAULTS || i == site);
        if (m->n_complaints > 0)
            assert_string_equal(m->complaints[0]->code, code);
    }
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("begin", play_begin(&p, i, i == LIAR), FAULT_INVALID);
    check_count(TABLE_ANSWERS, 0);
    check_count(TABLE_CHARGES, 0);
    play_free(&p);
}

static void test_session__one_site_does_not_allow_by_site(void **state)
{
    (void)state;
    permit_by_site(0);
    vaults_policy(&t, VICTIM, CAUTIOUS);
    not_allowed(VICTIM, "by_site_not_allowed");
}

/* It says nothing of it at preflight: the others read its policy. */
static void test_session__a_silent_policy_against_by_site(void **state)
{
    struct play p;
    size_t changed = 0;
    (void)state;

    permit_by_site(0);
    ask_each(&p, "count", NULL, "age >= 60");
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight", play_preflight(&p, i), FAULT_NONE);
    Cohortium__Preflight *m = lie_open(
        &p, ENVELOPE_PREFLIGHT, &cohortium__preflight__descriptor, p.preflight[LIAR]);
    for (size_t i = 0; i < m->policy->n_fields; i++)
        if (strcmp(m->policy->fields[i]->name, "by_site") == 0) {
            m->policy->fields[i]->number = 0;
            changed++;
        }
    CHECK_EQ_("fields", changed, 1);
    p.preflight[LIAR] = PB_BYTES(lie_sign(&p, ENVELOPE_PREFLIGHT, m, lie_key(&p, LIAR)));
    CHECK_EQ_("it says two things", play_begin(&p, HOME, false), FAULT_CONFLICT);
    m->by_site = false;
    p.preflight[LIAR] = PB_BYTES(lie_sign(&p, ENVELOPE_PREFLIGHT, m, lie_key(&p, LIAR)));
    CHECK_EQ_("begin", play_begin(&p, HOME, false), FAULT_INVALID);
    CHECK_EQ_("begin", play_begin(&p, VICTIM, true), FAULT_INVALID);
    CHECK_("says why", strstr(p.message, "allows no answers by site") != NULL);
    check_count(TABLE_ANSWERS, 0);
    play_free(&p);
}

static void test_session__the_permit_does_not_allow_by_site(void **state)
{
    (void)state;
    not_allowed(VAULTS, "by_site_not_permitted");
}

/* It allowed it when it gave its preflight. */
static void test_session__a_site_allows_by_site_no_more(void **state)
{
    struct play p;
    (void)state;

    permit_by_site(0);
    ask_each(&p, "count", NULL, "age >= 60");
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight", play_preflight(&p, i), FAULT_NONE);
    vaults_policy(&t, VICTIM, CAUTIOUS);
    CHECK_EQ_("begin", play_begin(&p, VICTIM, false), FAULT_CONFLICT);
    CHECK_EQ_("begin", play_begin(&p, VICTIM, true), FAULT_CONFLICT);
    CHECK_EQ_("no answer", vaults_count(&t, VICTIM, TABLE_ANSWERS), 0);
    CHECK_EQ_("asked anew", play_preflight(&p, VICTIM), FAULT_NONE);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("begin", play_begin(&p, i, false), FAULT_INVALID);
    check_count(TABLE_ANSWERS, 0);
    play_free(&p);
}

/* The neighbour: what a site gave while it allowed it, it does not give now. */
static void test_session__an_answer_by_site_of_yesterday(void **state)
{
    struct play p, q;
    (void)state;

    permit_by_site(0);
    ask_each(&p, "count", NULL, "age >= 60");
    answer_each(&p);
    vaults_policy(&t, VICTIM, CAUTIOUS);
    CHECK_EQ_("old papers", play_begin(&p, VICTIM, false), FAULT_CONFLICT);
    ask_each(&q, "count", NULL, "age >= 60");
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight", play_preflight(&q, i), FAULT_NONE);
    CHECK_EQ_("new ones", play_begin(&q, VICTIM, false), FAULT_INVALID);
    play_free(&q);
    play_free(&p);
}

/* ---- a pooled question that runs, turned into one by site ---- */

/* The running request with by_site set under the researcher's true signature. */
static struct bytes bent_request(struct play *p)
{
    Cohortium__Request *r =
        lie_open(p, ENVELOPE_REQUEST, &cohortium__request__descriptor, p->request);
    Cohortium__Envelope *e;
    struct bytes packed;

    CHECK_OK_("open", p->cx,
              pb_unpack(p->cx, &cohortium__envelope__descriptor, p->request,
                        LINK_MESSAGE_MAX, &e));
    r->question->by_site = true;
    CHECK_OK_("pack", p->cx, pb_pack(p->cx, &r->base, &packed));
    e->body = PB_DATA(packed);
    CHECK_OK_("pack", p->cx, pb_pack(p->cx, &e->base, &packed));
    return packed;
}

static void test_session__pooled_turned_into_by_site(void **state)
{
    struct play p, bent, again;
    struct bytes honest;
    (void)state;

    permit_by_site(0);
    ask(&p, "age >= 60");
    play_start(&p);
    play_round(&p);
    honest = p.request;

    /* The coordinator alone: the signature breaks. */
    p.request = bent_request(&p);
    for (size_t i = 0; i < VAULTS; i++) {
        CHECK_EQ_("begin", play_begin(&p, i, false), FAULT_DENIED);
        CHECK_EQ_("begin anew", play_begin(&p, i, true), FAULT_DENIED);
    }
    /* With the researcher's help: the same request by another body. */
    Cohortium__Request *r =
        lie_open(&p, ENVELOPE_REQUEST, &cohortium__request__descriptor, honest);
    r->question->by_site = true;
    play_new(&bent, &t, PB_BYTES(lie_sign(&p, ENVELOPE_REQUEST, r, t.researcher)));
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("preflight", play_preflight(&bent, i), FAULT_REPLAY);
    memcpy(bent.preflight, p.preflight, sizeof bent.preflight);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("begin", play_begin(&bent, i, i == LIAR), FAULT_CONFLICT);
    /* Another request, which is a question of its own: not on the papers of this one. */
    ask_each(&again, "count", NULL, "age >= 60");
    memcpy(again.preflight, p.preflight, sizeof again.preflight);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("begin", play_begin(&again, i, false), FAULT_CONFLICT);
    check_count(TABLE_ANSWERS, 0);
    check_count(TABLE_CHARGES, 1);
    /* The running one is as it was. */
    p.request = honest;
    play_finish(&p);
    CHECK_("released", play_release(&p, VICTIM)->released);
    CHECK_EQ_("pooled", play_release(&p, VICTIM)->n_participants, VAULTS);
    /* On papers of its own it is answered, and charged. */
    answer_each(&again);
    check_count(TABLE_CHARGES, 2);
    play_free(&again);
    play_free(&bent);
    play_free(&p);
}

/* Its results by site for the pooled ones of the same question. */
static void test_session__by_site_shown_as_pooled(void **state)
{
    struct play p, q;
    struct receipt_facts facts;
    (void)state;

    permit_by_site(0);
    ask(&p, "age >= 60");
    play_whole(&p);
    ask_each(&q, "count", NULL, "age >= 60");
    answer_each(&q);
    Cohortium__Receipt *r = play_receipt(&p);
    CHECK_OK_("the truth", p.cx, receipt_verify(p.cx, r, t.genesis, &facts));
    r->releases[0] = release_of(&q, HOME);
    CHECK_EQ_("one site's", receipt_verify(p.cx, r, t.genesis, &facts), FAULT_DENIED);
    r = play_receipt(&q);
    CHECK_OK_("the truth", q.cx, receipt_verify(q.cx, r, t.genesis, &facts));
    for (size_t i = 0; i < VAULTS; i++)
        r->releases[i] = release_of(&p, i);
    CHECK_EQ_("the pool's", receipt_verify(q.cx, r, t.genesis, &facts), FAULT_DENIED);
    play_free(&q);
    play_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_session__finds_lies_by_site),
        UNDER(by_site, test_session__one_site_does_not_allow_by_site),
        UNDER(by_site, test_session__a_silent_policy_against_by_site),
        UNDER(by_site, test_session__the_permit_does_not_allow_by_site),
        UNDER(by_site, test_session__a_site_allows_by_site_no_more),
        UNDER(by_site, test_session__an_answer_by_site_of_yesterday),
        UNDER(by_site, test_session__pooled_turned_into_by_site),
        UNDER(by_site, test_session__by_site_shown_as_pooled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

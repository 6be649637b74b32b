/* What receipt.h promises: every part is checked, and the first that is wrong is named. */
#include "protocol/receipt.h"

#include <unistd.h>

#include "tests/check.h"
#include "tests/protocol/receipt_draft.h"

enum { SITES = CONSORTIUM_SITES };

static struct cx *cx;
static struct consortium c;

static int set_up(void **state)
{
    (void)state;
    cx = cx_new(1 << 27, CX_NO_DEADLINE);
    if (cx == NULL)
        return 1;
    consortium_new(cx, &c);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    consortium_free(&c);
    cx_free(&cx);
    return 0;
}

static void refused(const char *row, struct draft *d, const char *words)
{
    struct receipt_facts facts;
    enum fault fault = receipt_verify(cx, &d->receipt, c.manifest->consortium, &facts);

    if (fault != FAULT_DENIED || strstr(cx_message(cx), words) == NULL)
        fail_msg("%s: %s: \"%s\", expected denied and \"%s\"", row, fault_name(fault),
                 cx_message(cx), words);
}

static void test_receipt__holds(void **state)
{
    static const struct {
        const char *what;
        bool by_site, repeat, not_released, accepts;
    } rows[] = {
        {"pooled", false, false, false, true},
        {"not released", false, false, true, true},
        {"a repeat", false, true, false, false},
        {"a repeat beside a rerun", false, true, false, true},
        {"by site", true, false, false, true},
        {"by site, not released", true, false, true, true},
        {"by site, a repeat", true, true, false, false},
    };
    static struct draft d;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct receipt_facts facts;

        draft_new(&d, cx, &c, rows[i].by_site);
        d.repeat = rows[i].repeat;
        d.not_released = rows[i].not_released;
        d.n_accepts = rows[i].accepts ? SITES : 0;
        draft_fill(&d);
        draft_seal(&d);
        CHECK_OK_(rows[i].what, cx,
                  receipt_verify(cx, &d.receipt, c.manifest->consortium, &facts));
        CHECK_EQ_(rows[i].what, facts.n_sites, SITES);
        CHECK_EQ_(rows[i].what, facts.release == NULL, rows[i].by_site);
        CHECK_EQ_(rows[i].what, facts.site_releases != NULL, rows[i].by_site);
        CHECK_EQ_(rows[i].what, facts.answered_at, (int64_t)d.records[2].time);
        CHECK_EQ_(rows[i].what, facts.exact_for_testing, false);
        CHECK_(rows[i].what, facts.n_statements >= 7);
        CHECK_(rows[i].what, strstr(facts.statements[1], "pinned") != NULL);
        CHECK_OK_("its own genesis", cx, receipt_verify(cx, &d.receipt, NULL, &facts));
        CHECK_(rows[i].what, strstr(facts.statements[1], "compare") != NULL);
    }
}

static void test_receipt__testing_class_is_said(void **state)
{
    static struct draft d;
    struct receipt_facts facts;

    (void)state;
    draft_new(&d, cx, &c, false);
    d.policy.policy_class = (char *)"testing";
    draft_fill(&d);
    for (int i = 0; i < SITES; i++)
        d.releases[i].exact_for_testing = true;
    draft_seal(&d);
    CHECK_OK_("testing", cx, receipt_verify(cx, &d.receipt, NULL, &facts));
    assert_true(facts.exact_for_testing);
    d.releases[0].exact_for_testing = false;
    draft_seal(&d);
    refused("a hidden mark", &d, "exact_for_testing");
}

/* What a cheat could sign anew: each row lies in one part, before the sealing. */
static void test_receipt__lies_are_named(void **state)
{
    static const struct {
        const char *what, *words;
    } rows[] = {
        {"preflight of another request",
         "preflight: that of site_b answers another request"},
        {"preflight with a complaint", "site_b complained"},
        {"preflight of another version", "ACCEPT: that of site_a names another version"},
        {"preflight signed by another", "preflight: that of site_b does not carry"},
        {"preflight by an outsider", "preflight: one was issued by a node"},
        {"preflight without by-site", "does not allow answers by site"},
        {"ACCEPT of another request", "ACCEPT: that of site_b accepts another request"},
        {"ACCEPT of another question", "ACCEPT: that of site_b accepts another question"},
        {"ACCEPT of other participants", "ACCEPT: that of site_b names 2 participants"},
        {"ACCEPT of other versions",
         "ACCEPT: that of site_b names another version of site_a"},
        {"ACCEPT of another policy", "ACCEPT: that of site_b names another session policy"},
        {"ACCEPT signed by another", "ACCEPT: that of site_b does not carry"},
        {"release of another question", "ACCEPT: that of site_a accepts another question"},
        {"release with a made-up digest", "release: its question digest"},
        {"release one signature short", "release: site_c has not signed"},
        {"release without a result", "release: it says released"},
        {"NOT_RELEASED with a result", "release: a NOT_RELEASED"},
        {"record of another kind", "log: the record of site_b is of kind"},
        {"record of another request", "log: the record of site_b is of another request"},
        {"record of another question", "log: the record of site_b is of another question"},
        {"record of another release", "log: the record of site_b is of another release"},
        {"record of another decision", "log: the record of site_b says"},
        {"record of another researcher",
         "log: the record of site_b is of another researcher"},
        {"record of another permit", "log: the record of site_b is of another permit"},
        {"checkpoint signed by another", "checkpoint of cohortium/"},
        {"record long after the manifest", "not valid any more"},
        {"record before the request", "request: "},
        {"record of another policy", "log: the record of site_b is of another policy"},
        {"by site without an ACCEPT", "ACCEPT: that of site_c is missing"},
        {"by site without any", "ACCEPT: that of site_a is missing"},
        {"by site, a record of no session", "log: the record of site_b names no session"},
        {"by site, a record of another session",
         "log: the record of site_b is of another session"},
        {"by site, one is not released", "by site it is all of them or none"},
        {"by site, a question of its own version alone", "accepts another question"},
        {"by site, an ACCEPT of one participant", "that of site_b names 1 participants"},
        {"by site, of all participants",
         "release: 3 participants and 3 versions, expected 1"},
    };
    static struct draft d;
    Cohortium__Complaint complaint = COHORTIUM__COMPLAINT__INIT,
                         *complaints[] = {&complaint};
    ProtobufCBinaryData wrong = PB_DATA(bytes_of(c.id[2], 32)), short_wrong = wrong;
    Cohortium__Question other;
    uint8_t changed[16] = {0x10};
    ProtobufCBinaryData versions[SITES];

    (void)state;
    short_wrong.len = 16;
    for (size_t i = 0; i < COUNT(rows); i++) {
        draft_new(&d, cx, &c, i == 5 || i >= 28);
        if (i == 5 || i == 29)
            d.n_accepts = 0;
        if (i == 28)
            d.n_accepts = 2;
        if (i == 11)
            d.accept_key = c.node[2];
        if (i == 3)
            d.preflight_key = c.node[2];
        if (i == 24)
            d.log_key = c.node[2];
        draft_fill(&d);
        memcpy(versions, d.versions, sizeof versions);
        versions[0] = PB_DATA(bytes_of(changed, 16));
        Cohortium__Preflight *p = &d.preflights[1];
        Cohortium__Accept *a = &d.accepts[1];
        Cohortium__Release *r = &d.releases[0];
        struct bytes own_version = PB_BYTES(d.versions[1]);
        uint8_t own_question[32];
        switch (i) {
        case 0:
            p->request = wrong;
            break;
        case 1:
            p->complaints = complaints;
            p->n_complaints = 1;
            break;
        case 2:
            p->version = short_wrong;
            break;
        case 4:
            p->stamp->issuer = PB_DATA(bytes_of(d.who, 32));
            break;
        case 5:
            p->by_site = false;
            break;
        case 6:
            a->request = wrong;
            break;
        case 7:
            a->question = wrong;
            break;
        case 8:
            a->n_participants = 2;
            break;
        case 9:
            a->versions = versions;
            break;
        case 10:
            a->policy = wrong;
            break;
        case 12:
            other = *r->question;
            other.analysis = (char *)"table";
            r->question = &other;
            break;
        case 13:
            r->question_digest = wrong;
            break;
        case 14:
            d.release_signers = 2;
            break;
        case 15:
            r->result = NULL;
            break;
        case 16:
            r->released = false;
            break;
        case 32:
            d.releases[1].released = false;
            d.releases[1].result = NULL;
            d.releases[1].reference = PB_DATA(bytes_of("12345678", 8));
            break;
        case 33:
            CHECK_OK_("own version", cx,
                      question_digest(cx, r->question, &own_version, 1, d.policy_digest,
                                      own_question));
            a->question = PB_DATA(bytes_of(own_question, sizeof own_question));
            break;
        case 34:
            a->n_participants = a->n_versions = 1;
            break;
        case 35:
            r->participants = d.participants;
            r->versions = d.versions;
            r->n_participants = r->n_versions = SITES;
            break;
        default:
            break;
        }
        seal_releases(&d);
        Cohortium__LogRecord *l = &d.records[1];
        switch (i) {
        case 17:
            l->kind = (char *)"import";
            break;
        case 18:
            l->subject = wrong;
            break;
        case 19:
            l->question = wrong;
            break;
        case 20:
            l->outcome = wrong;
            break;
        case 21:
            l->decision = (char *)"not_released";
            break;
        case 22:
            l->who = wrong;
            break;
        case 23:
            l->permit = short_wrong;
            break;
        case 25:
            l->time = c.body.valid_until + 1;
            break;
        case 26:
            l->time -= 1000000;
            break;
        case 27:
            l->policy = wrong;
            break;
        case 30:
            l->transcript = (ProtobufCBinaryData){0};
            break;
        case 31:
            l->transcript = wrong;
            break;
        default:
            break;
        }
        seal_logs(&d);
        seal_rest(&d);
        refused(rows[i].what, &d, rows[i].words);
    }
}

/* What anyone can do to a true receipt without a key: each part damaged, missing, doubled.
 */
static void test_receipt__tampering_is_named(void **state)
{
    static const struct {
        const char *what, *words;
    } rows[] = {
        {"manifest", "manifest chain: "},
        {"no manifest", "manifest chain: "},
        {"request", "request: "},
        {"permit", "permit: "},
        {"no permit", "permit: no officer of site_a"},
        {"preflight", "preflight: "},
        {"a missing preflight", "preflight: that of site_c is missing"},
        {"a preflight twice", "preflight: site_a has two"},
        {"ACCEPT", "ACCEPT: "},
        {"a missing ACCEPT", "ACCEPT: that of site_c is missing"},
        {"no ACCEPTs", "ACCEPT: that of site_a is missing"},
        {"release", "release"},
        {"a second release", "release: 2 in it"},
        {"leaf", "log"},
        {"path", "log: the record of site_b is not in the log"},
        {"a short path", "log: the record of site_b is not in the log"},
        {"index", "log: the record of site_b is not in the log"},
        {"size", "log: the proof of site_b is for a log of 3"},
        {"checkpoint", "checkpoint of cohortium/"},
        {"another site's checkpoint", "a checkpoint of another log"},
        {"proofs out of order", "log: record 1 is not that of site_a"},
        {"a missing proof", "log: 2 records"},
        {"no proofs", "log: it holds no record"},
        {"a round's digest", "rounds: what the sites have logged does not follow"},
        {"a missing round", "rounds: what the sites have logged does not follow"},
        {"no rounds", "rounds: what the sites have logged does not follow"},
        {"rounds out of order", "rounds: what the sites have logged does not follow"},
        {"a round of a site too few", "rounds: round 1 does not hold 4 digests"},
        {"version", "version 2, expected 1"},
    };
    static struct draft d;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Receipt *r = &d.receipt;
        ProtobufCBinaryData *part = NULL;
        Cohortium__LogProof *proof;

        draft_new(&d, cx, &c, false);
        draft_fill(&d);
        seal_releases(&d);
        seal_logs(&d);
        seal_rest(&d);
        proof = d.proof_list[1];
        switch (i) {
        case 0:
            part = &r->manifests[0];
            break;
        case 1:
            r->n_manifests = 0;
            break;
        case 2:
            part = &r->request;
            break;
        case 3:
            part = &r->permits[0];
            break;
        case 4:
            r->n_permits = 0;
            break;
        case 5:
            part = &r->preflights[1];
            break;
        case 6:
            r->n_preflights = 2;
            break;
        case 7:
            r->preflights[1] = r->preflights[0];
            break;
        case 8:
            part = &r->accepts[1];
            break;
        case 9:
            r->n_accepts = 2;
            break;
        case 10:
            r->n_accepts = 0;
            break;
        case 11:
            part = &r->releases[0];
            break;
        case 12:
            r->releases[1] = r->releases[0];
            r->n_releases = 2;
            break;
        case 13:
            part = &proof->record;
            break;
        case 14:
            part = &proof->path[0];
            break;
        case 15:
            proof->n_path = 0;
            break;
        case 16:
            proof->index = 0;
            break;
        case 17:
            proof->size = 3;
            break;
        case 18:
            proof->checkpoint = cx_strdup(cx, proof->checkpoint);
            assert_non_null(proof->checkpoint);
            proof->checkpoint[strlen(proof->checkpoint) - 20] ^= 1;
            break;
        case 19:
            proof->checkpoint = d.proof_list[0]->checkpoint;
            break;
        case 20:
            d.proof_list[1] = d.proof_list[0];
            d.proof_list[0] = proof;
            break;
        case 21:
            r->n_proofs = 2;
            break;
        case 22:
            r->n_proofs = 0;
            break;
        case 23:
            part = &r->rounds[0];
            break;
        case 24:
            r->n_rounds = 1;
            break;
        case 25:
            r->n_rounds = 0;
            break;
        case 26:
            d.rounds[0] = d.rounds[1];
            d.rounds[1] = PB_DATA(bytes_of(d.round_digests[0], sizeof d.round_digests[0]));
            break;
        case 27:
            r->rounds[1].len -= 32;
            break;
        default:
            r->version = 2;
            break;
        }
        if (part != NULL) { /* a bit near the end: within the signature or the last field */
            uint8_t *copy = cx_memdup(cx, part->data, part->len);

            assert_non_null(copy);
            copy[part->len - 10] ^= 1;
            *part = PB_DATA(bytes_of(copy, part->len));
        }
        /* The pooled release loses only the signature that was hit. */
        refused(rows[i].what, &d, rows[i].words);
    }
}

/* The same sites have begun this very request twice; all signed both times. What is shown
 * must be of the session that they logged: another ephemeral key, or another memory gone on
 * from, is nobody's to choose afterwards. A repeated answer is of no session shown here. */
static void test_receipt__accepts_of_another_session(void **state)
{
    static struct draft d, other;

    (void)state;
    for (size_t i = 0; i <= SITES; i++) {
        static uint8_t nonce[32] = {0x99};

        draft_new(&d, cx, &c, false);
        draft_fill(&d);
        draft_seal(&d);
        draft_new(&other, cx, &c, false);
        other.request = d.request;
        draft_fill(&other);
        for (size_t k = 0; k < SITES; k++)
            if (k == i || i == SITES)
                other.accepts[k].nonce = PB_DATA(bytes_of(nonce, sizeof nonce));
        draft_seal(&other);
        for (size_t k = 0; k < SITES; k++)
            if (k == i || i == SITES)
                d.receipt.accepts[k] = other.receipt.accepts[k];
        refused("ACCEPTs of another session", &d,
                "rounds: what the sites have logged does not follow");
    }
    draft_new(&d, cx, &c, false);
    d.repeat = true;
    d.n_accepts = 0;
    draft_fill(&d);
    draft_seal(&d);
    d.receipt.n_rounds = 1;
    refused("rounds beside a repeated answer", &d, "rounds: 1 of no session");
}

static void test_receipt__permit_of_its_time(void **state)
{
    static struct draft d;
    struct receipt_facts facts;
    Cohortium__Permit *ended = consortium_permit(cx, &c),
                      *stranger = consortium_permit(cx, &c);

    (void)state;
    ended->not_after = (uint64_t)c.now - 1;
    draft_new(&d, cx, &c, false);
    d.permit = consortium_seal(cx, ENVELOPE_PERMIT, &ended->base, c.officer, SITES);
    draft_fill(&d);
    draft_seal(&d);
    refused("an expired permit", &d, "ended at");
    stranger->researchers[0] = PB_DATA(bytes_of(keys_signing_public(c.officer[0]), 32));
    draft_new(&d, cx, &c, false);
    d.permit = consortium_seal(cx, ENVELOPE_PERMIT, &stranger->base, c.officer, SITES);
    draft_fill(&d);
    draft_seal(&d);
    refused("another researcher's permit", &d, "does not name researcher ada");
    draft_new(&d, cx, &c, false);
    draft_fill(&d);
    d.permit = consortium_seal(cx, ENVELOPE_PERMIT, &consortium_permit(cx, &c)->base,
                               c.officer, 2);
    draft_seal(&d);
    refused("a permit one signature short", &d, "officers of 2");
    draft_new(&d, cx, &c, false);
    d.request->dry_run = true;
    draft_fill(&d);
    draft_seal(&d);
    CHECK_EQ_("a dry run", receipt_verify(cx, &d.receipt, NULL, &facts), FAULT_INVALID);
}

static void test_receipt__question_digest(void **state)
{
    Cohortium__Question *q = consortium_request(cx, &c)->question;
    Cohortium__Model model = COHORTIUM__MODEL__INIT;
    struct bytes versions[2] = {bytes_of("0123456789abcdef", 16),
                                bytes_of("fedcba9876543210", 16)};
    struct bytes swapped[2] = {versions[1], versions[0]}, bad = bytes_of("x", 1);
    uint8_t a[32], b[32], policy[32] = {1};

    (void)state;
    q->params->model = &model;
    model.formula = (char *)"y ~ x";
    CHECK_OK_("a", cx, question_digest(cx, q, versions, 2, policy, a));
    model.formula = (char *)"y ~ 1 + x";
    CHECK_OK_("b", cx, question_digest(cx, q, versions, 2, policy, b));
    assert_memory_equal(a, b, 32);
    assert_string_equal(model.formula, "y ~ 1 + x");
    CHECK_OK_("swapped", cx, question_digest(cx, q, swapped, 2, policy, b));
    assert_memory_not_equal(a, b, 32);
    model.family = (char *)"binomial";
    CHECK_OK_("another family", cx, question_digest(cx, q, versions, 2, policy, b));
    assert_memory_not_equal(a, b, 32);
    model.family = (char *)"";
    policy[0] = 2;
    CHECK_OK_("another policy", cx, question_digest(cx, q, versions, 2, policy, b));
    assert_memory_not_equal(a, b, 32);
    CHECK_EQ_("a short version", question_digest(cx, q, &bad, 1, policy, b), FAULT_FORMAT);

    Cohortium__Policy p = COHORTIUM__POLICY__INIT;
    CHECK_OK_("policy", cx, policy_digest(cx, &p, a));
    p.text = (char *)"# words for people";
    CHECK_OK_("with its text", cx, policy_digest(cx, &p, b));
    assert_memory_equal(a, b, 32);
    p.serial = 1;
    CHECK_OK_("another serial", cx, policy_digest(cx, &p, b));
    assert_memory_not_equal(a, b, 32);
}

static void test_receipt__file(void **state)
{
    char path[] = "/tmp/cohortium-receipt-XXXXXX";
    static struct draft d;
    struct bytes packed, back;
    Cohortium__Receipt *parsed;
    struct receipt_facts facts;

    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    draft_new(&d, cx, &c, false);
    draft_fill(&d);
    draft_seal(&d);
    CHECK_OK_("pack", cx, pb_pack(cx, &d.receipt.base, &packed));
    for (size_t less = 0; less < 3; less++) { /* every kind of base64 padding */
        CHECK_OK_("write", cx,
                  receipt_write(cx, bytes_of(packed.p, packed.n - less), path));
        CHECK_OK_("read", cx, receipt_read(cx, path, &back));
        assert_true(bytes_equal(back, bytes_of(packed.p, packed.n - less)));
    }
    CHECK_OK_("write", cx, receipt_write(cx, packed, path));
    CHECK_OK_("read", cx, receipt_read(cx, path, &back));
    CHECK_OK_("parse", cx,
              pb_unpack(cx, &cohortium__receipt__descriptor, back, RECEIPT_MAX, &parsed));
    CHECK_OK_("verify", cx, receipt_verify(cx, parsed, c.manifest->consortium, &facts));
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    (void)fputs("!\n", f);
    (void)fclose(f);
    CHECK_EQ_("a line that is no base64", receipt_read(cx, path, &back), FAULT_FORMAT);
    f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs("cohortium receipt 2\nAAAA\n", f);
    (void)fclose(f);
    CHECK_EQ_("another first line", receipt_read(cx, path, &back), FAULT_FORMAT);
    (void)unlink(path);
    CHECK_EQ_("no file", receipt_read(cx, path, &back), FAULT_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receipt__holds),
        cmocka_unit_test(test_receipt__testing_class_is_said),
        cmocka_unit_test(test_receipt__lies_are_named),
        cmocka_unit_test(test_receipt__tampering_is_named),
        cmocka_unit_test(test_receipt__accepts_of_another_session),
        cmocka_unit_test(test_receipt__permit_of_its_time),
        cmocka_unit_test(test_receipt__question_digest),
        cmocka_unit_test(test_receipt__file),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* What papers.h promises: who may ask what, each forgery refused by name. */
#include "protocol/papers.h"

#include "tests/check.h"
#include "tests/protocol/consortium.h"

static struct cx *cx;
static struct consortium c;

static int set_up(void **state)
{
    (void)state;
    cx = cx_new(1 << 26, CX_NO_DEADLINE);
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

static void expect(const char *row, enum fault got, enum fault want, const char *words)
{
    if (got != want || (want != FAULT_NONE && strstr(cx_message(cx), words) == NULL))
        fail_msg("%s: %s: \"%s\", expected %s and \"%s\"", row, fault_name(got),
                 cx_message(cx), fault_name(want), words);
}

static void test_papers__credential(void **state)
{
    static const int64_t day = 24 * 3600 * 1000;
    static const struct {
        const char *what;
        int64_t later;
        enum fault want;
        const char *words;
    } rows[] = {
        {"as issued", 0, FAULT_NONE, ""},
        {"ten days on", 10 * day - 1, FAULT_NONE, ""},
        {"eleven days on", 11 * day, FAULT_EXPIRED, "expired"},
        {"an hour before", -3600 * 1000, FAULT_EXPIRED, "begins"},
        {"a life of thirty days", 0, FAULT_NONE, ""},
        {"a life of thirty days and 1 ms", 0, FAULT_DENIED, "30 days"},
        {"a home that may not issue", 0, FAULT_DENIED, "does not let"},
        {"a home that is no member", 0, FAULT_DENIED, "not a member"},
        {"signed by another node", 0, FAULT_DENIED, "valid signature of site_a"},
        {"another consortium", 0, FAULT_DENIED, "another consortium"},
        {"no name", 0, FAULT_FORMAT, "needs a name"},
        {"a short serial", 0, FAULT_FORMAT, "serial"},
        {"a manifest yet to come", 0, FAULT_DENIED, "up to date"},
        {"no stamp", 0, FAULT_FORMAT, "stamp"},
        {"a name of two lines", 0, FAULT_FORMAT, "one line"},
        {"a name of 257 bytes", 0, FAULT_FORMAT, "one line"},
        {"a node's signing key on it", 0, FAULT_DENIED, "for a key of the node site_c"},
        {"a node's link key on it", 0, FAULT_DENIED, "for a key of the node site_c"},
    };
    char long_name[258];
    struct credential who;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Credential *b = consortium_credential(cx, &c);
        struct keys *signer = i == 8 ? c.node[1] : c.node[0];
        uint8_t other[32] = {3};

        if (i == 4 || i == 5)
            b->not_after = b->not_before + (uint64_t)(30 * day + (i == 5));
        else if (i == 6)
            b->stamp->issuer = PB_DATA(bytes_of(c.id[1], 32));
        else if (i == 7)
            b->stamp->issuer = PB_DATA(bytes_of(other, 32));
        else if (i == 9)
            b->stamp->consortium = PB_DATA(bytes_of(other, 32));
        else if (i == 10)
            b->name = (char *)"";
        else if (i == 11)
            b->serial.len = 15;
        else if (i == 12)
            b->stamp->manifest_version = 2;
        else if (i == 13)
            b->stamp = NULL;
        else if (i == 14)
            b->name = (char *)"ann\nthe release is signed by every site";
        else if (i == 15)
            b->name = memset(long_name, 'n', 257);
        else if (i == 16)
            b->signing_key = c.manifest->body->members[2]->signing_key;
        else if (i == 17)
            b->noise_key = c.manifest->body->members[2]->noise_key;
        long_name[257] = '\0';
        struct bytes packed =
            consortium_seal(cx, ENVELOPE_CREDENTIAL, &b->base, &signer, 1);
        expect(rows[i].what,
               credential_verify(cx, c.manifest, packed, c.now + rows[i].later, &who),
               rows[i].want, rows[i].words);
    }
    uint8_t subject[32];
    CHECK_OK_("good", cx, credential_verify(cx, c.manifest, c.credential, c.now, &who));
    digest_of(bytes_of(keys_signing_public(c.researcher), 32), subject);
    assert_memory_equal(subject, who.subject, 32);
    assert_string_equal(who.home->name, "site_a");
}

static void test_papers__permit_signatures(void **state)
{
    Cohortium__Permit *b = consortium_permit(cx, &c);
    struct keys *governed[] = {c.officer[0], c.officer[1], c.governor[0]};
    struct permit p;

    (void)state;
    CHECK_OK_("three of three", cx, permit_verify(cx, c.manifest, c.permit, &p));
    for (size_t i = 0; i < 3; i++)
        assert_true(permit_is_signed_for(&p, c.manifest->body->members[i]));
    struct bytes two = consortium_seal(cx, ENVELOPE_PERMIT, &b->base, c.officer, 2);
    expect("one signature short", permit_verify(cx, c.manifest, two, &p), FAULT_DENIED,
           "officers of 2");
    two = consortium_seal(cx, ENVELOPE_PERMIT, &b->base, governed, 3);
    expect("a governor is no officer", permit_verify(cx, c.manifest, two, &p), FAULT_DENIED,
           "officers of 2");
    b->n_members = 2;
    struct bytes all = consortium_seal(cx, ENVELOPE_PERMIT, &b->base, c.officer, 3);
    expect("an officer of a member it does not name",
           permit_verify(cx, c.manifest, all, &p), FAULT_DENIED, "officers of 2");

    /* Where one signature is enough, a site still looks for its own officer's. */
    struct manifest *m;
    Cohortium__Manifest body = c.body;
    body.permit_signatures = 0;
    struct bytes genesis = consortium_sign_manifest(cx, &body, c.governor, 2);
    CHECK_OK_("manifest", cx, manifest_load(cx, &genesis, 1, NULL, &m));
    b = consortium_permit(cx, &c);
    b->consortium = PB_DATA(bytes_of(m->consortium, 32));
    struct bytes one = consortium_seal(cx, ENVELOPE_PERMIT, &b->base, c.officer + 1, 1);
    CHECK_OK_("one of three", cx, permit_verify(cx, m, one, &p));
    assert_false(permit_is_signed_for(&p, m->body->members[0]));
    assert_true(permit_is_signed_for(&p, m->body->members[1]));
    one = consortium_seal(cx, ENVELOPE_PERMIT, &b->base, c.governor, 1);
    expect("none of three", permit_verify(cx, m, one, &p), FAULT_DENIED, "officers of 0");
}

static void test_papers__permit_shape(void **state)
{
    static const struct {
        const char *what, *words;
        enum fault want;
    } rows[] = {
        {"a short id", "id", FAULT_FORMAT},
        {"another consortium", "another consortium", FAULT_DENIED},
        {"no researcher", "researchers", FAULT_FORMAT},
        {"a researcher's key cut short", "researchers", FAULT_FORMAT},
        {"members unsorted", "members", FAULT_FORMAT},
        {"no dataset", "datasets", FAULT_FORMAT},
        {"a dataset that is no name", "not a name", FAULT_FORMAT},
        {"an empty window", "window", FAULT_FORMAT},
        {"no purpose", "purpose", FAULT_FORMAT},
        {"analyses twice", "analyses", FAULT_FORMAT},
        {"a title of two lines", "one line", FAULT_FORMAT},
    };
    char *twice[] = {(char *)"count", (char *)"count"};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Permit *b = consortium_permit(cx, &c);
        ProtobufCBinaryData first = b->members[0];
        struct permit p;

        switch (i) {
        case 0:
            b->id.len = 15;
            break;
        case 1:
            b->consortium = PB_DATA(bytes_of(c.id[0], 32));
            break;
        case 2:
            b->n_researchers = 0;
            break;
        case 3:
            b->researchers[0].len = 31;
            break;
        case 4:
            b->members[0] = b->members[1];
            b->members[1] = first;
            break;
        case 5:
            b->n_datasets = 0;
            break;
        case 6:
            b->datasets[0] = (char *)"Lung!";
            break;
        case 7:
            b->not_after = b->not_before;
            break;
        case 8:
            b->purpose = (char *)"";
            break;
        case 10:
            b->title = (char *)"a study\nmember site_b, signed by its officer: yes";
            break;
        default:
            b->analyses = twice;
            b->n_analyses = 2;
            break;
        }
        struct bytes packed = consortium_seal(cx, ENVELOPE_PERMIT, &b->base, c.officer, 3);
        expect(rows[i].what, permit_verify(cx, c.manifest, packed, &p), rows[i].want,
               rows[i].words);
    }
}

static bool has_code(const struct complaints *list, const char *code)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->list[i]->code, code) == 0)
            return true;
    return false;
}

static void test_papers__permit_covers(void **state)
{
    static const char *const rows[][2] = {
        {"all that it says", NULL},
        {"a permit past its end", "expired_permit"},
        {"a permit before its time", "permit_not_begun"},
        {"another researcher", "researcher_not_permitted"},
        {"another dataset", "dataset_not_permitted"},
        {"another analysis", "analysis_not_permitted"},
        {"another site", "site_not_permitted"},
        {"by site", "by_site_not_permitted"},
        {"another permit's id", "wrong_permit"},
    };
    static const int64_t day = 24 * 3600 * 1000;
    char *only[] = {(char *)"glm"};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Permit *b = consortium_permit(cx, &c);
        Cohortium__Request *r = consortium_request(cx, &c);
        struct permit p = {.body = b};
        struct credential who;
        struct complaints list = complaints_new(cx);
        int64_t now = c.now + (i == 1 ? 21 * day : i == 2 ? -2 * day : 0);

        CHECK_OK_("who", cx, credential_verify(cx, c.manifest, c.credential, c.now, &who));
        if (i == 3)
            b->researchers[0] = PB_DATA(bytes_of(keys_signing_public(c.officer[0]), 32));
        else if (i == 4)
            r->question->dataset = (char *)"lungs";
        else if (i == 5) {
            b->analyses = only;
            b->n_analyses = 1;
        } else if (i == 6)
            b->n_members = 2;
        else if (i == 7) {
            b->by_site = false;
            r->question->by_site = true;
        } else if (i == 8)
            b->id.data[0] ^= 1;
        permit_complaints(&list, &p, c.manifest, r, &who, now);
        CHECK_EQ_(rows[i][0], list.fault, FAULT_NONE);
        CHECK_EQ_(rows[i][0], list.n, i > 0);
        CHECK_(rows[i][0], rows[i][1] == NULL || has_code(&list, rows[i][1]));
        if (i == 4)
            assert_non_null(strstr(list.list[0]->text, "did you mean lung?"));
    }
}

static void test_papers__complaints_are_bounded(void **state)
{
    struct complaints list = complaints_new(cx);
    char *dots = cx_alloc(cx, 3000);

    (void)state;
    assert_non_null(dots);
    for (size_t i = 0; i < 999; i++)
        memcpy(dots + 3 * i, "\xe2\x80\xa6", 3);
    complain(&list, "long", "x%s", dots);
    assert_true(utf8_is_clean(list.list[0]->text, strlen(list.list[0]->text)));
    for (int i = 0; i < 100; i++)
        complain(&list, "again", "number %d", i);
    assert_int_equal(list.n, 64);
    assert_string_equal(list.list[63]->text, "number 62");
    assert_int_equal(list.fault, FAULT_NONE);
}

static void test_papers__request(void **state)
{
    static const struct {
        const char *what, *words;
        enum fault want;
    } rows[] = {
        {"as asked", "", FAULT_NONE},
        {"signed by another", "valid signature of researcher ada", FAULT_DENIED},
        {"an issuer that is not the credential's", "issuer", FAULT_DENIED},
        {"another home than the credential's", "home is not site_a", FAULT_DENIED},
        {"a credential that is none", "", FAULT_FORMAT},
        {"not for this node", "audience", FAULT_DENIED},
        {"a site outside the audience", "site_c", FAULT_DENIED},
        {"a site that is no member", "not a member", FAULT_DENIED},
        {"sites unsorted", "not sorted", FAULT_FORMAT},
        {"a site twice", "twice", FAULT_FORMAT},
        {"no site", "sites", FAULT_FORMAT},
        {"replayed after its window", "expired", FAULT_EXPIRED},
        {"no question", "question", FAULT_FORMAT},
        {"a credential that has ended", "expired", FAULT_EXPIRED},
        {"a short permit id", "permit", FAULT_FORMAT},
        {"for seven days", "", FAULT_NONE},
        {"for longer than seven days", "168 hours", FAULT_FORMAT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Request *r = consortium_request(cx, &c);
        Cohortium__Credential *b = consortium_credential(cx, &c);
        ProtobufCBinaryData *sites = r->question->sites, first = sites[0];
        struct keys *signer = i == 1 ? c.officer[0] : c.researcher;
        uint8_t other[32] = {0};
        int64_t now = (int64_t)r->stamp->issued_at;
        struct request request;

        switch (i) {
        case 2:
            r->stamp->issuer = PB_DATA(bytes_of(c.id[0], 32));
            break;
        case 3:
            r->home = PB_DATA(bytes_of(c.id[1], 32));
            break;
        case 4:
            r->credential = PB_DATA(bytes_of("x", 1));
            break;
        case 5:
            r->stamp->audience[1] = r->stamp->audience[2];
            r->stamp->n_audience = 2;
            break;
        case 6:
            r->stamp->n_audience = 2;
            break;
        case 7:
            sites[0] = PB_DATA(bytes_of(other, 32));
            break;
        case 8:
            sites[0] = sites[1];
            sites[1] = first;
            break;
        case 9:
            sites[1] = first;
            break;
        case 10:
            r->question->n_sites = 0;
            break;
        case 11:
            now = (int64_t)r->stamp->expires_at + CLOCK_SKEW_MS + 1;
            break;
        case 12:
            r->question = NULL;
            break;
        case 15:
        case 16:
            r->stamp->expires_at = r->stamp->issued_at + REQUEST_LIFE_MAX_MS + (i == 16);
            break;
        case 13:
            b->not_after = b->not_before + 1;
            r->credential =
                PB_DATA(consortium_seal(cx, ENVELOPE_CREDENTIAL, &b->base, &c.node[0], 1));
            break;
        case 14:
            r->permit.len = 15;
            break;
        default:
            break;
        }
        struct bytes packed = consortium_seal(cx, ENVELOPE_REQUEST, &r->base, &signer, 1);
        expect(rows[i].what, request_verify(cx, c.manifest, packed, c.id[1], now, &request),
               rows[i].want, rows[i].words);
    }
}

/* A site without data cannot be asked; a request stays provable after its window. */
static void test_papers__request_in_other_lights(void **state)
{
    Cohortium__Request *r = consortium_request(cx, &c);
    struct bytes packed = consortium_seal(cx, ENVELOPE_REQUEST, &r->base, &c.researcher, 1);
    int64_t end = (int64_t)r->stamp->expires_at;
    struct request request;
    struct manifest m = *c.manifest;
    Cohortium__Manifest body = *c.manifest->body;
    Cohortium__Member idle = *body.members[2],
                      *members[3] = {body.members[0], body.members[1], &idle};

    (void)state;
    idle.holds_data = false;
    body.members = members;
    m.body = &body;
    expect("a site without data", request_verify(cx, &m, packed, c.id[0], c.now, &request),
           FAULT_DENIED, "holds no data");
    CHECK_OK_("its answer came later", cx,
              request_verify_at(cx, c.manifest, packed, end + 3600 * 1000, &request));
    expect(
        "two days later",
        request_verify_at(cx, c.manifest, packed, end + 2 * SESSION_LIFE_MAX_MS, &request),
        FAULT_EXPIRED, "expired");
    expect("before it was made",
           request_verify_at(cx, c.manifest, packed,
                             (int64_t)r->stamp->issued_at - 600 * 1000, &request),
           FAULT_EXPIRED, "ahead");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_papers__credential),
        cmocka_unit_test(test_papers__permit_signatures),
        cmocka_unit_test(test_papers__permit_shape),
        cmocka_unit_test(test_papers__permit_covers),
        cmocka_unit_test(test_papers__complaints_are_bounded),
        cmocka_unit_test(test_papers__request),
        cmocka_unit_test(test_papers__request_in_other_lights),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

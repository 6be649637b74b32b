/*
 * Governors are shown every change of the manifest that they are to sign, by its words; and
 * nothing where nothing but number, dates and reason is another.
 */
#include "tests/check.h"
#include "tests/protocol/consortium.h"

static struct cx *cx;
static struct consortium c;
static Cohortium__Manifest next;
static Cohortium__Member members[CONSORTIUM_SITES];
static Cohortium__Member *list[CONSORTIUM_SITES];
static Cohortium__Governance governance;
static Cohortium__Policy bound = COHORTIUM__POLICY__INIT;
static Cohortium__PolicyField least = COHORTIUM__POLICY_FIELD__INIT,
                              words = COHORTIUM__POLICY_FIELD__INIT;
static Cohortium__PolicyField *fields[] = {&least, &words};
static Cohortium__Officer officers[2];
static Cohortium__Officer *officer_list[] = {&officers[0], &officers[1]};
static uint8_t key[32] = {0xab, 0xcd, 0xef};
static char *places[] = {(char *)"tcp://10.1.2.3:7000"},
            *kinds[] = {(char *)"count", (char *)"table"};

/* A copy that may be changed. */
static void copy(void)
{
    next = c.body;
    for (size_t i = 0; i < CONSORTIUM_SITES; i++) {
        members[i] = *c.body.members[i];
        list[i] = &members[i];
    }
    next.members = list;
    governance = *c.body.governance;
    next.governance = &governance;
    next.version++;
    next.issued_at++;
    next.fresh_until++;
    next.valid_until++;
    next.previous = PB_DATA(bytes_of(c.manifest->digest, DIGEST_BYTES));
    next.reason = (char *)"renewed";
    least.name = (char *)"minimum_frequency_threshold";
    least.number = 3;
    words.name = (char *)"analyses";
    words.words = kinds;
    words.n_words = 2;
    bound.fields = fields;
    bound.n_fields = 2;
}

static const char *told(void)
{
    const char *text = manifest_differences(cx, &c.body, &next);

    assert_non_null(text);
    return text;
}

static void test_manifest_changes__nothing_to_tell(void **state)
{
    (void)state;
    copy();
    assert_string_equal(told(), "");
}

static void give_officer(Cohortium__Member *m, bool beside)
{
    officers[0] = *m->officers[0];
    officers[beside ? 1 : 0] = (Cohortium__Officer)COHORTIUM__OFFICER__INIT;
    officers[beside ? 1 : 0].name = (char *)"mallory";
    officers[beside ? 1 : 0].key = PB_DATA(bytes_of(key, sizeof key));
    m->officers = officer_list;
    m->n_officers = beside ? 2 : 1;
}

static void test_manifest_changes__each_is_told(void **state)
{
    enum what {
        LINK_KEY,
        OFFICER,
        ANOTHER,
        CALLED,
        ALONE,
        ADDRESS,
        DIALS,
        DATA,
        ISSUES,
        TITLE,
        SOFTWARE,
        SIGNING,
        GONE,
        THRESHOLD,
        GOVERNOR,
        PERMITS,
        ROWS,
        FLOOR,
        CEILING,
        NAME,
        PURPOSE
    };
    static const struct {
        enum what what;
        const char *words, *more;
    } rows[] = {
        {LINK_KEY, "  changed  site_b: its link key, now abcdef", NULL},
        {OFFICER, "officer mallory comes, key abcdef", "goes, key "},
        {ANOTHER, "officer mallory comes, key abcdef", NULL},
        {CALLED, " is called eve", NULL},
        {ALONE, "loosen its policy", NULL},
        {ADDRESS, "its addresses now: tcp://10.1.2.3:7000", NULL},
        {DIALS, "it only dials out", NULL},
        {DATA, "it holds no data", NULL},
        {ISSUES, "it issues credentials", NULL},
        {TITLE, "its title: Another", NULL},
        {SOFTWARE, "its software: 9.9", NULL},
        {SIGNING, "and more, for which this program has no words", NULL},
        {GONE, "  gone     site_b", NULL},
        {THRESHOLD, "governance keys that must sign: 1, before 2", NULL},
        {GOVERNOR, "governance keys: 1 new, 1 gone: new abcdef", "gone "},
        {PERMITS, "whose officers must sign a permit: ", "before"},
        {ROWS, "below 2^7, before 2^", NULL},
        {FLOOR, "  floor    minimum_frequency_threshold: 3, before none",
         "  floor    analyses: count, table, before none"},
        {CEILING, "  ceiling  minimum_frequency_threshold: 3, before none", NULL},
        {NAME, "the consortium is called Other", NULL},
        {PURPOSE, "its purpose: production", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Member *m = &members[1];
        ProtobufCBinaryData keys[CONSORTIUM_GOVERNORS];

        copy();
        memcpy(keys, governance.keys, sizeof keys);
        switch (rows[i].what) {
        case LINK_KEY:
            m->noise_key = PB_DATA(bytes_of(key, sizeof key));
            break;
        case OFFICER:
            give_officer(m, false);
            break;
        case ANOTHER:
            give_officer(m, true);
            break;
        case CALLED:
            officers[0] = *m->officers[0];
            officers[0].name = (char *)"eve";
            m->officers = officer_list;
            m->n_officers = 1;
            break;
        case ALONE:
            m->one_officer = !m->one_officer;
            break;
        case ADDRESS:
            m->endpoints = places;
            m->n_endpoints = 1;
            break;
        case DIALS:
            m->outbound_only = true;
            break;
        case DATA:
            m->holds_data = !m->holds_data;
            break;
        case ISSUES:
            m->issues_researchers = !m->issues_researchers;
            break;
        case TITLE:
            m->title = (char *)"Another";
            break;
        case SOFTWARE:
            m->software = (char *)"9.9";
            break;
        case SIGNING:
            m->signing_key = PB_DATA(bytes_of(key, sizeof key));
            break;
        case GONE:
            list[1] = list[2];
            next.n_members--;
            break;
        case THRESHOLD:
            governance.threshold--;
            break;
        case GOVERNOR:
            keys[2] = PB_DATA(bytes_of(key, sizeof key));
            governance.keys = keys;
            break;
        case PERMITS:
            next.permit_signatures++;
            break;
        case ROWS:
            next.rows_log2 = 7;
            break;
        case FLOOR:
            next.floor = &bound;
            break;
        case CEILING:
            next.ceiling = &bound;
            break;
        case NAME:
            next.consortium_name = (char *)"Other";
            break;
        case PURPOSE:
            next.purpose = COHORTIUM__PURPOSE__PRODUCTION;
            break;
        }
        const char *text = told();
        bool all = strstr(text, rows[i].words) != NULL &&
                   (rows[i].more == NULL || strstr(text, rows[i].more) != NULL);

        if (!all)
            print_error("expected \"%s\": %s\n", rows[i].words, text);
        CHECK_(rows[i].words, all);
        CHECK_(rows[i].words,
               rows[i].what == SIGNING || strstr(text, "has no words") == NULL);
    }
}

/* One field of a bound that stays is another: it alone is told. */
static void test_manifest_changes__a_looser_floor(void **state)
{
    Cohortium__Policy before = COHORTIUM__POLICY__INIT;
    Cohortium__PolicyField ten = COHORTIUM__POLICY_FIELD__INIT;
    Cohortium__PolicyField *of_before[] = {&ten, &words};
    Cohortium__Manifest old;

    (void)state;
    copy();
    ten.name = least.name;
    ten.number = 10;
    before.fields = of_before;
    before.n_fields = 2;
    old = c.body;
    old.floor = &before;
    next.floor = &bound;
    const char *text = manifest_differences(cx, &old, &next);
    assert_string_equal(text, "  floor    minimum_frequency_threshold: 3, before 10\n");
    next.floor = NULL;
    text = manifest_differences(cx, &old, &next);
    CHECK_("gone", strstr(text, "minimum_frequency_threshold: none, before 10") != NULL);
    before.n_fields = 0;
    text = manifest_differences(cx, &old, &next);
    CHECK_("an empty one, too", strstr(text, "there is none any more") != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest_changes__nothing_to_tell),
        cmocka_unit_test(test_manifest_changes__each_is_told),
        cmocka_unit_test(test_manifest_changes__a_looser_floor),
    };

    cx = cx_new(1 << 26, CX_NO_DEADLINE);
    if (cx == NULL)
        return 1;
    consortium_new(cx, &c);
    int status = cmocka_run_group_tests(tests, NULL, NULL);
    consortium_free(&c);
    cx_free(&cx);
    return status;
}

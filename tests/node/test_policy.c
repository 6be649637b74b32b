/* A policy is understood whole or not at all; the strictest counts; loosening takes two. */
#include "node/vault/policy.h"

#include <math.h>

#include "protocol/base/clock.h"
#include "tests/check.h"
#include "tests/protocol/consortium.h"

enum { MB = 1024 * 1024 };

static Cohortium__Policy *packed(struct cx *cx, const struct policy *p)
{
    Cohortium__Policy *body = cx_alloc(cx, sizeof *body);

    assert_non_null(body);
    CHECK_OK_("pack", cx, policy_to_pb(cx, p, body));
    return body;
}

/* ---- the table ---- */

static void test_policy__table_is_that_of_the_manual(void **state)
{
    /* DISCLOSURE.md 4.1, amended by 0.13 and 0.10: name, default, testing, range */
    static const struct {
        const char *name;
        double standard, testing, lowest, highest;
    } rows[POLICY_FIELDS] = {
        {"minimum_frequency_threshold", 10, 1, 3, 100},
        {"minimum_complement", 10, 0, 0, 100},
        {"minimum_population", 10, 0, 3, 1e6},
        {"zeros_are_disclosive", 1, 0, 0, 1},
        {"class_disclosure_max_share", 0.95, 2, 0.8, 1},
        {"dominance_k", 0.9, 2, 0.5, 0.95},
        {"dominance_n", 2, 1, 1, 3},
        {"residual_dof_min", 10, 0, 5, 100},
        {"max_parameter_ratio", 0.1, 1e6, 0.01, 0.33},
        {"model_max_leverage", 0.1, 2, 0.005, 0.34},
        {"max_levels", 40, 1e6, 2, 200},
        {"max_level_density", 0.05, 1e6, 0.01, 0.33},
        {"rounding_base", 5, 0, 0, 10},
        {"min_sites", 3, 3, 3, 100},
        {"local_minimum", 0, 0, 0, 1000},
        {"response_quantum_ms", 25, 0, 0, 5000},
        {"by_site", 0, 1, 0, 1},
        {"collusion_assumed", 0, 0, 0, 1},
        {"members_see_time_cells", 0, 1, 0, 1},
        {"rounding_mode", 0, 0, 0, 3},
        {"perturbation_d", 2, 0, 0, 10},
        {"perturbation_v", 1, 0, 0, 9},
        {"perturbation_js", 2, 0, 0, 5},
        {"noise_mechanism", 0, 0, 0, 1},
        {"rho_per_request", 0.01, 0.01, 0.0001, 2},
        {"rho_per_project", 0.1, 0.1, 0, 2},
        {"rho_per_researcher", 0.1, 0.1, 0, 2},
        {"rho_total", 0.5, 0.5, 0, 2},
        {"delta", 1e-6, 1e-6, 1e-12, 1e-3},
        {"max_rows_per_patient", 1, 1, 1, 1000},
    };

    (void)state;
    for (int f = 0; f < POLICY_FIELDS; f++) {
        const struct policy_field_info *info = policy_field((enum policy_field)f);

        CHECK_(rows[f].name, strcmp(info->name, rows[f].name) == 0);
        CHECK_(rows[f].name, info->standard == rows[f].standard);
        CHECK_(rows[f].name, info->testing == rows[f].testing);
        CHECK_(rows[f].name, info->lowest == rows[f].lowest);
        CHECK_(rows[f].name, info->highest == rows[f].highest);
        CHECK_(rows[f].name, strlen(info->meaning) > 20);
        CHECK_EQ_(rows[f].name, policy_field_find(rows[f].name), f);
    }
    CHECK_EQ_("no such field", policy_field_find("minimum_frequency"), -1);
}

static enum fault open_with(struct cx *cx, enum policy_field f, double x, bool testing)
{
    struct policy p, out;

    if (testing)
        policy_testing(&p);
    else
        policy_cautious(&p);
    p.number[f] = x;
    return policy_open(cx, packed(cx, &p), testing, &out);
}

static void test_policy__every_field_keeps_to_its_range(void **state)
{
    AUTO_CX struct cx *cx = cx_new(8 * MB, CX_NO_DEADLINE);

    (void)state;
    for (int f = 0; f < POLICY_FIELDS; f++) {
        enum policy_field field = (enum policy_field)f;
        const struct policy_field_info *info = policy_field(field);
        double below = info->whole ? info->lowest - 1 : nextafter(info->lowest, -1);
        double above = info->whole ? info->highest + 1 : nextafter(info->highest, 1e9);

        CHECK_OK_(info->name, cx, open_with(cx, field, info->lowest, false));
        CHECK_OK_(info->name, cx, open_with(cx, field, info->highest, false));
        CHECK_EQ_(info->name, open_with(cx, field, above, false), FAULT_INVALID);
        CHECK_EQ_(info->name, open_with(cx, field, below, false), FAULT_INVALID);
        CHECK_(info->name, strstr(cx_message(cx), info->name) != NULL);
        CHECK_EQ_(info->name, open_with(cx, field, NAN, false), FAULT_INVALID);
        CHECK_EQ_(info->name, open_with(cx, field, INFINITY, false), FAULT_INVALID);
        if (info->whole)
            CHECK_EQ_(info->name, open_with(cx, field, info->lowest + 0.5, false),
                      FAULT_INVALID);
        /* What switches a rule off is for class testing. */
        bool inside = info->testing >= info->lowest && info->testing <= info->highest;

        CHECK_EQ_(info->name, open_with(cx, field, info->testing, false),
                  inside ? FAULT_NONE : FAULT_INVALID);
        CHECK_OK_(info->name, cx, open_with(cx, field, info->testing, true));
        CHECK_EQ_(info->name,
                  open_with(cx, field, above == info->testing ? 1e7 : above, true),
                  FAULT_INVALID);
    }
}

/* ---- the packed form ---- */

enum damage {
    UNKNOWN,
    MISSING_FIRST,
    MISSING_LAST,
    TWICE,
    EXCHANGED,
    ONE_MORE,
    WORDS_AT_NUMBER,
    NUMBER_AT_WORDS,
    WORD_TWICE,
    WORD_NO_NAME,
    OTHER_VERSION,
    OTHER_CLASS,
    TESTING_CLASS,
    EMPTY
};

static void damage(struct cx *cx, Cohortium__Policy *b, enum damage how)
{
    static char *words[] = {(char *)"count", (char *)"count", (char *)"No Name"};
    Cohortium__PolicyField **fields = cx_array(cx, b->n_fields + 1, sizeof *fields), *swap;

    assert_non_null(fields);
    memcpy(fields, b->fields, b->n_fields * sizeof *fields);
    b->fields = fields;
    switch (how) {
    case UNKNOWN:
        fields[3]->name = (char *)"zeros_are_disclosve";
        break;
    case MISSING_FIRST:
        b->fields++;
        b->n_fields--;
        break;
    case MISSING_LAST:
        b->n_fields--;
        break;
    case TWICE:
        fields[5] = fields[4];
        break;
    case EXCHANGED:
        swap = fields[5];
        fields[5] = fields[4];
        fields[4] = swap;
        break;
    case ONE_MORE:
        fields[b->n_fields++] = fields[0];
        break;
    case WORDS_AT_NUMBER:
        fields[0]->words = words;
        fields[0]->n_words = 1;
        break;
    case NUMBER_AT_WORDS:
        fields[POLICY_FIELDS]->number = 1;
        break;
    case WORD_TWICE:
        fields[POLICY_FIELDS]->words = words;
        fields[POLICY_FIELDS]->n_words = 2;
        break;
    case WORD_NO_NAME:
        fields[POLICY_FIELDS]->words = words + 2;
        fields[POLICY_FIELDS]->n_words = 1;
        break;
    case OTHER_VERSION:
        b->version = 99;
        break;
    case OTHER_CLASS:
        b->policy_class = (char *)"relaxed";
        break;
    case TESTING_CLASS:
        b->policy_class = (char *)"testing";
        break;
    case EMPTY:
        b->n_fields = 0;
        break;
    }
}

static void test_policy__what_is_not_understood_whole_is_refused(void **state)
{
    static const struct {
        const char *what;
        enum damage how;
        const char *says;
    } rows[] = {
        {"an unknown field", UNKNOWN, "zeros_are_disclosve"},
        {"the first is missing", MISSING_FIRST, "minimum_frequency_threshold is missing"},
        {"the last is missing", MISSING_LAST, "reviewed_statistics is missing"},
        {"a field twice", TWICE, "class_disclosure_max_share stands twice"},
        {"two exchanged", EXCHANGED, "class_disclosure_max_share is missing"},
        {"one more", ONE_MORE, "minimum_frequency_threshold stands twice"},
        {"words where a number is wanted", WORDS_AT_NUMBER, "minimum_frequency_threshold"},
        {"a number where words are wanted", NUMBER_AT_WORDS, "allowed_statistics"},
        {"an analysis twice", WORD_TWICE, "count"},
        {"no name of an analysis", WORD_NO_NAME, "No Name"},
        {"another table", OTHER_VERSION, "version 99"},
        {"another class", OTHER_CLASS, "relaxed"},
        {"testing in production", TESTING_CLASS, "lab"},
        {"nothing", EMPTY, "missing"},
    };
    AUTO_CX struct cx *cx = cx_new(8 * MB, CX_NO_DEADLINE);
    struct policy p, out;

    (void)state;
    policy_cautious(&p);
    CHECK_OK_("whole", cx, policy_open(cx, packed(cx, &p), false, &out));
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Policy *body = packed(cx, &p);

        damage(cx, body, rows[i].how);
        CHECK_EQ_(rows[i].what, policy_open(cx, body, false, &out), FAULT_INVALID);
        if (strstr(cx_message(cx), rows[i].says) == NULL)
            fail_msg("%s: it says \"%s\"", rows[i].what, cx_message(cx));
    }
    CHECK_EQ_("none at all", policy_open(cx, NULL, false, &out), FAULT_INVALID);
}

static void check_round_trip(struct cx *cx, const char *what, const struct policy *p)
{
    struct bytes bytes;
    Cohortium__Policy *body;
    struct policy out;

    CHECK_OK_(what, cx, pb_pack(cx, &packed(cx, p)->base, &bytes));
    CHECK_OK_(what, cx, pb_unpack(cx, &cohortium__policy__descriptor, bytes, 65536, &body));
    CHECK_OK_(what, cx, policy_open(cx, body, true, &out));
    for (int f = 0; f < POLICY_FIELDS; f++)
        CHECK_(what, out.number[f] == p->number[f]);
    CHECK_EQ_(what, out.testing, p->testing);
    CHECK_EQ_(what, out.all_allowed, p->all_allowed);
    CHECK_EQ_(what, out.n_allowed, p->n_allowed);
    CHECK_EQ_(what, out.not_after, p->not_after);
    CHECK_EQ_(what, policy_allows(&out, "count"), policy_allows(p, "count"));
}

static void test_policy__packed_form_keeps_everything(void **state)
{
    AUTO_CX struct cx *cx = cx_new(8 * MB, CX_NO_DEADLINE);
    struct policy p;
    const char *allowed[] = {"table", "count"};

    (void)state;
    policy_cautious(&p);
    p.not_before = 5;
    p.not_after = 77;
    check_round_trip(cx, "cautious", &p);
    p.all_allowed = false;
    p.allowed = allowed;
    p.n_allowed = 2;
    check_round_trip(cx, "two analyses", &p);
    p.n_allowed = 0;
    check_round_trip(cx, "no analysis is not all of them", &p);
    policy_testing(&p);
    check_round_trip(cx, "testing", &p);
}

/* ---- sessions ---- */

static struct manifest manifest_with(Cohortium__Manifest *body, Cohortium__Policy *floor,
                                     Cohortium__Policy *ceiling)
{
    cohortium__manifest__init(body);
    body->purpose = COHORTIUM__PURPOSE__LAB;
    body->floor = floor;
    body->ceiling = ceiling;
    return (struct manifest){.body = body};
}

static void test_policy__session_is_the_strictest_by_field(void **state)
{
    AUTO_CX struct cx *cx = cx_new(8 * MB, CX_NO_DEADLINE);
    struct policy a, b, out;
    const struct policy *sites[] = {&a, &b};
    Cohortium__Manifest body;
    struct manifest m = manifest_with(&body, NULL, NULL);

    (void)state;
    for (int f = 0; f < POLICY_FIELDS; f++) {
        const struct policy_field_info *info = policy_field((enum policy_field)f);
        double want = info->stricter >= 0 ? info->highest : info->lowest;

        policy_cautious(&a);
        policy_cautious(&b);
        a.number[f] = info->lowest;
        b.number[f] = info->highest;
        CHECK_OK_(info->name, cx, policy_session(cx, &m, sites, 2, &out));
        CHECK_(info->name, out.number[f] == want);
        for (int g = 0; g < POLICY_FIELDS; g++)
            CHECK_(info->name, g == f || out.number[g] == a.number[g]);
        CHECK_EQ_(info->name, policy_is_looser(&a, &b), info->stricter > 0);
        CHECK_EQ_(info->name, policy_is_looser(&b, &a), info->stricter < 0);
    }
    policy_cautious(&a);
    a.not_after = 99;
    CHECK_OK_("dates", cx, policy_session(cx, &m, sites, 1, &out));
    CHECK_EQ_("a session's policy has no dates", out.not_after, 0);
    CHECK_EQ_("no site", policy_session(cx, &m, sites, 0, &out), FAULT_INVALID);
}

static void test_policy__session_allows_what_all_allow(void **state)
{
    AUTO_CX struct cx *cx = cx_new(8 * MB, CX_NO_DEADLINE);
    const char *one[] = {"table", "count", "lm"}, *two[] = {"lm", "describe", "table"};
    struct policy a, b, c, out;
    const struct policy *sites[] = {&a, &b, &c};
    Cohortium__Manifest body;
    struct manifest m = manifest_with(&body, NULL, NULL);

    (void)state;
    policy_cautious(&a);
    policy_cautious(&b);
    policy_cautious(&c);
    b.all_allowed = c.all_allowed = false;
    b.allowed = one;
    c.allowed = two;
    b.n_allowed = c.n_allowed = 3;
    CHECK_OK_("three", cx, policy_session(cx, &m, sites, 3, &out));
    CHECK_EQ_("two are left", out.n_allowed, 2);
    CHECK_("sorted",
           strcmp(out.allowed[0], "lm") == 0 && strcmp(out.allowed[1], "table") == 0);
    c.n_allowed = 2;
    c.allowed = two + 1;
    b.n_allowed = 1;
    b.allowed = one + 1;
    CHECK_OK_("nothing in common", cx, policy_session(cx, &m, sites, 3, &out));
    CHECK_EQ_("nothing is allowed", policy_allows(&out, "count"), false);
    CHECK_EQ_("not all", out.all_allowed, false);
    CHECK_EQ_("widening", policy_is_looser(&a, &b), true);
    CHECK_EQ_("narrowing", policy_is_looser(&b, &a), false);
}

static void test_policy__session_keeps_between_floor_and_ceiling(void **state)
{
    AUTO_CX struct cx *cx = cx_new(8 * MB, CX_NO_DEADLINE);
    struct policy site, floor, ceiling, out;
    const struct policy *sites[] = {&site, &site, &site};
    Cohortium__Manifest body;
    struct manifest m;
    enum policy_field k = POLICY_MINIMUM_FREQUENCY_THRESHOLD, share = POLICY_DOMINANCE_K;

    (void)state;
    policy_cautious(&site);
    policy_cautious(&floor);
    policy_cautious(&ceiling);
    floor.number[k] = 15;
    floor.number[share] = 0.7;
    ceiling.number[k] = 20;
    ceiling.number[share] = 0.6;
    m = manifest_with(&body, packed(cx, &floor), packed(cx, &ceiling));
    CHECK_OK_("looser than the floor", cx, policy_session(cx, &m, sites, 3, &out));
    CHECK_("floor", out.number[k] == 15 && out.number[share] == 0.7);
    site.number[k] = 17;
    site.number[share] = 0.65;
    CHECK_OK_("between", cx, policy_session(cx, &m, sites, 3, &out));
    CHECK_("own", out.number[k] == 17 && out.number[share] == 0.65);
    site.number[k] = 50;
    site.number[share] = 0.5;
    CHECK_OK_("stricter than the ceiling", cx, policy_session(cx, &m, sites, 3, &out));
    CHECK_("ceiling", out.number[k] == 20 && out.number[share] == 0.6);
    site.number[POLICY_NOISE_MECHANISM] = 1;
    site.number[POLICY_RHO_PER_REQUEST] = 0.001;
    CHECK_OK_("a ceiling without noise", cx, policy_session(cx, &m, sites, 3, &out));
    CHECK_("takes none away", out.number[POLICY_NOISE_MECHANISM] == 1 &&
                                  out.number[POLICY_RHO_PER_REQUEST] == 0.001);
    ceiling.number[POLICY_NOISE_MECHANISM] = 1;
    ceiling.number[POLICY_RHO_PER_REQUEST] = 0.005;
    m = manifest_with(&body, packed(cx, &floor), packed(cx, &ceiling));
    CHECK_OK_("a ceiling with noise", cx, policy_session(cx, &m, sites, 3, &out));
    CHECK_("bounds it", out.number[POLICY_NOISE_MECHANISM] == 1 &&
                            out.number[POLICY_RHO_PER_REQUEST] == 0.005);
    site.number[POLICY_NOISE_MECHANISM] = 0;
    m = manifest_with(&body, packed(cx, &floor), NULL);
    CHECK_OK_("no ceiling", cx, policy_session(cx, &m, sites, 3, &out));
    CHECK_("own", out.number[k] == 50);
    body.floor->n_fields--;
    CHECK_EQ_("a broken floor", policy_session(cx, &m, sites, 3, &out), FAULT_INVALID);
}

static void test_policy__session_is_testing_only_if_all_are(void **state)
{
    AUTO_CX struct cx *cx = cx_new(8 * MB, CX_NO_DEADLINE);
    struct policy exact, cautious, out, again;
    const struct policy *all[] = {&exact, &exact, &exact}, *mixed[] = {&exact, &cautious};
    Cohortium__Manifest body;
    struct manifest m = manifest_with(&body, NULL, NULL);

    (void)state;
    policy_testing(&exact);
    policy_cautious(&cautious);
    CHECK_OK_("all", cx, policy_session(cx, &m, all, 3, &out));
    CHECK_EQ_("testing", out.testing, true);
    CHECK_OK_("in range", cx, policy_open(cx, packed(cx, &out), true, &again));
    CHECK_OK_("mixed", cx, policy_session(cx, &m, mixed, 2, &out));
    CHECK_EQ_("cautious", out.testing, false);
    CHECK_OK_("in range", cx, policy_open(cx, packed(cx, &out), false, &again));
    for (int f = 0; f < POLICY_FIELDS; f++)
        CHECK_(policy_field((enum policy_field)f)->name,
               out.number[f] == cautious.number[f]);
    m = manifest_with(&body, packed(cx, &cautious), NULL);
    CHECK_OK_("a cautious floor", cx, policy_session(cx, &m, all, 3, &out));
    CHECK_EQ_("cautious", out.testing, false);
    m = manifest_with(&body, NULL, packed(cx, &exact));
    CHECK_OK_("a testing ceiling", cx, policy_session(cx, &m, mixed, 2, &out));
    CHECK_("it does not loosen cautious sites",
           out.number[POLICY_MINIMUM_FREQUENCY_THRESHOLD] == 10);
    CHECK_EQ_("class testing is looser", policy_is_looser(&exact, &cautious), true);
}

/* ---- signatures ---- */

struct signing {
    struct cx *cx;
    struct consortium c;
    struct keys *second;
    Cohortium__Member member;
    const char *reason;
};

static struct bytes signed_policy(struct signing *s, const struct policy *p, size_t signers,
                                  bool own)
{
    struct keys *const keys[] = {own ? s->c.officer[0] : s->c.officer[1], s->second};
    Cohortium__Policy *body = packed(s->cx, p);

    body->node_id = s->member.node_id;
    body->serial = 2;
    body->reason = (char *)s->reason;
    return consortium_seal(s->cx, ENVELOPE_POLICY, &body->base, keys, signers);
}

static enum fault verify(struct signing *s, struct bytes bytes, const struct policy *before)
{
    struct policy out;
    const Cohortium__Policy *body;

    return policy_verify(s->cx, s->c.manifest, &s->member, bytes, before, s->c.now, &out,
                         &body);
}

static void signing_new(struct signing *s)
{
    Cohortium__Officer *officers = NULL, **list = NULL;

    s->cx = cx_new(64 * MB, CX_NO_DEADLINE);
    s->second = NULL;
    s->reason = "test";
    consortium_new(s->cx, &s->c);
    CHECK_OK_("key", s->cx, keys_new(s->cx, "officer", "second", &s->second));
    officers = cx_array(s->cx, 2, sizeof *officers);
    list = cx_array(s->cx, 2, sizeof *list);
    assert_non_null(officers);
    assert_non_null(list);
    for (size_t i = 0; i < 2; i++) {
        cohortium__officer__init(&officers[i]);
        officers[i].key = PB_DATA(
            bytes_of(keys_signing_public(i == 0 ? s->c.officer[0] : s->second), KEY_BYTES));
        list[i] = &officers[i];
    }
    s->member = *s->c.manifest->body->members[0];
    s->member.officers = list;
    s->member.n_officers = 2;
    s->member.one_officer = false;
}

static void signing_free(struct signing *s)
{
    keys_free(&s->second);
    consortium_free(&s->c);
    cx_free(&s->cx);
}

static void test_policy__loosening_takes_two_officers_tightening_one(void **state)
{
    struct signing s;
    struct policy before, after;
    static const struct {
        const char *what;
        double k;
        bool first;
        size_t signers;
        bool one_officer, own;
        enum fault want;
    } rows[] = {
        {"tightened by one", 12, false, 1, false, true, FAULT_NONE},
        {"tightened by another member's officer", 12, false, 1, false, false, FAULT_DENIED},
        {"the same again, by one", 10, false, 1, false, true, FAULT_NONE},
        {"loosened by one", 9, false, 1, false, true, FAULT_DENIED},
        {"loosened by one and a stranger", 9, false, 2, false, false, FAULT_DENIED},
        {"loosened by two", 9, false, 2, false, true, FAULT_NONE},
        {"loosened by the only officer", 9, false, 1, true, true, FAULT_NONE},
        {"the first, by one", 12, true, 1, false, true, FAULT_DENIED},
        {"the first, by two", 12, true, 2, false, true, FAULT_NONE},
        {"the first, by the only officer", 12, true, 1, true, true, FAULT_NONE},
    };

    (void)state;
    signing_new(&s);
    policy_cautious(&before);
    after = before;
    after.not_before = (uint64_t)s.c.now - 1000;
    after.not_after = (uint64_t)s.c.now + 1000;
    for (size_t i = 0; i < COUNT(rows); i++) {
        after.number[POLICY_MINIMUM_FREQUENCY_THRESHOLD] = rows[i].k;
        s.member.one_officer = rows[i].one_officer;
        CHECK_EQ_(rows[i].what,
                  verify(&s, signed_policy(&s, &after, rows[i].signers, rows[i].own),
                         rows[i].first ? NULL : &before),
                  rows[i].want);
    }
    signing_free(&s);
}

static void test_policy__dates_and_owner_are_checked(void **state)
{
    struct signing s;
    struct policy p;
    uint64_t now;

    (void)state;
    signing_new(&s);
    now = (uint64_t)s.c.now;
    policy_cautious(&p);
    const struct {
        const char *what;
        uint64_t from, until;
        enum fault want;
    } rows[] = {
        {"in force", now - 1, now, FAULT_NONE},
        {"expired", now - 2, now - 1, FAULT_EXPIRED},
        {"not yet", now + CLOCK_SKEW_MS + 1, now + CLOCK_SKEW_MS + 9, FAULT_EXPIRED},
        {"a clock a little behind", now + CLOCK_SKEW_MS, now + CLOCK_SKEW_MS + 9,
         FAULT_NONE},
        {"backwards", now + 1, now, FAULT_INVALID},
        {"for ever", now - 1, UINT64_MAX, FAULT_INVALID},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        p.not_before = rows[i].from;
        p.not_after = rows[i].until;
        CHECK_EQ_(rows[i].what, verify(&s, signed_policy(&s, &p, 2, true), NULL),
                  rows[i].want);
    }
    p.not_before = now - 1;
    p.not_after = now + 1;
    s.reason = " \t\n";
    CHECK_EQ_("no reason", verify(&s, signed_policy(&s, &p, 2, true), NULL), FAULT_INVALID);
    s.reason = "another";
    struct bytes theirs = signed_policy(&s, &p, 2, true);

    s.member.node_id = s.c.manifest->body->members[1]->node_id;
    CHECK_EQ_("another node's policy", verify(&s, theirs, NULL), FAULT_DENIED);
    signing_free(&s);
}

static void test_policy__words_say_what_changes(void **state)
{
    AUTO_CX struct cx *cx = cx_new(8 * MB, CX_NO_DEADLINE);
    struct policy a, b;

    (void)state;
    policy_cautious(&a);
    b = a;
    CHECK_("nothing", strstr(policy_difference(cx, &a, &b), "no number changes") != NULL);
    b.number[POLICY_MINIMUM_FREQUENCY_THRESHOLD] = 12;
    b.number[POLICY_BY_SITE] = 1;
    const char *text = policy_difference(cx, &a, &b);

    CHECK_("stricter",
           strstr(text, "minimum_frequency_threshold: 10 -> 12 (stricter)\n") != NULL);
    CHECK_("looser", strstr(text, "by_site: no -> yes (looser)\n") != NULL);
    CHECK_("all fields",
           strstr(policy_words(cx, &a), "class_disclosure_max_share: 0.95") != NULL);
    b.number[POLICY_ROUNDING_MODE] = ROUND_CELL_KEY;
    CHECK_("a word of four",
           strstr(policy_difference(cx, &a, &b),
                  "rounding_mode: nearest -> cell_key (stricter)\n") != NULL);
    policy_testing(&a);
    CHECK_("a warning", strstr(policy_words(cx, &a), "NO PROTECTION") != NULL);
}

/* ---- sentences ---- */

/* The sentence of one field that goes from one value to another. */
static const char *sentence(struct cx *cx, enum policy_field f, double from, double to,
                            int *ret_way)
{
    struct policy a, b;
    struct policy_change *list;
    size_t n;

    policy_cautious(&a);
    b = a;
    a.number[f] = from;
    b.number[f] = to;
    CHECK_OK_(policy_field(f)->name, cx, policy_changes(cx, &a, &b, &list, &n));
    CHECK_EQ_(policy_field(f)->name, n, 1);
    assert_string_equal(list[0].name, policy_field(f)->name);
    *ret_way = list[0].way;
    return list[0].sentence;
}

static void test_policy__a_change_is_a_sentence(void **state)
{
    AUTO_CX struct cx *cx = cx_new(8 * MB, CX_NO_DEADLINE);
    static const struct {
        enum policy_field f;
        double from, to;
        int way;
        const char *says;
    } rows[] = {
        {POLICY_MINIMUM_FREQUENCY_THRESHOLD, 10, 5, -1,
         "allows cells of 5 to 9 patients that were hidden; what can be worked out from "
         "all "
         "answers together rests on the equivalent of 2.5 patients or more, it was 5"},
        {POLICY_MINIMUM_FREQUENCY_THRESHOLD, 10, 11, 1,
         "hides cells of 10 patients that were allowed"},
        {POLICY_MINIMUM_COMPLEMENT, 10, 0, -1,
         "allows groups that leave out 1 to 9 patients, which were refused"},
        {POLICY_MINIMUM_POPULATION, 10, 100, 1,
         "refuses when all sites together hold 10 to 99 patients, which was answered"},
        {POLICY_ZEROS_ARE_DISCLOSIVE, 1, 0, -1, "shows zero cells"},
        {POLICY_ZEROS_ARE_DISCLOSIVE, 0, 1, 1, "hides zero cells"},
        {POLICY_CLASS_DISCLOSURE_MAX_SHARE, 0.95, 1, -1,
         "of which 95 % or more, but less than 100 %"},
        {POLICY_CLASS_DISCLOSURE_MAX_SHARE, 0.95, 0.9, 1, "of which 90 % or more"},
        {POLICY_DOMINANCE_K, 0.9, 0.5, 1, "part of it reaches 25 %; it was 45 %"},
        {POLICY_DOMINANCE_N, 2, 1, -1, "part of it reaches 90 %; it was 45 %"},
        {POLICY_RESIDUAL_DOF_MIN, 10, 5, -1, "with 5 to 9 residual degrees"},
        {POLICY_MAX_PARAMETER_RATIO, 0.1, 0.2, -1,
         "a model may have at most one parameter for every 5 patients; it could have at "
         "most "
         "one parameter for every 10 patients"},
        {POLICY_MODEL_MAX_LEVERAGE, 0.1, 0.2, -1,
         "a leverage of up to 0.2; the limit was 0.1"},
        {POLICY_MAX_LEVELS, 40, 100, -1, "variables with 41 to 100 levels may group"},
        {POLICY_MAX_LEVELS, 40, 39, 1, "variables with 40 levels may no longer group"},
        {POLICY_MAX_LEVEL_DENSITY, 0.1, 0.05, 1, "at most one level for every 20 patients"},
        {POLICY_ROUNDING_BASE, 5, 3, -1,
         "counts are rounded to multiples of 3; they were "
         "rounded to multiples of 5"},
        {POLICY_ROUNDING_BASE, 1, 5, 1, "they were not rounded"},
        {POLICY_MIN_SITES, 3, 5, 1, "pool 3 to 4 sites are refused"},
        {POLICY_LOCAL_MINIMUM, 0, 5, 1, "groups with 1 to 4 patients of this site make"},
        {POLICY_RESPONSE_QUANTUM_MS, 25, 0, 0,
         "answers are not held, so that their time tells of the work; they were held to "
         "multiples of 25 milliseconds"},
        {POLICY_BY_SITE, 0, 1, -1, "may be shown apart"},
        {POLICY_BY_SITE, 1, 0, 1, "never shown apart"},
        {POLICY_COLLUSION_ASSUMED, 0, 1, 1, "by this site's own patients alone"},
        {POLICY_MEMBERS_SEE_TIME_CELLS, 0, 1, -1, "may see sums by time"},
        {POLICY_ROUNDING_MODE, ROUND_NEAREST, ROUND_RANDOM, 1,
         "by the mode random, from which less"},
        {POLICY_PERTURBATION_D, 2, 5, 1, "at most 5; it was at most 2; no effect"},
        {POLICY_PERTURBATION_V, 1, 2, 1, "error is 2; it was 1"},
        {POLICY_PERTURBATION_JS, 2, 0, -1,
         "every count may come out; before, no count from 1 to 2 comes out"},
        {POLICY_NOISE_MECHANISM, 1, 0, -1, "no random noise any more"},
        {POLICY_RHO_PER_REQUEST, 0.01, 0.1, -1,
         "its noise is smaller; no effect, for noise"},
        {POLICY_RHO_PER_PROJECT, 0.1, 0.2, -1,
         "all questions of one permit together may spend 0.2"},
        {POLICY_RHO_PER_RESEARCHER, 0.1, 0.2, -1,
         "of one researcher together may spend 0.2"},
        {POLICY_RHO_TOTAL, 0.5, 0.2, 1,
         "about these patients together may spend 0.2 of rho"},
        {POLICY_DELTA, 1e-6, 1e-7, 1, "a chance of 1e-07; it was 1e-06"},
        {POLICY_MAX_ROWS_PER_PATIENT, 1, 4, 0, "4 rows of each patient count; it was 1"},
    };
    bool seen[POLICY_FIELDS] = {false};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int way;
        const char *text = sentence(cx, rows[i].f, rows[i].from, rows[i].to, &way);

        CHECK_EQ_(rows[i].says, way, rows[i].way);
        if (strstr(text, rows[i].says) == NULL || strchr(text, '{') != NULL)
            fail_msg("said \"%s\", expected \"%s\"", text, rows[i].says);
        seen[rows[i].f] = true;
    }
    for (int f = 0; f < POLICY_FIELDS; f++)
        CHECK_(policy_field((enum policy_field)f)->name, seen[f]);
}

/* What a sentence calls looser is what takes two officers, and nothing else is. */
static void test_policy__sentences_and_signatures_agree(void **state)
{
    AUTO_CX struct cx *cx = cx_new(8 * MB, CX_NO_DEADLINE);
    static const char *few[] = {"count"}, *others[] = {"table"};
    struct policy a, b;
    struct policy_change *list;
    size_t n;

    (void)state;
    for (int f = 0; f < POLICY_FIELDS; f++)
        for (int up = 0; up < 2; up++) {
            const struct policy_field_info *info = policy_field((enum policy_field)f);

            policy_cautious(&a);
            b = a;
            a.number[f] = up ? info->lowest : info->highest;
            b.number[f] = up ? info->highest : info->lowest;
            assert_int_equal(policy_changes(cx, &a, &b, &list, &n), FAULT_NONE);
            CHECK_EQ_(info->name, list[0].way < 0 ? 2 : 1,
                      policy_officers_needed(&b, &a, false));
            CHECK_EQ_(info->name, policy_officers_needed(&b, &a, true), 1);
        }
    policy_cautious(&a);
    assert_int_equal(policy_officers_needed(&a, NULL, false), 2);
    assert_int_equal(policy_changes(cx, &a, &a, &list, &n), FAULT_NONE);
    assert_int_equal(n, 0);
    b = a;
    a.all_allowed = b.all_allowed = false;
    a.allowed = few;
    b.allowed = others;
    a.n_allowed = b.n_allowed = 1;
    assert_int_equal(policy_changes(cx, &a, &b, &list, &n), FAULT_NONE);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].way, -1);
    assert_string_equal(list[0].sentence, "answers also table; no longer answers count");
    b.n_allowed = 0; /* none */
    assert_int_equal(policy_changes(cx, &a, &b, &list, &n), FAULT_NONE);
    assert_int_equal(list[0].way, 1);
    policy_testing(&b);
    policy_cautious(&a);
    assert_int_equal(policy_changes(cx, &a, &b, &list, &n), FAULT_NONE);
    assert_string_equal(list[0].name, "class");
    assert_int_equal(list[0].way, -1);
}

/* Of two fields that one rule divides, the sentences lead from one to the other. */
static void test_policy__dominance_is_told_in_steps(void **state)
{
    AUTO_CX struct cx *cx = cx_new(8 * MB, CX_NO_DEADLINE);
    struct policy a, b;
    struct policy_change *list;
    size_t n;

    (void)state;
    policy_cautious(&a);
    b = a;
    b.number[POLICY_DOMINANCE_K] = 0.8;
    b.number[POLICY_DOMINANCE_N] = 1;
    assert_int_equal(policy_changes(cx, &a, &b, &list, &n), FAULT_NONE);
    assert_int_equal(n, 2);
    CHECK_("k first",
           list[0].way == 1 && strstr(list[0].sentence, "40 %; it was 45 %") != NULL);
    CHECK_("then n",
           list[1].way == -1 && strstr(list[1].sentence, "80 %; it was 40 %") != NULL);
}

/* A policy that was signed before the table grew still says all that it said. */
static void test_policy__a_table_of_an_earlier_version_stands(void **state)
{
    static const struct {
        const char *what;
        uint32_t version;
        size_t fields;    /* of numbers; then the analyses */
        const char *says; /* NULL: it opens */
    } rows[] = {
        {"as it was signed", 1, POLICY_ROUNDING_MODE, NULL},
        {"with fields that it does not know", 1, POLICY_FIELDS, "is missing where"},
        {"a newer one without them", 2, POLICY_ROUNDING_MODE, "rounding_mode is missing"},
        {"as the second was signed", 2, POLICY_NOISE_MECHANISM, NULL},
        {"the second with noise", 2, POLICY_FIELDS, "is missing where"},
        {"a new one without it", 3, POLICY_NOISE_MECHANISM, "noise_mechanism is missing"},
        {"as the third was signed", 3, POLICY_FIELDS, NULL},
        {"a new one without what is reviewed", 4, POLICY_FIELDS,
         "reviewed_statistics is missing"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_CX struct cx *cx = cx_new(8 * MB, CX_NO_DEADLINE);
        Cohortium__Policy *body;
        struct policy p, out;

        policy_cautious(&p);
        p.number[POLICY_BY_SITE] = 1;
        body = packed(cx, &p);
        body->version = rows[i].version;
        body->fields[rows[i].fields] = body->fields[POLICY_FIELDS];
        body->n_fields = rows[i].fields + 1;
        enum fault fault = policy_open(cx, body, false, &out);

        CHECK_EQ_(rows[i].what, fault == FAULT_NONE, rows[i].says == NULL);
        if (rows[i].says != NULL)
            assert_non_null(strstr(cx_message(cx), rows[i].says));
        else
            CHECK_(rows[i].what, memcmp(out.number, p.number, sizeof p.number) == 0);
    }
}

/* Whoever looks at less lets more out: two officers. A session never speaks of it. */
static void test_policy__what_an_officer_looks_at(void **state)
{
    static const char *const none[] = {NULL}, *const glm[] = {"glm"},
                             *const both[] = {"count", "glm"}, *const all[] = {"all"};
    static const struct {
        const char *what;
        const char *const *before, *const *after;
        size_t n_before, n_after;
        bool looser, changes;
    } rows[] = {
        {"one more", glm, both, 1, 2, false, true},
        {"one less", both, glm, 2, 1, true, true},
        {"none any more", glm, none, 1, 0, true, true},
        {"the first", none, glm, 0, 1, false, true},
        {"all", both, all, 2, 1, false, true},
        {"no longer all", all, both, 1, 2, true, true},
        {"the same", both, both, 2, 2, false, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_CX struct cx *cx = cx_new(8 * MB, CX_NO_DEADLINE);
        struct policy a, b, again;
        struct policy_change *list;
        size_t n;

        policy_cautious(&a);
        policy_cautious(&b);
        a.reviewed = (const char **)rows[i].before;
        a.n_reviewed = rows[i].n_before;
        b.reviewed = (const char **)rows[i].after;
        b.n_reviewed = rows[i].n_after;
        CHECK_EQ_(rows[i].what, policy_is_looser(&b, &a), rows[i].looser);
        CHECK_OK_(rows[i].what, cx, policy_changes(cx, &a, &b, &list, &n));
        CHECK_EQ_(rows[i].what, n, rows[i].changes);
        CHECK_EQ_(rows[i].what, strstr(policy_difference(cx, &a, &b), "reviewed") != NULL,
                  rows[i].changes);
        CHECK_OK_(rows[i].what, cx, policy_open(cx, packed(cx, &b), false, &again));
        CHECK_EQ_(rows[i].what, again.n_reviewed, rows[i].n_after);
        CHECK_EQ_(rows[i].what, policy_reviews(&again, "glm"), rows[i].n_after > 0);
        CHECK_EQ_(rows[i].what, policy_reviews(&again, "lm"), rows[i].after == all);
    }
}

static void test_policy__an_error_needs_room(void **state)
{
    static const struct {
        const char *what;
        double mode, d, v;
        bool fine;
    } rows[] = {{"standard", ROUND_CELL_KEY, 2, 1, true},
                {"as wide as it goes", ROUND_CELL_KEY, 1, 1, true},
                {"no error at all", ROUND_CELL_KEY, 0, 1, false},
                {"no variance", ROUND_CELL_KEY, 2, 0, false},
                {"more variance than the error allows", ROUND_CELL_KEY, 2, 4.5, false},
                {"not used", ROUND_NEAREST, 0, 9, true}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_CX struct cx *cx = cx_new(8 * MB, CX_NO_DEADLINE);
        struct policy p, out;

        policy_cautious(&p);
        p.number[POLICY_ROUNDING_MODE] = rows[i].mode;
        p.number[POLICY_PERTURBATION_D] = rows[i].d;
        p.number[POLICY_PERTURBATION_V] = rows[i].v;
        CHECK_EQ_(rows[i].what, policy_open(cx, packed(cx, &p), false, &out) == FAULT_NONE,
                  rows[i].fine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy__a_table_of_an_earlier_version_stands),
        cmocka_unit_test(test_policy__what_an_officer_looks_at),
        cmocka_unit_test(test_policy__an_error_needs_room),
        cmocka_unit_test(test_policy__table_is_that_of_the_manual),
        cmocka_unit_test(test_policy__every_field_keeps_to_its_range),
        cmocka_unit_test(test_policy__what_is_not_understood_whole_is_refused),
        cmocka_unit_test(test_policy__packed_form_keeps_everything),
        cmocka_unit_test(test_policy__session_is_the_strictest_by_field),
        cmocka_unit_test(test_policy__session_allows_what_all_allow),
        cmocka_unit_test(test_policy__session_keeps_between_floor_and_ceiling),
        cmocka_unit_test(test_policy__session_is_testing_only_if_all_are),
        cmocka_unit_test(test_policy__loosening_takes_two_officers_tightening_one),
        cmocka_unit_test(test_policy__dates_and_owner_are_checked),
        cmocka_unit_test(test_policy__words_say_what_changes),
        cmocka_unit_test(test_policy__a_change_is_a_sentence),
        cmocka_unit_test(test_policy__sentences_and_signatures_agree),
        cmocka_unit_test(test_policy__dominance_is_told_in_steps),
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}

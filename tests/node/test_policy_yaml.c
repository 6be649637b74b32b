/* What node/data/policy_yaml.h promises. */
#include "node/data/policy_template.h"
#include "node/data/policy_yaml.h"
#include "protocol/base/clock.h"
#include "tests/check.h"

#include <math.h>

static struct policy open_ok(struct cx *cx, const char *text, bool lab)
{
    Cohortium__Policy *body = NULL;
    struct policy p = {0};

    CHECK_OK_(text, cx, policy_from_yaml(cx, "p.yaml", text, strlen(text), lab, &body));
    CHECK_OK_(text, cx, policy_open(cx, body, lab, &p));
    assert_string_equal(body->text, text);
    return p;
}

static void test_policy_yaml__defaults_follow_the_threshold(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    struct policy p = open_ok(cx, "class: cautious\n", false), standard;

    (void)state;
    policy_cautious(&standard);
    assert_memory_equal(p.number, standard.number, sizeof p.number);
    assert_true(p.all_allowed && !p.testing);

    p = open_ok(cx, "minimum_frequency_threshold: 20\n", false);
    assert_true(p.number[POLICY_MINIMUM_FREQUENCY_THRESHOLD] == 20);
    assert_true(p.number[POLICY_MINIMUM_COMPLEMENT] == 20);
    assert_true(p.number[POLICY_MINIMUM_POPULATION] == 20);
    assert_true(fabs(p.number[POLICY_MODEL_MAX_LEVERAGE] - 0.05) < 1e-15);

    p = open_ok(cx, "minimum_frequency_threshold: 20\nminimum_complement: 5\n", false);
    assert_true(p.number[POLICY_MINIMUM_COMPLEMENT] == 5);
}

static void test_policy_yaml__words_dates_and_lists(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    struct policy p = open_ok(cx,
                              "class: cautious\nby_site: yes\n"
                              "collusion_assumed: all_other_members\n"
                              "allowed_statistics: [table, count]\n"
                              "valid_from: 2026-01-01\nvalid_until: 2026-12-31\n"
                              "reason: \"first policy: agreed\"\n",
                              false);
    int64_t now = clock_utc_ms();

    (void)state;
    assert_true(p.number[POLICY_BY_SITE] == 1 && p.number[POLICY_COLLUSION_ASSUMED] == 1);
    assert_true(!p.all_allowed && p.n_allowed == 2);
    assert_int_equal(p.not_before, INT64_C(20454) * 86400000);
    assert_int_equal(p.not_after, INT64_C(20819) * 86400000); /* the last day is included */
    p = open_ok(cx, "class: cautious\n", false);
    assert_true((int64_t)p.not_before <= now + 60000);
    assert_int_equal(p.not_after - p.not_before, INT64_C(365) * 86400000);
}

static void test_policy_yaml__exact_for_testing_is_for_labs(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    struct policy p = open_ok(cx, policy_yaml_exact_for_testing, true), testing;
    Cohortium__Policy *body;

    (void)state;
    policy_testing(&testing);
    assert_memory_equal(p.number, testing.number, sizeof p.number);
    assert_true(p.testing);
    assert_int_equal(policy_from_yaml(cx, "p.yaml", policy_yaml_exact_for_testing,
                                      strlen(policy_yaml_exact_for_testing), false, &body),
                     FAULT_FORMAT);
    assert_non_null(strstr(cx_message(cx), "p.yaml:1:8: class: testing"));
    p = open_ok(cx, "class: testing\nminimum_frequency_threshold: 1\n", true);
    assert_true(p.number[POLICY_MINIMUM_FREQUENCY_THRESHOLD] == 1);
}

static void test_policy_yaml__refuses_with_a_place(void **state)
{
    static const struct {
        const char *what, *text, *says;
    } rows[] = {
        {"a misspelt field", "class: cautious\nminimum_frequency_treshold: 5\n",
         "p.yaml:2:1: policy: unknown key `minimum_frequency_treshold`, did you mean "
         "`minimum_frequency_threshold`?"},
        {"below its range", "minimum_frequency_threshold: 1\n",
         "is not allowed; expected a"},
        {"not whole", "minimum_frequency_threshold: 10.5\n", "expected a whole number"},
        {"text", "minimum_frequency_threshold: ten\n", "expected a number"},
        {"a number for yes", "by_site: 1\n", "expected yes or no"},
        {"an unknown word", "collusion_assumed: all\n",
         "collusion_assumed: `all` is unknown"},
        {"an unknown class", "class: open\n", "p.yaml:1:8: class: `open` is unknown"},
        {"an empty list", "allowed_statistics: []\n", "the list is empty"},
        {"twice in the list", "allowed_statistics: [count, count]\n", "stands twice"},
        {"over before it begins", "valid_from: 2026-05-01\nvalid_until: 2026-04-30\n",
         "p.yaml:2:14: valid_until"},
        {"no such day", "valid_from: 2026-02-30\n", "there is no day"},
        {"an empty reason", "class: cautious\nreason: \"\"\n",
         "p.yaml:2:9: reason: it is empty"},
        {"a blank reason", "reason: \" \\t \"\n", "p.yaml:1:9: reason: it is empty"},
        {"a key twice", "by_site: yes\nby_site: no\n", "stands twice"},
    };
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Policy *body;

        CHECK_EQ_(rows[i].what,
                  policy_from_yaml(cx, "p.yaml", rows[i].text, strlen(rows[i].text), false,
                                   &body),
                  FAULT_FORMAT);
        if (strstr(cx_message(cx), rows[i].says) == NULL)
            fail_msg("%s: said \"%s\", expected \"%s\"", rows[i].what, cx_message(cx),
                     rows[i].says);
    }
}

/* ---- templates ---- */

/* How many lines begin with this. */
static size_t lines_with(const char *text, const char *beginning)
{
    size_t n = 0;

    for (const char *p = text; p != NULL && *p != '\0';) {
        n += strncmp(p, beginning, strlen(beginning)) == 0;
        p = strchr(p, '\n');
        p += p != NULL;
    }
    return n;
}

static const char *template_text(struct cx *cx, const char *name)
{
    struct bytes text;

    CHECK_OK_(name, cx, policy_template_text(cx, name, &text));
    const char *copy = cx_printf(cx, "%.*s", (int)text.n, (const char *)text.p);

    assert_non_null(copy);
    assert_int_equal(strlen(copy), text.n);
    return copy;
}

static void test_policy_template__is_read_back_to_its_numbers(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    const struct policy_template *t;
    struct policy before, p;
    size_t n = 0;

    (void)state;
    for (; (t = policy_template_at(n)) != NULL; n++) {
        struct policy want, got = open_ok(cx, template_text(cx, t->name), false);

        assert_true(policy_template_find(t->name, &want));
        assert_memory_equal(got.number, want.number, sizeof got.number);
        assert_true(got.all_allowed && !got.testing);
        if (n > 0) { /* from the strictest on */
            CHECK_(t->name, policy_is_looser(&want, &before));
            CHECK_(t->name, !policy_is_looser(&before, &want));
        }
        before = want;
    }
    assert_int_equal(n, 3);
    policy_cautious(&before);
    assert_true(policy_template_find("cautious", &p));
    assert_memory_equal(p.number, before.number, sizeof p.number);
}

static void test_policy_template__explains_every_field_once(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    static const char *const own[] = {"class: ", "# allowed_statistics: ", "# valid_from: ",
                                      "# valid_until: ", "# reason: "};
    const char *text = template_text(cx, "open");

    (void)state;
    for (int f = 0; f < POLICY_FIELDS; f++) {
        const char *name = policy_field((enum policy_field)f)->name;
        const char *line = cx_printf(cx, "\n%s: ", name);
        const char *at = strstr(text, line);

        CHECK_EQ_(name, lines_with(text, line + 1), 1);
        /* Above it its range, above that its words. */
        while (at > text && at[-1] != '\n')
            at--;
        CHECK_(name, strncmp(at, "# ", 2) == 0 &&
                         strstr(at, "; when left out: ") < strstr(at, "\n"));
        CHECK_(name, at > text + 2 && at[-2] != '\n');
    }
    for (size_t i = 0; i < COUNT(own); i++)
        CHECK_EQ_(own[i], lines_with(text, own[i]), 1);
    for (const char *p = text; *p != '\0'; p += strcspn(p, "\n") + 1)
        CHECK_("a line that is too long", strcspn(p, "\n") <= 90);
}

static void test_policy_template__others_are_refused(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    struct bytes text;
    struct policy p;

    (void)state;
    assert_int_equal(policy_template_text(cx, "standrad", &text), FAULT_USAGE);
    assert_non_null(strstr(cx_message(cx), "did you mean `standard`?"));
    assert_false(policy_template_find("testing", &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_yaml__defaults_follow_the_threshold),
        cmocka_unit_test(test_policy_yaml__words_dates_and_lists),
        cmocka_unit_test(test_policy_yaml__exact_for_testing_is_for_labs),
        cmocka_unit_test(test_policy_yaml__refuses_with_a_place),
        cmocka_unit_test(test_policy_template__is_read_back_to_its_numbers),
        cmocka_unit_test(test_policy_template__explains_every_field_once),
        cmocka_unit_test(test_policy_template__others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

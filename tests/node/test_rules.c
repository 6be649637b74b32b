/* What node/vault/rules.h promises: a number means one thing, and is found where it stands.
 */
#include "node/vault/rules.h"
#include "tests/check.h"

static void test_rules__are_numbered_and_say_what_can_be_done(void **state)
{
    const struct rule *r;
    size_t n = 0, refusing = 0;

    (void)state;
    for (; (r = rule_at(n)) != NULL; n++) {
        char mark[8];

        (void)snprintf(mark, sizeof mark, "R%zu", n + 1);
        if (n < RULES_NUMBERED)
            assert_string_equal(r->mark, mark);
        CHECK_(r->mark, r->name[0] != '\0' && r->meaning[0] != '\0');
        CHECK_(r->mark, (r->officer == NULL) == (r->researcher == NULL));
        CHECK_(r->mark, r->field < POLICY_FIELDS && (r->officer != NULL || r->field < 0));
        CHECK_EQ_(r->mark, rule_find(r->mark) == r, n < RULES_NUMBERED);
        refusing += r->officer != NULL;
    }
    CHECK_("those that are in force", refusing >= 14);
    assert_ptr_equal(rule_find("r7"), rule_find("R7"));
    assert_null(rule_find("R0"));
    assert_null(rule_find("R26"));
    assert_null(rule_find("7"));
    assert_null(rule_find(""));
}

static void test_rules__are_found_in_a_reason(void **state)
{
    static const struct {
        const char *text, *marks[4];
    } rows[] = {
        {"this site objected: R1: region 2 of 3 holds fewer patients", {"R1"}},
        {"R13: more levels a patient than max_level_density", {"R13"}},
        {"R4, R9: one patient's part cannot be told", {"R4", "R9"}},
        {"withheld values: 3 by R1 (minimum_frequency_threshold) 2 by R25 (would follow)",
         {"R1", "R25"}},
        {"R1: few; also R1: few", {"R1"}},
        {"0.4: with all that was released before", {"R23"}}, /* as it was written once */
        {"R23: with all that was released before", {"R23"}},
        {"1 by 0.8 (another site withholds it)", {"0.8"}},
        {"all_other_members: of this site's own patients: R2: region 1 of 1",
         {"all_other_members", "R2"}},
        {"local_minimum: fewer patients here", {"local_minimum"}},
        {"numbers: glm: it did not converge after 25 rounds", {"numbers"}},
        {"another site objected, or the rules of the pool", {NULL}},
        {"R26: none", {NULL}},
        {"PR1: none, R1x: none, 0.15 (none), 10.8 (none), R1", {NULL}},
        {"the numbers of R1 and local_minimum", {NULL}},
        {"", {NULL}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct rule *found[8];
        size_t n = rules_in(rows[i].text, found, COUNT(found)), want = 0;

        while (want < COUNT(rows[i].marks) && rows[i].marks[want] != NULL)
            want++;
        CHECK_EQ_(rows[i].text, n, want);
        for (size_t k = 0; k < want; k++)
            assert_string_equal(found[k]->mark, rows[i].marks[k]);
    }
    const struct rule *one[1];

    assert_int_equal(rules_in("R4, R9: both", one, 1), 1);
}

static void test_rules__lines_are_narrow(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct buffer b = buffer_new(cx, 1 << 18);
    const struct rule *r;

    (void)state;
    for (size_t i = 0; (r = rule_at(i)) != NULL; i++)
        rule_put(&b, r);
    const char *text = buffer_string(&b);

    assert_non_null(text);
    CHECK_("all of them",
           strstr(text, "\nR25: ") != NULL && strstr(text, "\nnumbers: ") != NULL);
    for (const char *p = text; *p != '\0'; p += strcspn(p, "\n") + 1)
        CHECK_("narrow", strcspn(p, "\n") <= 88);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules__are_numbered_and_say_what_can_be_done),
        cmocka_unit_test(test_rules__are_found_in_a_reason),
        cmocka_unit_test(test_rules__lines_are_narrow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

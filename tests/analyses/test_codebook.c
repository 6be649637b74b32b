/* What analyses/codebook.h promises: only a whole codebook opens, and its digest is of what
 * it means. */
#include "analyses/codebook.h"

#include <math.h>

#include "language_codebook.h"
#include "tests/check.h"

static struct cx *cx;

static int set_up(void **state)
{
    (void)state;
    cx = cx_new(64 << 20, CX_NO_DEADLINE);
    return cx == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    cx_free(&cx);
    return 0;
}

static void test_codebook__opens_what_it_made(void **state)
{
    struct codebook *cb, *again, *told;
    Cohortium__Codebook *body = language_body();

    (void)state;
    CHECK_OK_("made", cx, codebook_from_body(cx, body, &cb));
    CHECK_OK_("opened", cx, codebook_open(cx, cb->packed, &again));
    assert_memory_equal(cb->digest, again->digest, 32);
    body->text = TEXT("# a comment\n");
    CHECK_OK_("with a text", cx, codebook_from_body(cx, body, &told));
    assert_memory_equal(cb->digest, told->digest, 32);
    assert_true(told->packed.n > cb->packed.n);
    body->variables[V_AGE]->upper = 121;
    CHECK_OK_("other bounds", cx, codebook_from_body(cx, body, &told));
    assert_memory_not_equal(cb->digest, told->digest, 32);
    assert_int_equal(codebook_find(cb, "age"), V_AGE);
    assert_int_equal(codebook_find(cb, "Age"), -1);
    assert_int_equal(variable_level(codebook_variable(cb, V_DX), "I10"), 2);
    assert_int_equal(variable_level(codebook_variable(cb, V_DX), "i10"), -1);
    assert_false(variable_is_usable(codebook_variable(cb, V_PATIENT)));
    assert_false(variable_is_usable(codebook_variable(cb, V_SECRET)));
    assert_true(variable_is_usable(codebook_variable(cb, V_DX)));
}

static void test_codebook__bytes_are_strict(void **state)
{
    struct codebook *cb, *again;
    uint8_t *bytes;

    (void)state;
    CHECK_OK_("made", cx, codebook_from_body(cx, language_body(), &cb));
    CHECK_EQ_("cut short",
              codebook_open(cx, bytes_of(cb->packed.p, cb->packed.n - 1), &again),
              FAULT_FORMAT);
    bytes = cx_alloc(cx, cb->packed.n + 2);
    memcpy(bytes, cb->packed.p, cb->packed.n);
    bytes[cb->packed.n] = 0x78; /* field 15 */
    bytes[cb->packed.n + 1] = 1;
    CHECK_EQ_("an unknown field",
              codebook_open(cx, bytes_of(bytes, cb->packed.n + 2), &again), FAULT_FORMAT);
    CHECK_EQ_("nothing at all", codebook_open(cx, bytes_of("", 0), &again), FAULT_FORMAT);
}

static void spoil(Cohortium__Codebook *b, int row)
{
    static char *twice[] = {TEXT("x"), TEXT("x")}, *empty[] = {TEXT("")};
    static char *one[] = {TEXT("x")}, *line[] = {TEXT("a\nb")};
    static double falling[] = {40, 30}, beyond[] = {40, 121}, half[] = {40.5};
    Cohortium__Variable **v = b->variables;

    switch (row) {
    case 1:
        b->name = TEXT("Lung");
        break;
    case 2:
        v[V_A]->name = TEXT("b");
        break;
    case 3:
        v[V_A]->name = TEXT("a-b");
        break;
    case 4:
        v[V_A]->name = TEXT("missing");
        break;
    case 5:
        v[V_A]->type = COHORTIUM__VAR_TYPE__VAR_UNSET;
        break;
    case 6:
        v[V_A]->role = COHORTIUM__ROLE__ROLE_UNSET;
        break;
    case 7:
        v[V_A]->bounded = false, v[V_A]->lower = v[V_A]->upper = 0;
        break;
    case 8:
        v[V_A]->upper = v[V_A]->lower;
        break;
    case 9:
        v[V_A]->upper = INFINITY;
        break;
    case 10:
        v[V_A]->upper = NAN;
        break;
    case 11:
        v[V_AGE]->upper = 120.5;
        break;
    case 12:
        v[V_SEX]->n_levels = 0;
        break;
    case 13:
        v[V_SEX]->levels = twice;
        break;
    case 14:
        v[V_SEX]->levels = empty, v[V_SEX]->n_levels = 1;
        break;
    case 15:
        v[V_AGE]->levels = one, v[V_AGE]->n_levels = 1;
        break;
    case 16:
        v[V_AGE]->grid = falling, v[V_AGE]->n_grid = 2;
        break;
    case 17:
        v[V_AGE]->grid = beyond, v[V_AGE]->n_grid = 2;
        break;
    case 18:
        v[V_AGE]->grid = half, v[V_AGE]->n_grid = 1;
        break;
    case 19:
        b->count_unit = TEXT("age");
        break;
    case 20:
        b->count_unit = TEXT("nobody");
        break;
    case 21:
        b->n_variables = 1;
        break;
    case 22:
        b->n_variables = 0;
        break;
    case 23:
        v[V_SEX]->bounded = true, v[V_SEX]->upper = 1;
        break;
    case 24:
        v[V_DX]->levels = line, v[V_DX]->n_levels = 1;
        break;
    case 25:
        v[V_AGE]->missing_codes = twice, v[V_AGE]->n_missing_codes = 2;
        break;
    case 26:
        v[V_VISIT]->upper = 3e6;
        break;
    case 27:
        b->patient_namespace = TEXT("Ward 1");
        break;
    case 28:
        v[V_A]->label = TEXT("\xff");
        break;
    case 29:
        v[V_STATUS]->bounded = true, v[V_STATUS]->upper = 2;
        break;
    case 30:
        v[V_G]->upper = v[V_G]->lower + 1;
        break;
    default:
        break;
    }
}

static void test_codebook__refuses(void **state)
{
    static const struct {
        const char *what, *says;
    } rows[] = {
        {"untouched", NULL},
        {"a dataset's name in capitals", "name"},
        {"two variables of one name", "`b` stands twice"},
        {"a hyphen in a variable's name", "variable 12"},
        {"a word of the language as a name", "`missing`"},
        {"no type", "expected the type"},
        {"no role", "expected the role"},
        {"a number without bounds", "bounds are missing"},
        {"empty bounds", "the lower one first"},
        {"endless bounds", "finite"},
        {"bounds that are no number", "finite"},
        {"half an integer", "whole numbers"},
        {"a categorical without levels", "needs its levels"},
        {"a level twice", "stands twice"},
        {"an empty level", "level 1"},
        {"levels of an integer", "categorical and ordered"},
        {"a falling grid", "cut point 2"},
        {"a grid beyond the bounds", "cut point 2"},
        {"half a cut point", "whole number"},
        {"the count unit is no identifier", "count_unit"},
        {"the count unit does not exist", "count_unit"},
        {"nothing but the count unit", "at least one other"},
        {"nothing", "count_unit"},
        {"bounds of a categorical", "only integer, real and date"},
        {"a level of two lines", "one line"},
        {"a missing code twice", "missing code"},
        {"a date after 9999", "9999-12-31"},
        {"a namespace with a blank", "patient_namespace"},
        {"a label that is no text", "UTF-8"},
        {"a binary up to 2", "remove them"},
        {"a number of two values", "make it binary"},
    };
    struct codebook *cb;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        Cohortium__Codebook *body = language_body();
        enum fault fault;

        spoil(body, (int)i);
        fault = codebook_from_body(cx, body, &cb);
        CHECK_EQ_(rows[i].what, fault, rows[i].says == NULL ? FAULT_NONE : FAULT_FORMAT);
        if (rows[i].says != NULL && strstr(cx_message(cx), rows[i].says) == NULL)
            fail_msg("%s: says: %s", rows[i].what, cx_message(cx));
    }
}

static void test_codebook__an_identifier_needs_no_levels(void **state)
{
    struct codebook *cb;
    Cohortium__Codebook *body = language_body();

    (void)state;
    body->variables[V_PATIENT]->type = COHORTIUM__VAR_TYPE__CATEGORICAL;
    CHECK_OK_("a text as identifier", cx, codebook_from_body(cx, body, &cb));
}

static void test_codebook__hints(void **state)
{
    struct codebook *cb;
    double lower, upper;

    (void)state;
    CHECK_OK_("made", cx, codebook_from_body(cx, language_body(), &cb));
    assert_string_equal(codebook_hint(cx, cb, "statsu"), "; did you mean `status`?");
    assert_null(strstr(codebook_hint(cx, cb, "secert"), "secret"));
    assert_string_equal(level_hint(cx, codebook_variable(cb, V_SEX), "femal"),
                        "; did you mean `female`?");
    assert_string_equal(level_hint(cx, codebook_variable(cb, V_SEX), "unknown"),
                        "; its levels are: female, male");
    variable_range(codebook_variable(cb, V_STATUS), &lower, &upper);
    assert_true(lower == 0 && upper == 1);
    variable_range(codebook_variable(cb, V_DX), &lower, &upper);
    assert_true(lower == 0 && upper == 4);
    variable_range(codebook_variable(cb, V_BMI), &lower, &upper);
    assert_true(lower == 10 && upper == 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_codebook__opens_what_it_made, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_codebook__bytes_are_strict, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_codebook__refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_codebook__an_identifier_needs_no_levels,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_codebook__hints, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

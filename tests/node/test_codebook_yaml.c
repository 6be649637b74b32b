/* What node/data/codebook_yaml.h promises. */
#include "node/data/codebook_yaml.h"
#include "tests/check.h"

static const char good[] =
    "dataset: lung\n"
    "count_unit: rid\n"
    "variables:\n"
    "  rid: {type: identifier}\n"
    "  age: {type: integer, role: quasi_identifier, unit: year,\n"
    "        bounds: [20, 100], grid: [50, 60], missing: [\"\", \"-9\"]}\n"
    "  sex: {type: categorical, levels: [NO, yes, 1]}\n"
    "  seen: {type: date, bounds: [2020-01-01, 2030-12-31]}\n"
    "  ward: {type: real, bounds: [-0.5, 1e3], nested: yes}\n";

static void test_codebook_yaml__compiles_what_is_written(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    Cohortium__Codebook *body;
    struct codebook *cb, *again;
    const char *text;

    (void)state;
    CHECK_OK_("good", cx, codebook_from_yaml(cx, "c.yaml", good, strlen(good), &body));
    CHECK_OK_("good", cx, codebook_from_body(cx, body, &cb));
    assert_int_equal(cb->body->n_variables, 5);
    assert_int_equal(cb->body->variables[0]->role, COHORTIUM__ROLE__DIRECT_IDENTIFIER);
    assert_int_equal(cb->body->variables[1]->n_missing_codes, 1);
    assert_string_equal(cb->body->variables[2]->levels[0], "NO");
    assert_string_equal(cb->body->variables[2]->levels[1], "yes");
    assert_int_equal(cb->body->variables[2]->role, COHORTIUM__ROLE__ORDINARY);
    assert_true(cb->body->variables[3]->lower == 18262);
    assert_true(cb->body->variables[4]->nested && cb->body->variables[4]->upper == 1000);
    assert_string_equal(cb->body->text, good);

    CHECK_OK_("shown", cx, codebook_to_yaml(cx, cb->body, &text));
    CHECK_OK_(text, cx, codebook_from_yaml(cx, "shown", text, strlen(text), &body));
    CHECK_OK_(text, cx, codebook_from_body(cx, body, &again));
    assert_memory_equal(cb->digest, again->digest, 32);
}

static void test_codebook_yaml__a_list_is_the_same_as_a_map(void **state)
{
    static const char map[] =
        "dataset: d\ncount_unit: p\nvariables:\n  p: {type: identifier}\n"
        "  b: {type: binary}\n";
    static const char list[] = "dataset: d\ncount_unit: p\nvariables:\n"
                               "- {name: p, type: identifier}\n- {type: binary, name: b}\n";
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    Cohortium__Codebook *body;
    struct codebook *a, *b;

    (void)state;
    CHECK_OK_("map", cx, codebook_from_yaml(cx, "c", map, strlen(map), &body));
    CHECK_OK_("map", cx, codebook_from_body(cx, body, &a));
    CHECK_OK_("list", cx, codebook_from_yaml(cx, "c", list, strlen(list), &body));
    CHECK_OK_("list", cx, codebook_from_body(cx, body, &b));
    assert_memory_equal(a->digest, b->digest, 32);
}

static const char derived[] =
    "dataset: d\ncount_unit: p\nvariables:\n  p: {type: identifier}\n"
    "  band: {from: age, cut: [50, 60]}\n"
    "  age: {type: integer, role: quasi_identifier, bounds: [20, 100], grid: [50, 55, "
    "60]}\n"
    "  seen: {type: date, bounds: [2020-01-01, 2030-12-31]}\n"
    "  era: {from: seen, cut: [2021-01-01, 2022-01-01], levels: [early, then, late]}\n"
    "  dose: {type: real, bounds: [0, 9]}\n"
    "  much: {from: dose, cut: [0.5, 2]}\n"
    "  town: {type: categorical, role: quasi_identifier, levels: [a, b, c]}\n"
    "  area: {from: town, recode: {c: north, a: south, b: north}}\n"
    "  hiv: {type: binary, role: sensitive}\n"
    "  hiv_words: {from: hiv, recode: {0: no, 1: yes}}\n"
    "  ecog: {type: integer, bounds: [1, 3]}\n"
    "  fit: {from: ecog, type: ordered, role: sensitive, levels: [poor, good],\n"
    "        recode: {1: good, 2: poor, 3: poor}}\n"
    "  inner: {type: binary, role: hidden}\n";

static const Cohortium__Variable *named(const struct codebook *cb, const char *name)
{
    int at = codebook_find(cb, name);

    assert_true(at >= 0);
    return codebook_variable(cb, at);
}

static void check_levels(const struct codebook *cb, const char *name, const char *a,
                         const char *b, const char *c)
{
    const Cohortium__Variable *v = named(cb, name);
    const char *want[] = {a, b, c};

    CHECK_EQ_(name, v->n_levels, c != NULL ? 3 : 2);
    for (size_t i = 0; i < v->n_levels; i++)
        assert_string_equal(v->levels[i], want[i]);
}

/* Levels and names; roles are the source's; written out and read again it is the same. */
static void test_codebook_yaml__derives_variables(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    Cohortium__Codebook *body;
    struct codebook *cb, *again;
    const char *text;

    (void)state;
    CHECK_OK_("derived", cx, codebook_from_yaml(cx, "c", derived, strlen(derived), &body));
    CHECK_OK_("derived", cx, codebook_from_body(cx, body, &cb));
    check_levels(cb, "band", "<50", "50-59", ">=60");
    check_levels(cb, "era", "early", "then", "late");
    check_levels(cb, "much", "<0.5", "[0.5,2)", ">=2");
    check_levels(cb, "area", "south", "north", NULL);
    check_levels(cb, "hiv_words", "no", "yes", NULL);
    check_levels(cb, "fit", "poor", "good", NULL);
    assert_true(variable_is_quasi(named(cb, "band")) &&
                variable_is_quasi(named(cb, "area")));
    assert_int_equal(named(cb, "hiv_words")->role, COHORTIUM__ROLE__SENSITIVE);
    assert_int_equal(named(cb, "much")->role, COHORTIUM__ROLE__ORDINARY);
    assert_int_equal(named(cb, "band")->type, COHORTIUM__VAR_TYPE__ORDERED);
    assert_int_equal(named(cb, "area")->type, COHORTIUM__VAR_TYPE__CATEGORICAL);
    CHECK_OK_("shown", cx, codebook_to_yaml(cx, cb->body, &text));
    CHECK_OK_(text, cx, codebook_from_yaml(cx, "shown", text, strlen(text), &body));
    CHECK_OK_(text, cx, codebook_from_body(cx, body, &again));
    assert_memory_equal(cb->digest, again->digest, 32);
}

/* A derived variable is no way around a grid or a role: each row is the book above with one
 * part replaced. */
struct refused {
    const char *what, *old, *put, *says;
};
static void check_refused(const char *book, const struct refused *rows, size_t n);

static void test_codebook_yaml__a_derived_variable_is_no_way_around(void **state)
{
    static const struct refused rows[] = {
        {"off the grid", "cut: [50, 60]", "cut: [50, 57]",
         "cut point 2 is not on the grid"},
        {"a quasi-identifier without a grid", ", grid: [50, 55, 60]", "",
         "a quasi-identifier that has none"},
        {"a role that is less", "{from: age, ", "{from: age, role: ordinary, ",
         "has its role"},
        {"a sensitive one as ordinary", "{from: hiv, ", "{from: hiv, role: ordinary, ",
         "has its role"},
        {"a hidden source", "from: hiv,", "from: inner,", "hidden; nothing is derived"},
        {"an identifier", "{from: town, recode: {c: north, a: south, b: north}}",
         "{from: p, cut: [1]}", "direct identifier"},
        {"single ages", "{from: age, cut: [50, 60]}", "{from: age, recode: {50: x}}",
         "cut it"},
        {"of one that is derived", "{from: hiv, recode: {0: no, 1: yes}}",
         "{from: area, recode: {south: x, north: y}}", "is derived itself"},
        {"of itself", "{from: dose,", "{from: much,", "is derived itself"},
        {"of none", "{from: dose,", "{from: dosis,", "no variable `dosis`"},
        {"neither", "{from: dose, cut: [0.5, 2]}", "{from: dose}", "either `cut` or"},
        {"both", "cut: [0.5, 2]}", "cut: [0.5, 2], recode: {0: a}}", "either `cut` or"},
        {"without from", "{from: dose, cut: [0.5, 2]}", "{type: binary, cut: [1]}",
         "say `from`"},
        {"beyond the bounds", "cut: [0.5, 2]", "cut: [0.5, 20]", "within the bounds"},
        {"falling", "cut: [0.5, 2]", "cut: [2, 0.5]", "ascend"},
        {"levels cut", "{from: dose, cut: [0.5, 2]}", "{from: town, cut: [1]}",
         "cannot be cut"},
        {"a level left out", "{c: north, a: south, b: north}", "{c: north, a: south}",
         "is not named"},
        {"a level that is none", "{c: north, a", "{d: north, a", "no level of `town`"},
        {"too few names", "[early, then, late]", "[early, late]", "3 levels, not 2"},
        {"a name for nobody", "[poor, good]", "[poor, good, fair]", "nothing becomes"},
        {"missing codes of its own", "{from: dose, ", "{from: dose, missing: [\"-9\"], ",
         "no missing codes"},
    };
    (void)state;
    check_refused(derived, rows, COUNT(rows));
}

/* Each row is the good codebook with one part replaced. */
static void test_codebook_yaml__refuses_with_a_place(void **state)
{
    static const struct refused rows[] = {
        {"a misspelt key", "levels:", "level:",
         "c.yaml:7:28: variable `sex`: unknown key "
         "`level`, did you mean `levels`?"},
        {"a misspelt type", "categorical", "categorial", "did you mean `categorical`?"},
        {"a misspelt role", "quasi_identifier", "quasi",
         "role of `age`: `quasi` is unknown"},
        {"no type", "type: date, ", "", "c.yaml:8:9: variable `seen`: `type` is missing"},
        {"no count unit", "count_unit: rid\n", "", "`count_unit` is missing"},
        {"an unknown count unit", "count_unit: rid", "count_unit: pid", "count_unit"},
        {"a count unit that may be shown", "{type: identifier}", "{type: binary}",
         "count_unit"},
        {"bounds upside down", "[20, 100]", "[100, 20]", "c.yaml:6:17: bounds of `age`"},
        {"bounds of text", "[20, 100]", "[\"20\", 100]", "expected a whole number"},
        {"a fraction for an integer", "[20, 100]", "[20.5, 100]",
         "expected a whole number"},
        {"one bound", "[20, 100]", "[20]", "expected [lowest, highest]"},
        {"no bounds", "bounds: [20, 100], grid: [50, 60], ", "", "c.yaml:5:"},
        {"a grid that falls", "[50, 60]", "[60, 50]", "cut points must ascend"},
        {"a grid outside", "[50, 60]", "[50, 160]", "cut point 2"},
        {"levels of a real", "nested: yes", "levels: [a]", "c.yaml:9:"},
        {"no such day", "2030-12-31", "2030-02-30", "there is no day 2030-02-30"},
        {"a level twice", "[NO, yes, 1]", "[NO, yes, NO]", "stands twice"},
        {"a name with a hyphen", "  age:", "  a-ge:", "`a-ge` is not a variable"},
        {"a dataset with a dash", "dataset: lung", "dataset: lung-1", "is not a name"},
        {"a variable twice", "  ward:", "  sex:", "stands twice"},
        {"a word of the language", "  ward:", "  and:", "c.yaml:9:"},
        {"yes or no misspelt", "nested: yes", "nested: ja", "expected yes or no"},
        {"an identifier with a role", "{type: identifier}",
         "{type: identifier, role: ordinary}", "direct_identifier"},
    };
    (void)state;
    check_refused(good, rows, COUNT(rows));
}

static void check_refused(const char *book, const struct refused *rows, size_t n)
{
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);

    for (size_t i = 0; i < n; i++) {
        const char *at = strstr(book, rows[i].old);
        Cohortium__Codebook *body;
        char text[2000];

        CHECK_(rows[i].what, at != NULL);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - book), book, rows[i].put,
                       at + strlen(rows[i].old));
        CHECK_EQ_(rows[i].what, codebook_from_yaml(cx, "c.yaml", text, strlen(text), &body),
                  FAULT_FORMAT);
        if (strstr(cx_message(cx), rows[i].says) == NULL)
            fail_msg("%s: said \"%s\", expected \"%s\"", rows[i].what, cx_message(cx),
                     rows[i].says);
        CHECK_(rows[i].what, strncmp(cx_message(cx), "c.yaml:", 7) == 0);
    }
}

static void test_codebook_yaml__lung_compiles(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    const char *source = getenv("COHORTIUM_SOURCE");
    Cohortium__Codebook *body;
    struct codebook *cb;
    char path[4096], text[8192];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/tests/data/lung/lung.yaml",
                   source ? source : ".");
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text, f);
    assert_int_equal(fclose(f), 0);
    CHECK_OK_("lung", cx, codebook_from_yaml(cx, path, text, n, &body));
    CHECK_OK_("lung", cx, codebook_from_body(cx, body, &cb));
    assert_int_equal(cb->body->n_variables, 11);
    assert_true(variable_is_quasi(codebook_variable(cb, codebook_find(cb, "age"))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codebook_yaml__compiles_what_is_written),
        cmocka_unit_test(test_codebook_yaml__a_list_is_the_same_as_a_map),
        cmocka_unit_test(test_codebook_yaml__derives_variables),
        cmocka_unit_test(test_codebook_yaml__a_derived_variable_is_no_way_around),
        cmocka_unit_test(test_codebook_yaml__refuses_with_a_place),
        cmocka_unit_test(test_codebook_yaml__lung_compiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

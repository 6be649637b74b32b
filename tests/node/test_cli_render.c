/* Answers as people and programs read them, from a canned report. */
#include <jansson.h>
#include <math.h>

#include "node/cli/render.h"
#include "tests/check.h"

struct made {
    struct cx *cx;
    struct report *report;
    struct shown shown;
    struct answer answer;
    struct buffer out;
};

static const char *const three[] = {"hospital_a", "hospital_b", "hospital_c"};

static void make(struct made *m)
{
    static char note[] = "a constant note";
    static char *notes[] = {note};

    memset(m, 0, sizeof *m);
    m->cx = cx_new(1 << 24, CX_NO_DEADLINE);
    assert_non_null(m->cx);
    m->report = cx_alloc(m->cx, sizeof *m->report);
    assert_non_null(m->report);
    m->report->cx = m->cx;
    m->shown =
        (struct shown){.released = true, .report = m->report, .n_notes = 1, .notes = notes};
    m->answer = (struct answer){.analysis = "table",
                                .title = "a table",
                                .dataset = "lung",
                                .cohort = "sex == \"female\"",
                                .n_sites = COUNT(three),
                                .sites = (const char **)(uintptr_t)three,
                                .n_shown = 1,
                                .shown = &m->shown};
    m->answer.advice = (struct advice){1, {"fewer variables, say"}};
    m->out = buffer_new(m->cx, 1 << 20);
}

/* Two by two with one withheld cell, a scalar that needs 17 digits, one that is not
 * defined. */
static void fill_table(struct made *m)
{
    static const char *const rows[] = {"male", "female"}, *const columns[] = {"0",
                                                                              "1, \"x\""};
    static const double counts[] = {112, 26, 0, 37};
    static const uint8_t states[] = {0, 0, 1, 0}, undefined = 2;
    double tenth = 0.1, long_one = 1.0 / 3.0;

    assert_non_null(report_words(m->report, "rows", rows, 2));
    assert_non_null(report_words(m->report, "cols", columns, 2));
    assert_non_null(report_states(m->report, "counts", COHORTIUM__ITEM_KIND__COUNTS, 2, 2,
                                  counts, states));
    assert_non_null(
        report_put(m->report, "tenth", COHORTIUM__ITEM_KIND__ESTIMATES, 1, 1, &tenth));
    assert_non_null(
        report_put(m->report, "third", COHORTIUM__ITEM_KIND__ESTIMATES, 1, 1, &long_one));
    assert_non_null(report_states(m->report, "p", COHORTIUM__ITEM_KIND__ESTIMATES, 1, 1,
                                  &tenth, &undefined));
    struct report_table *t = report_table(m->report, "sex by status", 3, 2);
    assert_non_null(t);
    const char *head[] = {"sex", "0", "1"};
    const char *cells[] = {"m\xc3\xa4nnlich", "112", "26", "female", "withheld", "37"};
    memcpy(t->head, head, sizeof head);
    memcpy(t->cells, cells, sizeof cells);
    t->numeric[1] = t->numeric[2] = true;
    report_line(m->report, "a line below");
}

static void test_render__text(void **state)
{
    struct made m;

    (void)state;
    make(&m);
    fill_table(&m);
    m.answer.receipt = "/r/1.receipt";
    CHECK_OK_("text", m.cx, render_text(&m.answer, &m.out));
    const char *text = buffer_string(&m.out);
    assert_non_null(text);
    assert_non_null(strstr(text, "a table of lung: sex == \"female\"\n"
                                 "3 sites: hospital_a, hospital_b, hospital_c\n"));
    /* One column a letter, whatever its bytes. */
    assert_non_null(strstr(text, "  sex              0   1\n"
                                 "  m\xc3\xa4nnlich       112  26\n"
                                 "  female    withheld  37\n"));
    assert_non_null(strstr(text, "a line below\na constant note\n"));
    assert_non_null(
        strstr(text, "withheld: some rule of the sites keeps this number back.\n"
                     "what could help:\n  fewer variables, say\n"));
    assert_non_null(strstr(text, "Numbers are rounded by the sites' policy"));
    assert_null(strstr(text, "EXACT"));
    assert_non_null(strstr(text, "receipt: /r/1.receipt\n"));
    cx_free(&m.cx);
}

static void test_render__exact_is_a_banner(void **state)
{
    struct made m;

    (void)state;
    make(&m);
    m.answer.exact_for_testing = true;
    CHECK_OK_("text", m.cx, render_text(&m.answer, &m.out));
    const char *text = buffer_string(&m.out);
    assert_true(strncmp(text, "EXACT FOR TESTING", 17) == 0);
    assert_null(strstr(text, "rounded"));
    assert_null(strstr(text, "withheld"));
    assert_null(strstr(text, "could help")); /* nothing is missing */
    cx_free(&m.cx);
}

static json_t *parse(struct made *m)
{
    json_error_t error;

    CHECK_OK_("json", m->cx, render_json(&m->answer, &m->out));
    json_t *root =
        json_loadb((const char *)m->out.p, m->out.n, JSON_DISABLE_EOF_CHECK, &error);
    if (root == NULL)
        fail_msg("json: %s in %.*s", error.text, (int)m->out.n, (const char *)m->out.p);
    /* One document a line. */
    assert_ptr_equal(memchr(m->out.p, '\n', m->out.n), m->out.p + m->out.n - 1);
    return root;
}

/* The one reason and what could help; null and nothing where all was given. */
static void check_advice(json_t *root, bool withholds)
{
    json_t *reason = json_object_get(root, "withheld_reason");
    json_t *advice = json_object_get(root, "advice");

    assert_true(json_is_array(advice));
    assert_int_equal(json_array_size(advice), withholds);
    if (!withholds) {
        assert_true(json_is_null(reason));
        return;
    }
    assert_string_equal(json_string_value(reason),
                        "some rule of the sites keeps this number back");
    assert_string_equal(json_string_value(json_array_get(advice, 0)),
                        "fewer variables, say");
}

static void test_render__json_of_a_whole_answer(void **state)
{
    static const double count = 12;
    struct made m;

    (void)state;
    make(&m);
    assert_non_null(
        report_put(m.report, "patients", COHORTIUM__ITEM_KIND__COUNTS, 1, 1, &count));
    json_t *root = parse(&m);
    check_advice(root, false);
    json_decref(root);
    m.out.n = 0;
    CHECK_OK_("csv", m.cx, render_csv(&m.answer, &m.out));
    assert_string_equal(buffer_string(&m.out), "item,row,column,value\npatients,1,1,12\n");
    cx_free(&m.cx);
}

static void test_render__json(void **state)
{
    struct made m;

    (void)state;
    make(&m);
    fill_table(&m);
    json_t *root = parse(&m), *items = json_object_get(root, "items");
    json_t *counts = json_object_get(items, "counts");

    assert_int_equal(json_integer_value(json_object_get(root, "cohortium")), 1);
    assert_string_equal(json_string_value(json_object_get(root, "cohort")),
                        "sex == \"female\"");
    assert_true(json_is_true(json_object_get(root, "released")));
    assert_true(json_is_false(json_object_get(root, "exact_for_testing")));
    assert_int_equal(json_array_size(json_object_get(root, "sites")), 3);
    assert_true(json_is_null(json_object_get(root, "receipt")));
    assert_int_equal(json_array_size(counts), 2);
    assert_int_equal(json_number_value(json_array_get(json_array_get(counts, 0), 1)), 26);
    assert_true(json_is_null(json_array_get(json_array_get(counts, 1), 0)));
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(items, "cols"), 1)), "1, \"x\"");
    assert_true(json_real_value(json_object_get(items, "third")) == 1.0 / 3.0);
    assert_true(json_is_null(json_object_get(items, "p")));
    json_t *withheld = json_object_get(root, "withheld");
    assert_int_equal(json_object_size(withheld), 1);
    assert_int_equal(
        json_integer_value(json_array_get(json_object_get(withheld, "counts"), 0)), 2);
    check_advice(root, true);
    const char *text = (const char *)m.out.p;
    assert_non_null(memmem(text, m.out.n, "\"tenth\":0.1,", 12));
    json_decref(root);
    cx_free(&m.cx);
}

static void test_render__not_released(void **state)
{
    struct made m;

    (void)state;
    make(&m);
    m.shown = (struct shown){.released = false, .reference = "0f3a"};
    json_t *root = parse(&m);
    assert_true(json_is_false(json_object_get(root, "released")));
    assert_string_equal(json_string_value(json_object_get(root, "reference")), "0f3a");
    assert_null(json_object_get(root, "items"));
    check_advice(root, true);
    json_decref(root);
    assert_string_equal(
        not_released_text(m.cx, "0f3a"),
        "not released: some rule of the sites withheld this answer (reference "
        "0f3a). The sites' officers can look up why.");
    cx_free(&m.cx);
}

static void test_render__by_site(void **state)
{
    struct made m;
    struct shown two[2];

    (void)state;
    make(&m);
    fill_table(&m);
    two[0] = two[1] = m.shown;
    two[0].site = "hospital_a";
    two[1] = (struct shown){.site = "hospital_b", .reference = "11"};
    m.answer.by_site = true;
    m.answer.n_shown = 2;
    m.answer.shown = two;
    json_t *root = parse(&m), *list = json_object_get(root, "by_site");
    assert_true(json_is_false(json_object_get(root, "released")));
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "site")),
                        "hospital_a");
    assert_non_null(json_object_get(json_array_get(list, 0), "items"));
    assert_null(json_object_get(json_array_get(list, 1), "items"));
    json_decref(root);
    m.out.n = 0;
    CHECK_OK_("csv", m.cx, render_csv(&m.answer, &m.out));
    assert_true(
        strncmp(buffer_string(&m.out), "site,item,row,column,value\nhospital_a,", 38) == 0);
    assert_non_null(strstr(buffer_string(&m.out), "\n,advice,1,1,\"fewer variables, say\"\n"));
    cx_free(&m.cx);
}

static void test_render__csv(void **state)
{
    struct made m;

    (void)state;
    make(&m);
    fill_table(&m);
    CHECK_OK_("csv", m.cx, render_csv(&m.answer, &m.out));
    const char *text = buffer_string(&m.out);
    assert_true(strncmp(text, "item,row,column,value\n", 22) == 0);
    assert_non_null(strstr(text, "\ncounts,male,\"1, \"\"x\"\"\",26\n"));
    assert_non_null(strstr(text, "\ncounts,female,0,withheld\n"));
    assert_non_null(strstr(text, "\ntenth,1,1,0.1\n"));
    assert_non_null(strstr(text, "\np,1,1,\n"));
    assert_non_null(strstr(
        text, "\nwithheld_reason,1,1,some rule of the sites keeps this number back\n"
              "advice,1,1,\"fewer variables, say\"\n"));
    cx_free(&m.cx);
}

static void test_render__csv_of_a_model(void **state)
{
    static const char *const terms[] = {"(Intercept)", "age:sex"};
    static const double coef[] = {1.5, -0.25}, se[] = {0.5, 0.125};
    struct made m;

    (void)state;
    make(&m);
    assert_non_null(report_words(m.report, "terms", terms, 2));
    assert_non_null(
        report_put(m.report, "coef", COHORTIUM__ITEM_KIND__ESTIMATES, 2, 1, coef));
    assert_non_null(report_put(m.report, "se", COHORTIUM__ITEM_KIND__ERRORS, 2, 1, se));
    CHECK_OK_("csv", m.cx, render_csv(&m.answer, &m.out));
    assert_string_equal(buffer_string(&m.out),
                        "term,coef,se\n(Intercept),1.5,0.5\nage:sex,-0.25,0.125\n");
    cx_free(&m.cx);
}

static void test_render__width(void **state)
{
    static const struct {
        const char *text;
        size_t want;
    } rows[] = {{"", 0},
                {"abc", 3},
                {"\xc3\xa4", 1},         /* a umlaut */
                {"a\xcc\x88", 1},        /* a and a combining mark */
                {"\xe5\xb9\xb4", 2},     /* a wide letter */
                {"\xf0\x9f\x98\x80", 2}, /* an emoji */
                {"\xff", 1}};            /* a stray byte */

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_EQ_(rows[i].text, text_width(rows[i].text), rows[i].want);
}

static void test_render__grid_fits_the_terminal(void **state)
{
    static const char *const head[] = {"name", "n", "what"};
    static const char *const cells[] = {"age",   "7", "years at diagnosis, whole", "sex",
                                        "12345", "a", "m\xc3\xa4nner_und_frauen",  "1",
                                        ""};
    static const bool numeric[] = {false, true, false};
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct grid grid = {3, 3, head, cells, numeric, 0};
    struct buffer out = buffer_new(cx, 4096), narrow = buffer_new(cx, 4096);
    (void)state;

    put_grid(&out, &grid, "");
    assert_string_equal(buffer_string(&out),
                        "name                   n  what\n"
                        "age                    7  years at diagnosis, whole\n"
                        "sex                12345  a\n"
                        "m\xc3\xa4nner_und_frauen      1\n");
    grid.width = 36;
    put_grid(&narrow, &grid, "");
    assert_string_equal(buffer_string(&narrow), "name               n  what\n"
                                                "age                7  years at\n"
                                                "                      diagnosis,\n"
                                                "                      whole\n"
                                                "sex            12345  a\n"
                                                "m\xc3\xa4nner_und_fr      1\n"
                                                "auen\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_render__text),
        cmocka_unit_test(test_render__exact_is_a_banner),
        cmocka_unit_test(test_render__json),
        cmocka_unit_test(test_render__json_of_a_whole_answer),
        cmocka_unit_test(test_render__not_released),
        cmocka_unit_test(test_render__by_site),
        cmocka_unit_test(test_render__csv),
        cmocka_unit_test(test_render__csv_of_a_model),
        cmocka_unit_test(test_render__width),
        cmocka_unit_test(test_render__grid_fits_the_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What node/data/draft.h promises: a codebook that compiles and gives little away. */
#include "node/data/codebook_yaml.h"
#include "node/data/draft.h"
#include "tests/check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static int file_of(const char *text)
{
    int fd = memfd_create("csv", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static const char *draft(struct cx *cx, const char *csv, const char *id,
                         struct codebook **ret)
{
    int fd = file_of(csv);
    const char *text = NULL;
    Cohortium__Codebook *body;

    CHECK_OK_(csv, cx, codebook_draft(cx, fd, "d", id, &text));
    assert_int_equal(close(fd), 0);
    CHECK_OK_(text, cx, codebook_from_yaml(cx, "draft", text, strlen(text), &body));
    CHECK_OK_(text, cx, codebook_from_body(cx, body, ret));
    return text;
}

static const Cohortium__Variable *variable(const struct codebook *cb, const char *name)
{
    int i = codebook_find(cb, name);

    if (i < 0)
        fail_msg("no variable %s", name);
    return codebook_variable(cb, i);
}

static void test_draft__guesses_types_and_hides_rare_values(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    struct buffer b = buffer_new(cx, 1 << 20);
    struct codebook *cb;
    const char *text;

    (void)state;
    buffer_text(&b, "Patient ID,age,sex,w,dead,seen,note,and,code,empty\n");
    for (int i = 0; i < 100; i++)
        buffer_printf(
            &b, "P%d,%d,%s,%d.5,%d,20%02d-03-0%d,free text %d,%d,%s,\n", i, 37 + i % 47,
            i == 7  ? "Zebulon"
            : i % 2 ? "m: ale"
                    : "NO",
            50 + i % 60, i % 2, 10 + i % 10, 1 + i % 9, i, i % 4, i % 11 ? "7" : "NA");
    text = draft(cx, buffer_string(&b), "Patient ID", &cb);

    assert_string_equal(cb->body->count_unit, "patient_id");
    assert_int_equal(variable(cb, "age")->type, COHORTIUM__VAR_TYPE__INTEGER);
    assert_true(variable_is_quasi(variable(cb, "age")));
    assert_true(variable(cb, "age")->n_grid >= 3);
    assert_true(variable(cb, "age")->lower < 37 && variable(cb, "age")->upper > 83);
    assert_int_equal(variable(cb, "sex")->n_levels, 2);
    assert_string_equal(variable(cb, "sex")->levels[0], "NO");
    assert_null(strstr(text, "Zebulon"));
    assert_non_null(strstr(text, "# 1 rarer value left out: add them yourself"));
    assert_int_equal(variable(cb, "w")->type, COHORTIUM__VAR_TYPE__REAL);
    assert_int_equal(variable(cb, "dead")->type, COHORTIUM__VAR_TYPE__BINARY);
    assert_int_equal(variable(cb, "seen")->type, COHORTIUM__VAR_TYPE__DATE);
    assert_true(variable_is_quasi(variable(cb, "seen")));
    assert_int_equal(variable(cb, "note")->role, COHORTIUM__ROLE__DIRECT_IDENTIFIER);
    assert_null(strstr(text, "free text 1"));
    assert_int_equal(variable(cb, "and2")->type, COHORTIUM__VAR_TYPE__INTEGER);
    assert_string_equal(variable(cb, "code")->missing_codes[0], "NA");
    assert_int_equal(variable(cb, "empty")->role, COHORTIUM__ROLE__DIRECT_IDENTIFIER);
}

/* Whatever the data's extremes are, they are not the bounds. */
static void test_draft__bounds_are_never_the_extremes(void **state)
{
    static const double extremes[][2] = {
        {0, 100},   {0, 1},     {1, 1},       {0, 0},      {-5, 5},      {39, 82},
        {5, 10},    {100, 200}, {-100, -100}, {0.25, 0.5}, {1e-9, 2e-9}, {1e12, 1e12 + 3},
        {0.1, 0.1}, {-0.5, 0},  {1000, 5000}, {-24, 68},   {96, 2600},   {20, 120}};
    AUTO_CX struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);

    (void)state;
    for (size_t i = 0; i < COUNT(extremes); i++) {
        struct codebook *cb;
        char csv[200], row[100];

        (void)snprintf(
            csv, sizeof csv, "p,age,x\n1,%.17g,%.17g\n2,%.17g,%.17g\n3,%.17g,2.5\n",
            extremes[i][0], extremes[i][0], extremes[i][1], extremes[i][1], extremes[i][1]);
        (void)snprintf(row, sizeof row, "%g to %g", extremes[i][0], extremes[i][1]);
        (void)draft(cx, csv, "p", &cb);
        const Cohortium__Variable *v = variable(cb, "age");

        if (v->type != COHORTIUM__VAR_TYPE__BINARY) {
            CHECK_(row, v->lower < extremes[i][0] && v->upper > extremes[i][1]);
            CHECK_(row, v->n_grid >= 1);
        }
    }
}

static void test_draft__lung_compiles(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    const char *source = getenv("COHORTIUM_SOURCE"), *text;
    char path[4096];
    Cohortium__Codebook *body;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/tests/data/lung/pooled.csv",
                   source ? source : ".");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    CHECK_OK_("lung", cx, codebook_draft(cx, fd, "lung", "rid", &text));
    assert_int_equal(close(fd), 0);
    CHECK_OK_(text, cx, codebook_from_yaml(cx, "draft", text, strlen(text), &body));
    assert_non_null(strstr(text, "levels: [female, male]"));
    assert_non_null(strstr(text, "rarer values left out"));
    assert_null(strstr(text, "1022")); /* the longest time */
}

static void test_draft__refuses_what_it_cannot_read(void **state)
{
    static const struct {
        const char *what, *csv, *id, *says;
    } rows[] = {
        {"no such column", "pid,age\n1,2\n", "pd", "did you mean \"pid\"?"},
        {"empty", "", "pid", "the file is empty"},
        {"nobody said which column", "pid,age\nP1,3\n", NULL,
         "Say so with --id COLUMN; the file has pid, age"},
        {"one column", "pid\n1\n", "pid", "the file has one column"},
        {"ragged", "pid,age\n1\n", "pid", "row 2, line 2: 1 fields; expected 2"},
        {"an open quote", "pid,age\n1,\"\n", "pid", "a quote is opened"},
        {"latin1", "pid,age\n1,\xfc\n", "pid", "row 2, line 2, column 2: byte 0xfc"},
    };
    AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
    const char *text;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int fd = file_of(rows[i].csv);

        CHECK_EQ_(rows[i].what, codebook_draft(cx, fd, "d", rows[i].id, &text),
                  rows[i].id == NULL ? FAULT_USAGE : FAULT_FORMAT);
        if (strstr(cx_message(cx), rows[i].says) == NULL)
            fail_msg("%s: said \"%s\", expected \"%s\"", rows[i].what, cx_message(cx),
                     rows[i].says);
        assert_int_equal(close(fd), 0);
    }
    assert_int_equal(codebook_draft(cx, -1, "Lung 1", "pid", &text), FAULT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draft__guesses_types_and_hides_rare_values),
        cmocka_unit_test(test_draft__bounds_are_never_the_extremes),
        cmocka_unit_test(test_draft__lung_compiles),
        cmocka_unit_test(test_draft__refuses_what_it_cannot_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

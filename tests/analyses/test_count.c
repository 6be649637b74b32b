/* What count promises: patients and rows of a cohort, the same for any split. */
#include "tests/analyses/naive.h"
#include "tests/check.h"

/* sex == "female" in canonical form. */
static struct ast *females(struct cx *cx, const struct codebook *cb)
{
    int sex = codebook_find(cb, "sex");
    struct ast *canonical;

    CHECK_OK_("canonical", cx,
              ast_canonical(cx, cb, ast_is_level(cx, cb, sex, 1), &canonical));
    return canonical;
}

static void test_count__equals_the_rows_of_R(void **state)
{
    static const struct {
        const char *data, *want;
        size_t sites;
    } rows[] = {
        {"lung", "describe:rows", 1},
        {"lung", "describe:rows", 5},
        {"birthwt", "describe:rows", 3},
        {"birthwt", "describe:rows", 400}, /* sites without a row */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
        Cohortium__Question *q;
        struct naive data;

        CHECK_OK_("open", cx, naive_open(cx, rows[i].data, "", &data));
        CHECK_OK_("question", cx, naive_question(cx, data.cb, "count", &q));
        struct report *r = naive_report(cx, &data, q, rows[i].sites);
        const json_t *want = naive_expected(rows[i].data, rows[i].want);
        naive_check(rows[i].data, r, "rows", 0, json_object_get(want, "rows"), 0);
        naive_check(rows[i].data, r, "patients", 0, json_object_get(want, "rows"), 0);
    }
}

static void test_count__a_cohort_and_its_neighbour(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    Cohortium__Question *q;
    struct naive data;

    (void)state;
    CHECK_OK_("open", cx, naive_open(cx, "lung", "", &data));
    CHECK_OK_("question", cx, naive_question(cx, data.cb, "count", &q));
    CHECK_OK_("cohort", cx, ast_to_pb(cx, data.cb, females(cx, data.cb), &q->cohort));
    struct report *r = naive_report(cx, &data, q, 3);
    const json_t *want = json_object_get(naive_expected("lung", "describe:sex"), "counts");
    naive_check("female", r, "patients", 0, json_array_get(want, 1), 0);
    assert_string_equal(r->tables[0].cells[0], "90");
}

/* Two rows of one patient are one patient. */
static void test_count__patients_are_not_rows(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 28, CX_NO_DEADLINE);
    Cohortium__Question *q;
    struct naive data;

    (void)state;
    CHECK_OK_("open", cx, naive_open(cx, "birthwt", "", &data));
    for (size_t i = 0; i < data.n_rows; i++)
        data.patients[i] = i / 2;
    CHECK_OK_("question", cx, naive_question(cx, data.cb, "count", &q));
    struct report *r = naive_report(cx, &data, q, 1);
    int given;
    CHECK_EQ_("patients", released_value(naive_item(r, "patients"), 0, &given), 95);
    CHECK_EQ_("rows", released_value(naive_item(r, "rows"), 0, &given), 189);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count__equals_the_rows_of_R),
        cmocka_unit_test(test_count__a_cohort_and_its_neighbour),
        cmocka_unit_test(test_count__patients_are_not_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

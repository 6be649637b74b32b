/*
 * test_decision.c - what the officers' log says of a question is all of what was asked.
 */
#include "tests/node/coordinator.h"

static struct vaults t;

struct row {
    const char *analysis, *formula, *weights, *family, *link;
    const char *want; /* the log's words */
};

/* The log's words of this question at site 1, which is not the researcher's home. */
static void check_words(const struct row *row)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    struct play p;

    assert_non_null(cx);
    Cohortium__Request *r =
        vaults_request(&t, cx, row->analysis, row->formula, "age >= 30");
    if (row->weights != NULL)
        r->question->params->model->weights = (char *)row->weights;
    if (row->family != NULL)
        r->question->params->model->family = (char *)row->family;
    if (row->link != NULL)
        r->question->params->model->link = (char *)row->link;
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    play_whole(&p);
    const struct audit_entry *e = vaults_newest(&t, cx, 1, "question");
    assert_non_null(e);
    if (strncmp(e->details, row->want, strlen(row->want)) != 0)
        fail_msg("the log should begin with\n  %s\nbut says\n  %s", row->want, e->details);
    play_free(&p);
}

static void test_decision__words_of_a_question_are_all_of_it(void **state)
{
    static const struct row rows[] = {
        {"count", NULL, NULL, NULL, NULL, "count lung --where 'age >= 30'; "},
        {"table", "sex * status", NULL, NULL, NULL,
         "table lung 'sex * status' --where 'age >= 30'; "},
        {"lm", "score ~ age", NULL, NULL, NULL,
         "lm lung 'score ~ age' --where 'age >= 30'; "},
        {"lm", "score ~ age - 1", NULL, NULL, NULL,
         "lm lung 'score ~ age - 1' --where 'age >= 30'; "},
        {"lm", "score ~ 1", NULL, NULL, NULL, "lm lung 'score ~ 1' --where 'age >= 30'; "},
        {"lm", "score ~ age + offset(status)", NULL, NULL, NULL,
         "lm lung 'score ~ age + offset(status)' --where 'age >= 30'; "},
        {"lm", "score ~ sex - 1 + offset(log(age + 1))", "age", NULL, NULL,
         "lm lung 'score ~ sex + offset(log(age + 1)) - 1' --weights age --where "},
        {"glm", "status ~ age", NULL, "binomial", "probit",
         "glm lung 'status ~ age' --family binomial --link probit --where 'age >= 30'; "},
        {"glm", "status ~ age", NULL, "binomial", NULL,
         "glm lung 'status ~ age' --family binomial --where 'age >= 30'; "},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++)
        check_words(&rows[i]);
}

static int setup(void **state)
{
    (void)state;
    vaults_new(&t, "class: testing\n");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vaults_free(&t);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decision__words_of_a_question_are_all_of_it),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

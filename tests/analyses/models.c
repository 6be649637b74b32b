/* models.c - see models.h. */
#include "tests/analyses/models.h"

#include <math.h>

#include "analyses/cohort.h"
#include "analyses/formula.h"
#include "tests/check.h"

static const struct analysis *open_case(struct cx *cx, const struct naive *data,
                                        const char *analysis, const struct model_case *k,
                                        bool testing, struct complaints *c,
                                        struct asked *asked)
{
    Cohortium__Question *q;
    struct plan plan;
    struct regions regions;
    const struct analysis *a;

    CHECK_OK_(k->formula, cx, naive_question(cx, data->cb, analysis, &q));
    CHECK_OK_(k->formula, cx, formula_parse(cx, data->cb, k->formula, &q->params->model));
    if (k->weights != NULL)
        q->params->model->weights = (char *)k->weights;
    if (k->family != NULL)
        q->params->model->family = (char *)k->family;
    if (k->link != NULL)
        q->params->model->link = (char *)k->link;
    if (k->where != NULL) {
        struct ast *cohort, *canonical;
        CHECK_OK_(k->where, cx, cohort_parse(cx, data->cb, k->where, &cohort));
        CHECK_OK_(k->where, cx, ast_canonical(cx, data->cb, cohort, &canonical));
        CHECK_OK_(k->where, cx, ast_to_pb(cx, data->cb, canonical, &q->cohort));
    }
    CHECK_OK_(k->formula, cx,
              question_open(cx, data->cb, q, testing, NAIVE_ROWS_LOG2, c, asked, &plan,
                            &regions, &a));
    return a;
}

struct report *model_ask(struct cx *cx, const struct naive *data, const char *analysis,
                         const struct model_case *k, size_t sites,
                         const char **ret_complaint)
{
    struct complaints c = complaints_new(cx);
    struct asked asked;
    const struct analysis *a = open_case(cx, data, analysis, k, true, &c, &asked);

    *ret_complaint = c.n > 0 ? c.list[0]->text : NULL;
    return a == NULL ? NULL : naive_report(cx, data, asked.body, sites);
}

const struct analysis *model_open(struct cx *cx, const struct naive *data,
                                  const char *analysis, const struct model_case *k,
                                  bool testing, struct asked *ret)
{
    struct complaints c = complaints_new(cx);
    const struct analysis *a = open_case(cx, data, analysis, k, testing, &c, ret);

    if (a == NULL)
        fail_msg("%s: %s", k->formula, c.n > 0 ? c.list[0]->text : "no complaint");
    return a;
}

static size_t flatten(const json_t *want, const json_t **out, size_t n)
{
    if (!json_is_array(want)) {
        out[n] = want;
        return n + 1;
    }
    for (size_t i = 0; i < json_array_size(want); i++)
        n = flatten(json_array_get(want, i), out, n);
    return n;
}

void model_check(const char *row, const struct report *r, const char *item,
                 const json_t *want, double tolerance, double absolute)
{
    const json_t *list[4096];
    size_t n = flatten(want, list, 0);
    const Cohortium__Item *it = naive_item(r, item);

    if (it == NULL)
        fail_msg("%s: no item %s", row, item);
    if (it->n_values != n)
        fail_msg("%s: %s has %zu values, expected %zu", row, item, it->n_values, n);
    for (size_t i = 0; i < n; i++) {
        int state;
        double got = released_value(it, i, &state);

        if (!json_is_number(list[i])) {
            if (state != 2)
                fail_msg("%s: %s[%zu] is %.17g, expected not defined", row, item, i, got);
            continue;
        }
        double expected = json_number_value(list[i]);
        if (state != 0 || !(fabs(got - expected) <= tolerance * fabs(expected) + absolute))
            fail_msg("%s: %s[%zu] is %.17g, expected %.17g (off by %.2g)", row, item, i,
                     got, expected, fabs(got / expected - 1));
    }
}

bool model_says_digits(const struct report *r)
{
    for (size_t i = 0; i < r->n_lines; i++)
        if (strstr(r->lines[i], "digits") != NULL || strstr(r->lines[i], "no numbers"))
            return true;
    return false;
}

/* ---- tables of numbers ---- */

static void put_variable(struct cx *cx, Cohortium__Codebook *body, const char *name,
                         Cohortium__VarType type, double lower, double upper)
{
    Cohortium__Variable *v = cx_alloc(cx, sizeof *v);

    assert_non_null(v);
    cohortium__variable__init(v);
    v->name = (char *)name;
    v->type = type;
    v->role = strcmp(name, "rid") == 0 ? COHORTIUM__ROLE__DIRECT_IDENTIFIER
                                       : COHORTIUM__ROLE__ORDINARY;
    v->bounded = true;
    v->lower = lower + 0.0;
    v->upper = upper;
    body->variables[body->n_variables++] = v;
}

void model_table(struct cx *cx, const double *values, size_t rows, size_t columns,
                 struct model_bounds bounds, struct naive *ret)
{
    static const char *const names[] = {"y", "x1", "x2", "x3", "x4", "x5", "x6"};
    Cohortium__Codebook *body = cx_alloc(cx, sizeof *body);
    struct codebook *cb;

    assert_non_null(body);
    cohortium__codebook__init(body);
    body->name = (char *)"nist";
    body->title = (char *)"NIST";
    body->count_unit = (char *)"rid";
    body->patient_namespace = (char *)"patient";
    body->variables = cx_array(cx, columns + 1, sizeof *body->variables);
    assert_non_null(body->variables);
    put_variable(cx, body, "rid", COHORTIUM__VAR_TYPE__INTEGER, 0, (double)rows);
    for (size_t j = 0; j < columns; j++) {
        double most = 0, least = 0;

        for (size_t i = 0; i < rows; i++) {
            most = fmax(most, values[i * columns + j]);
            least = fmin(least, values[i * columns + j]);
        }
        double reach = fmax(most, -least);
        put_variable(cx, body, columns == 2 && j == 1 ? "x" : names[j],
                     COHORTIUM__VAR_TYPE__REAL, least * 2 - bounds.below * reach,
                     bounds.above * reach);
    }
    CHECK_OK_("codebook", cx, codebook_from_body(cx, body, &cb));
    *ret = (struct naive){.cb = cb, .n_rows = rows, .n_patients = rows};
    ret->values = cx_array(cx, rows * (columns + 1), sizeof *ret->values);
    ret->valid = cx_array(cx, rows * (columns + 1), sizeof *ret->valid);
    ret->patients = cx_array(cx, rows, sizeof *ret->patients);
    assert_true(ret->values && ret->valid && ret->patients);
    for (size_t i = 0; i < rows; i++) {
        ret->patients[i] = i;
        for (size_t j = 0; j <= columns; j++) {
            ret->valid[i * (columns + 1) + j] = true;
            ret->values[i * (columns + 1) + j] =
                j == 0 ? (double)(i + 1) : values[i * columns + j - 1];
        }
    }
}

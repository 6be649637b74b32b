/* What analyses/ast.h promises: strict on what arrives, one form for one meaning, and the
 * closed language. Meaning is judged by an evaluator of our own, row by row, missing values
 * included. */
#include "analyses/cohort.h"

#include <math.h>

#include "language_codebook.h"
#include "tests/check.h"

static struct cx *cx;
static struct codebook *cb;

static int set_up(void **state)
{
    (void)state;
    cx = cx_new((size_t)1 << 30, CX_NO_DEADLINE);
    return cx == NULL || codebook_from_body(cx, language_body(), &cb) != FAULT_NONE;
}

static int tear_down(void **state)
{
    (void)state;
    cx_free(&cx);
    return 0;
}

static struct ast *parsed(const char *text)
{
    struct ast *a = NULL;

    CHECK_OK_(text, cx, cohort_parse(cx, cb, text, &a));
    return a;
}

static struct ast *canonical(const struct ast *a)
{
    struct ast *made = NULL;

    CHECK_OK_(ast_text(cx, cb, a), cx, ast_canonical(cx, cb, a, &made));
    return made;
}

/* ---- an evaluator: NAN is missing; truth is 0, 1 or NAN ---- */

static double value(const struct ast *a, const double *row)
{
    double x = a->n > 0 ? value(a->args[0], row) : 0,
           y = a->n > 1 ? value(a->args[1], row) : 0;

    switch (a->op) {
    case COHORTIUM__AST_OP__AST_VARIABLE:
        return row[a->variable];
    case COHORTIUM__AST_OP__AST_NUMBER:
    case COHORTIUM__AST_OP__AST_LEVEL:
        return a->number;
    case COHORTIUM__AST_OP__AST_ADD:
        return x + y;
    case COHORTIUM__AST_OP__AST_SUB:
        return x - y;
    case COHORTIUM__AST_OP__AST_MUL:
        return x * y;
    case COHORTIUM__AST_OP__AST_NEG:
        return -x;
    default:
        fail_msg("an operator that the tests do not make");
        return NAN;
    }
}

static double compare(Cohortium__AstOp op, double x, double y)
{
    if (isnan(x) || isnan(y))
        return NAN;
    switch (op) {
    case COHORTIUM__AST_OP__AST_EQ:
        return x == y;
    case COHORTIUM__AST_OP__AST_NE:
        return x != y;
    case COHORTIUM__AST_OP__AST_LT:
        return x < y;
    case COHORTIUM__AST_OP__AST_LE:
        return x <= y;
    case COHORTIUM__AST_OP__AST_GT:
        return x > y;
    default:
        return x >= y;
    }
}

static double both(double x, double y)
{
    return x == 0 || y == 0 ? 0 : isnan(x) || isnan(y) ? NAN : 1;
}

static double truth(const struct ast *a, const double *row)
{
    double t;

    switch (a->op) {
    case COHORTIUM__AST_OP__AST_TRUE:
        return 1;
    case COHORTIUM__AST_OP__AST_FALSE:
        return 0;
    case COHORTIUM__AST_OP__AST_NOT:
        return 1 - truth(a->args[0], row);
    case COHORTIUM__AST_OP__AST_IS_MISSING:
        return isnan(value(a->args[0], row));
    case COHORTIUM__AST_OP__AST_AND:
        t = 1;
        for (size_t i = 0; i < a->n; i++)
            t = both(t, truth(a->args[i], row));
        return t;
    case COHORTIUM__AST_OP__AST_OR:
        t = 1;
        for (size_t i = 0; i < a->n; i++)
            t = both(t, 1 - truth(a->args[i], row));
        return 1 - t;
    case COHORTIUM__AST_OP__AST_BETWEEN:
        t = value(a->args[0], row);
        return both(compare(COHORTIUM__AST_OP__AST_GE, t, value(a->args[1], row)),
                    compare(COHORTIUM__AST_OP__AST_LE, t, value(a->args[2], row)));
    case COHORTIUM__AST_OP__AST_IN:
        t = value(a->args[0], row);
        if (isnan(t))
            return NAN;
        for (size_t i = 1; i < a->n; i++)
            if (t == value(a->args[i], row))
                return 1;
        return 0;
    default:
        return compare(a->op, value(a->args[0], row), value(a->args[1], row));
    }
}

/* ---- random expressions and rows; the seed is fixed, so a failure can be seen again ----
 */

static uint64_t seed;

static unsigned dice(unsigned sides)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % sides;
}

static const char *const some[] = {"age", "bwt", "bmi",   "score", "status",
                                   "sex", "dx",  "grade", "visit", "g"};

static void put_literal(struct buffer *b, int v)
{
    static const double reals[] = {-6, -5, 0, 0.5, 5, 7, 10, 18.5, 80, 81};
    static const char *const dates[] = {"2000-01-01", "1999-12-31", "2010-06-15",
                                        "2010-06-16", "2030-01-01", "2030-01-02"};
    const Cohortium__Variable *var = codebook_variable(cb, v);

    if (variable_has_levels(var))
        buffer_printf(b, "\"%s\"", var->levels[dice((unsigned)var->n_levels)]);
    else if (var->type == COHORTIUM__VAR_TYPE__DATE)
        buffer_printf(b, "\"%s\"", dates[dice(COUNT(dates))]);
    else if (var->type == COHORTIUM__VAR_TYPE__REAL)
        buffer_printf(b, "%g", reals[dice(COUNT(reals))]);
    else if (v == V_AGE)
        buffer_printf(b, "%g", (double)dice(8) * 0.5 + (dice(2) ? -1 : 117));
    else if (v == V_BWT)
        buffer_printf(b, "%d", (int)dice(5) + (dice(2) ? 498 : 5998));
    else
        buffer_printf(b, "%g", (double)dice(14) * 0.5 - 0.5);
}

static void put_leaf(struct buffer *b)
{
    static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">="};
    int v = codebook_find(cb, some[dice(COUNT(some))]);
    const Cohortium__Variable *var = codebook_variable(cb, v);
    bool ordered = var->type != COHORTIUM__VAR_TYPE__CATEGORICAL;
    unsigned kind = dice(9), n = 1 + dice(4);

    if (kind == 0) {
        buffer_printf(b, "is%s missing(%s)", dice(2) ? " not" : "", var->name);
    } else if (kind == 1 && ordered) {
        buffer_printf(b, "%s between ", var->name);
        put_literal(b, v);
        buffer_text(b, " and ");
        put_literal(b, v);
    } else if (kind <= 3) {
        buffer_printf(b, "%s in (", var->name);
        for (unsigned i = 0; i < n; i++) {
            buffer_text(b, i > 0 ? ", " : "");
            put_literal(b, v);
        }
        buffer_text(b, ")");
    } else if (kind == 4) {
        buffer_printf(b, "%s %s age - %u * g", dice(2) ? "score" : "3", signs[dice(6)],
                      dice(3));
    } else if (kind == 5) {
        put_literal(b, v);
        buffer_printf(b, " %s %s", signs[dice(ordered ? 6 : 2)], var->name);
    } else {
        buffer_printf(b, "%s %s ", var->name, signs[dice(ordered ? 6 : 2)]);
        put_literal(b, v);
    }
}

static void put_tree(struct buffer *b, unsigned depth)
{
    unsigned n = 2 + dice(3);
    const char *word = dice(2) ? " and " : " or ";

    if (depth == 0 || dice(4) == 0) {
        put_leaf(b);
        return;
    }
    buffer_text(b, dice(3) == 0 ? "not (" : "(");
    for (unsigned i = 0; i < n; i++) {
        buffer_text(b, i > 0 ? word : "");
        put_tree(b, depth - 1);
    }
    buffer_text(b, ")");
}

/* Near the edges of the bounds, where mistakes are. */
static void random_row(double *row)
{
    for (int v = 0; v < V_ALL; v++) {
        const Cohortium__Variable *var = codebook_variable(cb, v);
        double lower, upper;

        variable_range(var, &lower, &upper);
        if (var->type == COHORTIUM__VAR_TYPE__REAL) {
            static const double reals[] = {-5, 0, 0.5, 5, 10, 18.5, 40, 80};

            row[v] = fmin(fmax(reals[dice(COUNT(reals))], lower), upper);
        } else if (var->type == COHORTIUM__VAR_TYPE__DATE) {
            row[v] = dice(3) == 0 ? lower : dice(2) ? upper : 14775 + dice(2);
        } else if (upper - lower > 6) {
            row[v] = dice(2) ? lower + dice(4) : upper - dice(4);
        } else {
            row[v] = lower + dice((unsigned)(upper - lower) + 1);
        }
        if (dice(4) == 0)
            row[v] = NAN;
    }
}

/* The parser refuses what holds for nobody (check the unit): those texts are not for here.
 */
static struct ast *random_ast(void)
{
    for (;;) {
        struct buffer b = buffer_new(cx, 1 << 20);
        struct ast *a;

        put_tree(&b, 3);
        if (cohort_parse(cx, cb, buffer_string(&b), &a) == FAULT_NONE)
            return a;
        if (strstr(cx_message(cx), "nobody") == NULL &&
            strstr(cx_message(cx), "lower end") == NULL)
            fail_msg("%s: %s", buffer_string(&b), cx_message(cx));
    }
}

static void test_ast__canonical_means_the_same(void **state)
{
    double row[V_ALL];
    size_t hits = 0;

    (void)state;
    seed = 20260101;
    for (int round = 0; round < 4000; round++) {
        struct ast *a, *form, *again, *other;

        if (round % 100 == 0) {
            cx_reset(cx);
            CHECK_OK_("codebook", cx, codebook_from_body(cx, language_body(), &cb));
        }
        a = random_ast();
        form = canonical(a);
        again = canonical(form);
        if (!ast_equal(form, again))
            fail_msg("not one form: %s | %s | %s", ast_text(cx, cb, a),
                     ast_text(cx, cb, form), ast_text(cx, cb, again));
        other = canonical(ast_not(cx, ast_not(cx, a)));
        CHECK_("not not", ast_equal(form, other));
        for (int r = 0; r < 60; r++) {
            random_row(row);
            hits += truth(a, row) == 1;
            if ((truth(a, row) == 1) != (truth(form, row) == 1))
                fail_msg("%s is not %s", ast_text(cx, cb, a), ast_text(cx, cb, form));
        }
    }
    assert_true(hits > 10000); /* the rows do decide something */
}

static void test_ast__text_and_wire_come_back(void **state)
{
    struct complaints c = complaints_new(cx);

    (void)state;
    seed = 7;
    for (int round = 0; round < 1000; round++) {
        struct ast *a = random_ast(), *form = canonical(a), *again;
        Cohortium__Ast *pb;

        CHECK_OK_("parse(text)", cx, cohort_parse(cx, cb, ast_text(cx, cb, a), &again));
        CHECK_(ast_text(cx, cb, a), ast_equal(a, again));
        CHECK_OK_("wire", cx, ast_to_pb(cx, cb, form, &pb));
        CHECK_OK_("wire", cx, ast_open(cx, cb, pb, AST_TYPE_BOOL, &c, &again));
        CHECK_(ast_text(cx, cb, form), again != NULL && ast_equal(form, again));
    }
    assert_int_equal(c.n, 0);
}

/* Attack A12: an equal set in another syntax. */
static void test_ast__A12_equal_sets_meet(void **state)
{
    static const char *const rows[][2] = {
        {"age >= 47", "not (age < 47)"},
        {"age >= 47", "age > 46"},
        {"age >= 47", "age > 46.5"},
        {"age >= 47", "47 <= age"},
        {"age >= 47", "age between 47 and 120"},
        {"age >= 47", "age > 46 and age <= 120"},
        {"age >= 47", "age >= 47 and is not missing(age)"},
        {"age >= 47", "age >= 47 or age > 60"},
        {"age >= 47", "age > 50 or age in (47, 48, 49, 50)"},
        {"age >= 47", "age >= 47 and (age >= 47 or sex == 'male')"},
        {"age >= 47", "age >= 47 or (age >= 47 and bmi < 25)"},
        {"age != 47", "age < 47 or age > 47"},
        {"age != 47", "not (age in (47))"},
        {"age between 18 and 39", "age >= 18 and age < 40"},
        {"sex == 'male'", "sex != 'female'"},
        {"sex == 'male'", "not (sex in ('female'))"},
        {"dx in ('E10', 'E11')", "dx == 'E11' or dx == 'E10'"},
        {"dx in ('E10', 'E11')", "not (dx in ('I10', 'I21', 'N18'))"},
        {"dx in ('E10', 'E11')", "dx in ('E11', 'E10', 'E11')"},
        {"grade >= 'mid'", "grade in ('high', 'mid')"},
        {"grade >= 'mid'", "grade != 'low'"},
        {"status == 1", "status > 0"},
        {"status == 1", "status != 0"},
        {"bmi < 25", "not (bmi >= 25)"},
        {"is not missing(bmi)", "bmi >= 10"},
        {"is not missing(bmi)", "bmi <= 80"},
        {"is not missing(sex)", "sex == 'male' or sex == 'female'"},
        {"false", "age < 40 and age > 60"},
        {"false", "is missing(age) and age > 60"},
        {"true", "is missing(age) or is not missing(age)"},
        {"true", "1 + 1 == 2"},
        {"visit > '2010-06-15'", "visit >= '2010-06-16'"},
        {"sex == 'male' and age >= 47", "age >= 47 and sex == 'male'"},
        {"not (sex == 'male' and age >= 47)", "age < 47 or sex == 'female'"},
        {"(age < 40 and sex == 'male') and bmi < 25",
         "bmi < 25 and (sex == 'male' and age < 40)"},
        {"a + b > 3", "3 < b + a"},
        {"a < b", "b > a"},
        {"a < b", "not (a >= b)"},
        {"score < 3", "score < 1 + 2"},
        {"score between b and c", "score >= b and c >= score"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ast *x = canonical(parsed(rows[i][0])), *y = canonical(parsed(rows[i][1]));

        if (!ast_equal(x, y))
            fail_msg("%s | %s: %s | %s", rows[i][0], rows[i][1], ast_text(cx, cb, x),
                     ast_text(cx, cb, y));
    }
}

/* And the whole of 47 .. 120 written out. */
static void test_ast__A12_a_written_out_range(void **state)
{
    struct buffer b = buffer_new(cx, 10000);

    (void)state;
    buffer_text(&b, "age in (47");
    for (int i = 48; i <= 120; i++)
        buffer_printf(&b, ", %d", i);
    buffer_text(&b, ")");
    assert_string_equal(ast_text(cx, cb, canonical(parsed(buffer_string(&b)))),
                        "age >= 47");
}

static void test_ast__different_sets_stay_apart(void **state)
{
    static const char *const rows[][2] = {
        {"age >= 47", "age >= 48"},
        {"bmi < 25", "bmi <= 25"},
        {"bmi > 10", "bmi >= 10"},
        {"age >= 0", "true"}, /* missing ages */
        {"not (age >= 0)", "true"},
        {"is missing(age)", "not (age >= 0)"},
        {"sex == 'male'", "sex == 'female'"},
        {"dx != 'E10'", "dx in ('E11', 'I10', 'I21')"},
        {"age < 40 or sex == 'male'", "age < 40 and sex == 'male'"},
        {"a < b", "a <= b"},
        {"s == 'f'", "sex == 'female'"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_(rows[i][0],
               !ast_equal(canonical(parsed(rows[i][0])), canonical(parsed(rows[i][1]))));
}

/* ---- what arrives ---- */

struct node {
    Cohortium__AstOp op;
    unsigned arity;
    const char *variable;
    double number;
    const char *level;
};

static Cohortium__Ast *sent(const struct node *nodes, size_t n)
{
    Cohortium__Ast *pb = cx_alloc(cx, sizeof *pb);

    cohortium__ast__init(pb);
    pb->n_nodes = n;
    pb->nodes = cx_array(cx, n + 1, sizeof *pb->nodes);
    for (size_t i = 0; i < n; i++) {
        pb->nodes[i] = cx_alloc(cx, sizeof **pb->nodes);
        cohortium__ast_node__init(pb->nodes[i]);
        pb->nodes[i]->op = nodes[i].op;
        pb->nodes[i]->arity = nodes[i].arity;
        pb->nodes[i]->number = nodes[i].number;
        if (nodes[i].variable != NULL)
            pb->nodes[i]->variable = cx_strdup(cx, nodes[i].variable);
        if (nodes[i].level != NULL)
            pb->nodes[i]->level = cx_strdup(cx, nodes[i].level);
    }
    return pb;
}

#define VAR(name)                                                                          \
    {                                                                                      \
        COHORTIUM__AST_OP__AST_VARIABLE, 0, name, 0, NULL                                  \
    }
#define NUM(x)                                                                             \
    {                                                                                      \
        COHORTIUM__AST_OP__AST_NUMBER, 0, NULL, x, NULL                                    \
    }
#define LEV(text)                                                                          \
    {                                                                                      \
        COHORTIUM__AST_OP__AST_LEVEL, 0, NULL, 0, text                                     \
    }
#define OP(op, n)                                                                          \
    {                                                                                      \
        COHORTIUM__AST_OP__AST_##op, n, NULL, 0, NULL                                      \
    }

static void test_ast__refuses_what_is_malformed(void **state)
{
    static const struct {
        const char *what, *code;
        struct node nodes[6];
        size_t n;
    } rows[] = {
        {"good", NULL, {VAR("age"), NUM(47), OP(GE, 2)}, 3},
        {"a level", NULL, {VAR("sex"), LEV("male"), OP(EQ, 2)}, 3},
        {"a date", NULL, {LEV("2010-06-15"), VAR("visit"), OP(LT, 2)}, 3},
        {"nothing", "too_complex", {VAR("age")}, 0},
        {"no such variable", "unknown_variable", {VAR("agee"), NUM(47), OP(GE, 2)}, 3},
        {"hidden", "unusable_variable", {VAR("secret"), NUM(0), OP(GE, 2)}, 3},
        {"an identifier", "unusable_variable", {VAR("patient"), NUM(0), OP(GE, 2)}, 3},
        {"no such level", "unknown_level", {VAR("sex"), LEV("x"), OP(EQ, 2)}, 3},
        {"no such day", "bad_date", {VAR("visit"), LEV("2010-02-29"), OP(EQ, 2)}, 3},
        {"a level of a number", "wrong_type", {VAR("age"), LEV("47"), OP(EQ, 2)}, 3},
        {"a number for a level", "wrong_type", {VAR("sex"), NUM(0), OP(EQ, 2)}, 3},
        {"two values", "bad_expression", {VAR("age"), NUM(47)}, 2},
        {"operands missing", "bad_expression", {VAR("age"), OP(GE, 2)}, 2},
        {"not with two", "bad_expression", {OP(TRUE, 0), OP(TRUE, 0), OP(NOT, 2)}, 3},
        {"and with one", "bad_expression", {OP(TRUE, 0), OP(AND, 1)}, 2},
        {"an operator without operands", "bad_expression", {OP(AND, 0)}, 1},
        {"unset", "bad_expression", {OP(UNSET, 0)}, 1},
        {"unset with an operand", "bad_expression", {NUM(1), OP(UNSET, 1)}, 2},
        {"a leaf with an operand", "bad_expression", {NUM(1), OP(TRUE, 1)}, 2},
        {"a name on a number",
         "bad_expression",
         {{COHORTIUM__AST_OP__AST_NUMBER, 0, "age", 1, NULL}},
         1},
        {"a number on a name",
         "bad_expression",
         {{COHORTIUM__AST_OP__AST_VARIABLE, 0, "age", 1, NULL}},
         1},
        {"a lone level", "wrong_type", {LEV("male")}, 1},
        {"a lone variable", "wrong_type", {VAR("status")}, 1},
        {"not a number", "bad_expression", {VAR("age"), NUM(NAN), OP(GE, 2)}, 3},
        {"compared conditions", "wrong_type", {OP(TRUE, 0), OP(TRUE, 0), OP(EQ, 2)}, 3},
        {"a level beyond in", "wrong_type", {VAR("sex"), VAR("dx"), OP(IN, 2)}, 3},
        {"missing of a number", "wrong_type", {NUM(1), OP(IS_MISSING, 1)}, 2},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct complaints c = complaints_new(cx);
        struct ast *a;

        CHECK_OK_(rows[i].what, cx,
                  ast_open(cx, cb, sent(rows[i].nodes, rows[i].n), AST_TYPE_BOOL, &c, &a));
        CHECK_EQ_(rows[i].what, a != NULL, rows[i].code == NULL);
        CHECK_EQ_(rows[i].what, c.n, rows[i].code != NULL);
        if (rows[i].code != NULL && strcmp(c.list[0]->code, rows[i].code) != 0)
            fail_msg("%s: %s: %s", rows[i].what, c.list[0]->code, c.list[0]->text);
    }
}

static void test_ast__everybody_is_no_complaint(void **state)
{
    struct complaints c = complaints_new(cx);
    struct ast *a;

    (void)state;
    CHECK_OK_("absent", cx, ast_open(cx, cb, NULL, AST_TYPE_BOOL, &c, &a));
    assert_null(a);
    CHECK_OK_("absent", cx, ast_canonical(cx, cb, NULL, &a));
    assert_null(a);
    assert_string_equal(ast_text(cx, cb, NULL), "everybody");
}

static void test_ast__depth_and_size_are_bounded(void **state)
{
    static struct node nodes[5000];
    static const struct node truth_node = OP(TRUE, 0), not_node = OP(NOT, 1);
    static const struct {
        const char *what;
        size_t leaves, nots;
        unsigned join;
        bool good;
    } rows[] = {
        {"as deep as allowed", 1, 63, 0, true},
        {"one deeper", 1, 64, 0, false},
        {"very deep", 1, 4095, 0, false},
        {"as wide as allowed", 4095, 0, 4095, true},
        {"one wider", 4096, 0, 4096, false},
        {"an arity beyond", 2, 0, 4000000000u, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct complaints c = complaints_new(cx);
        struct ast *a;
        size_t n = 0;

        for (size_t k = 0; k < rows[i].leaves; k++)
            nodes[n++] = truth_node;
        for (size_t k = 0; k < rows[i].nots; k++)
            nodes[n++] = not_node;
        if (rows[i].join > 0)
            nodes[n++] = (struct node)OP(AND, rows[i].join);
        CHECK_OK_(rows[i].what, cx,
                  ast_open(cx, cb, sent(nodes, n), AST_TYPE_BOOL, &c, &a));
        CHECK_EQ_(rows[i].what, a != NULL, rows[i].good);
        CHECK_EQ_(rows[i].what, c.n, !rows[i].good);
    }
}

static void test_ast__R24_closed_language(void **state)
{
    static const struct {
        const char *text;
        size_t complaints;
    } rows[] = {
        {"age >= 40", 0},
        {"age < 40", 0},
        {"age > 39", 0},
        {"age <= 39", 0},
        {"age > 39.5", 0},
        {"age between 40 and 59", 0},
        {"age >= 0", 0},
        {"age <= 120", 0},
        {"age >= 41", 1},
        {"age > 40", 1},
        {"age == 40", 1},
        {"age in (47, 60)", 1},
        {"age between 40 and 60", 1},
        {"age >= 41 and age < 44", 2},
        {"42 <= age", 1},
        {"not (age >= 41)", 1},
        {"bmi < 25", 0},
        {"bmi >= 25", 0},
        {"bmi <= 25", 1}, /* with bmi < 25 it would single out 25 */
        {"bmi > 25", 1},
        {"bmi == 25", 1},
        {"bmi <= 80", 0},
        {"bmi < 80", 1},
        {"bmi between 18.5 and 25", 1},
        {"bwt < 2501", 0}, /* not a quasi-identifier */
        {"sex == 'male' and dx in ('E10', 'E11')", 0},
        {"is missing(age)", 0},
        {"status == 1", 0},
        {"a < b", 1},
        {"age < bmi", 1},
        {"a + 1 < 3", 1},
        {"a * b < 3", 1},
        {"log(bwt) < 3", 1},
        {"everybody", 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct complaints c = complaints_new(cx);

        ast_complain_closed(&c, cx, cb, parsed(rows[i].text));
        CHECK_EQ_(rows[i].text, c.n, rows[i].complaints);
    }
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct complaints c = complaints_new(cx);

        ast_complain_closed(&c, cx, cb, canonical(parsed(rows[i].text)));
        CHECK_EQ_(rows[i].text, c.n > 0, rows[i].complaints > 0);
    }
}

/* Other variables are cut at cut points where the codebook has some for them. */
static void test_ast__R12_cut_points_of_any_variable(void **state)
{
    static const struct {
        const char *text;
        size_t complaints;
    } rows[] = {
        {"score >= -1.5", 0},     {"score < 2.5", 0},   {"score >= -5", 0},
        {"score > -1.5", 1},      {"score >= 2.25", 1}, {"score == 2.5", 1},
        {"a >= 2.25", 0}, /* it has none */
        {"is missing(score)", 0},
    };
    static double grid[] = {-1.5, 2.5};
    Cohortium__Codebook *body = language_body();
    struct codebook *other;

    (void)state;
    body->variables[V_SCORE]->grid = grid;
    body->variables[V_SCORE]->n_grid = COUNT(grid);
    CHECK_OK_("codebook", cx, codebook_from_body(cx, body, &other));
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct complaints c = complaints_new(cx);
        struct ast *a;

        CHECK_OK_(rows[i].text, cx, cohort_parse(cx, other, rows[i].text, &a));
        ast_complain_closed(&c, cx, other, a);
        CHECK_EQ_(rows[i].text, c.n, rows[i].complaints);
        if (c.n > 0)
            assert_null(strstr(c.list[0]->text, "tell people apart"));
    }
}

static void test_ast__builders(void **state)
{
    struct ast *parts[2] = {ast_is_level(cx, cb, V_SEX, 1),
                            ast_is_level(cx, cb, V_STATUS, 1)};
    bool used[V_ALL] = {false};

    (void)state;
    assert_string_equal(
        ast_text(cx, cb, ast_join(cx, COHORTIUM__AST_OP__AST_AND, parts, 2)),
        "sex == \"male\" and status == 1");
    assert_string_equal(
        ast_text(cx, cb, ast_join(cx, COHORTIUM__AST_OP__AST_AND, parts, 0)), "true");
    assert_string_equal(ast_text(cx, cb, ast_join(cx, COHORTIUM__AST_OP__AST_OR, parts, 0)),
                        "false");
    assert_ptr_equal(ast_join(cx, COHORTIUM__AST_OP__AST_OR, parts, 1), parts[0]);
    assert_null(ast_not(cx, NULL));
    ast_variables(parts[1], used);
    assert_true(used[V_STATUS] && !used[V_SEX]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ast__canonical_means_the_same, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_ast__text_and_wire_come_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_ast__A12_equal_sets_meet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ast__A12_a_written_out_range, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_ast__different_sets_stay_apart, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_ast__refuses_what_is_malformed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_ast__everybody_is_no_complaint, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_ast__depth_and_size_are_bounded, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_ast__R24_closed_language, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ast__R12_cut_points_of_any_variable, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_ast__builders, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

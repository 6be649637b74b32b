/*
 * A signed question in words: the words ask that very question, byte for byte; and the
 * receipts that a profile keeps: found, ordered, bounded.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "node/cli/ask.h"
#include "node/cli/receipts.h"
#include "analyses/question_words.h"
#include "node/data/codebook_yaml.h"
#include "tests/check.h"

static const char yaml[] = "dataset: ward\n"
                           "count_unit: id\n"
                           "variables:\n"
                           "  id: {type: identifier}\n"
                           "  age: {type: integer, unit: year, bounds: [0, 120]}\n"
                           "  bmi: {type: real, bounds: [-10, 80]}\n"
                           "  days: {type: integer, bounds: [1, 5000]}\n"
                           "  died: {type: binary}\n"
                           "  seen: {type: date, bounds: [2020-01-01, 2030-12-31]}\n"
                           "  dx: {type: categorical, levels: [none, \"it's\", "
                           "'say \"x\"', 'a\\b']}\n"
                           "  stage: {type: ordered, levels: [I, II, III]}\n";

static struct cx *fresh(void)
{
    struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);

    assert_non_null(cx);
    return cx;
}

/* A line as a packed question; the fault of what was wrong with it. */
static enum fault ask_line(struct cx *cx, const struct codebook *cb, const char *line,
                           Cohortium__Question **ret, struct bytes *ret_packed)
{
    const struct command *c;
    struct args args;
    char **words;
    int n, used;

    TRY(args_split(cx, line, &words, &n));
    TRY(command_find(cx, n, words, &c, &used));
    TRY(args_parse(cx, c, n - used, words + used, &args));
    TRY(question_make(cx, cb, &args, c->words, ret));
    (*ret)->by_site = args_has(&args, "--by-site");
    return pb_pack(cx, &(*ret)->base, ret_packed);
}

static void open_ward(struct cx *cx, struct codebook **ret)
{
    Cohortium__Codebook *body;
    struct bytes packed;

    CHECK_OK_("yaml", cx, codebook_from_yaml(cx, "ward", yaml, sizeof yaml - 1, &body));
    CHECK_OK_("pack", cx, pb_pack(cx, &body->base, &packed));
    CHECK_OK_("open", cx, codebook_open(cx, packed, ret));
}

static void test_words__ask_the_same_question(void **state)
{
    static const char *const lines[] = {
        "count ward",
        "count ward --by-site",
        "count ward --where 'age >= 50'",
        "count ward --where 'age > 50 and (bmi < 20 or bmi > 30.25)'",
        "count ward --where 'not (age > 50 or bmi < 20) or died == 1 and stage == \"II\"'",
        "count ward --where 'bmi between -1.5 and 3e-7'",
        "count ward --where 'bmi == -3 or bmi < -(age)'",
        "count ward --where 'is missing(bmi) and not (is missing(age))'",
        "count ward --where 'is not missing(bmi) or is missing(dx)'",
        "count ward --where 'dx in (\"none\", \"a\\\\b\")'",
        "count ward --where 'not (stage in (\"I\", \"III\")) or dx == \"none\"'",
        "count ward --where 'dx == \"it'\\''s\"'",
        "count ward --where 'dx == \"say \\\"x\\\"\"'",
        "count ward --where 'seen >= \"2024-02-29\"'",
        "count ward --where 'age in (50, 60, 70)'",
        "count ward --where 'age - (bmi - 3) > 2*(bmi + 1)/4 - 1'",
        "count ward --where 'bmi^2^0.5 > (bmi^2)^0.5'",
        "count ward --where '2^(age - 1) > 2^-age + (age + 1)/(2*bmi) - (3 - age)'",
        "count ward --where '-bmi^2 < (-bmi)^2'",
        "count ward --where 'log(bmi + 20) < sqrt(exp(age/100))'",
        "table ward dx",
        "table ward 'dx * stage' --missing",
        "describe ward age bmi dx --by stage",
        "lm ward 'bmi ~ age'",
        "lm ward 'bmi ~ 1'",
        "lm ward 'bmi ~ age * stage - 1' --weights days",
        "lm ward 'log(bmi + 20) ~ I(age^2) + I(age*bmi) + factor(died) + dx:stage'",
        "lm ward 'bmi ~ age' --confidence 0.9",
        "glm ward 'died ~ age + I(bmi > 30)' --family binomial --link probit",
        "glm ward 'days ~ age + offset(log(days))' --family poisson",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        AUTO_CX struct cx *cx = fresh();
        Cohortium__Question *q, *again;
        struct codebook *cb = NULL;
        struct bytes one, two;

        open_ward(cx, &cb);
        CHECK_OK_(lines[i], cx, ask_line(cx, cb, lines[i], &q, &one));
        const char *words = question_words(cx, q);
        assert_non_null(words);
        if (ask_line(cx, cb, words, &again, &two) != FAULT_NONE)
            fail_msg("%s\n  as words: %s\n  %s", lines[i], words, cx_message(cx));
        /* What somebody typed is no part of the question. */
        if (q->params != NULL && q->params->model != NULL) {
            q->params->model->formula = again->params->model->formula = (char *)"";
            CHECK_OK_(lines[i], cx, pb_pack(cx, &q->base, &one));
            CHECK_OK_(lines[i], cx, pb_pack(cx, &again->base, &two));
        }
        if (!bytes_equal(one, two))
            fail_msg("%s\n  as words: %s\n  asks another question", lines[i], words);
    }
}

/* A receipt's bytes may be anybody's: words are total. */
static void test_words__what_is_no_expression(void **state)
{
    AUTO_CX struct cx *cx = fresh();
    Cohortium__AstNode nodes[3], *list[3] = {&nodes[0], &nodes[1], &nodes[2]};
    Cohortium__Ast ast = COHORTIUM__AST__INIT;

    (void)state;
    for (size_t i = 0; i < COUNT(nodes); i++)
        cohortium__ast_node__init(&nodes[i]);
    ast.nodes = list;
    assert_string_equal(ast_words(cx, NULL), "everybody");
    assert_string_equal(ast_words(cx, &ast), "(an expression that cannot be shown)");
    ast.n_nodes = 1;
    nodes[0].op = COHORTIUM__AST_OP__AST_VARIABLE;
    nodes[0].variable = (char *)"x";
    assert_string_equal(ast_words(cx, &ast), "x");
    nodes[0].op = COHORTIUM__AST_OP__AST_NOT;
    assert_string_equal(ast_words(cx, &ast), "(an expression that cannot be shown)");
    nodes[0].op = COHORTIUM__AST_OP__AST_AND;
    nodes[0].arity = UINT32_MAX;
    assert_string_equal(ast_words(cx, &ast), "(an expression that cannot be shown)");
    nodes[0].op = (Cohortium__AstOp)1000000;
    assert_string_equal(ast_words(cx, &ast), "(an expression that cannot be shown)");
    nodes[0].op = COHORTIUM__AST_OP__AST_VARIABLE;
    nodes[1].op = COHORTIUM__AST_OP__AST_TRUE;
    ast.n_nodes = 2;
    assert_string_equal(ast_words(cx, &ast), "(an expression that cannot be shown)");
    ast.n_nodes = 5000;
    assert_string_equal(ast_words(cx, &ast), "(an expression that cannot be shown)");
}

/* ---- the receipts of a profile ---- */

static void keep(struct cx *cx, const struct profile *p, uint8_t first, bool many,
                 const char **ret)
{
    uint8_t digest[32] = {first, 0xab, 0xcd, 0xef, 0x01, 0x02};

    CHECK_OK_("keep", cx, receipts_keep(cx, p, digest, bytes_of("x", 1), false, many, ret));
}

static void test_receipts__ordered_and_bounded(void **state)
{
    AUTO_CX struct cx *cx = fresh();
    char folder[] = "/tmp/cohortium-receipts-XXXXXX";
    const char *paths[6];
    struct profile p = {.name = "p"};
    struct kept *list;
    struct stat s;
    size_t n;

    (void)state;
    assert_non_null(mkdtemp(folder));
    p.folder = folder;
    CHECK_OK_("none", cx, receipts_list(cx, &p, &list, &n));
    assert_int_equal(n, 0);
    for (uint8_t i = 0; i < COUNT(paths); i++) /* digests fall while time rises */
        keep(cx, &p, (uint8_t)(250 - i), i % 2 == 0, &paths[i]);
    CHECK_OK_("list", cx, receipts_list(cx, &p, &list, &n));
    assert_int_equal(n, COUNT(paths));
    for (size_t i = 0; i < n; i++)
        assert_string_equal(list[i].path, paths[i]);
    assert_string_equal(list[0].id, "faabcdef0102");
    assert_int_equal(stat(paths[0], &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);

    const char *other = cx_printf(cx, "%s/receipts/mine.receipt", folder);
    FILE *f = fopen(other, "we");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    CHECK_OK_("all fit", cx, receipts_rotate(cx, &p, 6, 1 << 20));
    assert_int_equal(access(paths[0], F_OK), 0);
    CHECK_OK_("five", cx, receipts_rotate(cx, &p, 5, 1 << 20));
    assert_int_not_equal(access(paths[0], F_OK), 0);
    assert_int_equal(access(paths[1], F_OK), 0);
    CHECK_OK_("bytes for two", cx, receipts_rotate(cx, &p, 5, 2 * (uint64_t)list[1].bytes));
    assert_int_not_equal(access(paths[3], F_OK), 0);
    assert_int_equal(access(paths[4], F_OK), 0);
    assert_int_equal(access(other, F_OK), 0);
    CHECK_OK_("list", cx, receipts_list(cx, &p, &list, &n));
    assert_int_equal(n, 2);
    CHECK_OK_("away", cx, folder_remove(cx, folder));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words__ask_the_same_question),
        cmocka_unit_test(test_words__what_is_no_expression),
        cmocka_unit_test(test_receipts__ordered_and_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

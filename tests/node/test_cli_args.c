/* The researcher's command line: what is read, and the neighbour that is refused. */
#include "node/cli/ask.h"
#include "node/cli/cli.h"
#include "tests/check.h"

enum { WORDS = 12 };

static struct cx *fresh(void)
{
    struct cx *cx = cx_new(1 << 22, CX_NO_DEADLINE);

    assert_non_null(cx);
    return cx;
}

static void test_args__a_line_as_words(void **state)
{
    static const struct {
        const char *what, *line, *words[WORDS];
        enum fault want;
    } rows[] = {
        {"words", "count lung", {"count", "lung"}, FAULT_NONE},
        {"nothing", "  \t\n", {NULL}, FAULT_NONE},
        {"a comment", "# count lung", {NULL}, FAULT_NONE},
        {"a comment behind", "count lung # all", {"count", "lung"}, FAULT_NONE},
        {"a # inside a word", "count a#b", {"count", "a#b"}, FAULT_NONE},
        {"single quotes",
         "table lung 'sex * \"a\"'",
         {"table", "lung", "sex * \"a\""},
         FAULT_NONE},
        {"double quotes",
         "x \"a 'b' \\\"c\\\" \\d\"",
         {"x", "a 'b' \"c\" \\d"},
         FAULT_NONE},
        {"joined", "a'b c'd", {"ab cd"}, FAULT_NONE},
        {"a # inside quotes", "x '# no'", {"x", "# no"}, FAULT_NONE},
        {"an empty word", "x ''", {"x", ""}, FAULT_NONE},
        {"a backslash", "x a\\ b", {"x", "a b"}, FAULT_NONE},
        {"nothing is expanded", "x $HOME * `id`", {"x", "$HOME", "*", "`id`"}, FAULT_NONE},
        {"an open quote", "x 'a", {NULL}, FAULT_USAGE},
        {"an open double quote", "x \"a\\\"", {NULL}, FAULT_USAGE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_CX struct cx *cx = fresh();
        char **words = NULL;
        int n = 0;

        CHECK_EQ_(rows[i].what, args_split(cx, rows[i].line, &words, &n), rows[i].want);
        for (int k = 0; rows[i].want == FAULT_NONE && k <= n; k++)
            if (rows[i].words[k] == NULL)
                CHECK_EQ_(rows[i].what, n, k);
            else
                CHECK_(rows[i].what, k < n && strcmp(words[k], rows[i].words[k]) == 0);
    }
}

static enum fault parse(struct cx *cx, const char *line, struct args *ret)
{
    const struct command *c;
    char **words;
    int n, used;

    TRY(args_split(cx, line, &words, &n));
    TRY(args_order(cx, n, words, &n, &words));
    TRY(command_find(cx, n, words, &c, &used));
    return args_parse(cx, c, n - used, words + used, ret);
}

static void test_args__wrong_usage_is_named(void **state)
{
    static const struct {
        const char *line, *want; /* NULL: taken; else part of the message */
    } rows[] = {
        {"count lung", NULL},
        {"count lung --where 'age > 50' --json", NULL},
        {"count lung --where='age > 50'", NULL},
        {"count --by-site lung --sites a,b", NULL},
        {"count lung -- --where", NULL},
        {"run -", NULL},
        {"key new --use officer --name a -o f", NULL},
        {"cuont lung", "did you mean `count`?"},
        {"nothing_like_it", "`cohortium help` lists them"},
        {"key", "there are: key new, key show"},
        {"lab upp", "there are: lab up, lab down"},
        {"count lung --whre x", "did you mean `--where`?"},
        {"count lung --xyzzy", "`cohortium count --help` lists them"},
        {"count lung --where", "needs a value: --where EXPRESSION"},
        {"count lung --json=1", "takes no value"},
        {"count lung --json --json", "given twice"},
        {"count lung --missing", "no option `--missing`"},
        {"--profile x count lung", NULL},
        {"--profile=x --json key show ada.key", "no option `--profile`"},
        {"--json key show ada.key", NULL},
        {"--profile x", "a command is missing behind `x`"},
        {"--profile", "a command is missing behind `--profile`"},
        {"--profil x count lung", "no option `--profil`; did you mean `--profile`?"},
        {"--profile x cuont lung", "did you mean `count`?"},
        {"--missing count lung", "count: no option `--missing`"},
        {"-x count lung", "no option `-x`"},
        {"count lung --where --json", "--where needs a value before --json"},
        {"count lung --note=--json", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_CX struct cx *cx = fresh();
        struct args args;
        enum fault fault = parse(cx, rows[i].line, &args);

        CHECK_EQ_(rows[i].line, fault, rows[i].want == NULL ? FAULT_NONE : FAULT_USAGE);
        if (rows[i].want != NULL && strstr(cx_message(cx), rows[i].want) == NULL)
            fail_msg("%s: \"%s\"", rows[i].line, cx_message(cx));
        CHECK_(rows[i].line, strchr(cx_message(cx), '\n') == NULL);
    }
}

static void test_args__values(void **state)
{
    AUTO_CX struct cx *cx = fresh();
    struct args args;
    double x;

    (void)state;
    CHECK_OK_("parse", cx, parse(cx, "count lung --deadline 5 -- --json", &args));
    assert_int_equal(args.n_words, 2);
    assert_string_equal(args.words[1], "--json");
    assert_false(args_has(&args, "--json"));
    CHECK_OK_("number", cx, args_number(cx, &args, "--deadline", 1, 60, 60, &x));
    assert_true(x == 5);
    CHECK_EQ_("beyond", args_number(cx, &args, "--deadline", 6, 60, 60, &x), FAULT_USAGE);
    CHECK_OK_("parse", cx, parse(cx, "count lung --deadline 5s", &args));
    CHECK_EQ_("no number", args_number(cx, &args, "--deadline", 1, 60, 60, &x),
              FAULT_USAGE);
    CHECK_OK_("standard", cx, args_number(cx, &args, "--confidence", 0, 1, 0.95, &x));
    assert_true(x == 0.95);
    CHECK_EQ_("too many", args_words(cx, &args, 0, 0), FAULT_USAGE);
    CHECK_EQ_("too few", args_words(cx, &args, 2, 2), FAULT_USAGE);
    CHECK_OK_("in front", cx, parse(cx, "--profile x --json count --where y lung", &args));
    assert_string_equal(args.command->words, "count");
    assert_int_equal(args.n_words, 1);
    assert_string_equal(args.words[0], "lung");
    assert_string_equal(args_get(&args, "--profile"), "x");
    assert_string_equal(args_get(&args, "--where"), "y");
    assert_true(args_has(&args, "--json"));
}

static void test_args__families(void **state)
{
    static const struct {
        const char *family, *link, *want_family, *want_link;
    } rows[] = {
        {"binomial", NULL, "binomial", "logit"},
        {"gaussian", NULL, "gaussian", "identity"},
        {"poisson", NULL, "poisson", "log"},
        {"Gamma", NULL, "Gamma", "inverse"},
        {"gamma", "log", "Gamma", "log"},
        {"binomial(probit)", NULL, "binomial", "probit"},
        {"binomial(link = \"cloglog\")", NULL, "binomial", "cloglog"},
        {"binomial(probit)", "probit", "binomial", "probit"},
        {"binomial(probit)", "logit", NULL, "names the link"},
        {"binomal", NULL, NULL, "did you mean `binomial`?"},
        {"weibull", NULL, NULL, "there are: gaussian"},
        {"poisson", "logit", NULL, "no link `logit` of poisson"},
        {"binomial", "logti", NULL, "did you mean `logit`?"},
        {"binomial(", NULL, NULL, "is not read"},
        {"binomial)probit(", NULL, NULL, "is not read"},
        {"", NULL, NULL, "is not read"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_CX struct cx *cx = fresh();
        const char *family, *link;
        enum fault fault = family_parse(cx, rows[i].family, rows[i].link, &family, &link);

        CHECK_EQ_(rows[i].family, fault, rows[i].want_family ? FAULT_NONE : FAULT_USAGE);
        if (fault != FAULT_NONE)
            CHECK_(rows[i].family, strstr(cx_message(cx), rows[i].want_link) != NULL);
        else
            CHECK_(rows[i].family, strcmp(family, rows[i].want_family) == 0 &&
                                       strcmp(link, rows[i].want_link) == 0);
    }
}

static void test_args__every_command_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];

        CHECK_(c->words, c->run != NULL && c->usage != NULL && c->help[0] != '\0');
        CHECK_(c->words, strncmp(c->example, "cohortium ", 10) == 0);
        CHECK_(c->words, strncmp(c->example + 10, c->words, strlen(c->words)) == 0);
        for (size_t k = 0; k < i; k++)
            CHECK_(c->words, strcmp(commands[k].words, c->words) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_args__a_line_as_words),
        cmocka_unit_test(test_args__wrong_usage_is_named),
        cmocka_unit_test(test_args__values),
        cmocka_unit_test(test_args__families),
        cmocka_unit_test(test_args__every_command_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

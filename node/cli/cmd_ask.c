/* cmd_ask.c - count, table, describe, lm, glm; and a file of them. */
#include <errno.h>
#include <string.h>

#include "node/cli/ask_private.h"
#include "node/cli/render.h"
#include "node/cli/witness.h"
#include "protocol/base/clock.h"

enum { LINE_MAX_BYTES = 128 * 1024, QUESTION_MEMORY = 1 << 30 };

static enum fault check_output(struct cx *cx, const struct args *args)
{
    if (args_has(args, "--json") && args_has(args, "--csv"))
        return usage_fail(cx, args, "--json and --csv exclude each other");
    if (args_has(args, "--save") && args_has(args, "--no-save"))
        return usage_fail(cx, args, "--save and --no-save exclude each other");
    if (args_has(args, "--days") && !args_has(args, "--later"))
        return usage_fail(cx, args, "--days goes with --later; --deadline waits here");
    return FAULT_NONE;
}

static enum fault check_words(struct cx *cx, const struct args *args)
{
    const char *name = args->command->words;

    TRY(check_output(cx, args));
    if (strcmp(name, "glm") == 0 && args_get(args, "--family") != NULL) {
        const char *family, *link;

        TRY(family_parse(cx, args_get(args, "--family"), args_get(args, "--link"), &family,
                         &link));
    }
    if (strcmp(name, "count") == 0)
        return args_words(cx, args, 1, 1);
    if (strcmp(name, "describe") == 0)
        return args_words(cx, args, 2, 21);
    if (strcmp(name, "table") == 0 && args->n_words > 2)
        return usage_fail(cx, args, "variables are one word: '%.60s * %.60s'",
                          args->words[1], args->words[2]);
    return args_words(cx, args, 2, 2);
}

static enum fault run_one(struct cli *cli, const struct args *args)
{
    struct asking asking = {.args = args,
                            .json = args_has(args, "--json"),
                            .csv = args_has(args, "--csv"),
                            .save = true};
    struct home home;

    TRY(check_words(cli->cx, args));
    TRY(ask_wait(cli->cx, args, &asking.wait_ms));
    enum fault fault = home_open(cli, args, &home);
    if (fault == FAULT_NONE)
        fault = ask(cli, &home, cli->cx, &asking);
    home_close(&home);
    return fault;
}

enum fault run_count(struct cli *cli, const struct args *args)
{
    return run_one(cli, args);
}

enum fault run_table(struct cli *cli, const struct args *args)
{
    return run_one(cli, args);
}

enum fault run_describe(struct cli *cli, const struct args *args)
{
    return run_one(cli, args);
}

enum fault run_lm(struct cli *cli, const struct args *args)
{
    return run_one(cli, args);
}

enum fault run_glm(struct cli *cli, const struct args *args)
{
    return run_one(cli, args);
}

/* ---- run ---- */

struct batch {
    struct cli *cli;
    const struct args *args;
    struct home *home;
    const char *file;
    FILE *in;
    unsigned line;
    bool json, csv, keep_going, timing;
    int64_t wait_ms; /* for home to come back */
    size_t asked, failed;
    enum fault worst; /* the last failure, for the exit status */
    struct unwitnessed unwitnessed;
};

static bool is_question(const struct command *c)
{
    return c->run == run_count || c->run == run_table || c->run == run_describe ||
           c->run == run_lm || c->run == run_glm;
}

/* One JSON document a line, for a failure too, so that lines and questions stay in step. */
static void print_error(const struct batch *b, struct cx *cx, enum fault fault)
{
    struct buffer out = buffer_new(cx, 1 << 20);

    buffer_text(&out, "{\"cohortium\":1,\"error\":{\"fault\":");
    put_json_text(&out, fault_name(fault));
    buffer_printf(&out, ",\"status\":%d,\"line\":%u,\"text\":", fault_status(fault),
                  b->line);
    put_json_text(&out, cx_message(cx));
    buffer_text(&out, "}}\n");
    if (out.fault == FAULT_NONE)
        (void)fwrite(out.p, 1, out.n, b->cli->out);
}

static enum fault parse_line(struct batch *b, struct cx *cx, char **words, int n,
                             struct args *ret)
{
    const struct command *c;
    int used;

    TRY(args_order(cx, n, words, &n, &words));
    TRY(command_find(cx, n, words, &c, &used));
    if (!is_question(c))
        return cx_fail(cx, FAULT_USAGE,
                       "`%s` is no question: count, table, describe, lm or glm", c->words);
    TRY(args_parse(cx, c, n - used, words + used, ret));
    TRY(check_words(cx, ret));
    if ((b->json && args_has(ret, "--csv")) || (b->csv && args_has(ret, "--json")))
        return usage_fail(cx, ret, "the whole run prints %s", b->json ? "--json" : "--csv");
    return FAULT_NONE;
}

static enum fault ask_line(struct batch *b, struct cx *cx, char **words, int n,
                           bool *ret_json)
{
    struct args args;

    *ret_json = b->json;
    TRY(parse_line(b, cx, words, n, &args));
    struct asking asking = {.args = &args,
                            .permit = args_get(b->args, "--permit"),
                            .json = b->json || args_has(&args, "--json"),
                            .csv = b->csv || args_has(&args, "--csv"),
                            .many = true,
                            .wait_ms = b->wait_ms,
                            .unwitnessed = &b->unwitnessed,
                            .save = !args_has(b->args, "--no-save")};
    *ret_json = asking.json;
    int64_t begin = clock_mono_us();
    enum fault fault = ask(b->cli, b->home, cx, &asking);
    b->asked++;
    if (b->timing)
        (void)fprintf(b->cli->err, "%s:%u: %.3f ms\n", b->file, b->line,
                      (double)(clock_mono_us() - begin) / 1000.0);
    return fault;
}

/* False: stop. */
static bool run_line(struct batch *b, struct cx *cx, char *line)
{
    char **words;
    bool json = b->json, answered;
    int n;
    enum fault fault = args_split(cx, line, &words, &n);

    if (fault == FAULT_NONE && n == 0)
        return true;
    size_t before = b->asked;
    if (!b->json && !b->csv && b->asked > 0)
        (void)fputs("\n", b->cli->out);
    if (fault == FAULT_NONE)
        fault = ask_line(b, cx, words, n, &json);
    if (fault == FAULT_NONE)
        return true;
    /* A NOT_RELEASED has its own document. */
    answered = b->asked > before && fault == FAULT_REFUSED &&
               strncmp(cx_message(cx), "not released", 12) == 0;
    if (json && !answered)
        print_error(b, cx, fault);
    (void)fprintf(b->cli->err, "%s:%u: %s\n", b->file, b->line, cx_message(cx));
    b->cli->said = true;
    b->failed++;
    b->worst = fault;
    return b->keep_going && fault != FAULT_CANCELLED; /* Ctrl-C ends all of it */
}

static enum fault run_lines(struct batch *b)
{
    AUTO_CX struct cx *cx = cx_new(QUESTION_MEMORY, CX_NO_DEADLINE);
    char *line = cx_alloc(b->cli->cx, LINE_MAX_BYTES);
    bool more = true;

    if (cx == NULL || line == NULL)
        return cx_fail(b->cli->cx, FAULT_MEMORY, "out of memory");
    while (more && fgets(line, LINE_MAX_BYTES, b->in) != NULL) {
        size_t n = strlen(line);

        b->line++;
        if (n + 1 == LINE_MAX_BYTES && line[n - 1] != '\n')
            return cx_fail(b->cli->cx, FAULT_USAGE, "%s:%u: a line of more than %d bytes",
                           b->file, b->line, LINE_MAX_BYTES);
        cx_reset(cx);
        more = run_line(b, cx, line);
        /* Somebody may read answers as they come. */
        (void)fflush(b->cli->out);
    }
    if (ferror(b->in))
        return cx_fail(b->cli->cx, FAULT_IO, "%s could not be read", b->file);
    if (b->failed > 1)
        (void)fprintf(b->cli->err, "%s: %zu questions failed\n", b->file, b->failed);
    return b->worst;
}

enum fault run_file(struct cli *cli, const struct args *args)
{
    struct home home = {0};
    struct batch b = {.cli = cli,
                      .args = args,
                      .home = &home,
                      .json = args_has(args, "--json"),
                      .csv = args_has(args, "--csv"),
                      .keep_going = args_has(args, "--keep-going"),
                      .timing = args_has(args, "--timing")};

    TRY(args_words(cli->cx, args, 1, 1));
    TRY(check_output(cli->cx, args));
    TRY(ask_wait(cli->cx, args, &b.wait_ms));
    bool standard = strcmp(args->words[0], "-") == 0;
    b.file = standard ? "standard input" : args->words[0];
    b.in = standard ? stdin : fopen(args->words[0], "re");
    if (b.in == NULL)
        return cx_fail(cli->cx, FAULT_IO, "%s: %s", b.file, strerror(errno));
    enum fault fault = home_open(cli, args, &home);
    if (fault == FAULT_NONE) {
        fault = run_lines(&b);
        unwitnessed_settle(cli, &home, &b.unwitnessed, b.asked);
    }
    home_close(&home);
    if (!standard)
        (void)fclose(b.in);
    return fault;
}

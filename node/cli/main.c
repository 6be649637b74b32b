/* main.c - the researcher's program: help, exit status. */
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "node/cli/cli.h"

/* ---- help ---- */

static void help_all(FILE *out)
{
    (void)fputs("cohortium - ask questions of many institutions; only sums leave them\n\n"
                "usage: cohortium COMMAND [WORDS] [OPTIONS]\n\n",
                out);
    for (size_t i = 0; i < n_commands; i++)
        (void)fprintf(out, "  %-13s %s\n", commands[i].words, commands[i].help);
    (void)fputs(
        "\n`cohortium COMMAND --help` says more, with an example. Exit status: 0 done, 1 "
        "failed,\n2 wrong usage, 3 refused by policy, 4 home is away: collect the answer "
        "later.\n",
        out);
}

static void help_command(FILE *out, const struct command *c)
{
    (void)fprintf(out, "cohortium %s - %s\n\nusage: cohortium %s %s\n\n", c->words, c->help,
                  c->words, c->usage);
    for (size_t g = 0; g < ARGS_GROUPS_MAX && c->groups[g] != NULL; g++)
        for (const struct option *o = c->groups[g]; o->name != NULL; o++) {
            char left[64];

            (void)snprintf(left, sizeof left, "%s%s%s", o->name, o->value ? " " : "",
                           o->value ? o->value : "");
            (void)fprintf(out, "  %-24s %s\n", left, o->help);
        }
    (void)fprintf(out, "\nexample: %s\n", c->example);
}

/* `cohortium key --help`: the commands of a family. False if there is none. */
static bool help_family(FILE *out, const char *word)
{
    size_t length = strlen(word), n = 0;

    for (size_t i = 0; i < n_commands; i++) {
        if (strncmp(commands[i].words, word, length) != 0 ||
            commands[i].words[length] != ' ')
            continue;
        (void)fprintf(out, "%susage: cohortium %s %s\n    %s\n    example: %s\n",
                      n++ ? "\n" : "", commands[i].words, commands[i].usage,
                      commands[i].help, commands[i].example);
    }
    return n > 0;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static bool wants_help(int argc, char *const *argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (is_help(argv[i]))
            return true;
    return false;
}

static enum fault help(struct cli *cli, int argc, char *const *argv)
{
    const struct command *c;
    int n;

    if (argc == 0 || is_help(argv[0])) {
        help_all(cli->out);
        return FAULT_NONE;
    }
    if (command_find(cli->cx, argc, argv, &c, &n) == FAULT_NONE) {
        help_command(cli->out, c);
        return FAULT_NONE;
    }
    return help_family(cli->out, argv[0]) ? FAULT_NONE : FAULT_USAGE;
}

/* ---- start ---- */

static enum fault run(struct cli *cli, int argc, char *const *argv)
{
    const struct command *c;
    struct args args;
    int n;

    if (argc == 0)
        return cx_fail(cli->cx, FAULT_USAGE,
                       "a command is missing; `cohortium help` lists them");
    if (strcmp(argv[0], "--version") == 0) {
        (void)fputs("cohortium " COHORTIUM_VERSION "\n", cli->out);
        return FAULT_NONE;
    }
    if (is_help(argv[0]))
        return help(cli, argc, argv);
    char **ordered;
    TRY(args_order(cli->cx, argc, argv, &argc, &ordered));
    argv = ordered;
    if (strcmp(argv[0], "help") == 0)
        return help(cli, argc - 1, argv + 1);
    if (wants_help(argc, argv))
        return help(cli, argc, argv);
    TRY(command_find(cli->cx, argc, argv, &c, &n));
    TRY(args_parse(cli->cx, c, argc - n, argv + n, &args));
    return c->run(cli, &args);
}

/* `| head` has read enough: that is no failure that anybody must be told of. */
static bool reader_is_gone(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};

    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

int main(int argc, char **argv)
{
    struct cli cli = {.out = stdout, .err = stderr};
    AUTO_CX struct cx *cx = cx_new(CLI_MEMORY, CX_NO_DEADLINE);

    /* A reader that went away (`| head`) must not look like a crash of ours. */
    (void)signal(SIGPIPE, SIG_IGN);
    if (cx == NULL || sodium_init() < 0) {
        (void)fputs("cohortium: out of memory\n", stderr);
        return STATUS_FAILED;
    }
    cli.cx = cx;
    enum fault fault = run(&cli, argc - 1, argv + 1);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    if (!written && reader_is_gone())
        return fault_status(fault == FAULT_NONE ? FAULT_IO : fault);
    if (fault != FAULT_NONE && !cli.said)
        (void)fprintf(stderr, "cohortium: %s\n", cx_message(cx));
    if (!written && fault == FAULT_NONE) {
        (void)fputs("cohortium: standard output could not be written\n", stderr);
        return STATUS_FAILED;
    }
    return cli.status != 0 ? cli.status : fault_status(fault);
}

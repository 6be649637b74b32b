/* main.c - cohortiumd: its command line, or one of its child processes. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "node/admin/command.h"
#include "node/admin/import_child.h"
#include "node/admin/options.h"
#include "node/admin/supervisor.h"

static int exit_status(enum fault fault)
{
    return fault == FAULT_NONE      ? 0
           : fault == FAULT_USAGE   ? 2
           : fault == FAULT_REFUSED ? 3
                                    : 1;
}

static void print_overview(FILE *out)
{
    (void)fputs("cohortiumd " COHORTIUM_VERSION " - a node of a consortium: it keeps an "
                "institution's data in place and\nanswers signed questions with aggregate "
                "numbers.\n\nusage: cohortiumd COMMAND [OPTIONS]\n\n",
                out);
    for (size_t i = 0; i < admin_command_count; i++)
        (void)fprintf(out, "  %-20s %s\n", admin_commands[i].words, admin_commands[i].help);
    (void)fputs(
        "\nEvery command takes --dir FOLDER (else $COHORTIUM_NODE, else this folder) and "
        "--help.\nFrom nothing to a consortium that answers, step by step: "
        "cohortiumd(8), EXAMPLES.\nexample: cohortiumd init --name hospital_a --listen "
        "tcp://0.0.0.0:7011 /srv/cohortium\n",
        out);
}

static void print_help(const struct admin_command *c)
{
    (void)printf("cohortiumd %s - %s\n\nusage: cohortiumd %s %s\n\n", c->words, c->help,
                 c->words, c->usage);
    options_print(c);
    (void)printf("\n%s\n", c->details);
}

/* `cohortiumd policy`: the commands of a family. False if there is none. */
static bool print_family(FILE *out, const char *word)
{
    size_t length = strlen(word), n = 0;

    for (size_t i = 0; i < admin_command_count; i++) {
        const struct admin_command *c = &admin_commands[i];

        if (strncmp(c->words, word, length) == 0 && c->words[length] == ' ' && n++ == 0)
            (void)fprintf(out, "cohortiumd %s ...\n\n", word);
        if (strncmp(c->words, word, length) == 0 && c->words[length] == ' ')
            (void)fprintf(out, "  %-20s %s\n", c->words, c->help);
    }
    if (n > 0)
        (void)fprintf(out, "\n`cohortiumd %s WORD --help` says more, with an example.\n",
                      word);
    return n > 0;
}

static void no_such_command(struct cx *cx, int argc, char **argv)
{
    const char **all = cx_array(cx, admin_command_count, sizeof *all);
    const char *words =
        cx_printf(cx, "%s%s%s", argv[0], argc > 1 && argv[1][0] != '-' ? " " : "",
                  argc > 1 && argv[1][0] != '-' ? argv[1] : "");
    const char *near = NULL;

    for (size_t i = 0; all != NULL && i < admin_command_count; i++)
        all[i] = admin_commands[i].words;
    if (all != NULL && words != NULL)
        near = bytes_nearest(words, all, admin_command_count);
    (void)fprintf(stderr,
                  "cohortiumd: no command `%.60s`%s%s%s `cohortiumd help` lists all\n",
                  words != NULL ? words : argv[0], near != NULL ? ", did you mean `" : "",
                  near != NULL ? near : "", near != NULL ? "`?" : ";");
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* `help policy sign`, `policy --help`, `policy`: as much as the words say. */
static int help(struct cx *cx, int argc, char **argv)
{
    int words;
    const struct admin_command *c = argc > 0 ? command_at(argc, argv, &words) : NULL;

    if (argc == 0)
        print_overview(stdout);
    else if (c != NULL)
        print_help(c);
    else if (!print_family(stdout, argv[0])) {
        no_such_command(cx, argc, argv);
        return 2;
    }
    return 0;
}

static int run(int argc, char **argv)
{
    AUTO_CX struct cx *cx = cx_new((size_t)4 << 30, CX_NO_DEADLINE);
    struct invocation in = {.cx = cx};
    int words;

    if (cx == NULL)
        return 1;
    if (strcmp(argv[0], "help") == 0 || is_help(argv[0]))
        return help(cx, argc - 1, argv + 1);
    if (options_order(cx, argc, argv, &argc, &argv) != FAULT_NONE) {
        (void)fprintf(stderr, "cohortiumd: %s\n", cx_message(cx));
        return 2;
    }
    in.command = command_at(argc, argv, &words);
    if (in.command == NULL && argc > 1 && is_help(argv[1]))
        return help(cx, 1, argv);
    if (in.command == NULL && (argc == 1 || argv[1][0] == '-') &&
        print_family(stderr, argv[0]))
        return 2;
    if (in.command == NULL) {
        no_such_command(cx, argc, argv);
        return 2;
    }
    in.argc = argc - words;
    in.argv = argv + words;
    enum fault fault = options_parse(&in);
    for (int i = words; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (is_help(argv[i])) {
            print_help(in.command);
            return 0;
        }
    if (fault == FAULT_NONE)
        fault = in.command->run(&in);
    if (fault == FAULT_NONE)
        return (int)in.status;
    (void)fprintf(stderr, "cohortiumd %s: %s\n", in.command->words, cx_message(cx));
    return in.status != 0 ? (int)in.status : exit_status(fault);
}

int main(int argc, char **argv)
{
    if (sodium_init() < 0) {
        (void)fputs("cohortiumd: the cryptographic library could not start\n", stderr);
        return 1;
    }
    if (argc > 1 &&
        (strcmp(argv[1], "vault-process") == 0 || strcmp(argv[1], "net-process") == 0))
        return child_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "import-process") == 0)
        return import_child_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        (void)puts("cohortiumd " COHORTIUM_VERSION);
        return 0;
    }
    if (argc < 2) {
        print_overview(stderr);
        return 2;
    }
    return run(argc - 1, argv + 1);
}

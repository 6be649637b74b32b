/* main.c - cohortiumd: its command line, or one of its child processes. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/admin/command.h"
#include "node/admin/import_child.h"
#include "node/admin/supervisor.h"

static int exit_status(enum fault fault)
{
    return fault == FAULT_NONE ? 0 : fault == FAULT_USAGE ? 2 : fault == FAULT_REFUSED ? 3 : 1;
}

static void print_overview(FILE *out)
{
    (void)fputs("cohortiumd " COHORTIUM_VERSION " - a node of a consortium: it keeps an "
                "institution's data in place and\nanswers signed questions with aggregate "
                "numbers.\n\nusage: cohortiumd COMMAND [OPTIONS]\n\n",
                out);
    for (size_t i = 0; i < admin_command_count; i++)
        (void)fprintf(out, "  %-20s %s\n", admin_commands[i].words, admin_commands[i].help);
    (void)fputs("\nEvery command takes --dir FOLDER (else $COHORTIUM_NODE, else this folder) and "
                "--help.\nexample: cohortiumd init --name hospital_a --listen "
                "tcp://0.0.0.0:7011 /srv/cohortium\n",
                out);
}

static void print_help(const struct admin_command *c)
{
    (void)printf("cohortiumd %s - %s\n\nusage: cohortiumd %s %s\n\n%s\n", c->words, c->help,
                 c->words, c->usage, c->details);
}

/* The command whose words begin the line; longest first. */
static const struct admin_command *find(int argc, char **argv, int *ret_words)
{
    for (int n = 2; n >= 1; n--) {
        char words[80];

        if (argc < n)
            continue;
        (void)snprintf(words, sizeof words, "%s%s%s", argv[0], n > 1 ? " " : "",
                       n > 1 ? argv[1] : "");
        for (size_t i = 0; i < admin_command_count; i++)
            if (strcmp(admin_commands[i].words, words) == 0) {
                *ret_words = n;
                return &admin_commands[i];
            }
    }
    return NULL;
}

static void no_such_command(struct cx *cx, int argc, char **argv)
{
    const char **all = cx_array(cx, admin_command_count, sizeof *all);
    const char *words = cx_printf(cx, "%s%s%s", argv[0], argc > 1 && argv[1][0] != '-' ? " " : "",
                                  argc > 1 && argv[1][0] != '-' ? argv[1] : "");
    const char *near = NULL;

    for (size_t i = 0; all != NULL && i < admin_command_count; i++)
        all[i] = admin_commands[i].words;
    if (all != NULL && words != NULL)
        near = bytes_nearest(words, all, admin_command_count);
    (void)fprintf(stderr, "cohortiumd: no command `%.60s`%s%s%s `cohortiumd help` lists all\n",
                  words != NULL ? words : argv[0], near != NULL ? ", did you mean `" : "",
                  near != NULL ? near : "", near != NULL ? "`?" : ";");
}

/* Whether `name` is among the command's options; *ret_value: a value follows. */
static bool knows(const struct admin_command *c, const char *name, bool *ret_value)
{
    static const char *const always = "dir: help passphrase-file: ";
    const char *lists[] = {always, c->options};
    size_t n = strlen(name);

    for (size_t k = 0; k < COUNT(lists); k++)
        for (const char *p = lists[k]; (p = strstr(p, name)) != NULL; p += n)
            if ((p == lists[k] || p[-1] == ' ') && (p[n] == ' ' || p[n] == ':' || p[n] == '\0')) {
                *ret_value = p[n] == ':';
                return true;
            }
    return false;
}

static enum fault parse(struct invocation *in)
{
    for (int i = 0; i < in->argc; i++) {
        const char *a = in->argv[i];
        bool value;

        if (strcmp(a, "-o") == 0)
            a = "--out";
        if (strncmp(a, "--", 2) != 0) {
            if (in->n_words == COUNT(in->words))
                return cx_fail(in->cx, FAULT_USAGE, "too many words");
            in->words[in->n_words++] = in->argv[i];
            continue;
        }
        if (!knows(in->command, a + 2, &value))
            return cx_fail(in->cx, FAULT_USAGE, "no option `%.60s`; see `cohortiumd %s --help`",
                           a, in->command->words);
        if (value && ++i == in->argc)
            return cx_fail(in->cx, FAULT_USAGE, "option %s needs a value", a);
    }
    const char *folder = option(in, "dir");
    if (folder == NULL)
        folder = getenv("COHORTIUM_NODE");
    in->folder = folder != NULL ? folder : ".";
    return FAULT_NONE;
}

static int run(int argc, char **argv)
{
    AUTO_CX struct cx *cx = cx_new((size_t)4 << 30, CX_NO_DEADLINE);
    struct invocation in = {.cx = cx};
    int words;

    if (cx == NULL)
        return 1;
    in.command = find(argc, argv, &words);
    if (in.command == NULL) {
        no_such_command(cx, argc, argv);
        return 2;
    }
    in.argc = argc - words;
    in.argv = argv + words;
    enum fault fault = parse(&in);
    if (fault == FAULT_NONE && has_option(&in, "help")) {
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
    if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
        print_overview(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    return run(argc - 1, argv + 1);
}

/*
 * cli.h - the researcher's program: commands in one table, their words and options.
 *
 *   commands.c  the table          main.c  help, exit status
 *   args.c      words and options of one command line
 *   profile.c   who I am and where home is
 *   home.c      one link to the home node; calls over it
 *   question.c  the words of a command line as a question
 *   ask.c       sign, ask, verify, keep the receipt
 *   render*.c   answers for people, --json, --csv
 *   cmd_*.c, lab*.c  the commands
 *
 * Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused by policy, 4 home is away and the
 * question can be collected later.
 */
#pragma once

#include <stdio.h>

#include "protocol/base/bytes.h"

enum {
    STATUS_DONE = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_REFUSED = 3,
    STATUS_AWAY = 4
};
enum { ARGS_OPTIONS_MAX = 40, ARGS_GROUPS_MAX = 4, CLI_MEMORY = 1 << 30 };

struct option {
    const char *name;  /* "--where" */
    const char *value; /* "EXPRESSION"; NULL: a flag */
    const char *help;
};

struct cli {
    struct cx *cx; /* as long as the program */
    FILE *out, *err;
    bool said; /* the fault was told already, in more than one line */
    int status; /* exit status where the fault does not say it; 0: it does */
};

struct command;
struct args {
    const struct command *command;
    size_t n_words;
    const char **words;                             /* what is not an option */
    const struct option *options[ARGS_OPTIONS_MAX]; /* that were given */
    const char *values[ARGS_OPTIONS_MAX];           /* "" for a flag */
    size_t n_options;
};

typedef enum fault command_run(struct cli *cli, const struct args *args);

struct command {
    const char *words; /* "count", "key new" */
    command_run *run;
    const char *usage; /* after the words */
    const char *help;  /* one line */
    const char *example;
    const struct option *groups[ARGS_GROUPS_MAX]; /* lists that end with a NULL name */
};

extern const struct command commands[];
extern const size_t n_commands;

extern const struct option options_home[], options_ask[], options_output[];

/* Options in front of the command go behind its words: `--profile x count lung` is
 * `count --profile x lung`. FAULT_USAGE for an option that no command has. */
CHECKED enum fault args_order(struct cx *cx, int argc, char *const *argv, int *ret_argc,
                              char ***ret_argv);
/* The command that argv begins with, and how many words it has. FAULT_USAGE with a
 * suggestion. */
CHECKED enum fault command_find(struct cx *cx, int argc, char *const *argv,
                                const struct command **ret, int *ret_words);
/* argv without the command's words. FAULT_USAGE: "count: no option --whre; did you mean
 * ..." */
CHECKED enum fault args_parse(struct cx *cx, const struct command *command, int argc,
                              char *const *argv, struct args *ret);
/* The value, "" for a flag, NULL when it was not given. */
const char *args_get(const struct args *args, const char *name);
static inline bool args_has(const struct args *args, const char *name)
{
    return args_get(args, name) != NULL;
}
/* Between `least` and `most` words, or FAULT_USAGE that shows the usage line. */
CHECKED enum fault args_words(struct cx *cx, const struct args *args, size_t least,
                              size_t most);
/* FAULT_USAGE with the command's words in front. */
enum fault usage_fail(struct cx *cx, const struct args *args, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A number of an option within [lowest, highest]; `standard` when it was not given. */
CHECKED enum fault args_number(struct cx *cx, const struct args *args, const char *name,
                               double lowest, double highest, double standard, double *ret);
/* One line of a file as words: quotes as in a shell, `#` begins a comment, nothing is
 * expanded. NULL-terminated; FAULT_USAGE for an open quote. */
CHECKED enum fault args_split(struct cx *cx, const char *line, char ***ret, int *ret_n);

/* 0 to 3. */
int fault_status(enum fault fault);

command_run run_count, run_table, run_describe, run_lm, run_glm, run_file;
command_run run_datasets, run_codebook, run_codebook_diff, run_sites, run_status, run_budget;
command_run run_doctor;
command_run run_collect, run_cancel, run_pending;
command_run run_receipts, run_verify, run_replay, run_export;
command_run run_permit_draft;
command_run run_key_new, run_key_show;
command_run run_profile_add, run_profile_list, run_profile_show;
command_run run_lab_up, run_lab_down, run_lab_status;

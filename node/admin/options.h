/*
 * options.h - the options of a command line: what each means, in front of the command or
 * behind it, `--name value` or `--name=value`.
 */
#pragma once

#include "node/admin/command.h"
#include "protocol/envelope.h"

/* Options in front of the command go behind its words. FAULT_USAGE: an option that no
 * command has, or no command at all. */
CHECKED enum fault options_order(struct cx *cx, int argc, char **argv, int *ret_argc,
                                 char ***ret_argv);
/* Words and options of in->argv, which is made uniform (`-o f`, `--out=f`: "--out", "f");
 * the node's folder. FAULT_USAGE names what is wrong. */
CHECKED enum fault options_parse(struct invocation *in);
/* One line an option. */
void options_print(const struct admin_command *c);
/* Finds the command whose words begin the line, the longest first; NULL. */
const struct admin_command *command_at(int argc, char **argv, int *ret_words);
/* `text` (the value of an option, say "--listen") names where to listen or dial:
 * FAULT_USAGE unless it is tcp://HOST:PORT. */
CHECKED enum fault endpoint_check(struct cx *cx, const char *option_name, const char *text);
/* FAULT_FORMAT unless `packed` is an envelope of this kind: "FILE is no ...; expected what
 * `cohortiumd HOW` writes". */
CHECKED enum fault document_check(struct cx *cx, enum envelope_kind kind,
                                  struct bytes packed, const char *path, const char *what,
                                  const char *how, struct envelope *ret);

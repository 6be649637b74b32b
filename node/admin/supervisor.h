/*
 * supervisor.h - the parent of vault and net: starts them, hands them their descriptors and the
 * passphrase, starts them again when one dies, and ends with them.
 */
#pragma once

#include "protocol/base/cx.h"

struct serve_options {
    const char *folder;
    char *passphrase;      /* sodium_malloc memory or NULL (a lab's keys) */
    bool background;       /* return once the node is ready */
};
CHECKED enum fault supervisor_run(struct cx *cx, const struct serve_options *options);

/* The children's own main: argv as the supervisor made it. Returns an exit status. */
int child_main(int argc, char **argv);

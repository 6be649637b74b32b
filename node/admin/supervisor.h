/*
 * supervisor.h - the parent of vault and net: starts them, hands them their descriptors and
 * the passphrase, starts them again when one dies, and ends with them. A standby takes over
 * when the supervisor itself dies.
 */
#pragma once

#include "protocol/base/cx.h"

enum {
    PASSPHRASE_MAX = 1024, /* bytes with the closing zero */

    /* A child's descriptors. The lock of the folder is only held, never used: the folder is
     * free when the last of supervisor, vault and net is gone. */
    CHILD_FD_PAIR = 3,
    CHILD_FD_CONTROL = 4,
    CHILD_FD_SECRET = 5,
    CHILD_FD_LOCK = 6,
    CHILD_FD_ADMIN = 7, /* the vault's only */

    CHILD_FATAL = 78, /* a child's exit status: trying again would not help */
};

struct serve_options {
    const char *folder;
    char *passphrase; /* sodium_malloc memory or NULL (a lab's keys) */
    bool background;  /* return once the node is ready */
};
CHECKED enum fault supervisor_run(struct cx *cx, const struct serve_options *options);

/* Ends the node of `folder`: returns when its processes are gone.
 * FAULT_NOT_FOUND: no node runs there. FAULT_TIMEOUT: it does not end. */
CHECKED enum fault supervisor_stop(struct cx *cx, const char *folder);

/* The children's own main: argv as the supervisor made it. Returns an exit status. */
int child_main(int argc, char **argv);

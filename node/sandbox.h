/*
 * sandbox.h - what each of the node's processes can no longer do once it has started.
 *
 *   vault   no socket, no connect, no exec; files: its folder
 *   net     no exec, no data file: of the file system only what name resolution reads
 *   import  no socket, no exec; files: the staging folder that it was handed
 *
 * seccomp (an allow-list; anything else fails with EPERM) and, where the kernel has it,
 * Landlock. FAULT_INTERNAL if seccomp cannot be had: a node does not run without it.
 */
#pragma once

#include "protocol/base/cx.h"

enum sandbox_role { SANDBOX_VAULT, SANDBOX_NET, SANDBOX_IMPORT };

CHECKED enum fault sandbox_enter(struct cx *cx, enum sandbox_role role, const char *folder);
bool sandbox_has_landlock(void);

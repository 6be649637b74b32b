/*
 * sandbox.h - what each of the node's processes can no longer do once it has started.
 *
 *            may                                        of the file system
 *   vault    answer on sockets that it was handed        its folder
 *   net      make internet sockets, no others            reads /etc and the system's
 * libraries: what name resolution needs import   read and write descriptors that it has the
 * staging folder it was handed
 *
 * None of them may start a program or a process, look into or signal another process, move
 * a limit of one, or send signals by way of a descriptor; vault and import may not bring
 * new machine code into memory. net may make no local socket: the operator's commands come
 * in at one, and whoever can reach it is believed to be the operator.
 *
 * seccomp (an allow-list of calls and their arguments; anything else fails with EPERM) and,
 * where the kernel has it, Landlock, which alone knows files by their folder. Without it
 * the node runs, its log and `doctor` say so, and the rights of its user are all that keeps
 * it to its folder. FAULT_INTERNAL if seccomp cannot be had: a node does not run without
 * it.
 *
 * Call it before any thread is started: Landlock binds those that are started later.
 */
#pragma once

#include "protocol/base/cx.h"

enum sandbox_role { SANDBOX_VAULT, SANDBOX_NET, SANDBOX_IMPORT };

CHECKED enum fault sandbox_enter(struct cx *cx, enum sandbox_role role, const char *folder);
bool sandbox_has_landlock(void);

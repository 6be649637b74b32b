/*
 * listen.h - may this node listen where its settings say?
 *
 * Asked before anything is started, so that whoever types `serve` hears it at once, with
 * the remedy; net finds out for itself again, because what is free now may not be so later.
 */
#pragma once

#include "protocol/base/cx.h"

/* endpoint "tcp://ADDRESS:PORT"; "" (outbound only) may. FAULT_CONFLICT: another program
 * listens there. FAULT_IO: not an address of this machine, a port of the system's, ... */
CHECKED enum fault listen_check(struct cx *cx, const char *folder, const char *endpoint);

/*
 * probe.h - does anything accept at an endpoint? For doctors: a connection is opened and
 * closed again, and not a word is said. Blocks; not for a loop that others wait for.
 */
#pragma once

#include "protocol/base/bytes.h"

struct probe {
    const char
        *endpoint;   /* "tcp://HOST:PORT"; a HOST that means every address: this machine */
    const char *why; /* NULL: something accepts there; else why not, in words. In cx */
};

/* All at once, in about `ms` (and what looking names up takes). */
CHECKED enum fault probe_all(struct cx *cx, struct probe *probes, size_t n, int64_t ms);
/* One; FAULT_UNAVAILABLE with "ENDPOINT: why". */
CHECKED enum fault probe_one(struct cx *cx, const char *endpoint, int64_t ms);

/*
 * pending.h - signed requests, kept in the profile before they are sent and until their
 * answer is there: what `collect ID` sends again.
 *
 *   pending/ID.request   the packed envelope; ID: the request id, 32 hex digits
 *
 * Without fsync: they are for the death of a program, not of the machine, and whoever loses
 * one asks again without a charge.
 */
#pragma once

#include "node/cli/ask.h"

enum { PENDING_MAX = 256 }; /* the oldest go */

struct pending {
    const char *id; /* 32 hex digits */
    struct bytes packed;
    int64_t made_at; /* of the file, UTC milliseconds */
};

/* FAULT_IO where the profile cannot be written. */
CHECKED enum fault pending_keep(struct cx *cx, const struct profile *profile,
                                const uint8_t id[16], struct bytes packed);
void pending_drop(struct cx *cx, const struct profile *profile, const char *id);
/* The newest first. A profile that keeps none: an empty list. */
CHECKED enum fault pending_list(struct cx *cx, const struct profile *profile,
                                struct pending **ret, size_t *ret_n);
/* The one whose id begins so; FAULT_MISSING, FAULT_USAGE when several do. */
CHECKED enum fault pending_find(struct cx *cx, const struct profile *profile,
                                const char *id, struct pending *ret);
/* FAULT_USAGE unless it is 4 to 32 hex digits. */
CHECKED enum fault pending_check_id(struct cx *cx, const struct args *args, const char *id);

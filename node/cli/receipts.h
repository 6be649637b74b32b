/*
 * receipts.h - the receipts that a profile keeps, in PROFILE/receipts.
 *
 *   20261125T003507123Z-5f2c1a0b9d3e.receipt    when it was kept, to the millisecond; the
 *                                   beginning of the digest of its request, its id
 *   ....rejected                             an answer that did not verify
 *
 * Bounds: the newest RECEIPTS_MAX files and RECEIPTS_BYTES_MAX bytes stay; older ones are
 * removed when a new one is kept (looked at by the first of a process and then by every
 * RECEIPTS_PERIODth, so that a long file of questions does not wait for it). What --save
 * wrote elsewhere is never touched.
 */
#pragma once

#include "node/cli/cli.h"
#include "node/cli/profile.h"
#include "protocol/receipt.h"

enum {
    RECEIPTS_MAX = 10000,
    RECEIPTS_BYTES_MAX = 1 << 30,
    RECEIPTS_PERIOD = 256,
    RECEIPT_ID_DIGITS = 12,
};

/* Keeps a packed receipt. digest: of its request. many: without fsync. The path lives in
 * cx. */
CHECKED enum fault receipts_keep(struct cx *cx, const struct profile *p,
                                 const uint8_t digest[32], struct bytes packed,
                                 bool rejected, bool many, const char **ret_path);

/* An answer is charged: that its receipt cannot be kept must be known before. FAULT_IO. */
CHECKED enum fault receipts_check(struct cx *cx, const struct profile *p);

struct kept {
    const char *name; /* of the file */
    const char *id;
    const char *path;
    uint64_t bytes;
    bool rejected;
};
/* The oldest first. An absent folder holds none. */
CHECKED enum fault receipts_list(struct cx *cx, const struct profile *p, struct kept **ret,
                                 size_t *ret_n);

/* The path of what a person named: a file, else a receipt of the profile (`profile`, else
 * the usual one) by its id, the beginning of one (4 digits or more), its file name, or
 * `last`. FAULT_MISSING, FAULT_USAGE when several fit. */
CHECKED enum fault receipts_find(struct cx *cx, const char *profile, const char *word,
                                 const char **ret_path);

/* Removes the oldest beyond these bounds: receipts_keep does, with those above. */
CHECKED enum fault receipts_rotate(struct cx *cx, const struct profile *p, size_t most,
                                   uint64_t most_bytes);

struct opened {
    const char *path;
    struct bytes packed;
    Cohortium__Receipt *receipt;
    struct receipt_facts facts;
    bool pinned; /* against a genesis digest that was given, or the profile's */
};
/* cmd_verify.c: finds args->words[0] and verifies it against --genesis, else the genesis of
 * --profile or the usual profile where there is one, else its own. What is wrong is told
 * with the file's name. */
CHECKED enum fault receipt_open(struct cx *cx, const struct args *args, struct opened *ret);

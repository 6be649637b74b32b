/*
 * witness.h - cosignatures for receipts, fetched after the answer.
 *
 * An answer that no policy holds to a quantum leaves its sites before their peers have
 * cosigned the logs; a receipt of it becomes a witnessed one some milliseconds later.
 */
#pragma once

#include "node/cli/home.h"
#include "protocol/receipt.h"

/* Asks home for proofs under cosigned checkpoints and puts them into the receipt.
 * *ret_facts and *ret_packed change only if the whole verifies again and is witnessed now;
 * then true. What home or a site cannot do leaves the receipt as it is. */
bool witness_refresh(struct home *home, struct cx *cx, const Cohortium__Receipt *receipt,
                     struct receipt_facts *ret_facts, struct bytes *ret_packed);

/* Receipts of a run that are to be asked about at its end. */
struct unwitnessed {
    const char **paths; /* in the program's cx */
    size_t n, size, no_receipt;
};
CHECKED enum fault unwitnessed_add(struct cx *cx, struct unwitnessed *u, const char *path);
/* Refreshes them all, and tells on standard error what is still unwitnessed. */
void unwitnessed_settle(struct cli *cli, struct home *home, struct unwitnessed *u,
                        size_t answers);

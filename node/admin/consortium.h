/*
 * consortium.h - what the commands about the consortium share.
 *
 *   consortium.c        member cards, the genesis manifest, signatures, show
 *   consortium_next.c   the next version: who comes, who goes, which keys govern
 *   consortium_join.c   the chain of manifests as one file: written, joined with, published
 */
#pragma once

#include "node/admin/options.h"

/* A member card, unpacked. */
CHECKED enum fault member_read(struct invocation *in, const char *path,
                               Cohortium__Member **ret);
/* Order of node ids, for qsort over Cohortium__Member pointers. */
int member_by_id(const void *a, const void *b);
/* A governance card. */
CHECKED enum fault governor_read(struct invocation *in, const char *path,
                                 Cohortium__Card **ret);
/* Writes the body to -o as an envelope without signatures, after checking it. */
CHECKED enum fault manifest_write(struct invocation *in, const Cohortium__Manifest *m,
                                  uint8_t ret_digest[32]);
/* A manifest file that waits for signatures, as claimed: nobody need have signed it. */
CHECKED enum fault manifest_open_claimed(struct invocation *in, const char *path,
                                         struct bytes packed, struct envelope *ret,
                                         Cohortium__Manifest **ret_body);
/* The packed envelopes of a file: of a whole chain, or of one manifest. */
CHECKED enum fault chain_read(struct invocation *in, const char *path, struct bytes **ret,
                              size_t *ret_n);
/* The manifest that `next` claims to follow: of --manifest or of the node's folder. NULL
 * where neither is at hand. FAULT_CONFLICT: it follows another. */
CHECKED enum fault manifest_before(struct invocation *in, const Cohortium__Manifest *next,
                                   struct manifest **ret);
/* What the next manifest changes, a line each. */
void changes_show(struct invocation *in, const Cohortium__Manifest *old,
                  const Cohortium__Manifest *next);

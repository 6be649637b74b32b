/*
 * revocation.h - a permit or a credential taken back, as a signed paper.
 *
 * Signed by one officer of the member that takes it back, as many as a tighter policy
 * needs; of a credential also by the node that issued it. Whoever reads it judges who
 * signed; whether it binds a site is the site's own matter: it obeys its own officers, and
 * the issuer of the target.
 */
#pragma once

#include "protocol/manifest.h"

enum { REVOCATION_REASON_MAX = 500, REVOCATION_TITLE_MAX = 4096 };

struct revocation {
    const Cohortium__Revocation *body;
    struct envelope envelope;
    const Cohortium__Member *member; /* who takes it back */
    const char *by;                  /* name of the officer; "its node" */
    uint8_t key[KEY_BYTES];          /* whose signature it is */
    bool of_permit;                  /* else of a credential */
};

/*
 * Shape, consortium, dates, signature.
 *
 * Returns  FAULT_FORMAT; FAULT_EXPIRED: its target has ended by itself (an old paper), or
 * it is dated in the future; FAULT_DENIED: of another consortium, or not signed by whom it
 * names
 */
CHECKED enum fault revocation_verify(struct cx *cx, const struct manifest *m,
                                     struct bytes packed, int64_t now,
                                     struct revocation *ret);
/* Does it bind a site? issuer: of the target, empty where it names none. */
bool revocation_binds(const Cohortium__Revocation *r, const Cohortium__Member *self,
                      struct bytes issuer);

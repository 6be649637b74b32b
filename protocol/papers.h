/*
 * papers.h - what a person carries: credential, permit, request; who may ask what.
 *
 * Each check is decided without data and names everything that is wrong.
 */
#pragma once

#include "protocol/manifest.h"

enum {
    CREDENTIAL_LIFE_MAX_MS = 30 * 24 * 3600 * 1000LL,
    SESSION_LIFE_MAX_MS = 24 * 3600 * 1000, /* from a request's expiry to its log record */
};

struct credential {
    const Cohortium__Credential *body;
    const Cohortium__Member *home;
    struct envelope envelope;
    uint8_t subject[32]; /* SHA-256 of the researcher's signing key */
};
/* Signed by the home member's node, in its window, at most 30 days long, home issues
 * researchers, no key is a node's. Revocation is the home's own list: asked there. */
CHECKED enum fault credential_verify(struct cx *cx, const struct manifest *m,
                                     struct bytes packed, int64_t now,
                                     struct credential *ret);

struct permit {
    const Cohortium__Permit *body;
    struct envelope envelope;
};
/* Shape and signatures: signed by officers of at least max(1, manifest.permit_signatures)
 * distinct members named in it. Dates are NOT judged here (permit_complaints does). */
CHECKED enum fault permit_verify(struct cx *cx, const struct manifest *m,
                                 struct bytes packed, struct permit *ret);
/* Whether an officer of this member signed it: a site honours it only then. */
bool permit_is_signed_for(const struct permit *p, const Cohortium__Member *member);

struct complaints {
    struct cx *cx;
    size_t n, size;
    Cohortium__Complaint **list;
    enum fault fault; /* memory */
};
struct complaints complaints_new(struct cx *cx);
/* code: stable word. At most 64 are kept. */
void complain(struct complaints *c, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What this permit does not cover of this request: researcher, dataset, analysis, sites,
 * by-site, dates. (Variables: analyses know them.) */
void permit_complaints(struct complaints *c, const struct permit *p,
                       const struct manifest *m, const Cohortium__Request *request,
                       const struct credential *who, int64_t now);

struct request {
    const Cohortium__Request *body;
    struct envelope envelope;
    struct credential who;
};
/* Envelope, stamp (audience must hold own_node; expiry), credential, researcher's
 * signature, issuer, home = credential's home, sites: sorted, unique, members that hold
 * data, each in the audience. FAULT_DENIED, FAULT_EXPIRED, FAULT_FORMAT. */
CHECKED enum fault request_verify(struct cx *cx, const struct manifest *m,
                                  struct bytes packed, const uint8_t own_node[32],
                                  int64_t now, struct request *ret);
/* The same without a clock: for receipts. at = the time of the log record, which may lie up
 * to SESSION_LIFE_MAX_MS after the request's expiry: it was begun in time. */
CHECKED enum fault request_verify_at(struct cx *cx, const struct manifest *m,
                                     struct bytes packed, int64_t at, struct request *ret);

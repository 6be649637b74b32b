/*
 * consortium.h - a small consortium in memory, for tests: members with keys, a signed
 * genesis, a researcher with a credential, a permit signed by an officer of each member.
 *
 * Everything but the keys lives in the cx that made it. Members are sorted by node id;
 * their names are site_a, site_b, ... in that order. The purpose is lab, endpoints are on
 * loopback.
 */
#pragma once

#include "protocol/papers.h"

enum { CONSORTIUM_SITES = 3, CONSORTIUM_GOVERNORS = 3 };

struct consortium {
    struct keys *node[CONSORTIUM_SITES]; /* in order of node id */
    struct keys *officer[CONSORTIUM_SITES];
    struct keys *governor[CONSORTIUM_GOVERNORS];
    struct keys *researcher;
    uint8_t id[CONSORTIUM_SITES][32]; /* node ids */
    Cohortium__Manifest body;         /* of the genesis; change a copy, then sign it */
    struct bytes genesis;             /* packed, signed by governors 0 and 1 */
    struct manifest *manifest;
    struct bytes credential; /* packed, from member 0 */
    struct bytes permit;     /* packed; dataset "lung", analyses all, by-site */
    uint8_t permit_id[16];
    uint8_t codebook[32]; /* an arbitrary digest */
    int64_t now;          /* when it was made */
};

/* Fails the test that calls it if anything goes wrong. */
void consortium_new(struct cx *cx, struct consortium *c);
void consortium_free(struct consortium *c);

/* Packs a manifest's body and signs it with these governors' keys. */
struct bytes consortium_sign_manifest(struct cx *cx, const Cohortium__Manifest *body,
                                      struct keys *const *keys, size_t n_keys);
/* A credential's, permit's and request's body as consortium_new made or would make it:
 * change what the test is about and seal it. */
Cohortium__Credential *consortium_credential(struct cx *cx, const struct consortium *c);
Cohortium__Permit *consortium_permit(struct cx *cx, const struct consortium *c);
/* All sites, home site_a, "count" on "lung" for everybody. */
Cohortium__Request *consortium_request(struct cx *cx, const struct consortium *c);
/* Packs and signs by n keys. */
struct bytes consortium_seal(struct cx *cx, enum envelope_kind kind,
                             const ProtobufCMessage *body, struct keys *const *keys,
                             size_t n);

/* envelope.c - DSSE envelopes and stamps. */
#include "protocol/envelope.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/manifest.h"

enum {
    CONTROL_MAX = 64 * 1024,
    DOCUMENT_MAX = 1024 * 1024,
    NUMBERS_MAX = 16 * 1024 * 1024,
    /* what an envelope adds: its type and length fields; a signature of 84 bytes and its
       own */
    WRAPPING_MAX = 256,
    SIGNATURE_MAX = 96,
};

#define TYPE(kind) "application/vnd.cohortium." kind ".v1+protobuf"

static const struct {
    const char *type, *word;
    size_t bound; /* bytes of a body */
    size_t
        signatures; /* what one person says, one person signs: no peer makes us try more */
} kinds[ENVELOPE_KINDS] = {
    [ENVELOPE_MANIFEST] = {TYPE("manifest"), "manifest", DOCUMENT_MAX,
                           ENVELOPE_SIGNATURES_MAX},
    [ENVELOPE_CREDENTIAL] = {TYPE("credential"), "credential", CONTROL_MAX, 1},
    [ENVELOPE_REVOCATION] = {TYPE("revocation"), "revocation", CONTROL_MAX, 1},
    [ENVELOPE_REVIEW] = {TYPE("review"), "review", CONTROL_MAX, 1},
    [ENVELOPE_PERMIT] = {TYPE("permit"), "permit", CONTROL_MAX, ENVELOPE_SIGNATURES_MAX},
    [ENVELOPE_POLICY] = {TYPE("policy"), "policy", DOCUMENT_MAX, ENVELOPE_SIGNATURES_MAX},
    [ENVELOPE_CODEBOOK] = {TYPE("codebook"), "codebook", DOCUMENT_MAX,
                           ENVELOPE_SIGNATURES_MAX},
    [ENVELOPE_REQUEST] = {TYPE("request"), "request", CONTROL_MAX, 1},
    [ENVELOPE_PREFLIGHT] = {TYPE("preflight"), "preflight", CONTROL_MAX, 1},
    [ENVELOPE_ACCEPT] = {TYPE("accept"), "accept", CONTROL_MAX, 1},
    [ENVELOPE_PROPOSAL] = {TYPE("proposal"), "proposal", NUMBERS_MAX, 1},
    [ENVELOPE_VECTOR] = {TYPE("vector"), "vector", NUMBERS_MAX, 1},
    [ENVELOPE_RELEASE] = {TYPE("release"), "release", NUMBERS_MAX, ENVELOPE_SIGNATURES_MAX},
};

const char *envelope_type(enum envelope_kind kind)
{
    return kinds[kind].type;
}

size_t envelope_bound(enum envelope_kind kind)
{
    return kinds[kind].bound;
}

size_t envelope_packed_bound(enum envelope_kind kind)
{
    return kinds[kind].bound + WRAPPING_MAX + kinds[kind].signatures * SIGNATURE_MAX;
}

/* "DSSEv1" SP len(type) SP type SP len(body) SP body; ret_body points into it. */
static enum fault signed_bytes(struct cx *cx, enum envelope_kind kind, struct bytes body,
                               struct bytes *ret, struct bytes *ret_body)
{
    char head[160];
    int n = snprintf(head, sizeof head, "DSSEv1 %zu %s %zu ", strlen(kinds[kind].type),
                     kinds[kind].type, body.n);

    if (n < 0 || (size_t)n >= sizeof head)
        return cx_fail(cx, FAULT_INTERNAL, "an envelope's type is too long");
    uint8_t *p = cx_raw(cx, (size_t)n + body.n);
    if (p == NULL)
        return FAULT_MEMORY;
    memcpy(p, head, (size_t)n);
    if (body.n > 0)
        memcpy(p + n, body.p, body.n);
    *ret = bytes_of(p, (size_t)n + body.n);
    *ret_body = bytes_of(p + n, body.n);
    return FAULT_NONE;
}

static enum fault check_signatures(struct cx *cx, enum envelope_kind kind,
                                   const Cohortium__Envelope *e)
{
    if (e->n_signatures > kinds[kind].signatures)
        return cx_fail(cx, FAULT_BOUND, "%s with %zu signatures: at most %zu are allowed",
                       kinds[kind].word, e->n_signatures, kinds[kind].signatures);
    for (size_t i = 0; i < e->n_signatures; i++) {
        const Cohortium__Signature *s = e->signatures[i];

        if (s->signature.len != SIGNATURE_BYTES || s->key_id.len != ID_BYTES)
            return cx_fail(
                cx, FAULT_FORMAT,
                "%s: signature %zu has %zu bytes and a key id of %zu, expected %d "
                "and %d",
                kinds[kind].word, i + 1, s->signature.len, s->key_id.len, SIGNATURE_BYTES,
                ID_BYTES);
    }
    return FAULT_NONE;
}

enum fault envelope_open(struct cx *cx, enum envelope_kind kind, struct bytes packed,
                         struct envelope *ret_claimed)
{
    Cohortium__Envelope *e;
    struct envelope claimed = {.kind = kind, .packed = packed};

    if (pb_unpack(cx, &cohortium__envelope__descriptor, packed, envelope_packed_bound(kind),
                  &e) != FAULT_NONE)
        return cx_prefix(cx, "%s: ", kinds[kind].word);
    if (strcmp(e->type, kinds[kind].type) != 0)
        return cx_fail(cx, FAULT_FORMAT, "an envelope of type \"%.80s\", expected \"%s\"",
                       e->type, kinds[kind].type);
    if (e->body.len > kinds[kind].bound)
        return cx_fail(cx, FAULT_BOUND, "a %s of %zu bytes: at most %zu are allowed",
                       kinds[kind].word, e->body.len, kinds[kind].bound);
    TRY(check_signatures(cx, kind, e));
    TRY(signed_bytes(cx, kind, PB_BYTES(e->body), &claimed.signed_bytes, &claimed.body));
    digest_of(claimed.body, claimed.digest);
    claimed.n_signatures = e->n_signatures;
    claimed.signatures = e->signatures;
    *ret_claimed = claimed;
    return FAULT_NONE;
}

/* A signature is tried only under the key that its hint names: so one envelope costs at
 * most as many verifications as it has signatures, however many keys a manifest lists. */
bool envelope_is_signed_by(const struct envelope *envelope, const uint8_t key[32])
{
    uint8_t id[DIGEST_BYTES];

    digest_of(bytes_of(key, KEY_BYTES), id);
    for (size_t i = 0; i < envelope->n_signatures; i++) {
        const Cohortium__Signature *s = envelope->signatures[i];

        if (s->key_id.len == ID_BYTES && s->signature.len == SIGNATURE_BYTES &&
            memcmp(s->key_id.data, id, ID_BYTES) == 0 &&
            signature_is_valid(key, envelope->signed_bytes, s->signature.data))
            return true;
    }
    return false;
}

size_t envelope_count_signers(const struct envelope *envelope, const uint8_t *const *keys,
                              size_t n_keys)
{
    size_t count = 0;

    for (size_t i = 0; i < n_keys; i++) {
        bool seen = false;

        for (size_t k = 0; k < i && !seen; k++)
            seen = memcmp(keys[i], keys[k], KEY_BYTES) == 0;
        if (!seen && envelope_is_signed_by(envelope, keys[i]))
            count++;
    }
    return count;
}

/* Packs body and signatures; `extra` may be NULL. */
static enum fault envelope_pack(struct cx *cx, enum envelope_kind kind, struct bytes body,
                                Cohortium__Signature **old, size_t n_old,
                                Cohortium__Signature *extra, struct bytes *ret_packed)
{
    Cohortium__Envelope e = COHORTIUM__ENVELOPE__INIT;

    if (n_old + (extra != NULL) > kinds[kind].signatures)
        return cx_fail(cx, FAULT_BOUND, "a %s may have at most %zu signatures",
                       kinds[kind].word, kinds[kind].signatures);
    CX_NEW(cx, e.signatures, n_old + 1);
    for (size_t i = 0; i < n_old; i++)
        e.signatures[e.n_signatures++] = old[i];
    if (extra != NULL)
        e.signatures[e.n_signatures++] = extra;
    e.type = (char *)kinds[kind].type;
    e.body = PB_DATA(body);
    return pb_pack(cx, &e.base, ret_packed);
}

static enum fault make_signature(struct cx *cx, struct bytes message,
                                 const struct keys *keys, Cohortium__Signature **ret)
{
    uint8_t id[DIGEST_BYTES], signature[SIGNATURE_BYTES];
    Cohortium__Signature *s;

    CX_NEW(cx, s, 1);
    cohortium__signature__init(s);
    digest_of(bytes_of(keys_signing_public(keys), KEY_BYTES), id);
    keys_sign(keys, message, signature);
    s->key_id = PB_DATA(bytes_of(cx_memdup(cx, id, ID_BYTES), ID_BYTES));
    s->signature =
        PB_DATA(bytes_of(cx_memdup(cx, signature, sizeof signature), sizeof signature));
    if (s->key_id.data == NULL || s->signature.data == NULL)
        return FAULT_MEMORY;
    *ret = s;
    return FAULT_NONE;
}

enum fault envelope_seal_body(struct cx *cx, enum envelope_kind kind, struct bytes body,
                              const struct keys *keys, struct bytes *ret_packed)
{
    Cohortium__Signature *signature;
    struct bytes message, copy;

    if (body.n > kinds[kind].bound)
        return cx_fail(cx, FAULT_BOUND, "a %s of %zu bytes: at most %zu are allowed",
                       kinds[kind].word, body.n, kinds[kind].bound);
    TRY(signed_bytes(cx, kind, body, &message, &copy));
    TRY(make_signature(cx, message, keys, &signature));
    return envelope_pack(cx, kind, copy, NULL, 0, signature, ret_packed);
}

enum fault envelope_seal(struct cx *cx, enum envelope_kind kind,
                         const ProtobufCMessage *message, const struct keys *keys,
                         struct bytes *ret_packed)
{
    struct bytes body;

    TRY(pb_pack(cx, message, &body));
    return envelope_seal_body(cx, kind, body, keys, ret_packed);
}

enum fault envelope_cosign(struct cx *cx, enum envelope_kind kind, struct bytes packed,
                           const struct keys *keys, struct bytes *ret_packed)
{
    struct envelope e;
    Cohortium__Signature *signature;

    TRY(envelope_open(cx, kind, packed, &e));
    if (envelope_is_signed_by(&e, keys_signing_public(keys))) {
        *ret_packed = packed;
        return FAULT_NONE;
    }
    TRY(make_signature(cx, e.signed_bytes, keys, &signature));
    return envelope_pack(cx, kind, e.body, e.signatures, e.n_signatures, signature,
                         ret_packed);
}

enum fault envelope_join(struct cx *cx, enum envelope_kind kind, struct bytes a,
                         struct bytes b, struct bytes *ret_packed)
{
    struct envelope ea, eb;
    Cohortium__Signature **all;
    size_t n;

    TRY(envelope_open(cx, kind, a, &ea));
    TRY(envelope_open(cx, kind, b, &eb));
    if (!bytes_equal(ea.body, eb.body))
        return cx_fail(cx, FAULT_CONFLICT,
                       "two %ss with different contents cannot be joined",
                       kinds[kind].word);
    CX_NEW(cx, all, ea.n_signatures + eb.n_signatures);
    for (n = 0; n < ea.n_signatures; n++)
        all[n] = ea.signatures[n];
    for (size_t i = 0; i < eb.n_signatures; i++) {
        bool seen = false;

        for (size_t k = 0; k < ea.n_signatures && !seen; k++)
            seen = memcmp(eb.signatures[i]->key_id.data, ea.signatures[k]->key_id.data,
                          ID_BYTES) == 0 &&
                   memcmp(eb.signatures[i]->signature.data,
                          ea.signatures[k]->signature.data, SIGNATURE_BYTES) == 0;
        if (!seen)
            all[n++] = eb.signatures[i];
    }
    return envelope_pack(cx, kind, ea.body, all, n, NULL, ret_packed);
}

/* ---- stamps ---- */

enum fault stamp_fill(struct cx *cx, Cohortium__Stamp *stamp,
                      const struct manifest *manifest, const uint8_t issuer[32],
                      const uint8_t *request_id, int64_t ttl_ms)
{
    uint8_t random_id[ID_BYTES];
    int64_t now = clock_utc_ms();

    if (ttl_ms <= 0 || ttl_ms > STAMP_LIFE_MAX_MS)
        return cx_fail(cx, FAULT_INVALID, "a stamp lives from 1 ms to 24 hours");
    if (request_id == NULL)
        randombytes_buf(random_id, sizeof random_id);
    stamp->consortium =
        PB_DATA(bytes_of(cx_memdup(cx, manifest->consortium, DIGEST_BYTES), DIGEST_BYTES));
    stamp->manifest_version = manifest->body->version;
    stamp->issuer = PB_DATA(bytes_of(cx_memdup(cx, issuer, DIGEST_BYTES), DIGEST_BYTES));
    stamp->request_id = PB_DATA(bytes_of(
        cx_memdup(cx, request_id != NULL ? request_id : random_id, ID_BYTES), ID_BYTES));
    stamp->issued_at = (uint64_t)now;
    stamp->expires_at = (uint64_t)(now + ttl_ms);
    if (stamp->consortium.data == NULL || stamp->issuer.data == NULL ||
        stamp->request_id.data == NULL)
        return FAULT_MEMORY;
    return FAULT_NONE;
}

static enum fault check_lengths(struct cx *cx, const Cohortium__Stamp *s)
{
    if (s->consortium.len != DIGEST_BYTES || s->issuer.len != DIGEST_BYTES ||
        s->request_id.len != ID_BYTES)
        return cx_fail(cx, FAULT_FORMAT,
                       "a stamp whose consortium, issuer or request id has a wrong length: "
                       "expected 32, 32 and 16 bytes");
    if (s->n_audience > MANIFEST_MEMBERS_MAX)
        return cx_fail(cx, FAULT_BOUND, "a stamp for %zu nodes: at most %d are allowed",
                       s->n_audience, MANIFEST_MEMBERS_MAX);
    for (size_t i = 0; i < s->n_audience; i++) {
        if (s->audience[i].len != DIGEST_BYTES)
            return cx_fail(cx, FAULT_FORMAT, "audience %zu of a stamp is not a node id",
                           i + 1);
        if (i > 0 &&
            memcmp(s->audience[i - 1].data, s->audience[i].data, DIGEST_BYTES) >= 0)
            return cx_fail(cx, FAULT_FORMAT,
                           "a stamp whose audience is not sorted, or names a node twice");
    }
    return FAULT_NONE;
}

static enum fault check_window(struct cx *cx, const Cohortium__Stamp *s, int64_t now,
                               int64_t life_max)
{
    char issued[32], expires[32], here[32];

    if (s->issued_at > INT64_MAX / 2 || s->expires_at > INT64_MAX / 2 ||
        s->expires_at <= s->issued_at || s->expires_at - s->issued_at > (uint64_t)life_max)
        return cx_fail(cx, FAULT_FORMAT,
                       "a stamp whose window is empty or longer than %" PRId64 " hours",
                       life_max / (3600 * 1000));
    (void)clock_format((int64_t)s->issued_at, issued, sizeof issued);
    (void)clock_format((int64_t)s->expires_at, expires, sizeof expires);
    (void)clock_format(now, here, sizeof here);
    if ((int64_t)s->issued_at > now + CLOCK_SKEW_MS)
        return cx_fail(
            cx, FAULT_EXPIRED,
            "issued at %s, which lies ahead of %s here: compare the clocks of both "
            "machines",
            issued, here);
    if ((int64_t)s->expires_at < now - CLOCK_SKEW_MS)
        return cx_fail(
            cx, FAULT_EXPIRED,
            "expired at %s, it is %s here: ask again, and compare the clocks if it "
            "was just made",
            expires, here);
    return FAULT_NONE;
}

enum fault stamp_check_life(struct cx *cx, const Cohortium__Stamp *stamp,
                            const struct manifest *manifest, const uint8_t *own_node,
                            int64_t now, int64_t life_max)
{
    bool found = own_node == NULL;

    if (stamp == NULL)
        return cx_fail(cx, FAULT_FORMAT, "a message without a stamp");
    TRY(check_lengths(cx, stamp));
    if (memcmp(stamp->consortium.data, manifest->consortium, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_DENIED, "made for another consortium than \"%s\"",
                       manifest->body->consortium_name);
    if (stamp->manifest_version < 1 || stamp->manifest_version > manifest->body->version)
        return cx_fail(cx, FAULT_DENIED,
                       "made under manifest version %" PRIu64 ", here version %" PRIu64
                       " is in force: bring the manifest up to date",
                       stamp->manifest_version, manifest->body->version);
    for (size_t i = 0; i < stamp->n_audience && !found; i++)
        found = memcmp(stamp->audience[i].data, own_node, DIGEST_BYTES) == 0;
    if (!found)
        return cx_fail(cx, FAULT_DENIED,
                       "not meant for this node: it is not in the audience");
    return check_window(cx, stamp, now, life_max);
}

enum fault stamp_check(struct cx *cx, const Cohortium__Stamp *stamp,
                       const struct manifest *manifest, const uint8_t *own_node,
                       int64_t now)
{
    return stamp_check_life(cx, stamp, manifest, own_node, now, STAMP_LIFE_MAX_MS);
}

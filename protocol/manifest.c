/* manifest.c - the signed list of members, verified from its genesis. */
#include "protocol/manifest.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/endpoint.h"

enum {
    GOVERNANCE_MAX = 1000,
    OFFICERS_MAX = 64,
    ENDPOINTS_MAX = 16,
    ENDPOINT_MAX = 256, /* bytes */
    TITLE_MAX = 256,    /* bytes */
    ROWS_LOG2_MAX = 40,
};

static bool line_is_valid(const char *text, size_t least, size_t most)
{
    size_t n = strlen(text);

    return n >= least && n <= most && utf8_is_clean(text, n) &&
           strpbrk(text, "\n\t") == NULL;
}

/* ---- endpoints ---- */

/* Splits "tcp://host:port" or "ws://[v6]:port" into host (without brackets). */
static bool endpoint_split(const char *endpoint, char *host, size_t size, bool *ret_v6)
{
    const char *p = endpoint_place(endpoint), *end, *port;

    if (p == NULL || strlen(endpoint) > ENDPOINT_MAX)
        return false;
    *ret_v6 = *p == '[';
    if (*ret_v6) {
        end = strchr(++p, ']');
        if (end == NULL || end[1] != ':')
            return false;
        port = end + 2;
    } else {
        end = strchr(p, ':');
        if (end == NULL)
            return false;
        port = end + 1;
    }
    size_t n = (size_t)(end - p), digits = strspn(port, "0123456789");
    if (n == 0 || n >= size || digits < 1 || digits > 5 || port[digits] != '\0' ||
        port[0] == '0' || strtol(port, NULL, 10) > 65535)
        return false;
    memcpy(host, p, n);
    host[n] = '\0';
    return true;
}

static bool endpoint_is_valid(const char *endpoint)
{
    char host[ENDPOINT_MAX];
    struct in6_addr v6;
    bool is_v6;

    if (!endpoint_split(endpoint, host, sizeof host, &is_v6))
        return false;
    if (is_v6)
        return inet_pton(AF_INET6, host, &v6) == 1;
    return strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789.-") == strlen(host);
}

bool endpoint_is_loopback(const char *endpoint)
{
    char host[ENDPOINT_MAX];
    uint8_t v4[4];
    bool is_v6;

    if (!endpoint_split(endpoint, host, sizeof host, &is_v6))
        return false;
    if (is_v6)
        return strcmp(host, "::1") == 0;
    /* A name such as 127.evil.example must not pass: all four numbers are parsed. */
    return strcmp(host, "localhost") == 0 ||
           (inet_pton(AF_INET, host, v4) == 1 && v4[0] == 127);
}

/* ---- shape ---- */

static int compare_keys(const void *a, const void *b)
{
    const uint8_t *const *ka = a, *const *kb = b;

    return memcmp(*ka, *kb, KEY_BYTES);
}

static int compare_words(const void *a, const void *b)
{
    const char *const *wa = a, *const *wb = b;

    return strcmp(*wa, *wb);
}

static bool keys_repeat(const uint8_t **keys, size_t n)
{
    if (n > 1)
        qsort(keys, n, sizeof *keys, compare_keys);
    for (size_t i = 1; i < n; i++)
        if (memcmp(keys[i - 1], keys[i], KEY_BYTES) == 0)
            return true;
    return false;
}

static bool is_among(const uint8_t **sorted, size_t n, ProtobufCBinaryData key)
{
    const uint8_t *p = key.data;

    return bsearch(&p, sorted, n, sizeof *sorted, compare_keys) != NULL;
}

static enum fault check_dates(struct cx *cx, const Cohortium__Manifest *b)
{
    if (b->issued_at == 0 || b->valid_until > INT64_MAX / 2 ||
        b->issued_at >= b->fresh_until || b->fresh_until > b->valid_until)
        return cx_fail(
            cx, FAULT_FORMAT,
            "its dates are not in order: expected issued_at before fresh_until, and "
            "fresh_until not after valid_until");
    return FAULT_NONE;
}

static enum fault check_governance(struct cx *cx, const Cohortium__Manifest *b)
{
    const Cohortium__Governance *g = b->governance;
    const uint8_t **keys;

    if (g == NULL || g->n_keys < 1 || g->n_keys > GOVERNANCE_MAX)
        return cx_fail(cx, FAULT_FORMAT, "it needs 1 to %d governance keys",
                       GOVERNANCE_MAX);
    CX_NEW(cx, keys, g->n_keys);
    for (size_t i = 0; i < g->n_keys; i++) {
        if (g->keys[i].len != KEY_BYTES)
            return cx_fail(cx, FAULT_FORMAT,
                           "governance key %zu has %zu bytes, expected 32", i + 1,
                           g->keys[i].len);
        keys[i] = g->keys[i].data;
    }
    if (keys_repeat(keys, g->n_keys))
        return cx_fail(cx, FAULT_FORMAT, "a governance key is listed twice");
    if (g->threshold < 1 || g->threshold > g->n_keys)
        return cx_fail(cx, FAULT_FORMAT, "a governance threshold of %u with %zu keys",
                       g->threshold, g->n_keys);
    /* Otherwise two groups could each sign a next version. */
    if (b->purpose == COHORTIUM__PURPOSE__PRODUCTION &&
        2 * (size_t)g->threshold <= g->n_keys)
        return cx_fail(
            cx, FAULT_FORMAT,
            "a governance threshold of %u of %zu keys: in production more than half "
            "of them must sign",
            g->threshold, g->n_keys);
    return FAULT_NONE;
}

static enum fault check_endpoints(struct cx *cx, const Cohortium__Member *m, bool lab)
{
    if (m->n_endpoints > ENDPOINTS_MAX)
        return cx_fail(cx, FAULT_FORMAT, "member %s lists %zu endpoints: at most %d",
                       m->name, m->n_endpoints, ENDPOINTS_MAX);
    if (m->n_endpoints == 0 && !m->outbound_only)
        return cx_fail(cx, FAULT_FORMAT,
                       "member %s has no endpoint: give it one, or mark it outbound_only",
                       m->name);
    for (size_t i = 0; i < m->n_endpoints; i++) {
        if (!endpoint_is_valid(m->endpoints[i]))
            return cx_fail(
                cx, FAULT_FORMAT,
                "member %s: \"%.80s\" is not an endpoint: expected tcp://host:port "
                "or ws://host:port",
                m->name, m->endpoints[i]);
        if (lab && !endpoint_is_loopback(m->endpoints[i]))
            return cx_fail(cx, FAULT_FORMAT,
                           "member %s: endpoint %.80s is not on loopback, and a lab lists "
                           "loopback endpoints only",
                           m->name, m->endpoints[i]);
    }
    return FAULT_NONE;
}

static enum fault check_officers(struct cx *cx, const Cohortium__Member *m)
{
    const uint8_t **keys;

    if (m->n_officers > OFFICERS_MAX)
        return cx_fail(cx, FAULT_FORMAT, "member %s has %zu officers: at most %d", m->name,
                       m->n_officers, OFFICERS_MAX);
    if (m->one_officer && m->n_officers != 1)
        return cx_fail(cx, FAULT_FORMAT, "member %s is marked one_officer but lists %zu",
                       m->name, m->n_officers);
    if (m->holds_data && m->n_officers == 0)
        return cx_fail(cx, FAULT_FORMAT,
                       "member %s holds data but has no officer to sign its policy",
                       m->name);
    CX_NEW(cx, keys, m->n_officers);
    for (size_t i = 0; i < m->n_officers; i++) {
        if (m->officers[i]->key.len != KEY_BYTES ||
            !line_is_valid(m->officers[i]->name, 1, TITLE_MAX))
            return cx_fail(cx, FAULT_FORMAT,
                           "member %s: officer %zu needs a name and a key of 32 bytes",
                           m->name, i + 1);
        keys[i] = m->officers[i]->key.data;
    }
    if (keys_repeat(keys, m->n_officers))
        return cx_fail(cx, FAULT_FORMAT, "member %s lists an officer's key twice", m->name);
    return FAULT_NONE;
}

static enum fault check_member(struct cx *cx, const Cohortium__Member *m, size_t at,
                               bool lab)
{
    uint8_t id[DIGEST_BYTES];

    if (!name_is_valid(m->name))
        return cx_fail(
            cx, FAULT_FORMAT,
            "member %zu has no proper name: expected a lower-case letter, then up "
            "to 31 letters, digits or _",
            at + 1);
    if (!line_is_valid(m->title, 0, TITLE_MAX) || !line_is_valid(m->software, 0, TITLE_MAX))
        return cx_fail(cx, FAULT_FORMAT,
                       "member %s: its title is one line of at most %d bytes", m->name,
                       TITLE_MAX);
    if (m->signing_key.len != KEY_BYTES || m->noise_key.len != KEY_BYTES ||
        m->node_id.len != DIGEST_BYTES)
        return cx_fail(cx, FAULT_FORMAT,
                       "member %s: node id, signing key and noise key have 32 bytes each",
                       m->name);
    digest_of(PB_BYTES(m->signing_key), id);
    if (memcmp(id, m->node_id.data, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_FORMAT,
                       "member %s: its node id is not the SHA-256 of its signing key",
                       m->name);
    TRY(check_endpoints(cx, m, lab));
    return check_officers(cx, m);
}

/* A node holds its key online: with it as officer's or governor's, whoever has the node
 * signs its policy, its permits or the manifest, and no person does. */
static enum fault check_roles(struct cx *cx, const Cohortium__Manifest *b)
{
    const Cohortium__Governance *g = b->governance;
    const uint8_t **nodes;

    CX_NEW(cx, nodes, b->n_members);
    for (size_t i = 0; i < b->n_members; i++)
        nodes[i] = b->members[i]->signing_key.data;
    if (b->n_members > 1)
        qsort(nodes, b->n_members, sizeof *nodes, compare_keys);
    for (size_t i = 0; i < b->n_members; i++)
        for (size_t j = 0; j < b->members[i]->n_officers; j++)
            if (is_among(nodes, b->n_members, b->members[i]->officers[j]->key))
                return cx_fail(cx, FAULT_FORMAT,
                               "member %s lists the key of a node as its officer's: each "
                               "officer needs a key of their own",
                               b->members[i]->name);
    for (size_t i = 0; i < g->n_keys; i++)
        if (is_among(nodes, b->n_members, g->keys[i]))
            return cx_fail(cx, FAULT_FORMAT,
                           "governance key %zu is the key of a node: governors need keys "
                           "of their own, kept offline",
                           i + 1);
    return FAULT_NONE;
}

/* What no two members may share. */
static enum fault check_unique(struct cx *cx, const Cohortium__Manifest *b)
{
    const uint8_t **keys;
    const char **names;
    size_t n_officers = 0, k = 0;

    CX_NEW(cx, names, b->n_members);
    CX_NEW(cx, keys, b->n_members);
    for (size_t i = 0; i < b->n_members; i++) {
        names[i] = b->members[i]->name;
        keys[i] = b->members[i]->noise_key.data;
        n_officers += b->members[i]->n_officers;
    }
    qsort(names, b->n_members, sizeof *names, compare_words);
    for (size_t i = 1; i < b->n_members; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return cx_fail(cx, FAULT_FORMAT, "two members are called %s", names[i]);
    if (keys_repeat(keys, b->n_members))
        return cx_fail(cx, FAULT_FORMAT, "two members have the same noise key");
    /* One person must not sign a permit for two institutions; in a lab one person is all.
     */
    if (b->purpose == COHORTIUM__PURPOSE__LAB)
        return FAULT_NONE;
    CX_NEW(cx, keys, n_officers);
    for (size_t i = 0; i < b->n_members; i++)
        for (size_t j = 0; j < b->members[i]->n_officers; j++)
            keys[k++] = b->members[i]->officers[j]->key.data;
    if (keys_repeat(keys, n_officers))
        return cx_fail(cx, FAULT_FORMAT, "two members list the same officer's key");
    return check_roles(cx, b);
}

static enum fault check_members(struct cx *cx, const Cohortium__Manifest *b)
{
    bool lab = b->purpose == COHORTIUM__PURPOSE__LAB;
    size_t with_officers = 0;

    if (b->n_members < 1 || b->n_members > MANIFEST_MEMBERS_MAX)
        return cx_fail(cx, FAULT_FORMAT, "it has %zu members: expected 1 to %d",
                       b->n_members, MANIFEST_MEMBERS_MAX);
    for (size_t i = 0; i < b->n_members; i++) {
        TRY(check_member(cx, b->members[i], i, lab));
        if (i > 0 && memcmp(b->members[i - 1]->node_id.data, b->members[i]->node_id.data,
                            DIGEST_BYTES) >= 0)
            return cx_fail(
                cx, FAULT_FORMAT,
                "its members are not sorted by node id, or one is listed twice (at "
                "%s)",
                b->members[i]->name);
        with_officers += b->members[i]->n_officers > 0;
    }
    if (b->permit_signatures > with_officers)
        return cx_fail(
            cx, FAULT_FORMAT,
            "a permit would need officers of %u members, and only %zu have officers",
            b->permit_signatures, with_officers);
    return check_unique(cx, b);
}

enum fault manifest_check_body(struct cx *cx, const Cohortium__Manifest *body)
{
    if (!line_is_valid(body->consortium_name, 1, TITLE_MAX))
        return cx_fail(cx, FAULT_FORMAT, "its consortium name is one line of 1 to %d bytes",
                       TITLE_MAX);
    if (body->version < 1 || body->version > MANIFEST_CHAIN_MAX)
        return cx_fail(cx, FAULT_FORMAT, "it has version %" PRIu64 ": expected 1 to %d",
                       body->version, MANIFEST_CHAIN_MAX);
    if (body->previous.len != (body->version == 1 ? 0 : DIGEST_BYTES))
        return cx_fail(
            cx, FAULT_FORMAT,
            "\"previous\" is empty in version 1 and a digest of 32 bytes in later "
            "ones");
    if (body->purpose != COHORTIUM__PURPOSE__PRODUCTION &&
        body->purpose != COHORTIUM__PURPOSE__LAB)
        return cx_fail(cx, FAULT_FORMAT, "its purpose is neither production nor lab");
    if (body->rows_log2 < 1 || body->rows_log2 > ROWS_LOG2_MAX)
        return cx_fail(cx, FAULT_FORMAT, "rows_log2 is %u: expected 1 to %d",
                       body->rows_log2, ROWS_LOG2_MAX);
    if (!line_is_valid(body->reason, 0, TITLE_MAX))
        return cx_fail(cx, FAULT_FORMAT, "its reason is one line of at most %d bytes",
                       TITLE_MAX);
    TRY(check_dates(cx, body));
    TRY(check_governance(cx, body));
    return check_members(cx, body);
}

/* ---- in use ---- */

enum fault manifest_is_current(struct cx *cx, const struct manifest *m, int64_t now)
{
    char then[32], here[32];

    (void)clock_format(now, here, sizeof here);
    if (now > (int64_t)m->body->valid_until) {
        (void)clock_format((int64_t)m->body->valid_until, then, sizeof then);
        return cx_fail(
            cx, FAULT_EXPIRED,
            "manifest version %" PRIu64
            " was valid until %s and it is %s here: bring the manifest up to date",
            m->body->version, then, here);
    }
    if ((int64_t)m->body->issued_at > now + CLOCK_SKEW_MS) {
        (void)clock_format((int64_t)m->body->issued_at, then, sizeof then);
        return cx_fail(cx, FAULT_EXPIRED,
                       "manifest version %" PRIu64
                       " was issued at %s and it is %s here: set this machine's clock",
                       m->body->version, then, here);
    }
    return FAULT_NONE;
}

const Cohortium__Member *manifest_find(const struct manifest *m, const uint8_t node_id[32])
{
    size_t low = 0, high = m->body->n_members;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = memcmp(m->body->members[mid]->node_id.data, node_id, DIGEST_BYTES);

        if (c == 0)
            return m->body->members[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const Cohortium__Member *manifest_find_name(const struct manifest *m, const char *name)
{
    for (size_t i = 0; i < m->body->n_members; i++)
        if (strcmp(m->body->members[i]->name, name) == 0)
            return m->body->members[i];
    return NULL;
}

const Cohortium__Member *manifest_find_noise(const struct manifest *m,
                                             const uint8_t key[32])
{
    for (size_t i = 0; i < m->body->n_members; i++)
        if (memcmp(m->body->members[i]->noise_key.data, key, KEY_BYTES) == 0)
            return m->body->members[i];
    return NULL;
}

bool manifest_is_lab(const struct manifest *m)
{
    return m->body->purpose == COHORTIUM__PURPOSE__LAB;
}

bool member_same(const Cohortium__Member *a, const Cohortium__Member *b)
{
    return a != NULL && b != NULL &&
           memcmp(a->node_id.data, b->node_id.data, DIGEST_BYTES) == 0;
}

const char *manifest_fingerprint(struct cx *cx, const uint8_t digest[32])
{
    const char *h = bytes_hex(cx, digest, 12);

    if (h == NULL)
        return "";
    const char *text = cx_printf(cx, "%.4s-%.4s-%.4s-%.4s-%.4s-%.4s", h, h + 4, h + 8,
                                 h + 12, h + 16, h + 20);
    return text != NULL ? text : "";
}

/* lab_papers.c - a lab's keys, cards and manifest. */
#include <stdlib.h>
#include <string.h>

#include "node/cli/lab.h"
#include "protocol/base/clock.h"
#include "protocol/files.h"
#include "protocol/manifest.h"

enum { GOVERNORS = 3, THRESHOLD = 2, ROWS_LOG2 = 34 };
#define DAY_MS (24 * 3600 * 1000ULL)

static enum fault new_key(struct cx *cx, const char *use, const char *name,
                          const char *path)
{
    AUTO_KEYS struct keys *keys = NULL;

    TRY(keys_new(cx, use, name, &keys));
    return keys_write(cx, keys, NULL, path);
}

enum fault lab_keys(struct lab *lab)
{
    struct cx *cx = lab->cx;

    for (int i = 1; i <= GOVERNORS; i++) {
        const char *name = cx_printf(cx, "governance%d", i);
        const char *path = cx_printf(cx, "%s/keys/governance%d.key", lab->folder, i);

        if (name == NULL || path == NULL)
            return FAULT_MEMORY;
        TRY(new_key(cx, "governance", name, path));
    }
    for (size_t i = 0; i < lab->n; i++)
        TRY(new_key(cx, "officer", lab->nodes[i].name, lab->nodes[i].officer));
    return FAULT_NONE;
}

enum fault node_keys(struct cx *cx, const struct lab_node *node, uint8_t signing[32],
                     uint8_t noise[32])
{
    const char *a = cx_printf(cx, "%s/keys/signing.key", node->folder);
    const char *b = cx_printf(cx, "%s/keys/noise.key", node->folder);
    Cohortium__KeyFile *sign, *link;

    if (a == NULL || b == NULL)
        return FAULT_MEMORY;
    TRY(key_file_public(cx, a, &sign));
    TRY(key_file_public(cx, b, &link));
    if (sign->public_key.len != KEY_BYTES || link->noise_public_key.len != KEY_BYTES)
        return cx_fail(cx, FAULT_FORMAT, "%s: its keys have wrong lengths", node->folder);
    memcpy(signing, sign->public_key.data, KEY_BYTES);
    memcpy(noise, link->noise_public_key.data, KEY_BYTES);
    return FAULT_NONE;
}

/* ---- the manifest ---- */

static ProtobufCBinaryData copy(struct cx *cx, const void *p, size_t n)
{
    return (ProtobufCBinaryData){.len = n, .data = cx_memdup(cx, p, n)};
}

static enum fault make_officer(struct lab *lab, const struct lab_node *node,
                               Cohortium__Member *m)
{
    struct cx *cx = lab->cx;
    Cohortium__KeyFile *key;

    TRY(key_file_public(cx, node->officer, &key));
    CX_NEW(cx, m->officers, 1);
    CX_NEW(cx, m->officers[0], 1);
    cohortium__officer__init(m->officers[0]);
    m->officers[0]->name = cx_printf(cx, "officer of %s", node->name);
    m->officers[0]->key = key->public_key;
    m->n_officers = 1;
    m->one_officer = true;
    return m->officers[0]->name == NULL ? FAULT_MEMORY : FAULT_NONE;
}

static enum fault make_member(struct lab *lab, size_t i, Cohortium__Member **ret)
{
    struct cx *cx = lab->cx;
    const struct lab_node *node = &lab->nodes[i];
    uint8_t signing[KEY_BYTES], noise[KEY_BYTES], id[DIGEST_BYTES];
    Cohortium__Member *m;

    TRY(node_keys(cx, node, signing, noise));
    digest_of(bytes_of(signing, sizeof signing), id);
    CX_NEW(cx, m, 1);
    cohortium__member__init(m);
    m->node_id = copy(cx, id, sizeof id);
    m->signing_key = copy(cx, signing, sizeof signing);
    m->noise_key = copy(cx, noise, sizeof noise);
    m->name = (char *)node->name;
    m->title = i < 26 ? cx_printf(cx, "Hospital %c", (char)('A' + i))
                      : cx_printf(cx, "Site %zu", i + 1);
    CX_NEW(cx, m->endpoints, 1);
    m->endpoints[0] = (char *)node->endpoint;
    m->n_endpoints = 1;
    m->holds_data = true;
    m->issues_researchers = true;
    m->software = (char *)"cohortium " COHORTIUM_VERSION;
    TRY(make_officer(lab, node, m));
    if (m->node_id.data == NULL || m->signing_key.data == NULL ||
        m->noise_key.data == NULL || m->title == NULL)
        return FAULT_MEMORY;
    *ret = m;
    return FAULT_NONE;
}

static int compare_members(const void *a, const void *b)
{
    const Cohortium__Member *const *ma = a, *const *mb = b;

    return memcmp((*ma)->node_id.data, (*mb)->node_id.data, DIGEST_BYTES);
}

static enum fault open_governor(struct lab *lab, int i, struct keys **ret)
{
    const char *path = cx_printf(lab->cx, "%s/keys/governance%d.key", lab->folder, i);

    if (path == NULL)
        return FAULT_MEMORY;
    return keys_read(lab->cx, path, "governance", NULL, ret);
}

static enum fault make_governance(struct lab *lab, Cohortium__Governance **ret)
{
    struct cx *cx = lab->cx;
    Cohortium__Governance *g;

    CX_NEW(cx, g, 1);
    cohortium__governance__init(g);
    g->n_keys = GOVERNORS;
    g->threshold = THRESHOLD;
    CX_NEW(cx, g->keys, GOVERNORS);
    for (int i = 0; i < GOVERNORS; i++) {
        AUTO_KEYS struct keys *keys = NULL;

        TRY(open_governor(lab, i + 1, &keys));
        g->keys[i] = copy(cx, keys_signing_public(keys), KEY_BYTES);
        if (g->keys[i].data == NULL)
            return FAULT_MEMORY;
    }
    *ret = g;
    return FAULT_NONE;
}

static enum fault sign_manifest(struct lab *lab, const Cohortium__Manifest *body,
                                struct bytes *ret)
{
    AUTO_KEYS struct keys *first = NULL;
    AUTO_KEYS struct keys *second = NULL;

    TRY(open_governor(lab, 1, &first));
    TRY(open_governor(lab, 2, &second));
    TRY(envelope_seal(lab->cx, ENVELOPE_MANIFEST, &body->base, first, ret));
    return envelope_cosign(lab->cx, ENVELOPE_MANIFEST, *ret, second, ret);
}

enum fault lab_manifest(struct lab *lab, uint8_t ret_genesis[32])
{
    struct cx *cx = lab->cx;
    Cohortium__Manifest body = COHORTIUM__MANIFEST__INIT;
    uint64_t now = (uint64_t)clock_utc_ms();
    const char *path = cx_printf(cx, "%s/papers/manifest", lab->folder);
    struct envelope e;
    struct bytes packed;

    body.consortium_name = cx_printf(cx, "lab %s", lab->name);
    if (path == NULL || body.consortium_name == NULL)
        return FAULT_MEMORY;
    body.version = 1;
    body.purpose = COHORTIUM__PURPOSE__LAB;
    /* A little back, for tests that set the clock by seconds. */
    body.issued_at = now - 1000;
    body.fresh_until = now + 90 * DAY_MS;
    body.valid_until = now + 365 * DAY_MS;
    body.rows_log2 = ROWS_LOG2;
    body.permit_signatures = 1;
    TRY(make_governance(lab, &body.governance));
    body.n_members = lab->n;
    CX_NEW(cx, body.members, lab->n);
    for (size_t i = 0; i < lab->n; i++)
        TRY(make_member(lab, i, &body.members[i]));
    qsort(body.members, body.n_members, sizeof(*body.members), compare_members);
    TRY(manifest_check_body(cx, &body));
    TRY(sign_manifest(lab, &body, &packed));
    TRY(envelope_open(cx, ENVELOPE_MANIFEST, packed, &e));
    memcpy(ret_genesis, e.digest, DIGEST_BYTES);
    return file_write(cx, "manifest", path, packed, 0644, FILE_NEW);
}

/* ---- the researcher ---- */

enum fault lab_researcher(struct lab *lab, const char *profile_folder)
{
    struct cx *cx = lab->cx;
    const char *key = cx_printf(cx, "%s/researcher.key", profile_folder);
    const char *path = cx_printf(cx, "%s/papers/researcher.card", lab->folder);
    AUTO_KEYS struct keys *keys = NULL;
    Cohortium__Card card = COHORTIUM__CARD__INIT;
    struct bytes packed, text;

    if (key == NULL || path == NULL)
        return FAULT_MEMORY;
    TRY(folder_make(cx, profile_folder));
    TRY(keys_new(cx, "researcher", "lab_researcher", &keys));
    TRY(keys_write(cx, keys, NULL, key));
    card.name = (char *)keys_name(keys);
    card.use = (char *)keys_use(keys);
    card.signing_key = PB_DATA(bytes_of(keys_signing_public(keys), KEY_BYTES));
    card.noise_key = PB_DATA(bytes_of(keys_link_public(keys), KEY_BYTES));
    TRY(pb_pack(cx, &card.base, &packed));
    TRY(armor(cx, card_line, packed, &text));
    return file_write(cx, "card", path, text, 0644, FILE_NEW);
}

/* consortium.c - member cards, and the genesis manifest made of them. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/admin/command.h"
#include "node/folder.h"
#include "protocol/base/clock.h"
#include "protocol/files.h"

enum { MEMBER_MAX = 64 * 1024, DAYS_MAX = 3650, ROWS_LOG2 = 40 };
static const char member_line[] = "cohortium member 1\n";
static const int64_t DAY_MS = 24 * 3600 * 1000;

static enum fault read_key_file(struct invocation *in, const char *name,
                                Cohortium__KeyFile **ret)
{
    struct bytes packed;

    TRY(file_read(in->cx, "key file", cx_printf(in->cx, "%s/keys/%s", in->folder, name),
                  MEMBER_MAX, true, &packed));
    return pb_unpack(in->cx, &cohortium__key_file__descriptor, packed, MEMBER_MAX, ret);
}

static enum fault put_officers(struct invocation *in, Cohortium__Member *m)
{
    const char *path;
    size_t n = 0;

    while (option_nth(in, "officer", n) != NULL)
        n++;
    if (n == 0)
        return cx_fail(in->cx, FAULT_USAGE,
                       "expected --officer CARD: an institution that holds data has an officer "
                       "(`cohortium key new --use officer`)");
    CX_NEW(in->cx, m->officers, n);
    for (size_t i = 0; (path = option_nth(in, "officer", i)) != NULL; i++) {
        Cohortium__Card *card;
        Cohortium__Officer *officer;

        TRY(read_card(in, path, &card));
        if (strcmp(card->use, "officer") != 0)
            return cx_fail(in->cx, FAULT_USAGE, "%s is the card of a %s, expected an officer",
                           path, card->use);
        CX_NEW(in->cx, officer, 1);
        *officer = (Cohortium__Officer)COHORTIUM__OFFICER__INIT;
        officer->name = card->name;
        officer->key = card->signing_key;
        m->officers[m->n_officers++] = officer;
    }
    m->one_officer = m->n_officers == 1;
    return FAULT_NONE;
}

enum fault admin_card(struct invocation *in)
{
    Cohortium__Member m = COHORTIUM__MEMBER__INIT;
    Cohortium__KeyFile *signing, *noise;
    struct node_settings settings;
    struct buffer out = buffer_new(in->cx, 2 * MEMBER_MAX);
    uint8_t id[32];
    struct bytes packed;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(folder_settings(in->cx, in->folder, &settings));
    TRY(read_key_file(in, "signing.key", &signing));
    TRY(read_key_file(in, "noise.key", &noise));
    digest_of(PB_BYTES(signing->public_key), id);
    m.node_id = PB_DATA(bytes_of(id, sizeof id));
    m.name = (char *)settings.name;
    m.title = (char *)(option(in, "title") != NULL ? option(in, "title") : settings.name);
    m.signing_key = signing->public_key;
    m.noise_key = noise->noise_public_key;
    m.outbound_only = has_option(in, "outbound-only");
    const char *endpoint = option(in, "endpoint");
    if (endpoint == NULL && !m.outbound_only)
        return cx_fail(in->cx, FAULT_USAGE,
                       "expected --endpoint tcp://HOST:PORT where the others reach this node, or "
                       "--outbound-only");
    char *endpoints[] = {(char *)endpoint};
    m.n_endpoints = endpoint != NULL;
    m.endpoints = endpoints;
    m.holds_data = m.issues_researchers = true;
    TRY(put_officers(in, &m));
    m.software = (char *)COHORTIUM_VERSION;
    TRY(pb_pack(in->cx, &m.base, &packed));
    size_t size = sodium_base64_ENCODED_LEN(packed.n, sodium_base64_VARIANT_ORIGINAL);
    char *text;
    CX_NEW(in->cx, text, size);
    (void)sodium_bin2base64(text, size, packed.p, packed.n, sodium_base64_VARIANT_ORIGINAL);
    buffer_printf(&out, "%s%s\n", member_line, text);
    TRY(out.fault);
    return write_document(in, bytes_of(out.p, out.n));
}

static enum fault read_member(struct invocation *in, const char *path,
                              Cohortium__Member **ret)
{
    struct bytes text;
    uint8_t *packed;
    size_t n, head = sizeof member_line - 1;

    TRY(read_document(in, path, &text));
    CX_NEW(in->cx, packed, text.n);
    if (text.n <= head || memcmp(text.p, member_line, head) != 0 ||
        sodium_base642bin(packed, text.n, (const char *)text.p + head, text.n - head, " \n\r",
                          &n, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return cx_fail(in->cx, FAULT_FORMAT,
                       "%s is no member card; expected what `cohortiumd consortium card` writes",
                       path);
    return pb_unpack(in->cx, &cohortium__member__descriptor, bytes_of(packed, n), MEMBER_MAX,
                     ret);
}

static int by_id(const void *a, const void *b)
{
    const Cohortium__Member *const *x = a, *const *y = b;

    return bytes_compare(PB_BYTES((*x)->node_id), PB_BYTES((*y)->node_id));
}

static enum fault put_governance(struct invocation *in, Cohortium__Governance *g)
{
    const char *path;
    long threshold;
    size_t n = 0;

    while (option_nth(in, "governance", n) != NULL)
        n++;
    if (n == 0)
        return cx_fail(in->cx, FAULT_USAGE,
                       "expected --governance CARD, one a founder (`cohortium key new --use "
                       "governance`)");
    CX_NEW(in->cx, g->keys, n);
    for (size_t i = 0; (path = option_nth(in, "governance", i)) != NULL; i++) {
        Cohortium__Card *card;

        TRY(read_card(in, path, &card));
        if (strcmp(card->use, "governance") != 0)
            return cx_fail(in->cx, FAULT_USAGE, "%s is the card of a %s, expected governance",
                           path, card->use);
        g->keys[g->n_keys++] = card->signing_key;
    }
    TRY(whole_option(in, "threshold", 1, (long)n, (long)n / 2 + 1, &threshold));
    g->threshold = (uint32_t)threshold;
    return FAULT_NONE;
}

/* A manifest waits for its signatures as an envelope without any. */
enum fault admin_create(struct invocation *in)
{
    Cohortium__Manifest m = COHORTIUM__MANIFEST__INIT;
    Cohortium__Governance g = COHORTIUM__GOVERNANCE__INIT;
    Cohortium__Envelope e = COHORTIUM__ENVELOPE__INIT;
    const char *name;
    long days, signatures;
    struct bytes body, packed;
    uint8_t digest[32];

    TRY(need_words(in, 1, COUNT(in->words), "the member cards"));
    TRY(need_option(in, "name", "NAME", &name));
    TRY(put_governance(in, &g));
    TRY(whole_option(in, "days", 1, DAYS_MAX, 365, &days));
    TRY(whole_option(in, "permit-signatures", 1, (long)in->n_words, 1, &signatures));
    CX_NEW(in->cx, m.members, in->n_words);
    for (size_t i = 0; i < in->n_words; i++)
        TRY(read_member(in, in->words[i], &m.members[m.n_members++]));
    qsort(m.members, m.n_members, sizeof *m.members, by_id);
    m.consortium_name = (char *)name;
    m.version = 1;
    m.purpose = has_option(in, "lab") ? COHORTIUM__PURPOSE__LAB : COHORTIUM__PURPOSE__PRODUCTION;
    m.issued_at = (uint64_t)clock_utc_ms();
    m.valid_until = m.issued_at + (uint64_t)(days * DAY_MS);
    m.fresh_until = m.issued_at + (uint64_t)(days * DAY_MS * 3 / 4);
    m.governance = &g;
    m.permit_signatures = (uint32_t)signatures;
    m.rows_log2 = ROWS_LOG2;
    TRY(manifest_check_body(in->cx, &m));
    TRY(pb_pack(in->cx, &m.base, &body));
    e.type = (char *)envelope_type(ENVELOPE_MANIFEST);
    e.body = PB_DATA(body);
    TRY(pb_pack(in->cx, &e.base, &packed));
    TRY(write_document(in, packed));
    digest_of(body, digest);
    (void)printf("genesis %s\n%u of the %zu governance keys must sign it: cohortiumd consortium "
                 "sign --key KEY %s\n",
                 bytes_hex(in->cx, digest, sizeof digest), g.threshold, g.n_keys,
                 option(in, "out"));
    return FAULT_NONE;
}

enum fault admin_sign_manifest(struct invocation *in)
{
    AUTO_KEYS struct keys *keys = NULL;
    const char *key;
    struct bytes packed, out;

    TRY(need_words(in, 1, 1, "the manifest to sign"));
    TRY(need_option(in, "key", "KEY", &key));
    TRY(read_document(in, in->words[0], &packed));
    TRY(read_signing_key(in, key, "governance", &keys));
    TRY(envelope_cosign(in->cx, ENVELOPE_MANIFEST, packed, keys, &out));
    TRY(file_write(in->cx, "manifest", in->words[0], out, 0644, FILE_REPLACE));
    (void)printf("%s is signed by %s\n", in->words[0], keys_name(keys));
    return FAULT_NONE;
}

enum fault admin_adopt(struct invocation *in)
{
    const char *hex;
    uint8_t genesis[32];
    struct bytes packed;

    TRY(need_words(in, 1, 1, "the manifest to adopt"));
    TRY(need_option(in, "genesis", "DIGEST", &hex));
    TRY(bytes_from_hex(in->cx, hex, genesis, sizeof genesis));
    TRY(read_document(in, in->words[0], &packed));
    TRY(folder_adopt(in->cx, in->folder, packed, genesis));
    (void)printf("this node belongs to the consortium now; start it with `cohortiumd serve --dir "
                 "%s`\n",
                 in->folder);
    return FAULT_NONE;
}

enum fault admin_show_manifest(struct invocation *in)
{
    struct manifest *m;
    char until[32];

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(read_manifest(in, &m));
    (void)printf("consortium %s (%s), manifest version %llu, valid until %s\ngenesis %s\n",
                 m->body->consortium_name, manifest_is_lab(m) ? "a lab" : "production",
                 (unsigned long long)m->body->version,
                 clock_format((int64_t)m->body->valid_until, until, sizeof until),
                 bytes_hex(in->cx, m->consortium, sizeof m->consortium));
    for (size_t i = 0; i < m->body->n_members; i++) {
        const Cohortium__Member *x = m->body->members[i];

        (void)printf("  %-20s %s  %s\n", x->name, bytes_hex(in->cx, x->node_id.data, 8),
                     x->n_endpoints > 0 ? x->endpoints[0] : "outbound only");
        for (size_t k = 0; k < x->n_officers; k++)
            (void)printf("    officer %s\n", x->officers[k]->name);
    }
    return FAULT_NONE;
}

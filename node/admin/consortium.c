/* consortium.c - member cards, and the genesis manifest made of them. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/admin/consortium.h"
#include "node/folder.h"
#include "protocol/base/clock.h"
#include "protocol/files.h"

enum { MEMBER_MAX = 64 * 1024, DAYS_MAX = 3650, ROWS_LOG2 = 40, ENDPOINTS_MAX = 8 };
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
        return cx_fail(
            in->cx, FAULT_USAGE,
            "expected --officer CARD: an institution that holds data has an officer "
            "(`cohortium key new --use officer`)");
    CX_NEW(in->cx, m->officers, n);
    for (size_t i = 0; (path = option_nth(in, "officer", i)) != NULL; i++) {
        Cohortium__Card *card;
        Cohortium__Officer *officer;

        TRY(read_card(in, path, &card));
        if (strcmp(card->use, "officer") != 0)
            return cx_fail(in->cx, FAULT_USAGE,
                           "%s is the card of use %s; expected an officer's", path,
                           card->use);
        CX_NEW(in->cx, officer, 1);
        *officer = (Cohortium__Officer)COHORTIUM__OFFICER__INIT;
        officer->name = card->name;
        officer->key = card->signing_key;
        m->officers[m->n_officers++] = officer;
    }
    m->one_officer = m->n_officers == 1;
    return FAULT_NONE;
}

/* In the order in which the others are to try them. */
static enum fault put_endpoints(struct invocation *in, Cohortium__Member *m)
{
    const char *text;
    size_t n = 0;

    while (option_nth(in, "endpoint", n) != NULL)
        n++;
    if (n == 0 && !m->outbound_only)
        return cx_fail(
            in->cx, FAULT_USAGE,
            "expected --endpoint tcp://HOST:PORT where the others reach this node, or "
            "--outbound-only");
    if (n > ENDPOINTS_MAX)
        return cx_fail(in->cx, FAULT_USAGE,
                       "%zu times --endpoint: at most %d are tried, in their order", n,
                       ENDPOINTS_MAX);
    CX_NEW(in->cx, m->endpoints, n + 1);
    for (size_t i = 0; (text = option_nth(in, "endpoint", i)) != NULL; i++) {
        TRY(endpoint_check(in->cx, "--endpoint", text));
        for (size_t k = 0; k < i; k++)
            if (strcmp(m->endpoints[k], text) == 0)
                return cx_fail(in->cx, FAULT_USAGE, "--endpoint %.100s is given twice",
                               text);
        m->endpoints[m->n_endpoints++] = (char *)text;
    }
    return FAULT_NONE;
}

/* "tcp://a:1, then ws://b:2"; NULL without memory. */
static const char *endpoints_text(struct cx *cx, const Cohortium__Member *m)
{
    const char *text = "";

    for (size_t i = 0; text != NULL && i < m->n_endpoints; i++)
        text = cx_printf(cx, "%s%s%s", text, i > 0 ? ", then " : "", m->endpoints[i]);
    return text;
}

/* The key of a card that was not used yet serves again. Sealed as the one in use is. */
static enum fault make_link_key(struct invocation *in, const char *name)
{
    AUTO_KEYS struct keys *keys = NULL, *now = NULL;
    const char *path = cx_printf(in->cx, "%s/keys/" LINK_KEY_NEXT, in->folder);
    const char *old = cx_printf(in->cx, "%s/keys/noise.key", in->folder);
    char *secret = NULL;

    if (path == NULL || old == NULL)
        return FAULT_MEMORY;
    if (access(path, F_OK) == 0)
        return FAULT_NONE;
    enum fault fault =
        keys_read(in->cx, old, "node_noise", NULL, &now); /* a lab's has none */
    if (fault == FAULT_DENIED) {
        TRY(read_secret(in, "this node", false, &secret));
        fault = keys_read(in->cx, old, "node_noise", secret, &now);
    }
    if (fault == FAULT_NONE)
        fault = keys_new(in->cx, "node_noise", name, &keys);
    if (fault == FAULT_NONE)
        fault = keys_write(in->cx, keys, secret, path);
    sodium_free(secret);
    return fault;
}

enum fault admin_card(struct invocation *in)
{
    Cohortium__Member m = COHORTIUM__MEMBER__INIT;
    Cohortium__KeyFile *signing, *noise;
    struct node_settings settings;
    struct buffer out = buffer_new(in->cx, 2 * MEMBER_MAX);
    const char *path;
    uint8_t id[32];
    struct bytes packed;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(folder_settings(in->cx, in->folder, &settings));
    TRY(need_option(in, "out", "FILE", &path));
    TRY(read_key_file(in, "signing.key", &signing));
    if (has_option(in, "new-link-key"))
        TRY(make_link_key(in, settings.name));
    TRY(read_key_file(in, has_option(in, "new-link-key") ? LINK_KEY_NEXT : "noise.key",
                      &noise));
    digest_of(PB_BYTES(signing->public_key), id);
    m.node_id = PB_DATA(bytes_of(id, sizeof id));
    m.name = (char *)settings.name;
    m.title = (char *)(option(in, "title") != NULL ? option(in, "title") : settings.name);
    m.signing_key = signing->public_key;
    m.noise_key = noise->noise_public_key;
    m.outbound_only = has_option(in, "outbound-only");
    TRY(put_endpoints(in, &m));
    const char *places = endpoints_text(in->cx, &m);
    if (places == NULL)
        return FAULT_MEMORY;
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
    TRY(write_document(in, bytes_of(out.p, out.n)));
    (void)printf(
        "%s is %s's member card, reached at %s\nnext: give it to the founders, who make "
        "one manifest of all cards: cohortiumd consortium create\n",
        path, m.name, m.n_endpoints > 0 ? places : "no address (it dials the others)");
    return FAULT_NONE;
}

enum fault member_read(struct invocation *in, const char *path, Cohortium__Member **ret)
{
    struct bytes text;
    uint8_t *packed;
    size_t n, head = sizeof member_line - 1;

    TRY(read_document(in, path, &text));
    CX_NEW(in->cx, packed, text.n);
    if (text.n <= head || memcmp(text.p, member_line, head) != 0 ||
        sodium_base642bin(packed, text.n, (const char *)text.p + head, text.n - head,
                          " \n\r", &n, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return cx_fail(
            in->cx, FAULT_FORMAT,
            "%s is no member card; expected what `cohortiumd consortium card` writes",
            path);
    return pb_unpack(in->cx, &cohortium__member__descriptor, bytes_of(packed, n),
                     MEMBER_MAX, ret);
}

int member_by_id(const void *a, const void *b)
{
    const Cohortium__Member *const *x = a, *const *y = b;

    return bytes_compare(PB_BYTES((*x)->node_id), PB_BYTES((*y)->node_id));
}

enum fault governor_read(struct invocation *in, const char *path, Cohortium__Card **ret)
{
    TRY(read_card(in, path, ret));
    if (strcmp((*ret)->use, "governance") != 0)
        return cx_fail(in->cx, FAULT_USAGE,
                       "%s is the card of use %s; expected a governance card", path,
                       (*ret)->use);
    return FAULT_NONE;
}

static enum fault put_governance(struct invocation *in, Cohortium__Governance *g)
{
    const char *path;
    long threshold;
    size_t n = 0;

    while (option_nth(in, "governance", n) != NULL)
        n++;
    if (n == 0)
        return cx_fail(
            in->cx, FAULT_USAGE,
            "expected --governance CARD, one a founder (`cohortium key new --use "
            "governance`)");
    CX_NEW(in->cx, g->keys, n);
    for (size_t i = 0; (path = option_nth(in, "governance", i)) != NULL; i++) {
        Cohortium__Card *card;

        TRY(governor_read(in, path, &card));
        g->keys[g->n_keys++] = card->signing_key;
    }
    TRY(whole_option(in, "threshold", 1, (long)n, (long)n / 2 + 1, &threshold));
    g->threshold = (uint32_t)threshold;
    return FAULT_NONE;
}

/* A manifest waits for its signatures as an envelope without any. */
enum fault manifest_write(struct invocation *in, const Cohortium__Manifest *m,
                          uint8_t ret_digest[32])
{
    Cohortium__Envelope e = COHORTIUM__ENVELOPE__INIT;
    struct bytes body, packed;

    TRY(manifest_check_body(in->cx, m));
    TRY(pb_pack(in->cx, &m->base, &body));
    e.type = (char *)envelope_type(ENVELOPE_MANIFEST);
    e.body = PB_DATA(body);
    TRY(pb_pack(in->cx, &e.base, &packed));
    TRY(write_document(in, packed));
    digest_of(body, ret_digest);
    return FAULT_NONE;
}

enum fault admin_create(struct invocation *in)
{
    Cohortium__Manifest m = COHORTIUM__MANIFEST__INIT;
    Cohortium__Governance g = COHORTIUM__GOVERNANCE__INIT;
    const char *name;
    long days, signatures;
    uint8_t digest[32];

    TRY(need_words(in, 1, COUNT(in->words), "the member cards"));
    TRY(need_option(in, "name", "NAME", &name));
    TRY(put_governance(in, &g));
    TRY(whole_option(in, "days", 1, DAYS_MAX, 365, &days));
    TRY(whole_option(in, "permit-signatures", 1, (long)in->n_words, 1, &signatures));
    CX_NEW(in->cx, m.members, in->n_words);
    for (size_t i = 0; i < in->n_words; i++)
        TRY(member_read(in, in->words[i], &m.members[m.n_members++]));
    qsort(m.members, m.n_members, sizeof *m.members, member_by_id);
    m.consortium_name = (char *)name;
    m.version = 1;
    m.purpose =
        has_option(in, "lab") ? COHORTIUM__PURPOSE__LAB : COHORTIUM__PURPOSE__PRODUCTION;
    m.issued_at = (uint64_t)clock_utc_ms();
    m.valid_until = m.issued_at + (uint64_t)(days * DAY_MS);
    m.fresh_until = m.issued_at + (uint64_t)(days * DAY_MS * 3 / 4);
    m.governance = &g;
    m.permit_signatures = (uint32_t)signatures;
    m.rows_log2 = ROWS_LOG2;
    TRY(manifest_write(in, &m, digest));
    (void)printf(
        "genesis %s\n%s: %zu members, %s\n%u of the %zu governance keys must sign it: "
        "cohortiumd consortium sign --key KEY %s\ntell every member the genesis digest "
        "by another way than the file\n",
        bytes_hex(in->cx, digest, sizeof digest), option(in, "out"), m.n_members,
        has_option(in, "lab") ? "a lab" : "production", g.threshold, g.n_keys,
        option(in, "out"));
    return FAULT_NONE;
}

enum fault manifest_open_claimed(struct invocation *in, const char *path,
                                 struct bytes packed, struct envelope *ret,
                                 Cohortium__Manifest **ret_body)
{
    TRY(document_check(in->cx, ENVELOPE_MANIFEST, packed, path, "manifest",
                       "consortium create", ret));
    TRY(pb_unpack(in->cx, &cohortium__manifest__descriptor, ret->body,
                  envelope_bound(ENVELOPE_MANIFEST), ret_body));
    return manifest_check_body(in->cx, *ret_body);
}

enum fault manifest_before(struct invocation *in, const Cohortium__Manifest *next,
                           struct manifest **ret)
{
    struct manifest *m, *before;
    enum fault fault = read_manifest(in, &m);

    *ret = NULL;
    if (fault != FAULT_NONE && option(in, "manifest") == NULL)
        return FAULT_NONE; /* governors sign where no node is */
    TRY(fault);
    if (next->version < 2 || next->version > m->n_chain + 1)
        return next->version == 1
                   ? FAULT_NONE
                   : cx_fail(in->cx, FAULT_CONFLICT,
                             "it is version %" PRIu64 ", and version %zu is the newest at "
                             "hand: expected the version after it",
                             next->version, m->n_chain);
    TRY(manifest_load(in->cx, m->chain, (size_t)next->version - 1, m->consortium, &before));
    if (memcmp(before->digest, next->previous.data, DIGEST_BYTES) != 0)
        return cx_fail(in->cx, FAULT_CONFLICT,
                       "it was not made from the version %" PRIu64 " at hand: make it anew "
                       "from the manifest in force",
                       next->version - 1);
    *ret = before;
    return FAULT_NONE;
}

static bool governs(const Cohortium__Governance *g, const uint8_t key[32])
{
    for (size_t i = 0; i < g->n_keys; i++)
        if (memcmp(g->keys[i].data, key, KEY_BYTES) == 0)
            return true;
    return false;
}

static size_t count_signed(const struct envelope *e, const Cohortium__Governance *g)
{
    size_t n = 0;

    for (size_t i = 0; i < g->n_keys; i++)
        n += envelope_is_signed_by(e, g->keys[i].data);
    return n;
}

/* Signatures that are missing; *ret_n: that are there. */
static size_t missing(const struct envelope *e, const Cohortium__Governance *g,
                      size_t *ret_n)
{
    *ret_n = count_signed(e, g);
    return *ret_n < g->threshold ? g->threshold - *ret_n : 0;
}

/* before: what it follows, NULL where that is not at hand. */
static void tell_signed(struct invocation *in, const char *path, const struct envelope *e,
                        const Cohortium__Manifest *m, const struct manifest *before)
{
    size_t n, old = 0, more = missing(e, m->governance, &n), more_old = 0;

    (void)printf("%zu of its %zu governance keys have signed", n, m->governance->n_keys);
    if (before != NULL) {
        more_old = missing(e, before->body->governance, &old);
        (void)printf(", and %zu of the %zu of version %" PRIu64, old,
                     before->body->governance->n_keys, before->body->version);
    }
    if (more > 0)
        (void)printf("; %zu more must before anybody can adopt it\n", more);
    else if (more_old > 0)
        (void)printf("; %zu more of version %" PRIu64 " must before anybody can adopt it\n",
                     more_old, before->body->version);
    else if (m->version == 1)
        (void)printf(", which is enough\nnext, at every member: cohortiumd consortium join "
                     "--dir FOLDER --genesis %s %s\n",
                     bytes_hex(in->cx, e->digest, DIGEST_BYTES), path);
    else if (before == NULL)
        (void)printf(", which is enough of them; whether enough of the version before have "
                     "can be told with --dir FOLDER or --manifest FILE\n");
    else
        (void)printf(
            ", which is enough\nnext, at one member: cohortiumd consortium publish "
            "--dir FOLDER %s\n",
            path);
}

enum fault admin_sign_manifest(struct invocation *in)
{
    AUTO_KEYS struct keys *keys = NULL;
    const char *key, *path = in->words[0];
    struct manifest *before;
    Cohortium__Manifest *m;
    struct bytes packed, out;
    struct envelope e;

    TRY(need_words(in, 1, 1, "the manifest to sign"));
    TRY(need_option(in, "key", "KEY", &key));
    TRY(read_document(in, path, &packed));
    TRY(manifest_open_claimed(in, path, packed, &e, &m));
    if (manifest_before(in, m, &before) != FAULT_NONE)
        return cx_prefix(in->cx, "%s: ", path);
    TRY(read_signing_key(in, key, "governance", &keys));
    const uint8_t *own = keys_signing_public(keys);
    if (!governs(m->governance, own) &&
        (before == NULL || !governs(before->body->governance, own)))
        return cx_fail(in->cx, FAULT_DENIED,
                       "%s: the key of %s is none of this manifest's governance keys%s",
                       key, keys_name(keys),
                       m->version > 1 && before == NULL
                           ? "; if it is one of the version before, give --dir FOLDER or "
                             "--manifest FILE with that version"
                           : "");
    TRY(envelope_cosign(in->cx, ENVELOPE_MANIFEST, packed, keys, &out));
    TRY(file_write(in->cx, "manifest", path, out, 0644, FILE_REPLACE));
    TRY(manifest_open_claimed(in, path, out, &e, &m));
    (void)printf("%s is signed by %s: ", path, keys_name(keys));
    tell_signed(in, path, &e, m, before);
    return FAULT_NONE;
}

static void show_body(struct invocation *in, const Cohortium__Manifest *m, const char *what,
                      const uint8_t genesis[32])
{
    char until[32];

    (void)printf("consortium %s (%s), manifest version %llu, valid until %s\n%s %s\n",
                 m->consortium_name,
                 m->purpose == COHORTIUM__PURPOSE__LAB ? "a lab" : "production",
                 (unsigned long long)m->version,
                 clock_format((int64_t)m->valid_until, until, sizeof until), what,
                 bytes_hex(in->cx, genesis, DIGEST_BYTES));
    if (m->reason[0] != '\0')
        (void)printf("reason: %s\n", m->reason);
    (void)printf(
        "to be renewed by %s; %u of its %zu governance keys sign the next version\n",
        clock_format((int64_t)m->fresh_until, until, sizeof until),
        m->governance->threshold, m->governance->n_keys);
    for (size_t i = 0; i < m->governance->n_keys; i++)
        (void)printf("  governance key       %s\n",
                     bytes_hex(in->cx, m->governance->keys[i].data, 8));
    (void)printf("a permit needs officers of %u member%s, beside those of each site\n",
                 m->permit_signatures, m->permit_signatures == 1 ? "" : "s");
    for (size_t i = 0; i < m->n_members; i++) {
        const Cohortium__Member *x = m->members[i];

        const char *places = endpoints_text(in->cx, x);

        (void)printf("  %-20s %s  %s\n", x->name, bytes_hex(in->cx, x->node_id.data, 8),
                     x->outbound_only || places == NULL ? "outbound only" : places);
        for (size_t k = 0; k < x->n_officers; k++)
            (void)printf("    officer %s\n", x->officers[k]->name);
    }
}

/* A file may be looked at before it is signed: that is when it should be. */
enum fault admin_show_manifest(struct invocation *in)
{
    const char *path = in->n_words > 0 ? in->words[0] : option(in, "manifest");
    Cohortium__Manifest *body;
    struct manifest *m, *before = NULL;
    struct bytes *chain;
    struct envelope e;
    size_t n;

    TRY(need_words(in, 0, 1, "at most one manifest"));
    if (path == NULL) {
        TRY(read_manifest(in, &m));
        show_body(in, m->body, "genesis", m->consortium);
        return FAULT_NONE;
    }
    TRY(chain_read(in, path, &chain, &n));
    if (n > 1) {
        TRY(manifest_load(in->cx, chain, n, NULL, &m));
        show_body(in, m->body, "genesis", m->consortium);
        return FAULT_NONE;
    }
    TRY(manifest_open_claimed(in, path, chain[0], &e, &body));
    if (in->n_words > 0 && body->version > 1)
        TRY(manifest_before(in, body, &before));
    show_body(in, body, body->version == 1 ? "genesis" : "digest", e.digest);
    if (before != NULL)
        changes_show(in, before->body, body);
    tell_signed(in, path, &e, body, before);
    return FAULT_NONE;
}

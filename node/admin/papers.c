/* papers.c - policies, permits, researchers: written by people, signed by officers. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/admin/command.h"
#include "node/data/policy_yaml.h"
#include "node/vault/policy.h"
#include "protocol/base/clock.h"
#include "protocol/files.h"
#include "protocol/papers.h"

enum { DAYS_MAX = 3650, LIST_MAX = 1000, KEY_FILE_MAX = 64 * 1024 };
static const int64_t DAY_MS = 24 * 3600 * 1000;

/* ---- policy ---- */

static enum fault read_policy_yaml(struct invocation *in, bool lab, Cohortium__Policy **ret)
{
    const char *path = in->words[0];
    struct bytes text;

    if (strcmp(path, "exact-for-testing") == 0)
        text = bytes_of(policy_yaml_exact_for_testing, strlen(policy_yaml_exact_for_testing));
    else if (strcmp(path, "cautious") == 0)
        text = bytes_of("class: cautious\n", 16);
    else
        TRY(read_document(in, path, &text));
    return policy_from_yaml(in->cx, path, (const char *)text.p, text.n, lab, ret);
}

enum fault admin_policy_check(struct invocation *in)
{
    Cohortium__Policy *body;
    struct policy p;
    bool lab = has_option(in, "lab");

    TRY(need_words(in, 1, 1, "a policy file"));
    TRY(read_policy_yaml(in, lab, &body));
    TRY(policy_open(in->cx, body, lab, &p));
    (void)printf("%s is valid; it says:\n%s", in->words[0], policy_words(in->cx, &p));
    return FAULT_NONE;
}

/* This node in its manifest, by its own signing key. */
static enum fault own_member(struct invocation *in, const struct manifest *m,
                             const Cohortium__Member **ret)
{
    struct bytes packed;
    Cohortium__KeyFile *file;
    uint8_t id[32];

    TRY(file_read(in->cx, "key file", cx_printf(in->cx, "%s/keys/signing.key", in->folder),
                  KEY_FILE_MAX, true, &packed));
    TRY(pb_unpack(in->cx, &cohortium__key_file__descriptor, packed, KEY_FILE_MAX, &file));
    digest_of(PB_BYTES(file->public_key), id);
    *ret = manifest_find(m, id);
    if (*ret == NULL)
        return cx_fail(in->cx, FAULT_DENIED, "this node is not in its manifest");
    return FAULT_NONE;
}

/* Number and node come from what is in force at the node, so that it cannot be applied twice
 * or elsewhere. */
static enum fault number_policy(struct invocation *in, const struct manifest *m,
                                Cohortium__Policy *body)
{
    struct admin_reply reply;
    enum fault fault = ask_node(in, "policy show", NULL, 0, NULL, 0, &reply);
    struct envelope e;
    Cohortium__Policy *old;

    body->serial = 1;
    if (fault != FAULT_NONE && in->status == 0)
        return fault; /* no node there */
    in->status = 0;
    if (fault == FAULT_NONE && reply.n_blobs == 1) {
        TRY(envelope_open(in->cx, ENVELOPE_POLICY, reply.blobs[0], &e));
        TRY(pb_unpack(in->cx, &cohortium__policy__descriptor, e.body,
                      envelope_bound(ENVELOPE_POLICY), &old));
        body->serial = old->serial + 1;
    }
    const Cohortium__Member *self;
    TRY(own_member(in, m, &self));
    body->node_id = self->node_id;
    return FAULT_NONE;
}

enum fault admin_policy_sign(struct invocation *in)
{
    struct manifest *m;
    Cohortium__Policy *body;
    const char *key;
    struct bytes packed = {0};

    TRY(need_words(in, 1, 1, "a policy file"));
    TRY(need_option(in, "key", "KEY", &key));
    TRY(read_manifest(in, &m));
    TRY(read_policy_yaml(in, manifest_is_lab(m), &body));
    TRY(number_policy(in, m, body));
    for (size_t i = 0; (key = option_nth(in, "key", i)) != NULL; i++) {
        AUTO_KEYS struct keys *keys = NULL;

        TRY(read_signing_key(in, key, "officer", &keys));
        if (i == 0)
            TRY(envelope_seal(in->cx, ENVELOPE_POLICY, &body->base, keys, &packed));
        else
            TRY(envelope_cosign(in->cx, ENVELOPE_POLICY, packed, keys, &packed));
    }
    TRY(write_document(in, packed));
    (void)printf("policy %llu is signed; apply it with `cohortiumd policy apply --dir %s %s`\n",
                 (unsigned long long)body->serial, in->folder, option(in, "out"));
    return FAULT_NONE;
}

static enum fault send_document(struct invocation *in, const char *command, const char *what)
{
    struct bytes packed;

    TRY(need_words(in, 1, 1, what));
    TRY(read_document(in, in->words[0], &packed));
    return ask_node(in, command, NULL, 0, &packed, 1, NULL);
}

enum fault admin_policy_apply(struct invocation *in)
{
    return send_document(in, "policy apply", "a signed policy");
}

enum fault admin_policy_show(struct invocation *in)
{
    TRY(need_words(in, 0, 0, "no further word"));
    return ask_node(in, "policy show", NULL, 0, NULL, 0, NULL);
}

enum fault admin_policy_history(struct invocation *in)
{
    TRY(need_words(in, 0, 0, "no further word"));
    return ask_node(in, "policy history", NULL, 0, NULL, 0, NULL);
}

/* ---- permits ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_bytes(const void *a, const void *b)
{
    return bytes_compare(PB_BYTES(*(const ProtobufCBinaryData *)a),
                         PB_BYTES(*(const ProtobufCBinaryData *)b));
}

/* All uses of an option, sorted. */
static enum fault gather_texts(struct invocation *in, const char *name, char ***ret,
                               size_t *ret_n)
{
    const char *value;

    CX_NEW(in->cx, *ret, LIST_MAX);
    for (*ret_n = 0; (value = option_nth(in, name, *ret_n)) != NULL; ++*ret_n) {
        if (*ret_n == LIST_MAX)
            return cx_fail(in->cx, FAULT_BOUND, "more than %d times --%s", LIST_MAX, name);
        (*ret)[*ret_n] = (char *)value;
    }
    qsort(*ret, *ret_n, sizeof **ret, by_text);
    return FAULT_NONE;
}

static enum fault gather_members(struct invocation *in, const struct manifest *m,
                                 Cohortium__Permit *p)
{
    const char *name;

    CX_NEW(in->cx, p->members, m->body->n_members + LIST_MAX);
    for (size_t i = 0; (name = option_nth(in, "member", i)) != NULL && i < LIST_MAX; i++) {
        if (strcmp(name, "all") == 0) {
            for (size_t k = 0; k < m->body->n_members; k++)
                if (m->body->members[k]->holds_data)
                    p->members[p->n_members++] = m->body->members[k]->node_id;
            continue;
        }
        const Cohortium__Member *x = manifest_find_name(m, name);
        if (x == NULL)
            return cx_fail(in->cx, FAULT_USAGE, "no member `%.40s` in %s", name,
                           m->body->consortium_name);
        p->members[p->n_members++] = x->node_id;
    }
    if (p->n_members == 0)
        return cx_fail(in->cx, FAULT_USAGE, "expected --member NAME or --member all");
    qsort(p->members, p->n_members, sizeof *p->members, by_bytes);
    return FAULT_NONE;
}

static enum fault gather_researchers(struct invocation *in, Cohortium__Permit *p)
{
    const char *path;

    CX_NEW(in->cx, p->researchers, LIST_MAX);
    for (size_t i = 0; (path = option_nth(in, "researcher", i)) != NULL && i < LIST_MAX; i++) {
        Cohortium__Card *card;

        TRY(read_card(in, path, &card));
        if (strcmp(card->use, "researcher") != 0)
            return cx_fail(in->cx, FAULT_USAGE, "%s is the card of a %s, expected a researcher",
                           path, card->use);
        p->researchers[p->n_researchers++] = card->signing_key;
    }
    if (p->n_researchers == 0)
        return cx_fail(in->cx, FAULT_USAGE, "expected --researcher CARD");
    qsort(p->researchers, p->n_researchers, sizeof *p->researchers, by_bytes);
    return FAULT_NONE;
}

enum fault admin_permit_new(struct invocation *in)
{
    Cohortium__Permit p = COHORTIUM__PERMIT__INIT;
    Cohortium__Envelope e = COHORTIUM__ENVELOPE__INIT;
    struct manifest *m;
    const char *title, *purpose;
    uint8_t id[ID_BYTES];
    long days, budget;
    struct bytes body, packed;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(need_option(in, "title", "TEXT", &title));
    TRY(need_option(in, "purpose", "TEXT", &purpose));
    TRY(whole_option(in, "days", 1, DAYS_MAX, 365, &days));
    TRY(whole_option(in, "budget", 0, 1000000000, 0, &budget));
    TRY(read_manifest(in, &m));
    TRY(gather_researchers(in, &p));
    TRY(gather_members(in, m, &p));
    TRY(gather_texts(in, "dataset", &p.datasets, &p.n_datasets));
    TRY(gather_texts(in, "variable", &p.variables, &p.n_variables));
    TRY(gather_texts(in, "analysis", &p.analyses, &p.n_analyses));
    if (p.n_datasets == 0)
        return cx_fail(in->cx, FAULT_USAGE, "expected --dataset NAME");
    randombytes_buf(id, sizeof id);
    p.id = PB_DATA(bytes_of(id, sizeof id));
    p.consortium = PB_DATA(bytes_of(m->consortium, DIGEST_BYTES));
    p.title = (char *)title;
    p.purpose = (char *)purpose;
    p.by_site = has_option(in, "by-site");
    p.not_before = (uint64_t)clock_utc_ms();
    p.not_after = p.not_before + (uint64_t)(days * DAY_MS);
    p.budget = (uint64_t)budget;
    TRY(pb_pack(in->cx, &p.base, &body));
    e.type = (char *)envelope_type(ENVELOPE_PERMIT);
    e.body = PB_DATA(body);
    TRY(pb_pack(in->cx, &e.base, &packed));
    TRY(write_document(in, packed));
    (void)printf("permit %s is written; an officer of each member signs it: cohortiumd permit "
                 "sign --key KEY %s\n",
                 bytes_hex(in->cx, id, sizeof id), option(in, "out"));
    return FAULT_NONE;
}

enum fault admin_permit_sign(struct invocation *in)
{
    AUTO_KEYS struct keys *keys = NULL;
    const char *key;
    struct bytes packed, out;

    TRY(need_words(in, 1, 1, "the permit to sign"));
    TRY(need_option(in, "key", "KEY", &key));
    TRY(read_document(in, in->words[0], &packed));
    TRY(read_signing_key(in, key, "officer", &keys));
    TRY(envelope_cosign(in->cx, ENVELOPE_PERMIT, packed, keys, &out));
    TRY(file_write(in->cx, "permit", in->words[0], out, 0644, FILE_REPLACE));
    (void)printf("%s is signed by %s\n", in->words[0], keys_name(keys));
    return FAULT_NONE;
}

static void print_texts(const char *what, char *const *texts, size_t n, const char *none)
{
    (void)printf("  %-12s", what);
    for (size_t i = 0; i < n; i++)
        (void)printf("%s%s", i > 0 ? ", " : "", texts[i]);
    (void)printf("%s\n", n == 0 ? none : "");
}

/* A file is read here, signed or not; an id is asked of the node. */
enum fault admin_permit_show(struct invocation *in)
{
    struct bytes packed;
    struct envelope e;
    Cohortium__Permit *p;
    struct manifest *m = NULL;
    char from[32], until[32];

    TRY(need_words(in, 1, 1, "a permit's id or file"));
    enum fault fault = read_document(in, in->words[0], &packed);
    if (fault == FAULT_MISSING)
        return ask_node(in, "permit show", in->words, 1, NULL, 0, NULL);
    TRY(fault);
    TRY(envelope_open(in->cx, ENVELOPE_PERMIT, packed, &e));
    TRY(pb_unpack(in->cx, &cohortium__permit__descriptor, e.body,
                  envelope_bound(ENVELOPE_PERMIT), &p));
    (void)printf("permit %s \"%s\"\n  purpose     %s\n  from        %s\n  until       %s\n"
                 "  by site     %s\n",
                 bytes_hex(in->cx, p->id.data, p->id.len), p->title, p->purpose,
                 clock_format((int64_t)p->not_before, from, sizeof from),
                 clock_format((int64_t)p->not_after, until, sizeof until),
                 p->by_site ? "yes" : "no");
    print_texts("datasets", p->datasets, p->n_datasets, "none");
    print_texts("variables", p->variables, p->n_variables, "every one that is not hidden");
    print_texts("analyses", p->analyses, p->n_analyses, "all");
    if (read_manifest(in, &m) != FAULT_NONE)
        return FAULT_NONE; /* elsewhere: names and signatures cannot be told */
    for (size_t i = 0; i < p->n_members; i++) {
        const Cohortium__Member *x = manifest_find(m, p->members[i].data);
        bool is_signed = false;

        for (size_t k = 0; x != NULL && k < x->n_officers; k++)
            is_signed = is_signed || envelope_is_signed_by(&e, x->officers[k]->key.data);
        (void)printf("  member      %s, %s\n", x != NULL ? x->name : "unknown",
                     is_signed ? "signed" : "NOT SIGNED by its officer");
    }
    return FAULT_NONE;
}

enum fault admin_permit_add(struct invocation *in)
{
    return send_document(in, "permit add", "a signed permit");
}

enum fault admin_permit_list(struct invocation *in)
{
    TRY(need_words(in, 0, 0, "no further word"));
    return ask_node(in, "permit list", NULL, 0, NULL, 0, NULL);
}

/* ---- researchers ---- */

/* What the researcher types to find this node. */
static enum fault tell_profile(struct invocation *in)
{
    struct manifest *m;
    const Cohortium__Member *self;

    TRY(read_manifest(in, &m));
    TRY(own_member(in, m, &self));
    (void)printf("give it to them with this line:\n\n  cohortium profile add %s --home %s \\\n"
                 "    --node %s \\\n    --noise %s \\\n    --genesis %s \\\n"
                 "    --key THEIR.key --credential %s\n",
                 self->name, self->n_endpoints > 0 ? self->endpoints[0] : "ENDPOINT",
                 bytes_hex(in->cx, self->node_id.data, self->node_id.len),
                 bytes_hex(in->cx, self->noise_key.data, self->noise_key.len),
                 bytes_hex(in->cx, m->consortium, sizeof m->consortium), option(in, "out"));
    return FAULT_NONE;
}

enum fault admin_researcher_issue(struct invocation *in)
{
    Cohortium__Card *card;
    struct bytes packed;
    struct admin_reply reply;
    long days;

    TRY(need_words(in, 1, 1, "the researcher's card"));
    TRY(whole_option(in, "days", 1, 30, 30, &days));
    TRY(read_card(in, in->words[0], &card));
    TRY(pb_pack(in->cx, &card->base, &packed));
    const char *words[] = {cx_printf(in->cx, "%ld", days)};
    TRY(ask_node(in, "researcher issue", words, 1, &packed, 1, &reply));
    if (reply.n_blobs != 1)
        return cx_fail(in->cx, FAULT_INTERNAL, "the node sent no credential");
    TRY(write_document(in, reply.blobs[0]));
    (void)fputs(reply.text, stdout);
    return tell_profile(in);
}

enum fault admin_researcher_list(struct invocation *in)
{
    TRY(need_words(in, 0, 0, "no further word"));
    return ask_node(in, "researcher list", NULL, 0, NULL, 0, NULL);
}

enum fault admin_researcher_revoke(struct invocation *in)
{
    const char *reason;

    TRY(need_words(in, 1, 1, "the researcher's name or key"));
    TRY(need_option(in, "reason", "TEXT", &reason));
    const char *words[] = {in->words[0], reason};
    return ask_node(in, "researcher revoke", words, 2, NULL, 0, NULL);
}

/* papers.c - policies, permits, researchers: written by people, signed by officers. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyses/analysis.h"
#include "node/admin/options.h"
#include "node/admin/papers.h"
#include "node/data/policy_yaml.h"
#include "node/vault/policy.h"
#include "protocol/base/clock.h"
#include "protocol/checkpoint.h"
#include "protocol/files.h"
#include "protocol/papers.h"

enum { DAYS_MAX = 3650, LIST_MAX = 1000, KEY_FILE_MAX = 64 * 1024 };
static const int64_t DAY_MS = 24 * 3600 * 1000;

/* ---- policy ---- */

/* A misspelt analysis would forbid the right one without a word. */
static enum fault check_analysis(struct invocation *in, const char *where, const char *name)
{
    const char *names[64], *near;
    size_t n = 0;

    if (analysis_find(name) != NULL)
        return FAULT_NONE;
    for (; n < analysis_count() && n < COUNT(names); n++)
        names[n] = analysis_at(n)->name;
    near = bytes_nearest(name, names, n);
    if (near != NULL)
        return cx_fail(in->cx, FAULT_USAGE, "%s: no analysis `%.60s`; did you mean `%s`?",
                       where, name, near);
    return cx_fail(in->cx, FAULT_USAGE,
                   "%s: no analysis `%.60s`; there are: count, table, describe, lm, glm",
                   where, name);
}

static enum fault check_allowed(struct invocation *in, const char *path,
                                const Cohortium__Policy *body)
{
    for (size_t i = 0; i < body->n_fields; i++) {
        const Cohortium__PolicyField *f = body->fields[i];

        bool reviewed = strcmp(f->name, "reviewed_statistics") == 0;

        if (!reviewed && strcmp(f->name, "allowed_statistics") != 0)
            continue;
        for (size_t k = 0; k < f->n_words; k++)
            if (!reviewed || strcmp(f->words[k], "all") != 0)
                TRY(check_analysis(in, cx_printf(in->cx, "%s: %s", path, f->name),
                                   f->words[k]));
    }
    return FAULT_NONE;
}

/* The built-in ones are known by their words, which are reason enough. */
enum fault read_policy_yaml(struct invocation *in, const char *path, bool lab,
                            Cohortium__Policy **ret)
{
    static const char cautious[] = "class: cautious\n";
    bool built_in = true;
    struct bytes text;

    if (strcmp(path, "exact-for-testing") == 0)
        text =
            bytes_of(policy_yaml_exact_for_testing, strlen(policy_yaml_exact_for_testing));
    else if (strcmp(path, "cautious") == 0)
        text = bytes_of(cautious, sizeof cautious - 1);
    else {
        built_in = false;
        TRY(read_document(in, path, &text));
    }
    TRY(policy_from_yaml(in->cx, path, (const char *)text.p, text.n, lab, ret));
    TRY(check_allowed(in, path, *ret));
    if (built_in)
        (*ret)->reason = cx_printf(in->cx, "the built-in policy %s", path);
    return (*ret)->reason != NULL ? FAULT_NONE : FAULT_MEMORY;
}

enum fault admin_policy_check(struct invocation *in)
{
    Cohortium__Policy *body;
    struct policy p;
    bool lab = has_option(in, "lab");
    char from[32], until[32];

    TRY(need_words(in, 1, 1, "a policy file"));
    TRY(read_policy_yaml(in, in->words[0], lab, &body));
    TRY(policy_open(in->cx, body, lab, &p));
    (void)printf("%s is valid from %s until %s\n", in->words[0],
                 clock_format((int64_t)body->not_before, from, sizeof from),
                 clock_format((int64_t)body->not_after, until, sizeof until));
    if (body->reason[0] != '\0')
        (void)printf("reason: %s\n", body->reason);
    else
        (void)printf(
            "reason: none; it cannot be signed without one: add `reason:` to the file, or "
            "give --reason to `policy sign`\n");
    (void)printf("it says:\n%s", policy_words(in->cx, &p));
    return FAULT_NONE;
}

enum fault own_member(struct invocation *in, const struct manifest *m,
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

/* Number and node come from what is in force at the node, so that it cannot be applied
 * twice or elsewhere. */
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

/* The history must show why. */
static enum fault give_reason(struct invocation *in, Cohortium__Policy *body)
{
    const char *reason = option(in, "reason");

    if (reason != NULL && body->reason[0] == '\0')
        body->reason = (char *)reason;
    if (body->reason[strspn(body->reason, " \t\r\n")] != '\0' &&
        utf8_is_clean(body->reason, strlen(body->reason)))
        return FAULT_NONE;
    return cx_fail(
        in->cx, FAULT_USAGE,
        "%s gives no reason, and the history must show why the policy changes: add a "
        "line `reason: ...` to it, or give --reason TEXT",
        in->words[0]);
}

static bool is_officer(const Cohortium__Member *member, const struct keys *keys)
{
    for (size_t i = 0; i < member->n_officers; i++)
        if (memcmp(member->officers[i]->key.data, keys_signing_public(keys), KEY_BYTES) ==
            0)
            return true;
    return false;
}

static enum fault check_officer(struct invocation *in, const Cohortium__Member *member,
                                const char *path, const struct keys *keys)
{
    struct buffer list = buffer_new(in->cx, 64 * 1024);

    if (is_officer(member, keys))
        return FAULT_NONE;
    for (size_t i = 0; i < member->n_officers; i++)
        buffer_printf(&list, "%s%s", i > 0 ? ", " : "", member->officers[i]->name);
    const char *all = buffer_string(&list);
    return cx_fail(in->cx, FAULT_DENIED,
                   "%s: %s is no officer of %s, whose officers are: %s", path,
                   keys_name(keys), member->name, all != NULL ? all : "many");
}

enum fault admin_policy_sign(struct invocation *in)
{
    struct manifest *m;
    const Cohortium__Member *self;
    Cohortium__Policy *body;
    const char *key, *out;
    struct bytes packed = {0};

    TRY(need_words(in, 1, 1, "a policy file"));
    TRY(need_option(in, "key", "KEY", &key));
    TRY(need_option(in, "out", "FILE", &out));
    TRY(read_manifest(in, &m));
    TRY(own_member(in, m, &self));
    TRY(read_policy_yaml(in, in->words[0], manifest_is_lab(m), &body));
    TRY(give_reason(in, body));
    TRY(number_policy(in, m, body));
    for (size_t i = 0; (key = option_nth(in, "key", i)) != NULL; i++) {
        AUTO_KEYS struct keys *keys = NULL;

        TRY(read_signing_key(in, key, "officer", &keys));
        TRY(check_officer(in, self, key, keys));
        if (i == 0)
            TRY(envelope_seal(in->cx, ENVELOPE_POLICY, &body->base, keys, &packed));
        else
            TRY(envelope_cosign(in->cx, ENVELOPE_POLICY, packed, keys, &packed));
    }
    TRY(write_document(in, packed));
    (void)printf(
        "policy %llu is signed; apply it with `cohortiumd policy apply --dir %s %s`\n",
        (unsigned long long)body->serial, in->folder, option(in, "out"));
    return FAULT_NONE;
}

static enum fault send_document(struct invocation *in, const char *command,
                                enum envelope_kind kind, const char *what, const char *how)
{
    struct bytes packed;
    struct envelope e;

    TRY(need_words(in, 1, 1, cx_printf(in->cx, "a %s", what)));
    TRY(read_document(in, in->words[0], &packed));
    TRY(document_check(in->cx, kind, packed, in->words[0], what, how, &e));
    return ask_node(in, command, NULL, 0, &packed, 1, NULL);
}

enum fault admin_policy_apply(struct invocation *in)
{
    return send_document(in, "policy apply", ENVELOPE_POLICY, "signed policy",
                         "policy sign");
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

enum fault admin_policy_spent(struct invocation *in)
{
    TRY(need_words(in, 0, 0, "no further word"));
    return ask_node(in, "policy spent", NULL, 0, NULL, 0, NULL);
}

enum fault admin_policy_simulate(struct invocation *in)
{
    struct admin_reply reply;
    struct manifest *m;
    Cohortium__Policy *body;
    struct bytes packed;
    const char *path;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(need_option(in, "policy", "FILE", &path));
    TRY(read_manifest(in, &m));
    TRY(read_policy_yaml(in, path, manifest_is_lab(m), &body));
    TRY(pb_pack(in->cx, &body->base, &packed));
    TRY(ask_node(in, "policy simulate", NULL, 0, &packed, 1, &reply));
    (void)printf("%s%s", has_option(in, "json") ? reply.json : reply.text,
                 has_option(in, "json") ? "\n" : "");
    return FAULT_NONE;
}

/* The second line names the site, whose key must have signed. */
static enum fault check_sheet(struct invocation *in, const char *path)
{
    static const char second[] = "\nsite: ";
    const Cohortium__Member *member = NULL;
    struct manifest *m;
    struct bytes text;

    TRY(read_document(in, path, &text));
    TRY(read_manifest(in, &m));
    const char *note = cx_printf(in->cx, "%.*s", (int)text.n, (const char *)text.p), *site;
    if (note == NULL)
        return FAULT_MEMORY;
    site = strstr(note, second);
    for (size_t i = 0; i < m->body->n_members && site != NULL && member == NULL; i++) {
        const char *name = m->body->members[i]->name, *at = site + sizeof second - 1;

        if (strncmp(at, name, strlen(name)) == 0 && at[strlen(name)] == '\n')
            member = m->body->members[i];
    }
    if (member == NULL)
        return cx_fail(in->cx, FAULT_DENIED, "%s: of no site of this consortium", path);
    const char *name = checkpoint_origin(in->cx, m->consortium, member->name);
    if (name == NULL)
        return FAULT_MEMORY;
    if (sheet_verify(in->cx, note, name, member->signing_key.data) != FAULT_NONE)
        return cx_prefix(in->cx, "%s: ", path);
    (void)printf("%s: signed by %s\n", path, member->name);
    return FAULT_NONE;
}

static enum fault attack_own(struct invocation *in)
{
    const char *path = option(in, "policy");
    struct bytes packed = {0}, sheet;
    struct admin_reply reply;
    Cohortium__Policy *body;
    struct manifest *m;

    TRY(need_words(in, 1, 1, "a dataset"));
    TRY(read_manifest(in, &m));
    if (path != NULL) {
        TRY(read_policy_yaml(in, path, manifest_is_lab(m), &body));
        TRY(pb_pack(in->cx, &body->base, &packed));
    }
    TRY(ask_node(in, "policy redteam", in->words, 1, &packed, path != NULL, &reply));
    if (reply.n_blobs != 1)
        return cx_fail(in->cx, FAULT_FORMAT, "the node gave no sheet");
    sheet = reply.blobs[0];
    if (has_option(in, "out"))
        TRY(write_document(in, sheet));
    (void)printf("%s%s", has_option(in, "json") ? reply.json : reply.text,
                 has_option(in, "json") ? "\n" : "");
    in->status = strstr(reply.text, "\nresult: FAIL") != NULL;
    return FAULT_NONE;
}

enum fault admin_policy_redteam(struct invocation *in)
{
    const char *sheet = option(in, "check");

    if (sheet == NULL)
        return attack_own(in);
    TRY(need_words(in, 0, 0, "no further word beside --check"));
    return check_sheet(in, sheet);
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

static enum fault no_member(struct invocation *in, const struct manifest *m,
                            const char *name)
{
    const char **names, *near;

    CX_NEW(in->cx, names, m->body->n_members);
    for (size_t i = 0; i < m->body->n_members; i++)
        names[i] = m->body->members[i]->name;
    near = bytes_nearest(name, names, m->body->n_members);
    return cx_fail(in->cx, FAULT_USAGE, "--member: no member `%.40s` in %s%s%s%s", name,
                   m->body->consortium_name, near != NULL ? "; did you mean `" : "",
                   near != NULL ? near : "; `cohortiumd consortium show` lists them",
                   near != NULL ? "`?" : "");
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
            return no_member(in, m, name);
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
    for (size_t i = 0; (path = option_nth(in, "researcher", i)) != NULL && i < LIST_MAX;
         i++) {
        Cohortium__Card *card;

        TRY(read_card(in, path, &card));
        if (strcmp(card->use, "researcher") != 0)
            return cx_fail(in->cx, FAULT_USAGE,
                           "%s is the card of a %s, expected a researcher", path,
                           card->use);
        p->researchers[p->n_researchers++] = card->signing_key;
    }
    if (p->n_researchers == 0)
        return cx_fail(in->cx, FAULT_USAGE, "expected --researcher CARD");
    qsort(p->researchers, p->n_researchers, sizeof *p->researchers, by_bytes);
    return FAULT_NONE;
}

/* A node at hand knows its datasets; a permit for another name would cover nothing.
 * Elsewhere nobody can tell. */
static enum fault check_datasets(struct invocation *in, const Cohortium__Permit *p)
{
    for (size_t i = 0; i < p->n_datasets; i++) {
        struct admin_reply reply;
        struct codebook *cb;
        enum fault fault =
            admin_call(in->cx, in->folder, "codebook show",
                       (const char *const *)&p->datasets[i], 1, NULL, 0, &reply);

        if (fault != FAULT_NONE || option(in, "manifest") != NULL)
            return FAULT_NONE;
        if (reply.status != 0) {
            (void)fprintf(stderr,
                          "note: this node has no dataset `%.60s`; is the name right?\n",
                          p->datasets[i]);
            continue;
        }
        if (reply.n_blobs != 1 || codebook_open(in->cx, reply.blobs[0], &cb) != FAULT_NONE)
            continue;
        for (size_t k = 0; p->n_datasets == 1 && k < p->n_variables; k++)
            if (codebook_find(cb, p->variables[k]) < 0)
                return cx_fail(in->cx, FAULT_USAGE,
                               "--variable: no variable `%.60s` in %s%s", p->variables[k],
                               p->datasets[i], codebook_hint(in->cx, cb, p->variables[k]));
    }
    return FAULT_NONE;
}

/* Drawn up at a node whose member it names, that member's officers can take it back for all. */
static void put_issuer(struct invocation *in, const struct manifest *m, Cohortium__Permit *p)
{
    const Cohortium__Member *self;

    if (option(in, "manifest") != NULL || own_member(in, m, &self) != FAULT_NONE)
        return;
    for (size_t i = 0; i < p->n_members; i++)
        if (bytes_equal(PB_BYTES(p->members[i]), PB_BYTES(self->node_id)))
            p->issuer = self->node_id;
}

enum fault admin_permit_new(struct invocation *in)
{
    Cohortium__Permit p = COHORTIUM__PERMIT__INIT;
    Cohortium__Envelope e = COHORTIUM__ENVELOPE__INIT;
    struct manifest *m;
    const char *title, *purpose, *out;
    uint8_t id[ID_BYTES];
    long days, budget;
    struct bytes body, packed;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(need_option(in, "title", "TEXT", &title));
    TRY(need_option(in, "purpose", "TEXT", &purpose));
    TRY(need_option(in, "out", "FILE", &out));
    TRY(whole_option(in, "days", 1, DAYS_MAX, 365, &days));
    TRY(whole_option(in, "budget", 0, 1000000000, 0, &budget));
    TRY(read_manifest(in, &m));
    TRY(gather_researchers(in, &p));
    TRY(gather_members(in, m, &p));
    TRY(gather_texts(in, "dataset", &p.datasets, &p.n_datasets));
    TRY(gather_texts(in, "variable", &p.variables, &p.n_variables));
    TRY(gather_texts(in, "analysis", &p.analyses, &p.n_analyses));
    for (size_t i = 0; i < p.n_analyses; i++)
        TRY(check_analysis(in, "--analysis", p.analyses[i]));
    if (p.n_datasets == 0)
        return cx_fail(in->cx, FAULT_USAGE, "expected --dataset NAME");
    TRY(check_datasets(in, &p));
    randombytes_buf(id, sizeof id);
    p.id = PB_DATA(bytes_of(id, sizeof id));
    p.consortium = PB_DATA(bytes_of(m->consortium, DIGEST_BYTES));
    p.title = (char *)title;
    p.purpose = (char *)purpose;
    p.by_site = has_option(in, "by-site");
    p.not_before = (uint64_t)clock_utc_ms();
    p.not_after = p.not_before + (uint64_t)(days * DAY_MS);
    p.budget = (uint64_t)budget;
    put_issuer(in, m, &p);
    TRY(pb_pack(in->cx, &p.base, &body));
    e.type = (char *)envelope_type(ENVELOPE_PERMIT);
    e.body = PB_DATA(body);
    TRY(pb_pack(in->cx, &e.base, &packed));
    TRY(write_document(in, packed));
    (void)printf(
        "permit %s is written; an officer of each member signs it: cohortiumd permit "
        "sign --key KEY %s\nthen each member honours it: cohortiumd permit add --dir "
        "FOLDER %s\n",
        bytes_hex(in->cx, id, sizeof id), out, out);
    return FAULT_NONE;
}

static bool is_signed_for(const struct envelope *e, const Cohortium__Member *member)
{
    for (size_t i = 0; i < member->n_officers; i++)
        if (envelope_is_signed_by(e, member->officers[i]->key.data))
            return true;
    return false;
}

static enum fault open_permit(struct invocation *in, const char *path, struct bytes packed,
                              struct envelope *ret, Cohortium__Permit **ret_body)
{
    TRY(document_check(in->cx, ENVELOPE_PERMIT, packed, path, "permit", "permit new", ret));
    return pb_unpack(in->cx, &cohortium__permit__descriptor, ret->body,
                     envelope_bound(ENVELOPE_PERMIT), ret_body);
}

/* Where the manifest is at hand: who has yet to sign. */
static void tell_unsigned(const struct manifest *m, const struct envelope *e,
                          const Cohortium__Permit *p, const char *path)
{
    size_t missing = 0;

    for (size_t i = 0; i < p->n_members; i++) {
        const Cohortium__Member *x = manifest_find(m, p->members[i].data);

        if (x != NULL && !is_signed_for(e, x))
            (void)printf("%s%s", missing++ == 0 ? "an officer has yet to sign for: " : ", ",
                         x->name);
    }
    if (missing > 0)
        (void)printf("\n");
    else
        (void)printf(
            "every member has signed\nnext, at each: cohortiumd permit add --dir FOLDER "
            "%s\n",
            path);
}

enum fault admin_permit_sign(struct invocation *in)
{
    AUTO_KEYS struct keys *keys = NULL;
    const char *key, *path = in->words[0];
    struct manifest *m = NULL;
    struct envelope e;
    Cohortium__Permit *p;
    struct bytes packed, out;
    bool named = false;

    TRY(need_words(in, 1, 1, "the permit to sign"));
    TRY(need_option(in, "key", "KEY", &key));
    TRY(read_document(in, path, &packed));
    TRY(open_permit(in, path, packed, &e, &p));
    TRY(read_signing_key(in, key, "officer", &keys));
    if (read_manifest(in, &m) != FAULT_NONE ||
        !bytes_equal(PB_BYTES(p->consortium), bytes_of(m->consortium, DIGEST_BYTES)))
        m = NULL; /* signed elsewhere: names cannot be told */
    for (size_t i = 0; m != NULL && i < p->n_members; i++) {
        const Cohortium__Member *x = manifest_find(m, p->members[i].data);

        named = named || (x != NULL && is_officer(x, keys));
    }
    if (m != NULL && !named)
        return cx_fail(in->cx, FAULT_DENIED,
                       "%s: %s is an officer of none of the members that %s names", key,
                       keys_name(keys), path);
    TRY(envelope_cosign(in->cx, ENVELOPE_PERMIT, packed, keys, &out));
    TRY(file_write(in->cx, "permit", path, out, 0644, FILE_REPLACE));
    TRY(open_permit(in, path, out, &e, &p));
    (void)printf("%s is signed by %s\n", path, keys_name(keys));
    if (m != NULL)
        tell_unsigned(m, &e, p, path);
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
    uint8_t id[ID_BYTES];
    if (fault == FAULT_MISSING &&
        bytes_from_hex(in->cx, in->words[0], id, sizeof id) != FAULT_NONE)
        return cx_fail(
            in->cx, FAULT_USAGE,
            "`%.100s` is neither a file nor a permit's id of 32 hex digits; `cohortiumd "
            "permit list` shows them",
            in->words[0]);
    if (fault == FAULT_MISSING)
        return ask_node(in, "permit show", in->words, 1, NULL, 0, NULL);
    TRY(fault);
    TRY(open_permit(in, in->words[0], packed, &e, &p));
    (void)printf("permit %s \"%s\"\n  purpose     %s\n  from        %s\n  until       %s\n"
                 "  by site     %s\n",
                 bytes_hex(in->cx, p->id.data, p->id.len), p->title, p->purpose,
                 clock_format((int64_t)p->not_before, from, sizeof from),
                 clock_format((int64_t)p->not_after, until, sizeof until),
                 p->by_site ? "yes" : "no");
    (void)printf("  researchers %zu\n", p->n_researchers);
    if (p->budget > 0)
        (void)printf("  budget      %llu questions\n", (unsigned long long)p->budget);
    else
        (void)printf("  budget      no limit\n");
    print_texts("datasets", p->datasets, p->n_datasets, "none");
    print_texts("variables", p->variables, p->n_variables, "every one that is not hidden");
    print_texts("analyses", p->analyses, p->n_analyses, "all");
    if (read_manifest(in, &m) != FAULT_NONE) {
        (void)printf(
            "  members     %zu; give --dir or --manifest to see who and whether they "
            "signed\n",
            p->n_members);
        return FAULT_NONE;
    }
    const Cohortium__Member *issuer =
        p->issuer.len == DIGEST_BYTES ? manifest_find(m, p->issuer.data) : NULL;
    if (issuer != NULL)
        (void)printf("  issuer      %s, whose officers can take it back for all\n",
                     issuer->name);
    for (size_t i = 0; i < p->n_members; i++) {
        const Cohortium__Member *x = manifest_find(m, p->members[i].data);

        (void)printf("  member      %s, %s\n", x != NULL ? x->name : "unknown",
                     x != NULL && is_signed_for(&e, x) ? "signed"
                                                       : "NOT SIGNED by its officer");
    }
    return FAULT_NONE;
}

enum fault admin_permit_add(struct invocation *in)
{
    return send_document(in, "permit add", ENVELOPE_PERMIT, "signed permit", "permit new");
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
    (void)printf(
        "give it to them with this line:\n\n  cohortium profile add %s --home %s \\\n"
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
    const char *out;
    long days;

    TRY(need_words(in, 1, 1, "the researcher's card"));
    /* Before it is issued: a credential that nobody can write down is issued all the same.
     */
    TRY(need_option(in, "out", "FILE", &out));
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

/* revoke.c - papers that take a permit or a credential back: written, signed, given to the
 * node. */
#include <stdio.h>
#include <string.h>

#include "node/admin/options.h"
#include "protocol/base/clock.h"
#include "protocol/revocation.h"

/* What is to be revoked, as the file or the node at hand has it. */
struct target {
    Cohortium__Revocation body;
    struct envelope envelope;
};

static enum fault of_permit(struct invocation *in, struct bytes packed, struct target *t)
{
    Cohortium__Permit *p;

    TRY(envelope_open(in->cx, ENVELOPE_PERMIT, packed, &t->envelope));
    TRY(pb_unpack(in->cx, &cohortium__permit__descriptor, t->envelope.body,
                  envelope_bound(ENVELOPE_PERMIT), &p));
    t->body.what = (char *)"permit";
    t->body.id = p->id;
    t->body.issuer = p->issuer;
    t->body.title = p->title;
    t->body.until = p->not_after;
    return FAULT_NONE;
}

static enum fault of_credential(struct invocation *in, struct bytes packed,
                                struct target *t)
{
    Cohortium__Credential *c;

    TRY(envelope_open(in->cx, ENVELOPE_CREDENTIAL, packed, &t->envelope));
    TRY(pb_unpack(in->cx, &cohortium__credential__descriptor, t->envelope.body,
                  envelope_bound(ENVELOPE_CREDENTIAL), &c));
    if (c->stamp == NULL)
        return cx_fail(in->cx, FAULT_FORMAT, "%s is a credential without a stamp",
                       in->words[0]);
    t->body.what = (char *)"credential";
    t->body.id = c->serial;
    t->body.issuer = c->stamp->issuer;
    t->body.title = c->name;
    t->body.until = c->not_after;
    return FAULT_NONE;
}

/* A permit by its file, or by its id at the node. */
static enum fault find_permit(struct invocation *in, struct target *t)
{
    struct admin_reply reply;
    struct bytes packed;
    uint8_t id[ID_BYTES];
    enum fault fault = read_document(in, in->words[0], &packed);

    if (fault == FAULT_NONE) {
        if (of_permit(in, packed, t) == FAULT_NONE)
            return FAULT_NONE;
        return cx_fail(in->cx, FAULT_FORMAT,
                       "%s is neither a permit nor a paper that revokes one", in->words[0]);
    }
    if (fault != FAULT_MISSING)
        return fault;
    if (bytes_from_hex(in->cx, in->words[0], id, sizeof id) != FAULT_NONE)
        return cx_fail(
            in->cx, FAULT_USAGE,
            "`%.100s` is neither a file nor a permit's id of 32 hex digits; `cohortiumd "
            "permit list` shows them",
            in->words[0]);
    TRY(ask_node(in, "permit show", in->words, 1, NULL, 0, &reply));
    if (reply.n_blobs != 1)
        return cx_fail(in->cx, FAULT_INTERNAL, "the node sent no permit");
    return of_permit(in, reply.blobs[0], t);
}

static enum fault find_credential(struct invocation *in, struct target *t)
{
    struct bytes packed;

    TRY(read_document(in, in->words[0], &packed));
    if (of_credential(in, packed, t) == FAULT_NONE)
        return FAULT_NONE;
    return cx_fail(in->cx, FAULT_FORMAT,
                   "%s is neither a credential nor a paper that revokes one", in->words[0]);
}

/* Whose officer signs. */
static enum fault find_member(struct invocation *in, const struct manifest *m,
                              const struct keys *keys, const char *path,
                              const Cohortium__Member **ret)
{
    for (size_t i = 0; i < m->body->n_members; i++) {
        const Cohortium__Member *x = m->body->members[i];

        for (size_t k = 0; k < x->n_officers; k++)
            if (memcmp(x->officers[k]->key.data, keys_signing_public(keys), KEY_BYTES) ==
                0) {
                *ret = x;
                return FAULT_NONE;
            }
    }
    return cx_fail(in->cx, FAULT_DENIED, "%s: %s is an officer of no member of %s", path,
                   keys_name(keys), m->body->consortium_name);
}

static enum fault sign(struct invocation *in, struct target *t, struct bytes *ret)
{
    AUTO_KEYS struct keys *keys = NULL;
    const Cohortium__Member *member = NULL;
    const char *path, *reason;
    struct manifest *m;
    struct revocation check;

    TRY(need_option(in, "key", "KEY", &path));
    TRY(need_option(in, "reason", "TEXT", &reason));
    TRY(read_manifest(in, &m));
    TRY(read_signing_key(in, path, "officer", &keys));
    TRY(find_member(in, m, keys, path, &member));
    t->body.consortium = PB_DATA(bytes_of(m->consortium, DIGEST_BYTES));
    t->body.target = PB_DATA(bytes_of(t->envelope.digest, DIGEST_BYTES));
    t->body.member = member->node_id;
    t->body.reason = (char *)reason;
    t->body.issued_at = (uint64_t)clock_utc_ms();
    TRY(envelope_seal(in->cx, ENVELOPE_REVOCATION, &t->body.base, keys, ret));
    return revocation_verify(in->cx, m, *ret, clock_utc_ms(), &check);
}

typedef enum fault find_target(struct invocation *in, struct target *t);

static enum fault give(struct invocation *in, struct bytes packed)
{
    return ask_node(in, "permit revoke", NULL, 0, &packed, 1, NULL);
}

static enum fault revoke(struct invocation *in, find_target *find)
{
    struct target t = {.body = COHORTIUM__REVOCATION__INIT};
    struct bytes packed;

    TRY(find(in, &t));
    TRY(sign(in, &t, &packed));
    if (option(in, "out") == NULL)
        return give(in, packed);
    TRY(write_document(in, packed));
    (void)printf("%s revokes %s \"%s\"; a node takes it and tells the others: cohortiumd "
                 "%s --dir FOLDER %s\n",
                 option(in, "out"), t.body.what, t.body.title, in->command->words,
                 option(in, "out"));
    return FAULT_NONE;
}

/* The word may be a paper that is signed already. */
static bool is_paper(struct invocation *in, struct bytes *ret)
{
    struct envelope e;

    return read_document(in, in->words[0], ret) == FAULT_NONE &&
           envelope_open(in->cx, ENVELOPE_REVOCATION, *ret, &e) == FAULT_NONE;
}

enum fault admin_permit_revoke(struct invocation *in)
{
    struct bytes packed;

    TRY(need_words(in, 1, 1, "the permit's id, as `permit list` shows it, or a paper"));
    return is_paper(in, &packed) ? give(in, packed) : revoke(in, find_permit);
}

enum fault admin_permit_revocations(struct invocation *in)
{
    TRY(need_words(in, 0, 0, "no further word"));
    return ask_node(in, "permit revocations", NULL, 0, NULL, 0, NULL);
}

enum fault admin_researcher_revoke(struct invocation *in)
{
    const char *reason;
    struct bytes packed;

    TRY(need_words(in, 1, 1, "the researcher's name or key, a credential, or a paper"));
    if (is_paper(in, &packed))
        return give(in, packed);
    if (option(in, "key") != NULL)
        return revoke(in, find_credential);
    if (option(in, "out") != NULL)
        return cx_fail(
            in->cx, FAULT_USAGE,
            "-o goes with --key: a paper is written for an officer who signs it");
    TRY(need_option(in, "reason", "TEXT", &reason));
    const char *words[] = {in->words[0], reason};
    return ask_node(in, "researcher revoke", words, 2, NULL, 0, NULL);
}

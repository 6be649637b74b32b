/* receipt.c - one file that proves an answer. */
#include "protocol/receipt.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/files.h"
#include "protocol/merkle.h"

enum {
    VERSION_ID_BYTES = 16,
    REFERENCE_BYTES = 8,
    RECEIPT_VERSION = 1,
    STATEMENTS_MAX = 64
};

/* ---- digests ---- */

static enum fault question_body(struct cx *cx, const Cohortium__Question *question,
                                struct bytes *ret)
{
    Cohortium__Question q = *question;
    Cohortium__Params params;
    Cohortium__Model model;

    /* What somebody typed names the same question as any other way to type it. */
    if (q.params != NULL && q.params->model != NULL) {
        model = *q.params->model;
        model.formula = (char *)protobuf_c_empty_string;
        params = *q.params;
        params.model = &model;
        q.params = &params;
    }
    return pb_pack(cx, &q.base, ret);
}

enum fault question_digest(struct cx *cx, const Cohortium__Question *question,
                           const struct bytes *versions, size_t n,
                           const uint8_t policy_digest[32], uint8_t ret[32])
{
    static const char label[] = "cohortium/question/1";
    crypto_hash_sha256_state state;
    struct bytes body;

    for (size_t i = 0; i < n; i++)
        if (versions[i].n != VERSION_ID_BYTES)
            return cx_fail(cx, FAULT_FORMAT, "version %zu has %zu bytes, expected %d",
                           i + 1, versions[i].n, VERSION_ID_BYTES);
    TRY(question_body(cx, question, &body));
    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, (const uint8_t *)label, sizeof label - 1);
    (void)crypto_hash_sha256_update(&state, body.p, body.n);
    for (size_t i = 0; i < n; i++)
        (void)crypto_hash_sha256_update(&state, versions[i].p, versions[i].n);
    (void)crypto_hash_sha256_update(&state, policy_digest, DIGEST_BYTES);
    (void)crypto_hash_sha256_final(&state, ret);
    return FAULT_NONE;
}

enum fault policy_digest(struct cx *cx, const Cohortium__Policy *policy, uint8_t ret[32])
{
    Cohortium__Policy p = *policy;
    struct bytes packed;

    p.text = (char *)protobuf_c_empty_string;
    TRY(pb_pack(cx, &p.base, &packed));
    digest_of(packed, ret);
    return FAULT_NONE;
}

/* ---- verifying ---- */

struct site_release {
    const Cohortium__Release *body;
    struct envelope envelope;
    uint8_t question[32], policy[32];
};

struct check {
    struct cx *cx;
    const Cohortium__Receipt *receipt;
    struct receipt_facts *facts;
    size_t n;                      /* participants */
    const Cohortium__Member **who; /* in order */
    struct permit *permits;
    const Cohortium__Preflight **preflights; /* in order of participants */
    size_t n_releases;
    struct site_release *releases;
    Cohortium__LogRecord **records; /* claimed until their proofs are checked */
    int64_t first, last;            /* times of the records */
    bool from_sessions; /* some record says that the question was answered anew */
};

static bool data_equal(ProtobufCBinaryData a, const void *p, size_t n)
{
    return bytes_equal(PB_BYTES(a), bytes_of(p, n));
}

static enum fault denied(struct check *k, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum fault denied(struct check *k, const char *format, ...)
{
    char text[900];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return cx_fail(k->cx, FAULT_DENIED, "receipt: %s", text);
}

/* Whatever a part of a receipt is, if it does not hold the receipt is not believed. */
static enum fault part_failed(struct check *k, const char *part)
{
    enum fault fault = cx_prefix(k->cx, "receipt: %s: ", part);

    return fault == FAULT_MEMORY ? fault : FAULT_DENIED;
}

static enum fault state(struct check *k, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum fault state(struct check *k, const char *format, ...)
{
    char text[900];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *copy = cx_strdup(k->cx, text);
    if (copy == NULL)
        return FAULT_MEMORY;
    if (k->facts->n_statements < STATEMENTS_MAX)
        k->facts->statements[k->facts->n_statements++] = copy;
    return FAULT_NONE;
}

static enum fault check_manifests(struct check *k, const uint8_t *genesis)
{
    const Cohortium__Receipt *r = k->receipt;
    struct bytes *chain;
    struct manifest *m;

    CX_NEW(k->cx, chain, r->n_manifests);
    for (size_t i = 0; i < r->n_manifests; i++)
        chain[i] = PB_BYTES(r->manifests[i]);
    if (manifest_load(k->cx, chain, r->n_manifests, genesis, &m) != FAULT_NONE)
        return part_failed(k, "manifest chain");
    k->facts->manifest = m;
    TRY(state(k, "the manifest chain of consortium \"%.128s\" holds up to version %" PRIu64,
              m->body->consortium_name, m->body->version));
    return state(k,
                 genesis != NULL
                     ? "its genesis %s is the pinned one"
                     : "its genesis is %s, which the receipt itself names: compare it with "
                       "one you trust",
                 manifest_fingerprint(k->cx, m->consortium));
}

/* The records say when; they are believed only after check_leaves, and nothing that is
 * stated before rests on more than their order. */
static enum fault read_records(struct check *k)
{
    const Cohortium__Receipt *r = k->receipt;

    CX_NEW(k->cx, k->records, r->n_proofs);
    if (r->n_proofs == 0)
        return denied(k, "log: it holds no record of any site");
    for (size_t i = 0; i < r->n_proofs; i++) {
        if (pb_unpack(k->cx, &cohortium__log_record__descriptor,
                      PB_BYTES(r->proofs[i]->record), RECEIPT_MAX,
                      &k->records[i]) != FAULT_NONE)
            return part_failed(k, "log record");
        uint64_t time = k->records[i]->time;
        if (time > INT64_MAX / 2)
            return denied(k, "log: record %zu has no proper time", i + 1);
        k->first = i == 0 || (int64_t)time < k->first ? (int64_t)time : k->first;
        k->last = (int64_t)time > k->last ? (int64_t)time : k->last;
        k->from_sessions = k->from_sessions || strcmp(k->records[i]->kind, "question") == 0;
    }
    if (k->last > (int64_t)k->facts->manifest->body->valid_until)
        return denied(k,
                      "manifest chain: its newest version was not valid any more when the "
                      "answer was logged");
    return FAULT_NONE;
}

static enum fault check_request(struct check *k)
{
    struct receipt_facts *f = k->facts;
    struct bytes packed = PB_BYTES(k->receipt->request);

    if (request_verify_at(k->cx, f->manifest, packed, k->first, &f->request) !=
            FAULT_NONE ||
        request_verify_at(k->cx, f->manifest, packed, k->last, &f->request) != FAULT_NONE)
        return part_failed(k, "request");
    const Cohortium__Request *r = f->request.body;
    if (r->dry_run)
        return cx_fail(k->cx, FAULT_INVALID,
                       "receipt: the request is a dry run, which has no answer to verify");
    k->n = r->question->n_sites;
    CX_NEW(k->cx, k->who, k->n);
    for (size_t i = 0; i < k->n; i++)
        k->who[i] = manifest_find(f->manifest, r->question->sites[i].data);
    TRY(state(k, "the credential of %.128s is signed by its home %s",
              f->request.who.body->name, f->request.who.home->name));
    return state(k, "the request is signed by %.128s and names %zu site%s",
                 f->request.who.body->name, k->n, k->n == 1 ? "" : "s");
}

static enum fault check_permits(struct check *k)
{
    const struct receipt_facts *f = k->facts;
    const Cohortium__Receipt *r = k->receipt;

    CX_NEW(k->cx, k->permits, r->n_permits);
    for (size_t i = 0; i < r->n_permits; i++) {
        struct complaints c = complaints_new(k->cx);

        if (permit_verify(k->cx, f->manifest, PB_BYTES(r->permits[i]), &k->permits[i]) !=
            FAULT_NONE)
            return part_failed(k, "permit");
        permit_complaints(&c, &k->permits[i], f->manifest, f->request.body, &f->request.who,
                          k->first);
        permit_complaints(&c, &k->permits[i], f->manifest, f->request.body, &f->request.who,
                          k->last);
        TRY(c.fault);
        if (c.n > 0)
            return denied(k, "permit: %s", c.list[0]->text);
    }
    for (size_t i = 0; i < k->n; i++) {
        bool signed_for = false;

        for (size_t j = 0; j < r->n_permits && !signed_for; j++)
            signed_for = permit_is_signed_for(&k->permits[j], k->who[i]);
        if (!signed_for)
            return denied(k, "permit: no officer of %s has signed one", k->who[i]->name);
    }
    return state(k, "permit \"%.128s\" covers it and is signed by an officer of every site",
                 k->permits[0].body->title);
}

/* Which participant issued a stamp; k->n if none did. */
static size_t issuer_of(const struct check *k, const Cohortium__Stamp *stamp)
{
    size_t i = 0;

    if (stamp == NULL)
        return k->n;
    while (i < k->n && !data_equal(stamp->issuer, k->who[i]->node_id.data, DIGEST_BYTES))
        i++;
    return i;
}

static enum fault check_stamp(struct check *k, const char *part, const Cohortium__Stamp *s,
                              const struct envelope *e, size_t *ret_site)
{
    size_t i = issuer_of(k, s);

    if (i == k->n)
        return denied(k, "%s: one was issued by a node that the request does not ask",
                      part);
    if (!envelope_is_signed_by(e, k->who[i]->signing_key.data))
        return denied(k, "%s: that of %s does not carry its valid signature", part,
                      k->who[i]->name);
    if (!data_equal(s->consortium, k->facts->manifest->consortium, DIGEST_BYTES))
        return denied(k, "%s: that of %s was made for another consortium", part,
                      k->who[i]->name);
    *ret_site = i;
    return FAULT_NONE;
}

/* The permit that a site held when it agreed must be among those shown. */
static enum fault check_held_permit(struct check *k, const Cohortium__Preflight *p,
                                    size_t i)
{
    struct permit held;

    if (permit_verify(k->cx, k->facts->manifest, PB_BYTES(p->permit_envelope), &held) !=
        FAULT_NONE)
        return part_failed(k, "preflight's permit");
    if (!permit_is_signed_for(&held, k->who[i]))
        return denied(k,
                      "preflight: %s showed a permit that none of its officers has signed",
                      k->who[i]->name);
    for (size_t j = 0; j < k->receipt->n_permits; j++)
        if (memcmp(held.envelope.digest, k->permits[j].envelope.digest, DIGEST_BYTES) == 0)
            return FAULT_NONE;
    return denied(k, "preflight: %s showed a permit that is not in the receipt",
                  k->who[i]->name);
}

static enum fault check_preflight(struct check *k, struct bytes packed)
{
    struct envelope e;
    Cohortium__Preflight *p;
    size_t i;

    if (envelope_open(k->cx, ENVELOPE_PREFLIGHT, packed, &e) != FAULT_NONE ||
        pb_unpack(k->cx, &cohortium__preflight__descriptor, e.body,
                  envelope_bound(ENVELOPE_PREFLIGHT), &p) != FAULT_NONE)
        return part_failed(k, "preflight");
    TRY(check_stamp(k, "preflight", p->stamp, &e, &i));
    if (k->preflights[i] != NULL)
        return denied(k, "preflight: %s has two", k->who[i]->name);
    if (!data_equal(p->request, k->facts->request.envelope.digest, DIGEST_BYTES))
        return denied(k, "preflight: that of %s answers another request", k->who[i]->name);
    if (p->n_complaints > 0)
        return denied(k, "preflight: %s complained: %.400s", k->who[i]->name,
                      p->complaints[0]->text);
    if (p->version.len != VERSION_ID_BYTES || p->policy == NULL)
        return denied(k, "preflight: that of %s lacks its version or its policy",
                      k->who[i]->name);
    if (k->facts->request.body->question->by_site && !p->by_site)
        return denied(k, "preflight: %s does not allow answers by site", k->who[i]->name);
    TRY(check_held_permit(k, p, i));
    k->preflights[i] = p;
    return FAULT_NONE;
}

static enum fault check_preflights(struct check *k)
{
    CX_NEW(k->cx, k->preflights, k->n);
    for (size_t i = 0; i < k->receipt->n_preflights; i++)
        TRY(check_preflight(k, PB_BYTES(k->receipt->preflights[i])));
    for (size_t i = 0; i < k->n; i++)
        if (k->preflights[i] == NULL)
            return denied(k, "preflight: that of %s is missing", k->who[i]->name);
    return state(k, "every site found the request valid before it touched a row");
}

/* Opens the releases: nothing in them is believed before check_releases. */
static enum fault open_releases(struct check *k)
{
    const Cohortium__Receipt *r = k->receipt;
    size_t want = k->facts->request.body->question->by_site ? k->n : 1;

    if (r->n_releases != want)
        return denied(k, "release: %zu in it, expected %zu", r->n_releases, want);
    CX_NEW(k->cx, k->releases, want);
    for (size_t i = 0; i < want; i++) {
        struct site_release *s = &k->releases[i];
        Cohortium__Release *body;

        if (envelope_open(k->cx, ENVELOPE_RELEASE, PB_BYTES(r->releases[i]),
                          &s->envelope) != FAULT_NONE ||
            pb_unpack(k->cx, &cohortium__release__descriptor, s->envelope.body,
                      envelope_bound(ENVELOPE_RELEASE), &body) != FAULT_NONE)
            return part_failed(k, "release");
        if (body->question == NULL || body->policy == NULL)
            return denied(k, "release: it lacks its question or its policy");
        s->body = body;
        TRY(policy_digest(k->cx, body->policy, s->policy));
        struct bytes *versions;
        CX_NEW(k->cx, versions, body->n_versions);
        for (size_t j = 0; j < body->n_versions; j++)
            versions[j] = PB_BYTES(body->versions[j]);
        if (question_digest(k->cx, body->question, versions, body->n_versions, s->policy,
                            s->question) != FAULT_NONE)
            return part_failed(k, "release");
    }
    k->n_releases = want;
    return FAULT_NONE;
}

/* The release that a participant stands behind, and where its own number is in it. */
static const struct site_release *release_of(const struct check *k, size_t site, size_t *at)
{
    bool by_site = k->facts->request.body->question->by_site;

    *at = by_site ? 0 : site;
    return &k->releases[by_site ? site : 0];
}

static enum fault check_accept(struct check *k, const Cohortium__Accept *a, size_t i)
{
    const char *name = k->who[i]->name;
    size_t at;
    const struct site_release *s = release_of(k, i, &at);

    if (!data_equal(a->request, k->facts->request.envelope.digest, DIGEST_BYTES))
        return denied(k, "ACCEPT: that of %s accepts another request", name);
    if (!data_equal(a->question, s->question, DIGEST_BYTES))
        return denied(k, "ACCEPT: that of %s accepts another question", name);
    if (k->facts->request.body->question->by_site)
        return FAULT_NONE; /* a site alone: nothing to agree on with others */
    if (!data_equal(a->policy, s->policy, DIGEST_BYTES))
        return denied(k, "ACCEPT: that of %s names another session policy", name);
    if (a->n_participants != k->n || a->n_versions != k->n)
        return denied(k,
                      "ACCEPT: that of %s names %zu participants and %zu versions, "
                      "expected %zu",
                      name, a->n_participants, a->n_versions, k->n);
    for (size_t j = 0; j < k->n; j++) {
        if (!data_equal(a->participants[j], k->who[j]->node_id.data, DIGEST_BYTES))
            return denied(k, "ACCEPT: that of %s names other participants", name);
        if (!bytes_equal(PB_BYTES(a->versions[j]), PB_BYTES(k->preflights[j]->version)))
            return denied(k, "ACCEPT: that of %s names another version of %s", name,
                          k->who[j]->name);
    }
    return FAULT_NONE;
}

/* A repeated answer comes from an old session and has no ACCEPTs of its own. */
static enum fault check_accepts(struct check *k)
{
    const Cohortium__Receipt *r = k->receipt;
    bool by_site = k->facts->request.body->question->by_site;
    bool *seen;

    CX_NEW(k->cx, seen, k->n);
    for (size_t n = 0; n < r->n_accepts; n++) {
        struct envelope e;
        Cohortium__Accept *a;
        size_t i;

        if (envelope_open(k->cx, ENVELOPE_ACCEPT, PB_BYTES(r->accepts[n]), &e) !=
                FAULT_NONE ||
            pb_unpack(k->cx, &cohortium__accept__descriptor, e.body,
                      envelope_bound(ENVELOPE_ACCEPT), &a) != FAULT_NONE)
            return part_failed(k, "ACCEPT");
        TRY(check_stamp(k, "ACCEPT", a->stamp, &e, &i));
        if (seen[i])
            return denied(k, "ACCEPT: %s has two", k->who[i]->name);
        TRY(check_accept(k, a, i));
        seen[i] = true;
    }
    if (!by_site && (r->n_accepts > 0 || k->from_sessions))
        for (size_t i = 0; i < k->n; i++)
            if (!seen[i])
                return denied(k, "ACCEPT: that of %s is missing", k->who[i]->name);
    if (r->n_accepts == 0)
        return state(k, by_site ? "each site answered alone, by its own rules"
                                : "it is an answer given before: no new session was needed");
    return state(k,
                 by_site ? "%zu sites accepted the question"
                         : "%zu sites accepted the same question, participants, versions "
                           "and policy",
                 r->n_accepts);
}

static enum fault check_outcome(struct check *k, const Cohortium__Release *b)
{
    bool testing = strcmp(b->policy->policy_class, "testing") == 0;

    if (b->released && b->result == NULL)
        return denied(k, "release: it says released but holds no result");
    if (!b->released && (b->result != NULL || b->reference.len != REFERENCE_BYTES))
        return denied(k,
                      "release: a NOT_RELEASED has a reference of %d bytes and no result",
                      REFERENCE_BYTES);
    if (b->exact_for_testing != testing)
        return denied(
            k, "release: its mark exact_for_testing does not follow from its policy");
    if (testing && !manifest_is_lab(k->facts->manifest))
        return denied(k, "release: exact for testing, and this consortium is not a lab");
    k->facts->exact_for_testing = k->facts->exact_for_testing || b->exact_for_testing;
    return FAULT_NONE;
}

/* sites `from` to `to` - 1 must stand behind this release. */
static enum fault check_release(struct check *k, const struct site_release *s, size_t from,
                                size_t to)
{
    const Cohortium__Release *b = s->body;
    struct bytes asked, answered;

    TRY(question_body(k->cx, k->facts->request.body->question, &asked));
    TRY(question_body(k->cx, b->question, &answered));
    if (!bytes_equal(asked, answered))
        return denied(k, "release: it answers another question than was asked");
    if (!data_equal(b->question_digest, s->question, DIGEST_BYTES))
        return denied(k, "release: its question digest does not follow from its question, "
                         "versions and policy");
    if (b->n_participants != to - from || b->n_versions != to - from)
        return denied(k, "release: %zu participants and %zu versions, expected %zu",
                      b->n_participants, b->n_versions, to - from);
    for (size_t i = from; i < to; i++) {
        if (!data_equal(b->participants[i - from], k->who[i]->node_id.data, DIGEST_BYTES))
            return denied(k, "release: its participants are not the sites that were asked");
        if (!bytes_equal(PB_BYTES(b->versions[i - from]),
                         PB_BYTES(k->preflights[i]->version)))
            return denied(k, "release: the version of %s is not the one of its preflight",
                          k->who[i]->name);
        if (!envelope_is_signed_by(&s->envelope, k->who[i]->signing_key.data))
            return denied(k, "release: %s has not signed it", k->who[i]->name);
    }
    return check_outcome(k, b);
}

static enum fault check_releases(struct check *k)
{
    struct receipt_facts *f = k->facts;

    if (f->request.body->question->by_site) {
        CX_NEW(k->cx, f->site_releases, k->n);
        for (size_t i = 0; i < k->n; i++) {
            TRY(check_release(k, &k->releases[i], i, i + 1));
            f->site_releases[i] = k->releases[i].body;
        }
    } else {
        TRY(check_release(k, &k->releases[0], 0, k->n));
        f->release = k->releases[0].body;
        f->body = k->releases[0].envelope.body;
    }
    f->n_sites = k->n;
    if (f->exact_for_testing)
        TRY(state(k, "EXACT FOR TESTING: a lab's answer without disclosure control"));
    return state(k, f->release != NULL ? "the release is signed by every site"
                                       : "each site's release is signed by that site");
}

static enum fault check_record(struct check *k, const Cohortium__LogRecord *r, size_t i)
{
    const struct receipt_facts *f = k->facts;
    const char *name = k->who[i]->name;
    size_t at;
    const struct site_release *s = release_of(k, i, &at);
    bool repeat = strcmp(r->kind, "repeat") == 0;
    const char *want = repeat              ? "answered_before"
                       : s->body->released ? "released"
                                           : "not_released";

    if (!repeat && strcmp(r->kind, "question") != 0)
        return denied(k,
                      "log: the record of %s is of kind \"%.32s\", expected question or "
                      "repeat",
                      name, r->kind);
    if (!data_equal(r->subject, f->request.envelope.digest, DIGEST_BYTES))
        return denied(k, "log: the record of %s is of another request", name);
    if (!data_equal(r->question, s->question, DIGEST_BYTES))
        return denied(k, "log: the record of %s is of another question", name);
    if (!data_equal(r->outcome, s->envelope.digest, DIGEST_BYTES))
        return denied(k, "log: the record of %s is of another release", name);
    if (strcmp(r->decision, want) != 0)
        return denied(k, "log: the record of %s says \"%.32s\", expected %s", name,
                      r->decision, want);
    if (!data_equal(r->who, f->request.who.subject, DIGEST_BYTES))
        return denied(k, "log: the record of %s is of another researcher", name);
    if (!bytes_equal(PB_BYTES(r->permit), PB_BYTES(f->request.body->permit)))
        return denied(k, "log: the record of %s is of another permit", name);
    return FAULT_NONE;
}

static enum fault check_inclusion(struct check *k, const Cohortium__LogProof *p, size_t i)
{
    const char *name = k->who[i]->name;
    const char *origin = checkpoint_origin(k->cx, k->facts->manifest->consortium, name);
    uint8_t root[DIGEST_BYTES], leaf[DIGEST_BYTES], path[MERKLE_PATH_MAX][32];
    uint64_t size;

    if (origin == NULL)
        return FAULT_MEMORY;
    if (checkpoint_verify(k->cx, p->checkpoint, origin, k->who[i]->signing_key.data, &size,
                          root) != FAULT_NONE)
        return part_failed(k, "log");
    if (size != p->size)
        return denied(k,
                      "log: the proof of %s is for a log of %" PRIu64
                      " records, its checkpoint for %" PRIu64,
                      name, p->size, size);
    if (p->n_path > MERKLE_PATH_MAX)
        return denied(k, "log: the proof of %s is too long", name);
    for (size_t j = 0; j < p->n_path; j++) {
        if (p->path[j].len != DIGEST_BYTES)
            return denied(k, "log: the proof of %s is not made of hashes", name);
        memcpy(path[j], p->path[j].data, DIGEST_BYTES);
    }
    merkle_leaf(PB_BYTES(p->record), leaf);
    if (!merkle_inclusion_holds(leaf, p->index, size, (const uint8_t(*)[32])path, p->n_path,
                                root))
        return denied(
            k, "log: the record of %s is not in the log that its checkpoint signs", name);
    return FAULT_NONE;
}

static enum fault check_leaves(struct check *k)
{
    const Cohortium__Receipt *r = k->receipt;
    char when[32];

    if (r->n_proofs != k->n)
        return denied(k, "log: %zu records, expected one of each of %zu sites", r->n_proofs,
                      k->n);
    for (size_t i = 0; i < k->n; i++) {
        const Cohortium__LogProof *p = r->proofs[i];

        if (!data_equal(p->node_id, k->who[i]->node_id.data, DIGEST_BYTES))
            return denied(k, "log: record %zu is not that of %s", i + 1, k->who[i]->name);
        TRY(check_record(k, k->records[i], i));
        TRY(check_inclusion(k, p, i));
    }
    k->facts->answered_at = k->last;
    return state(k, "every site logged the decision, the last one at %s",
                 clock_format(k->last, when, sizeof when));
}

enum fault receipt_verify(struct cx *cx, const Cohortium__Receipt *receipt,
                          const uint8_t *genesis, struct receipt_facts *ret)
{
    struct receipt_facts facts = {0};
    struct check k = {.cx = cx, .receipt = receipt, .facts = &facts};

    CX_NEW(cx, facts.statements, STATEMENTS_MAX);
    if (receipt->version != RECEIPT_VERSION)
        return denied(&k, "version %u, expected %d: use a newer program", receipt->version,
                      RECEIPT_VERSION);
    TRY(check_manifests(&k, genesis));
    if (receipt->n_releases == 0 && receipt->n_proofs == 0)
        return cx_fail(cx, FAULT_INVALID,
                       "receipt: it holds no release: a dry run has no answer to verify");
    TRY(read_records(&k));
    TRY(check_request(&k));
    TRY(check_permits(&k));
    TRY(check_preflights(&k));
    TRY(open_releases(&k));
    TRY(check_accepts(&k));
    TRY(check_releases(&k));
    TRY(check_leaves(&k));
    *ret = facts;
    return FAULT_NONE;
}

/* ---- file ---- */

static const char first_line[] = "cohortium receipt 1\n";
enum { LINE = 76 };

enum fault receipt_write(struct cx *cx, struct bytes packed, const char *path)
{
    size_t head = strlen(first_line);

    if (packed.n > RECEIPT_MAX)
        return cx_fail(cx, FAULT_BOUND, "a receipt of %zu bytes: at most %d are allowed",
                       packed.n, RECEIPT_MAX);
    size_t size = sodium_base64_encoded_len(packed.n, sodium_base64_VARIANT_ORIGINAL);
    char *base64 = cx_alloc(cx, size);
    char *text = cx_alloc(cx, head + size + size / LINE + 2);
    if (base64 == NULL || text == NULL)
        return FAULT_MEMORY;
    (void)sodium_bin2base64(base64, size, packed.p, packed.n,
                            sodium_base64_VARIANT_ORIGINAL);
    memcpy(text, first_line, head);
    size_t n = head;
    for (size_t i = 0, left = size - 1; left > 0;) {
        size_t take = left < LINE ? left : LINE;

        memcpy(text + n, base64 + i, take);
        n += take;
        text[n++] = '\n';
        i += take;
        left -= take;
    }
    return file_write(cx, "receipt", path, bytes_of(text, n), 0600, FILE_REPLACE);
}

enum fault receipt_read(struct cx *cx, const char *path, struct bytes *ret_packed)
{
    size_t head = strlen(first_line), got = 0;
    struct bytes text;

    TRY(file_read(cx, "receipt", path, RECEIPT_MAX / 2 * 3, false, &text));
    if (text.n < head || memcmp(text.p, first_line, head) != 0)
        return cx_fail(cx, FAULT_FORMAT,
                       "%s is not a receipt: expected the first line \"%.19s\"", path,
                       first_line);
    size_t size = (text.n - head) / 4 * 3 + 3;
    uint8_t *p = cx_alloc(cx, size);
    if (p == NULL)
        return FAULT_MEMORY;
    if (sodium_base642bin(p, size, (const char *)text.p + head, text.n - head, "\n\r ",
                          &got, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        got > RECEIPT_MAX)
        return cx_fail(cx, FAULT_FORMAT,
                       "%s: its lines after the first are not whole base64", path);
    *ret_packed = bytes_of(p, got);
    return FAULT_NONE;
}

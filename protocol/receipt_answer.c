/* receipt_answer.c - a receipt verified: what was agreed on, answered, signed and logged.
 */
#include "protocol/receipt_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/mask.h"
#include "protocol/merkle.h"

enum { NONCE_BYTES = 32 };

static bool is_by_site(const struct check *k)
{
    return k->facts->request.body->question->by_site;
}

/* A question is named by the versions of all that were asked. By site a release shows its
 * own alone: those of the others are in their preflights. */
static enum fault find_question(struct check *k, struct site_release *s)
{
    size_t n = is_by_site(k) ? k->n : s->body->n_versions;
    struct bytes *versions;

    CX_NEW(k->cx, versions, n);
    for (size_t i = 0; i < n; i++)
        versions[i] =
            PB_BYTES(is_by_site(k) ? k->preflights[i]->version : s->body->versions[i]);
    if (question_digest(k->cx, s->body->question, versions, n, s->policy, s->question) !=
        FAULT_NONE)
        return receipt_part_failed(k, "release");
    return FAULT_NONE;
}

/* Opens the releases: nothing in them is believed before check_releases. */
static enum fault open_releases(struct check *k)
{
    const Cohortium__Receipt *r = k->receipt;
    size_t want = is_by_site(k) ? k->n : 1;

    if (r->n_releases != want)
        return receipt_denied(k, "release: %zu in it, expected %zu", r->n_releases, want);
    CX_NEW(k->cx, k->releases, want);
    for (size_t i = 0; i < want; i++) {
        struct site_release *s = &k->releases[i];
        Cohortium__Release *body;

        if (envelope_open(k->cx, ENVELOPE_RELEASE, PB_BYTES(r->releases[i]),
                          &s->envelope) != FAULT_NONE ||
            pb_unpack(k->cx, &cohortium__release__descriptor, s->envelope.body,
                      envelope_bound(ENVELOPE_RELEASE), &body) != FAULT_NONE)
            return receipt_part_failed(k, "release");
        if (body->question == NULL || body->policy == NULL)
            return receipt_denied(k, "release: it lacks its question or its policy");
        s->body = body;
        TRY(policy_digest(k->cx, body->policy, s->policy));
        TRY(find_question(k, s));
    }
    k->n_releases = want;
    return FAULT_NONE;
}

/* The release that a participant stands behind, and where its own number is in it. */
static const struct site_release *release_of(const struct check *k, size_t site, size_t *at)
{
    *at = is_by_site(k) ? 0 : site;
    return &k->releases[is_by_site(k) ? site : 0];
}

static enum fault check_accept(struct check *k, const Cohortium__Accept *a, size_t i)
{
    const char *name = k->who[i]->name;
    size_t at;
    const struct site_release *s = release_of(k, i, &at);

    if (!data_equal(a->request, k->facts->request.envelope.digest, DIGEST_BYTES))
        return receipt_denied(k, "ACCEPT: that of %s accepts another request", name);
    TRY(receipt_check_request_id(k, "ACCEPT", a->stamp, i));
    if (!data_equal(a->question, s->question, DIGEST_BYTES))
        return receipt_denied(k, "ACCEPT: that of %s accepts another question", name);
    if (!data_equal(a->policy, s->policy, DIGEST_BYTES))
        return receipt_denied(k, "ACCEPT: that of %s names another session policy", name);
    if (a->n_participants != k->n || a->n_versions != k->n)
        return receipt_denied(k,
                              "ACCEPT: that of %s names %zu participants and %zu versions, "
                              "expected %zu",
                              name, a->n_participants, a->n_versions, k->n);
    if (a->ledger_head.len != DIGEST_BYTES || a->ephemeral_key.len != KEY_BYTES ||
        a->nonce.len != NONCE_BYTES)
        return receipt_denied(k,
                              "ACCEPT: that of %s has no ledger head, key or nonce of %d "
                              "bytes each",
                              name, NONCE_BYTES);
    for (size_t j = 0; j < k->n; j++) {
        if (!data_equal(a->participants[j], k->who[j]->node_id.data, DIGEST_BYTES))
            return receipt_denied(k, "ACCEPT: that of %s names other participants", name);
        if (!bytes_equal(PB_BYTES(a->versions[j]), PB_BYTES(k->preflights[j]->version)))
            return receipt_denied(k, "ACCEPT: that of %s names another version of %s", name,
                                  k->who[j]->name);
    }
    return FAULT_NONE;
}

/* The session that they opened; accepts: in order of participants. */
static enum fault state_accepts(struct check *k, const struct bytes *accepts)
{
    session_id(accepts, k->n, k->session);
    const char *hex = bytes_hex(k->cx, k->session, sizeof k->session);
    if (hex == NULL)
        return FAULT_MEMORY;
    return receipt_state(
        k,
        "%zu sites accepted the same question, participants, versions and policy, in the "
        "session whose transcript begins with %s",
        k->n, hex);
}

/* A repeated answer comes from an old session and has no ACCEPTs of its own; one site asked
 * alone has no session. */
static enum fault check_accepts(struct check *k)
{
    const Cohortium__Receipt *r = k->receipt;
    bool alone = is_by_site(k) && k->n == 1;
    struct bytes *seen; /* in order of participants */

    if (alone && r->n_accepts > 0)
        return receipt_denied(k, "ACCEPT: one site alone has nothing to accept");
    CX_NEW(k->cx, seen, k->n);
    for (size_t n = 0; n < r->n_accepts; n++) {
        struct envelope e;
        Cohortium__Accept *a;
        size_t i;

        if (envelope_open(k->cx, ENVELOPE_ACCEPT, PB_BYTES(r->accepts[n]), &e) !=
                FAULT_NONE ||
            pb_unpack(k->cx, &cohortium__accept__descriptor, e.body,
                      envelope_bound(ENVELOPE_ACCEPT), &a) != FAULT_NONE)
            return receipt_part_failed(k, "ACCEPT");
        TRY(receipt_check_stamp(k, "ACCEPT", a->stamp, &e, &i));
        if (seen[i].n > 0)
            return receipt_denied(k, "ACCEPT: %s has two", k->who[i]->name);
        TRY(check_accept(k, a, i));
        seen[i] = PB_BYTES(r->accepts[n]);
    }
    if (!alone && (r->n_accepts > 0 || k->from_sessions)) /* of all, or of none */
        for (size_t i = 0; i < k->n; i++)
            if (seen[i].n == 0)
                return receipt_denied(k, "ACCEPT: that of %s is missing", k->who[i]->name);
    if (r->n_accepts == 0)
        return receipt_state(
            k, alone ? "the site answered alone, by its own rules"
                     : "it is an answer given before: no new session was needed");
    return state_accepts(k, seen);
}

static enum fault check_outcome(struct check *k, const Cohortium__Release *b)
{
    bool testing = strcmp(b->policy->policy_class, "testing") == 0;

    if (b->released && b->result == NULL)
        return receipt_denied(k, "release: it says released but holds no result");
    if (!b->released && (b->result != NULL || b->reference.len != REFERENCE_BYTES))
        return receipt_denied(
            k, "release: a NOT_RELEASED has a reference of %d bytes and no result",
            REFERENCE_BYTES);
    if (b->exact_for_testing != testing)
        return receipt_denied(
            k, "release: its mark exact_for_testing does not follow from its policy");
    if (testing && !manifest_is_lab(k->facts->manifest))
        return receipt_denied(
            k, "release: exact for testing, and this consortium is not a lab");
    k->facts->exact_for_testing = k->facts->exact_for_testing || b->exact_for_testing;
    return FAULT_NONE;
}

/* sites `from` to `to` - 1 must stand behind this release. */
static enum fault check_release(struct check *k, const struct site_release *s, size_t from,
                                size_t to)
{
    const Cohortium__Release *b = s->body;
    struct bytes asked, answered;

    TRY(receipt_question_body(k->cx, k->facts->request.body->question, &asked));
    TRY(receipt_question_body(k->cx, b->question, &answered));
    if (!bytes_equal(asked, answered))
        return receipt_denied(k, "release: it answers another question than was asked");
    if (!data_equal(b->question_digest, s->question, DIGEST_BYTES))
        return receipt_denied(
            k, "release: its question digest does not follow from its question, "
               "versions and policy");
    if (b->n_participants != to - from || b->n_versions != to - from)
        return receipt_denied(k, "release: %zu participants and %zu versions, expected %zu",
                              b->n_participants, b->n_versions, to - from);
    for (size_t i = from; i < to; i++) {
        if (!data_equal(b->participants[i - from], k->who[i]->node_id.data, DIGEST_BYTES))
            return receipt_denied(
                k, "release: its participants are not the sites that were asked");
        if (!bytes_equal(PB_BYTES(b->versions[i - from]),
                         PB_BYTES(k->preflights[i]->version)))
            return receipt_denied(
                k, "release: the version of %s is not the one of its preflight",
                k->who[i]->name);
        if (!envelope_is_signed_by(&s->envelope, k->who[i]->signing_key.data))
            return receipt_denied(k, "release: %s has not signed it", k->who[i]->name);
    }
    return check_outcome(k, b);
}

/* site: whose release it is; NULL: everybody's. */
static enum fault state_release(struct check *k, const struct site_release *s,
                                const char *site)
{
    const char *digest = bytes_hex(k->cx, s->envelope.digest, DIGEST_BYTES);
    const char *policy = bytes_hex(k->cx, s->policy, sizeof s->policy);

    if (digest == NULL || policy == NULL)
        return FAULT_MEMORY;
    TRY(receipt_state(k, "the rules were those of policy class \"%.32s\", SHA-256 %s",
                      s->body->policy->policy_class, policy));
    return receipt_state(k, "%s is signed by %s: SHA-256 %s",
                         s->body->released ? "what was released" : "the NOT_RELEASED",
                         site == NULL ? "every site" : site, digest);
}

/* By site all are of one session: under one policy, and of all one is released or none. */
static enum fault check_alike(struct check *k, size_t i)
{
    const struct site_release *first = &k->releases[0], *s = &k->releases[i];

    if (memcmp(s->policy, first->policy, DIGEST_BYTES) != 0)
        return receipt_denied(k,
                              "release: that of %s is under another policy than that of %s",
                              k->who[i]->name, k->who[0]->name);
    if (s->body->released != first->body->released)
        return receipt_denied(
            k, "release: %s released and %s did not: by site it is all of them or none",
            k->who[s->body->released ? i : 0]->name,
            k->who[s->body->released ? 0 : i]->name);
    return FAULT_NONE;
}

static enum fault check_releases(struct check *k)
{
    struct receipt_facts *f = k->facts;

    if (is_by_site(k)) {
        CX_NEW(k->cx, f->site_releases, k->n);
        for (size_t i = 0; i < k->n; i++) {
            TRY(check_release(k, &k->releases[i], i, i + 1));
            TRY(check_alike(k, i));
            f->site_releases[i] = k->releases[i].body;
        }
    } else {
        TRY(check_release(k, &k->releases[0], 0, k->n));
        f->release = k->releases[0].body;
        f->body = k->releases[0].envelope.body;
    }
    f->n_sites = k->n;
    if (f->exact_for_testing)
        TRY(receipt_state(k,
                          "EXACT FOR TESTING: a lab's answer without disclosure control"));
    for (size_t i = 0; i < k->n_releases; i++)
        TRY(state_release(k, &k->releases[i], f->release != NULL ? NULL : k->who[i]->name));
    return FAULT_NONE;
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
        return receipt_denied(
            k,
            "log: the record of %s is of kind \"%.32s\", expected question or "
            "repeat",
            name, r->kind);
    if (!data_equal(r->subject, f->request.envelope.digest, DIGEST_BYTES))
        return receipt_denied(k, "log: the record of %s is of another request", name);
    if (!data_equal(r->question, s->question, DIGEST_BYTES))
        return receipt_denied(k, "log: the record of %s is of another question", name);
    if (!data_equal(r->outcome, s->envelope.digest, DIGEST_BYTES))
        return receipt_denied(k, "log: the record of %s is of another release", name);
    if (!data_equal(r->policy, s->policy, DIGEST_BYTES))
        return receipt_denied(k, "log: the record of %s is of another policy", name);
    if (strcmp(r->decision, want) != 0)
        return receipt_denied(k, "log: the record of %s says \"%.32s\", expected %s", name,
                              r->decision, want);
    if (!data_equal(r->who, f->request.who.subject, DIGEST_BYTES))
        return receipt_denied(k, "log: the record of %s is of another researcher", name);
    if (!bytes_equal(PB_BYTES(r->permit), PB_BYTES(f->request.body->permit)))
        return receipt_denied(k, "log: the record of %s is of another permit", name);
    return FAULT_NONE;
}

/* What a record refers to by digest; none is referred to by none. */
static enum fault check_digests(struct check *k, const Cohortium__LogRecord *r, size_t i)
{
    const size_t n[] = {r->details.len, r->ledger.len, r->transcript.len};

    for (size_t j = 0; j < COUNT(n); j++)
        if (n[j] != 0 && n[j] != DIGEST_BYTES)
            return receipt_denied(
                k, "log: the record of %s refers to something by %zu bytes, expected %d",
                k->who[i]->name, n[j], DIGEST_BYTES);
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
        return receipt_part_failed(k, "log");
    if (size != p->size)
        return receipt_denied(k,
                              "log: the proof of %s is for a log of %" PRIu64
                              " records, its checkpoint for %" PRIu64,
                              name, p->size, size);
    if (p->n_path > MERKLE_PATH_MAX)
        return receipt_denied(k, "log: the proof of %s is too long", name);
    for (size_t j = 0; j < p->n_path; j++) {
        if (p->path[j].len != DIGEST_BYTES)
            return receipt_denied(k, "log: the proof of %s is not made of hashes", name);
        memcpy(path[j], p->path[j].data, DIGEST_BYTES);
    }
    merkle_leaf(PB_BYTES(p->record), leaf);
    if (!merkle_inclusion_holds(leaf, p->index, size, (const uint8_t(*)[32])path, p->n_path,
                                root))
        return receipt_denied(
            k, "log: the record of %s is not in the log that its checkpoint signs", name);
    return FAULT_NONE;
}

/* Which data, under which rules, and where it stands in the log: one sentence a site. */
static enum fault state_site(struct check *k, const struct receipt_site *s)
{
    const char *version = bytes_hex(k->cx, s->version.p, s->version.n);
    char when[32];

    if (version == NULL)
        return FAULT_MEMORY;
    return receipt_state(
        k,
        "%s answered from version %s of its data and logged \"%.32s\" on %s: index %" PRIu64
        " of a log of %" PRIu64 " records that it signed",
        s->member->name, version, s->record->decision,
        clock_format((int64_t)s->record->time, when, sizeof when), s->index, s->size);
}

static enum fault state_sites(struct check *k)
{
    struct receipt_site *sites;

    CX_NEW(k->cx, sites, k->n);
    for (size_t i = 0; i < k->n; i++) {
        struct receipt_site *s = &sites[i];
        size_t at;

        s->member = k->who[i];
        s->version = PB_BYTES(k->preflights[i]->version);
        s->record = k->records[i];
        s->index = k->receipt->proofs[i]->index;
        s->size = k->receipt->proofs[i]->size;
        s->repeated = strcmp(s->record->kind, "repeat") == 0;
        memcpy(s->policy, release_of(k, i, &at)->policy, sizeof s->policy);
        TRY(state_site(k, s));
    }
    k->facts->sites = sites;
    return FAULT_NONE;
}

/* The ACCEPTs and the rounds shown are those of the session that the sites have logged:
 * what was proposed and sent in each is named by its digest. */
static enum fault check_rounds(struct check *k, const Cohortium__LogRecord *logged)
{
    const Cohortium__Receipt *r = k->receipt;
    uint8_t transcript[DIGEST_BYTES];

    if (logged == NULL)
        return r->n_rounds == 0
                   ? FAULT_NONE
                   : receipt_denied(k, "rounds: %zu of no session", r->n_rounds);
    memcpy(transcript, k->session, sizeof transcript);
    for (size_t i = 0; i < r->n_rounds; i++) {
        if (r->rounds[i].len != (1 + k->n) * DIGEST_BYTES)
            return receipt_denied(k, "rounds: round %zu does not hold %zu digests", i,
                                  1 + k->n);
        transcript_next(transcript, PB_BYTES(r->rounds[i]));
    }
    if (!data_equal(logged->transcript, transcript, sizeof transcript))
        return receipt_denied(k,
                              "rounds: what the sites have logged does not follow from the "
                              "ACCEPTs and the rounds shown");
    const char *hex = bytes_hex(k->cx, transcript, sizeof transcript);
    return hex == NULL
               ? FAULT_MEMORY
               : receipt_state(k,
                               "that session's %zu round%s lead to the transcript that "
                               "the sites have logged, %s",
                               r->n_rounds, r->n_rounds == 1 ? "" : "s", hex);
}

/* Their logs bind the sites to one session: by site no common release does, and a pooled
 * one says nothing of who was in it. An answer given before may be of several. */
static enum fault check_session(struct check *k)
{
    const Cohortium__LogRecord *first = NULL;

    for (size_t i = 0; i < k->n && k->n > 1; i++) {
        const Cohortium__LogRecord *r = k->records[i];

        if (strcmp(r->kind, "question") != 0)
            continue;
        if (r->transcript.len != DIGEST_BYTES)
            return receipt_denied(k, "log: the record of %s names no session",
                                  k->who[i]->name);
        if (first != NULL &&
            !bytes_equal(PB_BYTES(r->transcript), PB_BYTES(first->transcript)))
            return receipt_denied(k, "log: the record of %s is of another session",
                                  k->who[i]->name);
        first = r;
    }
    return check_rounds(k, first);
}

static enum fault check_leaves(struct check *k)
{
    const Cohortium__Receipt *r = k->receipt;
    char when[32];

    if (r->n_proofs != k->n)
        return receipt_denied(k, "log: %zu records, expected one of each of %zu sites",
                              r->n_proofs, k->n);
    for (size_t i = 0; i < k->n; i++) {
        const Cohortium__LogProof *p = r->proofs[i];

        if (!data_equal(p->node_id, k->who[i]->node_id.data, DIGEST_BYTES))
            return receipt_denied(k, "log: record %zu is not that of %s", i + 1,
                                  k->who[i]->name);
        TRY(check_record(k, k->records[i], i));
        TRY(check_digests(k, k->records[i], i));
        TRY(check_inclusion(k, p, i));
    }
    TRY(check_session(k));
    k->facts->answered_at = k->last;
    TRY(state_sites(k));
    return receipt_state(k, "every site logged the decision, the last one at %s",
                         clock_format(k->last, when, sizeof when));
}

enum fault receipt_check_answer(struct check *k)
{
    TRY(open_releases(k));
    TRY(check_accepts(k));
    TRY(check_releases(k));
    return check_leaves(k);
}

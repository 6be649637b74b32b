/* receipt_verify.c - a receipt verified: who asked what, and by whose leave. */
#include "protocol/receipt_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/clock.h"

enum { RECEIPT_VERSION = 1, NAMES_BYTES_MAX = 64 * 1024 };

enum fault receipt_denied(struct check *k, const char *format, ...)
{
    char text[900];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return cx_fail(k->cx, FAULT_DENIED, "receipt: %s", text);
}

enum fault receipt_part_failed(struct check *k, const char *part)
{
    enum fault fault = cx_prefix(k->cx, "receipt: %s: ", part);

    return fault == FAULT_MEMORY ? fault : FAULT_DENIED;
}

enum fault receipt_state(struct check *k, const char *format, ...)
{
    char text[900];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *copy = cx_strdup(k->cx, text);
    if (copy == NULL)
        return FAULT_MEMORY;
    if (k->facts->n_statements < k->most_statements)
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
        return receipt_part_failed(k, "manifest chain");
    k->facts->manifest = m;
    TRY(receipt_state(
        k, "the manifest chain of consortium \"%.128s\" holds up to version %" PRIu64,
        m->body->consortium_name, m->body->version));
    return receipt_state(
        k,
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
        return receipt_denied(k, "log: it holds no record of any site");
    for (size_t i = 0; i < r->n_proofs; i++) {
        if (pb_unpack(k->cx, &cohortium__log_record__descriptor,
                      PB_BYTES(r->proofs[i]->record), RECEIPT_MAX,
                      &k->records[i]) != FAULT_NONE)
            return receipt_part_failed(k, "log record");
        uint64_t time = k->records[i]->time;
        if (time > INT64_MAX / 2)
            return receipt_denied(k, "log: record %zu has no proper time", i + 1);
        k->first = i == 0 || (int64_t)time < k->first ? (int64_t)time : k->first;
        k->last = (int64_t)time > k->last ? (int64_t)time : k->last;
        k->from_sessions = k->from_sessions || strcmp(k->records[i]->kind, "question") == 0;
    }
    if (k->last > (int64_t)k->facts->manifest->body->valid_until)
        return receipt_denied(
            k, "manifest chain: its newest version was not valid any more when the "
               "answer was logged");
    if ((int64_t)k->facts->manifest->body->issued_at > k->last + CLOCK_SKEW_MS)
        return receipt_denied(
            k, "manifest chain: its newest version was issued after the answer was logged");
    return FAULT_NONE;
}

static enum fault state_request(struct check *k)
{
    const struct request *r = &k->facts->request;
    struct buffer names = buffer_new(k->cx, NAMES_BYTES_MAX);
    const char *key = bytes_hex(k->cx, r->who.subject, sizeof r->who.subject);
    char when[32];

    for (size_t i = 0; i < k->n; i++)
        buffer_printf(&names, "%s%s", i > 0 ? ", " : "", k->who[i]->name);
    const char *all = buffer_string(&names);
    if (key == NULL || all == NULL)
        return FAULT_MEMORY;
    return receipt_state(
        k,
        "the request is signed by %.128s (key %.16s...) on %s and names %zu site%s: %.500s",
        r->who.body->name, key,
        clock_format((int64_t)r->body->stamp->issued_at, when, sizeof when), k->n,
        k->n == 1 ? "" : "s", all);
}

static enum fault check_request(struct check *k)
{
    struct receipt_facts *f = k->facts;
    struct bytes packed = PB_BYTES(k->receipt->request);

    if (request_verify_at(k->cx, f->manifest, packed, k->first, &f->request) !=
            FAULT_NONE ||
        request_verify_at(k->cx, f->manifest, packed, k->last, &f->request) != FAULT_NONE)
        return receipt_part_failed(k, "request");
    const Cohortium__Request *r = f->request.body;
    if (r->dry_run)
        return cx_fail(k->cx, FAULT_INVALID,
                       "receipt: the request is a dry run, which has no answer to verify");
    k->n = r->question->n_sites;
    CX_NEW(k->cx, k->who, k->n);
    for (size_t i = 0; i < k->n; i++)
        k->who[i] = manifest_find(f->manifest, r->question->sites[i].data);
    TRY(receipt_state(k, "the credential of %.128s is signed by its home %s",
                      f->request.who.body->name, f->request.who.home->name));
    return state_request(k);
}

static enum fault check_permits(struct check *k)
{
    const struct receipt_facts *f = k->facts;
    const Cohortium__Receipt *r = k->receipt;

    if (r->n_permits > k->n)
        return receipt_denied(k, "permit: %zu in it, and %zu sites were asked",
                              r->n_permits, k->n);
    CX_NEW(k->cx, k->permits, r->n_permits);
    for (size_t i = 0; i < r->n_permits; i++) {
        struct complaints c = complaints_new(k->cx);

        if (permit_verify(k->cx, f->manifest, PB_BYTES(r->permits[i]), &k->permits[i]) !=
            FAULT_NONE)
            return receipt_part_failed(k, "permit");
        for (size_t j = 0; j < i; j++)
            if (memcmp(k->permits[i].envelope.digest, k->permits[j].envelope.digest,
                       DIGEST_BYTES) == 0)
                return receipt_denied(k, "permit: the same one is in it twice");
        permit_complaints(&c, &k->permits[i], f->manifest, f->request.body, &f->request.who,
                          k->first);
        permit_complaints(&c, &k->permits[i], f->manifest, f->request.body, &f->request.who,
                          k->last);
        TRY(c.fault);
        if (c.n > 0)
            return receipt_denied(k, "permit: %s", c.list[0]->text);
    }
    for (size_t i = 0; i < k->n; i++) {
        bool signed_for = false;

        for (size_t j = 0; j < r->n_permits && !signed_for; j++)
            signed_for = permit_is_signed_for(&k->permits[j], k->who[i]);
        if (!signed_for)
            return receipt_denied(k, "permit: no officer of %s has signed one",
                                  k->who[i]->name);
    }
    k->facts->permit = k->permits[0].body;
    const char *id = bytes_hex(k->cx, k->facts->permit->id.data, k->facts->permit->id.len);
    if (id == NULL)
        return FAULT_MEMORY;
    return receipt_state(
        k,
        "permit \"%.128s\" (%.8s...) covers it and is signed by an officer of every site",
        k->facts->permit->title, id);
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

enum fault receipt_check_stamp(struct check *k, const char *part, const Cohortium__Stamp *s,
                               const struct envelope *e, size_t *ret_site)
{
    size_t i = issuer_of(k, s);

    if (i == k->n)
        return receipt_denied(
            k, "%s: one was issued by a node that the request does not ask", part);
    if (!envelope_is_signed_by(e, k->who[i]->signing_key.data))
        return receipt_denied(k, "%s: that of %s does not carry its valid signature", part,
                              k->who[i]->name);
    if (!data_equal(s->consortium, k->facts->manifest->consortium, DIGEST_BYTES))
        return receipt_denied(k, "%s: that of %s was made for another consortium", part,
                              k->who[i]->name);
    /* A chain cut short would judge by keys and members that were replaced since. */
    if (s->manifest_version < 1 || s->manifest_version > k->facts->manifest->body->version)
        return receipt_denied(k,
                              "%s: that of %s was made under manifest version %" PRIu64
                              ", which is not in the chain",
                              part, k->who[i]->name, s->manifest_version);
    if (stamp_check(k->cx, s, k->facts->manifest, NULL, (int64_t)s->issued_at) !=
        FAULT_NONE)
        return receipt_part_failed(k, part);
    if ((int64_t)s->issued_at > k->last + CLOCK_SKEW_MS)
        return receipt_denied(k, "%s: that of %s was made after the answer was logged",
                              part, k->who[i]->name);
    *ret_site = i;
    return FAULT_NONE;
}

enum fault receipt_check_request_id(struct check *k, const char *part,
                                    const Cohortium__Stamp *s, size_t site)
{
    if (!bytes_equal(PB_BYTES(s->request_id),
                     PB_BYTES(k->facts->request.body->stamp->request_id)))
        return receipt_denied(k, "%s: that of %s is stamped for another request", part,
                              k->who[site]->name);
    return FAULT_NONE;
}

/* The permit that a site held when it agreed must be among those shown. */
static enum fault check_held_permit(struct check *k, const Cohortium__Preflight *p,
                                    size_t i)
{
    struct permit held;

    if (permit_verify(k->cx, k->facts->manifest, PB_BYTES(p->permit_envelope), &held) !=
        FAULT_NONE)
        return receipt_part_failed(k, "preflight's permit");
    if (!permit_is_signed_for(&held, k->who[i]))
        return receipt_denied(
            k, "preflight: %s showed a permit that none of its officers has signed",
            k->who[i]->name);
    for (size_t j = 0; j < k->receipt->n_permits; j++)
        if (memcmp(held.envelope.digest, k->permits[j].envelope.digest, DIGEST_BYTES) == 0)
            return FAULT_NONE;
    return receipt_denied(k, "preflight: %s showed a permit that is not in the receipt",
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
        return receipt_part_failed(k, "preflight");
    TRY(receipt_check_stamp(k, "preflight", p->stamp, &e, &i));
    if (k->preflights[i] != NULL)
        return receipt_denied(k, "preflight: %s has two", k->who[i]->name);
    if (!data_equal(p->request, k->facts->request.envelope.digest, DIGEST_BYTES))
        return receipt_denied(k, "preflight: that of %s answers another request",
                              k->who[i]->name);
    TRY(receipt_check_request_id(k, "preflight", p->stamp, i));
    if (p->n_complaints > 0)
        return receipt_denied(k, "preflight: %s complained: %.400s", k->who[i]->name,
                              p->complaints[0]->text);
    if (p->version.len != VERSION_ID_BYTES || p->policy == NULL ||
        p->ledger_head.len != DIGEST_BYTES)
        return receipt_denied(
            k, "preflight: that of %s lacks its version, its policy or its ledger's head",
            k->who[i]->name);
    if (k->facts->request.body->question->by_site && !p->by_site)
        return receipt_denied(k, "preflight: %s does not allow answers by site",
                              k->who[i]->name);
    TRY(check_held_permit(k, p, i));
    if (p->noise_left != 0 || p->budget != NULL)
        return receipt_denied(k, "preflight: that of %s is of a dry run", k->who[i]->name);
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
            return receipt_denied(k, "preflight: that of %s is missing", k->who[i]->name);
    return receipt_state(k, "every site found the request valid before it touched a row");
}

enum fault receipt_verify(struct cx *cx, const Cohortium__Receipt *receipt,
                          const uint8_t *genesis, struct receipt_facts *ret)
{
    struct receipt_facts facts = {0};
    struct check k = {.cx = cx, .receipt = receipt, .facts = &facts};

    k.most_statements = STATEMENTS + STATEMENTS_A_SITE * receipt->n_proofs;
    CX_NEW(cx, facts.statements, k.most_statements);
    if (receipt->version != RECEIPT_VERSION)
        return receipt_denied(&k, "version %u, expected %d: use a newer program",
                              receipt->version, RECEIPT_VERSION);
    TRY(check_manifests(&k, genesis));
    if (receipt->n_releases == 0 && receipt->n_proofs == 0)
        return cx_fail(cx, FAULT_INVALID,
                       "receipt: it holds no release: a dry run has no answer to verify");
    TRY(read_records(&k));
    TRY(check_request(&k));
    TRY(check_permits(&k));
    TRY(check_preflights(&k));
    TRY(receipt_check_answer(&k));
    TRY(receipt_check_witnesses(&k));
    *ret = facts;
    return FAULT_NONE;
}

/* desk_papers.c - policies, permits, researchers and codebooks come in as signed documents. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "node/vault/desk.h"
#include "node/vault/revocations.h"
#include "protocol/base/clock.h"

enum { DAY_MS = 24 * 3600 * 1000, DAYS_MAX = 30, CARD_MAX = 4096 };

/* What one transaction writes: a paper and its log record. */
struct act {
    struct desk *d;
    Cohortium__LogRecord record;
    const char *details;
    struct bytes packed, more;
    uint64_t serial;
    const struct permit *permit;
    const uint8_t *subject, *id;
    enum fault (*write)(struct cx *cx, sqlite3 *sql, struct act *a);
};

static enum fault write_act(struct cx *cx, sqlite3 *sql, void *user)
{
    struct act *a = user;
    uint64_t index;

    TRY(a->write(cx, sql, a));
    return audit_append(cx, sql, &a->record, a->details, &index);
}

static enum fault act(struct act *a, const char *kind, const char *details)
{
    uint8_t policy[32] = {0};
    const struct policy_now *now;

    a->record.kind = (char *)kind;
    a->record.decision = (char *)"done";
    if (vault_policy(a->d->cx, a->d->v, &now) == FAULT_NONE) {
        memcpy(policy, now->digest, sizeof policy);
        a->record.policy = PB_DATA(bytes_of(policy, sizeof policy));
    }
    a->details = details;
    return details == NULL ? FAULT_MEMORY : db_write(a->d->cx, a->d->v->db, write_act, a);
}

static struct act act_new(struct desk *d)
{
    struct act a = {.d = d};

    a.record = (Cohortium__LogRecord)COHORTIUM__LOG_RECORD__INIT;
    return a;
}

/* ---- policy ---- */

static enum fault write_policy(struct cx *cx, sqlite3 *sql, struct act *a)
{
    return policies_add(cx, sql, a->packed, a->serial, clock_utc_ms());
}

static enum fault current(struct cx *cx, sqlite3 *sql, void *user)
{
    return policies_current(cx, sql, user);
}

static enum fault open_policy(struct desk *d, struct bytes packed, Cohortium__Policy **body,
                              struct policy *numbers)
{
    struct envelope e;

    TRY(envelope_open(d->cx, ENVELOPE_POLICY, packed, &e));
    TRY(pb_unpack(d->cx, &cohortium__policy__descriptor, e.body,
                  envelope_bound(ENVELOPE_POLICY), body));
    return policy_open(d->cx, *body, manifest_is_lab(d->v->manifest), numbers);
}

static enum fault put_changes(struct desk *d, const struct policy *before,
                              const struct policy *after)
{
    size_t n = d->text.n;

    TRY(policy_put_changes(d->cx, before, after, &d->text));
    if (d->text.n == n)
        buffer_text(&d->text, "what may leave is the same\n");
    return FAULT_NONE;
}

enum fault desk_policy_apply(struct desk *d)
{
    struct act a = act_new(d);
    struct bytes old;
    struct policy before, after;
    const Cohortium__Policy *body;
    Cohortium__Policy *old_body = NULL;
    uint8_t digest[32];

    TRY(desk_blob(d, 0, "a signed policy", &a.packed));
    enum fault fault = db_read(d->cx, d->v->db, current, &old);
    if (fault != FAULT_NONE && fault != FAULT_MISSING)
        return fault;
    bool first = fault == FAULT_MISSING;
    if (!first)
        TRY(open_policy(d, old, &old_body, &before));
    TRY(policy_verify(d->cx, d->v->manifest, d->v->self, a.packed, first ? NULL : &before,
                      clock_utc_ms(), &after, &body));
    uint64_t next = old_body != NULL ? old_body->serial + 1 : 1;
    if (body->serial != next)
        return cx_fail(d->cx, FAULT_REPLAY,
                       "this policy is number %llu; expected number %llu: make it anew with "
                       "`cohortiumd policy sign`",
                       (unsigned long long)body->serial, (unsigned long long)next);
    a.serial = body->serial;
    a.write = write_policy;
    TRY(policy_digest(d->cx, body, digest));
    a.record.subject = PB_DATA(bytes_of(digest, sizeof digest));
    const char *changes = first ? "the first policy" : policy_difference(d->cx, &before, &after);
    TRY(act(&a, "policy",
            cx_printf(d->cx, "policy %llu applied, reason: %s; %s",
                      (unsigned long long)body->serial, body->reason, changes)));
    TRY(vault_load_policy(d->cx, d->v));
    buffer_printf(&d->text, "policy %llu is in force\n%s", (unsigned long long)body->serial,
                  first ? policy_words(d->cx, &after) : "");
    return first ? FAULT_NONE : put_changes(d, &before, &after);
}

enum fault desk_policy_show(struct desk *d)
{
    struct bytes packed;
    struct policy numbers;
    Cohortium__Policy *body;
    char from[32], until[32];

    TRY(db_read(d->cx, d->v->db, current, &packed));
    TRY(open_policy(d, packed, &body, &numbers));
    buffer_printf(&d->text, "policy %llu, class %s, from %s until %s\n",
                  (unsigned long long)body->serial, body->policy_class,
                  clock_format((int64_t)body->not_before, from, sizeof from),
                  clock_format((int64_t)body->not_after, until, sizeof until));
    const struct policy_now *now;
    if (vault_policy(d->cx, d->v, &now) != FAULT_NONE)
        buffer_printf(&d->text, "NOT IN FORCE: %s\n", cx_message(d->cx));
    buffer_text(&d->text, policy_words(d->cx, &numbers));
    return desk_give(d, packed);
}

struct list {
    struct bytes *list;
    size_t n;
    struct researcher_row *rows;
};

static enum fault list_policies(struct cx *cx, sqlite3 *sql, void *user)
{
    struct list *l = user;

    return policies_list(cx, sql, &l->list, &l->n);
}

enum fault desk_policy_history(struct desk *d)
{
    struct list l = {0};
    struct policy before, after;
    Cohortium__Policy *body;
    char from[32];

    TRY(db_read(d->cx, d->v->db, list_policies, &l));
    if (l.n == 0)
        buffer_text(&d->text, "no policy was ever applied\n");
    for (size_t i = 0; i < l.n; i++) {
        TRY(open_policy(d, l.list[i], &body, &after));
        buffer_printf(&d->text, "policy %llu from %s: %s\n", (unsigned long long)body->serial,
                      clock_format((int64_t)body->not_before, from, sizeof from), body->reason);
        if (i > 0)
            TRY(put_changes(d, &before, &after));
        before = after;
    }
    return FAULT_NONE;
}

/* ---- permits ---- */

static enum fault write_permit(struct cx *cx, sqlite3 *sql, struct act *a)
{
    const struct permit *p = a->permit;

    TRY(revocations_check(cx, sql, a->d->v->self, p->envelope.digest,
                          PB_BYTES(p->body->issuer)));
    return permits_add(cx, sql, p);
}

enum fault desk_permit_add(struct desk *d)
{
    struct act a = act_new(d);
    struct permit p;

    TRY(desk_blob(d, 0, "a signed permit", &a.packed));
    TRY(permit_verify(d->cx, d->v->manifest, a.packed, &p));
    if (!permit_is_signed_for(&p, d->v->self))
        return cx_fail(d->cx, FAULT_DENIED,
                       "no officer of %s has signed permit \"%s\": sign it with `cohortiumd "
                       "permit sign`",
                       d->v->self->name, p.body->title);
    if (clock_utc_ms() > (int64_t)p.body->not_after)
        return cx_fail(d->cx, FAULT_EXPIRED, "permit \"%s\" has expired", p.body->title);
    a.permit = &p;
    a.write = write_permit;
    a.record.subject = PB_DATA(bytes_of(p.envelope.digest, DIGEST_BYTES));
    a.record.permit = p.body->id;
    TRY(act(&a, "permit", cx_printf(d->cx, "permit \"%s\" added: %s", p.body->title,
                                    p.body->purpose)));
    buffer_printf(&d->text, "permit %s (\"%s\") is in force here\n",
                  bytes_hex(d->cx, p.body->id.data, p.body->id.len), p.body->title);
    return FAULT_NONE;
}

static enum fault list_permits(struct cx *cx, sqlite3 *sql, void *user)
{
    struct list *l = user;

    return permits_list(cx, sql, &l->list, &l->n);
}

struct find_end {
    const uint8_t *id;
    struct permit_end end;
};

static enum fault find_end(struct cx *cx, sqlite3 *sql, void *user)
{
    struct find_end *f = user;

    return permits_revoked(cx, sql, f->id, &f->end);
}

/* A permit without enough signatures of today's officers is listed as that. */
static enum fault open_listed(struct desk *d, struct bytes packed, struct permit *ret,
                              bool *ret_holds)
{
    Cohortium__Permit *body;

    *ret_holds = permit_verify(d->cx, d->v->manifest, packed, ret) == FAULT_NONE;
    if (*ret_holds)
        return FAULT_NONE;
    TRY(envelope_open(d->cx, ENVELOPE_PERMIT, packed, &ret->envelope));
    TRY(pb_unpack(d->cx, &cohortium__permit__descriptor, ret->envelope.body,
                  envelope_bound(ENVELOPE_PERMIT), &body));
    ret->body = body;
    return FAULT_NONE;
}

static enum fault put_permit(struct desk *d, struct bytes packed, bool whole)
{
    struct find_end find = {0};
    struct permit p;
    char until[32];
    bool holds;

    TRY(open_listed(d, packed, &p, &holds));
    find.id = p.body->id.data;
    TRY(db_read(d->cx, d->v->db, find_end, &find));
    buffer_printf(&d->text, "%s  \"%s\" %s %s%s%s\n",
                  bytes_hex(d->cx, p.body->id.data, p.body->id.len), p.body->title,
                  find.end.at != 0                               ? "REVOKED"
                  : (int64_t)p.body->not_after < clock_utc_ms() ? "expired"
                                                                 : "until",
                  clock_format(find.end.at != 0 ? find.end.at : (int64_t)p.body->not_after, until,
                               sizeof until),
                  find.end.at != 0 ? ": " : "", find.end.reason);
    if (find.end.at == 0 && (!holds || !permit_is_signed_for(&p, d->v->self)))
        buffer_text(&d->text, "  NOT HONOURED: its signatures are not enough under the manifest "
                              "in force\n");
    TRY(desk_put_revocations(d, p.envelope.digest, PB_BYTES(p.body->issuer)));
    if (!whole)
        return FAULT_NONE;
    buffer_printf(&d->text, "  purpose     %s\n  by site     %s\n", p.body->purpose,
                  p.body->by_site ? "yes" : "no");
    for (size_t i = 0; i < p.body->n_datasets; i++)
        buffer_printf(&d->text, "  dataset     %s\n", p.body->datasets[i]);
    for (size_t i = 0; i < p.body->n_members; i++) {
        const Cohortium__Member *m =
            manifest_find(d->v->manifest, p.body->members[i].data);
        if (m != NULL)
            buffer_printf(&d->text, "  member      %s, signed by its officer: %s\n", m->name,
                          permit_is_signed_for(&p, m) ? "yes" : "no");
    }
    for (size_t i = 0; i < p.body->n_researchers; i++)
        buffer_printf(&d->text, "  researcher  %s\n",
                      bytes_hex(d->cx, p.body->researchers[i].data, 32));
    buffer_printf(&d->text, "  variables   %s\n",
                  p.body->n_variables == 0 ? "every one that is not hidden" : "");
    for (size_t i = 0; i < p.body->n_variables; i++)
        buffer_printf(&d->text, "              %s\n", p.body->variables[i]);
    buffer_printf(&d->text, "  analyses    %s\n", p.body->n_analyses == 0 ? "all" : "");
    for (size_t i = 0; i < p.body->n_analyses; i++)
        buffer_printf(&d->text, "              %s\n", p.body->analyses[i]);
    return FAULT_NONE;
}

enum fault desk_permit_list(struct desk *d)
{
    struct list l = {0};

    TRY(db_read(d->cx, d->v->db, list_permits, &l));
    if (l.n == 0)
        buffer_text(&d->text, "no permit yet\n");
    for (size_t i = 0; i < l.n; i++)
        TRY(put_permit(d, l.list[i], false));
    return FAULT_NONE;
}

enum fault desk_permit_show(struct desk *d)
{
    struct bytes packed;
    const char *hex;
    uint8_t id[ID_BYTES];

    TRY(desk_word(d, 0, "a permit's id", &hex));
    TRY(bytes_from_hex(d->cx, hex, id, sizeof id));
    TRY(vault_find_permit(d->cx, d->v, id, &packed));
    TRY(put_permit(d, packed, true));
    return desk_give(d, packed);
}

/* ---- researchers ---- */

static enum fault write_researcher(struct cx *cx, sqlite3 *sql, struct act *a)
{
    return researchers_add(cx, sql, a->subject, a->id, a->packed);
}

enum fault desk_researcher_issue(struct desk *d)
{
    struct act a = act_new(d);
    Cohortium__Credential c = COHORTIUM__CREDENTIAL__INIT;
    Cohortium__Stamp stamp = COHORTIUM__STAMP__INIT;
    Cohortium__Card *card;
    struct bytes packed;
    uint8_t serial[ID_BYTES], subject[32];
    int64_t now = clock_utc_ms(), days = DAYS_MAX;

    TRY(desk_blob(d, 0, "a researcher's card", &packed));
    TRY(pb_unpack(d->cx, &cohortium__card__descriptor, packed, CARD_MAX, &card));
    if (strcmp(card->use, "researcher") != 0 || card->signing_key.len != KEY_BYTES ||
        card->noise_key.len != KEY_BYTES)
        return cx_fail(d->cx, FAULT_FORMAT,
                       "this is the card of use \"%.20s\"; expected one of `cohortium key new "
                       "--use researcher`",
                       card->use);
    if (d->call->n_arguments > 0 &&
        (sscanf(d->call->arguments[0], "%ld", &days) != 1 || days < 1 || days > DAYS_MAX))
        return cx_fail(d->cx, FAULT_USAGE, "--days %.20s: expected 1 to %d",
                       d->call->arguments[0], DAYS_MAX);
    randombytes_buf(serial, sizeof serial);
    TRY(stamp_fill(d->cx, &stamp, d->v->manifest, d->v->self->node_id.data, NULL, DAY_MS));
    stamp.n_audience = 0;
    c.stamp = &stamp;
    c.name = card->name;
    c.signing_key = card->signing_key;
    c.noise_key = card->noise_key;
    c.serial = PB_DATA(bytes_of(serial, sizeof serial));
    c.not_before = (uint64_t)now;
    c.not_after = (uint64_t)(now + days * DAY_MS);
    TRY(envelope_seal(d->cx, ENVELOPE_CREDENTIAL, &c.base, d->v->signing, &a.packed));
    digest_of(PB_BYTES(card->signing_key), subject);
    a.subject = subject;
    a.id = serial;
    a.write = write_researcher;
    a.record.who = PB_DATA(bytes_of(subject, sizeof subject));
    TRY(act(&a, "researcher", cx_printf(d->cx, "credential for %s issued, %ld days",
                                        card->name, (long)days)));
    buffer_printf(&d->text, "credential for %s, valid %ld days\n", card->name, (long)days);
    return desk_give(d, a.packed);
}

static enum fault list_researchers(struct cx *cx, sqlite3 *sql, void *user)
{
    struct list *l = user;

    return researchers_list(cx, sql, &l->rows, &l->n);
}

enum fault desk_researcher_list(struct desk *d)
{
    struct list l = {0};
    char until[32];

    TRY(db_read(d->cx, d->v->db, list_researchers, &l));
    if (l.n == 0)
        buffer_text(&d->text, "no credential was issued here yet\n");
    for (size_t i = 0; i < l.n; i++) {
        const struct researcher_row *r = &l.rows[i];
        const char *state = r->revoked_at != 0 ? "revoked"
                            : (int64_t)r->not_after < clock_utc_ms() ? "expired"
                                                                      : "valid";

        buffer_printf(&d->text, "%-20s %-8s until %s  key %s%s%s\n", r->name, state,
                      clock_format((int64_t)r->not_after, until, sizeof until),
                      bytes_hex(d->cx, r->subject, 8), r->reason != NULL && r->reason[0] ? "  " : "",
                      r->reason != NULL ? r->reason : "");
    }
    return FAULT_NONE;
}

/* ---- codebooks ---- */

static enum fault write_codebook(struct cx *cx, sqlite3 *sql, struct act *a)
{
    return store_put_codebook(cx, sql, a->more, a->packed);
}

enum fault desk_codebook_add(struct desk *d)
{
    struct act a = act_new(d);
    struct envelope e;
    struct codebook *cb;
    bool signed_here = false;

    TRY(desk_blob(d, 0, "a signed codebook", &a.packed));
    TRY(envelope_open(d->cx, ENVELOPE_CODEBOOK, a.packed, &e));
    TRY(codebook_open(d->cx, e.body, &cb));
    for (size_t i = 0; i < d->v->self->n_officers; i++)
        signed_here =
            signed_here || envelope_is_signed_by(&e, d->v->self->officers[i]->key.data);
    if (!signed_here)
        return cx_fail(d->cx, FAULT_DENIED,
                       "no officer of %s has signed this codebook: its roles say what may be "
                       "asked; sign it with `cohortiumd codebook sign`",
                       d->v->self->name);
    a.more = e.body;
    a.write = write_codebook;
    a.record.subject = PB_DATA(bytes_of(cb->digest, DIGEST_BYTES));
    TRY(act(&a, "codebook", cx_printf(d->cx, "codebook of %s added", cb->body->name)));
    buffer_printf(&d->text, "codebook of %s, digest %s\n", cb->body->name,
                  bytes_hex(d->cx, cb->digest, 8));
    return FAULT_NONE;
}

enum fault desk_codebook_show(struct desk *d)
{
    const char *name;
    struct bytes packed;

    TRY(desk_word(d, 0, "a dataset's name", &name));
    TRY(store_codebook(d->cx, d->v->store, name, NULL, &packed));
    return desk_give(d, packed);
}

/*
 * desk_revoke.c - permits and credentials taken back: the paper of an officer brought in,
 * the node's own paper for a credential that it issued, and the list of all papers.
 */
#include <string.h>

#include "node/vault/desk.h"
#include "node/vault/papers_store.h"
#include "node/vault/revocations.h"
#include "protocol/base/clock.h"

enum { HEX_DIGITS_MIN = 16 };

static void put_taken(struct desk *d, const struct revocation_taken *t)
{
    const Cohortium__Revocation *r = t->paper.body;

    if (!t->binds)
        buffer_printf(&d->text,
                      "the paper of %s about %s \"%s\" is kept as information, and told to "
                      "the other members; it does not bind this site: it is of none of its "
                      "officers and not of the issuer\n",
                      t->paper.member->name, r->what, r->title);
    else if (t->paper.of_permit)
        buffer_printf(
            &d->text,
            "permit \"%s\" is revoked at this site from its next request on; a "
            "question that runs under it ends at its next step\nthe paper goes to "
            "every member: it binds those that it is of%s\n",
            r->title,
            bytes_equal(PB_BYTES(r->member), PB_BYTES(r->issuer))
                ? ", and as the issuer's it binds all"
                : "; the others see it and decide for themselves");
    else
        buffer_printf(
            &d->text,
            "the credential of %s is revoked; it holds from now on, and the paper "
            "goes to every member\n",
            r->title);
}

enum fault desk_revoke(struct desk *d)
{
    struct revocation_taken taken;
    struct bytes packed;

    TRY(desk_blob(d, 0, "a revocation that an officer has signed", &packed));
    TRY(revocation_take(d->cx, d->v, packed, true, &taken));
    put_taken(d, &taken);
    return FAULT_NONE;
}

/* ---- credentials that this node issued ---- */

struct rows {
    struct researcher_row *rows;
    struct revocation_row *papers;
    size_t n;
    const uint8_t *target;
};

static enum fault read_rows(struct cx *cx, sqlite3 *sql, void *user)
{
    struct rows *r = user;

    return researchers_list(cx, sql, &r->rows, &r->n);
}

/* A key or serial may be shortened to the 16 digits that lists show. */
static bool is_meant(struct cx *cx, const struct researcher_row *r, const char *word)
{
    const char *subject = bytes_hex(cx, r->subject, sizeof r->subject),
               *serial = bytes_hex(cx, r->serial, sizeof r->serial);
    size_t n = strlen(word);

    return strcmp(r->name, word) == 0 ||
           (n >= HEX_DIGITS_MIN && subject != NULL && serial != NULL &&
            (strncmp(subject, word, n) == 0 || strncmp(serial, word, n) == 0));
}

/* The node takes back what the node has signed. */
static enum fault revoke_one(struct desk *d, const struct researcher_row *row,
                             const char *reason)
{
    Cohortium__Revocation r = COHORTIUM__REVOCATION__INIT;
    struct revocation_taken taken;
    struct envelope e;
    struct bytes packed;

    TRY(envelope_open(d->cx, ENVELOPE_CREDENTIAL, row->credential, &e));
    r.consortium = PB_DATA(bytes_of(d->v->manifest->consortium, DIGEST_BYTES));
    r.what = (char *)"credential";
    r.target = PB_DATA(bytes_of(e.digest, DIGEST_BYTES));
    r.id = PB_DATA(bytes_of(row->serial, ID_BYTES));
    r.issuer = r.member = d->v->self->node_id;
    r.title = (char *)row->name;
    r.reason = (char *)reason;
    r.issued_at = (uint64_t)clock_utc_ms();
    r.until = row->not_after;
    TRY(envelope_seal(d->cx, ENVELOPE_REVOCATION, &r.base, d->v->signing, &packed));
    return revocation_take(d->cx, d->v, packed, true, &taken);
}

enum fault desk_researcher_revoke(struct desk *d)
{
    struct rows list = {0};
    const char *who, *reason;
    size_t n = 0;

    TRY(desk_word(d, 0, "a researcher's name or key", &who));
    TRY(desk_reason(d, 1, &reason));
    TRY(db_read(d->cx, d->v->db, read_rows, &list));
    for (size_t i = 0; i < list.n; i++) {
        const struct researcher_row *row = &list.rows[i];

        if (row->revoked_at != 0 || (int64_t)row->not_after < clock_utc_ms() ||
            !is_meant(d->cx, row, who))
            continue;
        TRY(revoke_one(d, row, reason));
        n++;
    }
    if (n == 0)
        return cx_fail(
            d->cx, FAULT_MISSING,
            "no credential of `%.64s` that is not revoked was issued here; expected "
            "a name, or at least %d digits of a key or serial, as `cohortiumd "
            "researcher list` shows them",
            who, HEX_DIGITS_MIN);
    buffer_printf(
        &d->text,
        "%zu credential%s of %s revoked; it holds from now on, and the paper goes to "
        "every member\n",
        n, n == 1 ? "" : "s", who);
    return FAULT_NONE;
}

/* ---- which there are ---- */

static enum fault read_papers(struct cx *cx, sqlite3 *sql, void *user)
{
    struct rows *r = user;

    return revocations_list(cx, sql, r->target, &r->papers, &r->n);
}

static const char *member_name(const struct desk *d, const Cohortium__Revocation *r)
{
    const Cohortium__Member *m = manifest_find(d->v->manifest, r->member.data);

    return m != NULL ? m->name : "a former member";
}

enum fault desk_put_revocations(struct desk *d, const uint8_t target[32],
                                struct bytes issuer)
{
    struct rows list = {.target = target};

    TRY(db_read(d->cx, d->v->db, read_papers, &list));
    for (size_t i = 0; i < list.n; i++) {
        const Cohortium__Revocation *r;

        TRY(revocation_read(d->cx, list.papers[i].packed, &r));
        if (!revocation_binds(r, d->v->self, issuer))
            buffer_printf(&d->text,
                          "  an officer of %s has revoked it (%s); here it stands\n",
                          member_name(d, r), r->reason);
    }
    return FAULT_NONE;
}

enum fault desk_revocations(struct desk *d)
{
    struct rows list = {0};
    char at[32];

    TRY(db_read(d->cx, d->v->db, read_papers, &list));
    if (list.n == 0)
        buffer_text(&d->text, "no permit and no credential was revoked by a paper\n");
    for (size_t i = 0; i < list.n; i++) {
        const Cohortium__Revocation *r;

        TRY(revocation_read(d->cx, list.papers[i].packed, &r));
        buffer_printf(
            &d->text, "%s  %-10s %s  \"%s\" by %s: %s (%s)\n",
            clock_format((int64_t)r->issued_at, at, sizeof at), r->what,
            bytes_hex(d->cx, r->id.data, r->id.len), r->title, member_name(d, r), r->reason,
            revocation_binds(r, d->v->self, PB_BYTES(r->issuer)) ? "obeyed here"
                                                                 : "for information");
    }
    return FAULT_NONE;
}

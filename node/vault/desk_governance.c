/*
 * desk_governance.c - the manifest brought in by hand, a fork judged, permits taken back;
 * and what expires soon or waits for somebody, which every command tells.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/vault/desk.h"
#include "node/vault/review.h"
#include "protocol/base/clock.h"

static const int64_t DAY = 24 * 3600 * 1000;
enum { SOON_DAYS = 14, CREDENTIAL_SOON_DAYS = 5, NOTICES_MAX = 20, REASON_MAX = 500 };

enum fault desk_reason(struct desk *d, size_t i, const char **ret)
{
    TRY(desk_word(d, i, "a reason (--reason TEXT): the log must show why", ret));
    size_t n = strlen(*ret);
    if ((*ret)[strspn(*ret, " ")] == '\0' || n > REASON_MAX || !utf8_is_clean(*ret, n) ||
        strpbrk(*ret, "\r\n\t") != NULL)
        return cx_fail(d->cx, FAULT_USAGE,
                       "--reason: expected one line of at most %d bytes that says why",
                       REASON_MAX);
    return FAULT_NONE;
}

enum fault desk_manifest_publish(struct desk *d)
{
    const struct vault *v = d->v;
    const struct manifest *before = v->manifest, *after;
    struct bytes *list;

    CX_NEW(d->cx, list, d->call->n_blobs);
    for (size_t i = 0; i < d->call->n_blobs; i++)
        TRY(desk_blob(d, i, "a signed manifest", &list[i]));
    if (d->call->n_blobs == 0)
        return cx_fail(d->cx, FAULT_USAGE, "expected a signed manifest");
    TRY(vault_adopt(d->cx, d->v, list, d->call->n_blobs, "the operator"));
    after = v->manifest;
    if (after == before) {
        enum fault fault = vault_governed(d->cx, d->v);

        if (fault == FAULT_REFUSED)
            return fault; /* it was a fork, or this node is frozen */
        buffer_printf(&d->text, "manifest version %" PRIu64 " is in force here already\n",
                      after->body->version);
        return FAULT_NONE;
    }
    buffer_printf(&d->text,
                  "manifest version %" PRIu64
                  " is in force here, %zu members; every linked "
                  "member takes it now, the others at their next link\n",
                  after->body->version, after->body->n_members);
    return FAULT_NONE;
}

enum fault desk_manifest_thaw(struct desk *d)
{
    const char *reason;

    TRY(desk_reason(d, 0, &reason));
    bool take = d->call->n_arguments > 1 && strcmp(d->call->arguments[1], "take") == 0;
    TRY(vault_thaw(d->cx, d->v, reason, take));
    if (take) {
        buffer_text(&d->text, "this node takes the other manifest when it starts next: "
                              "cohortiumd stop, then cohortiumd serve\n");
        return FAULT_NONE;
    }
    buffer_printf(&d->text,
                  "thawed: this node goes on with manifest version %" PRIu64
                  " as it holds it; the other version stays in its folder as evidence\n",
                  d->v->manifest->body->version);
    return FAULT_NONE;
}

/* ---- what expires soon, or waits ---- */

struct notices {
    struct cx *cx;
    struct vault *v;
    const char **list;
    size_t n, more;
    int64_t now;
    bool rest;
};

static void notice(struct notices *n, const char *text)
{
    if (text == NULL)
        return;
    if (n->n < NOTICES_MAX)
        n->list[n->n++] = text;
    else
        n->more++;
}

static const char *when(struct notices *n, uint64_t ms)
{
    char text[32];

    return cx_strdup(n->cx, clock_format((int64_t)ms, text, sizeof text));
}

/* Within so many days from now, and not past. */
static bool is_soon(const struct notices *n, uint64_t end, int days)
{
    return (int64_t)end >= n->now && (int64_t)end - n->now < days * DAY;
}

static void notice_manifest(struct notices *n)
{
    const Cohortium__Manifest *b = n->v->manifest->body;
    enum fault fault = vault_governed(n->cx, n->v);

    if (fault != FAULT_NONE && n->rest)
        return;
    if (fault != FAULT_NONE)
        notice(n, cx_strdup(n->cx, cx_message(n->cx)));
    else if (is_soon(n, b->valid_until, SOON_DAYS))
        notice(n, cx_printf(n->cx,
                            "manifest version %" PRIu64 " ends %s, and then nothing is "
                            "answered: the governors renew it (`consortium renew`)",
                            b->version, when(n, b->valid_until)));
    else if (n->now > (int64_t)b->fresh_until)
        notice(n,
               cx_printf(n->cx,
                         "manifest version %" PRIu64 " was to be renewed by %s; no linked "
                         "member has a newer one",
                         b->version, when(n, b->fresh_until)));
}

static void notice_policy(struct notices *n)
{
    const struct policy_now *policy;

    if (vault_policy(n->cx, n->v, &policy) != FAULT_NONE)
        notice(n, cx_strdup(n->cx, cx_message(n->cx)));
    else if (is_soon(n, policy->numbers.not_after, SOON_DAYS))
        notice(n, cx_printf(n->cx, "the policy ends %s: an officer signs a new one",
                            when(n, policy->numbers.not_after)));
}

static enum fault list_papers(struct cx *cx, sqlite3 *sql, void *user)
{
    struct notices *n = user;
    struct bytes *permits;
    struct researcher_row *rows;
    size_t n_permits, n_rows;
    uint64_t waiting = 0;

    TRY(later_waiting(cx, sql, n->now, &waiting));
    if (waiting > 0)
        notice(n, cx_printf(cx,
                            "%" PRIu64
                            " question%s left for later wait%s at this node until every "
                            "site can answer",
                            waiting, waiting == 1 ? "" : "s", waiting == 1 ? "s" : ""));
    TRY(reviews_waiting(cx, sql, &waiting));
    if (waiting > 0)
        notice(n, cx_printf(cx,
                            "%" PRIu64 " answer%s wait%s for an officer of this site: "
                            "`cohortiumd review list`",
                            waiting, waiting == 1 ? "" : "s", waiting == 1 ? "s" : ""));
    TRY(permits_list(cx, sql, &permits, &n_permits));
    for (size_t i = 0; i < n_permits; i++) {
        struct permit_end end;
        struct permit p;

        /* What no officer of today has signed, this site does not honour any more. */
        if (permit_verify(cx, n->v->manifest, permits[i], &p) != FAULT_NONE)
            continue;
        TRY(permits_revoked(cx, sql, p.body->id.data, &end));
        if (!n->rest && end.at == 0 && is_soon(n, p.body->not_after, SOON_DAYS))
            notice(n, cx_printf(cx, "permit \"%.60s\" ends %s", p.body->title,
                                when(n, p.body->not_after)));
        else if (end.at == 0 && (int64_t)p.body->not_after >= n->now &&
                 !permit_is_signed_for(&p, n->v->self))
            notice(n, cx_printf(cx, "permit \"%.60s\" waits for an officer of this site",
                                p.body->title));
    }
    TRY(researchers_list(cx, sql, &rows, &n_rows));
    for (size_t i = 0; i < n_rows; i++) {
        bool renewed = false;

        for (size_t k = i + 1; k < n_rows && !renewed; k++)
            renewed = memcmp(rows[k].subject, rows[i].subject, DIGEST_BYTES) == 0;
        if (!renewed && rows[i].revoked_at == 0 &&
            is_soon(n, rows[i].not_after, CREDENTIAL_SOON_DAYS))
            notice(n, cx_printf(cx,
                                "the credential of %.60s ends %s: `cohortiumd researcher "
                                "issue` renews it",
                                rows[i].name, when(n, rows[i].not_after)));
    }
    return FAULT_NONE;
}

enum fault desk_notices(struct cx *cx, struct vault *v, bool rest, const char ***ret,
                        size_t *ret_n)
{
    struct notices n = {.cx = cx, .v = v, .now = clock_utc_ms(), .rest = rest};

    CX_NEW(cx, n.list, NOTICES_MAX + 1);
    notice_manifest(&n);
    if (!rest)
        notice_policy(&n);
    TRY(db_read(cx, v->db, list_papers, &n));
    if (n.more > 0 && (n.list[n.n] = cx_printf(cx, "and %zu more", n.more)) != NULL)
        n.n++;
    *ret = n.list;
    *ret_n = n.n;
    return FAULT_NONE;
}

/* desk_doctor.c - what doctor says of ledger, papers, members and versions, each problem with its
 * remedy; and a restored log taken on. */
#include <string.h>

#include "node/vault/desk.h"
#include "node/vault/ledger.h"
#include "node/vault/restored.h"
#include "protocol/base/clock.h"

enum {
    SOON_MS = 14 * 24 * 3600 * 1000,
    CLOCK_NOTE_MS = 20 * 1000,
    TIME_TEXT = 32
};

void desk_finding(struct desk *d, const char *check, enum finding finding, const char *what,
                  const char *remedy)
{
    finding_put(&d->findings, check, finding, what, remedy);
    if (finding == FINDING_PROBLEM)
        d->reply->status = 1;
}

/* ---- the ledger ---- */

static enum fault verify_ledger(struct cx *cx, sqlite3 *sql, void *user)
{
    (void)user;
    return ledger_verify(cx, sql);
}

static void check_ledger(struct desk *d)
{
    enum fault fault = db_read(d->cx, d->v->db, verify_ledger, NULL);

    desk_finding(d, "ledger", fault == FAULT_NONE ? FINDING_WELL : FINDING_PROBLEM,
                 "the ledger is whole and holds what the log says", cx_message(d->cx));
}

/* ---- papers ---- */

struct all_permits {
    struct bytes *list;
    size_t n;
};

static enum fault list_permits(struct cx *cx, sqlite3 *sql, void *user)
{
    struct all_permits *a = user;

    return permits_list(cx, sql, &a->list, &a->n);
}

static void check_permit(struct desk *d, struct bytes packed)
{
    struct envelope e;
    struct permit p;
    Cohortium__Permit *body;
    int64_t now = clock_utc_ms();
    char day[TIME_TEXT];

    /* One that was taken back, or is over, need not hold any more. */
    if (envelope_open(d->cx, ENVELOPE_PERMIT, packed, &e) == FAULT_NONE &&
        pb_unpack(d->cx, &cohortium__permit__descriptor, e.body,
                  envelope_bound(ENVELOPE_PERMIT), &body) == FAULT_NONE &&
        ((int64_t)body->not_after < now ||
         vault_permit_stands(d->cx, d->v, body->id.data) == FAULT_DENIED))
        return;
    if (permit_verify(d->cx, d->v->manifest, packed, &p) != FAULT_NONE) {
        desk_finding(d, "permit", FINDING_PROBLEM, "every permit holds under the manifest in force",
                     cx_message(d->cx));
        return;
    }
    int64_t left = (int64_t)p.body->not_after - now;
    clock_format((int64_t)p.body->not_after, day, sizeof day);
    if (left >= 0 && left < SOON_MS)
        desk_finding(d, "permit", FINDING_NOTE,
                     cx_printf(d->cx, "the permit %s ends %.10s", p.body->title, day),
                     "where the study goes on, sign and add a new one in time: `cohortiumd "
                     "permit new`");
}

static enum fault check_policy(struct desk *d)
{
    const struct policy_now *policy;
    char day[TIME_TEXT];

    if (vault_policy(d->cx, d->v, &policy) != FAULT_NONE) {
        desk_finding(d, "policy", FINDING_PROBLEM, "a policy is in force", cx_message(d->cx));
        return FAULT_NONE;
    }
    int64_t end = (int64_t)policy->numbers.not_after;
    clock_format(end, day, sizeof day);
    desk_finding(d, "policy", end - clock_utc_ms() < SOON_MS ? FINDING_PROBLEM : FINDING_WELL,
                 cx_printf(d->cx, "the policy in force is valid until %.10s", day),
                 "apply a new one with `cohortiumd policy apply`; without one this node answers "
                 "nothing");
    return FAULT_NONE;
}

enum fault desk_check_papers(struct desk *d)
{
    struct all_permits all = {0};
    const char **list;
    size_t n;

    check_ledger(d);
    TRY(check_policy(d));
    TRY(desk_notices(d->cx, d->v, true, &list, &n));
    for (size_t i = 0; i < n; i++)
        desk_finding(d, "soon", FINDING_NOTE, list[i], "");
    TRY(db_read(d->cx, d->v->db, list_permits, &all));
    for (size_t i = 0; i < all.n; i++)
        check_permit(d, all.list[i]);
    if (all.n == 0)
        desk_finding(d, "permit", FINDING_NOTE, "this node honours no permit yet",
                     "nobody may ask it anything: `cohortiumd permit add`");
    if (d->call->n_arguments > 0 && strcmp(d->call->arguments[0], COHORTIUM_VERSION) != 0)
        desk_finding(d, "version", FINDING_NOTE,
                     cx_printf(d->cx, "the node runs " COHORTIUM_VERSION
                                      ", this program is %.40s",
                               d->call->arguments[0]),
                     "start the node again to run the version that is installed");
    return FAULT_NONE;
}

/* ---- members ---- */

static const char *when(struct cx *cx, uint64_t ms)
{
    char text[TIME_TEXT];

    if (ms == 0)
        return "not since this node started";
    const char *copy = cx_strdup(cx, clock_format((int64_t)ms, text, sizeof text));
    return copy != NULL ? copy : "";
}

/* Both ways, as far as this node has seen them since it started. */
static const char *ways(struct cx *cx, const Cohortium__Site *s)
{
    return cx_printf(cx, "this node last dialled it: %s; it last dialled this node: %s",
                     when(cx, s->dialled), when(cx, s->was_dialled));
}

static void check_down(struct desk *d, const Cohortium__Site *s)
{
    const char *seen = s->since != 0
                           ? cx_printf(d->cx, "; its last link ended %s", when(d->cx, s->since))
                           : "; it was not linked since this node started";
    const char *how = s->failure[0] != '\0' ? s->failure : s->detail;

    desk_finding(d, "member", FINDING_PROBLEM, cx_printf(d->cx, "%s is linked", s->name),
                 cx_printf(d->cx,
                           "%s%s. Ask its operator whether it runs and what `cohortiumd "
                           "doctor` says there; one side must reach the other",
                           how, seen != NULL ? seen : ""));
}

static void check_clock(struct desk *d, const Cohortium__Site *s)
{
    int64_t size = s->clock_off < 0 ? -s->clock_off : s->clock_off;

    if (s->heard == 0 || size <= CLOCK_NOTE_MS)
        return;
    desk_finding(d, "member_clock", size > CLOCK_SKEW_MS ? FINDING_PROBLEM : FINDING_NOTE,
                 cx_printf(d->cx, "the clock of %s is %lld s %s this node's", s->name,
                           (long long)((size + 500) / 1000),
                           s->clock_off < 0 ? "behind" : "ahead of"),
                 cx_printf(d->cx,
                           "set the wrong one right (NTP): questions fail where they differ "
                           "by more than %d s",
                           CLOCK_SKEW_MS / 1000));
}

static void check_member(struct desk *d, const Cohortium__Site *s)
{
    if (strcmp(s->state, "linked") != 0) {
        check_down(d, s);
        return;
    }
    desk_finding(d, "member", FINDING_WELL,
                 cx_printf(d->cx, "%s is linked%s%s since %s; %s", s->name,
                           s->detail[0] != '\0' ? " " : "", s->detail, when(d->cx, s->since),
                           ways(d->cx, s)),
                 "");
    check_clock(d, s);
    if (s->heard != 0 && !s->ready)
        desk_finding(d, "member_ready", FINDING_NOTE,
                     cx_printf(d->cx, "%s answers no question now", s->name), s->why_not);
    if (s->heard != 0 && strcmp(s->software, COHORTIUM_VERSION) != 0)
        desk_finding(d, "member_version", FINDING_NOTE,
                     cx_printf(d->cx, "%s runs version %s, this node " COHORTIUM_VERSION, s->name,
                               s->software),
                     "that may be well; if sessions fail, update the older");
}

enum fault desk_check_members(struct desk *d)
{
    Cohortium__SitesReply *links;
    struct bytes copy;

    (void)pthread_mutex_lock(&d->v->lock);
    copy = bytes_of(cx_memdup(d->cx, d->v->links.p, d->v->links.n), d->v->links.n);
    (void)pthread_mutex_unlock(&d->v->lock);
    if (copy.n == 0) {
        desk_finding(d, "net", FINDING_PROBLEM, "the net process has told of its links",
                     "see the node's last lines");
        return FAULT_NONE;
    }
    TRY(pb_unpack(d->cx, &cohortium__sites_reply__descriptor, copy, LINK_MESSAGE_MAX, &links));
    for (size_t i = 0; i < links->n_sites; i++)
        if (strcmp(links->sites[i]->state, "this") != 0)
            check_member(d, links->sites[i]);
    return FAULT_NONE;
}

enum fault desk_audit_accept_restore(struct desk *d)
{
    const char *reason;

    TRY(desk_word(d, 0, "a reason, for the log", &reason));
    TRY(restored_accept(d->cx, d->v, reason));
    buffer_text(&d->text, "the restored log is taken on: this node may answer again\n");
    return FAULT_NONE;
}

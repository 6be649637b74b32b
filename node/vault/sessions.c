/* sessions.c - the table of running sessions: bounded, each with one owner at a time. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/vault/revocations.h"
#include "node/vault/session.h"
#include "protocol/base/clock.h"

static void session_free(struct session *s)
{
    session_forget(s);
    mask_free(&s->mask);
    if (s->secret != NULL)
        sodium_free(s->secret);
    reply_free(&s->last);
    dataset_release(&s->o.dataset);
    (void)pthread_mutex_destroy(&s->lock);
    struct cx *cx = s->cx;
    free(s);
    cx_free(&cx);
}

enum fault session_new(struct cx *cx, struct vault *v, struct session **ret)
{
    struct session *s = calloc(1, sizeof *s);

    if (s == NULL || (s->cx = cx_new(JOB_MEMORY, CX_NO_DEADLINE)) == NULL) {
        free(s);
        return cx_fail(cx, FAULT_MEMORY, "out of memory for a session");
    }
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        cx_free(&s->cx);
        free(s);
        return cx_fail(cx, FAULT_MEMORY, "out of memory for a session");
    }
    (void)pthread_mutex_lock(&s->lock); /* new: nobody else knows it */
    s->touched_ms = clock_mono_ms();
    s->manifest = v->manifest;
    *ret = s;
    return FAULT_NONE;
}

/* Whether nobody works on it and it has not started; it is locked then. */
static bool take_unstarted(struct session *s)
{
    if (pthread_mutex_trylock(&s->lock) != 0)
        return false;
    if (s->mask == NULL)
        return true;
    (void)pthread_mutex_unlock(&s->lock);
    return false;
}

/* Puts a locked, accepted session in the table. A request begun again replaces a session that
 * has not started (its coordinator lost our ACCEPT); a started one stays, and so does one of
 * a call that came later than this, whose ACCEPT the coordinator will have. */
enum fault session_enter(struct cx *cx, struct vault *v, struct session *s)
{
    enum fault fault = FAULT_NONE;
    struct session *old = NULL;
    size_t place = SESSIONS_MAX;

    (void)pthread_mutex_lock(&v->sessions_lock);
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *t = v->sessions[i];

        if (t == NULL) {
            if (place == SESSIONS_MAX)
                place = i;
        } else if (memcmp(t->request, s->request, DIGEST_BYTES) == 0) {
            if (t->arrival_us > s->arrival_us)
                fault = cx_fail(cx, FAULT_UNAVAILABLE,
                                "this request was begun once more meanwhile");
            else if (take_unstarted(t))
                old = t;
            else
                fault = cx_fail(cx, FAULT_REPLAY, "this request's session is running already");
            place = i;
            break;
        }
    }
    if (fault == FAULT_NONE && place == SESSIONS_MAX)
        fault = cx_fail(cx, FAULT_UNAVAILABLE,
                        "this node runs %d sessions already; ask again in a while",
                        SESSIONS_MAX);
    if (fault == FAULT_NONE)
        v->sessions[place] = s;
    (void)pthread_mutex_unlock(&v->sessions_lock);
    if (old != NULL) {
        (void)pthread_mutex_unlock(&old->lock);
        session_free(old);
    }
    return fault;
}

/* One that is not the caller's is neither locked nor kept alive by the call. Reads what
 * never changes once a session is in the table, under its lock. */
static enum fault find_own(struct cx *cx, struct vault *v, const struct caller *who,
                           const uint8_t request[32], struct session **ret)
{
    *ret = NULL;
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        if (v->sessions[i] != NULL &&
            memcmp(v->sessions[i]->request, request, DIGEST_BYTES) == 0) {
            TRY(caller_owns(cx, who, v->sessions[i]->owner));
            *ret = v->sessions[i];
        }
    return FAULT_NONE;
}

enum fault session_find(struct cx *cx, struct vault *v, const struct caller *who,
                        const uint8_t request[32], struct session **ret)
{
    struct session *found;

    (void)pthread_mutex_lock(&v->sessions_lock);
    enum fault fault = find_own(cx, v, who, request, &found);
    bool busy = found != NULL && pthread_mutex_trylock(&found->lock) != 0;
    (void)pthread_mutex_unlock(&v->sessions_lock);
    TRY(fault);
    if (busy)
        return cx_fail(cx, FAULT_UNAVAILABLE,
                       "a step of this session is still at work; ask for it again");
    if (found == NULL)
        return cx_fail(cx, FAULT_MISSING, "no such session: it ended, or this node restarted");
    found->touched_ms = clock_mono_ms();
    *ret = found;
    return FAULT_NONE;
}

size_t sessions_count(struct vault *v)
{
    size_t n = 0;

    (void)pthread_mutex_lock(&v->sessions_lock);
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        n += v->sessions[i] != NULL;
    (void)pthread_mutex_unlock(&v->sessions_lock);
    return n;
}

/* What it compares never changes once a session is in the table. */
enum fault sessions_know_no_other(struct cx *cx, struct vault *v, const struct request *r)
{
    bool known = false;

    (void)pthread_mutex_lock(&v->sessions_lock);
    for (size_t i = 0; i < SESSIONS_MAX && !known; i++) {
        const struct session *s = v->sessions[i];

        known = s != NULL && memcmp(s->request, r->envelope.digest, DIGEST_BYTES) != 0 &&
                bytes_equal(PB_BYTES(s->o.request.body->stamp->issuer),
                            PB_BYTES(r->body->stamp->issuer)) &&
                bytes_equal(PB_BYTES(s->o.request.body->stamp->request_id),
                            PB_BYTES(r->body->stamp->request_id));
    }
    (void)pthread_mutex_unlock(&v->sessions_lock);
    return known ? cx_fail(cx, FAULT_REPLAY,
                           "this request's id is in use for another request of the same "
                           "person; ask anew")
                 : FAULT_NONE;
}

/* ---- does what was accepted still stand? ---- */

static enum fault check_data(struct cx *cx, struct vault *v, const struct session *s)
{
    AUTO_DATASET struct dataset *d = NULL;

    /* A newer import does not matter: a session has pinned its version. */
    return store_version(cx, v->store, s->o.dataset->name, s->o.dataset->version, &d);
}

/* A session keeps the manifest that it began with, as long as nothing that it rests on is gone
 * from the newest: its participants, the researcher's home, the officers behind the permit. */
static enum fault check_manifest(struct cx *cx, struct vault *v, const struct session *s)
{
    const struct manifest *now = v->manifest;
    const struct request *r = &s->o.request;
    struct permit permit;

    if (now == s->manifest)
        return FAULT_NONE;
    for (size_t i = 0; i < s->n; i++)
        if (manifest_find(now, s->who[i]->node_id.data) == NULL)
            return cx_fail(cx, FAULT_DENIED, "%s is no member any more", s->who[i]->name);
    const Cohortium__Member *home = manifest_find(now, r->who.home->node_id.data);
    if (home == NULL || !home->issues_researchers)
        return cx_fail(cx, FAULT_DENIED,
                       "the researcher's home %s may not issue credentials any more",
                       r->who.home->name);
    TRY(permit_verify(cx, now, s->o.permit_packed, &permit));
    if (!permit_is_signed_for(&permit, v->self))
        return cx_fail(cx, FAULT_DENIED,
                       "no present officer of %s has signed permit \"%.64s\"", v->self->name,
                       permit.body->title);
    return FAULT_NONE;
}

/* What only a commit can change: looked at again when there was one. */
static enum fault check_papers(struct cx *cx, struct vault *v, struct session *s)
{
    const struct request *r = &s->o.request;
    uint64_t changes = db_changes(v->db); /* taken before anything is read */

    if (s->stood && s->stood_changes == changes)
        return FAULT_NONE;
    if (member_same(r->who.home, v->self))
        TRY(vault_admit(cx, v, PB_BYTES(r->body->credential)));
    TRY(vault_credential_stands(cx, v, &r->who));
    TRY(vault_permit_stands(cx, v, r->body->permit.data));
    TRY(check_data(cx, v, s));
    s->stood = true;
    s->stood_changes = changes;
    return FAULT_NONE;
}

enum fault session_stands(struct cx *cx, struct vault *v, struct session *s)
{
    const struct request *r = &s->o.request;
    const struct policy_now *policy;
    int64_t now = clock_utc_ms();

    TRY(vault_governed(cx, v));
    TRY(check_manifest(cx, v, s));
    if (now > (int64_t)r->who.body->not_after)
        return cx_fail(cx, FAULT_EXPIRED, "the researcher's credential has expired meanwhile");
    if (now > (int64_t)s->o.permit.body->not_after)
        return cx_fail(cx, FAULT_EXPIRED, "permit \"%.64s\" has expired meanwhile",
                       s->o.permit.body->title);
    TRY(vault_policy(cx, v, &policy));
    if (memcmp(policy->digest, s->o.policy->digest, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_CONFLICT,
                       "the policy of %s has changed since it accepted this question; ask again",
                       v->self->name);
    return check_papers(cx, v, s);
}

static void take_out(struct vault *v, const struct session *s)
{
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        if (v->sessions[i] == s)
            v->sessions[i] = NULL;
}

/* Both under the table's lock, so that an abort finds a session either free or at work. */
void session_unlock(struct vault *v, struct session *s)
{
    (void)pthread_mutex_lock(&v->sessions_lock);
    bool over = s->over || s->doomed;
    if (over)
        take_out(v, s);
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_mutex_unlock(&v->sessions_lock);
    if (over)
        session_free(s);
}

/* Frees what `dead` says and nobody works on. With `doom` (dead reads what never changes) the
 * others go as soon as their step is done. */
static void sweep(struct vault *v, bool (*dead)(const struct session *, const void *),
                  const void *what, bool doom)
{
    struct session *gone[SESSIONS_MAX];
    size_t n = 0;

    (void)pthread_mutex_lock(&v->sessions_lock);
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *s = v->sessions[i];

        if (s == NULL)
            continue;
        if (pthread_mutex_trylock(&s->lock) != 0) {
            s->doomed = s->doomed || (doom && dead(s, what));
        } else if (dead(s, what)) {
            v->sessions[i] = NULL;
            gone[n++] = s;
        } else {
            (void)pthread_mutex_unlock(&s->lock);
        }
    }
    (void)pthread_mutex_unlock(&v->sessions_lock);
    for (size_t i = 0; i < n; i++) {
        (void)pthread_mutex_unlock(&gone[i]->lock);
        session_free(gone[i]);
    }
}

static bool is_named(const struct session *s, const void *request)
{
    return memcmp(s->request, request, DIGEST_BYTES) == 0;
}

static bool is_idle(const struct session *s, const void *now)
{
    return *(const int64_t *)now - s->touched_ms > SESSION_IDLE_MS;
}

static bool is_any(const struct session *s, const void *unused)
{
    (void)s;
    (void)unused;
    return true;
}

/* Reads what never changes once a session is in the table. */
static bool has_stranger(const struct session *s, const void *manifest)
{
    for (size_t i = 0; i < s->n; i++)
        if (manifest_find(manifest, s->who[i]->node_id.data) == NULL)
            return true;
    return false;
}

void sessions_end_strangers(struct vault *v, const struct manifest *m)
{
    sweep(v, has_stranger, m, true);
}

enum fault vault_abort(struct cx *cx, struct vault *v, const struct caller *who,
                       struct bytes request_digest)
{
    struct session *found;

    if (request_digest.n != DIGEST_BYTES)
        return cx_fail(cx, FAULT_FORMAT, "an abort names its session by 32 bytes");
    (void)pthread_mutex_lock(&v->sessions_lock);
    enum fault fault = find_own(cx, v, who, request_digest.p, &found);
    (void)pthread_mutex_unlock(&v->sessions_lock);
    TRY(fault);
    /* Whatever has this name now is of the same signed request, so of the same owner. */
    sweep(v, is_named, request_digest.p, true);
    return FAULT_NONE;
}

void sessions_purge(struct vault *v, int64_t now_mono)
{
    sweep(v, is_idle, &now_mono, false);
    answers_purge(v, now_mono);
}

void sessions_free(struct vault *v)
{
    sweep(v, is_any, NULL, true);
    for (size_t i = 0; i < LAST_ANSWERS; i++)
        reply_free(&v->last[i]);
}

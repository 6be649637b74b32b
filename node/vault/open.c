/* open.c - a vault opened and closed; its policy in force; whether it may answer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "node/folder.h"
#include "node/log.h"
#include "node/vault/restored.h"
#include "node/vault/vault.h"
#include "protocol/base/clock.h"

/* ---- policy and readiness ---- */

enum { POLICY_AGAIN_MS = 1000, DISK_FULL_BYTES = 1024 * 1024 };

struct policies {
    struct bytes *list; /* oldest first */
    size_t n;
};

static enum fault all_policies(struct cx *cx, sqlite3 *sql, void *user)
{
    struct policies *p = user;

    return policies_list(cx, sql, &p->list, &p->n);
}

/* The numbers of an envelope that was verified when it was applied. */
static enum fault numbers_of(struct cx *cx, struct vault *v, struct bytes packed,
                             struct policy *ret)
{
    struct envelope e;
    Cohortium__Policy *body;

    TRY(envelope_open(cx, ENVELOPE_POLICY, packed, &e));
    TRY(pb_unpack(cx, &cohortium__policy__descriptor, e.body, envelope_bound(ENVELOPE_POLICY),
                  &body));
    return policy_open(cx, body, manifest_is_lab(v->manifest), ret);
}

/* The newest policy, its signatures judged against what was in force before it. */
static enum fault load_policy(struct cx *own, struct vault *v, struct policy_now *fresh)
{
    struct policies all = {0};
    struct policy before;

    TRY(db_read(own, v->db, all_policies, &all));
    if (all.n == 0)
        return cx_fail(own, FAULT_MISSING,
                       "no policy is in force; write one and apply it with `cohortiumd policy "
                       "apply`");
    if (all.n > 1)
        TRY(numbers_of(own, v, all.list[all.n - 2], &before));
    fresh->packed = all.list[all.n - 1];
    TRY(policy_verify(own, v->manifest, v->self, fresh->packed, all.n > 1 ? &before : NULL,
                      clock_utc_ms(), &fresh->numbers, &fresh->body));
    return policy_digest(own, fresh->body, fresh->digest);
}

enum fault vault_load_policy(struct cx *cx, struct vault *v)
{
    struct policy_now *fresh = NULL;
    struct cx *own = cx_new(16 * 1024 * 1024, CX_NO_DEADLINE);
    enum fault fault = FAULT_MEMORY;

    if (own != NULL && (fresh = cx_alloc(own, sizeof *fresh)) != NULL) {
        fresh->cx = own;
        fault = load_policy(own, v, fresh);
    }
    (void)pthread_mutex_lock(&v->lock);
    bool same = fault == FAULT_NONE && v->policy != NULL &&
                bytes_equal(v->policy->packed, fresh->packed);
    if (!same)
        v->policy = fault == FAULT_NONE ? fresh : NULL; /* an old one stays: sessions read it */
    v->why_not[0] = '\0';
    if (fault != FAULT_NONE)
        (void)snprintf(v->why_not, sizeof v->why_not, "%s",
                       own != NULL ? cx_message(own) : "out of memory");
    (void)pthread_mutex_unlock(&v->lock);
    if (fault != FAULT_NONE)
        (void)cx_fail(cx, fault, "%s", own != NULL ? cx_message(own) : "out of memory");
    if (fault != FAULT_NONE || same)
        cx_free(&own);
    return fault;
}

/* A policy that did not hold at start may hold by now (its first day, a clock put right): it is
 * read again, at most once a second. */
static void reload_policy(struct cx *cx, struct vault *v)
{
    int64_t now = clock_mono_ms();

    (void)pthread_mutex_lock(&v->lock);
    bool again = v->policy == NULL && now >= v->policy_again;
    if (again)
        v->policy_again = now + POLICY_AGAIN_MS;
    (void)pthread_mutex_unlock(&v->lock);
    if (again && vault_load_policy(cx, v) == FAULT_NONE)
        log_notice("the policy is in force now: this node answers questions");
}

enum fault vault_policy(struct cx *cx, struct vault *v, const struct policy_now **ret)
{
    const struct policy_now *policy = NULL;
    int64_t now = clock_utc_ms();
    enum fault fault = FAULT_NONE;
    char text[32];

    reload_policy(cx, v);
    (void)pthread_mutex_lock(&v->lock);
    if (v->log_trouble[0] != '\0') /* the ledger is as old as the log: nothing is safe */
        fault = cx_fail(cx, FAULT_REFUSED, "%s", v->log_trouble);
    else if (v->ledger_trouble[0] != '\0')
        fault = cx_fail(cx, FAULT_REFUSED, "%s", v->ledger_trouble);
    else if (v->policy == NULL)
        fault = cx_fail(cx, FAULT_REFUSED, "%s", v->why_not);
    else if (now + CLOCK_SKEW_MS < (int64_t)v->policy->numbers.not_before)
        fault = cx_fail(cx, FAULT_REFUSED,
                        "the policy in force begins %s; is this node's clock right?",
                        clock_format((int64_t)v->policy->numbers.not_before, text, sizeof text));
    else if (now > (int64_t)v->policy->numbers.not_after)
        fault = cx_fail(cx, FAULT_REFUSED,
                        "the policy in force expired %s; apply a new one with `cohortiumd "
                        "policy apply`",
                        clock_format((int64_t)v->policy->numbers.not_after, text, sizeof text));
    else
        policy = v->policy;
    (void)pthread_mutex_unlock(&v->lock);
    TRY(fault); /* what is worse comes first */
    TRY(restored_judge(cx, v));
    *ret = policy;
    return FAULT_NONE;
}

struct last_time {
    uint64_t time;
};

static enum fault last_time(struct cx *cx, sqlite3 *sql, void *user)
{
    ((struct last_time *)user)->time = audit_last_time(cx, sql);
    return FAULT_NONE;
}

enum fault vault_clock(struct cx *cx, struct vault *v)
{
    struct last_time last = {0};
    int64_t now = clock_utc_ms();
    char ours[32], newest[32];

    TRY(db_read(cx, v->db, last_time, &last));
    if (now >= (int64_t)last.time - CLOCK_SKEW_MS)
        return FAULT_NONE;
    return cx_fail(cx, FAULT_CONFLICT,
                   "the clock says %s, and the newest record of this node's log is of %s: one of "
                   "them was wrong; set the clock right (records keep the later time until then)",
                   clock_format(now, ours, sizeof ours),
                   clock_format((int64_t)last.time, newest, sizeof newest));
}

enum fault vault_late(struct cx *cx, struct vault *v, int64_t now, int64_t *ret)
{
    struct last_time last = {0};

    TRY(db_read(cx, v->db, last_time, &last));
    if (last.time > INT64_MAX / 2)
        return cx_fail(cx, FAULT_STORAGE, "the newest record of this node's log has no time");
    *ret = (int64_t)last.time > now ? (int64_t)last.time : now;
    if (*ret - now <= SESSION_LIFE_MAX_MS)
        return FAULT_NONE;
    TRY(vault_clock(cx, v)); /* always fails */
    return FAULT_NONE;
}

enum fault vault_is_ready(struct cx *cx, struct vault *v)
{
    const struct policy_now *policy;
    struct statvfs disk;

    TRY(vault_governed(cx, v));
    if (statvfs(v->folder, &disk) == 0 &&
        (uint64_t)disk.f_bavail * disk.f_frsize < DISK_FULL_BYTES)
        return cx_fail(cx, FAULT_STORAGE, "the disk is full: free some space at %s", v->folder);
    return vault_policy(cx, v, &policy);
}

static enum fault open_parts(struct cx *cx, struct vault *v, const char *passphrase)
{
    struct keys *signing, *patient;

    v->folder_fd = open(v->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    v->data_fd =
        v->folder_fd < 0 ? -1 : openat(v->folder_fd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (v->data_fd < 0)
        return cx_fail(cx, FAULT_IO, "%s is not a node's folder: %s; make one with `cohortiumd "
                                     "init`",
                       v->folder, strerror(errno));
    TRY(keys_read(cx, cx_printf(cx, "%s/keys/signing.key", v->folder), "node_signing",
                  passphrase, &signing));
    v->signing = signing;
    TRY(keys_read(cx, cx_printf(cx, "%s/keys/patient.key", v->folder), "patient", passphrase,
                  &patient));
    v->patient = patient;
    TRY(governance_open(cx, v));
    v->origin = checkpoint_origin(cx, v->manifest->consortium, v->self->name);
    TRY(db_open(cx, cx_printf(cx, "%s/vault.db", v->folder), &v->db));
    TRY(store_open(cx, v->db, v->data_fd, &v->store));
    return restored_load(cx, v);
}

void vault_close(struct vault *v)
{
    sessions_free(v);
    memories_free(&v->memories);
    store_close(&v->store);
    db_close(&v->db);
    keys_free((struct keys **)&v->signing);
    keys_free((struct keys **)&v->patient);
    free((void *)v->links.p);
    governance_close(v);
    if (v->data_fd >= 0)
        (void)close(v->data_fd);
    if (v->folder_fd >= 0)
        (void)close(v->folder_fd);
}

enum fault vault_open(struct cx *cx, struct vault *v, const char *folder,
                      const char *passphrase)
{
    *v = (struct vault){.folder = folder, .cx = cx, .folder_fd = -1, .data_fd = -1,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .manifest_lock = PTHREAD_MUTEX_INITIALIZER,
                        .memories = {.lock = PTHREAD_MUTEX_INITIALIZER},
                        .sessions_lock = PTHREAD_MUTEX_INITIALIZER,
                        .asking = {.turn = PTHREAD_MUTEX_INITIALIZER,
                                   .heard = PTHREAD_COND_INITIALIZER},
                        .started_at = clock_utc_ms()};
    return open_parts(cx, v, passphrase);
}

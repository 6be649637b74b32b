/*
 * vault.h - the process that holds data, signing key, policy, ledger and log.
 *
 *   governance.c the manifest in force, newer versions, forks
 *   open.c       opened and closed; policy in force; readiness
 *   caller.c     who is behind a call that net hands over, and whose session is whose
 *   vault.c      the loop over net's socketpair and the admin socket, worker threads
 *   preflight.c  is this question valid here? signed, decided without data
 *   session.c    one question's rounds: accept, regions, verdict, sums, veto, release
 *   bysite.c     one site's own rows: alone, or with others that withhold alike
 *   memory.h     what was released before; who judges it together
 *   charge.c     what a question costs, and that its id is new
 *   later.c      questions that wait until every site can answer
 *   catalog.c    what this site has, for peers and researchers
 *   witness.h    others' logs here, ours at others
 *   desk.c       the officers' and operators' commands (admin socket)
 *
 * A job belongs to one worker from first byte to answer. Shared: manifest and policy (replaced
 * whole under `lock`), db and store (own locks), sessions (own lock).
 */
#pragma once

#include <pthread.h>

#include "node/ipc.h"
#include "node/vault/audit.h"
#include "node/vault/caller.h"
#include "node/vault/gate.h"
#include "node/vault/memory.h"
#include "node/vault/papers_store.h"
#include "node/vault/store.h"
#include "protocol/link.h"
#include "protocol/receipt.h"

enum { SESSIONS_MAX = 64, SESSION_IDLE_MS = 10 * 60 * 1000, JOB_MEMORY = 1 << 30 };

struct policy_now { /* the policy in force; immutable once made */
    struct cx *cx;
    struct policy numbers;
    const Cohortium__Policy *body;
    struct bytes packed;
    uint8_t digest[32];
};

struct session;

struct step_reply { /* malloc memory; holds boxes and signatures, nothing that is secret */
    uint8_t call[DIGEST_BYTES]; /* digest of the step that it answers */
    uint8_t owner[DIGEST_BYTES]; /* of the session */
    uint8_t *p;
    size_t n;
    int64_t kept_ms;
};
enum { LAST_ANSWERS = 32 };

enum { ASKED_MAX = 1000 };
struct asking { /* what peers hold of our log, while somebody waits for it; under `lock` */
    pthread_mutex_t turn; /* one who waits at a time */
    pthread_cond_t heard;
    uint64_t id;
    bool waiting, last; /* last: `linked` is known */
    size_t n, linked;
    struct bytes list[ASKED_MAX]; /* packed PeerHolds, malloc memory */
};

struct vault {
    const char *folder;
    int folder_fd, data_fd;
    const struct keys *signing, *patient;
    struct db *db;
    struct store *store;
    /* Each version is never changed and stays until close; these point to the newest. Two
     * reads may see two versions: compare members with member_same. */
    struct manifest *_Atomic manifest;
    const Cohortium__Member *_Atomic self; /* as of the newest version that lists it */
    pthread_mutex_t manifest_lock;      /* one adoption at a time; before `lock` */
    struct manifest_memory *manifests;  /* of those adopted since start; under manifest_lock */
    char frozen[512];                   /* why, or empty; under lock */
    /* To net, from any thread. NULL where there is no net (tests). */
    void (*to_net)(void *user, struct cx *cx, enum ipc_kind kind, struct bytes body);
    void *to_net_user;
    struct cx *cx;                      /* lives as long as the process */
    const char *origin;                 /* of checkpoints */
    pthread_mutex_t lock;
    struct policy_now *policy;          /* NULL: answers nothing; why_not says why */
    char why_not[512];
    int64_t policy_again;               /* when to try a policy that did not hold, monotonic */
    struct bytes links;                 /* newest IPC_LINKS, malloc memory */
    bool restored;                      /* and not yet compared (restored.h), but by this */
    char restored_by[64];               /* member, whose word alone is not enough; or "" */
    bool restored_against;              /* somebody has seen what it lacks, since start */
    char log_trouble[1024];             /* why nothing may be built on the log; "": nothing */
    char ledger_trouble[1024];          /* found at start, and never changed after it */
    bool log_damaged;                   /* it is then shown as its leaves are now: */
    uint64_t damaged_size;
    uint8_t damaged_root[32];
    struct asking asking;
    struct memories memories;           /* own lock */
    pthread_mutex_t sessions_lock;
    struct session *sessions[SESSIONS_MAX];
    struct step_reply last[LAST_ANSWERS]; /* of sessions that ended; under sessions_lock */
    int64_t started_at;
    uint64_t questions, released;       /* since start, for status */
};

/* Runs until net or the supervisor goes away. passphrase: guarded, wiped by the caller. */
struct vault_setup {
    const char *folder;
    const char *passphrase;
    int net_fd;      /* socketpair to net */
    int control_fd;  /* from the supervisor: end of file means stop */
    int admin_fd;    /* listening unix socket */
};
CHECKED enum fault vault_run(struct cx *cx, const struct vault_setup *setup);

/* Keys, manifest, database and data of a node's folder. Close it on every path, also after a
 * failed open. cx lives as long as the vault. */
CHECKED enum fault vault_open(struct cx *cx, struct vault *v, const char *folder,
                              const char *passphrase);
void vault_close(struct vault *v);

/* governance.c. The chain in the folder, this node in it, whether it is frozen. */
CHECKED enum fault governance_open(struct cx *cx, struct vault *v);
void governance_close(struct vault *v);
/* FAULT_REFUSED: frozen, or no member any more. FAULT_EXPIRED: past the manifest's end. */
CHECKED enum fault vault_governed(struct cx *cx, struct vault *v);
/* Takes what follows the manifest in force, oldest first, and what proves a fork. What stands
 * before a bad one holds. from: who it came from, for the log. */
CHECKED enum fault vault_adopt(struct cx *cx, struct vault *v, const struct bytes *list,
                               size_t n, const char *from);
CHECKED enum fault vault_offer(struct cx *cx, struct vault *v, const struct ipc_caller *from,
                               struct bytes packed);
/* An operator has judged a fork. take: the other one holds, from the next start on.
 * FAULT_CONFLICT: not frozen. */
CHECKED enum fault vault_thaw(struct cx *cx, struct vault *v, const char *reason, bool take);

/* (Re)reads the policy in force, judges it at now; sets policy or why_not. */
CHECKED enum fault vault_load_policy(struct cx *cx, struct vault *v);
/* A copy of the pointer, or FAULT_REFUSED with log_trouble, ledger_trouble or why_not: no policy
 * lets a node answer whose log or ledger does not hold. */
CHECKED enum fault vault_policy(struct cx *cx, struct vault *v, const struct policy_now **ret);
/* FAULT_CONFLICT: the clock stands before the node's own log, which goes on all the same: the
 * stamps of a question are what a wrong clock fails at. */
CHECKED enum fault vault_clock(struct cx *cx, struct vault *v);
/* The time by which papers are judged: now, or the newest record's, which is past, wherever the
 * clock was put since. FAULT_CONFLICT: the clock stands more than a day before it; what is
 * answered now would be logged at a time at which its request has long expired. */
CHECKED enum fault vault_late(struct cx *cx, struct vault *v, int64_t now, int64_t *ret);
/* A fault unless manifest, disk and policy let this node answer. */
CHECKED enum fault vault_is_ready(struct cx *cx, struct vault *v);

/* Nothing may be built on this node's log: it answers nothing from here on. */
void vault_log_trouble(struct vault *v, const char *text);
/* Peers are to see the log; without a net nothing happens. */
void vault_show_log(struct cx *cx, struct vault *v);

/* One log record on its own. */
CHECKED enum fault vault_log(struct cx *cx, struct vault *v, Cohortium__LogRecord *record,
                             const char *details);
CHECKED enum fault vault_find_permit(struct cx *cx, struct vault *v, const uint8_t id[16],
                                     struct bytes *ret_packed);
/* FAULT_DENIED: an officer has taken this permit back here. */
CHECKED enum fault vault_permit_stands(struct cx *cx, struct vault *v, const uint8_t id[16]);
CHECKED enum fault vault_ledger_head(struct cx *cx, struct vault *v, const char *name_space,
                                     uint8_t ret[32]);

/* ---- services: body in, packed reply out (in cx) ----
 *
 * The first four are for the home of the question's researcher alone: FAULT_DENIED. */
CHECKED enum fault vault_preflight(struct cx *cx, struct vault *v, const struct caller *who,
                                   struct bytes request, struct bytes *ret);
CHECKED enum fault vault_begin(struct cx *cx, struct vault *v, const struct caller *who,
                               struct bytes call, struct bytes *ret);
CHECKED enum fault vault_step(struct cx *cx, struct vault *v, const struct caller *who,
                              struct bytes call, struct bytes *ret);
/* Of what does not run there is nothing to end: FAULT_NONE. */
CHECKED enum fault vault_abort(struct cx *cx, struct vault *v, const struct caller *who,
                               struct bytes request_digest);
/* Those with a participant that m does not list end; at once, or with their running step. */
void sessions_end_strangers(struct vault *v, const struct manifest *m);
void sessions_free(struct vault *v);
size_t sessions_count(struct vault *v); /* for status */
void sessions_purge(struct vault *v, int64_t now_mono);

/* What preflight finds out, again, for begin: everything opened against our codebook. */
struct opened {
    struct request request;
    struct permit permit;
    struct bytes permit_packed;
    const struct policy_now *policy;
    struct dataset *dataset;            /* held: dataset_release */
    const struct analysis *analysis;
    struct asked asked;
    struct plan plan;
    struct regions regions;
    struct zcdp_limits noise;           /* of own policy, then of the session's; rho 0: none */
};
/* version: NULL for the newest. who: NULL where that was looked at before. Complaints about
 * the request; *ret usable only without any. */
CHECKED enum fault question_prepare(struct cx *cx, struct vault *v, const struct caller *who,
                                    struct bytes request,
                                    const uint8_t *version, bool testing,
                                    struct complaints *c, struct opened *ret);

/* A part of it: against o's dataset under o's policy, with the permit where there is one. No
 * analysis is set where the question cannot be read. */
CHECKED enum fault question_judge(struct cx *cx, struct vault *v, bool testing,
                                  struct complaints *c, struct opened *o);

/* charge.c. A request's id names no other request: FAULT_REPLAY. */
CHECKED enum fault request_is_new(struct cx *cx, struct vault *v, struct request *r);
/* FAULT_REFUSED where the permit is used up and the question (NULL: none of its form) was never
 * charged. */
CHECKED enum fault charge_look(struct cx *cx, struct vault *v, const struct opened *o,
                               const uint8_t *question);
/* The same of the budgets of noise; only before a question is accepted. */
CHECKED enum fault charge_look_noise(struct cx *cx, struct vault *v, const struct opened *o,
                                     const uint8_t *question);
/* Tenths of the narrowest budget that its researcher has not spent; others' use is not told. */
CHECKED enum fault charge_left(struct cx *cx, struct vault *v, const struct opened *o,
                               uint32_t *ret);
/* What a dry run tells of budgets; absent where the permit is not its researcher's. */
CHECKED enum fault charge_budget(struct cx *cx, struct vault *v, const struct opened *o,
                                 Cohortium__Budget **ret);
/* The noise of one round (gate_noise_add), before it leaves. */
CHECKED enum fault charge_noise(struct cx *cx, struct vault *v, const struct opened *o,
                                const uint8_t question[32], uint32_t round,
                                const uint8_t draw[32], uint64_t rho);
/* Charge and "used" mark, durable; FAULT_REFUSED, FAULT_REPLAY. */
CHECKED enum fault charge_write(struct cx *cx, struct vault *v, const struct opened *o,
                                const uint8_t question[32]);
/* The same as a part of a write. */
CHECKED enum fault charge_add(struct cx *cx, sqlite3 *sql, const struct opened *o,
                              const uint8_t question[32]);

/* What must be written before a release is told, in the commit of its decision. */
struct owed {
    db_work *write; /* NULL: nothing */
    void *user;
};
/* What this site would hold against answering by itself, under its own policy. */
CHECKED enum fault bysite_objection(struct cx *cx, struct vault *v, const struct opened *o,
                                    const struct policy *own, const uint8_t question[32],
                                    const char **ret_objection);
/* The log record of a decision, the answer and its proof. */
struct decision {
    const char *kind;                   /* "question" or "repeat" */
    const struct opened *opened;
    const uint8_t *question, *policy_digest;
    struct bytes release_body;
    bool released;
    const char *details;
    struct bytes transcript;
    struct bytes release_envelope;      /* given: repeat; else it is signed here */
    struct owed owed;                   /* before the record, in its commit */
};
CHECKED enum fault decision_record(struct cx *cx, struct vault *v, const struct decision *d,
                                   Cohortium__Answer **ret);
/* Sleeps to the next multiple of the quantum since arrival, at the home vault only. */
void answer_hold(struct vault *v, const struct policy *session, int64_t arrival_mono_us);

CHECKED enum fault vault_catalog(struct cx *cx, struct vault *v, Cohortium__Site *ret);
CHECKED enum fault vault_codebook(struct cx *cx, struct vault *v, struct bytes call,
                                  struct bytes *ret);
CHECKED enum fault vault_sites(struct cx *cx, struct vault *v, const struct caller *who,
                               struct bytes credential, struct bytes *ret);
CHECKED enum fault vault_hello(struct cx *cx, struct vault *v, struct bytes *ret);
CHECKED enum fault vault_admit(struct cx *cx, struct vault *v, struct bytes credential);
/* And it is the caller's own. */
CHECKED enum fault vault_admit_caller(struct cx *cx, struct vault *v,
                                      const struct caller *who, struct bytes credential);

/* later.c: what the drawer of questions for later is asked; LaterStore -> LaterReply. A
 * researcher has their own in it; which is next, and how it went, is this node's. */
CHECKED enum fault vault_later(struct cx *cx, struct vault *v, const struct caller *who,
                               struct bytes body, struct bytes *ret);
/* How many of them wait at this node. */
CHECKED enum fault later_waiting(struct cx *cx, sqlite3 *sql, int64_t now, uint64_t *ret);

/* One admin command. The reply is always filled; a fault becomes its text and status. */
void desk_answer(struct cx *cx, struct vault *v, const Cohortium__AdminCall *call,
                 Cohortium__AdminReply *reply);

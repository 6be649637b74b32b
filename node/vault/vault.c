/*
 * vault.c - start, the loop over net's socketpair and the admin socket, worker threads.
 */
#include "node/vault/vault.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/ipc.h"
#include "node/log.h"
#include "node/vault/ledger.h"
#include "node/vault/revocations.h"
#include "node/vault/witness.h"
#include "protocol/base/clock.h"

enum {
    WORKERS = 8,
    SPARE_MEMORY = 64 * 1024,
    JOBS_MAX = 512,
    JOBS_BYTES_MAX = 256 * 1024 * 1024, /* of messages that wait: net must not grow us */
    ADMIN_CLIENTS_MAX = 16,
    ADMIN_CALL_MAX = 4 * 1024 * 1024,
    ADMIN_READ_MS = 5000,
    TICK_MS = 1000,
    LEDGER_RECORDS = 50 * 1000, /* of the log, that the ledger is held against at start */
};

struct job {
    struct job *next;
    struct ipc_message message; /* from net; kind 0: an admin client */
    uint8_t *memory;
    int client;
};

struct queue {
    struct vault *v;
    int net_fd;
    pthread_mutex_t lock, send_lock;
    pthread_cond_t some;
    struct job *first, **last;
    size_t n, bytes, clients;
    uint64_t appended; /* records in the log when net heard of it last */
    bool closing;
};

/* ---- jobs ---- */

/* Every call gets one answer: what may not pass is a failure without words instead, so that
 * nobody waits for it until a deadline. */
static void send_net_all(struct cx *cx, struct queue *q, const struct ipc_message *m,
                         size_t n)
{
    const struct ipc_message failure = {
        .kind = IPC_FAIL, .code = FAULT_INTERNAL, .id = m->id};

    (void)pthread_mutex_lock(&q->send_lock);
    enum fault fault = ipc_send_all(cx, q->net_fd, IPC_VAULT, m, n);
    if (fault != FAULT_NONE) {
        log_warning("an answer to net was lost: %s", cx_message(cx));
        if (fault == FAULT_INTERNAL &&
            ipc_send(cx, q->net_fd, IPC_VAULT, &failure) != FAULT_NONE)
            log_warning("its failure was lost, too: %s", cx_message(cx));
    }
    (void)pthread_mutex_unlock(&q->send_lock);
}

static void send_net(struct cx *cx, struct queue *q, const struct ipc_message *m)
{
    send_net_all(cx, q, m, 1);
}

static void tell_net(void *user, struct cx *cx, enum ipc_kind kind, struct bytes body)
{
    send_net(cx, user, &(struct ipc_message){.kind = kind, .body = body});
}

/* A peer hears the kind of fault; the words only where the fault was decided without data. */
static void send_failure(struct cx *cx, struct queue *q, uint64_t id, enum fault fault)
{
    Cohortium__Trouble t = COHORTIUM__TROUBLE__INIT;
    struct bytes packed = {0};
    bool about_papers = fault == FAULT_INVALID || fault == FAULT_DENIED ||
                        fault == FAULT_EXPIRED || fault == FAULT_REPLAY ||
                        fault == FAULT_MISSING || fault == FAULT_CONFLICT ||
                        fault == FAULT_FORMAT || fault == FAULT_REFUSED ||
                        fault == FAULT_BUSY || fault == FAULT_HELD;

    t.fault = (char *)fault_name(fault);
    t.text = (char *)(about_papers               ? cx_message(cx)
                      : fault == FAULT_STORAGE ? "its disk or database does not take what must "
                                                 "be written; its operator finds why in the log"
                                               : "see this site's own log");
    t.site = q->v->self->node_id;
    if (pb_pack(cx, &t.base, &packed) != FAULT_NONE)
        packed = (struct bytes){0};
    send_net(cx, q, &(struct ipc_message){.kind = IPC_FAIL, .code = fault, .id = id,
                                          .body = packed});
}

static enum fault serve(struct cx *cx, struct vault *v, const struct ipc_message *m,
                        const struct caller *who, struct bytes *ret)
{
    Cohortium__CatalogReply catalog = COHORTIUM__CATALOG_REPLY__INIT;
    Cohortium__Site site;

    *ret = (struct bytes){0};
    if (m->kind == IPC_ADMIT)
        return vault_admit_caller(cx, v, who, m->body);
    switch (m->code) {
    case SERVICE_PREFLIGHT:
        return vault_preflight(cx, v, who, m->body, ret);
    case SERVICE_BEGIN:
        return vault_begin(cx, v, who, m->body, ret);
    case SERVICE_STEP:
        return vault_step(cx, v, who, m->body, ret);
    case SERVICE_ABORT:
        return vault_abort(cx, v, who, m->body);
    case SERVICE_CATALOG:
        TRY(vault_catalog(cx, v, &site));
        catalog.site = &site;
        return pb_pack(cx, &catalog.base, ret);
    case SERVICE_CODEBOOK:
        return vault_codebook(cx, v, m->body, ret);
    case SERVICE_SITES:
        return vault_sites(cx, v, who, m->body, ret);
    case SERVICE_DRAWER:
        return vault_later(cx, v, who, m->body, ret);
    case SERVICE_ADD_CHECKPOINT:
        return vault_add_checkpoint(cx, v, who, m->body, ret);
    case SERVICE_PROVE:
        return vault_prove(cx, v, m->body, ret);
    case SERVICE_HELD:
        return vault_held(cx, v, m->body, ret);
    case SERVICE_REVOCATIONS:
        return vault_revocations(cx, v, m->body);
    case SERVICE_ROUND:
        return vault_round(cx, v, m->body, ret);
    case SERVICE_ROUND_DONE:
        return vault_round_done(cx, v, m->body, ret);
    case SERVICE_PEER_HOLDS:
        return vault_peer_holds(cx, v, m->body);
    default:
        return cx_fail(cx, FAULT_INVALID, "no such service");
    }
}

/* Records came in since net heard of it last: peers are to see the log. */
static bool has_grown(struct queue *q)
{
    uint64_t now = audit_appended();
    bool grew;

    (void)pthread_mutex_lock(&q->lock);
    grew = now != q->appended;
    q->appended = now;
    (void)pthread_mutex_unlock(&q->lock);
    return grew;
}

static void run_net_job(struct cx *cx, struct queue *q, const struct ipc_message *m)
{
    struct bytes reply = {0};
    struct caller who = {0};
    enum fault fault = m->kind == IPC_OFFER ? vault_offer(cx, q->v, &m->from, m->body)
                                            : caller_open(cx, q->v, &m->from, &who);

    if (fault == FAULT_NONE && m->kind != IPC_OFFER)
        fault = serve(cx, q->v, m, &who, &reply);
    if (fault == FAULT_NONE) {
        const struct ipc_message both[] = {{.kind = IPC_REPLY, .id = m->id, .body = reply},
                                           {.kind = IPC_GREW}};

        send_net_all(cx, q, both, has_grown(q) ? 2 : 1);
        return;
    }
    /* The caller hears no more than the fault's words; the site, who it was. */
    if (who.role == IPC_MEMBER || who.role == IPC_RESEARCHER)
        log_notice("%s asked: %s", caller_name(cx, &who), cx_message(cx));
    else
        log_notice("%s", cx_message(cx));
    send_failure(cx, q, m->id, fault);
}

/* ---- the admin socket: one length-framed call, one reply ---- */

static bool peer_is_us(int fd)
{
    struct ucred who;
    socklen_t n = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
           (who.uid == getuid() || who.uid == 0);
}

static enum fault read_exactly(struct cx *cx, int fd, uint8_t *p, size_t n)
{
    int64_t end = clock_mono_ms() + ADMIN_READ_MS;

    while (n > 0) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int64_t left = end - clock_mono_ms();

        if (left <= 0 || poll(&ready, 1, (int)left) <= 0)
            return cx_fail(cx, FAULT_TIMEOUT, "an admin command stopped in the middle");
        ssize_t k = read(fd, p, n);
        if (k <= 0)
            return cx_fail(cx, FAULT_IO, "an admin command stopped in the middle");
        p += k;
        n -= (size_t)k;
    }
    return FAULT_NONE;
}

static enum fault read_call(struct cx *cx, int fd, Cohortium__AdminCall **ret)
{
    uint8_t head[4], *body;

    TRY(read_exactly(cx, fd, head, sizeof head));
    size_t n = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    if (n > ADMIN_CALL_MAX)
        return cx_fail(cx, FAULT_BOUND, "an admin command of %zu bytes: at most %d", n,
                       ADMIN_CALL_MAX);
    CX_NEW(cx, body, n);
    TRY(read_exactly(cx, fd, body, n));
    return pb_unpack(cx, &cohortium__admin_call__descriptor, bytes_of(body, n), ADMIN_CALL_MAX,
                     ret);
}

/* A client that does not read its reply holds nobody for longer than it may write one. */
static void write_reply(int fd, const uint8_t *p, size_t n)
{
    int64_t end = clock_mono_ms() + ADMIN_READ_MS;

    while (n > 0) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        int64_t left = end - clock_mono_ms();

        if (left <= 0 || poll(&ready, 1, (int)left) <= 0)
            return;
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k < 0 && errno != EAGAIN && errno != EINTR)
            return;
        p += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
}

static void run_admin_job(struct cx *cx, struct queue *q, int fd)
{
    Cohortium__AdminCall *call;
    Cohortium__AdminReply reply = COHORTIUM__ADMIN_REPLY__INIT;
    struct bytes packed;

    if (read_call(cx, fd, &call) == FAULT_NONE) {
        desk_answer(cx, q->v, call, &reply);
    } else {
        reply.status = 1;
        reply.text = (char *)cx_message(cx);
    }
    if (pb_pack(cx, &reply.base, &packed) == FAULT_NONE) {
        struct buffer out = buffer_new(cx, packed.n + 4);

        buffer_u32(&out, (uint32_t)packed.n);
        buffer_put(&out, packed.p, packed.n);
        if (out.fault == FAULT_NONE)
            write_reply(fd, out.p, out.n);
    }
    (void)close(fd);
}

static void refuse_job(struct cx *spare, struct queue *q, const struct job *job)
{
    log_warning("out of memory for a message");
    if (job->message.kind == 0)
        (void)close(job->client);
    else if (spare != NULL) {
        send_failure(spare, q, job->message.id, FAULT_MEMORY);
        cx_reset(spare);
    }
}

static void tell_growth(struct cx *cx, struct queue *q)
{
    if (has_grown(q))
        tell_net(q, cx, IPC_GREW, (struct bytes){0});
}

static void *worker(void *user)
{
    struct queue *q = user;
    struct cx *spare = cx_new(SPARE_MEMORY, CX_NO_DEADLINE); /* to say that there is no memory */

    for (;;) {
        (void)pthread_mutex_lock(&q->lock);
        while (q->first == NULL && !q->closing)
            (void)pthread_cond_wait(&q->some, &q->lock);
        struct job *job = q->first;
        if (job != NULL) {
            q->first = job->next;
            if (q->first == NULL)
                q->last = &q->first;
            q->n--;
            q->bytes -= job->message.body.n;
        }
        (void)pthread_mutex_unlock(&q->lock);
        if (job == NULL) {
            cx_free(&spare);
            return NULL;
        }
        struct cx *cx = cx_new(JOB_MEMORY, CX_NO_DEADLINE);
        if (cx == NULL)
            refuse_job(spare, q, job);
        else if (job->message.kind != 0)
            run_net_job(cx, q, &job->message);
        else
            run_admin_job(cx, q, job->client);
        if (job->message.kind == 0) {
            (void)pthread_mutex_lock(&q->lock);
            q->clients--;
            (void)pthread_mutex_unlock(&q->lock);
        }
        if (cx != NULL)
            tell_growth(cx, q);
        cx_free(&cx);
        free(job->memory);
        free(job);
    }
}

static bool enqueue(struct queue *q, const struct job *job)
{
    struct job *kept = malloc(sizeof *kept);
    bool room;

    if (kept == NULL)
        return false;
    *kept = *job;
    kept->next = NULL;
    (void)pthread_mutex_lock(&q->lock);
    room = q->n < JOBS_MAX && q->bytes <= JOBS_BYTES_MAX - job->message.body.n;
    if (room) {
        q->bytes += job->message.body.n;
        *q->last = kept;
        q->last = &kept->next;
        q->n++;
    }
    (void)pthread_mutex_unlock(&q->lock);
    if (room) /* after the lock: who wakes would wait for it at once */
        (void)pthread_cond_signal(&q->some);
    else
        free(kept);
    return room;
}

static void keep_links(struct vault *v, const struct ipc_message *m)
{
    uint8_t *p = malloc(m->body.n ? m->body.n : 1);

    if (p == NULL)
        return;
    memcpy(p, m->body.p, m->body.n);
    (void)pthread_mutex_lock(&v->lock);
    free((void *)v->links.p);
    v->links = bytes_of(p, m->body.n);
    (void)pthread_mutex_unlock(&v->lock);
}

static enum fault take_from_net(struct cx *cx, struct queue *q, struct ipc_reader *reader)
{
    struct job job = {0};

    TRY(ipc_read(cx, reader, q->net_fd));
    while (ipc_next(reader, &job.message, &job.memory)) {
        if (job.message.kind == IPC_LINKS) {
            keep_links(q->v, &job.message);
            free(job.memory);
        } else if (!enqueue(q, &job)) {
            (void)cx_fail(cx, FAULT_UNAVAILABLE, "this node is busy; ask again in a while");
            send_failure(cx, q, job.message.id, FAULT_UNAVAILABLE);
            free(job.memory);
        }
    }
    return FAULT_NONE;
}

static void take_admin(struct queue *q, int admin_fd)
{
    int fd = accept4(admin_fd, NULL, NULL, SOCK_CLOEXEC);
    struct job job = {.client = fd};

    if (fd < 0)
        return;
    (void)pthread_mutex_lock(&q->lock);
    bool room = q->clients < ADMIN_CLIENTS_MAX && peer_is_us(fd);
    q->clients += room;
    (void)pthread_mutex_unlock(&q->lock);
    if (!room || !enqueue(q, &job))
        (void)close(fd);
}

static enum fault loop(struct cx *cx, struct queue *q, const struct vault_setup *setup)
{
    struct ipc_reader reader = {.sender = IPC_NET};
    enum fault fault = FAULT_NONE;
    struct pollfd fds[] = {{.fd = setup->net_fd, .events = POLLIN},
                           {.fd = setup->control_fd, .events = POLLIN},
                           {.fd = setup->admin_fd, .events = POLLIN}};

    while (fault == FAULT_NONE) {
        int n = poll(fds, COUNT(fds), TICK_MS);

        if (n < 0 && errno != EINTR)
            fault = cx_fail(cx, FAULT_IO, "poll: %s", strerror(errno));
        if (n <= 0) {
            sessions_purge(q->v, clock_mono_ms());
            continue;
        }
        if (fds[1].revents != 0) /* the supervisor says stop, or is gone */
            break;
        if (fds[0].revents != 0)
            fault = take_from_net(cx, q, &reader);
        if (fault == FAULT_NONE && fds[2].revents != 0)
            take_admin(q, setup->admin_fd);
        if (fault == FAULT_NONE)
            cx_reset(cx); /* a fault's words are the caller's to tell */
    }
    ipc_reader_free(&reader);
    return fault;
}

/* ---- start ---- */

static enum fault check_ledger(struct cx *cx, sqlite3 *sql, void *user)
{
    (void)user;
    return ledger_verify_newest(cx, sql, LEDGER_RECORDS);
}

/* A node whose ledger lacks what was released before would release what adds up with it. What is
 * wrong stays so until the node is started on another folder. */
static enum fault ledger_start(struct cx *cx, struct vault *v)
{
    enum fault fault = db_read(cx, v->db, check_ledger, NULL);

    if (fault != FAULT_CONFLICT)
        return fault;
    (void)snprintf(v->ledger_trouble, sizeof v->ledger_trouble,
                   "%s with `cohortiumd restore`; `cohortiumd doctor` checks all of it",
                   cx_message(cx));
    log_warning("this node answers nothing: %s", v->ledger_trouble);
    return FAULT_NONE;
}

/* On a log that does not fit nothing is built: the node runs, answers nothing and shows its
 * peers what is there. */
static enum fault log_start(struct cx *cx, struct vault *v)
{
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;

    uint64_t size;
    uint8_t root[DIGEST_BYTES];

    if (witness_check_log(cx, v, &size, root) == FAULT_CONFLICT)
        return FAULT_NONE;
    record.kind = (char *)"start";
    record.decision = (char *)"done";
    return vault_log(cx, v, &record, "the vault started: cohortiumd " COHORTIUM_VERSION);
}

static enum fault serve_all(struct cx *cx, struct vault *v, const struct vault_setup *setup)
{
    struct queue q = {.v = v, .net_fd = setup->net_fd, .lock = PTHREAD_MUTEX_INITIALIZER,
                      .send_lock = PTHREAD_MUTEX_INITIALIZER, .some = PTHREAD_COND_INITIALIZER};
    pthread_t threads[WORKERS];
    struct bytes hello;
    size_t n = 0;

    q.last = &q.first;
    v->to_net = tell_net;
    v->to_net_user = &q;
    TRY(vault_hello(cx, v, &hello));
    TRY(ipc_send(cx, setup->net_fd, IPC_VAULT,
                 &(struct ipc_message){.kind = IPC_HELLO, .body = hello}));
    TRY(revocations_tell(cx, v));
    while (n < WORKERS && pthread_create(&threads[n], NULL, worker, &q) == 0)
        n++;
    enum fault fault = n > 0 ? loop(cx, &q, setup)
                             : cx_fail(cx, FAULT_MEMORY, "no thread could be started");
    (void)pthread_mutex_lock(&q.lock);
    q.closing = true;
    (void)pthread_cond_broadcast(&q.some);
    (void)pthread_mutex_unlock(&q.lock);
    for (size_t i = 0; i < n; i++)
        (void)pthread_join(threads[i], NULL);
    v->to_net = NULL;
    return fault;
}

enum fault vault_run(struct cx *cx, const struct vault_setup *setup)
{
    struct vault v;
    AUTO_CX struct cx *work = cx_new(64 * 1024 * 1024, CX_NO_DEADLINE);

    if (work == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory");
    enum fault fault = vault_open(cx, &v, setup->folder, setup->passphrase);
    if (fault == FAULT_NONE) {
        if (vault_load_policy(work, &v) != FAULT_NONE)
            log_warning("this node answers nothing: %s", cx_message(work));
        fault = log_start(cx, &v);
    }
    if (fault == FAULT_NONE)
        fault = ledger_start(cx, &v);
    if (fault == FAULT_NONE) {
        fault = serve_all(work, &v, setup);
        if (fault != FAULT_NONE)
            (void)cx_fail(cx, fault, "%s", cx_message(work));
    }
    vault_close(&v);
    return fault;
}

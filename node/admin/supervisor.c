/*
 * supervisor.c - starts vault and net by fork and exec of this same program in a role.
 *
 * Children get their descriptors at fixed numbers; each has a control pipe whose end of
 * file means "stop". When one dies, both are started anew: their socketpair dies with
 * either. They never outlive the supervisor (PR_SET_PDEATHSIG).
 *
 * The standby is a forked copy of the supervisor that waits for the folder's lock. The lock
 * is held by supervisor, vault and net together, so that it is free when the last of them
 * is gone, however they ended. Whoever gets it supervises, and forks a standby of its own:
 * the node survives kill -9 of any one of its processes. An orderly stop ends the standby
 * first.
 */
#include "node/admin/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/admin/client.h"
#include "node/folder.h"
#include "node/log.h"
#include "protocol/base/clock.h"
#include "protocol/files.h"

enum {
    FD_KEPT = 20,
    PID_MAX = 32,
    READY_MS = 20000,
    STOP_MS = 5000,
    ENDED_MS = 15000,
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MAX_MS = 5000,
    CALM_MS = 60000,
};

static volatile sig_atomic_t stopping;

static void on_stop(int signal)
{
    (void)signal;
    stopping = 1;
}

static void on_child(int signal)
{
    (void)signal; /* only to wake poll */
}

/* ---- children ---- */

/* What a node's supervisor holds while it runs. */
struct held {
    int lock, admin;
    pid_t standby;
};

struct child {
    const char *role;
    pid_t pid;
    int control; /* our end of its control pipe */
    int status;  /* how it ended */
};

/* In the child: descriptors out of the way first (dup2(3, 3) would keep CLOEXEC), then in
 * their places. */
static void place(int *fds, const int *places, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FD_KEPT);
    for (size_t i = 0; i < n; i++)
        if (fds[i] < 0 || dup2(fds[i], places[i]) < 0)
            _exit(CHILD_FATAL);
}

static enum fault start_child(struct cx *cx, struct child *c, const char *role,
                              const struct serve_options *o, const struct held *held,
                              int pair)
{
    static const int places[] = {CHILD_FD_PAIR, CHILD_FD_CONTROL, CHILD_FD_SECRET,
                                 CHILD_FD_LOCK, CHILD_FD_ADMIN};
    bool vault = strcmp(role, "vault-process") == 0;
    int control[2], secret[2];

    if (pipe2(control, O_CLOEXEC) != 0)
        return cx_fail(cx, FAULT_IO, "pipe: %s", strerror(errno));
    if (pipe2(secret, O_CLOEXEC) != 0) {
        (void)close(control[0]);
        (void)close(control[1]);
        return cx_fail(cx, FAULT_IO, "pipe: %s", strerror(errno));
    }
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        int fds[] = {pair, control[0], secret[0], held->lock, held->admin};
        char *argv[] = {(char *)"cohortiumd", (char *)role, (char *)o->folder, NULL};

        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
            _exit(CHILD_FATAL);
        place(fds, places, vault ? COUNT(fds) : COUNT(fds) - 1);
        (void)execv("/proc/self/exe", argv);
        _exit(CHILD_FATAL);
    }
    (void)close(control[0]);
    (void)close(secret[0]);
    if (pid < 0) {
        (void)close(control[1]);
        (void)close(secret[1]);
        return cx_fail(cx, FAULT_IO, "fork: %s", strerror(errno));
    }
    size_t n = o->passphrase != NULL ? strlen(o->passphrase) : 0;
    bool sent = n == 0 || write(secret[1], o->passphrase, n) == (ssize_t)n;
    (void)close(secret[1]);
    *c = (struct child){.role = role, .pid = pid, .control = control[1]};
    return sent ? FAULT_NONE
                : cx_fail(cx, FAULT_IO, "the passphrase could not be handed over");
}

/* Waits for a child until `until`, then kills it. How it ended is kept in it. */
static void end_child(struct child *c, int64_t until)
{
    if (c->pid <= 0)
        return;
    (void)close(c->control); /* end of file: stop */
    while (waitpid(c->pid, &c->status, WNOHANG) == 0) {
        if (clock_mono_ms() > until) {
            (void)kill(c->pid, SIGKILL);
            (void)waitpid(c->pid, &c->status, 0);
            break;
        }
        (void)poll(NULL, 0, 5);
    }
    c->pid = 0;
}

static enum fault start_both(struct cx *cx, struct child *vault, struct child *net,
                             const struct serve_options *o, const struct held *held)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return cx_fail(cx, FAULT_IO, "socketpair: %s", strerror(errno));
    enum fault fault = start_child(cx, vault, "vault-process", o, held, pair[0]);
    if (fault == FAULT_NONE)
        fault = start_child(cx, net, "net-process", o, held, pair[1]);
    (void)close(pair[0]);
    (void)close(pair[1]);
    return fault;
}

/* Which child ended; NULL while both run. */
static const struct child *ended(struct child *vault, struct child *net)
{
    struct child *both[] = {vault, net};

    for (size_t i = 0; i < COUNT(both); i++)
        if (both[i]->pid > 0 &&
            waitpid(both[i]->pid, &both[i]->status, WNOHANG) == both[i]->pid) {
            (void)close(both[i]->control);
            both[i]->pid = 0;
            return both[i];
        }
    return NULL;
}

static bool is_fatal(const struct child *c)
{
    return WIFEXITED(c->status) && WEXITSTATUS(c->status) == CHILD_FATAL;
}

/* When one ends, the other follows it, and either may be seen first: both statuses count.
 */
static enum fault judge_end(struct cx *cx, const struct child *gone,
                            const struct child *vault, const struct child *net)
{
    if (is_fatal(vault) || is_fatal(net))
        return cx_fail(cx, FAULT_IO, "the %s could not start; see its last line above",
                       is_fatal(vault) ? vault->role : net->role);
    log_warning("the %s ended (%s %d); starting vault and net again", gone->role,
                WIFSIGNALED(gone->status) ? "signal" : "status",
                WIFSIGNALED(gone->status) ? WTERMSIG(gone->status)
                                          : WEXITSTATUS(gone->status));
    return FAULT_NONE;
}

/* ---- the folder is ours alone while we run ---- */

static enum fault open_lock(struct cx *cx, const char *folder, int *ret_fd)
{
    const char *path = cx_printf(cx, "%s/run/lock", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return cx_fail(cx, FAULT_IO, "%s: %s", path, strerror(errno));
    *ret_fd = fd;
    return FAULT_NONE;
}

static enum fault lock_folder(struct cx *cx, const char *folder, int *ret_fd)
{
    TRY(open_lock(cx, folder, ret_fd));
    if (flock(*ret_fd, LOCK_EX | LOCK_NB) == 0)
        return FAULT_NONE;
    (void)close(*ret_fd);
    return cx_fail(
        cx, FAULT_CONFLICT,
        "another cohortiumd serves %s already; stop it first with `cohortiumd stop "
        "--dir %s`",
        folder, folder);
}

/* ---- the standby ---- */

static enum fault supervise(struct cx *cx, const struct serve_options *o, int lock);

static int64_t pause_after(int64_t before, int64_t ran_ms)
{
    if (ran_ms > CALM_MS || before == 0)
        return BACKOFF_FIRST_MS;
    return before * 2 < BACKOFF_MAX_MS ? before * 2 : BACKOFF_MAX_MS;
}

/* The life of a standby: nothing of its parent's is kept but the settings and the
 * passphrase, whose page a fork does not leave locked in memory. */
static enum fault stand_by(struct cx *cx, const struct serve_options *o, pid_t parent)
{
    static int64_t pause;
    int64_t since = clock_mono_ms();
    int lock;

    (void)prctl(PR_SET_NAME, "cohort-standby", 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    (void)signal(SIGINT,
                 SIG_IGN); /* Ctrl-C reaches the whole group: the supervisor decides */
    (void)close_range(3, ~0U, 0);
    if (o->passphrase != NULL)
        (void)sodium_mlock(o->passphrase, strlen(o->passphrase) + 1);
    TRY(open_lock(cx, o->folder, &lock));
    while (flock(lock, LOCK_EX) != 0)
        if (errno != EINTR)
            return cx_fail(cx, FAULT_IO, "%s/run/lock: %s", o->folder, strerror(errno));
    (void)prctl(PR_SET_NAME, "cohortiumd", 0, 0, 0);
    pause = pause_after(pause, clock_mono_ms() - since);
    (void)poll(NULL, 0, (int)pause);
    log_warning(
        "the supervisor (process %d) ended without a stop; its standby, process %d, "
        "takes over and starts vault and net again",
        (int)parent, (int)getpid());
    return supervise(cx, o, lock);
}

/* There is always a standby: another one is made when it ends. A node goes on without one
 * where no process can be made, and tries again. */
static void keep_standby(const struct serve_options *o, struct held *held)
{
    if (held->standby > 0 && waitpid(held->standby, NULL, WNOHANG) != held->standby)
        return;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        AUTO_CX struct cx *cx = cx_new((size_t)1 << 30, CX_NO_DEADLINE);
        enum fault fault = cx == NULL ? FAULT_MEMORY : stand_by(cx, o, parent);

        if (cx != NULL && fault != FAULT_NONE)
            log_warning("%s", cx_message(cx));
        _exit(fault == FAULT_NONE ? 0 : 1);
    }
    held->standby = pid;
}

static void end_standby(struct held *held)
{
    if (held->standby <= 0)
        return;
    (void)kill(held->standby, SIGKILL);
    (void)waitpid(held->standby, NULL, 0);
    held->standby = 0;
}

/* ---- supervising ---- */

static enum fault watch(struct cx *cx, const struct serve_options *o, struct held *held)
{
    struct child vault = {0}, net = {0};
    int64_t pause = 0;
    enum fault fault = FAULT_NONE;

    while (!stopping && fault == FAULT_NONE) {
        int64_t started = clock_mono_ms();
        const struct child *gone = NULL;

        fault = start_both(cx, &vault, &net, o, held);
        while (fault == FAULT_NONE && !stopping && (gone = ended(&vault, &net)) == NULL) {
            keep_standby(o, held);
            (void)poll(NULL, 0, 500); /* SIGCHLD and stop signals wake it */
        }
        int64_t until = clock_mono_ms() + STOP_MS;
        end_child(&net, until);
        end_child(&vault, until);
        if (gone != NULL && !stopping)
            fault = judge_end(cx, gone, &vault, &net);
        if (stopping || fault != FAULT_NONE)
            break;
        pause = pause_after(pause, clock_mono_ms() - started);
        (void)poll(NULL, 0, (int)pause);
    }
    return fault;
}

static enum fault listen_admin(struct cx *cx, const char *folder, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path;

    TRY(folder_admin_socket(cx, folder, &path));
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    (void)unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mode_t before = umask(0177);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
              listen(fd, 16) == 0;
    int why = errno;
    (void)umask(before);
    if (!ok) {
        if (fd >= 0)
            (void)close(fd);
        return cx_fail(cx, FAULT_IO, "%s: %s", path, strerror(why));
    }
    *ret_fd = fd;
    return FAULT_NONE;
}

/* Supervises until a stop is asked for, in the process that holds the lock. */
static enum fault supervise(struct cx *cx, const struct serve_options *o, int lock)
{
    struct sigaction stop = {.sa_handler = on_stop}, child = {.sa_handler = on_child};
    struct held held = {.lock = lock};
    char pid[PID_MAX];

    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGHUP, &stop, NULL);
    (void)sigaction(SIGCHLD, &child, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* the passphrase is in this memory */
    enum fault fault = listen_admin(cx, o->folder, &held.admin);
    if (fault == FAULT_NONE) {
        int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());

        fault = file_write(cx, "process number", cx_printf(cx, "%s/run/pid", o->folder),
                           bytes_of(pid, (size_t)n), 0644, FILE_REPLACE);
        if (fault == FAULT_NONE)
            fault = watch(cx, o, &held);
        (void)unlink(cx_printf(cx, "%s/run/admin.sock", o->folder));
        (void)unlink(cx_printf(cx, "%s/run/pid", o->folder));
        (void)close(held.admin);
    }
    end_standby(&held); /* before the lock is let go */
    (void)close(lock);
    log_notice("stopped");
    return fault;
}

static enum fault run_here(struct cx *cx, const struct serve_options *o)
{
    int lock;

    TRY(lock_folder(cx, o->folder, &lock));
    return supervise(cx, o, lock);
}

/* ---- stop ---- */

static pid_t read_pid(struct cx *cx, const char *folder)
{
    struct bytes text;
    const char *path = cx_printf(cx, "%s/run/pid", folder);

    if (file_read(cx, "process number", path, PID_MAX, false, &text) != FAULT_NONE)
        return 0;
    long n = strtol(cx_printf(cx, "%.*s", (int)text.n, (const char *)text.p), NULL, 10);
    return n > 1 && n < INT32_MAX ? (pid_t)n : 0;
}

enum fault supervisor_stop(struct cx *cx, const char *folder)
{
    int64_t until = clock_mono_ms() + ENDED_MS;
    pid_t asked = 0;
    int lock;

    TRY(open_lock(cx, folder, &lock));
    while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        pid_t pid = read_pid(cx, folder);

        if (pid > 0 && pid != asked && kill(pid, SIGTERM) != 0 && errno != ESRCH) {
            (void)close(lock);
            return cx_fail(
                cx, FAULT_IO,
                "process %d, which serves %s, may not be stopped by this user: %s",
                (int)pid, folder, strerror(errno));
        }
        asked = pid > 0 ? pid : asked; /* another one: a standby has just taken over */
        if (clock_mono_ms() > until) {
            (void)close(lock);
            return cx_fail(cx, FAULT_TIMEOUT, "the node of %s has not ended after %d s",
                           folder, ENDED_MS / 1000);
        }
        (void)poll(NULL, 0, 20);
    }
    (void)close(lock);
    return asked > 0 ? FAULT_NONE
                     : cx_fail(cx, FAULT_MISSING, "no node serves %s at this time", folder);
}

/* ---- in the background ---- */

/* Waits in the foreground until the node answers its admin socket, or its process ends. */
static enum fault wait_ready(struct cx *cx, const char *folder, pid_t pid)
{
    int64_t until = clock_mono_ms() + READY_MS;
    struct admin_reply reply;

    while (clock_mono_ms() < until) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return cx_fail(cx, FAULT_IO, "the node did not start; see %s/node.log", folder);
        if (admin_call(cx, folder, "ready", NULL, 0, NULL, 0, &reply) == FAULT_NONE &&
            reply.status == 0)
            return FAULT_NONE;
        (void)poll(NULL, 0, 20);
    }
    return cx_fail(cx, FAULT_TIMEOUT, "the node is not ready after %d s; see %s/node.log",
                   READY_MS / 1000, folder);
}

static void detach(struct cx *cx, const char *folder)
{
    int log =
        open(cx_printf(cx, "%s/node.log", folder), O_WRONLY | O_CREAT | O_APPEND, 0600);
    int nothing = open("/dev/null", O_RDWR);

    (void)setsid();
    if (nothing >= 0) {
        (void)dup2(nothing, 0);
        (void)dup2(nothing, 1);
    }
    if (log >= 0)
        (void)dup2(log, 2);
    if (nothing > 2)
        (void)close(nothing);
    if (log > 2)
        (void)close(log);
}

enum fault supervisor_run(struct cx *cx, const struct serve_options *o)
{
    struct node_settings settings;
    struct manifest *manifest;
    int lock;

    log_open("node");
    TRY(folder_settings(cx, o->folder, &settings));
    TRY(folder_manifest(cx, o->folder, &manifest));
    if (!o->background)
        return run_here(cx, o);
    TRY(lock_folder(cx, o->folder, &lock)); /* say so here rather than in the log */
    (void)close(lock);
    pid_t pid = fork();
    if (pid < 0)
        return cx_fail(cx, FAULT_IO, "fork: %s", strerror(errno));
    if (pid > 0)
        return wait_ready(cx, o->folder, pid);
    detach(cx, o->folder);
    enum fault fault = run_here(cx, o);
    if (fault != FAULT_NONE)
        log_warning("%s", cx_message(cx));
    _exit(fault == FAULT_NONE ? 0 : 1);
}

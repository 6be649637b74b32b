/*
 * supervisor.c - starts vault and net by fork and exec of this same program in a role.
 *
 * Children get their descriptors at fixed numbers; each has a control pipe whose end of file
 * means "stop" (so they end with the supervisor even when it is killed). When one dies, both
 * are started anew: their socketpair dies with either.
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
#include "node/net/net.h"
#include "node/sandbox.h"
#include "node/vault/vault.h"
#include "protocol/base/clock.h"
#include "protocol/files.h"
#include "protocol/keys.h"

enum {
    FD_PAIR = 3, FD_CONTROL = 4, FD_SECRET = 5, FD_ADMIN = 6, FD_KEPT = 20,
    PASSPHRASE_MAX = 1024,
    READY_MS = 20000,
    STOP_MS = 5000,
    BACKOFF_FIRST_MS = 50, BACKOFF_MAX_MS = 5000, CALM_MS = 60000,
    FATAL = 78, /* a child's exit status: trying again would not help */
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

struct child {
    const char *role;
    pid_t pid;
    int control; /* our end of its control pipe */
};

/* In the child: descriptors out of the way first (dup2(3, 3) would keep CLOEXEC), then in
 * their places. */
static void place(int *fds, const int *places, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FD_KEPT);
    for (size_t i = 0; i < n; i++)
        if (fds[i] < 0 || dup2(fds[i], places[i]) < 0)
            _exit(FATAL);
}

static enum fault start_child(struct cx *cx, struct child *c, const char *role,
                              const struct serve_options *o, int pair, int admin)
{
    static const int places[] = {FD_PAIR, FD_CONTROL, FD_SECRET, FD_ADMIN};
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
        int fds[] = {pair, control[0], secret[0], admin};
        char *argv[] = {(char *)"cohortiumd", (char *)role, (char *)o->folder, NULL};

        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
            _exit(FATAL);
        place(fds, places, admin < 0 ? COUNT(fds) - 1 : COUNT(fds));
        (void)execv("/proc/self/exe", argv);
        _exit(FATAL);
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
    *c = (struct child){role, pid, control[1]};
    return sent ? FAULT_NONE : cx_fail(cx, FAULT_IO, "the passphrase could not be handed over");
}

/* Waits for a child until `until`, then kills it. */
static void end_child(struct child *c, int64_t until)
{
    if (c->pid <= 0)
        return;
    (void)close(c->control); /* end of file: stop */
    while (waitpid(c->pid, NULL, WNOHANG) == 0) {
        if (clock_mono_ms() > until) {
            (void)kill(c->pid, SIGKILL);
            (void)waitpid(c->pid, NULL, 0);
            break;
        }
        (void)poll(NULL, 0, 5);
    }
    c->pid = 0;
}

static enum fault start_both(struct cx *cx, struct child *vault, struct child *net,
                             const struct serve_options *o, int admin)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return cx_fail(cx, FAULT_IO, "socketpair: %s", strerror(errno));
    enum fault fault = start_child(cx, vault, "vault-process", o, pair[0], admin);
    if (fault == FAULT_NONE)
        fault = start_child(cx, net, "net-process", o, pair[1], -1);
    (void)close(pair[0]);
    (void)close(pair[1]);
    return fault;
}

/* Which child ended, and how; NULL while both run. */
static struct child *ended(struct child *vault, struct child *net, int *ret_status)
{
    struct child *both[] = {vault, net};

    for (size_t i = 0; i < COUNT(both); i++)
        if (both[i]->pid > 0 && waitpid(both[i]->pid, ret_status, WNOHANG) == both[i]->pid) {
            (void)close(both[i]->control);
            both[i]->pid = 0;
            return both[i];
        }
    return NULL;
}

static enum fault watch(struct cx *cx, const struct serve_options *o, int admin)
{
    struct child vault = {0}, net = {0};
    int64_t backoff = BACKOFF_FIRST_MS, started = 0;
    enum fault fault = FAULT_NONE;
    int status;

    while (!stopping && fault == FAULT_NONE) {
        started = clock_mono_ms();
        fault = start_both(cx, &vault, &net, o, admin);
        struct child *gone = NULL;
        while (fault == FAULT_NONE && !stopping && (gone = ended(&vault, &net, &status)) == NULL)
            (void)poll(NULL, 0, 500); /* SIGCHLD and stop signals wake it */
        if (gone != NULL && WIFEXITED(status) && WEXITSTATUS(status) == FATAL)
            fault = cx_fail(cx, FAULT_IO, "the %s could not start; see its last line above",
                            gone->role);
        else if (gone != NULL && !stopping)
            log_warning("the %s ended (%s %d); starting vault and net again", gone->role,
                        WIFSIGNALED(status) ? "signal" : "status",
                        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        int64_t until = clock_mono_ms() + STOP_MS;
        end_child(&net, until);
        end_child(&vault, until);
        if (stopping || fault != FAULT_NONE)
            break;
        backoff = clock_mono_ms() - started > CALM_MS ? BACKOFF_FIRST_MS
                  : backoff * 2 < BACKOFF_MAX_MS      ? backoff * 2
                                                      : BACKOFF_MAX_MS;
        (void)poll(NULL, 0, (int)backoff);
    }
    return fault;
}

/* ---- the folder is ours alone while we run ---- */

static enum fault lock_folder(struct cx *cx, const char *folder, int *ret_fd)
{
    const char *path = cx_printf(cx, "%s/run/lock", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return cx_fail(cx, FAULT_IO, "%s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(fd);
        return cx_fail(cx, FAULT_CONFLICT,
                       "another cohortiumd serves %s already; stop it first (its number is in "
                       "%s/run/pid)",
                       folder, folder);
    }
    *ret_fd = fd;
    return FAULT_NONE;
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

static enum fault run_here(struct cx *cx, const struct serve_options *o)
{
    struct sigaction stop = {.sa_handler = on_stop}, child = {.sa_handler = on_child};
    int lock, admin = -1;
    char pid[32];

    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGCHLD, &child, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    TRY(lock_folder(cx, o->folder, &lock));
    enum fault fault = listen_admin(cx, o->folder, &admin);
    if (fault == FAULT_NONE) {
        int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());

        fault = file_write(cx, "process number", cx_printf(cx, "%s/run/pid", o->folder),
                           bytes_of(pid, (size_t)n), 0644, FILE_REPLACE);
        if (fault == FAULT_NONE)
            fault = watch(cx, o, admin);
        (void)unlink(cx_printf(cx, "%s/run/admin.sock", o->folder));
        (void)unlink(cx_printf(cx, "%s/run/pid", o->folder));
        (void)close(admin);
    }
    (void)close(lock);
    log_notice("stopped");
    return fault;
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
    int log = open(cx_printf(cx, "%s/node.log", folder), O_WRONLY | O_CREAT | O_APPEND, 0600);
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

/* ---- a child's own main ---- */

static char *read_passphrase(void)
{
    char *p = sodium_malloc(PASSPHRASE_MAX);
    size_t n = 0;
    ssize_t k;

    if (p == NULL)
        return NULL;
    while (n < PASSPHRASE_MAX - 1 && (k = read(FD_SECRET, p + n, PASSPHRASE_MAX - 1 - n)) > 0)
        n += (size_t)k;
    (void)close(FD_SECRET);
    p[n] = '\0';
    return p;
}

static enum fault run_vault(struct cx *cx, const char *folder, const char *passphrase)
{
    struct vault_setup setup = {folder, passphrase, FD_PAIR, FD_CONTROL, FD_ADMIN};

    TRY(sandbox_enter(cx, SANDBOX_VAULT, folder));
    return vault_run(cx, &setup);
}

static enum fault run_net(struct cx *cx, const char *folder, const char *passphrase)
{
    AUTO_KEYS struct keys *keys = NULL;
    struct node_settings settings;
    struct net_setup setup = {.vault_fd = FD_PAIR, .control_fd = FD_CONTROL};

    TRY(folder_settings(cx, folder, &settings));
    TRY(keys_read(cx, cx_printf(cx, "%s/keys/noise.key", folder), "node_noise", passphrase,
                  &keys));
    setup.listen = settings.listen[0] != '\0' ? settings.listen : NULL;
    setup.link_secret = keys_link_secret(keys);
    TRY(folder_manifest(cx, folder, &setup.manifest));
    TRY(sandbox_enter(cx, SANDBOX_NET, folder));
    return net_run(cx, &setup);
}

int child_main(int argc, char **argv)
{
    bool vault = strcmp(argv[1], "vault-process") == 0;
    AUTO_CX struct cx *cx = cx_new((size_t)1 << 30, CX_NO_DEADLINE);
    char *passphrase = read_passphrase();

    log_open(vault ? "vault" : "net");
    if (cx == NULL || passphrase == NULL || argc != 3)
        return FATAL;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN); /* Ctrl-C reaches the whole group: the supervisor decides */
    const char *phrase = passphrase[0] != '\0' ? passphrase : NULL;
    enum fault fault = vault ? run_vault(cx, argv[2], phrase) : run_net(cx, argv[2], phrase);
    sodium_free(passphrase);
    if (fault == FAULT_NONE)
        return 0;
    log_warning("%s", cx_message(cx));
    /* Gone children are started again; what an operator must mend is not tried in a loop. */
    return fault == FAULT_UNAVAILABLE || fault == FAULT_MEMORY ? 1 : FATAL;
}

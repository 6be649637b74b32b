/* lab_steps.c - programs run side by side, and what they said when one fails. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/cli/lab.h"

enum { SAID_MAX = 4000, RUNNING_MAX = 64 };

struct running {
    pid_t pid;
    const struct step *step;
    int said; /* memory file with its standard output and error */
};

/* In the child: never returns. */
static void become(const struct step *step, int said)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)signal(SIGPIPE, SIG_DFL);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(said, STDOUT_FILENO) < 0 ||
        dup2(said, STDERR_FILENO) < 0)
        _exit(126);
    (void)execv(step->argv[0], (char *const *)(uintptr_t)step->argv);
    (void)dprintf(STDERR_FILENO, "%s: %s\n", step->argv[0], strerror(errno));
    _exit(127);
}

static enum fault start(struct cx *cx, const struct step *step, struct running *ret)
{
    ret->step = step;
    ret->said = memfd_create("step", MFD_CLOEXEC);
    if (ret->said < 0)
        return cx_fail(cx, FAULT_IO, "no memory file: %s", strerror(errno));
    ret->pid = fork();
    if (ret->pid == 0)
        become(step, ret->said);
    if (ret->pid < 0) {
        (void)close(ret->said);
        return cx_fail(cx, FAULT_IO, "no process for %s: %s", step->argv[0],
                       strerror(errno));
    }
    return FAULT_NONE;
}

/* "cohortiumd data import --dir ... : what it said". A node that went to the background
 * still holds the memory file; that is why it is no pipe. */
static enum fault step_failed(struct cx *cx, const struct running *r, int status)
{
    struct buffer b = buffer_new(cx, 16 * 1024);
    char said[SAID_MAX + 1];
    off_t size = lseek(r->said, 0, SEEK_END);
    off_t from = size > SAID_MAX ? size - SAID_MAX : 0;
    ssize_t n = pread(r->said, said, SAID_MAX, from);

    for (size_t i = 0; r->step->argv[i] != NULL; i++) {
        bool quoted = strpbrk(r->step->argv[i], " '\"*") != NULL;

        buffer_printf(&b, quoted ? "%s'%s'" : "%s%s", i > 0 ? " " : "", r->step->argv[i]);
    }
    if (WIFSIGNALED(status))
        buffer_printf(&b, "\nended by signal %d", WTERMSIG(status));
    else
        buffer_printf(&b, "\nended with status %d", WEXITSTATUS(status));
    said[n > 0 ? n : 0] = '\0';
    if (n > 0)
        buffer_printf(&b, ":\n%s", said);
    const char *text = buffer_string(&b);
    return cx_fail(cx, FAULT_IO, "a step failed: %s",
                   text == NULL ? r->step->argv[0] : text);
}

/* Waits for one of ours (this program has no other children). */
static enum fault wait_one(struct cx *cx, struct running *list, size_t *n,
                           enum fault before)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, 0)) < 0 && errno == EINTR)
        ;
    if (pid < 0)
        return cx_fail(cx, FAULT_INTERNAL, "a child process was lost: %s", strerror(errno));
    for (size_t i = 0; i < *n; i++) {
        if (list[i].pid != pid)
            continue;
        enum fault fault = before;
        /* The first failure is the one to tell. */
        if (before == FAULT_NONE && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
            fault = step_failed(cx, &list[i], status);
        (void)close(list[i].said);
        list[i] = list[--*n];
        return fault;
    }
    return before;
}

enum fault steps_run(struct cx *cx, const struct step *steps, size_t n, size_t at_once)
{
    struct running list[RUNNING_MAX];
    size_t running = 0, next = 0;
    enum fault fault = FAULT_NONE;

    if (at_once > RUNNING_MAX)
        at_once = RUNNING_MAX;
    while (running > 0 || (next < n && fault == FAULT_NONE)) {
        if (next < n && running < at_once && fault == FAULT_NONE) {
            fault = start(cx, &steps[next], &list[running]);
            if (fault == FAULT_NONE) {
                next++;
                running++;
            }
            continue;
        }
        fault = wait_one(cx, list, &running, fault);
        if (fault == FAULT_INTERNAL)
            return fault;
    }
    return fault;
}

/* ---- the program and its ports ---- */

enum fault find_daemon(struct cx *cx, const char **ret)
{
    /* Installed they lie side by side; in a build folder by part. */
    static const char *const places[] = {"cohortiumd", "../cohortiumd",
                                         "../admin/cohortiumd"};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n <= 0)
        return cx_fail(cx, FAULT_IO, "this program does not find itself: %s",
                       strerror(errno));
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    for (size_t i = 0; i < COUNT(places); i++) {
        const char *path = cx_printf(cx, "%s/%s", self, places[i]);
        struct stat st;

        if (path != NULL && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
            access(path, X_OK) == 0) {
            *ret = path;
            return FAULT_NONE;
        }
    }
    return cx_fail(cx, FAULT_MISSING,
                   "cohortiumd is not beside this program (%s): install it", self);
}

static enum fault bind_port(struct cx *cx, unsigned port, int *ret_fd, unsigned *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0)
        return cx_fail(cx, FAULT_IO, "no socket: %s", strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &size) != 0) {
        int error = errno;

        (void)close(fd);
        return cx_fail(cx, FAULT_IO, "port %u of 127.0.0.1 is not free: %s", port,
                       strerror(error));
    }
    *ret_fd = fd;
    *ret_port = ntohs(a.sin_port);
    return FAULT_NONE;
}

enum fault find_ports(struct cx *cx, unsigned base, size_t n, unsigned *ret)
{
    enum fault fault = FAULT_NONE;
    int fds[LAB_NODES_MAX];
    size_t held = 0;

    /* All are held until the last is found, so that they differ. */
    for (; held < n && held < LAB_NODES_MAX && fault == FAULT_NONE; held++) {
        fault = bind_port(cx, base > 0 ? base + (unsigned)held : 0, &fds[held], &ret[held]);
        if (fault != FAULT_NONE)
            break;
    }
    for (size_t i = 0; i < held; i++)
        (void)close(fds[i]);
    return fault;
}

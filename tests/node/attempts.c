/* attempts.c - what a process in a sandbox might try. */
#include "tests/node/attempts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

enum { PATH = 160, MAP_BYTES = 4096, THREADS = 4, X32_BIT = 0x40000000 };

/* 0 or errno of a call that returns -1 */
static int met(long result)
{
    return result < 0 ? errno : 0;
}

static const char *path_of(const char *folder, const char *name)
{
    static char paths[4][PATH];
    static int turn;
    char *path = paths[turn++ % 4];

    (void)snprintf(path, PATH, "%s/%s", folder, name);
    return path;
}

/* ---- programs and processes ---- */

/* In the new process: end; in ours it counts that there was one, waited for or not. */
static int child_made(long pid)
{
    if (pid == 0)
        _exit(0);
    if (pid < 0)
        return errno;
    (void)waitpid((pid_t)pid, NULL, 0);
    return 0;
}

int try_program(const struct place *p)
{
    char *argv[] = {(char *)"true", NULL};

    (void)p;
    return met(execv("/bin/true", argv)); /* where it runs, its status is 0 */
}

int try_program_of_descriptor(const struct place *p)
{
    char *argv[] = {(char *)"true", NULL}, *envp[] = {NULL};

    (void)p;
    return met(syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, envp, 0));
}

int try_fork(const struct place *p)
{
    (void)p;
    return child_made(fork());
}

int try_clone3(const struct place *p)
{
    struct clone_args args = {.exit_signal = SIGCHLD};

    (void)p;
    return child_made(syscall(SYS_clone3, &args, sizeof args));
}

int try_clone(const struct place *p)
{
    (void)p;
    return child_made(syscall(SYS_clone, CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, NULL));
}

struct counter {
    pthread_mutex_t lock;
    int n;
};

static void *count(void *user)
{
    struct counter *c = user;

    (void)pthread_mutex_lock(&c->lock);
    c->n++;
    (void)pthread_mutex_unlock(&c->lock);
    return NULL;
}

int try_thread(const struct place *p)
{
    struct counter c = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[THREADS];

    (void)p;
    for (int i = 0; i < THREADS; i++) {
        int bad = pthread_create(&threads[i], NULL, count, &c);

        if (bad != 0)
            return bad;
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    return c.n == THREADS ? 0 : EIO;
}

int try_new_code(const struct place *p)
{
    (void)p;
    return mmap(NULL, MAP_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) == MAP_FAILED
               ? errno
               : 0;
}

int try_code_of_data(const struct place *p)
{
    void *m =
        mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)p;
    return m == MAP_FAILED ? EIO : met(mprotect(m, MAP_BYTES, PROT_READ | PROT_EXEC));
}

/* ---- other processes ---- */

int try_trace(const struct place *p)
{
    if (ptrace(PTRACE_SEIZE, p->other, NULL, NULL) != 0)
        return errno;
    return 0; /* our end lets it go */
}

int try_read_memory(const struct place *p)
{
    int copy = 0;
    struct iovec here = {&copy, sizeof copy}, there = {(void *)&p->secret, sizeof copy};

    return met(process_vm_readv(p->other, &here, 1, &there, 1, 0));
}

int try_write_memory(const struct place *p)
{
    int same = p->secret;
    struct iovec here = {&same, sizeof same}, there = {(void *)&p->secret, sizeof same};

    return met(process_vm_writev(p->other, &here, 1, &there, 1, 0));
}

static int try_proc(const struct place *p, const char *name)
{
    char path[PATH];

    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)p->other, name);
    return met(open(path, O_RDONLY));
}

int try_memory_file(const struct place *p)
{
    return try_proc(p, "mem");
}

int try_environment(const struct place *p)
{
    return try_proc(p, "environ");
}

int try_kill(const struct place *p)
{
    return met(kill(p->other, 0));
}

int try_kill_thread(const struct place *p)
{
    return met(syscall(SYS_tgkill, p->other, p->other, 0));
}

int try_queue_signal(const struct place *p)
{
    return met(sigqueue(p->other, 0, (union sigval){0}));
}

int try_signal_by_descriptor(const struct place *p)
{
    long fd = syscall(SYS_pidfd_open, p->other, 0);

    return fd < 0 ? errno : met(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
}

/* "Send that process a signal of my choice when there is something to read." */
int try_signal_by_owner(const struct place *p)
{
    return met(fcntl(p->pair[0], F_SETOWN, p->other));
}

int try_signal_by_socket(const struct place *p)
{
    int pid = p->other;

    return met(ioctl(p->pair[0], FIOSETOWN, &pid));
}

int try_limit(const struct place *p)
{
    struct rlimit now;

    return met(prlimit(p->other, RLIMIT_CORE, NULL, &now));
}

/* abort and raise */
int try_own_signal(const struct place *p)
{
    (void)p;
    (void)signal(SIGUSR1, SIG_IGN);
    return raise(SIGUSR1) == 0 ? 0 : errno;
}

/* ---- the kernel's wide doors ---- */

int try_io_uring(const struct place *p)
{
    struct io_uring_params params = {0};

    (void)p;
    return met(syscall(SYS_io_uring_setup, 1, &params));
}

int try_keyring(const struct place *p)
{
    (void)p;
    return met(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1));
}

int try_bpf(const struct place *p)
{
    union bpf_attr attr = {
        .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};

    (void)p;
    return met(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
}

int try_perf(const struct place *p)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .exclude_kernel = 1};

    (void)p;
    return met(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

int try_userfaultfd(const struct place *p)
{
    (void)p;
    return met(syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */));
}

int try_memfd(const struct place *p)
{
    (void)p;
    return met(memfd_create("program", 0));
}

/* In a namespace of this process's own where it may have one; refused or not, nobody sees
 * it. */
int try_mount(const struct place *p)
{
    (void)unshare(CLONE_NEWNS);
    return met(mount("none", p->folder, "tmpfs", 0, NULL));
}

int try_namespace(const struct place *p)
{
    (void)p;
    return met(unshare(CLONE_NEWUSER));
}

int try_join_namespace(const struct place *p)
{
    return met(setns(p->pair[0], 0)); /* EINVAL where it is looked at */
}

int try_chroot(const struct place *p)
{
    return met(chroot(p->outside));
}

int try_root_user(const struct place *p)
{
    (void)p;
    return met(setresuid(getuid(), getuid(), getuid()));
}

int try_personality(const struct place *p)
{
    (void)p;
    return met(personality(0xffffffff));
}

/* The same call under another architecture's numbers; getpid has no effect of its own. */
int try_foreign_call(const struct place *p)
{
    (void)p;
#ifdef __x86_64__
    return met(syscall(X32_BIT | SYS_getpid));
#else
    return EPERM;
#endif
}

int try_type_into_terminal(const struct place *p)
{
    char c = 'x';

    return met(ioctl(p->pair[0], TIOCSTI, &c)); /* ENOTTY where it is looked at */
}

int try_dumpable(const struct place *p)
{
    (void)p;
    return met(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

/* The supervisor's death must be this process's. */
int try_outlive(const struct place *p)
{
    (void)p;
    return met(prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0));
}

int try_name(const struct place *p)
{
    (void)p;
    return met(prctl(PR_SET_NAME, "worker", 0, 0, 0));
}

/* ---- sockets ---- */

int try_tcp(const struct place *p)
{
    (void)p;
    return met(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

int try_udp(const struct place *p)
{
    (void)p;
    return met(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

int try_raw(const struct place *p)
{
    (void)p;
    return met(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

int try_local(const struct place *p)
{
    (void)p;
    return met(socket(AF_UNIX, SOCK_STREAM, 0));
}

int try_netlink(const struct place *p)
{
    (void)p;
    return met(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
}

int try_packet(const struct place *p)
{
    (void)p;
    return met(socket(AF_PACKET, SOCK_RAW, 0));
}

int try_pair(const struct place *p)
{
    int fds[2];

    (void)p;
    return met(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

int try_connect(const struct place *p)
{
    struct sockaddr_in a = loopback(p->port);

    return met(connect(p->tcp, (const struct sockaddr *)&a, sizeof a));
}

int try_bind(const struct place *p)
{
    struct sockaddr_in a = loopback(0);

    if (bind(p->tcp, (const struct sockaddr *)&a, sizeof a) != 0)
        return errno;
    return met(listen(p->tcp, 1));
}

int try_talk(const struct place *p)
{
    char c = 'x';

    if (send(p->pair[0], &c, 1, MSG_NOSIGNAL) != 1)
        return errno;
    return recv(p->pair[1], &c, 1, 0) == 1 ? 0 : errno;
}

int try_send_descriptor(const struct place *p)
{
    char c = 'x', control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {&c, 1};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&m);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &p->tcp, sizeof p->tcp);
    return met(sendmsg(p->pair[0], &m, MSG_NOSIGNAL));
}

/* Whoever gets through here is believed to be the operator. */
int try_admin_socket(const struct place *p)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s/local", p->outside);
    return fd < 0 ? errno : met(connect(fd, (const struct sockaddr *)&a, sizeof a));
}

int try_accept(const struct place *p)
{
    struct ucred who;
    socklen_t n = sizeof who;
    int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return errno;
    return met(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n));
}

/* /etc/hosts says it, without any network. */
int try_resolve(const struct place *p)
{
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM};
    int bad = getaddrinfo("localhost", "80", &hints, &found);

    (void)p;
    if (bad != 0)
        return EACCES; /* it has numbers of its own; what it met is gone */
    freeaddrinfo(found);
    return 0;
}

/* ---- files outside ---- */

int try_read_outside(const struct place *p)
{
    return met(open(path_of(p->outside, "file"), O_RDONLY));
}

int try_list_outside(const struct place *p)
{
    return met(open(p->outside, O_RDONLY | O_DIRECTORY));
}

int try_read_by_dots(const struct place *p)
{
    return met(open(path_of(p->folder, "../outside/file"), O_RDONLY));
}

int try_read_by_link(const struct place *p)
{
    return met(open(path_of(p->folder, "link"), O_RDONLY));
}

int try_read_by_root(const struct place *p)
{
    char path[PATH];

    (void)snprintf(path, sizeof path, "/proc/self/root%s/file", p->outside);
    return met(open(path, O_RDONLY));
}

int try_read_etc(const struct place *p)
{
    (void)p;
    return met(open("/etc/passwd", O_RDONLY));
}

int try_write_outside(const struct place *p)
{
    return met(open(path_of(p->outside, "file"), O_WRONLY));
}

int try_create_outside(const struct place *p)
{
    return met(open(path_of(p->outside, "new"), O_WRONLY | O_CREAT, 0600));
}

int try_unlink_outside(const struct place *p)
{
    return met(unlink(path_of(p->outside, "spare")));
}

int try_rename_outside(const struct place *p)
{
    return met(rename(path_of(p->outside, "file"), path_of(p->outside, "file.old")));
}

int try_link_in(const struct place *p)
{
    return met(link(path_of(p->outside, "file"), path_of(p->folder, "stolen")));
}

int try_folder_outside(const struct place *p)
{
    return met(mkdir(path_of(p->outside, "folder"), 0700));
}

int try_truncate_outside(const struct place *p)
{
    return met(truncate(path_of(p->outside, "file"), 0));
}

int try_chmod_outside(const struct place *p)
{
    return met(chmod(path_of(p->outside, "file"), 0644)) == 0
               ? 0
               : met(fchmodat(AT_FDCWD, path_of(p->outside, "file"), 0644, 0));
}

int try_attribute_outside(const struct place *p)
{
    return met(setxattr(path_of(p->outside, "file"), "user.mark", "x", 1, 0));
}

/* Opening by number goes past every folder. */
int try_handle(const struct place *p)
{
    struct file_handle h = {.handle_bytes = 0};
    int mount;

    return met(name_to_handle_at(AT_FDCWD, p->folder, &h, &mount, 0)); /* EOVERFLOW */
}

/* ---- files of the own folder ---- */

int try_read_inside(const struct place *p)
{
    char c;
    int fd = open(path_of(p->folder, "file"), O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno;
    return read(fd, &c, 1) == 1 ? met(close(fd)) : EIO;
}

int try_write_inside(const struct place *p)
{
    int fd = open(path_of(p->folder, "new"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return errno;
    if (pwrite(fd, "x", 1, 0) != 1 || fchmod(fd, 0400) != 0 || fsync(fd) != 0 ||
        ftruncate(fd, 0) != 0)
        return errno;
    return met(close(fd));
}

/* As files.c puts a document in place, and the store a staging folder. */
int try_replace_inside(const struct place *p)
{
    int bad = try_write_inside(p);

    if (bad != 0)
        return bad;
    if (link(path_of(p->folder, "new"), path_of(p->folder, "linked")) != 0 ||
        rename(path_of(p->folder, "new"), path_of(p->folder, "newer")) != 0 ||
        renameat2(AT_FDCWD, path_of(p->folder, "newer"), AT_FDCWD,
                  path_of(p->folder, "newest"), RENAME_NOREPLACE) != 0)
        return errno;
    return met(unlink(path_of(p->folder, "newest")) | unlink(path_of(p->folder, "linked")));
}

int try_folder_inside(const struct place *p)
{
    const char *path = path_of(p->folder, "staging");

    if (mkdir(path, 0700) != 0)
        return errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return errno;
    return met(rmdir(path));
}

int try_symlink_inside(const struct place *p)
{
    return met(symlink("/", path_of(p->folder, "root")));
}

int try_device_inside(const struct place *p)
{
    return met(mknod(path_of(p->folder, "pipe"), S_IFIFO | 0600, 0));
}

/* As column files are read: mapped once and kept. */
int try_map_inside(const struct place *p)
{
    int fd = open(path_of(p->folder, "file"), O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno;
    char *m = mmap(NULL, MAP_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    if (m == MAP_FAILED || madvise(m, MAP_BYTES, MADV_WILLNEED) != 0)
        return errno;
    if (m[0] != 'f')
        return EIO;
    return met(munmap(m, MAP_BYTES));
}

int try_lock_inside(const struct place *p)
{
    struct flock part = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    int fd = open(path_of(p->folder, "lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno;
    return met(fcntl(fd, F_SETLK, &part));
}

/* Where SQLite may not open for writing it tries reading, and meets another errno. */
static int errno_of(sqlite3 *sql)
{
    if (sqlite3_errcode(sql) == SQLITE_CANTOPEN)
        return EACCES;
    return sqlite3_system_errno(sql) != 0 ? sqlite3_system_errno(sql) : EIO;
}

/* Two connections, a write-ahead log, full durability, a checkpoint: the vault's way. */
int try_database(const struct place *p)
{
    static const char *const writes[] = {
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
        "CREATE TABLE IF NOT EXISTS t(x); BEGIN IMMEDIATE; INSERT INTO t VALUES(1); COMMIT",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    const char *path = path_of(p->folder, "vault.db");
    sqlite3 *writer = NULL, *reader = NULL;

    if (sqlite3_open(path, &writer) != SQLITE_OK)
        return errno_of(writer);
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++)
        if (sqlite3_exec(writer, writes[i], NULL, NULL, NULL) != SQLITE_OK)
            return errno_of(writer);
    if (sqlite3_open(path, &reader) != SQLITE_OK ||
        sqlite3_exec(reader, "SELECT sum(x) FROM t", NULL, NULL, NULL) != SQLITE_OK)
        return errno_of(reader);
    return sqlite3_close(reader) == SQLITE_OK && sqlite3_close(writer) == SQLITE_OK ? 0
                                                                                    : EIO;
}

/* ---- a thread that is older than the sandbox ---- */

struct old {
    pthread_barrier_t entered;
    int met;
};

static void *old_thread(void *user)
{
    struct old *o = user;

    (void)pthread_barrier_wait(&o->entered);
    o->met = try_fork(NULL);
    return NULL;
}

int try_old_thread(const struct place *p, bool (*enter)(const struct place *p))
{
    struct old o = {.met = 0};
    pthread_t thread;

    if (pthread_barrier_init(&o.entered, NULL, 2) != 0 ||
        pthread_create(&thread, NULL, old_thread, &o) != 0 || !enter(p))
        return EIO;
    (void)pthread_barrier_wait(&o.entered);
    (void)pthread_join(thread, NULL);
    return o.met;
}

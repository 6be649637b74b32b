/* sandbox.c - seccomp and Landlock for the node's processes. */
#include "node/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "node/log.h"

/* ---- seccomp: calls that are let through whatever their arguments ---- */

/* clang-format off */

/* What any process with threads, memory, open files and libc needs. */
static const int common[] = {
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64),
    SCMP_SYS(pwrite64), SCMP_SYS(close), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(stat),
    SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(fstatfs),
    SCMP_SYS(statfs), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(getdents64),
    SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(munmap), SCMP_SYS(mremap),
    SCMP_SYS(madvise), SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock),
    SCMP_SYS(mincore), SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq), SCMP_SYS(set_tid_address), SCMP_SYS(gettid), SCMP_SYS(getpid),
    SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
    SCMP_SYS(getegid), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(getrandom), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select),
    SCMP_SYS(pselect6), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait), SCMP_SYS(eventfd2), SCMP_SYS(pipe2), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getrlimit),
    SCMP_SYS(getrusage), SCMP_SYS(arch_prctl), SCMP_SYS(membarrier),
};

/* What changes files: SQLite, column files, documents. */
static const int files[] = {
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(flock), SCMP_SYS(fsync), SCMP_SYS(fdatasync),
    SCMP_SYS(sync_file_range), SCMP_SYS(ftruncate), SCMP_SYS(fallocate),
    SCMP_SYS(fadvise64), SCMP_SYS(fchmod), SCMP_SYS(fchown), SCMP_SYS(unlink),
    SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2),
    SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(link), SCMP_SYS(linkat),
    SCMP_SYS(umask), SCMP_SYS(msync),
};

/* Talking on sockets that are there; no sendmsg: no descriptor goes along. */
static const int talk[] = {
    SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(shutdown), SCMP_SYS(getsockopt),
    SCMP_SYS(accept), SCMP_SYS(accept4),
};

static const int network[] = {
    SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(getsockname),
    SCMP_SYS(getpeername), SCMP_SYS(setsockopt), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
    SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg),
};

/* clang-format on */

/* ---- seccomp: calls that depend on an argument ---- */

/* No F_SETOWN, F_SETSIG: they make the kernel send a signal of choice to any process. */
static const int descriptor_commands[] = {
    F_GETFD, F_SETFD, F_GETFL,  F_SETFL,     F_DUPFD,     F_DUPFD_CLOEXEC,
    F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW};

/* No TIOCSTI: it types into the terminal of whoever started the node. */
static const unsigned device_commands[] = {FIONBIO, FIONREAD, FIOCLEX, FIONCLEX, TCGETS};

static const int socket_families[] = {AF_INET, AF_INET6};
static const int socket_types[] = {SOCK_STREAM, SOCK_DGRAM};
enum { SOCKET_TYPE_MASK = 0xf };

/* Some architectures lack some calls: the library answers -EDOM or -EOPNOTSUPP. */
static int allow_if(scmp_filter_ctx filter, int call, unsigned n,
                    const struct scmp_arg_cmp *if_)
{
    int bad = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, n, if_);

    return bad == -EDOM || bad == -EOPNOTSUPP ? 0 : bad;
}

static int allow(scmp_filter_ctx filter, const int *list, size_t n)
{
    int bad = 0;

    for (size_t i = 0; i < n && bad == 0; i++)
        bad = allow_if(filter, list[i], 0, NULL);
    return bad;
}

/* The bits of `mask` in argument `place` must be `bits`. */
static int allow_bits(scmp_filter_ctx filter, int call, unsigned place, uint64_t mask,
                      uint64_t bits)
{
    struct scmp_arg_cmp c = SCMP_CMP64(place, SCMP_CMP_MASKED_EQ, mask, bits);

    return allow_if(filter, call, 1, &c);
}

static int allow_value(scmp_filter_ctx filter, int call, unsigned place, uint64_t value)
{
    struct scmp_arg_cmp c = SCMP_CMP64(place, SCMP_CMP_EQ, value);

    return allow_if(filter, call, 1, &c);
}

/* Threads, not processes. clone3 hides its flags behind a pointer: libc asks clone then. */
static int allow_threads(scmp_filter_ctx filter)
{
    int bad = allow_bits(filter, SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD);

    if (bad == 0)
        bad = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (bad == 0) /* abort and raise */
        bad = allow_value(filter, SCMP_SYS(tgkill), 0, (uint64_t)getpid());
    if (bad == 0)
        bad = allow_value(filter, SCMP_SYS(prlimit64), 0, 0);
    return bad != 0 ? bad : allow_value(filter, SCMP_SYS(prctl), 0, PR_SET_NAME);
}

static int allow_commands(scmp_filter_ctx filter)
{
    int bad = 0;

    for (size_t i = 0; i < COUNT(descriptor_commands) && bad == 0; i++)
        bad = allow_value(filter, SCMP_SYS(fcntl), 1, (uint64_t)descriptor_commands[i]);
    for (size_t i = 0; i < COUNT(device_commands) && bad == 0; i++)
        bad = allow_value(filter, SCMP_SYS(ioctl), 1, device_commands[i]);
    return bad;
}

/* net loads libraries of the resolver; for the others what is code now stays all there is.
 */
static int allow_memory(scmp_filter_ctx filter, bool new_code)
{
    static const int calls[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
    int bad = 0;

    for (size_t i = 0; i < COUNT(calls) && bad == 0; i++)
        bad = new_code ? allow_if(filter, calls[i], 0, NULL)
                       : allow_bits(filter, calls[i], 2, PROT_EXEC, 0);
    return bad;
}

static int allow_net(scmp_filter_ctx filter)
{
    static const uint64_t writes = O_ACCMODE | O_CREAT | O_TRUNC;
    int bad = allow(filter, network, COUNT(network));

    if (bad == 0)
        bad = allow_bits(filter, SCMP_SYS(open), 1, writes, O_RDONLY);
    if (bad == 0)
        bad = allow_bits(filter, SCMP_SYS(openat), 2, writes, O_RDONLY);
    for (size_t i = 0; i < COUNT(socket_families) && bad == 0; i++)
        for (size_t k = 0; k < COUNT(socket_types) && bad == 0; k++) {
            struct scmp_arg_cmp c[] = {
                SCMP_CMP64(0, SCMP_CMP_EQ, (uint64_t)socket_families[i]),
                SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, SOCKET_TYPE_MASK,
                           (uint64_t)socket_types[k])};

            bad = allow_if(filter, SCMP_SYS(socket), COUNT(c), c);
        }
    return bad;
}

static int allow_role(scmp_filter_ctx filter, enum sandbox_role role)
{
    int bad = allow(filter, common, COUNT(common));

    if (bad == 0)
        bad = allow_threads(filter);
    if (bad == 0)
        bad = allow_commands(filter);
    if (bad == 0)
        bad = allow_memory(filter, role == SANDBOX_NET);
    if (bad == 0 && role != SANDBOX_IMPORT)
        bad = allow(filter, talk, COUNT(talk));
    if (bad == 0)
        bad = role == SANDBOX_NET ? allow_net(filter) : allow(filter, files, COUNT(files));
    return bad;
}

static enum fault enter_seccomp(struct cx *cx, enum sandbox_role role)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int bad = filter == NULL ? -ENOMEM : 0;

    /* Another architecture's calls have other numbers: no use, then, of letting one go on.
     */
    if (bad == 0)
        bad = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (bad == 0) /* a thread that a library may have started is bound, too */
        bad = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (bad == 0)
        bad = allow_role(filter, role);
    if (bad == 0)
        bad = seccomp_load(filter);
    if (filter != NULL)
        seccomp_release(filter);
    if (bad != 0)
        return cx_fail(
            cx, FAULT_INTERNAL,
            "this system does not let a process give up its rights (seccomp: %s); a "
            "node does not run without that",
            strerror(-bad));
    return FAULT_NONE;
}

/* ---- Landlock ---- */

/* Rights that came with later kernels than this system's headers may be of; by the number
 * of the interface. A kernel refuses a right that it does not know, so each is asked for by
 * it. */
#define RIGHT_TRUNCATE (UINT64_C(1) << 14) /* 3 */
#define RIGHT_DEVICE   (UINT64_C(1) << 15) /* 5: commands of devices */
#define NET_ALL        UINT64_C(3)         /* 4: bind and connect of TCP */
#define SCOPE_ALL      UINT64_C(3)         /* 6: abstract local sockets, signals */

struct ruleset {
    uint64_t files, network, scoped;
};

static long landlock_version(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool sandbox_has_landlock(void)
{
    return landlock_version() >= 1;
}

enum {
    READS = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    /* In the own folder: files and folders; no device, socket, pipe or symbolic link. */
    WORKS = READS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
            LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
            LANDLOCK_ACCESS_FS_MAKE_REG,
    RIGHTS = WORKS | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
             LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
             LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM
};

/* A path that is not there is no reason to fail: nothing is granted then. */
static int grant(int ruleset, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights};

    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return 0;
    int bad =
        (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    int why = errno;
    (void)close(rule.parent_fd);
    errno = why;
    return bad;
}

/* /etc whole: resolv.conf is often replaced by a new file while the node runs. */
static int grant_net(int ruleset)
{
    static const char *const folders[] = {"/etc",
                                          "/usr",
                                          "/lib",
                                          "/lib64",
                                          "/run/systemd/resolve",
                                          "/run/resolvconf",
                                          "/run/NetworkManager"};
    int bad = 0;

    for (size_t i = 0; i < COUNT(folders) && bad == 0; i++)
        bad = grant(ruleset, folders[i], READS);
    return bad;
}

static int grant_all(int ruleset, enum sandbox_role role, const char *folder,
                     uint64_t works)
{
    /* What libc asks about the machine, and SQLite's source of random numbers. */
    static const char *const machine[] = {"/sys/devices/system/cpu/online",
                                          "/proc/sys/vm/overcommit_memory", "/dev/urandom"};
    int bad = 0;

    for (size_t i = 0; i < COUNT(machine) && bad == 0; i++)
        bad = grant(ruleset, machine[i], LANDLOCK_ACCESS_FS_READ_FILE);
    if (bad != 0)
        return bad;
    return role == SANDBOX_NET ? grant_net(ruleset) : grant(ruleset, folder, works);
}

static enum fault enter_landlock(struct cx *cx, enum sandbox_role role, const char *folder)
{
    long version = landlock_version();
    uint64_t truncate = version >= 3 ? RIGHT_TRUNCATE : 0;
    struct ruleset asked = {
        .files = RIGHTS | truncate | (version >= 5 ? RIGHT_DEVICE : 0),
        .network = version >= 4 && role != SANDBOX_NET ? NET_ALL : 0,
        .scoped = version >= 6 ? SCOPE_ALL : 0,
    };

    if (version < 1) {
        if (role != SANDBOX_IMPORT) /* its words would stand in the middle of a command's */
            log_warning(
                "this kernel has no Landlock: only the rights of this user keep this "
                "process to its folder; a kernel with it does so, too");
        return FAULT_NONE;
    }
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &asked, sizeof asked, 0);
    if (ruleset < 0)
        return cx_fail(cx, FAULT_INTERNAL, "Landlock: %s", strerror(errno));
    int bad = grant_all(ruleset, role, folder, WORKS | truncate);
    if (bad == 0)
        bad = (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
    int why = errno;
    (void)close(ruleset);
    if (bad != 0)
        return cx_fail(cx, FAULT_INTERNAL, "Landlock: %s", strerror(why));
    return FAULT_NONE;
}

enum fault sandbox_enter(struct cx *cx, enum sandbox_role role, const char *folder)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return cx_fail(cx, FAULT_INTERNAL, "prctl: %s", strerror(errno));
    TRY(enter_landlock(cx, role, folder));
    return enter_seccomp(cx, role);
}

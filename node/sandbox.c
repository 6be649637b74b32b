/* sandbox.c - seccomp and Landlock for the node's processes. */
#include "node/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What any process with threads, files, SQLite and libc needs. */
static const int common[] = {
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64),
    SCMP_SYS(pwrite64), SCMP_SYS(close), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(stat),
    SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(fstatfs), SCMP_SYS(statfs),
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(getdents64),
    SCMP_SYS(fcntl), SCMP_SYS(flock), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
    SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(sync_file_range), SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate), SCMP_SYS(fadvise64), SCMP_SYS(fchmod), SCMP_SYS(fchmodat),
    SCMP_SYS(fchown), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat),
    SCMP_SYS(renameat2), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(link),
    SCMP_SYS(linkat), SCMP_SYS(utimensat), SCMP_SYS(umask), SCMP_SYS(mmap), SCMP_SYS(munmap),
    SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mlock), SCMP_SYS(mlock2),
    SCMP_SYS(munlock), SCMP_SYS(msync), SCMP_SYS(mincore), SCMP_SYS(brk), SCMP_SYS(futex),
    SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
    SCMP_SYS(set_tid_address), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(getppid),
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(tgkill),
    SCMP_SYS(kill), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(getrandom), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(eventfd2), SCMP_SYS(pipe2), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(prlimit64), SCMP_SYS(getrlimit),
    SCMP_SYS(getrusage), SCMP_SYS(prctl), SCMP_SYS(arch_prctl), SCMP_SYS(membarrier),
    SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
    SCMP_SYS(shutdown), SCMP_SYS(getsockopt), SCMP_SYS(ioctl),
};

static const int vault_only[] = {SCMP_SYS(accept4), SCMP_SYS(accept)};

static const int net_only[] = {
    SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept),
    SCMP_SYS(accept4), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(setsockopt),
    SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg),
};

static int allow(scmp_filter_ctx filter, const int *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] >= 0 || list[i] < -1) { /* a pseudo number is skipped by the library */
            int bad = seccomp_rule_add(filter, SCMP_ACT_ALLOW, list[i], 0);

            if (bad != 0 && bad != -EDOM && bad != -EOPNOTSUPP)
                return bad;
        }
    return 0;
}

static enum fault enter_seccomp(struct cx *cx, enum sandbox_role role)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int bad = filter == NULL ? -ENOMEM : allow(filter, common, COUNT(common));

    if (bad == 0 && role == SANDBOX_VAULT)
        bad = allow(filter, vault_only, COUNT(vault_only));
    if (bad == 0 && role == SANDBOX_NET)
        bad = allow(filter, net_only, COUNT(net_only));
    if (bad == 0)
        bad = seccomp_load(filter);
    if (filter != NULL)
        seccomp_release(filter);
    if (bad != 0)
        return cx_fail(cx, FAULT_INTERNAL,
                       "this system does not let a process give up its rights (seccomp: %s); a "
                       "node does not run without that",
                       strerror(-bad));
    return FAULT_NONE;
}

/* ---- Landlock ---- */

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
    RIGHTS = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | READS |
             LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
             LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
             LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
             LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
             LANDLOCK_ACCESS_FS_MAKE_SYM,
};

/* A path that is not there is no reason to fail: nothing is granted then. */
static int grant(int ruleset, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights};

    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return 0;
    int bad = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    (void)close(rule.parent_fd);
    return bad;
}

static enum fault enter_landlock(struct cx *cx, enum sandbox_role role, const char *folder)
{
    static const char *const reads[] = {"/etc", "/usr", "/lib", "/lib64", "/proc", "/sys",
                                        "/run/systemd/resolve"};
    struct landlock_ruleset_attr attr = {.handled_access_fs = RIGHTS};

    if (!sandbox_has_landlock())
        return FAULT_NONE; /* an older kernel: seccomp alone; `doctor` says so */
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (ruleset < 0)
        return cx_fail(cx, FAULT_INTERNAL, "Landlock: %s", strerror(errno));
    int bad = 0;
    for (size_t i = 0; i < COUNT(reads) && bad == 0; i++)
        bad = grant(ruleset, reads[i], READS);
    if (bad == 0 && role != SANDBOX_NET)
        bad = grant(ruleset, folder, RIGHTS & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE);
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
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return cx_fail(cx, FAULT_INTERNAL, "prctl: %s", strerror(errno));
    TRY(enter_landlock(cx, role, folder));
    return enter_seccomp(cx, role);
}

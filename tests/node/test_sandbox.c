/*
 * Beside each call that works in a node's process stands the one that must be refused.
 *
 * Each attempt runs in a process of its own in each role, and once without any sandbox:
 * what the system refuses there already proves nothing, and is named. Whoever runs this as
 * root sees all of it twice, the second time as a user without rights.
 */
#include "node/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/node/attempts.h"

enum { NOBODY = 65534, KILLED = 255, WORDS = 400, BACKLOG = 64 };

enum where { OPEN, VAULT, NET, IMPORT, WHERES };
static const char *const where_names[] = {"no sandbox", "vault", "net", "import"};

/* V N I: works in the vault, in net, in the import; `landlock`: only Landlock refuses it.
 */
enum { V = 1 << VAULT, N = 1 << NET, I = 1 << IMPORT };
enum by { BY_SECCOMP, BY_LANDLOCK };

struct row {
    const char *what;
    attempt *try;
    unsigned works;
    enum by by;
};

static const struct row processes[] = {
    {"start a program", try_program, 0, BY_SECCOMP},
    {"start a program, by execveat", try_program_of_descriptor, 0, BY_SECCOMP},
    {"fork", try_fork, 0, BY_SECCOMP},
    {"a process by clone", try_clone, 0, BY_SECCOMP},
    {"a process by clone3", try_clone3, 0, BY_SECCOMP},
    {"threads", try_thread, V | N | I, BY_SECCOMP},
    {"map new code (net loads the resolver's parts)", try_new_code, N, BY_SECCOMP},
    {"make data code", try_code_of_data, N, BY_SECCOMP},
    {"trace another process", try_trace, 0, BY_SECCOMP},
    {"read another process's memory", try_read_memory, 0, BY_SECCOMP},
    {"write another process's memory", try_write_memory, 0, BY_SECCOMP},
    {"open another process's memory", try_memory_file, 0, BY_LANDLOCK},
    {"read another process's environment", try_environment, 0, BY_LANDLOCK},
    {"kill", try_kill, 0, BY_SECCOMP},
    {"kill by tgkill", try_kill_thread, 0, BY_SECCOMP},
    {"kill by sigqueue", try_queue_signal, 0, BY_SECCOMP},
    {"kill by pidfd", try_signal_by_descriptor, 0, BY_SECCOMP},
    {"kill by F_SETOWN", try_signal_by_owner, 0, BY_SECCOMP},
    {"kill by FIOSETOWN", try_signal_by_socket, 0, BY_SECCOMP},
    {"another process's limits", try_limit, 0, BY_SECCOMP},
    {"a signal to oneself", try_own_signal, V | N | I, BY_SECCOMP},
    {"become readable for others", try_dumpable, 0, BY_SECCOMP},
    {"outlive the supervisor", try_outlive, 0, BY_SECCOMP},
    {"name a thread", try_name, V | N | I, BY_SECCOMP},
};

static const struct row doors[] = {
    {"io_uring", try_io_uring, 0, BY_SECCOMP},
    {"keyctl", try_keyring, 0, BY_SECCOMP},
    {"bpf", try_bpf, 0, BY_SECCOMP},
    {"perf_event_open", try_perf, 0, BY_SECCOMP},
    {"userfaultfd", try_userfaultfd, 0, BY_SECCOMP},
    {"memfd_create", try_memfd, 0, BY_SECCOMP},
    {"mount", try_mount, 0, BY_SECCOMP},
    {"a user namespace", try_namespace, 0, BY_SECCOMP},
    {"join a namespace", try_join_namespace, 0, BY_SECCOMP},
    {"chroot", try_chroot, 0, BY_SECCOMP},
    {"setresuid", try_root_user, 0, BY_SECCOMP},
    {"personality", try_personality, 0, BY_SECCOMP},
    {"calls of another architecture", try_foreign_call, 0, BY_SECCOMP},
    {"type into the terminal", try_type_into_terminal, 0, BY_SECCOMP},
    {"open a file by number", try_handle, 0, BY_SECCOMP},
};

static const struct row sockets[] = {
    {"a TCP socket", try_tcp, N, BY_SECCOMP},
    {"a UDP socket", try_udp, N, BY_SECCOMP},
    {"a raw socket", try_raw, 0, BY_SECCOMP},
    {"a packet socket", try_packet, 0, BY_SECCOMP},
    {"a netlink socket", try_netlink, 0, BY_SECCOMP},
    {"a local socket", try_local, 0, BY_SECCOMP},
    {"a pair of sockets", try_pair, 0, BY_SECCOMP},
    {"the operator's socket", try_admin_socket, 0, BY_SECCOMP},
    {"connect", try_connect, N, BY_SECCOMP},
    {"bind and listen", try_bind, N, BY_SECCOMP},
    {"resolve a name", try_resolve, N, BY_SECCOMP},
    {"talk on a socket that is there", try_talk, V | N, BY_SECCOMP},
    {"accept at a socket that is there", try_accept, V | N, BY_SECCOMP},
    {"hand a descriptor over", try_send_descriptor, N, BY_SECCOMP},
};

static const struct row files[] = {
    {"read outside", try_read_outside, 0, BY_LANDLOCK},
    {"list outside", try_list_outside, 0, BY_LANDLOCK},
    {"read outside by ..", try_read_by_dots, 0, BY_LANDLOCK},
    {"read outside by a link inside", try_read_by_link, 0, BY_LANDLOCK},
    {"read outside by /proc/self/root", try_read_by_root, 0, BY_LANDLOCK},
    {"read /etc (net resolves names)", try_read_etc, N, BY_LANDLOCK},
    {"write outside", try_write_outside, 0, BY_LANDLOCK},
    {"create outside", try_create_outside, 0, BY_LANDLOCK},
    {"unlink outside", try_unlink_outside, 0, BY_LANDLOCK},
    {"rename outside", try_rename_outside, 0, BY_LANDLOCK},
    {"link an outer file in", try_link_in, 0, BY_LANDLOCK},
    {"a folder outside", try_folder_outside, 0, BY_LANDLOCK},
    {"truncate outside", try_truncate_outside, 0, BY_SECCOMP},
    {"chmod outside", try_chmod_outside, 0, BY_SECCOMP},
    {"an attribute outside", try_attribute_outside, 0, BY_SECCOMP},
    {"read in its folder", try_read_inside, V | I, BY_LANDLOCK},
    {"write in its folder", try_write_inside, V | I, BY_SECCOMP},
    {"put a file in place", try_replace_inside, V | I, BY_SECCOMP},
    {"a folder in its folder", try_folder_inside, V | I, BY_SECCOMP},
    {"map a column file", try_map_inside, V | I, BY_LANDLOCK},
    {"locks", try_lock_inside, V | I, BY_SECCOMP},
    {"SQLite with a write-ahead log", try_database, V | I, BY_SECCOMP},
    {"a symbolic link in its folder", try_symlink_inside, 0, BY_SECCOMP},
    {"a pipe in its folder", try_device_inside, 0, BY_SECCOMP},
};

/* What net may not write it is refused by seccomp already; reading knows only Landlock. */
static bool is_refused_without_landlock(const struct row *r, enum where at)
{
    static attempt *const reads[] = {try_read_outside, try_list_outside, try_read_by_dots,
                                     try_read_by_link, try_read_by_root, try_read_inside,
                                     try_map_inside,   try_memory_file,  try_environment,
                                     try_resolve};

    for (size_t i = 0; i < COUNT(reads); i++)
        if (r->try == reads[i])
            return false;
    return r->by == BY_SECCOMP || at == NET;
}

/* ---- the place, made anew for each attempt ---- */

static bool put_file(const char *folder, const char *name)
{
    char path[160];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd >= 0 && write(fd, "file\n", 5) == 5 && close(fd) == 0;
}

static int local_listener(const char *folder)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s/local", folder);
    (void)unlink(a.sun_path);
    return fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof a) == 0 &&
                   listen(fd, BACKLOG) == 0
               ? fd
               : -1;
}

static bool knock(const char *folder)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s/local", folder);
    return fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) == 0;
}

/* What an attempt before this one has made. */
static void place_clean(const struct place *p)
{
    static const char *const made[] = {"inside/link", "inside/stolen",    "inside/root",
                                       "inside/pipe", "inside/new",       "inside/staging",
                                       "outside/new", "outside/file.old", "outside/folder"};
    char path[160];

    for (size_t i = 0; i < COUNT(made); i++) {
        (void)snprintf(path, sizeof path, "%s/../%s", p->folder, made[i]);
        (void)remove(path);
    }
}

/* In the process of the attempt, before its sandbox. */
static bool place_fill(struct place *p)
{
    char link[160];

    place_clean(p);
    (void)snprintf(link, sizeof link, "%s/link", p->folder);
    p->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    p->listener = local_listener(p->folder);
    return put_file(p->folder, "file") && put_file(p->outside, "file") &&
           put_file(p->outside, "spare") && symlink("../outside/file", link) == 0 &&
           p->tcp >= 0 && p->listener >= 0 && knock(p->folder) &&
           socketpair(AF_UNIX, SOCK_STREAM, 0, p->pair) == 0;
}

static bool enter(const struct place *p, enum where at)
{
    static const enum sandbox_role roles[] = {
        [VAULT] = SANDBOX_VAULT, [NET] = SANDBOX_NET, [IMPORT] = SANDBOX_IMPORT};
    AUTO_CX struct cx *cx = cx_new(64 * 1024, CX_NO_DEADLINE);

    if (at == OPEN)
        return true;
    if (cx != NULL && sandbox_enter(cx, roles[at], p->folder) == FAULT_NONE)
        return true;
    (void)fprintf(stderr, "sandbox_enter: %s\n", cx != NULL ? cx_message(cx) : "no memory");
    return false;
}

/* The errno that the attempt met there, 0 if it got through, KILLED. */
static int outcome(const struct place *in, attempt *try, enum where at)
{
    static struct place p; /* at one address in both processes */
    int status = 0;

    p = *in;
    p.other = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        if (!place_fill(&p))
            _exit(ECANCELED);
        _exit(enter(&p, at) ? try(&p) : ECANCELED);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return ECANCELED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : KILLED;
}

static bool is_refusal(int met)
{
    return met == EPERM || met == EACCES || met == KILLED;
}

/* ---- the claims, in a process that stands for the supervisor ---- */

/* 1 if the row's claim does not hold. */
static int judge(const struct place *p, const struct row *r, enum where at, bool landlock)
{
    bool works = (r->works & 1u << at) != 0;

    if (!works && !landlock && !is_refused_without_landlock(r, at)) {
        (void)printf("SKIP %s, %s: this kernel has no Landlock\n", where_names[at],
                     r->what);
        return 0;
    }
    int met = outcome(p, r->try, at);
    /* clone3 is "not there", so that libc takes clone; Landlock has a word of its own for
     * what moves between folders. */
    bool refused = is_refusal(met) || (r->try == try_clone3 && met == ENOSYS) ||
                   (r->try == try_link_in && met == EXDEV);

    if (works ? met == 0 : refused)
        return 0;
    (void)fprintf(stderr, "uid %d, %s: %s: expected %s, met %s\n", (int)getuid(),
                  where_names[at], r->what, works ? "success" : "a refusal",
                  met == 0        ? "success"
                  : met == KILLED ? "death"
                                  : strerror(met));
    return 1;
}

static int judge_rows(const struct place *p, const struct row *rows, size_t n)
{
    bool landlock = sandbox_has_landlock();
    int failed = 0;

    for (size_t i = 0; i < n; i++) {
        int open = outcome(p, rows[i].try, OPEN);

        if (is_refusal(open) || open == ENOSYS)
            (void)printf(
                "note: uid %d: %s: this system refuses it without a sandbox, too\n",
                (int)getuid(), rows[i].what);
        if (open == ECANCELED || (rows[i].works != 0 && open != 0)) {
            (void)fprintf(stderr, "uid %d: %s cannot be tried here: %s\n", (int)getuid(),
                          rows[i].what, strerror(open));
            failed++;
        }
        for (enum where at = VAULT; at < WHERES; at++)
            failed += judge(p, &rows[i], at, landlock);
    }
    return failed;
}

static int tcp_listener(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof a) != 0 ||
        listen(fd, BACKLOG) != 0 || getsockname(fd, (struct sockaddr *)&a, &n) != 0)
        return -1;
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static bool become(uid_t uid, const char *folder)
{
    if (getuid() != uid && (chown(folder, uid, uid) != 0 || setgroups(0, NULL) != 0 ||
                            setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0))
        return false;
    /* Back to what a process is at first, so that others of its user may look into it. */
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

/* A user's process with a folder: runs the claims, then gives how many failed. */
static int stand(uid_t uid, const char *scratch, int (*claims)(const struct place *p))
{
    struct place p = {.secret = 42};
    int status = 0;

    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)snprintf(p.folder, sizeof p.folder, "%.60s/inside", scratch);
        (void)snprintf(p.outside, sizeof p.outside, "%.60s/outside", scratch);
        if (!become(uid, scratch) || mkdir(p.folder, 0700) != 0 ||
            mkdir(p.outside, 0700) != 0 || tcp_listener(&p.port) < 0 ||
            local_listener(p.outside) < 0)
            _exit(1);
        int failed = claims(&p);
        (void)fflush(stdout);
        _exit(failed > 100 ? 100 : failed);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : KILLED;
}

static void each_user(int (*claims)(const struct place *p))
{
    uid_t users[] = {getuid(), NOBODY};
    size_t n = getuid() == 0 ? 2 : 1;

    for (size_t i = 0; i < n; i++) {
        struct scratch s;

        scratch_new(&s);
        int failed = stand(users[i], s.folder, claims);
        scratch_free(&s);
        CHECK_EQ_(users[i] == 0 ? "as root" : "as a user", failed, 0);
    }
}

static int claim_processes(const struct place *p)
{
    return judge_rows(p, processes, COUNT(processes));
}

static int claim_doors(const struct place *p)
{
    return judge_rows(p, doors, COUNT(doors));
}

static int claim_sockets(const struct place *p)
{
    return judge_rows(p, sockets, COUNT(sockets));
}

static int claim_files(const struct place *p)
{
    return judge_rows(p, files, COUNT(files));
}

static void test_sandbox__no_other_process_is_reached(void **state)
{
    (void)state;
    each_user(claim_processes);
}

static void test_sandbox__wide_doors_of_the_kernel_are_shut(void **state)
{
    (void)state;
    each_user(claim_doors);
}

static void test_sandbox__only_net_makes_sockets(void **state)
{
    (void)state;
    each_user(claim_sockets);
}

static void test_sandbox__files_are_those_of_the_folder(void **state)
{
    (void)state;
    if (!sandbox_has_landlock())
        (void)printf("SKIP files outside the folder: this kernel has no Landlock\n");
    each_user(claim_files);
}

/* ---- what was there before, and what is missing ---- */

static bool enter_vault(const struct place *p)
{
    return enter(p, VAULT);
}

static bool enter_nothing(const struct place *p)
{
    return enter(p, OPEN);
}

static int old_thread_in_vault(const struct place *p)
{
    return try_old_thread(p, enter_vault);
}

static int old_thread_outside(const struct place *p)
{
    return try_old_thread(p, enter_nothing);
}

static int claim_old_thread(const struct place *p)
{
    return !(outcome(p, old_thread_outside, OPEN) == 0) +
           !is_refusal(outcome(p, old_thread_in_vault, OPEN));
}

static void test_sandbox__a_thread_that_was_there_is_bound_too(void **state)
{
    (void)state;
    each_user(claim_old_thread);
}

/* As an older kernel does it: `call` is not there. */
static bool forbid(int call, int code)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    bool done = filter != NULL &&
                seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)code), call, 0) == 0 &&
                seccomp_load(filter) == 0;

    seccomp_release(filter);
    return done;
}

/* What a vault's process says on stderr while it enters; *ret_met: then a fork. */
static void said(bool without_landlock, char words[WORDS], int *ret_met)
{
    struct scratch s;
    int fds[2], status = 0;
    size_t n = 0;

    scratch_new(&s);
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct place p = {0};

        (void)snprintf(p.folder, sizeof p.folder, "%s", s.folder);
        if ((without_landlock && !forbid(SCMP_SYS(landlock_create_ruleset), ENOSYS)) ||
            dup2(fds[1], STDERR_FILENO) < 0 || sandbox_has_landlock() == without_landlock)
            _exit(ECANCELED);
        _exit(enter(&p, VAULT) ? try_fork(&p) : ECANCELED);
    }
    (void)close(fds[1]);
    for (ssize_t k; n < WORDS - 1 && (k = read(fds[0], words + n, WORDS - 1 - n)) > 0;)
        n += (size_t)k;
    words[n] = '\0';
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    *ret_met = WIFEXITED(status) ? WEXITSTATUS(status) : KILLED;
    scratch_free(&s);
}

static void test_sandbox__a_kernel_without_landlock_is_told(void **state)
{
    char words[WORDS];
    int met;

    (void)state;
    said(true, words, &met);
    CHECK_EQ_("without it seccomp holds", met, EPERM);
    CHECK_("without it the log says so",
           strstr(words, "WARNING") != NULL && strstr(words, "no Landlock") != NULL);
    if (!sandbox_has_landlock()) {
        (void)printf("SKIP silence with Landlock: this kernel has no Landlock\n");
        return;
    }
    said(false, words, &met);
    CHECK_EQ_("with it seccomp holds", met, EPERM);
    CHECK_EQ_("with it there is nothing to say", strlen(words), 0);
}

static void test_sandbox__nothing_runs_without_seccomp(void **state)
{
    int status = 0;

    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        AUTO_CX struct cx *cx = cx_new(64 * 1024, CX_NO_DEADLINE);

        if (cx == NULL || !forbid(SCMP_SYS(seccomp), ENOSYS))
            _exit(2);
        enum fault fault = sandbox_enter(cx, SANDBOX_VAULT, "/");
        _exit(fault == FAULT_INTERNAL && strstr(cx_message(cx), "seccomp") != NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sandbox__no_other_process_is_reached),
        cmocka_unit_test(test_sandbox__wide_doors_of_the_kernel_are_shut),
        cmocka_unit_test(test_sandbox__only_net_makes_sockets),
        cmocka_unit_test(test_sandbox__files_are_those_of_the_folder),
        cmocka_unit_test(test_sandbox__a_thread_that_was_there_is_bound_too),
        cmocka_unit_test(test_sandbox__a_kernel_without_landlock_is_told),
        cmocka_unit_test(test_sandbox__nothing_runs_without_seccomp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

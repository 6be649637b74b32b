/* import_child.c - the sandboxed process that reads a CSV, and its parent's side. */
#include "node/admin/import_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/data/import.h"
#include "node/sandbox.h"
#include "protocol/base/clock.h"
#include "protocol/files.h"
#include "protocol/keys.h"

enum {
    FD_CSV = 3,
    FD_STAGING = 4,
    FD_NEEDS = 5,
    FD_REPORT = 6,
    FD_KEPT = 20,
    NEEDS_MAX = 8 * 1024 * 1024,
    REPORT_MAX = 4 * 1024 * 1024,
    PROGRESS_MS = 1000,
};
static const size_t MEMORY = (size_t)64 << 30; /* the system's memory is the limit */

static bool write_all(int fd, const void *p, size_t n)
{
    const uint8_t *b = p;

    while (n > 0) {
        ssize_t k = write(fd, b, n);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        b += k;
        n -= (size_t)k;
    }
    return true;
}

/* ---- the child ---- */

/* needs = key 32 | quiet u8 | codebook length u32 | codebook | name length u32 | name |
 * mapping */
struct needs {
    const uint8_t *key;
    bool quiet;
    struct bytes codebook, name, mapping;
};

static bool take(struct bytes *in, size_t n, struct bytes *ret)
{
    if (in->n < n)
        return false;
    *ret = bytes_of(in->p, n);
    *in = bytes_of(in->p + n, in->n - n);
    return true;
}

static bool take_long(struct bytes *in, struct bytes *ret)
{
    struct bytes head;

    return take(in, 4, &head) && take(in,
                                      head.p[0] | (size_t)head.p[1] << 8 |
                                          (size_t)head.p[2] << 16 | (size_t)head.p[3] << 24,
                                      ret);
}

static enum fault read_needs(struct cx *cx, struct needs *ret)
{
    struct bytes all, key, quiet;

    TRY(file_read_stream(cx, "pipe", FD_NEEDS, NEEDS_MAX, &all));
    if (!take(&all, KEY_BYTES, &key) || !take(&all, 1, &quiet) ||
        !take_long(&all, &ret->codebook) || !take_long(&all, &ret->name))
        return cx_fail(cx, FAULT_INTERNAL, "the import was not told what it needs");
    ret->key = key.p;
    ret->quiet = quiet.p[0] != 0;
    ret->mapping = all;
    return FAULT_NONE;
}

static void show_progress(void *user, uint64_t done, uint64_t total, uint64_t rows)
{
    int64_t *last = user, now = clock_mono_ms();

    if (now - *last < PROGRESS_MS)
        return;
    *last = now;
    if (total > 0)
        (void)fprintf(stderr, "import: %llu %% read, %llu rows\n",
                      (unsigned long long)(done * 100 / total), (unsigned long long)rows);
    else
        (void)fprintf(stderr, "import: %llu rows\n", (unsigned long long)rows);
}

/* report = done u8 | rows u64 | patients u64 | text */
static enum fault child(struct cx *cx, const char *staging)
{
    struct needs needs;
    struct codebook *cb;
    struct mapping *mapping = NULL;
    struct import_report report;
    int64_t last = clock_mono_ms();

    TRY(sandbox_enter(cx, SANDBOX_IMPORT, staging));
    TRY(read_needs(cx, &needs));
    TRY(codebook_open(cx, needs.codebook, &cb));
    if (needs.mapping.n > 0) {
        const char *name = cx_printf(cx, "%.*s", (int)needs.name.n, needs.name.p);

        TRY(mapping_from_yaml(cx, name, (const char *)needs.mapping.p, needs.mapping.n, cb,
                              &mapping));
    }
    struct import_setup setup = {.cb = cb,
                                 .mapping = mapping,
                                 .csv_fd = FD_CSV,
                                 .staging_fd = FD_STAGING,
                                 .key = needs.key,
                                 .progress = needs.quiet ? NULL : show_progress,
                                 .user = &last};
    enum fault fault = import_run(cx, &setup, &report);
    sodium_memzero((void *)needs.key, KEY_BYTES);
    if (fault != FAULT_NONE && fault != FAULT_FORMAT)
        return fault;
    const char *text = import_report_text(cx, cb, &report);
    struct buffer out = buffer_new(cx, REPORT_MAX);
    uint8_t done = fault == FAULT_NONE;
    buffer_put(&out, &done, 1);
    buffer_u64(&out, report.rows);
    buffer_u64(&out, report.patients);
    if (text != NULL)
        buffer_text(&out, text);
    TRY(out.fault);
    return write_all(FD_REPORT, out.p, out.n)
               ? FAULT_NONE
               : cx_fail(cx, FAULT_IO, "the report was lost");
}

int import_child_main(int argc, char **argv)
{
    AUTO_CX struct cx *cx = cx_new(MEMORY, CX_NO_DEADLINE);

    if (cx == NULL || argc != 3)
        return 1;
    enum fault fault = child(cx, argv[2]);
    if (fault == FAULT_NONE)
        return 0;
    struct buffer out = buffer_new(cx, 4096);
    uint8_t head[17] = {2}; /* failed: the text says why */
    buffer_put(&out, head, sizeof head);
    buffer_text(&out, cx_strdup(cx, cx_message(cx)));
    (void)write_all(FD_REPORT, out.p, out.n);
    return 1;
}

/* ---- the parent ---- */

static enum fault pack_needs(struct cx *cx, const struct import_job *job, struct bytes *ret)
{
    struct buffer b = buffer_new(cx, NEEDS_MAX);
    uint8_t quiet = job->quiet;

    buffer_put(&b, job->key, KEY_BYTES);
    buffer_put(&b, &quiet, 1);
    buffer_u32(&b, (uint32_t)job->codebook.n);
    buffer_put(&b, job->codebook.p, job->codebook.n);
    buffer_u32(&b, (uint32_t)strlen(job->mapping_name));
    buffer_text(&b, job->mapping_name);
    buffer_put(&b, job->mapping.p, job->mapping.n);
    *ret = bytes_of(b.p, b.n);
    return b.fault;
}

static pid_t spawn(const struct import_job *job, int staging, int needs, int report)
{
    int fds[] = {job->csv_fd, staging, needs, report};
    static const int places[] = {FD_CSV, FD_STAGING, FD_NEEDS, FD_REPORT};
    char *argv[] = {(char *)"cohortiumd", (char *)"import-process", (char *)job->staging,
                    NULL};
    pid_t parent = getpid(), pid = fork();

    if (pid != 0)
        return pid;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
        _exit(1);
    for (size_t i = 0; i < COUNT(fds); i++)
        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FD_KEPT);
    for (size_t i = 0; i < COUNT(fds); i++)
        if (fds[i] < 0 || dup2(fds[i], places[i]) < 0)
            _exit(1);
    (void)execv("/proc/self/exe", argv);
    _exit(1);
}

static enum fault read_report(struct cx *cx, struct bytes all, struct import_outcome *ret)
{
    struct bytes head;

    if (!take(&all, 17, &head))
        return cx_fail(cx, FAULT_INTERNAL,
                       "the import process ended without a report; nothing "
                       "was imported");
    uint64_t *numbers[] = {&ret->rows, &ret->patients};
    for (size_t k = 0; k < COUNT(numbers); k++) {
        *numbers[k] = 0;
        for (int i = 7; i >= 0; i--)
            *numbers[k] = *numbers[k] << 8 | head.p[1 + 8 * k + (size_t)i];
    }
    char *text = cx_alloc(cx, all.n + 1);
    if (text == NULL)
        return FAULT_MEMORY;
    memcpy(text, all.p, all.n);
    ret->text = text;
    ret->done = head.p[0] == 1;
    return head.p[0] == 2 ? cx_fail(cx, FAULT_IO, "%s", text) : FAULT_NONE;
}

/* The caller must live on to remove what was staged; the child must not. */
static volatile sig_atomic_t interrupted;
static volatile pid_t importing;

static void on_interrupt(int signal)
{
    interrupted = signal;
    if (importing > 0)
        (void)kill(importing, SIGKILL);
}

static const int interrupts[] = {SIGINT, SIGTERM, SIGHUP};

static void catch_interrupts(struct sigaction *before)
{
    struct sigaction now = {.sa_handler = on_interrupt};

    interrupted = 0;
    importing = 0;
    for (size_t i = 0; i < COUNT(interrupts); i++)
        (void)sigaction(interrupts[i], &now, &before[i]);
}

static void release_interrupts(const struct sigaction *before)
{
    for (size_t i = 0; i < COUNT(interrupts); i++)
        (void)sigaction(interrupts[i], &before[i], NULL);
}

enum fault import_child_run(struct cx *cx, const struct import_job *job,
                            struct import_outcome *ret)
{
    struct sigaction before[COUNT(interrupts)];
    int needs[2], report[2], status;
    struct bytes packed, all = {0};

    *ret = (struct import_outcome){0};
    TRY(pack_needs(cx, job, &packed));
    int staging = open(job->staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (staging < 0)
        return cx_fail(cx, FAULT_IO, "%s: %s", job->staging, strerror(errno));
    if (pipe2(needs, O_CLOEXEC) != 0) {
        (void)close(staging);
        return cx_fail(cx, FAULT_IO, "pipe: %s", strerror(errno));
    }
    if (pipe2(report, O_CLOEXEC) != 0) {
        (void)close(staging);
        (void)close(needs[0]);
        (void)close(needs[1]);
        return cx_fail(cx, FAULT_IO, "pipe: %s", strerror(errno));
    }
    (void)signal(SIGPIPE, SIG_IGN);
    catch_interrupts(before);
    pid_t pid = spawn(job, staging, needs[0], report[1]);
    importing = pid;
    if (pid > 0 && interrupted)
        (void)kill(pid, SIGKILL);
    (void)close(staging);
    (void)close(needs[0]);
    (void)close(report[1]);
    bool sent = pid > 0 && write_all(needs[1], packed.p, packed.n);
    (void)close(needs[1]);
    enum fault fault = pid > 0 ? file_read_stream(cx, "pipe", report[0], REPORT_MAX, &all)
                               : cx_fail(cx, FAULT_IO, "fork: %s", strerror(errno));
    (void)close(report[0]);
    if (pid > 0)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    importing = 0;
    release_interrupts(before);
    sodium_memzero((void *)packed.p, KEY_BYTES);
    if (interrupted)
        return cx_fail(cx, FAULT_IO,
                       "interrupted; nothing was imported, and what answered "
                       "before still does");
    TRY(fault);
    if (!sent && all.n == 0)
        return cx_fail(cx, FAULT_INTERNAL, "the import process could not be started");
    return read_report(cx, all, ret);
}

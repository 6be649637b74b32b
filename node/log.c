/*
 * log.c - lines for the operator.
 *
 * A log that is a file has room kept for what comes next: on a full disk it must still be
 * possible to say so. Where a line is lost all the same, the next one that is not tells.
 */
#include "node/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/clock.h"

enum { LINE = 1200, HEAD = 200, ROOM = 64 * 1024 };
static const char *name = "node";
/* Lines since the last one that was written; whether the end of the file is a part of one.
 */
static atomic_ulong lost;
static atomic_bool torn;
/* As far as this process knows, the file has room up to here. */
static atomic_llong kept_end;

/* Not every file system can keep room, and not every process may ask for it (sandbox.h). */
static void keep_room(void)
{
    struct stat st;

    if (fstat(STDERR_FILENO, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    long long left = atomic_load(&kept_end) - (long long)st.st_size;
    if (left > ROOM / 2 &&
        left <= ROOM) /* more: the file was cut since, and its room with it */
        return;
    if (fallocate(STDERR_FILENO, FALLOC_FL_KEEP_SIZE, st.st_size, ROOM) == 0)
        atomic_store(&kept_end, (long long)st.st_size + ROOM);
}

void log_open(const char *process)
{
    name = process;
    keep_room();
}

static bool put(const char *text, size_t n)
{
    ssize_t k = write(STDERR_FILENO, text, n);

    if (k > 0 && (size_t)k < n)
        atomic_store(&torn, true);
    return k == (ssize_t)n;
}

static void tell_lost(const char *stamp, unsigned long n)
{
    char out[HEAD];
    int k = snprintf(out, sizeof out,
                     "%s%s %s WARNING %lu line%s before this one could not be "
                     "written here; see to the disk of this log\n",
                     atomic_load(&torn) ? "\n" : "", stamp, name, n, n == 1 ? "" : "s");

    if (k > 0 && put(out, (size_t)k))
        atomic_store(&torn, false);
    else
        (void)atomic_fetch_add(&lost, n);
}

__attribute__((format(printf, 2, 0))) static void line(const char *level,
                                                       const char *format, va_list args)
{
    char text[LINE], stamp[32], out[LINE + 80];

    (void)vsnprintf(text, sizeof text, format, args);
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    int n = snprintf(out, sizeof out, "%s %s %s%s\n",
                     clock_format(clock_utc_ms(), stamp, sizeof stamp), name, level, text);
    unsigned long before = atomic_exchange(&lost, 0);
    if (before > 0)
        tell_lost(stamp, before);
    if (n > 0 && !put(out, (size_t)n))
        (void)atomic_fetch_add(&lost, 1);
    keep_room();
}

void log_notice(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    line("", format, args);
    va_end(args);
}

void log_warning(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    line("WARNING ", format, args);
    va_end(args);
}

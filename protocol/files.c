/* files.c - whole files, never half there. */
#include "protocol/files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}
#define AUTO_FD __attribute__((cleanup(close_fd)))

static enum fault io_fault(struct cx *cx, const char *what, const char *path,
                           const char *verb)
{
    return cx_fail(cx, FAULT_IO, "%s %s cannot be %s: %s", what, path, verb,
                   strerror(errno));
}

static enum fault write_all(struct cx *cx, const char *what, const char *path, int fd,
                            struct bytes content)
{
    while (content.n > 0) {
        ssize_t n = write(fd, content.p, content.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return io_fault(cx, what, path, "written");
        content = bytes_of(content.p + n, content.n - (size_t)n);
    }
    if (fsync(fd) != 0)
        return io_fault(cx, what, path, "made durable");
    return FAULT_NONE;
}

static enum fault sync_folder(struct cx *cx, const char *what, const char *path)
{
    char *copy = cx_strdup(cx, path);

    if (copy == NULL)
        return FAULT_MEMORY;
    AUTO_FD int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return io_fault(cx, what, path, "made durable in its folder");
    return FAULT_NONE;
}

/* Gives the complete file its name. A hard link cannot overwrite; where the file system has
 * none, the kernel's no-replace rename does the same. */
static enum fault publish(struct cx *cx, const char *what, const char *temporary,
                          const char *path, enum file_writing writing)
{
    if (writing == FILE_REPLACE) {
        if (rename(temporary, path) != 0)
            return io_fault(cx, what, path, "put in place");
        return FAULT_NONE;
    }
    if (link(temporary, path) == 0) {
        (void)unlink(temporary);
        return FAULT_NONE;
    }
    if (errno != EEXIST &&
        renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return FAULT_NONE;
    if (errno == EEXIST)
        return cx_fail(
            cx, FAULT_CONFLICT,
            "%s %s exists already and is not overwritten: choose another name or "
            "move the old file away",
            what, path);
    return io_fault(cx, what, path, "put in place");
}

enum fault file_write(struct cx *cx, const char *what, const char *path,
                      struct bytes content, unsigned mode, enum file_writing writing)
{
    char *temporary = cx_printf(cx, "%s.XXXXXX", path);

    if (temporary == NULL)
        return FAULT_MEMORY;
    AUTO_FD int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return io_fault(cx, what, path, "created");
    enum fault fault = FAULT_NONE;
    if (fchmod(fd, (mode_t)mode) != 0)
        fault = io_fault(cx, what, path, "given its rights");
    if (fault == FAULT_NONE)
        fault = write_all(cx, what, path, fd, content);
    if (fault == FAULT_NONE)
        fault = publish(cx, what, temporary, path, writing);
    if (fault != FAULT_NONE) {
        (void)unlink(temporary);
        return fault;
    }
    return sync_folder(cx, what, path);
}

enum fault file_read(struct cx *cx, const char *what, const char *path, size_t bound,
                     bool private_only, struct bytes *ret)
{
    struct stat st;
    size_t n = 0;

    /* O_NONBLOCK: a FIFO put in the file's place must not hang us. */
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return cx_fail(cx, FAULT_MISSING, "%s %s does not exist", what, path);
    if (fd < 0 || fstat(fd, &st) != 0)
        return io_fault(cx, what, path, "opened");
    if (!S_ISREG(st.st_mode))
        return cx_fail(cx, FAULT_FORMAT, "%s %s is not a regular file", what, path);
    if (private_only && (st.st_mode & 077) != 0)
        return cx_fail(
            cx, FAULT_DENIED,
            "%s %s may be used by others (mode %03o): expected 600; run chmod 600 "
            "on it, and make a new key if others may have copied it",
            what, path, (unsigned)st.st_mode & 0777);
    if ((uint64_t)st.st_size > bound)
        return cx_fail(cx, FAULT_BOUND, "%s %s has %lld bytes: at most %zu are allowed",
                       what, path, (long long)st.st_size, bound);
    size_t size = (size_t)st.st_size;
    uint8_t *p = cx_alloc(cx, size + 1);
    if (p == NULL)
        return FAULT_MEMORY;
    while (n < size) {
        ssize_t got = read(fd, p + n, size - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return io_fault(cx, what, path, "read");
        if (got == 0)
            return cx_fail(cx, FAULT_FORMAT, "%s %s became shorter while it was read", what,
                           path);
        n += (size_t)got;
    }
    *ret = bytes_of(p, n);
    return FAULT_NONE;
}

enum fault file_read_stream(struct cx *cx, const char *what, int fd, size_t bound,
                            struct bytes *ret)
{
    uint8_t part[16 * 1024];
    struct buffer b = buffer_new(cx, bound);
    ssize_t k;

    while ((k = read(fd, part, sizeof part)) != 0) {
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return cx_fail(cx, FAULT_IO, "%s: %s", what, strerror(errno));
        buffer_put(&b, part, (size_t)k);
        TRY(b.fault);
    }
    sodium_memzero(part, sizeof part);
    *ret = bytes_of(b.p, b.n);
    return FAULT_NONE;
}

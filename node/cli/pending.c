/* pending.c - see pending.h. */
#include "node/cli/pending.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/files.h"

enum { REQUEST_FILE_MAX = 256 * 1024, ID_DIGITS = 2 * ID_BYTES, ID_LEAST = 4 };

static const char suffix[] = ".request";

static const char *path_of(struct cx *cx, const struct profile *p, const char *id)
{
    return cx_printf(cx, "%s/pending/%s%s", p->folder, id, suffix);
}

static bool is_id(const char *text, size_t n)
{
    return strspn(text, "0123456789abcdef") >= n;
}

/* "0123...cdef.request" */
static bool is_ours(const char *name)
{
    return strlen(name) == ID_DIGITS + sizeof suffix - 1 && is_id(name, ID_DIGITS) &&
           strcmp(name + ID_DIGITS, suffix) == 0;
}

static int newest_first(const void *a, const void *b)
{
    const struct pending *pa = a, *pb = b;

    if (pa->made_at != pb->made_at)
        return pa->made_at < pb->made_at ? 1 : -1;
    return strcmp(pa->id, pb->id);
}

/* Ids and times alone, however many there are up to twice of what is kept. */
static enum fault list_names(struct cx *cx, const struct profile *p, struct pending **ret,
                             size_t *ret_n)
{
    const char *folder = cx_printf(cx, "%s/pending", p->folder);
    struct pending *list;
    struct dirent *entry;
    struct stat st;
    size_t n = 0;

    *ret = NULL;
    *ret_n = 0;
    CX_NEW(cx, list, 2 * PENDING_MAX);
    if (folder == NULL)
        return FAULT_MEMORY;
    DIR *dir = opendir(folder);
    if (dir == NULL && errno == ENOENT)
        return FAULT_NONE;
    if (dir == NULL)
        return cx_fail(cx, FAULT_IO, "%s: %s", folder, strerror(errno));
    while (n < (size_t)2 * PENDING_MAX && (entry = readdir(dir)) != NULL) {
        if (!is_ours(entry->d_name) ||
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        list[n].id = cx_printf(cx, "%.*s", ID_DIGITS, entry->d_name);
        list[n].made_at = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
        if (list[n++].id == NULL)
            break;
    }
    (void)closedir(dir);
    if (n > 0 && list[n - 1].id == NULL)
        return FAULT_MEMORY;
    qsort(list, n, sizeof *list, newest_first);
    *ret = list;
    *ret_n = n;
    return FAULT_NONE;
}

static enum fault read_one(struct cx *cx, const struct profile *p, struct pending *one)
{
    const char *path = path_of(cx, p, one->id);

    return path == NULL ? FAULT_MEMORY
                        : file_read(cx, "pending request", path, REQUEST_FILE_MAX, false,
                                    &one->packed);
}

enum fault pending_keep(struct cx *cx, const struct profile *p, const uint8_t id[16],
                        struct bytes packed)
{
    const char *hex = bytes_hex(cx, id, ID_BYTES);
    const char *folder = cx_printf(cx, "%s/pending", p->folder);
    struct pending *list;
    size_t n;

    if (hex == NULL || folder == NULL)
        return FAULT_MEMORY;
    TRY(folder_make(cx, folder));
    TRY(list_names(cx, p, &list, &n));
    for (size_t i = PENDING_MAX - 1; i < n; i++)
        pending_drop(cx, p, list[i].id);
    const char *path = path_of(cx, p, hex);
    if (path == NULL)
        return FAULT_MEMORY;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    ssize_t wrote = fd < 0 ? -1 : write(fd, packed.p, packed.n);
    int code = errno;

    if (fd >= 0)
        (void)close(fd);
    if (wrote == (ssize_t)packed.n)
        return FAULT_NONE;
    /* A short write sets no errno: the disk had room for that much. */
    enum fault fault = cx_fail(cx, FAULT_IO, "%s could not be written: %s", path,
                               strerror(wrote < 0 ? code : ENOSPC));
    if (fd >= 0)
        (void)unlink(path); /* half of it is nothing that could be sent */
    return fault;
}

void pending_drop(struct cx *cx, const struct profile *p, const char *id)
{
    const char *path = path_of(cx, p, id);

    if (path != NULL)
        (void)unlink(path);
}

/* What cannot be read is left out: it may just have been answered by another program. */
enum fault pending_list(struct cx *cx, const struct profile *p, struct pending **ret,
                        size_t *ret_n)
{
    struct pending *list;
    size_t n, k = 0;

    TRY(list_names(cx, p, &list, &n));
    for (size_t i = 0; i < n && k < PENDING_MAX; i++)
        if (read_one(cx, p, &list[i]) == FAULT_NONE)
            list[k++] = list[i];
    *ret = list;
    *ret_n = k;
    return FAULT_NONE;
}

enum fault pending_find(struct cx *cx, const struct profile *p, const char *id,
                        struct pending *ret)
{
    const struct pending *found = NULL;
    struct pending *list;
    size_t n, fits = 0;

    TRY(list_names(cx, p, &list, &n));
    for (size_t i = 0; i < n; i++)
        if (strncmp(list[i].id, id, strlen(id)) == 0) {
            found = &list[i];
            fits++;
        }
    if (fits > 1)
        return cx_fail(cx, FAULT_USAGE,
                       "%zu pending questions begin with %s; give more of the id", fits,
                       id);
    if (fits == 0)
        return cx_fail(cx, FAULT_MISSING, "no pending question %s", id);
    *ret = *found;
    return read_one(cx, p, ret);
}

enum fault pending_check_id(struct cx *cx, const struct args *args, const char *id)
{
    size_t n = strlen(id);

    if (n >= ID_LEAST && n <= ID_DIGITS && is_id(id, n))
        return FAULT_NONE;
    return usage_fail(cx, args,
                      "`%.40s` is no id: %d to %d digits 0-9 a-f, as `cohortium pending` "
                      "shows them",
                      id, ID_LEAST, ID_DIGITS);
}

/* armor.c - files as text; folders. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/cli/profile.h"
#include "protocol/files.h"

const char card_line[] = "cohortium card 1\n", receipt_line[] = "cohortium receipt 1\n";
enum { LINE = 76, FOLDER_DEPTH_MAX = 8 };

enum fault armor(struct cx *cx, const char *first_line, struct bytes packed,
                 struct bytes *ret)
{
    size_t size = sodium_base64_encoded_len(packed.n, sodium_base64_VARIANT_ORIGINAL);
    struct buffer b = buffer_new(cx, strlen(first_line) + size + size / LINE + 2);
    char *base64 = cx_alloc(cx, size);

    if (base64 == NULL)
        return FAULT_MEMORY;
    (void)sodium_bin2base64(base64, size, packed.p, packed.n,
                            sodium_base64_VARIANT_ORIGINAL);
    buffer_text(&b, first_line);
    for (size_t i = 0; i + 1 < size; i += LINE) {
        size_t left = size - 1 - i;

        buffer_put(&b, base64 + i, left < LINE ? left : LINE);
        buffer_text(&b, "\n");
    }
    *ret = bytes_of(b.p, b.n);
    return b.fault;
}

enum fault unarmor(struct cx *cx, const char *what, const char *path,
                   const char *first_line, size_t bound, struct bytes *ret)
{
    size_t head = strlen(first_line), got = 0;
    struct bytes text;

    TRY(file_read(cx, what, path, bound, false, &text));
    if (text.n < head || memcmp(text.p, first_line, head) != 0)
        return cx_fail(cx, FAULT_FORMAT, "%s is not a %s: expected the first line \"%.*s\"",
                       path, what, (int)head - 1, first_line);
    uint8_t *p = cx_alloc(cx, text.n);
    if (p == NULL)
        return FAULT_MEMORY;
    if (sodium_base642bin(p, text.n, (const char *)text.p + head, text.n - head, "\n\r ",
                          &got, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return cx_fail(cx, FAULT_FORMAT,
                       "%s: its lines after the first are not whole base64", path);
    *ret = bytes_of(p, got);
    return FAULT_NONE;
}

enum fault folder_make(struct cx *cx, const char *path)
{
    char *part = cx_strdup(cx, path);

    if (part == NULL)
        return FAULT_MEMORY;
    for (char *p = part + 1;; p++) {
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return cx_fail(cx, FAULT_IO, "the folder %s cannot be made: %s", part,
                           strerror(errno));
        *p = c;
        if (c == '\0')
            return FAULT_NONE;
    }
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Works on open folders, so that a link put in its way is removed and not followed. */
static enum fault remove_in(struct cx *cx, int parent, const char *name, int depth)
{
    struct dirent *entry;
    enum fault fault = FAULT_NONE;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL || depth > FOLDER_DEPTH_MAX) {
        if (dir != NULL)
            (void)closedir(dir);
        else if (fd >= 0)
            (void)close(fd);
        return cx_fail(cx, FAULT_IO, "the folder %s cannot be removed: %s", name,
                       depth > FOLDER_DEPTH_MAX ? "too deep" : strerror(errno));
    }
    while (fault == FAULT_NONE && (entry = readdir(dir)) != NULL) {
        if (is_dots(entry->d_name) || unlinkat(dirfd(dir), entry->d_name, 0) == 0)
            continue;
        if (errno == EISDIR || errno == EPERM)
            fault = remove_in(cx, dirfd(dir), entry->d_name, depth + 1);
        else
            fault = cx_fail(cx, FAULT_IO, "%s cannot be removed: %s", entry->d_name,
                            strerror(errno));
    }
    (void)closedir(dir);
    if (fault == FAULT_NONE && unlinkat(parent, name, AT_REMOVEDIR) != 0)
        fault = cx_fail(cx, FAULT_IO, "the folder %s cannot be removed: %s", name,
                        strerror(errno));
    return fault;
}

enum fault folder_remove(struct cx *cx, const char *path)
{
    return remove_in(cx, AT_FDCWD, path, 0);
}

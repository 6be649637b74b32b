/* receipts.c - the receipts that a profile keeps. */
#include "node/cli/receipts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "protocol/base/clock.h"

/* Nothing that we write makes more; a folder that somebody else filled is not read to its
 * end. */
enum { FILES_MAX = 4 * RECEIPTS_MAX, STAMP = 20 /* 20261125T003507123Z- */ };

static const char suffix_kept[] = ".receipt", suffix_rejected[] = ".rejected";

/* ---- the list ---- */

static const char *folder_of(struct cx *cx, const struct profile *p)
{
    return cx_printf(cx, "%s/receipts", p->folder);
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), k = strlen(suffix);

    return n > k && strcmp(name + n - k, suffix) == 0;
}

/* Our own names alone: what else lies there is neither listed nor removed. */
static bool is_ours(const char *name)
{
    size_t n = strlen(name);
    bool rejected = ends_with(name, suffix_rejected);

    if (!rejected && !ends_with(name, suffix_kept))
        return false;
    size_t tail = rejected ? sizeof suffix_rejected - 1 : sizeof suffix_kept - 1;
    if (n != STAMP + RECEIPT_ID_DIGITS + tail)
        return false;
    return strspn(name, "0123456789TZ") == STAMP - 1 && name[STAMP - 1] == '-' &&
           strspn(name + STAMP, "0123456789abcdef") >= RECEIPT_ID_DIGITS;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct kept *)a)->name, ((const struct kept *)b)->name);
}

static enum fault read_folder(struct cx *cx, DIR *dir, const char *folder,
                              struct kept **ret, size_t *ret_n)
{
    size_t n = 0, room = 64;
    struct kept *list;
    struct dirent *entry;
    struct stat s;

    CX_NEW(cx, list, room);
    while (n < FILES_MAX && (entry = readdir(dir)) != NULL) {
        if (!is_ours(entry->d_name) ||
            fstatat(dirfd(dir), entry->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(s.st_mode))
            continue;
        if (n == room) {
            struct kept *more;

            CX_NEW(cx, more, 2 * room);
            memcpy(more, list, n * sizeof *list);
            list = more;
            room *= 2;
        }
        struct kept *k = &list[n++];
        k->name = cx_strdup(cx, entry->d_name);
        k->path = cx_printf(cx, "%s/%s", folder, entry->d_name);
        k->id = cx_printf(cx, "%.*s", RECEIPT_ID_DIGITS, entry->d_name + STAMP);
        k->bytes = (uint64_t)s.st_size;
        k->rejected = ends_with(entry->d_name, suffix_rejected);
        if (k->name == NULL || k->path == NULL || k->id == NULL)
            return FAULT_MEMORY;
    }
    qsort(list, n, sizeof *list, compare_names);
    *ret = list;
    *ret_n = n;
    return FAULT_NONE;
}

enum fault receipts_list(struct cx *cx, const struct profile *p, struct kept **ret,
                         size_t *ret_n)
{
    const char *folder = folder_of(cx, p);

    if (folder == NULL)
        return FAULT_MEMORY;
    *ret = NULL;
    *ret_n = 0;
    DIR *dir = opendir(folder);
    if (dir == NULL && errno == ENOENT)
        return FAULT_NONE;
    if (dir == NULL)
        return cx_fail(cx, FAULT_IO, "the folder %s cannot be read: %s", folder,
                       strerror(errno));
    enum fault fault = read_folder(cx, dir, folder, ret, ret_n);
    (void)closedir(dir);
    return fault;
}

enum fault receipts_rotate(struct cx *cx, const struct profile *p, size_t most,
                           uint64_t most_bytes)
{
    struct kept *list;
    uint64_t bytes = 0;
    size_t n, stay = 0;

    TRY(receipts_list(cx, p, &list, &n));
    while (stay < n && stay < most && bytes + list[n - 1 - stay].bytes <= most_bytes)
        bytes += list[n - 1 - stay++].bytes;
    /* Another of our processes may have removed it first. */
    for (size_t i = 0; i + stay < n; i++)
        if (unlink(list[i].path) != 0 && errno != ENOENT)
            return cx_fail(cx, FAULT_IO, "the old receipt %s cannot be removed: %s",
                           list[i].path, strerror(errno));
    return FAULT_NONE;
}

/* ---- keeping one ---- */

/* Without fsync: a file of a thousand questions must not wait for a thousand disk flushes,
 * and the sites hold the same answers durably. */
static enum fault write_plain(struct cx *cx, const char *path, struct bytes text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    ssize_t wrote = fd < 0 ? -1 : write(fd, text.p, text.n);
    int why = errno;

    if (fd >= 0)
        (void)close(fd);
    if (wrote == (ssize_t)text.n)
        return FAULT_NONE;
    if (fd >= 0)
        (void)unlink(path); /* half a receipt proves nothing */
    return cx_fail(cx, FAULT_IO, "the receipt %s could not be written: %s", path,
                   wrote < 0 ? strerror(why) : "the disk is full");
}

enum fault receipts_keep(struct cx *cx, const struct profile *p, const uint8_t digest[32],
                         struct bytes packed, bool rejected, bool many,
                         const char **ret_path)
{
    static size_t n_kept; /* one thread keeps receipts */
    static int64_t last;
    int64_t ms = clock_utc_ms();

    /* Names sort as answers came, also when a file of questions has several a millisecond.
     */
    ms = ms > last ? ms : last + 1;
    last = ms;
    time_t now = (time_t)(ms / 1000);
    const char *folder = folder_of(cx, p);
    const char *hex = bytes_hex(cx, digest, RECEIPT_ID_DIGITS / 2);
    struct bytes text;
    struct tm tm;
    char when[32];

    if (gmtime_r(&now, &tm) == NULL ||
        strftime(when, sizeof when, "%Y%m%dT%H%M%S", &tm) != STAMP - 5)
        return cx_fail(cx, FAULT_INTERNAL, "the clock gives no date");
    if (folder == NULL || hex == NULL)
        return FAULT_MEMORY;
    const char *path = cx_printf(cx, "%s/%s%03dZ-%s%s", folder, when, (int)(ms % 1000), hex,
                                 rejected ? suffix_rejected : suffix_kept);
    if (path == NULL)
        return FAULT_MEMORY;
    TRY(folder_make(cx, folder));
    if (many) {
        TRY(armor(cx, receipt_line, packed, &text));
        TRY(write_plain(cx, path, text));
    } else {
        TRY(receipt_write(cx, packed, path));
    }
    *ret_path = path;
    if (n_kept++ % RECEIPTS_PERIOD != 0)
        return FAULT_NONE;
    return receipts_rotate(cx, p, RECEIPTS_MAX, RECEIPTS_BYTES_MAX);
}

enum fault receipts_check(struct cx *cx, const struct profile *p)
{
    const char *folder = folder_of(cx, p);
    struct stat s;

    if (folder == NULL)
        return FAULT_MEMORY;
    if (stat(folder, &s) != 0 && errno == ENOENT)
        TRY(folder_make(cx, folder));
    bool there = stat(folder, &s) == 0;
    if (there && S_ISDIR(s.st_mode) && access(folder, W_OK | X_OK) == 0)
        return FAULT_NONE;
    return cx_fail(cx, FAULT_IO,
                   "no receipt can be kept in %s: %s; nothing was asked (--no-save asks "
                   "without one)",
                   folder,
                   there && !S_ISDIR(s.st_mode) ? "it is no folder" : strerror(errno));
}

/* ---- finding one ---- */

static bool is_named(const struct kept *k, const char *word)
{
    size_t n = strlen(word);

    if (strcmp(k->name, word) == 0 ||
        (strncmp(k->name, word, n) == 0 && n == STAMP + RECEIPT_ID_DIGITS))
        return true;
    return n >= 4 && strncmp(k->id, word, n) == 0;
}

static enum fault several(struct cx *cx, const char *word, const struct kept *list,
                          size_t n)
{
    struct buffer ids = buffer_new(cx, 4096);
    size_t shown = 0;

    for (size_t i = 0; i < n; i++)
        if (is_named(&list[i], word) && shown++ < 8)
            buffer_printf(&ids, "%s%s", shown > 1 ? ", " : "", list[i].id);
    const char *all = buffer_string(&ids);
    return cx_fail(cx, FAULT_USAGE, "%zu receipts begin with `%s`: %s%s", shown, word,
                   all == NULL ? "" : all, shown > 8 ? ", ..." : "");
}

enum fault receipts_find(struct cx *cx, const char *profile, const char *word,
                         const char **ret_path)
{
    struct profile p;
    struct kept *list;
    size_t n, found = 0;

    if (access(word, F_OK) == 0) {
        *ret_path = word;
        return FAULT_NONE;
    }
    /* A path is no id, and nobody needs a profile to look at a file. */
    if (strchr(word, '/') != NULL || (profile_open(cx, profile, &p) != FAULT_NONE))
        return profile != NULL && strchr(word, '/') == NULL
                   ? cx_fault(cx)
                   : cx_fail(cx, FAULT_MISSING, "the receipt %s does not exist", word);
    TRY(receipts_list(cx, &p, &list, &n));
    for (size_t i = 0; i < n; i++) {
        bool last = strcmp(word, "last") == 0 && !list[i].rejected;

        if (!last && !is_named(&list[i], word))
            continue;
        found = last ? 1 : found + 1;
        *ret_path = list[i].path;
    }
    if (found > 1)
        return several(cx, word, list, n);
    if (found == 0)
        return cx_fail(cx, FAULT_MISSING,
                       "the receipt %s does not exist: it is no file, and no id of those "
                       "that profile %s keeps (`cohortium receipts` lists them)",
                       word, p.name);
    return FAULT_NONE;
}

/* backup_files.c - files of a backup: their names, copies, and the folder they come into.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/admin/backup.h"

enum { CHUNK = 256 * 1024, DATASET_HEX = 32, NAME_MAX_BYTES = 64, FORK_NAME_MAX = 128 };

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
    (void)signal;
    interrupted = 1;
}

void backup_watch_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal};

    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGHUP, &stop, NULL);
}

enum fault backup_on(struct cx *cx)
{
    return interrupted ? cx_fail(cx, FAULT_CANCELLED, "interrupted; nothing was written")
                       : FAULT_NONE;
}

/* ---- names ---- */

static bool is_of(const char *text, size_t n, const char *letters)
{
    return n > 0 && strspn(text, letters) >= n;
}

/* "data/v" 32 hex digits "/" NAME ".col" */
static bool is_column(const char *path)
{
    static const char first[] = "data/v", last[] = ".col";
    const char *p = path + sizeof first - 1;

    if (strncmp(path, first, sizeof first - 1) != 0 || strlen(p) < DATASET_HEX + 2 ||
        !is_of(p, DATASET_HEX, "0123456789abcdef") || p[DATASET_HEX] != '/')
        return false;
    p += DATASET_HEX + 1;
    size_t n = strlen(p);
    return n > sizeof last - 1 && n <= NAME_MAX_BYTES + sizeof last - 1 &&
           strcmp(p + n - (sizeof last - 1), last) == 0 &&
           is_of(p, n - (sizeof last - 1),
                 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}

bool backup_path_is_ours(const char *path)
{
    static const char *const fixed[] = {"node.yaml",        "vault.db",
                                        "keys/signing.key", "keys/noise.key",
                                        "keys/patient.key", "keys/noise.next.key",
                                        "manifest/genesis", "manifest/frozen"};
    static const char manifest[] = "manifest/", fork[] = "fork-";

    for (size_t i = 0; i < COUNT(fixed); i++)
        if (strcmp(path, fixed[i]) == 0)
            return true;
    if (strncmp(path, manifest, sizeof manifest - 1) == 0) {
        const char *version = path + sizeof manifest - 1;

        if (strncmp(version, fork, sizeof fork - 1) ==
            0) /* evidence, and why it is frozen */
            return strlen(version) <= FORK_NAME_MAX &&
                   is_of(version + sizeof fork - 1, strlen(version) - (sizeof fork - 1),
                         "0123456789abcdef-");
        return strlen(version) <= 8 && is_of(version, strlen(version), "0123456789");
    }
    return is_column(path);
}

enum fault backup_add(struct cx *cx, struct backup *b, struct backup_file file)
{
    if (b->n == BACKUP_FILES_MAX)
        return cx_fail(cx, FAULT_BOUND, "a backup has at most %d files", BACKUP_FILES_MAX);
    if (b->n == b->room) {
        size_t room = b->room == 0 ? 64 : b->room * 2;
        struct backup_file *grown;

        CX_NEW(cx, grown, room);
        if (b->n > 0)
            memcpy(grown, b->files, b->n * sizeof *grown);
        b->files = grown;
        b->room = room;
    }
    b->files[b->n++] = file;
    return FAULT_NONE;
}

/* ---- copies ---- */

static enum fault pump(struct cx *cx, int in, int out, struct backup_file *file)
{
    static uint8_t chunk[CHUNK]; /* one thread copies one file after another */
    crypto_hash_sha256_state state;

    (void)crypto_hash_sha256_init(&state);
    file->size = 0;
    for (;;) {
        TRY(backup_on(cx));
        ssize_t got = read(in, chunk, CHUNK);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cx_fail(cx, FAULT_IO, "%s could not be read: %s", file->path,
                           strerror(errno));
        if (got == 0)
            break;
        (void)crypto_hash_sha256_update(&state, chunk, (size_t)got);
        file->size += (uint64_t)got;
        for (ssize_t at = 0; at < got;) {
            ssize_t put = write(out, chunk + at, (size_t)(got - at));

            if (put < 0 && errno == EINTR)
                continue;
            if (put <= 0)
                return cx_fail(cx, FAULT_IO, "%s could not be written: %s", file->path,
                               put < 0 ? strerror(errno) : "nothing was taken");
            at += put;
        }
    }
    (void)crypto_hash_sha256_final(&state, file->digest);
    return fsync(out) == 0 ? FAULT_NONE
                           : cx_fail(cx, FAULT_IO, "%s could not be written: %s",
                                     file->path, strerror(errno));
}

static enum fault make_parents(struct cx *cx, const char *to, const char *path)
{
    for (const char *slash = strchr(path, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        const char *folder = cx_printf(cx, "%s/%.*s", to, (int)(slash - path), path);

        if (folder == NULL)
            return FAULT_MEMORY;
        if (mkdir(folder, 0700) != 0 && errno != EEXIST)
            return cx_fail(cx, FAULT_IO, "%s: %s", folder, strerror(errno));
    }
    return FAULT_NONE;
}

enum fault backup_copy(struct cx *cx, const char *from, const char *to,
                       struct backup_file *file)
{
    const char *source = cx_printf(cx, "%s/%s", from, file->path);
    const char *target = cx_printf(cx, "%s/%s", to, file->path);
    struct stat st;

    if (source == NULL || target == NULL)
        return FAULT_MEMORY;
    TRY(make_parents(cx, to, file->path));
    int in = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (in < 0)
        return cx_fail(cx, errno == ENOENT ? FAULT_MISSING : FAULT_IO, "%s: %s", source,
                       strerror(errno));
    if (fstat(in, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(in);
        return cx_fail(cx, FAULT_FORMAT, "%s is not a regular file", source);
    }
    if (file->mode == 0) /* of a running node's own file */
        file->mode = st.st_mode & 0755;
    int out = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    enum fault fault =
        out < 0 ? cx_fail(cx, FAULT_IO, "%s: %s", target, strerror(errno)) : FAULT_NONE;
    if (fault == FAULT_NONE)
        fault = pump(cx, in, out, file);
    if (fault == FAULT_NONE && fchmod(out, (mode_t)file->mode) != 0)
        fault = cx_fail(cx, FAULT_IO, "%s: %s", target, strerror(errno));
    (void)close(in);
    if (out >= 0 && close(out) != 0 && fault == FAULT_NONE)
        fault = cx_fail(cx, FAULT_IO, "%s: %s", target, strerror(errno));
    return fault;
}

/* ---- the folder that they come into ---- */

enum fault backup_stage(struct cx *cx, const char *target, const char **ret)
{
    struct stat st;
    size_t n = strlen(target);

    while (n > 1 && target[n - 1] == '/')
        n--;
    char *staging = cx_printf(cx, "%.*s.partial-XXXXXX", (int)n, target);
    if (staging == NULL)
        return FAULT_MEMORY;
    if (lstat(target, &st) == 0 && rmdir(target) != 0)
        return cx_fail(cx, FAULT_CONFLICT,
                       "%s exists and is not an empty folder; choose a new one", target);
    if (mkdtemp(staging) == NULL)
        return cx_fail(cx, FAULT_IO, "%s: %s", staging, strerror(errno));
    *ret = staging;
    return FAULT_NONE;
}

/* Every folder that files were made in, then the one above the target. */
static enum fault sync_folders(struct cx *cx, const char *folder, unsigned depth)
{
    DIR *d = opendir(folder);
    enum fault fault = FAULT_NONE;

    if (d == NULL)
        return cx_fail(cx, FAULT_IO, "%s: %s", folder, strerror(errno));
    for (const struct dirent *e;
         fault == FAULT_NONE && depth > 0 && (e = readdir(d)) != NULL;)
        if (e->d_type == DT_DIR && e->d_name[0] != '.') {
            const char *below = cx_printf(cx, "%s/%s", folder, e->d_name);

            fault = below != NULL ? sync_folders(cx, below, depth - 1) : FAULT_MEMORY;
        }
    if (fault == FAULT_NONE && fsync(dirfd(d)) != 0)
        fault = cx_fail(cx, FAULT_IO, "%s: %s", folder, strerror(errno));
    (void)closedir(d);
    return fault;
}

enum fault backup_publish(struct cx *cx, const char *staging, const char *target)
{
    char *parent = cx_strdup(cx, target);

    if (parent == NULL)
        return FAULT_MEMORY;
    TRY(sync_folders(cx, staging, 3));
    if (renameat2(AT_FDCWD, staging, AT_FDCWD, target, RENAME_NOREPLACE) != 0)
        return cx_fail(cx, FAULT_IO, "%s could not be put in place: %s", target,
                       strerror(errno));
    size_t n = strlen(parent);
    while (n > 1 && parent[n - 1] == '/')
        parent[--n] = '\0';
    char *slash = strrchr(parent, '/');
    if (slash != NULL)
        slash[slash == parent] = '\0';
    return sync_folders(cx, slash != NULL ? parent : ".", 0);
}

static void remove_all(struct cx *cx, const char *folder, unsigned depth)
{
    DIR *d = opendir(folder);

    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        const char *path = cx_printf(cx, "%s/%s", folder, e->d_name);

        if (path == NULL || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (e->d_type == DT_DIR && depth > 0)
            remove_all(cx, path, depth - 1);
        else
            (void)unlink(path);
    }
    if (d != NULL)
        (void)closedir(d);
    (void)rmdir(folder);
}

void backup_discard(struct cx *cx, const char *staging)
{
    remove_all(cx, staging, 3);
}

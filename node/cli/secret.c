/* secret.c - passphrases and key files. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "node/cli/profile.h"
#include "protocol/cohortium.pb-c.h"
#include "protocol/files.h"

enum { PASSPHRASE_MAX = 1024, KEY_FILE_MAX = 64 * 1024 };

/* Reads up to the first newline, byte by byte: nothing secret stays in a stdio buffer. */
static enum fault read_line(struct cx *cx, int fd, const char *where, char *line)
{
    size_t n = 0;

    for (;;) {
        char c;
        ssize_t got = read(fd, &c, 1);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cx_fail(cx, FAULT_IO, "%s: the passphrase could not be read: %s", where,
                           strerror(errno));
        if (got == 0 || c == '\n')
            break;
        if (n == PASSPHRASE_MAX)
            return cx_fail(cx, FAULT_BOUND, "%s: a passphrase has at most %d bytes", where,
                           PASSPHRASE_MAX);
        line[n++] = c;
    }
    if (n > 0 && line[n - 1] == '\r')
        n--;
    line[n] = '\0';
    return FAULT_NONE;
}

static enum fault read_terminal(struct cx *cx, int fd, const char *prompt, char *line)
{
    struct termios old, quiet;

    if (tcgetattr(fd, &old) != 0)
        return cx_fail(cx, FAULT_IO, "the terminal does not answer: use --passphrase-file");
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    (void)dprintf(fd, "%s: ", prompt);
    (void)tcsetattr(fd, TCSAFLUSH, &quiet);
    enum fault fault = read_line(cx, fd, "terminal", line);
    (void)tcsetattr(fd, TCSAFLUSH, &old);
    (void)dprintf(fd, "\n");
    return fault;
}

static enum fault ask_terminal(struct cx *cx, const char *prompt, bool fresh, char *line)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    char *again = fresh ? sodium_malloc(PASSPHRASE_MAX + 1) : NULL;
    enum fault fault;

    if (fd < 0)
        fault = cx_fail(cx, FAULT_MISSING,
                        "%s: there is no terminal to ask on; use --passphrase-file FILE or "
                        "COHORTIUM_PASSPHRASE_FILE",
                        prompt);
    else if (fresh && again == NULL)
        fault = FAULT_MEMORY;
    else
        fault = read_terminal(cx, fd, prompt, line);
    if (fault == FAULT_NONE && fresh) {
        fault = read_terminal(cx, fd, "the same again", again);
        if (fault == FAULT_NONE && strcmp(line, again) != 0)
            fault = cx_fail(cx, FAULT_INVALID,
                            "the two passphrases differ; nothing was written");
    }
    if (again != NULL)
        sodium_free(again);
    if (fd >= 0)
        (void)close(fd);
    return fault;
}

enum fault passphrase_read(struct cx *cx, const char *file, const char *prompt, bool fresh,
                           char **ret)
{
    char *line = sodium_malloc(PASSPHRASE_MAX + 1);
    enum fault fault;

    if (line == NULL)
        return cx_fail(cx, FAULT_MEMORY, "no guarded memory for a passphrase");
    if (file == NULL)
        file = getenv("COHORTIUM_PASSPHRASE_FILE");
    if (file == NULL || file[0] == '\0') {
        fault = ask_terminal(cx, prompt, fresh, line);
    } else {
        int fd =
            strcmp(file, "-") == 0 ? dup(STDIN_FILENO) : open(file, O_RDONLY | O_CLOEXEC);

        fault = fd < 0
                    ? cx_fail(cx, FAULT_IO, "passphrase file %s: %s", file, strerror(errno))
                    : read_line(cx, fd, file, line);
        if (fd >= 0)
            (void)close(fd);
    }
    if (fault == FAULT_NONE && line[0] == '\0')
        fault = cx_fail(cx, FAULT_INVALID,
                        "an empty passphrase: expected at least one character");
    if (fault != FAULT_NONE) {
        sodium_free(line);
        return fault;
    }
    *ret = line;
    return FAULT_NONE;
}

/* Whether the file says that its seed is sealed by a passphrase: a lab's keys are made with
 * the least of Argon2id, for nothing is hashed (keys.c). */
static enum fault key_is_sealed(struct cx *cx, const char *path, bool *ret)
{
    Cohortium__KeyFile *f;

    TRY(key_file_public(cx, path, &f));
    *ret = f->memlimit != crypto_pwhash_MEMLIMIT_MIN ||
           f->opslimit != crypto_pwhash_OPSLIMIT_MIN;
    return FAULT_NONE;
}

enum fault key_file_public(struct cx *cx, const char *path, Cohortium__KeyFile **ret)
{
    struct bytes packed;

    TRY(file_read(cx, "key file", path, KEY_FILE_MAX, true, &packed));
    if (pb_unpack(cx, &cohortium__key_file__descriptor, packed, KEY_FILE_MAX, ret) !=
        FAULT_NONE)
        return cx_prefix(cx, "%s is not a key file: ", path);
    return FAULT_NONE;
}

enum fault key_file_open(struct cx *cx, const char *path, const char *use,
                         const char *passphrase_file, struct keys **ret)
{
    char *passphrase = NULL;
    bool sealed;

    TRY(key_is_sealed(cx, path, &sealed));
    if (sealed) {
        const char *prompt = cx_printf(cx, "passphrase of %s", path);

        if (prompt == NULL)
            return FAULT_MEMORY;
        TRY(passphrase_read(cx, passphrase_file, prompt, false, &passphrase));
    }
    enum fault fault = keys_read(cx, path, use, passphrase, ret);
    if (passphrase != NULL)
        sodium_free(passphrase);
    return fault;
}

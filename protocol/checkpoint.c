/* checkpoint.c - C2SP signed notes: checkpoints and cosignatures. */
#include "protocol/checkpoint.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum {
    HASH = 32,
    KEY_HASH = 4,
    TIME = 8,
    NOTE_SIGNATURE = KEY_HASH + SIGNATURE_BYTES,
    COSIGNATURE = KEY_HASH + TIME + SIGNATURE_BYTES,
    TYPE_CHECKPOINT = 0x01,
    TYPE_COSIGNATURE = 0x04
};

/* ---- notes ---- */

static const char dash[] = "\xe2\x80\x94 "; /* U+2014 and a space */

const char *checkpoint_origin(struct cx *cx, const uint8_t consortium[32],
                              const char *member)
{
    const char *hex = bytes_hex(cx, consortium, 8);

    return hex != NULL ? cx_printf(cx, "cohortium/%s/%s", hex, member) : NULL;
}

/* First four bytes of SHA-256(name, newline, type, key): C2SP signed-note. */
static void note_key_hash(const char *name, uint8_t type, const uint8_t key[32],
                          uint8_t ret[KEY_HASH])
{
    const uint8_t separator[2] = {'\n', type};
    crypto_hash_sha256_state state;
    uint8_t hash[HASH];

    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, (const uint8_t *)name, strlen(name));
    (void)crypto_hash_sha256_update(&state, separator, sizeof separator);
    (void)crypto_hash_sha256_update(&state, key, KEY_BYTES);
    (void)crypto_hash_sha256_final(&state, hash);
    memcpy(ret, hash, KEY_HASH);
}

static bool origin_is_valid(const char *origin)
{
    size_t n = strlen(origin);

    return n > 0 && n < NOTE_MAX / 4 && utf8_is_clean(origin, n) &&
           strpbrk(origin, " \t\n+") == NULL;
}

/* The one text that a checkpoint of this tree has: what is signed. */
static const char *checkpoint_text(struct cx *cx, const char *origin, uint64_t size,
                                   const uint8_t root[32])
{
    char base64[64];

    (void)sodium_bin2base64(base64, sizeof base64, root, HASH,
                            sodium_base64_VARIANT_ORIGINAL);
    return cx_printf(cx, "%s\n%" PRIu64 "\n%s\n", origin, size, base64);
}

enum fault checkpoint_sign(struct cx *cx, const char *origin, uint64_t size,
                           const uint8_t root[32], const struct keys *keys,
                           const char **ret_note)
{
    uint8_t blob[NOTE_SIGNATURE];
    char base64[128];

    if (!origin_is_valid(origin))
        return cx_fail(cx, FAULT_INVALID, "\"%.64s\" cannot name a log: no spaces, no +",
                       origin);
    const char *text = checkpoint_text(cx, origin, size, root);
    if (text == NULL)
        return FAULT_MEMORY;
    note_key_hash(origin, TYPE_CHECKPOINT, keys_signing_public(keys), blob);
    keys_sign(keys, bytes_of(text, strlen(text)), blob + KEY_HASH);
    (void)sodium_bin2base64(base64, sizeof base64, blob, sizeof blob,
                            sodium_base64_VARIANT_ORIGINAL);
    *ret_note = cx_printf(cx, "%s\n%s%s %s\n", text, dash, origin, base64);
    return *ret_note != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static enum fault broken(struct cx *cx, const char *origin, const char *why)
{
    return cx_fail(cx, FAULT_FORMAT, "checkpoint of %.128s: %s", origin, why);
}

/* Reads "origin \n size \n root \n \n"; ret_signatures points at the first signature line.
 */
static enum fault read_text(struct cx *cx, const char *note, const char *origin,
                            uint64_t *ret_size, uint8_t ret_root[32],
                            const char **ret_signatures)
{
    const char *p = note, *end;
    size_t n = strlen(origin), got = 0;
    uint64_t size = 0;

    if (strncmp(p, origin, n) != 0 || p[n] != '\n')
        return cx_fail(cx, FAULT_DENIED, "a checkpoint of another log, expected %.128s",
                       origin);
    p += n + 1;
    size_t digits = strspn(p, "0123456789");
    if (digits < 1 || digits > 20 || p[digits] != '\n' || (p[0] == '0' && digits > 1))
        return broken(cx, origin, "its size is not a number");
    for (size_t i = 0; i < digits; i++)
        if (__builtin_mul_overflow(size, 10, &size) ||
            __builtin_add_overflow(size, (uint64_t)(p[i] - '0'), &size))
            return broken(cx, origin, "its size is not a number of 64 bits");
    p += digits + 1;
    end = strchr(p, '\n');
    if (end == NULL || end - p != 44 ||
        sodium_base642bin(ret_root, HASH, p, 44, NULL, &got, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        got != HASH)
        return broken(cx, origin, "its root is not 32 bytes of base64");
    if (end[1] != '\n')
        return broken(cx, origin, "no empty line before its signature");
    *ret_size = size;
    *ret_signatures = end + 2;
    return FAULT_NONE;
}

/* The bytes of a signature line "— name base64" that has this name and `want` of them. */
static bool line_blob(const char *line, size_t n, const char *name, uint8_t *blob,
                      size_t want)
{
    size_t d = strlen(dash), length = strlen(name), got = 0;

    if (n < d + length + 1 || memcmp(line, dash, d) != 0 ||
        memcmp(line + d, name, length) != 0 || line[d + length] != ' ')
        return false;
    return sodium_base642bin(blob, want, line + d + length + 1, n - (d + length + 1), NULL,
                             &got, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           got == want;
}

/* ---- the log's own signature ---- */

/* Whether one signature line is by `origin` and holds. */
static bool line_holds(const char *line, size_t n, const char *origin,
                       const uint8_t key[32], struct bytes text)
{
    uint8_t blob[NOTE_SIGNATURE], hash[KEY_HASH];

    if (!line_blob(line, n, origin, blob, sizeof blob))
        return false;
    note_key_hash(origin, TYPE_CHECKPOINT, key, hash);
    return memcmp(hash, blob, sizeof hash) == 0 &&
           signature_is_valid(key, text, blob + KEY_HASH);
}

enum fault checkpoint_verify(struct cx *cx, const char *note, const char *origin,
                             const uint8_t key[32], uint64_t *ret_size,
                             uint8_t ret_root[32])
{
    const char *p = note, *end;
    uint8_t root[HASH];
    uint64_t size = 0;
    bool holds = false;

    if (strnlen(note, NOTE_MAX + 1) > NOTE_MAX)
        return cx_fail(cx, FAULT_BOUND, "a checkpoint longer than %d bytes", NOTE_MAX);
    if (!origin_is_valid(origin))
        return cx_fail(cx, FAULT_INVALID, "\"%.64s\" cannot name a log", origin);
    TRY(read_text(cx, note, origin, &size, root, &p));
    struct bytes text = bytes_of(note, (size_t)(p - 1 - note));
    if (*p == '\0')
        return broken(cx, origin, "it has no signature");
    /* Lines of other signers (witnesses) may stand beside ours. */
    for (; *p != '\0'; p = end + 1) {
        end = strchr(p, '\n');
        if (end == NULL || strncmp(p, dash, strlen(dash)) != 0)
            return broken(cx, origin, "a signature line is broken");
        holds = holds || line_holds(p, (size_t)(end - p), origin, key, text);
    }
    if (!holds)
        return cx_fail(
            cx, FAULT_DENIED,
            "checkpoint of %.128s: its signature is not valid for that node's key", origin);
    *ret_size = size;
    memcpy(ret_root, root, HASH);
    return FAULT_NONE;
}

bool checkpoint_claims(const char *claimed_note, const char *origin)
{
    size_t n = strlen(origin);

    return strncmp(claimed_note, origin, n) == 0 && claimed_note[n] == '\n';
}

/* ---- notes of another text ---- */

/* Clean lines. */
static bool utf8_is_sheet(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        const char *end = memchr(text + i, '\n', n - i);
        size_t line = end != NULL ? (size_t)(end - text) - i : n - i;

        if (line > 0 && !utf8_is_clean(text + i, line))
            return false;
        i += line + 1;
    }
    return true;
}

/* Its first line has a space, so it is no checkpoint and no cosignature. */
static bool text_is_sheet(const char *text, size_t n)
{
    const char *line = memchr(text, '\n', n);

    return n > 0 && n <= SHEET_MAX && text[n - 1] == '\n' && utf8_is_sheet(text, n) &&
           memchr(text, ' ', (size_t)(line - text)) != NULL;
}

enum fault sheet_sign(struct cx *cx, const char *name, const char *text,
                      const struct keys *keys, const char **ret_note)
{
    uint8_t blob[NOTE_SIGNATURE];
    char base64[128];

    if (!origin_is_valid(name) || !text_is_sheet(text, strnlen(text, SHEET_MAX + 1)))
        return cx_fail(cx, FAULT_INVALID, "no name of a signer, or no text of a sheet");
    note_key_hash(name, TYPE_CHECKPOINT, keys_signing_public(keys), blob);
    keys_sign(keys, bytes_of(text, strlen(text)), blob + KEY_HASH);
    (void)sodium_bin2base64(base64, sizeof base64, blob, sizeof blob,
                            sodium_base64_VARIANT_ORIGINAL);
    *ret_note = cx_printf(cx, "%s\n%s%s %s\n", text, dash, name, base64);
    return *ret_note != NULL ? FAULT_NONE : FAULT_MEMORY;
}

/* The last empty line ends the text. */
static const char *signature_line(const char *note, size_t n)
{
    for (size_t i = n; i >= 2; i--)
        if (note[i - 1] == '\n' && note[i - 2] == '\n')
            return note + i;
    return NULL;
}

enum fault sheet_verify(struct cx *cx, const char *note, const char *name,
                        const uint8_t key[32])
{
    size_t n = strnlen(note, SHEET_MAX + NOTE_MAX + 1);
    const char *line = n <= SHEET_MAX + NOTE_MAX ? signature_line(note, n) : NULL, *end;

    if (line == NULL || !text_is_sheet(note, (size_t)(line - 1 - note)))
        return cx_fail(cx, FAULT_FORMAT, "this is no signed sheet");
    end = strchr(line, '\n');
    if (end == NULL || end[1] != '\0')
        return cx_fail(cx, FAULT_FORMAT, "a sheet has one line of signature");
    if (!line_holds(line, (size_t)(end - line), name, key,
                    bytes_of(note, (size_t)(line - 1 - note))))
        return cx_fail(cx, FAULT_DENIED, "its signature is not that of %.128s", name);
    return FAULT_NONE;
}

/* ---- cosignatures ---- */

/* The signed text of a note: up to the empty line, with its last newline. */
static bool note_text(const char *note, size_t *ret_n)
{
    const char *end = strnlen(note, NOTE_MAX + 1) > NOTE_MAX ? NULL : strstr(note, "\n\n");

    if (end == NULL)
        return false;
    *ret_n = (size_t)(end + 1 - note);
    return true;
}

/* "cosignature/v1", the time, then the text of the checkpoint. */
static const char *cosigned_text(struct cx *cx, const char *note, size_t n,
                                 uint64_t seconds)
{
    return cx_printf(cx, "cosignature/v1\ntime %" PRIu64 "\n%.*s", seconds, (int)n, note);
}

enum fault cosignature_sign(struct cx *cx, const char *note, const char *witness,
                            const struct keys *keys, int64_t utc_ms, const char **ret_line)
{
    uint64_t seconds = (uint64_t)utc_ms / 1000;
    uint8_t blob[COSIGNATURE];
    char base64[128];
    size_t n;

    if (!origin_is_valid(witness) || utc_ms < 0)
        return cx_fail(cx, FAULT_INVALID, "\"%.64s\" cannot name a witness", witness);
    if (!note_text(note, &n))
        return cx_fail(cx, FAULT_FORMAT, "a checkpoint without an empty line");
    const char *text = cosigned_text(cx, note, n, seconds);
    if (text == NULL)
        return FAULT_MEMORY;
    note_key_hash(witness, TYPE_COSIGNATURE, keys_signing_public(keys), blob);
    for (size_t i = 0; i < TIME; i++)
        blob[KEY_HASH + i] = (uint8_t)(seconds >> 8 * (TIME - 1 - i));
    keys_sign(keys, bytes_of(text, strlen(text)), blob + KEY_HASH + TIME);
    (void)sodium_bin2base64(base64, sizeof base64, blob, sizeof blob,
                            sodium_base64_VARIANT_ORIGINAL);
    *ret_line = cx_printf(cx, "%s%s %s\n", dash, witness, base64);
    return *ret_line != NULL ? FAULT_NONE : FAULT_MEMORY;
}

static bool cosigned(struct cx *cx, const char *note, size_t n_text, const uint8_t *blob,
                     const char *witness, const uint8_t key[32], uint64_t *ret_seconds)
{
    uint8_t hash[KEY_HASH];
    uint64_t seconds = 0;

    note_key_hash(witness, TYPE_COSIGNATURE, key, hash);
    if (memcmp(hash, blob, sizeof hash) != 0)
        return false;
    for (size_t i = 0; i < TIME; i++)
        seconds = seconds << 8 | blob[KEY_HASH + i];
    const char *text = cosigned_text(cx, note, n_text, seconds);
    if (seconds > INT64_MAX || text == NULL ||
        !signature_is_valid(key, bytes_of(text, strlen(text)), blob + KEY_HASH + TIME))
        return false;
    *ret_seconds = seconds;
    return true;
}

bool cosignature_holds(struct cx *cx, const char *note, const char *witness,
                       const uint8_t key[32], uint64_t *ret_seconds)
{
    uint8_t blob[COSIGNATURE];
    const char *end;
    size_t n;

    if (!note_text(note, &n))
        return false;
    for (const char *p = note + n + 1; *p != '\0'; p = end + 1) {
        end = strchr(p, '\n');
        if (end == NULL)
            return false;
        if (line_blob(p, (size_t)(end - p), witness, blob, sizeof blob) &&
            cosigned(cx, note, n, blob, witness, key, ret_seconds))
            return true;
    }
    return false;
}

enum fault cosignature_add(struct cx *cx, const char *note, const char *claimed_line,
                           const char **ret_note)
{
    size_t n = strnlen(claimed_line, NOTE_MAX + 1), d = strlen(dash);

    if (n <= d || n > NOTE_MAX || strncmp(claimed_line, dash, d) != 0 ||
        strchr(claimed_line, '\n') != claimed_line + n - 1)
        return cx_fail(cx, FAULT_FORMAT, "a cosignature that is not one line of a note");
    if (strlen(note) + n > NOTE_MAX)
        return cx_fail(cx, FAULT_BOUND, "a checkpoint longer than %d bytes", NOTE_MAX);
    *ret_note = cx_printf(cx, "%s%s", note, claimed_line);
    return *ret_note != NULL ? FAULT_NONE : FAULT_MEMORY;
}

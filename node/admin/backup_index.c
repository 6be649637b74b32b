/* backup_index.c - the index of a backup, and what its vault.db says of itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/admin/backup.h"
#include "node/folder.h"
#include "node/vault/audit.h"
#include "node/vault/ledger.h"
#include "protocol/files.h"

enum { INDEX_MAX = 64 * 1024 * 1024, KEY_FILE_MAX = 64 * 1024, HEX = 64 };

static const char first_line[] = "cohortium backup 1";

/* ---- the index ---- */

enum fault backup_index_write(struct cx *cx, const char *folder, const struct backup *b,
                              uint8_t ret_digest[32])
{
    struct buffer out = buffer_new(cx, INDEX_MAX);
    const char *path = cx_printf(cx, "%s/backup", folder);

    if (path == NULL)
        return FAULT_MEMORY;
    buffer_printf(&out, "%s\nnode %s\nid %s\n", first_line, b->node,
                  bytes_hex(cx, b->id, DIGEST_BYTES));
    buffer_printf(&out, "genesis %s\n", bytes_hex(cx, b->genesis, DIGEST_BYTES));
    buffer_printf(&out, "made %s\nlog %llu %s\n", b->made, (unsigned long long)b->log_size,
                  bytes_hex(cx, b->log_root, DIGEST_BYTES));
    for (size_t i = 0; i < b->n; i++)
        buffer_printf(
            &out, "file %s %llu %04o %s\n", bytes_hex(cx, b->files[i].digest, DIGEST_BYTES),
            (unsigned long long)b->files[i].size, b->files[i].mode, b->files[i].path);
    buffer_printf(&out, "end %zu\n", b->n);
    TRY(out.fault);
    digest_of(bytes_of(out.p, out.n), ret_digest);
    return file_write(cx, "index", path, bytes_of(out.p, out.n), 0600, FILE_NEW);
}

struct reader {
    struct cx *cx;
    const char *path;
    char *at; /* the next line */
    size_t line;
};

static enum fault unfit(const struct reader *r, const char *expected)
{
    return cx_fail(r->cx, FAULT_FORMAT,
                   "%s:%zu: expected %s: this is no whole backup, or it was changed",
                   r->path, r->line, expected);
}

/* The rest of a line that begins with `word`. */
static enum fault next_line(struct reader *r, const char *word, char **ret)
{
    char *end = strchr(r->at, '\n');
    size_t n = strlen(word);

    r->line++;
    if (end == NULL || strncmp(r->at, word, n) != 0 || r->at[n] != ' ')
        return unfit(r, cx_printf(r->cx, "`%s`", word));
    *end = '\0';
    *ret = r->at + n + 1;
    r->at = end + 1;
    return FAULT_NONE;
}

static enum fault read_digest(const struct reader *r, const char *text, uint8_t ret[32])
{
    return bytes_from_hex(r->cx, text, ret, DIGEST_BYTES) == FAULT_NONE
               ? FAULT_NONE
               : unfit(r, "64 hex digits");
}

static enum fault read_count(const struct reader *r, const char **text, int base,
                             uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(*text, &end, base);
    if (errno != 0 || **text < '0' || **text > '9')
        return unfit(r, "a number");
    *text = end;
    return FAULT_NONE;
}

/* "DIGEST SIZE MODE PATH" */
static enum fault read_file_line(const struct reader *r, char *line, struct backup *b)
{
    struct backup_file f = {0};
    const char *p = line + HEX;
    uint64_t mode;

    if (strlen(line) < HEX + 2 || *p != ' ')
        return unfit(r, "a digest");
    line[HEX] = '\0';
    TRY(read_digest(r, line, f.digest));
    p++;
    TRY(read_count(r, &p, 10, &f.size));
    if (*p++ != ' ')
        return unfit(r, "a size");
    TRY(read_count(r, &p, 8, &mode));
    if (*p++ != ' ' || mode > 0755 || (mode & 0400) == 0)
        return unfit(r, "the rights of a file");
    if (!backup_path_is_ours(p))
        return unfit(r, "the name of a file of a node");
    for (size_t i = b->n > 0 ? b->n - 1 : 0; i < b->n; i++)
        if (strcmp(b->files[i].path, p) >= 0)
            return unfit(r, "files in order, each once");
    f.mode = (unsigned)mode;
    f.path = p;
    return backup_add(r->cx, b, f);
}

static enum fault read_head(struct reader *r, struct backup *b)
{
    char *text;
    const char *p;

    TRY(next_line(r, "cohortium", &text));
    if (strcmp(text, first_line + sizeof "cohortium") != 0)
        return unfit(r, "`cohortium backup 1`");
    TRY(next_line(r, "node", &text));
    if (!name_is_valid(text))
        return unfit(r, "a node's name");
    b->node = text;
    TRY(next_line(r, "id", &text));
    TRY(read_digest(r, text, b->id));
    TRY(next_line(r, "genesis", &text));
    TRY(read_digest(r, text, b->genesis));
    TRY(next_line(r, "made", &text));
    b->made = text;
    TRY(next_line(r, "log", &text));
    p = text;
    TRY(read_count(r, &p, 10, &b->log_size));
    if (*p != ' ')
        return unfit(r, "the log's root");
    return read_digest(r, p + 1, b->log_root);
}

enum fault backup_index_read(struct cx *cx, const char *folder, struct backup *ret,
                             uint8_t ret_digest[32])
{
    struct reader r = {.cx = cx, .path = cx_printf(cx, "%s/backup", folder)};
    struct bytes content;
    uint64_t n;

    if (r.path == NULL)
        return FAULT_MEMORY;
    enum fault fault = file_read(cx, "index", r.path, INDEX_MAX, false, &content);
    if (fault == FAULT_MISSING)
        return cx_fail(cx, FAULT_MISSING,
                       "%s is no backup: it has no file `backup`; expected a folder that "
                       "`cohortiumd backup` wrote",
                       folder);
    TRY(fault);
    digest_of(content, ret_digest);
    if (memchr(content.p, '\0', content.n) != NULL)
        return unfit(&r, "text");
    r.at = cx_printf(cx, "%.*s", (int)content.n, (const char *)content.p);
    if (r.at == NULL)
        return FAULT_MEMORY;
    *ret = (struct backup){0};
    TRY(read_head(&r, ret));
    while (strncmp(r.at, "file ", 5) == 0) {
        char *line;

        TRY(next_line(&r, "file", &line));
        TRY(read_file_line(&r, line, ret));
    }
    char *text;
    TRY(next_line(&r, "end", &text));
    const char *p = text;
    TRY(read_count(&r, &p, 10, &n));
    return n == ret->n && *p == '\0' && *r.at == '\0'
               ? FAULT_NONE
               : unfit(&r, "the number of its files");
}

/* ---- what is inside ---- */

static enum fault read_key(struct cx *cx, const char *folder, struct bytes *ret)
{
    struct bytes packed;
    Cohortium__KeyFile *file;

    TRY(file_read(cx, "key file", cx_printf(cx, "%s/keys/signing.key", folder),
                  KEY_FILE_MAX, true, &packed));
    TRY(pb_unpack(cx, &cohortium__key_file__descriptor, packed, KEY_FILE_MAX, &file));
    if (file->public_key.len != KEY_BYTES)
        return cx_fail(cx, FAULT_FORMAT, "%s/keys/signing.key is no key file", folder);
    *ret = PB_BYTES(file->public_key);
    return FAULT_NONE;
}

enum fault backup_node_id(struct cx *cx, const char *folder, uint8_t ret[32])
{
    struct bytes key;

    TRY(read_key(cx, folder, &key));
    digest_of(key, ret);
    return FAULT_NONE;
}

struct log_look {
    const uint8_t *key;
    const char *origin;
    uint64_t size;
    uint8_t root[32];
};

static enum fault look_at_log(struct cx *cx, sqlite3 *sql, void *user)
{
    struct log_look *l = user;

    TRY(audit_verify(cx, sql, l->key, l->origin, &l->size, l->root));
    return ledger_verify(cx, sql);
}

enum fault backup_check_log(struct cx *cx, const char *folder, uint64_t *ret_size,
                            uint8_t ret_root[32])
{
    struct node_settings settings;
    struct manifest *m;
    struct db *db;
    struct bytes key;
    const char *path = cx_printf(cx, "%s/vault.db", folder);
    const char *lock = cx_printf(cx, "%s/vault.db.lock", folder);

    if (path == NULL || lock == NULL)
        return FAULT_MEMORY;
    TRY(folder_settings(cx, folder, &settings));
    TRY(folder_manifest(cx, folder, &m));
    TRY(read_key(cx, folder, &key));
    /* By the node's own name: one that the manifest lists no more has a log all the same.
     */
    struct log_look look = {.key = key.p,
                            .origin = checkpoint_origin(cx, m->consortium, settings.name)};
    if (look.origin == NULL)
        return FAULT_MEMORY;
    TRY(db_open(cx, path, &db));
    enum fault fault = db_read(cx, db, look_at_log, &look);
    db_close(&db);
    (void)unlink(lock);
    TRY(fault);
    *ret_size = look.size;
    memcpy(ret_root, look.root, DIGEST_BYTES);
    return FAULT_NONE;
}

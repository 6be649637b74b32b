/*
 * restore.c - a node's folder from a backup: every byte verified, and marked.
 *
 * An older copy takes the ledger back to what it was: what was released since then would no
 * longer count. So the log gets a record of the restore, and the vault answers nothing
 * until another member has found its log to go on from what was seen of it
 * (node/vault/restored.c).
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/admin/backup.h"
#include "node/folder.h"
#include "node/vault/restored.h"

struct restoring {
    struct cx *cx;
    const char *from, *staging;
    struct backup b;
};

static enum fault copy_all(struct restoring *r)
{
    for (size_t i = 0; i < r->b.n; i++) {
        const struct backup_file *want = &r->b.files[i];
        struct backup_file got = {.path = want->path, .mode = want->mode};

        TRY(backup_copy(r->cx, r->from, r->staging, &got));
        if (got.size != want->size || memcmp(got.digest, want->digest, DIGEST_BYTES) != 0)
            return cx_fail(
                r->cx, FAULT_CONFLICT,
                "%s/%s is not what the index says (%llu bytes, %llu were written): "
                "this backup is damaged; take another",
                r->from, want->path, (unsigned long long)got.size,
                (unsigned long long)want->size);
    }
    return FAULT_NONE;
}

static enum fault check_whose(struct restoring *r)
{
    struct node_settings settings;
    struct manifest *m;
    uint8_t id[32], root[32];
    uint64_t size;

    TRY(folder_settings(r->cx, r->staging, &settings));
    TRY(folder_manifest(r->cx, r->staging, &m));
    TRY(backup_node_id(r->cx, r->staging, id));
    if (strcmp(settings.name, r->b.node) != 0 || memcmp(id, r->b.id, DIGEST_BYTES) != 0 ||
        memcmp(m->consortium, r->b.genesis, DIGEST_BYTES) != 0)
        return cx_fail(r->cx, FAULT_CONFLICT,
                       "%s: its files are of another node than its index says", r->from);
    TRY(backup_check_log(r->cx, r->staging, &size, root));
    if (size != r->b.log_size || memcmp(root, r->b.log_root, DIGEST_BYTES) != 0)
        return cx_fail(r->cx, FAULT_CONFLICT,
                       "%s: its log of %llu records is not the one that its index names",
                       r->from, (unsigned long long)size);
    return FAULT_NONE;
}

static enum fault mark(struct restoring *r)
{
    struct db *db;
    const char *lock = cx_printf(r->cx, "%s/vault.db.lock", r->staging);

    TRY(db_open(r->cx, cx_printf(r->cx, "%s/vault.db", r->staging), &db));
    struct restored_from from = {r->b.made, r->b.log_size};
    enum fault fault = db_write(r->cx, db, restored_mark, &from);
    db_close(&db);
    if (lock != NULL)
        (void)unlink(lock);
    return fault;
}

static enum fault make_parts(struct restoring *r)
{
    static const char *const parts[] = {"data", "run"};

    for (size_t i = 0; i < COUNT(parts); i++) {
        const char *path = cx_printf(r->cx, "%s/%s", r->staging, parts[i]);
        struct stat st;

        if (path == NULL)
            return FAULT_MEMORY;
        if (stat(path, &st) != 0 && mkdir(path, 0700) != 0)
            return cx_fail(r->cx, FAULT_IO, "%s could not be made", path);
    }
    return FAULT_NONE;
}

static enum fault fill(struct restoring *r)
{
    TRY(copy_all(r));
    TRY(check_whose(r));
    TRY(make_parts(r));
    return mark(r);
}

static enum fault check_digest(struct invocation *in, const uint8_t digest[32])
{
    const char *text = option(in, "digest");
    uint8_t want[32];

    if (text == NULL)
        return FAULT_NONE;
    if (bytes_from_hex(in->cx, text, want, sizeof want) != FAULT_NONE)
        return cx_fail(in->cx, FAULT_USAGE,
                       "--digest: expected the 64 hex digits that "
                       "`cohortiumd backup` printed");
    if (memcmp(want, digest, sizeof want) != 0)
        return cx_fail(in->cx, FAULT_CONFLICT,
                       "%s is another backup than the one of that digest: its own is %s",
                       in->words[0], bytes_hex(in->cx, digest, DIGEST_BYTES));
    return FAULT_NONE;
}

enum fault admin_restore(struct invocation *in)
{
    struct restoring r = {.cx = in->cx};
    uint8_t digest[32];

    TRY(need_words(in, 2, 2, "a backup's folder and a new folder for the node"));
    r.from = in->words[0];
    TRY(backup_index_read(in->cx, r.from, &r.b, digest));
    TRY(check_digest(in, digest));
    backup_watch_signals();
    TRY(backup_stage(in->cx, in->words[1], &r.staging));
    enum fault fault = fill(&r);
    if (fault == FAULT_NONE)
        fault = backup_publish(in->cx, r.staging, in->words[1]);
    if (fault != FAULT_NONE) {
        backup_discard(in->cx, r.staging);
        return fault;
    }
    (void)printf("%s is node %s again as of %s: %zu files as they were, a log of %llu "
                 "records and its "
                 "ledger whole\n"
                 "It answers nothing until another member has compared its log with what "
                 "it saw of it: "
                 "an older copy would forget what was released since. No other copy of "
                 "this node may "
                 "run.\nnext: cohortiumd serve --dir %s\n",
                 in->words[1], r.b.node, r.b.made, r.b.n, (unsigned long long)r.b.log_size,
                 in->words[1]);
    return FAULT_NONE;
}

enum fault admin_audit_accept_restore(struct invocation *in)
{
    const char *reason;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(need_option(in, "reason", "TEXT", &reason));
    return ask_node(in, "audit accept-restore", &reason, 1, NULL, 0, NULL);
}

/*
 * backup.h - a node's folder in another place: what is in a backup, and its index.
 *
 *   FOLDER/backup       the index: whose, of when, the log's size and root, every file with
 *                       size and SHA-256; the last line is its end
 *   FOLDER/node.yaml, keys/ (sealed as they are), manifest/, vault.db, data/vHEX/NAME.col
 *
 * run/, node.log and what SQLite keeps beside its file are not in it. The passphrase is not
 * either: without it a backup opens nothing.
 */
#pragma once

#include "node/admin/command.h"

struct backup_file {
    const char *path; /* below the folder */
    unsigned mode;
    uint64_t size;
    uint8_t digest[32];
};

enum { BACKUP_FILES_MAX = 200000 };

struct backup {
    const char *node, *made; /* name; "2026-11-24T20:21:06Z" */
    uint8_t id[32], genesis[32];
    uint64_t log_size;
    uint8_t log_root[32];
    size_t n, room;
    struct backup_file *files;
};

CHECKED enum fault backup_add(struct cx *cx, struct backup *b, struct backup_file file);
/* Whether a backup may hold a file of this name: nothing else is ever written. */
bool backup_path_is_ours(const char *path);

/* digest: of the index, so of the whole backup. */
CHECKED enum fault backup_index_write(struct cx *cx, const char *folder,
                                      const struct backup *b, uint8_t ret_digest[32]);
CHECKED enum fault backup_index_read(struct cx *cx, const char *folder, struct backup *ret,
                                     uint8_t ret_digest[32]);

/* One file from folder to folder, through a hash, on disk when it returns. */
CHECKED enum fault backup_copy(struct cx *cx, const char *from, const char *to,
                               struct backup_file *file);
/* An empty folder beside `target`, of its name and a random end; its parts are made. */
CHECKED enum fault backup_stage(struct cx *cx, const char *target, const char **ret);
/* Puts it in the target's place, which must not exist; on disk when it returns. */
CHECKED enum fault backup_publish(struct cx *cx, const char *staging, const char *target);
void backup_discard(struct cx *cx, const char *staging);
/* What was interrupted leaves nothing. */
void backup_watch_signals(void);
CHECKED enum fault backup_on(struct cx *cx); /* FAULT_CANCELLED after a signal */

/* Log and ledger of folder/vault.db, against manifest and signing key beside it. */
CHECKED enum fault backup_check_log(struct cx *cx, const char *folder, uint64_t *ret_size,
                                    uint8_t ret_root[32]);
CHECKED enum fault backup_node_id(struct cx *cx, const char *folder, uint8_t ret[32]);

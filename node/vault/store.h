/*
 * store.h - the catalogue: codebooks, dataset versions, which one answers.
 */
#pragma once

#include "node/vault/dataset.h"
#include "node/vault/db.h"

struct store;

/* data_fd: the node's data folder. Opens (and deeply verifies) the newest complete version of
 * each dataset; a damaged one is withdrawn with a reason, the others go on. Leftovers of
 * imports that never finished are removed. */
CHECKED enum fault store_open(struct cx *cx, struct db *db, int data_fd, struct store **ret);
void store_close(struct store **store);

/* The answering version, held (dataset_release it). FAULT_MISSING names what there is;
 * FAULT_STORAGE for a withdrawn one ("lung is withdrawn since ...: age.col is damaged"). */
CHECKED enum fault store_current(struct cx *cx, struct store *store, const char *name,
                                 struct dataset **ret);
CHECKED enum fault store_version(struct cx *cx, struct store *store, const char *name,
                                 const uint8_t version[16], struct dataset **ret);

CHECKED enum fault store_put_codebook(struct cx *cx, sqlite3 *sql, struct bytes packed,
                                      struct bytes envelope);
/* digest NULL: the one added last. */
CHECKED enum fault store_codebook(struct cx *cx, struct store *store, const char *dataset,
                                  const uint8_t *digest, struct bytes *ret_packed);

/* What an import in its staging folder changes beside the version that answers. *ret_any:
 * there is one. */
CHECKED enum fault store_changes(struct cx *cx, struct store *store, const char *staging,
                                 const char *name, struct bytes codebook, bool *ret_any,
                                 struct dataset_changes *ret);
/* Publishing an import: the staging folder (name inside data folder) is verified deeply, moved
 * to its place and becomes visible in one transaction (with its log record, by `work`, which
 * may be NULL). */
CHECKED enum fault store_publish(struct cx *cx, struct store *store, const char *staging,
                                 const char *name, struct bytes codebook, uint64_t rows,
                                 uint64_t patients, db_work *work, void *user,
                                 uint8_t ret_version[16]);
/* Patients who withdrew: from now on no row of theirs is in any sum, also of what is imported
 * later; who has begun a question ends it. hashes: sorted. With `work` in one transaction. */
CHECKED enum fault store_leave_out(struct cx *cx, struct store *store, const char *name_space,
                                   const uint8_t (*hashes)[16], size_t n, db_work *work,
                                   void *user);
/* How many of the answering version's patients withdrew since it answers. */
CHECKED enum fault store_left_out(struct cx *cx, struct store *store, const char *name,
                                  uint64_t *ret);
/* The answering version as a new one, whose files hold nobody that withdrew. */
CHECKED enum fault store_cut(struct cx *cx, struct store *store, const char *name,
                             db_work *work, void *user, uint8_t ret_version[16]);
/* All versions of the name; requests that hold one finish with it. */
CHECKED enum fault store_drop(struct cx *cx, struct store *store, const char *name,
                              db_work *work, void *user);
struct store_row {
    const char *name, *title, *state; /* "answers", "withdrawn", "superseded" */
    const char *why;
    uint8_t version[16], codebook[32];
    uint64_t rows, patients;          /* for the operator's own eyes */
    uint64_t imported_at;
};
/* all: superseded versions too. By name, newest first. */
CHECKED enum fault store_list(struct cx *cx, struct store *store, bool all,
                              struct store_row **ret, size_t *ret_n);
/* Checks every file again; withdraws what is damaged. Runs in doctor and now and then. */
CHECKED enum fault store_check(struct cx *cx, struct store *store, size_t *ret_withdrawn);

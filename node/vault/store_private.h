/*
 * store_private.h - what store.c and store_publish.c share.
 */
#pragma once

#include <pthread.h>

#include "node/vault/store.h"

struct opened {
    struct opened *next;
    struct dataset *dataset; /* held */
    bool answers;
};

struct store {
    struct db *db;
    int data_fd;
    pthread_mutex_t publishing; /* one publication or drop at a time */
    pthread_mutex_t lock;       /* guards what follows */
    struct opened *opened;
};

struct version_row {
    const char *name, *state, *why;
    uint8_t version[16], codebook[32], content[32];
    uint64_t rows, patients, imported_at;
    struct bytes packed; /* its codebook */
};

/* By name, newest first. name, version: NULL for all. */
CHECKED enum fault store_rows(struct cx *cx, struct store *s, const char *name,
                              const uint8_t *version, struct version_row **ret,
                              size_t *ret_n);
bool version_is(const struct version_row *row, const char *state);
/* Opens a version deeply and compares it with its row. */
CHECKED enum fault store_verify(struct cx *cx, struct store *s,
                                const struct version_row *row, struct dataset **ret);
/* Tells d, which is not shared yet, who withdrew. */
CHECKED enum fault store_tell_left_out(struct cx *cx, struct store *s, struct dataset *d);
/* Stamps go upward even when the clock does not: after the one that `text` selects. */
CHECKED enum fault store_next_stamp(struct cx *cx, sqlite3 *sql, const char *text,
                                    int64_t *ret);
#define STORE_STAGING "staging-"
void store_remove_folder(int parent, const char *name);
/* Takes d over. */
void store_keep(struct store *s, struct dataset *d, bool answers);
/* version NULL: all of the name. */
void store_forget(struct store *s, const char *name, const uint8_t *version);
/* Removes the folders of dropped datasets and of publications that no row knows; at the
 * start also the staging folders, which nobody fills any more. */
CHECKED enum fault store_sweep(struct cx *cx, struct store *s, bool staging);

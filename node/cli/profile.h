/*
 * profile.h - who asks, and where home is.
 *
 *   profile.yaml    home: tcp://host:port   node: HEX   noise: HEX   genesis: HEX
 *                   permit: HEX or title    passphrase_file: FILE    lab: FOLDER
 *   researcher.key  credential  codebooks/DIGEST  receipts/TIME-DIGEST.receipt
 *
 * The folder: --profile NAME, else $COHORTIUM_HOME, else the profile "default", else the
 * only one under $XDG_CONFIG_HOME/cohortium/profiles (or ~/.config).
 */
#pragma once

#include "protocol/cohortium.pb-c.h"
#include "protocol/keys.h"

struct profile {
    const char *name, *folder;
    const char *home;            /* endpoint */
    const char *permit;          /* or NULL */
    const char *passphrase_file; /* or NULL */
    const char *lab;             /* the lab's folder, or NULL */
    uint8_t node[32], noise[32], genesis[32];
};

CHECKED enum fault profiles_root(struct cx *cx, const char **ret);
/* Names, sorted. */
CHECKED enum fault profiles_list(struct cx *cx, const char ***ret, size_t *ret_n);
/* name NULL: as above. FAULT_MISSING says how to get one. */
CHECKED enum fault profile_open(struct cx *cx, const char *name, struct profile *ret);
/* Writes profile.yaml into p->folder, which is made. */
CHECKED enum fault profile_write(struct cx *cx, const struct profile *p);
CHECKED enum fault profile_folder(struct cx *cx, const char *name, const char **ret);

/* The researcher's key. Asks for a passphrase only if the key has one. */
CHECKED enum fault profile_keys(struct cx *cx, const struct profile *p,
                                const char *passphrase_file, struct keys **ret);
/* From a file's first line or the terminal without echo (twice when `fresh`); sodium
 * memory, to be freed with sodium_free. */
CHECKED enum fault passphrase_read(struct cx *cx, const char *file, const char *prompt,
                                   bool fresh, char **ret);

/* What a key file says without its passphrase. */
CHECKED enum fault key_file_public(struct cx *cx, const char *path,
                                   Cohortium__KeyFile **ret);
/* Asks for the passphrase only if there is one. */
CHECKED enum fault key_file_open(struct cx *cx, const char *path, const char *use,
                                 const char *passphrase_file, struct keys **ret);

/* mkdir -p with mode 0700. */
CHECKED enum fault folder_make(struct cx *cx, const char *path);
/* Removes a folder and what is in it; does not follow links. */
CHECKED enum fault folder_remove(struct cx *cx, const char *path);

/* Text armour of one file: a first line, then base64. */
CHECKED enum fault armor(struct cx *cx, const char *first_line, struct bytes packed,
                         struct bytes *ret);
CHECKED enum fault unarmor(struct cx *cx, const char *what, const char *path,
                           const char *first_line, size_t bound, struct bytes *ret);
extern const char card_line[], receipt_line[];

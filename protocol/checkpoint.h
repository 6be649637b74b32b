/*
 * checkpoint.h - C2SP checkpoints of a log, and other nodes' cosignatures on them.
 *
 *   origin "\n" size "\n" base64(root) "\n"                       the text that is signed
 *   "\n"
 *   "— " origin " " base64(key hash || signature) "\n"            by the log's node (0x01)
 *   "— " witness " " base64(key hash || time || signature) "\n"   by others (0x04)
 *
 * A cosignature says: at that time this was the largest tree of this log that the witness
 * had seen, and it continued all that it had seen before (tlog-cosignature,
 * cosignature/v1). Names are "cohortium/<consortium hex 16>/<member name>", for logs and
 * for witnesses. One node key serves both: what is signed begins with the origin here, with
 * "cosignature/v1" there, and with "DSSEv1" in envelopes.
 */
#pragma once

#include "protocol/keys.h"

enum {
    NOTE_MAX = 4096,       /* bytes of a note with all its lines */
    COSIGNATURES_MAX = 16, /* lines of others that a node adds to one note */
    SHEET_MAX = 64 * 1024, /* bytes of another text that a node signs as a note */
    WITNESSES_MIN = 2      /* other institutions, or a log counts as unwitnessed */
};

const char *checkpoint_origin(struct cx *cx, const uint8_t consortium[32],
                              const char *member);
CHECKED enum fault checkpoint_sign(struct cx *cx, const char *origin, uint64_t size,
                                   const uint8_t root[32], const struct keys *keys,
                                   const char **ret_note);
/* FAULT_DENIED: of another log, or not signed by this key; FAULT_FORMAT, FAULT_BOUND. */
CHECKED enum fault checkpoint_verify(struct cx *cx, const char *note, const char *origin,
                                     const uint8_t key[32], uint64_t *ret_size,
                                     uint8_t ret_root[32]);
/* Whether a note says that it is of this log: nothing of it is believed yet. */
bool checkpoint_claims(const char *claimed_note, const char *origin);

/* One line for a note that checkpoint_verify has accepted. */
CHECKED enum fault cosignature_sign(struct cx *cx, const char *note, const char *witness,
                                    const struct keys *keys, int64_t utc_ms,
                                    const char **ret_line);
/* Whether some line of the note is a valid cosignature of this witness; ret_seconds: when.
 */
CHECKED bool cosignature_holds(struct cx *cx, const char *note, const char *witness,
                               const uint8_t key[32], uint64_t *ret_seconds);
/* The note with one more line; FAULT_FORMAT if it is not one line of a note. */
CHECKED enum fault cosignature_add(struct cx *cx, const char *note,
                                   const char *claimed_line, const char **ret_note);

/* A sheet: lines of text that this node signs for people, as a signed note. Its first line has
 * a space, which no log's name has. FAULT_INVALID: no such text; FAULT_FORMAT: no such note;
 * FAULT_DENIED: not signed by this key. */
CHECKED enum fault sheet_sign(struct cx *cx, const char *name, const char *text,
                              const struct keys *keys, const char **ret_note);
CHECKED enum fault sheet_verify(struct cx *cx, const char *note, const char *name,
                                const uint8_t key[32]);

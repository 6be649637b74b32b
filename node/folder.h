/*
 * folder.h - a node's one folder.
 *
 *   node.yaml           name, listen address, bounds on what is carried for others (kept
 *                       small; the manifest says the rest)
 *   keys/               signing.key noise.key patient.key, sealed by the passphrase;
 *                       noise.next.key: takes noise.key's place when the manifest lists it
 *   manifest/           1, 2, ...: packed envelopes from genesis on; genesis: pinned digest, hex;
 *                       fork-N-DIGEST: another version N, as validly signed; frozen: until thaw,
 *                       why and which fork
 *   vault.db            catalogue, papers, policy, ledger, log
 *   data/               column files, a folder a dataset version
 *   run/                admin.sock, pid (while it runs)
 */
#pragma once

#include "protocol/link.h"
#include "protocol/manifest.h"

#define LINK_KEY_NEXT "noise.next.key" /* of a card that no manifest lists yet */

/* The verified chain against the pinned genesis. FAULT_MISSING before a manifest was adopted. */
CHECKED enum fault folder_manifest(struct cx *cx, const char *folder, struct manifest **ret);
/* Adopts a genesis manifest: verifies against the digest given, checks that this node's key is
 * in it, stores both. Refuses when one is there already (unless identical). */
CHECKED enum fault folder_adopt(struct cx *cx, const char *folder, struct bytes packed,
                                const uint8_t genesis[32]);
/* The same with a whole chain; where the node belongs to the consortium already, what is newer
 * is added. */
CHECKED enum fault folder_join(struct cx *cx, const char *folder, const struct bytes *chain,
                               size_t n, const uint8_t genesis[32]);
/* One version more, verified by the caller; durable. */
CHECKED enum fault folder_manifest_add(struct cx *cx, const char *folder, uint64_t version,
                                       struct bytes packed);
/* Why the node is frozen; *ret NULL: it is not. */
CHECKED enum fault folder_frozen(struct cx *cx, const char *folder, const char **ret);
CHECKED enum fault folder_fork_is_known(struct cx *cx, const char *folder, uint64_t version,
                                        const uint8_t digest[32], bool *ret);
/* The mark that survives a restart first, then the evidence. */
CHECKED enum fault folder_freeze(struct cx *cx, const char *folder, uint64_t version,
                                 const uint8_t digest[32], struct bytes packed,
                                 const char *why);
/* Ours becomes evidence, too, and the one that froze us takes its place, for the next start.
 * m: what is in force. FAULT_MISSING: the evidence is gone. */
CHECKED enum fault folder_take_fork(struct cx *cx, const char *folder,
                                    const struct manifest *m);
/* The evidence stays: the same fork does not freeze twice. */
CHECKED enum fault folder_thaw(struct cx *cx, const char *folder);
struct node_settings {
    const char *name;
    const char *listen;   /* "tcp://0.0.0.0:7011" */
    struct relay_limits relay; /* 0: the usual one (protocol/link.h) */
};
CHECKED enum fault folder_settings(struct cx *cx, const char *folder,
                                   struct node_settings *ret);
/* Makes a new folder with keys; refuses an existing non-empty one. */
CHECKED enum fault folder_init(struct cx *cx, const char *folder, const char *name,
                               const char *listen, const char *passphrase);
/* "<folder>/run/admin.sock", bounded by sockaddr_un. */
CHECKED enum fault folder_admin_socket(struct cx *cx, const char *folder, const char **ret);

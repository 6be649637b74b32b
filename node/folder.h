/*
 * folder.h - a node's one folder.
 *
 *   node.yaml           name, listen address (kept small; the manifest says the rest)
 *   keys/               signing.key noise.key patient.key, sealed by the passphrase
 *   manifest/           1, 2, ...: packed envelopes from genesis on; genesis: pinned digest, hex
 *   vault.db            catalogue, papers, policy, ledger, log
 *   data/               column files, a folder a dataset version
 *   run/                admin.sock, pid (while it runs)
 */
#pragma once

#include "protocol/manifest.h"

/* The verified chain against the pinned genesis. FAULT_MISSING before a manifest was adopted. */
CHECKED enum fault folder_manifest(struct cx *cx, const char *folder, struct manifest **ret);
/* Adopts a genesis manifest: verifies against the digest given, checks that this node's key is
 * in it, stores both. Refuses when one is there already (unless identical). */
CHECKED enum fault folder_adopt(struct cx *cx, const char *folder, struct bytes packed,
                                const uint8_t genesis[32]);
struct node_settings {
    const char *name;
    const char *listen;   /* "tcp://0.0.0.0:7011" */
};
CHECKED enum fault folder_settings(struct cx *cx, const char *folder,
                                   struct node_settings *ret);
/* Makes a new folder with keys; refuses an existing non-empty one. */
CHECKED enum fault folder_init(struct cx *cx, const char *folder, const char *name,
                               const char *listen, const char *passphrase);
/* "<folder>/run/admin.sock", bounded by sockaddr_un. */
CHECKED enum fault folder_admin_socket(struct cx *cx, const char *folder, const char **ret);

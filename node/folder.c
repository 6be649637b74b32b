/* folder.c - a node's one folder: made, read, given its manifest. */
#include "node/folder.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/data/yaml.h"
#include "protocol/files.h"

enum {
    MANIFEST_FILE_MAX = 2 * 1024 * 1024,
    SETTINGS_MAX = 64 * 1024,
    FROZEN_MAX = 4096,
    MEGABYTES_MAX = 1024 * 1024
};

static enum fault read_genesis(struct cx *cx, const char *folder, uint8_t ret[32])
{
    struct bytes text;
    char hex[2 * DIGEST_BYTES + 1];
    enum fault fault =
        file_read(cx, "pinned genesis", cx_printf(cx, "%s/manifest/genesis", folder), 256,
                  false, &text);

    if (fault == FAULT_MISSING)
        return cx_fail(
            cx, FAULT_MISSING,
            "this node belongs to no consortium yet; give its member card to the "
            "founders, then run `cohortiumd consortium adopt`");
    TRY(fault);
    if (text.n < 2 * DIGEST_BYTES)
        return cx_fail(cx, FAULT_FORMAT, "%s/manifest/genesis is damaged", folder);
    memcpy(hex, text.p, sizeof hex - 1);
    hex[sizeof hex - 1] = '\0';
    return bytes_from_hex(cx, hex, ret, DIGEST_BYTES);
}

enum fault folder_manifest(struct cx *cx, const char *folder, struct manifest **ret)
{
    uint8_t genesis[32];
    struct bytes *chain;
    size_t n = 0;

    TRY(read_genesis(cx, folder, genesis));
    CX_NEW(cx, chain, MANIFEST_CHAIN_MAX);
    while (n < MANIFEST_CHAIN_MAX) {
        enum fault fault =
            file_read(cx, "manifest", cx_printf(cx, "%s/manifest/%zu", folder, n + 1),
                      MANIFEST_FILE_MAX, false, &chain[n]);

        if (fault == FAULT_MISSING)
            break;
        TRY(fault);
        n++;
    }
    return manifest_load(cx, chain, n, genesis, ret);
}

enum fault folder_manifest_add(struct cx *cx, const char *folder, uint64_t version,
                               struct bytes packed)
{
    return file_write(cx, "manifest",
                      cx_printf(cx, "%s/manifest/%" PRIu64, folder, version), packed, 0644,
                      FILE_REPLACE);
}

/* ---- frozen by two versions of one number ---- */

static const char *fork_path(struct cx *cx, const char *folder, uint64_t version,
                             const uint8_t digest[32])
{
    return cx_printf(cx, "%s/manifest/fork-%" PRIu64 "-%s", folder, version,
                     bytes_hex(cx, digest, 8));
}

enum fault folder_frozen(struct cx *cx, const char *folder, const char **ret)
{
    struct bytes text;
    enum fault fault = file_read(cx, "mark", cx_printf(cx, "%s/manifest/frozen", folder),
                                 FROZEN_MAX, false, &text);
    char *why;

    *ret = NULL;
    if (fault == FAULT_MISSING)
        return FAULT_NONE;
    TRY(fault);
    CX_NEW(cx, why, text.n + 1);
    memcpy(why, text.p, text.n);
    why[strcspn(why, "\n")] = '\0';
    *ret = why[0] != '\0' ? why : "FROZEN: see the folder `manifest`";
    return FAULT_NONE;
}

enum fault folder_fork_is_known(struct cx *cx, const char *folder, uint64_t version,
                                const uint8_t digest[32], bool *ret)
{
    const char *path = fork_path(cx, folder, version, digest);

    if (path == NULL)
        return FAULT_MEMORY;
    *ret = access(path, F_OK) == 0;
    return FAULT_NONE;
}

enum fault folder_freeze(struct cx *cx, const char *folder, uint64_t version,
                         const uint8_t digest[32], struct bytes packed, const char *why)
{
    const char *mark =
        cx_printf(cx, "%s\n%" PRIu64 " %s\n", why, version, bytes_hex(cx, digest, 8));

    if (mark == NULL)
        return FAULT_MEMORY;
    TRY(file_write(cx, "mark", cx_printf(cx, "%s/manifest/frozen", folder),
                   bytes_of(mark, strlen(mark)), 0644, FILE_REPLACE));
    return file_write(cx, "evidence", fork_path(cx, folder, version, digest), packed, 0644,
                      FILE_REPLACE);
}

/* Which fork froze us, by the second line of the mark. */
static enum fault read_fork(struct cx *cx, const char *folder, uint64_t *ret_version,
                            struct bytes *ret)
{
    struct bytes text;
    char line[FROZEN_MAX + 1], hex[17];

    TRY(file_read(cx, "mark", cx_printf(cx, "%s/manifest/frozen", folder), FROZEN_MAX,
                  false, &text));
    memcpy(line, text.p, text.n);
    line[text.n] = '\0';
    const char *second = strchr(line, '\n');
    if (second == NULL || sscanf(second, " %" SCNu64 " %16[0-9a-f]", ret_version, hex) != 2)
        return cx_fail(cx, FAULT_FORMAT, "%s/manifest/frozen is damaged", folder);
    return file_read(
        cx, "evidence",
        cx_printf(cx, "%s/manifest/fork-%" PRIu64 "-%s", folder, *ret_version, hex),
        MANIFEST_FILE_MAX, false, ret);
}

enum fault folder_take_fork(struct cx *cx, const char *folder, const struct manifest *m)
{
    struct bytes other;
    uint64_t version;

    TRY(read_fork(cx, folder, &version, &other));
    if (version < 2 || version > m->n_chain)
        return cx_fail(cx, FAULT_FORMAT, "%s/manifest/frozen is damaged", folder);
    for (uint64_t k = version; k <= m->n_chain; k++)
        TRY(file_write(cx, "evidence", fork_path(cx, folder, k, m->digests[k - 1]),
                       m->chain[k - 1], 0644, FILE_REPLACE));
    /* From the newest on, so that what is left is a chain at any time. */
    for (uint64_t k = m->n_chain; k > version; k--) {
        const char *path = cx_printf(cx, "%s/manifest/%" PRIu64, folder, k);

        if (path == NULL || (unlink(path) != 0 && errno != ENOENT))
            return cx_fail(cx, FAULT_IO, "%s/manifest/%" PRIu64 ": %s", folder, k,
                           strerror(errno));
    }
    return folder_manifest_add(cx, folder, version, other);
}

enum fault folder_thaw(struct cx *cx, const char *folder)
{
    const char *path = cx_printf(cx, "%s/manifest/frozen", folder);

    if (path == NULL)
        return FAULT_MEMORY;
    if (unlink(path) != 0 && errno != ENOENT)
        return cx_fail(cx, FAULT_IO, "%s: %s", path, strerror(errno));
    return FAULT_NONE;
}

static enum fault own_node_id(struct cx *cx, const char *folder, uint8_t ret[32])
{
    struct bytes packed;
    Cohortium__KeyFile *file;

    TRY(file_read(cx, "key file", cx_printf(cx, "%s/keys/signing.key", folder),
                  SETTINGS_MAX, true, &packed));
    TRY(pb_unpack(cx, &cohortium__key_file__descriptor, packed, SETTINGS_MAX, &file));
    digest_of(PB_BYTES(file->public_key), ret);
    return FAULT_NONE;
}

/* What the folder holds against what comes: only longer, never another. */
static enum fault check_held(struct cx *cx, const struct manifest *old,
                             const struct manifest *m)
{
    if (memcmp(old->consortium, m->consortium, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_CONFLICT,
                       "this node belongs to consortium %s already; a folder serves one",
                       old->body->consortium_name);
    for (size_t i = 0; i < old->n_chain && i < m->n_chain; i++)
        if (memcmp(old->digests[i], m->digests[i], DIGEST_BYTES) != 0)
            return cx_fail(
                cx, FAULT_CONFLICT,
                "this node holds another manifest version %zu than that file: the "
                "governors have signed two; ask the other members which one holds",
                i + 1);
    return FAULT_NONE;
}

enum fault folder_join(struct cx *cx, const char *folder, const struct bytes *chain,
                       size_t n, const uint8_t genesis[32])
{
    struct manifest *m, *old;
    uint8_t id[32];
    size_t held = 0;
    struct buffer pin = buffer_new(cx, 256);

    TRY(manifest_load(cx, chain, n, genesis, &m));
    TRY(own_node_id(cx, folder, id));
    if (manifest_find(m, id) == NULL)
        return cx_fail(
            cx, FAULT_DENIED,
            "this node is not in that manifest: its id is %s; give its member card "
            "(`cohortiumd consortium card`) to the founders",
            bytes_hex(cx, id, sizeof id));
    if (folder_manifest(cx, folder, &old) == FAULT_NONE) {
        TRY(check_held(cx, old, m));
        held = old->n_chain;
    }
    for (size_t i = held; i < n; i++)
        TRY(folder_manifest_add(cx, folder, i + 1, chain[i]));
    if (held > 0)
        return FAULT_NONE;
    buffer_printf(&pin, "%s\n", bytes_hex(cx, m->consortium, DIGEST_BYTES));
    TRY(pin.fault);
    return file_write(cx, "pinned genesis", cx_printf(cx, "%s/manifest/genesis", folder),
                      bytes_of(pin.p, pin.n), 0644, FILE_NEW);
}

enum fault folder_adopt(struct cx *cx, const char *folder, struct bytes packed,
                        const uint8_t genesis[32])
{
    return folder_join(cx, folder, &packed, 1, genesis);
}

static bool is_empty(const char *folder)
{
    DIR *d = opendir(folder);
    size_t n = 0;

    if (d == NULL)
        return errno == ENOENT;
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    (void)closedir(d);
    return n == 0;
}

static enum fault write_key(struct cx *cx, const char *folder, const char *file,
                            const char *use, const char *name, const char *passphrase)
{
    AUTO_KEYS struct keys *keys = NULL;

    TRY(keys_new(cx, use, name, &keys));
    return keys_write(cx, keys, passphrase, cx_printf(cx, "%s/keys/%s", folder, file));
}

enum fault folder_init(struct cx *cx, const char *folder, const char *name,
                       const char *listen, const char *passphrase)
{
    static const char *const parts[] = {"", "/keys", "/manifest", "/data", "/run"};
    struct buffer yaml = buffer_new(cx, 4096);

    if (!name_is_valid(name))
        return cx_fail(
            cx, FAULT_USAGE,
            "`%.40s` is no node name; use lower-case letters, digits and _, such as "
            "hospital_a",
            name);
    if (!is_empty(folder))
        return cx_fail(cx, FAULT_CONFLICT, "%s is not empty; choose a new folder", folder);
    for (size_t i = 0; i < COUNT(parts); i++)
        if (mkdir(cx_printf(cx, "%s%s", folder, parts[i]), 0700) != 0 && errno != EEXIST)
            return cx_fail(cx, FAULT_IO, "%s%s: %s", folder, parts[i], strerror(errno));
    TRY(write_key(cx, folder, "signing.key", "node_signing", name, passphrase));
    TRY(write_key(cx, folder, "noise.key", "node_noise", name, passphrase));
    TRY(write_key(cx, folder, "patient.key", "patient", name, passphrase));
    buffer_printf(&yaml,
                  "# This node. The manifest of the consortium says the rest.\n"
                  "name: %s\nlisten: \"%s\"\n",
                  name, listen);
    TRY(yaml.fault);
    return file_write(cx, "settings", cx_printf(cx, "%s/node.yaml", folder),
                      bytes_of(yaml.p, yaml.n), 0644, FILE_NEW);
}

/* What is carried for other members; not there: the usual bound. */
static enum fault read_megabytes(struct cx *cx, const struct yaml_node *root,
                                 const char *key, uint64_t *ret)
{
    const struct yaml_node *node = yaml_get(root, key);
    int64_t value;

    *ret = 0;
    if (node == NULL)
        return FAULT_NONE;
    TRY(yaml_whole(cx, node, key, 1, MEGABYTES_MAX, &value));
    *ret = (uint64_t)value * 1024 * 1024;
    return FAULT_NONE;
}

enum fault folder_settings(struct cx *cx, const char *folder, struct node_settings *ret)
{
    const char *path = cx_printf(cx, "%s/node.yaml", folder);
    static const char *const keys[] = {"name",
                                       "listen",
                                       "relay_mb_s",
                                       "relay_pair_mb_s",
                                       "relay_waiting_mb",
                                       "relay_pair_waiting_mb"};
    struct bytes text;
    enum fault fault = file_read(cx, "settings", path, SETTINGS_MAX, false, &text);

    if (fault == FAULT_MISSING)
        return cx_fail(cx, FAULT_MISSING,
                       "%s is not a node's folder; say which one with --dir FOLDER or "
                       "$COHORTIUM_NODE, or make one: `cohortiumd init --help`",
                       folder);
    TRY(fault);
    const struct yaml_node *root;
    TRY(yaml_open(cx, path, (const char *)text.p, text.n, &root));
    TRY(yaml_check_map(cx, root, "the settings of a node", keys, COUNT(keys)));
    if (yaml_get(root, "name") == NULL || yaml_get(root, "listen") == NULL)
        return cx_fail(cx, FAULT_FORMAT, "%s: expected `name` and `listen`", path);
    *ret = (struct node_settings){0};
    TRY(yaml_text(cx, yaml_get(root, "name"), "name", 32, &ret->name));
    TRY(read_megabytes(cx, root, "relay_mb_s", &ret->relay.rate));
    TRY(read_megabytes(cx, root, "relay_pair_mb_s", &ret->relay.pair_rate));
    TRY(read_megabytes(cx, root, "relay_waiting_mb", &ret->relay.held));
    TRY(read_megabytes(cx, root, "relay_pair_waiting_mb", &ret->relay.pair_held));
    return yaml_text(cx, yaml_get(root, "listen"), "listen", 200, &ret->listen);
}

enum fault folder_admin_socket(struct cx *cx, const char *folder, const char **ret)
{
    const char *path = cx_printf(cx, "%s/run/admin.sock", folder);

    if (path == NULL)
        return FAULT_MEMORY;
    if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return cx_fail(cx, FAULT_BOUND,
                       "%s: the path of the admin socket is longer than the system allows; "
                       "use a shorter folder",
                       folder);
    *ret = path;
    return FAULT_NONE;
}

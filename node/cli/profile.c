/* profile.c - see profile.h. */
#include "node/cli/profile.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/data/yaml.h"
#include "protocol/files.h"

enum { PROFILE_BYTES_MAX = 64 * 1024, PROFILES_MAX = 1000 };

static enum fault config_folder(struct cx *cx, const char **ret)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (config != NULL && config[0] == '/')
        *ret = cx_printf(cx, "%s/cohortium", config);
    else if (home != NULL && home[0] == '/')
        *ret = cx_printf(cx, "%s/.config/cohortium", home);
    else
        return cx_fail(cx, FAULT_MISSING,
                       "neither XDG_CONFIG_HOME nor HOME is set: set COHORTIUM_HOME to the "
                       "profile's folder");
    return *ret == NULL ? FAULT_MEMORY : FAULT_NONE;
}

enum fault profiles_root(struct cx *cx, const char **ret)
{
    const char *config = NULL;

    TRY(config_folder(cx, &config));
    *ret = cx_printf(cx, "%s/profiles", config);
    return *ret == NULL ? FAULT_MEMORY : FAULT_NONE;
}

static bool name_is_plain(const char *name)
{
    size_t n = strlen(name);

    return n > 0 && n <= 64 && name[0] != '.' &&
           strspn(name,
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == n;
}

enum fault profile_folder(struct cx *cx, const char *name, const char **ret)
{
    const char *root;

    if (!name_is_plain(name))
        return cx_fail(cx, FAULT_USAGE,
                       "`%.64s` is no profile name: expected letters, digits, - _ .", name);
    TRY(profiles_root(cx, &root));
    *ret = cx_printf(cx, "%s/%s", root, name);
    return *ret == NULL ? FAULT_MEMORY : FAULT_NONE;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum fault profiles_list(struct cx *cx, const char ***ret, size_t *ret_n)
{
    const char *root, **names;
    struct dirent *entry;
    size_t n = 0;

    TRY(profiles_root(cx, &root));
    CX_NEW(cx, names, PROFILES_MAX);
    DIR *dir = opendir(root);
    while (dir != NULL && n < PROFILES_MAX && (entry = readdir(dir)) != NULL) {
        struct stat st;
        const char *file = cx_printf(cx, "%s/%s/profile.yaml", root, entry->d_name);

        if (file != NULL && name_is_plain(entry->d_name) && stat(file, &st) == 0 &&
            (names[n] = cx_strdup(cx, entry->d_name)) != NULL)
            n++;
    }
    if (dir != NULL)
        (void)closedir(dir);
    qsort(names, n, sizeof *names, compare_names);
    *ret = names;
    *ret_n = n;
    return FAULT_NONE;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static enum fault choose(struct cx *cx, const char *name, struct profile *p)
{
    const char *set = getenv("COHORTIUM_HOME"), **names;
    size_t n;

    if (name == NULL && set != NULL && set[0] != '\0') {
        p->folder = set;
        p->name = last_part(set);
        return FAULT_NONE;
    }
    TRY(profiles_list(cx, &names, &n));
    const char *wanted = name;
    for (size_t i = 0; i < n && wanted == NULL; i++)
        if (strcmp(names[i], "default") == 0)
            wanted = "default";
    if (wanted == NULL && n == 1)
        wanted = names[0];
    if (wanted == NULL && n == 0)
        return cx_fail(
            cx, FAULT_MISSING,
            "no profile tells where your home node is: `cohortium profile add` makes "
            "one, `cohortium lab up` a consortium to try");
    if (wanted == NULL)
        return cx_fail(cx, FAULT_USAGE,
                       "there are %zu profiles (%s, %s%s): choose one with --profile NAME",
                       n, names[0], names[1], n > 2 ? ", ..." : "");
    bool known = false;
    for (size_t i = 0; i < n; i++)
        known = known || strcmp(names[i], wanted) == 0;
    const char *near = known ? NULL : bytes_nearest(wanted, names, n);
    if (near != NULL)
        return cx_fail(cx, FAULT_USAGE, "no profile `%.64s`; did you mean `%s`?", wanted,
                       near);
    if (!known)
        return cx_fail(cx, FAULT_USAGE,
                       "no profile `%.64s`; `cohortium profile list` shows them", wanted);
    p->name = wanted;
    return profile_folder(cx, wanted, &p->folder);
}

/* ---- profile.yaml ---- */

static enum fault read_text(struct cx *cx, const struct yaml_node *map, const char *key,
                            bool needed, const char **ret)
{
    const struct yaml_node *node = yaml_get(map, key);

    *ret = NULL;
    if (node != NULL)
        return yaml_text(cx, node, key, 4096, ret);
    if (needed)
        return yaml_fail(cx, map, "`%s` is missing", key);
    return FAULT_NONE;
}

static enum fault read_hex(struct cx *cx, const struct yaml_node *map, const char *key,
                           uint8_t ret[32])
{
    const char *text;

    TRY(read_text(cx, map, key, true, &text));
    if (bytes_from_hex(cx, text, ret, 32) != FAULT_NONE)
        return yaml_fail(cx, yaml_get(map, key), "`%s`: expected 64 hex digits", key);
    return FAULT_NONE;
}

enum fault profile_open(struct cx *cx, const char *name, struct profile *ret)
{
    static const char *const keys[] = {
        "home", "node", "noise", "genesis", "permit", "passphrase_file", "lab"};
    struct profile p = {0};
    const struct yaml_node *map;
    struct bytes text;

    TRY(choose(cx, name, &p));
    const char *path = cx_printf(cx, "%s/profile.yaml", p.folder);
    if (path == NULL)
        return FAULT_MEMORY;
    TRY(file_read(cx, "profile", path, PROFILE_BYTES_MAX, false, &text));
    TRY(yaml_open(cx, path, (const char *)text.p, text.n, &map));
    TRY(yaml_check_map(cx, map, "a profile", keys, COUNT(keys)));
    TRY(read_text(cx, map, "home", true, &p.home));
    TRY(read_hex(cx, map, "node", p.node));
    TRY(read_hex(cx, map, "noise", p.noise));
    TRY(read_hex(cx, map, "genesis", p.genesis));
    TRY(read_text(cx, map, "permit", false, &p.permit));
    TRY(read_text(cx, map, "passphrase_file", false, &p.passphrase_file));
    TRY(read_text(cx, map, "lab", false, &p.lab));
    *ret = p;
    return FAULT_NONE;
}

static void put_text(struct buffer *b, const char *key, const char *text)
{
    if (text == NULL)
        return;
    buffer_printf(b, "%s: ", key);
    yaml_put_text(b, text);
    buffer_text(b, "\n");
}

enum fault profile_write(struct cx *cx, const struct profile *p)
{
    struct buffer b = buffer_new(cx, PROFILE_BYTES_MAX);
    const char *path = cx_printf(cx, "%s/profile.yaml", p->folder);

    TRY(folder_make(cx, p->folder));
    put_text(&b, "home", p->home);
    put_text(&b, "node", bytes_hex(cx, p->node, sizeof p->node));
    put_text(&b, "noise", bytes_hex(cx, p->noise, sizeof p->noise));
    put_text(&b, "genesis", bytes_hex(cx, p->genesis, sizeof p->genesis));
    put_text(&b, "permit", p->permit);
    put_text(&b, "passphrase_file", p->passphrase_file);
    put_text(&b, "lab", p->lab);
    if (b.fault != FAULT_NONE || path == NULL)
        return FAULT_MEMORY;
    return file_write(cx, "profile", path, bytes_of(b.p, b.n), 0600, FILE_REPLACE);
}

enum fault profile_keys(struct cx *cx, const struct profile *p, const char *passphrase_file,
                        struct keys **ret)
{
    const char *path = cx_printf(cx, "%s/researcher.key", p->folder);

    if (path == NULL)
        return FAULT_MEMORY;
    return key_file_open(cx, path, "researcher",
                         passphrase_file != NULL ? passphrase_file : p->passphrase_file,
                         ret);
}

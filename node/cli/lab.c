/* lab.c - a lab's folder and processes; down, status. */
#include "node/cli/lab.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/cli/render.h"
#include "node/data/yaml.h"
#include "protocol/base/clock.h"
#include "protocol/files.h"

enum { LAB_BYTES_MAX = 256 * 1024, STOP_MS = 10000 };

/* ---- its folder ---- */

enum fault lab_folder(struct cx *cx, const char *name, const char *dir, const char **ret)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (dir != NULL) {
        char cwd[4096];

        /* Nodes and profile keep the path: it must hold from any folder. */
        if (dir[0] == '/')
            *ret = dir;
        else if (getcwd(cwd, sizeof cwd) != NULL)
            *ret = cx_printf(cx, "%s/%s", cwd, dir);
        else
            return cx_fail(cx, FAULT_IO, "the working folder has no name: %s",
                           strerror(errno));
    } else if (state != NULL && state[0] == '/') {
        *ret = cx_printf(cx, "%s/cohortium/labs/%s", state, name);
    } else if (home != NULL && home[0] == '/') {
        *ret = cx_printf(cx, "%s/.local/state/cohortium/labs/%s", home, name);
    } else {
        return cx_fail(cx, FAULT_MISSING,
                       "neither XDG_STATE_HOME nor HOME is set: say where with --dir");
    }
    return *ret == NULL ? FAULT_MEMORY : FAULT_NONE;
}

enum fault lab_write(struct lab *lab)
{
    struct buffer b = buffer_new(lab->cx, LAB_BYTES_MAX);
    const char *path = cx_printf(lab->cx, "%s/lab.yaml", lab->folder);

    buffer_text(&b, "name: ");
    yaml_put_text(&b, lab->name);
    buffer_text(&b, "\nnodes: [");
    for (size_t i = 0; i < lab->n; i++) {
        buffer_text(&b, i > 0 ? ", " : "");
        yaml_put_text(&b, lab->nodes[i].name);
    }
    buffer_text(&b, "]\nendpoints: [");
    for (size_t i = 0; i < lab->n; i++)
        buffer_printf(&b, "%s\"%s\"", i > 0 ? ", " : "", lab->nodes[i].endpoint);
    buffer_text(&b, "]\n");
    if (path == NULL || b.fault != FAULT_NONE)
        return FAULT_MEMORY;
    return file_write(lab->cx, "lab", path, bytes_of(b.p, b.n), 0600, FILE_REPLACE);
}

static enum fault read_nodes(struct lab *lab, const struct yaml_node *map)
{
    struct cx *cx = lab->cx;
    const struct yaml_node *names = yaml_get(map, "nodes");
    const struct yaml_node *endpoints = yaml_get(map, "endpoints");
    const char **name, **endpoint;
    size_t n;

    if (names == NULL || endpoints == NULL || yaml_get(map, "name") == NULL)
        return yaml_fail(cx, map, "expected name, nodes and endpoints");
    TRY(yaml_text(cx, yaml_get(map, "name"), "name", 64, &lab->name));
    TRY(yaml_texts(cx, names, "nodes", LAB_NODES_MAX, 64, false, &name, &lab->n));
    TRY(yaml_texts(cx, endpoints, "endpoints", LAB_NODES_MAX, 256, false, &endpoint, &n));
    if (n != lab->n)
        return yaml_fail(cx, endpoints, "expected one endpoint for each of %zu nodes",
                         lab->n);
    CX_NEW(cx, lab->nodes, n);
    for (size_t i = 0; i < n; i++) {
        if (!name_is_valid(name[i]))
            return yaml_fail(cx, names, "`%s` is no node's name", name[i]);
        lab->nodes[i].name = name[i];
        lab->nodes[i].endpoint = endpoint[i];
        lab->nodes[i].folder = cx_printf(cx, "%s/%s", lab->folder, name[i]);
        if (lab->nodes[i].folder == NULL)
            return FAULT_MEMORY;
    }
    return FAULT_NONE;
}

enum fault lab_open(struct cli *cli, const char *name, const char *dir, struct lab *ret)
{
    struct cx *cx = cli->cx;
    struct lab lab = {.cx = cx, .cli = cli};
    const struct yaml_node *map;
    struct bytes text;

    TRY(lab_folder(cx, name, dir, &lab.folder));
    const char *path = cx_printf(cx, "%s/lab.yaml", lab.folder);
    if (path == NULL)
        return FAULT_MEMORY;
    enum fault fault = file_read(cx, "lab", path, LAB_BYTES_MAX, false, &text);
    if (fault == FAULT_MISSING)
        return cx_fail(cx, FAULT_MISSING, "there is no lab in %s", lab.folder);
    TRY(fault);
    TRY(yaml_open(cx, path, (const char *)text.p, text.n, &map));
    TRY(read_nodes(&lab, map));
    *ret = lab;
    return FAULT_NONE;
}

/* ---- processes ---- */

static bool is_daemon(struct cx *cx, int pid)
{
    const char *path = cx_printf(cx, "/proc/%d/comm", pid);
    char name[32] = "";
    FILE *f = path != NULL ? fopen(path, "re") : NULL;

    if (f == NULL)
        return false;
    bool read = fgets(name, sizeof name, f) != NULL;
    (void)fclose(f);
    return read && strcmp(name, "cohortiumd\n") == 0;
}

int node_process(struct cx *cx, const struct lab_node *node, int *ret_pid)
{
    const char *path = cx_printf(cx, "%s/run/pid", node->folder);
    FILE *f = path != NULL ? fopen(path, "re") : NULL;
    int pid = 0;

    if (f == NULL)
        return -1;
    bool read = fscanf(f, "%d", &pid) == 1;
    (void)fclose(f);
    if (!read || pid <= 1)
        return -1;
    /* The descriptor first: after it the number cannot come to mean another process. */
    int fd = pidfd_open(pid, 0);
    if (fd >= 0 && !is_daemon(cx, pid)) {
        (void)close(fd);
        return -1;
    }
    *ret_pid = pid;
    return fd;
}

static bool has_ended(int fd, int64_t until)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t left;

    for (;;) {
        left = until - clock_mono_ms();
        int n = poll(&p, 1, left > 0 ? (int)left : 0);

        if (n > 0)
            return true;
        if (n == 0 || errno != EINTR)
            return false;
    }
}

size_t lab_stop(struct lab *lab)
{
    int fds[LAB_NODES_MAX], pid;
    size_t n = 0;

    for (size_t i = 0; i < lab->n && i < LAB_NODES_MAX; i++) {
        int fd = node_process(lab->cx, &lab->nodes[i], &pid);

        if (fd < 0)
            continue;
        (void)pidfd_send_signal(fd, SIGTERM, NULL, 0);
        fds[n++] = fd;
    }
    int64_t until = clock_mono_ms() + STOP_MS;
    for (size_t i = 0; i < n; i++) {
        if (!has_ended(fds[i], until)) {
            (void)pidfd_send_signal(fds[i], SIGKILL, NULL, 0);
            (void)has_ended(fds[i], clock_mono_ms() + STOP_MS);
        }
        (void)close(fds[i]);
    }
    return n;
}

/* ---- commands ---- */

/* The name given, else the only lab that has a profile. */
static enum fault choose_name(struct cli *cli, const struct args *args, const char **ret)
{
    const char **names, *found = NULL;
    size_t n, labs = 0;

    *ret = args->n_words > 0 ? args->words[0] : NULL;
    if (*ret != NULL && strncmp(*ret, "lab-", 4) == 0)
        *ret += 4;
    if (*ret != NULL || args_has(args, "--dir"))
        return FAULT_NONE;
    TRY(profiles_list(cli->cx, &names, &n));
    for (size_t i = 0; i < n; i++)
        if (strncmp(names[i], "lab-", 4) == 0) {
            found = names[i] + 4;
            labs++;
        }
    if (labs == 0)
        return cx_fail(cli->cx, FAULT_MISSING,
                       "there is no lab; `cohortium lab up` makes one");
    if (labs > 1)
        return usage_fail(cli->cx, args,
                          "there are %zu labs: which one? (`cohortium profile "
                          "list` shows them as lab-NAME)",
                          labs);
    *ret = found;
    return FAULT_NONE;
}

/* By name, --dir, or the folder that the lab's profile remembers. */
static enum fault find_lab(struct cli *cli, const struct args *args, struct lab *ret)
{
    const char *name, *dir = args_get(args, "--dir");
    struct profile p;

    TRY(args_words(cli->cx, args, 0, 1));
    TRY(choose_name(cli, args, &name));
    if (dir == NULL) {
        const char *profile = cx_printf(cli->cx, "lab-%s", name);

        if (profile == NULL)
            return FAULT_MEMORY;
        if (profile_open(cli->cx, profile, &p) == FAULT_NONE)
            dir = p.lab;
    }
    return lab_open(cli, name, dir, ret);
}

enum fault run_lab_down(struct cli *cli, const struct args *args)
{
    const char *folder, *profile;
    struct lab lab;
    struct stat st;

    TRY(find_lab(cli, args, &lab));
    size_t n = lab_stop(&lab);
    (void)fprintf(cli->out, "lab %s: %zu of %zu nodes ran and are stopped\n", lab.name, n,
                  lab.n);
    profile = cx_printf(cli->cx, "lab-%s", lab.name);
    if (profile == NULL)
        return FAULT_MEMORY;
    TRY(profile_folder(cli->cx, profile, &folder));
    if (stat(folder, &st) == 0)
        TRY(folder_remove(cli->cx, folder));
    if (args_has(args, "--delete"))
        TRY(folder_remove(cli->cx, lab.folder));
    else
        (void)fprintf(cli->out, "its folder stays: %s\n", lab.folder);
    return FAULT_NONE;
}

enum fault run_lab_status(struct cli *cli, const struct args *args)
{
    static const char *const head[] = {"node", "process", "address", "folder"};
    struct buffer out = buffer_new(cli->cx, 1 << 20);
    const char **cells;
    struct lab lab;
    size_t up = 0, n_cells;

    TRY(find_lab(cli, args, &lab));
    n_cells = lab.n * COUNT(head);
    CX_NEW(cli->cx, cells, n_cells);
    for (size_t i = 0; i < lab.n; i++) {
        const char **cell = cells + i * COUNT(head);
        int pid, fd = node_process(cli->cx, &lab.nodes[i], &pid);

        cell[0] = lab.nodes[i].name;
        cell[1] = fd >= 0 ? cx_printf(cli->cx, "%d", pid) : "down";
        cell[2] = lab.nodes[i].endpoint;
        cell[3] = lab.nodes[i].folder;
        if (cell[1] == NULL)
            return FAULT_MEMORY;
        if (fd >= 0) {
            up++;
            (void)close(fd);
        }
    }
    struct grid grid = {COUNT(head), lab.n, head, cells, NULL};
    put_grid(&out, &grid, "");
    TRY(out.fault);
    (void)fwrite(out.p, 1, out.n, cli->out);
    if (up < lab.n)
        return cx_fail(cli->cx, FAULT_UNAVAILABLE, "lab %s: down: %zu of %zu nodes",
                       lab.name, lab.n - up, lab.n);
    return FAULT_NONE;
}

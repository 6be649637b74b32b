/*
 * doctor.c - everything between a node and its answers, each problem with its remedy: here
 * what shows from outside the node (files, ports, ways to the members), then what the vault
 * and net know themselves.
 *
 * Exit status 1 where there is a problem; NOTE is none yet.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/admin/command.h"
#include "node/folder.h"
#include "node/sandbox.h"
#include "protocol/probe.h"

enum { PROBE_MS = 3000, OWN_MS = 2000 };

enum finding { WELL, NOTE, PROBLEM };

static void put(struct invocation *in, enum finding finding, const char *what,
                const char *remedy)
{
    static const char *const words[] = {"ok", "NOTE", "PROBLEM"};

    (void)printf("%-8s %s\n", words[finding], what != NULL ? what : "");
    if (finding != WELL && remedy != NULL && remedy[0] != '\0')
        (void)printf("         -> %s\n", remedy);
    if (finding == PROBLEM)
        in->status = 1;
}

/* ---- files ---- */

struct place {
    const char *name; /* below the node's folder */
    mode_t most;      /* rights that it may have */
    bool needed;
};

/* Nobody else may read keys and database, or change anything. */
static const struct place places[] = {
    {"", 0700, true},
    {"keys", 0700, true},
    {"keys/signing.key", 0600, true},
    {"keys/noise.key", 0600, true},
    {"keys/patient.key", 0600, true},
    {"vault.db", 0600, false},
    {"vault.db-wal", 0600, false},
    {"vault.db-shm", 0600, false},
    {"data", 0700, true},
    {"run", 0700, true},
    {"manifest", 0755, true},
    {"node.yaml", 0644, true},
};

static bool check_place(struct invocation *in, const struct place *p)
{
    const char *path =
        p->name[0] != '\0' ? cx_printf(in->cx, "%s/%s", in->folder, p->name) : in->folder;
    struct stat st;

    if (path == NULL)
        return false;
    if (stat(path, &st) != 0) {
        if (errno == ENOENT && !p->needed)
            return true;
        put(in, PROBLEM, cx_printf(in->cx, "%s is there", path),
            cx_printf(in->cx, "%s; restore it from a backup: `cohortiumd restore --help`",
                      strerror(errno)));
        return false;
    }
    if ((st.st_mode & 07777 & ~p->most) != 0) {
        put(in, PROBLEM, cx_printf(in->cx, "%s is nobody else's", path),
            cx_printf(in->cx, "its rights are %04o: chmod %04o %s", st.st_mode & 07777,
                      st.st_mode & p->most, path));
        return false;
    }
    if (st.st_uid != geteuid() && geteuid() != 0) {
        put(in, PROBLEM, cx_printf(in->cx, "%s belongs to this user", path),
            cx_printf(in->cx, "run this as the user who runs the node, or chown %u %s",
                      (unsigned)geteuid(), path));
        return false;
    }
    return true;
}

static void check_files(struct invocation *in)
{
    bool all = true;

    for (size_t i = 0; i < COUNT(places); i++)
        all = check_place(in, &places[i]) && all;
    if (all)
        put(in, WELL, "folder, keys and database are this user's alone", "");
}

/* ---- ports ---- */

static void check_port(struct invocation *in, const char *listen)
{
    if (listen[0] == '\0') {
        put(in, WELL, "this node listens nowhere and dials the others", "");
        return;
    }
    enum fault fault = probe_one(in->cx, listen, OWN_MS);
    put(in, fault == FAULT_NONE ? WELL : PROBLEM,
        cx_printf(in->cx, "something accepts at %s, where this node listens", listen),
        cx_printf(in->cx,
                  "%s; is the node running? else see its last lines, and `listen` in "
                  "%s/node.yaml",
                  cx_message(in->cx), in->folder));
}

/* This node among the members, by its name. */
static const Cohortium__Member *find_self(struct invocation *in, const struct manifest *m,
                                          const char *name)
{
    const Cohortium__Member *self = manifest_find_name(m, name);

    if (self == NULL)
        put(in, PROBLEM, cx_printf(in->cx, "%s is a member of the consortium", name),
            "the manifest names no such member: hand its card to the consortium, or "
            "correct "
            "`name` in node.yaml");
    return self;
}

static void tell_own(struct invocation *in, const struct probe *p)
{
    put(in, p->why == NULL ? WELL : NOTE,
        cx_printf(in->cx,
                  "%s, the address that the manifest gives for this node, %s from "
                  "here",
                  p->endpoint, p->why == NULL ? "accepts" : "cannot be reached"),
        cx_printf(in->cx,
                  "%s; where no member can reach it either, they see this node as down "
                  "unless it dials them: open the firewall, or have the manifest changed",
                  p->why != NULL ? p->why : ""));
}

static void tell_member(struct invocation *in, const Cohortium__Member *m,
                        const struct probe *p)
{
    put(in, p->why == NULL ? WELL : NOTE,
        cx_printf(in->cx, "%s %s from here at %s", m->name,
                  p->why == NULL ? "can be reached" : "cannot be reached", p->endpoint),
        cx_printf(
            in->cx,
            "%s; harmless where it dials this node (see below); else ask its operator "
            "whether it runs, and who keeps the firewalls on the way",
            p->why != NULL ? p->why : ""));
}

/* From this machine to every member's addresses. */
static enum fault check_ways(struct invocation *in, const struct manifest *m,
                             const char *name)
{
    const Cohortium__Manifest *body = m->body;
    const Cohortium__Member *self = find_self(in, m, name), **whose;
    struct probe *probes;
    size_t n = 0, most = 0;

    for (size_t i = 0; i < body->n_members; i++)
        most += body->members[i]->n_endpoints;
    CX_NEW(in->cx, probes, most);
    CX_NEW(in->cx, whose, most);
    for (size_t i = 0; i < body->n_members; i++)
        for (size_t k = 0; k < body->members[i]->n_endpoints; k++)
            if (!body->members[i]->outbound_only) {
                probes[n] = (struct probe){.endpoint = body->members[i]->endpoints[k]};
                whose[n++] = body->members[i];
            }
    TRY(probe_all(in->cx, probes, n, PROBE_MS));
    for (size_t i = 0; i < n; i++)
        if (whose[i] == self)
            tell_own(in, &probes[i]);
        else
            tell_member(in, whose[i], &probes[i]);
    return FAULT_NONE;
}

/* ---- all of it ---- */

enum fault admin_doctor(struct invocation *in)
{
    static const char *const version[] = {COHORTIUM_VERSION};
    struct node_settings settings;
    struct manifest *manifest;
    struct admin_reply reply;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(folder_settings(in->cx, in->folder, &settings));
    put(in, WELL,
        cx_printf(in->cx, "%s is a node's folder, its name is %s", in->folder,
                  settings.name),
        "");
    check_files(in);
    put(in, sandbox_has_landlock() ? WELL : PROBLEM, "the kernel has Landlock",
        "a newer kernel confines the node's files too; seccomp holds without it");
    enum fault fault = folder_manifest(in->cx, in->folder, &manifest);
    put(in, fault == FAULT_NONE ? WELL : PROBLEM,
        "the manifest chain verifies from its genesis", cx_message(in->cx));
    check_port(in, settings.listen);
    if (fault == FAULT_NONE)
        TRY(check_ways(in, manifest, settings.name));
    fault = admin_call(in->cx, in->folder, "doctor", version, 1, NULL, 0, &reply);
    put(in, fault == FAULT_NONE ? WELL : PROBLEM, "the node runs and answers",
        cx_message(in->cx));
    if (fault == FAULT_NONE) {
        (void)fputs(reply.text, stdout);
        if (reply.status != 0)
            in->status = 1;
    }
    return FAULT_NONE;
}

/*
 * doctor.c - everything between a node and its answers, each problem with its remedy: here
 * what shows from outside the node (files, ports, ways to the members), then what the vault
 * and net know themselves.
 *
 * Exit status 1 where there is a problem; NOTE is none yet.
 * --json: {"cohortium":1, "well", "checks":[{"check", "state": ok|note|problem, "text",
 * "remedy"}]}
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/admin/command.h"
#include "node/finding.h"
#include "node/folder.h"
#include "node/sandbox.h"
#include "protocol/probe.h"

enum { PROBE_MS = 3000, OWN_MS = 2000, OUTPUT_MAX = 8 * 1024 * 1024 };

struct doctor {
    struct cx *cx;
    const char *folder;
    struct finding_list found;
};

static void put(struct doctor *d, const char *check, enum finding finding, const char *what,
                const char *remedy)
{
    finding_put(&d->found, check, finding, what, remedy);
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

static bool check_place(struct doctor *d, const struct place *p)
{
    const char *path =
        p->name[0] != '\0' ? cx_printf(d->cx, "%s/%s", d->folder, p->name) : d->folder;
    struct stat st;

    if (path == NULL)
        return false;
    if (stat(path, &st) != 0) {
        if (errno == ENOENT && !p->needed)
            return true;
        put(d, "files", FINDING_PROBLEM, cx_printf(d->cx, "%s is there", path),
            cx_printf(d->cx, "%s; restore it from a backup: `cohortiumd restore --help`",
                      strerror(errno)));
        return false;
    }
    if ((st.st_mode & 07777 & ~p->most) != 0) {
        put(d, "files", FINDING_PROBLEM, cx_printf(d->cx, "%s is nobody else's", path),
            cx_printf(d->cx, "its rights are %04o: chmod %04o %s", st.st_mode & 07777,
                      st.st_mode & p->most, path));
        return false;
    }
    if (st.st_uid != geteuid() && geteuid() != 0) {
        put(d, "files", FINDING_PROBLEM, cx_printf(d->cx, "%s belongs to this user", path),
            cx_printf(d->cx, "run this as the user who runs the node, or chown %u %s",
                      (unsigned)geteuid(), path));
        return false;
    }
    return true;
}

static void check_files(struct doctor *d)
{
    bool all = true;

    for (size_t i = 0; i < COUNT(places); i++)
        all = check_place(d, &places[i]) && all;
    if (all)
        put(d, "files", FINDING_WELL, "folder, keys and database are this user's alone",
            "");
}

/* ---- ports ---- */

static void check_port(struct doctor *d, const char *listen)
{
    if (listen[0] == '\0') {
        put(d, "port", FINDING_WELL, "this node listens nowhere and dials the others", "");
        return;
    }
    enum fault fault = probe_one(d->cx, listen, OWN_MS);
    put(d, "port", fault == FAULT_NONE ? FINDING_WELL : FINDING_PROBLEM,
        cx_printf(d->cx, "something accepts at %s, where this node listens", listen),
        cx_printf(d->cx,
                  "%s; is the node running? else see its last lines, and `listen` in "
                  "%s/node.yaml",
                  cx_message(d->cx), d->folder));
}

/* This node among the members, by its name. */
static const Cohortium__Member *find_self(struct doctor *d, const struct manifest *m,
                                          const char *name)
{
    const Cohortium__Member *self = manifest_find_name(m, name);

    if (self == NULL)
        put(d, "member_here", FINDING_PROBLEM,
            cx_printf(d->cx, "%s is a member of the consortium", name),
            "the manifest names no such member: hand its card to the consortium, or "
            "correct "
            "`name` in node.yaml");
    return self;
}

static void tell_own(struct doctor *d, const struct probe *p)
{
    put(d, "own_address", p->why == NULL ? FINDING_WELL : FINDING_NOTE,
        cx_printf(d->cx,
                  "%s, the address that the manifest gives for this node, %s from "
                  "here",
                  p->endpoint, p->why == NULL ? "accepts" : "cannot be reached"),
        cx_printf(d->cx,
                  "%s; where no member can reach it either, they see this node as down "
                  "unless it dials them: open the firewall, or have the manifest changed",
                  p->why != NULL ? p->why : ""));
}

static void tell_member(struct doctor *d, const Cohortium__Member *m, const struct probe *p)
{
    put(d, "way", p->why == NULL ? FINDING_WELL : FINDING_NOTE,
        cx_printf(d->cx, "%s %s from here at %s", m->name,
                  p->why == NULL ? "can be reached" : "cannot be reached", p->endpoint),
        cx_printf(
            d->cx,
            "%s; harmless where it dials this node (see below); else ask its operator "
            "whether it runs, and who keeps the firewalls on the way",
            p->why != NULL ? p->why : ""));
}

/* From this machine to every member's addresses. */
static enum fault check_ways(struct doctor *d, const struct manifest *m, const char *name)
{
    const Cohortium__Manifest *body = m->body;
    const Cohortium__Member *self = find_self(d, m, name), **whose;
    struct probe *probes;
    size_t n = 0, most = 0;

    for (size_t i = 0; i < body->n_members; i++)
        most += body->members[i]->n_endpoints;
    CX_NEW(d->cx, probes, most);
    CX_NEW(d->cx, whose, most);
    for (size_t i = 0; i < body->n_members; i++)
        for (size_t k = 0; k < body->members[i]->n_endpoints; k++)
            if (!body->members[i]->outbound_only) {
                probes[n] = (struct probe){.endpoint = body->members[i]->endpoints[k]};
                whose[n++] = body->members[i];
            }
    TRY(probe_all(d->cx, probes, n, PROBE_MS));
    for (size_t i = 0; i < n; i++)
        if (whose[i] == self)
            tell_own(d, &probes[i]);
        else
            tell_member(d, whose[i], &probes[i]);
    return FAULT_NONE;
}

/* ---- all of it ---- */

static enum fault check_all(struct invocation *in, struct doctor *d)
{
    static const char *const version[] = {COHORTIUM_VERSION};
    struct node_settings settings;
    struct manifest *manifest;
    struct admin_reply reply;

    TRY(folder_settings(in->cx, in->folder, &settings));
    put(d, "folder", FINDING_WELL,
        cx_printf(in->cx, "%s is a node's folder, its name is %s", in->folder,
                  settings.name),
        "");
    check_files(d);
    put(d, "landlock", sandbox_has_landlock() ? FINDING_WELL : FINDING_PROBLEM,
        "the kernel has Landlock",
        "a newer kernel confines the node's files too; seccomp holds without it");
    enum fault fault = folder_manifest(in->cx, in->folder, &manifest);
    put(d, "manifest", fault == FAULT_NONE ? FINDING_WELL : FINDING_PROBLEM,
        "the manifest chain verifies from its genesis", cx_message(in->cx));
    check_port(d, settings.listen);
    if (fault == FAULT_NONE)
        TRY(check_ways(d, manifest, settings.name));
    fault = admin_call(in->cx, in->folder, "doctor", version, 1, NULL, 0, &reply);
    put(d, "node", fault == FAULT_NONE ? FINDING_WELL : FINDING_PROBLEM,
        "the node runs and answers", cx_message(in->cx));
    if (fault != FAULT_NONE)
        return FAULT_NONE;
    buffer_text(&d->found.text, reply.text);
    if (reply.json[0] != '\0')
        buffer_printf(&d->found.json, ",%s", reply.json);
    d->found.problems += reply.status != 0;
    return d->found.text.fault != FAULT_NONE ? d->found.text.fault : d->found.json.fault;
}

enum fault admin_doctor(struct invocation *in)
{
    struct doctor d = {in->cx, in->folder, finding_list_new(in->cx, OUTPUT_MAX)};
    bool json = has_option(in, "json");

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(check_all(in, &d));
    const char *out = buffer_string(json ? &d.found.json : &d.found.text);
    if (out == NULL)
        return FAULT_MEMORY;
    if (json)
        (void)printf("{\"cohortium\":1,\"well\":%s,\"checks\":[%s]}\n",
                     d.found.problems == 0 ? "true" : "false", out);
    else
        (void)fputs(out, stdout);
    in->status = d.found.problems > 0;
    return FAULT_NONE;
}

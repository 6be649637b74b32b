/* lab_up.c - the order in which a consortium comes up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/cli/lab.h"
#include "node/data/codebook_yaml.h"
#include "protocol/base/clock.h"
#include "protocol/files.h"

enum { YAML_FILE_MAX = 1024 * 1024, PORT_MAX = 65535, START_AT_ONCE = 32 };

struct raising { /* what only `lab up` needs to know */
    struct lab lab;
    const struct args *args;
    const char *codebook, *policy; /* files; policy may be a word of cohortiumd's */
    const char *dataset, *permit;  /* permit: its file */
    const char *profile_name, *profile_folder;
    uint8_t genesis[32];
    const char *genesis_hex;
    struct step *steps;
    size_t n_steps, at_once;
    bool begun; /* something must be taken down after a failure */
};

/* ---- steps ---- */

static const char *paper(struct raising *r, const char *name, const char *suffix)
{
    const char *path = cx_printf(r->lab.cx, "%s/papers/%s%s", r->lab.folder, name, suffix);

    return path == NULL ? "" : path;
}

/* One run of cohortiumd, for run_steps; words end with NULL. */
static void add_step(struct raising *r, const char *const *words)
{
    struct step *s = &r->steps[r->n_steps++];
    size_t n = 1;

    s->argv[0] = r->lab.daemon;
    for (; words[n - 1] != NULL && n + 1 < COUNT(s->argv); n++)
        s->argv[n] = words[n - 1];
    s->argv[n] = NULL;
}
#define STEP(raising, ...) add_step((raising), (const char *const[]){__VA_ARGS__, NULL})

static enum fault run_steps(struct raising *r, size_t at_once)
{
    size_t n = r->n_steps;

    r->n_steps = 0;
    return steps_run(r->lab.cx, r->steps, n, at_once);
}

/* ---- what was asked for ---- */

static const char *absolute(struct cx *cx, const char *path)
{
    char *real = realpath(path, NULL);
    const char *copy = real != NULL ? cx_strdup(cx, real) : NULL;

    free(real);
    return copy;
}

static enum fault open_codebook(struct raising *r)
{
    struct cx *cx = r->lab.cx;
    const char *path = args_get(r->args, "--codebook");
    Cohortium__Codebook *body;
    struct bytes text;

    if (path == NULL)
        return usage_fail(cx, r->args, "--codebook is missing; usage: cohortium lab up %s",
                          r->args->command->usage);
    TRY(file_read(cx, "codebook", path, YAML_FILE_MAX, false, &text));
    TRY(codebook_from_yaml(cx, path, (const char *)text.p, text.n, &body));
    r->dataset = body->name;
    r->codebook = absolute(cx, path);
    return r->codebook == NULL ? cx_fail(cx, FAULT_IO, "%s: %s", path, strerror(errno))
                               : FAULT_NONE;
}

static enum fault name_nodes(struct raising *r)
{
    struct cx *cx = r->lab.cx;
    struct lab *lab = &r->lab;

    for (size_t i = 0; i < lab->n; i++) {
        struct lab_node *node = &lab->nodes[i];

        node->name = i < 26 ? cx_printf(cx, "hospital_%c", (char)('a' + i))
                            : cx_printf(cx, "site%zu", i + 1);
        if (node->name == NULL)
            return FAULT_MEMORY;
        node->folder = cx_printf(cx, "%s/%s", lab->folder, node->name);
        node->officer = cx_printf(cx, "%s/keys/%s.key", lab->folder, node->name);
        node->data = absolute(cx, r->args->words[i]);
        if (node->data == NULL)
            return cx_fail(cx, FAULT_MISSING, "site file %s: %s", r->args->words[i],
                           strerror(errno));
        if (node->folder == NULL || node->officer == NULL)
            return FAULT_MEMORY;
    }
    return FAULT_NONE;
}

static enum fault choose_ports(struct raising *r)
{
    struct cx *cx = r->lab.cx;
    unsigned ports[LAB_NODES_MAX];
    double base;

    TRY(args_number(cx, r->args, "--base-port", 1024, PORT_MAX - (double)r->lab.n, 0,
                    &base));
    TRY(find_ports(cx, (unsigned)base, r->lab.n, ports));
    for (size_t i = 0; i < r->lab.n; i++) {
        r->lab.nodes[i].endpoint = cx_printf(cx, "tcp://127.0.0.1:%u", ports[i]);
        if (r->lab.nodes[i].endpoint == NULL)
            return FAULT_MEMORY;
    }
    return FAULT_NONE;
}

/* A lab that runs is not touched; one that does not is made anew. */
static enum fault clear_place(struct raising *r)
{
    struct cx *cx = r->lab.cx;
    struct lab old;
    struct stat st;
    int pid;

    if (stat(r->lab.folder, &st) == 0) {
        if (lab_open(r->lab.cli, r->lab.name, r->lab.folder, &old) != FAULT_NONE) {
            /* An empty folder (mkdtemp's) is welcome. */
            if (rmdir(r->lab.folder) != 0)
                return cx_fail(
                    cx, FAULT_CONFLICT,
                    "%s exists and is not a lab's folder: choose another with --dir",
                    r->lab.folder);
        } else {
            for (size_t i = 0; i < old.n; i++) {
                int fd = node_process(cx, &old.nodes[i], &pid);

                if (fd < 0)
                    continue;
                (void)close(fd);
                return cx_fail(
                    cx, FAULT_CONFLICT,
                    "the lab %s runs already: `cohortium lab down %s` ends it, --name "
                    "makes another one",
                    old.name, old.name);
            }
            TRY(folder_remove(cx, r->lab.folder));
        }
    }
    if (stat(r->profile_folder, &st) == 0)
        TRY(folder_remove(cx, r->profile_folder));
    return FAULT_NONE;
}

static enum fault prepare(struct raising *r)
{
    struct cx *cx = r->lab.cx;
    const char *name = args_get(r->args, "--name");

    TRY(args_words(cx, r->args, 1, LAB_NODES_MAX));
    TRY(open_codebook(r));
    r->lab.name = name != NULL ? name : r->dataset;
    if (!name_is_valid(r->lab.name))
        return usage_fail(cx, r->args,
                          "--name: `%.64s`; expected small letters, digits and _",
                          r->lab.name);
    TRY(find_daemon(cx, &r->lab.daemon));
    TRY(lab_folder(cx, r->lab.name, args_get(r->args, "--dir"), &r->lab.folder));
    r->profile_name = cx_printf(cx, "lab-%s", r->lab.name);
    if (r->profile_name == NULL)
        return FAULT_MEMORY;
    TRY(profile_folder(cx, r->profile_name, &r->profile_folder));
    r->lab.n = r->args->n_words;
    CX_NEW(cx, r->lab.nodes, r->lab.n);
    size_t most_steps = 2 * r->lab.n + 2;
    CX_NEW(cx, r->steps, most_steps);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    r->at_once = processors > 1 ? 2 * (size_t)processors : 2;
    TRY(name_nodes(r));
    TRY(clear_place(r));
    return choose_ports(r);
}

/* ---- coming up ---- */

/* The built-in policies are cohortiumd's; a cautious one that allows answers by site is
 * ours. */
static enum fault choose_policy(struct raising *r)
{
    static const char by_site[] = "class: cautious\nby_site: yes\nreason: a lab\n";
    struct cx *cx = r->lab.cx;
    const char *wanted = args_get(r->args, "--policy");

    r->policy = wanted != NULL ? wanted : "cautious";
    if (strcmp(r->policy, "exact-for-testing") == 0)
        return FAULT_NONE;
    if (strcmp(r->policy, "cautious") == 0) {
        if (!args_has(r->args, "--permit-by-site"))
            return FAULT_NONE;
        r->policy = paper(r, "policy", ".yaml");
        return file_write(cx, "policy", r->policy, bytes_of(by_site, sizeof by_site - 1),
                          0644, FILE_NEW);
    }
    r->policy = absolute(cx, wanted);
    return r->policy == NULL
               ? cx_fail(cx, FAULT_MISSING,
                         "--policy %s: %s; expected a file, cautious or exact-for-testing",
                         wanted, strerror(errno))
               : FAULT_NONE;
}

static enum fault make_folders(struct raising *r)
{
    struct cx *cx = r->lab.cx;
    const char *keys = cx_printf(cx, "%s/keys", r->lab.folder);
    const char *papers = cx_printf(cx, "%s/papers", r->lab.folder);

    if (keys == NULL || papers == NULL)
        return FAULT_MEMORY;
    TRY(folder_make(cx, keys));
    TRY(folder_make(cx, papers));
    r->begun = true;
    return lab_write(&r->lab);
}

static enum fault init_nodes(struct raising *r)
{
    for (size_t i = 0; i < r->lab.n; i++) {
        const struct lab_node *node = &r->lab.nodes[i];

        STEP(r, "init", "--name", node->name, "--listen", node->endpoint, "--lab",
             node->folder);
    }
    TRY(run_steps(r, r->at_once));
    TRY(lab_manifest(&r->lab, r->genesis));
    r->genesis_hex = bytes_hex(r->lab.cx, r->genesis, sizeof r->genesis);
    return r->genesis_hex == NULL ? FAULT_MEMORY : FAULT_NONE;
}

static enum fault start_nodes(struct raising *r)
{
    const char *manifest = paper(r, "manifest", "");

    for (size_t i = 0; i < r->lab.n; i++)
        STEP(r, "consortium", "adopt", "--dir", r->lab.nodes[i].folder, "--genesis",
             r->genesis_hex, manifest);
    TRY(run_steps(r, r->at_once));
    /* A start is mostly waiting: more of them at once than processors. */
    for (size_t i = 0; i < r->lab.n; i++)
        STEP(r, "serve", "--dir", r->lab.nodes[i].folder, "--background");
    return run_steps(r, START_AT_ONCE);
}

/* Policy, codebook: signed by each site's own officer. */
static enum fault sign_rules(struct raising *r)
{
    for (size_t i = 0; i < r->lab.n; i++) {
        const struct lab_node *node = &r->lab.nodes[i];

        STEP(r, "policy", "sign", "--dir", node->folder, "--key", node->officer, r->policy,
             "--reason", "a lab's policy", "-o", paper(r, node->name, ".policy"));
        STEP(r, "codebook", "sign", "--dir", node->folder, "--key", node->officer,
             r->codebook, "-o", paper(r, node->name, ".codebook"));
    }
    return run_steps(r, r->at_once);
}

static enum fault apply_rules(struct raising *r)
{
    for (size_t i = 0; i < r->lab.n; i++) {
        const struct lab_node *node = &r->lab.nodes[i];

        STEP(r, "policy", "apply", "--dir", node->folder, paper(r, node->name, ".policy"));
        STEP(r, "codebook", "add", "--dir", node->folder,
             paper(r, node->name, ".codebook"));
    }
    TRY(run_steps(r, r->at_once));
    for (size_t i = 0; i < r->lab.n; i++)
        STEP(r, "data", "import", "--dir", r->lab.nodes[i].folder, r->dataset,
             r->lab.nodes[i].data);
    return run_steps(r, r->at_once);
}

static enum fault let_ask(struct raising *r)
{
    const char *card = paper(r, "researcher", ".card"), *title;
    const char *credential = cx_printf(r->lab.cx, "%s/credential", r->profile_folder);

    r->permit = paper(r, "permit", "");
    title = cx_printf(r->lab.cx, "lab %s", r->lab.name);
    if (credential == NULL || title == NULL)
        return FAULT_MEMORY;
    TRY(lab_researcher(&r->lab, r->profile_folder));
    STEP(r, "researcher", "issue", "--dir", r->lab.nodes[0].folder, card, "-o", credential);
    const char *words[] = {"permit",
                           "new",
                           "--title",
                           title,
                           "--purpose",
                           "to try the software on this machine",
                           "--dataset",
                           r->dataset,
                           "--researcher",
                           card,
                           "--member",
                           "all",
                           "--days",
                           "365",
                           "--manifest",
                           paper(r, "manifest", ""),
                           "-o",
                           r->permit,
                           args_has(r->args, "--permit-by-site") ? "--by-site" : NULL,
                           NULL};
    add_step(r, words);
    TRY(run_steps(r, r->at_once));
    /* One after the other: each adds its signature to the same file. */
    for (size_t i = 0; i < r->lab.n; i++)
        STEP(r, "permit", "sign", "--key", r->lab.nodes[i].officer, r->permit);
    TRY(run_steps(r, 1));
    for (size_t i = 0; i < r->lab.n; i++)
        STEP(r, "permit", "add", "--dir", r->lab.nodes[i].folder, r->permit);
    return run_steps(r, r->at_once);
}

static enum fault write_profile(struct raising *r)
{
    uint8_t signing[KEY_BYTES];
    struct profile p = {.name = r->profile_name,
                        .folder = r->profile_folder,
                        .home = r->lab.nodes[0].endpoint,
                        .lab = r->lab.folder};

    TRY(node_keys(r->lab.cx, &r->lab.nodes[0], signing, p.noise));
    digest_of(bytes_of(signing, sizeof signing), p.node);
    memcpy(p.genesis, r->genesis, sizeof p.genesis);
    return profile_write(r->lab.cx, &p);
}

static enum fault raise_all(struct raising *r)
{
    TRY(prepare(r));
    TRY(make_folders(r));
    TRY(choose_policy(r));
    TRY(lab_keys(&r->lab));
    TRY(init_nodes(r));
    TRY(start_nodes(r)); /* a policy's number follows from what is in force at its node */
    TRY(sign_rules(r));
    TRY(apply_rules(r));
    TRY(let_ask(r));
    return write_profile(r);
}

/* ---- the command ---- */

static void tell(struct raising *r, double seconds)
{
    FILE *out = r->lab.cli->out;
    const char *policy = args_get(r->args, "--policy");

    (void)fprintf(out, "lab %s: %zu nodes run, in %.1f s (policy: %s)\n  %s\n\n",
                  r->lab.name, r->lab.n, seconds, policy != NULL ? policy : "cautious",
                  r->lab.folder);
    (void)fprintf(out,
                  "ask it:   cohortium count %s --profile %s%s\n"
                  "look:     cohortium codebook %s --profile %s\n"
                  "          cohortium sites --profile %s\n"
                  "operate:  cohortiumd status --dir %s\n"
                  "end it:   cohortium lab down %s --delete\n",
                  r->dataset, r->profile_name, r->lab.n < 3 ? " --by-site" : "", r->dataset,
                  r->profile_name, r->profile_name, r->lab.nodes[0].folder, r->lab.name);
    if (r->lab.n < 3)
        (void)fprintf(
            r->lab.cli->err,
            "cohortium: hint: masks need three sites; %s answers by site only%s\n",
            r->lab.n == 1 ? "one site" : "a lab of two",
            args_has(r->args, "--permit-by-site") ? ""
                                                  : ", and that needs --permit-by-site");
}

/* What runs is stopped; the folder stays to be looked at, and the next `lab up` replaces
 * it. */
static enum fault take_down(struct raising *r, enum fault fault)
{
    const char *why = cx_strdup(r->lab.cx, cx_message(r->lab.cx));
    struct stat st;

    if (!r->begun)
        return fault;
    (void)lab_stop(&r->lab);
    if (stat(r->profile_folder, &st) == 0)
        (void)!folder_remove(r->lab.cx, r->profile_folder);
    return cx_fail(r->lab.cx, fault,
                   "%s\n(what was started is stopped; its files are in %s)",
                   why == NULL ? "" : why, r->lab.folder);
}

enum fault run_lab_up(struct cli *cli, const struct args *args)
{
    struct raising r = {.lab = {.cx = cli->cx, .cli = cli}, .args = args};
    int64_t begin = clock_mono_ms();
    enum fault fault = raise_all(&r);

    if (fault != FAULT_NONE)
        return take_down(&r, fault);
    tell(&r, (double)(clock_mono_ms() - begin) / 1000.0);
    return FAULT_NONE;
}

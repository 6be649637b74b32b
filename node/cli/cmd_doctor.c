/*
 * cmd_doctor.c - doctor: everything between a researcher and an answer, one by one, each
 * problem with its remedy. It goes on as far as what failed lets it.
 *
 * Exit status 1 where there is a problem; what is only to be known (NOTE) is none.
 * --json: {"cohortium":1, "well", "checks":[{"check", "state": ok|note|problem, "text",
 * "remedy"}]}
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "node/cli/look.h"
#include "node/cli/render.h"
#include "protocol/base/clock.h"
#include "protocol/files.h"
#include "protocol/papers.h"
#include "protocol/probe.h"

enum {
    CREDENTIAL_MAX = 64 * 1024,
    ROOM_MB = 50,
    PORT_MS = 5000,
    CLOCK_NOTE_MS = 20 * 1000,
    DAY_MS = 24 * 3600 * 1000,
    CREDENTIAL_SOON = 5, /* days */
    PAPER_SOON = 14
};

enum finding { WELL, NOTE, PROBLEM };

struct doctor {
    struct cx *cx;
    struct cli *cli;
    const struct args *args;
    struct home home;
    struct buffer out; /* lines, or members of a JSON list */
    bool json;
    size_t n, problems;
};

/* what: a claim that holds, is to be known, or does not hold. remedy: "" where it holds. */
static void put(struct doctor *d, const char *check, enum finding state, const char *what,
                const char *remedy)
{
    static const char *const words[] = {"ok", "NOTE", "PROBLEM"};
    static const char *const json[] = {"ok", "note", "problem"};

    d->problems += state == PROBLEM;
    if (d->json) {
        buffer_text(&d->out, d->n++ > 0 ? ",{" : "{");
        look_pair(&d->out, true, "check", check);
        look_pair(&d->out, false, "state", json[state]);
        look_pair(&d->out, false, "text", what);
        look_pair(&d->out, false, "remedy", state != WELL ? remedy : "");
        buffer_text(&d->out, "}");
        return;
    }
    buffer_printf(&d->out, "%-8s %s\n", words[state], what != NULL ? what : "");
    if (state != WELL && remedy != NULL && remedy[0] != '\0')
        buffer_printf(&d->out, "         -> %s\n", remedy);
}

/* A claim, and the fault's own words as the remedy. */
static bool holds(struct doctor *d, const char *check, enum fault fault, const char *claim)
{
    put(d, check, fault == FAULT_NONE ? WELL : PROBLEM, claim, cx_message(d->cx));
    return fault == FAULT_NONE;
}

static const char *day(struct doctor *d, uint64_t ms)
{
    char text[32];

    clock_format((int64_t)ms, text, sizeof text);
    text[10] = '\0';
    const char *copy = cx_strdup(d->cx, text);
    return copy != NULL ? copy : "";
}

/* ---- here ---- */

static void check_folder(struct doctor *d)
{
    const char *folder = d->home.profile.folder;
    struct stat st;
    struct statvfs disk;

    if (stat(folder, &st) != 0) {
        put(d, "folder", PROBLEM, "the profile's folder is there", strerror(errno));
        return;
    }
    bool own = (st.st_mode & 077) == 0 && st.st_uid == geteuid();
    put(d, "folder", own ? WELL : PROBLEM, "the profile's folder is nobody else's",
        cx_printf(d->cx, "chmod 700 %s, and own it", folder));
    bool writable = access(folder, W_OK | X_OK) == 0;
    bool room = statvfs(folder, &disk) == 0 &&
                (unsigned long long)disk.f_bavail * disk.f_frsize / 1000000 >= ROOM_MB;
    put(d, "disk", writable && room ? WELL : PROBLEM, "there is room for receipts",
        writable ? cx_printf(d->cx, "free some space: less than %d MB are left in %s",
                             ROOM_MB, folder)
                 : cx_printf(d->cx, "%s cannot be written: %s", folder, strerror(errno)));
}

/* The credential's own dates and key: what home's silence may come from. */
static enum fault read_credential(struct doctor *d, const Cohortium__Credential **ret)
{
    struct envelope e;
    Cohortium__Credential *c;
    const char *path = cx_printf(d->cx, "%s/credential", d->home.profile.folder);

    if (path == NULL)
        return FAULT_MEMORY;
    TRY(file_read(d->cx, "credential", path, CREDENTIAL_MAX, false, &d->home.credential));
    TRY(envelope_open(d->cx, ENVELOPE_CREDENTIAL, d->home.credential, &e));
    TRY(pb_unpack(d->cx, &cohortium__credential__descriptor, e.body,
                  envelope_bound(ENVELOPE_CREDENTIAL), &c));
    if (!bytes_equal(PB_BYTES(c->signing_key),
                     bytes_of(keys_signing_public(d->home.keys), KEY_BYTES)))
        return cx_fail(d->cx, FAULT_CONFLICT,
                       "the credential is for another key than researcher.key; hand your "
                       "card to home's operator (`cohortiumd researcher issue`)");
    *ret = c;
    return FAULT_NONE;
}

static void check_credential(struct doctor *d, const Cohortium__Credential *c)
{
    int64_t now = clock_utc_ms(), left = (int64_t)c->not_after - now;
    const char *until = day(d, c->not_after);
    static const char renew[] =
        "ask home's operator for a new one: `cohortiumd researcher issue CARD`";

    if (left < 0)
        put(d, "credential", PROBLEM, cx_printf(d->cx, "the credential ended %s", until),
            renew);
    else if (now + CLOCK_SKEW_MS < (int64_t)c->not_before)
        put(d, "credential", PROBLEM,
            cx_printf(d->cx, "the credential begins %s", day(d, c->not_before)),
            "is this machine's clock right? else wait until then");
    else
        put(d, "credential", left < CREDENTIAL_SOON * (int64_t)DAY_MS ? NOTE : WELL,
            cx_printf(d->cx, "the credential of %s is valid until %s", c->name, until),
            renew);
}

/* ---- the way home ---- */

static const Cohortium__Site *own_site(const struct doctor *d)
{
    for (size_t i = 0; i < d->home.sites->n_sites; i++)
        if (bytes_equal(PB_BYTES(d->home.sites->sites[i]->node_id),
                        bytes_of(d->home.profile.node, DIGEST_BYTES)))
            return d->home.sites->sites[i];
    return NULL;
}

static bool check_link(struct doctor *d)
{
    int64_t asked = clock_utc_ms();
    enum fault fault = home_connect(&d->home);
    int64_t heard = clock_utc_ms();

    if (fault != FAULT_NONE) {
        const char *said = cx_strdup(d->cx, cx_message(d->cx));

        put(d, "link", PROBLEM, "home takes this profile's key and credential",
            cx_printf(d->cx,
                      "%s If all of that is so, compare `node`, `noise` and `genesis` in "
                      "%s/profile.yaml with what home's operator tells you",
                      said != NULL ? said : "", d->home.profile.folder));
        return false;
    }
    put(d, "link", WELL, "home takes this profile's key and credential", "");
    put(d, "genesis", WELL, "the manifest verifies from the profile's genesis digest", "");
    const Cohortium__Site *own = own_site(d);
    if (own == NULL || own->clock == 0) {
        put(d, "clock", NOTE, "home does not tell its time",
            "ask its operator to update it");
        return true;
    }
    int64_t off = clock_off(own->clock, asked, heard), size = off < 0 ? -off : off;
    put(d, "clock",
        size > CLOCK_SKEW_MS   ? PROBLEM
        : size > CLOCK_NOTE_MS ? NOTE
                               : WELL,
        size <= CLOCK_NOTE_MS
            ? "this machine's clock and home's agree"
            : cx_printf(d->cx, "home's clock is %lld s %s this machine's",
                        (long long)((size + 500) / 1000), off < 0 ? "behind" : "ahead of"),
        cx_printf(d->cx,
                  "set the wrong one right (NTP): questions fail where they differ by "
                  "more than %d s",
                  CLOCK_SKEW_MS / 1000));
    return true;
}

/* ---- what home tells ---- */

static void check_manifest(struct doctor *d)
{
    const Cohortium__Manifest *m = d->home.manifest->body;
    int64_t now = clock_utc_ms();
    const char *what = cx_printf(d->cx, "version %llu of the manifest of %s is %s",
                                 (unsigned long long)m->version, m->consortium_name,
                                 now > (int64_t)m->valid_until   ? "no longer valid"
                                 : now > (int64_t)m->fresh_until ? "due for renewal"
                                                                 : "fresh");

    put(d, "manifest",
        now > (int64_t)m->valid_until   ? PROBLEM
        : now > (int64_t)m->fresh_until ? NOTE
                                        : WELL,
        what,
        cx_printf(d->cx, "the consortium's governance signs the next version; it ends %s",
                  day(d, m->valid_until)));
}

static void check_site(struct doctor *d, const Cohortium__Site *s)
{
    bool home =
        bytes_equal(PB_BYTES(s->node_id), bytes_of(d->home.profile.node, DIGEST_BYTES));
    int64_t off = s->clock_off < 0 ? -s->clock_off : s->clock_off;

    if (strcmp(s->state, "down") == 0) {
        put(d, "site", PROBLEM, cx_printf(d->cx, "%s is linked with home", s->name),
            cx_printf(d->cx,
                      "%s; its operator or home's finds why with `cohortiumd doctor`; "
                      "until then ask without it: --sites",
                      s->detail));
        return;
    }
    put(d, "site", s->ready ? WELL : PROBLEM,
        cx_printf(d->cx, "%s%s answers questions", s->name, home ? " (home)" : ""),
        cx_printf(d->cx, "%s", s->why_not));
    if (!home && off > CLOCK_NOTE_MS)
        put(d, "site_clock", off > CLOCK_SKEW_MS ? PROBLEM : NOTE,
            cx_printf(d->cx, "the clock of %s is %lld s %s home's", s->name,
                      (long long)((off + 500) / 1000),
                      s->clock_off < 0 ? "behind" : "ahead of"),
            "one of the two is wrong: their operators see it in `cohortiumd doctor`");
}

static void check_versions(struct doctor *d)
{
    struct buffer other = buffer_new(d->cx, 64 * 1024);

    for (size_t i = 0; i < d->home.sites->n_sites; i++) {
        const Cohortium__Site *s = d->home.sites->sites[i];

        if (s->software[0] != '\0' && strcmp(s->software, COHORTIUM_VERSION) != 0)
            buffer_printf(&other, "%s%s has %s", other.n > 0 ? ", " : "", s->name,
                          s->software);
    }
    const char *list = buffer_string(&other);
    if (list == NULL || list[0] == '\0')
        put(d, "versions", WELL,
            "this program and all sites that answer are " COHORTIUM_VERSION, "");
    else
        put(d, "versions", NOTE,
            cx_printf(d->cx, "this program is " COHORTIUM_VERSION "; %s", list),
            "that may be well; if a question is not understood, update the older");
}

static void check_permits(struct doctor *d)
{
    const Cohortium__SitesReply *r = d->home.sites;
    int64_t now = clock_utc_ms();

    if (r->n_permits == 0)
        put(d, "permit", PROBLEM, "home knows a permit of yours",
            "write one with `cohortium permit draft` and ask the sites' officers to sign it");
    for (size_t i = 0; i < r->n_permits; i++) {
        const Cohortium__PermitCard *p = r->permits[i];
        int64_t left = (int64_t)p->not_after - now;
        uint64_t rest = p->budget > p->charged ? p->budget - p->charged : 0;
        bool spent = p->budget > 0 && rest == 0;
        bool nearly = p->budget > 0 && rest <= p->budget / 10;
        enum finding state = left < 0 || spent                               ? PROBLEM
                             : left < PAPER_SOON * (int64_t)DAY_MS || nearly ? NOTE
                                                                             : WELL;
        const char *budget =
            p->budget > 0
                ? cx_printf(d->cx, ", %llu of %llu questions left",
                            (unsigned long long)rest, (unsigned long long)p->budget)
                : "";

        put(d, "permit", state,
            cx_printf(d->cx, "the permit %s %s %s%s", p->title,
                      left < 0 ? "ended" : "is valid until", day(d, p->not_after),
                      budget != NULL ? budget : ""),
            "ask the sites' officers for a new one in time: `cohortiumd permit new`");
    }
}

/* ---- all of it ---- */

static void check_all(struct doctor *d)
{
    struct home *home = &d->home;
    const Cohortium__Credential *c = NULL;
    enum fault fault = profile_open(d->cx, args_get(d->args, "--profile"), &home->profile);

    if (!holds(d, "profile", fault,
               fault == FAULT_NONE ? cx_printf(d->cx, "the profile is %s, in %s",
                                               home->profile.name, home->profile.folder)
                                   : "there is a profile"))
        return;
    check_folder(d);
    fault = profile_keys(d->cx, &home->profile, args_get(d->args, "--passphrase-file"),
                         &home->keys);
    bool key = holds(d, "key", fault, "the researcher's key opens");
    fault = probe_one(d->cx, home->profile.home, PORT_MS);
    bool port = fault == FAULT_NONE;
    put(d, "port", port ? WELL : PROBLEM,
        cx_printf(d->cx, "something listens at %s", home->profile.home),
        cx_printf(d->cx,
                  "%s; is the node running, is `home` in profile.yaml right, and does a "
                  "firewall let you through?",
                  cx_message(d->cx)));
    if (!key)
        return; /* nothing further can be signed, and home says nothing to strangers */
    fault = read_credential(d, &c);
    if (fault != FAULT_NONE) {
        (void)holds(d, "credential", fault, "there is a credential for this key");
        return;
    }
    check_credential(d, c);
    if (!port || !check_link(d))
        return;
    check_manifest(d);
    for (size_t i = 0; i < home->sites->n_sites; i++)
        check_site(d, home->sites->sites[i]);
    check_versions(d);
    check_permits(d);
}

enum fault run_doctor(struct cli *cli, const struct args *args)
{
    struct doctor d = {.cx = cli->cx,
                       .cli = cli,
                       .args = args,
                       .home = {.cx = cli->cx, .cli = cli},
                       .out = buffer_new(cli->cx, LOOK_OUT_MAX),
                       .json = args_has(args, "--json")};
    struct buffer out = buffer_new(cli->cx, LOOK_OUT_MAX);

    TRY(args_words(cli->cx, args, 0, 0));
    check_all(&d);
    home_close(&d.home);
    const char *lines = buffer_string(&d.out);
    if (lines == NULL)
        return FAULT_MEMORY;
    if (d.json)
        buffer_printf(&out, "{\"cohortium\":1,\"well\":%s,\"checks\":[%s]}\n",
                      d.problems == 0 ? "true" : "false", lines);
    else
        buffer_text(&out, lines);
    TRY(look_print(cli, &out));
    if (d.problems == 0)
        return FAULT_NONE;
    cli->said = true;
    return cx_fail(cli->cx, FAULT_IO, "%zu problems", d.problems);
}

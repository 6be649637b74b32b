/* home.c - see home.h. */
#include "node/cli/home.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/files.h"
#include "protocol/papers.h"

enum { CREDENTIAL_FILE_MAX = 64 * 1024, TROUBLE_MAX = 1024 * 1024, HOME_MEMORY = 1 << 30 };

/* ---- the link ---- */

static bool admit(void *user, struct link_peer *peer)
{
    const struct home *home = user;

    if (memcmp(peer->noise_key, home->profile.noise, sizeof home->profile.noise) != 0)
        return false;
    peer->researcher = false;
    memcpy(peer->id, home->profile.node, sizeof peer->id);
    return true;
}

static void link_is_up(void *user, struct link *link)
{
    ((struct home *)user)->link = link;
}

static void link_is_down(void *user, struct link *link, const char *why)
{
    struct home *home = user;

    (void)link;
    home->link = NULL;
    home->why_down = why != NULL ? cx_strdup(home->cx, why) : NULL;
}

/* Nobody calls a researcher. */
static void serve_nothing(void *user, struct link *link, enum service service,
                          struct bytes body, struct served *served)
{
    (void)user;
    (void)link;
    (void)service;
    (void)body;
    served_fail(served, FAULT_DENIED, (struct bytes){0});
}

static bool is_linked(void *user)
{
    const struct home *home = user;

    return home->link != NULL || home->gave_up || home->why_down != NULL;
}

static void give_up(void *user)
{
    ((struct home *)user)->gave_up = true;
}

/* What may be behind a home node's silence, as far as the credential's own dates tell: home
 * says nothing to strangers. */
static const char *why_unheard(struct home *home)
{
    static const char plain[] =
        "is it running, and is your credential one of its consortium?";
    struct envelope e;
    Cohortium__Credential *c;
    char ours[32], theirs[32];
    int64_t now = clock_utc_ms();

    if (envelope_open(home->cx, ENVELOPE_CREDENTIAL, home->credential, &e) != FAULT_NONE ||
        pb_unpack(home->cx, &cohortium__credential__descriptor, e.body,
                  envelope_bound(ENVELOPE_CREDENTIAL), &c) != FAULT_NONE)
        return "your credential cannot be read; ask home's operator for it again";
    if (now > (int64_t)c->not_after)
        return cx_printf(home->cx,
                         "your credential ended %s; ask home's operator for a new one",
                         clock_format((int64_t)c->not_after, theirs, sizeof theirs));
    if (now < (int64_t)c->not_before)
        return cx_printf(home->cx,
                         "your credential begins %s and this clock says %s: is it right?",
                         clock_format((int64_t)c->not_before, theirs, sizeof theirs),
                         clock_format(now, ours, sizeof ours));
    return plain;
}

static enum fault connect_home(struct home *home)
{
    static const char version[] = "cohortium/1";
    struct buffer prologue = buffer_new(home->cx, 256);
    struct hub_setup setup = {.link_secret = keys_link_secret(home->keys),
                              .user = home,
                              .admit = admit,
                              .up = link_is_up,
                              .down = link_is_down,
                              .serve = serve_nothing};
    const struct profile *p = &home->profile;

    buffer_text(&prologue, version);
    buffer_put(&prologue, p->genesis, sizeof p->genesis);
    TRY(prologue.fault);
    setup.prologue = bytes_of(prologue.p, prologue.n);
    TRY(hub_new(home->cx, &setup, &home->hub));
    if (home->watched)
        interrupt_move(home->hub);
    TRY(hub_dial(home->cx, home->hub, p->home, p->noise, p->node, home->credential, false));
    uint64_t timer = hub_after(
        home->hub, home->connect_ms > 0 ? home->connect_ms : HOME_CONNECT_MS, give_up, home);
    if (timer == 0)
        return cx_fail(home->cx, FAULT_MEMORY, "no memory for a timer");
    TRY(hub_run(home->cx, home->hub, is_linked, home));
    hub_cancel_timer(home->hub, timer);
    if (home->link == NULL)
        return cx_fail(home->cx, FAULT_UNAVAILABLE,
                       "the home node at %s does not answer%s%s: %s", p->home,
                       home->why_down != NULL ? ": " : "",
                       home->why_down != NULL ? home->why_down : "", why_unheard(home));
    return FAULT_NONE;
}

/* ---- calls ---- */

struct waiting {
    struct home *home;
    struct cx *cx;
    bool done;
    enum fault fault;
    struct bytes body;
};

static void call_ended(void *user, enum fault fault, struct bytes body)
{
    struct waiting *w = user;

    w->done = true;
    w->fault = fault;
    w->body = bytes_of(cx_memdup(w->cx, body.p, body.n), body.n);
    if (w->body.p == NULL && body.n > 0) {
        w->body.n = 0;
        w->fault = FAULT_MEMORY;
    }
}

static bool call_is_done(void *user)
{
    return ((struct waiting *)user)->done;
}

static void show_progress(void *user, struct bytes body)
{
    const struct waiting *w = user;

    progress_show(w->home, body);
}

/* It takes longer than a moment: people may want to go away. */
static void tell_id(void *user)
{
    progress_tell_id(user);
}

static const char what_to_do[] =
    "; ask again once home is back (`cohortium doctor` says what is in the way)";

static enum fault call_failed(struct home *home, struct cx *cx, const struct waiting *w)
{
    Cohortium__Trouble *t = NULL;

    if (w->body.n > 0 && pb_unpack(cx, &cohortium__trouble__descriptor, w->body,
                                   TROUBLE_MAX, &t) != FAULT_NONE)
        t = NULL;
    home->trouble = t;
    if (t != NULL && t->text[0] != '\0') {
        const char *site =
            t->site.len > 0 ? member_name(cx, home->manifest, PB_BYTES(t->site)) : NULL;
        /* Home's texts name the site already; others' do not. */
        if (site == NULL || strstr(t->text, site) != NULL)
            return cx_fail(cx, w->fault, "%s", t->text);
        return cx_fail(cx, w->fault, "%s: %s", site, t->text);
    }
    if (w->fault == FAULT_TIMEOUT)
        return cx_fail(cx, w->fault,
                       "no answer in time; `cohortium sites` tells which site is slow, "
                       "--deadline waits longer");
    if (w->fault == FAULT_UNAVAILABLE)
        return cx_fail(cx, w->fault, "the link to the home node was cut%s%s%s",
                       home->why_down != NULL ? ": " : "",
                       home->why_down != NULL ? home->why_down : "",
                       /* a question that was sent is collected: who sent it says so */
                       home->asked_id != NULL ? "" : what_to_do);
    return cx_fail(cx, w->fault, "the home node says: %s", fault_name(w->fault));
}

enum fault home_failure(struct home *home, struct cx *cx, enum fault fault,
                        struct bytes trouble)
{
    struct waiting w = {.fault = fault, .body = trouble};

    return call_failed(home, cx, &w);
}

enum fault home_call(struct home *home, struct cx *cx, enum service service,
                     struct bytes body, int64_t deadline_ms, struct bytes *ret)
{
    struct waiting w = {.home = home, .cx = cx};
    struct call *call;

    home->trouble = NULL;
    if (home->link == NULL)
        return cx_fail(cx, FAULT_UNAVAILABLE, "the link to the home node is down%s",
                       what_to_do);
    TRY(link_call(cx, home->link, service, body, clock_mono_ms() + deadline_ms, call_ended,
                  show_progress, &w, &call));
    uint64_t timer =
        home->asked_id != NULL ? hub_after(home->hub, HOME_TELL_ID_MS, tell_id, home) : 0;
    enum fault fault = hub_run(cx, home->hub, call_is_done, &w);
    hub_cancel_timer(home->hub, timer);
    progress_clear(home);
    if (!w.done) {
        /* w is ours: the call must be over before it goes. */
        call_cancel(call);
        return fault != FAULT_NONE ? fault : cx_fail(cx, FAULT_CANCELLED, "interrupted");
    }
    if (w.fault != FAULT_NONE)
        return call_failed(home, cx, &w);
    *ret = w.body;
    return FAULT_NONE;
}

/* ---- open ---- */

/* A newer credential is kept; home may have renewed it. */
static void take_credential(struct home *home)
{
    struct bytes newest = PB_BYTES(home->sites->credential);
    const char *path = cx_printf(home->cx, "%s/credential", home->profile.folder);
    struct credential c;

    if (newest.n == 0 || bytes_equal(newest, home->credential) || path == NULL)
        return;
    if (credential_verify(home->cx, home->manifest, newest, clock_utc_ms(), &c) !=
            FAULT_NONE ||
        !bytes_equal(PB_BYTES(c.body->signing_key),
                     bytes_of(keys_signing_public(home->keys), KEY_BYTES)))
        return;
    home->credential = newest;
    (void)!file_write(home->cx, "credential", path, newest, 0600, FILE_REPLACE);
}

static int compare_sites(const void *a, const void *b)
{
    const Cohortium__Site *const *sa = a, *const *sb = b;

    return strcmp((*sa)->name, (*sb)->name);
}

static enum fault ask_sites(struct home *home)
{
    struct cx *cx = home->cx;
    Cohortium__SitesCall call = COHORTIUM__SITES_CALL__INIT;
    Cohortium__SitesReply *reply;
    struct bytes packed, *chain;

    call.wait_ms = home->wait_ms;
    TRY(pb_pack(cx, &call.base, &packed));
    TRY(home_call(home, cx, SERVICE_SITES, packed, HOME_CALL_MS, &packed));
    TRY(pb_unpack(cx, &cohortium__sites_reply__descriptor, packed, LINK_MESSAGE_MAX,
                  &reply));
    CX_NEW(cx, chain, reply->n_manifests);
    for (size_t i = 0; i < reply->n_manifests; i++)
        chain[i] = PB_BYTES(reply->manifests[i]);
    if (manifest_load(cx, chain, reply->n_manifests, home->profile.genesis,
                      &home->manifest) != FAULT_NONE)
        return cx_prefix(cx, "the manifest that home sent: ");
    if (manifest_find(home->manifest, home->profile.node) == NULL)
        return cx_fail(cx, FAULT_DENIED,
                       "the home node of the profile %s is no member of the consortium",
                       home->profile.name);
    qsort(reply->sites, reply->n_sites, sizeof(*reply->sites), compare_sites);
    home->sites = reply;
    take_credential(home);
    return FAULT_NONE;
}

enum fault home_connect(struct home *home)
{
    TRY(connect_home(home));
    return ask_sites(home);
}

enum fault home_open(struct cli *cli, const struct args *args, struct home *ret)
{
    struct home *home = ret;

    *home = (struct home){.cx = cli->cx, .cli = cli};
    home->progress = args_has(args, "--progress") || isatty(STDERR_FILENO);
    double wait = 0; /* of `sites`: for members; of questions and `collect` it is another word */
    if (args->command->run == run_sites)
        TRY(args_number(home->cx, args, "--wait", 0.1, HOME_WAIT_MAX_S, 0, &wait));
    home->wait_ms = (uint32_t)(wait * 1000);
    TRY(profile_open(home->cx, args_get(args, "--profile"), &home->profile));
    const char *path = cx_printf(home->cx, "%s/credential", home->profile.folder);
    if (path == NULL)
        return FAULT_MEMORY;
    TRY(file_read(home->cx, "credential", path, CREDENTIAL_FILE_MAX, false,
                  &home->credential));
    TRY(profile_keys(home->cx, &home->profile, args_get(args, "--passphrase-file"),
                     &home->keys));
    return home_connect(home);
}

static bool is_unlinked(void *user)
{
    const struct home *home = user;

    return home->link == NULL || home->gave_up;
}

/* A node that stops answers all calls and then ends its links. */
bool home_is_lost(struct home *home, enum fault fault)
{
    const Cohortium__Trouble *t = home->trouble;

    if (fault != FAULT_UNAVAILABLE ||
        (t != NULL && !bytes_equal(PB_BYTES(t->site),
                                   bytes_of(home->profile.node, DIGEST_BYTES))))
        return false;
    home->gave_up = false;
    uint64_t timer = hub_after(home->hub, HOME_STOPPING_MS, give_up, home);
    if (timer == 0 || hub_run(home->cx, home->hub, is_unlinked, home) != FAULT_NONE)
        return home->link == NULL;
    hub_cancel_timer(home->hub, timer);
    return home->link == NULL;
}

enum fault home_again(struct home *home, int64_t most_ms)
{
    interrupt_move(NULL);
    if (home->hub != NULL)
        hub_free(&home->hub);
    home->link = NULL;
    home->why_down = NULL;
    home->gave_up = false;
    home->connect_ms = most_ms < HOME_CONNECT_MS ? most_ms : HOME_CONNECT_MS;
    enum fault fault = home_connect(home);
    home->connect_ms = 0;
    return fault;
}

void home_close(struct home *home)
{
    if (home->hub != NULL)
        hub_free(&home->hub);
    keys_free(&home->keys);
}

/* ---- codebooks ---- */

static const char *cache_path(struct cx *cx, const struct profile *p,
                              const uint8_t digest[32])
{
    const char *hex = bytes_hex(cx, digest, DIGEST_BYTES);

    return hex == NULL ? NULL : cx_printf(cx, "%s/codebooks/%s", p->folder, hex);
}

enum fault cached_codebook(struct cx *cx, const struct profile *profile,
                           const uint8_t digest[32], struct codebook **ret)
{
    const char *path = cache_path(cx, profile, digest);
    struct bytes packed;

    if (path == NULL)
        return FAULT_MEMORY;
    TRY(file_read(cx, "codebook", path, CODEBOOK_BYTES_MAX, false, &packed));
    TRY(codebook_open(cx, packed, ret));
    if (memcmp((*ret)->digest, digest, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_MISSING, "the cached codebook %s was changed", path);
    return FAULT_NONE;
}

/* What home has first, then what any site has. */
static const Cohortium__DatasetCard *find_dataset(const struct home *home, const char *name)
{
    const Cohortium__DatasetCard *found = NULL;

    for (size_t i = 0; i < home->sites->n_sites; i++) {
        const Cohortium__Site *s = home->sites->sites[i];

        for (size_t k = 0; k < s->n_datasets; k++)
            if (strcmp(s->datasets[k]->name, name) == 0 &&
                (found == NULL || strcmp(s->state, "this") == 0))
                found = s->datasets[k];
    }
    return found;
}

static enum fault no_dataset(struct home *home, const char *name)
{
    const char *names[256];
    struct buffer list = buffer_new(home->cx, 16 * 1024);
    size_t n = 0;

    for (size_t i = 0; i < home->sites->n_sites; i++)
        for (size_t k = 0; k < home->sites->sites[i]->n_datasets && n < COUNT(names); k++) {
            const char *one = home->sites->sites[i]->datasets[k]->name;
            bool known = false;

            for (size_t j = 0; j < n && !known; j++)
                known = strcmp(names[j], one) == 0;
            if (!known) {
                buffer_printf(&list, "%s%s", n > 0 ? ", " : "", one);
                names[n++] = one;
            }
        }
    const char *near = bytes_nearest(name, names, n), *all = buffer_string(&list);
    if (near != NULL)
        return cx_fail(home->cx, FAULT_USAGE, "no dataset `%.64s`; did you mean `%s`?",
                       name, near);
    if (n == 0)
        return cx_fail(
            home->cx, FAULT_USAGE,
            "no dataset `%.64s`: no site that answers has any; see `cohortium sites`",
            name);
    return cx_fail(home->cx, FAULT_USAGE, "no dataset `%.64s`; there are: %s", name,
                   all == NULL ? "" : all);
}

static enum fault fetch_codebook(struct home *home, const char *dataset,
                                 const uint8_t digest[32], struct codebook **ret)
{
    struct cx *cx = home->cx;
    Cohortium__CodebookCall call = COHORTIUM__CODEBOOK_CALL__INIT;
    Cohortium__CodebookReply *reply;
    struct bytes packed;

    call.dataset = (char *)dataset;
    call.digest = PB_DATA(bytes_of(digest, DIGEST_BYTES));
    TRY(pb_pack(cx, &call.base, &packed));
    TRY(home_call(home, cx, SERVICE_CODEBOOK, packed, HOME_CALL_MS, &packed));
    TRY(pb_unpack(cx, &cohortium__codebook_reply__descriptor, packed, LINK_MESSAGE_MAX,
                  &reply));
    TRY(codebook_open(cx, PB_BYTES(reply->codebook), ret));
    if (memcmp((*ret)->digest, digest, DIGEST_BYTES) != 0)
        return cx_fail(cx, FAULT_CONFLICT,
                       "the home node sent another codebook of %s than the one asked for",
                       dataset);
    const char *folder = cx_printf(cx, "%s/codebooks", home->profile.folder);
    const char *path = cache_path(cx, &home->profile, (*ret)->digest);
    /* The cache only saves a call: a profile that cannot be written still asks. */
    if (folder != NULL && path != NULL && folder_make(cx, folder) == FAULT_NONE)
        (void)!file_write(cx, "codebook", path, PB_BYTES(reply->codebook), 0600,
                          FILE_REPLACE);
    return FAULT_NONE;
}

enum fault home_codebook_of(struct home *home, const char *dataset,
                            const uint8_t digest[32], struct codebook **ret)
{
    struct codebook *cb;

    if (cached_codebook(home->cx, &home->profile, digest, &cb) != FAULT_NONE)
        TRY(fetch_codebook(home, dataset, digest, &cb));
    *ret = cb;
    return FAULT_NONE;
}

enum fault home_codebook(struct home *home, const char *dataset,
                         const struct codebook **ret)
{
    const Cohortium__DatasetCard *card;
    struct codebook *cb;

    for (size_t i = 0; i < home->n_codebooks; i++)
        if (strcmp(home->codebooks[i]->body->name, dataset) == 0) {
            *ret = home->codebooks[i];
            return FAULT_NONE;
        }
    card = find_dataset(home, dataset);
    if (card == NULL)
        return no_dataset(home, dataset);
    if (card->codebook.len != DIGEST_BYTES)
        return cx_fail(home->cx, FAULT_FORMAT, "home lists %s without a codebook digest",
                       dataset);
    TRY(home_codebook_of(home, dataset, card->codebook.data, &cb));
    if (strcmp(cb->body->name, dataset) != 0)
        return cx_fail(home->cx, FAULT_CONFLICT,
                       "home lists the codebook of %s as that of %s", cb->body->name,
                       dataset);
    if (home->n_codebooks < HOME_CODEBOOKS_MAX)
        home->codebooks[home->n_codebooks++] = cb;
    *ret = cb;
    return FAULT_NONE;
}

/* ---- permits ---- */

static bool permit_is_named(struct cx *cx, const Cohortium__PermitCard *p,
                            const char *wanted)
{
    const char *hex = bytes_hex(cx, p->id.data, p->id.len);

    return strcmp(p->title, wanted) == 0 || (hex != NULL && strlen(wanted) >= 4 &&
                                             strncmp(hex, wanted, strlen(wanted)) == 0);
}

static bool permit_covers(const Cohortium__PermitCard *p, const char *dataset)
{
    for (size_t i = 0; i < p->n_datasets; i++)
        if (strcmp(p->datasets[i], dataset) == 0)
            return true;
    return false;
}

enum fault home_permit(struct home *home, struct cx *cx, const char *wanted,
                       const char *dataset, const Cohortium__PermitCard **ret)
{
    const Cohortium__PermitCard *found = NULL;
    struct buffer list = buffer_new(cx, 16 * 1024);
    const char *name = wanted != NULL ? wanted : home->profile.permit;
    size_t n = 0;

    for (size_t i = 0; i < home->sites->n_permits; i++) {
        const Cohortium__PermitCard *p = home->sites->permits[i];

        if (name != NULL ? !permit_is_named(cx, p, name) : !permit_covers(p, dataset))
            continue;
        buffer_printf(&list, "%s%s", n++ > 0 ? ", " : "", p->title);
        found = p;
    }
    const char *all = buffer_string(&list);
    if (n == 1) {
        *ret = found;
        return FAULT_NONE;
    }
    if (n == 0 && name != NULL)
        return cx_fail(
            cx, FAULT_REFUSED,
            "your home node knows no permit `%.64s` of yours; `cohortium status` lists "
            "them",
            name);
    if (n == 0)
        return cx_fail(cx, FAULT_REFUSED,
                       "no permit of yours covers %s: write one with `cohortium permit "
                       "draft` and ask the sites' officers to sign it; `cohortium status` "
                       "lists yours",
                       dataset);
    return cx_fail(cx, FAULT_USAGE, "%zu permits fit (%s): choose one with --permit", n,
                   all == NULL ? "" : all);
}

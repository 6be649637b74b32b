/*
 * governance.c - the manifest in force at a running vault: newer versions adopted, two
 * versions of one number found out.
 *
 * What comes (from a peer by way of net, or from the operator) is a list of envelopes. Each
 * must be the one after those held; together they are verified, logged, written to the
 * folder, put in force and told to net, in this order. An older one that differs from ours
 * and is as validly signed proves that the governors have signed two: it is kept as
 * evidence and this node is frozen, answers nothing and adopts nothing, until an operator
 * thaws it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/folder.h"
#include "node/log.h"
#include "node/vault/vault.h"
#include "protocol/base/clock.h"

enum { OFFER_MEMORY = 256 * 1024 * 1024, NAMES_TOLD = 20 };

struct manifest_memory { /* of one adopted version; older ones stay, sessions read them */
    struct manifest_memory *next;
    struct cx *cx;
};

/* ---- open and close ---- */

/* The newest version in which this node is a member: of one that was removed since, too. */
static enum fault find_self(struct cx *cx, struct vault *v, const struct manifest *m,
                            const uint8_t id[32])
{
    const struct manifest *at = m;
    struct manifest *shorter;

    v->self = manifest_find(m, id);
    for (size_t n = m->n_chain - 1; v->self == NULL && n > 0; n--) {
        TRY(manifest_load(cx, m->chain, n, m->consortium, &shorter));
        at = shorter;
        v->self = manifest_find(at, id);
    }
    return v->self != NULL
               ? FAULT_NONE
               : cx_fail(
                     cx, FAULT_DENIED,
                     "this node's key is not in the manifest; give its member card to the "
                     "consortium");
}

enum fault governance_open(struct cx *cx, struct vault *v)
{
    struct manifest *m;
    const char *why;
    uint8_t id[32];

    TRY(folder_manifest(cx, v->folder, &m));
    digest_of(bytes_of(keys_signing_public(v->signing), KEY_BYTES), id);
    TRY(find_self(cx, v, m, id));
    TRY(folder_frozen(cx, v->folder, &why));
    (void)snprintf(v->frozen, sizeof v->frozen, "%s", why != NULL ? why : "");
    v->manifest = m;
    return FAULT_NONE;
}

void governance_close(struct vault *v)
{
    struct manifest_memory *following;

    for (struct manifest_memory *m = v->manifests; m != NULL; m = following) {
        following = m->next;
        struct cx *cx = m->cx; /* m itself lives in it */
        cx_free(&cx);
    }
    v->manifests = NULL;
}

/* ---- may this node answer? ---- */

static bool is_frozen(struct vault *v, char *text, size_t size)
{
    (void)pthread_mutex_lock(&v->lock);
    bool frozen = v->frozen[0] != '\0';
    if (text != NULL)
        (void)snprintf(text, size, "%s", v->frozen);
    (void)pthread_mutex_unlock(&v->lock);
    return frozen;
}

enum fault vault_governed(struct cx *cx, struct vault *v)
{
    const struct manifest *m = v->manifest;
    char why[sizeof v->frozen];

    if (is_frozen(v, why, sizeof why))
        return cx_fail(cx, FAULT_REFUSED, "%s", why);
    if (manifest_find(m, v->self->node_id.data) == NULL)
        return cx_fail(cx, FAULT_REFUSED,
                       "%s is no member any more: manifest version %" PRIu64
                       " does not list it",
                       v->self->name, m->body->version);
    return manifest_is_current(cx, m, clock_utc_ms());
}

/* ---- what changed, in words for the log ---- */

struct names {
    struct buffer *out;
    const char *what;
    size_t n;
};

static void put_name(struct names *names, const char *name)
{
    if (names->n < NAMES_TOLD)
        buffer_printf(names->out, "%s%s", names->n == 0 ? names->what : ", ", name);
    else if (names->n == NAMES_TOLD)
        buffer_text(names->out, ", and others");
    names->n++;
}

static bool member_differs(const Cohortium__Member *a, const Cohortium__Member *b)
{
    bool same = bytes_equal(PB_BYTES(a->noise_key), PB_BYTES(b->noise_key)) &&
                a->n_officers == b->n_officers && a->n_endpoints == b->n_endpoints &&
                a->holds_data == b->holds_data && a->one_officer == b->one_officer &&
                a->outbound_only == b->outbound_only &&
                a->issues_researchers == b->issues_researchers;

    for (size_t i = 0; same && i < a->n_officers; i++)
        same = bytes_equal(PB_BYTES(a->officers[i]->key), PB_BYTES(b->officers[i]->key));
    for (size_t i = 0; same && i < a->n_endpoints; i++)
        same = strcmp(a->endpoints[i], b->endpoints[i]) == 0;
    return !same;
}

static bool governors_differ(const Cohortium__Governance *a, const Cohortium__Governance *b)
{
    bool same = a->n_keys == b->n_keys && a->threshold == b->threshold;

    for (size_t i = 0; same && i < a->n_keys; i++)
        same = bytes_equal(PB_BYTES(a->keys[i]), PB_BYTES(b->keys[i]));
    return !same;
}

static const char *manifest_changes(struct cx *cx, const struct manifest *old,
                                    const struct manifest *now)
{
    struct buffer out = buffer_new(cx, 64 * 1024);
    struct names come = {&out, "; new: ", 0}, gone = {&out, "; no member any more: ", 0},
                 other = {&out, "; with other keys, addresses, officers or roles: ", 0};

    for (size_t i = 0; i < now->body->n_members; i++)
        if (manifest_find(old, now->body->members[i]->node_id.data) == NULL)
            put_name(&come, now->body->members[i]->name);
    for (size_t i = 0; i < old->body->n_members; i++)
        if (manifest_find(now, old->body->members[i]->node_id.data) == NULL)
            put_name(&gone, old->body->members[i]->name);
    for (size_t i = 0; i < now->body->n_members; i++) {
        const Cohortium__Member *m = now->body->members[i],
                                *before = manifest_find(old, m->node_id.data);

        if (before != NULL && member_differs(before, m))
            put_name(&other, m->name);
    }
    if (governors_differ(old->body->governance, now->body->governance))
        buffer_text(&out, "; other governance keys");
    char *text = buffer_string(&out);
    return text != NULL ? text : "";
}

/* ---- adopting ---- */

static enum fault log_manifest(struct cx *cx, struct vault *v, const char *kind,
                               const char *decision, const uint8_t digest[32],
                               const char *details)
{
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;

    if (details == NULL)
        return FAULT_MEMORY;
    record.kind = (char *)kind;
    record.decision = (char *)decision;
    record.subject = PB_DATA(bytes_of(digest, DIGEST_BYTES));
    return vault_log(cx, v, &record, details);
}

/* A verified chain of its own memory, kept for good: whoever reads the old one goes on. */
static enum fault keep(struct cx *cx, struct vault *v, const struct manifest *m,
                       struct manifest **ret)
{
    struct cx *own = cx_new(OFFER_MEMORY, CX_NO_DEADLINE);
    struct manifest_memory *memory = own != NULL ? cx_alloc(own, sizeof *memory) : NULL;

    if (memory == NULL) {
        cx_free(&own);
        return cx_fail(cx, FAULT_MEMORY, "out of memory for a manifest");
    }
    enum fault fault = manifest_load(own, m->chain, m->n_chain, m->consortium, ret);
    if (fault != FAULT_NONE) {
        (void)cx_fail(cx, fault, "%s", cx_message(own));
        cx_free(&own);
        return fault;
    }
    memory->cx = own;
    memory->next = v->manifests;
    v->manifests = memory;
    return FAULT_NONE;
}

/* Net takes it, forgets who is no member, dials who is new. */
static void tell_net(struct cx *cx, struct vault *v, const struct manifest *m, size_t from)
{
    Cohortium__ManifestReply told = COHORTIUM__MANIFEST_REPLY__INIT;
    struct bytes packed;

    if (v->to_net == NULL)
        return;
    told.version = m->body->version;
    told.digest = PB_DATA(bytes_of(m->digest, DIGEST_BYTES));
    told.manifests = cx_array(cx, m->n_chain, sizeof *told.manifests);
    for (size_t i = from; told.manifests != NULL && i < m->n_chain; i++)
        told.manifests[told.n_manifests++] = PB_DATA(m->chain[i]);
    if (told.manifests == NULL || pb_pack(cx, &told.base, &packed) != FAULT_NONE) {
        log_warning("net was not told of manifest version %" PRIu64 ": out of memory",
                    m->body->version);
        return;
    }
    v->to_net(v->to_net_user, cx, IPC_MANIFEST, packed);
}

/* Logged, then on disk, then in force, then told. */
static enum fault put_in_force(struct cx *cx, struct vault *v, const struct manifest *newer,
                               const char *from)
{
    const struct manifest *old = v->manifest;
    const Cohortium__Manifest *body = newer->body;
    struct manifest *kept;

    const char *text = cx_printf(cx, "manifest version %" PRIu64 " adopted from %s%s%s%s",
                                 body->version, from, body->reason[0] ? ", reason: " : "",
                                 body->reason, manifest_changes(cx, old, newer));
    TRY(keep(cx, v, newer, &kept));
    TRY(log_manifest(cx, v, "manifest", "done", newer->digest, text));
    for (size_t i = old->n_chain; i < newer->n_chain; i++)
        TRY(folder_manifest_add(cx, v->folder, i + 1, newer->chain[i]));
    const Cohortium__Member *self = manifest_find(kept, v->self->node_id.data);
    v->manifest = kept;
    if (self != NULL)
        v->self = self;
    sessions_end_strangers(v, kept);
    tell_net(cx, v, kept, old->n_chain);
    log_notice("%s", text);
    if (self == NULL)
        log_warning("this node is no member any more: it answers nothing");
    /* Officers may have come or gone: does the policy still carry their signatures? */
    if (vault_load_policy(cx, v) != FAULT_NONE)
        log_warning("this node answers nothing: %s", cx_message(cx));
    return FAULT_NONE;
}

/* ---- two versions of one number ---- */

static enum fault freeze(struct cx *cx, struct vault *v, struct bytes packed,
                         const uint8_t digest[32], uint64_t version, const char *from)
{
    const char *why = cx_printf(
        cx,
        "FROZEN: the governors have signed two versions %" PRIu64
        " of the manifest (the other one came from %s); ask the other members which one "
        "holds, then `cohortiumd consortium thaw --reason TEXT`",
        version, from);
    bool known;

    if (why == NULL)
        return FAULT_MEMORY;
    TRY(folder_fork_is_known(cx, v->folder, version, digest, &known));
    /* An operator has judged it, or has another to judge first: it comes again. So one fork
     * is kept a thaw, whoever signs how many with keys of once. */
    if (known || is_frozen(v, NULL, 0))
        return FAULT_NONE;
    TRY(log_manifest(cx, v, "equivocation", "frozen", digest, why));
    (void)pthread_mutex_lock(&v->lock);
    (void)snprintf(v->frozen, sizeof v->frozen, "%s", why);
    (void)pthread_mutex_unlock(&v->lock);
    log_warning("%s", why);
    return folder_freeze(cx, v->folder, version, digest, packed, why);
}

/* One envelope against what is held; *m grows where it is the next. */
static enum fault take_one(struct cx *cx, struct vault *v, struct bytes packed,
                           const char *from, struct manifest **m)
{
    struct manifest_claim claim;
    uint64_t version;

    TRY(manifest_claims(cx, packed, &claim));
    if (claim.version > (*m)->n_chain)
        return manifest_extend(cx, *m, packed, m);
    if (memcmp(claim.digest, (*m)->digests[claim.version - 1], DIGEST_BYTES) == 0)
        return FAULT_NONE;
    enum fault fault = manifest_fork(cx, *m, packed, &version);
    if (fault == FAULT_MISSING)
        return cx_fail(cx, FAULT_DENIED, "manifest version %" PRIu64 " is older than ours",
                       claim.version);
    TRY(fault);
    return freeze(cx, v, packed, claim.digest, version, from);
}

static enum fault take_all(struct cx *cx, struct vault *v, const struct bytes *list,
                           size_t n, const char *from)
{
    struct manifest *m = v->manifest;
    enum fault fault = FAULT_NONE;
    size_t held = m->n_chain;
    char why[1024] = "";

    for (size_t i = 0; i < n && fault == FAULT_NONE; i++)
        fault = take_one(cx, v, list[i], from, &m);
    if (fault != FAULT_NONE)
        (void)snprintf(why, sizeof why, "%s", cx_message(cx));
    /* What stands before the bad one holds; a frozen node adopts nothing. */
    if (m->n_chain > held && !is_frozen(v, NULL, 0))
        TRY(put_in_force(cx, v, m, from));
    return fault != FAULT_NONE ? cx_fail(cx, fault, "%s", why) : FAULT_NONE;
}

enum fault vault_adopt(struct cx *cx, struct vault *v, const struct bytes *list, size_t n,
                       const char *from)
{
    if (n > MANIFEST_CHAIN_MAX)
        return cx_fail(cx, FAULT_BOUND, "%zu manifests at once: at most %d", n,
                       MANIFEST_CHAIN_MAX);
    (void)pthread_mutex_lock(&v->manifest_lock);
    enum fault fault = take_all(cx, v, list, n, from);
    (void)pthread_mutex_unlock(&v->manifest_lock);
    return fault;
}

/* A manifest stands by its signatures: also one that a former member sent is taken. */
enum fault vault_offer(struct cx *cx, struct vault *v, const struct ipc_caller *from,
                       struct bytes packed)
{
    const Cohortium__Member *who = manifest_find(v->manifest, from->id);
    Cohortium__ManifestOffer *offer;
    struct bytes *list;

    TRY(pb_unpack(cx, &cohortium__manifest_offer__descriptor, packed, LINK_MESSAGE_MAX,
                  &offer));
    CX_NEW(cx, list, offer->n_manifests);
    for (size_t i = 0; i < offer->n_manifests; i++)
        list[i] = PB_BYTES(offer->manifests[i]);
    return vault_adopt(cx, v, list, offer->n_manifests,
                       who != NULL ? who->name : "a former member");
}

static enum fault thaw(struct cx *cx, struct vault *v, const char *reason, bool take)
{
    const struct manifest *m = v->manifest;

    if (!is_frozen(v, NULL, 0))
        return cx_fail(cx, FAULT_CONFLICT,
                       "this node is not frozen: there is nothing to thaw");
    TRY(log_manifest(
        cx, v, "thaw", "done", m->digest,
        cx_printf(cx, "an operator thawed this node, reason: %s; it goes on with %s",
                  reason, take ? "the other manifest" : "the manifest that it holds")));
    if (take)
        TRY(folder_take_fork(cx, v->folder, m));
    TRY(folder_thaw(cx, v->folder));
    (void)pthread_mutex_lock(&v->lock);
    (void)snprintf(
        v->frozen, sizeof v->frozen, "%s",
        take ? "this node takes the other manifest when it starts next: `cohortiumd "
               "stop`, then `cohortiumd serve`"
             : "");
    (void)pthread_mutex_unlock(&v->lock);
    log_notice("thawed: %s", reason);
    return FAULT_NONE;
}

enum fault vault_thaw(struct cx *cx, struct vault *v, const char *reason, bool take)
{
    (void)pthread_mutex_lock(&v->manifest_lock);
    enum fault fault = thaw(cx, v, reason, take);
    (void)pthread_mutex_unlock(&v->manifest_lock);
    return fault;
}

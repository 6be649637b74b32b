/*
 * consortium_next.c - the next version of the manifest, made from the one in force and left
 * for the governors to sign: members invited or revoked, governance keys changed, dates
 * renewed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/admin/consortium.h"
#include "node/folder.h"
#include "protocol/base/clock.h"

enum { DAYS_MAX = 3650, KEYS_MAX = 1000 };
static const int64_t DAY_MS = 24 * 3600 * 1000;

struct next { /* a body that may be changed: its lists are its own */
    struct manifest *old;
    Cohortium__Manifest body;
    Cohortium__Governance governance;
};

static enum fault give_dates(struct invocation *in, struct next *n)
{
    const Cohortium__Manifest *old = n->old->body;
    long days;
    int64_t span = (int64_t)(old->valid_until - old->issued_at), now = clock_utc_ms();

    TRY(whole_option(in, "days", 1, DAYS_MAX, 0, &days));
    if (days > 0)
        span = days * DAY_MS;
    if (now < (int64_t)old->issued_at)
        return cx_fail(
            in->cx, FAULT_CONFLICT,
            "this machine's clock stands before the manifest in force was made: set "
            "it right");
    n->body.issued_at = (uint64_t)now;
    n->body.valid_until = (uint64_t)(now + span);
    n->body.fresh_until = (uint64_t)(now + span / 4 * 3);
    return FAULT_NONE;
}

/* The manifest in force, copied; number, past, dates and reason are those of the next. */
static enum fault next_begin(struct invocation *in, struct next *n)
{
    const char *reason;
    size_t most;

    TRY(need_option(in, "reason", "TEXT", &reason));
    TRY(read_manifest(in, &n->old));
    n->body = *n->old->body;
    most = n->body.n_members + in->n_words;
    CX_NEW(in->cx, n->body.members, most);
    memcpy(n->body.members, n->old->body->members,
           n->body.n_members * sizeof *n->body.members);
    n->governance = *n->old->body->governance;
    CX_NEW(in->cx, n->governance.keys, n->governance.n_keys + KEYS_MAX);
    memcpy(n->governance.keys, n->old->body->governance->keys,
           n->governance.n_keys * sizeof *n->governance.keys);
    n->body.governance = &n->governance;
    n->body.version++;
    n->body.previous = PB_DATA(bytes_of(n->old->digest, DIGEST_BYTES));
    n->body.reason = (char *)reason;
    return give_dates(in, n);
}

static enum fault next_end(struct invocation *in, struct next *n)
{
    const char *path;
    uint8_t digest[32];
    long signatures, threshold;

    TRY(need_option(in, "out", "FILE", &path));
    TRY(whole_option(in, "permit-signatures", 1, (long)n->body.n_members,
                     (long)n->body.permit_signatures, &signatures));
    TRY(whole_option(in, "threshold", 1, (long)n->governance.n_keys,
                     (long)n->governance.threshold, &threshold));
    n->body.permit_signatures = (uint32_t)signatures;
    n->governance.threshold = (uint32_t)threshold;
    qsort(n->body.members, n->body.n_members, sizeof *n->body.members, member_by_id);
    TRY(manifest_write(in, &n->body, digest));
    (void)printf("%s: manifest version %" PRIu64 ", to follow version %" PRIu64
                 "\ndigest %s\n",
                 path, n->body.version, n->old->body->version,
                 bytes_hex(in->cx, digest, sizeof digest));
    changes_show(in, n->old->body, &n->body);
    (void)printf(
        "next: the governors sign it, %u of the %zu keys of version %" PRIu64
        " and %u of its own %zu: cohortiumd consortium sign --key KEY %s\nthen one "
        "member publishes it: cohortiumd consortium publish %s\n",
        n->old->body->governance->threshold, n->old->body->governance->n_keys,
        n->old->body->version, n->governance.threshold, n->governance.n_keys, path, path);
    return FAULT_NONE;
}

static const char *names_of(struct invocation *in, const struct next *n)
{
    struct buffer out = buffer_new(in->cx, 64 * 1024);

    for (size_t i = 0; i < n->body.n_members; i++)
        buffer_printf(&out, "%s%s", i > 0 ? ", " : "", n->body.members[i]->name);
    const char *text = buffer_string(&out);
    return text != NULL ? text : "";
}

static enum fault drop(struct invocation *in, struct next *n, const char *name)
{
    size_t i = 0;

    while (i < n->body.n_members && strcmp(n->body.members[i]->name, name) != 0)
        i++;
    if (i == n->body.n_members)
        return cx_fail(in->cx, FAULT_USAGE, "`%.40s` is no member; the members are %s",
                       name, names_of(in, n));
    memmove(&n->body.members[i], &n->body.members[i + 1],
            (n->body.n_members - i - 1) * sizeof *n->body.members);
    n->body.n_members--;
    return FAULT_NONE;
}

/* A card of a node that is a member already takes the place of what was known of it. */
static void put(struct next *n, Cohortium__Member *m)
{
    for (size_t i = 0; i < n->body.n_members; i++)
        if (member_same(n->body.members[i], m)) {
            n->body.members[i] = m;
            return;
        }
    n->body.members[n->body.n_members++] = m;
}

enum fault admin_invite(struct invocation *in)
{
    struct next n = {0};
    const char *name;

    TRY(need_words(in, 1, COUNT(in->words), "the member cards"));
    TRY(next_begin(in, &n));
    for (size_t i = 0; (name = option_nth(in, "without", i)) != NULL; i++)
        TRY(drop(in, &n, name));
    for (size_t i = 0; i < in->n_words; i++) {
        Cohortium__Member *m;

        TRY(member_read(in, in->words[i], &m));
        put(&n, m);
    }
    TRY(next_end(in, &n));
    (void)printf(
        "a new member needs two things: the chain of manifests, once this one is published "
        "(cohortiumd consortium export -o FILE),\nand, by another way than the file, the "
        "genesis digest of %s: %s\n",
        n.body.consortium_name, bytes_hex(in->cx, n.old->consortium, DIGEST_BYTES));
    return FAULT_NONE;
}

enum fault admin_revoke_member(struct invocation *in)
{
    struct next n = {0};

    TRY(need_words(in, 1, COUNT(in->words), "the names of members"));
    TRY(next_begin(in, &n));
    for (size_t i = 0; i < in->n_words; i++)
        TRY(drop(in, &n, in->words[i]));
    return next_end(in, &n);
}

enum fault admin_leave(struct invocation *in)
{
    struct node_settings settings;
    struct next n = {0};

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(folder_settings(in->cx, in->folder, &settings));
    TRY(next_begin(in, &n));
    TRY(drop(in, &n, settings.name));
    return next_end(in, &n);
}

enum fault admin_renew(struct invocation *in)
{
    struct next n = {0};

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(next_begin(in, &n));
    return next_end(in, &n);
}

static enum fault drop_governor(struct invocation *in, struct next *n, const char *path)
{
    Cohortium__Card *card;

    TRY(governor_read(in, path, &card));
    for (size_t i = 0; i < n->governance.n_keys; i++)
        if (bytes_equal(PB_BYTES(n->governance.keys[i]), PB_BYTES(card->signing_key))) {
            memmove(&n->governance.keys[i], &n->governance.keys[i + 1],
                    (n->governance.n_keys - i - 1) * sizeof *n->governance.keys);
            n->governance.n_keys--;
            return FAULT_NONE;
        }
    return cx_fail(in->cx, FAULT_USAGE, "%s: the key of %s is none of the governance keys",
                   path, card->name);
}

enum fault admin_rotate_key(struct invocation *in)
{
    struct next n = {0};
    const char *path;
    size_t gone = 0, come = 0;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(next_begin(in, &n));
    for (; (path = option_nth(in, "from", gone)) != NULL; gone++)
        TRY(drop_governor(in, &n, path));
    for (; (path = option_nth(in, "to", come)) != NULL && come < KEYS_MAX; come++) {
        Cohortium__Card *card;

        TRY(governor_read(in, path, &card));
        n.governance.keys[n.governance.n_keys++] = card->signing_key;
    }
    if (gone + come == 0)
        return cx_fail(
            in->cx, FAULT_USAGE,
            "expected --from CARD (a governance key that goes), --to CARD (one that "
            "comes), or both");
    return next_end(in, &n);
}

/* ---- what changes, in words ---- */

void changes_show(struct invocation *in, const Cohortium__Manifest *old,
                  const Cohortium__Manifest *next)
{
    const char *text = manifest_differences(in->cx, old, next);

    (void)fputs(text != NULL ? text : "  out of memory: what changes is not known\n",
                stdout);
    if (text != NULL &&
        (strstr(text, "  new ") != NULL || strstr(text, "  changed ") != NULL))
        (void)printf(
            "  a member card proves nothing by itself, nor which of two is the newer: "
            "compare what is new with its institution by another way than the file\n");
}

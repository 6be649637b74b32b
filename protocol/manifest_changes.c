/*
 * manifest_changes.c - what is different in the next manifest, for whoever is to sign it.
 *
 * Governors sign what they are shown. So every field of a manifest has its words here, and
 * what has none is said to have none: nothing may change unseen.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocol/manifest.h"

enum { DIFFERENCES_MAX = 1024 * 1024, KEY_SHOWN = 8 };

static const char *short_hex(struct cx *cx, ProtobufCBinaryData key)
{
    const char *hex = bytes_hex(cx, key.data, key.len < KEY_SHOWN ? key.len : KEY_SHOWN);

    return hex != NULL ? hex : "";
}

static bool packs_alike(struct cx *cx, const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    struct bytes packed_a, packed_b;

    return pb_pack(cx, a, &packed_a) == FAULT_NONE &&
           pb_pack(cx, b, &packed_b) == FAULT_NONE && bytes_equal(packed_a, packed_b);
}

/* ---- one member ---- */

struct list { /* words with "; " between them */
    struct cx *cx;
    struct buffer *out;
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void put(struct list *l, const char *format,
                                                      ...)
{
    char text[700];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buffer_printf(l->out, "%s%s", l->n++ > 0 ? "; " : "", text);
}

static const Cohortium__Officer *officer(const Cohortium__Member *m,
                                         const Cohortium__Officer *who)
{
    for (size_t i = 0; i < m->n_officers; i++)
        if (bytes_equal(PB_BYTES(m->officers[i]->key), PB_BYTES(who->key)))
            return m->officers[i];
    return NULL;
}

static void put_officers(struct list *l, const Cohortium__Member *a,
                         const Cohortium__Member *b)
{
    for (size_t i = 0; i < b->n_officers; i++) {
        const Cohortium__Officer *now = b->officers[i], *before = officer(a, now);

        if (before == NULL)
            put(l, "officer %.200s comes, key %s", now->name, short_hex(l->cx, now->key));
        else if (strcmp(before->name, now->name) != 0)
            put(l, "officer %.200s is called %.200s", before->name, now->name);
    }
    for (size_t i = 0; i < a->n_officers; i++)
        if (officer(b, a->officers[i]) == NULL)
            put(l, "officer %.200s goes, key %s", a->officers[i]->name,
                short_hex(l->cx, a->officers[i]->key));
    if (a->one_officer != b->one_officer)
        put(l, b->one_officer ? "one officer alone may loosen its policy"
                              : "two officers must sign to loosen its policy");
}

static void put_endpoints(struct list *l, const Cohortium__Member *a,
                          const Cohortium__Member *b)
{
    bool same = a->n_endpoints == b->n_endpoints;

    for (size_t i = 0; same && i < a->n_endpoints; i++)
        same = strcmp(a->endpoints[i], b->endpoints[i]) == 0;
    if (!same && b->n_endpoints == 0)
        put(l, "no address");
    for (size_t i = 0; !same && i < b->n_endpoints; i++)
        put(l, "%s %.300s", i == 0 ? "its addresses now:" : "and", b->endpoints[i]);
    if (a->outbound_only != b->outbound_only)
        put(l, b->outbound_only ? "it only dials out" : "it can be dialled");
}

/* What was said of it; the rest must be what it was. */
static bool is_all_said(struct cx *cx, const Cohortium__Member *a,
                        const Cohortium__Member *b)
{
    Cohortium__Member same = *b;

    same.noise_key = a->noise_key;
    same.title = a->title;
    same.software = a->software;
    same.n_officers = a->n_officers;
    same.officers = a->officers;
    same.one_officer = a->one_officer;
    same.n_endpoints = a->n_endpoints;
    same.endpoints = a->endpoints;
    same.outbound_only = a->outbound_only;
    same.holds_data = a->holds_data;
    same.issues_researchers = a->issues_researchers;
    return packs_alike(cx, &same.base, &a->base);
}

static void put_member(struct list *l, const Cohortium__Member *a,
                       const Cohortium__Member *b)
{
    if (!bytes_equal(PB_BYTES(a->noise_key), PB_BYTES(b->noise_key)))
        put(l, "its link key, now %s", short_hex(l->cx, b->noise_key));
    put_officers(l, a, b);
    put_endpoints(l, a, b);
    if (a->holds_data != b->holds_data)
        put(l, b->holds_data ? "it holds data" : "it holds no data");
    if (a->issues_researchers != b->issues_researchers)
        put(l, b->issues_researchers ? "it issues credentials to researchers"
                                     : "it issues no credentials");
    if (strcmp(a->title, b->title) != 0)
        put(l, "its title: %.300s", b->title);
    if (strcmp(a->software, b->software) != 0)
        put(l, "its software: %.100s", b->software);
}

static const Cohortium__Member *same_member(const Cohortium__Manifest *m,
                                            const Cohortium__Member *who)
{
    for (size_t i = 0; i < m->n_members; i++)
        if (member_same(m->members[i], who))
            return m->members[i];
    return NULL;
}

static void put_members(struct cx *cx, struct buffer *out, const Cohortium__Manifest *old,
                        const Cohortium__Manifest *next)
{
    static const Cohortium__Member nobody = COHORTIUM__MEMBER__INIT;

    for (size_t i = 0; i < next->n_members; i++) {
        const Cohortium__Member *b = next->members[i], *a = same_member(old, b);
        struct list l = {.cx = cx, .out = out};

        if (a != NULL && packs_alike(cx, &a->base, &b->base))
            continue;
        buffer_printf(out, "  %s  %s: ", a == NULL ? "new    " : "changed", b->name);
        put_member(&l, a != NULL ? a : &nobody, b);
        if (a != NULL && !is_all_said(cx, a, b))
            put(&l, "and more, for which this program has no words");
        buffer_text(out, "\n");
    }
    for (size_t i = 0; i < old->n_members; i++)
        if (same_member(next, old->members[i]) == NULL)
            buffer_printf(out, "  gone     %s\n", old->members[i]->name);
}

/* ---- governance ---- */

static bool governs(const Cohortium__Governance *g, ProtobufCBinaryData key)
{
    for (size_t i = 0; i < g->n_keys; i++)
        if (bytes_equal(PB_BYTES(g->keys[i]), PB_BYTES(key)))
            return true;
    return false;
}

static size_t put_keys(struct cx *cx, struct buffer *out, const Cohortium__Governance *of,
                       const Cohortium__Governance *other, const char *word)
{
    size_t n = 0;

    for (size_t i = 0; i < of->n_keys; i++)
        if (!governs(other, of->keys[i]))
            buffer_printf(out, "%s%s %s", n++ > 0 ? ", " : "", word,
                          short_hex(cx, of->keys[i]));
    return n;
}

static void put_governance(struct cx *cx, struct buffer *out,
                           const Cohortium__Governance *a, const Cohortium__Governance *b)
{
    struct buffer keys = buffer_new(cx, DIFFERENCES_MAX);
    size_t come = put_keys(cx, &keys, b, a, "new"), gone;

    if (come > 0)
        buffer_text(&keys, "; ");
    gone = put_keys(cx, &keys, a, b, "gone");
    const char *text = buffer_string(&keys);
    if (come + gone > 0)
        buffer_printf(out, "  governance keys: %zu new, %zu gone: %s\n", come, gone,
                      text != NULL ? text : "");
    if (a->threshold != b->threshold)
        buffer_printf(out, "  governance keys that must sign: %u, before %u\n",
                      b->threshold, a->threshold);
}

/* ---- floor and ceiling ---- */

static const Cohortium__PolicyField *field(const Cohortium__Policy *p, const char *name)
{
    for (size_t i = 0; p != NULL && i < p->n_fields; i++)
        if (strcmp(p->fields[i]->name, name) == 0)
            return p->fields[i];
    return NULL;
}

static void put_value(struct buffer *out, const Cohortium__PolicyField *f)
{
    if (f == NULL)
        buffer_text(out, "none");
    else if (f->n_words == 0)
        buffer_printf(out, "%.17g", f->number);
    for (size_t i = 0; f != NULL && i < f->n_words; i++)
        buffer_printf(out, "%s%.200s", i > 0 ? ", " : "", f->words[i]);
}

/* Returns whether something was said. */
static bool put_fields(struct cx *cx, struct buffer *out, const char *what,
                       const Cohortium__Policy *a, const Cohortium__Policy *b)
{
    bool said = false;

    for (size_t i = 0; b != NULL && i < b->n_fields; i++) {
        const Cohortium__PolicyField *now = b->fields[i], *before = field(a, now->name);

        if (before != NULL && packs_alike(cx, &before->base, &now->base))
            continue;
        buffer_printf(out, "  %-8s %.100s: ", what, now->name);
        put_value(out, now);
        buffer_text(out, ", before ");
        put_value(out, before);
        buffer_text(out, "\n");
        said = true;
    }
    for (size_t i = 0; a != NULL && i < a->n_fields; i++)
        if (field(b, a->fields[i]->name) == NULL) {
            buffer_printf(out, "  %-8s %.100s: none, before ", what, a->fields[i]->name);
            put_value(out, a->fields[i]);
            buffer_text(out, "\n");
            said = true;
        }
    return said;
}

static void put_bound(struct cx *cx, struct buffer *out, const char *what,
                      const Cohortium__Policy *a, const Cohortium__Policy *b)
{
    if ((a == NULL && b == NULL) ||
        (a != NULL && b != NULL && packs_alike(cx, &a->base, &b->base)))
        return;
    if (!put_fields(cx, out, what, a, b))
        buffer_printf(out, "  %-8s %s\n", what,
                      b == NULL   ? "there is none any more"
                      : a == NULL ? "there was none before"
                                  : "its class, dates or words are others");
}

/* ---- the rest ---- */

static void put_rest(struct cx *cx, struct buffer *out, const Cohortium__Manifest *old,
                     const Cohortium__Manifest *next)
{
    Cohortium__Manifest same = *next;

    if (strcmp(old->consortium_name, next->consortium_name) != 0)
        buffer_printf(out, "  the consortium is called %.300s, before %.300s\n",
                      next->consortium_name, old->consortium_name);
    if (old->purpose != next->purpose)
        buffer_printf(out, "  its purpose: %s\n",
                      next->purpose == COHORTIUM__PURPOSE__LAB ? "a lab" : "production");
    if (old->permit_signatures != next->permit_signatures)
        buffer_printf(out, "  members whose officers must sign a permit: %u, before %u\n",
                      next->permit_signatures, old->permit_signatures);
    if (old->rows_log2 != next->rows_log2)
        buffer_printf(out, "  rows of all members together: below 2^%u, before 2^%u\n",
                      next->rows_log2, old->rows_log2);
    same.consortium_name = old->consortium_name;
    same.purpose = old->purpose;
    same.permit_signatures = old->permit_signatures;
    same.rows_log2 = old->rows_log2;
    same.version = old->version;
    same.previous = old->previous;
    same.issued_at = old->issued_at;
    same.fresh_until = old->fresh_until;
    same.valid_until = old->valid_until;
    same.reason = old->reason;
    same.governance = old->governance;
    same.n_members = old->n_members;
    same.members = old->members;
    same.floor = old->floor;
    same.ceiling = old->ceiling;
    if (!packs_alike(cx, &same.base, &old->base))
        buffer_text(out,
                    "  and more, for which this program has no words: do not sign it\n");
}

const char *manifest_differences(struct cx *cx, const Cohortium__Manifest *old,
                                 const Cohortium__Manifest *next)
{
    struct buffer out = buffer_new(cx, DIFFERENCES_MAX);

    put_members(cx, &out, old, next);
    put_governance(cx, &out, old->governance, next->governance);
    put_bound(cx, &out, "floor", old->floor, next->floor);
    put_bound(cx, &out, "ceiling", old->ceiling, next->ceiling);
    put_rest(cx, &out, old, next);
    return buffer_string(&out);
}

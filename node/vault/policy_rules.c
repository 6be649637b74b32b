/* policy_rules.c - the strictest of several, who must sign a change, and what it says. */
#include "node/vault/policy_private.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"

bool policy_allows(const struct policy *p, const char *analysis)
{
    if (p->all_allowed)
        return true;
    for (size_t i = 0; i < p->n_allowed; i++)
        if (strcmp(p->allowed[i], analysis) == 0)
            return true;
    return false;
}

int policy_compare(enum policy_field f, double a, double b)
{
    int stricter = policy_field(f)->stricter;

    if (a == b || stricter == 0)
        return 0;
    return (a > b) == (stricter > 0) ? 1 : -1;
}

bool policy_allows_more(const struct policy *after, const struct policy *before)
{
    if (before->all_allowed)
        return false;
    if (after->all_allowed)
        return true;
    for (size_t i = 0; i < after->n_allowed; i++)
        if (!policy_allows(before, after->allowed[i]))
            return true;
    return false;
}

bool policy_reviews_more(const struct policy *after, const struct policy *before)
{
    for (size_t i = 0; i < after->n_reviewed; i++)
        if (!policy_reviews(before, after->reviewed[i]))
            return true;
    return false;
}

bool policy_is_looser(const struct policy *after, const struct policy *before)
{
    for (int f = 0; f < POLICY_FIELDS; f++)
        if (policy_compare((enum policy_field)f, after->number[f], before->number[f]) < 0)
            return true;
    return (after->testing && !before->testing) || policy_allows_more(after, before) ||
           policy_reviews_more(before, after);
}

/* ---- a session's policy ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Keeps in *p what `other` allows as well. */
static enum fault intersect_allowed(struct cx *cx, struct policy *p,
                                    const struct policy *other)
{
    const struct policy *from = p->all_allowed ? other : p;
    const struct policy *with = p->all_allowed ? p : other;
    const char **list;
    size_t n = 0;

    if (p->all_allowed && other->all_allowed)
        return FAULT_NONE;
    CX_NEW(cx, list, from->n_allowed);
    for (size_t i = 0; i < from->n_allowed; i++) {
        if (!policy_allows(with, from->allowed[i]))
            continue;
        list[n] = cx_strdup(cx, from->allowed[i]);
        if (list[n++] == NULL)
            return FAULT_MEMORY;
    }
    qsort(list, n, sizeof *list, by_text);
    p->allowed = list;
    p->n_allowed = n;
    p->all_allowed = false;
    return FAULT_NONE;
}

static enum fault tighten(struct cx *cx, struct policy *p, const struct policy *other)
{
    for (int f = 0; f < POLICY_FIELDS; f++) {
        bool form = policy_field((enum policy_field)f)->stricter == 0;

        if (form ? other->number[f] > p->number[f]
                 : policy_compare((enum policy_field)f, other->number[f], p->number[f]) > 0)
            p->number[f] = other->number[f];
    }
    p->testing = p->testing && other->testing;
    return intersect_allowed(cx, p, other);
}

static bool is_of_noise(int f)
{
    return f >= POLICY_NOISE_MECHANISM && f <= POLICY_MAX_ROWS_PER_PATIENT;
}

/* Not stricter than the ceiling: one member cannot stop the others' research by a number.
 * A ceiling without noise says nothing of it: where a site answers with noise, no ceiling
 * makes it answer exactly. */
static void limit(struct policy *p, const struct policy *ceiling)
{
    bool noise = ceiling->number[POLICY_NOISE_MECHANISM] >= 1;

    if (ceiling->testing && !p->testing)
        return; /* its numbers are of another class */
    for (int f = 0; f < POLICY_FIELDS; f++)
        if ((noise || !is_of_noise(f)) &&
            policy_compare((enum policy_field)f, p->number[f], ceiling->number[f]) > 0)
            p->number[f] = ceiling->number[f];
}

enum fault policy_session(struct cx *cx, const struct manifest *m,
                          const struct policy *const *sites, size_t n, struct policy *ret)
{
    struct policy p, bound;
    bool lab = manifest_is_lab(m);

    if (n == 0)
        return cx_fail(cx, FAULT_INVALID, "policy of a session without sites");
    p = *sites[0];
    p.not_before = p.not_after = 0;
    p.n_reviewed = 0;
    p.reviewed = NULL;
    for (size_t i = 0; i < n; i++) /* the first with itself: its list gets sorted as well */
        TRY(tighten(cx, &p, sites[i]));
    if (m->body->ceiling != NULL) {
        if (policy_open(cx, m->body->ceiling, lab, &bound) != FAULT_NONE)
            return cx_prefix(cx, "manifest's ceiling: ");
        limit(&p, &bound);
    }
    if (m->body->floor != NULL) {
        if (policy_open(cx, m->body->floor, lab, &bound) != FAULT_NONE)
            return cx_prefix(cx, "manifest's floor: ");
        TRY(tighten(cx, &p, &bound));
    }
    *ret = p;
    return FAULT_NONE;
}

/* ---- signatures ---- */

size_t policy_officers_needed(const struct policy *after, const struct policy *before,
                              bool one_officer)
{
    return (before == NULL || policy_is_looser(after, before)) && !one_officer ? 2 : 1;
}

static enum fault count_officers(struct cx *cx, const Cohortium__Member *member,
                                 const struct envelope *e, size_t *ret)
{
    const uint8_t **keys;

    CX_NEW(cx, keys, member->n_officers);
    for (size_t i = 0; i < member->n_officers; i++)
        keys[i] = member->officers[i]->key.data;
    *ret = envelope_count_signers(e, keys, member->n_officers);
    return FAULT_NONE;
}

static enum fault check_any_signer(struct cx *cx, const Cohortium__Member *member,
                                   const struct envelope *e)
{
    size_t have;

    TRY(count_officers(cx, member, e, &have));
    return have > 0 ? FAULT_NONE
                    : cx_fail(cx, FAULT_DENIED,
                              "policy: no signature of an officer of %s holds for these bytes; "
                              "sign it with `cohortiumd policy sign`",
                              member->name);
}

static enum fault check_signers(struct cx *cx, const Cohortium__Member *member,
                                const struct envelope *e, const struct policy *after,
                                const struct policy *before)
{
    bool looser = before == NULL || policy_is_looser(after, before);
    size_t need = policy_officers_needed(after, before, member->one_officer), have;

    TRY(count_officers(cx, member, e, &have));
    if (have >= need)
        return FAULT_NONE;
    return cx_fail(cx, FAULT_DENIED,
                   "policy: signed by %zu of %s's officers, and %zu must sign %s:\n%s",
                   have, member->name, need,
                   before == NULL ? "the first policy"
                   : looser       ? "one that lets more out than the one in force"
                                  : "a change",
                   before == NULL ? "cosign it with another officer's key\n"
                                  : policy_difference(cx, before, after));
}

static enum fault check_dates(struct cx *cx, const struct policy *p, int64_t now)
{
    char text[32];

    if (p->not_after > INT64_MAX || p->not_before >= p->not_after)
        return cx_fail(cx, FAULT_INVALID, "policy: it ends before it begins");
    if (now > (int64_t)p->not_after)
        return cx_fail(
            cx, FAULT_EXPIRED,
            "policy: expired %s; sign and apply a new one with `cohortiumd policy "
            "apply`",
            clock_format((int64_t)p->not_after, text, sizeof text));
    if (now + CLOCK_SKEW_MS < (int64_t)p->not_before)
        return cx_fail(cx, FAULT_EXPIRED, "policy: begins %s; apply it then",
                       clock_format((int64_t)p->not_before, text, sizeof text));
    return FAULT_NONE;
}

enum fault policy_verify(struct cx *cx, const struct manifest *m,
                         const Cohortium__Member *member, struct bytes packed,
                         const struct policy *before, int64_t now, struct policy *ret,
                         const Cohortium__Policy **ret_body)
{
    struct envelope e;
    Cohortium__Policy *body;
    struct policy p;

    TRY(envelope_open(cx, ENVELOPE_POLICY, packed, &e));
    TRY(check_any_signer(cx, member, &e)); /* nobody else's bytes are read any further */
    TRY(pb_unpack(cx, &cohortium__policy__descriptor, e.body,
                  envelope_bound(ENVELOPE_POLICY), &body));
    if (!bytes_equal(PB_BYTES(body->node_id), PB_BYTES(member->node_id)))
        return cx_fail(cx, FAULT_DENIED, "policy: it is not %s's; each node has its own",
                       member->name);
    TRY(policy_open(cx, body, manifest_is_lab(m), &p));
    if (body->reason[strspn(body->reason, " \t\r\n")] == '\0')
        return cx_fail(cx, FAULT_INVALID,
                       "policy: it gives no reason, and the history must show why it changes; "
                       "add a line `reason: ...`");
    TRY(check_signers(cx, member, &e, &p, before));
    TRY(check_dates(cx, &p, now));
    *ret = p;
    *ret_body = body;
    return FAULT_NONE;
}

/* ---- in words ---- */

enum { WORDS_BYTES_MAX = 64 * 1024 };

void policy_put_value(struct buffer *b, enum policy_field f, double x)
{
    const struct policy_field_info *info = policy_field(f);

    if (info->words[0] != NULL && x >= 0 && x < POLICY_WORDS_MAX &&
        info->words[(size_t)x] != NULL)
        buffer_text(b, info->words[(size_t)x]);
    else
        buffer_printf(b, "%.10g", x);
}

void policy_put_allowed(struct buffer *b, const struct policy *p)
{
    if (p->all_allowed || p->n_allowed == 0)
        buffer_text(b, p->all_allowed ? "all" : "none");
    else
        for (size_t i = 0; i < p->n_allowed; i++)
            buffer_printf(b, "%s%s", i > 0 ? ", " : "", p->allowed[i]);
}

void policy_put_reviewed(struct buffer *b, const struct policy *p)
{
    if (p->n_reviewed == 0)
        buffer_text(b, "none");
    for (size_t i = 0; i < p->n_reviewed; i++)
        buffer_printf(b, "%s%s", i > 0 ? ", " : "", p->reviewed[i]);
}

const char *policy_words(struct cx *cx, const struct policy *p)
{
    struct buffer b = buffer_new(cx, WORDS_BYTES_MAX);

    buffer_printf(&b, "class: %s\n",
                  p->testing ? "testing - EXACT ANSWERS, NO PROTECTION: lab data only"
                             : "cautious");
    for (int f = 0; f < POLICY_FIELDS; f++) {
        buffer_printf(&b, "%s: ", policy_field((enum policy_field)f)->name);
        policy_put_value(&b, (enum policy_field)f, p->number[f]);
        buffer_printf(&b, "\n    %s\n", policy_field((enum policy_field)f)->meaning);
    }
    buffer_text(&b, "allowed_statistics: ");
    policy_put_allowed(&b, p);
    buffer_text(&b, "\n    Which analyses are answered.\nreviewed_statistics: ");
    policy_put_reviewed(&b, p);
    buffer_text(&b, "\n    Of which analyses an officer here looks at each answer before it "
                    "leaves.\n");
    const char *text = buffer_string(&b);

    return text != NULL ? text : "out of memory";
}

const char *policy_difference(struct cx *cx, const struct policy *a, const struct policy *b)
{
    struct buffer out = buffer_new(cx, WORDS_BYTES_MAX);

    if (a->testing != b->testing)
        buffer_printf(&out, "class: %s -> %s\n", a->testing ? "testing" : "cautious",
                      b->testing ? "testing (looser)" : "cautious (stricter)");
    for (int f = 0; f < POLICY_FIELDS; f++) {
        int way = policy_compare((enum policy_field)f, b->number[f], a->number[f]);

        if (a->number[f] == b->number[f])
            continue;
        buffer_printf(&out, "%s: ", policy_field((enum policy_field)f)->name);
        policy_put_value(&out, (enum policy_field)f, a->number[f]);
        buffer_text(&out, " -> ");
        policy_put_value(&out, (enum policy_field)f, b->number[f]);
        buffer_text(&out, way > 0 ? " (stricter)\n" : way < 0 ? " (looser)\n" : "\n");
    }
    bool wider = policy_allows_more(b, a), narrower = policy_allows_more(a, b);

    if (wider || narrower) {
        buffer_text(&out, "allowed_statistics: ");
        policy_put_allowed(&out, a);
        buffer_text(&out, " -> ");
        policy_put_allowed(&out, b);
        buffer_text(&out, wider ? " (looser)\n" : " (stricter)\n");
    }
    bool more = policy_reviews_more(b, a), less = policy_reviews_more(a, b);

    if (more || less) {
        buffer_text(&out, "reviewed_statistics: ");
        policy_put_reviewed(&out, a);
        buffer_text(&out, " -> ");
        policy_put_reviewed(&out, b);
        buffer_text(&out, less ? " (looser)\n" : " (stricter)\n");
    }
    if (out.n == 0)
        buffer_text(&out, "no number changes\n");
    const char *text = buffer_string(&out);

    return text != NULL ? text : "out of memory";
}

/*
 * desk_ledger.c - how full the memory of what was released is, for officers, and parting from a
 * circle one of whom has left. By data set
 * and permit, and the highest leverage as a number. No patient can be told from it, and
 * other sites' numbers are cut to two digits.
 */
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "node/finding.h"
#include "node/vault/desk.h"

enum { JSON_MAX = 4 * 1024 * 1024, TITLE_MAX = 60, PART_WAIT_MS = 5000 };

struct reading {
    struct memory_name *names;
    size_t n;
    struct memory_use *uses;
    struct permits {
        struct bytes id, packed;
    } * permits; /* as they come; packed empty: not here any more */
    size_t n_permits;
};

static enum fault read_permits(struct cx *cx, sqlite3 *sql, struct reading *r,
                               const struct memory_use *use)
{
    for (size_t i = 0; i < use->n_shares; i++) {
        struct permits *p = &r->permits[r->n_permits];

        *p = (struct permits){.id = bytes_of(use->shares[i].permit, ID_BYTES)};
        enum fault fault = use->shares[i].known
                               ? permits_find(cx, sql, use->shares[i].permit, &p->packed)
                               : FAULT_MISSING;
        if (fault == FAULT_MISSING)
            p->packed = (struct bytes){0};
        else
            TRY(fault);
        r->n_permits++;
    }
    return FAULT_NONE;
}

static enum fault read_all(struct cx *cx, sqlite3 *sql, void *user)
{
    struct reading *r = user;
    size_t shares = 0;

    TRY(memory_names(cx, sql, &r->names, &r->n));
    CX_NEW(cx, r->uses, r->n);
    for (size_t i = 0; i < r->n; i++) {
        TRY(memory_use(cx, sql, &r->names[i], &r->uses[i]));
        shares += r->uses[i].n_shares;
    }
    CX_NEW(cx, r->permits, shares);
    for (size_t i = 0; i < r->n; i++)
        TRY(read_permits(cx, sql, r, &r->uses[i]));
    return FAULT_NONE;
}

/* ---- one data set ---- */

struct page {
    struct desk *d;
    struct buffer json;
    double limit; /* of a leverage; 0: no policy is in force */
    size_t n;     /* data sets so far */
    const struct permits *next;
};

static const char *title_of(struct cx *cx, const struct permits *p)
{
    struct envelope e;
    Cohortium__Permit *body;

    if (p->packed.n == 0 ||
        envelope_open(cx, ENVELOPE_PERMIT, p->packed, &e) != FAULT_NONE ||
        pb_unpack(cx, &cohortium__permit__descriptor, e.body,
                  envelope_bound(ENVELOPE_PERMIT), &body) != FAULT_NONE)
        return NULL;
    return body->title;
}

static void put_share(struct page *page, const struct memory_share *s, bool first)
{
    struct desk *d = page->d;
    const char *title = title_of(d->cx, page->next);
    const char *id = s->known ? bytes_hex(d->cx, s->permit, ID_BYTES) : "";

    id = id != NULL ? id : "";
    if (s->known)
        buffer_printf(&d->text, "  %-13s %" PRIu64 "  permit %s %s%s%s\n",
                      first ? "by permit" : "", s->columns, id, title != NULL ? "\"" : "",
                      title != NULL ? title : "that this node no longer has",
                      title != NULL ? "\"" : "");
    else
        buffer_printf(&d->text, "  %-13s %" PRIu64 "  from before permits were noted\n",
                      first ? "by permit" : "", s->columns);
    buffer_printf(&page->json, "%s{\"columns\":%" PRIu64, first ? "" : ",", s->columns);
    json_pair(&page->json, "permit", id);
    json_pair(&page->json, "title", title != NULL ? title : "");
    buffer_text(&page->json, "}");
    page->next++;
}

static void put_members(struct page *page, const struct memory_use *use)
{
    struct desk *d = page->d;

    if (use->n_members == 0)
        buffer_text(&d->text, "  judged by     this site's own patients alone\n");
    else
        buffer_text(&d->text, "  judged by     the patients of ");
    buffer_printf(&page->json, ",\"alone\":%s,\"members\":[",
                  use->n_members == 0 ? "true" : "false");
    for (size_t i = 0; i < use->n_members; i++) {
        const Cohortium__Member *m = manifest_find(d->v->manifest, use->members[i]);
        const char *name = m != NULL ? m->name : "a member that left";

        buffer_printf(&d->text, "%s%s", i > 0 ? ", " : "", name);
        buffer_printf(&page->json, "%s\"%s\"", i > 0 ? "," : "", name);
    }
    buffer_text(&d->text, use->n_members == 0 ? "" : " together\n");
    buffer_text(&page->json, "]");
}

static void put_capacity(struct page *page, const struct memory_use *use)
{
    struct buffer *text = &page->d->text;
    uint64_t most = use->largest > use->people ? use->largest : use->people;
    uint64_t about = memory_about(most);
    uint64_t capacity = memory_capacity(about, page->limit);

    buffer_printf(text, "  patients      %" PRIu64 " of this site so far", use->people);
    if (use->n_members > 0)
        buffer_printf(text, "; at least about %" PRIu64 " of all these sites", about);
    buffer_text(text, "\n");
    buffer_printf(&page->json,
                  ",\"patients_here\":%" PRIu64 ",\"patients_about\":%" PRIu64
                  ",\"columns\":%" PRIu64 ",\"capacity\":%" PRIu64,
                  use->people, about, use->columns, capacity);
    buffer_printf(text, "  columns       %" PRIu64, use->columns);
    if (capacity > 0)
        buffer_printf(text, " of about %" PRIu64 ": %.0f %% is used", capacity,
                      100 * (double)use->columns / (double)capacity);
    buffer_text(text, "\n");
}

static void put_highest(struct page *page, double highest)
{
    struct buffer *text = &page->d->text;

    buffer_printf(text, "  highest       leverage of a patient here: %.3f", highest);
    if (page->limit > 0)
        buffer_printf(text, "; no question may take one above %.3g%s", page->limit,
                      highest > page->limit ? ", as some policy before this one let" : "");
    buffer_text(text, "\n");
    buffer_printf(&page->json, ",\"highest\":%.3f", highest);
}

static enum fault put_dataset(struct page *page, const struct memory_name *name,
                              const struct memory_use *use)
{
    struct desk *d = page->d;
    struct memory *m;
    double highest;

    TRY(memory_open_named(d->cx, &d->v->memories, d->v->db, name->name_space, name->dataset,
                          &m));
    TRY(memory_highest(d->cx, m, d->v->db, &highest));
    bool named = name->name_space[0] != '\0';
    buffer_printf(&d->text, "%s%s%s%s%s\n", page->n > 0 ? "\n" : "", name->dataset,
                  named ? ", patients of \"" : "", name->name_space, named ? "\"" : "");
    buffer_text(&page->json, page->n++ > 0 ? ",{" : "{");
    buffer_printf(&page->json, "\"dataset\":\"%s\"", name->dataset);
    json_pair(&page->json, "namespace", name->name_space);
    put_members(page, use);
    put_capacity(page, use);
    put_highest(page, highest);
    buffer_text(&page->json, ",\"permits\":[");
    for (size_t i = 0; i < use->n_shares; i++)
        put_share(page, &use->shares[i], i == 0);
    buffer_text(&page->json, "]}");
    return FAULT_NONE;
}

/* ---- what nothing was released of; the policy ---- */

static bool is_held(const struct reading *r, const char *dataset)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->names[i].dataset, dataset) == 0)
            return true;
    return false;
}

static enum fault put_others(struct page *page, const struct reading *r)
{
    struct desk *d = page->d;
    struct store_row *rows;
    size_t n;

    TRY(store_list(d->cx, d->v->store, false, &rows, &n));
    for (size_t i = 0; i < n; i++)
        if (!is_held(r, rows[i].name) &&
            (i == 0 || strcmp(rows[i].name, rows[i - 1].name) != 0))
            buffer_printf(&d->text, "%s: nothing of it is remembered yet\n", rows[i].name);
    if (r->n == 0 && n == 0)
        buffer_text(&d->text, "nothing is remembered: no data set is here yet\n");
    return FAULT_NONE;
}

static void put_policy(struct page *page)
{
    struct desk *d = page->d;
    const struct policy_now *now;

    if (vault_policy(d->cx, d->v, &now) != FAULT_NONE) {
        buffer_printf(&d->text, "NOT IN FORCE: %s\n", cx_message(d->cx));
        return;
    }
    if (now->numbers.testing)
        buffer_text(&d->text,
                    "class testing: exact answers, of which nothing is remembered\n");
    else if (policy_is_noised(&now->numbers))
        buffer_text(&d->text,
                    "noise_mechanism: answers are noised and add nothing here; see "
                    "`cohortiumd policy spent`\n");
    if (!now->numbers.testing)
        page->limit = 2 / now->numbers.number[POLICY_MINIMUM_FREQUENCY_THRESHOLD];
}

enum fault desk_ledger_report(struct desk *d)
{
    struct page page = {.d = d, .json = buffer_new(d->cx, JSON_MAX)};
    struct reading r = {0};

    TRY(db_read(d->cx, d->v->db, read_all, &r));
    page.next = r.permits;
    put_policy(&page);
    buffer_printf(&page.json, "{\"cohortium\":1,\"limit\":%.6g,\"datasets\":[", page.limit);
    for (size_t i = 0; i < r.n; i++)
        TRY(put_dataset(&page, &r.names[i], &r.uses[i]));
    TRY(put_others(&page, &r));
    buffer_text(&page.json, "]}");
    d->reply->json = buffer_string(&page.json);
    return d->reply->json != NULL ? FAULT_NONE : FAULT_MEMORY;
}

/* ---- parting ---- */

/* Names of those of the circle who have left; FAULT_CONFLICT: nobody has. */
static enum fault who_left(struct desk *d, const char *dataset, struct memory *m,
                           size_t *ret_left)
{
    uint8_t(*members)[32];
    size_t n;

    TRY(memory_circle(d->cx, m, &members, &n));
    *ret_left = 0;
    for (size_t i = 0; i < n; i++)
        *ret_left += manifest_find(d->v->manifest, members[i]) == NULL;
    if (n == 0)
        return cx_fail(d->cx, FAULT_CONFLICT,
                       "this site judges \"%s\" alone: there is nobody to part from", dataset);
    if (*ret_left == 0)
        return cx_fail(d->cx, FAULT_CONFLICT,
                       "all who are asked about \"%s\" together with this site are members of "
                       "the consortium: there is nobody to part from", dataset);
    return FAULT_NONE;
}

enum fault desk_ledger_part(struct desk *d)
{
    AUTO_DATASET struct dataset *data = NULL;
    const char *dataset, *reason;
    uint8_t nobody[DIGEST_BYTES];
    struct memory *m;
    uint64_t lease;
    size_t left;

    TRY(desk_word(d, 0, "a dataset's name", &dataset));
    TRY(desk_reason(d, 1, &reason));
    TRY(store_current(d->cx, d->v->store, dataset, &data));
    TRY(memory_open(d->cx, &d->v->memories, d->v->db, data->cb, &m));
    TRY(who_left(d, dataset, m, &left));
    struct desk_act a = desk_act(
        "part", cx_printf(d->cx, "%s is judged alone from now on, reason: %s", dataset, reason));

    randombytes_buf(nobody, sizeof nobody);
    TRY(memory_lease(d->cx, m, nobody, PART_WAIT_MS, &lease));
    TRY(memory_part(d->cx, m, d->v->db, lease, desk_log, &a));
    buffer_printf(&d->text,
                  "%s: %zu of those who were asked together with this site have left; it judges by "
                  "its own patients alone from now on, by all that was released before\n",
                  dataset, left);
    return FAULT_NONE;
}

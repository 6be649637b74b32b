/*
 * desk_explain.c - why an answer was not released, for officers: the record under the
 * reference that the researcher was given, its rules in plain words, what can be done.
 *
 * A record's text is "QUESTION; [by site; ]NOT_RELEASED, reference HEX; REASON[; note:
 * NOTE]". The note is the researcher's own: nothing behind it is believed.
 */
#include <inttypes.h>
#include <string.h>

#include "node/vault/desk.h"
#include "node/vault/people.h"
#include "node/vault/rules.h"
#include "protocol/base/clock.h"

enum { REFERENCE_DIGITS = 16, COLUMN = 14, RULES_MAX = 16 };

static const char NOTE[] = "; note: ", BY_SITE[] = "; by site";

struct explained {
    const char *reference; /* NULL: by number */
    uint64_t number;
    struct audit_entry entry;
    const char *who, *question, *reason, *note; /* note: NULL where there is none */
    struct bytes permit;                        /* packed; empty: not here */
};

/* ---- found ---- */

static enum fault find(struct cx *cx, sqlite3 *sql, void *user)
{
    struct explained *x = user;

    TRY(x->reference != NULL ? audit_find_reference(cx, sql, x->reference, &x->entry)
                             : audit_find(cx, sql, x->number, &x->entry));
    TRY(people_name(cx, sql, PB_BYTES(x->entry.record->who), &x->who));
    enum fault fault = x->entry.record->permit.len == ID_BYTES
                           ? permits_find(cx, sql, x->entry.record->permit.data, &x->permit)
                           : FAULT_MISSING;
    if (fault == FAULT_MISSING)
        x->permit = (struct bytes){0};
    return fault == FAULT_MISSING ? FAULT_NONE : fault;
}

static const char *part(struct cx *cx, const char *from, size_t n)
{
    return cx_printf(cx, "%.*s", (int)n, from);
}

static enum fault take_apart(struct cx *cx, struct explained *x)
{
    const char *text = x->entry.details, *refused = strstr(text, AUDIT_REFUSED_AS);
    const char *note = strstr(refused != NULL ? refused : text, NOTE);
    size_t end = note != NULL ? (size_t)(note - text) : strlen(text);

    if (refused == NULL) {
        x->question = "";
        x->reason = part(cx, text, end);
    } else {
        size_t n = (size_t)(refused - text), by_site = sizeof BY_SITE - 1;
        const char *reason = refused + strlen(AUDIT_REFUSED_AS) + REFERENCE_DIGITS;

        n -= n >= 2 ? 2 : 0; /* "; " */
        if (n >= by_site && strncmp(text + n - by_site, BY_SITE, by_site) == 0)
            n -= by_site;
        reason += strspn(reason, "; ");
        x->question = part(cx, text, n);
        x->reason = part(cx, reason, end - (size_t)(reason - text));
    }
    x->note = note != NULL ? note + sizeof NOTE - 1 : NULL;
    return x->question != NULL && x->reason != NULL ? FAULT_NONE : FAULT_MEMORY;
}

/* ---- put ---- */

static const char *permit_words(struct desk *d, const struct explained *x)
{
    struct envelope e;
    Cohortium__Permit *body;

    if (x->permit.n == 0 ||
        envelope_open(d->cx, ENVELOPE_PERMIT, x->permit, &e) != FAULT_NONE ||
        pb_unpack(d->cx, &cohortium__permit__descriptor, e.body,
                  envelope_bound(ENVELOPE_PERMIT), &body) != FAULT_NONE)
        return "none that this node has";
    const char *words = cx_printf(
        d->cx, "%s \"%s\"", bytes_hex(d->cx, body->id.data, body->id.len), body->title);

    return words != NULL ? words : "";
}

static void put_record(struct desk *d, const struct explained *x)
{
    const Cohortium__LogRecord *r = x->entry.record;
    char at[32];
    const char *when =
        cx_printf(d->cx, "%s, record %" PRIu64 " of this site's log",
                  clock_format((int64_t)r->time, at, sizeof at), x->entry.index);

    buffer_printf(&d->text, "%s %s\n", r->kind, r->decision);
    rule_put_wrapped(&d->text, "  when", COLUMN, when != NULL ? when : "");
    rule_put_wrapped(&d->text, "  asked by", COLUMN, x->who);
    rule_put_wrapped(&d->text, "  permit", COLUMN, permit_words(d, x));
    if (x->question[0] != '\0')
        rule_put_wrapped(&d->text, "  question", COLUMN, x->question);
    if (x->note != NULL)
        rule_put_wrapped(&d->text, "  their note", COLUMN, x->note);
    rule_put_wrapped(&d->text, "  reason", COLUMN, x->reason);
}

static void put_here(struct desk *d, const struct rule *r)
{
    const struct policy_now *now;
    struct buffer b = buffer_new(d->cx, 256);

    if (r->field < 0 || vault_policy(d->cx, d->v, &now) != FAULT_NONE)
        return;
    enum policy_field f = (enum policy_field)r->field;
    buffer_printf(&b, "%s is ", policy_field(f)->name);
    policy_put_value(&b, f, now->numbers.number[f]);
    buffer_text(&b, " here and now; a question goes by the strictest of its sites");
    const char *text = buffer_string(&b);

    rule_put_wrapped(&d->text, "  policy", COLUMN, text != NULL ? text : "");
}

static void put_rules(struct desk *d, const struct explained *x)
{
    const struct rule *list[RULES_MAX];
    size_t n = rules_in(x->reason, list, RULES_MAX);

    for (size_t i = 0; i < n; i++) {
        buffer_text(&d->text, "\n");
        rule_put(&d->text, list[i]);
        put_here(d, list[i]);
    }
    if (strncmp(x->reason, "another site objected", 21) == 0 && n == 0)
        buffer_text(
            &d->text,
            "\nThis site did not object. The reason is in another site's log, under "
            "the same reference:\nits officers see it with the same command. Nobody "
            "is told which site it is.\n");
    if (x->reference != NULL)
        buffer_text(
            &d->text,
            "\nFor officers. The researcher hears that some rule withheld the answer, "
            "never which: rule, site\nor size would tell of the patients that are "
            "protected. Advice in general may be given: larger\ngroups, coarser grids, "
            "fewer variables.\n");
}

/* A reference, or the number of a record. */
enum fault desk_explain(struct desk *d)
{
    struct explained x = {0};

    TRY(desk_word(d, 0, "the reference of an answer that was not released", &x.reference));
    if (strlen(x.reference) < REFERENCE_DIGITS &&
        strspn(x.reference, "0123456789") == strlen(x.reference)) {
        TRY(desk_count(d, 0, "a reference, or the number of a record", &x.number));
        x.reference = NULL;
    }
    TRY(db_read(d->cx, d->v->db, find, &x));
    TRY(take_apart(d->cx, &x));
    put_record(d, &x);
    put_rules(d, &x);
    return FAULT_NONE;
}

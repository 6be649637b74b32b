/*
 * desk_simulate.c - `policy simulate`: past questions under another policy, as a table and
 * as JSON.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/vault/desk.h"
#include "node/vault/simulate.h"
#include "protocol/base/clock.h"

enum { JSON_MAX = 8 * 1024 * 1024, SHOWN_MAX = 1000, REFERENCE_WIDTH = 16 };

static const char *const outcomes[SIMULATED_OUTCOMES] = {
    [SIMULATED_SAME] = "same",
    [SIMULATED_RELEASED] = "newly released",
    [SIMULATED_REFUSED] = "newly refused",
    [SIMULATED_CHANGED] = "changed",
    [SIMULATED_POOL] = "the pool decides",
    [SIMULATED_UNKNOWN] = "not judged",
};
static const char *const bases[] = {[SIMULATED_FORM] = "form",
                                    [SIMULATED_OWN] = "own",
                                    [SIMULATED_PART] = "part"};

static enum fault current(struct cx *cx, sqlite3 *sql, void *user)
{
    return policies_current(cx, sql, user);
}

/* Whether or not its days have come: numbers are compared. */
enum fault desk_open_in_force(struct desk *d, struct policy *ret, uint64_t *ret_serial)
{
    Cohortium__Policy *body;
    struct bytes packed;
    struct envelope e;

    TRY(db_read(d->cx, d->v->db, current, &packed));
    TRY(envelope_open(d->cx, ENVELOPE_POLICY, packed, &e));
    TRY(pb_unpack(d->cx, &cohortium__policy__descriptor, e.body,
                  envelope_bound(ENVELOPE_POLICY), &body));
    *ret_serial = body->serial;
    return policy_open(d->cx, body, manifest_is_lab(d->v->manifest), ret);
}

enum fault desk_open_other(struct desk *d, struct policy *ret)
{
    Cohortium__Policy *body;
    struct bytes packed;

    TRY(desk_blob(d, 0, "a policy", &packed));
    TRY(pb_unpack(d->cx, &cohortium__policy__descriptor, packed,
                  envelope_bound(ENVELOPE_POLICY), &body));
    return policy_open(d->cx, body, manifest_is_lab(d->v->manifest), ret);
}

/* ---- the rule ---- */

static bool begins_word(const char *text, const char *p)
{
    return p == text || strchr(" ;:(,", p[-1]) != NULL;
}

/* "R12", "0.4" at p; how long, or 0. */
static size_t rule_at(const char *text, const char *p)
{
    size_t digits;

    if (!begins_word(text, p))
        return 0;
    if (*p == 'R' && (digits = strspn(p + 1, "0123456789")) > 0)
        return 1 + digits;
    if (strncmp(p, "0.", 2) == 0 && (digits = strspn(p + 2, "0123456789")) > 0)
        return 2 + digits;
    return 0;
}

/* The numbers of the rules in a sentence of the log, each once; else its first word, as in
 * "local_minimum: ...". */
void desk_find_rules(const char *why, char ret[DESK_RULES_MAX])
{
    size_t n = 0;

    for (const char *p = why; *p != '\0'; p++) {
        size_t k = rule_at(why, p);
        char rule[16];

        if (k == 0 || k >= sizeof rule || n + k + 2 > DESK_RULES_MAX)
            continue;
        memcpy(rule, p, k);
        rule[k] = '\0';
        ret[n] = '\0';
        const char *known = n > 0 ? strstr(ret, rule) : NULL;
        if (known != NULL && (known[k] == '\0' || known[k] == ' '))
            continue;
        if (n > 0)
            ret[n++] = ' ';
        memcpy(ret + n, rule, k);
        n += k;
    }
    if (n == 0) {
        n = strcspn(why, ":; ");
        n = why[n] == ':' && n < DESK_RULES_MAX - 1 ? n : 0;
        memcpy(ret, why, n);
    }
    ret[n] = '\0';
}

/* What decides: of a refusal or a loss the rule of who withholds more. */
static const struct simulated_verdict *decisive(const struct simulated *q)
{
    if (q->outcome == SIMULATED_RELEASED ||
        (q->outcome == SIMULATED_CHANGED && q->in_force.withheld > q->other.withheld))
        return &q->in_force;
    return &q->other;
}

/* Not the same, and it is known how. */
static bool is_shown(const struct simulated *q)
{
    return q->outcome != SIMULATED_SAME && q->outcome != SIMULATED_POOL;
}

/* ---- JSON ---- */

static void put_verdict(struct buffer *out, const char *name,
                        const struct simulated_verdict *v)
{
    buffer_printf(out, ",\"%s\":{\"judged\":%s,\"released\":%s,\"given\":%zu,\"withheld\":%zu",
                  name, v->known ? "true" : "false", v->released ? "true" : "false", v->given,
                  v->withheld);
    json_pair(out, "by", v->known ? bases[v->basis] : "");
    json_pair(out, "why", v->why);
    buffer_text(out, "}");
}

static void put_question(struct buffer *out, struct cx *cx, const struct simulated *q)
{
    const char *permit = bytes_hex(cx, q->permit.p, q->permit.n);
    char rules[DESK_RULES_MAX];

    desk_find_rules(decisive(q)->why, rules);
    buffer_printf(out, "{\"record\":%" PRIu64 ",\"asked_ms\":%" PRId64 ",\"times\":%" PRIu64,
                  q->record, q->asked_at, q->times);
    json_pair(out, "reference", q->reference);
    json_pair(out, "outcome", outcomes[q->outcome]);
    json_pair(out, "rule", is_shown(q) ? rules : "");
    json_pair(out, "analysis", q->question->analysis);
    json_pair(out, "dataset", q->question->dataset);
    json_pair(out, "permit", permit != NULL ? permit : "");
    json_pair(out, "question", q->words);
    json_pair(out, "then", q->released ? "released" : "not_released");
    buffer_printf(out, ",\"pooled\":%s", q->question->by_site ? "false" : "true");
    put_verdict(out, "in_force", &q->in_force);
    put_verdict(out, "new", &q->other);
    buffer_text(out, "}");
}

static enum fault put_json(struct desk *d, const struct simulation *s, uint64_t serial)
{
    struct buffer out = buffer_new(d->cx, JSON_MAX);

    buffer_printf(&out,
                  "{\"cohortium\":1,\"in_force\":%" PRIu64 ",\"records\":%" PRIu64
                  ",\"lost\":%" PRIu64 ",\"cut\":%s,\"summary\":{\"questions\":%zu",
                  serial, s->records, s->lost, s->cut ? "true" : "false", s->n);
    static const char *const keys[SIMULATED_OUTCOMES] = {
        "same",    "newly_released",   "newly_refused",
        "changed", "the_pool_decides", "not_judged"};
    for (size_t i = 0; i < COUNT(keys); i++)
        buffer_printf(&out, ",\"%s\":%zu", keys[i], s->counts[i]);
    buffer_text(&out, "},\"questions\":[");
    for (size_t i = 0; i < s->n; i++) {
        if (i > 0)
            buffer_text(&out, ",");
        put_question(&out, d->cx, &s->list[i]);
    }
    buffer_text(&out, "]}");
    d->reply->json = buffer_string(&out);
    return d->reply->json != NULL ? FAULT_NONE : out.fault;
}

/* ---- text ---- */

static void put_side(struct desk *d, const char *name, const struct simulated_verdict *v)
{
    buffer_printf(&d->text, "    %-9s %s%s", name,
                  !v->known      ? "not judged: "
                  : v->released ? "released"
                                 : "refused: ",
                  v->known && v->released ? ", " : "");
    if (v->known && v->released && v->basis != SIMULATED_FORM)
        buffer_printf(&d->text, "%zu values given, %zu withheld; ", v->given, v->withheld);
    buffer_printf(&d->text, "%s\n", v->why);
}

static void put_row(struct desk *d, const struct simulated *q)
{
    const struct simulated_verdict *by = decisive(q);
    const char *permit = bytes_hex(d->cx, q->permit.p, q->permit.n < 4 ? q->permit.n : 4);
    char rules[DESK_RULES_MAX], name[REFERENCE_WIDTH + 8];

    desk_find_rules(by->why, rules);
    (void)snprintf(name, sizeof name, "record %" PRIu64, q->record);
    buffer_printf(&d->text, "%-16s %-16s %-10s %-8s %-5s %s\n", outcomes[q->outcome],
                  q->reference[0] != '\0' ? q->reference : name, q->question->analysis,
                  permit != NULL ? permit : "", by->known ? bases[by->basis] : "-", rules);
    buffer_printf(&d->text, "    %s%s\n", q->words,
                  q->times > 1 ? cx_printf(d->cx, " (%" PRIu64 " times)", q->times) : "");
    put_side(d, "in force", &q->in_force);
    put_side(d, "NEW", &q->other);
}

static void put_what_it_is_not(struct desk *d, const struct simulation *s)
{
    size_t parts = 0;

    for (size_t i = 0; i < s->n; i++)
        parts += !s->list[i].question->by_site;
    buffer_text(&d->text,
                "\nJudged on this site's rows as they are now, in the order in which they "
                "were first asked, as if\nnothing had been released before the first. "
                "Nothing left, nothing was charged or written.\n"
                "Permits, budgets and who asked are no part of a policy and were not "
                "judged.\n");
    if (parts > 0)
        buffer_printf(
            &d->text,
            "%zu of the %zu are POOLED questions. This site can judge its own patients only "
            "(`part`): with the\nothers' patients more may leave than here, and another "
            "site's policy may be stricter than NEW.\nWhat is judged by `form` or `own` is "
            "certain as far as this site is concerned.\n",
            parts, s->n);
    if (s->lost > 0)
        buffer_printf(&d->text,
                      "%" PRIu64 " records name a question that is not kept.\n",
                      s->lost);
    if (s->cut)
        buffer_text(&d->text, "The log holds more questions; only the newest were judged.\n");
}

static void put_text(struct desk *d, const struct simulation *s, uint64_t serial)
{
    size_t shown = 0;

    buffer_printf(&d->text,
                  "policy %" PRIu64 " in force against NEW: %" PRIu64
                  " records of the log, %zu different questions\n\n",
                  serial, s->records, s->n);
    for (size_t i = SIMULATED_SAME + 1; i < SIMULATED_OUTCOMES; i++)
        buffer_printf(&d->text, "  %-16s %zu\n", outcomes[i], s->counts[i]);
    buffer_printf(&d->text, "  %-16s %zu\n", outcomes[SIMULATED_SAME],
                  s->counts[SIMULATED_SAME]);
    if (s->counts[SIMULATED_SAME] + s->counts[SIMULATED_POOL] < s->n)
        buffer_printf(&d->text, "\n%-16s %-16s %-10s %-8s %-5s %s\n", "", "reference",
                      "analysis", "permit", "by", "rule");
    for (size_t i = 0; i < s->n && shown < SHOWN_MAX; i++)
        if (is_shown(&s->list[i])) {
            put_row(d, &s->list[i]);
            shown++;
        }
    if (shown < s->n - s->counts[SIMULATED_SAME] - s->counts[SIMULATED_POOL])
        buffer_text(&d->text, "... and more; --json gives all\n");
    put_what_it_is_not(d, s);
}

enum fault desk_policy_simulate(struct desk *d)
{
    struct policy in_force, other;
    struct simulation s;
    uint64_t serial;

    TRY(desk_open_other(d, &other));
    TRY(desk_open_in_force(d, &in_force, &serial));
    TRY(simulate(d->cx, d->v, &in_force, &other, &s));
    put_text(d, &s, serial);
    return put_json(d, &s, serial);
}

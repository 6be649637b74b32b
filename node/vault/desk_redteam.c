/* desk_redteam.c - `policy redteam`: a sheet that says pass or fail by attack, signed and
 * logged. No patient and no number of the data stands on it. */
#include <inttypes.h>
#include <string.h>

#include "node/vault/desk.h"
#include "node/vault/redteam.h"
#include "protocol/base/clock.h"
#include "protocol/checkpoint.h"
#include "protocol/receipt.h"

enum { SHEET_TIME = 32, REDTEAM_JSON_MAX = 256 * 1024 };

static const char *const verdicts[REDTEAM_VERDICTS] = {
    [REDTEAM_PASS] = "pass", [REDTEAM_FAIL] = "FAIL", [REDTEAM_NOT_TRIED] = "not tried"};

struct sheet {
    struct redteam found;
    const char *dataset, *made;
    uint64_t serial; /* of the policy in force; 0: another was tried */
    uint8_t policy[DIGEST_BYTES];
};

/* A policy that answers nothing shows nothing by withstanding attacks. */
static const char *result_of(const struct redteam *r)
{
    if (r->counts[REDTEAM_FAIL] > 0)
        return "FAIL";
    return r->honest && r->counts[REDTEAM_PASS] > 0 ? "pass" : "nothing shown";
}

static const char *rules_of(const struct redteam_finding *f, char rules[DESK_RULES_MAX])
{
    if (f->verdict == REDTEAM_NOT_TRIED)
        return f->why;
    desk_find_rules(f->why != NULL ? f->why : "", rules);
    return rules;
}

static void put_attacks(struct buffer *out, const struct redteam *r)
{
    char rules[DESK_RULES_MAX];

    for (size_t i = 0; i < r->n; i++) {
        const struct redteam_finding *f = &r->list[i];

        buffer_printf(out, "%s  %-9s  %s\n", f->id, verdicts[f->verdict], f->name);
        if (f->verdict == REDTEAM_NOT_TRIED)
            buffer_printf(out, "     %s\n", rules_of(f, rules));
        else
            buffer_printf(out,
                          "     %zu of %zu victims learned; withheld before a guess: "
                          "%zu%s%s\n",
                          f->right, f->victims, f->stuck, f->why[0] != '\0' ? ", by " : "",
                          f->why[0] != '\0' ? rules_of(f, rules) : "");
    }
}

static const char *text_of(struct desk *d, const struct sheet *s)
{
    struct buffer out = buffer_new(d->cx, SHEET_MAX);
    const struct redteam *r = &s->found;

    buffer_printf(&out, "cohortium redteam sheet 1\nsite: %s\ndataset: %s, version %s\n",
                  d->v->self->name, s->dataset, bytes_hex(d->cx, r->version, ID_BYTES));
    if (s->serial > 0)
        buffer_printf(&out, "policy: %" PRIu64 ", in force", s->serial);
    else
        buffer_text(&out, "policy: not in force");
    buffer_printf(&out, ", %s\nmade: %s by cohortiumd %s\n\n",
                  bytes_hex(d->cx, s->policy, DIGEST_BYTES), s->made, COHORTIUM_VERSION);
    put_attacks(&out, r);
    buffer_printf(
        &out, "\nresult: %s (%zu pass, %zu fail, %zu not tried)\nan ordinary count: %s\n",
        result_of(r), r->counts[REDTEAM_PASS], r->counts[REDTEAM_FAIL],
        r->counts[REDTEAM_NOT_TRIED], r->honest ? "answered" : "not answered");
    buffer_text(
        &out, "Judged on this site's patients as if they were all, from an empty memory. "
              "Victims are\npatients alone in a cell of all quasi-identifiers. What an "
              "attacker knows that is not marked\nas one is not tried here; nor are other "
              "members, machines and people.\n");
    return buffer_string(&out);
}

static enum fault put_json(struct desk *d, const struct sheet *s)
{
    struct buffer out = buffer_new(d->cx, REDTEAM_JSON_MAX);
    const struct redteam *r = &s->found;
    char rules[DESK_RULES_MAX];

    buffer_text(&out, "{\"cohortium\":1");
    json_pair(&out, "site", d->v->self->name);
    json_pair(&out, "dataset", s->dataset);
    json_pair(&out, "version", bytes_hex(d->cx, r->version, ID_BYTES));
    json_pair(&out, "policy", bytes_hex(d->cx, s->policy, DIGEST_BYTES));
    json_pair(&out, "made", s->made);
    json_pair(&out, "result", result_of(r));
    buffer_printf(&out, ",\"in_force\":%s,\"honest\":%s,\"attacks\":[",
                  s->serial > 0 ? "true" : "false", r->honest ? "true" : "false");
    for (size_t i = 0; i < r->n; i++) {
        const struct redteam_finding *f = &r->list[i];

        buffer_printf(&out,
                      "%s{\"victims\":%zu,\"stuck\":%zu,\"right\":%zu,\"questions\":%zu",
                      i > 0 ? "," : "", f->victims, f->stuck, f->right, f->questions);
        json_pair(&out, "id", f->id);
        json_pair(&out, "name", f->name);
        json_pair(&out, "verdict", verdicts[f->verdict]);
        json_pair(&out, "why", rules_of(f, rules));
        buffer_text(&out, "}");
    }
    buffer_text(&out, "]}");
    d->reply->json = buffer_string(&out);
    return d->reply->json != NULL ? FAULT_NONE : out.fault;
}

/* The log says that it was made and which sheet it was. */
static enum fault log_sheet(struct desk *d, const struct sheet *s, const char *note)
{
    Cohortium__LogRecord record = COHORTIUM__LOG_RECORD__INIT;
    uint8_t digest[DIGEST_BYTES];

    digest_of(bytes_of(note, strlen(note)), digest);
    record.kind = (char *)"redteam";
    record.decision = (char *)"done";
    record.subject = PB_DATA(bytes_of(digest, sizeof digest));
    const char *details =
        cx_printf(d->cx, "attacks on %s under %s: %s; the sheet's SHA-256 is %s",
                  s->dataset, s->serial > 0 ? "the policy in force" : "another policy",
                  result_of(&s->found), bytes_hex(d->cx, digest, sizeof digest));
    return details != NULL ? vault_log(d->cx, d->v, &record, details) : FAULT_MEMORY;
}

static enum fault open_policy(struct desk *d, struct sheet *s, struct policy *ret)
{
    Cohortium__Policy body = COHORTIUM__POLICY__INIT;

    if (d->call->n_blobs > 0)
        TRY(desk_open_other(d, ret));
    else
        TRY(desk_open_in_force(d, ret, &s->serial));
    TRY(policy_to_pb(d->cx, ret, &body));
    return policy_digest(d->cx, &body, s->policy);
}

enum fault desk_policy_redteam(struct desk *d)
{
    struct sheet s = {0};
    struct policy policy;
    const char *text, *note = NULL;
    char made[SHEET_TIME];

    TRY(desk_word(d, 0, "a dataset", &s.dataset));
    TRY(open_policy(d, &s, &policy));
    s.made = clock_format(clock_utc_ms(), made, sizeof made);
    TRY(redteam(d->cx, d->v, &policy, s.dataset, &s.found));
    text = text_of(d, &s);
    if (text == NULL)
        return FAULT_MEMORY;
    TRY(sheet_sign(d->cx, d->v->origin, text, d->v->signing, &note));
    TRY(log_sheet(d, &s, note));
    buffer_text(&d->text, note);
    TRY(put_json(d, &s));
    return desk_give(d, bytes_of(note, strlen(note)));
}

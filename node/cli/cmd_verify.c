/* cmd_verify.c - a receipt, checked offline; --online fetches cosignatures first. */
#include <math.h>
#include <string.h>

#include "node/cli/cli.h"
#include "node/cli/receipts.h"
#include "node/cli/render.h"
#include "node/cli/witness.h"
#include "analyses/question_words.h"
#include "node/data/decimal.h"
#include "protocol/base/clock.h"
#include "protocol/receipt.h"

/* --genesis, else the profile's where there is one; NULL: the receipt's own is all we have.
 */
static enum fault choose_genesis(struct cx *cx, const struct args *args, uint8_t out[32],
                                 const uint8_t **ret)
{
    const char *hex = args_get(args, "--genesis"), *name = args_get(args, "--profile");
    struct profile p;

    *ret = NULL;
    if (hex != NULL) {
        if (bytes_from_hex(cx, hex, out, DIGEST_BYTES) != FAULT_NONE)
            return usage_fail(cx, args, "--genesis: expected 64 hex digits");
        *ret = out;
        return FAULT_NONE;
    }
    enum fault fault = profile_open(cx, name, &p);
    if (fault != FAULT_NONE && name != NULL)
        return fault;
    if (fault == FAULT_NONE) {
        memcpy(out, p.genesis, DIGEST_BYTES);
        *ret = out;
    }
    return FAULT_NONE;
}

/* Released values by name: without the codebook nothing is derived from them. */
static void put_result(struct buffer *out, const Cohortium__Release *release)
{
    if (release == NULL)
        return;
    if (!release->released) {
        buffer_printf(out, "%s\n",
                      not_released_text(out->cx, bytes_hex(out->cx, release->reference.data,
                                                           release->reference.len)));
        return;
    }
    for (size_t i = 0; release->result != NULL && i < release->result->n_items; i++) {
        const Cohortium__Item *item = release->result->items[i];
        char number[32];

        buffer_printf(out, "  %s:", item->name);
        for (size_t k = 0; k < item->n_words && k < 40; k++)
            buffer_printf(out, "%s %s", k > 0 ? "," : "", item->words[k]);
        for (size_t k = 0; k < item->n_values && k < 40; k++) {
            int state = k < item->state.len ? item->state.data[k] : 0;

            /* As it was signed: the shortest text that is this number again. */
            buffer_printf(out, " %s",
                          state == 0 && isfinite(item->values[k])
                              ? decimal_write(item->values[k], number)
                              : report_number(out->cx, item->values[k], state, 17));
        }
        buffer_text(out, item->n_values > 40 || item->n_words > 40 ? " ...\n" : "\n");
    }
}

static const char *site_name(const struct receipt_facts *f, size_t i)
{
    const Cohortium__Question *q = f->request.body->question;
    const Cohortium__Member *m =
        i < q->n_sites ? manifest_find(f->manifest, q->sites[i].data) : NULL;

    return m != NULL ? m->name : "";
}

/* A name that somebody gave must not look like a line of ours. */
static void put_line(struct buffer *out, const char *text)
{
    if (text == NULL) {
        out->fault = FAULT_MEMORY;
        return;
    }
    buffer_text(out, "  ");
    for (; *text != '\0'; text++)
        buffer_put(out, (unsigned char)*text < 0x20 ? " " : text, 1);
    buffer_text(out, "\n");
}

static void put_text(struct buffer *out, const struct receipt_facts *f,
                     const Cohortium__Receipt *receipt, const char *file)
{
    const Cohortium__Question *q = f->request.body->question;

    if (f->exact_for_testing)
        buffer_text(out, "EXACT FOR TESTING: a lab's answer, of class testing\n\n");
    buffer_printf(out, "%s holds: %s of %s\n", file, q->analysis, q->dataset);
    put_line(out, question_words(out->cx, q));
    const char *genesis = bytes_hex(out->cx, f->manifest->consortium, DIGEST_BYTES);
    put_line(out, cx_printf(out->cx, "genesis %s", genesis == NULL ? "" : genesis));
    buffer_text(out, "\nproved\n");
    for (size_t i = 0; i < f->n_statements; i++)
        put_line(out, f->statements[i]);
    buffer_text(out, "\nsaid, and signed by nobody\n");
    put_line(out, cx_printf(out->cx, "it was put together by %.128s", receipt->software));
    buffer_text(out, "\n");
    if (f->release != NULL)
        put_result(out, f->release);
    for (size_t i = 0; f->release == NULL && i < f->n_sites; i++) {
        buffer_printf(out, "%s\n", site_name(f, i));
        put_result(out, f->site_releases[i]);
    }
}

/* What each site proved, for programs. */
static void put_json_sites(struct buffer *out, const struct receipt_facts *f)
{
    char when[32];

    buffer_text(out, ",\"proofs\":[");
    for (size_t i = 0; i < f->n_sites; i++) {
        const struct receipt_site *s = &f->sites[i];

        buffer_text(out, i > 0 ? ",{\"site\":" : "{\"site\":");
        put_json_text(out, s->member->name);
        buffer_text(out, ",\"dataset_version\":");
        put_json_text(out, bytes_hex(out->cx, s->version.p, s->version.n));
        buffer_text(out, ",\"policy\":");
        put_json_text(out, bytes_hex(out->cx, s->policy, sizeof s->policy));
        buffer_text(out, ",\"decision\":");
        put_json_text(out, s->record->decision);
        buffer_printf(out, ",\"logged_at\":\"%s\",\"index\":%llu,\"size\":%llu}",
                      clock_format((int64_t)s->record->time, when, sizeof when),
                      (unsigned long long)s->index, (unsigned long long)s->size);
    }
    buffer_text(out, "]");
}

static void put_json(struct buffer *out, const struct receipt_facts *f,
                     const Cohortium__Receipt *receipt, bool pinned)
{
    const Cohortium__Question *q = f->request.body->question;
    bool released = f->release != NULL ? f->release->released : true;
    char when[32];

    for (size_t i = 0; f->release == NULL && i < f->n_sites; i++)
        released = released && f->site_releases[i]->released;
    buffer_text(out, "{\"cohortium\":1,\"verified\":true,\"analysis\":");
    put_json_text(out, q->analysis);
    buffer_text(out, ",\"dataset\":");
    put_json_text(out, q->dataset);
    buffer_printf(out,
                  ",\"released\":%s,\"exact_for_testing\":%s,\"genesis_pinned\":%s,"
                  "\"witnessed\":%s,\"answered_at\":\"%s\",\"genesis\":",
                  released ? "true" : "false", f->exact_for_testing ? "true" : "false",
                  pinned ? "true" : "false", f->witnessed ? "true" : "false",
                  clock_format(f->answered_at, when, sizeof when));
    put_json_text(out, bytes_hex(out->cx, f->manifest->consortium, DIGEST_BYTES));
    buffer_text(out, ",\"sites\":[");
    for (size_t i = 0; i < q->n_sites; i++) {
        buffer_text(out, i > 0 ? "," : "");
        put_json_text(out, site_name(f, i));
    }
    buffer_text(out, "],\"statements\":[");
    for (size_t i = 0; i < f->n_statements; i++) {
        buffer_text(out, i > 0 ? "," : "");
        put_json_text(out, f->statements[i]);
    }
    buffer_text(out, "],\"question\":");
    put_json_text(out, question_words(out->cx, q));
    buffer_text(out, ",\"researcher\":");
    put_json_text(out, f->request.who.body->name);
    buffer_text(out, ",\"permit\":");
    put_json_text(out, f->permit->title);
    buffer_text(out, ",\"policy_class\":");
    put_json_text(
        out, (f->release != NULL ? f->release : f->site_releases[0])->policy->policy_class);
    buffer_text(out, ",\"software\":");
    put_json_text(out, receipt->software);
    put_json_sites(out, f);
    buffer_text(out, "}\n");
}

/* One document for a receipt that does not hold, too. */
static void tell_wrong(struct cli *cli, enum fault fault)
{
    struct buffer out = buffer_new(cli->cx, 1024 * 1024);

    buffer_text(&out, "{\"cohortium\":1,\"verified\":false,\"fault\":");
    put_json_text(&out, fault_name(fault));
    buffer_text(&out, ",\"wrong\":");
    put_json_text(&out, cx_message(cli->cx));
    buffer_text(&out, "}\n");
    if (out.fault == FAULT_NONE)
        (void)fwrite(out.p, 1, out.n, cli->out);
}

/* It holds, but not for who asks: that is told apart from one that was tampered with. */
static enum fault another_consortium(struct cx *cx, const struct args *args,
                                     const struct opened *o)
{
    const struct manifest *m = o->facts.manifest;
    const char *hex = bytes_hex(cx, m->consortium, DIGEST_BYTES);

    return cx_fail(
        cx, FAULT_DENIED,
        "%s: it is whole, but of another consortium than %s: manifest chain: "
        "\"%.128s\" begins with genesis %s; `--genesis` takes that if you have it "
        "from somebody you trust",
        o->path, args_has(args, "--genesis") ? "--genesis names" : "your profile's",
        m->body->consortium_name, hex == NULL ? "" : hex);
}

enum fault receipt_open(struct cx *cx, const struct args *args, struct opened *ret)
{
    uint8_t digest[DIGEST_BYTES];
    const uint8_t *genesis;

    TRY(choose_genesis(cx, args, digest, &genesis));
    TRY(receipts_find(cx, args_get(args, "--profile"), args->words[0], &ret->path));
    ret->receipt = NULL;
    ret->pinned = genesis != NULL;
    TRY(receipt_read(cx, ret->path, &ret->packed));
    if (pb_unpack(cx, &cohortium__receipt__descriptor, ret->packed, RECEIPT_MAX,
                  &ret->receipt) == FAULT_NONE &&
        receipt_verify(cx, ret->receipt, genesis, &ret->facts) == FAULT_NONE)
        return FAULT_NONE;
    enum fault fault = cx_prefix(cx, "%s: ", ret->path);
    const char *wrong = cx_strdup(cx, cx_message(cx));
    if (wrong == NULL || genesis == NULL || ret->receipt == NULL ||
        receipt_verify(cx, ret->receipt, NULL, &ret->facts) != FAULT_NONE)
        return cx_fail(cx, fault, "%s", wrong == NULL ? "out of memory" : wrong);
    return another_consortium(cx, args, ret);
}

/* Newer proofs through the home node, kept in the file. */
static enum fault go_online(struct cli *cli, const struct args *args, struct opened *o)
{
    struct home home = {0};
    enum fault fault = home_open(cli, args, &home);

    if (fault == FAULT_NONE &&
        witness_refresh(&home, cli->cx, o->receipt, &o->facts, &o->packed))
        fault = receipt_write(cli->cx, o->packed, o->path);
    home_close(&home);
    return fault;
}

enum fault run_verify(struct cli *cli, const struct args *args)
{
    struct cx *cx = cli->cx;
    struct buffer out = buffer_new(cx, 16 * 1024 * 1024);
    struct opened o = {0};
    bool json = args_has(args, "--json");

    TRY(args_words(cx, args, 1, 1));
    enum fault fault = receipt_open(cx, args, &o);
    if (fault != FAULT_NONE) {
        if (json && fault != FAULT_USAGE)
            tell_wrong(cli, fault);
        return fault;
    }
    if (args_has(args, "--online") && !o.facts.witnessed)
        TRY(go_online(cli, args, &o));
    if (json)
        put_json(&out, &o.facts, o.receipt, o.pinned);
    else
        put_text(&out, &o.facts, o.receipt, o.path);
    TRY(out.fault);
    if (fwrite(out.p, 1, out.n, cli->out) != out.n)
        return cx_fail(cx, FAULT_IO, "standard output could not be written");
    if (!o.pinned && !json)
        (void)fputs(
            "note: no genesis digest was given, so this proves the answer only to those "
            "who know the consortium's; use --genesis HEX\n",
            cli->err);
    return FAULT_NONE;
}

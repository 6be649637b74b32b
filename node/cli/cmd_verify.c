/* cmd_verify.c - a receipt, checked offline. */
#include <math.h>
#include <string.h>

#include "node/cli/cli.h"
#include "node/cli/profile.h"
#include "node/cli/render.h"
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

static void put_text(struct buffer *out, const struct receipt_facts *f, const char *file)
{
    const Cohortium__Question *q = f->request.body->question;

    if (f->exact_for_testing)
        buffer_text(out, "EXACT FOR TESTING: a lab's answer, of class testing\n\n");
    buffer_printf(out, "%s holds: %s of %s\n\n", file, q->analysis, q->dataset);
    for (size_t i = 0; i < f->n_statements; i++)
        buffer_printf(out, "  %s\n", f->statements[i]);
    buffer_text(out, "\n");
    if (f->release != NULL)
        put_result(out, f->release);
    for (size_t i = 0; f->release == NULL && i < f->n_sites; i++) {
        buffer_printf(out, "%s\n", site_name(f, i));
        put_result(out, f->site_releases[i]);
    }
}

static void put_json(struct buffer *out, const struct receipt_facts *f, bool pinned)
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
                  "\"answered_at\":\"%s\",\"genesis\":",
                  released ? "true" : "false", f->exact_for_testing ? "true" : "false",
                  pinned ? "true" : "false",
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
    buffer_text(out, "]}\n");
}

enum fault run_verify(struct cli *cli, const struct args *args)
{
    struct cx *cx = cli->cx;
    struct buffer out = buffer_new(cx, 16 * 1024 * 1024);
    uint8_t digest[DIGEST_BYTES];
    const uint8_t *genesis;
    struct receipt_facts facts;
    Cohortium__Receipt *receipt;
    struct bytes packed;

    TRY(args_words(cx, args, 1, 1));
    TRY(choose_genesis(cx, args, digest, &genesis));
    TRY(receipt_read(cx, args->words[0], &packed));
    TRY(pb_unpack(cx, &cohortium__receipt__descriptor, packed, RECEIPT_MAX, &receipt));
    TRY(receipt_verify(cx, receipt, genesis, &facts));
    if (args_has(args, "--json"))
        put_json(&out, &facts, genesis != NULL);
    else
        put_text(&out, &facts, args->words[0]);
    TRY(out.fault);
    (void)fwrite(out.p, 1, out.n, cli->out);
    if (genesis == NULL && !args_has(args, "--json"))
        (void)fputs(
            "note: no genesis digest was given, so this proves the answer only to those "
            "who know the consortium's; use --genesis HEX\n",
            cli->err);
    return FAULT_NONE;
}

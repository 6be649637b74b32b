/* cmd_receipts.c - the receipts that are kept: which answer is in which file. */
#include <stdlib.h>
#include <string.h>

#include "node/cli/cli.h"
#include "node/cli/receipts.h"
#include "node/cli/render.h"
#include "analyses/question_words.h"
#include "protocol/base/clock.h"
#include "protocol/receipt.h"

enum { OUT_MAX = 64 * 1024 * 1024, SHOWN = 20, ONE_MEMORY = 1 << 29 };

/* What a file says of itself; nothing of it is verified here. */
struct told {
    const struct kept *file;
    const char *wrong; /* why it cannot be read; else NULL */
    const char *words, *analysis, *dataset;
    const char **sites;
    size_t n_sites;
    int64_t asked_at;
};

static const char *site_name(struct cx *cx, const Cohortium__Manifest *m,
                             ProtobufCBinaryData id)
{
    for (size_t i = 0; i < m->n_members; i++)
        if (bytes_equal(PB_BYTES(m->members[i]->node_id), PB_BYTES(id)))
            return m->members[i]->name;
    return bytes_hex(cx, id.data, id.len < 8 ? id.len : 8);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* `one` holds the receipt and goes; what is told lives in cx. */
static enum fault read_one(struct cx *one, struct cx *cx, struct told *t)
{
    Cohortium__Receipt *receipt;
    Cohortium__Manifest *m;
    Cohortium__Request *r;
    struct envelope e;
    struct bytes packed;

    TRY(receipt_read(one, t->file->path, &packed));
    TRY(pb_unpack(one, &cohortium__receipt__descriptor, packed, RECEIPT_MAX, &receipt));
    if (receipt->n_manifests == 0)
        return cx_fail(one, FAULT_FORMAT, "it holds no manifest");
    TRY(envelope_open(one, ENVELOPE_MANIFEST,
                      PB_BYTES(receipt->manifests[receipt->n_manifests - 1]), &e));
    TRY(pb_unpack(one, &cohortium__manifest__descriptor, e.body,
                  envelope_bound(ENVELOPE_MANIFEST), &m));
    TRY(envelope_open(one, ENVELOPE_REQUEST, PB_BYTES(receipt->request), &e));
    TRY(pb_unpack(one, &cohortium__request__descriptor, e.body,
                  envelope_bound(ENVELOPE_REQUEST), &r));
    if (r->question == NULL || r->stamp == NULL || r->stamp->issued_at > INT64_MAX / 2)
        return cx_fail(one, FAULT_FORMAT, "it lacks its question or its date");
    const Cohortium__Question *q = r->question;
    t->asked_at = (int64_t)r->stamp->issued_at;
    t->words = cx_strdup(cx, question_words(one, q));
    t->analysis = cx_strdup(cx, q->analysis);
    t->dataset = cx_strdup(cx, q->dataset);
    CX_NEW(cx, t->sites, q->n_sites);
    for (; t->n_sites < q->n_sites; t->n_sites++) {
        const char *name = site_name(one, m, q->sites[t->n_sites]);

        t->sites[t->n_sites] = name == NULL ? NULL : cx_strdup(cx, name);
        if (t->sites[t->n_sites] == NULL)
            return FAULT_MEMORY;
    }
    qsort(t->sites, t->n_sites, sizeof *t->sites, compare_names);
    return t->words == NULL || t->analysis == NULL || t->dataset == NULL ? FAULT_MEMORY
                                                                         : FAULT_NONE;
}

static enum fault tell(struct cx *cx, const struct kept *file, struct told *t)
{
    AUTO_CX struct cx *one = cx_new(ONE_MEMORY, CX_NO_DEADLINE);

    *t = (struct told){.file = file, .words = "", .analysis = "", .dataset = ""};
    if (one == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory");
    if (read_one(one, cx, t) == FAULT_NONE)
        return FAULT_NONE;
    /* A file that is broken is listed as that: the others are no worse for it. */
    *t = (struct told){.file = file, .words = "", .analysis = "", .dataset = ""};
    t->wrong = cx_strdup(cx, cx_message(one));
    return t->wrong == NULL ? FAULT_MEMORY : FAULT_NONE;
}

/* ---- showing ---- */

static void put_json(struct buffer *out, const struct told *t, size_t n, size_t kept)
{
    char when[32];

    buffer_text(out, "{\"cohortium\":1,\"receipts\":[");
    for (size_t i = 0; i < n; i++) {
        buffer_text(out, i > 0 ? ",{\"id\":" : "{\"id\":");
        put_json_text(out, t[i].file->id);
        buffer_text(out, ",\"path\":");
        put_json_text(out, t[i].file->path);
        buffer_printf(out, ",\"rejected\":%s", t[i].file->rejected ? "true" : "false");
        if (t[i].wrong != NULL) {
            buffer_text(out, ",\"unreadable\":");
            put_json_text(out, t[i].wrong);
            buffer_text(out, "}");
            continue;
        }
        buffer_printf(out, ",\"asked_at\":\"%s\",\"question\":",
                      clock_format(t[i].asked_at, when, sizeof when));
        put_json_text(out, t[i].words);
        buffer_text(out, ",\"analysis\":");
        put_json_text(out, t[i].analysis);
        buffer_text(out, ",\"dataset\":");
        put_json_text(out, t[i].dataset);
        buffer_text(out, ",\"sites\":[");
        for (size_t k = 0; k < t[i].n_sites; k++) {
            buffer_text(out, k > 0 ? "," : "");
            put_json_text(out, t[i].sites[k]);
        }
        buffer_text(out, "]}");
    }
    buffer_printf(out, "],\"kept\":%zu,\"kept_at_most\":%d}\n", kept, RECEIPTS_MAX);
}

static const char *join_sites(struct cx *cx, const struct told *t)
{
    struct buffer b = buffer_new(cx, 64 * 1024);

    for (size_t i = 0; i < t->n_sites; i++)
        buffer_printf(&b, "%s%s", i > 0 ? ", " : "", t->sites[i]);
    return buffer_string(&b);
}

static enum fault put_text(struct cli *cli, struct buffer *out, const struct told *t,
                           size_t n, size_t kept)
{
    static const char *const head[] = {"id", "asked (UTC)", "question", "sites"};
    const char **cells;

    if (kept == 0) {
        buffer_text(out, "no receipts yet: every answer keeps one\n");
        return FAULT_NONE;
    }
    CX_NEW(cli->cx, cells, n * COUNT(head));
    for (size_t i = 0; i < n; i++) {
        const char **row = cells + i * COUNT(head);
        char when[32];

        row[0] = t[i].file->id;
        row[1] = cx_strdup(cli->cx, t[i].wrong != NULL
                                        ? ""
                                        : clock_format(t[i].asked_at, when, sizeof when));
        row[2] = t[i].wrong != NULL ? cx_printf(cli->cx, "cannot be read: %s", t[i].wrong)
                 : t[i].file->rejected
                     ? cx_printf(cli->cx, "%s (rejected: it did not verify)", t[i].words)
                     : t[i].words;
        row[3] = join_sites(cli->cx, &t[i]);
        for (size_t k = 0; k < COUNT(head); k++)
            if (row[k] == NULL)
                return FAULT_MEMORY;
    }
    struct grid grid = {.n_columns = COUNT(head),
                        .n_rows = n,
                        .head = head,
                        .cells = cells,
                        .width = terminal_width(cli->out)};
    put_grid(out, &grid, "");
    if (n < kept)
        buffer_printf(out, "the newest %zu of %zu; --last 0 shows all\n", n, kept);
    return FAULT_NONE;
}

enum fault run_receipts(struct cli *cli, const struct args *args)
{
    struct cx *cx = cli->cx;
    struct buffer out = buffer_new(cx, OUT_MAX);
    struct profile p;
    struct kept *list;
    struct told *told;
    double last;
    size_t n;

    TRY(args_words(cx, args, 0, 0));
    TRY(args_number(cx, args, "--last", 0, RECEIPTS_MAX * 4.0, SHOWN, &last));
    TRY(profile_open(cx, args_get(args, "--profile"), &p));
    TRY(receipts_list(cx, &p, &list, &n));
    size_t shown = last < 1 || (size_t)last > n ? n : (size_t)last;
    CX_NEW(cx, told, shown);
    for (size_t i = 0; i < shown; i++)
        TRY(tell(cx, &list[n - 1 - i], &told[i])); /* the newest first */
    if (args_has(args, "--json"))
        put_json(&out, told, shown, n);
    else
        TRY(put_text(cli, &out, told, shown, n));
    TRY(out.fault);
    if (fwrite(out.p, 1, out.n, cli->out) != out.n)
        return cx_fail(cx, FAULT_IO, "standard output could not be written");
    return FAULT_NONE;
}

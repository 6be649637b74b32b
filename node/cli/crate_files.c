/* crate_files.c - what a crate holds beside its metadata: the released numbers as they were
 * signed, the typed question, the codebook. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/crate.h"
#include "node/data/decimal.h"
#include "protocol/base/clock.h"

enum { FILE_BYTES_MAX = 64 * 1024 * 1024 };

const char crate_receipt[] = "answer.receipt", crate_json[] = "result.json",
           crate_csv[] = "result.csv", crate_codebook[] = "codebook.yaml",
           crate_question[] = "question/question.json";

/* By state byte of an item: given, withheld, not defined. */
static const char *state_word(const Cohortium__Item *item, size_t k)
{
    int state = k < item->state.len ? item->state.data[k] : 0;

    return state == 0 ? "given" : state == 1 ? "withheld" : "not defined";
}

const char *crate_time(struct cx *cx, uint64_t utc_ms)
{
    char when[32];

    return cx_strdup(cx, clock_format((int64_t)utc_ms, when, sizeof when));
}

const Cohortium__Release *crate_release(const struct crate *c, size_t i)
{
    return c->facts->release != NULL ? c->facts->release : c->facts->site_releases[i];
}

size_t crate_releases(const struct crate *c)
{
    return c->facts->release != NULL ? 1 : c->facts->n_sites;
}

bool crate_is_released(const struct crate *c)
{
    for (size_t i = 0; i < crate_releases(c); i++)
        if (crate_release(c, i)->released)
            return true;
    return false;
}

/* ---- CSV ---- */

static void put_rows(struct buffer *out, const char *site, const Cohortium__Release *r)
{
    char number[32];

    for (size_t i = 0; r->result != NULL && i < r->result->n_items; i++) {
        const Cohortium__Item *item = r->result->items[i];
        size_t n = item->n_values > item->n_words ? item->n_values : item->n_words;
        size_t columns = item->columns > 0 ? item->columns : 1;

        for (size_t k = 0; k < n; k++) {
            bool given = k < item->n_values && strcmp(state_word(item, k), "given") == 0;

            put_csv_text(out, site);
            buffer_text(out, ",");
            put_csv_text(out, item->name);
            buffer_printf(out, ",%zu,%zu,%s,", k / columns, k % columns,
                          given ? decimal_write(item->values[k], number) : "");
            put_csv_text(out, k < item->n_words ? item->words[k] : "");
            buffer_printf(out, ",%s\n", k < item->n_values ? state_word(item, k) : "given");
        }
    }
}

static enum fault make_csv(const struct crate *c, struct bytes *ret)
{
    struct buffer out = buffer_new(c->cx, FILE_BYTES_MAX);

    buffer_text(&out, "site,item,row,column,value,word,state\n");
    for (size_t i = 0; i < crate_releases(c); i++)
        put_rows(&out, c->facts->release != NULL ? "all" : c->facts->sites[i].member->name,
                 crate_release(c, i));
    *ret = bytes_of(out.p, out.n);
    return out.fault;
}

/* ---- JSON ---- */

/* Takes the document over. */
static enum fault dump(struct cx *cx, json_t *document, struct bytes *ret)
{
    char *text = document == NULL
                     ? NULL
                     : json_dumps(document, JSON_INDENT(2) | JSON_REAL_PRECISION(17));

    json_decref(document);
    if (text == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for a document of the crate");
    const char *copy = cx_printf(cx, "%s\n", text);
    free(text);
    if (copy == NULL)
        return FAULT_MEMORY;
    *ret = bytes_of(copy, strlen(copy));
    return FAULT_NONE;
}

static json_t *item_json(const Cohortium__Item *item)
{
    json_t *values = json_array(), *words = json_array(), *states = json_array();

    for (size_t k = 0; k < item->n_values; k++) {
        const char *state = state_word(item, k);

        (void)json_array_append_new(
            values, strcmp(state, "given") == 0 ? json_real(item->values[k]) : json_null());
        (void)json_array_append_new(states, json_string(state));
    }
    for (size_t k = 0; k < item->n_words; k++)
        (void)json_array_append_new(words, json_string(item->words[k]));
    return json_pack("{s:s, s:I, s:I, s:o, s:o, s:o}", "name", item->name, "rows",
                     (json_int_t)item->rows, "columns", (json_int_t)item->columns, "values",
                     values, "words", words, "states", states);
}

static json_t *release_json(struct cx *cx, const char *site, const Cohortium__Release *r)
{
    json_t *items = json_array(), *notes = json_array();

    for (size_t i = 0; r->result != NULL && i < r->result->n_items; i++)
        (void)json_array_append_new(items, item_json(r->result->items[i]));
    for (size_t i = 0; r->result != NULL && i < r->result->n_notes; i++)
        (void)json_array_append_new(notes, json_string(r->result->notes[i]));
    json_t *o = json_pack("{s:s, s:b, s:o, s:o}", "site", site, "released", r->released,
                          "items", items, "notes", notes);
    if (!r->released)
        (void)json_object_set_new(
            o, "reference",
            json_string(bytes_hex(cx, r->reference.data, r->reference.len)));
    return o;
}

static enum fault make_json(const struct crate *c, struct bytes *ret)
{
    const Cohortium__Question *q = c->facts->request.body->question;
    json_t *releases = json_array();

    for (size_t i = 0; i < crate_releases(c); i++)
        (void)json_array_append_new(
            releases,
            release_json(
                c->cx, c->facts->release != NULL ? "all" : c->facts->sites[i].member->name,
                crate_release(c, i)));
    return dump(c->cx,
                json_pack("{s:i, s:s, s:s, s:s, s:b, s:o}", "cohortium", 1, "question",
                          c->words, "analysis", q->analysis, "dataset", q->dataset,
                          "exact_for_testing", c->facts->exact_for_testing, "releases",
                          releases),
                ret);
}

static enum fault make_question(const struct crate *c, struct bytes *ret)
{
    const Cohortium__Question *q = c->facts->request.body->question;
    json_t *sites = json_array();

    for (size_t i = 0; i < c->facts->n_sites; i++)
        (void)json_array_append_new(sites, json_string(c->facts->sites[i].member->name));
    return dump(c->cx,
                json_pack("{s:i, s:s, s:s, s:i, s:s, s:s, s:s, s:b, s:o}", "cohortium", 1,
                          "command", cx_printf(c->cx, "cohortium %s", c->words), "analysis",
                          q->analysis, "analysis_version", (int)q->analysis_version,
                          "dataset", q->dataset, "codebook_sha256",
                          bytes_hex(c->cx, q->codebook.data, q->codebook.len),
                          "request_sha256",
                          bytes_hex(c->cx, c->facts->request.envelope.digest, DIGEST_BYTES),
                          "by_site", q->by_site, "sites", sites),
                ret);
}

/* ---- all of them ---- */

static struct crate_file *add(struct crate *c, const char *path, const char *name,
                              const char *type)
{
    struct crate_file *f = &c->files[c->n_files++];

    *f = (struct crate_file){.path = path, .name = name, .type = type};
    return f;
}

enum fault crate_make_files(struct crate *c)
{
    TRY(make_json(c, &add(c, crate_json, "the released numbers, as they were signed",
                          "application/json")
                          ->content));
    TRY(make_csv(
        c, &add(c, crate_csv, "the released numbers, one a row", "text/csv")->content));
    TRY(make_question(
        c, &add(c, crate_question, "the typed question", "application/json")->content));
    if (c->cb != NULL && c->cb->body->text[0] != '\0')
        add(c, crate_codebook, "the codebook that the question was asked under",
            "application/yaml")
            ->content = bytes_of(c->cb->body->text, strlen(c->cb->body->text));
    return FAULT_NONE;
}

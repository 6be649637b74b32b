/* answer.c - from released numbers to what an analysis shows. */
#include "node/cli/answer.h"

#include <string.h>

#include "analyses/noised.h"

const char *member_name(struct cx *cx, const struct manifest *manifest,
                        struct bytes node_id)
{
    const Cohortium__Member *m = node_id.n == DIGEST_BYTES && manifest != NULL
                                     ? manifest_find(manifest, node_id.p)
                                     : NULL;
    const char *text =
        m != NULL ? m->name : bytes_hex(cx, node_id.p, node_id.n < 8 ? node_id.n : 8);

    return text == NULL ? "" : text;
}

static enum fault show_release(struct cx *cx, const struct codebook *cb,
                               const struct manifest *manifest,
                               const Cohortium__Release *release, struct shown *ret)
{
    struct complaints c = complaints_new(cx);
    const struct analysis *analysis;
    struct report *report;
    struct asked asked;
    struct plan plan;
    struct regions regions;

    ret->released = release->released;
    ret->reference = bytes_hex(cx, release->reference.data, release->reference.len);
    if (!release->released)
        return FAULT_NONE;
    if (release->result == NULL)
        return cx_fail(cx, FAULT_FORMAT, "the release holds no result");
    TRY(question_open(cx, cb, release->question, release->exact_for_testing,
                      manifest->body->rows_log2, &c, &asked, &plan, &regions, &analysis));
    if (analysis == NULL)
        return cx_fail(cx, FAULT_FORMAT, "the released question cannot be read: %s",
                       c.n > 0 ? c.list[0]->text : "no reason");
    CX_NEW(cx, report, 1);
    report->cx = cx;
    analysis = analysis_of_release(analysis, release);
    TRY(analysis->show(cx, &asked, release, report));
    ret->report = report;
    ret->notes = release->result->notes;
    ret->n_notes = release->result->n_notes;
    return FAULT_NONE;
}

/* Requests and receipts list sites by node id; people and scripts get them by name. */
static void order_by_name(const char *const *names, size_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = i;

        for (; k > 0 && strcmp(names[order[k - 1]], names[i]) > 0; k--)
            order[k] = order[k - 1];
        order[k] = i;
    }
}

static enum fault fill_sites(struct cx *cx, const struct manifest *manifest,
                             const Cohortium__Question *q, struct answer *a,
                             size_t **ret_order)
{
    const char **names;

    CX_NEW(cx, names, q->n_sites);
    CX_NEW(cx, *ret_order, q->n_sites);
    CX_NEW(cx, a->sites, q->n_sites);
    for (size_t i = 0; i < q->n_sites; i++)
        names[i] = member_name(cx, manifest, PB_BYTES(q->sites[i]));
    order_by_name(names, *ret_order, q->n_sites);
    for (size_t i = 0; i < q->n_sites; i++)
        a->sites[i] = names[(*ret_order)[i]];
    a->n_sites = q->n_sites;
    return FAULT_NONE;
}

static size_t data_holders(const struct manifest *manifest)
{
    size_t n = 0;

    for (size_t i = 0; i < manifest->body->n_members; i++)
        n += manifest->body->members[i]->holds_data;
    return n;
}

static enum fault advise(struct cx *cx, const struct codebook *cb,
                         const struct receipt_facts *facts, struct advice *ret)
{
    struct complaints c = complaints_new(cx);
    const struct analysis *analysis;
    struct regions regions;
    struct asked asked;
    struct plan plan;

    TRY(question_open(cx, cb, facts->request.body->question, facts->exact_for_testing,
                      facts->manifest->body->rows_log2, &c, &asked, &plan, &regions,
                      &analysis));
    if (analysis == NULL)
        return FAULT_NONE; /* a question that is not ours is not advised on */
    return advice_make(cx, &asked, &plan, data_holders(facts->manifest), ret);
}

enum fault answer_make(struct cx *cx, const struct codebook *cb,
                       const struct receipt_facts *facts, struct answer *ret)
{
    const Cohortium__Question *q = facts->request.body->question;
    const struct analysis *analysis = analysis_find(q->analysis);
    struct answer a = {0};
    size_t *order = NULL;

    a.analysis = q->analysis;
    a.title = analysis != NULL ? analysis->title : q->analysis;
    a.dataset = q->dataset;
    a.cohort = ast_words(cx, q->cohort);
    a.exact_for_testing = facts->exact_for_testing;
    a.by_site = facts->release == NULL;
    a.witnessed = facts->witnessed;
    a.witnesses = facts->witnesses;
    a.n_witnesses = facts->n_witnesses;
    a.witness_words = receipt_witness_words(cx, facts);
    if (a.witness_words == NULL)
        return FAULT_MEMORY;
    TRY(fill_sites(cx, facts->manifest, q, &a, &order));
    if (a.by_site && facts->n_sites != q->n_sites)
        return cx_fail(cx, FAULT_FORMAT, "the receipt holds %zu answers of %zu sites",
                       facts->n_sites, q->n_sites);
    a.n_shown = a.by_site ? q->n_sites : 1;
    CX_NEW(cx, a.shown, a.n_shown);
    for (size_t i = 0; i < a.n_shown; i++) {
        a.shown[i].site = a.by_site ? a.sites[i] : NULL;
        TRY(show_release(cx, cb, facts->manifest,
                         a.by_site ? facts->site_releases[order[i]] : facts->release,
                         &a.shown[i]));
    }
    if (answer_withholds(&a))
        TRY(advise(cx, cb, facts, &a.advice));
    *ret = a;
    return FAULT_NONE;
}

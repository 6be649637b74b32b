/*
 * dry_run.c - what the sites said of a question, what it would cost, and what their rules
 * withhold in any case. All of it follows from the request, the policies and the permit:
 * nothing here can depend on a row.
 */
#include "node/cli/dry_run.h"

#include <string.h>

#include "analyses/math/epsilon.h"
#include "analyses/noised.h"
#include "node/cli/ask_private.h"
#include "node/cli/render.h"

enum {
    TENTHS = 10,
    CIRCLE_SITES_MIN = 3 /* as masks need: fewer judge each by its own patients */
};

struct price {
    size_t cells, regions, columns, numbers;
    size_t room; /* columns from before that it fits beside */
    uint64_t rounds;
    double left; /* tenths of the narrowest budget of noise not spent by whoever asks, of
                    the site with least */
};

enum fault dry_run_open(struct home *home, struct cx *cx, const struct sent *sent,
                        ProtobufCBinaryData packed, Cohortium__Preflight **ret)
{
    struct envelope e;
    Cohortium__Preflight *p;

    TRY(envelope_open(cx, ENVELOPE_PREFLIGHT, PB_BYTES(packed), &e));
    TRY(pb_unpack(cx, &cohortium__preflight__descriptor, e.body,
                  envelope_bound(ENVELOPE_PREFLIGHT), &p));
    const Cohortium__Member *m = p->stamp != NULL && p->stamp->issuer.len == DIGEST_BYTES
                                     ? manifest_find(home->manifest, p->stamp->issuer.data)
                                     : NULL;
    if (m == NULL || !envelope_is_signed_by(&e, m->signing_key.data) ||
        !bytes_equal(PB_BYTES(p->request), bytes_of(sent->digest, DIGEST_BYTES)))
        return cx_fail(cx, FAULT_DENIED,
                       "a preflight is not signed by a site for this question");
    *ret = p;
    return FAULT_NONE;
}

/* ---- the price ---- */

static size_t products_alone(size_t columns)
{
    return columns * (columns + 1) / 2;
}

/* A regions round has a bound; of sites that judge alone there are no products in it. */
static bool is_bounded(const struct dry *d)
{
    return !d->noised && !d->policy.testing && !d->by_site && !d->alone;
}

static enum fault open_question(struct cx *cx, const struct home *home,
                                const struct sent *sent, struct dry *d)
{
    struct complaints c = complaints_new(cx);

    d->by_site = sent->request->question->by_site;
    d->noised = policy_is_noised(&d->policy);
    TRY(question_open(cx, sent->cb, sent->request->question, d->policy.testing,
                      home->manifest->body->rows_log2, &c, &d->asked, &d->plan, &d->regions,
                      &d->analysis));
    if (d->analysis == NULL)
        return cx_fail(cx, FAULT_INTERNAL, "a question that all sites took is not ours");
    if (!d->noised || d->analysis->noised == NULL)
        return FAULT_NONE;
    d->analysis = d->analysis->noised;
    d->regions.n = 0;
    return d->analysis->check(cx, &d->asked, &c, &d->plan);
}

/* Every site would refuse it, once all have accepted. */
static enum fault find_price(struct cx *cx, const struct dry *d, struct price *p)
{
    p->cells = d->plan.n_cells;
    p->regions = d->regions.n;
    p->columns = d->noised || d->policy.testing
                     ? 0
                     : question_columns(&d->plan, &d->regions);
    p->numbers = d->plan.price;
    p->rounds = d->plan.rounds_max;
    if (!is_bounded(d))
        return FAULT_NONE;
    if (p->columns > REGIONS_PRODUCTS_MAX ||
        products_alone(p->columns) > REGIONS_PRODUCTS_MAX)
        return cx_fail(
            cx, FAULT_INVALID,
            "this question has %zu groups of patients, and sites would have to "
            "remember %zu columns of it, too many at once; ask for fewer variables "
            "or levels",
            p->regions, p->columns);
    p->room = p->columns == 0
                  ? REGIONS_PRODUCTS_MAX
                  : (REGIONS_PRODUCTS_MAX - products_alone(p->columns)) / p->columns;
    return FAULT_NONE;
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void put_permit(struct buffer *out, const Cohortium__PermitCard *permit)
{
    buffer_printf(out, "\nprice\n  question  1 of permit \"%s\"", permit->title);
    if (permit->budget == 0)
        buffer_text(out, ", which sets no limit");
    else
        buffer_printf(out, ": %llu of its %llu are left at your home node",
                      (unsigned long long)(permit->charged < permit->budget
                                               ? permit->budget - permit->charged
                                               : 0),
                      (unsigned long long)permit->budget);
    buffer_text(out, "; charged even if\n            the answer is withheld, free when "
                     "anybody asks it again\n");
}

static void put_ledger(struct buffer *out, const struct dry *d, const struct price *p)
{
    if (p->regions == 0 && p->columns <= 1) {
        buffer_text(out, "  ledger    nothing: it is about everybody\n");
        return;
    }
    buffer_text(out, "  ledger    ");
    if (p->regions > 0)
        buffer_printf(out, "%zu region%s of patients, as ", p->regions, plural(p->regions));
    buffer_printf(out, "%zu column%s that every site remembers for good\n", p->columns,
                  plural(p->columns));
    if (is_bounded(d))
        buffer_printf(
            out,
            "            within the bound of one question beside at most %zu columns "
            "from before\n",
            p->room);
}

static void put_price(struct buffer *out, const struct sent *sent, const struct dry *d,
                      const struct price *p)
{
    const double *number = d->policy.number;

    put_permit(out, sent->permit);
    if (d->noised)
        buffer_printf(
            out,
            "  noise     %s\n            of %g in all, %g a permit, %g a "
            "researcher; you have not spent at\n            least %.0f tenths of "
            "the narrowest of these\n",
            noised_words(out->cx, number[POLICY_RHO_PER_REQUEST], number[POLICY_DELTA]),
            number[POLICY_RHO_TOTAL], number[POLICY_RHO_PER_PROJECT],
            number[POLICY_RHO_PER_RESEARCHER], p->left);
    else
        put_ledger(out, d, p);
    if (p->cells > 0)
        buffer_printf(out, "  cells     %zu\n", p->cells);
    buffer_printf(out, "  numbers   %zu at most\n  rounds    %llu at most\n", p->numbers,
                  (unsigned long long)p->rounds);
}

static void put_json_price(struct buffer *out, const struct sent *sent, const struct dry *d,
                           const struct price *p)
{
    const double *number = d->policy.number;
    const char *mode = policy_field(POLICY_ROUNDING_MODE)
                           ->words[(size_t)number[POLICY_ROUNDING_MODE] % POLICY_WORDS_MAX];

    buffer_printf(out,
                  "],\"price\":{\"questions\":1,\"cells\":%zu,\"regions\":%zu,"
                  "\"columns\":%zu,\"columns_before_max\":",
                  p->cells, p->regions, p->columns);
    if (is_bounded(d))
        buffer_printf(out, "%zu", p->room);
    else
        buffer_text(out, "null");
    buffer_printf(out,
                  ",\"numbers\":%zu,\"rounds\":%llu},\"permit\":{\"title\":", p->numbers,
                  (unsigned long long)p->rounds);
    put_json_text(out, sent->permit->title);
    buffer_printf(
        out,
        ",\"budget\":%llu,\"charged\":%llu},\"rules\":{\"threshold\":%.0f,"
        "\"complement\":%.0f,\"rounding_base\":%.0f,\"rounding_mode\":\"%s\","
        "\"own_patients\":%s,\"exact_for_testing\":%s,",
        (unsigned long long)sent->permit->budget, (unsigned long long)sent->permit->charged,
        number[POLICY_MINIMUM_FREQUENCY_THRESHOLD], number[POLICY_MINIMUM_COMPLEMENT],
        number[POLICY_ROUNDING_BASE], mode != NULL ? mode : "nearest",
        d->by_site || d->alone ? "true" : "false", d->policy.testing ? "true" : "false");
    put_json_dry_rules(out, d);
    buffer_text(out, "}");
    if (d->noised)
        buffer_printf(out,
                      ",\"noise\":{\"mechanism\":\"discrete_gaussian\",\"rho\":%.9g,"
                      "\"epsilon\":%.9g,\"delta\":%g,\"rho_per_project\":%.9g,"
                      "\"rho_per_researcher\":%.9g,\"rho_total\":%.9g,"
                      "\"tenths_left\":%.0f}",
                      number[POLICY_RHO_PER_REQUEST],
                      epsilon_of(number[POLICY_RHO_PER_REQUEST], number[POLICY_DELTA]),
                      number[POLICY_DELTA], number[POLICY_RHO_PER_PROJECT],
                      number[POLICY_RHO_PER_RESEARCHER], number[POLICY_RHO_TOTAL], p->left);
    buffer_text(out, "}\n");
}

/* ---- the sites ---- */

struct row {
    const char *site;
    const Cohortium__Preflight *p;
    const struct policy *policy;
};

static enum fault open_row(struct cx *cx, const struct home *home, const char *site,
                           const Cohortium__Preflight *p, struct row *ret)
{
    struct policy *policy;

    CX_NEW(cx, policy, 1);
    if (p->policy == NULL)
        return cx_fail(cx, FAULT_FORMAT, "%s: its preflight says no policy", site);
    if (policy_open(cx, p->policy, manifest_is_lab(home->manifest), policy) != FAULT_NONE)
        return cx_prefix(cx, "%s: ", site);
    *ret = (struct row){site, p, policy};
    return FAULT_NONE;
}

/* What a session of them would have. */
static enum fault open_session(struct cx *cx, const struct home *home,
                               const struct row *rows, size_t n, struct dry *d)
{
    const struct policy **policies;
    size_t together = 0;

    CX_NEW(cx, policies, n);
    for (size_t i = 0; i < n; i++) {
        policies[i] = rows[i].policy;
        together += !policy_judges_alone(rows[i].policy);
    }
    d->alone = together < CIRCLE_SITES_MIN;
    return policy_session(cx, home->manifest, policies, n, &d->policy);
}

/* All complaints; what several sites say alike is told once. */
struct wrong {
    const char *site; /* the last that has some */
    size_t n, sites;
    Cohortium__Complaint **list;
};

static enum fault gather(struct cx *cx, const char *site, const Cohortium__Preflight *p,
                         struct wrong *w)
{
    Cohortium__Complaint **list;

    if (p->n_complaints == 0)
        return FAULT_NONE;
    CX_NEW(cx, list, w->n + p->n_complaints);
    for (size_t i = 0; i < w->n + p->n_complaints; i++)
        list[i] = i < w->n ? w->list[i] : p->complaints[i - w->n];
    *w = (struct wrong){site, w->n + p->n_complaints, w->sites + 1, list};
    return FAULT_NONE;
}

static enum fault open_rows(struct cli *cli, struct home *home, struct cx *cx,
                            const struct asking *asking, const struct sent *sent,
                            const Cohortium__Receipt *receipt, struct row *rows,
                            double *ret_left)
{
    struct wrong wrong = {0};
    size_t n = 0;

    for (size_t i = 0; i < receipt->n_preflights; i++) {
        Cohortium__Preflight *p = NULL;

        TRY(dry_run_open(home, cx, sent, receipt->preflights[i], &p));
        const char *site = member_name(cx, home->manifest, PB_BYTES(p->stamp->issuer));
        TRY(gather(cx, site, p, &wrong));
        if (p->n_complaints > 0)
            continue;
        size_t at = n++;
        for (; at > 0 && strcmp(rows[at - 1].site, site) > 0; at--)
            rows[at] = rows[at - 1];
        TRY(open_row(cx, home, site, p, &rows[at]));
        if (policy_is_noised(rows[at].policy) && p->noise_left < *ret_left)
            *ret_left = p->noise_left;
    }
    if (wrong.n > 0)
        return tell_complaints(cli, cx, wrong.sites == 1 ? wrong.site : "the sites",
                               wrong.list, wrong.n, asking->many);
    return FAULT_NONE;
}

static void put_json_rows(struct buffer *out, const struct row *rows, size_t n,
                          const char *analysis)
{
    buffer_text(out, "{\"cohortium\":1,\"dry_run\":true,\"valid\":true,\"sites\":[");
    for (size_t i = 0; i < n; i++) {
        buffer_text(out, i > 0 ? ",{\"site\":" : "{\"site\":");
        put_json_text(out, rows[i].site);
        buffer_printf(out, ",\"rounds\":%llu,\"by_site\":%s,\"held\":%s}",
                      (unsigned long long)rows[i].p->rounds,
                      rows[i].p->by_site ? "true" : "false",
                      policy_reviews(rows[i].policy, analysis) ? "true" : "false");
    }
}

static enum fault put_rows(struct buffer *out, const struct row *rows, size_t n,
                           const char *analysis)
{
    static const char *const head[] = {"site", "threshold", "counts to", "by site"};
    static const bool numeric[] = {false, true, true, false};
    size_t n_cells = n * COUNT(head);
    const char **cells;

    CX_NEW(out->cx, cells, n_cells);
    for (size_t i = 0; i < n; i++) {
        const double *number = rows[i].policy->number;
        double base = number[POLICY_ROUNDING_BASE];
        const char **cell = cells + i * COUNT(head);

        cell[0] = rows[i].site;
        cell[1] = cx_printf(out->cx, "%.0f", number[POLICY_MINIMUM_FREQUENCY_THRESHOLD]);
        cell[2] = cx_printf(out->cx, "%.0f", base > 1 ? base : 1);
        cell[3] = rows[i].p->by_site ? "yes" : "no";
        if (cell[1] == NULL || cell[2] == NULL)
            return FAULT_MEMORY;
    }
    struct grid grid = {COUNT(head), n, head, cells, numeric};
    put_grid(out, &grid, "  ");
    for (size_t i = 0; i < n; i++)
        if (policy_reviews(rows[i].policy, analysis))
            buffer_printf(out,
                          "  %s holds each answer of `%s` until an officer has looked at it: "
                          "leave it with --later\n",
                          rows[i].site, analysis);
    return FAULT_NONE;
}

enum fault dry_run_show(struct cli *cli, struct home *home, struct cx *cx,
                        const struct asking *asking, const struct sent *sent,
                        const Cohortium__Receipt *receipt)
{
    struct buffer out = buffer_new(cx, ASK_OUTPUT_MAX);
    size_t n = receipt->n_preflights;
    struct price price = {.left = TENTHS};
    struct dry d = {0};
    struct row *rows;

    CX_NEW(cx, rows, n);
    TRY(open_rows(cli, home, cx, asking, sent, receipt, rows, &price.left));
    TRY(open_session(cx, home, rows, n, &d));
    TRY(open_question(cx, home, sent, &d));
    TRY(find_price(cx, &d, &price));
    if (asking->json) {
        put_json_rows(&out, rows, n, sent->request->question->analysis);
        put_json_price(&out, sent, &d, &price);
    } else {
        buffer_text(&out,
                    "valid at every site; no data was touched and nothing was charged\n\n");
        TRY(put_rows(&out, rows, n, sent->request->question->analysis));
        put_price(&out, sent, &d, &price);
        put_dry_rules(&out, &d);
    }
    TRY(out.fault);
    if (fwrite(out.p, 1, out.n, cli->out) != out.n)
        return cx_fail(cx, FAULT_IO, "standard output could not be written");
    return FAULT_NONE;
}

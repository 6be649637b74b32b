/*
 * dry_run.c - what the sites said of a question, what it would cost, and what their rules
 * withhold in any case. All of it follows from the request, the policies and the permit:
 * nothing here can depend on a row.
 */
#include <math.h>
#include <string.h>

#include "analyses/math/epsilon.h"
#include "analyses/noised.h"
#include "node/cli/ask_private.h"
#include "node/cli/render.h"

/* The strictest of all sites' policies, in what a researcher can do something about. */
struct strictest {
    double threshold, complement, population, rounding, mode, error, min_sites;
    bool testing, zeros, by_itself; /* zeros withheld; judged by its own patients */
    bool noised;
    double rho, rho_project, rho_researcher, rho_total, delta; /* the smallest */
    double left; /* tenths of the narrowest budget of noise not spent by whoever asks, of
                    the site with least */
};

enum { TENTHS = 10 };

struct price {
    size_t regions, numbers;
    uint64_t rounds;
};

static double number_of(const Cohortium__Policy *p, const char *name)
{
    for (size_t i = 0; p != NULL && i < p->n_fields; i++)
        if (strcmp(p->fields[i]->name, name) == 0)
            return p->fields[i]->number;
    return 0.0;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

static void tighten(struct strictest *s, const Cohortium__Policy *p)
{
    s->threshold = larger(s->threshold, number_of(p, "minimum_frequency_threshold"));
    s->complement = larger(s->complement, number_of(p, "minimum_complement"));
    s->population = larger(s->population, number_of(p, "minimum_population"));
    s->rounding = larger(s->rounding, number_of(p, "rounding_base"));
    s->mode = larger(s->mode, number_of(p, "rounding_mode"));
    s->error = larger(s->error, number_of(p, "perturbation_d"));
    s->min_sites = larger(s->min_sites, number_of(p, "min_sites"));
    s->zeros = s->zeros || number_of(p, "zeros_are_disclosive") >= 1;
    s->by_itself = s->by_itself || number_of(p, "collusion_assumed") >= 1;
    s->noised = s->noised || number_of(p, "noise_mechanism") >= 1;
    s->rho = smaller(s->rho, number_of(p, "rho_per_request"));
    s->rho_project = smaller(s->rho_project, number_of(p, "rho_per_project"));
    s->rho_researcher = smaller(s->rho_researcher, number_of(p, "rho_per_researcher"));
    s->rho_total = smaller(s->rho_total, number_of(p, "rho_total"));
    s->delta = smaller(s->delta, number_of(p, "delta"));
    s->testing = s->testing && p != NULL && strcmp(p->policy_class, "testing") == 0;
}

static enum fault open_preflight(struct home *home, struct cx *cx, const struct sent *sent,
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

static enum fault find_price(struct cx *cx, const struct home *home,
                             const struct sent *sent, const struct strictest *s,
                             struct price *ret)
{
    struct complaints c = complaints_new(cx);
    const struct analysis *analysis;
    struct regions regions;
    struct asked asked;
    struct plan plan;

    TRY(question_open(cx, sent->cb, sent->request->question, s->testing,
                      home->manifest->body->rows_log2, &c, &asked, &plan, &regions,
                      &analysis));
    if (analysis == NULL)
        return cx_fail(cx, FAULT_INTERNAL, "a question that all sites took is not ours");
    if (s->noised && analysis->noised != NULL) {
        TRY(analysis->noised->check(cx, &asked, &c, &plan));
        regions.n = 0;
    }
    *ret = (struct price){regions.n, plan.price, plan.rounds_max};
    return FAULT_NONE;
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void put_price(struct buffer *out, const struct sent *sent, const struct price *p,
                      const struct strictest *s)
{
    const Cohortium__PermitCard *permit = sent->permit;

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
    if (s->noised)
        buffer_printf(out,
                      "  noise     %s\n            of %g in all, %g a permit, %g a "
                      "researcher; you have not spent at\n            least %.0f tenths of "
                      "the narrowest of these\n",
                      noised_words(out->cx, s->rho, s->delta), s->rho_total, s->rho_project,
                      s->rho_researcher, s->left);
    else if (p->regions > 0)
        buffer_printf(out,
                      "  ledger    %zu region%s of patients that every site remembers for "
                      "good\n",
                      p->regions, plural(p->regions));
    else
        buffer_text(out, "  ledger    nothing: it is about everybody\n");
    buffer_printf(out, "  numbers   %zu at most\n  rounds    %llu at most\n", p->numbers,
                  (unsigned long long)p->rounds);
}

/* By the number that a policy's rounding_mode has. */
enum { ROUND_CONTROLLED_WORD = 2, ROUND_CELL_KEY_WORD = 3 };
static const char *const modes[] = {"nearest", "random", "controlled", "cell_key"};

static size_t mode_of(const struct strictest *s)
{
    return s->mode >= 0 && s->mode < COUNT(modes) ? (size_t)s->mode : COUNT(modes) - 1;
}

static void put_rounding(struct buffer *out, const struct strictest *s)
{
    static const char *const how[] = {"come as the nearest",
                                      "go up or down, by chance, to a",
                                      "go up or down to a", "then come as the nearest"};

    if (mode_of(s) == ROUND_CELL_KEY_WORD)
        buffer_printf(out, "  digits: counts have an error of at most %.0f\n", s->error);
    if (s->rounding > 1)
        buffer_printf(
            out, "  digits: counts %s multiple of %.0f%s\n", how[mode_of(s)], s->rounding,
            mode_of(s) == ROUND_CONTROLLED_WORD ? ", so that tables of two variables add up"
                                                : "");
}

static void put_rules(struct buffer *out, const struct strictest *s, bool by_site)
{
    buffer_text(out,
                "\nwithheld by rule, whatever the data (the strictest of the sites)\n");
    if (s->testing) {
        buffer_text(out, "  nothing: these sites test and give exact answers\n");
        return;
    }
    if (s->noised) {
        buffer_printf(out,
                      "  counts that come out below %.0f with their noise, and what rests "
                      "on them\n",
                      s->threshold);
        return;
    }
    buffer_printf(out, "  what rests on fewer than %.0f patients", s->threshold);
    if (s->zeros)
        buffer_text(out, ", nobody included");
    if (s->complement > 0)
        buffer_printf(out, ", or leaves out fewer than %.0f", s->complement);
    buffer_text(out, "\n");
    if (s->by_itself || by_site)
        buffer_text(out, "  ... judged by a site's own patients, not by all together\n");
    put_rounding(out, s);
    buffer_text(out, "  extremes and quantiles\n");
}

static void put_json_price(struct buffer *out, const struct sent *sent,
                           const struct price *p, const struct strictest *s)
{
    buffer_printf(out,
                  "],\"price\":{\"questions\":1,\"regions\":%zu,\"numbers\":%zu,"
                  "\"rounds\":%llu},\"permit\":{\"title\":",
                  p->regions, p->numbers, (unsigned long long)p->rounds);
    put_json_text(out, sent->permit->title);
    buffer_printf(out,
                  ",\"budget\":%llu,\"charged\":%llu},\"rules\":{\"threshold\":%.0f,"
                  "\"complement\":%.0f,\"rounding_base\":%.0f,\"rounding_mode\":\"%s\","
                  "\"own_patients\":%s,\"exact_for_testing\":%s}",
                  (unsigned long long)sent->permit->budget,
                  (unsigned long long)sent->permit->charged, s->threshold, s->complement,
                  s->rounding, modes[mode_of(s)], s->by_itself ? "true" : "false",
                  s->testing ? "true" : "false");
    if (s->noised)
        buffer_printf(out,
                      ",\"noise\":{\"mechanism\":\"discrete_gaussian\",\"rho\":%.9g,"
                      "\"epsilon\":%.9g,\"delta\":%g,\"rho_per_project\":%.9g,"
                      "\"rho_per_researcher\":%.9g,\"rho_total\":%.9g,"
                      "\"tenths_left\":%.0f}",
                      s->rho, epsilon_of(s->rho, s->delta), s->delta, s->rho_project,
                      s->rho_researcher, s->rho_total, s->left);
    buffer_text(out, "}\n");
}

/* ---- the sites ---- */

struct row {
    const char *site;
    const Cohortium__Preflight *p;
};

static enum fault open_rows(struct cli *cli, struct home *home, struct cx *cx,
                            const struct asking *asking, const struct sent *sent,
                            const Cohortium__Receipt *receipt, struct row *rows,
                            struct strictest *s)
{
    for (size_t i = 0; i < receipt->n_preflights; i++) {
        Cohortium__Preflight *p = NULL;
        size_t at = i;

        TRY(open_preflight(home, cx, sent, receipt->preflights[i], &p));
        const char *site = member_name(cx, home->manifest, PB_BYTES(p->stamp->issuer));
        if (p->n_complaints > 0)
            return tell_complaints(cli, cx, site, p->complaints, p->n_complaints,
                                   asking->many);
        for (; at > 0 && strcmp(rows[at - 1].site, site) > 0; at--)
            rows[at] = rows[at - 1];
        rows[at] = (struct row){site, p};
        tighten(s, p->policy);
        if (number_of(p->policy, "noise_mechanism") >= 1)
            s->left = smaller(s->left, p->noise_left);
    }
    return FAULT_NONE;
}

static void put_json_rows(struct buffer *out, const struct row *rows, size_t n)
{
    buffer_text(out, "{\"cohortium\":1,\"dry_run\":true,\"valid\":true,\"sites\":[");
    for (size_t i = 0; i < n; i++) {
        buffer_text(out, i > 0 ? ",{\"site\":" : "{\"site\":");
        put_json_text(out, rows[i].site);
        buffer_printf(out, ",\"rounds\":%llu,\"by_site\":%s}",
                      (unsigned long long)rows[i].p->rounds,
                      rows[i].p->by_site ? "true" : "false");
    }
}

static enum fault put_rows(struct buffer *out, const struct row *rows, size_t n)
{
    static const char *const head[] = {"site", "threshold", "counts to", "by site"};
    static const bool numeric[] = {false, true, true, false};
    size_t n_cells = n * COUNT(head);
    const char **cells;

    CX_NEW(out->cx, cells, n_cells);
    for (size_t i = 0; i < n; i++) {
        const Cohortium__Policy *policy = rows[i].p->policy;
        double base = number_of(policy, "rounding_base");
        const char **cell = cells + i * COUNT(head);

        cell[0] = rows[i].site;
        cell[1] =
            cx_printf(out->cx, "%.0f", number_of(policy, "minimum_frequency_threshold"));
        cell[2] = cx_printf(out->cx, "%.0f", base > 1 ? base : 1);
        cell[3] = rows[i].p->by_site ? "yes" : "no";
        if (cell[1] == NULL || cell[2] == NULL)
            return FAULT_MEMORY;
    }
    struct grid grid = {COUNT(head), n, head, cells, numeric};
    put_grid(out, &grid, "  ");
    return FAULT_NONE;
}

enum fault dry_run_show(struct cli *cli, struct home *home, struct cx *cx,
                        const struct asking *asking, const struct sent *sent,
                        const Cohortium__Receipt *receipt)
{
    struct buffer out = buffer_new(cx, ASK_OUTPUT_MAX);
    size_t n = receipt->n_preflights;
    struct strictest s = {.testing = true,
                          .rho = HUGE_VAL,
                          .rho_project = HUGE_VAL,
                          .rho_researcher = HUGE_VAL,
                          .rho_total = HUGE_VAL,
                          .delta = 1,
                          .left = TENTHS};
    struct price price = {0};
    struct row *rows;

    CX_NEW(cx, rows, n);
    TRY(open_rows(cli, home, cx, asking, sent, receipt, rows, &s));
    TRY(find_price(cx, home, sent, &s, &price));
    if (asking->json) {
        put_json_rows(&out, rows, n);
        put_json_price(&out, sent, &price, &s);
    } else {
        buffer_text(&out,
                    "valid at every site; no data was touched and nothing was charged\n\n");
        TRY(put_rows(&out, rows, n));
        put_price(&out, sent, &price, &s);
        put_rules(&out, &s, sent->request->question->by_site);
    }
    TRY(out.fault);
    if (fwrite(out.p, 1, out.n, cli->out) != out.n)
        return cx_fail(cx, FAULT_IO, "standard output could not be written");
    return FAULT_NONE;
}

/*
 * cmd_budget.c - what is left to ask: by permit, dataset and site, from every site itself.
 *
 * A dry run of `count` under each permit: each site's signed preflight has what of its
 * budgets this permit and this researcher have spent. Nothing is charged; what others have
 * spent of a patients' budget no site tells.
 */
#include <math.h>
#include <string.h>

#include "node/cli/answer.h"
#include "node/cli/ask_private.h"
#include "node/cli/look.h"
#include "node/cli/render.h"

enum { ROWS_MAX = 4096, CELLS = 7 };

/* One permit, dataset and site; site NULL: nothing could be asked. */
struct budget_row {
    const Cohortium__PermitCard *permit;
    const char *dataset, *site, *trouble;
    const Cohortium__Budget *budget; /* NULL: the site told none */
};

struct budgets {
    struct cli *cli;
    struct home *home;
    const struct args *args;
    size_t n;
    struct budget_row *rows;
};

/* ---- asked ---- */

static enum fault make_args(struct cx *cx, const char *dataset, const char *permit,
                            struct args *ret)
{
    char *words[] = {(char *)"count",    (char *)(uintptr_t)dataset, (char *)"--dry-run",
                     (char *)"--permit", (char *)(uintptr_t)permit,  NULL};
    const struct command *command;
    int n = (int)COUNT(words) - 1, used;

    TRY(command_find(cx, n, words, &command, &used));
    return args_parse(cx, command, n - used, words + used, ret);
}

static enum fault put_row(struct budgets *b, const struct budget_row *row)
{
    if (b->n == ROWS_MAX)
        return cx_fail(b->cli->cx, FAULT_BOUND,
                       "more than %d budgets: name a dataset or a "
                       "permit",
                       ROWS_MAX);
    b->rows[b->n++] = *row;
    return FAULT_NONE;
}

static const char *complaints_text(struct cx *cx, const Cohortium__Preflight *p)
{
    struct buffer text = buffer_new(cx, 1 << 16);

    for (size_t i = 0; i < p->n_complaints; i++)
        buffer_printf(&text, "%s%s", i > 0 ? "; " : "", p->complaints[i]->text);
    return p->n_complaints > 0 ? buffer_string(&text) : NULL;
}

static enum fault read_sites(struct budgets *b, struct cx *cx, const struct sent *sent,
                             struct bytes packed, struct budget_row *row)
{
    Cohortium__Receipt *receipt;

    TRY(pb_unpack(cx, &cohortium__receipt__descriptor, packed, LINK_MESSAGE_MAX, &receipt));
    for (size_t i = 0; i < receipt->n_preflights; i++) {
        Cohortium__Preflight *p;

        TRY(dry_run_open(b->home, cx, sent, receipt->preflights[i], &p));
        row->site = member_name(cx, b->home->manifest, PB_BYTES(p->stamp->issuer));
        row->budget = p->budget;
        row->trouble = complaints_text(cx, p);
        TRY(put_row(b, row));
    }
    return FAULT_NONE;
}

/* A permit that cannot be asked about now is a row, not the end. */
static enum fault ask_one(struct budgets *b, const Cohortium__PermitCard *permit,
                          const char *dataset)
{
    struct cx *cx = b->cli->cx;
    struct budget_row row = {.permit = permit, .dataset = dataset};
    const char *id = bytes_hex(cx, permit->id.data, permit->id.len);
    struct args count;
    struct sent sent = {0};
    struct bytes packed;

    if (id == NULL)
        return FAULT_MEMORY;
    TRY(make_args(cx, dataset, id, &count));
    struct asking asking = {.args = &count, .many = true};
    enum fault fault = ask_make(b->home, cx, &asking, &sent);
    if (fault == FAULT_NONE)
        fault = ask_call(b->cli, b->home, cx, &asking, &sent, false, &packed);
    if (fault == FAULT_MEMORY || fault == FAULT_CANCELLED)
        return fault;
    if (fault == FAULT_NONE)
        return read_sites(b, cx, &sent, packed, &row);
    row.trouble = cx_strdup(cx, cx_message(cx));
    return put_row(b, &row);
}

static bool is_wanted(const struct budgets *b, const Cohortium__PermitCard *p,
                      const char *dataset)
{
    const char *wanted = args_get(b->args, "--permit");
    const char *id = bytes_hex(b->cli->cx, p->id.data, p->id.len);
    bool named =
        wanted == NULL || strcmp(p->title, wanted) == 0 ||
        (id != NULL && strlen(wanted) >= 4 && strncmp(id, wanted, strlen(wanted)) == 0);

    return named && (b->args->n_words == 0 || strcmp(b->args->words[0], dataset) == 0);
}

static enum fault ask_all(struct budgets *b)
{
    CX_NEW(b->cli->cx, b->rows, ROWS_MAX);
    for (size_t i = 0; i < b->home->sites->n_permits; i++) {
        const Cohortium__PermitCard *p = b->home->sites->permits[i];

        for (size_t k = 0; k < p->n_datasets; k++)
            if (is_wanted(b, p, p->datasets[k]))
                TRY(ask_one(b, p, p->datasets[k]));
    }
    return FAULT_NONE;
}

/* ---- told ---- */

/* rho of 2^-32ths; down, so that it is never more than there is. */
static double rho_of(uint64_t parts)
{
    return floor((double)parts / 4294967296.0 * 1e4) / 1e4;
}

static uint64_t left_of(uint64_t limit, uint64_t spent)
{
    return spent < limit ? limit - spent : 0;
}

/* How many questions more: of the permit's number, and of what noise has left. False: no
 * limit. */
static bool questions_left(const struct budget_row *r, uint64_t *ret)
{
    const Cohortium__Budget *b = r->budget;
    bool limited = r->permit->budget > 0;
    uint64_t least = left_of(r->permit->budget, b->permit_questions);

    if (b->rho > 0) {
        uint64_t all[] = {left_of(b->permit_limit, b->permit_spent),
                          left_of(b->researcher_limit, b->researcher_spent),
                          left_of(b->patients_limit, b->patients_own)};

        for (size_t i = 0; i < COUNT(all); i++)
            if (!limited || all[i] / b->rho < least) {
                least = all[i] / b->rho;
                limited = true;
            }
    }
    *ret = least;
    return limited;
}

static const char *pair_text(struct cx *cx, uint64_t limit, uint64_t spent)
{
    return cx_printf(cx, "%.4f of %.4f", rho_of(left_of(limit, spent)), rho_of(limit));
}

static enum fault fill_row(struct cx *cx, const struct budget_row *r, const char **cell)
{
    const Cohortium__Budget *b = r->budget;
    uint64_t left;

    for (size_t j = 0; j < CELLS; j++)
        cell[j] = "-";
    cell[0] = r->permit->title;
    cell[1] = r->dataset;
    cell[2] = r->site != NULL ? r->site : "-";
    if (b == NULL)
        return FAULT_NONE;
    bool limited = questions_left(r, &left);
    cell[3] = limited ? cx_printf(cx, "%llu (%llu asked)", (unsigned long long)left,
                                  (unsigned long long)b->permit_questions)
                      : cx_printf(cx, "no limit (%llu asked)",
                                  (unsigned long long)b->permit_questions);
    if (b->rho > 0) {
        cell[4] = pair_text(cx, b->permit_limit, b->permit_spent);
        cell[5] = pair_text(cx, b->researcher_limit, b->researcher_spent);
        cell[6] = pair_text(cx, b->patients_limit, b->patients_own);
    }
    return cell[3] != NULL && cell[4] != NULL && cell[5] != NULL && cell[6] != NULL
               ? FAULT_NONE
               : FAULT_MEMORY;
}

static bool is_noised(const struct budgets *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->rows[i].budget != NULL && b->rows[i].budget->rho > 0)
            return true;
    return false;
}

static enum fault put_text(struct budgets *b, struct buffer *out)
{
    static const char *const head[CELLS] = {"permit",
                                            "dataset",
                                            "site",
                                            "questions left",
                                            "rho left: permit",
                                            "you",
                                            "of the patients' (less yours)"};
    size_t columns = is_noised(b) ? CELLS : 4;
    const char **cells;

    CX_NEW(out->cx, cells, (b->n + 1) * CELLS);
    for (size_t i = 0; i < b->n; i++)
        TRY(fill_row(out->cx, &b->rows[i], cells + i * columns));
    struct grid grid = {columns, b->n, head, cells, NULL, terminal_width(b->cli->out)};
    put_grid(out, &grid, "");
    for (size_t i = 0; i < b->n; i++)
        if (b->rows[i].trouble != NULL)
            buffer_printf(out, "%s, %s: %s\n", b->rows[i].dataset,
                          b->rows[i].site != NULL ? b->rows[i].site : "not asked",
                          b->rows[i].trouble);
    if (b->n == 0)
        buffer_text(out, "no permit of yours fits; `cohortium status` lists them\n");
    if (is_noised(b))
        buffer_text(out,
                    "What others have spent of a patients' budget is not told: there may "
                    "be less of it.\n");
    return FAULT_NONE;
}

static void put_json_pair(struct buffer *out, const char *name, uint64_t limit,
                          uint64_t spent)
{
    buffer_printf(out, ",\"%s\":{\"limit\":", name);
    put_json_number(out, rho_of(limit));
    buffer_text(out, ",\"left\":");
    put_json_number(out, rho_of(left_of(limit, spent)));
    buffer_text(out, "}");
}

static void put_json_budget(struct buffer *out, const struct budget_row *r)
{
    const Cohortium__Budget *b = r->budget;
    uint64_t left;

    if (b == NULL) {
        buffer_text(out, ",\"questions\":null,\"noise\":null");
        return;
    }
    bool limited = questions_left(r, &left);
    buffer_printf(out, ",\"questions\":{\"asked\":%llu,\"left\":",
                  (unsigned long long)b->permit_questions);
    if (limited)
        buffer_printf(out, "%llu", (unsigned long long)left);
    else
        buffer_text(out, "null");
    buffer_text(out, "},\"noise\":");
    if (b->rho == 0) {
        buffer_text(out, "null");
        return;
    }
    buffer_text(out, "{\"rho\":");
    put_json_number(out, (double)b->rho / 4294967296.0);
    put_json_pair(out, "permit", b->permit_limit, b->permit_spent);
    put_json_pair(out, "researcher", b->researcher_limit, b->researcher_spent);
    put_json_pair(out, "patients_less_yours", b->patients_limit, b->patients_own);
    buffer_text(out, "}");
}

static void put_json(struct budgets *b, struct buffer *out)
{
    buffer_text(out, "{\"cohortium\":1,\"budgets\":[");
    for (size_t i = 0; i < b->n; i++) {
        const struct budget_row *r = &b->rows[i];

        buffer_text(out, i > 0 ? ",{" : "{");
        look_pair(out, true, "permit",
                  bytes_hex(out->cx, r->permit->id.data, r->permit->id.len));
        look_pair(out, false, "title", r->permit->title);
        look_pair(out, false, "dataset", r->dataset);
        if (r->site != NULL)
            look_pair(out, false, "site", r->site);
        else
            buffer_text(out, ",\"site\":null");
        put_json_budget(out, r);
        if (r->trouble != NULL)
            look_pair(out, false, "trouble", r->trouble);
        buffer_text(out, "}");
    }
    buffer_text(out, "]}\n");
}

/* Sites by name, in the order of permits and datasets. */
static void order_sites(struct budgets *b)
{
    for (size_t i = 1; i < b->n; i++)
        for (size_t k = i; k > 0; k--) {
            struct budget_row *x = &b->rows[k - 1], *y = &b->rows[k], swap = *x;

            if (x->permit != y->permit || x->dataset != y->dataset || x->site == NULL ||
                y->site == NULL || strcmp(x->site, y->site) <= 0)
                break;
            *x = *y;
            *y = swap;
        }
}

static enum fault show_budget(struct cli *cli, const struct args *args, struct home *home)
{
    struct budgets b = {.cli = cli, .home = home, .args = args};
    struct buffer out = buffer_new(cli->cx, LOOK_OUT_MAX);

    TRY(ask_all(&b));
    order_sites(&b);
    if (args_has(args, "--json"))
        put_json(&b, &out);
    else
        TRY(put_text(&b, &out));
    return look_print(cli, &out);
}

enum fault run_budget(struct cli *cli, const struct args *args)
{
    struct home home;

    TRY(args_words(cli->cx, args, 0, 1));
    enum fault fault = home_open(cli, args, &home);
    if (fault == FAULT_NONE)
        fault = show_budget(cli, args, &home);
    home_close(&home);
    return fault;
}

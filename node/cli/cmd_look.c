/* cmd_look.c - what there is: codebooks, sites, my papers. */
#include <string.h>

#include "node/cli/look.h"
#include "node/cli/render.h"
#include "protocol/base/clock.h"
#include "protocol/papers.h"

enum fault look_print(struct cli *cli, struct buffer *out)
{
    TRY(out->fault);
    if (fwrite(out->p, 1, out->n, cli->out) != out->n)
        return cx_fail(cli->cx, FAULT_IO, "standard output could not be written");
    return FAULT_NONE;
}

void look_pair(struct buffer *out, bool first, const char *name, const char *value)
{
    buffer_printf(out, "%s\"%s\":", first ? "" : ",", name);
    put_json_text(out, value != NULL ? value : "");
}

/* ---- codebook ---- */

const char *look_type(Cohortium__VarType t)
{
    static const char *const names[] = {"?",       "integer", "real", "categorical",
                                        "ordered", "binary",  "date"};

    return (size_t)t < COUNT(names) ? names[t] : "?";
}

const char *look_role(Cohortium__Role r)
{
    static const char *const names[] = {"?",         "identifier", "quasi-identifier",
                                        "sensitive", "ordinary",   "hidden"};

    return (size_t)r < COUNT(names) ? names[r] : "?";
}

const char *look_number(struct cx *cx, const Cohortium__Variable *v, double x)
{
    char day[32];

    return v->type == COHORTIUM__VAR_TYPE__DATE
               ? cx_strdup(cx, clock_date((int32_t)x, day, sizeof day))
               : report_number(cx, x, 0, 10);
}

/* What a derived variable's level i of its source is called. */
static const char *source_level(struct cx *cx, const Cohortium__Variable *source, size_t i)
{
    double first = source->type == COHORTIUM__VAR_TYPE__INTEGER ? source->lower : 0;

    return variable_has_levels(source) ? source->levels[i]
                                       : cx_printf(cx, "%.0f", first + (double)i);
}

const char *look_derived(struct cx *cx, const struct codebook *cb,
                         const Cohortium__Variable *v)
{
    int at = codebook_find(cb, v->from);
    struct buffer b = buffer_new(cx, 256 * 1024);

    if (!variable_is_derived(v) || at < 0)
        return "";
    const Cohortium__Variable *source = codebook_variable(cb, at);
    buffer_printf(&b, "from %s", v->from);
    for (size_t i = 0; i < v->n_cut; i++)
        buffer_printf(&b, "%s%s", i > 0 ? ", " : " cut at ",
                      look_number(cx, source, v->cut[i]));
    for (size_t i = 0; i < v->n_recode; i++) {
        const char *name = source_level(cx, source, i);

        buffer_printf(&b, "%s%s is %s", i > 0 ? ", " : ": ", name != NULL ? name : "?",
                      v->levels[v->recode[i]]);
    }
    const char *text = buffer_string(&b);
    return text == NULL ? "" : text;
}

/* Levels, or bounds with unit and cut points. */
static const char *values_text(struct cx *cx, const struct codebook *cb,
                               const Cohortium__Variable *v)
{
    struct buffer b = buffer_new(cx, 512 * 1024);

    for (size_t i = 0; i < v->n_levels && i < 12; i++)
        buffer_printf(&b, "%s%s", i > 0 ? ", " : "", v->levels[i]);
    if (v->n_levels > 12)
        buffer_printf(&b, ", ... (%zu)", v->n_levels);
    if (v->bounded)
        buffer_printf(&b, "%s to %s", look_number(cx, v, v->lower),
                      look_number(cx, v, v->upper));
    if (v->unit[0] != '\0')
        buffer_printf(&b, " %s", v->unit);
    for (size_t i = 0; i < v->n_grid && i < 12; i++)
        buffer_printf(&b, "%s%s", i > 0 ? ", " : "; cut at ",
                      look_number(cx, v, v->grid[i]));
    if (v->n_grid > 12)
        buffer_text(&b, ", ...");
    if (variable_is_derived(v))
        buffer_printf(&b, "; %s", look_derived(cx, cb, v));
    const char *text = buffer_string(&b);
    return text == NULL ? "" : text;
}

/* Of one that is not derived: null and empty. */
static void put_json_derived(struct buffer *out, const Cohortium__Variable *v)
{
    if (variable_is_derived(v))
        look_pair(out, false, "from", v->from);
    else
        buffer_text(out, ",\"from\":null");
    buffer_text(out, ",\"cut\":[");
    for (size_t i = 0; i < v->n_cut; i++) {
        buffer_text(out, i > 0 ? "," : "");
        put_json_number(out, v->cut[i]);
    }
    buffer_text(out, "],\"recode\":[");
    for (size_t i = 0; i < v->n_recode; i++) {
        buffer_text(out, i > 0 ? "," : "");
        put_json_text(out, v->levels[v->recode[i]]);
    }
    buffer_text(out, "]");
}

static void put_json_variable(struct buffer *out, const Cohortium__Variable *v)
{
    buffer_text(out, "{");
    look_pair(out, true, "name", v->name);
    look_pair(out, false, "type", look_type(v->type));
    look_pair(out, false, "role", look_role(v->role));
    look_pair(out, false, "unit", v->unit);
    look_pair(out, false, "label", v->label);
    buffer_text(out, ",\"levels\":[");
    for (size_t i = 0; i < v->n_levels; i++) {
        buffer_text(out, i > 0 ? "," : "");
        put_json_text(out, v->levels[i]);
    }
    buffer_text(out, "],\"bounds\":[");
    if (v->bounded) {
        put_json_number(out, v->lower);
        buffer_text(out, ",");
        put_json_number(out, v->upper);
    }
    buffer_text(out, "],\"grid\":[");
    for (size_t i = 0; i < v->n_grid; i++) {
        buffer_text(out, i > 0 ? "," : "");
        put_json_number(out, v->grid[i]);
    }
    buffer_text(out, "]");
    put_json_derived(out, v);
    buffer_text(out, "}");
}

static enum fault show_codebook(struct cli *cli, const struct args *args, struct home *home)
{
    static const char *const head[] = {"variable", "type", "role", "values", "label"};
    struct cx *cx = cli->cx;
    struct buffer out = buffer_new(cx, LOOK_OUT_MAX);
    bool json = args_has(args, "--json");
    const struct codebook *cb;
    const char **cells;
    size_t rows = 0, n_cells;

    TRY(home_codebook(home, args->words[0], &cb));
    n_cells = cb->body->n_variables * COUNT(head);
    const char *digest = bytes_hex(cx, cb->digest, sizeof cb->digest);
    CX_NEW(cx, cells, n_cells);
    if (json) {
        buffer_text(&out, "{\"cohortium\":1,");
        look_pair(&out, true, "dataset", cb->body->name);
        look_pair(&out, false, "title", cb->body->title);
        look_pair(&out, false, "digest", digest);
        look_pair(&out, false, "count_unit", cb->body->count_unit);
        buffer_text(&out, ",\"variables\":[");
    } else {
        buffer_printf(&out, "%s: %s\ncounted by distinct %s; digest %s\n\n", cb->body->name,
                      cb->body->title, cb->body->count_unit, digest == NULL ? "" : digest);
    }
    for (size_t i = 0; i < cb->body->n_variables; i++) {
        const Cohortium__Variable *v = cb->body->variables[i];

        if (!variable_is_usable(v))
            continue;
        if (json) {
            buffer_text(&out, rows > 0 ? "," : "");
            put_json_variable(&out, v);
        }
        cells[rows * COUNT(head)] = v->name;
        cells[rows * COUNT(head) + 1] = look_type(v->type);
        cells[rows * COUNT(head) + 2] = look_role(v->role);
        cells[rows * COUNT(head) + 3] = values_text(cx, cb, v);
        cells[rows * COUNT(head) + 4] = v->label;
        rows++;
    }
    struct grid grid = {COUNT(head), rows, head, cells, NULL, terminal_width(cli->out)};
    if (json)
        buffer_text(&out, "]}\n");
    else
        put_grid(&out, &grid, "");
    return look_print(cli, &out);
}

/* ---- sites ---- */

static const char *dataset_names(struct cx *cx, const Cohortium__Site *s)
{
    struct buffer b = buffer_new(cx, 64 * 1024);

    for (size_t i = 0; i < s->n_datasets; i++)
        buffer_printf(&b, "%s%s", i > 0 ? ", " : "", s->datasets[i]->name);
    const char *text = buffer_string(&b);
    return text == NULL ? "" : text;
}

static enum fault show_sites(struct cli *cli, const struct args *args, struct home *home)
{
    static const char *const head[] = {"site",    "title",    "link",
                                       "answers", "datasets", "software"};
    struct cx *cx = cli->cx;
    struct buffer out = buffer_new(cx, LOOK_OUT_MAX);
    bool json = args_has(args, "--json");
    size_t n = home->sites->n_sites, n_cells = n * COUNT(head);
    const char **cells;

    CX_NEW(cx, cells, n_cells);
    buffer_text(&out, json ? "{\"cohortium\":1,\"sites\":[" : "");
    for (size_t i = 0; i < n; i++) {
        const Cohortium__Site *s = home->sites->sites[i];
        const char **cell = cells + i * COUNT(head);

        cell[0] = s->name;
        cell[1] = s->title;
        cell[2] = strcmp(s->state, "this") == 0 ? "home" : s->state;
        cell[3] = s->ready ? "yes"
                           : cx_printf(cx, "no: %s",
                                       s->why_not[0] != '\0' ? s->why_not : s->detail);
        cell[4] = dataset_names(cx, s);
        cell[5] = s->software;
        if (cell[3] == NULL)
            return FAULT_MEMORY;
        if (!json)
            continue;
        buffer_text(&out, i > 0 ? ",{" : "{");
        look_pair(&out, true, "name", s->name);
        look_pair(&out, false, "title", s->title);
        look_pair(&out, false, "node_id", bytes_hex(cx, s->node_id.data, s->node_id.len));
        look_pair(&out, false, "state", s->state);
        look_pair(&out, false, "detail", s->detail);
        look_pair(&out, false, "why_not", s->why_not);
        look_pair(&out, false, "software", s->software);
        buffer_printf(&out, ",\"ready\":%s,\"datasets\":[", s->ready ? "true" : "false");
        for (size_t k = 0; k < s->n_datasets; k++) {
            buffer_text(&out, k > 0 ? "," : "");
            put_json_text(&out, s->datasets[k]->name);
        }
        buffer_text(&out, "]}");
    }
    struct grid grid = {COUNT(head), n, head, cells, NULL, terminal_width(cli->out)};
    if (json)
        buffer_text(&out, "]}\n");
    else
        put_grid(&out, &grid, "");
    return look_print(cli, &out);
}

/* ---- status ---- */

static const char *day_text(struct cx *cx, uint64_t ms)
{
    char text[32];

    clock_format((int64_t)ms, text, sizeof text);
    text[10] = '\0';
    return cx_strdup(cx, text);
}

static void put_permits(struct buffer *out, const struct home *home, bool json)
{
    for (size_t i = 0; i < home->sites->n_permits; i++) {
        const Cohortium__PermitCard *p = home->sites->permits[i];
        const char *id = bytes_hex(out->cx, p->id.data, p->id.len);
        const char *until = day_text(out->cx, p->not_after);

        if (json) {
            buffer_text(out, i > 0 ? ",{" : "{");
            look_pair(out, true, "id", id);
            look_pair(out, false, "title", p->title);
            look_pair(out, false, "until", until);
            buffer_printf(out,
                          ",\"by_site\":%s,\"budget\":%llu,\"charged\":%llu,"
                          "\"datasets\":[",
                          p->by_site ? "true" : "false", (unsigned long long)p->budget,
                          (unsigned long long)p->charged);
        } else {
            buffer_printf(out, "permit      %.8s  %s: ", id != NULL ? id : "", p->title);
        }
        for (size_t k = 0; k < p->n_datasets; k++) {
            buffer_text(out, k > 0 ? (json ? "," : ", ") : "");
            if (json)
                put_json_text(out, p->datasets[k]);
            else
                buffer_text(out, p->datasets[k]);
        }
        if (json) {
            buffer_text(out, "]}");
            continue;
        }
        buffer_printf(out, "; until %s%s", until != NULL ? until : "?",
                      p->by_site ? "; by site, too" : "");
        if (p->budget > 0)
            buffer_printf(out, "; %llu of %llu questions asked",
                          (unsigned long long)p->charged, (unsigned long long)p->budget);
        buffer_text(out, "\n");
    }
}

static enum fault show_status(struct cli *cli, const struct args *args, struct home *home)
{
    struct cx *cx = cli->cx;
    struct buffer out = buffer_new(cx, LOOK_OUT_MAX);
    const Cohortium__Manifest *m = home->manifest->body;
    struct credential c = {0};
    size_t ready = 0;
    bool json = args_has(args, "--json");

    enum fault fault =
        credential_verify(cx, home->manifest, home->credential, clock_utc_ms(), &c);
    const char *trouble = fault == FAULT_NONE ? NULL : cx_strdup(cx, cx_message(cx));
    for (size_t i = 0; i < home->sites->n_sites; i++)
        ready += home->sites->sites[i]->ready;
    const char *home_name =
        member_name(cx, home->manifest, bytes_of(home->profile.node, DIGEST_BYTES));
    const char *until = trouble == NULL ? day_text(cx, c.body->not_after) : "";
    if (json) {
        buffer_text(&out, "{\"cohortium\":1,");
        look_pair(&out, true, "profile", home->profile.name);
        look_pair(&out, false, "home", home_name);
        look_pair(&out, false, "consortium", m->consortium_name);
        look_pair(&out, false, "genesis",
                  bytes_hex(cx, home->profile.genesis, DIGEST_BYTES));
        look_pair(&out, false, "credential_until", until);
        buffer_printf(&out, ",\"lab\":%s,\"sites\":%zu,\"ready\":%zu,\"permits\":[",
                      manifest_is_lab(home->manifest) ? "true" : "false",
                      home->sites->n_sites, ready);
        put_permits(&out, home, true);
        buffer_text(&out, "]}\n");
        return look_print(cli, &out);
    }
    buffer_printf(&out, "profile     %s\nconsortium  %s%s, version %llu of its manifest\n",
                  home->profile.name, m->consortium_name,
                  manifest_is_lab(home->manifest) ? " (a lab)" : "",
                  (unsigned long long)m->version);
    buffer_printf(&out, "home        %s at %s\nsites       %zu of %zu ready\n", home_name,
                  home->profile.home, ready, home->sites->n_sites);
    if (trouble != NULL)
        buffer_printf(&out, "credential  not valid: %s\n", trouble);
    else
        buffer_printf(&out, "credential  %s, until %s\n", c.body->name, until);
    put_permits(&out, home, false);
    if (home->sites->n_permits == 0)
        buffer_text(&out, "permit      none: write one with `cohortium permit draft` and ask the sites' "
                          "officers to sign it\n");
    if ((uint64_t)clock_utc_ms() > m->fresh_until)
        buffer_text(&out, "note: the manifest is due for renewal\n");
    return look_print(cli, &out);
}

/* ---- commands ---- */

enum fault look(struct cli *cli, const struct args *args, size_t words, look_show *show)
{
    struct home home;

    TRY(args_words(cli->cx, args, words, words));
    enum fault fault = home_open(cli, args, &home);
    if (fault == FAULT_NONE)
        fault = show(cli, args, &home);
    home_close(&home);
    return fault;
}

enum fault run_codebook(struct cli *cli, const struct args *args)
{
    return look(cli, args, 1, show_codebook);
}

enum fault run_sites(struct cli *cli, const struct args *args)
{
    return look(cli, args, 0, show_sites);
}

enum fault run_status(struct cli *cli, const struct args *args)
{
    return look(cli, args, 0, show_status);
}

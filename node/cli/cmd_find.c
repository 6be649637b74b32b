/*
 * cmd_find.c - datasets: all that can be asked about, or what a pattern finds in the
 * codebooks of all members, each fetched by its digest from whoever has it.
 */
#include <fnmatch.h>
#include <locale.h>
#include <string.h>

#include "node/cli/counts.h"
#include "node/cli/look.h"
#include "node/cli/render.h"

enum {
    GROUPS_MAX = 4096,
    FOUND_MAX = 10000,
    PATTERN_MAX = 200,
    SPAN_WORDS = 8, /* that a pattern is tried at together: a peer chooses the text */
    LEVELS_TOLD = 3
};

/* ---- datasets, one a codebook ---- */

struct group { /* the sites that have one dataset under one codebook */
    const Cohortium__DatasetCard *card;
    const char *sites;           /* names, joined */
    bool differs;                /* another site has another codebook of it */
    struct dataset_count *count; /* NULL: it was not asked for */
};

static enum fault add_site(struct cx *cx, const char **sites, const char *name)
{
    *sites = cx_printf(cx, "%s%s%s", *sites, **sites != '\0' ? ", " : "", name);
    return *sites == NULL ? FAULT_MEMORY : FAULT_NONE;
}

static bool is_same(const Cohortium__DatasetCard *a, const Cohortium__DatasetCard *b)
{
    return bytes_equal(PB_BYTES(a->codebook), PB_BYTES(b->codebook));
}

/* by_codebook: a dataset is listed once for each codebook that it has anywhere. */
static enum fault list_groups(struct home *home, bool by_codebook, struct group **ret,
                              size_t *ret_n)
{
    struct group *list;
    size_t n = 0;

    CX_NEW(home->cx, list, GROUPS_MAX);
    for (size_t i = 0; i < home->sites->n_sites; i++) {
        const Cohortium__Site *s = home->sites->sites[i];

        for (size_t k = 0; k < s->n_datasets; k++) {
            const Cohortium__DatasetCard *card = s->datasets[k];
            size_t j = 0;

            while (j < n && (strcmp(list[j].card->name, card->name) != 0 ||
                             (by_codebook && !is_same(list[j].card, card))))
                j++;
            if (j == GROUPS_MAX)
                return cx_fail(home->cx, FAULT_BOUND,
                               "the sites list more than %d datasets", GROUPS_MAX);
            if (j == n)
                list[n++] = (struct group){.card = card, .sites = ""};
            list[j].differs = list[j].differs || !is_same(list[j].card, card);
            TRY(add_site(home->cx, &list[j].sites, s->name));
        }
    }
    *ret = list;
    *ret_n = n;
    return FAULT_NONE;
}

static void put_json_group(struct buffer *out, bool first, const struct group *g)
{
    buffer_text(out, first ? "{" : ",{");
    look_pair(out, true, "name", g->card->name);
    look_pair(out, false, "title", g->card->title);
    look_pair(out, false, "codebook",
              bytes_hex(out->cx, g->card->codebook.data, g->card->codebook.len));
    look_pair(out, false, "sites", g->sites);
    buffer_printf(out, ",\"variables\":%u", g->card->variables);
    if (g->count != NULL) {
        buffer_text(out, ",\"patients\":");
        if (g->count->known)
            put_json_number(out, g->count->patients);
        else
            buffer_text(out, "null");
        look_pair(out, false, "not_counted", g->count->known ? "" : g->count->why);
    }
    buffer_text(out, "}");
}

static enum fault count_groups(struct cli *cli, const struct args *args, struct home *home,
                               struct group *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CX_NEW(cli->cx, list[i].count, 1);
        TRY(dataset_count(cli, home, args, list[i].card->name, list[i].count));
        if (!list[i].count->known)
            (void)fprintf(cli->err, "%s: not counted: %s\n", list[i].card->name,
                          list[i].count->why);
    }
    return FAULT_NONE;
}

enum { DATASET_COLUMNS = 5 };

static enum fault fill_cells(struct cx *cx, const struct group *g, const char **cell,
                             size_t columns)
{
    size_t n = 0;

    cell[n++] = g->card->name;
    cell[n++] = cx_printf(cx, "%u", g->card->variables);
    if (g->count != NULL)
        cell[n++] = g->count->known ? cx_printf(cx, "%.0f", g->count->patients) : "-";
    cell[n++] = g->card->title;
    cell[n++] = g->differs ? cx_printf(cx, "%s (codebooks differ)", g->sites) : g->sites;
    for (size_t i = 0; i < columns; i++)
        if (cell[i] == NULL)
            return FAULT_MEMORY;
    return FAULT_NONE;
}

static enum fault show_datasets(struct cli *cli, const struct args *args, struct home *home)
{
    static const char *const plain[] = {"dataset", "variables", "title", "sites"};
    static const char *const counted[] = {"dataset", "variables", "patients", "title",
                                          "sites"};
    static const bool numeric[] = {false, true, false, false};
    static const bool numeric_counted[] = {false, true, true, false, false};
    struct buffer out = buffer_new(cli->cx, LOOK_OUT_MAX);
    bool json = args_has(args, "--json"), count = args_has(args, "--counts");
    size_t columns = count ? COUNT(counted) : COUNT(plain), n;
    const char **cells;
    struct group *list;

    TRY(list_groups(home, false, &list, &n));
    if (count)
        TRY(count_groups(cli, args, home, list, n));
    size_t n_cells = n * DATASET_COLUMNS;
    CX_NEW(cli->cx, cells, n_cells);
    buffer_text(&out, json ? "{\"cohortium\":1,\"datasets\":[" : "");
    for (size_t i = 0; i < n; i++) {
        if (json)
            put_json_group(&out, i == 0, &list[i]);
        TRY(fill_cells(cli->cx, &list[i], cells + i * columns, columns));
    }
    struct grid grid = {columns,
                        n,
                        count ? counted : plain,
                        cells,
                        count ? numeric_counted : numeric,
                        terminal_width(cli->out)};
    if (json)
        buffer_text(&out, "]}\n");
    else if (n > 0)
        put_grid(&out, &grid, "");
    else
        buffer_text(&out, "no site has a dataset yet\n");
    return look_print(cli, &out);
}

/* ---- the pattern ---- */

struct pattern {
    const char *text; /* of fnmatch */
    bool glob;        /* else the text is found anywhere inside */
};

static bool fits(const struct pattern *p, const char *text)
{
    return fnmatch(p->text, text, FNM_CASEFOLD) == 0;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c & 0x80) != 0;
}

/* A glob is of the whole text, or of what begins with one of its words, up to the end of
 * one: 'smok*' finds ever_smoked and "Current smoker". */
static bool finds(struct cx *cx, const struct pattern *p, const char *text)
{
    size_t n = strlen(text);

    if (fits(p, text) || !p->glob)
        return fits(p, text);
    char *copy = cx_strdup(cx, text);
    for (size_t i = 0; copy != NULL && i < n; i++) {
        if (!is_letter(text[i]) || (i > 0 && is_letter(text[i - 1])))
            continue;
        for (size_t k = i + 1, words = 0; k <= n && words < SPAN_WORDS; k++) {
            if (!is_letter(text[k - 1]) || (k < n && is_letter(text[k])))
                continue;
            words++;
            copy[k] = '\0';
            bool found = fits(p, copy + i);
            copy[k] = text[k];
            if (found)
                return true;
        }
    }
    return false;
}

static enum fault read_pattern(struct cx *cx, const struct args *args, struct pattern *ret)
{
    const char *text = args_get(args, "--search");

    if (text[0] == '\0' || strlen(text) > PATTERN_MAX)
        return usage_fail(cx, args,
                          "--search: expected a word, or a pattern such as 'smok*', of at "
                          "most %d letters",
                          PATTERN_MAX);
    *ret = (struct pattern){.text = text, .glob = strpbrk(text, "*?[") != NULL};
    if (ret->glob)
        return FAULT_NONE;
    struct buffer b = buffer_new(cx, 4 * PATTERN_MAX);
    buffer_text(&b, "*");
    for (const char *p = text; *p != '\0'; p++)
        buffer_printf(&b, "%s%c", *p == '\\' ? "\\" : "", *p);
    buffer_text(&b, "*");
    ret->text = buffer_string(&b);
    return ret->text == NULL ? FAULT_MEMORY : FAULT_NONE;
}

/* ---- what it finds ---- */

struct found {
    const char *dataset;
    const Cohortium__Variable *v; /* NULL: the dataset itself */
    const char *place;            /* "name, level never" */
    const char *sites;
};

struct search {
    struct cx *cx;
    struct home *home;
    struct pattern pattern;
    struct found *list;
    size_t n;
    bool more;            /* than may be shown */
    struct buffer missed; /* what could not be looked into, for people */
    struct buffer missed_json;
};

static void put_place(struct buffer *b, const char *what, const char *value)
{
    buffer_printf(b, "%s%s%s%s", b->n > 0 ? ", " : "", what, value[0] != '\0' ? " " : "",
                  value);
}

/* Where in a variable it is found; "" where it is not. */
static const char *place_in(struct search *s, const Cohortium__Variable *v)
{
    struct buffer b = buffer_new(s->cx, 64 * 1024);
    size_t levels = 0;

    if (finds(s->cx, &s->pattern, v->name))
        put_place(&b, "name", "");
    if (v->label[0] != '\0' && finds(s->cx, &s->pattern, v->label))
        put_place(&b, "label", "");
    if (v->unit[0] != '\0' && finds(s->cx, &s->pattern, v->unit))
        put_place(&b, "unit", "");
    for (size_t i = 0; i < v->n_levels; i++)
        if (finds(s->cx, &s->pattern, v->levels[i]) && ++levels <= LEVELS_TOLD)
            put_place(&b, "level", v->levels[i]);
    if (levels > LEVELS_TOLD)
        buffer_printf(&b, " and %zu more", levels - LEVELS_TOLD);
    return buffer_string(&b);
}

static bool is_the_same(const struct found *a, const struct found *b)
{
    if (strcmp(a->dataset, b->dataset) != 0 || strcmp(a->place, b->place) != 0 ||
        (a->v == NULL) != (b->v == NULL))
        return false;
    return a->v == NULL ||
           (strcmp(a->v->name, b->v->name) == 0 && a->v->type == b->v->type &&
            strcmp(a->v->unit, b->v->unit) == 0 && strcmp(a->v->label, b->v->label) == 0);
}

/* The same variable under another codebook is one line with more sites. */
static enum fault add_found(struct search *s, struct found f)
{
    for (size_t i = 0; i < s->n; i++)
        if (is_the_same(&s->list[i], &f))
            return add_site(s->cx, &s->list[i].sites, f.sites);
    if (s->n == FOUND_MAX)
        s->more = true;
    else
        s->list[s->n++] = f;
    return FAULT_NONE;
}

static void put_missed(struct search *s, const char *what, const char *why)
{
    buffer_printf(&s->missed, "not searched: %s: %s\n", what, why);
    buffer_text(&s->missed_json, s->missed_json.n > 0 ? ",{" : "{");
    look_pair(&s->missed_json, true, "what", what);
    look_pair(&s->missed_json, false, "why", why);
    buffer_text(&s->missed_json, "}");
}

static enum fault search_group(struct search *s, const struct group *g)
{
    const Cohortium__DatasetCard *card = g->card;
    struct buffer b = buffer_new(s->cx, 256);
    struct codebook *cb;

    if (finds(s->cx, &s->pattern, card->name))
        put_place(&b, "name", "");
    if (card->title[0] != '\0' && finds(s->cx, &s->pattern, card->title))
        put_place(&b, "title", "");
    if (b.n > 0)
        TRY(add_found(s, (struct found){card->name, NULL, buffer_string(&b), g->sites}));
    enum fault fault =
        card->codebook.len != DIGEST_BYTES
            ? cx_fail(s->cx, FAULT_FORMAT, "it is listed without a digest")
            : home_codebook_of(s->home, card->name, card->codebook.data, &cb);
    if (fault == FAULT_MEMORY)
        return fault;
    if (fault != FAULT_NONE) {
        const char *what = cx_printf(s->cx, "%s at %s", card->name, g->sites);

        put_missed(s, what != NULL ? what : card->name, cx_message(s->cx));
        return FAULT_NONE;
    }
    for (size_t i = 0; i < cb->body->n_variables; i++) {
        const Cohortium__Variable *v = cb->body->variables[i];
        const char *place = variable_is_usable(v) ? place_in(s, v) : "";

        if (place == NULL)
            return FAULT_MEMORY;
        if (place[0] != '\0')
            TRY(add_found(s, (struct found){card->name, v, place, g->sites}));
    }
    return FAULT_NONE;
}

static void miss_sites(struct search *s)
{
    for (size_t i = 0; i < s->home->sites->n_sites; i++) {
        const Cohortium__Site *site = s->home->sites->sites[i];

        if (strcmp(site->state, "down") == 0)
            put_missed(s, site->name, site->detail);
    }
}

/* ---- shown ---- */

static enum fault show_found(struct cli *cli, struct search *s)
{
    static const char *const head[] = {"dataset",  "variable", "type", "unit",
                                       "found in", "label",    "sites"};
    struct buffer out = buffer_new(cli->cx, LOOK_OUT_MAX);
    size_t n_cells = s->n * COUNT(head);
    const char **cells, *missed = buffer_string(&s->missed);

    CX_NEW(cli->cx, cells, n_cells);
    for (size_t i = 0; i < s->n; i++) {
        const struct found *f = &s->list[i];
        const char **cell = cells + i * COUNT(head);

        cell[0] = f->dataset;
        cell[1] = f->v != NULL ? f->v->name : "(the dataset)";
        cell[2] = f->v != NULL ? look_type(f->v->type) : "";
        cell[3] = f->v != NULL ? f->v->unit : "";
        cell[4] = f->place;
        cell[5] = f->v != NULL ? f->v->label : "";
        cell[6] = f->sites;
    }
    struct grid grid = {COUNT(head), s->n, head, cells, NULL, terminal_width(cli->out)};
    if (s->n > 0)
        put_grid(&out, &grid, "");
    else
        buffer_text(&out, "nothing found; `cohortium datasets` lists all there is\n");
    if (s->more)
        buffer_printf(&out, "and more: %d lines are shown; search for less\n", FOUND_MAX);
    TRY(look_print(cli, &out));
    if (missed == NULL)
        return FAULT_MEMORY;
    (void)fputs(missed, cli->err);
    return FAULT_NONE;
}

static enum fault show_found_json(struct cli *cli, struct search *s,
                                  const struct group *groups, size_t n_groups)
{
    struct buffer out = buffer_new(cli->cx, LOOK_OUT_MAX);
    const char *missed = buffer_string(&s->missed_json);
    bool first = true;

    buffer_text(&out, "{\"cohortium\":1,\"datasets\":[");
    for (size_t i = 0; i < n_groups; i++)
        for (size_t k = 0; k < s->n; k++)
            if (strcmp(s->list[k].dataset, groups[i].card->name) == 0) {
                put_json_group(&out, first, &groups[i]);
                first = false;
                break;
            }
    buffer_text(&out, "],\"found\":[");
    for (size_t i = 0; i < s->n; i++) {
        const struct found *f = &s->list[i];

        buffer_text(&out, i > 0 ? ",{" : "{");
        look_pair(&out, true, "dataset", f->dataset);
        if (f->v != NULL) {
            look_pair(&out, false, "variable", f->v->name);
            look_pair(&out, false, "type", look_type(f->v->type));
            look_pair(&out, false, "unit", f->v->unit);
            look_pair(&out, false, "label", f->v->label);
        } else {
            buffer_text(&out, ",\"variable\":null");
        }
        look_pair(&out, false, "found_in", f->place);
        look_pair(&out, false, "sites", f->sites);
        buffer_text(&out, "}");
    }
    buffer_printf(&out, "],\"more\":%s,\"not_searched\":[%s]}\n",
                  s->more ? "true" : "false", missed != NULL ? missed : "");
    return look_print(cli, &out);
}

static enum fault search(struct cli *cli, const struct args *args, struct home *home)
{
    struct search s = {.cx = cli->cx,
                       .home = home,
                       .missed = buffer_new(cli->cx, LOOK_OUT_MAX),
                       .missed_json = buffer_new(cli->cx, LOOK_OUT_MAX)};
    struct group *groups;
    size_t n;

    TRY(read_pattern(cli->cx, args, &s.pattern));
    CX_NEW(cli->cx, s.list, FOUND_MAX);
    TRY(list_groups(home, true, &groups, &n));
    for (size_t i = 0; i < n; i++)
        TRY(search_group(&s, &groups[i]));
    miss_sites(&s);
    return args_has(args, "--json") ? show_found_json(cli, &s, groups, n)
                                    : show_found(cli, &s);
}

/* Letters are compared without case in every language: the program's own locale knows
 * ASCII alone. */
static enum fault search_utf8(struct cli *cli, const struct args *args, struct home *home)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 != (locale_t)0 ? uselocale(utf8) : (locale_t)0;
    enum fault fault = search(cli, args, home);

    if (utf8 != (locale_t)0) {
        (void)uselocale(before);
        freelocale(utf8);
    }
    return fault;
}

enum fault run_datasets(struct cli *cli, const struct args *args)
{
    struct pattern pattern;

    if (args_has(args, "--search") && args_has(args, "--counts"))
        return usage_fail(cli->cx, args, "--search and --counts exclude each other");
    if (!args_has(args, "--search"))
        return look(cli, args, 0, show_datasets);
    TRY(read_pattern(cli->cx, args, &pattern)); /* before anybody is called */
    return look(cli, args, 0, search_utf8);
}

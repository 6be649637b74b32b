/*
 * cmd_diff.c - codebook diff A B: what differs between two codebooks, in words.
 *
 * A and B: a dataset (as home has it), dataset@site, dataset@digest (its first digits,
 * where a member or this profile's cache has such a codebook), or a file: YAML or a signed
 * codebook. Two files are compared without a link. Exit status 0: they mean the same; 1:
 * not.
 */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "node/cli/look.h"
#include "node/cli/render.h"
#include "node/data/codebook_yaml.h"
#include "protocol/envelope.h"
#include "protocol/files.h"

enum { DIGITS_MIN = 6, FILE_MAX = 4 * 1024 * 1024, LEVELS_TOLD = 8 };

/* ---- which codebook ---- */

static bool is_file(const char *word)
{
    struct stat st;

    return stat(word, &st) == 0 && S_ISREG(st.st_mode);
}

static enum fault read_codebook(struct cx *cx, const char *path,
                                const struct codebook **ret)
{
    Cohortium__Codebook *body;
    struct codebook *cb;
    struct envelope e;
    struct bytes content;

    TRY(file_read(cx, "codebook", path, FILE_MAX, false, &content));
    if (envelope_open(cx, ENVELOPE_CODEBOOK, content, &e) == FAULT_NONE) {
        if (codebook_open(cx, e.body, &cb) != FAULT_NONE)
            return cx_prefix(cx, "%s: ", path);
        *ret = cb;
        return FAULT_NONE;
    }
    TRY(codebook_from_yaml(cx, path, (const char *)content.p, content.n, &body));
    if (codebook_from_body(cx, body, &cb) != FAULT_NONE)
        return cx_prefix(cx, "%s: ", path);
    *ret = cb;
    return FAULT_NONE;
}

static const Cohortium__DatasetCard *card_of(const Cohortium__Site *s, const char *dataset)
{
    for (size_t i = 0; i < s->n_datasets; i++)
        if (strcmp(s->datasets[i]->name, dataset) == 0)
            return s->datasets[i];
    return NULL;
}

static enum fault of_site(struct home *home, const char *dataset, const Cohortium__Site *s,
                          const struct codebook **ret)
{
    const Cohortium__DatasetCard *card = card_of(s, dataset);
    struct codebook *cb;

    if (card == NULL && strcmp(s->state, "down") == 0)
        return cx_fail(
            home->cx, FAULT_UNAVAILABLE,
            "%s cannot be asked now (%s); a digest names a codebook that another "
            "member has, too",
            s->name, s->detail);
    if (card == NULL)
        return cx_fail(home->cx, FAULT_USAGE,
                       "%s has no dataset `%.64s`; `cohortium datasets` tells who has what",
                       s->name, dataset);
    if (card->codebook.len != DIGEST_BYTES)
        return cx_fail(home->cx, FAULT_FORMAT, "%s lists %s without a digest", s->name,
                       dataset);
    TRY(home_codebook_of(home, dataset, card->codebook.data, &cb));
    *ret = cb;
    return FAULT_NONE;
}

struct digests { /* that begin with the digits */
    size_t n;
    char first[2 * DIGEST_BYTES + 1], second[2 * DIGEST_BYTES + 1];
};

static void add_digest(struct digests *d, const char *hex)
{
    if (d->n > 0 &&
        (strcmp(d->first, hex) == 0 || (d->n > 1 && strcmp(d->second, hex) == 0)))
        return;
    (void)snprintf(d->n == 0 ? d->first : d->second, sizeof d->first, "%s", hex);
    d->n++;
}

static bool is_hex(const char *text)
{
    return strspn(text, "0123456789abcdef") == strlen(text);
}

/* Of the members' present codebooks of this dataset, and of what the profile ever fetched.
 */
static void list_digests(struct home *home, const char *dataset, const char *digits,
                         struct digests *d)
{
    const char *folder = cx_printf(home->cx, "%s/codebooks", home->profile.folder);
    struct dirent *e;

    for (size_t i = 0; i < home->sites->n_sites; i++) {
        const Cohortium__DatasetCard *card = card_of(home->sites->sites[i], dataset);
        const char *hex = card != NULL
                              ? bytes_hex(home->cx, card->codebook.data, card->codebook.len)
                              : NULL;

        if (hex != NULL && strlen(hex) == 2 * DIGEST_BYTES &&
            strncmp(hex, digits, strlen(digits)) == 0)
            add_digest(d, hex);
    }
    DIR *dir = folder != NULL ? opendir(folder) : NULL;
    while (dir != NULL && (e = readdir(dir)) != NULL)
        if (strlen(e->d_name) == 2 * DIGEST_BYTES && is_hex(e->d_name) &&
            strncmp(e->d_name, digits, strlen(digits)) == 0)
            add_digest(d, e->d_name);
    if (dir != NULL)
        (void)closedir(dir);
}

static enum fault of_digest(struct home *home, const char *dataset, const char *digits,
                            const struct codebook **ret)
{
    struct digests d = {0};
    uint8_t digest[DIGEST_BYTES];
    struct codebook *cb;

    if (strlen(digits) == 2 * DIGEST_BYTES)
        add_digest(&d, digits); /* whoever of the members keeps an older one is asked */
    else
        list_digests(home, dataset, digits, &d);
    if (d.n == 0)
        return cx_fail(
            home->cx, FAULT_USAGE,
            "no codebook of %s with a digest that begins %s is known here; all 64 "
            "digits ask every member for an older one",
            dataset, digits);
    if (d.n > 1)
        return cx_fail(
            home->cx, FAULT_USAGE,
            "%zu codebooks have a digest that begins %s (%.16s..., %.16s...): give "
            "more digits",
            d.n, digits, d.first, d.second);
    TRY(bytes_from_hex(home->cx, d.first, digest, sizeof digest));
    TRY(home_codebook_of(home, dataset, digest, &cb));
    if (strcmp(cb->body->name, dataset) != 0)
        return cx_fail(home->cx, FAULT_USAGE,
                       "the codebook %.16s... is that of %s, not of %s", d.first,
                       cb->body->name, dataset);
    *ret = cb;
    return FAULT_NONE;
}

static enum fault no_site(struct home *home, const char *site)
{
    struct cx *cx = home->cx;
    struct buffer all = buffer_new(cx, 64 * 1024);
    const char **names;
    size_t n = home->sites->n_sites;

    CX_NEW(cx, names, n);
    for (size_t i = 0; i < n; i++) {
        names[i] = home->sites->sites[i]->name;
        buffer_printf(&all, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    const char *near = bytes_nearest(site, names, n), *list = buffer_string(&all);
    if (near != NULL)
        return cx_fail(cx, FAULT_USAGE, "no member `%.64s`; did you mean `%s`?", site,
                       near);
    return cx_fail(cx, FAULT_USAGE,
                   "`%.64s` is neither a member (%s) nor the first %d or more digits of a "
                   "digest",
                   site, list != NULL ? list : "", DIGITS_MIN);
}

static enum fault find_codebook(struct home *home, const char *word,
                                const struct codebook **ret)
{
    const char *at = strrchr(word, '@');

    if (is_file(word))
        return read_codebook(home->cx, word, ret);
    if (at == NULL)
        return home_codebook(home, word, ret);
    const char *dataset = cx_printf(home->cx, "%.*s", (int)(at - word), word),
               *site = at + 1;
    if (dataset == NULL)
        return FAULT_MEMORY;
    for (size_t i = 0; i < home->sites->n_sites; i++)
        if (strcmp(home->sites->sites[i]->name, site) == 0)
            return of_site(home, dataset, home->sites->sites[i], ret);
    if (is_hex(site) && strlen(site) >= DIGITS_MIN && strlen(site) <= 2 * DIGEST_BYTES)
        return of_digest(home, dataset, site, ret);
    return no_site(home, site);
}

/* ---- what differs ---- */

struct diff {
    struct cx *cx;
    const struct codebook *a, *b;
    struct buffer out; /* lines, or members of a JSON list */
    bool json;
    size_t n;
};

/* variable NULL: about the dataset. */
static void tell(struct diff *d, const char *variable, const char *what, const char *a,
                 const char *b)
{
    if (d->json) {
        buffer_text(&d->out, d->n > 0 ? ",{" : "{");
        look_pair(&d->out, true, "change", what);
        if (variable != NULL)
            look_pair(&d->out, false, "variable", variable);
        look_pair(&d->out, false, "a", a);
        look_pair(&d->out, false, "b", b);
        buffer_text(&d->out, "}");
    } else {
        buffer_printf(&d->out, "%s: %s %s -> %s\n",
                      variable != NULL ? variable : "the dataset", what,
                      a[0] != '\0' ? a : "(none)", b[0] != '\0' ? b : "(none)");
    }
    d->n++;
}

static void tell_texts(struct diff *d, const char *variable, const char *what,
                       const char *a, const char *b)
{
    if (strcmp(a, b) != 0)
        tell(d, variable, what, a, b);
}

static const char *list_text(struct cx *cx, size_t n, char *const *list)
{
    struct buffer b = buffer_new(cx, CODEBOOK_BYTES_MAX);

    for (size_t i = 0; i < n; i++)
        buffer_printf(&b, "%s%s", i > 0 ? ", " : "", list[i]);
    const char *text = buffer_string(&b);
    return text != NULL ? text : "";
}

static bool list_has(size_t n, char *const *list, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], text) == 0)
            return true;
    return false;
}

/* "never, former" of those in list that the other list does not have. */
static const char *only_in(struct cx *cx, size_t n, char *const *list, size_t n_other,
                           char *const *other)
{
    struct buffer b = buffer_new(cx, CODEBOOK_BYTES_MAX);
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        if (!list_has(n_other, other, list[i]) && ++found <= LEVELS_TOLD)
            buffer_printf(&b, "%s%s", found > 1 ? ", " : "", list[i]);
    if (found > LEVELS_TOLD)
        buffer_printf(&b, " and %zu more", found - LEVELS_TOLD);
    const char *text = buffer_string(&b);
    return text != NULL ? text : "";
}

static void diff_levels(struct diff *d, const Cohortium__Variable *a,
                        const Cohortium__Variable *b)
{
    const char *gone = only_in(d->cx, a->n_levels, a->levels, b->n_levels, b->levels);
    const char *fresh = only_in(d->cx, b->n_levels, b->levels, a->n_levels, a->levels);
    bool same = a->n_levels == b->n_levels;

    if (gone[0] != '\0')
        tell(d, a->name, "levels removed:", gone, "");
    if (fresh[0] != '\0')
        tell(d, a->name, "levels added:", "", fresh);
    for (size_t i = 0; same && i < a->n_levels; i++)
        same = strcmp(a->levels[i], b->levels[i]) == 0;
    if (!same && gone[0] == '\0' && fresh[0] == '\0')
        tell(d, a->name, "order of levels", list_text(d->cx, a->n_levels, a->levels),
             list_text(d->cx, b->n_levels, b->levels));
    else if (a->n_levels > 0 && b->n_levels > 0 && strcmp(a->levels[0], b->levels[0]) != 0)
        tell(d, a->name, "reference level", a->levels[0], b->levels[0]);
}

static const char *bounds_text(struct cx *cx, const Cohortium__Variable *v)
{
    const char *text = v->bounded ? cx_printf(cx, "%s to %s", look_number(cx, v, v->lower),
                                              look_number(cx, v, v->upper))
                                  : "";
    return text != NULL ? text : "";
}

static const char *grid_text(struct cx *cx, const Cohortium__Variable *v)
{
    struct buffer b = buffer_new(cx, CODEBOOK_BYTES_MAX);

    for (size_t i = 0; i < v->n_grid; i++)
        buffer_printf(&b, "%s%s", i > 0 ? ", " : "", look_number(cx, v, v->grid[i]));
    const char *text = buffer_string(&b);
    return text != NULL ? text : "";
}

static void diff_variable(struct diff *d, const Cohortium__Variable *a,
                          const Cohortium__Variable *b)
{
    tell_texts(d, a->name, "type", look_type(a->type), look_type(b->type));
    tell_texts(d, a->name, "role", look_role(a->role), look_role(b->role));
    tell_texts(d, a->name, "unit", a->unit, b->unit);
    diff_levels(d, a, b);
    tell_texts(d, a->name, "bounds", bounds_text(d->cx, a), bounds_text(d->cx, b));
    tell_texts(d, a->name, "cut points", grid_text(d->cx, a), grid_text(d->cx, b));
    tell_texts(d, a->name, "derived", look_derived(d->cx, d->a, a),
               look_derived(d->cx, d->b, b));
    tell_texts(d, a->name, "missing codes",
               list_text(d->cx, a->n_missing_codes, a->missing_codes),
               list_text(d->cx, b->n_missing_codes, b->missing_codes));
    tell_texts(d, a->name, "clusters", a->nested ? "inside one site" : "anywhere",
               b->nested ? "inside one site" : "anywhere");
    tell_texts(d, a->name, "label", a->label, b->label);
}

static const Cohortium__Variable *usable(const struct codebook *cb, const char *name)
{
    int i = codebook_find(cb, name);

    return i >= 0 && variable_is_usable(codebook_variable(cb, i)) ? codebook_variable(cb, i)
                                                                  : NULL;
}

/* "integer, year" of one that only one side has. */
static const char *brief(struct cx *cx, const Cohortium__Variable *v)
{
    const char *text =
        cx_printf(cx, "%s%s%s%s%s", look_type(v->type), v->unit[0] != '\0' ? ", " : "",
                  v->unit, v->label[0] != '\0' ? ", " : "", v->label);

    return text != NULL ? text : "";
}

static void diff_variables(struct diff *d)
{
    const Cohortium__Codebook *a = d->a->body, *b = d->b->body;

    for (size_t i = 0; i < a->n_variables; i++)
        if (variable_is_usable(a->variables[i]) &&
            usable(d->b, a->variables[i]->name) == NULL)
            tell(d, a->variables[i]->name, "removed:", brief(d->cx, a->variables[i]), "");
    for (size_t i = 0; i < b->n_variables; i++)
        if (variable_is_usable(b->variables[i]) &&
            usable(d->a, b->variables[i]->name) == NULL)
            tell(d, b->variables[i]->name, "added:", "", brief(d->cx, b->variables[i]));
    for (size_t i = 0; i < a->n_variables; i++) {
        const Cohortium__Variable *v = a->variables[i], *w = usable(d->b, v->name);

        if (variable_is_usable(v) && w != NULL)
            diff_variable(d, v, w);
    }
}

/* Whether those that both have stand in one order: a table's rows follow it. */
static bool is_in_order(const struct codebook *a, const struct codebook *b)
{
    int last = -1;

    for (size_t i = 0; i < a->body->n_variables; i++) {
        const char *name = a->body->variables[i]->name;

        if (usable(a, name) == NULL || usable(b, name) == NULL)
            continue;
        int at = codebook_find(b, name);
        if (at < last)
            return false;
        last = at;
    }
    return true;
}

static void diff_codebooks(struct diff *d)
{
    const Cohortium__Codebook *a = d->a->body, *b = d->b->body;

    if (memcmp(d->a->digest, d->b->digest, DIGEST_BYTES) == 0)
        return;
    tell_texts(d, NULL, "name", a->name, b->name);
    tell_texts(d, NULL, "title", a->title, b->title);
    tell_texts(d, NULL, "counted by distinct", a->count_unit, b->count_unit);
    tell_texts(d, NULL, "namespace", a->patient_namespace, b->patient_namespace);
    diff_variables(d);
    if (!is_in_order(d->a, d->b))
        tell(d, NULL, "order of variables", "as in A", "as in B");
    if (d->n == 0)
        tell(d, NULL, "variables that no question may name", "as in A", "as in B");
}

static enum fault show_diff(struct cli *cli, const struct args *args,
                            const struct codebook *a, const struct codebook *b)
{
    struct diff d = {.cx = cli->cx,
                     .a = a,
                     .b = b,
                     .out = buffer_new(cli->cx, LOOK_OUT_MAX),
                     .json = args_has(args, "--json")};
    struct buffer out = buffer_new(cli->cx, LOOK_OUT_MAX);
    const char *hex_a = bytes_hex(cli->cx, a->digest, DIGEST_BYTES);
    const char *hex_b = bytes_hex(cli->cx, b->digest, DIGEST_BYTES);

    diff_codebooks(&d);
    const char *lines = buffer_string(&d.out);
    if (lines == NULL || hex_a == NULL || hex_b == NULL)
        return FAULT_MEMORY;
    if (d.json) {
        buffer_printf(&out, "{\"cohortium\":1,\"same\":%s", d.n == 0 ? "true" : "false");
        look_pair(&out, false, "a", hex_a);
        look_pair(&out, false, "b", hex_b);
        buffer_printf(&out, ",\"changes\":[%s]}\n", lines);
    } else if (d.n == 0) {
        buffer_printf(&out, "the same codebook, digest %s\n", hex_a);
    } else {
        buffer_printf(&out, "A  %s  %s, digest %.16s\nB  %s  %s, digest %.16s\n\n%s",
                      args->words[0], a->body->title, hex_a, args->words[1], b->body->title,
                      hex_b, lines);
    }
    TRY(look_print(cli, &out));
    if (d.n == 0)
        return FAULT_NONE;
    cli->said = true; /* the lines above are the answer; the exit status says so */
    return cx_fail(cli->cx, FAULT_CONFLICT, "the codebooks differ");
}

static enum fault diff_at_home(struct cli *cli, const struct args *args, struct home *home)
{
    const struct codebook *a, *b;

    TRY(find_codebook(home, args->words[0], &a));
    TRY(find_codebook(home, args->words[1], &b));
    return show_diff(cli, args, a, b);
}

enum fault run_codebook_diff(struct cli *cli, const struct args *args)
{
    const struct codebook *a, *b;

    TRY(args_words(cli->cx, args, 2, 2));
    if (!is_file(args->words[0]) || !is_file(args->words[1]))
        return look(cli, args, 2, diff_at_home);
    TRY(read_codebook(cli->cx, args->words[0], &a));
    TRY(read_codebook(cli->cx, args->words[1], &b));
    return show_diff(cli, args, a, b);
}

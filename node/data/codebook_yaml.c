/* codebook_yaml.c - YAML to compiled codebook and back. */
#include "node/data/codebook_yaml.h"

#include <stdio.h>
#include <string.h>

#include "node/data/decimal.h"
#include "node/data/yaml.h"
#include "protocol/base/clock.h"

enum { NAME_BYTES = 32, TEXT_BYTES = 2000, WORD_BYTES = 200, CODES_MAX = 100 };
enum { TYPE_IDENTIFIER = 6 }; /* the place of "identifier" in types */

/* In the order of enum VarType from INTEGER, then the count unit's. */
static const char *const types[] = {"integer", "real", "categorical", "ordered",
                                    "binary",  "date", "identifier"};
/* In the order of enum Role from DIRECT_IDENTIFIER. */
static const char *const roles[] = {"direct_identifier", "quasi_identifier", "sensitive",
                                    "ordinary", "hidden"};
static const char *const top_keys[] = {"dataset", "title", "count_unit", "namespace",
                                       "variables"};
static const char *const variable_keys[] = {"name",  "type",   "role",  "levels",  "unit",
                                            "label", "bounds", "grid",  "missing", "nested",
                                            "from",  "cut",    "recode"};

static enum fault optional_text(struct cx *cx, const struct yaml_node *map, const char *key,
                                const char *what, size_t bytes_max, char **ret)
{
    const struct yaml_node *node = yaml_get(map, key);
    const char *text;

    if (node == NULL)
        return FAULT_NONE;
    TRY(yaml_text(cx, node, what, bytes_max, &text));
    *ret = (char *)text;
    return FAULT_NONE;
}

static enum fault name_text(struct cx *cx, const struct yaml_node *node, const char *what,
                            char **ret)
{
    const char *text;

    TRY(yaml_text(cx, node, what, TEXT_BYTES, &text));
    if (!name_is_valid(text))
        return yaml_fail(cx, node,
                         "%s: `%.60s` is not a name; expected a lower-case letter followed "
                         "by at most %d lower-case letters, digits or _",
                         what, text, NAME_BYTES - 1);
    *ret = (char *)text;
    return FAULT_NONE;
}

static enum fault variable_text(struct cx *cx, const struct yaml_node *node,
                                const char *what, char **ret)
{
    const char *text;

    TRY(yaml_text(cx, node, what, TEXT_BYTES, &text));
    if (!variable_name_is_valid(text))
        return yaml_fail(
            cx, node,
            "%s: `%.60s` is not a variable's name; expected a letter followed by "
            "at most %d letters, digits or _",
            what, text, NAME_BYTES - 1);
    *ret = (char *)text;
    return FAULT_NONE;
}

/* A number of the variable's kind: days for a date, whole for an integer. */
static enum fault number_of(struct cx *cx, const struct yaml_node *node, const char *what,
                            Cohortium__VarType type, double *ret)
{
    int32_t days;
    int64_t whole;

    switch (type) {
    case COHORTIUM__VAR_TYPE__DATE:
        TRY(yaml_date(cx, node, what, &days));
        *ret = days;
        return FAULT_NONE;
    case COHORTIUM__VAR_TYPE__INTEGER:
        TRY(yaml_whole(cx, node, what, -(INT64_C(1) << 53), INT64_C(1) << 53, &whole));
        *ret = (double)whole;
        return FAULT_NONE;
    default:
        return yaml_real(cx, node, what, ret);
    }
}

static enum fault read_bounds(struct cx *cx, const struct yaml_node *node, const char *what,
                              Cohortium__Variable *v)
{
    if (node->kind != YAML_LIST || node->count != 2)
        return yaml_fail(cx, node, "%s: expected [lowest, highest]", what);
    TRY(number_of(cx, node->items[0], what, v->type, &v->lower));
    TRY(number_of(cx, node->items[1], what, v->type, &v->upper));
    if (!(v->lower < v->upper))
        return yaml_fail(cx, node, "%s: the first bound must be below the second", what);
    v->bounded = true;
    return FAULT_NONE;
}

static enum fault read_grid(struct cx *cx, const struct yaml_node *node, const char *what,
                            Cohortium__Variable *v)
{
    TRY(yaml_check_list(cx, node, what, CODEBOOK_GRID_MAX));
    CX_NEW(cx, v->grid, node->count);
    v->n_grid = node->count;
    for (size_t i = 0; i < node->count; i++) {
        TRY(number_of(cx, node->items[i], what, v->type, &v->grid[i]));
        if (i > 0 && !(v->grid[i] > v->grid[i - 1]))
            return yaml_fail(cx, node->items[i], "%s: cut points must ascend", what);
    }
    return FAULT_NONE;
}

/* ROLE_UNSET where a derived one says none: then it has its source's. */
static enum fault read_role(struct cx *cx, const struct yaml_node *map, const char *name,
                            Cohortium__Variable *v)
{
    const struct yaml_node *role = yaml_get(map, "role");
    size_t i;

    v->role = yaml_get(map, "from") != NULL ? COHORTIUM__ROLE__ROLE_UNSET
                                            : COHORTIUM__ROLE__ORDINARY;
    if (role == NULL)
        return FAULT_NONE;
    TRY(yaml_word(cx, role, cx_printf(cx, "role of `%s`", name), roles, COUNT(roles), &i));
    v->role = (Cohortium__Role)(COHORTIUM__ROLE__DIRECT_IDENTIFIER + (int)i);
    return FAULT_NONE;
}

static enum fault read_kind(struct cx *cx, const struct yaml_node *map, const char *name,
                            Cohortium__Variable *v)
{
    const struct yaml_node *type = yaml_get(map, "type"), *role = yaml_get(map, "role");
    size_t i;

    if (type == NULL && yaml_get(map, "from") != NULL) {
        v->type = yaml_get(map, "cut") != NULL ? COHORTIUM__VAR_TYPE__ORDERED
                                               : COHORTIUM__VAR_TYPE__CATEGORICAL;
        return read_role(cx, map, name, v);
    }
    if (type == NULL)
        return yaml_fail(cx, map,
                         "variable `%s`: `type` is missing; expected integer, real, "
                         "categorical, ordered, binary, date or identifier",
                         name);
    TRY(yaml_word(cx, type, cx_printf(cx, "type of `%s`", name), types, COUNT(types), &i));
    bool identifier = i == TYPE_IDENTIFIER;

    /* An identifier's values are never listed or summed: text without levels. */
    v->type = identifier ? COHORTIUM__VAR_TYPE__CATEGORICAL
                         : (Cohortium__VarType)(COHORTIUM__VAR_TYPE__INTEGER + (int)i);
    v->role = COHORTIUM__ROLE__DIRECT_IDENTIFIER;
    if (identifier && role != NULL) {
        TRY(yaml_word(cx, role, cx_printf(cx, "role of `%s`", name), roles, COUNT(roles),
                      &i));
        if (i != 0)
            return yaml_fail(cx, role,
                             "variable `%s`: an identifier has the role direct_identifier; "
                             "remove `role` or choose another type",
                             name);
    }
    return identifier ? FAULT_NONE : read_role(cx, map, name, v);
}

static enum fault read_words(struct cx *cx, const struct yaml_node *node, const char *what,
                             size_t items_max, size_t *ret_n, char ***ret)
{
    const char **words;

    TRY(yaml_texts(cx, node, what, items_max, WORD_BYTES, false, &words, ret_n));
    *ret = (char **)words;
    return FAULT_NONE;
}

/* An empty field is always missing, so the code "" may be written and means nothing more.
 */
static enum fault read_missing(struct cx *cx, const struct yaml_node *node,
                               const char *what, Cohortium__Variable *v)
{
    const char **codes;
    size_t n;

    TRY(yaml_texts(cx, node, what, CODES_MAX, WORD_BYTES, true, &codes, &n));
    for (size_t i = 0; i < n; i++)
        if (codes[i][0] != '\0')
            codes[v->n_missing_codes++] = codes[i];
    v->missing_codes = (char **)codes;
    return FAULT_NONE;
}

static enum fault read_variable(struct cx *cx, const struct yaml_node *map, char *name,
                                Cohortium__Variable **ret)
{
    Cohortium__Variable *v;
    const struct yaml_node *node;

    CX_NEW(cx, v, 1);
    cohortium__variable__init(v);
    v->name = name;
    TRY(yaml_check_map(cx, map, cx_printf(cx, "variable `%s`", name), variable_keys,
                       COUNT(variable_keys)));
    TRY(read_kind(cx, map, name, v));
    TRY(optional_text(cx, map, "unit", cx_printf(cx, "unit of `%s`", name), TEXT_BYTES,
                      &v->unit));
    TRY(optional_text(cx, map, "label", cx_printf(cx, "label of `%s`", name), TEXT_BYTES,
                      &v->label));
    if ((node = yaml_get(map, "levels")) != NULL)
        TRY(read_words(cx, node, cx_printf(cx, "levels of `%s`", name), CODEBOOK_LEVELS_MAX,
                       &v->n_levels, &v->levels));
    if ((node = yaml_get(map, "bounds")) != NULL)
        TRY(read_bounds(cx, node, cx_printf(cx, "bounds of `%s`", name), v));
    if ((node = yaml_get(map, "grid")) != NULL)
        TRY(read_grid(cx, node, cx_printf(cx, "grid of `%s`", name), v));
    if ((node = yaml_get(map, "missing")) != NULL)
        TRY(read_missing(cx, node, cx_printf(cx, "missing codes of `%s`", name), v));
    if ((node = yaml_get(map, "nested")) != NULL) {
        bool yes;

        TRY(yaml_yes(cx, node, cx_printf(cx, "nested of `%s`", name), &yes));
        v->nested = yes;
    }
    *ret = v;
    return FAULT_NONE;
}

static enum fault read_variables(struct cx *cx, const struct yaml_node *node,
                                 Cohortium__Codebook *body)
{
    if (node->kind == YAML_TEXT || node->count == 0)
        return yaml_fail(cx, node,
                         "variables: expected a list of variables, or a map by name");
    if (node->count > CODEBOOK_VARIABLES_MAX)
        return yaml_fail(cx, node, "variables: %zu; at most %d are allowed", node->count,
                         CODEBOOK_VARIABLES_MAX);
    CX_NEW(cx, body->variables, node->count);
    for (size_t i = 0; i < node->count; i++) {
        const struct yaml_node *item = node->items[i], *inner = yaml_get(item, "name");
        char *name = NULL;

        if (item->kind != YAML_MAP)
            return yaml_fail(cx, item,
                             "variables: expected a map such as {name: age, type: "
                             "integer, bounds: [0, 120]}");
        if (node->kind == YAML_LIST && inner == NULL)
            return yaml_fail(cx, item, "variable %zu: `name` is missing", i + 1);
        if (node->kind == YAML_MAP && inner != NULL)
            return yaml_fail(cx, inner,
                             "variable `%.60s`: its name is the key already; remove `name`",
                             node->keys[i]->text);
        TRY(variable_text(cx, inner != NULL ? inner : node->keys[i], "variable", &name));
        for (size_t k = 0; k < i; k++)
            if (strcmp(body->variables[k]->name, name) == 0)
                return yaml_fail(cx, item, "variable `%s` stands twice; keep one", name);
        TRY(read_variable(cx, item, name, &body->variables[i]));
        body->n_variables = i + 1;
    }
    return FAULT_NONE;
}

/* ---- derived variables: when all others are known ---- */

static enum fault read_cut(struct cx *cx, const struct yaml_node *node,
                           const Cohortium__Variable *source, Cohortium__Variable *v)
{
    const char *what = cx_printf(cx, "cut of `%s`", v->name);

    TRY(yaml_check_list(cx, node, what, CODEBOOK_LEVELS_MAX - 1));
    if (node->count == 0)
        return yaml_fail(cx, node, "%s: expected one cut point or more", what);
    CX_NEW(cx, v->cut, node->count);
    v->n_cut = node->count;
    for (size_t i = 0; i < node->count; i++)
        TRY(number_of(cx, node->items[i], what, source->type, &v->cut[i]));
    if (v->n_levels > 0)
        return FAULT_NONE;
    v->n_levels = v->n_cut + 1;
    return cut_names(cx, source, v->cut, v->n_cut, &v->levels);
}

/* Which of the source's levels a key names, or SIZE_MAX. */
static size_t level_named(struct cx *cx, const Cohortium__Variable *source, const char *key,
                          size_t n)
{
    double first = source->type == COHORTIUM__VAR_TYPE__INTEGER ? source->lower : 0;

    for (size_t i = 0; i < n; i++) {
        const char *name = variable_has_levels(source)
                               ? source->levels[i]
                               : cx_printf(cx, "%.0f", first + (double)i);

        if (name != NULL && strcmp(name, key) == 0)
            return i;
    }
    return SIZE_MAX;
}

/* The place of a new level's name; a name not met before is the next one. */
static enum fault level_place(struct cx *cx, const struct yaml_node *node, bool fixed,
                              Cohortium__Variable *v, uint32_t *ret)
{
    const char *text;
    int at;

    TRY(yaml_text(cx, node, cx_printf(cx, "recode of `%s`", v->name), WORD_BYTES, &text));
    at = variable_level(v, text);
    if (at < 0 && fixed)
        return yaml_fail(cx, node, "recode of `%s`: `%.60s` is none of its levels%s",
                         v->name, text, level_hint(cx, v, text));
    if (at < 0) {
        at = (int)v->n_levels;
        v->levels[v->n_levels++] = (char *)(uintptr_t)text;
    }
    *ret = (uint32_t)at;
    return FAULT_NONE;
}

/* {level of the source: level}, in the order of the source's levels: so do new names come.
 */
static enum fault read_recode(struct cx *cx, const struct yaml_node *node,
                              const Cohortium__Variable *source, Cohortium__Variable *v)
{
    size_t n = variable_recoded(source);
    bool fixed = v->n_levels > 0;
    const struct yaml_node **by_level;

    if (node->kind != YAML_MAP)
        return yaml_fail(cx, node,
                         "recode of `%s`: expected a map of levels, as in {north: n}",
                         v->name);
    CX_NEW(cx, by_level, n);
    CX_NEW(cx, v->recode, n);
    if (!fixed)
        CX_NEW(cx, v->levels, n);
    for (size_t i = 0; i < node->count; i++) {
        size_t at = level_named(cx, source, node->keys[i]->text, n);

        if (at == SIZE_MAX)
            return yaml_fail(cx, node->keys[i],
                             "recode of `%s`: `%.60s` is no level of `%s`%s", v->name,
                             node->keys[i]->text, source->name,
                             level_hint(cx, source, node->keys[i]->text));
        by_level[at] = node->items[i];
    }
    for (size_t i = 0; i < n; i++) {
        if (by_level[i] == NULL)
            return yaml_fail(cx, node,
                             "recode of `%s`: level %zu of `%s` is not named; name all "
                             "%zu",
                             v->name, i + 1, source->name, n);
        TRY(level_place(cx, by_level[i], fixed, v, &v->recode[v->n_recode++]));
    }
    return FAULT_NONE;
}

static enum fault read_derived(struct cx *cx, const struct yaml_node *list,
                               const struct yaml_node *map, const Cohortium__Codebook *body,
                               Cohortium__Variable *v)
{
    const struct yaml_node *from = yaml_get(map, "from"), *cut = yaml_get(map, "cut"),
                           *recode = yaml_get(map, "recode");
    const Cohortium__Variable *source = NULL;
    bool chain = false;

    TRY(variable_text(cx, from, cx_printf(cx, "from of `%s`", v->name), &v->from));
    for (size_t i = 0; i < body->n_variables; i++)
        if (strcmp(body->variables[i]->name, v->from) == 0) {
            source = body->variables[i];
            chain = yaml_get(list->items[i], "from") != NULL;
        }
    if (source == NULL)
        return yaml_fail(cx, from,
                         "variable `%s`: there is no variable `%s` to derive it from",
                         v->name, v->from);
    if (chain)
        return yaml_fail(cx, from,
                         "variable `%s`: `%s` is derived itself; name what it comes from",
                         v->name, v->from);
    if (v->role == COHORTIUM__ROLE__ROLE_UNSET)
        v->role = source->role;
    if ((cut == NULL) == (recode == NULL))
        return yaml_fail(cx, map,
                         "variable `%s`: expected either `cut` or `recode` beside `from`",
                         v->name);
    if (recode != NULL && variable_recoded(source) > 0)
        return read_recode(cx, recode, source, v);
    if (recode != NULL)
        return yaml_fail(
            cx, recode,
            "variable `%s`: `%s` cannot be recoded: that takes levels, yes or no, "
            "or a few whole numbers of what is no quasi-identifier; cut it",
            v->name, source->name);
    return read_cut(cx, cut, source, v);
}

static enum fault read_all_derived(struct cx *cx, const struct yaml_node *list,
                                   const Cohortium__Codebook *body)
{
    for (size_t i = 0; i < body->n_variables; i++) {
        const struct yaml_node *map = list->items[i];

        if (yaml_get(map, "from") != NULL)
            TRY(read_derived(cx, list, map, body, body->variables[i]));
        else if (yaml_get(map, "cut") != NULL || yaml_get(map, "recode") != NULL)
            return yaml_fail(cx, map,
                             "variable `%s`: say `from` which variable it is derived",
                             body->variables[i]->name);
    }
    return FAULT_NONE;
}

/* What codebook_check says about a variable is shown at that variable's place. */
static enum fault place_of(struct cx *cx, const struct yaml_node *root,
                           const Cohortium__Codebook *body)
{
    const struct yaml_node *list = yaml_get(root, "variables"), *at = root;
    const char *message = cx_message(cx);
    size_t longest = 0;

    for (size_t i = 0; i < body->n_variables; i++) {
        const char *name = body->variables[i]->name;
        size_t n = strlen(name);
        char quoted[NAME_BYTES + 4];

        (void)snprintf(quoted, sizeof quoted, "`%s`", name);
        if (n > longest && strstr(message, quoted) != NULL) {
            at = list->items[i];
            longest = n;
        }
    }
    return yaml_prefix(cx, at);
}

enum fault codebook_from_yaml(struct cx *cx, const char *path, const char *text, size_t n,
                              Cohortium__Codebook **ret)
{
    static const char *const needed[] = {"dataset", "count_unit", "variables"};
    const struct yaml_node *root, *node;
    Cohortium__Codebook *body;

    TRY(yaml_open(cx, path, text, n, &root));
    CX_NEW(cx, body, 1);
    cohortium__codebook__init(body);
    TRY(yaml_check_map(cx, root, "codebook", top_keys, COUNT(top_keys)));
    for (size_t i = 0; i < COUNT(needed); i++)
        if (yaml_get(root, needed[i]) == NULL)
            return yaml_fail(cx, root, "codebook: `%s` is missing", needed[i]);
    TRY(name_text(cx, yaml_get(root, "dataset"), "dataset", &body->name));
    TRY(variable_text(cx, yaml_get(root, "count_unit"), "count_unit", &body->count_unit));
    TRY(optional_text(cx, root, "title", "title", TEXT_BYTES, &body->title));
    if ((node = yaml_get(root, "namespace")) != NULL)
        TRY(name_text(cx, node, "namespace", &body->patient_namespace));
    TRY(read_variables(cx, yaml_get(root, "variables"), body));
    TRY(read_all_derived(cx, yaml_get(root, "variables"), body));
    TRY(yaml_clean(cx, path, text, n, &body->text));
    if (codebook_check(cx, body) != FAULT_NONE)
        return place_of(cx, root, body);
    *ret = body;
    return FAULT_NONE;
}

/* ---- and back ---- */

static void put_number(struct buffer *b, const Cohortium__Variable *v, double x)
{
    char text[32];

    if (v->type == COHORTIUM__VAR_TYPE__DATE)
        buffer_text(b, clock_date((int32_t)x, text, sizeof text));
    else if (v->type == COHORTIUM__VAR_TYPE__INTEGER)
        buffer_printf(b, "%.0f", x);
    else
        buffer_text(b, decimal_write(x, text));
}

static void put_words(struct buffer *b, const char *key, char *const *words, size_t n)
{
    if (n == 0)
        return;
    buffer_printf(b, "    %s: [", key);
    for (size_t i = 0; i < n; i++) {
        buffer_text(b, i > 0 ? ", " : "");
        yaml_put_text(b, words[i]);
    }
    buffer_text(b, "]\n");
}

static void put_pair(struct buffer *b, const char *indent, const char *key,
                     const char *text)
{
    if (text[0] == '\0')
        return;
    buffer_printf(b, "%s%s: ", indent, key);
    yaml_put_text(b, text);
    buffer_text(b, "\n");
}

static void put_recode(struct buffer *b, const Cohortium__Variable *source,
                       const Cohortium__Variable *v)
{
    double first = source->type == COHORTIUM__VAR_TYPE__INTEGER ? source->lower : 0;

    buffer_text(b, "    recode: {");
    for (size_t i = 0; i < v->n_recode; i++) {
        buffer_text(b, i > 0 ? ", " : "");
        if (variable_has_levels(source))
            yaml_put_text(b, source->levels[i]);
        else
            buffer_printf(b, "%.0f", first + (double)i);
        buffer_text(b, ": ");
        yaml_put_text(b, v->levels[v->recode[i]]);
    }
    buffer_text(b, "}\n");
}

/* Of a codebook that was checked. */
static void put_derived(struct buffer *b, const Cohortium__Codebook *body,
                        const Cohortium__Variable *v)
{
    const Cohortium__Variable *source = NULL;

    for (size_t i = 0; i < body->n_variables; i++)
        if (strcmp(body->variables[i]->name, v->from) == 0)
            source = body->variables[i];
    if (!variable_is_derived(v) || source == NULL)
        return;
    put_pair(b, "    ", "from", v->from);
    for (size_t i = 0; i < v->n_cut; i++) {
        buffer_text(b, i == 0 ? "    cut: [" : ", ");
        put_number(b, source, v->cut[i]);
    }
    if (v->n_cut > 0)
        buffer_text(b, "]\n");
    else
        put_recode(b, source, v);
}

static void put_variable(struct buffer *b, const Cohortium__Codebook *body,
                         const Cohortium__Variable *v)
{
    bool identifier = v->role == COHORTIUM__ROLE__DIRECT_IDENTIFIER &&
                      v->type == COHORTIUM__VAR_TYPE__CATEGORICAL && v->n_levels == 0;

    buffer_printf(b, "  %s:\n", v->name);
    put_pair(b, "    ", "type", identifier ? "identifier" : types[v->type - 1]);
    if (!identifier)
        put_pair(b, "    ", "role", roles[v->role - 1]);
    put_pair(b, "    ", "label", v->label);
    put_pair(b, "    ", "unit", v->unit);
    put_words(b, "levels", v->levels, v->n_levels);
    if (v->bounded) {
        buffer_text(b, "    bounds: [");
        put_number(b, v, v->lower);
        buffer_text(b, ", ");
        put_number(b, v, v->upper);
        buffer_text(b, "]\n");
    }
    for (size_t i = 0; i < v->n_grid; i++) {
        buffer_text(b, i == 0 ? "    grid: [" : ", ");
        put_number(b, v, v->grid[i]);
    }
    buffer_text(b, v->n_grid > 0 ? "]\n" : "");
    put_words(b, "missing", v->missing_codes, v->n_missing_codes);
    if (v->nested)
        buffer_text(b, "    nested: yes\n");
    put_derived(b, body, v);
}

enum fault codebook_to_yaml(struct cx *cx, const Cohortium__Codebook *body,
                            const char **ret)
{
    struct buffer b = buffer_new(cx, 4 * CODEBOOK_BYTES_MAX);
    char *text;

    TRY(codebook_check(cx, body));
    put_pair(&b, "", "dataset", body->name);
    put_pair(&b, "", "title", body->title);
    put_pair(&b, "", "count_unit", body->count_unit);
    put_pair(&b, "", "namespace", body->patient_namespace);
    buffer_text(&b, "variables:\n");
    for (size_t i = 0; i < body->n_variables; i++)
        put_variable(&b, body, body->variables[i]);
    text = buffer_string(&b);
    if (text == NULL)
        return b.fault != FAULT_NONE ? b.fault : FAULT_MEMORY;
    *ret = text;
    return FAULT_NONE;
}

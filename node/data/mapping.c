/* mapping.c - YAML to mapping. */
#include "node/data/mapping.h"

#include <math.h>
#include <string.h>

#include "node/data/day.h"
#include "node/data/yaml.h"

enum { TEXT_BYTES = 1000, CODES_MAX = 200, IGNORE_MAX = CSV_FIELDS_MAX, RECODE_MAX = 5000 };

static const char *const top_keys[] = {"dataset",       "encoding", "delimiter", "quote",
                                       "decimal",       "header",   "missing",   "ignore",
                                       "ignore_others", "variables"};
static const char *const variable_keys[] = {"column",  "unit",        "factor", "offset",
                                            "decimal", "date_format", "recode", "missing"};

enum fault mapping_standard(struct cx *cx, const struct codebook *cb, struct mapping **ret)
{
    struct mapping *m;

    CX_NEW(cx, m, 1);
    CX_NEW(cx, m->variables, cb->body->n_variables);
    m->format = csv_format_standard;
    m->header = true;
    for (size_t i = 0; i < cb->body->n_variables; i++) {
        m->variables[i].factor = 1;
        m->variables[i].point = '.';
        m->variables[i].date_format = day_format_standard;
    }
    *ret = m;
    return FAULT_NONE;
}

/* One of a few texts, given in the order of their meanings; absent: nothing changes. */
static enum fault choice(struct cx *cx, const struct yaml_node *map, const char *key,
                         const char *const *words, size_t n, size_t *ret)
{
    const struct yaml_node *node = yaml_get(map, key);

    if (node != NULL)
        TRY(yaml_word(cx, node, key, words, n, ret));
    return FAULT_NONE;
}

static enum fault read_format(struct cx *cx, const struct yaml_node *root,
                              struct mapping *m)
{
    static const char *const encodings[] = {"utf-8", "latin1", "windows-1252", "UTF-8",
                                            "ISO-8859-1"};
    static const enum csv_encoding meant[] = {CSV_UTF8, CSV_LATIN1, CSV_WINDOWS_1252,
                                              CSV_UTF8, CSV_LATIN1};
    static const char *const delimiters[] = {",", ";", "\t", "|", "tab"};
    static const char *const quotes[] = {"\"", "'"};
    const struct yaml_node *node;
    size_t encoding = 0, delimiter = 0, quote = 0;

    TRY(choice(cx, root, "encoding", encodings, COUNT(encodings), &encoding));
    TRY(choice(cx, root, "delimiter", delimiters, COUNT(delimiters), &delimiter));
    TRY(choice(cx, root, "quote", quotes, COUNT(quotes), &quote));
    m->format = (struct csv_format){
        .delimiter = delimiter == 4 ? '\t' : delimiters[delimiter][0],
        .quote = quotes[quote][0],
        .encoding = meant[encoding],
    };
    if ((node = yaml_get(root, "header")) != NULL)
        TRY(yaml_yes(cx, node, "header", &m->header));
    if ((node = yaml_get(root, "ignore_others")) != NULL)
        TRY(yaml_yes(cx, node, "ignore_others", &m->ignore_others));
    if ((node = yaml_get(root, "missing")) != NULL)
        TRY(yaml_texts(cx, node, "missing", CODES_MAX, TEXT_BYTES, true, &m->missing,
                       &m->n_missing));
    if ((node = yaml_get(root, "ignore")) != NULL)
        TRY(yaml_texts(cx, node, "ignore", IGNORE_MAX, TEXT_BYTES, false, &m->ignore,
                       &m->n_ignore));
    return FAULT_NONE;
}

static enum fault read_decimal(struct cx *cx, const struct yaml_node *map, char *ret)
{
    static const char *const points[] = {".", ","};
    size_t i = *ret == ',';

    TRY(choice(cx, map, "decimal", points, COUNT(points), &i));
    *ret = points[i][0];
    return FAULT_NONE;
}

static bool is_number(const Cohortium__Variable *v)
{
    return v->type == COHORTIUM__VAR_TYPE__INTEGER || v->type == COHORTIUM__VAR_TYPE__REAL;
}

static enum fault read_column(struct cx *cx, const struct yaml_node *map,
                              const struct mapping *m, const Cohortium__Variable *v,
                              struct mapping_variable *ret)
{
    const struct yaml_node *node = yaml_get(map, "column");
    int64_t place;

    if (node == NULL && m->header)
        return FAULT_NONE;
    if (node == NULL)
        return yaml_fail(cx, map,
                         "variable `%s`: `column` is missing; with `header: no` say which "
                         "column it is, counted from 1",
                         v->name);
    if (m->header)
        return yaml_text(cx, node, "column", TEXT_BYTES, &ret->column);
    TRY(yaml_whole(cx, node, "column", 1, CSV_FIELDS_MAX, &place));
    ret->place = (size_t)place;
    return FAULT_NONE;
}

static enum fault read_scale(struct cx *cx, const struct yaml_node *map,
                             const Cohortium__Variable *v, struct mapping_variable *ret)
{
    const struct yaml_node *factor = yaml_get(map, "factor");
    const struct yaml_node *offset = yaml_get(map, "offset");
    const struct yaml_node *unit = yaml_get(map, "unit");
    const char *text;

    if (factor != NULL)
        TRY(yaml_real(cx, factor, "factor", &ret->factor));
    if (offset != NULL)
        TRY(yaml_real(cx, offset, "offset", &ret->offset));
    ret->scaled = factor != NULL || offset != NULL;
    if (ret->scaled && !is_number(v))
        return yaml_fail(
            cx, factor != NULL ? factor : offset,
            "variable `%s`: only integer and real variables have a factor and an "
            "offset; remove it",
            v->name);
    if (ret->factor == 0)
        return yaml_fail(cx, factor, "factor: 0 would make all values alike");
    if (unit == NULL)
        return FAULT_NONE;
    TRY(yaml_text(cx, unit, "unit", TEXT_BYTES, &text));
    if (strcmp(text, v->unit) != 0 && !ret->scaled)
        return yaml_fail(
            cx, unit,
            "variable `%s`: the codebook's unit is `%.60s`, this file's is "
            "`%.60s`; give the factor from one to the other (1 if they are the "
            "same)",
            v->name, v->unit, text);
    return FAULT_NONE;
}

static enum fault read_target(struct cx *cx, const struct yaml_node *node,
                              const Cohortium__Variable *v, double *ret)
{
    const char *text;
    int32_t days;
    int level;

    if (v->type == COHORTIUM__VAR_TYPE__DATE) {
        TRY(yaml_date(cx, node, "recode", &days));
        *ret = days;
        return FAULT_NONE;
    }
    if (!variable_has_levels(v)) {
        double lower, upper;

        TRY(yaml_real(cx, node, "recode", ret));
        variable_range(v, &lower, &upper);
        if ((v->type != COHORTIUM__VAR_TYPE__REAL && *ret != floor(*ret)) || *ret < lower ||
            *ret > upper)
            return yaml_fail(cx, node,
                             "recode: %g cannot be a value of `%s`; expected a %s "
                             "from %g to %g",
                             *ret, v->name,
                             v->type == COHORTIUM__VAR_TYPE__REAL ? "number"
                                                                  : "whole number",
                             lower, upper);
        return FAULT_NONE;
    }
    TRY(yaml_text(cx, node, "recode", TEXT_BYTES, &text));
    level = variable_level(v, text);
    if (level < 0)
        return yaml_fail(cx, node, "recode: `%.60s` is not a level of `%s`%s", text,
                         v->name, level_hint(cx, v, text));
    *ret = level;
    return FAULT_NONE;
}

static enum fault read_recode(struct cx *cx, const struct yaml_node *node,
                              const Cohortium__Variable *v, struct mapping_variable *ret)
{
    if (node->kind != YAML_MAP)
        return yaml_fail(cx, node, "recode: expected a map such as {m: male, w: female}");
    if (node->count > RECODE_MAX)
        return yaml_fail(cx, node, "recode: %zu entries; at most %d are allowed",
                         node->count, RECODE_MAX);
    CX_NEW(cx, ret->from, node->count);
    CX_NEW(cx, ret->to, node->count);
    for (size_t i = 0; i < node->count; i++) {
        ret->from[i] = node->keys[i]->text;
        TRY(read_target(cx, node->items[i], v, &ret->to[i]));
        ret->n_recode = i + 1;
    }
    return FAULT_NONE;
}

static enum fault read_variable(struct cx *cx, const struct yaml_node *map,
                                const struct mapping *m, const Cohortium__Variable *v,
                                struct mapping_variable *ret)
{
    const struct yaml_node *date = yaml_get(map, "date_format");
    const struct yaml_node *recode = yaml_get(map, "recode");
    const struct yaml_node *missing = yaml_get(map, "missing");

    TRY(yaml_check_map(cx, map, cx_printf(cx, "variable `%s`", v->name), variable_keys,
                       COUNT(variable_keys)));
    TRY(read_column(cx, map, m, v, ret));
    TRY(read_scale(cx, map, v, ret));
    TRY(read_decimal(cx, map, &ret->point));
    if (date != NULL) {
        TRY(yaml_text(cx, date, "date_format", 100, &ret->date_format));
        if (v->type != COHORTIUM__VAR_TYPE__DATE)
            return yaml_fail(cx, date, "variable `%s` is not a date; remove `date_format`",
                             v->name);
        if (!day_format_is_valid(ret->date_format))
            return yaml_fail(
                cx, date,
                "date_format: expected %%Y, %%m (or %%b) and %%d once each, such "
                "as \"%%d.%%m.%%Y\"");
    }
    if (recode != NULL && v->role == COHORTIUM__ROLE__DIRECT_IDENTIFIER)
        return yaml_fail(cx, recode, "variable `%s` is an identifier; remove `recode`",
                         v->name);
    if (recode != NULL)
        TRY(read_recode(cx, recode, v, ret));
    if (missing != NULL)
        TRY(yaml_texts(cx, missing, "missing", CODES_MAX, TEXT_BYTES, true, &ret->missing,
                       &ret->n_missing));
    return FAULT_NONE;
}

static enum fault read_variables(struct cx *cx, const struct yaml_node *node,
                                 const struct codebook *cb, struct mapping *m)
{
    const char **names;

    CX_NEW(cx, names, cb->body->n_variables);
    for (size_t i = 0; i < cb->body->n_variables; i++)
        names[i] = codebook_variable(cb, (int)i)->name;
    TRY(yaml_check_map(cx, node, "variables", names, cb->body->n_variables));
    for (size_t i = 0; i < node->count; i++) {
        int at = codebook_find(cb, node->keys[i]->text);

        if (variable_is_derived(codebook_variable(cb, at)))
            return yaml_fail(cx, node->items[i],
                             "variable `%s` is computed from `%s`; remove it here", names[at],
                             codebook_variable(cb, at)->from);
        TRY(read_variable(cx, node->items[i], m, codebook_variable(cb, at),
                          &m->variables[at]));
    }
    return FAULT_NONE;
}

enum fault mapping_from_yaml(struct cx *cx, const char *path, const char *text, size_t n,
                             const struct codebook *cb, struct mapping **ret)
{
    const struct yaml_node *root, *node;
    struct mapping *m;
    const char *dataset;
    char point = '.';

    TRY(yaml_open(cx, path, text, n, &root));
    TRY(yaml_check_map(cx, root, "mapping", top_keys, COUNT(top_keys)));
    TRY(mapping_standard(cx, cb, &m));
    if ((node = yaml_get(root, "dataset")) != NULL) {
        TRY(yaml_text(cx, node, "dataset", TEXT_BYTES, &dataset));
        if (strcmp(dataset, cb->body->name) != 0)
            return yaml_fail(
                cx, node,
                "dataset: this mapping is for `%.60s`; the codebook's dataset is "
                "`%s`",
                dataset, cb->body->name);
    }
    TRY(read_format(cx, root, m));
    TRY(read_decimal(cx, root, &point));
    for (size_t i = 0; i < cb->body->n_variables; i++)
        m->variables[i].point = point;
    if ((node = yaml_get(root, "variables")) != NULL)
        TRY(read_variables(cx, node, cb, m));
    else if (!m->header)
        return yaml_fail(cx, root, "header: no needs `variables` that say their `column`");
    *ret = m;
    return FAULT_NONE;
}

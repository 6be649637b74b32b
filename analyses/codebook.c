/* codebook.c - opening and checking the consortium's dictionary. */
#include "analyses/derived.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEVEL_BYTES_MAX = 200,
    LABEL_BYTES_MAX = 2000,
    MISSING_CODES_MAX = 100,
    HINT_WORDS_MAX = 12 /* longer lists help nobody */
};

/* 0001-01-01 and 9999-12-31: what a date's text can hold. */
static const double DATE_FIRST = -719162, DATE_LAST = 2932896;
/* Beyond 2^53 neighbouring whole numbers are the same double. */
static const double WHOLE_MAX = 9007199254740992.0;

/* Words of the languages: a variable of this name could not be written. */
static const char *const reserved[] = {"and", "or",      "not",  "in",    "between",
                                       "is",  "missing", "true", "false", "everybody"};

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum fault words_are_unique(struct cx *cx, const char *where, const char *what,
                                   const char *const *words, size_t n)
{
    const char **sorted;

    if (n < 2)
        return FAULT_NONE;
    CX_NEW(cx, sorted, n);
    memcpy(sorted, words, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_words);
    for (size_t i = 1; i < n; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            return cx_fail(cx, FAULT_FORMAT, "%s: the %s `%s` stands twice; keep one",
                           where, what, sorted[i]);
    return FAULT_NONE;
}

static bool text_is_clean(const char *text, size_t bytes_max)
{
    size_t n = strlen(text);

    return n <= bytes_max && utf8_is_clean(text, n);
}

/* One line, not empty: what a level or a code must be. */
static bool word_is_clean(const char *text)
{
    return text[0] != '\0' && text_is_clean(text, LEVEL_BYTES_MAX) &&
           strpbrk(text, "\t\n") == NULL;
}

static bool is_whole_type(const Cohortium__Variable *v)
{
    return v->type == COHORTIUM__VAR_TYPE__INTEGER || v->type == COHORTIUM__VAR_TYPE__DATE;
}

static bool is_measured(const Cohortium__Variable *v)
{
    return is_whole_type(v) || v->type == COHORTIUM__VAR_TYPE__REAL;
}

static enum fault check_levels(struct cx *cx, const Cohortium__Variable *v)
{
    if (!variable_has_levels(v)) {
        if (v->n_levels > 0)
            return cx_fail(
                cx, FAULT_FORMAT,
                "variable `%s`: levels belong to categorical and ordered variables "
                "only; remove them or change the type",
                v->name);
        return FAULT_NONE;
    }
    /* An identifier's values are never listed: they are nobody's business. */
    if (v->n_levels == 0 && v->role != COHORTIUM__ROLE__DIRECT_IDENTIFIER)
        return cx_fail(
            cx, FAULT_FORMAT,
            "variable `%s`: a categorical or ordered variable needs its levels, the "
            "reference first",
            v->name);
    if (v->n_levels > CODEBOOK_LEVELS_MAX)
        return cx_fail(cx, FAULT_BOUND, "variable `%s`: %zu levels, at most %d are allowed",
                       v->name, v->n_levels, CODEBOOK_LEVELS_MAX);
    for (size_t i = 0; i < v->n_levels; i++)
        if (!word_is_clean(v->levels[i]))
            return cx_fail(
                cx, FAULT_FORMAT,
                "variable `%s`: level %zu: expected one line of 1 to %d bytes of UTF-8",
                v->name, i + 1, LEVEL_BYTES_MAX);
    return words_are_unique(cx, v->name, "level", (const char *const *)v->levels,
                            v->n_levels);
}

static enum fault check_bounds(struct cx *cx, const Cohortium__Variable *v)
{
    if (!v->bounded) {
        if (v->lower != 0 || v->upper != 0)
            return cx_fail(cx, FAULT_FORMAT, "variable `%s`: has bounds but is not bounded",
                           v->name);
        if (is_measured(v) && variable_is_usable(v))
            return cx_fail(cx, FAULT_FORMAT,
                           "variable `%s`: bounds are missing; give the lowest and highest "
                           "value that can occur at any site, rounded widely",
                           v->name);
        return FAULT_NONE;
    }
    if (v->type == COHORTIUM__VAR_TYPE__BINARY && v->lower == 0 && v->upper == 1)
        return FAULT_NONE;
    if (!is_measured(v))
        return cx_fail(cx, FAULT_FORMAT,
                       "variable `%s`: only integer, real and date variables have bounds; "
                       "remove them",
                       v->name);
    if (!isfinite(v->lower) || !isfinite(v->upper) || !isfinite(v->upper - v->lower) ||
        v->lower >= v->upper)
        return cx_fail(
            cx, FAULT_FORMAT,
            "variable `%s`: bounds must be two finite numbers, the lower one first",
            v->name);
    if (is_whole_type(v) && (v->lower != floor(v->lower) || v->upper != floor(v->upper) ||
                             fabs(v->lower) > WHOLE_MAX || fabs(v->upper) > WHOLE_MAX))
        return cx_fail(
            cx, FAULT_FORMAT,
            "variable `%s`: bounds of integers and dates are whole numbers of at "
            "most 2^53",
            v->name);
    if (v->type == COHORTIUM__VAR_TYPE__INTEGER && v->upper - v->lower == 1)
        return cx_fail(
            cx, FAULT_FORMAT,
            "variable `%s`: the mean of a number of two values counts who has the higher "
            "one; make it binary, or categorical with two levels, whose patients are "
            "counted",
            v->name);
    if (v->type == COHORTIUM__VAR_TYPE__DATE &&
        (v->lower < DATE_FIRST || v->upper > DATE_LAST))
        return cx_fail(cx, FAULT_FORMAT,
                       "variable `%s`: dates lie between 0001-01-01 and 9999-12-31",
                       v->name);
    return FAULT_NONE;
}

static enum fault check_grid(struct cx *cx, const Cohortium__Variable *v)
{
    if (v->n_grid == 0)
        return FAULT_NONE;
    if (!v->bounded || !is_measured(v))
        return cx_fail(cx, FAULT_FORMAT,
                       "variable `%s`: only a bounded integer, real or date has a grid",
                       v->name);
    if (v->n_grid > CODEBOOK_GRID_MAX)
        return cx_fail(cx, FAULT_BOUND,
                       "variable `%s`: %zu cut points, at most %d are allowed", v->name,
                       v->n_grid, CODEBOOK_GRID_MAX);
    for (size_t i = 0; i < v->n_grid; i++) {
        double g = v->grid[i];

        if (!isfinite(g) || g < v->lower || g > v->upper || (i > 0 && g <= v->grid[i - 1]))
            return cx_fail(
                cx, FAULT_FORMAT,
                "variable `%s`: cut point %zu: the grid must ascend strictly within "
                "the bounds",
                v->name, i + 1);
        if (is_whole_type(v) && g != floor(g))
            return cx_fail(cx, FAULT_FORMAT,
                           "variable `%s`: cut point %zu: a whole number is expected",
                           v->name, i + 1);
    }
    return FAULT_NONE;
}

static enum fault check_name(struct cx *cx, const char *name, size_t place)
{
    if (!variable_name_is_valid(name))
        return cx_fail(cx, FAULT_FORMAT,
                       "variable %zu: its name must be a letter followed by at most "
                       "31 letters, digits or _",
                       place + 1);
    for (size_t i = 0; i < COUNT(reserved); i++)
        if (strcmp(name, reserved[i]) == 0)
            return cx_fail(cx, FAULT_FORMAT,
                           "variable `%s`: this is a word of the cohort language; choose "
                           "another name",
                           name);
    return FAULT_NONE;
}

static enum fault check_variable(struct cx *cx, const Cohortium__Variable *v, size_t place)
{
    TRY(check_name(cx, v->name, place));
    if (v->type < COHORTIUM__VAR_TYPE__INTEGER || v->type > COHORTIUM__VAR_TYPE__DATE)
        return cx_fail(
            cx, FAULT_FORMAT,
            "variable `%s`: expected the type integer, real, categorical, ordered, "
            "binary or date",
            v->name);
    if (v->role < COHORTIUM__ROLE__DIRECT_IDENTIFIER || v->role > COHORTIUM__ROLE__HIDDEN)
        return cx_fail(
            cx, FAULT_FORMAT,
            "variable `%s`: expected the role direct_identifier, quasi_identifier, "
            "sensitive, ordinary or hidden",
            v->name);
    if (!text_is_clean(v->unit, LABEL_BYTES_MAX) ||
        !text_is_clean(v->label, LABEL_BYTES_MAX))
        return cx_fail(cx, FAULT_FORMAT,
                       "variable `%s`: unit and label must be UTF-8 of at most %d bytes",
                       v->name, LABEL_BYTES_MAX);
    TRY(check_levels(cx, v));
    TRY(check_bounds(cx, v));
    TRY(check_grid(cx, v));
    if (v->n_missing_codes > MISSING_CODES_MAX)
        return cx_fail(cx, FAULT_BOUND,
                       "variable `%s`: %zu missing codes, at most %d are allowed", v->name,
                       v->n_missing_codes, MISSING_CODES_MAX);
    for (size_t i = 0; i < v->n_missing_codes; i++)
        if (!word_is_clean(v->missing_codes[i]))
            return cx_fail(
                cx, FAULT_FORMAT,
                "variable `%s`: missing code %zu: expected one line of 1 to %d bytes "
                "of UTF-8",
                v->name, i + 1, LEVEL_BYTES_MAX);
    return words_are_unique(cx, v->name, "missing code",
                            (const char *const *)v->missing_codes, v->n_missing_codes);
}

static enum fault check_count_unit(struct cx *cx, const Cohortium__Codebook *body)
{
    const Cohortium__Variable *unit = NULL;

    for (size_t i = 0; i < body->n_variables && unit == NULL; i++)
        if (strcmp(body->variables[i]->name, body->count_unit) == 0)
            unit = body->variables[i];
    if (unit == NULL || unit->role != COHORTIUM__ROLE__DIRECT_IDENTIFIER)
        return cx_fail(cx, FAULT_FORMAT,
                       "count_unit: expected the name of a variable whose role is "
                       "direct_identifier: its distinct values are counted as patients");
    for (size_t i = 0; i < body->n_variables; i++)
        if (body->variables[i] != unit)
            return FAULT_NONE;
    return cx_fail(cx, FAULT_FORMAT,
                   "the count unit is the only variable; at least one other is needed");
}

enum fault codebook_check(struct cx *cx, const Cohortium__Codebook *body)
{
    const char **names;

    if (!name_is_valid(body->name))
        return cx_fail(cx, FAULT_FORMAT,
                       "name: expected a lower-case letter followed by at most 31 letters, "
                       "digits or _");
    if (body->patient_namespace[0] != '\0' && !name_is_valid(body->patient_namespace))
        return cx_fail(
            cx, FAULT_FORMAT,
            "patient_namespace: expected a lower-case letter followed by at most 31 "
            "letters, digits or _");
    if (!text_is_clean(body->title, LABEL_BYTES_MAX))
        return cx_fail(cx, FAULT_FORMAT, "title: expected UTF-8 of at most %d bytes",
                       LABEL_BYTES_MAX);
    if (body->n_variables > CODEBOOK_VARIABLES_MAX)
        return cx_fail(cx, FAULT_BOUND, "%zu variables, at most %d are allowed",
                       body->n_variables, CODEBOOK_VARIABLES_MAX);
    for (size_t i = 0; i < body->n_variables; i++)
        TRY(check_variable(cx, body->variables[i], i));
    CX_NEW(cx, names, body->n_variables);
    for (size_t i = 0; i < body->n_variables; i++)
        names[i] = body->variables[i]->name;
    TRY(words_are_unique(cx, body->name, "variable", names, body->n_variables));
    for (size_t i = 0; i < body->n_variables; i++)
        TRY(derived_check(cx, body, body->variables[i]));
    return check_count_unit(cx, body);
}

/* The text is for people: another comment in the YAML is the same codebook. */
static enum fault digest_of(struct cx *cx, const Cohortium__Codebook *body,
                            uint8_t digest[32])
{
    Cohortium__Codebook bare = *body;
    struct bytes packed;

    bare.text = (char *)protobuf_c_empty_string;
    TRY(pb_pack(cx, &bare.base, &packed));
    if (crypto_hash_sha256(digest, packed.p, packed.n) != 0)
        return cx_fail(cx, FAULT_INTERNAL, "the codebook could not be hashed");
    return FAULT_NONE;
}

static enum fault codebook_of(struct cx *cx, const Cohortium__Codebook *body,
                              struct bytes packed, struct codebook **ret)
{
    struct codebook *cb;

    TRY(codebook_check(cx, body));
    CX_NEW(cx, cb, 1);
    cb->body = body;
    cb->packed = packed;
    TRY(digest_of(cx, body, cb->digest));
    *ret = cb;
    return FAULT_NONE;
}

enum fault codebook_open(struct cx *cx, struct bytes packed, struct codebook **ret)
{
    Cohortium__Codebook *body;
    struct bytes own;

    TRY(pb_unpack(cx, &cohortium__codebook__descriptor, packed, CODEBOOK_BYTES_MAX, &body));
    own = bytes_of(cx_memdup(cx, packed.p, packed.n), packed.n);
    if (own.p == NULL)
        return FAULT_MEMORY;
    return codebook_of(cx, body, own, ret);
}

enum fault codebook_from_body(struct cx *cx, const Cohortium__Codebook *body,
                              struct codebook **ret)
{
    struct bytes packed;

    TRY(codebook_check(cx, body)); /* first: its sentences are better than the parser's */
    TRY(pb_pack(cx, &body->base, &packed));
    /* Opened again, so that what was made here obeys the rules for what arrives. */
    return codebook_open(cx, packed, ret);
}

int codebook_find(const struct codebook *cb, const char *name)
{
    for (size_t i = 0; i < cb->body->n_variables; i++)
        if (strcmp(cb->body->variables[i]->name, name) == 0)
            return (int)i;
    return -1;
}

bool variable_is_usable(const Cohortium__Variable *v)
{
    return v->role != COHORTIUM__ROLE__DIRECT_IDENTIFIER &&
           v->role != COHORTIUM__ROLE__HIDDEN;
}

bool variable_is_quasi(const Cohortium__Variable *v)
{
    return v->role == COHORTIUM__ROLE__QUASI_IDENTIFIER;
}

bool variable_has_levels(const Cohortium__Variable *v)
{
    return v->type == COHORTIUM__VAR_TYPE__CATEGORICAL ||
           v->type == COHORTIUM__VAR_TYPE__ORDERED;
}

int variable_level(const Cohortium__Variable *v, const char *level)
{
    for (size_t i = 0; i < v->n_levels; i++)
        if (strcmp(v->levels[i], level) == 0)
            return (int)i;
    return -1;
}

void variable_range(const Cohortium__Variable *v, double *ret_lower, double *ret_upper)
{
    *ret_lower = 0;
    if (v->type == COHORTIUM__VAR_TYPE__BINARY) {
        *ret_upper = 1;
    } else if (variable_has_levels(v)) {
        *ret_upper = v->n_levels > 0 ? (double)(v->n_levels - 1) : 0;
    } else {
        *ret_lower = v->lower;
        *ret_upper = v->upper;
    }
}

/* The nearest word, or all of a short list, or nothing. */
static const char *hint_from(struct cx *cx, const char *what, const char *word,
                             const char *const *words, size_t n)
{
    const char *near = n > 0 ? bytes_nearest(word, words, n) : NULL;
    struct buffer b = buffer_new(cx, 8192);
    const char *text;

    if (near != NULL) {
        buffer_printf(&b, "; did you mean `%s`?", near);
    } else if (n > 0 && n <= HINT_WORDS_MAX) {
        buffer_printf(&b, "; %s: ", what);
        for (size_t i = 0; i < n; i++)
            buffer_printf(&b, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    text = buffer_string(&b);
    return text != NULL ? text : "";
}

const char *codebook_hint(struct cx *cx, const struct codebook *cb, const char *name)
{
    size_t n = 0;
    const char **names = cx_array(cx, cb->body->n_variables, sizeof *names);

    if (names == NULL)
        return "";
    for (size_t i = 0; i < cb->body->n_variables; i++)
        if (variable_is_usable(cb->body->variables[i]))
            names[n++] = cb->body->variables[i]->name;
    return hint_from(cx, "it has", name, names, n);
}

const char *level_hint(struct cx *cx, const Cohortium__Variable *v, const char *level)
{
    return hint_from(cx, "its levels are", level, (const char *const *)v->levels,
                     v->n_levels);
}

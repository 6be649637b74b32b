/* naive.c - see naive.h. */
#include "tests/analyses/naive.h"

#include <math.h>

#include "tests/check.h"

enum { LINE_MAX_BYTES = 4096 };

static const char *data_path(const char *name, const char *file)
{
    static char path[4096];
    const char *source = getenv("COHORTIUM_SOURCE");

    (void)snprintf(path, sizeof path, "%s/tests/data/%s/%s", source ? source : ".", name,
                   file);
    return path;
}

static json_t *load_json(const char *name, const char *file)
{
    json_error_t error;
    json_t *json = json_load_file(data_path(name, file), 0, &error);

    if (json == NULL)
        fail_msg("%s: %s", data_path(name, file), error.text);
    return json;
}

const json_t *naive_expected(const char *name, const char *id)
{
    static char loaded[64];
    static json_t *json;
    json_t *results;

    if (json == NULL || strcmp(loaded, name) != 0) {
        json_decref(json);
        json = load_json(name, "expected.json");
        (void)snprintf(loaded, sizeof loaded, "%s", name);
    }
    results = json_object_get(json, "results");
    for (size_t i = 0; i < json_array_size(results); i++) {
        json_t *entry = json_array_get(results, i);

        if (strcmp(json_string_value(json_object_get(entry, "id")), id) == 0)
            return json_object_get(entry, "result");
    }
    fail_msg("%s: no expected result `%s`", name, id);
    return NULL;
}

/* ---- codebook and rows ---- */

static Cohortium__Role role_of(const char *roles, const char *name)
{
    char word[64];

    for (const char *at = roles; (at = strstr(at, name)) != NULL; at++) {
        (void)snprintf(word, sizeof word, "%s=", name);
        if (strncmp(at, word, strlen(word)) != 0 || (at > roles && at[-1] != ' '))
            continue;
        char c = at[strlen(word)];
        return c == 'q'   ? COHORTIUM__ROLE__QUASI_IDENTIFIER
               : c == 's' ? COHORTIUM__ROLE__SENSITIVE
                          : COHORTIUM__ROLE__HIDDEN;
    }
    return COHORTIUM__ROLE__ORDINARY;
}

static enum fault variable_from(struct cx *cx, const json_t *column, const char *roles,
                                Cohortium__Variable **ret)
{
    static const struct {
        const char *word;
        Cohortium__VarType type;
    } types[] = {
        {"id", COHORTIUM__VAR_TYPE__CATEGORICAL},
        {"integer", COHORTIUM__VAR_TYPE__INTEGER},
        {"real", COHORTIUM__VAR_TYPE__REAL},
        {"binary", COHORTIUM__VAR_TYPE__BINARY},
        {"categorical", COHORTIUM__VAR_TYPE__CATEGORICAL},
        {"ordered", COHORTIUM__VAR_TYPE__ORDERED},
    };
    const char *word = json_string_value(json_object_get(column, "type"));
    const json_t *levels = json_object_get(column, "levels");
    Cohortium__Variable *v;

    CX_NEW(cx, v, 1);
    cohortium__variable__init(v);
    v->name = cx_strdup(cx, json_string_value(json_object_get(column, "name")));
    for (size_t i = 0; i < COUNT(types); i++)
        if (strcmp(types[i].word, word) == 0)
            v->type = types[i].type;
    v->role = role_of(roles, v->name);
    if (strcmp(word, "id") == 0) {
        v->role = COHORTIUM__ROLE__DIRECT_IDENTIFIER;
        v->type = COHORTIUM__VAR_TYPE__INTEGER;
    }
    v->n_levels = json_array_size(levels);
    CX_NEW(cx, v->levels, v->n_levels);
    for (size_t i = 0; i < v->n_levels; i++)
        v->levels[i] = cx_strdup(cx, json_string_value(json_array_get(levels, i)));
    if (v->type == COHORTIUM__VAR_TYPE__INTEGER || v->type == COHORTIUM__VAR_TYPE__REAL) {
        v->bounded = true;
        v->lower = json_number_value(json_object_get(column, "min")) + 0.0;
        v->upper = json_number_value(json_object_get(column, "max")) + 1.0;
    }
    *ret = v;
    return FAULT_NONE;
}

static enum fault open_codebook(struct cx *cx, const char *name, const char *roles,
                                const struct codebook **ret)
{
    json_t *json = load_json(name, "codebook.json");
    const json_t *columns = json_object_get(json, "columns");
    Cohortium__Codebook *body;
    struct codebook *cb;

    CX_NEW(cx, body, 1);
    cohortium__codebook__init(body);
    body->name = cx_strdup(cx, name);
    body->count_unit = (char *)"rid";
    body->patient_namespace = (char *)"patient";
    body->n_variables = json_array_size(columns);
    CX_NEW(cx, body->variables, body->n_variables);
    for (size_t i = 0; i < body->n_variables; i++)
        TRY(variable_from(cx, json_array_get(columns, i), roles, &body->variables[i]));
    json_decref(json);
    TRY(codebook_from_body(cx, body, &cb));
    *ret = cb;
    return FAULT_NONE;
}

static enum fault read_field(struct cx *cx, const Cohortium__Variable *v, const char *text,
                             double *value, bool *valid)
{
    char *end;

    *valid = text[0] != '\0';
    *value = 0.0;
    if (!*valid)
        return FAULT_NONE;
    if (variable_has_levels(v)) {
        int level = variable_level(v, text);
        if (level < 0)
            return cx_fail(cx, FAULT_FORMAT, "%s: an unknown level", v->name);
        *value = level;
        return FAULT_NONE;
    }
    *value = strtod(text, &end);
    return *end == '\0' ? FAULT_NONE : cx_fail(cx, FAULT_FORMAT, "%s: no number", v->name);
}

enum fault naive_open(struct cx *cx, const char *name, const char *roles, struct naive *ret)
{
    struct naive d = {0};
    char line[LINE_MAX_BYTES];
    enum { ROWS_MAX = 4096 };
    FILE *f;

    TRY(open_codebook(cx, name, roles, &d.cb));
    size_t columns = d.cb->body->n_variables;
    CX_NEW(cx, d.values, ROWS_MAX * columns + 1);
    CX_NEW(cx, d.valid, ROWS_MAX * columns + 1);
    CX_NEW(cx, d.patients, ROWS_MAX);
    f = fopen(data_path(name, "pooled.csv"), "rb");
    if (f == NULL || fgets(line, sizeof line, f) == NULL)
        fail_msg("%s: cannot be read", data_path(name, "pooled.csv"));
    while (d.n_rows < ROWS_MAX && fgets(line, sizeof line, f) != NULL) {
        char *rest = line;

        line[strcspn(line, "\r\n")] = '\0';
        for (size_t j = 0; j < columns; j++) {
            char *field = strsep(&rest, ",");
            size_t at = d.n_rows * columns + j;

            if (field == NULL)
                fail_msg("%s: a short line", name);
            TRY(read_field(cx, d.cb->body->variables[j], field, &d.values[at],
                           &d.valid[at]));
        }
        d.patients[d.n_rows] = d.n_rows;
        d.n_rows++;
    }
    (void)fclose(f);
    d.n_patients = d.n_rows;
    *ret = d;
    return FAULT_NONE;
}

enum fault naive_widen(struct cx *cx, double factor, struct naive *data)
{
    Cohortium__Codebook *body = cx_memdup(cx, data->cb->body, sizeof *body);
    struct codebook *cb;

    if (body == NULL)
        return FAULT_MEMORY;
    body->variables =
        cx_memdup(cx, body->variables, body->n_variables * sizeof *body->variables);
    if (body->variables == NULL)
        return FAULT_MEMORY;
    for (size_t i = 0; i < body->n_variables; i++) {
        Cohortium__Variable *v =
            cx_memdup(cx, body->variables[i], sizeof *body->variables[i]);

        if (v == NULL)
            return FAULT_MEMORY;
        body->variables[i] = v;
        if (!v->bounded || v->upper <= 20)
            continue;
        v->upper *= factor;
        v->lower = v->lower < 0 ? v->lower * factor : 0;
    }
    TRY(codebook_from_body(cx, body, &cb));
    data->cb = cb;
    return FAULT_NONE;
}

/* ---- sums ---- */

static ufixed to_fixed(double value, int scale)
{
    int e;
    double f = frexp(value, &e);
    __int128 mantissa = (__int128)ldexp(f, 53); /* exact: 53 bits */
    int shift = e - 53 + scale;

    if (value == 0 || shift >= 128)
        return 0;
    if (shift >= 0)
        return (ufixed)mantissa << shift;
    if (shift < -100)
        return 0;
    /* Round half up: any fixed rule does, as long as it looks at the row alone. */
    return (ufixed)((mantissa + ((__int128)1 << (-shift - 1))) >> -shift);
}

/* A product of two doubles is two doubles. */
static ufixed product(double x, double y, int scale)
{
    double high = x * y;

    return to_fixed(high, scale) + to_fixed(fma(x, y, -high), scale);
}

static void add_row(const struct measure *m, const struct block *b, const double *node,
                    ufixed *sums)
{
    size_t k = 0;

    for (size_t i = 0; i < b->n_sums; i++, k++)
        sums[k] += to_fixed(node[b->sums[i]], b->scales[k]);
    for (size_t w = 0; w < b->n_weights; w++)
        for (size_t i = 0; i < b->n_design; i++)
            for (size_t j = i; j < b->n_design; j++, k++) {
                double weight = b->weights[w] == 0 ? 1 : node[b->weights[w]];
                sums[k] +=
                    product(weight * node[b->design[i]], node[b->design[j]], b->scales[k]);
            }
    for (size_t r = 0; r < b->n_rhs; r++)
        for (size_t i = 0; i < b->n_design; i++, k++)
            sums[k] += product(node[b->design[i]], node[b->rhs[r]], b->scales[k]);
    if (k != b->n_numbers)
        fail_msg("a block of %zu numbers says %zu", k, b->n_numbers);
    (void)m;
}

static enum fault add_block(struct cx *cx, const struct measure *m, const struct block *b,
                            const struct naive *data, size_t site, size_t sites,
                            struct tally *t)
{
    size_t columns = data->cb->body->n_variables, seen_size = b->n_cells * data->n_patients;
    double *node;
    bool *seen;

    CX_NEW(cx, node, m->n_nodes);
    CX_NEW(cx, seen, seen_size);
    for (size_t row = site; row < data->n_rows; row += sites) {
        size_t cell = 0;

        measure_eval_all(m, data->values + row * columns, data->valid + row * columns,
                         node);
        if (node[b->where] == 0.0)
            continue;
        for (size_t k = 0; k < b->n_keys; k++) {
            double key = node[b->keys[k].expr];

            if (!(key >= 0 && key < b->keys[k].size && key == floor(key)))
                fail_msg("a key beyond its size");
            cell = cell * b->keys[k].size + (size_t)key;
        }
        bool *first = &seen[cell * data->n_patients + data->patients[row]];
        t->counts[b->first_count + 2 * cell] += !*first;
        t->counts[b->first_count + 2 * cell + 1]++;
        *first = true;
        add_row(m, b, node, t->sums + b->first_sum + b->n_numbers * cell);
    }
    return FAULT_NONE;
}

enum fault naive_tally(struct cx *cx, const struct measure *m, const struct naive *data,
                       size_t site, size_t sites, struct tally **ret)
{
    TRY(tally_new(cx, m->n_counts, m->n_sums, ret));
    for (size_t i = 0; i < m->n_blocks; i++)
        TRY(add_block(cx, m, &m->blocks[i], data, site, sites, *ret));
    return FAULT_NONE;
}

enum fault naive_run(struct cx *cx, const struct analysis *analysis,
                     const struct asked *asked, const struct naive *data, size_t sites,
                     struct result **ret, unsigned *ret_rounds)
{
    struct state *state;
    struct measure *m;
    struct tally *pooled, *one;
    unsigned rounds = 0;

    TRY(analysis->begin(cx, asked, &state));
    for (; !state->done; rounds++) {
        if (rounds == 100)
            return cx_fail(cx, FAULT_INTERNAL, "naive: 100 rounds and not done");
        TRY(analysis->ask(cx, asked, state, &m));
        TRY(tally_new(cx, m->n_counts, m->n_sums, &pooled));
        for (size_t s = 0; s < sites; s++) {
            TRY(naive_tally(cx, m, data, s, sites, &one));
            TRY(tally_add(cx, pooled, one));
        }
        TRY(analysis->learn(cx, asked, state, m, pooled, &state));
    }
    if (ret_rounds != NULL)
        *ret_rounds = rounds;
    return analysis->finish(cx, asked, state, ret);
}

/* ---- release and report ---- */

static enum fault put_counts(struct cx *cx, struct report *r, const char *name, size_t n,
                             const uint64_t *counts)
{
    double *values;

    CX_NEW(cx, values, n);
    for (size_t i = 0; i < n; i++)
        values[i] = (double)counts[i];
    return report_put(r, name, COHORTIUM__ITEM_KIND__COUNTS, n, 1, values) == NULL
               ? FAULT_MEMORY
               : FAULT_NONE;
}

enum fault naive_release(struct cx *cx, const struct asked *asked,
                         const struct result *result, Cohortium__Release **ret)
{
    Cohortium__Release *release;
    Cohortium__Result *body;
    struct report *r; /* its items are those of a Result */

    CX_NEW(cx, release, 1);
    cohortium__release__init(release);
    CX_NEW(cx, body, 1);
    cohortium__result__init(body);
    CX_NEW(cx, r, 1);
    r->cx = cx;
    for (size_t i = 0; i < result->n_items; i++) {
        const struct item *item = &result->items[i];

        if ((item->words != NULL ? report_words(r, item->name, item->words, item->rows)
                                 : report_put(r, item->name, item->kind, item->rows,
                                              item->columns, item->values)) == NULL)
            return FAULT_MEMORY;
    }
    if (result->has_accounting) {
        const struct accounting *a = &result->accounting;

        TRY(put_counts(cx, r, a->name_used, a->n, a->used));
        TRY(put_counts(cx, r, a->name_missing, a->n, a->missing));
    }
    body->n_items = r->n_items;
    body->items = r->items;
    CX_NEW(cx, body->notes, result->n_notes + 1);
    if (result->trouble != NULL)
        body->notes[body->n_notes++] = (char *)result->trouble;
    for (size_t i = 0; i < result->n_notes; i++)
        body->notes[body->n_notes++] = (char *)result->notes[i];
    release->question = (Cohortium__Question *)asked->body;
    release->exact_for_testing = true;
    release->released = true;
    release->result = body;
    *ret = release;
    return FAULT_NONE;
}

enum fault naive_question(struct cx *cx, const struct codebook *cb, const char *analysis,
                          Cohortium__Question **ret)
{
    const struct analysis *a = analysis_find(analysis);
    Cohortium__Question *q;

    CX_NEW(cx, q, 1);
    cohortium__question__init(q);
    CX_NEW(cx, q->params, 1);
    cohortium__params__init(q->params);
    q->dataset = cb->body->name;
    q->codebook.len = sizeof cb->digest;
    q->codebook.data = (uint8_t *)cb->digest;
    q->analysis = cx_strdup(cx, analysis);
    q->analysis_version = a == NULL ? 1 : a->version;
    *ret = q;
    return FAULT_NONE;
}

struct report *naive_report(struct cx *cx, const struct naive *data,
                            const Cohortium__Question *question, size_t sites)
{
    struct complaints c = complaints_new(cx);
    const struct analysis *analysis;
    struct asked asked;
    struct plan plan;
    struct regions regions;
    struct result *result;
    Cohortium__Release *release;
    struct report *report = cx_alloc(cx, sizeof *report);
    unsigned rounds;

    assert_non_null(report);
    report->cx = cx;
    CHECK_OK_(question->analysis, cx,
              question_open(cx, data->cb, question, true, NAIVE_ROWS_LOG2, &c, &asked,
                            &plan, &regions, &analysis));
    if (analysis == NULL)
        fail_msg("%s: %s", question->analysis, c.n > 0 ? c.list[0]->text : "no complaint");
    CHECK_OK_("run", cx, naive_run(cx, analysis, &asked, data, sites, &result, &rounds));
    if (rounds > plan.rounds_max)
        fail_msg("%u rounds, the plan says %u", rounds, plan.rounds_max);
    CHECK_OK_("release", cx, naive_release(cx, &asked, result, &release));
    CHECK_OK_("show", cx, analysis->show(cx, &asked, release, report));
    return report;
}

const Cohortium__Item *naive_item(const struct report *report, const char *name)
{
    for (size_t i = 0; i < report->n_items; i++)
        if (strcmp(report->items[i]->name, name) == 0)
            return report->items[i];
    return NULL;
}

void naive_check(const char *row, const struct report *report, const char *name, size_t i,
                 const json_t *want, double tolerance)
{
    const Cohortium__Item *item = naive_item(report, name);
    int state;
    double got = released_value(item, i, &state);

    if (item == NULL)
        fail_msg("%s: no item `%s`", row, name);
    if (json_is_null(want)) {
        if (state != 2)
            fail_msg("%s: %s[%zu] is %.17g, R has none", row, name, i, got);
        return;
    }
    double value = json_number_value(want), error = fabs(got - value);
    if (!json_is_number(want) || state != 0 ||
        !(error <= tolerance * (fabs(value) + 1e-300)))
        fail_msg("%s: %s[%zu] is %.17g (state %d), R has %.17g: off by %.2g", row, name, i,
                 got, state, value, error / fabs(value));
}

/*
 * gate_release.c - from a pooled result to what may leave.
 *
 * States first (which values are withheld), then values (how they are rounded), then one
 * packed body. The unrounded numbers stay beside it, for gate_adopt.
 */
#include "node/vault/gate_private.h"

#include <math.h>
#include <string.h>

static const char BEFORE_EXCLUSIONS[] =
    "Where the number of missing values is withheld, n is given before exclusions.";

enum { DETAILS_BYTES = 4096 };

struct making {
    struct cx *cx;
    const struct policy *session;
    const struct asked *asked;
    const struct result *result;
    uint8_t **states; /* by item of the result */
    uint8_t *used_state, *missing_state;
    double *used, *missing; /* rows, unrounded; what is released as used */
    double *blur_n;         /* by entry of the accounting: patients, rounded */
    bool before_exclusions;
    struct withheld withheld;
};

/* ---- who was used, who fell out: R22 ---- */

/* n, or the threshold where rounding leaves nothing: a step over n stays finite. */
static double rounded_patients(const struct policy *session, uint64_t n)
{
    double r = (double)count_round(n, session->number[POLICY_ROUNDING_BASE]);

    return fmax(r, session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD]);
}

static bool has_weights(const struct making *m)
{
    const Cohortium__Params *p = m->asked->body->params;

    return p != NULL && p->model != NULL && p->model->weights[0] != '\0';
}

static void account_one(struct making *m, const struct accounting *a, size_t i)
{
    double k = m->session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD];
    bool few_used = (double)a->used_patients[i] < k,
         few_missing = (double)a->missing_patients[i] < k;

    /* Rows of weight zero are neither used nor missing: a third part of the same total. */
    if (has_weights(m) &&
        (double)a->all[i] - (double)a->used[i] - (double)a->missing[i] < k)
        few_missing = true;
    m->used[i] = (double)a->used[i];
    m->missing[i] = (double)a->missing[i];
    m->blur_n[i] = rounded_patients(m->session, a->used_patients[i]);
    if (m->session->testing)
        return;
    /* Of two parts of one total both are given, or neither part tells the other: a withheld
     * `missing` leaves the total in the place of `used`. */
    if (few_used || few_missing) {
        m->missing_state[i] = CELL_WITHHELD;
        m->withheld.r22++;
    }
    if (few_used) {
        m->used_state[i] = CELL_WITHHELD;
        m->withheld.r1++;
    } else if (few_missing) {
        m->used[i] = (double)a->all[i];
        m->blur_n[i] = rounded_patients(m->session, a->all_patients[i]);
        m->before_exclusions = true;
    }
}

/* The groups' numbers add up to one that may be known: R3 and R25 as in a table of the
 * group variable, a row for each described variable. */
static enum fault account_groups(struct making *m, const struct accounting *a)
{
    size_t columns = account_columns(m->result);
    int by = m->asked->cb != NULL && m->asked->body->params != NULL
                 ? codebook_find(m->asked->cb, m->asked->body->params->by)
                 : -1;
    struct item row = {
        .name = a->name_used, .kind = COHORTIUM__ITEM_KIND__COUNTS, .rows = 1};

    if (m->session->testing || columns < 2)
        return FAULT_NONE;
    row.columns = columns;
    row.sensitive_columns =
        by >= 0 && codebook_variable(m->asked->cb, by)->role == COHORTIUM__ROLE__SENSITIVE;
    CX_NEW(m->cx, row.support, columns);
    for (size_t at = 0; at + columns <= a->n; at += columns) {
        for (size_t g = 0; g < columns; g++)
            row.support[g] =
                m->used_state[at + g] == CELL_WITHHELD       ? a->used_patients[at + g]
                : m->used[at + g] == (double)a->used[at + g] ? a->used_patients[at + g]
                                                             : a->all_patients[at + g];
        row.values = m->used + at;
        TRY(table_judge(m->cx, m->session, &row, m->used_state + at, &m->withheld));
    }
    return FAULT_NONE;
}

static enum fault account(struct making *m)
{
    const struct accounting *a = &m->result->accounting;

    if (!m->result->has_accounting)
        return FAULT_NONE;
    CX_NEW(m->cx, m->used_state, a->n);
    CX_NEW(m->cx, m->missing_state, a->n);
    CX_NEW(m->cx, m->used, a->n);
    CX_NEW(m->cx, m->missing, a->n);
    CX_NEW(m->cx, m->blur_n, a->n);
    for (size_t i = 0; i < a->n; i++)
        account_one(m, a, i);
    return account_groups(m, a);
}

/* ---- states ---- */

static bool same_support(const struct item *a, const struct item *b)
{
    return a->kind == COHORTIUM__ITEM_KIND__COUNTS && b->kind == a->kind &&
           a->rows == b->rows && a->columns == b->columns &&
           memcmp(a->support, b->support, a->rows * a->columns * sizeof *a->support) == 0;
}

/* Patients and rows of the same cells tell each other: what one withholds, the other does.
 */
static void share_states(struct making *m)
{
    const struct result *r = m->result;

    for (size_t a = 0; a < r->n_items; a++)
        for (size_t b = 0; b < r->n_items; b++)
            if (a != b && same_support(&r->items[a], &r->items[b]))
                for (size_t i = 0; i < r->items[a].rows * r->items[a].columns; i++)
                    if (m->states[a][i] == CELL_WITHHELD)
                        m->states[b][i] = CELL_WITHHELD;
}

/* Where counts by level of a variable stand beside its mean ("counts:v", "variables"), a
 * withheld level of a 0/1 variable follows from the mean: R3 and R25 take the mean and
 * spread along. */
static void withhold_moments(struct making *m, size_t variable, size_t counts)
{
    const struct item *c = &m->result->items[counts];

    for (size_t g = 0; g < c->columns; g++) {
        bool any = false;

        for (size_t l = 0; l < c->rows; l++)
            any = any || m->states[counts][l * c->columns + g] == CELL_WITHHELD;
        for (size_t k = 0; any && k < m->result->n_items; k++) {
            const struct item *item = &m->result->items[k];
            size_t at = variable * c->columns + g;

            if ((item->kind == COHORTIUM__ITEM_KIND__MEANS ||
                 item->kind == COHORTIUM__ITEM_KIND__SPREADS ||
                 item->kind == COHORTIUM__ITEM_KIND__EXACT) &&
                item->columns == c->columns && at < item->rows * item->columns &&
                m->states[k][at] == CELL_GIVEN) {
                m->states[k][at] = CELL_WITHHELD;
                m->withheld.r25++;
            }
        }
    }
}

static void share_with_moments(struct making *m)
{
    static const char prefix[] = "counts:";
    const struct result *r = m->result;
    const struct item *names = NULL;

    for (size_t i = 0; i < r->n_items; i++)
        if (r->items[i].kind == COHORTIUM__ITEM_KIND__WORDS &&
            strcmp(r->items[i].name, "variables") == 0)
            names = &r->items[i];
    for (size_t i = 0; i < r->n_items && names != NULL; i++)
        for (size_t v = 0; v < names->rows; v++)
            if (r->items[i].kind == COHORTIUM__ITEM_KIND__COUNTS &&
                strncmp(r->items[i].name, prefix, sizeof prefix - 1) == 0 &&
                strcmp(r->items[i].name + sizeof prefix - 1, names->words[v]) == 0)
                withhold_moments(m, v, i);
}

static enum fault judge_states(struct making *m)
{
    const struct result *r = m->result;

    CX_NEW(m->cx, m->states, r->n_items);
    for (size_t i = 0; i < r->n_items; i++) {
        const struct item *item = &r->items[i];
        size_t n = item->rows * item->columns;

        CX_NEW(m->cx, m->states[i], n);
        if (item->kind == COHORTIUM__ITEM_KIND__WORDS)
            continue;
        TRY(table_judge(m->cx, m->session, item, m->states[i], &m->withheld));
    }
    share_states(m);
    share_with_moments(m);
    for (size_t i = 0; i < r->n_items; i++)
        for (size_t k = 0; r->items[i].kind != COHORTIUM__ITEM_KIND__WORDS &&
                           k < r->items[i].rows * r->items[i].columns;
             k++)
            if (m->states[i][k] == CELL_GIVEN && !isfinite(r->items[i].values[k]))
                m->states[i][k] = CELL_UNDEFINED;
    return FAULT_NONE;
}

/* ---- values ---- */

/* The n that a mean's or an estimate's step is divided by: that of its own cell, of the
 * model, or of those behind it. */
static double n_of(const struct making *m, const struct item *item, size_t i)
{
    const struct result *r = m->result;

    if (r->has_accounting && r->accounting.n == item->rows * item->columns)
        return m->blur_n[i];
    if (r->has_accounting && r->accounting.n == 1)
        return m->blur_n[0];
    if (item->support != NULL)
        return rounded_patients(m->session, item->support[i]);
    return rounded_patients(m->session, r->model_patients);
}

/*
 * What one patient adds to the deviance, on average: 1 to 2 where the dispersion is what
 * the family says. Beyond it whole numbers and SE/sqrt(n) are finer than one patient: a
 * Gaussian deviance is the residual sum of squares in the response's unit, and an error at
 * dispersion 1 of counts that vary more than Poisson's, or of weighted rows, is too small.
 */
static double share_of_one(const struct making *m, double deviance)
{
    double share = deviance / m->result->residual_df;

    return m->result->is_model && isfinite(share) && share > 1 ? share : 1;
}

static const struct item *item_named(const struct result *r, const char *name)
{
    for (size_t i = 0; i < r->n_items; i++)
        if (strcmp(r->items[i].name, name) == 0)
            return &r->items[i];
    return NULL;
}

/* A fit whose dispersion is 1 by its family: errors and likelihood are on that scale. */
static double share_at_fixed_dispersion(const struct making *m)
{
    const struct item *deviance = item_named(m->result, "deviance"),
                      *dispersion = item_named(m->result, "dispersion");

    return deviance != NULL && dispersion != NULL &&
                   dispersion->kind == COHORTIUM__ITEM_KIND__PLAIN
               ? share_of_one(m, deviance->values[0])
               : 1;
}

static double basis_for(const struct making *m, const struct item *item, size_t i)
{
    bool exact = m->session->testing;

    if (item->kind == COHORTIUM__ITEM_KIND__WHOLES && !exact)
        return strcmp(item->name, "deviance") == 0 ||
                       strcmp(item->name, "null_deviance") == 0
                   ? share_of_one(m, item->values[i])
                   : share_at_fixed_dispersion(m);
    if (item->steps == NULL || !isfinite(item->steps[i]) || !(item->steps[i] > 0))
        return 0;
    if (exact)
        return item->steps[i];
    if (item->kind == COHORTIUM__ITEM_KIND__ESTIMATES)
        return item->steps[i] * sqrt(share_at_fixed_dispersion(m)) / sqrt(n_of(m, item, i));
    return item->steps[i] / n_of(m, item, i);
}

/* False where no step can be told: the value is withheld then. */
static bool blur_for(const struct making *m, const struct item *item, size_t i,
                     struct blur *ret)
{
    *ret = (struct blur){.kind = item->kind,
                         .exact = m->session->testing,
                         .value = item->values[i],
                         .base = m->session->number[POLICY_ROUNDING_BASE]};
    ret->basis = basis_for(m, item, i);
    bool needs_basis = item->kind == COHORTIUM__ITEM_KIND__MEANS ||
                       item->kind == COHORTIUM__ITEM_KIND__ESTIMATES;

    if (item->kind == COHORTIUM__ITEM_KIND__COUNTS)
        return ret->value >= 0 && ret->value <= 0x1p53;
    /* Beyond the ladder of steps there is no number that a study measures. */
    return ret->exact || ((!needs_basis || (ret->basis > 1e-290 && ret->basis < 1e290)) &&
                          fabs(ret->value) < 1e290);
}

/* What goes into the release beside the numbers that gate_adopt needs. */
struct packing {
    struct making *m;
    Cohortium__Item **items;
    struct released_number **numbers;
    size_t n;
};

static enum fault item_new(struct packing *p, const char *name, Cohortium__ItemKind kind,
                           size_t rows, size_t columns, Cohortium__Item **ret)
{
    Cohortium__Item *item;
    size_t n = rows * columns;

    if (rows > UINT32_MAX || columns > UINT32_MAX)
        return cx_fail(p->m->cx, FAULT_BOUND, "gate: item `%s` is too large", name);
    CX_NEW(p->m->cx, item, 1);
    cohortium__item__init(item);
    item->name = (char *)name;
    item->kind = kind;
    item->rows = (uint32_t)rows;
    item->columns = (uint32_t)columns;
    if (kind != COHORTIUM__ITEM_KIND__WORDS) {
        CX_NEW(p->m->cx, item->values, n);
        CX_NEW(p->m->cx, item->state.data, n);
        CX_NEW(p->m->cx, p->numbers[p->n], n);
        item->n_values = item->state.len = n;
    }
    p->items[p->n++] = item;
    *ret = item;
    return FAULT_NONE;
}

static void item_set(struct packing *p, size_t i, uint8_t state, const struct blur *blur,
                     double *step)
{
    Cohortium__Item *item = p->items[p->n - 1];
    double own = 0;

    item->state.data[i] = state;
    if (state != CELL_GIVEN)
        return;
    p->numbers[p->n - 1][i] = (struct released_number){.blur = *blur, .given = true};
    item->values[i] = blur_value(blur, &own);
    /* NaN: none seen yet; 0: they differ. */
    *step = isnan(*step) || *step == own ? own : 0;
}

static enum fault put_item(struct packing *p, size_t i)
{
    const struct making *m = p->m;
    const struct item *from = &m->result->items[i];
    Cohortium__Item *item;
    double step = NAN;

    TRY(item_new(p, from->name, from->kind, from->rows, from->columns, &item));
    if (from->kind == COHORTIUM__ITEM_KIND__WORDS) {
        item->words = (char **)from->words;
        item->n_words = from->rows;
        return FAULT_NONE;
    }
    for (size_t k = 0; k < from->rows * from->columns; k++) {
        struct blur blur = {0};
        uint8_t state = m->states[i][k];

        if (state == CELL_GIVEN && !blur_for(m, from, k, &blur))
            state = CELL_WITHHELD;
        item_set(p, k, state, &blur, &step);
    }
    item->step = isnan(step) ? 0 : step;
    return FAULT_NONE;
}

static enum fault put_account(struct packing *p, const char *name, const double *values,
                              const uint8_t *states)
{
    const struct making *m = p->m;
    size_t n = m->result->accounting.n, columns = account_columns(m->result);
    Cohortium__Item *item;
    double step = NAN;

    TRY(item_new(p, name, COHORTIUM__ITEM_KIND__COUNTS, n / columns, columns, &item));
    for (size_t i = 0; i < n; i++)
        item_set(p, i, states[i],
                 &(struct blur){.kind = COHORTIUM__ITEM_KIND__COUNTS,
                                .exact = m->session->testing,
                                .value = values[i],
                                .base = m->session->number[POLICY_ROUNDING_BASE]},
                 &step);
    item->step = isnan(step) ? 0 : step;
    return FAULT_NONE;
}

/* With trouble there are no estimates to speak of: only what was asked and how many there
 * were. */
static bool is_released(const struct making *m, const struct item *item)
{
    if (m->session->testing)
        return true;
    if (item->kind == COHORTIUM__ITEM_KIND__EXACT ||
        item->kind == COHORTIUM__ITEM_KIND__ITEM_UNSET)
        return false;
    return m->result->trouble == NULL || item->kind == COHORTIUM__ITEM_KIND__WORDS ||
           item->kind == COHORTIUM__ITEM_KIND__COUNTS;
}

static enum fault put_notes(const struct making *m, Cohortium__Result *to)
{
    const struct result *r = m->result;
    const char **notes;
    size_t n = 0;

    CX_NEW(m->cx, notes, r->n_notes + 2);
    if (r->trouble != NULL)
        notes[n++] = r->trouble;
    for (size_t i = 0; i < r->n_notes; i++)
        notes[n++] = r->notes[i];
    if (m->before_exclusions)
        notes[n++] = BEFORE_EXCLUSIONS;
    to->notes = (char **)notes;
    to->n_notes = n;
    return FAULT_NONE;
}

static enum fault put_result(struct making *m, Cohortium__Result **ret,
                             struct released_number ***ret_numbers)
{
    struct packing p = {.m = m};
    const struct result *r = m->result;

    CX_NEW(m->cx, *ret, 1);
    cohortium__result__init(*ret);
    CX_NEW(m->cx, p.items, r->n_items + 2);
    CX_NEW(m->cx, p.numbers, r->n_items + 2);
    TRY(account(m));
    TRY(judge_states(m));
    if (r->has_accounting) {
        TRY(put_account(&p, r->accounting.name_used, m->used, m->used_state));
        TRY(put_account(&p, r->accounting.name_missing, m->missing, m->missing_state));
    }
    for (size_t i = 0; i < r->n_items; i++)
        if (is_released(m, &r->items[i]))
            TRY(put_item(&p, i));
    TRY(put_notes(m, *ret));
    (*ret)->items = p.items;
    (*ret)->n_items = p.n;
    *ret_numbers = p.numbers;
    return FAULT_NONE;
}

/* ---- the body ---- */

static const char *details_of(const struct making *m)
{
    struct buffer b = buffer_new(m->cx, DETAILS_BYTES);
    const struct {
        const char *rule;
        size_t n;
    } list[] = {{"R1 (minimum_frequency_threshold)", m->withheld.r1},
                {"R3 (class_disclosure_max_share)", m->withheld.r3},
                {"R22 (missing values)", m->withheld.r22},
                {"R25 (would follow by subtraction)", m->withheld.r25}};

    if (m->session->testing)
        buffer_text(&b, "exact for testing");
    else if (m->withheld.r1 + m->withheld.r3 + m->withheld.r22 + m->withheld.r25 == 0)
        buffer_text(&b, "released whole");
    else
        buffer_text(&b, "withheld values:");
    for (size_t i = 0; i < COUNT(list); i++)
        if (list[i].n > 0)
            buffer_printf(&b, " %zu by %s", list[i].n, list[i].rule);
    return buffer_string(&b);
}

/* What was asked, without what somebody typed: that differs between those who ask the same.
 */
static enum fault plain_question(struct cx *cx, const Cohortium__Question *question,
                                 Cohortium__Question **ret)
{
    CX_NEW(cx, *ret, 1);
    **ret = *question;
    if (question->params == NULL || question->params->model == NULL)
        return FAULT_NONE;
    CX_NEW(cx, (*ret)->params, 1);
    *(*ret)->params = *question->params;
    CX_NEW(cx, (*ret)->params->model, 1);
    *(*ret)->params->model = *question->params->model;
    (*ret)->params->model->formula = (char *)protobuf_c_empty_string;
    return FAULT_NONE;
}

static enum fault bytes_list(struct cx *cx, const struct bytes *from, size_t n,
                             ProtobufCBinaryData **ret)
{
    CX_NEW(cx, *ret, n);
    for (size_t i = 0; i < n; i++)
        (*ret)[i] = PB_DATA(from[i]);
    return FAULT_NONE;
}

static enum fault head_of(struct cx *cx, const struct policy *session,
                          const struct asked *asked, const uint8_t question_digest[32],
                          const struct bytes *participants, const struct bytes *versions,
                          size_t n, Cohortium__Release *m)
{
    const void *digest = cx_memdup(cx, question_digest, DIGEST_BYTES);
    struct policy undated = *session;

    if (digest == NULL)
        return FAULT_MEMORY;
    undated.not_before = undated.not_after = 0;
    cohortium__release__init(m);
    TRY(plain_question(cx, asked->body, &m->question));
    m->question_digest = PB_DATA(bytes_of(digest, DIGEST_BYTES));
    TRY(bytes_list(cx, participants, n, &m->participants));
    TRY(bytes_list(cx, versions, n, &m->versions));
    m->n_participants = m->n_versions = n;
    CX_NEW(cx, m->policy, 1);
    TRY(policy_to_pb(cx, &undated, m->policy));
    m->exact_for_testing = session->testing;
    return FAULT_NONE;
}

enum fault gate_release(struct cx *cx, const struct policy *session,
                        const struct asked *asked, const uint8_t question_digest[32],
                        const struct bytes *participants, const struct bytes *versions,
                        size_t n, const struct result *result, const uint8_t reference[8],
                        struct release **ret)
{
    struct making m = {.cx = cx, .session = session, .asked = asked, .result = result};
    struct release *r;
    enum { REFERENCE = 8 };

    CX_NEW(cx, r, 1);
    CX_NEW(cx, r->message, 1);
    TRY(head_of(cx, session, asked, question_digest, participants, versions, n,
                r->message));
    /* Judged once more: what the veto should have stopped does not leave by this door. */
    const char *why = result != NULL ? judge_model(session, result) : "";

    if (why == NULL) {
        TRY(put_result(&m, &r->message->result, &r->items));
        r->message->released = true;
        r->details = details_of(&m);
    } else {
        const void *copy = cx_memdup(cx, reference, REFERENCE);

        if (copy == NULL)
            return FAULT_MEMORY;
        r->message->reference = PB_DATA(bytes_of(copy, REFERENCE));
        r->details = why;
    }
    if (r->details == NULL)
        return cx_fail(cx, FAULT_MEMORY, "gate: no memory for the log's words");
    TRY(pb_pack(cx, &r->message->base, &r->body));
    *ret = r;
    return FAULT_NONE;
}

struct bytes release_body(const struct release *r)
{
    return r->body;
}

const char *release_details(const struct release *r)
{
    return r->details;
}

/*
 * gate_release.c - from a pooled result to what may leave.
 *
 * States first (which values are withheld), then values (how they are rounded), then one
 * packed body. The unrounded numbers stay beside it, for gate_adopt.
 */
#include "node/vault/gate_controlled.h"
#include "node/vault/gate_private.h"

#include <math.h>
#include <string.h>

static const char BEFORE_EXCLUSIONS[] =
    "Where the number of missing values is withheld, n is given before exclusions.";

enum { DETAILS_BYTES = 4096 };

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
        return states_patients(m->session, item->support[i]);
    return states_patients(m->session, r->model_patients);
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

/* What is noised needs no blur: its low digits tell of noise. */
static bool is_exact(const struct making *m)
{
    return m->session->testing || policy_is_noised(m->session);
}

static double basis_for(const struct making *m, const struct item *item, size_t i)
{
    bool exact = is_exact(m);

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

/* How a count is given; key NULL: it has none. */
static struct blur count_blur(const struct making *m, double value, const uint64_t *key)
{
    return (struct blur){
        .kind = COHORTIUM__ITEM_KIND__COUNTS,
        .exact = is_exact(m),
        .value = value,
        .base = m->session->number[POLICY_ROUNDING_BASE],
        .mode = (enum rounding_mode)m->session->number[POLICY_ROUNDING_MODE],
        .errors = m->errors,
        .has_key = key != NULL,
        .key = key != NULL ? *key : 0,
    };
}

/* False where no step can be told: the value is withheld then. */
static bool blur_for(const struct making *m, size_t at, size_t i, struct blur *ret)
{
    const struct item *item = &m->result->items[at];

    *ret = count_blur(m, item->values[i], item->keys != NULL ? &item->keys[i] : NULL);
    ret->kind = item->kind;
    ret->chosen = m->chosen[at] != NULL;
    ret->choice = ret->chosen ? m->chosen[at][i] : 0;
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

        if (state == CELL_GIVEN && !blur_for(m, i, k, &blur)) {
            state = m->states[i][k] = CELL_WITHHELD;
            p->m->withheld.blur++;
        }
        item_set(p, k, state, &blur, &step);
    }
    item->step = isnan(step) ? 0 : step;
    return FAULT_NONE;
}

static enum fault put_account(struct packing *p, const char *name, const double *values,
                              const uint64_t *keys, const uint8_t *states)
{
    const struct making *m = p->m;
    size_t n = m->result->accounting.n, columns = account_columns(m->result);
    Cohortium__Item *item;
    double step = NAN;

    TRY(item_new(p, name, COHORTIUM__ITEM_KIND__COUNTS, n / columns, columns, &item));
    for (size_t i = 0; i < n; i++) {
        struct blur blur = count_blur(m, values[i], keys != NULL ? &keys[i] : NULL);

        item_set(p, i, states[i], &blur, &step);
    }
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

    CX_NEW(m->cx, notes, r->n_notes + 4);
    if (r->trouble != NULL)
        notes[n++] = r->trouble;
    for (size_t i = 0; i < r->n_notes; i++)
        notes[n++] = r->notes[i];
    if (m->before_exclusions)
        notes[n++] = BEFORE_EXCLUSIONS;
    if (m->needed > 0 && !r->is_model) { /* of policy and question alone, whatever was withheld */
        notes[n] = cx_printf(m->cx,
                             "Means and spreads of a group are given where it has at least "
                             "%.0f patients.",
                             m->needed);
        if (notes[n++] == NULL)
            return FAULT_MEMORY;
    }
    if (m->multiple > 0) {
        notes[n] = cx_printf(m->cx, "An officer had counts rounded to multiples of %u.",
                             m->multiple);
        if (notes[n++] == NULL)
            return FAULT_MEMORY;
    }
    to->notes = (char **)notes;
    to->n_notes = n;
    return FAULT_NONE;
}

/* ---- modes of rounding ---- */

/* The totals that are printed with these cells: their item, or that of the same patients.
 * 0: none are. */
static size_t totals_of(const struct result *r, size_t i)
{
    for (size_t k = 0; k < r->n_items && r->items[i].totals_at == 0; k++)
        if (r->items[k].totals_at > 0 && same_support(&r->items[k], &r->items[i]))
            return r->items[k].totals_at;
    return r->items[i].totals_at;
}

/* What is not given, in the order of controlled_round; totals that are not printed. */
static enum fault free_cells(const struct making *m, size_t i, bool **ret)
{
    const struct item *item = &m->result->items[i];
    size_t rows = item->rows, wide = item->columns + 1, n = 0;
    size_t totals = totals_of(m->result, i);
    bool two = item->shape.n_dims == 2;

    CX_NEW(m->cx, *ret, (rows + 1) * wide);
    for (size_t r = 0; r <= rows; r++)
        for (size_t c = 0; c < wide; c++) {
            bool *is = &(*ret)[r * wide + c];

            if (r < rows && c + 1 < wide)
                *is = m->states[i][r * item->columns + c] == CELL_WITHHELD;
            else if (!two && r < rows) /* of one variable: the cell again */
                *is = m->states[i][r] == CELL_WITHHELD || item->columns > 1;
            else
                *is = totals == 0 || m->states[totals][two ? n++ : 0] == CELL_WITHHELD;
        }
    return FAULT_NONE;
}

/* A table of one or two variables, its totals with it. */
static enum fault choose_item(struct making *m, size_t i)
{
    const struct item *item = &m->result->items[i];
    size_t rows = item->rows, columns = item->columns, n = 0;
    bool two = item->shape.n_dims == 2, *free;
    double *all, *cells, *totals;

    TRY(free_cells(m, i, &free));
    TRY(controlled_round(m->cx, rows, columns, item->values, free,
                         (uint64_t)m->session->number[POLICY_ROUNDING_BASE], &all));
    CX_NEW(m->cx, cells, rows * columns);
    CX_NEW(m->cx, totals, (rows + 1) * (columns + 1));
    for (size_t r = 0; r <= rows; r++)
        for (size_t c = 0; c <= columns; c++) {
            double v = all[r * (columns + 1) + c];

            if (r < rows && c < columns)
                cells[r * columns + c] = v;
            else if (two || (r == rows && c == columns))
                totals[n++] = v;
        }
    m->chosen[i] = cells;
    if (item->totals_at > 0 && n == m->result->items[item->totals_at].rows)
        m->chosen[item->totals_at] = totals;
    return FAULT_NONE;
}

static bool is_whole(const struct item *item)
{
    for (size_t k = 0; k < item->rows * item->columns; k++)
        if (!(item->values[k] >= 0 && item->values[k] <= 0x1p53))
            return false;
    return true;
}

static enum fault prepare_mode(struct making *m)
{
    const double *number = m->session->number;
    struct cellkey *errors;

    if (is_exact(m) || number[POLICY_ROUNDING_MODE] != ROUND_CELL_KEY)
        return FAULT_NONE;
    TRY(cellkey_new(m->cx, (int)number[POLICY_PERTURBATION_D],
                    number[POLICY_PERTURBATION_V], (int)number[POLICY_PERTURBATION_JS],
                    &errors));
    m->errors = errors;
    return FAULT_NONE;
}

/* After the states: what is withheld has no part in it. */
static enum fault choose_tables(struct making *m)
{
    const double *number = m->session->number;
    const struct result *r = m->result;

    CX_NEW(m->cx, m->chosen, r->n_items);
    if (is_exact(m) || number[POLICY_ROUNDING_MODE] != ROUND_CONTROLLED ||
        number[POLICY_ROUNDING_BASE] < 2)
        return FAULT_NONE;
    for (size_t i = 0; i < r->n_items; i++)
        if (r->items[i].kind == COHORTIUM__ITEM_KIND__COUNTS &&
            r->items[i].rows * r->items[i].columns > 1 && r->items[i].shape.n_dims <= 2 &&
            is_whole(&r->items[i]) && !states_are_totals(r, i))
            TRY(choose_item(m, i));
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
    TRY(prepare_mode(m));
    TRY(states_account(m));
    TRY(policy_is_noised(m->session) ? states_noised(m) : states_judge(m));
    TRY(choose_tables(m));
    if (r->has_accounting) {
        TRY(put_account(&p, r->accounting.name_used, m->used, m->used_keys, m->used_state));
        TRY(put_account(&p, r->accounting.name_missing, m->missing,
                        r->accounting.missing_keys, m->missing_state));
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
                {"R6 (residual_dof_min)", m->withheld.r6},
                {"R22 (missing values)", m->withheld.r22},
                {"R25 (would follow by subtraction)", m->withheld.r25},
                {"0.1 (sums of a small group)", m->withheld.keyed},
                {"0.5 (no step to round it to)", m->withheld.blur},
                {"0.8 (another site withholds it)", m->withheld.others}};
    size_t n = 0;

    for (size_t i = 0; i < COUNT(list); i++)
        n += list[i].n;
    if (policy_is_noised(m->session))
        buffer_text(&b, "with noise; ");
    if (m->session->testing)
        buffer_text(&b, "exact for testing");
    else if (m->class_why != NULL)
        buffer_printf(&b, "withheld whole: %s", m->class_why);
    else if (n == 0)
        buffer_text(&b, "released whole");
    else
        buffer_text(&b, "withheld values:");
    for (size_t i = 0; i < COUNT(list); i++)
        if (list[i].n > 0)
            buffer_printf(&b, "%s %zu by %s", m->class_why != NULL ? ";" : "", list[i].n,
                          list[i].rule);
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

/* An answer whose every number is withheld is none: it must not be told from one that was
 * refused for a region, a class, the ledger or a fit (DISCLOSURE.md 1.3). */
static bool is_withheld_whole(const struct making *m, const Cohortium__Result *r)
{
    bool withheld = false;

    for (size_t i = 0; i < r->n_items; i++)
        for (size_t k = 0; k < r->items[i]->state.len; k++) {
            if (r->items[i]->state.data[k] == CELL_GIVEN)
                return false;
            withheld = withheld || r->items[i]->state.data[k] == CELL_WITHHELD;
        }
    return withheld && m->result->trouble == NULL && !m->session->testing;
}

/* Judged as a whole: why it is NOT_RELEASED, or NULL. */
static enum fault judge_whole(struct making *m, const struct pool *pool,
                              const char **ret_why)
{
    const struct result *result = m->result;

    *ret_why = result != NULL ? judge_model(m->session, result) : "";
    if (result != NULL && !policy_is_noised(m->session))
        TRY(judge_cohort(m->cx, m->session, m->asked, pool, result, &m->class_why));
    if (*ret_why == NULL && result->is_model)
        *ret_why = m->class_why;
    return FAULT_NONE;
}

/* *ret_why: as of judge_whole. */
static enum fault make_result(struct making *m, struct release *r, const char **ret_why)
{
    Cohortium__Result *made;
    const char *details;

    TRY(put_result(m, &made, &r->items));
    details = details_of(m);
    if (details == NULL)
        return cx_fail(m->cx, FAULT_MEMORY, "gate: no memory for the log's words");
    if (is_withheld_whole(m, made)) {
        *ret_why = details;
        return FAULT_NONE;
    }
    TRY(places_withheld(m, &r->withheld));
    r->message->result = made;
    r->message->released = true;
    r->details = details;
    r->whole = m->class_why == NULL && m->withheld.r1 + m->withheld.r3 + m->withheld.r6 +
                                               m->withheld.r25 + m->withheld.keyed ==
                                           0;
    return FAULT_NONE;
}

enum fault gate_release(struct cx *cx, const struct policy *session,
                        const struct asked *asked, const uint8_t question_digest[32],
                        const struct bytes *participants, const struct bytes *versions,
                        size_t n, const struct result *result, const struct pool *pool,
                        const uint8_t reference[8], struct release **ret)
{
    struct policy rounded = *session;
    struct making m = {.cx = cx, .session = &rounded, .asked = asked, .result = result};
    struct release *r;
    enum { REFERENCE = 8 };

    CX_NEW(cx, r, 1);
    CX_NEW(cx, r->message, 1);
    TRY(head_of(cx, session, asked, question_digest, participants, versions, n,
                r->message));
    /* Judged once more: what the veto should have stopped does not leave by this door. */
    const char *why;
    TRY(judge_whole(&m, pool, &why));
    if (pool != NULL && !session->testing)
        m.needed = rounds_patients_needed(pool->rounds);
    m.taken = pool != NULL ? pool->taken : NULL;
    if (pool != NULL && pool->multiple > rounded.number[POLICY_ROUNDING_BASE])
        rounded.number[POLICY_ROUNDING_BASE] = m.multiple = pool->multiple;
    if (why == NULL)
        TRY(make_result(&m, r, &why));
    if (why != NULL) {
        const void *copy = cx_memdup(cx, reference, REFERENCE);

        if (copy == NULL)
            return FAULT_MEMORY;
        r->message->reference = PB_DATA(bytes_of(copy, REFERENCE));
        r->details = why;
    }
    TRY(pb_pack(cx, &r->message->base, &r->body));
    *ret = r;
    return FAULT_NONE;
}

struct bytes release_body(const struct release *r)
{
    return r->body;
}

bool release_is_whole(const struct release *r)
{
    return r->whole;
}

const bool *release_places(const struct release *r)
{
    return r->withheld;
}

const char *release_details(const struct release *r)
{
    return r->details;
}

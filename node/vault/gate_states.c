/*
 * gate_states.c - which values of a result are given and which withheld.
 *
 * First who was used and who fell out (R22, and R3 and R25 over the groups), then each item
 * as a table (gate_table.c), then what would tell of a withheld value elsewhere in the
 * answer: rows of the same patients, moments beside counts, sums of a small group (0.1), a
 * cohort that tells a class (R3). By site, what another site withholds (0.8) comes between.
 */
#include "node/vault/gate_private.h"

#include <math.h>
#include <string.h>

const struct item *item_named(const struct result *r, const char *name)
{
    for (size_t i = 0; i < r->n_items; i++)
        if (strcmp(r->items[i].name, name) == 0)
            return &r->items[i];
    return NULL;
}

/* ---- who was used, who fell out: R22 ---- */

/* n, or the threshold where rounding leaves nothing: a step over n stays finite. */
double states_patients(const struct policy *session, uint64_t n)
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
    if (a->used_keys != NULL)
        m->used_keys[i] = a->used_keys[i];
    m->blur_n[i] = states_patients(m->session, a->used_patients[i]);
    if (m->session->testing)
        few_used = few_missing = false;
    m->withheld.r1 += few_used;
    m->withheld.r22 += few_used || few_missing;
    m->withheld.others += is_taken(m, i) && !few_used;
    m->withheld.others += is_taken(m, a->n + i) && !few_used && !few_missing;
    few_used = few_used || is_taken(m, i);
    few_missing = few_missing || is_taken(m, a->n + i);
    /* Of two parts of one total both are given, or neither part tells the other: a withheld
     * `missing` leaves the total in the place of `used`. */
    if (few_used || few_missing)
        m->missing_state[i] = CELL_WITHHELD;
    if (few_used) {
        m->used_state[i] = CELL_WITHHELD;
    } else if (few_missing) {
        m->used[i] = (double)a->all[i];
        if (a->all_keys != NULL)
            m->used_keys[i] = a->all_keys[i];
        m->blur_n[i] = states_patients(m->session, a->all_patients[i]);
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

enum fault states_account(struct making *m)
{
    const struct accounting *a = &m->result->accounting;

    if (!m->result->has_accounting)
        return FAULT_NONE;
    CX_NEW(m->cx, m->used_state, a->n);
    CX_NEW(m->cx, m->missing_state, a->n);
    CX_NEW(m->cx, m->used, a->n);
    CX_NEW(m->cx, m->missing, a->n);
    CX_NEW(m->cx, m->blur_n, a->n);
    if (a->used_keys != NULL)
        CX_NEW(m->cx, m->used_keys, a->n);
    for (size_t i = 0; i < a->n; i++)
        account_one(m, a, i);
    return account_groups(m, a);
}

/* ---- states ---- */

bool same_support(const struct item *a, const struct item *b)
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

static bool has_levels(const struct result *r, const char *variable)
{
    static const char prefix[] = "counts:";

    for (size_t i = 0; i < r->n_items; i++)
        if (strncmp(r->items[i].name, prefix, sizeof prefix - 1) == 0 &&
            strcmp(r->items[i].name + sizeof prefix - 1, variable) == 0)
            return true;
    return false;
}

static void withhold(struct making *m, size_t at)
{
    for (size_t i = 0; i < m->result->n_items; i++) {
        const struct item *item = &m->result->items[i];

        if (item->rows * item->columns == m->result->accounting.n &&
            (item->kind == COHORTIUM__ITEM_KIND__MEANS ||
             item->kind == COHORTIUM__ITEM_KIND__SPREADS) &&
            m->states[i][at] == CELL_GIVEN) {
            m->states[i][at] = CELL_WITHHELD;
            m->withheld.keyed++;
        }
    }
}

/* 0.1: sums of these groups stayed zero, so nothing follows from them. What follows from
 * counts (a variable with levels) stands. */
static void withhold_groups(struct making *m)
{
    const struct accounting *a = &m->result->accounting;
    const struct item *names = item_named(m->result, "variables");
    size_t columns = account_columns(m->result);

    for (size_t i = 0; m->needed > 0 && m->result->has_accounting && i < a->n; i++)
        if ((double)a->used_patients[i] < m->needed &&
            !(names != NULL && i / columns < names->rows &&
              has_levels(m->result, names->words[i / columns])))
            withhold(m, i);
}

/* R6 of a spread: it has one degree of freedom less than rows. */
static void withhold_spreads(struct making *m)
{
    const struct result *r = m->result;
    double least = m->session->number[POLICY_RESIDUAL_DOF_MIN];

    for (size_t i = 0; i < r->n_items && r->has_accounting && !r->is_model; i++)
        for (size_t k = 0; r->items[i].kind == COHORTIUM__ITEM_KIND__SPREADS &&
                           r->items[i].rows * r->items[i].columns == r->accounting.n &&
                           k < r->accounting.n;
             k++)
            if ((double)r->accounting.used[k] - 1 < least &&
                m->states[i][k] == CELL_GIVEN) {
                m->states[i][k] = CELL_WITHHELD;
                m->withheld.r6++;
            }
}

static void withhold_all(struct making *m)
{
    for (size_t i = 0; i < m->result->n_items; i++) {
        size_t n = m->result->items[i].rows * m->result->items[i].columns;

        if (m->result->items[i].kind != COHORTIUM__ITEM_KIND__WORDS && n > 0)
            memset(m->states[i], CELL_WITHHELD, n);
    }
    if (m->result->has_accounting) {
        memset(m->used_state, CELL_WITHHELD, m->result->accounting.n);
        memset(m->missing_state, CELL_WITHHELD, m->result->accounting.n);
    }
}

/* ---- tables, with their totals ---- */

struct part {            /* an item and its totals, as one table */
    size_t item, totals; /* totals 0: it has none */
    size_t place, totals_place;
};

static size_t values_of(const struct item *item)
{
    return item->kind == COHORTIUM__ITEM_KIND__WORDS ? 0 : item->rows * item->columns;
}

static size_t place_of(const struct making *m, size_t item)
{
    size_t place = m->result->has_accounting ? 2 * m->result->accounting.n : 0;

    for (size_t i = 0; i < item; i++)
        place += values_of(&m->result->items[i]);
    return place;
}

static enum fault judge_part(struct making *m, const struct part *p, uint8_t *states,
                             uint8_t *totals, struct withheld *withheld)
{
    const struct item *item = &m->result->items[p->item];

    return p->totals > 0
               ? table_judge_totals(m->cx, m->session, item, states, totals, withheld)
               : table_judge(m->cx, m->session, item, states, withheld);
}

/* What only others withhold; how many. */
static size_t mark_taken(struct making *m, size_t item, size_t place, uint8_t *fresh)
{
    size_t n = 0;

    for (size_t k = 0; k < values_of(&m->result->items[item]); k++)
        if (is_taken(m, place + k) && m->states[item][k] != CELL_WITHHELD) {
            fresh[k] = CELL_WITHHELD;
            n++;
        }
    return n;
}

static size_t add_marks(struct making *m, size_t item, const uint8_t *fresh)
{
    size_t n = 0;

    for (size_t k = 0; k < values_of(&m->result->items[item]); k++)
        if (fresh[k] == CELL_WITHHELD && m->states[item][k] != CELL_WITHHELD) {
            m->states[item][k] = CELL_WITHHELD;
            n++;
        }
    return n;
}

/* What other sites withhold is a secret here, too: R25 once more with them. */
static enum fault take_part(struct making *m, const struct part *p)
{
    struct withheld again = {0};
    uint8_t *fresh, *totals;
    size_t n;

    if (m->result->is_model)
        return FAULT_NONE;
    CX_NEW(m->cx, fresh, values_of(&m->result->items[p->item]));
    CX_NEW(m->cx, totals, p->totals > 0 ? values_of(&m->result->items[p->totals]) : 0);
    n = mark_taken(m, p->item, p->place, fresh);
    if (p->totals > 0)
        n += mark_taken(m, p->totals, p->totals_place, totals);
    if (n == 0)
        return FAULT_NONE;
    TRY(judge_part(m, p, fresh, totals, &again));
    size_t added = add_marks(m, p->item, fresh);

    if (p->totals > 0)
        added += add_marks(m, p->totals, totals);
    m->withheld.others += n;
    m->withheld.r25 += added - n;
    return FAULT_NONE;
}

bool states_are_totals(const struct result *r, size_t at)
{
    for (size_t i = 0; i < r->n_items; i++)
        if (r->items[i].totals_at == at && at > 0)
            return true;
    return false;
}

static enum fault judge_items(struct making *m)
{
    const struct result *r = m->result;

    for (size_t i = 0; i < r->n_items; i++)
        CX_NEW(m->cx, m->states[i], r->items[i].rows * r->items[i].columns);
    for (size_t i = 0; i < r->n_items; i++) {
        struct part p = {.item = i, .totals = r->items[i].totals_at};

        if (r->items[i].kind == COHORTIUM__ITEM_KIND__WORDS || states_are_totals(r, i))
            continue; /* totals are judged with their cells */
        p.place = place_of(m, p.item);
        p.totals_place = place_of(m, p.totals);
        TRY(judge_part(m, &p, m->states[i], m->states[p.totals], &m->withheld));
        TRY(take_part(m, &p));
    }
    return FAULT_NONE;
}

enum fault states_judge(struct making *m)
{
    const struct result *r = m->result;

    CX_NEW(m->cx, m->states, r->n_items);
    TRY(judge_items(m));
    share_states(m);
    share_with_moments(m);
    withhold_groups(m);
    if (!m->session->testing)
        withhold_spreads(m);
    if (m->class_why != NULL)
        withhold_all(m);
    for (size_t i = 0; i < r->n_items; i++)
        for (size_t k = 0; r->items[i].kind != COHORTIUM__ITEM_KIND__WORDS &&
                           k < r->items[i].rows * r->items[i].columns;
             k++)
            if (m->states[i][k] == CELL_GIVEN && !isfinite(r->items[i].values[k]))
                m->states[i][k] = CELL_UNDEFINED;
    return FAULT_NONE;
}

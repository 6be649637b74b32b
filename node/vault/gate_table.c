/*
 * gate_table.c - which cells and totals of an item are withheld.
 *
 *   R1   fewer than the threshold, zero alike
 *   R3   nearly all of a class of a sensitive variable: the class is withheld whole
 *   R25  what is withheld follows from what is given: more is withheld (gate_grid.c)
 *
 * Totals are judged whether they are printed or not: whoever has none asks for them in
 * another question.
 */
#include "node/vault/gate_private.h"

#include <math.h>
#include <string.h>

#include "node/vault/gate_grid.h"

struct judging {
    const struct policy *session;
    const struct item *item;
    struct shape printed; /* as the item says it */
    bool sensitive[SHAPE_DIMS_MAX];
    struct grid grid; /* without variables of one level; no variables: one cell */
    uint64_t *rows;   /* by cell of the grid: what the item counts */
};

static struct shape shape_of(const struct item *item)
{
    struct shape s = {.n_dims = 2, .size = {item->rows, item->columns}};

    return item->shape.n_dims > 0 ? item->shape : s;
}

static bool is_sensitive(const struct item *item, size_t dim)
{
    if (item->shape.n_dims > 0)
        return item->sensitive[dim];
    return dim == 0 ? item->sensitive_rows : item->sensitive_columns;
}

static bool any_sensitive(const struct item *item)
{
    struct shape s = shape_of(item);
    bool any = false;

    for (size_t d = 0; d < s.n_dims; d++)
        any = any || is_sensitive(item, d);
    return any;
}

/* Zeros of tables whose variables are not sensitive, where the policy says so. */
static bool shows_zeros(const struct policy *session, const struct item *item)
{
    if (session->number[POLICY_ZEROS_ARE_DISCLOSIVE] >= 1)
        return false;
    return session->testing || (item->kind == COHORTIUM__ITEM_KIND__COUNTS &&
                                item->rows * item->columns > 1 && !any_sensitive(item));
}

static void judge_threshold(const struct policy *session, const struct item *item,
                            uint8_t *states, struct withheld *withheld)
{
    double k = session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD];
    bool zeros = shows_zeros(session, item);

    for (size_t i = 0; i < item->rows * item->columns; i++)
        if ((double)item->support[i] < k && !(item->support[i] == 0 && zeros)) {
            withheld->r1 += states[i] != CELL_WITHHELD;
            states[i] = CELL_WITHHELD;
        }
}

/* ---- the item as a table with totals ---- */

/* The cell of the grid that stands at a place of the printed shape, totals included: a
 * variable of one level has no other total. */
static size_t cell_at(const struct judging *j, size_t at)
{
    size_t cell = 0, dim = 0;

    for (size_t d = 0; d < j->printed.n_dims; d++)
        if (j->printed.size[d] > 1)
            cell += shape_level(&j->printed, at, d) * j->grid.step[dim++];
    return cell;
}

static uint64_t whole(double v)
{
    return v >= 0 && v <= 0x1p53 ? (uint64_t)v : 0;
}

static enum fault open_grid(struct cx *cx, struct judging *j, const uint8_t *states)
{
    const struct item *item = j->item;
    const uint64_t *patients = item->patients != NULL ? item->patients : item->support;
    double k = j->session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD];
    struct shape shape = {0};

    for (size_t d = 0; d < j->printed.n_dims; d++)
        if (j->printed.size[d] > 1) {
            j->sensitive[shape.n_dims] = is_sensitive(item, d);
            shape.size[shape.n_dims++] = j->printed.size[d];
        }
    TRY(grid_new(cx, &shape, &j->grid));
    struct grid *g = &j->grid, rows = *g;

    g->k = (uint64_t)k;
    g->zeros_shown = shows_zeros(j->session, item);
    CX_NEW(cx, rows.value, g->n);
    for (size_t i = 0; i < g->n; i++) {
        if (grid_is_total(g, i))
            continue;
        size_t place = shape_place(&shape, i);

        g->value[i] = patients[place];
        rows.value[i] = item->values != NULL ? whole(item->values[place]) : g->value[i];
        g->withheld[i] = states[place] == CELL_WITHHELD;
        /* What describe withholds with the small levels is no secret of its own. */
        g->secret[i] = g->withheld[i] &&
                       !((double)item->support[place] < k && (double)patients[place] >= k);
    }
    grid_sum(g);
    grid_sum(&rows);
    j->rows = rows.value;
    return FAULT_NONE;
}

static void judge_totals(struct judging *j)
{
    struct grid *g = &j->grid;

    for (size_t i = 0; i < g->n; i++)
        if (grid_is_total(g, i) && g->value[i] < g->k &&
            !(g->value[i] == 0 && g->zeros_shown))
            g->withheld[i] = g->secret[i] = true;
}

/* ---- R3 ---- */

/* A class is one line: of everybody in it, the cells say how the sensitive variable is
 * distributed. */
static void judge_class(struct judging *j, size_t first, size_t dim,
                        struct withheld *withheld)
{
    struct grid *g = &j->grid;
    double share = j->session->number[POLICY_CLASS_DISCLOSURE_MAX_SHARE];
    double sum = 0, largest = 0, patients = 0;
    size_t top = first;

    for (size_t l = 0; l < g->shape.size[dim]; l++) {
        size_t i = first + l * g->step[dim];

        sum += (double)j->rows[i];
        patients += (double)g->value[i];
        largest = fmax(largest, (double)j->rows[i]);
        top = g->value[i] > g->value[top] ? i : top;
    }
    if (sum <= 0 || largest < share * sum)
        return;
    for (size_t l = 0; l < g->shape.size[dim]; l++) {
        size_t i = first + l * g->step[dim];

        withheld->r3 += !g->withheld[i] && !grid_is_total(g, i);
        g->withheld[i] = g->secret[i] = true;
    }
    uint64_t below = (uint64_t)ceil(share * patients);

    if (g->value[top] >= below && (g->below[top] == 0 || below < g->below[top]))
        g->below[top] = below;
}

static void judge_classes(struct judging *j, struct withheld *withheld)
{
    struct grid *g = &j->grid;

    for (size_t d = 0; d < g->shape.n_dims; d++)
        for (size_t i = 0; i < g->n && j->sensitive[d]; i++)
            if (grid_level(g, i, d) == 0)
                judge_class(j, i, d, withheld);
}

/* A sensitive variable of one level: of each cell it says what all of it have. */
static void judge_lone_level(struct judging *j, uint8_t *states, struct withheld *withheld)
{
    bool lone = false;

    for (size_t d = 0; d < j->printed.n_dims; d++)
        lone = lone || (j->printed.size[d] == 1 && is_sensitive(j->item, d));
    for (size_t i = 0; lone && i < j->item->rows * j->item->columns; i++)
        if (j->item->support[i] > 0 && states[i] == CELL_GIVEN) {
            states[i] = CELL_WITHHELD;
            withheld->r3++;
        }
}

/* ---- all of it ---- */

static void take_totals(struct judging *j, const uint8_t *totals)
{
    size_t n = 0;

    for (size_t at = 0; at < shape_all(&j->printed); at++)
        if (shape_is_total(&j->printed, at) && totals[n++] == CELL_WITHHELD) {
            size_t cell = cell_at(j, at);

            j->grid.withheld[cell] = j->grid.secret[cell] = true;
        }
}

static void put_states(const struct judging *j, uint8_t *states, uint8_t *totals)
{
    size_t n = 0;

    for (size_t at = 0; at < shape_all(&j->printed); at++) {
        bool total = shape_is_total(&j->printed, at);
        uint8_t *to = !total           ? &states[shape_place(&j->printed, at)]
                      : totals != NULL ? &totals[n++]
                                       : NULL;

        if (to != NULL && j->grid.withheld[cell_at(j, at)])
            *to = CELL_WITHHELD;
    }
}

static bool has_variables(const struct shape *s)
{
    return shape_cells(s) > 1;
}

enum fault table_judge_totals(struct cx *cx, const struct policy *session,
                              const struct item *item, uint8_t *states, uint8_t *totals,
                              struct withheld *withheld)
{
    struct judging j = {.session = session, .item = item, .printed = shape_of(item)};
    size_t taken, n = 0;

    judge_threshold(session, item, states, withheld);
    if (session->testing)
        return FAULT_NONE;
    judge_lone_level(&j, states, withheld);
    if (!has_variables(&j.printed)) { /* one cell: its totals are itself */
        for (size_t at = 0; totals != NULL && at < shape_all(&j.printed); at++)
            if (shape_is_total(&j.printed, at)) {
                if (states[0] == CELL_WITHHELD || totals[n] == CELL_WITHHELD)
                    states[0] = totals[n] = CELL_WITHHELD;
                n++;
            }
        return FAULT_NONE;
    }
    TRY(open_grid(cx, &j, states));
    judge_totals(&j);
    judge_classes(&j, withheld);
    if (totals != NULL)
        take_totals(&j, totals);
    TRY(grid_protect(cx, &j.grid, &taken));
    withheld->r25 += taken;
    put_states(&j, states, totals);
    return FAULT_NONE;
}

enum fault table_judge(struct cx *cx, const struct policy *session, const struct item *item,
                       uint8_t *states, struct withheld *withheld)
{
    bool counts = item->kind == COHORTIUM__ITEM_KIND__COUNTS;

    if (counts && item->support == NULL)
        return cx_fail(cx, FAULT_INTERNAL,
                       "gate: nobody is named behind the counts of item `%s`", item->name);
    if (item->support == NULL)
        return FAULT_NONE;
    if (counts)
        return table_judge_totals(cx, session, item, states, NULL, withheld);
    judge_threshold(session, item, states, withheld);
    return FAULT_NONE;
}

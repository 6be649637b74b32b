/*
 * gate_table.c - which cells of an item are withheld.
 *
 *   R1   fewer than the threshold, zero alike
 *   R3   nearly all of a class of a sensitive variable: the class is withheld whole
 *   R25  a withheld cell follows by subtraction from a total that may be known:
 *        each line with a withheld cell has at least two, with at least the
 *        threshold of patients in them together; the same are taken at every vault
 */
#include "node/vault/gate_private.h"

#include <math.h>

struct line { /* a row or a column */
    size_t first, stride, n;
};

static struct line row_of(const struct item *item, size_t r)
{
    return (struct line){r * item->columns, 1, item->columns};
}

static struct line column_of(const struct item *item, size_t c)
{
    return (struct line){c, item->columns, item->rows};
}

static bool may_show_zero(const struct policy *session, const struct item *item, size_t i)
{
    bool is_table =
        item->kind == COHORTIUM__ITEM_KIND__COUNTS && item->rows * item->columns > 1;

    if (item->support[i] != 0 || session->number[POLICY_ZEROS_ARE_DISCLOSIVE] >= 1)
        return false;
    return session->testing ||
           (is_table && !item->sensitive_rows && !item->sensitive_columns);
}

static void judge_threshold(const struct policy *session, const struct item *item,
                            uint8_t *states, struct withheld *withheld)
{
    double k = session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD];

    for (size_t i = 0; i < item->rows * item->columns; i++)
        if ((double)item->support[i] < k && !may_show_zero(session, item, i)) {
            states[i] = CELL_WITHHELD;
            withheld->r1++;
        }
}

/* A class is one line: of everybody in it, the cells say how the sensitive variable is
 * distributed. */
static void judge_class(const struct policy *session, const struct item *item,
                        struct line l, uint8_t *states, struct withheld *withheld)
{
    double sum = 0, largest = 0;

    for (size_t i = 0; i < l.n; i++) {
        double v = item->values[l.first + i * l.stride];

        sum += v;
        largest = fmax(largest, v);
    }
    if (sum <= 0 || largest < session->number[POLICY_CLASS_DISCLOSURE_MAX_SHARE] * sum)
        return;
    for (size_t i = 0; i < l.n; i++) {
        uint8_t *state = &states[l.first + i * l.stride];

        withheld->r3 += *state == CELL_GIVEN;
        *state = CELL_WITHHELD;
    }
}

static void judge_classes(const struct policy *session, const struct item *item,
                          uint8_t *states, struct withheld *withheld)
{
    if (item->sensitive_rows)
        for (size_t c = 0; c < item->columns; c++)
            judge_class(session, item, column_of(item, c), states, withheld);
    if (item->sensitive_columns)
        for (size_t r = 0; r < item->rows; r++)
            judge_class(session, item, row_of(item, r), states, withheld);
}

static bool any_withheld(struct line l, const uint8_t *states)
{
    for (size_t j = 0; j < l.n; j++)
        if (states[l.first + j * l.stride] == CELL_WITHHELD)
            return true;
    return false;
}

/* Is cell a to be taken rather than b? One whose other line has a withheld cell already
 * needs no partner there; then the smaller, then the first. */
static bool is_better(const struct item *item, bool in_row, const uint8_t *states, size_t a,
                      size_t b)
{
    struct line la =
        in_row ? column_of(item, a % item->columns) : row_of(item, a / item->columns);
    struct line lb =
        in_row ? column_of(item, b % item->columns) : row_of(item, b / item->columns);
    bool free_a = any_withheld(la, states), free_b = any_withheld(lb, states);

    return free_a != free_b ? free_a : item->support[a] < item->support[b];
}

/* Withholds one more cell of this line if a withheld one would follow. */
static bool complete_line(double k, const struct item *item, struct line l, bool in_row,
                          uint8_t *states)
{
    size_t n = 0, best = SIZE_MAX;
    double hidden = 0;

    for (size_t j = 0; j < l.n; j++) {
        size_t i = l.first + j * l.stride;

        if (states[i] == CELL_WITHHELD) {
            n++;
            hidden += (double)item->support[i];
        } else if (item->support[i] > 0 &&
                   (best == SIZE_MAX || is_better(item, in_row, states, i, best))) {
            best = i;
        }
    }
    if (n == 0 || (n >= 2 && hidden >= k) || best == SIZE_MAX)
        return false;
    states[best] = CELL_WITHHELD;
    return true;
}

static void judge_complement(double k, const struct item *item, uint8_t *states,
                             struct withheld *withheld)
{
    bool again = true;

    while (again) { /* each turn withholds at least one cell more: it ends */
        again = false;
        for (size_t r = 0; r < item->rows && item->columns > 1; r++)
            while (complete_line(k, item, row_of(item, r), true, states)) {
                again = true;
                withheld->r25++;
            }
        for (size_t c = 0; c < item->columns && item->rows > 1; c++)
            while (complete_line(k, item, column_of(item, c), false, states)) {
                again = true;
                withheld->r25++;
            }
    }
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
    judge_threshold(session, item, states, withheld);
    if (!counts)
        return FAULT_NONE;
    judge_classes(session, item, states, withheld);
    judge_complement(session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD], item, states,
                     withheld);
    return FAULT_NONE;
}

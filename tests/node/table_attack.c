/* table_attack.c - see table_attack.h. */
#include "tests/node/table_attack.h"

#include <string.h>

enum { NODES_MAX = 300000, ORDERS = 4 };

/* ---- which cells are in which total ---- */

/* level of a total's variable, or size: over all of it */
static void levels_of_sum(const struct published *p, size_t sum, size_t *level)
{
    size_t n = 0;

    memset(level, 0, ATTACK_DIMS * sizeof *level);
    for (;;) { /* an odometer over levels and "all", the last variable fastest */
        bool is_sum = false;

        for (size_t d = 0; d < p->n_dims; d++)
            is_sum = is_sum || level[d] == p->size[d];
        if (is_sum && n++ == sum)
            return;
        for (size_t d = p->n_dims; d-- > 0;) {
            if (++level[d] <= p->size[d])
                break;
            level[d] = 0;
        }
    }
}

bool published_is_under(const struct published *p, size_t cell, size_t sum)
{
    size_t level[ATTACK_DIMS];

    levels_of_sum(p, sum, level);
    for (size_t d = p->n_dims; d-- > 0; cell /= p->size[d])
        if (level[d] != p->size[d] && level[d] != cell % p->size[d])
            return false;
    return true;
}

void published_sum(struct published *p)
{
    size_t all = 1;

    p->n = 1;
    for (size_t d = 0; d < p->n_dims; d++) {
        p->n *= p->size[d];
        all *= p->size[d] + 1;
    }
    p->n_sums = all - p->n;
    for (size_t s = 0; s < p->n_sums; s++) {
        p->sum[s] = 0;
        for (size_t i = 0; i < p->n; i++)
            if (published_is_under(p, i, s))
                p->sum[s] += p->cell[i];
    }
}

/* ---- the search ---- */

struct puzzle {
    const struct published *p;
    bool under[ATTACK_CELLS][ATTACK_CELLS]; /* by sum, cell */
    bool known[ATTACK_CELLS];               /* sums, with the one that is asked about */
    int64_t sum[ATTACK_CELLS];
    size_t nodes;
    int order; /* of the numbers that are tried */
    int64_t found[ATTACK_CELLS];
};

struct domain {
    int64_t low[ATTACK_CELLS], high[ATTACK_CELLS];
};

/* Bounds of each cell from each known sum, until nothing changes. False: no such table. */
static bool propagate(const struct puzzle *z, struct domain *d)
{
    for (bool again = true; again;) {
        again = false;
        for (size_t s = 0; s < z->p->n_sums; s++) {
            int64_t low = 0, high = 0;

            if (!z->known[s])
                continue;
            for (size_t i = 0; i < z->p->n; i++)
                if (z->under[s][i]) {
                    low += d->low[i];
                    high += d->high[i];
                }
            if (low > z->sum[s] || high < z->sum[s])
                return false;
            for (size_t i = 0; i < z->p->n; i++) {
                int64_t most = z->sum[s] - low + d->low[i];
                int64_t least = z->sum[s] - high + d->high[i];

                if (!z->under[s][i])
                    continue;
                if (d->high[i] > most) {
                    d->high[i] = most;
                    again = true;
                }
                if (d->low[i] < least) {
                    d->low[i] = least;
                    again = true;
                }
                if (d->low[i] > d->high[i])
                    return false;
            }
        }
    }
    return true;
}

/* The step-th number to try of a cell: from the truth outward, upward, downward, from the
 * middle outward. */
static int64_t number_at(const struct puzzle *z, const struct domain *d, size_t cell,
                         int64_t step)
{
    int64_t low = d->low[cell], high = d->high[cell], from = (int64_t)z->p->cell[cell];

    if (z->order == 1 || (z->order == 0 && from < low))
        return low + step;
    if (z->order == 2 || (z->order == 0 && from > high))
        return high - step;
    if (z->order == 3)
        from = low + (high - low) / 2;
    return from + (step % 2 ? (step + 1) / 2 : -step / 2);
}

/* 1 found, 0 there is none, -1 given up. */
static int search(struct puzzle *z, const struct domain *from)
{
    struct domain d = *from;
    size_t best = SIZE_MAX;

    if (++z->nodes > NODES_MAX)
        return -1;
    if (!propagate(z, &d))
        return 0;
    for (size_t i = 0; i < z->p->n; i++)
        if (d.low[i] < d.high[i] &&
            (best == SIZE_MAX || d.high[i] - d.low[i] < d.high[best] - d.low[best]))
            best = i;
    if (best == SIZE_MAX) {
        memcpy(z->found, d.low, sizeof z->found);
        return 1;
    }
    int64_t span = d.high[best] - d.low[best];

    for (int64_t step = 0; step <= 2 * (span + 1); step++) {
        int64_t v = number_at(z, &d, best, step);
        struct domain next = d;

        if (v < d.low[best] || v > d.high[best])
            continue;
        next.low[best] = next.high[best] = v;
        int got = search(z, &next);

        if (got != 0)
            return got;
    }
    return 0;
}

static int search_each_way(struct puzzle *z, const struct domain *from)
{
    int got = -1;

    for (z->order = 0; z->order < ORDERS && got < 0; z->order++) {
        z->nodes = 0;
        got = search(z, from);
    }
    return got;
}

static int64_t least_of(const struct published *p, size_t cell)
{
    return p->zeros_shown && p->cell[cell] > 0 ? 1 : 0;
}

static void open_domain(const struct published *p, size_t helper, struct domain *d)
{
    int64_t most = (int64_t)p->k;

    for (size_t s = 0; s < p->n_sums; s++)
        if (p->sum_given[s] && (int64_t)p->sum[s] > most)
            most = (int64_t)p->sum[s];
    for (size_t i = 0; i < p->n; i++) {
        bool fixed = p->cell_given[i] || i == helper;

        d->low[i] = fixed ? (int64_t)p->cell[i] : least_of(p, i);
        d->high[i] = fixed ? (int64_t)p->cell[i] : most;
    }
}

/* What solutions have shown already: by cell or total (after the cells) and number. */
struct seen {
    bool at[2 * ATTACK_CELLS][ATTACK_K_MAX];
};

static void learn(const struct puzzle *z, const int64_t *x, struct seen *seen)
{
    const struct published *p = z->p;

    for (size_t i = 0; i < p->n; i++)
        if (x[i] < ATTACK_K_MAX)
            seen->at[i][x[i]] = true;
    for (size_t s = 0; s < p->n_sums; s++) {
        int64_t sum = 0;

        for (size_t i = 0; i < p->n; i++)
            sum += z->under[s][i] ? x[i] : 0;
        if (sum < ATTACK_K_MAX)
            seen->at[p->n + s][sum] = true;
    }
}

static int ask(struct puzzle *z, const struct domain *open, bool is_sum, size_t at,
               uint64_t v)
{
    struct domain d = *open;
    int got;

    if (!is_sum) {
        d.low[at] = d.high[at] = (int64_t)v;
        return search_each_way(z, &d);
    }
    z->known[at] = true;
    z->sum[at] = (int64_t)v;
    got = search_each_way(z, &d);
    z->known[at] = false;
    return got;
}

/* The least that the total is known to hold. */
static uint64_t sum_least(const struct puzzle *z, const struct domain *d, size_t sum)
{
    int64_t least = 0;

    for (size_t i = 0; i < z->p->n; i++)
        least += z->under[sum][i] ? d->low[i] : 0;
    return least < 0 ? 0 : (uint64_t)least;
}

static bool try_all(struct puzzle *z, const struct domain *open, struct seen *seen,
                    bool is_sum, size_t at, struct breach *b)
{
    const struct published *p = z->p;
    uint64_t v = is_sum ? sum_least(z, open, at) : p->zeros_shown ? 1 : 0;

    if (v == 0 && p->zeros_shown)
        v = 1;
    for (; v < p->k; v++) {
        bool *done = &seen->at[(is_sum ? p->n : 0) + at][v];
        int got = *done ? 1 : ask(z, open, is_sum, at, v);

        if (got == 1 && !*done)
            learn(z, z->found, seen);
        b->unknown += got < 0;
        if (got == 0) {
            b->found = true;
            b->is_sum = is_sum;
            b->at = at;
            b->not_possible = v;
            return true;
        }
    }
    return false;
}

static bool with_help(struct puzzle *z, size_t helper, struct breach *b)
{
    const struct published *p = z->p;
    struct seen seen = {0};
    struct domain open;
    int64_t truth[ATTACK_CELLS] = {0};

    for (size_t i = 0; i < p->n; i++)
        truth[i] = (int64_t)p->cell[i];
    learn(z, truth, &seen);
    open_domain(p, helper, &open);
    b->helper = helper;
    for (size_t i = 0; i < p->n; i++)
        if (!p->cell_given[i] && p->cell[i] < p->k && i != helper &&
            try_all(z, &open, &seen, false, i, b))
            return true;
    for (size_t s = 0; s < p->n_sums; s++) {
        bool own = helper != SIZE_MAX && p->sum[s] == 1 && z->under[s][helper];

        if (!p->sum_given[s] && p->sum[s] < p->k && !own &&
            try_all(z, &open, &seen, true, s, b))
            return true;
    }
    return false;
}

static void puzzle_open(const struct published *p, struct puzzle *z)
{
    *z = (struct puzzle){.p = p};
    for (size_t s = 0; s < p->n_sums; s++) {
        z->known[s] = p->sum_given[s];
        z->sum[s] = (int64_t)p->sum[s];
        for (size_t i = 0; i < p->n; i++)
            z->under[s][i] = published_is_under(p, i, s);
    }
}

int attack_may_hold(const struct published *p, size_t cell, uint64_t number)
{
    struct puzzle z;
    struct domain open;

    puzzle_open(p, &z);
    open_domain(p, SIZE_MAX, &open);
    return ask(&z, &open, false, cell, number);
}

struct breach attack(const struct published *p)
{
    struct breach b = {.helper = SIZE_MAX};
    struct puzzle z;

    puzzle_open(p, &z);
    if (with_help(&z, SIZE_MAX, &b))
        return b;
    for (size_t i = 0; i < p->n; i++)
        if (!p->cell_given[i] && p->cell[i] == 1 && with_help(&z, i, &b))
            return b;
    b.helper = SIZE_MAX;
    return b;
}

/*
 * random_table.h - tables that are hard to protect, from a seed; and what the gate gives of
 * them.
 */
#pragma once

#include "tests/node/gate_case.h"
#include "tests/node/table_attack.h"

enum table_kind {
    TABLE_PLAIN,
    TABLE_SPARSE,      /* mostly nobody, or a few */
    TABLE_SINGLE_ROW,  /* all but one level are nearly empty */
    TABLE_ALL_SMALL,   /* no cell reaches k */
    TABLE_ONE_HUGE,    /* one cell holds nearly everybody */
    TABLE_STRUCTURAL,  /* levels that exclude each other */
    TABLE_ZEROS_SHOWN, /* a policy that gives zeros */
    TABLE_ONES,        /* many patients who are alone in their cell */
    TABLE_KINDS
};

static inline uint64_t table_random(uint64_t *seed, uint64_t below)
{
    *seed ^= *seed << 13; /* xorshift64 */
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (*seed >> 16) % below;
}

static inline uint64_t table_draw(uint64_t *seed, enum table_kind kind, uint64_t k)
{
    uint64_t coin = table_random(seed, 10);

    switch (kind) {
    case TABLE_SPARSE:
        return coin < 6 ? 0 : table_random(seed, 2 * k);
    case TABLE_ALL_SMALL:
        return table_random(seed, k);
    case TABLE_ONES:
        return coin < 4 ? 1 : k + table_random(seed, 2 * k);
    case TABLE_ZEROS_SHOWN:
        return coin < 3 ? 0 : table_random(seed, 4 * k);
    default:
        return coin < 3 ? table_random(seed, k) : k + table_random(seed, 5 * k);
    }
}

static inline void table_make(uint64_t *seed, enum table_kind kind, size_t n_dims,
                              size_t levels_max, struct published *p)
{
    static const uint64_t ks[] = {3, 5, 10};
    bool filled = false;

    *p = (struct published){.n_dims = n_dims, .n = 1};
    p->k = ks[table_random(seed, COUNT(ks))];
    p->zeros_shown = kind == TABLE_ZEROS_SHOWN;
    for (size_t d = 0; d < n_dims; d++) {
        p->size[d] = 2 + table_random(seed, levels_max - 1);
        p->n *= p->size[d];
    }
    for (size_t i = 0; i < p->n; i++) {
        size_t first = i / (p->n / p->size[0]), last = i % p->size[n_dims - 1];

        p->cell[i] = table_draw(seed, kind, p->k);
        if (kind == TABLE_SINGLE_ROW && first > 0)
            p->cell[i] = table_random(seed, 3);
        if (kind == TABLE_STRUCTURAL && first > last)
            p->cell[i] = 0;
        filled = filled || p->cell[i] > 0;
    }
    if (kind == TABLE_ONE_HUGE || !filled)
        p->cell[table_random(seed, p->n)] = 100 * p->k;
    published_sum(p);
    if (p->sum[p->n_sums - 1] < p->k) { /* a cohort that small is never answered */
        p->cell[0] += p->k;
        published_sum(p);
    }
}

/* What the gate gives of the cells and of the totals. sensitive: the first variable is. */
static inline void table_publish_of(struct published *p, bool sensitive)
{
    struct gate_case g;
    double values[2 * ATTACK_CELLS];
    struct item *item;

    gate_case_new(&g, false);
    g.policy.number[POLICY_MINIMUM_FREQUENCY_THRESHOLD] = (double)p->k;
    g.policy.number[POLICY_ZEROS_ARE_DISCLOSIVE] = !p->zeros_shown;
    for (size_t i = 0; i < p->n; i++)
        values[i] = (double)p->cell[i];
    item = result_put(g.result, "counts", COHORTIUM__ITEM_KIND__COUNTS, p->size[0],
                      p->n / p->size[0], values, p->cell);
    assert_non_null(item);
    item->shape.n_dims = p->n_dims;
    memcpy(item->shape.size, p->size, sizeof item->shape.size);
    item->totals_at = 1;
    item->sensitive[0] = sensitive;
    for (size_t s = 0; s < p->n_sums; s++)
        values[s] = (double)p->sum[s];
    assert_non_null(result_put(g.result, "totals", COHORTIUM__ITEM_KIND__COUNTS, p->n_sums,
                               1, values, p->sum));
    gate_case_release(&g, false);
    for (size_t i = 0; i < p->n; i++)
        p->cell_given[i] = gate_case_state(&g, "counts", i) == 0;
    for (size_t s = 0; s < p->n_sums; s++)
        p->sum_given[s] = gate_case_state(&g, "totals", s) == 0;
    gate_case_free(&g);
}

static inline void table_publish(struct published *p)
{
    table_publish_of(p, false);
}

/*
 * measure_block.c - blocks: the checks before any row is read, layout, scales, and reading
 * a pooled tally.
 *
 * A column may be read only where it is known to be valid. For each node `needs` is the set
 * of columns that it reads unguarded and `proves` the set that is valid where it is true:
 * AND and SELECT let one side prove what the other needs. A block is sound when `where`
 * needs nothing and proves all that its numbers need.
 */
#include <math.h>
#include <string.h>

#include "analyses/measure.h"

/* Smallest bound that a scale is made for: keeps shifts small, costs nothing. */
static const double BOUND_LEAST = 0x1p-300;

/* A scale leaves a term at most 2^(126 - this) quanta: the engine's fast kernels sum such terms
 * exactly, and a double has 53 bits. A consortium of fewer rows gains no finer scale but where
 * a sum's own bound asks for one. */
enum { FAST_ROWS_LOG2 = 39 };

size_t block_numbers(const struct block *b)
{
    return b->n_sums + b->n_weights * (b->n_design * (b->n_design + 1) / 2) +
           b->n_rhs * b->n_design;
}

size_t measure_block(struct measure *m, const struct block *block)
{
    struct block *b;

    if (m->fault != FAULT_NONE)
        return 0;
    if (m->n_blocks == MEASURE_BLOCKS_MAX) {
        m->fault = cx_fail(m->cx, FAULT_INVALID, "the question needs more than %d blocks",
                           MEASURE_BLOCKS_MAX);
        return 0;
    }
    if (m->n_blocks == m->blocks_size) {
        size_t size = m->blocks_size == 0 ? 8 : m->blocks_size * 2;
        struct block *grown = cx_array(m->cx, size, sizeof *grown);
        if (grown == NULL)
            goto no_memory;
        if (m->n_blocks > 0)
            memcpy(grown, m->blocks, m->n_blocks * sizeof *grown);
        m->blocks = grown;
        m->blocks_size = size;
    }
    b = &m->blocks[m->n_blocks];
    *b = *block;
#define COPY(field, count)                                                                 \
    if ((count) > 0 &&                                                                     \
        (b->field = cx_memdup(m->cx, block->field, (count) * sizeof *b->field)) == NULL)   \
        goto no_memory;
    COPY(keys, b->n_keys)
    COPY(sums, b->n_sums)
    COPY(design, b->n_design)
    COPY(weights, b->n_weights)
    COPY(rhs, b->n_rhs)
    COPY(guards, b->n_guards)
    if (block->totals != NULL)
        COPY(totals, block_numbers(b))
#undef COPY
    return m->n_blocks++;
no_memory:
    m->fault = FAULT_MEMORY;
    return 0;
}

struct reads { /* bit sets over the columns that the measure reads, one row a node */
    size_t words;
    int *position; /* by variable: its bit, or -1 */
    uint64_t *needs, *proves;
};

static uint64_t *row(uint64_t *sets, const struct reads *r, ref i)
{
    return sets + (size_t)i * r->words;
}

static enum fault reads_new(const struct measure *m, struct reads *r)
{
    size_t n_variables = m->cb->body->n_variables, bits = 0;

    CX_NEW(m->cx, r->position, n_variables);
    for (size_t i = 0; i < n_variables; i++)
        r->position[i] = -1;
    for (size_t i = 1; i < m->n_nodes; i++)
        if (m->nodes[i].op == M_COLUMN && r->position[m->nodes[i].variable] < 0)
            r->position[m->nodes[i].variable] = (int)bits++;
    r->words = bits / 64 + 1;
    size_t size = m->n_nodes * r->words;
    CX_NEW(m->cx, r->needs, size);
    CX_NEW(m->cx, r->proves, size);
    return FAULT_NONE;
}

static void reads_fill(const struct measure *m, struct reads *r, ref i)
{
    const struct measure_node *n = &m->nodes[i];
    uint64_t *needs = row(r->needs, r, i), *proves = row(r->proves, r, i);
    int bit = n->op == M_COLUMN || n->op == M_VALID ? r->position[n->variable] : -1;

    if (bit >= 0)
        (n->op == M_COLUMN ? needs : proves)[bit / 64] |= (uint64_t)1 << (bit % 64);
    for (size_t w = 0; w < r->words; w++) {
        uint64_t need_a = row(r->needs, r, n->a)[w], need_b = row(r->needs, r, n->b)[w];
        uint64_t prove_a = row(r->proves, r, n->a)[w], prove_b = row(r->proves, r, n->b)[w];

        if (n->op == M_AND) {
            proves[w] = prove_a | prove_b;
            needs[w] = (need_a | need_b) & ~proves[w];
        } else if (n->op == M_SELECT) {
            needs[w] = need_a | (need_b & ~prove_a) | row(r->needs, r, n->c)[w];
        } else if (n->op == M_OR) {
            proves[w] = prove_a & prove_b;
            needs[w] = need_a | need_b;
        } else if (n->a != 0) {
            needs[w] = need_a | need_b;
        }
    }
}

static enum fault check_ref(const struct measure *m, const struct reads *r, ref where,
                            ref i)
{
    if (i == 0 || i >= m->n_nodes)
        return cx_fail(m->cx, FAULT_INTERNAL, "a block refers to no expression");
    for (size_t w = 0; w < r->words; w++)
        if ((row(r->needs, r, i)[w] & ~row(r->proves, r, where)[w]) != 0)
            return cx_fail(
                m->cx, FAULT_INTERNAL,
                "a block reads a column that may be missing in the rows it keeps");
    return FAULT_NONE;
}

static enum fault check_refs(const struct measure *m, const struct reads *r,
                             const struct block *b)
{
    if (b->where == 0 || b->where >= m->n_nodes || !m->nodes[b->where].boolean)
        return cx_fail(m->cx, FAULT_INTERNAL, "a block's `where` is not a claim");
    for (size_t w = 0; w < r->words; w++)
        if (row(r->needs, r, b->where)[w] != 0)
            return cx_fail(m->cx, FAULT_INTERNAL,
                           "a block's `where` may read a missing value");
    for (size_t i = 0; i < b->n_keys; i++)
        TRY(check_ref(m, r, b->where, b->keys[i].expr));
    for (size_t i = 0; i < b->n_sums; i++)
        TRY(check_ref(m, r, b->where, b->sums[i]));
    for (size_t i = 0; i < b->n_design; i++)
        TRY(check_ref(m, r, b->where, b->design[i]));
    for (size_t i = 0; i < b->n_weights; i++)
        if (b->weights[i] != 0)
            TRY(check_ref(m, r, b->where, b->weights[i]));
    for (size_t i = 0; i < b->n_rhs; i++)
        TRY(check_ref(m, r, b->where, b->rhs[i]));
    for (size_t i = 0; i < b->n_guards; i++)
        TRY(check_ref(m, r, b->where, b->guards[i].expr));
    return FAULT_NONE;
}

static double size_of(const struct measure *m, ref i)
{
    const struct measure_node *n = &m->nodes[i];

    return i == 0 ? 1 : fmax(fabs(n->lower), fabs(n->upper));
}

static enum fault lay_keys(const struct measure *m, struct block *b)
{
    b->n_cells = 1;
    for (size_t i = 0; i < b->n_keys; i++) {
        const struct measure_node *n = &m->nodes[b->keys[i].expr];

        if (!n->whole || n->lower < 0 || n->upper > (double)b->keys[i].size - 1)
            return cx_fail(m->cx, FAULT_INVALID,
                           "a grouping variable may fall outside its %u groups",
                           b->keys[i].size);
        if (b->keys[i].size > MEASURE_CELLS_MAX / b->n_cells)
            return cx_fail(m->cx, FAULT_INVALID,
                           "the groups make more than %d cells: use fewer or coarser ones",
                           MEASURE_CELLS_MAX);
        b->n_cells *= b->keys[i].size;
    }
    return FAULT_NONE;
}

static int scale_of(const struct block *b, size_t at, double bound, unsigned rows_log2)
{
    int scale = tally_scale(bound, rows_log2 > FAST_ROWS_LOG2 ? rows_log2 : FAST_ROWS_LOG2);
    int fine;
    double total = b->totals == NULL ? 0 : b->totals[at];

    if (!(total > 0) || !isfinite(total))
        return scale;
    fine = tally_scale(fmax(total, BOUND_LEAST), 0); /* |total| <= 2^(126 - fine) */
    bool enough = ldexp(b->total_rows, b->quanta_log2) <= ldexp(1, 126 - fine + scale);
    return enough || fine < scale ? scale : fine;
}

static enum fault put_bound(const struct measure *m, struct block *b, size_t *at,
                            double bound, unsigned rows_log2)
{
    bound = fmax(nextafter(bound, INFINITY), BOUND_LEAST);
    if (!isfinite(bound) || bound > 0x1p1000)
        return cx_fail(m->cx, FAULT_INVALID,
                       "a sum of this question can become too large for values that the "
                       "codebook allows: narrow the bounds or the cohort");
    b->bounds[*at] = bound;
    b->scales[*at] = scale_of(b, *at, bound, rows_log2);
    (*at)++;
    return FAULT_NONE;
}

static enum fault lay_numbers(const struct measure *m, struct block *b, unsigned rows_log2)
{
    size_t at = 0;

    b->n_numbers = block_numbers(b);
    if (b->n_numbers > TALLY_WORDS_MAX / b->n_cells)
        return cx_fail(
            m->cx, FAULT_INVALID,
            "the question asks for more than %d numbers: use fewer groups or terms",
            TALLY_WORDS_MAX);
    CX_NEW(m->cx, b->scales, b->n_numbers);
    CX_NEW(m->cx, b->bounds, b->n_numbers);
    for (size_t i = 0; i < b->n_sums; i++)
        TRY(put_bound(m, b, &at, size_of(m, b->sums[i]), rows_log2));
    for (size_t w = 0; w < b->n_weights; w++)
        for (size_t i = 0; i < b->n_design; i++)
            for (size_t j = i; j < b->n_design; j++)
                TRY(put_bound(m, b, &at,
                              size_of(m, b->weights[w]) * size_of(m, b->design[i]) *
                                  size_of(m, b->design[j]) * (1 + 0x1p-50),
                              rows_log2));
    for (size_t r = 0; r < b->n_rhs; r++)
        for (size_t i = 0; i < b->n_design; i++)
            TRY(put_bound(m, b, &at,
                          size_of(m, b->rhs[r]) * size_of(m, b->design[i]) * (1 + 0x1p-50),
                          rows_log2));
    return FAULT_NONE;
}

enum fault measure_close(struct measure *m, unsigned rows_log2)
{
    struct reads reads = {0};

    TRY(m->fault);
    TRY(reads_new(m, &reads));
    for (ref i = 1; i < m->n_nodes; i++)
        reads_fill(m, &reads, i);
    m->n_counts = m->n_sums = 0;
    for (size_t i = 0; i < m->n_blocks; i++) {
        struct block *b = &m->blocks[i];

        TRY(check_refs(m, &reads, b));
        TRY(lay_keys(m, b));
        TRY(lay_numbers(m, b, rows_log2));
        b->first_count = m->n_counts;
        b->first_sum = m->n_sums;
        m->n_counts += 2 * b->n_cells;
        m->n_sums += b->n_numbers * b->n_cells;
        if (m->n_counts + m->n_sums > TALLY_WORDS_MAX)
            return cx_fail(
                m->cx, FAULT_INVALID,
                "the question asks for more than %d numbers: use fewer groups or "
                "terms",
                TALLY_WORDS_MAX);
    }
    return FAULT_NONE;
}

enum fault measure_key_cells(struct measure *m)
{
    size_t cells = m->n_counts / 2;

    if (m->n_counts + m->n_sums + cells > TALLY_WORDS_MAX)
        return cx_fail(m->cx, FAULT_INVALID,
                       "the question asks for more than %d numbers: use fewer groups or "
                       "terms",
                       TALLY_WORDS_MAX);
    m->keyed = true;
    m->first_key = m->n_counts;
    m->n_counts += cells;
    return FAULT_NONE;
}

uint64_t pooled_key(const struct measure *m, const struct tally *t, size_t block, size_t cell)
{
    return m->keyed ? t->counts[m->first_key + m->blocks[block].first_count / 2 + cell] : 0;
}

uint64_t pooled_patients(const struct measure *m, const struct tally *t, size_t block,
                         size_t cell)
{
    return t->counts[m->blocks[block].first_count + 2 * cell];
}

uint64_t pooled_rows(const struct measure *m, const struct tally *t, size_t block,
                     size_t cell)
{
    return t->counts[m->blocks[block].first_count + 2 * cell + 1];
}

struct dd pooled_number(const struct measure *m, const struct tally *t, size_t block,
                        size_t cell, size_t number)
{
    const struct block *b = &m->blocks[block];

    return tally_value(t->sums[b->first_sum + cell * b->n_numbers + number],
                       b->scales[number]);
}

double pooled_error(const struct measure *m, size_t block, double rows, size_t number)
{
    return ldexp(rows, -m->blocks[block].scales[number]);
}

size_t block_gram(const struct block *b, size_t w, size_t i, size_t j)
{
    size_t n = b->n_design, triangle = n * (n + 1) / 2;

    return b->n_sums + w * triangle + i * n - i * (i + 1) / 2 + j;
}

size_t block_rhs(const struct block *b, size_t r, size_t i)
{
    size_t triangle = b->n_design * (b->n_design + 1) / 2;

    return b->n_sums + b->n_weights * triangle + r * b->n_design + i;
}

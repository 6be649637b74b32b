/* engine.c - scanning a dataset once for a measure, or for regions. */
#include "node/vault/engine.h"

#include <stdlib.h>
#include <math.h>
#include <string.h>

#include "node/vault/engine_block.h"

enum { BLOCKS_A_LOOK = 64, REGION_MEMORY = 256 * 1024 * 1024 };

static const struct kernel *kernel_in_use(void)
{
    return kernel_find(getenv("COHORTIUM_KERNEL"));
}

const char *engine_kernel(void)
{
    return kernel_in_use()->name;
}

/* ---- a measure ---- */

static void put(ref *outputs, size_t *n, const ref *refs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (refs[i] != 0)
            outputs[(*n)++] = refs[i];
}

static enum fault outputs_of(struct cx *cx, const struct measure *m, ref **ret,
                             size_t *ret_n)
{
    size_t size = 0, n = 0;

    for (size_t i = 0; i < m->n_blocks; i++) {
        const struct block *b = &m->blocks[i];

        size +=
            1 + b->n_keys + b->n_sums + b->n_design + b->n_weights + b->n_rhs + b->n_guards;
    }
    CX_NEW(cx, *ret, size);
    for (size_t i = 0; i < m->n_blocks; i++) {
        const struct block *b = &m->blocks[i];

        put(*ret, &n, &b->where, 1);
        for (size_t k = 0; k < b->n_keys; k++)
            put(*ret, &n, &b->keys[k].expr, 1);
        put(*ret, &n, b->sums, b->n_sums);
        put(*ret, &n, b->design, b->n_design);
        put(*ret, &n, b->weights, b->n_weights);
        put(*ret, &n, b->rhs, b->n_rhs);
        for (size_t g = 0; g < b->n_guards; g++)
            put(*ret, &n, &b->guards[g].expr, 1);
    }
    *ret_n = n;
    return FAULT_NONE;
}

static enum fault works_of(struct cx *cx, const struct dataset *data,
                           const struct measure *m, const struct plan *plan,
                           struct tally *tally, struct work ***ret)
{
    size_t vectors = 0;

    for (size_t i = 0; i < m->n_blocks; i++) {
        size_t n = work_scratch(&m->blocks[i]);

        vectors = n > vectors ? n : vectors;
    }
    double *scratch = plan_vectors(cx, vectors);

    if (scratch == NULL)
        return FAULT_MEMORY;
    CX_NEW(cx, *ret, m->n_blocks);
    for (size_t i = 0; i < m->n_blocks; i++)
        TRY(work_new(cx, plan, data, m, &m->blocks[i], scratch, tally, &(*ret)[i]));
    return FAULT_NONE;
}

static size_t rows_at(const struct dataset *data, uint64_t first)
{
    uint64_t left = data->rows - first;

    return left < KERNEL_ROWS ? (size_t)left : KERNEL_ROWS;
}

static enum fault scan(struct cx *cx, const struct dataset *data, const struct measure *m,
                       const struct plan *plan, struct work **works)
{
    unsigned look = 0;

    for (uint64_t first = 0; first < data->rows; first += KERNEL_ROWS) {
        size_t rows = rows_at(data, first);

        if (look++ % BLOCKS_A_LOOK == 0)
            TRY(cx_on_time(cx));
        plan->kernel->eval(plan->steps, plan->n_steps, first, rows);
        for (size_t i = 0; i < m->n_blocks; i++)
            TRY(work_add(cx, works[i], first, rows));
    }
    return FAULT_NONE;
}

enum fault engine_run(struct cx *cx, const struct dataset *data,
                      const struct measure *measure, struct site_sums *ret)
{
    struct site_sums sums = {0};
    struct plan plan;
    struct work **works;
    ref *outputs;
    size_t n_outputs, guards = 0;

    if (memcmp(measure->cb->digest, data->cb->digest, sizeof data->cb->digest) != 0)
        return cx_fail(cx, FAULT_INTERNAL,
                       "a measure of another codebook than the dataset's");
    TRY(outputs_of(cx, measure, &outputs, &n_outputs));
    TRY(plan_make(cx, kernel_in_use(), data, measure, outputs, n_outputs, &plan));
    TRY(tally_new(cx, measure->n_counts, measure->n_sums, &sums.tally));
    TRY(works_of(cx, data, measure, &plan, sums.tally, &works));
    TRY(scan(cx, data, measure, &plan, works));
    for (size_t i = 0; i < measure->n_blocks; i++)
        sums.n_guards += measure->blocks[i].n_guards * measure->blocks[i].n_cells;
    CX_NEW(cx, sums.guards, sums.n_guards);
    for (size_t i = 0; i < measure->n_blocks; i++) {
        work_finish(works[i], i, sums.guards + guards);
        guards += measure->blocks[i].n_guards * measure->blocks[i].n_cells;
    }
    *ret = sums;
    return FAULT_NONE;
}

/* ---- regions ---- */

struct region { /* of one scan */
    const double *truth;
    uint64_t size, *bitmap;
    uint32_t last;
};

static void region_rows(struct region *r, const struct dataset *data, uint64_t first,
                        const uint64_t *words)
{
    const uint32_t *ordinal = data->patients.ordinal + first;

    for (size_t word = 0; word < KERNEL_WORDS; word++)
        for (uint64_t left = words[word]; left != 0; left &= left - 1) {
            uint32_t who = ordinal[word * 64 + (size_t)__builtin_ctzll(left)];

            r->size += who != r->last;
            r->last = who;
            if (r->bitmap != NULL)
                r->bitmap[who / 64] |= (uint64_t)1 << (who % 64);
        }
}

/* One row a patient: rows are ordinals. */
static void region_words(struct region *r, uint64_t first, size_t rows,
                         const uint64_t *words)
{
    for (size_t word = 0; word * 64 < rows; word++) {
        r->size += (uint64_t)__builtin_popcountll(words[word]);
        if (r->bitmap != NULL)
            r->bitmap[first / 64 + word] |= words[word];
    }
}

static enum fault region_scan(struct cx *cx, const struct dataset *data,
                              const struct plan *plan, struct region *regions, size_t n)
{
    uint64_t mask[KERNEL_ROWS] __attribute__((aligned(64))), words[KERNEL_WORDS];
    const uint64_t *left_out = data->left_out_rows;
    bool one_row_each = data->patients.count == data->rows;
    unsigned look = 0;

    for (uint64_t first = 0; first < data->rows; first += KERNEL_ROWS) {
        size_t rows = rows_at(data, first);

        if (look++ % BLOCKS_A_LOOK == 0)
            TRY(cx_on_time(cx));
        plan->kernel->eval(plan->steps, plan->n_steps, first, rows);
        for (struct region *r = regions; r < regions + n; r++) {
            if (plan->kernel->mask(r->truth, rows, mask, words) == 0)
                continue;
            for (size_t word = 0; left_out != NULL && word < KERNEL_WORDS; word++)
                words[word] &= ~left_out[first / 64 + word];
            if (one_row_each)
                region_words(r, first, rows, words);
            else
                region_rows(r, data, first, words);
        }
    }
    return FAULT_NONE;
}

/* The measure that says for each region whether a row is in it. */
static enum fault region_plan(struct cx *cx, const struct dataset *data,
                              struct ast *const *list, size_t n, struct region *regions,
                              struct plan *ret)
{
    struct measure *m;
    ref *outputs;

    TRY(measure_new(cx, data->cb, &m));
    CX_NEW(cx, outputs, n);
    for (size_t i = 0; i < n; i++)
        outputs[i] = m_is_true(m, list[i]);
    TRY(m->fault);
    TRY(plan_make(cx, kernel_in_use(), data, m, outputs, n, ret));
    for (size_t i = 0; i < n; i++)
        regions[i].truth = ret->slots[outputs[i]];
    return FAULT_NONE;
}

/* Too many operations for one measure: in halves. */
static enum fault regions_some(struct cx *cx, const struct dataset *data,
                               struct ast *const *list, size_t n, struct region *regions)
{
    AUTO_CX struct cx *own = cx_new(REGION_MEMORY, cx_deadline(cx));
    struct plan plan;

    if (own == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for this piece of work");
    enum fault fault = region_plan(own, data, list, n, regions, &plan);

    if (fault == FAULT_INVALID && n > 1) {
        cx_free(&own);
        TRY(regions_some(cx, data, list, n / 2, regions));
        return regions_some(cx, data, list + n / 2, n - n / 2, regions + n / 2);
    }
    if (fault == FAULT_NONE)
        fault = region_scan(own, data, &plan, regions, n);
    if (fault != FAULT_NONE)
        return cx_fail(cx, fault, "%s", cx_message(own));
    return FAULT_NONE;
}

enum fault engine_regions(struct cx *cx, const struct dataset *data,
                          const struct regions *regions, uint64_t *ret_sizes,
                          uint64_t *ret_population, uint64_t **bitmaps)
{
    struct region *found;
    size_t words = (size_t)((data->patients.count + 63) / 64);

    CX_NEW(cx, found, regions->n);
    for (size_t i = 0; i < regions->n; i++) {
        found[i].last = UINT32_MAX;
        found[i].bitmap = bitmaps == NULL ? NULL : bitmaps[i];
        if (found[i].bitmap != NULL)
            memset(found[i].bitmap, 0, words * sizeof *found[i].bitmap);
    }
    if (regions->n > 0)
        TRY(regions_some(cx, data, regions->list, regions->n, found));
    for (size_t i = 0; i < regions->n; i++)
        ret_sizes[i] = found[i].size;
    *ret_population = data->patients.count - data->n_left_out;
    return FAULT_NONE;
}

/* ---- a variable by patient ---- */

enum fault engine_fractions(struct cx *cx, const struct dataset *data, int variable,
                            uint16_t *ret)
{
    const struct column *c = &data->columns[variable];
    double lower, upper, sum = 0;
    uint64_t n = 0;

    variable_range(codebook_variable(data->cb, variable), &lower, &upper);
    for (uint64_t i = 0; i < data->patients.count; i++)
        ret[i] = 0;
    if (c->values == NULL || !(upper > lower))
        return FAULT_NONE;
    for (uint64_t row = 0; row < data->rows; row++) {
        uint32_t who = data->patients.ordinal[row];
        bool last = row + 1 == data->rows || data->patients.ordinal[row + 1] != who;

        if (row % KERNEL_ROWS == 0)
            TRY(cx_on_time(cx));
        if (column_is_valid(c, row)) {
            sum += (column_value(c, row) - lower) / (upper - lower);
            n++;
        }
        if (!last)
            continue;
        double share = n > 0 ? sum / (double)n : 0;

        ret[who] = (uint16_t)(fmin(fmax(share, 0), 1) * 65535 + 0.5);
        sum = 0;
        n = 0;
    }
    return FAULT_NONE;
}

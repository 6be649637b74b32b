/* engine_block.c - what becomes of the rows of one block of a measure. */
#include "node/vault/engine_block.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { PAD_VECTORS = TILE_MAX, FEW_CELLS = 1024, HISTOGRAMS = 4 };

struct work {
    const struct block *b;
    const struct measure *m;
    const struct plan *plan;
    const struct dataset *data;
    struct tally *tally;
    const struct sum_kernel *sums;
    bool one_row_each; /* every patient has one row */
    uint64_t mask[KERNEL_ROWS] __attribute__((aligned(64)));
    uint64_t words[KERNEL_WORDS];
    size_t kept;
    uint32_t cells[KERNEL_ROWS];
    /* kept values of this row block: scratch that blocks share */
    double *ones, *values, *design, *rhs, **weighted;
    struct number *numbers;
    size_t n_tiles, n_terms;
    struct tile *tiles;        /* one cell */
    struct keyed *terms;       /* many cells */
    union cell_sum *cell_sums; /* (cells + 1) x terms: the last cell takes rows not kept */
    unsigned blocks;           /* row blocks since the last drain */
    uint64_t *rows, *patients; /* cells + 1 */
    uint32_t *last_patient;    /* cells + 1 */
    double *totals, *largest;  /* guards x cells */
    uint32_t *last_guarded;    /* cells */
    const uint64_t *patient_keys; /* NULL: the measure asks for none */
    uint64_t *keys;               /* cells */
    uint32_t *last_keyed;         /* cells */
};

size_t work_scratch(const struct block *b)
{
    return 1 + b->n_sums + b->n_design * (1 + b->n_weights) + b->n_rhs + b->n_keys +
           b->n_guards + 1 + PAD_VECTORS;
}

static double *vector(double *first, size_t i)
{
    return first + i * KERNEL_STRIDE;
}

/* ---- layout ---- */

static enum fault lay_numbers(struct cx *cx, struct work *w)
{
    bool two_words = w->plan->kernel->sums->two_words;

    CX_NEW(cx, w->numbers, w->b->n_numbers);
    for (size_t i = 0; i < w->b->n_numbers; i++)
        two_words &= number_make(w->b->bounds[i], w->b->scales[i], &w->numbers[i]);
    w->sums = two_words ? w->plan->kernel->sums : &sum_kernel_exact;
    return FAULT_NONE;
}

static struct tile *tile_new(struct work *w, const double *x, const double *y, int rows,
                             int columns)
{
    struct tile *t = &w->tiles[w->n_tiles++];

    t->x = x;
    t->y = y;
    t->rows = rows;
    t->columns = columns;
    return t;
}

/* A row x against n neighbouring vectors from y, whose numbers follow each other. */
static void lay_wide(struct work *w, const double *x, double *y, size_t n, size_t number)
{
    size_t wide = (size_t)w->sums->wide_columns;

    for (size_t j = 0; j < n; j += wide) {
        struct tile *t = tile_new(w, x, vector(y, j), 1, (int)wide);

        for (size_t k = 0; k < wide && j + k < n; k++)
            t->numbers[k] = &w->numbers[number + j + k];
    }
}

static void lay_gram(struct work *w, size_t weight)
{
    size_t p = w->b->n_design, rows = (size_t)w->sums->tile_rows;
    size_t columns = (size_t)w->sums->tile_columns;

    for (size_t i = 0; i < p; i += rows)
        for (size_t j = i; j < p; j += columns) {
            struct tile *t = tile_new(w, vector(w->weighted[weight], i),
                                      vector(w->design, j), (int)rows, (int)columns);

            for (size_t r = 0; r < rows; r++)
                for (size_t c = 0; c < columns; c++)
                    if (i + r < p && j + c < p && i + r <= j + c)
                        t->numbers[r * columns + c] =
                            &w->numbers[block_gram(w->b, weight, i + r, j + c)];
        }
}

static enum fault lay_tiles(struct cx *cx, struct work *w)
{
    const struct block *b = w->b;
    size_t lanes = 2 * TILE_MAX * LANES_MAX;

    CX_NEW(cx, w->tiles, b->n_numbers + b->n_weights * b->n_design + 1);
    lay_wide(w, w->ones, w->values, b->n_sums, 0);
    for (size_t i = 0; i < b->n_weights; i++)
        lay_gram(w, i);
    for (size_t r = 0; r < b->n_rhs && b->n_design > 0; r++)
        lay_wide(w, vector(w->rhs, r), w->design, b->n_design, block_rhs(b, r, 0));
    if (w->n_tiles > (SIZE_MAX - 64) / (lanes * sizeof(double)))
        return cx_fail(cx, FAULT_MEMORY, "out of memory for this piece of work");
    uint8_t *p = cx_alloc(cx, w->n_tiles * lanes * sizeof(double) + 64);

    if (p == NULL)
        return FAULT_MEMORY;
    double *first = (double *)(((uintptr_t)p + 63) / 64 * 64);

    for (size_t i = 0; i < w->n_tiles; i++)
        w->tiles[i].lanes = first + i * lanes;
    w->sums->begin(w->tiles, w->n_tiles);
    return FAULT_NONE;
}

static void term_new(struct work *w, const double *x, const double *y, size_t number)
{
    w->terms[number] = (struct keyed){x, y, &w->numbers[number]};
}

static enum fault lay_keyed(struct cx *cx, struct work *w)
{
    const struct block *b = w->b;
    size_t cells;

    w->n_terms = b->n_numbers;
    CX_NEW(cx, w->terms, w->n_terms);
    for (size_t i = 0; i < b->n_sums; i++)
        term_new(w, vector(w->values, i), w->ones, i);
    for (size_t v = 0; v < b->n_weights; v++)
        for (size_t i = 0; i < b->n_design; i++)
            for (size_t j = i; j < b->n_design; j++)
                term_new(w, vector(w->weighted[v], i), vector(w->design, j),
                         block_gram(b, v, i, j));
    for (size_t r = 0; r < b->n_rhs; r++)
        for (size_t i = 0; i < b->n_design; i++)
            term_new(w, vector(w->rhs, r), vector(w->design, i), block_rhs(b, r, i));
    if (__builtin_mul_overflow(b->n_cells + 1, w->n_terms, &cells))
        return cx_fail(cx, FAULT_MEMORY, "out of memory for this piece of work");
    CX_NEW(cx, w->cell_sums, cells);
    return FAULT_NONE;
}

static void lay_scratch(struct work *w, double *scratch)
{
    const struct block *b = w->b;

    w->ones = scratch;
    for (size_t i = 0; i < KERNEL_ROWS; i++)
        w->ones[i] = 1;
    w->values = vector(scratch, 1);
    w->design = vector(w->values, b->n_sums);
    double *next = vector(w->design, b->n_design);

    for (size_t i = 0; i < b->n_weights; i++) {
        w->weighted[i] = b->weights[i] == 0 ? w->design : next;
        if (b->weights[i] != 0)
            next = vector(next, b->n_design);
    }
    w->rhs = next;
}

enum fault work_new(struct cx *cx, const struct plan *plan, const struct dataset *data,
                    const struct measure *measure, const struct block *b, double *scratch,
                    struct tally *tally, struct work **ret)
{
    uint8_t *memory = cx_alloc(cx, sizeof(struct work) + 64);

    if (memory == NULL)
        return FAULT_MEMORY;
    struct work *w = (struct work *)(((uintptr_t)memory + 63) / 64 * 64);
    size_t cells = b->n_cells, counters = HISTOGRAMS * (cells + 1);
    size_t guarded = b->n_guards * cells;

    w->b = b;
    w->m = measure;
    w->plan = plan;
    w->data = data;
    w->tally = tally;
    w->one_row_each = data->patients.count == data->rows;
    CX_NEW(cx, w->weighted, b->n_weights);
    CX_NEW(cx, w->rows, counters);
    CX_NEW(cx, w->patients, cells + 1);
    CX_NEW(cx, w->last_patient, cells + 1);
    CX_NEW(cx, w->totals, guarded);
    CX_NEW(cx, w->largest, guarded);
    CX_NEW(cx, w->last_guarded, cells);
    memset(w->last_patient, 0xff, (cells + 1) * sizeof *w->last_patient);
    memset(w->last_guarded, 0xff, cells * sizeof *w->last_guarded);
    if (measure->keyed) {
        w->patient_keys = atomic_load(&data->cell_keys);
        if (w->patient_keys == NULL)
            return cx_fail(cx, FAULT_INTERNAL, "a measure with keys, and no patient has one");
        CX_NEW(cx, w->keys, cells);
        CX_NEW(cx, w->last_keyed, cells);
        memset(w->last_keyed, 0xff, cells * sizeof *w->last_keyed);
    }
    lay_scratch(w, scratch);
    TRY(lay_numbers(cx, w));
    *ret = w;
    if (b->n_numbers == 0)
        return FAULT_NONE;
    return cells == 1 ? lay_tiles(cx, w) : lay_keyed(cx, w);
}

/* ---- adding a row block ---- */

static enum fault beyond(struct cx *cx)
{
    return cx_fail(cx, FAULT_NUMERIC,
                   "a term of this question is not finite, or beyond the bound that the "
                   "codebook gives it, in a row of this site: check the data against the "
                   "codebook and import it again");
}

static double size_of(const struct measure *m, ref i)
{
    return fmax(fabs(m->nodes[i].lower), fabs(m->nodes[i].upper));
}

static bool keep_all(const struct work *w, const ref *refs, size_t n, double *out)
{
    bool fine = true;

    for (size_t i = 0; i < n; i++) {
        double size = size_of(w->m, refs[i]);

        fine &= w->plan->kernel->keep(w->plan->slots[refs[i]], w->mask, -size, size,
                                      vector(out, i));
    }
    return fine;
}

/* w * x is rounded once, to nearest; its product with another column is exact. */
static bool keep_weighted(const struct work *w)
{
    const struct kernel *kernel = w->plan->kernel;
    double weight[KERNEL_ROWS] __attribute__((aligned(64)));
    bool fine = true;

    for (size_t i = 0; i < w->b->n_weights; i++) {
        if (w->b->weights[i] == 0)
            continue;
        fine &= keep_all(w, &w->b->weights[i], 1, weight);
        for (size_t j = 0; j < w->b->n_design; j++)
            kernel->times(weight, vector(w->design, j), vector(w->weighted[i], j));
    }
    return fine;
}

static enum fault keep_numbers(struct cx *cx, struct work *w)
{
    const struct block *b = w->b;

    if (!keep_all(w, b->sums, b->n_sums, w->values) ||
        !keep_all(w, b->design, b->n_design, w->design) || !keep_weighted(w) ||
        !keep_all(w, b->rhs, b->n_rhs, w->rhs))
        return beyond(cx);
    return FAULT_NONE;
}

static enum fault find_cells(struct cx *cx, struct work *w)
{
    enum { KEYS = 16 }; /* 2^16 cells at most: keys of one level are left out */
    const double *keys[KEYS];
    double kept[KEYS][KERNEL_ROWS] __attribute__((aligned(64)));
    uint32_t strides[KEYS], stride = (uint32_t)w->b->n_cells;
    size_t n = 0;

    for (size_t i = 0; i < w->b->n_keys; i++) {
        const struct measure_key *key = &w->b->keys[i];

        if (key->size == 1)
            continue;
        stride /= key->size;
        strides[n] = stride;
        keys[n] = kept[n];
        if (!w->plan->kernel->keep(w->plan->slots[key->expr], w->mask, 0, key->size - 1.0,
                                   kept[n]))
            return beyond(cx);
        n++;
    }
    w->plan->kernel->cell(keys, strides, n, w->mask, (uint32_t)w->b->n_cells, w->cells);
    return FAULT_NONE;
}

static void count_one_cell(struct work *w, uint64_t first)
{
    const uint32_t *ordinal = w->data->patients.ordinal + first;

    w->rows[0] += w->kept;
    if (w->one_row_each)
        return;
    uint32_t last = w->last_patient[0];
    uint64_t patients = 0;

    for (size_t word = 0; word < KERNEL_WORDS; word++)
        for (uint64_t left = w->words[word]; left != 0; left &= left - 1) {
            uint32_t who = ordinal[word * 64 + (size_t)__builtin_ctzll(left)];

            patients += who != last;
            last = who;
        }
    w->last_patient[0] = last;
    w->patients[0] += patients;
}

/* Rows that are not kept are counted in the cell beyond the last. */
static void count_cells(struct work *w, uint64_t first, size_t rows)
{
    const uint32_t *ordinal = w->data->patients.ordinal + first, *cells = w->cells;
    size_t apart = w->b->n_cells < FEW_CELLS ? w->b->n_cells + 1 : 0;

    /* Neighbouring rows go to other counters, so that they need not wait for each other. */
    for (size_t i = 0; i < KERNEL_ROWS; i += HISTOGRAMS) {
        w->rows[cells[i]]++;
        w->rows[apart + cells[i + 1]]++;
        w->rows[2 * apart + cells[i + 2]]++;
        w->rows[3 * apart + cells[i + 3]]++;
    }
    if (w->one_row_each)
        return;
    for (size_t i = 0; i < rows; i++) {
        uint32_t cell = cells[i];

        w->patients[cell] += w->last_patient[cell] != ordinal[i];
        w->last_patient[cell] = ordinal[i];
    }
}

static void guard_row(struct work *w, size_t row, size_t cell, uint32_t who, double *kept)
{
    bool same = w->last_guarded[cell] == who;

    w->last_guarded[cell] = who;
    for (size_t g = 0; g < w->b->n_guards; g++) {
        double *total = &w->totals[g * w->b->n_cells + cell];
        double *largest = &w->largest[g * w->b->n_cells + cell];

        *total = (same ? *total : 0) + vector(kept, g)[row];
        *largest = *total > *largest ? *total : *largest;
    }
}

/* A patient's rows are neighbours, so that one running total a cell is enough. */
static enum fault add_guards(struct cx *cx, struct work *w, uint64_t first)
{
    const struct block *b = w->b;
    double *kept = w->values; /* numbers of this row block are added already */

    for (size_t g = 0; g < b->n_guards; g++)
        if (!w->plan->kernel->keep(w->plan->slots[b->guards[g].expr], w->mask, 0,
                                   size_of(w->m, b->guards[g].expr), vector(kept, g)))
            return beyond(cx);
    for (size_t word = 0; word < KERNEL_WORDS; word++)
        for (uint64_t left = w->words[word]; left != 0; left &= left - 1) {
            size_t row = word * 64 + (size_t)__builtin_ctzll(left);

            guard_row(w, row, b->n_cells == 1 ? 0 : w->cells[row],
                      w->data->patients.ordinal[first + row], kept);
        }
    return FAULT_NONE;
}

/* Each patient once a cell; a patient's rows are neighbours. */
static void add_keys(struct work *w, uint64_t first)
{
    const uint32_t *ordinal = w->data->patients.ordinal + first;

    for (size_t word = 0; word < KERNEL_WORDS; word++)
        for (uint64_t left = w->words[word]; left != 0; left &= left - 1) {
            size_t row = word * 64 + (size_t)__builtin_ctzll(left);
            size_t cell = w->b->n_cells == 1 ? 0 : w->cells[row];

            if (w->last_keyed[cell] != ordinal[row])
                w->keys[cell] += w->patient_keys[ordinal[row]];
            w->last_keyed[cell] = ordinal[row];
        }
}

static void drain_keyed(struct work *w)
{
    size_t n = w->b->n_cells * w->n_terms;
    ufixed *sums = w->tally->sums + w->b->first_sum;

    for (size_t i = 0; i < n; i++) {
        union cell_sum *s = &w->cell_sums[i];
        int split = w->terms[i % w->n_terms].number->split;

        if (w->sums->two_words)
            sums[i] +=
                ((ufixed)(fixed)s->words.high << split) + (ufixed)(fixed)s->words.low;
        else
            sums[i] += s->total;
        *s = (union cell_sum){0};
    }
    /* Terms of rows that were not kept are 0, but their cell's words must not grow either.
     */
    memset(&w->cell_sums[n], 0, w->n_terms * sizeof *w->cell_sums);
}

static void add_numbers(struct work *w)
{
    w->blocks++;
    if (w->b->n_cells == 1) {
        w->sums->add(w->tiles, w->n_tiles);
        if (w->blocks == w->sums->drain_blocks) {
            w->sums->drain(w->tiles, w->n_tiles);
            w->blocks = 0;
        }
        return;
    }
    w->sums->add_keyed(w->terms, w->n_terms, w->cells, w->cell_sums);
    if (w->blocks == KEYED_DRAIN_BLOCKS) {
        drain_keyed(w);
        w->blocks = 0;
    }
}

static void cut_row(struct work *w, size_t row)
{
    w->mask[row] = 0;
    w->words[row / 64] &= ~((uint64_t)1 << row % 64);
    w->kept--;
}

/* Of who withdrew no row counts. */
static void cut_left_out(struct work *w, uint64_t first)
{
    for (size_t word = 0; word < KERNEL_WORDS; word++)
        for (uint64_t left = w->words[word] & w->data->left_out_rows[first / 64 + word];
             left != 0; left &= left - 1)
            cut_row(w, word * 64 + (size_t)__builtin_ctzll(left));
}

/* Of each patient the first rows_max rows count, whatever is asked of them: so no patient
 * moves a sum by more than that many terms (zcdp.h). A patient's rows are neighbours. */
static void cut_rows(struct work *w, uint64_t first)
{
    const uint32_t *ordinal = w->data->patients.ordinal;

    for (size_t word = 0; word < KERNEL_WORDS; word++)
        for (uint64_t left = w->words[word]; left != 0; left &= left - 1) {
            size_t row = word * 64 + (size_t)__builtin_ctzll(left);
            uint64_t at = first + row;

            if (at < w->m->rows_max || ordinal[at - w->m->rows_max] != ordinal[at])
                continue;
            cut_row(w, row);
        }
}

enum fault work_add(struct cx *cx, struct work *w, uint64_t first, size_t rows)
{
    w->kept = w->plan->kernel->mask(w->plan->slots[w->b->where], rows, w->mask, w->words);
    if (w->data->left_out_rows != NULL && w->kept > 0)
        cut_left_out(w, first);
    if (w->m->rows_max > 0 && w->kept > 0 && !w->one_row_each)
        cut_rows(w, first);
    if (w->kept == 0)
        return FAULT_NONE;
    if (w->b->n_cells == 1) {
        count_one_cell(w, first);
    } else {
        TRY(find_cells(cx, w));
        count_cells(w, first, rows);
    }
    if (w->keys != NULL)
        add_keys(w, first);
    if (w->b->n_numbers > 0) {
        TRY(keep_numbers(cx, w));
        add_numbers(w);
    }
    return w->b->n_guards > 0 ? add_guards(cx, w, first) : FAULT_NONE;
}

/* ---- the end ---- */

static void finish_counts(struct work *w)
{
    size_t cells = w->b->n_cells;
    size_t apart = cells > 1 && cells < FEW_CELLS ? cells + 1 : 0;

    for (size_t c = 0; c < cells; c++) {
        uint64_t rows = w->rows[c];

        for (size_t h = 1; h < HISTOGRAMS && apart > 0; h++)
            rows += w->rows[h * apart + c];
        uint64_t *counts = w->tally->counts + w->b->first_count + 2 * c;

        counts[0] = w->one_row_each ? rows : w->patients[c];
        counts[1] = rows;
        if (w->keys != NULL)
            w->tally->counts[w->m->first_key + w->b->first_count / 2 + c] = w->keys[c];
    }
}

void work_finish(struct work *w, size_t block, struct guard_seen *seen)
{
    const struct block *b = w->b;

    finish_counts(w);
    if (b->n_numbers > 0 && b->n_cells == 1) {
        w->sums->drain(w->tiles, w->n_tiles);
        for (size_t i = 0; i < b->n_numbers; i++)
            w->tally->sums[b->first_sum + i] = w->numbers[i].total;
    } else if (b->n_numbers > 0) {
        drain_keyed(w);
    }
    for (size_t g = 0; g < b->n_guards; g++)
        for (size_t c = 0; c < b->n_cells; c++)
            *seen++ = (struct guard_seen){b->guards[g].rule, block, c,
                                          w->largest[g * b->n_cells + c]};
}

/* import_write.c - rows grouped by patient, and the files. */
#include <stdlib.h>
#include <string.h>

#include "node/data/import_private.h"
#include "node/vault/column.h"

enum { BUCKETS = 65536, FEW = 32 };

static int compare(const void *a, const void *b)
{
    const struct order *x = a, *y = b;

    if (x->high != y->high)
        return x->high < y->high ? -1 : 1;
    if (x->low != y->low)
        return x->low < y->low ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static void sort_bucket(struct order *o, size_t n)
{
    if (n > FEW) {
        qsort(o, n, sizeof *o, compare);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct order one = o[i];
        size_t k = i;

        for (; k > 0 && compare(&one, &o[k - 1]) < 0; k--)
            o[k] = o[k - 1];
        o[k] = one;
    }
}

/* Hashes are even, so their first 16 bits deal rows into small buckets. */
static enum fault sort_rows(struct importer *im, uint64_t rows)
{
    struct order *sorted = malloc((rows ? rows : 1) * sizeof *sorted);
    size_t *begin = calloc(BUCKETS + 1, sizeof *begin);

    if (sorted == NULL || begin == NULL) {
        free(sorted);
        free(begin);
        return cx_fail(im->cx, FAULT_MEMORY, "no memory to sort the rows");
    }
    for (uint64_t i = 0; i < rows; i++)
        begin[(im->order[i].high >> 48) + 1]++;
    for (size_t b = 0; b < BUCKETS; b++)
        begin[b + 1] += begin[b];
    for (uint64_t i = 0; i < rows; i++)
        sorted[begin[im->order[i].high >> 48]++] = im->order[i];
    /* begin[b] is the end of bucket b now. */
    for (size_t b = 0; b < BUCKETS; b++) {
        size_t from = b == 0 ? 0 : begin[b - 1];

        sort_bucket(sorted + from, begin[b] - from);
    }
    free(begin);
    free(im->order);
    im->order = sorted;
    return FAULT_NONE;
}

static void hash_of(const struct order *o, uint8_t hash[16])
{
    for (int i = 0; i < 8; i++) {
        hash[i] = (uint8_t)(o->high >> (56 - 8 * i));
        hash[8 + i] = (uint8_t)(o->low >> (56 - 8 * i));
    }
}

static enum fault write_patients(struct importer *im, uint64_t rows)
{
    uint32_t *ordinal = malloc((rows ? rows : 1) * sizeof *ordinal);
    uint8_t(*hashes)[16] = malloc((rows ? rows : 1) * sizeof *hashes);
    uint8_t digest[32];
    uint64_t count = 0;
    enum fault fault;

    if (ordinal == NULL || hashes == NULL) {
        fault = cx_fail(im->cx, FAULT_MEMORY, "no memory for the patients");
    } else {
        for (uint64_t i = 0; i < rows; i++) {
            if (i == 0 || im->order[i].high != im->order[i - 1].high ||
                im->order[i].low != im->order[i - 1].low)
                hash_of(&im->order[i], hashes[count++]);
            ordinal[i] = (uint32_t)(count - 1);
        }
        fault = patients_write(im->cx, im->setup->staging_fd, ordinal, rows,
                               (const uint8_t(*)[16])hashes, count, digest);
        im->report->patients = count;
    }
    free(ordinal);
    free(hashes);
    return fault;
}

/* `from`: the file's row that comes at each place. */
static enum fault write_column(struct importer *im, const struct target *t, uint64_t rows,
                               const uint32_t *from, double *values, uint8_t *valid)
{
    const struct target *read = t->source != NULL ? t->source : t;
    uint8_t digest[32];

    if (read->column == SIZE_MAX) {
        memset(values, 0, rows * sizeof *values);
        memset(valid, 0, rows);
    } else {
        for (uint64_t i = 0; i < rows; i++)
            values[i] = t->source != NULL
                            ? variable_derive(t->v, read->v, read->values[from[i]])
                            : read->values[from[i]];
        if (read->missing == 0)
            memset(valid, 1, rows);
        else
            for (uint64_t i = 0; i < rows; i++)
                valid[i] = read->valid[from[i]];
    }
    return column_write(im->cx, im->setup->staging_fd, t->v->name, column_type_for(t->v),
                        values, valid, rows, digest);
}

enum fault import_write(struct importer *im, uint64_t rows)
{
    double *values = malloc((rows ? rows : 1) * sizeof *values);
    uint8_t *valid = malloc(rows ? rows : 1);
    uint32_t *from = malloc((rows ? rows : 1) * sizeof *from);
    enum fault fault = values == NULL || valid == NULL || from == NULL
                           ? cx_fail(im->cx, FAULT_MEMORY, "no memory to write the columns")
                           : sort_rows(im, rows);

    for (uint64_t i = 0; fault == FAULT_NONE && i < rows; i++)
        from[i] = im->order[i].row;
    /* What is computed comes first: its source is let go when it was written. */
    for (size_t k = 0; fault == FAULT_NONE && k < 2 * im->report->n_variables; k++) {
        struct target *t = &im->targets[k % im->report->n_variables];

        if (!t->stored || (t->source != NULL) != (k < im->report->n_variables))
            continue;
        fault = write_column(im, t, rows, from, values, valid);
        im->report->n_stored++;
        /* Let go at once: the peak is what was read plus one column. */
        free(t->values);
        free(t->valid);
        t->values = NULL;
        t->valid = NULL;
    }
    free(values);
    free(valid);
    free(from);
    return fault != FAULT_NONE ? fault : write_patients(im, rows);
}

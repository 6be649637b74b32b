/*
 * kernel_exact.c - exact sums in 128-bit integers: the meaning of the faster kernels.
 *
 * A term x * y is the product of two 53-bit integers times a power of two: the product is
 * exact in 106 bits, and a shift to the number's scale rounds towards minus infinity.
 */
#include <string.h>

#include "node/vault/kernel.h"

/* v = *whole * 2^(*exponent), whole below 2^53 in size. v is finite. */
static void take_apart(double v, int64_t *whole, int *exponent)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    int biased = (int)(bits >> 52) & 0x7ff;
    int64_t m = (int64_t)(bits & 0x000fffffffffffff);

    if (biased > 0)
        m |= (int64_t)1 << 52;
    else
        biased = 1;
    *whole = (bits >> 63) != 0 ? -m : m;
    *exponent = biased - 1075;
}

/* floor(x * y * 2^scale); at most 2^126 in size because terms are within their bound. */
static fixed term(double x, double y, int scale)
{
    int64_t a, b;
    int ea, eb;

    if (x == 0 || y == 0)
        return 0;
    take_apart(x, &a, &ea);
    take_apart(y, &b, &eb);
    fixed product = (fixed)a * b;
    int shift = ea + eb + scale;

    if (shift >= 0)
        return (fixed)((ufixed)product << (shift < 128 ? shift : 127));
    if (shift <= -127)
        return product < 0 ? -1 : 0;
    return product >> -shift; /* arithmetic: gcc and clang both define it so */
}

static void begin(struct tile *tiles, size_t n)
{
    (void)tiles;
    (void)n;
}

static void add(struct tile *tiles, size_t n)
{
    for (struct tile *t = tiles; t < tiles + n; t++) {
        ufixed sum = 0;

        for (size_t i = 0; i < KERNEL_ROWS; i++)
            sum += (ufixed)term(t->x[i], t->y[i], t->numbers[0]->scale);
        t->numbers[0]->total += sum;
    }
}

static void add_keyed(const struct keyed *terms, size_t n, const uint32_t *cells,
                      union cell_sum *sums)
{
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < KERNEL_ROWS; i++)
            sums[cells[i] * n + k].total +=
                (ufixed)term(terms[k].x[i], terms[k].y[i], terms[k].number->scale);
}

const struct sum_kernel sum_kernel_exact = {
    .tile_rows = 1,
    .tile_columns = 1,
    .wide_columns = 1,
    .drain_blocks = KEYED_DRAIN_BLOCKS,
    .two_words = false,
    .begin = begin,
    .add = add,
    .drain = begin, /* nothing waits: sums are in the totals already */
    .add_keyed = add_keyed,
};

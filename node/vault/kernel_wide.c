/*
 * kernel_wide.c - exact sums in two words of doubles; built for AVX2 and for AVX-512.
 *
 * The method (SUMS.md section 4), with q = 2^-scale the number's quantum, w = the bits of
 * its bound (|term| <= 2^w q), u = 2^split q, split = max(0, w - 43), everything rounded
 * DOWN:
 *
 *   high  starts at 1.5 * 2^52 u. While it stays within [2^52 u, 2^53 u] its last place is
 * u, so new = fma(x, y, high) is high + floor_u(xy) exactly: one rounding, towards minus
 *         infinity, of the exact sum of a multiple of u and xy.
 *   d     = new - high = floor_u(xy): both are multiples of u in one binade, hence exact.
 *   l     = fma(x, y, -d) = r rounded down, r = xy - d in [0, u). floor_q(r) is a multiple
 * of q below 2^44 q, so it is a double, so it is <= l <= r: flooring l to q gives
 * floor_q(r). low   starts at 2^52 q. While it stays within [2^52 q, 2^53 q] its last place
 * is q, so low + l rounded down is low + floor_q(r) exactly. Together d + floor_q(r) =
 * floor_q(xy), because u is a multiple of q.
 *
 * Headroom: a lane takes at most LANE_ROWS = 256 = 2^8 terms between drains.
 *   high: |floor_u(xy)| <= 2^(w - split) u <= 2^43 u; 2^8 * 2^43 = 2^51: within 1.5 * 2^52
 * +- 2^51. low:  0 <= floor_q(r) <= (2^split - 1) q, split <= 44; 2^8 * 2^44 = 2^52: from
 * 2^52 to 2^53. So it holds for w <= 87 (engine_plan.c uses kernel_exact.c beyond; w = 86
 * for 2^40 rows). At either end of a binade the bits of neighbouring doubles are
 * neighbouring integers, so that the difference of the bits to those of the start counts
 * units of u and of q.
 *
 * The rounding mode is a property of the thread: it is set around a loop that is its own
 * function (never inlined, compiled with -frounding-math), and restored.
 */
#include <immintrin.h>
#include <string.h>

#include "node/vault/kernel.h"

#if defined(__AVX512F__)
enum { LANES = 8, ROWS = 3, COLUMNS = 4, WIDE = 12 };
#define SUM_TABLE sum_kernel_avx512
typedef __m512d vd;
#define LOAD  _mm512_load_pd
#define STORE _mm512_store_pd
#define FMA   _mm512_fmadd_pd
#define FMS   _mm512_fmsub_pd
#define ADD   _mm512_add_pd
#define SUB   _mm512_sub_pd
#define SET   _mm512_set1_pd
#elif defined(__AVX2__) && defined(__FMA__)
enum { LANES = 4, ROWS = 2, COLUMNS = 2, WIDE = 5 };
#define SUM_TABLE sum_kernel_avx2
typedef __m256d vd;
#define LOAD      _mm256_load_pd
#define STORE     _mm256_store_pd
#define FMA       _mm256_fmadd_pd
#define FMS       _mm256_fmsub_pd
#define ADD       _mm256_add_pd
#define SUB       _mm256_sub_pd
#define SET       _mm256_set1_pd
#else
#error "kernel_wide.c needs a fused multiply-add"
#endif

extern const struct sum_kernel SUM_TABLE;

enum { LANE_ROWS = 256, MODE_BITS = 0x6000 | 0x8040, MODE_DOWN = 0x2000 };

/* Round down; no flushing of subnormal numbers. */
static unsigned mode_down(void)
{
    unsigned mode = _mm_getcsr();

    _mm_setcsr((mode & ~(unsigned)MODE_BITS) | MODE_DOWN);
    __asm__ volatile("" ::: "memory");
    return mode;
}

static void mode_restore(unsigned mode)
{
    __asm__ volatile("" ::: "memory");
    _mm_setcsr(mode);
}

/* One tile over 256 rows; rows and columns are constants where it is inlined. */
static inline __attribute__((always_inline)) void tile_rows(struct tile *t, const int rows,
                                                            const int columns)
{
    vd high[TILE_MAX], low[TILE_MAX];
    const double *x = t->x, *y = t->y;
    double *lanes = t->lanes;

#pragma GCC unroll 12
    for (int k = 0; k < rows * columns; k++) {
        high[k] = LOAD(lanes + 2 * k * LANES_MAX);
        low[k] = LOAD(lanes + (2 * k + 1) * LANES_MAX);
    }
    for (size_t i = 0; i < KERNEL_ROWS; i += LANES) {
        vd a[3];

#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
            a[r] = LOAD(x + (size_t)r * KERNEL_STRIDE + i);
#pragma GCC unroll 12
        for (int c = 0; c < columns; c++) {
            vd b = LOAD(y + (size_t)c * KERNEL_STRIDE + i);

#pragma GCC unroll 12
            for (int r = 0; r < rows; r++) {
                int k = r * columns + c;
                vd next = FMA(a[r], b, high[k]);
                vd d = SUB(next, high[k]);

                low[k] = ADD(low[k], FMS(a[r], b, d));
                high[k] = next;
            }
        }
    }
#pragma GCC unroll 12
    for (int k = 0; k < rows * columns; k++) {
        STORE(lanes + 2 * k * LANES_MAX, high[k]);
        STORE(lanes + (2 * k + 1) * LANES_MAX, low[k]);
    }
}

static __attribute__((noinline)) void add_down(struct tile *tiles, size_t n)
{
    for (struct tile *t = tiles; t < tiles + n; t++)
        if (t->rows == 1)
            tile_rows(t, 1, WIDE);
        else
            tile_rows(t, ROWS, COLUMNS);
}

static void add(struct tile *tiles, size_t n)
{
    unsigned mode = mode_down();

    add_down(tiles, n);
    mode_restore(mode);
}

static void begin(struct tile *tiles, size_t n)
{
    for (struct tile *t = tiles; t < tiles + n; t++)
        for (int k = 0; k < t->rows * t->columns; k++)
            for (int l = 0; l < LANES; l++) {
                const struct number *z = t->numbers[k];

                t->lanes[2 * k * LANES_MAX + l] = z == NULL ? 0 : z->start_high;
                t->lanes[(2 * k + 1) * LANES_MAX + l] = z == NULL ? 0 : z->start_low;
            }
}

static int64_t bits_of(double v)
{
    int64_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static void drain(struct tile *tiles, size_t n)
{
    for (struct tile *t = tiles; t < tiles + n; t++)
        for (int k = 0; k < t->rows * t->columns; k++) {
            struct number *z = t->numbers[k];
            int64_t high = 0, low = 0;

            if (z == NULL)
                continue;
            for (int l = 0; l < LANES; l++) {
                high += bits_of(t->lanes[2 * k * LANES_MAX + l]) - bits_of(z->start_high);
                low +=
                    bits_of(t->lanes[(2 * k + 1) * LANES_MAX + l]) - bits_of(z->start_low);
            }
            z->total += ((ufixed)(fixed)high << z->split) + (ufixed)(fixed)low;
        }
    begin(tiles, n);
}

/* Each row's term as two integers: high counts u, low counts q. */
static __attribute__((noinline)) void split_down(const struct keyed *term, double *high,
                                                 double *low)
{
    vd start_high = SET(term->number->start_high), start_low = SET(term->number->start_low);

    for (size_t i = 0; i < KERNEL_ROWS; i += LANES) {
        vd x = LOAD(term->x + i), y = LOAD(term->y + i);
        vd next = FMA(x, y, start_high);

        STORE(high + i, next);
        STORE(low + i, ADD(start_low, FMS(x, y, SUB(next, start_high))));
    }
}

static void add_keyed(const struct keyed *terms, size_t n, const uint32_t *cells,
                      union cell_sum *sums)
{
    double high[KERNEL_ROWS] __attribute__((aligned(64)));
    double low[KERNEL_ROWS] __attribute__((aligned(64)));

    for (size_t k = 0; k < n; k++) {
        unsigned mode = mode_down();

        split_down(&terms[k], high, low);
        mode_restore(mode);
        int64_t from_high = bits_of(terms[k].number->start_high);
        int64_t from_low = bits_of(terms[k].number->start_low);

        for (size_t i = 0; i < KERNEL_ROWS; i++) {
            union cell_sum *sum = &sums[cells[i] * n + k];

            sum->words.high += bits_of(high[i]) - from_high;
            sum->words.low += bits_of(low[i]) - from_low;
        }
    }
}

const struct sum_kernel SUM_TABLE = {
    .tile_rows = ROWS,
    .tile_columns = COLUMNS,
    .wide_columns = WIDE,
    .drain_blocks = LANE_ROWS * LANES / KERNEL_ROWS,
    .two_words = true,
    .begin = begin,
    .add = add,
    .drain = drain,
    .add_keyed = add_keyed,
};

/*
 * gate_cellkey.c - the error of a count under rounding_mode cell_key (R18), and random
 * rounding.
 *
 * For each count a distribution over errors v: |v| <= D, nothing published that is negative
 * or from 1 to js, zero stays zero, mean 0, variance V, and of all such the one of largest
 * entropy: p(v) = exp(a v + b v^2) / sum. Where a small count allows no variance V, the
 * nearest that it allows. The key of the cell, uniform in 0 .. 2^64-1, picks the error; so
 * the same patients have the same error, whatever asked for them.
 * a and b come from Newton's method on a convex function, with additions, products and
 * quotients of doubles alone (exp too), so that the thresholds are the same on every
 * processor.
 * Source: Fraser and Wooton (2005); Enderle, Giessing, Tent (2020), ptable.
 */
#include "node/vault/gate_cellkey.h"

#include <math.h>
#include <string.h>

enum { TURNS = 200, HALVINGS = 60, POLISH = 4, TAYLOR = 18 };

static const double LN2 = 0.69314718055994530942, ARGUMENT_MAX = 600;

/* exp by its series around the nearest multiple of log 2: no libm, no fused product. */
static double exp_plain(double x)
{
    double k, r, sum = 1;

    x = fmin(fmax(x, -ARGUMENT_MAX), ARGUMENT_MAX);
    k = floor(x / LN2 + 0.5);
    r = x - k * LN2;
    for (int i = TAYLOR; i > 0; i--)
        sum = 1 + sum * r / i;
    return ldexp(sum, (int)k);
}

struct row { /* of the table */
    size_t n;
    double v[2 * CELLKEY_D_MAX + 1], p[2 * CELLKEY_D_MAX + 1];
};

static void row_support(struct row *row, int count, int d, int js)
{
    row->n = 0;
    for (int v = -d; v <= d; v++) {
        int out = count + v;

        if (out >= 0 && (out == 0 || out > js))
            row->v[row->n++] = v;
    }
}

/* All weight on two errors around zero, mean zero; on zero alone where there is only one
 * side.
 */
static void row_two(struct row *row, double low, double high)
{
    for (size_t i = 0; i < row->n; i++) {
        bool both = low < 0 && high > 0;

        row->p[i] = 0;
        if (both && row->v[i] == low)
            row->p[i] = high / (high - low);
        if (both && row->v[i] == high)
            row->p[i] = -low / (high - low);
        if (!both && row->v[i] == 0)
            row->p[i] = 1;
    }
}

/* sum of w, of its first and second derivatives by a and b: w = exp(a v + b (v^2 - V)). */
struct moments {
    double sum, a, b, aa, ab, bb;
};

static struct moments row_moments(struct row *row, double a, double b, double variance)
{
    struct moments m = {0};

    for (size_t i = 0; i < row->n; i++) {
        double v = row->v[i], u = v * v - variance, w = exp_plain(a * v + b * u);

        row->p[i] = w;
        m.sum += w;
        m.a += w * v;
        m.b += w * u;
        m.aa += w * v * v;
        m.ab += w * v * u;
        m.bb += w * u * u;
    }
    return m;
}

/* Newton's step; false where there is none. */
static bool step_of(const struct moments *m, double *ret_a, double *ret_b)
{
    double det = m->aa * m->bb - m->ab * m->ab;

    *ret_a = (m->bb * m->a - m->ab * m->b) / det;
    *ret_b = (m->aa * m->b - m->ab * m->a) / det;
    return det > 0;
}

static void row_entropy(struct row *row, double variance)
{
    double a = 0, b = 0, da, db, scale = 1;
    struct moments m = row_moments(row, a, b, variance);

    for (int turn = 0; turn < TURNS && scale > 0x1p-58 && step_of(&m, &da, &db); turn++) {
        scale = 1;
        for (int i = 0; i < HALVINGS; i++, scale /= 2) {
            struct moments next =
                row_moments(row, a - scale * da, b - scale * db, variance);

            if (next.sum < m.sum) {
                a -= scale * da;
                b -= scale * db;
                m = next;
                break;
            }
        }
    }
    /* Where the function is too flat to tell, its slope still does. */
    for (int i = 0; i < POLISH && step_of(&m, &da, &db); i++) {
        a -= da;
        b -= db;
        m = row_moments(row, a, b, variance);
    }
    m = row_moments(row, a, b, variance);
    for (size_t i = 0; i < row->n; i++)
        row->p[i] /= m.sum;
}

static void row_solve(struct row *row, double variance)
{
    double low = row->v[0], high = row->v[row->n - 1], below = low, above = high;
    bool zero = false;

    for (size_t i = 0; i < row->n; i++) {
        zero = zero || row->v[i] == 0;
        if (row->v[i] < 0)
            below = row->v[i];
        if (row->v[i] > 0 && row->v[i] < above)
            above = row->v[i];
    }
    if (!(low < 0 && high > 0) || variance >= -low * high)
        row_two(row, low, high);
    else if (!zero && variance <= -below * above)
        row_two(row, below, above);
    else
        row_entropy(row, variance);
}

enum fault cellkey_new(struct cx *cx, int d, double variance, int js, struct cellkey **ret)
{
    struct cellkey *n;
    size_t wide = 2 * (size_t)d + 1;

    if (d < 0 || d > CELLKEY_D_MAX || js < 0 || js > CELLKEY_JS_MAX)
        return cx_fail(cx, FAULT_BOUND, "gate: an error of up to %d, none up to %d", d, js);
    CX_NEW(cx, n, 1);
    n->d = d;
    n->rows = (size_t)(d + js) + 2; /* counts beyond have the last row's */
    CX_NEW(cx, n->upper, n->rows * wide);
    for (size_t count = 1; count < n->rows; count++) {
        struct row row;
        double sum = 0;
        size_t i = 0;

        row_support(&row, (int)count, d, js);
        if (row.n == 0) /* js forbids the count itself, and D reaches nothing: it stays */
            row = (struct row){.n = 1, .p = {1}};
        else
            row_solve(&row, variance);
        for (size_t k = 0; k < wide; k++) {
            if (i < row.n && row.v[i] == (double)k - d)
                sum += row.p[i++];
            n->upper[count * wide + k] =
                i == row.n || sum >= 1 ? UINT64_MAX : (uint64_t)ldexp(sum, 64);
        }
    }
    *ret = n;
    return FAULT_NONE;
}

uint64_t cellkey_count(const struct cellkey *n, uint64_t count, uint64_t key)
{
    size_t wide = 2 * (size_t)n->d + 1, row = count < n->rows ? (size_t)count : n->rows - 1;
    size_t k = 0;

    if (count == 0)
        return 0;
    while (k + 1 < wide && key >= n->upper[row * wide + k])
        k++;
    return count + k - (uint64_t)n->d;
}

uint64_t cellkey_random(uint64_t count, uint64_t base, uint64_t key)
{
    uint64_t rest = base > 1 ? count % base : 0;
    /* 0 .. base-1, as evenly as 2^64 keys go */
    uint64_t drawn = base > 1 ? (uint64_t)(((unsigned __int128)key * base) >> 64) : 0;

    return count - rest + (drawn < rest ? base : 0);
}

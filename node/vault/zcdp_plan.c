/*
 * zcdp_plan.c - how much noise a round needs, and adding one site's share of it.
 *
 * A family is one number of a block in all its cells (or its count of patients). One
 * patient's rows move all cells of a sum by at most rows_max * bound together, and a count
 * by the root of as many cells as the rows may lie in. Each family gets 1/K of the round's
 * rho, K being the families that one row can touch: blocks that exclude each other (one
 * asks for what the other denies) share theirs, because what a patient's rows do in one
 * they do not do in the other.
 *
 * Sums have up to 86 bits behind the point; noise is added to their first 25 bits or so,
 * the rest is cut off. Two sums that lie d apart lie at most ceil(d / 2^shift) apart then.
 */
#include "node/vault/zcdp.h"

#include <string.h>

enum {
    CLAIMS = 64,        /* of one block's condition */
    SPREAD_LOG2 = 25,   /* a patient's reach, in units */
    LEAST_VARIANCE = 4, /* of a share: sums of discrete Gaussians are as good as one */
    QUANTA_LOG2 = 120
};

/* ---- blocks that exclude each other ---- */

struct claims {
    ref list[CLAIMS];
    size_t n;
};

/* The parts of a conjunction; what does not fit is left out (and excludes nothing). */
static void put_claims(const struct measure *m, ref first, struct claims *ret)
{
    ref todo[CLAIMS] = {first};
    size_t n = 1;

    ret->n = 0;
    while (n > 0) {
        const ref at = todo[--n];
        const struct measure_node *node = &m->nodes[at];

        if (node->op == M_AND && n + 2 <= CLAIMS) {
            todo[n++] = node->a;
            todo[n++] = node->b;
        } else if (ret->n < CLAIMS) {
            ret->list[ret->n++] = at;
        }
    }
}

static bool denies(const struct measure *m, const struct claims *a, const struct claims *b)
{
    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; k < b->n && m->nodes[a->list[i]].op == M_NOT; k++)
            if (m->nodes[a->list[i]].a == b->list[k])
                return true;
    return false;
}

static bool exclude(const struct measure *m, const struct block *a, const struct block *b)
{
    struct claims x, y;

    put_claims(m, a->where, &x);
    put_claims(m, b->where, &y);
    return denies(m, &x, &y) || denies(m, &y, &x);
}

static size_t families_of(const struct block *b)
{
    return b->n_numbers + !b->uncounted;
}

/* Groups of blocks of which any two exclude each other. */
struct groups {
    size_t *of; /* by block */
    size_t n, *families;
    uint64_t *cells;
};

static bool belongs(const struct measure *m, const struct groups *g, size_t block,
                    size_t group)
{
    for (size_t i = 0; i < block; i++)
        if (g->of[i] == group && !exclude(m, &m->blocks[i], &m->blocks[block]))
            return false;
    return true;
}

static enum fault group(struct cx *cx, const struct measure *m, struct groups *ret)
{
    CX_NEW(cx, ret->of, m->n_blocks);
    CX_NEW(cx, ret->families, m->n_blocks);
    CX_NEW(cx, ret->cells, m->n_blocks);
    ret->n = 0;
    for (size_t b = 0; b < m->n_blocks; b++) {
        size_t at = 0;

        while (at < ret->n && !belongs(m, ret, b, at))
            at++;
        ret->n += at == ret->n;
        ret->of[b] = at;
        ret->cells[at] += m->blocks[b].n_cells;
        if (families_of(&m->blocks[b]) > ret->families[at])
            ret->families[at] = families_of(&m->blocks[b]);
    }
    return FAULT_NONE;
}

/* ---- numbers ---- */

/* ceil(x * 2^scale) of the IEEE 754 bits of x >= 0; false beyond 2^QUANTA_LOG2. */
static bool quanta(uint64_t bits, int scale, zcdp_wide *ret)
{
    int exponent = (int)(bits >> 52 & 0x7ff);
    zcdp_wide mantissa = bits & (((uint64_t)1 << 52) - 1);

    if (bits >> 63 != 0 || exponent == 0x7ff)
        return false;
    if (exponent > 0)
        mantissa |= (uint64_t)1 << 52;
    else
        exponent = 1;
    exponent += scale - 1075;
    if (mantissa == 0)
        *ret = 0;
    else if (exponent > QUANTA_LOG2 - 53)
        return false;
    else if (exponent >= 0)
        *ret = mantissa << exponent;
    else if (exponent <= -53)
        *ret = 1;
    else
        *ret = (mantissa + ((zcdp_wide)1 << -exponent) - 1) >> -exponent;
    return true;
}

static enum fault no_room(struct cx *cx)
{
    return cx_fail(cx, FAULT_INVALID,
                   "the noise that this question needs would hide every answer: ask fewer "
                   "variables, or terms, or levels at a time");
}

/* reach: the square of how far a patient moves it, in units; below 2^52. */
static bool variance_of(const struct zcdp_terms *terms, size_t families, zcdp_wide reach,
                        uint64_t *ret)
{
    /* 2^52 * 2^13 * 2^31 */
    zcdp_wide n = reach * families << 31, d = (zcdp_wide)terms->rho * terms->honest;
    zcdp_wide v = (n + d - 1) / d;

    v = v < LEAST_VARIANCE ? LEAST_VARIANCE : v;
    if (v >> ZCDP_VARIANCE_LOG2 != 0)
        return false;
    *ret = (uint64_t)v;
    return true;
}

static enum fault plan_sum(struct cx *cx, const struct block *b, size_t i,
                           const struct zcdp_terms *terms, size_t families, unsigned rows,
                           struct zcdp_number *ret)
{
    struct zcdp_number x = {0};
    zcdp_wide reach;
    uint64_t bits;

    memcpy(&bits, &b->bounds[i], sizeof bits);
    if (!quanta(bits, b->scales[i], &reach) || reach > ~(zcdp_wide)0 / rows)
        return no_room(cx);
    reach *= rows;
    for (; reach != 0; x.shift++) {
        zcdp_wide up = (reach + (((zcdp_wide)1 << x.shift) - 1)) >> x.shift;

        if (up >> SPREAD_LOG2 == 0 && variance_of(terms, families, up * up, &x.variance))
            break;
        if (up == 1 || x.shift == QUANTA_LOG2)
            return no_room(cx);
    }
    *ret = x;
    return FAULT_NONE;
}

/* A patient is in it or not, however many rows there are. */
static bool is_one_count(const struct measure *m)
{
    return m->n_blocks == 1 && m->blocks[0].n_keys == 0 && m->blocks[0].n_numbers == 0;
}

enum fault zcdp_plan_make(struct cx *cx, const struct measure *m,
                          const struct zcdp_terms *terms, struct zcdp_plan *ret)
{
    struct zcdp_plan plan = {.n_blocks = m->n_blocks};
    struct groups g;

    if (terms->rho == 0 || terms->honest == 0 || m->rows_max > ZCDP_ROWS_MAX ||
        (m->rows_max == 0 && !is_one_count(m)))
        return cx_fail(cx, FAULT_INTERNAL, "noise: terms that make no noise");
    TRY(group(cx, m, &g));
    for (size_t i = 0; i < g.n; i++)
        plan.families += g.families[i];
    if (plan.families > ZCDP_FAMILIES_MAX)
        return no_room(cx);
    CX_NEW(cx, plan.blocks, m->n_blocks);
    for (size_t b = 0; b < m->n_blocks; b++) {
        const struct block *block = &m->blocks[b];
        uint64_t cells = g.cells[g.of[b]];
        unsigned rows = m->rows_max > 0 ? m->rows_max : 1;
        zcdp_wide touched = cells < rows ? cells : rows;

        if (block->n_numbers != block->n_sums || block->n_guards > 0)
            return cx_fail(cx, FAULT_INTERNAL, "noise: a measure of more than sums");
        if (!block->uncounted &&
            !variance_of(terms, plan.families, touched, &plan.blocks[b].count.variance))
            return no_room(cx);
        CX_NEW(cx, plan.blocks[b].sums, block->n_numbers);
        for (size_t i = 0; i < block->n_numbers; i++)
            TRY(plan_sum(cx, block, i, terms, plan.families, rows,
                         &plan.blocks[b].sums[i]));
    }
    *ret = plan;
    return FAULT_NONE;
}

/* ---- adding ---- */

static enum fault draw(struct cx *cx, struct zcdp_source source,
                       const struct zcdp_number *x, int64_t *ret)
{
    *ret = 0;
    return x->variance == 0
               ? FAULT_NONE
               : zcdp_gaussian(cx, source, (struct zcdp_variance){x->variance, 1}, ret);
}

static enum fault add_cell(struct cx *cx, const struct zcdp_block *plan,
                           const struct block *b, size_t cell, struct zcdp_source source,
                           struct tally *t)
{
    uint64_t *counts = t->counts + b->first_count + 2 * cell;
    ufixed *sums = t->sums + b->first_sum + cell * b->n_numbers;
    int64_t z;

    TRY(draw(cx, source, &plan->count, &z));
    counts[0] = b->uncounted ? 0 : counts[0] + (uint64_t)z;
    counts[1] = 0;
    for (size_t i = 0; i < b->n_numbers; i++) {
        const struct zcdp_number *x = &plan->sums[i];

        TRY(draw(cx, source, x, &z));
        /* Shifted as a signed number: towards minus infinity, as the engine rounds. */
        ufixed kept = (ufixed)((fixed)sums[i] >> x->shift) + (ufixed)(fixed)z;

        sums[i] = x->variance == 0 ? 0 : kept << x->shift;
    }
    return FAULT_NONE;
}

enum fault zcdp_add(struct cx *cx, const struct zcdp_plan *plan, const struct measure *m,
                    struct zcdp_source source, struct tally *t)
{
    if (plan->n_blocks != m->n_blocks || t->n_counts != m->n_counts ||
        t->n_sums != m->n_sums)
        return cx_fail(cx, FAULT_INTERNAL, "noise: a tally of another measure");
    for (size_t b = 0; b < m->n_blocks; b++)
        for (size_t cell = 0; cell < m->blocks[b].n_cells; cell++)
            TRY(add_cell(cx, &plan->blocks[b], &m->blocks[b], cell, source, t));
    return FAULT_NONE;
}

uint64_t zcdp_fixed(uint64_t bits)
{
    int exponent = (int)(bits >> 52 & 0x7ff) - 1075 + 32;
    uint64_t mantissa = (bits & (((uint64_t)1 << 52) - 1)) | (uint64_t)1 << 52;

    if (bits >> 63 != 0 || exponent <= -53)
        return 0;
    if (exponent > -19) /* 4 and more */
        return (uint64_t)4 << 32;
    return mantissa >> -exponent;
}

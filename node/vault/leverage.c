/*
 * leverage.c - the rows of this site's patients in what was released, and how much of it
 * rests on each.
 *
 * A column that joins the basis adds e_i^2 / |e|^2 to the leverage of patient i, where e is
 * what the basis leaves of it: |e|^2 follows from pooled products, e_i from this site's own
 * rows.
 */
#include "node/vault/leverage_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STRIP = 4096 }; /* patients whose rest stays in cache */

/* What is left of a column counts as nothing below this many patients: sums of integers
 * leave 0 or more than this, and rounding less. Above it the leverages decide. */
static const double NOTHING = 1e-6;
/* Rounding of a patient's own rest. */
static const double HAIR = 1e-9;

struct leverage_mark { /* a state to come back to */
    size_t n;
    double *leverages;
};

static size_t words_of(const struct leverage *l)
{
    return (size_t)((l->patients + 63) / 64);
}

enum fault leverage_new(struct cx *cx, uint64_t patients, struct leverage **ret)
{
    struct leverage *l = calloc(1, sizeof *l);

    *ret = NULL;
    if (l == NULL || patients > UINT32_MAX) {
        free(l);
        return cx_fail(cx, FAULT_BOUND, "leverages: %llu patients are too many",
                       (unsigned long long)patients);
    }
    l->patients = patients;
    l->leverages = calloc(patients > 0 ? (size_t)patients : 1, sizeof *l->leverages);
    l->basis = calloc(LEVERAGE_RANK_MAX, sizeof *l->basis);
    l->planes = calloc(LEVERAGE_RANK_MAX / 8, sizeof *l->planes);
    if (l->leverages == NULL || l->basis == NULL || l->planes == NULL) {
        leverage_free(&l);
        return cx_fail(cx, FAULT_MEMORY, "leverages: out of memory");
    }
    *ret = l;
    return FAULT_NONE;
}

static void basis_free(struct leverage_basis *b)
{
    free(b->set);
    free(b->values);
    free(b->gram);
    free(b->factor);
    *b = (struct leverage_basis){0};
}

void leverage_free(struct leverage **at)
{
    struct leverage *l = *at;

    if (l == NULL)
        return;
    for (size_t i = 0; l->basis != NULL && i < l->n; i++)
        basis_free(&l->basis[i]);
    for (size_t i = 0; l->planes != NULL && i < LEVERAGE_RANK_MAX / 8; i++)
        free(l->planes[i]);
    free(l->basis);
    free(l->planes);
    free(l->leverages);
    free(l);
    *at = NULL;
}

/* The same bytes with zeros behind them; without memory the old ones, and *ok false. */
static void *longer(void *old, size_t before, size_t after, bool *ok)
{
    uint8_t *grown;

    if (old == NULL || !*ok)
        return old;
    grown = realloc(old, after > 0 ? after : 1);
    if (grown == NULL) {
        *ok = false;
        return old;
    }
    memset(grown + before, 0, after - before);
    return grown;
}

enum fault leverage_grow(struct cx *cx, struct leverage *l, uint64_t patients)
{
    size_t before = words_of(l), after = (size_t)((patients + 63) / 64);
    bool ok = true;

    if (patients > UINT32_MAX || patients < l->patients)
        return cx_fail(cx, FAULT_BOUND, "leverages: %llu patients are too many",
                       (unsigned long long)patients);
    l->leverages = longer(l->leverages, (size_t)l->patients * sizeof *l->leverages,
                          (size_t)patients * sizeof *l->leverages, &ok);
    for (size_t i = 0; i < l->n; i++) {
        struct leverage_basis *basis = &l->basis[i];

        basis->set = longer(basis->set, before * 8, after * 8, &ok);
        basis->values = longer(basis->values, (size_t)l->patients * sizeof *basis->values,
                               (size_t)patients * sizeof *basis->values, &ok);
    }
    for (size_t i = 0; i < LEVERAGE_RANK_MAX / 8; i++)
        l->planes[i] = longer(l->planes[i], before * 64, after * 64, &ok);
    if (!ok)
        return cx_fail(cx, FAULT_MEMORY, "leverages: out of memory");
    l->patients = patients;
    return FAULT_NONE;
}

size_t leverage_rank(const struct leverage *l)
{
    return l->n;
}

uint64_t leverage_patients(const struct leverage *l)
{
    return l->patients;
}

const double *leverage_by_patient(const struct leverage *l)
{
    return l->leverages;
}

const uint64_t *leverage_gram(const struct leverage *l, size_t i)
{
    return l->basis[i].gram;
}

struct leverage_column leverage_at(const struct leverage *l, size_t i)
{
    return (struct leverage_column){.set = l->basis[i].set, .values = l->basis[i].values};
}

double leverage_highest(const struct leverage *l)
{
    double most = 0;

    for (uint64_t i = 0; i < l->patients; i++)
        most = fmax(most, l->leverages[i]);
    return most;
}

/* ---- products ---- */

static uint64_t sets_in_common(const uint64_t *a, const uint64_t *b, size_t words)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < words; i++)
        sum += (uint64_t)__builtin_popcountll(a[i] & b[i]);
    return sum;
}

#if defined(__x86_64__)
/* One instruction a word where the processor has it. */
__attribute__((target("popcnt"))) static uint64_t
sets_in_common_popcnt(const uint64_t *a, const uint64_t *b, size_t words)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < words; i++)
        sum += (uint64_t)__builtin_popcountll(a[i] & b[i]);
    return sum;
}
#endif

static uint64_t common(const uint64_t *a, const uint64_t *b, size_t words)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("popcnt"))
        return sets_in_common_popcnt(a, b, words);
#endif
    return sets_in_common(a, b, words);
}

static uint64_t values_in(const uint16_t *values, const uint64_t *set, size_t words)
{
    uint64_t sum = 0;

    for (size_t w = 0; w < words; w++)
        for (uint64_t left = set[w]; left != 0; left &= left - 1)
            sum += values[w * 64 + (size_t)__builtin_ctzll(left)];
    return sum;
}

static uint64_t product(const struct leverage *l, struct leverage_column a,
                        struct leverage_column b)
{
    size_t words = words_of(l);
    uint64_t sum = 0;

    if (a.set != NULL && b.set != NULL)
        return common(a.set, b.set, words);
    if (a.set != NULL)
        return values_in(b.values, a.set, words);
    if (b.set != NULL)
        return values_in(a.values, b.set, words);
    for (uint64_t i = 0; i < l->patients; i++)
        sum += (uint64_t)a.values[i] * b.values[i];
    return sum;
}

size_t leverage_products_size(const struct leverage *l, size_t n)
{
    if (n > LEVERAGE_RANK_MAX)
        return SIZE_MAX;
    return n * l->n + n * (n + 1) / 2;
}

enum fault leverage_products(struct cx *cx, const struct leverage *l,
                             const struct leverage_column *columns, size_t n, uint64_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        TRY(cx_on_time(cx));
        for (size_t k = 0; k < l->n; k++)
            *ret++ = product(l, columns[i], leverage_at(l, k));
        for (size_t k = 0; k <= i; k++)
            *ret++ = product(l, columns[i], columns[k]);
    }
    return FAULT_NONE;
}

/* ---- one more column ---- */

static enum fault take_rows(struct cx *cx, struct leverage *l, struct leverage_column from,
                            struct leverage_basis *b)
{
    size_t words = words_of(l), n = (size_t)l->patients;

    if (from.set == NULL) {
        b->values = malloc(n > 0 ? n * sizeof *b->values : 1);
        if (b->values == NULL)
            return cx_fail(cx, FAULT_MEMORY, "leverages: out of memory");
        memcpy(b->values, from.values, n * sizeof *b->values);
        return FAULT_NONE;
    }
    b->set = malloc(words > 0 ? words * sizeof *b->set : 1);
    b->place = l->n_sets;
    uint8_t **plane = &l->planes[b->place / 8];
    if (*plane == NULL)
        *plane = calloc(words > 0 ? words * 64 : 1, 1);
    if (b->set == NULL || *plane == NULL)
        return cx_fail(cx, FAULT_MEMORY, "leverages: out of memory");
    memcpy(b->set, from.set, words * sizeof *b->set);
    for (size_t w = 0; w < words; w++)
        for (uint64_t left = from.set[w]; left != 0; left &= left - 1)
            (*plane)[w * 64 + (size_t)__builtin_ctzll(left)] |=
                (uint8_t)(1U << (b->place % 8));
    l->n_sets++;
    return FAULT_NONE;
}

static enum fault join_basis(struct cx *cx, struct leverage *l, struct leverage_column from,
                             const uint64_t *g, const double *factor)
{
    struct leverage_basis b = {0};
    size_t n = l->n + 1;

    if (l->n == LEVERAGE_RANK_MAX)
        return cx_fail(cx, FAULT_BOUND, "leverages: a basis of %d columns is full",
                       LEVERAGE_RANK_MAX);
    enum fault fault = take_rows(cx, l, from, &b);
    b.gram = malloc(n * sizeof *b.gram);
    b.factor = malloc(n * sizeof *b.factor);
    if (fault == FAULT_NONE && (b.gram == NULL || b.factor == NULL))
        fault = cx_fail(cx, FAULT_MEMORY, "leverages: out of memory");
    if (fault != FAULT_NONE) {
        basis_free(&b);
        return fault;
    }
    memcpy(b.gram, g, n * sizeof *b.gram);
    memcpy(b.factor, factor, n * sizeof *b.factor);
    l->basis[l->n++] = b;
    return FAULT_NONE;
}

/* Takes the newest columns off again. */
static void back_to(struct leverage *l, const struct leverage_mark *mark)
{
    while (l->n > mark->n) {
        struct leverage_basis *b = &l->basis[--l->n];

        if (b->set != NULL) {
            uint8_t *plane = l->planes[b->place / 8];
            uint8_t keep = (uint8_t) ~(1U << (b->place % 8));

            for (size_t i = 0; i < words_of(l) * 64; i++)
                plane[i] &= keep;
            l->n_sets--;
        }
        basis_free(b);
    }
    memcpy(l->leverages, mark->leverages, (size_t)l->patients * sizeof *l->leverages);
}

/* Eight sets at a time: what each of 256 memberships takes away. */
static void plane_table(const struct leverage *l, const double *by_place, size_t plane,
                        double table[256])
{
    table[0] = 0;
    for (size_t bit = 0; bit < 8; bit++) {
        size_t place = plane * 8 + bit;
        double c = place < l->n_sets ? by_place[place] : 0;

        for (size_t low = 0; low < (size_t)1 << bit; low++)
            table[((size_t)1 << bit) + low] = table[low] + c;
    }
}

struct rest {
    double *tables; /* 256 a plane */
    size_t planes;
    const double *c;
};

static enum fault rest_new(struct cx *cx, const struct leverage *l, const double *c,
                           struct rest *ret)
{
    double *by_place;

    CX_NEW(cx, by_place, l->n_sets);
    for (size_t k = 0; k < l->n; k++)
        if (l->basis[k].set != NULL)
            by_place[l->basis[k].place] = c[k];
    *ret = (struct rest){.planes = (l->n_sets + 7) / 8, .c = c};
    CX_NEW(cx, ret->tables, ret->planes * 256);
    for (size_t p = 0; p < ret->planes; p++)
        plane_table(l, by_place, p, ret->tables + p * 256);
    return FAULT_NONE;
}

/* e = z - Z c of the patients from `first` on. */
static void rest_of(const struct leverage *l, const struct rest *r,
                    struct leverage_column z, size_t first, size_t n, double *e)
{
    for (size_t i = 0; i < n; i++)
        e[i] = z.set != NULL ? (double)(z.set[(first + i) / 64] >> ((first + i) % 64) & 1)
                             : z.values[first + i];
    for (size_t p = 0; p < r->planes; p++) {
        const uint8_t *plane = l->planes[p] + first;
        const double *table = r->tables + p * 256;

        for (size_t i = 0; i < n; i++)
            e[i] -= table[plane[i]];
    }
    for (size_t k = 0; k < l->n; k++) {
        const uint16_t *values = l->basis[k].values;

        for (size_t i = 0; values != NULL && i < n; i++)
            e[i] -= r->c[k] * values[first + i];
    }
}

/* Adds what the column adds. *ret_bears: nobody whom it touches is above the limit then. */
static enum fault add_leverages(struct cx *cx, struct leverage *l, struct leverage_column z,
                                const struct leverage_fit *fit, double limit,
                                bool *ret_bears)
{
    struct rest r;
    double e[STRIP];
    bool above = false;

    TRY(rest_new(cx, l, fit->c, &r));
    for (size_t first = 0; first < l->patients; first += STRIP) {
        size_t n = l->patients - first < STRIP ? (size_t)(l->patients - first) : STRIP;

        TRY(cx_on_time(cx));
        rest_of(l, &r, z, first, n, e);
        for (size_t i = 0; i < n; i++) {
            double more = e[i] * e[i] / fit->left;

            l->leverages[first + i] += more;
            above |= more > HAIR && l->leverages[first + i] > limit * (1 + HAIR);
        }
    }
    *ret_bears = !above;
    return FAULT_NONE;
}

enum outcome { FOLLOWS, JOINED, NOT_BORNE };

struct asking { /* about one column that follows */
    const struct leverage_logic *logic; /* NULL: nobody is asked */
    size_t column, n_joined;
    const size_t *joined;
};

static enum fault ask(struct cx *cx, const struct leverage *l, const struct asking *a,
                      const double *c, enum outcome *ret)
{
    bool follows = true;

    if (a->logic != NULL)
        TRY(a->logic->follows(a->logic->user, a->column, c, l->n, a->joined, a->n_joined,
                              &follows));
    TRY(cx_on_time(cx));
    *ret = follows ? FOLLOWS : NOT_BORNE;
    return FAULT_NONE;
}

/* g: products with the basis, then with itself. */
static enum fault append(struct cx *cx, struct leverage *l, struct leverage_column z,
                         const uint64_t *g, double limit, const struct asking *asking,
                         enum outcome *ret)
{
    AUTO_CX struct cx *own = cx_new((size_t)256 * 1024 * 1024, cx_deadline(cx));
    struct leverage_fit fit;
    bool bears;

    if (own == NULL)
        return cx_fail(cx, FAULT_MEMORY, "leverages: out of memory");
    double nothing = z.set != NULL ? NOTHING : NOTHING * LEVERAGE_UNIT * LEVERAGE_UNIT;
    enum fault fault = leverage_solve(own, l, g, &fit);
    if (fault == FAULT_NONE && fit.left <= nothing) {
        if (fit.left >= -nothing)
            return ask(cx, l, asking, fit.c, ret);
        *ret = NOT_BORNE; /* no sets have such products */
        return FAULT_NONE;
    }
    if (fault == FAULT_NONE)
        fault = add_leverages(own, l, z, &fit, limit, &bears);
    if (fault == FAULT_NONE)
        fault = join_basis(own, l, z, g, fit.factor);
    if (fault != FAULT_NONE)
        return cx_fail(cx, fault, "%s", cx_message(own));
    *ret = bears ? JOINED : NOT_BORNE;
    return FAULT_NONE;
}

static void mark_again(const struct leverage *l, struct leverage_mark *mark)
{
    mark->n = l->n;
    memcpy(mark->leverages, l->leverages, (size_t)l->patients * sizeof *l->leverages);
}

static enum fault mark_new(struct cx *cx, const struct leverage *l,
                           struct leverage_mark *ret)
{
    CX_NEW(cx, ret->leverages, (size_t)l->patients);
    mark_again(l, ret);
    return FAULT_NONE;
}

/*
 * The new columns in turn. Of column i, row i of `pooled` has the products with the basis
 * of before, then with the new ones; of these the ones that joined are asked for.
 */
static enum fault append_all(struct cx *cx, struct leverage *l,
                             const struct leverage_column *columns, size_t n,
                             const uint64_t *pooled, double limit,
                             const struct leverage_logic *logic, bool force, bool *take,
                             bool *ret_basis)
{
    size_t before = l->n, n_joined = 0, *joined;
    struct leverage_mark mark;
    uint64_t *g;

    CX_NEW(cx, joined, n);
    CX_NEW(cx, g, before + n + 1);
    TRY(mark_new(cx, l, &mark));
    for (size_t i = 0; i < n; i++) {
        const uint64_t *row = pooled;
        enum outcome outcome = FOLLOWS;

        pooled += before + i + 1;
        if (ret_basis != NULL)
            ret_basis[i] = false;
        if (!take[i])
            continue;
        memcpy(g, row, before * sizeof *g);
        for (size_t k = 0; k < n_joined; k++)
            g[before + k] = row[before + joined[k]];
        g[before + n_joined] = row[before + i];
        mark_again(l, &mark);
        const struct asking asking = {logic, i, n_joined, joined};

        TRY(append(cx, l, columns[i], g, force ? INFINITY : limit, &asking, &outcome));
        if (outcome == NOT_BORNE && !force) {
            back_to(l, &mark);
            take[i] = false;
        } else if (outcome == JOINED) {
            joined[n_joined++] = i;
            if (ret_basis != NULL)
                ret_basis[i] = true;
        }
    }
    return FAULT_NONE;
}

enum fault leverage_judge(struct cx *cx, struct leverage *l,
                          const struct leverage_column *columns, size_t n,
                          const uint64_t *pooled, double limit,
                          const struct leverage_logic *logic, bool *kept)
{
    AUTO_CX struct cx *own = cx_new((size_t)1 << 30, cx_deadline(cx));
    struct leverage_mark mark;

    if (own == NULL)
        return cx_fail(cx, FAULT_MEMORY, "leverages: out of memory");
    TRY(mark_new(own, l, &mark));
    enum fault fault = append_all(own, l, columns, n, pooled, limit, logic, false, kept, NULL);
    back_to(l, &mark);
    return fault == FAULT_NONE ? fault : cx_fail(cx, fault, "%s", cx_message(own));
}

enum fault leverage_add(struct cx *cx, struct leverage *l,
                        const struct leverage_column *columns, size_t n,
                        const uint64_t *pooled, const bool *take, bool *ret_basis)
{
    AUTO_CX struct cx *own = cx_new((size_t)1 << 30, cx_deadline(cx));
    struct leverage_mark mark;
    bool *taken;

    if (own == NULL)
        return cx_fail(cx, FAULT_MEMORY, "leverages: out of memory");
    TRY(mark_new(own, l, &mark));
    CX_NEW(own, taken, n);
    memcpy(taken, take, n * sizeof *taken);
    enum fault fault =
        append_all(own, l, columns, n, pooled, INFINITY, NULL, true, taken, ret_basis);
    if (fault == FAULT_NONE)
        return fault;
    back_to(l, &mark);
    return cx_fail(cx, fault, "%s", cx_message(own));
}

/*
 * design_rounds.c - the opening round of every regression, and the way between the columns
 * that are summed (centred, scaled) and those that were asked for.
 *
 * Centre: the pooled mean, rounded to a sixteenth of the scale; scale: the power of two
 * next to the pooled standard deviation. So (x - m) / s has few bits more than x and loses
 * nothing (SUMS.md section 5). Columns of 0 and 1 keep scale 1. Without an intercept
 * nothing is centred.
 */
#include "analyses/design.h"

#include <math.h>
#include <string.h>

#include "analyses/formula.h"

/* Quanta a row that a sum should keep, as powers of two. A finer scale than the bounds give
 * needs the engine's slower kernel: for few rows always, for many when bounds are more than
 * 32 times as far from the mean as the standard deviation (of 2^40 rows). Doubles hold 53
 * bits. */
enum { QUANTA_ROUNDED = 62, QUANTA = 76, QUANTA_ALL = 126, FEW_ROWS = 1 << 13 };

static struct measure_key group_key(const struct design *d, struct measure *m,
                                    size_t factor)
{
    const struct design_factor *f = &d->factors[factor];
    ref key = f->kind == DESIGN_CLAIM ? m_is_true(m, f->ast) : levels_key(m, &f->levels);

    return (struct measure_key){.expr = key, .size = (uint32_t)f->n_cells};
}

/* The numbers of block 1, in the order that design_learn_opening reads. */
static size_t opening_sums(const struct design *d, struct measure *m,
                           const struct design_nodes *nodes, const ref *extra,
                           size_t n_extra, ref *sums)
{
    ref w = nodes->w == 0 ? m_const(m, 1) : nodes->w, yes = m_const(m, 1);
    size_t n = 0;

    sums[n++] = w;
    sums[n++] = m->domain == 0 ? m_const(m, 0) : m_unary(m, M_NOT, m->domain);
    sums[n++] = nodes->offset == 0 ? m_const(m, 0) : m_binary(m, M_MUL, w, nodes->offset);
    for (size_t i = 0; i <= d->n_columns; i++) {
        ref x = i < d->n_columns ? nodes->columns[i] : nodes->y;
        double middle = i < d->n_columns ? d->columns[i].middle : d->y_middle;
        ref away = m_binary(m, M_SUB, x, m_const(m, middle));

        if (x == yes)
            continue; /* the intercept is w */
        sums[n++] = m_binary(m, M_MUL, w, x);
        sums[n++] = m_binary(m, M_MUL, w, m_binary(m, M_MUL, away, away));
    }
    for (size_t i = 0; i < n_extra; i++)
        sums[n++] = extra[i];
    return n;
}

enum fault design_ask_opening(const struct design *d, struct measure *m,
                              const struct design_nodes *nodes, const ref *extra,
                              size_t n_extra, bool response_is_class)
{
    struct measure_key keys[FORMULA_FACTORS_MAX];
    size_t size = 2 * (d->n_columns + 1) + n_extra + 3;
    ref *sums;

    CX_NEW(m->cx, sums, size);
    struct block all = {.where = nodes->all}, used = {.where = nodes->where, .sums = sums};
    struct block missing = {.where = nodes->missing};
    used.n_sums = opening_sums(d, m, nodes, extra, n_extra, sums);
    (void)measure_block(m, &all);
    (void)measure_block(m, &used);
    (void)measure_block(m, &missing);
    for (size_t g = 0; g < d->n_groups; g++) {
        struct block cells = {
            .where = nodes->where, .keys = keys, .n_keys = d->groups[g].n};

        for (size_t i = 0; i < d->groups[g].n; i++)
            keys[i] = group_key(d, m, d->groups[g].factors[i]);
        (void)measure_block(m, &cells);
    }
    if (response_is_class) {
        struct block classes = {.where = nodes->where, .keys = keys, .n_keys = 1};
        keys[0] = (struct measure_key){.expr = nodes->y, .size = 2};
        (void)measure_block(m, &classes);
    }
    return m->fault;
}

static double power_of_two_near(double sd)
{
    int e;
    double f = frexp(sd, &e);

    return ldexp(1, f < 0.70710678118654752 ? e - 1 : e);
}

struct moments {                  /* of a column x, over the complete rows */
    struct dd sum, away;          /* of w x and of w (x - middle)^2 */
    double sum_error, away_error; /* at most so far off */
    double middle, lower, upper;  /* the codebook's */
    bool weighted;
};

static struct moments read_moments(const struct measure *m, const struct tally *t,
                                   const struct opening *o, size_t at, bool weighted)
{
    double rows = (double)o->rows, unit = 0x1p-53;
    struct moments x = {.sum = pooled_number(m, t, 1, 0, at),
                        .away = pooled_number(m, t, 1, 0, at + 1),
                        .weighted = weighted};

    /* Each row's term was rounded on its way: the difference, the square, the product with
     * a weight. */
    x.sum_error = pooled_error(m, 1, rows, at) +
                  (weighted ? rows * m->blocks[1].bounds[at] * unit : 0);
    x.away_error = pooled_error(m, 1, rows, at + 1) + 4 * unit * fabs(x.away.hi);
    return x;
}

/* sum w (x - c)^2, and how far that may be off. */
static struct dd squares_about(const struct opening *o, const struct moments *x, double c,
                               double *ret_error)
{
    struct dd middle = dd_of(x->middle), shift = dd_sub(middle, dd_of(c));
    struct dd first = dd_sub(x->sum, dd_mul(middle, o->weight));
    struct dd cross = dd_scale(dd_mul(shift, first), 2);

    *ret_error = x->away_error + 2 * fabs(shift.hi) * x->sum_error;
    return dd_add(x->away, dd_add(cross, dd_mul(dd_mul(shift, shift), o->weight)));
}

/* The same from one end of the bounds: values at least 0 away from it whose sum is T have
 * squares of at most (the bounds' width) T in all, and of T^2 where weights are 1. Where
 * bounds are far wider than the values this knows more than the squares about their middle,
 * which drown. */
static double squares_from_end(const struct opening *o, const struct moments *x, double c,
                               double end)
{
    double sign = end == x->lower ? 1 : -1, weight = dd_double(o->weight);
    struct dd first = dd_sub(x->sum, dd_mul(dd_of(end), o->weight));
    double total = fmax(sign * dd_double(first), 0) + x->sum_error, far = fabs(c - end);
    double squares = total * (x->upper - x->lower);

    if (!x->weighted)
        squares = fmin(squares, total * total);
    return squares + fmax(far * (far * weight - 2 * total), 0) + 4 * far * x->sum_error;
}

/* No more than this is sum w (x - c)^2. */
static double squares_most(const struct opening *o, const struct moments *x, double c)
{
    double error, squares = dd_double(squares_about(o, x, c, &error));

    squares = fmax(squares, 0) + error;
    squares = fmin(squares, squares_from_end(o, x, c, x->lower));
    squares = fmin(squares, squares_from_end(o, x, c, x->upper));
    return squares * (1 + 1e-6); /* a centre within 1e-9 of ours may be adopted */
}

/* To 24 significant bits, ties to even. */
static double round_24_bits(double x)
{
    int e;
    double f = frexp(x, &e);

    return ldexp(nearbyint(ldexp(f, 24)), e - 24);
}

static void place(const struct design *d, struct opening *o, const struct moments *x,
                  bool indicator, size_t i)
{
    double scale = 1, centre = 0, error;

    if (o->weight.hi > 0) {
        struct dd mean = dd_div(x->sum, o->weight);
        struct dd squares = squares_about(o, x, d->intercept ? mean.hi : 0, &error);
        double sd = sqrt(fmax(dd_div(squares, o->weight).hi, 0));
        bool drowned = squares.hi < 4 * error;

        if (drowned) /* the bounds are too wide to see the spread: what it is at most */
            sd = sqrt(squares_most(o, x, d->intercept ? mean.hi : 0) / o->weight.hi);
        if (!indicator && sd > fabs(mean.hi) * 1e-15 && sd > 0x1p-200)
            scale = power_of_two_near(sd);
        if (d->intercept && drowned)
            centre = round_24_bits(mean.hi);
        else if (d->intercept)
            centre = nearbyint(mean.hi / (scale / 16)) * (scale / 16);
    }
    o->centre[i] = centre + 0.0;
    o->scale[i] = scale;
    o->length2[i] = squares_most(o, x, centre) / (scale * scale);
}

/* Patients by level of factor f, from the group that holds it first. */
static uint64_t level_patients(const struct design *d, const struct measure *m,
                               const struct tally *t, size_t factor, size_t level)
{
    for (size_t g = 0; g < d->n_groups; g++) {
        const struct design_group *group = &d->groups[g];
        size_t below = 1, cells = d->factors[factor].n_cells, patients = 0;
        bool found = false;

        for (size_t i = group->n; i-- > 0 && !found;) {
            found = group->factors[i] == factor;
            if (!found)
                below *= d->factors[group->factors[i]].n_cells;
        }
        if (!found)
            continue;
        for (size_t cell = 0; cell < group->n_cells; cell++)
            if (cell / below % cells == level)
                patients += pooled_patients(m, t, 3 + g, cell);
        return patients;
    }
    return 0;
}

/* R drops the levels that no row has; the first of the others is the reference. */
static bool is_kept(const struct design *d, const struct measure *m, const struct tally *t,
                    const struct design_column *column)
{
    for (size_t p = 0; p < column->n; p++) {
        const struct design_piece *piece = &column->pieces[p];
        size_t first = 0;

        if (d->factors[piece->factor].kind != DESIGN_LEVELS)
            continue;
        if (level_patients(d, m, t, piece->factor, piece->level) == 0)
            return false;
        while (level_patients(d, m, t, piece->factor, first) == 0)
            first++;
        if (piece->contrast && piece->level == first)
            return false;
    }
    return true;
}

static void learn_counts(const struct design *d, const struct measure *m,
                         const struct tally *t, bool response_is_class, struct opening *o)
{
    o->keyed = m->keyed;
    o->all_key = pooled_key(m, t, 0, 0);
    o->key = pooled_key(m, t, 1, 0);
    o->missing_key = pooled_key(m, t, 2, 0);
    o->all_patients = pooled_patients(m, t, 0, 0);
    o->all_rows = pooled_rows(m, t, 0, 0);
    o->patients = pooled_patients(m, t, 1, 0);
    o->rows = pooled_rows(m, t, 1, 0);
    o->missing_patients = pooled_patients(m, t, 2, 0);
    o->missing_rows = pooled_rows(m, t, 2, 0);
    o->smallest_cell = o->patients;
    for (size_t b = 3; b < 3 + d->n_groups + response_is_class; b++)
        for (size_t cell = 0; cell < m->blocks[b].n_cells; cell++)
            if (pooled_patients(m, t, b, cell) < o->smallest_cell)
                o->smallest_cell = pooled_patients(m, t, b, cell);
}

enum fault design_learn_opening(struct cx *cx, const struct design *d,
                                const struct measure *m, const struct tally *pooled,
                                size_t n_extra, bool response_is_class,
                                struct opening **ret)
{
    struct opening *o;
    size_t at = 3, places = d->n_columns + 1;

    CX_NEW(cx, o, 1);
    CX_NEW(cx, o->kept, places);
    CX_NEW(cx, o->centre, places);
    CX_NEW(cx, o->scale, places);
    CX_NEW(cx, o->length2, places);
    CX_NEW(cx, o->extra, n_extra);
    learn_counts(d, m, pooled, response_is_class, o);
    o->weight = pooled_number(m, pooled, 1, 0, 0);
    o->undefined = pooled_number(m, pooled, 1, 0, 1).hi > 0;
    if (o->weight.hi > 0)
        o->offset_mean = dd_div(pooled_number(m, pooled, 1, 0, 2), o->weight);
    for (size_t i = 0; i < d->n_columns; i++) {
        const struct design_column *column = &d->columns[i];

        if (column->term < 0) {
            o->scale[o->n] = 1;
            o->length2[o->n] = dd_double(o->weight) * (1 + 1e-6);
            o->kept[o->n++] = i;
            continue;
        }
        struct moments x = read_moments(m, pooled, o, at, d->weights >= 0);
        at += 2;
        x.middle = column->middle;
        x.lower = column->lower;
        x.upper = column->upper;
        if (d->asked->testing && !is_kept(d, m, pooled, column))
            continue;
        place(d, o, &x, column->indicator, o->n);
        o->kept[o->n++] = i;
    }
    struct moments y = read_moments(m, pooled, o, at, d->weights >= 0);
    y.middle = d->y_middle;
    y.lower = fmin(d->y_lower, d->y_lower - d->offset_upper); /* lm takes the offset off */
    y.upper = fmax(d->y_upper, d->y_upper - d->offset_lower);
    place(d, o, &y, false, o->n);
    o->y_mean = o->weight.hi > 0 ? dd_div(y.sum, o->weight) : dd_of(d->y_middle);
    at += 2;
    for (size_t i = 0; i < n_extra; i++)
        o->extra[i] = pooled_number(m, pooled, 1, 0, at + i);
    *ret = o;
    return FAULT_NONE;
}

size_t design_input_size(const struct opening *o)
{
    return 2 * (o->n + 1);
}

enum fault design_put_input(struct cx *cx, const struct opening *o, size_t n_more,
                            struct state *state)
{
    state->n_input = design_input_size(o) + n_more;
    CX_NEW(cx, state->input, state->n_input);
    CX_NEW(cx, state->input_scale, state->n_input);
    for (size_t i = 0; i <= o->n; i++) {
        state->input[2 * i] = o->centre[i];
        state->input[2 * i + 1] = o->scale[i];
        state->input_scale[2 * i] = state->input_scale[2 * i + 1] = o->scale[i];
    }
    for (size_t i = design_input_size(o); i < state->n_input; i++)
        state->input_scale[i] = 1;
    return FAULT_NONE;
}

ref design_scaled(struct measure *m, const struct opening *o,
                  const struct design_nodes *nodes, const double *input, size_t i)
{
    ref x = i < o->n ? nodes->columns[o->kept[i]] : nodes->y;

    x = m_binary(m, M_SUB, x, m_const(m, input[2 * i]));
    return m_binary(m, M_MUL, x, m_const(m, 1 / input[2 * i + 1]));
}

static double size_of(const struct measure *m, ref i)
{
    return i == 0 ? 1 : fmax(fabs(m->nodes[i].lower), fabs(m->nodes[i].upper));
}

/* By Cauchy and Schwarz: |sum w v x z| <= max |v| |x| |z| and |sum w s x| <= max |s| |1|
 * |x|, with the lengths under the prior weights w. */
void design_totals(struct measure *m, const struct design *d, const struct opening *o,
                   bool exact_terms, double rhs_length, struct block *b)
{
    double *totals = cx_array(m->cx, block_numbers(b) + 1, sizeof *totals);
    double weight = dd_double(o->weight);
    size_t at = b->n_sums; /* 0 each: not known */

    if (totals == NULL) {
        m->fault = FAULT_MEMORY;
        return;
    }
    for (size_t w = 0; w < b->n_weights; w++)
        for (size_t i = 0; i < b->n_design; i++)
            for (size_t j = i; j < b->n_design; j++)
                totals[at++] = size_of(m, b->weights[w]) / d->w_upper *
                               sqrt(o->length2[i] * o->length2[j]);
    for (size_t r = 0; r < b->n_rhs; r++) {
        double length = size_of(m, b->rhs[r]) / d->w_upper * sqrt(weight);

        for (size_t i = 0; i < b->n_design; i++)
            totals[at++] = fmin(length, rhs_length) * sqrt(o->length2[i]);
    }
    for (size_t i = 0; i < at; i++)
        totals[i] *= 1 + 1e-6;
    b->totals = totals;
    b->total_rows = (double)o->rows;
    b->quanta_log2 = !exact_terms         ? QUANTA_ROUNDED
                     : o->rows < FEW_ROWS ? QUANTA_ALL
                                          : QUANTA;
}

struct dd *design_norms(struct cx *cx, const struct design *d, size_t n,
                        const double *input, const struct dd *gram)
{
    struct dd *norms = cx_array(cx, n + 1, sizeof *norms);

    for (size_t j = 0; norms != NULL && j < n; j++) {
        norms[j] = gram[j * n + j];
        if (!d->intercept || j == 0)
            continue;
        struct dd shift = dd_of(input[2 * j] / input[2 * j + 1]);
        struct dd cross = dd_scale(dd_mul(shift, gram[j]), 2);
        norms[j] = dd_add(dd_add(norms[j], cross), dd_mul(dd_mul(shift, shift), gram[0]));
    }
    return norms;
}

void design_to_raw(const struct design *d, const struct opening *o, const double *input,
                   double y_scale, double y_centre, struct dd *coef, struct dd *vcov)
{
    size_t n = o->n;

    for (size_t i = 0; i < n; i++)
        coef[i] = dd_scale(coef[i], y_scale / input[2 * i + 1]);
    for (size_t i = 0; vcov != NULL && i < n; i++)
        for (size_t j = 0; j < n; j++) {
            vcov[i * n + j] = dd_scale(vcov[i * n + j], y_scale / input[2 * i + 1]);
            vcov[i * n + j] = dd_scale(vcov[i * n + j], y_scale / input[2 * j + 1]);
        }
    if (!d->intercept)
        return;
    coef[0] = dd_add(coef[0], dd_of(y_centre));
    for (size_t i = 1; i < n; i++)
        coef[0] = dd_sub(coef[0], dd_mul(coef[i], dd_of(input[2 * i])));
    if (vcov == NULL)
        return;
    for (size_t j = 0; j < n; j++) /* row 0 -= sum of m_i row i */
        for (size_t i = 1; i < n; i++)
            vcov[j] = dd_sub(vcov[j], dd_mul(dd_of(input[2 * i]), vcov[i * n + j]));
    for (size_t i = 0; i < n; i++) { /* column 0 likewise */
        struct dd sum = i == 0 ? vcov[0] : vcov[i * n];
        for (size_t j = 1; j < n; j++)
            sum = dd_sub(sum, dd_mul(dd_of(input[2 * j]), vcov[i * n + j]));
        vcov[i * n] = sum;
    }
}

void design_guard(struct measure *m, const ref *columns, size_t n, ref w,
                  const struct dd *inverse, struct measure_guard *ret)
{
    double *a = cx_array(m->cx, n * n + 1, sizeof *a);

    *ret = (struct measure_guard){.rule = GUARD_LEVERAGE};
    if (a == NULL) {
        m->fault = FAULT_MEMORY;
        return;
    }
    for (size_t i = 0; i < n * n; i++)
        a[i] = dd_double(inverse[i]);
    ref share = m_quadratic(m, columns, a, n);
    if (w != 0)
        share = m_binary(m, M_MUL, w, share);
    ret->expr = m_binary(m, M_MAX, share, m_const(m, 0));
}

void design_guard_response(const struct design *d, struct measure *m,
                           const struct design_nodes *nodes, ref y)
{
    struct measure_key keys[FORMULA_FACTORS_MAX];
    ref size = m_unary(m, M_ABS, nodes->w == 0 ? y : m_binary(m, M_MUL, nodes->w, y));
    struct measure_guard guard = {.rule = GUARD_DOMINANCE, .expr = size};
    struct block block = {.where = nodes->where,
                          .keys = keys,
                          .sums = &size,
                          .n_sums = 1,
                          .guards = &guard,
                          .n_guards = 1};

    (void)measure_block(m, &block);
    for (size_t g = 0; g < d->n_groups; g++) {
        block.n_keys = d->groups[g].n;
        for (size_t i = 0; i < d->groups[g].n; i++)
            keys[i] = group_key(d, m, d->groups[g].factors[i]);
        (void)measure_block(m, &block);
    }
}

enum fault design_result(struct cx *cx, const struct design *d, const struct opening *o,
                         size_t rank, struct result *r)
{
    const char **names;
    uint64_t *counts;

    CX_NEW(cx, names, o->n);
    CX_NEW(cx, counts, 9);
    for (size_t i = 0; i < o->n; i++)
        names[i] = d->columns[o->kept[i]].name;
    if (result_words(r, "terms", names, o->n) == NULL)
        return FAULT_MEMORY;
    uint64_t values[9] = {o->all_rows,     o->rows,     o->missing_rows,
                          o->all_patients, o->patients, o->missing_patients,
                          o->all_key,      o->key,      o->missing_key};
    memcpy(counts, values, sizeof values);
    r->has_accounting = true;
    r->accounting = (struct accounting){
        .name_used = "n",
        .name_missing = "dropped",
        .n = 1,
        .all = counts,
        .used = counts + 1,
        .missing = counts + 2,
        .all_patients = counts + 3,
        .used_patients = counts + 4,
        .missing_patients = counts + 5,
        .all_keys = o->keyed ? counts + 6 : NULL,
        .used_keys = o->keyed ? counts + 7 : NULL,
        .missing_keys = o->keyed ? counts + 8 : NULL,
    };
    r->is_model = true;
    r->model_rows = o->rows;
    r->model_patients = o->patients;
    r->parameters = rank;
    r->residual_df = (double)o->rows - (double)rank;
    r->smallest_cell = o->smallest_cell;
    if (rank < o->n)
        result_note(
            r, "some columns follow from earlier ones (aliased): their coefficients are "
               "not defined");
    if (o->undefined)
        r->trouble =
            "no fit: a logarithm or a square root meets a value that it does not take "
            "(zero or less); restrict the cohort, for example --where 'x > 0'";
    return FAULT_NONE;
}

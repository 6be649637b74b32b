/* accuracy.c - see accuracy.h. */
#include "analyses/accuracy.h"

#include <math.h>
#include <string.h>

enum { DIGITS_ENOUGH = 6, DIGITS_LEAST = 3 };
/* Bounds that are so many times as wide as the values are what an answer suffers from. */
static const double WIDE = 32;

int accuracy_digits(double error)
{
    double limit = 1e-6;
    int digits = DIGITS_ENOUGH;

    while (digits > 0 && !(error <= limit)) {
        limit *= 10;
        digits--;
    }
    return digits;
}

bool accuracy_is_shown(const struct accuracy *a)
{
    return accuracy_digits(a->steps + a->roundings) >= DIGITS_LEAST;
}

/* Quanta of the gram's entries; of the response's products, or of the score. */
static enum fault find_steps(struct cx *cx, const struct measure *m, double rows,
                             const struct solved *s, const double *score_steps,
                             double **ret)
{
    const struct block *b = &m->blocks[0];
    size_t n = s->factor->n, width = n + 1, size = width * width;

    CX_NEW(cx, *ret, size);
    for (size_t i = 0; i < width; i++)
        for (size_t j = i; j < width; j++) {
            double step = 0;

            if (j < n || s->has_response)
                step = pooled_error(m, 0, rows, block_gram(b, 0, i, j));
            else if (i < n)
                step = score_steps[i];
            (*ret)[i * width + j] = (*ret)[j * width + i] = step;
        }
    return FAULT_NONE;
}

static void find_widest(const struct measure *m, double rows, const struct solved *s,
                        struct accuracy *ret)
{
    const struct block *b = &m->blocks[0];

    for (size_t i = 0; i < s->factor->n + s->has_response; i++) {
        double most = b->bounds[block_gram(b, 0, i, i)], mean = s->length2[i] / rows;
        double width = sqrt(most / fmax(mean, 0x1p-1000));

        if (width > ret->width && isfinite(width)) {
            ret->width = width;
            ret->widest = i;
        }
    }
}

enum fault accuracy_find(struct cx *cx, const struct measure *m, double rows,
                         const struct solved *s, const double *score_steps, double unit,
                         struct accuracy *ret)
{
    double *steps;

    *ret = (struct accuracy){0};
    if (s->factor->rank == 0 || !(rows > 0))
        return FAULT_NONE;
    TRY(find_steps(cx, m, rows, s, score_steps, &steps));
    TRY(perturb_worst(cx, s, &(struct errors){.steps = steps}, &ret->steps));
    if (unit > 0)
        TRY(perturb_worst(cx, s, &(struct errors){.unit = unit}, &ret->roundings));
    find_widest(m, rows, s, ret);
    return FAULT_NONE;
}

/* ---- words ---- */

/* "`x` (0 to 1000)", "`x` (0 to 1000) and `z` (0 to 5)" */
static const char *bounds_of(struct cx *cx, const struct design *d, const bool *used)
{
    const struct codebook *cb = d->asked->cb;
    const char *text = NULL;

    for (size_t v = 0; v < cb->body->n_variables; v++) {
        const Cohortium__Variable *variable = codebook_variable(cb, (int)v);
        double lower, upper;

        if (!used[v] || variable_has_levels(variable))
            continue;
        variable_range(variable, &lower, &upper);
        text = cx_printf(cx, "%s%s`%s` (%g to %g)", text == NULL ? "" : text,
                         text == NULL ? "" : " and ", variable->name, lower, upper);
        if (text == NULL)
            return NULL;
    }
    return text == NULL ? "the variables" : text;
}

static enum fault blame_bounds(struct cx *cx, const struct design *d,
                               const struct opening *o, const struct accuracy *a,
                               const char **ret)
{
    const struct design_column *c =
        a->widest < o->n ? &d->columns[o->kept[a->widest]] : NULL;
    const char *column = "the response";
    bool *used;

    CX_NEW(cx, used, d->asked->cb->body->n_variables);
    for (size_t p = 0; c != NULL && p < c->n; p++)
        if (d->factors[c->pieces[p].factor].n_cells == 0) {
            ast_variables(d->factors[c->pieces[p].factor].ast, used);
            column = c->name;
        }
    if (c == NULL || column != c->name) { /* it, or the weights that it gives all columns */
        ast_variables(d->response, used);
        if (d->offset != NULL)
            ast_variables(d->offset, used);
    }
    const char *bounds = bounds_of(cx, d, used);
    *ret = bounds == NULL
               ? NULL
               : cx_printf(cx,
                           "the codebook's bounds of %s are much wider than the values, so "
                           "that sums keep few digits of %s",
                           bounds, column);
    return *ret == NULL ? FAULT_MEMORY : FAULT_NONE;
}

enum fault accuracy_say(struct cx *cx, const struct design *d, const struct opening *o,
                        const struct accuracy *a, struct result *r)
{
    int digits = accuracy_digits(a->steps + a->roundings);
    bool bounds = a->steps >= a->roundings && a->width >= WIDE;
    const char *cause = "the columns of the model nearly follow from each other", *text;

    if (digits >= DIGITS_ENOUGH || r->trouble != NULL)
        return FAULT_NONE;
    if (bounds)
        TRY(blame_bounds(cx, d, o, a, &cause));
    /* Production has no constants in a formula: nothing can be centred there. */
    const char *advice =
        bounds ? "ask for narrower bounds in the codebook" : "leave a term out";
    const char *centre = d->asked->testing
                             ? ", or centre a variable before its powers and products: "
                               "I((x - c)^2) with c amid the values"
                             : "";

    if (!accuracy_is_shown(a))
        text = cx_printf(cx, "no numbers: %s, and fewer than %d would be right; %s%s",
                         cause, DIGITS_LEAST, advice, centre);
    else
        text = cx_printf(cx, "%s: about %d significant digits are right; %s%s", cause,
                         digits, advice, centre);
    if (text == NULL)
        return FAULT_MEMORY;
    if (accuracy_is_shown(a)) {
        result_note(r, text);
    } else {
        r->trouble = text;
        r->n_notes = 0; /* of columns whose rank is not known */
    }
    return FAULT_NONE;
}

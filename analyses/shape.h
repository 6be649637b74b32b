/*
 * shape.h - the cells of a table of one to four variables, and of all its totals, in order.
 *
 * With totals each variable has one more level, after its own: all of them together. Cells
 * are row-major, the last variable fastest. Without the totals the same order remains.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SHAPE_DIMS_MAX = 4 };

struct shape {
    size_t n_dims;
    size_t size[SHAPE_DIMS_MAX]; /* levels; level size[d] is the total */
};

static inline size_t shape_cells(const struct shape *s)
{
    size_t n = 1;

    for (size_t d = 0; d < s->n_dims; d++)
        n *= s->size[d];
    return n;
}

/* Cells and totals. */
static inline size_t shape_all(const struct shape *s)
{
    size_t n = 1;

    for (size_t d = 0; d < s->n_dims; d++)
        n *= s->size[d] + 1;
    return n;
}

/* From one variable's level to the next, among cells and totals. */
static inline size_t shape_step(const struct shape *s, size_t dim)
{
    size_t n = 1;

    for (size_t d = dim + 1; d < s->n_dims; d++)
        n *= s->size[d] + 1;
    return n;
}

/* at: among cells and totals. */
static inline size_t shape_level(const struct shape *s, size_t at, size_t dim)
{
    return at / shape_step(s, dim) % (s->size[dim] + 1);
}

static inline bool shape_is_total(const struct shape *s, size_t at)
{
    for (size_t d = 0; d < s->n_dims; d++)
        if (shape_level(s, at, d) == s->size[d])
            return true;
    return false;
}

/* Place among the cells; not of a total. */
static inline size_t shape_place(const struct shape *s, size_t at)
{
    size_t place = 0;

    for (size_t d = 0; d < s->n_dims; d++)
        place = place * s->size[d] + shape_level(s, at, d);
    return place;
}

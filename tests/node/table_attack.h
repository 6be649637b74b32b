/*
 * table_attack.h - a brute-force attacker of published tables, written apart from the gate.
 *
 * He knows the given cells and totals exactly and searches whole tables that agree with
 * them, one cell after the other. What no such table holds, he knows is not so. One of the
 * patients may help him: who is alone in a cell knows its number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ATTACK_DIMS = 4, ATTACK_CELLS = 128, ATTACK_K_MAX = 12 };

struct published {
    size_t n_dims, size[ATTACK_DIMS];
    size_t n;      /* cells; row-major, the last variable fastest */
    size_t n_sums; /* totals, in the order of the release */
    uint64_t cell[ATTACK_CELLS], sum[ATTACK_CELLS];
    bool cell_given[ATTACK_CELLS], sum_given[ATTACK_CELLS];
    bool zeros_shown;
    uint64_t k;
};

struct breach { /* what the attacker learned */
    bool found, is_sum;
    size_t at;
    uint64_t not_possible; /* of the numbers below k that the cell may hold */
    size_t helper;         /* the cell of the patient who helped; SIZE_MAX: nobody */
    size_t unknown;        /* searches given up: neither proved nor disproved */
};

/* sizes set: the rest from the cells; nothing given. */
void published_sum(struct published *p);
/* Whether the cell (not a total) is counted in this total. */
bool published_is_under(const struct published *p, size_t cell, size_t sum);
/* Withheld cells and totals below k: may each be anything below k? */
struct breach attack(const struct published *p);
/* Whether the withheld cell may hold this many; -1: the search was given up. */
int attack_may_hold(const struct published *p, size_t cell, uint64_t number);

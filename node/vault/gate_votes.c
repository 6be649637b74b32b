/*
 * gate_votes.c - what no site gives because one of them withholds it.
 *
 * Answers by site stand beside the pooled answer: of three sites two and the total tell the
 * third. So each site says of each value whether it withholds it, in words whose sum says
 * no more than that somebody does, and all withhold the same.
 */
#include "node/vault/gate_private.h"

#include <sodium.h>
#include <string.h>

struct votes {
    struct tally *words;
};

/* ---- places ---- */

static size_t accounted(const struct result *r)
{
    return r->has_accounting ? 2 * r->accounting.n : 0;
}

static size_t values_of(const struct item *item)
{
    return item->kind == COHORTIUM__ITEM_KIND__WORDS ? 0 : item->rows * item->columns;
}

size_t gate_places(const struct result *r)
{
    size_t n = accounted(r);

    for (size_t i = 0; i < r->n_items && !r->is_model; i++)
        n += values_of(&r->items[i]);
    return n;
}

bool is_taken(const struct making *m, size_t place)
{
    return m->taken != NULL && m->taken[place];
}

static bool lacks_a_number(const struct making *m)
{
    for (size_t i = 0; i < m->result->n_items; i++)
        for (size_t k = 0; k < values_of(&m->result->items[i]); k++)
            if (m->states[i][k] == CELL_WITHHELD)
                return true;
    return false;
}

enum fault places_withheld(const struct making *m, const bool **ret)
{
    const struct result *r = m->result;
    size_t n = r->has_accounting ? r->accounting.n : 0, at = accounted(r);
    bool *withheld;

    *ret = NULL;
    if (r->is_model && lacks_a_number(m))
        return FAULT_NONE;
    CX_NEW(m->cx, withheld, gate_places(r));
    for (size_t i = 0; i < n; i++) {
        withheld[i] = m->used_state[i] == CELL_WITHHELD;
        withheld[n + i] = m->missing_state[i] == CELL_WITHHELD;
    }
    for (size_t i = 0; i < r->n_items && !r->is_model; i++)
        for (size_t k = 0; k < values_of(&r->items[i]); k++)
            withheld[at++] = m->states[i][k] == CELL_WITHHELD;
    *ret = withheld;
    return FAULT_NONE;
}

/* ---- words ---- */

enum fault gate_votes(struct cx *cx, bool object, const bool *withheld, size_t n,
                      struct votes **ret)
{
    CX_NEW(cx, *ret, 1);
    TRY(tally_new(cx, 1 + n, 0, &(*ret)->words));
    for (size_t i = 0; i <= n; i++) {
        uint64_t *word = &(*ret)->words->counts[i], drawn = 0;
        bool no = i == 0 ? object : withheld[i - 1];

        while (drawn == 0) /* drawn by everybody: time tells nothing */
            randombytes_buf(&drawn, sizeof drawn);
        *word = no ? drawn : 0;
    }
    return FAULT_NONE;
}

const struct tally *votes_tally(const struct votes *v)
{
    return v->words;
}

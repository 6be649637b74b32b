/*
 * memory_meaning.c - of what a column is, stored with it, and whether a new one follows from
 * older ones by meaning (analyses/implied.h).
 *
 *   meaning = name of the variable || 0 || packed expression (none: everybody)
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyses/implied.h"
#include "node/vault/ledger_private.h"
#include "node/vault/memory_private.h"

static const double NO_PART = 1e-9;

enum fault memory_meaning(struct cx *cx, const struct codebook *cb, const struct ast *set,
                          const char *variable, struct bytes *ret)
{
    struct buffer b = buffer_new(cx, LEDGER_EXPRESSION_MAX + 256);
    struct bytes packed = {0};
    Cohortium__Ast *pb;

    if (set != NULL) {
        TRY(ast_to_pb(cx, cb, set, &pb));
        TRY(pb_pack(cx, &pb->base, &packed));
    }
    buffer_put(&b, variable, strlen(variable) + 1);
    buffer_put(&b, packed.p, packed.n);
    *ret = bytes_of(b.p, b.n);
    return b.fault;
}

enum fault memory_keep_meaning(struct cx *cx, struct memory *m, size_t place,
                               struct bytes meaning)
{
    struct meaning *at;

    if (m->meanings == NULL)
        m->meanings = calloc(LEVERAGE_RANK_MAX, sizeof *m->meanings);
    if (m->meanings == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for the ledger");
    at = &m->meanings[place];
    free(at->p);
    at->n = 0;
    at->p = malloc(meaning.n + 1);
    if (at->p == NULL)
        return cx_fail(cx, FAULT_MEMORY, "out of memory for the ledger");
    if (meaning.n > 0)
        memcpy(at->p, meaning.p, meaning.n);
    at->n = meaning.n;
    return FAULT_NONE;
}

void memory_drop_meanings(struct memory *m, size_t first)
{
    for (size_t i = first; m->meanings != NULL && i < LEVERAGE_RANK_MAX; i++) {
        free(m->meanings[i].p);
        m->meanings[i] = (struct meaning){0};
    }
}

/* *ret_known: it can be read by this codebook; one from before meanings were kept cannot. */
static enum fault read_meaning(struct cx *cx, const struct codebook *cb, struct bytes meaning,
                               struct implied_part *ret, bool *ret_known)
{
    const uint8_t *end = meaning.n > 0 ? memchr(meaning.p, 0, meaning.n) : NULL;
    struct complaints c = complaints_new(cx);
    Cohortium__Ast *pb;
    struct ast *set;

    *ret_known = false;
    *ret = (struct implied_part){.variable = -1};
    if (end == NULL)
        return FAULT_NONE;
    struct bytes packed = bytes_of(end + 1, meaning.n - (size_t)(end + 1 - meaning.p));

    if (end > meaning.p) {
        ret->variable = codebook_find(cb, (const char *)meaning.p);
        if (ret->variable < 0)
            return FAULT_NONE;
    }
    *ret_known = true;
    if (packed.n == 0)
        return FAULT_NONE;
    TRY(pb_unpack(cx, &cohortium__ast__descriptor, packed, LEDGER_EXPRESSION_MAX, &pb));
    TRY(ast_open(cx, cb, pb, AST_TYPE_BOOL, &c, &set));
    ret->set = set;
    *ret_known = c.n == 0 && set != NULL;
    return FAULT_NONE;
}

static enum fault add_part(struct judging *j, struct bytes meaning, double c,
                           struct implied_part *parts, size_t *n, bool *known)
{
    bool readable = true;

    if (fabs(c) <= NO_PART || !*known)
        return FAULT_NONE;
    TRY(read_meaning(j->cx, j->cb, meaning, &parts[*n], &readable));
    parts[(*n)++].c = c;
    *known = readable;
    return FAULT_NONE;
}

enum fault memory_follows(void *user, size_t column, const double *c, size_t n,
                          const size_t *joined, size_t n_joined, bool *ret)
{
    struct judging *j = user;
    struct implied_part *parts;
    size_t n_parts = 0, before = n - n_joined;
    bool known = true;

    *ret = false;
    CX_NEW(j->cx, parts, n + 1);
    TRY(add_part(j, j->columns[column].meaning, 1, parts, &n_parts, &known));
    for (size_t k = 0; k < before; k++) {
        struct bytes meaning = {0};

        if (j->m->meanings != NULL)
            meaning = bytes_of(j->m->meanings[k].p, j->m->meanings[k].n);
        TRY(add_part(j, meaning, -c[k], parts, &n_parts, &known));
    }
    for (size_t k = 0; k < n_joined; k++)
        TRY(add_part(j, j->columns[joined[k]].meaning, -c[before + k], parts, &n_parts,
                     &known));
    return known ? implied_nothing(j->cx, j->cb, parts, n_parts, &j->budget, ret)
                 : FAULT_NONE;
}

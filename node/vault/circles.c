/*
 * circles.c - sites that are settled together are asked together; three or more that are
 * not settled yet become a circle; everybody else judges alone.
 */
#include "node/vault/circles.h"

#include <string.h>

#include "protocol/envelope.h"

enum { MEMBERS_MAX = 1000 };

static bool is_head(ProtobufCBinaryData b)
{
    return b.len == 32;
}

enum fault circles_check_claim(struct cx *cx, const Cohortium__Memory *claim,
                               const char *name)
{
    bool fine = claim->n_members == 0 || (claim->n_members >= (size_t)CIRCLE_MIN &&
                                          claim->n_members <= MEMBERS_MAX);

    for (size_t i = 0; fine && i < claim->n_members; i++)
        fine = claim->members[i].len == DIGEST_BYTES &&
               (i == 0 || memcmp(claim->members[i - 1].data, claim->members[i].data,
                                 DIGEST_BYTES) < 0);
    if (claim->alone)
        fine = fine && claim->n_members == 0 && claim->confirmed == 0 &&
               claim->newest == 0 && claim->confirmed_head.len == 0 &&
               claim->newest_head.len == 0;
    else
        fine = fine && is_head(claim->confirmed_head) && is_head(claim->newest_head) &&
               claim->confirmed <= claim->newest && claim->newest <= LEVERAGE_RANK_MAX &&
               (claim->n_members > 0 || claim->newest == 0);
    return fine ? FAULT_NONE
                : cx_fail(cx, FAULT_FORMAT,
                          "what the preflight of %s says of its memory cannot be", name);
}

static size_t place_of(const struct bytes *ids, size_t n, ProtobufCBinaryData id)
{
    for (size_t i = 0; i < n; i++)
        if (bytes_equal(ids[i], bytes_of(id.data, id.len)))
            return i;
    return n;
}

static bool same_members(const Cohortium__Memory *a, const Cohortium__Memory *b)
{
    if (a->n_members != b->n_members)
        return false;
    for (size_t i = 0; i < a->n_members; i++)
        if (!bytes_equal(PB_BYTES(a->members[i]), PB_BYTES(b->members[i])))
            return false;
    return true;
}

static bool same_newest(const Cohortium__Memory *a, const Cohortium__Memory *b)
{
    return a->newest == b->newest &&
           bytes_equal(PB_BYTES(a->newest_head), PB_BYTES(b->newest_head));
}

/* All of them hold the newest columns alike; or they go back to what all are known to. Each
 * site looks for itself whether it has them (memory_go_back). */
static void find_common(Cohortium__Memory *const *claims, struct circle *c)
{
    const Cohortium__Memory *most = claims[c->sites[0]], *newest = most;
    bool alike = true;

    for (size_t i = 1; i < c->n; i++) {
        const Cohortium__Memory *claim = claims[c->sites[i]];

        alike = alike && same_newest(newest, claim);
        if (claim->confirmed > most->confirmed)
            most = claim;
    }
    c->length = alike ? newest->newest : most->confirmed;
    memcpy(c->head, alike ? newest->newest_head.data : most->confirmed_head.data, 32);
}

static enum fault settled(struct cx *cx, const struct bytes *ids,
                          Cohortium__Memory *const *claims, size_t n, size_t at,
                          struct circle *ret)
{
    const Cohortium__Memory *claim = claims[at];

    *ret = (struct circle){.n = claim->n_members};
    CX_NEW(cx, ret->sites, claim->n_members);
    for (size_t i = 0; i < claim->n_members; i++) {
        size_t place = place_of(ids, n, claim->members[i]);

        if (place == n)
            return cx_fail(cx, FAULT_INVALID,
                           "a site is not asked without which the others never are; ask all "
                           "sites of the dataset");
        if (!same_members(claim, claims[place]))
            return cx_fail(cx, FAULT_CONFLICT,
                           "the sites of this question do not agree on who is always asked "
                           "together: one of them was set back, or lies");
        ret->sites[i] = place;
    }
    find_common(claims, ret);
    return FAULT_NONE;
}

static bool is_in(const struct circles *c, size_t site)
{
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->list[i].n; k++)
            if (c->list[i].sites[k] == site)
                return true;
    return false;
}

/* A new circle's members are sorted as its claim will be. */
static void sort_sites(const struct bytes *ids, struct circle *c)
{
    for (size_t i = 1; i < c->n; i++)
        for (size_t k = i; k > 0 && bytes_compare(ids[c->sites[k]], ids[c->sites[k - 1]]) < 0;
             k--) {
            size_t other = c->sites[k];

            c->sites[k] = c->sites[k - 1];
            c->sites[k - 1] = other;
        }
}

static enum fault fresh(struct cx *cx, const struct bytes *ids,
                        Cohortium__Memory *const *claims, size_t n, struct circle *ret)
{
    *ret = (struct circle){0};
    CX_NEW(cx, ret->sites, n);
    for (size_t i = 0; i < n; i++)
        if (!claims[i]->alone && claims[i]->n_members == 0)
            ret->sites[ret->n++] = i;
    sort_sites(ids, ret);
    return FAULT_NONE;
}

enum fault circles_make(struct cx *cx, const struct bytes *ids,
                        Cohortium__Memory *const *claims, size_t n, size_t self,
                        struct circles *ret)
{
    struct circles c = {.own = SIZE_MAX};
    struct circle one;

    CX_NEW(cx, c.list, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (claims[i]->n_members == 0 || is_in(&c, i))
            continue;
        TRY(settled(cx, ids, claims, n, i, &one));
        c.list[c.n++] = one;
    }
    TRY(fresh(cx, ids, claims, n, &one));
    if (one.n >= (size_t)CIRCLE_MIN)
        c.list[c.n++] = one;
    for (size_t i = 0; i < c.n; i++)
        for (size_t k = 0; k < c.list[i].n; k++)
            if (c.list[i].sites[k] == self)
                c.own = i;
    *ret = c;
    return FAULT_NONE;
}

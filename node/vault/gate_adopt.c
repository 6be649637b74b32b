/*
 * gate_adopt.c - may this vault sign the release that home proposes?
 *
 * Vaults compute with different processors, so their last bits differ; rounding hides that
 * but for values beside a tie. Everything but such values must be the same to the byte: the
 * proposal is taken apart, our own values are put in place of its values, and the whole
 * must be our own body.
 */
#include "node/vault/gate_private.h"

#include <math.h>
#include <string.h>

#include "protocol/envelope.h"

static enum fault differs(struct cx *cx, const char *what)
{
    return cx_fail(
        cx, FAULT_CONFLICT,
        "release: the home node proposes %s that this vault did not compute; nothing "
        "is signed",
        what);
}

static bool same_shape(const Cohortium__Item *a, const Cohortium__Item *b)
{
    return strcmp(a->name, b->name) == 0 && a->n_values == b->n_values;
}

/* The one step of an item whose numbers lie a little to one side; 0 when there is none. */
static double step_of_side(const struct released_number *numbers, size_t n, double side)
{
    double step = NAN;

    for (size_t i = 0; i < n; i++) {
        struct blur b = numbers[i].blur;
        double own;

        if (!numbers[i].given)
            continue;
        b.basis *= 1 + side;
        (void)blur_value(&b, &own);
        step = isnan(step) || step == own ? own : 0;
    }
    return isnan(step) ? 0 : step;
}

static bool step_may_be(const struct released_number *numbers, const Cohortium__Item *own,
                        double proposed)
{
    static const double sides[] = {-1e-6, 1e-6};
    bool varies = own->kind == COHORTIUM__ITEM_KIND__ESTIMATES ||
                  own->kind == COHORTIUM__ITEM_KIND__WHOLES;

    if (proposed == own->step)
        return true;
    for (size_t i = 0; i < COUNT(sides) && varies; i++)
        if (proposed == step_of_side(numbers, own->n_values, sides[i]))
            return true;
    return false;
}

/* Checks the values of one item, then puts ours in their place. */
static enum fault check_item(struct cx *cx, const struct released_number *numbers,
                             const Cohortium__Item *own, Cohortium__Item *proposed)
{
    if (!same_shape(own, proposed))
        return differs(cx, cx_printf(cx, "an item `%.64s`", proposed->name));
    for (size_t i = 0; i < own->n_values; i++) {
        bool fits = numbers[i].given ? blur_may_be(&numbers[i].blur, proposed->values[i])
                                     : proposed->values[i] == own->values[i];

        if (!fits)
            return differs(cx, cx_printf(cx, "a value %zu of item `%s`", i + 1, own->name));
        proposed->values[i] = own->values[i];
    }
    if (!step_may_be(numbers, own, proposed->step))
        return differs(cx, cx_printf(cx, "a step of item `%s`", own->name));
    proposed->step = own->step;
    return FAULT_NONE;
}

enum fault gate_adopt(struct cx *cx, struct release *own, struct bytes proposed)
{
    Cohortium__Release *p;
    const Cohortium__Result *result = own->message->result;
    struct bytes merged;

    if (bytes_equal(own->body, proposed))
        return FAULT_NONE;
    if (!own->message->released)
        return differs(cx, "another answer");
    TRY(pb_unpack(cx, &cohortium__release__descriptor, proposed,
                  envelope_bound(ENVELOPE_RELEASE), &p));
    if (!p->released || p->result == NULL || p->result->n_items != result->n_items)
        return differs(cx, "another answer");
    for (size_t i = 0; i < result->n_items; i++)
        TRY(check_item(cx, own->items[i], result->items[i], p->result->items[i]));
    TRY(pb_pack(cx, &p->base, &merged));
    if (!bytes_equal(merged, own->body))
        return differs(cx, "words, states or a policy");
    const void *copy = cx_memdup(cx, proposed.p, proposed.n);

    if (copy == NULL)
        return FAULT_MEMORY;
    own->body = bytes_of(copy, proposed.n);
    return FAULT_NONE;
}

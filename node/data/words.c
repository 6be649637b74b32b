/* words.c - an open-addressed table; FNV-1a suits short texts that nobody chose to collide.
 */
#include "node/data/words.h"

#include <string.h>

struct word {
    const char *text;
    size_t n;
    double value;
};

static uint64_t bit_of(size_t n)
{
    return UINT64_C(1) << (n < 63 ? n : 63);
}

static struct word *slot_of(const struct words *w, const char *text, size_t n)
{
    uint64_t h = 1469598103934665603u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)text[i]) * 1099511628211u;
    for (size_t i = (size_t)(h ^ h >> 32);; i++) {
        struct word *slot = &w->slots[i & (w->size - 1)];

        if (slot->text == NULL || (slot->n == n && memcmp(slot->text, text, n) == 0))
            return slot;
    }
}

enum fault words_new(struct cx *cx, size_t n, struct words *ret)
{
    struct words w = {.size = 8};

    while (w.size < 2 * n)
        w.size *= 2;
    CX_NEW(cx, w.slots, w.size);
    *ret = w;
    return FAULT_NONE;
}

bool words_add(struct words *w, const char *text, size_t n, double value)
{
    struct word *slot = slot_of(w, text, n);

    if (slot->text != NULL || 2 * (w->n + 1) > w->size)
        return false;
    *slot = (struct word){text, n, value};
    w->lengths |= bit_of(n);
    w->n++;
    return true;
}

bool words_find(const struct words *w, const char *text, size_t n, double *ret)
{
    const struct word *slot;

    if (!(w->lengths & bit_of(n)))
        return false;
    slot = slot_of(w, text, n);
    if (slot->text == NULL)
        return false;
    *ret = slot->value;
    return true;
}

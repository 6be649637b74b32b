/*
 * dataset_compare.c - how many patients a refresh is about.
 *
 * A patient's rows are summed up as numbers of a keyed hash each, so that their order does
 * not matter; the key is drawn anew for each comparison.
 */
#include <sodium.h>
#include <string.h>

#include "node/vault/dataset.h"

struct pairing { /* a variable that both versions have */
    const struct column *before, *after;
    const Cohortium__Variable *old_levels, *new_levels; /* NULL: no levels */
};

struct comparing {
    const struct dataset *before, *after;
    struct pairing *pairs;
    size_t n;
    uint8_t key[crypto_shorthash_KEYBYTES];
};

static enum fault pair_up(struct cx *cx, struct comparing *c)
{
    const Cohortium__Codebook *body = c->after->cb->body;

    CX_NEW(cx, c->pairs, body->n_variables);
    for (size_t i = 0; i < body->n_variables; i++) {
        const Cohortium__Variable *v = body->variables[i];
        int old = codebook_find(c->before->cb, v->name);

        if (old < 0 || c->after->columns[i].map == NULL ||
            c->before->columns[old].map == NULL)
            continue;
        const Cohortium__Variable *was = codebook_variable(c->before->cb, old);

        c->pairs[c->n++] = (struct pairing){
            .before = &c->before->columns[old],
            .after = &c->after->columns[i],
            .old_levels = variable_has_levels(was) && variable_has_levels(v) ? was : NULL,
            .new_levels = v};
    }
    return FAULT_NONE;
}

/* An old level's code as it is now: codebooks may order levels anew. */
static double code_now(const struct pairing *p, double code)
{
    if (p->old_levels == NULL || !(code >= 0 && code < (double)p->old_levels->n_levels))
        return code;
    int now = variable_level(p->new_levels, p->old_levels->levels[(size_t)code]);

    return now >= 0 ? now : -1 - code;
}

static uint64_t row_hash(const struct comparing *c, bool old, uint64_t row)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t state = 0;

    for (size_t i = 0; i < c->n; i++) {
        const struct column *from = old ? c->pairs[i].before : c->pairs[i].after;
        struct {
            uint64_t state, valid;
            double value;
        } in = {state, column_is_valid(from, row), column_value(from, row)};

        if (old && in.valid != 0)
            in.value = code_now(&c->pairs[i], in.value);
        in.value += 0.0; /* -0 is 0 */
        (void)crypto_shorthash(out, (const uint8_t *)&in, sizeof in, c->key);
        memcpy(&state, out, sizeof state);
    }
    return state;
}

/* The sum of the rows of the patient who begins at *row, which moves behind them. */
static uint64_t patient_hash_at(const struct comparing *c, bool old, uint64_t *row)
{
    const struct dataset *d = old ? c->before : c->after;
    uint32_t who = d->patients.ordinal[*row];
    uint64_t sum = 0;

    for (; *row < d->rows && d->patients.ordinal[*row] == who; (*row)++)
        sum += row_hash(c, old, *row);
    return sum;
}

static int order_at(const struct comparing *c, uint64_t i, uint64_t k)
{
    const struct patients *a = &c->before->patients, *b = &c->after->patients;

    if (i >= a->count)
        return 1;
    return k < b->count ? memcmp(a->hashes[i], b->hashes[k], sizeof *a->hashes) : -1;
}

static enum fault walk(struct cx *cx, const struct comparing *c, struct dataset_changes *ret)
{
    uint64_t old_row = 0, new_row = 0, looks = 0;

    for (uint64_t i = 0, k = 0; i < c->before->patients.count || k < c->after->patients.count;) {
        int order = order_at(c, i, k);
        uint64_t was = order <= 0 ? patient_hash_at(c, true, &old_row) : 0;
        uint64_t is = order >= 0 ? patient_hash_at(c, false, &new_row) : 0;
        bool gone = order >= 0 && dataset_left_out(c->after, k);

        if (looks++ % 4096 == 0)
            TRY(cx_on_time(cx));
        ret->came += order > 0 && !gone;
        ret->went += order < 0 || (order == 0 && gone);
        ret->changed += order == 0 && !gone && was != is;
        i += order <= 0;
        k += order >= 0;
    }
    return FAULT_NONE;
}

enum fault dataset_compare(struct cx *cx, const struct dataset *before,
                           const struct dataset *after, struct dataset_changes *ret)
{
    struct comparing c = {.before = before, .after = after};

    *ret = (struct dataset_changes){0};
    crypto_shorthash_keygen(c.key);
    TRY(pair_up(cx, &c));
    enum fault fault = walk(cx, &c, ret);

    sodium_memzero(c.key, sizeof c.key);
    return fault;
}

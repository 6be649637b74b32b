/*
 * gate_rounds.c - what the other members see between the rounds of a masked question.
 *
 * They hold their contract, but they see every pooled tally, and sums by a key are sums of
 * a few: once a cell yields more numbers than it has patients to hide behind, its rows can
 * be solved for. So sums leave only where the pooled rounds before have shown enough
 * patients (DISCLOSURE.md 0.1):
 *
 *   cells of a key   numbers a cell, all rounds together <= patients in the cell / k
 *   everything else  patients >= k (R1), columns <= max_parameter_ratio * patients (R7)
 *
 * Counts need the threshold alone, which the release keeps. The sums of a cell that falls
 * short are zero at every vault alike, and what would follow from them is withheld. A fit
 * that falls short is objected to before its sums are taken, not after. What no round has
 * counted yet cannot be judged: an analysis that sums by a key counts the cells first.
 */
#include "node/vault/gate_private.h"

#include <sodium.h>
#include <string.h>

enum { ID = 16, BLOCKS = 512 };

struct seen_block { /* the same rows in the same cells, whatever is summed there */
    uint8_t id[ID];
    size_t n_cells, numbers;
    uint64_t *patients; /* pooled, by cell; NULL: no round has counted them */
};

struct rounds {
    const struct policy *session;
    struct seen_block blocks[BLOCKS];
    size_t n, most_numbers;
};

enum fault gate_rounds_new(struct cx *cx, const struct policy *session, struct rounds **ret)
{
    CX_NEW(cx, *ret, 1);
    (*ret)->session = session;
    return FAULT_NONE;
}

/* ---- which block is which, from one measure to the next ---- */

/* A digest of each node's expression; operands stand before their users. */
static enum fault digest_nodes(struct cx *cx, const struct measure *m, uint8_t (**ret)[ID])
{
    crypto_generichash_state h;

    CX_NEW(cx, *ret, m->n_nodes);
    for (size_t i = 0; i < m->n_nodes; i++) {
        const struct measure_node *node = &m->nodes[i];
        const struct {
            double value;
            int32_t op, variable, link, part;
        } own = {node->value + 0.0, (int32_t)node->op, node->variable, (int32_t)node->link,
                 (int32_t)node->part};
        const ref operands[] = {node->a, node->b, node->c};

        (void)crypto_generichash_init(&h, NULL, 0, ID);
        (void)crypto_generichash_update(&h, (const uint8_t *)&own, sizeof own);
        for (size_t k = 0; k < COUNT(operands); k++)
            (void)crypto_generichash_update(&h, (*ret)[operands[k]], ID);
        (void)crypto_generichash_final(&h, (*ret)[i], ID);
    }
    return FAULT_NONE;
}

static void block_id(const struct block *b, const uint8_t (*nodes)[ID], uint8_t ret[ID])
{
    crypto_generichash_state h;

    (void)crypto_generichash_init(&h, NULL, 0, ID);
    (void)crypto_generichash_update(&h, nodes[b->where], ID);
    for (size_t i = 0; i < b->n_keys; i++) {
        (void)crypto_generichash_update(&h, nodes[b->keys[i].expr], ID);
        (void)crypto_generichash_update(&h, (const uint8_t *)&b->keys[i].size,
                                        sizeof b->keys[i].size);
    }
    (void)crypto_generichash_final(&h, ret, ID);
}

static struct seen_block *find(struct rounds *r, const uint8_t id[ID])
{
    for (size_t i = 0; i < r->n; i++)
        if (memcmp(r->blocks[i].id, id, ID) == 0)
            return &r->blocks[i];
    return NULL;
}

static enum fault find_or_add(struct cx *cx, struct rounds *r, const struct block *b,
                              const uint8_t (*nodes)[ID], struct seen_block **ret)
{
    uint8_t id[ID];

    block_id(b, nodes, id);
    *ret = find(r, id);
    if (*ret != NULL)
        return FAULT_NONE;
    if (r->n == BLOCKS)
        return cx_fail(cx, FAULT_BOUND, "gate: more than %d blocks in one question",
                       BLOCKS);
    *ret = &r->blocks[r->n++];
    memcpy((*ret)->id, id, ID);
    (*ret)->n_cells = b->n_cells;
    return FAULT_NONE;
}

/* ---- may these sums leave? ---- */

static double need(const struct rounds *r, const struct block *b,
                   const struct seen_block *seen)
{
    double k = r->session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD];

    return b->n_keys > 0 ? k * (double)seen->numbers : k;
}

static const char *judge_columns(const struct rounds *r, const struct block *b,
                                 const struct seen_block *seen)
{
    /* Where nothing is multiplied with the columns the response is one of them. */
    double n = (double)seen->patients[0],
           columns = (double)(b->n_design - (b->n_rhs == 0 && b->n_design > 0));

    if (n < r->session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD])
        return "R1: fewer patients in the model than minimum_frequency_threshold";
    if (columns > r->session->number[POLICY_MAX_PARAMETER_RATIO] * n)
        return "R7: more columns a patient than max_parameter_ratio";
    return NULL;
}

enum fault gate_rounds_ask(struct cx *cx, struct rounds *r, const struct measure *m,
                           const char **ret_objection)
{
    uint8_t(*nodes)[ID];

    *ret_objection = NULL;
    if (r == NULL || r->session->testing)
        return FAULT_NONE;
    TRY(digest_nodes(cx, m, &nodes));
    for (size_t i = 0; i < m->n_blocks; i++) {
        const struct block *b = &m->blocks[i];
        struct seen_block *seen;

        if (b->n_numbers == 0)
            continue;
        TRY(find_or_add(cx, r, b, nodes, &seen));
        seen->numbers += b->n_numbers;
        if (b->n_keys > 0 && seen->numbers > r->most_numbers)
            r->most_numbers = seen->numbers;
        if (b->n_keys == 0 && b->n_design > 0 && seen->patients != NULL &&
            *ret_objection == NULL)
            *ret_objection = judge_columns(r, b, seen);
    }
    return FAULT_NONE;
}

enum fault gate_rounds_withhold(struct cx *cx, struct rounds *r, const struct measure *m,
                                struct tally *t, bool *ret_cells)
{
    uint8_t(*nodes)[ID];
    size_t first = 0;

    if (r == NULL || r->session->testing)
        return FAULT_NONE;
    TRY(digest_nodes(cx, m, &nodes));
    for (size_t i = 0; i < m->n_blocks; first += m->blocks[i++].n_cells) {
        const struct block *b = &m->blocks[i];
        struct seen_block *seen;
        uint8_t id[ID];

        block_id(b, nodes, id);
        seen = find(r, id);
        if (seen == NULL || seen->patients == NULL || b->n_numbers == 0)
            continue;
        for (size_t c = 0; c < b->n_cells; c++) {
            if ((double)seen->patients[c] >= need(r, b, seen))
                continue;
            if (t != NULL)
                memset(t->sums + b->first_sum + c * b->n_numbers, 0,
                       b->n_numbers * sizeof *t->sums);
            if (ret_cells != NULL)
                ret_cells[first + c] = true;
        }
    }
    return FAULT_NONE;
}

enum fault gate_rounds_learn(struct cx *cx, struct rounds *r, const struct measure *m,
                             const struct tally *pooled)
{
    uint8_t(*nodes)[ID];

    if (r == NULL || r->session->testing)
        return FAULT_NONE;
    TRY(digest_nodes(cx, m, &nodes));
    for (size_t i = 0; i < m->n_blocks; i++) {
        const struct block *b = &m->blocks[i];
        struct seen_block *seen;

        TRY(find_or_add(cx, r, b, nodes, &seen));
        if (seen->patients == NULL)
            CX_NEW(cx, seen->patients, b->n_cells);
        for (size_t c = 0; c < b->n_cells; c++)
            seen->patients[c] = pooled_patients(m, pooled, i, c);
    }
    return FAULT_NONE;
}

double rounds_patients_needed(const struct rounds *r)
{
    return r == NULL ? 0
                     : (double)r->most_numbers *
                           r->session->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD];
}

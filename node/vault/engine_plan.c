/* engine_plan.c - from a measure's graph to steps: what is needed, fused, and where it
 * lies. */
#include "node/vault/engine_plan.h"

#include <math.h>
#include <string.h>

enum { CHUNK_VECTORS = 16 };

static const uint32_t ALWAYS = UINT32_MAX;

struct logit { /* what the parts of one logit link share */
    ref eta;
    double *clamped, *e, *inverse;
};

struct compiler {
    struct cx *cx;
    const struct dataset *data;
    const struct measure *m;
    uint32_t *uses, *last; /* by node; last: the node that reads it last */
    bool *fused;           /* a product that its only reader computes along */
    struct plan *plan;
    double **unused;
    size_t n_unused;
    double *chunk;
    size_t chunk_left;
    struct logit *logits;
    size_t n_logits;
};

double *plan_vectors(struct cx *cx, size_t n)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, (size_t)KERNEL_STRIDE * sizeof(double), &bytes) ||
        bytes > SIZE_MAX - 64)
        return NULL;
    uint8_t *p = cx_alloc(cx, bytes + 64);

    return p == NULL ? NULL : (double *)(((uintptr_t)p + 63) / 64 * 64);
}

bool number_make(double bound, int scale, struct number *ret)
{
    int exponent, bits;
    double fraction = frexp(bound, &exponent);

    bits = scale + (fraction > 0.5 ? exponent : exponent - 1);
    *ret = (struct number){.scale = scale, .split = bits > 43 ? bits - 43 : 0};
    ret->start_high = ldexp(1.5, 52 + ret->split - scale);
    ret->start_low = ldexp(1, 52 - scale);
    return bits <= 87 && isfinite(ret->start_high) && ldexp(1, -scale) >= 0x1p-1022 &&
           isfinite(ret->start_low * 2);
}

static enum fault vector_take(struct compiler *c, double **ret)
{
    if (c->n_unused > 0) {
        *ret = c->unused[--c->n_unused];
        return FAULT_NONE;
    }
    if (c->chunk_left == 0) {
        c->chunk = plan_vectors(c->cx, CHUNK_VECTORS);
        if (c->chunk == NULL)
            return FAULT_MEMORY;
        c->chunk_left = CHUNK_VECTORS;
    }
    *ret = c->chunk;
    c->chunk += KERNEL_STRIDE;
    c->chunk_left--;
    return FAULT_NONE;
}

static void find_uses(struct compiler *c, const ref *outputs, size_t n)
{
    const struct measure_node *nodes = c->m->nodes;

    for (size_t i = 0; i < n; i++)
        c->uses[outputs[i]] += 2; /* an output is never fused */
    for (size_t i = c->m->n_nodes - 1; i > 0; i--)
        if (c->uses[i] > 0) {
            c->uses[nodes[i].a]++;
            c->uses[nodes[i].b]++;
            c->uses[nodes[i].c]++;
        }
    for (size_t i = 1; i < c->m->n_nodes; i++)
        if (c->uses[i] > 0 && nodes[i].op == M_ADD) {
            ref b = nodes[i].b, a = nodes[i].a;
            if (nodes[b].op == M_MUL && c->uses[b] == 1)
                c->fused[b] = true;
            else if (nodes[a].op == M_MUL && c->uses[a] == 1)
                c->fused[a] = true;
        }
}

static void find_last(struct compiler *c, const ref *outputs, size_t n)
{
    const struct measure_node *nodes = c->m->nodes;

    for (uint32_t i = 1; i < c->m->n_nodes; i++) {
        if (c->uses[i] == 0 || c->fused[i])
            continue;
        ref operands[3] = {nodes[i].a, nodes[i].b, nodes[i].c};
        for (size_t k = 0; k < 3; k++) {
            ref o = operands[k];
            c->last[o] = i;
            if (c->fused[o])
                c->last[nodes[o].a] = c->last[nodes[o].b] = i;
        }
    }
    for (uint32_t i = 1; i < c->m->n_nodes; i++)
        if (nodes[i].op == M_CONST)
            c->last[i] = ALWAYS;
    for (size_t i = 0; i < n; i++)
        c->last[outputs[i]] = ALWAYS;
}

static void step_add(struct compiler *c, struct step s)
{
    c->plan->steps[c->plan->n_steps++] = s;
}

static enum fault fill(struct compiler *c, ref i, double value)
{
    double *v;

    v = plan_vectors(c->cx, 1);
    if (v == NULL)
        return FAULT_MEMORY;
    for (size_t k = 0; k < KERNEL_ROWS; k++)
        v[k] = value;
    c->plan->slots[i] = v;
    c->last[i] = ALWAYS;
    return FAULT_NONE;
}

static enum fault load(struct compiler *c, ref i)
{
    static const enum step_op loads[] = {[COLUMN_U8] = STEP_U8,
                                         [COLUMN_U16] = STEP_U16,
                                         [COLUMN_I32] = STEP_I32,
                                         [COLUMN_F64] = STEP_F64};
    const struct measure_node *n = &c->m->nodes[i];
    const struct column *column = &c->data->columns[n->variable];
    bool valid = n->op == M_VALID;

    if (column->map == NULL || (valid && column->valid == NULL))
        return fill(c, i, valid && column->map != NULL);
    TRY(vector_take(c, &c->plan->slots[i]));
    step_add(c, (struct step){.step = valid ? STEP_VALID : loads[column->type],
                              .node = n,
                              .out = c->plan->slots[i],
                              .source = valid ? column->valid : column->values});
    return FAULT_NONE;
}

static enum fault logit_of(struct compiler *c, ref eta, struct logit **ret)
{
    for (size_t i = 0; i < c->n_logits; i++)
        if (c->logits[i].eta == eta) {
            *ret = &c->logits[i];
            return FAULT_NONE;
        }
    struct logit *l = &c->logits[c->n_logits++];

    l->eta = eta;
    TRY(vector_take(c, &l->clamped));
    TRY(vector_take(c, &l->e));
    TRY(vector_take(c, &l->inverse));
    step_add(c, (struct step){.step = STEP_LOGIT,
                              .a = c->plan->slots[eta],
                              .out = l->clamped,
                              .b_out = l->e,
                              .c_out = l->inverse});
    *ret = l;
    return FAULT_NONE;
}

static bool both_boolean(const struct compiler *c, const struct measure_node *n)
{
    return c->m->nodes[n->a].boolean && c->m->nodes[n->b].boolean;
}

static enum fault compute(struct compiler *c, ref i)
{
    const struct measure_node *n = &c->m->nodes[i];
    double **slots = c->plan->slots;
    struct step s = {.step = STEP_NODE, .node = n, .a = slots[n->a]};

    s.b = n->b != 0 ? slots[n->b] : NULL;
    s.c = n->c != 0 ? slots[n->c] : NULL;
    if (n->op == M_ADD && (c->fused[n->a] || c->fused[n->b])) {
        ref product = c->fused[n->b] ? n->b : n->a;

        s.step = STEP_TIMES;
        s.c = slots[product == n->b ? n->a : n->b];
        s.a = slots[c->m->nodes[product].a];
        s.b = slots[c->m->nodes[product].b];
    } else if ((n->op == M_AND || n->op == M_OR) && both_boolean(c, n)) {
        s.step = n->op == M_AND ? STEP_AND : STEP_OR;
    } else if (n->op == M_LINK && n->link == LINK_LOGIT) {
        struct logit *shared;

        TRY(logit_of(c, n->a, &shared));
        s.a = shared->clamped;
        s.b = shared->e;
        s.c = shared->inverse;
    }
    TRY(vector_take(c, &slots[i]));
    s.out = slots[i];
    step_add(c, s);
    return FAULT_NONE;
}

/* Vectors that node i was the last to read are free for what follows. */
static void let_go(struct compiler *c, ref i)
{
    const struct measure_node *nodes = c->m->nodes;
    ref operands[9] = {nodes[i].a, nodes[i].b, nodes[i].c};
    size_t n = 3;

    for (size_t k = 0; k < 3; k++)
        if (c->fused[operands[k]]) {
            operands[n++] = nodes[operands[k]].a;
            operands[n++] = nodes[operands[k]].b;
        }
    for (size_t k = 0; k < n; k++) {
        ref o = operands[k];

        if (o == 0 || c->last[o] != i || c->fused[o] || nodes[o].op == M_CONST)
            continue;
        c->last[o] = 0; /* once */
        c->unused[c->n_unused++] = c->plan->slots[o];
    }
}

static enum fault compile(struct compiler *c)
{
    for (ref i = 1; i < c->m->n_nodes; i++) {
        const struct measure_node *n = &c->m->nodes[i];

        if (c->uses[i] == 0 || c->fused[i])
            continue;
        if (n->op == M_CONST) {
            TRY(fill(c, i, n->value));
        } else if (n->op == M_COLUMN || n->op == M_VALID) {
            TRY(load(c, i));
        } else {
            TRY(compute(c, i));
            let_go(c, i);
        }
    }
    return FAULT_NONE;
}

enum fault plan_make(struct cx *cx, const struct kernel *kernel, const struct dataset *data,
                     const struct measure *measure, const ref *outputs, size_t n_outputs,
                     struct plan *ret)
{
    struct compiler c = {.cx = cx, .data = data, .m = measure, .plan = ret};
    size_t n = measure->n_nodes, steps = 2 * n; /* a logit takes two */

    *ret = (struct plan){.kernel = kernel};
    CX_NEW(cx, c.uses, n);
    CX_NEW(cx, c.last, n);
    CX_NEW(cx, c.fused, n);
    CX_NEW(cx, c.unused, n);
    CX_NEW(cx, c.logits, n);
    CX_NEW(cx, ret->slots, n);
    CX_NEW(cx, ret->steps, steps);
    find_uses(&c, outputs, n_outputs);
    c.uses[0] = 0;
    find_last(&c, outputs, n_outputs);
    return compile(&c);
}

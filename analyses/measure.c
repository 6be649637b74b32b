/*
 * measure.c - the builders of a measure's expression graph, and its plain evaluation.
 *
 * Nodes are hash-consed: equal expressions are one node, so common subexpressions cost
 * once. Constants are folded with the same operations that rows are evaluated with.
 */
#include "analyses/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyses/measure_interval.h"

enum { TABLE_START = 1024, NODES_START = 256 };

enum fault measure_new(struct cx *cx, const struct codebook *cb, struct measure **ret)
{
    struct measure *m;

    CX_NEW(cx, m, 1);
    m->cx = cx;
    m->cb = cb;
    m->table_size = TABLE_START;
    m->nodes_size = NODES_START;
    CX_NEW(cx, m->table, m->table_size);
    CX_NEW(cx, m->nodes, m->nodes_size);
    m->n_nodes = 1; /* nodes[0] is none */
    *ret = m;
    return FAULT_NONE;
}

static ref refuse(struct measure *m, enum fault fault, const char *text)
{
    if (m->fault == FAULT_NONE)
        m->fault = cx_fail(m->cx, fault, "%s", text);
    return 0;
}

static uint32_t node_hash(const struct measure_node *n)
{
    uint64_t bits, h = 0x9e3779b97f4a7c15u;
    uint64_t parts[6] = {(uint64_t)n->op,
                         (uint64_t)(uint32_t)n->variable,
                         ((uint64_t)n->link << 8) | (uint64_t)n->part,
                         n->a,
                         n->b,
                         n->c};

    memcpy(&bits, &n->value, sizeof bits);
    h ^= bits;
    for (size_t i = 0; i < COUNT(parts); i++) {
        h = (h ^ parts[i]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return (uint32_t)h;
}

static bool node_same(const struct measure_node *a, const struct measure_node *b)
{
    return a->op == b->op && a->variable == b->variable && a->link == b->link &&
           a->part == b->part && a->a == b->a && a->b == b->b && a->c == b->c &&
           memcmp(&a->value, &b->value, sizeof a->value) == 0;
}

static enum fault table_grow(struct measure *m)
{
    size_t size = m->table_size * 2;
    uint32_t *table;

    CX_NEW(m->cx, table, size);
    for (uint32_t i = 1; i < m->n_nodes; i++) {
        size_t at = node_hash(&m->nodes[i]) & (size - 1);
        while (table[at] != 0)
            at = (at + 1) & (size - 1);
        table[at] = i;
    }
    m->table = table;
    m->table_size = size;
    return FAULT_NONE;
}

static enum fault nodes_grow(struct measure *m)
{
    struct measure_node *nodes;
    size_t size = m->nodes_size * 2;

    CX_NEW(m->cx, nodes, size);
    memcpy(nodes, m->nodes, m->n_nodes * sizeof *nodes);
    m->nodes = nodes;
    m->nodes_size = size;
    return FAULT_NONE;
}

static ref keep(struct measure *m, struct measure_node n)
{
    static const char *const infinite =
        "a part of this question is not finite for values that the codebook allows (a "
        "division "
        "by a range around zero, a logarithm of zero or less, an overflow): restrict the "
        "variable in the cohort, for example --where 'x > 0', or narrow its bounds";
    size_t at;

    if (m->fault != FAULT_NONE)
        return 0;
    at = node_hash(&n) & (m->table_size - 1);
    for (; m->table[at] != 0; at = (at + 1) & (m->table_size - 1))
        if (node_same(&m->nodes[m->table[at]], &n))
            return m->table[at];
    if (m->n_nodes == MEASURE_NODES_MAX)
        return refuse(m, FAULT_INVALID,
                      "the question needs too many operations: use fewer terms");
    measure_interval(m, &n);
    if (!isfinite(n.lower) || !isfinite(n.upper))
        return refuse(m, FAULT_INVALID, infinite);
    if ((m->n_nodes == m->nodes_size && nodes_grow(m) != FAULT_NONE) ||
        (m->n_nodes * 2 > m->table_size && table_grow(m) != FAULT_NONE)) {
        m->fault = FAULT_MEMORY;
        return 0;
    }
    at = node_hash(&n) & (m->table_size - 1);
    while (m->table[at] != 0)
        at = (at + 1) & (m->table_size - 1);
    m->table[at] = (uint32_t)m->n_nodes;
    m->nodes[m->n_nodes] = n;
    return (ref)m->n_nodes++;
}

static bool is_const(const struct measure *m, ref a)
{
    return m->nodes[a].op == M_CONST;
}

static bool is_value(const struct measure *m, ref a, double value)
{
    return is_const(m, a) && m->nodes[a].value == value;
}

ref m_const(struct measure *m, double value)
{
    if (!isfinite(value))
        return refuse(m, FAULT_INVALID, "a constant of this question is not finite");
    return keep(m, (struct measure_node){.op = M_CONST, .value = value + 0.0});
}

ref m_column(struct measure *m, int variable)
{
    return keep(m, (struct measure_node){.op = M_COLUMN, .variable = variable});
}

ref m_valid(struct measure *m, int variable)
{
    return keep(m, (struct measure_node){.op = M_VALID, .variable = variable});
}

ref m_unary(struct measure *m, enum measure_op op, ref a)
{
    struct measure_node n = {.op = op, .a = a};

    if (m->fault != FAULT_NONE || a == 0)
        return 0;
    if (is_const(m, a)) {
        double value = measure_apply(&n, m->nodes[a].value, 0, 0);
        if (isfinite(value))
            return m_const(m, value);
    }
    if ((op == M_NOT || op == M_NEG) && m->nodes[a].op == op)
        return m->nodes[a].a;
    if ((op == M_ABS && m->nodes[a].lower >= 0) || (op == M_FLOOR && m->nodes[a].whole))
        return a;
    return keep(m, n);
}

/* What holds whatever the row: 1 true, 0 false, -1 open. */
static int decided(const struct measure *m, enum measure_op op, ref a, ref b)
{
    const struct measure_node *x = &m->nodes[a], *y = &m->nodes[b];
    bool apart = x->upper < y->lower || y->upper < x->lower;

    switch (op) {
    case M_EQ:
        return a == b ? 1 : apart ? 0 : -1;
    case M_NE:
        return a == b ? 0 : apart ? 1 : -1;
    case M_LT:
        return a == b || x->lower >= y->upper ? 0 : x->upper < y->lower ? 1 : -1;
    case M_LE:
        return a == b || x->upper <= y->lower ? 1 : x->lower > y->upper ? 0 : -1;
    default:
        return -1;
    }
}

/* An operand that makes the operation idle or fixed; 0: none. */
static ref simplified(struct measure *m, enum measure_op op, ref a, ref b)
{
    switch (op) {
    case M_ADD:
        return is_value(m, a, 0) ? b : is_value(m, b, 0) ? a : 0;
    case M_SUB:
        return is_value(m, b, 0) ? a : a == b ? m_const(m, 0) : 0;
    case M_MUL:
        if (is_value(m, a, 0) || is_value(m, b, 0))
            return m_const(m, 0);
        if (a == b && m->nodes[a].boolean)
            return a;
        return is_value(m, a, 1) ? b : is_value(m, b, 1) ? a : 0;
    case M_DIV:
    case M_POW:
        return is_value(m, b, 1) ? a : 0;
    case M_AND:
        if (is_value(m, a, 0) || is_value(m, b, 0))
            return m_const(m, 0);
        return a == b || is_value(m, b, 1) ? a : is_value(m, a, 1) ? b : 0;
    case M_OR:
        if (is_value(m, a, 1) || is_value(m, b, 1))
            return m_const(m, 1);
        return a == b || is_value(m, b, 0) ? a : is_value(m, a, 0) ? b : 0;
    case M_MIN:
        return a == b || m->nodes[a].upper <= m->nodes[b].lower ? a
               : m->nodes[b].upper <= m->nodes[a].lower         ? b
                                                                : 0;
    case M_MAX:
        return a == b || m->nodes[a].lower >= m->nodes[b].upper ? a
               : m->nodes[b].lower >= m->nodes[a].upper         ? b
                                                                : 0;
    default:
        return 0;
    }
}

static bool commutes(enum measure_op op)
{
    return op == M_ADD || op == M_MUL || op == M_MIN || op == M_MAX || op == M_EQ ||
           op == M_NE || op == M_AND || op == M_OR;
}

ref m_binary(struct measure *m, enum measure_op op, ref a, ref b)
{
    struct measure_node n = {.op = op, .a = a, .b = b};

    if (m->fault != FAULT_NONE || a == 0 || b == 0)
        return 0;
    if (op == M_POW && (!is_const(m, b) || m->nodes[b].value != floor(m->nodes[b].value) ||
                        fabs(m->nodes[b].value) > 16))
        return refuse(
            m, FAULT_INVALID,
            "a power must be a whole number between -16 and 16: use log() or sqrt() "
            "for other shapes");
    if (is_const(m, a) && is_const(m, b)) {
        double value = measure_apply(&n, m->nodes[a].value, m->nodes[b].value, 0);
        if (isfinite(value))
            return m_const(m, value);
    }
    int known = decided(m, op, a, b);
    if (known >= 0)
        return m_const(m, known);
    ref short_cut = simplified(m, op, a, b);
    if (short_cut != 0 || m->fault != FAULT_NONE)
        return short_cut;
    if (op == M_POW && m->nodes[b].value == 2)
        return m_binary(m, M_MUL, a, a); /* R computes x^2 as x * x */
    if (commutes(op) && a > b) {
        n.a = b;
        n.b = a;
    }
    return keep(m, n);
}

ref m_select(struct measure *m, ref cond, ref then, ref otherwise)
{
    if (m->fault != FAULT_NONE || cond == 0 || then == 0 || otherwise == 0)
        return 0;
    if (is_const(m, cond))
        return m->nodes[cond].value != 0 ? then : otherwise;
    if (then == otherwise)
        return then;
    return keep(
        m, (struct measure_node){.op = M_SELECT, .a = cond, .b = then, .c = otherwise});
}

ref m_link(struct measure *m, enum measure_link link, enum measure_part part, ref eta)
{
    struct measure_node n = {.op = M_LINK, .link = link, .part = part, .a = eta};

    if (m->fault != FAULT_NONE || eta == 0)
        return 0;
    if (link == LINK_IDENTITY && part == PART_MU)
        return eta;
    if (is_const(m, eta)) {
        double value = measure_apply(&n, m->nodes[eta].value, 0, 0);
        if (isfinite(value))
            return m_const(m, value);
    }
    return keep(m, n);
}

ref m_clamp(struct measure *m, ref a, double lower, double upper)
{
    return m_binary(m, M_MIN, m_binary(m, M_MAX, a, m_const(m, lower)), m_const(m, upper));
}

ref m_linear(struct measure *m, const ref *columns, const double *coefs, size_t n,
             ref offset)
{
    ref sum = offset != 0 ? offset : m_const(m, 0);

    for (size_t i = 0; i < n; i++)
        sum = m_binary(m, M_ADD, sum, m_binary(m, M_MUL, columns[i], m_const(m, coefs[i])));
    return sum;
}

ref m_quadratic(struct measure *m, const ref *columns, const double *a, size_t n)
{
    ref sum = m_const(m, 0);

    for (size_t i = 0; i < n; i++) {
        ref inner = m_binary(m, M_MUL, columns[i], m_const(m, a[i * n + i]));
        for (size_t j = i + 1; j < n; j++)
            inner = m_binary(m, M_ADD, inner,
                             m_binary(m, M_MUL, columns[j], m_const(m, 2 * a[i * n + j])));
        sum = m_binary(m, M_ADD, sum, m_binary(m, M_MUL, columns[i], inner));
    }
    return sum;
}

double measure_apply(const struct measure_node *node, double a, double b, double c)
{
    int sign;

    switch (node->op) {
    case M_ADD:
        return a + b;
    case M_SUB:
        return a - b;
    case M_MUL:
        return a * b;
    case M_DIV:
        return a / b;
    case M_POW:
        return pow(a, b);
    case M_NEG:
        return -a;
    case M_ABS:
        return fabs(a);
    case M_MIN:
        return a < b ? a : b;
    case M_MAX:
        return a > b ? a : b;
    case M_FLOOR:
        return floor(a);
    case M_EQ:
        return a == b;
    case M_NE:
        return a != b;
    case M_LT:
        return a < b;
    case M_LE:
        return a <= b;
    case M_AND:
        return a != 0 && b != 0;
    case M_OR:
        return a != 0 || b != 0;
    case M_NOT:
        return a == 0;
    case M_SELECT:
        return a != 0 ? b : c;
    case M_EXP:
        return exp(a);
    case M_LOG:
        return log(a);
    case M_LOG1P:
        return log1p(a);
    case M_EXPM1:
        return expm1(a);
    case M_SQRT:
        return sqrt(a);
    case M_LGAMMA:
        return lgamma_r(a, &sign);
    case M_LINK:
        return link_part(node->link, node->part, a);
    case M_NONE:
    case M_CONST:
    case M_COLUMN:
    case M_VALID:
        break;
    }
    return NAN;
}

void measure_eval_all(const struct measure *m, const double *values, const bool *valid,
                      double *out)
{
    out[0] = 0;
    for (size_t i = 1; i < m->n_nodes; i++) {
        const struct measure_node *n = &m->nodes[i];

        if (n->op == M_CONST)
            out[i] = n->value;
        else if (n->op == M_COLUMN)
            out[i] = valid[n->variable] ? values[n->variable] : 0;
        else if (n->op == M_VALID)
            out[i] = valid[n->variable];
        else
            out[i] = measure_apply(n, out[n->a], out[n->b], out[n->c]);
    }
}

double measure_eval(const struct measure *m, ref node, const double *values,
                    const bool *valid)
{
    double *out = calloc(m->n_nodes, sizeof *out), value;

    if (out == NULL)
        return NAN;
    measure_eval_all(m, values, valid, out);
    value = out[node];
    free(out);
    return value;
}

/*
 * measure.h - what to sum next: the only thing an analysis can ask of rows.
 *
 *   measure = blocks[] over a hash-consed expression graph   (built by `ask`, on every vault alike)
 *   block   = where, keys[(expr, size)], sums[], gram{design[], weights[], rhs[]}, guards[]
 *
 * Each node knows an interval that holds its value for every row the codebook allows (rows that
 * `where` keeps), so each number of a block has a public bound and a public scale before any
 * row is read. Division, log and the like clamp nothing by themselves: an expression whose
 * interval is not finite is a fault of the question (FAULT_INVALID), never a run-time surprise.
 *
 * Shape for what later analyses add: lets (window sums inside a site), look tables and blocks
 * over groups become further node kinds and block fields here; nothing else changes.
 *
 * One number of a tally = one cell x one of: patients, rows (counts); sums[] then, for each
 * weight, the upper triangle of D'wD by rows, then, for each rhs, D'z (sums). In the tally a
 * cell's counts are patients, then rows (first_count + 2 * cell); its sums follow each other
 * (first_sum + n_numbers * cell).
 */
#pragma once

#include "analyses/ast.h"
#include "protocol/tally.h"

enum { MEASURE_NODES_MAX = 16384, MEASURE_BLOCKS_MAX = 64, MEASURE_CELLS_MAX = 65536 };

typedef uint32_t ref; /* a node; 0 is "none" */

enum measure_op {
    M_NONE,
    M_CONST,                                  /* value */
    M_COLUMN,                                 /* variable: its number, or level code, or day */
    M_VALID,                                  /* variable: 1 where not missing */
    M_ADD, M_SUB, M_MUL, M_DIV, M_POW,        /* M_POW: b is an integer constant node, |b| <= 16 */
    M_NEG, M_ABS, M_MIN, M_MAX, M_FLOOR,
    M_EQ, M_NE, M_LT, M_LE, M_AND, M_OR, M_NOT, /* 0 or 1 */
    M_SELECT,                                 /* a ? b : c */
    M_EXP, M_LOG, M_LOG1P, M_EXPM1, M_SQRT,
    M_LGAMMA,                                 /* log Gamma(a), a > 0 */
    M_LINK                                    /* link, part, a = eta (clamped inside) */
};

/* Parts of a link's inverse at eta, each from the side that keeps digits. */
enum measure_link { LINK_LOGIT, LINK_PROBIT, LINK_CLOGLOG, LINK_LOG, LINK_IDENTITY, LINK_INVERSE };
enum measure_part {
    PART_MU,            /* g^-1(eta) */
    PART_1_MU,          /* 1 - mu */
    PART_DMU,           /* d mu / d eta */
    PART_D2MU,          /* d2 mu / d eta2 */
    PART_LOG_MU,        /* log mu */
    PART_LOG_1_MU,      /* log(1 - mu) */
    PART_DMU_OVER_MU,   /* (dmu/deta)/mu: finite where mu underflows */
    PART_DMU_OVER_1_MU  /* (dmu/deta)/(1 - mu) */
};

struct measure_node {
    enum measure_op op;
    int variable;
    double value;
    enum measure_link link;
    enum measure_part part;
    ref a, b, c;
    double lower, upper; /* interval; boolean nodes have [0, 1] */
    bool boolean, whole; /* only 0/1; only whole numbers */
};

enum guard_rule { GUARD_DOMINANCE /* R4 */, GUARD_LEVERAGE /* R9 */ };

struct measure_guard { /* evaluated at the site, seen by its own gate only */
    enum guard_rule rule;
    ref expr;          /* a row's non-negative share; a patient's rows are added up */
    double weight;     /* for people: nothing else */
};

struct measure_key {
    ref expr;          /* whole number 0 .. size-1 in every kept row */
    uint32_t size;
};

struct block {
    ref where;
    size_t n_keys;
    struct measure_key *keys;
    size_t n_sums;
    ref *sums;
    size_t n_design, n_weights, n_rhs;
    ref *design, *weights, *rhs; /* weight 0 ("none") means 1 */
    size_t n_guards;
    struct measure_guard *guards;
    /* By number (NULL: none): what earlier pooled sums prove |sum| over all rows of all
     * sites to stay below; 0: nothing. Where the scale from the bounds leaves it fewer
     * quanta a row than 2^quanta_log2, the scale is made from it. Sums are modular, so only
     * the whole must fit: the same terms are added, in finer steps, whatever a member said
     * of its rows. */
    double *totals;
    double total_rows;
    int quanta_log2;
    /* Under noise: nothing is spent on how many patients it holds. */
    bool uncounted;
    /* filled by the gate under noise (NULL: there is none): variances of what was added in
     * all, of a cell's patients and of each number */
    double *noise;               /* 1 + n_numbers */
    /* filled by measure_close: */
    size_t n_cells, n_numbers;   /* numbers a cell */
    int *scales;                 /* n_numbers */
    double *bounds;              /* n_numbers */
    size_t first_count, first_sum; /* place in the tally: cell-major */
};

struct measure {
    struct cx *cx;
    const struct codebook *cb;
    size_t n_nodes;
    struct measure_node *nodes;  /* nodes[0] is none; operands come before users */
    size_t n_blocks;
    struct block *blocks;
    size_t n_counts, n_sums;
    bool keyed;                  /* measure_key_cells: a third count a cell, after all others */
    size_t first_key;
    enum fault fault;            /* first failure of a builder call; measure_close returns it */
    unsigned rows_max;           /* of each patient's rows the first so many; 0: all */
    bool guard_domain;           /* m_value: log and sqrt clamp what they do not take ... */
    ref domain;                  /* ... and here gathers the condition that nothing was clamped */
    double *narrow_lower, *narrow_upper; /* by variable; NULL: the codebook's bounds */
    /* private to measure.c: */
    uint32_t *table;
    size_t table_size, nodes_size, blocks_size;
};

CHECKED enum fault measure_new(struct cx *cx, const struct codebook *cb, struct measure **ret);
/* Builders fold constants, share equal nodes, compute intervals; a failure is kept in
 * m->fault and later calls return 0. */
ref m_const(struct measure *m, double value);
ref m_column(struct measure *m, int variable);
ref m_valid(struct measure *m, int variable);
ref m_unary(struct measure *m, enum measure_op op, ref a);
ref m_binary(struct measure *m, enum measure_op op, ref a, ref b);
ref m_select(struct measure *m, ref cond, ref then, ref otherwise);
ref m_link(struct measure *m, enum measure_link link, enum measure_part part, ref eta);
/* Narrows the interval by a fact that the caller guarantees by a clamp: min(max(a, lo), hi). */
ref m_clamp(struct measure *m, ref a, double lower, double upper);
/* Sum of coefs[i] * columns[i] (+ offset, may be 0). */
ref m_linear(struct measure *m, const ref *columns, const double *coefs, size_t n, ref offset);
/* x'Ax with A n by n symmetric row-major. */
ref m_quadratic(struct measure *m, const ref *columns, const double *a, size_t n);
/* Is the expression true (NULL: always)? Three-valued logic compiled to two-valued nodes. */
ref m_is_true(struct measure *m, const struct ast *ast);
/* A numeric expression's value; rows where a variable is missing must be excluded by
 * m_is_complete in `where`. */
ref m_value(struct measure *m, const struct ast *ast);
/* Narrows what m_value takes a variable to be by the comparisons with numbers that a row must
 * pass to be in `cohort` (which must stand in `where`). */
CHECKED enum fault m_narrow(struct measure *m, const struct ast *cohort);
/* 1 where every variable that the tree names is valid. */
ref m_is_complete(struct measure *m, const struct ast *ast);

/* Adds a block (copied) and returns its index. */
size_t measure_block(struct measure *m, const struct block *block);
/* Static checks: keys' intervals inside their sizes, finite bounds, `where` implies valid(v) for
 * every column that a sum, key or design reads, size limits; then layout and scales. */
CHECKED enum fault measure_close(struct measure *m, unsigned rows_log2);

/* Of a closed measure: asks for the key of each cell as well, the sum modulo 2^64 of its
 * patients' secret numbers. Every vault of a session does, or none. */
CHECKED enum fault measure_key_cells(struct measure *m);

/* Reading a pooled tally. number: index within the cell's numbers. */
uint64_t pooled_patients(const struct measure *m, const struct tally *t, size_t block,
                         size_t cell);
uint64_t pooled_rows(const struct measure *m, const struct tally *t, size_t block, size_t cell);
/* 0 where the measure has no keys. */
uint64_t pooled_key(const struct measure *m, const struct tally *t, size_t block, size_t cell);
struct dd pooled_number(const struct measure *m, const struct tally *t, size_t block,
                        size_t cell, size_t number);
/* At most how far a pooled number is off the sum of the rows' terms: each term was floored
 * to the number's quantum. */
double pooled_error(const struct measure *m, size_t block, double rows, size_t number);
/* Numbers of a cell. */
size_t block_numbers(const struct block *b);
/* Index of gram entry (i <= j) of weight w, and of rhs entry i of right side r. */
size_t block_gram(const struct block *b, size_t w, size_t i, size_t j);
size_t block_rhs(const struct block *b, size_t r, size_t i);

/* One row, plainly: for tests and for the engine's slow path. values/valid by variable. */
double measure_eval(const struct measure *m, ref node, const double *values,
                    const bool *valid);
/* The same for all nodes at once: out has n_nodes places. */
void measure_eval_all(const struct measure *m, const double *values, const bool *valid,
                      double *out);
/* One operation on its operands' values (all but M_CONST, M_COLUMN, M_VALID). */
double measure_apply(const struct measure_node *node, double a, double b, double c);
/* The link functions themselves (engine, measure_eval and tests share them). eta is clamped to
 * the link's range (links.c has the table). */
double link_part(enum measure_link link, enum measure_part part, double eta);
void link_range(enum measure_link link, double *ret_lower, double *ret_upper);

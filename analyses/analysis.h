/*
 * analysis.h - the shape of every analysis.
 *
 *   check   is this question valid? what does it read, which cells will it release? (no data)
 *   ask     what should be summed next?
 *   learn   what follows from the pooled sums? are we done?
 *   finish  the primary numbers, each with how it may be blurred and who stands behind it
 *   show    on the researcher's side: everything that follows from released numbers (statistics,
 *           p-values, intervals, percentages), as named arrays and as tables to read
 *
 * Pure functions: no row, no socket, no clock, no random number. Every vault runs check to
 * finish on the same inputs; only doubles that travel in a Proposal (state.input) may differ in
 * last bits, and those are adopted.
 */
#pragma once

#include "analyses/measure.h"
#include "analyses/regions.h"
#include "analyses/result.h"

struct asked { /* a question, opened against a codebook */
    const struct codebook *cb;
    const Cohortium__Question *body;
    struct ast *cohort;      /* canonical; NULL: everybody */
    bool testing;            /* the session's policy class */
    unsigned rows_log2;
    const void *parsed;      /* what check made of the parameters */
};

struct plan { /* what check finds out; for permit, policy, gate and ledger */
    bool *used;              /* by variable of the codebook: read by this question */
    size_t n_cells;
    struct ast **cells;      /* predicates of the released cells, cohort included; NULL: all */
    bool cells_stand_alone;  /* one may be withheld and the others be given */
    size_t n_quasi_columns;
    int *quasi_columns;      /* quasi-identifiers that are numeric covariates */
    uint64_t table_cells;    /* R13: cells of group keys */
    uint64_t widest_levels;  /* R13: most levels of one key or factor */
    unsigned rounds_max;     /* opening and sum rounds */
    bool is_fit;             /* runs a fixed 8, 25 or 50 sum rounds */
    unsigned price;          /* function of the request only */
};

struct state {
    Cohortium__RoundKind kind; /* OPENING or SUM: the next round's */
    bool done;                 /* finish may run */
    size_t n_input;
    double *input;             /* shared numbers of the next measure; adopted from the home */
    double *input_scale;       /* a step's scale each, for the 1e-9 comparison */
    bool reuse;                /* the same measure as last time: send the last tally again */
    const char *trouble;       /* constant text, named after the veto at the earliest */
    void *own;                 /* the analysis's */
};

struct report_table {
    const char *title;
    size_t n_columns, n_rows;
    const char **head;         /* n_columns */
    const char **cells;        /* row-major text, "" where empty */
    bool *numeric;             /* by column: align right */
};

struct report {
    struct cx *cx;
    size_t n_items;
    Cohortium__Item *items[RESULT_ITEMS_MAX]; /* released and derived, for --json and --csv */
    size_t n_tables;
    struct report_table tables[8];
    size_t n_lines;
    const char *lines[64];     /* below the tables */
};

struct analysis {
    const char *name;
    uint32_t version;
    const char *title;         /* for lists: "linear regression" */
    const char *rules;         /* "R1 R6 R7 R9 R22" */
    /* The same question under noise: other sums, whose every term has a public bound, in a
     * fixed number of rounds. Its check comes after this one's: what cannot be noised, and
     * plan->rounds_max. NULL: has no such form. */
    const struct analysis *noised;
    enum fault (*check)(struct cx *cx, struct asked *asked, struct complaints *c,
                        struct plan *plan);
    enum fault (*begin)(struct cx *cx, const struct asked *asked, struct state **ret);
    enum fault (*ask)(struct cx *cx, const struct asked *asked, const struct state *state,
                      struct measure **ret);
    enum fault (*learn)(struct cx *cx, const struct asked *asked, const struct state *state,
                        const struct measure *measure, const struct tally *pooled,
                        struct state **ret);
    enum fault (*finish)(struct cx *cx, const struct asked *asked, const struct state *state,
                         struct result **ret);
    enum fault (*show)(struct cx *cx, const struct asked *asked,
                       const Cohortium__Release *release, struct report *report);
};

const struct analysis *analysis_find(const char *name);
size_t analysis_count(void);
const struct analysis *analysis_at(size_t i);

/* By cell of a plan: it may be withheld alone. The cohort itself never is. NULL: none may. */
CHECKED enum fault plan_optional(struct cx *cx, const struct asked *asked,
                                 const struct plan *plan, bool **ret);

/* Everything before data: analysis known, version ours, codebook digest equal, cohort and
 * parameters opened, closed language unless testing, plan and regions (of the cells and of the
 * cohort; of testing none). All complaints at once.
 * *ret_analysis is NULL when there are complaints. */
CHECKED enum fault question_open(struct cx *cx, const struct codebook *cb,
                                 const Cohortium__Question *body, bool testing,
                                 unsigned rows_log2, struct complaints *c,
                                 struct asked *ret_asked, struct plan *ret_plan,
                                 struct regions *ret_regions,
                                 const struct analysis **ret_analysis);

/* How many columns (node/vault/leverage.h) an answer rests on: each region, everybody where a
 * cell rests on all, and the numeric quasi-identifiers summed over each. */
size_t question_columns(const struct plan *plan, const struct regions *regions);

/* For show: adds a released or derived item; a table; a line. */
Cohortium__Item *report_put(struct report *r, const char *name, Cohortium__ItemKind kind,
                            size_t rows, size_t columns, const double *values);
/* The same with a state a value: 0 given, 1 withheld, 2 not defined. */
Cohortium__Item *report_states(struct report *r, const char *name, Cohortium__ItemKind kind,
                               size_t rows, size_t columns, const double *values,
                               const uint8_t *states);
/* A released item as it is. NULL when there is none, too. */
Cohortium__Item *report_copy(struct report *r, const Cohortium__Item *released);
Cohortium__Item *report_words(struct report *r, const char *name, const char *const *words,
                              size_t n);
struct report_table *report_table(struct report *r, const char *title, size_t columns,
                                  size_t rows);
void report_line(struct report *r, const char *text);
/* A number for people with that many significant digits (whole numbers whole), "withheld", "-"
 * for not defined. */
const char *report_number(struct cx *cx, double value, int state, int digits);
const char *report_p(struct cx *cx, double p); /* "<0.001", "0.042" */

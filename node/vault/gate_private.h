/*
 * gate_private.h - what the gate*.c files share, and nobody else may include.
 */
#pragma once

#include "node/vault/gate.h"
#include "node/vault/gate_cellkey.h"

/* ---- blur (gate_blur.c): DISCLOSURE.md 0.5 ---- */

/* A step of the 1-2-5 ladder: mantissa * 10^exponent, mantissa 1, 2 or 5. */
struct step {
    int mantissa, exponent;
};
double step_value(struct step s);
struct step step_not_above(double t); /* the largest of the ladder; t finite, > 0 */
struct step step_not_below(double t); /* the smallest */
/* The nearest multiple, ties upward, as the double nearest to its decimal. */
double step_round(struct step s, double v);
/* The step of three significant digits at v; for 0 any. */
struct step step_of_digits(double v);
/* Nearest multiple of base, ties upward; base 0 and 1: itself. */
uint64_t count_round(uint64_t n, double base);

/* How one value is rounded: all that is needed to round it again a little to either side.
 */
struct blur {
    Cohortium__ItemKind kind;
    bool exact;   /* testing, and kinds that say nothing of a patient: not rounded at all */
    double value; /* unrounded */
    double basis; /* what the step follows from. MEANS: steps/n; ESTIMATES: SE/sqrt(n);
                     WHOLES: one patient's share, where that is more than 1 */
    double base;  /* COUNTS */
    enum rounding_mode mode;      /* COUNTS */
    const struct cellkey *errors; /* ROUND_CELL_KEY */
    bool has_key;
    uint64_t key;  /* of its patients */
    bool chosen;   /* ROUND_CONTROLLED: by its table, */
    double choice; /* to this */
};
/* The released value; *ret_step what it was rounded to (0: nothing that holds). */
double blur_value(const struct blur *b, double *ret_step);
/* Whether a vault that knows `b` may sign `proposed`: its own rounding, or the neighbouring
 * one where its value (or step) lies within 1e-6 of a step of the tie; exact: within 1e-9.
 */
bool blur_may_be(const struct blur *b, double proposed);

/* ---- tables (gate_table.c): R1, R3, R25 ---- */

enum { CELL_GIVEN = 0, CELL_WITHHELD = 1, CELL_UNDEFINED = 2 };

struct withheld { /* how many values each rule took, for the log */
    size_t r1, r3, r6, r22, r25, keyed, blur, others;
};
/* States of an item's values under R1, R3 (COUNTS) and R25 (COUNTS). n = rows * columns. */
CHECKED enum fault table_judge(struct cx *cx, const struct policy *session,
                               const struct item *item, uint8_t *states,
                               struct withheld *withheld);
/* The same with a state for each total, in the order of the shape. What is withheld on
 * entry, by another rule, is protected like the rest. */
CHECKED enum fault table_judge_totals(struct cx *cx, const struct policy *session,
                                      const struct item *item, uint8_t *states,
                                      uint8_t *totals, struct withheld *withheld);

/* ---- pooled rules that need no plan (gate_judge.c): R1 of a model, R6, R7 ---- */
const char *judge_model(const struct policy *session, const struct result *result);

/* R3 of the cohort: whether it tells of nearly all of a region that they have what a
 * sensitive variable says, or of nearly all others that they have not. NULL: it does not.
 */
CHECKED enum fault judge_cohort(struct cx *cx, const struct policy *session,
                                const struct asked *asked, const struct pool *pool,
                                const struct result *result, const char **ret_why);

/* Patients that a cell of a key must hold for its sums to be shown; 0: no such sums. */
double rounds_patients_needed(const struct rounds *r);

/* Columns of the accounting: those of a vector of the same length. */
size_t account_columns(const struct result *r);

/* ---- which values are withheld (gate_states.c), how they are given (gate_release.c) ----
 */

struct making {
    struct cx *cx;
    const struct policy *session;
    const struct asked *asked;
    const struct result *result;
    double needed;         /* patients of a group whose sums are shown; 0: no groups */
    const char *class_why; /* R3 of the cohort: all is withheld */
    const bool *taken;     /* by place: withheld by some site; NULL: nothing */
    uint8_t **states;      /* by item of the result */
    uint8_t *used_state, *missing_state;
    double *used, *missing;       /* rows, unrounded; what is released as used */
    uint64_t *used_keys;          /* of these patients; NULL: none */
    const struct cellkey *errors; /* ROUND_CELL_KEY */
    double **chosen;              /* ROUND_CONTROLLED: by item, or NULL */
    double *blur_n;               /* by entry of the accounting: patients, rounded */
    bool before_exclusions;
    uint32_t multiple; /* of rounding by an officer; 0: by policy */
    struct withheld withheld;
};

/* Counts of the same patients. */
bool same_support(const struct item *a, const struct item *b);
/* Whether this item holds the totals of another. */
bool states_are_totals(const struct result *r, size_t at);
/* NULL: there is none. */
const struct item *item_named(const struct result *r, const char *name);
/* Patients as a step is divided by them: rounded, never below the threshold. */
double states_patients(const struct policy *session, uint64_t n);
/* R22: who was used, who fell out. Then the states of all items. */
CHECKED enum fault states_account(struct making *m);
CHECKED enum fault states_judge(struct making *m);

/* Under noise: R1 on what is noised, and nothing else. */
CHECKED enum fault states_noised(struct making *m);

/* ---- by site (gate_votes.c) ---- */

bool is_taken(const struct making *m, size_t place);
/* By place, from the states of all items; *ret NULL where a model lacks one of its numbers.
 */
CHECKED enum fault places_withheld(const struct making *m, const bool **ret);
const struct tally *votes_tally(const struct votes *v);

/* ---- release ---- */

struct released_number {
    struct blur blur;
    bool given;
};
struct release {
    struct bytes body;              /* packed Release */
    Cohortium__Release *message;    /* the same; values are our own */
    struct released_number **items; /* one list an item of message->result */
    const char *details;
    bool whole;
    const bool *withheld; /* by place */
};

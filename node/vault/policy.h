/*
 * policy.h - what may leave, as numbers with names: one table, the strictest by field, fail
 * closed.
 *
 * Fields, defaults and ranges: DISCLOSURE.md 4.1 as amended by 0.13. Only the fields that
 * this version enforces are in the table; an unknown key in a file is an error, never
 * ignored.
 */
#pragma once

#include "analyses/codebook.h"
#include "protocol/papers.h"

enum policy_field {
    POLICY_MINIMUM_FREQUENCY_THRESHOLD, /* R1 */
    POLICY_MINIMUM_COMPLEMENT,          /* R2 */
    POLICY_MINIMUM_POPULATION,          /* R21 */
    POLICY_ZEROS_ARE_DISCLOSIVE,        /* R3; 0 or 1 */
    POLICY_CLASS_DISCLOSURE_MAX_SHARE,  /* R3 */
    POLICY_DOMINANCE_K,                 /* R4: n = 1 here, see DISCLOSURE.md 0.12 */
    POLICY_DOMINANCE_N,
    POLICY_RESIDUAL_DOF_MIN,    /* R6 */
    POLICY_MAX_PARAMETER_RATIO, /* R7 */
    POLICY_MODEL_MAX_LEVERAGE,  /* R9 */
    POLICY_MAX_LEVELS,          /* R13 static */
    POLICY_MAX_LEVEL_DENSITY,   /* R13 pooled */
    POLICY_ROUNDING_BASE,       /* R17 */
    POLICY_MIN_SITES,           /* R20 */
    POLICY_LOCAL_MINIMUM,
    POLICY_RESPONSE_QUANTUM_MS,
    POLICY_BY_SITE,                /* 0 or 1: by-site answers allowed */
    POLICY_COLLUSION_ASSUMED,      /* 0 none, 1 all_other_members */
    POLICY_MEMBERS_SEE_TIME_CELLS, /* 0 or 1 */
    POLICY_ROUNDING_MODE,          /* R17, R18: enum rounding_mode */
    POLICY_PERTURBATION_D,         /* R18 */
    POLICY_PERTURBATION_V,
    POLICY_PERTURBATION_JS,
    POLICY_NOISE_MECHANISM,        /* 0 none, 1 discrete_gaussian */
    POLICY_RHO_PER_REQUEST,
    POLICY_RHO_PER_PROJECT,
    POLICY_RHO_PER_RESEARCHER,
    POLICY_RHO_TOTAL,
    POLICY_DELTA,
    POLICY_MAX_ROWS_PER_PATIENT,
    POLICY_FIELDS
};

enum rounding_mode { ROUND_NEAREST, ROUND_RANDOM, ROUND_CONTROLLED, ROUND_CELL_KEY };
enum { POLICY_WORDS_MAX = 4 };

struct policy {
    double number[POLICY_FIELDS];
    bool testing;     /* policy class testing: lab manifests only */
    size_t n_allowed; /* allowed_statistics; 0 with all_allowed */
    const char **allowed;
    bool all_allowed;
    size_t n_reviewed; /* reviewed_statistics; the one word "all": every analysis */
    const char **reviewed;
    uint64_t not_before, not_after;
};

/*
 * Range and testing value. A policy of class cautious keeps within [lowest, highest]. One
 * of class testing may also hold `testing` itself, which may lie outside and is chosen so
 * that the rule can never bite: a share or leverage of 2 is never reached (they are at most
 * 1), 1000000 levels or parameters a patient neither, and 0 patients, degrees of freedom or
 * milliseconds ask for nothing.
 */
struct policy_field_info {
    const char *name;
    double standard, testing, lowest,
        highest;  /* default; value of the testing class; range */
    int stricter; /* +1: larger is stricter, -1: smaller, 0: affects form only */
    bool whole;
    const char *words[POLICY_WORDS_MAX]; /* by number: "no","yes"; NULL: it is a number */
    int since;                           /* table version that it came with; 0: the first */
    const char *meaning;                 /* one plain sentence for officers */
};
const struct policy_field_info *policy_field(enum policy_field f);
int policy_field_find(const char *name); /* -1 */

void policy_cautious(struct policy *p);
void policy_testing(struct policy *p);
/* Whether counts are given by the keys of their patients. */
bool policy_uses_keys(const struct policy *p);
/* From and to the packed form (a table of an earlier version lacks later fields, which then
 * have the value that was in force without them, the standard one): the numbered fields in
 * order, then "allowed_statistics" with words (no word: all; the one word "none": no
 * analysis), then "reviewed_statistics" with words (no word: none). open: every field present once, in order, in range, whole where whole, class
 * known, testing only when `lab`. FAULT_INVALID names field, value and range. */
CHECKED enum fault policy_open(struct cx *cx, const Cohortium__Policy *body, bool lab,
                               struct policy *ret);
CHECKED enum fault policy_to_pb(struct cx *cx, const struct policy *p,
                                Cohortium__Policy *ret);

/* Strictest by field, between the manifest's floor and ceiling (either may be absent; of
 * fields that affect form only the largest counts). The session is testing only if all of
 * them are, the floor included. Dates are 0: its digest is of what may leave. */
CHECKED enum fault policy_session(struct cx *cx, const struct manifest *m,
                                  const struct policy *const *sites, size_t n,
                                  struct policy *ret);
/* Signatures: tightening one officer, loosening two (one where one_officer). before: NULL
 * for the first, which counts as loosening. */
CHECKED enum fault policy_verify(struct cx *cx, const struct manifest *m,
                                 const Cohortium__Member *member, struct bytes packed,
                                 const struct policy *before, int64_t now,
                                 struct policy *ret, const Cohortium__Policy **ret_body);
/* Whether answers of this policy are noised. */
bool policy_is_noised(const struct policy *p);
/* Whether its site's numbers may be told apart from the others', so that it judges alone. */
bool policy_judges_alone(const struct policy *p);
/* Whether an officer looks at each answer of this analysis before it leaves its site. A
 * session's policy never says so: it is the site's own matter. */
bool policy_reviews(const struct policy *p, const char *analysis);
/* Whether allowed_statistics holds this analysis. */
bool policy_allows(const struct policy *p, const char *analysis);
/* Whether `after` lets anything out that `before` did not. */
bool policy_is_looser(const struct policy *after, const struct policy *before);

/* How many officers must sign `after`. before: the one in force; NULL: none. one_officer: the
 * manifest says that the institution has one. */
size_t policy_officers_needed(const struct policy *after, const struct policy *before,
                              bool one_officer);

/* A value as a file has it: its word, or the number. */
void policy_put_value(struct buffer *b, enum policy_field f, double x);
/* In plain words: each field with its meaning; and what changes between two. In cx. */
const char *policy_words(struct cx *cx, const struct policy *p);
const char *policy_difference(struct cx *cx, const struct policy *a,
                              const struct policy *b);

/* What changes, in a sentence a field; in cx. Of class, numbers, analyses, in this order. */
struct policy_change {
    const char *name, *from, *to, *sentence;
    int way; /* -1 lets more out, +1 holds more back, 0 affects form only */
};
CHECKED enum fault policy_changes(struct cx *cx, const struct policy *from,
                                  const struct policy *to, struct policy_change **ret,
                                  size_t *ret_n);
/* The same as text: "LOOSENS   field: from -> to", the sentence below it; nothing where they
 * let out the same. */
CHECKED enum fault policy_put_changes(struct cx *cx, const struct policy *from,
                                      const struct policy *to, struct buffer *out);

/* policy.c - the table of what may leave; packed form, in range or refused. */
#include "node/vault/policy_private.h"

#include <math.h>
#include <string.h>

#define NO_YES                                                                             \
    {                                                                                      \
        "no", "yes"                                                                        \
    }

static const struct policy_field_info table[POLICY_FIELDS] = {
    [POLICY_MINIMUM_FREQUENCY_THRESHOLD] =
        {.name = "minimum_frequency_threshold",
         .standard = 10,
         .testing = 1,
         .lowest = 3,
         .highest = 100,
         .stricter = 1,
         .whole = true,
         .meaning =
             "R1: a number leaves only if at least so many patients stand behind it; "
             "zero is withheld like any small number."},
    [POLICY_MINIMUM_COMPLEMENT] =
        {.name = "minimum_complement",
         .standard = 10,
         .testing = 0,
         .lowest = 0,
         .highest = 100,
         .stricter = 1,
         .whole = true,
         .meaning =
             "R2: at least so many patients must lie outside of a group that is asked "
             "for, unless the group is everybody."},
    [POLICY_MINIMUM_POPULATION] =
        {.name = "minimum_population",
         .standard = 10,
         .testing = 0,
         .lowest = 3,
         .highest = 1000000,
         .stricter = 1,
         .whole = true,
         .meaning = "R21: nothing leaves when all sites together hold fewer patients."},
    [POLICY_ZEROS_ARE_DISCLOSIVE] =
        {.name = "zeros_are_disclosive",
         .standard = 1,
         .testing = 0,
         .lowest = 0,
         .highest = 1,
         .stricter = 1,
         .whole = true,
         .words = NO_YES,
         .meaning =
             "R3: `no` shows zero cells of tables whose variables are not sensitive."},
    [POLICY_CLASS_DISCLOSURE_MAX_SHARE] =
        {.name = "class_disclosure_max_share",
         .standard = 0.95,
         .testing = 2,
         .lowest = 0.8,
         .highest = 1,
         .stricter = -1,
         .meaning = "R3: a class of which this share or more has one value of a sensitive "
                    "variable is withheld."},
    [POLICY_DOMINANCE_K] =
        {.name = "dominance_k",
         .standard = 0.90,
         .testing = 2,
         .lowest = 0.5,
         .highest = 0.95,
         .stricter = -1,
         .meaning = "R4: no sum leaves of which one patient's part reaches dominance_k / "
                    "dominance_n."},
    [POLICY_DOMINANCE_N] =
        {.name = "dominance_n",
         .standard = 2,
         .testing = 1,
         .lowest = 1,
         .highest = 3,
         .stricter = 1,
         .whole = true,
         .meaning = "R4: among how many patients the share dominance_k is divided."},
    [POLICY_RESIDUAL_DOF_MIN] =
        {.name = "residual_dof_min",
         .standard = 10,
         .testing = 0,
         .lowest = 5,
         .highest = 100,
         .stricter = 1,
         .whole = true,
         .meaning = "R6: a model needs at least so many residual degrees of freedom."},
    [POLICY_MAX_PARAMETER_RATIO] =
        {.name = "max_parameter_ratio",
         .standard = 0.10,
         .testing = 1000000,
         .lowest = 0.01,
         .highest = 0.33,
         .stricter = -1,
         .meaning = "R7: a model has at most so many parameters a patient."},
    [POLICY_MODEL_MAX_LEVERAGE] =
        {.name = "model_max_leverage",
         .standard = 0.1,
         .testing = 2,
         .lowest = 0.005,
         .highest = 0.34,
         .stricter = -1,
         .meaning = "R9: no patient's leverage on a model may be above this."},
    [POLICY_MAX_LEVELS] =
        {.name = "max_levels",
         .standard = 40,
         .testing = 1000000,
         .lowest = 2,
         .highest = 200,
         .stricter = -1,
         .whole = true,
         .meaning =
             "R13: a variable that groups or enters a model as levels has at most so "
             "many."},
    [POLICY_MAX_LEVEL_DENSITY] =
        {.name = "max_level_density",
         .standard = 0.05,
         .testing = 1000000,
         .lowest = 0.01,
         .highest = 0.33,
         .stricter = -1,
         .meaning = "R13: such a variable has at most so many levels a patient."},
    [POLICY_ROUNDING_BASE] = {.name = "rounding_base",
                              .standard = 5,
                              .testing = 0,
                              .lowest = 0,
                              .highest = 10,
                              .stricter = 1,
                              .whole = true,
                              .meaning = "R17: counts are given to a multiple of this, as "
                                         "rounding_mode says; 0 or 1: not rounded."},
    [POLICY_MIN_SITES] = {.name = "min_sites",
                          .standard = 3,
                          .testing = 3,
                          .lowest = 3,
                          .highest = 100,
                          .stricter = 1,
                          .whole = true,
                          .meaning = "R20: a pooled answer needs at least so many sites."},
    [POLICY_LOCAL_MINIMUM] =
        {.name = "local_minimum",
         .standard = 0,
         .testing = 0,
         .lowest = 0,
         .highest = 1000,
         .stricter = 1,
         .whole = true,
         .meaning = "Nothing leaves of a group with fewer patients than this at a site."},
    [POLICY_RESPONSE_QUANTUM_MS] =
        {.name = "response_quantum_ms",
         .standard = 25,
         .testing = 0,
         .lowest = 0,
         .highest = 5000,
         .stricter = 0,
         .whole = true,
         .meaning = "Answers are held to a multiple of so many milliseconds; 0: not held."},
    [POLICY_BY_SITE] =
        {.name = "by_site",
         .standard = 0,
         .testing = 1,
         .lowest = 0,
         .highest = 1,
         .stricter = -1,
         .whole = true,
         .words = NO_YES,
         .meaning = "Whether this site's own numbers may be shown apart from the others'."},
    [POLICY_COLLUSION_ASSUMED] =
        {.name = "collusion_assumed",
         .standard = 0,
         .testing = 0,
         .lowest = 0,
         .highest = 1,
         .stricter = 1,
         .whole = true,
         .words = {"none", "all_other_members"},
         .meaning = "Whose secret agreement this site guards against; `all_other_members` "
                    "judges by its own patients alone."},
    [POLICY_MEMBERS_SEE_TIME_CELLS] =
        {.name = "members_see_time_cells",
         .standard = 0,
         .testing = 1,
         .lowest = 0,
         .highest = 1,
         .stricter = -1,
         .whole = true,
         .words = NO_YES,
         .meaning = "Whether the other members' nodes may see sums by time of event."},
    [POLICY_ROUNDING_MODE] =
        {.name = "rounding_mode",
         .standard = ROUND_NEAREST,
         .testing = ROUND_NEAREST,
         .lowest = ROUND_NEAREST,
         .highest = ROUND_CELL_KEY,
         .stricter = 1,
         .whole = true,
         .since = 2,
         .words = {"nearest", "random", "controlled", "cell_key"},
         .meaning =
             "R17, R18: `nearest` multiple of rounding_base; `random` up or down, right on "
             "average; `controlled` up or down, so that totals of one and two variables "
             "are "
             "the sums of their cells; `cell_key` a small error of its own for each set of "
             "patients, then the nearest multiple."},
    [POLICY_PERTURBATION_D] =
        {.name = "perturbation_d",
         .standard = 2,
         .testing = 0,
         .lowest = 0,
         .highest = 10,
         .stricter = 1,
         .whole = true,
         .since = 2,
         .meaning = "R18: the largest error of a count under rounding_mode cell_key."},
    [POLICY_PERTURBATION_V] = {.name = "perturbation_v",
                               .standard = 1,
                               .testing = 0,
                               .lowest = 0,
                               .highest = 9,
                               .stricter = 1,
                               .since = 2,
                               .meaning =
                                   "R18: the variance of that error; its mean is zero."},
    [POLICY_PERTURBATION_JS] =
        {.name = "perturbation_js",
         .standard = 2,
         .testing = 0,
         .lowest = 0,
         .highest = 5,
         .stricter = 1,
         .whole = true,
         .since = 2,
         .meaning = "R18: with such an error no count from 1 to this comes out."},
    [POLICY_NOISE_MECHANISM] =
        {.name = "noise_mechanism",
         .since = 3,
         .standard = 0,
         .testing = 0,
         .lowest = 0,
         .highest = 1,
         .stricter = 1,
         .whole = true,
         .words = {"none", "discrete_gaussian"},
         .meaning = "`discrete_gaussian` answers every question with random noise and counts "
                    "what that spends of the budgets below; rules on exact counts then "
                    "judge the noised ones."},
    [POLICY_RHO_PER_REQUEST] =
        {.name = "rho_per_request",
         .since = 3,
         .standard = 0.01,
         .testing = 0.01,
         .lowest = 0.0001,
         .highest = 2,
         .stricter = -1,
         .meaning = "What a noised question spends, as rho of zero-concentrated differential "
                    "privacy; less means more noise."},
    [POLICY_RHO_PER_PROJECT] =
        {.name = "rho_per_project",
         .since = 3,
         .standard = 0.1,
         .testing = 0.1,
         .lowest = 0,
         .highest = 2,
         .stricter = -1,
         .meaning = "What all noised questions of one permit may spend together; 0: none is "
                    "answered."},
    [POLICY_RHO_PER_RESEARCHER] =
        {.name = "rho_per_researcher",
         .since = 3,
         .standard = 0.1,
         .testing = 0.1,
         .lowest = 0,
         .highest = 2,
         .stricter = -1,
         .meaning = "What all noised questions of one researcher may spend together."},
    [POLICY_RHO_TOTAL] =
        {.name = "rho_total",
         .since = 3,
         .standard = 0.5,
         .testing = 0.5,
         .lowest = 0,
         .highest = 2,
         .stricter = -1,
         .meaning = "What all noised questions about these patients may ever spend, whoever "
                    "asks."},
    [POLICY_DELTA] =
        {.name = "delta",
         .since = 3,
         .standard = 1e-6,
         .testing = 1e-6,
         .lowest = 1e-12,
         .highest = 1e-3,
         .stricter = -1,
         .meaning = "For people: the chance at which epsilon is told beside rho; less than 1 "
                    "over the number of patients. It changes no noise."},
    [POLICY_MAX_ROWS_PER_PATIENT] =
        {.name = "max_rows_per_patient",
         .since = 3,
         .standard = 1,
         .testing = 1,
         .lowest = 1,
         .highest = 1000,
         .stricter = 0,
         .whole = true,
         .meaning = "Under noise so many rows of each patient count, the first of the data "
                    "set; noise grows with it."},
};

static const char ALLOWED[] = "allowed_statistics", NOTHING[] = "none";
static const char REVIEWED[] = "reviewed_statistics", EVERYTHING[] = "all";
enum { REVIEWED_SINCE = 4, LISTS = 2 };
enum { ALLOWED_WORDS_MAX = 100 };

const struct policy_field_info *policy_field(enum policy_field f)
{
    return &table[f];
}

int policy_field_find(const char *name)
{
    for (int f = 0; f < POLICY_FIELDS; f++)
        if (strcmp(table[f].name, name) == 0)
            return f;
    return -1;
}

bool policy_uses_keys(const struct policy *p)
{
    double mode = p->number[POLICY_ROUNDING_MODE];

    if (policy_is_noised(p))
        return false; /* nothing is rounded, and sums of keys are exact */
    return mode == ROUND_RANDOM || mode == ROUND_CELL_KEY;
}

bool policy_judges_alone(const struct policy *p)
{
    return p->number[POLICY_BY_SITE] >= 1 || p->number[POLICY_COLLUSION_ASSUMED] >= 1;
}

bool policy_is_noised(const struct policy *p)
{
    return p->number[POLICY_NOISE_MECHANISM] >= 1;
}

void policy_cautious(struct policy *p)
{
    *p = (struct policy){.all_allowed = true};
    for (int f = 0; f < POLICY_FIELDS; f++)
        p->number[f] = table[f].standard;
}

void policy_testing(struct policy *p)
{
    *p = (struct policy){.all_allowed = true, .testing = true};
    for (int f = 0; f < POLICY_FIELDS; f++)
        p->number[f] = table[f].testing;
}

/* ---- from the packed form ---- */

static enum fault open_number(struct cx *cx, const Cohortium__PolicyField *field,
                              const struct policy_field_info *info, bool testing,
                              double *ret)
{
    double x = field->number;
    bool in_range = x >= info->lowest && x <= info->highest; /* false for NaN */

    if (field->n_words != 0)
        return cx_fail(cx, FAULT_INVALID, "policy: %s has words; expected a number",
                       info->name);
    if ((in_range && (!info->whole || x == floor(x))) || (testing && x == info->testing)) {
        *ret = x;
        return FAULT_NONE;
    }
    return cx_fail(cx, FAULT_INVALID, "policy: %s is %g; expected a %s from %g to %g",
                   info->name, x, info->whole ? "whole number" : "number", info->lowest,
                   info->highest);
}

static enum fault open_allowed(struct cx *cx, const Cohortium__PolicyField *field,
                               struct policy *p)
{
    if (field->number != 0 || field->n_words > ALLOWED_WORDS_MAX)
        return cx_fail(cx, FAULT_INVALID, "policy: %s holds a number or more than %d names",
                       ALLOWED, ALLOWED_WORDS_MAX);
    p->all_allowed = field->n_words == 0;
    if (field->n_words == 1 && strcmp(field->words[0], NOTHING) == 0)
        return FAULT_NONE;
    CX_NEW(cx, p->allowed, field->n_words);
    for (size_t i = 0; i < field->n_words; i++) {
        if (!name_is_valid(field->words[i]) || strcmp(field->words[i], NOTHING) == 0 ||
            policy_allows(p, field->words[i]))
            return cx_fail(cx, FAULT_INVALID,
                           "policy: %s: `%.40s` is no name of an analysis or stands twice",
                           ALLOWED, field->words[i]);
        p->allowed[i] = cx_strdup(cx, field->words[i]);
        if (p->allowed[i] == NULL)
            return FAULT_MEMORY;
        p->n_allowed = i + 1;
    }
    return FAULT_NONE;
}

static bool is_listed(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

static enum fault open_reviewed(struct cx *cx, const Cohortium__PolicyField *field,
                                struct policy *p)
{
    if (field->number != 0 || field->n_words > ALLOWED_WORDS_MAX)
        return cx_fail(cx, FAULT_INVALID, "policy: %s holds a number or more than %d names",
                       REVIEWED, ALLOWED_WORDS_MAX);
    CX_NEW(cx, p->reviewed, field->n_words);
    for (size_t i = 0; i < field->n_words; i++) {
        bool alone = strcmp(field->words[i], EVERYTHING) != 0 || field->n_words == 1;

        if (!name_is_valid(field->words[i]) || strcmp(field->words[i], NOTHING) == 0 ||
            !alone || is_listed(p->reviewed, i, field->words[i]))
            return cx_fail(cx, FAULT_INVALID,
                           "policy: %s: `%.40s` is no name of an analysis or stands twice",
                           REVIEWED, field->words[i]);
        p->reviewed[i] = cx_strdup(cx, field->words[i]);
        if (p->reviewed[i] == NULL)
            return FAULT_MEMORY;
        p->n_reviewed = i + 1;
    }
    return FAULT_NONE;
}

bool policy_reviews(const struct policy *p, const char *analysis)
{
    return is_listed(p->reviewed, p->n_reviewed, EVERYTHING) ||
           is_listed(p->reviewed, p->n_reviewed, analysis);
}

static const char *field_name(size_t i)
{
    return i < POLICY_FIELDS ? table[i].name : i == POLICY_FIELDS ? ALLOWED : REVIEWED;
}

/* From field i on, the first that this version of the table has; POLICY_FIELDS: the list of
 * analyses. */
static size_t field_of(size_t i, uint32_t version)
{
    while (i < POLICY_FIELDS && (uint32_t)table[i].since > version)
        i++;
    return i;
}

/* Which field stands here instead: unknown, twice, or merely out of order. */
static enum fault wrong_field(struct cx *cx, const Cohortium__Policy *body, size_t i,
                              size_t field)
{
    const char *name = body->fields[i]->name;

    if (policy_field_find(name) < 0 && strcmp(name, ALLOWED) != 0 &&
        strcmp(name, REVIEWED) != 0)
        return cx_fail(
            cx, FAULT_INVALID,
            "policy: this version knows no field `%.40s`; nothing is answered under "
            "a policy that is not understood whole",
            name);
    for (size_t j = 0; j < i; j++)
        if (strcmp(body->fields[j]->name, name) == 0)
            return cx_fail(cx, FAULT_INVALID, "policy: %s stands twice", name);
    return cx_fail(
        cx, FAULT_INVALID,
        "policy: %s is missing where %s stands; every field is given once, in the "
        "table's order",
        field_name(field), name);
}

/* Fields that make sense only together. */
static enum fault check_noise(struct cx *cx, const struct policy *p)
{
    double d = p->number[POLICY_PERTURBATION_D], v = p->number[POLICY_PERTURBATION_V];

    if (p->number[POLICY_PERTURBATION_JS] >= p->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD])
        return cx_fail(cx, FAULT_INVALID,
                       "policy: perturbation_js is %g and minimum_frequency_threshold %g; "
                       "expected one that is below the threshold",
                       p->number[POLICY_PERTURBATION_JS],
                       p->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD]);
    if (p->number[POLICY_ROUNDING_MODE] != ROUND_CELL_KEY ||
        (d >= 1 && v > 0 && v <= d * d))
        return FAULT_NONE;
    return cx_fail(
        cx, FAULT_INVALID,
        "policy: rounding_mode cell_key with perturbation_d %g and perturbation_v "
        "%g; expected a largest error of at least 1 and a variance above 0 and "
        "at most its square",
        d, v);
}

static enum fault open_class(struct cx *cx, const Cohortium__Policy *body, bool lab,
                             bool *ret_testing)
{
    *ret_testing = strcmp(body->policy_class, "testing") == 0;
    if (!*ret_testing && strcmp(body->policy_class, "cautious") != 0)
        return cx_fail(cx, FAULT_INVALID,
                       "policy: class `%.40s` is unknown; expected cautious or testing",
                       body->policy_class);
    if (*ret_testing && !lab)
        return cx_fail(
            cx, FAULT_INVALID,
            "policy: class testing shows exact answers and is for consortia whose "
            "purpose is lab; expected cautious");
    return FAULT_NONE;
}

enum fault policy_open(struct cx *cx, const Cohortium__Policy *body, bool lab,
                       struct policy *ret)
{
    struct policy p = {0};

    if (body == NULL)
        return cx_fail(cx, FAULT_INVALID, "policy: there is none");
    if (body->version < 1 || body->version > POLICY_TABLE_VERSION)
        return cx_fail(cx, FAULT_INVALID, "policy: table version %u; expected 1 to %d",
                       body->version, POLICY_TABLE_VERSION);
    TRY(open_class(cx, body, lab, &p.testing));
    for (size_t f = 0; f < POLICY_FIELDS; f++)
        p.number[f] = p.testing ? table[f].testing : table[f].standard;
    size_t field = field_of(0, body->version);
    size_t end = POLICY_FIELDS + (body->version >= REVIEWED_SINCE ? LISTS : 1);

    for (size_t i = 0; i < body->n_fields; i++) {
        if (field >= end || strcmp(body->fields[i]->name, field_name(field)) != 0)
            return wrong_field(cx, body, i, field);
        if (field < POLICY_FIELDS)
            TRY(open_number(cx, body->fields[i], &table[field], p.testing,
                            &p.number[field]));
        else if (field == POLICY_FIELDS)
            TRY(open_allowed(cx, body->fields[i], &p));
        else
            TRY(open_reviewed(cx, body->fields[i], &p));
        field = field < POLICY_FIELDS ? field_of(field + 1, body->version) : field + 1;
    }
    if (field != end)
        return cx_fail(cx, FAULT_INVALID,
                       "policy: %s is missing; every field must be there",
                       field_name(field));
    TRY(check_noise(cx, &p));
    p.not_before = body->not_before;
    p.not_after = body->not_after;
    *ret = p;
    return FAULT_NONE;
}

enum fault policy_to_pb(struct cx *cx, const struct policy *p, Cohortium__Policy *ret)
{
    Cohortium__Policy body = COHORTIUM__POLICY__INIT;
    Cohortium__PolicyField *fields;

    CX_NEW(cx, fields, POLICY_FIELDS + LISTS);
    CX_NEW(cx, body.fields, POLICY_FIELDS + LISTS);
    body.version = POLICY_TABLE_VERSION;
    body.policy_class = (char *)(p->testing ? "testing" : "cautious");
    body.n_fields = POLICY_FIELDS + LISTS;
    for (size_t i = 0; i < body.n_fields; i++) {
        cohortium__policy_field__init(&fields[i]);
        fields[i].name = (char *)field_name(i);
        if (i < POLICY_FIELDS)
            fields[i].number = p->number[i];
        body.fields[i] = &fields[i];
    }
    if (!p->all_allowed) {
        size_t n = p->n_allowed > 0 ? p->n_allowed : 1;
        const char **words;

        CX_NEW(cx, words, n);
        for (size_t i = 0; i < n; i++)
            words[i] = p->n_allowed > 0 ? p->allowed[i] : NOTHING;
        fields[POLICY_FIELDS].words = (char **)words;
        fields[POLICY_FIELDS].n_words = n;
    }
    fields[POLICY_FIELDS + 1].words = (char **)p->reviewed;
    fields[POLICY_FIELDS + 1].n_words = p->n_reviewed;
    body.not_before = p->not_before;
    body.not_after = p->not_after;
    *ret = body;
    return FAULT_NONE;
}

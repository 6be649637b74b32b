/*
 * policy_sentences.c - what a change of policy lets out or holds back, in sentences.
 *
 * Field by field, as the signatures are judged (policy_is_looser): of two fields that one
 * rule divides, each sentence takes the one before as changed already.
 */
#include "node/vault/policy_private.h"
#include "node/vault/rules.h"

#include <string.h>

enum shape {
    AS_VALUE,   /* the number or word itself */
    AS_BASE,    /* "rounded to multiples of 5" */
    AS_ONE_IN,  /* 0.1: "one parameter for every 10 patients" */
    AS_PERCENT, /* 0.1: "10 %" */
    AS_LIMIT,   /* R4: "45 %", of dominance_k / dominance_n */
    AS_HELD,    /* "held to multiples of 25 milliseconds" */
    AS_NEVER    /* "no count from 1 to 2 comes out" */
};

/* {range}: the whole numbers that change sides; {from}, {to}: before and after. */
struct wording {
    enum shape shape;
    int least;                     /* the smallest number of a range that means something */
    const char *looser, *stricter; /* stricter NULL: the same words */
};

static const char ROUNDED[] = "counts are {to}; they were {from}";
static const char LIMIT[] =
    "a sum is withheld when one patient's part of it reaches {to}; it was {from}";
static const char LEVEL_SHARE[] =
    "a variable that groups may have {to}; it could have {from}";
static const char PARAMETERS[] = "a model may have {to}; it could have {from}";
static const char LARGEST_ERROR[] =
    "the error of a count is at most {to}; it was at most {from}";
static const char VARIANCE[] = "the variance of a count's error is {to}; it was {from}";
static const char NEVER_OUT[] = "{to}; before, {from}";
static const char SPEND[] = "may spend {to} of rho; it was {from}";

static const struct wording wordings[POLICY_FIELDS] = {
    [POLICY_MINIMUM_FREQUENCY_THRESHOLD] =
        {.looser = "allows cells of {range} patients that were hidden",
         .stricter = "hides cells of {range} patients that were allowed"},
    [POLICY_MINIMUM_COMPLEMENT] =
        {.least = 1,
         .looser = "allows groups that leave out {range} patients, which were refused",
         .stricter = "refuses groups that leave out {range} patients, which were allowed"},
    [POLICY_MINIMUM_POPULATION] =
        {.looser =
             "answers when all sites together hold {range} patients, which was refused",
         .stricter =
             "refuses when all sites together hold {range} patients, which was answered"},
    [POLICY_ZEROS_ARE_DISCLOSIVE] =
        {.looser =
             "shows zero cells of tables whose variables are not sensitive; they were "
             "hidden",
         .stricter = "hides zero cells of tables whose variables are not sensitive; they "
                     "were shown"},
    [POLICY_CLASS_DISCLOSURE_MAX_SHARE] =
        {.shape = AS_PERCENT,
         .looser =
             "shows classes of which {from} or more, but less than {to}, have one value "
             "of a sensitive variable; they were hidden",
         .stricter = "hides classes of which {to} or more have one value of a sensitive "
                     "variable; it was {from} or more"},
    [POLICY_DOMINANCE_K] = {.shape = AS_LIMIT, .looser = LIMIT},
    [POLICY_DOMINANCE_N] = {.shape = AS_LIMIT, .looser = LIMIT},
    [POLICY_RESIDUAL_DOF_MIN] =
        {.looser = "answers models with {range} residual degrees of freedom, which were "
                   "refused",
         .stricter = "refuses models with {range} residual degrees of freedom, which were "
                     "answered"},
    [POLICY_MAX_PARAMETER_RATIO] = {.shape = AS_ONE_IN, .looser = PARAMETERS},
    [POLICY_MODEL_MAX_LEVERAGE] =
        {.looser = "answers models on which one patient has a leverage of up to {to}; the "
                   "limit was {from}",
         .stricter = "refuses models on which one patient has a leverage above {to}; the "
                     "limit was {from}"},
    [POLICY_MAX_LEVELS] =
        {.looser = "variables with {range} levels may group or enter a model; they were "
                   "refused",
         .stricter = "variables with {range} levels may no longer group or enter a model"},
    [POLICY_MAX_LEVEL_DENSITY] = {.shape = AS_ONE_IN, .looser = LEVEL_SHARE},
    [POLICY_ROUNDING_BASE] = {.shape = AS_BASE, .looser = ROUNDED},
    [POLICY_MIN_SITES] =
        {.looser = "answers that pool {range} sites are given; they were refused",
         .stricter = "answers that pool {range} sites are refused; they were given"},
    [POLICY_LOCAL_MINIMUM] =
        {.least = 1,
         .looser =
             "groups with {range} patients of this site are answered; the whole answer "
             "was refused",
         .stricter = "groups with {range} patients of this site make the whole answer "
                     "refused; they were answered"},
    [POLICY_RESPONSE_QUANTUM_MS] = {.shape = AS_HELD,
                                    .looser = "answers are {to}; they were {from}"},
    [POLICY_BY_SITE] =
        {.looser =
             "this site's own numbers may be shown apart from the others', of data that "
             "have "
             "not answered together with theirs yet; pooled questions about these are then "
             "judged by this site's own patients alone, too",
         .stricter = "this site's own numbers are never shown apart from the others'; they "
                     "could be"},
    [POLICY_COLLUSION_ASSUMED] =
        {.looser = "thresholds are judged over the patients of all sites together; it was "
                   "this site's alone, so its small cells may now be part of an answer",
         .stricter = "thresholds are judged by this site's own patients alone; it was all "
                     "sites together"},
    [POLICY_MEMBERS_SEE_TIME_CELLS] =
        {.looser = "the other members' nodes may see sums by time of event; they could not",
         .stricter = "the other members' nodes no longer see sums by time of event"},
    [POLICY_ROUNDING_MODE] =
        {.looser = "counts are rounded by the mode {to}, from which more can be worked out "
                   "than from {from}",
         .stricter =
             "counts are rounded by the mode {to}, from which less can be worked out "
             "than from {from}"},
    [POLICY_PERTURBATION_D] = {.looser = LARGEST_ERROR},
    [POLICY_PERTURBATION_V] = {.looser = VARIANCE},
    [POLICY_PERTURBATION_JS] = {.shape = AS_NEVER, .looser = NEVER_OUT},
    [POLICY_NOISE_MECHANISM] =
        {.looser = "answers carry no random noise any more, and no budget ends them",
         .stricter =
             "every answer carries random noise and spends of the budgets; rules on "
             "exact counts judge the noised ones"},
    [POLICY_RHO_PER_REQUEST] =
        {.looser = "a question may spend {to} of rho, it was {from}: its noise is smaller",
         .stricter =
             "a question may spend {to} of rho, it was {from}: its noise is larger"},
    [POLICY_RHO_PER_PROJECT] = {.looser = SPEND},
    [POLICY_RHO_PER_RESEARCHER] = {.looser = SPEND},
    [POLICY_RHO_TOTAL] = {.looser = SPEND},
    [POLICY_DELTA] =
        {.looser =
             "epsilon is told for a chance of {to}; it was {from}; the noise is the same"},
    [POLICY_MAX_ROWS_PER_PATIENT] =
        {.looser = "under noise {to} rows of each patient count; it was {from}; the noise "
                   "grows with it"},
};

static const char *subject(enum policy_field f)
{
    switch (f) {
    case POLICY_RHO_PER_PROJECT:
        return "all questions of one permit together ";
    case POLICY_RHO_PER_RESEARCHER:
        return "all questions of one researcher together ";
    case POLICY_RHO_TOTAL:
        return "all questions about these patients together ";
    default:
        return "";
    }
}

/* R4, with dominance_n of the policy before while dominance_k is told. */
static double limit_of(enum policy_field f, const struct policy *p,
                       const struct policy *from, const struct policy *to)
{
    const struct policy *k = f == POLICY_DOMINANCE_K ? p : to;
    const struct policy *n = f == POLICY_DOMINANCE_N ? p : from;

    return k->number[POLICY_DOMINANCE_K] / n->number[POLICY_DOMINANCE_N];
}

static void put_share(struct buffer *b, double x)
{
    if (x > 1) /* class testing */
        buffer_text(b, "no limit");
    else
        buffer_printf(b, "%.4g %%", 100 * x);
}

static void put_one_in(struct buffer *b, const char *what, double x)
{
    if (x > 1) /* class testing */
        buffer_printf(b, "any number of %ss", what);
    else
        buffer_printf(b, "at most one %s for every %.4g patients", what, 1 / x);
}

static void put_shaped(struct buffer *b, enum policy_field f, const struct policy *p,
                       const struct policy *from, const struct policy *to)
{
    double x = p->number[f];

    switch (wordings[f].shape) {
    case AS_LIMIT:
        put_share(b, limit_of(f, p, from, to));
        return;
    case AS_PERCENT:
        put_share(b, x);
        return;
    case AS_ONE_IN:
        put_one_in(b, f == POLICY_MAX_LEVEL_DENSITY ? "level" : "parameter", x);
        return;
    case AS_BASE:
        if (x > 1)
            buffer_printf(b, "rounded to multiples of %.10g", x);
        else
            buffer_text(b, "not rounded");
        return;
    case AS_HELD:
        if (x > 0)
            buffer_printf(b, "held to multiples of %.10g milliseconds", x);
        else
            buffer_text(b, "not held, so that their time tells of the work");
        return;
    case AS_NEVER:
        if (x >= 1)
            buffer_printf(b, "no count from 1 to %.10g comes out", x);
        else
            buffer_text(b, "every count may come out");
        return;
    case AS_VALUE:
        policy_put_value(b, f, x);
        return;
    }
}

/* The whole numbers from the smaller value to the larger that change sides: a minimum lets
 * itself through, and so does a maximum. */
static void put_range(struct buffer *b, enum policy_field f, double x, double y)
{
    bool minimum = policy_field(f)->stricter > 0;
    double low = (x < y ? x : y) + (minimum ? 0 : 1), high = (x > y ? x : y) - minimum;

    if (low < wordings[f].least)
        low = wordings[f].least;
    if (low >= high)
        buffer_printf(b, "%.10g", high);
    else
        buffer_printf(b, "%.10g to %.10g", low, high);
}

static void put_sentence(struct buffer *b, enum policy_field f, const char *text,
                         const struct policy *from, const struct policy *to)
{
    buffer_text(b, subject(f));
    while (*text != '\0') {
        size_t n = strcspn(text, "{");

        buffer_printf(b, "%.*s", (int)n, text);
        text += n;
        if (strncmp(text, "{range}", 7) == 0)
            put_range(b, f, from->number[f], to->number[f]);
        else if (*text == '{')
            put_shaped(b, f, strncmp(text, "{to}", 4) == 0 ? to : from, from, to);
        text += strcspn(text, "}");
        text += *text == '}';
    }
}

/* The ledger's limit on leverages is 2 / threshold. */
static void put_half(struct buffer *b, const struct policy *from, const struct policy *to)
{
    buffer_printf(b,
                  "; what can be worked out from all answers together rests on the "
                  "equivalent of %.10g patients or more, it was %.10g",
                  to->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD] / 2,
                  from->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD] / 2);
}

/* Rules that look at exact numbers, which do not run under noise (gate_noise.c). */
static bool is_of_exact_numbers(enum policy_field f)
{
    static const enum policy_field list[] = {
        POLICY_MINIMUM_COMPLEMENT, POLICY_MINIMUM_POPULATION, POLICY_DOMINANCE_K,
        POLICY_DOMINANCE_N,        POLICY_MODEL_MAX_LEVERAGE, POLICY_MAX_LEVEL_DENSITY,
        POLICY_ROUNDING_BASE,      POLICY_ROUNDING_MODE,      POLICY_LOCAL_MINIMUM};

    for (size_t i = 0; i < COUNT(list); i++)
        if (list[i] == f)
            return true;
    return false;
}

/* What changes nothing that leaves, as long as another field stays as it is. */
static const char *idle(enum policy_field f, const struct policy *a, const struct policy *b)
{
    bool keyed = a->number[POLICY_ROUNDING_MODE] == ROUND_CELL_KEY ||
                 b->number[POLICY_ROUNDING_MODE] == ROUND_CELL_KEY;

    if (f >= POLICY_PERTURBATION_D && f <= POLICY_PERTURBATION_JS && !keyed)
        return "; no effect, for rounding_mode is not cell_key";
    if (f > POLICY_NOISE_MECHANISM && f <= POLICY_MAX_ROWS_PER_PATIENT &&
        !policy_is_noised(a) && !policy_is_noised(b))
        return "; no effect, for noise_mechanism is none";
    if (is_of_exact_numbers(f) && policy_is_noised(a) && policy_is_noised(b))
        return "; no effect, for answers are noised";
    return "";
}

enum { SENTENCE_BYTES_MAX = 16 * 1024 };

static enum fault change_of(struct cx *cx, enum policy_field f, const struct policy *from,
                            const struct policy *to, struct policy_change *ret)
{
    struct buffer sentence = buffer_new(cx, SENTENCE_BYTES_MAX);
    struct buffer old = buffer_new(cx, SENTENCE_BYTES_MAX);
    struct buffer new = buffer_new(cx, SENTENCE_BYTES_MAX);
    const struct wording *w = &wordings[f];

    ret->name = policy_field(f)->name;
    ret->way = policy_compare(f, to->number[f], from->number[f]);
    policy_put_value(&old, f, from->number[f]);
    policy_put_value(&new, f, to->number[f]);
    put_sentence(&sentence, f,
                 ret->way > 0 && w->stricter != NULL ? w->stricter : w->looser, from, to);
    if (f == POLICY_MINIMUM_FREQUENCY_THRESHOLD)
        put_half(&sentence, from, to);
    buffer_text(&sentence, idle(f, from, to));
    ret->from = buffer_string(&old);
    ret->to = buffer_string(&new);
    ret->sentence = buffer_string(&sentence);
    return ret->from != NULL && ret->to != NULL && ret->sentence != NULL ? FAULT_NONE
                                                                         : FAULT_MEMORY;
}

static void put_missing(struct buffer *b, const char *what, const struct policy *with,
                        const struct policy *without)
{
    size_t n = 0;

    for (size_t i = 0; i < with->n_allowed; i++)
        if (!policy_allows(without, with->allowed[i]))
            buffer_printf(b, "%s%s", n++ == 0 ? what : ", ", with->allowed[i]);
    if (n > 0)
        buffer_text(b, "; ");
}

/* The list of analyses can let more and less out at once; then it counts as loosening. */
static enum fault change_of_allowed(struct cx *cx, const struct policy *from,
                                    const struct policy *to, struct policy_change *ret)
{
    struct buffer sentence = buffer_new(cx, SENTENCE_BYTES_MAX);
    struct buffer old = buffer_new(cx, SENTENCE_BYTES_MAX);
    struct buffer new = buffer_new(cx, SENTENCE_BYTES_MAX);

    ret->name = "allowed_statistics";
    ret->way = policy_allows_more(to, from) ? -1 : 1;
    policy_put_allowed(&old, from);
    policy_put_allowed(&new, to);
    if (to->all_allowed)
        buffer_text(&sentence,
                    "answers every analysis; it answered only those of the list; ");
    else if (from->all_allowed)
        buffer_text(&sentence, "answers only the analyses of the list; it answered all; ");
    else {
        put_missing(&sentence, "answers also ", to, from);
        put_missing(&sentence, "no longer answers ", from, to);
    }
    sentence.n -= sentence.n >= 2 ? 2 : 0; /* the last "; " */
    ret->from = buffer_string(&old);
    ret->to = buffer_string(&new);
    ret->sentence = buffer_string(&sentence);
    return ret->from != NULL && ret->to != NULL && ret->sentence != NULL ? FAULT_NONE
                                                                         : FAULT_MEMORY;
}

static enum fault change_of_reviewed(struct cx *cx, const struct policy *from,
                                     const struct policy *to, struct policy_change *ret)
{
    struct buffer old = buffer_new(cx, SENTENCE_BYTES_MAX);
    struct buffer new = buffer_new(cx, SENTENCE_BYTES_MAX);
    bool less = policy_reviews_more(from, to);

    policy_put_reviewed(&old, from);
    policy_put_reviewed(&new, to);
    *ret = (struct policy_change){
        .name = "reviewed_statistics",
        .way = less ? -1 : 1,
        .from = buffer_string(&old),
        .to = buffer_string(&new),
        .sentence = less ? "lets answers leave that an officer looked at first"
                         : "holds answers until an officer has looked at them"};
    return ret->from != NULL && ret->to != NULL ? FAULT_NONE : FAULT_MEMORY;
}

enum fault policy_changes(struct cx *cx, const struct policy *from, const struct policy *to,
                          struct policy_change **ret, size_t *ret_n)
{
    struct policy_change *list;
    size_t n = 0;

    CX_NEW(cx, list, POLICY_FIELDS + 3);
    if (from->testing != to->testing)
        list[n++] = (struct policy_change){
            .name = "class",
            .from = from->testing ? "testing" : "cautious",
            .to = to->testing ? "testing" : "cautious",
            .way = to->testing ? -1 : 1,
            .sentence = to->testing
                            ? "gives exact answers that protect nobody: lab data only"
                            : "answers are protected; they were exact"};
    for (int f = 0; f < POLICY_FIELDS; f++)
        if (from->number[f] != to->number[f])
            TRY(change_of(cx, (enum policy_field)f, from, to, &list[n++]));
    if (policy_allows_more(to, from) || policy_allows_more(from, to))
        TRY(change_of_allowed(cx, from, to, &list[n++]));
    if (policy_reviews_more(to, from) || policy_reviews_more(from, to))
        TRY(change_of_reviewed(cx, from, to, &list[n++]));
    *ret = list;
    *ret_n = n;
    return FAULT_NONE;
}

enum fault policy_put_changes(struct cx *cx, const struct policy *from,
                              const struct policy *to, struct buffer *out)
{
    struct policy_change *list;
    size_t n;

    TRY(policy_changes(cx, from, to, &list, &n));
    for (size_t i = 0; i < n; i++) {
        buffer_printf(out, "%-9s %s: %s -> %s\n",
                      list[i].way < 0   ? "LOOSENS"
                      : list[i].way > 0 ? "TIGHTENS"
                                        : "NEITHER",
                      list[i].name, list[i].from, list[i].to);
        rule_put_wrapped(out, "", 10, list[i].sentence);
    }
    return out->fault;
}

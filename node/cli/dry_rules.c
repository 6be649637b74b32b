/*
 * dry_rules.c - the rules that a question meets, by number, with the values that its
 * session would have. Of the request and of policies alone.
 */
#include <string.h>

#include "node/cli/dry_run.h"
#include "node/cli/render.h"

static double value(const struct dry *d, enum policy_field f)
{
    return d->policy.number[f];
}

/* Whether the analysis names it, as a word. */
static bool names(const struct dry *d, const char *rule)
{
    size_t n = strlen(rule);

    for (const char *p = d->analysis->rules; (p = strstr(p, rule)) != NULL; p += n)
        if ((p[n] == ' ' || p[n] == '\0') && (p == d->analysis->rules || p[-1] == ' '))
            return true;
    return false;
}

/* ---- when ---- */

static bool always(const struct dry *d)
{
    (void)d;
    return true;
}

static bool exactly(const struct dry *d)
{
    return !d->noised;
}

static bool has_regions(const struct dry *d)
{
    return !d->noised && d->regions.n > 0 && value(d, POLICY_MINIMUM_COMPLEMENT) > 0;
}

static bool is_sensitive(const struct dry *d)
{
    const struct codebook *cb = d->asked.cb;

    for (size_t v = 0; v < cb->body->n_variables; v++)
        if (d->plan.used[v] &&
            codebook_variable(cb, (int)v)->role == COHORTIUM__ROLE__SENSITIVE)
            return names(d, "R3");
    return false;
}

static bool sums(const struct dry *d)
{
    return names(d, "R4");
}

static bool has_spread(const struct dry *d)
{
    return names(d, "R6");
}

static bool is_model(const struct dry *d)
{
    return names(d, "R7");
}

static bool is_exact_model(const struct dry *d)
{
    return names(d, "R9");
}

static bool has_levels(const struct dry *d)
{
    return d->plan.widest_levels > 0;
}

static bool rounds(const struct dry *d)
{
    return !d->noised && value(d, POLICY_ROUNDING_BASE) > 1;
}

static bool has_errors(const struct dry *d)
{
    return !d->noised && (int)value(d, POLICY_ROUNDING_MODE) == ROUND_CELL_KEY;
}

static bool is_pooled(const struct dry *d)
{
    return !d->by_site;
}

static bool counts_missing(const struct dry *d)
{
    return names(d, "R22");
}

static bool blurs(const struct dry *d)
{
    return names(d, "R24");
}

static bool completes(const struct dry *d)
{
    return names(d, "R25");
}

/* ---- what ---- */

static void say_frequency(struct buffer *out, const struct dry *d)
{
    if (d->noised) {
        buffer_printf(out,
                      "counts that come out below %.0f with their noise, and what rests "
                      "on them",
                      value(d, POLICY_MINIMUM_FREQUENCY_THRESHOLD));
        return;
    }
    buffer_printf(out, "what rests on fewer than %.0f patients",
                  value(d, POLICY_MINIMUM_FREQUENCY_THRESHOLD));
    if (value(d, POLICY_ZEROS_ARE_DISCLOSIVE) >= 1)
        buffer_text(out, ", nobody included");
}

static void say_complement(struct buffer *out, const struct dry *d)
{
    buffer_printf(out, "what leaves out fewer than %.0f patients",
                  value(d, POLICY_MINIMUM_COMPLEMENT));
}

static void say_classes(struct buffer *out, const struct dry *d)
{
    buffer_printf(out,
                  "a class of which %g %% or more, or nobody, has one value of a sensitive "
                  "variable",
                  100 * value(d, POLICY_CLASS_DISCLOSURE_MAX_SHARE));
}

static void say_dominance(struct buffer *out, const struct dry *d)
{
    buffer_printf(out, "sums of which one patient's part is %.3g %% or more",
                  100 * value(d, POLICY_DOMINANCE_K) / value(d, POLICY_DOMINANCE_N));
}

static void say_freedom(struct buffer *out, const struct dry *d)
{
    buffer_printf(out, "what has fewer than %.0f residual degrees of freedom",
                  value(d, POLICY_RESIDUAL_DOF_MIN));
}

static void say_parameters(struct buffer *out, const struct dry *d)
{
    buffer_printf(out, "models with more than %g parameters a patient",
                  value(d, POLICY_MAX_PARAMETER_RATIO));
}

static void say_leverage(struct buffer *out, const struct dry *d)
{
    buffer_printf(out, "models on which one patient's leverage is above %g",
                  value(d, POLICY_MODEL_MAX_LEVERAGE));
}

static void say_levels(struct buffer *out, const struct dry *d)
{
    buffer_printf(out,
                  "more than %.0f levels of one variable (here %llu), or than %g a patient",
                  value(d, POLICY_MAX_LEVELS), (unsigned long long)d->plan.widest_levels,
                  value(d, POLICY_MAX_LEVEL_DENSITY));
}

static void say_rounding(struct buffer *out, const struct dry *d)
{
    static const char *const how[] = {"come as the nearest",
                                      "go up or down, by chance, to a",
                                      "go up or down to a", "then come as the nearest"};
    size_t mode = (size_t)value(d, POLICY_ROUNDING_MODE);

    buffer_printf(out, "digits: counts %s multiple of %.0f%s",
                  how[mode < COUNT(how) ? mode : 0], value(d, POLICY_ROUNDING_BASE),
                  mode == ROUND_CONTROLLED ? ", so that tables of two variables add up"
                                           : "");
}

static void say_errors(struct buffer *out, const struct dry *d)
{
    buffer_printf(out, "digits: counts have an error of at most %.0f",
                  value(d, POLICY_PERTURBATION_D));
}

static void say_sites(struct buffer *out, const struct dry *d)
{
    buffer_printf(out, "pooled answers of fewer than %.0f sites",
                  value(d, POLICY_MIN_SITES));
}

static void say_population(struct buffer *out, const struct dry *d)
{
    buffer_printf(out, "everything, where all sites hold fewer than %.0f patients",
                  value(d, POLICY_MINIMUM_POPULATION));
}

static void say_missing(struct buffer *out, const struct dry *d)
{
    buffer_printf(out, "how many values are missing, where fewer than %.0f are",
                  value(d, POLICY_MINIMUM_FREQUENCY_THRESHOLD));
}

static void say_blur(struct buffer *out, const struct dry *d)
{
    (void)d;
    buffer_text(out, "digits: of estimates those that their error or the bounds bear");
}

static void say_complements(struct buffer *out, const struct dry *d)
{
    (void)d;
    buffer_text(out, "what a withheld number would follow from by subtraction");
}

static void say_memory(struct buffer *out, const struct dry *d)
{
    buffer_printf(out,
                  "what would rest more than %.3g %% of any combination of all answers so "
                  "far on one patient",
                  200 / value(d, POLICY_MINIMUM_FREQUENCY_THRESHOLD));
}

static void say_extremes(struct buffer *out, const struct dry *d)
{
    (void)d;
    buffer_text(out, "extremes and quantiles");
}

/* Numbered as in DISCLOSURE.md; 0.4 is the leverage over everything released. fields: what
 * `text` reads, up to POLICY_FIELDS. */
static const struct {
    const char *number;
    bool (*applies)(const struct dry *d);
    void (*say)(struct buffer *out, const struct dry *d);
    enum policy_field fields[2];
} rules[] = {
    {"R1",
     always,
     say_frequency,
     {POLICY_MINIMUM_FREQUENCY_THRESHOLD, POLICY_ZEROS_ARE_DISCLOSIVE}},
    {"R2", has_regions, say_complement, {POLICY_MINIMUM_COMPLEMENT, POLICY_FIELDS}},
    {"R3", is_sensitive, say_classes, {POLICY_CLASS_DISCLOSURE_MAX_SHARE, POLICY_FIELDS}},
    {"R4", sums, say_dominance, {POLICY_DOMINANCE_K, POLICY_DOMINANCE_N}},
    {"R6", has_spread, say_freedom, {POLICY_RESIDUAL_DOF_MIN, POLICY_FIELDS}},
    {"R7", is_model, say_parameters, {POLICY_MAX_PARAMETER_RATIO, POLICY_FIELDS}},
    {"R9", is_exact_model, say_leverage, {POLICY_MODEL_MAX_LEVERAGE, POLICY_FIELDS}},
    {"R11", exactly, say_extremes, {POLICY_FIELDS, POLICY_FIELDS}},
    {"R13", has_levels, say_levels, {POLICY_MAX_LEVELS, POLICY_MAX_LEVEL_DENSITY}},
    {"R17", rounds, say_rounding, {POLICY_ROUNDING_BASE, POLICY_ROUNDING_MODE}},
    {"R18", has_errors, say_errors, {POLICY_PERTURBATION_D, POLICY_FIELDS}},
    {"R20", is_pooled, say_sites, {POLICY_MIN_SITES, POLICY_FIELDS}},
    {"R21", exactly, say_population, {POLICY_MINIMUM_POPULATION, POLICY_FIELDS}},
    {"R22",
     counts_missing,
     say_missing,
     {POLICY_MINIMUM_FREQUENCY_THRESHOLD, POLICY_FIELDS}},
    {"R23", exactly, say_memory, {POLICY_MINIMUM_FREQUENCY_THRESHOLD, POLICY_FIELDS}},
    {"R24", blurs, say_blur, {POLICY_FIELDS, POLICY_FIELDS}},
    {"R25", completes, say_complements, {POLICY_FIELDS, POLICY_FIELDS}},
};

void put_dry_rules(struct buffer *out, const struct dry *d)
{
    buffer_text(out,
                "\nwithheld by rule, whatever the data (the policy of the session: the "
                "strictest of the sites)\n");
    if (d->policy.testing) {
        buffer_text(out, "  nothing: these sites test and give exact answers\n");
        return;
    }
    for (size_t i = 0; i < COUNT(rules); i++) {
        if (!rules[i].applies(d))
            continue;
        buffer_printf(out, "  %-3s  ", rules[i].number);
        rules[i].say(out, d);
        buffer_text(out, "\n");
    }
    if (!d->noised && (d->by_site || d->alone))
        buffer_text(out, "  ... judged by a site's own patients, not by all together\n");
}

static void put_json_fields(struct buffer *out, const struct dry *d,
                            const enum policy_field *fields, size_t n)
{
    buffer_text(out, ",\"fields\":{");
    for (size_t k = 0; k < n && fields[k] != POLICY_FIELDS; k++) {
        buffer_text(out, k > 0 ? "," : "");
        put_json_text(out, policy_field(fields[k])->name);
        buffer_text(out, ":");
        put_json_number(out, value(d, fields[k]));
    }
    buffer_text(out, "}");
}

void put_json_dry_rules(struct buffer *out, const struct dry *d)
{
    size_t n = 0;

    buffer_text(out, "\"list\":[");
    for (size_t i = 0; i < COUNT(rules) && !d->policy.testing; i++) {
        struct buffer text = buffer_new(out->cx, 4096);

        if (!rules[i].applies(d))
            continue;
        rules[i].say(&text, d);
        const char *words = buffer_string(&text);
        buffer_text(out, n++ > 0 ? ",{\"rule\":" : "{\"rule\":");
        put_json_text(out, rules[i].number);
        buffer_text(out, ",\"text\":");
        put_json_text(out, words != NULL ? words : "");
        put_json_fields(out, d, rules[i].fields, COUNT(rules[i].fields));
        buffer_text(out, "}");
    }
    buffer_text(out, "]");
}

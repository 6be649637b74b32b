/* policy_yaml.c - YAML to policy. */
#include "node/data/policy_yaml.h"

#include <math.h>
#include <string.h>

#include "node/data/yaml.h"
#include "protocol/base/clock.h"

enum { ALLOWED_MAX = 100, REASON_BYTES = 2000, STATISTIC_BYTES = 64 };
static const int64_t DAY_MS = 86400000;
static const int64_t LIFE_DAYS = 365, LIFE_DAYS_MAX = 10 * 366;

static const char *const own_keys[] = {"class",       "allowed_statistics", "reviewed_statistics",
                                       "valid_from",  "valid_until",        "reason"};
enum { OWN_KEYS = COUNT(own_keys) };

const char policy_yaml_exact_for_testing[] = "class: testing\n";

static enum fault check_keys(struct cx *cx, const struct yaml_node *root)
{
    const char *words[OWN_KEYS + POLICY_FIELDS];

    memcpy(words, own_keys, sizeof own_keys);
    for (int f = 0; f < POLICY_FIELDS; f++)
        words[OWN_KEYS + f] = policy_field((enum policy_field)f)->name;
    return yaml_check_map(cx, root, "policy", words, COUNT(words));
}

static enum fault read_class(struct cx *cx, const struct yaml_node *root, bool lab,
                             struct policy *p)
{
    static const char *const classes[] = {"cautious", "testing"};
    const struct yaml_node *node = yaml_get(root, "class");
    size_t i = 0;

    if (node != NULL)
        TRY(yaml_word(cx, node, "class", classes, COUNT(classes), &i));
    if (i == 1 && !lab)
        return yaml_fail(
            cx, node,
            "class: testing shows exact answers and is for lab consortia only; "
            "expected cautious");
    if (i == 1)
        policy_testing(p);
    else
        policy_cautious(p);
    return FAULT_NONE;
}

/* The testing class's own defaults lie beyond the ranges of production: they may be
 * written. */
static enum fault read_number(struct cx *cx, const struct yaml_node *node, bool testing,
                              const struct policy_field_info *info, double *ret)
{
    double x;

    TRY(yaml_real(cx, node, info->name, &x));
    bool in_range =
        x >= info->lowest && x <= info->highest && (!info->whole || x == floor(x));

    if (!in_range && !(testing && x == info->testing))
        return yaml_fail(cx, node, "%s: %g is not allowed; expected a %s from %g to %g",
                         info->name, x, info->whole ? "whole number" : "number",
                         info->lowest, info->highest);
    *ret = x;
    return FAULT_NONE;
}

/* Fields of words: `no` and `yes` go through the yes-or-no reader, others by word. */
static enum fault read_choice(struct cx *cx, const struct yaml_node *node,
                              const struct policy_field_info *info, double *ret)
{
    size_t i = 0, n = 0;
    bool yes;

    while (n < POLICY_WORDS_MAX && info->words[n] != NULL)
        n++;
    if (strcmp(info->words[1], "yes") == 0) {
        TRY(yaml_yes(cx, node, info->name, &yes));
        *ret = yes;
    } else {
        TRY(yaml_word(cx, node, info->name, info->words, n, &i));
        *ret = (double)i;
    }
    return FAULT_NONE;
}

static enum fault read_fields(struct cx *cx, const struct yaml_node *root, struct policy *p)
{
    bool given[POLICY_FIELDS] = {false};

    for (int f = 0; f < POLICY_FIELDS; f++) {
        const struct policy_field_info *info = policy_field((enum policy_field)f);
        const struct yaml_node *node = yaml_get(root, info->name);

        if (node == NULL)
            continue;
        given[f] = true;
        if (info->words[0] != NULL && info->words[1] != NULL)
            TRY(read_choice(cx, node, info, &p->number[f]));
        else
            TRY(read_number(cx, node, p->testing, info, &p->number[f]));
    }
    if (p->testing || !given[POLICY_MINIMUM_FREQUENCY_THRESHOLD])
        return FAULT_NONE;
    double k = p->number[POLICY_MINIMUM_FREQUENCY_THRESHOLD];

    if (!given[POLICY_MINIMUM_COMPLEMENT])
        p->number[POLICY_MINIMUM_COMPLEMENT] = k;
    if (!given[POLICY_MINIMUM_POPULATION])
        p->number[POLICY_MINIMUM_POPULATION] = k;
    if (!given[POLICY_MODEL_MAX_LEVERAGE] && k > 0)
        p->number[POLICY_MODEL_MAX_LEVERAGE] = 1 / k;
    return FAULT_NONE;
}

static enum fault read_allowed(struct cx *cx, const struct yaml_node *root,
                               struct policy *p)
{
    const struct yaml_node *node = yaml_get(root, "allowed_statistics");

    if (node == NULL) {
        p->all_allowed = true;
        return FAULT_NONE;
    }
    TRY(yaml_texts(cx, node, "allowed_statistics", ALLOWED_MAX, STATISTIC_BYTES, false,
                   &p->allowed, &p->n_allowed));
    p->all_allowed = false;
    if (p->n_allowed == 0)
        return yaml_fail(
            cx, node,
            "allowed_statistics: the list is empty; name the analyses, or leave "
            "the key out to allow all");
    for (size_t i = 0; i < p->n_allowed; i++) {
        if (!name_is_valid(p->allowed[i]))
            return yaml_fail(cx, node->items[i],
                             "allowed_statistics: `%.60s` is not the name of an analysis",
                             p->allowed[i]);
        for (size_t k = 0; k < i; k++)
            if (strcmp(p->allowed[i], p->allowed[k]) == 0)
                return yaml_fail(cx, node->items[i],
                                 "allowed_statistics: `%s` stands twice; keep one",
                                 p->allowed[i]);
    }
    return FAULT_NONE;
}

static enum fault read_reviewed(struct cx *cx, const struct yaml_node *root,
                                struct policy *p)
{
    const struct yaml_node *node = yaml_get(root, "reviewed_statistics");

    if (node == NULL)
        return FAULT_NONE;
    TRY(yaml_texts(cx, node, "reviewed_statistics", ALLOWED_MAX, STATISTIC_BYTES, false,
                   &p->reviewed, &p->n_reviewed));
    for (size_t i = 0; i < p->n_reviewed; i++)
        if (!name_is_valid(p->reviewed[i]))
            return yaml_fail(cx, node->items[i],
                             "reviewed_statistics: `%.60s` is not the name of an analysis",
                             p->reviewed[i]);
    return FAULT_NONE;
}

static enum fault read_dates(struct cx *cx, const struct yaml_node *root, struct policy *p)
{
    const struct yaml_node *from = yaml_get(root, "valid_from");
    const struct yaml_node *until = yaml_get(root, "valid_until");
    int64_t start = clock_utc_ms(), end;
    int32_t days;

    if (from != NULL) {
        TRY(yaml_date(cx, from, "valid_from", &days));
        start = days * DAY_MS;
        if (start < 0)
            return yaml_fail(cx, from, "valid_from: expected a date after 1970-01-01");
    }
    end = start + LIFE_DAYS * DAY_MS;
    if (until != NULL) {
        TRY(yaml_date(cx, until, "valid_until", &days));
        end = (days + INT64_C(1)) * DAY_MS;
        if (end <= start)
            return yaml_fail(cx, until,
                             "valid_until: expected a date after the beginning%s",
                             from != NULL ? "" : ", which is now");
        if (end - start > LIFE_DAYS_MAX * DAY_MS)
            return yaml_fail(cx, until,
                             "valid_until: at most ten years after the beginning");
    }
    p->not_before = (uint64_t)start;
    p->not_after = (uint64_t)end;
    return FAULT_NONE;
}

enum fault policy_from_yaml(struct cx *cx, const char *path, const char *text, size_t n,
                            bool lab, Cohortium__Policy **ret)
{
    const struct yaml_node *root, *reason;
    struct policy p = {0}, again;
    Cohortium__Policy *body;

    TRY(yaml_open(cx, path, text, n, &root));
    TRY(check_keys(cx, root));
    TRY(read_class(cx, root, lab, &p));
    TRY(read_fields(cx, root, &p));
    TRY(read_allowed(cx, root, &p));
    TRY(read_reviewed(cx, root, &p));
    TRY(read_dates(cx, root, &p));
    CX_NEW(cx, body, 1);
    cohortium__policy__init(body);
    TRY(policy_to_pb(cx, &p, body));
    body->not_before = p.not_before;
    body->not_after = p.not_after;
    TRY(yaml_clean(cx, path, text, n, &body->text));
    if ((reason = yaml_get(root, "reason")) != NULL) {
        const char *why;

        TRY(yaml_text(cx, reason, "reason", REASON_BYTES, &why));
        if (why[strspn(why, " \t\r\n")] == '\0')
            return yaml_fail(
                cx, reason,
                "reason: it is empty; say in a line why the policy is as it is: "
                "the history shows it");
        body->reason = (char *)why;
    }
    /* Judged once more as it will be judged where it is signed and where it is loaded. */
    if (policy_open(cx, body, lab, &again) != FAULT_NONE)
        return cx_prefix(cx, "%s: ", path);
    *ret = body;
    return FAULT_NONE;
}

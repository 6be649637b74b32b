/* policy_template.c - the templates' numbers, and the words around them. */
#include "node/data/policy_template.h"

#include <string.h>

enum { TEXT_MAX = 64 * 1024, LINE = 78, SETTINGS_MAX = 16 };

/* ---- numbers ---- */

struct setting {
    enum policy_field field;
    double value;
};

struct template
{
    struct policy_template is;
    size_t n;
    struct setting list[SETTINGS_MAX]; /* what differs from class cautious */
};

/* open: the threshold is at least one and a half times the base of rounding, so that no
 * rounded count stands for some that are withheld and some that are not. */
static const struct template templates[] = {
    {{"cautious", "every field at its default: numbers rest on 10 patients or more, zero "
                  "is hidden like any small number, no site's numbers are shown apart"},
     0,
     {{POLICY_BY_SITE, 0}}},
    {{"standard", "as cautious, and zero cells of tables whose variables are not sensitive "
                  "are shown"},
     1,
     {{POLICY_ZEROS_ARE_DISCLOSIVE, 0}}},
    {{"open", "numbers rest on 5 patients or more, counts are rounded less, models and "
              "tables may be larger, sites' own numbers may be shown apart: for data of "
              "low risk"},
     12,
     {{POLICY_MINIMUM_FREQUENCY_THRESHOLD, 5},
      {POLICY_MINIMUM_COMPLEMENT, 5},
      {POLICY_MINIMUM_POPULATION, 5},
      {POLICY_ZEROS_ARE_DISCLOSIVE, 0},
      {POLICY_RESIDUAL_DOF_MIN, 5},
      {POLICY_MAX_PARAMETER_RATIO, 0.2},
      {POLICY_MODEL_MAX_LEVERAGE, 0.2},
      {POLICY_MAX_LEVELS, 100},
      {POLICY_MAX_LEVEL_DENSITY, 0.1},
      {POLICY_ROUNDING_BASE, 3},
      {POLICY_BY_SITE, 1},
      {POLICY_MEMBERS_SEE_TIME_CELLS, 1}}},
};

const struct policy_template *policy_template_at(size_t i)
{
    return i < COUNT(templates) ? &templates[i].is : NULL;
}

static const struct template *find(const char *name)
{
    for (size_t i = 0; i < COUNT(templates); i++)
        if (strcmp(templates[i].is.name, name) == 0)
            return &templates[i];
    return NULL;
}

bool policy_template_find(const char *name, struct policy *ret)
{
    const struct template *t = find(name);

    if (t == NULL)
        return false;
    policy_cautious(ret);
    for (size_t i = 0; i < t->n; i++)
        ret->number[t->list[i].field] = t->list[i].value;
    return true;
}

/* ---- words ---- */

/* In the order of the file: by subject. `price` is what the table's own sentence leaves
 * out: what it costs, and when to choose otherwise. */
static const struct {
    const char *heading; /* before the field */
    enum policy_field field;
    const char *price;
} lines[] = {
    {"Small numbers", POLICY_MINIMUM_FREQUENCY_THRESHOLD,
     "The main thing to decide. Others follow from it: whatever anybody computes from "
     "all answers ever given rests on the equivalent of half as many patients. A large one "
     "refuses studies of rare diseases."},
    {NULL, POLICY_MINIMUM_COMPLEMENT,
     "Who knows the total and a group knows those outside, too. Usually as large as the "
     "threshold."},
    {NULL, POLICY_MINIMUM_POPULATION, "Usually as large as the threshold, or larger."},
    {NULL, POLICY_ZEROS_ARE_DISCLOSIVE,
     "That nobody of a group has a disease tells something of everybody in it. With `no`, "
     "tables of what is not sensitive are easier to read."},
    {NULL, POLICY_CLASS_DISCLOSURE_MAX_SHARE,
     "If nearly everybody of a group has a disease, each of them has it. 1: only if "
     "everybody has."},
    {"The weight of one patient", POLICY_DOMINANCE_K,
     "Costs and lengths of stay are the usual case: one transplant can be most of a sum."},
    {NULL, POLICY_DOMINANCE_N,
     "With 0.9 and 2 a sum is withheld when one patient's part reaches 45 % of it."},
    {NULL, POLICY_MODEL_MAX_LEVERAGE,
     "Leverage says how much of a model rests on one patient, from 0 to 1. Usually 1 "
     "divided by the threshold."},
    {"The size of models and tables", POLICY_RESIDUAL_DOF_MIN,
     "That is the number of patients less the number of parameters."},
    {NULL, POLICY_MAX_PARAMETER_RATIO, "0.1: one for every 10 patients."},
    {NULL, POLICY_MAX_LEVELS,
     "Levels are the values of a variable such as a diagnosis. A table has at most the "
     "square of it in cells."},
    {NULL, POLICY_MAX_LEVEL_DENSITY, "0.05: one level for every 20 patients."},
    {"How counts are given", POLICY_ROUNDING_BASE,
     "The threshold should be at least one and a half times as large."},
    {NULL, POLICY_ROUNDING_MODE, "From the least strict to the strictest."},
    {NULL, POLICY_PERTURBATION_D, "No effect in other modes."},
    {NULL, POLICY_PERTURBATION_V, "At most the square of perturbation_d."},
    {NULL, POLICY_PERTURBATION_JS, "It must be below the threshold."},
    {"This site among the others", POLICY_MIN_SITES,
     "Below three, a site could subtract its own numbers and have the other's."},
    {NULL, POLICY_LOCAL_MINIMUM,
     "Above 0, a question is refused whole when fewer than so many of this site's own "
     "patients are in a group; that costs all sites the answer."},
    {NULL, POLICY_BY_SITE,
     "For forest plots and meta-analyses. Decide it before the first answer: data that "
     "have "
     "answered together with other sites give no numbers of their own any more. The price: "
     "this site's patients then have to bear every question by themselves, pooled ones "
     "too, "
     "so that a small site refuses more."},
    {NULL, POLICY_COLLUSION_ASSUMED,
     "With `none`, a member that breaks its contract learns the pooled sums of questions "
     "in which it takes part, small cells included."},
    {NULL, POLICY_MEMBERS_SEE_TIME_CELLS, "No analysis of this version makes such sums."},
    {NULL, POLICY_RESPONSE_QUANTUM_MS,
     "So that the time which an answer takes tells nothing of the patients."},
    {"Random noise, in place of exact numbers", POLICY_NOISE_MECHANISM,
     "It protects against every combination of questions, at the price of accuracy; for "
     "thousands of patients, or where exact answers are soon refused. The fields below "
     "have no effect without it."},
    {NULL, POLICY_RHO_PER_REQUEST,
     "0.01 over three sites: a count is off by about 9 patients."},
    {NULL, POLICY_RHO_PER_PROJECT, "0.1 is ten questions of 0.01."},
    {NULL, POLICY_RHO_PER_RESEARCHER, "Over all their permits."},
    {NULL, POLICY_RHO_TOTAL, "When it is spent, the data answer no more noised question."},
    {NULL, POLICY_DELTA, "With 10,000 patients: below 0.0001."},
    {NULL, POLICY_MAX_ROWS_PER_PATIENT, "1 where the data have one row a patient."},
};

static void put_heading(struct buffer *b, const char *heading)
{
    size_t n = strlen(heading) + 8;

    buffer_printf(b, "\n# ---- %s ", heading);
    for (; n < LINE; n++)
        buffer_text(b, "-");
    buffer_text(b, "\n");
}

/* Sentences as comment lines of at most LINE letters. */
static void put_wrapped(struct buffer *b, const char *text)
{
    size_t at = LINE; /* so that the first word begins a line */
    bool first = true;

    for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
        size_t n = strcspn(text, " ");
        bool fits = at + 1 + n <= LINE;

        if (fits)
            buffer_printf(b, " %.*s", (int)n, text);
        else
            buffer_printf(b, "%s# %.*s", first ? "" : "\n", (int)n, text);
        at = fits ? at + 1 + n : 2 + n;
        first = false;
        text += n;
    }
    buffer_text(b, "\n");
}

/* Some follow from the threshold that is given (policy_yaml.h). */
static void put_standard(struct buffer *b, enum policy_field f)
{
    if (f == POLICY_MINIMUM_COMPLEMENT || f == POLICY_MINIMUM_POPULATION)
        buffer_text(b, "as minimum_frequency_threshold");
    else if (f == POLICY_MODEL_MAX_LEVERAGE)
        buffer_text(b, "1 / minimum_frequency_threshold");
    else
        policy_put_value(b, f, policy_field(f)->standard);
}

static void put_range(struct buffer *b, enum policy_field f)
{
    const struct policy_field_info *info = policy_field(f);

    buffer_text(b, "# ");
    for (size_t i = 0; i < POLICY_WORDS_MAX && info->words[i] != NULL; i++)
        buffer_printf(b, "%s%s", i > 0 ? " or " : "", info->words[i]);
    if (info->words[0] == NULL)
        buffer_printf(b, "%.10g to %.10g", info->lowest, info->highest);
    if (info->words[0] == NULL && info->stricter != 0)
        buffer_printf(b, "; %s is stricter", info->stricter > 0 ? "more" : "less");
    buffer_text(b, "; when left out: ");
    put_standard(b, f);
    buffer_text(b, "\n");
}

static void put_field(struct cx *cx, struct buffer *b, size_t i, const struct policy *p)
{
    const struct policy_field_info *info = policy_field(lines[i].field);
    const char *words = cx_printf(cx, "%s %s", info->meaning, lines[i].price);

    if (lines[i].heading != NULL)
        put_heading(b, lines[i].heading);
    buffer_text(b, "\n");
    put_wrapped(b, words != NULL ? words : info->meaning);
    put_range(b, lines[i].field);
    buffer_printf(b, "%s: ", info->name);
    policy_put_value(b, lines[i].field, p->number[lines[i].field]);
    buffer_text(b, "\n");
}

static const char BEGINNING[] =
    "# Read every field, change what should be otherwise, and give the reason. Then\n"
    "#\n"
    "#   cohortiumd policy check FILE                what it allows, in plain words\n"
    "#   cohortiumd policy diff in-force FILE        what it changes, and who must sign\n"
    "#   cohortiumd policy sign --key officer.key FILE -o policy.signed\n"
    "#   cohortiumd policy apply policy.signed\n"
    "#\n"
    "# What stands behind # is for people. A field left out has its default; an unknown\n"
    "# field or a value out of its range, and the node takes none of it. A question is\n"
    "# answered by the strictest of all its sites' policies, field by field. R1 to R25 "
    "are\n"
    "# the rules by their numbers, as the log and cohortium-policy(5) have them.\n"
    "\n"
    "# Protected answers. (The other class, testing, protects nobody: for labs.)\n"
    "class: cautious\n";

static const char END[] =
    "\n"
    "# Which analyses are answered. Left out: all of them. A list narrows it:\n"
    "# allowed_statistics: [count, table, describe, lm, glm]\n"
    "\n"
    "# Of which analyses an officer of this site looks at each answer before it leaves,\n"
    "# and accepts, rounds or refuses it (`cohortiumd review`). Left out: of none; [all].\n"
    "# reviewed_statistics: [glm]\n"
    "\n"
    "# From when to when it holds, the last day included. Left out: from now on, for\n"
    "# twelve months. A node without a policy in force answers nothing.\n"
    "# valid_from: 2026-12-01\n"
    "# valid_until: 2027-11-30\n"
    "\n"
    "# Why it is as it is: a line for the history. It cannot be signed without one, here\n"
    "# or by --reason of `policy sign`.\n"
    "# reason: ...\n";

static enum fault no_template(struct cx *cx, const char *name)
{
    const char *names[COUNT(templates)], *near;

    for (size_t i = 0; i < COUNT(templates); i++)
        names[i] = templates[i].is.name;
    near = bytes_nearest(name, names, COUNT(names));
    return cx_fail(cx, FAULT_USAGE,
                   "no template `%.40s`%s%s%s; there are: cautious, standard, open", name,
                   near != NULL ? ", did you mean `" : "", near != NULL ? near : "",
                   near != NULL ? "`?" : "");
}

enum fault policy_template_text(struct cx *cx, const char *name, struct bytes *ret)
{
    struct buffer b = buffer_new(cx, TEXT_MAX);
    const struct template *t = find(name);
    struct policy p;

    if (t == NULL || !policy_template_find(name, &p))
        return no_template(cx, name);
    buffer_printf(&b, "# What may leave this institution. Template %s:\n", name);
    put_wrapped(&b, t->is.summary);
    buffer_text(&b, "#\n");
    buffer_text(&b, BEGINNING);
    for (size_t i = 0; i < COUNT(lines); i++)
        put_field(cx, &b, i, &p);
    put_heading(&b, "What may be asked, how long, and why");
    buffer_text(&b, END);
    TRY(b.fault);
    *ret = bytes_of(b.p, b.n);
    return FAULT_NONE;
}

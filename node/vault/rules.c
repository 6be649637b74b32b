/* rules.c - see rules.h. */
#include "node/vault/rules.h"

#include <ctype.h>
#include <string.h>

#define LARGER_GROUP                                                                       \
    "Ask of a larger group: fewer conditions, fewer or coarser levels, more sites."
#define FEWER_TERMS                                                                        \
    "Ask a smaller model: fewer variables, variables with fewer levels, no interactions; " \
    "or a larger group."
#define NOT_HERE(why) .meaning = why, .field = -1

static const struct rule rules[] = {
    {"R1", "too few patients",
     "A number would have rested on fewer patients than minimum_frequency_threshold. Zero "
     "counts like any small number, and so does a class of a model's outcome.",
     "Nothing, as a rule: this is what the threshold is for. A lower "
     "minimum_frequency_threshold lets such numbers out, for everybody and for good.",
     LARGER_GROUP, POLICY_MINIMUM_FREQUENCY_THRESHOLD},
    {"R2", "too few patients outside",
     "The group held all but a few patients, so that those few would follow from it and "
     "the total.",
     "A lower minimum_complement lets such groups be asked for.",
     "Ask of everybody, or of a group that leaves out more patients.",
     POLICY_MINIMUM_COMPLEMENT},
    {"R3", "everybody of a class alike",
     "Of a group nearly all have the same value of a sensitive variable (or none has it), "
     "so "
     "that the number tells it of each of them.",
     "A larger class_disclosure_max_share, or `no` for zeros_are_disclosive, lets more "
     "out; a "
     "variable that is not sensitive can have another role in the codebook.",
     "Use fewer or coarser groups, so that each has patients with other values.",
     POLICY_CLASS_DISCLOSURE_MAX_SHARE},
    {"R4", "one patient is most of a sum",
     "One patient's value makes up so much of a sum or mean that it can be guessed from "
     "it.",
     "Look at the values in question: one far beyond the others may be a mistake of the "
     "data. A larger dominance_k or a smaller dominance_n lets such sums out.",
     "Ask of a larger group, or for a count; leave out the variable with the long tail.",
     POLICY_DOMINANCE_K},
    {"R5", "one patient guesses another's value",
     NOT_HERE("That the second largest of a sum could guess the largest. R4 with "
              "dominance_n of two or more covers it here.")},
    {"R6", "too few patients for so many parameters",
     "A model with hardly more patients than parameters repeats its data.",
     "A lower residual_dof_min lets smaller models out.", FEWER_TERMS,
     POLICY_RESIDUAL_DOF_MIN},
    {"R7", "too many parameters a patient",
     "A model with many parameters for its patients tells of single ones.",
     "A larger max_parameter_ratio lets larger models out.", FEWER_TERMS,
     POLICY_MAX_PARAMETER_RATIO},
    {"R8", "a column that marks a few patients",
     NOT_HERE("That a column of two values marks fewer patients than the threshold. R9 and "
              "R23 see that here, and columns that only look otherwise, too.")},
    {"R9", "one patient carries a model",
     "One patient has so much leverage on the model that its estimates tell that patient's "
     "values.",
     "A larger model_max_leverage lets such models out.",
     "Leave out the variable or level that hardly anybody has; take the logarithm of one "
     "with a long tail; ask of a larger group.",
     POLICY_MODEL_MAX_LEVERAGE},
    {"R10", "quantiles with few patients beside them",
     NOT_HERE("No analysis of this version gives quantiles.")},
    {"R11", "extremes",
     NOT_HERE("A minimum or maximum is one patient's value. No analysis asks for it.")},
    {"R12", "bins that are too narrow",
     NOT_HERE(
         "No analysis of this version gives histograms; cut points are the codebook's.")},
    {"R13", "too many levels",
     "A variable with many levels cuts the patients into small groups.",
     "A larger max_levels or max_level_density lets such questions be asked.",
     "Choose a variable with fewer levels, or fewer variables; ask for a coarser one in "
     "the "
     "codebook.",
     POLICY_MAX_LEVELS},
    {"R14", "long texts in questions",
     NOT_HERE("Questions are typed: no text in them is ever interpreted.")},
    {"R15", "points of single patients",
     NOT_HERE("Nothing that is one point a patient is ever given, blurred or not.")},
    {"R16", "survival curves with few at risk",
     NOT_HERE("No analysis of this version gives survival curves.")},
    {"R17", "rounding",
     NOT_HERE("Counts are given to multiples of rounding_base. It refuses nothing.")},
    {"R18", "perturbation",
     NOT_HERE("With rounding_mode cell_key, counts have a small error that is the same for "
              "the same patients. It refuses nothing.")},
    {"R19", "the same question again and again",
     NOT_HERE(
         "The same question has the same bytes as its answer here, so that repeating it "
         "tells nothing.")},
    {"R20", "too few sites",
     "A pooled answer of fewer than three sites would show one the other's numbers.",
     "Nothing below three. A lower min_sites where the policy asks for more.",
     "Ask more sites; or answers by site, where all sites allow them.", POLICY_MIN_SITES},
    {"R21", "too few patients in all",
     "All sites together hold fewer patients than minimum_population.",
     "A lower minimum_population lets so small a data set answer.", "Ask more sites.",
     POLICY_MINIMUM_POPULATION},
    {"R22", "missing values of a few",
     "So few patients lack a value that their number is withheld like any small one; "
     "counts "
     "are then given before exclusions.",
     "Nothing, as a rule.", LARGER_GROUP, POLICY_MINIMUM_FREQUENCY_THRESHOLD},
    {"R23", "too much would follow from all answers together",
     "With everything that was released of these patients before, whoever asked, some "
     "combination of answers would rest on the equivalent of fewer than half of "
     "minimum_frequency_threshold patients. That is what differences of two answers, and "
     "trackers of many, live from.",
     "Nothing undoes a release; `cohortiumd ledger report` says how much is held. A lower "
     "minimum_frequency_threshold lets more out; "
     "noise_mechanism answers without exact numbers. An answer that was given before can "
     "still be had.",
     "Ask what was asked before in the same form, which is free; take the groups of "
     "earlier "
     "questions, coarser cut points, fewer quasi-identifiers; ask of a larger group.",
     POLICY_MINIMUM_FREQUENCY_THRESHOLD},
    {"R24", "digits",
     NOT_HERE("Means and estimates are rounded to what their number of patients bears. It "
              "refuses nothing.")},
    {"R25", "it would follow by subtraction",
     "A withheld number would follow from those beside it and their totals, so these are "
     "withheld with it.",
     "Nothing, as a rule: it follows from what the other rules withhold.",
     "Use fewer or coarser groups, so that no cell is small.", -1},
    {"0.1", "sums of a small group",
     "Members see sums between the rounds of a question. A group has too few patients for "
     "so many numbers.",
     "A lower minimum_frequency_threshold.",
     "Describe fewer variables at once, or larger groups.",
     POLICY_MINIMUM_FREQUENCY_THRESHOLD},
    {"0.5", "no step to round to",
     "The number is of a size at which no step can be told to which it should be rounded.",
     "Look at the values in question: they may be mistakes of the data.",
     "Leave the variable out, or ask for its logarithm.", -1},
    {"0.8", "another site withholds it",
     "By site, what one of the sites withholds none gives, so that nobody hears which it "
     "was.",
     "Nothing: the reason is in the other site's log.", LARGER_GROUP, -1},
    {"local_minimum", "too few patients at this site",
     "Fewer of this site's own patients were in a group than its policy wants.",
     "A lower local_minimum lets other sites' patients stand for it.",
     "Ask of a larger group, or leave this site out.", POLICY_LOCAL_MINIMUM},
    {"all_other_members", "this site's own patients alone",
     "This site's policy takes the other members to work together, so its own patients had "
     "to bear the question by themselves.",
     "With `none` for collusion_assumed the patients of all sites count together.",
     LARGER_GROUP, POLICY_COLLUSION_ASSUMED},
    {"numbers", "the sums could not be worked out",
     "The fit did not come to numbers that can be told: a column that follows from others, "
     "an outcome that a variable splits without rest, values beyond their bounds.",
     "Look at the variables in question, if it happens often.",
     "Leave out variables that say the same, or levels that few have.", -1},
    {"review", "an officer refused it",
     "An officer of this site has looked at the answer and refused it (reviewed_statistics).",
     "The reason is in the log: `cohortiumd review list --all`.",
     "Nothing: the question is decided. Another question may be.", -1},
    {"regions", "sizes that do not fit",
     "A group was told to be larger than everybody: some site's sums are wrong.",
     "Ask the other members to compare their logs of this question.",
     "Ask again, and tell your institution if it stays.", -1},
};

const struct rule *rule_at(size_t i)
{
    return i < COUNT(rules) ? &rules[i] : NULL;
}

const struct rule *rule_find(const char *number)
{
    for (size_t i = 0; i < RULES_NUMBERED; i++)
        if ((number[0] == 'R' || number[0] == 'r') &&
            strcmp(rules[i].mark + 1, number + 1) == 0)
            return &rules[i];
    return NULL;
}

/* ---- in the log's words ---- */

/* Earlier records have the section of the specification in the place of R23. */
static const struct {
    const char *mark;
    size_t rule;
} older[] = {{"0.4", 22}};

/* "R1: ", "R4, R9: ", "by R3 (": a mark stands by itself, with one of these behind it. */
static bool is_at(const char *text, size_t at, const char *mark)
{
    size_t n = strlen(mark);
    bool numbered = mark[0] == 'R', word = !numbered && !isdigit((unsigned char)mark[0]);

    if (at > 0 && (isalnum((unsigned char)text[at - 1]) || text[at - 1] == '_' ||
                   text[at - 1] == '.'))
        return false;
    if (strncmp(text + at, mark, n) != 0)
        return false;
    const char *behind = text + at + n;

    return *behind == ':' || (!word && strncmp(behind, " (", 2) == 0) ||
           (numbered && *behind == ',');
}

static const struct rule *mark_at(const char *text, size_t at)
{
    for (size_t i = 0; i < COUNT(rules); i++)
        if (is_at(text, at, rules[i].mark))
            return &rules[i];
    for (size_t i = 0; i < COUNT(older); i++)
        if (is_at(text, at, older[i].mark))
            return &rules[older[i].rule];
    return NULL;
}

size_t rules_in(const char *text, const struct rule **ret, size_t most)
{
    size_t n = 0;

    for (size_t at = 0; text[at] != '\0' && n < most; at++) {
        const struct rule *r = mark_at(text, at);
        size_t i = 0;

        while (r != NULL && i < n && ret[i] != r)
            i++;
        if (r != NULL && i == n)
            ret[n++] = r;
    }
    return n;
}

/* ---- put ---- */

void rule_put_wrapped(struct buffer *out, const char *label, size_t width, const char *text)
{
    enum { WIDE = 88 };
    size_t at = width;

    buffer_printf(out, "%-*s", (int)width, label);
    for (bool first = true; *text != '\0'; text += strspn(text, " "), first = false) {
        size_t n = strcspn(text, " ");

        if (!first && at + 1 + n > WIDE) {
            buffer_printf(out, "\n%*s", (int)width, "");
            at = width;
        } else if (!first) {
            buffer_text(out, " ");
            at++;
        }
        buffer_printf(out, "%.*s", (int)n, text);
        at += n;
        text += n;
    }
    buffer_text(out, "\n");
}

void rule_put(struct buffer *out, const struct rule *r)
{
    buffer_printf(out, "%s: %s\n", r->mark, r->name);
    rule_put_wrapped(out, "  meaning", 14, r->meaning);
    if (r->officer != NULL)
        rule_put_wrapped(out, "  officer", 14, r->officer);
    if (r->researcher != NULL)
        rule_put_wrapped(out, "  researcher", 14, r->researcher);
}

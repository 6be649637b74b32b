/* commands.c - the table: word, function, usage, one line of help, an example, options. */
#include "node/cli/cli.h"

const struct option options_home[] = {
    {"--profile", "NAME",
     "who asks and where home is (default: the only one, or `default`)"},
    {"--passphrase-file", "FILE",
     "the key's passphrase (else $COHORTIUM_PASSPHRASE_FILE, else "
     "asked)"},
    {NULL, NULL, NULL}};

const struct option options_ask[] = {
    {"--where", "EXPRESSION",
     "the cohort: 'age >= 50 and sex == \"female\"' (default: everybody)"},
    {"--sites", "A,B,C", "the sites to ask (default: all members that hold data)"},
    {"--by-site", NULL, "one answer a site, where every site allows it"},
    {"--permit", "ID|TITLE",
     "the study's permit (default: the profile's, or the only one)"},
    {"--dry-run", NULL, "only ask whether the question is valid: no data, no charge"},
    {"--deadline", "SECONDS", "give up after that long (default 60)"},
    {"--note", "TEXT", "a line for the sites' logs"},
    {"--save", "FILE", "keep the receipt there (default: in the profile's folder)"},
    {"--no-save", NULL, "keep no receipt"},
    {"--progress", NULL, "tell on standard error which sites are waited for"},
    {NULL, NULL, NULL}};

const struct option options_output[] = {
    {"--json", NULL, "one JSON document (stable, versioned)"},
    {"--csv", NULL, "comma-separated values"},
    {NULL, NULL, NULL}};

static const struct option options_json[] = {{"--json", NULL, "one JSON document"},
                                             {NULL, NULL, NULL}};
static const struct option options_table[] = {
    {"--missing", NULL, "count patients without a value, too"},
    {"--confidence", "LEVEL", "of intervals, 0.5 to 0.999 (default 0.95)"},
    {NULL, NULL, NULL}};
static const struct option options_describe[] = {{"--by", "VARIABLE", "one column a level"},
                                                 {NULL, NULL, NULL}};
static const struct option options_lm[] = {
    {"--weights", "VARIABLE", "a codebook variable as prior weights"},
    {"--confidence", "LEVEL", "of intervals, 0.5 to 0.999 (default 0.95)"},
    {NULL, NULL, NULL}};
static const struct option options_glm[] = {
    {"--family", "NAME", "gaussian, binomial, poisson, Gamma, quasi...; also 'binomial(probit)'"},
    {"--link", "NAME", "logit, probit, cloglog, log, identity, inverse (default as in R)"},
    {"--weights", "VARIABLE", "a codebook variable as prior weights"},
    {"--confidence", "LEVEL", "of intervals, 0.5 to 0.999 (default 0.95)"},
    {NULL, NULL, NULL}};
static const struct option options_run[] = {
    {"--keep-going", NULL, "go on after a question that failed"},
    {"--timing", NULL, "milliseconds of each question on standard error"},
    {"--no-save", NULL, "keep no receipts"},
    {"--permit", "ID|TITLE", "for lines that name none"},
    {"--progress", NULL, "tell on standard error which sites are waited for"},
    {NULL, NULL, NULL}};
static const struct option options_datasets[] = {
    {"--search", "WORD", "only those whose names, titles or variables hold it"},
    {NULL, NULL, NULL}};
static const struct option options_verify[] = {
    {"--genesis", "HEX",
     "the consortium's digest (default: the profile's, if there is one)"},
    {"--profile", "NAME", "whose genesis digest to use"},
    {NULL, NULL, NULL}};
static const struct option options_key_new[] = {
    {"--use", "USE", "researcher, officer or governance (default researcher)"},
    {"--name", "NAME", "whose key it is"},
    {"-o", "FILE", "the key file; the card goes to FILE.card"},
    {"--passphrase-file", "FILE", "the passphrase (else it is asked for)"},
    {"--lab", NULL, "without a passphrase: for a lab only"},
    {NULL, NULL, NULL}};
static const struct option options_profile_add[] = {
    {"--home", "ENDPOINT", "tcp://host:port of the home node"},
    {"--node", "HEX", "the home node's id"},
    {"--noise", "HEX", "the home node's link key"},
    {"--genesis", "HEX", "the consortium's digest"},
    {"--key", "FILE", "the researcher's key file (copied)"},
    {"--credential", "FILE", "signed by the home node (copied)"},
    {"--permit", "ID|TITLE", "the permit to use when none is named"},
    {NULL, NULL, NULL}};
static const struct option options_lab_up[] = {
    {"--codebook", "FILE", "the dataset's codebook, YAML"},
    {"--policy", "FILE|WORD", "policy file, `cautious` (default) or `exact-for-testing`"},
    {"--name", "N", "the lab's name (default: the dataset's)"},
    {"--dir", "FOLDER", "where it lives (default: ~/.local/state/cohortium/labs/NAME)"},
    {"--base-port", "PORT", "ports from here on (default: free ones)"},
    {"--permit-by-site", NULL, "the permit and the built-in policy allow answers by site"},
    {NULL, NULL, NULL}};
static const struct option options_lab[] = {
    {"--dir", "FOLDER", "where the lab lives, if not at the default place"},
    {NULL, NULL, NULL}};
static const struct option options_lab_down[] = {
    {"--dir", "FOLDER", "where the lab lives, if not at the default place"},
    {"--delete", NULL, "remove its folder, too"},
    {NULL, NULL, NULL}};

const struct command commands[] = {
    {"count",
     run_count,
     "DATASET [--where EXPRESSION]",
     "patients in a cohort",
     "cohortium count lung --where 'age >= 65 and sex == \"female\"'",
     {options_ask, options_output, options_home}},
    {"table",
     run_table,
     "DATASET 'A * B' [--missing]",
     "a table of one or two variables",
     "cohortium table lung 'sex * status' --where 'ph_ecog <= 1'",
     {options_table, options_ask, options_output, options_home}},
    {"describe",
     run_describe,
     "DATASET VARIABLE... [--by VARIABLE]",
     "means, spreads and shares",
     "cohortium describe lung age wt_loss --by sex",
     {options_describe, options_ask, options_output, options_home}},
    {"lm",
     run_lm,
     "DATASET FORMULA [--weights VARIABLE]",
     "linear regression",
     "cohortium lm lung 'wt_loss ~ age + sex'",
     {options_lm, options_ask, options_output, options_home}},
    {"glm",
     run_glm,
     "DATASET FORMULA --family NAME [--link NAME]",
     "generalised linear regression",
     "cohortium glm lung 'status ~ age + sex' --family binomial",
     {options_glm, options_ask, options_output, options_home}},
    {"run",
     run_file,
     "FILE | -",
     "a file of questions, one a line, over one link",
     "cohortium run table1.txt --json    # a line: count lung --where 'age >= 65'",
     {options_run, options_output, options_home}},
    {"datasets",
     run_datasets,
     "[--search WORD]",
     "what can be asked about",
     "cohortium datasets --search survival",
     {options_datasets, options_json, options_home}},
    {"codebook",
     run_codebook,
     "DATASET",
     "a dataset's variables",
     "cohortium codebook lung",
     {options_json, options_home}},
    {"sites",
     run_sites,
     "",
     "the members and how they are",
     "cohortium sites",
     {options_json, options_home}},
    {"status",
     run_status,
     "",
     "my papers and my home node",
     "cohortium status",
     {options_json, options_home}},
    {"verify",
     run_verify,
     "FILE",
     "check a receipt, offline",
     "cohortium verify answer.receipt --genesis 3b1f...",
     {options_verify, options_json}},
    {"key new",
     run_key_new,
     "--use USE --name NAME -o FILE",
     "make a key pair and its card",
     "cohortium key new --use researcher --name ada -o ada.key",
     {options_key_new}},
    {"key show",
     run_key_show,
     "FILE",
     "what a key or card file holds (nothing secret)",
     "cohortium key show ada.key",
     {options_json}},
    {"profile add",
     run_profile_add,
     "NAME --home ENDPOINT ...",
     "tell where home is",
     "cohortium profile add default --home tcp://node.example.org:7011 --node 1f2e... \\\n"
     "      --noise 9a8b... --genesis 3b1f... --key ada.key --credential ada.credential",
     {options_profile_add}},
    {"profile list",
     run_profile_list,
     "",
     "the profiles there are",
     "cohortium profile list",
     {options_json}},
    {"profile show",
     run_profile_show,
     "[NAME]",
     "one profile",
     "cohortium profile show lab-lung",
     {options_json}},
    {"lab up",
     run_lab_up,
     "--codebook FILE SITE.csv SITE.csv SITE.csv...",
     "start a whole consortium on this machine",
     "cohortium lab up --codebook lung.yaml site1.csv site2.csv site3.csv",
     {options_lab_up}},
    {"lab down",
     run_lab_down,
     "[NAME]",
     "end a lab",
     "cohortium lab down lung --delete",
     {options_lab_down}},
    {"lab status",
     run_lab_status,
     "[NAME]",
     "whether a lab's nodes run",
     "cohortium lab status lung",
     {options_lab}},
};
const size_t n_commands = COUNT(commands);

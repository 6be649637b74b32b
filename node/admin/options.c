/* options.c - see options.h. */
#include "node/admin/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/endpoint.h"

struct option_help {
    const char *command; /* NULL: of every command that has it and no line of its own */
    const char *name, *value, *help;
    bool repeated;
};

static const struct option_help table[] = {
    {"init", "name", "NAME", "the node's name: lower-case letters, digits and _", false},
    {"init", "listen", "ENDPOINT",
     "where it listens: tcp://HOST:PORT (0.0.0.0: every interface); \"\": dials only",
     false},
    {NULL, "lab", NULL, "for a lab: keys without a passphrase, answers that protect nobody",
     false},
    {"serve", "background", NULL,
     "return once it is ready; its lines go to FOLDER/node.log", false},
    {NULL, "endpoint", "ENDPOINT",
     "tcp://HOST:PORT or ws://HOST:PORT where the other nodes reach this one (several: "
     "tried in this order)",
     true},
    {NULL, "officer", "CARD", "an officer of the institution (once for each)", true},
    {"consortium card", "title", "TEXT", "the institution's name for people", false},
    {NULL, "new-link-key", NULL,
     "with a new link key, which the node takes when the manifest lists it", false},
    {NULL, "outbound-only", NULL, "nobody can reach this node: it dials the others", false},
    {"consortium create", "name", "NAME", "the consortium's name", false},
    {NULL, "governance", "CARD", "a founder's governance card (once for each)", true},
    {NULL, "threshold", "N",
     "how many of them must sign a manifest (default: more than half)", false},
    {"consortium create", "lab", NULL, "a lab: loopback addresses, test data, for ever",
     false},
    {"consortium create", "days", "N", "how long it is valid (default 365)", false},
    {"consortium invite", "days", "N", "how long it is valid (default: as the one before)",
     false},
    {"consortium revoke", "days", "N", "how long it is valid (default: as the one before)",
     false},
    {"consortium leave", "days", "N", "how long it is valid (default: as the one before)",
     false},
    {"consortium rotate-key", "days", "N",
     "how long it is valid (default: as the one before)", false},
    {"consortium renew", "days", "N", "how long it is valid (default: as the one before)",
     false},
    {NULL, "take", NULL, "the other version holds: take it, from the next start on", false},
    {"consortium invite", "without", "NAME", "a member that is left out (once for each)",
     true},
    {"consortium rotate-key", "from", "CARD", "a governance card that goes (once for each)",
     true},
    {"consortium rotate-key", "to", "CARD", "a governance card that comes (once for each)",
     true},
    {NULL, "permit-signatures", "N",
     "members whose officers must sign a permit, beside each site's own (default 1)",
     false},
    {"consortium sign", "key", "KEY", "the governance key that signs", false},
    {NULL, "genesis", "DIGEST", "64 hex digits, as the founders told you", false},
    {NULL, "manifest", "FILE", "a manifest file, where no node's folder is at hand", false},
    {"codebook draft", "name", "DATASET", "the dataset's name", false},
    {NULL, "id", "COLUMN", "the column that tells whose row it is", false},
    {NULL, "mapping", "FILE",
     "how the file's columns become variables: cohortium-mapping(5)", false},
    {NULL, "to", "FOLDER", "the new folder of the backup", false},
    {NULL, "digest", "DIGEST", "the 64 hex digits that `backup` printed", false},
    {NULL, "json", NULL, "the same as one JSON document", false},
    {NULL, "quiet", NULL, "no progress on standard error", false},
    {NULL, "reason", "TEXT", "why, for the log", false},
    {NULL, "template", "NAME",
     "cautious, standard or open, from the strictest on", false},
    {"policy check", "lab", NULL, "take the class `testing`, which only a lab may have",
     false},
    {"policy sign", "reason", "TEXT", "why it changes, if the file has no `reason:`",
     false},
    {"policy sign", "key", "KEY", "an officer's key (twice, where two must sign)", true},
    {"policy simulate", "policy", "FILE", "the policy to try (YAML; not signed)", false},
    {"policy redteam", "policy", "FILE", "the policy to try (YAML; not signed)", false},
    {"policy redteam", "check", "SHEET", "verify this sheet's signature", false},
    {NULL, "all", NULL, "those that are decided, too", false},
    {NULL, "multiple", "N", "counts to multiples of this, coarser than by policy", false},
    {NULL, "key", "KEY", "the officer's key that signs", false},
    {NULL, "title", "TEXT", "the study's title", false},
    {NULL, "purpose", "TEXT", "what the answers are for, in words", false},
    {NULL, "dataset", "NAME", "a dataset that may be asked (once for each)", true},
    {NULL, "researcher", "CARD", "a researcher who may ask (once for each)", true},
    {NULL, "member", "NAME|all", "a member that may be asked (once for each)", true},
    {"permit new", "days", "N", "how long it is valid (default 365)", false},
    {NULL, "by-site", NULL, "answers by site are allowed, too", false},
    {NULL, "variable", "NAME", "only these variables (default: all that are not hidden)",
     true},
    {NULL, "analysis", "NAME", "only these analyses (default: all)", true},
    {NULL, "budget", "N", "at most so many questions (default: no limit)", false},
    {"researcher issue", "days", "N", "how long it is valid: 1 to 30 (default 30)", false},
    {NULL, "last", "N", "so many records (default 20)", false},
    {NULL, "kind", "KIND", "only records of this kind, such as question or policy", false},
    {NULL, "from", "DAY", "the first day, such as 2026-11-01 (default: 30 days ago)",
     false},
    {NULL, "to", "DAY", "the last day (default: today)", false},
    {NULL, "html", NULL, "one HTML page instead of plain text", false},
    {NULL, "out", "FILE", "the file to write (-o is the same)", false},
    {NULL, "dir", "FOLDER", "the node's folder (else $COHORTIUM_NODE, else this one)",
     false},
    {NULL, "passphrase-file", "FILE",
     "the passphrase (else $COHORTIUM_PASSPHRASE_FILE, else it is asked for)", false},
    {NULL, "help", NULL, "this", false},
};

static const char always[] = "dir: passphrase-file: help";

enum { NAMES_MAX = 64, NAME_BYTES = 32 };

/* ---- the lists of names in the table of commands ---- */

/* The next name of "key: out: lab"; *ret_value: a value follows. NULL at the end. */
static const char *next_name(const char **list, char name[NAME_BYTES], bool *ret_value)
{
    const char *p = *list + strspn(*list, " ");
    size_t n = strcspn(p, " :");

    if (n == 0 || n >= NAME_BYTES)
        return NULL;
    memcpy(name, p, n);
    name[n] = '\0';
    *ret_value = p[n] == ':';
    *list = p + n + *ret_value;
    return name;
}

static bool list_has(const char *list, const char *name, bool *ret_value)
{
    char one[NAME_BYTES];

    while (next_name(&list, one, ret_value) != NULL)
        if (strcmp(one, name) == 0)
            return true;
    return false;
}

static bool has(const struct admin_command *c, const char *name, bool *ret_value)
{
    return list_has(c->options, name, ret_value) || list_has(always, name, ret_value);
}

static const struct option_help *help_of(const struct admin_command *c, const char *name)
{
    const struct option_help *found = NULL;

    for (size_t i = 0; i < COUNT(table); i++) {
        if (strcmp(table[i].name, name) != 0)
            continue;
        if (table[i].command == NULL && found == NULL)
            found = &table[i];
        if (table[i].command != NULL && strcmp(table[i].command, c->words) == 0)
            return &table[i];
    }
    return found;
}

static void print_list(const struct admin_command *c, const char *list)
{
    char name[NAME_BYTES], left[80];
    bool value;

    while (next_name(&list, name, &value) != NULL) {
        const struct option_help *h = help_of(c, name);

        (void)snprintf(left, sizeof left, "%s%s%s%s",
                       strcmp(name, "out") == 0 ? "-o" : "--",
                       strcmp(name, "out") == 0 ? "" : name, value ? " " : "",
                       value && h != NULL && h->value != NULL ? h->value : "");
        (void)printf("  %-24s %s\n", left, h != NULL ? h->help : "");
    }
}

void options_print(const struct admin_command *c)
{
    print_list(c, c->options);
    print_list(c, always);
}

/* ---- commands ---- */

const struct admin_command *command_at(int argc, char **argv, int *ret_words)
{
    for (int n = 2; n >= 1; n--) {
        char words[80];

        if (argc < n)
            continue;
        (void)snprintf(words, sizeof words, "%s%s%s", argv[0], n > 1 ? " " : "",
                       n > 1 ? argv[1] : "");
        for (size_t i = 0; i < admin_command_count; i++)
            if (strcmp(admin_commands[i].words, words) == 0) {
                *ret_words = n;
                return &admin_commands[i];
            }
    }
    return NULL;
}

/* ---- in front of the command ---- */

/* The name in "--name", "--name=value", "-o", "-h"; NULL for a word. */
static const char *name_of(struct cx *cx, const char *word)
{
    if (word[0] != '-' || word[1] == '\0')
        return NULL;
    if (strcmp(word, "-o") == 0)
        return "out";
    if (strcmp(word, "-h") == 0)
        return "help";
    if (word[1] != '-')
        return word;
    return cx_printf(cx, "%.*s", (int)strcspn(word + 2, "="), word + 2);
}

static bool any_has(const char *name, bool *ret_value)
{
    if (list_has(always, name, ret_value))
        return true;
    for (size_t i = 0; i < admin_command_count; i++)
        if (list_has(admin_commands[i].options, name, ret_value))
            return true;
    return false;
}

enum fault options_order(struct cx *cx, int argc, char **argv, int *ret_argc,
                         char ***ret_argv)
{
    int leading = 0, words = 1, n = 0;
    char **ordered;

    while (leading < argc && argv[leading][0] == '-') {
        const char *name = name_of(cx, argv[leading]);
        bool value;

        if (name == NULL || !any_has(name, &value))
            return cx_fail(
                cx, FAULT_USAGE,
                "no option `%.60s`; `cohortiumd COMMAND --help` lists a command's",
                argv[leading]);
        leading += value && strchr(argv[leading], '=') == NULL ? 2 : 1;
    }
    if (leading >= argc)
        return cx_fail(cx, FAULT_USAGE,
                       "a command is missing behind `%.60s`; `cohortiumd help` lists all",
                       argv[argc - 1]);
    CX_NEW(cx, ordered, (size_t)argc + 1);
    char **rest = argv + leading;
    if (leading > 0 && command_at(argc - leading, rest, &words) == NULL)
        words = 1;
    for (int i = 0; i < words && i < argc - leading; i++)
        ordered[n++] = rest[i];
    for (int i = 0; i < leading; i++)
        ordered[n++] = argv[i];
    for (int i = words; i < argc - leading; i++)
        ordered[n++] = rest[i];
    *ret_argc = n;
    *ret_argv = ordered;
    return FAULT_NONE;
}

/* ---- behind it ---- */

static enum fault no_option(struct invocation *in, const char *word, const char *name)
{
    const char *names[NAMES_MAX], *lists[] = {in->command->options, always};
    size_t n = 0;

    for (size_t k = 0; k < COUNT(lists); k++) {
        const char *list = lists[k];
        char *one;
        bool value;

        while (n < NAMES_MAX && (one = cx_alloc(in->cx, NAME_BYTES)) != NULL &&
               next_name(&list, one, &value) != NULL)
            names[n++] = one;
    }
    const char *near = bytes_nearest(name, names, n);
    if (near != NULL)
        return cx_fail(in->cx, FAULT_USAGE, "no option `%.60s`; did you mean `--%s`?", word,
                       near);
    return cx_fail(in->cx, FAULT_USAGE, "no option `%.60s`; see `cohortiumd %s --help`",
                   word, in->command->words);
}

static enum fault add_word(struct invocation *in, const char *word)
{
    if (in->n_words == COUNT(in->words))
        return cx_fail(in->cx, FAULT_USAGE, "more than %zu words", COUNT(in->words));
    in->words[in->n_words++] = word;
    return FAULT_NONE;
}

/* One option at argv[i] into `made`; tells how many words of argv it took. */
static enum fault take_option(struct invocation *in, int i, const char *name, char **made,
                              int *n_made, int *ret_used)
{
    const char *equals =
        strncmp(in->argv[i], "--", 2) == 0 ? strchr(in->argv[i], '=') : NULL;
    const char *dashed = cx_printf(in->cx, "--%s", name), *next;
    bool value, other;

    if (dashed == NULL)
        return FAULT_MEMORY;
    if (!has(in->command, name, &value))
        return no_option(in, in->argv[i], name);
    const struct option_help *h = help_of(in->command, name);
    for (int k = 0; k < *n_made && (h == NULL || !h->repeated); k++)
        if (strcmp(made[k], dashed) == 0)
            return cx_fail(in->cx, FAULT_USAGE, "%s is given twice", dashed);
    if (!value && equals != NULL)
        return cx_fail(in->cx, FAULT_USAGE, "%s takes no value", dashed);
    made[(*n_made)++] = (char *)dashed;
    *ret_used = 1;
    if (!value)
        return FAULT_NONE;
    if (equals == NULL && i + 1 == in->argc)
        return cx_fail(in->cx, FAULT_USAGE, "option %s needs a value: %s %s", dashed,
                       dashed, h != NULL ? h->value : "VALUE");
    if (equals == NULL) {
        next = name_of(in->cx, in->argv[i + 1]);
        if (next != NULL && has(in->command, next, &other))
            return cx_fail(in->cx, FAULT_USAGE, "option %s needs a value before %s", dashed,
                           in->argv[i + 1]);
    }
    made[(*n_made)++] = equals != NULL ? (char *)equals + 1 : in->argv[i + 1];
    *ret_used = equals != NULL ? 1 : 2;
    return FAULT_NONE;
}

enum fault options_parse(struct invocation *in)
{
    char **made;
    int n_made = 0;
    bool only_words = false;

    CX_NEW(in->cx, made, 2 * (size_t)in->argc + 1);
    for (int i = 0, used; i < in->argc; i += used) {
        const char *name = only_words ? NULL : name_of(in->cx, in->argv[i]);

        used = 1;
        if (!only_words && strcmp(in->argv[i], "--") == 0)
            only_words = true;
        else if (name == NULL)
            TRY(add_word(in, in->argv[i]));
        else
            TRY(take_option(in, i, name, made, &n_made, &used));
    }
    in->argc = n_made;
    in->argv = made;
    const char *folder = option(in, "dir");
    if (folder == NULL)
        folder = getenv("COHORTIUM_NODE");
    in->folder = folder != NULL ? folder : ".";
    return FAULT_NONE;
}

/* ---- values ---- */

enum fault endpoint_check(struct cx *cx, const char *option_name, const char *text)
{
    const char *place = endpoint_place(text);
    const char *colon = place != NULL ? strrchr(place, ':') : NULL;
    bool listens = strcmp(option_name, "--listen") == 0;
    char *end;

    if (colon == NULL || (colon == place && !listens))
        return cx_fail(cx, FAULT_USAGE,
                       "%s %.100s: expected tcp://HOST:PORT (or ws://HOST:PORT, where a "
                       "proxy needs it), such as %s",
                       option_name, text,
                       listens ? "tcp://0.0.0.0:7011" : "tcp://node.hospital-a.org:7011");
    if (!listens && strncmp(place, "0.0.0.0:", 8) == 0)
        return cx_fail(
            cx, FAULT_USAGE,
            "%s %.100s: 0.0.0.0 is where a node listens; expected the host by which "
            "the others reach it",
            option_name, text);
    long port = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || *end != '\0' || port < 1 || port > 65535)
        return cx_fail(cx, FAULT_USAGE,
                       "%s %.100s: expected a port from 1 to 65535 at its end", option_name,
                       text);
    return FAULT_NONE;
}

enum fault document_check(struct cx *cx, enum envelope_kind kind, struct bytes packed,
                          const char *path, const char *what, const char *how,
                          struct envelope *ret)
{
    if (envelope_open(cx, kind, packed, ret) == FAULT_NONE)
        return FAULT_NONE;
    return cx_fail(cx, FAULT_FORMAT, "%s is no %s; expected what `cohortiumd %s` writes",
                   path, what, how);
}

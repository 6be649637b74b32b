/* args.c - words and options of one command line. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/cli.h"

enum fault usage_fail(struct cx *cx, const struct args *args, const char *format, ...)
{
    char text[700];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return cx_fail(cx, FAULT_USAGE, "%s: %s", args->command->words, text);
}

/* ---- which command ---- */

/* Whether argv begins with these words; how many they are. */
static int match(const char *words, int argc, char *const *argv)
{
    int n = 0;

    for (const char *p = words; *p != '\0'; n++) {
        size_t length = strcspn(p, " ");

        if (n >= argc || strlen(argv[n]) != length || memcmp(argv[n], p, length) != 0)
            return 0;
        p += length;
        p += strspn(p, " ");
    }
    return n;
}

/* "key new, key show": the commands that begin with this word. */
static const char *family_of(struct cx *cx, const char *word)
{
    struct buffer b = buffer_new(cx, 4096);
    size_t length = strlen(word);

    for (size_t i = 0; i < n_commands; i++)
        if (strncmp(commands[i].words, word, length) == 0 &&
            commands[i].words[length] == ' ')
            buffer_printf(&b, "%s%s", b.n > 0 ? ", " : "", commands[i].words);
    return buffer_string(&b);
}

enum fault command_find(struct cx *cx, int argc, char *const *argv,
                        const struct command **ret, int *ret_words)
{
    const char **names;

    for (size_t i = 0; i < n_commands; i++) {
        int n = match(commands[i].words, argc, argv);

        if (n > 0) {
            *ret = &commands[i];
            *ret_words = n;
            return FAULT_NONE;
        }
    }
    const char *family = family_of(cx, argv[0]);
    if (family != NULL && family[0] != '\0' && argc > 1)
        return cx_fail(cx, FAULT_USAGE, "no command `%s %s`; there are: %s", argv[0],
                       argv[1], family);
    if (family != NULL && family[0] != '\0')
        return cx_fail(cx, FAULT_USAGE, "`%s` needs another word; there are: %s", argv[0],
                       family);
    CX_NEW(cx, names, n_commands + 1);
    for (size_t i = 0; i < n_commands; i++)
        names[i] = commands[i].words;
    names[n_commands] = "help";
    const char *near = bytes_nearest(argv[0], names, n_commands + 1);
    if (near != NULL)
        return cx_fail(cx, FAULT_USAGE, "no command `%.64s`; did you mean `%s`?", argv[0],
                       near);
    return cx_fail(cx, FAULT_USAGE, "no command `%.64s`; `cohortium help` lists them",
                   argv[0]);
}

/* ---- options ---- */

static const struct option *find_option(const struct command *c, const char *name, size_t n)
{
    for (size_t g = 0; g < ARGS_GROUPS_MAX && c->groups[g] != NULL; g++)
        for (const struct option *o = c->groups[g]; o->name != NULL; o++)
            if (strlen(o->name) == n && memcmp(o->name, name, n) == 0)
                return o;
    return NULL;
}

/* ---- options in front of the command ---- */

enum { NAMES_MAX = 400 };

/* An option of whatever command; *ret_names: all of them, for a suggestion. */
static const struct option *find_anywhere(const char *name, size_t n,
                                          const char **ret_names, size_t *ret_n)
{
    const struct option *found = NULL;

    *ret_n = 0;
    for (size_t i = 0; i < n_commands; i++)
        for (size_t g = 0; g < ARGS_GROUPS_MAX && commands[i].groups[g] != NULL; g++)
            for (const struct option *o = commands[i].groups[g]; o->name != NULL; o++) {
                if (strlen(o->name) == n && memcmp(o->name, name, n) == 0)
                    found = o;
                if (*ret_n < NAMES_MAX)
                    ret_names[(*ret_n)++] = o->name;
            }
    return found;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && strcmp(word, "--") != 0;
}

/* How many words of argv stand in front of the command. */
static enum fault count_leading(struct cx *cx, int argc, char *const *argv, int *ret)
{
    static const char *const flags[] = {"--help", "-h"};
    const char *names[NAMES_MAX];
    size_t n_names;
    int n = 0;

    while (n < argc && is_option(argv[n])) {
        const char *equals = strchr(argv[n], '=');
        size_t length = equals != NULL ? (size_t)(equals - argv[n]) : strlen(argv[n]);
        const char *word = cx_printf(cx, "%.*s", (int)length, argv[n]);
        const struct option *o = find_anywhere(argv[n], length, names, &n_names);

        if (word == NULL)
            return FAULT_MEMORY;
        if (o == NULL && strcmp(word, flags[0]) != 0 && strcmp(word, flags[1]) != 0) {
            const char *near = bytes_nearest(word, names, n_names);

            return cx_fail(cx, FAULT_USAGE,
                           "no option `%.64s`%s%s%s `cohortium COMMAND --help` lists a "
                           "command's",
                           word, near != NULL ? "; did you mean `" : ";",
                           near != NULL ? near : "", near != NULL ? "`?" : "");
        }
        n += o != NULL && o->value != NULL && equals == NULL ? 2 : 1;
    }
    *ret = n;
    return FAULT_NONE;
}

enum fault args_order(struct cx *cx, int argc, char *const *argv, int *ret_argc,
                      char ***ret_argv)
{
    const struct command *c;
    char **ordered;
    int leading, words = 1, n = 0;

    TRY(count_leading(cx, argc, argv, &leading));
    if (leading > argc || (leading == argc && argc > 0))
        return cx_fail(cx, FAULT_USAGE,
                       "a command is missing behind `%.64s`; `cohortium help` lists them",
                       argv[argc - 1]);
    CX_NEW(cx, ordered, (size_t)argc + 1);
    char *const *rest = argv + leading;
    int n_rest = argc - leading;

    /* What is no command stays first: it will be complained about under its own name. */
    if (leading > 0 && command_find(cx, n_rest, rest, &c, &words) != FAULT_NONE)
        words = 1;
    for (int i = 0; i < words && i < n_rest; i++)
        ordered[n++] = rest[i];
    for (int i = 0; i < leading; i++)
        ordered[n++] = argv[i];
    for (int i = words; i < n_rest; i++)
        ordered[n++] = rest[i];
    *ret_argc = n;
    *ret_argv = ordered;
    return FAULT_NONE;
}

/* ---- options behind it ---- */

static enum fault no_option(struct cx *cx, const struct args *args, const char *name)
{
    const char *names[ARGS_OPTIONS_MAX];
    const struct command *c = args->command;
    size_t n = 0;

    for (size_t g = 0; g < ARGS_GROUPS_MAX && c->groups[g] != NULL; g++)
        for (const struct option *o = c->groups[g]; o->name != NULL && n < COUNT(names);
             o++)
            names[n++] = o->name;
    const char *near = bytes_nearest(name, names, n);
    if (near != NULL)
        return usage_fail(cx, args, "no option `%.64s`; did you mean `%s`?", name, near);
    return usage_fail(cx, args, "no option `%.64s`; `cohortium %s --help` lists them", name,
                      c->words);
}

/* Takes the option at argv[i]; tells how many words it used. */
static enum fault take_option(struct cx *cx, struct args *args, int argc, char *const *argv,
                              int i, int *ret_used)
{
    const char *equals = strchr(argv[i], '='), *value = "";
    size_t length = equals != NULL ? (size_t)(equals - argv[i]) : strlen(argv[i]);
    const struct option *o = find_option(args->command, argv[i], length);
    const char *name = cx_printf(cx, "%.*s", (int)length, argv[i]);

    *ret_used = 1;
    if (name == NULL)
        return FAULT_MEMORY;
    if (o == NULL)
        return no_option(cx, args, name);
    if (args_has(args, o->name))
        return usage_fail(cx, args, "%s is given twice", o->name);
    if (o->value == NULL && equals != NULL)
        return usage_fail(cx, args, "%s takes no value", o->name);
    if (o->value != NULL && equals != NULL) {
        value = equals + 1;
    } else if (o->value != NULL) {
        if (i + 1 >= argc)
            return usage_fail(cx, args, "%s needs a value: %s %s", o->name, o->name,
                              o->value);
        /* `--where --json`: the value was forgotten. */
        if (find_option(args->command, argv[i + 1], strlen(argv[i + 1])) != NULL)
            return usage_fail(cx, args, "%s needs a value before %s: %s %s", o->name,
                              argv[i + 1], o->name, o->value);
        value = argv[i + 1];
        *ret_used = 2;
    }
    if (args->n_options == ARGS_OPTIONS_MAX)
        return usage_fail(cx, args, "too many options");
    args->options[args->n_options] = o;
    args->values[args->n_options++] = value;
    return FAULT_NONE;
}

enum fault args_parse(struct cx *cx, const struct command *command, int argc,
                      char *const *argv, struct args *ret)
{
    struct args args = {.command = command};
    bool only_words = false;

    CX_NEW(cx, args.words, (size_t)argc + 1);
    for (int i = 0, used; i < argc; i += used) {
        used = 1;
        /* "-" alone is standard input; "-1 + x" is nobody's option but must be told apart.
         */
        if (!only_words && strcmp(argv[i], "--") == 0)
            only_words = true;
        else if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0')
            TRY(take_option(cx, &args, argc, argv, i, &used));
        else
            args.words[args.n_words++] = argv[i];
    }
    *ret = args;
    return FAULT_NONE;
}

const char *args_get(const struct args *args, const char *name)
{
    for (size_t i = 0; i < args->n_options; i++)
        if (strcmp(args->options[i]->name, name) == 0)
            return args->values[i];
    return NULL;
}

enum fault args_words(struct cx *cx, const struct args *args, size_t least, size_t most)
{
    if (args->n_words > most)
        return usage_fail(cx, args, "`%.64s` is one word too many; usage: cohortium %s %s",
                          args->words[most], args->command->words, args->command->usage);
    if (args->n_words < least)
        return usage_fail(cx, args, "something is missing; usage: cohortium %s %s",
                          args->command->words, args->command->usage);
    return FAULT_NONE;
}

enum fault args_number(struct cx *cx, const struct args *args, const char *name,
                       double lowest, double highest, double standard, double *ret)
{
    const char *text = args_get(args, name);
    char *end;

    *ret = standard;
    if (text == NULL)
        return FAULT_NONE;
    errno = 0;
    double x = strtod(text, &end);
    if (text[0] == '\0' || *end != '\0' || errno != 0 || !isfinite(x) || x < lowest ||
        x > highest)
        return usage_fail(cx, args, "%s: `%.32s` is not a number from %g to %g", name, text,
                          lowest, highest);
    *ret = x;
    return FAULT_NONE;
}

/* ---- a line of a file ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* One word from *p on. */
static enum fault split_word(struct cx *cx, const char **p, size_t line_length, char **ret)
{
    struct buffer b = buffer_new(cx, line_length + 1);
    char quote = '\0';

    for (; **p != '\0' && (quote != '\0' || !is_blank(**p)); (*p)++) {
        if (quote == '\0' && (**p == '\'' || **p == '"')) {
            quote = **p;
        } else if (**p == quote) {
            quote = '\0';
        } else if (**p == '\\' && quote != '\'' && (*p)[1] != '\0' &&
                   (quote == '\0' || (*p)[1] == '"' || (*p)[1] == '\\')) {
            (*p)++;
            buffer_put(&b, *p, 1);
        } else {
            buffer_put(&b, *p, 1);
        }
    }
    if (quote != '\0')
        return cx_fail(cx, FAULT_USAGE, "a quote %c is opened and not closed", quote);
    *ret = buffer_string(&b);
    return *ret == NULL ? FAULT_MEMORY : FAULT_NONE;
}

enum fault args_split(struct cx *cx, const char *line, char ***ret, int *ret_n)
{
    size_t length = strlen(line);
    char **words;
    int n = 0;

    CX_NEW(cx, words, length / 2 + 2);
    for (const char *p = line;;) {
        while (is_blank(*p))
            p++;
        if (*p == '\0' || *p == '#')
            break;
        TRY(split_word(cx, &p, length, &words[n++]));
    }
    *ret = words;
    *ret_n = n;
    return FAULT_NONE;
}

int fault_status(enum fault fault)
{
    switch (fault) {
    case FAULT_NONE:
        return STATUS_DONE;
    case FAULT_USAGE:
        return STATUS_USAGE;
    case FAULT_REFUSED:
        return STATUS_REFUSED;
    default:
        return STATUS_FAILED;
    }
}

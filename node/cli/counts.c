/* counts.c - how many patients a dataset has: one question, as anybody asks it. */
#include "node/cli/counts.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/ask_private.h"

enum { WORDS_MAX = 8, COUNT_MEMORY = 256 * 1024 * 1024 };

/* `count NAME --json`, with the options of the command that wants it. */
static enum fault make_args(struct cx *cx, const struct args *args, const char *dataset,
                            struct args *ret)
{
    char *words[WORDS_MAX] = {(char *)"count", (char *)dataset, (char *)"--json"};
    const char *permit = args_get(args, "--permit");
    const struct command *command;
    int n = 3, used;

    if (permit != NULL) {
        words[n++] = (char *)"--permit";
        words[n++] = (char *)permit;
    }
    TRY(command_find(cx, n, words, &command, &used));
    return args_parse(cx, command, n - used, words + used, ret);
}

static enum fault read_count(struct cx *cx, const char *text, size_t n, double *ret)
{
    json_t *root = json_loadb(text, n, 0, NULL);
    const json_t *patients = json_object_get(json_object_get(root, "items"), "patients");
    bool known = json_is_number(patients);

    if (known)
        *ret = json_number_value(patients);
    json_decref(root);
    return known ? FAULT_NONE : cx_fail(cx, FAULT_REFUSED, "withheld");
}

/* What was told on the way (complaints, a line each), else the fault's own words. */
static const char *reason(struct cx *keep, struct cx *cx, const char *told, size_t n)
{
    size_t line = n > 0 ? strcspn(told, "\n") : 0;
    static const char ours[] = "cohortium: ";

    if (line == 0)
        return cx_strdup(keep, cx_message(cx));
    if (line > sizeof ours && strncmp(told, ours, sizeof ours - 1) == 0) {
        told += sizeof ours - 1;
        line -= sizeof ours - 1;
    }
    return cx_printf(keep, "%.*s", (int)line, told);
}

static enum fault ask_count(struct cli *cli, struct home *home, struct cx *cx,
                            const struct args *args, FILE *out, const char *dataset)
{
    struct args count;

    TRY(make_args(cx, args, dataset, &count));
    struct asking asking = {.args = &count, .json = true, .save = true, .wait_ms = ASK_WAIT_S * 1000};
    enum fault fault = ask(cli, home, cx, &asking);
    return fflush(out) == 0 ? fault : cx_fail(cx, FAULT_MEMORY, "out of memory");
}

enum fault dataset_count(struct cli *cli, struct home *home, const struct args *args,
                         const char *dataset, struct dataset_count *ret)
{
    AUTO_CX struct cx *cx = cx_new(COUNT_MEMORY, CX_NO_DEADLINE);
    char *text = NULL, *told = NULL;
    size_t n = 0, n_told = 0;
    struct cli inner = {
        .cx = cx, .out = open_memstream(&text, &n), .err = open_memstream(&told, &n_told)};
    enum fault fault = FAULT_MEMORY;

    *ret = (struct dataset_count){0};
    if (cx != NULL && inner.out != NULL && inner.err != NULL) {
        fault = ask_count(&inner, home, cx, args, inner.out, dataset);
        if (fflush(inner.err) != 0)
            fault = FAULT_MEMORY;
    }
    if (fault == FAULT_NONE)
        fault = read_count(cx, text, n, &ret->patients);
    ret->known = fault == FAULT_NONE;
    if (!ret->known && cx != NULL && fault != FAULT_MEMORY)
        ret->why = reason(cli->cx, cx, told, n_told);
    if (inner.out != NULL)
        (void)fclose(inner.out);
    if (inner.err != NULL)
        (void)fclose(inner.err);
    free(text);
    free(told);
    if (!ret->known && ret->why == NULL)
        return cx_fail(cli->cx, FAULT_MEMORY, "out of memory for a count");
    /* A link that is gone, or Ctrl-C, ends the others, too. */
    return fault == FAULT_CANCELLED ? cx_fail(cli->cx, fault, "%s", ret->why) : FAULT_NONE;
}

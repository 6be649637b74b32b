/* audit.c - the log: verified, shown, explained, proved, exported, reported; the ledger. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/admin/command.h"
#include "node/vault/rules.h"
#include "protocol/base/clock.h"
#include "protocol/files.h"

enum { RECORDS_MAX = 10000, RECORDS = 20, REPORT_DAYS = 30, NUMBER_MAX = 24 };
static const int64_t DAY_MS = 24 * 3600 * 1000;

/* What does not fit is an answer, too: all of it is shown, on standard error. */
enum fault admin_audit_verify(struct invocation *in)
{
    struct admin_reply reply;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(admin_call(in->cx, in->folder, "audit verify", NULL, 0, NULL, 0, &reply));
    const char *note = strstr(reply.text, "\n\n");
    if (reply.status != 0) {
        (void)fputs(reply.text, stderr);
        in->status = reply.status;
        return FAULT_NONE;
    }
    if (note == NULL) {
        (void)fputs(reply.text, stdout);
        return FAULT_NONE;
    }
    (void)printf(
        "%.*s\n\nThe signed checkpoint; kept elsewhere, it shows later that nothing before "
        "it was changed:%s",
        (int)(note - reply.text), reply.text, note);
    return FAULT_NONE;
}

/* "    12  2026-..." begins a record; what a record says in several lines is set in. */
static void print_records(const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n"), blanks = strspn(text, " ");
        size_t digits = strspn(text + blanks, "0123456789");
        bool begins = digits > 0 && strncmp(text + blanks + digits, "  2", 3) == 0;

        if (n > 0)
            (void)printf("%s%.*s\n", begins ? "" : "            ", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

enum fault admin_audit_show(struct invocation *in)
{
    struct admin_reply reply;
    long last;
    const char *kind = option(in, "kind");

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(whole_option(in, "last", 1, RECORDS_MAX, RECORDS, &last));
    const char *words[] = {cx_printf(in->cx, "%ld", last), kind};
    TRY(ask_node(in, "audit show", words, kind != NULL ? 2 : 1, NULL, 0, &reply));
    print_records(reply.text);
    if (reply.text[0] == '\0')
        (void)fprintf(
            stderr,
            "no record%s%s; `cohortiumd audit show` lists the newest of all kinds\n",
            kind != NULL ? " of kind " : "", kind != NULL ? kind : "");
    return FAULT_NONE;
}

/* `explain R7`: the rule itself, which needs no node. */
static enum fault print_rule(struct invocation *in, const struct rule *rule)
{
    struct buffer b = buffer_new(in->cx, 64 * 1024);

    rule_put(&b, rule);
    const char *text = buffer_string(&b);
    if (text == NULL)
        return FAULT_MEMORY;
    (void)fputs(text, stdout);
    return FAULT_NONE;
}

static enum fault print_rules(struct invocation *in)
{
    for (size_t i = 0; i < RULES_NUMBERED; i++) {
        (void)fputs(i > 0 ? "\n" : "", stdout);
        TRY(print_rule(in, rule_at(i)));
    }
    return FAULT_NONE;
}

enum fault admin_explain(struct invocation *in)
{
    TRY(need_words(in, 1, 1,
                   "the reference printed with the answer, or a rule such as R7"));
    const struct rule *rule = rule_find(in->words[0]);

    if (rule != NULL)
        return print_rule(in, rule);
    if (strcmp(in->words[0], "rules") == 0)
        return print_rules(in);
    return ask_node(in, "explain", in->words, 1, NULL, 0, NULL);
}

enum fault admin_ledger_report(struct invocation *in)
{
    struct admin_reply reply;
    bool json = has_option(in, "json");

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(ask_node(in, "ledger report", NULL, 0, NULL, 0, &reply));
    (void)printf("%s%s", json ? reply.json : reply.text, json ? "\n" : "");
    return FAULT_NONE;
}

enum fault admin_audit_witnesses(struct invocation *in)
{
    TRY(need_words(in, 0, 0, "no further word"));
    return ask_node(in, "audit witnesses", NULL, 0, NULL, 0, NULL);
}

/* To -o FILE, or standard output. */
static enum fault put_out(struct invocation *in, const char *what, struct bytes text)
{
    const char *path = option(in, "out");

    if (path != NULL)
        return file_write(in->cx, what, path, text, 0600, FILE_NEW);
    if (fwrite(text.p, 1, text.n, stdout) != text.n)
        return cx_fail(in->cx, FAULT_IO, "standard output could not be written");
    return FAULT_NONE;
}

enum fault admin_audit_prove(struct invocation *in)
{
    struct admin_reply reply;

    TRY(need_words(in, 1, 1, "the number of a record, or a reference"));
    TRY(ask_node(in, "audit prove", in->words, 1, NULL, 0, &reply));
    if (reply.n_blobs != 1)
        return cx_fail(in->cx, FAULT_INTERNAL, "the node gave no proof");
    TRY(put_out(in, "proof", reply.blobs[0]));
    (void)fputs(reply.text, option(in, "out") != NULL ? stdout : stderr);
    return FAULT_NONE;
}

/* ---- export ---- */

/* Page by page; the last one has no next. */
static enum fault write_pages(struct invocation *in, FILE *f, uint64_t *ret_records)
{
    AUTO_CX struct cx *cx = cx_new((size_t)1 << 28, CX_NO_DEADLINE);
    char from[NUMBER_MAX] = "0";

    if (cx == NULL)
        return cx_fail(in->cx, FAULT_MEMORY, "out of memory");
    for (bool more = true; more;) {
        const char *words[] = {from};
        struct admin_reply reply;

        cx_reset(cx);
        enum fault fault =
            admin_call(cx, in->folder, "audit export", words, 1, NULL, 0, &reply);
        if (fault != FAULT_NONE)
            return cx_fail(in->cx, fault, "%s", cx_message(cx));
        if (reply.status != 0)
            return cx_fail(in->cx, FAULT_IO, "%s", reply.text);
        if (fputs(reply.text, f) < 0)
            return cx_fail(in->cx, FAULT_IO, "the file could not be written");
        for (const char *p = reply.text; (p = strchr(p, '\n')) != NULL; p++)
            ++*ret_records;
        more = reply.n_blobs == 1 && reply.blobs[0].n < sizeof from;
        if (more) {
            memcpy(from, reply.blobs[0].p, reply.blobs[0].n);
            from[reply.blobs[0].n] = '\0';
        }
    }
    return FAULT_NONE;
}

enum fault admin_audit_export(struct invocation *in)
{
    uint64_t lines = 0;

    TRY(need_words(in, 1, 1, "a new file, or - for standard output"));
    bool standard = strcmp(in->words[0], "-") == 0;
    FILE *f = standard ? stdout : fopen(in->words[0], "wxe");
    if (f == NULL)
        return cx_fail(in->cx, FAULT_IO,
                       "%s cannot be made: it exists already, or its folder "
                       "cannot be written",
                       in->words[0]);
    enum fault fault = write_pages(in, f, &lines);
    bool whole = fflush(f) == 0 && (standard || (fsync(fileno(f)) == 0 && fclose(f) == 0));
    if (fault == FAULT_NONE && !whole)
        fault = cx_fail(in->cx, FAULT_IO, "%s could not be written whole", in->words[0]);
    if (fault != FAULT_NONE && !standard)
        (void)unlink(in->words[0]);
    TRY(fault);
    if (!standard)
        (void)printf("%s: %llu records, then the signed checkpoint of them\n", in->words[0],
                     (unsigned long long)(lines - 1));
    return FAULT_NONE;
}

/* ---- report ---- */

static enum fault read_day(struct invocation *in, const char *name, int64_t standard,
                           int64_t *ret)
{
    const char *text = option(in, name);
    int year, month, day, used = 0;
    int32_t days;

    *ret = standard;
    if (text == NULL)
        return FAULT_NONE;
    if (strlen(text) != 10 ||
        sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) != 3 || used != 10 ||
        !clock_days(year, month, day, &days))
        return cx_fail(in->cx, FAULT_USAGE, "--%s %.20s: expected a day such as 2026-11-24",
                       name, text);
    *ret = days * DAY_MS;
    return FAULT_NONE;
}

enum fault admin_audit_report(struct invocation *in)
{
    struct admin_reply reply;
    int64_t today = clock_utc_ms() / DAY_MS * DAY_MS, from, to;

    TRY(need_words(in, 0, 0, "no further word"));
    TRY(read_day(in, "from", today - REPORT_DAYS * DAY_MS, &from));
    TRY(read_day(in, "to", today, &to));
    if (to < from || from < 0)
        return cx_fail(in->cx, FAULT_USAGE, "--from is a later day than --to");
    const char *words[] = {cx_printf(in->cx, "%lld", (long long)from),
                           cx_printf(in->cx, "%lld", (long long)(to + DAY_MS)),
                           has_option(in, "html") ? "html" : "text"};
    TRY(ask_node(in, "audit report", words, COUNT(words), NULL, 0, &reply));
    TRY(put_out(in, "report", bytes_of(reply.text, strlen(reply.text))));
    if (option(in, "out") != NULL)
        (void)printf("%s is written; print it and keep it with the officers' papers\n",
                     option(in, "out"));
    return FAULT_NONE;
}

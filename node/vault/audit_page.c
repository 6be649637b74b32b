/* audit_page.c - a report as plain text, or as one HTML page that prints well. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/vault/audit_report.h"
#include "protocol/base/clock.h"

enum { WIDTH = 92, INDENT = 12 };

/* ---- text ---- */

/* Words of one field, broken at blanks and set in. Line ends of the details become blanks.
 */
static void put_field(struct buffer *out, const char *name, const char *text)
{
    size_t column = INDENT;

    if (text[0] == '\0')
        return;
    buffer_printf(out, "  %-*s", INDENT - 2, name);
    while (*text != '\0') {
        size_t blanks = strspn(text, " \n\t"), n = strcspn(text + blanks, " \n\t");

        if (n == 0)
            break;
        if (column > INDENT && column + 1 + n > WIDTH) {
            buffer_printf(out, "\n%*s", INDENT, "");
            column = INDENT;
        } else if (column > INDENT) {
            buffer_text(out, " ");
            column++;
        }
        buffer_put(out, text + blanks, n);
        column += n;
        text += blanks + n;
    }
    buffer_text(out, "\n");
}

static void put_row(struct buffer *out, const struct report_row *r)
{
    char at[32];

    buffer_printf(out, "\n%s  record %" PRIu64 "  %s\n", clock_format(r->at, at, sizeof at),
                  r->index, r->kind);
    put_field(out, "who", r->who);
    put_field(out, "what", r->what);
    put_field(out, "why", r->why);
    put_field(out, "decision", r->decision);
    put_field(out, "budget", r->budget);
}

static void put_permits(struct buffer *out, const struct report_page *p)
{
    buffer_text(out, "\nPermits\n");
    for (size_t i = 0; i < p->n_permits; i++) {
        const struct report_permit *r = &p->permits[i];

        buffer_printf(out, "  \"%s\": %" PRIu64 " questions charged at this node", r->title,
                      r->charged);
        if (r->budget > 0)
            buffer_printf(out, " of %" PRIu64, r->budget);
        buffer_printf(out, "%s\n", r->shown ? "" : "; nothing asked between these dates");
    }
    if (p->n_permits == 0)
        buffer_text(out, "  none\n");
}

void report_text(struct buffer *out, const struct report_page *p)
{
    buffer_printf(
        out,
        "AUDIT REPORT\n%s, %s\n%s to %s (UTC, the end not included)\nmade %s\n\n"
        "%zu questions answered, %zu not released, %zu answered before, %zu refused; "
        "%zu acts of this node\n"
        "log of %" PRIu64 " records, root %s\n%s\n",
        p->node, p->consortium, p->from, p->to, p->made, p->released, p->not_released,
        p->repeated, p->refused, p->acts, p->size, p->root, p->witness);
    put_permits(out, p);
    buffer_text(out, "\nQuestions\n");
    if (p->n_rows == p->acts)
        buffer_text(out, "  none\n");
    for (size_t i = 0; i < p->n_rows; i++)
        if (p->rows[i].asked)
            put_row(out, &p->rows[i]);
    buffer_text(out, "\nActs of this node\n");
    if (p->acts == 0)
        buffer_text(out, "  none\n");
    for (size_t i = 0; i < p->n_rows; i++)
        if (!p->rows[i].asked)
            put_row(out, &p->rows[i]);
    buffer_text(out,
                "\nSeen by ______________________________   on ____________________\n");
}

/* ---- HTML ---- */

static const char style[] =
    "body{font:11pt/1.35 serif;margin:2em auto;max-width:62em;color:#000;background:#fff}"
    "h1{font-size:16pt;margin:0}h2{font-size:12pt;margin:1.5em 0 .3em}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{border-bottom:1px solid #999;padding:.25em "
    ".5em;text-align:left;vertical-align:top}"
    "th{font-weight:bold;border-bottom:2px solid #000}td.n,code{font:9pt monospace}"
    "tr{page-break-inside:avoid}thead{display:table-header-group}"
    "@page{margin:15mm}@media print{body{margin:0;max-width:none}}";

static void put_escaped(struct buffer *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '&')
            buffer_text(out, "&amp;");
        else if (*p == '<')
            buffer_text(out, "&lt;");
        else if (*p == '>')
            buffer_text(out, "&gt;");
        else if (*p == '"')
            buffer_text(out, "&quot;");
        else
            buffer_put(out, p, 1);
    }
}

static void put_tag(struct buffer *out, const char *tag, const char *text)
{
    buffer_printf(out, "<%s>", tag);
    put_escaped(out, text);
    buffer_printf(out, "</%.*s>", (int)strcspn(tag, " "), tag);
}

static void put_table(struct buffer *out, const struct report_page *p, bool asked)
{
    char at[32], index[32];
    bool any = false;

    buffer_printf(out, "<h2>%s</h2>\n", asked ? "Questions" : "Acts of this node");
    for (size_t i = 0; i < p->n_rows; i++) {
        const struct report_row *r = &p->rows[i];

        if (r->asked != asked)
            continue;
        if (!any)
            buffer_printf(out,
                          "<table><thead><tr><th>when</th><th>record</th><th>who</th>"
                          "<th>what</th>%s<th>decision</th>%s</tr></thead>\n",
                          asked ? "<th>why</th>" : "", asked ? "<th>budget</th>" : "");
        any = true;
        (void)snprintf(index, sizeof index, "%" PRIu64, r->index);
        buffer_text(out, "<tr>");
        put_tag(out, "td class=\"n\"", clock_format(r->at, at, sizeof at));
        put_tag(out, "td class=\"n\"", index);
        put_tag(out, "td", r->who);
        put_tag(out, "td", r->what);
        if (asked)
            put_tag(out, "td", r->why);
        put_tag(out, "td", asked ? r->decision : r->kind);
        if (asked)
            put_tag(out, "td", r->budget);
        buffer_text(out, "</tr>\n");
    }
    buffer_text(out, any ? "</table>\n" : "<p>none</p>\n");
}

static void put_permit_table(struct buffer *out, const struct report_page *p)
{
    char number[64];

    buffer_text(out, "<h2>Permits</h2>\n<table><thead><tr><th>permit</th><th>purpose</th>"
                     "<th>questions charged at this node</th></tr></thead>\n");
    for (size_t i = 0; i < p->n_permits; i++) {
        const struct report_permit *r = &p->permits[i];

        if (r->budget > 0)
            (void)snprintf(number, sizeof number, "%" PRIu64 " of %" PRIu64, r->charged,
                           r->budget);
        else
            (void)snprintf(number, sizeof number, "%" PRIu64 ", no limit", r->charged);
        buffer_text(out, "<tr>");
        put_tag(out, "td", r->title);
        put_tag(out, "td", r->purpose);
        put_tag(out, "td", number);
        buffer_text(out, "</tr>\n");
    }
    buffer_text(out, "</table>\n");
}

void report_html(struct buffer *out, const struct report_page *p)
{
    buffer_printf(out,
                  "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                  "<title>Audit report</title><style>%s</style></head><body>\n"
                  "<h1>Audit report</h1>\n",
                  style);
    buffer_text(out, "<p>");
    put_escaped(out, p->node);
    buffer_text(out, ", ");
    put_escaped(out, p->consortium);
    buffer_printf(out,
                  "<br>%s to %s (UTC, the end not included)<br>made %s</p>\n"
                  "<p>%zu questions answered, %zu not released, %zu answered before, %zu "
                  "refused; %zu acts of this node<br>log of %" PRIu64
                  " records, root <code>%s</code><br>",
                  p->from, p->to, p->made, p->released, p->not_released, p->repeated,
                  p->refused, p->acts, p->size, p->root);
    put_escaped(out, p->witness);
    buffer_text(out, "</p>\n");
    put_permit_table(out, p);
    put_table(out, p, true);
    put_table(out, p, false);
    buffer_text(out,
                "<p style=\"margin-top:3em\">Seen by ______________________________ on "
                "____________________</p>\n</body></html>\n");
}

/*
 * audit_report.h - the log for others to read: exported whole, or as a page to print.
 *
 *   audit_export.c   JSON lines with every leaf and hash, so that the tree can be rebuilt
 *   audit_report.c   who asked what, why, under which permit, the decision, the budget
 *   audit_page.c     that as plain text or as one HTML page
 */
#pragma once

#include "node/vault/vault.h"

struct export_page {
    struct vault *v;
    struct buffer *out;
    uint64_t from, next; /* record numbers */
    bool last;           /* nothing follows; a checkpoint of what was exported ends it */
};
CHECKED enum fault audit_export(struct cx *cx, struct export_page *page);

struct report_wish {
    int64_t from, to; /* UTC ms, `to` not included */
    bool html;
    struct buffer *out;
};
/* FAULT_BOUND: too much for one page; FAULT_INVALID: from is not before to. */
CHECKED enum fault audit_report(struct cx *cx, struct vault *v,
                                const struct report_wish *wish);

/* ---- what is on the page ---- */

struct report_row {
    uint64_t index;
    int64_t at;
    bool asked; /* a question, a repeat, an invalid request: else an act of this node */
    const char *kind, *decision, *who, *what, *why, *budget;
};

struct report_permit {
    struct bytes id;
    const char *title, *purpose;
    uint64_t budget, charged, seen; /* seen: charged questions up to the row at hand */
    bool shown;                     /* some row is under it */
};

struct report_page {
    const char *node, *consortium, *root, *witness;
    char from[32], to[32], made[32];
    uint64_t size; /* of the log */
    size_t n_rows, room, n_permits;
    struct report_row *rows;
    struct report_permit *permits;
    size_t released, not_released, repeated, refused, acts;
};
void report_text(struct buffer *out, const struct report_page *p);
void report_html(struct buffer *out, const struct report_page *p);

/* render.c - answers for people. */
#include "node/cli/render.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char banner[] =
    "EXACT FOR TESTING: a lab's policy of class testing let these numbers out exactly. No "
    "real\npatient's data may be answered like this.\n";
static const char rounded_line[] = "Numbers are rounded by the sites' policy before they "
                                   "leave; what is derived is computed "
                                   "from\nthe rounded ones.\n";
const char *not_released_text(struct cx *cx, const char *reference)
{
    const char *text = cx_printf(
        cx,
        "not released: some rule of the sites withheld this answer (reference %s). The "
        "sites' officers can look up why.",
        reference != NULL && reference[0] != '\0' ? reference : "none");

    return text == NULL ? "not released" : text;
}

/* ---- width ---- */

/* One code point from clean UTF-8; a stray byte counts as itself. */
static uint32_t next_point(const unsigned char **p)
{
    const unsigned char *s = *p;
    int more = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc0 ? 1 : 0;
    uint32_t c = more == 3   ? s[0] & 0x07u
                 : more == 2 ? s[0] & 0x0fu
                 : more == 1 ? s[0] & 0x1fu
                             : s[0];

    for (int i = 1; i <= more; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            *p = s + 1;
            return s[0];
        }
        c = c << 6 | (s[i] & 0x3fu);
    }
    *p = s + more + 1;
    return c;
}

static size_t point_width(uint32_t c)
{
    if ((c >= 0x300 && c <= 0x36f) || (c >= 0x200b && c <= 0x200f) ||
        (c >= 0x20d0 && c <= 0x20ff) || (c >= 0xfe00 && c <= 0xfe0f))
        return 0;
    if ((c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
        (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
        (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
        (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1faff) ||
        (c >= 0x20000 && c <= 0x3fffd))
        return 2;
    return 1;
}

size_t text_width(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t width = 0;

    while (*p != '\0')
        width += point_width(next_point(&p));
    return width;
}

/* ---- tables ---- */

/* Levels and titles come from codebooks: a tab or newline in one would break the table. */
static void put_line_text(struct buffer *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++)
        buffer_put(out, (unsigned char)*p < 0x20 || *p == 0x7f ? " " : p, 1);
}

static void put_padded(struct buffer *out, const char *text, size_t width, bool right,
                       bool last)
{
    size_t own = text_width(text), pad = own < width ? width - own : 0;

    for (size_t i = 0; right && i < pad; i++)
        buffer_text(out, " ");
    put_line_text(out, text);
    for (size_t i = 0; !right && !last && i < pad; i++)
        buffer_text(out, " ");
}

static size_t column_width(const struct grid *g, size_t column)
{
    size_t width = g->head != NULL ? text_width(g->head[column]) : 0;

    for (size_t i = 0; i < g->n_rows; i++) {
        size_t own = text_width(g->cells[i * g->n_columns + column]);

        width = own > width ? own : width;
    }
    return width;
}

/* The next piece of *text that fits into `width`: up to a blank if there is one. */
static const char *take_piece(struct cx *cx, const char **text, size_t width)
{
    const unsigned char *p = (const unsigned char *)*text, *start = p, *blank = NULL;
    size_t used = 0;

    while (*p != '\0') {
        const unsigned char *before = p;

        used += point_width(next_point(&p));
        if (used > width && before > start) {
            p = before;
            break;
        }
        if (*before == ' ')
            blank = before;
    }
    const unsigned char *end = *p != '\0' && *p != ' ' && blank != NULL ? blank : p;
    *text = (const char *)end + strspn((const char *)end, " ");
    return cx_printf(cx, "%.*s", (int)(end - start), (const char *)start);
}

/* A row, of several lines where a cell is wider than its column. */
static void put_row(struct buffer *out, const struct grid *g, const char *const *cells,
                    const size_t *widths, const char *indent)
{
    const char **rest = cx_array(out->cx, g->n_columns + 1, sizeof *rest);
    bool more = true;

    for (size_t j = 0; rest != NULL && j < g->n_columns; j++)
        rest[j] = cells[j];
    while (more) {
        more = false;
        buffer_text(out, indent);
        for (size_t j = 0; rest != NULL && j < g->n_columns; j++) {
            const char *piece = take_piece(out->cx, &rest[j], widths[j]);

            if (j > 0)
                buffer_text(out, "  ");
            put_padded(out, piece != NULL ? piece : "", widths[j],
                       g->numeric != NULL && g->numeric[j], j + 1 == g->n_columns);
            more = more || rest[j][0] != '\0';
        }
        /* No row ends in blanks. */
        while (out->n > 0 && out->p[out->n - 1] == ' ')
            out->n--;
        buffer_text(out, "\n");
    }
    if (rest == NULL)
        out->fault = FAULT_MEMORY;
}

enum { COLUMN_LEAST = 12 };

/* Takes from the widest column of text until the row fits, or all are narrow. */
static void fit(const struct grid *g, size_t *widths, size_t indent)
{
    size_t total = indent;

    for (size_t j = 0; j < g->n_columns; j++)
        total += widths[j] + (j > 0 ? 2 : 0);
    while (total > g->width) {
        size_t widest = g->n_columns;

        for (size_t j = 0; j < g->n_columns; j++)
            if ((g->numeric == NULL || !g->numeric[j]) && widths[j] > COLUMN_LEAST &&
                (widest == g->n_columns || widths[j] > widths[widest]))
                widest = j;
        if (widest == g->n_columns)
            return;
        widths[widest]--;
        total--;
    }
}

size_t terminal_width(FILE *out)
{
    struct winsize size;

    if (!isatty(fileno(out)) || ioctl(fileno(out), TIOCGWINSZ, &size) != 0)
        return 0;
    return size.ws_col;
}

void put_grid(struct buffer *out, const struct grid *grid, const char *indent)
{
    size_t *widths = cx_array(out->cx, grid->n_columns + 1, sizeof *widths);
    bool headed = false;

    if (widths == NULL) {
        out->fault = FAULT_MEMORY;
        return;
    }
    for (size_t j = 0; j < grid->n_columns; j++) {
        widths[j] = column_width(grid, j);
        headed = headed || (grid->head != NULL && grid->head[j][0] != '\0');
    }
    if (grid->width > 0)
        fit(grid, widths, strlen(indent));
    if (headed)
        put_row(out, grid, grid->head, widths, indent);
    for (size_t i = 0; i < grid->n_rows; i++)
        put_row(out, grid, grid->cells + i * grid->n_columns, widths, indent);
}

/* ---- an answer ---- */

static bool has_withheld(const struct report *r)
{
    for (size_t i = 0; i < r->n_items; i++)
        for (size_t k = 0; k < r->items[i]->state.len; k++)
            if (r->items[i]->state.data[k] == 1)
                return true;
    return false;
}

bool answer_withholds(const struct answer *a)
{
    for (size_t i = 0; i < a->n_shown; i++)
        if (!a->shown[i].released || has_withheld(a->shown[i].report))
            return true;
    return false;
}

void put_advice(struct buffer *out, const struct advice *advice)
{
    if (advice->n > 0)
        buffer_text(out, "what could help:\n");
    for (size_t i = 0; i < advice->n; i++)
        buffer_printf(out, "  %s\n", advice->lines[i]);
}

static bool is_said(const struct report *r, const char *note)
{
    for (size_t i = 0; i < r->n_lines; i++)
        if (strcmp(r->lines[i], note) == 0)
            return true;
    return false;
}

static void put_shown(struct buffer *out, const struct answer *a, const struct shown *s)
{
    if (s->site != NULL)
        buffer_printf(out, "%s\n", s->site);
    if (!s->released) {
        buffer_printf(out, "%s\n", not_released_text(out->cx, s->reference));
        return;
    }
    const struct report *r = s->report;
    for (size_t i = 0; i < r->n_tables; i++) {
        const struct report_table *t = &r->tables[i];
        struct grid grid = {.n_columns = t->n_columns,
                            .n_rows = t->n_rows,
                            .head = t->head,
                            .cells = t->cells,
                            .numeric = t->numeric};

        if (i > 0)
            buffer_text(out, "\n");
        /* A table called like the analysis would say nothing new. */
        if (t->title != NULL && t->title[0] != '\0' && strcmp(t->title, a->analysis) != 0)
            buffer_printf(out, "%s\n", t->title);
        put_grid(out, &grid, "  ");
    }
    if (r->n_lines > 0)
        buffer_text(out, "\n");
    for (size_t i = 0; i < r->n_lines; i++)
        buffer_printf(out, "%s\n", r->lines[i]);
    for (size_t i = 0; i < s->n_notes; i++)
        if (!is_said(r, s->notes[i]))
            buffer_printf(out, "%s\n", s->notes[i]);
}

static void put_heading(struct buffer *out, const struct answer *a)
{
    if (a->exact_for_testing)
        buffer_printf(out, "%s\n", banner);
    buffer_printf(out, "%s of %s: ", a->title, a->dataset);
    put_line_text(out, a->cohort);
    buffer_printf(out, "\n%zu %s: ", a->n_sites, a->n_sites == 1 ? "site" : "sites");
    for (size_t i = 0; i < a->n_sites; i++)
        buffer_printf(out, "%s%s", i > 0 ? ", " : "", a->sites[i]);
    buffer_text(out, "\n\n");
}

/* It says so itself, and nothing in it is rounded. */
static bool is_noised(const struct answer *a)
{
    for (size_t i = 0; i < a->n_shown; i++)
        for (size_t k = 0; a->shown[i].report != NULL && k < a->shown[i].report->n_items; k++)
            if (strcmp(a->shown[i].report->items[k]->name, "noise_rho") == 0)
                return true;
    return false;
}

enum fault render_text(const struct answer *a, struct buffer *out)
{
    bool withheld = false, released = false;

    put_heading(out, a);
    for (size_t i = 0; i < a->n_shown; i++) {
        if (i > 0)
            buffer_text(out, "\n");
        put_shown(out, a, &a->shown[i]);
        released = released || a->shown[i].released;
        withheld = withheld || (a->shown[i].released && has_withheld(a->shown[i].report));
    }
    if (released)
        buffer_text(out, "\n");
    if (withheld)
        buffer_printf(out, "withheld: %s.\n", withheld_reason);
    if (answer_withholds(a))
        put_advice(out, &a->advice);
    if (released && !a->exact_for_testing && !is_noised(a))
        buffer_text(out, rounded_line);
    if (a->witness_words != NULL)
        buffer_printf(out, "%s\n", a->witness_words);
    if (a->receipt != NULL)
        buffer_printf(out, "receipt: %s\n", a->receipt);
    return out->fault;
}

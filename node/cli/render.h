/*
 * render.h - answers, for people and for programs. Pure: from released numbers to text.
 *
 * --json, version 1:
 *   {"cohortium":1, "analysis", "dataset", "cohort", "released", "exact_for_testing",
 *    "sites":[...], "items":{name: scalar | array | matrix}, "withheld":{name:[indexes]},
 *    "notes":[...], "witnessed", "witnesses":[...], "receipt": path | null}
 *   "withheld_reason": text | null, "advice":[...]: null and empty where all was given.
 *   null stands where a value is withheld or not defined; indexes count row by row from 0.
 *   By site: "by_site":[{"site", "released", "items", "withheld", "notes"}] and no "items".
 *   Not released: "reference", no "items".
 * --csv: item,row,column,value (models: one row a term); by site with `site` in front.
 *   Where something is withheld, rows `withheld_reason` and `advice` end it (not a model's:
 *   there every row is a term).
 */
#pragma once

#include <stdio.h>

#include "analyses/advice.h"

struct shown {        /* one release as shown: pooled, or of one site */
    const char *site; /* NULL: pooled */
    bool released;
    const char *reference;       /* hex, of a NOT_RELEASED */
    const struct report *report; /* NULL when not released */
    size_t n_notes;
    char **notes; /* of the release */
};

struct answer {
    const char *analysis, *title, *dataset, *cohort;
    bool exact_for_testing, by_site;
    size_t n_sites;
    const char **sites; /* names, in order */
    size_t n_shown;
    struct shown *shown;
    bool witnessed; /* by at least two institutions beside each site */
    size_t n_witnesses;
    const char *const *witnesses;
    const char *witness_words; /* in a line; NULL: not said */
    const char *receipt;       /* path or NULL */
    struct advice advice;      /* for where something is withheld */
};

/* Some value of it, or all of it. */
bool answer_withholds(const struct answer *a);

CHECKED enum fault render_text(const struct answer *a, struct buffer *out);
CHECKED enum fault render_json(const struct answer *a, struct buffer *out);
CHECKED enum fault render_csv(const struct answer *a, struct buffer *out);

/* "not released: ..." of a reference; constant text. */
const char *not_released_text(struct cx *cx, const char *reference);
/* "What could help:" and a line each; nothing where nothing is advised. */
void put_advice(struct buffer *out, const struct advice *advice);

/* Columns on a terminal of UTF-8 text: combining marks 0, wide letters 2. */
size_t text_width(const char *text);
/* A table with aligned columns; cells row-major. */
struct grid {
    size_t n_columns, n_rows;
    const char *const *head; /* NULL: no head */
    const char *const *cells;
    const bool *numeric; /* NULL: all left */
    size_t width;        /* columns of the terminal: longer texts are broken; 0: as it is */
};
/* Of the terminal that `out` is; 0 for a file or a pipe. */
size_t terminal_width(FILE *out);
void put_grid(struct buffer *out, const struct grid *grid, const char *indent);

void put_json_text(struct buffer *out, const char *text); /* with quotes */
void put_json_number(struct buffer *out, double x); /* shortest that reads back; null */
void put_csv_text(struct buffer *out, const char *text); /* quoted where needed */

/*
 * yaml.h - a strict reader of the small part of YAML that people need here.
 *
 * One document; no aliases, anchors, tags, duplicate keys, tabs of meaning or nulls. A
 * scalar is text until a reader below is asked for something else, so `NO` is the text "NO"
 * where a text is expected and 012 is not a number anywhere. Every complaint begins with
 * FILE:LINE:COLUMN and says what was expected and what to do.
 *
 * Built on libyaml's events: its document loader would have resolved aliases before anybody
 * could refuse them. Everything lives in the cx.
 */
#pragma once

#include "protocol/base/bytes.h"

enum { YAML_BYTES_MAX = 1024 * 1024, YAML_DEPTH_MAX = 8 };

enum yaml_kind { YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    bool plain;                     /* a scalar without quotes */
    unsigned line, column;          /* from 1 */
    const char *path;               /* the file's name, for complaints */
    const char *text;               /* of a scalar: clean UTF-8 */
    size_t count;                   /* items of a list, pairs of a map */
    const struct yaml_node **keys;  /* of a map: scalars */
    const struct yaml_node **items; /* of a list, or a map's values */
};

/* FAULT_FORMAT or FAULT_BOUND. The root must be a map. */
CHECKED enum fault yaml_open(struct cx *cx, const char *path, const char *text, size_t n,
                             const struct yaml_node **ret_root);
/* The text as the document keeps it: without byte order mark, CRLF made LF. In cx. */
CHECKED enum fault yaml_clean(struct cx *cx, const char *path, const char *text, size_t n,
                              char **ret_text);

/* Notes FAULT_FORMAT with "FILE:LINE:COLUMN: " before the sentence. */
enum fault yaml_fail(struct cx *cx, const struct yaml_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts FILE:LINE:COLUMN before the sentence noted last. */
enum fault yaml_prefix(struct cx *cx, const struct yaml_node *node);

/* The value of a key, or NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* `map` is a map whose keys all stand among the n words; a suggestion otherwise. */
CHECKED enum fault yaml_check_map(struct cx *cx, const struct yaml_node *map,
                                  const char *what, const char *const *words, size_t n);
CHECKED enum fault yaml_check_list(struct cx *cx, const struct yaml_node *list,
                                   const char *what, size_t items_max);
/* ", did you mean `x`?" or "; expected one of: ..." In cx. */
const char *yaml_hint(struct cx *cx, const char *word, const char *const *words, size_t n);

/* One strict reader for each kind of scalar; `what` names the field in complaints. */
CHECKED enum fault yaml_text(struct cx *cx, const struct yaml_node *node, const char *what,
                             size_t bytes_max, const char **ret);
CHECKED enum fault yaml_whole(struct cx *cx, const struct yaml_node *node, const char *what,
                              int64_t lowest, int64_t highest, int64_t *ret);
CHECKED enum fault yaml_real(struct cx *cx, const struct yaml_node *node, const char *what,
                             double *ret);
CHECKED enum fault yaml_yes(struct cx *cx, const struct yaml_node *node, const char *what,
                            bool *ret);
/* YYYY-MM-DD as days since 1970-01-01. */
CHECKED enum fault yaml_date(struct cx *cx, const struct yaml_node *node, const char *what,
                             int32_t *ret_days);
/* Which of n words it is. */
CHECKED enum fault yaml_word(struct cx *cx, const struct yaml_node *node, const char *what,
                             const char *const *words, size_t n, size_t *ret);
/* A list of texts. empty: "" is allowed as an item. */
CHECKED enum fault yaml_texts(struct cx *cx, const struct yaml_node *list, const char *what,
                              size_t items_max, size_t bytes_max, bool empty,
                              const char ***ret, size_t *ret_n);

/* Writes text as a scalar that reads back as the same text: plain where that is safe. */
void yaml_put_text(struct buffer *b, const char *text);

/* yaml.c - libyaml's events as a checked tree. */
#include "node/data/yaml.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "node/data/decimal.h"
#include "protocol/base/clock.h"

enum { NODES_MAX = 200000, PAIRS_MAX = 5000 };

struct reader {
    struct cx *cx;
    const char *path;
    yaml_parser_t parser;
    size_t nodes;
};

/* Children while their number is not known yet. */
struct children {
    const struct yaml_node **p;
    size_t n, size;
};

static enum fault fail_at(struct cx *cx, const char *path, const yaml_mark_t *mark,
                          const char *sentence)
{
    return cx_fail(cx, FAULT_FORMAT, "%s:%zu:%zu: %s", path, mark->line + 1,
                   mark->column + 1, sentence);
}

enum fault yaml_fail(struct cx *cx, const struct yaml_node *node, const char *format, ...)
{
    char sentence[900];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return cx_fail(cx, FAULT_FORMAT, "%s:%u:%u: %s", node->path, node->line, node->column,
                   sentence);
}

enum fault yaml_prefix(struct cx *cx, const struct yaml_node *node)
{
    return cx_prefix(cx, "%s:%u:%u: ", node->path, node->line, node->column);
}

/* ---- the text ---- */

static enum fault fail_byte(struct cx *cx, const char *path, const char *text, size_t i)
{
    size_t line = 1, start = 0;
    unsigned char c = (unsigned char)text[i];

    for (size_t k = 0; k < i; k++)
        if (text[k] == '\n') {
            line++;
            start = k + 1;
        }
    /* U+0080 to U+009F, and what turns the order of a text around: UTF-8, but unfit. */
    bool hidden = c == 0x7f || c < 0x20 ||
                  (c == 0xc2 && (unsigned char)text[i + 1] < 0xa0 && text[i + 1] != '\0') ||
                  (c == 0xe2 && ((unsigned char)text[i + 1] & 0xfe) == 0x80);

    if (c != 0 && hidden)
        return cx_fail(cx, FAULT_FORMAT,
                       "%s:%zu:%zu: a control character (byte 0x%02x); remove it", path,
                       line, i - start + 1, c);
    return cx_fail(
        cx, FAULT_FORMAT,
        "%s:%zu:%zu: %s (byte 0x%02x); expected UTF-8 text: save the file as UTF-8", path,
        line, i - start + 1, c == 0 ? "a NUL byte" : "not UTF-8", c);
}

/* The longest clean beginning, by halving: utf8_is_clean() says only yes or no. */
static size_t clean_bytes(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)text[i];
        size_t size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

        if (size > n - i || !utf8_is_clean(text + i, size))
            return i;
        i += size;
    }
    return n;
}

enum fault yaml_clean(struct cx *cx, const char *path, const char *text, size_t n,
                      char **ret_text)
{
    char *copy;
    size_t size = 0;

    if (n > YAML_BYTES_MAX)
        return cx_fail(cx, FAULT_BOUND, "%s: %zu bytes; at most %d are allowed", path, n,
                       YAML_BYTES_MAX);
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        n -= 3;
    }
    CX_NEW(cx, copy, n + 1);
    for (size_t i = 0; i < n; i++)
        if (text[i] != '\r' || i + 1 == n || text[i + 1] != '\n')
            copy[size++] = text[i];
    copy[size] = '\0';
    size_t good = clean_bytes(copy, size);
    if (good < size)
        return fail_byte(cx, path, copy, good);
    *ret_text = copy;
    return FAULT_NONE;
}

/* ---- events to nodes ---- */

static enum fault next_event(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return FAULT_NONE;
    if (r->parser.error == YAML_MEMORY_ERROR)
        return cx_fail(r->cx, FAULT_MEMORY, "%s: no memory", r->path);
    return cx_fail(
        r->cx, FAULT_FORMAT,
        "%s:%zu:%zu: this is not well-formed YAML: %s%s%s; check indentation, "
        "quotes and colons here",
        r->path, r->parser.problem_mark.line + 1, r->parser.problem_mark.column + 1,
        r->parser.problem ? r->parser.problem : "it cannot be read",
        r->parser.context ? ", " : "", r->parser.context ? r->parser.context : "");
}

static enum fault refuse_extras(struct reader *r, const yaml_event_t *event,
                                const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor != NULL)
        return fail_at(r->cx, r->path, &event->start_mark,
                       "anchors (&name) are not allowed; write the value out");
    if (tag != NULL)
        return fail_at(r->cx, r->path, &event->start_mark,
                       "tags (!name) are not allowed; remove it");
    return FAULT_NONE;
}

static enum fault children_add(struct cx *cx, struct children *c,
                               const struct yaml_node *one)
{
    if (c->n == c->size) {
        size_t size = c->size ? c->size * 2 : 8;
        const struct yaml_node **p = cx_array(cx, size, sizeof *p);

        if (p == NULL)
            return FAULT_MEMORY;
        if (c->n > 0)
            memcpy(p, c->p, c->n * sizeof *p);
        c->p = p;
        c->size = size;
    }
    c->p[c->n++] = one;
    return FAULT_NONE;
}

static enum fault node_of(struct reader *r, const yaml_event_t *event, unsigned depth,
                          const struct yaml_node **ret);

static enum fault list_of(struct reader *r, unsigned depth, struct yaml_node *node)
{
    struct children items = {0};

    for (;;) {
        yaml_event_t event;
        const struct yaml_node *item = NULL;

        TRY(next_event(r, &event));
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        enum fault fault = end ? FAULT_NONE : node_of(r, &event, depth + 1, &item);
        yaml_event_delete(&event);
        if (fault != FAULT_NONE)
            return fault;
        if (end)
            break;
        TRY(children_add(r->cx, &items, item));
    }
    node->items = items.p;
    node->count = items.n;
    return FAULT_NONE;
}

static enum fault check_key(struct cx *cx, const struct children *keys,
                            const struct yaml_node *key)
{
    if (key->kind != YAML_TEXT || key->text[0] == '\0')
        return yaml_fail(cx, key, "a key must be one word before a colon");
    if (keys->n >= PAIRS_MAX)
        return yaml_fail(cx, key, "more than %d keys in one map", PAIRS_MAX);
    for (size_t i = 0; i < keys->n; i++)
        if (strcmp(keys->p[i]->text, key->text) == 0)
            return yaml_fail(cx, key,
                             "the key `%.60s` stands twice (first in line %u); keep one",
                             key->text, keys->p[i]->line);
    return FAULT_NONE;
}

static enum fault map_of(struct reader *r, unsigned depth, struct yaml_node *node)
{
    struct children keys = {0}, items = {0};

    for (;;) {
        yaml_event_t event;
        const struct yaml_node *one = NULL;

        TRY(next_event(r, &event));
        bool end = event.type == YAML_MAPPING_END_EVENT;
        enum fault fault = end ? FAULT_NONE : node_of(r, &event, depth + 1, &one);
        yaml_event_delete(&event);
        if (fault != FAULT_NONE)
            return fault;
        if (end)
            break;
        if (keys.n == items.n) {
            TRY(check_key(r->cx, &keys, one));
            TRY(children_add(r->cx, &keys, one));
        } else {
            TRY(children_add(r->cx, &items, one));
        }
    }
    node->keys = keys.p;
    node->items = items.p;
    node->count = items.n;
    return FAULT_NONE;
}

static enum fault scalar_of(struct reader *r, const yaml_event_t *event,
                            struct yaml_node *node)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t n = event->data.scalar.length;

    /* Escapes such as "\0" can bring in what the file's own bytes did not hold. */
    if (!utf8_is_clean(value, n))
        return fail_at(r->cx, r->path, &event->start_mark,
                       "a control character in a text; remove the escape");
    node->kind = YAML_TEXT;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = cx_memdup(r->cx, value, n + 1);
    return node->text != NULL ? FAULT_NONE : FAULT_MEMORY;
}

/* The document's nodes are bounded in number and depth before they are built. */
static enum fault node_of(struct reader *r, const yaml_event_t *event, unsigned depth,
                          const struct yaml_node **ret)
{
    struct yaml_node *node;

    if (depth > YAML_DEPTH_MAX)
        return fail_at(r->cx, r->path, &event->start_mark, "nested too deeply");
    if (++r->nodes > NODES_MAX)
        return fail_at(r->cx, r->path, &event->start_mark, "too many values in one file");
    CX_NEW(r->cx, node, 1);
    node->path = r->path;
    node->line = (unsigned)event->start_mark.line + 1;
    node->column = (unsigned)event->start_mark.column + 1;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        TRY(refuse_extras(r, event, event->data.scalar.anchor, event->data.scalar.tag));
        TRY(scalar_of(r, event, node));
        break;
    case YAML_SEQUENCE_START_EVENT:
        TRY(refuse_extras(r, event, event->data.sequence_start.anchor,
                          event->data.sequence_start.tag));
        node->kind = YAML_LIST;
        TRY(list_of(r, depth, node));
        break;
    case YAML_MAPPING_START_EVENT:
        TRY(refuse_extras(r, event, event->data.mapping_start.anchor,
                          event->data.mapping_start.tag));
        node->kind = YAML_MAP;
        TRY(map_of(r, depth, node));
        break;
    case YAML_ALIAS_EVENT:
        return fail_at(r->cx, r->path, &event->start_mark,
                       "aliases (*name) are not allowed; write the value out (or quote a "
                       "text that begins with *)");
    default:
        return fail_at(r->cx, r->path, &event->start_mark, "a value was expected here");
    }
    *ret = node;
    return FAULT_NONE;
}

/* One event of the given type, no content of interest. */
static enum fault expect(struct reader *r, yaml_event_type_t type, const char *otherwise)
{
    yaml_event_t event;
    enum fault fault = FAULT_NONE;

    TRY(next_event(r, &event));
    if (event.type != type)
        fault = fail_at(r->cx, r->path, &event.start_mark, otherwise);
    else if (type == YAML_DOCUMENT_START_EVENT &&
             event.data.document_start.tag_directives.start !=
                 event.data.document_start.tag_directives.end)
        fault = fail_at(r->cx, r->path, &event.start_mark,
                        "%TAG directives are not allowed; remove it");
    yaml_event_delete(&event);
    return fault;
}

static enum fault read_document(struct reader *r, const struct yaml_node **ret)
{
    yaml_event_t event;
    enum fault fault;

    TRY(expect(r, YAML_STREAM_START_EVENT, "the file cannot be read"));
    TRY(expect(r, YAML_DOCUMENT_START_EVENT,
               "the file is empty; keys and values expected"));
    TRY(next_event(r, &event));
    fault = node_of(r, &event, 0, ret);
    yaml_event_delete(&event);
    if (fault != FAULT_NONE)
        return fault;
    TRY(expect(r, YAML_DOCUMENT_END_EVENT, "the end of the document was expected"));
    TRY(expect(r, YAML_STREAM_END_EVENT,
               "a second document begins here; one file holds one document"));
    if ((*ret)->kind != YAML_MAP)
        return yaml_fail(r->cx, *ret, "expected `key: value` lines at the top of the file");
    return FAULT_NONE;
}

enum fault yaml_open(struct cx *cx, const char *path, const char *text, size_t n,
                     const struct yaml_node **ret_root)
{
    struct reader r = {.cx = cx};
    char *clean;

    TRY(yaml_clean(cx, path, text, n, &clean));
    r.path = cx_strdup(cx, path);
    if (r.path == NULL)
        return FAULT_MEMORY;
    if (!yaml_parser_initialize(&r.parser))
        return cx_fail(cx, FAULT_MEMORY, "%s: no memory", path);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)clean, strlen(clean));
    enum fault fault = read_document(&r, ret_root);
    yaml_parser_delete(&r.parser);
    return fault;
}

/* ---- maps and lists ---- */

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (map == NULL || map->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->keys[i]->text, key) == 0)
            return map->items[i];
    return NULL;
}

const char *yaml_hint(struct cx *cx, const char *word, const char *const *words, size_t n)
{
    const char *near = bytes_nearest(word, words, n);
    struct buffer b = buffer_new(cx, 8192);
    const char *text;

    if (near != NULL) {
        buffer_printf(&b, ", did you mean `%s`?", near);
    } else {
        for (size_t i = 0; i < n && i < 30; i++)
            buffer_printf(&b, "%s%s", i == 0 ? "; expected one of: " : ", ", words[i]);
    }
    text = buffer_string(&b);
    return text != NULL ? text : "";
}

enum fault yaml_check_map(struct cx *cx, const struct yaml_node *map, const char *what,
                          const char *const *words, size_t n)
{
    if (map->kind != YAML_MAP)
        return yaml_fail(cx, map, "%s: expected `key: value` pairs", what);
    for (size_t i = 0; i < map->count; i++) {
        size_t k = 0;

        while (k < n && strcmp(words[k], map->keys[i]->text) != 0)
            k++;
        if (k == n)
            return yaml_fail(cx, map->keys[i], "%s: unknown key `%.60s`%s", what,
                             map->keys[i]->text,
                             yaml_hint(cx, map->keys[i]->text, words, n));
    }
    return FAULT_NONE;
}

enum fault yaml_check_list(struct cx *cx, const struct yaml_node *list, const char *what,
                           size_t items_max)
{
    if (list->kind != YAML_LIST)
        return yaml_fail(cx, list, "%s: expected a list, such as [a, b]", what);
    if (list->count > items_max)
        return yaml_fail(cx, list, "%s: %zu items; at most %zu are allowed", what,
                         list->count, items_max);
    return FAULT_NONE;
}

/* ---- scalars ---- */

static enum fault scalar(struct cx *cx, const struct yaml_node *node, const char *what,
                         const char *expected)
{
    if (node->kind != YAML_TEXT)
        return yaml_fail(cx, node, "%s: expected %s, found a %s", what, expected,
                         node->kind == YAML_LIST ? "list" : "map");
    if (node->plain && node->text[0] == '\0')
        return yaml_fail(cx, node, "%s: nothing stands here; expected %s", what, expected);
    return FAULT_NONE;
}

enum fault yaml_text(struct cx *cx, const struct yaml_node *node, const char *what,
                     size_t bytes_max, const char **ret)
{
    TRY(scalar(cx, node, what, "a text"));
    if (strlen(node->text) > bytes_max)
        return yaml_fail(cx, node, "%s: %zu bytes; at most %zu are allowed", what,
                         strlen(node->text), bytes_max);
    *ret = node->text;
    return FAULT_NONE;
}

enum fault yaml_whole(struct cx *cx, const struct yaml_node *node, const char *what,
                      int64_t lowest, int64_t highest, int64_t *ret)
{
    const char *p;
    size_t n;
    bool minus, good;
    int64_t v = 0;

    TRY(scalar(cx, node, what, "a whole number"));
    minus = node->text[0] == '-';
    p = node->text + minus;
    n = strlen(p);
    good = node->plain && n >= 1 && n <= 18 && strspn(p, "0123456789") == n &&
           (p[0] != '0' || (n == 1 && !minus));
    for (size_t i = 0; good && i < n; i++)
        v = v * 10 + (p[i] - '0');
    if (!good)
        return yaml_fail(
            cx, node,
            "%s: found `%.40s`; expected a whole number: digits without quotes "
            "and leading zeros",
            what, node->text);
    v = minus ? -v : v;
    if (v < lowest || v > highest)
        return yaml_fail(cx, node, "%s: %lld is out of range; expected %lld to %lld", what,
                         (long long)v, (long long)lowest, (long long)highest);
    *ret = v;
    return FAULT_NONE;
}

/* -?digits[.digits][e[+-]digits], no leading zeros: stricter than what a CSV may hold. */
static bool real_is_plain(const char *p)
{
    p += *p == '-';
    if (*p < '0' || *p > '9' || (p[0] == '0' && p[1] >= '0' && p[1] <= '9'))
        return false;
    p += strspn(p, "0123456789");
    if (*p == '.') {
        size_t n = strspn(p + 1, "0123456789");

        if (n == 0)
            return false;
        p += 1 + n;
    }
    return *p == '\0' || *p == 'e' || *p == 'E';
}

enum fault yaml_real(struct cx *cx, const struct yaml_node *node, const char *what,
                     double *ret)
{
    double x = 0;

    TRY(scalar(cx, node, what, "a number"));
    if (!node->plain || !real_is_plain(node->text) ||
        !decimal_read(node->text, strlen(node->text), '.', &x))
        return yaml_fail(
            cx, node, "%s: found `%.40s`; expected a number such as 12.5, without quotes",
            what, node->text);
    *ret = x == 0 ? 0 : x; /* one zero: the compiled form has no negative one */
    return FAULT_NONE;
}

enum fault yaml_yes(struct cx *cx, const struct yaml_node *node, const char *what,
                    bool *ret)
{
    TRY(scalar(cx, node, what, "yes or no"));
    bool yes = strcmp(node->text, "yes") == 0 || strcmp(node->text, "true") == 0;
    bool no = strcmp(node->text, "no") == 0 || strcmp(node->text, "false") == 0;

    if (!node->plain || (!yes && !no))
        return yaml_fail(cx, node, "%s: found `%.40s`; expected yes or no", what,
                         node->text);
    *ret = yes;
    return FAULT_NONE;
}

enum fault yaml_date(struct cx *cx, const struct yaml_node *node, const char *what,
                     int32_t *ret_days)
{
    const char *t;
    bool shaped;

    TRY(scalar(cx, node, what, "a date"));
    t = node->text;
    shaped = strlen(t) == 10 && t[4] == '-' && t[7] == '-';
    for (int i = 0; shaped && i < 10; i++)
        if (i != 4 && i != 7)
            shaped = t[i] >= '0' && t[i] <= '9';
    if (!shaped)
        return yaml_fail(cx, node, "%s: found `%.40s`; expected a date such as 2026-11-24",
                         what, t);
    int year = (t[0] - '0') * 1000 + (t[1] - '0') * 100 + (t[2] - '0') * 10 + (t[3] - '0');
    int month = (t[5] - '0') * 10 + (t[6] - '0'), day = (t[8] - '0') * 10 + (t[9] - '0');

    if (!clock_days(year, month, day, ret_days))
        return yaml_fail(
            cx, node, "%s: there is no day %s; expected a date of the calendar", what, t);
    return FAULT_NONE;
}

enum fault yaml_word(struct cx *cx, const struct yaml_node *node, const char *what,
                     const char *const *words, size_t n, size_t *ret)
{
    TRY(scalar(cx, node, what, "a word"));
    for (size_t i = 0; i < n; i++)
        if (strcmp(words[i], node->text) == 0) {
            *ret = i;
            return FAULT_NONE;
        }
    return yaml_fail(cx, node, "%s: `%.60s` is unknown%s", what, node->text,
                     yaml_hint(cx, node->text, words, n));
}

enum fault yaml_texts(struct cx *cx, const struct yaml_node *list, const char *what,
                      size_t items_max, size_t bytes_max, bool empty, const char ***ret,
                      size_t *ret_n)
{
    const char **texts;

    TRY(yaml_check_list(cx, list, what, items_max));
    CX_NEW(cx, texts, list->count);
    for (size_t i = 0; i < list->count; i++) {
        TRY(yaml_text(cx, list->items[i], what, bytes_max, &texts[i]));
        if (!empty && texts[i][0] == '\0')
            return yaml_fail(cx, list->items[i], "%s: an empty text; remove it", what);
    }
    *ret = texts;
    *ret_n = list->count;
    return FAULT_NONE;
}

/* ---- writing ---- */

static bool is_safe_plain(const char *text)
{
    size_t n = strlen(text);

    if (n == 0 || n > 60 || text[0] == ' ' || text[n - 1] == ' ' || text[0] == '-' ||
        text[0] == '.')
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' ||
                    c == ' ' || c == '(' || c == ')' || c == '/' || c == '+' || c == '<' ||
                    c == '=';

        if (!word)
            return false;
    }
    return text[0] != '=' && text[0] != '<' && text[0] != '+';
}

/* Bytes of a character that YAML would refuse or fold if it stood there as it is; 0: none.
 */
static size_t put_escape(struct buffer *b, const char *p)
{
    const unsigned char *u = (const unsigned char *)p;

    if (*p == '"' || *p == '\\')
        buffer_printf(b, "\\%c", *p);
    else if (*p == '\n')
        buffer_text(b, "\\n");
    else if (*p == '\t')
        buffer_text(b, "\\t");
    else if (u[0] == 0xc2 && u[1] < 0xa0) {
        buffer_printf(b, "\\x%02X", u[1]);
        return 2;
    } else if ((u[0] == 0xe2 && u[1] == 0x80 && (u[2] == 0xa8 || u[2] == 0xa9)) ||
               (u[0] == 0xef &&
                ((u[1] == 0xbb && u[2] == 0xbf) || (u[1] == 0xbf && u[2] >= 0xbe)))) {
        buffer_printf(b, "\\u%04X",
                      (unsigned)(u[0] & 0x0f) << 12 | (unsigned)(u[1] & 0x3f) << 6 |
                          (unsigned)(u[2] & 0x3f));
        return 3;
    } else
        return 0;
    return 1;
}

void yaml_put_text(struct buffer *b, const char *text)
{
    if (is_safe_plain(text)) {
        buffer_text(b, text);
        return;
    }
    buffer_text(b, "\"");
    for (const char *p = text; *p != '\0';) {
        size_t n = put_escape(b, p);

        if (n == 0)
            buffer_put(b, p, n = 1);
        p += n;
    }
    buffer_text(b, "\"");
}

/* bend.c - what can be wrong with a field's meaning, one at a time. */
#include "tests/protocol/bend.h"

#include <math.h>

#include "tests/check.h"

enum { BEND_MEMORY = 64 << 20, LIST_LARGE = 5000, SAMPLE_DEPTH = 8 };

static const char *const words[BEND_HOWS] = {"altered", "dropped", "repeated", "reordered",
                                             "oversized"};

const char *bend_word(enum bend_how how)
{
    return words[how];
}

const char *bend_name(const char *message, const struct bend *b)
{
    static char name[BEND_PATH_MAX + 160];

    (void)snprintf(name, sizeof name, "%s %s: %s, %s", message, b->field, words[b->how],
                   b->what);
    return name;
}

void bend_print(const char *message, const struct bend_count *c, const char *excused)
{
    size_t all = 0;

    printf("bent %-12s", message);
    for (int how = 0; how < BEND_HOWS; how++) {
        printf(" %5zu %s", c->tried[how], words[how]);
        all += c->tried[how];
    }
    printf(": %zu told, %zu found, %zu %s\n", all, c->found, c->excused, excused);
}

void bend_add(struct bend_count *sum, const struct bend_count *c)
{
    for (int how = 0; how < BEND_HOWS; how++)
        sum->tried[how] += c->tried[how];
    sum->found += c->found;
    sum->excused += c->excused;
}

/* ---- the walk ---- */

struct walk {
    struct cx *cx; /* of the message that is bent in place */
    const ProtobufCMessage *root;
    size_t large;
    bend_told *told;
    void *user;
    struct bend b;
    struct bend_pick pick;
};

bool bend_is_wanted(struct bend_pick *p)
{
    return !p->one || p->at++ == p->k;
}

void bend_found(struct bend_pick *p, const struct bend *b, struct bytes packed)
{
    *p->b = *b;
    *p->packed = bytes_of(cx_memdup(p->cx, packed.p, packed.n), packed.n);
    assert_true(packed.n == 0 || p->packed->p != NULL);
}

static void tell(struct walk *w, enum bend_how how, const char *what)
{
    struct bytes packed;

    if (!bend_is_wanted(&w->pick))
        return;
    AUTO_CX struct cx *cx = cx_new(BEND_MEMORY, CX_NO_DEADLINE);
    assert_non_null(cx);
    w->b.how = how;
    w->b.what = what;
    CHECK_OK_("pack", cx, pb_pack(cx, w->root, &packed));
    if (w->pick.one)
        bend_found(&w->pick, &w->b, packed);
    else
        w->told(w->user, &w->b, packed);
}

static void *fresh(struct walk *w, size_t n)
{
    void *p = cx_alloc(w->cx, n);

    assert_non_null(p);
    return p;
}

static size_t size_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT32:
        return 4;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        fail_msg("a field of type %d: teach bend.c how to bend it", (int)type);
        return 0;
    }
}

static void bend_bytes(struct walk *w, ProtobufCBinaryData *d)
{
    const ProtobufCBinaryData was = *d;
    uint8_t *copy = fresh(w, was.len + 1);

    if (was.len > 0)
        memcpy(copy, was.data, was.len);
    d->data = copy;
    if (was.len > 0) {
        copy[0] ^= 1;
        tell(w, BEND_ALTERED, "first bit");
        copy[0] ^= 1;
        copy[was.len - 1] ^= 0x80;
        tell(w, BEND_ALTERED, "last bit");
        copy[was.len - 1] ^= 0x80;
        d->len = was.len - 1;
        tell(w, BEND_ALTERED, "one byte less");
        d->len = 0;
        tell(w, BEND_DROPPED, "empty");
    }
    d->len = was.len + 1;
    tell(w, BEND_ALTERED, "one byte more");
    d->data = fresh(w, w->large);
    d->len = w->large;
    tell(w, BEND_OVERSIZED, "too long");
    *d = was;
}

static void bend_string(struct walk *w, char **s)
{
    char *was = *s;
    size_t n = was != NULL ? strlen(was) : 0;
    char *copy = fresh(w, n + 2), *large = fresh(w, w->large + 1);

    memcpy(copy, n > 0 ? was : "", n);
    *s = copy;
    if (n > 0) {
        copy[0] = copy[0] == 'b' ? 'c' : 'b';
        tell(w, BEND_ALTERED, "other text");
        copy[0] = '\033';
        tell(w, BEND_ALTERED, "a control character");
        copy[0] = (char)0xff;
        tell(w, BEND_ALTERED, "no UTF-8");
        copy[0] = was[0];
    }
    copy[n] = 'x';
    tell(w, BEND_ALTERED, "a letter more");
    if (n > 0) {
        *s = (char *)"";
        tell(w, BEND_DROPPED, "empty");
    }
    memset(large, 'x', w->large);
    *s = large;
    tell(w, BEND_OVERSIZED, "too long");
    *s = was;
}

static void bend_number(struct walk *w, uint64_t *n, size_t size)
{
    const uint64_t was = *n, most = size == 4 ? UINT32_MAX : UINT64_MAX;

    *n = was + 1;
    tell(w, BEND_ALTERED, "one more");
    if (was > 0) {
        *n = was - 1;
        tell(w, BEND_ALTERED, "one less");
        *n = 0;
        tell(w, BEND_DROPPED, "zero");
    }
    *n = was ^ (size == 4 ? 1u << 30 : (uint64_t)1 << 62);
    tell(w, BEND_OVERSIZED, "a high bit");
    *n = most;
    tell(w, BEND_OVERSIZED, "the most");
    *n = was;
}

static void bend_u32(struct walk *w, uint32_t *p)
{
    const uint32_t was = *p, with[] = {was + 1, was - 1, 0, was ^ 1u << 30, UINT32_MAX};
    static const char *const what[] = {"one more", "one less", "zero", "a high bit",
                                       "the most"};
    static const enum bend_how how[] = {BEND_ALTERED, BEND_ALTERED, BEND_DROPPED,
                                        BEND_OVERSIZED, BEND_OVERSIZED};

    for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
        if (with[i] == was || (was == 0 && how[i] != BEND_OVERSIZED && i > 0))
            continue;
        *p = with[i];
        tell(w, how[i], what[i]);
    }
    *p = was;
}

static void bend_enum(struct walk *w, const ProtobufCFieldDescriptor *f, int *p)
{
    const ProtobufCEnumDescriptor *d = f->descriptor;
    const int was = *p;

    for (unsigned i = 0; i < d->n_values; i++) {
        if (d->values[i].value == was)
            continue;
        *p = d->values[i].value;
        tell(w, *p == 0 ? BEND_DROPPED : BEND_ALTERED, d->values[i].name);
    }
    *p = 9999;
    tell(w, BEND_OVERSIZED, "no value of its kind");
    *p = was;
}

static void bend_double(struct walk *w, double *p)
{
    const double was = *p;

    *p = was + 1;
    tell(w, BEND_ALTERED, "one more");
    *p = -was - 1;
    tell(w, BEND_ALTERED, "other sign");
    if (was != 0) {
        *p = 0;
        tell(w, BEND_DROPPED, "zero");
    }
    *p = 1e300;
    tell(w, BEND_OVERSIZED, "huge");
    *p = (double)NAN;
    tell(w, BEND_OVERSIZED, "no number");
    *p = was;
}

static void bend_message(struct walk *w, ProtobufCMessage *m);

static void bend_one(struct walk *w, const ProtobufCFieldDescriptor *f, void *at)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_BOOL: {
        protobuf_c_boolean *p = at;

        *p = !*p;
        tell(w, *p ? BEND_ALTERED : BEND_DROPPED, *p ? "true" : "false");
        *p = !*p;
        return;
    }
    case PROTOBUF_C_TYPE_ENUM:
        bend_enum(w, f, at);
        return;
    case PROTOBUF_C_TYPE_UINT32:
        bend_u32(w, at);
        return;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_INT64:
        bend_number(w, at, 8);
        return;
    case PROTOBUF_C_TYPE_DOUBLE:
        bend_double(w, at);
        return;
    case PROTOBUF_C_TYPE_STRING:
        bend_string(w, at);
        return;
    case PROTOBUF_C_TYPE_BYTES:
        bend_bytes(w, at);
        return;
    case PROTOBUF_C_TYPE_MESSAGE: {
        ProtobufCMessage **p = at, *was = *p;

        if (was != NULL) {
            *p = NULL;
            if (f->label != PROTOBUF_C_LABEL_REPEATED) /* lists drop elements themselves */
                tell(w, BEND_DROPPED, "absent");
            *p = was;
            bend_message(w, was);
            return;
        }
        const ProtobufCMessageDescriptor *d = f->descriptor;
        *p = fresh(w, d->sizeof_message);
        protobuf_c_message_init(d, *p);
        tell(w, BEND_ALTERED, "there, and empty");
        *p = NULL;
        return;
    }
    default:
        fail_msg("field %s: teach bend.c how to bend its type", f->name);
    }
}

/* An element where none was: zeroed is empty, false, 0; a message is made. */
static void put_empty(struct walk *w, const ProtobufCFieldDescriptor *f, void *at)
{
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        *(char **)at = (char *)"";
    } else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessageDescriptor *d = f->descriptor;
        ProtobufCMessage *m = fresh(w, d->sizeof_message);

        protobuf_c_message_init(d, m);
        *(ProtobufCMessage **)at = m;
    } else if (f->type == PROTOBUF_C_TYPE_BYTES) {
        *(ProtobufCBinaryData *)at = (ProtobufCBinaryData){.len = 1, .data = fresh(w, 1)};
    }
}

/* Whether two elements are the same when packed: their order says nothing then. */
static bool same_element(struct walk *w, const ProtobufCFieldDescriptor *f, const void *a,
                         const void *b)
{
    if (f->type == PROTOBUF_C_TYPE_STRING)
        return strcmp(*(char *const *)a, *(char *const *)b) == 0;
    if (f->type == PROTOBUF_C_TYPE_BYTES)
        return bytes_equal(PB_BYTES(*(const ProtobufCBinaryData *)a),
                           PB_BYTES(*(const ProtobufCBinaryData *)b));
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        struct bytes pa, pb;

        CHECK_OK_("pack", w->cx, pb_pack(w->cx, *(ProtobufCMessage *const *)a, &pa));
        CHECK_OK_("pack", w->cx, pb_pack(w->cx, *(ProtobufCMessage *const *)b, &pb));
        return bytes_equal(pa, pb);
    }
    return memcmp(a, b, size_of(f->type)) == 0;
}

static void bend_list(struct walk *w, const ProtobufCFieldDescriptor *f, size_t *n,
                      void **list)
{
    const size_t had = *n, size = size_of(f->type);
    void *was = *list;
    char *copy = fresh(w, (had + LIST_LARGE) * size);

    if (had > 0)
        memcpy(copy, was, had * size);
    else
        put_empty(w, f, copy);
    *list = copy;
    if (had == 0) {
        *n = 1;
        tell(w, BEND_ALTERED, "one where none was");
    } else {
        *n = 0;
        tell(w, BEND_DROPPED, "all");
        if (had > 1) {
            *n = had - 1;
            tell(w, BEND_DROPPED, "the last");
            memmove(copy, copy + size, (had - 1) * size);
            tell(w, BEND_DROPPED, "the first");
            memcpy(copy, was, had * size);
        }
        *n = had + 1;
        memcpy(copy + had * size, copy + (had - 1) * size, size);
        tell(w, BEND_REPEATED, "the last");
        if (had > 1) {
            memcpy(copy + (had - 1) * size, copy, size);
            *n = had;
            if (!same_element(w, f, copy, (char *)was + (had - 1) * size))
                tell(w, BEND_REPEATED, "the first in the last's place");
            memcpy(copy, was, had * size);
        }
        if (had > 1 && !same_element(w, f, copy, copy + (had - 1) * size)) {
            memcpy(copy, (char *)was + (had - 1) * size, size);
            memcpy(copy + (had - 1) * size, was, size);
            *n = had;
            tell(w, BEND_REORDERED, "first and last");
            memcpy(copy, was, had * size);
        }
    }
    for (size_t i = had > 0 ? had : 1; i < had + LIST_LARGE; i++)
        memcpy(copy + i * size, copy, size);
    *n = had + LIST_LARGE;
    tell(w, BEND_OVERSIZED, "thousands");
    *list = was;
    *n = had;
    for (size_t i = 0; i<had; i += had> 1 ? had - 1 : 1)
        bend_one(w, f, (char *)was + i * size);
}

static void bend_message(struct walk *w, ProtobufCMessage *m)
{
    size_t at = strlen(w->b.field);

    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        char *place = (char *)m + f->offset;

        (void)snprintf(w->b.field + at, sizeof w->b.field - at, "%s%s", at > 0 ? "." : "",
                       f->name);
        if (f->label == PROTOBUF_C_LABEL_REPEATED)
            bend_list(w, f, (size_t *)(void *)((char *)m + f->quantifier_offset),
                      (void **)(void *)place);
        else
            bend_one(w, f, place);
        w->b.field[at] = '\0';
    }
}

static void walk_all(struct walk *w, const ProtobufCMessageDescriptor *d,
                     struct bytes honest)
{
    AUTO_CX struct cx *cx = cx_new((size_t)1 << 30, CX_NO_DEADLINE);
    ProtobufCMessage *m;
    struct bytes again;

    assert_non_null(cx);
    CHECK_OK_(d->short_name, cx, pb_unpack(cx, d, honest, honest.n, &m));
    w->cx = cx;
    w->root = m;
    bend_message(w, m);
    CHECK_OK_("pack", cx, pb_pack(cx, m, &again));
    CHECK_("bent back", bytes_equal(again, honest));
}

void bend_fields(const ProtobufCMessageDescriptor *d, struct bytes honest, size_t large,
                 bend_told *told, void *user)
{
    struct walk w = {.large = large, .told = told, .user = user};

    walk_all(&w, d, honest);
}

bool bend_field(const ProtobufCMessageDescriptor *d, struct bytes honest, size_t large,
                size_t k, struct cx *cx, struct bend *ret, struct bytes *ret_packed)
{
    struct walk w = {
        .large = large,
        .pick = {.one = true, .k = k, .cx = cx, .b = ret, .packed = ret_packed}};

    walk_all(&w, d, honest);
    return w.pick.at > k;
}

/* ---- a message to bend ---- */

static ProtobufCMessage *sample(struct cx *cx, const ProtobufCMessageDescriptor *d,
                                uint8_t salt, unsigned depth);

static void put_sample(struct cx *cx, const ProtobufCFieldDescriptor *f, void *at,
                       uint8_t salt, unsigned depth)
{
    const ProtobufCEnumDescriptor *e;
    uint8_t *p;

    switch (f->type) {
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)at = true;
        return;
    case PROTOBUF_C_TYPE_ENUM:
        e = f->descriptor;
        *(int *)at = e->values[e->n_values > 1].value;
        return;
    case PROTOBUF_C_TYPE_UINT32:
        *(uint32_t *)at = 300u + salt;
        return;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_INT64:
        *(uint64_t *)at = 70000u + salt;
        return;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)at = 1.5 + salt;
        return;
    case PROTOBUF_C_TYPE_STRING:
        *(char **)at = cx_printf(cx, "%s %u", f->name, salt);
        assert_non_null(*(char **)at);
        return;
    case PROTOBUF_C_TYPE_BYTES:
        p = cx_alloc(cx, 32);
        assert_non_null(p);
        memset(p, 0x21 + salt, 32);
        *(ProtobufCBinaryData *)at = (ProtobufCBinaryData){.len = 32, .data = p};
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)at = sample(cx, f->descriptor, salt, depth + 1);
        return;
    default:
        fail_msg("field %s: teach bend.c how to make its type", f->name);
    }
}

static ProtobufCMessage *sample(struct cx *cx, const ProtobufCMessageDescriptor *d,
                                uint8_t salt, unsigned depth)
{
    ProtobufCMessage *m = cx_alloc(cx, d->sizeof_message);

    assert_non_null(m);
    CHECK_(d->short_name, depth < SAMPLE_DEPTH);
    protobuf_c_message_init(d, m);
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        char *at = (char *)m + f->offset;

        if (f->label != PROTOBUF_C_LABEL_REPEATED) {
            put_sample(cx, f, at, salt, depth);
            continue;
        }
        char *list = cx_alloc(cx, 2 * size_of(f->type));
        assert_non_null(list);
        put_sample(cx, f, list, salt, depth);
        put_sample(cx, f, list + size_of(f->type), (uint8_t)(salt + 1), depth);
        *(void **)(void *)at = list;
        *(size_t *)(void *)((char *)m + f->quantifier_offset) = 2;
    }
    return m;
}

struct bytes bend_sample(struct cx *cx, const ProtobufCMessageDescriptor *d)
{
    struct bytes packed;

    CHECK_OK_("sample", cx, pb_pack(cx, sample(cx, d, 1, 0), &packed));
    return packed;
}

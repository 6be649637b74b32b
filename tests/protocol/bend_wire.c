/*
 * bend_wire.c - what can be wrong with an encoding: a field twice, two in the other order,
 * one that nobody knows, a number in more bytes than it needs, a default that is spelled
 * out, a message that is cut. At every depth, with all lengths around it put right.
 */
#include "tests/check.h"
#include "tests/protocol/bend.h"

enum { NODES_MAX = 4096, WIRE_MEMORY = 64 << 20 };

/* One field as it stands in a message; a message's own fields hang under it. */
struct node {
    uint64_t tag;
    struct bytes head,
        value; /* tag and length; what follows. Without children: as it was */
    const ProtobufCFieldDescriptor *f;
    struct node *child, *next;
};

struct wire {
    struct cx *cx;
    struct node *root;
    bend_told *told;
    void *user;
    struct bend b;
    struct bend_pick pick;
    size_t n_nodes;
};

static uint64_t take_varint(struct bytes *in)
{
    uint64_t v = 0;

    for (unsigned shift = 0;; shift += 7) {
        assert_true(in->n > 0 && shift < 64);
        uint8_t b = *in->p;
        in->p++;
        in->n--;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
}

static void put_varint(struct buffer *out, uint64_t v, bool longer)
{
    uint8_t b;

    do {
        b = (uint8_t)(v & 0x7f) | (v > 0x7f || longer ? 0x80 : 0);
        buffer_put(out, &b, 1);
        v >>= 7;
    } while (v > 0);
    b = 0;
    if (longer)
        buffer_put(out, &b, 1);
}

static struct node *parse(struct wire *w, const ProtobufCMessageDescriptor *d,
                          struct bytes in)
{
    struct node *first = NULL, **last = &first;

    while (in.n > 0) {
        struct node *x = cx_alloc(w->cx, sizeof *x);
        const uint8_t *start = in.p;

        assert_true(x != NULL && ++w->n_nodes < NODES_MAX);
        x->tag = take_varint(&in);
        x->f = protobuf_c_message_descriptor_get_field(d, (unsigned)(x->tag >> 3));
        assert_non_null(x->f);
        const uint8_t *value = in.p;
        size_t n = 0;
        if ((x->tag & 7) == 2) {
            n = (size_t)take_varint(&in);
            value = in.p;
        } else if ((x->tag & 7) == 0) {
            (void)take_varint(&in);
            n = (size_t)(in.p - value);
            in = bytes_of(value, in.n + n);
        } else {
            n = (x->tag & 7) == 1 ? 8 : 4;
        }
        assert_true(n <= in.n);
        x->head = bytes_of(start, (size_t)(value - start));
        x->value = bytes_of(value, n);
        in = bytes_of(in.p + n, in.n - n);
        if (x->f->type == PROTOBUF_C_TYPE_MESSAGE)
            x->child = parse(w, x->f->descriptor, x->value);
        *last = x;
        last = &x->next;
    }
    return first;
}

static void put_all(struct wire *w, struct buffer *out, const struct node *x)
{
    for (; x != NULL; x = x->next) {
        if (x->f == NULL || x->f->type != PROTOBUF_C_TYPE_MESSAGE) {
            buffer_put(out, x->head.p, x->head.n);
            if (x->value.n > 0)
                buffer_put(out, x->value.p, x->value.n);
            continue;
        }
        struct buffer inner = buffer_new(w->cx, WIRE_MEMORY);

        put_all(w, &inner, x->child);
        put_varint(out, x->tag, false);
        put_varint(out, inner.n, false);
        if (inner.n > 0)
            buffer_put(out, inner.p, inner.n);
        assert_int_equal(inner.fault, FAULT_NONE);
    }
}

static void tell(struct wire *w, enum bend_how how, const char *what)
{
    if (!bend_is_wanted(&w->pick))
        return;
    struct cx *keep = w->cx;
    AUTO_CX struct cx *cx = cx_new(4 * (size_t)WIRE_MEMORY, CX_NO_DEADLINE);
    struct buffer out;

    assert_non_null(cx);
    w->cx = cx;
    out = buffer_new(cx, WIRE_MEMORY);
    put_all(w, &out, w->root);
    assert_int_equal(out.fault, FAULT_NONE);
    w->b.how = how;
    w->b.what = what;
    if (w->pick.one)
        bend_found(&w->pick, &w->b, bytes_of(out.p, out.n));
    else
        w->told(w->user, &w->b, bytes_of(out.p, out.n));
    w->cx = keep;
}

static bool same_node(const struct node *a, const struct node *b)
{
    return a->tag == b->tag && bytes_equal(a->value, b->value);
}

/* Fields of a list may stand in any order: that is another message, not another encoding.
 */
static bool is_of_list(const struct node *x)
{
    return x->f->label == PROTOBUF_C_LABEL_REPEATED &&
           (x->f->flags & PROTOBUF_C_FIELD_FLAG_PACKED) == 0;
}

static struct bytes longer_head(struct wire *w, const struct node *x)
{
    struct buffer b = buffer_new(w->cx, 64);

    put_varint(&b, x->tag, true);
    if ((x->tag & 7) == 2)
        put_varint(&b, x->value.n, false);
    assert_int_equal(b.fault, FAULT_NONE);
    return bytes_of(b.p, b.n);
}

static struct bytes longer_value(struct wire *w, const struct node *x)
{
    struct buffer b = buffer_new(w->cx, 64);
    struct bytes in = x->value;

    put_varint(&b, take_varint(&in), true);
    assert_int_equal(b.fault, FAULT_NONE);
    return bytes_of(b.p, b.n);
}

static void bend_node(struct wire *w, struct node **at)
{
    struct node *x = *at, twin = *x, alone = *x, unknown = {0};
    static const uint8_t stranger[] = {0xf8, 0xff, 0x3f, 1},
                         zero[] = {0}; /* number 131071 */

    if (!is_of_list(x)) {
        twin.next = x->next;
        x->next = &twin;
        tell(w, BEND_REPEATED, "its tag");
        x->next = twin.next;
    }
    if (x->next != NULL && !(is_of_list(x) && x->next->tag == x->tag) &&
        !same_node(x, x->next)) {
        struct node *y = x->next;

        x->next = y->next;
        y->next = x;
        *at = y;
        tell(w, BEND_REORDERED, "with the field after it");
        *at = x;
        y->next = x->next;
        x->next = y;
    }
    unknown.head = bytes_of(stranger, sizeof stranger);
    unknown.next = x->next;
    x->next = &unknown;
    tell(w, BEND_ALTERED, "a field that nobody knows after it");
    x->next = unknown.next;
    if (x->f->type != PROTOBUF_C_TYPE_MESSAGE) {
        x->head = longer_head(w, x);
        tell(w, BEND_ALTERED, "its tag in too many bytes");
        x->head = alone.head;
    }
    if ((x->tag & 7) == 0 && !is_of_list(x)) {
        x->value = bytes_of(zero, 1);
        tell(w, BEND_ALTERED, "its default spelled out");
        x->value = alone.value;
    }
    if ((x->tag & 7) == 0) {
        x->value = longer_value(w, x);
        tell(w, BEND_OVERSIZED, "its number in too many bytes");
        x->value = alone.value;
    }
    /* Only at the end: elsewhere the next field might by chance be read as the rest. */
    if (x->value.n > 0 && x->child == NULL && x->next == NULL) {
        x->value.n--;
        tell(w, BEND_ALTERED, "cut");
        x->value = alone.value;
    }
}

static void bend_all(struct wire *w, struct node **first)
{
    size_t end = strlen(w->b.field);

    for (struct node **at = first; *at != NULL; at = &(*at)->next) {
        struct node *x = *at;

        (void)snprintf(w->b.field + end, sizeof w->b.field - end, "%s%s",
                       end > 0 ? "." : "", x->f->name);
        bend_node(w, at);
        if (x->child != NULL)
            bend_all(w, &x->child);
        w->b.field[end] = '\0';
    }
}

static void bend_root(struct wire *w, const ProtobufCMessageDescriptor *d,
                      struct bytes honest)
{
    AUTO_CX struct cx *cx = cx_new(4 * (size_t)WIRE_MEMORY, CX_NO_DEADLINE);

    assert_non_null(cx);
    w->cx = cx;
    w->root = parse(w, d, honest);
    bend_all(w, &w->root);
}

void bend_wire(const ProtobufCMessageDescriptor *d, struct bytes honest, bend_told *told,
               void *user)
{
    struct wire w = {.told = told, .user = user};

    bend_root(&w, d, honest);
}

bool bend_encoding(const ProtobufCMessageDescriptor *d, struct bytes honest, size_t k,
                   struct cx *cx, struct bend *ret, struct bytes *ret_packed)
{
    struct wire w = {
        .pick = {.one = true, .k = k, .cx = cx, .b = ret, .packed = ret_packed}};

    bend_root(&w, d, honest);
    return w.pick.at > k;
}

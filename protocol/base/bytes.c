/* bytes.c - byte strings and strict protobuf. */
#include "protocol/base/bytes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 16 };

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int bytes_compare(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

char *bytes_hex(struct cx *cx, const void *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *b = p;
    char *text = cx_array(cx, n + 1, 2);

    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[b[i] >> 4];
        text[2 * i + 1] = digits[b[i] & 15];
    }
    return text;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum fault bytes_from_hex(struct cx *cx, const char *hex, void *out, size_t n)
{
    uint8_t *b = out;

    if (strlen(hex) != 2 * n)
        return cx_fail(cx, FAULT_FORMAT, "expected %zu hexadecimal digits, found %zu", 2 * n,
                       strlen(hex));
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return cx_fail(cx, FAULT_FORMAT, "not a hexadecimal digit at position %zu",
                           2 * i + (high < 0 ? 1 : 2));
        b[i] = (uint8_t)(high << 4 | low);
    }
    return FAULT_NONE;
}

struct buffer buffer_new(struct cx *cx, size_t limit)
{
    return (struct buffer){.cx = cx, .limit = limit};
}

static bool buffer_room(struct buffer *b, size_t n)
{
    if (b->fault != FAULT_NONE)
        return false;
    if (n > b->limit - b->n) {
        b->fault = cx_fail(b->cx, FAULT_BOUND, "longer than the allowed %zu bytes", b->limit);
        return false;
    }
    if (n > b->size - b->n) {
        size_t size = b->size ? b->size : 256;

        while (size - b->n < n)
            size *= 2;
        uint8_t *p = cx_alloc(b->cx, size);
        if (p == NULL) {
            b->fault = FAULT_MEMORY;
            return false;
        }
        if (b->n > 0)
            memcpy(p, b->p, b->n);
        b->p = p;
        b->size = size;
    }
    return true;
}

void buffer_put(struct buffer *b, const void *p, size_t n)
{
    if (n > 0 && buffer_room(b, n)) {
        memcpy(b->p + b->n, p, n);
        b->n += n;
    }
}

void buffer_text(struct buffer *b, const char *text)
{
    buffer_put(b, text, strlen(text));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    char small[256];

    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n < 0) {
        b->fault = cx_fail(b->cx, FAULT_INTERNAL, "a text could not be formatted");
        return;
    }
    if ((size_t)n < sizeof small) {
        buffer_put(b, small, (size_t)n);
        return;
    }
    char *large = cx_alloc(b->cx, (size_t)n + 1);
    if (large == NULL) {
        b->fault = FAULT_MEMORY;
        return;
    }
    va_start(args, format);
    (void)vsnprintf(large, (size_t)n + 1, format, args);
    va_end(args);
    buffer_put(b, large, (size_t)n);
}

void buffer_u32(struct buffer *b, uint32_t v)
{
    uint8_t le[4];

    for (int i = 0; i < 4; i++)
        le[i] = (uint8_t)(v >> 8 * i);
    buffer_put(b, le, sizeof le);
}

void buffer_u64(struct buffer *b, uint64_t v)
{
    uint8_t le[8];

    for (int i = 0; i < 8; i++)
        le[i] = (uint8_t)(v >> 8 * i);
    buffer_put(b, le, sizeof le);
}

char *buffer_string(struct buffer *b)
{
    if (!buffer_room(b, 1))
        return NULL;
    b->p[b->n] = '\0';
    return (char *)b->p;
}

bool utf8_is_clean(const char *text, size_t n)
{
    const uint8_t *s = (const uint8_t *)text;

    for (size_t i = 0; i < n;) {
        uint8_t c = s[i];
        size_t more = c < 0x80 ? 0 : c < 0xc2 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 9;

        if (more == 9 || more > n - i - 1 || (c < 0x20 && c != '\t' && c != '\n') || c == 0x7f)
            return false;
        for (size_t k = 1; k <= more; k++)
            if ((s[i + k] & 0xc0) != 0x80)
                return false;
        if ((c == 0xe0 && s[i + 1] < 0xa0) || (c == 0xed && s[i + 1] > 0x9f) ||
            (c == 0xf0 && s[i + 1] < 0x90) || (c == 0xf4 && s[i + 1] > 0x8f))
            return false; /* overlong, surrogate, beyond U+10FFFF */
        if ((c == 0xc2 && s[i + 1] < 0xa0) ||
            (c == 0xe2 && s[i + 1] == 0x80 && s[i + 2] >= 0xaa && s[i + 2] <= 0xae) ||
            (c == 0xe2 && s[i + 1] == 0x81 && s[i + 2] >= 0xa6 && s[i + 2] <= 0xa9))
            return false; /* C1 controls, which terminals obey; what turns text around */
        i += more + 1;
    }
    return true;
}

/* A letter, then letters, digits and _; 32 bytes at most. */
static bool is_name(const char *text, bool upper)
{
    size_t n = strlen(text);

    if (n < 1 || n > 32)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (upper && c >= 'A' && c <= 'Z');

        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '_')))
            return false;
    }
    return true;
}

bool name_is_valid(const char *text)
{
    return is_name(text, false);
}

bool variable_name_is_valid(const char *text)
{
    return is_name(text, true);
}

/* Levenshtein distance with adjacent swaps counted once, of words up to 64 bytes. */
static size_t distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b), d[3][65];

    if (na > 64 || nb > 64)
        return 64;
    for (size_t j = 0; j <= nb; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *row = d[i % 3], *up = d[(i + 2) % 3], *up2 = d[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);

            if (up[j] + 1 < best)
                best = up[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                up2[j - 2] + 1 < best)
                best = up2[j - 2] + 1;
            row[j] = best;
        }
    }
    return d[na % 3][nb];
}

const char *bytes_nearest(const char *word, const char *const *words, size_t n)
{
    const char *best = NULL;
    size_t least = strlen(word) / 3 + 1; /* "agee" -> "age", "ph_ecgo" -> "ph_ecog" */

    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, words[i]);

        if (d <= least && (best == NULL || d < least)) {
            best = words[i];
            least = d;
        }
    }
    return best;
}

/* ---- strict protobuf ---- */

static bool read_varint(struct bytes *in, uint64_t *ret)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && in->n > 0; shift += 7) {
        uint8_t c = *in->p++;

        in->n--;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) {
            *ret = v;
            return true;
        }
    }
    return false;
}

/* Walks the wire format by the descriptor, so that nesting is bounded before anything recurses
 * inside protobuf-c. */
static enum fault check_wire(struct cx *cx, const ProtobufCMessageDescriptor *d,
                             struct bytes in, unsigned depth)
{
    if (depth > MAX_DEPTH)
        return cx_fail(cx, FAULT_FORMAT, "a message nested deeper than %d levels", MAX_DEPTH);
    while (in.n > 0) {
        uint64_t tag, length;

        if (!read_varint(&in, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX)
            return cx_fail(cx, FAULT_FORMAT, "a broken field in a message");
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field(d, (unsigned)(tag >> 3));
        if (f == NULL)
            return cx_fail(cx, FAULT_FORMAT, "an unknown field in a message");
        switch (tag & 7) {
        case 0:
            if (!read_varint(&in, &length))
                return cx_fail(cx, FAULT_FORMAT, "a broken number in a message");
            break;
        case 1:
        case 5:
            length = (tag & 7) == 1 ? 8 : 4;
            if (in.n < length)
                return cx_fail(cx, FAULT_FORMAT, "a cut message");
            in = bytes_of(in.p + length, in.n - (size_t)length);
            break;
        case 2:
            if (!read_varint(&in, &length) || length > in.n)
                return cx_fail(cx, FAULT_FORMAT, "a cut message");
            if (f->type == PROTOBUF_C_TYPE_MESSAGE)
                TRY(check_wire(cx, f->descriptor, bytes_of(in.p, (size_t)length), depth + 1));
            in = bytes_of(in.p + length, in.n - (size_t)length);
            break;
        default:
            return cx_fail(cx, FAULT_FORMAT, "a broken field in a message");
        }
    }
    return FAULT_NONE;
}

static bool double_is_plain(double v)
{
    return isfinite(v) && !(v == 0 && signbit(v));
}

/* Strings and doubles of a parsed message, at every depth. */
static enum fault check_values(struct cx *cx, const ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;

    if (m->n_unknown_fields != 0)
        return cx_fail(cx, FAULT_FORMAT, "an unknown field in a message");
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        const char *at = (const char *)m + f->offset;
        size_t n = 1;

        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            n = *(const size_t *)(const void *)((const char *)m + f->quantifier_offset);
            at = *(const char *const *)(const void *)at;
        }
        for (size_t k = 0; k < n; k++) {
            if (f->type == PROTOBUF_C_TYPE_STRING) {
                const char *s = ((const char *const *)(const void *)at)[k];

                if (s != NULL && !utf8_is_clean(s, strlen(s)))
                    return cx_fail(cx, FAULT_FORMAT, "field %s is not clean UTF-8", f->name);
            } else if (f->type == PROTOBUF_C_TYPE_DOUBLE) {
                if (!double_is_plain(((const double *)(const void *)at)[k]))
                    return cx_fail(cx, FAULT_FORMAT, "field %s is not a finite number", f->name);
            } else if (f->type == PROTOBUF_C_TYPE_ENUM) {
                int v = ((const int *)(const void *)at)[k];

                if (protobuf_c_enum_descriptor_get_value(f->descriptor, v) == NULL)
                    return cx_fail(cx, FAULT_FORMAT, "field %s has an unknown value", f->name);
            } else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
                const ProtobufCMessage *sub =
                    ((const ProtobufCMessage *const *)(const void *)at)[k];

                if (sub != NULL)
                    TRY(check_values(cx, sub));
            }
        }
    }
    return FAULT_NONE;
}

enum fault pb_pack(struct cx *cx, const ProtobufCMessage *message, struct bytes *ret_bytes)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    uint8_t *p = cx_raw(cx, n ? n : 1);

    if (p == NULL)
        return FAULT_MEMORY;
    *ret_bytes = bytes_of(p, protobuf_c_message_pack(message, p));
    return FAULT_NONE;
}

/* Compares what is packed with what came, piece by piece: no second copy of it is made. */
struct comparing {
    ProtobufCBuffer base;
    struct bytes rest;
    bool same;
};

static void compare_piece(ProtobufCBuffer *buffer, size_t n, const uint8_t *p)
{
    struct comparing *c = (struct comparing *)buffer;

    c->same = c->same && n <= c->rest.n && (n == 0 || memcmp(c->rest.p, p, n) == 0);
    if (c->same)
        c->rest = bytes_of(c->rest.p + n, c->rest.n - n);
}

static bool packs_to(const ProtobufCMessage *m, struct bytes bytes)
{
    struct comparing c = {.base = {compare_piece}, .rest = bytes, .same = true};

    (void)protobuf_c_message_pack_to_buffer(m, &c.base);
    return c.same && c.rest.n == 0;
}

enum fault pb_unpack(struct cx *cx, const ProtobufCMessageDescriptor *descriptor,
                     struct bytes bytes, size_t bound, void *ret_message)
{
    if (bytes.n > bound)
        return cx_fail(cx, FAULT_BOUND, "a %s of %zu bytes: at most %zu are allowed",
                       descriptor->short_name, bytes.n, bound);
    TRY(check_wire(cx, descriptor, bytes, 1));
    ProtobufCMessage *m =
        protobuf_c_message_unpack(descriptor, cx_allocator(cx), bytes.n, bytes.p);
    if (m == NULL)
        return cx_fail(cx, FAULT_FORMAT, "not a %s", descriptor->short_name);
    TRY(check_values(cx, m));
    if (!packs_to(m, bytes))
        return cx_fail(cx, FAULT_FORMAT, "a %s that is not in its one encoding",
                       descriptor->short_name);
    *(ProtobufCMessage **)ret_message = m;
    return FAULT_NONE;
}

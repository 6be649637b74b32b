/*
 * bytes.h - byte strings: a view, a growing buffer, hex, UTF-8, strict protobuf.
 */
#pragma once

#include <stdbool.h>

#include "protocol/base/cx.h"

struct bytes {
    const uint8_t *p;
    size_t n;
};

static inline struct bytes bytes_of(const void *p, size_t n)
{
    return (struct bytes){.p = p, .n = n};
}
bool bytes_equal(struct bytes a, struct bytes b);
int bytes_compare(struct bytes a, struct bytes b); /* memcmp, then the shorter first */

/* Lower-case hex of n bytes in the cx; NULL without memory. */
char *bytes_hex(struct cx *cx, const void *p, size_t n);
/* Exactly n bytes from 2n hex digits; FAULT_FORMAT otherwise. */
CHECKED enum fault bytes_from_hex(struct cx *cx, const char *hex, void *out, size_t n);

/* A buffer that grows in a cx up to `limit`. A failed append is remembered in `fault`, so a
 * chain of appends is checked once. */
struct buffer {
    struct cx *cx;
    uint8_t *p;
    size_t n, size, limit;
    enum fault fault;
};
struct buffer buffer_new(struct cx *cx, size_t limit);
void buffer_put(struct buffer *b, const void *p, size_t n);
void buffer_text(struct buffer *b, const char *text);
void buffer_printf(struct buffer *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_u32(struct buffer *b, uint32_t v); /* little endian */
void buffer_u64(struct buffer *b, uint64_t v);
/* Adds a closing NUL (not counted in n) and returns the text; NULL if an append failed. */
char *buffer_string(struct buffer *b);

/* Well-formed UTF-8 without NUL, without control characters but tab and newline, without
 * marks that change the direction of what follows: it reads as it is written. */
bool utf8_is_clean(const char *text, size_t n);

/* Whether text matches [a-z][a-z0-9_]{0,31}: the name of a dataset, member or analysis. */
bool name_is_valid(const char *text);
/* The same with capitals: the name of a variable, as people's files spell them. */
bool variable_name_is_valid(const char *text);

/* The nearest of n words by edit distance, or NULL when none is near ("did you mean"). */
const char *bytes_nearest(const char *word, const char *const *words, size_t n);

/*
 * Strict protobuf. unpack checks: size bound, pack(unpack(b)) == b, no unknown field at any
 * depth, nesting depth <= 16 (checked before parsing), all strings clean UTF-8, all doubles
 * finite and not negative zero. So each message has one encoding. Memory of the result: cx.
 */
CHECKED enum fault pb_unpack(struct cx *cx, const ProtobufCMessageDescriptor *descriptor,
                             struct bytes bytes, size_t bound, void *ret_message);
CHECKED enum fault pb_pack(struct cx *cx, const ProtobufCMessage *message,
                           struct bytes *ret_bytes);

/* A view of a ProtobufCBinaryData and back. */
#define PB_BYTES(field) ((struct bytes){(field).data, (field).len})
#define PB_DATA(bytes_) ((ProtobufCBinaryData){.len = (bytes_).n, .data = (uint8_t *)(bytes_).p})

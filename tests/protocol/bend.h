/*
 * bend.h - a message with one thing wrong in it, for each thing that can be wrong.
 *
 * Walks protobuf-c's own descriptors, so that a new field is bent from the day it is in the
 * schema. Of a list the first and the last element are bent within; lists are bent as a
 * whole besides. Two kinds:
 *
 *   bend_fields   a field's meaning: the message is in its one encoding again, and whoever
 * lies may sign it bend_wire     the encoding alone, at every depth: no strict reader takes
 * any of them
 */
#pragma once

#include "protocol/envelope.h"

enum bend_how { BEND_ALTERED, BEND_DROPPED, BEND_REPEATED, BEND_REORDERED, BEND_OVERSIZED };
enum { BEND_HOWS = 5, BEND_PATH_MAX = 160 };

struct bend {
    enum bend_how how;
    const char *what;          /* "first bit", "one more", ... */
    char field[BEND_PATH_MAX]; /* "stamp.audience": without places in lists */
};
const char *bend_word(enum bend_how how);
/* "accept stamp.issuer: altered, first bit"; in a static buffer. */
const char *bend_name(const char *message, const struct bend *b);

/* Gets one bent message; what it needs of it after it returns, it copies. */
typedef void bend_told(void *user, const struct bend *b, struct bytes packed);

/* honest: packed. large: the length of a string or the bytes that are too long by far. */
void bend_fields(const ProtobufCMessageDescriptor *d, struct bytes honest, size_t large,
                 bend_told *told, void *user);
void bend_wire(const ProtobufCMessageDescriptor *d, struct bytes honest, bend_told *told,
               void *user);
/* The same, one by one: the bend number k, packed in cx; false: there are no more. */
bool bend_field(const ProtobufCMessageDescriptor *d, struct bytes honest, size_t large,
                size_t k, struct cx *cx, struct bend *ret, struct bytes *ret_packed);
bool bend_encoding(const ProtobufCMessageDescriptor *d, struct bytes honest, size_t k,
                   struct cx *cx, struct bend *ret, struct bytes *ret_packed);
/* Every field set to something, two elements in every list: packed, in cx. */
struct bytes bend_sample(struct cx *cx, const ProtobufCMessageDescriptor *d);

/* An envelope signed by one key, or by n, however large its body. */
struct bytes bend_sign_by(struct cx *cx, enum envelope_kind kind, struct bytes body,
                          const struct keys *key);
struct bytes bend_sign(struct cx *cx, enum envelope_kind kind, struct bytes body,
                       struct keys *const *keys, size_t n);
/* The same with another body under the signatures of the true one. */
struct bytes bend_rewrap(struct cx *cx, struct bytes packed, struct bytes body);

/* Which bends are told: all, or one of them to `found`. */
struct bend_pick {
    bool one;
    size_t k, at;
    struct cx *cx;
    struct bend *b;
    struct bytes *packed;
};
/* Whether this one is to be made at all; counts. */
bool bend_is_wanted(struct bend_pick *p);
void bend_found(struct bend_pick *p, const struct bend *b, struct bytes packed);

/* What was tried, by how; and what came of it. */
struct bend_count {
    size_t tried[BEND_HOWS], found, excused;
};
/* One line: by how, then what came of it; excused: what is said of those. */
void bend_print(const char *message, const struct bend_count *c, const char *excused);
void bend_add(struct bend_count *sum, const struct bend_count *c);

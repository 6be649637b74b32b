/*
 * cx.h - what one piece of work carries: memory, a deadline, the last fault.
 *
 * Memory comes from the cx and goes with it: nothing is freed one by one. A cx belongs to one
 * thread at a time. Secrets do not live here (keys.h has guarded memory).
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/fault.h"

struct cx;

#define CX_NO_DEADLINE INT64_MAX

/* limit: most bytes that this cx hands out. deadline: clock_mono_ms() value or CX_NO_DEADLINE.
 * Returns NULL without memory. */
struct cx *cx_new(size_t limit, int64_t deadline);
void cx_free(struct cx **cx);
#define AUTO_CX __attribute__((cleanup(cx_free)))

/* Forgets everything handed out and the last fault; keeps the limit and the first block. */
void cx_reset(struct cx *cx);

/* Zeroed, 16-byte aligned; NULL (with FAULT_MEMORY noted) when the limit is reached. */
void *cx_alloc(struct cx *cx, size_t bytes);
/* The same, but not zeroed: for who writes all of it at once. */
void *cx_raw(struct cx *cx, size_t bytes);
/* count * size with an overflow check. */
void *cx_array(struct cx *cx, size_t count, size_t size);
void *cx_memdup(struct cx *cx, const void *bytes, size_t n);
char *cx_strdup(struct cx *cx, const char *text);
char *cx_printf(struct cx *cx, const char *format, ...) __attribute__((format(printf, 2, 3)));
size_t cx_used(const struct cx *cx);

/* `ret = cx_NEW(cx, struct thing)` or returns FAULT_MEMORY from the calling function. */
#define CX_NEW(cx, ret, count)                                                                 \
    do {                                                                                       \
        (ret) = cx_array((cx), (count) != 0 ? (count) : 1, sizeof(*(ret)));                         \
        if ((ret) == NULL)                                                                     \
            return FAULT_MEMORY;                                                               \
    } while (0)

/* Notes a fault and its sentence and returns it. The sentence says what was wrong, where, what
 * was expected and what to do next; it never carries a patient's value. */
enum fault cx_fail(struct cx *cx, enum fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts words in front of the sentence noted last ("codebook.yaml: "). Returns its fault. */
enum fault cx_prefix(struct cx *cx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
enum fault cx_fault(const struct cx *cx);
const char *cx_message(const struct cx *cx);

int64_t cx_deadline(const struct cx *cx);
/* FAULT_TIMEOUT when the deadline has passed; call it in long loops. */
CHECKED enum fault cx_on_time(struct cx *cx);

/* For protobuf-c: allocates from the cx, frees nothing. Use for every unpack. */
ProtobufCAllocator *cx_allocator(struct cx *cx);

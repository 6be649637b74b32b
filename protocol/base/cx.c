/* cx.c - arena, deadline and last fault of one piece of work. */
#include "protocol/base/cx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/clock.h"

enum { BLOCK = 16 * 1024, ALIGN = 16, MESSAGE = 1024 };

struct block {
    struct block *next;
    size_t size;
    size_t used;
    size_t pad;
    unsigned char bytes[];
};

struct cx {
    struct block *blocks; /* newest first; the first one made stays last */
    size_t limit;
    size_t used;
    int64_t deadline;
    enum fault fault;
    ProtobufCAllocator allocator;
    char message[MESSAGE];
};

static const char *const names[] = {
    "none",    "memory",  "invalid", "refused", "denied",    "format",      "bound",
    "expired", "replay",  "missing", "numeric", "storage",   "io",          "timeout",
    "cancelled", "unavailable", "conflict", "busy", "held", "usage", "internal",
};

const char *fault_name(enum fault fault)
{
    return (size_t)fault < COUNT(names) ? names[fault] : "internal";
}

/* protobuf-c fills what it asks for, and so does cx_memdup: zeros would be written over. */
static void *allocator_alloc(void *data, size_t size)
{
    return cx_raw(data, size ? size : 1);
}

static void allocator_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

struct cx *cx_new(size_t limit, int64_t deadline)
{
    struct cx *cx = calloc(1, sizeof *cx);

    if (cx == NULL)
        return NULL;
    cx->limit = limit;
    cx->deadline = deadline;
    cx->allocator = (ProtobufCAllocator){allocator_alloc, allocator_free, cx};
    return cx;
}

void cx_free(struct cx **cx)
{
    if (*cx == NULL)
        return;
    for (struct block *b = (*cx)->blocks, *next; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    free(*cx);
    *cx = NULL;
}

void cx_reset(struct cx *cx)
{
    while (cx->blocks != NULL && cx->blocks->next != NULL) {
        struct block *b = cx->blocks;
        cx->blocks = b->next;
        free(b);
    }
    if (cx->blocks != NULL)
        cx->blocks->used = 0;
    cx->used = 0;
    cx->fault = FAULT_NONE;
    cx->message[0] = '\0';
}

void *cx_raw(struct cx *cx, size_t bytes)
{
    struct block *b = cx->blocks;

    if (bytes > cx->limit || bytes > SIZE_MAX - ALIGN)
        goto full;
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (bytes > cx->limit - cx->used)
        goto full;
    if (b == NULL || bytes > b->size - b->used) {
        size_t size = bytes > BLOCK ? bytes : BLOCK;
        struct block *fresh = malloc(sizeof *fresh + size);

        if (fresh == NULL)
            goto full;
        *fresh = (struct block){.size = size};
        if (b != NULL && bytes > BLOCK) { /* a big one: keep filling the current block */
            fresh->next = b->next;
            b->next = fresh;
        } else {
            fresh->next = b;
            cx->blocks = fresh;
        }
        b = fresh;
    }
    void *p = b->bytes + b->used;
    b->used += bytes;
    cx->used += bytes;
    return p;
full:
    (void)cx_fail(cx, FAULT_MEMORY, "out of memory for this piece of work");
    return NULL;
}

void *cx_alloc(struct cx *cx, size_t bytes)
{
    void *p = cx_raw(cx, bytes);

    return p != NULL ? memset(p, 0, bytes) : NULL;
}

void *cx_array(struct cx *cx, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        (void)cx_fail(cx, FAULT_MEMORY, "out of memory for this piece of work");
        return NULL;
    }
    return cx_alloc(cx, bytes);
}

void *cx_memdup(struct cx *cx, const void *bytes, size_t n)
{
    void *p = cx_raw(cx, n ? n : 1);

    if (p != NULL && n > 0)
        memcpy(p, bytes, n);
    return p;
}

char *cx_strdup(struct cx *cx, const char *text)
{
    return cx_memdup(cx, text, strlen(text) + 1);
}

char *cx_printf(struct cx *cx, const char *format, ...)
{
    va_list args, again;
    char *text = NULL;

    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n >= 0 && (text = cx_alloc(cx, (size_t)n + 1)) != NULL)
        (void)vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

size_t cx_used(const struct cx *cx)
{
    return cx->used;
}

enum fault cx_fail(struct cx *cx, enum fault fault, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(cx->message, sizeof cx->message, format, args);
    va_end(args);
    cx->fault = fault;
    return fault;
}

enum fault cx_prefix(struct cx *cx, const char *format, ...)
{
    char old[MESSAGE];
    va_list args;

    memcpy(old, cx->message, sizeof old);
    va_start(args, format);
    int n = vsnprintf(cx->message, sizeof cx->message, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof cx->message)
        (void)snprintf(cx->message + n, sizeof cx->message - (size_t)n, "%s", old);
    return cx->fault;
}

enum fault cx_fault(const struct cx *cx)
{
    return cx->fault;
}

const char *cx_message(const struct cx *cx)
{
    return cx->message[0] != '\0' ? cx->message : fault_name(cx->fault);
}

int64_t cx_deadline(const struct cx *cx)
{
    return cx->deadline;
}

enum fault cx_on_time(struct cx *cx)
{
    if (cx->deadline != CX_NO_DEADLINE && clock_mono_ms() > cx->deadline)
        return cx_fail(cx, FAULT_TIMEOUT, "the time allowed for this work has passed");
    return FAULT_NONE;
}

ProtobufCAllocator *cx_allocator(struct cx *cx)
{
    return &cx->allocator;
}

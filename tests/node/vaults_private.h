/* vaults_private.h - memory for messages, for vaults*.c alone. */
#pragma once

#include "tests/node/vaults.h"

#define TEXT(text) ((char *)(text))

static inline void *fresh(struct cx *cx, size_t n)
{
    void *p = cx_alloc(cx, n);

    assert_non_null(p);
    return p;
}

static inline ProtobufCBinaryData data(struct cx *cx, const void *p, size_t n)
{
    ProtobufCBinaryData d = {.len = n, .data = cx_memdup(cx, p, n)};

    assert_non_null(d.data);
    return d;
}

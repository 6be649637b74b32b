/*
 * check.h - cmocka with row names: a failing row says which claim broke.
 *
 * Tests that need ../shared print "SKIP <name>: <what is missing>" and call skip_missing, so
 * that a skipped test is counted as skipped and named (exit status 77).
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHECK_EQ_(row, got, want)                                                              \
    do {                                                                                       \
        long long got_ = (long long)(got), want_ = (long long)(want);                          \
        if (got_ != want_)                                                                     \
            fail_msg("%s: got %lld, want %lld", (row), got_, want_);                           \
    } while (0)
#define CHECK_(row, claim)                                                                     \
    do {                                                                                       \
        if (!(claim))                                                                          \
            fail_msg("%s: %s", (row), #claim);                                                 \
    } while (0)
#define CHECK_OK_(row, cx, call)                                                               \
    do {                                                                                       \
        enum fault fault_ = (call);                                                            \
        if (fault_ != FAULT_NONE)                                                              \
            fail_msg("%s: %s: %s", (row), fault_name(fault_), cx_message(cx));                 \
    } while (0)

/* $COHORTIUM_SHARED/<path>, else <source>/../shared/<path>; NULL if it is not there. */
static inline const char *shared_path(const char *path)
{
    static char full[4096];
    const char *shared = getenv("COHORTIUM_SHARED"), *source = getenv("COHORTIUM_SOURCE");

    if (shared != NULL)
        (void)snprintf(full, sizeof full, "%s/%s", shared, path);
    else
        (void)snprintf(full, sizeof full, "%s/../shared/%s", source ? source : ".", path);
    FILE *f = fopen(full, "rb");
    if (f == NULL)
        return NULL;
    (void)fclose(f);
    return full;
}

/* vectors.h - published test vectors: found by name, or the test is skipped by name. */
#pragma once

#include <jansson.h>

#include "protocol/base/bytes.h"
#include "tests/check.h"

enum { TEST_SKIPPED = 77 };

/* Opens shared/vectors/<name> with jansson's flags; NULL after printing SKIP when it is not
 * there. */
static inline json_t *vectors_open(const char *name, size_t flags)
{
    char path[256];
    json_error_t error;

    (void)snprintf(path, sizeof path, "vectors/%s", name);
    const char *full = shared_path(path);
    if (full == NULL) {
        printf("SKIP %s: not there\n", path);
        return NULL;
    }
    json_t *root = json_load_file(full, flags, &error);
    if (root == NULL) {
        printf("%s: %s\n", path, error.text);
        exit(1);
    }
    return root;
}

static inline const char *vectors_text(const json_t *test, const char *name)
{
    const char *text = json_string_value(json_object_get(test, name));

    if (text == NULL) {
        printf("no %s in a vector\n", name);
        exit(1);
    }
    return text;
}

/* A hexadecimal member. */
static inline struct bytes vectors_hex(struct cx *cx, const json_t *test, const char *name)
{
    const char *hex = vectors_text(test, name);
    size_t n = strlen(hex) / 2;
    void *p = cx_alloc(cx, n ? n : 1);

    if (p == NULL || bytes_from_hex(cx, hex, p, n) != FAULT_NONE) {
        printf("no hexadecimal %s in a vector\n", name);
        exit(1);
    }
    return bytes_of(p, n);
}

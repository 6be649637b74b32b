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

/* Whether a vector of a group holds. */
typedef bool (*vector_holds)(struct cx *cx, const json_t *group, const json_t *t);

/* Runs wycheproof/<name>_test.json; an exit status. "acceptable" vectors must hold too. */
static inline int vectors_run(const char *name, vector_holds holds, size_t least)
{
    size_t wrong = 0, n = 0, i, j;
    char file[128];
    const json_t *group, *t;

    (void)snprintf(file, sizeof file, "wycheproof/%s_test.json", name);
    json_t *root = vectors_open(file, 0);
    if (root == NULL)
        return TEST_SKIPPED;
    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        json_array_foreach(json_object_get(group, "tests"), j, t)
        {
            AUTO_CX struct cx *cx = cx_new(1 << 24, CX_NO_DEADLINE);
            bool want = strcmp(vectors_text(t, "result"), "invalid") != 0;

            n++;
            if (cx == NULL || holds(cx, group, t) != want) {
                printf("%s %lld (%s): expected %s\n", name,
                       (long long)json_integer_value(json_object_get(t, "tcId")),
                       vectors_text(t, "comment"), want ? "valid" : "invalid");
                wrong++;
            }
        }
    }
    printf("%s: %zu vectors, %zu wrong\n", name, n, wrong);
    json_decref(root);
    return wrong > 0 || n < least;
}

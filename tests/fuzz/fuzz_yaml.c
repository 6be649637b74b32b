/*
 * fuzz_yaml.c - any bytes as a codebook: refused with file, line and sentence, or compiled
 * to something whose own text compiles to the same again.
 */
#include <string.h>

#include "fuzz.h"
#include "node/data/codebook_yaml.h"
#include "node/data/mapping.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cx *cx = cx_new(1 << 26, CX_NO_DEADLINE);
    Cohortium__Codebook *body;
    struct codebook *cb, *again;
    struct mapping *m;
    const char *shown;
    static const char small[] = "dataset: d\ncount_unit: p\nvariables:\n"
                                "  p: {type: identifier}\n"
                                "  s: {type: categorical, levels: [a, b]}\n"
                                "  x: {type: real, bounds: [0, 1]}\n"
                                "  t: {type: date, bounds: [2000-01-01, 2001-01-01]}\n";

    if (cx == NULL)
        return 0;
    if (codebook_from_yaml(cx, "f", (const char *)data, n, &body) != FAULT_NONE) {
        FUZZ_CHECK(strncmp(cx_message(cx), "f:", 2) == 0 || cx_fault(cx) == FAULT_MEMORY);
    } else if (codebook_from_body(cx, body, &cb) == FAULT_NONE) {
        FUZZ_CHECK(codebook_to_yaml(cx, cb->body, &shown) == FAULT_NONE);
        FUZZ_CHECK(codebook_from_yaml(cx, "g", shown, strlen(shown), &body) == FAULT_NONE);
        FUZZ_CHECK(codebook_from_body(cx, body, &again) == FAULT_NONE);
        FUZZ_CHECK(memcmp(cb->digest, again->digest, 32) == 0);
    }
    cx_reset(cx);
    FUZZ_CHECK(codebook_from_yaml(cx, "s", small, strlen(small), &body) == FAULT_NONE);
    FUZZ_CHECK(codebook_from_body(cx, body, &cb) == FAULT_NONE);
    if (mapping_from_yaml(cx, "f", (const char *)data, n, cb, &m) != FAULT_NONE)
        FUZZ_CHECK(strncmp(cx_message(cx), "f:", 2) == 0 || cx_fault(cx) == FAULT_MEMORY);
    cx_free(&cx);
    return 0;
}

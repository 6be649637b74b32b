/*
 * fuzz_cohort.c - any text as a cohort: it is refused with a sentence, or its tree comes
 * back from text and wire, has one canonical form, and can be judged and cut into regions.
 */
#include <string.h>

#include "analyses/cohort.h"
#include "analyses/regions.h"
#include "fuzz.h"
#include "tests/analyses/language_codebook.h"

static void try_regions(struct cx *cx, const struct codebook *cb, struct ast *a)
{
    struct complaints c = complaints_new(cx);
    struct regions r;

    ast_complain_closed(&c, cx, cb, a);
    if (regions_make(cx, cb, &a, NULL, 1, &c, &r) == FAULT_NONE && c.n == 0)
        FUZZ_CHECK(r.n <= REGIONS_A_CELL_MAX);
}

static void try_tree(struct cx *cx, const struct codebook *cb, struct ast *a)
{
    struct complaints c = complaints_new(cx);
    struct ast *again, *form, *twice;
    Cohortium__Ast *pb;

    if (a == NULL)
        return;
    if (ast_to_pb(cx, cb, a, &pb) == FAULT_NONE &&
        ast_open(cx, cb, pb, AST_TYPE_BOOL, &c, &again) == FAULT_NONE)
        FUZZ_CHECK(c.n == 0 && again != NULL && ast_equal(a, again));
    /* Parentheses of ours may nest deeper than what was typed: then it is refused. */
    if (cohort_parse(cx, cb, ast_text(cx, cb, a), &again) == FAULT_NONE)
        FUZZ_CHECK(ast_equal(a, again));
    if (ast_canonical(cx, cb, a, &form) != FAULT_NONE)
        return;
    FUZZ_CHECK(ast_canonical(cx, cb, form, &twice) != FAULT_NONE || ast_equal(form, twice));
    try_regions(cx, cb, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO_CX struct cx *cx = cx_new(256 << 20, CX_NO_DEADLINE);
    struct codebook *cb;
    struct ast *a;
    char *text = cx != NULL ? cx_alloc(cx, n + 1) : NULL;

    if (text == NULL || codebook_from_body(cx, language_body(), &cb) != FAULT_NONE)
        return 0;
    if (n > 0)
        memcpy(text, data, n);
    if (cohort_parse(cx, cb, text, &a) == FAULT_NONE)
        try_tree(cx, cb, a);
    else
        FUZZ_CHECK(cx_message(cx)[0] != '\0');
    return 0;
}

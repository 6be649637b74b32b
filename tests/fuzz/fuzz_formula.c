/*
 * fuzz_formula.c - any text as a formula: refused with a sentence, or a bounded model whose
 * terms have names, and whose packed form opens again.
 */
#include <string.h>

#include "analyses/formula.h"
#include "fuzz.h"
#include "tests/analyses/language_codebook.h"

static void try_model(struct cx *cx, const struct codebook *cb, const Cohortium__Model *m)
{
    struct complaints c = complaints_new(cx);
    Cohortium__Model *back;
    struct bytes packed;
    struct ast *a;

    FUZZ_CHECK(m->n_terms <= FORMULA_TERMS_MAX);
    for (size_t i = 0; i < m->n_terms; i++) {
        FUZZ_CHECK(m->terms[i]->n_factors <= FORMULA_FACTORS_MAX);
        FUZZ_CHECK(term_text(cx, cb, m->terms[i])[0] != '\0');
        for (size_t k = 0; k < m->terms[i]->n_factors; k++)
            if (ast_open(cx, cb, m->terms[i]->factors[k]->value, AST_TYPE_ANY, &c, &a) ==
                FAULT_NONE)
                FUZZ_CHECK(a != NULL && c.n == 0);
    }
    if (pb_pack(cx, &m->base, &packed) == FAULT_NONE && packed.n <= 1 << 20)
        FUZZ_CHECK(pb_unpack(cx, &cohortium__model__descriptor, packed, 1 << 20, &back) ==
                       FAULT_NONE ||
                   cx_fault(cx) == FAULT_MEMORY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO_CX struct cx *cx = cx_new(256 << 20, CX_NO_DEADLINE);
    struct codebook *cb;
    Cohortium__Model *model;
    const char **names;
    size_t n_names;
    char *text = cx != NULL ? cx_alloc(cx, n + 1) : NULL;

    if (text == NULL || codebook_from_body(cx, language_body(), &cb) != FAULT_NONE)
        return 0;
    if (n > 0)
        memcpy(text, data, n);
    if (formula_parse(cx, cb, text, &model) == FAULT_NONE)
        try_model(cx, cb, model);
    else
        FUZZ_CHECK(cx_message(cx)[0] != '\0');
    if (formula_parse_variables(cx, cb, text, &names, &n_names) == FAULT_NONE)
        FUZZ_CHECK(n_names == 1 || n_names == 2);
    return 0;
}

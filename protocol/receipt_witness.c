/* receipt_witness.c - who else has seen the logs that a receipt rests on. */
#include "protocol/receipt_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocol/checkpoint.h"

enum { NAMES_BYTES = 600 };

/* Cosignatures of other members on one site's checkpoint; marks who they are. One that
 * claims to be older than the record itself does not count. */
static enum fault count_witnesses(struct check *k, size_t site, bool *seen,
                                  struct receipt_seen *ret)
{
    const Cohortium__Manifest *m = k->facts->manifest->body;
    uint64_t at, logged = k->records[site]->time;

    *ret = (struct receipt_seen){0};
    CX_NEW(k->cx, ret->by, m->n_members);
    for (size_t i = 0; i < m->n_members; i++) {
        const Cohortium__Member *w = m->members[i];

        if (w == k->who[site])
            continue;
        const char *name =
            checkpoint_origin(k->cx, k->facts->manifest->consortium, w->name);
        if (name == NULL)
            return FAULT_MEMORY;
        if (!cosignature_holds(k->cx, k->receipt->proofs[site]->checkpoint, name,
                               w->signing_key.data, &at) ||
            at + CLOCK_SKEW_MS / 1000 < logged / 1000)
            continue;
        seen[i] = true;
        ret->by[ret->n++] = w;
    }
    return FAULT_NONE;
}

static enum fault name_witnesses(struct check *k, const bool *seen)
{
    struct receipt_facts *f = k->facts;
    const Cohortium__Manifest *m = f->manifest->body;

    CX_NEW(k->cx, f->witnesses, m->n_members);
    for (size_t i = 0; i < m->n_members; i++) {
        size_t at = f->n_witnesses;

        if (!seen[i])
            continue;
        for (; at > 0 && strcmp(f->witnesses[at - 1], m->members[i]->name) > 0; at--)
            f->witnesses[at] = f->witnesses[at - 1];
        f->witnesses[at] = m->members[i]->name;
        f->n_witnesses++;
    }
    return FAULT_NONE;
}

const char *receipt_witness_words(struct cx *cx, const struct receipt_facts *f)
{
    struct buffer b = buffer_new(cx, 64 * 1024);

    if (!f->witnessed) {
        buffer_printf(
            &b,
            "unwitnessed: fewer than %d other institutions have cosigned the log of "
            "%s",
            WITNESSES_MIN, f->unwitnessed);
        return buffer_string(&b);
    }
    buffer_text(&b, "witnessed by ");
    for (size_t i = 0; i < f->n_witnesses; i++) {
        if (b.n > NAMES_BYTES) {
            buffer_printf(&b, " and %zu more", f->n_witnesses - i);
            break;
        }
        buffer_printf(&b, "%s%s", i > 0 ? ", " : "", f->witnesses[i]);
    }
    return buffer_string(&b);
}

enum fault receipt_check_witnesses(struct check *k)
{
    struct receipt_facts *f = k->facts;
    struct receipt_seen *each;
    bool *seen;

    CX_NEW(k->cx, seen, f->manifest->body->n_members);
    CX_NEW(k->cx, each, k->n);
    f->seen = each;
    f->witnessed = true;
    for (size_t i = 0; i < k->n; i++) {
        TRY(count_witnesses(k, i, seen, &each[i]));
        if (each[i].n >= WITNESSES_MIN || !f->witnessed)
            continue;
        f->witnessed = false;
        f->unwitnessed = k->who[i]->name;
    }
    TRY(name_witnesses(k, seen));
    const char *words = receipt_witness_words(k->cx, f);
    return words != NULL ? receipt_state(k, "%s", words) : FAULT_MEMORY;
}

/* ---- newer proofs for an old receipt ---- */

enum fault receipt_take_proofs(struct cx *cx, Cohortium__Receipt *receipt,
                               Cohortium__LogProof *const *claimed, size_t n)
{
    Cohortium__LogProof **proofs, *both;

    CX_NEW(cx, proofs, receipt->n_proofs);
    CX_NEW(cx, both, receipt->n_proofs);
    for (size_t i = 0; i < receipt->n_proofs; i++) {
        proofs[i] = &both[i];
        both[i] = *receipt->proofs[i];
        for (size_t j = 0; j < n; j++) {
            if (!bytes_equal(PB_BYTES(claimed[j]->node_id), PB_BYTES(both[i].node_id)) ||
                claimed[j]->index != both[i].index)
                continue;
            both[i].size = claimed[j]->size;
            both[i].n_path = claimed[j]->n_path;
            both[i].path = claimed[j]->path;
            both[i].checkpoint = claimed[j]->checkpoint;
        }
    }
    receipt->proofs = proofs;
    return FAULT_NONE;
}

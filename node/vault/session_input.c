/*
 * session_input.c - the shared numbers of a round, from home's vault to the others'.
 *
 * Centres, scales and the coefficients of every step follow from pooled sums: exact, not
 * blurred, and known before anybody could veto. So they travel like tallies, sealed to each
 * other vault, and no net process reads them. Home's vault keeps its own and takes back no
 * proposal but its newest.
 *
 * The last proposal carries boxes without numbers: no vector follows that would show whether
 * all have learned the same from the words before it.
 */
#include "node/vault/session.h"

#include <math.h>
#include <sodium.h>
#include <string.h>

static const double INPUT_TOLERANCE = 1e-9; /* DESIGN.md section 4 */

struct bytes session_input_context(const struct session *s, uint8_t context[INPUT_CONTEXT])
{
    memcpy(context, s->transcript, DIGEST_BYTES);
    memcpy(context + DIGEST_BYTES, s->learned, DIGEST_BYTES);
    return bytes_of(context, INPUT_CONTEXT);
}

enum fault session_seal_input(struct session *s, Cohortium__Proposal *p)
{
    bool last = s->kind == COHORTIUM__ROUND_KIND__RELEASE;
    double *input = last ? NULL : s->state->input;
    size_t n = last ? 0 : s->state->n_input;
    struct sealed *sealed;
    uint8_t context[INPUT_CONTEXT];

    for (size_t i = 0; i < n; i++)
        input[i] += 0.0; /* one encoding: no negative zero */
    TRY(gate_seal_input(s->cx, s->mask, s->round, session_input_context(s, context), s->n,
                        s->self, input, n, &sealed));
    p->n_inputs = s->n - 1;
    CX_NEW(s->cx, p->inputs, p->n_inputs);
    for (size_t i = 0; i < p->n_inputs; i++)
        p->inputs[i] = PB_DATA(sealed_boxes(sealed)[i]);
    return FAULT_NONE;
}

static enum fault open_input(struct cx *cx, const struct session *s,
                             const Cohortium__Proposal *p, Cohortium__SharedInput **ret)
{
    struct bytes plain;
    uint8_t context[INPUT_CONTEXT];

    if (p->n_inputs != s->n - 1)
        return cx_fail(cx, FAULT_FORMAT, "the coordinator's proposal has %zu boxes, expected %zu",
                       p->n_inputs, s->n - 1);
    if (mask_unbox(cx, s->mask, s->home, s->round, session_input_context(s, context),
                   PB_BYTES(p->inputs[s->self < s->home ? s->self : s->self - 1]),
                   &plain) != FAULT_NONE)
        return cx_fail(cx, cx_fault(cx),
                       "the coordinator's numbers for this site do not open: it lies, or "
                       "somebody has told two of us different sums");
    TRY(pb_unpack(cx, &cohortium__shared_input__descriptor, plain,
                  envelope_bound(ENVELOPE_PROPOSAL), ret));
    if ((*ret)->round != s->round)
        return cx_fail(cx, FAULT_CONFLICT, "the coordinator's numbers are of another round");
    return FAULT_NONE;
}

static enum fault adopt(struct cx *cx, struct state *t, const Cohortium__SharedInput *in)
{
    if (in->n_input != t->n_input)
        return cx_fail(cx, FAULT_CONFLICT, "the coordinator proposes a step of another form");
    for (size_t i = 0; i < in->n_input; i++) {
        double scale = t->input_scale != NULL ? fabs(t->input_scale[i]) : 0;

        scale = fmax(scale, fabs(t->input[i]));
        if (!(fabs(in->input[i] - t->input[i]) <= INPUT_TOLERANCE * scale))
            return cx_fail(cx, FAULT_CONFLICT,
                           "the coordinator proposes a step that does not follow from the sums");
    }
    for (size_t i = 0; i < in->n_input; i++)
        t->input[i] = in->input[i];
    return FAULT_NONE;
}

/* Who adopted other numbers has masks that do not cancel. The digest itself goes nowhere: the
 * numbers could be found by trying. */
static enum fault digest_input(struct cx *cx, struct session *s)
{
    struct buffer b = buffer_new(cx, 16 + 8 * s->state->n_input + DIGEST_BYTES);

    buffer_put(&b, s->proposal, DIGEST_BYTES);
    for (size_t i = 0; i < s->state->n_input; i++) {
        uint64_t bits;

        memcpy(&bits, &s->state->input[i], sizeof bits);
        buffer_u64(&b, bits);
    }
    TRY(b.fault);
    digest_of(bytes_of(b.p, b.n), s->input_digest);
    return FAULT_NONE;
}

enum fault session_adopt_input(struct cx *cx, struct session *s, const Cohortium__Proposal *p)
{
    Cohortium__SharedInput *in;
    bool last = s->kind == COHORTIUM__ROUND_KIND__RELEASE;

    if (s->self == s->home) {
        if (memcmp(s->proposal, s->own_proposal, DIGEST_BYTES) != 0)
            return cx_fail(cx, FAULT_CONFLICT, "our own proposal came back changed");
    } else {
        TRY(open_input(cx, s, p, &in));
        if (last && in->n_input > 0)
            return cx_fail(cx, FAULT_CONFLICT,
                           "the coordinator's last proposal holds numbers of a step");
        if (!last)
            TRY(adopt(cx, s->state, in));
    }
    return last ? FAULT_NONE : digest_input(cx, s);
}

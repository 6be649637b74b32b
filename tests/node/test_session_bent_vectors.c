/*
 * test_session_bent_vectors.c - what a member sends in each round, each field bent: the
 * vectors, and the tallies inside them (bent_session.h).
 */
#include "tests/node/bent_session.h"
#include "tests/node/session_case.h"

/* ---- vectors: by a member ---- */

static struct bytes vector_packed(struct play *p, const struct scene *s)
{
    return p->vector[s->liar];
}

/* Of the newest forged tally; one vector, whoever reads which box. */
static struct bytes forged_box[VAULTS - 1];

static void vector_put(Cohortium__StepCall *call, const struct scene *s,
                       struct bytes forged)
{
    call->vectors[s->liar] = PB_DATA(forged);
    if (s->forge != NULL)
        call->boxes[s->liar] = PB_DATA(forged_box[lie_box_at(s->liar, s->victim)]);
}

static void own_vector(struct play *p, const struct scene *s, struct bytes forged)
{
    struct envelope e;

    if (envelope_open(p->cx, ENVELOPE_VECTOR, forged, &e) == FAULT_NONE)
        memcpy(play_session(p, s->liar)->own_vector, e.digest, DIGEST_BYTES);
}

static void vector_put_all(struct play *p, const struct scene *s, struct bytes forged)
{
    p->vector[s->liar] = forged;
    own_vector(p, s, forged);
}

static Cohortium__Vector *vector_of(struct play *p, const struct scene *s)
{
    return lie_open(p, ENVELOPE_VECTOR, &cohortium__vector__descriptor, p->vector[s->liar]);
}

/* The tally inside, sealed to each other vault. */
static struct bytes tally_honest(struct play *p, const struct scene *s)
{
    const Cohortium__Vector *x = vector_of(p, s);
    struct bytes plain;
    uint8_t context[VECTOR_CONTEXT];

    CHECK_OK_("unbox", p->cx,
              mask_unbox(p->cx, play_session(p, s->victim)->mask, s->liar, x->round,
                         session_vector_context(play_session(p, s->liar), context),
                         p->boxes[s->liar][lie_box_at(s->liar, s->victim)], &plain));
    return plain;
}

/* To all alike the liar's own vault goes on with it, as far as it is a tally of this form.
 */
static struct bytes tally_forge(struct play *p, const struct scene *s, struct bytes body,
                                size_t to)
{
    Cohortium__Vector *x = vector_of(p, s);
    struct session *own = play_session(p, s->liar);
    struct tally *tally;
    struct bytes box, packed;
    uint8_t context[VECTOR_CONTEXT];

    for (size_t i = 0; i < VAULTS; i++) {
        if (i == s->liar || (to != VAULTS && to != i))
            continue;
        CHECK_OK_("box", p->cx,
                  mask_box(p->cx, own->mask, i, x->round,
                           session_vector_context(own, context), body, &box));
        forged_box[lie_box_at(s->liar, i)] = box;
        p->boxes[s->liar][lie_box_at(s->liar, i)] = box;
        lie_digest(p, x, lie_box_at(s->liar, i), PB_DATA(box));
    }
    CHECK_OK_("pack", p->cx, pb_pack(p->cx, &x->base, &packed));
    packed = bend_sign_by(p->cx, ENVELOPE_VECTOR, packed, lie_key(p, s->liar));
    own_vector(p, s, packed);
    p->vector[s->liar] = packed;
    if (to == VAULTS && tally_unpack(p->cx, body, x->round, own->own_masked->n_counts,
                                     own->own_masked->n_sums, &tally) == FAULT_NONE) {
        memcpy(own->own_masked->counts, tally->counts,
               tally->n_counts * sizeof *tally->counts);
        memcpy(own->own_masked->sums, tally->sums, tally->n_sums * sizeof *tally->sums);
    }
    return packed;
}

/* ---- the table ---- */

static const struct excuse excuses[] = {
    {"vector", "stamp.issued_at", "within a day, its sender's to say; in the transcript"},
    {"vector", "stamp.expires_at", "within a day, its sender's to say; in the transcript"},
    {"tally", "counts", "told to all alike: a member's own numbers are its own word",
     .own_number = true},
    {"tally", "sums", "told to all alike: a member's own numbers are its own word",
     .own_number = true},
    {0},
};
static bool used[sizeof excuses / sizeof *excuses];

enum { ONLY_SIGNED = 1u << BENT_SIGNED, INSIDE = 1u << BENT_SIGNED | 1u << BENT_WIRE };

static const struct scene vector = {.message = "vector",
                                    .d = &cohortium__vector__descriptor,
                                    .kind = ENVELOPE_VECTOR,
                                    .liar = LIAR,
                                    .victim = VICTIM,
                                    .packed = vector_packed,
                                    .put = vector_put,
                                    .put_all = vector_put_all};

static void test_bent__vectors(void **state)
{
    struct bend_count sum = {0};
    struct scene s = vector;
    (void)state;

    for (size_t victim = 0; victim < VAULTS; victim++) {
        s = vector;
        s.victim = victim;
        if (victim == LIAR)
            continue;
        for (s.round = VERDICT; s.round <= COUNT_RELEASE; s.round++) {
            s.modes = s.round == COUNT_VETO ? 0 : ONLY_SIGNED;
            bent_play(&t, &s, excuses, used, &sum);
        }
    }
    bend_print("all", &sum, "without effect");
}

static void test_bent__tallies(void **state)
{
    struct bend_count sum = {0};
    struct scene s = vector;
    (void)state;

    s.message = "tally";
    s.d = &cohortium__masked_tally__descriptor;
    s.modes = INSIDE;
    s.honest = tally_honest;
    s.forge = tally_forge;
    for (s.round = VERDICT; s.round <= COUNT_RELEASE; s.round++)
        bent_play(&t, &s, excuses, used, &sum);
    s = bent_of_line(s, SUM);
    bent_play(&t, &s, excuses, used, &sum);
    bend_print("all", &sum, "without effect");
}

/* ---- by site: words ---- */

static void test_bent__vectors_by_site(void **state)
{
    struct bend_count sum = {0};
    struct scene s = vector;
    (void)state;

    s.by_site = true;
    s.round = 1;
    s.modes = ONLY_SIGNED;
    bent_play(&t, &s, excuses, used, &sum);
    s.victim = HOME;
    bent_play(&t, &s, excuses, used, &sum);
    s.message = "tally";
    s.d = &cohortium__masked_tally__descriptor;
    s.victim = VICTIM;
    s.honest = tally_honest;
    s.forge = tally_forge;
    bent_play(&t, &s, excuses, used, &sum);
    bend_print("by site", &sum, "without effect");
}

static int excused(void **state)
{
    (void)state;
    bent_all_used(excuses, used);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_bent__vectors),
        UNDER(testing, test_bent__tallies),
        UNDER(by_site_testing, test_bent__vectors_by_site),
    };

    return cmocka_run_group_tests(tests, NULL, excused);
}

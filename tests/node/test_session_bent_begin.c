/*
 * test_session_bent_begin.c - what is said before the first round, each field bent:
 * requests, preflights, ACCEPTs (bent_session.h).
 */
#include "tests/node/bent_session.h"
#include "tests/node/session_case.h"

/* ---- ACCEPT: by a member, of itself ---- */

static struct bytes accept_packed(struct play *p, const struct scene *s)
{
    return p->accept[s->liar];
}

static void accept_put(Cohortium__StepCall *call, const struct scene *s,
                       struct bytes forged)
{
    call->accepts[s->liar] = PB_DATA(forged);
}

static void accept_put_all(struct play *p, const struct scene *s, struct bytes forged)
{
    struct envelope e;

    p->accept[s->liar] = forged;
    if (envelope_open(p->cx, ENVELOPE_ACCEPT, forged, &e) == FAULT_NONE)
        memcpy(play_session(p, s->liar)->accept_digest, e.digest, DIGEST_BYTES);
}

/* ---- preflight: by a member, of itself ---- */

static struct bytes preflight_packed(struct play *p, const struct scene *s)
{
    return p->preflight[s->liar];
}

static void preflight_put(struct play *p, const struct scene *s, struct bytes forged)
{
    p->preflight[s->liar] = forged;
}

/* ---- request: by the researcher, who signs another one to one site ---- */

static struct bytes request_packed(struct play *p, const struct scene *s)
{
    (void)s;
    return p->request;
}

static const struct keys *researcher(struct play *p)
{
    return p->t->researcher;
}

static void request_put(struct play *p, const struct scene *s, struct bytes forged)
{
    (void)s;
    p->request = forged;
}

/* ---- the table ---- */

static const struct excuse excuses[] = {
    {"accept", "stamp.issued_at", "within a day, its sender's to say; in the session's id"},
    {"accept", "stamp.expires_at",
     "within a day, its sender's to say; in the session's id"},
    {"accept", "ledger_head", "of its own ledger: in the receipt and the session's id"},
    {"accept", "nonce", "random by its meaning; in the session's id"},
    {"preflight", "stamp.issued_at",
     "within a day, its sender's to say: no number hangs on it", .to_one = true},
    {"preflight", "stamp.expires_at",
     "within a day, its sender's to say: no number hangs on it", .to_one = true},
    {"preflight", "policy.not_before", "of its own policy, which it judges itself",
     .to_one = true},
    {"preflight", "policy.not_after", "of its own policy, which it judges itself",
     .to_one = true},
    {"preflight", "ledger_head", "of its own ledger; its ACCEPT says it again",
     .to_one = true},
    {"preflight", "rounds", "for people: how long it may take; no vault goes by it",
     .to_one = true},
    {"preflight", "permit_envelope",
     "a signature of another site's officer, beside its own", .what = "last bit",
     .to_one = true},
    {0},
};
static bool used[sizeof excuses / sizeof *excuses];

static void play_both(struct scene s, struct bend_count *sum)
{
    s.victim = VICTIM;
    bent_play(&t, &s, excuses, used, sum);
    s.victim = HOME;
    bent_play(&t, &s, excuses, used, sum);
}

static void test_bent__before_the_first_round(void **state)
{
    struct bend_count sum = {0};
    (void)state;

    play_both((struct scene){.message = "accept",
                             .d = &cohortium__accept__descriptor,
                             .kind = ENVELOPE_ACCEPT,
                             .liar = LIAR,
                             .packed = accept_packed,
                             .put = accept_put,
                             .put_all = accept_put_all},
              &sum);
    play_both((struct scene){.message = "preflight",
                             .d = &cohortium__preflight__descriptor,
                             .kind = ENVELOPE_PREFLIGHT,
                             .liar = LIAR,
                             .begin = true,
                             .to_one = true,
                             .packed = preflight_packed,
                             .put_all = preflight_put},
              &sum);
    play_both((struct scene){.message = "request",
                             .d = &cohortium__request__descriptor,
                             .kind = ENVELOPE_REQUEST,
                             .liar = VAULTS,
                             .begin = true,
                             .to_one = true,
                             .key = researcher,
                             .packed = request_packed,
                             .put_all = request_put},
              &sum);
    bent_all_used(excuses, used);
    bend_print("all", &sum, "without effect");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(testing, test_bent__before_the_first_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * test_gate_members.c - what the other members see of a site between the rounds of a masked
 * question, whatever is released in the end (DISCLOSURE.md 0.1).
 */
#include "tests/node/attack_case.h"

static const char GUARDED[] = "class: cautious\nresponse_quantum_ms: 0\n"
                              "collusion_assumed: all_other_members\n";
static const char MINIMUM[] = "class: cautious\nresponse_quantum_ms: 0\n"
                              "local_minimum: 15\n";

static int cautious_but_one(void **state, const char *policy)
{
    (void)cautious(state);
    vaults_policy(&t, VICTIM, policy);
    return 0;
}

static int guarded(void **state)
{
    return cautious_but_one(state, GUARDED);
}

static int minimum(void **state)
{
    return cautious_but_one(state, MINIMUM);
}

/* Sums of a cell that this site sends in the round just made; all zero? */
static bool sends_nothing(struct play *p, size_t site, size_t block, size_t cell)
{
    const struct session *s = play_session(p, site);
    const struct block *b = &s->measure->blocks[block];

    for (size_t i = 0; i < b->n_numbers; i++)
        if (s->sums.tally->sums[b->first_sum + cell * b->n_numbers + i] != 0)
            return false;
    return b->n_numbers > 0;
}

/* ---- numbers a cell x rounds <= patients / k ---- */

static void test_gate_members__0_1_a_small_group_is_not_summed(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    static const struct question q = {
        .analysis = "describe", .variable = "age", .by = "status"};
    static const struct {
        const char *what;
        size_t ones;
        bool summed;
    } rows[] = {
        {"three numbers of 30 patients", 30, true},
        {"three numbers of 29", 29, false},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct play p;
        const char *words = "given where it has at least 30 patients";

        ask_question(&p, &q, cases_of(cx, rows[i].ones, 50));
        play_start(&p);
        play_to(&p, 3);
        for (size_t k = VAULTS; k-- > 0;)
            CHECK_OK_("step", p.cx, play_step(&p, k, NULL));
        p.round++;
        for (size_t k = 0; k < VAULTS; k++) {
            CHECK_EQ_(rows[i].what, sends_nothing(&p, k, 0, 1), !rows[i].summed);
            CHECK_("the large group", !sends_nothing(&p, k, 0, 0));
        }
        play_finish(&p);
        const Cohortium__Release *r = play_release(&p, 0);
        CHECK_("released", r->released);
        CHECK_EQ_("n", state_of(r, "n", 1), 0);
        CHECK_EQ_("mean", state_of(r, "mean", 1), !rows[i].summed);
        CHECK_EQ_("sd", state_of(r, "sd", 1), !rows[i].summed);
        CHECK_EQ_("mean of the large group", state_of(r, "mean", 0), 0);
        bool said = false;
        for (size_t k = 0; k < r->result->n_notes; k++)
            said = said || strstr(r->result->notes[k], words) != NULL;
        CHECK_("the researcher reads why, either way", said);
        const struct audit_entry *e = vaults_newest(&t, p.cx, VICTIM, "question");
        assert_non_null(e);
        CHECK_EQ_("the log says it", strstr(e->details, "0.1") != NULL, !rows[i].summed);
        play_free(&p);
    }
}

/* Counts need the threshold alone. */
static void test_gate_members__0_1_counts_need_the_threshold_only(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    static const struct question q = {.analysis = "table", .formula = "status"};
    struct play p;
    (void)state;

    const Cohortium__Release *r = ask_whole(&p, &q, cases_of(cx, 10, 50));
    CHECK_EQ_("ten", state_of(r, "counts", 1), 0);
    play_free(&p);
    r = ask_whole(&p, &q, cases_of(cx, 9, 50));
    CHECK_EQ_("nine", state_of(r, "counts", 1), 1);
    play_free(&p);
}

/* ---- a fit of too few ---- */

static void test_gate_members__a_fit_of_too_few_is_not_summed(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    static const struct question q = {.analysis = "lm", .formula = "score ~ age + sex"};
    static const struct {
        const char *what;
        size_t patients;
        const char *rule; /* NULL: its sums are taken */
    } rows[] = {
        {"nine patients", 9, "R1:"},
        {"three columns of 29", 29, "R7:"},
        {"three columns of 30", 30, NULL},
        {"three columns of 100", 100, NULL},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct pick pick = {rows[i].patients, -1, ANY_SITE, 0};
        struct play p;

        ask_question(&p, &q, cohort_of(cx, &pick, 1));
        play_start(&p);
        play_to(&p, 3);
        for (size_t k = VAULTS; k-- > 0;)
            CHECK_OK_("step", p.cx, play_step(&p, k, NULL));
        p.round++;
        for (size_t k = 0; k < VAULTS; k++)
            CHECK_EQ_(rows[i].what, sends_nothing(&p, k, 0, 0), rows[i].rule != NULL);
        play_finish(&p);
        const struct audit_entry *e = vaults_newest(&t, p.cx, VICTIM, "question");
        assert_non_null(e);
        if (rows[i].rule != NULL) {
            CHECK_("not released", !play_release(&p, 0)->released);
            CHECK_("the log says why", strstr(e->details, rows[i].rule) != NULL);
        }
        play_free(&p);
    }
}

/* ---- all other members, and a minimum of one's own ---- */

static const char *by_site_of(struct cx *cx, size_t victims)
{
    const struct pick picks[] = {
        {30, -1, HOME, 0}, {30, -1, LIAR, 0}, {victims, -1, VICTIM, 0}};

    return cohort_of(cx, picks, COUNT(picks));
}

static void test_gate_members__all_others_together_learn_no_few_of_one(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    static const struct question count = {.analysis = "count"},
                                 table = {.analysis = "table", .formula = "sex"},
                                 line = {.analysis = "lm", .formula = "score ~ age"};
    static const char why[] = "all_other_members";
    (void)state;

    CHECK_EQ_("nine", is_released(&count, by_site_of(cx, 9), VICTIM, why), false);
    CHECK_EQ_("ten", is_released(&count, by_site_of(cx, 10), VICTIM, why), true);
    CHECK_EQ_("ten by sex", is_released(&table, by_site_of(cx, 10), VICTIM, why), false);
    CHECK_EQ_("sixty by sex", is_released(&table, by_site_of(cx, 60), VICTIM, why), true);
    CHECK_EQ_("too few for a line", is_released(&line, by_site_of(cx, 11), VICTIM, why),
              false);
    CHECK_EQ_("enough", is_released(&line, by_site_of(cx, 60), VICTIM, why), true);
}

static void test_gate_members__the_others_number_is_none_of_it(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    static const struct question count = {.analysis = "count"};
    (void)state;

    /* Under the default, three at each of many hospitals is what federation is for. */
    CHECK_EQ_("nine of sixty-nine", is_released(&count, by_site_of(cx, 9), VICTIM, ""),
              true);
}

static void test_gate_members__local_minimum_counts_what_is_asked(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    static const struct question count = {.analysis = "count"};
    (void)state;

    CHECK_EQ_("14", is_released(&count, by_site_of(cx, 14), VICTIM, "local_minimum"),
              false);
    CHECK_EQ_("15", is_released(&count, by_site_of(cx, 15), VICTIM, ""), true);
}

/* ---- a net process that is taken over ---- */

static bool holds(struct bytes text, double number)
{
    for (size_t i = 0; i + sizeof number <= text.n; i++)
        if (memcmp(text.p + i, &number, sizeof number) == 0)
            return true;
    return false;
}

/* The release's policy has them, too. */
static bool is_public(double number)
{
    bool found = number == 0 || number == 1;

    for (int f = 0; f < POLICY_FIELDS; f++)
        found = found || number == policy_field((enum policy_field)f)->standard;
    return found;
}

/* Means, spreads and coefficients of a fit that nobody will release pass the net process of
 * every site, home's first. */
static void test_gate_members__the_net_reads_no_shared_numbers(void **state)
{
    AUTO_CX struct cx *cx = cx_new(64 << 20, CX_NO_DEADLINE);
    static const struct question q = {
        .analysis = "glm", .formula = "status ~ age + sex", .family = "binomial"};
    struct play p;
    size_t numbers = 0;
    (void)state;

    ask_question(&p, &q, cases_of(cx, 40, 5)); /* R1: five in a class of the outcome */
    play_start(&p);
    while (p.answer[VICTIM] == NULL) {
        play_to(&p, p.round);
        const struct state *home = play_session(&p, HOME)->state;
        for (size_t i = 0; home != NULL && i < home->n_input; i++) {
            if (is_public(home->input[i]))
                continue; /* bytes that stand everywhere */
            numbers++;
            CHECK_("the proposal shows no shared number",
                   !holds(p.proposal, home->input[i]));
        }
        for (size_t k = VAULTS; k-- > 0;)
            CHECK_OK_("step", p.cx, play_step(&p, k, NULL));
        p.round++;
    }
    CHECK_("there were numbers", numbers > 20);
    CHECK_("not released", !play_release(&p, HOME)->released);
    play_free(&p);
}

static void signed_once_more(struct play *p, size_t victim, Cohortium__StepCall *call)
{
    struct envelope e;
    Cohortium__Proposal *m;
    struct bytes packed;

    (void)victim;
    CHECK_OK_("open", p->cx,
              envelope_open(p->cx, ENVELOPE_PROPOSAL, PB_BYTES(call->proposal), &e));
    CHECK_OK_("open", p->cx,
              pb_unpack(p->cx, &cohortium__proposal__descriptor, e.body,
                        envelope_bound(ENVELOPE_PROPOSAL), &m));
    m->stamp->expires_at++;
    CHECK_OK_(
        "sign", p->cx,
        envelope_seal(p->cx, ENVELOPE_PROPOSAL, &m->base, t.site[HOME].v.signing, &packed));
    call->proposal = PB_DATA(packed);
}

/* Home's vault cannot open what it sealed, so it takes back its newest proposal only. */
static void test_gate_members__home_takes_back_its_newest_proposal_only(void **state)
{
    static const struct question q = {.analysis = "lm", .formula = "score ~ age"};
    struct play p;
    (void)state;

    ask_question(&p, &q, NULL);
    play_start(&p);
    play_to(&p, 3);
    CHECK_EQ_("not its own", play_step(&p, HOME, signed_once_more), FAULT_CONFLICT);
    play_forget(&p);
    play_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(cautious, test_gate_members__0_1_a_small_group_is_not_summed),
        UNDER(cautious, test_gate_members__0_1_counts_need_the_threshold_only),
        UNDER(cautious, test_gate_members__a_fit_of_too_few_is_not_summed),
        UNDER(guarded, test_gate_members__all_others_together_learn_no_few_of_one),
        UNDER(cautious, test_gate_members__the_others_number_is_none_of_it),
        UNDER(cautious, test_gate_members__the_net_reads_no_shared_numbers),
        UNDER(cautious, test_gate_members__home_takes_back_its_newest_proposal_only),
        UNDER(minimum, test_gate_members__local_minimum_counts_what_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

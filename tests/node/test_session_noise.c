/*
 * test_session_noise.c - questions under noise: what it needs, what it costs, and that
 * nothing gives a budget back or the same noise off.
 */
#include <math.h>

#include "node/vault/zcdp.h"
#include "tests/node/session_case.h"

static const char NOISED[] = "class: cautious\nresponse_quantum_ms: 0\n"
                             "noise_mechanism: discrete_gaussian\nrho_per_request: 0.125\n"
                             "rho_per_project: 0.25\nrho_per_researcher: 0.375\n"
                             "rho_total: 0.5\n";

static int noised(void **state)
{
    (void)state;
    vaults_new(&t, NOISED);
    return 0;
}

/* ---- what a vault's database says was spent ---- */

struct counting {
    const char *text;
    int64_t n;
};

static enum fault count_one(struct cx *cx, sqlite3 *sql, void *user)
{
    struct counting *c = user;
    AUTO_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;

    TRY(db_prepare(cx, sql, &stmt, c->text, ""));
    TRY(db_step(cx, sql, stmt, &row));
    c->n = row ? sqlite3_column_int64(stmt, 0) : -1;
    return FAULT_NONE;
}

static int64_t ask_sql(size_t site, const char *text)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct counting c = {.text = text};

    assert_non_null(cx);
    CHECK_OK_(text, cx, db_read(cx, t.site[site].v.db, count_one, &c));
    return c.n;
}

/* In eighths of rho, at every vault alike. */
static void check_spent(int64_t eighths)
{
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("spent", ask_sql(i, "SELECT coalesce(sum(rho),0) FROM noise_spent"),
                  eighths * (int64_t)(ZCDP_ONE / 8));
}

static struct bytes answer_of(struct cx *cx, const char *cohort)
{
    struct play p;

    ask(&p, cohort);
    play_whole(&p);
    struct bytes body = play_body(&p, VICTIM);
    struct bytes kept = bytes_of(cx_memdup(cx, body.p, body.n), body.n);

    assert_non_null(kept.p);
    play_free(&p);
    return kept;
}

static void refused(const char *cohort, const char *why)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p;

    assert_non_null(cx);
    play_new(&p, &t,
             vaults_seal(cx, vaults_request(&t, cx, "count", NULL, cohort), t.researcher));
    for (size_t i = 0; i < VAULTS; i++) {
        CHECK_EQ_(cohort, play_preflight(&p, i), FAULT_NONE);
        const Cohortium__Preflight *m = play_preflight_of(&p, i);
        CHECK_EQ_(cohort, m->n_complaints, 1);
        assert_string_equal(m->complaints[0]->code, "privacy_budget_used_up");
        CHECK_(why, strstr(m->complaints[0]->text, why) != NULL);
    }
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_(cohort, play_begin(&p, i, i == LIAR), FAULT_INVALID);
    play_free(&p);
}

/* ---- answers ---- */

static void test_session__a_noised_count(void **state)
{
    double truth = 0;
    struct play p;
    (void)state;

    for (size_t i = 0; i < VAULTS; i++)
        for (size_t k = 0; k < t.site[i].n; k++)
            truth += t.site[i].rows[k].age >= 60;
    ask(&p, "age >= 60");
    play_whole(&p);
    for (size_t i = 0; i < VAULTS; i++) {
        const Cohortium__Release *r = play_release(&p, i);

        CHECK_("released", r->released);
        /* 1 / (2 * 0.125), over two of three shares: four each is the least there is */
        CHECK_("the noise is told", fabs(value(r, "noise_sd", 0) - sqrt(12)) < 1e-12);
        CHECK_("near the truth", fabs(value(r, "patients", 0) - truth) < 8 * sqrt(12));
        CHECK_("no rows beside", released_item(r->result, "rows") == NULL);
        CHECK_("the same everywhere", bytes_equal(play_body(&p, i), play_body(&p, HOME)));
    }
    CHECK_EQ_("no region is exact", p.round, 3);
    check_count(TABLE_LEDGER, 0);
    check_spent(1);
    play_free(&p);
}

/* Of patients that fit on one hand the answer is what noise makes of it, never a refusal
 * that tells them from nobody. */
static void test_session__few_are_not_refused(void **state)
{
    struct play p;
    (void)state;

    ask(&p, "age >= 80");
    play_whole(&p);
    const Cohortium__Release *r = play_release(&p, VICTIM);
    const Cohortium__Item *item;

    CHECK_("released", r->released);
    item = released_item(r->result, "patients");
    CHECK_("given or withheld by its noised size",
           item->state.data[0] == 1 || item->values[0] >= 10);
    play_free(&p);
}

static void test_session__the_same_again_is_free(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    (void)state;

    assert_non_null(cx);
    struct bytes first = answer_of(cx, "age >= 60");
    CHECK_("the same bytes", bytes_equal(first, answer_of(cx, "age >= 60")));
    check_spent(1);
    for (size_t i = 0; i < VAULTS; i++)
        vaults_reopen(&t, i);
    CHECK_("after a restart", bytes_equal(first, answer_of(cx, "age >= 60")));
    /* One vault has lost it and all run anew: the same noise, so the same answer. */
    vaults_lose(&t, VICTIM, TABLE_ANSWERS);
    CHECK_("run anew", bytes_equal(first, answer_of(cx, "age >= 60")));
    for (size_t i = 0; i < VAULTS; i++)
        vaults_lose(&t, i, TABLE_ANSWERS);
    CHECK_("by all", bytes_equal(first, answer_of(cx, "age >= 60")));
    check_spent(1);
    for (size_t i = 0; i < VAULTS; i++)
        CHECK_EQ_("one draw", ask_sql(i, "SELECT count(*) FROM noise_spent"), 2);
}

/* ---- what it costs ---- */

static void test_session__a_permit_is_used_up(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    (void)state;

    assert_non_null(cx);
    (void)answer_of(cx, "age >= 40");
    (void)answer_of(cx, "age >= 60");
    check_spent(2);
    refused("age < 60", "this permit");
    for (size_t i = 0; i < VAULTS; i++)
        vaults_reopen(&t, i);
    refused("age < 60", "rho_per_project is 0.2500, 0.2500 is spent");
    (void)answer_of(cx, "age >= 60"); /* still to be had */
    vaults_permit(&t, &(struct vaults_permit){.researcher = t.researcher}, t.permit);
    (void)answer_of(cx, "age < 60");
    check_spent(3);
    vaults_permit(&t, &(struct vaults_permit){.researcher = t.researcher}, t.permit);
    refused("age < 40", "this researcher");
    check_spent(3);
}

static void test_session__officers_see_what_was_spent(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    (void)state;

    assert_non_null(cx);
    const Cohortium__AdminReply *r =
        vaults_desk(&t, cx, VICTIM, "policy spent", NULL, 0, NULL, 0);
    CHECK_("nothing yet", strstr(r->text, "nothing was spent") != NULL);
    (void)answer_of(cx, "age >= 40");
    (void)answer_of(cx, "age >= 60");
    r = vaults_desk(&t, cx, VICTIM, "policy spent", NULL, 0, NULL, 0);
    CHECK_(r->text, strstr(r->text, "patients patient: rho 0.2500 of 0.5000, 2 questions"));
    CHECK_(r->text, strstr(r->text, "rho 0.2500 of 0.2500, 2 questions")); /* the permit */
    CHECK_(r->text, strstr(r->text, "rho 0.2500 of 0.3750, 2 questions"));
}

/* Tenths of the narrowest budget that a dry run tells this researcher. */
static uint32_t told_left(struct cx *cx, const struct keys *researcher)
{
    uint8_t permit[ID_BYTES], subject[DIGEST_BYTES];
    struct play p;

    vaults_permit(&t, &(struct vaults_permit){.researcher = researcher}, permit);
    struct bytes paper = vaults_credential(&t, cx, HOME, researcher);
    Cohortium__Request *r = vaults_request(&t, cx, "count", NULL, "age < 40");

    r->dry_run = true;
    digest_of(bytes_of(keys_signing_public(researcher), KEY_BYTES), subject);
    r->stamp->issuer = PB_DATA(bytes_of(subject, sizeof subject));
    r->credential = PB_DATA(paper);
    r->permit = PB_DATA(bytes_of(permit, ID_BYTES));
    play_new(&p, &t, vaults_seal(cx, r, researcher));
    CHECK_EQ_("preflight", play_preflight(&p, VICTIM), FAULT_NONE);
    const Cohortium__Preflight *m = play_preflight_of(&p, VICTIM);

    CHECK_EQ_("valid", m->n_complaints, 0);
    uint32_t left = m->noise_left;

    play_free(&p);
    return left;
}

/* What a dry run tells one researcher of a permit's budgets; absent: nothing. */
static bool told_budget(struct cx *cx, const struct keys *researcher,
                        const uint8_t permit[ID_BYTES], bool dry_run,
                        Cohortium__Budget *ret)
{
    uint8_t subject[DIGEST_BYTES];
    struct play p;

    struct bytes paper = vaults_credential(&t, cx, HOME, researcher);
    Cohortium__Request *r = vaults_request(&t, cx, "count", NULL, "age < 30");
    r->dry_run = dry_run;
    digest_of(bytes_of(keys_signing_public(researcher), KEY_BYTES), subject);
    r->stamp->issuer = PB_DATA(bytes_of(subject, sizeof subject));
    r->credential = PB_DATA(paper);
    r->permit = PB_DATA(bytes_of(permit, ID_BYTES));
    play_new(&p, &t, vaults_seal(cx, r, researcher));
    CHECK_EQ_("preflight", play_preflight(&p, VICTIM), FAULT_NONE);
    const Cohortium__Budget *b = play_preflight_of(&p, VICTIM)->budget;

    if (b != NULL)
        *ret = *b;
    play_free(&p);
    return b != NULL;
}

/* A permit's own researcher hears its use, also when nothing is left; of the patients' budget
 * each hears their own part. */
static void test_session__budgets_are_told_to_whose_they_are(void **state)
{
    AUTO_CX struct cx *cx = cx_new(32 << 20, CX_NO_DEADLINE);
    uint64_t eighth = ZCDP_ONE / 8;
    uint8_t other[ID_BYTES];
    Cohortium__Budget b;
    (void)state;

    assert_non_null(cx);
    vaults_permit(&t, &(struct vaults_permit){.researcher = t.stranger}, other);
    (void)answer_of(cx, "age >= 40");
    (void)answer_of(cx, "age >= 60");
    CHECK_("one's own", told_budget(cx, t.researcher, t.permit, true, &b));
    CHECK_EQ_("questions", b.permit_questions, 2);
    CHECK_EQ_("a question", b.rho, eighth);
    CHECK_EQ_("permit", b.permit_spent, 2 * eighth);
    CHECK_EQ_("of", b.permit_limit, 2 * eighth); /* used up, and told all the same */
    CHECK_EQ_("researcher", b.researcher_spent, 2 * eighth);
    CHECK_EQ_("of", b.researcher_limit, 3 * eighth);
    CHECK_EQ_("patients", b.patients_own, 2 * eighth);
    CHECK_EQ_("of", b.patients_limit, 4 * eighth);
    CHECK_("another's permit", !told_budget(cx, t.stranger, t.permit, true, &b));
    CHECK_("another's own", told_budget(cx, t.stranger, other, true, &b));
    CHECK_EQ_("nothing of what others asked",
              b.permit_questions + b.permit_spent + b.researcher_spent + b.patients_own, 0);
    CHECK_("not where it is no dry run", !told_budget(cx, t.stranger, other, false, &b));
}

/* Half of the dataset's budget is gone: whoever spent it sees that, nobody else does. */
static void test_session__nobody_hears_what_others_spent(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    (void)state;

    assert_non_null(cx);
    CHECK_EQ_("at first", told_left(cx, t.stranger), 10);
    (void)answer_of(cx, "age >= 40");
    CHECK_EQ_("after one of two", told_left(cx, t.researcher), 5);
    (void)answer_of(cx, "age >= 60");
    CHECK_EQ_("after two of two", told_left(cx, t.researcher), 0);
    CHECK_EQ_("another researcher", told_left(cx, t.stranger), 10);
}

/* A vector is out: what it spent stays spent, and the same question goes on from there. */
static void test_session__a_crash_gives_nothing_back(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct play p;
    (void)state;

    assert_non_null(cx);
    ask(&p, "age >= 60");
    play_start(&p);
    check_spent(0); /* accepted costs nothing */
    play_to(&p, 0);
    CHECK_EQ_("home is charged", ask_sql(HOME, "SELECT count(*) FROM noise_spent"), 1);
    CHECK_EQ_("a vector", play_step(&p, VICTIM, NULL), FAULT_NONE);
    CHECK_EQ_("charge and draw", ask_sql(VICTIM, "SELECT count(*) FROM noise_spent"), 2);
    play_forget(&p);
    play_free(&p);
    for (size_t i = 0; i < VAULTS; i++)
        vaults_reopen(&t, i);
    CHECK_EQ_("stays", ask_sql(VICTIM, "SELECT sum(rho) FROM noise_spent"),
              (int64_t)(ZCDP_ONE / 8));
    (void)answer_of(cx, "age >= 40");
    CHECK_EQ_("two questions", ask_sql(VICTIM, "SELECT sum(rho) FROM noise_spent"),
              (int64_t)(ZCDP_ONE / 4));
    (void)answer_of(cx, "age >= 60"); /* charged already */
    check_spent(2);
    refused("age < 60", "this permit");
}

/* The same question, but other numbers under the noise: one more release, so one more
 * price. */
static void test_session__another_draw_is_charged(void **state)
{
    AUTO_CX struct cx *cx = cx_new(1 << 20, CX_NO_DEADLINE);
    struct play p;
    uint8_t draw[32] = {1};
    (void)state;

    assert_non_null(cx);
    ask(&p, "age >= 60");
    play_start(&p);
    play_round(&p);
    struct session *s = play_session(&p, VICTIM);
    struct vault *v = &t.site[VICTIM].v;

    CHECK_OK_("another", cx,
              charge_noise(cx, v, &s->o, s->question, 0, draw, s->o.noise.rho));
    CHECK_EQ_("is charged", ask_sql(VICTIM, "SELECT sum(rho) FROM noise_spent"),
              (int64_t)(ZCDP_ONE / 4));
    CHECK_OK_("the same", cx,
              charge_noise(cx, v, &s->o, s->question, 0, draw, s->o.noise.rho));
    CHECK_EQ_("is not", ask_sql(VICTIM, "SELECT sum(rho) FROM noise_spent"),
              (int64_t)(ZCDP_ONE / 4));
    draw[0]++;
    CHECK_EQ_("a third has no room",
              charge_noise(cx, v, &s->o, s->question, 0, draw, s->o.noise.rho),
              FAULT_REFUSED);
    play_forget(&p);
    play_free(&p);
}

/* ---- what cannot be noised ---- */

static void invalid(Cohortium__Request *r, const char *why)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct play p;

    assert_non_null(cx);
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    CHECK_EQ_(why, play_preflight(&p, VICTIM), FAULT_NONE);
    const Cohortium__Preflight *m = play_preflight_of(&p, VICTIM);
    bool said = false;

    for (size_t i = 0; i < m->n_complaints; i++)
        said = said || strstr(m->complaints[i]->text, why) != NULL;
    CHECK_(why, said);
    play_free(&p);
}

static void test_session__by_site_is_refused(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    (void)state;

    assert_non_null(cx);
    for (size_t i = 0; i < VAULTS; i++)
        vaults_policy(&t, i,
                      "class: cautious\nresponse_quantum_ms: 0\nby_site: yes\n"
                      "noise_mechanism: discrete_gaussian\n");
    permit_by_site(0);
    invalid(each_request(cx, "count", NULL, "age >= 60"), "leave --by-site out");
    check_spent(0);
}

/* One site's noise is the session's. */
static void test_session__the_strictest_decides(void **state)
{
    struct play p;
    (void)state;

    vaults_policy(&t, HOME, CAUTIOUS);
    ask(&p, "age >= 60");
    play_whole(&p);
    CHECK_("noised", released_item(play_release(&p, HOME)->result, "noise_sd") != NULL);
    play_free(&p);
    for (size_t i = 0; i < VAULTS; i++)
        vaults_policy(&t, i, CAUTIOUS);
    ask(&p, "age >= 60");
    play_whole(&p);
    CHECK_("exact", released_item(play_release(&p, HOME)->result, "noise_sd") == NULL);
    play_free(&p);
}

/* ---- how much noise a measure needs ---- */

static struct measure *measure_of(struct cx *cx)
{
    struct measure *m;

    CHECK_OK_("measure", cx, measure_new(cx, t.cb, &m));
    m->rows_max = 1;
    return m;
}

static struct zcdp_plan plan_of(struct cx *cx, struct measure *m, uint64_t rho,
                                unsigned honest)
{
    struct zcdp_plan plan;
    struct zcdp_terms terms = {rho, honest};

    CHECK_OK_("close", cx, measure_close(m, 40));
    CHECK_OK_("plan", cx, zcdp_plan_make(cx, m, &terms, &plan));
    return plan;
}

/* Standard deviation of number i in its own unit. */
static double sd_of(const struct zcdp_plan *plan, const struct measure *m, size_t block,
                    size_t i)
{
    const struct zcdp_number *x = &plan->blocks[block].sums[i];

    return ldexp(sqrt((double)x->variance), (int)x->shift - m->blocks[block].scales[i]);
}

static void test_session__noise_fits_the_bounds(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    uint64_t rho = ZCDP_ONE / 128;
    (void)state;

    assert_non_null(cx);
    int age = codebook_find(t.cb, "age"), score = codebook_find(t.cb, "score");
    struct measure *m = measure_of(cx);
    ref sums[2] = {m_column(m, age), m_column(m, score)};
    struct block block = {.where = m_binary(m, M_AND, m_valid(m, age), m_valid(m, score)),
                          .sums = sums,
                          .n_sums = 2};

    (void)measure_block(m, &block);
    struct zcdp_plan plan = plan_of(cx, m, rho, 2);
    /* patients, sum of age, sum of score: K = 3; s^2 K / (2 rho honest) */
    CHECK_EQ_("families", plan.families, 3);
    CHECK_EQ_("count", plan.blocks[0].count.variance, 3 * 128 / 4);
    CHECK_("age up to 120", fabs(sd_of(&plan, m, 0, 0) / (120 * sqrt(96)) - 1) < 1e-6);
    CHECK_("score up to 10", fabs(sd_of(&plan, m, 0, 1) / (10 * sqrt(96)) - 1) < 1e-6);
    CHECK_("never less", sd_of(&plan, m, 0, 0) >= 120 * sqrt(96));

    m = measure_of(cx);
    sums[0] = m_column(m, age);
    sums[1] = m_column(m, score);
    block.where = m_binary(m, M_AND, m_valid(m, age), m_valid(m, score));
    block.uncounted = true;
    (void)measure_block(m, &block);
    m->rows_max = 4;
    plan = plan_of(cx, m, rho, 2);
    CHECK_EQ_("without a count", plan.families, 2);
    CHECK_("four rows", fabs(sd_of(&plan, m, 0, 1) / (40 * sqrt(64)) - 1) < 1e-6);
}

static void test_session__blocks_that_exclude_each_other(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    (void)state;

    assert_non_null(cx);
    int age = codebook_find(t.cb, "age"), score = codebook_find(t.cb, "score");

    for (int apart = 0; apart < 2; apart++) {
        struct measure *m = measure_of(cx);
        ref has = m_valid(m, score), other = m_valid(m, age);
        struct block a = {.where = m_binary(m, M_AND, other, has)},
                     b = {.where = m_binary(m, M_AND, other,
                                            apart ? m_unary(m, M_NOT, has) : other)};

        (void)measure_block(m, &a);
        (void)measure_block(m, &b);
        struct zcdp_plan plan = plan_of(cx, m, ZCDP_ONE / 128, 1);
        CHECK_EQ_(apart ? "apart" : "together", plan.families, apart ? 1 : 2);
        CHECK_EQ_("variance", plan.blocks[1].count.variance, apart ? 64 : 128);
    }
    /* Rows of one patient may lie in both. */
    struct measure *m = measure_of(cx);
    struct block a = {.where = m_valid(m, score)},
                 b = {.where = m_unary(m, M_NOT, m_valid(m, score))};
    (void)measure_block(m, &a);
    (void)measure_block(m, &b);
    m->rows_max = 5;
    struct zcdp_plan plan = plan_of(cx, m, ZCDP_ONE / 128, 1);
    CHECK_EQ_("two cells at most", plan.blocks[0].count.variance, 128);
}

static void test_session__no_room_for_noise(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    struct zcdp_plan plan;
    struct zcdp_terms terms = {1, 1};
    (void)state;

    assert_non_null(cx);
    int age = codebook_find(t.cb, "age");
    struct measure *m = measure_of(cx);
    ref design[1] = {m_column(m, age)}, weights[1] = {0};
    struct block block = {.where = m_valid(m, age),
                          .design = design,
                          .n_design = 1,
                          .weights = weights,
                          .n_weights = 1};

    (void)measure_block(m, &block);
    CHECK_OK_("close", cx, measure_close(m, 40));
    CHECK_EQ_("a gram", zcdp_plan_make(cx, m, &terms, &plan), FAULT_INTERNAL);
    m = measure_of(cx);
    m->rows_max = 0;
    struct block keyed = {.where = m_valid(m, age), .sums = design, .n_sums = 1};
    design[0] = m_column(m, age);
    (void)measure_block(m, &keyed);
    CHECK_OK_("close", cx, measure_close(m, 40));
    terms.rho = ZCDP_ONE;
    CHECK_EQ_("rows without end", zcdp_plan_make(cx, m, &terms, &plan), FAULT_INTERNAL);
    m->rows_max = 1000;
    CHECK_OK_("a thousand", cx, zcdp_plan_make(cx, m, &terms, &plan));
    terms.rho = 0;
    CHECK_EQ_("no rho", zcdp_plan_make(cx, m, &terms, &plan), FAULT_INTERNAL);
}

/* The same tally of the same question and round has the same noise; anything else has
 * noise of its own, so that nothing cancels. */
static void test_session__noise_is_of_what_it_hides(void **state)
{
    AUTO_CX struct cx *cx = cx_new(16 << 20, CX_NO_DEADLINE);
    uint8_t secret[32] = {1}, question[32] = {2}, draw[32], first_draw[32];
    struct tally *own, *first, *other;
    (void)state;

    assert_non_null(cx);
    int age = codebook_find(t.cb, "age");
    struct measure *m = measure_of(cx);
    ref sums[1] = {m_column(m, age)};
    struct block block = {.where = m_valid(m, age), .sums = sums, .n_sums = 1};

    (void)measure_block(m, &block);
    struct zcdp_plan plan = plan_of(cx, m, ZCDP_ONE / 1024, 2);
    CHECK_OK_("own", cx, tally_new(cx, m->n_counts, m->n_sums, &own));
    own->counts[0] = own->counts[1] = 70;
    own->sums[0] = (ufixed)4000 << 40;
    CHECK_OK_(
        "add", cx,
        gate_noise_add(cx, &plan, m, secret, question, 0, own, false, &first, first_draw));
    CHECK_("a count is noised", first->counts[0] != 70);
    CHECK_EQ_("rows are not told", first->counts[1], 0);
    CHECK_("a sum is noised", first->sums[0] != own->sums[0]);
    CHECK_EQ_("ours stays", own->counts[0], 70);

    for (int change = 0; change < 6; change++) {
        uint8_t key[32], asked[32];
        uint64_t kept = own->counts[0];

        memcpy(key, secret, 32);
        memcpy(asked, question, 32);
        key[31] ^= change == 1;
        asked[31] ^= change == 2;
        own->counts[0] += change == 5;
        CHECK_OK_("again", cx,
                  gate_noise_add(cx, &plan, m, key, asked, change == 3, own, change == 4,
                                 &other, draw));
        bool same = memcmp(draw, first_draw, 32) == 0 && other->sums[0] == first->sums[0];
        CHECK_EQ_("the same noise", same, change == 0);
        CHECK_EQ_("the same name", memcmp(draw, first_draw, 32) == 0, change == 0);
        if (change == 5)
            CHECK_("its difference tells nothing",
                   other->counts[0] - first->counts[0] != 1 ||
                       other->sums[0] != first->sums[0]);
        own->counts[0] = kept;
    }
}

/* ---- numbers ---- */

static void test_session__rho_in_whole_parts(void **state)
{
    static const struct {
        double rho;
        uint64_t want;
    } rows[] = {{0, 0},           {1, ZCDP_ONE},  {0.5, ZCDP_ONE / 2},  {2, 2 * ZCDP_ONE},
                {0.01, 42949672}, {1e-4, 429496}, {0x1p-32, 1},         {0x1p-33, 0},
                {1e-300, 0},      {-1, 0},        {1e300, 4 * ZCDP_ONE}};
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t bits;

        memcpy(&bits, &rows[i].rho, sizeof bits);
        CHECK_EQ_("fixed", zcdp_fixed(bits), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(noised, test_session__a_noised_count),
        UNDER(noised, test_session__few_are_not_refused),
        UNDER(noised, test_session__the_same_again_is_free),
        UNDER(noised, test_session__a_permit_is_used_up),
        UNDER(noised, test_session__officers_see_what_was_spent),
        UNDER(noised, test_session__nobody_hears_what_others_spent),
        UNDER(noised, test_session__budgets_are_told_to_whose_they_are),
        UNDER(noised, test_session__a_crash_gives_nothing_back),
        UNDER(noised, test_session__another_draw_is_charged),
        UNDER(noised, test_session__by_site_is_refused),
        UNDER(noised, test_session__the_strictest_decides),
        UNDER(noised, test_session__noise_fits_the_bounds),
        UNDER(noised, test_session__blocks_that_exclude_each_other),
        UNDER(noised, test_session__no_room_for_noise),
        UNDER(noised, test_session__noise_is_of_what_it_hides),
        UNDER(noised, test_session__rho_in_whole_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

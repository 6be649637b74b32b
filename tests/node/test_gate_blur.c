/* What is released lies on its step; a vault signs its own rounding, or the neighbour at a
 * tie. */
#include "node/vault/gate_private.h"

#include <math.h>

#include "tests/node/gate_case.h"

/* ---- the ladder ---- */

static void test_gate_blur__steps_are_1_2_5(void **state)
{
    static const struct {
        double t, below, above;
    } rows[] = {
        {1, 1, 1},
        {1.0000001, 1, 2},
        {0.9999999, 0.5, 1},
        {2, 2, 2},
        {3, 2, 5},
        {5, 5, 5},
        {7, 5, 10},
        {0.1, 0.1, 0.1},
        {0.02, 0.02, 0.02},
        {0.0049, 0.002, 0.005},
        {1000, 1000, 1000},
        {999, 500, 1000},
        {1e-12, 1e-12, 1e-12},
        {3e200, 2e200, 5e200},
        {6e-200, 5e-200, 1e-199},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "%g", rows[i].t);
        if (fabs(step_value(step_not_above(rows[i].t)) / rows[i].below - 1) > 1e-12)
            fail_msg("%s: not above: %.17g", name, step_value(step_not_above(rows[i].t)));
        if (fabs(step_value(step_not_below(rows[i].t)) / rows[i].above - 1) > 1e-12)
            fail_msg("%s: not below: %.17g", name, step_value(step_not_below(rows[i].t)));
    }
}

/* The decimal that people read is the decimal that was meant: "0.3", not
 * 0.30000000000000004. */
static void test_gate_blur__values_are_short_decimals(void **state)
{
    static const struct {
        int mantissa, exponent;
        double value;
        const char *text;
    } rows[] = {
        {1, -1, 0.30000001, "0.3"},
        {1, -1, 0.25, "0.3"},
        {1, -1, -0.25, "-0.2"},
        {2, -1, 0.69, "0.6"},
        {2, -1, 0.7, "0.8"},
        {5, -2, 0.33, "0.35"},
        {5, 1, 74, "50"},
        {5, 1, 75, "100"},
        {1, -3, 1.0005, "1.001"},
        {2, 2, 1099, "1000"},
        {1, 0, -0.4, "0"},
        {1, -5, 0.017231, "0.01723"},
        {2, -7, 123.45678901, "123.456789"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct step s = {rows[i].mantissa, rows[i].exponent};
        double v = step_round(s, rows[i].value);

        if (v != strtod(rows[i].text, NULL) || signbit(v) != (v < 0))
            fail_msg("%s: got %.17g", rows[i].text, v);
    }
}

static void test_gate_blur__three_digits(void **state)
{
    static const double rows[][2] = {
        {0.0123456, 0.0123}, {0.0123500001, 0.0124}, {9.994, 9.99}, {9.996, 10},
        {123456, 123000},    {-0.012345, -0.0123},   {0, 0},        {1, 1},
        {0.9996, 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct blur b = {.kind = COHORTIUM__ITEM_KIND__ERRORS, .value = rows[i][0]};
        double step, v = blur_value(&b, &step);

        if (v != rows[i][1])
            fail_msg("%g: got %.17g, want %.17g", rows[i][0], v, rows[i][1]);
    }
}

static void test_gate_blur__every_value_is_on_its_step(void **state)
{
    unsigned seed = 1;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        double t = pow(10, (double)(rand_r(&seed) % 120) / 10 - 6);
        double v = (2.0 * rand_r(&seed) / RAND_MAX - 1) * t * 1000;
        struct step s = i % 2 ? step_not_above(t) : step_not_below(t);
        double r = step_round(s, v), q = r / step_value(s);
        char text[40];

        /* The nearest multiple, and the double nearest to its 15-digit decimal. */
        if (fabs(r - v) > step_value(s) * 0.500001)
            fail_msg("%.17g to %.17g by %g", v, r, step_value(s));
        if (fabs(q - nearbyint(q)) > 1e-9)
            fail_msg("%.17g is no multiple of %g", r, step_value(s));
        (void)snprintf(text, sizeof text, "%.15g", r);
        if (strtod(text, NULL) != r)
            fail_msg("%.17g is no short decimal", r);
    }
}

/* ---- releases ---- */

enum { TERMS = 3 };
static const double coef[TERMS] = {1.23456789, -0.000123, 40.2},
                    se[TERMS] = {0.1, 0.01, 3.3};

static void put_model(struct gate_case *g, double shift)
{
    double values[TERMS], other = 1234.5678;
    struct item *item;

    memcpy(values, coef, sizeof values);
    values[0] += shift;
    g->result->is_model = true;
    g->result->model_patients = g->result->model_rows = 202;
    g->result->parameters = TERMS;
    g->result->residual_df = 199;
    g->result->smallest_cell = 202;
    item = result_put(g->result, "coef", COHORTIUM__ITEM_KIND__ESTIMATES, TERMS, 1, values,
                      NULL);
    assert_non_null(item);
    item->steps = cx_memdup(g->cx, se, sizeof se);
    assert_non_null(
        result_put(g->result, "se", COHORTIUM__ITEM_KIND__ERRORS, TERMS, 1, se, NULL));
    assert_non_null(
        result_put(g->result, "aic", COHORTIUM__ITEM_KIND__WHOLES, 1, 1, &other, NULL));
    assert_non_null(
        result_put(g->result, "lr", COHORTIUM__ITEM_KIND__TENTHS, 1, 1, &other, NULL));
    assert_non_null(
        result_put(g->result, "rss", COHORTIUM__ITEM_KIND__EXACT, 1, 1, &other, NULL));
}

static void check_value(const struct gate_case *g, const char *item, size_t i, double want)
{
    double got = gate_case_value(g, item, i);

    if (got != want)
        fail_msg("%s[%zu]: got %.17g, want %.17g", item, i, got, want);
}

static void test_gate_blur__estimates_by_se_over_sqrt_n(void **state)
{
    struct gate_case g;

    (void)state;
    gate_case_new(&g, false);
    put_model(&g, 0);
    gate_case_release(&g, false);
    /* n is released as 200: 0.1/sqrt(200) = 0.00707 -> 0.005; 0.0007 -> 0.0005; 0.233 ->
     * 0.2 */
    check_value(&g, "coef", 0, 1.235);
    check_value(&g, "coef", 1, 0);
    check_value(&g, "coef", 2, 40.2);
    check_value(&g, "se", 0, 0.1);
    check_value(&g, "se", 2, 3.3);
    check_value(&g, "aic", 0, 1235);
    check_value(&g, "lr", 0, 1234.6);
    CHECK_EQ_("EXACT stays", gate_case_state(&g, "rss", 0), 3);
    CHECK_("steps differ", released_item(g.body->result, "coef")->step == 0);
    CHECK_("one step", released_item(g.body->result, "aic")->step == 1);
    CHECK_("one step", released_item(g.body->result, "lr")->step == 0.1);
    gate_case_free(&g);
}

static void test_gate_blur__testing_is_exact(void **state)
{
    struct gate_case g;

    (void)state;
    gate_case_new(&g, true);
    put_model(&g, 0);
    gate_case_release(&g, false);
    for (size_t i = 0; i < TERMS; i++) {
        check_value(&g, "coef", i, coef[i]);
        check_value(&g, "se", i, se[i]);
    }
    check_value(&g, "aic", 0, 1234.5678);
    check_value(&g, "rss", 0, 1234.5678);
    CHECK_("no step", released_item(g.body->result, "aic")->step == 0);
    gate_case_free(&g);
}

static void test_gate_blur__means_by_bounds_over_n(void **state)
{
    static const struct {
        const char *what;
        uint64_t n;
        double width, mean, want, step;
    } rows[] = {
        {"100/200 = 0.5", 202, 100, 62.447, 62.5, 0.5},
        {"100/140 = 0.714 -> 1", 138, 100, 62.447, 62, 1},
        {"150/10 = 15 -> 20", 10, 150, 62.447, 60, 20},
        {"1/230 = 0.00435 -> 0.005", 228, 1, 0.3947, 0.395, 0.005},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case g;
        struct item *item;

        gate_case_new(&g, false);
        item = result_put(g.result, "mean", COHORTIUM__ITEM_KIND__MEANS, 1, 1,
                          &rows[i].mean, &rows[i].n);
        assert_non_null(item);
        item->steps = cx_memdup(g.cx, &rows[i].width, sizeof rows[i].width);
        gate_case_release(&g, false);
        check_value(&g, "mean", 0, rows[i].want);
        CHECK_(rows[i].what, released_item(g.body->result, "mean")->step == rows[i].step);
        gate_case_free(&g);
    }
}

static void test_gate_blur__steps_use_n_as_it_is_released(void **state)
{
    struct gate_case g;
    struct item *item;
    uint64_t all = 228, used = 221, missing = 7;
    double mean = 62.44, width = 220;

    (void)state;
    gate_case_new(&g, false);
    g.result->has_accounting = true;
    g.result->accounting = (struct accounting){"n",      "missing", 1,     &all,    &used,
                                               &missing, &all,      &used, &missing};
    item = result_put(g.result, "mean", COHORTIUM__ITEM_KIND__MEANS, 1, 1, &mean, &used);
    assert_non_null(item);
    item->steps = cx_memdup(g.cx, &width, sizeof width);
    gate_case_release(&g, false);
    /* missing is withheld: n is 230, before exclusions; 220/230 < 1, where 220/220 and less
     * would tell the two apart by a step. */
    check_value(&g, "n", 0, 230);
    CHECK_("step", released_item(g.body->result, "mean")->step == 1);
    gate_case_free(&g);
}

struct fit { /* of 228 patients with one coefficient: 200 residual degrees of freedom */
    const char *what;
    bool fixed; /* the family says the dispersion: 1 */
    double deviance, want, loglik, want_loglik, want_coef;
};

static void put_deviance(struct gate_case *g, const struct fit *f)
{
    static const double one = 1, value = 5.7193, error = 0.01;
    struct item *item;

    g->result->is_model = true;
    g->result->model_patients = g->result->model_rows = g->result->smallest_cell = 228;
    g->result->parameters = 1;
    g->result->residual_df = 200;
    item =
        result_put(g->result, "coef", COHORTIUM__ITEM_KIND__ESTIMATES, 1, 1, &value, NULL);
    assert_non_null(item);
    item->steps = cx_memdup(g->cx, &error, sizeof error);
    assert_non_null(
        result_put(g->result, "dispersion",
                   f->fixed ? COHORTIUM__ITEM_KIND__PLAIN : COHORTIUM__ITEM_KIND__SPREADS,
                   1, 1, &one, NULL));
    assert_non_null(result_put(g->result, "deviance", COHORTIUM__ITEM_KIND__WHOLES, 1, 1,
                               &f->deviance, NULL));
    assert_non_null(result_put(g->result, "loglik", COHORTIUM__ITEM_KIND__WHOLES, 1, 1,
                               &f->loglik, NULL));
}

/* survival::lung, time ~ 1: the Gaussian deviance is the residual sum of squares, and a
 * whole number of it tells one patient's distance from the mean to the day. */
static void test_gate_blur__a_deviance_is_no_finer_than_one_patient(void **state)
{
    static const struct fit rows[] = {
        /* 0.01/sqrt(230) = 0.00066 -> 0.0005 */
        {"binomial", true, 271.2, 271, -135.6, -136, 5.7195},
        {"twice the family's: still 1", true, 399, 399, -199.5, -199, 5.7195},
        {"Gaussian: 50362 -> 50000", false, 10072341, 10050000, -1543.4, -1543, 5.7195},
        /* 158.7 -> 100; 0.00066 * 12.6 = 0.0083 -> 0.005 */
        {"Poisson", true, 31745, 31700, -16700.3, -16700, 5.72},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case g;

        gate_case_new(&g, false);
        put_deviance(&g, &rows[i]);
        gate_case_release(&g, false);
        check_value(&g, "deviance", 0, rows[i].want);
        check_value(&g, "loglik", 0, rows[i].want_loglik);
        check_value(&g, "coef", 0, rows[i].want_coef);
        gate_case_free(&g);
        gate_case_new(&g, true);
        put_deviance(&g, &rows[i]);
        gate_case_release(&g, false);
        check_value(&g, "deviance", 0, rows[i].deviance);
        gate_case_free(&g);
    }
}

/* A share beside a step of the ladder: home may have the one, we the other. */
static void test_gate_blur__adoption_knows_the_tie_of_a_deviance_step(void **state)
{
    static const struct {
        const char *what;
        double theirs, ours; /* a patient's share */
        enum fault want;
    } rows[] = {{"both sides of 20", 20 * (1 + 4e-7), 20 * (1 - 4e-7), FAULT_NONE},
                {"too far apart", 20 * (1 + 4e-7), 20 * (1 - 4e-6), FAULT_CONFLICT}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case home, own;
        const struct fit a = {"home", false, 200.7 * rows[i].theirs, 0, -1500, 0, 0},
                         b = {"own", false, 200.7 * rows[i].ours, 0, -1500, 0, 0};

        gate_case_new(&home, false);
        gate_case_new(&own, false);
        put_deviance(&home, &a);
        put_deviance(&own, &b);
        home.result->residual_df = own.result->residual_df = 200.7; /* 4014: 4020 or 4010 */
        gate_case_release(&home, false);
        gate_case_release(&own, false);
        CHECK_("they differ", gate_case_value(&home, "deviance", 0) !=
                                  gate_case_value(&own, "deviance", 0));
        CHECK_EQ_(rows[i].what, gate_adopt(own.cx, own.release, release_body(home.release)),
                  rows[i].want);
        gate_case_free(&own);
        gate_case_free(&home);
    }
}

static void test_gate_blur__a_number_without_a_step_is_withheld(void **state)
{
    static const double rows[] = {0, NAN, INFINITY, -1};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case g;
        double one = 1;
        struct item *item;

        gate_case_new(&g, false);
        item =
            result_put(g.result, "coef", COHORTIUM__ITEM_KIND__ESTIMATES, 1, 1, &one, NULL);
        assert_non_null(item);
        item->steps = cx_memdup(g.cx, &rows[i], sizeof rows[i]);
        gate_case_release(&g, false);
        CHECK_EQ_("SE is no step", gate_case_state(&g, "coef", 0), 1);
        gate_case_free(&g);
    }
}

/* ---- adoption ---- */

struct proposal { /* what home does to the body that this vault computed */
    const char *what;
    double ours; /* our first coefficient is shifted by so much before the release */
    bool testing;
    const char *item;
    size_t at;
    double value;
    enum fault want;
};

static struct bytes repacked(struct gate_case *g, const char *item, size_t at, double value)
{
    Cohortium__Release *p;
    struct bytes out;

    CHECK_OK_("unpack", g->cx,
              pb_unpack(g->cx, &cohortium__release__descriptor, release_body(g->release),
                        1 << 20, &p));
    for (size_t i = 0; i < p->result->n_items; i++)
        if (strcmp(p->result->items[i]->name, item) == 0)
            p->result->items[i]->values[at] = value;
    CHECK_OK_("pack", g->cx, pb_pack(g->cx, &p->base, &out));
    return out;
}

static void test_gate_blur__adoption_takes_the_neighbour_only_at_a_tie(void **state)
{
    /* coef[0] has the step 0.005; its unrounded value is 1.23456789 + ours. */
    static const struct proposal rows[] = {
        {"our own", 0, false, "coef", 0, 1.235, FAULT_NONE},
        {"a lie of one step up", 0, false, "coef", 0, 1.24, FAULT_CONFLICT},
        {"a lie of one step down", 0, false, "coef", 0, 1.23, FAULT_CONFLICT},
        {"no multiple of the step", 0, false, "coef", 0, 1.234, FAULT_CONFLICT},
        {"below the tie by 0.9e-6 steps", 1.2325 - 4.5e-9 - 1.23456789, false, "coef", 0,
         1.235, FAULT_NONE},
        {"below the tie by 2e-6 steps", 1.2325 - 1e-8 - 1.23456789, false, "coef", 0, 1.235,
         FAULT_CONFLICT},
        {"above the tie by 0.9e-6 steps", 1.2325 + 4.5e-9 - 1.23456789, false, "coef", 0,
         1.23, FAULT_NONE},
        {"above the tie by 2e-6 steps", 1.2325 + 1e-8 - 1.23456789, false, "coef", 0, 1.23,
         FAULT_CONFLICT},
        {"at the tie, two steps off", 1.2325 - 4.5e-9 - 1.23456789, false, "coef", 0, 1.24,
         FAULT_CONFLICT},
        {"an error one digit up", 0, false, "se", 0, 0.101, FAULT_CONFLICT},
        {"a criterion one up", 0, false, "aic", 0, 1236, FAULT_CONFLICT},
        {"testing: our own", 0, true, "coef", 0, 1.23456789, FAULT_NONE},
        {"testing: the last bit", 0, true, "coef", 0, 1.2345678900000002, FAULT_NONE},
        {"testing: beyond 1e-9", 0, true, "coef", 0, 1.234567893, FAULT_CONFLICT},
        {"testing: a sum beyond 1e-9", 0, true, "rss", 0, 1234.56781, FAULT_CONFLICT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case g;
        struct bytes proposed, before;

        gate_case_new(&g, rows[i].testing);
        put_model(&g, rows[i].ours);
        gate_case_release(&g, false);
        before = release_body(g.release);
        proposed = repacked(&g, rows[i].item, rows[i].at, rows[i].value);
        CHECK_EQ_(rows[i].what, gate_adopt(g.cx, g.release, proposed), rows[i].want);
        CHECK_(rows[i].what, bytes_equal(release_body(g.release),
                                         rows[i].want == FAULT_NONE ? proposed : before));
        if (rows[i].want != FAULT_NONE) {
            CHECK_("it names the item", strstr(cx_message(g.cx), rows[i].item) != NULL);
            CHECK_("it tells no value", strpbrk(cx_message(g.cx), "23456789") == NULL);
        }
        gate_case_free(&g);
    }
}

/* SE/sqrt(200) stands on a step of the ladder: another processor's last bit takes the next.
 */
static void test_gate_blur__adoption_knows_that_steps_have_ties_too(void **state)
{
    static const double value = 1.2341;
    double error = 0.005 * sqrt(200) * (1 - 1e-9);
    struct gate_case ours, theirs;
    struct gate_case *both[] = {&ours, &theirs};

    (void)state;
    for (size_t i = 0; i < COUNT(both); i++) {
        struct item *item;

        gate_case_new(both[i], false);
        item = result_put(both[i]->result, "coef", COHORTIUM__ITEM_KIND__ESTIMATES, 1, 1,
                          &value, NULL);
        assert_non_null(item);
        both[i]->result->model_patients = 200;
        item->steps = cx_memdup(both[i]->cx, &error, sizeof error);
        gate_case_release(both[i], false);
        error *= 1 + 2e-9;
    }
    check_value(&ours, "coef", 0, 1.234);
    check_value(&theirs, "coef", 0, 1.235);
    CHECK_("steps", released_item(ours.body->result, "coef")->step == 0.002 &&
                        released_item(theirs.body->result, "coef")->step == 0.005);
    CHECK_OK_("finer adopts coarser", ours.cx,
              gate_adopt(ours.cx, ours.release, release_body(theirs.release)));
    gate_case_release(&ours, false);
    CHECK_OK_("coarser adopts finer", theirs.cx,
              gate_adopt(theirs.cx, theirs.release, release_body(ours.release)));
    gate_case_free(&ours);
    gate_case_free(&theirs);
}

enum lie {
    LIE_NOTE,
    LIE_STATE,
    LIE_NAME,
    LIE_POLICY,
    LIE_EXACT,
    LIE_ITEM_LESS,
    LIE_STEP,
    LIE_NOT_RELEASED,
    LIE_VERSION,
    LIE_COUNT,
    LIE_WORD
};

static void lie(Cohortium__Release *p, enum lie how)
{
    Cohortium__Item *item = p->result->items[0];

    switch (how) {
    case LIE_NOTE:
        p->result->notes[0] = (char *)"all is well";
        break;
    case LIE_STATE:
        p->result->items[1]->state.data[0] = CELL_WITHHELD;
        break;
    case LIE_NAME:
        item->name = (char *)"patients_";
        break;
    case LIE_POLICY:
        p->policy->fields[0]->number = 3;
        break;
    case LIE_EXACT:
        p->exact_for_testing = true;
        break;
    case LIE_ITEM_LESS:
        p->result->n_items--;
        break;
    case LIE_STEP:
        item->step = 1;
        break;
    case LIE_NOT_RELEASED:
        p->released = false;
        break;
    case LIE_VERSION:
        p->versions[0].data[0] ^= 1;
        break;
    case LIE_COUNT:
        item->values[0] += 5;
        break;
    case LIE_WORD:
        p->result->items[p->result->n_items - 1]->words[0] = (char *)"other";
        break;
    }
}

static void test_gate_blur__adoption_takes_nothing_else(void **state)
{
    static const struct {
        const char *what;
        enum lie how;
    } rows[] = {
        {"a note", LIE_NOTE},       {"a state", LIE_STATE},
        {"a name", LIE_NAME},       {"a policy", LIE_POLICY},
        {"exactness", LIE_EXACT},   {"an item less", LIE_ITEM_LESS},
        {"a step", LIE_STEP},       {"not released", LIE_NOT_RELEASED},
        {"a version", LIE_VERSION}, {"a count of one base more", LIE_COUNT},
        {"a word", LIE_WORD},
    };
    static const char *const words[] = {"male", "female"};
    static const double counts[] = {138, 90};
    static const uint64_t patients[] = {138, 90};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_case g;
        Cohortium__Release *p;
        struct bytes proposed;

        gate_case_new(&g, false);
        assert_non_null(result_put(g.result, "patients", COHORTIUM__ITEM_KIND__COUNTS, 2, 1,
                                   counts, patients));
        put_model(&g, 0);
        assert_non_null(result_words(g.result, "levels", words, 2));
        result_note(g.result, "a note");
        gate_case_release(&g, false);
        CHECK_OK_("unpack", g.cx,
                  pb_unpack(g.cx, &cohortium__release__descriptor, release_body(g.release),
                            1 << 20, &p));
        lie(p, rows[i].how);
        CHECK_OK_("pack", g.cx, pb_pack(g.cx, &p->base, &proposed));
        CHECK_EQ_(rows[i].what, gate_adopt(g.cx, g.release, proposed), FAULT_CONFLICT);
        CHECK_EQ_("rubbish", gate_adopt(g.cx, g.release, bytes_of("rubbish", 7)),
                  FAULT_FORMAT);
        CHECK_OK_("our own", g.cx, gate_adopt(g.cx, g.release, release_body(g.release)));
        gate_case_release(&g, true);
        CHECK_EQ_("an answer where we refuse", gate_adopt(g.cx, g.release, proposed),
                  FAULT_CONFLICT);
        gate_case_free(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate_blur__steps_are_1_2_5),
        cmocka_unit_test(test_gate_blur__values_are_short_decimals),
        cmocka_unit_test(test_gate_blur__three_digits),
        cmocka_unit_test(test_gate_blur__every_value_is_on_its_step),
        cmocka_unit_test(test_gate_blur__estimates_by_se_over_sqrt_n),
        cmocka_unit_test(test_gate_blur__testing_is_exact),
        cmocka_unit_test(test_gate_blur__means_by_bounds_over_n),
        cmocka_unit_test(test_gate_blur__steps_use_n_as_it_is_released),
        cmocka_unit_test(test_gate_blur__a_number_without_a_step_is_withheld),
        cmocka_unit_test(test_gate_blur__adoption_takes_the_neighbour_only_at_a_tie),
        cmocka_unit_test(test_gate_blur__a_deviance_is_no_finer_than_one_patient),
        cmocka_unit_test(test_gate_blur__adoption_knows_the_tie_of_a_deviance_step),
        cmocka_unit_test(test_gate_blur__adoption_knows_that_steps_have_ties_too),
        cmocka_unit_test(test_gate_blur__adoption_takes_nothing_else),
    };

    return cmocka_run_group_tests_name("gate_blur", tests, NULL, NULL);
}

/*
 * noised_count.c - how many patients are in a cohort, under noise.
 *
 * Asks        one round, one cell: distinct patients; a patient moves it by one
 * Finish      patients, standard deviation of the noise
 * Disclosure  DISCLOSURE.md 3.5; R1 on the noised count
 */
#include <math.h>

#include "analyses/math/tails.h"
#include "analyses/noised.h"
#include "analyses/registry.h"

static enum fault ask(struct cx *cx, const struct asked *asked, const struct state *state,
                      struct measure **ret)
{
    struct measure *m;

    (void)state;
    TRY(measure_new(cx, asked->cb, &m));
    struct block block = {.where = m_is_true(m, asked->cohort)};

    (void)measure_block(m, &block);
    TRY(measure_close(m, asked->rows_log2));
    *ret = m;
    return FAULT_NONE;
}

struct counted {
    double patients, variance;
};

static enum fault learn(struct cx *cx, const struct asked *asked, const struct state *state,
                        const struct measure *m, const struct tally *pooled,
                        struct state **ret)
{
    struct counted *own;

    (void)state;
    TRY(noised_begin(cx, asked, ret));
    CX_NEW(cx, own, 1);
    own->patients = noised_patients(m, pooled, 0, 0);
    own->variance = noised_patients_variance(m, 0);
    (*ret)->own = own;
    (*ret)->done = true;
    return FAULT_NONE;
}

static enum fault finish(struct cx *cx, const struct asked *asked,
                         const struct state *state, struct result **ret)
{
    const struct counted *own = state->own;
    uint64_t support = noised_support(own->patients);
    double sd = sqrt(own->variance);
    struct result *r;

    (void)asked;
    TRY(result_new(cx, &r));
    if (result_put(r, "patients", COHORTIUM__ITEM_KIND__COUNTS, 1, 1, &own->patients,
                   &support) == NULL ||
        result_put(r, "noise_sd", COHORTIUM__ITEM_KIND__PLAIN, 1, 1, &sd, NULL) == NULL)
        return FAULT_MEMORY;
    *ret = r;
    return FAULT_NONE;
}

static enum fault show(struct cx *cx, const struct asked *asked,
                       const Cohortium__Release *release, struct report *report)
{
    static const char *const head[] = {"patients", "noise sd", "95% from", "to"};
    const Cohortium__Item *patients = released_item(release->result, "patients"),
                          *noise = released_item(release->result, "noise_sd");
    struct report_table *t = report_table(report, "count, noised", COUNT(head), 1);
    int state, state_sd;

    (void)asked;
    if (patients == NULL || noise == NULL)
        return cx_fail(cx, FAULT_FORMAT, "count: the noised release lacks its numbers");
    if (t == NULL || report_copy(report, patients) == NULL ||
        report_copy(report, noise) == NULL)
        return FAULT_MEMORY;
    double n = released_value(patients, 0, &state),
           sd = released_value(noise, 0, &state_sd);
    double half = quantile_normal(0.975) * sd;
    double bounds[2] = {fmax(floor(n - half), 0), ceil(n + half)};
    uint8_t states[2] = {(uint8_t)state, (uint8_t)state};

    for (size_t i = 0; i < COUNT(head); i++) {
        t->head[i] = head[i];
        t->numeric[i] = true;
    }
    t->cells[0] = report_number(cx, n, state, 15);
    t->cells[1] = report_number(cx, sd, state_sd, 3);
    t->cells[2] = report_number(cx, bounds[0], state, 15);
    t->cells[3] = report_number(cx, bounds[1], state, 15);
    if (report_states(report, "patients_ci", COHORTIUM__ITEM_KIND__PLAIN, 2, 1, bounds,
                      states) == NULL)
        return FAULT_MEMORY;
    return noised_show(cx, release, report);
}

const struct analysis analysis_noised_count = {
    .name = "count",
    .version = 1,
    .title = "patients in a cohort",
    .rules = "R1",
    .check = noised_check,
    .begin = noised_begin,
    .ask = ask,
    .learn = learn,
    .finish = finish,
    .show = show,
};

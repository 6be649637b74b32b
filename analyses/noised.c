/* noised.c - reading noised sums, and saying what noise is in an answer. */
#include "analyses/noised.h"

#include <math.h>
#include <string.h>

#include "analyses/math/epsilon.h"

enum fault noised_check(struct cx *cx, struct asked *asked, struct complaints *c,
                        struct plan *plan)
{
    (void)cx;
    (void)asked;
    plan->rounds_max = 1;
    return c->fault;
}

enum fault noised_begin(struct cx *cx, const struct asked *asked, struct state **ret)
{
    (void)asked;
    CX_NEW(cx, *ret, 1);
    (*ret)->kind = COHORTIUM__ROUND_KIND__SUM;
    return FAULT_NONE;
}

double noised_patients(const struct measure *m, const struct tally *t, size_t block,
                       size_t cell)
{
    return (double)(int64_t)pooled_patients(m, t, block, cell);
}

double noised_patients_variance(const struct measure *m, size_t block)
{
    return m->blocks[block].noise != NULL ? m->blocks[block].noise[0] : 0;
}

double noised_sum(const struct measure *m, const struct tally *t, size_t block, size_t cell,
                  size_t number)
{
    struct dd sum = pooled_number(m, t, block, cell, number);

    return sum.hi + sum.lo;
}

double noised_sum_variance(const struct measure *m, size_t block, size_t number)
{
    return m->blocks[block].noise != NULL ? m->blocks[block].noise[1 + number] : 0;
}

uint64_t noised_support(double patients)
{
    return patients > 0 ? (uint64_t)fmin(patients, 0x1p62) : 0;
}

double policy_number(const Cohortium__Policy *p, const char *name)
{
    for (size_t i = 0; p != NULL && i < p->n_fields; i++)
        if (strcmp(p->fields[i]->name, name) == 0)
            return p->fields[i]->number;
    return 0;
}

bool release_is_noised(const Cohortium__Release *release)
{
    return policy_number(release->policy, "noise_mechanism") >= 1;
}

const struct analysis *analysis_of_release(const struct analysis *analysis,
                                           const Cohortium__Release *release)
{
    return analysis->noised != NULL && release_is_noised(release) ? analysis->noised
                                                                  : analysis;
}

const char *noised_words(struct cx *cx, double rho, double delta)
{
    /* Up: six digits of epsilon must hold. */
    double epsilon = ceil(epsilon_of(rho, delta) * 1e3) / 1e3;
    const char *text =
        cx_printf(cx, "rho %.6g (epsilon %.6g at delta %g)", rho, epsilon, delta);

    return text != NULL ? text : "";
}

enum fault noised_show(struct cx *cx, const Cohortium__Release *release,
                       struct report *report)
{
    double rho = policy_number(release->policy, "rho_per_request");
    double delta = policy_number(release->policy, "delta"),
           epsilon = epsilon_of(rho, delta);
    const char *line = cx_printf(
        cx,
        "Noise: discrete Gaussian, in every sum before it left its site; this answer has "
        "spent %s.",
        noised_words(cx, rho, delta));

    if (line == NULL)
        return FAULT_MEMORY;
    report_line(report, line);
    if (report_put(report, "noise_rho", COHORTIUM__ITEM_KIND__PLAIN, 1, 1, &rho) == NULL ||
        report_put(report, "noise_epsilon", COHORTIUM__ITEM_KIND__PLAIN, 1, 1, &epsilon) ==
            NULL ||
        report_put(report, "noise_delta", COHORTIUM__ITEM_KIND__PLAIN, 1, 1, &delta) ==
            NULL)
        return FAULT_MEMORY;
    return FAULT_NONE;
}

/*
 * test_session_refusals.c - one refusal is like another (DISCLOSURE.md 1.3).
 *
 * Nobody in the cohort, a few, a class, what was released before, too few to point at, a
 * fit that separates: a client gets the same bytes but for what it asked itself. A count
 * takes the same rounds; a fit 8, 25 or 50 of sums, as it converges (0.7), which its time
 * tells. REFUSALS of each kind (an environment variable; 8 when it is not set), in random
 * order. Printed: how well processor time, of all sites together, tells one kind from
 * another. What a client sees of time: tests/bench/bench_refusals.py.
 */
#include "tests/node/session_case.h"

#include <math.h>
#include <time.h>

enum { KINDS_MAX = 6, OTHER_ROUNDS = 5 /* than sums: regions, verdict, opening, ... */ };

static size_t each(void)
{
    const char *set = getenv("REFUSALS");

    return set != NULL ? strtoull(set, NULL, 10) : 8;
}

static uint64_t random_state = 88172645463325252ULL;

static uint64_t below(uint64_t n) /* xorshift64: the same order in every run */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 16) % n;
}

/* Of each site: young ones of whom none is ill, middle ones of whom five are, of all sites
 * together and all of them men, old ones, and one of 85 years. */
static void arrange(void)
{
    size_t ill = 0;

    for (size_t s = 0; s < VAULTS; s++) {
        for (size_t i = 0; i < t.site[s].n; i++) {
            struct vault_row *r = &t.site[s].rows[i];

            r->age = i == 0 ? 85 : i % 3 == 0 ? 30 : i % 3 == 1 ? 50 : 70;
            r->sex = (double)(i / 3 % 2);
            r->score = (double)(i % 7) / 2;
            r->status = r->age == 70 && i / 6 % 2;
            if (r->age == 50 && r->sex == 1 && ill < 5) {
                r->status = 1;
                ill++;
            }
        }
        vaults_import(&t, s);
    }
}

struct kind {
    const char *what, *cohort;
};

static const struct kind counts[] = {
    {"empty", "age < 40 and status == 1"},
    {"one to k - 1", "age >= 40 and age < 60 and status == 1"},
    {"class disclosure", "age < 40 and status == 0"},
    {"ledger", "age >= 60 and age < 80 and status == 1"},
    {"a small region", "age >= 80 and status == 1"},
};

static const struct kind fits[] = {
    {"empty", "age < 40 and status == 1"},
    {"one to k - 1", "age >= 40 and age < 60 and status == 1"},
    {"class disclosure", "age < 40 and status == 0"},
    {"ledger", "age >= 60 and age < 80"},
    {"a small region", "age >= 80"},
    {"separation", "age >= 40 and age < 60"},
};

/* ---- what a client sees ---- */

struct seen {
    struct bytes bytes; /* the answer but for what was asked */
    uint32_t rounds;
    double ms;
};

static double now_ms(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec * 1e3 + (double)at.tv_nsec / 1e6;
}

/* What follows from the request alone is taken out. */
static struct bytes without_question(struct cx *cx, const Cohortium__Release *r)
{
    Cohortium__Release plain = *r;
    struct bytes packed;

    CHECK_EQ_("question digest", plain.question_digest.len, DIGEST_BYTES);
    CHECK_EQ_("reference", plain.reference.len, 8);
    plain.question = NULL;
    plain.question_digest = plain.reference = PB_DATA((struct bytes){0});
    CHECK_OK_("pack", cx, pb_pack(cx, &plain.base, &packed));
    return packed;
}

static void refuse(struct cx *cx, const char *analysis, const char *formula,
                   const struct kind *kind, size_t number, struct seen *ret)
{
    const char *cohort =
        cx_printf(cx, "%s and score > %.6f", kind->cohort, -9.9 + (double)number * 1e-6);
    struct play p;

    assert_non_null(cohort);
    Cohortium__Request *r = vaults_request(&t, cx, analysis, formula, cohort);

    if (formula != NULL) {
        r->question->params->model->family = (char *)"binomial";
        r->question->params->model->link = (char *)"logit";
    }
    play_new(&p, &t, vaults_seal(cx, r, t.researcher));
    double begin = now_ms();

    play_whole(&p);
    ret->ms = now_ms() - begin;
    ret->rounds = p.round;
    CHECK_(kind->what, !play_release(&p, HOME)->released);
    ret->bytes = without_question(cx, play_release(&p, HOME));
    play_free(&p);
}

/* ---- the area under the curve ---- */

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (x[0] > y[0]) - (x[0] < y[0]);
}

/* How often a time of one kind is above one of the other; ties are a half. */
static double area(struct cx *cx, const double *a, const double *b, size_t n)
{
    double(*all)[2] = cx_array(cx, 2 * n, sizeof *all), sum = 0;

    assert_non_null(all);
    for (size_t i = 0; i < n; i++) {
        all[i][0] = a[i];
        all[i][1] = 1;
        all[n + i][0] = b[i];
        all[n + i][1] = 0;
    }
    qsort(all, 2 * n, sizeof *all, by_value);
    for (size_t i = 0; i < 2 * n;) {
        size_t to = i;

        while (to < 2 * n && all[to][0] == all[i][0])
            to++;
        for (size_t k = i; k < to; k++)
            sum += all[k][1] > 0 ? ((double)i + (double)to + 1) / 2 : 0;
        i = to;
    }
    return (sum - (double)n * ((double)n + 1) / 2) / ((double)n * (double)n);
}

static double median(struct cx *cx, const double *x, size_t n)
{
    double *all = cx_memdup(cx, x, n * sizeof *x);

    assert_non_null(all);
    qsort(all, n, sizeof *all, by_value);
    return all[n / 2];
}

static void compare_times(struct cx *cx, const struct kind *kinds, size_t n_kinds,
                          double *const *ms, size_t n)
{
    double most = 0;

    for (size_t k = 0; k < n_kinds; k++)
        printf("# %-17s %zu, median %.3f ms of processor time\n", kinds[k].what, n,
               median(cx, ms[k], n));
    for (size_t a = 0; a < n_kinds; a++)
        for (size_t b = a + 1; b < n_kinds; b++) {
            double one = area(cx, ms[a], ms[b], n);

            printf("# %-17s %-17s area under the curve %.3f\n", kinds[a].what,
                   kinds[b].what, one);
            most = fmax(most, fabs(one - 0.5));
        }
    printf("# at most 0.5 +- %.3f\n", most);
}

static void check_rounds(const char *analysis, const struct kind *kind, uint32_t rounds,
                         uint32_t first)
{
    bool fit = strcmp(analysis, "glm") == 0;

    CHECK_(kind->what, fit ? rounds == OTHER_ROUNDS + 8 || rounds == OTHER_ROUNDS + 25 ||
                                 rounds == OTHER_ROUNDS + 50
                           : rounds == first);
}

static void check_alike(const char *analysis, const char *formula, const struct kind *kinds,
                        size_t n_kinds)
{
    AUTO_CX struct cx *cx = cx_new((size_t)1 << 30, CX_NO_DEADLINE);
    size_t n = each(), done[KINDS_MAX] = {0};
    double *ms[KINDS_MAX];
    struct seen first, seen;

    assert_non_null(cx);
    for (size_t k = 0; k < n_kinds; k++) {
        ms[k] = cx_array(cx, n, sizeof **ms);
        assert_non_null(ms[k]);
        refuse(cx, analysis, formula, &kinds[k], k, k == 0 ? &first : &seen); /* warms up */
    }
    for (size_t i = 0; i < n * n_kinds; i++) {
        AUTO_CX struct cx *one = cx_new(16 << 20, CX_NO_DEADLINE);
        size_t k = below(n_kinds);

        assert_non_null(one);
        while (done[k] == n)
            k = (k + 1) % n_kinds;
        refuse(one, analysis, formula, &kinds[k], n_kinds + i, &seen);
        if (!bytes_equal(seen.bytes, first.bytes))
            fail_msg("%s: %zu bytes unlike those of another refusal, %zu", kinds[k].what,
                     seen.bytes.n, first.bytes.n);
        check_rounds(analysis, &kinds[k], seen.rounds, first.rounds);
        ms[k][done[k]++] = seen.ms;
    }
    compare_times(cx, kinds, n_kinds, ms, n);
}

/* What the ledger's refusal rests on, and the neighbour: it is given. */
static void release_before(void)
{
    struct play p;

    play_ask(&p, &t, "count", NULL, "age >= 60");
    play_whole(&p);
    CHECK_("before", play_release(&p, HOME)->released);
    play_free(&p);
}

static void test_session__refusals_of_a_count_are_alike(void **state)
{
    (void)state;
    arrange();
    release_before();
    check_alike("count", NULL, counts, COUNT(counts));
}

static void test_session__refusals_of_a_fit_are_alike(void **state)
{
    (void)state;
    arrange();
    release_before();
    check_alike("glm", "status ~ sex", fits, COUNT(fits));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER(cautious, test_session__refusals_of_a_count_are_alike),
        UNDER(cautious, test_session__refusals_of_a_fit_are_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

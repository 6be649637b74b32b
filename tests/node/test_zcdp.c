/*
 * test_zcdp.c - samples from integers: the published vector to the bit, probabilities and
 * variances against their definition, and that a sampler which is a little wrong is found.
 */
#include "node/vault/zcdp.h"

#include <math.h>
#include <sodium.h>

#include "analyses/math/epsilon.h"
#include "tests/check.h"

/* ---- the counter stream of the vector: SHA-256(seed, counter), a call a number ---- */

struct counter {
    const char *seed;
    uint64_t calls;
};

static void draw_sha(void *user, uint8_t *ret, size_t n)
{
    struct counter *c = user;
    uint8_t hash[crypto_hash_sha256_BYTES], at[8];
    crypto_hash_sha256_state h;

    for (size_t i = 0; i < sizeof at; i++)
        at[i] = (uint8_t)(c->calls >> (8 * i));
    (void)crypto_hash_sha256_init(&h);
    (void)crypto_hash_sha256_update(&h, (const uint8_t *)c->seed, strlen(c->seed));
    (void)crypto_hash_sha256_update(&h, at, sizeof at);
    (void)crypto_hash_sha256_final(&h, hash);
    memcpy(ret, hash, n);
    c->calls++;
}

static struct cx *cx;

static int set_up(void **state)
{
    (void)state;
    cx = cx_new(1 << 20, CX_NO_DEADLINE);
    return cx == NULL || sodium_init() < 0 ? -1 : 0;
}

static int take_down(void **state)
{
    (void)state;
    cx_free(&cx);
    return 0;
}

static void test_zcdp__the_published_vector(void **state)
{
    static const int64_t want[] = {1,  2,  -1, -5, 1,  -2, 3,  -1, -2, 0,  2, -1,
                                   -2, -3, -3, -2, -1, -2, -3, -1, 0,  -2, 3, -1};
    struct counter c = {.seed = "cohortium-dg-1"};
    struct zcdp_source source = {draw_sha, &c};
    (void)state;

    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        int64_t y = 99;

        CHECK_OK_("sample", cx,
                  zcdp_gaussian(cx, source, (struct zcdp_variance){4, 1}, &y));
        CHECK_EQ_("sample", y, want[i]);
    }
    CHECK_EQ_("hash calls", c.calls, 905);
}

/* ---- against the definition ---- */

static double weight(double variance, long y)
{
    return exp(-(double)y * (double)y / (2 * variance));
}

static double normaliser(double variance)
{
    double sum = 0;

    for (long y = -2000; y <= 2000; y++)
        sum += weight(variance, y);
    return sum;
}

/* The definition itself against section 3.5, and the two ways to its normaliser. */
static void test_zcdp__what_the_definition_gives(void **state)
{
    static const struct {
        const char *what;
        double variance, p0, p1, spread;
    } rows[] = {
        {"0.25", 0.25, 0.786570707041948, 0.106450769423145, 0.215012675088138},
        {"1", 1, 0.398942278266862, 0.241970723224461, 0.999999788767728},
        {"4", 4, 0.199471140200716, 0.17603266338215, 4},
        {"10", 10, 0.126156626101008, 0.120003894843014, 10},
        {"100", 100, 0.0398942280401433, 0.0396952547477012, 100},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double v = rows[i].variance, sum = normaliser(v), other = 0, spread = 0;

        for (long y = -2000; y <= 2000; y++) {
            spread += (double)y * (double)y * weight(v, y) / sum;
            other += exp(-2 * M_PI * M_PI * v * (double)y * (double)y);
        }
        other *= sqrt(2 * M_PI * v);
        CHECK_(rows[i].what, fabs(sum / other - 1) < 1e-13);
        CHECK_(rows[i].what, fabs(1 / sum - rows[i].p0) < 1e-14);
        CHECK_(rows[i].what, fabs(weight(v, 1) / sum - rows[i].p1) < 1e-14);
        CHECK_(rows[i].what, fabs(spread / rows[i].spread - 1) < 1e-13);
    }
}

/* ---- goodness of fit ---- */

enum { HALF = 24, BINS = 2 * HALF + 1 }; /* values beyond lie in the outer bins */

struct fit {
    double chi2, ks; /* chi-square over what it may be; sqrt(n) D */
    double mean, variance;
};

typedef int64_t sampler(void *user);

static struct fit fit_of(sampler *sample, void *user, double variance, size_t n)
{
    double seen[BINS] = {0}, want[BINS], sum = normaliser(variance), step = 1;
    struct fit f = {0};
    double df = 0, below = 0, below_want = 0;

    while (sqrt(variance) * 4 > step * HALF) /* a few standard deviations in all */
        step++;
    for (size_t i = 0; i < BINS; i++)
        want[i] = 0;
    for (long y = -2000; y <= 2000; y++) {
        double at = floor((double)y / step + 0.5);

        at = fmax(fmin(at, HALF), -HALF);
        want[(size_t)(at + HALF)] += weight(variance, y) / sum * (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        double y = (double)sample(user), at = floor(y / step + 0.5);

        at = fmax(fmin(at, HALF), -HALF);
        seen[(size_t)(at + HALF)]++;
        f.mean += y / (double)n;
        f.variance += y * y / (double)n;
    }
    double pooled_seen = 0, pooled_want = 0;
    for (size_t i = 0; i < BINS; i++) {
        below += seen[i];
        below_want += want[i];
        f.ks = fmax(f.ks, fabs(below - below_want) / sqrt((double)n));
        pooled_seen += seen[i];
        pooled_want += want[i];
        if (pooled_want < 20 && i + 1 < BINS)
            continue; /* rare values together */
        f.chi2 += (pooled_seen - pooled_want) * (pooled_seen - pooled_want) /
                  fmax(pooled_want, 1);
        df++;
        pooled_seen = pooled_want = 0;
    }
    f.chi2 /= df + 5 * sqrt(2 * df) + 8;
    return f;
}

/* Chance says no once in a million; seeds are fixed. */
static bool fits(const struct fit *f, double variance, size_t n)
{
    return f->chi2 < 1 && f->ks < 2.7 && fabs(f->mean) < 5 * sqrt(variance / (double)n) &&
           (variance < 1 || fabs(f->variance / variance - 1) < 5 * sqrt(2 / (double)n));
}

struct streamed {
    struct zcdp_stream stream;
    struct zcdp_variance v;
};

static int64_t exact(void *user)
{
    struct streamed *s = user;
    int64_t y = 0;

    CHECK_OK_("sample", cx, zcdp_gaussian(cx, zcdp_stream_source(&s->stream), s->v, &y));
    return y;
}

static void open_stream(struct streamed *s, uint8_t seed, struct zcdp_variance v)
{
    uint8_t bytes[ZCDP_SEED_BYTES] = {seed};

    zcdp_stream_open(&s->stream, bytes);
    s->v = v;
}

static void test_zcdp__a_million_samples_fit(void **state)
{
    static const struct {
        const char *what;
        struct zcdp_variance v;
        size_t n;
    } rows[] = {
        {"1/4", {1, 4}, 200000},
        {"4", {4, 1}, 1000000},
        {"10", {10, 1}, 200000},
        {"201/2", {201, 2}, 200000},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double v = (double)rows[i].v.a / (double)rows[i].v.b;
        struct streamed s;

        open_stream(&s, (uint8_t)(i + 1), rows[i].v);
        struct fit f = fit_of(exact, &s, v, rows[i].n);
        CHECK_(rows[i].what, fits(&f, v, rows[i].n));
        zcdp_stream_wipe(&s.stream);
    }
}

/* Variances as means and models need them: moments, for there are too many values. */
static void test_zcdp__large_variances(void **state)
{
    static const uint64_t variances[] = {1u << 20, (uint64_t)1 << 40,
                                         ((uint64_t)1 << 50) - 1};
    enum { N = 20000 };
    (void)state;

    for (size_t i = 0; i < sizeof variances / sizeof *variances; i++) {
        double v = (double)variances[i], squares = 0, fourth = 0, mean = 0;
        struct streamed s;

        open_stream(&s, (uint8_t)(40 + i), (struct zcdp_variance){variances[i], 1});
        for (size_t k = 0; k < N; k++) {
            double z = (double)exact(&s) / sqrt(v);

            mean += z / N;
            squares += z * z / N;
            fourth += z * z * z * z / N;
        }
        CHECK_("mean", fabs(mean) < 6 / sqrt(N));
        CHECK_("variance", fabs(squares - 1) < 6 * sqrt(2.0 / N));
        CHECK_("fourth moment", fabs(fourth - 3) < 6 * sqrt(96.0 / N));
    }
}

/* ---- neighbours that must be found ---- */

static int64_t laplace_only(void *user)
{
    struct streamed *s = user;
    int64_t y = 0;

    CHECK_OK_("sample", cx, zcdp_laplace(cx, zcdp_stream_source(&s->stream), 3, &y));
    return y;
}

static int64_t twice_zero(void *user) /* -0 is not thrown again */
{
    struct streamed *s = user;
    int64_t y = exact(s);
    zcdp_wide u = 0;

    CHECK_OK_("u", cx, zcdp_uniform(cx, zcdp_stream_source(&s->stream), 64, &u));
    return u == 0 ? 0 : y;
}

static int64_t one_off(void *user)
{
    struct streamed *s = user;
    zcdp_wide u = 0;

    CHECK_OK_("u", cx, zcdp_uniform(cx, zcdp_stream_source(&s->stream), 40, &u));
    return exact(s) + (u == 0);
}

static int64_t another_variance(void *user)
{
    struct streamed *s = user;

    s->v = (struct zcdp_variance){102, 25};
    return exact(s);
}

static void test_zcdp__a_broken_sampler_is_found(void **state)
{
    static const struct {
        const char *what;
        sampler *sample;
    } rows[] = {
        {"Laplace instead", laplace_only},
        {"zero too often", twice_zero},
        {"one too many, once in forty", one_off},
        {"2 % more variance", another_variance},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct streamed s;

        open_stream(&s, (uint8_t)(80 + i), (struct zcdp_variance){4, 1});
        struct fit f = fit_of(rows[i].sample, &s, 4, 1000000);
        CHECK_(rows[i].what, !fits(&f, 4, 1000000));
    }
}

static void test_zcdp__coins(void **state)
{
    static const struct {
        const char *what;
        zcdp_wide n, d;
        double p;
    } rows[] = {
        {"0.25", 1, 4, .778800783071}, {"0.5", 2, 4, .606530659713},
        {"1", 7, 7, .367879441171},    {"2", 2, 1, .135335283237},
        {"3.5", 7, 2, .030197383422},  {"0", 0, 5, 1},
    };
    enum { N = 400000 };
    struct streamed s;
    (void)state;

    open_stream(&s, 7, (struct zcdp_variance){1, 1});
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double hits = 0, p = rows[i].p;

        for (size_t k = 0; k < N; k++) {
            bool yes = false;

            CHECK_OK_(rows[i].what, cx,
                      zcdp_bernoulli_exp(cx, zcdp_stream_source(&s.stream), rows[i].n,
                                         rows[i].d, &yes));
            hits += yes;
        }
        CHECK_(rows[i].what, fabs(hits / N - p) <= 6 * sqrt(p * (1 - p) / N));
    }
}

/* ---- rho as epsilon ---- */

static void test_zcdp__rho_and_epsilon(void **state)
{
    static const struct {
        double rho, delta, epsilon, simple;
    } rows[] = {{0.005, 1e-6, 0.4299414688, 0.530652},
                {0.1, 1e-6, 2.1419389284, 2.450788},
                {0.5, 1e-6, 5.2215344445, 5.756522},
                {1, 1e-6, 7.7662166253, 8.433844},
                {1, 1e-9, 9.5214636718, 0}};
    static const struct {
        double epsilon, delta, rho;
    } back[] = {
        {1, 1e-6, 0.024355970360}, {0.5, 1e-6, 0.006641524357}, {3, 1e-9, 0.120582428911}};
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double epsilon = epsilon_of(rows[i].rho, rows[i].delta);

        CHECK_("tight", fabs(epsilon - rows[i].epsilon) < 1e-9);
        CHECK_("never too small", epsilon_delta(rows[i].rho, epsilon) <= rows[i].delta);
        CHECK_("simple",
               rows[i].simple == 0 || fabs(epsilon_simple(rows[i].rho, rows[i].delta) -
                                           rows[i].simple) < 1e-6);
    }
    for (size_t i = 0; i < sizeof back / sizeof *back; i++)
        CHECK_("back",
               fabs(epsilon_rho(back[i].epsilon, back[i].delta) - back[i].rho) < 1e-11);
    CHECK_("delta", fabs(epsilon_delta(0.1, 1) / 8.933245771818e-03 - 1) < 1e-12);
    CHECK_("nothing", epsilon_of(0, 1e-6) == 0);
}

/* ---- what may not be ---- */

static void ones(void *user, uint8_t *ret, size_t n)
{
    (void)user;
    memset(ret, 0xff, n);
}

static void zeros(void *user, uint8_t *ret, size_t n)
{
    (void)user;
    memset(ret, 0, n);
}

static void test_zcdp__refuses(void **state)
{
    struct zcdp_source stuck = {ones, NULL}, dull = {zeros, NULL};
    struct streamed s;
    zcdp_wide u;
    int64_t y;
    bool yes;
    (void)state;

    open_stream(&s, 1, (struct zcdp_variance){1, 1});
    struct zcdp_source fine = zcdp_stream_source(&s.stream);
    CHECK_EQ_("below zero", zcdp_uniform(cx, fine, 0, &u), FAULT_INTERNAL);
    CHECK_EQ_("no variance", zcdp_gaussian(cx, fine, (struct zcdp_variance){0, 1}, &y),
              FAULT_INTERNAL);
    CHECK_EQ_("over zero", zcdp_gaussian(cx, fine, (struct zcdp_variance){1, 0}, &y),
              FAULT_INTERNAL);
    CHECK_EQ_("too large",
              zcdp_gaussian(cx, fine, (struct zcdp_variance){(uint64_t)1 << 50, 1}, &y),
              FAULT_INTERNAL);
    CHECK_EQ_(
        "the largest",
        zcdp_gaussian(cx, fine, (struct zcdp_variance){((uint64_t)1 << 50) - 1, 1}, &y),
        FAULT_NONE);
    CHECK_EQ_("a scale of zero", zcdp_laplace(cx, fine, 0, &y), FAULT_INTERNAL);
    CHECK_EQ_("over nothing", zcdp_bernoulli_exp(cx, fine, 1, 0, &yes), FAULT_INTERNAL);
    CHECK_EQ_("a source of ones", zcdp_uniform(cx, stuck, 5, &u), FAULT_INTERNAL);
    CHECK_EQ_("a source of zeros",
              zcdp_gaussian(cx, dull, (struct zcdp_variance){4, 1}, &y), FAULT_INTERNAL);
}

static void test_zcdp__a_stream_of_its_own(void **state)
{
    struct streamed a, b, c;
    size_t same = 0;
    (void)state;

    open_stream(&a, 1, (struct zcdp_variance){1000000, 1});
    open_stream(&b, 1, (struct zcdp_variance){1000000, 1});
    open_stream(&c, 2, (struct zcdp_variance){1000000, 1});
    for (size_t i = 0; i < 200; i++) {
        int64_t x = exact(&a);

        CHECK_EQ_("the same seed", x, exact(&b));
        same += x == exact(&c);
    }
    CHECK_("another seed", same < 10);
    zcdp_stream_wipe(&a.stream);
    for (size_t i = 0; i < sizeof a.stream; i++)
        CHECK_EQ_("wiped", ((const uint8_t *)&a.stream)[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zcdp__the_published_vector),
        cmocka_unit_test(test_zcdp__what_the_definition_gives),
        cmocka_unit_test(test_zcdp__a_million_samples_fit),
        cmocka_unit_test(test_zcdp__large_variances),
        cmocka_unit_test(test_zcdp__a_broken_sampler_is_found),
        cmocka_unit_test(test_zcdp__coins),
        cmocka_unit_test(test_zcdp__rho_and_epsilon),
        cmocka_unit_test(test_zcdp__refuses),
        cmocka_unit_test(test_zcdp__a_stream_of_its_own),
    };

    return cmocka_run_group_tests(tests, set_up, take_down);
}
